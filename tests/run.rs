//! The runner on real servers: the phases and the way back, statement by statement, with the journal that lets a killed run, a
//! lost connection and the script by hand go on where the other one stopped.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossfade::engine::postgres::{Address, Session};
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::catalog::Catalog;
use support::lab::{Database, Lab};
use support::program::{self, Bell, Heard, Ran};
use support::schema_lock::SchemaLock;
use support::scripts::{Phase, Scripts, compile};
use support::servers;
use support::shape::dump_tables;
use support::splitter::split;

/// A database at the old version of a case, with the snapshots of the case to run from.
struct Field<'lab> {
    database: Database<'lab>,
    case: Case,
    access: Access,
    scripts: Scripts,
}

fn url(database: &Database<'_>) -> String {
    let address = database.address();
    let folder: String = address.socket_folder.display().to_string().replace('/', "%2F");
    format!("postgres://{}@{folder}:{}/{}", address.user, address.port, address.database)
}

impl<'lab> Field<'lab> {
    fn new(lab: &'lab Lab, case: &str, access: Access, seed: &str) -> Field<'lab> {
        let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case)).unwrap();
        Field::of(lab, case, access, seed)
    }

    fn of(lab: &'lab Lab, case: Case, access: Access, seed: &str) -> Field<'lab> {
        let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
        let database = lab.empty().unwrap();
        for script in &scripts.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        database.run(seed, "seed").unwrap();
        Field { database, case, access, scripts }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program::command(&self.case, self.access, &url(&self.database), arguments)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// The same by another URL.
    #[track_caller]
    fn run_at(&self, url: &str, arguments: &[&str]) -> Ran {
        Ran::of(&self.command_at(url, arguments).output().unwrap())
    }

    fn command_at(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.arg(arguments[0]).arg(self.case.folder.join("old.yaml")).arg(self.case.folder.join("new.yaml"));
        command.args(["--url", url]).args(&arguments[1..]).stdin(Stdio::null());
        command
    }

    /// The plan as JSON.
    fn planned(&self) -> serde_json::Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.arg("plan").arg(self.case.folder.join("old.yaml")).arg(self.case.folder.join("new.yaml"));
        command.args(["--access", self.access.name(), "--format", "json"]);
        for code in &self.case.file.allow {
            command.args(["--allow", code]);
        }
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn listen(&self, arguments: &[&str]) -> Heard {
        Heard::spawn(self.command(arguments))
    }

    /// Runs all phases for a stopped application. No trigger is made on the way.
    fn at_once(&self) {
        let mut session = self.session();
        session.run("create schema no_triggers").unwrap();
        let refuse = "begin raise exception 'a trigger is made'; end";
        session.run(&format!("create function no_triggers.refuse() returns event_trigger language plpgsql as $${refuse}$$")).unwrap();
        session
            .run("create event trigger no_triggers on ddl_command_start when tag in ('CREATE TRIGGER') execute function no_triggers.refuse()")
            .unwrap();
        drop(session);
        self.database.wait_alone().unwrap();
        self.run(&["sync", "--offline"]).must(0);
        let mut session = self.session();
        session.run("drop event trigger no_triggers").unwrap();
        session.run("drop schema no_triggers cascade").unwrap();
    }

    fn session(&self) -> Session {
        self.database.connect().unwrap()
    }

    fn value(&self, query: &str) -> String {
        self.session().value(query).unwrap().unwrap_or_default()
    }

    /// Catalog and rows, without the books of crossfade.
    fn everything(&self) -> String {
        let mut session = self.session();
        let mut text = Catalog::read(&mut session).unwrap().all();
        text.push_str(&dump_tables(&mut session, &[]).unwrap());
        text
    }

    /// The catalog is that of the new snapshot alone.
    fn must_be_new(&self, lab: &Lab) {
        let alone = lab.empty().unwrap();
        for script in &self.scripts.install_new {
            alone.run(script, "installing the new snapshot").unwrap();
        }
        let catalog = |database: &Database<'_>| Catalog::read(&mut database.connect().unwrap()).unwrap();
        catalog(&self.database).must_equal(&catalog(&alone), "the catalog after contract").unwrap();
    }
}

fn on_each(test: impl Fn(&Lab)) {
    for major in servers::MAJORS {
        if let Some(lab) = servers::lab(major).unwrap() {
            test(&lab);
        }
    }
}

const PEOPLE: &str = "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 3000) n";
const AGREE: &str = "select count(*) from users where first_name is distinct from split_part(full_name, ' ', 1)";

/// A batch that meets a row of somebody else waits for it with no other row in hand: so no client loses a deadlock against it.
#[test]
fn a_batch_waits_for_one_row_alone() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        field.run(&["expand"]).must(0);
        let (mut holder, mut observer) = (field.session(), field.session());
        holder.run("begin").unwrap();
        holder.run("update users set full_name = full_name where id = 1234").unwrap();
        let mut migrate = field.spawn(&["migrate"]);
        let waits =
            "select min(waitstart)::text from pg_locks join pg_stat_activity using (pid) where application_name like 'crossfade backfill%'";
        let neighbours = "select count(*) from (select from users where id <> 1234 for update nowait) as free";
        // With others in hand it waits 10 ms: many times that would be the lock timeout of other statements.
        let lasts = |since: &str| {
            format!(
                "select (clock_timestamp() - '{since}' > interval '200 ms')::text from ({waits}) as now (since) where since = '{since}'"
            )
        };
        let (mut waits_alone, until) = (false, Instant::now() + Duration::from_secs(60));
        while !waits_alone && Instant::now() < until {
            let Some(since) = observer.value(waits).unwrap() else { continue };
            // Free, or not, while one and the same wait goes on.
            let free = observer.run(neighbours).is_ok();
            let lasts = observer.run(&lasts(&since)).unwrap().rows.first().map(|row| row[0].as_deref() == Some("true"));
            assert!(free || lasts != Some(true), "it waits while it holds other rows");
            waits_alone = free && lasts.is_some();
        }
        let ended = migrate.try_wait().unwrap();
        holder.run("commit").unwrap();
        Ran::of(&migrate.wait_with_output().unwrap()).must(0);
        assert_eq!(ended, None, "it did not wait");
        assert!(waits_alone, "it never waited for that row alone");
        assert_eq!(field.value(AGREE), "0");
    });
}

/// A computed column is the new version's alone once migrate has ended, its NULLs included.
#[test]
fn verify_leaves_the_new_version_its_word() {
    on_each(|lab| {
        let field = Field::new(lab, "lens-extension-function", Access::Shared, "insert into users values (1, 'Ada'), (2, 'Kurt')");
        field.run(&["expand"]).must(0);
        field.run(&["verify"]).must(1).says("users: sound (until migrate has ended): 2 rows disagree");
        field.run(&["migrate"]).must(0);
        let mut client = field.session();
        client.run("update users set sound = null where id = 1").unwrap();
        drop(client);
        field.run(&["verify"]).must(0).says("nothing to compare");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        assert_eq!(field.value("select string_agg(coalesce(sound, '-'), ',' order by id) from users"), "-,K630");
    });
}

