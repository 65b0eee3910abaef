//! The normal form of expressions and queries: two texts that differ only in what the server adds, drops or respells as it
//! stores them have the same one.
//!
//! It is built by rewriting the parser's tree, whose equality ignores positions. The rewrites are those of PostgreSQL's
//! `pg_get_expr` and `pg_get_viewdef` and of MySQL's and MariaDB's `information_schema`.

use std::mem;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Array, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Ident, JoinOperator, ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, TypedString,
    UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Span;

use super::Dialect;
use super::expression::ColumnTypes;
use super::parse::{fold, same_name};
use super::quote::is_reserved;

/// The normal form of an expression. `types` tells what is known of a column's type.
pub(super) fn expression(mut tree: Expr, dialect: Dialect, types: ColumnTypes<'_>) -> Expr {
    let _ = tree.visit(&mut Normalizer { dialect, types, selects: Vec::new() });
    tree
}

/// The normal form of a column's default: that of the expression, without a cast of a bare literal.
pub(super) fn default_value(tree: Expr, dialect: Dialect) -> Expr {
    match expression(tree, dialect, &|_| None) {
        Expr::Cast { expr, data_type, .. } if is_literal(&expr) => bare_literal(*expr, &data_type),
        tree => tree,
    }
}

/// The normal form of a query. `types` tells what is known of a column's type.
pub(super) fn query(mut tree: Query, dialect: Dialect, types: ColumnTypes<'_>) -> Query {
    let _ = tree.visit(&mut Normalizer { dialect, types, selects: Vec::new() });
    tree
}

struct Normalizer<'t> {
    dialect: Dialect,
    types: ColumnTypes<'t>,
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

/// Whether a literal beside a value of this type gets a cast to it.
fn takes_literals(name: &str) -> bool {
    matches!(name, "numeric" | "double precision")
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo)
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

