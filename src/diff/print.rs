//! A diff for people and for programs.
//!
//! Both renderings come from one list of [`Difference`]s, in the order of the [`Diff`].

use std::fmt::Write as _;

use serde::Serialize;

use crate::snapshot::model::{
    Check, Column, EnumType, Exclusion, Expr, ForeignKey, Identity, Index, IndexTarget, PrimaryKey, ReferentialAction, Schema, Table, Type,
    TypeKind, Unique,
};
use crate::sql::Dialect;
use crate::sql::expression::row_references;

use super::meaning::Meaning;
use super::model::{ColumnPair, Diff, EnumDiff, Lens, LensColumn, Mapping, Pair, TableChange, TableDiff};
use super::tables::pair_differs;

/// When a difference takes effect, in the terms of the three phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// All of it happens in expand: it adds or loosens.
    ExpandOnly,
    /// All of it happens in contract: it removes or tightens.
    ContractOnly,
    /// One object is both, before and after.
    InPlace,
    /// The old one goes when the new one is there.
    Replaced,
    /// Two shapes of a row's values are kept in step.
    Lens,
    /// Rows live in two tables, which are kept in step.
    Mirror,
}

impl Class {
    /// The word that is printed.
    pub fn name(self) -> &'static str {
        match self {
            Class::ExpandOnly => "expand-only",
            Class::ContractOnly => "contract-only",
            Class::InPlace => "in place",
            Class::Replaced => "replaced",
            Class::Lens => "lens",
            Class::Mirror => "mirror",
        }
    }
}

/// How an object came to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the new schema has it.
    Added,
    /// Only the old schema has it.
    Dropped,
    /// It has another name, and nothing else differs.
    Renamed,
    /// Both have it.
    Changed,
}

impl Change {
    fn sign(self) -> char {
        match self {
            Change::Added => '+',
            Change::Dropped => '-',
            Change::Renamed => '>',
            Change::Changed => '~',
        }
    }
}

/// One difference, as it is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Kind of the object: table, column, index, enum …
    pub kind: &'static str,
    /// The table that it belongs to, under its new name (the old one if it is dropped).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Its name: the new one, or the old one of what is dropped.
    pub name: String,
    /// Its name before, when that was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// How it differs.
    pub change: Change,
    /// When that takes effect.
    pub class: Class,
    /// What differs, in words; may be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The number of the lens in its table, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lens: Option<usize>,
}

#[derive(Serialize)]
struct Document<'a> {
    old: &'a str,
    new: &'a str,
    dialect: &'static str,
    differences: Vec<Difference>,
}

/// The differences as one JSON document.
///
/// # Errors
/// Never for a real diff: all values are strings and numbers.
pub fn json(diff: &Diff<'_>) -> Result<String, serde_json::Error> {
    let (old, new) = (&diff.old.version, &diff.new.version);
    serde_json::to_string_pretty(&Document { old, new, dialect: diff.dialect.name(), differences: differences(diff) })
}

/// The differences in words: a block for each table, a line for each difference. Empty when there is none.
pub fn text(diff: &Diff<'_>) -> String {
    let differences = differences(diff);
    if differences.is_empty() {
        return String::new();
    }
    let shown = |schema: &Schema| if schema.version.is_empty() { "empty".to_owned() } else { schema.version.clone() };
    let count = differences.len();
    let mut out = format!(
        "{} → {} on {}: {count} {}\n",
        shown(diff.old),
        shown(diff.new),
        diff.dialect.name(),
        if count == 1 { "difference" } else { "differences" }
    );
    let blocks = blocks(&differences);
    const WIDEST: usize = 72;
    let lefts = blocks.iter().flat_map(|block| &block.lines).map(|line| line.what.chars().count());
    let width = lefts.filter(|width| *width <= WIDEST).max().unwrap_or(0);
    for Block { head, lines } in &blocks {
        let _ = write!(out, "\n{head}\n");
        for Line { what, class } in lines {
            let padding = " ".repeat(width.saturating_sub(what.chars().count()) + 3);
            let _ = writeln!(out, "  {what}{padding}{class}");
        }
    }
    out
}

