//! A plan: steps as data, before any SQL is rendered.
//!
//! Invariant: a [`Step`] says what is done to which physical object; how a dialect says it is not known here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::diagnostic::{Level, Span};
use crate::snapshot::model::{
    Access, EnumType, Exclusion, ForeignKey, Identity, Nulls, OnConflict, PrimaryKey, Sequence, Type, Unique, Value,
};
use crate::sql::Dialect;

/// The three phases of a transition. (Abort is no phase: it is the undoing of the first two.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Adds what the new version needs; touches nothing that the old one uses.
    Expand,
    /// Fills the new shape and builds what the new version relies on.
    Migrate,
    /// Takes away what only the old version used. No way back.
    Contract,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Phase; 3] = [Phase::Expand, Phase::Migrate, Phase::Contract];

    /// The name in scripts, revisions and commands.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Migrate => "migrate",
            Phase::Contract => "contract",
        }
    }
}

/// A whole plan for one dialect.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The dialect.
    pub dialect: Dialect,
    /// How the versions reach their shapes.
    pub access: Access,
    /// The schema (PostgreSQL) that the tables live in.
    pub schema: String,
    /// Version of the old snapshot; `None` for a first installation.
    pub old_version: Option<String>,
    /// Name of the revisions that led to the old snapshot.
    pub old_release: String,
    /// Version of the new snapshot.
    pub new_version: String,
    /// Name of the revisions.
    pub release: String,
    /// The changes; number 1 is the first.
    pub changes: Vec<Change>,
    /// The steps in the order in which they run.
    pub steps: Vec<Step>,
    /// The oldest version of the server that runs the scripts, where a setting names it.
    pub oldest: Option<(u32, u32)>,
    /// The physical tables that clients of either version write to while both run, in order.
    pub tables: Vec<String>,
    /// Indexes, with their tables, that come or go while the rows lie in their order: the server writes the table anew.
    pub orders_rows: BTreeSet<(String, String)>,
    /// What a reviewer must know.
    pub hazards: Vec<Hazard>,
}

impl Plan {
    /// The revision of a change in a phase: `pike_expand01`.
    pub fn revision(&self, phase: Phase, change: usize) -> String {
        format!("{}_{}{change:02}", self.release, phase.name())
    }

    /// Whether contract gives a table another name.
    pub fn renames(&self, table: &str) -> bool {
        self.steps.iter().any(|step| matches!(&step.action, Action::RenameTable { from, .. } if from == table))
    }

    /// The last revision of a phase.
    pub fn last_revision(&self, phase: Phase) -> String {
        self.revision(phase, self.changes.len())
    }

    /// The namespace of a version: `public_pike`.
    pub fn namespace(&self, version: &str) -> String {
        namespace(&self.schema, version)
    }
}

/// The namespace of a version's views (PostgreSQL: a schema).
pub fn namespace(schema: &str, version: &str) -> String {
    format!("{schema}_{version}")
}

/// One group of differences that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From 1.
    pub number: usize,
    /// What it is about, in the words of its objects: `table users`.
    pub title: String,
}

/// How much work a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Metadata only.
    Instant,
    /// Reads a whole table.
    Scan,
    /// Writes a whole table anew.
    Rewrite,
    /// Writes rows in batches.
    Copy,
}

impl Cost {
    /// The word in plans and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Cost::Instant => "instant",
            Cost::Scan => "scan",
            Cost::Rewrite => "rewrite",
            Cost::Copy => "copy",
        }
    }
}

/// A lock on a table. PostgreSQL's, weakest first (manual: Explicit Locking, table-level locks), then those of other servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum LockMode {
    /// `ACCESS SHARE`: what a SELECT takes.
    #[serde(rename = "ACCESS SHARE")]
    AccessShare,
    /// `ROW SHARE`: what a SELECT FOR UPDATE takes, and the proof of a foreign key on the table that it points to.
    #[serde(rename = "ROW SHARE")]
    RowShare,
    /// `ROW EXCLUSIVE`: what a write takes.
    #[serde(rename = "ROW EXCLUSIVE")]
    RowExclusive,
    /// `SHARE UPDATE EXCLUSIVE`: blocks neither reads nor writes.
    #[serde(rename = "SHARE UPDATE EXCLUSIVE")]
    ShareUpdateExclusive,
    /// `SHARE`: blocks writes.
    #[serde(rename = "SHARE")]
    Share,
    /// `SHARE ROW EXCLUSIVE`: blocks writes.
    #[serde(rename = "SHARE ROW EXCLUSIVE")]
    ShareRowExclusive,
    /// `ACCESS EXCLUSIVE`: blocks all.
    #[serde(rename = "ACCESS EXCLUSIVE")]
    AccessExclusive,
    /// `ROWS`: rows as they are written (MySQL, MariaDB).
    #[serde(rename = "ROWS")]
    Rows,
    /// `METADATA EXCLUSIVE`: blocks all, for an instant at the beginning and at the end of a statement (MySQL, MariaDB).
    #[serde(rename = "METADATA EXCLUSIVE")]
    MetadataExclusive,
}

