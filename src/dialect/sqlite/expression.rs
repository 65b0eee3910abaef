//! Values and conditions over rows, as SQLite reads them.

use std::collections::BTreeSet;

use super::{Affinity, affinity};
use crate::plan::model::{Formula, FormulaOtherwise, RowExpr, Splice, SyncColumn, SyncLens};
use crate::plan::{VERSION_SCHEMA, hides_rows};
use crate::snapshot::model::{Type, TypeKind, Value};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;
use crate::sql::expression::replace;
use crate::sql::quote::{ident, literal};

/// Which row an expression is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row<'a> {
    /// The row as it is written.
    New,
    /// The row as it was.
    Old,
    /// A row of a table in FROM or UPDATE, by the table's name.
    Table(&'a str),
    /// A row by the alias that a query gives it.
    Alias(&'a str),
}

/// A value over a trigger's row, in a statement on a table. In a subquery that reads no table nothing else is called so.
pub fn apart(value: &str, table: &str) -> String {
    if hides_rows(table) { format!("(select {value})") } else { value.to_owned() }
}

/// Writes values and conditions.
#[derive(Debug, Clone, Copy)]
pub struct Expressions<'a> {
    /// What the plan calls the schema that the tables live in; SQLite has none.
    pub schema: &'a str,
}

impl Expressions<'_> {
    /// A name.
    pub fn ident(&self, name: &str) -> String {
        ident(name, Dialect::Sqlite)
    }

    /// Names, separated by commas.
    pub fn list<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String {
        names.into_iter().map(|name| self.ident(name)).collect::<Vec<_>>().join(", ")
    }

    /// The name of a relation: a namespace is a suffix here, since a file has no schemas.
    pub fn relation_name(&self, schema: &str, name: &str) -> String {
        match schema.strip_prefix(self.schema).and_then(|rest| rest.strip_prefix('_')) {
            Some(version) => super::namespace_name(name, version),
            None if schema == VERSION_SCHEMA => ["crossfade_", name].concat(),
            None => name.to_owned(),
        }
    }

    /// A relation of a schema.
    pub fn relation(&self, schema: &str, name: &str) -> String {
        self.ident(&self.relation_name(schema, name))
    }

    /// A text.
    pub fn literal(&self, text: &str) -> String {
        literal(text, Dialect::Sqlite)
    }

    /// A type.
    pub fn ty(&self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::Enum(_) => "text".to_owned(),
            _ => sql_name(ty, Dialect::Sqlite),
        }
    }

    /// A column of a row.
    pub fn column(&self, name: &str, row: Row<'_>) -> String {
        match row {
            Row::New => ["new", &self.ident(name)].join("."),
            Row::Old => ["old", &self.ident(name)].join("."),
            Row::Table(_) => self.ident(name),
            Row::Alias(alias) => [alias, &self.ident(name)].join("."),
        }
    }

    /// An expression of the author's, with its names put in.
    pub fn written(&self, expr: &RowExpr, row: Row<'_>) -> String {
        let edits: Vec<_> = expr
            .splices
            .iter()
            .map(|(range, splice)| {
                let text = match splice {
                    // Inside a subquery a bare name could mean the subquery's own column.
                    Splice::Column(name) => match row {
                        Row::Table(table) if expr.has_subquery && !table.is_empty() => [self.ident(table), self.ident(name)].join("."),
                        row => self.column(name, row),
                    },
                    Splice::Relation(schema, name) | Splice::Type(schema, name) => self.relation(schema, name),
                };
                (range.clone(), text)
            })
            .collect();
        replace(&expr.text, &edits)
    }

    /// The value that a formula gives a column of a type. The column's affinity does what a cast would do, but for text that is
    /// no number, which a cast would make 0 of.
    pub fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
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
                let cases: Vec<String> =
                    pairs.iter().map(|(from, to)| format!("when {} then {}", self.literal(from), self.literal(to))).collect();
                format!("(case {of} {} else {of} end)", cases.join(" "))
            }
            Formula::Values { column, ty: from, pairs, otherwise } => {
                let of = self.column(column, row);
                let mut text = format!("(case when {of} is null then null");
                for (value, result) in pairs {
                    text.push_str(&format!(" when {of} = {} then {}", self.scalar(value, from), self.scalar(result, ty)));
                }
                match otherwise {
                    FormulaOtherwise::Nothing => {}
                    FormulaOtherwise::Value(value) => text.push_str(&format!(" else {}", self.scalar(value, ty))),
                    // Nothing raises in an expression outside of triggers; a path that can't be one fails, and says which.
                    FormulaOtherwise::Error => {
                        let why = self.literal(&format!("{column} has a value that the mapping does not list: "));
                        text.push_str(&format!(" else json_extract('{{}}', {why} || {of})"));
                    }
                }
                text.push_str(" end)");
                text
            }
            // The planner has refused it: there are no counters but rowids.
            Formula::Next(_) => "null".to_owned(),
            Formula::Written(expr) => format!("({})", self.written(expr, row).trim()),
        }
    }

    /// A scalar of the format as a literal of a type.
    pub fn scalar(&self, value: &Value, ty: &Type) -> String {
        let numeric = affinity(ty) == Affinity::Number;
        match value {
            Value::Null => "null".to_owned(),
            Value::Boolean(truth) if ty.kind == TypeKind::Boolean => truth.to_string(),
            Value::Boolean(truth) => self.literal(&truth.to_string()),
            Value::Number(number) if numeric => number.clone(),
            Value::Number(text) | Value::Text(text) => self.literal(text),
        }
    }

    /// A formula's value as its column would store it, for a comparison: names of a row carry no affinity in a trigger.
    pub fn as_stored(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        let value = self.value(formula, ty, row);
        match (formula, affinity(ty)) {
            (Formula::Written(_), Affinity::Text) => format!("cast({value} as text)"),
            (Formula::Written(_), Affinity::Number) => format!("cast({value} as numeric)"),
            _ => value,
        }
    }

    /// Conditions, one of which must hold.
    pub fn any(&self, conditions: &[String]) -> String {
        match conditions {
            [] => "false".to_owned(),
            [one] => one.clone(),
            many => many.join(" or "),
        }
    }

    /// Conditions, all of which must hold.
    pub fn all(&self, conditions: &[String]) -> String {
        match conditions {
            [] => "true".to_owned(),
            [one] => one.clone(),
            many => many.iter().map(|c| if c.contains(" or ") { format!("({c})") } else { c.clone() }).collect::<Vec<_>>().join(" and "),
        }
    }
}

