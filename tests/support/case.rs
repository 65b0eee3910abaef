//! A case: two snapshots, rows that are there before, and what each version writes and must then see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossfade::sql::Dialect;
use serde::Deserialize;
use serde_json::Value;

/// How the two versions reach their shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Shared,
    Versioned,
}

impl Access {
    pub fn name(self) -> &'static str {
        match self {
            Access::Shared => "shared",
            Access::Versioned => "versioned",
        }
    }
}

/// A version of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Old,
    New,
}

/// Where in the overlap a probe runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the first statement of expand.
    Before,
    /// Between two statements of expand.
    Expand,
    /// From the end of expand on, between two statements of migrate.
    Migrate,
    /// From the end of migrate to the first statement of contract.
    Live,
    /// Between two statements of contract.
    Contract,
    /// After contract.
    After,
}

/// `case.yaml` as it is for one dialect. Its keys are described in `tests/cases/README.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// What the case shows, in a sentence.
    #[serde(rename = "about")]
    pub _about: String,
    /// The dialects that it runs in.
    #[serde(default = "only_postgres", deserialize_with = "dialects")]
    pub dialects: Vec<Dialect>,
    #[serde(default = "both_accesses")]
    pub access: Vec<Access>,
    /// Access modes in which compile must refuse, each with words that its message must contain.
    #[serde(default)]
    pub refused: BTreeMap<Access, Vec<String>>,
    /// The only servers that can run it, by name; none: all.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Hazards to acknowledge.
    #[serde(default)]
    pub allow: Vec<String>,
    /// SQL that fills the old schema before anything starts.
    #[serde(default)]
    pub seed: String,
    /// Columns (`table.column`) of which `update t set c = c` is not tried, because a law does not hold there on purpose.
    #[serde(default)]
    pub unstable: Vec<String>,
    /// Columns (`table.column`) whose values the upgrade changes under the old version on purpose.
    #[serde(default)]
    pub touched: Vec<String>,
    /// Columns (`table.column`) to which each run gives another value: two runs must only agree on which rows have one.
    #[serde(default)]
    pub random: Vec<String>,
    /// Whether abort can give the old snapshot back when the new version wrote what the old rules forbid.
    #[serde(default = "yes")]
    pub abort_after_writes: bool,
    /// What abort can't take back, by the hazard that says so: how the lines of the catalog start that it may leave different.
    #[serde(default)]
    pub abort_keeps: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub probes: Vec<Probe>,
}

fn dialects<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<Dialect>, D::Error> {
    let names = Vec::<String>::deserialize(list)?;
    names.iter().map(|name| Dialect::from_name(name).ok_or_else(|| serde::de::Error::custom(format!("unknown dialect {name}")))).collect()
}

fn only_postgres() -> Vec<Dialect> {
    vec![Dialect::Postgres]
}

fn yes() -> bool {
    true
}

fn both_accesses() -> Vec<Access> {
    vec![Access::Shared, Access::Versioned]
}

/// Writes of one or both versions, and what each must see afterwards. `$k` is a fresh number in every run; a probe may use
/// the ten numbers from `$k` on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub name: String,
    /// Short form of one step.
    #[serde(rename = "as")]
    pub side: Option<Side>,
    pub sql: Option<String>,
    pub returns: Option<Vec<Vec<Cell>>>,
    pub fails: Option<String>,
    /// Long form.
    #[serde(default)]
    pub steps: Vec<Step>,
    pub old_sees: Option<Sees>,
    pub new_sees: Option<Sees>,
    /// Stages to run in; by default all in which every writing version is promised its shape.
    pub only: Option<Vec<Stage>>,
    /// A write of the new version may come as soon as expand is done.
    #[serde(default)]
    pub early: bool,
    /// Only in this access mode.
    pub access: Option<Access>,
    /// Only in these dialects of the case; all by default.
    #[serde(default, deserialize_with = "dialects")]
    pub dialects: Vec<Dialect>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[serde(rename = "as")]
    pub side: Side,
    pub sql: String,
    /// The rows that the statement gives back.
    pub returns: Option<Vec<Vec<Cell>>>,
    /// What it must fail with: the SQLSTATE, the number of the error, or for SQLite words of the message.
    pub fails: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sees {
    pub query: String,
    pub rows: Vec<Vec<Cell>>,
}

/// An expected value; compared with the server's text form of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Null(()),
}

impl Cell {
    /// The server's text form, with `$k` replaced.
    pub fn text(&self, key: u64, dialect: Dialect) -> Option<String> {
        let booleans = if dialect == Dialect::Postgres { ["f", "t"] } else { ["0", "1"] };
        match self {
            Cell::Bool(value) => Some(booleans[usize::from(*value)].to_owned()),
            Cell::Integer(number) => Some(number.to_string()),
            Cell::Float(number) => Some(number.to_string()),
            Cell::Text(text) => Some(with_key(text, key)),
            Cell::Null(()) => None,
        }
    }
}

/// `$k` and `$k+3` replaced by numbers.
pub fn with_key(text: &str, key: u64) -> String {
    let mut parts = text.split("$k");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut characters = part.chars();
        match (characters.next(), characters.next().and_then(|digit| digit.to_digit(10))) {
            (Some('+'), Some(plus)) => {
                result.push_str(&(key + u64::from(plus)).to_string());
                result.push_str(&part[2..]);
            }
            _ => {
                result.push_str(&key.to_string());
                result.push_str(part);
            }
        }
    }
    result
}

