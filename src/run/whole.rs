//! A phase that is one transaction: the whole script, with its mark in the journal. All of it happens, or nothing, so that there is
//! nothing to go on with after a kill.
//!
//! Rows are filled before it, in batches that others can write between; the script finds nothing left of that to do. It says so
//! itself: its own statement for these rows runs all the same, unless rows were set aside.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::engine::Class;
use super::phase::{Runner, aside_of, script};
use super::state::aside;
use super::{End, Event, Stopped, Task, backfill};
use crate::emit::live::{self, Backfill, Check, count_statement};
use crate::emit::program::{Part, Unit, code, keeps_in_step, title, work_hash};
use crate::engine::Failure;
use crate::plan::model::Phase;

/// Why a try of a script did not come through.
enum Broken {
    /// A statement was refused.
    At(String, Box<Failure>),
    /// Rows disagree: how many, and which.
    Rows(String, String),
    /// It was told to stop.
    Stopped,
    /// Something else.
    Other(Stopped),
}

/// How much of a script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What refuses it, and then it is rolled back.
    Gates,
    /// All of it.
    All,
}

/// What a script says while it runs.
#[derive(Default)]
struct Said {
    warnings: Vec<String>,
    reasons: Vec<String>,
}

impl<'a> Runner<'a> {
    /// Runs a script as a whole. `set_up`: the version tables are there.
    pub(super) fn whole(&mut self, task: Task, units: Vec<Unit>, set_up: bool) -> Result<End, Stopped> {
        if task == Task::Phase(Phase::Migrate) {
            // What refuses the script refuses the rows that are filled before it.
            for unit in units.iter().filter(|unit| unit.bracketed) {
                self.script(task, unit, set_up, Extent::Gates)?;
            }
            self.remember_scripts()?;
            self.take_back()?;
            if let Some(end) = self.batches()? {
                return Ok(end);
            }
        }
        for unit in units {
            if unit.bracketed {
                self.script(task, &unit, set_up, Extent::All)?;
            } else {
                for setting in &unit.statements {
                    self.session.run(setting).map_err(|failure| self.failed(&failure))?;
                }
            }
        }
        Ok(End::Done)
    }

    fn batches(&mut self) -> Result<Option<End>, Stopped> {
        let program = self.program;
        for backfill in &program.backfills {
            if self.is_filled(backfill) {
                continue;
            }
            let step = self.step(backfill);
            self.begin(&step, &work_hash(backfill))?;
            if let Some(end) = backfill::run(self, backfill)? {
                return Ok(Some(end));
            }
            self.finish(&step)?;
        }
        Ok(None)
    }

    fn step(&self, backfill: &Backfill) -> String {
        format!("{}: {}", self.name(), backfill.name)
    }

    /// Whether the rows of a backfill were filled, by the journal.
    pub(super) fn is_filled(&self, backfill: &Backfill) -> bool {
        self.is_done(&self.step(backfill), &work_hash(backfill))
    }

