//! The primary key: added, dropped, moved to other columns, or kept on columns that a lens replaces.
//!
//! The new key is an index from migrate on, which is all that an upsert needs, and the primary key from contract on: until
//! then the table has the old one, by which the old version's rows are told apart.

use std::collections::BTreeSet;

use crate::diagnostic::{Diagnostic, Level};
use crate::diff::model::{Mapping, Pair, TableChange, TableDiff};
use crate::snapshot::model::{Column, ForeignKey, Index, PrimaryKey, Table};

use super::super::layout::{Layout, Role};
use super::super::model::{Action, ConstraintSpec, Finding, Formula, IndexSpec, KeyTarget, Phase, Splice, Sync};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::{ColumnsKind, Work, plain_columns};

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
        if self.key_stays(work, &pair) {
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
            let mut requires = Vec::new();
            for (owner, key) in self.keys_on(work.table, &old.columns) {
                match self.end_of_foreign_key(work, owner, key) {
                    Some(step) => requires.push(step),
                    // A column that goes has said so itself.
                    None if !is_old_both(work.layout, &old.columns) => {}
                    None => self.not_yet(
                        &format!("table {}", work.name),
                        &format!("foreign key {} of table {} stands on the primary key that goes", key.name.text, owner.name),
                        key.name.span,
                    ),
                }
            }
            let object = format!("{}.{}", work.table, old.name.text);
            work.swap_requires.extend(requires);
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

    /// What the index of the new key is called until contract. Where all keys have one name, no other index can have it.
    fn key_index_name(&self, new: &PrimaryKey) -> String {
        if self.can.unique_is_index { naming::interim(&new.name.text, self.diff.dialect) } else { self.build_name(&new.name).0 }
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
                "until contract the old primary key ({columns}) binds the new version too: a row of its own that repeats it, or leaves it NULL, fails with SQLSTATE 23505 or 23502"
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

    /// The foreign keys of the old snapshot that stand on the index of a key, with their tables.
    fn keys_on(&self, table: &str, columns: &[String]) -> Vec<(&'a Table, &'a ForeignKey)> {
        let key: BTreeSet<&String> = columns.iter().collect();
        let referring = self.referring.get(table).into_iter().flatten().copied();
        referring.filter(|(_, foreign)| foreign.ref_columns.iter().collect::<BTreeSet<_>>() == key).collect()
    }

    /// The step by which an old foreign key is gone before the swap of the table that it refers to; `None` if it stays.
    fn end_of_foreign_key(&self, work: &Work<'a, '_>, owner: &Table, key: &ForeignKey) -> Option<String> {
        let object = format!("{}.{}", owner.name, key.name.text);
        let own = owner.name == work.table;
        let diff = self.by_old_name.get(owner.name.as_str())?;
        let in_contract = format!("contract{:02}.drop_constraint.{object}", work.change);
        match diff {
            TableDiff::Added(..) => None,
            TableDiff::Dropped(_) => Some(in_contract),
            TableDiff::Changed(change) => {
                let pair = change.foreign_keys.iter().find(|pair| pair.old.is_some_and(|old| old.name.text == key.name.text))?;
                match pair.new {
                    None => Some(in_contract),
                    Some(_) if !pair.equal => None,
                    Some(new) => {
                        let layout = if own { work.layout } else { self.layouts.get(change.new.name.as_str())? };
                        let stays = is_both(layout, &new.columns) && is_both(work.layout, &new.ref_columns);
                        (!stays).then_some(in_contract)
                    }
                }
            }
        }
    }

    /// Whether the columns that a foreign key refers to stay as they are, as one column for both versions.
    pub(super) fn referred_stay(&self, work: &Work<'a, '_>, key: &ForeignKey) -> bool {
        if key.ref_table == work.name {
            return is_both(work.layout, &key.ref_columns);
        }
        self.layouts.get(key.ref_table.as_str()).is_none_or(|layout| is_both(layout, &key.ref_columns))
    }

    /// The step that builds the index which a new foreign key stands on, where that is the index of a key to be.
    pub(super) fn index_of_referred_key(&self, work: &Work<'a, '_>, key: &ForeignKey) -> Option<String> {
        let (layout, table) = if key.ref_table == work.name {
            // Its own key is planned behind its foreign keys.
            (work.layout, work.table)
        } else {
            let layout = self.layouts.get(key.ref_table.as_str())?;
            (layout, layout.table())
        };
        let pair = layout.change.primary_key?;
        let new = pair.new?;
        let name = self.key_index_name(new);
        let stays = pair.equal && is_both(layout, &new.columns);
        (!stays && key.ref_columns.iter().all(|column| new.columns.contains(column)))
            .then(|| format!("migrate{:02}.create_index.{table}.{name}", self.change_of_table(&key.ref_table)))
    }

    /// Refuses foreign keys to an old column that goes, where nothing takes their place.
    pub(super) fn refuse_keys_left_behind(&mut self, work: &Work<'a, '_>, old: &Column) {
        for (owner, key) in self.referring.get(work.table).cloned().unwrap_or_default() {
            if key.ref_columns.contains(&old.name) && self.end_of_foreign_key(work, owner, key).is_none() {
                self.not_yet(
                    &format!("{}.{}", work.name, old.name),
                    &format!("foreign key {} of table {} points to this column, which goes or changes its type", key.name.text, owner.name),
                    key.name.span,
                );
            }
        }
    }

    /// Whether the new primary key says what an old unique index says: then the index is needed until the key is there.
    pub(super) fn is_covered_by_new_key(&self, work: &Work<'a, '_>, old: &Index) -> bool {
        let (Some(columns), Some(new)) = (plain_columns(old), &work.layout.change.new.primary_key) else { return false };
        old.predicate.is_none() && new.columns.iter().all(|name| columns.contains(&self.physical(work, name)))
    }
}

/// Whether one of these new columns has another name or type than the old one.
pub(in super::super) fn changes_columns(change: &TableChange<'_>, columns: &[String]) -> bool {
    columns.iter().any(|name| {
        let (old, new) = (change.old.columns.get(name), change.new.columns.get(name));
        old.map(|column| &column.ty) != new.map(|column| &column.ty)
    })
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
fn is_both<'n>(layout: &Layout<'_>, columns: impl IntoIterator<Item = &'n String>) -> bool {
    columns.into_iter().all(|name| layout.of_new(name).is_some_and(|physical| physical.role == Role::Both))
}

/// Whether all these columns of the old shape are one column for both versions.
fn is_old_both(layout: &Layout<'_>, columns: &[String]) -> bool {
    columns.iter().all(|name| layout.of_old(name).is_some_and(|physical| physical.role == Role::Both))
}

/// Whether a rule of the old table made these columns unique: on all of them or on some.
fn unique_before(old: &Table, columns: &[String]) -> bool {
    let within = |rule: &Vec<String>| rule.iter().all(|column| columns.contains(column));
    let not_null = |rule: &Vec<String>| rule.iter().all(|name| old.columns.get(name).is_some_and(|column| column.not_null));
    let of_indexes = old.indexes.iter().filter(|index| index.unique && index.predicate.is_none()).filter_map(plain_columns);
    old.primary_key
        .iter()
        .map(|key| key.columns.clone())
        .chain(old.uniques.iter().map(|u| u.columns.clone()))
        .chain(of_indexes)
        .any(|rule| within(&rule) && not_null(&rule))
}
