//! Identity: of a column that is added, given to one that stays, taken from one, or moved with its column.

use crate::diagnostic::Level;
use crate::snapshot::model::{Column, Identity, Table};
use crate::sql::expression::{defines_volatile, drawn_from};

use super::super::layout::{Layout, Physical, Role, Treatment};
use super::super::model::{Action, ColumnSpec, Formula, Highest, Phase, SequenceFrom};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::Work;

impl<'a> Planner<'a> {
    /// Refuses what an identity has no way to or from.
    pub(super) fn refuse_identity(&mut self, work: &Work<'a, '_>, physical: &Physical<'a>) {
        let Some(new) = physical.new else { return };
        let object = format!("{}.{}", work.name, new.name);
        match (physical.role, physical.old, new.identity) {
            (Role::NewFromLens, _, Some(_)) if self.identity_source(work.layout, &new.name).is_none() => self.no_way(
                &object,
                "until contract the old version gives the numbers of this column in another one, and what counts for the new version can't know them",
                "make the column an identity column in a transition of its own, and give it its new name or type in the next one",
                new.span,
            ),
            (Role::Both, Some(old), Some(_)) if old.identity.is_none() && sequence_of(old).is_none() && (!old.not_null || old.default.is_some()) => {
                let (why, way_out) = if old.not_null {
                    ("until contract the old version leaves this column to its default, and an identity column has none", "take the default away in a transition of its own first")
                } else {
                    ("until contract the old version may leave NULL in this column, and an identity column takes none", "make it NOT NULL in a transition of its own first")
                };
                self.no_way(&object, why, way_out, new.span);
            }
            (Role::Both, Some(old), None) if old.identity.is_some() && !new.not_null => self.no_way(
                &object,
                "until contract the old version counts by the identity of this column, and an identity column takes no NULL",
                "take the identity away in a transition of its own first, and NOT NULL in the next one",
                new.span,
            ),
            _ => {}
        }
    }

