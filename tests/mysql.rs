//! MySQL and MariaDB: rows that both versions write at once; servers that are killed; accounts that may not make triggers.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crossfade::engine::Connection as _;
use crossfade::engine::mysql::Session;
use crossfade::sql::Dialect;
use support::case::{Access, Case, Side};
use support::catalog::Catalog;
use support::engine::Engine as _;
use support::engine::mysql::Mysql;
use support::lab::Database;
use support::scripts::{Phase, Scripts, compile_for};
use support::servers::{FAMILY, Family};
use support::shape::dump_tables;

const MYSQL: &Family = &FAMILY[0];
const MARIADB_10: &Family = &FAMILY[1];
const MARIADB_11: &Family = &FAMILY[2];

fn case(name: &str) -> Case {
    Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)).unwrap()
}

fn compiled(name: &str, access: Access, dialect: Dialect) -> Scripts {
    let case = case(name).in_dialect(dialect).unwrap();
    compile_for(&case, access, dialect).unwrap_or_else(|report| panic!("{report}"))
}

// --- rows that many clients write ---

/// Rows that everybody writes.
const ROWS: u64 = 20;
/// Transactions of one client.
const TIMES: u64 = 100;
/// A client that met a deadlock tries again; more often than this it is a fault.
const ATTEMPTS: u32 = 200;

#[test]
fn rows_in_two_tables_on_mysql() {
    hot_rows(MYSQL, Access::Versioned);
}

#[test]
fn rows_in_two_tables_on_mariadb() {
    hot_rows(MARIADB_11, Access::Shared);
}

/// The numbers of one client, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Run<'lab> {
    database: Database<'lab, Mysql>,
    scripts: Scripts,
    access: Access,
}

fn hot_rows(family: &Family, access: Access) {
    let scripts = compiled("mirror-hot-rows", access, family.dialect);
    let Some(lab) = family.lab().unwrap() else { return };
    let database = lab.empty().unwrap();
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap();
    }
    let numbers: Vec<String> = (0..=ROWS).map(|n| format!("({n}, 'part')")).collect();
    database.run(&format!("insert into parts (id, name) values {}", numbers.join(", ")), "seed").unwrap();
    let run = Run { database, scripts, access };
    // The old version writes while expand and migrate run; the new one from then on.
    let mut counted: Vec<u64> = thread::scope(|scope| {
        let clients = [11, 12].map(|seed| {
            scope.spawn({
                let run = &run;
                move || run.write(Side::Old, seed)
            })
        });
        run.phase(Phase::Expand);
        run.phase(Phase::Migrate);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    counted.extend(thread::scope(|scope| {
        let run = &run;
        let clients =
            [(Side::Old, 1), (Side::New, 2), (Side::Old, 3), (Side::New, 4)].map(|(side, seed)| scope.spawn(move || run.write(side, seed)));
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<u64>>()
    }));
    let mut session = run.client(Side::Old);
    let mut rows = |query: &str| session.value(query).unwrap().unwrap();
    let unlike = "not (binary p.name <=> binary i.label and p.hits <=> i.visits)";
    for (join, what) in [("parts p left join items i", "i.number is null"), ("items i left join parts p", "p.id is null")] {
        let found = rows(&format!("select count(*) from {join} on i.number = p.id where {what} or {unlike}"));
        assert_eq!(found, "0", "rows on which the two tables differ");
    }
    let hits = rows("select sum(hits) from tally");
    assert_eq!(hits, counted.iter().sum::<u64>().to_string(), "transactions that were acknowledged");
    let missing = rows("select count(*) from tally t where t.kept and not exists (select * from items i where i.number = t.id)");
    assert_eq!(missing, "0", "rows that were inserted, acknowledged and never deleted");
    let counter = rows("select (select hits from parts where id = 0) - (select sum(hits) from tally where id = 0)");
    assert_eq!(counter, "0", "increments of the row that everybody counts in");
    run.phase(Phase::Contract);
}

impl Run<'_> {
    fn client(&self, side: Side) -> Session {
        let mut session = self.database.connect().unwrap();
        if side == Side::New && self.access == Access::Versioned {
            session.run(&format!("use `{}_{}`", self.database.name, self.scripts.new_version)).unwrap();
        }
        session
    }

    fn phase(&self, phase: Phase) {
        for attempt in 1.. {
            match self.database.run(self.scripts.of(phase), phase.name()) {
                Ok(()) => return,
                // A lock that somebody held for too long: the operator runs the script again.
                Err(report) if ["1020", "1205", "1213"].iter().any(|number| report.contains(number)) && attempt < 50 => {}
                Err(report) => panic!("{report}"),
            }
        }
    }

    /// Inserts, updates, deletes and changes of keys, and in each transaction one increment of row 0. Each reads first, so
    /// that it has an older state of the rows in view than the one that it changes. Returns how many were acknowledged.
    fn write(&self, side: Side, seed: u64) -> u64 {
        let mut session = self.client(side);
        let mut numbers = Numbers(seed);
        let (table, key, name, count) = match side {
            Side::Old => ("parts", "id", "name", "hits"),
            Side::New => ("items", "number", "label", "visits"),
        };
        let tally = format!("`{}`.tally", self.database.name);
        for time in 0..TIMES {
            let (row, other, own) = (1 + numbers.below(ROWS), 1 + numbers.below(ROWS), 1_000_000 * seed + time);
            let kind = numbers.below(7);
            let work = match kind {
                0 => {
                    format!("insert into {table} ({key}, {name}) values ({row}, 'n{own}') on duplicate key update {name} = values({name})")
                }
                1 => format!("delete from {table} where {key} = {row}"),
                2 => format!("update {table} set {key} = {other} where {key} = {row}"),
                3 => format!("insert into {table} ({key}, {name}) values ({own}, 'own')"),
                4 => format!("replace into {table} ({key}, {name}) values ({row}, 'r{own}')"),
                _ => format!("update {table} set {name} = 'u{own}' where {key} = {row}"),
            };
            let mut statements = vec![
                "start transaction".to_owned(),
                format!("select count(*) from {table}"),
                work,
                format!("update {table} set {count} = {count} + 1 where {key} = 0"),
                format!("insert into {tally} (id, hits, kept) values (0, 1, false)"),
            ];
            if kind == 3 {
                statements.push(format!("insert into {tally} (id, hits, kept) values ({own}, 0, true)"));
            }
            statements.push("commit".to_owned());
            for attempt in 1.. {
                let failed = statements.iter().find_map(|statement| session.run(statement).err().map(|failure| (statement, failure)));
                let Some((statement, failure)) = failed else { break };
                let code = failure.code.clone().unwrap_or_default();
                session.run("rollback").unwrap();
                if kind == 2 && code == "1062" {
                    // The key is taken: nothing to do.
                    statements.remove(2);
                    continue;
                }
                let expected = ["1213", "1205", "1020"].contains(&code.as_str());
                assert!(expected && attempt < ATTEMPTS, "{side:?}: {statement}: {failure}");
            }
        }
        TIMES
    }
}

