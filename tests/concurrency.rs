//! Clients of both versions count at the same time, while the scripts run: nothing is lost and nothing is counted twice.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use crossfade::engine::postgres::Session;
use support::case::{Access, Case, Side};
use support::lab::{Database, Lab};
use support::scripts::{Phase, Scripts, compile};
use support::servers;

const TIMES: usize = 500;
/// A script that met a lock is run again, as its operator would; more often than this it is a fault.
const ATTEMPTS: usize = 20;

#[test]
fn shared_on_postgres_15() {
    counts(15, Access::Shared);
}

#[test]
fn versioned_on_postgres_15() {
    counts(15, Access::Versioned);
}

#[test]
fn shared_on_postgres_18() {
    counts(18, Access::Shared);
}

#[test]
fn versioned_on_postgres_18() {
    counts(18, Access::Versioned);
}

fn counter() -> Case {
    Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/counter")).unwrap()
}

/// A backfill that meets a row of somebody else waits for it with no other row in hand: so no client loses a deadlock against it.
#[test]
fn a_batch_waits_for_one_row_alone() {
    let scripts = compile(&counter(), Access::Shared).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(18).unwrap() else { return };
    let run = Run { database: set_up(&lab, &scripts), scripts: &scripts, access: Access::Shared };
    run.phase(Phase::Expand);
    // No batch of a hundred rows begins with the row that is held.
    let mut holder = run.client(Side::Old);
    holder.run("begin").unwrap();
    holder.run("update counters set hits = hits where id = 9877").unwrap();
    let mut observer = run.client(Side::Old);
    let waits = "select min(waitstart)::text from pg_locks join pg_stat_activity using (pid) where datname = current_database()";
    let neighbours = "select count(*) from (select from counters where id between 9700 and 10000 and id <> 9877 for update nowait) as free";
    thread::scope(|scope| {
        let migrating = scope.spawn(|| run.phase(Phase::Migrate));
        // Free while one and the same wait goes on.
        let waits_alone = (0..5000).any(|_| {
            let since = observer.value(waits).unwrap();
            let free = since.is_some() && observer.run(neighbours).is_ok();
            free && observer.value(waits).unwrap() == since
        });
        holder.run("commit").unwrap();
        migrating.join().unwrap();
        assert!(waits_alone, "whenever it waits it holds other rows");
    });
}

fn counts(major: u32, access: Access) {
    let case = counter();
    let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let run = Run { database: set_up(&lab, &scripts), scripts: &scripts, access };

    // Two clients of the old version, while expand and migrate run.
    thread::scope(|scope| {
        let clients = [scope.spawn(|| run.count(Side::Old, 1)), scope.spawn(|| run.count(Side::Old, 1))];
        run.phase(Phase::Expand);
        run.phase(Phase::Migrate);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    run.must_be(1, 2 * TIMES, &[Side::Old, Side::New]);

    // Two clients of each version, while migrate runs again and again.
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let run = &run;
        let clients = [Side::Old, Side::New, Side::Old, Side::New].map(|side| scope.spawn(move || run.count(side, 2)));
        let migrating = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                run.phase(Phase::Migrate);
            }
        });
        let ends = clients.map(ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        migrating.join().unwrap();
        ends.into_iter().for_each(|end| end.unwrap());
    });
    run.must_be(2, 4 * TIMES, &[Side::Old, Side::New]);

    // Two clients of the new version, while contract runs.
    thread::scope(|scope| {
        let clients = [scope.spawn(|| run.count(Side::New, 3)), scope.spawn(|| run.count(Side::New, 3))];
        run.phase(Phase::Contract);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    run.must_be(3, 2 * TIMES, &[Side::New]);
    run.must_be(2, 4 * TIMES, &[Side::New]);
}

fn set_up<'lab>(lab: &'lab Lab, scripts: &Scripts) -> Database<'lab> {
    let database = lab.empty().unwrap();
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap_or_else(|report| panic!("{report}"));
    }
    database.run("insert into counters (id) select generate_series(1, 20000)", "seed").unwrap();
    database
}

struct Run<'run> {
    database: Database<'run>,
    scripts: &'run Scripts,
    access: Access,
}

impl Run<'_> {
    fn client(&self, side: Side) -> Session {
        let mut session = self.database.connect().unwrap();
        if side == Side::New && self.access == Access::Versioned {
            session.run(&format!("set search_path = public_{}", self.scripts.new_version)).unwrap();
        }
        session
    }

    fn count(&self, side: Side, row: u32) {
        let mut session = self.client(side);
        let statement = match side {
            Side::Old => format!("update counters set n = n + 1, hits = hits + 1 where id = {row}"),
            Side::New => format!("update counters set tenths = tenths + 10, visits = visits + 1 where id = {row}"),
        };
        for _ in 0..TIMES {
            let outcome = session.run(&statement).unwrap_or_else(|failure| panic!("{side:?}: {statement}: {failure}"));
            assert_eq!(outcome.affected, 1);
        }
    }

    fn phase(&self, phase: Phase) {
        for attempt in 1.. {
            match self.database.run(self.scripts.of(phase), phase.name()) {
                Ok(()) => return,
                Err(report) if report.contains("55P03") && attempt < ATTEMPTS => {}
                Err(report) => panic!("{report}"),
            }
        }
    }

    fn must_be(&self, row: u32, expected: usize, sides: &[Side]) {
        for side in sides {
            let query = match side {
                Side::Old => format!("select n::text || ' ' || hits from counters where id = {row}"),
                Side::New => format!("select tenths / 10 || ' ' || visits from counters where id = {row}"),
            };
            let found = self.client(*side).value(&query).unwrap();
            assert_eq!(found, Some(format!("{expected} {expected}")), "row {row}, seen by the {side:?} version");
        }
    }
}
