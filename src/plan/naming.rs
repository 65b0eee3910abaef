//! Names of helper objects.
//!
//! Every name that crossfade gives begins with `crossfade_` (snapshots may not use that prefix) or stands in the schema
//! `crossfade`, and is cut to the dialect's limit with a hash at its end.

use crate::snapshot::names::bounded;
use crate::sql::Dialect;

/// What the name of something begins with that gets its own name in contract.
pub(super) const NEW: &str = "crossfade_new_";

/// The column whose default tells which version's view an INSERT came through.
pub const MARKER: &str = "crossfade_writer";

/// The physical column of a new column whose name an old one still has.
pub(super) fn helper_column(name: &str, dialect: Dialect) -> String {
    bounded(&[NEW, name].concat(), dialect)
}

/// The trigger function of a table, in schema `crossfade`.
pub(super) fn sync_function(table: &str, dialect: Dialect) -> String {
    bounded(&format!("sync_{table}"), dialect)
}

/// A trigger. PostgreSQL fires triggers of one event by name: `zz_` puts ours after the user's own, so that it sees what they changed.
pub(super) fn sync_trigger(table: &str, event: &str, dialect: Dialect) -> String {
    bounded(&format!("zz_crossfade_sync_{table}_{event}"), dialect)
}

/// The trigger that refuses the writes of a drained version, where the triggers of all tables share one set of names.
pub fn drain_trigger(table: &str, event: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_drain_{table}_{event}"), dialect)
}

/// The function of a mirror's triggers, in schema `crossfade`.
pub(super) fn mirror_function(from: &str, to: &str, dialect: Dialect) -> String {
    bounded(&format!("mirror_{from}_to_{to}"), dialect)
}

/// A trigger of a mirror, on either table. It comes after the user's own, so that it sees what they changed.
pub(super) fn mirror_trigger(target: &str, event: &str, dialect: Dialect) -> String {
    bounded(&format!("zz_crossfade_mirror_{target}_{event}"), dialect)
}

/// The function of a mirror's guard, in schema `crossfade`.
pub(super) fn mirror_guard(target: &str, dialect: Dialect) -> String {
    bounded(&format!("mirror_guard_{target}"), dialect)
}

/// The trigger of a mirror's guard. It comes before the user's own: what a copy brings must stand there as it was brought.
pub(super) fn mirror_guard_trigger(target: &str, dialect: Dialect) -> String {
    bounded(&format!("00_crossfade_mirror_{target}"), dialect)
}

/// The function that gives a new table's key the next number of an old one's, in schema `crossfade`.
pub(super) fn numbers_function(table: &str, column: &str, dialect: Dialect) -> String {
    bounded(&format!("next_{table}_{column}"), dialect)
}

/// The view with the marker default behind a namespace's view, in schema `crossfade`.
pub(super) fn marker_view(namespace: &str, name: &str, dialect: Dialect) -> String {
    bounded(&format!("{namespace}__{name}"), dialect)
}

/// The copy of a table that takes its name.
pub(super) fn twin(table: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_twin_{table}"), dialect)
}

/// A table whose copy has taken its name.
pub(super) fn left_by_twin(table: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_left_{table}"), dialect)
}

/// A trigger that keeps the copy of a table in step. It comes after the user's own, so that it sees what they changed.
pub(super) fn twin_trigger(table: &str, event: &str, dialect: Dialect) -> String {
    bounded(&format!("zz_crossfade_twin_{table}_{event}"), dialect)
}

/// The check that proves a column NOT NULL.
pub(super) fn not_null_check(table: &str, column: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_not_null_{table}_{column}"), dialect)
}

/// The name under which an index or constraint is built while the old one of that name still stands.
pub(super) fn interim(name: &str, dialect: Dialect) -> String {
    bounded(&[NEW, name].concat(), dialect)
}

/// The name that a reader knows it by.
pub fn without_interim(name: &str) -> &str {
    name.strip_prefix(NEW).unwrap_or(name)
}

/// The sequence that counts for a column until that is an identity column, in schema `crossfade`.
pub(super) fn counter(table: &str, column: &str, dialect: Dialect) -> String {
    bounded(&format!("count_{table}_{column}"), dialect)
}

/// The unique index that stands for an old key from expand on, where a counter is the key by then.
pub(super) fn old_key(name: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_key_{name}"), dialect)
}

/// An interim name that a chain or a swap of renames goes through.
pub(super) fn parked(name: &str, dialect: Dialect) -> String {
    bounded(&format!("crossfade_old_{name}"), dialect)
}
