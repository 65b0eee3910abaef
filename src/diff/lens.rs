//! Lenses: which columns carry the same information in two shapes, and how each follows from the others.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::diagnostic::{Diagnostic, Span};
use crate::snapshot::model::{Column, ColumnHints, Expr, OnConflict, Schema, Table, TableHints};
use crate::sql::expression::{self, References};

use super::Context;
use super::enums::EnumShape;
use super::family::same_family;
use super::meaning::SchemaScope;
use super::model::{ColumnPair, Direction, Lens, LensColumn, Mapping};
use super::names::{columns_place, did_you_mean, yaml};
use super::pairing::{sorted, sorted_entries};
use super::tables::{has_value_hints, unknown_column};

/// What a column pair is to the lenses.
#[derive(Debug, Clone, Copy, Default)]
struct Member<'a> {
    /// The new column's value.
    up: Option<Mapping<'a>>,
    /// The old column's value.
    down: Option<Mapping<'a>>,
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Role {
    /// Both versions have it as it is: at most an input.
    #[default]
    Common,
    /// Both versions have it, and an `up` fills its NULLs.
    Filled,
    /// A part of a lens.
    Part,
    /// Only one version has it, and nothing is said of it: a part if something reads it.
    Loose,
}

/// Disjoint sets of column pairs.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut at: usize) -> usize {
        while let Some(&parent) = self.0.get(at).filter(|parent| **parent != at) {
            // Halve the path.
            if let Some(&grandparent) = self.0.get(parent)
                && let Some(slot) = self.0.get_mut(at)
            {
                *slot = grandparent;
            }
            at = parent;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The first column names the set.
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

/// Which side's names an expression uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Old,
    New,
}

impl<'a> Context<'a> {
    /// Whether values of an old column may be no values of its new type, or be called or sorted otherwise, though the enum is the same.
    pub(super) fn changes_values(&self, old: &Column, shapes: &HashMap<&'a str, EnumShape<'a>>) -> bool {
        enum_shape(old, shapes).is_some_and(EnumShape::changes_values)
    }

    /// The lenses of a table, and everything that its hints lack.
    pub(super) fn lenses(
        &mut self,
        old: &'a Table,
        new: &'a Table,
        columns: &[ColumnPair<'a>],
        shapes: &HashMap<&'a str, EnumShape<'a>>,
        read_by_mirrors: &[String],
    ) -> Vec<Lens<'a>> {
        let mut members: Vec<Member<'a>> = columns.iter().map(|pair| self.member(new, pair, shapes)).collect();
        let old_at: HashMap<String, usize> = positions(columns, |pair| pair.old, self.dialect);
        let new_at: HashMap<String, usize> = positions(columns, |pair| pair.new, self.dialect);

        // Which column reads which, by position.
        let mut reads: Vec<(usize, usize)> = Vec::new();
        for (at, member) in members.iter().enumerate() {
            if let Some(Mapping::Expression(expr)) = member.up {
                reads.extend(self.columns_of(expr, "up", Names::Old, old, &old_at).into_iter().map(|read| (at, read)));
            }
            if let Some(Mapping::Expression(expr)) = member.down {
                reads.extend(self.columns_of(expr, "down", Names::New, new, &new_at).into_iter().map(|read| (at, read)));
            }
        }
        for pair in columns {
            if let Some(backfill) = pair.hints.and_then(|hints| hints.backfill.as_ref()) {
                self.columns_of(backfill, "backfill", Names::Old, old, &old_at);
            }
        }

        let role = |members: &[Member<'_>], at: usize| members.get(at).map_or(Role::Common, |member| member.role);
        let mut connected: HashSet<usize> = reads.iter().map(|(_, read)| *read).collect();
        connected.extend(columns.iter().enumerate().filter(|(_, pair)| has_value_hints(pair.hints)).map(|(at, _)| at));
        connected.extend(read_by_mirrors.iter().filter_map(|name| old_at.get(name)).copied());
        let asked = self.ask_about_columns(new, columns, &connected);
        for (at, pair) in columns.iter().enumerate() {
            if !asked.contains(&at) {
                self.ask_for_values(new, pair);
            }
        }

        let mut sets = Sets((0..columns.len()).collect());
        let mut part: Vec<bool> = members.iter().map(|member| matches!(member.role, Role::Part | Role::Filled)).collect();
        for &(reader, read) in &reads {
            match role(&members, read) {
                Role::Common | Role::Filled => {}
                Role::Part | Role::Loose => {
                    sets.join(reader, read);
                    if let Some(flag) = part.get_mut(read) {
                        *flag = true;
                    }
                }
            }
        }

        let mut grouped: Vec<Vec<usize>> = vec![Vec::new(); columns.len()];
        for at in (0..columns.len()).filter(|at| part.get(*at).copied().unwrap_or(false)) {
            let root = sets.root(at);
            if let Some(group) = grouped.get_mut(root) {
                group.push(at);
            }
        }
        // A column that is filled and bound to others is no mere filling: the old version sees what the new one wrote.
        for group in grouped.iter().filter(|group| group.len() > 1) {
            for &at in group {
                if let (Some(member), Some(pair)) = (members.get_mut(at), columns.get(at))
                    && member.role == Role::Filled
                    && let Some(column) = pair.new
                {
                    member.down = member.down.or(Some(Mapping::Copy(&column.name)));
                }
            }
        }
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|at| columns.get(*at).and_then(|pair| old.columns.get_index_of(&pair.old?.name)));
        grouped.into_iter().filter(|group| !group.is_empty()).map(|group| lens(&group, &order, columns, &members, &reads, new)).collect()
    }

