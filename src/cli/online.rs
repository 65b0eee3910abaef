//! What the commands on a live database have in common: which database, and which upgrade.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::output::{self, Format};
use super::planning::{self, PlanningArgs};
use super::source;
use crate::diagnostic::{Sources, has_errors};
use crate::diff;
use crate::emit::Scripts;
use crate::emit::program::{Program, Stored};
use crate::run::engine::Engine;
use crate::run::{State, Stopped};
use crate::snapshot::yaml;

/// Which database, and which upgrade.
#[derive(Debug, clap::Args)]
pub(crate) struct OnlineArgs {
    #[command(flatten)]
    pub(crate) planning: PlanningArgs,
    /// The database: `postgres://user@host:port/database`, `mysql://…`, `mariadb://…` or `sqlite:FILE`. The password in it, in PGPASSWORD
    /// or in MYSQL_PWD is never shown.
    #[arg(long, env = "CROSSFADE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) url: String,
    /// Without sources: the folder that `compile` wrote. By default crossfade.yaml's, else migrations.
    #[arg(long, value_name = "DIR", conflicts_with = "old")]
    pub(crate) migrations: Option<PathBuf>,
    /// Without sources: the version to go to, where the folder holds several ways from here.
    #[arg(long, value_name = "VERSION", conflicts_with = "old")]
    pub(crate) to: Option<String>,
}

/// The database of a URL.
///
/// # Errors
/// When it is none that upgrades can be run on.
pub(crate) fn engine(url: &str) -> anyhow::Result<Box<dyn Engine>> {
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Box::new(crate::run::postgres::Postgres::at(url)?));
    }
    #[cfg(feature = "mysql")]
    if url.starts_with("mysql://") || url.starts_with("mariadb://") {
        return Ok(Box::new(crate::run::mysql::Mysql::at(url)?));
    }
    #[cfg(feature = "sqlite")]
    if url.starts_with("sqlite:") {
        return Ok(Box::new(crate::run::sqlite::Sqlite::at(url)?));
    }
    let Some((scheme, _)) =
        url.split_once(':').filter(|(scheme, _)| ["postgres", "postgresql", "mysql", "mariadb", "sqlite"].contains(scheme))
    else {
        bail!("this is no URL of a database (postgres://user@host:port/database, mysql://… or mariadb://… likewise, sqlite:FILE)");
    };
    bail!("not yet: running an upgrade on {scheme}; run the scripts with the database's own client")
}

/// An upgrade that is to be run.
pub(crate) struct Upgrade {
    pub(crate) program: Program,
    /// Whether crossfade.yaml wants the lock that applications share with the runner.
    pub(crate) schema_lock: bool,
}

/// The program of [`upgrade`], for who runs nothing.
///
/// # Errors
/// As there.
pub(crate) fn program(args: &OnlineArgs, engine: &dyn Engine, format: Format) -> anyhow::Result<Option<Program>> {
    Ok(upgrade(args, engine, format)?.map(|upgrade| upgrade.program))
}

/// The upgrade that is meant: of two sources, or out of the folder of compiled scripts. `None`: there were errors, and they
/// have been told.
///
/// # Errors
/// When it can't be found.
pub(crate) fn upgrade(args: &OnlineArgs, engine: &dyn Engine, format: Format) -> anyhow::Result<Option<Upgrade>> {
    let dialect = engine.dialect();
    if let Some(other) = args.planning.dialects.iter().find(|other| **other != dialect) {
        bail!("the database is one of {}, and `--dialect {}` was asked for", dialect.name(), other.name());
    }
    if args.planning.old.is_some() {
        let planned = planning::plan_for(&args.planning, Some(dialect))?;
        planned.report(format)?;
        return match planned.plans.first() {
            Some(plan) if !planned.failed() => Ok(Some(Upgrade { program: Program::of(plan)?, schema_lock: planned.settings.schema_lock })),
            _ => Ok(None),
        };
    }
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let settings = planning::settings(&mut sources, &mut diagnostics)?;
    if has_errors(&diagnostics) {
        output::print_diagnostics(&sources, &diagnostics, format)?;
        return Ok(None);
    }
    let folder = args.migrations.clone().unwrap_or_else(|| PathBuf::from(&settings.migrations));
    let mut found = stored(&folder)?;
    if let Some(version) = &args.to {
        found.retain(|(_, stored)| stored.to == *version);
        if found.is_empty() {
            bail!("`{}` holds no upgrade to version {version}: run `crossfade compile` first", folder.display());
        }
    } else {
        let mut session = engine.connect("crossfade").with_context(|| format!("can't connect to {}", engine.place()))?;
        let state = State::read(session.as_mut(), engine).context("the version tables can't be read")?;
        found = choose(found, &state)?;
    }
    match found.len() {
        0 => bail!("`{}` holds no upgrade for this database: run `crossfade compile`, or name both sources", folder.display()),
        1 => {}
        _ => bail!(
            "`{}` holds several upgrades from here: say `--to` {}",
            folder.display(),
            found.iter().map(|(_, stored)| stored.to.as_str()).collect::<Vec<_>>().join(" or ")
        ),
    }
    let Some((path, stored)) = found.pop() else { return Ok(None) };
    let name = dialect.name();
    let is_compiled = stored.dialects.iter().any(|part| part.dialect == name);
    let program = if is_compiled { Program::stored(stored, dialect, scripts(&path.join(name))?) } else { None };
    match program {
        Some(program) => Ok(Some(Upgrade { program, schema_lock: settings.schema_lock })),
        None => bail!(
            "`{}` was not compiled for {name}: run `crossfade compile` with `--dialect {name}` too, or name it in crossfade.yaml",
            path.display()
        ),
    }
}

