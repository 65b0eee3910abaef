//! A backfill in batches: ranges of a key, each batch one transaction with its checkpoint. Several workers walk parts of the
//! range that have no key in common.
//!
//! Part 0 of a checkpoint is the whole range, as the script knows it. With several workers the parts from 1 on are its
//! sections, and part 0 is finished with the last of them: a script that goes on instead begins with part 0 and finds what is
//! filled already.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Class, Engine};
use super::phase::{Runner, open, pause};
use super::state::{Key, Progress, aside, key, parts};
use super::throttle::Throttle;
use super::{Batch, End, Event, FailingRow, Observer, Options, Stopped};
use crate::emit::live::{Backfill, BatchStatements, Work, batch_statements};
use crate::engine::{Connection, Failure};

/// Rows of the first batch.
const FIRST: u64 = 1000;
/// The bounds of a batch that is sized by its time.
const BOUNDS: (f64, f64) = (100.0, 20_000.0);
/// Tries of a batch that meets locks, before somebody is told.
const TRIES: u32 = 300;
/// How often a pause asks whether it is over, and how often the session that holds the lock is looked after.
const GLANCE: Duration = Duration::from_millis(500);
/// Parts a worker: who is done sooner takes another one.
const PARTS: usize = 4;
/// Keys that are looked at to divide a range.
const SAMPLE: u64 = 5000;
/// Below so many rows a range is not divided.
const SMALL: u64 = 20_000;
/// Dead rows are taken away after so many rows, at least and at most; between them after a twentieth of the table.
const VACUUM: (u64, u64) = (50_000, 1_000_000);

/// What the workers of one backfill have in common.
struct Job<'a> {
    engine: &'a dyn Engine,
    options: &'a Options<'a>,
    observer: &'a dyn Observer,
    release: &'a str,
    backfill: &'a Backfill,
    statements: BatchStatements,
    throttle: Throttle<'a>,
    /// About how many rows the table has.
    estimate: u64,
    /// Parts that nobody works on yet.
    queue: Mutex<VecDeque<Progress>>,
    /// Batches that may still begin.
    allowance: Arc<AtomicU64>,
    /// Rows that may still be set aside.
    skips: AtomicU64,
    /// Rows since somebody took the dead ones away.
    unvacuumed: AtomicU64,
    /// Tells who takes dead rows away that it is time to; nobody listens while that one is at it, or where nobody has to.
    vacuum_is_due: Mutex<Option<SyncSender<()>>>,
    /// Another worker failed.
    failed: AtomicBool,
}

/// How a worker or a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Through,
    /// It was told to stop, or no more batches were allowed.
    Early,
}

/// Runs a backfill. `Some`: it stopped in good order before its end.
pub(super) fn run(runner: &mut Runner<'_>, backfill: &Backfill) -> Result<Option<End>, Stopped> {
    let throttle = Throttle::new(runner.engine, runner.options)?;
    let backfill = &kept(runner, backfill)?;
    let statements = batch_statements(runner.program.dialect, backfill).map_err(|error| Stopped::new(error.to_string()))?;
    let estimate = runner.engine.estimate(runner.session.as_mut(), &backfill.table).map_err(|failure| runner.failed(&failure))?;
    let Some(parts) = divide(runner, backfill, &statements, estimate)? else { return Ok(None) };
    let rows_before = parts.iter().map(|part| part.rows).sum();
    let set_aside = aside(runner.session.as_mut(), runner.engine, &runner.program.release).map_err(|failure| runner.failed(&failure))?;
    let count = parts.len();
    let open_parts: VecDeque<Progress> = parts.into_iter().filter(|part| !part.finished).collect();
    runner.observer.hear(&Event::Fills(&backfill.name, estimate, rows_before, count));
    let job = Job {
        engine: runner.engine,
        options: runner.options,
        observer: runner.observer,
        release: &runner.program.release,
        backfill,
        statements,
        throttle,
        estimate,
        queue: Mutex::new(open_parts),
        allowance: Arc::clone(&runner.allowance),
        skips: AtomicU64::new(runner.options.skip_failing.saturating_sub(set_aside.len() as u64)),
        unvacuumed: AtomicU64::new(0),
        vacuum_is_due: Mutex::new(None),
        failed: AtomicBool::new(false),
    };
    if work_together(runner, &job)? == Ended::Early {
        return Ok(Some(End::MoreBatches));
    }
    let words = runner.engine.words();
    let values = [Some(runner.program.release.as_str()), Some(backfill.name.as_str())];
    runner.session.run_with(words.finish_parts, &values).map_err(|failure| runner.failed(&failure))?;
    let whole = super::state::parts(runner.session.as_mut(), runner.engine, &runner.program.release, &backfill.name)
        .map_err(|failure| runner.failed(&failure))?;
    runner.observer.hear(&Event::Filled(&backfill.name, whole.first().map_or(0, |part| part.rows)));
    Ok(None)
}

