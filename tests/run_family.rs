//! The runner on MySQL and MariaDB: each statement of a script alone, with the journal around it, since the servers' DDL commits.
//! What the runner does on PostgreSQL is in `run.rs`.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossfade::engine::Connection as _;
use crossfade::engine::ephemeral::mysql::Server;
use crossfade::engine::mysql::{Address, Session};
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::catalog::Catalog;
use support::engine::mysql::Mysql;
use support::lab::{Database, Lab};
use support::program::{self, Bell, Heard, Ran};
use support::schema_lock::SchemaLock;
use support::scripts::{Phase, Scripts, compile_for};
use support::servers::{self, FAMILY, Family};
use support::shape::dump_tables;

/// A database at the old version of a case, with the snapshots of the case to run from.
struct Field<'lab> {
    database: Database<'lab, Mysql>,
    case: Case,
    access: Access,
    dialect: Dialect,
    address: Address,
    scripts: Scripts,
}

fn url(dialect: Dialect, address: &Address) -> String {
    let socket = address.socket.display().to_string().replace('/', "%2F");
    format!("{}://{}@localhost/{}?socket={socket}", dialect.name(), address.user, address.database.as_deref().unwrap_or_default())
}

impl<'lab> Field<'lab> {
    fn new(lab: &'lab Lab<Mysql>, dialect: Dialect, case: &str, access: Access, seed: &str) -> Field<'lab> {
        let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case)).unwrap();
        Field::of(lab, dialect, case, access, seed)
    }

    fn of(lab: &'lab Lab<Mysql>, dialect: Dialect, case: Case, access: Access, seed: &str) -> Field<'lab> {
        let scripts = compile_for(&case, access, dialect).unwrap_or_else(|report| panic!("{report}"));
        let database = lab.empty().unwrap();
        for script in &scripts.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        database.write(seed, "seed").unwrap();
        let address = lab.engine.address(&database.name);
        Field { database, case, access, dialect, address, scripts }
    }

    fn copy(&self, lab: &Lab<Mysql>, access: Access) -> Field<'lab> {
        let database = self.database.copy().unwrap();
        let address = lab.engine.address(&database.name);
        let scripts = compile_for(&self.case, access, self.dialect).unwrap();
        Field { database, case: self.case.clone(), access, dialect: self.dialect, address, scripts }
    }

    fn url(&self) -> String {
        url(self.dialect, &self.address)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.url(), arguments)
    }

    fn command_at(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = program::command(&self.case, self.access, url, arguments);
        command.args(["--database", &self.database.name]);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn listen(&self, arguments: &[&str]) -> Heard {
        Heard::spawn(self.command(arguments))
    }

    /// Runs all phases for a stopped application, by an account that may make no triggers.
    fn at_once(&self, lab: &Lab<Mysql>) {
        let mut setup = lab.empty().unwrap().connect().unwrap();
        setup.run("create user if not exists offline@localhost").unwrap();
        setup.run("grant all on *.* to offline@localhost with grant option").unwrap();
        setup.run("revoke trigger on *.* from offline@localhost").unwrap();
        drop(setup);
        lab.engine.choose("mysql").unwrap();
        self.database.wait_alone().unwrap();
        let url = url(self.dialect, &Address { user: "offline".to_owned(), ..self.address.clone() });
        Ran::of(&self.command_at(&url, &["sync", "--offline"]).output().unwrap()).must(0);
    }

    fn session(&self) -> Session {
        Session::connect(&self.address).unwrap()
    }

    #[track_caller]
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
    fn must_be_new(&self, lab: &Lab<Mysql>) {
        let alone = lab.empty().unwrap();
        for script in &self.scripts.install_new {
            alone.run(script, "installing the new snapshot").unwrap();
        }
        let catalog = |database: &Database<'_, Mysql>| {
            let mut session = database.connect().unwrap();
            Catalog::read(&mut session).unwrap()
        };
        catalog(&self.database).must_equal(&catalog(&alone), "the catalog after contract").unwrap();
    }

    #[track_caller]
    fn wait_for(&self, what: &str, done: impl Fn(&Field<'_>) -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < until, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn on_each(test: impl Fn(&Lab<Mysql>, Dialect)) {
    on(&FAMILY, &[], test);
}

fn on(family: &[Family], settings: &[&str], test: impl Fn(&Lab<Mysql>, Dialect)) {
    for server in family {
        if let Some(lab) = server.lab_with(settings).unwrap() {
            eprintln!("on {}", server.name);
            test(&lab, server.dialect);
        }
    }
}

/// So many rows, as one INSERT.
fn people(count: u64) -> String {
    format!(
        "insert into users (id, full_name) with recursive n (n) as (select 1 union all select n + 1 from n where n < 1000)
         select id, name from (select (a.n - 1) * 1000 + b.n as id, concat('Ada L', (a.n - 1) * 1000 + b.n) as name
                               from n a join n b on true where a.n <= {}) as made where id <= {count}",
        count.div_ceil(1000)
    )
}

const AGREE: &str = "select cast(count(*) as char) from users where not (first_name <=> substring_index(full_name, ' ', 1))";
const FILLED: &str = "select cast(count(*) as char) from users where first_name is not null";

#[test]
fn all_phases_and_their_turns() {
    on_each(|lab, dialect| {
        for access in [Access::Shared, Access::Versioned] {
            let field = Field::new(lab, dialect, "split", access, &people(3000));
            let before = field.everything();
            field.run(&["migrate"]).must(1).says("migrate of v2 can't run before its expand has finished").says("crossfade expand");
            field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("crossfade expand");
            field.run(&["abort"]).must(1).says("there is nothing to abort");
            assert_eq!(before, field.everything(), "a refusal changed something");
            let dry = field.run(&["expand", "--dry-run"]).must(0).says("add column").out;
            assert!(dry.contains("create trigger"), "{dry}");
            assert_eq!(before, field.everything(), "--dry-run changed something");

            field.run(&["check"]).must(3).says("expand of v2 is due");
            field.run(&["verify"]).must(1).says("run `crossfade expand` first");
            field.run(&["expand"]).must(0).says("expand of v2 is done");
            field.run(&["expand"]).must(0).says("crossfade migrate");
            field.run(&["check"]).must(4).says("migrate of v2 is due");
            field.run(&["verify"]).must(1).says("users: full_name <-> first_name, last_name: 3000 rows disagree").says("Ada L1\"");
            field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("run `crossfade migrate` first");
            field.run(&["abort"]).must(0);
            support::text::same("abort did not take everything back", &before, &field.everything()).unwrap();
            field.run(&["abort"]).must(0).says("aborted already");
            field.run(&["expand"]).must(0);
            field.run(&["migrate"]).must(0).says("migrate of v2 is done");
            assert_eq!(field.value(AGREE), "0");
            field.run(&["migrate"]).must(0).says("done already");
            field.run(&["check"]).must(5).says("contract of v2 is due");
            field.run(&["verify"]).must(0).says(": 0 rows disagree");
            let status = field.run(&["status"]).must(0).says("v1 -> v2: migrate (v2_expand01, v2_migrate01)");
            status.says("backfill v2_migrate01.users.first_name+last_name: 3000 rows filled, done");
            let json: serde_json::Value = serde_json::from_str(&field.run(&["status", "--format", "json"]).must(0).out).unwrap();
            assert_eq!((&json["releases"][1]["phase"], &json["backfills"][0]["rows"]), (&"migrate".into(), &3000.into()));
            {
                // A client of the old version keeps contract away.
                let client = field.session();
                let refused = field.run(&["contract"]).must(1).says("--all-nodes-upgraded");
                if access == Access::Versioned {
                    refused.says("may be clients of version v1").says(&format!("session {}", client.id()));
                }
                assert_eq!(
                    field.value("select cast(count(*) as char) from crossfade_journal where `release` = 'v2' and step like 'contract%'"),
                    "0"
                );
            }
            if access == Access::Versioned {
                // Who has chosen the namespace of the new version is one of its clients.
                field.database.wait_alone().unwrap();
                lab.engine.choose(&format!("{}_v2", field.database.name)).unwrap();
                field.run(&["contract"]).must(0);
            } else {
                field.run(&["contract", "--all-nodes-upgraded"]).must(0);
            }
            field.run(&["contract", "--all-nodes-upgraded"]).must(0).says("the database is at version v2");
            field.run(&["check"]).must(0).says("up to date: version v2");
            field.run(&["verify"]).must(1).says("only one shape");
            field.run(&["expand"]).must(1).says("contracted already");
            field.run(&["abort"]).must(1).says("contract has begun");
            assert_eq!(field.value("select concat(phase, ' ', revision) from crossfade_version"), "contract v2_contract01");
            let open = "select cast(count(*) as char) from crossfade_journal where hash is not null and finished_at is null and step not like 'script %'";
            assert_eq!(field.value(open), "0");
            field.must_be_new(lab);
        }
    });
}

/// Rows in two tables are compared from both ends, and their keys are shown. What fires no trigger makes them differ.
#[test]
fn verify_compares_the_tables_of_a_mirror() {
    on(&FAMILY[..2], &[], |lab, dialect| {
        let seed = "insert into countries (code) values ('de'); insert into accounts (id, email, cents) values (7, 'ann@x.org', 150), (8, 'bo@x.org', 99)";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/mirror-move");
        let case = Case::read(&folder).unwrap().in_dialect(dialect).unwrap();
        let field = Field::of(lab, dialect, case, Access::Shared, seed);
        field.run(&["expand"]).must(0);
        field.run(&["verify"]).must(1).says("2 rows disagree").says("7").says("8");
        field.run(&["migrate"]).must(0);
        let whole = field.run(&["verify"]).must(0).says(": 0 rows disagree").out;
        assert!(whole.matches("0 rows disagree").count() >= 2, "both ends are looked at: {whole}");
        let mut client = field.session();
        let trigger = field.value(
            "select trigger_name from information_schema.triggers where trigger_schema = database() and event_object_table = 'accounts' and event_manipulation = 'UPDATE' and action_timing = 'AFTER'",
        );
        client.run(&format!("drop trigger {trigger}")).unwrap();
        client.run("update accounts set cents = 151 where id = 7").unwrap();
        field.run(&["verify"]).must(1).says("1 rows disagree").says("7");
    });
}

#[test]
fn a_lock_is_tried_again_and_who_holds_it_is_named() {
    // With what each server knows by itself, and with the performance schema.
    for settings in [&[] as &[&str], &["--performance-schema=ON"]] {
        on(&FAMILY[..2], settings, |lab, dialect| {
            let field = Field::new(lab, dialect, "split", Access::Shared, &people(100));
            // A reader of another table holds nothing that is waited for.
            let mut reader = field.session();
            reader.run("begin").unwrap();
            reader.run("select count(*) from users").unwrap();
            let reader_id = format!("session {} (root", reader.id());
            let ran = field.run(&["expand", "--patience", "2"]).must(1);
            let ran = ran.says("met a lock").says(&reader_id).says("run `crossfade expand` again");
            assert!(ran.err.contains("try 1"), "{}", ran.err);
            if !settings.is_empty() && dialect == Dialect::Mysql {
                assert!(ran.err.contains("select count(*) from users"), "{}", ran.err);
            }
            // And it goes on by itself once they are through.
            let child = field.spawn(&["expand"]);
            field.wait_for("it met no lock", |field| {
                field.value("select cast(count(*) as char) from crossfade_journal where error like '1205%'") != "0"
            });
            reader.run("commit").unwrap();
            Ran::of(&child.wait_with_output().unwrap()).must(0);
        });
    }
}

/// Clients whose transactions write rows against the order of the key wait for batches, and no batch waits for them with rows in
/// hand: so none of them is half of a deadlock. Neither by script nor by the runner.
#[test]
fn no_client_loses_a_deadlock_against_a_batch() {
    on_each(|lab, dialect| {
        for by_script in [true, false] {
            let field = Field::new(lab, dialect, "split", Access::Shared, &people(40_000));
            field.run(&["expand"]).must(0);
            let (stop, count) = (AtomicBool::new(false), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                // Each has rows of its own: they can't meet one another.
                for client in 0..3 {
                    let (stop, count, field) = (&stop, &count, &field);
                    scope.spawn(move || {
                        let mut session = field.session();
                        let near = "select cast(coalesce(max(json_unquote(json_extract(last_key, '$[0]')) + 0), 0) as char) from crossfade_checkpoint";
                        while !stop.load(Ordering::Relaxed) {
                            let last: f64 = session.value(near).unwrap().unwrap().parse().unwrap();
                            session.run("begin").unwrap();
                            for step in (0..12).rev() {
                                let id = (last as u64 / 3 + step * 50) * 3 + client;
                                session.run(&format!("update users set full_name = concat(full_name, '!') where id = {id}")).unwrap();
                            }
                            session.run("commit").unwrap();
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
                let _bell = Bell(&stop);
                let before = count.load(Ordering::Relaxed);
                if by_script {
                    field.database.run(&field.scripts.migrate, "migrate").unwrap();
                } else {
                    field.run(&["migrate", "--workers", "2"]).must(0);
                }
                assert!(count.load(Ordering::Relaxed) > before, "nobody wrote meanwhile");
            });
            assert_eq!(field.value(AGREE), "0");
            assert_eq!(field.value(FILLED), "40000");
        }
    });
}

/// A row that a client holds for long: the rows before it are filled, migrate waits for it alone, and goes on when it is free.
#[test]
fn a_row_that_is_held_for_long_is_waited_for_with_nothing_in_hand() {
    on_each(|lab, dialect| {
        for by_script in [true, false] {
            let field = Field::new(lab, dialect, "split", Access::Shared, &people(5000));
            field.run(&["expand"]).must(0);
            let mut holder = field.session();
            holder.run("begin").unwrap();
            holder.run("update users set full_name = 'Ada Held' where id = 3210").unwrap();
            std::thread::scope(|scope| {
                let migrate = scope.spawn(|| {
                    if by_script {
                        field.database.run(&field.scripts.migrate, "migrate").unwrap();
                    } else {
                        field.run(&["migrate"]).must(0);
                    }
                });
                field.wait_for("the rows before it are filled", |field| field.value(FILLED) == "3209");
                // A server may look at one row more than it is asked for.
                for (from, to) in [(1, 3208), (3211, 5000)] {
                    let query = format!(
                        "select cast(count(*) as char) from users force index (primary) where id between {from} and {to} for update nowait"
                    );
                    let rows = (to - from + 1).to_string();
                    // In between there may be a try that has not met the row yet.
                    field.wait_for("the other rows are free", |field| match field.session().value(&query) {
                        Ok(found) => found.as_deref() == Some(&rows),
                        Err(failure) => {
                            assert!(["1205", "3572"].map(Some).contains(&failure.code.as_deref()), "{failure}");
                            false
                        }
                    });
                }
                assert!(!migrate.is_finished());
                holder.run("commit").unwrap();
                migrate.join().unwrap();
            });
            assert_eq!(field.value(AGREE), "0");
            assert_eq!(field.value(FILLED), "5000");
        }
    });
}

/// Rows that no key tells apart are filled by an index, whose values many of them share, by several workers.
#[test]
fn rows_without_a_key_are_filled_by_an_index() {
    on_each(|lab, dialect| {
        let seed =
            "insert into readings (sensor, value, note) with recursive n (n) as (select 1 union all select n + 1 from n where n < 1000)
            select (a.n * 1000 + b.n) div 37, b.n, 'x' from n a join n b on true where a.n <= 30";
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/retype-without-key");
        let case = Case::read(&folder).unwrap().in_dialect(dialect).unwrap();
        let field = Field::of(lab, dialect, case, Access::Versioned, seed);
        let column = "select cast(count(*) as char) from readings where not (crossfade_new_value <=> value)";
        field.run(&["expand"]).must(0);
        assert_eq!(field.value(column), "30000");
        field.run(&["migrate", "--workers", "2", "--max-batches", "3"]);
        let left: u32 = field.value(column).parse().unwrap();
        assert!(left > 0 && left < 30_000, "{left} are left");
        field.run(&["migrate", "--workers", "2"]).must(0);
        assert_eq!(field.value(column), "0");
        field.run(&["verify"]).must(0).says(": 0 rows disagree");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        assert_eq!(field.value("select concat(count(*), ' ', sum(value)) from readings"), "30000 15015000");
        field.must_be_new(lab);
    });
}

/// Whoever writes as the drained version is told so; the other version writes on, and nothing is left of it.
#[test]
fn a_drained_version_can_only_read() {
    let settings = ["--performance-schema=ON", "--performance-schema-consumer-events-statements-current=ON"];
    on(&FAMILY, &settings, |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Versioned, &people(200));
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        let namespace = Address { database: Some(format!("{}_v2", field.database.name)), ..field.address.clone() };
        let (mut old, mut new) = (field.session(), Session::connect(&namespace).unwrap());
        let left = "select cast(count(*) as char) from information_schema.triggers where trigger_schema = database() and trigger_name like '%drain%'";
        let (stop, counts) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
        std::thread::scope(|scope| {
            for (number, address) in [&field.address, &namespace].into_iter().enumerate() {
                let (stop, refused) = (&stop, &counts[number]);
                scope.spawn(move || {
                    let mut client = Session::connect(address).unwrap();
                    let column = ["full_name", "first_name"][number];
                    for turn in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let (id, key) = (turn % 200 + 1, 10_000 + number * 1_000_000 + turn);
                        for write in [
                            format!("update users set {column} = 'w{turn}' where id = {id}"),
                            format!("insert into users (id, {column}) values ({key}, 'x')"),
                            format!("delete from users where id = {key}"),
                        ] {
                            match client.run(&write) {
                                Ok(_) => {}
                                // A deadlock is no refusal.
                                Err(failure) if failure.code.as_deref() == Some("1213") => {}
                                Err(failure) => {
                                    assert_eq!(failure.code.as_deref(), Some("1644"), "{write}: {failure}");
                                    refused.fetch_add(1, Ordering::Relaxed);
                                }
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
            ] {
                let failure = old.run(write).unwrap_err();
                assert_eq!(failure.message, "writes of version v1 are refused: it is drained (crossfade drain v1 --undo)", "{write}");
            }
            old.run("select * from users where id = 7").unwrap();
            new.run("insert into users (id, first_name, last_name) values (9002, 'Grace', 'Hopper')").unwrap();
            new.run("update users set first_name = 'Ada' where id = 9002").unwrap();
            assert_eq!(old.value("select full_name from users where id = 9002").unwrap().as_deref(), Some("Ada Hopper"));
            new.run("delete from users where id = 9002").unwrap();
            field.run(&["status"]).must(0).says("drained: writes of version v1 are refused");
            // The script by hand would leave the guards behind.
            let by_hand = field.database.run(&field.scripts.contract, "contract by hand").unwrap_err();
            assert!(by_hand.to_string().contains("while a version is drained"), "{by_hand}");
            field.run(&["drain", "v1", "--undo"]).must(0).says("version v1 may write again");
            assert_eq!(field.value(left), "0");
            old.run("update users set full_name = 'Ada L7' where id = 7").unwrap();
            assert!(counts[0].load(Ordering::Relaxed) > 0, "no writer of v1 was refused");
            assert_eq!(counts[1].load(Ordering::Relaxed), 0, "writers of v2 were refused");
            field.run(&["drain", "v2"]).must(0);
            assert!(new.run("update users set first_name = 'x' where id = 7").unwrap_err().message.contains("version v2 are refused"));
            old.run("update users set full_name = 'Ada L7' where id = 7").unwrap();
            drop(bell);
        });
        // A gate of contract that is shut leaves the drain as it is.
        field.run(&["drain", "v2", "--undo"]).must(0);
        field.run(&["drain", "v1"]).must(0).says("TRUNCATE");
        let named = "select trigger_name from information_schema.triggers where trigger_schema = database() and trigger_name like '%sync_users_update'";
        let trigger = old.value(named).unwrap().unwrap();
        old.run(&format!("drop trigger {trigger}")).unwrap();
        let name = new.value("select first_name from users where id = 9").unwrap().unwrap();
        new.run("update users set first_name = concat(first_name, '!') where id = 9").unwrap();
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("disagree");
        field.run(&["status"]).must(0).says("drained: writes of version v1 are refused");
        assert!(old.run("update users set full_name = 'x' where id = 7").unwrap_err().message.contains("drained"));
        new.run(&format!("update users set first_name = '{name}' where id = 9")).unwrap();
        drop((old, new));
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        assert_eq!(field.value(left), "0");
        assert_eq!(field.value("select cast(count(*) as char) from crossfade_journal where step like 'drain%'"), "0");
        field.must_be_new(lab);
        // Where rows stand in two tables, what the other version's triggers write passes the guards of both.
        let seed = "insert into users (id, name, bio) values (1, 'Ana', 'writes')";
        let mirror = Field::new(lab, dialect, "mirror-extract", Access::Versioned, seed);
        mirror.run(&["expand"]).must(0);
        mirror.run(&["migrate"]).must(0);
        mirror.run(&["drain", "v1"]).must(0);
        let namespace = Address { database: Some(format!("{}_v2", mirror.database.name)), ..mirror.address.clone() };
        let (mut old, mut new) = (mirror.session(), Session::connect(&namespace).unwrap());
        let refused = |session: &mut Session, writes: &[&str]| {
            for write in writes {
                let failure = session.run(write).unwrap_err();
                assert!(failure.message.contains("it is drained"), "{write}: {failure}");
            }
        };
        refused(
            &mut old,
            &[
                "insert into users (id, name) values (7, 'x')",
                "update users set bio = 'x' where id = 1",
                "delete from users where id = 1",
                "update profiles set bio = 'x'",
            ],
        );
        new.run("update profiles set bio = 'reads' where user_id = 1").unwrap();
        new.run("insert into users (id, name) values (2, 'Ina')").unwrap();
        new.run("insert into profiles (user_id, bio) values (2, 'knits')").unwrap();
        let both = "select group_concat(id, bio order by id) from users";
        assert_eq!(old.value(both).unwrap().as_deref(), Some("1reads,2knits"));
        new.run("delete from users where id = 2").unwrap();
        assert_eq!(old.value(both).unwrap().as_deref(), Some("1reads"));
        // The other way round.
        mirror.run(&["drain", "v1", "--undo"]).must(0);
        mirror.run(&["drain", "v2"]).must(0);
        refused(
            &mut new,
            &["update profiles set bio = 'x'", "insert into users (id, name) values (7, 'x')", "delete from users where id = 1"],
        );
        old.run("insert into users (id, name, bio) values (3, 'Eva', 'sings')").unwrap();
        old.run("update users set bio = 'writes' where id = 1").unwrap();
        let profiles = "select group_concat(user_id, bio order by user_id) from profiles";
        assert_eq!(new.value(profiles).unwrap().as_deref(), Some("1writes,3sings"));
        old.run("delete from users where id = 3").unwrap();
        mirror.run(&["drain", "v2", "--undo"]).must(0);
        mirror.run(&["drain", "v1"]).must(0);
        drop((old, new));
        mirror.run(&["contract", "--all-nodes-upgraded"]).must(0);
        assert_eq!(mirror.value(left), "0");
        assert_eq!(mirror.value(profiles), "1writes");
        mirror.must_be_new(lab);
    });
    // Without the performance schema no trigger knows which database a session has chosen.
    on(&FAMILY[..2], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Versioned, &people(10));
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        let before = field.everything();
        field.run(&["drain", "v1"]).must(1).says("`performance_schema = ON`");
        assert_eq!(before, field.everything(), "a refusal changed something");
    });
}

#[test]
fn clients_share_a_lock_with_the_runner() {
    on_each(|lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Shared, &people(100));
        let mut setup = field.session();
        setup.run("create user if not exists app@localhost").unwrap();
        setup.run(&format!("grant select on {}.* to app@localhost", field.database.name)).unwrap();
        let app = || Session::connect(&Address { user: "app".to_owned(), ..field.address.clone() }).unwrap();
        let mut client = app();
        let share = if dialect == Dialect::Mysql { "for share" } else { "lock in share mode" };
        let waits = "select cast(count(*) as char) from information_schema.processlist where state like '%metadata lock%'";
        let lock = SchemaLock {
            command: &|arguments| field.command(arguments),
            share: &format!("select phase from crossfade_version {share}"),
            named: &[&format!("held by session {} (app", client.id())],
            turn: &|| {
                // The list of transactions is read anew after a tenth of a second only; in the queue it would stand for a second.
                std::thread::sleep(Duration::from_millis(150));
                let queued = "select cast(count(*) as char) from information_schema.innodb_trx where trx_state = 'LOCK WAIT'";
                assert_eq!(field.value(queued), "0", "the runner is in the queue");
            },
            waits: &|| field.value(waits) != "0",
        };
        lock.is_kept(&mut client, &mut app(), &mut field.session());
        field.must_be_new(lab);
    });
}

#[test]
fn one_runner_at_a_time() {
    on(&FAMILY[..2], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Shared, &people(100));
        let mut reader = field.session();
        reader.run("begin").unwrap();
        reader.run("select count(*) from users").unwrap();
        let first = field.spawn(&["expand"]);
        field.wait_for("the first runner did not start", |field| {
            field.value("select if(is_used_lock(concat('crossfade.', left(sha2(database(), 256), 40))) is null, '', 'held')") == "held"
        });
        field.run(&["expand"]).must(1).says("another runner is at work").says("`crossfade expand`").says("user root");
        field.run(&["status"]).must(0).says("at work: `crossfade expand`");
        let mut waiting = field.listen(&["expand", "--wait", "60"]);
        waiting.wait_for("waiting for another runner");
        reader.run("commit").unwrap();
        Ran::of(&first.wait_with_output().unwrap()).must(0);
        waiting.end().must(0);
    });
}

