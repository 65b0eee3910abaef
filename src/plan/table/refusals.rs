//! What no way is known for, or none yet: said by name before anything is planned.

use crate::diff::model::{Direction, Mapping};
use crate::snapshot::model::Column;
use crate::snapshot::types::product;
use crate::sql::tokens::names_word;

use super::super::Rules;
use super::super::layout::Role;
use super::super::planner::Planner;
use super::Work;

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
        self.refuse_computed_inputs(work);
        for physical in &work.layout.columns {
            self.refuse_identity(work, physical);
            let object = |column: &Column| format!("{}.{}", work.name, column.name);
            match (physical.old, physical.new) {
                (_, Some(new))
                    if physical.old.is_none()
                        && new.generated.as_ref().is_some_and(|generated| generated.stored)
                        && self.target.capabilities().rules == Rules::Altered => self.no_way(
                    &object(new),
                    &format!("{} writes the whole table anew, under a lock, when a stored generated column is added or computed otherwise, and no plain column can become one", product(self.diff.dialect)),
                    "make it a plain column with `up`, which follows its inputs while both versions run, or let a view compute it",
                    new.span,
                ),
                (_, Some(_)) => {}
                (Some(old), None) => {
                    let in_lens = work
                        .layout
                        .lenses
                        .iter()
                        .any(|(lens, _)| lens.old.iter().any(|member| member.column.name == old.name && member.mapping.is_some()));
                    if in_lens && old.generated.is_some() {
                        self.no_way(
                            &object(old),
                            "the server computes it for the old version, so that no `down` can write it",
                            "leave `down` out: until contract the old version reads what the server computes",
                            old.span,
                        );
                    }
                    self.refuse_keys_left_behind(work, old);
                }
                (None, None) => {}
            }
        }
    }

    /// Refuses expressions that a trigger can't work out: it runs before the server computes generated columns.
    fn refuse_computed_inputs(&mut self, work: &Work<'a, '_>) {
        for (lens, _) in &work.layout.lenses {
            for (member, direction) in lens.new.iter().map(|m| (m, Direction::Up)).chain(lens.old.iter().map(|m| (m, Direction::Down))) {
                let (key, table, shape) = match direction {
                    Direction::Up => ("up", work.layout.change.old, self.diff.old),
                    Direction::Down => ("down", work.layout.change.new, self.diff.new),
                };
                let Some(Mapping::Expression(expr)) = &member.mapping else { continue };
                let computed: Vec<&Column> = self
                    .columns_of(expr, &table.name, shape)
                    .iter()
                    .filter_map(|name| table.columns.get(name).filter(|column| column.generated.is_some()))
                    .collect();
                for column in computed {
                    let Some(generated) = &column.generated else { continue };
                    self.no_way(
                        &format!("{}.{}", work.name, member.column.name),
                        &format!("`{key}` reads {}, which the server computes only after every trigger", column.name),
                        &format!("write what it computes: ({})", generated.expression.text.trim()),
                        expr.span,
                    );
                }
            }
        }
    }
}
