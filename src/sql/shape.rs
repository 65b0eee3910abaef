//! Questions to a parsed text that go beyond columns and tables: the types that it names, and whether one query only adds
//! columns to another.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{ArrayElemTypeDef, DataType, Expr, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Visit, Visitor};

use super::parse::{Source, fold};
use super::{Dialect, normal, parse};

/// The types without a schema that casts and typed literals of an expression or a query name, with their places.
/// What does not parse names none.
pub fn type_references(text: &str, dialect: Dialect) -> Vec<(String, Range<usize>)> {
    let mut reader = Types { source: Source::new(text), found: Vec::new() };
    match parse::expression(text, dialect) {
        Ok(tree) => {
            let _ = tree.visit(&mut reader);
        }
        Err(_) => {
            if let Ok(tree) = parse::query(text, dialect) {
                let _ = tree.visit(&mut reader);
            }
        }
    }
    reader.found.sort_by_key(|(_, range)| range.start);
    reader.found.dedup();
    reader.found
}

struct Types<'a> {
    source: Source<'a>,
    found: Vec<(String, Range<usize>)>,
}

impl Types<'_> {
    fn note(&mut self, ty: &DataType) {
        match ty {
            DataType::Custom(ObjectName(parts), _) => {
                if let [ObjectNamePart::Identifier(ident)] = parts.as_slice() {
                    self.found.push((fold(ident), self.source.range(ident.span)));
                }
            }
            DataType::Array(
                ArrayElemTypeDef::AngleBracket(element)
                | ArrayElemTypeDef::SquareBracket(element, _)
                | ArrayElemTypeDef::Parenthesis(element),
            ) => self.note(element),
            _ => {}
        }
    }
}

impl Visitor for Types<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { data_type, .. } => self.note(data_type),
            Expr::TypedString(typed) => self.note(&typed.data_type),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether `new` is `old` with output columns added behind the last one and nothing else changed: what
/// `create or replace view` allows without a change to what is read through the view so far.
pub fn query_extends(old: &str, new: &str, dialect: Dialect) -> bool {
    let (Ok(old), Ok(new)) = (parse::query(old, dialect), parse::query(new, dialect)) else { return false };
    let mut old = normal::query(old, dialect, &|_| None);
    let mut new = normal::query(new, dialect, &|_| None);
    let (Some(before), Some(after)) = (take_output(&mut old), take_output(&mut new)) else { return false };
    old == new && after.len() >= before.len() && after[..before.len()] == before[..] && !before.iter().any(is_wildcard)
}

/// Takes the list of output columns out of a plain SELECT.
fn take_output(query: &mut Query) -> Option<Vec<SelectItem>> {
    match query.body.as_mut() {
        SetExpr::Select(select) if select.distinct.is_none() => Some(std::mem::take(&mut select.projection)),
        _ => None,
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_named_by_casts_are_found_where_they_stand() {
        let text = "case when a then 'x'::Mood else cast(b as \"Odd\") end";
        let found = type_references(text, Dialect::Postgres);
        let named: Vec<(&str, &str)> = found.iter().map(|(name, range)| (name.as_str(), &text[range.clone()])).collect();
        assert_eq!(named, [("mood", "Mood"), ("Odd", "\"Odd\"")]);
        assert!(type_references("a::integer + 1", Dialect::Postgres).is_empty());
    }

    #[test]
    fn a_query_extends_another_only_by_columns_behind_the_last() {
        let extends = |old, new| query_extends(old, new, Dialect::Postgres);
        assert!(extends("select id, name from users where x", "SELECT id, name, age FROM users WHERE x"));
        assert!(!extends("select id, name from users", "select name, id, age from users"));
        assert!(!extends("select id from users", "select id, age from users where x"));
        assert!(!extends("select * from users", "select *, 1 from users"));
        assert!(!extends("select distinct id from users", "select distinct id, age from users"));
    }
}
