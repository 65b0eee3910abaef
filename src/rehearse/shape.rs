//! What each version sees, and how the rows of one follow from those of the other: what the diff says, as the laws ask it.

use std::collections::BTreeMap;

use super::place::Refusal;
use super::values::fresh;
use crate::diff::model::{ColumnPair, Diff, Direction, Lens, LensColumn, Mapping, TableChange, TableDiff};
use crate::plan::model::{Hazard, Plan};
use crate::snapshot::model::{Column, ForeignKey, Index, Otherwise, Table, TypeKind, Value};
use crate::sql::Dialect;
use crate::sql::expression::{ColumnRef, defines_volatile, replace, row_references};
use crate::sql::quote::{ident, literal};

/// A version of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Written for the old snapshot.
    Old,
    /// Written for the new snapshot.
    New,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Side::Old => Side::New,
            Side::New => Side::Old,
        }
    }

    /// In sentences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Side::Old => "old",
            Side::New => "new",
        }
    }
}

/// What a lens gives for a value that it has no answer to, where the author wants the write to fail.
pub(super) const NO_ANSWER: &str = "crossfade: no answer";
/// What stands for the computed columns of a table that nobody can read, since the computing fails on a row.
pub(super) const UNREAD: &str = "unread";

/// A table as one version sees it.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) table: &'a Table,
    pub(super) columns: Vec<&'a Column>,
    /// Positions of the columns that tell its rows apart, be it that every row is given a value of its own there; none: nothing does.
    pub(super) key: Vec<usize>,
    /// Columns of which two databases may hold different values: the time of day, random numbers.
    pub(super) masked: Vec<bool>,
}

impl<'a> View<'a> {
    fn new(table: &'a Table, dialect: Dialect) -> Self {
        let columns: Vec<&Column> = table.columns.values().collect();
        let at = |name: &String| columns.iter().position(|column| column.name == *name);
        let key = table.primary_key.iter().flat_map(|key| &key.columns).filter_map(at).collect();
        let masked = columns
            .iter()
            .map(|column| {
                let texts = column.default.iter().chain(column.generated.iter().map(|generated| &generated.expression));
                texts.into_iter().any(|text| changes_by_itself(&text.text, dialect))
            })
            .collect();
        View { table, columns, key, masked }
    }

    /// The column in which the server gives the numbers.
    pub(super) fn counter(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.identity.is_some())
    }

    pub(super) fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// Whether an expression gives another value at another time or place.
pub(super) fn changes_by_itself(text: &str, dialect: Dialect) -> bool {
    const WORDS: [&str; 8] = ["now", "current_", "localtime", "random", "uuid", "rand(", "nextval", "clock"];
    let folded = text.to_ascii_lowercase();
    let has_query = folded.contains("select");
    WORDS.iter().any(|word| folded.contains(word)) || (folded.contains('(') && !has_query && defines_volatile(text, dialect))
}

/// A lens with the positions of its columns, and its expressions as SQL over a row of the other shape.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) old: Vec<usize>,
    pub(super) new: Vec<usize>,
    /// Positions of the common columns that it reads, as each side numbers them.
    pub(super) old_inputs: Vec<usize>,
    pub(super) new_inputs: Vec<usize>,
    /// For each of `new`.
    pub(super) up: Vec<Option<String>>,
    pub(super) backfill: Vec<Option<String>>,
    /// For each of `old`.
    pub(super) down: Vec<Option<String>>,
    /// It only fills the NULLs of a column that both versions have.
    pub(super) fill: bool,
    /// Its author says that something is lost.
    pub(super) lossy: bool,
    /// For people: `full_name <-> first_name, last_name`.
    pub(super) title: String,
}

