//! An action as statements: which template, with what in it. ALTER TABLE is one line, written here: one kind of change a
//! statement, with the algorithm and the lock that the server must take it with or refuse.

use minijinja::{Value, context};

use crate::dialect::language::{Language, Row};
use crate::dialect::mysql_like::expression::{Expressions, builds_beside_writers, default_text};
use crate::dialect::mysql_like::{INSTANT, MysqlLike, REBUILD};
use crate::plan::model::{
    Action, Backfill, ColumnSpec, CommentTarget, ConstraintSpec, CopyRows, Finding, ForeignKeySpec, Formula, IndexSpec, KeyTarget, Marker,
    Mirror, MirrorSide, OnFinding, Phase, Plan, Rename, Returning, RowExpr, ShapeView, StandIn, Step, SyncColumn, SyncLens, TableSpec,
    Twin, TwinStage, ViewSpec,
};
use crate::plan::{MARKER, Target as _, without_interim};
use crate::snapshot::model::{ReferentialAction, Type};
use crate::sql::Dialect;

use super::super::live;
use super::super::templates::Templates;
use super::super::{EmitError, Rendered};
use super::mirror::Mirroring;
use super::probe::{Probe, not};
use super::sync;

/// Renders actions for one plan.
pub(super) struct Actions<'a> {
    pub(super) templates: &'a Templates,
    pub(super) sql: Expressions<'a>,
    pub(super) server: MysqlLike,
    pub(super) plan: &'a Plan,
}

/// A statement that is run for one range of a key after the other.
struct Batches<'a> {
    table: &'a str,
    /// Name of the checkpoint.
    name: &'a str,
    batch: u32,
    key: Vec<(String, Type)>,
    /// The statement up to its WHERE.
    what: String,
    /// Whether it updates the table's own rows.
    updates: bool,
    /// Which rows of a range are meant.
    rows: String,
    /// What follows the conditions.
    behind: String,
}

/// What takes the place of a name for the time of a swap.
const PARKED: &str = "crossfade_old_";
/// What is about to take a name.
const INTERIM: &str = "crossfade_new_";

