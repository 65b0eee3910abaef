//! The whole schema of a database as ordered lines of text: what two databases must share to be called equal.

pub mod family;
mod postgres;

use crate::engine::{Connection, Failure};
pub use postgres::postgres;

/// Which part of a database a line of its catalog belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What the snapshots describe, and all that should not be there.
    Product,
    /// The version tables, which stay.
    Version,
    /// What crossfade needs while two versions run.
    Helper,
}

/// A fact of the catalog.
pub type Line = (Part, String);

/// The catalog of an SQLite database, sorted.
///
/// # Errors
/// When it can't be read.
pub fn sqlite(session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
    let rows = session.run("select type, name, tbl_name, sql from sqlite_schema where name not like 'sqlite!_%' escape '!'")?.rows;
    let mut lines = Vec::new();
    for row in rows {
        let [Some(kind), Some(name), Some(table), Some(sql)] = &row[..] else { continue };
        let words = words(sql);
        let of = if kind == "index" { sqlite_part(table) } else { sqlite_part(name) };
        if kind == "table" {
            lines.extend(table_lines(name, &words).into_iter().map(|line| (of, line)));
        } else {
            lines.push((of, format!("{kind} {name} {}", words.join(" "))));
        }
    }
    lines.sort();
    Ok(lines)
}

/// Version tables stay; what else has this prefix helps while two versions run.
pub fn sqlite_part(name: &str) -> Part {
    const STAY: [&str; 5] =
        ["crossfade_revision", "crossfade_journal", "crossfade_checkpoint", "crossfade_failing_row", "crossfade_version"];
    match name {
        name if STAY.contains(&name) => Part::Version,
        name if name.starts_with("crossfade_") => Part::Helper,
        _ => Part::Product,
    }
}

/// The words and signs of a definition, without comments, and with quotes only around names that need them.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let quoted = |close: char| {
            let mut end = 1;
            while let Some(offset) = rest[end..].find(close) {
                end += offset + close.len_utf8();
                if !rest[end..].starts_with(close) {
                    return end;
                }
                end += close.len_utf8();
            }
            rest.len()
        };
        let length = match first {
            _ if rest.starts_with("--") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            _ if rest.starts_with("/*") => {
                rest = &rest[rest.find("*/").map_or(rest.len(), |offset| offset + 2)..];
                continue;
            }
            first if first.is_whitespace() => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            '\'' | '"' | '`' => quoted(first),
            '[' => quoted(']'),
            first if first.is_alphanumeric() || first == '_' => {
                rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '$')).unwrap_or(rest.len())
            }
            first => first.len_utf8(),
        };
        let word = &rest[..length];
        let name = word.strip_prefix('"').and_then(|word| word.strip_suffix('"'));
        let simple = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
                && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        };
        words.push(name.filter(|name| simple(name)).unwrap_or(word).to_owned());
        rest = &rest[length..];
    }
    words
}

/// Each column and constraint of `create table` is a fact of its own, so that their order is none.
fn table_lines(name: &str, words: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut depth, mut item) = (0_usize, Vec::new());
    let mut options = Vec::new();
    for word in words.iter().skip_while(|word| *word != "(") {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        match (word.as_str(), depth) {
            ("(", 1) => {}
            (",", 1) | (")", 0) => lines.push(format!("in table {name}: {}", std::mem::take(&mut item).join(" "))),
            (word, 0) => options.push(word),
            (word, _) => item.push(word),
        }
    }
    lines.push(format!("table {name} {}", options.join(" ")));
    lines
}
