//! From arguments and settings to plans: what `compile`, `plan` and `connect` have in common.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::output::Format;
use super::source::{self, Found, Live};
use crate::diagnostic::{Diagnostic, Sources, has_errors};
use crate::dialect::{sqlite, target};
use crate::diff::{self, AssumeDrop, Options};
use crate::plan::model::Plan;
use crate::plan::{self, Target};
use crate::snapshot::model::{Access, Schema};
use crate::snapshot::settings::Settings;
use crate::sql::Dialect;

/// What every command that plans takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PlanningArgs {
    /// The old schema: a file, a directory, `git:REV:PATH`, a database (`postgres://…`, `sqlite:PATH`), an SQL file or `empty`. With neither: the newest transition of crossfade.yaml.
    #[arg(requires = "new")]
    pub(crate) old: Option<String>,
    /// The new schema, likewise; its block `transition` is read.
    pub(crate) new: Option<String>,
    /// Compile for this dialect; may be repeated. By default the database's, else the dialects of crossfade.yaml, else postgres.
    #[arg(long = "dialect", value_name = "DIALECT", value_parser = dialect)]
    pub(crate) dialects: Vec<Dialect>,
    /// How the two versions reach their shapes. A flag beats the transition, which beats crossfade.yaml; else shared.
    #[arg(long, value_enum)]
    pub(crate) access: Option<AccessArg>,
    /// Acknowledge a hazard by its code; may be repeated.
    #[arg(long, value_name = "CODE")]
    pub(crate) allow: Vec<String>,
    /// What looks renamed is not: drop the one and add the other.
    #[arg(long)]
    pub(crate) assume_drop: bool,
    /// The schema (PostgreSQL) that the tables live in. By default crossfade.yaml's, else public.
    #[arg(long, value_name = "NAME")]
    pub(crate) schema: Option<String>,
    /// The database (MySQL, MariaDB) that the tables live in.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// The oldest library of SQLite that runs the scripts. By default crossfade.yaml's, else 3.40.
    #[arg(long, value_name = "VERSION", value_parser = sqlite::version)]
    pub(crate) sqlite_version: Option<sqlite::Version>,
}

/// `--access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AccessArg {
    /// One namespace for both versions.
    Shared,
    /// A namespace of views for the new version.
    Versioned,
}

/// Reads the name of a dialect.
pub(crate) fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| "the dialects are postgres, mysql, mariadb, sqlite".to_owned())
}

/// The schema (PostgreSQL) that the tables of a project live in.
pub(crate) fn schema_of(settings: &Settings) -> &str {
    settings.schema.as_deref().unwrap_or("public")
}

/// What is made of things that look renamed.
pub(crate) fn assume_drop(args: &PlanningArgs) -> AssumeDrop {
    if args.assume_drop { AssumeDrop::Unrelated } else { AssumeDrop::Ask }
}

/// What planning came to.
pub(crate) struct Planned {
    pub(crate) sources: Sources,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) settings: Settings,
    /// One a dialect; empty when there are errors.
    pub(crate) plans: Vec<Plan>,
    /// The old and the new schema of each plan.
    pub(crate) schemas: Vec<(Schema, Schema)>,
    /// Hash of the old snapshot; `None` for a first installation.
    pub(crate) old_hash: Option<String>,
    pub(crate) new_hash: String,
    pub(crate) new_version: String,
}

