//! From the tree to values: every fault is noted and reading goes on.

use indexmap::IndexMap;

use super::tree::{Kind, Node, Scalar, part_of};
use crate::diagnostic::{Diagnostic, Span};
use crate::sql::Dialect;

/// What a schema may have and a snapshot does not: keys that one would try, and what to do instead.
const OUTSIDE: &[(&[&str], &str)] = &[
    (
        &["domains", "domain", "types", "composite_types"],
        "domains and composite types are not part of a snapshot: make them by hand, and give a column their name as its type",
    ),
    (
        &["partition_by", "partitions", "partitioned", "partition", "inherits"],
        "partitioned and inheriting tables are not part of a snapshot: leave the table out of it and change it by hand",
    ),
    (
        &["functions", "procedures", "triggers", "rules", "policies", "grants", "roles"],
        "a snapshot has tables, columns and what hangs on them; functions, triggers, policies and rights stay as they are in the database",
    ),
];

/// A text with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
    /// Whether the span holds exactly the value.
    pub(crate) verbatim: bool,
}

impl Text {
    /// The place of a part of it.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Span {
        part_of(self.span, self.verbatim, range)
    }

    /// A part of it as a text of its own.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Text {
        Text { value: self.value.get(range.clone()).unwrap_or("").to_owned(), span: self.part(range), verbatim: self.verbatim }
    }
}

impl From<&Scalar> for Text {
    fn from(scalar: &Scalar) -> Text {
        Text { value: scalar.text.clone(), span: scalar.span, verbatim: scalar.verbatim }
    }
}

/// A key of a map by dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    One(Dialect),
    Default,
}

/// One value for all dialects, or a map by dialect. An entry that is null says that this dialect has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice<T> {
    All(T),
    ByDialect { entries: Vec<(For, Option<T>)>, span: Span },
}

/// What a dialect gets from a [`Choice`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chosen<'a, T> {
    /// The value; `own` when it stands under the dialect's own name (or under `mysql` for MariaDB).
    Value { value: &'a T, own: bool },
    /// An entry that says: none.
    Nothing,
    /// No entry applies.
    Missing(Span),
}

impl<T> Choice<T> {
    pub(crate) fn choose(&self, dialect: Dialect) -> Chosen<'_, T> {
        match self {
            Choice::All(value) => Chosen::Value { value, own: false },
            Choice::ByDialect { entries, span } => {
                let entry = |key: For| entries.iter().find(|(k, _)| *k == key).map(|(_, v)| v);
                let own = entry(For::One(dialect)).or_else(|| match dialect {
                    Dialect::Mariadb => entry(For::One(Dialect::Mysql)),
                    Dialect::Postgres | Dialect::Mysql | Dialect::Sqlite => None,
                });
                match (own, entry(For::Default)) {
                    (Some(Some(value)), _) => Chosen::Value { value, own: true },
                    (Some(None), _) | (None, Some(None)) => Chosen::Nothing,
                    (None, Some(Some(value))) => Chosen::Value { value, own: false },
                    (None, None) => Chosen::Missing(*span),
                }
            }
        }
    }
}

/// The entries of a map whose keys are known.
pub(crate) struct Fields<'n> {
    entries: Vec<(&'n Scalar, &'n Node)>,
    /// Keys that unknown ones are near to: they are there, but misspelt.
    misspelt: Vec<&'n str>,
    /// The place to point at when a key is missing.
    pub(crate) span: Span,
}

impl<'n> Fields<'n> {
    /// The value of a key; a null counts as not written.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| *v).filter(|v| !is_null(v))
    }

    /// The value of a key, null included.
    pub(crate) fn written(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| *v)
    }

    /// The place of a key.
    pub(crate) fn key(&self, key: &str) -> Span {
        self.entries.iter().find(|(k, _)| k.text == key).map_or(self.span, |(k, _)| k.span)
    }
}

pub(crate) fn is_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(s) if s.is_null())
}

/// Collects faults while values are read.
#[derive(Default)]
pub(crate) struct Decoder {
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// The nearest of `candidates`, if one is near enough to be a slip of the fingers.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let allowed = match lower.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        // A cheap bound first: the lengths alone may say that it is too far.
        if candidate.len().abs_diff(lower.len()) > allowed * 4 {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
        if distance <= allowed && distance < candidate.chars().count().max(lower.chars().count()) && best.is_none_or(|(d, _)| distance < d)
        {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, c)| c)
}

