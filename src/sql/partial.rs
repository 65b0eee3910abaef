//! Which expressions have no value for some rows: the server gives an error instead.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, DataType, Expr, Query, Value, Visit, Visitor};

use super::Dialect;
use super::parse::fold;
use super::range::{self, Domain, fits, number};

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

/// Why an expression has no value for some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// It casts a text to something else, or divides by what may be 0.
    Undefined,
    /// A number in it, or its result, may lie outside of the type that it is put into.
    Overflow,
}

impl Failing {
    /// In brackets, for readers.
    pub fn name(self) -> &'static str {
        match self {
            Failing::Undefined => "a cast, a division",
            Failing::Overflow => "a number out of range",
        }
    }
}

/// Why an expression fails on some rows, if it does. `domain` tells what is known of columns, `target` of the column that the
/// result is put into.
pub(super) fn why_fails(tree: &Expr, dialect: Dialect, domain: &dyn Fn(&str) -> Domain, target: Domain) -> Option<Failing> {
    let mut seeker = Seeker { dialect, domain, queries: 0, overflows: false };
    if tree.visit(&mut seeker).is_break() {
        return Some(Failing::Undefined);
    }
    // A number of SQLite that leaves the integers becomes a float, and a column there takes any number.
    if dialect == Dialect::Sqlite {
        return None;
    }
    let overflows = seeker.overflows || number(tree, dialect, domain).is_some_and(|result| !fits(&result, target));
    overflows.then_some(Failing::Overflow)
}

struct Seeker<'a> {
    dialect: Dialect,
    domain: &'a dyn Fn(&str) -> Domain,
    /// How many queries are around: the columns in them may be those of other tables.
    queries: usize,
    overflows: bool,
}

impl Seeker<'_> {
    fn gives_text(&self, expr: &Expr) -> bool {
        let is_text = |name: &str| (self.domain)(name) == Domain::Text;
        match expr {
            Expr::Nested(inner) => self.gives_text(inner),
            Expr::Identifier(name) => is_text(&fold(name)),
            Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| is_text(&fold(name))),
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

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let fails = match expr {
            Expr::Cast { expr, data_type, .. } => self.gives_text(expr) && !is_text_type(data_type),
            Expr::BinaryOp { op: BinaryOperator::Divide | BinaryOperator::Modulo, right, .. } => may_be_zero(right),
            _ => false,
        };
        self.overflows |= self.queries == 0 && range::overflows(expr, self.dialect, self.domain);
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
    use crate::sql::expression::{Domain, Failing, why_fails};

    fn why(dialect: Dialect, text: &str, target: Domain) -> Option<Failing> {
        let integer = |bits: u32| Domain::Integer { low: -(1 << (bits - 1)), high: (1 << (bits - 1)) - 1 };
        let domain = |name: &str| match name {
            "label" => Domain::Text,
            "tiny" => integer(16),
            "price" => integer(32),
            "big" => integer(64),
            "natural" => Domain::Integer { low: 0, high: (1 << 32) - 1 },
            "amount" => Domain::Decimal { precision: 10, scale: 2 },
            "wide" => Domain::Decimal { precision: 65, scale: 30 },
            "any" => Domain::AnyDecimal,
            "weight" => Domain::Float,
            _ => Domain::Other,
        };
        why_fails(text, dialect, &domain, target)
    }

    const INT: Domain = Domain::Integer { low: -(1 << 31), high: (1 << 31) - 1 };
    const BIG: Domain = Domain::Integer { low: -(1 << 63), high: (1 << 63) - 1 };

    #[test]
    fn casts_of_texts_and_quotients_may_fail() {
        let fails = |text: &str| why(Dialect::Postgres, text, Domain::Other) == Some(Failing::Undefined);
        for text in
            ["label::integer", "cast(label as date)", "coalesce((label)::int, 0)", "split_part(label, ':', 1)::int", "a / b", "a % 0"]
        {
            assert!(fails(text), "{text}");
        }
        for text in ["label::varchar", "amount::integer", "length(label)", "a / 100.0", "a / nullif(b, 0)", "a * b", "5 / -2"] {
            assert!(!fails(text), "{text}");
        }
    }

    #[test]
    fn numbers_may_leave_their_type() {
        let check = |dialect: Dialect, target: Domain, fails: &[&str], holds: &[&str]| {
            for text in fails {
                assert_eq!(why(dialect, text, target), Some(Failing::Overflow), "{dialect:?} {text}");
            }
            for text in holds {
                assert_eq!(why(dialect, text, target), None, "{dialect:?} {text}");
            }
        };
        // PostgreSQL computes in the wider type of the two: the column that takes the result does not help.
        check(
            Dialect::Postgres,
            BIG,
            &["price * 2", "price + 1", "-price", "abs(price)", "big + 1", "-big", "big * price", "(price)::smallint", "any", "weight"],
            &[
                "price",
                "price::bigint * 2",
                "tiny * 2",
                "tiny + price::bigint",
                "price + 3000000000",
                "price % 10",
                "coalesce(tiny, 0) * 100",
                "amount * 100",
                "round(amount * 100)::bigint",
                "now() - since",
                "length(label) + 1",
                "(select price * 2 from others)",
                "case when price > 0 then tiny * 3 end",
            ],
        );
        check(Dialect::Postgres, INT, &["big", "tiny * 100000", "amount * 100"], &["tiny * 100", "big % 1000", "round(amount)::int"]);
        // MySQL computes in 64 bits, and never below 0 where one of the two has no sign.
        check(
            Dialect::Mysql,
            BIG,
            &["big * 2", "natural - 1", "big + price", "price * price * price * price", "any", "big * natural"],
            &["price * 2", "price + 1", "-price", "price * price", "natural + price % 1", "natural * 2", "-natural"],
        );
        check(
            Dialect::Mysql,
            INT,
            &["price * 2", "price + 1", "big", "natural"],
            &["price", "tiny * 2", "least(greatest(tiny * 100000, 0), 5)"],
        );
        check(Dialect::Mariadb, INT, &["price * 2"], &["price / 2", "least(greatest(price * 2, -100), 100)"]);
        let money = Domain::Decimal { precision: 10, scale: 2 };
        check(
            Dialect::Mysql,
            money,
            &["amount * 2", "amount + 0.01", "price", "wide", "weight"],
            &["amount", "-amount", "amount / 2", "price / 100", "coalesce(amount, 0)", "tiny * 100"],
        );
        check(Dialect::Mysql, Domain::Decimal { precision: 65, scale: 30 }, &["wide + 1"], &["wide", "coalesce(wide, 0)", "-wide"]);
        check(Dialect::Postgres, Domain::AnyDecimal, &["price * price"], &["any * 2", "amount * amount", "weight", "wide * wide"]);
        // Nothing is refused there.
        check(Dialect::Sqlite, INT, &[], &["big * 2", "-big"]);
    }
}
