//! A client that leaves its transaction open while the scripts run: each of their statements that has to wait for it is watched,
//! since others queue behind it, and is killed there, in the middle of what it does.

use std::thread::Scope;
use std::time::{Duration, Instant};

use super::bout::Hand;
use super::law::Law;
use super::place::{Database, Refusal};
use super::scripts::{everything, same};
use super::shape::Side;
use super::stall::{Measure, beginning, budget, too_long, tried};
use super::world::{Row, open_after};
use super::{Broken, Lab, Stopped, Tally};
use crate::engine::{Connection, Failure};
use crate::plan::model::Phase;
use crate::run::Task;
use crate::sql::Dialect;
use crate::sql::quote::ident;
use crate::sql::split::Statement;

/// How often it is looked who waits still.
const TICK: Duration = Duration::from_millis(10);
/// How long one is watched that gives up in time, as its session's setting says, once one of its phase was watched to the end.
const GLANCE: Duration = Duration::from_millis(30);
/// How long the holder itself waits.
const PATIENCE: [&str; 2] = ["set lock_timeout = '2s'", "set session lock_wait_timeout = 2, innodb_lock_wait_timeout = 2"];
/// How often a script is run from its beginning.
const RUNS: usize = 60;

/// Runs a phase beside such a client. `wanted`: what the phase ends with. Gives back what is broken.
pub(super) fn laws(
    lab: &Lab<'_>,
    before: &Database<'_>,
    phase: Phase,
    wanted: &[String],
    tally: &mut Tally,
) -> Result<Vec<Broken>, Stopped> {
    if budget(lab.dialect).is_none() {
        return Ok(Vec::new());
    }
    tried(|| once(lab, before, phase, wanted, tally))
}

fn once(lab: &Lab<'_>, before: &Database<'_>, phase: Phase, wanted: &[String], tally: &mut Tally) -> Result<Vec<Broken>, Stopped> {
    let database = lab.copy(before)?;
    let mut course = Course { lab, database: &database, phase, tally, watched: false, killed: Vec::new(), broken: Vec::new() };
    let ends = std::thread::scope(|scope| course.run(scope))?;
    let (killed, mut broken) = (course.killed, course.broken);
    if ends && broken.is_empty() && !killed.is_empty() {
        tally.hold(Law::Resume, 0);
        let lines: Vec<String> = killed.iter().map(usize::to_string).collect();
        let what =
            format!("killed while line {} waited for a client, and run again, it ends in the same place", lines.join(", then line "));
        broken.extend(same(lab, Law::Resume, Task::Phase(phase), &what, wanted, &everything(lab, &database)?));
    }
    Ok(broken)
}

struct Course<'run> {
    lab: &'run Lab<'run>,
    database: &'run Database<'run>,
    phase: Phase,
    tally: &'run mut Tally,
    /// Whether one was watched until it gave up.
    watched: bool,
    /// The lines at which the script was killed.
    killed: Vec<usize>,
    broken: Vec<Broken>,
}

impl<'run> Course<'run> {
    /// Whether the phase came to its end.
    fn run<'scope, 'env>(&mut self, scope: &'scope Scope<'scope, 'env>) -> Result<bool, Stopped> {
        let (lab, database) = (self.lab, self.database);
        let statements = lab.statements(Task::Phase(self.phase));
        let open = open_after(&statements);
        let mut script = Hand::new(scope, database, database.connect()?)?;
        let mut holder: Option<Holder> = None;
        // Statements before this one have waited, or had no need to.
        let (mut at, mut done, mut runs) = (0, 0, 1);
        while let Some(statement) = statements.get(at) {
            lab.go_on()?;
            if holder.is_none() && at >= done && !(at > 0 && open[at - 1]) {
                holder = Some(self.hold()?);
            }
            let patience = match &holder {
                Some(_) => patience(lab.dialect, &mut script)?,
                None => None,
            };
            let failure = match script.run(&statement.text)? {
                Some(Ok(_)) => {
                    at += 1;
                    continue;
                }
                Some(Err(failure)) => Some(failure),
                None => match &holder {
                    Some(holder) => {
                        self.watch(scope, &mut script, statement, &holder.others, patience)?;
                        if !self.broken.is_empty() {
                            lab.place.kill(&script.id)?;
                            return Ok(false);
                        }
                        self.killed.push(statement.line);
                        None
                    }
                    // Of what was killed something may be there for a moment.
                    None => match script.wait()? {
                        Ok(_) => {
                            at += 1;
                            continue;
                        }
                        Err(failure) => Some(failure),
                    },
                },
            };
            if let Some(failure) = failure
                && (Refusal::of(&failure, lab.dialect) != Refusal::Lock || runs >= RUNS)
            {
                // What else refuses here refuses alone, too, and is told there; but not after a kill.
                if let Some(line) = self.killed.last() {
                    let what = format!("killed while line {line} waited for a client, and run again, it ends");
                    let seen = format!("line {}: {failure}", statement.line);
                    self.broken.push(lab.broken_script(Law::Resume, self.phase.name(), &what, &seen));
                }
                return Ok(false);
            }
            // Its operator runs it again, once the client has ended.
            lab.place.kill(&script.id).or_else(|failure| if is_gone(&failure) { Ok(()) } else { Err(failure) })?;
            if holder.take().is_some() {
                done = done.max(at + 1);
            }
            runs += 1;
            at = 0;
            script = Hand::new(scope, database, database.connect()?)?;
        }
        Ok(true)
    }

