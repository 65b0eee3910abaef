//! The schema that a snapshot describes, resolved for one dialect: every type mapped, every expression chosen, every inline
//! constraint lifted into its list, every name given.
//!
//! Invariant: a value of [`Schema`] that came with no error-level diagnostic is consistent: each reference resolves, each
//! name is unique after folding, each expression parses.

use indexmap::IndexMap;

use crate::diagnostic::Span;

/// An SQL expression or query as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// The text, exactly as written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// One schema at one version, for one dialect. The maps keep the order of the file, which carries no meaning but for columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Name of the snapshot (`version:`). Empty for the empty schema.
    pub version: String,
    /// Name of the revisions (`release:`, by default the version).
    pub release: String,
    /// Where the version is written.
    pub version_span: Span,
    /// Enumerated types.
    pub enums: IndexMap<String, EnumType>,
    /// Sequences that stand alone.
    pub sequences: IndexMap<String, Sequence>,
    /// Tables.
    pub tables: IndexMap<String, Table>,
    /// Views.
    pub views: IndexMap<String, View>,
    /// Extensions (PostgreSQL).
    pub extensions: IndexMap<String, Extension>,
    /// The hints for the step from the snapshot before; ignored on the old side of a diff.
    pub transition: Option<Transition>,
}

/// An enumerated type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumType {
    /// Its name.
    pub name: String,
    /// Its labels in order.
    pub labels: Vec<String>,
    /// Comment, if any.
    pub comment: Option<String>,
    /// Where its name is written.
    pub span: Span,
}

/// A sequence that stands alone. Options that were not given are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its name.
    pub name: String,
    /// First value.
    pub start: Option<i64>,
    /// Step.
    pub increment: Option<i64>,
    /// Smallest value.
    pub min_value: Option<i64>,
    /// Largest value.
    pub max_value: Option<i64>,
    /// Values cached by a session.
    pub cache: Option<i64>,
    /// Whether it starts again at its end.
    pub cycle: bool,
    /// Comment, if any.
    pub comment: Option<String>,
    /// Where its name is written.
    pub span: Span,
}

/// An extension (PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub span: Span,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its query.
    pub query: Expr,
    /// Whether its rows are stored.
    pub materialized: bool,
    /// Comment, if any.
    pub comment: Option<String>,
    /// Where its name is written.
    pub span: Span,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Comment, if any.
    pub comment: Option<String>,
    /// Columns in the table's order.
    pub columns: IndexMap<String, Column>,
    /// Primary key.
    pub primary_key: Option<PrimaryKey>,
    /// Unique constraints, lifted ones included.
    pub uniques: Vec<Unique>,
    /// Foreign keys, lifted ones included.
    pub foreign_keys: Vec<ForeignKey>,
    /// Checks, lifted ones included.
    pub checks: Vec<Check>,
    /// Exclusion constraints (PostgreSQL).
    pub exclusions: Vec<Exclusion>,
    /// Indexes.
    pub indexes: Vec<Index>,
    /// Where its name is written.
    pub span: Span,
}

impl Table {
    /// A table that has a name and nothing else.
    pub fn empty(name: &str, span: Span) -> Self {
        Table {
            name: name.to_owned(),
            comment: None,
            columns: IndexMap::new(),
            primary_key: None,
            uniques: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            exclusions: Vec::new(),
            indexes: Vec::new(),
            span,
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether NULL is refused; true for every column of the primary key.
    pub not_null: bool,
    /// Default, as an SQL expression.
    pub default: Option<Expr>,
    /// Expression of a generated column.
    pub generated: Option<Generated>,
    /// Identity.
    pub identity: Option<Identity>,
    /// Collation.
    pub collation: Option<String>,
    /// Comment, if any.
    pub comment: Option<String>,
    /// Where its name is written.
    pub span: Span,
}

/// A generated column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its expression over the row.
    pub expression: Expr,
    /// Stored on disk, or computed as it is read.
    pub stored: bool,
}

/// How an identity column treats values that a statement gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// `generated always as identity`: given values are refused.
    Always,
    /// `generated by default as identity`: given values are taken.
    ByDefault,
}

/// A type. Two types are equal exactly when they mean the same (`int4` and `integer` read as one value).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Type {
    /// The type, or its element type when `array_dimensions` is above 0.
    pub kind: TypeKind,
    /// 0 for a plain type, 1 for `T[]` …
    pub array_dimensions: u8,
}

