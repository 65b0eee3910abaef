//! Extensions, enums, sequences, and tables that only one version has.

use crate::diagnostic::Level;
use crate::snapshot::model::{Column, EnumType, ForeignKey, Name, ReferentialAction, Schema, Sequence, Table, TableHints, TypeKind};
use crate::sql::expression::drawn_from;

use super::changes::Node;
use super::mirror::LateRules;
use super::model::{Action, ColumnSpec, CommentTarget, ConstraintSpec, ForeignKeySpec, Phase, Rename, TableSpec};
use super::planner::{Draft, Planner};

impl<'a> Planner<'a> {
    pub(super) fn extensions(&mut self) {
        for pair in &self.diff.extensions {
            let Some(extension) = pair.new.or(pair.old) else { continue };
            let name = extension.name.clone();
            let change = self.change_of(&Node::Extension(name.clone()));
            let (phase, action, slug, why) = match pair.new {
                Some(_) => (
                    Phase::Expand,
                    Action::CreateExtension(name.clone()),
                    format!("create_extension.{name}"),
                    format!("The new version relies on extension {name}."),
                ),
                None => (
                    Phase::Contract,
                    Action::DropExtension(name.clone()),
                    format!("drop_extension.{name}"),
                    format!("Only the old version relied on extension {name}."),
                ),
            };
            self.step(Draft { phase, change, slug, object: name, why, action, unit: None, requires: Vec::new() });
        }
    }

    pub(super) fn enums(&mut self) {
        if !self.can.enum_types {
            self.inline_enums();
            return;
        }
        for diff in &self.diff.enums {
            match (diff.pair.old, diff.pair.new) {
                (None, Some(new)) => {
                    self.step(Draft {
                        phase: Phase::Expand,
                        change: self.change_of(&Node::Enum(new.name.clone())),
                        slug: format!("create_enum.{}", new.name),
                        object: new.name.clone(),
                        why: format!("A type that only the new version knows: {}.", new.name),
                        action: Action::CreateEnum(new.clone()),
                        unit: None,
                        requires: Vec::new(),
                    });
                }
                (Some(old), None) => {
                    self.step(Draft {
                        phase: Phase::Contract,
                        change: self.change_of(&Node::Enum(old.name.clone())),
                        slug: format!("drop_enum.{}", old.name),
                        object: old.name.clone(),
                        why: format!("No column has type {} any more.", old.name),
                        action: Action::DropEnum(old.name.clone()),
                        unit: None,
                        requires: Vec::new(),
                    });
                }
                (Some(old), Some(new)) => {
                    if diff.needs_another_type() {
                        self.enum_replaced(new);
                        continue;
                    }
                    let change = self.change_of(&Node::Enum(new.name.clone()));
                    let mut requires = Vec::new();
                    for (label, after) in &diff.added {
                        let before = match after {
                            Some(_) => None,
                            None => old.labels.first().cloned(),
                        };
                        let id = self.step(Draft {
                            phase: Phase::Expand,
                            change,
                            slug: format!("add_enum_value.{}.{label}", new.name),
                            object: format!("{}.{label}", new.name),
                            why: format!("A label that only the new version writes: {label}. It stands alone, since no transaction may use a label that it adds."),
                            action: Action::AddEnumValue {
                                name: old.name.clone(),
                                label: (*label).to_owned(),
                                after: after.map(str::to_owned),
                                before,
                            },
                            unit: None,
                            requires: std::mem::take(&mut requires),
                        });
                        requires.push(id);
                        self.warn(
                            ("old-reads-unknown-label", Level::Warning),
                            &format!("enum {}", new.name),
                            format!(
                                "the old version may read the label {label}, which it does not know, as soon as the new version writes it"
                            ),
                            new.span,
                        );
                        self.warn(
                            ("enum-value-stays", Level::Note),
                            &format!("enum {}", new.name),
                            format!("PostgreSQL can't drop a label: after abort, {label} is still there, unused"),
                            new.span,
                        );
                    }
                    self.comment(change, CommentTarget::Enum(old.name.clone()), &new.name, old.comment.as_deref(), new.comment.as_deref());
                }
                (None, None) => {}
            }
        }
    }