// --- a server that is killed ---

#[test]
fn mysql_is_killed() {
    killed(MYSQL, "split", Access::Shared, "users (id, full_name) select n, concat('Ada L', n)", [20, 50, 80]);
    killed(MYSQL, "mirror-hot-rows", Access::Versioned, "parts (id, name) select n, concat('part ', n)", [70, 30, 60]);
}

#[test]
fn mariadb_is_killed() {
    killed(MARIADB_11, "split", Access::Versioned, "users (id, full_name) select n, concat('Ada L', n)", [60, 30, 40]);
    killed(MARIADB_11, "mirror-hot-rows", Access::Shared, "parts (id, name) select n, concat('part ', n)", [35, 75, 25]);
}

/// The numbers from 1 to 20 000, as `n`.
const NUMBERS: &str = "with digits (i) as (select 0 union all select 1 union all select 2 union all select 3 union all select 4
    union all select 5 union all select 6 union all select 7 union all select 8 union all select 9)
  select 1 + a.i + 10 * b.i + 100 * c.i + 1000 * d.i + 10000 * e.i as n
  from digits a, digits b, digits c, digits d, (select 0 as i union all select 1) e";

/// Two databases on one server: one goes through the phases undisturbed, the other one is killed in the middle of each.
fn killed(family: &Family, name: &str, access: Access, seed: &str, points: [u32; 3]) {
    let scripts = compiled(name, access, family.dialect);
    let Some(installation) = family.installation().unwrap() else { return };
    // What a client was told is done must be there.
    let mut server = Mysql::start_with(&installation, (0, 1), &["--innodb-flush-log-at-trx-commit=1"]).unwrap();
    let [twin, victim] = [1, 2].map(|number| {
        let database = server.name(number);
        server.create(&database).unwrap();
        for script in &scripts.install_old {
            must_run(&server, &database, script);
        }
        must_run(&server, &database, &format!("insert into {seed} from ({NUMBERS}) as numbers;"));
        database
    });
    for (phase, point) in [Phase::Expand, Phase::Migrate, Phase::Contract].into_iter().zip(points) {
        let script = scripts.of(phase);
        let begun = Instant::now();
        must_run(&server, &twin, script);
        let time = begun.elapsed();
        let mut client = server.spawn(&victim, script, "root").unwrap();
        thread::sleep(time * point / 100);
        server.crash().unwrap();
        let in_the_middle = !client.wait().unwrap().success();
        let what = format!("{}, {} of {name}, killed at {point} %", family.name, phase.name());
        eprintln!("{what}: {}", if in_the_middle { "in the middle" } else { "it had just finished" });
        must_run(&server, &victim, script);
        let ends = [&twin, &victim].map(|database| everything(&server, database));
        support::text::same(&what, &ends[0], &ends[1]).unwrap();
    }
    let alone = server.name(3);
    server.create(&alone).unwrap();
    for script in &scripts.install_new {
        must_run(&server, &alone, script);
    }
    let [victim, alone] = [victim, alone].map(|database| Catalog::read(&mut server.connect(&database).unwrap()).unwrap());
    victim.must_equal(&alone, "the catalog after all phases, and that of the new snapshot alone").unwrap();
}

