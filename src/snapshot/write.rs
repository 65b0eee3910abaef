//! A schema as the text of a snapshot: what [`super::read`] reads back, in the layout of [`super::fmt`].

use std::collections::HashMap;
use std::fmt::Write as _;

use indexmap::IndexMap;

use super::model::{
    Check, Column, EnumType, Exclusion, ForeignKey, Identity, Index, IndexKey, IndexTarget, Name, Nulls, ReferentialAction, Schema,
    Sequence, Table, Type, TypeKind, Unique, View,
};
use super::names::{bounded, folded, of_columns};
use super::tree::is_number;
use super::types::{read_type, sql_name};
use crate::sql::Dialect;
use crate::sql::definition::{self, ClauseKind};
use crate::sql::quote;

/// The text of a snapshot for one dialect. Tables, views and the rest keep the order of the schema. A name is left out where the
/// convention gives the same one again.
pub fn write(schema: &Schema, dialect: Dialect) -> String {
    let mut writer = Writer { out: String::new(), dialect, names: taken(schema) };
    writer.schema(schema);
    writer.out
}

/// How often each name is taken, by constraints and indexes or by what has its own entry.
fn taken(schema: &Schema) -> HashMap<String, usize> {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut take = |name: &str| *names.entry(folded(name).into_owned()).or_default() += 1;
    schema.tables.keys().chain(schema.views.keys()).chain(schema.sequences.keys()).chain(schema.enums.keys()).for_each(|n| take(n));
    for table in schema.tables.values() {
        table.primary_key.iter().for_each(|x| take(&x.name.text));
        table.uniques.iter().for_each(|x| take(&x.name.text));
        table.foreign_keys.iter().for_each(|x| take(&x.name.text));
        table.checks.iter().for_each(|x| take(&x.name.text));
        table.exclusions.iter().for_each(|x| take(&x.name.text));
        table.indexes.iter().for_each(|x| take(&x.name.text));
    }
    names
}

struct Writer {
    out: String,
    dialect: Dialect,
    names: HashMap<String, usize>,
}

/// The entries of a map in flow style.
#[derive(Default)]
struct Flow(Vec<String>);

impl Flow {
    fn put(&mut self, key: &str, value: impl AsRef<str>) {
        self.0.push(format!("{key}: {}", value.as_ref()));
    }

    fn flag(&mut self, key: &str, on: bool) {
        if on {
            self.put(key, "true");
        }
    }

    fn text(&self) -> String {
        format!("{{{}}}", self.0.join(", "))
    }
}

/// A list of names in flow style.
fn list(names: &[String]) -> String {
    format!("[{}]", names.iter().map(|name| name_of(name)).collect::<Vec<_>>().join(", "))
}