/// The portable types, an enum of the schema, or a dialect's own spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// 16 bit.
    SmallInt,
    /// 32 bit.
    Integer,
    /// 64 bit.
    BigInt,
    /// Exact; precision and scale in digits.
    Numeric {
        /// All digits.
        precision: Option<u32>,
        /// Digits after the point.
        scale: Option<i32>,
    },
    /// 32 bit floating.
    Real,
    /// 64 bit floating.
    Double,
    /// Truth value.
    Boolean,
    /// Padded text; length in characters (`char` alone is 1).
    Char(u32),
    /// Text with an optional limit in characters.
    Varchar(Option<u32>),
    /// Text.
    Text,
    /// Bytes.
    Bytea,
    /// Day.
    Date,
    /// Time of day.
    Time {
        /// Digits of the second's fraction.
        precision: Option<u32>,
        /// With an offset.
        zone: bool,
    },
    /// Day and time.
    Timestamp {
        /// Digits of the second's fraction.
        precision: Option<u32>,
        /// A point in time (`timestamptz`) or a reading of a clock.
        zone: bool,
    },
    /// Span of time.
    Interval,
    /// UUID.
    Uuid,
    /// JSON as text.
    Json,
    /// JSON, decomposed.
    Jsonb,
    /// An enum of the schema, by name.
    Enum(String),
    /// The dialect's own spelling, in canonical white space and case.
    Native(String),
}

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryKey {
    /// Name, given or by convention.
    pub name: Name,
    /// Columns in order.
    pub columns: Vec<String>,
}

/// The name of a constraint or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Whether the dialect's convention gave it (the author wrote none).
    pub conventional: bool,
    /// Where the object is written.
    pub span: Span,
}

/// A unique constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// Name.
    pub name: Name,
    /// Columns in order.
    pub columns: Vec<String>,
    /// Covering columns.
    pub include: Vec<String>,
    /// NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// May be checked late.
    pub deferrable: bool,
    /// Is checked late by default.
    pub initially_deferred: bool,
}

/// What happens to a referencing row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferentialAction {
    /// `no action`.
    NoAction,
    /// `restrict`.
    Restrict,
    /// `cascade`.
    Cascade,
    /// `set null`, of the named columns or (none named) of all.
    SetNull(Vec<String>),
    /// `set default`, of the named columns or (none named) of all.
    SetDefault(Vec<String>),
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Name.
    pub name: Name,
    /// Referencing columns in order.
    pub columns: Vec<String>,
    /// Referenced table.
    pub ref_table: String,
    /// Referenced columns in order (the primary key's when none were written).
    pub ref_columns: Vec<String>,
    /// On delete.
    pub on_delete: ReferentialAction,
    /// On update.
    pub on_update: ReferentialAction,
    /// May be checked late.
    pub deferrable: bool,
    /// Is checked late by default.
    pub initially_deferred: bool,
    /// `match full`.
    pub match_full: bool,
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Name.
    pub name: Name,
    /// Its condition over the row.
    pub expression: Expr,
}

/// An exclusion constraint (PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// Name.
    pub name: Name,
    /// Index method, by default `gist`.
    pub method: String,
    /// Its elements: `room with =, during with &&`.
    pub elements: Expr,
    /// Only rows that satisfy this.
    pub predicate: Option<Expr>,
    /// May be checked late.
    pub deferrable: bool,
    /// Is checked late by default.
    pub initially_deferred: bool,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Name.
    pub name: Name,
    /// Its keys in order.
    pub keys: Vec<IndexKey>,
    /// Whether equal keys are refused.
    pub unique: bool,
    /// NULLs count as equal.
    pub nulls_not_distinct: bool,
    /// Method, in lower case (`btree` when none was written).
    pub method: String,
    /// Only rows that satisfy this.
    pub predicate: Option<Expr>,
    /// Covering columns.
    pub include: Vec<String>,
    /// Storage parameters in order of their names.
    pub with: Vec<(String, String)>,
    /// Comment, if any.
    pub comment: Option<String>,
}

impl Index {
    /// A plain index over columns.
    pub fn of_columns(name: Name, columns: Vec<String>) -> Self {
        let key = |column: String| IndexKey {
            target: IndexTarget::Column(column),
            descending: false,
            nulls: None,
            collation: None,
            opclass: None,
            length: None,
        };
        Self {
            name,
            keys: columns.into_iter().map(key).collect(),
            unique: false,
            nulls_not_distinct: false,
            method: "btree".to_owned(),
            predicate: None,
            include: Vec::new(),
            with: Vec::new(),
            comment: None,
        }
    }
}

