//! The page of dialects says of every case what compile says of it. `UPDATE_DOCS=1 cargo test --test dialects_page` writes it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crossfade::diagnostic::{Diagnostic, Level, Sources, has_errors};
use crossfade::plan::Settings;
use crossfade::snapshot::model::Access;
use crossfade::sql::Dialect;

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->\n";
const DIALECTS: [(Dialect, &str); 4] =
    [(Dialect::Postgres, "PostgreSQL"), (Dialect::Mysql, "MySQL"), (Dialect::Mariadb, "MariaDB"), (Dialect::Sqlite, "SQLite")];

/// What compile says of a case in one access mode.
enum Outcome {
    Compiles { blocks: bool },
    NoWords,
    Refused(String),
}

fn compile(folder: &Path, dialect: Dialect, access: Access) -> Outcome {
    let mut sources = Sources::default();
    let mut sound = true;
    let [old, new] = ["old.yaml", "new.yaml"].map(|name| {
        let file = sources.add(name, std::fs::read_to_string(folder.join(name)).unwrap());
        let (snapshot, mut faults) = crossfade::snapshot::read(&sources, &[file]);
        let (schema, more) = snapshot.resolve(dialect);
        faults.extend(more);
        sound &= !has_errors(&faults);
        schema
    });
    if !sound {
        return Outcome::NoWords;
    }
    let (diff, mut said) = crossfade::diff::diff(&old, &new, dialect, &crossfade::diff::Options::default());
    let allow = ["blocks-writes", "drops-data", "old-key-binds", "old-reads-null"].map(str::to_owned).to_vec();
    let settings = Settings { access, schema: "app".to_owned(), allow };
    let (plan, more) = crossfade::plan::plan(&diff, &settings, crossfade::dialect::target(dialect).unwrap());
    said.extend(more);
    let mut errors: Vec<&Diagnostic> = said.iter().filter(|one| one.level == Level::Error).collect();
    // What no mode could do says more than that this one can't.
    errors.sort_by_key(|one| one.code == "needs-versioned");
    match errors.first() {
        Some(error) => Outcome::Refused(error.message.clone()),
        None => Outcome::Compiles { blocks: plan.hazards.iter().any(|hazard| hazard.code == "blocks-writes") },
    }
}

/// The word in the table, and the reasons of what is refused.
fn cell(folder: &Path, dialect: Dialect) -> (&'static str, Option<String>) {
    let [shared, versioned] = [Access::Shared, Access::Versioned].map(|access| compile(folder, dialect, access));
    match (shared, versioned) {
        (Outcome::NoWords, _) | (_, Outcome::NoWords) => ("-", None),
        (Outcome::Compiles { blocks: true }, Outcome::Compiles { .. }) => ("blocks", None),
        (Outcome::Compiles { .. }, Outcome::Compiles { .. }) => ("yes", None),
        (Outcome::Refused(_), Outcome::Compiles { blocks: false }) => ("versioned", None),
        (Outcome::Refused(_), Outcome::Compiles { blocks: true }) => ("versioned, blocks", None),
        (Outcome::Compiles { .. }, Outcome::Refused(why)) => ("shared", Some(why)),
        (Outcome::Refused(_), Outcome::Refused(why)) => ("no", Some(why)),
    }
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.join("case.yaml").is_file()).collect();
    folders.sort();
    folders
}

#[test]
fn the_table_is_what_compile_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dialects.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = String::from("\n| difference | PostgreSQL | MySQL | MariaDB | SQLite |\n|---|---|---|---|---|\n");
    let mut reasons = DIALECTS.map(|_| String::new());
    for folder in cases() {
        let text = std::fs::read_to_string(folder.join("case.yaml")).unwrap();
        let about = text.lines().find_map(|line| line.strip_prefix("about: ")).unwrap().replace('|', "\\|");
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut line = format!("| {about} (`{name}`)");
        for ((dialect, _), reasons) in DIALECTS.iter().zip(&mut reasons) {
            let (word, why) = cell(&folder, *dialect);
            let _ = write!(line, " | {word}");
            if let Some(why) = why {
                let _ = writeln!(reasons, "| `{name}` | {} |", why.replace('|', "\\|"));
            }
        }
        let _ = writeln!(table, "{line} |");
    }
    for ((_, product), reasons) in DIALECTS.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty()) {
        let _ = write!(table, "\n## What {product} refuses\n\n| case | because |\n|---|---|\n{reasons}");
    }
    let fresh = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    assert!(
        page == fresh || std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/dialects.md is stale: run UPDATE_DOCS=1 cargo test --test dialects_page"
    );
}
