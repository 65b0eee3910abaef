//! Which physical column carries what while both versions run.
//!
//! An old column keeps its physical name to the end of the overlap. A column that both versions have is one physical column,
//! and so is a renamed one where the new version looks through a view. Everything else that is new gets a column of its own,
//! under its own name or, where an old column still has that name, under a helper name that only the view knows.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::diff::model::{ColumnPair, Diff, Lens, Mapping, TableChange};
use crate::snapshot::model::{Access, Column, ColumnHints, Enforce, IndexTarget, Schema, Table, TypeKind, View};
use crate::sql::Dialect;
use crate::sql::expression::{default_equivalent, query_references, row_references};

use super::{Settings, Target, naming};

/// The method of an index over the words of texts.
pub(super) const FULLTEXT: &str = "fulltext";

/// Which versions a physical column serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Both, as one column.
    Both,
    /// The old one only.
    Old,
    /// The new one only, and no lens fills it.
    New,
    /// The new one only; a lens fills it.
    NewFromLens,
}

/// A column of the table as it physically is during the overlap.
#[derive(Debug, Clone)]
pub(super) struct Physical<'a> {
    pub(super) name: String,
    pub(super) old: Option<&'a Column>,
    pub(super) new: Option<&'a Column>,
    pub(super) hints: Option<&'a ColumnHints>,
    pub(super) role: Role,
}

/// How a lens is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// One column under two names.
    Alias,
    /// One column whose type is widened.
    InPlace,
    /// One column whose NULLs are filled.
    Fill,
    /// Two sides and a trigger.
    TwoSides,
    /// One column that keeps its old type until contract copies the table.
    Late,
}

/// How the new version reaches a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// By its physical name.
    Direct,
    /// Through a view.
    View,
}

/// A changed table as it physically is during the overlap.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) change: &'a TableChange<'a>,
    pub(super) reach: Reach,
    /// New columns in their order, then the old ones that go.
    pub(super) columns: Vec<Physical<'a>>,
    /// The lenses with how each is kept.
    pub(super) lenses: Vec<(&'a Lens<'a>, Treatment)>,
}

/// What the layouts of all tables depend on.
pub(super) struct Surroundings<'a> {
    settings: &'a Settings,
    target: &'a dyn Target,
    dialect: Dialect,
    old: &'a Schema,
    /// Tables that views of the old snapshot read.
    in_views: BTreeSet<String>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(diff: &'a Diff<'a>, settings: &'a Settings, target: &'a dyn Target) -> Self {
        let read = |view: &View| query_references(&view.query.text, diff.dialect).map(|references| references.tables).unwrap_or_default();
        let in_views = diff.old.views.values().flat_map(read).map(|table| table.name).collect();
        Surroundings { settings, target, dialect: diff.dialect, old: diff.old, in_views }
    }
}

impl<'a> Layout<'a> {
    /// Lays out a changed table. Faults: what needs versioned access.
    pub(super) fn new(change: &'a TableChange<'a>, around: &Surroundings<'_>, diagnostics: &mut Vec<Diagnostic>) -> Layout<'a> {
        let dialect = around.dialect;
        let renamed = change.old.name != change.new.name;
        let reach = match around.settings.access {
            Access::Versioned => Reach::View,
            Access::Shared if renamed => Reach::View,
            Access::Shared => Reach::Direct,
        };
        let lenses: Vec<(&Lens<'_>, Treatment)> = change.lenses.iter().map(|lens| (lens, treatment(lens, change, reach, around))).collect();
        let mut columns = Vec::with_capacity(change.columns.len());
        for pair in &change.columns {
            let lens = |column: &Column, new_side: bool| {
                lenses.iter().find(|(lens, _)| {
                    let side = if new_side { &lens.new } else { &lens.old };
                    side.iter().any(|member| member.column.name == column.name)
                })
            };
            match (pair.old, pair.new) {
                (Some(old), Some(new)) => {
                    let two_sides = lens(new, true).is_some_and(|(_, treatment)| *treatment == Treatment::TwoSides);
                    let recomputed = is_recomputed(pair, change, reach, &lenses, around);
                    if two_sides || recomputed {
                        let name = new_name(new, change, reach, dialect, diagnostics);
                        let role = if two_sides { Role::NewFromLens } else { Role::New };
                        columns.push(Physical { name, old: None, new: Some(new), hints: pair.hints, role });
                        columns.push(Physical { name: old.name.clone(), old: Some(old), new: None, hints: None, role: Role::Old });
                    } else {
                        columns.push(Physical {
                            name: old.name.clone(),
                            old: Some(old),
                            new: Some(new),
                            hints: pair.hints,
                            role: Role::Both,
                        });
                    }
                }
                (None, Some(new)) => {
                    let role = if lens(new, true).is_some() { Role::NewFromLens } else { Role::New };
                    let name = new_name(new, change, reach, dialect, diagnostics);
                    columns.push(Physical { name, old: None, new: Some(new), hints: pair.hints, role });
                }
                (Some(old), None) => {
                    columns.push(Physical { name: old.name.clone(), old: Some(old), new: None, hints: pair.hints, role: Role::Old });
                }
                (None, None) => {}
            }
        }
        Layout { change, reach, columns, lenses }
    }

    /// The table's name until contract.
    pub(super) fn table(&self) -> &'a str {
        &self.change.old.name
    }

    /// The physical column of a name of the new shape.
    pub(super) fn of_new(&self, name: &str) -> Option<&Physical<'a>> {
        self.columns.iter().find(|c| c.new.is_some_and(|new| new.name == name))
    }

