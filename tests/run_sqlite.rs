//! The runner on SQLite files: each phase at once or not at all, rows filled in batches between which others have their turn.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossfade::engine::Connection as _;
use crossfade::engine::sqlite::Session;
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::catalog::Catalog;
use support::engine::sqlite::Sqlite;
use support::lab::{Database, Lab};
use support::program::{self, Ran};
use support::scripts::{Phase, Scripts, compile_for};
use support::servers;
use support::shape::dump_tables;

/// A file at the old version of a case, with the snapshots of the case to run from.
struct Field<'lab> {
    lab: &'lab Lab<Sqlite>,
    database: Database<'lab, Sqlite>,
    case: Case,
    access: Access,
    scripts: Scripts,
}

fn lab() -> Option<Lab<Sqlite>> {
    servers::sqlite().unwrap()
}

fn case(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
    Case::read(&folder).unwrap().in_dialect(Dialect::Sqlite).unwrap()
}

impl<'lab> Field<'lab> {
    fn new(lab: &'lab Lab<Sqlite>, name: &str, access: Access, seed: &str) -> Field<'lab> {
        Field::of(lab, case(name), access, seed)
    }

    fn of(lab: &'lab Lab<Sqlite>, case: Case, access: Access, seed: &str) -> Field<'lab> {
        let scripts = compile_for(&case, access, Dialect::Sqlite).unwrap_or_else(|report| panic!("{report}"));
        let database = lab.empty().unwrap();
        for script in &scripts.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        database.run(seed, "seed").unwrap();
        Field { lab, database, case, access, scripts }
    }

    fn file(&self) -> PathBuf {
        self.lab.engine.file(&self.database.name)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program::command(&self.case, self.access, &self.url(), arguments)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn session(&self) -> Session {
        self.database.connect().unwrap()
    }

    #[track_caller]
    fn value(&self, query: &str) -> String {
        self.session().value(query).unwrap().unwrap_or_default()
    }

    /// Schema and rows, without the books of crossfade.
    fn everything(&self) -> String {
        let mut session = self.session();
        let mut text = Catalog::read(&mut session).unwrap().product();
        text.push_str(&dump_tables(&mut session, &[]).unwrap());
        text
    }

    /// The catalog is that of the new snapshot alone, and nothing lies beside the file.
    fn must_be_new(&self) {
        let alone = self.lab.empty().unwrap();
        for script in &self.scripts.install_new {
            alone.run(script, "installing the new snapshot").unwrap();
        }
        let catalog = |database: &Database<'_, Sqlite>| Catalog::read(&mut database.connect().unwrap()).unwrap();
        catalog(&self.database).must_equal(&catalog(&alone), "the catalog after contract").unwrap();
        assert!(!self.lock_file().exists(), "the lock of runners is left over");
    }

    fn lock_file(&self) -> PathBuf {
        PathBuf::from(format!("{}-crossfade", self.file().display()))
    }
}

fn people(count: u32) -> String {
    format!(
        "insert into users (id, full_name) with recursive n (i) as (select 1 union all select i + 1 from n where i < {count}) select i, 'Ada L' || i from n"
    )
}

const FILLED: &str = "select count(*) from users where first_name is not null";
const AGREE: &str = "select count(*) from users where first_name is not substr(full_name, 1, instr(full_name || ' ', ' ') - 1)";

/// Nothing in a file tells a client of one version from one of the other.
#[test]
fn no_version_is_drained() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Versioned, &people(5));
    field.run(&["expand"]).must(0);
    field.run(&["migrate"]).must(0);
    let before = field.everything();
    field.run(&["drain", "v1"]).must(1).says("v1 can't be drained: in a file");
    assert_eq!(before, field.everything(), "a refusal changed something");
}

#[test]
fn all_phases_and_their_turns() {
    let Some(lab) = lab() else { return };
    for access in [Access::Shared, Access::Versioned] {
        let field = Field::new(&lab, "split", access, &people(3000));
        let before = field.everything();
        field.run(&["migrate"]).must(1).says("migrate of v2 can't run before its expand has finished").says("crossfade expand");
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("crossfade expand");
        field.run(&["abort"]).must(1).says("there is nothing to abort");
        assert_eq!(before, field.everything(), "a refusal changed something");
        field.run(&["expand", "--dry-run"]).must(0).says("add column first_name").says("begin immediate;").says("commit;");
        assert_eq!(before, field.everything(), "--dry-run changed something");

        field.run(&["check"]).must(3).says("expand of v2 is due");
        field.run(&["verify"]).must(1).says("run `crossfade expand` first");
        field.run(&["expand"]).must(0).says("v2_expand01: What the new version has besides").says("expand of v2 is done");
        field.run(&["expand"]).must(0).says("crossfade migrate");
        field.run(&["check"]).must(4).says("migrate of v2 is due");
        field.run(&["verify"]).must(1).says("3000 rows disagree").says("\"full_name\":\"Ada L1\"");
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("run `crossfade migrate` first");
        field.run(&["abort"]).must(0);
        assert_eq!(before, field.everything(), "abort did not take everything back");
        field.run(&["abort"]).must(0).says("aborted already");
        field.run(&["expand"]).must(0);
        field.run(&["migrate", "--dry-run"]).must(0).says("In batches").says("_rowid_ > cast(?1 as integer)");
        field.run(&["migrate"]).must(0).says("3000 rows filled").says("migrate of v2 is done");
        assert_eq!((field.value(AGREE), field.value(FILLED)), ("0".to_owned(), "3000".to_owned()));
        field.run(&["migrate"]).must(0).says("done already");
        field.run(&["check"]).must(5).says("contract of v2 is due");
        field.run(&["verify"]).must(0).says(": 0 rows disagree");
        let status = field.run(&["status"]).must(0).says("v1 -> v2: migrate (v2_expand01, v2_migrate01)");
        status.says("backfill v2_migrate01.users.first_name+last_name: 3000 rows filled, done");
        // A file does not know its clients, in neither access.
        field.run(&["contract"]).must(1).says("a file does not tell").says("--all-nodes-upgraded");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.run(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
        field.run(&["check"]).must(0).says("up to date: version v2");
        field.run(&["verify"]).must(1).says("only one shape");
        field.run(&["expand"]).must(1).says("contracted already");
        field.run(&["abort"]).must(1).says("contract has begun");
        assert_eq!(field.value("select phase || ' ' || revision from crossfade_version"), "contract v2_contract01");
        assert_eq!(field.value("select count(*) from crossfade_journal where finished_at is null and step not like 'script %'"), "0");
        field.must_be_new();
    }
}

#[test]
fn from_the_folder_of_scripts_and_by_the_shell() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Versioned, &people(3000));
    let folder = tempfile::tempdir().unwrap();
    let crossfade = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(arguments)
            .current_dir(folder.path())
            .env("CROSSFADE_URL", field.url())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::of(&output)
    };
    crossfade(&["expand", "--url", "sqlite:nowhere.db"]).must(1).says("there is no file `nowhere.db`");
    assert!(!folder.path().join("nowhere.db").exists());
    crossfade(&["expand", "--url", "oracle://nowhere"]).must(1).says("this is no URL of a database").says("mariadb://");
    crossfade(&["expand"]).must(1).says("run `crossfade compile` first");
    let snapshot = |name: &str| field.case.folder.join(name).display().to_string();
    let (old, new) = (snapshot("old.yaml"), snapshot("new.yaml"));
    crossfade(&["compile", "empty", &old, "--dialect", "sqlite"]).must(0);
    // A first installation has no old clients that somebody would have to know of.
    std::fs::write(folder.path().join("first.db"), "").unwrap();
    for phase in ["expand", "migrate", "contract"] {
        crossfade(&[phase, "empty", &old, "--url", "sqlite:first.db"]).must(0).says(&format!("{phase} of v1 is done"));
    }
    crossfade(&["compile", &old, &new, "--dialect", "sqlite", "--access", "versioned"]).must(0);
    crossfade(&["compile", &old, &new, "--dialect", "postgres", "--out", "elsewhere"]).must(0);
    crossfade(&["expand", "--migrations", "elsewhere", "--to", "v2"]).must(1).says("was not compiled for sqlite: run `crossfade compile`");
    // What can't be kept is not promised.
    std::fs::write(folder.path().join("crossfade.yaml"), "schema_lock: true\n").unwrap();
    crossfade(&["expand"]).must(1).says("`schema_lock: true` in crossfade.yaml can't be kept on sqlite").says("nothing was changed");
    crossfade(&["expand", "--dry-run"]).must(1).says("`schema_lock: true`");
    crossfade(&["sync", "--offline"]).must(1).says("`schema_lock: true`");
    std::fs::remove_file(folder.path().join("crossfade.yaml")).unwrap();
    crossfade(&["expand"]).must(0).says("expand of v2 is done");

    // What is run later must be what expand ran.
    let script = folder.path().join("migrations/v2/sqlite/contract.sql");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.clone() + "-- another line\n").unwrap();
    let before = field.everything();
    crossfade(&["migrate"]).must(1).says("contract.sql differ");
    assert_eq!(before, field.everything());
    std::fs::write(&script, text).unwrap();

    // Some batches by the runner, the rest by the shell, the end by the runner.
    crossfade(&["migrate", "--max-batches", "1"]).must(6);
    assert_eq!(field.value(FILLED), "1000");
    let (code, said) = field.database.run_by_client(field.scripts.of(Phase::Migrate)).unwrap();
    assert_eq!(code, 0, "{said}");
    assert_eq!((field.value(AGREE), field.value(FILLED)), ("0".to_owned(), "3000".to_owned()));
    crossfade(&["migrate"]).must(0).says("done already");
    crossfade(&["contract", "--all-nodes-upgraded"]).must(0);
    field.must_be_new();
    crossfade(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
}

