//! What a runner needs besides the scripts: the statements that a backfill by hand would be made of, with places for the bounds
//! of a batch, and the conditions under which a row disagrees.
//!
//! A backfill and a check are data first ([`Backfill`], [`Check`]): the manifest holds them, so that a folder of scripts is all
//! that a database needs.

use minijinja::context;
use serde::{Deserialize, Serialize};

use super::EmitError;
use super::templates::Templates;
use crate::plan::model::Formula;
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

/// Whether a batch locks its rows by a statement of its own, which does not wait: MySQL's sessions wait a second at least, while
/// MariaDB's can be set not to wait for rows.
pub(super) fn rows_are_locked_first(dialect: Dialect) -> bool {
    dialect == Dialect::Mysql
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
    /// Whether it is looked at until migrate has ended only: what is found later is the new version's own word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_migrated: bool,
}

/// The statements of one backfill. Their values are the parts of keys, in the order of the key: the low bound (exclusive), where
/// there is one, then the high one (inclusive), then what else is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStatements {
    /// The highest key.
    pub top: String,
    /// Last key of the next batch, from the start on; no row where fewer rows are left than a batch has. Values: top, rows - 1.
    pub bound_from_start: String,
    /// The same from a key on. Values: low, top, rows - 1.
    pub bound: String,
    /// Count and last key of the next batch, from the start on, for the last one: the count costs more than the key. Values: top, rows.
    pub next_from_start: String,
    /// The same from a key on. Values: low, top, rows.
    pub next: String,
    /// Locks the rows of the batch or fails at once, from the start on, where a batch would wait for them otherwise. Values: high.
    pub lock_from_start: Option<String>,
    /// The same from a key on. Values: low, high.
    pub lock: Option<String>,
    /// Waits for one row, where no batch waits. Values: its key.
    pub alone: Option<String>,
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
    Tongue(dialect).place(number)
}

/// The statements of a backfill.
///
/// # Errors
/// When the dialect has no such templates.
pub fn batch_statements(dialect: Dialect, backfill: &Backfill) -> Result<BatchStatements, EmitError> {
    let templates = Templates::new();
    let tongue = Tongue(dialect);
    let columns: Vec<&str> = backfill.key.iter().map(|key| key.column.as_str()).collect();
    let width = columns.len();
    let (copy, sets, unfilled) = match &backfill.work {
        Work::Update { set, unfilled } => (None, Some(set), Some(unfilled)),
        Work::Copy { target, columns, values, meant, key } => (Some(context! { target, columns, values, meant, key }), None, None),
    };
    let family = matches!(dialect, Dialect::Mysql | Dialect::Mariadb);
    let locks = rows_are_locked_first(dialect);
    let render = |name: &str, from_key: bool| {
        let first = if from_key { width + 1 } else { 1 };
        let behind = tongue.place(first + width);
        templates.render(
            &[tongue.folder(), "/run/", name].concat(),
            context! {
                table => &backfill.table,
                cols => columns.join(", "),
                first => columns.first().copied(),
                cols_desc => columns.iter().map(|column| format!("{column} desc")).collect::<Vec<_>>().join(", "),
                // Under a name of its own: ORDER BY takes the name of a result before that of a column.
                texts => (1..).zip(&backfill.key).map(|(n, key)| format!("{} as part_{n}", tongue.text(key))).collect::<Vec<_>>().join(", "),
                reads => pairs(dialect, &backfill.reads),
                above => from_key.then(|| tongue.beyond(&backfill.key, ">", 1)),
                up_to => tongue.beyond(&backfill.key, "<=", first),
                is => tongue.beyond(&backfill.key, "=", first),
                // The range of a key that is one whole number is divided by arithmetic.
                number => match backfill.key.as_slice() {
                    [key] if is_integer(&key.ty) => Some(context! {
                        low => from_key.then(|| tongue.value(key, 1)),
                        top => tongue.value(key, first),
                    }),
                    _ => None,
                },
                limit => &behind,
                offset => &behind,
                percent => &behind,
                copy => &copy,
                sets,
                unfilled,
                locks,
            },
        )
    };
    Ok(BatchStatements {
        top: render("top", false)?,
        bound_from_start: render("bound", false)?,
        bound: render("bound", true)?,
        next_from_start: render("next", false)?,
        next: render("next", true)?,
        lock_from_start: locks.then(|| render("lock", false)).transpose()?,
        lock: locks.then(|| render("lock", true)).transpose()?,
        alone: family.then(|| render("alone", false)).transpose()?,
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
            (Work::Update { .. }, Dialect::Postgres) => Some(render("vacuum", false)?),
            (Work::Update { .. } | Work::Copy { .. }, _) => None,
        },
    })
}

