//! The scripts of a case, as the program writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crossfade::sql::Dialect;

use super::case::{Access, Case};
use super::engine::mysql::COMPILED_FOR;

/// A phase of an upgrade, or the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Expand,
    Migrate,
    Contract,
    Abort,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Expand => "expand",
            Phase::Migrate => "migrate",
            Phase::Contract => "contract",
            Phase::Abort => "abort",
        }
    }
}

/// The scripts of one upgrade, and those that install either snapshot alone.
#[derive(Debug, Clone, Default)]
pub struct Scripts {
    /// Version of the new snapshot; it names its namespace.
    pub new_version: String,
    pub expand: String,
    pub migrate: String,
    pub contract: String,
    pub abort: String,
    pub verify: Option<String>,
    /// What was compiled, with its hazards.
    pub manifest: String,
    /// The four phases of an upgrade of wholly other tables: a statement that stands there too is about none of these tables.
    pub control: Option<Box<[String; 4]>>,
    /// Scripts that install the old snapshot in an empty database, in order.
    pub install_old: Vec<String>,
    /// Scripts that install the new snapshot with the case's access.
    pub install_new: Vec<String>,
    /// Scripts that install the new snapshot without a namespace of its own.
    pub install_new_plain: Vec<String>,
}

impl Scripts {
    pub fn of(&self, phase: Phase) -> &str {
        match phase {
            Phase::Expand => &self.expand,
            Phase::Migrate => &self.migrate,
            Phase::Contract => &self.contract,
            Phase::Abort => &self.abort,
        }
    }

    /// The same phase of the control.
    pub fn control_of(&self, phase: Phase) -> Option<&str> {
        self.control.as_ref().map(|phases| phases[phase as usize].as_str())
    }
}

/// The phases of an upgrade that has no table in common with any case, where it is between the same two versions.
pub fn control(scripts: &Scripts, access: Access, dialect: Dialect) -> Result<Option<Box<[String; 4]>>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/control");
    let other = run_compile(&folder.join("old.yaml"), &folder.join("new.yaml"), access, dialect, &[])?;
    if other.version != scripts.new_version {
        return Ok(None);
    }
    Ok(Some(Box::new([other.read("expand")?, other.read("migrate")?, other.read("contract")?, other.read("abort")?])))
}

/// Compiles a case for PostgreSQL. The error is what the program printed.
pub fn compile(case: &Case, access: Access) -> Result<Scripts, String> {
    compile_for(case, access, Dialect::Postgres)
}

/// Compiles a case. The error is what the program printed.
pub fn compile_for(case: &Case, access: Access, dialect: Dialect) -> Result<Scripts, String> {
    compile_in(&case.folder, access, dialect, &case.file.allow)
}

/// Compiles `old.yaml` and `new.yaml` of a folder for PostgreSQL.
pub fn compile_folder(folder: &Path, access: Access, allow: &[String]) -> Result<Scripts, String> {
    compile_in(folder, access, Dialect::Postgres, allow)
}

/// Compiles `old.yaml` and `new.yaml` of a folder.
pub fn compile_in(folder: &Path, access: Access, dialect: Dialect, allow: &[String]) -> Result<Scripts, String> {
    let run_compile = |old: &Path, new: &Path, access, allow: &[String]| run_compile(old, new, access, dialect, allow);
    let old = folder.join("old.yaml");
    let new = folder.join("new.yaml");
    let upgrade = run_compile(&old, &new, access, allow)?;
    let install_old = run_compile(Path::new("empty"), &old, Access::Shared, &[])?;
    let install_new = run_compile(Path::new("empty"), &new, access, &[])?;
    let install_new_plain = match access {
        Access::Shared => install_new.clone(),
        Access::Versioned => run_compile(Path::new("empty"), &new, Access::Shared, &[])?,
    };
    Ok(Scripts {
        new_version: upgrade.version.clone(),
        expand: upgrade.read("expand")?,
        migrate: upgrade.read("migrate")?,
        contract: upgrade.read("contract")?,
        abort: upgrade.read("abort")?,
        verify: upgrade.read("verify").ok(),
        manifest: upgrade.read("manifest")?,
        control: None,
        install_old: install_old.phases()?,
        install_new: install_new.phases()?,
        install_new_plain: install_new_plain.phases()?,
    })
}

#[derive(Clone)]
struct Compiled {
    version: String,
    files: Vec<(String, String)>,
}

impl Compiled {
    fn read(&self, name: &str) -> Result<String, String> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, text)| text.clone()).ok_or_else(|| format!("compile wrote no {name}.sql"))
    }

    fn phases(&self) -> Result<Vec<String>, String> {
        ["expand", "migrate", "contract"].into_iter().map(|phase| self.read(phase)).collect()
    }
}

/// The same arguments are compiled once for all the servers and access modes of a case.
fn run_compile(old: &Path, new: &Path, access: Access, dialect: Dialect, allow: &[String]) -> Result<Compiled, String> {
    type Arguments = ([(PathBuf, Option<String>); 2], Access, &'static str, Vec<String>);
    static COMPILED: Mutex<BTreeMap<Arguments, Result<Compiled, String>>> = Mutex::new(BTreeMap::new());
    // A folder may have another snapshot by then.
    let key = ([old, new].map(|path| (path.to_owned(), std::fs::read_to_string(path).ok())), access, dialect.name(), allow.to_vec());
    if let Some(known) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known.clone();
    }
    let compiled = run_compiler(old, new, access, dialect, allow);
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(compiled).clone()
}

fn run_compiler(old: &Path, new: &Path, access: Access, dialect: Dialect, allow: &[String]) -> Result<Compiled, String> {
    let out = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("compile").arg(old).arg(new).args(["--dialect", dialect.name(), "--access", access.name(), "--out"]).arg(out.path());
    if access == Access::Versioned && matches!(dialect, Dialect::Mysql | Dialect::Mariadb) {
        command.args(["--database", COMPILED_FOR]);
    }
    for code in allow {
        command.args(["--allow", code]);
    }
    // Nothing of the folder that the tests run in shall matter.
    let output = command.current_dir(out.path()).env("NO_COLOR", "1").output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!(
            "compile {} {} --dialect {} --access {} ended with {}:\n{}",
            old.display(),
            new.display(),
            dialect.name(),
            access.name(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let folder = only_folder(out.path())?;
    let version = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files = Vec::new();
    for name in ["expand", "migrate", "contract", "abort", "verify"] {
        if let Ok(text) = std::fs::read_to_string(folder.join(dialect.name()).join(format!("{name}.sql"))) {
            files.push((name.to_owned(), text));
        }
    }
    let manifest = std::fs::read_to_string(folder.join("manifest.yaml")).map_err(|error| format!("manifest.yaml: {error}"))?;
    files.push(("manifest".to_owned(), manifest));
    Ok(Compiled { version, files })
}

fn only_folder(parent: &Path) -> Result<PathBuf, String> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(parent)
        .map_err(|error| error.to_string())?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    match (folders.pop(), folders.is_empty()) {
        (Some(folder), true) => Ok(folder),
        _ => Err("compile did not write exactly one folder".to_owned()),
    }
}
