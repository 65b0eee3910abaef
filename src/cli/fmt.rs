//! `crossfade fmt`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Exit;
use super::output::{Format, print, print_diagnostics, stdout_colour, unified_diff};
use crate::diagnostic::{Diagnostic, Sources};
use crate::snapshot::fmt;

/// Put snapshot files into canonical form; comments are kept.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: show what would change, and exit with 3 if anything would.
    #[arg(long)]
    check: bool,
    /// Snapshot files, or directories of them; `-` reads stdin and writes to stdout.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut sources = Sources::default();
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut differs = false;
    for path in expand(&args.files)? {
        let stdin = path == Path::new("-");
        let name = if stdin { "<stdin>".to_owned() } else { path.display().to_string() };
        let text = if stdin { read_stdin() } else { fs::read_to_string(&path) }.with_context(|| format!("can't read {name}"))?;
        let file = sources.add(name.as_str(), text.as_str());
        let found = fmt::faults(&text, file);
        if !found.is_empty() {
            faults.extend(found);
            continue;
        }
        let formatted = fmt::format(&text);
        let changed = formatted != text;
        differs |= changed;
        match (args.check, stdin) {
            (true, _) => print(&unified_diff(&name, &text, &formatted, stdout_colour()))?,
            (false, true) => print(&formatted)?,
            (false, false) if changed => fs::write(&path, formatted).with_context(|| format!("can't write {name}"))?,
            (false, false) => {}
        }
    }
    print_diagnostics(&sources, &faults, Format::Text)?;
    Ok(if !faults.is_empty() {
        Exit::Failed
    } else if args.check && differs {
        Exit::Differs
    } else {
        Exit::Done
    })
}

fn read_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// A directory stands for the YAML files in it, in order of their names.
fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).with_context(|| format!("can't read {}", path.display()))? {
            let file = entry.with_context(|| format!("can't read {}", path.display()))?.path();
            if file.is_file() && file.extension().is_some_and(|e| e == "yaml" || e == "yml") {
                inside.push(file);
            }
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}
