//! `crossfade connect`.

use super::output::{self, Format};
use super::planning::{self, AccessArg};
use super::{Exit, source};
use crate::diagnostic::{Sources, has_errors};
use crate::plan::model::namespace;
use crate::snapshot::model::{Access, Schema};
use crate::snapshot::yaml;
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
    /// The database (MySQL, MariaDB) that the tables live in. By default crossfade.yaml's.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
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
    let known = match args.access {
        Some(AccessArg::Shared) => Some(Access::Shared),
        Some(AccessArg::Versioned) => Some(Access::Versioned),
        None => of_manifest(&settings.migrations, &args.version, dialect)
            .or_else(|| of_snapshot(&settings.schemas, &args.version, dialect).flatten())
            .or_else(|| settings.access(dialect))
            .or_else(|| of_snapshot(&settings.schemas, &args.version, dialect).map(|_| Access::Shared)),
    };
    let base = planning::base(dialect, args.schema.as_ref(), args.database.as_ref(), &settings);
    if planning::mysql_like(dialect) && base.is_empty() {
        anyhow::bail!("the name of the database is needed: `--database NAME`, or `database: NAME` in crossfade.yaml");
    }
    let line = |access: Access| match access {
        // A client of MySQL or MariaDB chooses one database.
        Access::Versioned if dialect != Dialect::Postgres => vec![ident(&namespace(&base, &args.version), dialect)],
        Access::Shared => vec![ident(&base, dialect)],
        // Types, functions and operators (of an extension, say) stay in the base schema: without it `=` on a citext
        // would be that of text.
        Access::Versioned => vec![ident(&namespace(&base, &args.version), dialect), ident(&base, dialect)],
    };
    if dialect == Dialect::Sqlite {
        return names(args, known, &snapshot_of(&settings.schemas, &args.version, dialect).unwrap_or_default());
    }
    let (setting, key) = if dialect == Dialect::Postgres { ("set search_path =", "search_path") } else { ("use", "database") };
    let statement = |names: Vec<String>| format!("{setting} {};\n", names.join(", "));
    let ways: Vec<Access> = known.map_or_else(|| vec![Access::Versioned, Access::Shared], |access| vec![access]);
    match args.format {
        Format::Text if ways.len() == 1 => {
            output::print(&ways.iter().map(|way| statement(line(*way))).collect::<String>())?;
        }
        Format::Text => {
            // Neither a manifest nor a snapshot tells: say both.
            let (versioned, shared) = (statement(line(Access::Versioned)), statement(line(Access::Shared)));
            output::print(&format!("-- versioned access\n{versioned}-- shared access\n{shared}"))?;
        }
        Format::Json => {
            let answers: Vec<_> = ways
                .iter()
                .map(|way| serde_json::json!({ "version": args.version, "dialect": dialect, "access": way, key: line(*way) }))
                .collect();
            output::print(&(serde_json::to_string_pretty(&answers)? + "\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// The part of a manifest that tells how its version is reached.
#[derive(serde::Deserialize)]
struct Compiled {
    dialects: Vec<CompiledDialect>,
}

#[derive(serde::Deserialize)]
struct CompiledDialect {
    dialect: String,
    access: String,
}

/// What the compiled scripts of a version say about access.
fn of_manifest(folder: &str, version: &str, dialect: Dialect) -> Option<Access> {
    let text = std::fs::read_to_string(std::path::Path::new(folder).join(version).join("manifest.yaml")).ok()?;
    let compiled: Compiled = yaml::read(&text).ok()?;
    let found = compiled.dialects.into_iter().find(|d| d.dialect == dialect.name())?;
    match found.access.as_str() {
        "shared" => Some(Access::Shared),
        "versioned" => Some(Access::Versioned),
        _ => None,
    }
}

/// What the transition of a version's snapshot says about access; `None` when there is no such snapshot.
fn of_snapshot(folder: &str, version: &str, dialect: Dialect) -> Option<Option<Access>> {
    snapshot_of(folder, version, dialect).map(|schema| schema.transition.and_then(|transition| transition.access))
}

/// The snapshot of a version in the folder of snapshots.
fn snapshot_of(folder: &str, version: &str, dialect: Dialect) -> Option<Schema> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        let mut sources = Sources::default();
        let (snapshot, _) = source::from_path(&path, &mut sources).ok()?;
        (snapshot.version() == version).then(|| snapshot.resolve(dialect).0)
    })
}

/// A file of SQLite has no namespaces: a version's shape is told by the names of its tables and views.
fn names(args: &Args, known: Option<Access>, schema: &Schema) -> anyhow::Result<Exit> {
    let version = &args.version;
    let mut relations: Vec<&String> = schema.tables.keys().chain(schema.views.keys()).collect();
    relations.sort();
    let name = |relation: &str| crate::dialect::sqlite::namespace_name(relation, version);
    let ways: Vec<Access> = known.map_or_else(|| vec![Access::Versioned, Access::Shared], |access| vec![access]);
    if args.format == Format::Json {
        let answers: Vec<_> = ways
            .iter()
            .map(|way| {
                let called = |relation: &&String| match way {
                    Access::Shared => (*relation).clone(),
                    Access::Versioned => name(relation),
                };
                let names: serde_json::Map<String, serde_json::Value> =
                    relations.iter().map(|relation| ((*relation).clone(), called(relation).into())).collect();
                serde_json::json!({ "version": version, "dialect": "sqlite", "access": way, "names": names })
            })
            .collect();
        output::print(&(serde_json::to_string_pretty(&answers)? + "\n"))?;
        return Ok(Exit::Done);
    }
    for way in &ways {
        match way {
            Access::Shared => output::print("-- shared access: every table and view under its own name\n")?,
            Access::Versioned => {
                let rule = name("NAME");
                output::print(&format!("-- versioned access: NAME is called {rule}\n"))?;
                for relation in &relations {
                    output::print(&format!("select * from {};\n", ident(&name(relation), Dialect::Sqlite)))?;
                }
            }
        }
    }
    Ok(Exit::Done)
}
