//! SQLite: the statements that its catalog keeps of each object, as a [`Schema`]. Two queries give all of them.
//!
//! Source of the grammar: <https://www.sqlite.org/lang_createtable.html>, <https://www.sqlite.org/lang_createindex.html>.

use std::collections::HashMap;
use std::path::Path;

use indexmap::IndexMap;

use super::{Found, Inspected, LeftOut, closing_views, expr, given, is_ours, unnamed, unread};
use crate::diagnostic::Span;
use crate::engine::sqlite::Session;
use crate::engine::{Connection as _, Failure};
use crate::snapshot::model::{
    Check, Column, ForeignKey, Generated, Identity, Index, IndexKey, IndexTarget, Nulls, PrimaryKey, ReferentialAction, Schema, Table,
    Type, TypeKind, Unique, View,
};
use crate::snapshot::types;
use crate::sql::Dialect;
use crate::sql::expression::{check_expression, query_references};
use crate::sql::quote::{ident, literal};
use crate::sql::tokens::{Cursor, Kind, tokens};

const SQLITE: Dialect = Dialect::Sqlite;

/// Reads a database file. `name` is the version's, if the database does not know it.
///
/// # Errors
/// When the file can't be read.
pub fn inspect(session: &mut Session, name: &str) -> Result<Inspected, Failure> {
    Ok(look(session)?.write(name, SQLITE))
}

/// Reads a script for the `sqlite3` shell, such as what its `.schema` prints: what it makes is made in memory and read there. Only
/// statements that make, change or drop an object run; rows are no part of a schema.
///
/// # Errors
/// When a statement is refused; the message has its line.
pub fn inspect_script(script: &str, name: &str) -> Result<Inspected, Failure> {
    let mut session = Session::open(Path::new(":memory:"))?;
    let mut left_out = Vec::new();
    for statement in crate::sql::split::split_as(SQLITE, script) {
        let all = tokens(&statement.text, SQLITE);
        let mut words = Cursor::new(&statement.text, &all, SQLITE);
        let start = words;
        let is_virtual = words.is("create virtual table");
        let defines = words.eat("create") || words.eat("drop") || words.eat("alter");
        // The library makes these itself.
        let own = || all.iter().take(6).any(|token| start_of(&statement.text, token.range.clone()).starts_with("sqlite_"));
        let nothing = ["begin", "commit", "end", "pragma", "insert", "delete", "update", "analyze"];
        if defines && !own() {
            match session.run(&statement.text) {
                Ok(_) => {}
                Err(failure) if is_virtual => left_out
                    .push(LeftOut { kind: "virtual tables".to_owned(), name: format!("line {}: {}", statement.line, failure.message) }),
                Err(failure) => return Err(Failure { message: format!("line {}: {}", statement.line, failure.message), ..failure }),
            }
        } else if !defines && !nothing.iter().any(|word| start.is(word)) {
            left_out.push(unread(statement.line, start.text()));
        }
    }
    let mut found = look(&mut session)?;
    found.left_out.extend(left_out);
    found.left_out.sort();
    Ok(found.write(name, SQLITE))
}

fn start_of(text: &str, range: std::ops::Range<usize>) -> String {
    text.get(range).unwrap_or_default().trim_start_matches(['"', '\'', '`', '[']).to_lowercase()
}

/// A row of the catalog.
struct Object {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

fn look(session: &mut Session) -> Result<Found, Failure> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    // What has no text is the index of a constraint, which stands in its table's.
    let objects = session
        .run("select type, name, tbl_name, sql from sqlite_schema where sql is not null and name not like 'sqlite!_%' escape '!' order by name")?
        .rows
        .iter()
        .map(|row| match &row[..] {
            [kind, name, table, sql] => Object { kind: text(kind), name: text(name), table: text(table), sql: text(sql) },
            _ => Object { kind: String::new(), name: String::new(), table: String::new(), sql: String::new() },
        })
        .collect();
    let kinds = session
        .run("select name, type from pragma_table_list where schema = 'main'")?
        .rows
        .iter()
        .filter_map(|row| Some((row.first()?.clone()?, row.get(1)?.clone()?)))
        .collect();
    let there = session.value("select 1 from sqlite_schema where type = 'view' and name = 'crossfade_version'")?;
    let versions = match there {
        Some(_) => session.run("select old_version, new_version, phase from crossfade_version")?.rows.pop(),
        None => None,
    };
    let reader = Reader { objects, kinds, schema: Schema::default(), left_out: Vec::new(), named: HashMap::new() };
    Ok(reader.run(versions.as_deref()))
}

