//! PostgreSQL: a throw-away server with a connection to make databases from.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::postgres::Server;
use crossfade::engine::postgres::{Failure, Session};
use crossfade::rehearse::catalog;
use crossfade::sql::Dialect;

use super::{Engine, Inspect, Part, Table};
use crate::support::servers::MAJORS;
use crate::support::shape::{Column, Shape};

pub struct Postgres {
    pub server: Server,
    pub psql: Option<PathBuf>,
    admin: Mutex<Session>,
}

impl Postgres {
    pub fn new(server: Server, psql: Option<PathBuf>) -> Result<Self, Failure> {
        let admin = Session::connect(&server.address("postgres"))?;
        Ok(Self { server, psql, admin: Mutex::new(admin) })
    }

    fn create_from(&self, name: &str, template: &str) -> Result<(), String> {
        // The server refuses to copy a database while another copy of it is being made.
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin
            .run(&format!("create database {name} template {template} strategy file_copy"))
            .map(drop)
            .map_err(|failure| failure.to_string())
    }
}

impl Engine for Postgres {
    type Session = Session;
    type Recipe = ();

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn turn(&self) -> (usize, usize) {
        let major = self.server.installation().major;
        (MAJORS.iter().position(|one| *one == major).unwrap_or(0), MAJORS.len())
    }

    fn create(&self, name: &str) -> Result<(), String> {
        self.create_from(name, "template1")
    }

    fn copy(&self, from: &str, to: &str, (): &mut ()) -> Result<(), String> {
        self.wait_alone(from)?;
        self.create_from(to, from)
    }

    fn remove(&self, name: &str) {
        // The server would look for connections only ten times a second.
        let _ = self.wait_alone(name);
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        // A database that stays goes with its server.
        let _ = admin.run(&format!("drop database if exists {name} with (force)"));
    }

    fn connect(&self, name: &str) -> Result<Session, Failure> {
        Session::connect(&self.server.address(name))
    }

    fn enter(&self, session: &mut Session, _name: &str, version: Option<&str>) -> Result<(), Failure> {
        let namespace = version.map_or("public".to_owned(), |version| format!("public_{version}"));
        session.run(&format!("set search_path = {namespace}")).map(drop)
    }

    fn reset(&self, session: &mut Session) -> bool {
        // Refused within a transaction: such a connection is closed, and the server rolls back.
        session.run("discard all").is_ok()
    }

    fn lose(&self, session: &mut Session) {
        // Outside of a transaction that is a warning.
        let _ = session.run("rollback");
    }

    /// A closed connection is gone a moment after it was closed.
    fn wait_alone(&self, name: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let others = self
                .admin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .value(&format!("select count(*) from pg_stat_activity where datname = '{name}'"))
                .map_err(|failure| failure.to_string())?;
            if others.as_deref() == Some("0") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("somebody stays connected to {name}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn client(&self, name: &str, script: &str) -> Result<(i32, String), String> {
        let file = tempfile::NamedTempFile::with_suffix(".sql").map_err(|error| error.to_string())?;
        std::fs::write(file.path(), script).map_err(|error| error.to_string())?;
        let psql = self.psql.as_ref().ok_or("there is no psql on this machine: run scripts/setup-servers.sh")?;
        let address = self.server.address(name);
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

impl Inspect for Session {
    fn catalog(&mut self) -> Result<Vec<(Part, String)>, Failure> {
        catalog::postgres(self)
    }

    fn shape(&mut self) -> Result<Shape, Failure> {
        let rows = self
            .run(
                "select c.relname, c.relkind in ('r', 'p'), a.attname, a.attgenerated <> '' or a.attidentity = 'a'
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') order by c.relname, a.attnum",
            )?
            .rows;
        let mut shape = Shape::default();
        for row in rows {
            let [Some(relation), Some(table), Some(name), Some(read_only)] = &row[..] else { continue };
            shape.push(relation, table == "t", Column { name: name.clone(), read_only: read_only == "t" });
        }
        Ok(shape)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let rows = self
            .run(
                "select n.nspname, c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'crossfade')
                 order by 1, 2, 4",
            )?
            .rows;
        let mut tables: Vec<Table> = Vec::new();
        for row in rows {
            let [Some(schema), Some(relation), Some(sql), column] = &row[..] else { continue };
            let name = format!("{schema}.{relation}");
            if tables.last().is_none_or(|table| table.name != name) {
                tables.push(Table { name, relation: relation.clone(), sql: sql.clone(), columns: Vec::new() });
            }
            if let (Some(table), Some(column)) = (tables.last_mut(), column) {
                table.columns.push((column.clone(), Self::shown(column)));
            }
        }
        Ok(tables)
    }

    fn stands(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure> {
        if self.value("select to_regclass('crossfade.version')")?.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.run("select old_version, new_version, phase, revision from crossfade.version")?.rows)
    }

    fn written(&mut self) -> Result<Option<String>, Failure> {
        self.value("select pg_current_wal_insert_lsn()")
    }

    fn quoted(name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn shown(column: &str) -> String {
        format!("{}::text", Self::quoted(column))
    }

    fn refused_with(failure: &Failure, expected: &str) -> bool {
        failure.code.as_deref() == Some(expected)
    }
}
