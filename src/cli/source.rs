//! Where a schema comes from: a file, a directory, a revision of git, a live database, or nothing.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::diagnostic::{Diagnostic, FileId, Sources};
use crate::snapshot::{self, MAX_FILE_BYTES, Snapshot};
use crate::sql::Dialect;

/// How many files of a directory are read.
const MAX_FILES: usize = 100_000;

/// Reads the snapshot that `spec` names: a file, a directory, `git:REV:PATH`, a database's URL or `empty`. Faults of the snapshot itself are among
/// the diagnostics.
///
/// # Errors
/// When it can't be found or read at all.
pub(crate) fn load(spec: &str, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<(Snapshot, Vec<Diagnostic>)> {
    let found = find(spec, sources, live)?;
    Ok(read(sources, &found))
}

/// Reads the snapshot in a file or directory on disk.
///
/// # Errors
/// When it can't be read at all.
pub(crate) fn from_path(path: &Path, sources: &mut Sources) -> anyhow::Result<(Snapshot, Vec<Diagnostic>)> {
    let files = from_disk(path)?.into_iter().map(|(name, text)| sources.add(name, text)).collect();
    Ok(read(sources, &Found::Files(files)))
}

/// What a spec names.
pub(crate) enum Found {
    /// `empty`.
    Nothing,
    /// The files of one snapshot.
    Files(Vec<FileId>),
    /// What a database holds, as one snapshot, and warnings about what it holds besides.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "no driver, no database"))]
    Database(FileId, Vec<Diagnostic>),
}

impl Found {
    /// The texts.
    pub(crate) fn files(&self) -> &[FileId] {
        match self {
            Found::Nothing => &[],
            Found::Files(files) => files,
            Found::Database(file, _) => std::slice::from_ref(file),
        }
    }
}

/// How a database is read.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "no driver, no database"))]
pub(crate) struct Live<'a> {
    /// The dialects that its schema is wanted for.
    pub(crate) dialects: &'a [Dialect],
    /// The schema (PostgreSQL) to read.
    pub(crate) schema: &'a str,
    /// What its version is called, if it does not know that itself.
    pub(crate) version: &'a str,
}

/// What the version of a database is called when neither it nor a transition knows a name.
pub(crate) const FIRST_VERSION: &str = "initial";

/// What the URL of a database starts with.
const DATABASES: [&str; 5] = ["postgres://", "postgresql://", "mysql://", "mariadb://", "sqlite:"];

/// Whether a spec names a database.
pub(crate) fn is_database(spec: &str) -> bool {
    DATABASES.iter().any(|scheme| spec.starts_with(scheme))
}

/// Whether the schema of such a database can be read.
pub(crate) fn can_be_read(url: &str) -> bool {
    url.starts_with("postgres")
}

/// Reads the snapshot in texts that were found.
pub(crate) fn read(sources: &Sources, found: &Found) -> (Snapshot, Vec<Diagnostic>) {
    match found {
        Found::Nothing => (Snapshot::empty(), Vec::new()),
        Found::Files(files) => snapshot::read(sources, files),
        Found::Database(file, warnings) => {
            let (snapshot, faults) = snapshot::read(sources, &[*file]);
            (snapshot, warnings.iter().cloned().chain(faults).collect())
        }
    }
}

