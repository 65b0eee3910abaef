//! From the snapshot as written to one dialect's schema.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::decode::{Choice, Chosen, Text, nearest, suggest};
use super::model::{
    Check, Column, ColumnHints, EnumHints, EnumType, Exclusion, Expr, Extension, ForeignKey, Generated, Index, IndexKey, IndexTarget, Name,
    PrimaryKey, ReferentialAction, Schema, Sequence, Table, TableHints, TableSource, Transition, Type, TypeKind, Unique, View,
};
use super::names::{Names, bounded, folded, of_columns};
use super::raw::{
    Dialects, RawCheck, RawColumn, RawColumnHints, RawExclusion, RawForeignKey, RawIndex, RawKey, RawTable, RawTarget, RawTransition,
    RawUnique, Snapshot,
};
use super::tree::is_number;
use super::types::{self, TypeFault, product};
use crate::diagnostic::{Diagnostic, Span};
use crate::sql::definition::Action;
use crate::sql::expression::{References, check_expression, query_references, row_references};
use crate::sql::{Dialect, Scope};

impl Schema {
    /// The schema before the first snapshot.
    pub fn empty() -> Schema {
        Schema::default()
    }
}

impl Scope for Schema {
    fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|t| t.columns.contains_key(column) || t.columns.keys().any(|c| c.eq_ignore_ascii_case(column)))
    }

    fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table) || self.views.contains_key(table)
    }
}

impl Snapshot {
    /// The schema that this snapshot describes on `dialect`: types mapped, expressions chosen, names given. Every fault is
    /// reported at once; beside errors the schema holds what could be resolved.
    pub fn resolve(&self, dialect: Dialect) -> (Schema, Vec<Diagnostic>) {
        let mut resolver =
            Resolver { dialect, schema: Schema::default(), diagnostics: Vec::new(), names: Names::default(), types: HashMap::new() };
        resolver.snapshot(self);
        (resolver.schema, resolver.diagnostics)
    }
}

struct Resolver {
    dialect: Dialect,
    schema: Schema,
    diagnostics: Vec<Diagnostic>,
    names: Names,
    /// Types that were read before, by text and by whether it stands under the dialect's own name.
    types: HashMap<(String, bool), Result<Type, TypeFault>>,
}

/// Words that a server reads as a call without parentheses, which a parser may take for a column.
const BARE_CALLS: [&str; 12] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_catalog",
    "current_schema",
    "utc_timestamp",
];

impl Resolver {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether this dialect has an object.
    fn has(&self, dialects: &Dialects) -> bool {
        dialects.as_ref().is_none_or(|list| list.contains(&self.dialect))
    }

    fn cannot(&mut self, what: &str, why: &str, span: Span) {
        let example = if self.postgres() { "mysql, mariadb" } else { "postgres" };
        let fault = Diagnostic::error("unsupported-by-dialect", format!("{what} can't be made on {}: {why}", product(self.dialect)))
            .at(span, format!("not on {}", product(self.dialect)))
            .help(format!("an object that only some dialects have says which: `dialects: [{example}]`"));
        self.report(fault);
    }

    fn postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    fn mysql_like(&self) -> bool {
        matches!(self.dialect, Dialect::Mysql | Dialect::Mariadb)
    }

    fn snapshot(&mut self, snapshot: &Snapshot) {
        if let Some(version) = &snapshot.version {
            self.schema.version = version.value.clone();
            self.schema.version_span = version.span;
        }
        self.schema.release = snapshot.release.as_ref().map_or_else(|| self.schema.version.clone(), |r| r.value.clone());
        for (name, read) in &snapshot.enums {
            if self.has(&read.dialects) {
                let labels = read.labels.iter().map(|l| l.value.clone()).collect();
                let value = EnumType { name: name.clone(), labels, comment: read.comment.clone(), span: read.name.span };
                self.schema.enums.insert(name.clone(), value);
            }
        }
        for (name, read) in &snapshot.sequences {
            if !self.has(&read.dialects) {
                continue;
            }
            if matches!(self.dialect, Dialect::Mysql | Dialect::Sqlite) {
                self.cannot(&format!("sequence `{name}`"), "it has no sequences", read.name.span);
            }
            let value = Sequence {
                name: name.clone(),
                start: read.start,
                increment: read.increment,
                min_value: read.min_value,
                max_value: read.max_value,
                cache: read.cache,
                cycle: read.cycle,
                comment: read.comment.clone(),
                span: read.name.span,
            };
            self.schema.sequences.insert(name.clone(), value);
        }
        if self.postgres() {
            for (name, text) in &snapshot.extensions {
                self.schema.extensions.insert(name.clone(), Extension { name: name.clone(), span: text.span });
            }
        }
        self.collisions(snapshot);
        let raw_tables: Vec<&RawTable> = snapshot.tables.values().filter(|t| self.has(&t.dialects)).collect();
        for raw in &raw_tables {
            let table = self.columns(raw);
            self.schema.tables.insert(raw.name.value.clone(), table);
        }
        self.views(snapshot);
        // Names that were given come first: the conventional ones go around them.
        self.take_names(&raw_tables);
        let targets = Targets::new(&raw_tables, &self.schema);
        for raw in &raw_tables {
            self.constraints(raw, &targets);
        }
        self.default_expressions(&raw_tables);
        if let Some(raw) = &snapshot.transition {
            let transition = self.transition(raw);
            self.schema.transition = Some(transition);
        }
    }

    /// Names that differ in the file and are one on a server.
    fn collisions(&mut self, snapshot: &Snapshot) {
        let mut relations: HashMap<Cow<'_, str>, (&str, &str, Span)> = HashMap::new();
        let named = |dialects: &Dialects| self.has(dialects);
        let mut all: Vec<(&str, &str, Span)> = Vec::new();
        all.extend(snapshot.tables.iter().filter(|(_, x)| named(&x.dialects)).map(|(n, x)| ("table", n.as_str(), x.name.span)));
        all.extend(snapshot.views.iter().filter(|(_, x)| named(&x.dialects)).map(|(n, x)| ("view", n.as_str(), x.name.span)));
        all.extend(snapshot.sequences.iter().filter(|(_, x)| named(&x.dialects)).map(|(n, x)| ("sequence", n.as_str(), x.name.span)));
        // A table's row type has the table's name (PostgreSQL), so an enum can't have it.
        all.extend(snapshot.enums.iter().filter(|(_, x)| named(&x.dialects)).map(|(n, x)| ("enum", n.as_str(), x.name.span)));
        let mut faults = Vec::new();
        for (noun, name, span) in all {
            if name.len() > self.dialect.identifier_limit() {
                let limit = self.dialect.identifier_limit();
                faults.push(
                    Diagnostic::error("name-too-long", format!("the name of {noun} `{name}` has {} bytes", name.len()))
                        .at(span, format!("{} keeps {limit}", product(self.dialect)))
                        .help(format!("for example `{}`", bounded(name, self.dialect))),
                );
            }
            match relations.get(&folded(name)) {
                Some((first_noun, first, place)) => faults.push(
                    Diagnostic::error("name-collision", format!("{noun} `{name}` and {first_noun} `{first}` have one name"))
                        .at(span, "this name is taken")
                        .at(*place, "by this")
                        .help("rename one of them: case does not tell names apart"),
                ),
                None => {
                    relations.insert(folded(name), (noun, name, span));
                }
            }
        }
        for (_, name, _) in relations.values().copied().collect::<std::collections::BTreeSet<_>>() {
            self.names.take(name);
        }
        self.diagnostics.extend(faults);
    }

