//! MySQL and MariaDB: a throw-away server, or one that is there, with databases of the rehearsal's own.
//!
//! Scripts and statements name the database that they were compiled for; a connection says the name of its own in its place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::catalog::{Line, Part, family};
use super::place::{Nested, Place, Refusal, rows_of};
use super::{COMPILED_FOR, Stopped};
use crate::engine::ephemeral::mysql::{Flavour, Server, installations};
use crate::engine::mysql::{Location, Session};
use crate::engine::{Connection, Failure, Notice, Outcome};
use crate::plan::model::namespace;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// A server, and what was made on it.
pub(super) struct Mysql {
    server: Where,
    admin: RefCell<Session>,
    product: String,
    /// What the names of the databases begin with.
    prefix: String,
    /// The numbers of the databases that were made here: no other one is dropped.
    made: RefCell<BTreeSet<u32>>,
}

enum Where {
    Own(Server),
    Given(Location),
}

impl Where {
    fn connect(&self, database: Option<&str>) -> Result<Session, Failure> {
        match (self, database) {
            (Where::Own(server), database) => Session::connect_counting(&server.address(database)),
            (Where::Given(location), Some(database)) => {
                Session::connect_counting_to(&location.with_database(database), "crossfade rehearse")
            }
            (Where::Given(location), None) => Session::connect_to(location, "crossfade rehearse"),
        }
    }
}

impl Mysql {
    /// Starts a server of the newest programs of this machine.
    pub(super) fn start(dialect: Dialect) -> Result<Self, Stopped> {
        let flavour = if dialect == Dialect::Mariadb { Flavour::Mariadb } else { Flavour::Mysql };
        let Some(installation) = installations().into_iter().rfind(|one| one.flavour == flavour) else {
            return Err(Stopped(format!(
                "no server of {} was found on this machine: install it, name its programs' folder in CROSSFADE_MYSQL_BIN, or name a \
                 scratch server with `--url`",
                dialect.name()
            )));
        };
        let server = Server::start(&installation).map_err(|error| Stopped(error.to_string()))?;
        Self::new(Where::Own(server), dialect)
    }

    /// A server that is there.
    pub(super) fn at(url: &str, dialect: Dialect) -> Result<Self, Stopped> {
        Self::new(Where::Given(Location::parse(url)?), dialect)
    }

    fn new(server: Where, dialect: Dialect) -> Result<Self, Stopped> {
        let mut admin = server.connect(None)?;
        let said = admin.value("select version()")?.unwrap_or_default();
        let (name, found) = if said.contains("MariaDB") { ("MariaDB", Dialect::Mariadb) } else { ("MySQL", Dialect::Mysql) };
        if found != dialect {
            return Err(Stopped(format!("the server is one of {name}, and the scripts are {}'s", dialect.name())));
        }
        let product = format!("{name} {}", said.split('-').next().unwrap_or_default());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = format!("crossfade_rehearse_{}_{:x}", std::process::id(), since.as_micros());
        Ok(Self { server, admin: RefCell::new(admin), product, prefix, made: RefCell::default() })
    }

    /// All names are as long: none begins with another one.
    fn name(&self, number: u32) -> String {
        format!("{}_{number:06}", self.prefix)
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        // The databases of a server of its own go with it.
        if matches!(self.server, Where::Given(_)) {
            let left: Vec<u32> = self.made.borrow().iter().copied().collect();
            for number in left {
                self.remove(number);
            }
        }
    }
}

impl Place for Mysql {
    fn product(&self) -> String {
        self.product.clone()
    }

    fn create(&self, number: u32, _schema: &str) -> Result<(), Stopped> {
        self.admin.borrow_mut().run(&format!("create database `{}`", self.name(number)))?;
        self.made.borrow_mut().insert(number);
        Ok(())
    }

    fn copy(&self, from: u32, to: u32) -> Result<(), Stopped> {
        self.made.borrow_mut().insert(to);
        // A session of its own, since it sets much aside.
        let mut session = self.server.connect(None)?;
        let recipe = family::recipe(&mut session, &self.name(from))?;
        Ok(family::make(&mut session, &recipe, &self.name(to))?)
    }

    fn remove(&self, number: u32) {
        if !self.made.borrow_mut().remove(&number) {
            return;
        }
        let mut admin = self.admin.borrow_mut();
        // With the namespaces beside it. One that stays goes with its server.
        for database in family::databases(&mut *admin, &self.name(number)).unwrap_or_default() {
            let _ = admin.run(&format!("drop database if exists `{database}`"));
        }
    }

    fn connect(&self, number: u32) -> Result<Box<dyn Connection + Send>, Failure> {
        let name = self.name(number);
        let session = self.server.connect(Some(&name))?;
        Ok(Box::new(Nested::new(Named { session, name })))
    }

