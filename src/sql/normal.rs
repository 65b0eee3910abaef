//! The normal form of expressions and queries: two texts that differ only in what the server adds, drops or respells as it
//! stores them have the same one.
//!
//! It is built by rewriting the parser's tree, whose equality ignores positions. The rewrites are those of PostgreSQL's
//! `pg_get_expr` and `pg_get_viewdef` and of MySQL's and MariaDB's `information_schema`.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Array, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem,
    TableFactor, TypedString, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Span;

use super::Dialect;
use super::parse::{fold, same_name};
use super::quote::is_reserved;

/// The normal form of an expression.
pub(super) fn expression(mut tree: Expr, dialect: Dialect) -> Expr {
    let _ = tree.visit(&mut Normalizer { dialect, selects: Vec::new() });
    tree
}

/// The normal form of a column's default: that of the expression, without a cast of a bare literal.
pub(super) fn default_value(tree: Expr, dialect: Dialect) -> Expr {
    match expression(tree, dialect) {
        Expr::Cast { expr, data_type, .. } if is_literal(&expr) => bare_literal(*expr, &data_type),
        tree => tree,
    }
}

/// The normal form of a query.
pub(super) fn query(mut tree: Query, dialect: Dialect) -> Query {
    let _ = tree.visit(&mut Normalizer { dialect, selects: Vec::new() });
    tree
}

struct Normalizer {
    dialect: Dialect,
    /// For each SELECT around, the name that qualifies the columns of its only table (`None`: it has several).
    selects: Vec<Option<String>>,
}

fn taken(expr: &mut Expr) -> Expr {
    mem::replace(expr, null())
}

fn null() -> Expr {
    value(Value::Null)
}

fn value(value: Value) -> Expr {
    Expr::Value(ValueWithSpan { value, span: Span::empty() })
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => matches!(expr.as_ref(), Expr::Value(_)),
        _ => false,
    }
}

fn string_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

/// Whether an expression is made of string literals only: one, or an array of them.
fn is_strings(expr: &Expr) -> bool {
    match expr {
        Expr::Array(array) => array.elem.iter().all(|element| string_of(element).is_some()),
        other => string_of(other).is_some(),
    }
}

/// `'-1'` or `'2.50'` as the number that it spells.
fn number(text: &str) -> Option<Expr> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1;
    if !plain {
        return None;
    }
    let positive = value(Value::Number(digits.to_owned(), false));
    Some(if digits.len() < text.len() { Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(positive) } } else { positive })
}

/// A type as one lower-case spelling.
fn type_name(data_type: &DataType) -> String {
    let text = data_type.to_string().to_lowercase().replace('"', "");
    let (base, dimensions) = match text.find('[') {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let (word, arguments) = match base.find('(') {
        Some(at) => base.split_at(at),
        None => (base, ""),
    };
    let word = word.trim().strip_prefix("pg_catalog.").unwrap_or(word.trim());
    let arguments: String = arguments.split_whitespace().collect::<Vec<_>>().join(" ").replace(", ", ",");
    let zone = if arguments.contains("with time zone") { "tz" } else { "" };
    let arguments = arguments.replace(" without time zone", "").replace(" with time zone", "");
    let word = match word {
        "int" | "int4" | "signed" | "signed integer" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "float8" | "double" | "float" => "double precision",
        "float4" => "real",
        "decimal" | "dec" => "numeric",
        "bool" => "boolean",
        "character varying" | "char varying" => "varchar",
        "character" | "bpchar" => "char",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        other => other,
    };
    format!("{word}{zone}{arguments}{dimensions}")
}

fn is_text_type(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "char" | "name")
}

fn is_number_type(name: &str) -> bool {
    matches!(name, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision")
}

fn named_type(name: String) -> DataType {
    DataType::Custom(ObjectName::from(vec![Ident::new(name)]), Vec::new())
}

/// The name of a normalised type.
fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Custom(name, _) => name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect(),
        other => type_name(other),
    }
}

/// Types whose literals mean something else than the text that they are written as. A cast of a string to any other type that
/// is not in [`is_text_type`] is a cast to an enum or a domain, which the server adds.
const VALUE_TYPES: [&str; 33] = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "boolean",
    "bytea",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "macaddr",
    "xml",
    "bit",
    "varbit",
    "bit varying",
    "money",
    "point",
    "oid",
    "regclass",
    "regproc",
    "regtype",
    "tsvector",
    "tsquery",
    "binary",
];

fn is_value_type(name: &str) -> bool {
    let word = name.split(['(', '[']).next().unwrap_or(name);
    VALUE_TYPES.contains(&word) || name.contains('(') || name.contains('[')
}

