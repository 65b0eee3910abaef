//! PostgreSQL 15 to 18: the catalog of one schema as a [`Schema`].

mod catalog;
mod dump;

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;

use self::catalog::{
    COLLATIONS, COLUMNS, CONSTRAINTS, Catalog, Collation, ENUMS, EXTENSIONS, INDEXES, LEFT_OUT, Oid, RELATIONS, SEQUENCES, VIEW_SOURCES,
    Versions,
};
pub use self::dump::inspect_script;
use super::{Found, Inspected, LeftOut, closing, expr, given, is_ours, without_parentheses};
use crate::diagnostic::Span;
use crate::engine::postgres::{Failure, Session};
use crate::plan::model::namespace;
use crate::snapshot::model::{
    Check, Column, EnumType, Exclusion, Expr, Extension, ForeignKey, Generated, Identity, Index, IndexKey, IndexTarget, Nulls, PrimaryKey,
    ReferentialAction, Schema, Sequence, Table, Type, TypeKind, Unique, View,
};
use crate::snapshot::types;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// Reads one schema of a database, in one transaction that writes nothing. `name` is the version's, if the database does not
/// know it.
///
/// # Errors
/// When the server is older than 15, has no such schema, or refuses a query.
pub fn inspect(session: &mut Session, schema: &str, name: &str) -> Result<Inspected, Failure> {
    let mut catalog = Catalog::begin(session, schema)?;
    let rows = Rows {
        versions: catalog.versions()?,
        relations: catalog.rows(RELATIONS)?,
        columns: catalog.rows(COLUMNS)?,
        constraints: catalog.rows(CONSTRAINTS)?,
        indexes: catalog.rows(INDEXES)?,
        collations: catalog.rows(COLLATIONS)?,
        enums: catalog.rows(ENUMS)?,
        sequences: catalog.rows(SEQUENCES)?,
        extensions: catalog.rows(EXTENSIONS)?,
        view_sources: catalog.rows(VIEW_SOURCES)?,
        left_out: catalog.rows(LEFT_OUT)?,
    };
    catalog.end()?;
    Ok(Reader::new(&rows, schema).run().write(name, Dialect::Postgres))
}

/// All answers.
struct Rows {
    versions: Option<Versions>,
    relations: Vec<catalog::Relation>,
    columns: Vec<catalog::Column>,
    constraints: Vec<catalog::Constraint>,
    indexes: Vec<catalog::Index>,
    collations: Vec<Collation>,
    enums: Vec<catalog::Enum>,
    sequences: Vec<catalog::Sequence>,
    extensions: Vec<catalog::Extension>,
    view_sources: Vec<catalog::ViewSource>,
    left_out: Vec<LeftOut>,
}

struct Reader<'r> {
    rows: &'r Rows,
    /// The schema's name.
    namespace: &'r str,
    /// Names of the tables that are read, by oid.
    tables: HashMap<Oid, &'r str>,
    columns: HashMap<(Oid, i32), &'r catalog::Column>,
    collations: HashMap<Oid, &'r str>,
    indexes: HashMap<Oid, &'r catalog::Index>,
    schema: Schema,
    left_out: Vec<LeftOut>,
}

impl<'r> Reader<'r> {
    fn new(rows: &'r Rows, namespace: &'r str) -> Self {
        let with_columns: HashSet<Oid> = rows.columns.iter().map(|column| column.table).collect();
        let readable = |r: &&catalog::Relation| {
            r.kind == 'r' && !(r.partition || r.inherits || r.typed || r.extension || is_ours(&r.name)) && with_columns.contains(&r.oid)
        };
        Self {
            tables: rows.relations.iter().filter(readable).map(|r| (r.oid, r.name.as_str())).collect(),
            columns: rows.columns.iter().filter(|c| !is_ours(&c.name)).map(|c| ((c.table, c.number), c)).collect(),
            collations: rows.collations.iter().map(|c| (c.oid, c.name.as_str())).collect(),
            indexes: rows.indexes.iter().map(|i| (i.oid, i)).collect(),
            schema: Schema::default(),
            left_out: Vec::new(),
            rows,
            namespace,
        }
    }