    fn name(&mut self, given: Option<&Text>, base: &str, label: &str, span: Span) -> Name {
        match given {
            Some(text) => Name { text: text.value.clone(), conventional: false, span: text.span },
            None => Name { text: self.names.give(base, label, self.dialect), conventional: true, span },
        }
    }

    /// Takes every given name, and reports those that two objects share.
    fn take_names(&mut self, tables: &[&RawTable]) {
        // On PostgreSQL and SQLite an index is a relation among tables and views; on MySQL and MariaDB its table's own, but
        // a foreign key (and on MySQL a check) is named in the whole database.
        let mut relations: HashMap<Cow<'_, str>, Span> = HashMap::new();
        let objects = self.schema.tables.values().map(|x| (&x.name, x.span)).chain(self.schema.views.values().map(|x| (&x.name, x.span)));
        for (name, span) in objects.chain(self.schema.sequences.values().map(|x| (&x.name, x.span))) {
            relations.insert(folded(name), span);
        }
        let mut database: HashMap<Cow<'_, str>, Span> = HashMap::new();
        let mut faults = Vec::new();
        for table in tables {
            let mut indexes: HashMap<Cow<'_, str>, Span> = HashMap::new();
            let mut constraints: HashMap<Cow<'_, str>, Span> = HashMap::new();
            let mut given: Vec<(&Text, bool, bool, bool)> = Vec::new();
            for name in table.primary_key.iter().filter(|x| self.has(&x.dialects)).filter_map(|x| x.name.as_ref()) {
                given.push((name, true, true, false));
            }
            for column in table.columns.values().filter(|c| self.has(&c.dialects)) {
                given.extend(column.primary_key.iter().filter_map(|(name, _)| name.as_ref()).map(|n| (n, true, true, false)));
                given.extend(column.uniques.iter().filter_map(|x| x.name.as_ref()).map(|n| (n, true, true, false)));
                given.extend(column.references.iter().filter_map(|x| x.name.as_ref()).map(|n| (n, false, true, true)));
                given
                    .extend(column.checks.iter().filter_map(|x| x.name.as_ref()).map(|n| (n, false, true, self.dialect == Dialect::Mysql)));
            }
            let has = |d: &Dialects| self.has(d);
            given.extend(table.uniques.iter().filter(|x| has(&x.dialects)).filter_map(|x| x.name.as_ref()).map(|n| (n, true, true, false)));
            given.extend(
                table.foreign_keys.iter().filter(|x| has(&x.dialects)).filter_map(|x| x.name.as_ref()).map(|n| (n, false, true, true)),
            );
            given.extend(
                table
                    .checks
                    .iter()
                    .filter(|x| has(&x.dialects))
                    .filter_map(|x| x.name.as_ref())
                    .map(|n| (n, false, true, self.dialect == Dialect::Mysql)),
            );
            given.extend(
                table.exclusions.iter().filter(|x| has(&x.dialects)).filter_map(|x| x.name.as_ref()).map(|n| (n, true, true, false)),
            );
            given
                .extend(table.indexes.iter().filter(|x| has(&x.dialects)).filter_map(|x| x.name.as_ref()).map(|n| (n, true, false, false)));
            for (name, index, constraint, whole_database) in given {
                let key = folded(&name.value);
                let mut first = None;
                if index {
                    let space = if self.mysql_like() { &mut indexes } else { &mut relations };
                    first = first.or(space.insert(key.clone(), name.span));
                }
                if constraint && self.dialect != Dialect::Sqlite {
                    let space = if self.mysql_like() && whole_database { &mut database } else { &mut constraints };
                    first = first.or(space.insert(key, name.span));
                }
                if let Some(first) = first {
                    faults.push(
                        Diagnostic::error("name-collision", format!("two objects are named `{}`", name.value))
                            .at(name.span, format!("this name (in table `{}`) is taken", table.name.value))
                            .at(first, "by this"),
                    );
                }
                if name.value.len() > self.dialect.identifier_limit() {
                    let limit = self.dialect.identifier_limit();
                    faults.push(
                        Diagnostic::error("name-too-long", format!("the name `{}` has {} bytes", name.value, name.value.len()))
                            .at(name.span, format!("{} keeps {limit}", product(self.dialect)))
                            .help(format!("for example `{}`", bounded(&name.value, self.dialect))),
                    );
                }
                self.names.take(&name.value);
            }
        }
        self.diagnostics.extend(faults);
    }

    fn read_type(&mut self, text: &Text, own: bool, what: &str) -> Type {
        let key = (text.value.clone(), own);
        let read = match self.types.get(&key) {
            Some(known) => known.clone(),
            None => {
                let enums = &self.schema.enums;
                let read = if own {
                    types::read_own(&text.value, self.dialect, enums)
                } else {
                    types::read_type(&text.value, self.dialect, enums)
                };
                self.types.insert(key, read.clone());
                read
            }
        };
        match read {
            Ok(ty) => ty,
            Err(fault) => {
                let mut diagnostic = Diagnostic::error("bad-type", format!("the type of {what} can't be used: {}", fault.message))
                    .at(text.span, "this type");
                if let Some(help) = fault.help {
                    diagnostic = diagnostic.help(help);
                }
                self.report(diagnostic);
                Type { kind: TypeKind::Native(types::canonical(&text.value)), array_dimensions: 0 }
            }
        }
    }

    /// The expression for this dialect. Nothing is dropped in silence: a map without an entry for the dialect is an error.
    fn expression(&mut self, choice: &Choice<Text>, what: &str) -> Option<Expr> {
        match choice.choose(self.dialect) {
            Chosen::Value { value, .. } => Some(Expr { text: value.value.clone(), span: value.span }),
            Chosen::Nothing => None,
            Chosen::Missing(span) => {
                self.missing(what, span);
                None
            }
        }
    }

    fn missing(&mut self, what: &str, span: Span) {
        let name = self.dialect.name();
        self.report(
            Diagnostic::error("missing-dialect", format!("{what} says nothing for {}", product(self.dialect)))
                .at(span, format!("neither `{name}` nor `default` is here"))
                .help(format!("add `default: …` for all other dialects, or `{name}: null` if it has none")),
        );
    }

    fn columns(&mut self, raw: &RawTable) -> Table {
        let mut columns = IndexMap::with_capacity(raw.columns.len());
        let mut seen: HashMap<Cow<'_, str>, (&str, Span)> = HashMap::with_capacity(raw.columns.len());
        for (name, column) in &raw.columns {
            if !self.has(&column.dialects) {
                continue;
            }
            if let Some((first, span)) = seen.insert(folded(name), (name, column.name.span)) {
                self.report(
                    Diagnostic::error(
                        "name-collision",
                        format!("the columns `{first}` and `{name}` of table `{}` have one name", raw.name.value),
                    )
                    .at(column.name.span, "this name is taken")
                    .at(span, "by this")
                    .help("rename one of them: case does not tell names apart"),
                );
            }
            if name.len() > self.dialect.identifier_limit() {
                let limit = self.dialect.identifier_limit();
                self.report(
                    Diagnostic::error("name-too-long", format!("the name of column `{}.{name}` has {} bytes", raw.name.value, name.len()))
                        .at(column.name.span, format!("{} keeps {limit}", product(self.dialect)))
                        .help(format!("for example `{}`", bounded(name, self.dialect))),
                );
            }
            let resolved = self.column(raw, column);
            columns.insert(name.clone(), resolved);
        }
        Table { comment: raw.comment.clone(), columns, ..Table::empty(&raw.name.value, raw.name.span) }
    }

