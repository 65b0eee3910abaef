//! MySQL and MariaDB: the statements that `show create` prints, as a [`Schema`]. A dump is made of the same statements, so that one
//! reader serves both.
//!
//! Source of the grammar: <https://dev.mysql.com/doc/refman/8.4/en/create-table.html>, <https://mariadb.com/kb/en/create-table/>.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;

use super::{Found, Inspected, LeftOut, action_words, closing_views, expr, given, is_ours, unread};
use crate::diagnostic::Span;
use crate::snapshot::model::{
    Check, Column, ForeignKey, Generated, Identity, Index, IndexKey, IndexTarget, PrimaryKey, ReferentialAction, Schema, Sequence, Table,
    Type, TypeKind, Unique, View,
};
use crate::snapshot::types;
use crate::sql::Dialect;
use crate::sql::expression::{check_expression, query_references, replace};
use crate::sql::quote::{ident, literal};
use crate::sql::tokens::{Cursor, Kind, tokens};

/// Reads a dump of the definitions, such as `mysqldump --no-data` and `mariadb-dump --no-data` write.
pub fn inspect_script(script: &str, dialect: Dialect, name: &str) -> Inspected {
    let mut reader = Reader::new(dialect);
    let all = tokens(script, dialect);
    for statement in Cursor::new(script, &all, dialect).statements() {
        reader.statement(statement);
    }
    reader.finish(None, None).write(name, dialect)
}

/// How many definitions are asked for at once.
#[cfg(feature = "mysql")]
const AT_ONCE: usize = 200;

