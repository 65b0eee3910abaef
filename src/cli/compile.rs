//! `crossfade compile`.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Exit;
use super::output::{self, Format};
use super::planning::{self, Planned, PlanningArgs};
use crate::emit::manifest::{Manifest, OfDialect};
use crate::emit::scripts;
use crate::snapshot::yaml;

/// Compile two snapshots into the scripts of every phase.
///
/// Writes DIR/VERSION/manifest.yaml and DIR/VERSION/DIALECT/{expand,migrate,contract,abort,verify}.sql. Nothing is written
/// when there is an error.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    planning: PlanningArgs,
    /// The folder to write to. By default crossfade.yaml's, else migrations.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write nothing; show what is stale as a unified diff, and exit with 3.
    #[arg(long)]
    check: bool,
    /// Write nothing; print this script (of the first dialect).
    #[arg(long, value_name = "PHASE", value_enum, conflicts_with = "check")]
    stdout: Option<Script>,
    /// How the diagnostics are written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `--stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Script {
    Expand,
    Migrate,
    Contract,
    Abort,
    Verify,
    Manifest,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let planned = planning::plan(&args.planning)?;
    planned.report(args.format)?;
    if planned.failed() {
        return Ok(Exit::Failed);
    }
    let artifacts = artifacts(&planned)?;
    if let Some(script) = args.stdout {
        let name = match script {
            Script::Expand => "expand.sql",
            Script::Migrate => "migrate.sql",
            Script::Contract => "contract.sql",
            Script::Abort => "abort.sql",
            Script::Verify => "verify.sql",
            Script::Manifest => "manifest.yaml",
        };
        if let Some((_, text)) = artifacts.iter().find(|(path, _)| path.ends_with(name)) {
            output::print(text)?;
        }
        return Ok(Exit::Done);
    }
    let root = args.out.clone().unwrap_or_else(|| PathBuf::from(&planned.settings.migrations)).join(&planned.new_version);
    if args.check { check(&root, &artifacts) } else { write(&root, &artifacts) }
}

/// Every file below the version's folder, with its text.
fn artifacts(planned: &Planned) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let Some(first) = planned.plans.first() else { return Ok(Vec::new()) };
    let manifest = Manifest {
        crossfade: env!("CARGO_PKG_VERSION"),
        from: first.old_version.clone(),
        to: first.new_version.clone(),
        release: first.release.clone(),
        old_hash: planned.old_hash.clone(),
        new_hash: planned.new_hash.clone(),
        dialects: planned.plans.iter().map(OfDialect::new).collect::<Result<_, _>>()?,
    };
    let mut files = vec![(PathBuf::from("manifest.yaml"), yaml::write(&manifest).map_err(|why| anyhow::anyhow!("manifest: {why}"))?)];
    for plan in &planned.plans {
        for (name, text) in scripts(plan)?.files() {
            files.push((Path::new(plan.dialect.name()).join(name), text.to_owned()));
        }
    }
    Ok(files)
}

fn check(root: &Path, artifacts: &[(PathBuf, String)]) -> anyhow::Result<Exit> {
    let mut stale = String::new();
    for (path, text) in artifacts {
        let path = root.join(path);
        let there = match std::fs::read_to_string(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("can't read `{}`", path.display())),
        };
        if there != *text {
            stale.push_str(&output::unified_diff(&path.display().to_string(), &there, text, output::stdout_colour()));
        }
    }
    if stale.is_empty() {
        return Ok(Exit::Done);
    }
    output::print(&stale)?;
    Ok(Exit::Differs)
}

fn write(root: &Path, artifacts: &[(PathBuf, String)]) -> anyhow::Result<Exit> {
    let mut told = String::new();
    for (path, text) in artifacts {
        let path = root.join(path);
        output::write(&path, text)?;
        told.push_str(&format!("wrote {}\n", path.display()));
    }
    output::print(&told)?;
    Ok(Exit::Done)
}