struct Reader {
    objects: Vec<Object>,
    /// What each table is: `table`, `virtual`, `shadow`.
    kinds: HashMap<String, String>,
    schema: Schema,
    left_out: Vec<LeftOut>,
    /// How many constraints without a name have got a name, by its beginning.
    named: HashMap<String, usize>,
}

/// A foreign key whose target is not looked up yet: columns that were not named are those of the target's key.
type Reference = (String, ForeignKey);

impl Reader {
    fn leave_out(&mut self, kind: &str, name: impl Into<String>) {
        self.left_out.push(LeftOut { kind: kind.to_owned(), name: name.into() });
    }

    fn run(mut self, versions: Option<&[Option<String>]>) -> Found {
        let (mut version, mut between) = (None, None);
        let mut suffixes = Vec::new();
        if let Some([old, Some(new), phase]) = versions {
            // After contract the new version is all there is; before, the tables still are the old version's.
            let settled = phase.as_deref() == Some("contract");
            version = Some(old.as_ref().filter(|_| !settled).unwrap_or(new).clone());
            between = old.clone().filter(|_| !settled).map(|old| (old, new.clone()));
            suffixes.extend(old.iter().chain([new]).map(|version| crate::dialect::sqlite::namespace_name("", version)));
        }
        let objects = std::mem::take(&mut self.objects);
        let own = |object: &&Object| {
            let of_namespace = object.kind == "view" && suffixes.iter().any(|suffix| object.name.ends_with(suffix.as_str()));
            let of_table = object.kind == "trigger" && object.name.contains("crossfade_");
            !(is_ours(&object.name) || of_namespace || of_table)
        };
        let objects: Vec<&Object> = objects.iter().filter(own).collect();
        let mut references = Vec::new();
        for object in objects.iter().filter(|object| object.kind == "table") {
            match self.kinds.get(&object.name).map(String::as_str) {
                Some("virtual") => self.leave_out("virtual tables", shown(&object.name)),
                Some("shadow") => self.leave_out("tables of virtual tables", shown(&object.name)),
                _ => {
                    if let Some(found) = self.table(object) {
                        references.extend(found);
                    } else {
                        self.leave_out("tables that can't be read", shown(&object.name));
                    }
                }
            }
        }
        self.references(references);
        for object in &objects {
            match object.kind.as_str() {
                "index" if !is_ours(&object.table) && self.index(object).is_none() => {
                    self.leave_out("indexes that can't be read", on(&object.name, &object.table));
                }
                "trigger" => self.leave_out("triggers", on(&object.name, &object.table)),
                "view" => self.view(object),
                _ => {}
            }
        }
        closing_views(&mut self.schema, &mut self.left_out, SQLITE);
        self.left_out.sort();
        self.left_out.dedup();
        Found { schema: self.schema, version, between, left_out: self.left_out, collations: std::collections::BTreeMap::new() }
    }