impl Link {
    pub(super) fn of(&self, side: Side) -> &[usize] {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    pub(super) fn inputs(&self, side: Side) -> &[usize] {
        match side {
            Side::Old => &self.old_inputs,
            Side::New => &self.new_inputs,
        }
    }

    /// Whether its author wants some values refused.
    pub(super) fn may_refuse(&self) -> bool {
        self.up.iter().chain(&self.down).flatten().any(|text| text.contains(NO_ANSWER))
    }

    /// The expressions that lead away from a side.
    pub(super) fn from(&self, side: Side) -> &[Option<String>] {
        match side {
            Side::Old => &self.up,
            Side::New => &self.down,
        }
    }
}

/// How the rows of the two versions of a table belong together.
#[derive(Debug)]
pub(super) struct Relation {
    /// Columns that both have as they are.
    pub(super) copies: Vec<(usize, usize)>,
    pub(super) links: Vec<Link>,
    /// Columns that the other version knows nothing of.
    pub(super) old_only: Vec<usize>,
    pub(super) new_only: Vec<usize>,
}

impl Relation {
    pub(super) fn only(&self, side: Side) -> &[usize] {
        match side {
            Side::Old => &self.old_only,
            Side::New => &self.new_only,
        }
    }
}

/// A table in both versions, or in one.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) old: Option<View<'a>>,
    pub(super) new: Option<View<'a>>,
    /// How their rows belong together; `None` where each version is only held against a plain database of its own.
    pub(super) relation: Option<Relation>,
    /// The change that it is part of, from 1; 0: it does not change.
    pub(super) change: usize,
    /// Whether the old version's NOT NULL may give way: the new version has nothing there, or NULL.
    pub(super) loosens_not_null: bool,
    /// Its rows stand in two tables.
    pub(super) is_mirrored: bool,
    /// Columns of the new version whose default is another one than the old version's, and comes in contract.
    pub(super) late_defaults: Vec<usize>,
    /// Kinds of rules that differ: until contract one version may be refused by the other's, and may write what will be refused.
    pub(super) rules: Vec<Refusal>,
}

impl<'a> Pair<'a> {
    pub(super) fn view(&self, side: Side) -> Option<&View<'a>> {
        match side {
            Side::Old => self.old.as_ref(),
            Side::New => self.new.as_ref(),
        }
    }

    /// Whether a version has a column that is computed whenever it is read.
    pub(super) fn has_virtual(&self) -> bool {
        let views = self.old.iter().chain(&self.new);
        views.flat_map(|view| &view.columns).any(|column| is_virtual(column))
    }

    /// Whether a version counts in this column, or in the one that it is to the other version.
    pub(super) fn counts(&self, side: Side, at: usize) -> bool {
        let is_counted = |side: Side, at: usize| self.view(side).is_some_and(|view| view.columns[at].identity.is_some());
        let copies = self.relation.iter().flat_map(|relation| &relation.copies);
        let there = copies.filter_map(|(old, new)| match side {
            Side::Old => (*old == at).then_some(*new),
            Side::New => (*new == at).then_some(*old),
        });
        is_counted(side, at) || there.into_iter().any(|at| is_counted(side.other(), at))
    }

    /// Whether neither version has a key: what tells the rows apart is a value of its own that each of them is given.
    pub(super) fn has_stand_in(&self) -> bool {
        self.relation.is_some() && [&self.old, &self.new].into_iter().flatten().all(|view| view.table.primary_key.is_none())
    }

    pub(super) fn name(&self) -> &str {
        self.new.as_ref().or(self.old.as_ref()).map_or("", |view| view.table.name.as_str())
    }
}

