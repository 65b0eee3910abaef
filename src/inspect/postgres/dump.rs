//! What `pg_dump --schema-only` writes, as the rows that the catalog of a server would give which loaded it. From there on both go
//! the same way.
//!
//! A dump is written with an empty search path, so that every name of the schema is qualified; a server prints them bare for a
//! search path of that schema, and so they are here.

use std::collections::{BTreeSet, HashMap};

use super::Rows;
use super::catalog::{self, Oid};
use crate::inspect::{Inspected, LeftOut, unread};
use crate::sql::Dialect;
use crate::sql::expression::{query_references, replace};
use crate::sql::quote::{ident, literal};
use crate::sql::tokens::{Cursor, Kind, tokens};

/// Reads the schema `schema` of a dump, whose version is called `name`.
pub fn inspect_script(script: &str, schema: &str, name: &str) -> Inspected {
    let all = tokens(script, Dialect::Postgres);
    let mut dump = Dump { schema: schema.to_owned(), ..Dump::default() };
    for statement in Cursor::new(script, &all, Dialect::Postgres).statements() {
        if dump.statement(statement).is_none() {
            dump.left_out.push(unread(statement.line(), statement.text()));
        }
    }
    let rows = dump.finish();
    super::Reader::new(&rows, schema).run().write(name, Dialect::Postgres)
}

/// What was read so far. Oids are numbers of its own.
#[derive(Default)]
struct Dump {
    schema: String,
    last: Oid,
    relations: Vec<catalog::Relation>,
    columns: Vec<catalog::Column>,
    constraints: Vec<catalog::Constraint>,
    indexes: Vec<catalog::Index>,
    collations: Vec<catalog::Collation>,
    enums: Vec<catalog::Enum>,
    sequences: Vec<catalog::Sequence>,
    extensions: Vec<catalog::Extension>,
    left_out: Vec<LeftOut>,
    others: BTreeSet<String>,
    /// Foreign keys whose target may come later: their place, the target and its columns.
    targets: Vec<(usize, String, Vec<String>)>,
}

/// An object's name, if it lies in the schema that is read.
enum Place {
    Here(String),
    Elsewhere,
}

fn shown(name: &str) -> String {
    ident(name, Dialect::Postgres)
}

impl Dump {
    fn leave_out(&mut self, kind: &str, name: impl Into<String>) -> Option<()> {
        self.left_out.push(LeftOut { kind: kind.to_owned(), name: name.into() });
        Some(())
    }

    fn oid(&mut self) -> Oid {
        self.last += 1;
        self.last
    }

    /// Takes the name of an object, which a dump qualifies.
    fn place(&mut self, cursor: &mut Cursor<'_>) -> Option<Place> {
        let (schema, name) = cursor.path()?;
        match schema {
            Some(schema) if schema != self.schema => {
                if schema != "crossfade" && schema != "pg_catalog" {
                    self.others.insert(schema);
                }
                Some(Place::Elsewhere)
            }
            _ => Some(Place::Here(name)),
        }
    }

    /// A text with the names of the schema bare.
    fn bare(&self, cursor: Cursor<'_>) -> String {
        let text = cursor.text();
        let all = cursor.tokens();
        let start = all.first().map_or(0, |token| token.range.start);
        let mut edits = Vec::new();
        for at in 0..all.len() {
            let mut here = cursor;
            here.skip(at);
            let follows_dot = at > 0 && cursor.nth_is(at - 1, ".");
            let from = all.get(at).map_or(0, |token| token.range.start - start);
            match all.get(at).map(|token| &token.kind) {
                Some(Kind::Text(value))
                    if {
                        here.skip(1);
                        here.is(": : regclass")
                    } =>
                {
                    let inner = tokens(value, Dialect::Postgres);
                    let mut name = Cursor::new(value, &inner, Dialect::Postgres);
                    if let Some((Some(schema), _)) = name.path()
                        && schema == self.schema
                        && let Some(rest) = inner.get(2)
                    {
                        let bare = value.get(rest.range.start..).unwrap_or_default();
                        edits.push((from..from + all[at].range.len(), literal(bare, Dialect::Postgres)));
                    }
                }
                Some(Kind::Word | Kind::Quoted(_)) if !follows_dot => {
                    let name = here.name();
                    if name.as_ref() == Some(&self.schema)
                        && here.is(".")
                        && let Some(next) = all.get(at + 2)
                    {
                        edits.push((from..next.range.start - start, String::new()));
                    }
                }
                _ => {}
            }
        }
        replace(text, &edits)
    }

    fn relation(&self, name: &str) -> Option<Oid> {
        self.relations.iter().find(|relation| relation.name == name).map(|relation| relation.oid)
    }

    fn column(&mut self, table: Oid, name: &str) -> Option<&mut catalog::Column> {
        self.columns.iter_mut().find(|column| column.table == table && column.name == name)
    }

