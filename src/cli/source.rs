//! Where a schema comes from: a file, a directory, a revision of git, a live database, an SQL file, or nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::diagnostic::{Diagnostic, FileId, Sources};
use crate::inspect::Inspected;
use crate::snapshot::model::Schema;
use crate::snapshot::types::product;
use crate::snapshot::{self, MAX_FILE_BYTES, Snapshot};
use crate::sql::Dialect;

/// How many files of a directory are read.
const MAX_FILES: usize = 100_000;

/// Reads the snapshot that `spec` names: a file, a directory, `git:REV:PATH`, a database's URL, an SQL file or `empty`. Faults of the snapshot itself are among
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
    /// What a database or an SQL file holds, as one snapshot, warnings about what it holds besides, and the collations of its tables.
    Database(FileId, Vec<Diagnostic>, BTreeMap<String, String>),
}

/// Reads the schema of a database in the words of the snapshot that it is compared with.
pub(crate) fn align(old: (&Found, &mut Schema), new: (&Found, &mut Schema), dialect: Dialect) {
    match (old, new) {
        ((Found::Database(_, _, collations), found), (Found::Files(_), other))
        | ((Found::Files(_), other), (Found::Database(_, _, collations), found)) => {
            crate::inspect::align(found, other, dialect, collations);
        }
        _ => {}
    }
}

impl Found {
    /// The texts.
    pub(crate) fn files(&self) -> &[FileId] {
        match self {
            Found::Nothing => &[],
            Found::Files(files) => files,
            Found::Database(file, ..) => std::slice::from_ref(file),
        }
    }
}

/// How a database is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live<'a> {
    /// The dialects that its schema is wanted for.
    pub(crate) dialects: &'a [Dialect],
    /// The schema (PostgreSQL) to read.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only PostgreSQL has schemas in a database"))]
    pub(crate) schema: &'a str,
    /// What its version is called, if it does not know that itself.
    pub(crate) version: &'a str,
}

/// What the version of a database is called when neither it nor a transition knows a name.
pub(crate) const FIRST_VERSION: &str = "initial";

/// What the URL of a database starts with.
const DATABASES: [(&str, Dialect); 5] = [
    ("postgres://", Dialect::Postgres),
    ("postgresql://", Dialect::Postgres),
    ("mysql://", Dialect::Mysql),
    ("mariadb://", Dialect::Mariadb),
    ("sqlite:", Dialect::Sqlite),
];

/// The dialect of the database that a spec names, if it names one.
pub(crate) fn dialect_of(spec: &str) -> Option<Dialect> {
    DATABASES.iter().find(|(scheme, _)| spec.starts_with(scheme)).map(|(_, dialect)| *dialect)
}

/// Whether a spec names a database.
pub(crate) fn is_database(spec: &str) -> bool {
    dialect_of(spec).is_some()
}

/// Whether a spec names an SQL file.
pub(crate) fn is_sql(spec: &str) -> bool {
    dialect_of(spec).is_none() && !spec.starts_with("git:") && has_sql_name(spec) && !Path::new(spec).is_dir()
}