impl Writer {
    fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.out, "{:width$}{text}", "", width = depth * 2);
    }

    fn section(&mut self, key: &str) {
        self.out.push('\n');
        self.line(0, &format!("{key}:"));
    }

    fn schema(&mut self, schema: &Schema) {
        self.line(0, &format!("version: {}", name_of(&schema.version)));
        if schema.release != schema.version && !schema.release.is_empty() {
            self.line(0, &format!("release: {}", name_of(&schema.release)));
        }
        if !schema.enums.is_empty() {
            self.section("enums");
            for found in schema.enums.values() {
                let text = enum_type(found);
                self.line(1, &format!("{}: {text}", name_of(&found.name)));
            }
        }
        if !schema.sequences.is_empty() {
            self.section("sequences");
            for found in schema.sequences.values() {
                let text = sequence(found);
                self.line(1, &format!("{}: {text}", name_of(&found.name)));
            }
        }
        if !schema.extensions.is_empty() {
            self.out.push('\n');
            let names: Vec<String> = schema.extensions.keys().cloned().collect();
            self.line(0, &format!("extensions: {}", list(&names)));
        }
        if !schema.tables.is_empty() {
            self.section("tables");
            for table in schema.tables.values() {
                self.table(table);
            }
        }
        if !schema.views.is_empty() {
            self.section("views");
            for view in schema.views.values() {
                self.view(view);
            }
        }
    }

    fn table(&mut self, table: &Table) {
        self.line(1, &format!("{}:", name_of(&table.name)));
        if let Some(comment) = &table.comment {
            self.line(2, &format!("comment: {}", scalar(comment)));
        }
        self.line(2, "columns:");
        for column in table.columns.values() {
            let in_key = table.primary_key.as_ref().is_some_and(|key| key.columns.contains(&column.name));
            self.column(column, in_key);
        }
        if let Some(key) = &table.primary_key {
            let text = match self.given(&key.name, &table.name, "pkey") {
                None => list(&key.columns),
                Some(name) => format!("{{name: {name}, columns: {}}}", list(&key.columns)),
            };
            self.line(2, &format!("primary_key: {text}"));
        }
        let uniques: Vec<String> = table.uniques.iter().map(|x| self.unique(table, x)).collect();
        self.items("unique", &uniques);
        let keys: Vec<String> = table.foreign_keys.iter().map(|x| self.foreign_key(table, x)).collect();
        self.items("foreign_keys", &keys);
        let checks: Vec<String> = table.checks.iter().map(check).collect();
        self.items("checks", &checks);
        let exclusions: Vec<String> = table.exclusions.iter().map(exclusion).collect();
        self.items("exclusions", &exclusions);
        let indexes: Vec<String> = table.indexes.iter().map(|x| self.index(table, x)).collect();
        self.items("indexes", &indexes);
    }

    fn items(&mut self, key: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.line(2, &format!("{key}:"));
        for item in items {
            self.line(3, &format!("- {item}"));
        }
    }

    fn column(&mut self, column: &Column, in_key: bool) {
        let name = name_of(&column.name);
        if let Some(short) = short_form(column, in_key, self.dialect) {
            self.line(3, &format!("{name}: {}", scalar(&short)));
            return;
        }
        self.line(3, &format!("{name}:"));
        self.line(4, &format!("type: {}", type_of(&column.ty, self.dialect)));
        if column.not_null && !in_key && column.identity.is_none() {
            self.line(4, "not_null: true");
        }
        if let Some(default) = &column.default {
            self.line(4, &format!("default: {}", expression_of(&default.text)));
        }
        if let Some(generated) = &column.generated {
            let mut flow = Flow::default();
            flow.put("expression", expression_of(&generated.expression.text));
            flow.put("stored", if generated.stored { "true" } else { "false" });
            self.line(4, &format!("generated: {}", flow.text()));
        }
        if let Some(identity) = column.identity {
            let word = match identity {
                Identity::Always => "always",
                Identity::ByDefault => "by_default",
            };
            self.line(4, &format!("identity: {word}"));
        }
        if let Some(collation) = &column.collation {
            self.line(4, &format!("collation: {}", scalar(collation)));
        }
        if let Some(comment) = &column.comment {
            self.line(4, &format!("comment: {}", scalar(comment)));
        }
    }

    /// The name to write, unless the convention gives it again: it is the first that the convention tries, and nothing else has it.
    fn given(&self, name: &Name, base: &str, label: &str) -> Option<String> {
        let conventional = bounded(&format!("{base}_{label}"), self.dialect) == name.text;
        let alone = self.names.get(folded(&name.text).as_ref()) == Some(&1);
        (!conventional || !alone).then(|| name_of(&name.text))
    }

    fn unique(&self, table: &Table, unique: &Unique) -> String {
        let Unique { name, columns, include, nulls_not_distinct, deferrable, initially_deferred } = unique;
        let mut flow = Flow::default();
        let name = self.given(name, &of_columns(&table.name, columns.iter().chain(include)), "key");
        if let Some(name) = &name {
            flow.put("name", name);
        }
        flow.put("columns", list(columns));
        if !include.is_empty() {
            flow.put("include", list(include));
        }
        flow.flag("nulls_not_distinct", *nulls_not_distinct);
        flow.flag("deferrable", *deferrable);
        flow.flag("initially_deferred", *initially_deferred);
        if flow.0.len() == 1 { list(columns) } else { flow.text() }
    }

    fn foreign_key(&self, table: &Table, key: &ForeignKey) -> String {
        let ForeignKey { name, columns, ref_table, ref_columns, on_delete, on_update, deferrable, initially_deferred, match_full } = key;
        let mut flow = Flow::default();
        if let Some(name) = self.given(name, &of_columns(&table.name, columns), "fkey") {
            flow.put("name", name);
        }
        flow.put("columns", list(columns));
        let plain = |name: &String| quote::ident(name, self.dialect) == *name;
        flow.put(
            "references",
            if plain(ref_table) && ref_columns.iter().all(plain) {
                scalar(&format!("{ref_table}({})", ref_columns.join(", ")))
            } else {
                format!("{{table: {}, columns: {}}}", name_of(ref_table), list(ref_columns))
            },
        );
        for (key, action) in [("on_delete", on_delete), ("on_update", on_update)] {
            if *action != ReferentialAction::NoAction {
                flow.put(key, scalar(&action_words(action, self.dialect)));
            }
        }
        flow.flag("deferrable", *deferrable);
        flow.flag("initially_deferred", *initially_deferred);
        if *match_full {
            flow.put("match", "full");
        }
        flow.text()
    }

    fn index(&self, table: &Table, index: &Index) -> String {
        let Index { name, keys, unique, nulls_not_distinct, method, predicate, include, with, comment } = index;
        let mut flow = Flow::default();
        let columns: Option<Vec<&String>> = keys
            .iter()
            .map(|key| match &key.target {
                IndexTarget::Column(name) => Some(name),
                IndexTarget::Expression(_) => None,
            })
            .collect();
        let given = match columns {
            Some(columns) => self.given(name, &of_columns(&table.name, columns.into_iter().chain(include)), "idx"),
            None => Some(name_of(&name.text)),
        };
        if let Some(name) = given {
            flow.put("name", name);
        }
        flow.put("columns", format!("[{}]", keys.iter().map(|key| index_key(table, key)).collect::<Vec<_>>().join(", ")));
        flow.flag("unique", *unique);
        flow.flag("nulls_not_distinct", *nulls_not_distinct);
        if method != "btree" {
            flow.put("method", scalar(method));
        }
        if let Some(predicate) = predicate {
            flow.put("where", expression_of(&predicate.text));
        }
        if !include.is_empty() {
            flow.put("include", list(include));
        }
        if !with.is_empty() {
            let entries: Vec<String> = with.iter().map(|(key, value)| format!("{}: {}", name_of(key), expression_of(value))).collect();
            flow.put("with", format!("{{{}}}", entries.join(", ")));
        }
        if let Some(comment) = comment {
            flow.put("comment", scalar(comment));
        }
        flow.text()
    }

    fn view(&mut self, view: &View) {
        self.line(1, &format!("{}:", name_of(&view.name)));
        if view.query.text.contains('\n') && is_block(&view.query.text) {
            self.line(2, "query: |-");
            for line in view.query.text.lines() {
                self.line(3, line);
            }
        } else {
            self.line(2, &format!("query: {}", scalar(&view.query.text)));
        }
        if let Some(comment) = &view.comment {
            self.line(2, &format!("comment: {}", scalar(comment)));
        }
        if view.materialized {
            self.line(2, "materialized: true");
        }
    }
}

