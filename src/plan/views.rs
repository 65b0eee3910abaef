//! Namespaces and views: what shows the new version its shape, and what contract makes of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Level};
use crate::snapshot::model::{Access, Schema, View};
use crate::sql::expression::{drawn_from, query_references};
use crate::sql::shape::query_extends;

use super::changes::Node;
use super::layout::{Reach, Role, Treatment, default_comes_late};
use super::model::{
    self, Action, CommentTarget, GrantLens, GrantPair, Materialized, Phase, Rename, ShapeView, Step, ViewColumn, ViewDefault, ViewSpec,
};
use super::naming;
use super::planner::{Draft, Planner};

impl<'a> Planner<'a> {
    /// The namespace of the new version, and the end of the old one's.
    pub(super) fn namespace(&mut self) {
        if self.settings.access == Access::Versioned {
            let schema = self.new_namespace();
            self.step(Draft {
                phase: Phase::Expand,
                change: 1,
                slug: format!("create_namespace.{schema}"),
                object: schema.clone(),
                why: format!("The namespace of version {}: a view for every table and view of its snapshot.", self.diff.new.version),
                action: Action::CreateNamespace { schema },
                unit: None,
                requires: Vec::new(),
            });
        }
        let old = self.diff.old;
        if old.version.is_empty() || self.changes.list.is_empty() {
            return;
        }
        let schema = model::namespace(self.base(), &old.version);
        let mut views: Vec<String> = old.tables.keys().chain(old.views.keys()).cloned().collect();
        views.sort();
        let id = self.step(Draft {
            phase: Phase::Contract,
            change: 1,
            slug: format!("drop_namespace.{schema}"),
            object: schema.clone(),
            why: format!("The namespace of version {}, if its clients came through one: nobody uses it any more.", old.version),
            action: Action::DropNamespace { schema, views },
            unit: None,
            requires: Vec::new(),
        });
        self.drop_namespace_step = Some(id);
    }