    /// A client in the middle of its transaction: it has written the last row of each table that the phase has to do something with.
    fn hold(&self) -> Result<Holder, Stopped> {
        let lab = self.lab;
        let sides = match self.phase {
            Phase::Expand => &[Side::Old][..],
            Phase::Migrate => &[Side::Old, Side::New],
            Phase::Contract => &[Side::New],
        };
        let mut session = self.database.client(lab.namespace_of(sides[0]))?;
        session.run(PATIENCE[usize::from(lab.dialect != Dialect::Postgres)])?;
        let mut others = Vec::new();
        for side in sides.iter().copied() {
            others.extend(writes(lab, session.as_mut(), side, End::First).into_iter().map(|write| (side, write)));
        }
        let own = writes(lab, session.as_mut(), sides[0], End::Last);
        session.run("begin")?;
        for write in own {
            session.run("savepoint crossfade_write")?;
            if session.run(&write).is_err() {
                session.run("rollback to savepoint crossfade_write")?;
            }
        }
        Ok(Holder { _session: session, others })
    }

    /// Looks how long others have to wait behind a statement that waits.
    fn watch<'scope, 'env>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        script: &mut Hand<'run>,
        statement: &Statement,
        others: &[(Side, String)],
        patience: Option<Duration>,
    ) -> Result<(), Stopped> {
        let (lab, database) = (self.lab, self.database);
        let Some(budget) = budget(lab.dialect) else { return Ok(()) };
        let mut clients = Vec::new();
        for (side, write) in others {
            clients.push((*side, Hand::new(scope, database, database.client(lab.namespace_of(*side))?)?, write));
        }
        let began = Instant::now();
        let mut queue = Vec::new();
        for (side, mut client, write) in clients {
            if client.run(write)?.is_none() && lab.place.is_behind(&client.id, &script.id)? {
                queue.push((side, client));
            }
        }
        if queue.is_empty() {
            return Ok(());
        }
        self.tally.hold(Law::LockBudget, 0);
        // A setting that is longer than it may be is proved by the wait itself.
        let within = patience.is_some_and(|patience| patience <= budget);
        let limit = if within { too_long(budget) } else { budget + Duration::from_millis(100) };
        let to_the_end = !within || !self.watched;
        let mut waited = began.elapsed();
        loop {
            let gave_up = script.hear(TICK)?.is_some();
            let mut waits = None;
            for (side, client) in &mut queue {
                if client.waits() && client.hear(Duration::ZERO)?.is_none() {
                    waits = Some(*side);
                }
            }
            if let Some(side) = waits.filter(|_| !gave_up) {
                waited = began.elapsed();
                if waited > limit {
                    self.tally.stalled(self.phase, Measure::Lock, waited, statement);
                    let expected = format!(
                        "beside a client whose transaction is open it keeps no other one waiting longer than {} ms",
                        budget.as_millis()
                    );
                    let seen = format!(
                        "line {}, `{}`: a write of the {} version has waited {} ms behind it, and waits still",
                        statement.line,
                        beginning(statement),
                        side.name(),
                        waited.as_millis()
                    );
                    self.broken.push(lab.broken_script(Law::LockBudget, self.phase.name(), &expected, &seen));
                    return Ok(());
                }
            }
            if gave_up || waits.is_none() || (!to_the_end && began.elapsed() > GLANCE) {
                break;
            }
        }
        if to_the_end {
            self.watched = true;
            self.tally.stalled(self.phase, Measure::Lock, waited, statement);
        }
        Ok(())
    }
}

/// A client in the middle of its transaction, and what others would write meanwhile.
struct Holder {
    /// It ends with this value.
    _session: Box<dyn Connection + Send>,
    others: Vec<(Side, String)>,
}

