//! What each server can do, what it locks and what it costs, and how it writes types and expressions. A folder a dialect; each
//! fact with its source.

use crate::plan::Target;
use crate::sql::Dialect;

pub mod language;
pub mod mysql_like;
pub mod postgres;
pub mod sqlite;

/// The planner's view of a dialect; `None` while this version of crossfade compiles nothing for it.
pub fn target(dialect: Dialect) -> Option<&'static dyn Target> {
    match dialect {
        Dialect::Postgres => Some(&postgres::Postgres),
        Dialect::Mysql => Some(&mysql_like::MYSQL),
        Dialect::Mariadb => Some(&mysql_like::MARIADB),
        Dialect::Sqlite => Some(&sqlite::Sqlite { oldest: sqlite::OLDEST }),
    }
}
