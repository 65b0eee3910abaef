//! Sessions on a database: a live one, or a throw-away server that is started for a rehearsal or a test.
//!
//! Invariant: the only module that names a database driver or starts a database's programs; it knows connections and
//! statements, and nothing of snapshots, plans or phases.

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub mod ephemeral;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod tls;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod url;

use std::fmt;

/// One connection to a database of any kind. Dropping it closes the connection; a transaction that is open then is rolled
/// back.
pub trait Connection {
    /// Runs the text of one statement and gives back its rows. The text goes to the server as it is.
    ///
    /// # Errors
    /// When the server refuses the statement; the session stays usable.
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure>;

    /// Runs one statement with values in the places that the server's dialect marks (`$1`, `?`), each in its text form; `None` is
    /// NULL. A statement that returns here again is prepared only once.
    ///
    /// # Errors
    /// As [`Connection::run`].
    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure>;

    /// The notices that arrived since the last call, in order; none from servers that send none.
    fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// Runs one query and gives back the first value of its first row; `None` without a row or for NULL.
    ///
    /// # Errors
    /// As [`Connection::run`].
    fn value(&mut self, query: &str) -> Result<Option<String>, Failure> {
        Ok(self.run(query)?.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }
}

/// What a statement gave back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Names of the columns, when the statement returns rows (even none).
    pub columns: Vec<String>,
    /// The rows, each value in the server's text form; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows that were read or written, as the server counts them.
    pub affected: u64,
}

/// A message that the server sent beside a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, ….
    pub severity: String,
    /// The text.
    pub message: String,
}

/// A statement that the server refused, or a connection that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// PostgreSQL: the SQLSTATE, five characters. MySQL and MariaDB: the number of the error. SQLite: the extended result
    /// code. `None` when the connection itself failed.
    pub code: Option<String>,
    /// The server's message.
    pub message: String,
    /// The server's detail, if it gave one.
    pub detail: Option<String>,
    /// The server's hint, if it gave one.
    pub hint: Option<String>,
    /// Where in a function it happened, if in one.
    pub context: Option<String>,
}

impl Failure {
    /// A connection that does not come about, and why.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn refused(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), detail: None, hint: None, context: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = &self.code {
            write!(formatter, "{code}: ")?;
        }
        formatter.write_str(&self.message)?;
        for (label, text) in [("detail", &self.detail), ("hint", &self.hint), ("context", &self.context)] {
            if let Some(text) = text {
                write!(formatter, "\n  {label}: {text}")?;
            }
        }
        Ok(())
    }
}
