//! SQLite 3.40 and later.
//!
//! A file has one writer at a time, and a change of the schema is part of the writer's transaction: a script is one
//! transaction, and what it costs others is that writers wait for its end (<https://www.sqlite.org/lockingv3.html>).

use crate::plan::model::{Action, ColumnSpec, Cost, Footprint};
use crate::plan::{Capabilities, Lack, Rules, Target, Truncate, WriterMark};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types::{family, sql_name};
use crate::sql::Dialect;
use crate::sql::expression::defines_volatile;

pub mod expression;

/// A version of the library: its first two numbers.
pub type Version = (u32, u32);

/// The planner's view of SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sqlite {
    /// The oldest library that runs the scripts.
    pub oldest: Version,
}

/// The oldest library that scripts are written for.
pub const OLDEST: Version = (3, 40);

/// The first one that alters NOT NULL and checks: <https://www.sqlite.org/lang_altertable.html>; seen on 3.53 and 3.54.
const ALTERS_RULES: Version = (3, 53);

impl Default for Sqlite {
    fn default() -> Self {
        Sqlite { oldest: OLDEST }
    }
}

/// Reads a version as a setting gives it: `3.53`, or `3.53.1`, whose last number changes nothing.
///
/// # Errors
/// When it is none, or an older one than the scripts are ever written for: what to write.
pub fn version(text: &str) -> Result<Version, String> {
    let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([major, minor] | [major, minor, _]) if (*major, *minor) >= OLDEST => Ok((*major, *minor)),
        _ => Err(format!("a version of SQLite is two numbers, {}.{} at least, as in \"3.53\"", OLDEST.0, OLDEST.1)),
    }
}

/// What a relation of a version is called in versioned access.
pub fn namespace_name(name: &str, version: &str) -> String {
    [name, "__", version].concat()
}

/// What a column's type makes of the values that are stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Numbers are stored as their text.
    Text,
    /// Text that looks like a number is stored as one.
    Number,
    /// Values are stored as they come.
    Blob,
}

/// The affinity of a declared type (<https://www.sqlite.org/datatype3.html>, "Determination Of Column Affinity").
pub fn affinity(ty: &Type) -> Affinity {
    let name = sql_name(ty, Dialect::Sqlite).to_lowercase();
    if name.contains("int") {
        Affinity::Number
    } else if ["char", "clob", "text"].iter().any(|word| name.contains(word)) {
        Affinity::Text
    } else if name.contains("blob") || name.is_empty() {
        Affinity::Blob
    } else {
        Affinity::Number
    }
}

