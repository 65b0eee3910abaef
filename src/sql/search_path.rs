//! Which expressions of PostgreSQL mean the same under every search path.

use std::ops::ControlFlow;

use sqlparser::ast::{ArrayElemTypeDef, BinaryOperator, DataType, Expr, ObjectName, Visit, Visitor};

use super::parse::fold;
use super::volatile::STEADY;

/// Names among [`STEADY`] that are functions of other servers or of extensions, and none of `pg_catalog` (`pg_proc` of version 15).
const ELSEWHERE: &[&str] = &[
    "adddate",
    "addtime",
    "bin",
    "bin_to_uuid",
    "connection_id",
    "conv",
    "convert_tz",
    "crc32",
    "curdate",
    "curtime",
    "database",
    "date_add",
    "date_format",
    "date_sub",
    "datediff",
    "datetime",
    "day",
    "dayname",
    "dayofweek",
    "dayofyear",
    "from_base64",
    "from_days",
    "from_unixtime",
    "glob",
    "hex",
    "hour",
    "if",
    "ifnull",
    "iif",
    "inet_aton",
    "inet_ntoa",
    "instr",
    "isnull",
    "json_array",
    "json_contains",
    "json_extract",
    "json_insert",
    "json_length",
    "json_merge_patch",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_unquote",
    "json_valid",
    "json_value",
    "julianday",
    "last_day",
    "locate",
    "log2",
    "makedate",
    "maketime",
    "minute",
    "month",
    "monthname",
    "nvl",
    "nvl2",
    "oct",
    "printf",
    "quarter",
    "quote",
    "schema",
    "second",
    "sha",
    "sha1",
    "sha2",
    "soundex",
    "space",
    "str_to_date",
    "strcmp",
    "strftime",
    "subdate",
    "substring_index",
    "subtime",
    "time_format",
    "timediff",
    "timestampadd",
    "timestampdiff",
    "to_base64",
    "to_days",
    "to_seconds",
    "truncate",
    "typeof",
    "unhex",
    "unicode",
    "unix_timestamp",
    "unixepoch",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "uuid_nil",
    "uuid_to_bin",
    "week",
    "weekday",
    "year",
];

/// Whether all that an expression names is the server's own, which no search path hides: `pg_catalog` is searched before all others
/// (<https://www.postgresql.org/docs/18/ddl-schemas.html#DDL-SCHEMAS-CATALOG>). What is not known to be its own is taken for the
/// user's.
pub(super) fn independent(tree: &Expr) -> bool {
    tree.visit(&mut Seeker).is_continue()
}

struct Seeker;

impl Seeker {
    fn is_own(expr: &Expr) -> bool {
        match expr {
            Expr::Function(function) => {
                let parts: Vec<String> = function.name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
                match parts.as_slice() {
                    [name] => STEADY.contains(&name.as_str()) && !ELSEWHERE.contains(&name.as_str()),
                    // Another schema is named, or a schema of the base is: neither is looked for. It may call what is.
                    [schema, _] => schema == "pg_catalog",
                    _ => false,
                }
            }
            Expr::Cast { data_type, .. } => is_own_type(data_type),
            Expr::BinaryOp { op, .. } => matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::StringConcat
                    | BinaryOperator::Gt
                    | BinaryOperator::Lt
                    | BinaryOperator::GtEq
                    | BinaryOperator::LtEq
                    | BinaryOperator::Eq
                    | BinaryOperator::NotEq
                    | BinaryOperator::And
                    | BinaryOperator::Or
                    | BinaryOperator::Arrow
                    | BinaryOperator::LongArrow
                    | BinaryOperator::PGRegexMatch
                    | BinaryOperator::PGRegexIMatch
                    | BinaryOperator::PGRegexNotMatch
                    | BinaryOperator::PGRegexNotIMatch
            ),
            _ => true,
        }
    }
}

/// Whether a type is built in or has its schema with it.
fn is_own_type(ty: &DataType) -> bool {
    match ty {
        DataType::Custom(name, _) => name.0.len() > 1,
        DataType::Array(ArrayElemTypeDef::AngleBracket(inner) | ArrayElemTypeDef::Parenthesis(inner))
        | DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => is_own_type(inner),
        DataType::Array(ArrayElemTypeDef::None) => false,
        _ => true,
    }
}

impl Visitor for Seeker {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if relation.0.len() > 1 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if Self::is_own(expr) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
