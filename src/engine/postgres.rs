//! A session on a PostgreSQL database: one statement at a time, values as text.

mod secure;

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::postgres::config::{Config, Host, SslMode};
use ::postgres::tls::{MakeTlsConnect, TlsConnect};
use ::postgres::{Client, NoTls, SimpleQueryMessage, Socket};

use self::secure::Connector;
use super::tls::{self, Roots, Verify};
use super::{Connection, url};
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
    /// How a connection is encrypted, unless it never is.
    connector: Option<Connector>,
}

/// The settings that say how a connection is encrypted, and the variables that say it where the URL does not.
const SECURITY: [(&str, &str); 4] =
    [("sslmode", "PGSSLMODE"), ("sslrootcert", "PGSSLROOTCERT"), ("sslcert", "PGSSLCERT"), ("sslkey", "PGSSLKEY")];

impl Location {
    /// Reads a URL. Without a host it is the local server's socket; without a password that of `PGPASSWORD`.
    ///
    /// # Errors
    /// When it is no such URL, or a file that it names can't be read. The message never holds a part of the URL.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        // What stands behind the first of two would be taken for the host, and shown.
        if url.split('?').next().is_some_and(|place| place.matches('@').count() > 1) {
            return Err(Failure::refused("this URL has two `@`: in a user's name or a password it is written `%40`"));
        }
        let (url, options) = url::take_options(url, &SECURITY.map(|(name, _)| name));
        let mut config: Config = match url.parse() {
            Ok(config) => config,
            Err(error) => {
                let cause = error.source().map_or_else(|| "it can't be read".to_owned(), ToString::to_string);
                return Err(Failure::refused(format!(
                    "this is no URL of a database (postgres://user:password@host:port/database): {cause}"
                )));
            }
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path("/var/run/postgresql");
        }
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os("PGPASSWORD")
        {
            config.password(password.as_encoded_bytes());
        }
        let setting = |name: &str| {
            let variable = SECURITY.iter().find(|(known, _)| *known == name).and_then(|(_, variable)| std::env::var(variable).ok());
            url::value(&options, name).map(str::to_owned).or(variable).filter(|value| !value.is_empty())
        };
        let connector = secured(&mut config, &setting)?;
        Ok(Self { config, connector })
    }

    /// The same server and role, another database.
    pub fn with_database(&self, database: &str) -> Self {
        let mut config = self.config.clone();
        config.dbname(database);
        Self { config, connector: self.connector.clone() }
    }
}

/// How a connection is encrypted, by libpq's settings and with their meaning (manual, "SSL Support").
fn secured(config: &mut Config, setting: &dyn Fn(&str) -> Option<String>) -> Result<Option<Connector>, Failure> {
    // It has no meaning on a socket of this machine.
    let over_network = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_))) || !config.get_hostaddrs().is_empty();
    let roots = setting("sslrootcert");
    let public = roots.as_deref() == Some("system");
    let mode = setting("sslmode").unwrap_or_else(|| if public { "verify-full" } else { "prefer" }.to_owned());
    let file = roots.filter(|_| !public).map(PathBuf::from).or_else(|| {
        let usual = std::env::home_dir()?.join(".postgresql/root.crt");
        usual.is_file().then_some(usual)
    });
    let (ssl_mode, verify) = match (mode.as_str(), &file) {
        ("disable", _) => (SslMode::Disable, Verify::Nothing),
        ("prefer", _) => (SslMode::Prefer, Verify::Nothing),
        // Who has a CA's certificate is taken to want it looked at.
        ("require", Some(_)) => (SslMode::Require, Verify::Signature),
        ("require", None) => (SslMode::Require, Verify::Nothing),
        ("verify-ca", Some(_)) => (SslMode::Require, Verify::Signature),
        ("verify-ca", None) => {
            return Err(Failure {
                hint: Some("name its certificate, `sslrootcert=FILE`; for a server with a public CA's, use sslmode=verify-full".to_owned()),
                ..Failure::refused("sslmode=verify-ca without a CA: every owner of a host has a certificate of some public one")
            });
        }
        ("verify-full", _) => (SslMode::Require, Verify::Name),
        _ => {
            return Err(Failure::refused("this sslmode is not known: disable, prefer, require, verify-ca and verify-full are"));
        }
    };
    if public && verify != Verify::Name && over_network {
        return Err(Failure::refused("a weak sslmode can't be used with sslrootcert=system: use sslmode=verify-full"));
    }
    let ssl_mode = if over_network { ssl_mode } else { SslMode::Disable };
    config.ssl_mode(ssl_mode);
    if ssl_mode == SslMode::Disable {
        return Ok(None);
    }
    let identity = match (setting("sslcert"), setting("sslkey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err(Failure::refused("a client's certificate comes with its key: sslcert=FILE and sslkey=FILE")),
    };
    let roots = file.map_or(Roots::Public, Roots::File);
    Ok(Some(Connector::new(tls::client(verify, &roots, identity.as_ref()).map_err(Failure::refused)?)))
}

