//! PostgreSQL: a throw-away server, or one that is there, with databases of the rehearsal's own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Stopped;
use super::catalog::{self, Line};
use super::place::{Nested, Place, rows_of};
use crate::dialect::postgres::expression::Expressions;
use crate::engine::ephemeral::postgres::{Server, installations};
use crate::engine::postgres::{Location, Session};
use crate::engine::{Connection, Failure};
use crate::plan::model::namespace;
use crate::snapshot::model::{Column, TypeKind};
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// The first major version that scripts run on.
const OLDEST: u32 = 15;
/// How long a connection that was closed may stay.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server, and what was made on it.
pub(super) struct Postgres {
    server: Where,
    admin: RefCell<Session>,
    version: String,
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
            (Where::Own(server), database) => Session::connect(&server.address(database.unwrap_or("postgres"))),
            (Where::Given(location), Some(database)) => Session::connect_to(&location.with_database(database)),
            (Where::Given(location), None) => Session::connect_to(location),
        }
    }
}

impl Postgres {
    /// Starts a server of the newest programs of this machine.
    pub(super) fn start() -> Result<Self, Stopped> {
        let Some(installation) = installations().pop() else {
            return Err(Stopped(
                "no PostgreSQL was found on this machine: install its server, name its programs' folder in CROSSFADE_POSTGRES_BIN, \
                 or name a scratch server with `--url`"
                    .to_owned(),
            ));
        };
        let server = Server::start(&installation).map_err(|error| Stopped(error.to_string()))?;
        Self::new(Where::Own(server))
    }

    /// A server that is there.
    pub(super) fn at(url: &str) -> Result<Self, Stopped> {
        Self::new(Where::Given(Location::parse(url)?))
    }

    fn new(server: Where) -> Result<Self, Stopped> {
        let mut admin = server.connect(None)?;
        let version = admin.value("show server_version")?.unwrap_or_default();
        let version = version.split(' ').next().unwrap_or_default().to_owned();
        if version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major < OLDEST) {
            return Err(Stopped(format!("crossfade needs PostgreSQL {OLDEST} or later, and this is {version}")));
        }
        if let Where::Given(location) = &server {
            may_rehearse(&mut admin, location)?;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = format!("crossfade_rehearse_{}_{:x}", std::process::id(), since.as_micros());
        Ok(Self { server, admin: RefCell::new(admin), version, prefix, made: RefCell::default() })
    }

    fn name(&self, number: u32) -> String {
        format!("{}_{number}", self.prefix)
    }

    fn create_from(&self, number: u32, template: &str) -> Result<(), Stopped> {
        // The server's other way goes through the log, row by row.
        self.admin.borrow_mut().run(&format!("create database {} template {template} strategy file_copy", self.name(number)))?;
        self.made.borrow_mut().insert(number);
        Ok(())
    }