/// Reads the database that a session is in. `name` is the version's, if the database does not know it.
///
/// # Errors
/// When the session is in no database, or the server refuses a query.
#[cfg(feature = "mysql")]
pub fn inspect(session: &mut crate::engine::mysql::Session, dialect: Dialect, name: &str) -> Result<Inspected, crate::engine::Failure> {
    use crate::engine::{Connection as _, Failure};

    if session.value("select database()")?.is_none() {
        let message = "the URL names no database: mysql://user@host/database".to_owned();
        return Err(Failure { code: None, message, detail: None, hint: None, context: None });
    }
    let is_mariadb = session.value("select version()")?.is_some_and(|version| version.contains("MariaDB"));
    if is_mariadb != (dialect == Dialect::Mariadb) {
        let (is, scheme) = if is_mariadb { (Dialect::Mariadb, "mariadb") } else { (Dialect::Mysql, "mysql") };
        let message = format!("the server is {}: its URL begins with {scheme}://", types::product(is));
        return Err(Failure { code: None, message, detail: None, hint: None, context: None });
    }
    // One way of printing, whatever the server has set.
    session.run("set session sql_mode = '', sql_quote_show_create = 1, time_zone = '+00:00'")?;
    let mut rows = |query: &str| -> Result<Vec<Vec<String>>, Failure> {
        let rows = session.run(query)?.rows;
        Ok(rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
    };
    let relations =
        rows("select table_name, table_type from information_schema.tables where table_schema = database() order by table_name")?;
    let mut reader = Reader::new(dialect);
    for row in rows(LEFT_OUT)? {
        if let [kind, name] = &row[..] {
            reader.leave_out_foreign(kind, name);
        }
    }
    let version = relations.iter().any(|row| row.first().is_some_and(|name| name == "crossfade_version"));
    let versions = if version { rows("select old_version, new_version, phase from crossfade_version")?.pop() } else { None };
    let wanted: Vec<String> = relations
        .iter()
        .filter_map(|row| match &row[..] {
            [name, kind] if !is_ours(name) => {
                let word = match kind.as_str() {
                    "VIEW" => "view",
                    "SEQUENCE" => "sequence",
                    _ => "table",
                };
                Some(format!("show create {word} {}", ident(name, dialect)))
            }
            _ => None,
        })
        .collect();
    for batch in wanted.chunks(AT_ONCE) {
        let answers = match session.run_all(batch) {
            Ok(answers) => answers,
            // One of them is refused, as that of a view which is no longer valid is: it is found one by one.
            Err(_) => batch.iter().map(|statement| session.run(statement).unwrap_or_default()).collect(),
        };
        for (asked, answer) in batch.iter().zip(answers) {
            let text = answer.rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
            match text {
                Some(text) => {
                    let all = tokens(&text, dialect);
                    reader.statement(Cursor::new(&text, &all, dialect));
                }
                None => reader.leave_out("what the server can't show", asked.trim_start_matches("show create ")),
            }
        }
    }
    let mut version = None;
    let mut between = None;
    if let Some([old, new, phase]) = versions.as_deref() {
        // After contract the new version is all there is; before, the tables still are the old version's.
        let settled = phase == "contract" || old.is_empty();
        version = Some(if settled { new } else { old }.clone());
        between = (!settled).then(|| (old.clone(), new.clone()));
    }
    Ok(reader.finish(version, between).write(name, dialect))
}

/// What the definitions of tables and views don't tell.
#[cfg(feature = "mysql")]
const LEFT_OUT: &str = "
select 'triggers', concat(trigger_name, char(10), event_object_table) from information_schema.triggers where trigger_schema = database()
union all
select concat(lower(routine_type), 's'), routine_name from information_schema.routines where routine_schema = database()
union all
select 'events', event_name from information_schema.events where event_schema = database()
union all
select distinct 'grants', concat(table_name, char(10), grantee) from information_schema.table_privileges where table_schema = database()
union all
select distinct 'grants', concat(table_name, '.', column_name, char(10), grantee) from information_schema.column_privileges where table_schema = database()
";

struct Reader {
    dialect: Dialect,
    schema: Schema,
    left_out: Vec<LeftOut>,
    /// The collation of each table, for those that are not as the others.
    collations: BTreeMap<String, String>,
    /// Foreign keys with their tables: what they refer to may be defined later.
    foreign_keys: Vec<(String, ForeignKey)>,
    /// Those without a name of their own, which no server prints: by the one that it gets.
    unnamed: HashSet<String>,
}

impl Reader {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            schema: Schema::default(),
            left_out: Vec::new(),
            collations: BTreeMap::new(),
            foreign_keys: Vec::new(),
            unnamed: HashSet::new(),
        }
    }

    fn leave_out(&mut self, kind: &str, name: impl Into<String>) {
        self.left_out.push(LeftOut { kind: kind.to_owned(), name: name.into() });
    }

    fn shown(&self, name: &str) -> String {
        ident(name, self.dialect)
    }

    /// An object that no definition of a table shows; `name` may be followed by what it stands on, in a line of its own.
    fn leave_out_foreign(&mut self, kind: &str, name: &str) {
        let (name, on) = name.split_once('\n').map_or((name, None), |(name, on)| (name, Some(on)));
        if name.contains("crossfade_") {
            return;
        }
        let shown = match on {
            // The name has its table before it.
            _ if kind == "grants" => format!("{name} to {}", on.unwrap_or_default()),
            Some(on) => format!("{} on {}", self.shown(name), self.shown(on)),
            None => self.shown(name),
        };
        self.leave_out(kind, shown);
    }

    /// One statement of a dump, or one that the server shows.
    fn statement(&mut self, statement: Cursor<'_>) {
        let mut cursor = statement;
        const NOTHING: [&str; 18] = [
            "set",
            "use",
            "lock",
            "unlock",
            "insert",
            "replace",
            "commit",
            "start transaction",
            "begin",
            "create database",
            "create schema",
            "alter database",
            "alter schema",
            "do setval",
            "select setval",
            "flush",
            "delete",
            "analyze",
        ];
        if NOTHING.iter().any(|words| statement.is(words)) {
            return;
        }
        if cursor.eat("drop") {
            const OBJECTS: [&str; 7] = ["table", "view", "sequence", "trigger", "function", "procedure", "event"];
            let _ = OBJECTS.iter().any(|word| cursor.eat(word));
            cursor.eat("if exists");
            if let Some((None, name)) = cursor.path()
                && cursor.is_done()
            {
                self.forget(&name);
                return;
            }
        } else if cursor.eat("alter table") {
            let keys = |cursor: &Cursor<'_>| cursor.is("disable keys") || cursor.is("enable keys");
            if cursor.path().is_some() && keys(&cursor) {
                return;
            }
        } else if cursor.eat("create") {
            cursor.eat("or replace");
            if ["unique index", "fulltext index", "spatial index", "index"].iter().any(|words| cursor.is(words))
                && self.later_index(cursor).is_some()
            {
                return;
            }
            let mut head = cursor;
            // `algorithm = … definer = … sql security …`
            const OBJECTS: [&str; 10] =
                ["table", "view", "sequence", "trigger", "function", "procedure", "event", "temporary", "aggregate", "package"];
            let before = head.until(|rest| OBJECTS.iter().any(|word| rest.is(word)));
            let word = head.word().unwrap_or_default().to_lowercase();
            head.eat("if not exists");
            if let Some((None, name)) = head.path() {
                let done = match word.as_str() {
                    _ if is_ours(&name) || name.contains("crossfade_") => Some(()),
                    "table" => self.table(&name, head),
                    "view" => self.view(&name, before, head),
                    "sequence" => self.sequence(&name, head),
                    "trigger" => {
                        let mut on = head;
                        on.until(|rest| rest.is("on"));
                        on.eat("on");
                        on.name().map(|table| self.leave_out_foreign("triggers", &format!("{name}\n{table}")))
                    }
                    "function" | "procedure" | "event" | "package" => {
                        self.leave_out_foreign(&format!("{word}s"), &name);
                        Some(())
                    }
                    _ => None,
                };
                if done.is_some() {
                    return;
                }
            }
        }
        self.left_out.push(unread(statement.line(), statement.text()));
    }

    fn forget(&mut self, name: &str) {
        self.schema.tables.shift_remove(name);
        self.schema.views.shift_remove(name);
        self.schema.sequences.shift_remove(name);
        self.foreign_keys.retain(|(table, _)| table != name);
        self.collations.remove(name);
        let (of, own) = (format!("{}.", self.shown(name)), self.shown(name));
        self.left_out.retain(|left| left.kind == "triggers" || !(left.name == own || left.name.starts_with(&of)));
    }

    // --- tables ---

    fn table(&mut self, name: &str, mut cursor: Cursor<'_>) -> Option<()> {
        self.forget(name);
        let body = cursor.group()?;
        let mut table = Table::empty(name, Span::default());
        for part in body.parts() {
            let quoted = matches!(part.tokens().first().map(|token| &token.kind), Some(Kind::Quoted(_)));
            let read = if quoted || !RULES.iter().any(|words| part.is(words)) {
                self.column(&mut table, part)
            } else {
                self.rule(&mut table, part)
            };
            read?;
        }
        self.options(&mut table, cursor);
        // The server makes an index for a foreign key that none of the others serves, and calls it after the key.
        let keys: HashSet<(&str, &[String])> = self
            .foreign_keys
            .iter()
            .filter(|(of, _)| of == name)
            .map(|(_, key)| (key.name.text.as_str(), key.columns.as_slice()))
            .collect();
        table.indexes.retain(|index| {
            let columns: Vec<String> = index
                .keys
                .iter()
                .filter_map(|key| match &key.target {
                    IndexTarget::Column(name) => Some(name.clone()),
                    IndexTarget::Expression(_) => None,
                })
                .collect();
            index.unique || columns.len() != index.keys.len() || !keys.contains(&(index.name.text.as_str(), columns.as_slice()))
        });
        self.schema.tables.insert(name.to_owned(), table);
        Some(())
    }

    fn column(&mut self, table: &mut Table, mut part: Cursor<'_>) -> Option<()> {
        let name = part.name()?;
        let place = format!("{}.{}", self.shown(&table.name), self.shown(&name));
        let ty = part.until(|rest| CLAUSES.iter().any(|words| rest.is(words))).text();
        let mut column = Column {
            name: name.clone(),
            ty: self.column_type(ty)?,
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            collation: None,
            comment: None,
            span: Span::default(),
        };
        while !part.is_done() {
            if part.eat("character set") || part.eat("charset") {
                let charset = part.name()?;
                // One of its own for the same text, and the one that JSON and long names have anyway.
                if !matches!(charset.as_str(), "utf8mb4") {
                    self.leave_out("character sets", format!("{place} ({charset})"));
                }
            } else if part.eat("collate") {
                column.collation = Some(part.name()?);
            } else if part.eat("not null") {
                column.not_null = true;
            } else if part.eat("null") || part.eat("visible") {
            } else if part.eat("default") {
                column.default = self.default(&column.ty, &mut part)?.map(|text| expr(&text));
                if let Some(default) = column.default.take_if(|default| check_expression(&default.text, self.dialect).is_err()) {
                    self.leave_out("defaults that can't be read", format!("{place}: {}", default.text));
                }
            } else if part.eat("on update") {
                part.until(|rest| CLAUSES.iter().any(|words| rest.is(words)));
                self.leave_out("columns that change by themselves (on update)", place.clone());
            } else if part.eat("auto_increment") {
                column.identity = Some(Identity::ByDefault);
                column.not_null = true;
            } else if part.eat("generated always as row start") || part.eat("generated always as row end") {
                self.leave_out("columns of periods", place);
                return Some(());
            } else if part.eat("generated always as") || part.eat("as") {
                let text = self.expression(part.group()?);
                let stored = part.eat("stored") || part.eat("persistent");
                part.eat("virtual");
                if check_expression(&text, self.dialect).is_err() {
                    self.leave_out("generated columns that can't be read (read as plain ones)", format!("{place}: {text}"));
                } else {
                    column.generated = Some(Generated { expression: expr(&text), stored });
                }
            } else if part.eat("primary key") || part.eat("key") {
                column.not_null = true;
                table.primary_key = Some(self.primary_key(&table.name, vec![name.clone()]));
            } else if part.eat("unique") {
                part.eat("key");
                let unique = unique(&free_name(table, &name), vec![name.clone()]);
                table.uniques.push(unique);
            } else if part.eat("references") {
                part.until(|rest| CLAUSES.iter().any(|words| !words.starts_with("on ") && rest.is(words)));
                self.leave_out("foreign keys at a column (not every version of the server keeps them)", place.clone());
            } else if part.eat("comment") {
                column.comment = Some(part.string()?);
            } else if part.eat("invisible") {
                self.leave_out("invisible columns (read as visible ones)", place.clone());
            } else if part.eat("check") {
                let text = part.group()?.text().to_owned();
                // How MariaDB keeps JSON: a text with this rule.
                if text.to_lowercase().starts_with("json_valid(") && column.ty.kind == TypeKind::Text {
                    column.ty.kind = TypeKind::Json;
                    column.collation = None;
                } else {
                    self.leave_out("checks of a column", format!("{place}: {text}"));
                }
            } else if part.eat("srid") {
                self.leave_out("spatial references", format!("{place} ({})", part.word()?));
            } else if part.eat("without system versioning") || part.eat("with system versioning") || part.eat("compressed") {
                self.leave_out("options of columns", place.clone());
            } else if part.eat("column_format") || part.eat("storage") || part.eat("engine_attribute") {
                part.eat("=");
                part.take();
                self.leave_out("options of columns", place.clone());
            } else {
                return None;
            }
        }
        table.columns.insert(name, column);
        Some(())
    }

    fn column_type(&self, text: &str) -> Option<Type> {
        let mut text = text.to_owned();
        // MariaDB prints how wide a number is shown, which says nothing of its values; `tinyint(1)` stands for a boolean.
        let lower = text.to_lowercase();
        if ["smallint", "mediumint", "int", "bigint", "tinyint"].iter().any(|word| lower.starts_with(&format!("{word}(")))
            && !lower.ends_with("tinyint(1)")
            && !lower.contains("zerofill")
        {
            let (before, rest) = text.split_once('(')?;
            text = format!("{before}{}", rest.split_once(')')?.1);
        }
        types::read_own(&text, self.dialect, &IndexMap::new()).ok()
    }

    /// A default; `None` inside for NULL, which every column without one has.
    fn default(&self, ty: &Type, part: &mut Cursor<'_>) -> Option<Option<String>> {
        let mut value = part.until(|rest| CLAUSES.iter().any(|words| *words != "null" && rest.is(words)));
        if value.is_done() {
            return None;
        }
        if value.is("null") && value.tokens().len() == 1 {
            return Some(None);
        }
        let whole = self.expression(value);
        // Numbers come in quotes.
        if let Some(text) = value.string()
            && value.is_done()
        {
            let number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e' | '+'));
            let of_numbers = matches!(types::family(ty), Some(types::Family::Integer | types::Family::Number));
            return Some(Some(match (&ty.kind, text.as_str()) {
                (TypeKind::Boolean, "0") => "false".to_owned(),
                (TypeKind::Boolean, "1") => "true".to_owned(),
                _ if number && of_numbers => text,
                _ => literal(&text, self.dialect),
            }));
        }
        Some(Some(match (&ty.kind, whole.as_str()) {
            (TypeKind::Boolean, "0") => "false".to_owned(),
            (TypeKind::Boolean, "1") => "true".to_owned(),
            _ => whole,
        }))
    }

    /// An expression as it was written: the server adds the character set of the connection to a cast.
    fn expression(&self, cursor: Cursor<'_>) -> String {
        let mut edits = Vec::new();
        let text = cursor.text();
        let start = cursor.tokens().first().map_or(0, |token| token.range.start);
        for (at, token) in cursor.tokens().iter().enumerate() {
            let mut here = cursor;
            here.skip(at + 1);
            if (here.is("charset utf8mb4") || here.is("charset utf8mb3"))
                && let Some(name) = cursor.tokens().get(at + 2)
            {
                edits.push((token.range.end - start..name.range.end - start, String::new()));
            }
        }
        replace(text, &edits)
    }

    fn rule(&mut self, table: &mut Table, mut part: Cursor<'_>) -> Option<()> {
        let place = self.shown(&table.name);
        let unnamed = ["primary key", "unique", "foreign key", "check"];
        let name = if part.eat("constraint") && !unnamed.iter().any(|words| part.is(words)) { Some(part.name()?) } else { None };
        if part.eat("primary key") {
            let keys = self.keys(table, &mut part)?;
            let columns = plain(&keys);
            let Some(columns) = columns else {
                self.leave_out("primary keys over parts of a text", place);
                return Some(());
            };
            for column in &columns {
                table.columns.get_mut(column)?.not_null = true;
            }
            table.primary_key = Some(self.primary_key(&table.name, columns));
        } else if part.eat("foreign key") {
            let name = match name {
                Some(name) => name,
                None => match part.name() {
                    Some(name) => name,
                    // As the server calls it.
                    None => {
                        let stem = format!("{}_ibfk_", table.name);
                        let of_stem =
                            self.foreign_keys.iter().filter_map(|(_, key)| key.name.text.strip_prefix(&stem)?.parse::<u32>().ok());
                        let name = format!("{stem}{}", of_stem.max().unwrap_or(0) + 1);
                        self.unnamed.insert(name.clone());
                        name
                    }
                },
            };
            let on = format!("{} on {place}", self.shown(&name));
            let columns = part.names()?;
            part.eat("references").then_some(())?;
            let (schema, ref_table) = part.path()?;
            let mut key = ForeignKey {
                name: given(&name),
                columns,
                ref_table,
                ref_columns: part.names()?,
                on_delete: ReferentialAction::NoAction,
                on_update: ReferentialAction::NoAction,
                deferrable: false,
                initially_deferred: false,
                match_full: false,
            };
            while !part.is_done() {
                if part.eat("on delete") {
                    key.on_delete = action_words(&mut part)?;
                } else if part.eat("on update") {
                    key.on_update = action_words(&mut part)?;
                } else {
                    return None;
                }
            }
            if schema.is_some() {
                self.leave_out("foreign keys to what is left out", on);
            } else {
                self.foreign_keys.push((table.name.clone(), key));
            }
        } else if part.eat("check") {
            let text = self.expression(part.group()?);
            let name = name.unwrap_or_else(|| format!("{}_chk_{}", table.name, table.checks.len() + 1));
            let on = format!("{} on {place}", self.shown(&name));
            if part.eat("not enforced") {
                self.leave_out("rules that are not enforced", on);
            } else if check_expression(&text, self.dialect).is_err() {
                self.leave_out("checks that can't be read", format!("{on}: {text}"));
            } else {
                table.checks.push(Check { name: given(&name), expression: expr(&text) });
            }
        } else if part.eat("period") {
            self.leave_out("periods", place);
        } else {
            return self.index(table, part);
        }
        Some(())
    }

    fn keys(&mut self, table: &Table, part: &mut Cursor<'_>) -> Option<Vec<IndexKey>> {
        let mut keys = Vec::new();
        for mut key in part.group()?.parts() {
            let target = match key.group() {
                Some(inside) => {
                    let text = self.expression(inside);
                    check_expression(&text, self.dialect).ok()?;
                    IndexTarget::Expression(expr(&text))
                }
                None => {
                    let name = key.name()?;
                    table.columns.contains_key(&name).then_some(())?;
                    IndexTarget::Column(name)
                }
            };
            let length = key.group().and_then(|mut inside| inside.number()).and_then(|length| u32::try_from(length).ok());
            let descending = key.eat("desc");
            key.eat("asc");
            key.is_done().then_some(())?;
            keys.push(IndexKey { target, descending, nulls: None, collation: None, opclass: None, length });
        }
        Some(keys)
    }

    fn index(&mut self, table: &mut Table, mut part: Cursor<'_>) -> Option<()> {
        let unique = part.eat("unique");
        let mut method = match () {
            () if part.eat("fulltext") => "fulltext",
            () if part.eat("spatial") => "spatial",
            () => "btree",
        };
        let _ = part.eat("key") || part.eat("index");
        let name = part.name();
        if part.eat("using hash") {
            method = "hash";
        }
        part.eat("using btree");
        let name = match name {
            Some(name) => name,
            // The server calls it after its first column.
            None => free_name(table, &{ part }.group()?.name()?),
        };
        self.index_over(table, unique, method, &name, part);
        Some(())
    }

    /// `create index`, behind the word `create`.
    fn later_index(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let unique = cursor.eat("unique");
        let mut method = match () {
            () if cursor.eat("fulltext") => "fulltext",
            () if cursor.eat("spatial") => "spatial",
            () => "btree",
        };
        cursor.eat("index").then_some(())?;
        cursor.eat("if not exists");
        let name = cursor.name()?;
        if cursor.eat("using hash") {
            method = "hash";
        }
        cursor.eat("using btree");
        cursor.eat("on").then_some(())?;
        let (None, table) = cursor.path()? else { return None };
        let mut table = self.schema.tables.get(&table)?.clone();
        self.index_over(&mut table, unique, method, &name, cursor);
        self.schema.tables.insert(table.name.clone(), table);
        Some(())
    }

    fn primary_key(&self, table: &str, columns: Vec<String>) -> PrimaryKey {
        let name = crate::snapshot::names::bounded(&format!("{table}_pkey"), self.dialect);
        PrimaryKey { name: super::unnamed(&name), columns }
    }

    /// An index, from its columns on.
    fn index_over(&mut self, table: &mut Table, unique: bool, method: &str, name: &str, mut part: Cursor<'_>) {
        let mut method = method;
        let on = format!("{} on {}", self.shown(name), self.shown(&table.name));
        let Some(mut keys) = self.keys(table, &mut part) else {
            self.leave_out("indexes that can't be read", on);
            return;
        };
        if method == "spatial" {
            // Of the server's own making: https://dev.mysql.com/doc/refman/8.4/en/create-index.html
            keys.iter_mut().for_each(|key| key.length = None);
        }
        let mut comment = None;
        while !part.is_done() {
            if part.eat("using hash") {
                method = "hash";
            } else if part.eat("using btree") || part.eat("visible") || part.eat("not ignored") {
            } else if part.eat("comment") {
                comment = part.string();
            } else if part.eat("invisible") || part.eat("ignored") {
                self.leave_out("invisible indexes (read as visible ones)", on.clone());
            } else if part.eat("with parser") {
                let parser = part.name().unwrap_or_default();
                self.leave_out("parsers of full-text indexes", format!("{on} ({parser})"));
            } else {
                part.take();
                self.leave_out("options of indexes", on.clone());
            }
        }
        match plain(&keys) {
            Some(columns) if unique && comment.is_none() && method == "btree" => table.uniques.push(self::unique(name, columns)),
            _ => table.indexes.push(Index {
                name: given(name),
                keys,
                unique,
                nulls_not_distinct: false,
                method: method.to_owned(),
                predicate: None,
                include: Vec::new(),
                with: Vec::new(),
                comment,
            }),
        }
    }

    /// What stands behind the columns.
    fn options(&mut self, table: &mut Table, mut cursor: Cursor<'_>) {
        let place = self.shown(&table.name);
        while !cursor.is_done() {
            if cursor.eat("partition by") {
                self.leave_out("partitions (read as one table)", place);
                return;
            }
            if cursor.eat("with system versioning") {
                self.leave_out("system-versioned tables (read as ordinary ones)", place.clone());
                continue;
            }
            if cursor.eat(",") {
                continue;
            }
            cursor.eat("default");
            let option = if cursor.eat("character set") { "charset".to_owned() } else { cursor.word().unwrap_or_default().to_lowercase() };
            cursor.eat("=");
            let start = cursor;
            let value = match cursor.take().map(|token| &token.kind) {
                Some(Kind::Quoted(text) | Kind::Text(text)) => text.clone(),
                _ => {
                    let mut one = start;
                    one.until(|rest| rest.tokens().len() < start.tokens().len()).text().to_owned()
                }
            };
            match option.as_str() {
                "engine" if value.eq_ignore_ascii_case("innodb") => {}
                "engine" => self.leave_out("storage engines", format!("{place} ({value})")),
                "auto_increment" => {}
                "charset" if value == "utf8mb4" => {}
                "charset" => self.leave_out("character sets", format!("{place} ({value})")),
                "collate" => drop(self.collations.insert(table.name.clone(), value)),
                "comment" => table.comment = Some(value),
                "" => {}
                option => self.leave_out("options of tables", format!("{place} ({option}={value})")),
            }
        }
    }

    // --- views and sequences ---

    fn view(&mut self, name: &str, before: Cursor<'_>, mut cursor: Cursor<'_>) -> Option<()> {
        self.forget(name);
        let shown = self.shown(name);
        let mut options = before;
        options.until(|rest| rest.is("sql security"));
        if !options.is("sql security invoker") {
            self.leave_out("views with the rights of their definer (read as views)", shown.clone());
        }
        let mut algorithm = before;
        algorithm.until(|rest| rest.is("algorithm ="));
        if algorithm.eat("algorithm =") && !algorithm.is("undefined") {
            self.leave_out("algorithms of views", format!("{shown} ({})", algorithm.word().unwrap_or_default().to_lowercase()));
        }
        if cursor.group().is_some() {
            self.leave_out("views with a list of columns", shown);
            return Some(());
        }
        cursor.eat("as").then_some(())?;
        let mut tail = cursor;
        let query =
            tail.until(|rest| rest.is("with cascaded check option") || rest.is("with local check option") || rest.is("with check option"));
        if !tail.is_done() {
            self.leave_out("check options of views", shown.clone());
        }
        let text = &self.expression(query);
        if query_references(text, self.dialect).is_err() {
            self.leave_out("views that can't be read", shown);
            return Some(());
        }
        let value = View { name: name.to_owned(), query: expr(text), materialized: false, comment: None, span: Span::default() };
        self.schema.views.insert(name.to_owned(), value);
        Some(())
    }

    fn sequence(&mut self, name: &str, mut cursor: Cursor<'_>) -> Option<()> {
        self.forget(name);
        let mut found = Sequence {
            name: name.to_owned(),
            start: None,
            increment: None,
            min_value: None,
            max_value: None,
            cache: None,
            cycle: false,
            comment: None,
            span: Span::default(),
        };
        while !cursor.is_done() {
            if cursor.eat("start with") || cursor.eat("start") {
                found.start = cursor.number();
            } else if cursor.eat("minvalue") {
                found.min_value = cursor.number();
            } else if cursor.eat("maxvalue") {
                found.max_value = cursor.number();
            } else if cursor.eat("increment by") || cursor.eat("increment") {
                found.increment = cursor.number();
            } else if cursor.eat("cache") {
                found.cache = cursor.number();
            } else if cursor.eat("nocycle") || cursor.eat("nocache") {
            } else if cursor.eat("cycle") {
                found.cycle = true;
            } else if cursor.eat("engine") {
                cursor.eat("=");
                cursor.take();
            } else if cursor.eat("comment") {
                cursor.eat("=");
                found.comment = cursor.string();
            } else if cursor.eat("as") {
                let ty = cursor.word()?.to_owned();
                let shown = self.shown(name);
                self.leave_out("types of sequences", format!("{shown} ({ty})"));
                cursor.eat("unsigned");
            } else {
                return None;
            }
        }
        // What the server takes by itself: https://mariadb.com/kb/en/create-sequence/
        let down = found.increment.is_some_and(|increment| increment < 0);
        let (low, high) = if down { (i64::MIN + 1, -1) } else { (1, i64::MAX - 1) };
        found.min_value = found.min_value.filter(|value| *value != low);
        found.max_value = found.max_value.filter(|value| *value != high);
        let first = if down { found.max_value.unwrap_or(high) } else { found.min_value.unwrap_or(low) };
        found.start = found.start.filter(|value| *value != first);
        found.increment = found.increment.filter(|value| *value != 1);
        found.cache = found.cache.filter(|value| *value != 1000);
        self.schema.sequences.insert(name.to_owned(), found);
        Some(())
    }

    fn finish(mut self, version: Option<String>, between: Option<(String, String)>) -> Found {
        for (name, key) in std::mem::take(&mut self.foreign_keys) {
            let on = format!("{} on {}", self.shown(&key.name.text), self.shown(&name));
            let there = self.schema.tables.get(&key.ref_table).is_some_and(|table| {
                let mut wanted = key.ref_columns.clone();
                wanted.sort();
                let keys = table.primary_key.iter().map(|key| &key.columns).chain(table.uniques.iter().map(|unique| &unique.columns));
                keys.map(|columns| {
                    let mut columns = columns.clone();
                    columns.sort();
                    columns
                })
                .any(|columns| columns == wanted)
            });
            match self.schema.tables.get_mut(&name) {
                Some(table) if there => {
                    // The index that the server makes for it, unless another one serves, is called after its first column.
                    if self.unnamed.contains(&key.name.text) && !serves(table, &key.columns) {
                        let name = key.columns.first().map(|column| free_name(table, column)).unwrap_or_default();
                        table.indexes.push(Index::of_columns(given(&name), key.columns.clone()));
                    }
                    table.foreign_keys.push(key);
                }
                Some(_) => self.leave_out("foreign keys to what is left out, or is not unique", on),
                None => {}
            }
        }
        // One that most tables have is that of the database.
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for collation in self.collations.values() {
            *counts.entry(collation).or_default() += 1;
        }
        let usual = counts.iter().max_by_key(|(_, count)| **count).map(|(name, _)| (*name).to_owned());
        let odd: Vec<String> = self
            .collations
            .iter()
            .filter(|(_, collation)| Some(*collation) != usual.as_ref())
            .map(|(table, collation)| format!("{} ({collation})", self.shown(table)))
            .collect();
        odd.into_iter().for_each(|name| self.leave_out("collations of tables", name));
        self.schema.tables.sort_keys();
        self.schema.views.sort_keys();
        self.schema.sequences.sort_keys();
        closing_views(&mut self.schema, &mut self.left_out, self.dialect);
        self.left_out.sort();
        self.left_out.dedup();
        Found { schema: self.schema, version, between, left_out: self.left_out, collations: self.collations }
    }
}

