//! Expressions of a snapshot with their names spliced: columns by what they are called physically, relations and types with
//! their schema, since a trigger's body is read under whatever search path the client has.

use crate::snapshot::model::{Expr, Schema};
use crate::sql::Dialect;
use crate::sql::expression::{query_references, row_references};
use crate::sql::shape::type_references;

use std::collections::BTreeMap;

use super::model::{RowExpr, Splice};

/// Where the names of one shape lead.
pub(super) struct Names<'a> {
    /// The schema that the expression was written against.
    pub(super) shape: &'a Schema,
    /// The dialect.
    pub(super) dialect: Dialect,
    /// The schema that types live in.
    pub(super) base: &'a str,
    /// What enums of the shape are called until contract, where that is not their name.
    pub(super) types: &'a BTreeMap<String, String>,
}

impl Names<'_> {
    /// An expression over a row of `table` (a name of the shape).
    pub(super) fn row(
        &self,
        expr: &Expr,
        table: &str,
        column: &dyn Fn(&str) -> Option<String>,
        relation: &dyn Fn(&str) -> Option<(String, String)>,
    ) -> RowExpr {
        let mut splices = Vec::new();
        let mut has_subquery = false;
        // The schema is consistent, so the text parses; if it did not, it would stand as it is.
        if let Ok(references) = row_references(&expr.text, self.dialect, table, self.shape) {
            has_subquery = references.has_subquery;
            for reference in references.columns {
                if let Some(physical) = column(&reference.name) {
                    splices.push((reference.span, Splice::Column(physical)));
                }
            }
            for reference in references.tables {
                if let (None, Some((schema, name))) = (&reference.schema, relation(&reference.name)) {
                    splices.push((reference.span, Splice::Relation(schema, name)));
                }
            }
        }
        self.types(&expr.text, &mut splices);
        splices.sort_by_key(|(range, _)| range.start);
        RowExpr { text: expr.text.clone(), splices, has_subquery }
    }

    /// A query.
    pub(super) fn query(&self, expr: &Expr, relation: &dyn Fn(&str) -> Option<(String, String)>) -> RowExpr {
        let mut splices = Vec::new();
        if let Ok(references) = query_references(&expr.text, self.dialect) {
            for reference in references.tables {
                if let (None, Some((schema, name))) = (&reference.schema, relation(&reference.name)) {
                    splices.push((reference.span, Splice::Relation(schema, name)));
                }
            }
        }
        self.types(&expr.text, &mut splices);
        splices.sort_by_key(|(range, _)| range.start);
        RowExpr { text: expr.text.clone(), splices, has_subquery: true }
    }

    fn types(&self, text: &str, splices: &mut Vec<(std::ops::Range<usize>, Splice)>) {
        if self.shape.enums.is_empty() {
            return;
        }
        for (name, range) in type_references(text, self.dialect) {
            if self.shape.enums.contains_key(&name) && !splices.iter().any(|(other, _)| other.start == range.start) {
                let physical = self.types.get(&name).cloned().unwrap_or(name);
                splices.push((range, Splice::Type(self.base.to_owned(), physical)));
            }
        }
    }
}
