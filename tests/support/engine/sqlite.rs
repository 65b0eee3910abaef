//! SQLite: a folder of database files, used through the library and, for whole scripts, through the `sqlite3` shell.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crossfade::engine::sqlite::Session;
use crossfade::engine::{Connection as _, Failure};
use crossfade::rehearse::catalog;
use crossfade::sql::Dialect;

use super::{Engine, Inspect, Part, REFUSALS, Table};
use crate::support::shape::{Column, Shape};

pub struct Sqlite {
    folder: tempfile::TempDir,
    shell: PathBuf,
}

impl Sqlite {
    pub fn new(shell: PathBuf) -> Result<Self, String> {
        // In memory if the system offers that.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Ok(Self { folder: folder.map_err(|error| error.to_string())?, shell })
    }

    /// The file of a database.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
}

impl Engine for Sqlite {
    type Session = Session;
    type Recipe = ();

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn create(&self, name: &str) -> Result<(), String> {
        std::fs::File::create_new(self.file(name)).map(drop).map_err(|error| error.to_string())
    }

    fn copy(&self, from: &str, to: &str, (): &mut ()) -> Result<(), String> {
        std::fs::copy(self.file(from), self.file(to)).map(drop).map_err(|error| error.to_string())
    }

    fn remove(&self, name: &str) {
        // A file that stays goes with its folder.
        let _ = std::fs::remove_file(self.file(name));
    }

    fn connect(&self, name: &str) -> Result<Session, Failure> {
        let mut session = Session::open(&self.file(name))?;
        // As in the shell; an application that wants foreign keys says so.
        session.run("pragma foreign_keys = off")?;
        Ok(session)
    }

    fn enter(&self, session: &mut Session, _name: &str, _version: Option<&str>) -> Result<(), Failure> {
        session.run("pragma foreign_keys = on").map(drop)
    }

    fn reach(&self, relation: &str, version: &str) -> String {
        format!("{relation}__{version}")
    }

    fn client(&self, name: &str, script: &str) -> Result<(i32, String), String> {
        let mut child = Command::new(&self.shell)
            .arg("-bail")
            .arg(self.file(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.shell.display()))?;
        if let Some(mut input) = child.stdin.take() {
            // A shell that stopped at an error reads no more; its exit code says so.
            let _ = input.write_all(script.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.code().unwrap_or(-1), said))
    }

    /// A script for SQLite has no way to leave statements out: it refuses, or runs them.
    fn second_run_may_refuse(&self) -> bool {
        true
    }
}

impl Inspect for Session {
    fn catalog(&mut self) -> Result<Vec<(Part, String)>, Failure> {
        catalog::sqlite(self)
    }

    fn shape(&mut self) -> Result<Shape, Failure> {
        let rows = self.run(&format!("select m.name, m.type, x.name, x.hidden from {RELATIONS} order by m.name, x.cid"))?.rows;
        let mut shape = Shape::default();
        for row in rows {
            let [Some(relation), Some(kind), Some(name), Some(hidden)] = &row[..] else { continue };
            if catalog::sqlite_part(relation) == Part::Product {
                shape.push(relation, kind == "table", Column { name: name.clone(), read_only: hidden != "0" });
            }
        }
        Ok(shape)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let rows = self.run(&format!("select m.name, x.name from {RELATIONS} and m.type = 'table' order by 1, 2"))?.rows;
        let mut tables: Vec<Table> = Vec::new();
        for row in rows {
            let [Some(relation), Some(column)] = &row[..] else { continue };
            if catalog::sqlite_part(relation) != Part::Product {
                continue;
            }
            if tables.last().is_none_or(|table| table.relation != *relation) {
                let sql = Session::quoted(relation);
                tables.push(Table { name: relation.clone(), relation: relation.clone(), sql, columns: Vec::new() });
            }
            if let Some(table) = tables.last_mut() {
                table.columns.push((column.clone(), Session::shown(column)));
            }
        }
        Ok(tables)
    }

    fn stands(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure> {
        if self.value("select 1 from sqlite_schema where name = 'crossfade_version'")?.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.run("select old_version, new_version, phase, revision from crossfade_version")?.rows)
    }

    fn written(&mut self) -> Result<Option<String>, Failure> {
        self.value("pragma data_version")
    }

    fn quoted(name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// The value with its type, which is the value's own and no column's: 1 and '1' are two values.
    fn shown(column: &str) -> String {
        format!("quote({})", Self::quoted(column))
    }

    /// Its codes say little: a case names words of the message.
    fn refused_with(failure: &Failure, expected: &str) -> bool {
        let words = REFUSALS.iter().find(|(state, ..)| *state == expected).map_or(expected, |(_, _, words)| *words);
        failure.code.is_some() && failure.message.contains(words)
    }
}

/// Tables and views with their columns.
const RELATIONS: &str =
    "sqlite_schema as m, pragma_table_xinfo(m.name) as x where m.type in ('table', 'view') and m.name not like 'sqlite!_%' escape '!'";
