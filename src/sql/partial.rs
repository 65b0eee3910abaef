//! Which expressions have no value for some rows: the server gives an error instead.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, DataType, Expr, Value, Visit, Visitor};

use super::parse::fold;

/// Functions whose text is whatever the row has.
const TEXTS: &[&str] = &[
    "btrim",
    "left",
    "lower",
    "ltrim",
    "regexp_replace",
    "replace",
    "right",
    "rtrim",
    "split_part",
    "substr",
    "substring",
    "trim",
    "upper",
];

/// Whether an expression casts a text to something else, or divides by what may be 0. `is_text` tells which columns are texts.
pub(super) fn may_fail(tree: &Expr, is_text: &dyn Fn(&str) -> bool) -> bool {
    tree.visit(&mut Seeker { is_text }).is_break()
}

struct Seeker<'a> {
    is_text: &'a dyn Fn(&str) -> bool,
}

impl Seeker<'_> {
    fn gives_text(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Nested(inner) => self.gives_text(inner),
            Expr::Identifier(name) => (self.is_text)(&fold(name)),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| (self.is_text)(&fold(name))),
            Expr::Trim { .. } | Expr::Substring { .. } => true,
            Expr::Function(function) => {
                function.name.0.last().and_then(|part| part.as_ident()).is_some_and(|name| TEXTS.contains(&fold(name).as_str()))
            }
            _ => false,
        }
    }
}

impl Visitor for Seeker<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let fails = match expr {
            Expr::Cast { expr, data_type, .. } => self.gives_text(expr) && !is_text_type(data_type),
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => may_be_zero(right),
            _ => false,
        };
        if fails { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn is_text_type(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Text
            | DataType::Varchar(_)
            | DataType::CharacterVarying(_)
            | DataType::Char(_)
            | DataType::Character(_)
            | DataType::String(_)
    )
}

fn may_be_zero(divisor: &Expr) -> bool {
    match divisor {
        Expr::Nested(inner) => may_be_zero(inner),
        Expr::Cast { expr, .. } => may_be_zero(expr),
        Expr::UnaryOp { expr, .. } => may_be_zero(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => !number.chars().any(|digit| ('1'..='9').contains(&digit)),
            _ => true,
        },
        // What it makes of 0 is NULL, and so is the quotient.
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).is_none_or(|name| fold(name) != "nullif"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::expression::may_fail;

    #[test]
    fn casts_of_texts_and_quotients_may_fail() {
        let fails = |text: &str| may_fail(text, Dialect::Postgres, &|name| name == "label");
        for text in
            ["label::integer", "cast(label as date)", "coalesce((label)::int, 0)", "split_part(label, ':', 1)::int", "a / b", "a % 0"]
        {
            assert!(fails(text), "{text}");
        }
        for text in ["label::varchar", "amount::integer", "length(label)", "a / 100.0", "a / nullif(b, 0)", "a * b", "5 / -2"] {
            assert!(!fails(text), "{text}");
        }
    }
}
