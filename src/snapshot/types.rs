//! Types: the portable names, their spellings, and how each dialect writes them.

use indexmap::IndexMap;

use super::decode::nearest;
use super::model::{EnumType, Type, TypeKind};
use crate::sql::Dialect;
use crate::sql::expression::Domain;

/// A row of the mapping table: a portable type and how PostgreSQL, MySQL, MariaDB and SQLite write it. `{p}`, `{s}` and `{n}`
/// stand for precision, scale and length; `-` says that the dialect has no such type.
pub type Row = (&'static str, [&'static str; 4]);

/// The mapping table, as the documentation prints it.
///
/// Reasons: MySQL's `text` ends at 64 kB and its `numeric` alone has no fraction, so the portable ones are wider there; its
/// fractional seconds must be asked for; `datetime` is a reading of a clock and `timestamp` a point in time
/// (<https://dev.mysql.com/doc/refman/8.4/en/datetime.html>). SQLite has storage classes, not types
/// (<https://www.sqlite.org/datatype3.html>): what it has no class for is text.
pub const MAPPING: [Row; 29] = [
    ("smallint", ["smallint", "smallint", "smallint", "smallint"]),
    ("integer", ["integer", "int", "int", "integer"]),
    ("bigint", ["bigint", "bigint", "bigint", "bigint"]),
    ("numeric", ["numeric", "decimal(65,30)", "decimal(65,30)", "numeric"]),
    ("numeric(p)", ["numeric({p})", "decimal({p},0)", "decimal({p},0)", "numeric({p})"]),
    ("numeric(p,s)", ["numeric({p},{s})", "decimal({p},{s})", "decimal({p},{s})", "numeric({p},{s})"]),
    ("real", ["real", "float", "float", "real"]),
    ("double precision", ["double precision", "double", "double", "double precision"]),
    ("boolean", ["boolean", "boolean", "boolean", "boolean"]),
    ("char(n)", ["char({n})", "char({n})", "char({n})", "char({n})"]),
    ("varchar(n)", ["varchar({n})", "varchar({n})", "varchar({n})", "varchar({n})"]),
    ("varchar", ["varchar", "longtext", "longtext", "varchar"]),
    ("text", ["text", "longtext", "longtext", "text"]),
    ("bytea", ["bytea", "longblob", "longblob", "blob"]),
    ("date", ["date", "date", "date", "text"]),
    ("time", ["time", "time(6)", "time(6)", "text"]),
    ("time(p)", ["time({p})", "time({p})", "time({p})", "text"]),
    ("timetz", ["timetz", "-", "-", "text"]),
    ("timetz(p)", ["timetz({p})", "-", "-", "text"]),
    ("timestamp", ["timestamp", "datetime(6)", "datetime(6)", "text"]),
    ("timestamp(p)", ["timestamp({p})", "datetime({p})", "datetime({p})", "text"]),
    ("timestamptz", ["timestamptz", "timestamp(6)", "timestamp(6)", "text"]),
    ("timestamptz(p)", ["timestamptz({p})", "timestamp({p})", "timestamp({p})", "text"]),
    ("interval", ["interval", "-", "-", "text"]),
    ("uuid", ["uuid", "char(36)", "uuid", "text"]),
    ("json", ["json", "json", "json", "text"]),
    ("jsonb", ["jsonb", "json", "json", "text"]),
    ("T[]", ["T[]", "-", "-", "-"]),
    ("enum", ["its name", "enum(…)", "enum(…)", "text with a check"]),
];

/// Why a text is no type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeFault {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

fn fault(message: impl Into<String>) -> TypeFault {
    TypeFault { message: message.into(), help: None }
}

/// A set of types between which casts are the lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Integers of any width.
    Integer,
    /// Numeric and floats.
    Number,
    /// `char`, `varchar`, `text`.
    Text,
    /// `date` and `timestamp`, or `timestamptz`.
    DateTime {
        /// With a zone.
        zone: bool,
    },
    /// Time of day.
    TimeOfDay {
        /// With an offset.
        zone: bool,
    },
}

