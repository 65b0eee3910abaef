//! What a database can't tell, and the snapshot that it is compared with can.
//!
//! A server that has no enums keeps one as a type or a check without a name; one that has no comments keeps none; one text is the
//! type of several portable ones. Where the database has what the other side would be installed as, it is read as that: a
//! difference that no statement could make is none.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::snapshot::model::{Check, Column, EnumType, ForeignKey, Index, IndexTarget, ReferentialAction, Schema, Table, TypeKind, Unique};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;
use crate::sql::expression::{default_equivalent, expression_equivalent};
use crate::sql::tokens::{Cursor, tokens};

/// Reads `found`, the schema of a database, in the words of `other`, where both stand for the same there. `collations` are those of
/// [`super::Inspected`].
pub fn align(found: &mut Schema, other: &Schema, dialect: Dialect, collations: &BTreeMap<String, String>) {
    // It keeps all that the format says.
    if dialect == Dialect::Postgres {
        return;
    }
    let mut enums = IndexMap::new();
    for table in found.tables.values_mut() {
        if let Some(there) = other.tables.get(&table.name) {
            align_table(table, there, other, dialect, &mut enums);
            // One that the table has anyway is printed for no column.
            for column in table.columns.values_mut().filter(|column| column.collation.is_none()) {
                let theirs = there.columns.get(&column.name).and_then(|column| column.collation.as_ref());
                let own = collations.get(&table.name);
                column.collation = theirs.filter(|theirs| own.is_some_and(|own| own.eq_ignore_ascii_case(theirs))).cloned();
            }
        }
    }
    // An enum that no column has is nowhere in the database.
    let used = |name: &str| {
        let of_enum = |column: &Column| column.ty.kind == TypeKind::Enum(name.to_owned());
        other.tables.values().flat_map(|table| table.columns.values()).any(of_enum)
    };
    for (name, value) in &other.enums {
        if let Some(labels) = enums.shift_remove(name) {
            found.enums.insert(name.clone(), EnumType { labels, ..value.clone() });
        } else if !used(name) {
            found.enums.insert(name.clone(), value.clone());
        }
    }
    for view in found.views.values_mut() {
        if let Some(there) = other.views.get(&view.name) {
            view.comment.clone_from(&there.comment);
        }
    }
}

fn align_table(table: &mut Table, other: &Table, schema: &Schema, dialect: Dialect, enums: &mut IndexMap<String, Vec<String>>) {
    let has_comments = dialect != Dialect::Sqlite;
    if !has_comments {
        table.comment.clone_from(&other.comment);
    }
    let checks = &mut table.checks;
    for column in table.columns.values_mut() {
        let Some(there) = other.columns.get(&column.name) else { continue };
        if !has_comments {
            column.comment.clone_from(&there.comment);
        }
        if let (TypeKind::Enum(name), 0) = (&there.ty.kind, there.ty.array_dimensions) {
            let labels = match dialect {
                Dialect::Sqlite => checks.iter().position(|check| labels_of_check(check, &column.name).is_some()).and_then(|at| {
                    let labels = labels_of_check(checks.get(at)?, &column.name)?;
                    let fits = enums.get(name).is_none_or(|known| *known == labels);
                    fits.then(|| drop(checks.remove(at)))?;
                    Some(labels)
                }),
                _ => match &column.ty.kind {
                    TypeKind::Native(text) => labels_of_type(text).filter(|labels| enums.get(name).is_none_or(|known| known == labels)),
                    _ => None,
                },
            };
            if let Some(labels) = labels.filter(|_| schema.enums.contains_key(name)) {
                column.ty = there.ty.clone();
                enums.insert(name.clone(), labels);
            }
        } else if sql_name(&column.ty, dialect) == sql_name(&there.ty, dialect) {
            column.ty = there.ty.clone();
        }
        if column.identity.is_some() && there.identity.is_some() {
            column.identity = there.identity;
        }
        if let (Some(own), Some(theirs)) = (&mut column.default, &there.default)
            && same_default(&own.text, &theirs.text, dialect)
        {
            own.text.clone_from(&theirs.text);
        }
        // MariaDB takes the words for a column that is computed from none.
        if dialect == Dialect::Mariadb && column.generated.is_some() && there.generated.is_some() {
            column.not_null = there.not_null;
        }
        // A default of NULL is none.
        if column.default.is_none() && there.default.as_ref().is_some_and(|default| default.text.eq_ignore_ascii_case("null")) {
            column.default.clone_from(&there.default);
        }
        if let (Some(own), Some(theirs)) = (&column.collation, &there.collation)
            && own.eq_ignore_ascii_case(theirs)
        {
            column.collation = there.collation.clone();
        }
    }
    if let (Some(own), Some(theirs)) = (&mut table.primary_key, &other.primary_key) {
        // MySQL and MariaDB have one name for all of them; on SQLite one may have none.
        if dialect != Dialect::Sqlite || is_conventional(&own.name.text, &table.name, "pkey") {
            own.name = theirs.name.clone();
        }
    }
    // A unique constraint is a unique index there.
    let is_unique = |name: &str| other.uniques.iter().any(|unique| unique.name.text == name);
    let is_index = |name: &str| other.indexes.iter().any(|index| index.unique && index.name.text == name);
    let (constraints, rest): (Vec<Index>, Vec<Index>) =
        table.indexes.drain(..).partition(|index| is_unique(&index.name.text) && as_unique(index).is_some());
    let (indexes, uniques): (Vec<Unique>, Vec<Unique>) =
        table.uniques.drain(..).partition(|unique| is_index(&unique.name.text) && !is_unique(&unique.name.text));
    table.indexes = rest.into_iter().chain(indexes.into_iter().map(as_index)).collect();
    table.uniques = uniques.into_iter().chain(constraints.iter().filter_map(as_unique)).collect();
    for unique in &mut table.uniques {
        let same = other.uniques.iter().find(|theirs| theirs.columns == unique.columns);
        let named = other.uniques.iter().any(|theirs| theirs.name.text == unique.name.text);
        if let Some(theirs) = same
            && !named
            && dialect == Dialect::Sqlite
            && is_conventional(&unique.name.text, &table.name, "key")
        {
            unique.name = theirs.name.clone();
        }
    }
    for check in &mut table.checks {
        let same = other.checks.iter().find(|theirs| expression_equivalent(&theirs.expression.text, &check.expression.text, dialect));
        let named = other.checks.iter().any(|theirs| theirs.name.text == check.name.text);
        if let Some(theirs) = same
            && !named
            && dialect == Dialect::Sqlite
            && is_conventional(&check.name.text, &table.name, "check")
        {
            check.name = theirs.name.clone();
        }
    }
    for key in &mut table.foreign_keys {
        align_foreign_key(key, other, &table.name, dialect);
    }
    for index in &mut table.indexes {
        if let Some(theirs) = other.indexes.iter().find(|theirs| theirs.name.text == index.name.text)
            && !has_comments
        {
            index.comment.clone_from(&theirs.comment);
        }
    }
}

