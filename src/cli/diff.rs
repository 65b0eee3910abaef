//! `crossfade diff`.

use super::output::{Format, print, print_diagnostics};
use super::source::{self, Found, Live};
use super::{Exit, planning};
use crate::diagnostic::{Sources, has_errors};
use crate::diff::print::{json, text};
use crate::diff::{self, AssumeDrop, Options};
use crate::snapshot::settings::Settings;
use crate::sql::Dialect;

/// Print what differs between two snapshots.
///
/// Exits with 0 when nothing differs, with 3 when something does, and with 1 when the snapshots or their hints have errors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The old schema: a file, a directory, `git:REV:PATH`, a database (`postgres://…`, `sqlite:PATH`), an SQL file or `empty`.
    old: String,
    /// The new schema, likewise; its block `transition` is read.
    new: String,
    /// The dialect that both are resolved for: postgres, mysql, mariadb or sqlite. By default the database's, else postgres.
    #[arg(long, value_name = "DIALECT", value_parser = planning::dialect)]
    dialect: Option<Dialect>,
    /// How to print the differences, and the diagnostics.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Take a dropped and an added object that look alike for unrelated, instead of asking.
    #[arg(long)]
    assume_drop: bool,
    /// The schema (PostgreSQL) of a database that is read. By default crossfade.yaml's, else public.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let mut said = Vec::new();
    // Two files are compared without regard to the project.
    let own = source::dialect_of(&args.old).or_else(|| source::dialect_of(&args.new));
    let dialect = args.dialect.or(own).unwrap_or(Dialect::Postgres);
    let live = own.is_some() || source::is_sql(&args.old) || source::is_sql(&args.new);
    let settings = if live { planning::settings(&mut sources, &mut said)? } else { Settings::default() };
    let schema = args.schema.as_deref().unwrap_or_else(|| planning::schema_of(&settings));
    let live = Live { dialects: &[dialect], schema, version: source::FIRST_VERSION };
    let (found_old, found_new) = source::find_both(&args.old, &args.new, &mut sources, &live)?;
    let read = |found: &Found| {
        let (snapshot, said) = source::read(&sources, found);
        (snapshot.resolve(dialect), said)
    };
    let (((mut old, more_of_old), said_of_old), ((mut new, more_of_new), said_of_new)) = std::thread::scope(|scope| {
        let old = scope.spawn(|| read(&found_old));
        let new = read(&found_new);
        (old.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), new)
    });
    said.extend(said_of_old.into_iter().chain(said_of_new).chain(more_of_old).chain(more_of_new));
    // References of a broken snapshot lead nowhere: its own errors are all there is to say.
    if has_errors(&said) {
        print_diagnostics(&sources, &said, args.format)?;
        return Ok(Exit::Failed);
    }
    source::align((&found_old, &mut old), (&found_new, &mut new), dialect);
    let assume_drop = if args.assume_drop { AssumeDrop::Unrelated } else { AssumeDrop::Ask };
    let (found, more) = diff::diff(&old, &new, dialect, &Options { assume_drop });
    said.extend(more);
    if !said.is_empty() {
        print_diagnostics(&sources, &said, args.format)?;
    }
    if has_errors(&said) {
        return Ok(Exit::Failed);
    }
    match args.format {
        Format::Text => print(&text(&found))?,
        Format::Json => print(&format!("{}\n", json(&found)?))?,
    }
    Ok(if found.is_empty() { Exit::Done } else { Exit::Differs })
}
