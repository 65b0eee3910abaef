//! An action as statements: which template, with what in it.

use minijinja::{Value, context};

use crate::dialect::language::{Language, Row};
use crate::dialect::postgres::expression::Expressions;
use crate::plan::model::{
    Action, Backfill, ColumnSpec, CommentTarget, Concurrently, ConstraintSpec, CopyRows, Finding, ForeignKeySpec, Formula, Highest,
    IndexSpec, KeyTarget, Marker, Materialized, MirrorSide, OnFinding, Origin, Plan, RowExpr, SequenceFrom, ShapeView, Splice, TableSpec,
    ViewColumn, ViewDefault, ViewSpec,
};
use crate::plan::{MARKER, VERSION_SCHEMA, without_interim};
use crate::snapshot::model::{Exclusion, Identity, Nulls, ReferentialAction, Sequence, Type, Unique};

use super::super::live;
use super::super::templates::Templates;
use super::super::{EmitError, Grants, Rendered};
use super::mirror::Mirroring;
use super::sync;

/// Renders actions for one plan.
pub(super) struct Actions<'a> {
    pub(super) templates: &'a Templates,
    pub(super) sql: Expressions<'a>,
    pub(super) plan: &'a Plan,
}

/// What interim names of columns, indexes and constraints begin with.
const INTERIM: &str = "crossfade_new_";

