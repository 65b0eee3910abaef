//! Running an upgrade on a live database: the statements of the scripts one by one, each written into the journal before and
//! after, so that a killed runner, a killed server and a lost connection go on where they stopped.
//!
//! Invariant: what changes a schema is the text of a script and nothing else, so that the script by the database's own client
//! can go on where a runner stopped, and the other way round. It asks an [`engine::Engine`], never a dialect's name.

mod backfill;
mod drain;
pub mod doctor;
pub mod engine;
pub mod look;
#[cfg(feature = "mysql")]
pub mod mysql;
mod phase;
#[cfg(feature = "postgres")]
pub mod postgres;
mod sentry;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod state;
mod throttle;
mod verify;
mod whole;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::engine::Failure;
use crate::plan::model::Phase;

pub use drain::drain;
pub use phase::{dry_run, nobody_is_connected, run};
pub use sentry::Blocker;
pub use state::{Aside, Progress, Revision, State};
pub use verify::{Found, verify};

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// A phase.
    Phase(Phase),
    /// The way back.
    Abort,
}

impl Task {
    /// The name of the command and of the script.
    pub fn name(self) -> &'static str {
        match self {
            Task::Phase(phase) => phase.name(),
            Task::Abort => "abort",
        }
    }
}

/// How it is run.
pub struct Options<'a> {
    /// How long to wait for another runner to end.
    pub wait: Duration,
    /// How long a statement that meets a lock is tried again.
    pub patience: Duration,
    /// Workers of a backfill; at least one.
    pub workers: usize,
    /// The time that a batch should take.
    pub batch_time: Duration,
    /// How many batches this run may do; none: all.
    pub max_batches: Option<u64>,
    /// While this file is there, no batch begins.
    pub pause_file: Option<PathBuf>,
    /// No batch begins while a replica is further behind than this, in seconds, or while nobody knows how far it is.
    pub max_lag: Option<u64>,
    /// The replicas, where they are asked themselves.
    pub replicas: Vec<Box<dyn engine::Engine>>,
    /// No batch begins while more sessions of others than this are at work, or while nobody knows how many.
    pub max_load: Option<u64>,
    /// How many rows that can't be filled may be set aside.
    pub skip_failing: u64,
    /// Whether applications share a lock with the runner: it changes the shape only at a moment when nobody holds it.
    pub schema_lock: bool,
    /// Whether the application is stopped: nothing needs to keep the two shapes in step.
    pub offline: bool,
    /// Whether the operator says that no client of the old version is left.
    pub all_nodes_upgraded: bool,
    /// Set when the run is to stop as soon as it can do so in good order.
    pub stop: &'a AtomicBool,
}

/// How a run ended that met no fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is through.
    Done,
    /// There was nothing to do, and why.
    Already(String),
    /// It stopped in good order, and more batches remain.
    MoreBatches,
}

/// What happens during a run, for who watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Another runner is waited for.
    WaitsForRunner(&'a str),
    /// A statement begins: its section of the script, and what it is there for.
    Begins(&'a str, String),
    /// A statement was finished by an earlier run.
    WasDone(&'a str, String),
    /// A statement met a lock: who holds it, which try this was, how long the pause is.
    MetLock(&'a [Blocker], u32, Duration),
    /// Applications share the lock that the next statement needs: who, which try this was, how long the pause is.
    MetReaders(&'a [Blocker], u32, Duration),
    /// A statement has waited for these sessions for a while, and goes on waiting.
    Waits(&'a [Blocker]),
    /// The server's own words.
    Notice(&'a str, &'a str),
    /// A backfill begins: its name, about how many rows there are, how many were done before, how many parts it has.
    Fills(&'a str, u64, u64, usize),
    /// A batch is through.
    Batch(&'a Batch<'a>),
    /// A row was set aside.
    SetAside(&'a FailingRow),
    /// A row that was set aside could be filled.
    TookBack(&'a FailingRow),
    /// Batches pause, and while what.
    Pauses(&'a str),
    /// They go on.
    GoesOn,
    /// A backfill is through: its name, how many rows it filled.
    Filled(&'a str, u64),
    /// Rows are compared: what they must agree on, about how many there are.
    Looks(&'a str, u64),
    /// A range of them is through.
    Looked(&'a Looked<'a>),
}

/// A batch that is through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The backfill.
    pub backfill: &'a str,
    /// The part of its range, from 0.
    pub part: i32,
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that were filled.
    pub filled: u64,
    /// How long it took.
    pub took: Duration,
}

/// A range of rows that were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked<'a> {
    /// What they must agree on.
    pub what: &'a str,
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that disagree.
    pub disagree: u64,
    /// How long it took.
    pub took: Duration,
}

/// A row that can't be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingRow {
    /// The backfill.
    pub backfill: String,
    /// Its table.
    pub table: String,
    /// The names of the key's columns.
    pub columns: Vec<String>,
    /// Its key.
    pub key: Vec<String>,
    /// What the new values would be computed from, as JSON.
    pub values: String,
    /// What was to be done.
    pub expression: String,
    /// Why it can't.
    pub error: String,
}

impl fmt::Display for FailingRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: the row with {} = {} can't be filled", self.table, list(&self.columns), list(&self.key))
    }
}

fn list(parts: &[String]) -> String {
    if let [one] = parts { one.clone() } else { format!("({})", parts.join(", ")) }
}

/// Hears what happens during a run. It is called from several threads.
pub trait Observer: Sync {
    /// Something happens.
    fn hear(&self, event: &Event<'_>);
}

/// Why a run did not come to its end. Nothing is half applied that the journal does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Stopped {
    /// What is wrong.
    pub message: String,
    /// More about it, a line each.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// It was the connection that went, and nobody has said so yet.
    lost: bool,
    /// Somebody asked it to stop, and it did so in good order.
    is_asked_for: bool,
}

impl Stopped {
    /// A reason.
    pub fn new(message: impl Into<String>) -> Self {
        Stopped { message: message.into(), notes: Vec::new(), help: None, lost: false, is_asked_for: false }
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With more about it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The server's words, below what was being done.
    fn by(engine: &dyn engine::Engine, what: impl Into<String>, failure: &Failure) -> Self {
        let mut stopped = Stopped::new(what).note(match &failure.code {
            Some(code) => format!("{code}: {}", failure.message),
            None => failure.message.clone(),
        });
        stopped.notes.extend(failure.detail.clone());
        stopped.notes.extend(failure.context.clone());
        stopped.help.clone_from(&failure.hint);
        stopped.lost = engine.class(failure) == engine::Class::Lost;
        stopped
    }

    /// Whatever was being done when the connection went: that it went is what the user has to know. The server's words stay.
    fn during(mut self, doing: &str, help: &str) -> Self {
        if std::mem::take(&mut self.lost) {
            self.message = format!("the connection to the server was lost during {doing}");
            self.help = Some(help.to_owned());
        }
        self
    }
}