/// A table whose third row can't be filled: `code` is to be a number.
const CODES: (&str, &str) = (
    "version: v1\ntables:\n  items:\n    columns:\n      id: bigint not null\n      code: varchar(20)\n      part: varchar(3) not null\n    primary_key: [part, id]\n",
    "version: v2\ntables:\n  items:\n    columns:\n      id: bigint not null\n      number: integer\n      part: varchar(3) not null\n    primary_key: [part, id]\ntransition:\n  from: v1\n  tables:\n    items:\n      columns:\n        number: {up: \"cast(code as signed) + 0\"}\n        code: {down: \"cast(number as char)\"}\n",
);

#[test]
fn rows_that_fail_are_named_or_set_aside() {
    on(&FAMILY[..2], &[], |lab, dialect| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.yaml"), CODES.0).unwrap();
        std::fs::write(folder.path().join("new.yaml"), CODES.1).unwrap();
        std::fs::write(folder.path().join("case.yaml"), "about: numbers in texts\naccess: [shared]\ndialects: [mysql, mariadb]\n").unwrap();
        let case = Case::read(folder.path()).unwrap();
        let seed = "insert into items (id, code, part) with recursive n (n) as (select 1 union all select n + 1 from n where n < 900)
                    select n, if(n % 400 = 3, '9999999999', n), if(n > 600, 'a\"b', 'x') from n";
        let field = Field::of(lab, dialect, case, Access::Shared, seed);
        field.run(&["expand"]).must(0);
        let ran = field.run(&["migrate"]).must(1).says("items: the row with (part, id) = (a\"b, 803) can't be filled").says("1264");
        ran.says("9999999999").says("cast(code as signed)").says("--skip-failing");
        field
            .run(&["migrate", "--skip-failing", "2"])
            .must(1)
            .says("set aside: items: the row with (part, id) = (a\"b, 803)")
            .says("2 rows are set aside already");
        field.run(&["migrate", "--skip-failing", "3"]).must(0);
        assert_eq!(field.value("select cast(count(*) as char) from items where number is null"), "3");
        field.run(&["contract", "--all-nodes-upgraded"]).must(1).says("3 rows could not be filled").says("crossfade migrate");
        field.run(&["migrate"]).must(1).says("rows that are set aside: 3");
        field.session().run("update items set code = '33' where code = '9999999999'").unwrap();
        field.run(&["migrate"]).must(0).says("no longer set aside: items part, id = x, 403");
        assert_eq!(field.value("select cast(count(*) as char) from items where number is null"), "0");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
    });
}