/// Every table of either version.
pub(super) fn pairs<'a>(diff: &'a Diff<'a>, plan: &Plan) -> Vec<Pair<'a>> {
    let dialect = diff.dialect;
    let mut changed: BTreeMap<&str, &TableChange<'a>> = BTreeMap::new();
    let mut loose: Vec<&str> = Vec::new();
    let mut dropped: Vec<&ForeignKey> = Vec::new();
    for table in &diff.tables {
        match table {
            TableDiff::Changed(change) => {
                changed.insert(&change.old.name, change);
            }
            TableDiff::Added(table, hints) => {
                if let Some(source) = hints.and_then(|hints| hints.from.as_ref()) {
                    loose.extend([table.name.as_str(), source.table.as_str()]);
                }
            }
            TableDiff::Dropped(table) => dropped.extend(&table.foreign_keys),
        }
    }
    let number = |name: &str| {
        let names = |title: &str| title.split([' ', ',']).any(|word| word == name);
        plan.changes.iter().find(|change| names(&change.title)).map_or(0, |change| change.number)
    };
    let mut pairs = Vec::new();
    for table in diff.old.tables.values() {
        let change = changed.get(table.name.as_str()).copied();
        let new = match change {
            Some(change) => Some(change.new),
            None if diff.tables.iter().any(|d| matches!(d, TableDiff::Dropped(dropped) if dropped.name == table.name)) => None,
            None => diff.new.tables.get(&table.name),
        };
        let (mut old_view, mut new_view) = (View::new(table, dialect), new.map(|new| View::new(new, dialect)));
        let is_loose = loose.contains(&table.name.as_str());
        let relation = match (&mut new_view, change) {
            (Some(new_view), Some(change)) if !is_loose => related(diff, change, &mut old_view, new_view),
            (Some(new_view), None) if !is_loose && !old_view.key.is_empty() => {
                let copies = (0..old_view.columns.len()).filter_map(|at| Some((at, new_view.at(&old_view.columns[at].name)?))).collect();
                Some(Relation { copies, links: Vec::new(), old_only: Vec::new(), new_only: Vec::new() })
            }
            _ => None,
        };
        let mut rules = change.map(rules).unwrap_or_default();
        if is_loose || new_view.is_none() {
            rules = RULES.to_vec();
        } else if refers_to_changed(table, &changed)
            || is_referred_by_changed(table, &changed)
            || dropped.iter().any(|key| key.ref_table == table.name)
        {
            rules.push(Refusal::Reference);
        }
        let names = [Some(&table.name), new_view.as_ref().map(|view| &view.table.name)];
        let is_of = |hazard: &Hazard| names.into_iter().flatten().any(|name| hazard.is_of(name));
        if plan.hazards.iter().any(|hazard| hazard.code == "lens-not-total" && is_of(hazard)) {
            rules.push(Refusal::Value);
        }
        let loosens_not_null = is_loose || change.is_some_and(loosens_not_null);
        let late_defaults = match (&new_view, change) {
            (Some(view), Some(change)) => {
                let both = change.columns.iter().filter(|pair| pair.facets.default).filter_map(|pair| view.at(&pair.new?.name));
                // Where what is left out of a lens says who wrote.
                let late = plan.hazards.iter().filter(|hazard| hazard.code == "default-comes-late");
                let named = late.filter_map(|hazard| hazard.object.strip_prefix(&*view.table.name)?.strip_prefix('.'));
                both.chain(named.filter_map(|name| view.at(name))).collect()
            }
            _ => Vec::new(),
        };
        let mut at = number(&table.name);
        if at == 0 {
            at = new_view.as_ref().map_or(0, |view| number(&view.table.name));
        }
        pairs.push(Pair {
            old: Some(old_view),
            new: new_view,
            relation,
            change: at,
            loosens_not_null,
            is_mirrored: is_loose,
            late_defaults,
            rules,
        });
    }
    for table in &diff.tables {
        if let TableDiff::Added(table, hints) = table {
            let rules = if hints.is_some_and(|hints| hints.from.is_some()) { RULES.to_vec() } else { vec![Refusal::Reference] };
            let view = View::new(table, dialect);
            let is_mirrored = hints.is_some_and(|hints| hints.from.is_some());
            pairs.push(Pair {
                old: None,
                new: Some(view),
                relation: None,
                change: number(&table.name),
                loosens_not_null: true,
                is_mirrored,
                late_defaults: Vec::new(),
                rules,
            });
        }
    }
    pairs
}