fn align_foreign_key(key: &mut ForeignKey, other: &Table, table: &str, dialect: Dialect) {
    let same =
        |theirs: &&ForeignKey| theirs.columns == key.columns && theirs.ref_table == key.ref_table && theirs.ref_columns == key.ref_columns;
    let named = other.foreign_keys.iter().find(|theirs| theirs.name.text == key.name.text);
    if named.is_none()
        && dialect == Dialect::Sqlite
        && is_conventional(&key.name.text, table, "fkey")
        && let Some(theirs) = other.foreign_keys.iter().find(same)
    {
        key.name = theirs.name.clone();
    }
    let Some(theirs) = other.foreign_keys.iter().filter(same).find(|theirs| theirs.name.text == key.name.text) else { return };
    // With one column `match full` says nothing, and a server that ignores it does not keep it.
    key.match_full = theirs.match_full;
    if dialect != Dialect::Sqlite {
        // InnoDB checks both at once: https://dev.mysql.com/doc/refman/8.4/en/create-table-foreign-keys.html
        let refuses = |action: &ReferentialAction| matches!(action, ReferentialAction::NoAction | ReferentialAction::Restrict);
        for (own, theirs) in [(&mut key.on_delete, &theirs.on_delete), (&mut key.on_update, &theirs.on_update)] {
            if refuses(own) && refuses(theirs) {
                own.clone_from(theirs);
            }
        }
    }
}

/// Whether two defaults of one column store the same: a boolean is a number there, a number has the digits of its column, and the time
/// of day those of its own.
fn same_default(own: &str, theirs: &str, dialect: Dialect) -> bool {
    let plain = |text: &str| {
        let lower = text.trim().to_ascii_lowercase();
        let name = lower.split('(').next().unwrap_or(&lower);
        let number = !lower.is_empty() && lower.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
        match lower.as_str() {
            "true" => "1".to_owned(),
            "false" => "0".to_owned(),
            _ if number && lower.contains('.') => lower.trim_end_matches('0').trim_end_matches('.').to_owned(),
            _ if ["now", "current_timestamp", "localtime", "localtimestamp"].contains(&name) && dialect != Dialect::Sqlite => {
                "current_timestamp".to_owned()
            }
            _ => text.to_owned(),
        }
    };
    default_equivalent(&plain(own), &plain(theirs), dialect)
}

/// Whether a name may be one that nobody gave: reading a rule without a name gives it such a one.
fn is_conventional(name: &str, table: &str, label: &str) -> bool {
    let ends = name.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(&format!("_{label}"));
    ends && name.starts_with(table)
}

fn as_unique(index: &Index) -> Option<Unique> {
    let columns = index
        .keys
        .iter()
        .map(|key| match &key.target {
            IndexTarget::Column(name) if !key.descending && key.collation.is_none() && key.length.is_none() => Some(name.clone()),
            _ => None,
        })
        .collect::<Option<Vec<String>>>()?;
    (index.unique && index.predicate.is_none() && index.comment.is_none()).then(|| Unique {
        name: index.name.clone(),
        columns,
        include: Vec::new(),
        nulls_not_distinct: false,
        deferrable: false,
        initially_deferred: false,
    })
}

fn as_index(unique: Unique) -> Index {
    Index { unique: true, ..Index::of_columns(unique.name, unique.columns) }
}

/// The labels of a check that lists all values of a column: `state in ('draft', 'live')`.
fn labels_of_check(check: &Check, column: &str) -> Option<Vec<String>> {
    let all = tokens(&check.expression.text, Dialect::Sqlite);
    let mut cursor = Cursor::new(&check.expression.text, &all, Dialect::Sqlite);
    (cursor.name()?.eq_ignore_ascii_case(column) && cursor.eat("in")).then_some(())?;
    let labels = texts(cursor.group()?)?;
    cursor.is_done().then_some(labels)
}

/// The labels of MySQL's and MariaDB's `enum('draft','live')`.
fn labels_of_type(text: &str) -> Option<Vec<String>> {
    let all = tokens(text, Dialect::Mysql);
    let mut cursor = Cursor::new(text, &all, Dialect::Mysql);
    cursor.eat("enum").then_some(())?;
    let labels = texts(cursor.group()?)?;
    cursor.is_done().then_some(labels)
}

fn texts(list: Cursor<'_>) -> Option<Vec<String>> {
    list.parts().into_iter().map(|mut part| part.string().filter(|_| part.is_done())).collect()
}