#[test]
fn batches_stop_and_go_on() {
    on(&FAMILY[..2], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Shared, &people(60_000));
        field.session().run("analyze table users").unwrap();
        field.run(&["expand"]).must(0);
        field.run(&["migrate", "--max-batches", "2"]).must(6).says("crossfade migrate");
        let first: u64 = field.value(FILLED).parse().unwrap();
        assert!(first > 1000 && first < 60000, "{first}");
        assert_eq!(field.value("select cast(`rows` as char) from crossfade_checkpoint where part = 0"), first.to_string());
        // With workers the rest is divided.
        let json = field.run(&["migrate", "--workers", "3", "--max-batches", "4", "--format", "json"]).must(6);
        let events: Vec<serde_json::Value> = json.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.iter().filter(|event| event["event"] == "batch").count(), 4, "{}", json.err);
        assert_ne!(field.value("select cast(count(*) as char) from crossfade_checkpoint where part > 0"), "0");

        // A file pauses it, and Ctrl-C stops it in good order.
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = field.listen(&["migrate", "--workers", "2", "--pause-file", &file.path().display().to_string()]);
        child.wait_for("paused while");
        let paused = field.value(FILLED);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        child.end().must(6);
        assert_eq!(field.value(FILLED), paused);
        drop(file);

        // Rows that come meanwhile are the trigger's; the script by hand finishes what the workers began.
        field.session().run("insert into users (id, full_name) values (0, 'Bo Ek'), (70000, 'Bo Ek')").unwrap();
        field.database.run(field.scripts.of(Phase::Migrate), "migrate").unwrap();
        assert_eq!(field.value(FILLED), "60002");
        assert_eq!(field.value(AGREE), "0");
        field.run(&["migrate"]).must(0).says("done already");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
    });
}

