//! A session on a PostgreSQL database: one statement at a time, values as text.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::postgres::config::Config;
use ::postgres::{Client, NoTls, SimpleQueryMessage};

use super::Connection;
pub use super::{Failure, Notice, Outcome};

/// Where a database is to be found: a socket folder, a database and a role. Nothing secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The folder of the server's Unix socket.
    pub socket_folder: PathBuf,
    /// The port that the socket's name ends in.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role to connect as.
    pub user: String,
}

impl Address {
    /// The same server and role, another database.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }
}

impl From<::postgres::Error> for Failure {
    fn from(error: ::postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refused) => Self {
                code: Some(refused.code().code().to_owned()),
                message: refused.message().to_owned(),
                detail: refused.detail().map(str::to_owned),
                hint: refused.hint().map(str::to_owned),
                context: refused.where_().map(str::to_owned),
            },
            None => {
                let mut message = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    message = format!("{message}: {cause}");
                    source = cause.source();
                }
                Self { code: None, message, detail: None, hint: None, context: None }
            }
        }
    }
}

/// One connection. Dropping it closes the connection; a transaction that is open then is rolled back by the server.
pub struct Session {
    client: Client,
    notices: Arc<Mutex<Vec<Notice>>>,
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
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let client = Config::new()
            .host_path(&address.socket_folder)
            .port(address.port)
            .dbname(&address.database)
            .user(&address.user)
            .application_name("crossfade")
            .connect_timeout(Duration::from_secs(10))
            .notice_callback(move |notice| {
                let notice = Notice { severity: notice.severity().to_owned(), message: notice.message().to_owned() };
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            })
            .connect(NoTls)?;
        Ok(Self { client, notices })
    }

    /// Runs the text of one statement (`begin` and `commit` are statements too) and gives back its rows.
    ///
    /// The text goes to the server as it is. Several statements in one text would run as one transaction: a script is to be
    /// split before.
    ///
    /// # Errors
    /// When the server refuses the statement; the session stays usable (within a transaction: until it is rolled back).
    pub fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        for message in self.client.simple_query(statement)? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    outcome.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    outcome.rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
                }
                SimpleQueryMessage::CommandComplete(affected) => outcome.affected = affected,
                // The driver may learn further kinds of message; none of them carries a result.
                _ => {}
            }
        }
        Ok(outcome)
    }

    /// Runs one query and gives back the first value of its first row; `None` without a row or for NULL.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn value(&mut self, query: &str) -> Result<Option<String>, Failure> {
        Ok(self.run(query)?.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    /// The notices that arrived since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connection for Session {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        self.run(statement)
    }
}

/// The path of the socket that a server listens on.
pub(crate) fn socket_path(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}
