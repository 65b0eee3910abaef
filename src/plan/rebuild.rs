//! Where the rules of a table can't be altered one by one: all that a phase changes of a table becomes one step.
//!
//! The planner says rule by rule what changes, for every dialect alike. Here its ordered steps are replayed over the tables as
//! they physically are, and what a phase has made of a table decides how it is done: by adding columns, by dropping or renaming
//! one, or by writing the table anew. A unique constraint is a unique index here, which can be made and dropped alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Level;
use crate::snapshot::model::{Access, ForeignKey, Index, Name, PrimaryKey, Table, Type, TypeKind, Unique};

use super::model::{
    Action, ColumnSpec, Concurrently, ConstraintSpec, Formula, IndexKeySpec, IndexSpec, KeyTarget, Marker, Materialized, Mirror, Phase,
    Rebuild, Rename, RowExpr, ShapeView, Source, Splice, Step, Sync, TableSpec, Undo, ViewColumn, ViewDefault, ViewSpec, ViewWrites,
};
use super::planner::Planner;
use super::{MARKER, VERSION_SCHEMA};

/// A column as it is at one time of the replay.
#[derive(Debug, Clone)]
struct Column {
    spec: ColumnSpec,
    /// What it was called when the phase began; `None` if it was not there.
    origin: Option<String>,
    /// What the rows that are there get in a column that is new.
    fill: Option<RowExpr>,
}

/// A table as it is at one time of the replay.
#[derive(Debug, Clone)]
struct Shape {
    /// What it was called when the phase began; `None` if it was not there.
    origin: Option<String>,
    columns: Vec<Column>,
    primary_key: Option<PrimaryKey>,
    checks: BTreeMap<String, RowExpr>,
    foreign_keys: BTreeMap<String, ForeignKey>,
    /// By a number of their own: names change hands.
    indexes: BTreeMap<usize, IndexSpec>,
    sync: Option<Sync>,
    mirrors: Vec<Mirror>,
}

/// All tables at one time of the replay.
#[derive(Debug, Clone, Default)]
struct State {
    tables: BTreeMap<String, Shape>,
    /// Labels by the enum's name.
    enums: BTreeMap<String, Vec<String>>,
    indexes: usize,
    /// Names of constraints that no author gave: nothing can be done by such a name, so none is written.
    unnamed: BTreeSet<String>,
}

/// What becomes of a step.
enum Fate {
    /// It is done as it is.
    Kept,
    /// It is part of what happens to that table.
    Folded(String),
    /// Nothing is left to do.
    Gone,
}

/// How a table gets from one shape to the other.
enum Way {
    Nothing,
    Add(Vec<ColumnSpec>),
    Swap { drops: Vec<String>, renames: Vec<Rename> },
    Alter,
    Rebuild,
}