/// How a dialect says the parts of these statements.
#[derive(Clone, Copy)]
struct Tongue(Dialect);

impl Tongue {
    /// The folder of its templates.
    fn folder(self) -> &'static str {
        match self.0 {
            Dialect::Postgres => "postgres",
            Dialect::Mysql | Dialect::Mariadb => "mysql_like",
            Dialect::Sqlite => "sqlite",
        }
    }

    /// The place of a value.
    fn place(self, number: usize) -> String {
        match self.0 {
            Dialect::Postgres => format!("${number}"),
            Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => format!("?{number}"),
        }
    }

    /// The value of a part of a key, from its text.
    fn value(self, key: &KeyColumn, number: usize) -> String {
        let place = self.place(number);
        match self.0 {
            Dialect::Postgres => format!("{place}::{}", key.ty),
            // A number that is compared with a text is compared as one with a floating point.
            Dialect::Mysql | Dialect::Mariadb => match key.ty.as_str() {
                ty if is_bytes(ty) => format!("unhex({place})"),
                ty if is_integer(ty) => format!("cast({place} as {})", if ty.contains("unsigned") { "unsigned" } else { "signed" }),
                ty if ty.starts_with("decimal") => format!("cast({place} as {})", ty.split(" unsigned").next().unwrap_or(ty)),
                _ => place,
            },
            Dialect::Sqlite => format!("cast({place} as {})", key.ty),
        }
    }

    /// A part of a key as text.
    fn text(self, key: &KeyColumn) -> String {
        let KeyColumn { column, ty } = key;
        match self.0 {
            Dialect::Postgres => format!("{column}::text"),
            Dialect::Mysql | Dialect::Mariadb if is_bytes(ty) => format!("hex({column})"),
            Dialect::Mysql | Dialect::Mariadb => format!("cast({column} as char)"),
            Dialect::Sqlite => format!("cast({column} as text)"),
        }
    }

    /// A key beyond the values whose first has this number, or equal to them.
    fn beyond(self, key: &[KeyColumn], sign: &str, from: usize) -> String {
        let values: Vec<String> = (from..).zip(key).map(|(number, part)| self.value(part, number)).collect();
        let compared = |at: usize, sign: &str| format!("{} {sign} {}", key[at].column, values[at]);
        if sign == "=" || key.len() == 1 {
            return (0..key.len()).map(|at| compared(at, sign)).collect::<Vec<_>>().join(" and ");
        }
        if let Dialect::Mysql | Dialect::Mariadb = self.0 {
            // Neither server goes by an index for `(a, b) > (?, ?)`.
            let last = key.len() - 1;
            let parts: Vec<String> = (0..key.len())
                .map(|at| {
                    let mut parts: Vec<String> = (0..at).map(|before| compared(before, "=")).collect();
                    parts.push(compared(at, if at == last { sign } else { sign.trim_end_matches('=') }));
                    format!("({})", parts.join(" and "))
                })
                .collect();
            return format!("({})", parts.join(" or "));
        }
        format!("({}) {sign} ({})", key.iter().map(|part| part.column.as_str()).collect::<Vec<_>>().join(", "), values.join(", "))
    }
}

