//! Steps to scripts: each action fills in its template, and the scripts put them in order with their comments and marks.
//!
//! Invariant: it decides nothing. What is done, in which phase and in which order is the plan's; how it is said is the templates'.

use crate::dialect::mysql_like::{MARIADB, MYSQL};
use crate::plan::model::Plan;
use crate::snapshot::model::Access;
use crate::sql::Dialect;

pub mod drain;
pub mod live;
pub mod manifest;
mod mirror;
mod mysql_like;
pub mod pages;
mod postgres;
pub mod program;
mod renderer;
mod script;
mod sqlite;
mod sync;
mod templates;

use renderer::{Check, Grants, Header, Live, Renderer, Script};

pub use script::{Scripts, scripts};

/// A template and its context don't fit: a fault of crossfade.
#[derive(Debug, thiserror::Error)]
#[error("template {template}: {why}; this is a fault of crossfade, please report it with both snapshots")]
pub struct EmitError {
    /// The template.
    pub template: String,
    /// The engine's words.
    pub why: String,
}

/// A rendered text, or the template that does not fit.
type Rendered = Result<String, EmitError>;

/// Whether each of two versions has a namespace, which tells who writes.
fn can_drain(plan: &Plan) -> bool {
    plan.access == Access::Versioned && plan.old_version.is_some()
}

/// The tables that clients of the two versions write to, where it can be told who writes.
fn written_tables(plan: &Plan) -> impl Iterator<Item = &String> {
    plan.tables.iter().filter(|_| can_drain(plan))
}

/// How the dialect of a plan says what the plan does.
fn renderer<'a>(plan: &'a Plan, templates: &'a templates::Templates) -> Result<Box<dyn Renderer + 'a>, EmitError> {
    match plan.dialect {
        Dialect::Postgres => Ok(Box::new(postgres::Postgres::new(plan, templates))),
        Dialect::Mysql => Ok(Box::new(mysql_like::MysqlLikeRenderer::new(plan, MYSQL, templates))),
        Dialect::Mariadb => Ok(Box::new(mysql_like::MysqlLikeRenderer::new(plan, MARIADB, templates))),
        Dialect::Sqlite => Ok(Box::new(sqlite::Sqlite::new(plan, templates))),
    }
}