impl<'a> Planner<'a> {
    /// The steps of a plan, with all that a phase changes of a table as one.
    pub(super) fn rebuilt(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let mut state = self.old_state();
        let key_indexes: BTreeSet<String> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::AddPrimaryKey { index, .. } => Some(index.clone()),
                _ => None,
            })
            .collect();
        let mut by_phase: BTreeMap<Phase, Vec<Step>> = BTreeMap::new();
        for step in steps {
            by_phase.entry(step.phase).or_default().push(step);
        }
        let mut done: Vec<Step> = Vec::new();
        // By the id of a step that is gone: what stands for it.
        let mut stands_for: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut rebuilt_in_expand: BTreeSet<String> = BTreeSet::new();
        // Tables whose rows are numbered as they are written anew.
        let mut counted: BTreeSet<String> = BTreeSet::new();
        let mut late_types: Vec<(String, String, Type)> = Vec::new();
        let mut shape_views: Vec<(usize, ShapeView)> = Vec::new();
        let mut views: Vec<(usize, ViewSpec)> = Vec::new();
        for phase in Phase::ALL {
            state.begin();
            let before = state.clone();
            let mut kept: Vec<Step> = Vec::new();
            let mut folded: BTreeMap<String, Vec<Step>> = BTreeMap::new();
            if phase == Phase::Contract {
                // A wider type is stored alike: only the declaration differs, which can wait.
                for (table, column, ty) in std::mem::take(&mut late_types) {
                    state.column(&table, &column, |c| c.spec.ty = ty.clone());
                }
            }
            for mut step in by_phase.remove(&phase).unwrap_or_default() {
                if let Action::AlterType { table, column, ty, .. } = &step.action {
                    late_types.push((table.clone(), column.clone(), ty.clone()));
                    stands_for.insert(step.id, None);
                    continue;
                }
                if let Action::AddCounter { table, column, .. } = &step.action {
                    kept.extend(self.count_rows(&mut state, table, column, step.change));
                    counted.insert(table.clone());
                }
                if let Action::DropConstraint { constraint: ConstraintSpec::PrimaryKey(key), .. } = &step.action
                    && let Some(index) = state.index(&super::naming::old_key(&key.name.text, self.diff.dialect))
                {
                    step.action = Action::DropIndex { index: index.clone(), concurrently: Concurrently::No };
                }
                if is_of_counted(&step.action, &counted, &key_indexes) {
                    stands_for.insert(step.id, None);
                    continue;
                }
                if let Action::AddIdentity { table, column, .. } | Action::DropIdentity { table, column, .. } = &step.action {
                    // Only one type counts.
                    let new = self.renamed.get(table.as_str()).copied().unwrap_or(table);
                    if let Some(found) = self.diff.new.tables.get(new).and_then(|t| t.columns.get(column)) {
                        state.column(table, column, |c| c.spec.ty = found.ty.clone());
                    }
                }
                match &step.action {
                    Action::InstallSync(sync) => {
                        self.refuse_hidden_rowid(&sync.table);
                        self.refuse_hidden_rows(sync);
                    }
                    Action::InstallMirror(mirror) => {
                        self.refuse_hidden_rows_of_mirror(&mirror.source);
                        self.refuse_hidden_rows_of_mirror(&mirror.target);
                    }
                    _ => {}
                }
                match state.replay(&mut step.action) {
                    Fate::Kept => kept.push(step),
                    Fate::Folded(table) => folded.entry(table).or_default().push(step),
                    Fate::Gone => drop(stands_for.insert(step.id, None)),
                }
            }
            let renamed: BTreeMap<String, String> = state
                .tables
                .iter()
                .filter_map(|(name, shape)| {
                    shape.origin.as_ref().filter(|origin| *origin != name).map(|origin| (name.clone(), origin.clone()))
                })
                .collect();
            let mut swapped: BTreeSet<String> = BTreeSet::new();
            for (name, after) in &state.tables {
                let parts = folded.remove(name).unwrap_or_default();
                let first = parts.first().map_or_else(|| self.change_of_table(name), |step| step.change);
                let spec = |shape: &Shape, name: &str, enums, order| shape.spec(name, enums, order, &renamed, &state.unnamed);
                let order = (phase == Phase::Contract).then(|| self.diff.new.tables.get(name)).flatten();
                let Some(origin) = &after.origin else {
                    // Made in this phase, with all its rules.
                    if let Some(made) = parts.iter().find(|step| matches!(step.action, Action::CreateTable(_))) {
                        let mut table = spec(after, name, &state.enums, None);
                        table.indexes = after.indexes.values().filter(|index| !is_made(&kept, &index.name)).cloned().collect();
                        let made = Step { action: Action::CreateTable(Box::new(table)), unit: None, ..made.clone() };
                        for part in parts.iter().filter(|part| part.id != made.id) {
                            stands_for.insert(part.id.clone(), Some(made.id.clone()));
                        }
                        kept.push(made);
                    }
                    continue;
                };
                let Some(was) = before.tables.get(origin) else { continue };
                let (old, new) = (spec(was, origin, &before.enums, None), spec(after, origin, &state.enums, order));
                let way = self.way(&old, &new, after, phase);
                if !matches!(way, Way::Nothing | Way::Alter) || origin != name || (was.sync.is_some() && after.sync.is_none()) {
                    swapped.insert(name.clone());
                }
                let is_rebuilt = matches!(way, Way::Rebuild);
                let is_altered = matches!(way, Way::Alter);
                let (slug, action, why) = match way {
                    Way::Nothing => {
                        for part in parts {
                            stands_for.insert(part.id, None);
                        }
                        self.rename_indexes(was, after, first, &mut kept);
                        continue;
                    }
                    Way::Add(columns) => (
                        "add_columns",
                        Action::AddColumns { table: origin.clone(), columns, marker: Marker::Without },
                        why_of(&parts, |action| matches!(action, Action::AddColumns { .. })),
                    ),
                    Way::Swap { drops, renames } => (
                        "swap_columns",
                        Action::SwapColumns { table: origin.clone(), drops, computed: Vec::new(), renames },
                        why_of(&parts, |action| matches!(action, Action::SwapColumns { .. })),
                    ),
                    Way::Alter | Way::Rebuild => {
                        let what: BTreeSet<String> = parts.iter().map(headline).collect();
                        let what: Vec<String> = what.into_iter().collect();
                        let outlive: BTreeSet<usize> = was.indexes.keys().copied().filter(|id| after.indexes.contains_key(id)).collect();
                        let indexes = |shape: &Shape| -> Vec<IndexSpec> {
                            let mut list: Vec<IndexSpec> =
                                shape.indexes.iter().filter(|(id, _)| outlive.contains(id)).map(|(_, index)| index.clone()).collect();
                            list.iter_mut().for_each(|index| index.table.clone_from(origin));
                            list.sort_by(|a, b| a.name.cmp(&b.name));
                            list
                        };
                        let sources = new.columns.iter().map(|column| after.source(column)).collect();
                        let sync = was.sync.as_ref().and(after.sync.clone());
                        let mirrors = was.mirrors.iter().filter(|mirror| after.mirrors.contains(mirror)).cloned().collect();
                        let undo = if phase == Phase::Migrate && rebuilt_in_expand.contains(origin) { Undo::Elsewhere } else { Undo::Own };
                        if phase == Phase::Expand && is_rebuilt {
                            rebuilt_in_expand.insert(origin.clone());
                            let span = self.diff.old.tables.get(origin).map(|table| table.span).unwrap_or_default();
                            self.warn(
                                ("rebuild-blocks-writers", Level::Warning),
                                &format!("table {origin}"),
                                "expand writes the table anew, since its rules can't be altered: writers wait as long as that takes, readers with a write-ahead log do not",
                                span,
                            );
                        }
                        let rebuild = Rebuild {
                            before: TableSpec { indexes: indexes(was), ..old },
                            after: TableSpec { indexes: indexes(after), ..new },
                            sources,
                            sync,
                            mirrors,
                            undo,
                        };
                        if is_altered {
                            let why = format!("Each by an ALTER, which reads the rows and writes none: {}.", what.join("; "));
                            ("alter_rules", Action::AlterRules(Box::new(rebuild)), why)
                        } else {
                            let why = format!("Written anew, since there is no ALTER for it: {}.", what.join("; "));
                            ("rebuild_table", Action::RebuildTable(Box::new(rebuild)), why)
                        }
                    }
                };
                let id = format!("{}{first:02}.{slug}.{origin}", phase.name());
                let mut requires: Vec<String> = parts.iter().flat_map(|part| part.requires.clone()).collect();
                requires.retain(|required| !parts.iter().any(|part| part.id == *required));
                for part in parts {
                    stands_for.insert(part.id, Some(id.clone()));
                }
                let footprint = self.target.footprint(&action);
                kept.push(Step { id, change: first, phase, unit: None, action, object: origin.clone(), why, requires, footprint });
                if !is_rebuilt {
                    self.rename_indexes(was, after, first, &mut kept);
                }
            }
            for step in folded.into_values().flatten() {
                // Of a table that is gone by now.
                stands_for.insert(step.id, None);
            }
            if phase == Phase::Expand {
                for step in &mut kept {
                    match &mut step.action {
                        Action::CreateShapeView(view) => {
                            self.give_writes(view, &state);
                            shape_views.push((step.change, view.clone()));
                        }
                        Action::CreateView(view) if view.schema != self.base() => views.push((step.change, view.clone())),
                        _ => {}
                    }
                }
            }
            if phase == Phase::Migrate {
                self.warn_of_early_rules(&state);
            }
            if phase == Phase::Contract && self.settings.access == Access::Versioned {
                self.settle_views(&state, &swapped, &shape_views, &views, &mut kept);
            }
            for step in &mut kept {
                step.unit = None;
                step.footprint = self.target.footprint(&step.action);
            }
            kept.sort_by_key(|step| (step.change, class(phase, &step.action)));
            done.extend(kept);
        }
        for step in &mut done {
            let own = step.id.clone();
            let mut requires: Vec<String> = Vec::new();
            for required in &step.requires {
                match stands_for.get(required) {
                    Some(None) => {}
                    Some(Some(id)) => requires.push(id.clone()),
                    None => requires.push(required.clone()),
                }
            }
            requires.retain(|required| *required != own);
            step.requires = requires;
        }
        self.settle_hazards();
        done
    }

    /// A column that counts is the number which each row has anyway: it is the key from expand on, and for both versions. Where the
    /// old version has another key, that is a unique index until contract: gives back the step that makes it.
    fn count_rows(&mut self, state: &mut State, table: &str, column: &str, change: usize) -> Option<Step> {
        let new = self.diff.new.tables.get(self.renamed.get(table).copied().unwrap_or(table))?;
        let found = new.columns.get(column)?;
        let shape = state.tables.get_mut(table)?;
        let old = std::mem::replace(&mut shape.primary_key, new.primary_key.clone());
        let numbered = old.as_ref().and_then(|key| match &key.columns[..] {
            [only] => shape.columns.iter().find(|c| c.spec.name == *only && c.spec.ty.kind == TypeKind::Integer),
            _ => None,
        });
        if let Some(numbered) = numbered {
            let why = format!(
                "its old key {} is the number of each row, which the server gives where the old version leaves it out, and a table has one such number",
                numbered.spec.name
            );
            let way_out = "keep the key, and give the new column its values by the application";
            self.no_way(&format!("{table}.{column}"), &why, way_out, found.span);
            return None;
        }
        let (ty, identity) = (found.ty.clone(), found.identity);
        state.column(table, column, |c| {
            (c.spec.ty, c.spec.identity, c.spec.not_null) = (ty, identity, true);
        });
        let old = old?;
        let name = super::naming::old_key(&old.name.text, self.diff.dialect);
        let index = IndexSpec::of_unique(&name, table, &old.columns, false, &[]);
        state.add_index(index.clone());
        let action = Action::CreateIndex(index);
        Some(Step {
            id: format!("expand{change:02}.create_index.{table}.{name}"),
            change,
            phase: Phase::Expand,
            unit: None,
            footprint: self.target.footprint(&action),
            action,
            object: format!("{table}.{name}"),
            why: "The number of each row is the key from now on. The old version's key binds both versions as this index, and its upserts go by it."
                .to_owned(),
            requires: Vec::new(),
        })
    }

    /// A trigger computes a column after the row was written, and a rule over several columns has looked at the row by then.
    fn warn_of_early_rules(&mut self, state: &State) {
        fn said(name: &str) -> &str {
            name.strip_prefix(super::naming::NEW).unwrap_or(name)
        }
        let mut found: BTreeSet<(String, String)> = BTreeSet::new();
        for (table, shape) in &state.tables {
            let Some(sync) = &shape.sync else { continue };
            for (rule, columns) in shape.rules() {
                for lens in &sync.lenses {
                    for (computed, reader, writer, known) in [(&lens.old, "old", "new", &lens.new), (&lens.new, "new", "old", &lens.old)] {
                        let late: Vec<&str> =
                            computed.iter().filter(|c| c.formula.is_some() && columns.contains(&c.name)).map(|c| said(&c.name)).collect();
                        let own: BTreeSet<&String> = computed.iter().map(|c| &c.name).collect();
                        let others: Vec<&str> = columns.iter().filter(|name| !own.contains(name)).map(|name| said(name)).collect();
                        if late.is_empty() || others.is_empty() || known.is_empty() {
                            continue;
                        }
                        found.insert((
                            table.clone(),
                            format!(
                                "{rule} looks at the {reader} version's {} before a trigger has computed it: until contract one UPDATE of the {writer} version that changes it and {} may be refused, where two would not be",
                                late.join(", "),
                                others.join(", ")
                            ),
                        ));
                    }
                }
            }
        }
        for (table, message) in found {
            let new = self.renamed.get(table.as_str()).copied().unwrap_or(&table);
            let span = self.diff.new.tables.get(new).map(|table| table.span).unwrap_or_default();
            self.warn(("rule-before-sync", Level::Warning), &format!("table {table}"), message, span);
        }
    }

    /// A trigger names its row by `_rowid_`, which must mean that, in the old shape as in the new one.
    fn refuse_hidden_rowid(&mut self, table: &str) {
        let new = self.renamed.get(table).copied().unwrap_or(table);
        let shapes = [self.diff.old.tables.get(table), self.diff.new.tables.get(new)];
        let found = shapes.into_iter().flatten().flat_map(|found| found.columns.values()).find(|c| c.name.eq_ignore_ascii_case("_rowid_"));
        if let Some(column) = found {
            let (object, span) = (format!("{table}.{}", column.name), column.span);
            self.no_way(
                &object,
                "a column of this name hides the number that the triggers tell rows apart by",
                "give the column another name, while no other version is live",
                span,
            );
        }
    }

    /// In a statement of a trigger `old.x` and `new.x` mean the table first that is called so. What the planner says can be written
    /// apart from such a table; a subquery of the author's reads it itself, and a mirror reads both tables at once.
    fn refuse_hidden_rows(&mut self, sync: &Sync) {
        let formulas = sync.lenses.iter().flat_map(|lens| lens.old.iter().chain(&lens.new).filter_map(|c| c.formula.as_ref()));
        let formulas: Vec<&Formula> = formulas.chain(sync.fills.iter().map(|fill| &fill.formula)).collect();
        for formula in formulas {
            let Formula::Written(expr) = formula else { continue };
            let hidden = expr.splices.iter().find_map(|(_, splice)| match splice {
                Splice::Relation(_, name) if expr.has_subquery && hides_rows(name) => Some(name),
                _ => None,
            });
            if let Some(table) = hidden {
                self.refuse_hiding(table, &format!("a subquery in an expression of {} reads it", sync.table));
            }
        }
    }

    fn refuse_hidden_rows_of_mirror(&mut self, table: &str) {
        if hides_rows(table) {
            self.refuse_hiding(table, "rows of it are kept alike with rows of another table");
        }
    }

    fn refuse_hiding(&mut self, table: &str, what: &str) {
        let found = self.diff.old.tables.get(table).or_else(|| self.diff.new.tables.get(table));
        let span = found.map(|found| found.span).unwrap_or_default();
        self.no_way(
            &format!("table {table}"),
            &format!("a trigger calls its rows `old` and `new`, and where {what}, the table of that name hides them"),
            "give the table another name, while no other version is live",
            span,
        );
    }

    /// What is said of a plan where rules are altered one by one, as it is true here.
    fn settle_hazards(&mut self) {
        // Enums are checks, which go and come back with their tables; rows need no key to be reached in one statement; and no
        // client can write past the triggers.
        // One client writes at a time, and rows are deleted one by one.
        let elsewhere = ["enum-value-stays", "type-named-late", "backfill-without-key", "triggers-bypassed", "mirror-can-deadlock"];
        self.hazards.retain(|hazard| !elsewhere.contains(&hazard.code));
        let mirrored: Vec<(String, String)> = self.mirrors.values().map(|m| (m.source.clone(), m.target.clone())).collect();
        for (source, target) in mirrored {
            let span = self.diff.new.tables.get(&target).map(|table| table.span).unwrap_or_default();
            self.warn(
                ("mirror-replace", Level::Warning),
                &format!("table {target}"),
                format!("a row of {source} or {target} that a REPLACE of another key takes away leaves its image, unless the client has `recursive_triggers` on: verify counts it, and contract refuses"),
                span,
            );
        }
        for hazard in &mut self.hazards {
            if hazard.code == "positional-clients" && !self.target.capabilities().positional_inserts {
                hazard.level = Level::Warning;
                hazard.message =
                    "until contract an INSERT of the old version that does not name its columns fails, and its `select *` shows columns that it does not know"
                        .to_owned();
            }
        }
    }

    /// The tables of the old snapshot as they physically are before expand.
    fn old_state(&self) -> State {
        let old = self.diff.old;
        let mut unnamed: BTreeSet<String> = BTreeSet::new();
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for table in old.tables.values().chain(self.diff.new.tables.values()) {
            let key = table.primary_key.iter().map(|key| &key.name);
            for name in key.chain(table.checks.iter().map(|check| &check.name)).chain(table.foreign_keys.iter().map(|key| &key.name)) {
                if name.conventional {
                    unnamed.insert(name.text.clone());
                } else {
                    named.insert(&name.text);
                }
            }
        }
        unnamed.retain(|name| !named.contains(name.as_str()));
        let mut state = State {
            unnamed,
            enums: old.enums.values().map(|found| (found.name.clone(), found.labels.clone())).collect(),
            ..State::default()
        };
        for table in old.tables.values() {
            let shape = Shape {
                origin: Some(table.name.clone()),
                columns: table
                    .columns
                    .values()
                    .map(|column| Column { spec: self.old_column_spec(column, &table.name), origin: None, fill: None })
                    .collect(),
                primary_key: table.primary_key.clone(),
                checks: table.checks.iter().map(|check| (check.name.text.clone(), self.old_expr(&check.expression, &table.name))).collect(),
                foreign_keys: table.foreign_keys.iter().map(|key| (key.name.text.clone(), key.clone())).collect(),
                indexes: BTreeMap::new(),
                sync: None,
                mirrors: Vec::new(),
            };
            state.tables.insert(table.name.clone(), shape);
            for unique in &table.uniques {
                state.add_index(of_unique(unique, &table.name));
            }
            for index in &table.indexes {
                state.add_index(self.old_index(index, table));
            }
        }
        state
    }

    fn old_index(&self, index: &Index, table: &Table) -> IndexSpec {
        self.index_spec(index, &index.name.text, &table.name, &|expr| self.old_expr(expr, &table.name), &|column| column.to_owned())
    }

    fn way(&self, old: &TableSpec, new: &TableSpec, after: &Shape, phase: Phase) -> Way {
        let origin = |column: &ColumnSpec| after.columns.iter().find(|c| c.spec.name == column.name).and_then(|c| c.origin.clone());
        let mut renames: BTreeMap<String, String> = BTreeMap::new();
        let (mut added, mut stay) = (Vec::new(), BTreeSet::new());
        for column in &new.columns {
            match origin(column) {
                None => added.push(column.clone()),
                Some(from) => {
                    stay.insert(from.clone());
                    if from != column.name {
                        renames.insert(from, column.name.clone());
                    }
                }
            }
        }
        let drops: Vec<String> = old.columns.iter().filter(|c| !stay.contains(&c.name)).map(|c| c.name.clone()).collect();
        let mut expected = renamed_columns(old, &renames);
        expected.columns.retain(|column| !drops.contains(&column.name) || renames.values().any(|to| *to == column.name));
        let same = expected.primary_key.as_ref().map(|k| (&k.name.text, &k.columns))
            == new.primary_key.as_ref().map(|k| (&k.name.text, &k.columns))
            && expected.checks == new.checks
            && same_keys(&expected.foreign_keys, &new.foreign_keys)
            && expected.columns.iter().all(|column| new.columns.iter().any(|other| is_alike(column, other)));
        let fills = after.columns.iter().any(|c| c.origin.is_none() && c.fill != c.spec.default && c.spec.default.is_some());
        match (same, added.is_empty(), drops.len(), renames.is_empty()) {
            (true, true, 0, true) => Way::Nothing,
            (true, false, 0, true) if !fills && added.iter().all(|column| self.target.adds_column(column)) => Way::Add(added),
            (true, true, 1, true) | (true, true, 0, false) => {
                let renames = super::table::ordered_renames(renames, self.diff.dialect);
                Way::Swap { drops, renames }
            }
            (false, true, 0, true) if self.can.alters_rules && differs_in_rules_only(old, new, phase) => Way::Alter,
            _ => Way::Rebuild,
        }
    }

    /// An index gets another name by being built under it.
    fn rename_indexes(&mut self, was: &Shape, after: &Shape, change: usize, kept: &mut Vec<Step>) {
        for (id, index) in &after.indexes {
            let Some(old) = was.indexes.get(id).filter(|old| old.name != index.name) else { continue };
            let mut old = old.clone();
            old.table.clone_from(&index.table);
            let why = format!("Index {} is called {} from now on: it is built under that name.", old.name, index.name);
            for (slug, action) in [
                ("drop_index", Action::DropIndex { index: old.clone(), concurrently: Concurrently::No }),
                ("create_index", Action::CreateIndex(index.clone())),
            ] {
                let name = if slug == "drop_index" { &old.name } else { &index.name };
                kept.push(Step {
                    id: format!("contract{change:02}.{slug}.{}.{name}", index.table),
                    change,
                    phase: Phase::Contract,
                    unit: None,
                    footprint: self.target.footprint(&action),
                    action,
                    object: name.clone(),
                    why: why.clone(),
                    requires: Vec::new(),
                });
            }
        }
    }

    /// How writes through a view become writes of its table, as the tables are.
    fn give_writes(&self, view: &mut ShapeView, state: &State) {
        let table = state.tables.get(&view.table);
        let physical = |column: &ViewColumn| table.and_then(|shape| shape.columns.iter().find(|c| c.spec.name == column.physical));
        let key = self.diff.new.tables.get(&view.name).and_then(|table| table.primary_key.as_ref());
        view.writes = Some(ViewWrites {
            key: key.map(|key| key.columns.clone()).unwrap_or_default(),
            computed: view
                .columns
                .iter()
                .filter(|column| physical(column).is_some_and(|c| c.spec.generated.is_some()))
                .map(|column| column.name.clone())
                .collect(),
            defaults: view
                .columns
                .iter()
                .filter_map(|column| {
                    let default = match &column.default {
                        ViewDefault::OfTable => physical(column)?.spec.default.clone()?,
                        ViewDefault::Expression(expr) => expr.clone(),
                        ViewDefault::None(_) => return None,
                    };
                    Some((column.name.clone(), default))
                })
                .collect(),
            old: table
                .and_then(|shape| shape.sync.as_ref())
                .into_iter()
                .flat_map(|sync| &sync.lenses)
                .flat_map(|lens| &lens.old)
                .filter(|column| column.formula.is_some())
                .cloned()
                .collect(),
            marker: if view.marker_view.is_some() { Marker::With } else { Marker::Without },
        });
    }

    /// Contract: views of the namespace over tables that change go first, and are made anew over what has become of them.
    fn settle_views(
        &mut self,
        state: &State,
        swapped: &BTreeSet<String>,
        shape_views: &[(usize, ShapeView)],
        views: &[(usize, ViewSpec)],
        kept: &mut Vec<Step>,
    ) {
        let namespace = self.new_namespace();
        let mut names: BTreeSet<String> =
            shape_views.iter().filter(|(_, view)| swapped.contains(&view.name)).map(|(_, view)| view.name.clone()).collect();
        if names.is_empty() {
            return;
        }
        for (_, view) in views {
            // They stand in the order in which they read each other.
            let reads = view
                .query
                .splices
                .iter()
                .any(|(_, splice)| matches!(splice, Splice::Relation(schema, name) if *schema == namespace && names.contains(name)));
            if reads {
                names.insert(view.name.clone());
            }
        }
        let first = kept.iter().map(|step| step.change).min().unwrap_or(1);
        let action = Action::DropViews {
            views: names.iter().map(|name| (namespace.clone(), name.clone())).collect(),
            materialized: Materialized::No,
        };
        kept.push(Step {
            id: format!("contract{first:02}.drop_views.{namespace}"),
            change: first,
            phase: Phase::Contract,
            unit: None,
            footprint: self.target.footprint(&action),
            action,
            object: namespace.clone(),
            why: "A table can't change under a view that reads it: they are made anew in this transaction, and nobody sees them gone."
                .to_owned(),
            requires: Vec::new(),
        });
        for (change, view) in shape_views.iter().filter(|(_, view)| names.contains(&view.name)) {
            let mut settled = view.clone();
            settled.table.clone_from(&view.name);
            settled.marker_view = None;
            for column in &mut settled.columns {
                column.physical.clone_from(&column.name);
                column.default = ViewDefault::OfTable;
            }
            self.give_writes(&mut settled, state);
            let action = Action::SettleShapeView(settled);
            kept.push(Step {
                id: format!("contract{change:02}.settle_shape_view.{namespace}.{}", view.name),
                change: *change,
                phase: Phase::Contract,
                unit: None,
                footprint: self.target.footprint(&action),
                action,
                object: format!("{namespace}.{}", view.name),
                why: "Nobody needs to be told apart any more: the view goes straight to the table.".to_owned(),
                requires: Vec::new(),
            });
        }
        let last = kept.iter().map(|step| step.change).max().unwrap_or(1);
        for (_, view) in views.iter().filter(|(_, view)| names.contains(&view.name)) {
            let action = Action::CreateView(view.clone());
            kept.push(Step {
                id: format!("contract{last:02}.create_view.{namespace}.{}", view.name),
                change: last,
                phase: Phase::Contract,
                unit: None,
                footprint: self.target.footprint(&action),
                action,
                object: format!("{namespace}.{}", view.name),
                why: format!("View {} of the namespace, over the tables as they are now.", view.name),
                requires: Vec::new(),
            });
        }
    }
}

