//! A whole upgrade by the runner, under load: old clients write, expand, migrate, new clients join, the old ones leave, contract. No
//! client sees an error that a plain database would not give, and every token that was written is there at the end. The longest
//! stall of a client in each phase is printed.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossfade::engine::Connection as _;
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::engine::Engine;
use support::lab::{Database, Lab};
use support::scripts::compile_for;
use support::servers::{self, FAMILY};

const ROWS: u64 = 20_000;
/// An idle machine shows less than half a second. This one may be loaded.
const STALL: Duration = Duration::from_secs(15);
/// The times that a client's stalls are told for.
const TIMES: [&str; 6] = ["before", "expand", "migrate", "both versions", "contract", "after"];

/// What differs between the kinds of databases.
struct Place<'a, E: Engine> {
    lab: &'a Lab<E>,
    url: &'a (dyn Fn(&Database<'_, E>) -> String + Sync),
    /// What a client says first, besides choosing its namespace.
    greeting: &'a (dyn Fn(Option<&str>) -> Vec<String> + Sync),
    /// Further arguments of contract: where the sessions tell who is left, there are none.
    contract: &'a [&'a str],
    /// Errors after which a client of a plain database tries again, too.
    again: &'a [&'a str],
}

/// Clients at work.
struct Load<'a, E: Engine> {
    place: &'a Place<'a, E>,
    database: &'a Database<'a, E>,
    time: AtomicUsize,
    slowest: Mutex<[Duration; TIMES.len()]>,
    again: AtomicUsize,
    count: AtomicUsize,
}

impl<E: Engine> Load<'_, E> {
    /// Writes tokens and hot rows, and reads back what it wrote, until it is told to stop. Gives the number of its tokens.
    fn client(&self, version: Option<&str>, number: u64, stop: &AtomicBool) -> u64 {
        let engine = &self.place.lab.engine;
        let mut session = self.database.connect().unwrap();
        engine.enter(&mut session, &self.database.name, version).unwrap();
        (self.place.greeting)(version).iter().for_each(|words| drop(session.run(words).unwrap()));
        let users = version.map_or("users".to_owned(), |version| engine.reach("users", version));
        let whole =
            if engine.dialect() == Dialect::Sqlite { "first_name || ' ' || last_name" } else { "concat(first_name, ' ', last_name)" };
        let mut tokens = 0;
        while !stop.load(Ordering::Relaxed) {
            tokens += 1;
            let id = number * 1_000_000 + tokens;
            let hot = 1 + tokens * 7919 % ROWS;
            let (insert, update, read) = match version {
                None => (
                    format!("insert into {users} (id, full_name) values ({id}, 'Tok {id}')"),
                    format!("update {users} set full_name = 'Hot C{id}' where id = {hot}"),
                    format!("select full_name from {users} where id = {id}"),
                ),
                Some(_) => (
                    format!("insert into {users} (id, first_name, last_name) values ({id}, 'Tok', '{id}')"),
                    format!("update {users} set first_name = 'Hot', last_name = 'C{id}' where id = {hot}"),
                    format!("select {whole} from {users} where id = {id}"),
                ),
            };
            self.run(&mut session, &insert);
            self.run(&mut session, &update);
            assert_eq!(self.run(&mut session, &read), Some(format!("Tok {id}")), "client {number} does not see its own write");
            if engine.dialect() == Dialect::Sqlite {
                // Its lock is no queue: who never rests keeps the others out.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        tokens
    }

    fn run(&self, session: &mut E::Session, statement: &str) -> Option<String> {
        let begun = Instant::now();
        let time = self.time.load(Ordering::Relaxed);
        let found = loop {
            match session.value(statement) {
                Ok(found) => break found,
                Err(failure) if self.place.again.contains(&failure.code.as_deref().unwrap_or_default()) => {
                    self.again.fetch_add(1, Ordering::Relaxed);
                }
                Err(failure) => panic!("{}: {statement}: {failure}", TIMES[self.time.load(Ordering::Relaxed)]),
            }
        };
        self.count.fetch_add(1, Ordering::Relaxed);
        // It counts for the time that it began in, and for the one that it ended in.
        let mut slowest = self.slowest.lock().unwrap();
        for time in [time, self.time.load(Ordering::Relaxed)] {
            slowest[time] = slowest[time].max(begun.elapsed());
        }
        found
    }

    fn now(&self, what: &str) {
        self.time.store(TIMES.iter().position(|time| *time == what).unwrap(), Ordering::Relaxed);
    }
}

/// Whether a run of the program succeeds, and what it said.
fn crossfade(case: &Case, url: &str, database: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg(arguments[0]).arg(case.folder.join("old.yaml")).arg(case.folder.join("new.yaml"));
    command.args(["--access", "versioned", "--database", database, "--url", url]).args(&arguments[1..]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn case(dialect: Dialect) -> Case {
    Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/split")).unwrap().in_dialect(dialect).unwrap()
}

/// A database at the old version, with rows.
fn old<'lab, E: Engine>(lab: &'lab Lab<E>, case: &Case, seed: &str) -> Database<'lab, E> {
    let scripts = compile_for(case, Access::Versioned, lab.engine.dialect()).unwrap();
    let database = lab.empty().unwrap();
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap();
    }
    database.write(seed, "seed").unwrap();
    database.wait_alone().unwrap();
    database
}