    fn numbers(&self, table: Oid, names: &[String]) -> Option<Vec<i32>> {
        let number = |name: &String| self.columns.iter().find(|column| column.table == table && column.name == *name);
        names.iter().map(|name| number(name).map(|column| column.number)).collect()
    }

    fn collation(&mut self, cursor: &mut Cursor<'_>) -> Option<(String, Oid)> {
        let name = match cursor.path()? {
            (Some(schema), name) if schema != "pg_catalog" && schema != self.schema => format!("{schema}.{name}"),
            (_, name) => name,
        };
        if let Some(known) = self.collations.iter().find(|known| known.name == name) {
            return Some((name, known.oid));
        }
        let oid = self.oid();
        self.collations.push(catalog::Collation { oid, name: name.clone() });
        Some((name, oid))
    }

    // --- statements ---

    /// `None`: it is not understood.
    fn statement(&mut self, statement: Cursor<'_>) -> Option<()> {
        let mut cursor = statement;
        if matches!(cursor.tokens().first().map(|token| &token.kind), Some(Kind::Command)) {
            let said = cursor.text();
            // Marks of newer clients that say nothing of the schema.
            return (said.starts_with("\\restrict") || said.starts_with("\\unrestrict")).then_some(());
        }
        // With `--clean` a dump begins with what takes away; later it would take away what was read.
        if cursor.is("drop") {
            return (self.relations.is_empty() && self.enums.is_empty() && self.sequences.is_empty()).then_some(());
        }
        const NOTHING: [&str; 9] = [
            "set",
            "select pg_catalog . set_config",
            "select pg_catalog . setval",
            "begin",
            "commit",
            "reset",
            "insert",
            "start transaction",
            "analyze",
        ];
        if NOTHING.iter().any(|words| cursor.is(words)) {
            return Some(());
        }
        if cursor.eat("create") {
            cursor.eat("or replace");
            return self.create(cursor, statement);
        }
        if cursor.eat("comment on") {
            return self.comment(cursor);
        }
        if cursor.is("grant") || cursor.is("revoke") {
            return self.grant(cursor);
        }
        if cursor.eat("alter default privileges") {
            return self.leave_out("default privileges", cursor.text());
        }
        if !cursor.eat("alter") {
            return None;
        }
        // What is said of them besides goes with the objects, which are named.
        if ["text search", "publication", "subscription", "operator family", "event trigger"].iter().any(|words| cursor.is(words)) {
            return Some(());
        }
        let words = cursor.tokens().len();
        if words > 3 && cursor.nth_is(words - 3, "owner") && cursor.nth_is(words - 2, "to") {
            return Some(());
        }
        if cursor.eat("table") || cursor.eat("materialized view") || cursor.eat("view") {
            cursor.eat("only");
            return match self.place(&mut cursor)? {
                Place::Here(name) => self.alter_table(&name, cursor),
                Place::Elsewhere => Some(()),
            };
        }
        if cursor.eat("sequence") {
            return match self.place(&mut cursor)? {
                Place::Here(name) => self.owned(&name, cursor),
                Place::Elsewhere => Some(()),
            };
        }
        if cursor.eat("index") {
            // That of a partition.
            self.place(&mut cursor)?;
            return cursor.is("attach partition").then_some(());
        }
        None
    }

