//! The planner: what all parts of the planning share, and the order in which they run.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Level, Span};
use crate::diff::model::{Diff, TableDiff};
use crate::snapshot::model::{Access, Check, Column, Expr, ForeignKey, Index, IndexTarget, Table, Type, TypeKind};

use super::changes::{Changes, Node};
use super::expr::Names;
use super::graph;
use super::layout::{FULLTEXT, Layout, Reach, Surroundings};
use super::model::{
    Action, Change, ColumnSpec, CommentTarget, Cost, ForeignKeySpec, GrantPair, Hazard, IndexKeySpec, IndexSpec, KeyTarget, Mirror, Phase,
    Plan, RowExpr, Step,
};
use super::table::{changes_columns, goes_from_under, is_both};
use super::{Capabilities, Lack, Rules, Settings, Target, model, naming};

/// No enum of the old shape is called otherwise.
static NO_TYPES: BTreeMap<String, String> = BTreeMap::new();

/// A step before it is in order.
pub(super) struct Draft {
    pub(super) phase: Phase,
    pub(super) change: usize,
    /// What the id says: `add_columns.users`.
    pub(super) slug: String,
    pub(super) object: String,
    pub(super) why: String,
    pub(super) action: Action,
    pub(super) unit: Option<String>,
    pub(super) requires: Vec<String>,
}