    /// Finds the views of the base schema that can't stay as they are when tables change, and drops them first.
    pub(super) fn drop_base_views(&mut self) {
        let shared = self.settings.access == Access::Shared;
        let mut changed: BTreeSet<&str> = BTreeSet::new();
        for layout in self.layouts.values().filter(|layout| layout.is_swapped()) {
            changed.insert(layout.change.old.name.as_str());
            changed.insert(layout.change.new.name.as_str());
        }
        for table in self.diff.old.tables.values() {
            let stays = self.diff.new.tables.contains_key(&table.name) || self.renamed.contains_key(table.name.as_str());
            if !stays {
                changed.insert(table.name.as_str());
            }
        }
        // The views as they stand in the base schema when contract begins.
        let mut standing: BTreeMap<&str, &View> = self.diff.old.views.iter().map(|(name, view)| (name.as_str(), view)).collect();
        if shared {
            for (name, view) in &self.diff.new.views {
                standing.insert(name, view);
            }
        }
        let differs: BTreeSet<&str> =
            self.diff.views.iter().filter_map(|pair| pair.new.or(pair.old)).map(|view| view.name.as_str()).collect();
        let reads: BTreeMap<&str, Vec<String>> = standing.iter().map(|(name, view)| (*name, self.reads(view))).collect();
        let mut affected: BTreeSet<&str> = standing
            .keys()
            .copied()
            .filter(|name| {
                !self.diff.new.views.contains_key(*name) || (!shared && differs.contains(name) && !self.only_comment.contains(name))
            })
            .collect();
        loop {
            let more: Vec<&str> = standing
                .keys()
                .copied()
                .filter(|name| !affected.contains(name))
                .filter(|name| reads[name].iter().any(|read| changed.contains(read.as_str()) || affected.contains(read.as_str())))
                .collect();
            if more.is_empty() {
                break;
            }
            affected.extend(more);
        }
        // What is materialized for the old version only goes behind the views that read it.
        let gone = |name: &str| standing[name].materialized && self.diff.new.views.get(name).is_none_or(|view| !view.materialized);
        let stored: BTreeMap<&str, usize> =
            affected.iter().filter(|name| gone(name)).map(|name| (*name, self.change_of_view(name, &reads[*name]))).collect();
        let mut by_change: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for name in affected.iter().copied() {
            if standing[name].materialized {
                let replaced = !shared && self.is_replaced_materialized(name);
                let reads_affected = reads[name].iter().any(|read| affected.contains(read.as_str()));
                let is_read = standing.keys().any(|other| reads[other].iter().any(|read| read == name));
                // One that is new, in shared access, has its own refusal.
                let is_new = !self.diff.old.views.contains_key(name);
                if !is_new && (reads_affected || (is_read && replaced) || !(replaced || stored.contains_key(name))) {
                    self.no_way(
                        &format!("view {name}"),
                        "it is materialized, and a table or view under it, or a view over it, takes its new shape in one short transaction of contract: to make it anew there, all that it shows would be read while clients wait",
                        "make it a plain view in a transition before this one (or drop it), and a materialized one again in the transition after",
                        standing[name].span,
                    );
                }
                continue;
            }
            by_change.entry(self.change_of_view(name, &reads[name])).or_default().push(name.to_owned());
        }
        if !shared {
            // Views that are new come to the base schema with contract.
            let new = self.diff.views.iter().filter_map(|pair| pair.new).filter(|view| !self.only_comment.contains(view.name.as_str()));
            self.base_views_created = new.map(|view| self.change_of_view(&view.name, &[])).collect();
        }
        let base = self.base().to_owned();
        for (change, names) in by_change {
            let unit = self.swap_unit_of_views(change);
            let requires = self.drop_namespace_step.clone().into_iter().collect();
            let id = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("drop_views.{}", names.join("+")),
                object: names.join(", "),
                why: "Views of the old shape hold on to columns that change; those that stay are made anew at the end of this transaction."
                    .to_owned(),
                action: Action::DropViews {
                    views: names.iter().map(|name| (base.clone(), name.clone())).collect(),
                    materialized: Materialized::No,
                },
                unit: Some(unit),
                requires,
            });
            self.drop_views_step.insert(change, id);
            self.remade_views.extend(names);
        }
        self.remade_views.extend(stored.keys().filter(|name| self.diff.new.views.contains_key(**name)).map(|name| (*name).to_owned()));
        for (name, change) in stored {
            let mut requires: Vec<String> = self.drop_namespace_step.iter().cloned().collect();
            requires.extend(self.drop_views_step.get(&change).cloned());
            let id = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("drop_views.{name}"),
                object: name.to_owned(),
                why: match self.diff.new.views.contains_key(name) {
                    true => format!("View {name} is computed as it is read from now on: the rows that were stored go."),
                    false => format!("Only the old version used materialized view {name}; its rows follow from others."),
                },
                action: Action::DropViews { views: vec![(base.clone(), name.to_owned())], materialized: Materialized::Yes },
                unit: Some(self.swap_unit_of_views(change)),
                requires,
            });
            self.drop_views_step.insert(change, id);
        }
    }

    /// Whether both versions have a materialized view of that name, and not the same one.
    fn is_replaced_materialized(&self, name: &str) -> bool {
        self.diff.views.iter().any(|pair| {
            let is = |view: Option<&View>| view.is_some_and(|view| view.name == name && view.materialized);
            !pair.equal && is(pair.old) && is(pair.new)
        })
    }

    /// The transaction in which contract changes the tables of a change that has views to be made anew.
    fn swap_unit_of_views(&self, change: usize) -> String {
        format!("contract{change:02}.swap")
    }

    /// The transaction in which contract changes a table: its own, or one for the whole change where views or a key that moves
    /// hold tables together.
    pub(super) fn swap_unit(&self, change: usize, table: &str) -> String {
        if self.drop_views_step.contains_key(&change) || self.base_views_created.contains(&change) || self.held_together.contains(&change) {
            self.swap_unit_of_views(change)
        } else {
            format!("contract{change:02}.swap.{table}")
        }
    }

    fn reads(&self, view: &View) -> Vec<String> {
        query_references(&view.query.text, self.diff.dialect)
            .map(|references| references.tables.into_iter().filter(|t| t.schema.is_none()).map(|t| t.name).collect())
            .unwrap_or_default()
    }

    fn change_of_view(&self, name: &str, reads: &[String]) -> usize {
        if let Some(number) = self.changes.of(&Node::View(name.to_owned())) {
            return number;
        }
        reads
            .iter()
            .map(|read| self.renamed.get(read.as_str()).map_or(read.as_str(), |new| *new))
            .filter_map(|read| self.changes.of_table(read).or_else(|| self.changes.of(&Node::View(read.to_owned()))))
            .max()
            .unwrap_or(1)
    }

    /// The view that shows the new version each of its tables.
    pub(super) fn shape_views(&mut self) {
        if self.changes.list.is_empty() {
            return;
        }
        let new = self.diff.new;
        let mut tables: Vec<&'a str> = new.tables.keys().map(String::as_str).collect();
        tables.sort_unstable();
        // By table, the steps of expand that must stand before its view.
        let mut prepared: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.phase == Phase::Expand) {
            if matches!(step.action, Action::AddColumns { .. } | Action::InstallSync(_) | Action::InstallMirror(_)) {
                prepared.entry(step.object.clone()).or_default().push(step.id.clone());
            }
        }
        for name in tables {
            let table = &new.tables[name];
            if self.reach(table) == Reach::Direct {
                continue;
            }
            let change = self.change_of_table(name);
            let schema = match self.settings.access {
                Access::Versioned => self.new_namespace(),
                Access::Shared => self.base().to_owned(),
            };
            let mut requires = Vec::new();
            if self.settings.access == Access::Versioned {
                requires.push(format!("expand01.create_namespace.{schema}"));
            }
            let view = self.shape_view(&schema, name);
            match self.layouts.get(name) {
                Some(layout) => requires.extend(prepared.get(layout.table()).into_iter().flatten().cloned()),
                None if self.diff.old.tables.contains_key(name) => {}
                None => {
                    requires.push(format!("expand{change:02}.create_table.{name}"));
                    requires.extend(prepared.get(name).into_iter().flatten().cloned());
                }
            }
            let table_name = view.table.clone();
            let renamed: Vec<(String, String)> = view
                .columns
                .iter()
                .filter(|column| column.physical != column.name)
                .map(|column| (column.physical.clone(), column.name.clone()))
                .collect();
            let pair = GrantPair { source: table_name, view: (schema.clone(), name.to_owned()), renamed };
            let mut pairs = vec![pair.clone()];
            if let Some(marker) = &view.marker_view {
                pairs.push(GrantPair { view: (crate::plan::VERSION_SCHEMA.to_owned(), marker.clone()), ..pair });
            }
            self.step(Draft {
                phase: Phase::Expand,
                change,
                slug: format!("create_shape_view.{schema}.{name}"),
                object: format!("{schema}.{name}"),
                why: match &view.marker_view {
                    Some(_) => format!(
                        "What version {} sees of {name}. The view behind it marks every row that comes through it, so that the trigger knows who wrote.",
                        new.version
                    ),
                    None => format!("What version {} sees of {name}.", new.version),
                },
                action: Action::CreateShapeView(view),
                unit: Some(format!("expand{change:02}.shape_view.{name}")),
                requires,
            });
            self.grants.entry(change).or_default().extend(pairs);
        }
    }

    /// The view of a table of the new shape, in the namespace or (shared access, renamed table) beside the table.
    pub(super) fn shape_view(&self, schema: &str, name: &str) -> ShapeView {
        let table = &self.diff.new.tables[name];
        let layout = self.layouts.get(name);
        let columns = table
            .columns
            .values()
            .map(|column| {
                let Some(physical) = layout.and_then(|layout| layout.of_new(&column.name)) else {
                    return ViewColumn { physical: column.name.clone(), name: column.name.clone(), default: ViewDefault::OfTable };
                };
                let default = if self.can.view_defaults { self.view_default(name, physical) } else { ViewDefault::OfTable };
                ViewColumn { physical: physical.name.clone(), name: column.name.clone(), default }
            })
            .collect();
        let marker_view = layout.and_then(|layout| self.marker_view(layout, schema));
        ShapeView {
            schema: schema.to_owned(),
            name: name.to_owned(),
            table: layout.map_or_else(|| name.to_owned(), |layout| layout.table().to_owned()),
            columns,
            marker_view,
            writes: None,
            comment: table.comment.clone(),
        }
    }

    /// Where the default of a column is not yet the table's.
    fn view_default(&self, table: &str, physical: &super::layout::Physical<'_>) -> ViewDefault {
        let Some(new) = physical.new else { return ViewDefault::OfTable };
        let expression = |expr| ViewDefault::Expression(self.new_expr(expr, table, &|name| Some(name.to_owned())));
        match (physical.role, physical.old, &new.default) {
            (Role::NewFromLens, _, Some(default)) => expression(default),
            (Role::NewFromLens | Role::New | Role::Old, _, _) | (Role::Both, None, _) => ViewDefault::OfTable,
            (Role::Both, Some(old), default) if default_comes_late(old, new, self.diff.dialect) => match default {
                // The identity counts for both until contract, and then the sequence does.
                Some(default) if old.identity.is_some() && drawn_from(&default.text).is_some() => ViewDefault::OfTable,
                Some(default) => expression(default),
                None => ViewDefault::None(self.physical_type(&new.ty)),
            },
            (Role::Both, Some(_), _) => ViewDefault::OfTable,
        }
    }

    /// The views of the snapshots: in the new namespace, in the base schema, and what contract makes of them.
    pub(super) fn views(&mut self) {
        if self.changes.list.is_empty() {
            return;
        }
        let new = self.diff.new;
        let order = dependency_order(new, |view| self.reads(view));
        let pairs: BTreeMap<&str, _> = self.diff.views.iter().filter_map(|pair| Some((pair.new?.name.as_str(), *pair))).collect();
        let makers = Makers::of(&self.steps);
        let mut made: BTreeMap<&str, String> = BTreeMap::new();
        let mut settled: BTreeMap<usize, String> = BTreeMap::new();
        for name in order {
            let view = &new.views[name];
            let reads = self.reads(view);
            let change = self.change_of_view(name, &reads);
            let pair = pairs.get(name).copied();
            let old = self.diff.old.views.get(name);
            let first = self.diff.old.version.is_empty();
            let is_changed_materialized = |name: &str| {
                let changed = pairs.get(name).is_some_and(|pair| !pair.equal);
                changed && new.views.get(name).is_some_and(|view| view.materialized)
            };
            if !first && !view.materialized && reads.iter().any(|read| is_changed_materialized(read)) {
                self.no_way(
                    &format!("view {name}"),
                    "it reads a materialized view that is added or changed in the same transition, which migrate fills, after expand has made the views",
                    "let it read what the materialized view reads, or leave it for the transition after this one",
                    view.span,
                );
                continue;
            }
            if is_changed_materialized(name) && !(first && self.settings.access == Access::Shared) {
                self.materialized_view(view, old, change, &reads);
                continue;
            }
            match self.settings.access {
                Access::Versioned => {
                    let namespace = self.new_namespace();
                    let spec = if view.materialized { self.window(&namespace, view, &view.name) } else { self.view_spec(&namespace, view) };
                    let mut requires = vec![format!("expand01.create_namespace.{namespace}")];
                    for read in &reads {
                        match made.get(read.as_str()) {
                            Some(id) => requires.push(id.clone()),
                            None if new.tables.contains_key(read) => {
                                requires.push(format!("expand{:02}.create_shape_view.{namespace}.{read}", self.change_of_table(read)));
                            }
                            None => {}
                        }
                    }
                    let id = self.step(Draft {
                        phase: Phase::Expand,
                        change,
                        slug: format!("create_view.{namespace}.{name}"),
                        object: format!("{namespace}.{name}"),
                        why: format!("What version {} sees of view {name}.", new.version),
                        action: Action::CreateView(spec),
                        unit: None,
                        requires,
                    });
                    made.insert(name, id);
                    if old.is_some() {
                        self.grants.entry(change).or_default().push(GrantPair {
                            source: name.to_owned(),
                            view: (namespace, name.to_owned()),
                            renamed: Vec::new(),
                        });
                    }
                }
                Access::Shared => {
                    let base = self.base().to_owned();
                    let requires: Vec<String> = reads.iter().filter_map(|read| made.get(read.as_str()).cloned()).collect();
                    match (old, pair) {
                        (None, _) => {
                            let mut requires = requires;
                            for read in &reads {
                                requires.extend(makers.of_relation(read, self.physical_table(read)));
                            }
                            let spec = self.view_spec(&base, view);
                            let id = self.step(Draft {
                                phase: Phase::Expand,
                                change,
                                slug: format!("create_view.{base}.{name}"),
                                object: name.to_owned(),
                                why: format!("Only the new version knows view {name}."),
                                action: Action::CreateView(spec),
                                unit: None,
                                requires,
                            });
                            made.insert(name, id);
                        }
                        (Some(old), Some(pair)) if !pair.equal => {
                            if old.materialized != view.materialized || !query_extends(&old.query.text, &view.query.text, self.diff.dialect)
                            {
                                self.diagnostics.push(
                                    Diagnostic::error(
                                        "needs-versioned",
                                        format!("view {name}: old and new version need different views under one name, which shared access can't give"),
                                    )
                                    .at(view.span, "more than columns behind the last one changes")
                                    .help("give the new view another name, and drop the old one")
                                    .help("or give the new version a namespace of its own: `access: versioned` in the transition, or `--access versioned`"),
                                );
                                continue;
                            }
                            let mut requires = requires;
                            for read in &reads {
                                requires.extend(makers.of_relation(read, self.physical_table(read)));
                            }
                            let old_spec = ViewSpec { query: self.old_view_query(old), ..self.view_spec(&base, old) };
                            let spec = self.view_spec(&base, view);
                            let id = self.step(Draft {
                                phase: Phase::Expand,
                                change,
                                slug: format!("replace_view.{base}.{name}"),
                                object: name.to_owned(),
                                why: format!("View {name} gets columns behind those that the old version reads."),
                                action: Action::ReplaceView { new: spec, old: old_spec },
                                unit: None,
                                requires,
                            });
                            made.insert(name, id);
                        }
                        (Some(_), _) => {}
                    }
                }
            }
            if let (Some(old), Some(pair)) = (old, pair)
                && pair.equal
            {
                self.comment(change, CommentTarget::View(name.to_owned()), name, old.comment.as_deref(), view.comment.as_deref());
            }
            // Contract: the base schema gets what the new snapshot says.
            let remade = self.remade_views.contains(name);
            let added = self.settings.access == Access::Versioned && old.is_none();
            if remade || added {
                let base = self.base().to_owned();
                let final_names = |read: &str| {
                    let known = new.tables.contains_key(read) || new.views.contains_key(read);
                    known.then(|| (base.clone(), read.to_owned()))
                };
                let spec = ViewSpec {
                    schema: base.clone(),
                    name: name.to_owned(),
                    query: self.new_names().query(&view.query, &final_names),
                    materialized: Materialized::No,
                    comment: view.comment.clone(),
                };
                // Without an old version there is nothing to wait for.
                let first = self.diff.old.version.is_empty();
                let mut requires: Vec<String> = self.swap_ends.get(&change).cloned().unwrap_or_default();
                requires.extend(self.drop_views_step.get(&change).cloned());
                requires.extend(settled.get(&change).cloned());
                if first {
                    for read in &reads {
                        requires.extend(makers.of_relation(read, self.physical_table(read)));
                    }
                }
                let id = self.step(Draft {
                    phase: if first { Phase::Expand } else { Phase::Contract },
                    change,
                    slug: format!("create_view.{base}.{name}"),
                    object: name.to_owned(),
                    why: format!("View {name}, over the tables as they are now."),
                    action: Action::CreateView(spec),
                    unit: (!first).then(|| self.swap_unit_of_views(change)),
                    requires,
                });
                settled.insert(change, id);
            }
        }
    }

    /// A materialized view that is new, or another one than the old version's: built from rows that are filled, beside the old
    /// one under a helper name, whose place it takes in contract.
    fn materialized_view(&mut self, view: &'a View, old: Option<&'a View>, change: usize, reads: &[String]) {
        let object = format!("view {}", view.name);
        if old.is_some() && self.settings.access == Access::Shared {
            self.diagnostics.push(
                Diagnostic::error(
                    "needs-versioned",
                    format!("{object}: old and new version need different views under one name, which shared access can't give"),
                )
                .at(view.span, "another query than the old version's")
                .help("give the new view another name, and drop the old one")
                .help("or give the new version a namespace of its own: `access: versioned` in the transition, or `--access versioned`"),
            );
            return;
        }
        let moves = reads.iter().any(|read| {
            let swapped = self.layouts.get(read.as_str()).is_some_and(super::layout::Layout::is_swapped);
            let in_diff = self.diff.views.iter().any(|pair| pair.new.is_some_and(|view| view.name == *read) && !pair.equal);
            let remade = self.remade_views.contains(read.as_str());
            swapped || in_diff || remade
        });
        if moves {
            self.no_way(
                &object,
                "it is materialized, and what it reads changes its name or its columns in the same transition: migrate, which fills it, comes before they have their names",
                "leave it for the transition after this one, or let it be a plain view",
                view.span,
            );
            return;
        }
        let base = self.base().to_owned();
        let new = self.diff.new;
        let physical = if old.is_some() { naming::interim(&view.name, self.diff.dialect) } else { view.name.clone() };
        let in_base = |read: &str| {
            let known = new.tables.contains_key(read) || new.views.contains_key(read);
            known.then(|| (base.clone(), read.to_owned()))
        };
        let spec = ViewSpec {
            schema: base.clone(),
            name: physical.clone(),
            query: self.new_names().query(&view.query, &in_base),
            materialized: Materialized::Yes,
            comment: view.comment.clone(),
        };
        self.warn(
            ("materialized-as-of-migrate", Level::Note),
            &object,
            format!("migrate fills it, as {physical}; what is written later is in it when somebody refreshes it"),
            view.span,
        );
        let requires: Vec<String> = self
            .steps
            .iter()
            .filter(|step| step.change == change && step.phase == Phase::Migrate && matches!(step.action, Action::Backfill(_)))
            .map(|step| step.id.clone())
            .collect();
        let created = self.step(Draft {
            phase: Phase::Migrate,
            change,
            slug: format!("create_view.{base}.{physical}"),
            object: physical.clone(),
            why: format!("Materialized view {} of the new version: what it reads is read once, and nobody waits.", view.name),
            action: Action::CreateView(spec),
            unit: None,
            requires,
        });
        let mut granted: Vec<GrantPair> = Vec::new();
        let pair = |at: (String, String)| GrantPair { source: view.name.clone(), view: at, renamed: Vec::new() };
        let mut requires = vec![created];
        if old.is_some() {
            granted.push(pair((base.clone(), physical.clone())));
        }
        if self.settings.access == Access::Versioned {
            let namespace = self.new_namespace();
            let window = self.window(&namespace, view, &physical);
            let id = self.step(Draft {
                phase: Phase::Migrate,
                change,
                slug: format!("create_view.{namespace}.{}", view.name),
                object: format!("{namespace}.{}", view.name),
                why: format!("What version {} sees of it.", new.version),
                action: Action::CreateView(window),
                unit: None,
                requires: requires.clone(),
            });
            requires.push(id);
            if old.is_some() {
                granted.push(pair((namespace, view.name.clone())));
            }
        }
        if !granted.is_empty() {
            self.step(Draft {
                phase: Phase::Migrate,
                change,
                slug: format!("copy_grants.{}", view.name),
                object: view.name.clone(),
                why: "Who may read the old one may read the new one; nobody else may.".to_owned(),
                action: Action::CopyGrants { schema: None, pairs: granted, lenses: Vec::new() },
                unit: None,
                requires,
            });
        }
        let Some(old) = old else { return };
        let unit = Some(self.swap_unit_of_views(change));
        let mut requires: Vec<String> = self.drop_namespace_step.iter().cloned().collect();
        requires.extend(self.drop_views_step.get(&change).cloned());
        // A plain one went with the views of the old shape.
        if old.materialized {
            let dropped = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("drop_views.{}", view.name),
                object: view.name.clone(),
                why: "Only the old version read it.".to_owned(),
                action: Action::DropViews { views: vec![(base, view.name.clone())], materialized: Materialized::Yes },
                unit: unit.clone(),
                requires: requires.clone(),
            });
            requires.push(dropped);
        }
        self.step(Draft {
            phase: Phase::Contract,
            change,
            slug: format!("rename_view.{physical}"),
            object: view.name.clone(),
            why: "The new one takes its name.".to_owned(),
            action: Action::RenameView(Rename { from: physical, to: view.name.clone() }),
            unit,
            requires,
        });
    }

    fn view_spec(&self, schema: &str, view: &View) -> ViewSpec {
        ViewSpec {
            schema: schema.to_owned(),
            name: view.name.clone(),
            query: self.new_names().query(&view.query, &|name| self.new_relation(name)),
            materialized: if view.materialized { Materialized::Yes } else { Materialized::No },
            comment: view.comment.clone(),
        }
    }

    fn old_view_query(&self, view: &View) -> model::RowExpr {
        let old = self.diff.old;
        self.old_names().query(&view.query, &|name| {
            let known = old.tables.contains_key(name) || old.views.contains_key(name);
            self.base_relation(known, name)
        })
    }

    /// A view in the namespace that shows a materialized view of the base schema.
    fn window(&self, namespace: &str, view: &View, physical: &str) -> ViewSpec {
        let text = format!("select * from {physical}");
        let start = "select * from ".len();
        ViewSpec {
            schema: namespace.to_owned(),
            name: view.name.clone(),
            query: model::RowExpr {
                splices: vec![(start..text.len(), model::Splice::Relation(self.base().to_owned(), physical.to_owned()))],
                text,
                has_subquery: true,
            },
            materialized: Materialized::No,
            comment: view.comment.clone(),
        }
    }

    /// Grants of what the views show go to the views, and those on the old columns of a lens to its new ones.
    pub(super) fn copy_grants(&mut self) {
        let namespace = (self.settings.access == Access::Versioned).then(|| self.new_namespace());
        let mut grants = std::mem::take(&mut self.grants);
        let mut lenses: BTreeMap<usize, Vec<GrantLens>> = BTreeMap::new();
        for (name, layout) in &self.layouts {
            let physical = |new: bool, column: &str| {
                let found = if new { layout.of_new(column) } else { layout.of_old(column) };
                found.map_or_else(|| column.to_owned(), |physical| physical.name.clone())
            };
            for (lens, treatment) in &layout.lenses {
                if *treatment != Treatment::TwoSides || lens.old.is_empty() || lens.new.is_empty() {
                    continue;
                }
                let change = self.change_of_table(name);
                grants.entry(change).or_default();
                lenses.entry(change).or_default().push(GrantLens {
                    table: layout.table().to_owned(),
                    new: lens.new.iter().map(|member| physical(true, &member.column.name)).collect(),
                    old: lens.old.iter().map(|member| physical(false, &member.column.name)).collect(),
                });
            }
        }
        // Who reads through the view with the marker reads the marker.
        let marked = |layout: &super::layout::Layout<'a>| layout.has_two_sides() && self.tells_writer(layout);
        for (name, layout) in self.layouts.iter().filter(|(_, layout)| marked(layout)) {
            let in_lens = |column: &str| layout.lenses.iter().any(|(lens, _)| lens.old.iter().any(|member| member.column.name == column));
            let old: Vec<String> = layout
                .columns
                .iter()
                .filter(|c| c.old.is_some_and(|old| c.new.is_some() || in_lens(&old.name)))
                .map(|c| c.name.clone())
                .collect();
            if !old.is_empty() {
                let new = vec![naming::MARKER.to_owned()];
                lenses.entry(self.change_of_table(name)).or_default().push(GrantLens { table: layout.table().to_owned(), new, old });
            }
        }
        // The views and columns of expand, by change.
        let mut made: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.phase == Phase::Expand) {
            if matches!(step.action, Action::CreateShapeView(_) | Action::CreateView(_) | Action::AddColumns { .. }) {
                made.entry(step.change).or_default().push(step.id.clone());
            }
        }
        for (change, mut pairs) in grants {
            pairs.sort();
            let mut lenses = lenses.remove(&change).unwrap_or_default();
            lenses.sort();
            let requires = made.remove(&change).unwrap_or_default();
            self.step(Draft {
                phase: Phase::Expand,
                change,
                slug: "copy_grants".to_owned(),
                object: namespace.clone().unwrap_or_else(|| self.base().to_owned()),
                why: if pairs.is_empty() {
                    "Who has rights on the old columns, one by one, has them on the new ones; nobody else has.".to_owned()
                } else {
                    "Who may use a table may use the view that shows it; nobody else may.".to_owned()
                },
                action: Action::CopyGrants { schema: namespace.clone(), pairs, lenses },
                unit: None,
                requires,
            });
        }
    }
}

