//! Columns that come back to their names, where no column can be renamed under a view that shows it.
//!
//! While both versions write, what the new one has under a name that the old one has too stands in a helper column, and the new
//! version's view shows that. When only the new version is left, the old column goes and an empty one takes its name, in one
//! statement that also tells the triggers so. They have known both names from the beginning: from then on they carry what is
//! written into the helper column over to the other one. The rows that are there follow in batches, rules are built on the column
//! that stays, the view goes over to it, and the helper column goes.

use crate::diagnostic::Level;
use crate::snapshot::model::{Access, Column, Enforce, Expr, ForeignKey, OnConflict, ReferentialAction, Type};

use super::super::layout::{Layout, Physical, Reach, Role};
use super::super::model::{
    Action, Backfill, ColumnSpec, Concurrently, ConstraintSpec, Follow, ForeignKeySpec, Formula, IndexSpec, KeyTarget, Marker, Phase,
    RowExpr, ShapeView, Splice, SyncColumn, SyncLens, SyncReturn,
};
use super::super::planner::Planner;
use super::keys::in_new_key;
use super::{BATCH, Work};

/// Slug, object, why and action of a step of the swap.
type SwapStep = (String, String, String, Action);

impl<'a> Planner<'a> {
    /// Whether a column stands under a helper name until contract, and can't be renamed then.
    pub(in crate::plan) fn comes_back(&self, layout: &Layout<'a>, physical: &Physical<'a>) -> bool {
        self.settings.access == Access::Versioned
            && layout.reach == Reach::View
            && !self.can.renames_under_views
            && matches!(physical.role, Role::New | Role::NewFromLens)
            && physical.new.is_some_and(|new| new.name != physical.name)
    }

    /// Whether one of these columns (names of the new shape) comes back.
    pub(super) fn any_comes_back(&self, layout: &Layout<'a>, columns: &[String]) -> bool {
        columns.iter().any(|name| layout.of_new(name).is_some_and(|physical| self.comes_back(layout, physical)))
    }

