//! Expressions and queries: what they refer to, whether two mean the same, and putting other names into one by span.

use std::ops::Range;

use super::Dialect;

/// Why a text is not the SQL that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in the parser's words, without its position.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
}

/// A reference to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    /// The table or alias before the dot, folded; `None` when there is none.
    pub qualifier: Option<String>,
    /// The column, folded as the dialect folds (a quoted name stands as it is).
    pub name: String,
    /// The whole reference in the text, qualifier included.
    pub span: Range<usize>,
}

/// A reference to a table or view in a FROM clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRef {
    /// The schema before the dot, if any.
    pub schema: Option<String>,
    /// The table, folded.
    pub name: String,
    /// Its alias, folded.
    pub alias: Option<String>,
    /// The name in the text, schema included and alias excluded.
    pub span: Range<usize>,
}

/// What an expression over one row refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Columns of the row, in the order of the text. A name in a subquery belongs to the row when no table of the subquery has it.
    pub columns: Vec<ColumnRef>,
    /// Tables that subqueries read (names of common table expressions are not among them).
    pub tables: Vec<TableRef>,
    /// Whether there is a subquery (PostgreSQL allows none in checks, trigger conditions and generated columns).
    pub has_subquery: bool,
}

/// Puts other texts in place of parts of `text`. The ranges must not overlap; they may come in any order.
pub fn replace(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut edits: Vec<_> = edits.iter().collect();
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, with) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(with);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// What `text`, an expression over a row of `row_table`, refers to.
///
/// # Errors
/// When `text` is no expression of the dialect.
pub fn row_references(_text: &str, _dialect: Dialect, _row_table: &str, _scope: &dyn super::Scope) -> Result<References, SyntaxError> {
    Ok(References::default())
}