/// Rows are compared range by range, each of them once; contract asks by the same ranges.
#[test]
fn rows_are_compared_by_ranges() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        // What fires no trigger reaches one shape only.
        let mut session = field.session();
        session.run("set session_replication_role = replica").unwrap();
        session.run("update users set first_name = 'Eve' where id in (1, 1001, 3000)").unwrap();
        let verified = field.run(&["verify", "--format", "json"]).must(1);
        let found: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
        assert_eq!(found[0]["rows"], 3, "{found}");
        let keys: Vec<&str> = found[0]["examples"].as_array().unwrap().iter().map(|example| example[0].as_str().unwrap()).collect();
        assert_eq!(keys, ["1", "1001", "3000"]);
        let ranges: Vec<serde_json::Value> = verified.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let sum = |what: &str| ranges.iter().filter(|line| line["event"] == "range").map(|line| line[what].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("rows"), sum("disagree")), (3000, 3), "{}", verified.err);
        assert!(ranges.iter().filter(|line| line["event"] == "range").count() > 1, "{}", verified.err);
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("disagree: 3 rows");
        session.run("update users set first_name = 'Ada' where id in (1, 1001, 3000)").unwrap();
        drop(session);
        // The range counts that the gate makes are told, too.
        let contract = field.run(&["contract", "--all-nodes-upgraded", "--format", "json"]).must(0);
        assert!(contract.err.contains(r#""event":"range""#), "{}", contract.err);
        field.must_be_new(lab);
        // A key of two columns, one of them a text.
        let rows = "insert into sellers (name, zip) select 'Ada' || n % 7, n from generate_series(1, 2500) n";
        let field = Field::new(lab, "columns-added", Access::Shared, rows);
        field.run(&["expand"]).must(0);
        field.run(&["verify"]).must(1).says(": 2500 rows disagree");
    });
}

/// A row is named by its own table's key, where another table has a lens of the same words.
#[test]
fn verify_names_a_row_by_its_own_key() {
    on_each(|lab| {
        let rows = "insert into products (id, name, price) values (1, 'Pen', 2); insert into sellers (name, zip) values ('Ada', 4711)";
        let field = Field::new(lab, "columns-added", Access::Shared, rows);
        field.run(&["expand"]).must(0);
        let verified = field.run(&["verify"]).must(1);
        verified.says("products: description (until migrate has ended): 1 rows disagree").says("  (Ada, 4711): {");
    });
}

#[test]
fn all_phases_and_their_turns() {
    on_each(|lab| {
        for access in [Access::Shared, Access::Versioned] {
            let field = Field::new(lab, "split", access, PEOPLE);
            let before = field.everything();
            field.run(&["migrate"]).must(1).says("migrate of v2 can't run before its expand has finished").says("crossfade expand");
            field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("crossfade expand");
            field.run(&["abort"]).must(1).says("there is nothing to abort");
            assert_eq!(before, field.everything(), "a refusal changed something");
            let dry = field.run(&["expand", "--dry-run"]).must(0).says("add column if not exists first_name").out;
            assert!(dry.contains("create or replace trigger"), "{dry}");
            assert_eq!(before, field.everything(), "--dry-run changed something");

            field.run(&["check"]).must(3).says("expand of v2 is due");
            field.run(&["verify"]).must(1).says("run `crossfade expand` first");
            field.run(&["expand"]).must(0).says("expand of v2 is done");
            field.run(&["expand"]).must(0).says("crossfade migrate");
            field.run(&["check"]).must(4).says("migrate of v2 is due");
            field
                .run(&["verify"])
                .must(1)
                .says("users: full_name <-> first_name, last_name: 3000 rows disagree")
                .says("\"full_name\": \"Ada L1\"");
            field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("run `crossfade migrate` first");
            field.run(&["abort"]).must(0);
            assert_eq!(before, field.everything(), "abort did not take everything back");
            field.run(&["abort"]).must(0).says("aborted already");
            field.run(&["expand"]).must(0);
            field.run(&["migrate"]).must(0).says("migrate of v2 is done");
            assert_eq!(field.value(AGREE), "0");
            assert_eq!(field.value("select count(*) from users where last_name is not null"), "3000");
            field.run(&["migrate"]).must(0).says("done already");
            field.run(&["check"]).must(5).says("contract of v2 is due");
            field.run(&["verify"]).must(0).says(": 0 rows disagree");
            let status = field.run(&["status"]).must(0).says("v1 -> v2: migrate (v2_expand01, v2_migrate01)");
            status.says("backfill v2_migrate01.users.first_name+last_name: 3000 rows filled, done");
            let json: serde_json::Value = serde_json::from_str(&field.run(&["status", "--format", "json"]).must(0).out).unwrap();
            assert_eq!((&json["releases"][1]["phase"], &json["backfills"][0]["rows"]), (&"migrate".into(), &3000.into()));
            {
                // A client of the old version keeps contract away.
                let mut client = field.session();
                client.run("set application_name = 'web on node 7'").unwrap();
                let refused = field.run(&["contract"]).must(1).says("--all-nodes-upgraded");
                if access == Access::Versioned {
                    refused.says("may be clients of version v1").says("web on node 7");
                }
                assert_eq!(field.value("select count(*) from crossfade.journal where step like 'contract%'"), "0");
            }
            field.run(&["contract", "--all-nodes-upgraded"]).must(0);
            field.run(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
            field.run(&["check"]).must(0).says("up to date: version v2");
            field.run(&["verify"]).must(1).says("only one shape");
            field.run(&["expand"]).must(1).says("contracted already");
            field.run(&["abort"]).must(1).says("contract has begun");
            assert_eq!(field.value("select phase || ' ' || revision from crossfade.version"), "contract v2_contract01");
            assert_eq!(
                field.value(
                    "select count(*) from crossfade.journal where hash is not null and finished_at is null and step not like 'script %'"
                ),
                "0"
            );
            field.must_be_new(lab);
        }
    });
}

#[test]
fn from_the_folder_of_scripts() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Versioned, PEOPLE);
        let folder = tempfile::tempdir().unwrap();
        let crossfade = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
                .args(arguments)
                .current_dir(folder.path())
                .env("CROSSFADE_URL", url(&field.database))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            Ran::of(&output)
        };
        crossfade(&["expand"]).must(1).says("run `crossfade compile` first");
        let snapshot = |name: &str| field.case.folder.join(name).display().to_string();
        let (old, new) = (snapshot("old.yaml"), snapshot("new.yaml"));
        crossfade(&["compile", "empty", &old]).must(0);
        crossfade(&["compile", &old, &new, "--access", "versioned"]).must(0);
        crossfade(&["expand"]).must(0).says("expand of v2 is done");

        // What is run later must be what expand ran.
        let script = folder.path().join("migrations/v2/postgres/contract.sql");
        let text = std::fs::read_to_string(&script).unwrap();
        std::fs::write(&script, text.clone() + "-- another line\n").unwrap();
        let before = field.everything();
        crossfade(&["migrate"]).must(1).says("contract.sql differ");
        assert_eq!(before, field.everything());
        std::fs::write(&script, text).unwrap();

        crossfade(&["migrate"]).must(0).says("3000 rows filled");
        crossfade(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
        crossfade(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
    });
}

