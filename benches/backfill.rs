//! A backfill against what it could be: one plain UPDATE of the whole table, without a trigger and with it, and (on PostgreSQL) the
//! method of touching every row so that a trigger fills it. All in one run on one server, as ratios. `ENGINE` (`postgres`, `mysql` or
//! `mariadb`; all), `ROWS` (1 000 000) and `CROSSFADE_POSTGRES` (a major version; the newest) choose.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossfade::diagnostic::{Sources, has_errors};
use crossfade::diff::{self, Options};
use crossfade::emit::program::Program;
use crossfade::engine::Connection;
use crossfade::engine::ephemeral::{mysql, postgres};
use crossfade::plan::model::Phase;
use crossfade::run::engine::Engine;
use crossfade::run::{self, Event, Observer, Task};
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use crossfade::{plan, snapshot};

const OLD: &str = "
version: v1
tables:
  items:
    columns: {id: bigint primary key, a: integer, b: varchar(200), c: varchar(200)}
    indexes: [{name: items_a_idx, columns: [a]}]
";
const NEW: &str = "
version: v2
tables:
  items:
    columns: {id: bigint primary key, a: integer, b2: varchar(200), c: varchar(200)}
    indexes: [{name: items_a_idx, columns: [a]}]
transition:
  from: v1
  tables: {items: {columns: {b2: {up: upper(b)}, b: {down: lower(b2)}}}}
";

fn schema(text: &str, dialect: Dialect) -> Schema {
    let mut sources = Sources::default();
    let file = sources.add("bench", text);
    let (snapshot, faults) = snapshot::read(&sources, &[file]);
    assert!(!has_errors(&faults));
    snapshot.resolve(dialect).0
}

fn program(old: &Schema, new: &Schema, dialect: Dialect, database: &str) -> Program {
    let schema = if dialect == Dialect::Postgres { "public" } else { database };
    let (diff, _) = diff::diff(old, new, dialect, &Options::default());
    let settings = plan::Settings { access: Access::Shared, schema: schema.to_owned(), allow: Vec::new() };
    let (plan, faults) = plan::plan(&diff, &settings, crossfade::dialect::target(dialect).unwrap());
    assert!(!has_errors(&faults), "{faults:?}");
    Program::of(&plan).unwrap()
}

/// When the rows were being filled.
#[derive(Default)]
struct Clock {
    begun: Mutex<Option<Instant>>,
    took: Mutex<Duration>,
}

impl Observer for Clock {
    fn hear(&self, event: &Event<'_>) {
        match event {
            Event::Fills(..) => *self.begun.lock().unwrap() = Some(Instant::now()),
            Event::Filled(..) => *self.took.lock().unwrap() = self.begun.lock().unwrap().unwrap().elapsed(),
            _ => {}
        }
    }
}

/// A throw-away server.
enum Server {
    Postgres(postgres::Server),
    Mysql(mysql::Server),
}

impl Server {
    fn name(&self) -> String {
        match self {
            Server::Postgres(server) => format!("PostgreSQL {}", server.installation().major),
            Server::Mysql(server) => {
                let (major, minor) = server.installation().version;
                format!("{} {major}.{minor}", if self.dialect() == Dialect::Mysql { "MySQL" } else { "MariaDB" })
            }
        }
    }

    fn dialect(&self) -> Dialect {
        match self {
            Server::Postgres(_) => Dialect::Postgres,
            Server::Mysql(server) => match server.installation().flavour {
                mysql::Flavour::Mysql => Dialect::Mysql,
                mysql::Flavour::Mariadb => Dialect::Mariadb,
            },
        }
    }

    fn session(&self, database: &str) -> Box<dyn Connection> {
        match self {
            Server::Postgres(server) => Box::new(crossfade::engine::postgres::Session::connect(&server.address(database)).unwrap()),
            Server::Mysql(server) => Box::new(crossfade::engine::mysql::Session::connect(&server.address(Some(database))).unwrap()),
        }
    }

