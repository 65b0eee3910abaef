//! Foreign keys of a table.

use crate::diagnostic::Level;
use crate::snapshot::model::{Enforce, ForeignKey};

use super::super::model::{Action, ConstraintSpec, Finding, ForeignKeySpec, Phase};
use super::super::planner::{Draft, Planner};
use super::{ColumnsKind, RenameKind, Work};

impl<'a> Planner<'a> {
    pub(super) fn foreign_keys(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.foreign_keys {
            let stays =
                pair.old.is_some_and(|key| self.stay(work, &key.columns)) && pair.new.is_none_or(|key| self.referred_stay(work, key));
            // What it stands on goes while its columns stay: it ends in the swap, and is made anew at its end.
            let late = pair.new.is_some_and(|key| self.goes_from_under(work, key));
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays && !late && (self.can.validates_apart || old.name.text == new.name.text) => {
                    self.rename_constraint(work, &old.name, &new.name);
                }
                (Some(old), Some(new)) if stays && !late && is_only_deferred_otherwise(old, new) => {
                    self.foreign_key_deferred_otherwise(work, old, new);
                }
                (old, new) => {
                    if let Some(old) = old {
                        let spec = ForeignKeySpec { table: work.table.to_owned(), key: old.clone() };
                        let loosens = stays && new.is_none_or(|new| !pair.equal && self.forbids_more(work, old, new));
                        match new {
                            Some(new) if stays && !pair.equal => self.foreign_key_changed(work, old, new, loosens),
                            Some(_) | None => {}
                        }
                        if loosens && new.is_none() {
                            self.rule_loosened(work, &format!("foreign key {}", old.name.text), old.name.span);
                        }
                        self.drop_constraint(work, ConstraintSpec::ForeignKey(spec), loosens);
                    }
                    if let Some(new) = new {
                        let kind = self.kind_of_columns(work, &new.columns);
                        let referred = self.index_of_referred_key(work, new);
                        let phase = match (kind, work.layout.enforce(new.columns.iter().map(String::as_str))) {
                            _ if late => Phase::Contract,
                            (ColumnsKind::OnlyNew, _) => Phase::Expand,
                            // The same key in other columns takes nothing from anyone: it is there before the old one goes.
                            (_, Some(Enforce::Migrate)) | (_, None) if pair.equal => Phase::Migrate,
                            (_, Some(Enforce::Migrate)) => Phase::Migrate,
                            (_, Some(Enforce::Contract) | None) => Phase::Contract,
                        };
                        let phase = referred.iter().map(|(phase, _)| *phase).fold(phase, Phase::max);
                        if kind == ColumnsKind::Both
                            && !pair.equal
                            && pair.old.is_none_or(|old| !stays || self.forbids_more(work, new, old))
                        {
                            self.rule_tightened(work, &format!("foreign key {}", new.name.text), phase, "23503", new.name.span);
                        }
                        if kind == ColumnsKind::OnlyNew && pair.old.is_none() && !self.added.contains(new.ref_table.as_str()) {
                            self.binds_old_version(work.name, new, phase);
                        }
                        if late {
                            if pair.old.is_none_or(|old| !pair.equal && self.forbids_more(work, new, old)) {
                                let spec = self.foreign_key_spec(new, &new.name.text, work.table, &|column| self.physical(work, column));
                                // An old key of the same name says nothing of the new one.
                                let until = Some(self.swap_unit(work.change, work.table));
                                let gate = self.gate(work, phase, &format!("orphan.{}", new.name.text), Finding::Orphan(spec), until);
                                work.before_swap.push(gate);
                            }
                            self.late_foreign_keys.push((&change.new.name, new, self.swap_unit(work.change, work.table)));
                            continue;
                        }
                        let (name, interim) = self.build_name(work.layout, &new.name, &new.columns);
                        let until = interim.then(|| self.swap_unit(work.change, work.table));
                        let spec = self.foreign_key_spec(new, &name, work.table, &|column| self.physical(work, column));
                        let references = spec.key.ref_table.clone();
                        let mut requires = work.ready.clone();
                        if phase != Phase::Expand {
                            let finding = Finding::Orphan(spec.clone());
                            // For this key only: that index may be the table's own, which must not need itself.
                            let filled = work.filled.len();
                            work.filled.extend(referred.map(|(_, step)| step));
                            requires = vec![self.gate(work, phase, &format!("orphan.{}", new.name.text), finding, until.clone())];
                            requires.extend(work.filled.clone());
                            work.filled.truncate(filled);
                        }
                        if !self.diff.old.tables.contains_key(&references) {
                            requires.push(format!("expand{:02}.create_table.{references}", self.change_of_table(&references)));
                        }
                        let object = format!("{}.{name}", work.table);
                        let add = self.step(Draft {
                            phase,
                            change: work.change,
                            slug: format!("add_foreign_key.{object}"),
                            object,
                            why: if self.can.validates_apart {
                                "NOT VALID: it binds every write from now on, and neither table is read under the lock."
                            } else {
                                "Added without a look at the rows that are there, so that nobody waits: it binds every write from now on, and then the rows are looked at."
                            }
                            .to_owned(),
                            action: Action::AddForeignKey { spec, until },
                            unit: None,
                            requires,
                        });
                        let validate_phase = if phase == Phase::Expand { Phase::Migrate } else { phase };
                        let done = self.validate(work.change, validate_phase, work.table, &name, Some(references), vec![add]);
                        work.before_swap.push(done);
                        if interim {
                            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
                        }
                    }
                }
            }
        }
    }

    /// Makes the foreign keys anew whose keys have gone from under them: in the same transaction, so that they bind all the time.
    pub(in super::super) fn late_foreign_keys(&mut self) {
        for (table, key, swap) in std::mem::take(&mut self.late_foreign_keys) {
            let change = self.change_of_table(table);
            let object = format!("{table}.{}", key.name.text);
            let add = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("restore_foreign_key.{object}"),
                object,
                why: format!("The key goes over to the index of {} that is left. NOT VALID: no row is read under the lock.", key.ref_table),
                action: Action::RestoreForeignKey(ForeignKeySpec { table: table.to_owned(), key: key.clone() }),
                unit: Some(swap),
                requires: self.swap_ends.get(&change).cloned().unwrap_or_default(),
            });
            self.validate(change, Phase::Contract, table, &key.name.text, Some(key.ref_table.clone()), vec![add]);
        }
    }

    /// Whether a foreign key forbids a row that another one of the table allows.
    pub(super) fn forbids_more(&self, work: &Work<'a, '_>, one: &ForeignKey, other: &ForeignKey) -> bool {
        let table =
            |key: &ForeignKey| self.renamed.get(key.ref_table.as_str()).map_or_else(|| key.ref_table.clone(), |new| (*new).to_owned());
        let physical = |columns: &[String]| -> Vec<String> {
            let of_old = |name: &String| work.layout.of_old(name).map(|c| c.name.clone());
            columns
                .iter()
                .map(|name| work.layout.of_new(name).map(|c| c.name.clone()).or_else(|| of_old(name)).unwrap_or_else(|| name.clone()))
                .collect()
        };
        table(one) != table(other)
            || one.ref_columns != other.ref_columns
            || physical(&one.columns) != physical(&other.columns)
            || (one.match_full && !other.match_full && one.columns.len() > 1)
    }

    /// Says what a foreign key that changes means while both versions run.
    pub(super) fn foreign_key_changed(&mut self, work: &Work<'a, '_>, old: &ForeignKey, new: &ForeignKey, loosens: bool) {
        let object = format!("table {}", work.name);
        let name = &new.name.text;
        if loosens {
            self.warn(
                ("foreign-key-gap", Level::Warning),
                &object,
                format!(
                    "foreign key {name} to {} goes in expand, since the new version may write what it forbids: until the new one binds, nothing keeps the old version from a reference that leads nowhere, and nothing cascades",
                    old.ref_table
                ),
                new.name.span,
            );
        } else if old.on_delete != new.on_delete || old.on_update != new.on_update {
            self.warn(
                ("foreign-key-acts-late", Level::Warning),
                &object,
                format!("what foreign key {name} does when a row of {} is deleted or changes its key stays as the old version knows it until contract", old.ref_table),
                new.name.span,
            );
        }
    }

    /// A foreign key that differs only in when it is checked stays: later checks bind from expand, earlier ones from contract.
    pub(super) fn foreign_key_deferred_otherwise(&mut self, work: &mut Work<'a, '_>, old: &'a ForeignKey, new: &'a ForeignKey) {
        let spec = ForeignKeySpec { table: work.table.to_owned(), key: old.clone() };
        let object = format!("{}.{}", work.table, old.name.text);
        let slug = format!("alter_foreign_key.{object}");
        let deferred = |key: &ForeignKey| (key.deferrable || key.initially_deferred, key.initially_deferred);
        let action = Action::AlterForeignKey { old: spec, new: (new.deferrable, new.initially_deferred) };
        if deferred(old) <= deferred(new) {
            self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug,
                object,
                why: "The new version may put the check off to the end of its transaction; only the catalog is written.".to_owned(),
                action,
                unit: None,
                requires: work.ready.clone(),
            });
        } else {
            work.swap.push((
                slug,
                object,
                "The new version has the check at each statement; only the catalog is written.".to_owned(),
                action,
            ));
        }
        self.rename_constraint(work, &old.name, &new.name);
    }
}

/// Whether two foreign keys differ in nothing but when they are checked.
fn is_only_deferred_otherwise(old: &ForeignKey, new: &ForeignKey) -> bool {
    let mut settled = old.clone();
    settled.name = new.name.clone();
    settled.deferrable = new.deferrable;
    settled.initially_deferred = new.initially_deferred;
    settled == *new && (old.deferrable, old.initially_deferred) != (new.deferrable, new.initially_deferred)
}