/// The steps of expand that make what views read.
struct Makers {
    /// Steps that add columns, by the table's physical name.
    columns: BTreeMap<String, Vec<String>>,
    /// Steps that make a table or the view that shows it, by its name in the new shape.
    relations: BTreeMap<String, Vec<String>>,
}

impl Makers {
    fn of(steps: &[Step]) -> Makers {
        let mut makers = Makers { columns: BTreeMap::new(), relations: BTreeMap::new() };
        for step in steps.iter().filter(|step| step.phase == Phase::Expand) {
            let (by_name, name) = match &step.action {
                Action::AddColumns { table, .. } => (&mut makers.columns, table),
                Action::CreateTable(spec) => (&mut makers.relations, &spec.name),
                Action::CreateShapeView(view) => (&mut makers.relations, &view.name),
                _ => continue,
            };
            by_name.entry(name.clone()).or_default().push(step.id.clone());
        }
        makers
    }

    /// The steps for a relation of the new shape that is physically called `physical`.
    fn of_relation(&self, name: &str, physical: &str) -> impl Iterator<Item = String> {
        let columns = self.columns.get(physical).into_iter().flatten();
        columns.chain(self.relations.get(name).into_iter().flatten()).cloned()
    }
}

/// The views of a schema, each behind those that it reads; ties by name.
fn dependency_order(schema: &Schema, reads: impl Fn(&View) -> Vec<String>) -> Vec<&str> {
    let mut left: BTreeMap<&str, BTreeSet<String>> = schema
        .views
        .values()
        .map(|view| {
            let needs = reads(view).into_iter().filter(|read| schema.views.contains_key(read) && *read != view.name).collect();
            (view.name.as_str(), needs)
        })
        .collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready: Vec<&str> =
            left.iter().filter(|(_, needs)| !needs.iter().any(|need| left.contains_key(need.as_str()))).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            // A cycle is an error of the snapshot, reported where it was read.
            break;
        }
        for name in ready {
            left.remove(name);
            order.push(name);
        }
    }
    order
}