    fn create(&mut self, mut cursor: Cursor<'_>, statement: Cursor<'_>) -> Option<()> {
        if cursor.eat("schema") {
            let _ = cursor.eat("if not exists");
            return Some(());
        }
        if cursor.eat("extension") {
            cursor.eat("if not exists");
            let name = cursor.name()?;
            let schema = if cursor.eat("with schema") || cursor.eat("schema") { cursor.name()? } else { self.schema.clone() };
            if name != "plpgsql" {
                let near = schema == self.schema || schema == "pg_catalog";
                self.extensions.push(catalog::Extension { name, schema, near });
            }
            return Some(());
        }
        let unlogged = cursor.eat("unlogged");
        if cursor.eat("table") {
            cursor.eat("if not exists");
            return match self.place(&mut cursor)? {
                Place::Here(name) => self.table(&name, unlogged, cursor),
                Place::Elsewhere => Some(()),
            };
        }
        if cursor.is("view") || cursor.is("materialized view") || cursor.is("recursive view") {
            let materialized = cursor.eat("materialized");
            cursor.eat("recursive");
            cursor.eat("view");
            return match self.place(&mut cursor)? {
                Place::Here(name) => self.view(&name, materialized, cursor),
                Place::Elsewhere => Some(()),
            };
        }
        if cursor.is("index") || cursor.is("unique index") {
            return self.index(cursor, statement);
        }
        if cursor.eat("sequence") {
            return match self.place(&mut cursor)? {
                Place::Here(name) => self.sequence(&name, None, cursor),
                Place::Elsewhere => Some(()),
            };
        }
        if cursor.eat("type") {
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            if cursor.eat("as enum") {
                let labels: Vec<String> = match cursor.group()? {
                    empty if empty.is_done() => Vec::new(),
                    list => list.parts().into_iter().map(|mut label| label.string()).collect::<Option<_>>()?,
                };
                let labels = Some(labels).filter(|labels| !labels.is_empty());
                self.enums.push(catalog::Enum { name, labels, comment: None });
                return Some(());
            }
            let kind = match () {
                () if cursor.is("as range") => "range types",
                () if cursor.is("as") => "composite types",
                () => "base types",
            };
            return self.leave_out(kind, shown(&name));
        }
        if cursor.is("function") || cursor.is("procedure") || cursor.is("aggregate") {
            let kind = format!("{}s", cursor.word()?.to_lowercase());
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            let arguments = self.bare(cursor.group()?);
            return self.leave_out(&kind, format!("{}({arguments})", shown(&name)));
        }
        if cursor.eat("trigger") || cursor.eat("constraint trigger") {
            let name = cursor.name()?;
            cursor.until(|rest| rest.is("on"));
            cursor.eat("on");
            let Place::Here(table) = self.place(&mut cursor)? else { return Some(()) };
            cursor.until(|rest| rest.is("execute"));
            if cursor.is("execute function crossfade .") {
                return Some(());
            }
            return self.leave_out("triggers", format!("{} on {}", shown(&name), shown(&table)));
        }
        for (word, before, kind) in [("policy", "on", "policies"), ("rule", "to", "rules")] {
            if cursor.eat(word) {
                let name = cursor.name()?;
                cursor.until(|rest| rest.is(before));
                cursor.eat(before);
                let Place::Here(table) = self.place(&mut cursor)? else { return Some(()) };
                return self.leave_out(kind, format!("{} on {}", shown(&name), shown(&table)));
            }
        }
        if cursor.eat("cast") {
            let inside = self.bare(cursor.group()?);
            return self.leave_out("casts", inside.replace(" AS ", " as "));
        }
        const OTHERS: [(&str, &str); 12] = [
            ("domain", "domains"),
            ("operator class", "operator classes"),
            ("operator family", "operator families"),
            ("collation", "collations"),
            ("conversion", "conversions"),
            ("text search configuration", "text search configurations"),
            ("text search dictionary", "text search dictionaries"),
            ("statistics", "extended statistics"),
            ("foreign table", "foreign tables"),
            ("default conversion", "conversions"),
            ("text search parser", "text search parsers"),
            ("text search template", "text search templates"),
        ];
        for (words, kind) in OTHERS {
            if cursor.eat(words) {
                let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
                return self.leave_out(kind, shown(&name));
            }
        }
        const GLOBAL: [(&str, &str); 5] = [
            ("publication", "publications"),
            ("subscription", "subscriptions"),
            ("event trigger", "event triggers"),
            ("server", "foreign servers"),
            ("foreign data wrapper", "foreign data wrappers"),
        ];
        for (words, kind) in GLOBAL {
            if cursor.eat(words) {
                let name = cursor.name()?;
                return self.leave_out(kind, shown(&name));
            }
        }
        if cursor.eat("operator") {
            let text: String = self.bare(cursor).split_whitespace().next().unwrap_or_default().to_owned();
            return self.leave_out("operators", text);
        }
        None
    }

    // --- tables ---

