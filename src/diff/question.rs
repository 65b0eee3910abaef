//! Questions: a dropped and an added thing that look alike, and no hint that says whether they are one.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::{Column, Table};

use super::family::same_family;
use super::model::ColumnPair;
use super::names::{columns_place, yaml};
use super::pairing::NamePair;
use super::{AssumeDrop, Context};

/// Column names that so many dropped tables have say nothing of any of them.
const COMMON: usize = 32;

/// Asks about dropped and added tables that have mostly the same columns.
pub(super) fn tables<'a>(context: &mut Context<'a>, pairs: &[(NamePair<'a>, Vec<NamePair<'a>>)]) {
    if context.options.assume_drop == AssumeDrop::Unrelated {
        return;
    }
    let dropped: Vec<&Table> =
        pairs.iter().filter(|((_, new), _)| new.is_none()).filter_map(|((old, _), _)| context.old.tables.get((*old)?)).collect();
    let mut by_column: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, table) in dropped.iter().enumerate() {
        for column in table.columns.keys() {
            by_column.entry(column).or_default().push(at);
        }
    }
    let mut questions = Vec::new();
    for ((old, new), _) in pairs {
        let (None, Some(new)) = (old, new.and_then(|name| context.new.tables.get(name))) else { continue };
        if context.hints_of(new).is_some_and(|hints| hints.from.is_some() || hints.renamed_from.is_some()) {
            continue;
        }
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for (name, column) in &new.columns {
            for &at in by_column.get(name.as_str()).map(Vec::as_slice).filter(|tables| tables.len() <= COMMON).unwrap_or_default() {
                if dropped.get(at).and_then(|table| table.columns.get(name)).is_some_and(|old| same_family(&old.ty, &column.ty)) {
                    *shared.entry(at).or_default() += 1;
                }
            }
        }
        // Candidates in the order of their names: the positions are sorted so.
        let candidates: Vec<&Table> = (0..dropped.len())
            .filter_map(|at| {
                let table = dropped.get(at)?;
                let most = table.columns.len().max(new.columns.len());
                (*shared.get(&at)? * 2 > most).then_some(*table)
            })
            .collect();
        if candidates.is_empty() {
            continue;
        }
        let names: Vec<String> = candidates.iter().map(|table| format!("`{}`", table.name)).collect();
        let message = format!("is table `{}` new, or is it {} under another name?", new.name, names.join(" or "));
        let mut question = Diagnostic::error("ambiguous-rename", message).at(new.span, "");
        for table in &candidates {
            let line = format!("the same table: `{}: {{renamed_from: {}}}` under transition/tables", yaml(&new.name), yaml(&table.name));
            question = question.help(line);
        }
        questions.push(question.help(format!("a new one: `{}: {{renamed_from: null}}` under transition/tables", yaml(&new.name))));
    }
    context.said.extend(questions);
}

impl<'a> Context<'a> {
    /// Asks about dropped and added columns of one family of types that no hint connects; `connected` are those that some
    /// hint speaks of. Returns the positions of the columns that a question is open on.
    pub(super) fn ask_about_columns(&mut self, table: &Table, columns: &[ColumnPair<'a>], connected: &HashSet<usize>) -> HashSet<usize> {
        let mut asked = HashSet::new();
        if self.options.assume_drop == AssumeDrop::Unrelated {
            return asked;
        }
        let free = |at: &usize| !connected.contains(at);
        let dropped: Vec<(usize, &Column)> =
            columns.iter().enumerate().filter_map(|(at, pair)| if pair.new.is_none() { Some((at, pair.old?)) } else { None }).collect();
        for (at, pair) in columns.iter().enumerate().filter(|(at, _)| free(at)) {
            let (None, Some(new)) = (pair.old, pair.new) else { continue };
            if pair.hints.is_some_and(|hints| hints.renamed_from.is_some()) {
                continue;
            }
            let mut alike: Vec<(usize, &Column)> = dropped
                .iter()
                .copied()
                .filter(|(at, old)| free(at) && same_family(&old.ty, &new.ty) && old.generated.is_some() == new.generated.is_some())
                .collect();
            if alike.is_empty() {
                continue;
            }
            alike.sort_by_key(|(_, old)| (strsim::damerau_levenshtein(&old.name, &new.name), &old.name));
            asked.insert(at);
            asked.extend(alike.iter().map(|(at, _)| *at));
            let names: Vec<String> = alike.iter().map(|(_, old)| format!("`{}`", old.name)).collect();
            let message = format!("is column `{}` of `{}` new, or is it {} under another name?", new.name, table.name, names.join(" or "));
            let place = columns_place(&table.name);
            let mut question = Diagnostic::error("ambiguous-rename", message).at(new.span, "");
            for (_, old) in &alike {
                let line = format!("the same column: `{}: {{renamed_from: {}}}` under {place}", yaml(&new.name), yaml(&old.name));
                question = question.help(line);
            }
            self.said.push(question.help(format!("a new one: `{}: {{renamed_from: null}}` under {place}", yaml(&new.name))));
        }
        asked
    }
}
