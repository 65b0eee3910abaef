//! Tables: what differs in each.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::{Column, ColumnHints, Generated, Table, TableHints};
use crate::snapshot::types::{Family, family};
use crate::sql::{Dialect, expression};

use super::enums::EnumShape;
use super::meaning::{Meaning, Side, pair};
use super::model::{ColumnPair, Facets, Pair, TableChange, TableDiff};
use super::names::did_you_mean;
use super::pairing::{NamePair, sorted_entries};
use super::{Context, question};

impl<'a> Context<'a> {
    /// The tables that differ, and those that are the same but have foreign keys to them; both sorted.
    pub(super) fn tables(
        &mut self,
        pairs: &[(NamePair<'a>, Vec<NamePair<'a>>)],
        shapes: &HashMap<&'a str, EnumShape<'a>>,
    ) -> (Vec<TableDiff<'a>>, Vec<TableDiff<'a>>) {
        let mut found = Vec::new();
        let mut same = Vec::new();
        let mirrors = self.mirrors();
        question::tables(self, pairs);
        for ((old, new), columns) in pairs {
            let old = old.and_then(|name| self.old.tables.get(name));
            let new = new.and_then(|name| self.new.tables.get(name));
            match (old, new) {
                (Some(old), Some(new)) => {
                    let change = self.table_change(old, new, columns, shapes, &mirrors);
                    if differs(&change) {
                        found.push(TableDiff::Changed(Box::new(change)));
                    } else if !new.foreign_keys.is_empty() {
                        same.push(TableDiff::Changed(Box::new(change)));
                    }
                }
                (Some(old), None) => {
                    self.check_dropped(old);
                    found.push(TableDiff::Dropped(old));
                }
                (None, Some(new)) => {
                    let hints = self.hints_of(new);
                    self.check_added(new, hints);
                    found.push(TableDiff::Added(new, hints));
                }
                (None, None) => {}
            }
        }
        let differ: HashSet<&str> = found.iter().map(|diff| diff.table().name.as_str()).collect();
        same.retain(|diff| diff.table().foreign_keys.iter().any(|key| differ.contains(key.ref_table.as_str())));
        (found, same)
    }