    fn table(&mut self, name: &str, unlogged: bool, mut cursor: Cursor<'_>) -> Option<()> {
        let oid = self.oid();
        let place = shown(name);
        let typed = cursor.eat("of");
        let of_partition = cursor.is("partition of");
        let body = if typed || of_partition { None } else { Some(cursor.group()?) };
        let mut relation = catalog::Relation {
            oid,
            name: name.to_owned(),
            kind: 'r',
            partition: of_partition,
            typed,
            inherits: false,
            extension: false,
            comment: None,
            query: None,
        };
        if typed {
            self.leave_out("typed tables", place.clone());
        }
        while !cursor.is_done() && !typed && !of_partition {
            if cursor.eat("inherits") {
                relation.inherits = true;
                for mut parent in cursor.group()?.parts() {
                    if let Place::Here(parent) = self.place(&mut parent)? {
                        self.inherited(&parent);
                    }
                }
                self.leave_out("tables that inherit or are inherited from", place.clone());
            } else if cursor.is("partition by") {
                relation.kind = 'p';
                self.leave_out("tables that are partitioned", place.clone());
                cursor.skip(cursor.tokens().len());
            } else if cursor.eat("with") {
                let options = storage(cursor.group()?);
                self.leave_out("storage parameters", format!("{place} ({})", options.join(", ")));
            } else if cursor.eat("tablespace") {
                let space = cursor.name()?;
                self.leave_out("tablespaces", format!("{place} in {}", shown(&space)));
            } else if cursor.eat("using") {
                let method = cursor.name()?;
                self.leave_out("access methods", format!("{place} ({method})"));
            } else {
                return None;
            }
        }
        if unlogged {
            self.leave_out("unlogged tables (read as ordinary ones)", place.clone());
        }
        if of_partition {
            self.leave_out("partitions", place.clone());
        }
        self.relations.push(relation);
        let Some(body) = body else { return Some(()) };
        if body.is_done() {
            let inherits = self.relations.last().is_some_and(|relation| relation.inherits);
            return if inherits { Some(()) } else { self.leave_out("tables without columns", place) };
        }
        let mut number = 0;
        for mut part in body.parts() {
            if part.is("constraint") || part.is("check") {
                self.constraint(oid, name, part)?;
                continue;
            }
            number += 1;
            let column_name = part.name()?;
            let ty = part.until(|rest| CLAUSES.iter().any(|words| rest.is(words)));
            let mut column = catalog::Column {
                table: oid,
                number,
                name: column_name.clone(),
                ty: self.bare(ty),
                enum_name: None,
                dimensions: 0,
                not_null: false,
                identity: String::new(),
                generated: String::new(),
                default: None,
                collation: None,
                collation_oid: 0,
                comment: None,
            };
            column.dimensions = i32::from(column.ty.ends_with(']'));
            while !part.is_done() {
                if part.eat("collate") {
                    let (collation, oid) = self.collation(&mut part)?;
                    column.collation = Some(collation);
                    column.collation_oid = oid;
                } else if part.eat("not null") {
                    column.not_null = true;
                    part.eat("no inherit");
                } else if part.eat("constraint") {
                    // The name of NOT NULL, which came with 18.
                    part.name()?;
                    part.is("not null").then_some(())?;
                } else if part.eat("default") {
                    let value = part.until(|rest| ["not null", "constraint", "collate"].iter().any(|words| rest.is(words)));
                    column.default = Some(self.bare(value));
                } else if part.eat("generated always as") {
                    column.default = Some(self.bare(part.group()?));
                    column.generated = if part.eat("stored") { "s" } else { "v" }.to_owned();
                    part.eat("virtual");
                } else if part.eat("storage") || part.eat("compression") {
                    part.word()?;
                    self.leave_out("statistics targets, storage and options of columns", format!("{place}.{}", shown(&column_name)));
                } else {
                    return None;
                }
            }
            self.columns.push(column);
        }
        Some(())
    }

    fn inherited(&mut self, parent: &str) {
        if let Some(relation) = self.relations.iter_mut().find(|relation| relation.name == parent) {
            relation.inherits = true;
            let kind = relation.kind;
            if kind == 'r' {
                self.leave_out("tables that inherit or are inherited from", shown(parent));
            }
        }
    }