    /// The physical column of a name of the old shape.
    pub(super) fn of_old(&self, name: &str) -> Option<&Physical<'a>> {
        self.columns.iter().find(|c| c.old.is_some_and(|old| old.name == name))
    }

    /// The columns whose type changes only as contract copies the table.
    pub(super) fn late(&self) -> impl Iterator<Item = (&Physical<'a>, &'a Column, &'a Column)> {
        self.columns.iter().filter_map(|physical| {
            let (old, new) = (physical.old?, physical.new?);
            self.is_late(new).then_some((physical, old, new))
        })
    }

    /// Whether the type of a column (of the new shape) changes only as contract copies the table.
    pub(super) fn is_late(&self, new: &Column) -> bool {
        self.lenses.iter().any(|(lens, treatment)| *treatment == Treatment::Late && lens.new.iter().any(|m| m.column.name == new.name))
    }

    /// Whether the table has columns on which a trigger is needed.
    pub(super) fn has_two_sides(&self) -> bool {
        self.lenses.iter().any(|(_, treatment)| *treatment == Treatment::TwoSides)
    }

    /// Whether contract changes columns or the name, so that views over the table are made anew.
    pub(super) fn is_swapped(&self) -> bool {
        self.change.old.name != self.change.new.name
            || self.columns.iter().any(|c| c.role == Role::Old || c.new.is_some_and(|new| new.name != c.name))
    }

    /// From when a rule on these columns (names of the new shape) binds, if the author says so.
    pub(super) fn enforce<'n>(&self, columns: impl IntoIterator<Item = &'n str>) -> Option<Enforce> {
        columns.into_iter().find_map(|name| self.of_new(name).and_then(|c| c.hints).and_then(|hints| hints.enforce))
    }
}

/// Whether a default takes nothing from the old version: every write without one failed before.
pub(super) fn default_loosens(old: &Column, new: &Column) -> bool {
    old.not_null && old.default.is_none() && old.identity.is_none() && new.default.is_some()
}

/// Whether the default of a column that both versions have is the new version's alone until contract. Where a column counts for
/// both versions, as an identity or by a sequence, it does so until contract.
pub(super) fn default_comes_late(old: &Column, new: &Column, dialect: Dialect) -> bool {
    let same = match (&old.default, &new.default) {
        (None, None) => true,
        (Some(a), Some(b)) => default_equivalent(&a.text, &b.text, dialect),
        (Some(_), None) | (None, Some(_)) => false,
    };
    !same && !default_loosens(old, new) && new.identity.is_none()
}

/// Physical name of a column that only the new version has.
fn new_name(new: &Column, change: &TableChange<'_>, reach: Reach, dialect: Dialect, diagnostics: &mut Vec<Diagnostic>) -> String {
    if !change.old.columns.contains_key(&new.name) {
        return new.name.clone();
    }
    // A stored generated column is refused whatever the access.
    let is_stored = new.generated.as_ref().is_some_and(|generated| generated.stored);
    if reach == Reach::Direct && !is_stored {
        diagnostics.push(
            Diagnostic::error(
                "needs-versioned",
                format!(
                    "{table}.{column}: old and new version need different things under one name, which shared access can't give",
                    table = change.new.name,
                    column = new.name
                ),
            )
            .at(new.span, "this is another column than the old version's")
            .help(format!("give it another name: `{}_new` with `renamed_from: {}` in the transition", new.name, new.name))
            .help("or give the new version a namespace of its own: `access: versioned` in the transition, or `--access versioned`"),
        );
    }
    naming::helper_column(&new.name, dialect)
}