    fn has_crowds(&self) -> bool {
        true
    }

    fn session_id(&self, session: &mut dyn Connection) -> Result<String, Failure> {
        Ok(session.value("select connection_id()")?.unwrap_or_default())
    }

    /// The monitor of InnoDB knows who waits for a row; its tables say for a tenth of a second what they said before.
    fn is_waiting(&self, id: &str) -> Result<bool, Failure> {
        let mut admin = self.admin.borrow_mut();
        let query = format!("select count(*) from information_schema.processlist where id = {id} and state like 'Waiting for%'");
        if admin.value(&query)?.as_deref() != Some("0") {
            return Ok(true);
        }
        let monitor = admin.run("show engine innodb status")?.rows.into_iter().flatten().flatten().last().unwrap_or_default();
        let session = format!(" thread id {id},");
        Ok(monitor.split("---TRANSACTION").any(|transaction| transaction.contains(&session) && transaction.contains("LOCK WAIT")))
    }

    fn kill(&self, id: &str) -> Result<(), Failure> {
        self.admin.borrow_mut().run(&format!("kill {id}")).map(drop)
    }

    fn enter(&self, session: &mut dyn Connection, schema: &str, version: Option<&str>) -> Result<(), Failure> {
        let database = version.map_or_else(|| schema.to_owned(), |version| namespace(schema, version));
        session.run(&format!("use {}", ident(&database, Dialect::Mysql))).map(drop)
    }

    fn shown(&self, column: &str) -> String {
        format!("quote({column})")
    }

    /// Bytes that are no text come as those of the whole literal.
    fn cell(&self, value: Option<String>) -> String {
        let value = value.unwrap_or_else(|| "NULL".to_owned());
        let Some(digits) = value.strip_prefix("0x27").and_then(|digits| digits.strip_suffix("27")) else { return value };
        let bytes: Vec<u8> = (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()).collect();
        let mut literal = "0x".to_owned();
        let mut bytes = bytes.into_iter();
        while let Some(byte) = bytes.next() {
            let meant = match byte {
                b'\\' => match bytes.next() {
                    Some(b'0') => 0,
                    Some(b'Z') => 26,
                    other => other.unwrap_or(byte),
                },
                byte => byte,
            };
            literal.push_str(&format!("{meant:02X}"));
        }
        literal
    }

    /// A column that an outer join gives may be NULL.
    fn bench(&self, name: &str, table: &str) -> String {
        format!("create temporary table {name} as select it.* from (select 1 as one) as one left join {table} as it on 1 = 0 limit 0")
    }

    fn doubts(&self, session: &mut dyn Connection) -> Result<Option<Failure>, Failure> {
        let warnings = session.run("show warnings")?.rows;
        let failures = warnings.into_iter().map(|row| {
            let mut cells = row.into_iter().skip(1);
            let code = cells.next().flatten();
            Failure { code, message: cells.next().flatten().unwrap_or_default(), detail: None, hint: None, context: None }
        });
        Ok(failures.into_iter().find(|failure| Refusal::of(failure, Dialect::Mysql) == Refusal::Value))
    }

    fn set_references_aside(&self) -> [&'static str; 2] {
        ["set foreign_key_checks = 0", "set foreign_key_checks = 1"]
    }

    fn catalog(&self, session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
        family::catalog(session)
    }

    fn rows(&self, session: &mut dyn Connection, masked: &[&str]) -> Result<Vec<String>, Failure> {
        let Some(database) = session.value("select database()")? else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        for (name, is_table) in family::relations(session, &database)? {
            if !is_table || family::part(&name) != Part::Product {
                continue;
            }
            let mut columns: Vec<String> =
                family::columns_of_table(session, &database, &name)?.into_iter().map(|(column, _)| column).collect();
            columns.sort();
            lines.extend(rows_of(self, session, Dialect::Mysql, (&name, &ident(&name, Dialect::Mysql)), &columns, masked)?);
        }
        lines.sort();
        Ok(lines)
    }

    fn second_run_may_refuse(&self) -> bool {
        false
    }

    fn counts_through_views(&self) -> bool {
        true
    }
}

/// A connection that says the name of its database where statements say the one that they were compiled for.
struct Named {
    session: Session,
    name: String,
}

impl Connection for Named {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        self.session.run(&statement.replace(COMPILED_FOR, &self.name)).map_err(|mut failure| {
            failure.message = failure.message.replace(&self.name, COMPILED_FOR);
            failure
        })
    }

    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        self.session.run_with(&statement.replace(COMPILED_FOR, &self.name), values)
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.session.take_notices()
    }
}
