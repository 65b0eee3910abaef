//! Values worth trying: boundaries of each type, what the snapshots themselves speak of, and what the other side can't say.

use super::random::Random;
use super::shape::Side;
use crate::snapshot::model::{Column, Schema, Table, Type, TypeKind};
use crate::snapshot::types::{Family, family};
use crate::sql::Dialect;
use crate::sql::quote::literal;

/// Literals for a column, likely and unlikely ones.
pub(super) fn pool(column: &Column, schema: &Schema, mined: &[String], dialect: Dialect) -> Vec<String> {
    let mut pool = of_type(&column.ty, schema, dialect);
    let numeric = matches!(family(&column.ty), Some(Family::Integer | Family::Number));
    let textual = matches!(family(&column.ty), Some(Family::Text));
    for one in mined {
        let is_text = one.starts_with('\'');
        if (is_text && textual) || (!is_text && numeric) {
            pool.push(one.clone());
        }
    }
    pool
}

/// Whether a literal is a number that is small enough to be reckoned with, or none at all.
pub(super) fn is_moderate(literal: &str) -> bool {
    !literal.parse::<f64>().is_ok_and(|number| number.abs() > 1e6)
}

/// The highest number that a client gives where the server counts, too, by the type of the column.
fn top(column: &Column) -> usize {
    match &column.ty.kind {
        TypeKind::Native(_) => 100,
        _ => 3000,
    }
}

/// Numbers that a client of a version gives where a server counts, too: none that it comes to by itself, and low ones where it
/// begins to count with the new version, behind what the old one has given.
pub(super) fn numbers(column: &Column, side: Side) -> Vec<String> {
    let low: &[usize] = if column.identity.is_some() || side == Side::New { &[] } else { &[1, 2, 3] };
    low.iter().chain([&top(column)]).map(ToString::to_string).collect()
}

/// One that no row has yet. They go down: so none lies before the server wherever it goes on from the highest one.
pub(super) fn number(column: &Column, number: usize) -> Option<String> {
    top(column).checked_sub(number).filter(|number| *number > 0).map(|number| number.to_string())
}