    fn constraint(&mut self, table: Oid, table_name: &str, mut part: Cursor<'_>) -> Option<()> {
        let name = if part.eat("constraint") { part.name()? } else { return None };
        let on = format!("{} on {}", shown(&name), shown(table_name));
        let mut found = catalog::Constraint {
            table,
            name: name.clone(),
            kind: 'c',
            columns: None,
            deferrable: false,
            deferred: false,
            index: 0,
            target: 0,
            target_columns: None,
            on_update: 'a',
            on_delete: 'a',
            set_columns: None,
            matching: 's',
            definition: None,
            period: false,
            not_enforced: false,
        };
        let mut index = None;
        if part.eat("not null") {
            // The name of a column's NOT NULL.
            let column = part.name()?;
            self.column(table, &column)?.not_null = true;
            return Some(());
        } else if part.eat("check") {
            found.definition = Some(self.bare(part.group()?));
        } else if part.is("primary key") || part.is("unique") {
            found.kind = if part.eat("primary key") { 'p' } else { 'u' };
            part.eat("unique");
            let nulls_not_distinct = part.eat("nulls not distinct");
            let mut body = part.group()?;
            let words = body.tokens().len();
            if words > 2 && body.nth_is(words - 2, "without") && body.nth_is(words - 1, "overlaps") {
                found.period = true;
                body = body.until(|rest| rest.is("without overlaps"));
            }
            let columns: Vec<String> = body.parts().into_iter().map(|mut one| one.name()).collect::<Option<_>>()?;
            let mut all = columns.clone();
            if part.eat("include") {
                all.extend(part.names()?);
            }
            found.columns = self.numbers(table, &columns);
            found.index = self.oid();
            index = Some(catalog::Index {
                oid: found.index,
                keys: columns.len(),
                columns: self.numbers(table, &all)?,
                nulls_not_distinct,
                unique: true,
                ..own_index(table, &name, "btree")
            });
        } else if part.eat("foreign key") {
            found.kind = 'f';
            let columns = part.names()?;
            found.columns = self.numbers(table, &columns);
            part.eat("references").then_some(())?;
            let target = match part.path()? {
                (Some(schema), _) if schema != self.schema => None,
                (_, name) => Some(name),
            };
            let there = part.names()?;
            while let Some(event) = if part.eat("on delete") {
                Some('d')
            } else if part.eat("on update") {
                Some('u')
            } else {
                part.eat("match full").then_some('m')
            } {
                match event {
                    'm' => found.matching = 'f',
                    event => {
                        let letter = match () {
                            () if part.eat("cascade") => 'c',
                            () if part.eat("restrict") => 'r',
                            () if part.eat("set null") => 'n',
                            () if part.eat("set default") => 'd',
                            () if part.eat("no action") => 'a',
                            () => return None,
                        };
                        if event == 'd' {
                            found.on_delete = letter;
                            let columns = part.names();
                            found.set_columns = columns.and_then(|columns| self.numbers(table, &columns));
                        } else {
                            found.on_update = letter;
                        }
                    }
                }
            }
            self.targets.push((self.constraints.len(), target.unwrap_or_default(), there));
        } else if part.is("exclude") {
            found.kind = 'x';
            let whole = part;
            part.eat("exclude using").then_some(())?;
            let method = part.name()?;
            part.group()?;
            if part.eat("include") {
                part.group()?;
                self.leave_out("covering columns of exclusions", on.clone());
            }
            if part.eat("where") {
                part.group()?;
            }
            let mut definition = whole;
            let length = whole.tokens().len() - part.tokens().len();
            let definition = definition.until(|rest| whole.tokens().len() - rest.tokens().len() >= length);
            found.definition = Some(self.bare(definition));
            found.index = self.oid();
            index = Some(catalog::Index { oid: found.index, ..own_index(table, &name, &method) });
        } else {
            return None;
        }
        while !part.is_done() {
            if part.eat("deferrable") {
                found.deferrable = true;
            } else if part.eat("initially deferred") {
                found.deferred = true;
            } else if part.eat("not valid") {
                self.leave_out("rules for rows that came before, not validated", on.clone());
            } else if part.eat("no inherit") {
                self.leave_out("checks that heirs do not have (no inherit)", on.clone());
            } else if part.eat("not enforced") {
                found.not_enforced = true;
            } else if part.eat("with") {
                let options = storage(part.group()?);
                self.leave_out("storage parameters", format!("{} ({})", shown(&name), options.join(", ")));
            } else if !(part.eat("enforced") || part.eat("not deferrable") || part.eat("initially immediate")) {
                return None;
            }
        }
        self.constraints.push(found);
        self.indexes.extend(index);
        Some(())
    }

    fn alter_table(&mut self, name: &str, mut cursor: Cursor<'_>) -> Option<()> {
        let oid = self.relation(name)?;
        let place = shown(name);
        if cursor.eat("add") {
            return self.constraint(oid, name, cursor);
        }
        if cursor.eat("attach partition") {
            if let Place::Here(part) = self.place(&mut cursor)? {
                if let Some(relation) = self.relations.iter_mut().find(|relation| relation.name == part) {
                    relation.partition = true;
                    // A partition that is partitioned itself was taken for a table of its own.
                    let own = shown(&part);
                    self.left_out.retain(|left| left.kind != "tables that are partitioned" || left.name != own);
                }
                self.leave_out("partitions", shown(&part));
            }
            return Some(());
        }
        if cursor.eat("replica identity") {
            return self.leave_out("replica identities", place);
        }
        if cursor.eat("cluster on") {
            let index = cursor.name()?;
            return self.leave_out("clustered tables", format!("{place} by {}", shown(&index)));
        }
        if cursor.eat("enable row level security") {
            return self.leave_out("tables with row security", place);
        }
        if cursor.eat("force row level security") {
            self.left_out.retain(|left| left.kind != "tables with row security" || left.name != place);
            return self.leave_out("tables with row security", format!("{place} (forced)"));
        }
        if cursor.is("disable trigger")
            || cursor.is("enable trigger")
            || cursor.is("enable replica trigger")
            || cursor.is("enable always trigger")
        {
            // The trigger itself is named.
            return Some(());
        }
        if cursor.eat("validate constraint") {
            return Some(());
        }
        if !cursor.eat("alter column") && !cursor.eat("alter") {
            return None;
        }
        let column = cursor.name()?;
        let shown_column = format!("{place}.{}", shown(&column));
        if cursor.eat("set default") {
            let text = self.bare(cursor);
            match self.column(oid, &column) {
                Some(column) => column.default = Some(text),
                None => drop(self.leave_out("defaults of views", shown_column)),
            }
            return Some(());
        }
        if cursor.eat("set not null") {
            self.column(oid, &column)?.not_null = true;
            return Some(());
        }
        if cursor.is("add generated") {
            cursor.eat("add generated");
            let identity = if cursor.eat("always") { "a" } else { cursor.eat("by default").then_some("d")? };
            cursor.eat("as identity").then_some(())?;
            let mut options = cursor.group()?;
            options.eat("sequence name").then_some(())?;
            let Place::Here(sequence) = self.place(&mut options)? else { return None };
            let found = self.column(oid, &column)?;
            identity.clone_into(&mut found.identity);
            let (ty, number) = (found.ty.clone(), found.number);
            self.sequence(&sequence, Some((oid, number, ty)), options)?;
            return Some(());
        }
        let property = ["set statistics", "set storage", "set compression", "set ("].iter().any(|words| cursor.is(words));
        if property {
            return self.leave_out("statistics targets, storage and options of columns", shown_column);
        }
        None
    }

