//! A live database as a snapshot: its catalog becomes a schema, and that the text of a snapshot, which `snapshot::read` reads like
//! any other. A folder a dialect.
//!
//! Invariant: the database is only read, and nothing in it is passed over in silence: what the format has no words for comes
//! back as [`LeftOut`], by kind and name. What crossfade itself keeps there is no part of a schema.

mod align;
pub mod mysql_like;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use align::align;

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Span};
use crate::snapshot;
use crate::snapshot::model::{Expr, Name, ReferentialAction, Schema};
use crate::sql::Dialect;
use crate::sql::expression::query_references;
use crate::sql::quote::ident;
use crate::sql::tokens::Cursor;

/// What a database holds and a snapshot can't say: an object, or a property of one that is read without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub struct LeftOut {
    /// What it is, in the plural: `functions`.
    pub kind: String,
    /// Which one.
    pub name: String,
}

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its schema as the text of a snapshot.
    pub text: String,
    /// What is not in the text, sorted.
    pub left_out: Vec<LeftOut>,
    /// The two versions that it serves, when it is on its way from one to the other.
    pub between: Option<(String, String)>,
    /// The collation that columns of a table have where they name none (MySQL, MariaDB), by table.
    pub collations: BTreeMap<String, String>,
}

/// What a dialect's reader found.
struct Found {
    schema: Schema,
    /// The version, if the database knows it.
    version: Option<String>,
    between: Option<(String, String)>,
    left_out: Vec<LeftOut>,
    collations: BTreeMap<String, String>,
}

impl Found {
    /// `name` is the version's, if the database does not know it.
    fn write(mut self, name: &str, dialect: Dialect) -> Inspected {
        self.schema.version = self.version.unwrap_or_else(|| name.to_owned());
        self.schema.release.clone_from(&self.schema.version);
        Inspected {
            text: snapshot::write(&self.schema, dialect),
            left_out: self.left_out,
            between: self.between,
            collations: self.collations,
        }
    }
}

impl Inspected {
    /// The statements of a script that define something and were not understood, each with its line: without them the schema has
    /// a hole, and a plan from it would be wrong.
    pub fn holes(&self) -> Vec<&str> {
        let defines = |name: &str| {
            let statement = name.split_once(": ").map_or("", |(_, statement)| statement).to_lowercase();
            // What follows COPY are rows and no SQL: where they end can't be told from their quotes.
            ["create ", "alter ", "drop ", "copy "].iter().any(|word| statement.starts_with(word))
        };
        let unread = self.left_out.iter().filter(|left| left.kind == NOT_UNDERSTOOD && defines(&left.name));
        unread.map(|left| left.name.as_str()).collect()
    }

    /// Warnings about what is not in the text: one a kind, with every name.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut warnings = Vec::new();
        if let Some((old, new)) = &self.between {
            warnings.push(
                Diagnostic::warning(
                    "between-versions",
                    format!("the database is on its way from `{old}` to `{new}`: its tables hold parts of both"),
                )
                .help("finish with contract or go back with abort, then read it again"),
            );
        }
        for same in self.left_out.chunk_by(|a, b| a.kind == b.kind) {
            let names: Vec<&str> = same.iter().map(|left| left.name.as_str()).collect();
            let kind = same.first().map_or("", |left| left.kind.as_str());
            warnings.push(Diagnostic::warning(
                "outside-format",
                format!("not read, as a snapshot has no words for it: {kind}: {}", names.join(", ")),
            ));
        }
        warnings
    }
}

/// Whether a name is one of those that crossfade gives while two versions run.
fn is_ours(name: &str) -> bool {
    name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("crossfade_"))
}

fn expr(text: &str) -> Expr {
    Expr { text: without_parentheses(text).to_owned(), span: Span::default() }
}

fn given(text: &str) -> Name {
    Name { text: text.to_owned(), conventional: false, span: Span::default() }
}

/// The place of the parenthesis that closes the one at the start of `text`. What stands in quotes does not count.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// A text without the parentheses around all of it.
fn without_parentheses(text: &str) -> &str {
    let mut text = text.trim();
    while text.starts_with('(') && closing(text) == Some(text.len() - 1) {
        text = text.get(1..text.len() - 1).unwrap_or_default().trim();
    }
    text
}

/// The name of a rule that has none in the database.
fn unnamed(text: &str) -> Name {
    Name { conventional: true, ..given(text) }
}

/// What stands behind `on delete` or `on update`.
fn action_words(cursor: &mut Cursor<'_>) -> Option<ReferentialAction> {
    Some(if cursor.eat("cascade") {
        ReferentialAction::Cascade
    } else if cursor.eat("restrict") {
        ReferentialAction::Restrict
    } else if cursor.eat("no action") {
        ReferentialAction::NoAction
    } else if cursor.eat("set null") {
        ReferentialAction::SetNull(Vec::new())
    } else if cursor.eat("set default") {
        ReferentialAction::SetDefault(Vec::new())
    } else {
        return None;
    })
}

/// Leaves out views over what is left out, and views over those.
fn closing_views(schema: &mut Schema, left_out: &mut Vec<LeftOut>, dialect: Dialect) {
    loop {
        let there = |name: &str| schema.tables.keys().chain(schema.views.keys()).any(|known| known.eq_ignore_ascii_case(name));
        let blind = schema.views.values().find(|view| {
            let found = query_references(&view.query.text, dialect);
            found.is_ok_and(|found| found.tables.iter().any(|table| table.schema.is_some() || !there(&table.name)))
        });
        let Some(name) = blind.map(|view| view.name.clone()) else { return };
        schema.views.shift_remove(&name);
        left_out.push(LeftOut { kind: "views over what is left out".to_owned(), name: ident(&name, dialect) });
    }
}

/// The kind of [`LeftOut`] that a statement of a script is of which nothing was made.
const NOT_UNDERSTOOD: &str = "statements that are not understood";

/// A statement of a script that nothing was made of.
fn unread(line: usize, text: &str) -> LeftOut {
    let start: String = text.split_whitespace().take(6).collect::<Vec<_>>().join(" ");
    LeftOut { kind: NOT_UNDERSTOOD.to_owned(), name: format!("line {line}: {start}") }
}