impl LockMode {
    /// The manual's name.
    pub fn name(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
            LockMode::Rows => "ROWS",
            LockMode::MetadataExclusive => "METADATA EXCLUSIVE",
        }
    }

    /// Which clients wait while it is held.
    pub fn waits(self) -> Waits {
        match self {
            LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive | LockMode::ShareUpdateExclusive | LockMode::Rows => {
                Waits::Nobody
            }
            LockMode::Share | LockMode::ShareRowExclusive => Waits::Writers,
            LockMode::AccessExclusive | LockMode::MetadataExclusive => Waits::Everybody,
        }
    }
}

/// Which clients of a table wait while a lock on it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Waits {
    /// None: reads and writes go on. (Who writes the same row waits, as ever.)
    Nobody,
    /// Those that write.
    Writers,
    /// Those that read, too.
    Everybody,
}

impl Waits {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Waits::Nobody => "nobody",
            Waits::Writers => "writers",
            Waits::Everybody => "everybody",
        }
    }
}

/// A lock that a step takes on one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lock {
    /// Physical name.
    pub table: String,
    /// Mode.
    pub mode: LockMode,
}

/// What a step costs those who use the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// Locks on tables that clients use. (What nobody knows yet is not listed.)
    pub locks: Vec<Lock>,
    /// How much work.
    pub cost: Cost,
    /// Whether the statement can run in a transaction.
    pub transactional: bool,
}

/// One thing done to the database in one phase.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique and stable: `expand01.add_columns.users`.
    pub id: String,
    /// Number of its change.
    pub change: usize,
    /// Its phase.
    pub phase: Phase,
    /// Steps of one unit run in one transaction, in order and with nothing between them.
    pub unit: Option<String>,
    /// What is done.
    pub action: Action,
    /// The object, for people: `users.first_name`.
    pub object: String,
    /// Why it is there: one sentence, the comment of the script.
    pub why: String,
    /// Ids of steps that must have run before.
    pub requires: Vec<String>,
    /// What it locks and costs.
    pub footprint: Footprint,
}

impl Step {
    /// What it does, in words: `add columns`.
    pub fn kind(&self) -> String {
        self.id.split('.').nth(1).unwrap_or_default().replace('_', " ")
    }
}

/// An expression over the row of a physical table: the author's text with the places where names go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowExpr {
    /// As written.
    pub text: String,
    /// What stands where, by ascending start.
    pub splices: Vec<(Range<usize>, Splice)>,
    /// Whether there is a subquery.
    pub has_subquery: bool,
}

impl RowExpr {
    /// An expression that reads no column.
    pub fn plain(text: &str) -> Self {
        RowExpr { text: text.to_owned(), splices: Vec::new(), has_subquery: false }
    }
}

/// What takes the place of a part of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Splice {
    /// A column of the row, by its physical name.
    Column(String),
    /// A relation: schema and name.
    Relation(String, String),
    /// A type of the schema: schema and name.
    Type(String, String),
}

/// The default of a column that a trigger fills: any value in the rows of those who leave the column out and may, and NULL,
/// which is refused as ever, in the rows of those who may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// Physical table.
    pub table: String,
    /// Physical column.
    pub column: String,
    /// The default.
    pub default: RowExpr,
    /// The physical columns that it reads.
    pub reads: Vec<String>,
}

/// How a value follows from a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    /// It is that column.
    Column(String),
    /// It is that column, cast to the target's type.
    Cast(String),
    /// By a list of values of that column.
    Values {
        /// The column.
        column: String,
        /// Its type.
        ty: Type,
        /// Value, result.
        pairs: Vec<(Value, Value)>,
        /// What other values become.
        otherwise: FormulaOtherwise,
    },
    /// It is the label of that column, which has an enum of other labels or of another order: through text, with the labels
    /// that are called otherwise.
    Relabel {
        /// The column.
        column: String,
        /// Label, label of the target's type; those that differ.
        pairs: Vec<(String, String)>,
    },
    /// The next number of a counter (see [`Action::AddCounter`]).
    Next(String),
    /// As the author wrote it.
    Written(RowExpr),
}

impl Formula {
    /// The columns that it reads.
    pub fn columns(&self) -> Vec<&String> {
        match self {
            Formula::Column(column) | Formula::Cast(column) | Formula::Values { column, .. } | Formula::Relabel { column, .. } => {
                vec![column]
            }
            Formula::Next(_) => Vec::new(),
            Formula::Written(expr) => expr
                .splices
                .iter()
                .filter_map(|(_, splice)| match splice {
                    Splice::Column(column) => Some(column),
                    Splice::Relation(..) | Splice::Type(..) => None,
                })
                .collect(),
        }
    }
}

/// What values become that a mapping does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormulaOtherwise {
    /// There are none: the list is total.
    Nothing,
    /// This value.
    Value(Value),
    /// The write fails.
    Error,
}

/// A column as a statement makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Physical name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// NOT NULL.
    pub not_null: bool,
    /// Default.
    pub default: Option<RowExpr>,
    /// Generated: expression and whether stored.
    pub generated: Option<(RowExpr, bool)>,
    /// Identity.
    pub identity: Option<Identity>,
    /// Collation.
    pub collation: Option<String>,
    /// The labels of its enum, where an enum is text with a check.
    pub labels: Vec<String>,
    /// Comment.
    pub comment: Option<String>,
    /// Hidden from clients that name no columns.
    pub hidden: bool,
}

