//! What every command prints, and where: results to stdout, diagnostics to stderr, colour only on a terminal.

use std::io::{self, Write};
use std::path::Path;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;

use crate::diagnostic::{Colour, Diagnostic, Sources, render_human, render_json};

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Colour for results: stdout is a terminal that knows colours, and `NO_COLOR` is not set.
pub(crate) fn stdout_colour() -> Colour {
    colour(&io::stdout())
}

/// Colour for diagnostics: the same for stderr.
pub(crate) fn stderr_colour() -> Colour {
    colour(&io::stderr())
}

/// `anstream` knows `NO_COLOR`, `CLICOLOR` and `TERM=dumb`; that a pipe never gets colours is ours.
fn colour(stream: &impl RawStream) -> Colour {
    match AutoStream::choice(stream) {
        ColorChoice::Never => Colour::Never,
        ColorChoice::Auto | ColorChoice::AlwaysAnsi | ColorChoice::Always => {
            if stream.is_terminal() {
                Colour::Always
            } else {
                Colour::Never
            }
        }
    }
}

/// Prints a result to stdout as it is; it should end with a line break. A reader that has gone (`| head`) is no error.
///
/// # Errors
/// When stdout can't be written to, because a disk is full, say.
pub(crate) fn print(text: &str) -> io::Result<()> {
    gone_is_fine(write_to(AutoStream::new(io::stdout().lock(), choice(stdout_colour())), text))
}

/// Prints diagnostics to stderr: as text, or as one JSON array. Nothing is printed when there are none and people read.
///
/// # Errors
/// When stderr can't be written to.
pub(crate) fn print_diagnostics(sources: &Sources, diagnostics: &[Diagnostic], format: Format) -> io::Result<()> {
    let text = match format {
        Format::Text => render_human(sources, diagnostics, stderr_colour()),
        Format::Json => render_json(sources, diagnostics),
    };
    gone_is_fine(write_to(AutoStream::new(io::stderr().lock(), choice(stderr_colour())), &text))
}

/// On a terminal without colours `anstream` takes escape codes out; on Windows it turns them into calls.
fn choice(colour: Colour) -> ColorChoice {
    match colour {
        Colour::Never => ColorChoice::Never,
        Colour::Always => ColorChoice::Always,
    }
}

fn write_to(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn gone_is_fine(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a file, and the folder that it lies in if that is missing.
///
/// # Errors
/// When either can't be written.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make the folder `{}`", folder.display()))?;
    }
    // Beside it first: a file is never half written under its own name.
    let part = path.with_extension("part");
    std::fs::write(&part, text).with_context(|| format!("can't write `{}`", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("can't write `{}`", path.display()))
}

/// What would change in a file, as a unified diff; empty when nothing would.
pub(crate) fn unified_diff(name: &str, old: &str, new: &str, colour: Colour) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(3).header(name, name).to_string();
    match colour {
        Colour::Never => text,
        Colour::Always => text
            .lines()
            .map(|line| match line.chars().next() {
                Some('+') => format!("\u{1b}[32m{line}\u{1b}[0m\n"),
                Some('-') => format!("\u{1b}[31m{line}\u{1b}[0m\n"),
                Some('@') => format!("\u{1b}[36m{line}\u{1b}[0m\n"),
                _ => format!("{line}\n"),
            })
            .collect(),
    }
}
