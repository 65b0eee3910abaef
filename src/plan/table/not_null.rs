//! NOT NULL of columns that get it.

use crate::snapshot::model::Enforce;

use super::super::layout::Role;
use super::super::model::{Action, ColumnSpec, Finding, Phase};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::Work;
use super::keys::in_new_key;

impl<'a> Planner<'a> {
    /// NOT NULL of columns that get it: proved by a check, so that no scan holds a lock.
    pub(super) fn not_nulls(&mut self, work: &mut Work<'a, '_>) {
        for physical in &work.layout.columns {
            let Some(new) = physical.new else { continue };
            if !new.not_null {
                continue;
            }
            let tightened = match (physical.role, physical.old) {
                (Role::Both, Some(old)) => !old.not_null,
                (Role::NewFromLens, _) => true,
                (Role::New, _) => new.identity.is_some() || new.generated.is_some() || self.has_default_apart(new),
                (Role::Both | Role::Old, _) => false,
            };
            if !tightened {
                continue;
            }
            let phase = match (physical.role, physical.hints.and_then(|hints| hints.enforce)) {
                // An INSERT of the old version that names no columns would get an empty value where a trigger gives it the default.
                (Role::New, _) if !self.can.hidden_defaults => Phase::Contract,
                // The old version leaves the column to its default.
                (Role::New, _) if new.generated.is_none() => Phase::Migrate,
                (_, Some(Enforce::Migrate)) => Phase::Migrate,
                (_, Some(Enforce::Contract) | None) => Phase::Contract,
            };
            let object = format!("{}.{}", work.table, physical.name);
            let gate = self.gate(work, phase, &format!("null.{}", physical.name), Finding::Null(physical.name.clone()), None);
            // It binds on the column that stays.
            if phase == Phase::Contract && self.comes_back(work.layout, physical) && !in_new_key(work, &new.name) {
                work.before_swap.push(gate);
                continue;
            }
            if self.can.restates_columns {
                let old = ColumnSpec { not_null: false, ..self.overlap_column(work, physical, new) };
                let mut new = ColumnSpec { not_null: true, ..old.clone() };
                if phase == Phase::Contract
                    && (!self.can.hides_not_null && new.default.is_none() || !self.can.hidden_defaults && physical.role == Role::New)
                {
                    new.hidden = false;
                }
                let loosened = if phase == Phase::Contract { self.stood_in(work, &physical.name) } else { Vec::new() };
                let set = self.step(Draft {
                    phase,
                    change: work.change,
                    slug: format!("set_not_null.{object}"),
                    object,
                    why: "From now on NULL is refused. The table is copied beside its readers and writers, who wait for an instant only."
                        .to_owned(),
                    action: Action::RestateColumn { table: work.table.to_owned(), loosened, old: Box::new(old), new: Box::new(new) },
                    unit: None,
                    requires: vec![gate],
                });
                work.before_swap.push(set);
                continue;
            }
            let check = naming::not_null_check(work.table, &physical.name, self.diff.dialect);
            let add = self.step(Draft {
                phase,
                change: work.change,
                slug: format!("add_not_null_check.{object}"),
                object: object.clone(),
                why: "From now on NULL is refused; the rows that are there are not read yet.".to_owned(),
                action: Action::AddNotNullCheck { table: work.table.to_owned(), name: check.clone(), column: physical.name.clone() },
                unit: None,
                requires: vec![gate],
            });
            let validate = self.validate(work.change, phase, work.table, &check, None, vec![add]);
            let set = self.step(Draft {
                phase,
                change: work.change,
                slug: format!("set_not_null.{object}"),
                object: object.clone(),
                why: "The check proves it, so the table is not read again; then the check has served its purpose.".to_owned(),
                action: Action::SetNotNull { table: work.table.to_owned(), column: physical.name.clone(), check },
                unit: None,
                requires: vec![validate],
            });
            work.before_swap.push(set);
        }
    }
}
