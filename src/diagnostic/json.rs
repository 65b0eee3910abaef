//! Diagnostics for programs.

use serde::Serialize;

use super::place::{Lines, known, sorted, visible};
use super::{Diagnostic, Label, Level, SourceFile, Sources};

/// One diagnostic; the fields of its first place stand on the object itself, and are null when it has none.
#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    level: Level,
    message: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    labels: Vec<Place<'a>>,
    help: &'a [String],
}

/// Lines and columns count from 1, columns in characters; the end column is the one after the last character.
#[derive(Serialize, Default, Clone)]
struct Place<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    label: Option<&'a str>,
}

/// Renders diagnostics as a JSON array, sorted by file and place.
///
/// Each object has `code`, `level` (`error`, `warning`, `note`), `message`; the first place as `file`, `line`, `column`,
/// `end_line`, `end_column` and `label` (all null when there is none); all places, the first one included, in `labels`; and
/// `help`, an array of texts. Lines and columns count from 1, columns in characters, and the end column is exclusive.
pub fn render_json(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let lines = Lines::new(sources);
    let entries: Vec<Entry<'_>> = sorted(sources, diagnostics)
        .into_iter()
        .map(|diagnostic| {
            let labels: Vec<Place<'_>> = known(sources, diagnostic).map(|(file, label)| place(&lines, file, label)).collect();
            Entry {
                code: diagnostic.code,
                level: diagnostic.level,
                message: &diagnostic.message,
                place: labels.first().cloned().unwrap_or_default(),
                labels,
                help: &diagnostic.help,
            }
        })
        .collect();
    // Serialising strings and numbers into a string can't fail.
    serde_json::to_string_pretty(&entries).unwrap_or_default() + "\n"
}

fn place<'a>(lines: &Lines<'_>, file: &'a SourceFile, label: &'a Label) -> Place<'a> {
    let range = visible(&file.text, label.span);
    let (line, column) = lines.position(label.span.file, range.start).unzip();
    let (end_line, end_column) = lines.position(label.span.file, range.end).unzip();
    Place { file: Some(&file.name), line, column, end_line, end_column, label: Some(&label.text) }
}