#[test]
fn a_lock_is_tried_again_and_who_holds_it_is_named() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        let mut reader = field.session();
        reader.run("set application_name = 'the report'").unwrap();
        reader.run("begin").unwrap();
        reader.run("select count(*) from users").unwrap();
        let ran = field.run(&["expand", "--patience", "1"]).must(1);
        let ran = ran.says("met a lock").says("the report").says("select count(*) from users").says("run `crossfade expand` again");
        assert!(ran.err.contains("try 2"), "{}", ran.err);
        // And it goes on by itself once they are through.
        let child = field.spawn(&["expand"]);
        let met = Instant::now() + Duration::from_secs(60);
        while field.value("select count(*) from crossfade.journal where error like '55P03%'") == "0" {
            assert!(Instant::now() < met, "it met no lock");
            std::thread::sleep(Duration::from_millis(20));
        }
        reader.run("commit").unwrap();
        Ran::of(&child.wait_with_output().unwrap()).must(0);
        assert_ne!(field.value("select max(attempts) from crossfade.journal"), "1");
    });
}

#[test]
fn clients_share_a_lock_with_the_runner() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        let mut setup = field.session();
        setup.run("do $$ begin create role app login; exception when duplicate_object then null; end $$").unwrap();
        setup.run("grant update (revision) on crossfade.version to app").unwrap();
        let app = || {
            let mut session = Session::connect(&Address { user: "app".into(), ..field.database.address() }).unwrap();
            session.run("set application_name = 'the shop'").unwrap();
            session
        };
        let (mut client, mut other) = (app(), app());
        let failure = client.run("update crossfade.version set revision = 'x'").unwrap_err();
        assert_eq!(failure.code.as_deref(), Some("55000"), "{failure}");
        other.run("set lock_timeout = '1ms'").unwrap();
        let held = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                    where application_name like 'crossfade contract%' and wait_event_type = 'Lock' and l.relation = 'crossfade.revision'::regclass";
        let lock = SchemaLock {
            command: &|arguments| field.command(arguments),
            share: "select phase from crossfade.version for share",
            named: &["held by session", "the shop", "for share"],
            turn: &|| std::thread::sleep(Duration::from_millis(5)),
            waits: &|| field.value(held) != "0",
        };
        lock.is_kept(&mut client, &mut other, &mut field.session());
        field.must_be_new(lab);
    });
}

#[test]
fn one_runner_at_a_time() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        let mut reader = field.session();
        reader.run("begin").unwrap();
        reader.run("select count(*) from users").unwrap();
        let first = field.spawn(&["expand"]);
        let until = Instant::now() + Duration::from_secs(60);
        while field.value("select count(*) from pg_locks where locktype = 'advisory'") == "0" {
            assert!(Instant::now() < until, "the first runner did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        field.run(&["expand"]).must(1).says("another runner is at work").says("crossfade expand v2").says("user postgres");
        let mut waiting = field.listen(&["expand", "--wait", "60"]);
        waiting.wait_for("waiting for another runner");
        reader.run("commit").unwrap();
        Ran::of(&first.wait_with_output().unwrap()).must(0);
        waiting.end().must(0);
    });
}

#[test]
fn a_lost_connection_and_the_script_by_hand_go_on() {
    on_each(|lab| {
        for access in [Access::Shared, Access::Versioned] {
            let field = Field::new(
                lab,
                "rename-table-and-split",
                access,
                "insert into users (id, email, full_name) select n, 'u' || n, 'Ada L' || n from generate_series(1, 2000) n",
            );
            // The script's statements up to any of them, then the runner.
            let half = |phase: Phase| {
                let statements = split(field.scripts.of(phase));
                let mut session = field.session();
                support::lab::run(&mut session, &statements[..statements.len() * 2 / 3]).unwrap_or_else(|stopped| panic!("{stopped}"));
            };
            half(Phase::Expand);
            field.run(&["expand"]).must(0);
            half(Phase::Migrate);
            field.run(&["migrate"]).must(0);
            // The runner's session is ended in the middle, then the script by hand.
            let mut reader = field.session();
            reader.run("begin").unwrap();
            reader.run("select count(*) from users").unwrap();
            let child = field.spawn(&["contract", "--all-nodes-upgraded"]);
            let until = Instant::now() + Duration::from_secs(60);
            while field.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'crossfade contract%' and wait_event_type = 'Lock'") == "0" {
                assert!(Instant::now() < until, "it met no lock");
            }
            Ran::of(&child.wait_with_output().unwrap())
                .must(1)
                .says("connection to the server was lost")
                .says("run `crossfade contract` again");
            reader.run("commit").unwrap();
            field.database.run(field.scripts.of(Phase::Contract), "contract").unwrap();
            field.run(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
            field.must_be_new(lab);
        }
    });
}

/// Every case: the runner ends where the scripts end, and what it reads from a manifest is what the plan holds.
#[test]
fn every_case() {
    let mut cases = Vec::new();
    for case in Case::every() {
        let case = case.unwrap();
        if case.file.dialects.contains(&Dialect::Postgres) {
            let case = case.in_dialect(Dialect::Postgres).unwrap();
            let access: Vec<Access> = case.file.access.iter().copied().filter(|access| !case.file.refused.contains_key(access)).collect();
            // One access of each case, on one of its servers.
            if let Some(access) = access.get(cases.len() / 2 % access.len().max(1)) {
                cases.push((case, *access));
            }
        }
    }
    assert!(cases.len() > 60);
    let mut labs: Vec<(String, Lab)> = Vec::new();
    for major in servers::MAJORS {
        labs.extend(servers::lab(major).unwrap().map(|lab| (format!("postgres{major}"), lab)));
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((number, (case, access))) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(number).map(|one| (number, one))
                } {
                    let mine: Vec<&Lab> = labs.iter().filter(|(name, _)| case.runs_on(name)).map(|(_, lab)| lab).collect();
                    if let Some(lab) = mine.get(number % mine.len().max(1)) {
                        // Two runs don't make the same random values.
                        let offline = (number % 3 == 0 || case.name.starts_with("mirror")) && case.name != "volatile-default";
                        one_case(lab, case.clone(), *access, offline);
                    }
                }
            });
        }
    });
}

fn one_case(lab: &Lab, case: Case, access: Access, offline: bool) {
    let seed = case.file.seed.clone();
    let field = Field::of(lab, case, access, &seed);
    let name = &field.case.name;
    let before = field.everything();
    let early = field.case.file.abort_keeps.is_empty();
    field.database.wait_alone().unwrap();
    let offline = offline.then(|| Field {
        database: field.database.copy().unwrap(),
        case: field.case.clone(),
        access,
        scripts: field.scripts.clone(),
    });
    field.run(&["expand"]).must(0);
    if early {
        field.run(&["abort"]).must(0);
        support::text::same(&format!("{name}: abort"), &before, &field.everything()).unwrap();
        field.run(&["expand"]).must(0);
    }
    field.run(&["migrate", "--workers", "2", "--batch-time", "1"]).must(0);
    let ran = field.run(&["contract", "--all-nodes-upgraded"]);
    assert_eq!(ran.code, 0, "{name}: {}{}", ran.out, ran.err);
    field.must_be_new(lab);
    if let Some(offline) = offline {
        offline.at_once();
        support::text::same(&format!("{name}: all at once"), &field.everything(), &offline.everything()).unwrap();
    }

    let plan = field.planned();
    let manifest: serde_json::Value = serde_yaml::from_str(&field.scripts.manifest).unwrap();
    for part in ["backfills", "checks", "namespace"] {
        assert_eq!(plan[0][part], manifest["dialects"][0][part], "{name}: {part}");
    }
}