/// What differs about one table, or about all objects of another kind, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// `table users`, `enums`.
    pub head: String,
    /// A line for each difference.
    pub lines: Vec<Line>,
}

/// One difference in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Sign and object: `+ first_name text`.
    pub what: String,
    /// When it takes effect: `expand-only`, `lens 1`.
    pub class: String,
}

/// The differences, table by table.
pub fn blocks(differences: &[Difference]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for difference in differences {
        let head = match (&difference.table, difference.kind) {
            (Some(table), _) => format!("table {table}"),
            (None, "table") => format!("table {}", difference.name),
            (None, kind) => plural(kind).to_owned(),
        };
        let line = Line { what: line(difference), class: class(difference) };
        match blocks.last_mut() {
            Some(last) if last.head == head => last.lines.push(line),
            _ => blocks.push(Block { head, lines: vec![line] }),
        }
    }
    blocks
}

fn plural(kind: &str) -> &str {
    match kind {
        "extension" => "extensions",
        "enum" => "enums",
        "sequence" => "sequences",
        "view" => "views",
        other => other,
    }
}

fn class(difference: &Difference) -> String {
    match difference.lens {
        Some(number) => format!("{} {number}", difference.class.name()),
        None => difference.class.name().to_owned(),
    }
}

fn line(difference: &Difference) -> String {
    let mut left = format!("{} ", difference.change.sign());
    match (difference.kind, &difference.table) {
        ("table", None) => left.push_str("table"),
        ("lens", _) => left.push_str("keeps in step"),
        ("extension" | "enum" | "sequence" | "view", None) | ("column", _) => left.push_str(&difference.name),
        ("comment", _) => left.push_str("comment"),
        (kind, _) => {
            let _ = write!(left, "{kind} {}", difference.name);
        }
    }
    if let Some(from) = &difference.renamed_from {
        let _ = write!(left, " (was {from})");
    }
    if !difference.details.is_empty() {
        let separator = if difference.kind == "column" && difference.change != Change::Changed { " " } else { ": " };
        let _ = write!(left, "{separator}{}", difference.details.join(", "));
    }
    left
}