/// An index as a statement makes it, over physical columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// Name.
    pub name: String,
    /// The table's physical name.
    pub table: String,
    /// Keys.
    pub keys: Vec<IndexKeySpec>,
    /// Unique.
    pub unique: bool,
    /// NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// Method.
    pub method: String,
    /// Predicate.
    pub predicate: Option<RowExpr>,
    /// Covering columns.
    pub include: Vec<String>,
    /// Storage parameters.
    pub with: Vec<(String, String)>,
    /// Comment.
    pub comment: Option<String>,
}

impl IndexSpec {
    /// The index that a unique rule stands on.
    pub fn of_unique(name: &str, table: &str, columns: &[String], nulls_not_distinct: bool, include: &[String]) -> IndexSpec {
        let key = |column: &String| IndexKeySpec {
            target: KeyTarget::Column(column.clone()),
            descending: false,
            nulls: None,
            collation: None,
            opclass: None,
            length: None,
        };
        IndexSpec {
            name: name.to_owned(),
            table: table.to_owned(),
            keys: columns.iter().map(key).collect(),
            unique: true,
            nulls_not_distinct,
            method: "btree".to_owned(),
            predicate: None,
            include: include.to_vec(),
            with: Vec::new(),
            comment: None,
        }
    }
}

/// One key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKeySpec {
    /// A physical column, or an expression.
    pub target: KeyTarget,
    /// Descending.
    pub descending: bool,
    /// Where NULLs sort.
    pub nulls: Option<Nulls>,
    /// Collation.
    pub collation: Option<String>,
    /// Operator class.
    pub opclass: Option<String>,
    /// Prefix in characters.
    pub length: Option<u32>,
}

/// What an index key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTarget {
    /// A column.
    Column(String),
    /// An expression.
    Expression(RowExpr),
}

/// A table as a statement makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<ColumnSpec>,
    /// Primary key.
    pub primary_key: Option<PrimaryKey>,
    /// Unique constraints.
    pub uniques: Vec<Unique>,
    /// Checks: name and condition.
    pub checks: Vec<(String, RowExpr)>,
    /// Exclusion constraints, with their elements and predicate.
    pub exclusions: Vec<Exclusion>,
    /// Foreign keys, where they are part of the statement that makes the table; elsewhere they are steps of their own.
    pub foreign_keys: Vec<ForeignKey>,
    /// Indexes.
    pub indexes: Vec<IndexSpec>,
    /// Comment.
    pub comment: Option<String>,
}

/// A table that is written anew, where its rules can't be altered one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The table as it is, with the indexes that outlive the rebuild.
    pub before: TableSpec,
    /// The table as it will be, under the same name.
    pub after: TableSpec,
    /// For each column of `after` where its values come from.
    pub sources: Vec<Source>,
    /// The triggers that keep it in step, which go with the old table and are made anew.
    pub sync: Option<Sync>,
    /// The mirrors whose triggers go with it as well.
    pub mirrors: Vec<Mirror>,
    /// Whether abort takes it back, or another step of the plan does.
    pub undo: Undo,
}

/// Where the values of a rebuilt table's column come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From this column of the table as it was.
    Column(String),
    /// From an expression over the row as it was.
    Expression(RowExpr),
    /// From nowhere: NULL.
    Nothing,
    /// The server computes them.
    Generated,
}

/// Whether abort takes a step back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Yes.
    Own,
    /// An earlier step does, with its own.
    Elsewhere,
}

/// A column of a view over a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewColumn {
    /// Physical column.
    pub physical: String,
    /// Name in the view.
    pub name: String,
    /// Default of the view's column, where it is not the table's.
    pub default: ViewDefault,
}

/// Default of a view's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewDefault {
    /// The table's default holds.
    OfTable,
    /// This one.
    Expression(RowExpr),
    /// None, though the table has one. The type is needed to say so.
    None(Type),
}

/// A view that shows one version its shape of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeView {
    /// The view's schema.
    pub schema: String,
    /// The view's name.
    pub name: String,
    /// The table's physical name.
    pub table: String,
    /// Columns in order.
    pub columns: Vec<ViewColumn>,
    /// The inner view (in schema `crossfade`) whose marker default says who writes; `None` where nobody asks.
    pub marker_view: Option<String>,
    /// How a write through it becomes one of the table, where the server does not know by itself.
    pub writes: Option<ViewWrites>,
    /// Comment.
    pub comment: Option<String>,
}

/// How writes through a view become writes of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewWrites {
    /// The view's columns that name a row; all of them where there is no key.
    pub key: Vec<String>,
    /// The view's columns that the server computes.
    pub computed: Vec<String>,
    /// Defaults by the view's column: an INSERT that leaves it out is one that gives NULL.
    pub defaults: Vec<(String, RowExpr)>,
    /// Columns of the old shape that an INSERT writes too.
    pub old: Vec<SyncColumn>,
    /// Whether the marker column is set, so that the triggers know who wrote.
    pub marker: Marker,
}

/// A column that a lens writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncColumn {
    /// Physical name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// Its value from the other shape; `None`: the other shape says nothing of it.
    pub formula: Option<Formula>,
    /// Its declared value for rows that were there before, where that is not the formula.
    pub backfill: Option<Formula>,
    /// Whether the column has a default that is not NULL (what an INSERT that omits it writes).
    pub has_default: bool,
    /// That default, where it is a literal and tells which version wrote.
    pub default: Option<RowExpr>,
    /// Whether it is an identity column: an INSERT that omits it writes the next value.
    pub counts: bool,
}