    fn run(mut self) -> Found {
        let mut between = None;
        let mut namespaces = Vec::new();
        let mut version = None;
        if let Some(Versions { old_version, new_version, phase }) = &self.rows.versions {
            // After contract the new version is all there is; before, the tables still are the old version's.
            let settled = phase == "contract";
            version = Some(old_version.as_ref().filter(|_| !settled).unwrap_or(new_version).clone());
            between = old_version.clone().filter(|_| !settled).map(|old| (old, new_version.clone()));
            namespaces.extend(old_version.iter().chain([new_version]).map(|v| ident(&namespace(self.namespace, v), Dialect::Postgres)));
        }
        for left in &self.rows.left_out {
            let of_ours = is_ours(&left.name) || left.name.contains(".crossfade_");
            let own_namespace = left.kind == "other schemas" && namespaces.contains(&left.name);
            if !of_ours && !own_namespace {
                self.left_out.push(left.clone());
            }
        }
        self.enums();
        self.sequences();
        self.extensions();
        self.tables();
        self.views();
        self.left_out.sort();
        self.left_out.dedup();
        Found { schema: self.schema, version, between, left_out: self.left_out, collations: BTreeMap::new() }
    }

    fn leave_out(&mut self, kind: &str, name: impl Into<String>) {
        self.left_out.push(LeftOut { kind: kind.to_owned(), name: name.into() });
    }

    fn enums(&mut self) {
        for row in self.rows.enums.iter().filter(|row| !is_ours(&row.name)) {
            let Some(labels) = row.labels.clone() else {
                self.leave_out("enums without values", ident(&row.name, Dialect::Postgres));
                continue;
            };
            let value = EnumType { name: row.name.clone(), labels, comment: row.comment.clone(), span: Span::default() };
            self.schema.enums.insert(row.name.clone(), value);
        }
    }

    fn sequences(&mut self) {
        for row in self.rows.sequences.iter().filter(|row| !is_ours(&row.name)) {
            let (least, greatest) = if row.increment > 0 { (1, i64::MAX) } else { (i64::MIN, -1) };
            let start = if row.increment > 0 { row.min } else { row.max };
            let column = row.table.zip(row.column).and_then(|place| self.columns.get(&place));
            let owner = column.zip(row.table.and_then(|table| self.tables.get(&table)));
            let owner = owner.map(|(column, table)| format!("{table}.{}", column.name));
            if row.owned == Some('i') {
                let top = match row.ty.as_str() {
                    "smallint" => i64::from(i16::MAX),
                    "integer" => i64::from(i32::MAX),
                    _ => i64::MAX,
                };
                let plain = (row.start, row.increment, row.min, row.max, row.cache, row.cycle) == (1, 1, 1, top, 1, false);
                if let Some(owner) = owner.filter(|_| !plain) {
                    self.leave_out("options of identities", owner);
                }
                continue;
            }
            if let Some(owner) = owner {
                self.leave_out("sequences that go with their column (read as ones that stand alone)", format!("{} of {owner}", row.name));
            }
            let unless = |value: i64, default: i64| (value != default).then_some(value);
            let value = Sequence {
                name: row.name.clone(),
                start: unless(row.start, start),
                increment: unless(row.increment, 1),
                min_value: unless(row.min, least),
                max_value: unless(row.max, greatest),
                cache: unless(row.cache, 1),
                cycle: row.cycle,
                comment: row.comment.clone(),
                span: Span::default(),
            };
            self.schema.sequences.insert(row.name.clone(), value);
        }
    }

    fn extensions(&mut self) {
        for row in &self.rows.extensions {
            if !row.near {
                self.leave_out("schemas of extensions", format!("{} in {}", row.name, row.schema));
            }
            self.schema.extensions.insert(row.name.clone(), Extension { name: row.name.clone(), span: Span::default() });
        }
    }