    fn member(&mut self, table: &Table, pair: &ColumnPair<'a>, shapes: &HashMap<&'a str, EnumShape<'a>>) -> Member<'a> {
        let hints = pair.hints;
        let up = hints.and_then(|hints| hints.up.as_ref());
        let down = hints.and_then(|hints| hints.down.as_ref());
        let place = columns_place(&table.name);
        match (pair.old, pair.new) {
            (None, Some(new)) => {
                if let Some(down) = down {
                    let message = format!("`{}.{}` is new, so that the old version sees nothing of it", table.name, new.name);
                    let error = Diagnostic::error("misplaced-hint", message).at(down.span, "");
                    self.said.push(error.help(format!("put `down` under the old column that follows from it, in {place}")));
                }
                self.misplaced_values(table, pair, &new.name, &place);
                let role = if up.is_some() { Role::Part } else { Role::Loose };
                Member { up: up.map(Mapping::Expression), down: None, role }
            }
            (Some(old), None) => {
                if let Some(up) = up {
                    let message = format!("`{}.{}` is dropped, so that the new version sees nothing of it", table.name, old.name);
                    let error = Diagnostic::error("misplaced-hint", message).at(up.span, "");
                    self.said.push(error.help(format!("put `up` under the new column that follows from it, in {place}")));
                }
                self.misplaced_values(table, pair, &old.name, &place);
                if let Some(renamed) = hints.and_then(|hints| hints.renamed_from.as_ref()) {
                    let message = format!("`{}.{}` is dropped, so that `renamed_from` says nothing", table.name, old.name);
                    let error = Diagnostic::error("stale-rename", message).at(renamed.span, "");
                    self.said.push(error.help(format!("put `renamed_from: {}` under the column's new name, in {place}", yaml(&old.name))));
                }
                let role = if down.is_some() { Role::Part } else { Role::Loose };
                Member { up: None, down: down.map(Mapping::Expression), role }
            }
            (Some(old), Some(new)) => self.kept(table, pair, old, new, shapes),
            (None, None) => Member::default(),
        }
    }

    /// Says that `values` needs both shapes of a column.
    fn misplaced_values(&mut self, table: &Table, pair: &ColumnPair<'a>, name: &str, place: &str) {
        if let Some(values) = pair.hints.and_then(|hints| hints.values.as_ref()) {
            let message = format!("`values` of `{}.{name}` has no other shape to map", table.name);
            let error = Diagnostic::error("misplaced-hint", message).at(values.span, "");
            let advice = match pair.new {
                Some(_) => format!("say which old column it was: `{}: {{renamed_from: …, values: …}}` under {place}", yaml(name)),
                None => format!("put them under the new column that it becomes, with `renamed_from: {}`, in {place}", yaml(name)),
            };
            self.said.push(error.help(advice));
        }
    }

    fn kept(
        &mut self,
        table: &Table,
        pair: &ColumnPair<'a>,
        old: &'a Column,
        new: &'a Column,
        shapes: &HashMap<&'a str, EnumShape<'a>>,
    ) -> Member<'a> {
        let none = ColumnHints::default();
        let hints = pair.hints;
        let up = hints.and_then(|hints| hints.up.as_ref()).map(Mapping::Expression);
        let down = self.down_of(table, old, hints).map(Mapping::Expression);
        let values = hints.and_then(|hints| hints.values.as_ref());
        match (&old.generated, &new.generated) {
            // The server computes both shapes.
            (Some(_), Some(_)) => return Member::default(),
            // What it computed for the old version is the new one's, until that says otherwise.
            (Some(generated), None) if values.is_none() => {
                return Member { up: up.or(Some(Mapping::Expression(&generated.expression))), down, role: Role::Part };
            }
            (None, Some(generated)) if values.is_none() => {
                return Member { up, down: down.or(Some(Mapping::Expression(&generated.expression))), role: Role::Part };
            }
            (Some(_), None) | (None, Some(_)) | (None, None) => {}
        }
        if let (Some(hints), Some(values)) = (hints, values) {
            self.check_values(table, old, new, hints, values, down);
            let by_list = |name: &'a str, direction| Some(Mapping::Values(name, values, direction));
            return Member {
                up: up.or_else(|| by_list(&old.name, Direction::Up)),
                down: down.or_else(|| by_list(&new.name, Direction::Down)),
                role: Role::Part,
            };
        }
        if pair.facets.ty {
            let same_enum = self.renames.same_type(&old.ty, &new.ty);
            let shape = enum_shape(old, shapes).filter(|_| same_enum);
            let casts = match shape {
                Some(shape) => shape.dropped.is_empty(),
                None => same_family(&old.ty, &new.ty),
            };
            if !casts && !shape.is_some_and(|shape| shape.asked) {
                self.ask_for_casts(table, old, new, hints.unwrap_or(&none), shape, down);
            }
            let cast = |name: &'a str| if casts { Some(Mapping::Cast(name)) } else { None };
            return Member { up: up.or_else(|| cast(&old.name)), down: down.or_else(|| cast(&new.name)), role: Role::Part };
        }
        if pair.facets.collation {
            // The same values, compared and sorted otherwise: two columns, each a copy of the other.
            let copy = |name: &'a str| Some(Mapping::Cast(name));
            return Member { up: up.or_else(|| copy(&old.name)), down: down.or_else(|| copy(&new.name)), role: Role::Part };
        }
        if pair.facets.name {
            return Member { up: up.or(Some(Mapping::Copy(&old.name))), down: down.or(Some(Mapping::Copy(&new.name))), role: Role::Part };
        }
        let (tightened, loosened) = (!old.not_null && new.not_null, old.not_null && !new.not_null);
        let name = &new.name;
        match (up, down) {
            (None, None) => Member::default(),
            (Some(_), Some(_)) => Member { up, down, role: Role::Part },
            (Some(_), None) if tightened => Member { up, down: None, role: Role::Filled },
            (None, Some(_)) if loosened => Member { up: Some(Mapping::Copy(&old.name)), down, role: Role::Part },
            (Some(_), None) => {
                let message = format!("`up` changes the values of `{}.{name}`: what does the old version see of them?", table.name);
                self.ask(Diagnostic::error("needs-down", message), table, name, hints, "down", "new");
                Member { up, down: None, role: Role::Part }
            }
            (None, Some(_)) => {
                let message = format!("`down` changes the values of `{}.{name}`: what does the new version see of them?", table.name);
                self.ask(Diagnostic::error("needs-up", message), table, name, hints, "up", "old");
                Member { up: None, down, role: Role::Part }
            }
        }
    }

