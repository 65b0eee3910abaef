//! SQLite for the runner: its words, and what its errors mean. Each statement is a file of this module's folder.
//!
//! A file knows neither sessions nor locks with names, so the lock of runners is one on a file beside it (`lock`).

mod lock;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::lock::RunnerLock;
use super::engine::{Class, Engine, Words};
use crate::engine::sqlite::Session;
use crate::engine::{Connection, Failure, Outcome};
use crate::sql::Dialect;

/// Without a write-ahead log who waits for the end of a reader keeps new ones from beginning.
const LOCK_TIMEOUT: Duration = Duration::from_millis(300);
/// For how long a statement outside of a transaction is tried again; between two tries others get their turn.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// An SQLite database file.
#[derive(Debug, Clone)]
pub struct Sqlite {
    path: PathBuf,
}

impl Sqlite {
    /// The file of a URL, `sqlite:PATH`.
    ///
    /// # Errors
    /// When there is no such file, or none is meant.
    pub fn at(url: &str) -> Result<Self, Failure> {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = path.strip_prefix("//").unwrap_or(path);
        // By one name, so that two runners meet at one lock.
        let path = PathBuf::from(path);
        Session::open_existing(&path)?;
        Ok(Self { path: path.canonicalize().unwrap_or(path) })
    }
}

static WORDS: Words = Words {
    try_lock: include_str!("sqlite/lock.sql"),
    unlock: include_str!("sqlite/unlock.sql"),
    holder: include_str!("sqlite/holder.sql"),
    is_set_up: include_str!("sqlite/is_set_up.sql"),
    is_complete: include_str!("sqlite/is_set_up.sql"),
    revisions: include_str!("sqlite/revisions.sql"),
    journal: include_str!("sqlite/journal.sql"),
    begin_statement: include_str!("sqlite/begin_statement.sql"),
    finish_statement: include_str!("sqlite/finish_statement.sql"),
    fail_statement: include_str!("sqlite/fail_statement.sql"),
    forget_statement: include_str!("sqlite/forget_statement.sql"),
    own_id: include_str!("sqlite/own_id.sql"),
    blockers: &[include_str!("sqlite/blockers.sql")],
    parts: include_str!("sqlite/parts.sql"),
    new_part: include_str!("sqlite/new_part.sql"),
    advance: include_str!("sqlite/advance.sql"),
    finish_part: include_str!("sqlite/finish_part.sql"),
    finish_parts: include_str!("sqlite/finish_parts.sql"),
    estimate: include_str!("sqlite/estimate.sql"),
    kept: None,
    schema_lock: None,
    set_aside: include_str!("sqlite/set_aside.sql"),
    take_back: include_str!("sqlite/take_back.sql"),
    failing: include_str!("sqlite/failing.sql"),
    lag: None,
    load: None,
    old_snapshot: include_str!("sqlite/old_snapshot.sql"),
    tells_writers: None,
    sessions: &[include_str!("sqlite/sessions.sql")],
    outsiders: None,
    doctor: &[include_str!("sqlite/doctor.sql")],
    checkpoints: include_str!("sqlite/checkpoints.sql"),
    batch_settings: &[],
    impatience: None,
};

impl Engine for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn place(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn connect(&self, name: &str) -> Result<Box<dyn Connection + Send>, Failure> {
        let mut session = Session::open_existing(&self.path)?;
        session.wait_at_most(LOCK_TIMEOUT)?;
        let lock = Arc::new(RunnerLock::beside(&self.path, name));
        let (take, release, ask) = (Arc::clone(&lock), Arc::clone(&lock), lock);
        session.define("crossfade_try_lock", move || take.take().map(|taken| Some(taken.to_string())).map_err(|why| why.to_string()))?;
        session.define("crossfade_unlock", move || {
            release.release();
            Ok(None)
        })?;
        session.define("crossfade_lock_holder", move || Ok(ask.holder()))?;
        Ok(Box::new(Patient { session }))
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn is_transactional(&self, _statement: &str) -> bool {
        true
    }

    /// Codes: <https://www.sqlite.org/rescode.html>. The lower eight bits are the kind.
    fn class(&self, failure: &Failure) -> Class {
        match failure.code.as_deref().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
            // BUSY, LOCKED
            Some(5 | 6) => Class::Lock,
            // What a function fails with as it is computed; TOOBIG, CONSTRAINT, MISMATCH
            Some(1 | 18 | 19 | 20) => Class::Row,
            Some(_) | None => Class::Other,
        }
    }

    /// A transaction that reads first and writes then may find that somebody has written between.
    fn begin(&self) -> &'static str {
        "begin immediate"
    }

    fn runs_whole(&self) -> bool {
        true
    }

    fn knows_clients(&self) -> bool {
        false
    }

    /// Who waits for the lock looks now and then whether it is free: as long as it was held it is free.
    fn pause_after(&self, batch: Duration) -> Duration {
        batch
    }

    fn estimate(&self, session: &mut dyn Connection, table: &str) -> Result<u64, Failure> {
        let count = session.value(&[WORDS.estimate, table].concat())?;
        Ok(count.and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// A connection that lets others have their turn and then tries again.
struct Patient {
    session: Session,
}

impl Patient {
    /// What runs outside of a transaction has done nothing when somebody else held the lock.
    fn often(&mut self, mut once: impl FnMut(&mut Session) -> Result<Outcome, Failure>) -> Result<Outcome, Failure> {
        let begun = Instant::now();
        loop {
            let within = self.session.is_in_transaction();
            let done = once(&mut self.session);
            match &done {
                Err(failure) if !within && failure.code.as_deref() == Some("5") && begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                _ => return done,
            }
        }
    }
}

impl Connection for Patient {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        // Some errors have rolled back already: https://www.sqlite.org/lang_transaction.html
        if statement == "rollback" && !self.session.is_in_transaction() {
            return Ok(Outcome::default());
        }
        self.often(|session| session.run(statement))
    }

    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        self.often(|session| session.run_with(statement, values))
    }
}