/// All differences, one for each object that differs.
pub fn differences(diff: &Diff<'_>) -> Vec<Difference> {
    let mut out = Vec::new();
    for pair in &diff.extensions {
        out.extend(simple("extension", pair.old.map(|e| &e.name), pair.new.map(|e| &e.name), Vec::new()));
    }
    for found in &diff.enums {
        out.extend(an_enum(found, diff.old));
    }
    for pair in &diff.sequences {
        let mut details = Vec::new();
        if let Some((old, new)) = pair.old.zip(pair.new) {
            let options = [
                ("start", old.start, new.start),
                ("increment", old.increment, new.increment),
                ("min_value", old.min_value, new.min_value),
                ("max_value", old.max_value, new.max_value),
                ("cache", old.cache, new.cache),
                ("cycle", Some(i64::from(old.cycle)), Some(i64::from(new.cycle))),
            ];
            let changed = options.into_iter().filter(|(_, old, new)| old != new).map(|(option, ..)| option.to_owned());
            details.extend(changed);
            if old.comment != new.comment {
                details.push("comment".to_owned());
            }
        }
        out.extend(simple("sequence", pair.old.map(|s| &s.name), pair.new.map(|s| &s.name), details));
    }
    for table in &diff.tables {
        match table {
            TableDiff::Added(new, hints) => {
                let source = hints.and_then(|hints| hints.from.as_ref());
                let mut details = vec![counted(new.columns.len(), "column")];
                details.extend(source.map(|source| format!("rows from {}", source.table)));
                let class = if source.is_some() { Class::Mirror } else { Class::ExpandOnly };
                out.push(Difference { details, ..difference("table", None, &new.name, Change::Added, class) });
            }
            TableDiff::Dropped(old) => {
                let details = vec![counted(old.columns.len(), "column")];
                out.push(Difference { details, ..difference("table", None, &old.name, Change::Dropped, Class::ContractOnly) });
            }
            TableDiff::Changed(change) => changed_table(diff, change, &mut out),
        }
    }
    for pair in &diff.views {
        let mut details = Vec::new();
        if let Some((old, new)) = pair.old.zip(pair.new) {
            if old.materialized != new.materialized {
                details.push(if new.materialized { "becomes materialized" } else { "no longer materialized" }.to_owned());
            }
            if !pair.equal && old.query.text != new.query.text {
                details.push("query".to_owned());
            } else if !pair.equal && old.materialized == new.materialized {
                details.push("columns of its tables".to_owned());
            }
            if old.comment != new.comment {
                details.push("comment".to_owned());
            }
        }
        out.extend(simple("view", pair.old.map(|v| &v.name), pair.new.map(|v| &v.name), details));
    }
    out
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn difference(kind: &'static str, table: Option<&str>, name: &str, change: Change, class: Class) -> Difference {
    Difference {
        kind,
        table: table.map(str::to_owned),
        name: name.to_owned(),
        renamed_from: None,
        change,
        class,
        details: Vec::new(),
        lens: None,
    }
}

fn simple(kind: &'static str, old: Option<&String>, new: Option<&String>, details: Vec<String>) -> Option<Difference> {
    let (name, change, class) = match (old, new) {
        (Some(name), None) => (name, Change::Dropped, Class::ContractOnly),
        (None, Some(name)) => (name, Change::Added, Class::ExpandOnly),
        (Some(_), Some(name)) => {
            let class = if kind == "view" && details.iter().any(|detail| detail != "comment") { Class::Replaced } else { Class::InPlace };
            (name, Change::Changed, class)
        }
        (None, None) => return None,
    };
    Some(Difference { details, ..difference(kind, None, name, change, class) })
}

fn an_enum(found: &EnumDiff<'_>, schema: &Schema) -> Option<Difference> {
    let labels = |found: &EnumType| found.labels.join(", ");
    let Pair { old, new, .. } = found.pair;
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (old, new) => {
            let details = old.or(new).map(labels).into_iter().collect();
            return simple("enum", old.map(|e| &e.name), new.map(|e| &e.name), details);
        }
    };
    let mut details = Vec::new();
    for (label, before) in &found.added {
        details.push(match before {
            Some(before) => format!("adds {label} after {before}"),
            None => format!("adds {label} first"),
        });
    }
    details.extend(found.dropped.iter().map(|label| format!("drops {label}")));
    details.extend(found.renamed.iter().map(|(old, new)| format!("renames {old} to {new}")));
    if found.reordered {
        details.push("other order".to_owned());
    }
    if old.comment != new.comment {
        details.push("comment".to_owned());
    }
    let used = || {
        let mut columns = schema.tables.values().flat_map(|table| table.columns.values());
        columns.any(|column| matches!(&column.ty.kind, TypeKind::Enum(name) if *name == old.name))
    };
    let class = if found.needs_another_type() {
        if used() { Class::Lens } else { Class::Replaced }
    } else if found.added.is_empty() {
        Class::InPlace
    } else {
        Class::ExpandOnly
    };
    let renamed_from = Some(&old.name).filter(|name| **name != new.name).cloned();
    let change = if details.is_empty() { Change::Renamed } else { Change::Changed };
    Some(Difference { details, renamed_from, ..difference("enum", None, &new.name, change, class) })
}

