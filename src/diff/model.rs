//! What differs between two schemas, paired and grouped, before anyone asks how to get from one to the other.
//!
//! Invariant: a [`Diff`] knows names, meanings and lenses, and neither phases, nor access, nor statements.

use crate::snapshot::model::{
    Check, Column, ColumnHints, EnumType, Exclusion, Expr, Extension, ForeignKey, Index, PrimaryKey, Schema, Sequence, Table, TableHints,
    Unique, ValueMap, View,
};
use crate::sql::Dialect;

/// All differences. Every list is sorted by the name in the new schema (in the old one, for what is dropped), so that the
/// order of a snapshot's maps never shows.
#[derive(Debug, Clone)]
pub struct Diff<'a> {
    /// The old side.
    pub old: &'a Schema,
    /// The new side.
    pub new: &'a Schema,
    /// Both were resolved for it.
    pub dialect: Dialect,
    /// Extensions that were added or dropped.
    pub extensions: Vec<Pair<'a, Extension>>,
    /// Enums that differ.
    pub enums: Vec<EnumDiff<'a>>,
    /// Sequences that differ.
    pub sequences: Vec<Pair<'a, Sequence>>,
    /// Tables that differ.
    pub tables: Vec<TableDiff<'a>>,
    /// Tables that are the same, but have a foreign key to one that differs: what it stands on may go from under it.
    pub followers: Vec<TableDiff<'a>>,
    /// Views that differ: by name, query, kind or comment.
    pub views: Vec<Pair<'a, View>>,
}

impl Diff<'_> {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.extensions.is_empty() && self.enums.is_empty() && self.sequences.is_empty() && self.tables.is_empty() && self.views.is_empty()
    }
}

/// One object on one side or on both.
#[derive(Debug)]
pub struct Pair<'a, T> {
    /// It in the old schema.
    pub old: Option<&'a T>,
    /// It in the new schema.
    pub new: Option<&'a T>,
    /// Both are there and mean the same but for their names and comments (columns are compared through renames).
    pub equal: bool,
}

impl<T> Clone for Pair<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pair<'_, T> {}

/// An enum that differs.
#[derive(Debug, Clone)]
pub struct EnumDiff<'a> {
    /// Old and new side.
    pub pair: Pair<'a, EnumType>,
    /// Labels that were added, each with the label before it in the new order (`None`: it comes first).
    pub added: Vec<(&'a str, Option<&'a str>)>,
    /// Labels that were dropped.
    pub dropped: Vec<&'a str>,
    /// Labels that were renamed by hint: old, new.
    pub renamed: Vec<(&'a str, &'a str)>,
    /// The labels that both have stand in another order.
    pub reordered: bool,
}

impl EnumDiff<'_> {
    /// Whether no one type can have the labels of both sides, each in its order: labels can be added in their place, and that is all.
    pub fn needs_another_type(&self) -> bool {
        self.pair.old.is_some() && self.pair.new.is_some() && (!self.dropped.is_empty() || !self.renamed.is_empty() || self.reordered)
    }
}

/// A table that differs.
#[derive(Debug, Clone)]
pub enum TableDiff<'a> {
    /// Only the new schema has it. The hints tell where its rows come from (`from:`), if from anywhere.
    Added(&'a Table, Option<&'a TableHints>),
    /// Only the old schema has it.
    Dropped(&'a Table),
    /// Both have it.
    Changed(Box<TableChange<'a>>),
}

impl<'a> TableDiff<'a> {
    /// The table that names it: the new one, or the dropped one.
    pub fn table(&self) -> &'a Table {
        match self {
            TableDiff::Added(table, _) | TableDiff::Dropped(table) => table,
            TableDiff::Changed(change) => change.new,
        }
    }
}

