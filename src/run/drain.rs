//! The drain of a version: guards refuse what it writes, for a time, so that one sees who still writes before contract makes it
//! final.
//!
//! The guards come table by table under short locks, and go the same way. The journal has one entry for as long as they are there:
//! finished while they refuse, begun while they come or go. Contract and abort take them away first.

use super::engine::Engine;
use super::phase::{Runner, at_work, same_database, same_scripts};
use super::state::State;
use super::{End, Event, Observer, Options, Stopped};
use crate::emit::drain::{Drain, drain as statements};
use crate::emit::program::Program;

/// What the journal calls a drain, before the version's name.
pub(super) const STEP: &str = "drain ";

/// Refuses the writes of a version, or (`undo`) lets it write again.
///
/// # Errors
/// When it can't be told who is of that version, when the upgrade is not where two versions write, or a statement fails. The same
/// call goes on where it stopped.
pub fn drain(
    engine: &dyn Engine,
    program: &Program,
    version: &str,
    undo: bool,
    options: &Options<'_>,
    observer: &dyn Observer,
) -> Result<End, Stopped> {
    let known = [program.old_version.as_deref(), Some(program.new_version.as_str())];
    if !known.contains(&Some(version)) {
        let names: Vec<&str> = known.into_iter().flatten().collect();
        return Err(Stopped::new(format!("this upgrade knows no version `{version}`: it is about {}", names.join(" and ")))
            .help("nothing was changed"));
    }
    at_work(engine, program, None, options, observer, |mut runner| {
        let ended = if undo { runner.end_of(version) } else { runner.start_of(version) };
        runner.close();
        ended
    })
}