/// The family of a type; `None` for a type that stands alone.
pub fn family(ty: &Type) -> Option<Family> {
    if ty.array_dimensions > 0 {
        return None;
    }
    match &ty.kind {
        TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt => Some(Family::Integer),
        TypeKind::Numeric { .. } | TypeKind::Real | TypeKind::Double => Some(Family::Number),
        TypeKind::Char(_) | TypeKind::Varchar(_) | TypeKind::Text => Some(Family::Text),
        TypeKind::Date => Some(Family::DateTime { zone: false }),
        TypeKind::Timestamp { zone, .. } => Some(Family::DateTime { zone: *zone }),
        TypeKind::Time { zone, .. } => Some(Family::TimeOfDay { zone: *zone }),
        TypeKind::Native(text) => {
            let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
            match word {
                "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => Some(Family::Integer),
                "decimal" | "numeric" | "float" | "double" | "real" => Some(Family::Number),
                "tinytext" | "text" | "mediumtext" | "longtext" | "char" | "varchar" | "citext" => Some(Family::Text),
                "datetime" => Some(Family::DateTime { zone: false }),
                "timestamp" => Some(Family::DateTime { zone: true }),
                "time" => Some(Family::TimeOfDay { zone: false }),
                _ => None,
            }
        }
        TypeKind::Boolean
        | TypeKind::Bytea
        | TypeKind::Interval
        | TypeKind::Uuid
        | TypeKind::Json
        | TypeKind::Jsonb
        | TypeKind::Enum(_) => None,
    }
}