    /// A table, and its foreign keys.
    fn table(&mut self, object: &Object) -> Option<Vec<Reference>> {
        let all = tokens(&object.sql, SQLITE);
        let mut cursor = Cursor::new(&object.sql, &all, SQLITE);
        if !(cursor.eat("create table") || cursor.eat("create temp table") || cursor.eat("create temporary table")) {
            return None;
        }
        cursor.eat("if not exists");
        cursor.path()?;
        let body = cursor.group()?;
        for option in cursor.parts() {
            if option.is("strict") {
                self.leave_out("strict tables (read as ordinary ones)", shown(&object.name));
            } else if option.is("without rowid") {
                self.leave_out("tables without rowid (read as ordinary ones)", shown(&object.name));
            }
        }
        let mut table = Table::empty(&object.name, Span::default());
        let mut nullable = Vec::new();
        for mut part in body.parts() {
            // Rules of the table come last; commas between them may be missing.
            let is_rule = ["constraint", "primary key", "unique", "check", "foreign key"].iter().any(|words| part.is(words));
            if is_rule && !table.columns.is_empty() {
                self.rules(&mut table, None, &mut part)?;
                continue;
            }
            let name = part.name()?;
            let ty = part.until(|cursor| CLAUSES.iter().any(|words| cursor.is(words)));
            let ty = self.column_type(&object.name, &name, ty.text());
            let column = Column {
                name: name.clone(),
                ty,
                not_null: false,
                default: None,
                generated: None,
                identity: None,
                collation: None,
                comment: None,
                span: Span::default(),
            };
            table.columns.insert(name.clone(), column);
            self.rules(&mut table, Some(&name), &mut part)?;
        }
        // Names may be written in another case than where they are defined.
        let known: Vec<String> = table.columns.keys().cloned().collect();
        let meant = |name: &String| known.iter().find(|column| column.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.clone());
        let meant = |names: &mut Vec<String>| names.iter_mut().for_each(|name| *name = meant(name));
        table.primary_key.iter_mut().for_each(|key| meant(&mut key.columns));
        table.uniques.iter_mut().for_each(|unique| meant(&mut unique.columns));
        table.foreign_keys.iter_mut().for_each(|key| meant(&mut key.columns));
        let key: Vec<String> = table.primary_key.iter().flat_map(|key| key.columns.clone()).collect();
        for name in &key {
            let Some(column) = table.columns.get_mut(name) else { continue };
            let rowid = key.len() == 1 && column.ty.kind == TypeKind::Integer;
            if !column.not_null && !rowid {
                nullable.push(format!("{}.{}", shown(&object.name), shown(name)));
            }
            column.not_null = true;
        }
        for name in nullable {
            self.leave_out("columns of a primary key that may be NULL (read as NOT NULL)", name);
        }
        for column in table.columns.values_mut() {
            if column.not_null && column.default.as_ref().is_some_and(|default| default.text.eq_ignore_ascii_case("null")) {
                column.default = None;
            }
        }
        let references = std::mem::take(&mut table.foreign_keys).into_iter().map(|key| (object.name.clone(), key)).collect();
        self.schema.tables.insert(object.name.clone(), table);
        Some(references)
    }

