//! `crossfade doctor`.

use super::Exit;
use super::online::{self, OnlineArgs};
use super::output::{self, Format};
use super::source;
use crate::emit::program::Program;
use crate::run::doctor::{Ailment, OLD_TRANSACTION, examine};
use crate::run::engine::Engine;
use crate::run::look;

/// Find what would stop a phase before its first statement. Exits with 1 when something would.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    online: OnlineArgs,
    /// Name transactions that are older than so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = OLD_TRANSACTION)]
    old_transaction: f64,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let Some(program) = online::program(&args.online, engine.as_ref(), args.format)? else { return Ok(Exit::Failed) };
    let mut found = match examine(engine.as_ref(), &program, args.old_transaction) {
        Ok(found) => found,
        Err(stopped) => {
            online::tell(&stopped, args.format);
            return Ok(Exit::Failed);
        }
    };
    found.extend(drift(args, engine.as_ref(), &program)?);
    found.sort_by(|a, b| (&a.level, &a.code, &a.object).cmp(&(&b.level, &b.code, &b.object)));
    match args.format {
        Format::Json => output::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        Format::Text if found.is_empty() => output::print("nothing was found that would stop a phase\n")?,
        Format::Text => {
            let lines: String =
                found.iter().map(|Ailment { level, code, object, message }| format!("{level}[{code}]: {object}: {message}\n")).collect();
            output::print(&lines)?;
        }
    }
    Ok(if found.iter().any(|one| one.level == "error") { Exit::Failed } else { Exit::Done })
}

/// Where the live schema is not what the old snapshot says. Between expand and contract it is neither of the two, and without
/// sources there is no snapshot to compare with.
fn drift(args: &Args, engine: &dyn Engine, program: &Program) -> anyhow::Result<Vec<Ailment>> {
    let Some(old) = args.online.planning.old.as_deref().filter(|old| *old != "empty" && !source::is_database(old)) else {
        return Ok(Vec::new());
    };
    // Who may not read the version tables has been told so.
    let Ok(status) = look::status(engine, None) else { return Ok(Vec::new()) };
    let latest = status.releases.iter().rev().find(|revision| revision.phase != "aborted");
    let is_between = latest.is_some_and(|latest| !latest.is_over());
    if is_between || !matches!(look::due(engine, program), Ok(look::Due::Expand)) {
        return Ok(Vec::new());
    }
    Ok(online::drift(&args.online, old)?
        .into_iter()
        .map(|line| Ailment {
            level: "error".to_owned(),
            code: "drift".to_owned(),
            object: "the live schema".to_owned(),
            message: format!("it is not what the old snapshot says: {line}"),
        })
        .collect())
}
