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
mod row_order;
mod table;
mod views;

use model::{Action, Footprint, Plan};

pub use naming::{MARKER, drain_trigger, without_interim};
pub use rebuild::hides_rows;

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

/// What a server can do, as far as a plan depends on it. Each dialect gives its own, with the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How the rules and types of a column change.
    pub rules: Rules,
    /// Whether NOT NULL and checks come and go by statements of their own, even where other rules do not.
    pub alters_rules: bool,
    /// Whether a trigger can fill a column before NOT NULL is looked at.
    pub fills_in_time: bool,
    /// Whether an INSERT of what a query gives can leave out a column that is NOT NULL and has no default, if a trigger fills it.
    pub fills_for_queries: bool,
    /// Whether an INSERT that names no columns still works when a table has got more of them.
    pub positional_inserts: bool,
    /// Whether columns that sort in different ways are compared as they are, by bytes.
    pub mixes_collations: bool,
    /// Statements that change the schema take effect together. Without it each one is safe to be the last that ran.
    pub transactional_ddl: bool,
    /// A column or a table can be renamed under a view that shows it.
    pub renames_under_views: bool,
    /// A column of a view has a default of its own.
    pub view_defaults: bool,
    /// How a row says who wrote it.
    pub writer: WriterMark,
    /// A column can be hidden from `select *` and from an INSERT that names no columns.
    pub invisible_columns: bool,
    /// A constraint can bind new writes before it is proved for the rows that are there, and is proved in a statement of its own.
    pub validates_apart: bool,
    /// An INSERT that names no columns gives a hidden column its default, even if that is an expression.
    pub hidden_defaults: bool,
    /// A hidden column can be NOT NULL without a default.
    pub hides_not_null: bool,
    /// A column is changed by stating it anew, with all that it has.
    pub restates_columns: bool,
    /// A column without a default that may be NULL is one whose default is NULL: DROP DEFAULT would leave it with none.
    pub null_default_is_said: bool,
    /// A unique constraint is its index, and nothing besides.
    pub unique_is_index: bool,
    /// Rows of a table without a primary key lie in the order of its first unique index over columns that are NOT NULL, if it has
    /// one: when that comes the table is written anew beside its writers, and when it goes it is copied.
    pub orders_rows_by_unique: bool,
    /// A check can be added to a table that exists while clients write.
    pub adds_checks_online: bool,
    /// Enums are types with names of their own.
    pub enum_types: bool,
    /// Statistics of a new column are taken by a statement.
    pub analyzes: bool,
    /// Rows of a table without a key can be reached by where they lie.
    pub reaches_rows_without_key: bool,
    /// What is named after a table or a column keeps its name when that is renamed.
    pub leaves_names_behind: bool,
    /// Whether a key can draw its numbers from another table's sequence. Without it each table counts by itself, beyond the
    /// highest number that stands in it.
    pub lends_numbers: bool,
    /// Whether rows can stand in two tables (`from:`).
    pub mirrors: bool,
    /// Whether what a foreign key's action deletes or changes fires triggers.
    pub cascades_fire_triggers: bool,
    /// What TRUNCATE does to rows that stand in two tables.
    pub truncate: Truncate,
    /// Whether a trigger can move on what counts another table's rows without writing a row there.
    pub counters_follow: bool,
    /// Whether a trigger can write a table that the statement which fired it reads.
    pub writes_what_is_read: bool,
    /// Whether columns come, go and get NOT NULL beside writers where the table has a full-text index.
    pub changes_beside_fulltext: bool,
    /// Whether a table can be copied into one of the same shape beside its writers, which then takes its name at once.
    pub copies_tables: bool,
    /// Whether a check has the same name in such a copy.
    pub copies_checks: bool,
}

/// How the rules and types of a table's columns change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// One by one.
    Altered,
    /// Only by writing the table anew, all of a phase at once.
    Rebuilt,
}

/// How a row says which version wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriterMark {
    /// The view that it came through gives the marker a default of its own.
    View,
    /// The marker's default is the database that the client has chosen, which tells in versioned access.
    Database,
}

/// What TRUNCATE does to rows that stand in two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncate {
    /// There is none.
    Missing,
    /// It fires a trigger, which carries it over.
    Fires,
    /// It passes by all triggers.
    Passes,
}

/// Why an action has no statements, or none that a server takes while clients write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The server keeps clients waiting: why, and the way out.
    NoWay(String, String),
    /// There are statements, but clients can't write while they run: why.
    Blocks(String),
    /// Not yet: what.
    NotYet(String),
}

/// What a plan asks of a dialect.
pub trait Target {
    /// What the server can do.
    fn capabilities(&self) -> Capabilities;
    /// The first two numbers of the oldest version that runs the scripts, where a setting names it.
    fn oldest(&self) -> Option<(u32, u32)> {
        None
    }
    /// What its clients can't do while it copies a table.
    fn while_it_copies(&self) -> &'static str {
        "nobody can write meanwhile"
    }
    /// Whether a column with this default can be added without writing the rows that are there.
    fn adds_default_at_once(&self, ty: &Type, default: &str) -> bool;
    /// A default as a statement of its own takes it for a column of the type.
    fn default_text(&self, ty: &Type, default: &str) -> String;
    /// Whether a column of the type gets such a default only by being stated anew.
    fn restates_default(&self, ty: &Type, default: &str) -> bool;
    /// Whether a default is a literal that a column of the type takes as one, so that it is the same for each row.
    fn is_bare_literal(&self, _ty: &Type, _default: &str) -> bool {
        false
    }
    /// Why an action has no statements: what the server can't do while clients write, or what is not there yet.
    fn lacks(&self, action: &Action) -> Option<Lack>;
    /// A value that any column of the type takes, as an expression: what stands in an old column that nothing fills any more.
    fn any_value(&self, ty: &Type) -> Option<String>;
    /// A default for a column that a trigger fills, where [`Capabilities::fills_for_queries`] is not so: any value for a client
    /// that has chosen the namespace or gives one of the columns, and NULL for others. `None` where no value is known.
    fn stand_in(&self, _ty: &Type, _namespace: Option<&str>, _given: &[String]) -> Option<String> {
        None
    }
    /// Locks and cost of an action.
    fn footprint(&self, action: &Action) -> Footprint;
    /// Whether a column's type can change from `old` to `new` as metadata, the rows untouched and unread.
    fn widens_in_place(&self, old: &Type, new: &Type) -> bool;
    /// The least and the greatest number of a type of whole numbers, where [`Capabilities::copies_tables`] is so.
    fn whole_numbers(&self, _ty: &Type) -> Option<(i128, i128)> {
        None
    }
    /// Whether a type of text holds each value of another one as it is, where [`Capabilities::copies_tables`] is so.
    fn holds_texts_of(&self, _wide: &Type, _narrow: &Type) -> bool {
        false
    }
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
