//! `crossfade expand`, `migrate`, `contract` and `abort`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;

use super::Exit;
use super::online::{self, OnlineArgs, Upgrade};
use super::output::{self, Format};
use super::watch::Watcher;
use crate::emit::program::Program;
use crate::plan::model::Phase;
use crate::run::engine::Engine;
use crate::run::look::{self, Due};
use crate::run::{End, Options, Task};

/// How long is waited for whom.
#[derive(Debug, clap::Args)]
struct Waits {
    /// How many seconds to wait for another runner to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// For how many seconds a statement that meets a lock is tried again, with growing pauses.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
}

/// What every phase takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    online: OnlineArgs,
    /// Change nothing; print the statements that would run.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    waits: Waits,
    /// How progress is written: as text, or as a JSON object a line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Run expand on a database: add what the new version needs, and keep both shapes in step.
///
/// Like every phase it is journaled by statement: after a kill, a lost connection or Ctrl-C the same command goes on where it
/// stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Expand {
    #[command(flatten)]
    run: RunArgs,
}

/// Run migrate on a database: fill the new shape for the rows that were there before.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    run: RunArgs,
    /// Sessions that fill rows at the same time, each in a range of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// The time in milliseconds that a batch should take; its number of rows follows from it.
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    batch_time: u64,
    /// Stop after so many batches, with exit code 6.
    #[arg(long, value_name = "N")]
    max_batches: Option<u64>,
    /// While this file is there, no batch begins.
    #[arg(long, value_name = "FILE")]
    pause_file: Option<PathBuf>,
    /// Let no batch begin while a replica is more than so many seconds behind, or while that is not known. On MySQL and MariaDB it is
    /// asked those that --replica names.
    #[arg(long, value_name = "SECONDS")]
    max_lag: Option<u64>,
    /// A replica of MySQL or MariaDB; may be said several times.
    #[arg(long, value_name = "URL", requires = "max_lag")]
    replica: Vec<String>,
    /// Let no batch begin while more than so many sessions of others are at work, or while that is not known.
    #[arg(long, value_name = "N")]
    max_load: Option<u64>,
    /// Set aside up to so many rows that can't be filled, instead of stopping at the first one. Contract refuses while there are any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_failing: u64,
}

/// Run contract on a database: take away what only the old version used. There is no way back.
#[derive(Debug, clap::Args)]
pub(crate) struct Contract {
    #[command(flatten)]
    run: RunArgs,
    /// No client of the old version is left.
    #[arg(long)]
    all_nodes_upgraded: bool,
}

/// Take a half-done upgrade back to the old version; possible until contract begins.
#[derive(Debug, clap::Args)]
pub(crate) struct Abort {
    #[command(flatten)]
    run: RunArgs,
}

/// Run all that is left of an upgrade on a stopped application: expand, migrate and contract, one behind the other.
///
/// It refuses while anybody else is connected, before each of them. No triggers are made; one that was cut off must be run again, or
/// taken back with abort, before the application starts.
#[derive(Debug, clap::Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    online: OnlineArgs,
    /// The application is stopped. There is no other way to run this.
    #[arg(long, required = true)]
    offline: bool,
    #[command(flatten)]
    waits: Waits,
    /// Sessions that fill rows at the same time, each in a range of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// How progress is written: as text, or as a JSON object a line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Refuse the writes of one version, while reads and the other version's writes go on; `--undo` lets it write again.
///
/// A test before contract: whoever still writes as that version is told so, and nothing is taken away. Needs versioned access.
/// Contract and abort end it.
#[derive(Debug, clap::Args)]
pub(crate) struct Drain {
    /// The version, the old or the new one.
    version: String,
    #[command(flatten)]
    online: OnlineArgs,
    /// Let it write again.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    waits: Waits,
    /// How progress is written: as text, or as a JSON object a line.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn sync(args: &Sync) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let engine = engine.as_ref();
    let Some(Upgrade { program, schema_lock }) = online::upgrade(&args.online, engine, args.format)? else { return Ok(Exit::Failed) };
    let stop = listen()?;
    let mut options = options(&args.waits, &stop);
    options.schema_lock = schema_lock;
    options.workers = usize::from(args.workers);
    options.offline = true;
    // Nobody is left that could be of the old version.
    options.all_nodes_upgraded = true;
    loop {
        let due = look::due(engine, &program).map(|due| match due {
            Due::Nothing => None,
            Due::Expand => Some(Phase::Expand),
            Due::Migrate => Some(Phase::Migrate),
            Due::Contract => Some(Phase::Contract),
        });
        let due = due.and_then(|phase| crate::run::nobody_is_connected(engine).map(|()| phase));
        match due {
            Ok(Some(phase)) => match drive(engine, &program, Task::Phase(phase), &options, args.format)? {
                Exit::Done => {}
                other => return Ok(other),
            },
            Ok(None) => {
                Watcher::new(args.format).ended("done", &format!("the database is at version {}", program.new_version))?;
                return Ok(Exit::Done);
            }
            Err(stopped) => {
                online::tell(&stopped, args.format);
                return Ok(Exit::Failed);
            }
        }
    }
}