/// One key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// A column's name, or an expression.
    pub target: IndexTarget,
    /// Descending.
    pub descending: bool,
    /// `nulls first` or `nulls last`, when written.
    pub nulls: Option<Nulls>,
    /// Collation.
    pub collation: Option<String>,
    /// Operator class.
    pub opclass: Option<String>,
    /// Prefix in characters (MySQL and MariaDB; `None` on the others).
    pub length: Option<u32>,
}

/// What an index key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexTarget {
    /// A column.
    Column(String),
    /// An expression over the row.
    Expression(Expr),
}

/// Where NULLs sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

/// How the two versions reach their shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// One namespace.
    Shared,
    /// A namespace of views each.
    Versioned,
}

impl Access {
    /// As a snapshot says it.
    pub fn name(self) -> &'static str {
        match self {
            Access::Shared => "shared",
            Access::Versioned => "versioned",
        }
    }
}

/// From when a tightened rule binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforce {
    /// From the end of migrate.
    Migrate,
    /// From contract.
    Contract,
}

/// Who wins when one statement writes both sides of a lens and they disagree (shared access).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The new side.
    #[default]
    New,
    /// The old side.
    Old,
    /// The statement fails.
    Error,
}

/// The hints of the step from the snapshot before (the block `transition`), for one dialect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transition {
    /// Version of the old snapshot.
    pub from: Option<String>,
    /// Where `from` is written.
    pub from_span: Span,
    /// Access for this dialect, if the block says so.
    pub access: Option<Access>,
    /// Hints by table: the name in the new snapshot, or in the old one for a table that is dropped.
    pub tables: IndexMap<String, TableHints>,
    /// Hints by enum.
    pub enums: IndexMap<String, EnumHints>,
    /// Hazards that the author acknowledges.
    pub allow: Vec<(String, Span)>,
    /// Where the block stands.
    pub span: Span,
}

/// A name that something had before, or the statement that it had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedFrom {
    /// The old name; `None` (`renamed_from: null`) says that it is new, whatever it looks like.
    pub name: Option<String>,
    /// Where it is written.
    pub span: Span,
}

/// Hints for one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableHints {
    /// Its name before.
    pub renamed_from: Option<RenamedFrom>,
    /// Hints by column: the new name, or the old one for a column that is dropped.
    pub columns: IndexMap<String, ColumnHints>,
    /// The old table whose rows come here.
    pub from: Option<TableSource>,
    /// New key column → expression over the old row.
    pub key: IndexMap<String, Expr>,
    /// Where the table's name is written in the block.
    pub span: Span,
}

/// `from:` of a new table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSource {
    /// The old table.
    pub table: String,
    /// Which of its rows; all when absent.
    pub predicate: Option<Expr>,
    /// Where it is written.
    pub span: Span,
}

/// Hints for one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnHints {
    /// Its name before.
    pub renamed_from: Option<RenamedFrom>,
    /// Its value in the new shape, over the old row.
    pub up: Option<Expr>,
    /// Its value in the old shape, over the new row.
    pub down: Option<Expr>,
    /// Its value for rows that nobody has written since expand, when that is meant to differ from `up`.
    pub backfill: Option<Expr>,
    /// A value mapping, both ways.
    pub values: Option<ValueMap>,
    /// A declared loss.
    pub lossy: bool,
    /// Whether a derived column follows its inputs (`follow: false`: filled once). `None`: not written, so it does.
    pub follow: Option<bool>,
    /// From when a tightened rule binds.
    pub enforce: Option<Enforce>,
    /// Who wins when both sides are given.
    pub on_conflict: OnConflict,
    /// Where the column's name is written in the block.
    pub span: Span,
}

/// A mapping of values, both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueMap {
    /// Old value and new value in the order written; of several old values for one new value the first is the way back.
    pub pairs: Vec<ValuePair>,
    /// What becomes of values that are not listed.
    pub otherwise: Option<Otherwise>,
    /// Where it stands.
    pub span: Span,
}

/// One entry of a [`ValueMap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePair {
    /// Value in the old shape.
    pub old: Value,
    /// Value in the new shape.
    pub new: Value,
    /// Where the entry stands.
    pub span: Span,
}

/// A scalar of the format, as SQL sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, exactly as written.
    Number(String),
    /// Text.
    Text(String),
}

/// `else` of a [`ValueMap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// This value.
    Value(Value),
    /// The write fails.
    Error,
}

/// Hints for one enum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnumHints {
    /// Its name before.
    pub renamed_from: Option<RenamedFrom>,
    /// New label → its name before.
    pub values: IndexMap<String, RenamedFrom>,
    /// Where the enum's name is written in the block.
    pub span: Span,
}