    /// Asks for `key` (`up` or `down`) of a column; `row` says whose names it uses.
    fn ask(&mut self, error: Diagnostic, table: &Table, name: &str, hints: Option<&ColumnHints>, key: &str, row: &str) {
        let span = hints.map(|hints| hints.span).filter(|span| !span.is_nowhere());
        let span = span.or_else(|| table.columns.get(name).map(|column| column.span)).unwrap_or_default();
        let paste = format!("`{}: {{{key}: \"…\"}}` under {}, an expression over the {row} row", yaml(name), columns_place(&table.name));
        self.said.push(error.at(span, "").help(format!("say it: {paste}")));
    }

    /// The `down` of a column that both sides have. It speaks of the old column, so that it may stand under the old name of a
    /// renamed column, too.
    fn down_of(&self, table: &Table, old: &Column, hints: Option<&'a ColumnHints>) -> Option<&'a Expr> {
        let own = hints.and_then(|hints| hints.down.as_ref());
        let by_old_name = || {
            let hints = self.hints_of(table).filter(|_| !table.columns.contains_key(&old.name))?;
            hints.columns.get(&old.name)?.down.as_ref()
        };
        own.or_else(by_old_name)
    }

    fn ask_for_casts(
        &mut self,
        table: &Table,
        old: &Column,
        new: &Column,
        hints: &ColumnHints,
        shape: Option<&EnumShape<'_>>,
        down: Option<Mapping<'_>>,
    ) {
        if hints.up.is_some() && down.is_some() {
            return;
        }
        let name = &new.name;
        let place = columns_place(&table.name);
        let missing: Vec<&str> = [("up", hints.up.is_none()), ("down", down.is_none())]
            .into_iter()
            .filter(|(_, missing)| *missing)
            .map(|(key, _)| key)
            .collect();
        let paste = missing.iter().map(|key| format!("{key}: \"…\"")).collect::<Vec<_>>().join(", ");
        let (message, first) = match shape {
            Some(shape) => {
                let gone = shape.dropped.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
                let what = if shape.dropped.len() == 1 { "is no value" } else { "are no values" };
                (
                    format!("{gone} {what} of `{}.{name}` any more: what becomes of rows that have it?", table.name),
                    format!("`{}: {{values: {{…}}}}` under {place}, with each old value and its new one", yaml(name)),
                )
            }
            None => (
                format!("the type of `{}.{name}` changes to one that no cast leads to and back from by itself", table.name),
                format!("`{}: {{{paste}}}` under {place}; `up` is over the old row, `down` over the new one", yaml(name)),
            ),
        };
        let span = if hints.span.is_nowhere() { new.span } else { hints.span };
        let mut error = Diagnostic::error("needs-cast", message).at(span, "").help(format!("say it: {first}"));
        if shape.is_none() && missing.len() == 2 {
            error = error.help(format!("or list the values: `{}: {{values: {{…}}}}`", yaml(name)));
        }
        if old.name != new.name {
            error = error.help(format!("or, if it is another column, `{}: {{renamed_from: null}}`", yaml(name)));
        }
        self.said.push(error);
    }

    /// Asks for what a column that only one version knows needs, when the other version writes the row.
    fn ask_for_values(&mut self, table: &Table, pair: &ColumnPair<'a>) {
        match (pair.old, pair.new) {
            (None, Some(new)) if lacks_value(new) && pair.hints.is_none_or(|hints| hints.up.is_none()) => {
                let message =
                    format!("`{}.{}` is NOT NULL and has no default: what is its value in rows of the old version?", table.name, new.name);
                self.ask(Diagnostic::error("needs-up", message), table, &new.name, pair.hints, "up", "old");
            }
            (Some(old), None) if lacks_value(old) && pair.hints.is_none_or(|hints| hints.down.is_none()) => {
                let message = format!(
                    "`{}.{}` is dropped, is NOT NULL and has no default: what does the old version see in rows of the new one?",
                    table.name, old.name
                );
                let place = columns_place(&table.name);
                let error = Diagnostic::error("needs-down", message).at(old.span, "");
                let error = error
                    .help(format!("say it: `{}: {{down: \"…\"}}` under {place}, an expression over the new row", yaml(&old.name)))
                    .help(format!("or let old readers see NULL: `{}: {{down: \"null\"}}`", yaml(&old.name)));
                self.said.push(error);
            }
            (None | Some(_), None | Some(_)) => {}
        }
    }

    /// The positions of the columns that an expression reads.
    fn columns_of(&mut self, expr: &'a Expr, key: &str, names: Names, table: &Table, at: &HashMap<String, usize>) -> Vec<usize> {
        let Some(found) = self.references(expr, key, names, table) else { return Vec::new() };
        found.columns.iter().filter_map(|column| at.get(&folded(&column.name, self.dialect)).copied()).collect()
    }

    /// What an expression over a row of one side's table refers to. Says what is wrong with it.
    fn references(&mut self, expr: &Expr, key: &str, names: Names, table: &Table) -> Option<References> {
        let (schema, side): (&'a Schema, &str) = match names {
            Names::Old => (self.old, "old"),
            Names::New => (self.new, "new"),
        };
        let found = match expression::row_references(&expr.text, self.dialect, &table.name, &SchemaScope(schema)) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("`{key}` is no expression over the {side} row of `{}`: {}", table.name, error.message);
                let span = within(expr, error.offset..error.offset);
                self.said.push(Diagnostic::error("bad-sql", message).at(span, ""));
                return None;
            }
        };
        let mut said = HashSet::new();
        for column in &found.columns {
            let known = table.columns.keys().any(|name| folded(name, self.dialect) == folded(&column.name, self.dialect));
            if known || !said.insert(&column.name) {
                continue;
            }
            let mut error = unknown_column(&column.name, table, side).at(within(expr, column.span.clone()), "");
            let other = match names {
                Names::Old => self.renames.tables.get(table.name.as_str()).and_then(|name| self.new.tables.get(*name)),
                Names::New => None,
            };
            error.help.extend(did_you_mean(&column.name, table.columns.keys().map(String::as_str)));
            if other.is_some_and(|other| other.columns.contains_key(&column.name)) {
                error = error.help(format!("`{key}` is over the old row and uses its names"));
            } else if names == Names::New && error.help.is_empty() {
                error = error.help(format!("`{key}` is over the new row and uses its names"));
            }
            self.said.push(error);
        }
        for read in &found.tables {
            if read.schema.is_none() && !schema.tables.contains_key(&read.name) && !schema.views.contains_key(&read.name) {
                let message = format!("the {side} snapshot has no table `{}`", read.name);
                let mut error = Diagnostic::error("unknown-table", message).at(within(expr, read.span.clone()), "");
                error.help.extend(did_you_mean(&read.name, sorted(schema.tables.keys())));
                self.said.push(error);
            }
        }
        Some(found)
    }

    /// By old table, the columns of it that rows of new tables are made from.
    pub(super) fn mirrors(&mut self) -> HashMap<&'a str, Vec<String>> {
        let mut read: HashMap<&'a str, Vec<String>> = HashMap::new();
        let Some(transition) = self.transition else { return read };
        for (_, hints) in sorted_entries(&transition.tables) {
            let Some(old) = hints.from.as_ref().and_then(|source| self.old.tables.get(&source.table)) else { continue };
            let ups = hints.columns.values().filter_map(|hints| hints.up.as_ref());
            for expr in hints.key.values().chain(ups) {
                if let Ok(found) = expression::row_references(&expr.text, self.dialect, &old.name, &SchemaScope(self.old)) {
                    let names = found.columns.iter().map(|column| folded(&column.name, self.dialect));
                    read.entry(&old.name).or_default().extend(names);
                }
            }
        }
        read
    }

    /// Checks the hints of a new table.
    pub(super) fn check_added(&mut self, table: &'a Table, hints: Option<&'a TableHints>) {
        let Some(hints) = hints else { return };
        let source_columns = hints.from.as_ref().and_then(|source| self.old.tables.get(&source.table)).map(|old| &old.columns);
        for (name, hint) in sorted_entries(&hints.columns) {
            // Under the name of a column of the source stands what the new row says of it.
            let of_source = hint.down.is_some() && source_columns.is_some_and(|columns| columns.contains_key(name));
            if !table.columns.contains_key(name) && !of_source {
                let mut error = unknown_column(name, table, "new").at(hint.span, "");
                error.help.extend(did_you_mean(name, table.columns.keys().map(String::as_str)));
                self.said.push(error);
            }
        }
        let Some(source) = &hints.from else {
            for (name, hint) in sorted_entries(&hints.columns).into_iter().filter(|(_, hint)| has_value_hints(Some(hint))) {
                let message = format!("table `{}` is new and has no `from`, so that no old row gives `{name}` a value", table.name);
                self.said.push(
                    Diagnostic::error("misplaced-hint", message).at(hint.span, "").help(
                        "say which old table its rows come from: `from: …` and `key: {…}`, or `renamed_from: …` if it is an old table",
                    ),
                );
            }
            return;
        };
        let Some(old) = self.old.tables.get(&source.table) else {
            let mut error =
                Diagnostic::error("unknown-table", format!("the old snapshot has no table `{}`", source.table)).at(source.span, "");
            error.help.extend(did_you_mean(&source.table, sorted(self.old.tables.keys())));
            self.said.push(error);
            return;
        };
        if let Some(predicate) = &source.predicate {
            self.references(predicate, "where", Names::Old, old);
        }
        if hints.key.is_empty() {
            let message = format!("`from` of `{}` needs a `key` that says which old row a new row belongs to", table.name);
            let error = Diagnostic::error("needs-key", message).at(source.span, "");
            self.said.push(error.help("add `key: {NEW_COLUMN: OLD_EXPRESSION}`"));
        }
        for (name, expr) in sorted_entries(&hints.key) {
            if !table.columns.contains_key(name) {
                let mut error = unknown_column(name, table, "new").at(expr.span, "");
                error.help.extend(did_you_mean(name, table.columns.keys().map(String::as_str)));
                self.said.push(error);
            }
            self.references(expr, "key", Names::Old, old);
        }
        for (name, hint) in sorted_entries(&hints.columns) {
            if let Some(up) = &hint.up {
                self.references(up, "up", Names::Old, old);
            }
            if let Some(down) = hint.down.as_ref().filter(|_| !old.columns.contains_key(name)) {
                let mut error = unknown_column(name, old, "old").at(down.span, "`down` gives a column of the old table its value");
                error.help.extend(did_you_mean(name, sorted(old.columns.keys())));
                self.said.push(error);
            }
            let foreign = [
                ("values", hint.values.is_some()),
                ("renamed_from", hint.renamed_from.is_some()),
                ("backfill", hint.backfill.is_some()),
                ("enforce", hint.enforce.is_some()),
                ("on_conflict", hint.on_conflict != OnConflict::New),
            ];
            for (word, _) in foreign.into_iter().filter(|(_, written)| *written) {
                let message = format!("`{word}` of `{}.{name}` is for a column of a table that both versions have", table.name);
                self.said.push(
                    Diagnostic::error("misplaced-hint", message)
                        .at(hint.span, "this table's rows come from another one")
                        .help("say with `up` what its value is in the new table, and with `down` what it is in the old one"),
                );
            }
        }
        let in_key = |column: &Column| hints.key.is_empty() || hints.key.contains_key(&column.name);
        for column in table.columns.values().filter(|column| lacks_value(column) && !in_key(column)) {
            let hint = hints.columns.get(&column.name);
            if hint.is_none_or(|hint| hint.up.is_none()) {
                let message = format!(
                    "`{}.{}` is NOT NULL and has no default: what is its value in rows that come from `{}`?",
                    table.name, column.name, old.name
                );
                self.ask(Diagnostic::error("needs-up", message), table, &column.name, hint, "up", "old");
            }
        }
    }
}