impl SyncColumn {
    /// What rows that were there before get, if the other shape says anything of the column.
    pub fn of_backfill(&self) -> Option<&Formula> {
        self.backfill.as_ref().or(self.formula.as_ref())
    }
}

/// A lens over physical columns of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncLens {
    /// The old side.
    pub old: Vec<SyncColumn>,
    /// The new side.
    pub new: Vec<SyncColumn>,
    /// Physical columns outside the lens that formulas of the new side read.
    pub up_inputs: Vec<(String, Type)>,
    /// Physical columns outside the lens that formulas of the old side read.
    pub down_inputs: Vec<(String, Type)>,
    /// Who wins when both sides were given (shared access).
    pub on_conflict: OnConflict,
    /// Whether a derived value follows its inputs.
    pub follow: Follow,
}

impl SyncLens {
    /// Columns of the new side that follow from the old one, each with how.
    pub fn ups(&self) -> impl Iterator<Item = (&SyncColumn, &Formula)> {
        following(&self.new)
    }

    /// Columns of the old side that follow from the new one, each with how.
    pub fn downs(&self) -> impl Iterator<Item = (&SyncColumn, &Formula)> {
        following(&self.old)
    }

    /// Whether every value has an answer either way: each side is but the other one under its own names.
    pub fn is_total(&self) -> bool {
        self.ups().chain(self.downs()).all(|(_, formula)| matches!(formula, Formula::Column(_)))
    }
}

fn following(side: &[SyncColumn]) -> impl Iterator<Item = (&SyncColumn, &Formula)> {
    side.iter().filter_map(|column| column.formula.as_ref().map(|formula| (column, formula)))
}

/// Whether a derived value follows its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// As long as it is what the formula gives.
    Inputs,
    /// It is filled once.
    Never,
}

/// A column that becomes NOT NULL: its NULLs are filled as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillColumn {
    /// The column.
    pub column: String,
    /// Its type.
    pub ty: Type,
    /// What takes the place of NULL.
    pub formula: Formula,
}

/// What keeps the two shapes of one table in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// The table's physical name.
    pub table: String,
    /// Name of the trigger function (in schema `crossfade`), where the triggers share one.
    pub function: String,
    /// Name of the INSERT trigger.
    pub insert_trigger: String,
    /// Name of the UPDATE trigger.
    pub update_trigger: String,
    /// How an INSERT tells which version wrote.
    pub writer: Writer,
    /// The lenses.
    pub lenses: Vec<SyncLens>,
    /// The columns whose NULLs are filled.
    pub fills: Vec<FillColumn>,
    /// Old columns that lost NOT NULL only because a trigger fills them too late for it: the triggers refuse NULL instead.
    pub not_null: Vec<String>,
    /// Columns that compare by another collation than bytes: a change that it does not see is a change.
    pub collated: Vec<String>,
    /// Columns that come back to their own names in contract (see [`Action::ReturnColumns`]).
    pub returns: Vec<SyncReturn>,
}

/// A column of the new version that comes back to its own name while that version writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReturn {
    /// From the helper column (old side) to the column of the same kind under its own name (new side): they say the same.
    pub lens: SyncLens,
    /// The default that both have for a while: a column that holds it may not have been given. None: only NULL says so.
    pub default: Option<RowExpr>,
}

/// How far the columns of a table have come back, as the default of the marker says it: every row has it from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// The view still shows the helper columns; the others follow them.
    Followed,
    /// The view may show either.
    Either,
}

impl Returning {
    /// The default of the marker. No database is called so by chance.
    pub fn mark(self) -> &'static str {
        match self {
            Returning::Followed => "contract: 1",
            Returning::Either => "contract: 2",
        }
    }
}

/// How an INSERT tells which version wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The marker column: what the client came through.
    Marker,
    /// The new version wrote when it gave a column of the new side.
    NewSideGiven,
}

/// Filling the new shape of rows that were there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Name of the checkpoint.
    pub name: String,
    /// The table's physical name.
    pub table: String,
    /// Key columns (physical) in order, with their types. None: the rows are reached by ranges of pages, in passes that are
    /// repeated until none is left.
    pub key: Vec<(String, Type)>,
    /// Column, type, value.
    pub sets: Vec<(String, Type, Formula)>,
    /// Rows a batch.
    pub batch: u32,
}

/// Rows that stand in two tables while two versions run, and what keeps them alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The table that the old version knows; physical name.
    pub source: String,
    /// The table that only the new version knows.
    pub target: String,
    /// What makes a row of one table the image of a row of the other; at least one column.
    pub key: Vec<MirrorKey>,
    /// Which rows of the source have an image, over a row of the source; all when absent.
    pub predicate: Option<RowExpr>,
    /// Columns of the source that the predicate reads.
    pub predicate_columns: Vec<(String, Type)>,
    /// What follows from what. The old side of each lens are columns of the source, the new side columns of the target.
    pub lenses: Vec<SyncLens>,
    /// What becomes of the source.
    pub rest: SourceRest,
    /// Function of the source's triggers (in schema `crossfade`).
    pub to_target: String,
    /// Function of the target's triggers (in schema `crossfade`).
    pub to_source: String,
    /// Function of the trigger that keeps taken keys taken until the rows are copied (in schema `crossfade`).
    pub guard: String,
    /// Names of the triggers, the same on both tables.
    pub triggers: MirrorTriggers,
    /// Name of the copy's checkpoint, which tells whether the rows are copied.
    pub copy: String,
}