fn changed_table(diff: &Diff<'_>, change: &TableChange<'_>, out: &mut Vec<Difference>) {
    let table = change.new.name.as_str();
    if change.old.name != change.new.name {
        let renamed_from = Some(change.old.name.clone());
        out.push(Difference { renamed_from, ..difference("table", None, table, Change::Renamed, Class::InPlace) });
    }
    if change.old.comment != change.new.comment {
        out.push(difference("comment", Some(table), table, Change::Changed, Class::InPlace));
    }
    for pair in &change.columns {
        out.extend(column(table, pair, change));
    }
    for (at, lens) in change.lenses.iter().enumerate().filter(|(_, lens)| !is_told(lens, change)) {
        let details = vec![steps(lens)];
        let name = (at + 1).to_string();
        out.push(Difference { details, lens: Some(at + 1), ..difference("lens", Some(table), &name, Change::Changed, Class::Lens) });
    }
    let members = Members { diff, change };
    if let Some(pair) = &change.primary_key {
        let show = |key: &PrimaryKey| format!("({})", key.columns.join(", "));
        let columns = |key: &PrimaryKey, _: &Side<'_>| key.columns.clone();
        members.parts("primary key", std::slice::from_ref(pair), show, columns, Tightens::Yes, out);
    }
    let show = |unique: &Unique| format!("({})", unique.columns.join(", "));
    let columns = |unique: &Unique, _: &Side<'_>| [unique.columns.clone(), unique.include.clone()].concat();
    members.parts("unique", &change.uniques, show, columns, Tightens::Yes, out);
    let show = |key: &ForeignKey| {
        let action = match &key.on_delete {
            ReferentialAction::NoAction => "",
            ReferentialAction::Restrict => " on delete restrict",
            ReferentialAction::Cascade => " on delete cascade",
            ReferentialAction::SetNull(_) => " on delete set null",
            ReferentialAction::SetDefault(_) => " on delete set default",
        };
        format!("({}) references {}({}){action}", key.columns.join(", "), key.ref_table, key.ref_columns.join(", "))
    };
    members.parts("foreign key", &change.foreign_keys, show, |key, _| key.columns.clone(), Tightens::Yes, out);
    let show = |check: &Check| one_line(&check.expression.text);
    members.parts("check", &change.checks, show, |check, side| side.read_by(&check.expression), Tightens::Yes, out);
    let show = |exclusion: &Exclusion| one_line(&exclusion.elements.text);
    members.parts("exclusion", &change.exclusions, show, |_, _| Vec::new(), Tightens::Yes, out);
    members.parts("index", &change.indexes, index, index_columns, Tightens::No, out);
}

/// The columns that an index stands on.
fn index_columns(index: &Index, side: &Side<'_>) -> Vec<String> {
    let mut columns = index.include.clone();
    for key in &index.keys {
        match &key.target {
            IndexTarget::Column(name) => columns.push(name.clone()),
            IndexTarget::Expression(expr) => columns.extend(side.read_by(expr)),
        }
    }
    columns.extend(index.predicate.iter().flat_map(|predicate| side.read_by(predicate)));
    columns
}

/// One side of a changed table.
struct Side<'a> {
    table: &'a Table,
    schema: &'a Schema,
    dialect: Dialect,
}

impl Side<'_> {
    /// The columns that an expression over a row reads.
    fn read_by(&self, expr: &Expr) -> Vec<String> {
        let references = row_references(&expr.text, self.dialect, &self.table.name, self.schema);
        references.map(|found| found.columns.into_iter().map(|column| column.name).collect()).unwrap_or_default()
    }
}

/// What hangs on the columns of a changed table.
struct Members<'a> {
    diff: &'a Diff<'a>,
    change: &'a TableChange<'a>,
}

/// Whether an object of a kind refuses rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tightens {
    Yes,
    No,
}

