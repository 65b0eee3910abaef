//! Values and conditions over rows, as SQLite reads them.

use std::collections::BTreeMap;

use super::{Affinity, affinity};
use crate::dialect::language::{Language, Mapping, Row};
use crate::plan::model::{Formula, SyncColumn};
use crate::plan::{VERSION_SCHEMA, hides_rows};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;

/// A value over a trigger's row, in a statement on a table. In a subquery that reads no table nothing else is called so.
pub fn apart(value: &str, table: &str) -> String {
    if hides_rows(table) { format!("(select {value})") } else { value.to_owned() }
}

/// Writes values and conditions.
#[derive(Debug, Clone, Copy)]
pub struct Expressions<'a> {
    /// What the plan calls the schema that the tables live in; SQLite has none.
    pub schema: &'a str,
    /// Columns of the table at hand that compare by another collation than bytes.
    pub collated: &'a [String],
}

impl Expressions<'_> {
    /// The name of a relation: a namespace is a suffix here, since a file has no schemas.
    pub fn relation_name(&self, schema: &str, name: &str) -> String {
        match schema.strip_prefix(self.schema).and_then(|rest| rest.strip_prefix('_')) {
            Some(version) => super::namespace_name(name, version),
            None if schema == VERSION_SCHEMA => ["crossfade_", name].concat(),
            None => name.to_owned(),
        }
    }

    /// A type.
    pub fn ty(&self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::Enum(_) => "text".to_owned(),
            _ => sql_name(ty, Dialect::Sqlite),
        }
    }

    /// The comparison of values of a column, NULL counting as a value, by bytes.
    fn unlike(&self, name: &str, a: &str, b: &str) -> String {
        let bytes = if self.collated.iter().any(|column| column == name) { " collate binary" } else { "" };
        format!("{a} is not {b}{bytes}")
    }

    /// One of the columns is another one than it was; `None` where there is no column.
    pub fn any_changed<'n>(&self, columns: impl IntoIterator<Item = (&'n String, &'n Type)>) -> Option<String> {
        let columns: BTreeMap<&String, &Type> = columns.into_iter().collect();
        let parts: Vec<String> = columns.into_iter().map(|(name, ty)| self.changed(name, ty)).collect();
        (!parts.is_empty()).then(|| self.any(&parts))
    }
}

impl Language for Expressions<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn relation(&self, schema: &str, name: &str) -> String {
        self.ident(&self.relation_name(schema, name))
    }

    fn is_number(&self, ty: &Type) -> bool {
        affinity(ty) == Affinity::Number
    }

    /// The column's affinity does what a cast would do, but for text that is no number, which a cast would make 0 of.
    fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        match formula {
            Formula::Column(name) => self.column(name, row),
            Formula::Cast(name) => {
                let of = self.column(name, row);
                match ty.kind {
                    TypeKind::Date => format!("date({of})"),
                    TypeKind::Timestamp { .. } => format!("datetime({of})"),
                    _ => of,
                }
            }
            Formula::Relabel { column, pairs } => {
                let of = self.column(column, row);
                if pairs.is_empty() {
                    return of;
                }
                format!("(case {of} {} else {of} end)", self.relabelings(pairs))
            }
            Formula::Values { column, ty: from, pairs, otherwise } => {
                let of = self.column(column, row);
                // Nothing raises in an expression outside of triggers; a path that can't be one fails, and says which.
                let fails = |why: &str| format!("json_extract('{{}}', {why} || {of})");
                format!("({})", self.mapped(&Mapping { column, of: &of, ty: from, pairs, otherwise }, ty, &of, &fails))
            }
            // The planner has refused it: there are no counters but rowids.
            Formula::Next(_) => "null".to_owned(),
            Formula::Written(expr) => format!("({})", self.written(expr, row).trim()),
        }
    }

    /// Names of a row carry no affinity in a trigger.
    fn as_stored(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        let value = self.value(formula, ty, row);
        match (formula, affinity(ty)) {
            (Formula::Written(_), Affinity::Text) => format!("cast({value} as text)"),
            (Formula::Written(_), Affinity::Number) => format!("cast({value} as numeric)"),
            _ => value,
        }
    }

    fn distinct(&self, a: &str, b: &str, _ty: &Type) -> String {
        format!("{a} is not {b}")
    }

    fn changed(&self, name: &str, _ty: &Type) -> String {
        self.unlike(name, &self.column(name, Row::New), &self.column(name, Row::Old))
    }

    fn differs(&self, column: &SyncColumn, formula: &Formula, row: Row<'_>) -> String {
        self.unlike(&column.name, &self.column(&column.name, row), &self.as_stored(formula, &column.ty, row))
    }
}