impl Runner<'_> {
    /// The versions that are drained, or half so, by the journal.
    fn drained(&self) -> Vec<String> {
        self.journal.keys().filter_map(|step| step.strip_prefix(STEP)).map(str::to_owned).collect()
    }

    pub(super) fn is_drained(&self) -> bool {
        !self.drained().is_empty()
    }

    fn statements_of(&self, version: &str) -> Result<Option<Drain>, Stopped> {
        statements(self.program, version).map_err(|error| Stopped::new(error.to_string()))
    }

    fn find_out(&mut self) -> Result<State, Stopped> {
        same_database(self.engine, self.program)?;
        let state = State::read(self.session.as_mut(), self.engine).map_err(|failure| self.failed(&failure))?;
        if state.is_set_up {
            self.read_journal()?;
        }
        same_scripts(self.program, &self.journal)?;
        Ok(state)
    }

    fn start_of(&mut self, version: &str) -> Result<End, Stopped> {
        let state = self.find_out()?;
        let release = &self.program.release;
        let refused = |message: String, help: &str| Err(Stopped::new(message).help(help));
        let phase = state.latest().filter(|latest| latest.release == *release).map(|latest| latest.phase.as_str());
        if phase != Some("migrate") || self.journal.keys().any(|step| step.starts_with("contract")) {
            return refused(
                format!("{version} can't be drained now: two versions write from the end of migrate of {release} until its contract"),
                "`crossfade status` shows how far the database is; nothing was changed",
            );
        }
        let Some(drain) = self.statements_of(version)? else {
            return Err(self.blind(version));
        };
        if drain.guards.is_empty() {
            return refused(
                format!("it is not known which tables clients of {version} write to: the folder of scripts is of an older crossfade"),
                "name both sources instead; nothing was changed",
            );
        }
        self.must_tell_writers(version)?;
        if let Some(other) = self.drained().into_iter().find(|other| other != version) {
            return refused(
                format!("version {other} is drained, and with {version} nobody could write any more"),
                &format!("end that one first: `crossfade drain {other} --undo`; nothing was changed"),
            );
        }
        let step = [STEP, version].concat();
        if self.journal.get(&step).is_some_and(|entry| entry.finished) {
            return Ok(End::Already(format!("{version} is drained already; `crossfade drain {version} --undo` lets it write again")));
        }
        let hash = self.program.hash_of_drain(&drain);
        self.settings(&self.program.units(&self.program.scripts.abort))?;
        self.begin(&step, &hash)?;
        self.several(&drain.prepare)?;
        let program = self.program;
        for (table, guard) in program.tables.iter().zip(&drain.guards) {
            self.may_go_on(version)?;
            self.observer.hear(&Event::Begins("drain", format!("a guard on {table}")));
            self.several(guard)?;
        }
        if drain.refuse.is_empty() {
            self.finish(&step)?;
        } else {
            self.try_often(&drain.refuse, true, Some((&step, &hash)), false)?;
        }
        Ok(End::Done)
    }

    fn end_of(&mut self, version: &str) -> Result<End, Stopped> {
        self.find_out()?;
        if self.drained().iter().all(|other| other != version) {
            return Ok(End::Already(format!("{version} is not drained: it may write")));
        }
        self.settings(&self.program.units(&self.program.scripts.abort))?;
        self.lift(version)?;
        Ok(End::Done)
    }

    /// Lets every version write again: a phase changes what the guards stand on. The settings of its script hold already.
    pub(super) fn lift_drains(&mut self) -> Result<(), Stopped> {
        for version in self.drained() {
            self.lift(&version)?;
            self.journal.remove(&[STEP, &version].concat());
        }
        Ok(())
    }

    fn lift(&mut self, version: &str) -> Result<(), Stopped> {
        let Some(drain) = self.statements_of(version)? else { return Err(self.blind(version)) };
        let step = [STEP, version].concat();
        self.begin(&step, &self.program.hash_of_drain(&drain))?;
        self.several(&drain.let_pass)?;
        let program = self.program;
        for (table, guard) in program.tables.iter().zip(&drain.unguard) {
            self.may_go_on(version)?;
            self.observer.hear(&Event::Begins("drain", format!("the guard on {table} goes")));
            self.several(guard)?;
        }
        self.several(&drain.clear)?;
        let values = [Some(self.program.release.as_str()), Some(step.as_str())];
        self.session.run_with(self.engine.words().forget_statement, &values).map_err(|failure| self.failed(&failure))?;
        Ok(())
    }

    /// Statements that may meet a lock; nobody queues behind them for longer than the lock timeout.
    fn several(&mut self, statements: &[String]) -> Result<(), Stopped> {
        for statement in statements {
            self.try_often(std::slice::from_ref(statement), false, None, false)?;
        }
        Ok(())
    }

    fn may_go_on(&self, version: &str) -> Result<(), Stopped> {
        if !self.options.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        Err(Stopped::new(format!("the drain of {version} was stopped between two tables"))
            .help(format!("run `crossfade drain {version}` again, or take it back with `crossfade drain {version} --undo`")))
    }

    /// Why nothing tells who writes.
    fn blind(&self, version: &str) -> Stopped {
        let why = if self.program.namespace.is_none() {
            "in shared access both versions write to the same names, and nothing tells which of them a client is"
        } else {
            "in a file the views of a namespace write to the tables as any client does, and no trigger can tell the two apart"
        };
        let help = match &self.program.old_version {
            Some(old) if old == version => {
                format!(
                    "stop the clients of {version} one by one instead, and watch their log files; `crossfade contract --all-nodes-upgraded` when none is left. Nothing was changed"
                )
            }
            _ => "nothing was changed".to_owned(),
        };
        Stopped::new(format!("{version} can't be drained: {why}")).help(help)
    }

    /// The guards must be able to tell who writes, before the first of them stands.
    fn must_tell_writers(&mut self, version: &str) -> Result<(), Stopped> {
        let Some(question) = self.engine.words().tells_writers else { return Err(self.blind(version)) };
        let why = match self.session.value(question) {
            Ok(Some(answer)) if answer == "true" => return Ok(()),
            Ok(_) => "it does not name this session's own statement".to_owned(),
            Err(failure) if self.engine.class(&failure) == super::engine::Class::Lost => return Err(self.failed(&failure)),
            Err(failure) => failure.to_string(),
        };
        Err(Stopped::new(format!(
            "{version} can't be drained: only the server's performance schema tells a trigger which database a session has chosen"
        ))
        .note(why)
        .help(
            "start the server with `performance_schema = ON` and its consumer `events_statements_current`, and let this account read it; nothing was changed",
        ))
    }
}
