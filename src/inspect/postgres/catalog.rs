//! What is asked of PostgreSQL's catalog: a query a kind of object for the whole schema, never one an object. Each row comes as
//! one JSON value, so that a column has its name on both sides.
//!
//! In a query `$schema` stands for the schema's oid. Source of every column: <https://www.postgresql.org/docs/18/catalogs.html>.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::engine::postgres::{Failure, Session};
use crate::sql::Dialect;
use crate::sql::quote::{ident, literal};

pub(super) type Oid = u32;

/// The answers of one server for one schema, within one transaction.
pub(super) struct Catalog<'s> {
    session: &'s mut Session,
    schema: Oid,
}

/// What a server must be at least: the queries name columns of the catalog that came with it.
const OLDEST: u32 = 150_000;

/// Values are printed in one way, whatever the database or the role has set.
const SETTINGS: [&str; 5] = [
    "set local quote_all_identifiers = off",
    "set local datestyle = 'ISO, YMD'",
    "set local intervalstyle = 'postgres'",
    "set local timezone = 'UTC'",
    "set local bytea_output = 'hex'",
];

impl<'s> Catalog<'s> {
    /// Begins a transaction that reads one state of the catalog and writes nothing. The search path is the schema alone: the
    /// server then prints names of the schema bare, and all others but its own qualified.
    pub(super) fn begin(session: &'s mut Session, schema: &str) -> Result<Self, Failure> {
        let number: u32 = session.value("show server_version_num")?.and_then(|text| text.parse().ok()).unwrap_or_default();
        if number < OLDEST {
            return Err(refused(format!("the server is PostgreSQL {}; crossfade reads 15 and later", number / 10_000)));
        }
        session.run("begin isolation level repeatable read read only")?;
        for setting in SETTINGS {
            session.run(setting)?;
        }
        session.run(&format!("set local search_path = {}", ident(schema, Dialect::Postgres)))?;
        let oid = session.value(&format!("select oid from pg_namespace where nspname = {}", literal(schema, Dialect::Postgres)))?;
        match oid.and_then(|oid| oid.parse().ok()) {
            Some(schema) => Ok(Self { session, schema }),
            None => {
                session.run("rollback")?;
                Err(refused(format!("the database has no schema `{schema}`")))
            }
        }
    }

    /// Ends the transaction.
    pub(super) fn end(self) -> Result<(), Failure> {
        self.session.run("rollback").map(drop)
    }

    /// The rows of a query.
    pub(super) fn rows<T: DeserializeOwned>(&mut self, query: &str) -> Result<Vec<T>, Failure> {
        let query = query.replace("$schema", &self.schema.to_string());
        let outcome = self.session.run(&format!("select row_to_json(answer) from (\n{query}\n) answer"))?;
        let texts = outcome.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        texts
            .map(|text| serde_json::from_str(&text).map_err(|error| refused(format!("the catalog's answer can't be read: {error}"))))
            .collect()
    }

    /// What crossfade keeps of itself in this database, if it does, and if the role may see it.
    pub(super) fn versions(&mut self) -> Result<Option<Versions>, Failure> {
        let there = self.session.value(
            "select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'crossfade' and c.relname = 'version' and c.relkind = 'v'
                   and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')",
        )?;
        match there {
            Some(_) => Ok(self.rows("select old_version, new_version, phase from crossfade.version")?.pop()),
            None => Ok(None),
        }
    }
}

fn refused(message: String) -> Failure {
    Failure { code: None, message, detail: None, hint: None, context: None }
}

/// `crossfade.version`.
#[derive(Debug, Deserialize)]
pub(super) struct Versions {
    pub(super) old_version: Option<String>,
    pub(super) new_version: String,
    pub(super) phase: String,
}

pub(super) const RELATIONS: &str = include_str!("relations.sql");

/// A table, view or the like.
#[derive(Debug, Deserialize)]
pub(super) struct Relation {
    pub(super) oid: Oid,
    pub(super) name: String,
    /// `r` table, `p` partitioned table, `f` foreign table, `v` view, `m` materialized view.
    pub(super) kind: char,
    pub(super) partition: bool,
    pub(super) typed: bool,
    pub(super) inherits: bool,
    pub(super) extension: bool,
    pub(super) comment: Option<String>,
    pub(super) query: Option<String>,
}

