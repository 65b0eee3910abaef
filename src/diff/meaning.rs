//! What constraints, indexes and views mean, whatever they and the columns in them are called: a key that is equal exactly
//! when two of them mean the same, with old names seen through the renames.

use std::collections::HashMap;

use crate::snapshot::model::{
    Check, Exclusion, Expr, ForeignKey, Index, IndexKey, IndexTarget, Name, Nulls, PrimaryKey, ReferentialAction, Schema, Table, Type,
    Unique, View,
};
use crate::snapshot::types::sql_name;
use crate::sql::expression::{self, TableRef};
use crate::sql::{Dialect, Scope, quote};

use super::Context;
use super::model::Pair;
use super::pairing::Renames;

/// What a schema knows of the tables that an expression may name.
pub(super) struct SchemaScope<'a>(pub(super) &'a Schema);

impl Scope for SchemaScope<'_> {
    fn has_column(&self, table: &str, column: &str) -> bool {
        self.0.tables.get(table).is_some_and(|table| table.columns.contains_key(column))
    }

    fn has_table(&self, table: &str) -> bool {
        self.0.tables.contains_key(table)
    }
}

/// The name of a type without its arguments; `None` for an array.
fn type_word(ty: &Type) -> Option<String> {
    let plain = ty.array_dimensions == 0;
    plain.then(|| sql_name(ty, Dialect::Postgres)).map(|name| name.split('(').next().unwrap_or_default().to_owned())
}

/// One side of a table, with the way from its names to the new side's.
#[derive(Clone, Copy)]
pub(super) struct Side<'c, 'a> {
    table: &'a Table,
    schema: &'a Schema,
    dialect: Dialect,
    /// The way from old names; `None` for the new side.
    renames: Option<&'c Renames<'a>>,
    /// The table's name in the new schema.
    new_name: &'a str,
    /// Some name of the table or a column of it differs between the sides.
    renamed: bool,
}

impl<'c, 'a> Side<'c, 'a> {
    pub(super) fn old(context: &'c Context<'a>, table: &'a Table, new_name: &'a str) -> Side<'c, 'a> {
        let columns = context.renames.columns.get(table.name.as_str());
        let kept = |name: &String| columns.and_then(|columns| columns.get(name.as_str())).is_some_and(|new| new == name);
        let renamed = table.name != new_name || !table.columns.keys().all(kept) || context.renames.any_table;
        Side { table, schema: context.old, dialect: context.dialect, renames: Some(&context.renames), new_name, renamed }
    }

    pub(super) fn new(context: &'c Context<'a>, table: &'a Table) -> Side<'c, 'a> {
        Side { table, schema: context.new, dialect: context.dialect, renames: None, new_name: &table.name, renamed: false }
    }

    /// The new name of a column of `table`; a dropped one has a name that no other column has.
    fn column_of(&self, table: &str, column: &str) -> String {
        match self.renames {
            None => column.to_owned(),
            Some(renames) => renames.column(table, column).map_or_else(|| format!("\u{0}{column}"), str::to_owned),
        }
    }

    fn table_name(&self, table: &str) -> String {
        match self.renames {
            None => table.to_owned(),
            Some(renames) => renames.tables.get(table).map_or_else(|| format!("\u{0}{table}"), |name| (*name).to_owned()),
        }
    }

    /// What a foreign key stands on, here and there.
    fn reference(&self, columns: &[String], table: &str, there: &[String]) -> (Vec<String>, String, Vec<String>) {
        let there = there.iter().map(|column| self.column_of(table, column)).collect();
        (self.columns(columns), self.table_name(table), there)
    }

    fn columns(&self, columns: &[String]) -> Vec<String> {
        columns.iter().map(|column| self.column_of(&self.table.name, column)).collect()
    }

    /// The normal form of an expression over a row of the table, in new names.
    pub(super) fn expression(&self, expr: &Expr) -> String {
        // The text is in new names by then.
        let types = |name: &str| {
            let column = match self.renames {
                None => self.table.columns.get(name),
                Some(_) if !self.renamed => self.table.columns.get(name),
                Some(_) => self.table.columns.values().find(|column| self.column_of(&self.table.name, &column.name) == name),
            };
            type_word(&column?.ty)
        };
        if !self.renamed {
            return expression::normal_form(&expr.text, self.dialect, &types);
        }
        let Ok(found) = expression::row_references(&expr.text, self.dialect, &self.table.name, &SchemaScope(self.schema)) else {
            return expression::normal_form(&expr.text, self.dialect, &types);
        };
        let mut edits = Vec::new();
        for column in &found.columns {
            let mut name = quote::ident(&self.column_of(&self.table.name, &column.name), self.dialect);
            if column.qualifier.is_some() {
                name = format!("{}.{name}", quote::ident(self.new_name, self.dialect));
            }
            edits.push((column.span.clone(), name));
        }
        for TableRef { schema, name, span, .. } in &found.tables {
            if schema.is_none() && self.schema.tables.contains_key(name) {
                edits.push((span.clone(), quote::ident(&self.table_name(name), self.dialect)));
            }
        }
        expression::normal_form(&expression::replace(&expr.text, &edits), self.dialect, &types)
    }

