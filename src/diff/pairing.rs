//! Which object of the old schema is which of the new: by name, and by `renamed_from`.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::{RenamedFrom, Type, TypeKind};

use super::Context;
use super::names::{did_you_mean, yaml};

/// Old names and what they became. What was dropped has no entry.
#[derive(Debug, Default)]
pub(super) struct Renames<'a> {
    pub(super) enums: HashMap<&'a str, &'a str>,
    pub(super) tables: HashMap<&'a str, &'a str>,
    /// Whether any table was renamed.
    pub(super) any_table: bool,
    /// By old table, then old column.
    pub(super) columns: HashMap<&'a str, HashMap<&'a str, &'a str>>,
}

impl<'a> Renames<'a> {
    /// The new name of an old table's column.
    pub(super) fn column(&self, table: &str, column: &str) -> Option<&'a str> {
        self.columns.get(table)?.get(column).copied()
    }

    /// Whether an old type is the same as a new one, enums compared through their renames.
    pub(super) fn same_type(&self, old: &Type, new: &Type) -> bool {
        match (&old.kind, &new.kind) {
            (TypeKind::Enum(old_name), TypeKind::Enum(new_name)) => {
                old.array_dimensions == new.array_dimensions && self.enums.get(old_name.as_str()) == Some(&new_name.as_str())
            }
            _ => old == new,
        }
    }
}

/// An old and a new name, one of which may be missing.
pub(super) type NamePair<'a> = (Option<&'a str>, Option<&'a str>);

/// Pairs names: those of the new side in their order, then the dropped ones in the old order. `noun` says what they name
/// ("column"), `of` where (" of `users`").
pub(super) fn pair_names<'a>(
    noun: &str,
    of: &str,
    old: &[&'a str],
    new: &[&'a str],
    hint: impl Fn(&str) -> Option<&'a RenamedFrom>,
    said: &mut Vec<Diagnostic>,
) -> Vec<NamePair<'a>> {
    let old_names: HashMap<&str, &'a str> = old.iter().map(|name| (*name, *name)).collect();
    let new_names: HashSet<&str> = new.iter().copied().collect();
    // Old name → the new one that claims it by hint. Hints first: in a swap each name stands on both sides.
    let mut claims: HashMap<&'a str, &'a str> = HashMap::new();
    let mut source: HashMap<&'a str, &'a str> = HashMap::new();
    for &name in new {
        let Some(renamed) = hint(name) else { continue };
        let Some(from) = renamed.name.as_deref() else {
            if old_names.contains_key(name) && !new.iter().any(|other| hint(other).is_some_and(|h| h.name.as_deref() == Some(name))) {
                let message = format!("{noun} `{name}`{of} can't be new: the old snapshot has it");
                said.push(Diagnostic::error("stale-rename", message).at(renamed.span, "").help("delete `renamed_from: null`"));
            }
            continue;
        };
        match old_names.get(from) {
            Some(&from) => match claims.get(from) {
                Some(other) => {
                    let message = format!("{noun} `{from}`{of} can't become both `{other}` and `{name}`");
                    let error = Diagnostic::error("rename-taken", message).at(renamed.span, "");
                    said.push(error.help("keep one `renamed_from`; give the other its values by `up`"));
                }
                None => {
                    claims.insert(from, name);
                    source.insert(name, from);
                }
            },
            None => {
                let message = format!("`renamed_from: {from}` no longer applies: the old snapshot has no {noun} `{from}`{of}");
                let error = Diagnostic::error("stale-rename", message).at(renamed.span, "");
                let gone = old.iter().copied().filter(|old| !new_names.contains(old));
                let advice = did_you_mean(from, gone).unwrap_or_else(|| {
                    if old_names.contains_key(name) {
                        format!("both snapshots have `{name}`: delete `renamed_from`")
                    } else {
                        format!("delete it, or write `renamed_from: null` to say that `{}` is new", yaml(name))
                    }
                });
                said.push(error.help(advice));
            }
        }
    }
    for &name in new {
        if let (false, Some(&from)) = (source.contains_key(name), old_names.get(name))
            && !claims.contains_key(from)
        {
            claims.insert(from, name);
            source.insert(name, from);
        }
    }
    let kept = new.iter().map(|name| (source.get(name).copied(), Some(*name)));
    let dropped = old.iter().filter(|name| !claims.contains_key(**name)).map(|name| (Some(*name), None));
    kept.chain(dropped).collect()
}

