//! Clients of both versions write the same few rows of a mirror at the same time: the two tables never differ, and what was
//! acknowledged is there.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::thread;

use crossfade::engine::postgres::Session;
use support::case::{Access, Case, Side};
use support::lab::Database;
use support::scripts::{Phase, Scripts, compile};
use support::servers;

/// Rows that everybody writes.
const ROWS: u64 = 20;
/// Transactions of one client.
const TIMES: u64 = 150;
/// A client that met a deadlock tries again; more often than this it is a fault.
const ATTEMPTS: u32 = 100;

#[test]
fn rows_that_move_on_postgres_15() {
    hot_rows(15, Access::Versioned);
}

#[test]
fn rows_that_move_on_postgres_18() {
    hot_rows(18, Access::Shared);
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
    database: Database<'lab>,
    scripts: Scripts,
    access: Access,
}

fn hot_rows(major: u32, access: Access) {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/mirror-hot-rows")).unwrap();
    let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap();
    }
    database.run(&format!("insert into parts (id, name) select n, 'part' from generate_series(0, {ROWS}) as n"), "seed").unwrap();
    let run = Run { database, scripts, access };
    run.phase(Phase::Expand);
    run.phase(Phase::Migrate);
    let counted: Vec<u64> = thread::scope(|scope| {
        let run = &run;
        let clients =
            [(Side::Old, 1), (Side::New, 2), (Side::Old, 3), (Side::New, 4)].map(|(side, seed)| scope.spawn(move || run.write(side, seed)));
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut session = run.client(Side::Old);
    let rows = |session: &mut Session, query: &str| session.value(query).unwrap().unwrap();
    let unlike = rows(
        &mut session,
        "select count(*) from public.parts p full join public.items i on i.number = p.id
         where p.id is null or i.number is null or (p.name, p.hits) is distinct from (i.label, i.visits)",
    );
    assert_eq!(unlike, "0", "rows on which the two tables differ");
    let hits = rows(&mut session, "select sum(hits) from public.tally");
    assert_eq!(hits, counted.iter().sum::<u64>().to_string(), "transactions that were acknowledged");
    let missing = rows(
        &mut session,
        "select count(*) from public.tally t where t.kept and not exists (select from public.items i where i.number = t.id)",
    );
    assert_eq!(missing, "0", "rows that were inserted, acknowledged and never deleted");
    let counter =
        rows(&mut session, "select (select hits from public.parts where id = 0) - (select sum(hits) from public.tally where id = 0)");
    assert_eq!(counter, "0", "increments of the row that everybody counts in");
    run.phase(Phase::Contract);
}

impl Run<'_> {
    fn client(&self, side: Side) -> Session {
        let mut session = self.database.connect().unwrap();
        if side == Side::New && self.access == Access::Versioned {
            session.run(&format!("set search_path = public_{}, public", self.scripts.new_version)).unwrap();
        }
        session.run("set deadlock_timeout = '20ms'").unwrap();
        session
    }

    fn phase(&self, phase: Phase) {
        for attempt in 1.. {
            match self.database.run(self.scripts.of(phase), phase.name()) {
                Ok(()) => return,
                Err(report) if report.contains("55P03") && attempt < 20 => {}
                Err(report) => panic!("{report}"),
            }
        }
    }

    /// Inserts, updates, deletes and changes of keys, and in each transaction one increment of row 0. Returns how many
    /// transactions were acknowledged.
    fn write(&self, side: Side, seed: u64) -> u64 {
        let mut session = self.client(side);
        let mut numbers = Numbers(seed);
        let mut acknowledged = 0;
        let (table, key, name, count) = match side {
            Side::Old => ("parts", "id", "name", "hits"),
            Side::New => ("items", "number", "label", "visits"),
        };
        for time in 0..TIMES {
            let (row, other, own) = (1 + numbers.below(ROWS), 1 + numbers.below(ROWS), 1_000_000 * seed + time);
            let work = match numbers.below(6) {
                0 => format!(
                    "insert into {table} ({key}, {name}) values ({row}, 'n{own}') on conflict ({key}) do update set {name} = excluded.{name}"
                ),
                1 => format!("delete from {table} where {key} = {row}"),
                2 => format!(
                    "update {table} set {key} = {other} where {key} = {row} and not exists (select from {table} where {key} = {other})"
                ),
                3 => format!("insert into {table} ({key}, {name}) values ({own}, 'own')"),
                _ => format!("update {table} set {name} = 'u{own}' where {key} = {row}"),
            };
            let kept = work.contains(&format!("({own}, 'own')"));
            let tally = if kept { format!("insert into public.tally values ({own}, 0, true);") } else { String::new() };
            let transaction = format!(
                "begin; {work}; update {table} set {count} = {count} + 1 where {key} = 0;
                 insert into public.tally values (0, 1, false); {tally} commit"
            );
            for attempt in 1.. {
                match session.run(&transaction) {
                    Ok(_) => break,
                    Err(failure) => {
                        let code = failure.code.clone().unwrap_or_default();
                        session.run("rollback").unwrap();
                        // Deadlocks are declared; a key that another client has taken meanwhile is one's own fault.
                        let expected = code == "40P01" || code == "23505";
                        assert!(expected && attempt < ATTEMPTS, "{side:?}: {transaction}: {failure}");
                    }
                }
            }
            acknowledged += 1;
        }
        acknowledged
    }
}