impl Mirror {
    /// The key's columns in the source.
    pub fn source_key(&self) -> Vec<String> {
        self.key.iter().map(|key| key.source.clone()).collect()
    }

    /// The key's columns in the target.
    pub fn target_key(&self) -> Vec<String> {
        self.key.iter().map(|key| key.target.clone()).collect()
    }
}

/// One column of the key that both tables have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorKey {
    /// In the source.
    pub source: String,
    /// In the target.
    pub target: String,
    /// The type of both.
    pub ty: Type,
}

/// What becomes of the table that rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceRest {
    /// It stays: a row of the target says something of a row of the source, which is there without it too. The columns that
    /// the target speaks of, with what they hold when it says nothing (`None`: NULL).
    Stays(Vec<(String, Type, Option<RowExpr>)>),
    /// Contract drops it: a row of the target is the row of the source.
    Goes,
}

/// Names of the triggers of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorTriggers {
    /// On INSERT.
    pub insert: String,
    /// On UPDATE.
    pub update: String,
    /// On DELETE.
    pub delete: String,
    /// On TRUNCATE.
    pub truncate: String,
    /// On the target alone, before INSERT and a change of the key.
    pub guard: String,
}

/// One of the two tables of a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorSide {
    /// Rows of the source whose image is missing or says something else.
    Source,
    /// Rows of the target that are no image.
    Target,
}

/// Copying the rows of a mirror that were there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRows {
    /// From where to where.
    pub mirror: Mirror,
    /// Rows a batch.
    pub batch: u32,
}

/// A copy of a table, with some columns of other types and perhaps its first primary key, that takes its name once it holds the same rows.
///
/// It could serve each other difference that a server makes only by copying the table under
/// a lock, as long as the new table holds what the old one held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// The table, by its final name.
    pub table: String,
    /// Its name before contract.
    pub before: String,
    /// The copy.
    pub twin: String,
    /// The table once it has given its name away.
    pub left: String,
    /// Name of the checkpoint.
    pub copy: String,
    /// The table's key, with the types that it has until the names are exchanged.
    pub key: Vec<(String, Type)>,
    /// All columns that are written.
    pub columns: Vec<(String, Type)>,
    /// Those that have another type in the copy, as they are there.
    pub restated: Vec<ColumnSpec>,
    /// The primary key that the copy has and the table never gets: its columns, and the unique indexes that go for it.
    pub first_key: Option<(Vec<String>, Vec<String>)>,
    /// Whether the server gives the rows numbers.
    pub counts: bool,
    /// The triggers on the table, for DELETE, UPDATE and INSERT: in this order they are made.
    pub triggers: [String; 3],
    /// Rows a batch.
    pub batch: u32,
}

/// A part of the way to a [`Twin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinStage {
    /// Makes sure that nothing is about the table which its copy would not have.
    Look,
    /// The empty copy, and the triggers that write into it.
    Make,
    /// The rows that were there before.
    Fill,
    /// Makes sure that both hold the same.
    Compare,
    /// The copy takes the name.
    Swap,
}

/// Rows that keep a phase from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The two sides of a lens disagree.
    Disagree(SyncLens),
    /// A row and its image in the other table disagree, or it has none.
    Unlike(Box<Mirror>, MirrorSide),
    /// NULL in a column that becomes NOT NULL.
    Null(String),
    /// The condition of a check is false.
    Check(String, RowExpr),
    /// A reference leads nowhere.
    Orphan(ForeignKeySpec),
    /// Several rows with one key.
    Duplicate {
        /// Name of the unique rule.
        name: String,
        /// Its columns and expressions.
        keys: Vec<KeyTarget>,
        /// Which rows it is over.
        predicate: Option<RowExpr>,
        /// NULLs count as equal.
        nulls_not_distinct: bool,
    },
}

/// Whether rows that were found stop the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFinding {
    /// A warning with the count and a sample.
    Report,
    /// The script stops.
    Refuse,
}

/// A foreign key over physical names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeySpec {
    /// Physical name of the referencing table.
    pub table: String,
    /// The key, with physical columns, table and referenced columns.
    pub key: ForeignKey,
}

/// Renaming of something that hangs on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// Name now.
    pub from: String,
    /// Name afterwards.
    pub to: String,
}

impl Rename {
    /// Renames in an order in which no name is taken when it is given: chains from their end, circles through a parked name.
    pub fn in_order(renames: impl IntoIterator<Item = (String, String)>, parked: impl Fn(&str) -> String) -> Vec<Rename> {
        let mut left: BTreeMap<String, String> = renames.into_iter().collect();
        let mut order = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let free: Vec<String> = left.iter().filter(|(_, to)| !left.contains_key(*to)).map(|(from, _)| from.clone()).collect();
            if free.is_empty() {
                if let Some((from, to)) = left.pop_first() {
                    let parked = parked(&from);
                    order.push(Rename { from, to: parked.clone() });
                    left.insert(parked, to);
                }
                continue;
            }
            for from in free {
                if let Some(to) = left.remove(&from) {
                    order.push(Rename { from, to });
                }
            }
        }
        order
    }
}