    fn tables(&mut self) {
        let mut columns: HashMap<Oid, Vec<&catalog::Column>> = HashMap::new();
        for row in self.rows.columns.iter().filter(|row| !is_ours(&row.name)) {
            columns.entry(row.table).or_default().push(row);
        }
        let mut constraints: HashMap<Oid, Vec<&catalog::Constraint>> = HashMap::new();
        for row in self.rows.constraints.iter().filter(|row| !is_ours(&row.name)) {
            constraints.entry(row.table).or_default().push(row);
        }
        let mut indexes: HashMap<Oid, Vec<&catalog::Index>> = HashMap::new();
        for row in self.rows.indexes.iter().filter(|row| !row.constraint && row.valid && !is_ours(&row.name)) {
            indexes.entry(row.table).or_default().push(row);
        }
        for relation in self.rows.relations.iter().filter(|r| self.tables.contains_key(&r.oid)).collect::<Vec<_>>() {
            let of_table = columns.remove(&relation.oid).unwrap_or_default();
            let mut table = Table {
                comment: relation.comment.clone(),
                columns: of_table.into_iter().map(|row| (row.name.clone(), self.column(row))).collect(),
                ..Table::empty(&relation.name, Span::default())
            };
            for row in constraints.remove(&relation.oid).unwrap_or_default() {
                if self.constraint(&mut table, row).is_none() {
                    self.leave_out(kind_of_constraint(row), on(&row.name, &relation.name));
                }
            }
            for row in indexes.remove(&relation.oid).unwrap_or_default() {
                match self.index(row) {
                    Some(index) => table.indexes.push(index),
                    None => self.leave_out("indexes on columns of crossfade", on(&row.name, &relation.name)),
                }
            }
            self.schema.tables.insert(relation.name.clone(), table);
        }
    }

    fn column(&self, row: &catalog::Column) -> Column {
        let ty = self.column_type(row);
        let value = row.default.as_deref().map(|text| expr(text_of_default(without_parentheses(text), &ty, &self.schema.enums)));
        let (default, generated) = match (row.generated.as_str(), value) {
            ("", value) => (value, None),
            (kind, Some(expression)) => (None, Some(Generated { expression, stored: kind == "s" })),
            (_, None) => (None, None),
        };
        Column {
            name: row.name.clone(),
            ty,
            not_null: row.not_null,
            default,
            generated,
            identity: match row.identity.as_str() {
                "a" => Some(Identity::Always),
                "d" => Some(Identity::ByDefault),
                _ => None,
            },
            collation: row.collation.clone(),
            comment: row.comment.clone(),
            span: Span::default(),
        }
    }

    fn column_type(&self, row: &catalog::Column) -> Type {
        // The server prints one pair of brackets however many dimensions were declared.
        let array_dimensions = if row.ty.ends_with("[]") { u8::try_from(row.dimensions).unwrap_or(1).clamp(1, 6) } else { 0 };
        let known = row.enum_name.as_ref().filter(|name| self.schema.enums.contains_key(*name));
        let kind = match known {
            Some(name) => TypeKind::Enum(name.clone()),
            None => {
                let element = row.ty.strip_suffix("[]").unwrap_or(&row.ty);
                match types::read_own(element, Dialect::Postgres, &self.schema.enums) {
                    Ok(read) => read.kind,
                    // A name that is near to a known type's would be taken for a slip, unless it is qualified.
                    Err(_) => TypeKind::Native(format!("{}.{element}", ident(self.namespace, Dialect::Postgres))),
                }
            }
        };
        Type { kind, array_dimensions }
    }

    /// The names of columns by number; `None` when one of them is left out.
    fn names(&self, table: Oid, numbers: &[i32]) -> Option<Vec<String>> {
        numbers.iter().map(|number| self.columns.get(&(table, *number)).map(|column| column.name.clone())).collect()
    }

