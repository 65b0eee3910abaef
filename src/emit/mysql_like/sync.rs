//! The two triggers that keep a table in step.

use minijinja::{Value, context};

use super::super::mirror::Way;
use super::super::sync::{Body, Words};
use crate::dialect::language::{Language, Row};
use crate::dialect::mysql_like::expression::Expressions;
use crate::plan::model::{Action, Plan, Returning, RowExpr, Sync, SyncColumn, Writer};
use crate::snapshot::names::bounded;

/// What a message of SIGNAL may have, in characters.
const MESSAGE: usize = 128;

impl Words for Expressions<'_> {
    fn variable(&self, way: Way, column: &SyncColumn) -> String {
        self.ident(&bounded(&format!("{}_{}", way.name(), column.name), self.dialect))
    }

    fn declaration(&self, way: Way, column: &SyncColumn) -> String {
        [self.variable(way, column), self.ty(&column.ty)].join(" ")
    }

    fn set(&self, target: &str, value: &str) -> String {
        format!("set {target} = {value};")
    }

    fn else_if(&self) -> &'static str {
        "elseif"
    }

    fn fail(&self, why: &str) -> String {
        let why: String = why.chars().take(MESSAGE).collect();
        format!("signal sqlstate '23000' set message_text = {};", self.literal(&why))
    }

    fn attempt(&self, statements: Vec<String>, otherwise: Vec<String>, why: &str, indent: &str) -> Vec<String> {
        let mut lines = vec![format!("{indent}begin")];
        lines.push(format!("{indent}  -- {why}"));
        lines.push(format!(
            "{indent}  declare exit handler for sqlexception begin{} end;",
            otherwise.iter().map(|statement| format!(" {statement}")).collect::<String>()
        ));
        lines.extend(statements);
        lines.push(format!("{indent}end;"));
        lines
    }

    fn scope(&self, declarations: Vec<String>, statements: Vec<String>, indent: &str) -> Vec<String> {
        if declarations.is_empty() {
            return statements;
        }
        let mut lines = vec![format!("{indent}begin")];
        lines.extend(declarations.into_iter().map(|declaration| format!("{indent}  declare {declaration};")));
        lines.extend(statements.into_iter().map(|line| format!("  {line}")));
        lines.push(format!("{indent}end;"));
        lines
    }

    /// The trigger is called for every row that any statement updates.
    fn has_conditions(&self) -> bool {
        false
    }

    fn nothing(&self) -> &'static str {
        "begin end;"
    }

    fn marked(&self, given: &str) -> String {
        let given = if given.contains(" or ") { format!("({given})") } else { given.to_owned() };
        format!("writer <=> 'new' or (writer is null and {given})")
    }

    fn unlike_default(&self, column: &SyncColumn) -> Option<String> {
        column.default.as_ref()?;
        let value = self.column(&column.name, Row::New);
        // NULL is what the old version writes until the column has its default, which comes after the triggers.
        Some(format!("({value} is not null and {})", self.distinct(&value, &default_of(column, self), &column.ty)))
    }
}

/// The variable that holds the default of a column.
fn default_of(column: &SyncColumn, sql: &Expressions<'_>) -> String {
    sql.ident(&bounded(&format!("default_{}", column.name), sql.dialect))
}

fn declare_default(column: &SyncColumn, default: &RowExpr, sql: &Expressions<'_>) -> String {
    format!("{} {} default {}", default_of(column, sql), sql.ty(&column.ty), sql.written(default, Row::Table("")).trim())
}

/// Context of `install_sync`.
pub(super) fn context(sync: &Sync, sql: &Expressions<'_>, plan: &Plan) -> Value {
    let mut variables = Vec::new();
    let mut lenses = Vec::new();
    for lens in &sync.lenses {
        let body = Body { lens, sql, writer: sync.writer };
        if sync.writer == Writer::Marker {
            variables.extend(lens.new.iter().filter_map(|column| Some(declare_default(column, column.default.as_ref()?, sql))));
        }
        let (insert_new, insert_old) = body.insert();
        lenses.push(context! { title => body.title(), is_new => body.is_new(), insert_new, insert_old, update => body.update() });
    }
    let fills: Vec<Value> = sync
        .fills
        .iter()
        .map(|fill| {
            let column = sql.column(&fill.column, Row::New);
            let value = sql.value(&fill.formula, &fill.ty, Row::New);
            context! { is_null => format!("{column} is null"), set => sql.set(&column, &value) }
        })
        .collect();
    let mut returned_update = Vec::new();
    let mut returned_insert = Vec::new();
    for given in &sync.returns {
        let (Some(helper), Some(own)) = (given.lens.old.first(), given.lens.new.first()) else { continue };
        let [from, to] = [&helper.name, &own.name].map(|name| sql.column(name, Row::New));
        let changed = sql.changed(&own.name, &own.ty);
        let left = sql.changed(&helper.name, &helper.ty);
        returned_update.push(format!("if {changed} then"));
        returned_update.push(format!("  {}", sql.set(&from, &to)));
        // Any write to a row fills it as a whole, so that one column tells whether the backfill has to.
        returned_update
            .push(format!("elseif {left} or ({to} is null and new.crossfade_writer = {}) then", sql.literal(Returning::Followed.mark())));
        returned_update.push(format!("  {}", sql.set(&to, &from)));
        returned_update.push("end if;".to_owned());
        let was_given = match &given.default {
            Some(default) => {
                variables.push(declare_default(own, default, sql));
                sql.distinct(&from, &default_of(own, sql), &own.ty)
            }
            None => format!("{from} is not null"),
        };
        returned_insert.push(format!("if new.crossfade_writer = {} or {was_given} then", sql.literal(Returning::Followed.mark())));
        returned_insert.push(format!("  {}", sql.set(&to, &from)));
        returned_insert.push("else".to_owned());
        returned_insert.push(format!("  {}", sql.set(&from, &to)));
        returned_insert.push("end if;".to_owned());
    }
    let returns = |action: &Action| matches!(action, Action::ReturnColumns { table, .. } if *table == sync.table);
    if plan.steps.iter().any(|step| returns(&step.action)) {
        // NULL in it is from now on what somebody has written, or a foreign key, which fires no trigger.
        let filled = sql.set("new.crossfade_writer", &sql.literal(Returning::Either.mark()));
        returned_update.push(filled.clone());
        returned_insert.push(filled);
    }
    let old = plan.old_version.as_deref();
    context! {
        table => sql.ident(&sync.table),
        insert_trigger => sql.ident(&sync.insert_trigger),
        update_trigger => sql.ident(&sync.update_trigger),
        variables,
        lenses,
        fills,
        returned_update,
        returned_insert,
        returning => [Returning::Followed, Returning::Either].map(|stage| sql.literal(stage.mark())).join(", "),
        marker => sync.writer == Writer::Marker && !sync.lenses.is_empty(),
        namespace => sql.literal(&plan.namespace(&plan.new_version)),
        old_namespaces => std::iter::once(plan.schema.clone())
            .chain(old.map(|version| plan.namespace(version)))
            .map(|name| sql.literal(&name))
            .collect::<Vec<_>>(),
    }
}
