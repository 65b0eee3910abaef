//! Tables whose rows lie in the order of a unique index, for want of a primary key: the server writes them anew when it comes or goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Level;
use crate::snapshot::model::{Name, Table, Unique};
use crate::snapshot::types::product;

use super::model::{Action, ConstraintSpec, IndexSpec, KeyTarget, Phase, Step};
use super::planner::Planner;

/// What a table looks like while the steps run.
#[derive(Default)]
struct Rows {
    has_key: bool,
    not_null: BTreeSet<String>,
    /// Unique indexes over whole columns of all rows, by name: the server takes the first one whose columns are all NOT NULL. Which
    /// one was first in a table that is there is not known.
    unique: BTreeMap<String, Vec<String>>,
}

impl Rows {
    fn of(table: &Table) -> Self {
        let uniques = table.uniques.iter().map(|unique| (unique.name.text.clone(), unique.columns.clone()));
        let indexes = table.indexes.iter().filter_map(|index| Some((index.name.text.clone(), super::table::unique_columns(index)?)));
        Self {
            has_key: table.primary_key.is_some(),
            not_null: table.columns.values().filter(|column| column.not_null).map(|column| column.name.clone()).collect(),
            unique: uniques.chain(indexes).collect(),
        }
    }

    /// Whether the rows may lie in the order of this one.
    fn are_by(&self, name: &str) -> bool {
        !self.has_key && self.unique.get(name).is_some_and(|columns| columns.iter().all(|column| self.not_null.contains(column)))
    }
}

impl Planner<'_> {
    /// Finds those that come or go while the server may have the rows in their order, with their tables, and refuses what it does
    /// not do beside writers.
    pub(super) fn row_order(&mut self, steps: &[Step]) -> BTreeSet<(String, String)> {
        let tables = self.diff.old.tables.values();
        let mut tables: BTreeMap<String, Rows> = tables.map(|table| (table.name.clone(), Rows::of(table))).collect();
        let mut made: Vec<&IndexSpec> = Vec::new();
        let mut come = BTreeSet::new();
        let mut late = BTreeSet::new();
        let mut gone = BTreeSet::new();
        let mut can_abort = true;
        for step in steps {
            if can_abort && step.phase == Phase::Contract {
                can_abort = false;
                come = order_rows(&made, &tables);
            }
            if let Action::RenameTable { from, to, .. } = &step.action {
                if let Some(rows) = tables.remove(from) {
                    tables.insert(to.clone(), rows);
                }
                continue;
            }
            let Some(rows) = table_of(&step.action).and_then(|table| tables.get_mut(table)) else { continue };
            match &step.action {
                Action::AddPrimaryKey { .. } => rows.has_key = true,
                Action::DropConstraint { constraint: ConstraintSpec::PrimaryKey(_), .. } => rows.has_key = false,
                Action::AddColumns { columns, .. } => {
                    rows.not_null.extend(columns.iter().filter(|column| column.not_null).map(|column| column.name.clone()));
                }
                Action::RestateColumn { loosened, new, .. } => {
                    for column in loosened.iter().chain([&**new]) {
                        if column.not_null {
                            rows.not_null.insert(column.name.clone());
                        } else {
                            rows.not_null.remove(&column.name);
                        }
                    }
                }
                Action::CreateIndex(index) => {
                    if let Some(columns) = whole_columns(index) {
                        rows.unique.insert(index.name.clone(), columns);
                        if step.phase == Phase::Contract && rows.are_by(&index.name) {
                            late.insert((index.table.clone(), index.name.clone()));
                        }
                        made.push(index);
                    }
                }
                Action::RenameConstraint { rename, .. } => {
                    if let Some(columns) = rows.unique.remove(&rename.from) {
                        rows.unique.insert(rename.to.clone(), columns);
                    }
                }
                Action::DropIndex { index: IndexSpec { name, table, .. }, .. }
                | Action::DropConstraint { table, constraint: ConstraintSpec::Unique(Unique { name: Name { text: name, .. }, .. }) } => {
                    if rows.are_by(name) {
                        gone.insert((table.clone(), name.clone()));
                    }
                    rows.unique.remove(name);
                }
                Action::SwapColumns { table, drops, .. } | Action::ReturnColumns { table, drops, .. } => {
                    let goes = |name: &String| rows.unique[name].iter().any(|column| drops.contains(column));
                    let drops: Vec<String> = rows.unique.keys().filter(|name| goes(name)).cloned().collect();
                    gone.extend(drops.iter().filter(|name| rows.are_by(name)).map(|name| (table.clone(), name.clone())));
                    rows.unique.retain(|name, _| !drops.contains(name));
                }
                _ => {}
            }
        }
        if can_abort {
            come = order_rows(&made, &tables);
        }
        self.row_order_stays(&come, &gone);
        [come, late, gone].into_iter().flatten().collect()
    }

    fn row_order_stays(&mut self, come: &BTreeSet<(String, String)>, gone: &BTreeSet<(String, String)>) {
        let product = product(self.diff.dialect);
        let meanwhile = self.target.while_it_copies();
        for (table, index) in gone {
            self.no_way(
                &format!("table {table}"),
                &format!("without a primary key its rows lie in the order of unique index {index}: to let that go {product} copies the whole table, and {meanwhile}"),
                "give the table a primary key in a transition before this one: that needs no lock",
                self.diff.new.version_span,
            );
        }
        for (table, index) in come {
            self.warn(
                ("abort-rewrites", Level::Warning),
                &format!("table {table}"),
                format!("without a primary key its rows lie in the order of unique index {index} once that is there: abort lets it go, for which {product} copies the whole table, and {meanwhile}"),
                self.diff.new.version_span,
            );
        }
    }
}

/// The table whose rows or indexes a step changes, where that matters here.
fn table_of(action: &Action) -> Option<&str> {
    match action {
        Action::AddPrimaryKey { table, .. }
        | Action::DropConstraint { table, .. }
        | Action::AddColumns { table, .. }
        | Action::RestateColumn { table, .. }
        | Action::RenameConstraint { table, .. }
        | Action::SwapColumns { table, .. }
        | Action::ReturnColumns { table, .. } => Some(table),
        Action::CreateIndex(index) | Action::DropIndex { index, .. } => Some(&index.table),
        _ => None,
    }
}

/// The new indexes in whose order rows lie by now.
fn order_rows(made: &[&IndexSpec], tables: &BTreeMap<String, Rows>) -> BTreeSet<(String, String)> {
    let taken = |index: &&&IndexSpec| {
        tables.get(&index.table).is_some_and(|rows| {
            let before = |name: &String| made.iter().all(|new| new.table != index.table || new.name != *name) && rows.are_by(name);
            rows.are_by(&index.name) && !rows.unique.keys().any(before)
        })
    };
    made.iter().filter(taken).map(|index| (index.table.clone(), index.name.clone())).collect()
}

/// The columns of a unique index over whole columns of all rows.
fn whole_columns(index: &IndexSpec) -> Option<Vec<String>> {
    let whole = index.unique && index.predicate.is_none();
    let column = |key: &super::model::IndexKeySpec| match &key.target {
        KeyTarget::Column(name) if key.length.is_none() => Some(name.clone()),
        KeyTarget::Column(_) | KeyTarget::Expression(_) => None,
    };
    index.keys.iter().map(column).collect::<Option<Vec<String>>>().filter(|_| whole)
}
