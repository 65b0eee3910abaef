//! Columns: loosened for both versions, added for the new one.

use crate::diagnostic::Level;
use crate::snapshot::model::{Column, Type, TypeKind};

use super::super::WriterMark;
use super::super::layout::{Physical, Reach, Role, default_loosens};
use super::super::model::{Action, ColumnSpec, Formula, Marker, Origin, Phase, RowExpr, Sync, Writer};
use super::super::planner::{Draft, Planner};
use super::Work;

impl<'a> Planner<'a> {
    pub(super) fn loosen(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        for physical in &work.layout.columns {
            let Some(old) = physical.old else { continue };
            let object = format!("{}.{}", work.table, physical.name);
            let written = sync.is_some_and(|sync| {
                sync.lenses.iter().any(|lens| lens.old.iter().any(|column| column.name == physical.name && column.formula.is_some()))
            });
            let late = sync.is_some_and(|sync| sync.not_null.contains(&physical.name));
            // What the server computes for the new version may be NULL, and the old column follows it.
            let follows_null = work.layout.change.columns.iter().any(|pair| {
                pair.old.is_some_and(|column| column.name == old.name)
                    && pair.new.is_some_and(|new| new.generated.is_some() && !new.not_null)
            });
            let loosened = match physical.new {
                _ if late => true,
                Some(new) => old.not_null && !new.not_null,
                None if follows_null => old.not_null,
                None => old.not_null && old.default.is_none() && old.identity.is_none() && old.generated.is_none() && !written,
            };
            // What stands in a primary key can't be NULL: it is loosened when the key goes. Where the triggers come late, it can.
            let in_key = self.key_goes(work).is_some_and(|key| key.columns.contains(&old.name));
            if loosened && (late || !in_key) {
                if physical.new.is_none() && !late {
                    self.warn(
                        ("old-reads-null", Level::Warning),
                        &object,
                        if follows_null {
                            "the old version may read NULL here, which it never did, where what the server computes for the new version is NULL"
                        } else {
                            "the old version reads NULL here in rows that the new version inserts, since `down` gives no value"
                        },
                        old.span,
                    );
                }
                let id = self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("drop_not_null.{object}"),
                    object: object.clone(),
                    why: if late {
                        "A row of the new version gets its value in a trigger, behind the look at NOT NULL: until contract the triggers refuse NULL instead."
                    } else {
                        "The new version writes NULL here, or nothing at all."
                    }
                    .to_owned(),
                    action: self.loosened(work.table, old),
                    unit: None,
                    requires: Vec::new(),
                });
                work.ready.push(id);
            }
            let Some(new) = physical.new else { continue };
            let widened = physical.role == Role::Both && !work.layout.is_late(new);
            if self.old_type(&old.ty) != self.physical_type(&new.ty) && widened && self.can.restates_columns {
                let id = self.type_restated(work, physical, old, new);
                work.ready.push(id);
            } else if old.ty != self.physical_type(&new.ty) && widened {
                let checks = self.checks_reading(work, &old.name);
                let validate: Vec<String> = checks.iter().map(|(name, _)| name.clone()).collect();
                let id = self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("alter_type.{object}"),
                    object: object.clone(),
                    why: "The new type holds all that the old one holds, and rows are stored alike: nothing is read or written.".to_owned(),
                    action: Action::AlterType {
                        table: work.table.to_owned(),
                        column: physical.name.clone(),
                        ty: new.ty.clone(),
                        old: old.ty.clone(),
                        checks,
                    },
                    unit: Some(format!("expand{:02}.alter_type.{object}", work.change)),
                    requires: Vec::new(),
                });
                self.warn(
                    ("old-reads-longer", Level::Warning),
                    &object,
                    "the old version may read values that its type never held, as soon as the new version writes them",
                    new.span,
                );
                self.warn(
                    ("abort-rewrites", Level::Warning),
                    &object,
                    "abort narrows the type again, which reads or rewrites the table under a lock, and fails on values that are longer by then",
                    new.span,
                );
                self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("analyze.{object}"),
                    object: object.clone(),
                    why: "A change of type throws the column's statistics away; without them plans go wrong at once.".to_owned(),
                    action: Action::Analyze { table: work.table.to_owned(), columns: vec![physical.name.clone()] },
                    unit: None,
                    requires: vec![id.clone()],
                });
                for name in validate {
                    self.validate(work.change, Phase::Migrate, work.table, &name, None, vec![id.clone()]);
                }
                work.ready.push(id);
            }
            // A default where every write without one failed before: it takes nothing from the old version.
            if physical.role == Role::Both
                && default_loosens(old, new)
                && let Some(default) = &new.default
            {
                let default = self.settled_default(&new.ty, self.new_expr(default, work.name, &|_| None));
                let action = if self.target.restates_default(&new.ty, &default.text) {
                    let old = self.old_column_spec(old, work.table);
                    let new = ColumnSpec { default: Some(default), ..old.clone() };
                    Action::RestateColumn { table: work.table.to_owned(), loosened: Vec::new(), old: Box::new(old), new: Box::new(new) }
                } else {
                    Action::SetDefault { table: work.table.to_owned(), column: physical.name.clone(), origin: Origin::Old, default }
                };
                self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("set_default.{object}"),
                    object,
                    why: "The new version leaves the column out; until now such a write failed.".to_owned(),
                    action,
                    unit: None,
                    requires: Vec::new(),
                });
            }
        }
    }

    /// Widens a type that both versions have, where a column is stated anew.
    fn type_restated(&mut self, work: &Work<'a, '_>, physical: &Physical<'a>, old: &Column, new: &Column) -> String {
        let object = format!("{}.{}", work.table, physical.name);
        // It has lost NOT NULL by now if the new version has none.
        let before = self.old_column_spec(old, work.table);
        let before = ColumnSpec { not_null: before.not_null && new.not_null, ..before };
        let after = ColumnSpec { ty: self.physical_type(&new.ty), ..before.clone() };
        self.warn(
            ("old-reads-longer", Level::Warning),
            &object,
            "the old version may read values that its type never held, as soon as the new version writes them",
            new.span,
        );
        self.warn(
            ("abort-rewrites", Level::Warning),
            &object,
            "abort narrows the type again, which reads or rewrites the table under a lock, and fails on values that are longer by then",
            new.span,
        );
        self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("alter_type.{object}"),
            object,
            why: "The new type holds all that the old one holds, and rows are stored alike: nothing is read or written.".to_owned(),
            action: Action::RestateColumn {
                table: work.table.to_owned(),
                loosened: Vec::new(),
                old: Box::new(before),
                new: Box::new(after),
            },
            unit: None,
            requires: work.ready.clone(),
        })
    }

    /// Gives a column that expand has added its default.
    fn set_default(&self, work: &Work<'a, '_>, physical: &Physical<'a>, default: RowExpr) -> Action {
        let table = work.table.to_owned();
        match physical.new {
            Some(new) if self.target.restates_default(&new.ty, &default.text) => {
                let old = ColumnSpec { default: None, not_null: false, ..self.overlap_column(work, physical, new) };
                let new = ColumnSpec { default: Some(default), ..old.clone() };
                Action::RestateColumn { table, loosened: Vec::new(), old: Box::new(old), new: Box::new(new) }
            }
            _ => Action::SetDefault { table, column: physical.name.clone(), origin: Origin::Added, default },
        }
    }

    /// Takes NOT NULL from a column of the old shape.
    pub(super) fn loosened(&self, table: &str, column: &Column) -> Action {
        if !self.can.restates_columns {
            return Action::DropNotNull { table: table.to_owned(), column: column.name.clone() };
        }
        let old = self.old_column_spec(column, table);
        let new = ColumnSpec { not_null: false, ..old.clone() };
        Action::RestateColumn { table: table.to_owned(), loosened: Vec::new(), old: Box::new(old), new: Box::new(new) }
    }

    /// A column of the new shape as it stands while both versions run, behind expand.
    pub(super) fn overlap_column(&self, work: &Work<'a, '_>, physical: &Physical<'a>, new: &Column) -> ColumnSpec {
        if let (Role::Both, Some(old)) = (physical.role, physical.old) {
            if work.layout.is_late(new) {
                return self.old_column_spec(old, work.table);
            }
            // Expand has widened the type.
            return ColumnSpec { ty: self.physical_type(&new.ty), ..self.old_column_spec(old, work.table) };
        }
        let physical_of = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let mut spec = self.column_spec(new, work.name, &physical.name, &physical_of);
        spec.hidden = self.can.invisible_columns;
        if physical.role == Role::NewFromLens && (self.can.view_defaults || !self.tells_writer(work.layout)) {
            spec.default = None;
        }
        spec
    }

    pub(super) fn checks_reading(&self, work: &Work<'a, '_>, column: &str) -> Vec<(String, RowExpr)> {
        work.layout
            .change
            .old
            .checks
            .iter()
            .filter(|check| self.check_columns(check, work.table, self.diff.old).iter().any(|name| name == column))
            .map(|check| (check.name.text.clone(), self.old_expr(&check.expression, work.table)))
            .collect()
    }

    pub(super) fn add_columns(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        let physical_of = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let mut specs = Vec::new();
        let mut late_defaults: Vec<(&Physical<'a>, RowExpr)> = Vec::new();
        let mut counted = Vec::new();
        for physical in &work.layout.columns {
            let Some(new) = physical.new else { continue };
            let mut spec = self.column_spec(new, work.name, &physical.name, &physical_of);
            match physical.role {
                Role::Both | Role::Old => continue,
                Role::NewFromLens => {
                    // Filled by trigger and backfill; its rules come when they hold.
                    spec.not_null = false;
                    spec.default = None;
                    spec.identity = None;
                }
                Role::New if new.identity.is_some() => {
                    spec.not_null = false;
                    spec.identity = None;
                    counted.push(physical);
                }
                // It may be NULL as long as the old version writes what it is computed from.
                Role::New if new.generated.is_some() => spec.not_null = false,
                Role::New => {
                    if self.has_default_apart(new) {
                        spec.not_null = false;
                        if let Some(default) = spec.default.take() {
                            late_defaults.push((physical, self.settled_default(&new.ty, default)));
                        }
                    }
                }
            }
            spec.hidden = self.can.invisible_columns;
            specs.push(spec);
        }
        let marker = match sync {
            Some(sync) if sync.writer == Writer::Marker && !sync.lenses.is_empty() => Marker::With,
            _ => Marker::Without,
        };
        let unit = sync.is_some().then(|| format!("expand{:02}.sync.{}", work.change, work.table));
        if !specs.is_empty() || marker == Marker::With {
            let message = if !self.can.invisible_columns {
                "old clients that say `select *`, or COPY without a list of columns, meet columns that they don't know until contract"
            } else if work.layout.reach == Reach::View {
                if self.can.hidden_defaults {
                    "the new columns are invisible in the table until contract: only the new version's view shows them to who says `select *`"
                } else {
                    "the new columns are invisible in the table until contract, and an INSERT without a list of columns gives the one that says who writes no value: it counts as the old version's unless it gives a new column"
                }
            } else {
                "the new columns are invisible until contract, for the old version's sake: a new client that says `select *`, or INSERT without a list of columns, does not meet them either"
            };
            self.warn(("positional-clients", Level::Note), &format!("table {}", work.name), message, work.layout.change.new.span);
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let mut why = match names.as_slice() {
                [] => String::new(),
                names => format!("What the new version has besides: {}.", names.join(", ")),
            };
            if marker == Marker::With {
                if !why.is_empty() {
                    why.push(' ');
                }
                why.push_str(match self.can.writer {
                    WriterMark::View => "The default of crossfade_writer stands for the old version; the new one's view says 2.",
                    WriterMark::Database => {
                        "The default of crossfade_writer is the database that the client has chosen: it tells who writes."
                    }
                });
            }
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("add_columns.{}", work.table),
                object: work.table.to_owned(),
                why,
                action: Action::AddColumns { table: work.table.to_owned(), columns: specs, marker },
                unit: unit.clone(),
                requires: work.ready.clone(),
            });
            work.ready.push(id);
        }
        if let Some(sync) = sync {
            self.warn(
                ("triggers-bypassed", Level::Note),
                &format!("table {}", work.name),
                "a write that fires no triggers (as replica, or applied by a subscription) reaches one shape only: verify counts such rows, and contract refuses while there are any",
                work.layout.change.new.span,
            );
            self.cascades_bypass(work);
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("install_sync.{}", work.table),
                object: work.table.to_owned(),
                why: "From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row."
                    .to_owned(),
                action: Action::InstallSync(Box::new(sync.clone())),
                unit,
                requires: work.ready.clone(),
            });
            work.ready.push(id);
        }
        // Where the view has no defaults of its own and a row says who wrote it, the table's default stands for the new version:
        // the trigger gives the old one's rows another value. It comes behind the trigger.
        if sync.is_some_and(|sync| sync.writer == Writer::Marker && !self.can.view_defaults) {
            for physical in work.layout.columns.iter().filter(|c| c.role == Role::NewFromLens) {
                let Some(new) = physical.new else { continue };
                let Some(default) = &new.default else { continue };
                let object = format!("{}.{}", work.table, physical.name);
                let default = self.settled_default(&new.ty, self.new_expr(default, work.name, &physical_of));
                let action = self.set_default(work, physical, default);
                let id = self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("set_default.{object}"),
                    object,
                    why: "What the new version's rows get when they leave it out; the trigger gives the old version's rows their own."
                        .to_owned(),
                    action,
                    unit: None,
                    requires: work.ready.clone(),
                });
                work.ready.push(id);
            }
        }
        for physical in counted {
            self.identity_added(work, physical);
        }
        for (physical, default) in late_defaults {
            let action = self.set_default(work, physical, default.clone());
            let object = format!("{}.{}", work.table, physical.name);
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("set_default.{object}"),
                object: object.clone(),
                why: "A default that gives each row another value is set apart: with the column it would rewrite the table.".to_owned(),
                action,
                unit: None,
                requires: work.ready.clone(),
            });
            work.ready.push(id.clone());
            if sync.is_some_and(|sync| sync.fills.iter().any(|fill| fill.column == physical.name)) {
                continue;
            }
            let ty = physical.new.map(|c| self.physical_type(&c.ty)).unwrap_or(Type { kind: TypeKind::Text, array_dimensions: 0 });
            self.backfill(work, &physical.name.clone(), vec![(physical.name.clone(), ty, Formula::Written(default))], vec![id]);
        }
    }
}
