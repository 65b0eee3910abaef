//! `crossfade diff`.

use super::output::{Format, print, print_diagnostics};
use super::source::{self, Found};
use super::{Exit, planning};
use crate::diagnostic::{Sources, has_errors};
use crate::diff::print::{json, text};
use crate::diff::{self, AssumeDrop, Options};
use crate::sql::Dialect;

/// Print what differs between two snapshots.
///
/// Exits with 0 when nothing differs, with 3 when something does, and with 1 when the snapshots or their hints have errors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The old schema: a file, a directory, `git:REV:PATH` or `empty`.
    old: String,
    /// The new schema, likewise; its block `transition` is read.
    new: String,
    /// The dialect that both are resolved for: postgres, mysql, mariadb or sqlite.
    #[arg(long, value_name = "DIALECT", default_value = "postgres", value_parser = planning::dialect)]
    dialect: Dialect,
    /// How to print the differences, and the diagnostics.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Take a dropped and an added object that look alike for unrelated, instead of asking.
    #[arg(long)]
    assume_drop: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let old = source::find(&args.old, &mut sources)?;
    let new = source::find(&args.new, &mut sources)?;
    let read = |found: &Found| {
        let (snapshot, said) = source::read(&sources, found);
        (snapshot.resolve(args.dialect), said)
    };
    let (((old, more_of_old), mut said), ((new, more_of_new), said_of_new)) = std::thread::scope(|scope| {
        let old = scope.spawn(|| read(&old));
        let new = read(&new);
        (old.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), new)
    });
    said.extend(said_of_new.into_iter().chain(more_of_old).chain(more_of_new));
    // References of a broken snapshot lead nowhere: its own errors are all there is to say.
    if has_errors(&said) {
        print_diagnostics(&sources, &said, args.format)?;
        return Ok(Exit::Failed);
    }
    let assume_drop = if args.assume_drop { AssumeDrop::Unrelated } else { AssumeDrop::Ask };
    let (found, more) = diff::diff(&old, &new, args.dialect, &Options { assume_drop });
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