    // --- indexes ---

    fn index(&mut self, mut cursor: Cursor<'_>, statement: Cursor<'_>) -> Option<()> {
        let unique = cursor.eat("unique");
        cursor.eat("index").then_some(())?;
        cursor.eat("concurrently");
        cursor.eat("if not exists");
        let name = cursor.name()?;
        cursor.eat("on").then_some(())?;
        cursor.eat("only");
        let Place::Here(table_name) = self.place(&mut cursor)? else { return Some(()) };
        let method = if cursor.eat("using") { cursor.name()? } else { "btree".to_owned() };
        let table = self.relation(&table_name)?;
        let kind = self.relations.iter().find(|relation| relation.oid == table).map(|relation| relation.kind);
        let mut index = catalog::Index { oid: self.oid(), unique, constraint: false, ..own_index(table, &name, &method) };
        index.definition = self.bare(statement);
        let body = cursor.group()?;
        match kind {
            Some('r') => {}
            Some('m') => return self.leave_out("indexes of materialized views", format!("{} on {}", shown(&name), shown(&table_name))),
            _ => return Some(()),
        }
        for part in body.parts() {
            self.index_key(&mut index, table, part)?;
        }
        index.keys = index.columns.len();
        while !cursor.is_done() {
            if cursor.eat("include") {
                let names = cursor.names()?;
                index.columns.extend(self.numbers(table, &names)?);
            } else if cursor.eat("nulls not distinct") {
                index.nulls_not_distinct = true;
            } else if cursor.eat("with") {
                index.with = Some(storage(cursor.group()?));
            } else if cursor.eat("tablespace") {
                let space = cursor.name()?;
                self.leave_out("tablespaces", format!("{} in {}", shown(&name), shown(&space)));
            } else if cursor.eat("where") {
                index.predicate = Some(self.bare(cursor));
                cursor.skip(cursor.tokens().len());
            } else {
                return None;
            }
        }
        self.indexes.push(index);
        Some(())
    }

    fn index_key(&mut self, index: &mut catalog::Index, table: Oid, mut part: Cursor<'_>) -> Option<()> {
        let whole = part;
        let mut own = 0;
        let number = match part.group() {
            Some(_) => 0,
            None => {
                let (_, name) = part.path()?;
                if part.group().is_some() {
                    0
                } else {
                    let column = self.column(table, &name)?;
                    own = column.collation_oid;
                    column.number
                }
            }
        };
        if number == 0 {
            let (mut head, length) = (whole, whole.tokens().len() - part.tokens().len());
            let text = head.until(|rest| whole.tokens().len() - rest.tokens().len() >= length);
            index.expressions.push(Some(self.bare(text)));
        } else {
            index.expressions.push(None);
        }
        let mut collation = own;
        if part.eat("collate") {
            collation = self.collation(&mut part)?.1;
        }
        let mut option = 0;
        let mut class = None;
        while !part.is_done() {
            if part.eat("desc") {
                // NULLs come first then, unless it is said otherwise.
                option = 3;
            } else if part.eat("nulls first") {
                option |= 2;
            } else if part.eat("nulls last") {
                option &= 1;
            } else if !part.eat("asc") {
                let mut text = match part.path()? {
                    (Some(schema), name) if schema != self.schema => format!("{}.{}", shown(&schema), shown(&name)),
                    (_, name) => shown(&name),
                };
                if let Some(parameters) = part.group() {
                    text.push_str(&format!(" ({})", parameters.text()));
                }
                class = Some(text);
            }
        }
        index.columns.push(number);
        index.options.push(option);
        index.collations.push(collation);
        index.classes.push(class);
        Some(())
    }

    // --- the rest ---

