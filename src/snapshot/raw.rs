//! The snapshot as it is written: every dialect's choices side by side, every value with its place, nothing resolved.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::decode::{Choice, Decoder, Text, is_null, nearest};
use super::model::{Access, Enforce, Identity, Nulls, OnConflict, Otherwise, RenamedFrom, Value};
use super::tree::{self, Kind, Node, Scalar};
use crate::diagnostic::{Diagnostic, FileId, Sources, Span};
use crate::sql::Dialect;
use crate::sql::definition::{self, Action, ClauseKind, Definition, Timing};

/// A snapshot as written, for all dialects at once. [`Snapshot::resolve`] makes one dialect's schema of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub(super) version: Option<Text>,
    pub(super) release: Option<Text>,
    pub(super) enums: IndexMap<String, RawEnum>,
    pub(super) sequences: IndexMap<String, RawSequence>,
    pub(super) tables: IndexMap<String, RawTable>,
    pub(super) views: IndexMap<String, RawView>,
    pub(super) extensions: IndexMap<String, Text>,
    pub(super) transition: Option<RawTransition>,
}

impl Snapshot {
    /// The snapshot with nothing in it: what was there before the first one.
    pub fn empty() -> Snapshot {
        Snapshot::default()
    }

    /// Its name; empty for the empty snapshot.
    pub fn version(&self) -> &str {
        self.version.as_ref().map_or("", |v| v.value.as_str())
    }

    /// The version that its transition starts from.
    pub fn transition_from(&self) -> Option<&str> {
        self.transition.as_ref()?.from.as_ref().map(|from| from.value.as_str())
    }

    /// Whether nothing is in it, not even a version.
    pub fn is_empty(&self) -> bool {
        *self == Snapshot::default()
    }
}