/// What a script by hand has begun the runner ends, with the checkpoint as the script has written it.
#[test]
fn the_script_by_hand_and_the_runner_take_turns() {
    on(&FAMILY[1..], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Versioned, &people(5000));
        let half = |phase: Phase, share: usize| {
            let statements = field.database.statements(field.scripts.of(phase));
            support::lab::run(&mut field.session(), &statements[..statements.len() * share / 100])
                .unwrap_or_else(|stopped| panic!("{stopped}"));
        };
        half(Phase::Expand, 80);
        field.run(&["expand"]).must(0);
        let books =
            "update crossfade_checkpoint set last_key = json_array('1500'), top_key = json_array(cast(5000 as char)), finished_at = null";
        field.run(&["migrate", "--max-batches", "1"]).must(6);
        field.session().run(books).unwrap();
        // It began at the checkpoint, and the gate has seen that this one was not true.
        field
            .run(&["migrate", "--workers", "2"])
            .must(1)
            .says("disagree: 500 rows (for example 1001;")
            .says("run `crossfade migrate` again");
        field.session().run("update users set first_name = substring_index(full_name, ' ', 1) where first_name is null").unwrap();
        field.run(&["migrate"]).must(0);
        half(Phase::Contract, 70);
        field.run(&["abort"]).must(1).says("contract has begun");
        field.run(&["contract", "--all-nodes-upgraded"]).must(0);
        field.must_be_new(lab);
    });
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