/// The settings of the current folder.
pub(crate) fn settings(sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> anyhow::Result<Settings> {
    let Some(text) = source::settings_text()? else { return Ok(Settings::default()) };
    let file = sources.add("crossfade.yaml", text);
    let (settings, faults) = Settings::read(sources, file);
    diagnostics.extend(faults);
    Ok(settings)
}

/// Reads both sides and plans for every dialect.
pub(crate) fn plan(args: &PlanningArgs) -> anyhow::Result<Planned> {
    plan_for(args, None)
}

/// The same for one dialect only, if it is named.
pub(crate) fn plan_for(args: &PlanningArgs, only: Option<Dialect>) -> anyhow::Result<Planned> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let settings = settings(&mut sources, &mut diagnostics)?;
    let own = args.old.iter().chain(&args.new).find_map(|spec| source::dialect_of(spec));
    let dialects = match only.or(own.filter(|_| args.dialects.is_empty())) {
        Some(dialect) => vec![dialect],
        None if args.dialects.is_empty() => settings.dialects.clone(),
        None => args.dialects.clone(),
    };
    let library = match (args.sqlite_version, &settings.sqlite_version) {
        (Some(version), _) => sqlite::Sqlite { oldest: version },
        (None, Some((text, span))) => match sqlite::version(text) {
            Ok(oldest) => sqlite::Sqlite { oldest },
            Err(why) => {
                diagnostics.push(Diagnostic::error("wrong-type", format!("`sqlite_version`: {why}")).at(*span, ""));
                sqlite::Sqlite::default()
            }
        },
        (None, None) => sqlite::Sqlite::default(),
    };
    let mut targets: Vec<&dyn Target> = Vec::new();
    for dialect in &dialects {
        match target(*dialect) {
            Some(_) if *dialect == Dialect::Sqlite => targets.push(&library),
            Some(found) => targets.push(found),
            None => bail!("not yet: {} scripts; this version of crossfade does not compile for it", dialect.name()),
        }
    }
    let (old_spec, new_spec) = match (&args.old, &args.new) {
        (Some(old), Some(new)) => (old.clone(), new.clone()),
        _ => newest_transition(&settings)?,
    };
    let schema = args.schema.clone().unwrap_or_else(|| schema_of(&settings).to_owned());
    let live = Live { dialects: &dialects, schema: &schema, version: source::FIRST_VERSION };
    let (found_old, found_new) = source::find_both(&old_spec, &new_spec, &mut sources, &live)?;
    let (old, new) = Side::both(&sources, &found_old, &found_new, &dialects);
    diagnostics.extend(old.faults);
    diagnostics.extend(new.faults);
    if new.is_empty {
        bail!("the new schema can't be `empty`: nothing is left of an application without a schema");
    }
    let mut planned = Planned {
        sources,
        diagnostics,
        settings,
        plans: Vec::new(),
        schemas: Vec::new(),
        old_hash: (!old.is_empty).then_some(old.hash),
        new_hash: new.hash,
        new_version: new.version,
    };
    if has_errors(&planned.diagnostics) {
        return Ok(planned);
    }
    let (mut plans, mut schemas) = (Vec::new(), Vec::new());
    for ((dialect, target), ((mut old_schema, faults), (mut new_schema, more))) in
        dialects.into_iter().zip(targets).zip(old.schemas.into_iter().zip(new.schemas))
    {
        planned.add(faults);
        planned.add(more);
        if has_errors(&planned.diagnostics) {
            continue;
        }
        source::align((&found_old, &mut old_schema), (&found_new, &mut new_schema), dialect);
        let options = Options { assume_drop: assume_drop(args) };
        let (diff, faults) = diff::diff(&old_schema, &new_schema, dialect, &options);
        planned.add(faults);
        let in_transition = new_schema.transition.as_ref().filter(|_| !old.is_empty).and_then(|t| t.access);
        let access = match args.access {
            Some(AccessArg::Shared) => Access::Shared,
            Some(AccessArg::Versioned) => Access::Versioned,
            None => in_transition.or_else(|| planned.settings.access(dialect)).unwrap_or(Access::Shared),
        };
        if access == Access::Versioned && mysql_like(dialect) && args.database.as_ref().or(planned.settings.database.as_ref()).is_none() {
            bail!(
                "versioned access on {} needs the name of the database, after which the new version's is called: `--database NAME`, or `database: NAME` in crossfade.yaml",
                dialect.name()
            );
        }
        let wanted = plan::Settings {
            access,
            schema: base(dialect, Some(&schema), args.database.as_ref(), &planned.settings),
            allow: args.allow.iter().cloned().chain(planned.settings.allow.iter().map(|(code, _)| code.clone())).collect(),
        };
        if has_errors(&planned.diagnostics) {
            continue;
        }
        let (plan, faults) = plan::plan(&diff, &wanted, target);
        planned.add(faults);
        plans.push(plan);
        schemas.push((old_schema, new_schema));
    }
    if !has_errors(&planned.diagnostics) {
        planned.plans = plans;
        planned.schemas = schemas;
    }
    Ok(planned)
}

/// Whether a schema and a database are one thing there.
pub(crate) fn mysql_like(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Mysql | Dialect::Mariadb)
}

/// The schema of the tables: PostgreSQL's, or MySQL's and MariaDB's database (empty where nobody has named it).
pub(crate) fn base(dialect: Dialect, schema: Option<&String>, database: Option<&String>, settings: &Settings) -> String {
    if mysql_like(dialect) {
        database.or(settings.database.as_ref()).cloned().unwrap_or_default()
    } else {
        schema.cloned().unwrap_or_else(|| schema_of(settings).to_owned())
    }
}