impl Target for Sqlite {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // ALTER TABLE renames, adds and drops columns, and no more before 3.53; https://www.sqlite.org/lang_altertable.html
            rules: Rules::Rebuilt,
            alters_rules: self.oldest >= ALTERS_RULES,
            // A trigger can't assign to NEW; measured on 3.40 and 3.53: NOT NULL fails before an AFTER trigger runs.
            fills_in_time: false,
            fills_for_queries: true,
            // "table t has 3 columns but 2 values were supplied"; https://www.sqlite.org/lang_insert.html
            positional_inserts: false,
            // Each comparison says which collation it is by.
            mixes_collations: true,
            // https://www.sqlite.org/lang_transaction.html
            transactional_ddl: true,
            // ALTER TABLE RENAME takes the views along; https://www.sqlite.org/lang_altertable.html
            renames_under_views: true,
            // By the trigger that writes for the view.
            view_defaults: true,
            writer: WriterMark::View,
            invisible_columns: false,
            hides_not_null: false,
            hidden_defaults: true,
            // Rules change with the table that is written anew, and these don't come up.
            validates_apart: true,
            restates_columns: false,
            null_default_is_said: false,
            unique_is_index: false,
            orders_rows_by_unique: false,
            adds_checks_online: true,
            enum_types: true,
            analyzes: true,
            reaches_rows_without_key: true,
            leaves_names_behind: true,
            // https://www.sqlite.org/autoinc.html: a number that is given counts too.
            lends_numbers: false,
            mirrors: true,
            cascades_fire_triggers: true,
            truncate: Truncate::Missing,
            counters_follow: true,
            writes_what_is_read: true,
            changes_beside_fulltext: true,
            copies_tables: false,
            copies_checks: false,
        }
    }

    fn oldest(&self) -> Option<(u32, u32)> {
        Some(self.oldest)
    }

    fn adds_default_at_once(&self, _ty: &Type, default: &str) -> bool {
        !defines_volatile(default, Dialect::Sqlite)
    }

    fn default_text(&self, _ty: &Type, default: &str) -> String {
        default.to_owned()
    }

    fn restates_default(&self, _ty: &Type, _default: &str) -> bool {
        false
    }

    fn lacks(&self, _action: &Action) -> Option<Lack> {
        None
    }

    fn any_value(&self, _ty: &Type) -> Option<String> {
        None
    }

    fn footprint(&self, action: &Action) -> Footprint {
        let cost = match action {
            Action::RebuildTable(_) => Cost::Rewrite,
            // DROP COLUMN writes the rows anew: https://www.sqlite.org/lang_altertable.html, "ALTER TABLE DROP COLUMN".
            Action::SwapColumns { drops, .. } if !drops.is_empty() => Cost::Rewrite,
            Action::Backfill(_) => Cost::Copy,
            Action::AlterRules(_) | Action::CheckRows { .. } | Action::CreateIndex(_) => Cost::Scan,
            _ => Cost::Instant,
        };
        // The lock is on the whole file and is the script's, not a step's.
        Footprint { locks: Vec::new(), cost, transactional: true }
    }

    fn widens_in_place(&self, old: &Type, new: &Type) -> bool {
        // No length and no width is looked at: what is declared is stored alike within a family. Times are texts of different
        // forms, so that one is not the other.
        old == new || (affinity(old) == affinity(new) && is_stored_alike(old, new))
    }

    fn refusal(&self, sqlstate: &str) -> String {
        // https://www.sqlite.org/rescode.html
        match sqlstate {
            "23502" => "SQLITE_CONSTRAINT_NOTNULL",
            "23503" => "SQLITE_CONSTRAINT_FOREIGNKEY",
            "23505" => "SQLITE_CONSTRAINT_UNIQUE",
            "23514" => "SQLITE_CONSTRAINT_CHECK",
            // An upsert whose columns have no unique rule does not even parse.
            _ => "SQLITE_ERROR",
        }
        .to_owned()
    }

    fn adds_column(&self, column: &ColumnSpec) -> bool {
        let stored = column.generated.as_ref().is_some_and(|(_, stored)| *stored);
        let constant = column.default.as_ref().is_none_or(|default| is_constant(&default.text));
        let has_default = column.default.as_ref().is_some_and(|default| !default.text.trim().eq_ignore_ascii_case("null"));
        // https://www.sqlite.org/lang_altertable.html, "ALTER TABLE ADD COLUMN".
        !stored && constant && (!column.not_null || has_default || column.generated.is_some()) && column.identity.is_none()
    }
}

fn is_stored_alike(old: &Type, new: &Type) -> bool {
    use crate::snapshot::types::Family;
    match (family(old), family(new)) {
        (Some(Family::DateTime { .. } | Family::TimeOfDay { .. }), _) => {
            let kind = |ty: &Type| match ty.kind {
                TypeKind::Date => 0,
                TypeKind::Timestamp { zone: false, .. } => 1,
                TypeKind::Timestamp { zone: true, .. } => 2,
                TypeKind::Time { zone: false, .. } => 3,
                _ => 4,
            };
            kind(old) == kind(new)
        }
        (Some(old), Some(new)) => old == new,
        (None, _) | (_, None) => false,
    }
}

/// Whether a default is one that ADD COLUMN takes: a literal, with a sign at most.
fn is_constant(text: &str) -> bool {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text).trim_start();
    let number = !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let quoted =
        text.len() >= 2 && text.starts_with('\'') && text.ends_with('\'') && !text[1..text.len() - 1].replace("''", "").contains('\'');
    let word = ["null", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    number || quoted || word
}
