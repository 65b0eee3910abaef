//! The primary key: added, dropped, moved to other columns, or kept on columns that a lens replaces.
//!
//! The new key is an index from migrate on, which is all that an upsert needs, and the primary key from contract on: until
//! then the table has the old one, by which the old version's rows are told apart.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Level};
use crate::diff::model::{Mapping, Pair, TableChange, TableDiff};
use crate::snapshot::model::{Column, ForeignKey, Index, PrimaryKey, Table, Unique};

use super::super::layout::{FULLTEXT, Layout, Role};
use super::super::model::{Action, ConstraintSpec, Finding, Formula, IndexSpec, KeyTarget, Phase, Splice, Sync};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::rows::are_not_null;
use super::{ColumnsKind, Work, plain_columns, unique_from};

impl<'a> Planner<'a> {
    /// Whether the old key goes: its index with it, and NOT NULL of its columns stays until then.
    pub(super) fn key_goes(&self, work: &Work<'a, '_>) -> Option<&'a PrimaryKey> {
        let pair = work.layout.change.primary_key?;
        (!self.key_stays(work, &pair)).then_some(pair.old).flatten()
    }

    fn key_stays(&self, work: &Work<'a, '_>, pair: &Pair<'a, PrimaryKey>) -> bool {
        pair.equal && pair.new.is_some_and(|key| is_both(work.layout, &key.columns))
    }

    pub(super) fn primary_key(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        let Some(pair) = work.layout.change.primary_key else { return };
        if self.key_stays(work, &pair) || self.key_of_copy(work).is_some() {
            return;
        }
        let built = pair.new.map(|new| self.key_index(work, new, pair.equal));
        if let (Some(old), None, true) = (pair.old, pair.new, self.can.unique_is_index) {
            self.warn(
                ("blocks-writes", Level::Error),
                &format!("table {}", work.name),
                "rows lie in the order of the primary key: the server writes the table anew when the key goes, and nobody can write meanwhile, in contract",
                old.name.span,
            );
        }
        if let Some(old) = pair.old {
            self.old_key_hazards(work, old, &pair, sync);
            self.end_keys_on(work, &old.columns);
            let object = format!("{}.{}", work.table, old.name.text);
            work.swap.push((
                format!("drop_constraint.{object}"),
                object,
                "The old version's key goes by name; nothing refers to it any more.".to_owned(),
                Action::DropConstraint { table: work.table.to_owned(), constraint: ConstraintSpec::PrimaryKey(old.clone()) },
            ));
            for physical in &work.layout.columns {
                if let (Role::Both, Some(before), Some(after)) = (physical.role, physical.old, physical.new)
                    && old.columns.contains(&before.name)
                    && !after.not_null
                {
                    let object = format!("{}.{}", work.table, physical.name);
                    work.swap.push((
                        format!("drop_not_null.{object}"),
                        object,
                        "It may be NULL now that it is not in the key.".to_owned(),
                        self.loosened(work.table, before),
                    ));
                }
            }
        }
        if let (Some(new), Some(index)) = (pair.new, built) {
            let object = format!("{}.{}", work.table, new.name.text);
            work.swap.push((
                format!("add_primary_key.{object}"),
                object,
                "The index becomes the primary key: it is there, and its columns are proved NOT NULL, so no row is read.".to_owned(),
                Action::AddPrimaryKey { table: work.table.to_owned(), name: new.name.text.clone(), index },
            ));
        }
    }

    /// The first primary key of a table with a full-text index, which the server gives it only under a lock that keeps writers out:
    /// where contract copies the table, the copy has it from the beginning.
    pub(super) fn key_of_copy(&self, work: &Work<'a, '_>) -> Option<&'a PrimaryKey> {
        let pair = work.layout.change.primary_key?;
        let (None, Some(new)) = (pair.old, pair.new) else { return None };
        let old = work.layout.change.old;
        let late = work.layout.late().next().is_some() && old.indexes.iter().any(|index| index.method == FULLTEXT);
        let columns: Vec<String> = new.columns.iter().map(|column| self.physical(work, column)).collect();
        (late && is_both(work.layout, &new.columns) && unique_before(old, &columns)).then_some(new)
    }

    /// What the index of the new key is called until contract. Where all keys have one name, no other index can have it.
    pub(super) fn key_index_name(&self, new: &PrimaryKey) -> String {
        if self.can.unique_is_index || self.taken.contains(new.name.text.as_str()) {
            naming::interim(&new.name.text, self.diff.dialect)
        } else {
            new.name.text.clone()
        }
    }

    /// The index of the new key, built in migrate. Returns its name.
    fn key_index(&mut self, work: &mut Work<'a, '_>, new: &'a PrimaryKey, same: bool) -> String {
        let name = self.key_index_name(new);
        let columns: Vec<String> = new.columns.iter().map(|column| self.physical(work, column)).collect();
        let of_new_only = self.kind_of_columns(work, &new.columns) == ColumnsKind::OnlyNew;
        let known = of_new_only || same && new.columns.iter().all(|column| is_copied(work.layout, column));
        if !known && !unique_before(work.layout.change.old, &columns) {
            let object = format!("table {}", work.name);
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &object,
                format!("primary key {} binds from migrate: a duplicate of the old version fails then with SQLSTATE 23505", new.name.text),
                new.name.span,
            );
            self.warn(
                ("existing-duplicates", Level::Note),
                &object,
                format!(
                    "keys of primary key {} that are there twice stop migrate with a count and a sample; nothing is lost",
                    new.name.text
                ),
                new.name.span,
            );
        }
        let finding =
            Finding::Duplicate { name: name.clone(), keys: KeyTarget::columns(&columns), predicate: None, nulls_not_distinct: false };
        let gate = self.gate(work, Phase::Migrate, &format!("unique.{}", new.name.text), finding, None);
        let index = IndexSpec::of_unique(&name, work.table, &columns, false, &[]);
        let object = format!("{}.{name}", work.table);
        let build = self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("create_index.{object}"),
            object,
            why: format!("The index that primary key {} is to stand on, built while everyone writes.", new.name.text),
            action: Action::CreateIndex(index),
            unit: None,
            requires: [work.ready.clone(), work.filled.clone(), vec![gate]].concat(),
        });
        work.before_swap.push(build);
        name
    }

    /// What the old key keeps the new version from, until contract.
    fn old_key_hazards(&mut self, work: &Work<'a, '_>, old: &'a PrimaryKey, pair: &Pair<'a, PrimaryKey>, sync: Option<&Sync>) {
        let layout = work.layout;
        for name in &old.columns {
            let Some(physical) = layout.of_old(name).filter(|physical| physical.role == Role::Old) else { continue };
            let Some(column) = physical.old else { continue };
            let filled = column.identity.is_some() || column.default.is_some() || is_written(sync, name);
            if !filled {
                self.diagnostics.push(
                    Diagnostic::error(
                        "needs-down",
                        format!("{}.{name} is in the old version's primary key, which takes no NULL from the new one", work.table),
                    )
                    .at(column.span, "the new version's rows need a value here until contract")
                    .help(format!("say what the old version shall see: `{name}: {{down: …}}` with a value that differs for each key")),
                );
            }
        }
        if pair.equal || self.keeps_old_key_distinct(work, old, pair.new, sync) {
            return;
        }
        let columns = old.columns.join(", ");
        self.warn(
            ("old-key-binds", Level::Error),
            &format!("table {}", work.name),
            format!(
                "until contract the old primary key ({columns}) binds the new version too: a row of its own that repeats it, or leaves it NULL, fails with SQLSTATE 23505 or SQLSTATE 23502"
            ),
            old.name.span,
        );
    }

    /// Whether rows with different new keys have different old keys: the old key holds all of the new one, or is made of it, or
    /// counts for itself.
    fn keeps_old_key_distinct(&self, work: &Work<'a, '_>, old: &PrimaryKey, new: Option<&PrimaryKey>, sync: Option<&Sync>) -> bool {
        let layout = work.layout;
        let leaving: Vec<&Column> =
            old.columns.iter().filter_map(|name| layout.of_old(name).filter(|c| c.role == Role::Old)?.old).collect();
        if leaving.iter().any(|column| self.counts(column) && !is_written(sync, &column.name)) {
            return true;
        }
        let Some(new) = new else { return false };
        let mut carried: BTreeSet<String> = old.columns.iter().filter(|name| is_both(layout, [*name])).cloned().collect();
        for lens in sync.iter().flat_map(|sync| &sync.lenses) {
            // In shared access an INSERT that leaves out a column with a default can't be told from the old version's.
            let told = layout.reach == super::Reach::View || !lens.new.is_empty();
            for column in lens.old.iter().filter(|c| old.columns.contains(&c.name) && (told || !c.has_default)) {
                match &column.formula {
                    Some(
                        Formula::Column(name)
                        | Formula::Cast(name)
                        | Formula::Relabel { column: name, .. }
                        | Formula::Values { column: name, .. },
                    ) => {
                        carried.insert(name.clone());
                    }
                    Some(Formula::Next(_)) | None => {}
                    Some(Formula::Written(expr)) => carried.extend(expr.splices.iter().filter_map(|(_, splice)| match splice {
                        Splice::Column(name) => Some(name.clone()),
                        Splice::Relation(..) | Splice::Type(..) => None,
                    })),
                }
            }
        }
        new.columns.iter().all(|name| carried.contains(&self.physical(work, name)))
    }

    /// Lets the old foreign keys that stand on a key which goes end before it. Returns whether one does so in contract only.
    pub(super) fn end_keys_on(&mut self, work: &mut Work<'a, '_>, columns: &[String]) -> bool {
        let mut bound = false;
        for (owner, key) in self.keys_on(work.table, columns) {
            if let Some((step, phase)) = self.end_of_foreign_key(work, owner, key) {
                bound |= phase == Phase::Contract;
                work.swap_requires.push(step);
            }
        }
        let kept: Option<Vec<String>> = columns.iter().map(|name| Some(work.layout.of_old(name)?.new?.name.clone())).collect();
        let Some(kept) = kept else { return bound };
        // Foreign keys of new tables stand on the old key until then.
        for table in &self.diff.tables {
            let TableDiff::Added(table, _) = table else { continue };
            for key in table.foreign_keys.iter().filter(|key| key.ref_table == work.name && is_same_set(&key.ref_columns, &kept)) {
                bound = true;
                work.swap_requires.push(format!("contract{:02}.drop_constraint.{}.{}", work.change, table.name, key.name.text));
            }
        }
        bound
    }

    /// The step of contract by which a foreign key of another table has columns to stand on that have come back.
    pub(super) fn step_of_returned_key(&self, key: &ForeignKey) -> Option<String> {
        let layout = self.layouts.get(key.ref_table.as_str()).filter(|layout| self.any_comes_back(layout, &key.ref_columns))?;
        let (change, table, new) = (self.change_of_table(&key.ref_table), layout.table(), layout.change.new);
        let is_on = |columns: &[String]| is_same_set(columns, &key.ref_columns);
        if new.primary_key.as_ref().is_some_and(|of_table| is_on(&of_table.columns)) {
            return Some(format!("contract{change:02}.return_primary_key.{table}"));
        }
        let unique = new.uniques.iter().find(|unique| is_on(&unique.columns)).map(|unique| &unique.name.text);
        let of_indexes = || new.indexes.iter().find(|index| index.unique && plain_columns(index).is_some_and(|columns| is_on(&columns)));
        let name = unique.or_else(|| of_indexes().map(|index| &index.name.text))?;
        Some(format!("contract{change:02}.create_index.{table}.{name}"))
    }

    /// The steps of contract by which foreign keys of other tables have left the columns of this one that are about to go.
    pub(super) fn left_by_keys(&self, work: &Work<'a, '_>) -> Vec<String> {
        let layouts = self.layouts.values().filter(|layout| layout.change.new.name != work.name);
        let keys = layouts.flat_map(|layout| layout.change.new.foreign_keys.iter().map(move |key| (layout, key)));
        keys.filter(|(_, key)| key.ref_table == work.name && self.any_comes_back(work.layout, &key.ref_columns))
            .map(|(layout, key)| {
                let change = self.change_of_table(&layout.change.new.name);
                format!("contract{change:02}.drop_constraint.{}.{}", layout.table(), self.build_name(layout, &key.name, &key.columns).0)
            })
            .collect()
    }

    /// The foreign keys of the old snapshot that stand on the index of a key, with their tables.
    fn keys_on(&self, table: &str, columns: &[String]) -> Vec<(&'a Table, &'a ForeignKey)> {
        let referring = self.referring.get(table).into_iter().flatten().copied();
        referring.filter(|(_, foreign)| is_same_set(&foreign.ref_columns, columns)).collect()
    }

    /// The step by which an old foreign key is gone before what it stands on, and its phase; `None` if it stays.
    fn end_of_foreign_key(&self, work: &Work<'a, '_>, owner: &Table, key: &ForeignKey) -> Option<(String, Phase)> {
        let object = format!("{}.{}", owner.name, key.name.text);
        let in_phase = |phase: Phase| Some((format!("{}{:02}.drop_constraint.{object}", phase.name(), work.change), phase));
        match self.by_old_name.get(owner.name.as_str())? {
            TableDiff::Added(..) => None,
            TableDiff::Dropped(_) => in_phase(Phase::Contract),
            TableDiff::Changed(change) => {
                let own = owner.name == work.table;
                let layout = if own { work.layout } else { self.layouts.get(change.new.name.as_str())? };
                let pair = change.foreign_keys.iter().find(|pair| pair.old.is_some_and(|old| old.name.text == key.name.text))?;
                match pair.new {
                    None if is_old_both(layout, &key.columns) => in_phase(Phase::Expand),
                    None => in_phase(Phase::Contract),
                    Some(new) => {
                        let stays = pair.equal
                            && is_both(layout, &new.columns)
                            && is_both(work.layout, &new.ref_columns)
                            && !goes_from_under(work.layout, &new.ref_columns);
                        if stays { None } else { in_phase(Phase::Contract) }
                    }
                }
            }
        }
    }

    /// Whether the old key that a foreign key of the new shape stands on goes, while the columns stay.
    pub(super) fn goes_from_under(&self, work: &Work<'a, '_>, key: &ForeignKey) -> bool {
        let layout = if key.ref_table == work.name { Some(work.layout) } else { self.layouts.get(key.ref_table.as_str()) };
        layout.is_some_and(|layout| goes_from_under(layout, &key.ref_columns))
    }

    /// Whether the columns that a foreign key refers to stay as they are, as one column for both versions.
    pub(super) fn referred_stay(&self, work: &Work<'a, '_>, key: &ForeignKey) -> bool {
        if key.ref_table == work.name {
            return is_both(work.layout, &key.ref_columns);
        }
        self.layouts.get(key.ref_table.as_str()).is_none_or(|layout| is_both(layout, &key.ref_columns))
    }

    /// The step that builds the index which a new foreign key stands on, and its phase, where that is not there before.
    pub(super) fn index_of_referred_key(&self, work: &Work<'a, '_>, key: &ForeignKey) -> Option<(Phase, String)> {
        // Its own key is planned behind its foreign keys.
        if key.ref_table == work.name {
            self.index_to_be(work.layout, key)
        } else {
            self.index_to_be(self.layouts.get(key.ref_table.as_str())?, key)
        }
    }

    /// The step that builds the index of a changed table which a foreign key to it stands on, and its phase.
    pub(in super::super) fn index_to_be(&self, layout: &Layout<'a>, key: &ForeignKey) -> Option<(Phase, String)> {
        let is_on = |columns: &[String]| is_same_set(columns, &key.ref_columns);
        let change = layout.change;
        let moves = |equal: bool| !equal || !is_both(layout, &key.ref_columns);
        let of_key = change.primary_key.and_then(|pair| pair.new.filter(|new| is_on(&new.columns) && moves(pair.equal)));
        let of_unique = || change.uniques.iter().find_map(|pair| pair.new.filter(|new| is_on(&new.columns) && moves(pair.equal)));
        let of_index = || {
            change.indexes.iter().find_map(|pair| {
                let new = pair.new.filter(|new| new.unique && new.predicate.is_none() && moves(pair.equal))?;
                is_on(&plain_columns(new)?).then_some((new, pair.old.is_some()))
            })
        };
        let (phase, kind, name) = if let Some(new) = of_key {
            (Phase::Migrate, "create_index", self.key_index_name(new))
        } else if let Some(new) = of_unique() {
            let kind = if self.can.unique_is_index { "create_index" } else { "attach_unique" };
            (
                unique_from(layout, &[new.columns.clone(), new.include.clone()].concat()),
                kind,
                self.build_name(layout, &new.name, &new.columns).0,
            )
        } else {
            let (new, replaces) = of_index()?;
            let phase = unique_from(layout, &key.ref_columns);
            (
                if replaces { phase.max(Phase::Migrate) } else { phase },
                "create_index",
                self.build_name(layout, &new.name, &key.ref_columns).0,
            )
        };
        let object = format!("{}.{name}", layout.table());
        Some((phase, format!("{}{:02}.{kind}.{object}", phase.name(), self.change_of_table(&key.ref_table))))
    }

    /// Refuses foreign keys to an old column whose values become others, where the columns that refer to it keep theirs.
    pub(super) fn refuse_keys_left_behind(&mut self, work: &Work<'a, '_>, old: &Column) {
        for (owner, key) in self.referring.get(work.table).cloned().unwrap_or_default() {
            let Some(at) = key.ref_columns.iter().position(|name| *name == old.name) else { continue };
            let Some(TableDiff::Changed(change)) = self.by_old_name.get(owner.name.as_str()) else { continue };
            let pair = change.foreign_keys.iter().find(|pair| pair.old.is_some_and(|old| old.name.text == key.name.text));
            let Some(new) = pair.filter(|pair| pair.equal).and_then(|pair| pair.new) else { continue };
            let own = owner.name == work.table;
            let Some(layout) = (if own { Some(work.layout) } else { self.layouts.get(change.new.name.as_str()) }) else { continue };
            let (Some(column), Some(referred)) = (new.columns.get(at), new.ref_columns.get(at)) else { continue };
            if is_both(layout, [column]) && !is_copied(work.layout, referred) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "needs-up",
                        format!(
                            "{}.{column} refers to {}.{referred} (foreign key {}), which gets other values, and keeps its own",
                            change.new.name, work.name, key.name.text
                        ),
                    )
                    .at(new.name.span, "each row that refers to a key must follow it")
                    .help(format!("give {}.{column} an `up` and a `down` that do the same", change.new.name)),
                );
            }
        }
    }

    /// Whether a rule of the new version says what an old unique one over these columns says. Then nobody may write what the old
    /// one forbids: it stands, and serves the old version's upserts, until the new one has taken its place.
    pub(super) fn is_covered(&self, work: &Work<'a, '_>, old: Distinct<'_>) -> bool {
        distinct(work.layout.change.new).any(|new| {
            let within = new.columns.iter().all(|name| old.columns.contains(&self.physical(work, name)));
            within && (new.nulls_not_distinct || !old.nulls_not_distinct)
        })
    }

    /// Whether a new rule says no more than an old one: rows that break it can't be there.
    pub(super) fn says_the_same_as_before(&self, work: &Work<'a, '_>, new: Distinct<'_>) -> bool {
        let columns: Vec<String> = new.columns.iter().map(|name| self.physical(work, name)).collect();
        distinct(work.layout.change.old)
            .any(|old| is_same_set(&old.columns, &columns) && (old.nulls_not_distinct || !new.nulls_not_distinct))
            && is_both(work.layout, new.columns.iter())
    }

    /// Whether an old unique rule goes where contract copies the table: the copy has the key that takes its place, and the server
    /// would write the table anew to let the rule go.
    pub(super) fn goes_with_copy(&self, work: &Work<'a, '_>, columns: &[String]) -> bool {
        self.key_of_copy(work).is_some_and(|key| key.columns.iter().all(|name| columns.contains(&self.physical(work, name))))
    }

    /// The indexes of the rules that go so.
    pub(super) fn gone_with_copy(&self, work: &Work<'a, '_>) -> Vec<String> {
        let change = work.layout.change;
        let uniques = change.uniques.iter().filter(|pair| pair.new.is_none()).filter_map(|pair| pair.old);
        let indexes = change.indexes.iter().filter(|pair| pair.new.is_none()).filter_map(|pair| pair.old);
        uniques
            .map(|unique| (&unique.name, Some(Distinct::of_unique(unique))))
            .chain(indexes.map(|index| (&index.name, Distinct::of_index(index))))
            .filter(|(_, rule)| rule.as_ref().is_some_and(|rule| self.goes_with_copy(work, &rule.columns)))
            .map(|(name, _)| name.text.clone())
            .collect()
    }
}

