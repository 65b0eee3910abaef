//! Databases of an engine: made from one another, connected to, dropped.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossfade::engine::ephemeral::postgres::Server;
use crossfade::engine::{Connection, Failure};

use super::engine::Engine;
use super::engine::postgres::Postgres;
use super::splitter::{Bracket, Statement, split_as};

/// An engine that makes databases.
pub struct Lab<E = Postgres> {
    pub engine: E,
    /// Whether a phase is killed at each point that makes a difference, and not at a share of them
    /// (`CROSSFADE_EVERY_KILL=1`).
    pub every_kill: bool,
    next: AtomicU32,
    /// Scripts that were split a moment ago: each is run many times.
    split: Mutex<BTreeMap<String, Arc<[Statement]>>>,
}

impl Lab {
    pub fn new(server: Server, psql: Option<PathBuf>) -> Result<Self, Failure> {
        Ok(Self::of(Postgres::new(server, psql)?))
    }

    /// The `psql` to run scripts with, if there is one on this machine.
    pub fn psql(&self) -> Option<PathBuf> {
        self.engine.psql.clone()
    }

    /// The server itself, for those who stop and start it.
    pub fn into_server(self) -> Server {
        self.engine.server
    }
}

impl<E: Engine> Lab<E> {
    pub fn of(engine: E) -> Self {
        let set = |name| std::env::var_os(name).is_some();
        Self { engine, every_kill: set("CROSSFADE_EVERY_KILL"), next: AtomicU32::new(1), split: Mutex::default() }
    }

    /// An empty database.
    pub fn empty(&self) -> Result<Database<'_, E>, String> {
        let database = self.unmade();
        self.engine.create(&database.name)?;
        Ok(database)
    }

    fn unmade(&self) -> Database<'_, E> {
        let name = self.engine.name(self.next.fetch_add(1, Ordering::Relaxed));
        Database { lab: self, name, idle: Mutex::default(), recipe: Mutex::default() }
    }
}

/// A database that is dropped with this value.
pub struct Database<'lab, E: Engine = Postgres> {
    lab: &'lab Lab<E>,
    pub name: String,
    /// Connections that wait for their next client.
    idle: Mutex<Vec<E::Session>>,
    recipe: Mutex<E::Recipe>,
}

/// A connection that is lent: it begins as a fresh one would, and goes back when it is dropped.
pub struct Client<'database, E: Engine = Postgres> {
    /// Always there but while it is dropped.
    session: Option<E::Session>,
    engine: &'database E,
    idle: &'database Mutex<Vec<E::Session>>,
}

impl<E: Engine> Deref for Client<'_, E> {
    type Target = E::Session;

    fn deref(&self) -> &E::Session {
        self.session.as_ref().expect("a client has its session until it is dropped")
    }
}

impl<E: Engine> DerefMut for Client<'_, E> {
    fn deref_mut(&mut self) -> &mut E::Session {
        self.session.as_mut().expect("a client has its session until it is dropped")
    }
}

impl<E: Engine> Drop for Client<'_, E> {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if self.engine.reset(&mut session) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }
}

impl<'lab, E: Engine> Database<'lab, E> {
    pub fn connect(&self) -> Result<E::Session, String> {
        self.forget();
        self.lab.engine.connect(&self.name).map_err(|failure| failure.to_string())
    }

    /// A connection without any state, made anew only if none is idle: a new one may cost as much as ten statements.
    pub fn client(&self) -> Result<Client<'_, E>, String> {
        self.forget();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = idle.map_or_else(|| self.connect(), Ok)?;
        Ok(Client { session: Some(session), engine: &self.lab.engine, idle: &self.idle })
    }

    /// A client of the base schema, or of a version's own namespace.
    pub fn client_of(&self, version: Option<&str>) -> Result<Client<'_, E>, String> {
        let mut client = self.client()?;
        self.lab.engine.enter(&mut client, &self.name, version).map_err(|failure| failure.to_string())?;
        Ok(client)
    }

    /// Somebody may change the database: what was known of it may be so no longer.
    fn forget(&self) {
        *self.recipe.lock().unwrap_or_else(PoisonError::into_inner) = E::Recipe::default();
    }

    fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A database that equals this one, which nobody may be connected to for longer than a moment.
    pub fn copy(&self) -> Result<Database<'lab, E>, String> {
        self.close_idle();
        let copy = self.lab.unmade();
        self.lab.engine.copy(&self.name, &copy.name, &mut self.recipe.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(copy)
    }

    /// Waits until every connection to it is gone.
    pub fn wait_alone(&self) -> Result<(), String> {
        self.close_idle();
        self.lab.engine.wait_alone(&self.name)
    }

    /// Runs statements on a connection that is lost behind them. Where the server can make it a fresh one, which rolls back, drops and
    /// unlocks whatever the session held, it is lent again: that is what the server does for a connection that is gone.
    pub fn run_and_lose(&self, statements: &[Statement]) -> Result<(), String> {
        let mut client = self.client()?;
        run(&mut *client, statements).map_err(|stopped| stopped.to_string())?;
        self.lab.engine.lose(&mut client);
        drop(client);
        let lent = !self.idle.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if lent { Ok(()) } else { self.wait_alone() }
    }

    /// The dialect that it speaks.
    pub fn dialect(&self) -> crossfade::sql::Dialect {
        self.lab.engine.dialect()
    }

    /// The statements of a compiled script, as they are for this database.
    pub fn statements(&self, script: &str) -> Vec<Statement> {
        const KEPT: usize = 100;
        let engine = &self.lab.engine;
        let mut split = self.lab.split.lock().unwrap_or_else(PoisonError::into_inner);
        if split.len() > KEPT {
            split.clear();
        }
        let known = split.get(script).cloned();
        drop(split);
        let known = known.unwrap_or_else(|| {
            let list: Arc<[Statement]> = split_as(engine.dialect(), script).into();
            self.lab.split.lock().unwrap_or_else(PoisonError::into_inner).insert(script.to_owned(), Arc::clone(&list));
            list
        });
        known.iter().map(|one| Statement { text: engine.script(&one.text, &self.name), ..one.clone() }).collect()
    }

    /// Runs a script, statement by statement, on a connection without state.
    pub fn run(&self, script: &str, what: &str) -> Result<(), String> {
        let mut session = self.client()?;
        run(&mut *session, &self.statements(script)).map_err(|stopped| format!("{what}: {stopped}"))
    }

    /// Runs statements as a client of the version that lives in the tables.
    pub fn write(&self, script: &str, what: &str) -> Result<(), String> {
        let mut session = self.client_of(None)?;
        run(&mut *session, &self.statements(script)).map_err(|stopped| format!("{what}: {stopped}"))
    }

    /// Runs a script file as a whole with the client that operators have. Gives back its exit code and what it said.
    pub fn run_by_client(&self, script: &str) -> Result<(i32, String), String> {
        self.forget();
        let engine = &self.lab.engine;
        engine.client(&self.name, &engine.script(script, &self.name))
    }
}

impl Database<'_> {
    pub fn address(&self) -> crossfade::engine::postgres::Address {
        self.lab.engine.server.address(&self.name)
    }

    /// Runs a script file as a whole with the real `psql`. Gives back its exit code and what it said.
    pub fn psql(&self, script: &str) -> Result<(i32, String), String> {
        self.run_by_client(script)
    }
}

impl<E: Engine> Drop for Database<'_, E> {
    fn drop(&mut self) {
        self.close_idle();
        self.lab.engine.remove(&self.name);
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
pub fn run(session: &mut impl Connection, statements: &[Statement]) -> Result<(), Box<Stopped>> {
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