/// A literal whose cast says nothing: a string that spells a number becomes one if the type is one of numbers.
fn bare_literal(literal: Expr, data_type: &DataType) -> Expr {
    let name = name_of(data_type);
    let word = name.split('(').next().unwrap_or(&name);
    match string_of(&literal).filter(|_| is_number_type(word)).and_then(number) {
        Some(number) => number,
        None => literal,
    }
}

/// An operand of a comparison without the casts that PostgreSQL adds to make both sides of one type.
fn comparable(operand: Expr, other_is_strings: bool) -> Expr {
    match operand {
        Expr::Cast { expr, data_type, kind, format } => {
            let name = name_of(&data_type);
            if is_literal(&expr) && is_number_type(&name) && (string_of(&expr).is_none() || string_of(&expr).and_then(number).is_some()) {
                return bare_literal(*expr, &data_type);
            }
            if other_is_strings && is_text_type(&name) && !matches!(*expr, Expr::Array(_)) {
                return *expr;
            }
            Expr::Cast { expr, data_type, kind, format }
        }
        other => other,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::PGLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGNotILikeMatch
            | BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
    )
}

fn compare(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    let (left_strings, right_strings) = (is_strings(&left), is_strings(&right));
    binary(comparable(left, right_strings), op, comparable(right, left_strings))
}

/// `a and (b and c)` as `(a and b) and c`: both connectives are associative, and PostgreSQL stores flat lists of them. Iterative,
/// as chains are long.
fn regrouped(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    let mut terms = Vec::new();
    let mut rest = right;
    loop {
        match rest {
            Expr::BinaryOp { left, op: inner, right } if inner == op => {
                terms.push(*right);
                rest = *left;
            }
            last => {
                terms.push(last);
                break;
            }
        }
    }
    terms.into_iter().rev().fold(left, |tree, term| binary(tree, op.clone(), term))
}

impl Normalizer {
    fn postgres(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    fn rewrite(&mut self, expr: Expr) -> Expr {
        match expr {
            Expr::Nested(inner) => *inner,
            Expr::CompoundIdentifier(mut parts) => {
                let only = self.selects.last().and_then(Option::as_deref);
                match (parts.as_slice(), only) {
                    ([qualifier, _], Some(only)) if same_name(&qualifier.value, only, self.dialect) => match parts.pop() {
                        Some(name) => Expr::Identifier(name),
                        None => Expr::CompoundIdentifier(parts),
                    },
                    _ => Expr::CompoundIdentifier(parts),
                }
            }
            Expr::Value(literal) => value(self.literal(literal.value)),
            Expr::Prefixed { prefix, value } if matches!(prefix.value.as_str(), "_utf8mb4" | "_utf8" | "_utf8mb3" | "_latin1") => *value,
            Expr::TypedString(TypedString { data_type, value: text, .. }) => {
                let text = value(self.literal(text.value));
                self.cast(CastKind::Cast, text, &data_type)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                self.cast(CastKind::Cast, *expr, &data_type)
            }
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => regrouped(*left, op, *right),
                op if is_comparison(&op) => compare(*left, op, *right),
                op => Expr::BinaryOp { left, op, right },
            },
            Expr::Between { expr, negated, low, high } => {
                let (low_op, high_op, joined) = if negated {
                    (BinaryOperator::Lt, BinaryOperator::Gt, BinaryOperator::Or)
                } else {
                    (BinaryOperator::GtEq, BinaryOperator::LtEq, BinaryOperator::And)
                };
                binary(compare((*expr).clone(), low_op, *low), joined, compare(*expr, high_op, *high))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } if self.postgres() => {
                let op = if negated { BinaryOperator::PGNotLikeMatch } else { BinaryOperator::PGLikeMatch };
                compare(*expr, op, *pattern)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } if self.postgres() => {
                let op = if negated { BinaryOperator::PGNotILikeMatch } else { BinaryOperator::PGILikeMatch };
                compare(*expr, op, *pattern)
            }
            Expr::InList { expr, mut list, negated } => {
                let single = if list.len() == 1 { list.pop() } else { None };
                match single {
                    Some(only) => compare(*expr, if negated { BinaryOperator::NotEq } else { BinaryOperator::Eq }, only),
                    None => self.member(*expr, Expr::Array(Array { elem: list, named: true }), negated),
                }
            }
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } if is_array(&right) => self.member(*left, *right, false),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } if is_array(&right) => self.member(*left, *right, true),
            Expr::AnyOp { left, compare_op, right, .. } => Expr::AnyOp { left, compare_op, right, is_some: false },
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                Expr::Substring { expr, substring_from, substring_for, special: true, shorthand: false }
            }
            Expr::Function(function) => Expr::Function(self.function(function)),
            other => other,
        }
    }

    /// `x in (…)`, as the list form, with the casts of its parts gone.
    fn member(&self, expr: Expr, array: Expr, negated: bool) -> Expr {
        let array = match array {
            // `(array['a', 'b'])::text[]`, added for a varchar column.
            Expr::Cast { expr, .. } => *expr,
            other => other,
        };
        let Expr::Array(array) = array else { return null() };
        let strings = array.elem.iter().all(|element| string_of(element).is_some());
        let elem = array.elem.into_iter().map(|element| comparable(element, false)).collect();
        Expr::InList { expr: Box::new(comparable(expr, strings)), list: elem, negated }
    }

    fn cast(&self, kind: CastKind, expr: Expr, data_type: &DataType) -> Expr {
        let name = type_name(data_type);
        if string_of(&expr).is_some() && (is_text_type(&name) || (self.postgres() && !is_value_type(&name))) {
            return expr;
        }
        // `'-1'::integer` is how PostgreSQL prints the constant -1.
        if name == "integer"
            && let Some(number) = string_of(&expr).filter(|text| text.parse::<i32>().is_ok()).and_then(number)
        {
            return number;
        }
        Expr::Cast { kind, expr: Box::new(expr), data_type: named_type(name), format: None }
    }

    /// Ways to write one string.
    fn literal(&self, literal: Value) -> Value {
        match literal {
            Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => Value::SingleQuotedString(text),
            Value::DollarQuotedString(text) => Value::SingleQuotedString(text.value),
            Value::DoubleQuotedString(text) if matches!(self.dialect, Dialect::Mysql | Dialect::Mariadb) => Value::SingleQuotedString(text),
            other => other,
        }
    }

    /// On MySQL and MariaDB `now()`, `current_timestamp` and `current_timestamp()` are one function; PostgreSQL keeps `now()` and
    /// `CURRENT_TIMESTAMP` apart when it prints them.
    fn function(&self, mut function: Function) -> Function {
        let single = match function.name.0.as_slice() {
            [only] => only.as_ident().map(|ident| ident.value.clone()),
            _ => None,
        };
        let empty = match &function.args {
            FunctionArguments::None => true,
            FunctionArguments::List(list) => list.args.is_empty() && list.clauses.is_empty() && list.duplicate_treatment.is_none(),
            FunctionArguments::Subquery(_) => false,
        };
        if let (Dialect::Mysql | Dialect::Mariadb, Some(name)) = (self.dialect, single) {
            let canonical = match name.as_str() {
                "now" | "localtime" | "localtimestamp" | "current_timestamp" => "current_timestamp",
                "curdate" | "current_date" => "current_date",
                "curtime" | "current_time" => "current_time",
                _ => return function,
            };
            function.name = ObjectName::from(vec![Ident::new(canonical)]);
            if empty {
                function.args = FunctionArguments::None;
            }
        }
        function
    }
}