fn upgrade<E: Engine<Session: Send>>(name: &str, place: &Place<'_, E>, seed: &str) {
    let case = case(place.lab.engine.dialect());
    let database = old(place.lab, &case, seed);
    let url = (place.url)(&database);
    let load = Load {
        place,
        database: &database,
        time: AtomicUsize::new(0),
        slowest: Mutex::default(),
        again: AtomicUsize::new(0),
        count: AtomicUsize::new(0),
    };
    let run = |arguments: &[&str]| {
        load.now(arguments[0]);
        let (passed, said) = crossfade(&case, &url, &database.name, arguments);
        assert!(passed, "{name}: {}: {said}", arguments[0]);
    };
    let rest = || std::thread::sleep(Duration::from_millis(300));
    let (old_leave, new_leave) = (AtomicBool::new(false), AtomicBool::new(false));
    let tokens: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let load = &load;
        let client = |version, number, stop| (number, scope.spawn(move || load.client(version, number, stop)));
        let old_clients = [1, 2].map(|number| client(None, number, &old_leave));
        // Whatever fails, the clients end, so that the failure is seen.
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rest();
            run(&["expand"]);
            run(&["migrate", "--workers", "2"]);
            load.now("both versions");
        }));
        let new_clients = passed.is_ok().then(|| [3, 4].map(|number| client(Some("v2"), number, &new_leave)));
        rest();
        if place.contract.is_empty() && passed.is_ok() {
            // Sessions that have ended are seen for a moment, and one that has just begun has not said yet which version it is.
            let begun = Instant::now();
            loop {
                let (contracted, said) = crossfade(&case, &url, &database.name, &["contract"]);
                if !contracted && said.contains("2 sessions may be clients of version v1") {
                    break;
                }
                if contracted || begun.elapsed() > Duration::from_secs(60) {
                    old_leave.store(true, Ordering::Relaxed);
                    new_leave.store(true, Ordering::Relaxed);
                    panic!("{name}: {said}");
                }
            }
        }
        old_leave.store(true, Ordering::Relaxed);
        let mut tokens: Vec<_> = old_clients.into_iter().map(|(number, client)| (number, client.join().unwrap())).collect();
        let passed = passed.and_then(|()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let begun = Instant::now();
                // Sessions that have ended are seen for a moment.
                while place.contract.is_empty() && crossfade(&case, &url, &database.name, &["status"]).1.matches("session ").count() > 2 {
                    assert!(begun.elapsed() < Duration::from_secs(60), "{name}: an old client does not leave");
                    std::thread::sleep(Duration::from_millis(50));
                }
                run(&[&["contract"], place.contract].concat());
                load.now("after");
                rest();
            }))
        });
        new_leave.store(true, Ordering::Relaxed);
        tokens.extend(new_clients.into_iter().flatten().map(|(number, client)| (number, client.join().unwrap())));
        if let Err(panic) = passed {
            std::panic::resume_unwind(panic);
        }
        tokens
    });

    let mut session = database.connect().unwrap();
    place.lab.engine.enter(&mut session, &database.name, Some("v2")).unwrap();
    let users = place.lab.engine.reach("users", "v2");
    let exactly = if ["mysql", "mariadb"].contains(&place.lab.engine.dialect().name()) { "binary last_name" } else { "last_name" };
    let mut count = |condition: &str| -> u64 {
        let value = session.value(&format!("select count(*) from {users} where {condition}")).unwrap().unwrap();
        value.parse().unwrap()
    };
    for (number, tokens) in &tokens {
        let (from, to) = (number * 1_000_000, (number + 1) * 1_000_000);
        let own = format!("id > {from} and id < {to} and first_name = 'Tok' and {exactly} = cast(id as char(20))");
        assert_eq!(count(&own), *tokens, "{name}: tokens of client {number}");
    }
    assert_eq!(
        count(&format!("id <= {ROWS} and (first_name = 'Hot' and last_name like 'C%' or first_name = 'Ada' and last_name like 'L%')")),
        ROWS
    );
    assert_eq!(count("1 = 1"), ROWS + tokens.iter().map(|(_, tokens)| tokens).sum::<u64>());
    let slowest = *load.slowest.lock().unwrap();
    let told: Vec<String> = TIMES.iter().zip(slowest).map(|(time, slowest)| format!("{time} {} ms", slowest.as_millis())).collect();
    let (count, again) = (load.count.load(Ordering::Relaxed), load.again.load(Ordering::Relaxed));
    eprintln!("{name}: {count} statements, {again} tried again; the longest stall: {}", told.join(", "));
    assert!(slowest.iter().all(|slowest| *slowest < STALL), "{name}: {}", told.join(", "));
}