/// The type in the words that mean it on every dialect, if there are such.
fn portable(ty: &Type, dialect: Dialect) -> Option<String> {
    let text = sql_name(ty, Dialect::Postgres);
    // An enum's name is one word for all of them; its labels stand elsewhere.
    let meant = matches!(ty.kind, TypeKind::Enum(_)) || read_type(&text, dialect, &IndexMap::new()).is_ok_and(|read| read == *ty);
    (dialect == Dialect::Postgres || meant).then_some(text)
}

/// A type as an entry: one that only the dialect has stands under its name, since it may mean something else elsewhere.
fn type_of(ty: &Type, dialect: Dialect) -> String {
    match portable(ty, dialect) {
        Some(text) => scalar(&text),
        None => format!("{{{}: {}}}", dialect.name(), scalar(&sql_name(ty, dialect))),
    }
}

/// The column as an SQL column definition, if that says all of it.
fn short_form(column: &Column, in_key: bool, dialect: Dialect) -> Option<String> {
    let Column { name: _, ty, not_null, default, generated, identity, collation, comment, span: _ } = column;
    if generated.is_some() || collation.is_some() || comment.is_some() {
        return None;
    }
    let mut text = portable(ty, dialect)?;
    let type_end = text.len();
    let mut expected = Vec::new();
    if let Some(identity) = identity {
        let always = *identity == Identity::Always;
        text.push_str(if always { " generated always as identity" } else { " generated by default as identity" });
        expected.push(ClauseKind::Identity { always });
    }
    if *not_null && !in_key && identity.is_none() {
        text.push_str(" not null");
        expected.push(ClauseKind::NotNull);
    }
    if let Some(default) = default {
        text.push_str(" default ");
        let start = text.len();
        text.push_str(&default.text);
        expected.push(ClauseKind::Default(start..text.len()));
    }
    // What the reader makes of it decides, not what was meant.
    let read = definition::parse(&text).ok()?;
    let clauses: Vec<ClauseKind> = read.clauses.into_iter().map(|clause| clause.kind).collect();
    (read.ty == (0..type_end) && clauses == expected).then_some(text)
}

fn enum_type(found: &EnumType) -> String {
    match &found.comment {
        None => list(&found.labels),
        Some(comment) => format!("{{values: {}, comment: {}}}", list(&found.labels), scalar(comment)),
    }
}