/// A type's text in canonical white space and case; what stands in quotes is left alone.
pub fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote: Option<char> = None;
    let mut space = false;
    for c in text.trim().chars() {
        if let Some(open) = quote {
            out.push(c);
            if c == open {
                quote = None;
            }
            continue;
        }
        if c.is_whitespace() {
            space = true;
            continue;
        }
        let tight = matches!(c, '(' | ')' | ',' | '[' | ']') || out.ends_with(['(', ',', '[']);
        let apart = space && !tight && !out.is_empty();
        let after_arguments = out.ends_with(')') && c.is_alphabetic();
        if apart || after_arguments {
            out.push(' ');
        }
        space = false;
        if matches!(c, '\'' | '"' | '`') {
            quote = Some(c);
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A canonical type's name and its arguments: `timestamp(3) with time zone` gives (`timestamp with time zone`, `[3]`).
fn split(text: &str) -> (String, Option<Vec<String>>) {
    let Some(open) = text.find('(') else { return (text.to_owned(), None) };
    let Some(close) = text.rfind(')').filter(|close| *close > open) else { return (text.to_owned(), None) };
    let mut arguments = vec![String::new()];
    let mut quoted = false;
    for c in text[open + 1..close].chars() {
        quoted ^= c == '\'';
        match arguments.last_mut() {
            Some(last) if c != ',' || quoted => last.push(c),
            _ => arguments.push(String::new()),
        }
    }
    (format!("{}{}", text[..open].trim_end(), &text[close + 1..]), Some(arguments))
}

/// Reads a type that may be a portable one. A text that is no type of any kind becomes [`TypeKind::Native`]; [`read_type`]
/// says what is wrong with it.
pub fn parse_type(text: &str, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> Type {
    read_type(text, dialect, enums).unwrap_or_else(|_| Type { kind: TypeKind::Native(canonical(text)), array_dimensions: 0 })
}

/// Reads a dialect's own spelling, as a server or a map by dialect gives it: `text` is MySQL's short one here.
pub fn parse_own(text: &str, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> Type {
    read_own(text, dialect, enums).unwrap_or_else(|_| Type { kind: TypeKind::Native(canonical(text)), array_dimensions: 0 })
}

/// Reads a type: a portable name, an enum of the schema, or the dialect's own spelling.
///
/// # Errors
/// When it is none of them, or a portable one that the dialect does not have.
pub fn read_type(text: &str, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> Result<Type, TypeFault> {
    let (canonical, dimensions) = dimensions(canonical(text));
    if let Some(found) = enum_name(text, &canonical, enums) {
        return finish(TypeKind::Enum(found), dimensions, dialect);
    }
    let (name, arguments) = split(&canonical);
    match portable(&name, arguments.as_deref())? {
        Some(kind) => finish(kind, dimensions, dialect),
        None => finish(own(&canonical, &name, dialect, enums)?, dimensions, dialect),
    }
}

/// Reads a dialect's own spelling.
///
/// # Errors
/// As [`read_type`].
pub fn read_own(text: &str, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> Result<Type, TypeFault> {
    if dialect == Dialect::Postgres {
        return read_type(text, dialect, enums);
    }
    let (canonical, dimensions) = dimensions(canonical(text));
    if let Some(found) = enum_name(text, &canonical, enums) {
        return finish(TypeKind::Enum(found), dimensions, dialect);
    }
    let (name, arguments) = split(&canonical);
    // One word for what the server has several for.
    let plain = match (name.as_str(), &arguments) {
        ("integer", _) if dialect != Dialect::Sqlite => "int".to_owned(),
        ("int", _) if dialect == Dialect::Sqlite => "integer".to_owned(),
        ("int" | "bigint" | "smallint", Some(_)) => name.clone(),
        ("bool", None) => "boolean".to_owned(),
        ("tinyint", Some(a)) if a.len() == 1 && a[0] == "1" && dialect != Dialect::Sqlite => "boolean".to_owned(),
        ("numeric" | "dec" | "fixed", Some(a)) if dialect != Dialect::Sqlite => format!("decimal({})", a.join(",")),
        ("decimal", Some(a)) if a.len() == 1 && dialect != Dialect::Sqlite => format!("decimal({},0)", a[0]),
        ("character varying", Some(a)) => format!("varchar({})", a.join(",")),
        ("character", Some(a)) => format!("char({})", a.join(",")),
        ("char", None) => "char(1)".to_owned(),
        ("double precision" | "real", None) if dialect != Dialect::Sqlite => "double".to_owned(),
        _ => canonical.clone(),
    };
    // Two portable types may have one spelling; the first in the table is meant, and it is never the wider one.
    const KINDS: [TypeKind; 16] = [
        TypeKind::SmallInt,
        TypeKind::Integer,
        TypeKind::BigInt,
        TypeKind::Real,
        TypeKind::Double,
        TypeKind::Boolean,
        TypeKind::Text,
        TypeKind::Bytea,
        TypeKind::Date,
        TypeKind::Time { precision: None, zone: false },
        TypeKind::Timestamp { precision: None, zone: false },
        TypeKind::Timestamp { precision: None, zone: true },
        TypeKind::Uuid,
        TypeKind::Json,
        TypeKind::Numeric { precision: None, scale: None },
        TypeKind::Varchar(None),
    ];
    let ambiguous = plain == "char(36)";
    if !ambiguous && let Some(kind) = KINDS.into_iter().find(|kind| kind_name(kind, dialect) == plain) {
        return finish(kind, dimensions, dialect);
    }
    let (plain_name, plain_arguments) = split(&plain);
    if let Ok(Some(kind)) = portable(&plain_name, plain_arguments.as_deref())
        && kind_name(&kind, dialect) == plain
    {
        return finish(kind, dimensions, dialect);
    }
    if dialect != Dialect::Sqlite
        && let Some([precision]) = plain_arguments.as_deref()
        && let Ok(precision) = precision.parse()
        && let Some(zone) = [("datetime", false), ("timestamp", true)].iter().find(|(n, _)| *n == plain_name).map(|(_, zone)| *zone)
    {
        return finish(TypeKind::Timestamp { precision: Some(precision), zone }, dimensions, dialect);
    }
    finish(own(&canonical, &name, dialect, enums)?, dimensions, dialect)
}

fn finish(kind: TypeKind, array_dimensions: u8, dialect: Dialect) -> Result<Type, TypeFault> {
    if dialect != Dialect::Postgres && array_dimensions > 0 {
        return Err(TypeFault {
            message: format!("{} has no arrays", product(dialect)),
            help: Some("give this dialect a type of its own: `type: {postgres: \"text[]\", default: json}`".to_owned()),
        });
    }
    let ty = Type { kind, array_dimensions };
    if sql_name(&ty, dialect) == "-" {
        return Err(TypeFault {
            message: format!("{} has no type for `{}`", product(dialect), sql_name(&ty, Dialect::Postgres)),
            help: Some(format!("give it one of its own: `type: {{{}: …, default: {}}}`", dialect.name(), sql_name(&ty, Dialect::Postgres))),
        });
    }
    Ok(ty)
}

/// The product's name in sentences.
pub fn product(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "PostgreSQL",
        Dialect::Mysql => "MySQL",
        Dialect::Mariadb => "MariaDB",
        Dialect::Sqlite => "SQLite",
    }
}

fn enum_name(text: &str, canonical: &str, enums: &IndexMap<String, EnumType>) -> Option<String> {
    if enums.is_empty() {
        return None;
    }
    let bare = text.trim();
    let bare = bare.find('[').map_or(bare, |at| bare[..at].trim_end());
    let bare = bare.strip_prefix('"').and_then(|b| b.strip_suffix('"')).unwrap_or(bare);
    enums.get(bare).or_else(|| enums.get(canonical)).map(|e| e.name.clone())
}

/// Takes `[]`, `[3]` and `array` off the end.
fn dimensions(mut text: String) -> (String, u8) {
    let mut dimensions = 0u8;
    loop {
        if text.ends_with(']')
            && let Some(open) = text.rfind('[')
            && text[open + 1..text.len() - 1].bytes().all(|b| b.is_ascii_digit())
            && dimensions < 6
        {
            text.truncate(open);
            dimensions += 1;
        } else if text.ends_with(" array") && dimensions == 0 {
            text.truncate(text.len() - 6);
            dimensions = 1;
        } else {
            return (text.trim_end().to_owned(), dimensions);
        }
    }
}

fn portable(name: &str, arguments: Option<&[String]>) -> Result<Option<TypeKind>, TypeFault> {
    let none = |kind: TypeKind| match arguments {
        None => Ok(Some(kind)),
        // MySQL's display width, long deprecated: `int(11)`.
        Some(_) if matches!(kind, TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt) => Ok(Some(kind)),
        Some(_) => Err(fault(format!("`{name}` takes no arguments"))),
    };
    let number = |text: &String| text.trim().parse::<u32>().map_err(|_| fault(format!("`{text}` is no length or precision")));
    let at_most_one = || match arguments {
        None => Ok(None),
        Some([one]) => number(one).map(Some),
        Some(_) => Err(fault(format!("`{name}` takes one argument"))),
    };
    let precision = || match at_most_one()? {
        Some(p) if p > 6 => Err(fault(format!("{p} digits of a second; at most 6 are kept"))),
        p => Ok(p),
    };
    let length = || match at_most_one()? {
        Some(0) => Err(fault(format!("`{name}` needs a length above 0"))),
        n => Ok(n),
    };
    Ok(Some(match name {
        "smallint" | "int2" => return none(TypeKind::SmallInt),
        "integer" | "int" | "int4" => return none(TypeKind::Integer),
        "bigint" | "int8" => return none(TypeKind::BigInt),
        "numeric" | "decimal" | "dec" => match arguments {
            None => TypeKind::Numeric { precision: None, scale: None },
            Some([p]) => TypeKind::Numeric { precision: Some(number(p)?), scale: None },
            Some([p, s]) => {
                let scale: i32 = s.trim().parse().map_err(|_| fault(format!("`{s}` is no scale")))?;
                // A scale of 0 is what a precision alone means.
                TypeKind::Numeric { precision: Some(number(p)?), scale: (scale != 0).then_some(scale) }
            }
            Some(_) => return Err(fault("`numeric` takes a precision and a scale")),
        },
        "real" | "float4" => return none(TypeKind::Real),
        "double precision" | "float8" | "double" => match arguments {
            None => TypeKind::Double,
            Some(_) => return Ok(None),
        },
        "float" => match at_most_one()? {
            None => TypeKind::Double,
            Some(p) if p <= 24 => TypeKind::Real,
            Some(_) => TypeKind::Double,
        },
        "boolean" | "bool" => return none(TypeKind::Boolean),
        // Alone it has no length, unlike `char`.
        "bpchar" if arguments.is_none() => return Ok(None),
        "char" | "character" | "bpchar" => TypeKind::Char(length()?.unwrap_or(1)),
        "varchar" | "character varying" | "char varying" => TypeKind::Varchar(length()?),
        // With an argument it is MySQL's: `text(100)`.
        "text" if arguments.is_none() => TypeKind::Text,
        "bytea" => return none(TypeKind::Bytea),
        "date" => return none(TypeKind::Date),
        "time" | "time without time zone" => TypeKind::Time { precision: precision()?, zone: false },
        "timetz" | "time with time zone" => TypeKind::Time { precision: precision()?, zone: true },
        "timestamp" | "timestamp without time zone" => TypeKind::Timestamp { precision: precision()?, zone: false },
        "timestamptz" | "timestamp with time zone" => TypeKind::Timestamp { precision: precision()?, zone: true },
        "interval" if arguments.is_none() => TypeKind::Interval,
        "uuid" => return none(TypeKind::Uuid),
        "json" => return none(TypeKind::Json),
        "jsonb" => return none(TypeKind::Jsonb),
        "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2" => {
            let integer = match name {
                "serial" | "serial4" => "integer",
                "bigserial" | "serial8" => "bigint",
                _ => "smallint",
            };
            return Err(TypeFault {
                message: format!("`{name}` is a shorthand for a sequence and a default, not a type"),
                help: Some(format!("write `{integer} generated by default as identity`")),
            });
        }
        _ => return Ok(None),
    }))
}

const POSTGRES: &[&str] = &[
    "bit",
    "bit varying",
    "bpchar",
    "varbit",
    "money",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "xml",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "oid",
    "name",
    "\"char\"",
    "regclass",
    "regtype",
    "regproc",
    "regrole",
    "regnamespace",
    "regconfig",
    "pg_lsn",
    "pg_snapshot",
    "txid_snapshot",
    "xid",
    "xid8",
    "cid",
    "tid",
    "jsonpath",
    "hstore",
    "citext",
    "ltree",
    "lquery",
    "ltxtquery",
    "geometry",
    "geography",
    "vector",
    "halfvec",
    "sparsevec",
    "cube",
    "seg",
    "isbn",
    "ean13",
    "interval",
    "interval year",
    "interval month",
    "interval day",
    "interval hour",
    "interval minute",
    "interval second",
    "interval year to month",
    "interval day to hour",
    "interval day to minute",
    "interval day to second",
    "interval hour to minute",
    "interval hour to second",
    "interval minute to second",
];

const MYSQL: &[&str] = &[
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "integer",
    "bigint",
    "decimal",
    "dec",
    "numeric",
    "fixed",
    "float",
    "double",
    "double precision",
    "real",
    "bit",
    "bool",
    "boolean",
    "date",
    "datetime",
    "timestamp",
    "time",
    "year",
    "char",
    "character",
    "varchar",
    "character varying",
    "nchar",
    "nvarchar",
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "enum",
    "set",
    "json",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "vector",
];

const MARIADB: &[&str] = &["inet4", "inet6", "uuid", "xmltype"];

const SQLITE: &[&str] = &[
    "blob",
    "any",
    "datetime",
    "tinyint",
    "mediumint",
    "int unsigned",
    "unsigned big int",
    "nchar",
    "nvarchar",
    "native character",
    "clob",
    "varbinary",
    "binary",
    "mediumtext",
    "longtext",
    "tinytext",
    "year",
];

const MODIFIERS: [&str; 7] = ["unsigned", "signed", "zerofill", "binary", "ascii", "unicode", "byte"];

const PORTABLE: [&str; 24] = [
    "smallint",
    "integer",
    "int",
    "bigint",
    "numeric",
    "decimal",
    "real",
    "double precision",
    "boolean",
    "bool",
    "char",
    "character",
    "varchar",
    "character varying",
    "text",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
];

/// A type that only the dialect knows.
fn own(canonical: &str, name: &str, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> Result<TypeKind, TypeFault> {
    if canonical.is_empty() {
        return Err(fault("the type is empty"));
    }
    let mut base = name;
    if dialect != Dialect::Postgres {
        // `varchar(20) character set latin1`, `char(3) charset ascii`
        base = base.split(" character set ").next().unwrap_or(base);
        base = base.split(" charset ").next().unwrap_or(base);
        while let Some((before, last)) = base.rsplit_once(' ')
            && MODIFIERS.contains(&last)
        {
            base = before;
        }
    }
    let known: &[&[&'static str]] = match dialect {
        Dialect::Postgres => &[POSTGRES],
        Dialect::Mysql => &[MYSQL],
        Dialect::Mariadb => &[MYSQL, MARIADB],
        Dialect::Sqlite => &[SQLITE, &PORTABLE],
    };
    let native = || TypeKind::Native(canonical.to_owned());
    if known.iter().any(|list| list.contains(&base)) {
        return Ok(native());
    }
    let qualified = base.contains('.') || base.starts_with('"');
    if qualified && dialect == Dialect::Postgres {
        return Ok(native());
    }
    let message = format!("{} knows no type `{canonical}`", product(dialect));
    let candidates = enums.keys().map(String::as_str).chain(PORTABLE).chain(known.iter().flat_map(|list| list.iter().copied()));
    if let Some(near) = nearest(base, candidates) {
        return Err(TypeFault { message, help: Some(format!("did you mean `{near}`?")) });
    }
    // A type of an extension or a domain, or whatever SQLite may be told, is a word of its own.
    let word = !base.is_empty() && base.chars().all(|c| c.is_alphanumeric() || c == '_');
    match dialect {
        Dialect::Postgres | Dialect::Sqlite if word => Ok(native()),
        Dialect::Postgres | Dialect::Sqlite | Dialect::Mysql | Dialect::Mariadb => Err(fault(message)),
    }
}

/// What a column of a type can hold, for [`why_fails`](crate::sql::expression::why_fails).
pub fn domain(ty: &Type, dialect: Dialect) -> Domain {
    if ty.array_dimensions > 0 {
        return Domain::Other;
    }
    match &ty.kind {
        TypeKind::SmallInt => Domain::signed(16),
        TypeKind::Integer => Domain::signed(32),
        TypeKind::BigInt => Domain::signed(64),
        TypeKind::Numeric { precision: None, .. } if dialect == Dialect::Postgres => Domain::AnyDecimal,
        // As the mapping table writes it.
        TypeKind::Numeric { precision: None, .. } => Domain::Decimal { precision: 65, scale: 30 },
        TypeKind::Numeric { precision: Some(precision), scale } => Domain::Decimal { precision: *precision, scale: scale.unwrap_or(0) },
        TypeKind::Real | TypeKind::Double => Domain::Float,
        TypeKind::Char(_) | TypeKind::Varchar(_) | TypeKind::Text => Domain::Text,
        // A number of 8 bits there.
        TypeKind::Boolean if matches!(dialect, Dialect::Mysql | Dialect::Mariadb) => Domain::signed(8),
        TypeKind::Native(text) => {
            let bits = match text.split([' ', '(']).next() {
                Some("tinyint") => 8,
                Some("smallint") => 16,
                Some("mediumint") => 24,
                Some("int") => 32,
                Some("bigint") => 64,
                Some("float" | "double") => return Domain::Float,
                _ => return Domain::Other,
            };
            // `zerofill` has no sign either.
            let has_sign = !text.ends_with("unsigned") && !text.contains("zerofill");
            if has_sign { Domain::signed(bits) } else { Domain::unsigned(bits) }
        }
        _ => Domain::Other,
    }
}

/// The name of a type that PostgreSQL does not bring along: a domain, a composite type, or a type of an extension.
pub fn type_of_the_database(ty: &Type) -> Option<&str> {
    let TypeKind::Native(text) = &ty.kind else { return None };
    let base = text.split('(').next().unwrap_or(text).trim();
    (!POSTGRES.contains(&base)).then_some(base)
}

/// How a dialect writes a type. An enum of the schema is its name on PostgreSQL, `enum` on MySQL and MariaDB (see
/// [`sql_name_in`] for its labels) and `text` on SQLite; `-` says that the dialect has no such type.
pub fn sql_name(ty: &Type, dialect: Dialect) -> String {
    let mut name = kind_name(&ty.kind, dialect);
    for _ in 0..ty.array_dimensions {
        name.push_str("[]");
    }
    name
}

/// As [`sql_name`], with the labels of an enum where they are part of the type: `enum('draft','live')`.
pub fn sql_name_in(ty: &Type, dialect: Dialect, enums: &IndexMap<String, EnumType>) -> String {
    if let (TypeKind::Enum(name), Dialect::Mysql | Dialect::Mariadb) = (&ty.kind, dialect)
        && let Some(found) = enums.get(name)
    {
        // A backslash escapes in MySQL's literals; https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
        let labels: Vec<String> =
            found.labels.iter().map(|label| format!("'{}'", label.replace('\\', "\\\\").replace('\'', "''"))).collect();
        return format!("enum({})", labels.join(","));
    }
    sql_name(ty, dialect)
}

fn kind_name(kind: &TypeKind, dialect: Dialect) -> String {
    let (row, p, s): (&str, Option<u32>, i32) = match kind {
        TypeKind::SmallInt => ("smallint", None, 0),
        TypeKind::Integer => ("integer", None, 0),
        TypeKind::BigInt => ("bigint", None, 0),
        TypeKind::Numeric { precision: None, .. } => ("numeric", None, 0),
        TypeKind::Numeric { precision, scale: None } => ("numeric(p)", *precision, 0),
        TypeKind::Numeric { precision, scale: Some(scale) } => ("numeric(p,s)", *precision, *scale),
        TypeKind::Real => ("real", None, 0),
        TypeKind::Double => ("double precision", None, 0),
        TypeKind::Boolean => ("boolean", None, 0),
        TypeKind::Char(n) => ("char(n)", Some(*n), 0),
        TypeKind::Varchar(None) => ("varchar", None, 0),
        TypeKind::Varchar(n) => ("varchar(n)", *n, 0),
        TypeKind::Text => ("text", None, 0),
        TypeKind::Bytea => ("bytea", None, 0),
        TypeKind::Date => ("date", None, 0),
        TypeKind::Time { precision, zone } => (pick(*zone, *precision, ["time", "time(p)", "timetz", "timetz(p)"]), *precision, 0),
        TypeKind::Timestamp { precision, zone } => {
            (pick(*zone, *precision, ["timestamp", "timestamp(p)", "timestamptz", "timestamptz(p)"]), *precision, 0)
        }
        TypeKind::Interval => ("interval", None, 0),
        TypeKind::Uuid => ("uuid", None, 0),
        TypeKind::Json => ("json", None, 0),
        TypeKind::Jsonb => ("jsonb", None, 0),
        TypeKind::Enum(name) => {
            return match dialect {
                Dialect::Postgres => identifier(name),
                Dialect::Mysql | Dialect::Mariadb => "enum".to_owned(),
                Dialect::Sqlite => "text".to_owned(),
            };
        }
        TypeKind::Native(text) => return text.clone(),
    };
    let column = match dialect {
        Dialect::Postgres => 0,
        Dialect::Mysql => 1,
        Dialect::Mariadb => 2,
        Dialect::Sqlite => 3,
    };
    let template = MAPPING.iter().find(|(name, _)| *name == row).map_or("-", |(_, columns)| columns[column]);
    if !template.contains('{') {
        return template.to_owned();
    }
    let p = p.unwrap_or(0).to_string();
    template.replace("{p}", &p).replace("{n}", &p).replace("{s}", &s.to_string())
}

fn pick(zone: bool, precision: Option<u32>, names: [&'static str; 4]) -> &'static str {
    names[usize::from(zone) * 2 + usize::from(precision.is_some())]
}

fn identifier(name: &str) -> String {
    let mut bytes = name.bytes();
    let simple = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if simple { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
