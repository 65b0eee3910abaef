//! A session on a PostgreSQL database: one statement at a time, values as text.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::postgres::config::{Config, Host, SslMode};
use ::postgres::{Client, NoTls, SimpleQueryMessage};

use super::Connection;
pub use super::{Failure, Notice, Outcome};
use crate::sql::Dialect;
use crate::sql::quote::literal;

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

/// A database that a URL names (`postgres://user:password@host:port/database`). The password is in it, and in nothing that it
/// shows of itself.
#[derive(Clone)]
pub struct Location {
    config: Config,
}

impl Location {
    /// Reads a URL. Without a host it is the local server's socket; without a password that of `PGPASSWORD`.
    ///
    /// # Errors
    /// When it is no such URL, or asks for an encrypted connection. The message never holds a part of the URL.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let refused = |message: &str| Failure { code: None, message: message.to_owned(), detail: None, hint: None, context: None };
        // What stands behind the first of two would be taken for the host, and shown.
        if url.split('?').next().is_some_and(|place| place.matches('@').count() > 1) {
            return Err(refused("this URL has two `@`: in a user's name or a password it is written `%40`"));
        }
        let mut config: Config = match url.parse() {
            Ok(config) => config,
            Err(_) if url.contains("sslmode=verify-") => return Err(refused(NO_TLS)),
            Err(error) => {
                let cause = error.source().map_or_else(|| "it can't be read".to_owned(), ToString::to_string);
                return Err(refused(&format!("this is no URL of a database (postgres://user:password@host:port/database): {cause}")));
            }
        };
        if config.get_ssl_mode() == SslMode::Require {
            return Err(refused(NO_TLS));
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path("/var/run/postgresql");
        }
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os("PGPASSWORD")
        {
            config.password(password.as_encoded_bytes());
        }
        Ok(Self { config })
    }

    /// The same server and role, another database.
    pub fn with_database(&self, database: &str) -> Self {
        let mut config = self.config.clone();
        config.dbname(database);
        Self { config }
    }
}

const NO_TLS: &str = "not yet: an encrypted connection (sslmode=require). Connect through a tunnel, or with sslmode=prefer where the \
                      network is trusted";

impl fmt::Display for Location {
    /// As a URL without its password and options.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(formatter, "{user}@")?;
        }
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => formatter.write_str(host)?,
            Some(Host::Unix(folder)) => write!(formatter, "{}", folder.display())?,
            None => {}
        }
        if let Some(port) = self.config.get_ports().first().filter(|port| **port != 5432) {
            write!(formatter, ":{port}")?;
        }
        write!(formatter, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
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
    /// The texts that were prepared; the place of each is part of its name.
    prepared: Vec<String>,
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
        let mut config = Config::new();
        config.host_path(&address.socket_folder).port(address.port).dbname(&address.database).user(&address.user);
        Self::open(config)
    }

    /// Connects to the database of a URL.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_to(location: &Location) -> Result<Self, Failure> {
        Self::open(location.config.clone())
    }

    fn open(mut config: Config) -> Result<Self, Failure> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let client = config
            .application_name("crossfade")
            .connect_timeout(Duration::from_secs(10))
            .notice_callback(move |notice| {
                let notice = Notice { severity: notice.severity().to_owned(), message: notice.message().to_owned() };
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            })
            .connect(NoTls)?;
        Ok(Self { client, notices, prepared: Vec::new() })
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

    /// By PREPARE and EXECUTE, so that the server takes each value from its text, whatever its type.
    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        let number = match self.prepared.iter().position(|text| text == statement) {
            Some(number) => number,
            None => {
                self.run(&format!("prepare crossfade_{} as {statement}", self.prepared.len()))?;
                self.prepared.push(statement.to_owned());
                self.prepared.len() - 1
            }
        };
        if values.is_empty() {
            return self.run(&format!("execute crossfade_{number}"));
        }
        let values: Vec<String> =
            values.iter().map(|value| value.map_or_else(|| "null".to_owned(), |text| literal(text, Dialect::Postgres))).collect();
        self.run(&format!("execute crossfade_{number}({})", values.join(", ")))
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.take_notices()
    }
}

/// The path of the socket that a server listens on.
pub(crate) fn socket_path(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}