#[test]
fn a_lock_is_tried_again_and_a_second_runner_is_told() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Shared, &people(100));
    let mut writer = field.session();
    writer.run("begin immediate").unwrap();
    let first = field.spawn(&["expand"]);
    let until = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_to_string(field.lock_file()).is_ok_and(|text| text.contains("crossfade expand v2")) {
        assert!(Instant::now() < until, "the first runner did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    let process = first.id().to_string();
    field.run(&["migrate"]).must(1).says("another runner is at work").says("crossfade expand v2").says(&process);
    field.run(&["status"]).must(0).says("at work: `crossfade expand v2`");
    let waiting = field.spawn(&["expand", "--wait", "60"]);
    writer.run("commit").unwrap();
    Ran::of(&first.wait_with_output().unwrap()).must(0);
    Ran::of(&waiting.wait_with_output().unwrap()).must(0);
    assert!(!field.lock_file().exists());

    // Who is killed has let go of it.
    let mut writer = field.session();
    writer.run("begin immediate").unwrap();
    let mut killed = field.spawn(&["abort"]);
    while !field.lock_file().exists() {
        assert!(Instant::now() < until, "it did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    writer.run("commit").unwrap();
    field.run(&["abort"]).must(0);

    // A reader keeps a file without a write-ahead log from being written, and is waited for as long as asked.
    let mut reader = field.session();
    reader.run("begin").unwrap();
    reader.run("select count(*) from users").unwrap();
    let ran = field.run(&["expand", "--patience", "3"]).must(1).says("met a lock").says("run `crossfade expand` again");
    assert!(ran.err.contains("try 2"), "{}", ran.err);
    reader.run("commit").unwrap();
    field.run(&["expand"]).must(0);
}

/// A table whose column is to hold what a check refuses.
const CODES: (&str, &str) = (
    "version: v1\ntables:\n  items:\n    columns:\n      id: text not null\n      code: text\n    primary_key: [id]\n",
    "version: v2\ntables:\n  items:\n    columns:\n      id: text not null\n      number: integer check (typeof(number) = 'integer')\n    primary_key: [id]\ntransition:\n  from: v1\n  tables:\n    items:\n      columns:\n        number: {up: \"json_extract(code, '$')\"}\n        code: {down: \"cast(number as text)\"}\n",
);

#[test]
fn rows_that_fail_are_named_or_set_aside() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), CODES.0).unwrap();
    std::fs::write(folder.path().join("new.yaml"), CODES.1).unwrap();
    std::fs::write(folder.path().join("case.yaml"), "about: numbers in texts\ndialects: [sqlite]\naccess: [shared]\n").unwrap();
    let case = Case::read(folder.path()).unwrap().in_dialect(Dialect::Sqlite).unwrap();
    let seed = "insert into items with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000)
                select 'k' || i, case when i % 400 = 3 then 'three' else cast(i as text) end from n";
    let field = Field::of(&lab, case, Access::Shared, seed);
    // All at once makes no triggers, so that half of it is nothing for clients.
    field.run(&["sync", "--offline"]).must(1).says("items: the row with _rowid_ = 3 can't be filled");
    assert_eq!(field.value("select count(*) from sqlite_schema where name like 'zz!_crossfade!_sync%' escape '!'"), "0");
    field.run(&["migrate"]).must(1).says("was begun by `crossfade sync --offline`");
    field.run(&["abort"]).must(0);
    field.run(&["expand"]).must(0);
    assert_ne!(field.value("select count(*) from sqlite_schema where name like 'zz!_crossfade!_sync%' escape '!'"), "0");
    let ran = field.run(&["migrate"]).must(1).says("items: the row with _rowid_ = 3 can't be filled").says("malformed JSON");
    ran.says("{\"id\":\"k3\",\"code\":\"three\"}").says("json_extract(code, '$')").says("--skip-failing");
    field.run(&["status"]).must(0).says("begun, not finished: migrate");
    // Two are allowed, and there are three.
    field
        .run(&["migrate", "--skip-failing", "2"])
        .must(1)
        .says("set aside: items: the row with _rowid_ = 403")
        .says("\"id\":\"k803\"")
        .says("2 rows are set aside already");
    field.run(&["migrate", "--skip-failing", "3"]).must(0);
    assert_eq!(field.value("select count(*) from items where number is null"), "3");
    assert_eq!(field.value("select group_concat(row_key) from crossfade_failing_row"), "[\"3\"],[\"403\"],[\"803\"]");
    field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("3 rows could not be filled").says("crossfade migrate");
    field.run(&["migrate"]).must(1).says("rows that are set aside: 3");
    field.session().run("update items set code = '33' where code = 'three'").unwrap();
    field.run(&["migrate"]).must(0).says("no longer set aside: items _rowid_ = 403");
    assert_eq!(field.value("select count(*) from items where number is null"), "0");
    field.run(&["contract", "--all-nodes-upgraded"]).must(0);
    field.must_be_new();
}

