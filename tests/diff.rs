//! Each rule of the diff as a small pair of snapshots, in `diff/cases.txt`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use proptest::prelude::*;

use crossfade::diagnostic::{Level, Sources, has_errors};
use crossfade::diff::model::{Diff, Direction, Lens, LensColumn, Mapping, TableDiff};
use crossfade::diff::{AssumeDrop, Options, diff, print};
use crossfade::snapshot;
use crossfade::snapshot::model::Schema;
use crossfade::sql::Dialect;

/// Reads a snapshot that has no faults but those in hints, which the diff finds, too, when it is asked.
#[track_caller]
fn schema(text: &str, dialect: Dialect) -> Schema {
    let mut sources = Sources::default();
    let file = sources.add("test.yaml", text);
    let (read, mut said) = snapshot::read(&sources, &[file]);
    let (schema, more) = read.resolve(dialect);
    said.extend(more);
    let in_hints = text.find("transition:").unwrap_or(text.len());
    said.retain(|diagnostic| diagnostic.labels.first().is_none_or(|label| (label.span.start as usize) < in_hints));
    assert!(!has_errors(&said), "the snapshot of the test is wrong: {said:#?}\n{text}");
    schema
}

fn mapping(mapping: &Option<Mapping<'_>>) -> String {
    match mapping {
        None => "?".to_owned(),
        Some(Mapping::Copy(name)) => format!("copy {name}"),
        Some(Mapping::Cast(name)) => format!("cast {name}"),
        Some(Mapping::Values(name, _, Direction::Up)) => format!("values up {name}"),
        Some(Mapping::Values(name, _, Direction::Down)) => format!("values down {name}"),
        Some(Mapping::Expression(expr)) => format!("({})", expr.text),
    }
}

fn lens(lens: &Lens<'_>) -> String {
    let side = |columns: &[LensColumn<'_>]| {
        columns.iter().map(|column| format!("{} = {}", column.column.name, mapping(&column.mapping))).collect::<Vec<_>>().join(", ")
    };
    let inputs = if lens.inputs.is_empty() { String::new() } else { format!(" with {}", lens.inputs.join(", ")) };
    let fill = if lens.is_fill() { " fills" } else { "" };
    format!("lens [{}] [{}]{inputs}{fill}", side(&lens.old), side(&lens.new))
}

fn lenses(diff: &Diff<'_>) -> String {
    let mut out = String::new();
    for table in &diff.tables {
        if let TableDiff::Changed(change) = table {
            for found in &change.lenses {
                let _ = writeln!(out, "{}", lens(found));
            }
        }
    }
    out
}