/// A table on both sides. It is renamed exactly when the two names differ.
#[derive(Debug, Clone)]
pub struct TableChange<'a> {
    /// In the old schema.
    pub old: &'a Table,
    /// In the new schema.
    pub new: &'a Table,
    /// All columns of both sides, the unchanged ones too: those of the new side in its order, then the dropped ones in the old order.
    pub columns: Vec<ColumnPair<'a>>,
    /// The lenses, in the order of their first column. A column is in at most one.
    pub lenses: Vec<Lens<'a>>,
    /// The primary key, if either side has one (also when it did not change).
    pub primary_key: Option<Pair<'a, PrimaryKey>>,
    /// All unique constraints of both sides, paired by meaning first and by name second; sorted by name. `equal` pairs too.
    pub uniques: Vec<Pair<'a, Unique>>,
    /// All foreign keys, likewise.
    pub foreign_keys: Vec<Pair<'a, ForeignKey>>,
    /// All checks, likewise.
    pub checks: Vec<Pair<'a, Check>>,
    /// All exclusion constraints, likewise.
    pub exclusions: Vec<Pair<'a, Exclusion>>,
    /// All indexes, likewise.
    pub indexes: Vec<Pair<'a, Index>>,
}

/// A column on one side or on both.
#[derive(Debug, Clone, Copy)]
pub struct ColumnPair<'a> {
    /// In the old table.
    pub old: Option<&'a Column>,
    /// In the new table. It is renamed exactly when both are there and the names differ.
    pub new: Option<&'a Column>,
    /// What the transition says of it, under the new name (the old one for a dropped column).
    pub hints: Option<&'a ColumnHints>,
    /// What differs.
    pub facets: Facets,
}

/// What differs between the two sides of a column; all false when one side is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facets {
    /// The name.
    pub name: bool,
    /// The type.
    pub ty: bool,
    /// NOT NULL.
    pub not_null: bool,
    /// The default.
    pub default: bool,
    /// The generated expression or its kind.
    pub generated: bool,
    /// The identity.
    pub identity: bool,
    /// The collation.
    pub collation: bool,
    /// The comment.
    pub comment: bool,
}

impl Facets {
    /// Whether anything differs.
    pub fn any(self) -> bool {
        self != Facets::default()
    }
}

/// Columns that carry the same information in two shapes.
///
/// Every rename, retype and value mapping of a column is a lens, and so is every `up` and `down` with what it refers to.
/// The one exception is a column under one name and type that becomes NOT NULL and has an `up` and no `down`: that `up` is
/// what fills its NULLs (see [`Lens::is_fill`]), and old and new side are one physical column.
#[derive(Debug, Clone)]
pub struct Lens<'a> {
    /// Columns of the old shape, in the old table's order; each with how the new row gives its value.
    pub old: Vec<LensColumn<'a>>,
    /// Columns of the new shape, in the new table's order; each with how the old row gives its value.
    pub new: Vec<LensColumn<'a>>,
    /// Columns that both versions have in common and that `up` or `down` read, by their new name, in the new table's order.
    pub inputs: Vec<&'a str>,
}

impl Lens<'_> {
    /// Whether the lens only fills the NULLs of a column that becomes NOT NULL.
    pub fn is_fill(&self) -> bool {
        match (self.old.as_slice(), self.new.as_slice()) {
            ([old], [new]) => {
                old.column.name == new.column.name
                    && old.column.ty == new.column.ty
                    && old.column.generated.is_none()
                    && !old.column.not_null
                    && new.column.not_null
                    && matches!(new.mapping, Some(Mapping::Expression(_)))
                    && old.mapping.is_none()
            }
            _ => false,
        }
    }
}

/// One column of a lens.
#[derive(Debug, Clone)]
pub struct LensColumn<'a> {
    /// The column.
    pub column: &'a Column,
    /// Its value, from the row of the other shape. `None`: the other shape says nothing of it (an old column that is dropped
    /// without `down`, which the `up` of a new one reads).
    pub mapping: Option<Mapping<'a>>,
    /// What the transition says of it.
    pub hints: Option<&'a ColumnHints>,
}

/// How one shape's column follows from the row of the other shape.
#[derive(Debug, Clone, Copy)]
pub enum Mapping<'a> {
    /// It is that column of the other shape.
    Copy(&'a str),
    /// It is that column of the other shape, cast to this column's type (a change within a family of types).
    Cast(&'a str),
    /// By a list of values of that column of the other shape. `Direction` says which way the pairs are read.
    Values(&'a str, &'a ValueMap, Direction),
    /// As the author wrote it (`up` or `down`).
    Expression(&'a Expr),
}

/// Which way a mapping goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Old shape to new shape.
    Up,
    /// New shape to old shape.
    Down,
}