/// Adds "did you mean" when something is near, and else what there is, when that is short enough to read.
pub(crate) fn suggest<'c>(
    diagnostic: Diagnostic,
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
    noun: &str,
) -> Diagnostic {
    if let Some(near) = nearest(word, candidates.clone()) {
        return diagnostic.help(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().take(26).collect();
    if all.is_empty() || all.len() > 25 {
        return diagnostic;
    }
    diagnostic.help(format!("{noun}: {}", all.join(", ")))
}

impl Decoder {
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        self.report(
            Diagnostic::error("wrong-type", format!("{what} must be {wanted}, not {}", node.kind.noun()))
                .at(node.span, format!("expected {wanted}")),
        );
    }

    /// A map with any keys.
    pub(crate) fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Scalar, Node)] {
        match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(s) if s.is_null() => &[],
            Kind::Scalar(_) | Kind::List(_) => {
                self.wrong_type(node, what, "a map");
                &[]
            }
        }
    }

    /// A map with these keys only.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, allowed: &[&'static str]) -> Fields<'n> {
        let mut entries = Vec::new();
        let mut misspelt = Vec::new();
        for (key, value) in self.map(node, what) {
            if allowed.contains(&key.text.as_str()) {
                entries.push((key, value));
            } else {
                let fault = Diagnostic::error("unknown-key", format!("{what} has no key `{}`", key.text)).at(key.span, "unknown key");
                let fault = if key.text == "<<" {
                    fault.help("merge keys are not part of the format; an alias (`*name`) is")
                } else if let Some((_, advice)) = OUTSIDE.iter().find(|(keys, _)| keys.contains(&key.text.as_str())) {
                    fault.help(*advice)
                } else {
                    misspelt.extend(nearest(&key.text, allowed.iter().copied()));
                    suggest(fault, &key.text, allowed.iter().copied(), "the keys are")
                };
                self.report(fault);
            }
        }
        Fields { entries, misspelt, span: node.span }
    }

    /// A value that must be there.
    pub(crate) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, what: &str, at: Span) -> Option<&'n Node> {
        let found = fields.get(key);
        // A key that is there but misspelt has been reported with what it should be.
        if found.is_none() && !fields.misspelt.contains(&key) {
            let span = if fields.written(key).is_some() { fields.key(key) } else { at };
            self.report(Diagnostic::error("missing-key", format!("{what} needs `{key}`")).at(span, format!("`{key}` is missing")));
        }
        found
    }

    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) => items,
            Kind::Scalar(s) if s.is_null() => &[],
            Kind::Scalar(_) | Kind::Map(_) => {
                self.wrong_type(node, what, "a list");
                &[]
            }
        }
    }

    pub(crate) fn bool(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.kind {
            Kind::Scalar(s) if s.as_bool().is_some() => s.as_bool(),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(node, what, "`true` or `false`");
                None
            }
        }
    }

    /// `true` or `false` of a key that may be left out.
    pub(crate) fn flag(&mut self, fields: &Fields<'_>, key: &str) -> bool {
        fields.get(key).and_then(|node| self.bool(node, &format!("`{key}`"))).unwrap_or(false)
    }

    pub(crate) fn integer(&mut self, node: &Node, what: &str) -> Option<i64> {
        match &node.kind {
            Kind::Scalar(s) if s.plain && s.text.parse::<i64>().is_ok() => s.text.parse().ok(),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(node, what, "a whole number");
                None
            }
        }
    }

    /// A text; a bare number or boolean is none.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<Text> {
        match &node.kind {
            Kind::Scalar(s) if !s.is_null() && s.as_bool().is_none() && !s.is_number() => Some(Text::from(s)),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(node, what, "a text");
                None
            }
        }
    }

    /// A scalar of any kind but null, as it is written.
    pub(crate) fn scalar(&mut self, node: &Node, what: &str) -> Option<Text> {
        match &node.kind {
            Kind::Scalar(s) if !s.is_null() => Some(Text::from(s)),
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) => {
                self.wrong_type(node, what, "a text");
                None
            }
        }
    }

    /// An SQL expression: a text, a number or a boolean, and not empty.
    pub(crate) fn expression(&mut self, node: &Node, what: &str) -> Option<Text> {
        let text = self.scalar(node, what)?;
        if text.value.trim().is_empty() {
            self.report(
                Diagnostic::error("empty-expression", format!("{what} is empty"))
                    .at(text.span, "expected an SQL expression")
                    .help("the empty text is written `\"''\"`: SQL's quotes inside of YAML's"),
            );
            return None;
        }
        let value = text.value.trim();
        let start = text.value.len() - text.value.trim_start().len();
        Some(if value.len() == text.value.len() { text } else { text.slice(start..start + value.len()) })
    }

    /// A text of a key that may be left out.
    pub(crate) fn optional_text(&mut self, fields: &Fields<'_>, key: &str) -> Option<Text> {
        fields.get(key).and_then(|node| self.text(node, &format!("`{key}`")))
    }

    /// A comment: any scalar.
    pub(crate) fn comment(&mut self, fields: &Fields<'_>) -> Option<String> {
        fields.get("comment").and_then(|node| self.scalar(node, "`comment`")).map(|t| t.value)
    }

    /// A name of the schema: not empty, not reserved, no control characters.
    pub(crate) fn name(&mut self, text: Text, what: &str) -> Text {
        if text.value.is_empty() || text.value.chars().any(char::is_control) {
            self.report(
                Diagnostic::error("bad-name", format!("{what} has no usable name")).at(text.span, "empty, or with a control character"),
            );
        } else if text.value.to_lowercase().starts_with("crossfade_") {
            self.report(
                Diagnostic::error("reserved-name", format!("the name `{}` of {what} is reserved", text.value))
                    .at(text.span, "names that start with `crossfade_` belong to crossfade")
                    .help("choose another name"),
            );
        }
        text
    }

    /// The names in a list.
    pub(crate) fn names(&mut self, node: &Node, what: &str) -> Vec<Text> {
        let items = self.list(node, what);
        let mut names: IndexMap<String, Text> = IndexMap::with_capacity(items.len());
        for item in items {
            let Some(text) = self.scalar(item, "a name") else { continue };
            if let Some(first) = names.get(&text.value) {
                let fault = Diagnostic::error("duplicate-name", format!("`{}` stands twice in {what}", text.value))
                    .at(text.span, "a second time here")
                    .at(first.span, "first here");
                self.report(fault);
                continue;
            }
            names.insert(text.value.clone(), text);
        }
        names.into_values().collect()
    }

    /// One value, or a map by dialect. `read` is not asked for an entry that is null.
    pub(crate) fn choice<T>(
        &mut self,
        node: &Node,
        what: &str,
        mut read: impl FnMut(&mut Decoder, &Node) -> Option<T>,
    ) -> Option<Choice<T>> {
        let Kind::Map(entries) = &node.kind else {
            return read(self, node).map(Choice::All);
        };
        if entries.is_empty() {
            self.report(Diagnostic::error("missing-key", format!("{what} has no value")).at(node.span, "the map is empty"));
            return None;
        }
        let mut out = Vec::new();
        for (key, value) in entries {
            let target = match key.text.as_str() {
                "default" => For::Default,
                other => match Dialect::from_name(other) {
                    Some(dialect) => For::One(dialect),
                    None => {
                        let fault =
                            Diagnostic::error("unknown-key", format!("`{other}` in {what} is no dialect")).at(key.span, "unknown key");
                        self.report(suggest(fault, other, dialect_keys(), "the keys are"));
                        continue;
                    }
                },
            };
            let value = if is_null(value) {
                None
            } else {
                match read(self, value) {
                    Some(value) => Some(value),
                    None => continue,
                }
            };
            out.push((target, value));
        }
        if out.is_empty() {
            return None;
        }
        Some(Choice::ByDialect { entries: out, span: node.span })
    }

    /// An expression, or a map of them by dialect.
    pub(crate) fn expressions(&mut self, node: &Node, what: &str) -> Option<Choice<Text>> {
        self.choice(node, what, |d, n| d.expression(n, what))
    }

    /// `dialects: [mysql, mariadb]`.
    pub(crate) fn dialects(&mut self, fields: &Fields<'_>) -> Option<Vec<Dialect>> {
        let node = fields.get("dialects")?;
        Some(self.dialect_list(node))
    }

    pub(crate) fn dialect_list(&mut self, node: &Node) -> Vec<Dialect> {
        let mut out = Vec::new();
        for item in self.names(node, "`dialects`") {
            match Dialect::from_name(&item.value) {
                Some(dialect) => out.push(dialect),
                None => {
                    let fault =
                        Diagnostic::error("unknown-dialect", format!("there is no dialect `{}`", item.value)).at(item.span, "unknown");
                    self.report(suggest(fault, &item.value, Dialect::ALL.map(Dialect::name), "the dialects are"));
                }
            }
        }
        out
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.scalar(node, what)?;
        let written = text.value.to_lowercase();
        let found = words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value);
        if found.is_none() {
            let fault = Diagnostic::error("unknown-word", format!("{what} can't be `{}`", text.value)).at(text.span, "unknown");
            self.report(suggest(fault, &text.value, words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), "one of"));
        }
        found
    }
}

fn dialect_keys() -> [&'static str; 5] {
    ["postgres", "mysql", "mariadb", "sqlite", "default"]
}