    fn column(&mut self, table: &RawTable, raw: &RawColumn) -> Column {
        let what = format!("column `{}.{}`", table.name.value, raw.name.value);
        let mut ty = match raw.ty.as_ref().map(|choice| choice.choose(self.dialect)) {
            Some(Chosen::Value { value, own }) => self.read_type(value, own, &what),
            Some(Chosen::Missing(span)) => {
                self.missing(&format!("the type of {what}"), span);
                Type { kind: TypeKind::Text, array_dimensions: 0 }
            }
            Some(Chosen::Nothing) => {
                let fault = Diagnostic::error("wrong-type", format!("the type of {what} can't be null")).at(raw.name.span, "");
                self.report(fault.help("a column that only some dialects have says `dialects: [postgres]`"));
                Type { kind: TypeKind::Text, array_dimensions: 0 }
            }
            // Reported when it was read.
            None => Type { kind: TypeKind::Text, array_dimensions: 0 },
        };
        let default = raw.default.as_ref().and_then(|choice| self.expression(choice, &format!("the default of {what}")));
        let generated = raw.generated.as_ref().and_then(|g| {
            let expression = self.expression(&g.expression, &format!("`generated` of {what}"))?;
            Some(Generated { expression, stored: g.stored.unwrap_or(true) })
        });
        let mut contradiction = |message: String, second: Span, first: Span| {
            self.report(Diagnostic::error("contradiction", message).at(second, "this contradicts").at(first, "what stands here"));
        };
        if let Some((_, identity)) = raw.identity {
            if let Some(default) = &default {
                contradiction(format!("{what} has both an identity and a default"), default.span, identity);
            }
            if let Some(generated) = &raw.generated {
                contradiction(format!("{what} has both an identity and a generation expression"), generated.span, identity);
            }
            if let Some((false, null)) = raw.not_null {
                contradiction(format!("{what} is an identity and nullable"), null, identity);
            }
        }
        if let (Some(default), Some(generated)) = (&default, &raw.generated) {
            contradiction(format!("{what} has both a default and a generation expression"), default.span, generated.span);
        }
        if let (Some((true, not_null)), Some(null)) = (raw.not_null, raw.default_null)
            && default.is_none()
        {
            contradiction(format!("{what} is `not null` and defaults to null"), null, not_null);
        }
        if let Some((_, span)) = raw.identity {
            let integer = types::family(&ty) == Some(types::Family::Integer);
            if raw.ty.is_some() && !integer {
                self.report(
                    Diagnostic::error("contradiction", format!("{what} is an identity and no integer"))
                        .at(span, "an identity counts")
                        .help("its type is `smallint`, `integer` or `bigint`"),
                );
            }
            // Only an INTEGER PRIMARY KEY counts up, and it has 64 bit; https://www.sqlite.org/autoinc.html
            if self.dialect == Dialect::Sqlite && integer {
                ty.kind = TypeKind::Integer;
            }
        }
        let collation = raw.collation.as_ref().and_then(|choice| match choice.choose(self.dialect) {
            Chosen::Value { value, .. } => Some(value.value.clone()),
            // A collation is a fine point of one server: a map that leaves a dialect out means its own.
            Chosen::Nothing | Chosen::Missing(_) => None,
        });
        Column {
            name: raw.name.value.clone(),
            ty,
            not_null: raw.not_null.is_some_and(|(value, _)| value) || raw.identity.is_some(),
            default,
            generated,
            identity: raw.identity.map(|(value, _)| value),
            collation,
            comment: raw.comment.clone(),
            span: raw.name.span,
        }
    }

    /// The column that `name` means, as the table has it.
    fn column_name(&mut self, table: &str, name: &Text, what: &str) -> Option<String> {
        let found = self.schema.tables.get(table)?;
        if found.columns.contains_key(&name.value) {
            return Some(name.value.clone());
        }
        let fault =
            Diagnostic::error("unknown-column", format!("{what} names a column `{}` that table `{table}` does not have", name.value))
                .at(name.span, format!("no column of `{table}`"));
        let fault = suggest_among(
            self.diagnostics.len(),
            fault,
            &name.value,
            found.columns.keys().map(String::as_str).collect::<Vec<_>>(),
            "its columns are",
        );
        self.report(fault);
        None
    }

    fn column_names(&mut self, table: &str, names: &[Text], what: &str) -> Vec<String> {
        names.iter().filter_map(|name| self.column_name(table, name, what)).collect()
    }

    /// Checks an expression over a row of `table` and returns what it refers to.
    fn check_expression(&mut self, table: &str, expr: &Expr, what: &str) -> Option<References> {
        if is_literal(&expr.text) {
            return Some(References::default());
        }
        match row_references(&expr.text, self.dialect, table, &self.schema) {
            Ok(references) => {
                let mut faults = Vec::new();
                if let Some(found) = self.schema.tables.get(table) {
                    for column in &references.columns {
                        if self.has_folded(found, &column.name) || BARE_CALLS.contains(&column.name.to_ascii_lowercase().as_str()) {
                            continue;
                        }
                        let message = format!("{what} refers to a column `{}` that table `{table}` does not have", column.name);
                        let fault = Diagnostic::error("unknown-column", message)
                            .at(part(expr, column.span.clone()), format!("no column of `{table}`"));
                        let names: Vec<&str> = found.columns.keys().map(String::as_str).collect();
                        faults.push(suggest_among(self.diagnostics.len(), fault, &column.name, names, "its columns are"));
                    }
                }
                self.diagnostics.extend(faults);
                Some(references)
            }
            Err(error) => {
                let offset = error.offset.min(expr.text.len());
                self.report(
                    Diagnostic::error("bad-sql", format!("{what} is no SQL expression of {}: {}", product(self.dialect), error.message))
                        .at(part(expr, offset..offset), "here"),
                );
                None
            }
        }
    }

    fn has_folded(&self, table: &Table, column: &str) -> bool {
        table.columns.contains_key(column) || (!self.postgres() && table.columns.keys().any(|c| c.eq_ignore_ascii_case(column)))
    }

    fn constraints(&mut self, raw: &RawTable, targets: &Targets) {
        let table = raw.name.value.as_str();
        self.primary_key(raw, table);
        let columns: Vec<&RawColumn> = raw.columns.values().filter(|c| self.has(&c.dialects)).collect();
        let mut uniques = Vec::new();
        for unique in columns.iter().flat_map(|c| &c.uniques).chain(&raw.uniques) {
            uniques.extend(self.unique(table, unique));
        }
        let mut foreign_keys = Vec::new();
        for key in columns.iter().flat_map(|c| &c.references).chain(&raw.foreign_keys) {
            foreign_keys.extend(self.foreign_key(table, key, targets));
        }
        let mut checks = Vec::new();
        for check in columns.iter().flat_map(|c| &c.checks).chain(&raw.checks) {
            checks.extend(self.check(table, check));
        }
        let mut exclusions = Vec::new();
        for exclusion in &raw.exclusions {
            exclusions.extend(self.exclusion(table, exclusion));
        }
        let mut indexes = Vec::with_capacity(raw.indexes.len());
        for index in &raw.indexes {
            indexes.extend(self.index(table, index));
        }
        self.identities(raw, &uniques, &indexes);
        uniques.shrink_to_fit();
        foreign_keys.shrink_to_fit();
        checks.shrink_to_fit();
        if let Some(found) = self.schema.tables.get_mut(table) {
            found.uniques = uniques;
            found.foreign_keys = foreign_keys;
            found.checks = checks;
            found.exclusions = exclusions;
            found.indexes = indexes;
        }
    }

