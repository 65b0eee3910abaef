//! What every dialect says of rows, and what follows from it: conditions over the two sides of a lens.

use std::ops::Range;

use crate::plan::model::{Formula, FormulaOtherwise, RowExpr, Splice, SyncColumn, SyncLens};
use crate::snapshot::model::{Type, TypeKind, Value};
use crate::sql::Dialect;
use crate::sql::expression::replace;
use crate::sql::quote::{ident, literal};

/// Which row an expression is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row<'a> {
    /// The row as a trigger lets it be written.
    New,
    /// The row as it was.
    Old,
    /// A row of a table in FROM or UPDATE, by the table's name.
    Table(&'a str),
    /// A row by the alias that a query gives it, or by the variable that holds it.
    Alias(&'a str),
}

/// A mapping by value.
#[derive(Debug, Clone, Copy)]
pub struct Mapping<'a> {
    /// The mapped column's name.
    pub column: &'a str,
    /// The mapped column of the row.
    pub of: &'a str,
    /// Its type.
    pub ty: &'a Type,
    /// Its values, each with the value that it becomes.
    pub pairs: &'a [(Value, Value)],
    /// What becomes of the others.
    pub otherwise: &'a FormulaOtherwise,
}

/// Values and conditions over rows, in a dialect's words.
pub trait Language {
    /// Whose words they are.
    fn dialect(&self) -> Dialect;

    /// A relation of a schema.
    fn relation(&self, schema: &str, name: &str) -> String;

    /// Whether values of the type are numbers, whose literals stand without quotes.
    fn is_number(&self, ty: &Type) -> bool;

    /// The value that a formula gives a column of a type.
    fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String;

    /// A formula's value as its column keeps it, for a comparison.
    fn as_stored(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        self.value(formula, ty, row)
    }

    /// Whether two values of a type differ, NULL counting as a value. Types without equality are compared as text.
    fn distinct(&self, a: &str, b: &str, ty: &Type) -> String;

    /// A type that has a name of its own in a schema.
    fn named_type(&self, schema: &str, name: &str) -> String {
        self.relation(schema, name)
    }

    /// A name.
    fn ident(&self, name: &str) -> String {
        ident(name, self.dialect())
    }

    /// Names, separated by commas.
    fn list<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String
    where
        Self: Sized,
    {
        names.into_iter().map(|name| self.ident(name)).collect::<Vec<_>>().join(", ")
    }

    /// A text.
    fn literal(&self, text: &str) -> String {
        literal(text, self.dialect())
    }