    fn engine(&self, database: &str) -> Box<dyn Engine> {
        match self {
            Server::Postgres(server) => {
                let address = server.address(database);
                let folder = address.socket_folder.display().to_string().replace('/', "%2F");
                let url = format!("postgres://{}@{folder}:{}/{database}", address.user, address.port);
                Box::new(run::postgres::Postgres::at(&url).unwrap())
            }
            Server::Mysql(server) => {
                let address = server.address(Some(database));
                let socket = address.socket.display().to_string().replace('/', "%2F");
                let url = format!("{}://{}@localhost/{database}?socket={socket}", self.dialect().name(), address.user);
                Box::new(run::mysql::Mysql::at(&url).unwrap())
            }
        }
    }

    /// A database without a table.
    fn empty(&self, name: &str) -> Box<dyn Connection> {
        let (mut admin, drop) = match self {
            Server::Postgres(_) => (self.session("template1"), format!("drop database if exists {name} with (force)")),
            Server::Mysql(_) => (self.session("mysql"), format!("drop database if exists {name}")),
        };
        admin.run(&drop).unwrap();
        admin.run(&format!("create database {name}")).unwrap();
        self.session(name)
    }

    /// A database with the table as it was, before anything was done to it.
    fn fresh(&self, name: &str) -> Box<dyn Connection> {
        match self {
            Server::Postgres(_) => {
                let mut admin = self.session("template1");
                admin.run(&format!("drop database if exists {name} with (force)")).unwrap();
                drop(admin);
                // A session that was closed is gone a moment later.
                let until = Instant::now() + Duration::from_secs(20);
                while let Err(failure) = self.session("postgres").run(&format!("create database {name} template items strategy file_copy"))
                {
                    assert!(Instant::now() < until, "{failure}");
                }
                let mut session = self.session(name);
                session.run("checkpoint").unwrap();
                session
            }
            Server::Mysql(_) => {
                let mut session = self.empty(name);
                session.run("create table items like items.items").unwrap();
                session.run("insert into items select * from items.items order by id").unwrap();
                session
            }
        }
    }

    /// The table with its indexes, in bytes.
    fn size(&self, session: &mut dyn Connection) -> u64 {
        let query = match self {
            Server::Postgres(_) => "select pg_total_relation_size('items')".to_owned(),
            Server::Mysql(_) => {
                let spaces = if self.dialect() == Dialect::Mysql { "innodb_tablespaces" } else { "innodb_sys_tablespaces" };
                format!("select cast(file_size as char) from information_schema.{spaces} where name = concat(database(), '/items')")
            }
        };
        session.value(&query).unwrap().unwrap().parse().unwrap()
    }
}

struct Bench {
    server: Server,
    rows: u64,
    old: Schema,
    new: Schema,
}

impl Bench {
    fn program(&self, database: &str) -> Program {
        program(&self.old, &self.new, self.server.dialect(), database)
    }

    /// One UPDATE of all rows, without any trigger.
    fn plain(&self) -> (Duration, f64) {
        let mut session = self.server.fresh("plain");
        session.run("alter table items add column b2 varchar(200)").unwrap();
        let before = self.server.size(session.as_mut());
        let begun = Instant::now();
        session.run("update items set b2 = upper(b)").unwrap();
        (begun.elapsed(), growth(before, self.server.size(session.as_mut())))
    }

    /// One UPDATE of all rows with the triggers in place: what somebody would run by hand at that point.
    fn by_hand(&self) -> (Duration, f64) {
        let mut session = self.server.fresh("by_hand");
        self.expand("by_hand", session.as_mut());
        let before = self.server.size(session.as_mut());
        let begun = Instant::now();
        session.run("update items set b2 = upper(b)").unwrap();
        (begun.elapsed(), growth(before, self.server.size(session.as_mut())))
    }

    /// Runs the script of expand.
    fn expand(&self, database: &str, session: &mut dyn Connection) {
        let program = self.program(database);
        for unit in program.units(&program.scripts.expand) {
            for statement in &unit.statements {
                session.run(statement).unwrap();
            }
        }
    }

