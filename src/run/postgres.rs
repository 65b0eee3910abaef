//! PostgreSQL for the runner: its words, and what its errors mean. Each statement is a file of this module's folder.

use super::engine::{Class, Engine, SchemaLock, Words};
use crate::emit::program::code;
use crate::engine::postgres::{Location, Session};
use crate::engine::{Connection, Failure};
use crate::sql::Dialect;
use crate::sql::quote::literal;

/// A PostgreSQL database.
#[derive(Debug, Clone)]
pub struct Postgres {
    location: Location,
}

impl Postgres {
    /// The database of a URL.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn at(url: &str) -> Result<Self, Failure> {
        Ok(Self { location: Location::parse(url)? })
    }
}

static WORDS: Words = Words {
    try_lock: include_str!("postgres/lock.sql"),
    unlock: include_str!("postgres/unlock.sql"),
    holder: include_str!("postgres/holder.sql"),
    is_set_up: include_str!("postgres/is_set_up.sql"),
    is_complete: include_str!("postgres/is_complete.sql"),
    revisions: include_str!("postgres/revisions.sql"),
    journal: include_str!("postgres/journal.sql"),
    begin_statement: include_str!("postgres/begin_statement.sql"),
    finish_statement: include_str!("postgres/finish_statement.sql"),
    fail_statement: include_str!("postgres/fail_statement.sql"),
    forget_statement: include_str!("postgres/forget_statement.sql"),
    own_id: include_str!("postgres/own_id.sql"),
    blockers: &[include_str!("postgres/blockers.sql")],
    parts: include_str!("postgres/parts.sql"),
    new_part: include_str!("postgres/new_part.sql"),
    advance: include_str!("postgres/advance.sql"),
    finish_part: include_str!("postgres/finish_part.sql"),
    finish_parts: include_str!("postgres/finish_parts.sql"),
    estimate: include_str!("postgres/estimate.sql"),
    kept: None,
    schema_lock: Some(&SCHEMA_LOCK),
    set_aside: include_str!("postgres/set_aside.sql"),
    take_back: include_str!("postgres/take_back.sql"),
    failing: include_str!("postgres/failing.sql"),
    lag: Some(include_str!("postgres/lag.sql")),
    load: Some(include_str!("postgres/load.sql")),
    old_snapshot: include_str!("postgres/old_snapshot.sql"),
    tells_writers: Some("select 'true'"),
    sessions: &[include_str!("postgres/sessions.sql")],
    outsiders: Some(include_str!("postgres/outsiders.sql")),
    doctor: &[include_str!("postgres/doctor.sql")],
    checkpoints: include_str!("postgres/checkpoints.sql"),
    batch_settings: &[
        // As in the scripts: who wants what a statement has already queues behind it.
        "set lock_timeout = '300ms'",
        "set plan_cache_mode = force_custom_plan",
        // A crash may lose the last batches, and their checkpoints with them.
        "set synchronous_commit = off",
        // As in the scripts: a row that a policy hides is not left out in silence.
        "set row_security = off",
        "set statement_timeout = 0",
    ],
    // As in the scripts: who waits while it holds rows can be part of a deadlock that the server ends at the cost of a client.
    impatience: Some("set local lock_timeout = '10ms'"),
};

static SCHEMA_LOCK: SchemaLock = SchemaLock {
    try_lock: include_str!("postgres/schema_lock.sql"),
    readers: &[include_str!("postgres/schema_readers.sql")],
    beside: false,
    wait: Some("select set_config('lock_timeout', $1, true)"),
};

impl Engine for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn place(&self) -> String {
        self.location.to_string()
    }

    fn connect(&self, name: &str) -> Result<Box<dyn Connection + Send>, Failure> {
        let mut session = Session::connect_to(&self.location)?;
        session.run(&["set application_name = ", &literal(name, Dialect::Postgres)].concat())?;
        session.run(include_str!("postgres/prelude.sql"))?;
        session.run(include_str!("postgres/durable.sql"))?;
        Ok(Box::new(session))
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    /// What takes its time beside writers can't run in a transaction, and neither can a block that commits (manual, "CREATE
    /// INDEX", "Transaction Management").
    fn is_transactional(&self, statement: &str) -> bool {
        let code = code(statement).to_lowercase();
        let words: Vec<&str> = code.split(' ').take(4).collect();
        match words.as_slice() {
            ["create" | "drop" | "reindex", rest @ ..] => !rest.contains(&"concurrently"),
            ["do", ..] => !statement.lines().any(|line| line.trim() == "commit;"),
            ["vacuum", ..] => false,
            _ => true,
        }
    }

    /// Codes: manual, appendix A.
    fn class(&self, failure: &Failure) -> Class {
        match failure.code.as_deref() {
            None | Some("57P01" | "57P02" | "57P03") => Class::Lost,
            Some("55P03" | "40P01" | "40001") => Class::Lock,
            Some(code) if code.starts_with("08") => Class::Lost,
            Some(code) if ["21", "22", "23", "38", "39", "44", "P0"].iter().any(|class| code.starts_with(class)) => Class::Row,
            Some(_) => Class::Other,
        }
    }
}