fn sequence(found: &Sequence) -> String {
    let Sequence { name: _, start, increment, min_value, max_value, cache, cycle, comment, span: _ } = found;
    let mut flow = Flow::default();
    let numbers = [("start", start), ("increment", increment), ("min_value", min_value), ("max_value", max_value), ("cache", cache)];
    for (key, number) in numbers {
        if let Some(number) = number {
            flow.put(key, number.to_string());
        }
    }
    flow.flag("cycle", *cycle);
    if let Some(comment) = comment {
        flow.put("comment", scalar(comment));
    }
    flow.text()
}

fn check(check: &Check) -> String {
    format!("{{name: {}, expression: {}}}", name_of(&check.name.text), expression_of(&check.expression.text))
}

fn exclusion(exclusion: &Exclusion) -> String {
    let Exclusion { name, method, elements, predicate, deferrable, initially_deferred } = exclusion;
    let mut flow = Flow::default();
    flow.put("name", name_of(&name.text));
    flow.put("method", scalar(method));
    flow.put("elements", expression_of(&elements.text));
    if let Some(predicate) = predicate {
        flow.put("where", expression_of(&predicate.text));
    }
    flow.flag("deferrable", *deferrable);
    flow.flag("initially_deferred", *initially_deferred);
    flow.text()
}

fn action_words(action: &ReferentialAction, dialect: Dialect) -> String {
    let of = |words: &str, columns: &[String]| {
        if columns.is_empty() {
            return words.to_owned();
        }
        let columns: Vec<String> = columns.iter().map(|column| quote::ident(column, dialect)).collect();
        format!("{words} ({})", columns.join(", "))
    };
    match action {
        ReferentialAction::NoAction => "no action".to_owned(),
        ReferentialAction::Restrict => "restrict".to_owned(),
        ReferentialAction::Cascade => "cascade".to_owned(),
        ReferentialAction::SetNull(columns) => of("set null", columns),
        ReferentialAction::SetDefault(columns) => of("set default", columns),
    }
}

fn index_key(table: &Table, key: &IndexKey) -> String {
    let IndexKey { target, descending, nulls, collation, opclass, length } = key;
    let bare = !*descending && nulls.is_none() && collation.is_none() && opclass.is_none() && length.is_none();
    let mut flow = Flow::default();
    match target {
        IndexTarget::Column(name) if bare => return name_of(name),
        IndexTarget::Column(name) => flow.put("column", name_of(name)),
        IndexTarget::Expression(expression) => {
            // A bare entry that could be a column's name would be read as one.
            let word = expression.text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
            if bare && !word && !table.columns.contains_key(&expression.text) {
                return expression_of(&expression.text);
            }
            flow.put("expression", expression_of(&expression.text));
        }
    }
    if *descending {
        flow.put("order", "desc");
    }
    if let Some(nulls) = nulls {
        flow.put(
            "nulls",
            match nulls {
                Nulls::First => "first",
                Nulls::Last => "last",
            },
        );
    }
    if let Some(collation) = collation {
        flow.put("collation", scalar(collation));
    }
    if let Some(opclass) = opclass {
        flow.put("opclass", scalar(opclass));
    }
    if let Some(length) = length {
        flow.put("length", length.to_string());
    }
    flow.text()
}

/// A name as a YAML scalar, in flow style or not.
fn name_of(name: &str) -> String {
    scalar(name)
}

/// An expression as a YAML scalar: numbers and booleans may stand bare.
fn expression_of(text: &str) -> String {
    if is_number(text) || matches!(text, "true" | "false") { text.to_owned() } else { scalar(text) }
}

/// Words that some reader of YAML takes for something else than a text.
const NOT_TEXT: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];

/// A text as a YAML scalar: bare where nobody can take it for something else, in flow style too, else in quotes.
pub fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ' ' | '.' | '(' | ')' | '=' | '<' | '>' | '+' | '/' | '*' | '$');
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(safe)
        && !text.ends_with(' ')
        && !NOT_TEXT.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        return text.to_owned();
    }
    let printable = text.chars().all(is_printable);
    if printable && !text.contains('\'') {
        return format!("'{text}'");
    }
    if printable && text.contains(['"', '\\']) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => drop(write!(out, "\\u{:04X}", c as u32)),
            c => drop(write!(out, "\\U{:08X}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// Whether a character can stand in a quoted scalar as it is.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text of several lines can be a block scalar as it is.
fn is_block(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || is_printable(c))
        && !text.starts_with([' ', '\n'])
        && !text.ends_with('\n')
        && text.lines().all(|line| !line.ends_with(' ') && !line.is_empty())
}