impl Members<'_> {
    fn parts<T: Meaning>(
        &self,
        kind: &'static str,
        pairs: &[Pair<'_, T>],
        show: impl Fn(&T) -> String,
        columns: impl Fn(&T, &Side<'_>) -> Vec<String>,
        tightens: Tightens,
        out: &mut Vec<Difference>,
    ) {
        let table = Some(self.change.new.name.as_str());
        let side = |table, schema| Side { table, schema, dialect: self.diff.dialect };
        for pair in pairs.iter().filter(|pair| pair_differs(pair)) {
            let found = match (pair.old, pair.new) {
                (None, Some(new)) => {
                    let class = self.class_of_added(kind, &columns(new, &side(self.change.new, self.diff.new)), tightens);
                    Difference { details: vec![show(new)], ..difference(kind, table, &new.name().text, Change::Added, class) }
                }
                (Some(old), None) => {
                    let class = self.class_of_dropped(&columns(old, &side(self.change.old, self.diff.old)), tightens);
                    Difference { details: vec![show(old)], ..difference(kind, table, &old.name().text, Change::Dropped, class) }
                }
                (Some(old), Some(new)) => {
                    let renamed_from = Some(&old.name().text).filter(|name| **name != new.name().text).cloned();
                    let (before, after) = (show(old), show(new));
                    let mut details = match (pair.equal, before == after) {
                        (true, _) => Vec::new(),
                        (false, false) => vec![format!("{before} → {after}")],
                        (false, true) => vec![after],
                    };
                    if old.comment() != new.comment() {
                        details.push("comment".to_owned());
                    }
                    let class = if pair.equal { Class::InPlace } else { Class::Replaced };
                    let change = if details.is_empty() { Change::Renamed } else { Change::Changed };
                    Difference { renamed_from, details, ..difference(kind, table, &new.name().text, change, class) }
                }
                (None, None) => continue,
            };
            out.push(found);
        }
    }

    /// What is built over the new columns of a lens is built with them: when they are filled.
    fn class_of_added(&self, kind: &str, columns: &[String], tightens: Tightens) -> Class {
        let is_new = |name: &String| self.change.columns.iter().any(|pair| pair.old.is_none() && pair.new.is_some_and(|c| c.name == *name));
        let in_lens = |name: &String| self.two_sided().any(|lens| lens.new.iter().any(|member| member.column.name == *name));
        match tightens {
            _ if columns.iter().any(in_lens) && matches!(kind, "primary key" | "unique" | "index") => Class::Lens,
            Tightens::No => Class::ExpandOnly,
            // Only the new version writes there.
            Tightens::Yes if !columns.is_empty() && columns.iter().all(|name| is_new(name) && !in_lens(name)) => Class::ExpandOnly,
            Tightens::Yes => Class::ContractOnly,
        }
    }

    /// What stands on columns that go stays as long as they do.
    fn class_of_dropped(&self, columns: &[String], tightens: Tightens) -> Class {
        let goes = |name: &String| {
            let dropped = self.change.columns.iter().any(|pair| pair.new.is_none() && pair.old.is_some_and(|c| c.name == *name));
            dropped || self.two_sided().any(|lens| lens.old.iter().any(|member| member.column.name == *name))
        };
        match tightens {
            Tightens::Yes if !columns.iter().any(goes) => Class::ExpandOnly,
            Tightens::Yes | Tightens::No => Class::ContractOnly,
        }
    }

    /// The lenses of which both sides are columns in any access: a rename is one column in versioned access.
    fn two_sided(&self) -> impl Iterator<Item = &Lens<'_>> {
        let is_rename = |lens: &&Lens<'_>| matches!((lens.old.as_slice(), lens.new.as_slice()), ([_], [new]) if matches!(new.mapping, Some(Mapping::Copy(_))));
        self.change.lenses.iter().filter(move |lens| !lens.is_fill() && !is_rename(lens))
    }
}

fn index(index: &Index) -> String {
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|key| match &key.target {
            IndexTarget::Column(name) => name.clone(),
            IndexTarget::Expression(expr) => one_line(&expr.text),
        })
        .zip(&index.keys)
        .map(|(text, key)| {
            let length = key.length.map(|length| format!("({length})")).unwrap_or_default();
            format!("{text}{length}{}", if key.descending { " desc" } else { "" })
        })
        .collect();
    let unique = if index.unique { "unique " } else { "" };
    let predicate = index.predicate.as_ref().map(|predicate| format!(" where {}", one_line(&predicate.text))).unwrap_or_default();
    let method = if index.method == "btree" { String::new() } else { format!("using {} ", index.method) };
    format!("{unique}{method}({}){predicate}", keys.join(", "))
}