/// A view and what it shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantPair {
    /// The table or view that it shows, in the base schema.
    pub source: String,
    /// The view: schema and name.
    pub view: (String, String),
    /// Columns that have another name in the view: physical name, name in the view.
    pub renamed: Vec<(String, String)>,
}

/// The two sides of a lens as far as rights on single columns go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantLens {
    /// Physical table.
    pub table: String,
    /// Physical columns of the new side.
    pub new: Vec<String>,
    /// Physical columns of the old side; at least one.
    pub old: Vec<String>,
}

/// What is done in a step. The order of the kinds is the order in which independent steps run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes sure that no rows of that kind are there (before anything is changed), or reports them.
    CheckRows {
        /// Physical table.
        table: String,
        /// Physical columns that name a row in a message; none: nothing does.
        key: Vec<String>,
        /// Which rows.
        finding: Finding,
        /// What then.
        on_finding: OnFinding,
        /// The swap after which it is settled, where the catalog can't tell: the old rule of that name stands until then.
        until: Option<String>,
    },
    /// `create extension`.
    CreateExtension(String),
    /// `create type … as enum`.
    CreateEnum(EnumType),
    /// Adds a label in its place.
    AddEnumValue {
        /// The enum.
        name: String,
        /// The label.
        label: String,
        /// The label that it comes after, or (none) the label that it comes before.
        after: Option<String>,
        /// The label that it comes before, when it comes first.
        before: Option<String>,
    },
    /// `create sequence`.
    CreateSequence(Sequence),
    /// `create table`, with its indexes.
    CreateTable(Box<TableSpec>),
    /// Writes a table anew with all that a phase changes of it.
    RebuildTable(Box<Rebuild>),
    /// Alters what is NOT NULL and what is checked in a table, where that is all that differs.
    AlterRules(Box<Rebuild>),
    /// Drops NOT NULL.
    DropNotNull {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
    },
    /// Widens a type without touching the rows.
    AlterType {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// The new type.
        ty: Type,
        /// The old type (for the way back).
        old: Type,
        /// Checks that read the column: they would be scanned under the lock, so they are taken off and put back NOT VALID.
        checks: Vec<(String, RowExpr)>,
    },
    /// Adds columns.
    AddColumns {
        /// Physical table.
        table: String,
        /// The columns.
        columns: Vec<ColumnSpec>,
        /// Whether the marker column is added too.
        marker: Marker,
    },
    /// Function and triggers that keep two shapes in step.
    InstallSync(Box<Sync>),
    /// A function that draws numbers from the sequence of another table's column, for who may not use that sequence itself.
    ShareNumbers {
        /// The function (in schema `crossfade`).
        function: String,
        /// The table whose sequence it is; physical name.
        table: String,
        /// The column whose sequence it is.
        column: String,
    },
    /// Functions and triggers that keep the rows of two tables alike.
    InstallMirror(Box<Mirror>),
    /// Copies rows that were there before into the other table.
    CopyRows(Box<CopyRows>),
    /// Drops triggers and functions of a mirror.
    RemoveMirror(Box<Mirror>),
    /// A part of the way to another type that only a copy of the table gives.
    Twin(TwinStage, Box<Twin>),
    /// Gives a column without a default one.
    SetDefault {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// Since when the column is there.
        origin: Origin,
        /// Default afterwards.
        default: RowExpr,
    },
    /// Gives a column that is NOT NULL and that a trigger fills a default, where the server wants one before any trigger has run.
    StandIn(StandIn),
    /// Makes a sequence that counts for a new column until that is an identity column, which takes no NULL.
    AddCounter {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// The column's type.
        ty: Type,
        /// Name of the sequence (in schema `crossfade`).
        counter: String,
    },
    /// Makes the namespace of the new version.
    CreateNamespace {
        /// The schema.
        schema: String,
    },
    /// A view that shows the new version its shape of a table.
    CreateShapeView(ShapeView),
    /// Makes views of the new version's own.
    CreateView(ViewSpec),
    /// Puts a view in the place of one whose columns it extends.
    ReplaceView {
        /// The new one.
        new: ViewSpec,
        /// The old one (for the way back).
        old: ViewSpec,
    },
    /// Gives views the grants of the tables that they show, and the new columns of lenses those of the old ones.
    CopyGrants {
        /// The namespace whose use is granted as well, if the views stand in one of their own.
        schema: Option<String>,
        /// The views and what they show. A marker view is listed as a view too.
        pairs: Vec<GrantPair>,
        /// The lenses whose new columns may be used by those who may use all of the old ones.
        lenses: Vec<GrantLens>,
    },
    /// Fills rows that were there before.
    Backfill(Box<Backfill>),
    /// Statistics of new columns.
    Analyze {
        /// Physical table.
        table: String,
        /// Physical columns.
        columns: Vec<String>,
    },
    /// Builds an index without blocking writers.
    CreateIndex(IndexSpec),
    /// Makes a unique constraint of a unique index.
    AttachUnique {
        /// Physical table.
        table: String,
        /// The constraint and its index.
        unique: Unique,
    },
    /// Makes the primary key of a unique index over columns that are NOT NULL.
    AddPrimaryKey {
        /// Physical table.
        table: String,
        /// Name of the constraint; the index takes it.
        name: String,
        /// The index.
        index: String,
    },
    /// Makes a column an identity column that counts on where something else stopped.
    AddIdentity {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// Which kind.
        identity: Identity,
        /// What has counted until now.
        from: SequenceFrom,
        /// Whether the highest number of the rows counts too.
        highest: Highest,
    },
    /// Makes an identity column a plain one.
    DropIdentity {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// The sequence of the snapshot that counts on where it stopped, if one does.
        sequence: Option<String>,
        /// Whether the highest number of the rows counts too.
        highest: Highest,
    },
    /// Takes the sequence of an identity column behind the numbers that the rows have, never back.
    AdvanceIdentity {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// How the highest number is found.
        highest: Highest,
    },
    /// Adds a check that binds new writes at once; the rows that are there are not read.
    AddCheck {
        /// Physical table.
        table: String,
        /// Name.
        name: String,
        /// Condition.
        condition: RowExpr,
        /// The swap in which it gets its name, where it is built under an interim one beside the old rule of that name.
        until: Option<String>,
    },
    /// Adds `column is not null` as such a check, the proof that SET NOT NULL needs.
    AddNotNullCheck {
        /// Physical table.
        table: String,
        /// Name of the check.
        name: String,
        /// Physical column.
        column: String,
    },
    /// Adds a foreign key that binds new writes at once.
    AddForeignKey {
        /// The key.
        spec: ForeignKeySpec,
        /// The swap in which it gets its name, where it is built under an interim one beside the old key of that name.
        until: Option<String>,
    },
    /// Adds a foreign key in the swap in which the key that it stood on goes.
    RestoreForeignKey(ForeignKeySpec),
    /// Changes when a foreign key is checked: only the catalog is written.
    AlterForeignKey {
        /// The key as it was.
        old: ForeignKeySpec,
        /// Deferrable, initially deferred.
        new: (bool, bool),
    },
    /// Proves a constraint for the rows that are there.
    ValidateConstraint {
        /// Physical table.
        table: String,
        /// Name.
        name: String,
        /// The table that it refers to, if it is a foreign key.
        references: Option<String>,
    },
    /// SET NOT NULL, proved by a valid check, which goes in the same breath.
    SetNotNull {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// The check.
        check: String,
    },
    /// States a column anew, with one thing about it changed: NULL, type, comment, or whether it is hidden.
    RestateColumn {
        /// Columns that the same statement lets take NULL, without a default.
        loosened: Vec<ColumnSpec>,
        /// Physical table.
        table: String,
        /// The column as it is (for the way back).
        old: Box<ColumnSpec>,
        /// The column as it becomes.
        new: Box<ColumnSpec>,
    },
    /// Drops an index.
    DropIndex {
        /// What it is, for the way back.
        index: IndexSpec,
        /// Without blocking writers, or in a transaction that blocks them anyway.
        concurrently: Concurrently,
    },
    /// Drops a constraint.
    DropConstraint {
        /// Physical table.
        table: String,
        /// What it is, for the way back.
        constraint: ConstraintSpec,
    },
    /// Drops the namespace of the old version with its views.
    DropNamespace {
        /// The schema.
        schema: String,
        /// All its views.
        views: Vec<String>,
    },
    /// Drops views, all in one statement.
    DropViews {
        /// Schema and name.
        views: Vec<(String, String)>,
        /// Whether they are materialized.
        materialized: Materialized,
    },
    /// Puts a view of the namespace straight onto its table.
    SettleShapeView(ShapeView),
    /// Drops old columns, and adds new ones under the same names for what the new version has had under helper names: all in
    /// one statement, from which on the triggers carry over. (Where no column can be renamed under a view.)
    ReturnColumns {
        /// Physical table.
        table: String,
        /// The old columns.
        drops: Vec<String>,
        /// Those of them that the server computes.
        computed: Vec<String>,
        /// Those of them that it stores.
        stored: Vec<String>,
        /// The columns that come, without default and NOT NULL.
        columns: Vec<ColumnSpec>,
        /// Whether the table has a marker, and so triggers.
        marker: Marker,
    },
    /// Lets the triggers take what is written into either of a pair of columns, once the two say the same of every row.
    TakeEither {
        /// Physical table.
        table: String,
        /// Physical columns that name a row in a message.
        key: Vec<String>,
        /// The pairs.
        lenses: Vec<SyncLens>,
    },
    /// Lets the primary key go over from helper columns to those that have come back to their names.
    ReturnPrimaryKey {
        /// Physical table.
        table: String,
        /// The columns of the key by now.
        from: Vec<String>,
        /// Its columns from then on.
        to: Vec<String>,
    },
    /// Adds a foreign key to a column that has just come back, before its rows are filled. They are looked at behind that.
    ReturnForeignKey(ForeignKeySpec),
    /// Drops triggers and function.
    RemoveSync(Box<Sync>),
    /// Drops and renames columns: the old shape goes, the new one takes its names.
    SwapColumns {
        /// Physical table.
        table: String,
        /// Columns to drop.
        drops: Vec<String>,
        /// Those of them that the server computes.
        computed: Vec<String>,
        /// Columns to rename, in an order that never collides.
        renames: Vec<Rename>,
    },
    /// Renames a materialized view.
    RenameView(Rename),
    /// Renames a table.
    RenameTable {
        /// Name now.
        from: String,
        /// Name afterwards.
        to: String,
        /// The view that changes places in the same statement, where a view does not follow by itself: the one that has the
        /// name until now, or the one of the namespace, as it is from then on.
        view: Option<ShapeView>,
    },
    /// Renames a constraint.
    RenameConstraint {
        /// The table's name at that time.
        table: String,
        /// Names.
        rename: Rename,
    },
    /// Renames an index.
    RenameIndex(Rename),
    /// Gives names by convention (identity sequences, NOT NULL constraints of PostgreSQL 18) to what a rename left behind.
    TidyNames {
        /// The table's final name.
        table: String,
    },
    /// Sets defaults that the views had until now.
    SettleDefaults {
        /// The table's final name.
        table: String,
        /// Final column and default.
        defaults: Vec<(String, Option<RowExpr>)>,
        /// The view whose column defaults go: schema, name, columns.
        view: Option<(String, String, Vec<String>)>,
    },
    /// Drops a table; its foreign keys have gone before.
    DropTable {
        /// Name.
        table: String,
    },
    /// Drops a sequence.
    DropSequence(String),
    /// Changes what a sequence counts; where it stands is left alone.
    AlterSequence {
        /// Options before (for the way back).
        old: Sequence,
        /// Options afterwards.
        new: Sequence,
    },
    /// Changes whether an identity column takes values that are given.
    AlterIdentity {
        /// Physical table.
        table: String,
        /// Physical column.
        column: String,
        /// Before (for the way back).
        old: Identity,
        /// Afterwards.
        new: Identity,
    },
    /// Drops an enum.
    DropEnum(String),
    /// Renames a type.
    RenameType(Rename),
    /// Drops an extension.
    DropExtension(String),
    /// Sets comments.
    Comment {
        /// What on.
        target: CommentTarget,
        /// Comment before (for the way back).
        old: Option<String>,
        /// Comment afterwards.
        new: Option<String>,
    },
}

