//! Where databases for a rehearsal are made, copied and thrown away.

use super::Stopped;
use super::catalog::Line;
use crate::engine::{Connection, Failure, Notice, Outcome};
use crate::snapshot::model::Column;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// A server, or a folder, that holds databases of the rehearsal's own.
pub(super) trait Place {
    /// What runs there: `SQLite 3.50.2`.
    fn product(&self) -> String;

    /// Makes an empty database of this number, whose tables will live in a schema.
    fn create(&self, number: u32, schema: &str) -> Result<(), Stopped>;

    /// Makes a database that equals another one, which nobody is connected to.
    fn copy(&self, from: u32, to: u32) -> Result<(), Stopped>;

    /// Removes a database; one that stays goes with the place.
    fn remove(&self, number: u32);

    /// A connection as scripts are run on.
    fn connect(&self, number: u32) -> Result<Box<dyn Connection + Send>, Failure>;

    /// Whether several clients can write at once.
    fn has_crowds(&self) -> bool;

    /// The server's name of a session.
    fn session_id(&self, session: &mut dyn Connection) -> Result<String, Failure>;

    /// Whether the session of this name waits for another one.
    fn is_waiting(&self, id: &str) -> Result<bool, Failure>;

    /// Whether the session `client` waits for the session `script`, as far as the server tells; else whether it waits.
    fn is_behind(&self, client: &str, _script: &str) -> Result<bool, Failure> {
        self.is_waiting(client)
    }

    /// Ends the session of this name, as the death of its client does.
    fn kill(&self, id: &str) -> Result<(), Failure>;

    /// Makes a connection a client's, of the schema that the tables live in. `version`: of the version's own namespace.
    fn enter(&self, session: &mut dyn Connection, schema: &str, version: Option<&str>) -> Result<(), Failure>;

    /// An expression that shows a column as a literal which gives the same value again.
    fn shown(&self, column: &str) -> String;

    /// An author's expression as a value for a column, before it is stored there.
    fn meant(&self, expression: &str, _column: &Column) -> String {
        format!("({expression})")
    }

    /// What the last query only warned of, and a write with the same expression fails on.
    fn doubts(&self, _session: &mut dyn Connection) -> Result<Option<Failure>, Failure> {
        Ok(None)
    }

    /// The statement that makes an empty temporary table with the columns of a table and none of its rules.
    fn bench(&self, name: &str, table: &str) -> String {
        format!("create temporary table {name} as select * from {table} where 1 = 0")
    }

    /// What [`Place::shown`] gave, as the literal.
    fn cell(&self, value: Option<String>) -> String {
        value.unwrap_or_else(|| "NULL".to_owned())
    }

    /// Statements that make a session set foreign keys aside, and take them up again; outside of a transaction.
    fn set_references_aside(&self) -> [&'static str; 2];

    /// One line for every fact of the catalog, sorted.
    fn catalog(&self, session: &mut dyn Connection) -> Result<Vec<Line>, Failure>;

    /// Every row of every table that is physically there, but for the server's and crossfade's own; of the columns `masked` only
    /// whether they have a value.
    fn rows(&self, session: &mut dyn Connection, masked: &[&str]) -> Result<Vec<String>, Failure>;

    /// Whether a script that has nothing left to do may refuse instead of doing nothing.
    fn second_run_may_refuse(&self) -> bool;

    /// Whether the server counts what is written through a version's own namespace.
    fn counts_through_views(&self) -> bool;
}

/// The rows of a table as lines that begin with `name`; of the columns `masked` only whether they have a value. `relation`: the
/// table for SQL; `columns`: sorted, so that the order in which they were made does not matter.
pub(super) fn rows_of(
    place: &dyn Place,
    session: &mut dyn Connection,
    dialect: Dialect,
    (name, relation): (&str, &str),
    columns: &[String],
    masked: &[&str],
) -> Result<Vec<String>, Failure> {
    let shown = |column: &String| {
        let own = ident(column, dialect);
        match (masked.contains(&column.as_str()), dialect) {
            (false, _) => place.shown(&own),
            (true, Dialect::Postgres) => format!("({own} is null)::text"),
            (true, _) => format!("{own} is null"),
        }
    };
    let query = |columns: &[&String]| {
        let list: Vec<String> = columns.iter().copied().map(shown).collect();
        format!("select {} from {relation}", list.join(", "))
    };
    let mut read: Vec<&String> = columns.iter().collect();
    let mut found = session.run(&query(&read));
    if found.as_ref().is_err_and(|failure| Refusal::of(failure, dialect) == Refusal::Value) {
        // What is computed as it is read may fail on a row that every database takes: then nobody reads it.
        read.retain(|column| session.run(&query(&[*column])).is_ok());
        found = session.run(&query(&read));
    }
    let rows = found?.rows;
    let line = |row: Vec<Option<String>>| {
        let cells: Vec<String> = read.iter().zip(row).map(|(column, cell)| format!("{column} = {}", place.cell(cell))).collect();
        format!("{name}: {}", cells.join(", "))
    };
    Ok(rows.into_iter().map(line).collect())
}

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotNull,
    Unique,
    Check,
    Reference,
    /// A value that the type can't take.
    Value,
    /// Another session is in the way.
    Lock,
    /// Anything else: names that are not there, faults of a script.
    Other,
}