    fn column_type(&mut self, table: &str, column: &str, text: &str) -> Type {
        let place = || format!("{}.{}", shown(table), shown(column));
        if text.is_empty() {
            self.leave_out("columns without a type (read as blob)", place());
            return Type { kind: TypeKind::Bytea, array_dimensions: 0 };
        }
        if let Ok(read) = types::read_own(text, SQLITE, &IndexMap::new()) {
            return read;
        }
        // https://www.sqlite.org/datatype3.html, "Determination Of Column Affinity"
        let word = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|part| word.contains(part));
        let kind = if word.contains("int") {
            TypeKind::Integer
        } else if has(&["char", "clob", "text"]) {
            TypeKind::Text
        } else if word.contains("blob") {
            TypeKind::Bytea
        } else if has(&["real", "floa", "doub"]) {
            TypeKind::Real
        } else {
            TypeKind::Numeric { precision: None, scale: None }
        };
        self.leave_out("types that nobody knows (read as what they store)", format!("{} {text}", place()));
        Type { kind, array_dimensions: 0 }
    }

    /// A name for a rule that has none, as the convention would give it.
    fn conventional(&mut self, base: &str, label: &str) -> String {
        let first = format!("{base}_{label}");
        let count = self.named.entry(first.to_lowercase()).or_default();
        *count += 1;
        let name = if *count == 1 { first } else { format!("{first}{}", *count - 1) };
        crate::snapshot::names::bounded(&name, SQLITE)
    }

    /// The rules behind a column, or between those of the table.
    fn rules(&mut self, table: &mut Table, column: Option<&str>, cursor: &mut Cursor<'_>) -> Option<()> {
        while !cursor.is_done() {
            let name = if cursor.eat("constraint") { Some(cursor.name()?) } else { None };
            // A name that no rule follows says nothing.
            if cursor.is_done() || (name.is_some() && cursor.is("constraint")) {
                continue;
            }
            let own = || column.map(|column| vec![column.to_owned()]);
            let place = column.map_or_else(|| shown(&table.name), |column| format!("{}.{}", shown(&table.name), shown(column)));
            if cursor.eat("primary key") {
                let columns = if column.is_some() { own()? } else { self.key_columns(cursor, &place)? };
                if cursor.eat("desc") {
                    self.leave_out("descending keys (read as ascending ones)", place.clone());
                }
                cursor.eat("asc");
                self.conflict(cursor, &place);
                if cursor.eat("autoincrement") {
                    let [only] = columns.as_slice() else { return None };
                    let column = table.columns.values_mut().find(|column| column.name.eq_ignore_ascii_case(only))?;
                    column.identity = Some(Identity::ByDefault);
                    column.not_null = true;
                }
                let name = match name {
                    Some(name) => given(&name),
                    None => unnamed(&crate::snapshot::names::bounded(&format!("{}_pkey", table.name), SQLITE)),
                };
                table.primary_key = Some(PrimaryKey { name, columns });
            } else if cursor.eat("unique") {
                let mut columns = if column.is_some() { own()? } else { self.key_columns(cursor, &place)? };
                let known = |name: &String| table.columns.keys().find(|column| column.eq_ignore_ascii_case(name)).cloned();
                columns.iter_mut().for_each(|name| *name = known(name).unwrap_or_default());
                self.conflict(cursor, &place);
                let base = [std::slice::from_ref(&table.name), &columns].concat().join("_");
                let name = name.map_or_else(|| unnamed(&self.conventional(&base, "key")), |name| given(&name));
                table.uniques.push(Unique {
                    name,
                    columns,
                    include: Vec::new(),
                    nulls_not_distinct: false,
                    deferrable: false,
                    initially_deferred: false,
                });
            } else if cursor.eat("check") {
                let text = cursor.group()?.text().to_owned();
                let base = column.map_or_else(|| table.name.clone(), |column| format!("{}_{column}", table.name));
                if check_expression(&text, SQLITE).is_err() {
                    self.leave_out("checks that can't be read", format!("{place}: {text}"));
                } else {
                    let name = name.map_or_else(|| unnamed(&self.conventional(&base, "check")), |name| given(&name));
                    table.checks.push(Check { name, expression: expr(&text) });
                }
                self.conflict(cursor, &place);
            } else if cursor.eat("foreign key") {
                let columns = cursor.names()?;
                self.reference(table, columns, name, cursor)?;
            } else if cursor.is("references") {
                self.reference(table, own()?, name, cursor)?;
            } else {
                let name = column?.to_owned();
                self.property(table, &name, cursor, &place)?;
            }
        }
        Some(())
    }

    /// What a column says of itself alone.
    fn property(&mut self, table: &mut Table, name: &str, cursor: &mut Cursor<'_>, place: &str) -> Option<()> {
        let column = table.columns.get_mut(name)?;
        if cursor.eat("not null") {
            column.not_null = true;
            self.conflict(cursor, place);
        } else if cursor.eat("null") {
            self.conflict(cursor, place);
        } else if cursor.eat("default") {
            let text = default_text(cursor)?;
            if check_expression(&text, SQLITE).is_err() {
                self.leave_out("defaults that can't be read", format!("{place}: {text}"));
            } else {
                column.default = Some(expr(&text));
            }
        } else if cursor.eat("collate") {
            column.collation = Some(cursor.name()?);
        } else if cursor.eat("generated always as") || cursor.eat("as") {
            let text = cursor.group()?.text().to_owned();
            let stored = cursor.eat("stored");
            cursor.eat("virtual");
            if check_expression(&text, SQLITE).is_err() {
                self.leave_out("generated columns that can't be read (read as plain ones)", format!("{place}: {text}"));
            } else {
                column.generated = Some(Generated { expression: expr(&text), stored });
            }
        } else {
            return None;
        }
        Some(())
    }

    fn conflict(&mut self, cursor: &mut Cursor<'_>, place: &str) {
        if cursor.eat("on conflict") {
            let word = cursor.word().unwrap_or_default().to_lowercase();
            if word != "abort" {
                self.leave_out("conflict clauses", format!("{place}: on conflict {word}"));
            }
        }
    }

    /// Columns of a key, which may have a collation and an order there.
    fn key_columns(&mut self, cursor: &mut Cursor<'_>, place: &str) -> Option<Vec<String>> {
        let mut columns = Vec::new();
        for mut part in cursor.group()?.parts() {
            columns.push(part.name()?);
            if part.eat("collate") {
                let collation = part.name()?;
                self.leave_out("collations of a key's columns", format!("{place}: {collation}"));
            }
            if part.eat("desc") {
                self.leave_out("descending keys (read as ascending ones)", place);
            }
            part.eat("asc");
            // AUTOINCREMENT may stand here, too.
            if !part.is_done() && !part.is("autoincrement") {
                return None;
            }
        }
        Some(columns)
    }

    fn reference(&mut self, table: &mut Table, columns: Vec<String>, name: Option<String>, cursor: &mut Cursor<'_>) -> Option<()> {
        if !cursor.eat("references") {
            return None;
        }
        let ref_table = cursor.name()?;
        let ref_columns = cursor.names().unwrap_or_default();
        let base = [std::slice::from_ref(&table.name), &columns].concat().join("_");
        let name = name.map_or_else(|| unnamed(&self.conventional(&base, "fkey")), |name| given(&name));
        let mut key = ForeignKey {
            name,
            columns,
            ref_table,
            ref_columns,
            on_delete: ReferentialAction::NoAction,
            on_update: ReferentialAction::NoAction,
            deferrable: false,
            initially_deferred: false,
            match_full: false,
        };
        loop {
            if cursor.eat("on delete") {
                key.on_delete = super::action_words(cursor)?;
            } else if cursor.eat("on update") {
                key.on_update = super::action_words(cursor)?;
            } else if cursor.eat("match") {
                // Parsed and ignored; https://www.sqlite.org/foreignkeys.html
                cursor.name()?;
            } else if cursor.eat("not deferrable") {
                let _ = cursor.eat("initially deferred") || cursor.eat("initially immediate");
            } else if cursor.eat("deferrable") {
                key.deferrable = true;
                key.initially_deferred = cursor.eat("initially deferred");
                cursor.eat("initially immediate");
            } else {
                break;
            }
        }
        table.foreign_keys.push(key);
        Some(())
    }

    /// Foreign keys, now that all tables are known.
    fn references(&mut self, references: Vec<Reference>) {
        for (name, mut key) in references {
            let there = self.schema.tables.values().find(|table| table.name.eq_ignore_ascii_case(&key.ref_table));
            let meant = there.map(|table| {
                let columns = match &table.primary_key {
                    Some(primary) if key.ref_columns.is_empty() => primary.columns.clone(),
                    _ => key.ref_columns.clone(),
                };
                let known = |name: &String| table.columns.keys().find(|column| column.eq_ignore_ascii_case(name)).cloned();
                (table.name.clone(), columns.iter().filter_map(known).collect::<Vec<_>>())
            });
            match meant {
                Some((target, columns)) if columns.len() == key.columns.len() => {
                    key.ref_table = target;
                    key.ref_columns = columns;
                    if let Some(table) = self.schema.tables.get_mut(&name) {
                        table.foreign_keys.push(key);
                    }
                }
                _ => self.leave_out("foreign keys to what is left out", on(&key.name.text, &name)),
            }
        }
    }

    fn index(&mut self, object: &Object) -> Option<()> {
        let all = tokens(&object.sql, SQLITE);
        let mut cursor = Cursor::new(&object.sql, &all, SQLITE);
        cursor.eat("create").then_some(())?;
        let unique = cursor.eat("unique");
        cursor.eat("index").then_some(())?;
        cursor.eat("if not exists");
        cursor.path()?;
        cursor.eat("on").then_some(())?;
        cursor.name()?;
        let body = cursor.group()?;
        let predicate = if cursor.eat("where") { Some(cursor.text()) } else { None };
        let table = self.schema.tables.get_mut(&object.table)?;
        let mut keys = Vec::new();
        for part in body.parts() {
            keys.push(index_key(part, table)?);
        }
        if predicate.is_some_and(|text| check_expression(text, SQLITE).is_err()) {
            return None;
        }
        let plain: Option<Vec<String>> = keys
            .iter()
            .map(|key| match &key.target {
                IndexTarget::Column(name) if !key.descending && key.collation.is_none() => Some(name.clone()),
                _ => None,
            })
            .collect();
        match plain {
            Some(columns) if unique && predicate.is_none() => table.uniques.push(Unique {
                name: given(&object.name),
                columns,
                include: Vec::new(),
                nulls_not_distinct: false,
                deferrable: false,
                initially_deferred: false,
            }),
            _ => table.indexes.push(Index {
                name: given(&object.name),
                keys,
                unique,
                nulls_not_distinct: false,
                method: "btree".to_owned(),
                predicate: predicate.map(expr),
                include: Vec::new(),
                with: Vec::new(),
                comment: None,
            }),
        }
        Some(())
    }

    fn view(&mut self, object: &Object) {
        let all = tokens(&object.sql, SQLITE);
        let mut cursor = Cursor::new(&object.sql, &all, SQLITE);
        let start = cursor.eat("create view") || cursor.eat("create temp view") || cursor.eat("create temporary view");
        cursor.eat("if not exists");
        if !start || cursor.path().is_none() {
            return self.leave_out("views that can't be read", shown(&object.name));
        }
        if cursor.group().is_some() {
            return self.leave_out("views with a list of columns", shown(&object.name));
        }
        cursor.eat("as");
        let text = cursor.text();
        if query_references(text, SQLITE).is_err() {
            return self.leave_out("views that can't be read", shown(&object.name));
        }
        let value = View { name: object.name.clone(), query: expr(text), materialized: false, comment: None, span: Span::default() };
        self.schema.views.insert(object.name.clone(), value);
    }
}

