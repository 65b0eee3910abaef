//! Families of types: within one, the server's casts are the lens.

use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types;

/// Whether the server's own casts lead from one type to the other and back.
pub(super) fn same_family(a: &Type, b: &Type) -> bool {
    if a.array_dimensions != b.array_dimensions {
        return false;
    }
    if a.array_dimensions > 0 {
        let element = |ty: &Type| Type { kind: ty.kind.clone(), array_dimensions: 0 };
        return same_family(&element(a), &element(b));
    }
    match (types::family(a), types::family(b)) {
        (Some(a), Some(b)) => a == b,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => alone(&a.kind) == alone(&b.kind),
    }
}

/// What types that belong to no larger family have in common: the spelling up to its length, and what two spellings share.
fn alone(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Json | TypeKind::Jsonb => "json".to_owned(),
        TypeKind::Bytea => "binary".to_owned(),
        TypeKind::Enum(name) => format!("enum {name}"),
        TypeKind::Native(spelling) => {
            let spelling = spelling.to_ascii_lowercase();
            match spelling.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default() {
                "binary" | "varbinary" | "blob" | "tinyblob" | "mediumblob" | "longblob" | "bytea" => "binary".to_owned(),
                // The labels belong to the type.
                "enum" | "set" => spelling,
                "json" | "jsonb" => "json".to_owned(),
                word => format!("own {word}"),
            }
        }
        other => format!("{other:?}"),
    }
}