    fn returning<'l>(&self, layout: &'l Layout<'a>) -> Vec<&'l Physical<'a>> {
        layout.columns.iter().filter(|physical| self.comes_back(layout, physical)).collect()
    }

    /// What the triggers carry over in contract.
    pub(super) fn sync_returns(&self, work: &Work<'a, '_>) -> Vec<SyncReturn> {
        let mut returns = Vec::new();
        for physical in self.returning(work.layout) {
            let Some(new) = physical.new.filter(|new| new.generated.is_none()) else { continue };
            let ty = self.physical_type(&new.ty);
            let side = |name: &str, other: &str| SyncColumn {
                name: name.to_owned(),
                ty: ty.clone(),
                formula: Some(Formula::Column(other.to_owned())),
                backfill: None,
                has_default: new.default.is_some(),
                default: None,
                counts: false,
            };
            let lens = SyncLens {
                old: vec![side(&physical.name, &new.name)],
                new: vec![side(&new.name, &physical.name)],
                up_inputs: Vec::new(),
                down_inputs: Vec::new(),
                on_conflict: OnConflict::New,
                follow: Follow::Inputs,
            };
            let default = new.default.as_ref().filter(|default| self.target.is_bare_literal(&new.ty, &default.text));
            let default = default.map(|default| self.new_expr(default, work.name, &|_| None));
            returns.push(SyncReturn { lens, default });
        }
        returns
    }

    /// Says what has no way back to its name.
    pub(super) fn refuse_returns(&mut self, work: &Work<'a, '_>) {
        let change = work.layout.change;
        for physical in self.returning(work.layout) {
            let Some(new) = physical.new else { continue };
            let object = format!("{}.{}", work.name, new.name);
            let in_key = |columns: &[String]| columns.contains(&new.name);
            let moves = change.primary_key.is_some_and(|pair| {
                !pair.equal && (pair.old.is_some_and(|key| in_key(&key.columns)) || pair.new.is_some_and(|key| in_key(&key.columns)))
            });
            if moves && new.identity.is_none() {
                self.not_yet(&object, "it changes under its name, and a primary key that it is in gets other columns", new.span);
            }
            self.refuse_referred(work, new);
            if let Some(default) = &new.default
                && !new.not_null
                && !self.target.is_bare_literal(&new.ty, &default.text)
            {
                self.no_way(
                    &object,
                    "it may be NULL and its default is an expression: while the column gets its name back, an explicit NULL can't be told from no value",
                    "make it NOT NULL, or leave the default for the transition after this one",
                    default.span,
                );
            }
        }
    }

    /// Foreign keys that can't go over to a column which comes back.
    fn refuse_referred(&mut self, work: &Work<'a, '_>, new: &Column) {
        let object = format!("{}.{}", work.name, new.name);
        let keys = self.diff.new.tables.values().flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
        for (owner, key) in keys.filter(|(_, key)| key.ref_table == work.name && key.ref_columns.contains(&new.name)) {
            let own = owner.name == work.name;
            let layout = if own { Some(work.layout) } else { self.layouts.get(owner.name.as_str()) };
            let follows = layout.is_some_and(|layout| self.any_comes_back(layout, &key.columns));
            let of_key = layout.is_some_and(|layout| {
                layout.change.new.primary_key.as_ref().is_some_and(|of_owner| self.any_comes_back(layout, &of_owner.columns))
            });
            let name = &key.name.text;
            if !follows {
                self.no_way(
                    &object,
                    &format!("foreign key {name} refers to it from columns that stay as they are, and a key can stand on one column only"),
                    "take the foreign key away in a transition of its own first, and add it again in the one after this",
                    key.name.span,
                );
            } else if of_key && acts_on_rows(key) {
                self.no_way(
                    &object,
                    &format!("foreign key {name} writes the rows that refer to it, which fires no trigger, while their own key comes back to its name"),
                    "let the foreign key restrict, in a transition of its own first",
                    key.name.span,
                );
            }
        }
    }

    /// The key by which rows are found once only the new version writes.
    fn returned_key(&self, work: &Work<'a, '_>) -> Vec<(String, Type)> {
        let new = work.layout.change.new;
        let Some(key) = new.primary_key.as_ref().filter(|key| self.any_comes_back(work.layout, &key.columns)) else {
            return self.key_of(work);
        };
        let column = |name: &String| Some((self.physical(work, name), self.physical_type(&new.columns.get(name)?.ty)));
        key.columns.iter().filter_map(column).collect()
    }

    /// A helper column as contract has it. One that is in the key is NOT NULL for a while.
    fn helper_column(&self, work: &Work<'a, '_>, physical: &Physical<'a>, new: &Column) -> ColumnSpec {
        let spec = self.overlap_column(work, physical, new);
        let in_key = in_new_key(work, &new.name);
        let not_null = in_key || physical.hints.and_then(|hints| hints.enforce) == Some(Enforce::Migrate);
        let shown = in_key && !self.can.hides_not_null && new.default.is_none();
        ColumnSpec { not_null, hidden: spec.hidden && !shown, ..spec }
    }

    /// The view of the new shape over the columns by their own names.
    pub(super) fn settled_view_of(&self, namespace: &str, layout: &Layout<'a>) -> ShapeView {
        let mut view = self.shape_view_of(namespace, layout);
        for physical in self.returning(layout) {
            let Some(new) = physical.new else { continue };
            for column in view.columns.iter_mut().filter(|column| column.physical == physical.name) {
                column.physical.clone_from(&new.name);
            }
        }
        view
    }

    /// Lets the columns of a table come back: the steps before the triggers go, the steps before the helper columns go, and
    /// those.
    pub(super) fn columns_return(&mut self, work: &mut Work<'a, '_>) -> Option<(Vec<SwapStep>, Vec<SwapStep>, Vec<String>)> {
        let layout = work.layout;
        let back: Vec<Physical<'a>> = self.returning(layout).into_iter().cloned().collect();
        if back.is_empty() {
            return None;
        }
        let table = work.table.to_owned();
        let names: Vec<(String, String)> =
            back.iter().filter_map(|physical| Some((physical.name.clone(), physical.new?.name.clone()))).collect();
        let own_name = |physical: &str| names.iter().find(|(helper, _)| helper == physical).map_or(physical, |(_, name)| name).to_owned();
        let plain: Vec<&Physical<'a>> = back.iter().filter(|c| c.new.is_some_and(|new| new.generated.is_none())).collect();
        let own = |name: &str| layout.of_new(name).map(|c| own_name(&c.name));
        let spec = |physical: &Physical<'a>| physical.new.map(|new| self.column_spec(new, work.name, &new.name, &own));
        let mut steps: Vec<SwapStep> = Vec::new();
        let mut behind: Vec<SwapStep> = Vec::new();

        let marked = layout.has_two_sides() && self.tells_writer(layout);
        let empty = |physical: &Physical<'a>| {
            let spec = spec(physical)?;
            let not_null = spec.not_null && spec.generated.is_some() && !self.can.hides_not_null;
            Some(ColumnSpec { not_null, default: None, identity: None, ..spec })
        };
        let old_computed: Vec<&Column> =
            back.iter().filter_map(|c| layout.of_old(&c.new?.name)?.old).filter(|old| old.generated.is_some()).collect();
        let is_stored = |old: &&&Column| old.generated.as_ref().is_some_and(|generated| generated.stored);
        steps.push((
            format!("return_columns.{table}"),
            table.clone(),
            "Only the new version writes. No column can be renamed under its view, so each one comes back to its name by another copy: from here on the triggers carry it over."
                .to_owned(),
            Action::ReturnColumns {
                table: table.clone(),
                drops: names.iter().filter(|(_, name)| layout.of_old(name).is_some()).map(|(_, name)| name.clone()).collect(),
                computed: old_computed.iter().map(|old| old.name.clone()).collect(),
                stored: old_computed.iter().filter(is_stored).map(|old| old.name.clone()).collect(),
                columns: back.iter().filter_map(empty).collect(),
                marker: if marked { Marker::With } else { Marker::Without },
            },
        ));
        if !plain.is_empty() {
            self.filled_again(work, &mut steps);
        }
        let has_expression =
            |new: &Column| new.default.as_ref().is_some_and(|default| !self.target.is_bare_literal(&new.ty, &default.text));
        // A default first, so that whoever leaves the column out gets it; then the triggers look at both columns.
        for physical in &plain {
            let (Some(new), Some(spec)) = (physical.new, physical.new.map(|new| self.column_spec(new, work.name, &new.name, &own))) else {
                continue;
            };
            let Some(default) = &new.default else { continue };
            let expr = |expr: &Expr| self.settled_default(&new.ty, self.new_expr(expr, work.name, &|name| Some(name.to_owned())));
            let default = expr(default);
            let object = format!("{table}.{}", new.name);
            let action = if self.target.restates_default(&new.ty, &default.text) {
                let after = ColumnSpec { not_null: false, default: Some(default), ..spec };
                let before = ColumnSpec { default: None, ..after.clone() };
                Action::RestateColumn { table: table.clone(), loosened: Vec::new(), old: Box::new(before), new: Box::new(after) }
            } else {
                Action::SettleDefaults { table: table.clone(), defaults: vec![(new.name.clone(), Some(default))], view: None }
            };
            steps.push((
                format!("settle_default.{object}"),
                object,
                "What a row gets that leaves the column out, once the view shows this one.".to_owned(),
                action,
            ));
        }
        if !plain.is_empty() {
            steps.push((
                format!("take_either.{table}"),
                table.clone(),
                "Each row says the same in both columns. From here on a value may come in either, as the view is about to change."
                    .to_owned(),
                Action::TakeEither {
                    table: table.clone(),
                    key: self.returned_key(work).into_iter().map(|(name, _)| name).collect(),
                    lenses: self.sync_returns(work).into_iter().map(|given| given.lens).collect(),
                },
            ));
            // Of two values of an expression nothing tells which was given.
            for physical in plain.iter().filter(|c| c.new.is_some_and(has_expression)) {
                let Some(new) = physical.new else { continue };
                let object = format!("{table}.{}", physical.name);
                let before = self.helper_column(work, physical, new);
                let action = if self.target.restates_default(&new.ty, "null") {
                    let after = ColumnSpec { default: None, ..before.clone() };
                    Action::RestateColumn { table: table.clone(), loosened: Vec::new(), old: Box::new(before), new: Box::new(after) }
                } else {
                    let default = (!before.not_null).then(|| RowExpr::plain("null"));
                    Action::SettleDefaults { table: table.clone(), defaults: vec![(physical.name.clone(), default)], view: None }
                };
                steps.push((
                    format!("settle_default.{object}"),
                    object,
                    "A row that leaves the column out gets its value in the other one.".to_owned(),
                    action,
                ));
            }
        }
        let mut stood_in: Vec<(String, Option<RowExpr>)> = Vec::new();
        for physical in plain.iter().filter(|c| c.new.is_some_and(|new| new.not_null)) {
            let Some(after) = physical.new.map(|new| self.column_spec(new, work.name, &new.name, &own)) else { continue };
            let object = format!("{table}.{}", after.name);
            let stand_in = self.stand_in_for_view(work, physical);
            if stand_in.is_none() && after.default.is_none() && !self.can.fills_for_queries {
                self.warn(
                    ("insert-select-fails", Level::Warning),
                    &format!("{}.{}", work.name, after.name),
                    "while contract gives the column its name back, an INSERT … SELECT of the new version fails with error 1423",
                    physical.new.map(|new| new.span).unwrap_or_default(),
                );
            }
            let after = ColumnSpec { default: stand_in.as_ref().map(|found| found.default.clone()).or(after.default), ..after };
            if let Some(stand_in) = stand_in {
                stood_in.push((stand_in.column.clone(), None));
                steps.push((
                    format!("stand_in.{object}"),
                    object.clone(),
                    "For INSERT … SELECT through the view, which leaves the column out as yet: what stands in is overwritten by the trigger."
                        .to_owned(),
                    Action::StandIn(stand_in),
                ));
            }
            let before = ColumnSpec { not_null: false, ..after.clone() };
            steps.push((
                format!("set_not_null.{object}"),
                object,
                "From now on NULL is refused. The table is copied beside its readers and writers, who wait for an instant only.".to_owned(),
                Action::RestateColumn { table: table.clone(), loosened: Vec::new(), old: Box::new(before), new: Box::new(after) },
            ));
        }
        let left = self.rules_return(work, &names, &mut steps, &mut behind);
        // An INSERT of the rows that a query gives must name each column that is NOT NULL and has no default, whatever a trigger does.
        for physical in plain.iter().filter(|c| c.new.is_some_and(|new| in_new_key(work, &new.name))) {
            let Some(before) = physical.new.map(|new| self.helper_column(work, physical, new)) else { continue };
            let before = ColumnSpec { default: None, ..before };
            let after = ColumnSpec { not_null: false, ..before.clone() };
            let object = format!("{table}.{}", after.name);
            steps.push((
                format!("drop_not_null.{object}"),
                object,
                "The view is about to leave this column out. The table is copied beside its readers and writers.".to_owned(),
                Action::RestateColumn { table: table.clone(), loosened: Vec::new(), old: Box::new(before), new: Box::new(after) },
            ));
        }
        let namespace = self.new_namespace();
        steps.push((
            format!("settle_shape_view.{namespace}.{}", work.name),
            format!("{namespace}.{}", work.name),
            "The view goes over to the columns that stay, with all their rules: nobody sees a difference.".to_owned(),
            Action::SettleShapeView(self.settled_view_of(&namespace, layout)),
        ));
        if !stood_in.is_empty() {
            steps.push((
                format!("end_stand_ins.{table}"),
                table.clone(),
                "The view shows these columns now: nothing stands in for a value any more.".to_owned(),
                Action::SettleDefaults { table: table.clone(), defaults: stood_in, view: None },
            ));
        }
        steps.extend(left);
        Some((steps, behind, names.into_iter().map(|(helper, _)| helper).collect()))
    }

    /// The rows that are there.
    fn filled_again(&self, work: &Work<'a, '_>, steps: &mut Vec<SwapStep>) {
        let table = work.table.to_owned();
        let columns: Vec<SyncColumn> = self.sync_returns(work).into_iter().flat_map(|given| given.lens.new).collect();
        let object = format!("{table}.{}", columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join("+"));
        let sets = columns.into_iter().filter_map(|column| Some((column.name, column.ty, column.formula?))).collect();
        steps.push((
            format!("backfill.{object}"),
            object.clone(),
            "The rows that nobody has written since: in batches, each of which commits.".to_owned(),
            Action::Backfill(Box::new(Backfill {
                name: format!("{}_contract{:02}.{object}", self.diff.new.release, work.change),
                table,
                key: self.returned_key(work),
                sets,
                batch: BATCH,
            })),
        ));
    }

    /// Indexes and constraints over helper columns are built anew over the columns that stay; what stood on the helper columns
    /// goes with them, and what contract would have built on them is not built at all.
    ///
    /// Returns the ends of the foreign keys over helper columns: they act on these as long as the view or a trigger reads them, and
    /// not once nothing keeps them in step any more.
    fn rules_return(
        &mut self,
        work: &mut Work<'a, '_>,
        names: &[(String, String)],
        steps: &mut Vec<SwapStep>,
        behind: &mut Vec<SwapStep>,
    ) -> Vec<SwapStep> {
        let table = work.table.to_owned();
        let renamed: Vec<(String, String)> = work
            .swap
            .iter()
            .filter_map(|(_, _, _, action)| match action {
                Action::RenameConstraint { rename, .. } => Some((rename.from.clone(), rename.to.clone())),
                _ => None,
            })
            .collect();
        let last_name = |name: &str| renamed.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to).to_owned();
        let mut moved: Vec<String> = Vec::new();
        let mut late: Vec<String> = Vec::new();
        let mut rules: Vec<(u8, String, Action)> = Vec::new();
        let mut early: Vec<SwapStep> = Vec::new();
        let mut left: Vec<SwapStep> = Vec::new();
        let key = work.layout.change.new.primary_key.as_ref().filter(|key| self.any_comes_back(work.layout, &key.columns));
        let of_key = key.map(|key| self.key_index_name(key));
        if let Some(key) = key {
            let from: Vec<String> = key.columns.iter().map(|name| self.physical(work, name)).collect();
            let to = key.columns.clone();
            rules.push((1, String::new(), Action::ReturnPrimaryKey { table: table.clone(), from, to }));
        }
        for step in &self.steps {
            let built_late = step.phase == Phase::Contract;
            match &step.action {
                Action::CreateIndex(index) if index.table == table && index_reads(index, names) => {
                    if built_late {
                        late.push(step.id.clone());
                    } else {
                        let drop = Action::DropIndex { index: index.clone(), concurrently: Concurrently::No };
                        behind.push((
                            format!("drop_index.{table}.{}", index.name),
                            format!("{table}.{}", index.name),
                            GOES.to_owned(),
                            drop,
                        ));
                    }
                    moved.push(index.name.clone());
                    if of_key.as_ref() == Some(&index.name) {
                        continue;
                    }
                    let name = last_name(&index.name);
                    rules.push((0, name.clone(), Action::CreateIndex(over_own_names(IndexSpec { name, ..index.clone() }, names))));
                }
                Action::AddForeignKey { spec, .. } if spec.table == table && reads(&spec.key.columns, names) => {
                    let referred = self.returning_names(work, &spec.key.ref_table);
                    if built_late {
                        late.push(step.id.clone());
                    } else {
                        left.push(self.dropped(&table, ConstraintSpec::ForeignKey(spec.clone())));
                    }
                    moved.push(spec.key.name.text.clone());
                    let mut key = spec.key.clone();
                    key.name.text = last_name(&key.name.text);
                    key.columns = key.columns.iter().map(|name| own(name, names)).collect();
                    key.ref_columns = key.ref_columns.iter().map(|name| own(name, &referred)).collect();
                    for action in [&mut key.on_delete, &mut key.on_update] {
                        if let ReferentialAction::SetNull(columns) | ReferentialAction::SetDefault(columns) = action {
                            *columns = columns.iter().map(|name| own(name, names)).collect();
                        }
                    }
                    let name = key.name.text.clone();
                    // What contract adds has not acted on any row before.
                    let acts = !built_late && key.ref_table != table && acts_on_rows(&key);
                    let spec = ForeignKeySpec { table: table.clone(), key };
                    if acts {
                        early.push((
                            format!("add_foreign_key.{table}.{name}"),
                            format!("{table}.{name}"),
                            "Before the rows are filled, which then proves them: what it writes into rows that refer to a key fires no trigger.".to_owned(),
                            Action::ReturnForeignKey(spec),
                        ));
                    } else {
                        rules.push((2, name, Action::AddForeignKey { spec, until: None }));
                    }
                }
                Action::AddCheck { table: of, name, condition, .. } if *of == table && expr_reads(condition, names) => {
                    if built_late {
                        late.push(step.id.clone());
                    } else {
                        behind.push(self.dropped(&table, ConstraintSpec::Check(name.clone(), condition.clone())));
                    }
                    moved.push(name.clone());
                    let name = last_name(name);
                    let condition = expr_over_own_names(condition, names);
                    rules.push((3, name.clone(), Action::AddCheck { table: table.clone(), name, condition, until: None }));
                }
                _ => {}
            }
        }
        work.swap.retain(|(_, _, _, action)| !matches!(action, Action::RenameConstraint { rename, .. } if moved.contains(&rename.from)));
        // Gates of what contract would have built stay: they come before anything is changed.
        self.steps.retain(|step| !late.contains(&step.id));
        work.before_swap.retain(|id| !late.contains(id));
        rules.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, name, action) in rules {
            let (kind, why) = match &action {
                Action::CreateIndex(_) => ("create_index", "What rows are found by, and told apart by, over the column that stays."),
                Action::ReturnPrimaryKey { .. } => {
                    steps.push((
                        format!("return_primary_key.{table}"),
                        table.clone(),
                        "The key goes over to the columns that stay. The table is copied beside its readers and writers.".to_owned(),
                        action,
                    ));
                    continue;
                }
                Action::AddForeignKey { .. } => ("add_foreign_key", "The rows are looked at behind it, and nobody waits."),
                _ => ("add_check", "The rule over the column that stays."),
            };
            steps.push((format!("{kind}.{table}.{name}"), format!("{table}.{name}"), why.to_owned(), action));
        }
        let filled = steps.iter().position(|(_, _, _, action)| !matches!(action, Action::ReturnColumns { .. })).unwrap_or(steps.len());
        steps.splice(filled..filled, early);
        left
    }

    /// The helper columns of a table (physical name) and the names that they come back to.
    fn returning_names(&self, work: &Work<'a, '_>, table: &str) -> Vec<(String, String)> {
        let own = (table == work.table).then_some(work.layout);
        let layout = own.or_else(|| self.layouts.values().find(|layout| layout.table() == table));
        let returning = layout.map(|layout| self.returning(layout)).unwrap_or_default();
        returning.into_iter().filter_map(|physical| Some((physical.name.clone(), physical.new?.name.clone()))).collect()
    }

    /// What a step of the swap must wait for in the swaps of other tables, since columns that foreign keys refer to come back.
    pub(super) fn awaits_returns(&self, work: &Work<'a, '_>, action: &Action) -> Vec<String> {
        let names = self.returning_names(work, work.table);
        let goes = match action {
            Action::AddForeignKey { spec, .. } | Action::ReturnForeignKey(spec) if spec.key.ref_table != work.table => {
                let key = work.layout.change.new.foreign_keys.iter().find(|key| key.name.text == spec.key.name.text);
                return key.and_then(|key| self.step_of_returned_key(key)).into_iter().collect();
            }
            Action::DropIndex { index, .. } => index_reads(index, &names),
            // Nothing fills the column any more that those keys stand on.
            Action::RemoveSync(_) | Action::SwapColumns { .. } => true,
            _ => false,
        };
        if goes { self.left_by_keys(work) } else { Vec::new() }
    }

    fn dropped(&self, table: &str, constraint: ConstraintSpec) -> SwapStep {
        let object = format!("{table}.{}", constraint.name());
        (format!("drop_constraint.{object}"), object, GOES.to_owned(), Action::DropConstraint { table: table.to_owned(), constraint })
    }
}

