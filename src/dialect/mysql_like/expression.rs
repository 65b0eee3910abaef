//! Values and conditions over rows, as MySQL and MariaDB read them.

use crate::dialect::language::{Language, Mapping, Row};
use crate::plan::model::{Formula, IndexSpec, KeyTarget, RowExpr};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;

/// Writes values and conditions.
#[derive(Debug, Clone, Copy)]
pub struct Expressions<'a> {
    /// MySQL or MariaDB.
    pub dialect: Dialect,
    /// The database of the tables; empty when nobody has named it.
    pub schema: &'a str,
}

impl Expressions<'_> {
    /// A relation with its database, for what is read from another one.
    pub fn qualified(&self, schema: &str, name: &str) -> String {
        if schema.is_empty() { self.ident(name) } else { [self.ident(schema), self.ident(name)].join(".") }
    }

    /// A type.
    pub fn ty(&self, ty: &Type) -> String {
        sql_name(ty, self.dialect)
    }

    /// A query of the author's, for a view: its tables stand with their database, since the view may be in another one.
    pub fn query(&self, expr: &RowExpr) -> String {
        self.spliced(expr, Row::Table(""), &|schema, name| self.qualified(schema, name))
    }

    /// The first word of the type's name.
    fn word(&self, ty: &Type) -> String {
        self.ty(ty).split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
    }

    /// Whether values of the type are text, which a collation compares.
    pub fn is_text(&self, ty: &Type) -> bool {
        matches!(self.word(ty).as_str(), "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set")
    }

    /// Whether it is JSON.
    fn is_json(&self, ty: &Type) -> bool {
        self.word(ty) == "json"
    }

    /// A value as the type has it: rounded, and without what the column would not keep. An assignment does that by itself and
    /// refuses what does not fit; a comparison does not.
    fn cast(&self, text: &str, ty: &Type) -> String {
        let name = self.ty(ty);
        let arguments = name.find('(').and_then(|open| Some(&name[open..=name.find(')')?])).unwrap_or_default();
        let target = match self.word(ty).as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" if name.contains("unsigned") => "unsigned".to_owned(),
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => "signed".to_owned(),
            "decimal" | "numeric" => format!("decimal{arguments}"),
            "double" => "double".to_owned(),
            "date" => "date".to_owned(),
            "time" => format!("time{arguments}"),
            "datetime" | "timestamp" => format!("datetime{arguments}"),
            "json" if self.dialect == Dialect::Mysql => "json".to_owned(),
            _ => return text.to_owned(),
        };
        format!("cast({text} as {target})")
    }
}

impl Language for Expressions<'_> {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Those of the base database stand bare: scripts run in it, and a trigger reads its own.
    fn relation(&self, schema: &str, name: &str) -> String {
        if schema == self.schema { self.ident(name) } else { [self.ident(schema), self.ident(name)].join(".") }
    }

    /// Enums have no names here.
    fn named_type(&self, _schema: &str, name: &str) -> String {
        self.ident(name)
    }

    fn is_number(&self, ty: &Type) -> bool {
        !self.is_text(ty)
    }

    fn value(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        match formula {
            Formula::Column(name) => self.column(name, row),
            Formula::Cast(name) => self.cast(&self.column(name, row), ty),
            Formula::Relabel { column, pairs } => {
                let of = self.column(column, row);
                if pairs.is_empty() {
                    // By its label, never by its number.
                    return format!("concat({of}, '')");
                }
                format!("case {of} {} else concat({of}, '') end", self.relabelings(pairs))
            }
            Formula::Values { column, ty: from, pairs, otherwise } => {
                let of = self.column(column, row);
                let compared = if self.is_text(from) { format!("binary {of}") } else { of.clone() };
                // There is no expression that raises; in a write a cast that can't succeed does, and says why.
                let fails = |why: &str| format!("cast(concat({why}, {of}) as signed)");
                self.mapped(&Mapping { column, of: &of, ty: from, pairs, otherwise }, ty, &compared, &fails)
            }
            // Numbers of a counter are given by the server itself here.
            Formula::Next(_) => "null".to_owned(),
            Formula::Written(expr) => self.cast(&format!("({})", self.written(expr, row).trim()), ty),
        }
    }

    /// An assignment cuts blanks at the end that a column has no room for, and fails on anything else; a CHAR loses all of them
    /// (<https://dev.mysql.com/doc/refman/8.4/en/char.html>). What shows is never cut here, so that a column without it differs.
    fn as_stored(&self, formula: &Formula, ty: &Type, row: Row<'_>) -> String {
        let value = self.value(formula, ty, row);
        match (formula, &ty.kind) {
            (Formula::Written(_) | Formula::Cast(_), TypeKind::Varchar(Some(length))) => {
                format!("left({value}, greatest(char_length(rtrim({value})), {length}))")
            }
            (Formula::Written(_) | Formula::Cast(_), TypeKind::Char(_)) => format!("rtrim({value})"),
            _ => value,
        }
    }

    fn distinct(&self, a: &str, b: &str, ty: &Type) -> String {
        if self.is_json(ty) {
            return format!("not (binary cast({a} as char) <=> binary cast({b} as char))");
        }
        if self.is_text(ty) {
            // By the bytes of its UTF-8: a collation may call two texts equal that are not, and two character sets one text.
            let bytes = |text: &str| if text == "null" { text.to_owned() } else { format!("binary convert({text} using utf8mb4)") };
            return format!("not ({} <=> {})", bytes(a), bytes(b));
        }
        format!("not ({a} <=> {b})")
    }

    fn changed(&self, name: &str, ty: &Type) -> String {
        let (new, old) = (self.column(name, Row::New), self.column(name, Row::Old));
        if self.is_text(ty) { format!("not (binary {new} <=> binary {old})") } else { self.distinct(&new, &old, ty) }
    }
}