/// The runner is killed at random points, ten times, while the old version writes: the next run goes on, nothing is lost, and the end
/// is the same. `CROSSFADE_SEED` repeats a run.
#[test]
fn killed_ten_times() {
    let seed =
        std::env::var("CROSSFADE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    eprintln!("CROSSFADE_SEED={seed}");
    on(&FAMILY[..2], &[], |lab, dialect| {
        let template = Field::new(lab, dialect, "split", Access::Shared, &people(20_000));
        let mut times = [Duration::ZERO; 3];
        let (mut killed, mut after) = (0, 0);
        // No two servers are killed at the same points.
        let mut dice = Dice(seed + dialect.name().len() as u64);
        for round in 0..=2 {
            let field = template.copy(lab, if round % 2 == 0 { Access::Shared } else { Access::Versioned });
            let done = AtomicBool::new(false);
            let tokens = std::thread::scope(|scope| {
                let writer = scope.spawn(|| {
                    let mut session = field.session();
                    let mut tokens: u64 = 0;
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
                    for _ in 0..2 {
                        let begun = Instant::now();
                        let mut child = field.spawn(arguments);
                        let point = times[index].mul_f64(dice.roll(850) as f64 / 1000.0);
                        while begun.elapsed() < point && child.try_wait().unwrap().is_none() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        child.kill().unwrap();
                        if child.wait_with_output().unwrap().status.success() { after += 1 } else { killed += 1 }
                    }
                    field.run(arguments).must(0);
                }
                writer.join().unwrap()
            });
            assert_eq!(field.value("select cast(count(*) as char) from users where id > 100000"), tokens.to_string(), "a row was lost");
            let wrong = "select cast(count(*) as char) from users where id > 100000
                         and not (first_name <=> 'Tok' and binary last_name <=> binary (id - 100000))";
            assert_eq!(field.value(wrong), "0");
            assert_eq!(field.value("select cast(count(*) as char) from users where id <= 20000 and first_name in ('Ada', 'Bo')"), "20000");
            field.must_be_new(lab);
        }
        eprintln!("{}: killed in the middle {killed} times, {after} had just ended; undisturbed {times:?}", dialect.name());
    });
}

/// Contract copies a table beside clients of the new version, and is killed twice meanwhile. No client sees an error, no row is lost or comes
/// back, and no number is given twice, those of the highest rows that went included.
#[test]
fn a_table_is_copied_beside_its_writers() {
    let mut dice = Dice(u64::from(std::process::id()) * 15_485_863 + 1);
    let seed = "insert into changes (id, title, body, gone) with recursive n (n) as (select 1 union all select n + 1 from n where n < 1000)
                select (a.n - 1) * 1000 + b.n, concat('seed ', (a.n - 1) * 1000 + b.n), 'old', 1 from n a join n b on true where a.n <= 20";
    for (server, access) in FAMILY.iter().zip([Access::Versioned, Access::Shared, Access::Versioned]) {
        let points = [dice.roll(1500), dice.roll(1500)];
        on(&[*server], &[], |lab, dialect| {
            let field = Field::new(lab, dialect, "counter-retyped-mysql", access, seed);
            field.run(&["expand"]).must(0);
            field.run(&["migrate"]).must(0);
            field.session().run("delete from changes where id > 19000").unwrap();
            let name = &field.database.name;
            let database = if access == Access::Versioned { format!("{name}_v2") } else { name.clone() };
            let address = Address { database: Some(database), ..field.address.clone() };
            let done = AtomicBool::new(false);
            let write = |who: char| {
                let mut session = Session::connect(&address).unwrap();
                let (mut number, mut given) = (0_u64, Vec::new());
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    session.run(&format!("insert into changes (title, said) values ('{who}{number}', 'x')")).unwrap();
                    given.push(session.value("select cast(last_insert_id() as char)").unwrap().unwrap().parse::<u64>().unwrap());
                    session.run(&format!("update changes set body = '{who}' where id = {}", number * 7919 % 9000 + 1)).unwrap();
                    // Of the seed alone: a fast server gives so many numbers that this would reach the rows of the clients.
                    let of_seed = 10_000 + number * 2 + u64::from(who == 'b');
                    session.run(&format!("delete from changes where id = {of_seed} and id <= 20000")).unwrap();
                    session.run(&format!("delete from changes where title = '{who}{number}' and {number} % 2 = 0")).unwrap();
                }
                (number, given)
            };
            let written = std::thread::scope(|scope| {
                let write = &write;
                let writers = ['a', 'b'].map(|who| scope.spawn(move || write(who)));
                let arguments = ["contract", "--all-nodes-upgraded", "--wait", "30"];
                for point in points {
                    let mut child = field.spawn(&arguments);
                    std::thread::sleep(Duration::from_millis(200 + point));
                    child.kill().unwrap();
                    child.wait().unwrap();
                }
                let ran = field.run(&arguments);
                std::thread::sleep(Duration::from_millis(100));
                done.store(true, Ordering::Relaxed);
                let written = writers.map(|writer| writer.join().unwrap());
                ran.must(0);
                written
            });
            field.must_be_new(lab);
            let [(a, mut given), (b, of_b)] = written;
            given.extend(of_b);
            let count = given.len();
            given.sort_unstable();
            given.dedup();
            assert_eq!(given.len(), count, "a number was given twice");
            assert!(given[0] > 20_000, "the number {} of a row that is gone was given again", given[0]);
            let left = a - a / 2 + b - b / 2;
            assert_eq!(field.value("select cast(count(*) as char) from changes where said = 'x'"), left.to_string());
            let gone = (1..=a).map(|n| 10_000 + n * 2).chain((1..=b).map(|n| 10_001 + n * 2)).filter(|id| *id <= 19_000).count();
            let seeds = "select cast(count(*) as char) from changes where id <= 20000";
            assert_eq!(field.value(seeds), (19_000 - gone).to_string());
            field.session().run("insert into changes (id, title) values (5000000000, 'wide')").unwrap();
            eprintln!("{}: {a} and {b} rows were written meanwhile", dialect.name());
        });
    }
}

/// The server dies at random points of each phase; it is started, and the same command goes on.
#[test]
fn the_server_is_killed() {
    let mut dice = Dice(u64::from(std::process::id()) * 104_729 + 1);
    for server in &FAMILY[..2] {
        // What was committed is on the disk: the tests' servers take less care otherwise.
        let Some(mut lab) = server.lab_with(&["--innodb-flush-log-at-trx-commit=1"]).unwrap() else { continue };
        let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/split")).unwrap();
        let scripts = compile_for(&case, Access::Shared, server.dialect).unwrap();
        let address = lab.engine.address("shop");
        let connect = || Session::connect(&address).unwrap();
        Session::connect(&Address { database: None, ..address.clone() }).unwrap().run("create database shop").unwrap();
        for script in &scripts.install_old {
            let statements = support::splitter::split_as(server.dialect, script);
            support::lab::run(&mut connect(), &statements).unwrap_or_else(|stopped| panic!("{stopped}"));
        }
        connect().run(&people(30_000)).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
            command.arg(arguments[0]).arg(case.folder.join("old.yaml")).arg(case.folder.join("new.yaml"));
            command.args(["--url", &url(server.dialect, &address)]).args(&arguments[1..]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mut in_the_middle = 0;
        for arguments in [&["expand"] as &[&str], &["migrate", "--batch-time", "2"], &["contract", "--all-nodes-upgraded"]] {
            for _ in 0..2 {
                let child = command(arguments).spawn().unwrap();
                std::thread::sleep(Duration::from_millis(40 + dice.roll(400)));
                lab.engine.server().kill_hard();
                let ran = Ran::of(&child.wait_with_output().unwrap());
                if ran.code != 0 {
                    in_the_middle += 1;
                    assert!(ran.err.contains("connection to the server was lost") || ran.err.contains("can't connect"), "{}", ran.err);
                }
                lab.engine.server().restart().unwrap();
            }
            Ran::of(&command(arguments).output().unwrap()).must(0);
        }
        eprintln!("{}: killed in the middle {in_the_middle} times of 6", server.name);
        let count =
            connect().value("select cast(count(*) as char) from users where first_name = 'Ada' and last_name = concat('L', id)").unwrap();
        assert_eq!(count.as_deref(), Some("30000"));
    }
}

/// Each thing that the doctor knows is provoked, and found before the first statement.
#[test]
fn the_doctor_finds_what_would_stop_a_phase() {
    on(&FAMILY[..2], &["--log-bin=binlog", "--server-id=1", "--log-bin-trust-function-creators=0"], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Shared, &people(10));
        let name = &field.database.name;
        let before = field.run(&["doctor"]).must(0).out;
        assert!(!before.contains("error") && !before.contains(" users"), "{before}");
        let outside = format!("create database outside; create view outside.v as select id from {name}.users");
        let provoked: [(&str, &str, i32, &str); 10] = [
            (
                "create table old_engine (n int primary key) engine = MyISAM",
                "error[engine]: table old_engine: its engine is MyISAM",
                1,
                "drop table old_engine",
            ),
            ("create table keyless (n int, m int, unique (m))", "warning[no-key]: table keyless", 0, "drop table keyless"),
            (
                "create trigger touched before update on users for each row set new.age = 1",
                "warning[user-trigger]: trigger touched on users",
                0,
                "drop trigger touched",
            ),
            (
                "create table orders (id int primary key, owner bigint, foreign key (owner) references users (id) on delete set null)",
                "warning[cascade]: foreign key orders_ibfk_1 of orders: on delete set null",
                0,
                "drop table orders",
            ),
            (
                "create table stamped (id int primary key, at timestamp null on update current_timestamp)",
                "warning[on-update]: column stamped.at",
                0,
                "drop table stamped",
            ),
            ("alter table users add column stray int", "error[drift]: the live schema", 1, "alter table users drop column stray"),
            (&outside, "warning[outside-view]: view outside.v", 0, "drop database outside"),
            ("set global sql_mode = ''", "warning[sql-mode]: sql_mode", 0, "set global sql_mode = default"),
            ("set global read_only = 1", "error[read-only]: the server", 1, "set global read_only = 0"),
            ("begin; select count(*) from users", "warning[long-transaction]: session", 0, "commit"),
        ];
        for (make, words, code, clean) in provoked {
            let mut session = field.session();
            for statement in make.split("; ") {
                session.run(statement).unwrap_or_else(|failure| panic!("{make}: {failure}"));
            }
            // The list of transactions is read anew after a tenth of a second only.
            std::thread::sleep(Duration::from_millis(150));
            field.run(&["doctor", "--old-transaction", "0"]).must(code).says(words);
            for statement in clean.split("; ") {
                session.run(statement).unwrap_or_else(|failure| panic!("{clean}: {failure}"));
            }
        }
        assert_eq!(field.run(&["doctor"]).must(0).out, before);
        // Who may do little is told all of it at once.
        let mut session = field.session();
        session.run("create user limited").unwrap();
        session.run(&format!("grant select, insert, update, delete, create, drop on {name}.* to limited")).unwrap();
        let limited = field.url().replace("root@", "limited@");
        let ran = Ran::of(&field.command_at(&limited, &["doctor", "--format", "json"]).output().unwrap()).must(1);
        let found: Vec<serde_json::Value> = serde_json::from_str(&ran.out).unwrap();
        let said = |code: &str| found.iter().find(|one| one["code"] == code).unwrap_or_else(|| panic!("{code}: {}", ran.out));
        assert_eq!(said("privilege")["level"], "error");
        let message = said("privilege")["message"].to_string();
        assert!(message.contains("ALTER ROUTINE") && message.contains("TRIGGER") && !message.contains("SELECT"), "{message}");
        assert_eq!(said("binary-log")["level"], "error");
        assert_eq!(said("process-privilege")["level"], "warning");
        session.run("drop user limited").unwrap();
        // What comes behind our own triggers they don't see.
        field.run(&["expand"]).must(0);
        session.run("create trigger late before update on users for each row set new.full_name = upper(new.full_name)").unwrap();
        field.run(&["doctor"]).must(1).says("error[late-trigger]: trigger late on users");
        if dialect == Dialect::Mysql {
            session.run("create table worn (id int primary key)").unwrap();
            for number in 0..118 {
                session.run(&format!("alter table worn add column c{number} int, algorithm=instant")).unwrap();
                session.run(&format!("alter table worn drop column c{number}, algorithm=instant")).unwrap();
            }
            field.run(&["doctor"]).must(1).says("warning[row-versions]: table worn: it has 236 row versions, of the 255");
        }
    });
}

