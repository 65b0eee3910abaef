//! Check constraints: added, dropped, changed, moved with their columns.

use crate::diagnostic::{Level, Span};
use crate::snapshot::model::{Check, Enforce};

use super::super::layout::Role;
use super::super::model::{Action, ConstraintSpec, Finding, Phase, RowExpr};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::{ColumnsKind, RenameKind, Work};

impl<'a> Planner<'a> {
    pub(super) fn checks(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.checks {
            let old_columns = pair.old.map(|check| self.check_columns(check, work.table, self.diff.old)).unwrap_or_default();
            let stays = self.stay(work, &old_columns);
            if let Some(new) = pair.new.filter(|_| pair.old.is_none() || !pair.equal) {
                self.partial_check(work, new);
            }
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays && (self.can.validates_apart || old.name.text == new.name.text) => {
                    self.rename_constraint(work, &old.name, &new.name);
                }
                (Some(old), Some(new)) if !pair.equal && old.name.text == new.name.text && stays => {
                    self.check_changed(work, old, new);
                }
                (old, new) => {
                    if let Some(old) = old {
                        let constraint = ConstraintSpec::Check(old.name.text.clone(), self.old_expr(&old.expression, work.table));
                        let loosens = stays && !pair.equal;
                        if loosens {
                            self.rule_loosened(work, &format!("check {}", old.name.text), old.name.span);
                        } else if !pair.equal {
                            self.old_check_binds(work, old, &old_columns);
                        }
                        self.drop_constraint(work, constraint, loosens);
                    }
                    if let Some(new) = new {
                        let columns = self.check_columns(new, work.name, self.diff.new);
                        let (name, interim) = self.build_name(work.layout, &new.name, &columns);
                        let until = interim.then(|| self.swap_unit(work.change, work.table));
                        let condition = self.new_expr(&new.expression, work.name, &|name| work.layout.of_new(name).map(|c| c.name.clone()));
                        let kind = self.kind_of_columns(work, &columns);
                        let phase = match (kind, work.layout.enforce(columns.iter().map(String::as_str))) {
                            (ColumnsKind::OnlyNew, _) => Phase::Expand,
                            (_, Some(Enforce::Migrate)) => Phase::Migrate,
                            (_, Some(Enforce::Contract) | None) => Phase::Contract,
                        };
                        if kind == ColumnsKind::Both {
                            self.rule_tightened(work, &format!("check {}", new.name.text), phase, "23514", new.name.span);
                        }
                        let mut requires = work.ready.clone();
                        if phase != Phase::Expand {
                            // Where a phase is no transaction, the old one of that name says nothing of it.
                            let asked = if self.can.transactional_ddl { &new.name.text } else { &name };
                            let finding = Finding::Check(asked.clone(), condition.clone());
                            requires = vec![self.gate(work, phase, &format!("check.{}", new.name.text), finding, until.clone())];
                            requires.extend(work.filled.clone());
                        }
                        let object = format!("{}.{name}", work.table);
                        let add = self.step(Draft {
                            phase,
                            change: work.change,
                            slug: format!("add_check.{object}"),
                            object,
                            why: "The rule binds every write from now on; the rows that are there are proved in the next step.".to_owned(),
                            action: Action::AddCheck { table: work.table.to_owned(), name: name.clone(), condition, until },
                            unit: None,
                            requires,
                        });
                        let validate_phase = if phase == Phase::Expand { Phase::Migrate } else { phase };
                        let done = self.validate(work.change, validate_phase, work.table, &name, None, vec![add]);
                        work.before_swap.push(done);
                        if interim {
                            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
                        }
                    }
                }
            }
        }
    }

    /// A changed check is `(old) or (new)` while both versions write; the new one binds from contract, or from migrate.
    pub(super) fn check_changed(&mut self, work: &mut Work<'a, '_>, old: &'a Check, new: &'a Check) {
        let name = &new.name.text;
        let before = self.old_expr(&old.expression, work.table);
        let after = self.new_expr(&new.expression, work.name, &|name| work.layout.of_new(name).map(|c| c.name.clone()));
        let both = naming::interim(name, self.diff.dialect);
        let unit = Some(format!("expand{:02}.check.{name}", work.change));
        let mut drop = Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("drop_constraint.{}.{name}", work.table),
            object: format!("{}.{name}", work.table),
            why: "What each version may write differs: until contract either rule will do.".to_owned(),
            action: Action::DropConstraint {
                table: work.table.to_owned(),
                constraint: ConstraintSpec::Check(name.clone(), before.clone()),
            },
            unit: unit.clone(),
            requires: work.ready.clone(),
        };
        let mut add = Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("add_check.{}.{both}", work.table),
            object: format!("{}.{both}", work.table),
            why: "Old or new. The rows that are there satisfy the old one, so they need not be read.".to_owned(),
            action: Action::AddCheck { table: work.table.to_owned(), name: both.clone(), condition: either(&before, &after), until: None },
            unit,
            requires: work.ready.clone(),
        };
        if self.can.transactional_ddl {
            add.requires = vec![self.step(drop)];
            self.step(add);
        } else {
            // One of the two binds at any time.
            drop.requires = vec![self.step(add)];
            self.step(drop);
        }
        let columns = self.check_columns(new, work.name, self.diff.new);
        let phase = match work.layout.enforce(columns.iter().map(String::as_str)) {
            Some(Enforce::Migrate) => Phase::Migrate,
            Some(Enforce::Contract) | None => Phase::Contract,
        };
        self.rule_tightened(work, &format!("check {name}"), phase, "23514", new.name.span);
        self.rule_loosened(work, &format!("check {name} as the old version has it"), old.name.span);
        let mut requires = vec![self.gate(work, phase, &format!("check.{name}"), Finding::Check(name.clone(), after.clone()), None)];
        requires.extend(work.filled.clone());
        let add = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("add_check.{}.{name}", work.table),
            object: format!("{}.{name}", work.table),
            why: "The new rule binds every write from now on; the rows that are there are proved in the next step.".to_owned(),
            action: Action::AddCheck { table: work.table.to_owned(), name: name.clone(), condition: after.clone(), until: None },
            unit: None,
            requires,
        });
        let done = self.validate(work.change, phase, work.table, name, None, vec![add]);
        work.before_swap.push(done.clone());
        self.step(Draft {
            phase,
            change: work.change,
            slug: format!("drop_constraint.{}.{both}", work.table),
            object: format!("{}.{both}", work.table),
            why: "The new rule says more than this one.".to_owned(),
            action: Action::DropConstraint {
                table: work.table.to_owned(),
                constraint: ConstraintSpec::Check(both, either(&before, &after)),
            },
            unit: None,
            requires: vec![done],
        });
    }

    /// A rule that stays for the old version's sake reads a column that it alone has beside others. The new version may change those
    /// alone; what the old version reads is left as it is then, since both sides agree on it, and who writes can't be told.
    fn old_check_binds(&mut self, work: &Work<'a, '_>, check: &Check, columns: &[String]) {
        let lens_of = |name: &String| work.layout.lenses.iter().find(|(lens, _)| lens.old.iter().any(|m| m.column.name == *name));
        let is_apart = |name: &&String| work.layout.of_old(name).is_some_and(|column| column.role == Role::Old);
        let Some(apart) = columns.iter().find(is_apart) else { return };
        let own: Vec<&str> =
            lens_of(apart).map_or_else(|| vec![apart.as_str()], |(lens, _)| lens.old.iter().map(|m| &*m.column.name).collect());
        let others: Vec<&str> = columns.iter().map(String::as_str).filter(|name| !own.contains(name)).collect();
        if others.is_empty() {
            return;
        }
        self.warn(
            ("old-check-binds", Level::Warning),
            &format!("table {}", work.name),
            format!(
                "check {} stays until contract and reads the old version's {apart} beside {}: an UPDATE of the new version that leaves {apart} as it is fails with SQLSTATE 23514 where the row breaks it",
                check.name.text,
                others.join(", ")
            ),
            check.name.span,
        );
    }

    pub(super) fn rule_tightened(&mut self, work: &Work<'a, '_>, what: &str, phase: Phase, sqlstate: &str, span: Span) {
        self.warn(
            ("rule-tightened", Level::Warning),
            &format!("table {}", work.name),
            format!("{what} binds from {}: a write that breaks it fails then with SQLSTATE {sqlstate}", phase.name()),
            span,
        );
    }
}

/// `(a) or (b)`.
fn either(a: &RowExpr, b: &RowExpr) -> RowExpr {
    let (open, middle, close) = ("(", ") or (", ")");
    let text = [open, &a.text, middle, &b.text, close].concat();
    let (first, second) = (open.len(), open.len() + a.text.len() + middle.len());
    let shifted = |expr: &RowExpr, by: usize| -> Vec<_> {
        expr.splices.iter().map(|(range, splice)| (range.start + by..range.end + by, splice.clone())).collect()
    };
    let mut splices = shifted(a, first);
    splices.extend(shifted(b, second));
    RowExpr { text, splices, has_subquery: a.has_subquery || b.has_subquery }
}
