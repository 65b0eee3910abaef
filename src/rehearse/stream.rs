//! A stream of inserts while the scripts run: how long one of them has to wait, and whether the batches come to an end.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::bout::{ATTEMPTS, Hand};
use super::law::Law;
use super::place::{Database, Refusal};
use super::scripts::fill;
use super::shape::Side;
use super::stall::{Measure, beginning, budget, too_long, tried};
use super::world::Rows;
use super::{Broken, Lab, Stopped, Tally, values};
use crate::engine::{Connection, Failure};
use crate::plan::model::Phase;
use crate::run::Task;
use crate::snapshot::model::{Column, Table};
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// How many clients insert.
const WRITERS: usize = 2;
/// How often the server is asked who waits, while a statement of a script runs.
const TICK: Duration = Duration::from_millis(5);
/// What a client rests between two inserts while nothing has to end.
const REST: Duration = Duration::from_millis(1);
/// A statement that runs as long as that, while as many rows come, does not end: there are a few dozen rows to be filled.
const ENDLESS: Duration = Duration::from_secs(4);
const ENDLESS_ROWS: u64 = 500;
/// The numbers that fresh values are made of begin here, in each phase: what a history has written stays below.
const FIRST: [usize; 3] = [5000, 10_000, 25_000];

/// Runs all phases while clients insert. Gives back what is broken.
pub(super) fn laws(lab: &Lab<'_>, rows: &[Rows], tally: &mut Tally) -> Result<Vec<Broken>, Stopped> {
    tried(|| {
        lab.go_on()?;
        Ok(Vec::from_iter(once(lab, rows, tally)?))
    })
}

/// How a phase ended.
enum Ended {
    Well,
    /// It refused the rows, rightly: there is no more to ask.
    Refused,
    Broken(Broken),
}

fn once(lab: &Lab<'_>, rows: &[Rows], tally: &mut Tally) -> Result<Option<Broken>, Stopped> {
    let database = lab.copy(&lab.old)?;
    fill(lab, &database, rows)?;
    let mut session = database.client(None)?;
    make_room(lab, session.as_mut());
    drop(session);
    for phase in Phase::ALL {
        if phase == Phase::Migrate {
            pause_after_batches(lab.dialect, database.connect()?.as_mut())?;
        }
        match run(lab, &database, phase, tally)? {
            Ended::Well => {}
            Ended::Refused => return Ok(None),
            Ended::Broken(broken) => return Ok(Some(broken)),
        }
        tally.hold(Law::LockBudget, 0);
        if phase == Phase::Migrate {
            tally.hold(Law::End, 0);
            if let Some(broken) = both_see_all(lab, &database)? {
                return Ok(Some(broken));
            }
        }
    }
    Ok(None)
}

/// Rows with great numbers go, as far as nothing refers to them: new rows come behind the last one.
fn make_room(lab: &Lab<'_>, session: &mut dyn Connection) {
    for view in lab.pairs.iter().filter_map(|pair| pair.view(Side::Old)) {
        for at in &view.key {
            let statement = format!(
                "delete from {} where {} > {}",
                ident(&view.table.name, lab.dialect),
                ident(&view.columns[*at].name, lab.dialect),
                FIRST[0]
            );
            // A key that is no number has no such rows.
            let _ = session.run(&statement);
        }
    }
}

/// A batch takes a moment, as on a server that has more to do: new rows come between any two of them.
fn pause_after_batches(dialect: Dialect, session: &mut dyn Connection) -> Result<(), Failure> {
    let statements: &[&str] = match dialect {
        Dialect::Postgres => &[
            "create function crossfade.rehearsal_pause() returns trigger language plpgsql as \
             $$begin perform pg_catalog.pg_sleep(0.1); return new; end$$",
            "create trigger rehearsal_pause before update on crossfade.checkpoint for each row \
             execute function crossfade.rehearsal_pause()",
        ],
        Dialect::Mysql | Dialect::Mariadb => {
            &["create trigger crossfade_rehearsal_pause before update on crossfade_checkpoint for each row do sleep(0.1)"]
        }
        Dialect::Sqlite => &[],
    };
    statements.iter().try_for_each(|statement| session.run(statement).map(drop))
}

