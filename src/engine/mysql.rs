//! A session on a MySQL or MariaDB database: one statement at a time over the text protocol, values as the server's text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::mysql::consts::CapabilityFlags;
use ::mysql::prelude::{Protocol, Queryable as _};
use ::mysql::{ClientIdentity, Conn, DriverError, Error, Opts, OptsBuilder, QueryResult, ResultSet, SslOpts, UrlError, Value};

pub use super::{Connection, Failure, Notice, Outcome};
use super::{tls, url};

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

/// A database that a URL names (`mysql://user:password@host:port/database`, `mariadb://…`; `?socket=/path` for a local server).
/// The password is in it, and in nothing that it shows of itself.
#[derive(Clone)]
pub struct Location {
    scheme: &'static str,
    options: Opts,
    /// Whether a connection without encryption will do where the server knows no other.
    plain_will_do: bool,
}

/// The options that say how a connection is encrypted, as the servers' own clients call them.
const SECURITY: [&str; 6] = ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "ssl", "ssl-verify-server-cert"];

impl Location {
    /// Reads a URL. Without a password it is that of `MYSQL_PWD`.
    ///
    /// # Errors
    /// When it is no such URL. The message never holds a part of the URL.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let refused = |message: &str| Failure::refused(message);
        let (scheme, rest) = match url.split_once("://") {
            Some(("mysql", rest)) => ("mysql", rest),
            Some(("mariadb", rest)) => ("mariadb", rest),
            _ => return Err(refused(NO_URL)),
        };
        // What stands behind the first of two would be taken for the host, and shown.
        if rest.split('?').next().is_some_and(|place| place.matches('@').count() > 1) {
            return Err(refused("this URL has two `@`: in a user's name or a password it is written `%40`"));
        }
        let (rest, security) = url::take_options(rest, &SECURITY);
        let options = Opts::from_url(&["mysql://", &rest].concat()).map_err(|error| match error {
            UrlError::UnknownParameter(name) if name.contains("ssl") || name.contains("tls") => refused(
                "this URL has an option of encryption that is not known: ssl-mode, ssl-ca, ssl-cert, ssl-key are, and ssl and \
                 ssl-verify-server-cert",
            ),
            UrlError::UnknownParameter(_) => refused("this URL has an option that is not known; `socket` is, for one"),
            _ => refused(NO_URL),
        })?;
        let mut builder = OptsBuilder::from_opts(options.clone())
            .prefer_socket(false)
            .max_allowed_packet(Some(PACKET))
            .tcp_connect_timeout(Some(Duration::from_secs(10)));
        if options.get_pass().is_none()
            && let Ok(password) = std::env::var("MYSQL_PWD")
        {
            builder = builder.pass(Some(password));
        }
        let mut plain_will_do = false;
        // On a socket of this machine it has no meaning.
        if options.get_socket().is_none() {
            let (secured, or_plain) = secured(&security)?;
            (builder, plain_will_do) = (builder.ssl_opts(secured), or_plain);
        }
        Ok(Self { scheme, options: builder.into(), plain_will_do })
    }

    /// The same server and account, another database.
    pub fn with_database(&self, database: &str) -> Self {
        let options = OptsBuilder::from_opts(self.options.clone()).db_name(Some(database));
        Self { options: options.into(), ..self.clone() }
    }

    /// `mysql` or `mariadb`, as the URL says.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The database, if it names one.
    pub fn database(&self) -> Option<&str> {
        self.options.get_db_name().filter(|name| !name.is_empty())
    }
}

const NO_URL: &str = "this is no URL of a database (mysql://user:password@host:port/database, or …@localhost/database?socket=/path)";