/// Literals that the expressions of both snapshots speak of.
pub(super) fn mined(table: &Table, more: &[String]) -> Vec<String> {
    let texts = table.checks.iter().map(|check| check.expression.text.as_str()).chain(more.iter().map(String::as_str));
    let mut found = Vec::new();
    for text in texts {
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c == '\'' || c.is_ascii_digit()) {
            let tail = &rest[at..];
            let word_before = rest[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            if let Some(body) = tail.strip_prefix('\'') {
                let Some(end) = body.find('\'') else { break };
                found.push(format!("'{}'", &body[..end]));
                rest = &body[end + 1..];
            } else {
                let end = tail.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tail.len());
                if !word_before && let Ok(number) = tail[..end].parse::<i64>() {
                    found.extend([number.to_string(), number.saturating_add(1).to_string(), number.saturating_sub(1).to_string()]);
                }
                rest = &tail[end..];
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn of_type(ty: &Type, schema: &Schema, dialect: Dialect) -> Vec<String> {
    let plain = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let texts = |list: &[&str]| list.iter().map(|one| literal(one, dialect)).collect::<Vec<_>>();
    if ty.array_dimensions > 0 {
        return match &ty.kind {
            TypeKind::Enum(name) => schema.enums.get(name).map_or_else(Vec::new, |e| {
                let mut list: Vec<String> = e.labels.iter().map(|label| format!("'{{\"{label}\"}}'")).collect();
                list.push("'{}'".to_owned());
                list
            }),
            kind if matches!(family(&Type { kind: kind.clone(), array_dimensions: 0 }), Some(Family::Integer | Family::Number)) => {
                plain(&["'{}'", "'{1,2}'", "'{3,NULL}'"])
            }
            _ => plain(&["'{}'", "'{a,b}'"]),
        };
    }
    match &ty.kind {
        TypeKind::SmallInt => plain(&["0", "1", "-1", "7", "32767", "-32768"]),
        TypeKind::Integer => plain(&["0", "1", "-1", "7", "40000", "2147483647", "-2147483648"]),
        TypeKind::BigInt => plain(&["0", "1", "-1", "7", "3000000000", "9007199254740993", "9223372036854775807"]),
        TypeKind::Numeric { precision, scale } => {
            let mut list = plain(&["0", "1", "-1", "10"]);
            if scale.is_none_or(|scale| scale > 0) {
                list.extend(plain(&["0.5", "12.25", "-0.1"]));
            }
            if let Some(precision) = precision.filter(|precision| *precision < 19) {
                let whole = usize::try_from(i64::from(precision) - i64::from(scale.unwrap_or(0))).unwrap_or(1);
                list.push("9".repeat(whole.max(1)));
            }
            list
        }
        TypeKind::Real | TypeKind::Double => plain(&["0", "1.5", "-0.25", "1e10", "3"]),
        TypeKind::Boolean => plain(&["true", "false", "true", "false"]),
        TypeKind::Char(n) => strings(Some(*n), dialect),
        TypeKind::Varchar(n) => strings(*n, dialect),
        TypeKind::Text => strings(None, dialect),
        TypeKind::Bytea => match dialect {
            Dialect::Postgres => plain(&["'\\x'", "'\\x00ff'", "'\\x61'"]),
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => plain(&["x''", "x'00FF'", "x'61'"]),
        },
        TypeKind::Date => texts(&["2024-02-29", "1999-12-31", "2001-01-01"]),
        TypeKind::Time { zone: false, .. } => texts(&["00:00:00", "12:34:56", "23:59:59"]),
        TypeKind::Time { zone: true, .. } => texts(&["00:00:00+00", "12:34:56+02"]),
        TypeKind::Timestamp { zone: false, .. } => texts(&["2024-02-29 12:34:56", "1999-12-31 23:59:59", "2001-01-01 00:00:00"]),
        TypeKind::Timestamp { zone: true, .. } => match dialect {
            Dialect::Postgres => texts(&["2024-02-29 12:34:56+00", "1999-12-31 23:59:59+02"]),
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => texts(&["2024-02-29 12:34:56", "1999-12-31 23:59:59"]),
        },
        TypeKind::Interval => texts(&["1 day", "02:00:00", "3 mons"]),
        TypeKind::Uuid => texts(&["00000000-0000-4000-8000-000000000001", "123e4567-e89b-42d3-a456-426614174000"]),
        TypeKind::Json | TypeKind::Jsonb => texts(&["{}", "[1, 2]", "\"x\"", "null", "{\"a\": 1}"]),
        TypeKind::Enum(name) => schema.enums.get(name).map_or_else(Vec::new, |e| {
            let labels: Vec<&str> = e.labels.iter().map(String::as_str).collect();
            texts(&labels)
        }),
        TypeKind::Native(_) => match family(ty) {
            Some(Family::Integer) => plain(&["0", "1", "-1", "7", "127"]),
            Some(Family::Number) => plain(&["0", "1.5", "-0.25"]),
            Some(Family::Text) => strings(Some(20), dialect),
            Some(Family::DateTime { .. }) => texts(&["2024-02-29 12:34:56"]),
            Some(Family::TimeOfDay { .. }) => texts(&["12:34:56"]),
            None => plain(&["'1'", "'a'", "1"]),
        },
    }
}

fn strings(length: Option<u32>, dialect: Dialect) -> Vec<String> {
    let mut list: Vec<String> =
        ["", "a", "A", "ä€", "two words", " x ", "o'clock", "0", "null"].iter().map(|one| (*one).to_owned()).collect();
    if let Some(length) = length.and_then(|length| usize::try_from(length).ok()) {
        list.retain(|one| one.chars().count() <= length);
        if length <= 400 {
            list.push("x".repeat(length));
        }
    } else {
        list.push("three words here".to_owned());
        list.push("y".repeat(300));
    }
    list.iter().map(|one| literal(one, dialect)).collect()
}

/// A value that no row has yet, where the type has so many.
pub(super) fn fresh(column: &Column, number: usize, dialect: Dialect) -> Option<String> {
    match &column.ty.kind {
        _ if column.ty.array_dimensions > 0 => None,
        TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt | TypeKind::Numeric { .. } | TypeKind::Real | TypeKind::Double => {
            Some((100 + number).to_string())
        }
        TypeKind::Char(n) | TypeKind::Varchar(Some(n)) => {
            let text = format!("k{number}");
            (text.len() <= usize::try_from(*n).unwrap_or(usize::MAX)).then(|| literal(&text, dialect))
        }
        TypeKind::Varchar(None) | TypeKind::Text => Some(literal(&format!("k{number}"), dialect)),
        TypeKind::Uuid => Some(format!("'00000000-0000-4000-8000-{number:012}'")),
        TypeKind::Date => Some(format!("'20{:02}-{:02}-{:02}'", number % 90 + 10, number / 90 % 12 + 1, number / 1080 % 28 + 1)),
        TypeKind::Timestamp { .. } => Some(format!("'2020-01-01 {:02}:{:02}:{:02}'", number / 3600 % 24, number / 60 % 60, number % 60)),
        TypeKind::Native(_) => match family(&column.ty) {
            Some(Family::Integer | Family::Number) => Some((number % 100).to_string()),
            Some(Family::Text) => Some(literal(&format!("k{number}"), dialect)),
            _ => None,
        },
        TypeKind::Boolean
        | TypeKind::Bytea
        | TypeKind::Time { .. }
        | TypeKind::Interval
        | TypeKind::Json
        | TypeKind::Jsonb
        | TypeKind::Enum(_) => None,
    }
}

/// A value of a pool.
pub(super) fn any(pool: &[String], random: &mut Random) -> String {
    random.pick(pool).cloned().unwrap_or_else(|| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_in_expressions() {
        let text = "case when a = 'x y' then b1 > 30 and c < 1.5 end".to_owned();
        let empty = Table::empty("", crate::diagnostic::Span::default());
        assert_eq!(mined(&empty, &[text]), ["'x y'", "29", "30", "31"]);
    }
}