/// A backfill with which columns that the server sets on every UPDATE keep what they hold: nobody has changed these rows.
fn kept(runner: &mut Runner<'_>, backfill: &Backfill) -> Result<Backfill, Stopped> {
    let mut backfill = backfill.clone();
    if let (Some(question), Work::Update { set, .. }) = (runner.engine.words().kept, &mut backfill.work) {
        let rows = runner.session.run_with(question, &[Some(&backfill.table)]).map_err(|failure| runner.failed(&failure))?.rows;
        set.extend(rows.into_iter().flatten().flatten());
    }
    Ok(backfill)
}

/// Starts the workers and looks after the session that holds the lock of runners while they work.
fn work_together(runner: &mut Runner<'_>, job: &Job<'_>) -> Result<Ended, Stopped> {
    let count = runner.options.workers.min(job.queue.lock().unwrap_or_else(PoisonError::into_inner).len()).max(1);
    std::thread::scope(|scope| {
        if let Some(vacuum) = &job.statements.vacuum {
            // Without room for a message: it arrives only where somebody waits for it.
            let (due, asked) = sync_channel(0);
            *job.vacuum_is_due.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
            scope.spawn(move || job.take_dead_rows_away(vacuum, &asked));
        }
        let (done, ends) = channel();
        for _ in 0..count {
            let done = done.clone();
            scope.spawn(move || {
                let end = job.worker();
                if end.is_err() {
                    job.failed.store(true, Ordering::Relaxed);
                }
                // Who listens stays until the last one has spoken.
                let _ = done.send(end);
            });
        }
        drop(done);
        let mut result = Ok(Ended::Through);
        loop {
            match ends.recv_timeout(GLANCE) {
                Ok(Ok(Ended::Through)) => {}
                Ok(Ok(Ended::Early)) => {
                    if result.is_ok() {
                        result = Ok(Ended::Early);
                    }
                }
                Ok(Err(stopped)) => {
                    if result.is_ok() {
                        result = Err(stopped);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if result.is_ok()
                        && let Err(failure) = runner.session.value(runner.engine.words().own_id)
                    {
                        job.failed.store(true, Ordering::Relaxed);
                        result = Err(runner.failed(&failure));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // Who takes dead rows away ends with the sender.
                    *job.vacuum_is_due.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return result;
                }
            }
        }
    })
}

/// The parts of a backfill, as an earlier run left them or made now. `None`: it is done.
fn divide(
    runner: &mut Runner<'_>,
    backfill: &Backfill,
    statements: &BatchStatements,
    estimate: u64,
) -> Result<Option<Vec<Progress>>, Stopped> {
    let (release, workers) = (runner.program.release.clone(), runner.options.workers);
    let found = parts(runner.session.as_mut(), runner.engine, &release, &backfill.name).map_err(|failure| runner.failed(&failure))?;
    if found.first().is_some_and(|whole| whole.part == 0 && whole.finished) {
        return Ok(None);
    }
    let sections: Vec<Progress> = found.iter().filter(|part| part.part > 0).cloned().collect();
    if !sections.is_empty() {
        return Ok(Some(sections));
    }
    let width = backfill.key.len();
    let divide = || -> Result<Option<Vec<Progress>>, Failure> {
        let session = runner.session.as_mut();
        let mut whole = found.into_iter().next().unwrap_or(Progress { part: 0, last_key: None, top_key: None, rows: 0, finished: false });
        if whole.top_key.is_none() {
            // Rows that come after this are filled by the trigger.
            whole.top_key = session.run(&statements.top)?.rows.into_iter().next().and_then(key);
            new_part(session, runner.engine, &release, &backfill.name, &whole)?;
            if whole.top_key.is_none() {
                return Ok(Some(Vec::new()));
            }
        }
        let mut sections = Vec::new();
        if let Some(sample) = statements.sample.as_ref().filter(|_| workers > 1 && estimate >= SMALL) {
            let percent = (SAMPLE as f64 * 100.0 / estimate as f64).min(100.0).to_string();
            let mut values: Vec<Option<&str>> = Vec::new();
            let sample = if whole.last_key.is_some() { &sample.from_key } else { &sample.from_start };
            values.extend(whole.last_key.iter().flatten().chain(whole.top_key.iter().flatten()).map(|part| Some(part.as_str())));
            values.push(Some(&percent));
            let keys: Vec<Key> = session.run_with(sample, &values)?.rows.into_iter().filter_map(key).collect();
            let count = (workers * PARTS).min(keys.len() / 10);
            let mut last = whole.last_key.clone();
            for number in 1..count {
                let Some(bound) = keys.get(number * keys.len() / count).filter(|bound| bound.len() == width) else { continue };
                if last.as_ref() != Some(bound) && whole.top_key.as_ref() != Some(bound) {
                    sections.push((last, Some(bound.clone())));
                    last = Some(bound.clone());
                }
            }
            if !sections.is_empty() {
                sections.push((last, whole.top_key.clone()));
            }
        }
        if sections.is_empty() {
            return Ok(Some(vec![whole]));
        }
        let sections: Vec<Progress> =
            (1..).zip(sections).map(|(part, (last_key, top_key))| Progress { part, last_key, top_key, rows: 0, finished: false }).collect();
        session.run(runner.engine.begin())?;
        for section in &sections {
            new_part(session, runner.engine, &release, &backfill.name, section)?;
        }
        session.run("commit")?;
        Ok(Some(sections))
    };
    let divided = divide();
    divided.map_err(|failure| runner.failed(&failure))
}

fn new_part(session: &mut dyn Connection, engine: &dyn Engine, release: &str, backfill: &str, part: &Progress) -> Result<(), Failure> {
    let (last, top) = (part.last_key.as_deref().map(json), part.top_key.as_deref().map(json));
    let number = part.part.to_string();
    session.run_with(engine.words().new_part, &[Some(release), Some(backfill), Some(&number), last.as_deref(), top.as_deref()]).map(drop)
}

fn json(key: &[String]) -> String {
    serde_json::Value::from(key).to_string()
}

/// A batch of the next rows.
enum Next {
    /// It is through: the last key, the rows that were looked at, and those that were filled.
    Through(Key, u64, u64),
    /// No row is left.
    Nothing,
}

/// Why a batch did not come about.
enum Failed {
    /// The statement failed; the last key and the number of rows that it was about, if they were known.
    Statement(Box<Failure>, Option<(Key, u64)>),
    /// Somebody else moved the checkpoint.
    Overtaken,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Failed::Statement(Box::new(failure), None)
    }
}

impl Job<'_> {
    fn session(&self) -> Result<Box<dyn Connection + Send>, Stopped> {
        let mut session = open(self.engine, &format!("crossfade backfill {}", self.release))?;
        for setting in self.engine.words().batch_settings {
            session.run(setting).map_err(|failure| self.stopped(&failure))?;
        }
        Ok(session)
    }

    fn worker(&self) -> Result<Ended, Stopped> {
        let mut session = self.session()?;
        loop {
            let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(part) = next else { return Ok(Ended::Through) };
            if self.part(session.as_mut(), part)? == Ended::Early {
                return Ok(Ended::Early);
            }
        }
    }

    fn stopped(&self, failure: &Failure) -> Stopped {
        let stopped = Stopped::by(self.engine, format!("the backfill of {} failed", self.backfill.table), failure);
        stopped.during(
            &format!("the backfill of {}", self.backfill.table),
            "run `crossfade migrate` again: it goes on behind the last batch that is through",
        )
    }

    /// Whether another batch may begin, after a pause if one is asked for.
    fn may_begin(&self, session: &mut dyn Connection) -> Result<bool, Stopped> {
        let must_stop = || self.options.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed);
        let mut pauses = false;
        while let Some(why) = self.throttle.reason(session).map_err(|failure| self.stopped(&failure))?.filter(|_| !must_stop()) {
            if !pauses {
                self.observer.hear(&Event::Pauses(&why));
                pauses = true;
            }
            std::thread::sleep(GLANCE);
        }
        if pauses {
            self.observer.hear(&Event::GoesOn);
        }
        let take = |left: u64| left.checked_sub(1);
        Ok(!must_stop() && self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok())
    }

    /// Whether a batch waits for a row only where that is its only one.
    fn waits_for_one(&self) -> bool {
        self.statements.alone.is_some() || self.engine.words().impatience.is_some()
    }

    /// A batch that did not come about does not count.
    fn give_back(&self) {
        let _ = self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_add(1));
    }

    fn part(&self, session: &mut dyn Connection, mut part: Progress) -> Result<Ended, Stopped> {
        let mut size = FIRST;
        // Rows a second, as the last batches had them.
        let mut rate: Option<f64> = None;
        let mut failures = 0;
        // Below a size that a row is looked for which can't be filled.
        let mut searching = false;
        while part.top_key.is_some() {
            if !self.may_begin(session)? {
                return Ok(Ended::Early);
            }
            let begun = Instant::now();
            match self.batch(session, &part, size) {
                Ok(Next::Nothing) => {
                    self.give_back();
                    break;
                }
                Ok(Next::Through(last, rows, filled)) => {
                    let took = begun.elapsed();
                    (part.last_key, failures) = (Some(last), 0);
                    self.observer.hear(&Event::Batch(&Batch { backfill: &self.backfill.name, part: part.part, rows, filled, took }));
                    if searching {
                        // The row that is looked for is in the other half, or behind it.
                        size = (size * 2).min(FIRST);
                        searching = size < FIRST;
                    } else {
                        let now = rows as f64 / took.as_secs_f64().max(0.000_1);
                        let known = rate.map_or(now, |before| 0.7 * before + 0.3 * now);
                        rate = Some(known);
                        let wanted = known * self.options.batch_time.as_secs_f64();
                        size = wanted.clamp(size as f64 / 2.0, size as f64 * 2.0).clamp(BOUNDS.0, BOUNDS.1) as u64;
                    }
                    self.leave_dead_rows(rows);
                    std::thread::sleep(self.engine.pause_after(took));
                }
                Err(Failed::Overtaken) => {
                    return Err(Stopped::new(format!(
                        "somebody else moved the checkpoint of {}: another run is at work",
                        self.backfill.name
                    ))
                    .help("nothing was lost; when it has ended, run `crossfade migrate` again"));
                }
                Err(Failed::Statement(failure, about)) => {
                    self.give_back();
                    match (self.engine.class(&failure), about) {
                        (Class::Lost, _) => return Err(self.stopped(&failure)),
                        // Somebody holds a row of this batch, and it did not wait: fewer rows, until it is that one alone.
                        (Class::Lock, Some((_, rows))) if rows > 1 && self.waits_for_one() => {
                            size = (rows / 2).max(1);
                            searching = true;
                        }
                        (Class::Lock, _) => {
                            // Somebody holds a row of this batch: the others were let go of; make it smaller, try again.
                            failures += 1;
                            if failures > TRIES {
                                return Err(self
                                    .stopped(&failure)
                                    .help("somebody holds these rows: run `crossfade migrate` again when they are through"));
                            }
                            size = (size / 2).max(1);
                            searching = size < FIRST;
                            std::thread::sleep(pause(failures.min(5)));
                        }
                        (Class::Row, Some((_, rows))) if rows > 1 => {
                            size = (rows / 2).max(1);
                            searching = true;
                        }
                        (Class::Row, Some((last, _))) => part.last_key = Some(self.failing(session, &part, last, &failure)?),
                        (Class::Row | Class::Other, _) => return Err(self.stopped(&failure)),
                    }
                }
            }
        }
        let number = part.part.to_string();
        let values = [Some(self.release), Some(self.backfill.name.as_str()), Some(number.as_str())];
        session.run_with(self.engine.words().finish_part, &values).map_err(|failure| self.stopped(&failure))?;
        Ok(Ended::Through)
    }

    /// One batch with its checkpoint, in one transaction.
    fn batch(&self, session: &mut dyn Connection, part: &Progress, size: u64) -> Result<Next, Failed> {
        session.run(self.engine.begin())?;
        let done = self.within(session, part, size).and_then(|next| {
            session.run("commit")?;
            Ok(next)
        });
        if done.is_err() {
            session.run("rollback")?;
        }
        done
    }

    fn within(&self, session: &mut dyn Connection, part: &Progress, size: u64) -> Result<Next, Failed> {
        let low: Vec<Option<&str>> = part.last_key.iter().flatten().map(|text| Some(text.as_str())).collect();
        let all = &self.statements;
        let (bound, next, lock, work) = if low.is_empty() {
            (&all.bound_from_start, &all.next_from_start, &all.lock_from_start, &all.work_from_start)
        } else {
            (&all.bound, &all.next, &all.lock, &all.work)
        };
        let mut first = |statement: &str, number: u64| {
            let number = number.to_string();
            let mut values = low.clone();
            values.extend(part.top_key.iter().flatten().map(|text| Some(text.as_str())));
            values.push(Some(&number));
            Ok::<_, Failure>(session.run_with(statement, &values)?.rows.into_iter().next())
        };
        let (rows, last) = match first(bound, size - 1)? {
            Some(row) => (size, key(row)),
            None => {
                let Some(row) = first(next, size)? else { return Ok(Next::Nothing) };
                let mut row = row.into_iter();
                (row.next().flatten().and_then(|text| text.parse().ok()).unwrap_or_default(), key(row.collect()))
            }
        };
        let Some(last) = last else { return Ok(Next::Nothing) };
        let row: Vec<Option<&str>> = last.iter().map(|text| Some(text.as_str())).collect();
        let range = [low, row.clone()].concat();
        let done = match &all.alone {
            // Who waits for one row while it holds none can't be half of a deadlock.
            Some(alone) if rows == 1 => session.run_with(alone, &row).and_then(|_| session.run_with(&all.one, &row)),
            _ => {
                if let Some(impatience) = self.engine.words().impatience.filter(|_| rows > 1) {
                    session.run(impatience)?;
                }
                lock.as_ref().map_or(Ok(()), |lock| session.run_with(lock, &range).map(drop)).and_then(|()| session.run_with(work, &range))
            }
        };
        let filled = match done {
            Ok(outcome) => outcome.affected,
            Err(failure) => return Err(Failed::Statement(Box::new(failure), Some((last, rows)))),
        };
        self.advance(session, part, &last, filled)?;
        Ok(Next::Through(last, rows, filled))
    }

    fn advance(&self, session: &mut dyn Connection, part: &Progress, to: &[String], filled: u64) -> Result<(), Failed> {
        let (number, before, after, filled) = (part.part.to_string(), part.last_key.as_deref().map(json), json(to), filled.to_string());
        let values = [Some(self.release), Some(self.backfill.name.as_str()), Some(&number), before.as_deref(), Some(&after), Some(&filled)];
        if session.run_with(self.engine.words().advance, &values)?.affected == 1 { Ok(()) } else { Err(Failed::Overtaken) }
    }

    /// One row can't be filled: it is set aside, as long as that is allowed, and the checkpoint moves behind it.
    fn failing(&self, session: &mut dyn Connection, part: &Progress, row: Key, failure: &Failure) -> Result<Key, Stopped> {
        let found = describe(session, self.backfill, &self.statements, &row, failure);
        let take = |left: u64| left.checked_sub(1);
        if self.skips.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            let limit = self.options.skip_failing;
            let help = if limit == 0 {
                "nothing was lost: change this row and run `crossfade migrate` again, or set such rows aside with `--skip-failing N`"
                    .to_owned()
            } else {
                format!("nothing was lost: {limit} rows are set aside already; change them, or allow more with `--skip-failing N`")
            };
            return Err(refusal(&found).help(help));
        }
        let mut set_aside = || -> Result<(), Failed> {
            let text = json(&row);
            session.run(self.engine.begin())?;
            let values = [Some(self.release), Some(self.backfill.name.as_str()), Some(text.as_str()), Some(found.error.as_str())];
            session.run_with(self.engine.words().set_aside, &values)?;
            self.advance(session, part, &row, 0)?;
            session.run("commit")?;
            Ok(())
        };
        match set_aside() {
            Ok(()) => {
                self.observer.hear(&Event::SetAside(&found));
                Ok(row)
            }
            Err(Failed::Overtaken) => Err(Stopped::new(format!("somebody else moved the checkpoint of {}", self.backfill.name))),
            Err(Failed::Statement(failure, _)) => Err(self.stopped(&failure)),
        }
    }

    /// What a batch leaves dead is room for the next ones, once it is taken away: a table grows by a half instead of by its size.
    fn leave_dead_rows(&self, rows: u64) {
        let since = self.unvacuumed.fetch_add(rows, Ordering::Relaxed) + rows;
        if since < (self.estimate / 20).clamp(VACUUM.0, VACUUM.1) {
            return;
        }
        let due = self.vacuum_is_due.lock().unwrap_or_else(PoisonError::into_inner);
        if due.as_ref().is_some_and(|due| due.try_send(()).is_ok()) {
            self.unvacuumed.store(0, Ordering::Relaxed);
        }
    }

    /// Takes dead rows away whenever it is due, in a session of its own, so that no batch waits for it. It is no fault when that
    /// fails: somebody else may be at it, or it may be forbidden.
    fn take_dead_rows_away(&self, vacuum: &str, asked: &Receiver<()>) {
        let mut session = None;
        while asked.recv().is_ok() {
            if session.is_none() {
                session = self.session().ok();
            }
            let Some(open) = session.as_mut() else { continue };
            if open.value(self.engine.words().old_snapshot).ok().flatten().as_deref() == Some("false") {
                if open.run(vacuum).is_err() {
                    session = None;
                    continue;
                }
                let _ = open.take_notices();
            }
        }
    }
}