/// Replicas are asked themselves how late they are; while one is too late, or does not say, no batch begins. Nor does one while others
/// have the server at work.
#[test]
fn batches_wait_for_replicas_and_for_others() {
    for family in &FAMILY[..2] {
        let place = servers::own_address();
        let bind = format!("--bind-address={place}");
        let settings =
            ["--log-bin=binlog", "--server-id=1", "--log-bin-trust-function-creators=1", "--skip-networking=OFF", &bind, "--port=3306"];
        let Some(lab) = family.lab_with(&settings).unwrap() else { continue };
        let field = Field::new(&lab, family.dialect, "split", Access::Shared, &people(3000));
        let filled = "select cast(count(*) as char) from users where first_name is not null";
        let replica = Server::start_with(&family.installation().unwrap().unwrap(), &["--server-id=2", "--relay-log=relay"]).unwrap();
        let mut there = Session::connect(&replica.address(None)).unwrap();
        let mut here = field.session();
        here.run("create user follower@'%' identified by 'f'").unwrap();
        here.run("grant replication slave on *.* to follower@'%'").unwrap();
        let (change, word, more) = match family.dialect {
            Dialect::Mysql => ("replication source to", "source", ", get_source_public_key = 1"),
            _ => ("master to", "master", ""),
        };
        there
            .run(&format!(
                "change {change} {word}_host = '{place}', {word}_port = 3306, {word}_user = 'follower', {word}_password = 'f',
                   {word}_log_file = 'binlog.000001', {word}_log_pos = 4{more}"
            ))
            .unwrap();
        let replica_url = url(family.dialect, &replica.address(Some("mysql")));
        let late = ["migrate", "--max-lag", "1", "--replica", &replica_url, "--format", "json"];

        field.run(&["expand"]).must(0);
        field.run(&["migrate", "--max-lag", "1"]).must(1).says("`--replica URL`");
        let mut run = field.listen(&late);
        run.wait_for("does not replicate now");
        assert_eq!(field.value(filled), "0", "a batch began while the replica stood");
        there.run("start replica").unwrap();
        run.end().must(0).says("goes_on");
        assert_eq!(field.value(filled), "3000");

        field.run(&["abort"]).must(0);
        field.run(&["expand"]).must(0);
        there.run("flush tables with read lock").unwrap();
        here.run("update users set age = 1 where id = 1").unwrap();
        std::thread::sleep(Duration::from_secs(3));
        let mut run = field.listen(&late);
        run.wait_for(" s behind, which is more than 1 s");
        assert_eq!(field.value(filled), "0", "a batch began while the replica was late");
        there.run("unlock tables").unwrap();
        run.end().must(0);

        field.run(&["abort"]).must(0);
        field.run(&["expand"]).must(0);
        // Who may not see what others do does not know how many are at work.
        here.run("create user blind").unwrap();
        here.run(&format!("grant all on `{}`.* to blind", field.database.name)).unwrap();
        let blind = field.url().replace("root@", "blind@");
        let mut run = Heard::spawn(field.command_at(&blind, &["migrate", "--max-load", "9", "--format", "json"]));
        run.wait_for("it is not known how many sessions are at work");
        run.interrupt();
        run.end().must(6);
        assert_eq!(field.value(filled), "0");
        drop((there, replica));
        // One that is gone says nothing; a stop is heard all the same.
        let interrupted = |arguments: &[&str], words: &str| {
            let mut run = field.listen(arguments);
            run.wait_for(words);
            run.interrupt();
            run.end().must(6);
            assert_eq!(field.value(filled), "0");
        };
        interrupted(&late, "it is not known how far");
        std::thread::scope(|scope| {
            let mut busy = field.session();
            let id = busy.id();
            scope.spawn(move || busy.run("do sleep(60)"));
            interrupted(&["migrate", "--max-load", "0", "--format", "json"], "1 sessions of others are at work, which is more than 0");
            field.run(&["migrate", "--max-load", "1", "--workers", "2", "--max-batches", "1"]).must(6);
            here.run(&format!("kill {id}")).unwrap();
        });
        assert_ne!(field.value(filled), "0");
    }
}