fn lens<'a>(
    group: &[usize],
    old_order: &[usize],
    columns: &[ColumnPair<'a>],
    members: &[Member<'a>],
    reads: &[(usize, usize)],
    new: &'a Table,
) -> Lens<'a> {
    let inside: HashSet<usize> = group.iter().copied().collect();
    let read: HashSet<usize> = reads.iter().filter(|(reader, _)| inside.contains(reader)).map(|(_, read)| *read).collect();
    let side = |at: usize, column: Option<&'a Column>, mapping: Option<Mapping<'a>>| {
        Some(LensColumn { column: column?, mapping, hints: columns.get(at).and_then(|pair| pair.hints) })
    };
    let both = |at: usize| columns.get(at).zip(members.get(at));
    let inputs = (0..columns.len()).filter(|at| read.contains(at) && !inside.contains(at));
    Lens {
        old: old_order
            .iter()
            .filter(|at| inside.contains(at))
            .filter_map(|&at| both(at).and_then(|(pair, member)| side(at, pair.old, member.down)))
            .collect(),
        new: group.iter().filter_map(|&at| both(at).and_then(|(pair, member)| side(at, pair.new, member.up))).collect(),
        inputs: inputs
            .filter_map(|at| columns.get(at)?.new)
            .filter_map(|column| new.columns.get(&column.name))
            .map(|column| column.name.as_str())
            .collect(),
    }
}