    /// The text of an exclusion constraint's elements, which is no expression: words of it that are columns take their new names.
    fn elements(&self, expr: &Expr) -> String {
        let mut out = String::new();
        let mut word = String::new();
        let flush = |word: &mut String, out: &mut String| {
            let folded = word.to_lowercase();
            let known = self.table.columns.contains_key(&folded);
            out.push_str(&if known { self.column_of(&self.table.name, &folded) } else { folded });
            word.clear();
        };
        for c in expr.text.chars() {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            flush(&mut word, &mut out);
            if !c.is_whitespace() {
                out.push(c);
            } else if !out.ends_with([' ', ',']) {
                out.push(' ');
            }
        }
        flush(&mut word, &mut out);
        out.replace(" ,", ",").trim().to_owned()
    }

    fn action(&self, action: &ReferentialAction) -> String {
        match action {
            ReferentialAction::NoAction => "no action".to_owned(),
            ReferentialAction::Restrict => "restrict".to_owned(),
            ReferentialAction::Cascade => "cascade".to_owned(),
            ReferentialAction::SetNull(columns) => format!("set null {:?}", self.columns(columns)),
            ReferentialAction::SetDefault(columns) => format!("set default {:?}", self.columns(columns)),
        }
    }

    /// Whether a column's type has this operator class anyway, by <https://www.postgresql.org/docs/18/indexes-opclass.html>.
    fn is_default(&self, key: &IndexKey, method: &str, class: &str) -> bool {
        let IndexTarget::Column(name) = &key.target else { return false };
        let word = self.table.columns.get(name).and_then(|column| type_word(&column.ty));
        let own = match word.as_deref() {
            Some("smallint") => "int2",
            Some("integer") => "int4",
            Some("bigint") => "int8",
            Some("real") => "float4",
            Some("double precision") => "float8",
            Some("boolean") => "bool",
            Some("text" | "varchar") => "text",
            Some("char") => "bpchar",
            Some(
                word @ ("numeric" | "bytea" | "date" | "time" | "timetz" | "timestamp" | "timestamptz" | "interval" | "uuid" | "jsonb"),
            ) => word,
            _ => return false,
        };
        matches!(method, "btree" | "hash") && class.strip_suffix("_ops") == Some(own)
    }

    fn key(&self, key: &IndexKey, method: &str) -> String {
        let target = match &key.target {
            IndexTarget::Column(name) => self.column_of(&self.table.name, name),
            IndexTarget::Expression(expr) => format!("\u{1}{}", self.expression(expr)),
        };
        // PostgreSQL sorts NULLs as the greatest values, the others as the least.
        let last = match self.dialect {
            Dialect::Postgres => !key.descending,
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => key.descending,
        };
        let nulls = key.nulls.unwrap_or(if last { Nulls::Last } else { Nulls::First });
        let opclass = key.opclass.as_deref().filter(|class| !self.is_default(key, method, class));
        format!("{:?}", (target, key.descending, nulls, &key.collation, opclass, key.length))
    }
}

/// A thing in a table that has a name and a meaning.
pub(super) trait Meaning {
    /// Its name.
    fn name(&self) -> &Name;
    /// A text that is the same exactly for things that mean the same.
    fn meaning(&self, side: Side<'_, '_>) -> String;
    /// What it speaks of, where that tells which of two things of other names is the successor of which.
    fn subject(&self, _side: Side<'_, '_>) -> Option<String> {
        None
    }
    /// What else may differ: its comment.
    fn comment(&self) -> Option<&str> {
        None
    }
}

impl Meaning for PrimaryKey {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        format!("{:?}", side.columns(&self.columns))
    }
}

impl Meaning for Unique {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        let Unique { name: _, columns, include, nulls_not_distinct, deferrable, initially_deferred } = self;
        format!("{:?}", (side.columns(columns), side.columns(include), nulls_not_distinct, deferrable, initially_deferred))
    }
}