/// An older library than the scripts were written for is refused before a row is filled.
#[test]
fn an_older_library_fills_nothing() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Versioned, &people(3000));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crossfade.yaml"), "sqlite_version: 3.999\n").unwrap();
    let crossfade = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(arguments).current_dir(folder.path()).env("CROSSFADE_URL", field.url()).stdin(Stdio::null());
        Ran::of(&command.output().unwrap())
    };
    let snapshot = |name: &str| field.case.folder.join(name).display().to_string();
    crossfade(&["compile", &snapshot("old.yaml"), &snapshot("new.yaml"), "--dialect", "sqlite", "--access", "versioned"]).must(0);
    let manifest = std::fs::read_to_string(folder.path().join("migrations/v2/manifest.yaml")).unwrap();
    assert!(manifest.contains("sqlite_version: \"3.999\""), "{manifest}");
    let before = field.everything();
    crossfade(&["expand"]).must(1).says("these scripts need SQLite 3.999 or later");
    assert_eq!(before, field.everything(), "a refusal changed something");
    // Another client, whose library is new enough, has expanded it.
    let expand = std::fs::read_to_string(folder.path().join("migrations/v2/sqlite/expand.sql")).unwrap();
    field.database.run(&expand.replace(" < 999)", " < 1)"), "expand by another client").unwrap();
    let before = field.everything();
    for _ in 0..2 {
        crossfade(&["migrate"]).must(1).says("these scripts need SQLite 3.999 or later");
        assert_eq!(field.value(FILLED), "0");
        assert_eq!(field.value("select count(*) from crossfade_checkpoint"), "0");
        assert_eq!(before, field.everything(), "a refusal changed something");
    }
}