    fn primary_key(&mut self, raw: &RawTable, table: &str) {
        let mut keys: Vec<RawKey> = Vec::new();
        for column in raw.columns.values().filter(|c| self.has(&c.dialects)) {
            if let Some((name, span)) = &column.primary_key {
                keys.push(RawKey { name: name.clone(), columns: vec![column.name.clone()], span: *span, dialects: None });
            }
        }
        keys.extend(raw.primary_key.iter().filter(|k| self.has(&k.dialects)).cloned());
        let mut keys = keys.into_iter();
        let Some(key) = keys.next() else { return };
        for second in keys {
            self.report(
                Diagnostic::error("two-primary-keys", format!("table `{table}` has two primary keys"))
                    .at(second.span, "a second one here")
                    .at(key.span, "first here")
                    .help("a key of several columns is written once: `primary_key: [a, b]`"),
            );
        }
        let what = format!("the primary key of table `{table}`");
        let columns = self.column_names(table, &key.columns, &what);
        for name in &columns {
            if let Some((false, null)) = raw.columns.get(name).and_then(|c| c.not_null) {
                self.report(
                    Diagnostic::error("contradiction", format!("column `{table}.{name}` is nullable and part of the primary key"))
                        .at(null, "this contradicts")
                        .at(key.span, "what stands here"),
                );
            }
        }
        self.needs_no_length(table, &what, columns.iter().map(|name| (name.as_str(), None)), key.span);
        let name = if self.mysql_like() {
            Name { text: "PRIMARY".to_owned(), conventional: key.name.is_none(), span: key.name.as_ref().map_or(key.span, |n| n.span) }
        } else {
            self.name(key.name.as_ref(), table, "pkey", key.span)
        };
        if let Some(found) = self.schema.tables.get_mut(table) {
            for name in &columns {
                if let Some(column) = found.columns.get_mut(name) {
                    column.not_null = true;
                }
            }
            found.primary_key = Some(PrimaryKey { name, columns });
        }
    }

    fn unique(&mut self, table: &str, raw: &RawUnique) -> Option<Unique> {
        if !self.has(&raw.dialects) {
            return None;
        }
        let what = match &raw.name {
            Some(name) => format!("unique constraint `{}`", name.value),
            None => format!("a unique constraint of table `{table}`"),
        };
        let columns = self.column_names(table, &raw.columns, &what);
        let include = self.column_names(table, &raw.include, &what);
        if !self.postgres() {
            for (is, why) in [
                (raw.nulls_not_distinct, "NULLs are always distinct there"),
                (!raw.include.is_empty(), "it has no covering columns"),
                (raw.timing.deferrable, "a unique constraint is checked at once there"),
            ] {
                if is {
                    self.cannot(&what, why, raw.span);
                }
            }
        }
        self.needs_no_length(table, &what, columns.iter().map(|name| (name.as_str(), None)), raw.span);
        let base = of_columns(table, columns.iter().chain(&include));
        Some(Unique {
            name: self.name(raw.name.as_ref(), &base, "key", raw.span),
            columns,
            include,
            nulls_not_distinct: raw.nulls_not_distinct,
            deferrable: raw.timing.deferrable,
            initially_deferred: raw.timing.initially_deferred,
        })
    }