impl Actions<'_> {
    pub(super) fn render(&self, name: &str, context: Value) -> Rendered {
        self.templates.render(&format!("mysql_like/{name}"), context)
    }

    fn probe(&self) -> Probe<'_> {
        Probe { sql: &self.sql }
    }

    fn text(&self, expr: &RowExpr) -> String {
        self.sql.written(expr, Row::Table("")).trim().to_owned()
    }

    /// A statement that runs if it is needed.
    fn step(&self, needed: &str, statement: &str) -> String {
        format!("call crossfade_step(\n  {needed},\n  {});", self.sql.literal(statement))
    }

    fn alter(&self, needed: &str, table: &str, change: &str, clauses: &str) -> String {
        self.step(needed, &format!("alter table {} {change}, {clauses}", self.sql.ident(table)))
    }

    /// What no plan for these servers has.
    fn never(&self, action: &Action) -> EmitError {
        let name: String = format!("{action:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        EmitError { template: format!("mysql_like/{name}"), why: "there is none".to_owned() }
    }

    /// The statements that do it.
    pub(super) fn apply(&self, action: &Action) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        Ok(match action {
            Action::CheckRows { table, key, finding, on_finding, .. } => return self.check_rows(table, key, finding, *on_finding, None),
            Action::CreateTable(spec) => return self.create_table(spec),
            Action::DropTable { table } => format!("drop table if exists {};", sql.ident(table)),
            Action::AddColumns { table, columns, marker } => {
                let mut statements: Vec<String> = columns
                    .iter()
                    .map(|column| {
                        let change = format!("add column {}", self.column_definition(column));
                        self.alter(&not(&probe.column(table, &column.name)), table, &change, INSTANT)
                    })
                    .collect();
                if *marker == Marker::With {
                    let marker = sql.ident(MARKER);
                    // In one statement they would copy the table.
                    statements.push(self.alter(
                        &not(&probe.column(table, MARKER)),
                        table,
                        &format!("add column {marker} varchar(64) null invisible"),
                        INSTANT,
                    ));
                    let bare = probe.column_with(table, MARKER, " and column_default is null");
                    // MariaDB shows a missing default of a column that may be NULL as the word.
                    let bare = bare.replace("column_default is null", "coalesce(column_default, 'NULL') = 'NULL'");
                    statements.push(self.alter(&bare, table, &format!("alter column {marker} set default (database())"), INSTANT));
                }
                statements.join("\n")
            }
            Action::RestateColumn { table, old, new, loosened } => self.restate(table, old, new, loosened),
            Action::InstallSync(sync) => return self.render("install_sync", sync::context(sync, sql, self.plan)),
            Action::RemoveSync(sync) => {
                return self.render(
                    "remove_sync",
                    context! {
                        insert_trigger => sql.ident(&sync.insert_trigger),
                        update_trigger => sql.ident(&sync.update_trigger),
                        returns => !sync.returns.is_empty(),
                    },
                );
            }
            Action::InstallMirror(mirror) => return self.install_mirror(mirror),
            Action::CopyRows(copy) => return self.copy_rows(copy),
            Action::RemoveMirror(mirror) => self.remove_mirror(mirror),
            Action::Twin(stage, twin) => return self.twin(*stage, twin),
            Action::SetDefault { table, column, default, .. } => {
                let change = format!("alter column {} set default {}", sql.ident(column), self.text(default));
                self.alter(&probe.column(table, column), table, &change, INSTANT)
            }
            Action::StandIn(StandIn { table, column, default, reads }) => {
                let columns: Vec<String> = reads.iter().chain([column]).cloned().collect();
                let change = format!("alter column {} set default ({})", sql.ident(column), self.text(default));
                self.alter(&probe.columns(table, &columns), table, &change, INSTANT)
            }
            Action::SettleDefaults { table, defaults, .. } => defaults
                .iter()
                .map(|(column, default)| {
                    let change = match default {
                        Some(default) => format!("set default {}", self.text(default)),
                        None => "drop default".to_owned(),
                    };
                    self.alter(&probe.column(table, column), table, &format!("alter column {} {change}", sql.ident(column)), INSTANT)
                })
                .collect::<Vec<_>>()
                .join("\n"),
            Action::CreateNamespace { schema } => format!("create database if not exists {};", sql.ident(schema)),
            Action::SettleShapeView(view) if self.plan.renames(&view.table) => {
                self.step(&probe.table(&view.table), self.shape_view(view)?.trim_end_matches(';'))
            }
            Action::CreateShapeView(view) | Action::SettleShapeView(view) => return self.shape_view(view),
            Action::CreateView(view) | Action::ReplaceView { new: view, .. } => return self.view(view),
            Action::DropViews { views, .. } => self.drop_views(views),
            Action::DropNamespace { schema, views } => self.drop_namespace(schema, views),
            Action::CopyGrants { schema, pairs, lenses } => {
                return self.render(
                    "copy_grants",
                    context! {
                        schema => schema.as_ref().map(|name| sql.ident(name).replace('\'', "''")),
                        pairs => pairs.iter().map(|pair| context! {
                            source => sql.literal(&pair.source),
                            view => sql.qualified(&pair.view.0, &pair.view.1).replace('\'', "''"),
                        }).collect::<Vec<_>>(),
                        lenses => lenses.iter().map(|lens| context! {
                            table => sql.ident(&lens.table).replace('\'', "''"),
                            table_literal => sql.literal(&lens.table),
                            new => sql.list(&lens.new).replace('\'', "''"),
                            old => lens.old.iter().map(|name| sql.literal(name)).collect::<Vec<_>>().join(", "),
                            count => lens.old.len(),
                        }).collect::<Vec<_>>(),
                    },
                );
            }
            Action::Backfill(backfill) => return self.backfill(backfill),
            Action::CreateIndex(index) => self.create_index(index),
            Action::DropIndex { index, .. } => self.drop_index(&index.table, &index.name),
            Action::AddForeignKey { spec, until } => {
                if let Some(to) = until.as_ref().and_then(|_| self.name_in_the_end(&spec.table, &spec.key.name.text)) {
                    let orphans = self.check_rows(&spec.table, &[], &Finding::Orphan(spec.clone()), OnFinding::Refuse, None)?;
                    let needed = format!(
                        "{}\n    and {}",
                        not(&probe.constraint(&spec.table, &spec.key.name.text)),
                        not(&probe.foreign_key(spec, to))
                    );
                    return Ok([self.foreign_key_added(&needed, spec), orphans].join("\n"));
                }
                let orphans = self.check_rows(&spec.table, &[], &Finding::Orphan(spec.clone()), OnFinding::Refuse, None)?;
                [self.add_foreign_key(spec), orphans].join("\n")
            }
            Action::ReturnForeignKey(spec) => self.add_foreign_key(spec),
            Action::DropConstraint { table, constraint } => self.drop_constraint(table, constraint),
            // Whether a client may give the number itself is not for the server to say.
            Action::AlterIdentity { column, .. } => format!("-- {column} counts as before."),
            Action::AddPrimaryKey { table, index, .. } => self.change_primary_key(table, index),
            Action::ReturnPrimaryKey { table, from, to } => {
                let is = |columns: &[String]| format!("{} <=> {}", probe.key_columns(table), sql.literal(&columns.join(",")));
                self.alter(&is(from), table, &format!("drop primary key, add primary key ({})", sql.list(to)), REBUILD)
            }
            Action::AddCheck { table, name, condition, until } => {
                let mut needed = self.missing(table, &probe.constraint(table, name));
                if until.is_some() {
                    needed = format!("{needed}\n    and not {}", self.is_done(&check_renamed(table, name)));
                }
                self.add_check(&needed, table, name, condition)
            }
            Action::RenameConstraint { table, rename } if self.check_called(table, &rename.from).is_some() => {
                self.rename_check(table, &rename.from, &rename.to)
            }
            Action::RenameConstraint { table, rename } => match self.foreign_key_called(table, &rename.from) {
                Some(spec) => self.rename_foreign_key(table, spec, rename),
                None => self.rename_index(table, &rename.from, &rename.to),
            },
            Action::RenameIndex(rename) => {
                // The statement names the table too.
                format!("-- {} is called {} from now on.", rename.from, rename.to)
            }
            Action::SwapColumns { table, drops, computed, renames } => {
                if !renames.is_empty() {
                    return Err(self.never(action));
                }
                drops.iter().map(|column| self.drop_column(table, column, computed.contains(column))).collect::<Vec<_>>().join("\n")
            }
            Action::ReturnColumns { table, drops, computed, stored, columns, marker } => {
                self.return_columns(table, drops, (computed, stored), columns, *marker)
            }
            Action::TakeEither { table, key, lenses } => {
                let mut statements = Vec::new();
                for lens in lenses {
                    statements.push(self.check_rows(table, key, &Finding::Disagree(lens.clone()), OnFinding::Refuse, None)?);
                }
                let change = format!("alter column {} set default {}", sql.ident(MARKER), sql.literal(Returning::Either.mark()));
                statements.push(self.alter(&self.is_marked(table, Returning::Followed.mark()), table, &change, INSTANT));
                statements.join("\n")
            }
            Action::RenameTable { from, to, view } => self.rename_table(from, to, view.as_ref())?,
            Action::Comment { target, new, .. } => self.comment(target, new.as_deref())?,
            Action::CreateExtension(_)
            | Action::DropExtension(_)
            | Action::CreateEnum(_)
            | Action::AddEnumValue { .. }
            | Action::DropEnum(_)
            | Action::RenameType(_)
            | Action::CreateSequence(_)
            | Action::AlterSequence { .. }
            | Action::DropSequence(_)
            | Action::DropNotNull { .. }
            | Action::SetNotNull { .. }
            | Action::AlterType { .. }
            | Action::AddCounter { .. }
            | Action::AdvanceIdentity { .. }
            | Action::AddIdentity { .. }
            | Action::DropIdentity { .. }
            | Action::AttachUnique { .. }
            | Action::AddNotNullCheck { .. }
            | Action::ValidateConstraint { .. }
            | Action::AlterForeignKey { .. }
            | Action::RestoreForeignKey(_)
            | Action::Analyze { .. }
            | Action::RenameView(_)
            | Action::TidyNames { .. }
            | Action::ShareNumbers { .. }
            | Action::RebuildTable(_)
            | Action::AlterRules(_) => return Err(self.never(action)),
        })
    }

    /// The statements that take it back before contract; `None` where nothing is left to take back.
    pub(super) fn undo(&self, action: &Action) -> Result<Option<String>, EmitError> {
        let (sql, probe) = (&self.sql, self.probe());
        Ok(Some(match action {
            Action::CreateTable(spec) => format!("drop table if exists {};", sql.ident(&spec.name)),
            Action::AddColumns { table, columns, marker } => {
                let mut names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
                if *marker == Marker::With {
                    names.push(MARKER);
                }
                let computed = |name: &str| columns.iter().any(|column| column.name == name && column.generated.is_some());
                let drop = |name: &&str| self.drop_column(table, name, computed(name));
                names.iter().map(drop).collect::<Vec<_>>().join("\n")
            }
            Action::RestateColumn { table, old, new, .. } => self.restate(table, new, old, &[]),
            Action::InstallSync(sync) => self.apply(&Action::RemoveSync(sync.clone()))?,
            Action::InstallMirror(mirror) => self.remove_mirror(mirror),
            Action::SetDefault { table, column, origin: crate::plan::model::Origin::Old, .. } => {
                self.alter(&probe.column(table, column), table, &format!("alter column {} drop default", sql.ident(column)), INSTANT)
            }
            Action::StandIn(StandIn { table, column, .. }) => {
                self.alter(&probe.column(table, column), table, &format!("alter column {} drop default", sql.ident(column)), INSTANT)
            }
            Action::CreateNamespace { schema } => self.drop_namespace(schema, &[]),
            Action::CreateShapeView(view) => self.drop_views(&[(view.schema.clone(), view.name.clone())]),
            Action::CreateView(view) => self.drop_views(&[(view.schema.clone(), view.name.clone())]),
            Action::ReplaceView { old, .. } => self.view(old)?,
            Action::CreateIndex(IndexSpec { table, name, .. }) => {
                self.drop_index_with(table, name, if self.orders_rows(table, name) { self.server.copy } else { self.server.index })
            }
            Action::AddCheck { table, name, condition, .. } => {
                self.drop_constraint(table, &ConstraintSpec::Check(name.clone(), condition.clone()))
            }
            Action::AddForeignKey { spec, .. } => self.drop_constraint(&spec.table, &ConstraintSpec::ForeignKey(spec.clone())),
            Action::DropIndex { index, .. } => self.create_index(index),
            Action::DropConstraint { table, constraint } => self.restore_constraint(table, constraint),
            Action::Comment { target, old, .. } => self.comment(target, old.as_deref())?,
            _ => return Ok(None),
        }))
    }

    /// The rows that would keep abort from restoring a rule that expand took away.
    pub(super) fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError> {
        let (table, finding) = match action {
            Action::RestateColumn { table, old, new, .. } if old.not_null && !new.not_null => (table, Finding::Null(old.name.clone())),
            Action::DropConstraint { table, constraint } => (
                table,
                match constraint {
                    ConstraintSpec::Check(name, condition) => Finding::Check(name.clone(), condition.clone()),
                    ConstraintSpec::Unique(unique) => Finding::Duplicate {
                        name: unique.name.text.clone(),
                        keys: KeyTarget::columns(&unique.columns),
                        predicate: None,
                        nulls_not_distinct: false,
                    },
                    ConstraintSpec::ForeignKey(spec) => Finding::Orphan(spec.clone()),
                    ConstraintSpec::PrimaryKey(_) | ConstraintSpec::Exclusion(_) => return Ok(None),
                },
            ),
            _ => return Ok(None),
        };
        let why = "The old version's rule can't be restored over these rows. Change them, then run abort.sql again; nothing was changed.";
        self.check_rows(table, &[], &finding, OnFinding::Refuse, Some(why)).map(Some)
    }

    // --- columns ---

    fn column_definition(&self, column: &ColumnSpec) -> String {
        let sql = &self.sql;
        let mut parts = vec![sql.ident(&column.name), sql.ty(&column.ty)];
        if let Some(collation) = &column.collation {
            parts.push(format!("collate {collation}"));
        }
        match &column.generated {
            Some((expression, stored)) => {
                let kind = if *stored { "stored" } else { "virtual" };
                parts.push(format!("generated always as ({}) {kind}", self.text(expression)));
                // MariaDB takes neither word there.
                if column.not_null && self.server.dialect == Dialect::Mysql {
                    parts.push("not null".to_owned());
                }
            }
            None => parts.push(if column.not_null { "not null" } else { "null" }.to_owned()),
        }
        if let Some(default) = &column.default {
            parts.push(format!("default {}", default_text(&column.ty, &self.text(default), self.server.dialect)));
        }
        if column.identity.is_some() {
            parts.push("auto_increment".to_owned());
        }
        if column.hidden {
            parts.push("invisible".to_owned());
        }
        if let Some(comment) = &column.comment {
            parts.push(format!("comment {}", sql.literal(comment)));
        }
        parts.join(" ")
    }

    /// MySQL does not count a virtual column that goes as INSTANT when others stand in the table; it writes nothing for it either.
    fn drop_column(&self, table: &str, column: &str, computed: bool) -> String {
        let clauses = if computed { self.server.metadata } else { INSTANT };
        self.alter(&self.probe().column(table, column), table, &format!("drop column {}", self.sql.ident(column)), clauses)
    }

    /// That something is missing in a table, and the table is not called otherwise by now.
    fn missing(&self, table: &str, exists: &str) -> String {
        if self.plan.renames(table) { format!("{}\n    and {}", not(exists), self.probe().table(table)) } else { not(exists) }
    }

    /// Whether the marker of a table has a default with these words.
    fn is_marked(&self, table: &str, words: &str) -> String {
        let like = format!(" and column_default like {}", self.sql.literal(&format!("%{words}%")));
        self.probe().column_with(table, MARKER, &like)
    }

    /// Where columns of a table come back to their names: whether they have not done so yet, which the names don't tell.
    fn before_return(&self, table: &str) -> Option<String> {
        let comes = self
            .plan
            .steps
            .iter()
            .any(|step| matches!(&step.action, Action::ReturnColumns { table: of, marker: Marker::With, .. } if of == table));
        comes.then(|| self.is_marked(table, "database()"))
    }

    /// The same where contract makes something of a name that the old shape has, so that only the old one goes.
    fn before_name_returns(&self, table: &str, name: &str) -> Option<String> {
        let is_made = |action: &Action| match action {
            Action::CreateIndex(index) => index.table == table && index.name == name,
            Action::AddForeignKey { spec, .. } | Action::ReturnForeignKey(spec) => spec.table == table && spec.key.name.text == name,
            Action::AddCheck { table: of, name: called, .. } => of == table && called == name,
            _ => false,
        };
        let again = self.plan.steps.iter().any(|step| step.phase == Phase::Contract && is_made(&step.action));
        self.before_return(table).filter(|_| again)
    }

    /// Old columns go and others take their names. The triggers name both, so there is no instant without either: one statement,
    /// which also gives the marker another default, so that every row says from then on how the triggers are to read it.
    fn return_columns(
        &self,
        table: &str,
        drops: &[String],
        (computed, stored): (&[String], &[String]),
        columns: &[ColumnSpec],
        marker: Marker,
    ) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let is_computed = |name: &String| computed.contains(name);
        let (virtuals, plain): (Vec<&ColumnSpec>, Vec<&ColumnSpec>) = columns.iter().partition(|column| column.generated.is_some());
        if marker == Marker::Without {
            let step = format!("return {table}");
            let needed = format!("not {}", self.is_done(&step));
            let mut statements: Vec<String> = virtuals
                .iter()
                .map(|column| {
                    let gone = drops.iter().filter(|name| **name == column.name).map(|name| format!("drop column {}, ", sql.ident(name)));
                    let change = format!("{}add column {}", gone.collect::<String>(), self.column_definition(column));
                    // To MySQL it is one or the other, by what goes: run again behind it, the first would not be INSTANT.
                    if stored.contains(&column.name) {
                        let still = probe.column_with(table, &column.name, " and lower(extra) like '%stored%'");
                        return self.alter(&format!("{needed}\n    and {still}"), table, &change, INSTANT);
                    }
                    self.alter(&needed, table, &change, self.server.metadata)
                })
                .collect();
            statements.push(format!(
                "insert ignore into crossfade_journal (`release`, step) values ({}, {});",
                sql.literal(&self.plan.release),
                sql.literal(&step)
            ));
            return statements.join("\n");
        }
        let needed = self.is_marked(table, "database()");
        // MariaDB takes or drops a virtual column in a statement of its own only; no trigger names one.
        let mut statements: Vec<String> = drops
            .iter()
            .filter(|name| is_computed(name))
            .map(|name| {
                let needed = format!("{needed}\n    and {}", probe.column(table, name));
                self.alter(&needed, table, &format!("drop column {}", sql.ident(name)), self.server.metadata)
            })
            .collect();
        // MariaDB makes no column virtual beside another change: it does so once the triggers leave the name alone.
        let becomes_virtual = |name: &String| !is_computed(name) && virtuals.iter().any(|column| column.name == *name);
        let goes = |name: &&String| !is_computed(name) && !becomes_virtual(name);
        let mut changes: Vec<String> = drops.iter().filter(goes).map(|name| format!("drop column {}", sql.ident(name))).collect();
        changes.extend(plain.iter().map(|column| {
            let empty = ColumnSpec { not_null: false, ..(*column).clone() };
            format!("add column {}", self.column_definition(&empty))
        }));
        let marker = sql.ident(MARKER);
        changes.push(format!("drop column {marker}"));
        changes.push(format!("add column {marker} varchar(64) null default {} invisible", sql.literal(Returning::Followed.mark())));
        statements.push(self.alter(&needed, table, &changes.join(",\n    "), INSTANT));
        statements.extend(virtuals.iter().map(|column| {
            let change = format!("add column {}", self.column_definition(column));
            if drops.iter().any(|name| *name == column.name && becomes_virtual(name)) {
                let still = probe.column_with(table, &column.name, " and lower(extra) not like '%generated%'");
                return self.alter(&still, table, &format!("drop column {}, {change}", sql.ident(&column.name)), INSTANT);
            }
            self.alter(&not(&probe.column(table, &column.name)), table, &change, self.server.metadata)
        }));
        statements.join("\n")
    }

    /// A column with one thing about it changed.
    fn restate(&self, table: &str, old: &ColumnSpec, new: &ColumnSpec, loosened: &[ColumnSpec]) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let beside = |column: &ColumnSpec| format!("modify column {}, ", self.column_definition(column));
        let modify = format!("{}modify column {}", loosened.iter().map(beside).collect::<String>(), self.column_definition(new));
        if old.not_null != new.not_null {
            let nullable = if new.not_null { "YES" } else { "NO" };
            let mut needed = probe.column_with(table, &new.name, &format!(" and is_nullable = '{nullable}'"));
            // A helper column of a key takes NULL again once the key has left it.
            if let Some(before) = self.before_return(table).filter(|_| new.not_null && new.name.starts_with(INTERIM)) {
                needed = format!("{needed}\n    and {before}");
            }
            return self.alter(&needed, table, &modify, REBUILD);
        }
        if old.hidden != new.hidden {
            let (still, words) =
                if new.hidden { ("not like '%invisible%'", "set invisible") } else { ("like '%invisible%'", "set visible") };
            let needed = probe.column_with(table, &new.name, &format!(" and lower(extra) {still}"));
            let change = if self.server.sets_visible { format!("alter column {} {words}", sql.ident(&new.name)) } else { modify };
            return self.alter(&needed, table, &change, INSTANT);
        }
        if old.default != new.default {
            // Run again, when it has become NOT NULL since, it would take that away.
            let nullable = if new.not_null { "NO" } else { "YES" };
            let needed = probe.column_with(table, &new.name, &format!(" and is_nullable = '{nullable}'"));
            return self.alter(&needed, table, &modify, INSTANT);
        }
        let (before, after) = (sql.ty(&old.ty), sql.ty(&new.ty));
        let clauses = match after.starts_with("enum") {
            _ if old.ty == new.ty => INSTANT,
            // What has come to the end changes no number.
            true if after.starts_with(before.trim_end_matches(')')) => INSTANT,
            true => self.server.copy,
            false if self.server.widens_in_place(&old.ty, &new.ty) => self.server.metadata,
            // Abort narrows it again.
            false => self.server.copy,
        };
        self.alter(&probe.column(table, &new.name), table, &modify, clauses)
    }

    // --- tables ---

    fn create_table(&self, spec: &TableSpec) -> Rendered {
        let sql = &self.sql;
        let mut lines: Vec<String> = spec.columns.iter().map(|c| self.column_definition(c)).collect();
        if let Some(key) = &spec.primary_key {
            lines.push(format!("primary key ({})", sql.list(&key.columns)));
        }
        lines.extend(spec.uniques.iter().map(|u| format!("unique key {} ({})", sql.ident(&u.name.text), sql.list(&u.columns))));
        lines.extend(spec.indexes.iter().map(|index| self.index_definition(index)));
        lines
            .extend(spec.checks.iter().map(|(name, condition)| format!("constraint {} check ({})", sql.ident(name), self.text(condition))));
        self.render(
            "create_table",
            context! { name => sql.ident(&spec.name), lines, comment => spec.comment.as_ref().map(|text| sql.literal(text)) },
        )
    }

    /// A table takes the name that a view has, or changes its name under a view: all names in one statement.
    fn rename_table(&self, from: &str, to: &str, view: Option<&ShapeView>) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        let parked = sql.ident(&crate::snapshot::names::bounded(&format!("{PARKED}{to}"), self.server.dialect));
        let (old, new) = (sql.ident(from), sql.ident(to));
        let view = match view {
            None => return Ok(self.step(&probe.table(from), &format!("rename table {old} to {new}"))),
            Some(view) if view.schema == self.plan.schema => {
                let needed = format!("{} and {}", probe.table(from), probe.view(to));
                let swap = self.step(&needed, &format!("rename table {new} to {parked}, {old} to {new}"));
                return Ok([swap, format!("drop view if exists {parked};")].join("\n"));
            }
            Some(view) => view,
        };
        let interim = crate::snapshot::names::bounded(&format!("{INTERIM}{to}"), self.server.dialect);
        let next = ShapeView { name: interim.clone(), table: to.to_owned(), ..view.clone() };
        let still = probe.table(from);
        let shown = |name: &str| sql.qualified(&view.schema, name);
        let parked_view = sql.qualified(&view.schema, &crate::snapshot::names::bounded(&format!("{PARKED}{to}"), self.server.dialect));
        // A view can't be made over a table that is not there: an empty one stands in for it until the names change places.
        Ok([
            self.step(&format!("{still} and {}", not(&probe.table(to))), &format!("create table {new} like {old}")),
            self.step(&still, self.shape_view(&next)?.trim_end_matches(';')),
            self.step(
                &still,
                &format!(
                    "rename table {new} to {parked}, {old} to {new}, {} to {parked_view}, {} to {}",
                    shown(&view.name),
                    shown(&interim),
                    shown(&view.name)
                ),
            ),
            format!("drop view if exists {parked_view};"),
            format!("drop table if exists {parked};"),
        ]
        .join("\n"))
    }

    // --- indexes and constraints ---

    fn index_definition(&self, index: &IndexSpec) -> String {
        let sql = &self.sql;
        let keys: Vec<String> = index
            .keys
            .iter()
            .map(|key| {
                let mut text = match &key.target {
                    KeyTarget::Column(name) => sql.ident(name),
                    KeyTarget::Expression(expr) => format!("({})", self.text(expr)),
                };
                if let Some(length) = key.length {
                    text.push_str(&format!("({length})"));
                }
                if key.descending {
                    text.push_str(" desc");
                }
                text
            })
            .collect();
        let kind = match index.method.as_str() {
            "fulltext" => "fulltext index",
            "spatial" => "spatial index",
            _ if index.unique => "unique index",
            _ => "index",
        };
        let mut text = format!("{kind} {} ({})", sql.ident(&index.name), keys.join(", "));
        if index.method == "hash" {
            text.push_str(" using hash");
        }
        if let Some(comment) = &index.comment {
            text.push_str(&format!(" comment {}", sql.literal(comment)));
        }
        text
    }

    fn create_index(&self, index: &IndexSpec) -> String {
        let needed = self.missing(&index.table, &self.probe().index(&index.table, &index.name));
        let clauses =
            if builds_beside_writers(index) { self.index_clauses(&index.table, &index.name) } else { "algorithm=inplace, lock=shared" };
        self.alter(&needed, &index.table, &format!("add {}", self.index_definition(index)), clauses)
    }

    fn drop_index(&self, table: &str, name: &str) -> String {
        self.drop_index_with(table, name, self.server.index)
    }

    /// Whether the rows lie in the order of an index when it comes or goes.
    fn orders_rows(&self, table: &str, name: &str) -> bool {
        self.plan.orders_rows.contains(&(table.to_owned(), name.to_owned()))
    }

    /// The clauses of an index that is built beside writers.
    fn index_clauses(&self, table: &str, name: &str) -> &'static str {
        if self.orders_rows(table, name) { REBUILD } else { self.server.index }
    }

    fn drop_index_with(&self, table: &str, name: &str, clauses: &str) -> String {
        let probe = self.probe();
        // Where another one is to have the name, that one is still called otherwise.
        let next = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::RenameConstraint { rename, .. } if rename.to == name => Some(rename.from.as_str()),
            _ => None,
        });
        let needed = match next {
            Some(next) => format!("{}\n    and {}", probe.index(table, name), probe.index(table, next)),
            None => probe.index(table, name),
        };
        let needed = match self.before_name_returns(table, name) {
            Some(before) => format!("{needed}\n    and {before}"),
            None => needed,
        };
        self.alter(&needed, table, &format!("drop index {}", self.sql.ident(name)), clauses)
    }

    fn rename_index(&self, table: &str, from: &str, to: &str) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let needed = format!("{} and {}", probe.index(table, from), not(&probe.index(table, to)));
        self.alter(&needed, table, &format!("rename index {} to {}", sql.ident(from), sql.ident(to)), self.server.metadata)
    }

    fn foreign_key(&self, spec: &ForeignKeySpec) -> String {
        let sql = &self.sql;
        let key = &spec.key;
        let mut text = format!(
            "constraint {} foreign key ({}) references {} ({})",
            sql.ident(&key.name.text),
            sql.list(&key.columns),
            sql.ident(&key.ref_table),
            sql.list(&key.ref_columns)
        );
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
        text
    }

    /// With the checks on, the server would copy the table, and keep its writers waiting.
    fn add_foreign_key(&self, spec: &ForeignKeySpec) -> String {
        self.foreign_key_added(&self.missing(&spec.table, &self.probe().constraint(&spec.table, &spec.key.name.text)), spec)
    }

    fn foreign_key_added(&self, needed: &str, spec: &ForeignKeySpec) -> String {
        let add = self.alter(needed, &spec.table, &format!("add {}", self.foreign_key(spec)), self.server.index);
        ["set session foreign_key_checks = 0;", &add, "set session foreign_key_checks = 1;"].join("\n")
    }

    fn add_check(&self, needed: &str, table: &str, name: &str, condition: &RowExpr) -> String {
        let change = format!("add constraint {} check ({})", self.sql.ident(name), self.text(condition));
        self.alter(needed, table, &change, self.server.copy)
    }

    /// The check that the plan adds under a name.
    fn check_called(&self, table: &str, name: &str) -> Option<&RowExpr> {
        let table = self.called_before(table);
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::AddCheck { table: of, name: called, condition, .. } if of == table && called == name => Some(condition),
            _ => None,
        })
    }

    /// Whether the journal says that something is done which the catalog can't tell.
    fn is_done(&self, step: &str) -> String {
        let (release, step) = (self.sql.literal(&self.plan.release), self.sql.literal(step));
        format!("exists (select * from crossfade_journal where `release` = {release} and step = {step})")
    }

    /// No check can be renamed: the same one is made under the other name before this one goes.
    fn rename_check(&self, table: &str, from: &str, to: &str) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let Some(condition) = self.check_called(table, from) else { return String::new() };
        let (is_old, is_new) = (probe.constraint(table, from), probe.constraint(table, to));
        [
            self.add_check(&format!("{is_old}\n    and {}", not(&is_new)), table, to, condition),
            format!(
                "insert ignore into crossfade_journal (`release`, step) select {}, {} from dual where {is_new};",
                sql.literal(&self.plan.release),
                sql.literal(&check_renamed(self.called_before(table), from))
            ),
            self.alter(&is_old, table, &format!("drop constraint {}", sql.ident(from)), INSTANT),
        ]
        .join("\n")
    }

    /// The index that is to be the primary key.
    fn new_key(&self, table: &str) -> Option<&IndexSpec> {
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::AddPrimaryKey { table: of, index, .. } if of == table => self.plan.steps.iter().find_map(|step| match &step.action {
                Action::CreateIndex(spec) if spec.table == *table && spec.name == *index => Some(spec),
                _ => None,
            }),
            _ => None,
        })
    }

    /// The old key goes and the new one comes in one statement, which writes the table anew beside its writers.
    fn change_primary_key(&self, table: &str, index: &str) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let columns: Vec<String> = self
            .new_key(table)
            .into_iter()
            .flat_map(|key| &key.keys)
            .filter_map(|key| match &key.target {
                KeyTarget::Column(name) => Some(name.clone()),
                KeyTarget::Expression(_) => None,
            })
            .collect();
        let is = format!("({} <=> {})", probe.key_columns(table), sql.literal(&columns.join(",")));
        let add = format!("add primary key ({})", sql.list(&columns));
        let replace = format!("drop primary key, {add}");
        let has = probe.index(table, "PRIMARY");
        let returned = self.plan.steps.iter().any(|step| matches!(&step.action, Action::ReturnPrimaryKey { table: of, .. } if of == table));
        if let Some(before) = self.before_return(table).filter(|_| returned) {
            // The index stays: rows are found by it as long as the view shows these columns, and foreign keys stand on it.
            return self.alter(&format!("{has}\n    and not {is}\n    and {before}"), table, &replace, REBUILD);
        }
        [
            self.alter(&format!("{has}\n    and not {is}"), table, &replace, REBUILD),
            self.alter(&not(&has), table, &add, REBUILD),
            // It has kept the new key unique up to now.
            self.drop_index(table, index),
        ]
        .join("\n")
    }

    /// What a table is called until the plan renames it: a constraint is renamed behind its table.
    fn called_before<'t>(&'t self, table: &'t str) -> &'t str {
        let renamed = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::RenameTable { from, to, .. } if to == table => Some(from.as_str()),
            _ => None,
        });
        renamed.unwrap_or(table)
    }

    /// What a table is called where a constraint is renamed.
    fn called_at<'t>(&'t self, table: &'t str, constraint: &Rename) -> &'t str {
        let earlier = self
            .plan
            .steps
            .iter()
            .map(|step| &step.action)
            .take_while(|action| !matches!(action, Action::RenameConstraint { rename, .. } if rename == constraint));
        let renamed = earlier.filter_map(|action| match action {
            Action::RenameTable { from, to, .. } if from == table => Some(to.as_str()),
            _ => None,
        });
        renamed.last().unwrap_or(table)
    }

    /// What is to have a name that another one has until then.
    fn name_in_the_end(&self, table: &str, name: &str) -> Option<&str> {
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::RenameConstraint { table: of, rename } if self.called_before(of) == table && rename.from == name => {
                Some(rename.to.as_str())
            }
            _ => None,
        })
    }

    /// The foreign key that the plan adds under a name.
    fn foreign_key_called(&self, table: &str, name: &str) -> Option<&ForeignKeySpec> {
        let table = self.called_before(table);
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::AddForeignKey { spec, .. } if spec.table == table && spec.key.name.text == name => Some(spec),
            _ => None,
        })
    }

    /// No foreign key can be renamed: the same one is made under the other name before this one goes. The rows are proved.
    fn rename_foreign_key(&self, table: &str, spec: &ForeignKeySpec, rename: &Rename) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let Rename { from, to } = rename;
        let mut named = spec.clone();
        table.clone_into(&mut named.table);
        to.clone_into(&mut named.key.name.text);
        named.key.ref_table = self.called_at(&spec.key.ref_table, rename).to_owned();
        let (is_old, is_new) = (probe.constraint(table, from), probe.constraint(table, to));
        [
            self.foreign_key_added(&format!("{is_old}\n    and {}", not(&is_new)), &named),
            self.alter(&is_old, table, &format!("drop foreign key {}", sql.ident(from)), self.server.metadata),
            // Its index, where the server made one for it.
            self.rename_index(table, from, to),
        ]
        .join("\n")
    }

    fn drop_constraint(&self, table: &str, constraint: &ConstraintSpec) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        let name = constraint.name();
        let before = self.before_name_returns(table, name).map(|before| format!("\n    and {before}")).unwrap_or_default();
        let needed = probe.constraint(table, name) + &before;
        match constraint {
            ConstraintSpec::Unique(_) | ConstraintSpec::Exclusion(_) => self.drop_index(table, name),
            ConstraintSpec::Check(..) => self.alter(&needed, table, &format!("drop constraint {}", sql.ident(name)), INSTANT),
            ConstraintSpec::ForeignKey(spec) => {
                // Another one may have taken the name since.
                let needed = probe.foreign_key(spec, name) + &before;
                let drop = self.alter(&needed, table, &format!("drop foreign key {}", sql.ident(name)), self.server.metadata);
                // What comes over a column that comes back has an index of its own.
                let lasting = |step: &&Step| step.phase != Phase::Contract || self.before_return(table).is_none();
                let taken_over = self.plan.steps.iter().filter(lasting).find_map(|step| match &step.action {
                    Action::AddForeignKey { spec: other, .. }
                        if other != spec && other.table == spec.table && other.key.columns == spec.key.columns =>
                    {
                        Some(other.key.name.text.as_str())
                    }
                    _ => None,
                });
                // The index that the server made for the key has its name; it may serve the next one.
                if let Some(next) = taken_over {
                    let next = self.name_in_the_end(table, next).unwrap_or(next);
                    return if next == name { drop } else { [drop, self.rename_index(table, name, next)].join("\n") };
                }
                [drop, self.drop_index(table, name)].join("\n")
            }
            ConstraintSpec::PrimaryKey(_) if self.new_key(table).is_some() => "-- With the new one, in one statement.".to_owned(),
            ConstraintSpec::PrimaryKey(_) => self.alter(&probe.index(table, "PRIMARY"), table, "drop primary key", self.server.copy),
        }
    }

    fn restore_constraint(&self, table: &str, constraint: &ConstraintSpec) -> String {
        let (sql, probe) = (&self.sql, self.probe());
        match constraint {
            ConstraintSpec::Unique(unique) => {
                let needed = not(&probe.index(table, &unique.name.text));
                let change = format!("add unique index {} ({})", sql.ident(&unique.name.text), sql.list(&unique.columns));
                self.alter(&needed, table, &change, self.index_clauses(table, &unique.name.text))
            }
            ConstraintSpec::ForeignKey(spec) => self.add_foreign_key(spec),
            ConstraintSpec::Check(name, condition) => {
                let needed = not(&probe.constraint(table, name));
                self.add_check(&needed, table, name, condition)
            }
            ConstraintSpec::PrimaryKey(_) | ConstraintSpec::Exclusion(_) => String::new(),
        }
    }

    // --- views ---

    fn shape_view(&self, view: &ShapeView) -> Rendered {
        let sql = &self.sql;
        let columns: Vec<String> = view
            .columns
            .iter()
            .map(|column| match column.physical == column.name {
                true => sql.ident(&column.name),
                false => format!("{} as {}", sql.ident(&column.physical), sql.ident(&column.name)),
            })
            .collect();
        let query = format!("select {}\n  from {}", columns.join(", "), sql.qualified(&self.plan.schema, &view.table));
        self.render("view", context! { view => sql.relation(&view.schema, &view.name), query })
    }

    fn view(&self, view: &ViewSpec) -> Rendered {
        let query = self.sql.query(&view.query).trim().trim_end_matches(';').to_owned();
        self.render("view", context! { view => self.sql.relation(&view.schema, &view.name), query })
    }

    fn drop_views(&self, views: &[(String, String)]) -> String {
        let names: Vec<String> = views.iter().map(|(schema, name)| self.sql.relation(schema, name)).collect();
        format!("drop view if exists {};", names.join(", "))
    }

    /// The views, and the database if nothing else is in it.
    fn drop_namespace(&self, schema: &str, views: &[String]) -> String {
        let sql = &self.sql;
        // Where nobody has named the database, the namespace is called after the one that the script runs in.
        let (name, quoted) = if self.plan.schema.is_empty() {
            let suffix = sql.literal(schema);
            (format!("concat(database(), {suffix})"), format!("concat('`', database(), {}, '`')", sql.literal(schema)))
        } else {
            (sql.literal(schema), sql.literal(&sql.ident(schema)))
        };
        let exists = format!("exists (select * from information_schema.schemata where schema_name = {name})");
        let mut statements: Vec<String> = views
            .chunks(50)
            .map(|chunk| {
                let list: Vec<String> =
                    chunk.iter().map(|view| format!("{quoted}, {}", sql.literal(&[".", &sql.ident(view)].concat()))).collect();
                format!("call crossfade_step(\n  {exists},\n  concat('drop view if exists ', {}));", list.join(", ', ', "))
            })
            .collect();
        statements.push(format!(
            "call crossfade_step(\n  {exists}\n    and not exists (select * from information_schema.tables where table_schema = {name})\n    and not exists (select * from information_schema.routines where routine_schema = {name}),\n  concat('drop database ', {quoted}));"
        ));
        statements.join("\n")
    }

    // --- mirrors ---

    fn install_mirror(&self, mirror: &Mirror) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        let mirroring = Mirroring { mirror, sql };
        let triggers: Vec<Value> = mirroring
            .triggers()
            .into_iter()
            .map(|trigger| {
                context! {
                    name => sql.ident(&trigger.name),
                    event => trigger.event,
                    table => sql.ident(&trigger.table),
                    about => trigger.about,
                    declarations => trigger.declarations,
                    lines => trigger.lines.join("\n").lines().map(str::to_owned).collect::<Vec<_>>(),
                }
            })
            .collect();
        let target = sql.ident(&mirror.target);
        // What an expand that was taken back by half may have left there, while nothing kept it in step.
        // The catalog is asked in a statement of its own: one that has tables open as well does not wait for what the catalog's look
        // meets, and MariaDB fails with 1684 instead.
        let stale = format!(
            "@crossfade_stale\n    and exists (select * from crossfade_revision where `release` = {} and phase = 'begun')\n    and exists (select * from {target})",
            sql.literal(&self.plan.release)
        );
        let clear = format!(
            "set @crossfade_stale = {};\n{}",
            not(&probe.trigger(&mirroring.follows_updates())),
            self.step(&stale, &format!("truncate table {target}"))
        );
        let counts = self.counts(&mirror.target).then(|| self.count_on(&mirror.source, &mirror.target, ""));
        self.render(
            "install_mirror",
            context! {
                clear,
                triggers,
                counts,
                // The catalog is read as it is, and not as it was a day ago.
                fresh => self.server.dialect == Dialect::Mysql,
                source => mirror.source.as_str(),
                target => mirror.target.as_str(),
            },
        )
    }

    /// Lets a table count on where another one stands, if it is behind.
    fn count_on(&self, from: &str, to: &str, also: &str) -> String {
        let sql = &self.sql;
        let counter = |table: &str| {
            format!(
                "(select coalesce(max(auto_increment), 1) from information_schema.tables where table_schema = database() and table_name = {})",
                sql.literal(table)
            )
        };
        let change = sql.literal(&format!("alter table {} auto_increment = ", sql.ident(to)));
        let clauses = sql.literal(&format!(", {}", self.server.metadata));
        format!(
            "call crossfade_step(\n  {}\n    > {}{also},\n  concat({change}, {}, {clauses}));",
            counter(from),
            counter(to),
            counter(from)
        )
    }

    /// Whether a new table counts its rows.
    fn counts(&self, table: &str) -> bool {
        self.plan.steps.iter().any(|step| match &step.action {
            Action::CreateTable(spec) => spec.name == table && spec.columns.iter().any(|column| column.identity.is_some()),
            _ => false,
        })
    }

    /// First those of the source: what they would carry over is no longer kept in step from then on.
    fn remove_mirror(&self, mirror: &Mirror) -> String {
        let names = Mirroring { mirror, sql: &self.sql }.names();
        names.iter().map(|name| format!("drop trigger if exists {};", self.sql.ident(name))).collect::<Vec<_>>().join("\n")
    }

    // --- rows ---

    /// Whether a lens is one between a helper column and the one that comes back.
    fn returns(&self, table: &str, lens: &SyncLens) -> bool {
        self.plan.steps.iter().any(|step| match &step.action {
            Action::ReturnColumns { table: of, columns, .. } => {
                of == table && lens.new.iter().all(|member| columns.iter().any(|column| column.name == member.name))
            }
            _ => false,
        })
    }

    fn check_rows(&self, table: &str, key: &[String], finding: &Finding, on_finding: OnFinding, why: Option<&str>) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        let own = |column: &String| [sql.ident(table), sql.ident(column)].join(".");
        let names = |columns: &[SyncColumn]| columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        let (message, condition, group, needed) = match finding {
            Finding::Disagree(lens) => {
                let message = match (lens.old.is_empty(), lens.new.is_empty()) {
                    (false, false) => format!("{table}: {} and {} disagree", names(&lens.old), names(&lens.new)),
                    _ => format!("{table}: {} is not filled", names(if lens.new.is_empty() { &lens.old } else { &lens.new })),
                };
                let columns: Vec<String> = lens.old.iter().chain(&lens.new).map(|c| c.name.clone()).collect();
                let mut needed = probe.columns(table, &columns);
                // Once a column has come back to a name, the old shape is gone.
                let when = if self.returns(table, lens) {
                    Some(self.is_marked(table, Returning::Followed.mark()))
                } else {
                    self.before_return(table)
                };
                if let Some(when) = when {
                    needed = format!("{needed}\n    and {when}");
                }
                (message, sql.disagree(lens, Row::Table(table)), None, needed)
            }
            Finding::Unlike(mirror, side) => {
                let message = match side {
                    MirrorSide::Source => format!("{table}: no image in {}, or another one", mirror.target),
                    MirrorSide::Target => format!("{table}: no image of a row of {}", mirror.source),
                };
                let mirroring = Mirroring { mirror, sql };
                // Once the first trigger has gone, the two tables go their own ways.
                let needed = mirroring.names().first().map_or_else(|| "true".to_owned(), |name| probe.trigger(name));
                (message, mirroring.found(*side), None, needed)
            }
            Finding::Null(column) => (
                format!("{table}: {column} is NULL"),
                format!("{} is null", sql.ident(column)),
                None,
                probe.column_with(table, column, " and is_nullable = 'YES'"),
            ),
            Finding::Check(name, condition) => {
                let shown = without_interim(name);
                let mut needed = format!("{}\n    and {}", probe.table(table), not(&probe.constraint(table, name)));
                // Once its columns have come back to their names, or it to its own, the rows have been looked at.
                if let Some(before) = self.before_return(table) {
                    needed = format!("{needed}\n    and {before}");
                } else if shown != name {
                    needed = format!("{needed}\n    and not {}", self.is_done(&check_renamed(table, name)));
                }
                let condition = format!("not ({})", sql.written(condition, Row::Table(table)).trim());
                (format!("{table}: check {shown} is broken"), condition, None, needed)
            }
            Finding::Orphan(spec) => {
                let given: Vec<String> = spec.key.columns.iter().map(|c| format!("{} is not null", own(c))).collect();
                let pairs: Vec<String> = spec
                    .key
                    .columns
                    .iter()
                    .zip(&spec.key.ref_columns)
                    .map(|(from, to)| format!("referred.{} = {}", sql.ident(to), own(from)))
                    .collect();
                let condition = format!(
                    "{} and not exists (select * from {} as referred where {})",
                    given.join(" and "),
                    sql.ident(&spec.key.ref_table),
                    pairs.join(" and ")
                );
                let message = format!("{table}: foreign key {} leads nowhere", spec.key.name.text);
                let mut needed = probe.columns(table, &spec.key.columns);
                // Once the other table has its last name, the rows have been looked at.
                if self.plan.renames(&spec.key.ref_table) {
                    needed = format!("{needed}\n    and {}", probe.table(&spec.key.ref_table));
                }
                (message, condition, None, needed)
            }
            Finding::Duplicate { name, keys, .. } => {
                let plain: Vec<String> = keys
                    .iter()
                    .filter_map(|key| match key {
                        KeyTarget::Column(column) => Some(column.clone()),
                        KeyTarget::Expression(_) => None,
                    })
                    .collect();
                let texts: Vec<String> = keys
                    .iter()
                    .map(|key| match key {
                        KeyTarget::Column(column) => sql.ident(column),
                        KeyTarget::Expression(expr) => format!("({})", self.text(expr)),
                    })
                    .collect();
                let given: Vec<String> = texts.iter().map(|key| format!("{key} is not null")).collect();
                let shown = without_interim(name);
                let needed = format!("{}\n    and {}", not(&probe.index(table, name)), probe.columns(table, &plain));
                (format!("{table}: unique {shown} is broken by keys"), given.join(" and "), Some(texts.join(", ")), needed)
            }
        };
        let key = match (key, finding) {
            ([], Finding::Orphan(spec)) => spec.key.columns.iter().map(own).collect::<Vec<_>>().join(", "),
            ([], _) => "'?'".to_owned(),
            (key, _) => key.iter().map(own).collect::<Vec<_>>().join(", "),
        };
        let hint = match (why, on_finding) {
            (Some(why), _) => why,
            (None, OnFinding::Refuse) => "Nothing was lost. Change these rows, then run this script again.",
            (None, OnFinding::Report) => "Contract will refuse while there are such rows.",
        };
        let what = if group.is_some() { " keys stand there more than once (for example " } else { " rows (for example " };
        self.render(
            "check_rows",
            context! {
                table => sql.ident(table),
                condition,
                group,
                key,
                needed,
                message => sql.literal(&message),
                what => sql.literal(what),
                hint => sql.literal(hint),
                refuse => why.is_some() || on_finding == OnFinding::Refuse,
            },
        )
    }

    // --- copies that take a table's name ---

    fn twin(&self, stage: TwinStage, twin: &Twin) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        let step = format!("twin of {}", twin.table);
        let pending = not(&self.is_done(&step));
        let names = |row: Row<'_>| twin.columns.iter().map(|(name, _)| sql.column(name, row)).collect::<Vec<_>>().join(", ");
        let same = |a: Row<'_>, b: Row<'_>| {
            let pair = |(name, _): &(String, Type)| format!("{} = {}", sql.column(name, a), sql.column(name, b));
            twin.key.iter().map(pair).collect::<Vec<_>>().join(" and ")
        };
        let common = context! {
            release => sql.literal(&self.plan.release),
            step => sql.literal(&step),
            pending => pending.as_str(),
            table => sql.ident(&twin.table),
            table_literal => sql.literal(&twin.table),
            before => sql.literal(&twin.before),
            twin => sql.ident(&twin.twin),
            left => sql.ident(&twin.left),
            is_there => probe.table(&twin.twin),
            is_left => probe.table(&twin.left),
            counts => twin.counts,
        };
        match stage {
            TwinStage::Look => self.render("twin_look", context! { names_checks => self.server.dialect == Dialect::Mysql, ..common }),
            TwinStage::Make => {
                let (table, copy) = (sql.literal(&twin.table), sql.literal(&twin.twin));
                let first = twin.restated.first().map_or_else(String::new, |column| sql.literal(&column.name));
                let unlike = format!(
                    "{pending}\n    and (select count(distinct column_type) from information_schema.columns\n      where table_schema = database() and table_name in ({table}, {copy}) and column_name = {first}) = 1"
                );
                let mut changes: Vec<String> =
                    twin.restated.iter().map(|column| format!("modify column {}", self.column_definition(column))).collect();
                if let Some((columns, indexes)) = &twin.first_key {
                    changes.extend(indexes.iter().map(|index| format!("drop index {}", sql.ident(index))));
                    changes.push(format!("add primary key ({})", sql.list(columns)));
                }
                self.render(
                    "twin_make",
                    context! {
                        name => sql.literal(&twin.copy),
                        retype => self.alter(&unlike, &twin.twin, &changes.join(", "), self.server.copy),
                        triggers => twin.triggers.iter().map(|name| sql.ident(name)).collect::<Vec<_>>(),
                        columns => names(Row::Table("")),
                        given => names(Row::New),
                        sets => twin.columns.iter().map(|(name, _)| format!("{} = {}", sql.ident(name), sql.column(name, Row::New))).collect::<Vec<_>>().join(", "),
                        stays => same(Row::Old, Row::New),
                        key_is_old => twin.key.iter().map(|(name, _)| format!("{} = {}", sql.ident(name), sql.column(name, Row::Old))).collect::<Vec<_>>().join(" and "),
                        ..common
                    },
                )
            }
            TwinStage::Fill => self.batches(&Batches {
                table: &twin.table,
                name: &twin.copy,
                batch: twin.batch,
                key: twin.key.clone(),
                what: format!(
                    "insert into {} ({}) select {} from {}",
                    sql.ident(&twin.twin),
                    names(Row::Table("")),
                    names(Row::Table("")),
                    sql.ident(&twin.table)
                ),
                updates: false,
                rows: self.not_in_twin(twin),
                // A writer may have brought a row since the statement began to look.
                behind: self.unless_in_twin(twin),
            }),
            TwinStage::Compare => self.compare_twin(twin, &pending),
            TwinStage::Swap => {
                let still = format!("\n    and {pending}\n    and {}\n    and not {}", probe.table(&twin.twin), probe.table(&twin.left));
                self.render(
                    "twin_swap",
                    context! {
                        fresh => self.server.dialect == Dialect::Mysql,
                        count_on => self.count_on(&twin.table, &twin.twin, &still),
                        rename => self.step(
                            still.trim_start_matches("\n    and "),
                            &format!("rename table {} to {}, {} to {0}", sql.ident(&twin.table), sql.ident(&twin.left), sql.ident(&twin.twin)),
                        ),
                        triggers => twin.triggers.iter().map(|name| sql.ident(name)).collect::<Vec<_>>(),
                        ..common
                    },
                )
            }
        }
    }

    /// Rows of the table that its copy does not have.
    fn not_in_twin(&self, twin: &Twin) -> String {
        let (sql, table) = (&self.sql, self.sql.ident(&twin.table));
        let pair = |(name, _): &(String, Type)| format!("crossfade_other.{0} = {table}.{0}", sql.ident(name));
        let same = twin.key.iter().map(pair).collect::<Vec<_>>().join(" and ");
        format!("not exists (select * from {} as crossfade_other where {same})", sql.ident(&twin.twin))
    }

    /// Leaves a row of the copy as it is.
    fn unless_in_twin(&self, twin: &Twin) -> String {
        let column = twin.key.first().map(|(name, _)| [self.sql.ident(&twin.twin), self.sql.ident(name)].join(".")).unwrap_or_default();
        format!(" on duplicate key update {column} = {column}")
    }

    /// Looks both ways: triggers don't see a TRUNCATE, nor what a session does without them.
    fn compare_twin(&self, twin: &Twin, pending: &str) -> Rendered {
        let (sql, probe) = (&self.sql, self.probe());
        let needed = format!("{pending}\n    and {}\n    and not {}", probe.table(&twin.twin), probe.table(&twin.left));
        let way = |own: &str, other: &str, message: String, hint: &str| {
            let own = sql.ident(own);
            let equal = |(name, ty): &(String, Type)| {
                format!(
                    "not ({})",
                    sql.distinct(&format!("crossfade_other.{}", sql.ident(name)), &format!("{own}.{}", sql.ident(name)), ty)
                )
            };
            let mut conditions: Vec<String> =
                twin.key.iter().map(|(name, _)| format!("crossfade_other.{0} = {own}.{0}", sql.ident(name))).collect();
            conditions.extend(twin.columns.iter().map(equal));
            self.render(
                "check_rows",
                context! {
                    table => own.as_str(),
                    condition => format!("not exists (select * from {} as crossfade_other where {})", sql.ident(other), conditions.join(" and ")),
                    group => None::<String>,
                    key => twin.key.iter().map(|(name, _)| [own.as_str(), &sql.ident(name)].join(".")).collect::<Vec<_>>().join(", "),
                    needed => needed.as_str(),
                    message => sql.literal(&message),
                    what => sql.literal(" rows (for example "),
                    hint => sql.literal(hint),
                    refuse => true,
                },
            )
        };
        let hint = format!(
            "Something wrote {} behind its triggers. Nothing was lost: make the rows of {} like it by hand, then run this script again.",
            twin.table, twin.twin
        );
        let missing = way(&twin.table, &twin.twin, format!("{}: not in {}, or otherwise", twin.table, twin.twin), &hint)?;
        let surplus = way(&twin.twin, &twin.table, format!("{}: not in {}, or otherwise", twin.twin, twin.table), &hint)?;
        Ok([missing, surplus].join("\n"))
    }

    /// A backfill as the runner does it.
    pub(super) fn live(&self, action: &Action) -> Option<live::Backfill> {
        let sql = &self.sql;
        if let Action::Twin(TwinStage::Fill, twin) = action {
            let columns = twin.columns.iter().map(|(name, _)| sql.ident(name)).collect::<Vec<_>>().join(", ");
            return Some(live::Backfill {
                name: twin.copy.clone(),
                table: sql.ident(&twin.table),
                key: twin.key.iter().map(|(name, ty)| live::KeyColumn { column: sql.ident(name), ty: sql.ty(ty) }).collect(),
                reads: twin.restated.iter().map(|column| sql.ident(&column.name)).collect(),
                work: live::Work::Copy {
                    target: sql.ident(&twin.twin),
                    values: columns.clone(),
                    columns,
                    meant: Some(self.not_in_twin(twin)),
                    key: twin.key.iter().map(|(name, _)| sql.ident(name)).collect::<Vec<_>>().join(", "),
                },
            });
        }
        let Action::Backfill(backfill) = action else { return None };
        let row = Row::Table(&backfill.table);
        let sets = backfill.sets.iter().map(|(name, ty, formula)| format!("{} = {}", sql.ident(name), sql.value(formula, ty, row)));
        Some(live::Backfill {
            name: backfill.name.clone(),
            table: sql.ident(&backfill.table),
            key: backfill.key.iter().map(|(name, ty)| live::KeyColumn { column: sql.ident(name), ty: sql.ty(ty) }).collect(),
            reads: live::reads(backfill.sets.iter().map(|(_, _, formula)| formula)).into_iter().map(|column| sql.ident(column)).collect(),
            work: live::Work::Update { set: sets.collect::<Vec<_>>().join(", "), unfilled: self.unfilled(backfill) },
        })
    }

    fn backfill(&self, backfill: &Backfill) -> Rendered {
        let sql = &self.sql;
        let row = Row::Table(&backfill.table);
        let sets: Vec<String> =
            backfill.sets.iter().map(|(name, ty, formula)| format!("{} = {}", sql.ident(name), sql.value(formula, ty, row))).collect();
        self.batches(&Batches {
            table: &backfill.table,
            name: &backfill.name,
            batch: backfill.batch,
            key: backfill.key.clone(),
            what: format!("update {} set {}", sql.ident(&backfill.table), sets.join(", ")),
            updates: true,
            rows: self.unfilled(backfill),
            behind: String::new(),
        })
    }

    /// Which rows a backfill has to write.
    fn unfilled(&self, backfill: &Backfill) -> String {
        let sql = &self.sql;
        let comes_back = |name: &String| {
            self.plan.steps.iter().any(|step| {
                matches!(&step.action, Action::ReturnColumns { table, columns, .. }
                    if *table == backfill.table && columns.iter().any(|column| column.name == *name))
            })
        };
        if backfill.sets.iter().all(|(name, _, _)| comes_back(name)) {
            // What a foreign key wrote into the helper column alone, before there was one on the other, fired no trigger.
            let row = Row::Table(&backfill.table);
            let unlike =
                |(name, ty, formula): &(String, Type, Formula)| sql.distinct(&sql.column(name, row), &sql.as_stored(formula, ty, row), ty);
            return format!("({})", backfill.sets.iter().map(unlike).collect::<Vec<_>>().join(" or "));
        }
        backfill.sets.iter().map(|(name, _, _)| format!("{} is null", sql.ident(name))).collect::<Vec<_>>().join(" and ")
    }

    fn copy_rows(&self, copy: &CopyRows) -> Rendered {
        let mirror = &copy.mirror;
        let (what, rows) = Mirroring { mirror, sql: &self.sql }.copy(copy);
        self.batches(&Batches {
            table: &mirror.source,
            name: &mirror.copy,
            batch: copy.batch,
            key: mirror.key.iter().map(|key| (key.source.clone(), key.ty.clone())).collect(),
            what,
            updates: false,
            rows,
            behind: String::new(),
        })
    }

    /// Goes through a table by ranges of its key, each with its checkpoint in one transaction.
    fn batches(&self, batches: &Batches<'_>) -> Rendered {
        let sql = &self.sql;
        let count = batches.key.len();
        let table = sql.ident(batches.table);
        let columns: Vec<String> = batches.key.iter().map(|(name, _)| sql.ident(name)).collect();
        let variables = |prefix: &str| (1..=count).map(|n| format!("@{prefix}_{n}")).collect::<Vec<_>>();
        let (cols, desc) = (columns.join(", "), columns.iter().map(|c| format!("{c} desc")).collect::<Vec<_>>().join(", "));
        let los = variables("lo").join(", ");
        let (from, to, after) = (beyond(&columns, ">", true), beyond(&columns, "<", true), beyond(&columns, ">", false));
        let args = |prefix: &str| beyond_arguments(&variables(prefix)).join(", ");
        let is_bytes =
            |ty: &Type| ["binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"].iter().any(|w| sql.ty(ty).starts_with(w));
        let json = |prefix: &str| {
            let parts: Vec<String> = batches
                .key
                .iter()
                .zip(variables(prefix))
                .map(|((_, ty), variable)| if is_bytes(ty) { format!("hex({variable})") } else { format!("cast({variable} as char)") })
                .collect();
            format!("json_array({})", parts.join(", "))
        };
        let read = |of: &str| -> Vec<String> {
            batches
                .key
                .iter()
                .enumerate()
                .map(|(at, (_, ty))| {
                    let text = format!("json_unquote(json_extract({of}, '$[{at}]'))");
                    let name = sql.ty(ty);
                    if is_bytes(ty) {
                        format!("unhex({text})")
                    } else if name.contains("int") {
                        format!("cast({text} as {})", if name.contains("unsigned") { "unsigned" } else { "signed" })
                    } else {
                        text
                    }
                })
                .collect()
        };
        let (of_top, of_last) = (read("@top_key"), read("@last_key"));
        let text = |text: String| sql.literal(&text);
        let range = format!("{from} and {to} and {}", batches.rows);
        let locks = live::rows_are_locked_first(self.server.dialect);
        let share = if batches.updates || locks { "" } else { " lock in share mode" };
        let is_row = columns.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(" and ");
        self.render(
            "backfill",
            context! {
                table,
                table_literal => sql.literal(batches.table),
                release => sql.literal(&self.plan.release),
                name => sql.literal(batches.name),
                // The knee on both servers lies between 1 000 and 5 000 rows a batch.
                batch => batches.batch.min(2_000),
                key => of_top.into_iter().zip(of_last).map(|(of_top, of_last)| context! { of_top, of_last }).collect::<Vec<_>>(),
                cols,
                cols_desc => desc.clone(),
                tops => variables("top").join(", "),
                tops_json => json("top"),
                his_json => json("hi"),
                what => text(batches.what.clone()),
                updates => batches.updates,
                where => text(format!(" where {range}{share}{}", batches.behind)),
                locks => locks.then(|| text(format!("select count(*) into @locked from {} where {range} for update nowait", sql.ident(batches.table)))),
                alone => text(format!(
                    "select count(*) into @locked from {} where {is_row} for update{}",
                    sql.ident(batches.table),
                    if locks { "" } else { " wait 1" }
                )),
                his => variables("hi").join(", "),
                first => text(format!("select {} into {los} from {} order by {} limit 1", columns.join(", "), sql.ident(batches.table), columns.join(", "))),
                next => text(format!("select {} into {los} from {} where {after} order by {} limit 1", columns.join(", "), sql.ident(batches.table), columns.join(", "))),
                bound => text(format!(
                    "select {0} into {1} from (select {0} from {2} where {from} and {to} order by {0} limit ?) as batch order by {desc} limit 1",
                    columns.join(", "),
                    variables("hi").join(", "),
                    sql.ident(batches.table)
                )),
                after_args => args("hi"),
                bound_args => format!("{}, {}, @batch", args("lo"), args("top")),
                range_args => format!("{}, {}", args("lo"), args("hi")),
            },
        )
    }

    fn comment(&self, target: &CommentTarget, text: Option<&str>) -> Rendered {
        let sql = &self.sql;
        match target {
            CommentTarget::Table(table) => {
                let change = format!("comment = {}", sql.literal(text.unwrap_or_default()));
                Ok(self.alter(&self.probe().table(table), table, &change, self.server.metadata))
            }
            _ => Err(EmitError { template: "mysql_like/comment".to_owned(), why: "there is none".to_owned() }),
        }
    }
}