/// A table whose third row can't be filled: `code` is to be a number.
const CODES: (&str, &str) = (
    "version: v1\ntables:\n  items:\n    columns:\n      id: bigint not null\n      code: text\n    primary_key: [id]\n",
    "version: v2\ntables:\n  items:\n    columns:\n      id: bigint not null\n      number: integer\n    primary_key: [id]\ntransition:\n  from: v1\n  tables:\n    items:\n      columns:\n        number: {up: \"code::integer\"}\n        code: {down: \"number::text\"}\n",
);

fn codes(lab: &Lab, seed: &str) -> (tempfile::TempDir, Case) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), CODES.0).unwrap();
    std::fs::write(folder.path().join("new.yaml"), CODES.1).unwrap();
    std::fs::write(folder.path().join("case.yaml"), format!("about: numbers in texts\naccess: [shared]\nseed: {seed}\n")).unwrap();
    let case = Case::read(folder.path()).unwrap();
    let _ = lab;
    (folder, case)
}

#[test]
fn rows_that_fail_are_named_or_set_aside() {
    on_each(|lab| {
        let (_folder, case) =
            codes(lab, "insert into items select n, case when n % 400 = 3 then 'three' else n::text end from generate_series(1, 1000) n");
        let seed = case.file.seed.clone();
        let field = Field::of(lab, case, Access::Shared, &seed);
        field.run(&["expand"]).must(0);
        let ran = field.run(&["migrate"]).must(1).says("public.items: the row with id = 3 can't be filled").says("22P02");
        let ran = ran.says("{\"code\": \"three\"}").says("(code::integer)::integer").says("--skip-failing");
        assert!(!ran.err.contains("unexpected"), "{}", ran.err);
        // Two are allowed, and there are three.
        field
            .run(&["migrate", "--skip-failing", "2"])
            .must(1)
            .says("set aside: public.items: the row with id = 403")
            .says("id = 803")
            .says("2 rows are set aside already");
        field.run(&["migrate", "--skip-failing", "3"]).must(0);
        assert_eq!(field.value("select count(*) from items where number is null"), "3");
        assert_eq!(field.value("select string_agg(row_key[1], ' ' order by row_key[1]::int) from crossfade.failing_row"), "3 403 803");
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("3 rows could not be filled").says("crossfade migrate");
        field.run(&["migrate"]).must(1).says("rows that are set aside: 3");
        field.session().run("update items set code = '33' where code = 'three'").unwrap();
        field.run(&["migrate"]).must(0).says("no longer set aside: public.items id = 403");
        assert_eq!(field.value("select count(*) from items where number is null"), "0");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
    });
}

#[test]
fn batches_stop_and_go_on() {
    on_each(|lab| {
        let field = Field::new(
            lab,
            "split",
            Access::Shared,
            "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 60000) n; analyze users",
        );
        field.run(&["expand"]).must(0);
        let filled = "select count(*) from users where first_name is not null";
        field.run(&["migrate", "--max-batches", "2"]).must(6).says("crossfade migrate");
        let first: u64 = field.value(filled).parse().unwrap();
        assert!(first > 1000 && first < 60000, "{first}");
        assert_eq!(field.value("select rows from crossfade.checkpoint where part = 0"), first.to_string());
        // With workers the rest is divided.
        let json = field.run(&["migrate", "--workers", "3", "--max-batches", "4", "--format", "json"]).must(6);
        let events: Vec<serde_json::Value> = json.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.iter().filter(|event| event["event"] == "batch").count(), 4, "{}", json.err);
        assert_ne!(field.value("select count(*) from crossfade.checkpoint where part > 0"), "0");

        // A file pauses it, and Ctrl-C stops it in good order.
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = field.listen(&["migrate", "--workers", "2", "--pause-file", &file.path().display().to_string()]);
        child.wait_for("paused while");
        let paused = field.value(filled);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        child.end().must(6);
        assert_eq!(field.value(filled), paused);
        drop(file);

        // Rows that come meanwhile are the trigger's; the script by hand finishes what the workers began.
        field.session().run("insert into users (id, full_name) values (0, 'Bo Ek'), (70000, 'Bo Ek')").unwrap();
        field.database.run(field.scripts.of(Phase::Migrate), "migrate").unwrap();
        assert_eq!(field.value(filled), "60002");
        assert_eq!(field.value(AGREE), "0");
        field.run(&["migrate"]).must(0).says("done already");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
    });
}

#[test]
fn workers_beside_writers_and_locked_rows() {
    on_each(|lab| {
        let field = Field::new(
            lab,
            "split",
            Access::Shared,
            "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 60000) n; analyze users",
        );
        field.run(&["expand"]).must(0);
        let mut holder = field.session();
        holder.run("begin").unwrap();
        holder.run("select * from users where id = 30000 for update").unwrap();
        let child = field.spawn(&["migrate", "--workers", "4"]);
        let until = Instant::now() + Duration::from_secs(60);
        let mut writer = field.session();
        let mut key = 0;
        while field.value("select count(*) from users where first_name is not null").parse::<u64>().unwrap() < 50_000 {
            assert!(Instant::now() < until, "the batches stand still behind one row");
            key += 1;
            writer.run(&format!("update users set full_name = 'Cy M{key}' where id = {}", key * 7919 % 60000 + 1)).unwrap();
        }
        holder.run("update users set full_name = 'Held Back' where id = 30000").unwrap();
        holder.run("commit").unwrap();
        Ran::of(&child.wait_with_output().unwrap()).must(0);
        assert_eq!(field.value(AGREE), "0");
        assert_eq!(field.value("select first_name from users where id = 30000"), "Held");
        assert_eq!(
            field.value("select count(*) from users where full_name like 'Cy%'"),
            field.value("select count(*) from users where first_name = 'Cy'")
        );
    });
}

/// Contract asks nobody when each session that is connected can be shown to be of the new version.
#[test]
fn clients_of_the_new_version_let_contract_pass() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Versioned, PEOPLE);
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        // What the runner itself and this test still have open would count as old clients.
        field.database.wait_alone().unwrap();
        let mut client = field.session();
        client.run("set application_name = 'web/v2'").unwrap();
        field.run(&["contract"]).must(0);
        field.must_be_new(lab);
    });
}

