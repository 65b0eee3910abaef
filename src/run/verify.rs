//! Which rows the two shapes disagree on, found by ranges of the key.
//!
//! A range is one statement that reads each of its rows once and computes the other shape beside it. Its size follows from the time
//! that it takes, so that no snapshot is held for long, however large the table is: what is dead in it can be taken away meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::engine::{Class, Engine};
use super::phase::{Session, open};
use super::state::{Key, State, key};
use super::{Event, Looked, Observer, Stopped, list};
use crate::emit::EmitError;
use crate::emit::live::{Aside, Backfill, Check, Span, batch_statements, count_statement, examples_statement};
use crate::emit::program::Program;
use crate::engine::Failure;

/// Rows of the first range, and the bounds of the next ones.
const FIRST: u64 = 1000;
const BOUNDS: (f64, f64) = (500.0, 1_000_000.0);
/// The time that a range should take.
const TARGET: Duration = Duration::from_millis(500);
/// Rows that are shown.
const SHOWN: usize = 5;

/// What `verify` found of one thing that both shapes say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    /// What it is.
    pub what: String,
    /// Rows that disagree.
    pub rows: u64,
    /// Some of them: the key, and what they hold.
    pub examples: Vec<(String, String)>,
}

/// Counts the rows on which the two shapes disagree.
///
/// # Errors
/// When there are no two shapes now, or the server refuses.
pub fn verify(engine: &dyn Engine, program: &Program, observer: &dyn Observer) -> Result<Vec<Found>, Stopped> {
    let look = Look::begin(engine, program, observer)?;
    compare(look).map_err(|stopped| stopped.during("verify", "run `crossfade verify` again: it has changed nothing"))
}

fn compare(mut look: Look<'_>) -> Result<Vec<Found>, Stopped> {
    let (engine, program) = (look.engine, look.program);
    let state = State::read(look.session.as_mut(), engine).map_err(|failure| failed(engine, &failure))?;
    let phase = state.latest().filter(|latest| latest.release == program.release).map(|latest| latest.phase.as_str());
    match phase {
        Some("expand" | "migrate") => {}
        Some("contract") => {
            return Err(Stopped::new(format!("{} is contracted: there is only one shape left to look at", program.release)));
        }
        _ => {
            return Err(Stopped::new(format!(
                "the database does not have both shapes of {}: its expand has not finished",
                program.release
            ))
            .help("run `crossfade expand` first"));
        }
    }
    let bound = program.checks.iter().filter(|check| phase == Some("expand") || !check.until_migrated);
    let never = AtomicBool::new(false);
    let look_at = |check: &Check| look.at(check, &[], &never).map(|found| found.unwrap_or_else(|| nothing(check)));
    bound.map(look_at).collect()
}

fn nothing(check: &Check) -> Found {
    Found { what: check.what.clone(), rows: 0, examples: Vec::new() }
}

fn failed(engine: &dyn Engine, failure: &Failure) -> Stopped {
    Stopped::by(engine, "verify failed", failure)
}

fn broken(error: &EmitError) -> Stopped {
    Stopped::new(error.to_string())
}

/// Whether a check can be walked by ranges: the backfill of its table says by which key.
pub(super) fn way<'p>(program: &'p Program, check: &Check) -> Option<&'p Backfill> {
    program.backfills.iter().find(|backfill| backfill.table == check.table)
}

/// Looks at rows in a session of its own, with the settings of the scripts.
pub(super) struct Look<'a> {
    engine: &'a dyn Engine,
    program: &'a Program,
    observer: &'a dyn Observer,
    session: Session,
}

impl<'a> Look<'a> {
    pub(super) fn begin(engine: &'a dyn Engine, program: &'a Program, observer: &'a dyn Observer) -> Result<Self, Stopped> {
        let mut session = open(engine, "crossfade verify")?;
        let settings = program.units(&program.scripts.verify);
        let settings = settings.iter().filter(|unit| unit.is_setting()).flat_map(|unit| &unit.statements).map(String::as_str);
        for statement in settings.chain(engine.words().batch_settings.iter().copied()) {
            session.run(statement).map_err(|failure| failed(engine, &failure))?;
        }
        Ok(Look { engine, program, observer, session })
    }