/// What is known of a row that can't be filled.
fn describe(
    session: &mut dyn Connection,
    backfill: &Backfill,
    statements: &BatchStatements,
    row: &[String],
    failure: &Failure,
) -> FailingRow {
    let values: Vec<Option<&str>> = row.iter().map(|text| Some(text.as_str())).collect();
    let shown = session.run_with(&statements.row, &values).ok().and_then(|outcome| outcome.rows.into_iter().next());
    FailingRow {
        backfill: backfill.name.clone(),
        table: backfill.table.clone(),
        columns: backfill.key.iter().map(|key| key.column.clone()).collect(),
        key: row.to_vec(),
        values: shown.and_then(|row| row.into_iter().next().flatten()).unwrap_or_default(),
        expression: match &backfill.work {
            Work::Update { set, .. } => set.split_whitespace().collect::<Vec<_>>().join(" "),
            Work::Copy { target, columns, values, .. } => format!("{target} ({columns}) from {values}"),
        },
        error: failure.code.as_ref().map_or_else(|| failure.message.clone(), |code| format!("{code}: {}", failure.message)),
    }
}

fn refusal(row: &FailingRow) -> Stopped {
    Stopped::new(row.to_string())
        .note(row.error.clone())
        .note(format!("its values: {}", row.values))
        .note(format!("expression: {}", row.expression))
}

