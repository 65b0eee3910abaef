//! JSON Schemas of the file formats, for editors: they complete keys, show what a key means and underline what can't stand.
//!
//! The types below are never built: they describe what may be written, key by key, and their comments are what an editor
//! shows. What a schema can't say (that a name exists, that SQL can be read) is for [`super::read`] to check.

#![allow(dead_code, reason = "the types describe the format and are never built")]

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

/// The JSON Schema of a snapshot file.
pub fn snapshot() -> Schema {
    schema::<Snapshot>()
}

/// The JSON Schema of `crossfade.yaml`.
pub fn settings() -> Schema {
    schema::<Settings>()
}

/// Draft 7 is what editors know best.
fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>()
}

/// A snapshot of a schema, or a part of one in a directory of files.
#[derive(JsonSchema)]
#[schemars(title = "crossfade snapshot", deny_unknown_fields)]
struct Snapshot {
    /// Names the snapshot; connections and namespaces carry it. One file of a directory has it, or all have the same.
    version: Option<Version>,
    /// Names the revisions (`pike_expand01`). By default the version.
    release: Option<Version>,
    /// Enumerated types by name: types on PostgreSQL, `enum(…)` on MySQL and MariaDB, text with a check on SQLite.
    enums: Option<BTreeMap<String, Enum>>,
    /// Sequences that stand alone, by name.
    sequences: Option<BTreeMap<String, Option<Sequence>>>,
    /// Extensions that the schema needs (PostgreSQL).
    extensions: Option<Vec<Scalar>>,
    /// Tables by name.
    tables: Option<BTreeMap<String, Table>>,
    /// Views by name.
    views: Option<BTreeMap<String, View>>,
    /// What this snapshot and the one before can't say alone. Ignored when this snapshot is the old side.
    transition: Option<Transition>,
}

/// A lower-case letter, then up to 29 of a-z, 0-9 and `_`.
#[derive(JsonSchema)]
struct Version(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,29}$"))] String);

/// A text, number or boolean: where a name or a value is wanted, all are taken as they are written.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// One value for all dialects, or a map by dialect. `mariadb` falls back to `mysql`, and all fall back to `default`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Choice<T> {
    All(T),
    ByDialect(ByDialect<T>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ByDialect<T> {
    /// On PostgreSQL.
    postgres: Option<T>,
    /// On MySQL, and on MariaDB where that has no entry.
    mysql: Option<T>,
    /// On MariaDB.
    mariadb: Option<T>,
    /// On SQLite.
    sqlite: Option<T>,
    /// On all the others.
    default: Option<T>,
}

/// An SQL expression or query; the empty text is written `"''"`. One for all dialects, or a map by dialect.
#[derive(JsonSchema)]
struct Sql(Choice<Scalar>);

/// A database product.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Dialect {
    Postgres,
    Mysql,
    Mariadb,
    Sqlite,
}

/// Its values in order, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Enum {
    Values(Vec<Scalar>),
    Long(LongEnum),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongEnum {
    /// Its values in order.
    values: Vec<Scalar>,
    /// What it is for.
    comment: Option<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// A sequence that stands alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Sequence {
    /// The first value.
    start: Option<i64>,
    /// The step from one value to the next.
    increment: Option<i64>,
    /// The smallest value.
    min_value: Option<i64>,
    /// The largest value.
    max_value: Option<i64>,
    /// How many values a session takes at once.
    cache: Option<i64>,
    /// Whether it starts again at its end.
    cycle: Option<bool>,
    /// What it is for.
    comment: Option<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// A table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Table {
    /// What it holds.
    comment: Option<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
    /// Columns by name; their order is the table's.
    columns: BTreeMap<String, Column>,
    /// The primary key: a list of columns, or a map with `name` and `columns`.
    primary_key: Option<PrimaryKey>,
    /// Unique constraints.
    unique: Option<Vec<Unique>>,
    /// Foreign keys.
    foreign_keys: Option<Vec<ForeignKey>>,
    /// Checks.
    checks: Option<Vec<Check>>,
    /// Exclusion constraints (PostgreSQL).
    exclusions: Option<Vec<Exclusion>>,
    /// Indexes.
    indexes: Option<Vec<Index>>,
}

