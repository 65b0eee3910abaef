//! The trigger function that keeps a table in step, in PL/pgSQL.

use minijinja::{Value, context};

use super::super::mirror::Way;
use super::super::sync::{Body, Words};
use crate::dialect::language::{Language, Row};
use crate::dialect::postgres::expression::Expressions;
use crate::plan::model::{Formula, Sync, SyncColumn, Writer};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::names::bounded;
use crate::sql::Dialect;
use crate::sql::expression::same_on_every_path;

impl Words for Expressions<'_> {
    fn variable(&self, way: Way, column: &SyncColumn) -> String {
        self.ident(&bounded(&format!("{}_{}", way.name(), column.name), Dialect::Postgres))
    }

    fn declaration(&self, way: Way, column: &SyncColumn) -> String {
        [self.variable(way, column), self.ty(&column.ty)].join(" ")
    }

    fn set(&self, target: &str, value: &str) -> String {
        format!("{target} := {value};")
    }

    fn else_if(&self) -> &'static str {
        "elsif"
    }

    fn fail(&self, why: &str) -> String {
        format!("raise exception using message = {}, errcode = 'integrity_constraint_violation';", self.literal(why))
    }

    fn attempt(&self, statements: Vec<String>, otherwise: Vec<String>, why: &str, indent: &str) -> Vec<String> {
        let mut lines = vec![format!("{indent}begin")];
        lines.extend(statements);
        lines.push(format!("{indent}exception when others then"));
        lines.push(format!("{indent}  -- {why}"));
        let nothing = otherwise.is_empty().then(|| self.nothing().to_owned());
        lines.extend(otherwise.into_iter().chain(nothing).map(|statement| format!("{indent}  {statement}")));
        lines.push(format!("{indent}end;"));
        lines
    }

    fn nothing(&self) -> &'static str {
        "null;"
    }

    fn marked(&self, _given: &str) -> String {
        "new.crossfade_writer = 2".to_owned()
    }
}

/// Whether a value is the same whatever the client's search path is.
fn is_fixed<'f>(sql: &Expressions<'_>, ty: &Type, formulas: impl IntoIterator<Item = Option<&'f Formula>>) -> bool {
    // The operators and casts of an extension's type are where the extension is.
    !matches!(ty.kind, TypeKind::Native(_))
        && formulas.into_iter().flatten().all(|formula| match formula {
            // With the schemas of the snapshot's own types put in.
            Formula::Written(written) => same_on_every_path(&sql.written(written, Row::New)),
            // A counter is named with its schema.
            Formula::Column(_) | Formula::Cast(_) | Formula::Values { .. } | Formula::Relabel { .. } | Formula::Next(_) => true,
        })
}

/// Whether the function reads names that a client's search path may not have. A function that sets its own path costs some
/// microseconds a row (measured on 15: 7), so that one which needs none has none.
fn needs_path(sync: &Sync, sql: &Expressions<'_>) -> bool {
    let columns = || sync.lenses.iter().flat_map(|lens| lens.old.iter().chain(&lens.new));
    let inputs = || sync.lenses.iter().flat_map(|lens| lens.up_inputs.iter().chain(&lens.down_inputs));
    !(columns().all(|column| is_fixed(sql, &column.ty, [column.formula.as_ref(), column.backfill.as_ref()]))
        && inputs().all(|(_, ty)| is_fixed(sql, ty, []))
        && sync.fills.iter().all(|fill| is_fixed(sql, &fill.ty, [Some(&fill.formula)])))
}

/// Context of `install_sync`.
pub(super) fn context(sync: &Sync, sql: &Expressions<'_>) -> Value {
    let mut variables = Vec::new();
    let mut lenses = Vec::new();
    let mut conditions = Vec::new();
    for lens in &sync.lenses {
        let body = Body { lens, sql, writer: sync.writer };
        let update = body.update();
        if !update.is_empty() {
            conditions.push(body.update_condition());
        }
        variables.extend(body.variables());
        let (insert_new, insert_old) = body.insert();
        lenses.push(context! { title => body.title(), is_new => body.is_new(), insert_new, insert_old, update });
    }
    let mut fills = Vec::new();
    for fill in &sync.fills {
        let column = sql.column(&fill.column, Row::New);
        let value = sql.value(&fill.formula, &fill.ty, Row::New);
        conditions.push(format!("{column} is null"));
        fills.push(context! { is_null => format!("{column} is null"), set => format!("{column} := {value};") });
    }
    let updates = !conditions.is_empty();
    let update_when = match conditions.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        many => many.iter().map(|c| format!("({c})")).collect::<Vec<_>>().join("\n    or "),
    };
    context! {
        function => sql.relation(crate::plan::VERSION_SCHEMA, &sync.function),
        table => sql.table(&sync.table),
        insert_trigger => sql.ident(&sync.insert_trigger),
        update_trigger => sql.ident(&sync.update_trigger),
        search_path => needs_path(sync, sql).then(|| sql.ident(sql.schema)),
        variables,
        lenses,
        fills,
        marker => sync.writer == Writer::Marker && !sync.lenses.is_empty(),
        updates,
        update_when,
    }
}