/// A column that a row can't do without and that the server gives no value.
fn lacks_value(column: &Column) -> bool {
    column.not_null && column.default.is_none() && column.identity.is_none() && column.generated.is_none()
}

fn enum_shape<'s, 'a>(old: &Column, shapes: &'s HashMap<&'a str, EnumShape<'a>>) -> Option<&'s EnumShape<'a>> {
    match &old.ty.kind {
        crate::snapshot::model::TypeKind::Enum(name) => shapes.get(name.as_str()),
        _ => None,
    }
}

/// A column's name as names are compared.
fn folded(name: &str, dialect: crate::sql::Dialect) -> String {
    match dialect {
        crate::sql::Dialect::Postgres => name.to_owned(),
        crate::sql::Dialect::Mysql | crate::sql::Dialect::Mariadb | crate::sql::Dialect::Sqlite => name.to_lowercase(),
    }
}

fn positions<'a>(
    columns: &[ColumnPair<'a>],
    side: impl Fn(&ColumnPair<'a>) -> Option<&'a Column>,
    dialect: crate::sql::Dialect,
) -> HashMap<String, usize> {
    columns.iter().enumerate().filter_map(|(at, pair)| Some((folded(&side(pair)?.name, dialect), at))).collect()
}

/// The place of a part of an expression in its file, when the YAML has it letter for letter (bare or in quotes); else the whole.
fn within(expr: &Expr, part: Range<usize>) -> Span {
    let written = (expr.span.end as usize).saturating_sub(expr.span.start as usize);
    let lead = match written.checked_sub(expr.text.len()) {
        Some(0) => 0,
        Some(2) => 1,
        Some(_) | None => return expr.span,
    };
    let at =
        |offset: usize| u32::try_from(offset.saturating_add(lead)).map_or(expr.span.end, |offset| expr.span.start.saturating_add(offset));
    if expr.span.is_nowhere() { expr.span } else { Span { file: expr.span.file, start: at(part.start), end: at(part.end) } }
}