/// The short form is an SQL column definition (`varchar(320) not null unique`); the long form says the same by key, and more.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Column {
    Short(String),
    Long(Box<LongColumn>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongColumn {
    /// The type: a portable name (`bigint`, `varchar(320)`, `timestamptz`), an enum, `T[]`, or a dialect's own spelling.
    #[schemars(rename = "type")]
    ty: Choice<String>,
    /// Whether NULL is refused. A column is nullable unless this or the primary key says otherwise.
    not_null: Option<bool>,
    /// The default, an SQL expression; numbers and booleans may stand bare.
    default: Option<Sql>,
    /// A column that the database computes.
    generated: Option<Generated>,
    /// A number that the database counts up: `always`, or `by_default` of a statement that gives none.
    identity: Option<Identity>,
    /// Whether it is the primary key alone.
    primary_key: Option<bool>,
    /// Whether its values are unique.
    unique: Option<bool>,
    /// The row that it refers to: `teams(id) on delete cascade`, or a map.
    references: Option<Reference>,
    /// A condition on its values.
    check: Option<Sql>,
    /// The collation.
    collation: Option<Choice<String>>,
    /// What it holds.
    comment: Option<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Generated {
    /// Its value, over the other columns of the row.
    expression: Sql,
    /// Whether it is stored rather than computed as it is read.
    stored: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Identity {
    Always,
    ByDefault,
}

/// A list of columns, or a map with `name` and `columns`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum PrimaryKey {
    Columns(#[schemars(length(min = 1))] Vec<Scalar>),
    Named(NamedKey),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NamedKey {
    /// Its name, by default `<table>_pkey`.
    name: Option<Scalar>,
    /// Its columns.
    #[schemars(length(min = 1))]
    columns: Vec<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// A list of columns, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Unique {
    Columns(#[schemars(length(min = 1))] Vec<Scalar>),
    Long(LongUnique),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongUnique {
    /// Its name, by default `<table>_<columns>_key`.
    name: Option<Scalar>,
    /// Its columns.
    #[schemars(length(min = 1))]
    columns: Vec<Scalar>,
    /// Whether it may be checked at commit.
    deferrable: Option<bool>,
    /// Whether it is checked at commit unless a transaction says otherwise.
    initially_deferred: Option<bool>,
    /// Whether two NULLs count as equal (PostgreSQL).
    nulls_not_distinct: Option<bool>,
    /// Columns that the index holds beside its keys (PostgreSQL).
    include: Option<Vec<Scalar>>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ForeignKey {
    /// Its name, by default `<table>_<columns>_fkey`.
    name: Option<Scalar>,
    /// Its columns.
    #[schemars(length(min = 1))]
    columns: Vec<Scalar>,
    /// What they refer to: `teams(id)`, or a map with `table` and `columns`.
    references: Target,
    /// What happens to the row when the one that it refers to is deleted.
    on_delete: Option<Action>,
    /// What happens to the row when the key that it refers to changes.
    on_update: Option<Action>,
    /// Whether it may be checked at commit.
    deferrable: Option<bool>,
    /// Whether it is checked at commit unless a transaction says otherwise.
    initially_deferred: Option<bool>,
    /// Whether a key that is NULL in part is refused (`full`) or not checked (`simple`).
    #[schemars(rename = "match")]
    matching: Option<Match>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// `teams(id)`, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Target {
    Text(String),
    Map(TargetMap),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TargetMap {
    /// The table.
    table: Scalar,
    /// Its columns; by default its primary key.
    columns: Option<Vec<Scalar>>,
}

/// `teams(id) on delete cascade`, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Reference {
    Text(String),
    Map(ReferenceMap),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ReferenceMap {
    /// The foreign key's name, by default `<table>_<column>_fkey`.
    name: Option<Scalar>,
    /// The table.
    table: Scalar,
    /// Its column; by default its primary key.
    columns: Option<Vec<Scalar>>,
    /// What happens to the row when the one that it refers to is deleted.
    on_delete: Option<Action>,
    /// What happens to the row when the key that it refers to changes.
    on_update: Option<Action>,
    /// Whether it may be checked at commit.
    deferrable: Option<bool>,
    /// Whether it is checked at commit unless a transaction says otherwise.
    initially_deferred: Option<bool>,
    /// Whether a key that is NULL in part is refused (`full`) or not checked (`simple`).
    #[schemars(rename = "match")]
    matching: Option<Match>,
}

/// `no action`, `restrict`, `cascade`, `set null` or `set default`; PostgreSQL takes columns after the last two.
#[derive(JsonSchema)]
struct Action(#[schemars(regex(pattern = r"^(?:[nN][oO][ _][aA]|[rR][eE]|[cC][aA]|[sS][eE][tT][ _])"))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Match {
    Full,
    Simple,
}

/// A condition, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Check {
    Expression(Scalar),
    Long(LongCheck),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongCheck {
    /// Its name, by default `<table>_<column>_check`.
    name: Option<Scalar>,
    /// The condition.
    expression: Sql,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Exclusion {
    /// Its name.
    name: Option<Scalar>,
    /// The index method, `gist` as a rule.
    method: Option<String>,
    /// What must not be so for two rows: `room with =, during with &&`.
    elements: Sql,
    /// The rows that it is about; all when left out.
    #[schemars(rename = "where")]
    predicate: Option<Sql>,
    /// Whether it may be checked at commit.
    deferrable: Option<bool>,
    /// Whether it is checked at commit unless a transaction says otherwise.
    initially_deferred: Option<bool>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Index {
    /// Its name, by default `<table>_<columns>_idx`.
    name: Option<Scalar>,
    /// Columns, expressions, or maps that say how one of them is indexed.
    #[schemars(length(min = 1))]
    columns: Vec<IndexKey>,
    /// Whether no two rows may have the same keys.
    unique: Option<bool>,
    /// Whether two NULLs count as equal (PostgreSQL).
    nulls_not_distinct: Option<bool>,
    /// `btree`, `hash`, `gin`, `gist`, `brin`, `spgist`, `fulltext` …
    method: Option<Choice<String>>,
    /// The rows that it holds; all when left out.
    #[schemars(rename = "where")]
    predicate: Option<Sql>,
    /// Columns that it holds beside its keys (PostgreSQL).
    include: Option<Vec<Scalar>>,
    /// Storage parameters, `fillfactor` for one (PostgreSQL).
    with: Option<BTreeMap<String, Scalar>>,
    /// What it is for.
    comment: Option<Scalar>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// A column or an expression, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum IndexKey {
    Bare(Scalar),
    Long(LongIndexKey),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongIndexKey {
    /// A column; or else `expression`.
    column: Option<Scalar>,
    /// An expression over the row.
    expression: Option<Sql>,
    /// How many characters are indexed (MySQL and MariaDB; the others index the whole column).
    #[schemars(range(min = 1))]
    length: Option<u32>,
    /// Whether it is sorted up or down.
    order: Option<Order>,
    /// Whether NULLs come first or last.
    nulls: Option<Nulls>,
    /// The collation.
    collation: Option<String>,
    /// The operator class (PostgreSQL).
    opclass: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Nulls {
    First,
    Last,
}

/// A query, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum View {
    Query(String),
    Long(LongView),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct LongView {
    /// The query.
    query: Sql,
    /// What it shows.
    comment: Option<Scalar>,
    /// Whether its rows are stored (PostgreSQL).
    materialized: Option<bool>,
    /// The dialects that have it; all when left out.
    dialects: Option<Vec<Dialect>>,
}

/// `shared`: one namespace for both versions. `versioned`: a namespace of views for the new one.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Access {
    Shared,
    Versioned,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Transition {
    /// The version of the old snapshot; another one is refused.
    from: Option<Version>,
    /// How the two versions reach their shapes; it beats `crossfade.yaml`.
    access: Option<Choice<Access>>,
    /// By the table's name in the new snapshot; in the old one, for a table that is dropped.
    tables: Option<BTreeMap<String, TableHints>>,
    /// By the enum's name in the new snapshot.
    enums: Option<BTreeMap<String, EnumHints>>,
    /// Codes of hazards that you acknowledge; `crossfade explain CODE` has a page on each.
    allow: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct TableHints {
    /// Its name in the old snapshot; null says that it is new, whatever it looks like.
    renamed_from: Option<Scalar>,
    /// The old table whose rows come here, or a map with `table` and `where`.
    from: Option<RowSource>,
    /// New column: expression over the old row. It identifies a row in both directions.
    key: Option<BTreeMap<String, Sql>>,
    /// By the column's name in the new table; in the old one, for a column that is dropped.
    columns: Option<BTreeMap<String, ColumnHints>>,
}

/// A table, or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum RowSource {
    Table(Scalar),
    Rows(Rows),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rows {
    /// The old table.
    table: Scalar,
    /// Which of its rows; all when left out.
    #[schemars(rename = "where")]
    predicate: Option<Sql>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ColumnHints {
    /// Its name in the old table; null says that it is new, whatever it looks like.
    renamed_from: Option<Scalar>,
    /// Its value in the new shape, as an expression over the old row (old names).
    up: Option<Sql>,
    /// Its value in the old shape, as an expression over the new row (new names).
    down: Option<Sql>,
    /// Its value for rows that nobody has written since expand, where that is meant to differ from `up`.
    backfill: Option<Sql>,
    /// Old value: new value. `else: VALUE` or `else: error` is for values that are not listed.
    values: Option<BTreeMap<String, Option<Scalar>>>,
    /// Declares that `down(up(x))` may differ from `x`, or `up(down(y))` from `y`.
    lossy: Option<bool>,
    /// `false`: a computed column is filled once and never follows its inputs.
    follow: Option<bool>,
    /// From when a tightened rule binds: from the end of `migrate`, or from `contract`.
    enforce: Option<Enforce>,
    /// Who wins when one statement writes both shapes and they disagree (shared access).
    on_conflict: Option<OnConflict>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Enforce {
    Migrate,
    Contract,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum OnConflict {
    New,
    Old,
    Error,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct EnumHints {
    /// Its name in the old snapshot; null says that it is new.
    renamed_from: Option<Scalar>,
    /// New value: what it was called before.
    values: Option<BTreeMap<String, ValueHints>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ValueHints {
    /// Its name in the old snapshot; null says that it is new.
    renamed_from: Option<Scalar>,
}

/// `crossfade.yaml`: what a project says once for all of its snapshots. A flag beats a transition, which beats this.
#[derive(JsonSchema)]
#[schemars(title = "crossfade settings", deny_unknown_fields)]
struct Settings {
    /// The dialects that are compiled for; by default `postgres`.
    dialects: Option<Vec<Dialect>>,
    /// How the two versions reach their shapes; by default `shared`.
    access: Option<Choice<Access>>,
    /// Name of the database (MySQL and MariaDB); versioned access needs it there.
    database: Option<String>,
    /// Name of the schema (PostgreSQL); by default `public`.
    schema: Option<String>,
    /// Codes of hazards that the project acknowledges.
    allow: Option<Vec<String>>,
    /// The folder of the compiled scripts; by default `migrations`.
    migrations: Option<String>,
    /// The folder of the snapshots; by default `schemas`.
    schemas: Option<String>,
    /// The oldest library of SQLite that runs the scripts, as in `"3.53"`; by default 3.40. A newer one needs fewer tables written anew.
    sqlite_version: Option<Scalar>,
    /// Whether the runner changes the shape only while no client holds the row of `crossfade.version` with a shared lock; not on SQLite.
    schema_lock: Option<bool>,
}
