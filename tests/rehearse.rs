//! A rehearsal holds what is right, and finds what is wrong: faults seeded into scripts and lenses are each caught by a law.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crossfade::diagnostic::{Sources, has_errors};
use crossfade::diff::model::Diff;
use crossfade::diff::{self, AssumeDrop};
use crossfade::emit::{Scripts, scripts};
use crossfade::plan::{self, model::Plan};
use crossfade::rehearse::{Broke, LensClass, Options, Report, Subject, Venue, database_name, rehearse_at, rehearse_chain_at};
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;

#[path = "rehearse/servers.rs"]
mod servers;
#[path = "rehearse/sweep.rs"]
mod sweep;

const DIALECT: Dialect = Dialect::Sqlite;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(text: &str) -> Option<Schema> {
    read_for(text, DIALECT)
}

fn read_for(text: &str, dialect: Dialect) -> Option<Schema> {
    let mut sources = Sources::default();
    let file = sources.add("snapshot.yaml", text);
    let (snapshot, mut faults) = crossfade::snapshot::read(&sources, &[file]);
    let (schema, more) = snapshot.resolve(dialect);
    faults.extend(more);
    (!has_errors(&faults)).then_some(schema)
}

/// A plan with its scripts, whatever hazards it has; `None` where compile refuses.
fn compile_for(dialect: Dialect, old: &Schema, new: &Schema, access: Access) -> Option<(Plan, Scripts)> {
    let (diff, mut faults) = diff::diff(old, new, dialect, &diff::Options { assume_drop: AssumeDrop::Ask });
    let allow = ["blocks-writes", "drops-data", "old-key-binds", "old-reads-null", "unique-rejects-old-writes", "rebuild-blocks-writers"];
    let schema = database_name(dialect).unwrap_or("public").to_owned();
    let settings = plan::Settings { access, schema, allow: allow.map(str::to_owned).to_vec() };
    let (plan, more) = plan::plan(&diff, &settings, crossfade::dialect::target(dialect).unwrap());
    faults.extend(more);
    if has_errors(&faults) {
        return None;
    }
    let scripts = scripts(&plan).unwrap();
    Some((plan, scripts))
}

/// Rehearses a folder with scripts that something was done to; `None` where compile refuses.
fn rehearsed(folder: &Path, access: Access, options: &Options, change: impl FnOnce(&str, Scripts) -> Scripts) -> Option<Report> {
    rehearsed_at(&Venue::open(DIALECT, None).unwrap(), DIALECT, folder, access, options, change)
}

/// A plan with all that it is held against.
fn subject<'a>(diff: &'a Diff<'a>, plan: &'a Plan, scripts: Scripts, access: Access) -> Subject<'a> {
    let install = |schema: &Schema, access: Access| compile_for(diff.dialect, &Schema::default(), schema, access).unwrap().1;
    Subject {
        diff,
        plan,
        scripts,
        install_old: install(diff.old, Access::Shared),
        install_new: install(diff.new, access),
        install_plain: install(diff.new, Access::Shared),
        samples: BTreeMap::new(),
    }
}

fn rehearsed_at(
    venue: &Venue,
    dialect: Dialect,
    folder: &Path,
    access: Access,
    options: &Options,
    change: impl FnOnce(&str, Scripts) -> Scripts,
) -> Option<Report> {
    with_subject(dialect, folder, access, change, |subject| {
        rehearse_at(venue, subject, options).unwrap_or_else(|stopped| panic!("{}: {stopped}", folder.display()))
    })
}

/// Does something with what a folder says, whose scripts something was done to; `None` where compile refuses.
fn with_subject<T>(
    dialect: Dialect,
    folder: &Path,
    access: Access,
    change: impl FnOnce(&str, Scripts) -> Scripts,
    run: impl FnOnce(&Subject<'_>) -> T,
) -> Option<T> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (old, new) = (read_for(&text("old.yaml"), dialect)?, read_for(&text("new.yaml"), dialect)?);
    // What the transition asks for, it needs.
    if new.transition.as_ref().and_then(|transition| transition.access).is_some_and(|wanted| wanted != access) {
        return None;
    }
    let (plan, scripts) = compile_for(dialect, &old, &new, access)?;
    let (diff, _) = diff::diff(&old, &new, dialect, &diff::Options { assume_drop: AssumeDrop::Ask });
    Some(run(&subject(&diff, &plan, change(&text("new.yaml"), scripts), access)))
}