    /// Where an enum is no type of its own, it changes with each column that has it.
    fn inline_enums(&mut self) {
        for found in &self.diff.enums {
            let (Some(_), Some(new)) = (found.pair.old, found.pair.new) else { continue };
            let Some(old) = found.pair.old else { continue };
            // No type can have the labels of both: each column of it is another one for the new version.
            if found.needs_another_type() {
                continue;
            }
            if !new.labels.starts_with(&old.labels) {
                self.warn(
                    ("blocks-writes", Level::Error),
                    &format!("enum {}", new.name),
                    "rows hold the number of a label: with one between others the server copies each table that has a column of it, and nobody can write meanwhile, in expand",
                    new.span,
                );
            }
            self.labels_restated(new);
            for (label, _) in &found.added {
                self.warn(
                    ("old-reads-unknown-label", Level::Warning),
                    &format!("enum {}", new.name),
                    format!("the old version may read the label {label}, which it does not know, as soon as the new version writes it"),
                    new.span,
                );
            }
        }
    }

    /// The columns of an enum in tables in which nothing else differs.
    fn labels_restated(&mut self, new: &'a EnumType) {
        let change = self.change_of(&Node::Enum(new.name.clone()));
        for table in self.diff.new.tables.values() {
            let unchanged = !self.layouts.contains_key(table.name.as_str());
            let Some(before) = self.diff.old.tables.get(&table.name).filter(|_| unchanged) else { continue };
            for column in before.columns.values() {
                if !matches!(&column.ty.kind, TypeKind::Enum(name) if *name == new.name) {
                    continue;
                }
                let old = self.old_column_spec(column, &table.name);
                let after = ColumnSpec { ty: self.physical_type(&column.ty), ..old.clone() };
                let object = format!("{}.{}", table.name, column.name);
                self.step(Draft {
                    phase: Phase::Expand,
                    change,
                    slug: format!("alter_type.{object}"),
                    object,
                    why: format!("The labels of {} that only the new version writes.", new.name),
                    action: Action::RestateColumn {
                        table: table.name.clone(),
                        loosened: Vec::new(),
                        old: Box::new(old),
                        new: Box::new(after),
                    },
                    unit: None,
                    requires: Vec::new(),
                });
            }
        }
    }

    /// An enum whose labels go, are renamed or change their order: the new version gets a type of its own, under a helper name.
    fn enum_replaced(&mut self, new: &'a EnumType) {
        let Some(physical) = self.types.get(&new.name).cloned() else { return };
        let created = EnumType { name: physical.clone(), ..new.clone() };
        self.step(Draft {
            phase: Phase::Expand,
            change: self.change_of(&Node::Enum(new.name.clone())),
            slug: format!("create_enum.{physical}"),
            object: physical.clone(),
            why: format!("No type can have the labels of both versions: this is the new version's {} until contract.", new.name),
            action: Action::CreateEnum(created),
            unit: None,
            requires: Vec::new(),
        });
    }