pub(crate) fn expand(args: &Expand) -> anyhow::Result<Exit> {
    run(&args.run, Task::Phase(Phase::Expand), |_| {})
}

pub(crate) fn migrate(args: &Migrate) -> anyhow::Result<Exit> {
    let replicas = args.replica.iter().map(|url| online::engine(url)).collect::<anyhow::Result<Vec<_>>>()?;
    run(&args.run, Task::Phase(Phase::Migrate), |options| {
        options.workers = usize::from(args.workers);
        options.batch_time = Duration::from_millis(args.batch_time);
        options.max_batches = args.max_batches;
        options.pause_file.clone_from(&args.pause_file);
        options.max_lag = args.max_lag;
        options.replicas = replicas;
        options.max_load = args.max_load;
        options.skip_failing = args.skip_failing;
    })
}

pub(crate) fn contract(args: &Contract) -> anyhow::Result<Exit> {
    run(&args.run, Task::Phase(Phase::Contract), |options| options.all_nodes_upgraded = args.all_nodes_upgraded)
}

pub(crate) fn abort(args: &Abort) -> anyhow::Result<Exit> {
    run(&args.run, Task::Abort, |_| {})
}

pub(crate) fn drain(args: &Drain) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let Some(program) = online::program(&args.online, engine.as_ref(), args.format)? else { return Ok(Exit::Failed) };
    let stop = listen()?;
    let watcher = Watcher::new(args.format);
    let ended = crate::run::drain(engine.as_ref(), &program, &args.version, args.undo, &options(&args.waits, &stop), &watcher);
    watcher.close();
    let version = &args.version;
    match ended {
        Ok(End::Already(why)) => watcher.ended("already", &why)?,
        Ok(_) if args.undo => watcher.ended("done", &format!("version {version} may write again"))?,
        Ok(_) => watcher.ended(
            "done",
            &format!(
                "writes of version {version} are refused from now on{}; `crossfade drain {version} --undo` lets it write again",
                if engine.guards_truncate() { "" } else { ", all but TRUNCATE, which fires no trigger here" }
            ),
        )?,
        Err(stopped) => {
            online::tell(&stopped, args.format);
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

fn run(args: &RunArgs, task: Task, set: impl FnOnce(&mut Options<'_>)) -> anyhow::Result<Exit> {
    let engine = online::engine(&args.online.url)?;
    let Some(Upgrade { program, schema_lock }) = online::upgrade(&args.online, engine.as_ref(), args.format)? else {
        return Ok(Exit::Failed);
    };
    if args.dry_run {
        return match crate::run::dry_run(engine.as_ref(), &program, task, schema_lock) {
            Ok(text) => {
                output::print(&text)?;
                Ok(Exit::Done)
            }
            Err(stopped) => {
                online::tell(&stopped, args.format);
                Ok(Exit::Failed)
            }
        };
    }
    let stop = listen()?;
    let mut options = options(&args.waits, &stop);
    options.schema_lock = schema_lock;
    set(&mut options);
    drive(engine.as_ref(), &program, task, &options, args.format)
}

/// Set once somebody presses Ctrl-C.
fn listen() -> anyhow::Result<Arc<AtomicBool>> {
    listen_saying("stopping after this statement or batch")
}

/// The same, with what is said then.
pub(super) fn listen_saying(said: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            // The second time it is meant at once. What is half done the server takes back, and the journal knows the rest.
            std::process::exit(130);
        }
        anstream::eprintln!("{said}; Ctrl-C again stops at once");
    })
    .context("can't listen for Ctrl-C")?;
    Ok(stop)
}

fn options<'a>(waits: &Waits, stop: &'a AtomicBool) -> Options<'a> {
    Options {
        wait: Duration::from_secs(waits.wait),
        patience: Duration::from_secs(waits.patience),
        workers: 1,
        batch_time: Duration::from_millis(100),
        max_batches: None,
        pause_file: None,
        max_lag: None,
        replicas: Vec::new(),
        max_load: None,
        skip_failing: 0,
        schema_lock: false,
        offline: false,
        all_nodes_upgraded: false,
        stop,
    }
}

fn drive(engine: &dyn Engine, program: &Program, task: Task, options: &Options<'_>, format: Format) -> anyhow::Result<Exit> {
    let watcher = Watcher::new(format);
    let ended = crate::run::run(engine, program, task, options, &watcher);
    watcher.close();
    match ended {
        Ok(End::Done) => {
            watcher.ended("done", &format!("{} of {} is done", task.name(), program.release))?;
            Ok(Exit::Done)
        }
        Ok(End::Already(why)) => {
            watcher.ended("already", &why)?;
            Ok(Exit::Done)
        }
        Ok(End::MoreBatches) => {
            watcher.ended("more", "more batches remain: run `crossfade migrate` again, it goes on behind the last batch")?;
            Ok(Exit::MoreBatches)
        }
        Err(stopped) => {
            online::tell(&stopped, format);
            Ok(Exit::Failed)
        }
    }
}