/// What may follow a column's type.
const CLAUSES: [&str; 12] = [
    "constraint",
    "primary key",
    "not null",
    "null",
    "unique",
    "check",
    "default",
    "collate",
    "references",
    "generated",
    "as",
    "on conflict",
];

/// A default: a literal with its sign, a word, or an expression in parentheses.
fn default_text(cursor: &mut Cursor<'_>) -> Option<String> {
    if let Some(inside) = cursor.group() {
        return Some(inside.text().to_owned());
    }
    let sign = if cursor.eat("-") { "-" } else { "" };
    cursor.eat("+");
    let start = *cursor;
    let token = cursor.take()?;
    Some(match &token.kind {
        // A name in quotes is a text here.
        Kind::Quoted(text) => literal(text, SQLITE),
        _ => {
            let mut one = start;
            let taken = one.until(|rest| rest.tokens().len() < start.tokens().len());
            format!("{sign}{}", taken.text())
        }
    })
}

fn index_key(mut part: Cursor<'_>, table: &Table) -> Option<IndexKey> {
    let words = part.tokens().len();
    let ends_with = |word: &str| words > 1 && part.nth_is(words - 1, word);
    let descending = ends_with("desc");
    let tail = usize::from(descending || ends_with("asc"));
    let has_collation = words > tail + 2 && part.nth_is(words - tail - 2, "collate");
    let body = words - tail - if has_collation { 2 } else { 0 };
    let total = words;
    let mut taken = part.until(|rest| rest.tokens().len() <= total - body);
    let collation = if part.eat("collate") { Some(part.name()?) } else { None };
    let whole = taken.text();
    let mut single = taken;
    let name = single.name().filter(|_| single.is_done());
    let column = name.and_then(|name| table.columns.values().find(|column| column.name.eq_ignore_ascii_case(&name)));
    let target = match column {
        Some(column) => IndexTarget::Column(column.name.clone()),
        None => {
            check_expression(whole, SQLITE).ok()?;
            taken.skip(taken.tokens().len());
            IndexTarget::Expression(expr(whole))
        }
    };
    // What the column compares by anyway says nothing.
    let own = column.map(|column| column.collation.clone().unwrap_or_else(|| "binary".to_owned()));
    let collation = collation.filter(|name| own.is_none_or(|own| !own.eq_ignore_ascii_case(name)));
    Some(IndexKey { target, descending, nulls: None::<Nulls>, collation, opclass: None, length: None })
}

fn shown(name: &str) -> String {
    ident(name, SQLITE)
}

fn on(name: &str, table: &str) -> String {
    format!("{} on {}", shown(name), shown(table))
}