    fn view(&mut self, name: &str, materialized: bool, mut cursor: Cursor<'_>) -> Option<()> {
        let place = shown(name);
        if cursor.group().is_some() {
            return None;
        }
        if cursor.eat("with") {
            let options = storage(cursor.group()?);
            let kind = if materialized { "storage parameters" } else { "options of views" };
            self.leave_out(kind, format!("{place} ({})", options.join(", ")));
        }
        if cursor.eat("tablespace") {
            let space = cursor.name()?;
            self.leave_out("tablespaces", format!("{place} in {}", shown(&space)));
        }
        cursor.eat("as").then_some(())?;
        let query = cursor.until(|rest| {
            ["with no data", "with data", "with cascaded check option", "with local check option"].iter().any(|words| rest.is(words))
        });
        if cursor.is("with cascaded check option") || cursor.is("with local check option") {
            let kind = if cursor.is("with local") { "local" } else { "cascaded" };
            self.leave_out("options of views", format!("{place} (check_option={kind})"));
        }
        let query = Some(self.bare(query));
        let kind = if materialized { 'm' } else { 'v' };
        // One that others read before it can be made stands here twice.
        if let Some(known) = self.relations.iter_mut().find(|relation| relation.name == name) {
            known.query = query;
            return Some(());
        }
        let oid = self.oid();
        let (name, comment) = (name.to_owned(), None);
        self.relations.push(catalog::Relation {
            oid,
            name,
            kind,
            partition: false,
            typed: false,
            inherits: false,
            extension: false,
            comment,
            query,
        });
        Some(())
    }

