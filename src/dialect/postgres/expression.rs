//! Values and conditions over rows, as PostgreSQL reads them.

use crate::dialect::language::{Language, Row};
use crate::plan::VERSION_SCHEMA;
use crate::plan::model::{Formula, FormulaOtherwise, Rename, RowExpr, Splice};
use crate::snapshot::model::{Type, TypeKind, Value};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;
use crate::sql::expression::replace;
use crate::sql::quote::{ident, literal};

/// Writes values and conditions.
#[derive(Debug, Clone, Copy)]
pub struct Expressions<'a> {
    /// The schema that tables and types live in.
    pub schema: &'a str,
}

impl Expressions<'_> {
    /// A name.
    pub fn ident(&self, name: &str) -> String {
        ident(name, Dialect::Postgres)
    }

    /// Names, separated by commas.
    pub fn list<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> String {
        names.into_iter().map(|name| self.ident(name)).collect::<Vec<_>>().join(", ")
    }

    /// A relation of a schema.
    pub fn relation(&self, schema: &str, name: &str) -> String {
        [self.ident(schema), self.ident(name)].join(".")
    }

    /// A table of the base schema.
    pub fn table(&self, name: &str) -> String {
        self.relation(self.schema, name)
    }

    /// A text.
    pub fn literal(&self, text: &str) -> String {
        literal(text, Dialect::Postgres)
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

    /// An expression of the author's, with its names put in.
    pub fn written(&self, expr: &RowExpr, row: Row<'_>) -> String {
        let edits: Vec<_> = expr
            .splices
            .iter()
            .map(|(range, splice)| {
                let text = match splice {
                    // Inside a subquery a bare name could mean the subquery's own column.
                    Splice::Column(name) => match row {
                        Row::Table(table) if expr.has_subquery && !table.is_empty() => [self.ident(table), self.ident(name)].join("."),
                        row => self.column(name, row),
                    },
                    Splice::Relation(schema, name) | Splice::Type(schema, name) => self.relation(schema, name),
                };
                (range.clone(), text)
            })
            .collect();
        replace(&expr.text, &edits)
    }

    /// An array of labels, each of which is called as `pairs` says. A label has at most 63 bytes, so that a longer word is none
    /// (<https://www.postgresql.org/docs/18/datatype-enum.html>).
    fn relabeled(&self, array: &str, pairs: &[(String, String)]) -> String {
        let order = Rename::in_order(pairs.iter().cloned(), |label| format!("{label:.<64}"));
        order.iter().fold(array.to_owned(), |array, rename| {
            format!("array_replace({array}, {}, {})", self.literal(&rename.from), self.literal(&rename.to))
        })
    }

    /// A scalar of the format as a literal of a type.
    pub fn scalar(&self, value: &Value, ty: &Type) -> String {
        let numeric = matches!(
            ty.kind,
            TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt | TypeKind::Numeric { .. } | TypeKind::Real | TypeKind::Double
        );
        match value {
            Value::Null => "null".to_owned(),
            Value::Boolean(truth) if ty.kind == TypeKind::Boolean => truth.to_string(),
            Value::Boolean(truth) => self.literal(&truth.to_string()),
            Value::Number(number) if numeric => number.clone(),
            Value::Number(text) | Value::Text(text) => self.literal(text),
        }
    }
}

impl Language for Expressions<'_> {
    fn column(&self, name: &str, row: Row<'_>) -> String {
        match row {
            Row::New => ["new", &self.ident(name)].join("."),
            Row::Old => ["old", &self.ident(name)].join("."),
            Row::Table(_) => self.ident(name),
            Row::Alias(alias) => [alias, ".", &self.ident(name)].concat(),
        }
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
                let cases: Vec<String> =
                    pairs.iter().map(|(from, to)| format!("when {} then {}", self.literal(from), self.literal(to))).collect();
                format!("(case {text} {} else {text} end)::{}", cases.join(" "), self.ty(ty))
            }
            Formula::Values { column, ty: from, pairs, otherwise } => {
                let of = self.column(column, row);
                let mut text = format!("(case when {of} is null then null");
                for (value, result) in pairs {
                    text.push_str(&format!(" when {of} = {} then {}", self.scalar(value, from), self.scalar(result, ty)));
                }
                match otherwise {
                    FormulaOtherwise::Nothing => {}
                    FormulaOtherwise::Value(value) => text.push_str(&format!(" else {}", self.scalar(value, ty))),
                    // There is no expression that raises; a cast that can't succeed does, and says why.
                    FormulaOtherwise::Error => {
                        let why = self.literal(&format!("{column} has a value that the mapping does not list: "));
                        text.push_str(&format!(" else ({why} || {of}::text)::integer::text::{}", self.cast_type(ty)));
                    }
                }
                text.push_str(&format!(" end)::{}", self.cast_type(ty)));
                text
            }
            Formula::Next(counter) => format!("nextval({})", self.literal(&self.relation(VERSION_SCHEMA, counter))),
            Formula::Written(expr) => format!("({})::{}", self.written(expr, row).trim(), self.cast_type(ty)),
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