/// What is done to scripts before they are rehearsed.
enum Fault {
    /// In a script, the first of these words becomes the second.
    Script(&'static str, &'static str, &'static str),
    /// The same wherever it stands in the script.
    Everywhere(&'static str, &'static str, &'static str),
    /// The scripts are those of a new snapshot in which the first of these words became the second.
    Lens(&'static str, &'static str),
}
use Fault::{Everywhere, Lens, Script};

/// Name, folder, access, fault, and the law that catches it, or laws one of which does.
type Seeded = (&'static str, &'static str, Access, Fault, &'static str);

const SPLIT: &str = "examples/split-full-name";
const VALUES: &str = "tests/cases/values";
const FILL: &str = "tests/cases/not-null-tightened";
const RENAMED: &str = "tests/cases/table-renamed";
const INDEX: &str = "tests/cases/index-added";
const COUNTED: &str = "tests/cases/identity-kind-changed";
const KEYLESS: &str = "tests/cases/retype-without-key";
const NUMBERED: &str = "tests/cases/identity-replaces-key";

include!("rehearse/faults.rs");
include!("rehearse/pairs.rs");

fn mutated(new: &str, old: &Schema, access: Access, scripts: Scripts, fault: &Fault) -> Scripts {
    mutated_for(DIALECT, new, old, access, scripts, fault)
}

fn mutated_for(dialect: Dialect, new: &str, old: &Schema, access: Access, mut scripts: Scripts, fault: &Fault) -> Scripts {
    match fault {
        Script(name, from, to) | Everywhere(name, from, to) => {
            let text = match *name {
                "expand" => &mut scripts.expand,
                "migrate" => &mut scripts.migrate,
                "contract" => &mut scripts.contract,
                "abort" => &mut scripts.abort,
                other => panic!("no script {other}"),
            };
            assert!(text.contains(from), "the fault does not apply: {from}\n{text}");
            *text = if matches!(fault, Script(..)) { text.replacen(from, to, 1) } else { text.replace(from, to) };
            scripts
        }
        Lens(from, to) => {
            assert!(new.contains(from), "the fault does not apply: {from}");
            let other = read_for(&new.replacen(from, to, 1), dialect).expect("the changed snapshot is sound");
            compile_for(dialect, old, &other, access).expect("the changed snapshot compiles").1
        }
    }
}

/// Each fault is caught by one of its laws: which one comes first depends on what is written first. Two work at once, each at a
/// place that `open` gives it.
fn all_are_caught<P>(faults: &[Seeded], open: impl Fn() -> P + Sync, rehearse: impl Fn(&P, &Seeded) -> Report + Sync) {
    let wrong = Mutex::new(String::new());
    let only = std::env::var("CROSSFADE_ONLY").unwrap_or_default();
    let next = Mutex::new(faults.iter().filter(|(name, ..)| name.contains(&only)));
    let work = || {
        let place = open();
        loop {
            let Some(seeded) = next.lock().unwrap().next() else { return };
            let (name, .., law) = seeded;
            let report = rehearse(&place, seeded);
            let found: BTreeSet<&str> = report.broken.iter().map(|broke| broke.law.as_str()).collect();
            if !law.split(' ').any(|law| found.contains(law)) {
                let _ = writeln!(wrong.lock().unwrap(), "`{name}` was not caught by {law} but by {found:?}");
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn seeded_faults_are_caught_by_their_law() {
    assert!(FAULTS.len() >= 25, "{} faults", FAULTS.len());
    all_are_caught(
        FAULTS,
        || (),
        |(), (_, folder, access, fault, _)| {
            let folder = root().join(folder);
            let old = read(&std::fs::read_to_string(folder.join("old.yaml")).unwrap()).unwrap();
            let options = Options { histories: 4, shrink: Duration::ZERO, ..Options::default() };
            rehearsed(&folder, *access, &options, |new, scripts| mutated(new, &old, *access, scripts, fault)).unwrap()
        },
    );
}

fn crossfade(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(root()).env("NO_COLOR", "1").output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

const EXAMPLE: [&str; 5] = ["rehearse", "examples/split-full-name/old.yaml", "examples/split-full-name/new.yaml", "--dialect", "sqlite"];

#[test]
fn a_seed_repeats_a_run_and_every_format_says_the_same() {
    let run = |more: &[&str]| crossfade(&[&EXAMPLE, more].concat());
    let json = |more: &[&str]| -> serde_json::Value {
        let (code, text) = run(&[&["--format", "json"], more].concat());
        assert_eq!(code, 0, "{text}");
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value[0]["seconds"] = 0.into();
        value
    };
    let one = json(&["--seed", "7"]);
    assert_eq!(one, json(&["--seed", "7"]));
    assert_ne!(one["0"]["statements"].to_string() + &one.to_string(), json(&["--seed", "8"]).to_string());
    assert_eq!(one[0]["holds"], true);
    assert_eq!(one[0]["dialect"], "sqlite");
    let (code, junit) = run(&["--format", "junit", "--laws", "L4,L5"]);
    assert_eq!(code, 0);
    assert!(
        junit.starts_with("<?xml") && junit.contains("failures=\"0\"") && junit.contains("name=\"L4 agreement: table users\""),
        "{junit}"
    );
    // Laws that are not asked are named with the reason, wherever a report goes.
    let (_, text) = run(&[]);
    let (_, all) = run(&["--format", "junit"]);
    let (code, markdown) = run(&["--format", "markdown"]);
    assert_eq!(code, 0);
    let why = "SQLite's transactions are serial";
    assert!(one[0]["unasked"].to_string().contains(why) && one[0]["lock_budget_ms"].is_null(), "{one}");
    assert!(
        all.contains(&format!("<skipped message=\"{}\"/>", why.replace('\'', "&#39;")))
            && all.contains("<property name=\"interleavings\" value=\"0\"/>"),
        "{all}"
    );
    assert!([&text, &markdown].iter().all(|said| said.contains(&format!("L15 isolation: {why}"))), "{text}\n{markdown}");
    assert!(markdown.contains("| L4 | agreement |") && markdown.contains("**all laws hold**"), "{markdown}");
    let (code, _) = crossfade(&["rehearse", "a", "b", "--laws", "L99"]);
    assert_eq!(code, 2);
}

#[test]
fn a_users_own_rows_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples.yaml");
    std::fs::write(
        &samples,
        "users:\n  - {id: 1, full_name: Ada  Lovelace, email: a@example.org}\n  - {id: 2, full_name: null, email: b@example.org}\n",
    )
    .unwrap();
    let samples = samples.to_str().unwrap();
    let (code, text) = crossfade(&[&EXAMPLE[..], &["--samples", samples]].concat());
    assert_eq!(code, 0, "{text}");
    std::fs::write(samples, "people: []\n").unwrap();
    let (code, _) = crossfade(&[&EXAMPLE[..], &["--samples", samples]].concat());
    assert_eq!(code, 1);
}

#[test]
fn lenses_have_classes() {
    let class = |folder: &str, access| {
        let report = rehearsed(&root().join(folder), access, &Options::default(), |_, scripts| scripts).unwrap();
        report.lenses.first().map(|lens| (lens.class, lens.value.is_some()))
    };
    assert_eq!(class(SPLIT, Access::Shared), Some((LensClass::Embedding, true)));
    assert_eq!(class(VALUES, Access::Shared), Some((LensClass::Embedding, true)));
    assert_eq!(class("tests/cases/rename-column", Access::Shared), Some((LensClass::Isomorphism, false)));
}

/// A loss that nobody declares breaks L3 with the smallest value, and one that is declared breaks nothing.
#[test]
fn a_loss_is_declared_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let columns = |column: &str| format!("tables:\n  users:\n    columns: {{id: bigint primary key, {column}: text}}\n");
    let old = write("old.yaml", format!("version: v1\n{}", columns("name")));
    let run = |lossy: &str| {
        let lens = format!("{{login: {{up: lower(name){lossy}}}, name: {{down: login}}}}");
        let transition = format!("transition:\n  from: v1\n  tables:\n    users:\n      columns: {lens}\n");
        let new = write("new.yaml", format!("version: v2\n{}{transition}", columns("login")));
        crossfade(&["rehearse", &old, &new, "--dialect", "sqlite"])
    };
    let (code, text) = run("");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("broken: L3 round trip (table users)") && text.contains("or `lossy: true` at a column of the lens"), "{text}");
    assert!(text.contains("1 law is broken"), "{text}");
    let (code, text) = run(", lossy: true");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("lossy, as declared") && text.contains("all laws hold"), "{text}");
}

/// The snippets in the page are what the CI systems read.
#[test]
fn snippets_are_sound() {
    let page = std::fs::read_to_string(root().join("docs/rehearse.md")).unwrap();
    let snippets: Vec<serde_json::Value> =
        page.split("```yaml\n").skip(1).map(|rest| serde_yaml::from_str(rest.split("```").next().unwrap()).unwrap()).collect();
    let [github, gitlab, samples] = snippets.as_slice() else { panic!("{} snippets", snippets.len()) };
    let runs: Vec<&str> = github["jobs"]["rehearse"]["steps"].as_array().unwrap().iter().filter_map(|step| step["run"].as_str()).collect();
    assert!(runs.iter().any(|run| run.contains("crossfade rehearse")), "{runs:?}");
    assert!(github["jobs"]["rehearse"]["runs-on"].is_string());
    let script = gitlab["rehearse"]["script"].to_string();
    assert!(script.contains("crossfade rehearse"), "{script}");
    assert_eq!(gitlab["rehearse"]["artifacts"]["reports"]["junit"], "rehearse.xml");
    assert!(samples["users"].is_array());
    // What they run is a command that there is.
    for line in page.lines().filter(|line| line.contains("crossfade rehearse --")) {
        let words: Vec<&str> = line.split("crossfade ").nth(1).unwrap().split(['>', '`']).next().unwrap().split_whitespace().collect();
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(&words).current_dir(std::env::temp_dir()).output().unwrap();
        assert_ne!(output.status.code(), Some(2), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