    /// A sequence, of its own or of an identity: the table, the column and its type.
    fn sequence(&mut self, name: &str, identity: Option<(Oid, i32, String)>, mut cursor: Cursor<'_>) -> Option<()> {
        let mut ty = identity.as_ref().map_or_else(|| "bigint".to_owned(), |(_, _, ty)| ty.clone());
        let (mut start, mut min, mut max) = (None, None, None);
        let (mut increment, mut cache, mut cycle) = (1, 1, false);
        while !cursor.is_done() {
            if cursor.eat("as") {
                ty = cursor.word()?.to_lowercase();
            } else if cursor.eat("start with") {
                start = Some(cursor.number()?);
            } else if cursor.eat("increment by") {
                increment = cursor.number()?;
            } else if cursor.eat("minvalue") {
                min = Some(cursor.number()?);
            } else if cursor.eat("maxvalue") {
                max = Some(cursor.number()?);
            } else if cursor.eat("cache") {
                cache = cursor.number()?;
            } else if cursor.eat("cycle") {
                cycle = true;
            } else if !(cursor.eat("no minvalue") || cursor.eat("no maxvalue") || cursor.eat("no cycle")) {
                return None;
            }
        }
        let (least, greatest) = match ty.as_str() {
            "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
            "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let (low, high) = if increment > 0 { (1, greatest) } else { (least, -1) };
        let (min, max) = (min.unwrap_or(low), max.unwrap_or(high));
        self.sequences.push(catalog::Sequence {
            name: name.to_owned(),
            start: start.unwrap_or(if increment > 0 { min } else { max }),
            increment,
            min,
            max,
            cache,
            cycle,
            ty,
            comment: None,
            owned: identity.is_some().then_some('i'),
            table: identity.as_ref().map(|(table, _, _)| *table),
            column: identity.map(|(_, column, _)| column),
        });
        Some(())
    }

    /// `owned by table.column`.
    fn owned(&mut self, name: &str, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eat("owned by").then_some(())?;
        let first = cursor.name()?;
        cursor.eat(".").then_some(())?;
        let second = cursor.name()?;
        let (table, column) = if cursor.eat(".") { (second, cursor.name()?) } else { (first, second) };
        let table = self.relation(&table)?;
        let number = self.column(table, &column)?.number;
        let sequence = self.sequences.iter_mut().find(|sequence| sequence.name == name)?;
        (sequence.owned, sequence.table, sequence.column) = (Some('a'), Some(table), Some(number));
        Some(())
    }

    fn comment(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let mut value = cursor;
        let target = value.until(|rest| rest.is("is"));
        value.eat("is");
        let text = value.string();
        if ["extension", "schema", "database"].iter().any(|word| cursor.is(word)) {
            return Some(());
        }
        if cursor.eat("column") {
            let mut names = Vec::new();
            let mut path = target;
            path.skip(1);
            loop {
                names.push(path.name()?);
                if !path.eat(".") {
                    break;
                }
            }
            let [schema, table, column] = names.as_slice() else { return None };
            if *schema != self.schema {
                return Some(());
            }
            let oid = self.relation(table)?;
            match self.column(oid, column) {
                Some(found) => found.comment = text,
                None => drop(self.leave_out("comments on columns of views", format!("{}.{}", shown(table), shown(column)))),
            }
            return Some(());
        }
        if cursor.eat("constraint") {
            let name = cursor.name()?;
            cursor.eat("on").then_some(())?;
            let Place::Here(table) = self.place(&mut cursor)? else { return Some(()) };
            return self.leave_out("comments on constraints", format!("{} on {}", shown(&name), shown(&table)));
        }
        if cursor.eat("table") || cursor.eat("view") || cursor.eat("materialized view") {
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            self.relations.iter_mut().find(|relation| relation.name == name)?.comment = text;
        } else if cursor.eat("index") {
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            match self.indexes.iter_mut().find(|index| index.name == name) {
                Some(index) if index.constraint => drop(self.leave_out("comments on indexes of constraints", shown(&name))),
                Some(index) => index.comment = text,
                None => {}
            }
        } else if cursor.eat("sequence") {
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            self.sequences.iter_mut().find(|sequence| sequence.name == name)?.comment = text;
        } else if cursor.eat("type") {
            let Place::Here(name) = self.place(&mut cursor)? else { return Some(()) };
            if let Some(found) = self.enums.iter_mut().find(|found| found.name == name) {
                found.comment = text;
            }
        }
        // The object of any other comment is named itself.
        Some(())
    }

    fn grant(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let privileges = cursor.until(|rest| rest.is("on"));
        cursor.eat("on").then_some(())?;
        if (cursor.eat("table") || cursor.eat("sequence"))
            && let Place::Here(name) = self.place(&mut cursor)?
        {
            let mut whole = false;
            for mut privilege in privileges.parts() {
                privilege.until(|rest| rest.is("("));
                let columns = privilege.names().unwrap_or_default();
                whole |= columns.is_empty();
                for column in columns {
                    self.leave_out("grants", format!("{}.{}", shown(&name), shown(&column)));
                }
            }
            if whole {
                self.leave_out("grants", shown(&name));
            }
        }
        // Of other kinds the catalog's grants are not told either.
        Some(())
    }

    fn finish(mut self) -> Rows {
        for (at, target, columns) in std::mem::take(&mut self.targets) {
            let Some(oid) = self.relation(&target) else { continue };
            let numbers = self.numbers(oid, &columns);
            if let Some(constraint) = self.constraints.get_mut(at) {
                constraint.target = oid;
                constraint.target_columns = numbers;
            }
        }
        let enums: HashMap<String, String> = self.enums.iter().map(|found| (shown(&found.name), found.name.clone())).collect();
        for column in &mut self.columns {
            column.enum_name = enums.get(column.ty.trim_end_matches("[]")).cloned();
        }
        let mut view_sources = Vec::new();
        for view in self.relations.iter().filter(|relation| matches!(relation.kind, 'v' | 'm')) {
            let Ok(found) = query_references(view.query.as_deref().unwrap_or_default(), Dialect::Postgres) else { continue };
            let sources: BTreeSet<Oid> =
                found.tables.iter().filter(|t| t.schema.is_none()).filter_map(|t| self.relation(&t.name)).collect();
            view_sources.extend(sources.into_iter().map(|source| catalog::ViewSource { view: view.oid, source }));
        }
        for other in std::mem::take(&mut self.others) {
            self.leave_out("other schemas", shown(&other));
        }
        self.relations.sort_by(|a, b| a.name.cmp(&b.name));
        self.constraints.sort_by(|a, b| (a.table, &a.name).cmp(&(b.table, &b.name)));
        self.indexes.sort_by(|a, b| (a.table, &a.name).cmp(&(b.table, &b.name)));
        self.enums.sort_by(|a, b| a.name.cmp(&b.name));
        self.sequences.sort_by(|a, b| a.name.cmp(&b.name));
        self.extensions.sort_by(|a, b| a.name.cmp(&b.name));
        Rows {
            versions: None,
            relations: self.relations,
            columns: self.columns,
            constraints: self.constraints,
            indexes: self.indexes,
            collations: self.collations,
            enums: self.enums,
            sequences: self.sequences,
            extensions: self.extensions,
            view_sources,
            left_out: self.left_out,
        }
    }
}

/// The index of a constraint; what it covers is to be filled in.
fn own_index(table: Oid, name: &str, method: &str) -> catalog::Index {
    catalog::Index {
        oid: 0,
        table,
        name: name.to_owned(),
        method: method.to_owned(),
        unique: false,
        nulls_not_distinct: false,
        valid: true,
        keys: 0,
        columns: Vec::new(),
        options: Vec::new(),
        collations: Vec::new(),
        ordered: method == "btree",
        expressions: Vec::new(),
        classes: Vec::new(),
        predicate: None,
        with: None,
        definition: String::new(),
        constraint: true,
        comment: None,
    }
}

/// Storage parameters as the catalog keeps them: `fillfactor=70`.
fn storage(list: Cursor<'_>) -> Vec<String> {
    list.parts()
        .into_iter()
        .map(|mut part| {
            let name = part.until(|rest| rest.is("=")).text().to_owned();
            part.eat("=");
            let text = part.text().to_owned();
            format!("{name}={}", part.string().unwrap_or(text))
        })
        .collect()
}

/// What may follow a column's type.
const CLAUSES: [&str; 7] = ["collate", "default", "generated", "not null", "constraint", "storage", "compression"];
