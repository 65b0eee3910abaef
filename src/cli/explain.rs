//! `crossfade explain`.

use std::fmt::Write as _;

use serde::Serialize;

use super::Exit;
use super::output::{Format, print, print_diagnostics, stdout_colour};
use crate::diagnostic::register::{self, Page};
use crate::diagnostic::{Colour, Sources};

/// Explain a code of an error or a hazard; without a code, list all of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code in the brackets of a message: drops-data, unknown-key …
    code: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let Some(code) = &args.code else {
        print(&list(args.format))?;
        return Ok(Exit::Done);
    };
    match register::find(bare(code)) {
        Ok(page) => {
            print(&show(page, args.format, stdout_colour()))?;
            Ok(Exit::Done)
        }
        Err(error) => {
            print_diagnostics(&Sources::default(), &[error], args.format)?;
            Ok(Exit::Usage)
        }
    }
}

/// The code in `error[code]`, as it is copied from a message, or the text itself.
fn bare(typed: &str) -> &str {
    let typed = typed.trim().trim_end_matches(':');
    typed.strip_suffix(']').and_then(|text| text.split_once('[')).map_or(typed, |(_, code)| code)
}

/// An entry of the list, for programs.
#[derive(Serialize)]
struct Line {
    code: &'static str,
    summary: &'static str,
}

/// A page, for programs; the sections are Markdown.
#[derive(Serialize)]
struct Sections {
    code: &'static str,
    summary: &'static str,
    what_it_means: &'static str,
    example: &'static str,
    what_to_do: &'static str,
}

/// Serialising strings into a string can't fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn list(format: Format) -> String {
    match format {
        Format::Text => {
            let width = register::codes().map(|page| page.code.len()).max().unwrap_or_default();
            register::codes().fold(String::new(), |mut out, page| {
                let _ = writeln!(out, "{:width$}  {}", page.code, page.summary());
                out
            })
        }
        Format::Json => json(&register::codes().map(|page| Line { code: page.code, summary: page.summary() }).collect::<Vec<_>>()),
    }
}

fn show(page: &Page, format: Format, colour: Colour) -> String {
    match (format, colour) {
        (Format::Text, Colour::Never) => page.text.to_owned(),
        (Format::Text, Colour::Always) => bold_headings(page.text),
        (Format::Json, _) => {
            let section = |heading| page.section(heading).unwrap_or_default();
            json(&Sections {
                code: page.code,
                summary: page.summary(),
                what_it_means: section("What it means"),
                example: section("Example"),
                what_to_do: section("What to do"),
            })
        }
    }
}

/// Markdown reads well as it is; on a terminal the headings stand out. A `#` in an example is a comment.
fn bold_headings(text: &str) -> String {
    let mut fenced = false;
    text.lines().fold(String::new(), |mut out, line| {
        fenced ^= line.starts_with("```");
        let _ = if line.starts_with('#') && !fenced { writeln!(out, "\u{1b}[1m{line}\u{1b}[0m") } else { writeln!(out, "{line}") };
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_pasted_with_its_brackets() {
        assert_eq!(bare("error[drops-data]:"), "drops-data");
        assert_eq!(bare(" drops-data "), "drops-data");
        assert_eq!(bare("drops-data]"), "drops-data]");
    }

    #[test]
    fn only_headings_are_bold() {
        let text = "# code\n```yaml\n# comment\n```\n## Next\n";
        assert_eq!(bold_headings(text), "\u{1b}[1m# code\u{1b}[0m\n```yaml\n# comment\n```\n\u{1b}[1m## Next\u{1b}[0m\n");
    }

    #[test]
    fn json_has_the_sections() {
        let page = register::explain("unknown-code").expect("it is in the register");
        let value: serde_json::Value = serde_json::from_str(&show(page, Format::Json, Colour::Never)).expect("it is JSON");
        assert_eq!(value["code"], "unknown-code");
        assert!(value["what_to_do"].as_str().is_some_and(|text| text.contains("crossfade explain")));
        let value: serde_json::Value = serde_json::from_str(&list(Format::Json)).expect("it is JSON");
        assert!(value.as_array().is_some_and(|pages| pages.iter().all(|page| page["summary"].is_string())));
    }
}
