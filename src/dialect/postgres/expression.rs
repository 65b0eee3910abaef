//! Values and conditions over rows, as PostgreSQL reads them.

use crate::dialect::language::{Language, Mapping, Row};
use crate::plan::VERSION_SCHEMA;
use crate::plan::model::{Formula, Rename};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;

/// Writes values and conditions.
#[derive(Debug, Clone, Copy)]
pub struct Expressions<'a> {
    /// The schema that tables and types live in.
    pub schema: &'a str,
}

impl Expressions<'_> {
    /// A table of the base schema.
    pub fn table(&self, name: &str) -> String {
        self.relation(self.schema, name)
    }

    /// A type. Enums carry their schema: a trigger is read under the client's search path.
    pub fn ty(&self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::Enum(name) => {
                let mut text = self.relation(self.schema, name);
                for _ in 0..ty.array_dimensions {
                    text.push_str("[]");
                }
                text
            }
            _ => sql_name(ty, Dialect::Postgres),
        }
    }

    /// A type to cast to. An explicit cast to `varchar(5)` cuts silently, an assignment refuses what is too long: so the cast
    /// leaves the length out, and the assignment that follows looks at it (manual, "Character Types").
    pub fn cast_type(&self, ty: &Type) -> String {
        let kind = match &ty.kind {
            TypeKind::Varchar(Some(_)) => TypeKind::Varchar(None),
            TypeKind::Char(_) => TypeKind::Native("bpchar".to_owned()),
            TypeKind::Native(text) if text.starts_with("bit") || text.starts_with("varbit") => {
                TypeKind::Native(text.split('(').next().unwrap_or(text).trim().to_owned())
            }
            kind => kind.clone(),
        };
        self.ty(&Type { kind, array_dimensions: ty.array_dimensions })
    }

    /// An array of labels, each of which is called as `pairs` says. A label has at most 63 bytes, so that a longer word is none
    /// (<https://www.postgresql.org/docs/18/datatype-enum.html>).
    fn relabeled(&self, array: &str, pairs: &[(String, String)]) -> String {
        let order = Rename::in_order(pairs.iter().cloned(), |label| format!("{label:.<64}"));
        order.iter().fold(array.to_owned(), |array, rename| {
            format!("array_replace({array}, {}, {})", self.literal(&rename.from), self.literal(&rename.to))
        })
    }
}

impl Language for Expressions<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn relation(&self, schema: &str, name: &str) -> String {
        [self.ident(schema), self.ident(name)].join(".")
    }

    fn is_number(&self, ty: &Type) -> bool {
        matches!(
            ty.kind,
            TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt | TypeKind::Numeric { .. } | TypeKind::Real | TypeKind::Double
        )
    }

    fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        match formula {
            Formula::Column(name) => self.column(name, row),
            Formula::Cast(name) => format!("{}::{}", self.column(name, row), self.cast_type(ty)),
            Formula::Relabel { column, pairs } => {
                if ty.array_dimensions > 0 {
                    return format!("{}::{}", self.relabeled(&format!("{}::text[]", self.column(column, row)), pairs), self.ty(ty));
                }
                let text = format!("{}::text", self.column(column, row));
                if pairs.is_empty() {
                    return format!("{text}::{}", self.ty(ty));
                }
                format!("(case {text} {} else {text} end)::{}", self.relabelings(pairs), self.ty(ty))
            }
            Formula::Values { column, ty: from, pairs, otherwise } => {
                let of = self.column(column, row);
                // There is no expression that raises; a cast that can't succeed does, and says why.
                let fails = |why: &str| format!("({why} || {of}::text)::integer::text::{}", self.cast_type(ty));
                let mapping = Mapping { column, of: &of, ty: from, pairs, otherwise };
                format!("({})::{}", self.mapped(&mapping, ty, &of, &fails), self.cast_type(ty))
            }
            Formula::Next(counter) => format!("nextval({})", self.literal(&self.relation(VERSION_SCHEMA, counter))),
            Formula::Written(expr) => format!("({})::{}", self.written(expr, row).trim(), self.cast_type(ty)),
        }
    }

    /// An assignment cuts blanks at the end that a column has no room for, and fails on anything else
    /// (<https://www.postgresql.org/docs/18/datatype-character.html>): what shows is never cut here, so that a column without it differs.
    fn as_stored(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        let value = self.value(formula, ty, row);
        match (formula, &ty.kind) {
            (Formula::Written(_) | Formula::Cast(_), TypeKind::Varchar(Some(length))) if ty.array_dimensions == 0 => {
                format!("left({value}, greatest(length(rtrim({value})), {length}))")
            }
            _ => value,
        }
    }

    /// The planner puts what stands beside `and` into an order of its own.
    fn in_turn(&self, conditions: &[String]) -> String {
        match conditions {
            [] | [_] => self.all(conditions),
            [before @ .., last] => {
                let missed: String = before.iter().map(|condition| format!(" when not ({condition}) then false")).collect();
                format!("case{missed} else {last} end")
            }
        }
    }

    fn distinct(&self, a: &str, b: &str, ty: &Type) -> String {
        let incomparable = match &ty.kind {
            TypeKind::Json => true,
            TypeKind::Native(name) => {
                let name = name.split('(').next().unwrap_or(name).trim();
                ["json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"].contains(&name)
            }
            _ => false,
        };
        if incomparable { format!("{a}::text is distinct from {b}::text") } else { format!("{a} is distinct from {b}") }
    }
}