impl Normalizer<'_> {
    fn compare(&self, left: Expr, op: BinaryOperator, right: Expr) -> Expr {
        let (left_strings, right_strings) = (is_strings(&left), is_strings(&right));
        let (left, right) = self.alike(self.as_text(left), self.as_text(right));
        binary(comparable(left, right_strings), op, comparable(right, left_strings))
    }

    /// The type of an expression as [`type_name`] has it, where it is plain to see without a cast.
    fn type_of(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Identifier(ident) => (self.types)(&ident.value),
            Expr::CompoundIdentifier(parts) => parts.last().and_then(|ident| (self.types)(&ident.value)),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => self.type_of(expr),
            Expr::BinaryOp { left, op, right } if is_arithmetic(op) => match (is_literal(left), is_literal(right)) {
                // A literal takes the type of a greater one beside it.
                (true, false) => self.type_of(right).filter(|name| takes_literals(name)),
                (false, true) => self.type_of(left).filter(|name| takes_literals(name)),
                _ => {
                    let (left, right) = (self.type_of(left)?, self.type_of(right)?);
                    (left == right).then_some(left)
                }
            },
            // https://www.postgresql.org/docs/18/functions-math.html
            Expr::Function(function) if function.name.to_string() == "random" => Some("double precision".to_owned()),
            _ => None,
        }
    }

    /// An operand or argument without the cast from one kind of text to another that PostgreSQL adds, since its functions and
    /// operators know `text` only.
    fn as_text(&self, operand: Expr) -> Expr {
        match operand {
            Expr::Cast { expr, data_type, kind, format } => {
                let to_text = self.postgres() && matches!(name_of(&data_type).as_str(), "text" | "varchar");
                let column = matches!(*expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                if to_text && column && self.type_of(&expr).is_some_and(|name| is_text_type(&name)) {
                    return *expr;
                }
                Expr::Cast { expr, data_type, kind, format }
            }
            other => other,
        }
    }

    /// Two operands without the cast of a number to the other one's type that PostgreSQL adds.
    fn alike(&self, left: Expr, right: Expr) -> (Expr, Expr) {
        if !self.postgres() {
            return (left, right);
        }
        let (left_type, right_type) = (self.type_of(&left), self.type_of(&right));
        (self.of_type(left, right_type), self.of_type(right, left_type))
    }

    /// An operand without a cast to `name`, the type that the other operand has by itself.
    fn of_type(&self, operand: Expr, name: Option<String>) -> Expr {
        match (operand, name) {
            (Expr::Cast { expr, data_type, kind, format }, Some(name)) => {
                let added = name_of(&data_type) == name && ((is_literal(&expr) && takes_literals(&name)) || self.widens(&expr, &name));
                if added { bare_literal(*expr, &data_type) } else { Expr::Cast { expr, data_type, kind, format } }
            }
            (operand, _) => operand,
        }
    }

    /// The type that the server gives to literals among values which must be of one type, as those of COALESCE and CASE must.
    fn common_type<'e>(&self, values: impl Iterator<Item = &'e Expr>) -> Option<String> {
        let mut known = values.filter_map(|value| self.type_of(value));
        let first = known.next()?;
        (known.all(|name| name == first) && (takes_literals(&first) || first == "bigint")).then_some(first)
    }

    /// A value without a cast to that type, if it is a literal that has it anyway.
    fn of_common_type(&self, value: Expr, name: Option<&str>) -> Expr {
        match value {
            Expr::Cast { expr, data_type, .. }
                if self.postgres()
                    && is_literal(&expr)
                    && name.is_some_and(|name| name_of(&data_type) == name)
                    && (name != Some("bigint") || expr.to_string().parse::<i64>().is_ok()) =>
            {
                *expr
            }
            other => other,
        }
    }

    /// Whether a column is of a number type that the server turns into `name` without being asked.
    fn widens(&self, expr: &Expr, name: &str) -> bool {
        // Implicit casts lead from left to right; https://www.postgresql.org/docs/18/typeconv-overview.html
        let rank = |name: &str| ["smallint", "integer", "bigint", "numeric", "real", "double precision"].iter().position(|n| *n == name);
        let column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        column && self.type_of(expr).and_then(|from| rank(&from)).zip(rank(name)).is_some_and(|(from, to)| from < to)
    }

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
                op if is_comparison(&op) => self.compare(*left, op, *right),
                op if is_arithmetic(&op) => {
                    let (left, right) = self.alike(*left, *right);
                    binary(left, op, right)
                }
                BinaryOperator::StringConcat => binary(self.as_text(*left), BinaryOperator::StringConcat, self.as_text(*right)),
                op => Expr::BinaryOp { left, op, right },
            },
            Expr::Between { expr, negated, low, high } => {
                let (low_op, high_op, joined) = if negated {
                    (BinaryOperator::Lt, BinaryOperator::Gt, BinaryOperator::Or)
                } else {
                    (BinaryOperator::GtEq, BinaryOperator::LtEq, BinaryOperator::And)
                };
                binary(self.compare((*expr).clone(), low_op, *low), joined, self.compare(*expr, high_op, *high))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } if self.postgres() => {
                let op = if negated { BinaryOperator::PGNotLikeMatch } else { BinaryOperator::PGLikeMatch };
                self.compare(*expr, op, *pattern)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } if self.postgres() => {
                let op = if negated { BinaryOperator::PGNotILikeMatch } else { BinaryOperator::PGILikeMatch };
                self.compare(*expr, op, *pattern)
            }
            Expr::InList { expr, mut list, negated } => {
                let single = if list.len() == 1 { list.pop() } else { None };
                match single {
                    Some(only) => self.compare(*expr, if negated { BinaryOperator::NotEq } else { BinaryOperator::Eq }, only),
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
            Expr::Case { case_token, end_token, operand, conditions, else_result } => {
                let common = self.common_type(conditions.iter().map(|when| &when.result).chain(else_result.as_deref()));
                let result = |result: Expr| self.of_common_type(self.as_text(result), common.as_deref());
                let when = |when: CaseWhen| CaseWhen { condition: when.condition, result: result(when.result) };
                let conditions = conditions.into_iter().map(when).collect();
                let else_result = else_result.map(|value| Box::new(result(*value)));
                Expr::Case { case_token, end_token, operand, conditions, else_result }
            }
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
        let mut name = type_name(data_type);
        // MariaDB prints the one as the other; in a cast they are one.
        if matches!(self.dialect, Dialect::Mysql | Dialect::Mariadb) && name.starts_with("varchar") {
            name.replace_range(..3, "");
        }
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

    /// The arguments without casts that PostgreSQL adds: of one kind of text to another, and of a sequence's name.
    fn arguments(&self, function: &mut Function) {
        let of_sequence = matches!(function.name.to_string().as_str(), "nextval" | "currval" | "setval");
        let of_one_type = matches!(function.name.to_string().as_str(), "coalesce" | "nullif" | "greatest" | "least");
        let FunctionArguments::List(list) = &mut function.args else { return };
        let common = of_one_type.then(|| {
            self.common_type(list.args.iter().filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            }))
        });
        let common = common.flatten();
        for argument in &mut list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { continue };
            *expr = match self.of_common_type(self.as_text(taken(expr)), common.as_deref()) {
                Expr::Cast { expr, data_type, .. } if of_sequence && string_of(&expr).is_some() && name_of(&data_type) == "regclass" => {
                    *expr
                }
                other => other,
            };
        }
    }

    /// On MySQL and MariaDB `now()`, `current_timestamp` and `current_timestamp()` are one function; PostgreSQL keeps `now()` and
    /// `CURRENT_TIMESTAMP` apart when it prints them.
    fn function(&self, mut function: Function) -> Function {
        if self.postgres() {
            self.arguments(&mut function);
            return function;
        }
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
                "octet_length" => "length",
                // As MySQL and MariaDB print `count(*)`.
                "count" => {
                    if let FunctionArguments::List(list) = &mut function.args
                        && let [FunctionArg::Unnamed(argument)] = list.args.as_mut_slice()
                        && matches!(argument, FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. })) if digits == "0")
                    {
                        *argument = FunctionArgExpr::Wildcard;
                    }
                    return function;
                }
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

