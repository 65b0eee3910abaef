//! The end of the overlap: one block in which the table takes its new shape.

use crate::snapshot::model::{Access, Column, Expr, Name};
use crate::sql::Dialect;

use super::super::layout::{Layout, Physical, Reach, Role, default_comes_late};
use super::super::model::{
    Action, ColumnSpec, CommentTarget, ConstraintSpec, Materialized, Origin, Phase, Rename, RowExpr, ShapeView, Sync, ViewColumn,
    ViewDefault,
};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::super::{VERSION_SCHEMA, WriterMark};
use super::{RenameKind, Work};

impl<'a> Planner<'a> {
    /// Drops a constraint: in expand where it only loosens, with its columns otherwise.
    pub(super) fn drop_constraint(&mut self, work: &mut Work<'a, '_>, constraint: ConstraintSpec, loosens: bool) {
        let name = constraint.name().to_owned();
        let object = format!("{}.{name}", work.table);
        let action = Action::DropConstraint { table: work.table.to_owned(), constraint };
        if loosens {
            self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("drop_constraint.{object}"),
                object,
                why: "The new version may write what this rule forbids.".to_owned(),
                action,
                unit: None,
                requires: Vec::new(),
            });
        } else {
            work.swap.push((
                format!("drop_constraint.{object}"),
                object,
                "It goes by name: what takes its place stands already, or its column goes next.".to_owned(),
                action,
            ));
        }
    }

    pub(super) fn rename_constraint(&mut self, work: &mut Work<'a, '_>, old: &Name, new: &Name) {
        if old.text != new.text {
            self.rename_late(work, old.text.clone(), new.text.clone(), RenameKind::Constraint);
        }
    }

    pub(super) fn rename_late(&mut self, work: &mut Work<'a, '_>, from: String, to: String, kind: RenameKind) {
        let what = format!("{from} is called {to} from now on.");
        let rename = Rename { from: from.clone(), to: to.clone() };
        let (slug, action) = match kind {
            RenameKind::Constraint => {
                // By the table's last name: the rename of the table comes before.
                (format!("rename_constraint.{}.{from}", work.name), Action::RenameConstraint { table: work.name.to_owned(), rename })
            }
            // An index is told from others by its table's name too.
            RenameKind::Index if self.can.unique_is_index => {
                (format!("rename_index.{from}"), Action::RenameConstraint { table: work.name.to_owned(), rename })
            }
            RenameKind::Index => (format!("rename_index.{from}"), Action::RenameIndex(rename)),
        };
        work.swap.push((slug, to, what, action));
    }

    // --- contract: the swap ---

    pub(super) fn swap_views_and_sync(&mut self, work: &mut Work<'a, '_>, sync: Option<Sync>) {
        let layout = work.layout;
        if layout.reach == Reach::View {
            match self.settings.access {
                Access::Versioned => {
                    if layout.has_two_sides() && self.can.writer == WriterMark::View {
                        let namespace = self.new_namespace();
                        let view = self.shape_view_of(&namespace, layout);
                        work.swap.push((
                            format!("settle_shape_view.{namespace}.{}", work.name),
                            format!("{namespace}.{}", work.name),
                            "Nobody needs to be told apart any more: the view goes straight to the table.".to_owned(),
                            Action::SettleShapeView(view),
                        ));
                    }
                }
                // Where a view does not follow, it changes places with the table in one statement.
                Access::Shared if !self.can.renames_under_views => {}
                Access::Shared => {
                    let base = self.base().to_owned();
                    let mut views = vec![(base.clone(), work.name.to_owned())];
                    if layout.has_two_sides() {
                        let marker = naming::marker_view(&base, work.name, self.diff.dialect);
                        views.push((VERSION_SCHEMA.to_owned(), marker));
                    }
                    work.swap.push((
                        format!("drop_views.{base}.{}", work.name),
                        format!("{base}.{}", work.name),
                        format!("The table itself is about to be called {}.", work.name),
                        Action::DropViews { views, materialized: Materialized::No },
                    ));
                }
            }
        }
        if let Some(sync) = sync {
            work.swap.push((
                format!("remove_sync.{}", work.table),
                work.table.to_owned(),
                if self.can.transactional_ddl {
                    "In the same transaction as the columns: no write is ever without the one and with the other."
                } else {
                    "Before the columns that they name: a trigger over a column that is gone makes every write fail."
                }
                .to_owned(),
                Action::RemoveSync(Box::new(sync)),
            ));
        }
    }

    pub(super) fn shape_view_of(&self, namespace: &str, layout: &Layout<'a>) -> ShapeView {
        ShapeView {
            schema: namespace.to_owned(),
            name: layout.change.new.name.clone(),
            table: layout.table().to_owned(),
            columns: layout
                .change
                .new
                .columns
                .values()
                .filter_map(|column| {
                    let physical = layout.of_new(&column.name)?;
                    Some(ViewColumn { physical: physical.name.clone(), name: column.name.clone(), default: ViewDefault::OfTable })
                })
                .collect(),
            marker_view: self.marker_view(layout, namespace),
            writes: None,
            comment: layout.change.new.comment.clone(),
        }
    }

    /// The view behind a view that marks what comes through it.
    pub(in crate::plan) fn marker_view(&self, layout: &Layout<'a>, namespace: &str) -> Option<String> {
        (layout.has_two_sides() && self.can.writer == WriterMark::View)
            .then(|| naming::marker_view(namespace, &layout.change.new.name, self.diff.dialect))
    }

    pub(super) fn swap_columns(&mut self, work: &mut Work<'a, '_>) {
        let layout = work.layout;
        // What is computed goes before what it is computed from.
        let mut gone: Vec<_> = layout.columns.iter().filter(|c| c.role == Role::Old).collect();
        gone.sort_by_key(|physical| physical.old.is_some_and(|old| old.generated.is_none()));
        let returned = self.columns_return(work);
        let come_back: Vec<&str> =
            layout.columns.iter().filter(|c| self.comes_back(layout, c)).filter_map(|c| Some(c.new?.name.as_str())).collect();
        let mut drops: Vec<String> = gone.into_iter().map(|c| c.name.clone()).filter(|name| !come_back.contains(&name.as_str())).collect();
        drops.extend(returned.iter().flat_map(|(_, _, helpers)| helpers.iter().cloned()));
        if layout.has_two_sides() && self.tells_writer(layout) {
            drops.push(naming::MARKER.to_owned());
        }
        let is_computed = |physical: &&Physical<'a>| physical.new.or(physical.old).is_some_and(|column| column.generated.is_some());
        let of_name = |name: &String| layout.columns.iter().find(|physical| physical.name == *name);
        let computed = drops.iter().filter(|name| of_name(name).as_ref().is_some_and(is_computed)).cloned().collect();
        let renames = ordered_renames(
            layout.columns.iter().filter_map(|c| {
                let new = c.new?;
                (c.role != Role::Old && new.name != c.name && !self.comes_back(layout, c)).then(|| (c.name.clone(), new.name.clone()))
            }),
            self.diff.dialect,
        );
        // Constraints that went by name came first, renames of what stays come behind the renames of columns and table.
        let at = work
            .swap
            .iter()
            .position(|(_, _, _, action)| matches!(action, Action::RenameConstraint { .. } | Action::RenameIndex(_)))
            .unwrap_or(work.swap.len());
        let mut behind = work.swap.split_off(at);
        let (early, late): (Vec<_>, Vec<_>) =
            behind.drain(..).partition(|(_, _, _, action)| !matches!(action, Action::RenameConstraint { .. } | Action::RenameIndex(_)));
        work.swap.extend(early);
        // In shared access it is said already that nothing can have two shapes under one name.
        let is_refused = layout.reach == Reach::Direct && !renames.is_empty() && !self.can.renames_under_views;
        if (!drops.is_empty() || !renames.is_empty()) && !is_refused {
            let why = match (drops.is_empty(), renames.is_empty()) {
                (false, false) => "The old shape goes, and the new one takes its names.",
                (false, true) => "The old shape goes: only names in the catalog, the rows are not touched.",
                (true, _) => "The columns get the names that the new version has known them by.",
            };
            work.swap.push((
                format!("swap_columns.{}", work.table),
                work.table.to_owned(),
                why.to_owned(),
                Action::SwapColumns { table: work.table.to_owned(), drops, computed, renames: renames.clone() },
            ));
        }
        if work.table != work.name {
            let namespace = if self.settings.access == Access::Versioned { self.new_namespace() } else { self.base().to_owned() };
            let view = (!self.can.renames_under_views).then(|| self.settled_view_of(&namespace, layout));
            work.swap.push((
                format!("rename_table.{}", work.table),
                work.table.to_owned(),
                format!("The table gets the name that the new version has known it by: {}.", work.name),
                Action::RenameTable { from: work.table.to_owned(), to: work.name.to_owned(), view },
            ));
        }
        work.swap.extend(late);
        if self.can.leaves_names_behind && (work.table != work.name || !renames.is_empty()) {
            work.swap.push((
                format!("tidy_names.{}", work.name),
                work.name.to_owned(),
                "Names by convention follow: sequences of identity columns, and NOT NULL constraints where the server names them."
                    .to_owned(),
                Action::TidyNames { table: work.name.to_owned() },
            ));
        }
        self.settle_defaults(work);
        self.reveal(work);
        self.order_single_statements(work);
        if let Some((before, behind, _)) = returned {
            let at = |work: &Work<'a, '_>, rank: usize| {
                work.swap.iter().position(|(_, _, _, action)| single_rank(work.layout, action) >= rank).unwrap_or(work.swap.len())
            };
            // Before the columns that they stand on go, and behind what has kept the two columns alike.
            let columns = at(work, 6);
            work.swap.splice(columns..columns, behind);
            let triggers = at(work, 4);
            work.swap.splice(triggers..triggers, before);
        }
    }

    /// Defaults that only the view had, or (shared access) that would have changed what the old version writes.
    pub(super) fn settle_defaults(&mut self, work: &mut Work<'a, '_>) {
        let layout = work.layout;
        // Where each statement counts, the defaults stand before the rename.
        let table = if self.can.transactional_ddl { work.name } else { work.table };
        let mut defaults = Vec::new();
        let mut of_view = Vec::new();
        let mut restated = Vec::new();
        for physical in &layout.columns {
            let Some(new) = physical.new.filter(|_| !self.comes_back(layout, physical)) else { continue };
            let expr = |expr: &Expr| self.settled_default(&new.ty, self.new_expr(expr, work.name, &|name| Some(name.to_owned())));
            match (physical.role, physical.old) {
                (Role::NewFromLens, _) => {
                    if let Some(default) = &new.default {
                        let default_text = self.target.default_text(&new.ty, &default.text);
                        if self.target.restates_default(&new.ty, &default_text) {
                            restated.push(physical);
                            continue;
                        }
                        defaults.push((new.name.clone(), Some(expr(default))));
                        of_view.push(new.name.clone());
                    }
                }
                (Role::Both, Some(old)) => {
                    if default_comes_late(old, new, self.diff.dialect) {
                        let default = new.default.as_ref();
                        let says_null = self.can.null_default_is_said && !new.not_null;
                        let text = default.map(|d| self.target.default_text(&new.ty, &d.text)).or(says_null.then(|| "null".to_owned()));
                        if text.is_some_and(|text| self.target.restates_default(&new.ty, &text)) {
                            restated.push(physical);
                            continue;
                        }
                        // Without a word of it such a column would have no default at all.
                        let null = says_null.then(|| RowExpr::plain("null"));
                        defaults.push((new.name.clone(), default.map(expr).or(null)));
                        of_view.push(new.name.clone());
                    }
                }
                (Role::Both, None) | (Role::New | Role::Old, _) => {}
            }
        }
        for physical in restated {
            let Some(new) = physical.new else { continue };
            let spec = self.column_spec(new, work.name, &new.name, &|name| Some(name.to_owned()));
            let new = ColumnSpec { hidden: self.can.invisible_columns && physical.role == Role::NewFromLens, ..spec };
            let old = ColumnSpec { default: None, ..new.clone() };
            let object = format!("{}.{}", work.name, new.name);
            work.swap.push((
                format!("settle_default.{object}"),
                object,
                "Only the new version is left: its default becomes the table's.".to_owned(),
                Action::RestateColumn { table: table.to_owned(), loosened: Vec::new(), old: Box::new(old), new: Box::new(new) },
            ));
        }
        if defaults.is_empty() {
            return;
        }
        let has_own = self.settings.access == Access::Versioned && self.can.view_defaults;
        let view = has_own.then(|| (self.new_namespace(), work.name.to_owned(), of_view));
        work.swap.push((
            format!("settle_defaults.{}", work.name),
            work.name.to_owned(),
            "Only the new version is left: its defaults become the table's.".to_owned(),
            Action::SettleDefaults { table: table.to_owned(), defaults, view },
        ));
    }

    /// Columns that were hidden from clients of the old version that name none.
    fn reveal(&mut self, work: &mut Work<'a, '_>) {
        if !self.can.invisible_columns {
            return;
        }
        for physical in work.layout.columns.iter().filter(|c| matches!(c.role, Role::New | Role::NewFromLens)) {
            let Some(new) = physical.new.filter(|_| !self.comes_back(work.layout, physical)) else { continue };
            let spec = self.column_spec(new, work.name, &new.name, &|name| Some(name.to_owned()));
            let hidden = ColumnSpec { hidden: true, ..spec.clone() };
            let object = format!("{}.{}", work.name, new.name);
            work.swap.push((
                format!("reveal.{object}"),
                object,
                "Every client knows the column now: `select *` shows it.".to_owned(),
                Action::RestateColumn { table: work.name.to_owned(), loosened: Vec::new(), old: Box::new(hidden), new: Box::new(spec) },
            ));
        }
    }

    /// Where statements don't take effect together, the order in which each of them may be the last one that ran: rules on the
    /// old shape go first, an old column takes any row before nothing fills it any more, and triggers go before columns.
    fn order_single_statements(&mut self, work: &mut Work<'a, '_>) {
        if self.can.transactional_ddl {
            return;
        }
        for physical in work.layout.columns.iter().filter(|c| c.role == Role::Old) {
            let Some(old) = physical.old else { continue };
            let loosened = old.default.is_some() || old.generated.is_some() || old.identity.is_some() || !old.not_null;
            // One that makes room for another goes while the trigger still fills it.
            let makes_room = work.layout.of_new(&physical.name).is_some_and(|new| self.comes_back(work.layout, new));
            if loosened || makes_room || !self.is_filled(work, &physical.name) {
                continue;
            }
            let object = format!("{}.{}", work.table, physical.name);
            // Where nothing but the values says who wrote, the trigger would take such a value for what the old version wrote.
            let action = match self.target.any_value(&self.old_type(&old.ty)).filter(|_| self.tells_writer(work.layout)) {
                Some(text) => Action::SetDefault {
                    table: work.table.to_owned(),
                    column: physical.name.clone(),
                    origin: Origin::Old,
                    default: RowExpr::plain(&text),
                },
                None => self.loosened(work.table, old),
            };
            let why = "Nothing fills it any more from the next statement on, and it still refuses NULL: anything will do until it goes.";
            work.swap.push((format!("let_go.{object}"), object, why.to_owned(), action));
        }
        let layout = work.layout;
        work.swap.sort_by_key(|(_, _, _, action)| single_rank(layout, action));
    }

    /// Whether a trigger has filled an old column up to now.
    fn is_filled(&self, work: &Work<'a, '_>, column: &str) -> bool {
        work.layout.lenses.iter().any(|(lens, _)| lens.old.iter().any(|member| member.column.name == column && member.mapping.is_some()))
    }

    pub(super) fn finish_swap(&mut self, mut work: Work<'a, '_>) {
        let unit = self.swap_unit(work.change, work.table);
        let unmirrored = self.mirrors_removed(work.table);
        let mut previous: Option<String> = None;
        for (slug, object, why, action) in std::mem::take(&mut work.swap) {
            let mut requires = work.before_swap.clone();
            requires.extend(unmirrored.iter().cloned());
            requires.extend(self.drop_namespace_step.clone());
            requires.extend(self.drop_views_step.get(&work.change).cloned());
            requires.extend(previous.take());
            requires.extend(self.awaits_returns(&work, &action));
            let is_key = matches!(
                &action,
                Action::DropConstraint { constraint: ConstraintSpec::PrimaryKey(_) | ConstraintSpec::Unique(_), .. }
                    | Action::DropIndex { .. }
            );
            if is_key {
                requires.extend(work.swap_requires.clone());
            }
            let id = self.step(Draft {
                phase: Phase::Contract,
                change: work.change,
                slug,
                object,
                why,
                action,
                unit: Some(unit.clone()),
                requires,
            });
            previous = Some(id);
        }
        let previous = self.copied_late(&work, previous);
        if let Some(end) = previous {
            self.swap_ends.entry(work.change).or_default().push(end);
        }
    }

    pub(super) fn comments(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        self.comment(
            work.change,
            CommentTarget::Table(work.table.to_owned()),
            work.table,
            change.old.comment.as_deref(),
            change.new.comment.as_deref(),
        );
        for physical in &work.layout.columns {
            if let (Role::Both, Some(old), Some(new)) = (physical.role, physical.old, physical.new) {
                if self.can.restates_columns {
                    self.comment_restated(work, old, new);
                    continue;
                }
                self.comment(
                    work.change,
                    CommentTarget::Column(work.table.to_owned(), physical.name.clone()),
                    &format!("{}.{}", work.table, physical.name),
                    old.comment.as_deref(),
                    new.comment.as_deref(),
                );
            }
        }
    }

    /// A comment of a column where that is stated anew: the column stays as the old version knows it, but for this.
    fn comment_restated(&mut self, work: &mut Work<'a, '_>, old: &Column, new: &Column) {
        if old.comment == new.comment {
            return;
        }
        let before = self.old_column_spec(old, work.table);
        let after = ColumnSpec { comment: new.comment.clone(), ..before.clone() };
        let object = format!("{}.{}", work.table, old.name);
        // Where rules change meanwhile, it comes when they have.
        if old.not_null != new.not_null
            || (self.old_type(&old.ty) != self.physical_type(&new.ty) && !work.layout.is_late(new))
            || old.default.is_some() != new.default.is_some()
        {
            let last = self.column_spec(new, work.name, &new.name, &|name| Some(name.to_owned()));
            let last_but_one = ColumnSpec { comment: old.comment.clone(), ..last.clone() };
            let object = format!("{}.{}", work.name, new.name);
            work.swap.push((
                format!("comment.column.{object}"),
                object,
                "A comment; the rest of the column stays as it is by now.".to_owned(),
                Action::RestateColumn {
                    table: work.name.to_owned(),
                    loosened: Vec::new(),
                    old: Box::new(last_but_one),
                    new: Box::new(last),
                },
            ));
            return;
        }
        self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("comment.column.{object}"),
            object,
            why: "A comment; the rest of the column stays as it is.".to_owned(),
            action: Action::RestateColumn {
                table: work.table.to_owned(),
                loosened: Vec::new(),
                old: Box::new(before),
                new: Box::new(after),
            },
            unit: None,
            requires: Vec::new(),
        });
    }
}