/// Whoever writes as the drained version is told so; it reads on, the other version writes on, and nothing is left of it.
#[test]
fn a_drained_version_can_only_read() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Versioned, PEOPLE);
        field.run(&["expand"]).must(0);
        field.run(&["drain", "v1"]).must(1).says("two versions write from the end of migrate");
        field.run(&["migrate"]).must(0);
        field.run(&["drain", "v9"]).must(1).says("it is about v1 and v2");
        let left =
            "select (select count(*) from pg_trigger where tgname like '%drain%') + (select count(*) from pg_proc where proname = 'drain')";
        let (mut old, mut new) = (field.session(), field.session());
        new.run("set search_path = public_v2, public").unwrap();
        // Writers of both versions are at work all the time; each counts what was refused, and nothing else may go wrong.
        let (stop, refusals) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
        std::thread::scope(|scope| {
            for (number, path) in ["public", "public_v2, public"].into_iter().enumerate() {
                let (mut client, stop, refused) = (field.session(), &stop, &refusals[number]);
                scope.spawn(move || {
                    client.run(&format!("set search_path = {path}")).unwrap();
                    let column = ["full_name", "first_name"][number];
                    for turn in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let (id, key) = (turn % 3000 + 1, 10_000 + number * 1_000_000 + turn);
                        let writes = [
                            format!("update users set {column} = 'w{turn}' where id = {id}"),
                            format!("insert into users (id, {column}) values ({key}, 'x')"),
                            format!("delete from users where id = {key}"),
                        ];
                        for write in writes {
                            if let Err(failure) = client.run(&write) {
                                assert_eq!(failure.code.as_deref(), Some("55000"), "{write}: {failure}");
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
            let bell = Bell(&stop);
            field.run(&["drain", "v1"]).must(0).says("writes of version v1 are refused");
            for write in [
                "insert into users (id, full_name) values (9001, 'x')",
                "update users set full_name = 'x' where id = 7",
                "delete from users where id = 8",
                "truncate users",
            ] {
                let failure = old.run(write).unwrap_err();
                assert_eq!(failure.message, "writes of version v1 are refused: it is drained (crossfade drain v1 --undo)", "{write}");
                assert!(failure.hint.unwrap().contains("`crossfade drain v1 --undo` lets version v1 write again"), "{write}");
            }
            old.run("select * from users where id = 7 for update").unwrap();
            new.run("insert into users (id, first_name, last_name) values (9002, 'Grace', 'Hopper')").unwrap();
            new.run("update users set first_name = 'Ada' where id = 9002").unwrap();
            assert_eq!(old.value("select full_name from users where id = 9002").unwrap().as_deref(), Some("Ada Hopper"));
            new.run("delete from users where id = 9002").unwrap();
            field.run(&["status"]).must(0).says("drained: writes of version v1 are refused");
            field.run(&["drain", "v1"]).must(0).says("drained already");
            field.run(&["drain", "v2"]).must(1).says("nobody could write any more");
            // The script by hand would leave the guards behind.
            let by_hand = field.database.run(&field.scripts.contract, "contract by hand").unwrap_err();
            assert!(by_hand.to_string().contains("while a version is drained"), "{by_hand}");
            field.run(&["drain", "v1", "--undo"]).must(0).says("version v1 may write again");
            assert_eq!(field.value(left), "0");
            old.run("update users set full_name = 'Ada L7' where id = 7").unwrap();
            field.run(&["drain", "v1", "--undo"]).must(0).says("is not drained");
            assert!(refusals[0].load(Ordering::Relaxed) > 0, "no writer of v1 was refused");
            assert_eq!(refusals[1].load(Ordering::Relaxed), 0, "writers of v2 were refused");
            // The other way round.
            field.run(&["drain", "v2"]).must(0);
            assert!(new.run("update users set first_name = 'x' where id = 7").unwrap_err().message.contains("version v2 are refused"));
            old.run("update users set full_name = 'Ada L7' where id = 7").unwrap();
            field.run(&["drain", "v2", "--undo"]).must(0);
            drop(bell);
        });
        // A lock that is held makes it wait, not fail; and what is half done is taken back.
        old.run("begin").unwrap();
        old.run("update users set full_name = 'Ada L7' where id = 7").unwrap();
        field.run(&["drain", "v1", "--patience", "0"]).must(1).says("met a lock");
        field.run(&["status"]).must(0).says("begun, not finished: drain v1");
        old.run("update users set full_name = 'Ada L7' where id = 8").unwrap();
        old.run("commit").unwrap();
        field.run(&["drain", "v1"]).must(0);
        old.run("update users set full_name = 'Ada L7' where id = 7").unwrap_err();
        drop((old, new));
        // Abort takes it away, and so does contract.
        let second = Field::new(lab, "split", Access::Versioned, PEOPLE);
        for (field, last) in [(&field, &["contract", "--all-nodes-upgraded"] as &[&str]), (&second, &["abort"])] {
            if last == ["abort"] {
                field.run(&["expand"]).must(0);
                field.run(&["migrate"]).must(0);
                field.run(&["drain", "v1"]).must(0);
            } else {
                // A gate that is shut leaves the drain as it is. (Triggers don't see what a replica writes.)
                let mut replica = field.session();
                replica.run("set session_replication_role = replica").unwrap();
                let name = replica.value("select first_name from users where id = 9").unwrap().unwrap();
                replica.run("update users set first_name = first_name || '!' where id = 9").unwrap();
                field.run(last).must(1).says("disagree");
                field.run(&["status"]).must(0).says("drained: writes of version v1 are refused");
                assert!(field.session().run("update users set full_name = 'x' where id = 7").unwrap_err().message.contains("drained"));
                replica.run(&format!("update users set first_name = '{name}' where id = 9")).unwrap();
            }
            field.run(last).must(0);
            assert_eq!(field.value(left), "0", "after {last:?}");
            assert_eq!(field.value("select count(*) from crossfade.journal where step like 'drain%'"), "0", "after {last:?}");
        }
        field.must_be_new(lab);
        // Where rows stand in two tables, what the other version's triggers write passes the guards of both.
        let mirror = Field::new(lab, "mirror-extract", Access::Versioned, "insert into users (id, name, bio) values (1, 'Ana', 'writes')");
        mirror.run(&["expand"]).must(0);
        mirror.run(&["migrate"]).must(0);
        mirror.run(&["drain", "v1"]).must(0);
        let (mut old, mut new) = (mirror.session(), mirror.session());
        new.run("set search_path = public_v2, public").unwrap();
        for write in
            ["insert into users (id, name) values (7, 'x')", "update users set bio = 'x' where id = 1", "delete from users where id = 1"]
        {
            assert!(old.run(write).unwrap_err().message.contains("it is drained"), "{write}");
        }
        let table = mirror.value("select coalesce(to_regclass('public.profiles'), to_regclass('crossfade.profiles'))::text");
        assert!(old.run(&format!("update {table} set bio = 'x'")).unwrap_err().message.contains("it is drained"), "{table}");
        new.run("update profiles set bio = 'reads' where user_id = 1").unwrap();
        new.run("insert into users (id, name) values (2, 'Ina')").unwrap();
        new.run("insert into profiles (user_id, bio) values (2, 'knits')").unwrap();
        new.run("delete from users where id = 2").unwrap();
        assert_eq!(old.value("select string_agg(id || bio, ',') from users").unwrap().as_deref(), Some("1reads"));
        drop((old, new));
        mirror.run(&["contract", "--all-nodes-upgraded"]).must(0);
        mirror.must_be_new(lab);
        let shared = Field::new(lab, "split", Access::Shared, PEOPLE);
        shared.run(&["expand"]).must(0);
        shared.run(&["migrate"]).must(0);
        shared.run(&["drain", "v1"]).must(1).says("in shared access both versions write to the same names");
    });
}

/// An owner of tables who is no superuser is not told what other roles' sessions are; that they are there counts.
#[test]
fn who_sees_less_counts_all_sessions() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Versioned, PEOPLE);
        let name = field.value("select current_database()");
        let mut session = field.session();
        session.run("create role keeper login").unwrap();
        session.run(&format!("alter database {name} owner to keeper")).unwrap();
        session.run("alter schema public owner to keeper").unwrap();
        session.run("alter table users owner to keeper").unwrap();
        session.run("drop schema crossfade cascade").unwrap();
        let keeper = url(&field.database).replace("postgres://postgres@", "postgres://keeper@");
        field.run_at(&keeper, &["expand", "--access", "versioned"]).must(0);
        field.run_at(&keeper, &["migrate", "--access", "versioned"]).must(0);
        session.run("set application_name = 'a client that says nothing'").unwrap();
        field.run_at(&keeper, &["contract", "--access", "versioned"]).must(1).says("a client that says nothing");
        drop(session);
        field.database.wait_alone().unwrap();
        field.run_at(&keeper, &["contract", "--access", "versioned"]).must(0);
        let mut session = field.session();
        session.run("reassign owned by keeper to postgres").unwrap();
        session.run("drop owned by keeper").unwrap();
        session.run("drop role keeper").unwrap();
    });
}

