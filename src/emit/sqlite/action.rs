//! An action as statements: which template, with what in it.

use minijinja::{Value, context};

use crate::dialect::language::{Language as _, Row};
use crate::dialect::sqlite::expression::{Expressions, apart};
use crate::plan::model::{
    Action, Backfill, ColumnSpec, Finding, Formula, IndexSpec, KeyTarget, Marker, Mirror, MirrorSide, OnFinding, Plan, Rebuild, RowExpr,
    ShapeView, Source, Sync, SyncColumn, TableSpec, Undo, ViewSpec,
};
use crate::plan::{MARKER, hides_rows};
use crate::snapshot::model::{ForeignKey, Nulls, ReferentialAction};

use super::super::live;
use super::super::templates::Templates;
use super::super::{EmitError, Rendered};
use super::mirror::Mirroring;
use super::sync::{Trigger, triggers};

/// Renders actions for one plan.
pub(super) struct Actions<'a> {
    pub(super) templates: &'a Templates,
    pub(super) plan: &'a Plan,
    pub(super) sql: Expressions<'a>,
}

/// What a row of the new shape is called on its way into the table.
const ROW: &str = "crossfade_row";

impl Actions<'_> {
    pub(super) fn render(&self, name: &str, context: Value) -> Rendered {
        self.templates.render(&format!("sqlite/{name}"), context)
    }

    fn text(&self, expr: &RowExpr) -> String {
        self.sql.written(expr, Row::Table("")).trim().to_owned()
    }

    /// The statements that do it.
    pub(super) fn apply(&self, action: &Action) -> Rendered {
        let sql = &self.sql;
        match action {
            Action::CheckRows { table, key, finding, on_finding, .. } => self.check_rows(table, key, finding, *on_finding, None),
            Action::CreateTable(spec) => self.render("create_table", self.table(spec, &spec.name)),
            Action::RebuildTable(rebuild) => self.rebuild(rebuild),
            Action::AlterRules(rebuild) => self.alter_rules(rebuild),
            Action::DropTable { table } => self.render("drop_table", context! { table => sql.ident(table) }),
            Action::AddColumns { table, columns, .. } => {
                let columns: Vec<String> = columns.iter().map(|c| self.column_definition(c, None)).collect();
                self.render("add_columns", context! { table => sql.ident(table), columns })
            }
            Action::InstallSync(sync) => {
                self.render("install_sync", context! { triggers => self.triggers(sync), hidden => hides_rows(&sync.table) })
            }
            Action::RemoveSync(sync) => self.remove_sync(sync),
            Action::InstallMirror(mirror) => self.install_mirror(mirror),
            Action::CopyRows(copy) => {
                let mirroring = self.mirroring(&copy.mirror);
                let guards: Vec<String> = mirroring.guards().into_iter().map(|(_, trigger)| sql.ident(&trigger.name)).collect();
                self.render("copy_rows", context! { copy => mirroring.copy(), guards })
            }
            Action::RemoveMirror(mirror) => self.remove_mirror(mirror),
            Action::CreateShapeView(view) | Action::SettleShapeView(view) => self.render("create_shape_view", self.shape_view(view)),
            Action::CreateView(view) => self.render("create_view", self.view(view)),
            Action::ReplaceView { new, .. } => self.render("replace_view", self.view(new)),
            Action::DropNamespace { schema, views } => self.drop_views(views.iter().map(|view| sql.relation(schema, view)).collect()),
            Action::DropViews { views, .. } => self.drop_views(views.iter().map(|(schema, view)| sql.relation(schema, view)).collect()),
            Action::Backfill(backfill) => self.backfill(backfill),
            Action::CreateIndex(index) => Ok(format!("{};", self.index_statement(index))),
            Action::DropIndex { index, .. } => self.render("drop_index", context! { index => sql.ident(&index.name), exists => "" }),
            Action::SwapColumns { table, drops, renames, .. } => self.render(
                "swap_columns",
                context! {
                    table => sql.ident(table),
                    drops => drops.iter().map(|c| sql.ident(c)).collect::<Vec<_>>(),
                    renames => renames.iter().map(|r| context! { from => sql.ident(&r.from), to => sql.ident(&r.to) }).collect::<Vec<_>>(),
                },
            ),
            Action::RenameTable { from, to, .. } => self.render("rename_table", context! { from => sql.ident(from), to => sql.ident(to) }),
            other => Err(EmitError { template: "sqlite".to_owned(), why: format!("no plan for SQLite has the step {other:?}") }),
        }
    }

    /// The statements that take it back before contract; `None` where nothing is left to take back. Abort runs behind expand
    /// alone as well as behind migrate.
    pub(super) fn undo(&self, action: &Action) -> Result<Option<String>, EmitError> {
        let sql = &self.sql;
        Ok(Some(match action {
            Action::CreateTable(spec) => self.render("drop_table", context! { table => sql.ident(&spec.name) })?,
            Action::RebuildTable(rebuild) if rebuild.undo == Undo::Own => self.rebuild(&back(rebuild))?,
            Action::AlterRules(rebuild) if rebuild.undo == Undo::Own => self.alter_rules(&back(rebuild))?,
            Action::AddColumns { table, columns, .. } => {
                let drops: Vec<String> = columns.iter().map(|c| sql.ident(&c.name)).collect();
                self.render("swap_columns", context! { table => sql.ident(table), drops, renames => Vec::<Value>::new() })?
            }
            Action::InstallSync(sync) => self.remove_sync(sync)?,
            Action::InstallMirror(mirror) => self.remove_mirror(mirror)?,
            Action::CreateShapeView(view) => self.drop_views(vec![sql.relation(&view.schema, &view.name)])?,
            Action::CreateView(view) => self.drop_views(vec![sql.relation(&view.schema, &view.name)])?,
            Action::ReplaceView { old, .. } => self.render("replace_view", self.view(old))?,
            Action::CreateIndex(index) => {
                self.render("drop_index", context! { index => sql.ident(&index.name), exists => "if exists " })?
            }
            Action::DropIndex { index, .. } => format!("{};", self.index_statement(index).replacen("index ", "index if not exists ", 1)),
            _ => return Ok(None),
        }))
    }

    /// The rows that would keep abort from restoring a rule that expand took away.
    pub(super) fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError> {
        let why = "the old version''s rule can''t be restored over these rows. Change them, then run abort.sql again; nothing was changed.";
        let refuse = |table: &str, finding: &Finding| self.check_rows(table, &[], finding, OnFinding::Refuse, Some(why));
        let mut gates = Vec::new();
        match action {
            Action::DropIndex { index, .. } if index.unique => {
                let finding = Finding::Duplicate {
                    name: index.name.clone(),
                    keys: index.keys.iter().map(|key| key.target.clone()).collect(),
                    predicate: index.predicate.clone(),
                    nulls_not_distinct: false,
                };
                gates.push(refuse(&index.table, &finding)?);
            }
            Action::RebuildTable(rebuild) | Action::AlterRules(rebuild) if rebuild.undo == Undo::Own => {
                let (before, after) = (&rebuild.before, &rebuild.after);
                for column in &before.columns {
                    let Some(now) = after.columns.iter().find(|c| c.name == column.name) else { continue };
                    if column.not_null && !now.not_null {
                        gates.push(refuse(&before.name, &Finding::Null(column.name.clone()))?);
                    }
                    if !column.labels.is_empty() && column.labels != now.labels {
                        let text = self.labels(column);
                        let condition = RowExpr { text, splices: Vec::new(), has_subquery: false };
                        gates.push(refuse(&before.name, &Finding::Check(column.name.clone(), condition))?);
                    }
                }
                for (name, condition) in before.checks.iter().filter(|check| !after.checks.contains(check)) {
                    gates.push(refuse(&before.name, &Finding::Check(name.clone(), condition.clone()))?);
                }
                for key in before.foreign_keys.iter().filter(|key| !after.foreign_keys.contains(key)) {
                    let spec = crate::plan::model::ForeignKeySpec { table: before.name.clone(), key: key.clone() };
                    gates.push(refuse(&before.name, &Finding::Orphan(spec))?);
                }
            }
            _ => {}
        }
        Ok((!gates.is_empty()).then(|| gates.join("\n")))
    }

    // --- tables ---

    fn table(&self, spec: &TableSpec, name: &str) -> Value {
        let sql = &self.sql;
        let key = spec.primary_key.as_ref();
        let mut lines: Vec<String> = spec
            .columns
            .iter()
            .map(|column| {
                let counts = column.identity.is_some() && key.is_some_and(|key| key.columns == [column.name.clone()]);
                self.column_definition(column, counts.then_some(key).flatten().map(|key| key.name.text.as_str()))
            })
            .collect();
        if let Some(key) = key
            && !spec.columns.iter().any(|c| c.identity.is_some() && key.columns == [c.name.clone()])
        {
            lines.push(format!("{}primary key ({})", self.constraint(&key.name.text), sql.list(&key.columns)));
        }
        for (check, condition) in &spec.checks {
            lines.push(format!("{}check ({})", self.constraint(check), self.text(condition)));
        }
        for key in &spec.foreign_keys {
            lines.push(format!("{}{}", self.constraint(&key.name.text), self.foreign_key(key)));
        }
        context! {
            name => sql.ident(name),
            lines,
            indexes => spec.indexes.iter().map(|index| self.index_statement(index)).collect::<Vec<_>>(),
        }
    }

    fn constraint(&self, name: &str) -> String {
        if name.is_empty() { String::new() } else { format!("constraint {} ", self.sql.ident(name)) }
    }

    /// A column; with the name of a primary key the one column of the key that counts up.
    fn column_definition(&self, column: &ColumnSpec, key: Option<&str>) -> String {
        let sql = &self.sql;
        let mut text = format!("{} {}", sql.ident(&column.name), sql.ty(&column.ty));
        if let Some(key) = key {
            text.push_str(&format!(" {}primary key autoincrement", self.constraint(key)));
        }
        if let Some(collation) = &column.collation {
            text.push_str(&format!(" collate {}", sql.ident(collation)));
        }
        if column.not_null {
            text.push_str(" not null");
        }
        if let Some(default) = &column.default {
            let default = self.text(default);
            text.push_str(&match is_bare(&default) {
                true => format!(" default {default}"),
                false => format!(" default ({default})"),
            });
        }
        if let Some((expression, stored)) = &column.generated {
            text.push_str(&format!(" generated always as ({}) {}", self.text(expression), if *stored { "stored" } else { "virtual" }));
        }
        if !column.labels.is_empty() {
            text.push_str(&format!(" check ({})", self.labels(column)));
        }
        text
    }

    /// The check of an enum. Its labels are sorted, so that the same ones make the same check in whatever order a snapshot has them.
    fn labels(&self, column: &ColumnSpec) -> String {
        let mut labels: Vec<String> = column.labels.iter().map(|label| self.sql.literal(label)).collect();
        labels.sort();
        format!("{} in ({})", self.sql.ident(&column.name), labels.join(", "))
    }

    fn foreign_key(&self, key: &ForeignKey) -> String {
        let sql = &self.sql;
        let mut text =
            format!("foreign key ({}) references {} ({})", sql.list(&key.columns), sql.ident(&key.ref_table), sql.list(&key.ref_columns));
        for (event, action) in [("delete", &key.on_delete), ("update", &key.on_update)] {
            let words = match action {
                ReferentialAction::NoAction => continue,
                ReferentialAction::Restrict => "restrict",
                ReferentialAction::Cascade => "cascade",
                ReferentialAction::SetNull(_) => "set null",
                ReferentialAction::SetDefault(_) => "set default",
            };
            text.push_str(&format!(" on {event} {words}"));
        }
        if key.initially_deferred {
            text.push_str(" deferrable initially deferred");
        } else if key.deferrable {
            text.push_str(" deferrable");
        }
        text
    }

    fn rebuild(&self, rebuild: &Rebuild) -> Rendered {
        let sql = &self.sql;
        let interim = format!("crossfade_rebuild_{}", rebuild.after.name);
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        for (column, source) in rebuild.after.columns.iter().zip(&rebuild.sources) {
            let value = match source {
                Source::Generated | Source::Nothing => continue,
                Source::Column(name) => sql.ident(name),
                Source::Expression(expr) => self.text(expr),
            };
            columns.push(sql.ident(&column.name));
            values.push(value);
        }
        let counts = |spec: &TableSpec| spec.columns.iter().any(|c| c.identity.is_some());
        self.render(
            "rebuild_table",
            context! {
                table => sql.ident(&rebuild.after.name),
                table_literal => sql.literal(&rebuild.after.name),
                interim_literal => sql.literal(&interim),
                interim => sql.ident(&interim),
                create => self.render("create_table", self.table(&TableSpec { indexes: Vec::new(), ..rebuild.after.clone() }, &interim))?,
                columns => columns.join(", "),
                values => values.join(", "),
                counts => counts(&rebuild.before) && counts(&rebuild.after),
                indexes => rebuild.after.indexes.iter().map(|index| self.index_statement(index)).collect::<Vec<_>>(),
                triggers => self.kept_triggers(rebuild),
            },
        )
    }

    /// What goes comes first: a check may come back under its name.
    fn alter_rules(&self, rebuild: &Rebuild) -> Rendered {
        let sql = &self.sql;
        let (before, after) = (&rebuild.before, &rebuild.after);
        let (mut goes, mut comes) = (Vec::new(), Vec::new());
        for column in &after.columns {
            let name = sql.ident(&column.name);
            match before.columns.iter().find(|old| old.name == column.name).map(|old| (old.not_null, column.not_null)) {
                Some((true, false)) => goes.push(format!("alter column {name} drop not null")),
                Some((false, true)) => comes.push(format!("alter column {name} set not null")),
                Some((true, true) | (false, false)) | None => {}
            }
        }
        for (name, _) in before.checks.iter().filter(|check| !after.checks.contains(check)) {
            goes.push(format!("drop constraint {}", sql.ident(name)));
        }
        for (name, condition) in after.checks.iter().filter(|check| !before.checks.contains(check)) {
            comes.push(format!("add {}check ({})", self.constraint(name), self.text(condition)));
        }
        goes.append(&mut comes);
        self.render("alter_rules", context! { table => sql.ident(&after.name), changes => goes })
    }

    // --- triggers ---

    fn triggers(&self, sync: &Sync) -> Vec<Value> {
        triggers(sync, self.sql).into_iter().map(|trigger| self.trigger(&sync.table, trigger)).collect()
    }

    fn trigger(&self, table: &str, trigger: Trigger) -> Value {
        let grouped = |c: &String| {
            if trigger.when.len() > 1 && c.contains(" or ") && !c.starts_with("not (") { format!("({c})") } else { c.clone() }
        };
        context! {
            name => self.sql.ident(&trigger.name),
            event => trigger.event,
            about => trigger.about,
            table => self.sql.ident(table),
            when => trigger.when.iter().map(grouped).collect::<Vec<_>>().join("\n  and "),
            statement => trigger.statement,
        }
    }

    /// The triggers that a table had and that go with it as it is written anew.
    fn kept_triggers(&self, rebuild: &Rebuild) -> Vec<Value> {
        let mut list: Vec<Value> = rebuild.sync.iter().flat_map(|sync| self.triggers(sync)).collect();
        for mirror in &rebuild.mirrors {
            let mirroring = self.mirroring(mirror);
            // The rows are copied before a table is written anew.
            let guards: Vec<String> = mirroring.guards().into_iter().map(|(_, trigger)| trigger.name).collect();
            let own = mirroring
                .triggers()
                .into_iter()
                .filter(|(table, trigger)| *table == rebuild.before.name && !guards.contains(&trigger.name));
            list.extend(own.map(|(table, trigger)| self.trigger(table, trigger)));
        }
        list
    }

    /// A mirror with what writes its conditions.
    pub(super) fn mirroring<'m>(&'m self, mirror: &'m Mirror) -> Mirroring<'m> {
        let counts = self.plan.steps.iter().any(|step| match &step.action {
            Action::CreateTable(spec) => {
                spec.name == mirror.target
                    && spec.columns.iter().any(|column| column.identity.is_some() && mirror.key.iter().any(|key| key.target == column.name))
            }
            _ => false,
        });
        Mirroring { mirror, sql: self.sql, counts }
    }

    fn install_mirror(&self, mirror: &Mirror) -> Rendered {
        let mirroring = self.mirroring(mirror);
        self.render(
            "install_mirror",
            context! {
                triggers => mirroring.triggers().into_iter().map(|(table, trigger)| self.trigger(table, trigger)).collect::<Vec<_>>(),
                counts => mirroring.counts,
                source => self.sql.literal(&mirror.source),
                target => self.sql.literal(&mirror.target),
            },
        )
    }

    fn remove_mirror(&self, mirror: &Mirror) -> Rendered {
        let mirroring = self.mirroring(mirror);
        let names: Vec<String> = mirroring.triggers().into_iter().map(|(_, trigger)| self.sql.ident(&trigger.name)).collect();
        self.render(
            "remove_mirror",
            context! {
                triggers => names,
                counts => mirroring.counts,
                source => self.sql.literal(&mirror.source),
                target => self.sql.literal(&mirror.target),
            },
        )
    }

    fn remove_sync(&self, sync: &Sync) -> Rendered {
        let names: Vec<String> = triggers(sync, self.sql).into_iter().map(|trigger| self.sql.ident(&trigger.name)).collect();
        self.render("remove_sync", context! { triggers => names })
    }

    // --- rows ---

    /// The columns of a table that compare by another collation than bytes.
    pub(super) fn collated(&self, table: &str) -> &[String] {
        self.plan
            .steps
            .iter()
            .find_map(|step| match &step.action {
                Action::InstallSync(sync) if sync.table == table => Some(sync.collated.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    fn backfill(&self, backfill: &Backfill) -> Rendered {
        let (sets, unfilled) = self.filling(backfill);
        self.render("backfill", context! { table => self.sql.ident(&backfill.table), sets, unfilled })
    }

    /// The assignments of a backfill, and which rows are not filled yet.
    fn filling(&self, backfill: &Backfill) -> (Vec<String>, String) {
        let sql = &self.sql;
        let row = Row::Table(&backfill.table);
        let sets: Vec<String> =
            backfill.sets.iter().map(|(name, ty, formula)| format!("{} = {}", sql.ident(name), sql.value(formula, ty, row))).collect();
        let empty: Vec<String> = backfill.sets.iter().map(|(name, _, _)| format!("{} is null", sql.ident(name))).collect();
        let filled: Vec<String> =
            backfill.sets.iter().map(|(_, ty, formula)| format!("{} is not null", sql.value(formula, ty, row))).collect();
        let filled = if filled.len() > 1 { format!("({})", filled.join(" or ")) } else { filled.concat() };
        (sets, format!("{}\n  and {filled}", empty.join(" and ")))
    }

    /// A step as a backfill that goes by ranges of the number that each row has.
    pub(super) fn live(&self, action: &Action) -> Option<live::Backfill> {
        let sql = &self.sql;
        let (name, table, key, work, formulas): (_, _, Vec<&String>, _, Vec<&Formula>) = match action {
            Action::Backfill(backfill) => {
                let (sets, unfilled) = self.filling(backfill);
                let work = live::Work::Update { set: sets.join(",\n    "), unfilled };
                let key = backfill.key.iter().map(|(name, _)| name).collect();
                (&backfill.name, &backfill.table, key, work, backfill.sets.iter().map(|(_, _, formula)| formula).collect())
            }
            Action::CopyRows(copy) => {
                let mirror = &copy.mirror;
                let formulas = mirror.lenses.iter().flat_map(|lens| lens.new.iter().filter_map(|c| c.formula.as_ref())).collect();
                let key = mirror.key.iter().map(|key| &key.source).collect();
                (&mirror.copy, &mirror.source, key, self.mirroring(mirror).copy_in_parts(), formulas)
            }
            _ => return None,
        };
        let mut reads: Vec<String> = Vec::new();
        for column in key.into_iter().chain(formulas.into_iter().flat_map(|formula| formula.columns())) {
            let column = sql.ident(column);
            if !reads.contains(&column) {
                reads.push(column);
            }
        }
        let key = vec![live::KeyColumn { column: "_rowid_".to_owned(), ty: "integer".to_owned() }];
        Some(live::Backfill { name: name.clone(), table: sql.ident(table), key, reads, work })
    }

    fn check_rows(&self, table: &str, key: &[String], finding: &Finding, on_finding: OnFinding, why: Option<&str>) -> Rendered {
        let sql = &self.sql;
        let own = |column: &String| [sql.ident(table), sql.ident(column)].join(".");
        let key = if key.is_empty() { vec![format!("{}._rowid_", sql.ident(table))] } else { key.iter().map(own).collect() };
        let key = key.join(" || ', ' || ");
        let names = |columns: &[SyncColumn]| columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let (message, condition, group) = match finding {
            Finding::Disagree(lens) => {
                let message = match (lens.old.is_empty(), lens.new.is_empty()) {
                    (false, false) => format!("{table}: {} and {} disagree", names(&lens.old), names(&lens.new)),
                    _ => format!("{table}: {} is not filled", names(if lens.new.is_empty() { &lens.old } else { &lens.new })),
                };
                (message, Expressions { collated: self.collated(table), ..*sql }.disagree(lens, Row::Table(table)), None)
            }
            Finding::Unlike(mirror, side) => {
                let message = match side {
                    MirrorSide::Source => format!("{table}: no image in {}, or another one", mirror.target),
                    MirrorSide::Target => format!("{table}: no image of a row of {}", mirror.source),
                };
                (message, self.mirroring(mirror).found(*side), None)
            }
            Finding::Null(column) => (format!("{table}: {column} is NULL"), format!("{} is null", sql.ident(column)), None),
            Finding::Check(name, condition) => {
                let what = if name.is_empty() { "a check".to_owned() } else { format!("check {name}") };
                (format!("{table}: {what} is broken"), format!("not ({})", sql.written(condition, Row::Table(table)).trim()), None)
            }
            Finding::Orphan(spec) => {
                let columns = &spec.key.columns;
                let given: Vec<String> = columns.iter().map(|c| format!("{} is not null", own(c))).collect();
                let pairs: Vec<String> = columns
                    .iter()
                    .zip(&spec.key.ref_columns)
                    .map(|(from, to)| format!("referred.{} = {}", sql.ident(to), own(from)))
                    .collect();
                let condition = format!(
                    "{} and not exists (select 1 from {} as referred where {})",
                    given.join(" and "),
                    sql.ident(&spec.key.ref_table),
                    pairs.join(" and ")
                );
                let what =
                    if spec.key.name.text.is_empty() { "a foreign key".to_owned() } else { format!("foreign key {}", spec.key.name.text) };
                (format!("{table}: {what} leads nowhere"), condition, None)
            }
            Finding::Duplicate { name, keys, predicate, .. } => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| match key {
                        KeyTarget::Column(column) => sql.ident(column),
                        KeyTarget::Expression(expr) => format!("({})", self.text(expr).trim()),
                    })
                    .collect();
                let mut conditions: Vec<String> = predicate.iter().map(|over| format!("({})", self.text(over).trim())).collect();
                conditions.extend(keys.iter().map(|key| format!("{key} is not null")));
                let shown = name.strip_prefix("crossfade_new_").unwrap_or(name);
                (format!("{table}: unique {shown} is broken by keys"), conditions.join(" and "), Some(keys))
            }
        };
        let then = match (why, on_finding) {
            (Some(why), _) => why,
            (None, OnFinding::Refuse) => "nothing was lost and nothing was changed. Change these rows, then run this script again.",
            (None, OnFinding::Report) => "contract will refuse while there are such rows.",
        };
        self.render(
            "check_rows",
            context! {
                table => sql.ident(table),
                text => message.replace('\'', "''"),
                condition,
                key,
                group => group.as_ref().map(|keys| keys.join(", ")),
                group_key => group.as_ref().map(|keys| keys.join(" || ', ' || ")),
                refuse => on_finding == OnFinding::Refuse,
                then,
            },
        )
    }

    // --- indexes and views ---

    fn index_statement(&self, index: &IndexSpec) -> String {
        let sql = &self.sql;
        let keys: Vec<String> = index
            .keys
            .iter()
            .map(|key| {
                let mut text = match &key.target {
                    KeyTarget::Column(name) => sql.ident(name),
                    KeyTarget::Expression(expr) => self.text(expr),
                };
                if let Some(collation) = &key.collation {
                    text.push_str(&format!(" collate {}", sql.ident(collation)));
                }
                if key.descending {
                    text.push_str(" desc");
                }
                match key.nulls {
                    Some(Nulls::First) => text.push_str(" nulls first"),
                    Some(Nulls::Last) => text.push_str(" nulls last"),
                    None => {}
                }
                text
            })
            .collect();
        let unique = if index.unique { "unique " } else { "" };
        let mut text = format!("create {unique}index {} on {} ({})", sql.ident(&index.name), sql.ident(&index.table), keys.join(", "));
        if let Some(predicate) = &index.predicate {
            text.push_str(&format!(" where {}", self.text(predicate)));
        }
        text
    }

    fn drop_views(&self, views: Vec<String>) -> Rendered {
        self.render("drop_views", context! { views })
    }

    fn view(&self, view: &ViewSpec) -> Value {
        let sql = &self.sql;
        context! {
            view => sql.relation(&view.schema, &view.name),
            query => sql.written(&view.query, Row::Table("")).trim().trim_end_matches(';').to_owned(),
        }
    }

    fn shape_view(&self, view: &ShapeView) -> Value {
        let sql = &self.sql;
        let name = sql.relation_name(&view.schema, &view.name);
        let aliased = |physical: &str, name: &str| {
            if physical == name { sql.ident(name) } else { format!("{} as {}", sql.ident(physical), sql.ident(name)) }
        };
        let writes = view.writes.clone().unwrap_or(crate::plan::model::ViewWrites {
            key: Vec::new(),
            computed: Vec::new(),
            defaults: Vec::new(),
            old: Vec::new(),
            marker: Marker::Without,
        });
        let written: Vec<_> = view.columns.iter().filter(|column| !writes.computed.contains(&column.name)).collect();
        let value = |name: &str| {
            let given = sql.column(name, Row::New);
            match writes.defaults.iter().find(|(column, _)| column == name) {
                Some((_, default)) => format!("coalesce({given}, {})", self.text(default)),
                None => given,
            }
        };
        let mut columns: Vec<String> = written.iter().map(|column| sql.ident(&column.physical)).collect();
        let mut values: Vec<String> = written
            .iter()
            .map(|column| if writes.old.is_empty() { value(&column.name) } else { [ROW, &sql.ident(&column.physical)].join(".") })
            .collect();
        let row: Vec<String> = view
            .columns
            .iter()
            .map(|column| {
                let value = value(&column.name);
                format!("{value} as {}", sql.ident(&column.physical))
            })
            .collect();
        for column in &writes.old {
            if let Some(formula) = &column.formula {
                columns.push(sql.ident(&column.name));
                values.push(sql.value(formula, &column.ty, Row::Table(ROW)));
            }
        }
        if writes.marker == Marker::With {
            columns.push(sql.ident(MARKER));
            values.push("2".to_owned());
        }
        let key: Vec<String> = if writes.key.is_empty() { written.iter().map(|c| c.name.clone()).collect() } else { writes.key.clone() };
        let found: Vec<String> = view
            .columns
            .iter()
            .filter(|column| key.contains(&column.name))
            .map(|column| format!("{} is {}", sql.ident(&column.physical), apart(&sql.column(&column.name, Row::Old), &view.table)))
            .collect();
        let sets: Vec<String> = written
            .iter()
            .map(|column| format!("{} = {}", sql.ident(&column.physical), apart(&sql.column(&column.name, Row::New), &view.table)))
            .collect();
        context! {
            view => sql.ident(&name),
            insert => sql.ident(&format!("{name}_insert")),
            update => sql.ident(&format!("{name}_update")),
            delete => sql.ident(&format!("{name}_delete")),
            table => sql.ident(&view.table),
            hidden => hides_rows(&view.table),
            shown => view.columns.iter().map(|c| aliased(&c.physical, &c.name)).collect::<Vec<_>>().join(", "),
            columns => columns.join(", "),
            values => values.join(", "),
            row => (!writes.old.is_empty()).then(|| row.join(", ")),
            sets => sets.join(", "),
            found => found.join(" and "),
        }
    }
}

/// The way back of a rebuild.
fn back(rebuild: &Rebuild) -> Rebuild {
    let source = |column: &ColumnSpec| {
        let from = rebuild.after.columns.iter().zip(&rebuild.sources).find_map(|(after, source)| match source {
            Source::Column(name) if *name == column.name => Some(after.name.clone()),
            _ => None,
        });
        match from {
            _ if column.generated.is_some() => Source::Generated,
            Some(name) => Source::Column(name),
            None => Source::Nothing,
        }
    };
    Rebuild {
        sources: rebuild.before.columns.iter().map(source).collect(),
        before: rebuild.after.clone(),
        after: rebuild.before.clone(),
        sync: None,
        mirrors: Vec::new(),
        undo: Undo::Elsewhere,
    }
}

/// Whether a default may stand without parentheses: a literal, or one of the three words for the time.
fn is_bare(text: &str) -> bool {
    let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b));
    let quoted =
        text.len() >= 2 && text.starts_with('\'') && text.ends_with('\'') && !text[1..text.len() - 1].replace("''", "").contains('\'');
    (word && !text[1..].contains(['+', '-'])) || quoted
}
