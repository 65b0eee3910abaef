//! Reading SQL that users write: what an expression refers to, whether two expressions mean the same, and how to put other
//! names into one without printing it anew. Quoting of names and literals, too.
//!
//! Invariant: the only module that names `sqlparser`. It knows no snapshot; schemas reach it through [`Scope`].

pub mod definition;
pub mod expression;
mod normal;
mod parse;
mod partial;
mod range;
pub mod shape;
pub mod split;
pub mod quote;
pub mod tokens;
mod search_path;
mod volatile;

/// A database product that scripts are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// PostgreSQL 15 to 18.
    Postgres,
    /// MySQL 8.4 and 9.
    Mysql,
    /// MariaDB 10.11 and 11.
    Mariadb,
    /// SQLite 3.40 and later.
    Sqlite,
}

impl Dialect {
    /// All dialects, in the order in which they are printed.
    pub const ALL: [Dialect; 4] = [Dialect::Postgres, Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite];

    /// The name that the command line, the format and the artifact folders use.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Postgres => "postgres",
            Dialect::Mysql => "mysql",
            Dialect::Mariadb => "mariadb",
            Dialect::Sqlite => "sqlite",
        }
    }

    /// Reads [`Dialect::name`].
    pub fn from_name(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|d| d.name() == name)
    }

    /// The longest name in bytes (PostgreSQL: NAMEDATALEN - 1; MySQL and MariaDB: 64 characters; SQLite has no limit, 64 keeps scripts alike).
    pub fn identifier_limit(self) -> usize {
        match self {
            Dialect::Postgres => 63,
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => 64,
        }
    }
}

/// What is known of the tables that a subquery may name.
pub trait Scope {
    /// Whether `table` is known and has `column`.
    fn has_column(&self, table: &str, column: &str) -> bool;
    /// Whether `table` (or a view of that name) is known.
    fn has_table(&self, table: &str) -> bool;
}