/// Finds both sides of a change. A database that does not know its version is at the one that the new side starts from.
///
/// # Errors
/// As [`find`].
pub(crate) fn find_both(old: &str, new: &str, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<(Found, Found)> {
    if !is_database(old) {
        return Ok((find(old, sources, live)?, find(new, sources, live)?));
    }
    let new = find(new, sources, live)?;
    let (snapshot, _) = read(sources, &new);
    let old = find(old, sources, &Live { version: snapshot.transition_from().unwrap_or(live.version), ..*live })?;
    Ok((old, new))
}

/// Finds the texts that `spec` names, and adds them to the sources.
///
/// # Errors
/// When they can't be found or read.
pub(crate) fn find(spec: &str, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<Found> {
    if spec == "empty" {
        return Ok(Found::Nothing);
    }
    if let Some(scheme) = DATABASES.iter().find(|scheme| spec.starts_with(**scheme)) {
        if !can_be_read(scheme) {
            // The rest may hold a password.
            bail!("not yet: a database ({scheme}…) as the source of a schema; PostgreSQL's (postgres://…) can be one");
        }
        return from_postgres(spec, sources, live);
    }
    let texts = match spec.strip_prefix("git:") {
        Some(rest) => from_git(rest)?,
        None => from_disk(Path::new(spec))?,
    };
    Ok(Found::Files(texts.into_iter().map(|(name, text)| sources.add(name, text)).collect()))
}

#[cfg(feature = "postgres")]
fn from_postgres(url: &str, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<Found> {
    use crate::engine::postgres::{Location, Session};
    use crate::inspect::postgres::inspect;

    if let Some(other) = live.dialects.iter().find(|dialect| **dialect != Dialect::Postgres) {
        bail!("a PostgreSQL database as the source of a schema for {}: its expressions are PostgreSQL's own", other.name());
    }
    let location = Location::parse(url)?;
    let found = Session::connect_to(&location)
        .and_then(|mut session| inspect(&mut session, live.schema, live.version))
        .with_context(|| format!("can't read `{location}`"))?;
    let warnings = found.warnings();
    Ok(Found::Database(sources.add(location.to_string(), found.text), warnings))
}

#[cfg(not(feature = "postgres"))]
fn from_postgres(_: &str, _: &mut Sources, _: &Live<'_>) -> anyhow::Result<Found> {
    bail!("this build of crossfade has no driver for PostgreSQL (feature `postgres`)")
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

fn from_disk(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let about = std::fs::metadata(path).with_context(|| format!("can't read `{shown}`"))?;
    if !about.is_dir() {
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) {
            bail!("not yet: an SQL file (`{shown}`) as the source of a schema");
        }
        return Ok(vec![(shown.to_string(), read_text(path)?)]);
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("can't read `{shown}`"))? {
        let entry = entry.with_context(|| format!("can't read `{shown}`"))?;
        if entry.file_name().to_str().is_some_and(is_yaml) && entry.path().is_file() {
            names.push(entry.path());
        }
        if names.len() > MAX_FILES {
            bail!("`{shown}` holds more than {MAX_FILES} snapshot files");
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("`{shown}` holds no .yaml file");
    }
    names.iter().map(|name| Ok((name.display().to_string(), read_text(name)?))).collect()
}

/// Reads a file, but never more than the bound.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("can't read `{shown}`"))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("can't read `{shown}`"))?;
    text(bytes, &shown.to_string())
}

fn text(bytes: Vec<u8>, name: &str) -> anyhow::Result<String> {
    if bytes.len() > MAX_FILE_BYTES {
        bail!("`{name}` is larger than {} MiB", MAX_FILE_BYTES >> 20);
    }
    String::from_utf8(bytes)
        .map_err(|error| anyhow::anyhow!("`{name}` is not UTF-8: byte {} is not text", error.utf8_error().valid_up_to()))
}

fn from_git(rest: &str) -> anyhow::Result<Vec<(String, String)>> {
    let Some((revision, path)) = rest.split_once(':').filter(|(r, p)| !r.is_empty() && !p.is_empty()) else {
        bail!("`git:{rest}` is not of the form git:REV:PATH");
    };
    if revision.starts_with('-') {
        bail!("`{revision}` is no revision");
    }
    let path = path.trim_end_matches('/');
    // `REV:./PATH` is relative to the current directory, as a path on disk is.
    let object = if path.starts_with('/') { bail!("the path in `git:{rest}` must be relative") } else { format!("{revision}:./{path}") };
    let kind = git(&["cat-file", "-t", &object], rest)?;
    let show = |object: &str, name: String| -> anyhow::Result<(String, String)> {
        let size = String::from_utf8_lossy(&git(&["cat-file", "-s", object], rest)?).trim().parse::<usize>().unwrap_or(usize::MAX);
        if size > MAX_FILE_BYTES {
            bail!("`{name}` is larger than {} MiB", MAX_FILE_BYTES >> 20);
        }
        let text = text(git(&["cat-file", "blob", object], rest)?, &name)?;
        Ok((name, text))
    };
    match String::from_utf8_lossy(&kind).trim() {
        "blob" => Ok(vec![show(&object, format!("git:{revision}:{path}"))?]),
        "tree" => {
            let listed = git(&["ls-tree", "-z", "--name-only", &object], rest)?;
            let listed = String::from_utf8_lossy(&listed);
            let mut names: Vec<&str> = listed.split('\0').filter(|name| is_yaml(name)).collect();
            names.sort_unstable();
            if names.is_empty() {
                bail!("`git:{rest}` holds no .yaml file");
            }
            if names.len() > MAX_FILES {
                bail!("`git:{rest}` holds more than {MAX_FILES} snapshot files");
            }
            names.iter().map(|name| show(&format!("{object}/{name}"), format!("git:{revision}:{path}/{name}"))).collect()
        }
        other => bail!("`git:{rest}` is a {other}, not a file or a directory"),
    }
}

fn git(arguments: &[&str], spec: &str) -> anyhow::Result<Vec<u8>> {
    let output = Command::new("git").args(arguments).output().context("can't run git")?;
    if !output.status.success() {
        bail!("can't read `git:{spec}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// The text of `crossfade.yaml` in the current folder, if it is there.
///
/// # Errors
/// When it is there and can't be read.
pub(crate) fn settings_text() -> anyhow::Result<Option<String>> {
    let path = Path::new("crossfade.yaml");
    if path.exists() { read_text(path).map(Some) } else { Ok(None) }
}