/// Whether what a row gives for a foreign key leads to none of these keys.
pub(super) fn leads_nowhere<'r>(key: &ForeignKey, values: &[&'r String], mut held: impl Iterator<Item = Vec<&'r String>>) -> bool {
    let nulls = values.iter().filter(|value| **value == "NULL").count();
    // MATCH FULL: all of it is NULL, or it is a key that is there.
    let is_none = if key.match_full { nulls == values.len() } else { nulls > 0 };
    !is_none && !held.any(|found| found == values)
}

/// A foreign key to a table whose key is another one, or that goes.
fn refers_to_changed(table: &Table, changed: &BTreeMap<&str, &TableChange<'_>>) -> bool {
    table.foreign_keys.iter().any(|key| changed.contains_key(key.ref_table.as_str()))
}

const RULES: [Refusal; 5] = [Refusal::NotNull, Refusal::Unique, Refusal::Check, Refusal::Reference, Refusal::Value];

fn is_referred_by_changed(table: &Table, changed: &BTreeMap<&str, &TableChange<'_>>) -> bool {
    changed.values().any(|change| change.old.foreign_keys.iter().chain(&change.new.foreign_keys).any(|key| key.ref_table == table.name))
}

/// Whether the new version may leave NULL where the old one has NOT NULL.
fn loosens_not_null(change: &TableChange<'_>) -> bool {
    let has_way_back = |column: &Column| {
        let members = change.lenses.iter().flat_map(|lens| &lens.old);
        members.into_iter().any(|member| member.column.name == column.name && member.mapping.is_some())
    };
    change.columns.iter().any(|pair| match (pair.old, pair.new) {
        (Some(old), Some(new)) => old.not_null && !new.not_null,
        (Some(old), None) => old.not_null && !has_way_back(old),
        (None, _) => false,
    })
}

/// Which kinds of rules differ between the two versions of a table.
fn rules(change: &TableChange<'_>) -> Vec<Refusal> {
    let mut rules = Vec::new();
    let is_enum = |column: &Column| matches!(column.ty.kind, TypeKind::Enum(_));
    for pair in &change.columns {
        let one_sided = pair.old.xor(pair.new);
        if pair.facets.not_null || one_sided.is_some_and(|column| column.not_null) {
            rules.push(Refusal::NotNull);
        }
        if pair.facets.ty || pair.facets.collation || pair.facets.generated || one_sided.is_some_and(|column| column.generated.is_some()) {
            rules.push(Refusal::Value);
        }
        if pair.facets.collation {
            rules.push(Refusal::Unique);
        }
        if [pair.old, pair.new].into_iter().flatten().any(is_enum) {
            rules.push(Refusal::Check);
        }
    }
    // A rule over a column of a lens is looked at for what the lens makes of the other version's value.
    let lens =
        |name: &String| change.lenses.iter().flat_map(|lens| lens.old.iter().chain(&lens.new)).any(|member| member.column.name == *name);
    if !change.lenses.is_empty() {
        rules.push(Refusal::Value);
        let members = change.lenses.iter().flat_map(|lens| lens.old.iter().chain(&lens.new));
        if members.into_iter().any(|member| member.column.not_null) {
            rules.push(Refusal::NotNull);
        }
        if !change.checks.is_empty() {
            rules.push(Refusal::Check);
        }
    }
    let keys = |tables: [&Table; 2]| {
        tables.iter().any(|table| {
            table.primary_key.iter().flat_map(|key| &key.columns).chain(table.uniques.iter().flat_map(|unique| &unique.columns)).any(lens)
        })
    };
    let unique_index = |pair: &crate::diff::model::Pair<'_, Index>| [pair.old, pair.new].into_iter().flatten().any(|index| index.unique);
    if change.primary_key.is_some_and(|pair| !pair.equal)
        || change.uniques.iter().any(|pair| !pair.equal)
        || change.exclusions.iter().any(|pair| !pair.equal)
        || change.indexes.iter().any(|pair| unique_index(pair) && (!pair.equal || !change.lenses.is_empty()))
        || keys([change.old, change.new])
    {
        rules.push(Refusal::Unique);
    }
    if change.checks.iter().any(|pair| !pair.equal) {
        rules.push(Refusal::Check);
    }
    let references = [change.old, change.new].into_iter().flat_map(|table| &table.foreign_keys).flat_map(|key| &key.columns).any(lens);
    if references || change.foreign_keys.iter().any(|pair| !pair.equal) || change.primary_key.is_some_and(|pair| !pair.equal) {
        rules.push(Refusal::Reference);
    }
    rules
}

