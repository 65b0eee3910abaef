//! Unique and exclusion constraints.

use crate::diagnostic::Level;
use crate::diff::model::Pair;
use crate::snapshot::model::Unique;
use crate::sql::tokens::names_word;

use super::super::layout::Role;
use super::super::model::{Action, ConstraintSpec, Finding, IndexSpec, KeyTarget, Phase};
use super::super::planner::{Draft, Planner};
use super::keys::Distinct;
use super::{RenameKind, Work, unique_from};

impl<'a> Planner<'a> {
    pub(super) fn uniques(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        if let Some(Pair { old: Some(old), new: Some(new), equal: true }) = change.primary_key
            && self.key_goes(work).is_none()
        {
            self.rename_constraint(work, &old.name, &new.name);
        }
        for pair in &change.exclusions {
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal => self.rename_constraint(work, &old.name, &new.name),
                (Some(old), None) => {
                    let replaced = work.layout.columns.iter().filter(|c| c.role == Role::Old).map(|c| c.name.as_str());
                    let loosens = !replaced.into_iter().any(|column| names_word(&old.elements.text, column));
                    if loosens {
                        self.rule_loosened(work, &format!("exclusion constraint {}", old.name.text), old.name.span);
                        self.warn(
                            ("abort-rewrites", Level::Warning),
                            &format!("table {}", work.name),
                            format!("abort builds the index of exclusion constraint {} again under a lock, and fails on rows that exclude each other by then", old.name.text),
                            old.name.span,
                        );
                    }
                    self.drop_constraint(work, ConstraintSpec::Exclusion(old.clone()), loosens);
                }
                // One that is new is refused.
                (Some(_) | None, Some(_)) | (None, None) => {}
            }
        }
        for pair in &change.uniques {
            let stays = pair.old.is_some_and(|u| self.stay(work, &[u.columns.clone(), u.include.clone()].concat()));
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => self.rename_constraint(work, &old.name, &new.name),
                (old, new) => {
                    if old.is_some_and(|old| new.is_none() && self.goes_covered(work, old)) {
                        continue;
                    }
                    if let Some(old) = old {
                        let bound = self.end_keys_on(work, &old.columns);
                        let loosens = stays && new.is_none() && !bound;
                        self.drop_constraint(work, ConstraintSpec::Unique(old.clone()), loosens);
                        if loosens {
                            self.rule_loosened(work, &format!("unique {}", old.name.text), old.name.span);
                            self.warn(
                                ("old-upsert-loses-arbiter", Level::Warning),
                                &format!("table {}", work.name),
                                format!(
                                    "unique {} goes in expand, since the new version may write what it forbids: an upsert of the old version that names its columns fails with SQLSTATE 42P10",
                                    old.name.text
                                ),
                                old.name.span,
                            );
                        }
                    }
                    if let Some(new) = new {
                        self.unique_added(work, new);
                    }
                }
            }
        }
    }

    /// Whether an old rule goes behind the new one that says the same.
    fn goes_covered(&self, work: &Work<'a, '_>, old: &Unique) -> bool {
        self.stay(work, &[old.columns.clone(), old.include.clone()].concat()) && self.is_covered(work, Distinct::of_unique(old))
    }

    /// Lets the rules go that others say again: behind the primary key, since without one the server may keep the rows in the
    /// order of what goes here.
    pub(super) fn covered_uniques(&mut self, work: &mut Work<'a, '_>) {
        for pair in &work.layout.change.uniques {
            let (Some(old), None) = (pair.old, pair.new) else { continue };
            if !self.goes_covered(work, old) || self.goes_with_copy(work, &old.columns) {
                continue;
            }
            self.end_keys_on(work, &old.columns);
            self.drop_constraint(work, ConstraintSpec::Unique(old.clone()), false);
        }
    }

    pub(super) fn unique_added(&mut self, work: &mut Work<'a, '_>, new: &'a Unique) {
        let all: Vec<String> = new.columns.iter().chain(&new.include).cloned().collect();
        let phase = unique_from(work.layout, &all);
        let (name, interim) = self.build_name(work.layout, &new.name, &new.columns);
        let until = interim.then(|| self.swap_unit(work.change, work.table));
        let columns: Vec<String> = new.columns.iter().map(|c| self.physical(work, c)).collect();
        let mut unique = new.clone();
        unique.name.text.clone_from(&name);
        unique.columns.clone_from(&columns);
        unique.include = new.include.iter().map(|c| self.physical(work, c)).collect();
        let mut requires = work.ready.clone();
        if phase != Phase::Expand && !self.says_the_same_as_before(work, Distinct::of_unique(new)) {
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique {} binds from {}: a duplicate of the old version fails then with SQLSTATE 23505",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            self.warn(
                ("existing-duplicates", Level::Note),
                &format!("table {}", work.name),
                format!(
                    "keys of unique {} that are there twice stop {} with a count and a sample; nothing is lost",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            let finding = Finding::Duplicate {
                // Where the index is all there is, the old one of that name says nothing of it.
                name: if self.can.unique_is_index { name.clone() } else { new.name.text.clone() },
                keys: KeyTarget::columns(&columns),
                predicate: None,
                nulls_not_distinct: new.nulls_not_distinct,
            };
            requires = vec![self.gate(work, phase, &format!("unique.{}", new.name.text), finding, until)];
            requires.extend(work.filled.clone());
        }
        let index = IndexSpec::of_unique(&name, work.table, &columns, new.nulls_not_distinct, &unique.include);
        let object = format!("{}.{name}", work.table);
        let build = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("create_index.{object}"),
            object: object.clone(),
            why: format!("The index that {} is to stand on, built while everyone writes.", new.name.text),
            action: Action::CreateIndex(index),
            unit: None,
            requires,
        });
        if self.can.unique_is_index {
            work.before_swap.push(build);
            if interim {
                self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
            }
            return;
        }
        let attach = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("attach_unique.{object}"),
            object,
            why: "The index becomes the constraint: no row is read.".to_owned(),
            action: Action::AttachUnique { table: work.table.to_owned(), unique },
            unit: None,
            requires: vec![build],
        });
        work.before_swap.push(attach);
        if interim {
            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
        }
    }
}
