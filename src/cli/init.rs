//! `crossfade init`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::output::{self, Format};
use super::source::{self, Found, Live};
use super::{Exit, planning};
use crate::diagnostic::{Sources, has_errors};
use crate::snapshot::json_schema;
use crate::sql::Dialect;

/// Begin a project: write crossfade.yaml, the first snapshot and a script for CI.
///
/// Nothing is overwritten: when one of the files is there already, none is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The schema as it is: a database (`postgres://…`, `sqlite:PATH`), an SQL file, a file, a directory or `git:REV:PATH`. Without it the snapshot has no
    /// tables yet.
    source: Option<String>,
    /// What the version is called, where the source does not say.
    #[arg(long, value_name = "VERSION", default_value = source::FIRST_VERSION)]
    name: String,
    /// The dialect to compile for; may be repeated. By default the database's, else postgres.
    #[arg(long = "dialect", value_name = "DIALECT", value_parser = planning::dialect)]
    dialects: Vec<Dialect>,
    /// The schema (PostgreSQL) that the tables live in. By default public.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// How the diagnostics are written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const SCHEMAS: &str = "schemas";
const SNAPSHOT_SCHEMA: &str = "snapshot.schema.json";
const SETTINGS_SCHEMA: &str = "settings.schema.json";

const CI: &str = "#!/bin/sh
# What CI checks: the snapshots are sound and in canonical form, and the committed scripts are what compile writes.
set -eu
crossfade validate schemas/*.yaml
crossfade fmt --check schemas/*.yaml
crossfade compile --check
";

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let own = args.source.as_deref().and_then(source::dialect_of);
    let dialects = if args.dialects.is_empty() { vec![own.unwrap_or(Dialect::Postgres)] } else { args.dialects.clone() };
    let live = Live { dialects: &dialects, schema: args.schema.as_deref().unwrap_or("public"), version: &args.name };
    let found = match args.source.as_deref() {
        Some(spec) => source::find(spec, &mut sources, &live)?,
        None => Found::Nothing,
    };
    let found = match found {
        Found::Nothing => Found::Files(vec![sources.add("the first snapshot", first_snapshot(&args.name))]),
        found => found,
    };
    let (snapshot, mut said) = source::read(&sources, &found);
    for dialect in &dialects {
        said.extend(snapshot.resolve(*dialect).1.into_iter().filter(|fault| !said.contains(fault)).collect::<Vec<_>>());
    }
    if !said.is_empty() {
        output::print_diagnostics(&sources, &said, args.format)?;
    }
    if has_errors(&said) {
        return Ok(Exit::Failed);
    }
    let texts: Vec<(&str, &str)> =
        found.files().iter().filter_map(|file| sources.get(*file)).map(|file| (file.name.as_str(), file.text.as_str())).collect();
    write(&files(args, &dialects, snapshot.version(), &texts))
}

/// Every file with its text.
fn files(args: &Args, dialects: &[Dialect], version: &str, snapshots: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
    let schemas = Path::new(SCHEMAS);
    let mut files = vec![(PathBuf::from("crossfade.yaml"), settings(args, dialects))];
    match snapshots {
        [(_, text)] => files.push((schemas.join(format!("{version}.yaml")), with_header(text, SNAPSHOT_SCHEMA))),
        // A snapshot of several files stays one.
        several => files.extend(several.iter().map(|(name, text)| {
            let name = Path::new(name).file_name().unwrap_or_default();
            (schemas.join(version).join(name), with_header(text, &format!("../{SNAPSHOT_SCHEMA}")))
        })),
    }
    files.push((schemas.join(SNAPSHOT_SCHEMA), format!("{:#}\n", json_schema::snapshot().as_value())));
    files.push((schemas.join(SETTINGS_SCHEMA), format!("{:#}\n", json_schema::settings().as_value())));
    files.push((PathBuf::from("crossfade-ci.sh"), CI.to_owned()));
    files
}

/// A text with the line by which editors find its JSON Schema.
fn with_header(text: &str, schema: &str) -> String {
    if text.contains("# yaml-language-server:") {
        return text.to_owned();
    }
    format!("# yaml-language-server: $schema={schema}\n{text}")
}

fn settings(args: &Args, dialects: &[Dialect]) -> String {
    let dialects: Vec<&str> = dialects.iter().map(|dialect| dialect.name()).collect();
    let mut text = format!("dialects: [{}]\n", dialects.join(", "));
    if let Some(schema) = &args.schema {
        text.push_str(&format!("schema: {}\n", crate::snapshot::scalar(schema)));
    }
    text.push_str(&format!("schemas: {SCHEMAS}\nmigrations: migrations\n"));
    with_header(&text, &format!("{SCHEMAS}/{SETTINGS_SCHEMA}"))
}

fn first_snapshot(version: &str) -> String {
    format!(
        "version: {version}

tables: {{}}
#  users:
#    columns:
#      id: bigint generated always as identity
#      email: varchar(320) not null
#    primary_key: [id]
#    unique:
#      - [email]
"
    )
}

fn write(files: &[(PathBuf, String)]) -> anyhow::Result<Exit> {
    let there: Vec<String> = files.iter().filter(|(path, _)| path.exists()).map(|(path, _)| format!("`{}`", path.display())).collect();
    if !there.is_empty() {
        bail!("nothing was written: {} would be overwritten", there.join(", "));
    }
    let mut told = String::new();
    for (path, text) in files {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("can't make the folder `{}`", folder.display()))?;
        }
        // Made anew: a file that appeared since it was looked for is not overwritten either.
        std::fs::File::create_new(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .with_context(|| format!("can't write `{}`", path.display()))?;
        told.push_str(&format!("wrote {}\n", path.display()));
    }
    make_executable(Path::new("crossfade-ci.sh"));
    output::print(&told)?;
    Ok(Exit::Done)
}

/// So that CI can call it by its name. Where that can't be said, `sh crossfade-ci.sh` does it.
fn make_executable(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    }
    #[cfg(not(unix))]
    let _ = path;
}