/// How a connection is encrypted, with the meaning that the servers' own clients give to these options, and whether a plain one will do.
/// Without any of them it is as with PREFERRED.
fn secured(options: &[(String, String)]) -> Result<(Option<SslOpts>, bool), Failure> {
    let option = |name: &str| url::value(options, name).filter(|value| !value.is_empty());
    let is_on = |name: &str| option(name).map(|value| ["1", "true", "on", "yes"].contains(&value.to_ascii_lowercase().as_str()));
    let mode = option("ssl-mode").map(|mode| mode.to_ascii_uppercase().replace('-', "_"));
    let mode = mode.as_deref().unwrap_or(match (is_on("ssl-verify-server-cert"), is_on("ssl")) {
        (Some(true), _) => "VERIFY_IDENTITY",
        (_, Some(false)) => "DISABLED",
        // Who names a CA wants it looked at.
        (None, _) if option("ssl-ca").is_some() => "VERIFY_IDENTITY",
        (_, Some(true)) => "REQUIRED",
        _ => "PREFERRED",
    });
    let (verify, plain_will_do) = match mode {
        "DISABLED" => return Ok((None, false)),
        "PREFERRED" => (false, true),
        "REQUIRED" => (false, false),
        "VERIFY_IDENTITY" => (true, false),
        "VERIFY_CA" => {
            return Err(Failure {
                hint: Some("use ssl-mode=VERIFY_IDENTITY, which looks at the name, too".to_owned()),
                ..Failure::refused(
                    "ssl-mode=VERIFY_CA is not kept here: the driver trusts the public CAs besides, so that without a look at the name \
                     every owner of a host could pose as the server",
                )
            });
        }
        _ => {
            return Err(Failure::refused("this ssl-mode is not known: DISABLED, PREFERRED, REQUIRED and VERIFY_IDENTITY are"));
        }
    };
    let mut secured = SslOpts::default().with_danger_accept_invalid_certs(!verify);
    if let Some(file) = option("ssl-ca").filter(|_| verify) {
        secured = secured.with_root_cert_path(Some(PathBuf::from(file)));
    }
    match (option("ssl-cert"), option("ssl-key")) {
        (Some(certificate), Some(key)) => {
            secured = secured.with_client_identity(Some(ClientIdentity::new(PathBuf::from(certificate), PathBuf::from(key))));
        }
        (None, None) => {}
        _ => return Err(Failure::refused("a client's certificate comes with its key: ssl-cert=FILE and ssl-key=FILE")),
    }
    Ok((Some(secured), plain_will_do))
}

const NAMES: tls::Names = tls::Names { ca: "ssl-ca", unverified: "ssl-mode=REQUIRED" };

/// Whether the encryption is what a connection failed by.
fn is_of_encryption(error: &Error) -> bool {
    matches!(error, Error::TlsError(_) | Error::DriverError(DriverError::TlsNotSupported)) || fault(error).is_some()
}

/// The fault of a handshake, if an error comes from one.
fn fault(error: &Error) -> Option<&rustls::Error> {
    match error {
        Error::IoError(error) => tls::fault(error),
        Error::CodecError(error) => tls::fault(error),
        _ => None,
    }
}

/// The longest statement and the longest value that a session takes, in bytes. Without a number the driver would ask the server.
const PACKET: usize = 64 * 1024 * 1024;