/// Text on one line, cut where it gets long.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST - 1).chain(['…']).collect() }
}

/// Whether the line of its column says all of a lens: it is one column, and reads no other.
fn is_told(lens: &Lens<'_>, change: &TableChange<'_>) -> bool {
    if !lens.inputs.is_empty() || lens.is_fill() {
        return false;
    }
    match (lens.old.as_slice(), lens.new.as_slice()) {
        ([old], [new]) => change.columns.iter().any(|pair| {
            let is = |found: Option<&Column>, of: &LensColumn<'_>| found.is_some_and(|found| found.name == of.column.name);
            is(pair.old, old) && is(pair.new, new)
        }),
        ([_], []) | ([], [_]) => true,
        _ => false,
    }
}

/// `full_name ⇄ first_name, last_name`.
fn steps(lens: &Lens<'_>) -> String {
    let names = |columns: &[LensColumn<'_>]| columns.iter().map(|column| column.column.name.as_str()).collect::<Vec<_>>().join(", ");
    let (old, new) = (names(&lens.old), names(&lens.new));
    let down = lens.old.iter().any(|column| column.mapping.is_some());
    let up = lens.new.iter().any(|column| column.mapping.is_some());
    let inputs = if lens.inputs.is_empty() { String::new() } else { format!(" (reads {})", lens.inputs.join(", ")) };
    if lens.is_fill() {
        return format!("fills NULLs of {new}{inputs}");
    }
    match (old.is_empty(), new.is_empty()) {
        (false, true) => format!("{old} for the old version{inputs}"),
        (true, _) => format!("{new} for the new version{inputs}"),
        (false, false) => {
            let arrow = match (up, down) {
                (true, false) => "→",
                (false, true) => "←",
                (true, true) | (false, false) => "⇄",
            };
            format!("{old} {arrow} {new}{inputs}")
        }
    }
}

fn column(table: &str, pair: &ColumnPair<'_>, change: &TableChange<'_>) -> Option<Difference> {
    let of = |columns: &[LensColumn<'_>], column: Option<&Column>| {
        column.is_some_and(|column| columns.iter().any(|lens| lens.column.name == column.name))
    };
    let number = change.lenses.iter().position(|lens| of(&lens.new, pair.new) || (pair.new.is_none() && of(&lens.old, pair.old)));
    let lens = number.map(|at| at + 1);
    let classed = |class: Class| if lens.is_some() { Class::Lens } else { class };
    match (pair.old, pair.new) {
        (None, Some(new)) => {
            let details = vec![definition(new)];
            Some(Difference { details, lens, ..difference("column", Some(table), &new.name, Change::Added, classed(Class::ExpandOnly)) })
        }
        (Some(old), None) => {
            let details = vec![definition(old)];
            Some(Difference {
                details,
                lens,
                ..difference("column", Some(table), &old.name, Change::Dropped, classed(Class::ContractOnly))
            })
        }
        (Some(old), Some(new)) if pair.facets.any() || lens.is_some() => {
            let details = facets(old, new, pair);
            let tightened = pair.facets.not_null && new.not_null;
            // A default that appears where NULL is refused lets through what failed before.
            let loosened_default = old.not_null && old.default.is_none() && new.default.is_some();
            let late = tightened || (pair.facets.default && !loosened_default) || pair.facets.identity;
            let class = classed(if pair.facets.generated || pair.facets.collation || pair.facets.ty {
                Class::Replaced
            } else if late {
                Class::ContractOnly
            } else if pair.facets.not_null || pair.facets.default {
                Class::ExpandOnly
            } else {
                Class::InPlace
            });
            let renamed_from = pair.facets.name.then(|| old.name.clone());
            let change = if details.is_empty() && renamed_from.is_some() { Change::Renamed } else { Change::Changed };
            Some(Difference { details, renamed_from, lens, ..difference("column", Some(table), &new.name, change, class) })
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn facets(old: &Column, new: &Column, pair: &ColumnPair<'_>) -> Vec<String> {
    let facets = pair.facets;
    let mut details = Vec::new();
    if facets.ty {
        let (before, after) = (type_name(&old.ty), type_name(&new.ty));
        details.push(if before == after { format!("values of {after}") } else { format!("{before} → {after}") });
    }
    if facets.not_null {
        details.push(if new.not_null { "becomes NOT NULL" } else { "may be NULL" }.to_owned());
    }
    if facets.default {
        let show = |column: &Column| column.default.as_ref().map(|default| one_line(&default.text));
        details.push(match (show(old), show(new)) {
            (Some(old), Some(new)) => format!("default {old} → {new}"),
            (None, Some(new)) => format!("default {new}"),
            (Some(old), None) => format!("no default (was {old})"),
            (None, None) => "default".to_owned(),
        });
    }
    if facets.generated {
        details.push("generated expression".to_owned());
    }
    if facets.identity {
        details.push(
            match new.identity {
                Some(Identity::Always) => "generated always as identity",
                Some(Identity::ByDefault) => "generated by default as identity",
                None => "no identity",
            }
            .to_owned(),
        );
    }
    if facets.collation {
        let show = |column: &Column| column.collation.clone().unwrap_or_else(|| "default".to_owned());
        details.push(format!("collation {} → {}", show(old), show(new)));
    }
    if facets.comment {
        details.push("comment".to_owned());
    }
    let hinted = pair.hints.is_some_and(|hints| hints.up.is_some() || hints.down.is_some() || hints.values.is_some());
    if hinted && !facets.ty {
        details.push("values".to_owned());
    }
    details
}

fn definition(column: &Column) -> String {
    let mut text = type_name(&column.ty);
    if column.not_null {
        text.push_str(" not null");
    }
    if let Some(default) = &column.default {
        let _ = write!(text, " default {}", one_line(&default.text));
    }
    if column.identity.is_some() {
        text.push_str(" identity");
    }
    if let Some(generated) = &column.generated {
        let _ = write!(text, " generated as ({})", one_line(&generated.expression.text));
    }
    text
}

/// A type by its portable name.
fn type_name(ty: &Type) -> String {
    let digits = |precision: Option<u32>| precision.map(|digits| format!("({digits})")).unwrap_or_default();
    let mut text = match &ty.kind {
        TypeKind::SmallInt => "smallint".to_owned(),
        TypeKind::Integer => "integer".to_owned(),
        TypeKind::BigInt => "bigint".to_owned(),
        TypeKind::Numeric { precision, scale } => match (precision, scale) {
            (Some(precision), Some(scale)) => format!("numeric({precision},{scale})"),
            (Some(precision), None) => format!("numeric({precision})"),
            (None, _) => "numeric".to_owned(),
        },
        TypeKind::Real => "real".to_owned(),
        TypeKind::Double => "double precision".to_owned(),
        TypeKind::Boolean => "boolean".to_owned(),
        TypeKind::Char(length) => format!("char({length})"),
        TypeKind::Varchar(length) => format!("varchar{}", digits(*length)),
        TypeKind::Text => "text".to_owned(),
        TypeKind::Bytea => "bytea".to_owned(),
        TypeKind::Date => "date".to_owned(),
        TypeKind::Time { precision, zone } => format!("{}{}", if *zone { "timetz" } else { "time" }, digits(*precision)),
        TypeKind::Timestamp { precision, zone } => format!("{}{}", if *zone { "timestamptz" } else { "timestamp" }, digits(*precision)),
        TypeKind::Interval => "interval".to_owned(),
        TypeKind::Uuid => "uuid".to_owned(),
        TypeKind::Json => "json".to_owned(),
        TypeKind::Jsonb => "jsonb".to_owned(),
        TypeKind::Enum(name) => name.clone(),
        TypeKind::Native(spelling) => spelling.clone(),
    };
    text.push_str(&"[]".repeat(usize::from(ty.array_dimensions)));
    text
}