    /// What the transition says of a table, by its new name.
    pub(super) fn hints_of(&self, table: &Table) -> Option<&'a TableHints> {
        self.transition.and_then(|transition| transition.tables.get(&table.name))
    }

    fn table_change(
        &mut self,
        old: &'a Table,
        new: &'a Table,
        names: &[NamePair<'a>],
        shapes: &HashMap<&'a str, EnumShape<'a>>,
        mirrors: &HashMap<&'a str, Vec<String>>,
    ) -> TableChange<'a> {
        let hints = self.hints_of(new);
        let columns = self.column_pairs(old, new, names, hints, shapes);
        self.check_column_hints(old, new, &columns, hints);
        let read_by_mirrors = mirrors.get(old.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let lenses = self.lenses(old, new, &columns, shapes, read_by_mirrors);
        let (old_side, new_side) = (Side::old(self, old, &new.name), Side::new(self, new));
        TableChange {
            primary_key: primary_key(old, new, old_side, new_side),
            uniques: pair(&old.uniques, &new.uniques, old_side, new_side),
            foreign_keys: pair(&old.foreign_keys, &new.foreign_keys, old_side, new_side),
            checks: pair(&old.checks, &new.checks, old_side, new_side),
            exclusions: pair(&old.exclusions, &new.exclusions, old_side, new_side),
            indexes: pair(&old.indexes, &new.indexes, old_side, new_side),
            old,
            new,
            columns,
            lenses,
        }
    }

    fn column_pairs(
        &self,
        old: &'a Table,
        new: &'a Table,
        names: &[NamePair<'a>],
        hints: Option<&'a TableHints>,
        shapes: &HashMap<&'a str, EnumShape<'a>>,
    ) -> Vec<ColumnPair<'a>> {
        let side = Side::old(self, old, &new.name);
        let pairs = names.iter().map(|&(old_name, new_name)| {
            let old_column = old_name.and_then(|name| old.columns.get(name));
            let new_column = new_name.and_then(|name| new.columns.get(name));
            // The old name of a dropped column may be the new name of another: then the hints are that one's.
            let shown = new_name.or(old_name.filter(|name| !new.columns.contains_key(*name)));
            let facets = match (old_column, new_column) {
                (Some(old_column), Some(new_column)) => self.facets(old_column, new_column, side, Side::new(self, new), shapes),
                (None, _) | (_, None) => Facets::default(),
            };
            ColumnPair { old: old_column, new: new_column, hints: shown.and_then(|name| hints?.columns.get(name)), facets }
        });
        pairs.collect()
    }

    fn facets(
        &self,
        old: &Column,
        new: &Column,
        old_side: Side<'_, 'a>,
        new_side: Side<'_, 'a>,
        shapes: &HashMap<&'a str, EnumShape<'a>>,
    ) -> Facets {
        let default = match (&old.default, &new.default) {
            (Some(old), Some(new)) => !expression::default_equivalent(&old.text, &new.text, self.dialect),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        };
        let meaning = |generated: &Option<Generated>, side: Side<'_, 'a>| {
            generated.as_ref().map(|generated| (side.expression(&generated.expression), generated.stored))
        };
        Facets {
            name: old.name != new.name,
            ty: (!self.renames.same_type(&old.ty, &new.ty) && !self.counts_otherwise(old, new)) || self.changes_values(old, shapes),
            not_null: old.not_null != new.not_null,
            default,
            generated: meaning(&old.generated, old_side) != meaning(&new.generated, new_side),
            identity: old.identity != new.identity,
            collation: old.collation != new.collation,
            comment: old.comment != new.comment,
        }
    }

    /// Where only one type counts, a key that begins or ceases to count is declared otherwise and stored alike.
    fn counts_otherwise(&self, old: &Column, new: &Column) -> bool {
        let is_integer = |column: &Column| family(&column.ty) == Some(Family::Integer);
        self.dialect == Dialect::Sqlite && old.identity.is_some() != new.identity.is_some() && is_integer(old) && is_integer(new)
    }

    fn check_column_hints(&mut self, old: &Table, new: &Table, columns: &[ColumnPair<'a>], hints: Option<&'a TableHints>) {
        let Some(hints) = hints else { return };
        let dropped: Vec<&str> =
            columns.iter().filter(|pair| pair.new.is_none()).filter_map(|pair| Some(pair.old?.name.as_str())).collect();
        for (name, hint) in sorted_entries(&hints.columns) {
            if new.columns.contains_key(name) || dropped.contains(&name) {
                continue;
            }
            let now = self.renames.column(&old.name, name);
            // `down` gives the old column its value, under whichever of its names.
            let only_down = ColumnHints { down: hint.down.clone(), span: hint.span, ..ColumnHints::default() };
            let has_own = now.and_then(|now| hints.columns.get(now)).is_some_and(|own| own.down.is_some());
            if now.is_some() && *hint == only_down && hint.down.is_some() && !has_own {
                continue;
            }
            let message = match self.renames.column(&old.name, name) {
                Some(now) => format!("column `{name}` of `{}` is called `{now}` in the new snapshot", new.name),
                None => format!("neither snapshot has a column `{name}` in `{}`", new.name),
            };
            let mut error = Diagnostic::error("unknown-column", message).at(hint.span, "");
            let known = new.columns.keys().map(String::as_str).chain(dropped.iter().copied());
            error.help.extend(match self.renames.column(&old.name, name) {
                Some(now) => Some(format!("put these hints under `{now}`")),
                None => did_you_mean(name, known),
            });
            self.said.push(error);
        }
        if let Some(source) = &hints.from {
            let message = format!("`from` is for a new table, and the old snapshot has `{}`", old.name);
            self.said.push(
                Diagnostic::error("from-not-new", message).at(source.span, "").help("delete `from`, or give the new table another name"),
            );
        }
    }

    fn check_dropped(&mut self, old: &Table) {
        // The new schema may have another table of that name, whose hints these are then.
        let Some(hints) = self.hints_of(old).filter(|_| !self.new.tables.contains_key(&old.name)) else { return };
        for (name, hint) in sorted_entries(&hints.columns) {
            if !old.columns.contains_key(name) {
                let mut error = unknown_column(name, old, "old").at(hint.span, "");
                error.help.extend(did_you_mean(name, old.columns.keys().map(String::as_str)));
                self.said.push(error);
            }
        }
        if let Some(renamed) = &hints.renamed_from {
            let message = format!("table `{}` is dropped, so that `renamed_from` says nothing", old.name);
            self.said.push(Diagnostic::error("stale-rename", message).at(renamed.span, "").help("put it under the table's new name"));
        }
    }
}

/// The error that a table has no such column.
pub(super) fn unknown_column(name: &str, table: &Table, side: &str) -> Diagnostic {
    Diagnostic::error("unknown-column", format!("the {side} snapshot has no column `{name}` in `{}`", table.name))
}

/// The hints of a column, when it has any that speak of its values.
pub(super) fn has_value_hints(hints: Option<&ColumnHints>) -> bool {
    hints.is_some_and(|hints| hints.up.is_some() || hints.down.is_some() || hints.values.is_some())
}

fn primary_key<'a>(
    old: &'a Table,
    new: &'a Table,
    old_side: Side<'_, 'a>,
    new_side: Side<'_, 'a>,
) -> Option<Pair<'a, crate::snapshot::model::PrimaryKey>> {
    let (old, new) = (old.primary_key.as_ref(), new.primary_key.as_ref());
    let equal = old.zip(new).is_some_and(|(old, new)| old.meaning(old_side) == new.meaning(new_side));
    if old.is_none() && new.is_none() { None } else { Some(Pair { old, new, equal }) }
}

/// Whether a pair differs in any way, its name included.
pub(super) fn pair_differs<T: Meaning>(pair: &Pair<'_, T>) -> bool {
    let shown = |thing: Option<&T>| thing.map(|thing| (thing.name().text.clone(), thing.comment().map(str::to_owned)));
    !pair.equal || shown(pair.old) != shown(pair.new)
}

fn differs(change: &TableChange<'_>) -> bool {
    change.old.name != change.new.name
        || change.old.comment != change.new.comment
        || change.columns.iter().any(|pair| pair.facets.any() || pair.old.is_none() || pair.new.is_none())
        || !change.lenses.is_empty()
        || change.primary_key.as_ref().is_some_and(pair_differs)
        || change.uniques.iter().any(pair_differs)
        || change.foreign_keys.iter().any(pair_differs)
        || change.checks.iter().any(pair_differs)
        || change.exclusions.iter().any(pair_differs)
        || change.indexes.iter().any(pair_differs)
}