    /// MySQL and MariaDB keep long texts beside the row, and take only so many characters of one into a key (error 1170).
    fn needs_no_length<'n>(&mut self, table: &str, what: &str, keys: impl Iterator<Item = (&'n str, Option<u32>)>, span: Span) {
        if !self.mysql_like() {
            return;
        }
        for (name, length) in keys {
            let Some(column) = self.schema.tables.get(table).and_then(|table| table.columns.get(name)) else { continue };
            let ty = types::sql_name(&column.ty, self.dialect);
            if ty == "json" {
                self.cannot(what, &format!("column `{name}` is JSON, which can't be indexed"), span);
            } else if length.is_none() && (ty.ends_with("text") || ty.ends_with("blob")) {
                let why = format!("column `{name}` is `{ty}` there, and a key takes only so many characters of it");
                let way = format!(
                    "an index says how many: `{{column: {name}, length: 100}}`; or give the column a type with a length: `{{mysql: varchar(100), …}}`"
                );
                let fault =
                    Diagnostic::error("unsupported-by-dialect", format!("{what} can't be made on {}: {why}", product(self.dialect)))
                        .at(span, format!("not on {}", product(self.dialect)))
                        .help(way);
                self.report(fault);
            }
        }
    }

    fn action(&mut self, table: &str, raw: Option<&Action>, what: &str, span: Span) -> ReferentialAction {
        let Some(action) = raw else { return ReferentialAction::NoAction };
        if let Action::SetNull(names) | Action::SetDefault(names) = action {
            for name in names {
                let text = Text { value: name.clone(), span, verbatim: false };
                self.column_name(table, &text, what);
            }
            if !names.is_empty() && !self.postgres() {
                self.cannot(what, "an action applies to all columns of the key there", span);
            }
        }
        if matches!(action, Action::SetDefault(_)) && self.mysql_like() {
            // https://dev.mysql.com/doc/refman/8.4/en/create-table-foreign-keys.html
            self.cannot(what, "InnoDB refuses `set default`", span);
        }
        match action {
            Action::NoAction => ReferentialAction::NoAction,
            Action::Restrict => ReferentialAction::Restrict,
            Action::Cascade => ReferentialAction::Cascade,
            Action::SetNull(names) => ReferentialAction::SetNull(names.clone()),
            Action::SetDefault(names) => ReferentialAction::SetDefault(names.clone()),
        }
    }

    fn foreign_key(&mut self, table: &str, raw: &RawForeignKey, targets: &Targets) -> Option<ForeignKey> {
        if !self.has(&raw.dialects) {
            return None;
        }
        let what = match &raw.name {
            Some(name) => format!("foreign key `{}`", name.value),
            None => {
                let columns: Vec<&str> = raw.columns.iter().map(|c| c.value.as_str()).collect();
                format!("the foreign key of `{table}` ({})", columns.join(", "))
            }
        };
        let columns = self.column_names(table, &raw.columns, &what);
        let target = raw.table.value.as_str();
        let mut ref_columns = Vec::new();
        if let Some(known) = targets.keys.get(target) {
            if raw.ref_columns.is_empty() {
                match &known.primary {
                    Some(primary) => ref_columns = primary.clone(),
                    None => self.report(
                        Diagnostic::error(
                            "foreign-key-target",
                            format!("{what} names no columns, and table `{target}` has no primary key"),
                        )
                        .at(raw.table.span, "which columns?")
                        .help(format!("name them: `references {target}(…)`")),
                    ),
                }
            } else {
                ref_columns = self.column_names(target, &raw.ref_columns, &what);
                let mut sorted: Vec<&str> = ref_columns.iter().map(String::as_str).collect();
                sorted.sort_unstable();
                if ref_columns.len() == raw.ref_columns.len() && !known.unique.iter().any(|key| *key == sorted) {
                    self.report(
                        Diagnostic::error(
                            "foreign-key-target",
                            format!("{what} refers to `{target}` ({}), which is not unique", ref_columns.join(", ")),
                        )
                        .at(raw.table.span, "no primary key or unique constraint there has these columns")
                        .help(format!("add `unique: [{{columns: [{}]}}]` to table `{target}`", ref_columns.join(", "))),
                    );
                }
            }
            let referenced = if raw.ref_columns.is_empty() { ref_columns.len() } else { raw.ref_columns.len() };
            if referenced != 0 && referenced != raw.columns.len() {
                self.report(
                    Diagnostic::error("column-count", format!("{what} has {} columns and refers to {referenced}", raw.columns.len()))
                        .at(raw.span, "the numbers differ"),
                );
            }
        } else {
            let names: Vec<&str> = self.schema.tables.keys().map(String::as_str).collect();
            let message = if self.schema.views.contains_key(target) {
                format!("{what} refers to `{target}`, which is a view")
            } else {
                format!("{what} refers to a table `{target}` that is not defined")
            };
            let fault = Diagnostic::error("unknown-table", message).at(raw.table.span, "no such table");
            let fault = suggest_among(self.diagnostics.len(), fault, target, names, "the tables are");
            self.report(fault);
        }
        if raw.timing.deferrable && self.mysql_like() {
            self.cannot(&what, "a foreign key is checked at once there", raw.span);
        }
        if raw.match_full && !self.postgres() && raw.columns.len() > 1 {
            self.cannot(&what, "it ignores `match full`", raw.span);
        }
        let on_delete = self.action(table, raw.on_delete.as_ref(), &what, raw.span);
        let on_update = self.action(table, raw.on_update.as_ref(), &what, raw.span);
        let base = of_columns(table, &columns);
        Some(ForeignKey {
            name: self.name(raw.name.as_ref(), &base, "fkey", raw.span),
            columns,
            ref_table: target.to_owned(),
            ref_columns,
            on_delete,
            on_update,
            deferrable: raw.timing.deferrable,
            initially_deferred: raw.timing.initially_deferred,
            match_full: raw.match_full,
        })
    }

    fn check(&mut self, table: &str, raw: &RawCheck) -> Option<Check> {
        if !self.has(&raw.dialects) {
            return None;
        }
        let what = match (&raw.name, &raw.column) {
            (Some(name), _) => format!("check `{}`", name.value),
            (None, Some(column)) => format!("the check of column `{table}.{column}`"),
            (None, None) => format!("a check of table `{table}`"),
        };
        let expression = self.expression(&raw.expression, &what)?;
        let references = self.check_expression(table, &expression, &what);
        if references.as_ref().is_some_and(|r| r.has_subquery) {
            self.report(Diagnostic::error("bad-check", format!("{what} holds a subquery")).at(expression.span, "a check sees one row"));
        }
        // PostgreSQL names a check after its column when it refers to exactly one.
        let mut columns: Vec<String> = references.map(|r| r.columns.into_iter().map(|c| c.name).collect()).unwrap_or_default();
        columns.sort();
        columns.dedup();
        let base = match (columns.as_slice(), &raw.column) {
            ([one], _) => format!("{table}_{one}"),
            ([], Some(column)) => format!("{table}_{column}"),
            _ => table.to_owned(),
        };
        Some(Check { name: self.name(raw.name.as_ref(), &base, "check", raw.span), expression })
    }

    fn exclusion(&mut self, table: &str, raw: &RawExclusion) -> Option<Exclusion> {
        if !self.has(&raw.dialects) {
            return None;
        }
        let what = match &raw.name {
            Some(name) => format!("exclusion `{}`", name.value),
            None => format!("an exclusion of table `{table}`"),
        };
        if !self.postgres() {
            self.cannot(&what, "it has no exclusion constraints", raw.span);
            return None;
        }
        let elements = self.expression(&raw.elements, &what)?;
        let predicate = raw.predicate.as_ref().and_then(|p| self.expression(p, &format!("`where` of {what}")));
        if let Some(predicate) = &predicate {
            self.check_expression(table, predicate, &format!("`where` of {what}"));
        }
        let mut names = Vec::new();
        for (range, is_pair) in exclusion_elements(&elements.text) {
            let text = elements.text.get(range.clone()).unwrap_or("").trim();
            if !is_pair {
                self.report(
                    Diagnostic::error("bad-sql", format!("{what} has an element without an operator"))
                        .at(part(&elements, range), "expected `with OPERATOR`")
                        .help("elements look like `room with =, during with &&`"),
                );
                continue;
            }
            let simple = text.chars().all(|c| c.is_alphanumeric() || c == '_');
            if simple {
                let start = range.start;
                let name = Text { value: text.to_owned(), span: part(&elements, start..start + text.len()), verbatim: false };
                let lower = Text { value: text.to_lowercase(), ..name.clone() };
                let name = if self.schema.tables.get(table).is_some_and(|t| t.columns.contains_key(&lower.value)) { lower } else { name };
                if let Some(column) = self.column_name(table, &name, &what) {
                    names.push(column);
                }
            } else if names.last().is_none_or(|last| last != "expr") {
                names.push("expr".to_owned());
            }
        }
        let base = of_columns(table, &names);
        Some(Exclusion {
            name: self.name(raw.name.as_ref(), &base, "excl", raw.span),
            method: raw.method.as_ref().map_or_else(|| "gist".to_owned(), |m| m.value.to_lowercase()),
            elements,
            predicate,
            deferrable: raw.timing.deferrable,
            initially_deferred: raw.timing.initially_deferred,
        })
    }

    fn index(&mut self, table: &str, raw: &RawIndex) -> Option<Index> {
        if !self.has(&raw.dialects) {
            return None;
        }
        let what = match &raw.name {
            Some(name) => format!("index `{}`", name.value),
            None => format!("an index of table `{table}`"),
        };
        let mut keys = Vec::with_capacity(raw.keys.len());
        let mut parts: Vec<String> = Vec::new();
        for key in &raw.keys {
            let target = match &key.target {
                RawTarget::Column(name) => self.column_name(table, name, &what).map(IndexTarget::Column),
                RawTarget::Expression(choice) => self.expression(choice, &what).map(IndexTarget::Expression),
                RawTarget::Either(text) => {
                    let known = self.schema.tables.get(table).is_some_and(|t| t.columns.contains_key(&text.value));
                    // A bare word can only be meant as a column; `lower(email)` can't.
                    let word = text.value.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
                    if known || word {
                        self.column_name(table, text, &what).map(IndexTarget::Column)
                    } else {
                        Some(IndexTarget::Expression(Expr { text: text.value.clone(), span: text.span }))
                    }
                }
            };
            let Some(target) = target else { continue };
            match &target {
                IndexTarget::Column(name) => parts.push(name.clone()),
                IndexTarget::Expression(expression) => {
                    self.check_expression(table, expression, &what);
                    // MariaDB indexes columns only; https://mariadb.com/kb/en/generated-columns/ shows the way around.
                    if self.dialect == Dialect::Mariadb {
                        self.cannot(&what, "it indexes columns only, not expressions", expression.span);
                    }
                    parts.push("expr".to_owned());
                }
            }
            if !self.postgres() {
                if key.nulls.is_some() {
                    self.cannot(&what, "an index has no `nulls` order there", key.span);
                }
                if let Some(opclass) = &key.opclass {
                    self.cannot(&what, "it has no operator classes", opclass.span);
                }
                if let Some(collation) = &key.collation
                    && self.mysql_like()
                {
                    self.cannot(&what, "an index key has its column's collation there", collation.span);
                }
            }
            keys.push(IndexKey {
                target,
                descending: key.descending,
                nulls: key.nulls,
                collation: key.collation.as_ref().map(|c| c.value.clone()),
                opclass: key.opclass.as_ref().map(|c| c.value.clone()),
                length: if self.mysql_like() { key.length } else { None },
            });
        }
        let method = match raw.method.as_ref().map(|m| m.choose(self.dialect)) {
            Some(Chosen::Value { value, .. }) => {
                self.method(&what, value);
                value.value.to_lowercase()
            }
            Some(Chosen::Nothing | Chosen::Missing(_)) | None => "btree".to_owned(),
        };
        let predicate = raw.predicate.as_ref().and_then(|p| self.expression(p, &format!("`where` of {what}")));
        if let Some(predicate) = &predicate {
            self.check_expression(table, predicate, &format!("`where` of {what}"));
            if self.mysql_like() {
                self.cannot(&what, "an index always has all rows there", predicate.span);
            }
        }
        let include = self.column_names(table, &raw.include, &what);
        if !self.postgres() {
            for (is, why) in [
                (!raw.include.is_empty(), "it has no covering columns"),
                (!raw.with.is_empty(), "an index has no storage parameters there"),
                (raw.nulls_not_distinct, "NULLs are always distinct there"),
            ] {
                if is {
                    self.cannot(&what, why, raw.span);
                }
            }
        }
        if method == "btree" || method == "hash" {
            let columns: Vec<(String, Option<u32>)> = keys
                .iter()
                .filter_map(|key| match &key.target {
                    IndexTarget::Column(name) => Some((name.clone(), key.length)),
                    IndexTarget::Expression(_) => None,
                })
                .collect();
            self.needs_no_length(table, &what, columns.iter().map(|(name, length)| (name.as_str(), *length)), raw.span);
        }
        if raw.nulls_not_distinct && !raw.unique {
            self.report(
                Diagnostic::error("contradiction", format!("{what} has `nulls_not_distinct` and is not unique"))
                    .at(raw.span, "say `unique: true`"),
            );
        }
        parts.extend(include.iter().cloned());
        // The second expression of an index is `expr1`, as PostgreSQL has it.
        for (number, part) in parts.iter_mut().filter(|p| *p == "expr").enumerate().skip(1) {
            *part = format!("expr{number}");
        }
        let base = of_columns(table, &parts);
        Some(Index {
            name: self.name(raw.name.as_ref(), &base, "idx", raw.span),
            keys,
            unique: raw.unique,
            nulls_not_distinct: raw.nulls_not_distinct,
            method,
            predicate,
            include,
            with: raw.with.clone(),
            comment: raw.comment.clone(),
        })
    }

    fn method(&mut self, what: &str, text: &Text) {
        const POSTGRES: [&str; 6] = ["btree", "hash", "gin", "gist", "brin", "spgist"];
        const MYSQL: [&str; 4] = ["btree", "hash", "fulltext", "spatial"];
        let method = text.value.to_lowercase();
        let (known, others): (&[&str], &[&str]) = match self.dialect {
            Dialect::Postgres => (&POSTGRES, &["fulltext", "spatial"]),
            Dialect::Mysql | Dialect::Mariadb => (&MYSQL, &POSTGRES[2..]),
            Dialect::Sqlite => (&["btree"], &["hash", "gin", "gist", "brin", "spgist", "fulltext", "spatial"]),
        };
        if known.contains(&method.as_str()) {
            return;
        }
        if others.contains(&method.as_str()) {
            self.cannot(what, &format!("it has no index method `{method}`"), text.span);
            return;
        }
        let near = nearest(&method, known.iter().copied().chain(others.iter().copied()));
        // An extension of PostgreSQL may bring its own.
        if self.postgres() && near.is_none() {
            return;
        }
        let fault = Diagnostic::error("unknown-word", format!("{what} has an unknown method `{}`", text.value)).at(text.span, "unknown");
        self.report(match near {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("one of: {}", known.join(", "))),
        });
    }

    /// What a dialect asks of identity columns.
    fn identities(&mut self, raw: &RawTable, uniques: &[Unique], indexes: &[Index]) {
        if self.postgres() {
            return;
        }
        let table = raw.name.value.as_str();
        let Some(found) = self.schema.tables.get(table) else { return };
        let identities: Vec<(String, Span)> = raw
            .columns
            .values()
            .filter(|c| self.has(&c.dialects))
            .filter_map(|c| c.identity.map(|(_, span)| (c.name.value.clone(), span)))
            .collect();
        let primary: Vec<String> = found.primary_key.as_ref().map(|k| k.columns.clone()).unwrap_or_default();
        for (position, (name, span)) in identities.iter().enumerate() {
            let what = format!("the identity of column `{table}.{name}`");
            if position > 0 {
                self.cannot(&what, "a table has one at most there", *span);
                continue;
            }
            if self.dialect == Dialect::Sqlite {
                if primary != [name.clone()] {
                    self.cannot(&what, "only a primary key of this one column counts up there", *span);
                }
                continue;
            }
            let leads = primary.first() == Some(name)
                || uniques.iter().any(|u| u.columns.first() == Some(name))
                || indexes.iter().any(|i| matches!(i.keys.first(), Some(IndexKey { target: IndexTarget::Column(c), .. }) if c == name));
            if !leads {
                self.cannot(&what, "the column must be the first of a key there", *span);
            }
        }
    }

    /// Checks defaults and generation expressions, now that all columns are known.
    fn default_expressions(&mut self, tables: &[&RawTable]) {
        for raw in tables {
            let table = raw.name.value.as_str();
            let Some(found) = self.schema.tables.get(table) else { continue };
            let mut expressions: Vec<(Expr, String, bool)> = Vec::new();
            for column in found.columns.values() {
                if let Some(default) = &column.default
                    && !is_literal(&default.text)
                {
                    expressions.push((default.clone(), format!("the default of column `{table}.{}`", column.name), true));
                }
                if let Some(generated) = &column.generated {
                    expressions.push((generated.expression.clone(), format!("`generated` of column `{table}.{}`", column.name), false));
                }
            }
            for (expression, what, is_default) in expressions {
                let Some(references) = self.check_expression(table, &expression, &what) else { continue };
                if references.has_subquery {
                    self.report(
                        Diagnostic::error("bad-default", format!("{what} holds a subquery")).at(expression.span, "no server takes that"),
                    );
                }
                let Some(found) = self.schema.tables.get(table) else { continue };
                // MySQL and MariaDB let a default refer to columns before it; the others don't.
                if is_default
                    && !self.mysql_like()
                    && let Some(column) = references.columns.iter().find(|c| self.has_folded(found, &c.name))
                {
                    let fault = Diagnostic::error("bad-default", format!("{what} refers to column `{}`", column.name))
                        .at(part(&expression, column.span.clone()), format!("{} allows no columns in a default", product(self.dialect)))
                        .help("a text is written in SQL's quotes: `default: \"'text'\"`");
                    self.report(fault);
                }
            }
        }
    }

    fn views(&mut self, snapshot: &Snapshot) {
        for (name, raw) in &snapshot.views {
            if !self.has(&raw.dialects) {
                continue;
            }
            let what = format!("view `{name}`");
            let Some(query) = self.expression(&raw.query, &format!("the query of {what}")) else { continue };
            if raw.materialized && !self.postgres() {
                self.cannot(&what, "it has no materialized views", raw.name.span);
            }
            let view =
                View { name: name.clone(), query, materialized: raw.materialized, comment: raw.comment.clone(), span: raw.name.span };
            self.schema.views.insert(name.clone(), view);
        }
        self.view_tables();
    }

    /// What views read must be there, and no view may read itself, however far around.
    fn view_tables(&mut self) {
        let by_fold: HashMap<String, String> =
            self.schema.tables.keys().chain(self.schema.views.keys()).map(|name| (folded(name).into_owned(), name.clone())).collect();
        let mut edges: IndexMap<String, Vec<(String, Span)>> = IndexMap::new();
        let mut faults = Vec::new();
        for view in self.schema.views.values() {
            let references = match query_references(&view.query.text, self.dialect) {
                Ok(references) => references,
                Err(error) => {
                    let offset = error.offset.min(view.query.text.len());
                    let message = format!("the query of view `{}` is no query of {}: {}", view.name, product(self.dialect), error.message);
                    faults.push(Diagnostic::error("bad-sql", message).at(part(&view.query, offset..offset), "here"));
                    continue;
                }
            };
            let mut reads = Vec::new();
            for table in references.tables.iter().filter(|t| t.schema.is_none()) {
                let place = part(&view.query, table.span.clone());
                let exact = self.schema.tables.contains_key(&table.name) || self.schema.views.contains_key(&table.name);
                let known = if exact { Some(&table.name) } else { by_fold.get(folded(&table.name).as_ref()).filter(|_| !self.postgres()) };
                match known {
                    Some(known) if self.schema.views.contains_key(known) => reads.push((known.clone(), place)),
                    Some(_) => {}
                    None if is_system_table(&table.name) => {}
                    None => {
                        let message = format!("view `{}` reads a table `{}` that is not defined", view.name, table.name);
                        let fault = Diagnostic::error("unknown-table", message).at(place, "no such table or view");
                        let names: Vec<&str> = self
                            .schema
                            .tables
                            .keys()
                            .chain(self.schema.views.keys())
                            .map(String::as_str)
                            .filter(|n| *n != view.name)
                            .collect();
                        faults.push(suggest_among(faults.len(), fault, &table.name, names, "there are"));
                    }
                }
            }
            edges.insert(view.name.clone(), reads);
        }
        faults.extend(cycles(&edges));
        self.diagnostics.extend(faults);
    }

    fn transition(&mut self, raw: &RawTransition) -> Transition {
        let mut transition = Transition {
            from: raw.from.as_ref().map(|t| t.value.clone()),
            from_span: raw.from.as_ref().map_or_else(Span::default, |t| t.span),
            access: raw.access.as_ref().and_then(|choice| match choice.choose(self.dialect) {
                Chosen::Value { value, .. } => Some(*value),
                Chosen::Nothing | Chosen::Missing(_) => None,
            }),
            allow: raw.allow.iter().map(|t| (t.value.clone(), t.span)).collect(),
            span: raw.span,
            ..Transition::default()
        };
        if let Some(from) = &raw.from
            && from.value == self.schema.version
        {
            self.report(
                Diagnostic::error("contradiction", format!("the transition comes from `{}`, which is this snapshot", from.value))
                    .at(from.span, "the old snapshot's version belongs here"),
            );
        }
        for (name, hints) in &raw.tables {
            let mut out = TableHints { renamed_from: hints.renamed_from.clone(), span: hints.name.span, ..TableHints::default() };
            let known = self.schema.tables.contains_key(name);
            if let Some((table, predicate)) = &hints.from {
                let predicate = predicate.as_ref().and_then(|p| self.expression(p, &format!("`where` of table `{name}`")));
                self.old_row(predicate.as_ref(), &format!("`where` of table `{name}`"));
                out.from = Some(TableSource { table: table.value.clone(), predicate, span: table.span });
            }
            if !known && (hints.renamed_from.is_some() || hints.from.is_some()) {
                let fault = Diagnostic::error("unknown-table", format!("the transition names a new table `{name}` that is not defined"))
                    .at(hints.name.span, "no such table");
                let names: Vec<&str> = self.schema.tables.keys().map(String::as_str).collect();
                let fault = suggest_among(self.diagnostics.len(), fault, name, names, "the tables are");
                self.report(fault);
            }
            for (column, expression) in &hints.key {
                if known {
                    self.column_name(name, column, "`key`");
                }
                if let Some(expression) = self.expression(expression, &format!("`key` of table `{name}`")) {
                    self.old_row(Some(&expression), &format!("`key` of table `{name}`"));
                    out.key.insert(column.value.clone(), expression);
                }
            }
            for (column, raw) in &hints.columns {
                let hints = self.column_hints(name, column, raw);
                out.columns.insert(column.clone(), hints);
            }
            transition.tables.insert(name.clone(), out);
        }
        for (name, hints) in &raw.enums {
            let known = self.schema.enums.get(name);
            let mut faults = Vec::new();
            if let Some(found) = known {
                for (label, from) in &hints.values {
                    if from.name.is_some() && !found.labels.contains(label) {
                        let fault = Diagnostic::error("unknown-value", format!("enum `{name}` has no value `{label}`"))
                            .at(from.span, format!("the hint is for `{label}`"));
                        faults.push(suggest_among(
                            self.diagnostics.len(),
                            fault,
                            label,
                            found.labels.iter().map(String::as_str).collect::<Vec<_>>(),
                            "its values are",
                        ));
                    }
                }
            } else if hints.renamed_from.is_some() || !hints.values.is_empty() {
                let fault = Diagnostic::error("unknown-type", format!("the transition names an enum `{name}` that is not defined"))
                    .at(hints.name.span, "no such enum");
                let names: Vec<&str> = self.schema.enums.keys().map(String::as_str).collect();
                faults.push(suggest_among(self.diagnostics.len(), fault, name, names, "the enums are"));
            }
            self.diagnostics.extend(faults);
            let out = EnumHints { renamed_from: hints.renamed_from.clone(), values: hints.values.clone(), span: hints.name.span };
            transition.enums.insert(name.clone(), out);
        }
        transition
    }

    /// Checks what can be checked of an expression over the old row, which is not known here: its syntax.
    fn old_row(&mut self, expr: Option<&Expr>, what: &str) {
        if let Some(expr) = expr
            && !is_literal(&expr.text)
            && let Err(error) = check_expression(&expr.text, self.dialect)
        {
            let offset = error.offset.min(expr.text.len());
            self.report(
                Diagnostic::error("bad-sql", format!("{what} is no SQL expression of {}: {}", product(self.dialect), error.message))
                    .at(part(expr, offset..offset), "here"),
            );
        }
    }

    fn column_hints(&mut self, table: &str, column: &str, raw: &RawColumnHints) -> ColumnHints {
        let what = |key: &str| format!("`{key}` of column `{table}.{column}`");
        let mut choose = |choice: &Option<Choice<Text>>, key: &str| choice.as_ref().and_then(|c| self.expression(c, &what(key)));
        let (up, down, backfill) = (choose(&raw.up, "up"), choose(&raw.down, "down"), choose(&raw.backfill, "backfill"));
        if let Some(found) = self.schema.tables.get(table) {
            let new_only = up.is_some() || raw.renamed_from.is_some() || backfill.is_some() || raw.values.is_some();
            if new_only && !found.columns.contains_key(column) {
                let fault = Diagnostic::error(
                    "unknown-column",
                    format!("the transition names a new column `{column}` that table `{table}` does not have"),
                )
                .at(raw.name.span, format!("no column of `{table}`"));
                let names: Vec<&str> = found.columns.keys().map(String::as_str).collect();
                let fault = suggest_among(self.diagnostics.len(), fault, column, names, "its columns are");
                self.report(fault);
            }
        }
        self.old_row(up.as_ref(), &what("up"));
        self.old_row(backfill.as_ref(), &what("backfill"));
        // `down` sees the new row, which is known here; `up` sees the old one, which the diff checks.
        if let Some(down) = &down
            && self.schema.tables.contains_key(table)
        {
            self.check_expression(table, down, &what("down"));
        }
        ColumnHints {
            renamed_from: raw.renamed_from.clone(),
            up,
            down,
            backfill,
            values: raw.values.clone(),
            lossy: raw.lossy,
            follow: raw.follow,
            enforce: raw.enforce,
            on_conflict: raw.on_conflict,
            span: raw.name.span,
        }
    }
}