    /// The new version's types get their names, when nothing has the old ones any more.
    pub(super) fn settle_types(&mut self) {
        if !self.can.enum_types {
            return;
        }
        for diff in &self.diff.enums {
            let (Some(old), Some(new)) = (diff.pair.old, diff.pair.new) else { continue };
            let Some(physical) = self.types.get(&new.name).cloned() else { continue };
            let change = self.change_of(&Node::Enum(new.name.clone()));
            self.warn(
                ("type-named-late", Level::Warning),
                &format!("enum {}", new.name),
                format!("until contract the new version's type is called {physical}: a statement of the new version that names the type {} fails or means the old one (a bare 'label' is fine)", new.name),
                new.span,
            );
            let unit = format!("contract{change:02}.swap.type.{}", new.name);
            let mut requires: Vec<String> = self
                .steps
                .iter()
                .filter(|step| step.phase == Phase::Contract && step.change == change && !matches!(step.action, Action::CheckRows { .. }))
                .map(|step| step.id.clone())
                .collect();
            if diff.needs_another_type() {
                let id = self.step(Draft {
                    phase: Phase::Contract,
                    change,
                    slug: format!("drop_enum.{}", old.name),
                    object: old.name.clone(),
                    why: format!("No column has the old version's type {} any more.", old.name),
                    action: Action::DropEnum(old.name.clone()),
                    unit: Some(unit.clone()),
                    requires: requires.clone(),
                });
                requires.push(id);
            }
            self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("rename_type.{physical}"),
                object: new.name.clone(),
                why: "The type gets its name: columns, defaults and views that have it follow by themselves.".to_owned(),
                action: Action::RenameType(Rename { from: physical, to: new.name.clone() }),
                unit: Some(unit),
                requires,
            });
        }
    }

    pub(super) fn sequences(&mut self) {
        for pair in &self.diff.sequences {
            match (pair.old, pair.new) {
                (None, Some(new)) => {
                    self.starts_over(new);
                    self.step(Draft {
                        phase: Phase::Expand,
                        change: self.change_of(&Node::Sequence(new.name.clone())),
                        slug: format!("create_sequence.{}", new.name),
                        object: new.name.clone(),
                        why: format!("Only the new version draws from sequence {}.", new.name),
                        action: Action::CreateSequence(new.clone()),
                        unit: None,
                        requires: Vec::new(),
                    });
                }
                (Some(old), None) => {
                    self.step(Draft {
                        phase: Phase::Contract,
                        change: self.change_of(&Node::Sequence(old.name.clone())),
                        slug: format!("drop_sequence.{}", old.name),
                        object: old.name.clone(),
                        why: format!("Only the old version drew from sequence {}.", old.name),
                        action: Action::DropSequence(old.name.clone()),
                        unit: None,
                        requires: Vec::new(),
                    });
                }
                (Some(old), Some(new)) => {
                    let mut settled = old.clone();
                    settled.comment.clone_from(&new.comment);
                    settled.span = new.span;
                    let change = self.change_of(&Node::Sequence(new.name.clone()));
                    if settled != *new {
                        self.sequence_changed(change, old, new);
                    }
                    self.comment(
                        change,
                        CommentTarget::Sequence(new.name.clone()),
                        &new.name,
                        old.comment.as_deref(),
                        new.comment.as_deref(),
                    );
                }
                (None, None) => {}
            }
        }
    }

    /// A sequence that comes while another one goes may be the same under a new name, which a snapshot can't say.
    fn starts_over(&mut self, new: &'a Sequence) {
        let start = |sequence: &Sequence| sequence.start.or(sequence.min_value).unwrap_or(1);
        let gone: Vec<&str> = self
            .diff
            .sequences
            .iter()
            .filter(|pair| pair.new.is_none())
            .filter_map(|pair| pair.old)
            .filter(|old| start(old) == start(new) && self.is_drawn_in_place_of(&old.name, &new.name))
            .map(|old| old.name.as_str())
            .collect();
        if let [first, ..] = gone.as_slice() {
            self.warn(
                ("sequence-starts-over", Level::Warning),
                &format!("sequence {}", new.name),
                format!(
                    "it starts at {}, as {first} did, which goes: numbers that {first} gave come again where the new one is drawn from in its place",
                    start(new)
                ),
                new.span,
            );
        }
    }

    /// Whether a column draws from one sequence where it drew from another one, or no column says who draws from them.
    fn is_drawn_in_place_of(&self, old: &str, new: &str) -> bool {
        let draws = |column: Option<&Column>, name: &str| {
            column.and_then(|c| c.default.as_ref()).and_then(|default| drawn_from(&default.text)).is_some_and(|found| found == name)
        };
        let is_drawn = |schema: &Schema, name: &str| schema.tables.values().any(|t| t.columns.values().any(|c| draws(Some(c), name)));
        let mut pairs = self.layouts.values().flat_map(|layout| &layout.change.columns);
        pairs.any(|pair| draws(pair.old, old) && draws(pair.new, new)) || !is_drawn(self.diff.old, old) && !is_drawn(self.diff.new, new)
    }

    /// Where a sequence only counts further, expand says so; what the old version would notice waits for contract.
    fn sequence_changed(&mut self, change: usize, old: &'a Sequence, new: &'a Sequence) {
        let increment = |sequence: &Sequence| sequence.increment.unwrap_or(1);
        let lowest = |sequence: &Sequence| sequence.min_value.unwrap_or(if increment(sequence) > 0 { 1 } else { i64::MIN });
        let highest = |sequence: &Sequence| sequence.max_value.unwrap_or(if increment(sequence) > 0 { i64::MAX } else { -1 });
        let narrows = lowest(new) > lowest(old) || highest(new) < highest(old);
        let loosens = !narrows && increment(old) == increment(new) && old.cache == new.cache && old.cycle == new.cycle;
        if narrows {
            self.warn(
                ("sequence-narrows", Level::Warning),
                &format!("sequence {}", new.name),
                "contract fails with SQLSTATE 22023 when the sequence stands outside of its new bounds by then; nothing is lost",
                new.span,
            );
        }
        self.step(Draft {
            phase: if loosens { Phase::Expand } else { Phase::Contract },
            change,
            slug: format!("alter_sequence.{}", new.name),
            object: new.name.clone(),
            why: "What the sequence counts changes; where it stands does not. Who draws from it waits for this statement only.".to_owned(),
            action: Action::AlterSequence { old: old.clone(), new: new.clone() },
            unit: None,
            requires: Vec::new(),
        });
    }

    pub(super) fn table_added(&mut self, table: &'a Table, hints: Option<&'a TableHints>) {
        let mirror = self.mirrors.get(table.name.as_str()).cloned();
        if mirror.is_none() && hints.is_some_and(|hints| hints.from.is_some()) && !self.diff.old.version.is_empty() {
            return; // refused
        }
        let change = self.change_of_table(&table.name);
        let same = |name: &str| Some(name.to_owned());
        let mut spec = TableSpec {
            name: table.name.clone(),
            columns: table.columns.values().map(|column| self.column_spec(column, &table.name, &column.name, &same)).collect(),
            primary_key: table.primary_key.clone(),
            uniques: by_name(&table.uniques, |unique| &unique.name).into_iter().cloned().collect(),
            checks: by_name(&table.checks, |check| &check.name)
                .into_iter()
                .map(|check| (check.name.text.clone(), self.new_expr(&check.expression, &table.name, &same)))
                .collect(),
            exclusions: by_name(&table.exclusions, |exclusion| &exclusion.name).into_iter().cloned().collect(),
            foreign_keys: Vec::new(),
            indexes: by_name(&table.indexes, |index| &index.name)
                .into_iter()
                .map(|index| {
                    self.index_spec(index, &index.name.text, &table.name, &|expr| self.new_expr(expr, &table.name, &same), &|name| {
                        name.to_owned()
                    })
                })
                .collect(),
            comment: table.comment.clone(),
        };
        let (mut why, mut requires, mut late) =
            (format!("Only the new version knows table {}: all its rules bind at once.", table.name), Vec::new(), LateRules::default());
        if let Some(mirror) = &mirror {
            late = self.prepare_mirrored(table, mirror, &mut spec);
            requires = self.share_numbers(change, table, mirror);
            why = format!(
                "Rows of {} come to {}. A rule that the old version's rows may break is not there yet, and comes when it holds.",
                mirror.source, table.name
            );
        }
        let create = self.step(Draft {
            phase: Phase::Expand,
            change,
            slug: format!("create_table.{}", table.name),
            object: table.name.clone(),
            why,
            action: Action::CreateTable(Box::new(spec)),
            unit: Some(format!("expand{change:02}.create.{}", table.name)),
            requires,
        });
        if let Some(mirror) = &mirror {
            self.mirrored(change, table, mirror, &late, &create);
        }
        for key in table.foreign_keys.iter().filter(|key| !late.has_foreign_key(&key.name.text)) {
            let added_too = self.added.contains(key.ref_table.as_str());
            let mut requires = vec![create.clone()];
            if added_too && key.ref_table != table.name {
                requires.push(format!("expand{:02}.create_table.{}", self.change_of_table(&key.ref_table), key.ref_table));
            }
            let referred = self.layouts.get(key.ref_table.as_str());
            let until = referred
                .filter(|layout| super::table::goes_from_under(layout, &key.ref_columns))
                .map(|layout| self.swap_unit(change, layout.table()));
            // What it stands on may be built by this transition, where the old version has no key on those columns.
            let index = referred.filter(|_| until.is_none()).and_then(|layout| self.index_to_be(layout, key));
            let phase = index.as_ref().map_or(Phase::Expand, |(phase, _)| *phase);
            requires.extend(index.map(|(_, step)| step));
            let source = mirror.as_ref().and_then(|mirror| self.diff.old.tables.get(&mirror.source));
            let was_bound = source.is_some_and(|source| source.foreign_keys.iter().any(|own| own.ref_table == key.ref_table));
            if !added_too && !was_bound {
                self.binds_old_version(&table.name, key, phase);
            }
            let spec = self.foreign_key_spec(key, &key.name.text, &table.name, &|name| name.to_owned());
            let references = spec.key.ref_table.clone();
            let object = format!("{}.{}", table.name, key.name.text);
            if let Some(swap) = until {
                let requires = self.drop_namespace_step.iter().chain(self.drop_views_step.get(&change)).cloned().collect();
                self.step(Draft {
                    phase: Phase::Contract,
                    change,
                    slug: format!("drop_constraint.{object}"),
                    object: object.clone(),
                    why: format!("The key of {references} that it stands on goes next. It comes back before anyone can write."),
                    action: Action::DropConstraint { table: table.name.clone(), constraint: ConstraintSpec::ForeignKey(spec.clone()) },
                    unit: Some(swap.clone()),
                    requires,
                });
                self.late_foreign_keys.push((&table.name, key, swap));
            }
            let add = self.step(Draft {
                phase,
                change,
                slug: format!("add_foreign_key.{object}"),
                object: object.clone(),
                why: format!("Rows of {} point to {references}. NOT VALID, so that neither table is read under the lock.", table.name),
                action: Action::AddForeignKey { spec, until: None },
                unit: None,
                requires,
            });
            if !self.can.validates_apart {
                continue;
            }
            self.step(Draft {
                // Two new tables are empty: nothing is left for migrate.
                phase: if self.added.contains(key.ref_table.as_str()) { phase } else { phase.max(Phase::Migrate) },
                change,
                slug: format!("validate.{object}"),
                object,
                why: "The key is proved for the rows that are there, in a transaction of its own.".to_owned(),
                action: Action::ValidateConstraint { table: table.name.clone(), name: key.name.text.clone(), references: Some(references) },
                unit: None,
                requires: vec![add],
            });
        }
    }

    /// Says what a foreign key over what only the new version writes keeps the old one from.
    pub(super) fn binds_old_version(&mut self, table: &str, key: &ForeignKey, phase: Phase) {
        let refuses = |action: &ReferentialAction| matches!(action, ReferentialAction::NoAction | ReferentialAction::Restrict);
        // A key that changes is rare.
        let (level, what) = match (refuses(&key.on_delete), refuses(&key.on_update)) {
            (true, true) => (Level::Warning, "be deleted or get another key"),
            (true, false) => (Level::Warning, "be deleted"),
            (false, true) => (Level::Note, "get another key"),
            (false, false) => return,
        };
        self.warn(
            ("new-foreign-key-binds", level),
            &format!("table {table}"),
            format!(
                "foreign key {} binds the old version too, from {}: a row of {} that a row of the new version refers to can't {what}",
                key.name.text,
                phase.name(),
                key.ref_table
            ),
            key.name.span,
        );
    }

    /// What is lost with a table that is dropped.
    fn lost_with(&mut self, table: &'a Table) {
        let object = format!("table {}", table.name);
        let Some(mirror) = self.mirrors_from(&table.name).next().cloned() else {
            let message = "contract drops the table with all its rows, and nothing carries them over";
            self.warn(("drops-data", Level::Error), &object, message, table.span);
            return;
        };
        if mirror.predicate.is_some() {
            let message = format!("contract drops the table, and only the rows that `where` takes live on, in {}", mirror.target);
            self.warn(("drops-data", Level::Error), &object, message, table.span);
        }
        for column in table.columns.values() {
            if column.generated.is_none() && !self.carries(&table.name, &column.name) {
                let message = "contract drops the column with its table, and no `up` carries its values over";
                self.warn(("drops-data", Level::Error), &format!("{}.{}", table.name, column.name), message, column.span);
            }
        }
    }

    pub(super) fn table_dropped(&mut self, table: &'a Table) {
        let change = self.change_of_table(&table.name);
        self.lost_with(table);
        let mut requires = self.mirrors_removed(&table.name);
        requires.extend(self.drop_views_step.get(&change).cloned());
        requires.extend(self.drop_namespace_step.clone());
        for key in by_name(&table.foreign_keys, |key| &key.name) {
            self.warn(
                ("dropped-table-keys-bind", Level::Warning),
                &format!("table {}", table.name),
                format!(
                    "its foreign key {} still binds the new version until contract: a row of {} that is referred to can't be deleted",
                    key.name.text, key.ref_table
                ),
                table.span,
            );
            let spec = ForeignKeySpec { table: table.name.clone(), key: key.clone() };
            let object = format!("{}.{}", table.name, key.name.text);
            let id = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("drop_constraint.{object}"),
                object,
                why: format!("The key goes before its table, alone: dropping it locks {} as well.", key.ref_table),
                action: Action::DropConstraint { table: table.name.clone(), constraint: ConstraintSpec::ForeignKey(spec) },
                unit: None,
                requires: requires.clone(),
            });
            requires.push(id);
        }
        let why = match self.mirrors_from(&table.name).next() {
            Some(mirror) => format!("Only the old version used table {}. Its rows live on in {}.", table.name, mirror.target),
            None => format!("Only the old version used table {}. Its rows are gone after this.", table.name),
        };
        self.step(Draft {
            phase: Phase::Contract,
            change,
            slug: format!("drop_table.{}", table.name),
            object: table.name.clone(),
            why,
            action: Action::DropTable { table: table.name.clone() },
            unit: None,
            requires,
        });
    }
}

/// Members of a table in the order of their names: that of the file says nothing.
fn by_name<T>(members: &[T], name: impl Fn(&T) -> &Name) -> Vec<&T> {
    let mut sorted: Vec<&T> = members.iter().collect();
    sorted.sort_by_key(|member| &name(member).text);
    sorted
}
