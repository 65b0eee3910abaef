//! A backfill on PostgreSQL against what it could be: one plain UPDATE of the whole table, and the method of touching every row so
//! that a trigger fills it. All in one run on one server, as ratios. `ROWS` (1 000 000) and `CROSSFADE_POSTGRES` (the newest) choose.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossfade::diagnostic::{Sources, has_errors};
use crossfade::diff::{self, Options};
use crossfade::emit::program::Program;
use crossfade::engine::ephemeral::postgres::{Server, installations};
use crossfade::engine::postgres::Session;
use crossfade::plan::model::Phase;
use crossfade::run::postgres::Postgres;
use crossfade::run::{self, Event, Observer, Task};
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use crossfade::{plan, snapshot};

const OLD: &str = "
version: v1
tables:
  items:
    columns: {id: bigint primary key, a: integer, b: text, c: text}
    indexes: [{name: items_a_idx, columns: [a]}]
";
const NEW: &str = "
version: v2
tables:
  items:
    columns: {id: bigint primary key, a: integer, b2: text, c: text}
    indexes: [{name: items_a_idx, columns: [a]}]
transition:
  from: v1
  tables: {items: {columns: {b2: {up: upper(b)}, b: {down: lower(b2)}}}}
";

fn schema(text: &str) -> Schema {
    let mut sources = Sources::default();
    let file = sources.add("bench", text);
    let (snapshot, faults) = snapshot::read(&sources, &[file]);
    assert!(!has_errors(&faults));
    snapshot.resolve(Dialect::Postgres).0
}

fn program(old: &Schema, new: &Schema) -> Program {
    let (diff, _) = diff::diff(old, new, Dialect::Postgres, &Options::default());
    let settings = plan::Settings { access: Access::Shared, schema: "public".to_owned(), allow: Vec::new() };
    let (plan, faults) = plan::plan(&diff, &settings, &crossfade::dialect::postgres::Postgres);
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

struct Bench {
    server: Server,
    rows: u64,
    program: Program,
}

impl Bench {
    fn session(&self, database: &str) -> Session {
        Session::connect(&self.server.address(database)).unwrap()
    }

    /// A database with the table as it was, before anything was done to it.
    fn fresh(&self, name: &str) -> Session {
        let mut admin = self.session("template1");
        admin.run(&format!("drop database if exists {name} with (force)")).unwrap();
        drop(admin);
        // A session that was closed is gone a moment later.
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(failure) = self.session("postgres").run(&format!("create database {name} template items strategy file_copy")) {
            assert!(Instant::now() < until, "{failure}");
        }
        let mut session = self.session(name);
        session.run("checkpoint").unwrap();
        session
    }

    fn size(session: &mut Session) -> u64 {
        session.value("select pg_total_relation_size('items')").unwrap().unwrap().parse().unwrap()
    }

    /// One UPDATE of all rows, without any trigger.
    fn plain(&self) -> (Duration, f64) {
        let mut session = self.fresh("plain");
        session.run("alter table items add column b2 text").unwrap();
        let before = Self::size(&mut session);
        let begun = Instant::now();
        session.run("update items set b2 = upper(b)").unwrap();
        (begun.elapsed(), growth(before, Self::size(&mut session)))
    }

    /// The runner, with the triggers in place.
    fn runner(&self, workers: usize) -> (Duration, f64) {
        let mut session = self.fresh("runner");
        let address = self.server.address("runner");
        let folder = address.socket_folder.display().to_string().replace('/', "%2F");
        let engine = Postgres::at(&format!("postgres://{}@{folder}:{}/runner", address.user, address.port)).unwrap();
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
            skip_failing: 0,
            schema_lock: false,
            offline: false,
            all_nodes_upgraded: false,
            stop: &stop,
        };
        run::run(&engine, &self.program, Task::Phase(Phase::Expand), &options, &clock).unwrap();
        let before = Self::size(&mut session);
        run::run(&engine, &self.program, Task::Phase(Phase::Migrate), &options, &clock).unwrap();
        let took = *clock.took.lock().unwrap();
        (took, growth(before, Self::size(&mut session)))
    }

    /// Every row is touched in batches of 1000 by key, so that a trigger fills it; a column tells which ones are left.
    fn touch(&self) -> (Duration, f64) {
        let mut session = self.fresh("touch");
        for statement in [
            "alter table items add column b2 text, add column is_left boolean default true",
            "create function fill() returns trigger language plpgsql as $$ begin if new.b is distinct from old.b or old.is_left then new.b2 := upper(new.b); end if; return new; end $$",
            "create function settle() returns trigger language plpgsql as $$ begin new.is_left := false; return new; end $$",
            "create trigger a_fill before update on items for each row execute function fill()",
            "create trigger b_settle before update on items for each row execute function settle()",
        ] {
            session.run(statement).unwrap();
        }
        let before = Self::size(&mut session);
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
        (begun.elapsed(), growth(before, Self::size(&mut session)))
    }

    /// Single-row statements of the old version, without triggers and with them.
    fn writes(&self) -> (Duration, Duration) {
        let mut times = [Duration::MAX; 2];
        let mut session = self.fresh("writes");
        for time in &mut times {
            // The better of three, as others use the machine too.
            for _ in 0..3 {
                let begun = Instant::now();
                for key in 0..10_000_u64 {
                    session.run(&format!("update items set b = 'value {key}' where id = {}", key * 7919 % self.rows + 1)).unwrap();
                }
                *time = begun.elapsed().min(*time);
            }
            for unit in self.program.units(&self.program.scripts.expand) {
                for statement in &unit.statements {
                    session.run(statement).unwrap();
                }
            }
        }
        (times[0], times[1])
    }
}