/// A rule that tells rows apart.
pub(super) struct Distinct<'a> {
    /// By which columns.
    pub(super) columns: Cow<'a, [String]>,
    /// Whether two NULLs are alike.
    pub(super) nulls_not_distinct: bool,
}

impl<'a> Distinct<'a> {
    pub(super) fn of_unique(unique: &'a Unique) -> Self {
        Self { columns: Cow::Borrowed(&unique.columns), nulls_not_distinct: unique.nulls_not_distinct }
    }

    pub(super) fn of_index(index: &Index) -> Option<Self> {
        let columns = unique_columns(index)?;
        Some(Self { columns: Cow::Owned(columns), nulls_not_distinct: index.nulls_not_distinct })
    }
}

/// The columns of an index that says of all rows that they differ in these, whole.
pub(in super::super) fn unique_columns(index: &Index) -> Option<Vec<String>> {
    let whole = index.unique && index.predicate.is_none() && index.keys.iter().all(|key| key.length.is_none());
    plain_columns(index).filter(|_| whole)
}

/// All such rules of a table.
fn distinct(table: &Table) -> impl Iterator<Item = Distinct<'_>> {
    let key = table.primary_key.iter().map(|key| Distinct { columns: Cow::Borrowed(&key.columns), nulls_not_distinct: true });
    key.chain(table.uniques.iter().map(Distinct::of_unique)).chain(table.indexes.iter().filter_map(Distinct::of_index))
}