    /// The runner, with the triggers in place.
    fn runner(&self, workers: usize) -> (Duration, f64) {
        let mut session = self.server.fresh("runner");
        let program = self.program("runner");
        let engine = self.server.engine("runner");
        let clock = Clock::default();
        let stop = AtomicBool::new(false);
        let options = run::Options {
            wait: Duration::ZERO,
            patience: Duration::from_secs(60),
            workers,
            batch_time: Duration::from_millis(100),
            max_batches: None,
            pause_file: None,
            max_lag: None,
            replicas: Vec::new(),
            max_load: None,
            skip_failing: 0,
            schema_lock: false,
            offline: false,
            all_nodes_upgraded: false,
            stop: &stop,
        };
        run::run(engine.as_ref(), &program, Task::Phase(Phase::Expand), &options, &clock).unwrap();
        let before = self.server.size(session.as_mut());
        run::run(engine.as_ref(), &program, Task::Phase(Phase::Migrate), &options, &clock).unwrap();
        let took = *clock.took.lock().unwrap();
        (took, growth(before, self.server.size(session.as_mut())))
    }

    /// Every row is touched in batches of 1000 by key, so that a trigger fills it; a column tells which ones are left. Of its two
    /// triggers, one a direction, each takes the row apart into variables and asks the search path who writes. On PostgreSQL.
    fn touch(&self) -> (Duration, f64) {
        let mut session = self.server.fresh("touch");
        session.run("alter table items add column b2 varchar(200), add column is_left boolean default true").unwrap();
        for (name, writer, sets) in [
            ("a_up", "asked <> 'public_v2' or new.is_left", "new.b2 := upper(b); new.is_left := false;"),
            ("b_down", "asked = 'public_v2'", "new.b := lower(b2);"),
        ] {
            session
                .run(&format!(
                    "create function {name}() returns trigger language plpgsql as $$
                     declare
                       id items.id%type := new.id;
                       a items.a%type := new.a;
                       b items.b%type := new.b;
                       c items.c%type := new.c;
                       b2 items.b2%type := new.b2;
                       asked text;
                     begin
                       select current_setting('search_path') into asked;
                       if {writer} then {sets} end if;
                       return new;
                     end $$"
                ))
                .unwrap();
            session.run(&format!("create trigger {name} before insert or update on items for each row execute function {name}()")).unwrap();
        }
        let before = self.server.size(session.as_mut());
        let begun = Instant::now();
        let mut last = 0_i64;
        loop {
            let batch = format!(
                "with batch as (select id from items where is_left and id > {last} order by id limit 1000 for no key update),
                      touched as (update items set id = items.id from batch where items.id = batch.id returning items.id)
                 select max(id) from touched"
            );
            match session.value(&batch).unwrap() {
                Some(key) => last = key.parse().unwrap(),
                None => break,
            }
        }
        (begun.elapsed(), growth(before, self.server.size(session.as_mut())))
    }

