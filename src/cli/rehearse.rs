//! `crossfade rehearse`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Exit;
use super::output;
use super::planning::{self, PlanningArgs};
use crate::diagnostic::has_errors;
use crate::dialect::target;
use crate::diff::{self, AssumeDrop};
use crate::emit::{Scripts, scripts};
use crate::plan;
use crate::plan::model::Plan;
use crate::rehearse::{Law, Options, Report, Subject, Venue, database_name, junit_document, rehearse_at};
use crate::snapshot::model::{Access, Schema};
use crate::snapshot::yaml;
use crate::sql::Dialect;
use crate::sql::quote::literal;

/// Prove a plan on a real engine: both versions write through every phase, and the laws are checked.
///
/// A broken law is shown by the shortest SQL that breaks it, and the exit code is 1. SQLite runs in this process; for the others a throw-away server is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    planning: PlanningArgs,
    /// The same seed gives the same statements.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Ask these laws only: `L1,L5`.
    #[arg(long, value_name = "LAWS", value_delimiter = ',', value_parser = law)]
    laws: Vec<Law>,
    /// Go on with further histories until this time is over. By default six of them, however long they take.
    #[arg(long, value_name = "SECONDS")]
    time: Option<u64>,
    /// The user's own rows for the old version: a YAML file, table by table.
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
    /// A scratch server (`postgres://user@host/database`): databases of the rehearsal's own are made there and dropped at the end.
    /// By default a throw-away server is started from programs found on this machine.
    #[arg(long, value_name = "URL", env = "CROSSFADE_SCRATCH_URL", hide_env_values = true)]
    url: Option<String>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For CI: JUnit XML.
    Junit,
    /// For a merge request.
    Markdown,
}

fn law(name: &str) -> Result<Law, String> {
    Law::from_name(name).ok_or_else(|| "the laws are L1 to L22".to_owned())
}

/// More histories than fit into any time.
const UNTIL_TIME_IS_OVER: usize = 1_000_000;
/// How many there are when no time is given.
const HISTORIES: usize = 6;

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let stop = super::run::listen_saying("stopping; the databases of the rehearsal are dropped")?;
    // Scripts that name their database are compiled for one of the rehearsal's own.
    let planning = PlanningArgs { database: database_name(Dialect::Mysql).map(str::to_owned), ..args.planning.clone() };
    let at = args.url.as_deref().map(dialect_of).transpose()?;
    if let (Some(dialect), Some(other)) = (at, planning.dialects.iter().find(|other| Some(**other) != at)) {
        bail!("the server is one of {}, and `--dialect {}` was asked for", dialect.name(), other.name());
    }
    let planned = planning::plan_for(&planning, at)?;
    planned.report(if args.format == Format::Json { output::Format::Json } else { output::Format::Text })?;
    if planned.failed() {
        return Ok(Exit::Failed);
    }
    let options = Options {
        seed: args.seed,
        laws: args.laws.iter().copied().collect::<BTreeSet<_>>(),
        histories: if args.time.is_some() { UNTIL_TIME_IS_OVER } else { HISTORIES },
        time: args.time.map(Duration::from_secs),
        stop,
        ..Options::default()
    };
    let mut reports = Vec::new();
    for (plan, (old, new)) in planned.plans.iter().zip(&planned.schemas) {
        if old.version.is_empty() {
            bail!("there is nothing to rehearse: a first installation has one version");
        }
        reports.push(one(args, plan, old, new, &options)?);
    }
    let text = match args.format {
        Format::Text => reports.iter().map(Report::text).collect::<Vec<_>>().join("\n"),
        Format::Json => serde_json::to_string_pretty(&reports.iter().map(Report::json).collect::<Vec<_>>())? + "\n",
        Format::Junit => junit_document(&reports.iter().map(Report::junit).collect::<String>()),
        Format::Markdown => reports.iter().map(Report::markdown).collect::<Vec<_>>().join("\n"),
    };
    output::print(&text)?;
    Ok(if reports.iter().all(Report::holds) { Exit::Done } else { Exit::Failed })
}

/// What a scratch server speaks, by its URL.
fn dialect_of(url: &str) -> anyhow::Result<Dialect> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
        Some("mysql") => Ok(Dialect::Mysql),
        Some("mariadb") => Ok(Dialect::Mariadb),
        _ => bail!("this is no URL of a server (postgres://user@host:port/database, mysql://…, mariadb://…); SQLite needs none"),
    }
}

fn one(args: &Args, plan: &Plan, old: &Schema, new: &Schema, options: &Options) -> anyhow::Result<Report> {
    let dialect = plan.dialect;
    let assume_drop = if args.planning.assume_drop { AssumeDrop::Unrelated } else { AssumeDrop::Ask };
    let (diff, _) = diff::diff(old, new, dialect, &diff::Options { assume_drop });
    let install = |schema: &Schema, access: Access| installed(schema, dialect, access, &plan.schema);
    let subject = Subject {
        diff: &diff,
        plan,
        scripts: scripts(plan)?,
        install_old: install(old, Access::Shared)?,
        install_new: install(new, plan.access)?,
        install_plain: install(new, Access::Shared)?,
        samples: match &args.samples {
            Some(path) => samples(path, old, dialect)?,
            None => BTreeMap::new(),
        },
    };
    Venue::open(dialect, args.url.as_deref())
        .and_then(|venue| rehearse_at(&venue, &subject, options))
        .with_context(|| format!("the rehearsal on {} could not be held", dialect.name()))
}

/// The scripts that install one snapshot in an empty database.
fn installed(schema: &Schema, dialect: Dialect, access: Access, base: &str) -> anyhow::Result<Scripts> {
    let empty = Schema::default();
    let (diff, mut faults) = diff::diff(&empty, schema, dialect, &diff::Options { assume_drop: AssumeDrop::Unrelated });
    let Some(target) = target(dialect) else { bail!("not yet: {} scripts", dialect.name()) };
    let settings = plan::Settings { access, schema: base.to_owned(), allow: Vec::new() };
    let (plan, more) = plan::plan(&diff, &settings, target);
    faults.extend(more);
    if has_errors(&faults) {
        let said: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        bail!("version {} can't be installed alone: {}", schema.version, said.join("; "));
    }
    Ok(scripts(&plan)?)
}

/// Rows by table: `{users: [{id: 1, name: Ada}]}`.
fn samples(path: &Path, old: &Schema, dialect: Dialect) -> anyhow::Result<BTreeMap<String, Vec<BTreeMap<String, String>>>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read `{}`", path.display()))?;
    let read: BTreeMap<String, Vec<BTreeMap<String, serde_json::Value>>> =
        yaml::read(&text).map_err(|why| anyhow::anyhow!("`{}` can't be read: {why}", path.display()))?;
    let mut samples = BTreeMap::new();
    for (name, rows) in read {
        let Some(table) = old.tables.get(&name) else {
            bail!("`{}`: version {} has no table {name}", path.display(), old.version);
        };
        let mut list = Vec::new();
        for row in rows {
            let mut values = BTreeMap::new();
            for (column, value) in row {
                if !table.columns.contains_key(&column) {
                    bail!("`{}`: table {name} has no column {column}", path.display());
                }
                let value = match value {
                    serde_json::Value::Null => "null".to_owned(),
                    serde_json::Value::Bool(truth) => truth.to_string(),
                    serde_json::Value::Number(number) => number.to_string(),
                    serde_json::Value::String(text) => literal(&text, dialect),
                    other => literal(&other.to_string(), dialect),
                };
                values.insert(column, value);
            }
            list.push(values);
        }
        samples.insert(name, list);
    }
    Ok(samples)
}
