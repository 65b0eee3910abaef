//! What the triggers of a mirror are in every dialect: which way rows are carried, by which keys, and which columns say what.

use std::collections::BTreeSet;

use crate::plan::model::{Formula, Mirror, SyncColumn, SyncLens};
use crate::snapshot::model::Type;

/// Which way rows are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the source to the target.
    Up,
    /// From the target to the source.
    Down,
}

impl Way {
    /// In one word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Up => "up",
            Way::Down => "down",
        }
    }

    /// The other way.
    pub(super) fn back(self) -> Self {
        match self {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }

    /// The table that rows come from, this way.
    pub(super) fn table(self, mirror: &Mirror) -> &str {
        match self {
            Way::Up => &mirror.source,
            Way::Down => &mirror.target,
        }
    }

    /// The columns of its key.
    pub(super) fn key(self, mirror: &Mirror) -> Vec<String> {
        match self {
            Way::Up => mirror.source_key(),
            Way::Down => mirror.target_key(),
        }
    }

    /// The same with their types.
    pub(super) fn typed_key(self, mirror: &Mirror) -> Vec<(String, Type)> {
        self.key(mirror).into_iter().zip(&mirror.key).map(|(name, key)| (name, key.ty.clone())).collect()
    }

    /// The columns that a lens writes, this way.
    pub(super) fn sets(self, lens: &SyncLens) -> Vec<(&SyncColumn, &Formula)> {
        match self {
            Way::Up => lens.ups().collect(),
            Way::Down => lens.downs().collect(),
        }
    }

    /// The columns that a lens reads, this way.
    pub(super) fn inputs(self, lens: &SyncLens) -> Vec<(String, Type)> {
        let (side, besides) = match self {
            Way::Up => (&lens.old, &lens.up_inputs),
            Way::Down => (&lens.new, &lens.down_inputs),
        };
        side.iter().map(|c| (c.name.clone(), c.ty.clone())).chain(besides.iter().cloned()).collect()
    }

    /// The columns whose change is carried over.
    pub(super) fn written(self, mirror: &Mirror) -> Vec<(String, Type)> {
        let mut list = self.typed_key(mirror);
        if self == Way::Up {
            list.extend(mirror.predicate_columns.iter().cloned());
        }
        for lens in &mirror.lenses {
            if self == Way::Up || lens.downs().next().is_some() {
                list.extend(self.inputs(lens));
            }
        }
        let mut seen = BTreeSet::new();
        list.retain(|(name, _)| seen.insert(name.clone()));
        list
    }
}

/// When two rows say different things by a lens: any condition of the first list holds and, where there is a second, any of that as
/// well, so that neither side is what the other one gives. `None`: what only follows says nothing. `unlike` says that a column is
/// not what its formula gives, in a row by that alias and over the other row.
pub(super) fn disagreement<R: Copy>(
    lens: &SyncLens,
    source: R,
    target: R,
    unlike: impl Fn((&SyncColumn, &Formula), R, R) -> String,
) -> Option<(Vec<String>, Vec<String>)> {
    if lens.old.is_empty() || lens.new.is_empty() {
        return None;
    }
    let news: Vec<String> = lens.ups().map(|set| unlike(set, target, source)).collect();
    if news.is_empty() {
        return None;
    }
    let is_copy = lens.is_total() && lens.new.len() == lens.old.len();
    let olds = if is_copy { Vec::new() } else { lens.downs().map(|set| unlike(set, source, target)).collect() };
    Some((news, olds))
}

/// A condition that can stand beside others.
pub(super) fn grouped(condition: String) -> String {
    if condition.contains(" or ") || condition.contains(" and ") { format!("({condition})") } else { condition }
}