/// Whether a foreign key changes rows that refer to a key which changes or goes. (One that deletes them leaves nothing to differ.)
pub(super) fn acts_on_rows(key: &ForeignKey) -> bool {
    let writes = |action: &ReferentialAction| matches!(action, ReferentialAction::SetNull(_) | ReferentialAction::SetDefault(_));
    writes(&key.on_delete) || writes(&key.on_update) || key.on_update == ReferentialAction::Cascade
}

const GOES: &str = "The column under it is about to go, and the one that stays has its own.";

fn own(name: &str, names: &[(String, String)]) -> String {
    names.iter().find(|(helper, _)| helper == name).map_or(name, |(_, name)| name).to_owned()
}

fn reads(columns: &[String], names: &[(String, String)]) -> bool {
    columns.iter().any(|column| names.iter().any(|(helper, _)| helper == column))
}

fn expr_reads(expr: &RowExpr, names: &[(String, String)]) -> bool {
    expr.splices.iter().any(|(_, splice)| matches!(splice, Splice::Column(name) if names.iter().any(|(helper, _)| helper == name)))
}

fn index_reads(index: &IndexSpec, names: &[(String, String)]) -> bool {
    index.keys.iter().any(|key| match &key.target {
        KeyTarget::Column(name) => names.iter().any(|(helper, _)| helper == name),
        KeyTarget::Expression(expr) => expr_reads(expr, names),
    })
}

fn expr_over_own_names(expr: &RowExpr, names: &[(String, String)]) -> RowExpr {
    let mut expr = expr.clone();
    for (_, splice) in &mut expr.splices {
        if let Splice::Column(name) = splice {
            *name = own(name, names);
        }
    }
    expr
}

fn over_own_names(mut index: IndexSpec, names: &[(String, String)]) -> IndexSpec {
    for key in &mut index.keys {
        match &mut key.target {
            KeyTarget::Column(name) => *name = own(name, names),
            KeyTarget::Expression(expr) => *expr = expr_over_own_names(expr, names),
        }
    }
    index
}