/// The upgrades in a folder.
pub(crate) fn stored(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Stored)>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("there is no folder `{}`: run `crossfade compile` first, or name both sources", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let manifest = path.join("manifest.yaml");
        if manifest.is_file() {
            let text = std::fs::read_to_string(&manifest).with_context(|| format!("can't read `{}`", manifest.display()))?;
            let stored = yaml::read(&text).map_err(|why| anyhow::anyhow!("`{}` can't be read: {why}", manifest.display()))?;
            found.push((path, stored));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// The upgrades that a database is in the middle of, or that start where it is; of an unknown one, those that nothing starts from.
pub(crate) fn choose(found: Vec<(PathBuf, Stored)>, state: &State) -> anyhow::Result<Vec<(PathBuf, Stored)>> {
    let Some(latest) = state.latest() else {
        let aborted: Vec<&str> = state.revisions.iter().map(|revision| revision.release.as_str()).collect();
        let starts: Vec<String> = found.iter().filter_map(|(_, stored)| stored.from.clone()).collect();
        return Ok(found
            .into_iter()
            .filter(|(_, stored)| aborted.contains(&stored.release.as_str()) || (aborted.is_empty() && !starts.contains(&stored.to)))
            .collect());
    };
    let is_over = latest.phase == "contract";
    let next: Vec<bool> = found.iter().map(|(_, stored)| is_over && stored.from.as_ref() == Some(&latest.new_version)).collect();
    // At the end of the way, or on it: the release itself, which says what remains.
    let own = !next.contains(&true);
    Ok(found
        .into_iter()
        .zip(next)
        .filter(|((_, stored), next)| if own { stored.release == latest.release } else { *next })
        .map(|(one, _)| one)
        .collect())
}

fn scripts(folder: &Path) -> anyhow::Result<Scripts> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))
    };
    Ok(Scripts {
        expand: read("expand.sql")?,
        migrate: read("migrate.sql")?,
        contract: read("contract.sql")?,
        abort: read("abort.sql")?,
        verify: read("verify.sql")?,
    })
}

/// Says why a run stopped.
pub(crate) fn tell(stopped: &Stopped, format: Format) {
    match format {
        Format::Text => {
            anstream::eprintln!("error: {stopped}");
            for note in &stopped.notes {
                anstream::eprintln!("  note: {}", note.replace('\n', "\n        "));
            }
            if let Some(help) = &stopped.help {
                anstream::eprintln!("  help: {help}");
            }
        }
        Format::Json => {
            let text = serde_json::json!({ "event": "error", "message": stopped.message, "notes": stopped.notes, "help": stopped.help });
            anstream::eprintln!("{text}");
        }
    }
}

/// What differs between the schema of the database and a snapshot, in lines; none when nothing does.
///
/// # Errors
/// When one of them can't be read.
pub(crate) fn drift(args: &OnlineArgs, snapshot: &str) -> anyhow::Result<Vec<String>> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let settings = planning::settings(&mut sources, &mut diagnostics)?;
    let schema = args.planning.schema.clone().unwrap_or_else(|| planning::schema_of(&settings).to_owned());
    let dialect = engine(&args.url)?.dialect();
    let live = source::Live { dialects: &[dialect], schema: &schema, version: source::FIRST_VERSION };
    let place = source::find(&args.url, &mut sources, &live)?;
    let (found, faults) = source::read(&sources, &place);
    let (wanted, more) = source::load(snapshot, &mut sources, &live)?;
    if has_errors(&faults) || has_errors(&more) {
        bail!("the schema of {} can't be compared with `{snapshot}`", engine(&args.url)?.place());
    }
    let ((mut found, _), (mut wanted, _)) = (found.resolve(dialect), wanted.resolve(dialect));
    if let source::Found::Database(_, _, collations) = &place {
        crate::inspect::align(&mut found, &wanted, dialect, collations);
    }
    // What no snapshot knows is somebody else's, and no phase touches it.
    found.tables.retain(|name, _| wanted.tables.contains_key(name));
    found.views.retain(|name, _| wanted.views.contains_key(name));
    found.enums.retain(|name, _| wanted.enums.contains_key(name));
    found.sequences.retain(|name, _| wanted.sequences.contains_key(name));
    found.extensions.clone_from(&wanted.extensions);
    // It led to this snapshot, and says nothing of what differs from it.
    wanted.transition = None;
    let (diff, _) = diff::diff(&wanted, &found, dialect, &diff::Options { assume_drop: diff::AssumeDrop::Unrelated });
    if diff.is_empty() {
        return Ok(Vec::new());
    }
    Ok(diff::print::text(&diff).lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