impl<'a> Context<'a> {
    /// Pairs enums, sorted by name, and remembers their renames.
    pub(super) fn pair_enums(&mut self) -> Vec<NamePair<'a>> {
        let (old, new) = (sorted(self.old.enums.keys()), sorted(self.new.enums.keys()));
        let hints = self.transition.map(|transition| &transition.enums);
        if let Some(hints) = hints {
            for (name, hint) in sorted_entries(hints) {
                if !self.new.enums.contains_key(name) {
                    let mut error = Diagnostic::error("unknown-type", format!("the new snapshot has no enum `{name}`")).at(hint.span, "");
                    error.help.extend(did_you_mean(name, new.iter().copied()));
                    self.said.push(error);
                }
            }
        }
        let hint = |name: &str| hints?.get(name)?.renamed_from.as_ref();
        let pairs = pair_names("enum", "", &old, &new, hint, &mut self.said);
        self.renames.enums = kept(&pairs);
        by_shown_name(pairs)
    }

    /// Pairs tables, sorted by name, and their columns, and remembers the renames.
    pub(super) fn pair_tables(&mut self) -> Vec<(NamePair<'a>, Vec<NamePair<'a>>)> {
        let (old, new) = (sorted(self.old.tables.keys()), sorted(self.new.tables.keys()));
        let hints = self.transition.map(|transition| &transition.tables);
        let hint = |name: &str| hints?.get(name)?.renamed_from.as_ref();
        let pairs = by_shown_name(pair_names("table", "", &old, &new, hint, &mut self.said));
        self.renames.tables = kept(&pairs);
        self.renames.any_table = pairs.iter().any(|(old, new)| old.is_some() && new.is_some() && old != new);
        if let Some(hints) = hints {
            let dropped: HashSet<&str> = pairs.iter().filter(|(_, new)| new.is_none()).filter_map(|(old, _)| *old).collect();
            for (name, hint) in sorted_entries(hints) {
                if !self.new.tables.contains_key(name) && !dropped.contains(name) {
                    let message = match self.renames.tables.get(name) {
                        Some(now) => format!("table `{name}` is called `{now}` in the new snapshot"),
                        None => format!("neither snapshot has a table `{name}`"),
                    };
                    let mut error = Diagnostic::error("unknown-table", message).at(hint.span, "");
                    let known = new.iter().chain(dropped_in_order(&old, &dropped).iter()).copied().collect::<Vec<_>>();
                    error.help.extend(match self.renames.tables.get(name) {
                        Some(now) => Some(format!("put these hints under `{}`", yaml(now))),
                        None => did_you_mean(name, known),
                    });
                    self.said.push(error);
                }
            }
        }
        let mut all = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let columns = match pair {
                (Some(old_name), Some(new_name)) => self.pair_columns(old_name, new_name),
                _ => Vec::new(),
            };
            if let (Some(old_name), Some(_)) = pair {
                self.renames.columns.insert(old_name, kept(&columns));
            }
            all.push((pair, columns));
        }
        all
    }

    fn pair_columns(&mut self, old_table: &str, new_table: &str) -> Vec<NamePair<'a>> {
        let (Some(old), Some(new)) = (self.old.tables.get(old_table), self.new.tables.get(new_table)) else { return Vec::new() };
        let old_names: Vec<&str> = old.columns.keys().map(String::as_str).collect();
        let new_names: Vec<&str> = new.columns.keys().map(String::as_str).collect();
        let hints = self.transition.and_then(|transition| transition.tables.get(new_table)).map(|hints| &hints.columns);
        let hint = |name: &str| hints?.get(name)?.renamed_from.as_ref();
        pair_names("column", &format!(" of `{new_table}`"), &old_names, &new_names, hint, &mut self.said)
    }
}

fn dropped_in_order<'a>(old: &[&'a str], dropped: &HashSet<&str>) -> Vec<&'a str> {
    old.iter().copied().filter(|name| dropped.contains(name)).collect()
}

fn kept<'a>(pairs: &[NamePair<'a>]) -> HashMap<&'a str, &'a str> {
    pairs.iter().filter_map(|(old, new)| old.zip(*new)).collect()
}

/// Names in their order.
pub(super) fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Entries in the order of their names.
pub(super) fn sorted_entries<T>(map: &indexmap::IndexMap<String, T>) -> Vec<(&str, &T)> {
    let mut entries: Vec<(&str, &T)> = map.iter().map(|(name, value)| (name.as_str(), value)).collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}

/// By the new name, or the old one of what is dropped; a dropped object stands before the one that takes its name.
fn by_shown_name(mut pairs: Vec<NamePair<'_>>) -> Vec<NamePair<'_>> {
    pairs.sort_by_key(|(old, new)| (new.or(*old), new.is_some()));
    pairs
}