impl State {
    /// What is there now is where the phase starts from.
    fn begin(&mut self) {
        for (name, shape) in &mut self.tables {
            shape.origin = Some(name.clone());
            for column in &mut shape.columns {
                column.origin = Some(column.spec.name.clone());
                column.fill = None;
            }
        }
    }

    fn index(&self, name: &str) -> Option<&IndexSpec> {
        self.tables.values().flat_map(|shape| shape.indexes.values()).find(|index| index.name == name)
    }

    fn add_index(&mut self, index: IndexSpec) {
        self.indexes += 1;
        let id = self.indexes;
        if let Some(shape) = self.tables.get_mut(&index.table) {
            shape.indexes.insert(id, index);
        }
    }

    fn column(&mut self, table: &str, column: &str, change: impl FnOnce(&mut Column)) {
        if let Some(found) = self.tables.get_mut(table).and_then(|shape| shape.columns.iter_mut().find(|c| c.spec.name == column)) {
            change(found);
        }
    }

    fn table(&mut self, table: &str, change: impl FnOnce(&mut Shape)) -> Fate {
        if let Some(shape) = self.tables.get_mut(table) {
            change(shape);
        }
        Fate::Folded(table.to_owned())
    }

    fn rename_index(&mut self, from: &str, to: &str) {
        for index in self.tables.values_mut().flat_map(|shape| shape.indexes.values_mut()).filter(|index| index.name == from) {
            to.clone_into(&mut index.name);
        }
    }