fn growth(before: u64, after: u64) -> f64 {
    100.0 * (after as f64 - before as f64) / before as f64
}

fn main() {
    let rows: u64 = std::env::var("ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let wanted: Option<u32> = std::env::var("CROSSFADE_POSTGRES").ok().and_then(|text| text.parse().ok());
    let Some(installation) = installations().into_iter().rev().find(|found| wanted.is_none_or(|major| found.major == major)) else {
        println!("no PostgreSQL was found");
        return;
    };
    let (old, new) = (schema(OLD), schema(NEW));
    let bench = Bench { server: Server::start(&installation).unwrap(), rows, program: program(&old, &new) };
    bench.session("postgres").run("create database items").unwrap();
    let mut session = bench.session("items");
    let first = program(&Schema::empty(), &old);
    for unit in first.units(&first.scripts.expand) {
        for statement in &unit.statements {
            session.run(statement).unwrap();
        }
    }
    session.run("drop schema crossfade cascade").unwrap();
    session
        .run(&format!(
            "insert into items select n, (n::bigint * 7919) % 1000003, md5(n::text), repeat('x', 40) from generate_series(1, {rows}) n"
        ))
        .unwrap();
    session.run("vacuum (analyze) items").unwrap();
    drop(session);
    println!(
        "PostgreSQL {}, {rows} rows; seconds, rows a second, times the plain UPDATE's rate, growth of the table with its indexes",
        installation.major
    );
    bench.plain();
    // The server is warm now.
    let (plain, grown) = bench.plain();
    let show = |name: &str, (took, growth): (Duration, f64)| {
        let rate = rows as f64 / took.as_secs_f64();
        println!("{name:34} {:6.2} s {rate:9.0}/s {:5.2} {growth:4.0} %", took.as_secs_f64(), plain.as_secs_f64() / took.as_secs_f64());
        took
    };
    show("one plain UPDATE, no trigger", (plain, grown));
    let one = show("runner, 1 worker, triggers live", bench.runner(1));
    let two = show("runner, 2 workers, triggers live", bench.runner(2));
    let touch = show("every row touched, 1000 a batch", bench.touch());
    println!("2 workers against 1: {:.2}", one.as_secs_f64() / two.as_secs_f64());
    println!("1 worker against touching: {:.2}", touch.as_secs_f64() / one.as_secs_f64());
    let (without, with) = bench.writes();
    println!("old version's single-row UPDATE with the trigger: {:.2} times the time without", with.as_secs_f64() / without.as_secs_f64());
}