/// What is asked of the two sides of a lens.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// How values are written.
    pub sql: Expressions<'a>,
    /// The lens.
    pub lens: &'a SyncLens,
    /// Columns that compare by another collation than bytes.
    pub collated: &'a [String],
}

impl Sides<'_> {
    /// The comparison of values of a column, NULL counting as a value, by bytes.
    pub fn differs(&self, name: &str, a: &str, b: &str) -> String {
        let bytes = if self.collated.iter().any(|column| column == name) { " collate binary" } else { "" };
        format!("{a} is not {b}{bytes}")
    }

    /// One of the columns is another one than it was.
    pub fn changed<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Option<String> {
        let names: BTreeSet<&String> = names.into_iter().collect();
        let parts: Vec<String> =
            names.into_iter().map(|name| self.differs(name, &self.sql.column(name, Row::New), &self.sql.column(name, Row::Old))).collect();
        (!parts.is_empty()).then(|| self.sql.any(&parts))
    }

    /// One of the columns is not what its formula gives; `None` where no column has one.
    pub fn disagrees(&self, columns: &[SyncColumn], row: Row<'_>) -> Option<String> {
        self.disagrees_by(columns, row, &|column| column.formula.as_ref())
    }

    /// As [`Sides::disagrees`], by other formulas than the column's own.
    pub fn disagrees_by<'c>(
        &self,
        columns: &'c [SyncColumn],
        row: Row<'_>,
        by: &dyn Fn(&'c SyncColumn) -> Option<&'c Formula>,
    ) -> Option<String> {
        let parts: Vec<String> = columns
            .iter()
            .filter_map(|c| {
                let formula = by(c)?;
                Some(self.differs(&c.name, &self.sql.column(&c.name, row), &self.sql.as_stored(formula, &c.ty, row)))
            })
            .collect();
        (!parts.is_empty()).then(|| self.sql.any(&parts))
    }

    /// The rows on which the two sides disagree: neither follows from the other, nor is the new side what the backfill gives.
    /// A side that nothing is derived for can't disagree.
    pub fn disagreement(&self, row: Row<'_>) -> String {
        let lens = self.lens;
        if lens.old.iter().all(|c| c.formula.is_none()) {
            // The new version may have said something else: only what was never filled disagrees.
            let parts: Vec<String> = lens
                .new
                .iter()
                .filter_map(|c| {
                    let formula = c.backfill.as_ref().or(c.formula.as_ref())?;
                    Some(format!("({} is null and {} is not null)", self.sql.column(&c.name, row), self.sql.value(formula, &c.ty, row)))
                })
                .collect();
            return self.sql.any(&parts);
        }
        if lens.new.is_empty() {
            return "false".to_owned();
        }
        let mut conditions: Vec<String> = Vec::new();
        conditions.extend(self.disagrees(&lens.new, row));
        conditions.extend(self.disagrees(&lens.old, row));
        if lens.new.iter().any(|c| c.backfill.is_some()) {
            conditions.extend(self.disagrees_by(&lens.new, row, &|c| c.backfill.as_ref().or(c.formula.as_ref())));
        }
        self.sql.all(&conditions)
    }
}
