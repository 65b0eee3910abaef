//! What differs between two schemas: pairs, lenses, and the questions that only the author can answer.
//!
//! Invariant: it never guesses. What two snapshots and their hints don't say comes back as a diagnostic that names it.
//!
//! The order of work: tables, enums and columns are paired by name and hint (`pairing`); constraints and indexes are paired by
//! meaning, seen through the renames (`meaning`); columns that carry the same information become lenses (`lens`); what looks
//! like a rename that nobody declared becomes a question (`question`).

mod enums;
mod family;
mod lens;
mod meaning;
pub mod model;
mod names;
mod pairing;
pub mod print;
mod question;
mod tables;
mod values;

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::{Extension, Schema, Sequence, Transition};
use crate::sql::Dialect;

use model::{Diff, Pair};
use pairing::Renames;

/// What to make of a dropped and an added object that look alike, when no hint connects them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssumeDrop {
    /// Ask, as an error.
    #[default]
    Ask,
    /// They have nothing to do with each other.
    Unrelated,
}

/// How to read two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What to make of things that look renamed.
    pub assume_drop: AssumeDrop,
}

/// What all stages share.
struct Context<'a> {
    old: &'a Schema,
    new: &'a Schema,
    dialect: Dialect,
    options: Options,
    transition: Option<&'a Transition>,
    renames: Renames<'a>,
    said: Vec<Diagnostic>,
}

/// The differences between two schemas that were resolved for one dialect, and what is wrong with the hints or missing from them.
///
/// The hints are those of the new schema. They are ignored when the old schema is empty, and when both are one version (there
/// is no step between them then). With an error among the diagnostics the differences are still complete, but lenses may lack
/// mappings.
pub fn diff<'a>(old: &'a Schema, new: &'a Schema, dialect: Dialect, options: &Options) -> (Diff<'a>, Vec<Diagnostic>) {
    let transition = new.transition.as_ref().filter(|transition| {
        let from_elsewhere = transition.from.as_deref().is_some_and(|from| from != old.version);
        let no_step = old.version.is_empty() || (old.version == new.version && from_elsewhere);
        !no_step
    });
    let mut context = Context { old, new, dialect, options: *options, transition, renames: Renames::default(), said: Vec::new() };

    let wrong_from = transition.and_then(|transition| {
        let from = transition.from.as_deref().filter(|from| *from != old.version)?;
        let message = format!("the transition is from `{from}`, but the old snapshot is `{}`", old.version);
        Some(
            Diagnostic::error("wrong-from", message)
                .at(transition.from_span, "")
                .help(format!("compare with the snapshot `{from}`, or say `from: {}` and check each hint", old.version)),
        )
    });

    let enum_pairs = context.pair_enums();
    let table_pairs = context.pair_tables();
    let shapes = context.enum_shapes(&enum_pairs);
    let (tables, followers) = context.tables(&table_pairs, &shapes);
    let enums = context.enums(&enum_pairs, shapes);
    let views = context.views();
    let diff =
        Diff { old, new, dialect, extensions: extensions(old, new), enums, sequences: sequences(old, new), tables, followers, views };

    // Hints for another step would only add errors that say nothing.
    let said = match wrong_from {
        Some(error) => vec![error],
        None => context.said,
    };
    (diff, said)
}

/// Pairs of one name, without those that `same` finds equal and that have one comment, in the order of names.
fn by_name<'a, T>(
    old: &'a indexmap::IndexMap<String, T>,
    new: &'a indexmap::IndexMap<String, T>,
    same: impl Fn(&T, &T) -> bool,
    comment: impl Fn(&T) -> Option<&str>,
) -> Vec<Pair<'a, T>> {
    let mut names: Vec<&String> = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).collect();
    names.sort();
    let pairs = names.into_iter().map(|name| {
        let (old, new) = (old.get(name), new.get(name));
        Pair { old, new, equal: old.zip(new).is_some_and(|(old, new)| same(old, new)) }
    });
    pairs.filter(|pair| !pair.equal || pair.old.map(&comment) != pair.new.map(&comment)).collect()
}

fn extensions<'a>(old: &'a Schema, new: &'a Schema) -> Vec<Pair<'a, Extension>> {
    by_name(&old.extensions, &new.extensions, |_, _| true, |_| None)
}

fn sequences<'a>(old: &'a Schema, new: &'a Schema) -> Vec<Pair<'a, Sequence>> {
    // Options that were not written have these values, <https://www.postgresql.org/docs/18/sql-createsequence.html>.
    let shape = |sequence: &Sequence| {
        let increment = sequence.increment.unwrap_or(1);
        let (least, greatest) = if increment > 0 { (1, i64::MAX) } else { (i64::MIN, -1) };
        let (least, greatest) = (sequence.min_value.unwrap_or(least), sequence.max_value.unwrap_or(greatest));
        let start = sequence.start.unwrap_or(if increment > 0 { least } else { greatest });
        (start, increment, least, greatest, sequence.cache.unwrap_or(1), sequence.cycle)
    };
    by_name(&old.sequences, &new.sequences, |old, new| shape(old) == shape(new), |sequence| sequence.comment.as_deref())
}