/// How the driver's message begins when no encrypted connection came about.
const HANDSHAKE: &str = "error performing TLS handshake";

const NAMES: tls::Names = tls::Names { ca: "sslrootcert", unverified: "sslmode=require" };

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
                let mut hint = tls::fault(&error).and_then(|fault| tls::hint(fault, &NAMES));
                let mut source = error.source();
                while let Some(cause) = source {
                    message = format!("{message}: {cause}");
                    source = cause.source();
                }
                if message.ends_with("server does not support TLS") {
                    hint = Some("the server has `ssl = off`; sslmode=disable connects without encryption".to_owned());
                }
                Self { hint, ..Self::refused(message) }
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
        Self::open(config, NoTls)
    }

    /// Connects to the database of a URL.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_to(location: &Location) -> Result<Self, Failure> {
        let Some(connector) = &location.connector else { return Self::open(location.config.clone(), NoTls) };
        let secured = Self::open(location.config.clone(), connector.clone());
        // With `prefer` a connection without encryption is better than none.
        if location.config.get_ssl_mode() == SslMode::Prefer && secured.as_ref().is_err_and(|failure| failure.message.contains(HANDSHAKE)) {
            let mut config = location.config.clone();
            config.ssl_mode(SslMode::Disable);
            return Self::open(config, NoTls).or(secured);
        }
        secured
    }

    fn open<T>(mut config: Config, tls: T) -> Result<Self, Failure>
    where
        T: MakeTlsConnect<Socket, TlsConnect: Send + TlsConnect<Socket, Future: Send>, Stream: Send> + 'static + Send,
    {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let client = config
            .application_name("crossfade")
            .connect_timeout(Duration::from_secs(10))
            .notice_callback(move |notice| {
                let notice = Notice { severity: notice.severity().to_owned(), message: notice.message().to_owned() };
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
            })
            .connect(tls)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_is_encrypted_is_known_from_its_url() {
        let of = |url: &str| Location::parse(url).map(|location| (location.config.get_ssl_mode(), location.connector.is_some()));
        assert_eq!(of("postgres://u:secret@db/app"), Ok((SslMode::Prefer, true)));
        assert_eq!(of("postgres://u:secret@db/app?sslmode=disable"), Ok((SslMode::Disable, false)));
        assert_eq!(of("postgres://u:secret@db/app?sslmode=verify-full"), Ok((SslMode::Require, true)));
        assert_eq!(of("postgres://u:secret@db/app?sslrootcert=system"), Ok((SslMode::Require, true)));
        assert_eq!(of("postgres://u:secret@%2Ftmp/app?sslmode=require"), Ok((SslMode::Disable, false)));
        for (url, words) in [
            ("postgres://u:secret@db/app?sslmode=verify-ca", "without a CA"),
            ("postgres://u:secret@db/app?sslmode=allow", "not known"),
            ("postgres://u:secret@db/app?sslmode=require&sslrootcert=system", "weak"),
            ("postgres://u:secret@db/app?sslmode=verify-full&sslrootcert=/secret", "the CA's certificate can't be read"),
            ("postgres://u:secret@db/app?sslmode=require&sslcert=/secret", "sslkey"),
            ("postgres://u:secret@db/app?sslcrl=/x", "sslcrl"),
        ] {
            let message = of(url).expect_err(url).message;
            assert!(message.contains(words) && !message.contains("/secret"), "{url}: {message}");
        }
    }
}