fn is_array(expr: &Expr) -> bool {
    match expr {
        Expr::Array(_) => true,
        Expr::Cast { expr, data_type, .. } => {
            matches!(expr.as_ref(), Expr::Array(_)) && matches!(name_of(data_type).as_str(), "text[]" | "varchar[]" | "char[]")
        }
        _ => false,
    }
}

impl VisitorMut for Normalizer {
    type Break = ();

    fn pre_visit_ident(&mut self, ident: &mut Ident) -> ControlFlow<()> {
        let quoted = ident.quote_style.is_some();
        ident.value = match self.dialect {
            Dialect::Postgres => fold(ident),
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => ident.value.to_lowercase(),
        };
        // Quotes stay where they tell a name from something else, so that the normal form is unambiguous as text, too.
        let simple = ident.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        ident.quote_style = if simple && !(quoted && is_reserved(&ident.value, self.dialect)) { None } else { Some('"') };
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let only = match select.from.as_slice() {
            [one] if one.joins.is_empty() => match &one.relation {
                TableFactor::Table { name, alias, .. } => match alias {
                    Some(alias) => Some(fold(&alias.name)),
                    None => name.0.last().and_then(|part| part.as_ident()).map(fold),
                },
                _ => None,
            },
            _ => None,
        };
        self.selects.push(only);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.selects.pop();
        for item in &mut select.projection {
            // `select a as a`: the alias says nothing.
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                let own = match &*expr {
                    Expr::Identifier(ident) => Some(ident),
                    Expr::CompoundIdentifier(parts) => parts.last(),
                    _ => None,
                };
                if own == Some(alias) {
                    *item = SelectItem::UnnamedExpr(taken(expr));
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        // `from t as u` and `from t u`.
        if let TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } = factor {
            alias.explicit = false;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let old = taken(expr);
        *expr = self.rewrite(old);
        ControlFlow::Continue(())
    }
}