/// Differences without their header, lenses with their mappings, then errors with their help.
fn shown(old: &Schema, new: &Schema, dialect: Dialect, options: &Options) -> String {
    let (found, said) = diff(old, new, dialect, options);
    let mut out = String::new();
    for line in print::text(&found).lines().skip(1).filter(|line| !line.is_empty()) {
        let _ = writeln!(out, "{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    out.push_str(&lenses(&found));
    for diagnostic in said {
        assert_eq!(diagnostic.level, Level::Error);
        let _ = writeln!(out, "{}: {}", diagnostic.code, diagnostic.message);
        for line in diagnostic.help {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// One case of `cases.txt`.
#[derive(Default)]
struct Case<'t> {
    title: &'t str,
    dialect: Option<Dialect>,
    assume_drop: AssumeDrop,
    /// The old side is the empty schema.
    from_empty: bool,
    old_columns: Vec<&'t str>,
    new_columns: Vec<&'t str>,
    hints: Vec<&'t str>,
    old: Vec<&'t str>,
    new: Vec<&'t str>,
    expected: Vec<&'t str>,
    /// Lines but the expected ones, as they stand in the file.
    written: Vec<&'t str>,
}

impl<'t> Case<'t> {
    fn read_all(text: &'t str) -> Vec<Case<'t>> {
        let mut cases: Vec<Case<'t>> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(title) = line.strip_prefix("# ") {
                cases.push(Case { title, ..Case::default() });
            }
            let case = cases.last_mut().expect("the file starts with a title");
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                "#" => {}
                "*" => {
                    case.old_columns.push(rest);
                    case.new_columns.push(rest);
                }
                "-" => case.old_columns.push(rest),
                "+" => case.new_columns.push(rest),
                "?" => case.hints.push(rest),
                "-|" => case.old.push(rest),
                "+|" => case.new.push(rest),
                "*|" => {
                    case.old.push(rest);
                    case.new.push(rest);
                }
                "!" if rest == "from-empty" => case.from_empty = true,
                "!" if rest == "assume-drop" => case.assume_drop = AssumeDrop::Unrelated,
                "!" => case.dialect = Some(Dialect::from_name(rest).expect("a dialect")),
                "=" => case.expected.push(rest),
                other => panic!("{}: what is `{other}`?", case.title),
            }
            if mark != "=" {
                case.written.push(line);
            }
        }
        cases
    }

    /// The two snapshots. Lines of columns are those of table `t`, which has an `id`, too.
    fn snapshots(&self) -> (String, String) {
        let snapshot = |version: &str, columns: &[&str], raw: &[&str]| {
            let mut text = format!("version: {version}\n");
            if !columns.is_empty() {
                text.push_str("tables:\n  t:\n    columns:\n      id: bigint primary key\n");
                text.extend(columns.iter().map(|column| format!("      {column}\n")));
            }
            text.extend(raw.iter().map(|line| format!("{line}\n")));
            text
        };
        let old = snapshot("a", &self.old_columns, &self.old);
        let mut new = snapshot("b", &self.new_columns, &self.new);
        if !self.hints.is_empty() {
            new.push_str("transition:\n  from: a\n  tables:\n    t:\n      columns:\n");
            new.extend(self.hints.iter().map(|hint| format!("        {hint}\n")));
        }
        (old, new)
    }
}

#[test]
fn cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/diff/cases.txt");
    let text = std::fs::read_to_string(path).expect("the cases are there");
    let (mut found_all, mut failed) = (String::new(), Vec::new());
    for case in Case::read_all(&text) {
        let dialect = case.dialect.unwrap_or(Dialect::Postgres);
        let (old, new) = case.snapshots();
        let old_schema = if case.from_empty { Schema::empty() } else { schema(&old, dialect) };
        let found = shown(&old_schema, &schema(&new, dialect), dialect, &Options { assume_drop: case.assume_drop });
        let expected: String = case.expected.iter().map(|line| format!("{line}\n")).collect();
        if found != expected {
            failed.push(format!("# {}\n--- expected\n{expected}--- found\n{found}", case.title));
        }
        if !found_all.is_empty() {
            found_all.push('\n');
        }
        found_all.extend(case.written.iter().map(|line| format!("{line}\n")));
        found_all.extend(found.lines().map(|line| format!("= {line}\n")));
        // Whatever it is, a snapshot does not differ from itself.
        for text in [&old, &new] {
            let side = schema(text, dialect);
            let (found, said) = diff(&side, &side, dialect, &Options::default());
            assert!(found.is_empty() && said.is_empty(), "{}: {said:?}\n{text}", case.title);
        }
    }
    // CROSSFADE_UPDATE=1 writes what was found into the file, to be read before it is committed.
    if std::env::var_os("CROSSFADE_UPDATE").is_some() {
        std::fs::write(path, found_all).expect("the cases can be written");
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// All dialects: a snapshot on disk does not differ from itself, and each step of the corpus needs no question.
#[test]
fn snapshots_on_disk_do_not_differ_from_themselves() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = ["../shared/corpus/mediawiki", "../../shared/corpus/mediawiki"].map(|path| root.join(path));
    let Some(corpus) = corpus.iter().find(|path| path.is_dir()) else {
        #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
        {
            eprintln!("NOT CHECKED: the corpus is not at {}", corpus[0].display());
        }
        assert!(std::env::var_os("CROSSFADE_REQUIRE_CORPUS").is_none(), "the corpus is required and missing");
        return;
    };
    let mut folders: Vec<_> = std::fs::read_dir(corpus).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    folders.extend(std::fs::read_dir(root.join("examples")).into_iter().flatten().map(|entry| entry.expect("readable").path()));
    folders.sort();
    let mut count = 0;
    for folder in folders.iter().filter(|path| path.join("old.yaml").is_file()) {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("readable");
        for dialect in Dialect::ALL {
            let (old, new) = (schema(&read("old.yaml"), dialect), schema(&read("new.yaml"), dialect));
            for side in [&old, &new] {
                let (found, said) = diff(side, side, dialect, &Options::default());
                assert!(found.is_empty() && said.is_empty(), "{} on {dialect:?}: {said:?}", folder.display());
            }
            let (_, said) = diff(&old, &new, dialect, &Options::default());
            assert!(said.is_empty(), "{} on {dialect:?}: {said:?}", folder.display());
            count += 1;
        }
    }
    assert!(count >= 4 * 40, "only {count} cases were found in {}", corpus.display());
}

/// The same snapshot with its maps in another order; columns keep theirs.
fn shuffled(schema: &Schema, order: &mut impl FnMut(usize) -> usize) -> Schema {
    fn turn<T: Clone>(map: &indexmap::IndexMap<String, T>, order: &mut impl FnMut(usize) -> usize) -> indexmap::IndexMap<String, T> {
        let mut left: Vec<_> = map.iter().collect();
        let mut out = indexmap::IndexMap::new();
        while !left.is_empty() {
            let (name, value) = left.remove(order(left.len()));
            out.insert(name.clone(), value.clone());
        }
        out
    }
    fn turn_list<T: Clone>(list: &[T], order: &mut impl FnMut(usize) -> usize) -> Vec<T> {
        let mut left = list.to_vec();
        let mut out = Vec::new();
        while !left.is_empty() {
            out.push(left.remove(order(left.len())));
        }
        out
    }
    let mut schema = schema.clone();
    schema.tables = turn(&schema.tables, order);
    schema.views = turn(&schema.views, order);
    schema.enums = turn(&schema.enums, order);
    schema.sequences = turn(&schema.sequences, order);
    schema.extensions = turn(&schema.extensions, order);
    for table in schema.tables.values_mut() {
        table.uniques = turn_list(&table.uniques, order);
        table.checks = turn_list(&table.checks, order);
        table.foreign_keys = turn_list(&table.foreign_keys, order);
        table.indexes = turn_list(&table.indexes, order);
    }
    if let Some(transition) = &mut schema.transition {
        transition.tables = turn(&transition.tables, order);
        transition.enums = turn(&transition.enums, order);
        for table in transition.tables.values_mut() {
            table.columns = turn(&table.columns, order);
            table.key = turn(&table.key, order);
        }
        for found in transition.enums.values_mut() {
            found.values = turn(&found.values, order);
        }
    }
    schema
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_order_of_maps_never_shows(seed in any::<u64>()) {
        let mut state = seed;
        let mut order = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or(0) % bound
        };
        let text = include_str!("diff/cases.txt");
        for case in Case::read_all(text) {
            let dialect = case.dialect.unwrap_or(Dialect::Postgres);
            let options = Options { assume_drop: case.assume_drop };
            let (old, new) = case.snapshots();
            let (old, new) = (schema(&old, dialect), schema(&new, dialect));
            let straight = shown(&old, &new, dialect, &options);
            let turned = shown(&shuffled(&old, &mut order), &shuffled(&new, &mut order), dialect, &options);
            prop_assert_eq!(straight, turned, "{}", case.title);
        }
    }
}

/// Runs `crossfade diff` on two texts; exit code, stdout, stderr.
fn command(old: &str, new: &str, arguments: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [("old.yaml", old), ("new.yaml", new)] {
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .current_dir(folder.path())
        .args(["diff", "old.yaml", "new.yaml"])
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (done.status.code().expect("an exit code"), text(done.stdout), text(done.stderr))
}

#[test]
fn the_command_says_by_its_exit_code_what_it_found() {
    let old = "version: a\ntables: {t: {columns: {id: bigint primary key, mail: text}}}\n";
    let renamed = "version: b\ntables: {t: {columns: {id: bigint primary key, email: text}}}\n";
    let hinted = format!("{renamed}transition: {{from: a, tables: {{t: {{columns: {{email: {{renamed_from: mail}}}}}}}}}}\n");

    assert_eq!(command(old, old, &[]), (0, String::new(), String::new()));
    assert_eq!(
        command(old, &hinted, &["--dialect", "mysql"]),
        (3, "a → b on mysql: 1 difference\n\ntable t\n  > email (was mail)   lens 1\n".to_owned(), String::new())
    );
    let (code, out, said) = command(old, renamed, &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.contains("error[ambiguous-rename]") && said.contains("`email: {renamed_from: mail}`"), "{said}");
    assert_eq!(command(old, renamed, &["--assume-drop"]).0, 3);
    assert_eq!(command(old, renamed, &["--dialect", "oracle"]).0, 2);
    assert_eq!(command(old, "version: b\ntables: 1\n", &[]).0, 1);

    let (code, out, _) = command(old, &hinted, &["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &document["old"], &document["dialect"]), (3, &"a".into(), &"postgres".into()));
    assert_eq!(
        document["differences"],
        serde_json::json!([
            {"kind": "column", "table": "t", "name": "email", "renamed_from": "mail", "change": "renamed", "class": "lens", "lens": 1}
        ])
    );
    let (code, out, said) = command(old, old, &["--format", "json"]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).expect("JSON")["differences"], serde_json::json!([]));
}