    /// A scalar of the format as a literal of a type.
    fn scalar(&self, value: &Value, ty: &Type) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Boolean(truth) if ty.kind == TypeKind::Boolean => truth.to_string(),
            Value::Boolean(truth) => self.literal(&truth.to_string()),
            Value::Number(number) if self.is_number(ty) => number.clone(),
            Value::Number(text) | Value::Text(text) => self.literal(text),
        }
    }

    /// A column of a row.
    fn column(&self, name: &str, row: Row<'_>) -> String {
        match row {
            Row::New => ["new", &self.ident(name)].join("."),
            Row::Old => ["old", &self.ident(name)].join("."),
            Row::Table(_) => self.ident(name),
            Row::Alias(alias) => [alias, &self.ident(name)].join("."),
        }
    }

    /// An expression of the author's, with its names put in.
    fn written(&self, expr: &RowExpr, row: Row<'_>) -> String {
        self.spliced(expr, row, &|schema, name| self.relation(schema, name))
    }

    /// An expression of the author's, with its names put in, and its relations' as `relation` says.
    fn spliced(&self, expr: &RowExpr, row: Row<'_>, relation: &dyn Fn(&str, &str) -> String) -> String {
        let edit = |(range, splice): &(Range<usize>, Splice)| {
            let text = match splice {
                // Inside a subquery a bare name could mean the subquery's own column.
                Splice::Column(name) => match row {
                    Row::Table(table) if expr.has_subquery && !table.is_empty() => [self.ident(table), self.ident(name)].join("."),
                    row => self.column(name, row),
                },
                Splice::Relation(schema, name) => relation(schema, name),
                Splice::Type(schema, name) => self.named_type(schema, name),
            };
            (range.clone(), text)
        };
        replace(&expr.text, &expr.splices.iter().map(edit).collect::<Vec<_>>())
    }

    /// The branches of a `case` over labels that are called otherwise now.
    fn relabelings(&self, pairs: &[(String, String)]) -> String {
        let branch = |(from, to): &(String, String)| format!("when {} then {}", self.literal(from), self.literal(to));
        pairs.iter().map(branch).collect::<Vec<_>>().join(" ")
    }

    /// The `case` of a mapping by value, as a value of type `ty`. `compared`: the mapped column as it is held against the listed
    /// values; `fails`: what makes of a text the expression that fails and says it.
    fn mapped(&self, mapping: &Mapping<'_>, ty: &Type, compared: &str, fails: &dyn Fn(&str) -> String) -> String {
        let mut text = format!("case when {} is null then null", mapping.of);
        for (value, result) in mapping.pairs {
            text.push_str(&format!(" when {compared} = {} then {}", self.scalar(value, mapping.ty), self.scalar(result, ty)));
        }
        match mapping.otherwise {
            FormulaOtherwise::Nothing => {}
            FormulaOtherwise::Value(value) => text.push_str(&format!(" else {}", self.scalar(value, ty))),
            FormulaOtherwise::Error => {
                let why = self.literal(&format!("{} has a value that the mapping does not list: ", mapping.column));
                text.push_str(&format!(" else {}", fails(&why)));
            }
        }
        text.push_str(" end");
        text
    }

    /// Whether a column differs between the row as it is written and the row as it was.
    fn changed(&self, name: &str, ty: &Type) -> String {
        self.distinct(&self.column(name, Row::New), &self.column(name, Row::Old), ty)
    }

    /// Conditions, one of which must hold.
    fn any(&self, conditions: &[String]) -> String {
        match conditions {
            [] => "false".to_owned(),
            [one] => one.clone(),
            many => many.join(" or "),
        }
    }

    /// Conditions, all of which must hold.
    fn all(&self, conditions: &[String]) -> String {
        match conditions {
            [] => "true".to_owned(),
            [one] => one.clone(),
            many => many.iter().map(|c| if c.contains(" or ") { format!("({c})") } else { c.clone() }).collect::<Vec<_>>().join(" and "),
        }
    }

    /// Conditions, all of which must hold. One is looked at only where those before it hold: it may fail elsewhere.
    fn in_turn(&self, conditions: &[String]) -> String {
        self.all(conditions)
    }

    /// Whether a column's value is not what a formula gives it.
    fn differs(&self, column: &SyncColumn, formula: &Formula, row: Row<'_>) -> String {
        self.distinct(&self.column(&column.name, row), &self.as_stored(formula, &column.ty, row), &column.ty)
    }

    /// Whether one of the columns is not what its formula gives; `None` where no column has one. `by`: the formula of a column.
    fn disagrees<'c>(&self, columns: &'c [SyncColumn], row: Row<'_>, by: &dyn Fn(&'c SyncColumn) -> Option<&'c Formula>) -> Option<String> {
        let parts: Vec<String> = columns.iter().filter_map(|column| Some(self.differs(column, by(column)?, row))).collect();
        (!parts.is_empty()).then(|| self.any(&parts))
    }

    /// The rows on which the two sides of a lens disagree: neither follows from the other, nor is the new side what the
    /// backfill gives. A side that nothing is derived for can't disagree.
    fn disagree(&self, lens: &SyncLens, row: Row<'_>) -> String {
        let conditions = self.disagreements(lens, row);
        if lens.is_total() { self.all(&conditions) } else { self.in_turn(&conditions) }
    }

    /// The conditions all of which hold where they disagree. The old side comes first: where it is what the new version's value
    /// gives, the way up need not have an answer to it.
    fn disagreements(&self, lens: &SyncLens, row: Row<'_>) -> Vec<String> {
        if lens.old.iter().all(|c| c.formula.is_none()) {
            // The new version may have said something else: only what was never filled disagrees.
            let unfilled = |c: &SyncColumn| {
                let value = self.value(c.of_backfill()?, &c.ty, row);
                Some(format!("({} is null and {value} is not null)", self.column(&c.name, row)))
            };
            return vec![self.any(&lens.new.iter().filter_map(unfilled).collect::<Vec<_>>())];
        }
        if lens.new.is_empty() {
            return vec!["false".to_owned()];
        }
        let mut conditions: Vec<String> = Vec::new();
        conditions.extend(self.disagrees(&lens.old, row, &|c| c.formula.as_ref()));
        conditions.extend(self.disagrees(&lens.new, row, &|c| c.formula.as_ref()));
        if lens.new.iter().any(|c| c.backfill.is_some()) {
            conditions.extend(self.disagrees(&lens.new, row, &SyncColumn::of_backfill));
        }
        conditions
    }
}