    /// Puts a constraint where it belongs; `None` when the format can't say it.
    fn constraint(&self, table: &mut Table, row: &catalog::Constraint) -> Option<()> {
        if row.period || row.not_enforced {
            return None;
        }
        let columns = self.names(row.table, row.columns.as_deref().unwrap_or_default());
        let index = self.indexes.get(&row.index);
        match row.kind {
            'p' => {
                let index = index?;
                // A key that covers further columns or is checked late has no words in the format.
                if row.deferrable || index.columns.len() > index.keys {
                    return None;
                }
                table.primary_key = Some(PrimaryKey { name: given(&row.name), columns: columns? });
            }
            'u' => {
                let index = index?;
                let include = self.names(row.table, index.columns.get(index.keys..)?)?;
                table.uniques.push(Unique {
                    name: given(&row.name),
                    columns: columns?,
                    include,
                    nulls_not_distinct: index.nulls_not_distinct,
                    deferrable: row.deferrable,
                    initially_deferred: row.deferred,
                });
            }
            'f' => {
                let set = self.names(row.table, row.set_columns.as_deref().unwrap_or_default())?;
                let on_delete = action(row.on_delete, set);
                table.foreign_keys.push(ForeignKey {
                    name: given(&row.name),
                    columns: columns?,
                    ref_table: (*self.tables.get(&row.target)?).to_owned(),
                    ref_columns: self.names(row.target, row.target_columns.as_deref()?)?,
                    on_delete,
                    on_update: action(row.on_update, Vec::new()),
                    deferrable: row.deferrable,
                    initially_deferred: row.deferred,
                    match_full: row.matching == 'f',
                });
            }
            'c' => table.checks.push(Check { name: given(&row.name), expression: expr(row.definition.as_deref()?) }),
            _ => {
                let (elements, predicate) = exclusion(row.definition.as_deref()?)?;
                table.exclusions.push(Exclusion {
                    name: given(&row.name),
                    method: index?.method.clone(),
                    elements: Expr { text: elements.to_owned(), span: Span::default() },
                    predicate: predicate.map(expr),
                    deferrable: row.deferrable,
                    initially_deferred: row.deferred,
                });
            }
        }
        Some(())
    }