impl fmt::Display for Location {
    /// As a URL without its password and options.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.scheme)?;
        if let Some(user) = self.options.get_user() {
            write!(formatter, "{user}@")?;
        }
        formatter.write_str(&self.options.get_ip_or_hostname())?;
        if self.options.get_tcp_port() != 3306 {
            write!(formatter, ":{}", self.options.get_tcp_port())?;
        }
        write!(formatter, "/{}", self.database().unwrap_or_default())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let fault = fault(&error);
        let hint = match (&error, fault) {
            (_, Some(fault)) => tls::hint(fault, &NAMES),
            (Error::DriverError(DriverError::TlsNotSupported), _) => {
                Some("the server knows no encrypted connections; ssl-mode=DISABLED connects without".to_owned())
            }
            _ => None,
        };
        let said = fault.map(|fault| format!("no encrypted connection was made: {fault}"));
        // The driver wraps the words of others in names of its own types.
        let (code, message) = match error {
            Error::MySqlError(refused) => (Some(refused.code.to_string()), refused.message),
            Error::IoError(error) => (None, error.to_string()),
            Error::CodecError(error) => (None, error.to_string()),
            Error::DriverError(error) => (None, error.to_string()),
            other => (None, other.to_string()),
        };
        Self { code, message: said.unwrap_or(message), detail: None, hint, context: None }
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
        Ok(Self { connection: Conn::new(Self::options(address))? })
    }

    /// Connects as clients do that count the rows which a statement finds, and not only those that it changes.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_counting(address: &Address) -> Result<Self, Failure> {
        let options = Self::options(address).additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS);
        Ok(Self { connection: Conn::new(options)? })
    }

    fn options(address: &Address) -> OptsBuilder {
        OptsBuilder::new()
            .socket(Some(address.socket.to_string_lossy().into_owned()))
            .prefer_socket(false)
            .max_allowed_packet(Some(PACKET))
            .user(Some(address.user.clone()))
            .db_name(address.database.clone())
            .tcp_connect_timeout(Some(Duration::from_secs(10)))
    }

    /// Connects to the database of a URL, under this name in `performance_schema.session_connect_attrs`.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_to(location: &Location, name: &str) -> Result<Self, Failure> {
        let attributes = HashMap::from([("program_name", name)]);
        let options = OptsBuilder::from_opts(location.options.clone()).connect_attrs(Some(attributes));
        // The driver takes what the process has chosen, and could not choose by itself if another library brought a second one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match Conn::new(options.clone()) {
            Err(error) if location.plain_will_do && is_of_encryption(&error) => {
                Ok(Self { connection: Conn::new(options.ssl_opts(None::<SslOpts>))? })
            }
            tried => Ok(Self { connection: tried? }),
        }
    }

    /// As [`Session::connect_to`], as clients do that count the rows which a statement finds, and not only those that it changes.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub fn connect_counting_to(location: &Location, name: &str) -> Result<Self, Failure> {
        let options = OptsBuilder::from_opts(location.options.clone()).additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS);
        Self::connect_to(&Location { options: options.into(), ..location.clone() }, name)
    }

    /// The server's number of this connection, as in `kill`.
    pub fn id(&self) -> u32 {
        self.connection.connection_id()
    }

    /// Runs queries in one go, and gives back the rows of each.
    ///
    /// # Errors
    /// As [`Connection::run`]; which of them was refused is not known.
    pub fn run_all(&mut self, queries: &[String]) -> Result<Vec<Outcome>, Failure> {
        let mut results = self.connection.query_iter(queries.join(";\n"))?;
        let mut outcomes = Vec::with_capacity(queries.len());
        while let Some(result) = results.iter() {
            outcomes.push(one(result)?);
        }
        Ok(outcomes)
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

    /// A place is `?`, or `?1`, `?2`, … where a value stands in several places or out of turn.
    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        let (statement, order) = numbered(statement);
        let value = |value: &Option<&str>| value.map_or(Value::NULL, Value::from);
        let values: Vec<Value> = match order.as_slice() {
            [] => values.iter().map(value).collect(),
            order => order.iter().map(|number| values.get(number - 1).map_or(Value::NULL, value)).collect(),
        };
        if values.is_empty() {
            return outcome(self.connection.exec_iter(&*statement, ())?);
        }
        outcome(self.connection.exec_iter(&*statement, values)?)
    }
}