/// One end of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// For each table of a version a write that changes nothing, of the row at one end of it: batches begin at the first one. The last
/// row is the holder's alone; if there is one that a backfill changes, the last such row, since a script that forgets it is known
/// by that.
fn writes(lab: &Lab<'_>, session: &mut dyn Connection, side: Side, end: End) -> Vec<String> {
    let mut writes = Vec::new();
    for (pair, view) in lab.pairs.iter().filter_map(|pair| Some((pair, pair.view(side)?))) {
        let is_free = |at: &usize| {
            let column = view.columns[*at];
            !view.key.contains(at) && column.generated.is_none() && column.identity.is_none()
        };
        let Some(at) = (0..view.columns.len()).find(is_free) else { continue };
        let relation = lab.relation(side, &view.table.name);
        let name = |at: &usize| ident(&view.columns[*at].name, lab.dialect);
        let key: Vec<String> = view.key.iter().map(name).collect();
        // A lens reads a value, or fills one that is missing.
        let links = pair.relation.iter().flat_map(|relation| &relation.links);
        let filled: Vec<String> = links
            .flat_map(|link| link.of(side).iter().map(|at| format!("{} is {}null", name(at), if link.fill { "" } else { "not " })))
            .collect();
        let is_filled = if filled.is_empty() { "1 = 1".to_owned() } else { filled.join(" and ") };
        let shown: Vec<String> = key.iter().map(|name| lab.place.shown(name)).collect();
        let query =
            format!("select case when {is_filled} then 1 else 0 end, {} from {relation} order by {}", shown.join(", "), key.join(", "));
        let rows = if key.is_empty() { Vec::new() } else { session.run(&query).map(|outcome| outcome.rows).unwrap_or_default() };
        let (first, last) = ends(rows);
        let which = match end {
            End::First => first.filter(|first| last.as_ref() != Some(first)),
            End::Last => last,
        };
        let cells = |row: Vec<Option<String>>| -> Row { row.into_iter().map(|value| lab.place.cell(value)).collect() };
        let is_row = which.map_or_else(|| "1 = 0".to_owned(), |key| lab.is_row(view, &cells(key)));
        let name = name(&at);
        writes.push(format!("update {relation} set {name} = {name} where {is_row}"));
    }
    writes
}

/// A row as the server gives it.
type Shown = Vec<Option<String>>;

/// Of rows in the order of their keys, each behind whether it is one that counts: the first key, and the last one that counts; the
/// last of all where none behind the first one does.
fn ends(rows: Vec<Shown>) -> (Option<Shown>, Option<Shown>) {
    let counts = |row: &Shown| row.first().is_some_and(|cell| cell.as_deref() == Some("1"));
    let last = rows.iter().skip(1).rfind(|row| counts(row)).or_else(|| rows.last()).cloned();
    let key = |row: Shown| row.into_iter().skip(1).collect();
    (rows.into_iter().next().map(key), last.map(key))
}

/// The server knows no session of that name.
fn is_gone(failure: &Failure) -> bool {
    failure.code.as_deref() == Some("1094")
}

/// How long the script's session waits for a lock before it gives up; `None`: for ever.
fn patience(dialect: Dialect, script: &mut Hand<'_>) -> Result<Option<Duration>, Stopped> {
    let query = match dialect {
        Dialect::Postgres => "select setting from pg_catalog.pg_settings where name = 'lock_timeout'",
        Dialect::Mysql | Dialect::Mariadb => "select 1000 * greatest(@@lock_wait_timeout, @@innodb_lock_wait_timeout)",
        Dialect::Sqlite => return Ok(None),
    };
    script.begin(query)?;
    let said = script.wait()?.ok().and_then(|outcome| outcome.rows.into_iter().flatten().flatten().next());
    Ok(said.and_then(|said| said.parse().ok()).filter(|said| *said > 0).map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_has_a_row_that_counts() {
        let row = |counts: u8, key: u8| vec![Some(counts.to_string()), Some(key.to_string())];
        let found = |rows: &[Shown]| {
            let number = |key: Option<Shown>| key.map(|key| key.into_iter().flatten().collect::<String>());
            let (first, last) = ends(rows.to_vec());
            (number(first).unwrap_or_default(), number(last).unwrap_or_default())
        };
        let is = |first: &str, last: &str| (first.to_owned(), last.to_owned());
        assert_eq!(found(&[row(1, 1), row(1, 2), row(1, 3), row(0, 4)]), is("1", "3"));
        assert_eq!(found(&[row(1, 1), row(0, 2), row(0, 3)]), is("1", "3"), "others write the first one");
        assert_eq!(found(&[row(0, 1)]), is("1", "1"));
        assert_eq!(found(&[]), is("", ""));
    }
}