impl Meaning for ForeignKey {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        let ForeignKey { name: _, columns, ref_table, ref_columns, on_delete, on_update, deferrable, initially_deferred, match_full } =
            self;
        let actions = (side.action(on_delete), side.action(on_update));
        format!("{:?}", (side.reference(columns, ref_table, ref_columns), actions, deferrable, initially_deferred, match_full))
    }
    /// The same reference stays, whatever it is called and does: it is to bind all the time.
    fn subject(&self, side: Side<'_, '_>) -> Option<String> {
        Some(format!("{:?}", side.reference(&self.columns, &self.ref_table, &self.ref_columns)))
    }
}

impl Meaning for Check {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        side.expression(&self.expression)
    }
}

impl Meaning for Exclusion {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        let Exclusion { name: _, method, elements, predicate, deferrable, initially_deferred } = self;
        let predicate = predicate.as_ref().map(|predicate| side.expression(predicate));
        format!("{:?}", (method, side.elements(elements), predicate, deferrable, initially_deferred))
    }
}

impl Meaning for Index {
    fn name(&self) -> &Name {
        &self.name
    }
    fn meaning(&self, side: Side<'_, '_>) -> String {
        let Index { name: _, keys, unique, nulls_not_distinct, method, predicate, include, with, comment: _ } = self;
        let keys: Vec<String> = keys.iter().map(|key| side.key(key, method)).collect();
        let predicate = predicate.as_ref().map(|predicate| side.expression(predicate));
        format!("{:?}", (keys, unique, nulls_not_distinct, method, predicate, side.columns(include), with))
    }
    fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }
}

/// Pairs things of one kind: those that mean the same and have one name, then those that mean the same, then those of one name, then
/// those that speak of the same.
/// Sorted by the new name, or the old one of what is dropped.
pub(super) fn pair<'a, T: Meaning>(old: &'a [T], new: &'a [T], old_side: Side<'_, 'a>, new_side: Side<'_, 'a>) -> Vec<Pair<'a, T>> {
    let old_meanings: Vec<String> = old.iter().map(|thing| thing.meaning(old_side)).collect();
    let new_meanings: Vec<String> = new.iter().map(|thing| thing.meaning(new_side)).collect();
    // By meaning, the old things that are left, in the reverse order of their names: the first is popped first.
    let mut by_meaning: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut by_both: HashMap<(&str, &str), usize> = HashMap::new();
    let mut old_order: Vec<usize> = (0..old.len()).collect();
    old_order.sort_by(|a, b| old.get(*b).map(|thing| &thing.name().text).cmp(&old.get(*a).map(|thing| &thing.name().text)));
    for &at in &old_order {
        let (Some(thing), Some(meaning)) = (old.get(at), old_meanings.get(at)) else { continue };
        by_meaning.entry(meaning).or_default().push(at);
        by_both.insert((meaning, &thing.name().text), at);
    }
    let mut partner: Vec<Option<usize>> = vec![None; new.len()];
    let mut taken = vec![false; old.len()];
    for (at, (thing, meaning)) in new.iter().zip(&new_meanings).enumerate() {
        if let Some(&found) = by_both.get(&(meaning.as_str(), thing.name().text.as_str())) {
            set(&mut partner, at, found, &mut taken);
        }
    }
    // The same meaning under other names: in the order of names, so that the order of a list never shows.
    let mut order: Vec<usize> = (0..new.len()).collect();
    order.sort_by_key(|at| new.get(*at).map(|thing| &thing.name().text));
    for &at in &order {
        if partner.get(at).is_some_and(Option::is_some) {
            continue;
        }
        let Some(left) = new_meanings.get(at).and_then(|meaning| by_meaning.get_mut(meaning.as_str())) else { continue };
        while let Some(found) = left.pop() {
            if !taken.get(found).copied().unwrap_or(true) {
                set(&mut partner, at, found, &mut taken);
                break;
            }
        }
    }
    let by_name: HashMap<&str, usize> = old
        .iter()
        .enumerate()
        .filter(|(at, _)| !taken.get(*at).copied().unwrap_or(true))
        .map(|(at, thing)| (thing.name().text.as_str(), at))
        .collect();
    let same_meaning = partner.clone();
    for (at, thing) in new.iter().enumerate() {
        if let (None, Some(&found)) = (partner.get(at).copied().flatten(), by_name.get(thing.name().text.as_str())) {
            set(&mut partner, at, found, &mut taken);
        }
    }
    let mut by_subject: HashMap<String, usize> = HashMap::new();
    for &at in old_order.iter().filter(|at| !taken.get(**at).copied().unwrap_or(true)) {
        if let Some(subject) = old.get(at).and_then(|thing| thing.subject(old_side)) {
            by_subject.insert(subject, at);
        }
    }
    for &at in &order {
        let alone = new.get(at).filter(|_| partner.get(at).is_some_and(Option::is_none));
        if let Some(found) = alone.and_then(|thing| thing.subject(new_side)).and_then(|subject| by_subject.remove(&subject)) {
            set(&mut partner, at, found, &mut taken);
        }
    }
    let mut pairs: Vec<Pair<'a, T>> = Vec::new();
    for (at, thing) in new.iter().enumerate() {
        let found = partner.get(at).copied().flatten().and_then(|found| old.get(found));
        let equal = same_meaning.get(at).is_some_and(Option::is_some);
        pairs.push(Pair { old: found, new: Some(thing), equal });
    }
    pairs.extend(old.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(thing, _)| Pair { old: Some(thing), new: None, equal: false }));
    pairs.sort_by_key(|pair| (pair.new.or(pair.old).map(|thing| &thing.name().text), pair.new.is_some()));
    pairs
}