    /// Single-row statements of the old version: the median of the ratios of 15 pairs of rounds, each round on two tables in turn that
    /// differ in the trigger and its column alone. So others who use the machine, and a table that gets fuller, are in both.
    fn writes(&self) -> f64 {
        let mut upgraded = self.server.fresh("synced");
        self.expand("synced", upgraded.as_mut());
        self.server.fresh("bare");
        let mut sides = ["bare", "synced"].map(|name| self.server.session(name));
        let mut ratios: Vec<f64> = (0..16_u64)
            .map(|round| {
                let [bare, synced] = [0, 1].map(|side| {
                    let begun = Instant::now();
                    for number in round * 2000..(round + 1) * 2000 {
                        let key = number * 7919 % self.rows + 1;
                        sides[side].run(&format!("update items set b = 'value {number}' where id = {key}")).unwrap();
                    }
                    begun.elapsed().as_secs_f64()
                });
                synced / bare
            })
            .skip(1) // they warm up
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    fn report(&self) {
        println!(
            "{}, {} rows; seconds, rows a second, times the plain UPDATE's rate, growth of the table with its indexes",
            self.server.name(),
            self.rows
        );
        self.plain();
        // The server is warm now.
        let (plain, grown) = self.plain();
        let show = |name: &str, (took, growth): (Duration, f64)| {
            let rate = self.rows as f64 / took.as_secs_f64();
            println!("{name:34} {:6.2} s {rate:9.0}/s {:5.2} {growth:4.0} %", took.as_secs_f64(), plain.as_secs_f64() / took.as_secs_f64());
            took
        };
        show("one plain UPDATE, no trigger", (plain, grown));
        let by_hand = show("one plain UPDATE, triggers live", self.by_hand());
        let one = show("runner, 1 worker, triggers live", self.runner(1));
        let two = show("runner, 2 workers, triggers live", self.runner(2));
        let times = |took: Duration| by_hand.as_secs_f64() / took.as_secs_f64();
        println!("against one plain UPDATE with the triggers live: 1 worker {:.2}, 2 workers {:.2}", times(one), times(two));
        println!("2 workers against 1: {:.2}", one.as_secs_f64() / two.as_secs_f64());
        if self.server.dialect() == Dialect::Postgres {
            let touch = show("every row touched, 1000 a batch", self.touch());
            println!("1 worker against touching: {:.2}", touch.as_secs_f64() / one.as_secs_f64());
        }
        println!("old version's single-row UPDATE with the trigger: {:.2} times the time without", self.writes());
    }
}

fn growth(before: u64, after: u64) -> f64 {
    100.0 * (after as f64 - before as f64) / before as f64
}

/// The newest server of each kind that was asked for, started one after the other, with memory enough for the table.
fn servers() -> impl Iterator<Item = Server> {
    let engine = std::env::var("ENGINE").ok();
    let major: Option<u32> = std::env::var("CROSSFADE_POSTGRES").ok().and_then(|text| text.parse().ok());
    [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb]
        .into_iter()
        .filter(move |dialect| engine.as_ref().is_none_or(|name| name == dialect.name()))
        .filter_map(move |dialect| {
            let flavour = match dialect {
                Dialect::Postgres => {
                    let found = postgres::installations().into_iter().rev().find(|found| major.is_none_or(|major| found.major == major))?;
                    return Some(Server::Postgres(postgres::Server::start_with(&found, &["shared_buffers=2GB"]).unwrap()));
                }
                Dialect::Mysql => mysql::Flavour::Mysql,
                Dialect::Mariadb | Dialect::Sqlite => mysql::Flavour::Mariadb,
            };
            let found = mysql::installations().into_iter().filter(|found| found.flavour == flavour).max_by_key(|found| found.version)?;
            Some(Server::Mysql(mysql::Server::start_with(&found, &["--innodb-buffer-pool-size=2G"]).unwrap()))
        })
}

fn main() {
    let rows: u64 = std::env::var("ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut any = false;
    for server in servers() {
        any = true;
        let dialect = server.dialect();
        let (old, new) = (schema(OLD, dialect), schema(NEW, dialect));
        let mut session = server.empty("items");
        let first = program(&Schema::empty(), &old, dialect, "items");
        for unit in first.units(&first.scripts.expand) {
            for statement in &unit.statements {
                session.run(statement).unwrap();
            }
        }
        if dialect == Dialect::Postgres {
            session.run("drop schema crossfade cascade").unwrap();
        }
        let made = match dialect {
            Dialect::Postgres => format!("select n from generate_series(1, {rows}) n"),
            _ => format!(
                "with recursive d (d) as (select 0 union all select d + 1 from d where d < 999)
                 select a.d * 1000000 + b.d * 1000 + c.d + 1 as n from d a join d b join d c where a.d * 1000000 + b.d * 1000 + c.d < {rows}
                   and a.d <= {rows} / 1000000"
            ),
        };
        let insert = match dialect {
            Dialect::Postgres => {
                format!("insert into items select n, (n::bigint * 7919) % 1000003, md5(n::text), repeat('x', 40) from ({made}) as made (n)")
            }
            _ => format!(
                "insert into items (id, a, b, c) select n, (n * 7919) % 1000003, left(sha2(n, 256), 32), repeat('x', 40) from ({made}) as made"
            ),
        };
        session.run(&insert).unwrap();
        session.run(if dialect == Dialect::Postgres { "vacuum (analyze) items" } else { "analyze table items" }).unwrap();
        drop(session);
        Bench { server, rows, old, new }.report();
    }
    if !any {
        println!("no server was found");
    }
}
