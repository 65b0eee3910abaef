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

fn counts(major: u32, access: Access) {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/counter")).unwrap();
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