/// A stopped application needs no phases by hand, and one that is not stopped is named.
#[test]
fn all_at_once_for_a_stopped_application() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        field.run(&["sync"]).must(2).says("--offline");
        let before = field.everything();
        field.database.wait_alone().unwrap();
        let mut client = field.session();
        client.run("set application_name = 'not stopped yet'").unwrap();
        field.run(&["sync", "--offline"]).must(1).says("1 sessions are connected").says("not stopped yet");
        drop(client);
        field.database.wait_alone().unwrap();
        assert_eq!(before, field.everything(), "a refusal changed something");
        field.database.wait_alone().unwrap();
        field.run(&["sync", "--offline", "--workers", "2"]).must(0).says("the database is at version v2");
        field.must_be_new(lab);
        field.database.wait_alone().unwrap();
        field.run(&["sync", "--offline"]).must(0).says("the database is at version v2");
        assert_eq!(field.value("select count(*) from users where first_name = 'Ada'"), "3000");
    });
}

/// One that was cut off has no triggers: nothing goes on beside clients.
#[test]
fn half_of_it_is_for_a_stopped_application_too() {
    on_each(|lab| {
        let (_folder, case) = codes(lab, "insert into items values (1, '1'), (2, 'two')");
        let seed = case.file.seed.clone();
        let field = Field::of(lab, case, Access::Shared, &seed);
        let before = field.everything();
        field.database.wait_alone().unwrap();
        field.run(&["sync", "--offline"]).must(1).says("the row with id = 2 can't be filled");
        assert_eq!(field.value("select count(*) from pg_trigger where tgname like 'zz_crossfade%'"), "0");
        for phase in ["expand", "migrate"] {
            field.run(&[phase]).must(1).says("was begun by `crossfade sync --offline`").says("crossfade abort");
        }
        field.run(&["abort"]).must(0);
        support::text::same("abort", &before, &field.everything()).unwrap();
        // Begun beside clients, it keeps its triggers to the end.
        field.run(&["expand"]).must(0);
        assert_eq!(field.value("select count(*) from pg_trigger where tgname like 'zz_crossfade%'"), "2");
        field.run(&["migrate"]).must(1).says("can't be filled");
        field.session().run("update items set code = '2' where id = 2").unwrap();
        field.database.wait_alone().unwrap();
        field.run(&["sync", "--offline"]).must(0);
        field.must_be_new(lab);
    });
}

/// No batch begins while nobody knows how far a replica is behind, nor while it is too far.
#[test]
fn batches_wait_for_replicas() {
    let Some(lab) = servers::lab_with(15, &["wal_level=replica", "max_wal_senders=4"]).unwrap() else { return };
    let folders =
        [Some(servers::installation(15).unwrap().unwrap().programs), lab.psql().and_then(|psql| psql.parent().map(Path::to_owned))];
    let receiver = folders.into_iter().flatten().map(|folder| folder.join("pg_receivewal")).find(|program| program.is_file());
    let receiver = receiver.expect("pg_receivewal comes with PostgreSQL's own programs: run scripts/setup-servers.sh");
    let field = Field::new(&lab, "split", Access::Shared, PEOPLE);
    field.run(&["expand"]).must(0);
    let filled = "select count(*) from users where first_name is not null";
    let mut child = field.listen(&["migrate", "--max-lag", "2", "--format", "json"]);
    child.wait_for("it is not known how far replicas are behind");
    assert_eq!(field.value(filled), "0", "a batch began without a replica");
    let folder = tempfile::tempdir().unwrap();
    let address = field.database.address();
    let mut replica = Command::new(receiver)
        .args([
            "-h",
            &address.socket_folder.display().to_string(),
            "-p",
            &address.port.to_string(),
            "-U",
            &address.user,
            "--synchronous",
            "-D",
        ])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.end().must(0).says("goes_on");
    assert_eq!(field.value(filled), "3000");
    field.run(&["abort"]).must(0);
    field.run(&["expand"]).must(0);
    // It stands still, and is further behind with each second.
    let signal = |name: &str| assert!(Command::new("kill").args([name, &replica.id().to_string()]).status().unwrap().success());
    signal("-STOP");
    field.session().run("update users set age = 1").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let mut child = field.listen(&["migrate", "--max-lag", "1", "--format", "json"]);
    child.wait_for("s behind, which is more than 1 s");
    assert_eq!(field.value(filled), "0", "a batch began before the replica was there");
    signal("-CONT");
    child.end().must(0).says("a replica is ");
    replica.kill().unwrap();
    replica.wait().unwrap();
}

/// No batch begins while others have the server at work, or while a role may not see whether they have.
#[test]
fn batches_wait_while_others_are_at_work() {
    let Some(lab) = servers::lab(15).unwrap() else { return };
    let field = Field::new(&lab, "split", Access::Shared, PEOPLE);
    let filled = "select count(*) from users where first_name is not null";
    field.run(&["expand"]).must(0);
    std::thread::scope(|scope| {
        let mut busy = field.session();
        let id = busy.value("select pg_backend_pid()").unwrap().unwrap();
        scope.spawn(move || busy.run("select pg_sleep(60)"));
        let mut run = field.listen(&["migrate", "--max-load", "0", "--workers", "2", "--format", "json"]);
        run.wait_for("1 sessions of others are at work, which is more than 0");
        assert_eq!(field.value(filled), "0", "a batch began beside a session at work");
        field.value(&format!("select pg_terminate_backend({id})"));
        run.end().must(0).says("goes_on");
    });
    assert_eq!(field.value(filled), "3000");
    field.run(&["abort"]).must(0);
    let mut session = field.session();
    let name = field.value("select current_database()");
    session.run("create role blind login").unwrap();
    for owned in [&format!("database {name}"), "schema public", "table users", "schema crossfade"] {
        session.run(&format!("alter {owned} owner to blind")).unwrap();
    }
    session.run("drop schema crossfade cascade").unwrap();
    let blind = url(&field.database).replace("postgres://postgres@", "postgres://blind@");
    field.run_at(&blind, &["expand"]).must(0);
    let mut run = Heard::spawn(field.command_at(&blind, &["migrate", "--max-load", "9", "--format", "json"]));
    run.wait_for("it is not known how many sessions are at work");
    assert_eq!(field.value(filled), "0", "a batch began, and nobody knew how many are at work");
    session.run("grant pg_read_all_stats to blind").unwrap();
    run.end().must(0);
    assert_eq!(field.value(filled), "3000");
}