/// What counted for a column before it was an identity column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SequenceFrom {
    /// The identity of another physical column of the table.
    Column(String),
    /// A sequence of the snapshot, by the column's default.
    Sequence(String),
    /// A counter of crossfade's own, by the column's default.
    Counter(String),
    /// The identity of a column of another table, through a function of crossfade's own, by the column's default.
    Lent {
        /// The other table; physical name.
        table: String,
        /// Its column.
        column: String,
        /// The function (in schema `crossfade`).
        function: String,
    },
    /// Nothing: who wrote gave the number.
    Given,
}

/// How the highest number of a column is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Highest {
    /// At the end of an index, at once: nobody writes meanwhile.
    ByIndex,
    /// By reading all rows, beside those who write.
    ByScan,
    /// It is not looked for.
    Unknown,
}

/// Whether a statement works beside writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrently {
    /// Yes; it can't run in a transaction.
    Yes,
    /// No: in a transaction, under its lock.
    No,
}

/// Whether the marker column is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Yes.
    With,
    /// No.
    Without,
}

/// Whether a view's rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Materialized {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// A constraint, for the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintSpec {
    /// A check.
    Check(String, RowExpr),
    /// A unique constraint.
    Unique(Unique),
    /// The primary key.
    PrimaryKey(PrimaryKey),
    /// A foreign key.
    ForeignKey(ForeignKeySpec),
    /// An exclusion constraint.
    Exclusion(Exclusion),
}