/// Contract refuses while rows disagree, says which, and changes nothing.
#[test]
fn a_gate_speaks_in_the_runners_words() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Shared, &people(50));
    field.run(&["expand"]).must(0);
    field.run(&["migrate"]).must(0);
    let mut session = field.session();
    let triggers = session.run("select name, sql from sqlite_schema where type = 'trigger'").unwrap().rows;
    for row in &triggers {
        session.run(&format!("drop trigger {}", row[0].as_deref().unwrap())).unwrap();
    }
    session.run("update users set first_name = 'Bob' where id = 7").unwrap();
    let before = field.everything();
    let ran = field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("full_name and first_name, last_name disagree: 1 rows");
    let ran = ran.says("for example 7").says("run `crossfade contract` again").says("nothing was changed");
    assert!(!ran.err.contains("this script") && !ran.err.contains("statement:"), "{}", ran.err);
    assert_eq!(before, field.everything());
    // It has not begun: the way back is open.
    field.run(&["check"]).must(5);
}

/// While rows are filled, clients of either kind wait no longer than they are ready to.
#[test]
fn readers_and_writers_have_their_turn() {
    let Some(lab) = lab() else { return };
    for mode in ["wal", "delete"] {
        let field = Field::new(&lab, "split", Access::Shared, &format!("pragma journal_mode = {mode}; {}", people(60_000)));
        field.run(&["expand"]).must(0);
        let done = AtomicBool::new(false);
        let (writes, longest) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut session = field.session();
                let (mut count, mut longest) = (0, Duration::ZERO);
                while !done.load(Ordering::Relaxed) {
                    count += 1;
                    let begun = Instant::now();
                    session.run(&format!("insert into users (id, full_name) values (100000 + {count}, 'Tok {count}')")).unwrap();
                    session.run("select count(*) from users where id < 50").unwrap();
                    longest = longest.max(begun.elapsed());
                }
                (count, longest)
            });
            let ran = field.run(&["migrate"]);
            done.store(true, Ordering::Relaxed);
            ran.must(0);
            writer.join().unwrap()
        });
        eprintln!("{mode}: {writes} writes beside the backfill, the longest took {longest:?}");
        assert_eq!(field.value("select count(*) from users where id > 100000 and first_name = 'Tok'"), writes.to_string());
        assert_eq!(field.value(AGREE), "0");
        assert!(writes > 10, "{mode}: only {writes} writes");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
    }
}

