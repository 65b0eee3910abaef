//! `crossfade status`, `check` and `verify`.

use super::Exit;
use super::online::{self, OnlineArgs};
use super::output::{self, Format};
use super::watch::Watcher;
use crate::run::look::{self, BackfillStatus, Due, Status};

/// Print how far a database is: its releases, backfills, and who is connected.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    online: OnlineArgs,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Tell by the exit code what a database needs: 0 nothing, 3 expand, 4 migrate, 5 contract; 1 when it is somewhere else.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    online: OnlineArgs,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Count the rows on which the two shapes disagree, and show some of them. Exits with 1 when there are any.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    online: OnlineArgs,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    // Without snapshots or scripts the database still knows how far it is.
    let program = if args.online.planning.old.is_some() {
        let Some(program) = online::program(&args.online, engine.as_ref(), args.format)? else { return Ok(Exit::Failed) };
        Some(program)
    } else {
        online::program(&args.online, engine.as_ref(), args.format).ok().flatten()
    };
    match look::status(engine.as_ref(), program.as_ref()) {
        Ok(status) => {
            match args.format {
                Format::Text => output::print(&status_text(&status))?,
                Format::Json => output::print(&(serde_json::to_string_pretty(&status)? + "\n"))?,
            }
            Ok(Exit::Done)
        }
        Err(stopped) => {
            online::tell(&stopped, args.format);
            Ok(Exit::Failed)
        }
    }
}

fn status_text(status: &Status) -> String {
    let mut text = format!("{}\n", status.place);
    if status.releases.is_empty() {
        text.push_str("no release: crossfade has not run here\n");
    }
    for revision in &status.releases {
        let old = revision.old_version.as_deref().unwrap_or("nothing");
        let heads: Vec<&str> = [&revision.expand, &revision.migrate, &revision.contract].into_iter().filter_map(Option::as_deref).collect();
        let heads = if heads.is_empty() { String::new() } else { format!(" ({})", heads.join(", ")) };
        text.push_str(&format!("{old} -> {}: {}{heads}\n", revision.new_version, revision.phase));
    }
    if let Some(runner) = &status.runner {
        text.push_str(&format!("at work: {runner}\n"));
    }
    for version in &status.drained {
        text.push_str(&format!(
            "drained: writes of version {version} are refused; `crossfade drain {version} --undo` lets it write again\n"
        ));
    }
    for unfinished in &status.unfinished {
        text.push_str(&format!("begun, not finished: {}\n", unfinished.step));
        if let Some(error) = &unfinished.error {
            text.push_str(&format!("  last error: {error}\n"));
        }
    }
    for backfill in &status.backfills {
        text.push_str(&format!("{}\n", backfill_text(backfill)));
    }
    if !status.set_aside.is_empty() {
        text.push_str(&format!("rows set aside: {}\n", status.set_aside.len()));
        for row in status.set_aside.iter().take(10) {
            text.push_str(&format!("  {} {}: {}\n", row.backfill, row.key.join(", "), row.error));
        }
    }
    for client in &status.sessions {
        text.push_str(&format!("{client}\n"));
    }
    text
}

fn backfill_text(backfill: &BackfillStatus) -> String {
    let BackfillStatus { backfill: name, rows, estimate, rate, finished, parts } = backfill;
    let mut text = format!("backfill {name}: {rows} rows filled");
    if *finished {
        return text + ", done";
    }
    if let Some(estimate) = estimate {
        text.push_str(&format!(" of about {estimate}"));
    }
    if parts.0 > 0 {
        text.push_str(&format!(", {} of {} ranges done", parts.1, parts.0));
    }
    if let Some(rate) = rate.filter(|rate| *rate > 0) {
        text.push_str(&format!(", {rate} rows/s"));
        if let Some(estimate) = estimate {
            text.push_str(&format!(", {} s left", estimate.saturating_sub(*rows) / rate));
        }
    }
    text
}

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let Some(program) = online::program(&args.online, engine.as_ref(), args.format)? else { return Ok(Exit::Failed) };
    let due = match look::due(engine.as_ref(), &program) {
        Ok(due) => due,
        Err(stopped) => {
            online::tell(&stopped, args.format);
            return Ok(Exit::Failed);
        }
    };
    let (word, exit) = match due {
        Due::Nothing => ("nothing", Exit::Done),
        Due::Expand => ("expand", Exit::Differs),
        Due::Migrate => ("migrate", Exit::MigrateIsDue),
        Due::Contract => ("contract", Exit::ContractIsDue),
    };
    match args.format {
        Format::Text if due == Due::Nothing => output::print(&format!("up to date: version {}\n", program.new_version))?,
        Format::Text => output::print(&format!("{word} of {} is due\n", program.release))?,
        Format::Json => output::print(&format!("{}\n", serde_json::json!({ "release": program.release, "due": word })))?,
    }
    Ok(exit)
}

pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let Some(program) = online::program(&args.online, engine.as_ref(), args.format)? else { return Ok(Exit::Failed) };
    let watcher = Watcher::new(args.format);
    let found = crate::run::verify(engine.as_ref(), &program, &watcher);
    watcher.close();
    let found = match found {
        Ok(found) => found,
        Err(stopped) => {
            online::tell(&stopped, args.format);
            return Ok(Exit::Failed);
        }
    };
    match args.format {
        Format::Json => output::print(&(serde_json::to_string_pretty(&found)? + "\n"))?,
        Format::Text if found.is_empty() => output::print("nothing to compare: there is nothing that both versions must say alike now\n")?,
        Format::Text => {
            let mut text = String::new();
            for one in &found {
                text.push_str(&format!("{}: {} rows disagree\n", one.what, one.rows));
                for (key, values) in &one.examples {
                    text.push_str(&format!("  {key}: {values}\n"));
                }
            }
            output::print(&text)?;
        }
    }
    Ok(if found.iter().any(|one| one.rows > 0) { Exit::Failed } else { Exit::Done })
}