/// The name that qualifies the columns of a query's only table.
fn only_table(select: &Select) -> Option<String> {
    match select.from.as_slice() {
        [one] if one.joins.is_empty() => match &one.relation {
            TableFactor::Table { name, alias, .. } => match alias {
                Some(alias) => Some(fold(&alias.name)),
                None => name.0.last().and_then(|part| part.as_ident()).map(fold),
            },
            _ => None,
        },
        _ => None,
    }
}

/// The name that a column of a query has when it is given none.
fn implied_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(ident) => Some(&ident.value),
        Expr::CompoundIdentifier(parts) => parts.last().map(|ident| ident.value.as_str()),
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str()),
        Expr::Cast { expr, .. } => implied_name(expr),
        Expr::Case { .. } => Some("case"),
        Expr::Exists { .. } => Some("exists"),
        Expr::Value(_) => Some("?column?"),
        _ => None,
    }
}

/// `order by 2` as what stands there.
fn by_place(key: &mut Expr, projection: &[SelectItem]) {
    let place = match &*key {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.parse::<usize>().ok(),
        _ => None,
    };
    let item = place.and_then(|place| projection.get(place.checked_sub(1)?));
    if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item {
        *key = expr.clone();
    }
}

/// `(a join b) join c` as `a join b join c`, and the words that may be left out in a join left out.
fn unnested(from: &mut TableWithJoins) {
    while let TableFactor::NestedJoin { table_with_joins, alias: None } = &mut from.relation {
        let TableWithJoins { relation, joins } = (**table_with_joins).clone();
        from.relation = relation;
        from.joins.splice(0..0, joins);
    }
    for join in &mut from.joins {
        join.join_operator = match mem::replace(&mut join.join_operator, JoinOperator::CrossApply) {
            JoinOperator::Inner(on) => JoinOperator::Join(on),
            JoinOperator::LeftOuter(on) => JoinOperator::Left(on),
            JoinOperator::RightOuter(on) => JoinOperator::Right(on),
            other => other,
        };
    }
}

/// The columns of a union have the names of its first branch; those of the others say nothing.
fn unnamed_branches(body: &mut SetExpr) {
    let SetExpr::SetOperation { left, right, .. } = body else { return };
    unnamed_branches(left);
    without_names(right);
}

fn without_names(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::ExprWithAlias { expr, .. } = item {
                    *item = SelectItem::UnnamedExpr(taken(expr));
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            without_names(left);
            without_names(right);
        }
        _ => {}
    }
}

impl VisitorMut for Normalizer<'_> {
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
        let only = only_table(select);
        self.selects.push(only);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.selects.pop();
        for item in &mut select.projection {
            // `select a as a`: the alias says nothing.
            if let SelectItem::ExprWithAlias { expr, alias } = item
                && implied_name(expr).is_some_and(|name| name == alias.value)
            {
                *item = SelectItem::UnnamedExpr(taken(expr));
            }
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            keys.iter_mut().for_each(|key| by_place(key, &select.projection));
        }
        select.from.iter_mut().for_each(unnested);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_ref()
            && let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            // What the rows are sorted by stands behind the SELECT, and sees its table all the same.
            let mut inside = Normalizer { dialect: self.dialect, types: self.types, selects: vec![only_table(select)] };
            for key in keys {
                let _ = key.expr.visit(&mut inside);
                by_place(&mut key.expr, &select.projection);
            }
        }
        unnamed_branches(&mut query.body);
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