/// After migrate each version sees as many rows as the other one.
fn both_see_all(lab: &Lab<'_>, database: &Database<'_>) -> Result<Option<Broken>, Stopped> {
    let mut session = database.client(None)?;
    for (number, pair) in lab.pairs.iter().enumerate() {
        let (Some(old), Some(new), Some(_)) = (&pair.old, &pair.new, &pair.relation) else { continue };
        let mut count = |side: Side, table: &Table| {
            session.value(&format!("select count(*) from {}", lab.relation(side, &table.name))).map(Option::unwrap_or_default)
        };
        let (wanted, found) = (count(Side::Old, old.table)?, count(Side::New, new.table)?);
        if wanted != found {
            let what = "what the new version sees after a migrate during which rows came";
            return Ok(Some(lab.broken(Law::NoLoss, number, what, format!("{wanted} rows"), format!("{found} rows"))));
        }
    }
    Ok(None)
}

/// An INSERT that can be said again and again.
struct Maker<'a> {
    head: String,
    values: Vec<Value<'a>>,
    dialect: Dialect,
}

enum Value<'a> {
    /// The same each time.
    Said(String),
    /// One that no row has.
    Fresh(&'a Column),
}

impl Maker<'_> {
    fn statement(&self, number: usize) -> String {
        let values: Vec<String> = self
            .values
            .iter()
            .map(|value| match value {
                Value::Said(value) => value.clone(),
                Value::Fresh(column) => values::fresh(column, number, self.dialect).unwrap_or_else(|| "null".to_owned()),
            })
            .collect();
        format!("{}{})", self.head, values.join(", "))
    }
}

/// For each table that changes and has a row: what inserts the like of it.
fn makers<'a>(lab: &'a Lab<'_>, side: Side, first: usize, session: &mut dyn Connection) -> Result<Vec<Maker<'a>>, Stopped> {
    let mut makers = Vec::new();
    for pair in lab.pairs.iter().filter(|pair| pair.change > 0) {
        let Some(view) = pair.view(side) else { continue };
        let relation = lab.relation(side, &view.table.name);
        let shown: Vec<String> = view.columns.iter().map(|column| lab.place.shown(&ident(&column.name, lab.dialect))).collect();
        let Some(row) = session.run(&format!("select {} from {relation} limit 1", shown.join(", ")))?.rows.pop() else { continue };
        let row: Vec<String> = row.into_iter().map(|value| lab.place.cell(value)).collect();
        let twin = |at: usize| {
            let copies = pair.relation.iter().flat_map(|relation| &relation.copies);
            let mut ends = copies.map(|(old, new)| if side == Side::Old { (*old, *new) } else { (*new, *old) });
            let (_, there) = ends.find(|(here, _)| *here == at)?;
            pair.view(side.other()).map(|view| (view.table, view.columns[there]))
        };
        let mut names = Vec::new();
        let mut values = Vec::new();
        for (at, column) in view.columns.iter().enumerate().filter(|(_, column)| column.generated.is_none()) {
            let is_unique = tells_apart(view.table, column) || twin(at).is_some_and(|(table, column)| tells_apart(table, column));
            let refers = view.table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
            names.push(ident(&column.name, lab.dialect));
            values.push(if is_unique && !refers && values::fresh(column, first, lab.dialect).is_some() {
                Value::Fresh(column)
            } else {
                Value::Said(row[at].clone())
            });
        }
        let head = format!("insert into {relation} ({}){} values (", names.join(", "), lab.overriding(view));
        let maker = Maker { head, values, dialect: lab.dialect };
        // Whether two of them can stand there at all.
        session.run("begin")?;
        let stand = session.run(&maker.statement(first)).is_ok() && session.run(&maker.statement(first + 1)).is_ok();
        session.run("rollback")?;
        if stand {
            makers.push(maker);
        }
    }
    Ok(makers)
}