/// Whether a key or an index of a table begins with these columns.
fn serves(table: &Table, columns: &[String]) -> bool {
    let indexes = table.indexes.iter().filter(|index| index.method == "btree").map(|index| {
        let names = index.keys.iter().map_while(|key| match &key.target {
            IndexTarget::Column(name) if key.length.is_none() => Some(name.clone()),
            _ => None,
        });
        names.collect::<Vec<String>>()
    });
    let keys = table.primary_key.iter().map(|key| key.columns.clone());
    keys.chain(table.uniques.iter().map(|unique| unique.columns.clone())).chain(indexes).any(|key| key.starts_with(columns))
}

fn unique(name: &str, columns: Vec<String>) -> Unique {
    Unique { name: given(name), columns, include: Vec::new(), nulls_not_distinct: false, deferrable: false, initially_deferred: false }
}

/// The name that the server gives to an index without one: that of its first column, with a number where it is taken.
fn free_name(table: &Table, column: &str) -> String {
    let is_taken = |name: &str| {
        let names = table.uniques.iter().map(|unique| &unique.name).chain(table.indexes.iter().map(|index| &index.name));
        name.eq_ignore_ascii_case("primary") || names.into_iter().any(|taken| taken.text.eq_ignore_ascii_case(name))
    };
    let numbered = (2..).map(|number| format!("{column}_{number}"));
    std::iter::once(column.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// Columns that are a key as a whole, in ascending order.
fn plain(keys: &[IndexKey]) -> Option<Vec<String>> {
    keys.iter()
        .map(|key| match &key.target {
            IndexTarget::Column(name) if !key.descending && key.length.is_none() => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// What begins a part of a table that is no column; a name that is one of these words stands in quotes.
const RULES: [&str; 10] = ["constraint", "primary key", "foreign key", "unique", "key", "index", "fulltext", "spatial", "period", "check"];

/// What may follow a column's type.
const CLAUSES: [&str; 27] = [
    "character set",
    "charset",
    "collate",
    "not null",
    "null",
    "default",
    "on update",
    "auto_increment",
    "generated",
    "as",
    "comment",
    "invisible",
    "visible",
    "check",
    "srid",
    "with",
    "without",
    "column_format",
    "storage",
    "engine_attribute",
    "compressed",
    "virtual",
    "stored",
    "primary key",
    "unique",
    "key",
    "references",
];