fn related<'a>(diff: &Diff<'a>, change: &TableChange<'a>, old: &mut View<'a>, new: &mut View<'a>) -> Option<Relation> {
    let mut relation = Relation { copies: Vec::new(), links: Vec::new(), old_only: Vec::new(), new_only: Vec::new() };
    for lens in &change.lenses {
        relation.links.push(link(diff, change, lens, old, new)?);
    }
    let linked_old: Vec<usize> = relation.links.iter().flat_map(|link| link.old.clone()).collect();
    let linked_new: Vec<usize> = relation.links.iter().flat_map(|link| link.new.clone()).collect();
    for ColumnPair { old: old_column, new: new_column, .. } in &change.columns {
        let old_at = old_column.and_then(|column| old.at(&column.name)).filter(|at| !linked_old.contains(at));
        let new_at = new_column.and_then(|column| new.at(&column.name)).filter(|at| !linked_new.contains(at));
        let computed = [*old_column, *new_column].into_iter().flatten().any(|column| column.generated.is_some());
        match (old_at, new_at) {
            // The server computes it for each version.
            (Some(_), Some(_)) if computed => {}
            (Some(old_at), Some(new_at)) => relation.copies.push((old_at, new_at)),
            (Some(old_at), None) if !computed => relation.old_only.push(old_at),
            (None, Some(new_at)) if !computed => relation.new_only.push(new_at),
            _ => {}
        }
    }
    // What tells the rows of both sides apart: a key of either whose columns both have.
    let pairs_of = |key: &[usize], of: fn(&(usize, usize)) -> usize| -> Option<Vec<(usize, usize)>> {
        if key.is_empty() {
            return None;
        }
        let aliases = relation.links.iter().filter(|link| is_alias(link)).filter_map(|link| Some((*link.old.first()?, *link.new.first()?)));
        let all: Vec<(usize, usize)> = relation.copies.iter().copied().chain(aliases).collect();
        key.iter().map(|at| all.iter().find(|pair| of(pair) == *at).copied()).collect()
    };
    let identity = pairs_of(&old.key, |pair| pair.0)
        .or_else(|| pairs_of(&new.key, |pair| pair.1))
        .or_else(|| stand_in(&relation, old, new, diff.dialect).map(|pair| vec![pair]))?;
    old.key = identity.iter().map(|pair| pair.0).collect();
    new.key = identity.iter().map(|pair| pair.1).collect();
    // Two databases number the rows that are there each in an order of its own.
    for at in relation.new_only.iter().copied().filter(|at| new.columns[*at].identity.is_some()) {
        new.masked[at] = true;
    }
    // What a lens makes of a value that changes by itself does so too, and the other way round.
    for (a, b) in relation.copies.clone() {
        let masked = old.masked[a] || new.masked[b];
        (old.masked[a], new.masked[b]) = (masked, masked);
    }
    for link in &relation.links {
        let volatile = link.up.iter().chain(&link.down).chain(&link.backfill).flatten().any(|text| changes_by_itself(text, diff.dialect));
        let masked = volatile || link.old.iter().any(|at| old.masked[*at]) || link.new.iter().any(|at| new.masked[*at]);
        for at in &link.new {
            new.masked[*at] |= masked;
        }
        // What nothing leads back to is shown as NULL, or as a value that only keeps the rule.
        for (at, down) in link.old.iter().zip(&link.down) {
            old.masked[*at] |= masked && down.is_some() && volatile;
        }
    }
    Some(relation)
}