pub(super) struct Planner<'a> {
    pub(super) diff: &'a Diff<'a>,
    pub(super) settings: &'a Settings,
    pub(super) target: &'a dyn Target,
    /// What the server can do.
    pub(super) can: Capabilities,
    pub(super) changes: Changes,
    pub(super) steps: Vec<Step>,
    pub(super) hazards: Vec<Hazard>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Layouts of changed tables, by new name.
    pub(super) layouts: BTreeMap<&'a str, Layout<'a>>,
    /// New name by old name, of renamed tables.
    pub(super) renamed: BTreeMap<&'a str, &'a str>,
    /// Old name by new name, of renamed tables.
    pub(super) renamed_from: BTreeMap<&'a str, &'a str>,
    /// Tables that only the new version has.
    pub(super) added: BTreeSet<&'a str>,
    /// The foreign keys of the old schema with their tables, by the table that they refer to.
    pub(super) referring: BTreeMap<&'a str, Vec<(&'a Table, &'a ForeignKey)>>,
    /// The tables that differ, and those that must follow them.
    pub(super) tables: Vec<&'a TableDiff<'a>>,
    /// Foreign keys that a swap makes anew at its end, with the last names of their tables and the swaps.
    pub(super) late_foreign_keys: Vec<(&'a str, &'a ForeignKey, String)>,
    /// The differences of tables that the old schema has, by old name.
    pub(super) by_old_name: BTreeMap<&'a str, &'a TableDiff<'a>>,
    /// Rows that come from other tables, by the new table.
    pub(super) mirrors: BTreeMap<&'a str, Mirror>,
    /// Changes whose tables swap in one transaction, since a key moves together with what refers to it.
    pub(super) held_together: BTreeSet<usize>,
    /// Views of which only the comment differs.
    pub(super) only_comment: BTreeSet<&'a str>,
    /// Names of indexes and index-backed constraints that stand in the old schema.
    pub(super) taken: BTreeSet<&'a str>,
    /// What an enum of the new shape is called until contract, where that is not its name.
    pub(super) types: BTreeMap<String, String>,
    /// By the old name of an enum that gets a type of its own for the new version: its labels that are called otherwise there.
    pub(super) relabeled: BTreeMap<&'a str, Vec<(String, String)>>,
    /// Grants to copy by change: relation, (schema, view).
    pub(super) grants: BTreeMap<usize, Vec<GrantPair>>,
    /// The step that drops the base views of a change, before its tables change.
    pub(super) drop_views_step: BTreeMap<usize, String>,
    /// The step that drops the old version's namespace, before any table changes.
    pub(super) drop_namespace_step: Option<String>,
    /// The views of the base schema that contract makes anew.
    pub(super) remade_views: BTreeSet<String>,
    /// The changes of which contract brings new views to the base schema.
    pub(super) base_views_created: BTreeSet<usize>,
    /// Steps that end the swap of a change's tables.
    pub(super) swap_ends: BTreeMap<usize, Vec<String>>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(diff: &'a Diff<'a>, settings: &'a Settings, target: &'a dyn Target) -> Self {
        let mut diagnostics = Vec::new();
        let mut layouts = BTreeMap::new();
        let mut renamed = BTreeMap::new();
        let mut added = BTreeSet::new();
        let surroundings = Surroundings::new(diff, settings, target);
        for table in &diff.tables {
            match table {
                TableDiff::Changed(change) => {
                    let layout = Layout::new(change, &surroundings, &mut diagnostics);
                    layouts.insert(change.new.name.as_str(), layout);
                    if change.old.name != change.new.name {
                        renamed.insert(change.old.name.as_str(), change.new.name.as_str());
                    }
                }
                TableDiff::Added(table, _) => {
                    added.insert(table.name.as_str());
                }
                TableDiff::Dropped(_) => {}
            }
        }
        // A table that is the same follows where its foreign key can't stay as it is.
        let moves = |key: &ForeignKey| {
            layouts
                .get(key.ref_table.as_str())
                .is_some_and(|other| !is_both(other, &key.ref_columns) || goes_from_under(other, &key.ref_columns))
        };
        let followers: Vec<&TableDiff<'_>> =
            diff.followers.iter().filter(|follower| follower.table().foreign_keys.iter().any(moves)).collect();
        for follower in &followers {
            if let TableDiff::Changed(change) = follower {
                layouts.insert(change.new.name.as_str(), Layout::new(change, &surroundings, &mut diagnostics));
            }
        }
        let tables: Vec<&TableDiff<'_>> = diff.tables.iter().chain(followers).collect();
        let mut taken = BTreeSet::new();
        let mut referring: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for table in diff.old.tables.values() {
            taken.insert(table.name.as_str());
            taken.extend(table.indexes.iter().map(|i| i.name.text.as_str()));
            taken.extend(table.uniques.iter().map(|u| u.name.text.as_str()));
            taken.extend(table.exclusions.iter().map(|e| e.name.text.as_str()));
            taken.extend(table.primary_key.iter().map(|k| k.name.text.as_str()));
            taken.extend(table.checks.iter().map(|c| c.name.text.as_str()));
            taken.extend(table.foreign_keys.iter().map(|k| k.name.text.as_str()));
            for key in &table.foreign_keys {
                referring.entry(key.ref_table.as_str()).or_default().push((table, key));
            }
        }
        let mut types = BTreeMap::new();
        let mut relabeled = BTreeMap::new();
        for found in &diff.enums {
            let (Some(old), Some(new)) = (found.pair.old, found.pair.new) else { continue };
            if found.needs_another_type() {
                types.insert(new.name.clone(), naming::interim(&new.name, diff.dialect));
                let pairs = found.renamed.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
                relabeled.insert(old.name.as_str(), pairs);
            } else if old.name != new.name {
                types.insert(new.name.clone(), old.name.clone());
            }
        }
        let only_comment =
            diff.views.iter().filter(|pair| pair.equal).filter_map(|pair| pair.new.or(pair.old)).map(|view| view.name.as_str()).collect();
        // Tables that are swapped at once: a foreign key goes from the one key to the other, and binds all the time.
        let mut bound: Vec<(&str, &str)> = Vec::new();
        for change in tables.iter().filter_map(|table| if let TableDiff::Changed(change) = table { Some(change) } else { None }) {
            for pair in &change.foreign_keys {
                let Some(key) = pair.new.filter(|key| key.ref_table != change.new.name) else { continue };
                let Some(other) = layouts.get(key.ref_table.as_str()) else { continue };
                let moves = changes_columns(other.change, &key.ref_columns) || !is_both(other, &key.ref_columns);
                if pair.equal && moves || goes_from_under(other, &key.ref_columns) {
                    bound.push((change.new.name.as_str(), key.ref_table.as_str()));
                }
            }
        }
        let mut changes = Changes::find(diff, &tables, &bound);
        if changes.list.is_empty() && settings.access == Access::Versioned {
            changes.list.push(Change { number: 1, title: "namespace".to_owned() });
        }
        let mut by_old_name = BTreeMap::new();
        let mut held_together = BTreeSet::new();
        for table in &tables {
            match table {
                TableDiff::Added(..) => {}
                TableDiff::Dropped(old) => {
                    by_old_name.insert(old.name.as_str(), *table);
                }
                TableDiff::Changed(change) => {
                    by_old_name.insert(change.old.name.as_str(), *table);
                }
            }
        }
        held_together.extend(bound.iter().filter_map(|(table, _)| changes.of_table(table)));
        Planner {
            diff,
            settings,
            target,
            can: target.capabilities(),
            changes,
            steps: Vec::new(),
            hazards: Vec::new(),
            diagnostics,
            layouts,
            renamed_from: renamed.iter().map(|(old, new)| (*new, *old)).collect(),
            renamed,
            added,
            referring,
            tables,
            late_foreign_keys: Vec::new(),
            by_old_name,
            mirrors: BTreeMap::new(),
            held_together,
            only_comment,
            taken,
            types,
            relabeled,
            grants: BTreeMap::new(),
            drop_views_step: BTreeMap::new(),
            drop_namespace_step: None,
            remade_views: BTreeSet::new(),
            base_views_created: BTreeSet::new(),
            swap_ends: BTreeMap::new(),
        }
    }

    pub(super) fn run(mut self) -> (Plan, Vec<Diagnostic>) {
        let tables = self.tables.clone();
        self.find_mirrors();
        self.enums();
        self.sequences();
        self.extensions();
        self.namespace();
        self.drop_base_views();
        for table in tables {
            match table {
                TableDiff::Added(table, hints) => self.table_added(table, *hints),
                TableDiff::Dropped(table) => self.table_dropped(table),
                TableDiff::Changed(change) => {
                    if let Some(layout) = self.layouts.remove(change.new.name.as_str()) {
                        // Taken out for the time of its own planning, so that the planner can be written to; put back behind it.
                        let layout = self.table_changed(layout);
                        self.layouts.insert(change.new.name.as_str(), layout);
                    }
                }
            }
        }
        self.late_foreign_keys();
        self.shape_views();
        self.views();
        self.copy_grants();
        self.settle_types();
        let steps = match graph::order(std::mem::take(&mut self.steps)) {
            Ok(steps) => steps,
            Err(cycle) => {
                self.diagnostics.push(
                    Diagnostic::error("step-cycle", format!("steps need each other in a circle, or have one name: {}", cycle.join(" → ")))
                        .help("this is a fault of crossfade: please report it with both snapshots"),
                );
                Vec::new()
            }
        };
        let mut steps = steps;
        if self.can.restates_columns {
            restate_as_it_is(&mut steps);
        }
        if !self.can.changes_beside_fulltext {
            self.refuse_beside_fulltext(&steps);
        }
        let orders_rows = if self.can.orders_rows_by_unique { self.row_order(&steps) } else { BTreeSet::new() };
        for step in &mut steps {
            if let Action::CreateIndex(index) = &step.action
                && orders_rows.contains(&(index.table.clone(), index.name.clone()))
            {
                step.footprint.cost = Cost::Rewrite;
            }
        }
        let steps = match self.target.capabilities().rules {
            Rules::Altered => steps,
            Rules::Rebuilt => self.rebuilt(steps),
        };
        self.tell_refusals();
        self.hazards.sort_by(|a, b| {
            (std::cmp::Reverse(a.level), a.code, &a.object, &a.message).cmp(&(std::cmp::Reverse(b.level), b.code, &b.object, &b.message))
        });
        self.hazards.dedup_by(|a, b| (a.code, &a.object, &a.message) == (b.code, &b.object, &b.message));
        let made = steps.iter().filter_map(|step| match &step.action {
            Action::CreateTable(spec) if step.phase != Phase::Contract => Some(spec.name.clone()),
            _ => None,
        });
        let tables: BTreeSet<String> = made.chain(self.diff.old.tables.keys().cloned()).collect();
        let plan = Plan {
            dialect: self.diff.dialect,
            access: self.settings.access,
            schema: self.settings.schema.clone(),
            old_version: Some(self.diff.old.version.clone()).filter(|version| !version.is_empty()),
            old_release: self.diff.old.release.clone(),
            new_version: self.diff.new.version.clone(),
            release: self.diff.new.release.clone(),
            changes: self.changes.list,
            steps,
            oldest: self.target.oldest(),
            tables: tables.into_iter().collect(),
            orders_rows,
            hazards: self.hazards,
        };
        (plan, self.diagnostics)
    }

    /// Refuses changes of columns that the server makes only under a lock, since the table has a full-text index.
    fn refuse_beside_fulltext(&mut self, steps: &[Step]) {
        let mut indexes: BTreeMap<&str, &str> = BTreeMap::new();
        for table in self.diff.old.tables.values() {
            indexes.extend(table.indexes.iter().filter(|i| i.method == FULLTEXT).map(|i| (table.name.as_str(), i.name.text.as_str())));
        }
        for step in steps {
            match &step.action {
                Action::CreateIndex(index) if index.method == FULLTEXT => {
                    indexes.insert(&index.table, &index.name);
                }
                Action::CreateTable(spec) => {
                    indexes.extend(spec.indexes.iter().filter(|i| i.method == FULLTEXT).map(|i| (spec.name.as_str(), i.name.as_str())));
                }
                _ => {}
            }
        }
        let changed: BTreeSet<&str> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::AddColumns { table, .. } | Action::ReturnColumns { table, .. } | Action::AddPrimaryKey { table, .. } => {
                    Some(table.as_str())
                }
                Action::SwapColumns { table, drops, .. } if !drops.is_empty() => Some(table.as_str()),
                Action::RestateColumn { table, old, new, .. } if old.not_null != new.not_null => Some(table.as_str()),
                _ => None,
            })
            .collect();
        let found: Vec<(String, String)> =
            changed.into_iter().filter_map(|table| Some((table.to_owned(), (*indexes.get(table)?).to_owned()))).collect();
        for (table, index) in found {
            self.no_way(
                &format!("table {table}"),
                &format!("columns come, go, or get NOT NULL or another primary key, and with full-text index {index} the server writes the whole table anew for that, and lets nobody write meanwhile"),
                "drop the index in a transition before this one, or add it in one behind it",
                self.diff.new.version_span,
            );
        }
    }

    /// Puts in place of each SQLSTATE of PostgreSQL what a client of this server is told.
    fn tell_refusals(&mut self) {
        const WORD: &str = "SQLSTATE ";
        for hazard in &mut self.hazards {
            let mut from = 0;
            while let Some(at) = hazard.message[from..].find(WORD).map(|at| at + from) {
                let end = at + WORD.len();
                let state: String = hazard.message[end..].chars().take_while(char::is_ascii_alphanumeric).collect();
                let words = self.target.refusal(&state);
                hazard.message.replace_range(at..end + state.len(), &words);
                from = at + words.len();
            }
        }
    }

    // --- steps ---

    /// Adds a step and returns its id.
    pub(super) fn step(&mut self, draft: Draft) -> String {
        let id = format!("{}{:02}.{}", draft.phase.name(), draft.change, draft.slug);
        match self.target.lacks(&draft.action) {
            None => {}
            Some(Lack::NotYet(what)) => self.not_yet(&draft.object, &what, self.diff.new.version_span),
            Some(Lack::Blocks(why)) => {
                let phase = draft.phase.name();
                let span = self.diff.new.version_span;
                self.warn(("blocks-writes", Level::Error), &draft.object, format!("{why}, in {phase}"), span);
            }
            Some(Lack::NoWay(why, way_out)) => self.no_way(&draft.object, &why, &way_out, self.diff.new.version_span),
        }
        let footprint = self.target.footprint(&draft.action);
        self.steps.push(Step {
            id: id.clone(),
            change: draft.change,
            phase: draft.phase,
            unit: draft.unit,
            action: draft.action,
            object: draft.object,
            why: draft.why,
            requires: draft.requires,
            footprint,
        });
        id
    }

    pub(super) fn hazard(&mut self, code: Hazard) {
        self.hazards.push(code);
    }

    pub(super) fn warn(&mut self, hazard: (&'static str, Level), object: &str, message: impl Into<String>, span: Span) {
        self.hazard(Hazard::new(hazard.0, hazard.1, object, message, span));
    }

    /// A difference that can't be compiled yet.
    pub(super) fn not_yet(&mut self, object: &str, what: &str, span: Span) {
        self.diagnostics.push(
            Diagnostic::error("not-yet", format!("not yet: {object}: {what}"))
                .at(span, "")
                .help("this version of crossfade can't take a live database through this difference; nothing was written"),
        );
    }

    /// A difference that the server has no way through without keeping clients waiting.
    pub(super) fn no_way(&mut self, object: &str, why: &str, way_out: &str, span: Span) {
        self.diagnostics.push(Diagnostic::error("no-online-way", format!("{object}: {why}")).at(span, "").help(way_out));
    }

    // --- names ---

    /// The schema that the tables live in.
    pub(super) fn base(&self) -> &'a str {
        &self.settings.schema
    }

    /// The namespace of the new version.
    pub(super) fn new_namespace(&self) -> String {
        model::namespace(self.base(), &self.diff.new.version)
    }

    /// Where a table name of the new shape leads during the overlap, as the new version sees it.
    pub(super) fn new_relation(&self, name: &str) -> Option<(String, String)> {
        let known = self.diff.new.tables.contains_key(name) || self.diff.new.views.contains_key(name);
        known.then(|| match self.settings.access {
            Access::Versioned => (self.new_namespace(), name.to_owned()),
            Access::Shared => (self.base().to_owned(), name.to_owned()),
        })
    }

    /// Where a relation name of either shape leads when it stands in the base schema under that name.
    pub(super) fn base_relation(&self, known: bool, name: &str) -> Option<(String, String)> {
        known.then(|| (self.base().to_owned(), name.to_owned()))
    }

    /// The physical name, during the overlap, of a table of the new shape.
    pub(super) fn physical_table<'n>(&self, new_name: &'n str) -> &'n str
    where
        'a: 'n,
    {
        self.renamed_from.get(new_name).map_or(new_name, |old| *old)
    }

    pub(super) fn old_names(&self) -> Names<'_> {
        Names { shape: self.diff.old, dialect: self.diff.dialect, base: self.base(), types: &NO_TYPES }
    }

    pub(super) fn new_names(&self) -> Names<'_> {
        Names { shape: self.diff.new, dialect: self.diff.dialect, base: self.base(), types: &self.types }
    }

    /// A type of the new shape as it is called until contract.
    pub(super) fn physical_type(&self, ty: &Type) -> Type {
        if !self.can.enum_types {
            return self.spelled(ty, self.diff.new);
        }
        match &ty.kind {
            TypeKind::Enum(name) => match self.types.get(name) {
                Some(physical) => Type { kind: TypeKind::Enum(physical.clone()), array_dimensions: ty.array_dimensions },
                None => ty.clone(),
            },
            _ => ty.clone(),
        }
    }

    /// A default as a statement of its own takes it.
    pub(super) fn settled_default(&self, ty: &Type, default: RowExpr) -> RowExpr {
        let text = self.target.default_text(ty, &default.text);
        if text == default.text { default } else { RowExpr { text, splices: Vec::new(), has_subquery: false } }
    }

    /// A type of the old shape, as it is called.
    pub(super) fn old_type(&self, ty: &Type) -> Type {
        if self.can.enum_types { ty.clone() } else { self.spelled(ty, self.diff.old) }
    }

    /// A type with its labels, where an enum has no name of its own.
    fn spelled(&self, ty: &Type, shape: &crate::snapshot::model::Schema) -> Type {
        let kind = match &ty.kind {
            TypeKind::Enum(_) => TypeKind::Native(crate::snapshot::types::sql_name_in(ty, self.diff.dialect, &shape.enums)),
            kind => kind.clone(),
        };
        Type { kind, array_dimensions: ty.array_dimensions }
    }

    // --- specs: objects of the new shape over physical names ---

    /// A column of the old shape, as it stands until contract.
    pub(super) fn old_column_spec(&self, column: &Column, table: &str) -> ColumnSpec {
        ColumnSpec {
            name: column.name.clone(),
            ty: self.old_type(&column.ty),
            not_null: column.not_null,
            default: column.default.as_ref().map(|default| self.old_expr(default, table)),
            generated: column.generated.as_ref().map(|g| (self.old_expr(&g.expression, table), g.stored)),
            identity: column.identity,
            collation: column.collation.clone(),
            labels: Vec::new(),
            comment: column.comment.clone(),
            hidden: false,
        }
    }

    /// An expression of the new shape over the physical columns of a table.
    pub(super) fn new_expr(&self, expr: &Expr, table: &str, physical: &dyn Fn(&str) -> Option<String>) -> RowExpr {
        self.new_names().row(expr, table, physical, &|name| self.new_relation(name))
    }

    /// An expression of the old shape; old columns are called what they were called.
    pub(super) fn old_expr(&self, expr: &Expr, table: &str) -> RowExpr {
        let old = self.diff.old;
        let known = |name: &str| old.tables.contains_key(name) || old.views.contains_key(name);
        self.old_names().row(expr, table, &|name| Some(name.to_owned()), &|name| self.base_relation(known(name), name))
    }

    pub(super) fn column_spec(&self, column: &Column, table: &str, name: &str, physical: &dyn Fn(&str) -> Option<String>) -> ColumnSpec {
        ColumnSpec {
            name: name.to_owned(),
            ty: self.physical_type(&column.ty),
            not_null: column.not_null,
            default: column.default.as_ref().map(|default| self.new_expr(default, table, physical)),
            generated: column.generated.as_ref().map(|g| (self.new_expr(&g.expression, table, physical), g.stored)),
            identity: column.identity,
            collation: column.collation.clone(),
            labels: Vec::new(),
            comment: column.comment.clone(),
            hidden: false,
        }
    }

    pub(super) fn index_spec(
        &self,
        index: &Index,
        name: &str,
        table: &str,
        expr: &dyn Fn(&Expr) -> RowExpr,
        column: &dyn Fn(&str) -> String,
    ) -> IndexSpec {
        IndexSpec {
            name: name.to_owned(),
            table: table.to_owned(),
            keys: index
                .keys
                .iter()
                .map(|key| IndexKeySpec {
                    target: match &key.target {
                        IndexTarget::Column(name) => KeyTarget::Column(column(name)),
                        IndexTarget::Expression(text) => KeyTarget::Expression(expr(text)),
                    },
                    descending: key.descending,
                    nulls: key.nulls,
                    collation: key.collation.clone(),
                    opclass: key.opclass.clone(),
                    length: key.length,
                })
                .collect(),
            unique: index.unique,
            nulls_not_distinct: index.nulls_not_distinct,
            method: index.method.clone(),
            predicate: index.predicate.as_ref().map(expr),
            include: index.include.iter().map(|name| column(name)).collect(),
            with: index.with.clone(),
            comment: index.comment.clone(),
        }
    }

    /// A foreign key of the new shape over physical names.
    pub(super) fn foreign_key_spec(&self, key: &'a ForeignKey, name: &str, table: &str, column: &dyn Fn(&str) -> String) -> ForeignKeySpec {
        let mut physical = key.clone();
        physical.name.text = name.to_owned();
        physical.columns = key.columns.iter().map(|name| column(name)).collect();
        physical.ref_table = self.physical_table(&key.ref_table).to_owned();
        if self.physical_table(&key.ref_table) == table {
            // A table that refers to itself: its layout is with whoever plans it.
            physical.ref_columns = key.ref_columns.iter().map(|name| column(name)).collect();
        } else if let Some(layout) = self.layouts.get(key.ref_table.as_str()) {
            physical.ref_columns =
                key.ref_columns.iter().map(|name| layout.of_new(name).map_or_else(|| name.clone(), |c| c.name.clone())).collect();
        }
        let map = |columns: &[String]| columns.iter().map(|name| column(name)).collect::<Vec<_>>();
        physical.on_delete = map_action(&key.on_delete, &map);
        physical.on_update = map_action(&key.on_update, &map);
        ForeignKeySpec { table: table.to_owned(), key: physical }
    }

    /// The columns that a check reads, by the names of its own shape.
    pub(super) fn columns_of(&self, expr: &Expr, table: &str, shape: &crate::snapshot::model::Schema) -> Vec<String> {
        crate::sql::expression::row_references(&expr.text, self.diff.dialect, table, shape)
            .map(|references| {
                let names: BTreeSet<String> = references.columns.into_iter().map(|c| c.name).collect();
                names.into_iter().collect()
            })
            .unwrap_or_default()
    }

    pub(super) fn index_columns(&self, index: &Index, table: &str, shape: &crate::snapshot::model::Schema) -> Vec<String> {
        let mut names: BTreeSet<String> = index.include.iter().cloned().collect();
        for key in &index.keys {
            match &key.target {
                IndexTarget::Column(name) => {
                    names.insert(name.clone());
                }
                IndexTarget::Expression(expr) => names.extend(self.columns_of(expr, table, shape)),
            }
        }
        if let Some(predicate) = &index.predicate {
            names.extend(self.columns_of(predicate, table, shape));
        }
        names.into_iter().collect()
    }

    pub(super) fn check_columns(&self, check: &Check, table: &str, shape: &crate::snapshot::model::Schema) -> Vec<String> {
        self.columns_of(&check.expression, table, shape)
    }

    // --- comments ---

    pub(super) fn comment(&mut self, change: usize, target: CommentTarget, object: &str, old: Option<&str>, new: Option<&str>) {
        if old == new {
            return;
        }
        let kind = match &target {
            CommentTarget::Table(_) => "table",
            CommentTarget::Column(..) => "column",
            CommentTarget::View(_) => "view",
            CommentTarget::Enum(_) => "enum",
            CommentTarget::Index(_) => "index",
            CommentTarget::Sequence(_) => "sequence",
        };
        self.step(Draft {
            phase: Phase::Expand,
            change,
            slug: format!("comment.{kind}.{object}"),
            object: object.to_owned(),
            why: format!("The comment of {kind} {object}, which no version reads."),
            action: Action::Comment { target, old: old.map(str::to_owned), new: new.map(str::to_owned) },
            unit: None,
            requires: Vec::new(),
        });
    }

    /// The change that an object belongs to; the first one for what does not differ.
    pub(super) fn change_of(&self, node: &Node) -> usize {
        self.changes.of(node).unwrap_or(1)
    }

    pub(super) fn change_of_table(&self, name: &str) -> usize {
        self.changes.of_table(name).unwrap_or(1)
    }

    /// How the new version reaches a table of its shape.
    pub(super) fn reach(&self, table: &Table) -> Reach {
        match self.settings.access {
            Access::Versioned => Reach::View,
            Access::Shared => self.layouts.get(table.name.as_str()).map_or(Reach::Direct, |layout| layout.reach),
        }
    }
}

