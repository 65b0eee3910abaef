//! What a runner asks of a database, whatever its kind: a session, the statements of its own books, and what an error means.
//!
//! The statements are texts with places for values; which values they take and what they give back is said once, here.

use std::time::Duration;

use crate::engine::{Connection, Failure, Notice, Outcome};
use crate::sql::Dialect;

/// A database that upgrades run on.
pub trait Engine: Sync {
    /// Its dialect.
    fn dialect(&self) -> Dialect;

    /// Where it is, without anything secret.
    fn place(&self) -> String;

    /// The database that a session begins in, where scripts name theirs and could mean another one.
    fn database(&self) -> Option<&str> {
        None
    }

    /// Opens a session that is called by this name in the server's list of sessions.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    fn connect(&self, name: &str) -> Result<Box<dyn Connection + Send>, Failure>;

    /// The statements of the runner's own books.
    fn words(&self) -> &'static Words;

    /// Whether a statement can run in a transaction with others.
    fn is_transactional(&self, statement: &str) -> bool;

    /// What a statement of a script has to say to people in the rows that it gives. `HINT`: what to do when it stops the script.
    fn spoken(&self, _outcome: &Outcome) -> Vec<Notice> {
        Vec::new()
    }

    /// All that a gate of a script had to say, where the error has only a part of it.
    fn explain(&self, _session: &mut dyn Connection, _statements: &[String], failure: Failure) -> Failure {
        failure
    }

    /// What has to run before statements that failed are tried again: it takes away what they made for themselves.
    fn before_again(&self, _statements: &[String]) -> Vec<String> {
        Vec::new()
    }

    /// What an error means for who tries again.
    fn class(&self, failure: &Failure) -> Class;