/// Of a table without a key, a column that can tell its rows apart: both have it as it is, and every row gets a value of its own.
fn stand_in(relation: &Relation, old: &View<'_>, new: &View<'_>, dialect: Dialect) -> Option<(usize, usize)> {
    if old.table.primary_key.is_some() || new.table.primary_key.is_some() {
        return None;
    }
    let is_free = |view: &View<'_>, at: usize| {
        let column = view.columns[at];
        let is_bound = view.table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
            || view.table.checks.iter().any(|check| check.expression.text.contains(&column.name));
        // Natives may have less than enough values.
        let has_values = !matches!(column.ty.kind, TypeKind::Native(_)) && fresh(column, 1, dialect).is_some();
        has_values && !is_bound && !view.masked[at] && column.generated.is_none() && column.identity.is_none()
    };
    relation.copies.iter().copied().find(|(a, b)| old.columns[*a].ty == new.columns[*b].ty && is_free(old, *a) && is_free(new, *b))
}

fn is_alias(link: &Link) -> bool {
    link.old.len() == 1 && link.new.len() == 1 && link.title.contains(" = ")
}

fn link<'a>(diff: &Diff<'a>, change: &TableChange<'a>, lens: &Lens<'a>, old: &View<'a>, new: &View<'a>) -> Option<Link> {
    let positions = |members: &[LensColumn<'a>], view: &View<'a>| -> Option<Vec<usize>> {
        members.iter().map(|member| view.at(&member.column.name)).collect()
    };
    let text = |member: &LensColumn<'a>, from: &'a Table| {
        member
            .mapping
            .and_then(|mapping| expression(diff, mapping, from, member.column))
            .filter(|text| !text.trim().eq_ignore_ascii_case("null"))
    };
    let names = |members: &[LensColumn<'a>]| members.iter().map(|member| member.column.name.as_str()).collect::<Vec<_>>().join(", ");
    let inputs: Vec<(usize, usize)> = lens
        .inputs
        .iter()
        .filter_map(|name| {
            let pair = change.columns.iter().find(|pair| pair.new.is_some_and(|column| column.name == *name))?;
            Some((old.at(&pair.old?.name)?, new.at(name)?))
        })
        .collect();
    let plain = |member: &LensColumn<'a>| matches!(member.mapping, Some(Mapping::Copy(_)));
    let alias = lens.old.iter().chain(&lens.new).all(plain)
        && matches!((lens.old.as_slice(), lens.new.as_slice()), ([old], [new]) if old.column.ty == new.column.ty);
    Some(Link {
        old: positions(&lens.old, old)?,
        new: positions(&lens.new, new)?,
        old_inputs: inputs.iter().map(|pair| pair.0).collect(),
        new_inputs: inputs.iter().map(|pair| pair.1).collect(),
        up: lens.new.iter().map(|member| text(member, change.old)).collect(),
        backfill: lens
            .new
            .iter()
            .map(|member| {
                member.hints.and_then(|hints| hints.backfill.as_ref()).map(|expr| format!("({})", with_names(&expr.text, diff, change.old)))
            })
            .collect(),
        down: lens.old.iter().map(|member| text(member, change.new)).collect(),
        fill: lens.is_fill(),
        lossy: lens.old.iter().chain(&lens.new).any(|member| member.hints.is_some_and(|hints| hints.lossy)),
        title: format!("{} {} {}", names(&lens.old), if alias { "=" } else { "<->" }, names(&lens.new)),
    })
}

/// A mapping as an expression over a row of the table that it reads.
fn expression<'a>(diff: &Diff<'a>, mapping: Mapping<'a>, from: &'a Table, to: &Column) -> Option<String> {
    let dialect = diff.dialect;
    let column = |name: &str| ident(name, dialect);
    let value = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => literal(text, dialect),
    };
    // Where all of a CASE is of one type, texts are: `no answer` is one.
    let given = |it: &Value| match it {
        Value::Boolean(truth) if dialect == Dialect::Postgres => literal(&truth.to_string(), dialect),
        Value::Number(text) if dialect == Dialect::Postgres => literal(text, dialect),
        other => value(other),
    };
    Some(match mapping {
        Mapping::Copy(name) | Mapping::Cast(name) => match (&from.columns.get(name)?.ty.kind, &to.ty.kind) {
            (TypeKind::Enum(one), TypeKind::Enum(other)) => {
                let renamed: Vec<(&str, &str)> = diff
                    .enums
                    .iter()
                    .filter(|e| [e.pair.old, e.pair.new].into_iter().flatten().any(|e| e.name == *one || e.name == *other))
                    .flat_map(|e| e.renamed.iter().copied())
                    .collect();
                let upward = is_old(diff, from);
                let pairs: String = renamed
                    .iter()
                    .map(|(old, new)| if upward { (old, new) } else { (new, old) })
                    .map(|(a, b)| format!(" when {} then {}", literal(a, dialect), literal(b, dialect)))
                    .collect();
                // The other version's labels are none of this type.
                let (is_array, name) = match dialect {
                    Dialect::Postgres => (to.ty.array_dimensions > 0, format!("{}::text", column(name))),
                    Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => (false, column(name)),
                };
                match (pairs.is_empty(), is_array) {
                    (true, _) => name,
                    (false, false) => format!("case {name}{pairs} else {name} end"),
                    (false, true) => {
                        let labels = format!("unnest({name}::text[]) with ordinality as it (label, place)");
                        let each = format!("array_agg(case label{pairs} else label end order by place)");
                        format!("(select case when {name} is null then null else coalesce({each}, '{{}}')::text end from {labels})")
                    }
                }
            }
            _ => column(name),
        },
        Mapping::Values(name, map, direction) => {
            let mut text = format!("case when {} is null then null", column(name));
            let mut seen: Vec<&Value> = Vec::new();
            for pair in &map.pairs {
                let (a, b) = match direction {
                    Direction::Up => (&pair.old, &pair.new),
                    Direction::Down => (&pair.new, &pair.old),
                };
                if *a != Value::Null && !seen.contains(&a) {
                    seen.push(a);
                    text.push_str(&format!(" when {} = {} then {}", column(name), value(a), given(b)));
                }
            }
            match (&map.otherwise, direction) {
                (Some(Otherwise::Value(other)), Direction::Up) => text.push_str(&format!(" else {}", given(other))),
                (_, Direction::Up | Direction::Down) => text.push_str(&format!(" else '{NO_ANSWER}'")),
            }
            text.push_str(" end");
            text
        }
        Mapping::Expression(expr) => format!("({})", with_names(&expr.text, diff, from)),
    })
}

/// Whether a column is computed whenever it is read.
pub(super) fn is_virtual(column: &Column) -> bool {
    column.generated.as_ref().is_some_and(|generated| !generated.stored)
}

fn is_old(diff: &Diff<'_>, table: &Table) -> bool {
    diff.old.tables.get(&table.name).is_some_and(|own| std::ptr::eq(own, table))
}

/// An author's expression over a row, with its columns named as any server takes them: what one dialect takes bare is a word of
/// another one.
fn with_names(text: &str, diff: &Diff<'_>, from: &Table) -> String {
    let scope = if is_old(diff, from) { diff.old } else { diff.new };
    let Ok(found) = row_references(text, diff.dialect, &from.name, scope) else { return text.to_owned() };
    let name = |column: ColumnRef| (column.span, format!("{}.{}", ident(&from.name, diff.dialect), ident(&column.name, diff.dialect)));
    replace(text, &found.columns.into_iter().map(name).collect::<Vec<_>>())
}
