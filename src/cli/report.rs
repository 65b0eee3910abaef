//! `crossfade report`.

use std::path::PathBuf;

use super::Exit;
use super::output;
use super::planning::{self, PlanningArgs};
use crate::diff::{self, Options};
use crate::report::{self, Subject};

/// Write one page about an upgrade for those who review it.
///
/// What changes, who may run when, the steps as a picture, hazards, locks, a run book, and the SQL side by side for all dialects.
/// The HTML page needs nothing from anywhere; Markdown is for a merge request.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    planning: PlanningArgs,
    /// The file to write. By default the page goes to stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How the page is written. By default markdown where FILE ends in .md, else html.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a browser.
    Html,
    /// For a merge request.
    Markdown,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let planned = planning::plan(&args.planning)?;
    planned.report(output::Format::Text)?;
    if planned.failed() {
        return Ok(Exit::Failed);
    }
    let options = Options { assume_drop: planning::assume_drop(&args.planning) };
    let differences = planned.plans.iter().zip(&planned.schemas).map(|(plan, (old, new))| {
        let (found, _) = diff::diff(old, new, plan.dialect, &options);
        diff::print::differences(&found)
    });
    let subject = Subject {
        plans: &planned.plans,
        differences: differences.collect(),
        old_hash: planned.old_hash.as_deref(),
        new_hash: &planned.new_hash,
    };
    let is_markdown = args.out.as_ref().and_then(|path| path.extension()).is_some_and(|end| end.eq_ignore_ascii_case("md"));
    let text = match args.format.unwrap_or(if is_markdown { Format::Markdown } else { Format::Html }) {
        Format::Html => report::html(&subject)?,
        Format::Markdown => report::markdown(&subject)?,
    };
    match &args.out {
        Some(path) => {
            output::write(path, &text)?;
            output::print(&format!("wrote {}\n", path.display()))?;
        }
        None => output::print(&text)?,
    }
    Ok(Exit::Done)
}