/// Whether one of these new columns has another name or type than the old one.
pub(in super::super) fn changes_columns(change: &TableChange<'_>, columns: &[String]) -> bool {
    columns.iter().any(|name| {
        let (old, new) = (change.old.columns.get(name), change.new.columns.get(name));
        old.map(|column| &column.ty) != new.map(|column| &column.ty)
    })
}

/// Whether columns of the new shape stay, but an old key on them, which a foreign key may stand on, goes in contract. Of several
/// keys the server takes one of its choice, so each one that goes counts.
pub(in super::super) fn goes_from_under(layout: &Layout<'_>, columns: &[String]) -> bool {
    if !is_both(layout, columns) {
        return false;
    }
    let physical: Vec<String> = columns.iter().filter_map(|name| Some(layout.of_new(name)?.name.clone())).collect();
    let is_on = |columns: &[String]| is_same_set(columns, &physical);
    let change = layout.change;
    let of_key = change.primary_key.iter().any(|pair| !pair.equal && pair.old.is_some_and(|old| is_on(&old.columns)));
    let of_unique = change.uniques.iter().any(|pair| !pair.equal && pair.old.is_some_and(|old| is_on(&old.columns)));
    let of_index = change.indexes.iter().any(|pair| {
        let old = pair.old.filter(|old| !pair.equal && old.unique && old.predicate.is_none());
        old.and_then(plain_columns).is_some_and(|columns| is_on(&columns))
    });
    of_key || of_unique || of_index
}