    /// Does to the tables what a step does, and says what is left of the step.
    fn replay(&mut self, action: &mut Action) -> Fate {
        match action {
            Action::CreateEnum(ty) => {
                self.enums.insert(ty.name.clone(), ty.labels.clone());
                Fate::Gone
            }
            Action::AddEnumValue { name, label, after, .. } => {
                if let Some(labels) = self.enums.get_mut(name.as_str()) {
                    let at = after.as_ref().and_then(|after| labels.iter().position(|l| l == after)).map_or(0, |at| at + 1);
                    labels.insert(at, label.clone());
                }
                Fate::Gone
            }
            Action::RenameType(rename) => {
                if let Some(labels) = self.enums.remove(&rename.from) {
                    self.enums.insert(rename.to.clone(), labels);
                }
                for column in self.tables.values_mut().flat_map(|shape| &mut shape.columns) {
                    if matches!(&column.spec.ty.kind, TypeKind::Enum(name) if *name == rename.from) {
                        column.spec.ty.kind = TypeKind::Enum(rename.to.clone());
                    }
                }
                Fate::Gone
            }
            Action::CreateTable(spec) => {
                let shape = Shape {
                    origin: None,
                    columns: spec.columns.iter().map(|spec| Column { spec: spec.clone(), origin: None, fill: None }).collect(),
                    primary_key: spec.primary_key.clone(),
                    checks: spec.checks.iter().cloned().collect(),
                    foreign_keys: spec.foreign_keys.iter().map(|key| (key.name.text.clone(), key.clone())).collect(),
                    indexes: BTreeMap::new(),
                    sync: None,
                    mirrors: Vec::new(),
                };
                let name = spec.name.clone();
                self.tables.insert(name.clone(), shape);
                for unique in &spec.uniques {
                    self.add_index(of_unique(unique, &name));
                }
                for index in &spec.indexes {
                    self.add_index(index.clone());
                }
                Fate::Folded(name)
            }
            Action::DropTable { table } => {
                self.tables.remove(table.as_str());
                Fate::Kept
            }
            Action::RenameTable { from, to, .. } => {
                if let Some(mut shape) = self.tables.remove(from.as_str()) {
                    shape.indexes.values_mut().for_each(|index| index.table.clone_from(to));
                    self.tables.insert(to.clone(), shape);
                }
                for key in self.tables.values_mut().flat_map(|shape| shape.foreign_keys.values_mut()) {
                    if key.ref_table == *from {
                        key.ref_table.clone_from(to);
                    }
                }
                Fate::Kept
            }
            Action::AddColumns { table, columns, marker } => {
                let marker = (*marker == Marker::With).then(marker_column);
                let added: Vec<ColumnSpec> = columns.iter().cloned().chain(marker).collect();
                self.table(table, |shape| {
                    shape.columns.extend(added.into_iter().map(|spec| Column { fill: spec.default.clone(), spec, origin: None }));
                })
            }
            Action::DropNotNull { table, column } => {
                self.column(table, column, |c| c.spec.not_null = false);
                Fate::Folded(table.clone())
            }
            Action::SetNotNull { table, column, .. } => {
                self.column(table, column, |c| c.spec.not_null = true);
                Fate::Folded(table.clone())
            }
            Action::SetDefault { table, column, default, .. } => {
                self.column(table, column, |c| c.spec.default = Some(default.clone()));
                Fate::Folded(table.clone())
            }
            Action::SettleDefaults { table, defaults, .. } => {
                for (column, default) in defaults.iter() {
                    self.column(table, column, |c| c.spec.default.clone_from(default));
                }
                Fate::Folded(table.clone())
            }
            Action::AlterIdentity { table, column, new, .. } => {
                let new = *new;
                self.column(table, column, |c| c.spec.identity = Some(new));
                Fate::Folded(table.clone())
            }
            Action::AddIdentity { table, column, identity, .. } => {
                let identity = *identity;
                self.column(table, column, |c| c.spec.identity = Some(identity));
                Fate::Folded(table.clone())
            }
            Action::DropIdentity { table, column, .. } => {
                self.column(table, column, |c| c.spec.identity = None);
                Fate::Folded(table.clone())
            }
            Action::AddCheck { table, name, condition, .. } => {
                self.table(table, |shape| drop(shape.checks.insert(name.clone(), condition.clone())))
            }
            Action::AddForeignKey { spec, .. } | Action::RestoreForeignKey(spec) => {
                self.table(&spec.table, |shape| drop(shape.foreign_keys.insert(spec.key.name.text.clone(), spec.key.clone())))
            }
            Action::AlterForeignKey { old, new } => self.table(&old.table, |shape| {
                if let Some(key) = shape.foreign_keys.get_mut(&old.key.name.text) {
                    (key.deferrable, key.initially_deferred) = *new;
                }
            }),
            Action::AddPrimaryKey { table, name, index } => self.table(table, |shape| {
                let Some(id) = shape.indexes.iter().find(|(_, found)| found.name == *index).map(|(id, _)| *id) else { return };
                let Some(found) = shape.indexes.remove(&id) else { return };
                let columns = found
                    .keys
                    .into_iter()
                    .filter_map(|key| match key.target {
                        KeyTarget::Column(column) => Some(column),
                        KeyTarget::Expression(_) => None,
                    })
                    .collect();
                let name = Name { text: name.clone(), conventional: false, span: crate::diagnostic::Span::default() };
                shape.primary_key = Some(PrimaryKey { name, columns });
            }),
            Action::DropConstraint { table, constraint } => match constraint {
                ConstraintSpec::Check(name, _) => self.table(table, |shape| drop(shape.checks.remove(name.as_str()))),
                ConstraintSpec::ForeignKey(spec) => self.table(table, |shape| drop(shape.foreign_keys.remove(&spec.key.name.text))),
                ConstraintSpec::PrimaryKey(_) => self.table(table, |shape| shape.primary_key = None),
                ConstraintSpec::Unique(unique) => {
                    let index = of_unique(unique, table);
                    *action = Action::DropIndex { index, concurrently: Concurrently::No };
                    self.replay(action)
                }
                ConstraintSpec::Exclusion(_) => Fate::Gone,
            },
            Action::RenameConstraint { table, rename } => {
                self.rename_index(&rename.from, &rename.to);
                self.table(table, |shape| shape.rename_constraint(rename))
            }
            Action::RenameIndex(rename) => {
                self.rename_index(&rename.from, &rename.to);
                Fate::Gone
            }
            Action::SwapColumns { table, drops, renames, .. } => {
                let steps: Vec<(String, String)> = renames.iter().map(|r| (r.from.clone(), r.to.clone())).collect();
                for (from, to) in &steps {
                    for key in self.tables.values_mut().flat_map(|shape| shape.foreign_keys.values_mut()).filter(|k| k.ref_table == *table)
                    {
                        key.ref_columns.iter_mut().filter(|column| **column == *from).for_each(|column| column.clone_from(to));
                    }
                }
                self.table(table, |shape| {
                    shape.columns.retain(|column| !drops.contains(&column.spec.name));
                    for (from, to) in &steps {
                        shape.rename_column(from, to);
                    }
                })
            }
            Action::CreateIndex(index) => {
                self.add_index(index.clone());
                Fate::Kept
            }
            Action::DropIndex { index, .. } => {
                if let Some(shape) = self.tables.get_mut(&index.table) {
                    shape.indexes.retain(|_, found| found.name != index.name);
                }
                Fate::Kept
            }
            Action::InstallSync(sync) => {
                if let Some(shape) = self.tables.get_mut(&sync.table) {
                    shape.sync = Some(sync.as_ref().clone());
                }
                Fate::Kept
            }
            Action::RemoveSync(sync) => {
                if let Some(shape) = self.tables.get_mut(&sync.table) {
                    shape.sync = None;
                }
                Fate::Kept
            }
            Action::InstallMirror(mirror) => {
                for table in [&mirror.source, &mirror.target] {
                    if let Some(shape) = self.tables.get_mut(table) {
                        shape.mirrors.push(mirror.as_ref().clone());
                    }
                }
                Fate::Kept
            }
            Action::RemoveMirror(mirror) => {
                for shape in self.tables.values_mut() {
                    shape.mirrors.retain(|other| other.target != mirror.target);
                }
                Fate::Kept
            }
            Action::DropViews { views, .. } => {
                views.retain(|(schema, _)| schema != VERSION_SCHEMA);
                Fate::Kept
            }
            Action::CheckRows { .. }
            | Action::CreateShapeView(_)
            | Action::CreateView(_)
            | Action::ReplaceView { .. }
            | Action::DropNamespace { .. }
            | Action::Backfill(_)
            | Action::CopyRows(_)
            | Action::RebuildTable(_) => Fate::Kept,
            // What there is nothing of here, or what goes with the table. Views are settled behind the tables.
            Action::CreateExtension(_)
            | Action::DropExtension(_)
            | Action::DropEnum(_)
            | Action::CreateSequence(_)
            | Action::AlterSequence { .. }
            | Action::DropSequence(_)
            | Action::AlterType { .. }
            | Action::RestateColumn { .. }
            | Action::ReturnColumns { .. }
            | Action::TakeEither { .. }
            | Action::Twin(..)
            | Action::StandIn(_)
            | Action::AlterRules(_)
            | Action::ReturnPrimaryKey { .. }
            | Action::ReturnForeignKey(_)
            | Action::CreateNamespace { .. }
            | Action::CopyGrants { .. }
            | Action::Analyze { .. }
            | Action::AttachUnique { .. }
            | Action::AddNotNullCheck { .. }
            | Action::ValidateConstraint { .. }
            | Action::SettleShapeView(_)
            | Action::RenameView(_)
            | Action::TidyNames { .. }
            | Action::AddCounter { .. }
            | Action::AdvanceIdentity { .. }
            // Each table counts by itself.
            | Action::ShareNumbers { .. }
            | Action::Comment { .. } => Fate::Gone,
        }
    }
}

