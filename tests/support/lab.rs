//! Databases on a throw-away server: made from one another, dumped, dropped.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::postgres::Server;
use crossfade::engine::postgres::{Address, Failure, Session};

use super::splitter::{Bracket, Statement, split};

/// A server with a connection to make databases from.
pub struct Lab {
    server: Server,
    psql: Option<std::path::PathBuf>,
    admin: Mutex<Session>,
    next: AtomicU32,
}

impl Lab {
    pub fn new(server: Server, psql: Option<std::path::PathBuf>) -> Result<Self, Failure> {
        let admin = Session::connect(&server.address("postgres"))?;
        Ok(Self { server, psql, admin: Mutex::new(admin), next: AtomicU32::new(1) })
    }

    /// The major version of its server.
    pub fn major(&self) -> u32 {
        self.server.installation().major
    }

    /// The `psql` to run scripts with, if there is one on this machine.
    pub fn psql(&self) -> Option<std::path::PathBuf> {
        self.psql.clone()
    }

    /// The server itself, for those who stop and start it.
    pub fn into_server(self) -> Server {
        self.server
    }

    /// An empty database.
    pub fn empty(&self) -> Result<Database<'_>, String> {
        self.create(None)
    }

    fn create(&self, template: Option<&str>) -> Result<Database<'_>, String> {
        let name = format!("d{}", self.next.fetch_add(1, Ordering::Relaxed));
        let template = template.unwrap_or("template1");
        if template != "template1" {
            self.wait_alone(template)?;
        }
        // The server refuses to copy a database while another copy of it is being made.
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin.run(&format!("create database {name} template {template} strategy file_copy")).map_err(|failure| failure.to_string())?;
        Ok(Database { lab: self, name, idle: Mutex::default() })
    }

    /// Waits until nobody is connected to a database: a closed connection is gone a moment after it was closed.
    fn wait_alone(&self, database: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let others = self
                .admin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .value(&format!("select count(*) from pg_stat_activity where datname = '{database}'"))
                .map_err(|failure| failure.to_string())?;
            if others.as_deref() == Some("0") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("somebody stays connected to {database}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A database that is dropped with this value.
pub struct Database<'lab> {
    lab: &'lab Lab,
    pub name: String,
    /// Connections that wait for their next client.
    idle: Mutex<Vec<Session>>,
}

/// A connection that is lent: it begins as a fresh one would, and goes back when it is dropped.
pub struct Client<'database> {
    /// Always there but while it is dropped.
    session: Option<Session>,
    idle: &'database Mutex<Vec<Session>>,
}

impl Deref for Client<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a client has its session until it is dropped")
    }
}

impl DerefMut for Client<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a client has its session until it is dropped")
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        // Refused within a transaction: such a connection is closed, and the server rolls back.
        if session.run("discard all").is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}

impl<'lab> Database<'lab> {
    pub fn address(&self) -> Address {
        self.lab.server.address(&self.name)
    }

    pub fn connect(&self) -> Result<Session, String> {
        Session::connect(&self.address()).map_err(|failure| failure.to_string())
    }

    /// A connection without any state, made anew only if none is idle: a new one costs as much as ten statements.
    pub fn client(&self) -> Result<Client<'_>, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = idle.map_or_else(|| self.connect(), Ok)?;
        Ok(Client { session: Some(session), idle: &self.idle })
    }

    fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A database that equals this one, which nobody may be connected to for longer than a moment.
    pub fn copy(&self) -> Result<Database<'lab>, String> {
        self.close_idle();
        self.lab.create(Some(&self.name))
    }

    /// Waits until every connection to it is gone.
    pub fn wait_alone(&self) -> Result<(), String> {
        self.close_idle();
        self.lab.wait_alone(&self.name)
    }

    /// Runs a script, statement by statement, on a connection without state.
    pub fn run(&self, script: &str, what: &str) -> Result<(), String> {
        let mut session = self.client()?;
        run(&mut session, &split(script)).map_err(|stopped| format!("{what}: {stopped}"))
    }

    /// Runs a script file as a whole with the real `psql`. Gives back its exit code and what it said.
    pub fn psql(&self, script: &str) -> Result<(i32, String), String> {
        let file = tempfile::NamedTempFile::with_suffix(".sql").map_err(|error| error.to_string())?;
        std::fs::write(file.path(), script).map_err(|error| error.to_string())?;
        let psql = self.lab.psql.clone().ok_or("there is no psql on this machine: run scripts/setup-servers.sh")?;
        let address = self.address();
        let output = std::process::Command::new(psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&address.socket_folder)
            .args(["-p", &address.port.to_string(), "-U", &address.user, "-d", &address.database, "-f"])
            .arg(file.path())
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| format!("psql: {error}"))?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.code().unwrap_or(-1), said))
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The server would look for connections only ten times a second.
        let _ = self.wait_alone();
        let mut admin = self.lab.admin.lock().unwrap_or_else(PoisonError::into_inner);
        // A database that stays goes with its server.
        let _ = admin.run(&format!("drop database if exists {} with (force)", self.name));
    }
}

/// A statement of a script that failed.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// Its number, from 1.
    pub number: usize,
    pub statement: Statement,
    pub failure: Failure,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Stopped { number, statement, failure } = self;
        write!(formatter, "statement {number} (line {}): {failure}\n{}", statement.line, super::text::indent(&statement.text))
    }
}

/// Runs statements in order and stops at the first one that fails.
pub fn run(session: &mut Session, statements: &[Statement]) -> Result<(), Box<Stopped>> {
    for (index, statement) in statements.iter().enumerate() {
        session.run(&statement.text).map_err(|failure| Box::new(Stopped { number: index + 1, statement: statement.clone(), failure }))?;
    }
    Ok(())
}

/// For every statement: whether a transaction is open after it.
pub fn open_after(statements: &[Statement]) -> Vec<bool> {
    let mut open = false;
    statements
        .iter()
        .map(|statement| {
            match statement.bracket {
                Bracket::Opens => open = true,
                Bracket::Closes => open = false,
                Bracket::Neither => {}
            }
            open
        })
        .collect()
}