pub(super) const COLUMNS: &str = include_str!("columns.sql");

/// A column of a table.
#[derive(Debug, Deserialize)]
pub(super) struct Column {
    pub(super) table: Oid,
    pub(super) number: i32,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) ty: String,
    /// The enum of the schema that the type or its element is.
    #[serde(rename = "enum")]
    pub(super) enum_name: Option<String>,
    pub(super) dimensions: i32,
    pub(super) not_null: bool,
    pub(super) identity: String,
    pub(super) generated: String,
    pub(super) default: Option<String>,
    pub(super) collation: Option<String>,
    pub(super) collation_oid: Oid,
    pub(super) comment: Option<String>,
}

pub(super) const CONSTRAINTS: &str = include_str!("constraints.sql");

/// A constraint of a table.
#[derive(Debug, Deserialize)]
pub(super) struct Constraint {
    pub(super) table: Oid,
    pub(super) name: String,
    /// `p` primary key, `u` unique, `f` foreign key, `c` check, `x` exclusion.
    pub(super) kind: char,
    pub(super) columns: Option<Vec<i32>>,
    pub(super) deferrable: bool,
    pub(super) deferred: bool,
    pub(super) index: Oid,
    pub(super) target: Oid,
    pub(super) target_columns: Option<Vec<i32>>,
    pub(super) on_update: char,
    pub(super) on_delete: char,
    pub(super) set_columns: Option<Vec<i32>>,
    #[serde(rename = "match")]
    pub(super) matching: char,
    pub(super) definition: Option<String>,
    pub(super) period: bool,
    pub(super) not_enforced: bool,
}

pub(super) const INDEXES: &str = include_str!("indexes.sql");

/// An index of a table.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    pub(super) oid: Oid,
    pub(super) table: Oid,
    pub(super) name: String,
    pub(super) method: String,
    pub(super) unique: bool,
    pub(super) nulls_not_distinct: bool,
    pub(super) valid: bool,
    /// How many of its columns are keys; those behind are covering ones.
    pub(super) keys: usize,
    /// The table's columns by number; 0 for an expression.
    pub(super) columns: Vec<i32>,
    /// By key: 1 for descending, 2 for NULLs first.
    pub(super) options: Vec<i32>,
    pub(super) collations: Vec<Oid>,
    pub(super) ordered: bool,
    pub(super) expressions: Vec<Option<String>>,
    pub(super) classes: Vec<Option<String>>,
    pub(super) predicate: Option<String>,
    pub(super) with: Option<Vec<String>>,
    pub(super) definition: String,
    /// It belongs to a constraint, which stands for it.
    pub(super) constraint: bool,
    pub(super) comment: Option<String>,
}

pub(super) const COLLATIONS: &str = include_str!("collations.sql");

/// A collation that some index has.
#[derive(Debug, Deserialize)]
pub(super) struct Collation {
    pub(super) oid: Oid,
    pub(super) name: String,
}

pub(super) const ENUMS: &str = include_str!("enums.sql");

/// An enum.
#[derive(Debug, Deserialize)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) labels: Option<Vec<String>>,
    pub(super) comment: Option<String>,
}

pub(super) const SEQUENCES: &str = include_str!("sequences.sql");

/// A sequence.
#[derive(Debug, Deserialize)]
pub(super) struct Sequence {
    pub(super) name: String,
    pub(super) start: i64,
    pub(super) increment: i64,
    pub(super) min: i64,
    pub(super) max: i64,
    pub(super) cache: i64,
    pub(super) cycle: bool,
    #[serde(rename = "type")]
    pub(super) ty: String,
    pub(super) comment: Option<String>,
    pub(super) owned: Option<char>,
    pub(super) table: Option<Oid>,
    pub(super) column: Option<i32>,
}

pub(super) const EXTENSIONS: &str = include_str!("extensions.sql");

/// An extension.
#[derive(Debug, Deserialize)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) schema: String,
    /// Whether it lies in the schema that is read.
    pub(super) near: bool,
}

pub(super) const VIEW_SOURCES: &str = include_str!("view_sources.sql");

/// A relation that a view reads.
#[derive(Debug, Deserialize)]
pub(super) struct ViewSource {
    pub(super) view: Oid,
    pub(super) source: Oid,
}

pub(super) const LEFT_OUT: &str = include_str!("left_out.sql");