impl Shape {
    /// The rules over its rows, each with the columns that it looks at.
    fn rules(&self) -> Vec<(String, BTreeSet<String>)> {
        let of = |expr: &RowExpr| {
            let splices = expr.splices.iter().map(|(_, splice)| splice);
            splices
                .filter_map(|splice| match splice {
                    Splice::Column(name) => Some(name.clone()),
                    Splice::Relation(..) | Splice::Type(..) => None,
                })
                .collect::<BTreeSet<String>>()
        };
        let mut rules: Vec<(String, BTreeSet<String>)> =
            self.checks.iter().map(|(name, condition)| (format!("check {name}"), of(condition))).collect();
        for index in self.indexes.values().filter(|index| index.unique) {
            let mut columns: BTreeSet<String> = index.predicate.iter().flat_map(of).collect();
            for key in &index.keys {
                match &key.target {
                    KeyTarget::Column(name) => drop(columns.insert(name.clone())),
                    KeyTarget::Expression(expr) => columns.extend(of(expr)),
                }
            }
            rules.push((format!("unique {}", index.name.strip_prefix(super::naming::NEW).unwrap_or(&index.name)), columns));
        }
        rules.extend(self.primary_key.iter().map(|key| ("the primary key".to_owned(), key.columns.iter().cloned().collect())));
        rules
    }