impl Refusal {
    pub(super) fn of(failure: &Failure, dialect: Dialect) -> Self {
        let code = failure.code.as_deref().unwrap_or_default();
        match dialect {
            Dialect::Sqlite => {
                let said = |words: &str| failure.message.contains(words);
                if said("NOT NULL constraint failed") {
                    Refusal::NotNull
                } else if said("UNIQUE constraint failed") {
                    Refusal::Unique
                } else if said("CHECK constraint failed") {
                    Refusal::Check
                } else if said("FOREIGN KEY constraint failed") {
                    Refusal::Reference
                } else if said("database is locked") || said("database table is locked") {
                    Refusal::Lock
                } else if said("datatype mismatch") || said("integer overflow") || said("malformed JSON") {
                    Refusal::Value
                } else {
                    Refusal::Other
                }
            }
            Dialect::Postgres => match code {
                "23502" => Refusal::NotNull,
                "23505" | "23P01" => Refusal::Unique,
                "23514" => Refusal::Check,
                "23503" | "23001" => Refusal::Reference,
                "40001" | "40P01" | "55P03" => Refusal::Lock,
                code if code.starts_with("22") => Refusal::Value,
                _ => Refusal::Other,
            },
            Dialect::Mysql | Dialect::Mariadb => match code {
                "1048" | "1263" | "1364" | "1423" => Refusal::NotNull,
                "1062" => Refusal::Unique,
                "3819" | "4025" => Refusal::Check,
                "1451" | "1452" => Refusal::Reference,
                "1264" | "1265" | "1292" | "1366" | "1406" | "3140" | "1690" => Refusal::Value,
                "1020" | "1205" | "1213" | "3572" => Refusal::Lock,
                _ => Refusal::Other,
            },
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::NotNull => "refused (NOT NULL)",
            Refusal::Unique => "refused (unique)",
            Refusal::Check => "refused (check)",
            Refusal::Reference => "refused (foreign key)",
            Refusal::Value => "refused (value)",
            Refusal::Lock => "refused (lock)",
            Refusal::Other => "refused",
        }
    }
}

/// A database that goes with this value.
pub(super) struct Database<'a> {
    pub(super) place: &'a dyn Place,
    pub(super) number: u32,
    /// The schema that the tables live in.
    pub(super) schema: &'a str,
}

impl Database<'_> {
    pub(super) fn connect(&self) -> Result<Box<dyn Connection + Send>, Stopped> {
        self.place.connect(self.number).map_err(Stopped::from)
    }

    /// A connection of a client.
    pub(super) fn client(&self, version: Option<&str>) -> Result<Box<dyn Connection + Send>, Stopped> {
        let mut session = self.connect()?;
        self.enter(session.as_mut(), version)?;
        Ok(session)
    }

    /// Makes a connection a client's.
    pub(super) fn enter(&self, session: &mut dyn Connection, version: Option<&str>) -> Result<(), Failure> {
        self.place.enter(session, self.schema, version)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        self.place.remove(self.number);
    }
}

/// A server's connection on which a savepoint outside of a transaction opens one until it is released, as it does on SQLite.
pub(super) struct Nested<S> {
    pub(super) session: S,
    /// Whether a transaction is open.
    is_open: bool,
    /// The savepoint that opened it.
    opened_by: Option<String>,
}

impl<S: Connection> Nested<S> {
    pub(super) fn new(session: S) -> Self {
        Self { session, is_open: false, opened_by: None }
    }
}

impl<S: Connection> Connection for Nested<S> {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        if let Some(name) = statement.strip_prefix("savepoint ")
            && !self.is_open
        {
            self.session.run("begin")?;
            (self.is_open, self.opened_by) = (true, Some(name.to_owned()));
        }
        let outcome = self.session.run(statement)?;
        match statement {
            "begin" => self.is_open = true,
            "commit" | "rollback" => (self.is_open, self.opened_by) = (false, None),
            _ if self.opened_by.is_some() && statement.strip_prefix("release savepoint ") == self.opened_by.as_deref() => {
                self.session.run("commit")?;
                (self.is_open, self.opened_by) = (false, None);
            }
            _ => {}
        }
        Ok(outcome)
    }

    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        self.session.run_with(statement, values)
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        self.session.take_notices()
    }
}
