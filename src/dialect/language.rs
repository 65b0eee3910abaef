//! What every dialect says of rows, and what follows from it: conditions over the two sides of a lens.

use crate::plan::model::{Formula, SyncLens};
use crate::snapshot::model::Type;

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

/// Values and conditions over rows, in a dialect's words.
pub trait Language {
    /// A column of a row.
    fn column(&self, name: &str, row: Row<'_>) -> String;

    /// The value that a formula gives a column of a type.
    fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String;

    /// Whether two values of a type differ, NULL counting as a value. Types without equality are compared as text.
    fn distinct(&self, a: &str, b: &str, ty: &Type) -> String;

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

    /// The rows on which the two sides of a lens disagree: neither follows from the other, nor is the new side what the
    /// backfill gives. A side that nothing is derived for can't disagree.
    fn disagree(&self, lens: &SyncLens, row: Row<'_>) -> String {
        let differs = |columns: &[crate::plan::model::SyncColumn], backfill: bool| -> Option<String> {
            let parts: Vec<String> = columns
                .iter()
                .filter_map(|c| {
                    let formula = if backfill { c.backfill.as_ref().or(c.formula.as_ref())? } else { c.formula.as_ref()? };
                    Some(self.distinct(&self.column(&c.name, row), &self.value(formula, &c.ty, row), &c.ty))
                })
                .collect();
            (!parts.is_empty()).then(|| self.any(&parts))
        };
        if lens.old.iter().all(|c| c.formula.is_none()) {
            // The new version may have said something else: only what was never filled disagrees.
            let parts: Vec<String> = lens
                .new
                .iter()
                .filter_map(|c| {
                    let formula = c.backfill.as_ref().or(c.formula.as_ref())?;
                    Some(format!("({} is null and {} is not null)", self.column(&c.name, row), self.value(formula, &c.ty, row)))
                })
                .collect();
            return self.any(&parts);
        }
        if lens.new.is_empty() {
            return "false".to_owned();
        }
        let mut conditions: Vec<String> = Vec::new();
        conditions.extend(differs(&lens.new, false));
        conditions.extend(differs(&lens.old, false));
        if lens.new.iter().any(|c| c.backfill.is_some()) {
            conditions.extend(differs(&lens.new, true));
        }
        self.all(&conditions)
    }
}