    /// The table as a statement makes it, with its columns in the order of `order`.
    fn spec(
        &self,
        name: &str,
        enums: &BTreeMap<String, Vec<String>>,
        order: Option<&Table>,
        renamed: &BTreeMap<String, String>,
        unnamed: &BTreeSet<String>,
    ) -> TableSpec {
        let mut columns: Vec<ColumnSpec> = self.columns.iter().map(|column| column.spec.clone()).collect();
        for column in &mut columns {
            if let TypeKind::Enum(ty) = &column.ty.kind {
                column.labels = enums.get(ty).cloned().unwrap_or_default();
            }
        }
        if let Some(table) = order {
            columns.sort_by_key(|column| table.columns.get_index_of(&column.name).unwrap_or(usize::MAX));
        }
        let mut foreign_keys: Vec<ForeignKey> = self.foreign_keys.values().cloned().collect();
        for key in &mut foreign_keys {
            // A table gets its new name last, and takes the keys that refer to it along.
            if let Some(old) = renamed.get(&key.ref_table) {
                key.ref_table.clone_from(old);
            }
            if unnamed.contains(&key.name.text) {
                key.name.text.clear();
            }
        }
        let named = |name: &String| if unnamed.contains(name) { String::new() } else { name.clone() };
        let mut primary_key = self.primary_key.clone();
        if let Some(key) = &mut primary_key {
            key.name.text = named(&key.name.text);
        }
        let mut checks: Vec<(String, RowExpr)> = self.checks.iter().map(|(name, condition)| (named(name), condition.clone())).collect();
        checks.sort_by(|a, b| (&a.0, &a.1.text).cmp(&(&b.0, &b.1.text)));
        let order = |key: &ForeignKey| (key.name.text.clone(), key.columns.clone(), key.ref_table.clone(), key.ref_columns.clone());
        foreign_keys.sort_by_key(order);
        TableSpec {
            name: name.to_owned(),
            columns,
            primary_key,
            uniques: Vec::new(),
            checks,
            exclusions: Vec::new(),
            foreign_keys,
            indexes: Vec::new(),
            comment: None,
        }
    }