    /// Begins a transaction that will write.
    fn begin(&self) -> &'static str {
        "begin"
    }

    /// Whether a script is one transaction: all of a phase happens at once, or nothing.
    fn runs_whole(&self) -> bool {
        false
    }

    /// Whether it can be asked who is connected.
    fn knows_clients(&self) -> bool {
        true
    }

    /// How many seconds this server is behind the one that it is a replica of; `None` when it is none now, or does not know.
    ///
    /// # Errors
    /// When it can't be asked.
    fn behind(&self, _session: &mut dyn Connection) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    /// Whether a trigger can refuse that a table is emptied at once.
    fn guards_truncate(&self) -> bool {
        true
    }

    /// How long others get their turn after a batch.
    fn pause_after(&self, _batch: Duration) -> Duration {
        Duration::ZERO
    }

    /// About how many rows a table has.
    ///
    /// # Errors
    /// When it can't be asked.
    fn estimate(&self, session: &mut dyn Connection, table: &str) -> Result<u64, Failure> {
        let rows = session.run_with(self.words().estimate, &[Some(table)])?.rows;
        Ok(rows.into_iter().next().and_then(|mut row| row.pop().flatten()).and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// What an error means for who tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody else held a lock: the same statement may pass later.
    Lock,
    /// The connection is gone.
    Lost,
    /// The values of a row don't fit.
    Row,
    /// Something else.
    Other,
}

/// The statements of the runner's own books. Keys are JSON arrays of texts, truth values `true` and `false`.
#[derive(Debug)]
pub struct Words {
    /// Takes the lock of runners for the session if it is free. Gives: whether it was.
    pub try_lock: &'static str,
    /// Lets go of it.
    pub unlock: &'static str,
    /// Gives: session, user, name, address, seconds of who holds it.
    pub holder: &'static str,
    /// Gives: whether the version tables are there.
    pub is_set_up: &'static str,
    /// Gives: whether all of them are there, with the view that is made last.
    pub is_complete: &'static str,
    /// Gives: release, old version, new version, phase, and the last revision of each phase; the latest last.
    pub revisions: &'static str,
    /// Release. Gives: step, hash, whether finished, attempts, error.
    pub journal: &'static str,
    /// Release, step, hash.
    pub begin_statement: &'static str,
    /// Release, step.
    pub finish_statement: &'static str,
    /// Release, step, error.
    pub fail_statement: &'static str,
    /// Release, step.
    pub forget_statement: &'static str,
    /// Gives: the session's id.
    pub own_id: &'static str,
    /// A session's id. Gives: session, user, name, state, seconds, statement of each session that it waits for. Of several ways the
    /// first one counts that knows any.
    pub blockers: &'static [&'static str],
    /// Release, backfill. Gives: part, last key, top key, rows, whether finished.
    pub parts: &'static str,
    /// Release, backfill, part, last key, top key.
    pub new_part: &'static str,
    /// Release, backfill, part, last key until now, last key from now on, rows. Changes nothing when the last key is another one.
    pub advance: &'static str,
    /// Release, backfill, part.
    pub finish_part: &'static str,
    /// Release, backfill.
    pub finish_parts: &'static str,
    /// A table. Gives: about how many rows it has.
    pub estimate: &'static str,
    /// The lock that applications share with the runner; none where the database knows no such locks.
    pub schema_lock: Option<&'static SchemaLock>,
    /// A table. Gives: assignments for a backfill's end, of columns that the server would set on every UPDATE.
    pub kept: Option<&'static str>,
    /// Release, backfill, key, error.
    pub set_aside: &'static str,
    /// Release, backfill, key.
    pub take_back: &'static str,
    /// Release. Gives: backfill, key, error.
    pub failing: &'static str,
    /// Gives: how many seconds the slowest replica is behind; NULL where that is not known of all of them, or where there is none.
    pub lag: Option<&'static str>,
    /// Gives: how many sessions of others are at work; NULL where that is not known.
    pub load: Option<&'static str>,
    /// Gives: whether somebody's old snapshot keeps dead rows from being taken away.
    pub old_snapshot: &'static str,
    /// Gives: whether a trigger can tell which namespace the session has chosen that writes; `None` where none can.
    pub tells_writers: Option<&'static str>,
    /// Gives: session, user, program, address, state, seconds in it, path of each client. Of several ways the first one counts that knows any.
    pub sessions: &'static [&'static str],
    /// Tables, as a JSON array. Gives: the sessions whose role can't reach any of them by its name; none where rights don't tell.
    pub outsiders: Option<&'static str>,
    /// Release. Gives: backfill, rows, whether finished, ranges of workers, those that are through.
    pub checkpoints: &'static str,
    /// Age in seconds. Gives: level, code, object, message of each thing that would stop a phase or surprise somebody. Behind the first
    /// one stand those that may lack the rights.
    pub doctor: &'static [&'static str],
    /// What a session of batches sets first, and one that compares rows.
    pub batch_settings: &'static [&'static str],
    /// Lets the rest of a transaction that wants several rows wait for none of them; none where the settings or a statement of the
    /// backfill see to that, or where nobody waits for rows.
    pub impatience: Option<&'static str>,
}

/// The exclusive side of the lock whose shared side applications take on the row of `crossfade.version`.
#[derive(Debug)]
pub struct SchemaLock {
    /// Takes it for the transaction, or fails at once.
    pub try_lock: &'static str,
    /// Gives who shares it, as [`Words::blockers`] does. Of several ways the first one counts that knows any.
    pub readers: &'static [&'static str],
    /// Whether statements that change the schema commit: then a session beside holds it while they run.
    pub beside: bool,
    /// A time in milliseconds: the longest that the next statement of the transaction may wait for a lock.
    pub wait: Option<&'static str>,
}

/// The rows of the first of several ways to ask that knows any.
///
/// # Errors
/// When all of them fail.
pub(super) fn first_that_knows(
    session: &mut dyn Connection,
    ways: &[&str],
    values: &[Option<&str>],
) -> Result<Vec<Vec<Option<String>>>, Failure> {
    let mut failed = None;
    let mut heard = false;
    for way in ways {
        match session.run_with(way, values) {
            Ok(outcome) if outcome.rows.is_empty() => heard = true,
            Ok(outcome) => return Ok(outcome.rows),
            Err(failure) => failed = Some(failure),
        }
    }
    match failed {
        Some(failure) if !heard => Err(failure),
        _ => Ok(Vec::new()),
    }
}