/// Who may not use the schema of the old version's tables is no client of it, and keeps contract from nothing.
#[test]
fn a_role_that_cannot_name_the_tables_is_no_old_client() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Versioned, PEOPLE);
        let mut session = field.session();
        for role in ["outside", "inside", "indirect"] {
            session.run(&format!("create role {role} login noinherit")).unwrap();
            session.run(&format!("grant select, insert, update, delete on users to {role}")).unwrap();
        }
        session.run("grant inside to indirect").unwrap();
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        session.run("revoke usage on schema public from public").unwrap();
        session.run("grant usage on schema public to inside").unwrap();
        session.run("grant usage on schema public_v2 to outside").unwrap();
        drop(session);
        field.database.wait_alone().unwrap();
        // Those of the runner itself don't count.
        let mut session = field.session();
        session.run("set application_name = 'crossfade test'").unwrap();
        let client = |role: &str| Session::connect(&Address { user: role.to_owned(), ..field.database.address() }).unwrap();
        let mut outside = client("outside");
        assert_eq!(outside.run("update public.users set full_name = 'x' where id = 1").unwrap_err().code.as_deref(), Some("42501"));
        outside.run("set search_path = public_v2").unwrap();
        outside.run("update users set first_name = 'Grace' where id = 1").unwrap();
        for role in ["inside", "indirect"] {
            let old = client(role);
            field.run(&["contract"]).must(1).says("1 sessions may be clients of version v1").says(&format!("user {role}"));
            drop(old);
            let gone = format!("select (count(*) = 0)::text from pg_stat_activity where usename = '{role}'");
            let until = Instant::now() + Duration::from_secs(10);
            while session.value(&gone).unwrap().as_deref() != Some("true") && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        field.run(&["contract"]).must(0);
        outside.run("update users set first_name = 'Ada' where id = 1").unwrap();
        assert_eq!(session.value("select count(*) from pg_attribute where attname = 'full_name'").unwrap().as_deref(), Some("0"));
    });
}

/// What needs a server with settings of its own, or more than one thing at a time.
#[test]
fn the_doctor_knows_what_servers_do_by_themselves() {
    for major in servers::MAJORS {
        let settings = [
            "wal_level=logical",
            "max_wal_senders=4",
            "max_prepared_transactions=2",
            "autovacuum=on",
            "autovacuum_naptime=1",
            "autovacuum_vacuum_cost_delay=100",
            "autovacuum_vacuum_cost_limit=1",
        ];
        let Some(lab) = servers::lab_with(major, &settings).unwrap() else { continue };
        let field = Field::new(&lab, "split", Access::Shared, PEOPLE);
        let mut session = field.session();
        let mut find = |what: &str, make: &[&str], words: &str, clean: &[&str]| {
            for statement in make {
                session.run(statement).unwrap_or_else(|failure| panic!("{what}: {statement}: {failure}"));
            }
            let until = Instant::now() + Duration::from_secs(60);
            loop {
                let ran = field.run(&["doctor"]);
                if ran.out.contains(words) {
                    break;
                }
                assert!(Instant::now() < until, "{what}: `{words}` is not in {}{}", ran.out, ran.err);
                std::thread::sleep(Duration::from_millis(50));
            }
            for statement in clean {
                session.run(statement).unwrap_or_else(|failure| panic!("{what}: {statement}: {failure}"));
            }
        };
        find(
            "slot",
            &["select pg_create_physical_replication_slot('left_behind')"],
            "warning[slot]: replication slot left_behind",
            &["select pg_drop_replication_slot('left_behind')"],
        );
        find(
            "prepared transaction",
            &["begin", "insert into users (id) values (99999)", "prepare transaction 'left'"],
            "warning[prepared-transaction]: prepared transaction 'left'",
            &["rollback prepared 'left'"],
        );
        let address = field.database.address();
        let source = format!(
            "create subscription applier connection 'host={} port={} dbname={} user={}' publication p with (create_slot = false, slot_name = 'applier', copy_data = false)",
            address.socket_folder.display(),
            address.port,
            address.database,
            address.user
        );
        find(
            "subscription",
            &["create publication p", "select pg_create_logical_replication_slot('applier', 'pgoutput')", &source],
            "warning[subscription]: subscription applier",
            &[
                "alter subscription applier disable",
                "alter subscription applier set (slot_name = none)",
                "drop subscription applier",
                "drop publication p",
            ],
        );
        // A hundred thousand transactions later a table whose limit is that low is due.
        find(
            "wraparound",
            &[
                "alter table users set (autovacuum_freeze_max_age = 100000)",
                "do $$ begin for n in 1..100500 loop perform txid_current(); commit; end loop; end $$",
            ],
            "warning[wraparound]: autovacuum of session",
            &[],
        );
        // No older server is at hand: the question is asked with a limit that this one does not reach.
        let question = include_str!("../src/run/postgres/doctor.sql").replace("150000", "990000");
        let rows = field.session().run(&question.replace("$1", "60")).unwrap().rows;
        assert!(rows.iter().any(|row| row[1].as_deref() == Some("server-version")), "{rows:?}");
        let rows = field.session().run(&include_str!("../src/run/postgres/doctor.sql").replace("$1", "60")).unwrap().rows;
        assert!(rows.iter().all(|row| row[1].as_deref() != Some("server-version")), "{rows:?}");
    }
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

/// The runner is killed at random points, more than fifty times, while the old version writes: the next run goes on, nothing is lost,
/// and the end is the same. `CROSSFADE_SEED` repeats a run.
#[test]
fn killed_fifty_times() {
    let seed =
        std::env::var("CROSSFADE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    eprintln!("CROSSFADE_SEED={seed}");
    let mut dice = Dice(seed);
    let rounds = [10, 10];
    for (major, rounds) in servers::MAJORS.into_iter().zip(rounds) {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let people = "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 20000) n; analyze users";
        let mut times = [Duration::ZERO; 3];
        let (mut killed, mut after) = (0, 0);
        let template = Field::new(&lab, "split", Access::Shared, people);
        for round in 0..=rounds {
            let field = Field {
                database: template.database.copy().unwrap(),
                case: template.case.clone(),
                access: if round % 2 == 0 { Access::Shared } else { Access::Versioned },
                scripts: compile(&template.case, if round % 2 == 0 { Access::Shared } else { Access::Versioned }).unwrap(),
            };
            let done = AtomicBool::new(false);
            let tokens = std::thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    let mut session = field.session();
                    let mut tokens = 0;
                    while !done.load(Ordering::Relaxed) {
                        tokens += 1;
                        session.run(&format!("insert into users (id, full_name) values (100000 + {tokens}, 'Tok {tokens}')")).unwrap();
                        session
                            .run(&format!("update users set full_name = 'Bo C{tokens}' where id = {}", tokens * 7919 % 20000 + 1))
                            .unwrap();
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
                        "migrate" => &["migrate", "--workers", "2", "--batch-time", "5", "--wait", "30"],
                        "contract" => &["contract", "--all-nodes-upgraded", "--wait", "30"],
                        _ => &["expand", "--wait", "30"],
                    };
                    let begun = Instant::now();
                    // The first round is undisturbed: it says how long each phase takes.
                    if round == 0 {
                        field.run(arguments).must(0);
                        times[index] = begun.elapsed();
                        continue;
                    }
                    let mut child = field.spawn(arguments);
                    let point = times[index].mul_f64(dice.roll(850) as f64 / 1000.0);
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
                    "select count(*) from users where id > 100000 and (first_name, last_name) is distinct from ('Tok', (id - 100000)::text)"
                ),
                "0"
            );
            assert_eq!(field.value("select count(*) from users where id <= 20000 and first_name in ('Ada', 'Bo')"), "20000");
            field.must_be_new(&lab);
        }
        eprintln!("PostgreSQL {major}: killed in the middle {killed} times, {after} had just ended; undisturbed {times:?}");
    }
}