    /// Rows that disagree, without those that these backfills set aside. `None`: it was told to stop.
    pub(super) fn at(&mut self, check: &Check, aside: &[String], stop: &AtomicBool) -> Result<Option<Found>, Stopped> {
        let engine = self.engine;
        let mut found = nothing(check);
        let Some(backfill) = way(self.program, check) else {
            let counted = self.count(check, aside, Span::All, &[], &mut found.examples)?;
            found.rows = counted.map_err(|failure| failed(engine, &failure))?;
            return Ok(Some(found));
        };
        let statements = batch_statements(self.program.dialect, backfill).map_err(|error| broken(&error))?;
        let session = self.session.as_mut();
        let estimate = engine.estimate(session, &backfill.table).map_err(|failure| failed(engine, &failure))?;
        let top = session.run(&statements.top).map_err(|failure| failed(engine, &failure))?.rows.into_iter().next().and_then(key);
        // An empty table has none.
        let Some(top) = top else { return Ok(Some(found)) };
        self.observer.hear(&Event::Looks(&check.what, estimate));
        let (mut low, mut size): (Option<Key>, u64) = (None, FIRST);
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let limit = size.to_string();
            let next = if low.is_some() { &statements.next } else { &statements.next_from_start };
            let mut values: Vec<Option<&str>> = low.iter().flatten().chain(&top).map(|part| Some(part.as_str())).collect();
            values.push(Some(&limit));
            let row = self.session.run_with(next, &values).map_err(|failure| failed(engine, &failure))?.rows.into_iter().next();
            let Some(mut row) = row.map(Vec::into_iter) else { return Ok(Some(found)) };
            let rows: u64 = row.next().flatten().and_then(|text| text.parse().ok()).unwrap_or_default();
            let Some(last) = key(row.collect()) else { return Ok(Some(found)) };
            let span = if low.is_some() { Span::Between(&backfill.key) } else { Span::UpTo(&backfill.key) };
            let bounds: Vec<&str> = low.iter().flatten().chain(&last).map(String::as_str).collect();
            let disagree = match self.count(check, aside, span, &bounds, &mut found.examples)? {
                Ok(disagree) => disagree,
                // An expression has no answer to a row: which one is told by smaller and smaller ranges.
                Err(failure) if engine.class(&failure) == Class::Row && rows > 1 => {
                    size = rows / 2;
                    continue;
                }
                Err(failure) if engine.class(&failure) == Class::Row => {
                    if found.examples.len() < SHOWN {
                        found.examples.push((list(&last), failure.message));
                    }
                    1
                }
                Err(failure) => return Err(failed(engine, &failure)),
            };
            found.rows += disagree;
            let took = begun.elapsed();
            self.observer.hear(&Event::Looked(&Looked { what: &check.what, rows, disagree, took }));
            let wanted = rows as f64 * TARGET.as_secs_f64() / took.as_secs_f64().max(0.001);
            size = wanted.clamp(size as f64 / 4.0, size as f64 * 4.0).clamp(BOUNDS.0, BOUNDS.1) as u64;
            low = Some(last);
        }
        Ok(None)
    }

    /// How many rows of a span disagree, or why the server can't tell; some of them are shown, as long as there are few.
    fn count(
        &mut self,
        check: &Check,
        aside: &[String],
        span: Span<'_>,
        bounds: &[&str],
        examples: &mut Vec<(String, String)>,
    ) -> Result<Result<u64, Failure>, Stopped> {
        let (engine, dialect) = (self.engine, self.program.dialect);
        let without = if aside.is_empty() { Aside::None } else { Aside::Of(aside) };
        let count = count_statement(dialect, check, without, span).map_err(|error| broken(&error))?;
        let bounds = || bounds.iter().map(|part| Some(*part));
        let values: Vec<Option<&str>> =
            (!aside.is_empty()).then_some(Some(self.program.release.as_str())).into_iter().chain(bounds()).collect();
        let rows = match self.session.run_with(&count, &values) {
            Ok(outcome) => outcome.rows,
            Err(failure) => return Ok(Err(failure)),
        };
        let rows =
            rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).and_then(|text| text.parse().ok()).unwrap_or_default();
        if rows > 0 && examples.len() < SHOWN {
            let show = examples_statement(dialect, check, span).map_err(|error| broken(&error))?;
            let values: Vec<Option<&str>> = bounds().collect();
            for row in self.session.run_with(&show, &values).map_err(|failure| failed(engine, &failure))?.rows {
                let mut key: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
                let shown = key.pop().unwrap_or_default();
                examples.push((list(&key), shown));
            }
            examples.truncate(SHOWN);
        }
        Ok(Ok(rows))
    }
}
