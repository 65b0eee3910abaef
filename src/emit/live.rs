//! What a runner needs besides the scripts: the statements that a backfill by hand would be made of, with places for the bounds
//! of a batch, and the conditions under which a row disagrees.
//!
//! A backfill and a check are data first ([`Backfill`], [`Check`]): the manifest holds them, so that a folder of scripts is all
//! that a database needs.

use minijinja::context;
use serde::{Deserialize, Serialize};

use super::EmitError;
use super::templates::Templates;
use crate::sql::Dialect;

/// Work on the rows that were there before, by ranges of a key. All texts are SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Name of the checkpoint.
    pub name: String,
    /// The table that is walked.
    pub table: String,
    /// Its key.
    pub key: Vec<KeyColumn>,
    /// The columns that the new values are computed from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// What is done with the rows of a range.
    #[serde(flatten)]
    pub work: Work,
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// The column.
    pub column: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
}

/// What is done with the rows of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// They are updated.
    Update {
        /// The assignments.
        set: String,
        /// Which rows are not filled yet.
        unfilled: String,
    },
    /// They are copied into another table.
    Copy {
        /// The other table.
        target: String,
        /// Its columns.
        columns: String,
        /// Their values.
        values: String,
        /// Which rows are meant; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        meant: Option<String>,
        /// The other table's key.
        key: String,
    },
}

/// What the two shapes must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What it is, for people.
    pub what: String,
    /// The table.
    pub table: String,
    /// What names a row in a message.
    pub key: Vec<String>,
    /// The columns to show of a row that disagrees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// When a row disagrees.
    pub condition: String,
}

/// The statements of one backfill. Their values are the parts of keys, in the order of the key: the low bound (exclusive), where
/// there is one, then the high one (inclusive), then what else is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStatements {
    /// The highest key.
    pub top: String,
    /// Count and last key of the next batch, from the start on. Values: top, rows.
    pub next_from_start: String,
    /// The same from a key on. Values: low, top, rows.
    pub next: String,
    /// The batch, from the start on. Values: high.
    pub work_from_start: String,
    /// The same from a key on. Values: low, high.
    pub work: String,
    /// The work on one row. Values: its key.
    pub one: String,
    /// What the new values of one row are computed from, as JSON. Values: its key.
    pub row: String,
    /// Some keys in order, from the start on and from a key on; `None` where several workers would be no faster than one.
    pub sample: Option<Sample>,
    /// Takes away what the batches have left dead; `None` where nothing is.
    pub vacuum: Option<String>,
}

/// The statements that a range is divided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Some keys in order. Values: top, per cent of the table.
    pub from_start: String,
    /// The same from a key on. Values: low, top, per cent of the table.
    pub from_key: String,
}

/// The place of a value in a statement.
pub fn place(dialect: Dialect, number: usize) -> String {
    match dialect {
        Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => format!("${number}"),
        Dialect::Sqlite => format!("?{number}"),
    }
}

/// A value of a type out of its text.
fn of_text(dialect: Dialect, text: &str, ty: &str) -> String {
    match dialect {
        Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => format!("{text}::{ty}"),
        Dialect::Sqlite => format!("cast({text} as {ty})"),
    }
}

/// A value as text.
fn as_text(dialect: Dialect, value: &str) -> String {
    match dialect {
        Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => format!("{value}::text"),
        Dialect::Sqlite => format!("cast({value} as text)"),
    }
}