fn has_sql_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// Reads the snapshot in texts that were found.
pub(crate) fn read(sources: &Sources, found: &Found) -> (Snapshot, Vec<Diagnostic>) {
    match found {
        Found::Nothing => (Snapshot::empty(), Vec::new()),
        Found::Files(files) => snapshot::read(sources, files),
        Found::Database(file, warnings, _) => {
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
    if !is_database(old) && !is_sql(old) {
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
    if let Some(dialect) = dialect_of(spec) {
        if let Some(other) = live.dialects.iter().find(|wanted| **wanted != dialect) {
            bail!(
                "a {} database as the source of a schema for {}: its expressions are {}'s own",
                product(dialect),
                other.name(),
                product(dialect)
            );
        }
        return match dialect {
            Dialect::Postgres => from_postgres(spec, sources, live),
            Dialect::Mysql | Dialect::Mariadb => from_mysql(spec, dialect, sources, live),
            Dialect::Sqlite => from_sqlite(spec, sources, live),
        };
    }
    if is_sql(spec) {
        return from_sql(Path::new(spec), sources, live);
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

    let location = Location::parse(url)?;
    let found = Session::connect_to(&location)
        .and_then(|mut session| inspect(&mut session, live.schema, live.version))
        .with_context(|| format!("can't read `{location}`"))?;
    let warnings = found.warnings();
    Ok(Found::Database(sources.add(location.to_string(), found.text), warnings, found.collations))
}

#[cfg(not(feature = "postgres"))]
fn from_postgres(_: &str, _: &mut Sources, _: &Live<'_>) -> anyhow::Result<Found> {
    bail!("this build of crossfade has no driver for PostgreSQL (feature `postgres`)")
}

#[cfg(feature = "mysql")]
fn from_mysql(url: &str, dialect: Dialect, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<Found> {
    use crate::engine::mysql::{Location, Session};
    use crate::inspect::mysql_like::inspect;

    let location = Location::parse(url)?;
    let found = Session::connect_to(&location, "crossfade")
        .and_then(|mut session| inspect(&mut session, dialect, live.version))
        .with_context(|| format!("can't read `{location}`"))?;
    let warnings = found.warnings();
    Ok(Found::Database(sources.add(location.to_string(), found.text), warnings, found.collations))
}

#[cfg(not(feature = "mysql"))]
fn from_mysql(_: &str, dialect: Dialect, _: &mut Sources, _: &Live<'_>) -> anyhow::Result<Found> {
    bail!("this build of crossfade has no driver for {} (feature `mysql`)", product(dialect))
}

#[cfg(feature = "sqlite")]
fn from_sqlite(url: &str, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<Found> {
    use crate::engine::sqlite::Session;
    use crate::inspect::sqlite::inspect;

    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let found = Session::open_to_read(Path::new(path))
        .and_then(|mut session| inspect(&mut session, live.version))
        .with_context(|| format!("can't read `{url}`"))?;
    let warnings = found.warnings();
    Ok(Found::Database(sources.add(url, found.text), warnings, found.collations))
}

#[cfg(not(feature = "sqlite"))]
fn from_sqlite(_: &str, _: &mut Sources, _: &Live<'_>) -> anyhow::Result<Found> {
    bail!("this build of crossfade has no SQLite (feature `sqlite`)")
}

/// Reads an SQL file as a server would that it is loaded into.
fn from_sql(path: &Path, sources: &mut Sources, live: &Live<'_>) -> anyhow::Result<Found> {
    let shown = path.display();
    let [dialect] = live.dialects else {
        bail!("an SQL file (`{shown}`) is in the SQL of one dialect: name it with `--dialect`");
    };
    let text = read_text(path)?;
    let found = read_sql(&text, *dialect, live).with_context(|| format!("can't read `{shown}` as SQL of {}", product(*dialect)))?;
    let holes = found.holes();
    if !holes.is_empty() {
        let program = match dialect {
            Dialect::Postgres => "pg_dump --schema-only",
            Dialect::Mysql => "mysqldump --no-data",
            Dialect::Mariadb => "mariadb-dump --no-data",
            Dialect::Sqlite => ".schema",
        };
        bail!(
            "can't read `{shown}` as SQL of {}, since its schema would have a hole: this is not understood\n  {}\nWhat `{program}` writes is.",
            product(*dialect),
            holes.join("\n  ")
        );
    }
    let warnings = found.warnings();
    Ok(Found::Database(sources.add(format!("the schema in {shown}"), found.text), warnings, found.collations))
}

fn read_sql(text: &str, dialect: Dialect, live: &Live<'_>) -> anyhow::Result<Inspected> {
    Ok(match dialect {
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => crate::inspect::sqlite::inspect_script(text, live.version)?,
        #[cfg(not(feature = "sqlite"))]
        Dialect::Sqlite => bail!("this build of crossfade has no SQLite (feature `sqlite`)"),
        Dialect::Mysql | Dialect::Mariadb => crate::inspect::mysql_like::inspect_script(text, dialect, live.version),
        #[cfg(feature = "postgres")]
        Dialect::Postgres => crate::inspect::postgres::inspect_script(text, live.schema, live.version),
        #[cfg(not(feature = "postgres"))]
        Dialect::Postgres => bail!("this build of crossfade has no driver for PostgreSQL (feature `postgres`)"),
    })
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

fn from_disk(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let about = std::fs::metadata(path).with_context(|| format!("can't read `{shown}`"))?;
    if !about.is_dir() {
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