    fn index(&self, row: &catalog::Index) -> Option<Index> {
        let mut keys = Vec::with_capacity(row.keys);
        for place in 0..row.keys {
            let number = *row.columns.get(place)?;
            let option = row.options.get(place).copied().unwrap_or_default();
            let collation = row.collations.get(place).copied().unwrap_or_default();
            let own = self.collations.get(&collation).map(|name| (*name).to_owned());
            let (target, collation) = if number == 0 {
                let text = row.expressions.get(place)?.as_deref()?;
                // What the expression yields anyway is printed by nobody.
                let said = own.filter(|_| row.definition.contains(&format!("{text} COLLATE ")));
                (IndexTarget::Expression(expr(text)), said)
            } else {
                let column = self.columns.get(&(row.table, number))?;
                (IndexTarget::Column(column.name.clone()), own.filter(|_| column.collation_oid != collation))
            };
            let (descending, first) = (option & 1 != 0, option & 2 != 0);
            keys.push(IndexKey {
                target,
                descending,
                // NULLs count as the greatest values.
                nulls: (row.ordered && descending != first).then_some(if first { Nulls::First } else { Nulls::Last }),
                collation,
                opclass: row.classes.get(place).cloned().flatten(),
                length: None,
            });
        }
        let mut with: Vec<(String, String)> = row
            .with
            .iter()
            .flatten()
            .map(|option| option.split_once('=').unwrap_or((option, "true")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        with.sort();
        Some(Index {
            name: given(&row.name),
            keys,
            unique: row.unique,
            nulls_not_distinct: row.nulls_not_distinct,
            method: row.method.clone(),
            predicate: row.predicate.as_deref().map(expr),
            include: self.names(row.table, row.columns.get(row.keys..)?)?,
            with,
            comment: row.comment.clone(),
        })
    }

    fn views(&mut self) {
        let views: Vec<&catalog::Relation> =
            self.rows.relations.iter().filter(|r| matches!(r.kind, 'v' | 'm') && !r.extension && !is_ours(&r.name)).collect();
        let mut kept: BTreeMap<Oid, &catalog::Relation> = views.iter().map(|view| (view.oid, *view)).collect();
        // A view over what is left out is left out, and so is a view over that one. What an extension brings may be read.
        let of_extensions: HashSet<Oid> = self.rows.relations.iter().filter(|r| r.extension).map(|r| r.oid).collect();
        loop {
            let before = kept.len();
            for read in &self.rows.view_sources {
                let there =
                    self.tables.contains_key(&read.source) || kept.contains_key(&read.source) || of_extensions.contains(&read.source);
                if !there {
                    kept.remove(&read.view);
                }
            }
            if kept.len() == before {
                break;
            }
        }
        for view in views {
            if !kept.contains_key(&view.oid) {
                self.leave_out("views over what is left out", ident(&view.name, Dialect::Postgres));
                continue;
            }
            let text = view.query.as_deref().unwrap_or_default().trim().trim_end_matches(';');
            let value = View {
                name: view.name.clone(),
                query: Expr { text: text.to_owned(), span: Span::default() },
                materialized: view.kind == 'm',
                comment: view.comment.clone(),
                span: Span::default(),
            };
            self.schema.views.insert(view.name.clone(), value);
        }
    }
}

fn on(name: &str, table: &str) -> String {
    format!("{} on {}", ident(name, Dialect::Postgres), ident(table, Dialect::Postgres))
}

/// What a constraint is called among what is left out.
fn kind_of_constraint(row: &catalog::Constraint) -> &'static str {
    match row.kind {
        _ if row.period => "keys over periods (without overlaps, period)",
        _ if row.not_enforced => "rules that are not enforced",
        'p' => "primary keys that are deferrable or have covering columns",
        'f' => "foreign keys to what is left out",
        'x' => "exclusions that can't be read",
        _ => "constraints on columns of crossfade",
    }
}

fn action(letter: char, columns: Vec<String>) -> ReferentialAction {
    match letter {
        'r' => ReferentialAction::Restrict,
        'c' => ReferentialAction::Cascade,
        'n' => ReferentialAction::SetNull(columns),
        'd' => ReferentialAction::SetDefault(columns),
        _ => ReferentialAction::NoAction,
    }
}

/// A default without the cast to the column's own type that the server adds to a literal.
fn text_of_default<'t>(text: &'t str, ty: &Type, enums: &IndexMap<String, EnumType>) -> &'t str {
    let Some(end) = text.strip_prefix('\'').and_then(|rest| rest.rfind("'::")).map(|at| at + 2) else { return text };
    let (literal, cast) = text.split_at(end);
    // One literal, and nothing behind the cast: a quote within the literal is doubled.
    let one = literal.len() >= 2 && !literal.get(1..literal.len() - 1).unwrap_or("'").replace("''", "").contains('\'');
    let cast = cast.trim_start_matches(':');
    let bare = types::parse_own(cast, Dialect::Postgres, enums);
    let same = match (&bare.kind, &ty.kind) {
        // The cast says no length; the assignment to the column looks at it.
        (TypeKind::Varchar(None), TypeKind::Varchar(_)) | (TypeKind::Text, TypeKind::Text) => true,
        (TypeKind::Enum(a), TypeKind::Enum(b)) => a == b,
        (TypeKind::Json, TypeKind::Json) | (TypeKind::Jsonb, TypeKind::Jsonb) => true,
        _ => false,
    };
    if one && same && bare.array_dimensions == ty.array_dimensions { literal } else { text }
}

/// The elements of an exclusion and its predicate: `EXCLUDE USING gist (room WITH =) WHERE (active)`.
fn exclusion(definition: &str) -> Option<(&str, Option<&str>)> {
    let open = definition.find('(')?;
    let list = definition.get(open..)?;
    let end = closing(list)?;
    let rest = list.get(end + 1..)?;
    let predicate = match rest.find(" WHERE (") {
        Some(at) => {
            let condition = rest.get(at + 7..)?;
            Some(condition.get(..=closing(condition)?)?)
        }
        None => None,
    };
    Some((list.get(1..end)?, predicate))
}