/// Whether no two rows may have the same in this column.
fn tells_apart(table: &Table, column: &Column) -> bool {
    let alone = |columns: &[String]| columns.contains(&column.name);
    column.identity.is_some()
        || table.primary_key.as_ref().is_some_and(|key| alone(&key.columns))
        || table.uniques.iter().any(|unique| alone(&unique.columns))
        || table.indexes.iter().any(|index| index.unique)
}

/// What the clients of the stream and who watches them tell each other.
#[derive(Default)]
struct Flow {
    is_over: AtomicBool,
    /// The statement of the script that runs.
    at: AtomicUsize,
    /// For each client: how many statements have been answered.
    answered: [AtomicU64; WRITERS],
    inserted: AtomicU64,
}

/// The clock's longest insert of a client, and the statement of the script that ran when it began.
type Longest = (Duration, usize);

fn write(session: &mut dyn Connection, makers: &[Maker<'_>], (first, who): (usize, usize), rest: Duration, flow: &Flow) -> Longest {
    let mut longest = (Duration::ZERO, 0);
    let mut number = first + who;
    while !flow.is_over.load(Ordering::Relaxed) {
        for maker in makers {
            let (at, started) = (flow.at.load(Ordering::Relaxed), Instant::now());
            let done = session.run(&maker.statement(number));
            longest = longest.max((started.elapsed(), at));
            flow.answered[who].fetch_add(1, Ordering::Relaxed);
            if done.is_ok() {
                flow.inserted.fetch_add(1, Ordering::Relaxed);
            }
        }
        number += WRITERS;
        std::thread::sleep(rest);
    }
    longest
}

/// Runs a phase while clients insert, and watches them.
fn run(lab: &Lab<'_>, database: &Database<'_>, phase: Phase, tally: &mut Tally) -> Result<Ended, Stopped> {
    let side = if phase == Phase::Contract { Side::New } else { Side::Old };
    let namespace = lab.namespace_of(side);
    let first = FIRST[phase as usize];
    let makers = makers(lab, side, first, database.client(namespace)?.as_mut())?;
    let mut sessions = Vec::new();
    for _ in 0..if makers.is_empty() { 0 } else { WRITERS } {
        let mut session = database.client(namespace)?;
        sessions.push((lab.place.session_id(session.as_mut())?, session));
    }
    let ids: Vec<String> = sessions.iter().map(|(id, _)| id.clone()).collect();
    let rest = if phase == Phase::Migrate { Duration::ZERO } else { REST };
    let statements = lab.statements(Task::Phase(phase));
    let flow = Flow::default();
    let (ended, longest) = std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (who, (_, mut session)) in sessions.into_iter().enumerate() {
            let (flow, makers) = (&flow, &makers);
            clients.push(scope.spawn(move || write(session.as_mut(), makers, (first, who), rest, flow)));
        }
        let ended = Hand::new(scope, database, database.connect()?).and_then(|script| {
            let watch = Watch { lab, phase, flow: &flow, ids: &ids };
            let again = || Hand::new(scope, database, database.connect()?);
            watch.script(script, &again, tally)
        });
        flow.is_over.store(true, Ordering::Relaxed);
        let longest = clients.into_iter().filter_map(|client| client.join().ok()).max();
        Ok::<_, Stopped>((ended?, longest))
    })?;
    if let Some((long, at)) = longest
        && let Some(statement) = statements.get(at)
    {
        tally.stalled(phase, Measure::Clock, long, statement);
    }
    Ok(ended)
}

struct Watch<'run> {
    lab: &'run Lab<'run>,
    phase: Phase,
    flow: &'run Flow,
    ids: &'run [String],
}

