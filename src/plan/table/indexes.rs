//! Indexes.

use crate::diagnostic::Level;
use crate::snapshot::model::{Enforce, Index};

use super::super::model::{Action, CommentTarget, Concurrently, Finding, Phase, Rename};
use super::super::planner::{Draft, Planner};
use super::keys::Distinct;
use super::{ColumnsKind, RenameKind, Work, plain_columns};

impl<'a> Planner<'a> {
    pub(super) fn indexes(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.indexes {
            let old_columns = pair.old.map(|index| self.index_columns(index, work.table, self.diff.old)).unwrap_or_default();
            let stays = self.stay(work, &old_columns);
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => {
                    if old.name.text != new.name.text {
                        let what = format!("Index {} is called {} from now on.", old.name.text, new.name.text);
                        let rename = Rename { from: old.name.text.clone(), to: new.name.text.clone() };
                        let action = if self.can.unique_is_index {
                            Action::RenameConstraint { table: work.name.to_owned(), rename }
                        } else {
                            Action::RenameIndex(rename)
                        };
                        work.swap.push((format!("rename_index.{}", old.name.text), new.name.text.clone(), what, action));
                    }
                    if old.comment != new.comment {
                        self.comment(
                            work.change,
                            CommentTarget::Index(old.name.text.clone()),
                            &old.name.text,
                            old.comment.as_deref(),
                            new.comment.as_deref(),
                        );
                    }
                }
                (old, new) => {
                    let built = new.map(|new| self.index_added(work, new, old.is_some()));
                    if let Some(old) = old {
                        self.index_dropped(work, old, stays, new.is_some(), built);
                    }
                }
            }
        }
    }

    pub(super) fn index_added(&mut self, work: &mut Work<'a, '_>, new: &'a Index, replaces: bool) -> String {
        let columns = self.index_columns(new, work.name, self.diff.new);
        let kind = self.kind_of_columns(work, &columns);
        let (name, interim) = self.build_name(work.layout, &new.name, &columns);
        let until = interim.then(|| self.swap_unit(work.change, work.table));
        let physical = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let spec = self
            .index_spec(new, &name, work.table, &|expr| self.new_expr(expr, work.name, &physical), &|column| self.physical(work, column));
        let mut phase = match kind {
            ColumnsKind::Lens => Phase::Migrate,
            ColumnsKind::Both | ColumnsKind::OnlyNew if replaces => Phase::Migrate,
            ColumnsKind::Both | ColumnsKind::OnlyNew => Phase::Expand,
        };
        let mut requires = [work.ready.clone(), if phase == Phase::Expand { Vec::new() } else { work.filled.clone() }].concat();
        let known = Distinct::of_index(new).is_some_and(|rule| self.says_the_same_as_before(work, rule));
        if new.unique && kind != ColumnsKind::OnlyNew && !known {
            phase = match work.layout.enforce(columns.iter().map(String::as_str)) {
                Some(Enforce::Contract) => Phase::Contract,
                Some(Enforce::Migrate) | None => Phase::Migrate,
            };
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique index {} binds from {}: a duplicate of the old version fails then with SQLSTATE 23505",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            requires = [work.ready.clone(), work.filled.clone()].concat();
            self.warn(
                ("existing-duplicates", Level::Note),
                &format!("table {}", work.name),
                format!(
                    "keys of unique index {} that are there twice stop {} with a count and a sample; nothing is lost",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            let finding = Finding::Duplicate {
                name: name.clone(),
                keys: spec.keys.iter().map(|key| key.target.clone()).collect(),
                predicate: spec.predicate.clone(),
                nulls_not_distinct: new.nulls_not_distinct,
            };
            requires.push(self.gate(work, phase, &format!("unique.{}", new.name.text), finding, until));
        }
        let object = format!("{}.{name}", work.table);
        let id = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("create_index.{object}"),
            object,
            why: match kind {
                ColumnsKind::Lens => "Built behind the backfill, which an index would make dearer.".to_owned(),
                ColumnsKind::Both | ColumnsKind::OnlyNew => {
                    "What the new version looks rows up by, built while everyone writes.".to_owned()
                }
            },
            action: Action::CreateIndex(spec),
            unit: None,
            requires,
        });
        work.before_swap.push(id.clone());
        if interim {
            self.rename_late(work, name, new.name.text.clone(), RenameKind::Index);
        }
        id
    }

    pub(super) fn index_dropped(&mut self, work: &mut Work<'a, '_>, old: &'a Index, stays: bool, replaced: bool, built: Option<String>) {
        let spec = self.index_spec(old, &old.name.text, work.table, &|expr| self.old_expr(expr, work.table), &|column| column.to_owned());
        // A unique index is a rule: what the new version may write must not break on it.
        let rule = Distinct::of_index(old);
        if !replaced && rule.as_ref().is_some_and(|rule| self.goes_with_copy(work, &rule.columns)) {
            return;
        }
        let covered = rule.is_some_and(|rule| self.is_covered(work, rule));
        let on = plain_columns(old).filter(|_| old.unique && old.predicate.is_none());
        let bound = on.is_some_and(|columns| self.end_keys_on(work, &columns));
        let phase = if old.unique && stays && !replaced && !covered && !bound { Phase::Expand } else { Phase::Contract };
        if phase == Phase::Expand {
            self.rule_loosened(work, &format!("unique index {}", old.name.text), old.name.span);
            self.warn(
                ("old-upsert-loses-arbiter", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique index {} goes in expand, since the new version may write what it forbids: an upsert of the old version that names its columns fails with SQLSTATE 42P10",
                    old.name.text
                ),
                old.name.span,
            );
        }
        let object = format!("{}.{}", work.table, old.name.text);
        let new = work.layout.change.new;
        let name_is_reused =
            new.indexes.iter().map(|i| &i.name).chain(new.uniques.iter().map(|u| &u.name)).any(|n| n.text == old.name.text);
        // What says the same comes first; and without a primary key the server may keep the rows in the order of this one.
        if phase == Phase::Contract && (name_is_reused || bound || covered) {
            // In the block that runs once: run again, a statement of its own would drop the index that has the name by then; and
            // foreign keys that stand on it go there.
            work.before_swap.extend(built);
            work.swap.push((
                format!("drop_index.{object}"),
                object,
                if bound {
                    "No foreign key stands on it any more."
                } else {
                    "Its place is taken by the one that was built for the new shape."
                }
                .to_owned(),
                Action::DropIndex { index: spec, concurrently: Concurrently::No },
            ));
            return;
        }
        let mut requires: Vec<String> = built.into_iter().collect();
        requires.extend(self.drop_namespace_step.clone().filter(|_| phase == Phase::Contract));
        let id = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("drop_index.{object}"),
            object,
            why: "Only the old version looked rows up by it.".to_owned(),
            action: Action::DropIndex { index: spec, concurrently: Concurrently::Yes },
            unit: None,
            requires,
        });
        if phase == Phase::Contract {
            work.before_swap.push(id);
        }
    }
}
