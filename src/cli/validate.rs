//! `crossfade validate`.

use std::collections::HashSet;

use super::output::{self, Format};
use super::source::{self, Live};
use super::{Exit, planning};
use crate::diagnostic::{self, Diagnostic, Sources};
use crate::sql::Dialect;

/// Check snapshots and print every fault.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Snapshots: files, directories, git:REV:PATH, databases (postgres://…, sqlite:PATH) or SQL files.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Check for this dialect; may be repeated. By default the database's, else the dialects of
    /// crossfade.yaml, else postgres.
    #[arg(long = "dialect", value_name = "DIALECT", value_parser = planning::dialect)]
    dialects: Vec<Dialect>,
    /// How the faults are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut clean: Vec<&str> = Vec::new();
    let settings = planning::settings(&mut sources, &mut all)?;
    let own = args.sources.iter().find_map(|spec| source::dialect_of(spec));
    let dialects = match own {
        _ if !args.dialects.is_empty() => args.dialects.clone(),
        Some(dialect) => vec![dialect],
        None => settings.dialects.clone(),
    };
    let live = Live { dialects: &dialects, schema: planning::schema_of(&settings), version: source::FIRST_VERSION };
    for spec in &args.sources {
        let (snapshot, mut diagnostics) = source::load(spec, &mut sources, &live)?;
        let mut told = HashSet::new();
        for dialect in &dialects {
            for diagnostic in snapshot.resolve(*dialect).1 {
                // What is wrong on every dialect is said once.
                if told.insert((diagnostic.code, diagnostic.message.clone(), diagnostic.labels.first().map(|label| label.span))) {
                    diagnostics.push(diagnostic);
                }
            }
        }
        if !diagnostic::has_errors(&diagnostics) {
            clean.push(spec);
        }
        all.extend(diagnostics);
    }
    let failed = diagnostic::has_errors(&all);
    output::print_diagnostics(&sources, &all, args.format)?;
    if args.format == Format::Text {
        let one = args.sources.len() == 1;
        let lines: String = clean.iter().map(|spec| if one { "ok\n".to_owned() } else { format!("{spec}: ok\n") }).collect();
        output::print(&lines)?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}