/// Without the right to see who is connected, contract does not take silence for an answer.
#[test]
fn who_may_not_see_the_sessions_may_not_contract() {
    on(&FAMILY[..2], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Versioned, &people(10));
        field.run(&["expand"]).must(0);
        field.run(&["migrate"]).must(0);
        let mut session = field.session();
        session.run("create user limited").unwrap();
        session.run(&format!("grant all on `{}`.* to limited", field.database.name)).unwrap();
        session.run(&format!("grant all on `{}_v2`.* to limited", field.database.name)).unwrap();
        let limited = field.url().replace("root@", "limited@");
        let refused = Ran::of(&field.command_at(&limited, &["contract"]).output().unwrap());
        refused.must(1).says("may be clients of version v1").says("lacks PROCESS");
        Ran::of(&field.command_at(&limited, &["contract", "--all-nodes-upgraded"]).output().unwrap()).must(0);
        session.run("drop user limited").unwrap();
        field.must_be_new(lab);
    });
}

/// A stopped application needs no phases by hand, and one that is not stopped is named.
#[test]
fn all_at_once_for_a_stopped_application() {
    on(&FAMILY[1..], &[], |lab, dialect| {
        let field = Field::new(lab, dialect, "split", Access::Versioned, &people(3000));
        lab.engine.choose("mysql").unwrap();
        field.database.wait_alone().unwrap();
        let client = field.session();
        field.run(&["sync", "--offline"]).must(1).says("1 sessions are connected").says(&format!("session {}", client.id()));
        drop(client);
        field.database.wait_alone().unwrap();
        field.run(&["sync", "--offline", "--workers", "2"]).must(0).says("the database is at version v2");
        field.must_be_new(lab);
        field.run(&["migrate", "--max-lag", "1"]).must(1);
    });
}