fn map_action(
    action: &crate::snapshot::model::ReferentialAction,
    map: &dyn Fn(&[String]) -> Vec<String>,
) -> crate::snapshot::model::ReferentialAction {
    use crate::snapshot::model::ReferentialAction as A;
    match action {
        A::NoAction => A::NoAction,
        A::Restrict => A::Restrict,
        A::Cascade => A::Cascade,
        A::SetNull(columns) => A::SetNull(map(columns)),
        A::SetDefault(columns) => A::SetDefault(map(columns)),
    }
}

/// Each step of expand that states a column anew was planned for the column as the old version has it. Where one comes after
/// another, it states what that one has made of the column, and its own change.
fn restate_as_it_is(steps: &mut [Step]) {
    let mut columns: BTreeMap<(String, String), ColumnSpec> = BTreeMap::new();
    let mut defaults: BTreeMap<(String, String), RowExpr> = BTreeMap::new();
    for step in steps.iter_mut().filter(|step| step.phase == Phase::Expand) {
        match &mut step.action {
            Action::SetDefault { table, column, default, .. } => {
                let key = (table.clone(), column.clone());
                if let Some(spec) = columns.get_mut(&key) {
                    spec.default = Some(default.clone());
                }
                defaults.insert(key, default.clone());
            }
            Action::RestateColumn { table, old, new, .. } => {
                let key = (table.clone(), old.name.clone());
                let mut is = columns.remove(&key).unwrap_or_else(|| ColumnSpec::clone(old));
                if let Some(default) = defaults.remove(&key) {
                    is.default = Some(default);
                }
                let mut becomes = is.clone();
                macro_rules! changed {
                    ($($field:ident),+) => {
                        $(if old.$field != new.$field {
                            becomes.$field = new.$field.clone();
                        })+
                    };
                }
                changed!(ty, not_null, default, generated, identity, collation, comment, hidden);
                columns.insert(key, becomes.clone());
                **old = is;
                **new = becomes;
            }
            _ => {}
        }
    }
}