/// What a foreign key may refer to.
struct Targets {
    keys: HashMap<String, TargetKeys>,
}

struct TargetKeys {
    primary: Option<Vec<String>>,
    /// The column sets of primary key and unique constraints, sorted.
    unique: HashSet<Vec<String>>,
}

impl Targets {
    fn new(tables: &[&RawTable], schema: &Schema) -> Targets {
        let inline = tables.iter().flat_map(|t| t.columns.values()).flat_map(|c| &c.references);
        let referenced: HashSet<&str> =
            inline.chain(tables.iter().flat_map(|t| &t.foreign_keys)).map(|key| key.table.value.as_str()).collect();
        let mut keys = HashMap::with_capacity(referenced.len());
        let known = |raw: &&&RawTable| referenced.contains(raw.name.value.as_str()) && schema.tables.contains_key(&raw.name.value);
        for raw in tables.iter().filter(known) {
            let values = |texts: &[Text]| texts.iter().map(|t| t.value.clone()).collect::<Vec<String>>();
            let mut unique = HashSet::new();
            let mut add = |mut columns: Vec<String>| {
                columns.sort();
                unique.insert(columns);
            };
            let inline = raw.columns.values().find(|c| c.primary_key.is_some()).map(|c| vec![c.name.value.clone()]);
            let primary = inline.or_else(|| raw.primary_key.as_ref().map(|k| values(&k.columns)));
            primary.iter().cloned().for_each(&mut add);
            raw.columns.values().flat_map(|c| &c.uniques).chain(&raw.uniques).map(|u| values(&u.columns)).for_each(&mut add);
            for index in raw.indexes.iter().filter(|i| i.unique && i.predicate.is_none()) {
                let columns: Option<Vec<String>> = index
                    .keys
                    .iter()
                    .map(|key| match &key.target {
                        RawTarget::Column(t) | RawTarget::Either(t) => Some(t.value.clone()),
                        RawTarget::Expression(_) => None,
                    })
                    .collect();
                columns.into_iter().for_each(&mut add);
            }
            keys.insert(raw.name.value.clone(), TargetKeys { primary, unique });
        }
        Targets { keys }
    }
}