/// Whether the server computes a column for both versions, but not as one column: its expression or type changes, or a column
/// that it reads is replaced, or it has two names and nothing shows it under the other one to the end.
fn is_recomputed(
    pair: &ColumnPair<'_>,
    change: &TableChange<'_>,
    reach: Reach,
    lenses: &[(&Lens<'_>, Treatment)],
    around: &Surroundings<'_>,
) -> bool {
    let (Some(old), Some(_)) = (pair.old.and_then(|old| old.generated.as_ref()), pair.new.and_then(|new| new.generated.as_ref())) else {
        return false;
    };
    let replaced = |name: &str| {
        lenses.iter().any(|(lens, treatment)| *treatment == Treatment::TwoSides && lens.old.iter().any(|member| member.column.name == name))
    };
    let reads_replaced = || {
        row_references(&old.expression.text, around.dialect, &change.old.name, around.old)
            .is_ok_and(|references| references.columns.iter().any(|reference| replaced(&reference.name)))
    };
    let facets = pair.facets;
    let renamed_apart = facets.name && (reach == Reach::Direct || !around.target.capabilities().renames_under_views);
    facets.generated || facets.ty || facets.collation || renamed_apart || reads_replaced()
}

fn treatment(lens: &Lens<'_>, change: &TableChange<'_>, reach: Reach, around: &Surroundings<'_>) -> Treatment {
    if lens.is_fill() {
        return Treatment::Fill;
    }
    let ([old], [new]) = (lens.old.as_slice(), lens.new.as_slice()) else { return Treatment::TwoSides };
    let alike = old.column.generated == new.column.generated
        && old.column.identity == new.column.identity
        && old.column.collation == new.column.collation;
    let backfilled = new.hints.is_some_and(|hints| hints.backfill.is_some());
    let renamed = old.column.name != new.column.name;
    match (old.mapping, new.mapping) {
        (Some(Mapping::Copy(_)), Some(Mapping::Copy(_))) if alike && !backfilled && old.column.ty == new.column.ty => {
            if !renamed || (reach == Reach::View && around.target.capabilities().renames_under_views) {
                Treatment::Alias
            } else {
                Treatment::TwoSides
            }
        }
        (Some(Mapping::Cast(_) | Mapping::Copy(_)), Some(Mapping::Cast(_) | Mapping::Copy(_)))
            if alike
                && !backfilled
                && !renamed
                && !matches!(old.column.ty.kind, TypeKind::Enum(_))
                && around.settings.access == Access::Shared
                && around.target.widens_in_place(&old.column.ty, &new.column.ty)
                && !is_read_elsewhere(&old.column.name, change, around) =>
        {
            Treatment::InPlace
        }
        (Some(down), Some(up))
            if is_itself(down, &new.column.name)
                && is_itself(up, &old.column.name)
                && alike
                && !backfilled
                && !renamed
                && old.column.not_null == new.column.not_null
                && around.target.capabilities().copies_tables
                && is_copied(old.column, new.column, change, around) =>
        {
            Treatment::Late
        }
        _ => Treatment::TwoSides,
    }
}

/// Whether a column gets its type by a copy of the table: no other column can follow one that counts, and a full-text index can't be
/// built on another column beside writers.
fn is_copied(old: &Column, new: &Column, change: &TableChange<'_>, around: &Surroundings<'_>) -> bool {
    let target = around.target;
    if old.identity.is_some() {
        return target.whole_numbers(&old.ty).is_some() && target.whole_numbers(&new.ty).is_some();
    }
    let has_words = |table: &Table, name: &str| {
        table.indexes.iter().any(|index| {
            index.method == FULLTEXT && index.keys.iter().any(|key| matches!(&key.target, IndexTarget::Column(column) if column == name))
        })
    };
    !target.capabilities().changes_beside_fulltext
        && has_words(change.old, &old.name)
        && has_words(change.new, &new.name)
        && target.holds_texts_of(&new.ty, &old.ty)
}

/// Whether a column's value is that of another one, whatever its type.
fn is_itself(mapping: Mapping<'_>, other: &str) -> bool {
    match mapping {
        Mapping::Copy(_) | Mapping::Cast(_) => true,
        Mapping::Expression(expr) => expr.text.trim().trim_matches('`') == other,
        Mapping::Values(..) => false,
    }
}

/// Whether a view of the old snapshot reads the table, or an expression of an index reads the column: then a change of its
/// type is more than metadata.
fn is_read_elsewhere(column: &str, change: &TableChange<'_>, around: &Surroundings<'_>) -> bool {
    let (old, dialect) = (around.old, around.dialect);
    let in_view = around.in_views.contains(&change.old.name);
    let in_expression = change.old.indexes.iter().any(|index| {
        let expressions = index
            .keys
            .iter()
            .filter_map(|key| match &key.target {
                IndexTarget::Expression(expr) => Some(expr),
                IndexTarget::Column(_) => None,
            })
            .chain(&index.predicate);
        expressions.into_iter().any(|expr| {
            row_references(&expr.text, dialect, &change.old.name, old)
                .is_ok_and(|references| references.columns.iter().any(|reference| reference.name == column))
        })
    });
    let in_generated = change.old.columns.values().filter_map(|c| c.generated.as_ref()).any(|generated| {
        row_references(&generated.expression.text, dialect, &change.old.name, old)
            .is_ok_and(|references| references.columns.iter().any(|reference| reference.name == column))
    });
    in_view || in_expression || in_generated
}
