//! The command line: arguments as typed, then settings as resolved, then one file a command.
//!
//! Invariant: the only module that prints or touches files; everything above it works on values.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod diff;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod init;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod look;
pub(crate) mod man;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod online;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod planning;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod rehearse;
pub(crate) mod report;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod source;
pub(crate) mod validate;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(crate) mod watch;

/// The compiler for zero-downtime schema changes.
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Validate(validate::Args),
    Fmt(fmt::Args),
    Diff(diff::Args),
    Plan(plan::Args),
    Compile(compile::Args),
    Report(report::Args),
    Connect(connect::Args),
    Explain(explain::Args),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Rehearse(rehearse::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Expand(run::Expand),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Migrate(run::Migrate),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Contract(run::Contract),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Abort(run::Abort),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Sync(run::Sync),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Drain(run::Drain),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Verify(look::VerifyArgs),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Check(look::CheckArgs),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Doctor(doctor::Args),
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    Status(look::StatusArgs),
}

/// How a command ended; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, nothing to report.
    Done,
    /// 1: failed; nothing half-applied that is not journaled.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: there are differences, or something is stale, or expand is due.
    Differs,
    /// 4: migrate is due.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql", feature = "sqlite")), allow(dead_code, reason = "no driver, no run"))]
    MigrateIsDue,
    /// 5: contract is due.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql", feature = "sqlite")), allow(dead_code, reason = "no driver, no run"))]
    ContractIsDue,
    /// 6: it stopped in good order, and more batches remain.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql", feature = "sqlite")), allow(dead_code, reason = "no driver, no run"))]
    MoreBatches,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Differs => 3,
            Exit::MigrateIsDue => 4,
            Exit::ContractIsDue => 5,
            Exit::MoreBatches => 6,
        }
    }
}

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Connect(args) => connect::run(&args),
        Command::Explain(args) => explain::run(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Rehearse(args) => rehearse::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Expand(args) => run::expand(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Migrate(args) => run::migrate(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Contract(args) => run::contract(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Abort(args) => run::abort(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Sync(args) => run::sync(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Drain(args) => run::drain(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Verify(args) => look::verify(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Check(args) => look::check(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Doctor(args) => doctor::run(&args),
        #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
        Command::Status(args) => look::status(&args),
    };
    match exit {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(Exit::Failed.code())
        }
    }
}