/// Which dialects have an object; `None` for all.
pub(super) type Dialects = Option<Vec<Dialect>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawEnum {
    pub(super) name: Text,
    pub(super) labels: Vec<Text>,
    pub(super) comment: Option<String>,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawSequence {
    pub(super) name: Text,
    pub(super) start: Option<i64>,
    pub(super) increment: Option<i64>,
    pub(super) min_value: Option<i64>,
    pub(super) max_value: Option<i64>,
    pub(super) cache: Option<i64>,
    pub(super) cycle: bool,
    pub(super) comment: Option<String>,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawView {
    pub(super) name: Text,
    pub(super) query: Choice<Text>,
    pub(super) materialized: bool,
    pub(super) comment: Option<String>,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawTable {
    pub(super) name: Text,
    pub(super) comment: Option<String>,
    pub(super) columns: IndexMap<String, RawColumn>,
    pub(super) primary_key: Option<RawKey>,
    pub(super) uniques: Vec<RawUnique>,
    pub(super) foreign_keys: Vec<RawForeignKey>,
    pub(super) checks: Vec<RawCheck>,
    pub(super) exclusions: Vec<RawExclusion>,
    pub(super) indexes: Vec<RawIndex>,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawColumn {
    pub(super) name: Text,
    pub(super) ty: Option<Choice<Text>>,
    /// Whether null is refused, and where it says so.
    pub(super) not_null: Option<(bool, Span)>,
    pub(super) default: Option<Choice<Text>>,
    /// Where `default null` is written.
    pub(super) default_null: Option<Span>,
    pub(super) generated: Option<RawGenerated>,
    pub(super) identity: Option<(Identity, Span)>,
    pub(super) collation: Option<Choice<Text>>,
    pub(super) comment: Option<String>,
    pub(super) primary_key: Option<(Option<Text>, Span)>,
    pub(super) uniques: Vec<RawUnique>,
    pub(super) references: Vec<RawForeignKey>,
    pub(super) checks: Vec<RawCheck>,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawGenerated {
    pub(super) expression: Choice<Text>,
    pub(super) stored: Option<bool>,
    pub(super) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawKey {
    pub(super) name: Option<Text>,
    pub(super) columns: Vec<Text>,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawUnique {
    pub(super) name: Option<Text>,
    pub(super) columns: Vec<Text>,
    pub(super) include: Vec<Text>,
    pub(super) nulls_not_distinct: bool,
    pub(super) timing: Timing,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawForeignKey {
    pub(super) name: Option<Text>,
    pub(super) columns: Vec<Text>,
    pub(super) table: Text,
    pub(super) ref_columns: Vec<Text>,
    pub(super) on_delete: Option<Action>,
    pub(super) on_update: Option<Action>,
    pub(super) timing: Timing,
    pub(super) match_full: bool,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawCheck {
    pub(super) name: Option<Text>,
    pub(super) expression: Choice<Text>,
    /// The column at which it stands, for its conventional name.
    pub(super) column: Option<String>,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawExclusion {
    pub(super) name: Option<Text>,
    pub(super) method: Option<Text>,
    pub(super) elements: Choice<Text>,
    pub(super) predicate: Option<Choice<Text>>,
    pub(super) timing: Timing,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawIndex {
    pub(super) name: Option<Text>,
    pub(super) keys: Vec<RawIndexKey>,
    pub(super) unique: bool,
    pub(super) nulls_not_distinct: bool,
    pub(super) method: Option<Choice<Text>>,
    pub(super) predicate: Option<Choice<Text>>,
    pub(super) include: Vec<Text>,
    pub(super) with: Vec<(String, String)>,
    pub(super) comment: Option<String>,
    pub(super) span: Span,
    pub(super) dialects: Dialects,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawIndexKey {
    pub(super) target: RawTarget,
    pub(super) descending: bool,
    pub(super) nulls: Option<Nulls>,
    pub(super) collation: Option<Text>,
    pub(super) opclass: Option<Text>,
    pub(super) length: Option<u32>,
    pub(super) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RawTarget {
    /// `column: x`: nothing but a column.
    Column(Text),
    /// `expression: x`, by dialect or for all.
    Expression(Choice<Text>),
    /// A bare entry: a column when the table has one of that name, else an expression.
    Either(Text),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawTransition {
    pub(super) span: Span,
    pub(super) from: Option<Text>,
    pub(super) access: Option<Choice<Access>>,
    pub(super) tables: IndexMap<String, RawTableHints>,
    pub(super) enums: IndexMap<String, RawEnumHints>,
    pub(super) allow: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawTableHints {
    pub(super) name: Text,
    pub(super) renamed_from: Option<RenamedFrom>,
    pub(super) columns: IndexMap<String, RawColumnHints>,
    pub(super) from: Option<(Text, Option<Choice<Text>>)>,
    pub(super) key: Vec<(Text, Choice<Text>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawColumnHints {
    pub(super) name: Text,
    pub(super) renamed_from: Option<RenamedFrom>,
    pub(super) up: Option<Choice<Text>>,
    pub(super) down: Option<Choice<Text>>,
    pub(super) backfill: Option<Choice<Text>>,
    pub(super) values: Option<super::model::ValueMap>,
    pub(super) lossy: bool,
    pub(super) follow: Option<bool>,
    pub(super) enforce: Option<Enforce>,
    pub(super) on_conflict: OnConflict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawEnumHints {
    pub(super) name: Text,
    pub(super) renamed_from: Option<RenamedFrom>,
    pub(super) values: IndexMap<String, RenamedFrom>,
}

/// Reads one file, or the files of a directory merged, as one snapshot. Every fault of every file is reported at once; what
/// is returned beside errors holds what could be read and is good only for finding more faults.
pub fn read(sources: &Sources, files: &[FileId]) -> (Snapshot, Vec<Diagnostic>) {
    let mut decoder = Decoder::default();
    let mut reader = Reader { snapshot: Snapshot::default(), definitions: HashMap::new() };
    let mut broken = false;
    for file in files {
        let Some(source) = sources.get(*file) else { continue };
        let (root, faults) = tree::read(&source.text, *file);
        let stopped = root.is_none() && !faults.is_empty();
        broken |= stopped;
        decoder.diagnostics.extend(faults);
        if let Some(root) = root {
            reader.document(&mut decoder, &root);
        }
    }
    if reader.snapshot.version.is_none() && !broken && !decoder.diagnostics.iter().any(|d| d.code == "bad-version") {
        let place = files.first().map_or_else(Span::default, |file| Span { file: *file, start: 0, end: 0 });
        decoder.report(
            Diagnostic::error("missing-version", "the snapshot has no `version`")
                .at(place, "")
                .help("name the snapshot in its first line: `version: pike`"),
        );
    }
    (reader.snapshot, decoder.diagnostics)
}

const TOP: [&str; 8] = ["version", "release", "enums", "sequences", "tables", "views", "extensions", "transition"];
const TABLE: [&str; 9] = ["comment", "columns", "primary_key", "unique", "foreign_keys", "checks", "exclusions", "indexes", "dialects"];
const COLUMN: [&str; 12] = [
    "type",
    "not_null",
    "default",
    "generated",
    "identity",
    "collation",
    "comment",
    "primary_key",
    "unique",
    "references",
    "check",
    "dialects",
];
const ACTIONS: &str = "`no action`, `restrict`, `cascade`, `set null` or `set default`";

struct Reader {
    snapshot: Snapshot,
    /// Short forms that were read before: the same text means the same.
    definitions: HashMap<String, Definition>,
}

impl Reader {
    fn document(&mut self, d: &mut Decoder, root: &Node) {
        let top = d.fields(root, "a snapshot", &TOP);
        if let Some(version) = top.written("version").and_then(|node| version_name(d, node, "version")) {
            match &self.snapshot.version {
                Some(first) if first.value != version.value => d.report(
                    Diagnostic::error("two-versions", format!("the snapshot is named `{}` and `{}`", first.value, version.value))
                        .at(version.span, "another version here")
                        .at(first.span, "first here")
                        .help("write the version into one of the files, or the same one into each"),
                ),
                Some(_) => {}
                None => self.snapshot.version = Some(version),
            }
        }
        if let Some(release) = top.get("release").and_then(|node| version_name(d, node, "release")) {
            match &self.snapshot.release {
                Some(first) if first.value != release.value => d.report(
                    Diagnostic::error("two-versions", format!("the release is named `{}` and `{}`", first.value, release.value))
                        .at(release.span, "another release here")
                        .at(first.span, "first here"),
                ),
                Some(_) => {}
                None => self.snapshot.release = Some(release),
            }
        }
        if let Some(node) = top.get("enums") {
            for (key, value) in d.map(node, "`enums`") {
                let name = d.name(Text::from(key), &format!("enum `{}`", key.text));
                if let Some(read) = enum_type(d, name, value) {
                    define(d, &mut self.snapshot.enums, "enum", read, |x| &x.name);
                }
            }
        }
        if let Some(node) = top.get("sequences") {
            for (key, value) in d.map(node, "`sequences`") {
                let name = d.name(Text::from(key), &format!("sequence `{}`", key.text));
                let read = sequence(d, name, value);
                define(d, &mut self.snapshot.sequences, "sequence", read, |x| &x.name);
            }
        }
        if let Some(node) = top.get("tables") {
            for (key, value) in d.map(node, "`tables`") {
                let name = d.name(Text::from(key), &format!("table `{}`", key.text));
                let read = self.table(d, name, value);
                define(d, &mut self.snapshot.tables, "table", read, |x| &x.name);
            }
        }
        if let Some(node) = top.get("views") {
            for (key, value) in d.map(node, "`views`") {
                let name = d.name(Text::from(key), &format!("view `{}`", key.text));
                if let Some(read) = view(d, name, value) {
                    define(d, &mut self.snapshot.views, "view", read, |x| &x.name);
                }
            }
        }
        if let Some(node) = top.get("extensions") {
            for name in d.names(node, "`extensions`") {
                self.snapshot.extensions.entry(name.value.clone()).or_insert(name);
            }
        }
        if let Some(node) = top.get("transition") {
            let read = transition(d, node, top.key("transition"));
            match &self.snapshot.transition {
                Some(first) => d.report(
                    Diagnostic::error("duplicate-definition", "`transition` is written twice")
                        .at(read.span, "a second time here")
                        .at(first.span, "first here"),
                ),
                None => self.snapshot.transition = Some(read),
            }
        }
    }

    fn table(&mut self, d: &mut Decoder, name: Text, node: &Node) -> RawTable {
        let what = format!("table `{}`", name.value);
        let fields = d.fields(node, &what, &TABLE);
        let mut columns = IndexMap::new();
        if let Some(node) = d.required(&fields, "columns", &what, name.span) {
            let entries = d.map(node, &format!("`columns` of {what}"));
            if entries.is_empty() && matches!(node.kind, Kind::Map(_)) {
                d.report(Diagnostic::error("no-columns", format!("{what} has no columns")).at(node.span, "empty"));
            }
            columns.reserve(entries.len());
            for (key, value) in entries {
                let column = self.column(d, &name.value, Text::from(key), value);
                columns.insert(key.text.clone(), column);
            }
        }
        let primary_key = fields.get("primary_key").and_then(|node| primary_key(d, node, &what));
        let list = |d: &mut Decoder, key: &str| fields.get(key).map_or(&[][..], |node| d.list(node, &format!("`{key}` of {what}")));
        let mut uniques = Vec::new();
        for item in list(d, "unique") {
            uniques.extend(unique(d, item, &what));
        }
        let mut foreign_keys = Vec::new();
        for item in list(d, "foreign_keys") {
            foreign_keys.extend(foreign_key(d, item, &what));
        }
        let mut checks = Vec::new();
        for item in list(d, "checks") {
            checks.extend(check(d, item, &what));
        }
        let mut exclusions = Vec::new();
        for item in list(d, "exclusions") {
            exclusions.extend(exclusion(d, item, &what));
        }
        let mut indexes = Vec::new();
        for item in list(d, "indexes") {
            indexes.extend(index(d, item, &what));
        }
        let comment = d.comment(&fields);
        let dialects = d.dialects(&fields);
        // A list grows to four entries at once, and most of these hold one: unused room would be a third of a large snapshot.
        uniques.shrink_to_fit();
        foreign_keys.shrink_to_fit();
        checks.shrink_to_fit();
        exclusions.shrink_to_fit();
        indexes.shrink_to_fit();
        RawTable { name, comment, columns, primary_key, uniques, foreign_keys, checks, exclusions, indexes, dialects }
    }

    fn column(&mut self, d: &mut Decoder, table: &str, name: Text, node: &Node) -> RawColumn {
        let what = format!("column `{table}.{}`", name.value);
        let name = d.name(name, &what);
        let mut column = RawColumn {
            name,
            ty: None,
            not_null: None,
            default: None,
            default_null: None,
            generated: None,
            identity: None,
            collation: None,
            comment: None,
            primary_key: None,
            uniques: Vec::new(),
            references: Vec::new(),
            checks: Vec::new(),
            dialects: None,
        };
        match &node.kind {
            Kind::Scalar(scalar) if !scalar.is_null() && scalar.as_bool().is_none() && !scalar.is_number() => {
                self.short_form(d, &what, &mut column, scalar);
            }
            Kind::Map(_) => long_form(d, &what, &mut column, node),
            Kind::Scalar(_) | Kind::List(_) => d.wrong_type(node, &what, "a column definition (`bigint not null`) or a map"),
        }
        column.uniques.shrink_to_fit();
        column.references.shrink_to_fit();
        column.checks.shrink_to_fit();
        column
    }

    fn short_form(&mut self, d: &mut Decoder, what: &str, column: &mut RawColumn, scalar: &Scalar) {
        let definition = match self.definitions.get(&scalar.text) {
            Some(known) => known,
            None => match definition::parse(&scalar.text) {
                Ok(read) => self.definitions.entry(scalar.text.clone()).or_insert(read),
                Err(fault) => {
                    report_definition_fault(d, &Text::from(scalar), fault, what);
                    return;
                }
            },
        };
        let part = |range: &std::ops::Range<usize>| Text {
            value: scalar.text.get(range.clone()).unwrap_or("").to_owned(),
            span: scalar.part(range.clone()),
            verbatim: scalar.verbatim,
        };
        column.ty = Some(Choice::All(part(&definition.ty)));
        for clause in &definition.clauses {
            let span = scalar.part(clause.range.clone());
            let name =
                clause.name.as_ref().map(|(name, range)| Text { value: name.clone(), span: scalar.part(range.clone()), verbatim: false });
            let mut twice = |first: Option<Span>, noun: &str| {
                if let Some(first) = first {
                    d.report(
                        Diagnostic::error("contradiction", format!("{what} has two {noun}"))
                            .at(span, "a second time here")
                            .at(first, "first here"),
                    );
                }
            };
            match &clause.kind {
                ClauseKind::NotNull | ClauseKind::Null => {
                    let not_null = clause.kind == ClauseKind::NotNull;
                    match column.not_null {
                        Some((before, first)) if before != not_null => d.report(
                            Diagnostic::error("contradiction", format!("{what} is both `null` and `not null`"))
                                .at(span, "this contradicts")
                                .at(first, "what stands here"),
                        ),
                        _ => column.not_null = Some((not_null, span)),
                    }
                }
                ClauseKind::Default(range) => {
                    let value = part(range);
                    twice(column.default.as_ref().and_then(|c| if let Choice::All(t) = c { Some(t.span) } else { None }), "defaults");
                    // `default null` says what is so without it.
                    if value.value.eq_ignore_ascii_case("null") {
                        column.default_null = Some(span);
                    } else {
                        column.default = Some(Choice::All(value));
                    }
                }
                ClauseKind::Unique { nulls_not_distinct, timing } => column.uniques.push(RawUnique {
                    name,
                    columns: vec![column.name.clone()],
                    include: Vec::new(),
                    nulls_not_distinct: *nulls_not_distinct,
                    timing: *timing,
                    span,
                    dialects: None,
                }),
                ClauseKind::PrimaryKey => column.primary_key = Some((name, span)),
                ClauseKind::References(references) => {
                    let key = inline_reference(references, name, column.name.clone(), span, |range| scalar.part(range));
                    column.references.push(key);
                }
                ClauseKind::Check(range) => column.checks.push(RawCheck {
                    name,
                    expression: Choice::All(part(range)),
                    column: Some(column.name.value.clone()),
                    span,
                    dialects: None,
                }),
                ClauseKind::Identity { always } => {
                    twice(column.identity.map(|(_, s)| s), "identities");
                    column.identity = Some((if *always { Identity::Always } else { Identity::ByDefault }, span));
                }
                ClauseKind::Generated { expression, stored } => {
                    twice(column.generated.as_ref().map(|g| g.span), "generation expressions");
                    column.generated = Some(RawGenerated { expression: Choice::All(part(expression)), stored: *stored, span });
                }
                ClauseKind::Collate(name) => column.collation = Some(Choice::All(Text { value: name.clone(), span, verbatim: false })),
                ClauseKind::Comment(text) => column.comment = Some(text.clone()),
            }
        }
    }
}

/// Puts an object into its map; a second one of its name is an error that shows both places.
fn define<T>(d: &mut Decoder, map: &mut IndexMap<String, T>, noun: &str, value: T, name: impl Fn(&T) -> &Text) {
    let key = name(&value).value.clone();
    if let Some(first) = map.get(&key) {
        d.report(
            Diagnostic::error("duplicate-definition", format!("{noun} `{key}` is defined twice"))
                .at(name(&value).span, "a second time here")
                .at(name(first).span, "first here"),
        );
        return;
    }
    map.insert(key, value);
}

fn version_name(d: &mut Decoder, node: &Node, key: &str) -> Option<Text> {
    let bad = |d: &mut Decoder, span: Span, found: &str| {
        d.report(
            Diagnostic::error("bad-version", format!("`{found}` can't be a {key}"))
                .at(span, "expected a lower-case letter, then up to 29 of a-z, 0-9 and _")
                .help(format!("for example `{key}: pike` or `{key}: v2_1`")),
        );
    };
    let text = match &node.kind {
        Kind::Scalar(s) => Text::from(s),
        Kind::List(_) | Kind::Map(_) => {
            bad(d, node.span, node.kind.noun());
            return None;
        }
    };
    let mut chars = text.value.bytes();
    let good = chars.next().is_some_and(|b| b.is_ascii_lowercase())
        && chars.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.value.len() <= 30
        && !matches!(&node.kind, Kind::Scalar(s) if s.is_null() || s.as_bool().is_some());
    if !good {
        bad(d, text.span, &text.value);
        return None;
    }
    // A namespace of that name is made for versioned access.
    if text.value == "crossfade" || text.value == "empty" || text.value.starts_with("crossfade_") {
        d.report(
            Diagnostic::error("reserved-name", format!("the {key} `{}` is reserved", text.value))
                .at(text.span, "this name belongs to crossfade")
                .help("choose another name"),
        );
    }
    Some(text)
}

fn report_definition_fault(d: &mut Decoder, text: &Text, fault: definition::Fault, what: &str) {
    let mut diagnostic = Diagnostic::error("bad-definition", format!("the definition of {what} can't be read: {}", fault.message))
        .at(text.part(fault.range), "here");
    if let Some(help) = fault.help {
        diagnostic = diagnostic.help(help);
    }
    d.report(diagnostic);
}

fn inline_reference(
    references: &definition::References,
    name: Option<Text>,
    column: Text,
    span: Span,
    part: impl Fn(std::ops::Range<usize>) -> Span,
) -> RawForeignKey {
    let text =
        |(value, range): &(String, std::ops::Range<usize>)| Text { value: value.clone(), span: part(range.clone()), verbatim: false };
    RawForeignKey {
        name,
        columns: vec![column],
        table: text(&references.table),
        ref_columns: references.columns.iter().map(text).collect(),
        on_delete: references.on_delete.clone(),
        on_update: references.on_update.clone(),
        timing: references.timing,
        match_full: references.match_full,
        span,
        dialects: None,
    }
}

fn long_form(d: &mut Decoder, what: &str, column: &mut RawColumn, node: &Node) {
    let fields = d.fields(node, what, &COLUMN);
    if let Some(node) = d.required(&fields, "type", what, column.name.span) {
        column.ty = d.choice(node, &format!("the type of {what}"), |d, n| d.text(n, "a type"));
    }
    if let Some(node) = fields.get("not_null") {
        column.not_null = d.bool(node, "`not_null`").map(|value| (value, fields.key("not_null")));
    }
    if let Some(node) = fields.get("default") {
        match d.expressions(node, &format!("the default of {what}")) {
            Some(Choice::All(text)) if text.value.eq_ignore_ascii_case("null") => column.default_null = Some(text.span),
            other => column.default = other,
        }
    }
    if let Some(node) = fields.get("generated") {
        let what = format!("`generated` of {what}");
        let fields = match &node.kind {
            Kind::Map(_) => Some(d.fields(node, &what, &["expression", "stored"])),
            Kind::Scalar(_) | Kind::List(_) => {
                d.wrong_type(node, &what, "a map with `expression` and `stored`");
                None
            }
        };
        if let Some(fields) = fields
            && let Some(expression) = d.required(&fields, "expression", &what, node.span)
            && let Some(expression) = d.expressions(expression, &what)
        {
            let stored = fields.get("stored").and_then(|node| d.bool(node, "`stored`"));
            column.generated = Some(RawGenerated { expression, stored, span: node.span });
        }
    }
    if let Some(node) = fields.get("identity") {
        let words = [("always", Identity::Always), ("by_default", Identity::ByDefault)];
        column.identity = d.word(node, "`identity`", &words).map(|value| (value, node.span));
    }
    if let Some(node) = fields.get("collation") {
        column.collation = d.choice(node, "`collation`", |d, n| d.text(n, "`collation`"));
    }
    column.comment = d.comment(&fields);
    if let Some(node) = fields.get("primary_key")
        && d.bool(node, "`primary_key` of a column") == Some(true)
    {
        column.primary_key = Some((None, fields.key("primary_key")));
    }
    if let Some(node) = fields.get("unique")
        && d.bool(node, "`unique` of a column") == Some(true)
    {
        column.uniques.push(RawUnique {
            name: None,
            columns: vec![column.name.clone()],
            include: Vec::new(),
            nulls_not_distinct: false,
            timing: Timing::default(),
            span: fields.key("unique"),
            dialects: None,
        });
    }
    if let Some(node) = fields.get("references")
        && let Some(key) = reference(d, node, what, column.name.clone())
    {
        column.references.push(key);
    }
    if let Some(node) = fields.get("check")
        && let Some(expression) = d.expressions(node, &format!("the check of {what}"))
    {
        column.checks.push(RawCheck { name: None, expression, column: Some(column.name.value.clone()), span: node.span, dialects: None });
    }
    column.dialects = d.dialects(&fields);
}

/// `references` of a column's long form: `teams(id) on delete cascade`, or a map.
fn reference(d: &mut Decoder, node: &Node, what: &str, column: Text) -> Option<RawForeignKey> {
    if let Kind::Scalar(_) = &node.kind {
        let text = d.text(node, "`references`")?;
        return match definition::parse_references(&text.value) {
            Ok(read) => Some(inline_reference(&read, None, column, node.span, |range| text.part(range))),
            Err(fault) => {
                report_definition_fault(d, &text, fault, what);
                None
            }
        };
    }
    let what = format!("`references` of {what}");
    let fields =
        d.fields(node, &what, &["name", "table", "columns", "on_delete", "on_update", "deferrable", "initially_deferred", "match"]);
    let table = d.required(&fields, "table", &what, node.span).and_then(|n| d.scalar(n, "`table`"))?;
    let ref_columns = fields.get("columns").map(|n| d.names(n, &what)).unwrap_or_default();
    Some(RawForeignKey {
        name: object_name(d, &fields),
        columns: vec![column],
        table,
        ref_columns,
        on_delete: action(d, &fields, "on_delete"),
        on_update: action(d, &fields, "on_update"),
        timing: timing(d, &fields),
        match_full: match_full(d, &fields),
        span: node.span,
        dialects: None,
    })
}

fn enum_type(d: &mut Decoder, name: Text, node: &Node) -> Option<RawEnum> {
    let what = format!("enum `{}`", name.value);
    let (labels, comment, dialects) = match &node.kind {
        Kind::Map(_) => {
            let fields = d.fields(node, &what, &["values", "comment", "dialects"]);
            let values = d.required(&fields, "values", &what, name.span)?;
            (d.names(values, &what), d.comment(&fields), d.dialects(&fields))
        }
        Kind::List(_) => (d.names(node, &what), None, None),
        Kind::Scalar(_) => {
            d.wrong_type(node, &what, "a list of its values");
            return None;
        }
    };
    if labels.is_empty() {
        d.report(Diagnostic::error("no-values", format!("{what} has no values")).at(node.span, "empty"));
    }
    for label in &labels {
        // NAMEDATALEN - 1; https://www.postgresql.org/docs/current/datatype-enum.html
        if label.value.len() > 63 {
            d.report(
                Diagnostic::error("name-too-long", format!("the value `{}` of {what} has {} bytes", label.value, label.value.len()))
                    .at(label.span, "at most 63 bytes"),
            );
        }
    }
    Some(RawEnum { name, labels, comment, dialects })
}

fn sequence(d: &mut Decoder, name: Text, node: &Node) -> RawSequence {
    let what = format!("sequence `{}`", name.value);
    let fields = d.fields(node, &what, &["start", "increment", "min_value", "max_value", "cache", "cycle", "comment", "dialects"]);
    let mut number = |key: &str| fields.get(key).and_then(|node| d.integer(node, &format!("`{key}` of {what}")));
    let (start, increment) = (number("start"), number("increment"));
    let (min_value, max_value, cache) = (number("min_value"), number("max_value"), number("cache"));
    if increment == Some(0) {
        d.report(Diagnostic::error("contradiction", format!("{what} never moves")).at(fields.key("increment"), "an increment of 0"));
    }
    if let (Some(min), Some(max)) = (min_value, max_value)
        && min >= max
    {
        d.report(
            Diagnostic::error("contradiction", format!("`min_value` of {what} is not below `max_value`")).at(fields.key("min_value"), ""),
        );
    }
    if let Some(start) = start
        && (min_value.is_some_and(|min| start < min) || max_value.is_some_and(|max| start > max))
    {
        d.report(Diagnostic::error("contradiction", format!("`start` of {what} is not between its bounds")).at(fields.key("start"), ""));
    }
    let cycle = d.flag(&fields, "cycle");
    let comment = d.comment(&fields);
    let dialects = d.dialects(&fields);
    RawSequence { name, start, increment, min_value, max_value, cache, cycle, comment, dialects }
}

fn view(d: &mut Decoder, name: Text, node: &Node) -> Option<RawView> {
    let what = format!("view `{}`", name.value);
    if let Kind::Scalar(s) = &node.kind
        && !s.is_null()
    {
        let query = d.expressions(node, &format!("the query of {what}"))?;
        return Some(RawView { name, query, materialized: false, comment: None, dialects: None });
    }
    let fields = d.fields(node, &what, &["query", "comment", "materialized", "dialects"]);
    let query = d.required(&fields, "query", &what, name.span).and_then(|n| d.expressions(n, &format!("the query of {what}")));
    let materialized = d.flag(&fields, "materialized");
    let comment = d.comment(&fields);
    let dialects = d.dialects(&fields);
    Some(RawView { name, query: query?, materialized, comment, dialects })
}

/// `name:` of a constraint or index.
fn object_name(d: &mut Decoder, fields: &super::decode::Fields<'_>) -> Option<Text> {
    let node = fields.get("name")?;
    let text = d.scalar(node, "`name`")?;
    let what = format!("`{}`", text.value);
    Some(d.name(text, &what))
}

fn timing(d: &mut Decoder, fields: &super::decode::Fields<'_>) -> Timing {
    let initially_deferred = d.flag(fields, "initially_deferred");
    let deferrable = d.flag(fields, "deferrable");
    if initially_deferred
        && let Some(node) = fields.get("deferrable")
        && !deferrable
    {
        d.report(
            Diagnostic::error("contradiction", "a constraint that is initially deferred must be deferrable")
                .at(node.span, "this contradicts")
                .at(fields.key("initially_deferred"), "what stands here"),
        );
    }
    Timing { deferrable: deferrable || initially_deferred, initially_deferred }
}

fn match_full(d: &mut Decoder, fields: &super::decode::Fields<'_>) -> bool {
    fields.get("match").and_then(|node| d.word(node, "`match`", &[("full", true), ("simple", false)])).unwrap_or(false)
}

fn action(d: &mut Decoder, fields: &super::decode::Fields<'_>, key: &str) -> Option<Action> {
    let text = d.text(fields.get(key)?, &format!("`{key}`"))?;
    let spaced = text.value.replace('_', " ");
    match definition::parse_action(&text.value).or_else(|fault| definition::parse_action(&spaced).map_err(|_| fault)) {
        Ok(action) => Some(action),
        Err(_) => {
            let fault = Diagnostic::error("unknown-word", format!("`{key}` can't be `{}`", text.value))
                .at(text.span, format!("expected {ACTIONS}"));
            d.report(match nearest(&text.value, ["no action", "restrict", "cascade", "set null", "set default"]) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
            None
        }
    }
}

fn some_columns(d: &mut Decoder, fields: &super::decode::Fields<'_>, what: &str, node: &Node) -> Vec<Text> {
    let Some(list) = d.required(fields, "columns", what, node.span) else { return Vec::new() };
    let columns = d.names(list, &format!("`columns` of {what}"));
    if columns.is_empty() && matches!(list.kind, Kind::List(_)) {
        d.report(Diagnostic::error("no-columns", format!("{what} names no columns")).at(list.span, "empty"));
    }
    columns
}

fn primary_key(d: &mut Decoder, node: &Node, table: &str) -> Option<RawKey> {
    let what = format!("the primary key of {table}");
    match &node.kind {
        Kind::List(_) => {
            let columns = d.names(node, &what);
            if columns.is_empty() {
                d.report(Diagnostic::error("no-columns", format!("{what} names no columns")).at(node.span, "empty"));
                return None;
            }
            Some(RawKey { name: None, columns, span: node.span, dialects: None })
        }
        Kind::Map(_) => {
            let fields = d.fields(node, &what, &["name", "columns", "dialects"]);
            let columns = some_columns(d, &fields, &what, node);
            let name = object_name(d, &fields);
            let dialects = d.dialects(&fields);
            (!columns.is_empty()).then_some(RawKey { name, columns, span: node.span, dialects })
        }
        Kind::Scalar(_) => {
            d.wrong_type(node, &what, "a list of columns or a map");
            None
        }
    }
}

/// The place of an object in a list: its name when it has one.
fn place(name: Option<&Text>, node: &Node) -> Span {
    name.map_or(node.span, |n| n.span)
}

fn unique(d: &mut Decoder, node: &Node, table: &str) -> Option<RawUnique> {
    let what = format!("a unique constraint of {table}");
    if let Kind::List(_) = &node.kind {
        let columns = d.names(node, &what);
        return (!columns.is_empty()).then_some(RawUnique {
            name: None,
            columns,
            include: Vec::new(),
            nulls_not_distinct: false,
            timing: Timing::default(),
            span: node.span,
            dialects: None,
        });
    }
    let fields =
        d.fields(node, &what, &["name", "columns", "include", "nulls_not_distinct", "deferrable", "initially_deferred", "dialects"]);
    if !matches!(node.kind, Kind::Map(_)) {
        return None;
    }
    let name = object_name(d, &fields);
    let columns = some_columns(d, &fields, &what, node);
    let include = fields.get("include").map(|n| d.names(n, "`include`")).unwrap_or_default();
    let nulls_not_distinct = d.flag(&fields, "nulls_not_distinct");
    let timing = timing(d, &fields);
    let dialects = d.dialects(&fields);
    let span = place(name.as_ref(), node);
    (!columns.is_empty()).then_some(RawUnique { name, columns, include, nulls_not_distinct, timing, span, dialects })
}

fn foreign_key(d: &mut Decoder, node: &Node, table: &str) -> Option<RawForeignKey> {
    let what = format!("a foreign key of {table}");
    let keys = ["name", "columns", "references", "on_delete", "on_update", "deferrable", "initially_deferred", "match", "dialects"];
    let fields = d.fields(node, &what, &keys);
    if !matches!(node.kind, Kind::Map(_)) {
        return None;
    }
    let name = object_name(d, &fields);
    let columns = some_columns(d, &fields, &what, node);
    let target = d.required(&fields, "references", &what, node.span);
    let on_delete = action(d, &fields, "on_delete");
    let on_update = action(d, &fields, "on_update");
    let timing = timing(d, &fields);
    let match_full = match_full(d, &fields);
    let dialects = d.dialects(&fields);
    let span = place(name.as_ref(), node);
    let target = target?;
    let (table, ref_columns) = match &target.kind {
        Kind::Scalar(_) => {
            let text = d.text(target, "`references`")?;
            match definition::parse_references(&text.value) {
                Ok(read) => {
                    let part = |(value, range): &(String, std::ops::Range<usize>)| Text {
                        value: value.clone(),
                        span: text.part(range.clone()),
                        verbatim: false,
                    };
                    (part(&read.table), read.columns.iter().map(part).collect())
                }
                Err(fault) => {
                    report_definition_fault(d, &text, fault, &what);
                    return None;
                }
            }
        }
        Kind::Map(_) | Kind::List(_) => {
            let what = format!("`references` in {what}");
            let fields = d.fields(target, &what, &["table", "columns"]);
            let table = d.required(&fields, "table", &what, target.span).and_then(|n| d.scalar(n, "`table`"));
            let columns = fields.get("columns").map(|n| d.names(n, &what)).unwrap_or_default();
            (table?, columns)
        }
    };
    (!columns.is_empty()).then_some(RawForeignKey {
        name,
        columns,
        table,
        ref_columns,
        on_delete,
        on_update,
        timing,
        match_full,
        span,
        dialects,
    })
}

fn check(d: &mut Decoder, node: &Node, table: &str) -> Option<RawCheck> {
    let what = format!("a check of {table}");
    if let Kind::Scalar(s) = &node.kind
        && !s.is_null()
    {
        let expression = d.expressions(node, &what)?;
        return Some(RawCheck { name: None, expression, column: None, span: node.span, dialects: None });
    }
    let fields = d.fields(node, &what, &["name", "expression", "dialects"]);
    if !matches!(node.kind, Kind::Map(_)) {
        return None;
    }
    let name = object_name(d, &fields);
    let expression = d.required(&fields, "expression", &what, node.span).and_then(|n| d.expressions(n, &what));
    let dialects = d.dialects(&fields);
    let span = place(name.as_ref(), node);
    Some(RawCheck { name, expression: expression?, column: None, span, dialects })
}

fn exclusion(d: &mut Decoder, node: &Node, table: &str) -> Option<RawExclusion> {
    let what = format!("an exclusion of {table}");
    let fields = d.fields(node, &what, &["name", "method", "elements", "where", "deferrable", "initially_deferred", "dialects"]);
    if !matches!(node.kind, Kind::Map(_)) {
        return None;
    }
    let name = object_name(d, &fields);
    let method = d.optional_text(&fields, "method");
    let elements = d.required(&fields, "elements", &what, node.span).and_then(|n| d.expressions(n, &what));
    let predicate = fields.get("where").and_then(|n| d.expressions(n, &format!("`where` of {what}")));
    let timing = timing(d, &fields);
    let dialects = d.dialects(&fields);
    let span = place(name.as_ref(), node);
    Some(RawExclusion { name, method, elements: elements?, predicate, timing, span, dialects })
}

fn index(d: &mut Decoder, node: &Node, table: &str) -> Option<RawIndex> {
    let what = format!("an index of {table}");
    let keys = ["name", "columns", "unique", "nulls_not_distinct", "method", "where", "include", "with", "comment", "dialects"];
    let fields = d.fields(node, &what, &keys);
    if !matches!(node.kind, Kind::Map(_)) {
        return None;
    }
    let name = object_name(d, &fields);
    let mut keys = Vec::new();
    if let Some(list) = d.required(&fields, "columns", &what, node.span) {
        for item in d.list(list, &format!("`columns` of {what}")) {
            keys.extend(index_key(d, item, &what));
        }
        if keys.is_empty() && matches!(&list.kind, Kind::List(items) if items.is_empty()) {
            d.report(Diagnostic::error("no-columns", format!("{what} names no columns")).at(list.span, "empty"));
        }
    }
    keys.shrink_to_fit();
    let unique = d.flag(&fields, "unique");
    let nulls_not_distinct = d.flag(&fields, "nulls_not_distinct");
    let method = fields.get("method").and_then(|n| d.choice(n, "`method`", |d, n| d.text(n, "`method`")));
    let predicate = fields.get("where").and_then(|n| d.expressions(n, &format!("`where` of {what}")));
    let include = fields.get("include").map(|n| d.names(n, "`include`")).unwrap_or_default();
    let mut with = Vec::new();
    if let Some(node) = fields.get("with") {
        for (key, value) in d.map(node, "`with`") {
            if let Some(value) = d.scalar(value, "a storage parameter") {
                with.push((key.text.clone(), value.value));
            }
        }
    }
    with.sort();
    let comment = d.comment(&fields);
    let dialects = d.dialects(&fields);
    let span = place(name.as_ref(), node);
    (!keys.is_empty()).then_some(RawIndex {
        name,
        keys,
        unique,
        nulls_not_distinct,
        method,
        predicate,
        include,
        with,
        comment,
        span,
        dialects,
    })
}

fn index_key(d: &mut Decoder, node: &Node, what: &str) -> Option<RawIndexKey> {
    let bare = |target: RawTarget| RawIndexKey {
        target,
        descending: false,
        nulls: None,
        collation: None,
        opclass: None,
        length: None,
        span: node.span,
    };
    match &node.kind {
        Kind::Scalar(_) => d.expression(node, &format!("a column of {what}")).map(|text| bare(RawTarget::Either(text))),
        Kind::List(_) => {
            d.wrong_type(node, &format!("a column of {what}"), "a name, an expression or a map");
            None
        }
        Kind::Map(_) => {
            let what = format!("a column of {what}");
            let fields = d.fields(node, &what, &["column", "expression", "order", "nulls", "collation", "opclass", "length"]);
            let target = match (fields.get("column"), fields.get("expression")) {
                (Some(node), None) => RawTarget::Column(d.scalar(node, "`column`")?),
                (None, Some(node)) => RawTarget::Expression(d.expressions(node, &what)?),
                (Some(_), Some(_)) => {
                    d.report(
                        Diagnostic::error("contradiction", format!("{what} has both `column` and `expression`"))
                            .at(fields.key("expression"), "leave one of them out"),
                    );
                    return None;
                }
                (None, None) => {
                    d.report(
                        Diagnostic::error("missing-key", format!("{what} needs `column` or `expression`"))
                            .at(node.span, "`column` is missing"),
                    );
                    return None;
                }
            };
            let length = fields.get("length").and_then(|node| {
                let number = d.integer(node, "`length`")?;
                match u32::try_from(number) {
                    Ok(length) if length > 0 => Some(length),
                    _ => {
                        d.wrong_type(node, "`length`", "a number above 0");
                        None
                    }
                }
            });
            Some(RawIndexKey {
                target,
                descending: fields.get("order").and_then(|n| d.word(n, "`order`", &[("asc", false), ("desc", true)])).unwrap_or(false),
                nulls: fields.get("nulls").and_then(|n| d.word(n, "`nulls`", &[("first", Nulls::First), ("last", Nulls::Last)])),
                collation: d.optional_text(&fields, "collation"),
                opclass: d.optional_text(&fields, "opclass"),
                length,
                span: node.span,
            })
        }
    }
}

fn transition(d: &mut Decoder, node: &Node, key: Span) -> RawTransition {
    let fields = d.fields(node, "`transition`", &["from", "access", "tables", "enums", "allow"]);
    let from = fields.get("from").and_then(|node| version_name(d, node, "from"));
    let words = [("shared", Access::Shared), ("versioned", Access::Versioned)];
    let access = fields.get("access").and_then(|node| d.choice(node, "`access`", |d, n| d.word(n, "`access`", &words)));
    let mut tables = IndexMap::new();
    if let Some(node) = fields.get("tables") {
        for (key, value) in d.map(node, "`tables` of the transition") {
            let hints = table_hints(d, Text::from(key), value);
            tables.insert(key.text.clone(), hints);
        }
    }
    let mut enums = IndexMap::new();
    if let Some(node) = fields.get("enums") {
        for (key, value) in d.map(node, "`enums` of the transition") {
            let what = format!("the hint for enum `{}`", key.text);
            let fields = d.fields(value, &what, &["renamed_from", "values"]);
            let renamed_from = renamed(d, &fields);
            let mut values = IndexMap::new();
            if let Some(node) = fields.get("values") {
                for (label, value) in d.map(node, "`values`") {
                    let what = format!("the hint for value `{}`", label.text);
                    let fields = d.fields(value, &what, &["renamed_from"]);
                    match renamed(d, &fields) {
                        Some(from) => {
                            values.insert(label.text.clone(), from);
                        }
                        None => {
                            d.required(&fields, "renamed_from", &what, label.span);
                        }
                    }
                }
            }
            enums.insert(key.text.clone(), RawEnumHints { name: Text::from(key), renamed_from, values });
        }
    }
    let allow = fields.get("allow").map(|node| d.names(node, "`allow`")).unwrap_or_default();
    RawTransition { span: key, from, access, tables, enums, allow }
}

fn renamed(d: &mut Decoder, fields: &super::decode::Fields<'_>) -> Option<RenamedFrom> {
    let node = fields.written("renamed_from")?;
    if is_null(node) {
        return Some(RenamedFrom { name: None, span: node.span });
    }
    let text = d.scalar(node, "`renamed_from`")?;
    Some(RenamedFrom { name: Some(text.value), span: text.span })
}

fn table_hints(d: &mut Decoder, name: Text, node: &Node) -> RawTableHints {
    let what = format!("the hint for table `{}`", name.value);
    let fields = d.fields(node, &what, &["renamed_from", "columns", "from", "key"]);
    let renamed_from = renamed(d, &fields);
    let mut columns = IndexMap::new();
    if let Some(node) = fields.get("columns") {
        for (key, value) in d.map(node, &format!("`columns` in {what}")) {
            let hints = column_hints(d, &name.value, Text::from(key), value);
            columns.insert(key.text.clone(), hints);
        }
    }
    let from = fields.get("from").and_then(|node| match &node.kind {
        Kind::Map(_) => {
            let what = format!("`from` in {what}");
            let fields = d.fields(node, &what, &["table", "where"]);
            let table = d.required(&fields, "table", &what, node.span).and_then(|n| d.scalar(n, "`table`"));
            let predicate = fields.get("where").and_then(|n| d.expressions(n, &format!("`where` of {what}")));
            table.map(|table| (table, predicate))
        }
        Kind::Scalar(_) | Kind::List(_) => d.scalar(node, "`from`").map(|table| (table, None)),
    });
    let mut key = Vec::new();
    if let Some(node) = fields.get("key") {
        for (column, value) in d.map(node, &format!("`key` in {what}")) {
            if let Some(expression) = d.expressions(value, &format!("`key` in {what}")) {
                key.push((Text::from(column), expression));
            }
        }
    }
    RawTableHints { name, renamed_from, columns, from, key }
}

fn column_hints(d: &mut Decoder, table: &str, name: Text, node: &Node) -> RawColumnHints {
    let what = format!("the hint for column `{table}.{}`", name.value);
    let keys = ["renamed_from", "up", "down", "backfill", "values", "lossy", "follow", "enforce", "on_conflict"];
    let fields = d.fields(node, &what, &keys);
    let mut expression =
        |key: &str| fields.get(key).and_then(|node| d.expressions(node, &format!("`{key}` of column `{table}.{}`", name.value)));
    let (up, down, backfill) = (expression("up"), expression("down"), expression("backfill"));
    let values = fields.get("values").and_then(|node| value_map(d, node, &what));
    if values.is_some() {
        for (key, hint) in [("up", &up), ("down", &down)] {
            if hint.is_some() && key == "up" {
                d.report(
                    Diagnostic::error("contradiction", format!("{what} has both `values` and `{key}`"))
                        .at(fields.key(key), "`values` gives this already")
                        .help("leave one of them out"),
                );
            }
        }
    }
    RawColumnHints {
        renamed_from: renamed(d, &fields),
        up,
        down,
        backfill,
        values,
        lossy: d.flag(&fields, "lossy"),
        follow: fields.get("follow").and_then(|node| d.bool(node, "`follow`")),
        enforce: fields
            .get("enforce")
            .and_then(|node| d.word(node, "`enforce`", &[("migrate", Enforce::Migrate), ("contract", Enforce::Contract)])),
        on_conflict: fields
            .get("on_conflict")
            .and_then(|node| {
                let words = [("new", OnConflict::New), ("old", OnConflict::Old), ("error", OnConflict::Error)];
                d.word(node, "`on_conflict`", &words)
            })
            .unwrap_or_default(),
        name,
    }
}

fn value(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        Value::Null
    } else if let Some(truth) = scalar.as_bool() {
        Value::Boolean(truth)
    } else if scalar.is_number() {
        Value::Number(scalar.text.clone())
    } else {
        Value::Text(scalar.text.clone())
    }
}

fn value_map(d: &mut Decoder, node: &Node, what: &str) -> Option<super::model::ValueMap> {
    let what = format!("`values` in {what}");
    if !matches!(node.kind, Kind::Map(_)) {
        d.wrong_type(node, &what, "a map of old values to new ones");
        return None;
    }
    let mut pairs = Vec::new();
    let mut otherwise = None;
    let before = d.diagnostics.len();
    for (key, new) in d.map(node, &what) {
        let Kind::Scalar(scalar) = &new.kind else {
            d.wrong_type(new, &what, "a value");
            continue;
        };
        let new_value = value(scalar);
        if key.text == "else" && key.plain {
            otherwise = Some(if scalar.plain && scalar.text == "error" { Otherwise::Error } else { Otherwise::Value(new_value) });
            continue;
        }
        let old = value(key);
        if old == Value::Null && new_value != Value::Null {
            d.report(
                Diagnostic::error("contradiction", format!("{what}: null always maps to null"))
                    .at(key.span, "")
                    .help("leave the entry out, or write `up` and `down` instead of `values`"),
            );
            continue;
        }
        pairs.push(super::model::ValuePair { old, new: new_value, span: Span { end: scalar.span.end.max(key.span.end), ..key.span } });
    }
    if pairs.is_empty() && otherwise.is_none() {
        if d.diagnostics.len() > before {
            return None;
        }
        d.report(Diagnostic::error("no-values", format!("{what} are empty")).at(node.span, "empty"));
        return None;
    }
    Some(super::model::ValueMap { pairs, otherwise, span: node.span })
}
