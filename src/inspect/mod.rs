//! A live database as a snapshot: its catalog becomes a schema, and that the text of a snapshot, which `snapshot::read` reads like
//! any other. A folder a dialect.
//!
//! Invariant: the database is only read, and nothing in it is passed over in silence: what the format has no words for comes
//! back as [`LeftOut`], by kind and name. What crossfade itself keeps there is no part of a schema.

pub mod postgres;

use crate::diagnostic::Diagnostic;
use crate::snapshot;
use crate::snapshot::model::Schema;
use crate::sql::Dialect;

/// What a database holds and a snapshot can't say: an object, or a property of one that is read without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub struct LeftOut {
    /// What it is, in the plural: `functions`.
    pub kind: String,
    /// Which one.
    pub name: String,
}

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its schema as the text of a snapshot.
    pub text: String,
    /// What is not in the text, sorted.
    pub left_out: Vec<LeftOut>,
    /// The two versions that it serves, when it is on its way from one to the other.
    pub between: Option<(String, String)>,
}

/// What a dialect's reader found.
struct Found {
    schema: Schema,
    /// The version, if the database knows it.
    version: Option<String>,
    between: Option<(String, String)>,
    left_out: Vec<LeftOut>,
}

impl Found {
    /// `name` is the version's, if the database does not know it.
    fn write(mut self, name: &str, dialect: Dialect) -> Inspected {
        self.schema.version = self.version.unwrap_or_else(|| name.to_owned());
        self.schema.release.clone_from(&self.schema.version);
        Inspected { text: snapshot::write(&self.schema, dialect), left_out: self.left_out, between: self.between }
    }
}

impl Inspected {
    /// Warnings about what is not in the text: one a kind, with every name.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut warnings = Vec::new();
        if let Some((old, new)) = &self.between {
            warnings.push(
                Diagnostic::warning(
                    "between-versions",
                    format!("the database is on its way from `{old}` to `{new}`: its tables hold parts of both"),
                )
                .help("finish with contract or go back with abort, then read it again"),
            );
        }
        for same in self.left_out.chunk_by(|a, b| a.kind == b.kind) {
            let names: Vec<&str> = same.iter().map(|left| left.name.as_str()).collect();
            let kind = same.first().map_or("", |left| left.kind.as_str());
            warnings.push(Diagnostic::warning(
                "outside-format",
                format!("not read, as a snapshot has no words for it: {kind}: {}", names.join(", ")),
            ));
        }
        warnings
    }
}
