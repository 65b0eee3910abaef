//! A session on a MySQL or MariaDB database: one statement at a time over the text protocol, values as the server's text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::mysql::prelude::{Protocol, Queryable as _};
use ::mysql::{Conn, Error, OptsBuilder, QueryResult, Value};

pub use super::{Connection, Failure, Notice, Outcome};

/// Where a database is to be found: a socket, a database and an account. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The server's Unix socket.
    pub socket: PathBuf,
    /// The database that the session begins in, if in one.
    pub database: Option<String>,
    /// The account to connect as.
    pub user: String,
}

impl Address {
    /// The same server and account, another database.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..self.clone() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::MySqlError(refused) => {
                Self { code: Some(refused.code.to_string()), message: refused.message, detail: None, hint: None, context: None }
            }
            other => Self { code: None, message: other.to_string(), detail: None, hint: None, context: None },
        }
    }
}

/// One connection. Dropping it closes the connection; a transaction that is open then is rolled back by the server.
pub struct Session {
    connection: Conn,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When the server can't be reached within ten seconds or refuses the connection.
    pub fn connect(address: &Address) -> Result<Self, Failure> {
        let options = OptsBuilder::new()
            .socket(Some(address.socket.to_string_lossy().into_owned()))
            // Without an answer to these the driver would ask the server.
            .prefer_socket(false)
            .max_allowed_packet(Some(64 * 1024 * 1024))
            .user(Some(address.user.clone()))
            .db_name(address.database.clone())
            .tcp_connect_timeout(Some(Duration::from_secs(10)));
        Ok(Self { connection: Conn::new(options)? })
    }

    /// The server's number of this connection, as in `kill`.
    pub fn id(&self) -> u32 {
        self.connection.connection_id()
    }

    /// The warnings of the last statement, in order.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn warnings(&mut self) -> Result<Vec<Notice>, Failure> {
        if self.connection.warnings() == 0 {
            return Ok(Vec::new());
        }
        let rows = self.run("show warnings")?.rows;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut values = row.into_iter().map(Option::unwrap_or_default);
                let severity = values.next().unwrap_or_default();
                Notice { severity, message: values.nth(1).unwrap_or_default() }
            })
            .collect())
    }
}

impl Connection for Session {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        outcome(self.connection.query_iter(statement)?)
    }

    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        let values: Vec<Value> = values.iter().map(|value| value.map_or(Value::NULL, Value::from)).collect();
        outcome(self.connection.exec_iter(statement, values)?)
    }
}

/// What a statement gave back, in either protocol of the server.
fn outcome<P: Protocol>(mut results: QueryResult<'_, '_, '_, P>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    // `call` gives back several results; what counts is the last one that has rows.
    while let Some(result) = results.iter() {
        let columns: Vec<String> = result.columns().as_ref().iter().map(|column| column.name_str().into_owned()).collect();
        let affected = result.affected_rows();
        let mut rows = Vec::new();
        for row in result {
            rows.push(row?.unwrap().into_iter().map(text).collect());
        }
        if columns.is_empty() {
            outcome.affected = affected;
        } else {
            outcome = Outcome { affected: rows.len() as u64, columns, rows };
        }
    }
    Ok(outcome)
}

/// In the text protocol every value but NULL comes as the bytes of its text. Bytes that are no text are shown as a literal.
fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap_or_else(|error| {
            let digits: String = error.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
            format!("0x{digits}")
        })),
        other => Some(other.as_sql(true)),
    }
}