/// The statements of a backfill.
///
/// # Errors
/// When the dialect has no such templates.
pub fn batch_statements(dialect: Dialect, backfill: &Backfill) -> Result<BatchStatements, EmitError> {
    let templates = Templates::new();
    let columns: Vec<&str> = backfill.key.iter().map(|key| key.column.as_str()).collect();
    let width = columns.len();
    let row = |parts: Vec<String>| if parts.len() == 1 { parts.concat() } else { format!("({})", parts.join(", ")) };
    let places = |from: usize| row((from..).zip(&backfill.key).map(|(n, key)| of_text(dialect, &place(dialect, n), &key.ty)).collect());
    let (copy, sets, unfilled) = match &backfill.work {
        Work::Update { set, unfilled } => (None, Some(set), Some(unfilled)),
        Work::Copy { target, columns, values, meant, key } => (Some(context! { target, columns, values, meant, key }), None, None),
    };
    let render = |name: &str, from_key: bool| {
        let lows = from_key.then(|| places(1));
        let tops = if from_key { width + 1 } else { 1 };
        let behind = place(dialect, tops + width);
        templates.render(
            &[dialect.name(), "/run/", name].concat(),
            context! {
                table => &backfill.table,
                cols => columns.join(", "),
                cols_row => row(columns.iter().map(|column| (*column).to_owned()).collect()),
                cols_desc => columns.iter().map(|column| format!("{column} desc")).collect::<Vec<_>>().join(", "),
                // Under a name of its own: ORDER BY takes the name of a result before that of a column.
                texts => (1..).zip(&columns).map(|(n, column)| format!("{} as part_{n}", as_text(dialect, column))).collect::<Vec<_>>().join(", "),
                reads => pairs(dialect, &backfill.reads),
                lows,
                tops => places(tops),
                limit => &behind,
                percent => &behind,
                copy => &copy,
                sets,
                unfilled,
            },
        )
    };
    Ok(BatchStatements {
        top: render("top", false)?,
        next_from_start: render("next", false)?,
        next: render("next", true)?,
        work_from_start: render("batch", false)?,
        work: render("batch", true)?,
        one: render("one", false)?,
        row: render("row", false)?,
        sample: match dialect {
            Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => {
                Some(Sample { from_start: render("sample", false)?, from_key: render("sample", true)? })
            }
            // One connection writes at a time.
            Dialect::Sqlite => None,
        },
        vacuum: match (&backfill.work, dialect) {
            (Work::Copy { .. }, _) | (_, Dialect::Sqlite) => None,
            (Work::Update { .. }, Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb) => Some(render("vacuum", false)?),
        },
    })
}

/// `'name', column` for each column, at most as many as a function takes.
fn pairs(dialect: Dialect, columns: &[String]) -> String {
    let pair = |column: &String| {
        let name = column.trim_matches('"').replace('\'', "''");
        match dialect {
            Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => format!("'{name}', {column}"),
            // JSON holds no bytes.
            Dialect::Sqlite => format!("'{name}', iif(typeof({column}) = 'blob', quote({column}), {column})"),
        }
    };
    columns.iter().take(50).map(pair).collect::<Vec<_>>().join(", ")
}

/// Whether rows that were set aside count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside<'a> {
    /// All rows count.
    None,
    /// Those that these backfills set aside don't. The release is the statement's first value.
    Of(&'a [String]),
}

/// The statement that counts the rows which disagree.
///
/// # Errors
/// When the dialect has no such templates.
pub fn count_statement(dialect: Dialect, check: &Check, aside: Aside<'_>) -> Result<String, EmitError> {
    let aside = match aside {
        Aside::None => None,
        Aside::Of(names) => Some(names.iter().map(|name| crate::sql::quote::literal(name, dialect)).collect::<Vec<_>>().join(", ")),
    };
    let key = check.key.iter().map(|column| as_text(dialect, column)).collect::<Vec<_>>().join(", ");
    Templates::new()
        .render(&[dialect.name(), "/run/count"].concat(), context! { table => &check.table, condition => &check.condition, aside, key })
}

/// The statement that shows some rows which disagree: the parts of the key, then the columns as JSON.
///
/// # Errors
/// When the dialect has no such templates.
pub fn examples_statement(dialect: Dialect, check: &Check) -> Result<String, EmitError> {
    let columns = pairs(dialect, &check.columns);
    let shown = match dialect {
        _ if columns.is_empty() => "'{}'".to_owned(),
        Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => format!("jsonb_build_object({columns})::text"),
        Dialect::Sqlite => format!("json_object({columns})"),
    };
    let key = check.key.iter().map(|column| as_text(dialect, column)).collect::<Vec<_>>().join(", ");
    Templates::new()
        .render(&[dialect.name(), "/run/examples"].concat(), context! { table => &check.table, condition => &check.condition, key, shown })
}