impl Probe {
    /// Its steps, from either form.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = self.steps.clone();
        if let (Some(side), Some(sql)) = (self.side, &self.sql) {
            steps.insert(0, Step { side, sql: sql.clone(), returns: self.returns.clone(), fails: self.fails.clone() });
        }
        steps
    }

    /// Whether it runs in a stage.
    pub fn runs_in(&self, stage: Stage, access: Access) -> bool {
        if self.access.is_some_and(|only| only != access) {
            return false;
        }
        let steps = self.steps();
        let writes = |side| steps.iter().any(|step| step.side == side);
        let first = match (writes(Side::New), self.early) {
            (true, false) => Stage::Live,
            (true, true) => Stage::Migrate,
            (false, _) => Stage::Before,
        };
        let last = if writes(Side::Old) { Stage::Live } else { Stage::After };
        stage >= first && stage <= last && self.only.as_ref().is_none_or(|only| only.contains(&stage))
    }
}

/// The names of a map that has a value for each dialect; `mariadb` may be left to `mysql`, and any to `default`.
const BY_DIALECT: [&str; 5] = ["postgres", "mysql", "mariadb", "sqlite", "default"];

/// Wherever a map has nothing but dialects for keys: the value that this dialect has there.
fn chosen(value: Value, dialect: Dialect) -> Result<Value, String> {
    match value {
        Value::Object(map) if !map.is_empty() && map.keys().all(|key| BY_DIALECT.contains(&key.as_str())) => {
            let names: &[&str] = match dialect {
                Dialect::Mariadb => &["mariadb", "mysql", "default"],
                other => &[other.name(), "default"],
            };
            match names.iter().find_map(|name| map.get(*name)) {
                Some(value) => chosen(value.clone(), dialect),
                None => Err(format!("a value has neither `{}` nor `default`: {}", dialect.name(), Value::Object(map))),
            }
        }
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| Ok((key, chosen(value, dialect)?))).collect::<Result<_, String>>().map(Value::Object)
        }
        Value::Array(list) => list.into_iter().map(|value| chosen(value, dialect)).collect::<Result<_, String>>().map(Value::Array),
        other => Ok(other),
    }
}

/// Reads `case.yaml` for a dialect; `y` is a text and not a boolean.
pub fn read_for(text: &str, dialect: Dialect) -> Result<CaseFile, String> {
    serde_json::from_value(chosen(parsed(text)?, dialect)?).map_err(|error| error.to_string())
}

/// Reads `case.yaml` for PostgreSQL.
pub fn read(text: &str) -> Result<CaseFile, String> {
    read_for(text, Dialect::Postgres)
}

fn parsed(text: &str) -> Result<Value, String> {
    serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true }).map_err(|error| error.to_string())
}

/// A case with its folder.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    /// As it is for one of its dialects.
    pub file: CaseFile,
}

impl Case {
    /// Each case and each of its access modes begins at a place of its own, so that all of them together leave nothing out.
    pub fn shift(&self, access: Access) -> usize {
        self.name.bytes().map(usize::from).sum::<usize>() + usize::from(access == Access::Shared)
    }

    /// Whether a server can run it.
    pub fn runs_on(&self, server: &str) -> bool {
        self.file.servers.is_empty() || self.file.servers.iter().any(|name| name == server)
    }

    /// Reads one folder, for the first dialect of the case.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join("case.yaml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let dialects = parsed(&text)
            .and_then(|value| match value.get("dialects") {
                Some(list) => dialects(list).map_err(|error| format!("dialects: {error}")),
                None => Ok(only_postgres()),
            })
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::read_for(folder, *dialects.first().ok_or_else(|| format!("{}: no dialects", path.display()))?)
    }

    fn read_for(folder: &Path, dialect: Dialect) -> Result<Self, String> {
        let path = folder.join("case.yaml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut file = read_for(&text, dialect).map_err(|error| format!("{} for {}: {error}", path.display(), dialect.name()))?;
        for probe in &file.probes {
            if probe.steps().is_empty() || probe.side.is_some() != probe.sql.is_some() {
                return Err(format!("{}: probe {}: give `as` and `sql`, or `steps`", path.display(), probe.name));
            }
            if let Some(other) = probe.dialects.iter().find(|one| !file.dialects.contains(one)) {
                return Err(format!("{}: probe {}: {} is no dialect of the case", path.display(), probe.name, other.name()));
            }
        }
        file.probes.retain(|probe| probe.dialects.is_empty() || probe.dialects.contains(&dialect));
        file.access.retain(|access| !file.refused.contains_key(access));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, folder: folder.to_owned(), file })
    }

    /// The same case in another of its dialects.
    pub fn in_dialect(&self, dialect: Dialect) -> Result<Self, String> {
        Self::read_for(&self.folder, dialect)
    }

    /// The cases of the repository that run on PostgreSQL, by name.
    pub fn all() -> Vec<Result<Self, String>> {
        let mut cases = Self::every();
        cases.retain(|case| case.as_ref().map_or(true, |case| case.file.dialects.contains(&Dialect::Postgres)));
        cases.into_iter().map(|case| case.and_then(|case| case.in_dialect(Dialect::Postgres))).collect()
    }

    /// All cases of the repository, by name, each for its first dialect.
    pub fn every() -> Vec<Result<Self, String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let mut folders: Vec<PathBuf> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.join("case.yaml").is_file())
            .collect();
        folders.sort();
        folders.iter().map(|folder| Self::read(folder)).collect()
    }
}