    /// A connection that was closed is gone a moment later, and the server copies only what nobody is connected to.
    fn wait_alone(&self, name: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let query = format!("select count(*) from pg_catalog.pg_stat_activity where datname = '{name}'");
        while self.admin.borrow_mut().value(&query)?.as_deref() != Some("0") && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// What a rehearsal needs of a role: databases, and foreign keys set aside while rows are copied between plain databases.
fn may_rehearse(admin: &mut Session, location: &Location) -> Result<(), Stopped> {
    let makes = admin.value("select rolcreatedb or rolsuper from pg_catalog.pg_roles where rolname = current_user")?;
    if makes.as_deref() != Some("t") {
        return Err(Stopped(format!("the role at {location} may not make databases: `alter role … createdb`")));
    }
    admin.run(ASIDE[0]).and_then(|_| admin.run(ASIDE[1])).map(drop).map_err(|failure| {
        Stopped(format!(
            "the role at {location} can't set foreign keys aside: a superuser can, and from PostgreSQL 15 on whoever has \
             `grant set on parameter session_replication_role`\n{failure}"
        ))
    })
}

impl Drop for Postgres {
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

impl Place for Postgres {
    fn product(&self) -> String {
        format!("PostgreSQL {}", self.version)
    }

    fn create(&self, number: u32, schema: &str) -> Result<(), Stopped> {
        self.create_from(number, "template1")?;
        if schema != "public" {
            self.server.connect(Some(&self.name(number)))?.run(&format!("create schema {}", ident(schema, Dialect::Postgres)))?;
        }
        Ok(())
    }

    fn copy(&self, from: u32, to: u32) -> Result<(), Stopped> {
        let from = self.name(from);
        self.wait_alone(&from)?;
        self.create_from(to, &from)
    }

    fn remove(&self, number: u32) {
        if !self.made.borrow_mut().remove(&number) {
            return;
        }
        let name = self.name(number);
        // The server itself would look for connections only ten times a second.
        let _ = self.wait_alone(&name);
        // One that stays goes with its server, or is named by the next look at the server's databases.
        let _ = self.admin.borrow_mut().run(&format!("drop database if exists {name} with (force)"));
    }

    fn connect(&self, number: u32) -> Result<Box<dyn Connection + Send>, Failure> {
        Ok(Box::new(Nested::new(self.server.connect(Some(&self.name(number)))?)))
    }

    fn has_crowds(&self) -> bool {
        true
    }

    fn session_id(&self, session: &mut dyn Connection) -> Result<String, Failure> {
        Ok(session.value("select pg_catalog.pg_backend_pid()")?.unwrap_or_default())
    }

    fn is_waiting(&self, id: &str) -> Result<bool, Failure> {
        let query = format!("select pg_catalog.cardinality(pg_catalog.pg_blocking_pids({id})) > 0");
        Ok(self.admin.borrow_mut().value(&query)?.as_deref() == Some("t"))
    }

    fn is_behind(&self, client: &str, script: &str) -> Result<bool, Failure> {
        let query = format!("select {script} = any(pg_catalog.pg_blocking_pids({client}))");
        Ok(self.admin.borrow_mut().value(&query)?.as_deref() == Some("t"))
    }

    fn kill(&self, id: &str) -> Result<(), Failure> {
        self.admin.borrow_mut().run(&format!("select pg_catalog.pg_terminate_backend({id})")).map(drop)
    }

    fn enter(&self, session: &mut dyn Connection, schema: &str, version: Option<&str>) -> Result<(), Failure> {
        let base = ident(schema, Dialect::Postgres);
        let path = match version {
            // As `connect` says: types and functions stay in the base schema.
            Some(version) => format!("{}, {base}", ident(&namespace(schema, version), Dialect::Postgres)),
            None => base,
        };
        session.run(&format!("set search_path = {path}")).map(drop)
    }

    fn shown(&self, column: &str) -> String {
        format!("quote_nullable(({column})::text)")
    }

    /// Cast to the column's type without its length, which storing looks at. An enum's labels are texts, and it may be the other
    /// version's.
    fn meant(&self, expression: &str, column: &Column) -> String {
        let ty = match &column.ty.kind {
            TypeKind::Enum(_) => "text".to_owned(),
            _ => Expressions { schema: "" }.cast_type(&column.ty),
        };
        format!("({expression})::{ty}")
    }

    fn set_references_aside(&self) -> [&'static str; 2] {
        ASIDE
    }

    fn catalog(&self, session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
        catalog::postgres(session)
    }

    fn rows(&self, session: &mut dyn Connection, masked: &[&str]) -> Result<Vec<String>, Failure> {
        let mut tables: Vec<(String, String, Vec<String>)> = Vec::new();
        for row in session.run(TABLES)?.rows {
            let [Some(name), Some(relation), column] = &row[..] else { continue };
            if tables.last().is_none_or(|(last, ..)| last != name) {
                tables.push((name.clone(), relation.clone(), Vec::new()));
            }
            if let (Some((_, _, columns)), Some(column)) = (tables.last_mut(), column) {
                columns.push(column.clone());
            }
        }
        let mut lines = Vec::new();
        for (table, relation, columns) in tables {
            lines.extend(rows_of(self, session, Dialect::Postgres, (&table, &relation), &columns, masked)?);
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

/// Foreign keys are triggers, and a replica fires none. Plain databases, where alone this is done, have no others.
const ASIDE: [&str; 2] = ["set session_replication_role = replica", "set session_replication_role = origin"];

/// Tables that are physically there: the name for a reader, the name for SQL, and a column.
const TABLES: &str = "select n.nspname || '.' || c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'crossfade')
    order by 1, a.attname";