impl Runner<'_> {
    /// Tries the rows once more that were set aside: somebody may have changed them since.
    pub(super) fn take_back(&mut self) -> Result<(), Stopped> {
        let rows = aside(self.session.as_mut(), self.engine, &self.program.release).map_err(|failure| self.failed(&failure))?;
        let mut left: Option<FailingRow> = None;
        let mut count = 0;
        for row in rows {
            let Some(backfill) = self.program.backfills.iter().find(|backfill| backfill.name == row.backfill) else { continue };
            let backfill = &kept(self, backfill)?;
            let statements = batch_statements(self.program.dialect, backfill).map_err(|error| Stopped::new(error.to_string()))?;
            let values: Vec<Option<&str>> = row.key.iter().map(|text| Some(text.as_str())).collect();
            match self.session.run_with(&statements.one, &values) {
                Ok(_) => {
                    let text = json(&row.key);
                    let values = [Some(self.program.release.as_str()), Some(backfill.name.as_str()), Some(text.as_str())];
                    self.session.run_with(self.engine.words().take_back, &values).map_err(|failure| self.failed(&failure))?;
                    let found = FailingRow {
                        backfill: backfill.name.clone(),
                        table: backfill.table.clone(),
                        columns: backfill.key.iter().map(|key| key.column.clone()).collect(),
                        key: row.key.clone(),
                        values: String::new(),
                        expression: String::new(),
                        error: String::new(),
                    };
                    self.observer.hear(&Event::TookBack(&found));
                }
                Err(failure) if self.engine.class(&failure) == Class::Row => {
                    count += 1;
                    left = Some(describe(self.session.as_mut(), backfill, &statements, &row.key, &failure));
                }
                Err(failure) => return Err(self.failed(&failure)),
            }
        }
        match left {
            Some(row) if count > self.options.skip_failing => Err(refusal(&row)
                .note(format!("rows that are set aside: {count}"))
                .help("change them and run `crossfade migrate` again, or say how many may stay aside with `--skip-failing N`")),
            _ => Ok(()),
        }
    }
}