/// Whether a type of MySQL or MariaDB is one of whole numbers.
fn is_integer(ty: &str) -> bool {
    ["tinyint", "smallint", "mediumint", "int", "bigint"].iter().any(|word| ty.starts_with(word))
}

/// Whether a type of MySQL or MariaDB is one of bytes.
fn is_bytes(ty: &str) -> bool {
    ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"].iter().any(|word| ty.starts_with(word))
}

/// The columns that formulas read, each once.
pub(super) fn reads<'f>(formulas: impl Iterator<Item = &'f Formula>) -> Vec<&'f str> {
    let mut names: Vec<&str> = formulas.flat_map(Formula::columns).map(String::as_str).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

/// `'name', column` for each column, at most as many as a function takes.
fn pairs(dialect: Dialect, columns: &[String]) -> String {
    let pair = |column: &String| {
        let name = column.trim_matches(['"', '`']).replace('\'', "''");
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

/// Which rows of a table a statement looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span<'a> {
    /// All of them.
    All,
    /// Those up to a key. Values, behind those that are named elsewhere: its parts.
    UpTo(&'a [KeyColumn]),
    /// Those behind a key and up to another one. Values: the parts of the low one, then of the high one.
    Between(&'a [KeyColumn]),
}

impl Span<'_> {
    /// As a condition; the number of its first value.
    fn condition(self, dialect: Dialect, first: usize) -> Option<String> {
        let tongue = Tongue(dialect);
        match self {
            Span::All => None,
            Span::UpTo(key) => Some(tongue.beyond(key, "<=", first)),
            Span::Between(key) => Some([tongue.beyond(key, ">", first), tongue.beyond(key, "<=", first + key.len())].join(" and ")),
        }
    }
}

/// The statement that counts the rows which disagree.
///
/// # Errors
/// When the dialect has no such templates.
pub fn count_statement(dialect: Dialect, check: &Check, aside: Aside<'_>, span: Span<'_>) -> Result<String, EmitError> {
    let span = span.condition(dialect, if aside == Aside::None { 1 } else { 2 });
    let aside = match aside {
        Aside::None => None,
        Aside::Of(names) => Some(names.iter().map(|name| crate::sql::quote::literal(name, dialect)).collect::<Vec<_>>().join(", ")),
    };
    let key = key_texts(dialect, check);
    Templates::new().render(
        &[Tongue(dialect).folder(), "/run/count"].concat(),
        context! { table => &check.table, condition => &check.condition, aside, key, span },
    )
}

/// The statement that shows some rows which disagree: the parts of the key, then the columns as JSON.
///
/// # Errors
/// When the dialect has no such templates.
pub fn examples_statement(dialect: Dialect, check: &Check, span: Span<'_>) -> Result<String, EmitError> {
    let span = span.condition(dialect, 1);
    let columns = pairs(dialect, &check.columns);
    let shown = match dialect {
        _ if columns.is_empty() => "'{}'".to_owned(),
        Dialect::Postgres => format!("jsonb_build_object({columns})::text"),
        Dialect::Mysql | Dialect::Mariadb => format!("cast(json_object({columns}) as char)"),
        Dialect::Sqlite => format!("json_object({columns})"),
    };
    let key = key_texts(dialect, check);
    Templates::new().render(
        &[Tongue(dialect).folder(), "/run/examples"].concat(),
        context! { table => &check.table, condition => &check.condition, key, shown, span },
    )
}

/// What names a row, each part as text.
fn key_texts(dialect: Dialect, check: &Check) -> String {
    // The types of the parts are not known here: bytes are shown as they are.
    let part = |column: &String| Tongue(dialect).text(&KeyColumn { column: column.clone(), ty: String::new() });
    check.key.iter().map(part).collect::<Vec<_>>().join(", ")
}