/// Where an action stands among the statements of a swap that each count.
fn single_rank(layout: &Layout<'_>, action: &Action) -> usize {
    match action {
        // An index over columns that are NOT NULL may be what the rows lie in the order of, until there is a key.
        Action::DropConstraint { constraint: ConstraintSpec::Unique(_), .. } | Action::DropIndex { .. } => 2,
        Action::DropConstraint { .. } => 0,
        Action::AddPrimaryKey { .. } => 1,
        Action::SetDefault { .. } | Action::DropNotNull { .. } => 3,
        Action::RestateColumn { new, .. } if !new.not_null && !new.hidden && layout.of_old(&new.name).is_some() => 3,
        // Before the trigger that has filled the columns goes.
        Action::SettleDefaults { .. } => 3,
        Action::RestateColumn { old, new, .. } if old.default != new.default => 3,
        Action::RemoveSync(_) => 4,
        Action::SettleShapeView(_) | Action::DropViews { .. } => 5,
        Action::SwapColumns { .. } => 6,
        Action::RenameTable { .. } => 7,
        Action::RestateColumn { .. } => 9,
        _ => 8,
    }
}

/// Renames in the order of [`Rename::in_order`], through helper names.
pub(in super::super) fn ordered_renames(renames: impl IntoIterator<Item = (String, String)>, dialect: Dialect) -> Vec<Rename> {
    Rename::in_order(renames, |name| naming::parked(name, dialect))
}