/// Whether a column (name of the new shape) is in the new primary key.
pub(super) fn in_new_key(work: &Work<'_, '_>, name: &str) -> bool {
    work.layout.change.new.primary_key.as_ref().is_some_and(|key| key.columns.iter().any(|column| column == name))
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
}

/// Whether a new column holds what an old one held.
fn is_copied(layout: &Layout<'_>, new: &str) -> bool {
    is_both(layout, [&new.to_owned()])
        || layout.lenses.iter().flat_map(|(lens, _)| &lens.new).filter(|member| member.column.name == new).any(|member| {
            match &member.mapping {
                Some(Mapping::Copy(_) | Mapping::Cast(_)) => true,
                Some(Mapping::Expression(expr)) => expr.text.trim().chars().all(|c| c.is_alphanumeric() || c == '_'),
                Some(Mapping::Values(..)) | None => false,
            }
        })
}

/// Whether a lens writes an old column for the new version.
fn is_written(sync: Option<&Sync>, old: &str) -> bool {
    sync.iter().flat_map(|sync| &sync.lenses).flat_map(|lens| &lens.old).any(|column| column.name == old && column.formula.is_some())
}

/// Whether all these columns of the new shape are one column for both versions.
pub(in super::super) fn is_both<'n>(layout: &Layout<'_>, columns: impl IntoIterator<Item = &'n String>) -> bool {
    columns.into_iter().all(|name| layout.of_new(name).is_some_and(|physical| physical.role == Role::Both))
}

/// Whether all these columns of the old shape are one column for both versions.
fn is_old_both(layout: &Layout<'_>, columns: &[String]) -> bool {
    columns.iter().all(|name| layout.of_old(name).is_some_and(|physical| physical.role == Role::Both))
}

/// Whether a rule of the old table made these columns unique: on all of them or on some.
fn unique_before(old: &Table, columns: &[String]) -> bool {
    let within = |rule: &Vec<String>| rule.iter().all(|column| columns.contains(column));
    let of_indexes = old.indexes.iter().filter(|index| index.unique && index.predicate.is_none()).filter_map(plain_columns);
    old.primary_key
        .iter()
        .map(|key| key.columns.clone())
        .chain(old.uniques.iter().map(|u| u.columns.clone()))
        .chain(of_indexes)
        .any(|rule| within(&rule) && are_not_null(old, &rule))
}