fn set(partner: &mut [Option<usize>], at: usize, found: usize, taken: &mut [bool]) {
    if let (Some(slot), Some(flag)) = (partner.get_mut(at), taken.get_mut(found)) {
        *slot = Some(found);
        *flag = true;
    }
}

impl<'a> Context<'a> {
    /// Views that differ, sorted.
    pub(super) fn views(&self) -> Vec<Pair<'a, View>> {
        let same = |old: &View, new: &View| old.materialized == new.materialized && self.same_query(&old.query, &new.query);
        super::by_name(&self.old.views, &self.new.views, same, |view| view.comment.as_deref())
    }

    /// Whether two queries mean the same, old names seen through the renames, and have the same output.
    fn same_query(&self, old: &Expr, new: &Expr) -> bool {
        let found = expression::query_references(&old.text, self.dialect);
        let read: Vec<&Table> = match &found {
            Ok(found) => found.tables.iter().filter_map(|table| self.old.tables.get(&table.name)).collect(),
            Err(_) => Vec::new(),
        };
        // A name that stands for columns of several tables has a type when theirs is one.
        let types = |name: &str| {
            let mut words = read.iter().filter_map(|table| table.columns.get(name)).map(|column| type_word(&column.ty));
            let first = words.next()??;
            words.all(|word| word.as_ref() == Some(&first)).then_some(first)
        };
        let same = |old: &str| expression::query_equivalent(old, &new.text, self.dialect, &types);
        let Ok(found) = found else { return same(&old.text) };
        let touched = |table: &TableRef| {
            table.schema.is_none()
                && self.old.tables.get(&table.name).is_some_and(|old| {
                    self.renames.tables.get(table.name.as_str()) != Some(&table.name.as_str())
                        || old.columns.keys().any(|column| self.renames.column(&table.name, column) != Some(column))
                })
        };
        // `select *` has what its tables have.
        let grown = |table: &TableRef| {
            let now = self.renames.tables.get(table.name.as_str()).and_then(|name| self.new.tables.get(*name));
            match (self.old.tables.get(&table.name), now) {
                (Some(old), Some(new)) => !old.columns.keys().eq(new.columns.keys()),
                (Some(_), None) => true,
                (None, _) => false,
            }
        };
        if found.output.is_none() && old.text.contains('*') && found.tables.iter().any(grown) {
            return false;
        }
        if !found.tables.iter().any(touched) {
            return same(&old.text);
        }
        let Ok(after) = expression::query_references(&new.text, self.dialect) else { return false };
        if found.output.is_none() || found.output != after.output {
            return false;
        }
        let mut edits = Vec::new();
        for column in &found.columns {
            // The only table that the name can belong to; when there are several, the text stays and the views differ.
            let owners: Vec<&TableRef> = found
                .tables
                .iter()
                .filter(|table| match &column.qualifier {
                    Some(qualifier) => table.alias.as_ref().unwrap_or(&table.name) == qualifier,
                    None => self.old.tables.get(&table.name).is_some_and(|table| table.columns.contains_key(&column.name)),
                })
                .collect();
            let [owner] = owners.as_slice() else { continue };
            let Some(name) = self.renames.column(&owner.name, &column.name) else { return false };
            let table = column.qualifier.as_ref().map(|qualifier| match (&owner.alias, self.renames.tables.get(owner.name.as_str())) {
                (None, Some(now)) => format!("{}.", quote::ident(now, self.dialect)),
                (Some(_), _) | (None, None) => format!("{}.", quote::ident(qualifier, self.dialect)),
            });
            edits.push((column.span.clone(), format!("{}{}", table.unwrap_or_default(), quote::ident(name, self.dialect))));
        }
        for table in found.tables.iter().filter(|table| table.schema.is_none() && self.old.tables.contains_key(&table.name)) {
            let Some(now) = self.renames.tables.get(table.name.as_str()) else { return false };
            edits.push((table.span.clone(), quote::ident(now, self.dialect)));
        }
        same(&expression::replace(&old.text, &edits))
    }
}
