//! Where an INSERT of what a query gives must name each column that is NOT NULL and has no default, whatever a trigger does: a
//! default for the columns that only the other side of a lens writes.

use crate::diagnostic::Level;
use crate::diff::model::Lens;
use crate::snapshot::model::{Column, OnConflict};

use super::super::layout::{Physical, Role};
use super::super::model::{Action, ColumnSpec, Formula, Phase, RowExpr, StandIn, Sync, SyncColumn, SyncLens};
use super::super::planner::{Draft, Planner};
use super::Work;
use super::keys::in_new_key;

impl<'a> Planner<'a> {
    /// Old columns that the new version's rows get from a trigger.
    pub(super) fn stand_ins(&mut self, work: &Work<'a, '_>, sync: Option<&Sync>) {
        if self.can.fills_for_queries {
            return;
        }
        for lens in sync.into_iter().flat_map(|sync| &sync.lenses) {
            for column in lens.old.iter().filter(|column| column.formula.is_some()) {
                let found = work.layout.of_old(&column.name).and_then(|physical| physical.old);
                let Some(old) = found.filter(|old| wants_default(old)) else { continue };
                let object = format!("{}.{}", work.table, column.name);
                let Some(stand_in) = self.stand_in(work, lens, column, old) else {
                    self.warn(
                        ("insert-select-fails", Level::Warning),
                        &object,
                        "until contract an INSERT … SELECT of the new version fails with error 1364: the server wants a value for this column before any trigger has run, and none can stand in for it",
                        old.span,
                    );
                    continue;
                };
                self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("stand_in.{object}"),
                    object,
                    why: "INSERT … SELECT of the new version, which leaves the column out, is refused here before the trigger has filled it: what stands in is overwritten. The old version is refused NULL as ever."
                        .to_owned(),
                    action: Action::StandIn(stand_in),
                    unit: None,
                    requires: work.ready.clone(),
                });
            }
        }
    }

    fn stand_in(&self, work: &Work<'a, '_>, lens: &SyncLens, column: &SyncColumn, old: &Column) -> Option<StandIn> {
        let told = self.tells_writer(work.layout);
        let given: Vec<String> = lens.new.iter().filter(|new| self.tells(work, new, told)).map(|new| new.name.clone()).collect();
        let (default, reads) = if told || !given.is_empty() {
            // Where nothing but the values says who wrote, this one must not count as given.
            let in_key = work.layout.change.old.primary_key.as_ref().is_some_and(|key| key.columns.contains(&column.name));
            if !told && (lens.on_conflict != OnConflict::New || in_key) {
                return None;
            }
            let namespace = told.then(|| self.new_namespace());
            (RowExpr::plain(&self.target.stand_in(&self.old_type(&old.ty), namespace.as_deref(), &given)?), given)
        } else if lens.new.is_empty() {
            // Whoever leaves it out gets what the trigger would give.
            let formula = column.formula.as_ref().filter(|formula| self.is_default(work, formula))?;
            let Formula::Written(expr) = formula else { return None };
            (expr.clone(), formula.columns().into_iter().cloned().collect())
        } else {
            return None;
        };
        Some(StandIn { table: work.table.to_owned(), column: column.name.clone(), default, reads })
    }

    /// The old columns, in shared access, whose default asks for a column of the new side. Once that is NOT NULL it can't tell NULL
    /// from a value any more: they take NULL from the same statement on.
    pub(super) fn stood_in(&self, work: &Work<'a, '_>, column: &str) -> Vec<ColumnSpec> {
        if self.can.fills_for_queries || self.tells_writer(work.layout) {
            return Vec::new();
        }
        let of = |lens: &&Lens<'a>| lens.new.iter().any(|new| work.layout.of_new(&new.column.name).is_some_and(|new| new.name == column));
        let lenses = work.layout.lenses.iter().map(|(lens, _)| lens).filter(|lens| of(lens));
        let old = lenses.flat_map(|lens| &lens.old).filter(|old| old.mapping.is_some()).map(|old| old.column);
        old.filter(|old| wants_default(old) && work.layout.of_old(&old.name).is_some_and(|physical| physical.role == Role::Old))
            .map(|old| ColumnSpec { not_null: false, ..self.old_column_spec(old, work.table) })
            .collect()
    }

    /// Whether a column of the new side that is not NULL says that the new version wrote, and a default can ask so.
    fn tells(&self, work: &Work<'a, '_>, column: &SyncColumn, told: bool) -> bool {
        let new = work.layout.columns.iter().find(|physical| physical.name == column.name).and_then(|physical| physical.new);
        match new.and_then(|new| Some((new, new.default.as_ref()?))) {
            None => true,
            // In shared access the default comes in contract, and one that is an expression can't be read by another one.
            Some((new, default)) => !told && self.target.is_bare_literal(&new.ty, &default.text),
        }
    }

    /// Whether the server takes a formula for a default: it reads no other row, and no column that is computed.
    fn is_default(&self, work: &Work<'a, '_>, formula: &Formula) -> bool {
        let subquery = matches!(formula, Formula::Written(expr) if expr.has_subquery);
        let is_given = |name: &String| {
            let physical = work.layout.columns.iter().find(|physical| physical.name == *name);
            physical.and_then(|physical| physical.old.or(physical.new)).is_some_and(|column| {
                let literal = column.default.as_ref().is_none_or(|default| self.target.is_bare_literal(&column.ty, &default.text));
                literal && column.generated.is_none() && column.identity.is_none()
            })
        };
        !subquery && formula.columns().into_iter().all(is_given)
    }

    /// The default of a column that comes back to its name, while the view still shows the one under its helper name. A default can't
    /// tell whether a column of a key is given, since that is NOT NULL.
    pub(super) fn stand_in_for_view(&self, work: &Work<'a, '_>, physical: &Physical<'a>) -> Option<StandIn> {
        let new = physical.new.filter(|new| !self.can.fills_for_queries && wants_default(new) && !in_new_key(work, &new.name))?;
        let reads = vec![physical.name.clone()];
        let default = RowExpr::plain(&self.target.stand_in(&self.physical_type(&new.ty), None, &reads)?);
        Some(StandIn { table: work.table.to_owned(), column: new.name.clone(), default, reads })
    }
}

fn wants_default(column: &Column) -> bool {
    column.not_null && column.default.is_none() && column.identity.is_none() && column.generated.is_none()
}