    fn source(&self, column: &ColumnSpec) -> Source {
        let Some(found) = self.columns.iter().find(|c| c.spec.name == column.name) else { return Source::Nothing };
        match (&found.origin, &found.fill) {
            _ if column.generated.is_some() => Source::Generated,
            (Some(origin), _) => Source::Column(origin.clone()),
            (None, Some(fill)) => Source::Expression(fill.clone()),
            (None, None) => Source::Nothing,
        }
    }

    fn rename_column(&mut self, from: &str, to: &str) {
        for column in &mut self.columns {
            if column.spec.name == from {
                to.clone_into(&mut column.spec.name);
            }
            if let Some((expr, _)) = &mut column.spec.generated {
                rename_splices(expr, from, to);
            }
        }
        let rename = |name: &mut String| {
            if name == from {
                to.clone_into(name);
            }
        };
        self.primary_key.iter_mut().flat_map(|key| &mut key.columns).for_each(rename);
        self.foreign_keys.values_mut().flat_map(|key| &mut key.columns).for_each(rename);
        self.checks.values_mut().for_each(|expr| rename_splices(expr, from, to));
        for index in self.indexes.values_mut() {
            index.include.iter_mut().for_each(rename);
            index.predicate.iter_mut().for_each(|expr| rename_splices(expr, from, to));
            for key in &mut index.keys {
                match &mut key.target {
                    KeyTarget::Column(name) => rename(name),
                    KeyTarget::Expression(expr) => rename_splices(expr, from, to),
                }
            }
        }
    }

    fn rename_constraint(&mut self, rename: &Rename) {
        if let Some(check) = self.checks.remove(&rename.from) {
            self.checks.insert(rename.to.clone(), check);
        }
        if let Some(mut key) = self.foreign_keys.remove(&rename.from) {
            key.name.text.clone_from(&rename.to);
            self.foreign_keys.insert(rename.to.clone(), key);
        }
        if let Some(key) = self.primary_key.as_mut().filter(|key| key.name.text == rename.from) {
            key.name.text.clone_from(&rename.to);
        }
    }
}

/// In what order the kinds of steps run within a change and a phase.
fn class(phase: Phase, action: &Action) -> u8 {
    match (phase, action) {
        (Phase::Contract, Action::CheckRows { .. }) => 0,
        (Phase::Migrate, Action::Backfill(_) | Action::CopyRows(_)) => 1,
        (_, Action::DropNamespace { .. } | Action::DropViews { .. } | Action::RemoveSync(_) | Action::RemoveMirror(_)) => 1,
        (_, Action::CheckRows { .. }) => 2,
        (_, Action::DropIndex { .. }) => 3,
        (
            _,
            Action::CreateTable(_)
            | Action::AddColumns { .. }
            | Action::SwapColumns { .. }
            | Action::RebuildTable(_)
            | Action::AlterRules(_)
            | Action::DropTable { .. },
        ) => 4,
        (_, Action::RenameTable { .. }) => 5,
        (_, Action::CreateIndex(_)) => 6,
        (_, Action::InstallSync(_) | Action::InstallMirror(_)) => 7,
        (_, Action::CreateShapeView(_) | Action::SettleShapeView(_)) => 8,
        _ => 9,
    }
}