#[test]
fn batches_stop_and_go_on() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Shared, &people(20_000));
    field.run(&["expand"]).must(0);
    field.run(&["migrate", "--max-batches", "2"]).must(6).says("crossfade migrate");
    let first: u64 = field.value(FILLED).parse().unwrap();
    assert!(first > 1000 && first < 20_000, "{first}");
    assert_eq!(field.value("select rows from crossfade_checkpoint where part = 0"), first.to_string());
    // More workers are no faster here, and do no harm.
    let json = field.run(&["migrate", "--workers", "3", "--max-batches", "1", "--batch-time", "5", "--format", "json"]).must(6);
    let is_event = |line: &&str| line.starts_with('{') && line.contains("\"event\"");
    let events: Vec<serde_json::Value> = json.err.lines().filter(is_event).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "batch").count(), 1, "{}", json.err);
    // A file pauses it, and Ctrl-C stops it in good order.
    let paused = field.value(FILLED);
    let file = tempfile::NamedTempFile::new().unwrap();
    let child = field.spawn(&["migrate", "--pause-file", &file.path().display().to_string()]);
    let until = Instant::now() + Duration::from_secs(60);
    while !field.lock_file().exists() {
        assert!(Instant::now() < until, "it did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Once it has the lock it listens.
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    Ran::of(&child.wait_with_output().unwrap()).must(6);
    assert_eq!(field.value(FILLED), paused);
    drop(file);
    // The same before the first batch, which another writer keeps from beginning.
    let mut writer = field.session();
    writer.run("begin immediate").unwrap();
    let mut child = field.spawn(&["migrate"]);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    read_until(&mut err, &mut said, "lock");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    read_until(&mut err, &mut said, "Ctrl-C again");
    writer.run("rollback").unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6), "{said}");
    assert_eq!(field.value(FILLED), paused);
    // Rows that come meanwhile are the trigger's, and a VACUUM may number the rows anew.
    field.session().run("insert into users (id, full_name) values (0, 'Bo Ek'), (70000, 'Bo Ek')").unwrap();
    field.session().run("vacuum").unwrap();
    field.run(&["migrate"]).must(0);
    assert_eq!((field.value(FILLED), field.value(AGREE)), ("20002".to_owned(), "0".to_owned()));
    field.run(&["contract", "--all-nodes-upgraded"]).must(0);
    field.must_be_new();
}