/// Whether a default is a literal, which the server keeps as a value.
pub fn is_literal(text: &str) -> bool {
    let text = text.trim();
    let word = text.to_ascii_lowercase();
    if matches!(word.as_str(), "null" | "true" | "false") {
        return true;
    }
    let number = word.strip_prefix(['-', '+']).unwrap_or(&word);
    if !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return true;
    }
    let Some(inside) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) else { return false };
    !inside.replace("''", "").replace("\\'", "").contains('\'')
}

/// Whether the server builds an index while clients write.
pub fn builds_beside_writers(index: &IndexSpec) -> bool {
    !matches!(index.method.as_str(), "fulltext" | "spatial") && !index.keys.iter().any(|key| matches!(key.target, KeyTarget::Expression(_)))
}

/// Whether a default is the time of the statement, which both servers keep in a form of its own.
pub fn is_current_timestamp(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let word = text.split('(').next().unwrap_or_default().trim();
    matches!(word, "current_timestamp" | "now" | "localtime" | "localtimestamp")
        && text[word.len()..].chars().all(|c| matches!(c, '(' | ')' | ' ') || c.is_ascii_digit())
}

/// A default as the server takes it: what is no literal stands in parentheses, and the time has the column's precision.
pub fn default_text(ty: &Type, default: &str, dialect: Dialect) -> String {
    let text = default.trim();
    if is_current_timestamp(text) {
        let name = sql_name(ty, dialect);
        let precision = name.find('(').map_or("", |open| &name[open..]);
        return if text.contains(|c: char| c.is_ascii_digit()) { text.to_owned() } else { format!("current_timestamp{precision}") };
    }
    let bare = is_literal(text) && !wants_parentheses(ty, dialect);
    let wrapped = text.starts_with('(') && text.ends_with(')');
    if bare || wrapped { text.to_owned() } else { format!("({text})") }
}

/// Whether even a literal must stand in parentheses as the default of such a column.
pub fn wants_parentheses(ty: &Type, dialect: Dialect) -> bool {
    let name = sql_name(ty, dialect);
    let word = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    matches!(word, "tinytext" | "text" | "mediumtext" | "longtext" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "json" | "geometry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_told_from_expressions() {
        for text in ["0", "-1.5", "'it''s'", "true", "NULL", "''"] {
            assert!(is_literal(text), "{text}");
        }
        for text in ["1 + 1", "uuid()", "'a' || 'b'", "(1)", "current_timestamp"] {
            assert!(!is_literal(text), "{text}");
        }
        assert!(
            is_current_timestamp("NOW()")
                && is_current_timestamp("current_timestamp(6)")
                && !is_current_timestamp("now() + interval 1 day")
        );
    }

    #[test]
    fn text_is_compared_by_bytes() {
        let sql = Expressions { dialect: Dialect::Mysql, schema: "" };
        let text = Type { kind: TypeKind::Text, array_dimensions: 0 };
        let number = Type { kind: TypeKind::BigInt, array_dimensions: 0 };
        assert_eq!(sql.changed("name", &text), "not (binary new.name <=> binary old.name)");
        assert_eq!(sql.distinct("a", "b", &number), "not (a <=> b)");
    }
}