/// A unique constraint as the index that it is.
fn of_unique(unique: &Unique, table: &str) -> IndexSpec {
    IndexSpec {
        name: unique.name.text.clone(),
        table: table.to_owned(),
        keys: unique
            .columns
            .iter()
            .map(|column| IndexKeySpec {
                target: KeyTarget::Column(column.clone()),
                descending: false,
                nulls: None,
                collation: None,
                opclass: None,
                length: None,
            })
            .collect(),
        unique: true,
        nulls_not_distinct: false,
        method: "btree".to_owned(),
        predicate: None,
        include: Vec::new(),
        with: Vec::new(),
        comment: None,
    }
}

/// The marker column: its default stands for the old version.
fn marker_column() -> ColumnSpec {
    ColumnSpec {
        name: MARKER.to_owned(),
        ty: Type { kind: TypeKind::SmallInt, array_dimensions: 0 },
        not_null: false,
        default: Some(RowExpr { text: "1".to_owned(), splices: Vec::new(), has_subquery: false }),
        generated: None,
        identity: None,
        collation: None,
        labels: Vec::new(),
        comment: None,
        hidden: false,
    }
}

fn rename_splices(expr: &mut RowExpr, from: &str, to: &str) {
    for (_, splice) in &mut expr.splices {
        if let Splice::Column(name) = splice
            && name == from
        {
            to.clone_into(name);
        }
    }
}

/// A table under other names of its columns.
fn renamed_columns(table: &TableSpec, renames: &BTreeMap<String, String>) -> TableSpec {
    // Numbers instead of names: several constraints may have none.
    let numbered = |at: usize| format!("{at:06}");
    let mut shape = Shape {
        origin: None,
        columns: table.columns.iter().map(|spec| Column { spec: spec.clone(), origin: None, fill: None }).collect(),
        primary_key: table.primary_key.clone(),
        checks: table.checks.iter().enumerate().map(|(at, (_, condition))| (numbered(at), condition.clone())).collect(),
        foreign_keys: table.foreign_keys.iter().enumerate().map(|(at, key)| (numbered(at), key.clone())).collect(),
        indexes: BTreeMap::new(),
        sync: None,
        mirrors: Vec::new(),
    };
    // Through names that nothing has, so that a swap of two names does not fall together.
    for from in renames.keys() {
        shape.rename_column(from, &parked(from));
    }
    for (from, to) in renames {
        shape.rename_column(&parked(from), to);
    }
    TableSpec {
        columns: shape.columns.into_iter().map(|column| column.spec).collect(),
        primary_key: shape.primary_key,
        checks: table.checks.iter().map(|(name, _)| name.clone()).zip(shape.checks.into_values()).collect(),
        foreign_keys: shape.foreign_keys.into_values().collect(),
        ..table.clone()
    }
}

fn parked(name: &str) -> String {
    format!("\0{name}")
}

/// Whether two columns of one name are declared alike.
fn is_alike(a: &ColumnSpec, b: &ColumnSpec) -> bool {
    let same_type = match (&a.ty.kind, &b.ty.kind) {
        (TypeKind::Enum(_), TypeKind::Enum(_)) => {
            // A check has no order.
            let labels = |spec: &ColumnSpec| spec.labels.iter().cloned().collect::<BTreeSet<String>>();
            labels(a) == labels(b)
        }
        _ => a.ty == b.ty,
    };
    a.name == b.name
        && same_type
        && a.not_null == b.not_null
        && a.default.as_ref().map(|d| &d.text) == b.default.as_ref().map(|d| &d.text)
        && a.generated == b.generated
        && a.identity.is_some() == b.identity.is_some()
        && a.collation == b.collation
}

/// Whether NOT NULL and checks are all that differs, and each check that goes has a name to go by.
///
/// Abort runs behind expand as well as behind migrate: it can take NOT NULL off twice, but a check that is not there it can't drop.
fn differs_in_rules_only(old: &TableSpec, new: &TableSpec, phase: Phase) -> bool {
    let key = |spec: &TableSpec| spec.primary_key.as_ref().map(|key| (key.name.text.clone(), key.columns.clone()));
    let goes = |check: &&(String, RowExpr)| !new.checks.contains(check);
    let alike =
        |column: &ColumnSpec| new.columns.iter().any(|other| is_alike(column, &ColumnSpec { not_null: column.not_null, ..other.clone() }));
    key(old) == key(new)
        && same_keys(&old.foreign_keys, &new.foreign_keys)
        && old.columns.iter().all(alike)
        && old.checks.iter().filter(goes).all(|(name, _)| !name.is_empty())
        && (phase == Phase::Contract || new.checks.iter().filter(|check| !old.checks.contains(check)).all(|(name, _)| !name.is_empty()))
        && (phase != Phase::Migrate || old.checks == new.checks)
}

fn same_keys(a: &[ForeignKey], b: &[ForeignKey]) -> bool {
    let bare = |keys: &[ForeignKey]| -> Vec<ForeignKey> {
        let mut keys = keys.to_vec();
        for key in &mut keys {
            key.name.conventional = false;
            key.name.span = crate::diagnostic::Span::default();
        }
        keys
    };
    bare(a) == bare(b)
}

/// Whether a step does what writing a table anew has done already: numbering its rows, and making the number its key.
fn is_of_counted(action: &Action, counted: &BTreeSet<String>, key_indexes: &BTreeSet<String>) -> bool {
    match action {
        Action::AddCounter { table, .. } | Action::AddIdentity { table, .. } | Action::AddPrimaryKey { table, .. } => {
            counted.contains(table)
        }
        Action::Backfill(backfill) => {
            counted.contains(&backfill.table) && backfill.sets.iter().all(|(_, _, formula)| matches!(formula, Formula::Next(_)))
        }
        Action::CreateIndex(index) => counted.contains(&index.table) && key_indexes.contains(&index.name),
        _ => false,
    }
}

/// Whether a statement on a table takes `old.x` and `new.x` for the table's own columns, and not for those of the row that a
/// trigger is about: the nearest name counts.
pub fn hides_rows(table: &str) -> bool {
    ["old", "new"].iter().any(|row| table.eq_ignore_ascii_case(row))
}

/// Whether an index is made by a step of its own.
fn is_made(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| matches!(&step.action, Action::CreateIndex(index) if index.name == name))
}

fn why_of(parts: &[Step], is: impl Fn(&Action) -> bool) -> String {
    parts.iter().find(|step| is(&step.action)).or(parts.first()).map(|step| step.why.clone()).unwrap_or_default()
}

/// What is done, in a few words: `drop not null users.name`.
fn headline(step: &Step) -> String {
    let words = step.id.split('.').nth(1).unwrap_or_default().replace('_', " ");
    format!("{words} {}", step.object)
}