/// The place of a part of an expression; of the whole where the file holds it in another spelling.
fn part(expr: &Expr, range: std::ops::Range<usize>) -> Span {
    super::tree::part_of(expr.span, (expr.span.end - expr.span.start) as usize == expr.text.len(), range)
}

/// As [`suggest`], while there are few faults: with thousands of them, and thousands of names, the search would cost minutes.
fn suggest_among<'c>(
    told: usize,
    fault: Diagnostic,
    word: &str,
    names: impl IntoIterator<Item = &'c str> + Clone,
    noun: &str,
) -> Diagnostic {
    if told < 200 { suggest(fault, word, names, noun) } else { fault }
}

/// Tables that a server has without being told, and functions that stand where a table does.
fn is_system_table(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pg_", "sqlite_", "pragma_", "json_"].iter().any(|prefix| name.starts_with(prefix))
        || matches!(name.as_str(), "dual" | "generate_series" | "unnest" | "jsonb_each" | "seq")
}

/// The cycles among views, each reported once, at the reference that closes it.
fn cycles(edges: &IndexMap<String, Vec<(String, Span)>>) -> Vec<Diagnostic> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; edges.len()];
    let mut faults = Vec::new();
    for start in 0..edges.len() {
        // Each entry is a view and how many of its references were followed; a stack of our own, as a chain may be long.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if states[start] == State::New {
            states[start] = State::Open;
            path.push((start, 0));
        }
        while let Some((view, followed)) = path.last().copied() {
            let Some((target, span)) = edges.get_index(view).and_then(|(_, reads)| reads.get(followed)) else {
                states[view] = State::Done;
                path.pop();
                continue;
            };
            if let Some(last) = path.last_mut() {
                last.1 += 1;
            }
            let Some(next) = edges.get_index_of(target) else { continue };
            match states[next] {
                State::Done => {}
                State::New => {
                    states[next] = State::Open;
                    path.push((next, 0));
                }
                State::Open => {
                    let from = path.iter().position(|(v, _)| *v == next).unwrap_or(0);
                    let name = |v: usize| edges.get_index(v).map_or("", |(name, _)| name.as_str());
                    let mut around: Vec<&str> = path[from..].iter().map(|(v, _)| name(*v)).collect();
                    around.push(name(next));
                    faults.push(
                        Diagnostic::error("cyclic-views", format!("the view `{target}` reads itself: {}", around.join(" → ")))
                            .at(*span, "this closes the circle"),
                    );
                }
            }
        }
    }
    faults
}

/// Whether an expression is a number, a plain text or a word that is the same everywhere: nothing in it can be wrong.
fn is_literal(text: &str) -> bool {
    is_number(text)
        || matches!(text, "true" | "false" | "null" | "now()" | "current_timestamp")
        || text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).is_some_and(|t| !t.contains(['\'', '\\']))
}

/// The elements of an exclusion, cut at commas outside of parentheses and quotes: the part before `with`, and whether there is one.
fn exclusion_elements(text: &str) -> Vec<(std::ops::Range<usize>, bool)> {
    let mut out = Vec::new();
    let mut start = 0;
    let (mut depth, mut quote) = (0i32, None);
    let mut cuts = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, ',') if depth == 0 => cuts.push(at),
            (None, _) => {}
        }
    }
    cuts.push(text.len());
    for end in cuts {
        let element = &text[start..end];
        let lead = element.len() - element.trim_start().len();
        let lower = element.to_ascii_lowercase();
        match lower.rfind(" with ") {
            Some(with) => out.push((start + lead..start + with, true)),
            None => out.push((start + lead..end, false)),
        }
        start = end + 1;
    }
    out
}
