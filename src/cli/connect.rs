//! `crossfade connect`.

use super::output::{self, Format};
use super::planning::{self, AccessArg};
use super::{Exit, source};
use crate::diagnostic::{Sources, has_errors};
use crate::plan::model::namespace;
use crate::snapshot::model::Access;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// Print how a client of a version connects.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version: its snapshot is looked up in the folder of snapshots.
    version: String,
    /// The dialect. By default the first one of crossfade.yaml, else postgres.
    #[arg(long, value_name = "DIALECT", value_parser = planning::dialect)]
    dialect: Option<Dialect>,
    /// The access of the transition that led to the version. By default what its snapshot or crossfade.yaml says.
    #[arg(long, value_enum)]
    access: Option<AccessArg>,
    /// The schema (PostgreSQL) that the tables live in. By default crossfade.yaml's, else public.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
    /// How the diagnostics are written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let settings = planning::settings(&mut sources, &mut diagnostics)?;
    if has_errors(&diagnostics) {
        output::print_diagnostics(&sources, &diagnostics, args.format)?;
        return Ok(Exit::Failed);
    }
    let dialect = args.dialect.or(settings.dialects.first().copied()).unwrap_or(Dialect::Postgres);
    if dialect != Dialect::Postgres {
        anyhow::bail!("not yet: how a client connects to {}", dialect.name());
    }
    let of_snapshot = snapshot_access(&settings.schemas, &args.version, dialect);
    let access = match args.access {
        Some(AccessArg::Shared) => Access::Shared,
        Some(AccessArg::Versioned) => Access::Versioned,
        None => match of_snapshot {
            Some(access) => access.or_else(|| settings.access(dialect)).unwrap_or(Access::Shared),
            None => match settings.access(dialect) {
                Some(access) => access,
                None => anyhow::bail!(
                    "there is no snapshot of version {} in `{}`: say `--access shared` or `--access versioned`",
                    args.version,
                    settings.schemas
                ),
            },
        },
    };
    let base = args.schema.clone().or(settings.schema).unwrap_or_else(|| "public".to_owned());
    let schema = match access {
        Access::Shared => base,
        Access::Versioned => namespace(&base, &args.version),
    };
    match args.format {
        Format::Text => output::print(&format!("set search_path = {};\n", ident(&schema, dialect)))?,
        Format::Json => {
            let answer = serde_json::json!({ "version": args.version, "dialect": dialect, "access": access, "search_path": [schema] });
            output::print(&format!("{answer}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// What the transition of a version's snapshot says about access; `None` when there is no such snapshot.
fn snapshot_access(folder: &str, version: &str, dialect: Dialect) -> Option<Option<Access>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        let mut sources = Sources::default();
        let (snapshot, _) = source::load(&path.display().to_string(), &mut sources).ok()?;
        (snapshot.version() == version).then(|| snapshot.resolve(dialect).0.transition.and_then(|t| t.access))
    })
}