fn postgres_url(database: &Database<'_>) -> String {
    let address = database.address();
    let folder = address.socket_folder.display().to_string().replace('/', "%2F");
    format!("postgres://{}@{folder}:{}/{}", address.user, address.port, address.database)
}

const PEOPLE: &str = "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 20000) n";

#[test]
fn on_postgres() {
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let place = Place {
            lab: &lab,
            url: &|database| postgres_url(database),
            greeting: &|version| vec![format!("set application_name = 'shop/{}'", version.unwrap_or("v1"))],
            contract: &[],
            again: &["40P01", "40001"],
        };
        upgrade(&format!("PostgreSQL {major}"), &place, PEOPLE);
    }
}

#[test]
fn on_mysql_and_mariadb() {
    let seed = "insert into users (id, full_name) with recursive n (n) as (select 1 union all select n + 1 from n where n < 200)
                select (a.n - 1) * 200 + b.n, concat('Ada L', (a.n - 1) * 200 + b.n) from n a join n b on true where a.n <= 100";
    for server in FAMILY {
        let Some(lab) = server.lab().unwrap() else { continue };
        lab.engine.choose("mysql").unwrap();
        let url = |database: &Database<'_, support::engine::mysql::Mysql>| {
            let address = lab.engine.address(&database.name);
            let socket = address.socket.display().to_string().replace('/', "%2F");
            format!("{}://{}@localhost/{}?socket={socket}", server.dialect.name(), address.user, database.name)
        };
        let place = Place { lab: &lab, url: &url, greeting: &|_| Vec::new(), contract: &[], again: &["1213"] };
        upgrade(server.name, &place, seed);
    }
}

