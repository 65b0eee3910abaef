//! A table that both versions have: its columns and lenses, what hangs on them, and the swap that ends the overlap.

use crate::snapshot::model::{Enforce, Expr, Index, IndexTarget, Name};

use super::layout::{Layout, Reach, Role};
use super::model::{Action, Phase};
use super::naming;
use super::planner::Planner;

mod checks;
mod columns;
mod foreign_keys;
mod hazards;
mod identity;
mod indexes;
mod keys;
mod not_null;
mod refusals;
mod returns;
mod rows;
mod stand_ins;
mod swap;
mod sync;
mod twin;
mod uniques;

pub(super) use keys::{changes_columns, goes_from_under, is_both, unique_columns};
pub(super) use rows::BATCH;
pub(super) use swap::ordered_renames;

/// What planning one table has found so far.
struct Work<'a, 'l> {
    layout: &'l Layout<'a>,
    change: usize,
    /// The table's physical name until contract.
    table: &'a str,
    /// The name in the new shape.
    name: &'a str,
    /// Steps of expand after which all physical columns are there and kept in step.
    ready: Vec<String>,
    /// Backfills.
    filled: Vec<String>,
    /// Steps of contract that must have run before the swap.
    before_swap: Vec<String>,
    /// Steps in the swaps of other tables that must have run before this table's old key goes.
    swap_requires: Vec<String>,
    /// Steps of the swap, in order.
    swap: Vec<(String, String, String, Action)>,
}

impl<'a> Planner<'a> {
    /// Plans a changed table and gives its layout back.
    pub(super) fn table_changed(&mut self, layout: Layout<'a>) -> Layout<'a> {
        let change = self.change_of_table(&layout.change.new.name);
        let table = layout.table();
        let mut work = Work {
            layout: &layout,
            change,
            table,
            name: &layout.change.new.name,
            ready: Vec::new(),
            filled: Vec::new(),
            before_swap: Vec::new(),
            swap_requires: Vec::new(),
            swap: Vec::new(),
        };
        self.refuse_what_is_not_there_yet(&work);
        self.refuse_returns(&work);
        self.looked_for_twin(&mut work);
        self.column_hazards(&work);
        self.partial_generated(&work);
        self.default_hazards(&work);
        let sync = self.sync(&work);
        self.loosen(&mut work, sync.as_ref());
        self.add_columns(&mut work, sync.as_ref());
        self.stand_ins(&work, sync.as_ref());
        self.backfills(&mut work, sync.as_ref());
        self.not_nulls(&mut work);
        self.swap_views_and_sync(&mut work, sync.clone());
        self.checks(&mut work);
        // Before the keys that they stand on.
        self.foreign_keys(&mut work);
        self.uniques(&mut work);
        self.primary_key(&mut work, sync.as_ref());
        self.covered_uniques(&mut work);
        self.identities(&mut work);
        self.indexes(&mut work);
        self.swap_columns(&mut work);
        self.comments(&mut work);
        self.finish_swap(work);
        layout
    }

    fn kind_of_columns(&self, work: &Work<'a, '_>, columns: &[String]) -> ColumnsKind {
        kind_of_columns(work.layout, columns)
    }

    /// Whether all columns of an old rule are still there, as one column for both versions.
    fn stay(&self, work: &Work<'a, '_>, columns: &[String]) -> bool {
        columns.iter().all(|name| work.layout.of_old(name).is_some_and(|c| c.role == Role::Both))
    }

    fn physical(&self, work: &Work<'a, '_>, name: &str) -> String {
        work.layout.of_new(name).map_or_else(|| name.to_owned(), |c| c.name.clone())
    }

    /// The name to build something under: its own, or an interim one while an old object has it, or where it stands on columns
    /// that come back: the one over those gets it.
    fn build_name(&self, layout: &Layout<'a>, name: &Name, columns: &[String]) -> (String, bool) {
        if self.taken.contains(name.text.as_str()) || self.any_comes_back(layout, columns) {
            (naming::interim(&name.text, self.diff.dialect), true)
        } else {
            (name.text.clone(), false)
        }
    }
}

/// What the rules on these columns (names of the new shape) depend on.
fn kind_of_columns(layout: &Layout<'_>, columns: &[String]) -> ColumnsKind {
    let roles: Vec<Role> = columns.iter().filter_map(|name| layout.of_new(name)).map(|c| c.role).collect();
    if roles.contains(&Role::NewFromLens) {
        ColumnsKind::Lens
    } else if !roles.is_empty() && roles.iter().all(|role| *role == Role::New) {
        ColumnsKind::OnlyNew
    } else {
        ColumnsKind::Both
    }
}

/// When a new rule that tells rows apart by these columns (names of the new shape) is built.
fn unique_from(layout: &Layout<'_>, columns: &[String]) -> Phase {
    match (kind_of_columns(layout, columns), layout.enforce(columns.iter().map(String::as_str))) {
        (ColumnsKind::OnlyNew, _) => Phase::Expand,
        (_, Some(Enforce::Contract)) => Phase::Contract,
        (_, Some(Enforce::Migrate) | None) => Phase::Migrate,
    }
}

/// What the columns under a rule are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnsKind {
    /// At least one is filled by a lens.
    Lens,
    /// All are the new version's own.
    OnlyNew,
    /// Both versions write at least one, and a lens fills none.
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RenameKind {
    Constraint,
    Index,
}

/// The columns of an index that stands on nothing but columns.
fn plain_columns(index: &Index) -> Option<Vec<String>> {
    index
        .keys
        .iter()
        .map(|key| match &key.target {
            IndexTarget::Column(name) => Some(name.clone()),
            IndexTarget::Expression(_) => None,
        })
        .collect()
}

/// Whether an expression is the bare `null`: the author's word that the other shape gives no value.
fn is_null(expr: &Expr) -> bool {
    expr.text.trim().eq_ignore_ascii_case("null")
}