/// A script that met a lock is run again, as its operator would: a transaction of a client that is gone may hold one for a moment.
fn must_run(server: &Mysql, database: &str, script: &str) {
    for attempt in 1.. {
        let (code, said) = server.client(database, script).unwrap();
        if code == 0 {
            return;
        }
        assert!(said.contains("1205") && attempt < 20, "{said}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Catalog, rows, and how far it is.
fn everything(server: &Mysql, database: &str) -> String {
    let mut session = server.connect(database).unwrap();
    let mut text = Catalog::read(&mut session).unwrap().all();
    text.push_str(&dump_tables(&mut session, &[]).unwrap());
    for row in session.run("select old_version, new_version, phase, revision from crossfade_version").unwrap().rows {
        text.push_str(&support::shape::row_text(&row));
    }
    text
}

// --- columns that the server sets on every UPDATE ---

#[test]
fn what_is_set_on_update_stays_as_it_is() {
    let changes = [
        ("split", Access::Shared, "users (id, full_name) select n, concat('Ada L', n)", "update users set full_name = 'Bo' where id = 1"),
        ("retype-mysql", Access::Versioned, "orders (id, code) select n, concat('x', n)", "update orders set amount = 11 where id = 1"),
    ];
    for family in [MYSQL, MARIADB_10, MARIADB_11] {
        let Some(lab) = family.lab().unwrap() else { continue };
        for (name, access, seed, write) in changes {
            let scripts = compiled(name, access, family.dialect);
            let table = seed.split(' ').next().unwrap();
            let database = lab.empty().unwrap();
            for script in &scripts.install_old {
                database.run(script, "installing the old snapshot").unwrap();
            }
            let column = "timestamp not null default '2001-01-01 12:00:00' on update current_timestamp";
            database.run(&format!("alter table {table} add column written_at {column}"), "a column that no snapshot knows").unwrap();
            database.run(&format!("insert into {seed} from ({NUMBERS}) as numbers"), "seed").unwrap();
            let bumped = || {
                let query = format!("select count(*) from {table} where written_at <> '2001-01-01 12:00:00'");
                database.connect().unwrap().value(&query).unwrap().unwrap()
            };
            let what = format!("{}, {name}", family.name);
            for phase in [Phase::Expand, Phase::Migrate] {
                database.run(scripts.of(phase), phase.name()).unwrap();
                assert_eq!(bumped(), "0", "{what}: rows that nobody but {} has written", phase.name());
            }
            database.run(write, "the old version").unwrap();
            assert_eq!(bumped(), "1", "{what}: a row that the old version has written");
            database.run(&scripts.contract, "contract").unwrap();
            assert_eq!(bumped(), "1", "{what}: rows that nobody but contract has written");
        }
    }
}

// --- an account that may not make triggers ---

#[test]
fn without_super_expand_stops_before_it_changes_anything() {
    for (family, binary_log) in [(MYSQL, "--log-bin=log"), (MARIADB_10, "--log-bin=log"), (MARIADB_11, "--log-bin=log")] {
        for name in ["split", "mirror-hot-rows"] {
            let scripts = compiled(name, Access::Shared, family.dialect);
            assert!(scripts.expand.contains("log_bin_trust_function_creators = 1: the script tries that"), "{name}: the header");
            let Some(installation) = family.installation().unwrap() else { continue };
            let server = Mysql::start_with(&installation, (0, 1), &[binary_log, "--server-id=1"]).unwrap();
            let database = server.name(1);
            server.create(&database).unwrap();
            for script in &scripts.install_old {
                must_run(&server, &database, script);
            }
            must_run(&server, &database, &format!("create user operator; grant all on {database}.* to operator;"));
            let shape = |server: &Mysql| Catalog::read(&mut server.connect(&database).unwrap()).unwrap().all();
            let before = shape(&server);
            let run = || {
                let output = server.spawn(&database, &scripts.expand, "operator").unwrap().wait_with_output().unwrap();
                (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
            };
            let (done, said) = run();
            assert!(!done && said.contains("1419") && said.contains("log_bin_trust_function_creators"), "{}: {said}", family.name);
            support::text::same("the catalog after an expand that may not make triggers", &before, &shape(&server)).unwrap();
            must_run(&server, &database, "set global log_bin_trust_function_creators = 1;");
            let (done, said) = run();
            assert!(done, "{}: {name}: {said}", family.name);
        }
    }
}