/// A statement whose places have numbers, as the server takes it, and the number of the value at each place. The server only
/// knows places in order.
fn numbered(statement: &str) -> (Cow<'_, str>, Vec<usize>) {
    let mut text = String::with_capacity(statement.len());
    let mut order = Vec::new();
    let (mut at, mut done) = (0, 0);
    while at < statement.len() {
        let next = crate::sql::split::skip_mysql(statement, at);
        if next == at + 1 && statement[at..].starts_with('?') {
            let digits = statement[next..].bytes().take_while(u8::is_ascii_digit).count();
            if let Ok(number) = statement[next..next + digits].parse::<usize>()
                && number > 0
            {
                text.push_str(&statement[done..next]);
                done = next + digits;
                order.push(number);
            }
            at = next + digits;
        } else {
            at = next;
        }
    }
    if order.is_empty() {
        return (Cow::Borrowed(statement), order);
    }
    text.push_str(&statement[done..]);
    (Cow::Owned(text), order)
}

/// What a statement gave back, in either protocol of the server.
fn outcome<P: Protocol>(mut results: QueryResult<'_, '_, '_, P>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    // `call` gives back several results; what counts is the last one that has rows.
    while let Some(result) = results.iter() {
        let next = one(result)?;
        if next.columns.is_empty() {
            outcome.affected = next.affected;
        } else {
            outcome = next;
        }
    }
    Ok(outcome)
}

/// One result of several.
fn one<P: Protocol>(result: ResultSet<'_, '_, '_, '_, P>) -> Result<Outcome, Failure> {
    let columns: Vec<String> = result.columns().as_ref().iter().map(|column| column.name_str().into_owned()).collect();
    let affected = result.affected_rows();
    let mut rows = Vec::new();
    for row in result {
        rows.push(row?.unwrap().into_iter().map(text).collect());
    }
    let affected = if columns.is_empty() { affected } else { rows.len() as u64 };
    Ok(Outcome { columns, rows, affected })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_numbers() {
        let (text, order) = numbered("select ?2, '?1', `?3`, ?1 -- ?4\n, ?2");
        assert_eq!((&*text, order), ("select ?, '?1', `?3`, ? -- ?4\n, ?", vec![2, 1, 2]));
        assert_eq!(numbered("select ?, ?").1, Vec::<usize>::new());
    }

    #[test]
    fn a_url_shows_no_password() {
        let location = Location::parse("mariadb://app:se%40cret@db.example:3307/shop?socket=/run/x.sock").expect("it is a URL");
        assert_eq!(location.to_string(), "mariadb://app@db.example:3307/shop");
        assert_eq!(location.database(), Some("shop"));
        for (url, words) in [
            ("mysql://app:se@cret@db/shop", "two `@`"),
            ("mysql://app:secret@/shop", "no URL"),
            ("mysql://app:secret@db/shop?ssl-mode=SOMETIMES", "not known"),
            ("mysql://app:secret@db/shop?ssl-mode=verify-ca&ssl-ca=/secret", "public CAs"),
            ("mysql://app:secret@db/shop?ssl-cert=/secret", "ssl-key"),
            ("mysql://app:secret@db/shop?require_ssl=true", "ssl-mode"),
            ("mysql://app:secret@db:port/shop", "no URL"),
        ] {
            let message = Location::parse(url).expect_err(url).message;
            assert!(message.contains(words) && !message.contains("secret"), "{url}: {message}");
        }
    }

    #[test]
    fn how_a_connection_is_encrypted_is_known_from_its_url() {
        for (options, secured, plain_will_do) in [
            ("", true, true),
            ("?ssl-mode=DISABLED", false, false),
            ("?ssl=0", false, false),
            ("?ssl=1", true, false),
            ("?ssl-mode=required", true, false),
            ("?ssl-ca=/ca.pem", true, false),
            ("?ssl=1&ssl-verify-server-cert=1", true, false),
            ("?socket=/s&ssl-mode=REQUIRED", false, false),
        ] {
            let location = Location::parse(&["mysql://app@db/shop", options].concat()).expect(options);
            assert_eq!((location.options.get_ssl_opts().is_some(), location.plain_will_do), (secured, plain_will_do), "{options}");
        }
    }
}