impl ConstraintSpec {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            ConstraintSpec::Check(name, _) => name,
            ConstraintSpec::Unique(unique) => &unique.name.text,
            ConstraintSpec::PrimaryKey(key) => &key.name.text,
            ConstraintSpec::ForeignKey(spec) => &spec.key.name.text,
            ConstraintSpec::Exclusion(exclusion) => &exclusion.name.text,
        }
    }
}

/// What a comment is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommentTarget {
    /// A table.
    Table(String),
    /// A column: table, column.
    Column(String, String),
    /// A view.
    View(String),
    /// An enum.
    Enum(String),
    /// An index.
    Index(String),
    /// A sequence.
    Sequence(String),
}

/// A view of a snapshot as a statement makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSpec {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Query, with its relations spliced.
    pub query: RowExpr,
    /// Whether its rows are stored.
    pub materialized: Materialized,
    /// Comment.
    pub comment: Option<String>,
}

/// Since when a column is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is the old version's too.
    Old,
    /// Expand adds it, and abort takes it away with all that it has.
    Added,
}

/// What a reviewer must know about a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// Stable code.
    pub code: &'static str,
    /// Error-level hazards stop compile until they are acknowledged.
    pub level: Level,
    /// The object: `users.full_name`.
    pub object: String,
    /// What happens to whom.
    pub message: String,
    /// Where the object is written.
    pub span: Span,
}

impl KeyTarget {
    /// Columns, in their order.
    pub fn columns(names: &[String]) -> Vec<KeyTarget> {
        names.iter().cloned().map(KeyTarget::Column).collect()
    }
}

impl Hazard {
    /// A hazard.
    pub fn new(code: &'static str, level: Level, object: impl Into<String>, message: impl Into<String>, span: Span) -> Self {
        Hazard { code, level, object: object.into(), message: message.into(), span }
    }

    /// Whether it is about a table, or something of that table.
    pub fn is_of(&self, table: &str) -> bool {
        let object = self.object.strip_prefix("table ").unwrap_or(&self.object);
        object.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