impl<'run> Watch<'run> {
    fn script<'place>(
        &self,
        mut script: Hand<'place>,
        again: &dyn Fn() -> Result<Hand<'place>, Stopped>,
        tally: &mut Tally,
    ) -> Result<Ended, Stopped> {
        let (lab, phase) = (self.lab, self.phase);
        let statements = lab.statements(Task::Phase(phase));
        let Some(budget) = budget(lab.dialect) else { return Ok(Ended::Refused) };
        let (mut at, mut attempts) = (0, 0);
        while let Some(statement) = statements.get(at) {
            self.flow.at.store(at, Ordering::Relaxed);
            let (answer, waited) = self.statement(&mut script, &statement.text)?;
            tally.stalled(phase, Measure::Lock, waited, statement);
            let here = || format!("line {}, `{}`", statement.line, beginning(statement));
            if waited > too_long(budget) {
                let expected = format!("it keeps no write waiting longer than {} ms", budget.as_millis());
                let seen = format!("{}: a client's insert waited {} ms for a lock of it", here(), waited.as_millis());
                // It may hold what the clients wait for: they are to end.
                lab.place.kill(&script.id)?;
                return Ok(Ended::Broken(lab.broken_script(Law::LockBudget, phase.name(), &expected, &seen)));
            }
            match answer {
                Some(Ok(_)) => at += 1,
                Some(Err(failure)) => {
                    attempts += 1;
                    if Refusal::of(&failure, lab.dialect) == Refusal::Lock && attempts < ATTEMPTS {
                        script = again()?;
                        at = 0;
                        continue;
                    }
                    if lab.has_late_rules() || lab.pairs.iter().any(|pair| !pair.rules.is_empty()) {
                        return Ok(Ended::Refused);
                    }
                    let expected = "it ends while rows are inserted, as it does alone";
                    return Ok(Ended::Broken(lab.broken_script(Law::End, phase.name(), expected, &format!("{}: {failure}", here()))));
                }
                None => {
                    lab.place.kill(&script.id)?;
                    let seen = format!(
                        "{}: it runs on after {} s in which {} rows were inserted",
                        here(),
                        ENDLESS.as_secs(),
                        self.flow.inserted.load(Ordering::Relaxed)
                    );
                    return Ok(Ended::Broken(lab.broken_script(Law::End, phase.name(), "it ends however many rows come", &seen)));
                }
            }
        }
        Ok(Ended::Well)
    }

    /// Runs a statement. `None`: it does not end. With how long, at the longest, a client waited for it.
    #[allow(clippy::type_complexity, reason = "an answer, and how long it kept others waiting")]
    fn statement(
        &self,
        script: &mut Hand<'_>,
        statement: &str,
    ) -> Result<(Option<Result<crate::engine::Outcome, Failure>>, Duration), Stopped> {
        let Some(budget) = budget(self.lab.dialect) else { return Ok((None, Duration::ZERO)) };
        let (began, before) = (Instant::now(), self.flow.inserted.load(Ordering::Relaxed));
        let mut since: [Option<(Instant, u64)>; WRITERS] = [None; WRITERS];
        let mut longest = Duration::ZERO;
        script.begin(statement)?;
        loop {
            if let Some(answer) = script.hear(TICK)? {
                return Ok((Some(answer), longest));
            }
            self.lab.go_on()?;
            for (who, id) in self.ids.iter().enumerate() {
                let answered = self.flow.answered[who].load(Ordering::Relaxed);
                if !self.lab.place.is_behind(id, &script.id)? || self.flow.answered[who].load(Ordering::Relaxed) != answered {
                    since[who] = None;
                    continue;
                }
                match since[who] {
                    Some((first, number)) if number == answered => longest = longest.max(first.elapsed()),
                    _ => since[who] = Some((Instant::now(), answered)),
                }
            }
            if longest > too_long(budget) {
                return Ok((None, longest));
            }
            let inserted = self.flow.inserted.load(Ordering::Relaxed) - before;
            if self.phase == Phase::Migrate && began.elapsed() > ENDLESS && inserted > ENDLESS_ROWS {
                return Ok((None, longest));
            }
        }
    }
}
