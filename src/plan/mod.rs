//! From a diff to steps: which physical column carries what while two versions run, in which phase each thing is done, in
//! what order, and what a reviewer must know about it.
//!
//! Invariant: nothing here knows how a dialect says a thing; what a dialect can do and what it locks is asked of a [`Target`].
//! The only module that names `petgraph`.

use crate::diagnostic::{Diagnostic, Level, Span, register};
use crate::diff::model::Diff;
use crate::snapshot::model::{Access, Type};

mod changes;
mod expr;
pub mod graph;
mod layout;
mod mirror;
pub mod model;
mod naming;
mod objects;
mod planner;
mod rebuild;
mod table;
mod views;

use model::{Action, Footprint, Plan};

pub use naming::MARKER;

/// Name of the check that proves a column NOT NULL, while it is needed.
pub fn not_null_check(table: &str, column: &str) -> String {
    naming::not_null_check(table, column, crate::sql::Dialect::Postgres)
}

/// The schema (PostgreSQL) of the version tables and of what keeps two shapes in step.
pub const VERSION_SCHEMA: &str = "crossfade";

/// What the command line and the settings say about a plan.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the versions reach their shapes.
    pub access: Access,
    /// The schema (PostgreSQL) that the tables live in.
    pub schema: String,
    /// Codes of hazards that are acknowledged, besides those of the transition.
    pub allow: Vec<String>,
}

/// What a server can do where servers differ. Where each entry comes from stands with the dialect's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How the rules and types of a column change.
    pub rules: Rules,
    /// Whether a trigger can fill a column before NOT NULL is looked at.
    pub fills_in_time: bool,
    /// Whether an INSERT that names no columns still works when a table has got more of them.
    pub positional_inserts: bool,
    /// Whether rows can stand in two tables (`from:`).
    pub mirrors: bool,
}

/// How the rules and types of a table's columns change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// One by one.
    Altered,
    /// Only by writing the table anew, all of a phase at once.
    Rebuilt,
}

/// What a plan asks of a dialect.
pub trait Target {
    /// What its server can do.
    fn capabilities(&self) -> Capabilities;
    /// Locks and cost of an action.
    fn footprint(&self, action: &Action) -> Footprint;
    /// Whether a column's type can change from `old` to `new` as metadata, the rows untouched and unread.
    fn widens_in_place(&self, old: &Type, new: &Type) -> bool;
    /// Whether a column can be added to a table with rows as metadata, where [`Rules::Rebuilt`] is the other way.
    fn adds_column(&self, column: &model::ColumnSpec) -> bool;
    /// How a client is told of what PostgreSQL has this SQLSTATE for.
    fn refusal(&self, sqlstate: &str) -> String {
        format!("SQLSTATE {sqlstate}")
    }
}

/// Plans the way from one schema to the other.
///
/// Every fault is reported at once; with an error among the diagnostics the plan is not to be rendered.
pub fn plan(diff: &Diff<'_>, settings: &Settings, target: &dyn Target) -> (Plan, Vec<Diagnostic>) {
    let planner = planner::Planner::new(diff, settings, target);
    let (plan, mut diagnostics) = planner.run();
    diagnostics.extend(unacknowledged(diff, settings, &plan));
    diagnostics.extend(unknown_acknowledged(diff, settings));
    (plan, diagnostics)
}

/// The acknowledged codes that no hazard has: nothing is wrong with the plan, but they acknowledge nothing.
fn unknown_acknowledged(diff: &Diff<'_>, settings: &Settings) -> Vec<Diagnostic> {
    let in_transition = diff.new.transition.as_ref().map(|transition| transition.allow.as_slice()).unwrap_or_default();
    let in_settings = settings.allow.iter().map(|code| (code, Span::default()));
    in_settings
        .chain(in_transition.iter().map(|(code, span)| (code, *span)))
        .filter_map(|(code, span)| {
            let unknown = register::find(code).err()?;
            let fault = Diagnostic { level: Level::Warning, ..unknown };
            Some(if span.is_nowhere() { fault } else { fault.at(span, "it acknowledges nothing") })
        })
        .collect()
}

/// The error-level hazards that nobody has acknowledged, as errors.
fn unacknowledged(diff: &Diff<'_>, settings: &Settings, plan: &Plan) -> Vec<Diagnostic> {
    let in_transition = diff.new.transition.as_ref().filter(|_| !diff.old.version.is_empty());
    let allowed = |code: &str| {
        settings.allow.iter().any(|c| c == code) || in_transition.is_some_and(|t| t.allow.iter().any(|(allowed, _)| allowed == code))
    };
    plan.hazards
        .iter()
        .filter(|hazard| hazard.level == Level::Error && !allowed(hazard.code))
        .map(|hazard| {
            Diagnostic {
                code: hazard.code,
                level: Level::Error,
                message: format!("{}: {}", hazard.object, hazard.message),
                labels: Vec::new(),
                help: vec![format!(
                    "if that is what you want, say so: `--allow {code}`, or `allow: [{code}]` in the transition",
                    code = hazard.code
                )],
            }
            .at(hazard.span, "")
        })
        .collect()
}
