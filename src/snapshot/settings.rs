//! `crossfade.yaml`: what a project says once for all of its snapshots.

use super::decode::{Choice, Chosen, Decoder, Text};
use super::model::Access;
use super::tree;
use crate::diagnostic::{Diagnostic, FileId, Sources, Span};
use crate::sql::Dialect;

/// The settings of a project. A flag of the command line beats a transition, which beats these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The dialects that are compiled for, in the order written; `postgres` when the file does not say.
    pub dialects: Vec<Dialect>,
    access: Option<Choice<Access>>,
    /// Name of the database (MySQL and MariaDB).
    pub database: Option<String>,
    /// Name of the schema (PostgreSQL), by default `public`.
    pub schema: Option<String>,
    /// Hazards that the project acknowledges, with their places.
    pub allow: Vec<(String, Span)>,
    /// The folder of the compiled scripts.
    pub migrations: String,
    /// The folder of the snapshots.
    pub schemas: String,
    /// The oldest library of SQLite that runs the scripts, with its place.
    pub sqlite_version: Option<(String, Span)>,
    /// Whether clients hold a reader's lock in their transactions.
    pub schema_lock: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            dialects: vec![Dialect::Postgres],
            access: None,
            database: None,
            schema: None,
            allow: Vec::new(),
            migrations: "migrations".to_owned(),
            schemas: "schemas".to_owned(),
            sqlite_version: None,
            schema_lock: false,
        }
    }
}

impl Settings {
    /// The access that the file asks for on a dialect.
    pub fn access(&self, dialect: Dialect) -> Option<Access> {
        match self.access.as_ref()?.choose(dialect) {
            Chosen::Value { value, .. } => Some(*value),
            Chosen::Nothing | Chosen::Missing(_) => None,
        }
    }

    /// Reads the file, as strictly as a snapshot: every fault is reported, and what could be read is returned.
    pub fn read(sources: &Sources, file: FileId) -> (Settings, Vec<Diagnostic>) {
        let mut settings = Settings::default();
        let Some(source) = sources.get(file) else { return (settings, Vec::new()) };
        let (root, faults) = tree::read(&source.text, file);
        let mut d = Decoder { diagnostics: faults };
        let Some(root) = root else { return (settings, d.diagnostics) };
        let keys = ["dialects", "access", "database", "schema", "allow", "migrations", "schemas", "sqlite_version", "schema_lock"];
        let fields = d.fields(&root, "`crossfade.yaml`", &keys);
        if let Some(node) = fields.get("dialects") {
            let dialects = d.dialect_list(node);
            if dialects.is_empty() && d.diagnostics.is_empty() {
                d.report(Diagnostic::error("no-values", "`dialects` is empty").at(node.span, "name one at least"));
            } else if !dialects.is_empty() {
                settings.dialects = dialects;
            }
        }
        let words = [("shared", Access::Shared), ("versioned", Access::Versioned)];
        settings.access = fields.get("access").and_then(|node| d.choice(node, "`access`", |d, n| d.word(n, "`access`", &words)));
        let value = |text: Option<Text>| text.map(|t| t.value);
        settings.database = value(d.optional_text(&fields, "database"));
        settings.schema = value(d.optional_text(&fields, "schema"));
        settings.allow = fields
            .get("allow")
            .map(|node| d.names(node, "`allow`"))
            .unwrap_or_default()
            .into_iter()
            .map(|text| (text.value, text.span))
            .collect();
        if let Some(folder) = value(d.optional_text(&fields, "migrations")) {
            settings.migrations = folder;
        }
        if let Some(folder) = value(d.optional_text(&fields, "schemas")) {
            settings.schemas = folder;
        }
        settings.sqlite_version =
            fields.get("sqlite_version").and_then(|node| d.scalar(node, "`sqlite_version`")).map(|text| (text.value, text.span));
        settings.schema_lock = d.flag(&fields, "schema_lock");
        (settings, d.diagnostics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Settings, Vec<&'static str>) {
        let mut sources = Sources::default();
        let file = sources.add("crossfade.yaml", text);
        let (settings, faults) = Settings::read(&sources, file);
        (settings, faults.iter().map(|d| d.code).collect())
    }

    #[test]
    fn everything_is_read() {
        let (settings, faults) = read(
            "dialects: [mysql, postgres]\naccess: {mysql: versioned, default: shared}\ndatabase: shop\nschema: app\nallow: [drops-data]\nmigrations: db\nschemas: defs\nsqlite_version: 3.50\nschema_lock: true\n",
        );
        assert_eq!(faults, [""; 0]);
        assert_eq!(settings.dialects, [Dialect::Mysql, Dialect::Postgres]);
        assert_eq!(settings.access(Dialect::Mariadb), Some(Access::Versioned));
        assert_eq!(settings.access(Dialect::Sqlite), Some(Access::Shared));
        assert_eq!(settings.sqlite_version.as_ref().map(|(version, _)| version.as_str()), Some("3.50"));
        assert_eq!((settings.migrations.as_str(), settings.schemas.as_str(), settings.schema_lock), ("db", "defs", true));
        assert_eq!(read("").0, Settings::default());
    }

    #[test]
    fn every_fault_is_reported() {
        let (_, faults) = read("dialects: [postgre]\nacces: shared\nschema_lock: yes\naccess: both\nallow: 3\nallow: []\n");
        assert_eq!(faults, ["duplicate-key", "unknown-key", "unknown-dialect", "unknown-word", "wrong-type", "wrong-type"]);
    }
}