    /// A new identity column of a table that exists: with the column the identity would write all rows anew, so a counter
    /// stands in for it until every row has its number.
    pub(super) fn identity_added(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>) {
        let Some(new) = physical.new else { return };
        let counter = naming::counter(work.table, &physical.name, self.diff.dialect);
        let object = format!("{}.{}", work.table, physical.name);
        let id = self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("add_counter.{object}"),
            object,
            why: "What counts until every row has its number. Set with the column it would rewrite the table.".to_owned(),
            action: Action::AddCounter {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                ty: new.ty.clone(),
                counter: counter.clone(),
            },
            unit: None,
            requires: work.ready.clone(),
        });
        work.ready.push(id.clone());
        self.backfill(work, &physical.name, vec![(physical.name.clone(), new.ty.clone(), Formula::Next(counter))], vec![id]);
    }

    /// What becomes of identities, once the rows are filled and NOT NULL.
    pub(super) fn identities(&mut self, work: &mut Work<'a, '_>) {
        for physical in &work.layout.columns {
            let Some(new) = physical.new else { continue };
            match (physical.role, physical.old.map(|old| (old, old.identity)), new.identity) {
                (Role::New, _, Some(identity)) => self.identity_follows_counter(work, physical, identity),
                (Role::NewFromLens, _, Some(_)) if self.can.restates_columns => self.refuse_counter_apart(work, new),
                (Role::NewFromLens, _, Some(identity)) => self.identity_moved(work, physical, new, identity),
                (Role::Both, Some((old, None)), Some(identity)) => match sequence_of(old) {
                    Some(sequence) => self.identity_from_sequence(work, physical, new, identity, sequence),
                    None => self.identity_given(work, physical, new, identity),
                },
                (Role::Both, Some((old, Some(was))), None) => self.identity_taken(work, physical, old, new, was),
                (Role::Both, Some((_, Some(was))), Some(is)) if was != is => self.identity_kind_changed(work, physical, was, is),
                (Role::Both | Role::Old | Role::New | Role::NewFromLens, _, _) => {}
            }
        }
    }

    /// A number that is known only once the row is written can't be in two columns of it.
    fn refuse_counter_apart(&mut self, work: &Work<'a, '_>, new: &Column) {
        let Some(old) = self.identity_source(work.layout, &new.name) else { return };
        let way_out = if old.ty == new.ty {
            "let the rows move to a table of another name, whose triggers know the number: `from:` in the transition"
        } else {
            "change it by hand in a maintenance window, and in both snapshots (MariaDB 11.2 and later can copy the table beside its writers)"
        };
        self.no_way(
            &format!("{}.{}", work.name, new.name),
            "the server gives a row its number behind the triggers, so that no second column can follow it",
            way_out,
            new.span,
        );
    }

    fn identity_follows_counter(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, identity: Identity) {
        let object = format!("{}.{}", work.table, physical.name);
        let counter = naming::counter(work.table, &physical.name, self.diff.dialect);
        let not_null = format!("migrate{:02}.set_not_null.{object}", work.change);
        let id = self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("add_identity.{object}"),
            object: object.clone(),
            why: "Every row has its number: the identity counts on where the counter stopped.".to_owned(),
            action: Action::AddIdentity {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                identity,
                from: SequenceFrom::Counter(counter),
                highest: Highest::Unknown,
            },
            unit: Some(format!("migrate{:02}.identity.{object}", work.change)),
            requires: vec![not_null],
        });
        work.before_swap.push(id);
    }

    /// The identity of a column that a lens replaces goes over to the new one, with the place of its sequence.
    fn identity_moved(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, new: &Column, identity: Identity) {
        let Some(old) = self.identity_source(work.layout, &new.name) else { return };
        if identity == Identity::Always {
            self.identity_given_late(work, new);
        }
        let object = format!("{}.{}", work.table, physical.name);
        let from = match sequence_of(old) {
            Some(sequence) => SequenceFrom::Sequence(sequence),
            None => SequenceFrom::Column(old.name.clone()),
        };
        work.swap.push((
            format!("add_identity.{object}"),
            object,
            format!("The new column counts on where {} stopped: behind its sequence and behind the highest value.", old.name),
            Action::AddIdentity {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                identity,
                from,
                highest: highest(work.layout.change.new, &new.name),
            },
        ));
    }

    /// A default that draws from a sequence of the snapshot becomes an identity: until contract it counts for both versions.
    fn identity_from_sequence(
        &mut self,
        work: &mut Work<'a, '_>,
        physical: &Physical<'a>,
        new: &Column,
        identity: Identity,
        sequence: String,
    ) {
        if identity == Identity::Always {
            self.identity_given_late(work, new);
        }
        let object = format!("{}.{}", work.table, physical.name);
        work.swap.push((
            format!("add_identity.{object}"),
            object,
            format!("Until now sequence {sequence} has counted for both; the identity counts on where it stopped."),
            Action::AddIdentity {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                identity,
                from: SequenceFrom::Sequence(sequence),
                highest: highest(work.layout.change.new, &new.name),
            },
        ));
    }

    /// A column whose numbers the old version gives itself becomes one that counts.
    fn identity_given(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, new: &Column, identity: Identity) {
        let object = format!("{}.{}", work.table, physical.name);
        self.warn(
            ("identity-meets-given", Level::Warning),
            &format!("{}.{}", work.name, new.name),
            "the sequence starts behind the numbers that are there in migrate, and does not know those that the old version gives from then on: a number may be given twice, which a unique key refuses with SQLSTATE 23505",
            new.span,
        );
        if identity == Identity::Always {
            self.identity_given_late(work, new);
        }
        let action = |action_identity| Action::AddIdentity {
            table: work.table.to_owned(),
            column: physical.name.clone(),
            identity: action_identity,
            from: SequenceFrom::Given,
            highest: Highest::Unknown,
        };
        let add = self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("add_identity.{object}"),
            object: object.clone(),
            why: "A number for a write that gives none, which failed until now. BY DEFAULT, since the old version gives its own."
                .to_owned(),
            action: action(Identity::ByDefault),
            unit: Some(format!("expand{:02}.identity.{object}", work.change)),
            requires: work.ready.clone(),
        });
        let advance = |highest| Action::AdvanceIdentity { table: work.table.to_owned(), column: physical.name.clone(), highest };
        self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("advance_identity.{object}"),
            object: object.clone(),
            why: "The sequence starts behind the numbers that the old version has given.".to_owned(),
            action: advance(Highest::ByScan),
            unit: None,
            requires: vec![add],
        });
        if highest(work.layout.change.new, &new.name) == Highest::ByIndex {
            work.swap.push((
                format!("advance_identity.{object}"),
                object.clone(),
                "Once more: what the old version has given since migrate is left behind.".to_owned(),
                advance(Highest::ByIndex),
            ));
        }
        if identity == Identity::Always {
            self.identity_binds(work, physical, Identity::ByDefault, Identity::Always);
        }
    }

    /// An identity column becomes a plain one: until contract it counts for whoever gives no number.
    fn identity_taken(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, old: &Column, new: &Column, was: Identity) {
        let object = format!("{}.{}", work.table, physical.name);
        let sequence = sequence_of(new);
        if was == Identity::Always {
            self.identity_loosened(work, physical, was);
        }
        if self.can.restates_columns {
            let own = |name: &str| Some(name.to_owned());
            let after = self.column_spec(new, work.name, &new.name, &own);
            let before = ColumnSpec { identity: Some(was), ..after.clone() };
            let object = format!("{}.{}", work.name, new.name);
            work.swap.push((
                format!("drop_identity.{object}"),
                object,
                "Only the new version is left, which gives the numbers itself.".to_owned(),
                Action::RestateColumn { table: work.name.to_owned(), loosened: Vec::new(), old: Box::new(before), new: Box::new(after) },
            ));
            return;
        }
        if sequence.is_none() {
            self.warn(
                ("identity-meets-given", Level::Warning),
                &format!("{}.{}", work.name, new.name),
                "until contract the old version counts by its sequence, which does not know the numbers that the new one gives: a number may be given twice, which a unique key refuses with SQLSTATE 23505",
                new.span,
            );
        }
        let why = match &sequence {
            Some(sequence) => format!("Until now the identity has counted for both; sequence {sequence} counts on where it stopped."),
            None => "Only the new version is left, which gives the numbers itself.".to_owned(),
        };
        work.swap.push((
            format!("drop_identity.{object}"),
            object,
            why,
            Action::DropIdentity {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                sequence,
                highest: highest(work.layout.change.new, &old.name),
            },
        ));
    }

    fn identity_kind_changed(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, was: Identity, is: Identity) {
        match is {
            Identity::ByDefault => self.identity_loosened(work, physical, was),
            Identity::Always => self.identity_binds(work, physical, was, is),
        }
    }

    fn identity_loosened(&mut self, work: &Work<'a, '_>, physical: &Physical<'a>, was: Identity) {
        let object = format!("{}.{}", work.table, physical.name);
        self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("alter_identity.{object}"),
            object,
            why: "The new version may give a value; until now that was refused.".to_owned(),
            action: Action::AlterIdentity {
                table: work.table.to_owned(),
                column: physical.name.clone(),
                old: was,
                new: Identity::ByDefault,
            },
            unit: None,
            requires: Vec::new(),
        });
    }

    fn identity_binds(&mut self, work: &mut Work<'a, '_>, physical: &Physical<'a>, was: Identity, is: Identity) {
        let object = format!("{}.{}", work.table, physical.name);
        let why = "Only the new version is left, which gives no values: a value that is given is refused from now on.";
        let action = Action::AlterIdentity { table: work.table.to_owned(), column: physical.name.clone(), old: was, new: is };
        work.swap.push((format!("alter_identity.{object}"), object, why.to_owned(), action));
    }

    fn identity_given_late(&mut self, work: &Work<'a, '_>, new: &Column) {
        self.warn(
            ("identity-given", Level::Note),
            &format!("{}.{}", work.name, new.name),
            "GENERATED ALWAYS binds the new version from contract: until then a number that it gives itself is taken",
            new.span,
        );
    }

    /// The old column that counts, and whose lens fills a new column alone.
    pub(super) fn identity_source(&self, layout: &Layout<'a>, new: &str) -> Option<&'a Column> {
        layout.lenses.iter().find_map(|(lens, treatment)| match (lens.old.as_slice(), lens.new.as_slice()) {
            ([old], [member]) if *treatment == Treatment::TwoSides && member.column.name == new => {
                (old.column.identity.is_some() || sequence_of(old.column).is_some()).then_some(old.column)
            }
            _ => None,
        })
    }

    /// Whether a column is added without its default, which comes behind it.
    pub(super) fn has_default_apart(&self, column: &Column) -> bool {
        column.default.as_ref().is_some_and(|default| !self.target.adds_default_at_once(&column.ty, &default.text))
    }

    /// Whether an INSERT that leaves a column out gets a number of its own, or another value that is new each time.
    pub(super) fn counts(&self, column: &Column) -> bool {
        column.identity.is_some() || column.default.as_ref().is_some_and(|default| defines_volatile(&default.text, self.diff.dialect))
    }
}

/// The sequence that a column's default draws from.
fn sequence_of(column: &Column) -> Option<String> {
    column.default.as_ref().and_then(|default| drawn_from(&default.text))
}

/// How the highest number of a column (name of the new shape) is found when the table is locked: never by reading the rows.
fn highest(table: &Table, column: &str) -> Highest {
    let leads = |columns: &[String]| columns.first().is_some_and(|first| first == column);
    let of_index =
        table.indexes.iter().filter(|index| index.predicate.is_none() && index.method == "btree").filter_map(super::plain_columns);
    let by_index = table.primary_key.iter().any(|key| leads(&key.columns))
        || table.uniques.iter().any(|unique| leads(&unique.columns))
        || of_index.into_iter().any(|columns| leads(&columns));
    if by_index { Highest::ByIndex } else { Highest::Unknown }
}