/// What a program says, until a line of it has these words.
fn read_until(from: &mut impl BufRead, said: &mut String, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "it ended without `{words}`: {said}");
        said.push_str(&line);
    }
}

/// Every case: the runner ends where the scripts end.
#[test]
fn every_case() {
    let Some(lab) = lab() else { return };
    let mut count = 0;
    for case in Case::every() {
        let case = case.unwrap();
        if !case.file.dialects.contains(&Dialect::Sqlite) {
            continue;
        }
        let case = case.in_dialect(Dialect::Sqlite).unwrap();
        let access: Vec<Access> = case.file.access.iter().copied().filter(|access| !case.file.refused.contains_key(access)).collect();
        // One access of each case.
        if let Some(&access) = access.get(count % access.len().max(1)) {
            count += 1;
            let (name, seed) = (case.name.clone(), case.file.seed.clone());
            eprintln!("{name} {}", access.name());
            let field = Field::of(&lab, case.clone(), access, &seed);
            let before = field.everything();
            let offline = Field {
                lab: &lab,
                database: field.database.copy().unwrap(),
                case: field.case.clone(),
                access,
                scripts: field.scripts.clone(),
            };
            let said = field.run(&["doctor"]);
            assert!(!said.out.contains("[drift]") && !said.err.contains("can't be compared"), "{name}: {}{}", said.out, said.err);
            field.run(&["expand"]).must(0);
            if count % 4 == 0 && case.file.abort_keeps.is_empty() {
                field.run(&["abort"]).must(0);
                support::text::same(&format!("{name}: abort"), &before, &field.everything()).unwrap();
                field.run(&["expand"]).must(0);
            }
            field.run(&["migrate"]).must(0);
            field.run(&["contract", "--all-nodes-upgraded"]).must(0);
            field.must_be_new();
            // Two runs don't make the same random values.
            if count % 2 == 0 || name == "volatile-default" {
                continue;
            }
            offline.run(&["sync", "--offline"]).must(0);
            support::text::same(&format!("{name}: all at once"), &field.everything(), &offline.everything()).unwrap();
        }
    }
    assert!(count > 50, "only {count}");
}