#[test]
fn on_sqlite() {
    let Some(lab) = servers::sqlite().unwrap() else { return };
    let seed = "insert into users (id, full_name) with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) select i, 'Ada L' || i from n";
    let place = Place {
        lab: &lab,
        url: &|database| format!("sqlite:{}", lab.engine.file(&database.name).display()),
        greeting: &|_| vec!["pragma busy_timeout = 30000".to_owned()],
        contract: &["--all-nodes-upgraded"],
        again: &[],
    };
    upgrade("SQLite", &place, seed);
}

/// The same phases under pgbench, which aborts a client at its first error.
#[test]
fn under_pgbench() {
    // It comes with the server, in Debian's package; any version of it speaks with each server.
    let folders = servers::MAJORS.map(|major| Path::new("/usr/lib/postgresql").join(major.to_string()).join("bin"));
    let own = crossfade::engine::ephemeral::postgres::installations().into_iter().map(|one| one.programs);
    let Some(pgbench) = own.chain(folders).map(|folder| folder.join("pgbench")).find(|program| program.is_file()) else {
        eprintln!("\n!!! NOT TESTED: there is no pgbench on this machine\n");
        return;
    };
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let case = case(Dialect::Postgres);
        let database = old(&lab, &case, PEOPLE);
        let (address, url, folder) = (database.address(), postgres_url(&database), tempfile::tempdir().unwrap());
        let mut tokens = 0;
        for (number, phase) in ["expand", "migrate", "contract"].into_iter().enumerate() {
            let new = phase == "contract";
            let (write, add) = if new {
                ("first_name = 'Hot', last_name = 'C' || :n", "(id, first_name, last_name) values (:token, 'Tok', :token::text)")
            } else {
                ("full_name = 'Hot C' || :n", "(id, full_name) values (:token, 'Tok ' || :token)")
            };
            // Numbers of a sequence are no part of the upgrade, and no two clients get the same.
            if number == 0 {
                database.write("create schema bench; create sequence bench.tokens start 1000000", "a sequence").unwrap();
                database.wait_alone().unwrap();
            }
            let script = format!(
                "\\set n random(1, {ROWS})\nupdate users set {write} where id = :n;\nselect nextval('bench.tokens') as token \\gset\ninsert into users {add};\n"
            );
            let file = folder.path().join(format!("{phase}.bench"));
            std::fs::write(&file, script).unwrap();
            let mut bench = Command::new(&pgbench);
            bench.args(["-n", "-c", "3", "-j", "1", "-T", "2", "-l", "-h"]).arg(&address.socket_folder);
            bench.args(["-p", &address.port.to_string(), "-U", &address.user, "-f"]).arg(&file).arg(&address.database);
            bench.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if new {
                bench.env("PGOPTIONS", "-c search_path=public_v2").env("PGAPPNAME", "shop/v2");
            }
            let bench = bench.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(500));
            let (passed, said) = crossfade(&case, &url, &database.name, &[phase]);
            let output = bench.wait_with_output().unwrap();
            let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(passed, "PostgreSQL {major}: {phase}: {said}");
            assert!(output.status.success() && told.contains("number of failed transactions: 0"), "PostgreSQL {major}: {phase}: {told}");
            // A line a transaction: client, number, microseconds, …
            let (mut longest, mut count) = (0, 0);
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with("pgbench_log") {
                    for line in std::fs::read_to_string(&path).unwrap().lines() {
                        longest = longest.max(line.split(' ').nth(2).unwrap().parse::<u64>().unwrap());
                        count += 1;
                    }
                    std::fs::remove_file(path).unwrap();
                }
            }
            tokens += count;
            eprintln!("PostgreSQL {major}, pgbench beside {phase}: {count} transactions, the longest took {} ms", longest / 1000);
            assert!(Duration::from_micros(longest) < STALL, "PostgreSQL {major}: {phase}: {longest} us");
        }
        let mut session = database.connect().unwrap();
        let found =
            session.value("select count(*) from users where id >= 1000000 and (first_name, last_name) = ('Tok', id::text)").unwrap();
        assert_eq!(found, Some(tokens.to_string()), "PostgreSQL {major}: tokens");
    }
}
