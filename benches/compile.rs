//! How long a compile takes, stage by stage and as a whole. `write DIR` writes the schemas that it runs on instead.
#![allow(missing_docs, clippy::print_stdout)]

mod support;

use std::path::Path;

use crossfade::diagnostic::{Sources, has_errors};
use crossfade::dialect::postgres::Postgres;
use crossfade::diff::{Options, diff};
use crossfade::emit::{Scripts, scripts};
use crossfade::plan::{Settings, plan};
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use support::Pair;

/// Tables and changes: the sizes that the project promises a time for, and one between to see that time grows in line.
const SIZES: [(usize, usize); 3] = [(1000, 50), (5000, 50), (10_000, 50)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [word, folder] if word == "write" => write(Path::new(folder)),
        _ => divan::main(),
    }
}

fn write(folder: &Path) {
    for (tables, changes) in SIZES.into_iter().chain([(10_000, 500)]) {
        let pair = support::pair(tables, changes);
        let folder = folder.join(format!("{tables}-{changes}"));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        std::fs::write(folder.join("old.yaml"), pair.old).expect("the old snapshot can be written");
        std::fs::write(folder.join("new.yaml"), pair.new).expect("the new snapshot can be written");
        println!("{}", folder.display());
    }
}

fn read(pair: &Pair) -> (Schema, Schema) {
    let mut sources = Sources::default();
    let mut schemas = [("old.yaml", &pair.old), ("new.yaml", &pair.new)].into_iter().map(|(name, text)| {
        let file = sources.add(name, text.clone());
        let (snapshot, faults) = crossfade::snapshot::read(&sources, &[file]);
        let (schema, more) = snapshot.resolve(Dialect::Postgres);
        assert!(!has_errors(&faults) && !has_errors(&more), "the synthetic schema is sound");
        schema
    });
    let (Some(old), Some(new)) = (schemas.next(), schemas.next()) else { unreachable!("two snapshots give two schemas") };
    (old, new)
}

#[divan::bench(args = SIZES.map(|(tables, _)| tables), sample_count = 10)]
fn reading(bencher: divan::Bencher<'_, '_>, tables: usize) {
    let pair = support::pair(tables, 50);
    bencher.bench_local(|| read(&pair));
}

/// All that `crossfade compile` does between reading its files and writing them.
fn compile(pair: &Pair, access: Access) -> Scripts {
    let (old, new) = read(pair);
    let (diff, faults) = diff(&old, &new, Dialect::Postgres, &Options::default());
    assert!(!has_errors(&faults), "the synthetic upgrade leaves no question open: {faults:?}");
    let settings = Settings { access, schema: "public".to_owned(), allow: Vec::new() };
    let (plan, faults) = plan(&diff, &settings, &Postgres);
    assert!(!has_errors(&faults), "the synthetic upgrade can be planned: {faults:?}");
    scripts(&plan).expect("the plan can be written")
}

#[divan::bench(args = SIZES.map(|(tables, _)| tables), sample_count = 10)]
fn shared(bencher: divan::Bencher<'_, '_>, tables: usize) {
    let pair = support::pair(tables, 50);
    bencher.bench_local(|| compile(&pair, Access::Shared));
}

#[divan::bench(args = SIZES.map(|(tables, _)| tables), sample_count = 10)]
fn versioned(bencher: divan::Bencher<'_, '_>, tables: usize) {
    let pair = support::pair(tables, 50);
    bencher.bench_local(|| compile(&pair, Access::Versioned));
}