/// Every third case, each on one server with one access: the runner ends where the scripts end, and what it reads from a manifest is
/// what the plan holds. `CROSSFADE_EVERY_CASE=1` takes them all.
#[test]
fn every_third_case() {
    let all = std::env::var_os("CROSSFADE_EVERY_CASE").is_some();
    let mut turn = 0;
    let mut cases: [Vec<(Case, Access)>; 2] = [Vec::new(), Vec::new()];
    for (number, case) in Case::every().into_iter().enumerate() {
        let case = case.unwrap();
        let server = number / 3 % 2;
        let family = FAMILY[server];
        if !case.file.dialects.contains(&family.dialect) || !(all || number % 3 == 0) {
            continue;
        }
        let case = case.in_dialect(family.dialect).unwrap();
        let access: Vec<Access> = case.file.access.iter().copied().filter(|access| !case.file.refused.contains_key(access)).collect();
        turn += 1;
        if let Some(access) = access.get(turn % access.len().max(1)).filter(|_| case.runs_on(family.name)) {
            cases[server].push((case, *access));
        }
    }
    assert!(cases.iter().all(|cases| cases.len() > 5));
    for (family, cases) in FAMILY.iter().zip(cases) {
        let Some(lab) = family.lab().unwrap() else { continue };
        lab.engine.choose("mysql").unwrap();
        let mut at_once_next = false;
        for (case, access) in cases {
            let seed = case.file.seed.clone();
            let field = Field::of(&lab, family.dialect, case, access, &seed);
            let name = format!("{} on {}, {}", field.case.name, family.name, access.name());
            let before = field.everything();
            // Two runs don't make the same random values.
            at_once_next = (!at_once_next || field.case.name.starts_with("mirror")) && field.case.name != "volatile-default";
            field.database.wait_alone().unwrap();
            let offline = at_once_next.then(|| field.copy(&lab, access));
            let said = field.run(&["doctor"]);
            assert!(!said.out.contains("[drift]") && !said.err.contains("can't be compared"), "{name}: {}{}", said.out, said.err);
            let run = |arguments: &[&str]| {
                let ran = field.run(arguments);
                assert_eq!(ran.code, 0, "{name}: {}: {}{}", arguments[0], ran.out, ran.err);
            };
            run(&["expand"]);
            if field.case.file.abort_keeps.is_empty() {
                run(&["abort"]);
                support::text::same(&format!("{name}: abort"), &before, &field.everything()).unwrap();
                run(&["expand"]);
            }
            run(&["migrate", "--workers", "2", "--batch-time", "1"]);
            run(&["contract", "--all-nodes-upgraded"]);
            field.must_be_new(&lab);
            if let Some(offline) = offline {
                offline.at_once(&lab);
                // Who makes a view is written into it.
                let everything = |field: &Field<'_>| {
                    let mut session = field.session();
                    let mut text = Catalog::read(&mut session).unwrap().product().replace("`offline`@`localhost`", "`root`@`localhost`");
                    text.push_str(&dump_tables(&mut session, &[]).unwrap());
                    text
                };
                support::text::same(&format!("{name}: all at once"), &everything(&field), &everything(&offline)).unwrap();
            }
        }
    }
}