/// A small generator (xorshift): the same seed kills at the same shares of a phase's time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// The runner is killed at ten random points of each phase while the old version writes: the next run goes on, nothing is lost, and
/// the end is the same. `CROSSFADE_SEED` repeats a run.
#[test]
fn killed_at_ten_points() {
    let Some(lab) = lab() else { return };
    let seed =
        std::env::var("CROSSFADE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    eprintln!("CROSSFADE_SEED={seed}");
    let mut dice = Dice(seed);
    let mut times = [Duration::ZERO; 3];
    let (mut killed, mut after) = (0, 0);
    for round in 0..=10 {
        let access = if round % 2 == 0 { Access::Shared } else { Access::Versioned };
        let mode = if round % 4 < 2 { "wal" } else { "delete" };
        let field = Field::new(&lab, "split", access, &format!("pragma journal_mode = {mode}; {}", people(5000)));
        let done = AtomicBool::new(false);
        let tokens = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut session = field.session();
                let mut tokens = 0;
                while !done.load(Ordering::Relaxed) {
                    tokens += 1;
                    session.run(&format!("insert into users (id, full_name) values (100000 + {tokens}, 'Tok {tokens}')")).unwrap();
                    session.run(&format!("update users set full_name = 'Bo C{tokens}' where id = {}", tokens * 7919 % 5000 + 1)).unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                }
                tokens
            });
            for (index, phase) in ["expand", "migrate", "contract"].into_iter().enumerate() {
                if phase == "contract" {
                    done.store(true, Ordering::Relaxed);
                    while !writer.is_finished() {
                        std::thread::yield_now();
                    }
                }
                let arguments: &[&str] = match phase {
                    "migrate" => &["migrate", "--batch-time", "5"],
                    "contract" => &["contract", "--all-nodes-upgraded"],
                    _ => &["expand"],
                };
                let begun = Instant::now();
                // The first round is undisturbed: it says how long each phase takes.
                if round == 0 {
                    field.run(arguments).must(0);
                    times[index] = begun.elapsed();
                    continue;
                }
                let mut child = field.spawn(arguments);
                let point = times[index].mul_f64(dice.roll(900) as f64 / 1000.0);
                while begun.elapsed() < point && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                child.kill().unwrap();
                if child.wait_with_output().unwrap().status.success() {
                    after += 1
                } else {
                    killed += 1
                }
                field.run(arguments).must(0);
            }
            writer.join().unwrap()
        });
        assert_eq!(field.value("select count(*) from users where id > 100000"), tokens.to_string(), "a row was lost");
        assert_eq!(
            field.value(
                "select count(*) from users where id > 100000 and (first_name, last_name) is not ('Tok', cast(id - 100000 as text))"
            ),
            "0"
        );
        assert_eq!(field.value("select count(*) from users where id <= 5000 and first_name in ('Ada', 'Bo')"), "5000");
        assert_eq!(field.value("pragma integrity_check"), "ok");
        field.must_be_new();
    }
    eprintln!("killed in the middle {killed} times, {after} had just ended; undisturbed {times:?}");
}

/// What the doctor knows of a file.
#[test]
fn the_doctor_looks_at_the_file() {
    let Some(lab) = lab() else { return };
    let field = Field::new(&lab, "split", Access::Shared, &format!("pragma journal_mode = wal; {}", people(10)));
    let provoked: [(&str, &str, i32); 5] = [
        ("create table keyed (k text primary key) without rowid", "error[without-rowid]: table keyed", 1),
        ("create table typed (k text primary key) strict", "warning[strict]: table typed", 0),
        ("create trigger touched after update on users begin select 1; end", "warning[user-trigger]: trigger touched on users", 0),
        (
            "create table parts (id integer primary key, whole integer references users); insert into parts values (1, -1)",
            "warning[orphans]: table parts: 1 references to users lead nowhere",
            0,
        ),
        ("pragma journal_mode = delete", "warning[no-wal]: the file", 0),
    ];
    for (make, words, code) in provoked {
        let mut session = field.session();
        session.run_script(make).unwrap();
        field.run(&["doctor"]).must(code).says(words);
        session
            .run_script(
                "drop table if exists keyed; drop table if exists typed; drop table if exists parts; drop trigger if exists touched",
            )
            .unwrap();
    }
    field.session().run("pragma journal_mode = wal").unwrap();
    field.run(&["doctor"]).must(0).says("nothing was found");
    field.session().run("alter table users add column stray int").unwrap();
    field.run(&["doctor"]).must(1).says("error[drift]: the live schema");
}