impl Planned {
    /// Adds diagnostics; what another dialect has said already is not said again.
    fn add(&mut self, diagnostics: Vec<Diagnostic>) {
        let mut said: HashSet<Diagnostic> = self.diagnostics.iter().cloned().collect();
        self.diagnostics.extend(diagnostics.into_iter().filter(|diagnostic| said.insert(diagnostic.clone())));
    }

    /// Prints the diagnostics, and warnings of the plans with them.
    pub(crate) fn report(&self, format: Format) -> anyhow::Result<()> {
        let mut all = self.diagnostics.clone();
        let mut said: HashSet<Diagnostic> = all.iter().cloned().collect();
        for plan in &self.plans {
            for hazard in &plan.hazards {
                if hazard.level == crate::diagnostic::Level::Warning {
                    let diagnostic = Diagnostic::warning(hazard.code, format!("{}: {}", hazard.object, hazard.message)).at(hazard.span, "");
                    if said.insert(diagnostic.clone()) {
                        all.push(diagnostic);
                    }
                }
            }
        }
        if format == Format::Json || !all.is_empty() {
            super::output::print_diagnostics(&self.sources, &all, format)?;
        }
        Ok(())
    }

    pub(crate) fn failed(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// One side of an upgrade.
struct Side {
    is_empty: bool,
    version: String,
    /// Hash of the texts.
    hash: String,
    /// What reading them came to.
    faults: Vec<Diagnostic>,
    /// The schema in each dialect, with its own faults; none of a snapshot that could not be read.
    schemas: Vec<(Schema, Vec<Diagnostic>)>,
}

impl Side {
    /// Reads both sides at once: each takes as long as all that comes after.
    fn both(sources: &Sources, old: &Found, new: &Found, dialects: &[Dialect]) -> (Side, Side) {
        std::thread::scope(|scope| {
            let old = scope.spawn(|| Side::read(sources, old, dialects));
            let new = Side::read(sources, new, dialects);
            (old.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), new)
        })
    }

    fn read(sources: &Sources, found: &Found, dialects: &[Dialect]) -> Side {
        let (snapshot, faults) = source::read(sources, found);
        let schemas = if has_errors(&faults) { Vec::new() } else { dialects.iter().map(|dialect| snapshot.resolve(*dialect)).collect() };
        Side { is_empty: snapshot.is_empty(), version: snapshot.version().to_owned(), hash: hash(sources, found), faults, schemas }
    }
}

fn hash(sources: &Sources, found: &Found) -> String {
    let mut hash = Sha256::new();
    for file in found.files().iter().filter_map(|file| sources.get(*file)) {
        hash.update(file.text.as_bytes());
        hash.update([0]);
    }
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

/// The last snapshot below the folder of snapshots, and the one that its transition starts from.
fn newest_transition(settings: &Settings) -> anyhow::Result<(String, String)> {
    let folder = Path::new(&settings.schemas);
    let advice = "name both sources, or keep the snapshots in the folder that `schemas` in crossfade.yaml names";
    let entries = std::fs::read_dir(folder).with_context(|| format!("there is no folder `{}`: {advice}", folder.display()))?;
    let mut found: Vec<(String, Option<String>, String)> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_snapshot = path.is_dir() || path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if !is_snapshot {
            continue;
        }
        let spec = path.display().to_string();
        let mut sources = Sources::default();
        let (snapshot, _) = source::from_path(&path, &mut sources)?;
        found.push((snapshot.version().to_owned(), snapshot.transition_from().map(str::to_owned), spec));
    }
    found.sort();
    let last: Vec<_> = found.iter().filter(|(version, _, _)| !found.iter().any(|(_, from, _)| from.as_ref() == Some(version))).collect();
    match last.as_slice() {
        [] => bail!("there is no snapshot in `{}`: {advice}", folder.display()),
        [(_, None, spec)] => Ok(("empty".to_owned(), spec.clone())),
        [(version, Some(from), spec)] => match found.iter().find(|(other, _, _)| other == from) {
            Some((_, _, old)) => Ok((old.clone(), spec.clone())),
            None => bail!("version {version} comes from version {from}, which is not in `{}`", folder.display()),
        },
        several => bail!(
            "it is not clear which snapshot in `{}` is the newest: no transition starts from {}",
            folder.display(),
            several.iter().map(|(version, _, _)| version.as_str()).collect::<Vec<_>>().join(" or from ")
        ),
    }
}