    fn script(&mut self, task: Task, unit: &Unit, set_up: bool, extent: Extent) -> Result<(), Stopped> {
        let program = self.program;
        let parts = program.parts(script(program, task), unit);
        let skipped = if set_up { self.without_aside()? } else { Vec::new() };
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut said = Said::default();
            let tried = self.once_whole(unit, &parts, &skipped, &mut said, extent);
            if tried.is_err() {
                self.session.run("rollback").map_err(|failure| self.failed(&failure))?;
            }
            // What the gates warn of is said once, with the script itself.
            for warning in said.warnings.iter().filter(|_| extent == Extent::All || tried.is_err()) {
                self.observer.hear(&Event::Notice("warning", warning));
            }
            match tried {
                Ok(()) => return Ok(()),
                Err(Broken::Stopped) => return Err(self.interrupted()),
                Err(Broken::Other(stopped)) => return Err(stopped),
                Err(Broken::Rows(count, what)) => {
                    return Err(Stopped::new(format!("{count} rows disagree: {what}")).help("`crossfade verify` shows some of them"));
                }
                Err(Broken::At(_, failure)) if self.engine.class(&failure) == Class::Lock => {
                    self.after_lock(begun, attempt, &[], &failure)?
                }
                Err(Broken::At(statement, failure)) => {
                    self.note_failed_script(&unit.hash(), &failure, set_up)?;
                    return Err(self.refused_whole(&statement, &failure, said.reasons));
                }
            }
        }
    }

    fn once_whole(
        &mut self,
        unit: &Unit,
        parts: &[Part<'_>],
        skipped: &[(&Check, String)],
        said: &mut Said,
        extent: Extent,
    ) -> Result<(), Broken> {
        let at = |statement: &str| {
            let statement = statement.to_owned();
            move |failure| Broken::At(statement, Box::new(failure))
        };
        let program = self.program;
        self.session.run(self.engine.begin()).map_err(at("begin"))?;
        let aside: Vec<&str> = skipped.iter().map(|(check, _)| check.table.as_str()).collect();
        let mut rest_of_gate = 0;
        for Part { section, comment, text } in parts {
            if self.options.stop.load(Ordering::Relaxed) {
                return Err(Broken::Stopped);
            }
            if extent == Extent::Gates && !matches!(section.as_str(), "" | "Gates") {
                break;
            }
            if !comment.is_empty() && !matches!(section.as_str(), "" | "Gates" | "Done") {
                self.observer.hear(&Event::Begins(section, title(comment)));
            }
            if self.offline && keeps_in_step(text) {
                continue;
            }
            if rest_of_gate > 0 {
                rest_of_gate -= 1;
                continue;
            }
            if program.backfills.iter().any(|backfill| aside.contains(&backfill.table.as_str()) && program.is_all_of(backfill, text)) {
                continue;
            }
            if let Some((check, count)) = skipped.iter().find(|(check, _)| program.counts(check, text)) {
                if code(text).starts_with("create ") {
                    // The gate is made, asked and dropped.
                    rest_of_gate = 2;
                    continue;
                }
                let found = self.session.run_with(count, &[Some(&program.release)]).map_err(at(count))?;
                let rows = found.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()).unwrap_or_default();
                if rows != "0" {
                    return Err(Broken::Rows(rows, check.what.clone()));
                }
                continue;
            }
            for row in self.session.run(text).map_err(at(text))?.rows {
                let line = row.into_iter().flatten().collect::<Vec<_>>().join(" ");
                match line.strip_prefix("warning: ") {
                    Some(warning) => said.warnings.push(warning.to_owned()),
                    None => said.reasons.push(line.strip_prefix("refused: ").unwrap_or(&line).to_owned()),
                }
            }
        }
        if extent == Extent::Gates {
            return self.session.run("rollback").map(drop).map_err(at("rollback"));
        }
        if self.task != Some(Task::Abort) {
            let step = self.script_step();
            self.remember_scripts().map_err(Broken::Other)?;
            self.remember_offline().map_err(Broken::Other)?;
            self.begin(&step, &unit.hash()).map_err(Broken::Other)?;
            self.finish(&step).map_err(Broken::Other)?;
        }
        self.session.run("commit").map_err(at("commit"))?;
        Ok(())
    }

    /// What the journal calls the script as a whole.
    fn script_step(&self) -> String {
        format!("{}: all of it", self.name())
    }

    /// The checks of tables that rows were set aside of, with the statements that count the others.
    fn without_aside(&mut self) -> Result<Vec<(&'a Check, String)>, Stopped> {
        let program = self.program;
        let rows = aside(self.session.as_mut(), self.engine, &program.release).map_err(|failure| self.failed(&failure))?;
        let mut found = Vec::new();
        for check in &program.checks {
            let names = aside_of(program, &rows, check);
            if !names.is_empty() {
                let count = count_statement(program.dialect, check, live::Aside::Of(&names), live::Span::All)
                    .map_err(|error| Stopped::new(error.to_string()))?;
                found.push((check, count));
            }
        }
        Ok(found)
    }

    /// What failed has left nothing; that it was tried is told by `status`. Contract has not begun then.
    fn note_failed_script(&mut self, hash: &str, failure: &Failure, set_up: bool) -> Result<(), Stopped> {
        if !set_up || self.task == Some(Task::Phase(Phase::Contract)) {
            return Ok(());
        }
        let step = self.script_step();
        self.begin(&step, hash)?;
        let words = self.engine.words().fail_statement;
        let values = [Some(self.program.release.as_str()), Some(step.as_str()), Some(&failure.to_string())];
        self.session.run_with(words, &values).map_err(|failure| self.failed(&failure))?;
        Ok(())
    }

    fn refused_whole(&self, statement: &str, failure: &Failure, reasons: Vec<String>) -> Stopped {
        let mut stopped = Stopped::by(self.engine, format!("{} of {} failed", self.name(), self.program.release), failure);
        stopped.notes.extend(reasons);
        stopped.notes = stopped.notes.iter().map(|note| self.in_own_words(note)).collect();
        let mut shown = code(statement);
        // A gate has said it all.
        if !shown.starts_with("insert into crossfade_gate") {
            if let Some((end, _)) = shown.char_indices().nth(300) {
                shown.truncate(end);
                shown.push('…');
            }
            stopped = stopped.note(format!("statement: {shown}"));
        }
        stopped.note("nothing was changed")
    }
}