/// How the journal calls a check that has got its name.
fn check_renamed(table: &str, name: &str) -> String {
    format!("check {table}.{name}")
}

/// A key beyond another one, with a place for each value that is compared: neither server goes by an index for `(a, b) > (?, ?)`.
fn beyond(columns: &[String], sign: &str, or_equal: bool) -> String {
    let parts: Vec<String> = (0..columns.len())
        .map(|at| {
            let last = at + 1 == columns.len();
            let mut text: Vec<String> = columns[..at].iter().map(|c| format!("{c} = ?")).collect();
            text.push(format!("{} {sign}{} ?", columns[at], if last && or_equal { "=" } else { "" }));
            text.join(" and ")
        })
        .collect();
    match parts.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" or ")),
    }
}

/// The values for the places of [`beyond`].
fn beyond_arguments(values: &[String]) -> Vec<String> {
    (0..values.len()).flat_map(|at| values[..=at].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_two_columns_is_compared_by_its_parts() {
        let columns = ["a".to_owned(), "b".to_owned()];
        assert_eq!(beyond(&columns, ">", false), "((a > ?) or (a = ? and b > ?))");
        assert_eq!(beyond(&columns[..1], "<", true), "a <= ?");
        assert_eq!(beyond_arguments(&["@x".to_owned(), "@y".to_owned()]), ["@x", "@x", "@y"]);
    }
}
