//! Families of types: within one, the server's casts are the lens.

use crate::snapshot::model::{Type, TypeKind};

/// What types of one family have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Family {
    Integer,
    Number,
    Boolean,
    Text,
    Bytes,
    /// Days, and days with a time that is the reading of a clock.
    Clock,
    /// Points in time.
    Instant,
    Time { zone: bool },
    Interval,
    Uuid,
    Json,
    Enum(String),
    Native(String),
}

/// The family of a type. Arrays are in that of their elements, by dimensions.
fn family(ty: &Type) -> (Family, u8) {
    let family = match &ty.kind {
        TypeKind::SmallInt | TypeKind::Integer | TypeKind::BigInt => Family::Integer,
        TypeKind::Numeric { .. } | TypeKind::Real | TypeKind::Double => Family::Number,
        TypeKind::Boolean => Family::Boolean,
        TypeKind::Char(_) | TypeKind::Varchar(_) | TypeKind::Text => Family::Text,
        TypeKind::Bytea => Family::Bytes,
        TypeKind::Date | TypeKind::Timestamp { zone: false, .. } => Family::Clock,
        TypeKind::Timestamp { zone: true, .. } => Family::Instant,
        TypeKind::Time { zone, .. } => Family::Time { zone: *zone },
        TypeKind::Interval => Family::Interval,
        TypeKind::Uuid => Family::Uuid,
        TypeKind::Json | TypeKind::Jsonb => Family::Json,
        TypeKind::Enum(name) => Family::Enum(name.clone()),
        TypeKind::Native(spelling) => native(spelling),
    };
    (family, ty.array_dimensions)
}

/// A dialect's own spelling: by its first word, as `int unsigned` and `varbinary(14)` show.
fn native(spelling: &str) -> Family {
    let spelling = spelling.to_ascii_lowercase();
    let word = spelling.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    match word {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => Family::Integer,
        "decimal" | "numeric" | "float" | "double" | "real" => Family::Number,
        "tinytext" | "mediumtext" | "longtext" | "text" | "char" | "varchar" | "citext" | "nchar" | "nvarchar" => Family::Text,
        "binary" | "varbinary" | "blob" | "tinyblob" | "mediumblob" | "longblob" => Family::Bytes,
        "datetime" => Family::Clock,
        _ => Family::Native(word.to_owned()),
    }
}

/// Whether the server's own casts lead from one type to the other and back.
pub(super) fn same_family(a: &Type, b: &Type) -> bool {
    family(a) == family(b)
}