/// The server dies in the middle of a backfill; it is started, and the same command goes on.
#[test]
fn the_server_is_killed() {
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/split")).unwrap();
        let scripts = compile(&case, Access::Shared).unwrap();
        let mut server = lab.into_server();
        let connect = |server: &crossfade::engine::ephemeral::postgres::Server| Session::connect(&server.address("postgres")).unwrap();
        for script in &scripts.install_old {
            support::lab::run(&mut connect(&server), &split(script)).unwrap_or_else(|stopped| panic!("{stopped}"));
        }
        connect(&server).run("insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 60000) n").unwrap();
        let address = server.address("postgres");
        let folder = address.socket_folder.display().to_string().replace('/', "%2F");
        let url = format!("postgres://{}@{folder}:{}/postgres", address.user, address.port);
        let command = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
            command
                .arg(arguments[0])
                .arg(case.folder.join("old.yaml"))
                .arg(case.folder.join("new.yaml"))
                .args(["--url", &url])
                .args(&arguments[1..]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        Ran::of(&command(&["expand"]).output().unwrap()).must(0);
        let child = command(&["migrate", "--batch-time", "1"]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while connect(&server).value("select count(*) from users where first_name is not null").unwrap().as_deref() == Some("0") {
            assert!(Instant::now() < until, "no batch came through");
        }
        server.kill_hard();
        Ran::of(&child.wait_with_output().unwrap()).must(1).says("connection to the server was lost").says("run `crossfade migrate` again");
        server.restart().unwrap();
        Ran::of(&command(&["migrate"]).output().unwrap()).must(0);
        assert_eq!(connect(&server).value("select count(*) from users where first_name = 'Ada'").unwrap().as_deref(), Some("60000"));
        Ran::of(&command(&["contract", "--all-nodes-upgraded"]).output().unwrap()).must(0);
    }
}

/// Each thing that the doctor knows is provoked, and found before the first statement.
#[test]
fn the_doctor_finds_what_would_stop_a_phase() {
    on_each(|lab| {
        let field = Field::new(lab, "split", Access::Shared, PEOPLE);
        field.run(&["doctor"]).must(0).says("nothing was found");
        let provoked: [(&str, &str, i32, &str); 13] = [
            ("create table parts (n int primary key) partition by range (n)", "error[partitioned]: table parts", 1, "drop table parts"),
            ("create table heirs () inherits (users)", "warning[inheritance]: table users", 1, "drop table heirs"),
            ("create table keyless (n int)", "warning[no-key]: table keyless", 0, "drop table keyless"),
            (
                "create function f() returns trigger language plpgsql as $$ begin return new; end $$; create trigger touched before update on users for each row execute function f()",
                "warning[user-trigger]: trigger touched on users",
                0,
                "drop trigger touched on users",
            ),
            (
                "create trigger zzz before insert on users for each row execute function f()",
                "error[late-trigger]: trigger zzz on users",
                1,
                "drop trigger zzz on users; drop function f()",
            ),
            ("create rule r as on insert to users do also select 1", "error[rule]: rule r on users", 1, "drop rule r on users"),
            (
                "create table news (n int); create publication p for table news",
                "error[replica-identity]: table news",
                1,
                "drop publication p; drop table news",
            ),
            (
                "create function e() returns event_trigger language plpgsql as $$ begin end $$; create event trigger et on ddl_command_end execute function e()",
                "warning[event-trigger]: event trigger et",
                0,
                "drop event trigger et; drop function e()",
            ),
            (
                "create index users_age on users (age); update pg_index set indisvalid = false where indexrelid = 'users_age'::regclass",
                "warning[invalid-index]: index users_age",
                0,
                "drop index users_age",
            ),
            (
                "create role applier; alter role applier set session_replication_role = replica",
                "warning[replica-role]: session_replication_role: role applier",
                0,
                "drop role applier",
            ),
            ("alter table users add column stray int", "error[drift]: the live schema", 1, "alter table users drop column stray"),
            (
                "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
                "error[read-only]: the server",
                1,
                "set default_transaction_read_only = off; do $$ begin execute format('alter database %I reset default_transaction_read_only', current_database()); end $$",
            ),
            ("begin; select count(*) from users", "warning[long-transaction]: session", 0, "commit"),
        ];
        for (make, words, code, clean) in provoked {
            let mut session = field.session();
            for statement in split(make) {
                session.run(&statement.text).unwrap_or_else(|failure| panic!("{make}: {failure}"));
            }
            field.run(&["doctor", "--old-transaction", "0"]).must(code).says(words);
            for statement in split(clean) {
                session.run(&statement.text).unwrap_or_else(|failure| panic!("{clean}: {failure}"));
            }
        }
        // Who may do little is told all of it at once.
        let mut session = field.session();
        session.run("create role limited login").unwrap();
        session.run("alter table users enable row level security").unwrap();
        session.run("revoke create on schema public from public").unwrap();
        let limited = url(&field.database).replace("postgres://postgres@", "postgres://limited@");
        let ran = field.run_at(&limited, &["doctor"]).must(1);
        ran.says("error[create-schema]: schema crossfade: it is not owned by role limited");
        session.run("drop schema crossfade cascade").unwrap();
        let limited = url(&field.database).replace("postgres://postgres@", "postgres://limited@");
        let ran = field.run_at(&limited, &["doctor", "--format", "json"]).must(1);
        let found: Vec<serde_json::Value> = serde_json::from_str(&ran.out).unwrap();
        for code in ["create-schema", "create-table", "not-owner", "row-security"] {
            assert!(found.iter().any(|one| one["code"] == code && one["level"] == "error"), "{code}: {}", ran.out);
        }
        session.run("drop role limited").unwrap();
    });
}
