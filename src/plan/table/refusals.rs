//! What no way is known for, or none yet: said by name before anything is planned.

use crate::snapshot::model::{Column, Type, TypeKind};
use crate::sql::expression::expression_equivalent;

use super::super::layout::Role;
use super::super::planner::Planner;
use super::{Work, names_word};

impl<'a> Planner<'a> {
    pub(super) fn refuse_what_is_not_there_yet(&mut self, work: &Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.exclusions {
            let replaced = work.layout.columns.iter().filter(|c| c.role == Role::Old).map(|c| c.name.as_str());
            let moves = pair.old.is_some_and(|old| replaced.into_iter().any(|column| names_word(&old.elements.text, column)));
            if let Some(new) = pair.new.filter(|_| !pair.equal || moves) {
                self.no_way(
                    &format!("table {}", work.name),
                    &format!("the index of exclusion constraint {} can't be built while clients write: PostgreSQL has no concurrent form of it, and reads the whole table under a lock", new.name.text),
                    "make a new table with the constraint, or add it by hand in a maintenance window and to both snapshots",
                    new.name.span,
                );
            }
        }
        for physical in &work.layout.columns {
            self.refuse_identity(work, physical);
            let object = |column: &Column| format!("{}.{}", work.name, column.name);
            match (physical.old, physical.new) {
                (Some(old), Some(new)) => {
                    let changes = old.generated.is_some() != new.generated.is_some()
                        || old.generated.as_ref().zip(new.generated.as_ref()).is_some_and(|(a, b)| {
                            a.stored != b.stored || !expression_equivalent(&a.expression.text, &b.expression.text, self.diff.dialect)
                        });
                    if changes && [old, new].iter().any(|c| c.generated.as_ref().is_some_and(|g| g.stored)) {
                        self.no_way(
                            &object(new),
                            "PostgreSQL writes the whole table anew, under a lock, when the expression of a stored generated column changes, and no plain column can become one",
                            "give the new expression a column of its own that is plain, with `up`, or let a view compute it",
                            new.span,
                        );
                    } else if changes {
                        self.not_yet(&object(new), "its generated expression changes", new.span);
                    }
                    if self.is_retyped_enum(&old.ty) {
                        self.not_yet(
                            &object(new),
                            "the server computes it, and the labels of its enum are taken away, renamed or moved",
                            new.span,
                        );
                    }
                }
                (None, Some(new)) => {
                    match &new.generated {
                        Some(generated) if generated.stored => self.no_way(
                            &object(new),
                            "PostgreSQL writes the whole table anew, under a lock, when a stored generated column is added, and no plain column can become one",
                            "make it a plain column with `up`, which follows its inputs while both versions run, or let a view compute it",
                            new.span,
                        ),
                        Some(_) if new.not_null => {
                            self.not_yet(&object(new), "a virtual column that is NOT NULL is added to a table that exists", new.span);
                        }
                        Some(_) | None => {}
                    }
                }
                (Some(old), None) => {
                    let renames = |name: &String| self.relabeled.get(name.as_str()).is_some_and(|pairs| !pairs.is_empty());
                    if old.ty.array_dimensions > 0 && matches!(&old.ty.kind, TypeKind::Enum(name) if renames(name)) {
                        self.not_yet(&object(old), "an array of an enum whose labels are renamed has no expression that maps it", old.span);
                    }
                    let in_lens = work
                        .layout
                        .lenses
                        .iter()
                        .any(|(lens, _)| lens.old.iter().any(|member| member.column.name == old.name && member.mapping.is_some()));
                    if in_lens && old.generated.is_some() {
                        self.not_yet(&object(old), "a generated column can't be written by a lens", old.span);
                    }
                    self.refuse_keys_left_behind(work, old);
                }
                (None, None) => {}
            }
        }
    }

    /// Whether a type of the old shape is an enum that gets another type for the new version.
    pub(super) fn is_retyped_enum(&self, ty: &Type) -> bool {
        matches!(&ty.kind, TypeKind::Enum(name) if self.relabeled.contains_key(name.as_str()))
    }
}