impl Actions<'_> {
    pub(super) fn render(&self, name: &str, context: Value) -> Rendered {
        self.templates.render(&format!("postgres/{name}"), context)
    }

    fn text(&self, expr: &RowExpr) -> String {
        self.sql.written(expr, Row::Table("")).trim().to_owned()
    }

    /// Names as texts.
    fn literals<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String {
        names.into_iter().map(|name| self.sql.literal(name)).collect::<Vec<_>>().join(", ")
    }

    /// The name of a table as text, for the catalog.
    fn table_literal(&self, table: &str) -> String {
        self.sql.literal(&self.sql.table(table))
    }

    /// The statements that do it.
    pub(super) fn apply(&self, action: &Action, grants: Grants) -> Rendered {
        let in_swap = grants == Grants::Keep;
        let sql = &self.sql;
        match action {
            Action::CheckRows { table, key, finding, on_finding, until } => {
                self.check_rows(table, key, finding, *on_finding, until.as_deref(), None)
            }
            Action::CreateExtension(name) => self.render("create_extension", context! { name => sql.ident(name) }),
            Action::DropExtension(name) => self.render("drop_extension", context! { name => sql.ident(name) }),
            Action::CreateEnum(ty) => self.render(
                "create_enum",
                context! {
                    name => sql.table(&ty.name),
                    name_literal => sql.literal(&sql.table(&ty.name)),
                    labels => ty.labels.iter().map(|label| sql.literal(label)).collect::<Vec<_>>().join(", "),
                    comment => ty.comment.as_ref().map(|text| sql.literal(text)),
                },
            ),
            Action::DropEnum(name) => self.render("drop_enum", context! { name => sql.table(name) }),
            Action::RenameType(rename) => {
                self.render("rename_type", context! { from => sql.table(&rename.from), to => sql.ident(&rename.to) })
            }
            Action::AddEnumValue { name, label, after, before } => self.render(
                "add_enum_value",
                context! {
                    name => sql.table(name),
                    label => sql.literal(label),
                    after => after.as_ref().map(|text| sql.literal(text)),
                    before => before.as_ref().map(|text| sql.literal(text)),
                },
            ),
            Action::CreateSequence(sequence) => self.render(
                "create_sequence",
                context! {
                    name => sql.table(&sequence.name),
                    options => sequence_options(sequence),
                    comment => sequence.comment.as_ref().map(|text| sql.literal(text)),
                },
            ),
            Action::AlterSequence { new, .. } => self.alter_sequence(new),
            Action::AlterIdentity { table, column, new, .. } => self.alter_identity(table, column, *new),
            Action::DropSequence(name) => self.render("drop_sequence", context! { name => sql.table(name) }),
            Action::CreateTable(spec) => self.create_table(spec),
            Action::RebuildTable(_) | Action::AlterRules(_) => {
                Err(EmitError { template: "postgres/rebuild_table".to_owned(), why: "rules are altered one by one here".to_owned() })
            }
            Action::DropTable { table } => self.render("drop_table", context! { table => sql.table(table) }),
            Action::DropNotNull { table, column } => {
                self.render("drop_not_null", context! { table => sql.table(table), column => sql.ident(column) })
            }
            Action::AlterType { table, column, ty, checks, .. } => self.render(
                "alter_type",
                context! {
                    table => sql.table(table),
                    column => sql.ident(column),
                    type => sql.ty(ty),
                    checks => checks.iter().map(|(name, condition)| context! { name => sql.ident(name), condition => self.text(condition) }).collect::<Vec<_>>(),
                },
            ),
            Action::AddColumns { table, columns, marker } => {
                let mut definitions: Vec<String> = columns.iter().map(|c| self.column_definition(c)).collect();
                if *marker == Marker::With {
                    definitions.push([MARKER, "smallint", "default 1"].join(" "));
                }
                let comments: Vec<String> = columns.iter().filter_map(|c| self.column_comment(table, c)).collect();
                self.render("add_columns", context! { table => sql.table(table), columns => definitions, comments })
            }
            Action::InstallSync(sync) => self.render("install_sync", sync::context(sync, sql)),
            Action::RemoveSync(sync) => self.render(
                "remove_sync",
                context! {
                    table => sql.table(&sync.table),
                    function => sql.relation(VERSION_SCHEMA, &sync.function),
                    insert_trigger => sql.ident(&sync.insert_trigger),
                    update_trigger => sql.ident(&sync.update_trigger),
                },
            ),
            Action::ShareNumbers { function, table, column } => self.render(
                "share_numbers",
                context! {
                    function => sql.relation(VERSION_SCHEMA, function),
                    table_literal => self.table_literal(table),
                    column_literal => sql.literal(column),
                },
            ),
            Action::InstallMirror(mirror) => self.render("install_mirror", Mirroring { mirror, sql }.context(&self.plan.release)),
            Action::CopyRows(copy) => self.copy_rows(copy),
            Action::RemoveMirror(mirror) => self.render("remove_mirror", Mirroring { mirror, sql }.context(&self.plan.release)),
            Action::SetDefault { table, column, default, .. } => self.render(
                "set_default",
                context! { table => sql.table(table), column => sql.ident(column), default => self.text(default) },
            ),
            Action::CreateNamespace { schema } => self.render("create_namespace", context! { schema => sql.ident(schema) }),
            Action::CreateShapeView(view) => self.render("create_shape_view", self.shape_view(view)),
            Action::SettleShapeView(view) => self.render("settle_shape_view", self.shape_view(view)),
            Action::CreateView(view) => self.render("create_view", self.view(view, in_swap)),
            Action::ReplaceView { new, .. } => self.render("replace_view", self.view(new, false)),
            Action::CopyGrants { schema, pairs, lenses } => self.render(
                "copy_grants",
                context! {
                    base => sql.literal(sql.schema),
                    schema => schema.as_ref().map(|name| sql.literal(name)),
                    pairs => pairs.iter().map(|pair| context! {
                        source => self.table_literal(&pair.source),
                        view => sql.literal(&sql.relation(&pair.view.0, &pair.view.1)),
                        physical => self.literals(pair.renamed.iter().map(|(physical, _)| physical)),
                        names => self.literals(pair.renamed.iter().map(|(_, name)| name)),
                    }).collect::<Vec<_>>(),
                    lenses => lenses.iter().map(|lens| context! {
                        table => self.table_literal(&lens.table),
                        new => self.literals(&lens.new),
                        old => self.literals(&lens.old),
                    }).collect::<Vec<_>>(),
                },
            ),
            Action::Backfill(backfill) => self.backfill(backfill),
            Action::Analyze { table, columns } => {
                self.render("analyze", context! { table => sql.table(table), columns => sql.list(columns) })
            }
            Action::CreateIndex(index) => self.create_index(index),
            Action::AttachUnique { table, unique } => self.render(
                "attach_unique",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    name => sql.ident(&unique.name.text),
                    name_literal => sql.literal(&unique.name.text),
                    deferrable => deferrable(unique.deferrable, unique.initially_deferred),
                },
            ),
            Action::AddPrimaryKey { table, name, index } => self.render(
                "add_primary_key",
                context! { table => sql.table(table), name => sql.ident(name), index => sql.ident(index) },
            ),
            Action::AddCounter { table, column, ty, counter } => self.render(
                "add_counter",
                context! {
                    table => sql.table(table),
                    column => sql.ident(column),
                    type => sql.ty(ty),
                    counter => sql.relation(VERSION_SCHEMA, counter),
                    counter_literal => sql.literal(&sql.relation(VERSION_SCHEMA, counter)),
                },
            ),
            Action::AddIdentity { table, column, identity, from, highest } => self.add_identity(table, column, *identity, from, *highest),
            Action::DropIdentity { table, column, sequence, highest } => self.render(
                "drop_identity",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    column_literal => sql.literal(column),
                    sequence_literal => sequence.as_ref().map(|name| sql.literal(&sql.table(name))),
                    highest => *highest == Highest::ByIndex,
                },
            ),
            Action::AdvanceIdentity { table, column, highest } => self.render(
                match highest {
                    Highest::ByIndex => "advance_identity_in_swap",
                    Highest::ByScan | Highest::Unknown => "advance_identity",
                },
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    column_literal => sql.literal(column),
                },
            ),
            Action::AddCheck { table, name, condition, until } => {
                let columns: Vec<String> = condition
                    .splices
                    .iter()
                    .filter_map(|(_, splice)| match splice {
                        Splice::Column(name) => Some(name.clone()),
                        Splice::Relation(..) | Splice::Type(..) => None,
                    })
                    .collect();
                let mut needed = self.helpers_exist(table, &columns);
                needed.extend(until.as_ref().map(|swap| self.is_before(swap)));
                self.add_constraint(table, name, &["check (", &self.text(condition), ")"].concat(), needed)
            }
            Action::AddNotNullCheck { table, name, column } => {
                let needed = vec![self.is_nullable(table, column)];
                self.add_constraint(table, name, &["check (", &sql.ident(column), " is not null)"].concat(), needed)
            }
            Action::AddForeignKey { spec, until } => {
                let mut needed = self.helpers_exist(&spec.table, &spec.key.columns);
                needed.extend(self.helpers_exist(&spec.key.ref_table, &spec.key.ref_columns));
                needed.extend(until.as_ref().map(|swap| self.is_before(swap)));
                self.add_constraint(&spec.table, &spec.key.name.text, &self.foreign_key(spec), needed)
            }
            Action::RestoreForeignKey(spec) => self.render(
                "restore_foreign_key",
                context! { table => sql.table(&spec.table), name => sql.ident(&spec.key.name.text), definition => self.foreign_key(spec) },
            ),
            Action::AlterForeignKey { old, new } => self.alter_foreign_key(old, *new),
            Action::ValidateConstraint { table, name, .. } => self.render(
                "validate_constraint",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    name => sql.ident(name),
                    name_literal => sql.literal(name),
                },
            ),
            Action::SetNotNull { table, column, check } => self.render(
                "set_not_null",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    check => sql.ident(check),
                    check_literal => sql.literal(check),
                },
            ),
            Action::DropIndex { index, concurrently } => self.render(
                "drop_index",
                context! { index => sql.table(&index.name), alone => *concurrently == Concurrently::Yes },
            ),
            Action::DropConstraint { table, constraint } => self.drop_constraint(table, constraint.name()),
            Action::DropNamespace { schema, views } => {
                // A statement a hundred views: long enough to be few, short enough to be read.
                let views: Vec<String> = views
                    .chunks(100)
                    .map(|chunk| chunk.iter().map(|view| sql.relation(schema, view)).collect::<Vec<_>>().join(", "))
                    .collect();
                self.render(
                    "drop_namespace",
                    context! { schema => sql.ident(schema), schema_literal => sql.literal(&sql.ident(schema)), views },
                )
            }
            Action::DropViews { views, materialized } => {
                let names: Vec<String> = views.iter().map(|(schema, name)| sql.relation(schema, name)).collect();
                self.render(
                    "drop_views",
                    context! {
                        views => names.join(", "),
                        materialized => *materialized == Materialized::Yes,
                        keep_grants => in_swap,
                        regclasses => names.iter().map(|name| format!("to_regclass({})", sql.literal(name))).collect::<Vec<_>>().join(", "),
                    },
                )
            }
            Action::SwapColumns { table, drops, renames, .. } => self.render(
                "swap_columns",
                context! {
                    table => sql.table(table),
                    drops => drops.iter().map(|c| sql.ident(c)).collect::<Vec<_>>(),
                    renames => renames.iter().map(|r| context! { from => sql.ident(&r.from), to => sql.ident(&r.to) }).collect::<Vec<_>>(),
                },
            ),
            Action::RenameView(rename) => {
                self.render("rename_view", context! { from => sql.table(&rename.from), to => sql.ident(&rename.to) })
            }
            Action::RenameTable { from, to, .. } => self.render("rename_table", context! { from => sql.table(from), to => sql.ident(to) }),
            Action::RenameConstraint { table, rename } => self.render(
                "rename_constraint",
                context! { table => sql.table(table), from => sql.ident(&rename.from), to => sql.ident(&rename.to) },
            ),
            Action::RenameIndex(rename) => {
                self.render("rename_index", context! { from => sql.table(&rename.from), to => sql.ident(&rename.to) })
            }
            Action::TidyNames { table } => self.render("tidy_names", context! { table_literal => self.table_literal(table) }),
            Action::SettleDefaults { table, defaults, view } => self.render(
                "settle_defaults",
                context! {
                    table => sql.table(table),
                    defaults => defaults.iter().map(|(column, default)| context! {
                        column => sql.ident(column),
                        value => default.as_ref().map(|d| self.text(d)),
                    }).collect::<Vec<_>>(),
                    view => view.as_ref().map(|(schema, name, _)| sql.relation(schema, name)),
                    view_columns => view.as_ref().map(|(_, _, columns)| columns.iter().map(|c| sql.ident(c)).collect::<Vec<_>>()).unwrap_or_default(),
                },
            ),
            Action::Comment { target, new, .. } => self.comment(target, new.as_deref()),
            // Never planned for this dialect: here one thing about a column changes in a statement of its own.
            Action::StandIn(_) | Action::RestateColumn { .. } | Action::ReturnColumns { .. } | Action::Twin(..) | Action::TakeEither { .. } | Action::ReturnPrimaryKey { .. } | Action::ReturnForeignKey(_) => Err(EmitError { template: "restate_column".to_owned(), why: "there is none".to_owned() }),
        }
    }

    /// The statements that take it back before contract; `None` where nothing is left to take back.
    pub(super) fn undo(&self, action: &Action, once: &str) -> Result<Option<String>, EmitError> {
        let sql = &self.sql;
        Ok(Some(match action {
            Action::CreateExtension(name) => self.render("drop_extension", context! { name => sql.ident(name) })?,
            Action::CreateEnum(ty) => self.render("drop_enum", context! { name => sql.table(&ty.name) })?,
            Action::CreateSequence(sequence) => self.render("drop_sequence", context! { name => sql.table(&sequence.name) })?,
            Action::AlterSequence { old, .. } => self.alter_sequence(old)?,
            Action::AlterIdentity { table, column, old, .. } => self.alter_identity(table, column, *old)?,
            Action::CreateTable(spec) => self.render("drop_table", context! { table => sql.table(&spec.name) })?,
            Action::DropNotNull { table, column } => self.render(
                "undo/drop_not_null",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    column_literal => sql.literal(column),
                    check => sql.ident(&crate::plan::not_null_check(table, column)),
                    check_literal => sql.literal(&crate::plan::not_null_check(table, column)),
                },
            )?,
            Action::AlterType { table, column, old, .. } => self.render(
                "undo/alter_type",
                context! {
                    table => sql.table(table),
                    column => sql.ident(column),
                    type => sql.ty(old),
                    release => sql.literal(&self.plan.release),
                    step => sql.literal(once),
                },
            )?,
            Action::AddColumns { table, columns, marker } => {
                let mut names: Vec<String> = columns.iter().map(|c| sql.ident(&c.name)).collect();
                if *marker == Marker::With {
                    names.push(sql.ident(MARKER));
                }
                self.render("undo/add_columns", context! { table => sql.table(table), columns => names })?
            }
            Action::InstallSync(sync) => self.apply(&Action::RemoveSync(sync.clone()), Grants::Ignore)?,
            Action::InstallMirror(mirror) => self.apply(&Action::RemoveMirror(mirror.clone()), Grants::Ignore)?,
            Action::ShareNumbers { function, .. } => {
                self.render("undo/share_numbers", context! { function => sql.relation(VERSION_SCHEMA, function) })?
            }
            Action::SetDefault { origin: Origin::Added, .. } => return Ok(None),
            Action::SetDefault { table, column, origin: Origin::Old, .. } => {
                self.render("undo/set_default", context! { table => sql.table(table), column => sql.ident(column) })?
            }
            Action::AddCounter { table, column, counter, .. } => self.render(
                "undo/add_counter",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    column_literal => sql.literal(column),
                    counter => sql.relation(VERSION_SCHEMA, counter),
                },
            )?,
            Action::AddIdentity { table, column, from, .. } => match from {
                // It stands on a column that both versions have.
                SequenceFrom::Given => {
                    self.render("undo/add_identity", context! { table => sql.table(table), column => sql.ident(column) })?
                }
                // It goes with its column; or contract only.
                SequenceFrom::Column(_) | SequenceFrom::Sequence(_) | SequenceFrom::Counter(_) | SequenceFrom::Lent { .. } => {
                    return Ok(None);
                }
            },
            Action::CreateNamespace { schema } => self.render("undo/create_namespace", context! { schema => sql.ident(schema) })?,
            Action::CreateShapeView(view) => self.render("undo/create_shape_view", self.shape_view(view))?,
            Action::CreateView(view) => self.render(
                "drop_views",
                context! {
                    views => sql.relation(&view.schema, &view.name),
                    materialized => view.materialized == Materialized::Yes,
                    keep_grants => false,
                    regclasses => "",
                },
            )?,
            Action::ReplaceView { old, .. } => self.render("undo/replace_view", self.view(old, false))?,
            Action::CreateIndex(index) => self.render("drop_index", context! { index => sql.table(&index.name), alone => true })?,
            Action::AttachUnique { table, unique } => self.drop_constraint(table, &unique.name.text)?,
            Action::AddCheck { table, name, .. } | Action::AddNotNullCheck { table, name, .. } => self.drop_constraint(table, name)?,
            Action::AddForeignKey { spec, .. } => self.drop_constraint(&spec.table, &spec.key.name.text)?,
            Action::AlterForeignKey { old, .. } => self.alter_foreign_key(old, (old.key.deferrable, old.key.initially_deferred))?,
            Action::SetNotNull { table, column, check } => self.render(
                "undo/set_not_null",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    column => sql.ident(column),
                    column_literal => sql.literal(column),
                    check => sql.ident(check),
                },
            )?,
            Action::DropIndex { index, .. } => self.create_index(index)?,
            Action::DropConstraint { table, constraint } => return self.restore_constraint(table, constraint),
            Action::Comment { target, old, .. } => self.comment(target, old.as_deref())?,
            // What these do goes with the object itself, or leaves nothing behind. A label can't be dropped.
            Action::CheckRows { .. }
            | Action::AddEnumValue { .. }
            | Action::CopyGrants { .. }
            | Action::RebuildTable(_)
            | Action::AlterRules(_)
            | Action::Backfill(_)
            | Action::CopyRows(_)
            | Action::Analyze { .. }
            | Action::AdvanceIdentity { .. }
            | Action::ValidateConstraint { .. } => return Ok(None),
            // Contract only.
            Action::DropExtension(_)
            | Action::DropEnum(_)
            | Action::RenameType(_)
            | Action::DropSequence(_)
            | Action::DropTable { .. }
            | Action::RemoveSync(_)
            | Action::RemoveMirror(_)
            | Action::SettleShapeView(_)
            | Action::DropNamespace { .. }
            | Action::DropViews { .. }
            | Action::ReturnColumns { .. }
            | Action::TakeEither { .. }
            | Action::Twin(..)
            | Action::StandIn(_)
            | Action::ReturnPrimaryKey { .. }
            | Action::ReturnForeignKey(_)
            | Action::SwapColumns { .. }
            | Action::AddPrimaryKey { .. }
            | Action::RestoreForeignKey(_)
            | Action::RestateColumn { .. }
            | Action::DropIdentity { .. }
            | Action::RenameTable { .. }
            | Action::RenameView(_)
            | Action::RenameConstraint { .. }
            | Action::RenameIndex(_)
            | Action::TidyNames { .. }
            | Action::SettleDefaults { .. } => return Ok(None),
        }))
    }

    /// The rows that would keep abort from restoring a rule that expand took away.
    pub(super) fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError> {
        let (table, finding) = match action {
            Action::DropNotNull { table, column } => (table, Finding::Null(column.clone())),
            Action::DropConstraint { table, constraint } => (
                table,
                match constraint {
                    ConstraintSpec::Check(name, condition) => Finding::Check(name.clone(), condition.clone()),
                    ConstraintSpec::Unique(unique) => Finding::Duplicate {
                        name: unique.name.text.clone(),
                        keys: KeyTarget::columns(&unique.columns),
                        predicate: None,
                        nulls_not_distinct: unique.nulls_not_distinct,
                    },
                    ConstraintSpec::PrimaryKey(key) => {
                        let keys = KeyTarget::columns(&key.columns);
                        Finding::Duplicate { name: key.name.text.clone(), keys, predicate: None, nulls_not_distinct: true }
                    }
                    ConstraintSpec::ForeignKey(spec) => Finding::Orphan(spec.clone()),
                    // Only the index that it stands on can tell which rows exclude each other.
                    ConstraintSpec::Exclusion(_) => return Ok(None),
                },
            ),
            _ => return Ok(None),
        };
        let why = "The old version's rule can't be restored over these rows. Change them, then run abort.sql again; nothing was changed.";
        self.check_rows(table, &[], &finding, OnFinding::Refuse, None, Some(why)).map(Some)
    }

    fn restore_constraint(&self, table: &str, constraint: &ConstraintSpec) -> Result<Option<String>, EmitError> {
        let sql = &self.sql;
        let validate = |name: &str| {
            self.apply(&Action::ValidateConstraint { table: table.to_owned(), name: name.to_owned(), references: None }, Grants::Ignore)
        };
        Ok(Some(match constraint {
            ConstraintSpec::Check(name, condition) => {
                let add = self.add_constraint(table, name, &["check (", &self.text(condition), ")"].concat(), Vec::new())?;
                [add, validate(name)?].join("\n")
            }
            ConstraintSpec::ForeignKey(spec) => {
                let add = self.add_constraint(table, &spec.key.name.text, &self.foreign_key(spec), Vec::new())?;
                [add, validate(&spec.key.name.text)?].join("\n")
            }
            // Contract only: until then the old version has its key.
            ConstraintSpec::PrimaryKey(_) => return Ok(None),
            ConstraintSpec::Exclusion(found) => self.render(
                "undo/drop_exclusion",
                context! {
                    table => sql.table(table),
                    table_literal => self.table_literal(table),
                    name => sql.ident(&found.name.text),
                    name_literal => sql.literal(&found.name.text),
                    definition => exclusion(found),
                },
            )?,
            ConstraintSpec::Unique(unique) => {
                let include =
                    if unique.include.is_empty() { String::new() } else { [" include (", &sql.list(&unique.include), ")"].concat() };
                let nulls = if unique.nulls_not_distinct { " nulls not distinct" } else { "" };
                let statement = [
                    "create unique index concurrently if not exists ",
                    &sql.ident(&unique.name.text),
                    " on ",
                    &sql.table(table),
                    " (",
                    &sql.list(&unique.columns),
                    ")",
                    &include,
                    nulls,
                ]
                .concat();
                let index = self.render(
                    "create_index",
                    context! {
                        qualified => sql.table(&unique.name.text),
                        name_literal => sql.literal(&sql.table(&unique.name.text)),
                        statement,
                        comment => (),
                    },
                )?;
                let attach = self.apply(&Action::AttachUnique { table: table.to_owned(), unique: unique.clone() }, Grants::Ignore)?;
                [index, attach].join("\n")
            }
        }))
    }

    // --- rows ---

    /// The condition that a swap has not run yet.
    fn is_before(&self, swap: &str) -> String {
        format!(
            "not exists (select from crossfade.journal where release = {} and step = {} and finished_at is not null)",
            self.sql.literal(&self.plan.release),
            self.sql.literal(swap)
        )
    }

    fn check_rows(
        &self,
        table: &str,
        key: &[String],
        finding: &Finding,
        on_finding: OnFinding,
        until: Option<&str>,
        why: Option<&str>,
    ) -> Rendered {
        let sql = &self.sql;
        let own = |column: &String| [sql.ident(table), sql.ident(column)].join(".");
        let key = if key.is_empty() { [&sql.ident(table), ".ctid"].concat() } else { key.iter().map(own).collect::<Vec<_>>().join(", ") };
        // Once a table has its last name, the rows have been looked at.
        let constraint_missing = |name: &str, tables: &[&str]| {
            let there = tables.iter().filter(|table| self.plan.renames(table));
            let there: String = there.map(|table| format!("to_regclass({}) is not null and ", self.table_literal(table))).collect();
            format!(
                "{there}not exists (select from pg_constraint where conrelid = to_regclass({}) and conname = {})",
                self.table_literal(table),
                sql.literal(name)
            )
        };
        let (message, condition, group, needed) = match finding {
            Finding::Disagree(lens) => {
                let names =
                    |columns: &[crate::plan::model::SyncColumn]| columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
                let message = match (lens.old.is_empty(), lens.new.is_empty()) {
                    (false, false) => format!("{table}: {} and {} disagree", names(&lens.old), names(&lens.new)),
                    _ => format!("{table}: {} is not filled", names(if lens.new.is_empty() { &lens.old } else { &lens.new })),
                };
                let columns: Vec<String> = lens.old.iter().chain(&lens.new).map(|c| c.name.clone()).collect();
                let helper = self.columns_exist(table, &columns);
                (message, sql.disagree(lens, Row::Table(table)), None, Some(helper))
            }
            Finding::Unlike(mirror, side) => {
                let message = match side {
                    MirrorSide::Source => format!("{table}: no image in {} that says the same", mirror.target),
                    MirrorSide::Target => format!("{table}: no image of a row of {}", mirror.source),
                };
                let function = [sql.relation(VERSION_SCHEMA, &mirror.to_target), "()".to_owned()].concat();
                let needed = format!("to_regprocedure({}) is not null", sql.literal(&function));
                (message, Mirroring { mirror, sql }.found(*side), None, Some(needed))
            }
            Finding::Null(column) => (
                format!("{table}: {column} is NULL"),
                format!("{} is null", sql.ident(column)),
                None,
                Some(self.is_nullable(table, column)),
            ),
            Finding::Check(name, condition) => (
                format!("{table}: check {} is broken", without_interim(name)),
                format!("not ({})", self.sql.written(condition, Row::Table(table)).trim()),
                None,
                Some(constraint_missing(name, &[table])),
            ),
            Finding::Orphan(spec) => {
                let columns = &spec.key.columns;
                let given: Vec<String> = columns.iter().map(|c| format!("{} is not null", own(c))).collect();
                let pairs: Vec<String> = columns
                    .iter()
                    .zip(&spec.key.ref_columns)
                    .map(|(from, to)| format!("referred.{} = {}", sql.ident(to), own(from)))
                    .collect();
                // MATCH FULL: all NULL, or a key that is there; a part of a key is none.
                let given = if spec.key.match_full && given.len() > 1 { format!("({})", given.join(" or ")) } else { given.join(" and ") };
                let condition = format!(
                    "{given} and not exists (select from {} as referred where {})",
                    sql.table(&spec.key.ref_table),
                    pairs.join(" and ")
                );
                (
                    format!("{table}: foreign key {} leads nowhere", without_interim(&spec.key.name.text)),
                    condition,
                    None,
                    Some(constraint_missing(&spec.key.name.text, &[table, &spec.key.ref_table])),
                )
            }
            Finding::Duplicate { name, keys, predicate, nulls_not_distinct } => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| match key {
                        KeyTarget::Column(column) => sql.ident(column),
                        KeyTarget::Expression(expr) => format!("({})", self.text(expr).trim()),
                    })
                    .collect();
                let mut conditions: Vec<String> = predicate.iter().map(|over| format!("({})", self.text(over).trim())).collect();
                if !*nulls_not_distinct {
                    conditions.extend(keys.iter().map(|key| format!("{key} is not null")));
                }
                // One that is not valid was left behind by a build that found such keys.
                let needed = format!(
                    "not exists (select from pg_index where indexrelid = to_regclass({}) and indisvalid)",
                    sql.literal(&sql.table(name))
                );
                let shown = without_interim(name);
                (format!("{table}: unique {shown} is broken by keys"), conditions.join(" and "), Some(keys.join(", ")), Some(needed))
            }
        };
        let needed = until.map(|swap| self.is_before(swap)).or(needed);
        // An expression may have no answer to a value: then a row agrees where any one of these says so.
        let sides = match finding {
            Finding::Disagree(lens) if !lens.is_total() => sql.disagreements(lens, Row::Table(table)),
            _ => Vec::new(),
        };
        let what = if group.is_some() { "keys stand there more than once" } else { "rows" };
        let message = sql.literal(&format!("{}: % {what} (for example %)", message.replace('%', "%%")));
        let (level, hint) = match (why, on_finding) {
            (Some(why), _) => ("exception", why),
            (None, OnFinding::Refuse) => ("exception", "Nothing was lost. Change these rows, then run this script again."),
            (None, OnFinding::Report) => ("warning", "Contract will refuse while there are such rows."),
        };
        self.render(
            "check_rows",
            context! { table => sql.table(table), condition, sides, group, key, needed, level, message, hint => sql.literal(hint) },
        )
    }

    /// The condition that a table has all these columns.
    fn columns_exist(&self, table: &str, columns: &[String]) -> String {
        let names: Vec<String> = columns.iter().map(|c| self.sql.literal(c)).collect();
        format!(
            "(select count(*) from pg_attribute where attrelid = to_regclass({}) and attname in ({}) and not attisdropped) = {}",
            self.table_literal(table),
            names.join(", "),
            columns.len()
        )
    }

    /// The condition that a column is there and takes NULL.
    fn is_nullable(&self, table: &str, column: &str) -> String {
        format!(
            "exists (select from pg_attribute where attrelid = to_regclass({}) and attname = {} and not attnotnull and not attisdropped)",
            self.table_literal(table),
            self.sql.literal(column)
        )
    }

    fn backfill(&self, backfill: &Backfill) -> Rendered {
        let sql = &self.sql;
        let row = Row::Table(&backfill.table);
        let sets: Vec<String> =
            backfill.sets.iter().map(|(name, ty, formula)| format!("{} = {}", sql.ident(name), sql.value(formula, ty, row))).collect();
        let unfilled: Vec<String> = backfill.sets.iter().map(|(name, _, _)| format!("{} is null", sql.ident(name))).collect();
        let literal = |text: String| sql.literal(&text);
        // What is said of a row that can't be filled: where it is, and what was to be put into it.
        let names: Vec<String> = backfill.key.iter().map(|(name, _)| name.clone()).collect();
        let (title, key_text) = self.row_told(&backfill.table, &names);
        if backfill.key.is_empty() {
            let values: Vec<String> = backfill
                .sets
                .iter()
                .map(|(_, ty, formula)| match formula {
                    Formula::Next(_) => "true".to_owned(),
                    _ => format!("({}) is not null", sql.value(formula, ty, row)),
                })
                .collect();
            return self.render(
                "backfill_pages",
                context! {
                    table => sql.table(&backfill.table),
                    table_literal => self.table_literal(&backfill.table),
                    release => sql.literal(&self.plan.release),
                    name => sql.literal(&backfill.name),
                    // A page of 8 kB holds about a hundred rows.
                    batch => (backfill.batch / 100).max(1),
                    sets => sets.join(",\n            "),
                    unfilled => unfilled.join(" and "),
                    key_text,
                    row_title => title.clone(),
                    sets_of_row => sets.join(",\n                  "),
                    sets_literal => literal(sets.join(", ")),
                    fillable => sql.any(&values),
                },
            );
        }
        let work = context! {
            copy => (),
            sets => sets.join(",\n          "),
            unfilled => unfilled.join(" and "),
            key_text,
            row_title => title,
            sets_of_row => sets.join(",\n                "),
            sets_literal => literal(sets.join(", ")),
        };
        self.in_ranges(&backfill.name, &backfill.table, &backfill.key, backfill.batch, work)
    }

    /// The parts of a backfill by ranges of a key, for who runs the batches itself.
    pub(super) fn live(&self, action: &Action) -> Option<live::Backfill> {
        let sql = &self.sql;
        let key = |key: Vec<(&String, &Type)>| -> Vec<live::KeyColumn> {
            key.iter().map(|(column, ty)| live::KeyColumn { column: sql.ident(column), ty: sql.ty(ty) }).collect()
        };
        match action {
            Action::Backfill(backfill) if !backfill.key.is_empty() => {
                let row = Row::Table(&backfill.table);
                let sets = backfill.sets.iter().map(|(name, ty, formula)| format!("{} = {}", sql.ident(name), sql.value(formula, ty, row)));
                let unfilled = backfill.sets.iter().map(|(name, _, _)| format!("{} is null", sql.ident(name)));
                Some(live::Backfill {
                    name: backfill.name.clone(),
                    table: sql.table(&backfill.table),
                    key: key(backfill.key.iter().map(|(name, ty)| (name, ty)).collect()),
                    reads: self.reads(backfill.sets.iter().map(|(_, _, formula)| formula)),
                    work: live::Work::Update {
                        set: sets.collect::<Vec<_>>().join(",\n    "),
                        unfilled: unfilled.collect::<Vec<_>>().join(" and "),
                    },
                })
            }
            Action::CopyRows(copy) => {
                let mirror = Mirroring { mirror: &copy.mirror, sql };
                let parts = mirror.parts(copy);
                Some(live::Backfill {
                    name: copy.mirror.copy.clone(),
                    table: sql.table(&copy.mirror.source),
                    key: key(copy.mirror.key.iter().map(|key| (&key.source, &key.ty)).collect()),
                    reads: self.reads(copy.mirror.lenses.iter().flat_map(|lens| lens.new.iter().filter_map(|c| c.formula.as_ref()))),
                    work: live::Work::Copy {
                        target: parts.target,
                        columns: parts.columns,
                        values: parts.values,
                        meant: parts.meant,
                        key: parts.key,
                    },
                })
            }
            _ => None,
        }
    }

    fn reads<'f>(&self, formulas: impl Iterator<Item = &'f Formula>) -> Vec<String> {
        live::reads(formulas).into_iter().map(|column| self.sql.ident(column)).collect()
    }

    /// How a row is told from others in a message: the words (a literal) and the text of its key.
    fn row_told(&self, table: &str, key: &[String]) -> (String, String) {
        let sql = &self.sql;
        let columns: Vec<String> = key.iter().map(|name| sql.ident(name)).collect();
        let (title, text) = match key {
            [] => (format!("{table}: the row at "), "ctid::text".to_owned()),
            [name] => (format!("{table}: the row with {name} = "), format!("{}::text", sql.ident(name))),
            names => (format!("{table}: the row with ({}) = ", names.join(", ")), format!("({})::text", row_of(&columns))),
        };
        (sql.literal(&title), text)
    }

    fn copy_rows(&self, copy: &CopyRows) -> Rendered {
        let mirror = &copy.mirror;
        let key: Vec<(String, Type)> = mirror.key.iter().map(|key| (key.source.clone(), key.ty.clone())).collect();
        let (title, key_text) = self.row_told(&mirror.source, &mirror.source_key());
        let copied = Mirroring { mirror, sql: &self.sql }.copy(copy);
        let work = context! { copy => copied, key_text, row_title => title };
        self.in_ranges(&mirror.copy, &mirror.source, &key, copy.batch, work)
    }

    /// Work on the rows of a table, one range of keys after the other.
    fn in_ranges(&self, name: &str, table: &str, key: &[(String, Type)], batch: u32, work: Value) -> Rendered {
        let sql = &self.sql;
        // By the name of their block: a column of the table may be called the same.
        let numbered = |prefix: &str| (1..=key.len()).map(|n| format!("crossfade_job.{prefix}_{n}")).collect::<Vec<_>>();
        let texts = |prefix: &str| numbered(prefix).iter().map(|v| format!("{v}::text")).collect::<Vec<_>>().join(", ");
        let columns: Vec<String> = key.iter().map(|(name, _)| sql.ident(name)).collect();
        self.render(
            "backfill",
            context! {
                table => sql.table(table),
                release => sql.literal(&self.plan.release),
                name => sql.literal(name),
                batch,
                key => key.iter().map(|(_, ty)| context! { type => sql.ty(ty) }).collect::<Vec<_>>(),
                cols => columns.join(", "),
                cols_row => row_of(&columns),
                los_row => row_of(&numbered("lo")),
                his_row => row_of(&numbered("hi")),
                tops_row => row_of(&numbered("top")),
                cols_desc => columns.iter().map(|c| format!("{c} desc")).collect::<Vec<_>>().join(", "),
                los => numbered("lo").join(", "),
                his => numbered("hi").join(", "),
                tops => numbered("top").join(", "),
                top_1 => "crossfade_job.top_1",
                hi_texts => texts("hi"),
                top_texts => texts("top"),
                ..work
            },
        )
    }

    // --- tables and columns ---

    fn column_definition(&self, column: &ColumnSpec) -> String {
        let sql = &self.sql;
        let mut parts = vec![sql.ident(&column.name), sql.ty(&column.ty)];
        if let Some(collation) = &column.collation {
            parts.push(format!("collate {}", self.collation(collation)));
        }
        if column.not_null && column.identity.is_none() {
            parts.push("not null".to_owned());
        }
        if let Some(default) = &column.default {
            parts.push(format!("default {}", self.text(default)));
        }
        if let Some((expression, stored)) = &column.generated {
            parts.push(format!("generated always as ({}) {}", self.text(expression), if *stored { "stored" } else { "virtual" }));
        }
        match column.identity {
            Some(Identity::Always) => parts.push("generated always as identity".to_owned()),
            Some(Identity::ByDefault) => parts.push("generated by default as identity".to_owned()),
            None => {}
        }
        parts.join(" ")
    }

    /// A collation's name: collations are case-sensitive, so all but plain names are quoted. A dot may be part of a name
    /// (`en_US.utf8`): it ends a schema where it follows quotes, the catalog or the base schema.
    fn collation(&self, name: &str) -> String {
        let parts = match name.split_once('.') {
            Some((schema, rest)) if schema.ends_with('"') || ["pg_catalog", self.sql.schema].contains(&schema) => vec![schema, rest],
            _ => vec![name],
        };
        parts.into_iter().map(|part| self.sql.ident(part.trim_matches('"'))).collect::<Vec<_>>().join(".")
    }

    fn column_comment(&self, table: &str, column: &ColumnSpec) -> Option<String> {
        let comment = column.comment.as_ref()?;
        Some(format!("comment on column {}.{} is {}", self.sql.table(table), self.sql.ident(&column.name), self.sql.literal(comment)))
    }

    fn create_table(&self, spec: &TableSpec) -> Rendered {
        let sql = &self.sql;
        let mut lines: Vec<String> = spec.columns.iter().map(|c| self.column_definition(c)).collect();
        if let Some(key) = &spec.primary_key {
            lines.push(format!("constraint {} primary key ({})", sql.ident(&key.name.text), sql.list(&key.columns)));
        }
        lines.extend(spec.uniques.iter().map(|u| format!("constraint {} {}", sql.ident(&u.name.text), self.unique(u))));
        lines
            .extend(spec.checks.iter().map(|(name, condition)| format!("constraint {} check ({})", sql.ident(name), self.text(condition))));
        lines.extend(spec.exclusions.iter().map(|e| format!("constraint {} {}", sql.ident(&e.name.text), exclusion(e))));
        let indexes: Vec<String> = spec.indexes.iter().map(|index| self.index_statement(index, "")).collect();
        let mut comments = Vec::new();
        if let Some(comment) = &spec.comment {
            comments.push(format!("comment on table {} is {}", sql.table(&spec.name), sql.literal(comment)));
        }
        comments.extend(spec.columns.iter().filter_map(|c| self.column_comment(&spec.name, c)));
        comments.extend(spec.indexes.iter().filter_map(|index| {
            index.comment.as_ref().map(|comment| format!("comment on index {} is {}", sql.table(&index.name), sql.literal(comment)))
        }));
        self.render("create_table", context! { name => sql.table(&spec.name), lines, indexes, comments })
    }

    fn unique(&self, unique: &Unique) -> String {
        let mut text = String::from("unique ");
        if unique.nulls_not_distinct {
            text.push_str("nulls not distinct ");
        }
        text.push_str(&["(", &self.sql.list(&unique.columns), ")"].concat());
        if !unique.include.is_empty() {
            text.push_str(&[" include (", &self.sql.list(&unique.include), ")"].concat());
        }
        text.push_str(deferrable(unique.deferrable, unique.initially_deferred));
        text
    }

    fn foreign_key(&self, spec: &ForeignKeySpec) -> String {
        let sql = &self.sql;
        let key = &spec.key;
        let mut text =
            format!("foreign key ({}) references {} ({})", sql.list(&key.columns), sql.table(&key.ref_table), sql.list(&key.ref_columns));
        if key.match_full {
            text.push_str(" match full");
        }
        for (event, action) in [("delete", &key.on_delete), ("update", &key.on_update)] {
            let words = match action {
                ReferentialAction::NoAction => continue,
                ReferentialAction::Restrict => "restrict".to_owned(),
                ReferentialAction::Cascade => "cascade".to_owned(),
                ReferentialAction::SetNull(columns) => self.set_action("set null", columns),
                ReferentialAction::SetDefault(columns) => self.set_action("set default", columns),
            };
            text.push_str(&format!(" on {event} {words}"));
        }
        text.push_str(deferrable(key.deferrable, key.initially_deferred));
        text
    }

    fn set_action(&self, words: &str, columns: &[String]) -> String {
        if columns.is_empty() { words.to_owned() } else { format!("{words} ({})", self.sql.list(columns)) }
    }

    /// The conditions that helper columns are there: they are until contract is through, and then the constraint has its last name.
    fn helpers_exist(&self, table: &str, columns: &[String]) -> Vec<String> {
        let mut helpers: Vec<String> = columns.iter().filter(|name| name.starts_with(INTERIM)).cloned().collect();
        helpers.sort();
        helpers.dedup();
        if helpers.is_empty() { Vec::new() } else { vec![self.columns_exist(table, &helpers)] }
    }

    fn add_constraint(&self, table: &str, name: &str, definition: &str, needed: Vec<String>) -> Rendered {
        let sql = &self.sql;
        // Under its interim name, or under its own when contract is through, where nothing else tells.
        let names = match name.strip_prefix(INTERIM).filter(|_| needed.is_empty()) {
            Some(last) => ["in (", &sql.literal(name), ", ", &sql.literal(last), ")"].concat(),
            None => ["= ", &sql.literal(name)].concat(),
        };
        let missing = format!(
            "not exists (select from pg_constraint where conrelid = to_regclass({}) and conname {names})",
            self.table_literal(table)
        );
        let exists = format!("to_regclass({}) is not null", self.table_literal(table));
        let needed = [vec![exists], needed, vec![missing]].concat().join("\n    and ");
        self.render("add_constraint", context! { table => sql.table(table), name => sql.ident(name), definition, needed })
    }

    fn alter_sequence(&self, sequence: &Sequence) -> Rendered {
        self.render("alter_sequence", context! { name => self.sql.table(&sequence.name), options => all_sequence_options(sequence) })
    }

    fn alter_identity(&self, table: &str, column: &str, identity: Identity) -> Rendered {
        let words = match identity {
            Identity::Always => "always",
            Identity::ByDefault => "by default",
        };
        self.render("alter_identity", context! { table => self.sql.table(table), column => self.sql.ident(column), words })
    }

    fn add_identity(&self, table: &str, column: &str, identity: Identity, from: &SequenceFrom, highest: Highest) -> Rendered {
        let sql = &self.sql;
        let counted = match from {
            SequenceFrom::Column(name) => {
                Some(format!("pg_get_serial_sequence({}, {})::regclass", self.table_literal(table), sql.literal(name)))
            }
            SequenceFrom::Sequence(name) => Some(sql.literal(&sql.table(name))),
            SequenceFrom::Counter(name) => Some(sql.literal(&sql.relation(VERSION_SCHEMA, name))),
            SequenceFrom::Lent { table, column, .. } => {
                Some(format!("pg_get_serial_sequence({}, {})::regclass", self.table_literal(table), sql.literal(column)))
            }
            SequenceFrom::Given => None,
        };
        self.render(
            "add_identity",
            context! {
                table => sql.table(table),
                table_literal => self.table_literal(table),
                column => sql.ident(column),
                column_literal => sql.literal(column),
                kind => match identity {
                    Identity::Always => "always",
                    Identity::ByDefault => "by default",
                },
                had_default => matches!(from, SequenceFrom::Sequence(_) | SequenceFrom::Counter(_) | SequenceFrom::Lent { .. }),
                counter => match from {
                    SequenceFrom::Counter(name) => Some(sql.relation(VERSION_SCHEMA, name)),
                    SequenceFrom::Column(_) | SequenceFrom::Sequence(_) | SequenceFrom::Lent { .. } | SequenceFrom::Given => None,
                },
                function => match from {
                    SequenceFrom::Lent { function, .. } => Some(sql.relation(VERSION_SCHEMA, function)),
                    SequenceFrom::Column(_) | SequenceFrom::Sequence(_) | SequenceFrom::Counter(_) | SequenceFrom::Given => None,
                },
                counted,
                highest => highest == Highest::ByIndex,
            },
        )
    }

    fn alter_foreign_key(&self, spec: &ForeignKeySpec, (can_defer, initially): (bool, bool)) -> Rendered {
        let sql = &self.sql;
        let words = if can_defer || initially { deferrable(can_defer, initially) } else { " not deferrable" };
        self.render(
            "alter_foreign_key",
            context! { table => sql.table(&spec.table), name => sql.ident(&spec.key.name.text), deferrable => words },
        )
    }

    fn drop_constraint(&self, table: &str, name: &str) -> Rendered {
        self.render("drop_constraint", context! { table => self.sql.table(table), name => self.sql.ident(name) })
    }

    // --- indexes ---

    fn create_index(&self, index: &IndexSpec) -> Rendered {
        let sql = &self.sql;
        self.render(
            "create_index",
            context! {
                qualified => sql.table(&index.name),
                name_literal => sql.literal(&sql.table(&index.name)),
                statement => self.index_statement(index, "concurrently "),
                comment => index.comment.as_ref().map(|text| sql.literal(text)),
            },
        )
    }

    fn index_statement(&self, index: &IndexSpec, concurrently: &str) -> String {
        let sql = &self.sql;
        let keys: Vec<String> = index
            .keys
            .iter()
            .map(|key| {
                let mut text = match &key.target {
                    KeyTarget::Column(name) => sql.ident(name),
                    KeyTarget::Expression(expr) => format!("({})", self.text(expr)),
                };
                if let Some(collation) = &key.collation {
                    text.push_str(&format!(" collate {}", self.collation(collation)));
                }
                if let Some(opclass) = &key.opclass {
                    text.push_str(&format!(" {opclass}"));
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
        let mut text = format!(
            "create {}index {concurrently}if not exists {} on {} ",
            if index.unique { "unique " } else { "" },
            sql.ident(&index.name),
            sql.table(&index.table),
        );
        if index.method != "btree" {
            text.push_str(&format!("using {} ", index.method));
        }
        text.push_str(&format!("({})", keys.join(", ")));
        if !index.include.is_empty() {
            text.push_str(&format!(" include ({})", sql.list(&index.include)));
        }
        if index.nulls_not_distinct {
            text.push_str(" nulls not distinct");
        }
        if !index.with.is_empty() {
            let options: Vec<String> = index.with.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            text.push_str(&format!(" with ({})", options.join(", ")));
        }
        if let Some(predicate) = &index.predicate {
            text.push_str(&format!(" where {}", self.text(predicate)));
        }
        text
    }

    // --- views ---

    fn view(&self, view: &ViewSpec, in_swap: bool) -> Value {
        let sql = &self.sql;
        let name = sql.relation(&view.schema, &view.name);
        context! {
            view_literal => sql.literal(&name),
            view => name,
            query => sql.written(&view.query, Row::Table("")).trim().trim_end_matches(';').to_owned(),
            materialized => view.materialized == Materialized::Yes,
            comment => view.comment.as_ref().map(|text| sql.literal(text)),
            restore_grants => in_swap,
        }
    }

    fn shape_view(&self, view: &ShapeView) -> Value {
        let sql = &self.sql;
        let table = sql.table(&view.table);
        let aliased = |column: &ViewColumn| {
            if column.physical == column.name {
                sql.ident(&column.name)
            } else {
                format!("{} as {}", sql.ident(&column.physical), sql.ident(&column.name))
            }
        };
        let through: Vec<String> = view.columns.iter().map(aliased).collect();
        let plain: Vec<String> = view.columns.iter().map(|c| sql.ident(&c.name)).collect();
        let marker_view = view.marker_view.as_ref().map(|name| sql.relation(VERSION_SCHEMA, name));
        let defaults: Vec<Value> = view
            .columns
            .iter()
            .filter_map(|column| {
                let value = match &column.default {
                    ViewDefault::OfTable => return None,
                    ViewDefault::Expression(expr) => self.text(expr),
                    // A bare NULL is not kept as a default, and then the table's would hold.
                    ViewDefault::None(ty) => format!("coalesce(null::{})", sql.ty(ty)),
                };
                Some(context! { column => sql.ident(&column.name), value })
            })
            .collect();
        context! {
            view => sql.relation(&view.schema, &view.name),
            table => table.clone(),
            source => marker_view.clone().unwrap_or(table),
            inner => [through.join(", "), sql.ident(MARKER)].join(", "),
            outer => if marker_view.is_some() && !view.columns.is_empty() { plain.join(", ") } else { through.join(", ") },
            settled => through.join(", "),
            marker_view,
            defaults,
            comment => view.comment.as_ref().map(|text| sql.literal(text)),
        }
    }

    fn comment(&self, target: &CommentTarget, text: Option<&str>) -> Rendered {
        let sql = &self.sql;
        let target = match target {
            CommentTarget::Table(name) => format!("table {}", sql.table(name)),
            CommentTarget::Column(table, column) => format!("column {}.{}", sql.table(table), sql.ident(column)),
            CommentTarget::View(name) => format!("view {}", sql.table(name)),
            CommentTarget::Enum(name) => format!("type {}", sql.table(name)),
            CommentTarget::Index(name) => format!("index {}", sql.table(name)),
            CommentTarget::Sequence(name) => format!("sequence {}", sql.table(name)),
        };
        self.render("comment", context! { target, comment => text.map(|text| sql.literal(text)) })
    }
}

/// A key as one value: `id`, or `(a, b)`.
fn row_of(columns: &[String]) -> String {
    match columns {
        [one] => one.clone(),
        many => ["(", &many.join(", "), ")"].concat(),
    }
}

fn deferrable(deferrable: bool, initially_deferred: bool) -> &'static str {
    match (deferrable, initially_deferred) {
        (_, true) => " deferrable initially deferred",
        (true, false) => " deferrable",
        (false, false) => "",
    }
}

fn exclusion(exclusion: &Exclusion) -> String {
    let mut text = format!("exclude using {} ({})", exclusion.method, exclusion.elements.text.trim());
    if let Some(predicate) = &exclusion.predicate {
        text.push_str(&format!(" where ({})", predicate.text.trim()));
    }
    text.push_str(deferrable(exclusion.deferrable, exclusion.initially_deferred));
    text
}

/// All options, those that a snapshot leaves out too: what was there before must go.
fn all_sequence_options(sequence: &Sequence) -> String {
    let increment = sequence.increment.unwrap_or(1);
    let start = match increment {
        1.. => sequence.start.or(sequence.min_value).unwrap_or(1),
        _ => sequence.start.or(sequence.max_value).unwrap_or(-1),
    };
    let bound = |words: &str, value: Option<i64>| match value {
        Some(value) => format!("{words} {value}"),
        None => format!("no {words}"),
    };
    [
        format!(" increment by {increment}"),
        format!(" {}", bound("minvalue", sequence.min_value)),
        format!(" {}", bound("maxvalue", sequence.max_value)),
        format!(" start with {start} cache {}", sequence.cache.unwrap_or(1)),
        if sequence.cycle { " cycle".to_owned() } else { " no cycle".to_owned() },
    ]
    .concat()
}

fn sequence_options(sequence: &Sequence) -> String {
    let mut text = String::new();
    let options = [
        ("increment by", sequence.increment),
        ("minvalue", sequence.min_value),
        ("maxvalue", sequence.max_value),
        ("start with", sequence.start),
        ("cache", sequence.cache),
    ];
    for (words, value) in options {
        if let Some(value) = value {
            text.push_str(&format!(" {words} {value}"));
        }
    }
    if sequence.cycle {
        text.push_str(" cycle");
    }
    text
}
