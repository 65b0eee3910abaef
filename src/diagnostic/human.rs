//! Diagnostics for people, in the look of rustc.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level as Title, Renderer, Snippet, normalize_untrusted_str};

use super::place::{Lines, byte_order_mark, known, sorted, visible};
use super::{Diagnostic, Label, Level, SourceFile, Sources};

/// Whether text carries terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escape codes.
    Always,
}

/// How many diagnostics are shown to people: nobody reads on, and a terminal keeps no more.
const MAX_SHOWN: usize = 100;

/// Renders diagnostics, sorted by file and place, with a blank line after each. Of more than a hundred the worst hundred are
/// shown, those that come first among equals, and the number of the others is told.
///
/// Each has its title `error[code]: message`, the place ` --> file:line:column`, the source with carets, and its `help:`
/// lines; a help of several lines keeps its layout. More than one diagnostic ends in a line such as `2 errors, 1 warning`.
/// No diagnostics give the empty string.
pub fn render_human(sources: &Sources, diagnostics: &[Diagnostic], colour: Colour) -> String {
    let renderer = match colour {
        Colour::Never => Renderer::plain(),
        Colour::Always => Renderer::styled(),
    };
    let lines = Lines::new(sources);
    let mut out = String::new();
    let shown = worst(sorted(sources, diagnostics));
    let left = diagnostics.len() - shown.len();
    for diagnostic in shown {
        for line in renderer.render(&[group(sources, &lines, diagnostic)]).lines() {
            // A gap in a help text would be indented white space.
            out.push_str(line.trim_end_matches(' '));
            out.push('\n');
        }
        out.push('\n');
    }
    if left > 0 {
        out.push_str(&format!("… and {left} more\n\n"));
    }
    if diagnostics.len() > 1 {
        out.push_str(&summary(diagnostics));
        out.push('\n');
    }
    out
}

/// As many as are shown, in the order given: those of the worst level go before the others.
fn worst(diagnostics: Vec<&Diagnostic>) -> Vec<&Diagnostic> {
    let mut ranked: Vec<(usize, &Diagnostic)> = diagnostics.into_iter().enumerate().collect();
    ranked.sort_by_key(|(at, diagnostic)| (std::cmp::Reverse(diagnostic.level), *at));
    ranked.truncate(MAX_SHOWN);
    ranked.sort_by_key(|(at, _)| *at);
    ranked.into_iter().map(|(_, diagnostic)| diagnostic).collect()
}

/// `2 errors, 1 warning`: how many there are of each level, the worst first; levels without any are left out.
fn summary(diagnostics: &[Diagnostic]) -> String {
    let levels = [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Note, "note")];
    let counts = levels.into_iter().filter_map(|(level, noun)| match diagnostics.iter().filter(|d| d.level == level).count() {
        0 => None,
        1 => Some(format!("1 {noun}")),
        count => Some(format!("{count} {noun}s")),
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// A label and how it is drawn.
type Mark<'a> = (AnnotationKind, &'a Label);

fn group<'a>(sources: &'a Sources, lines: &Lines<'_>, diagnostic: &'a Diagnostic) -> Group<'a> {
    let title = match diagnostic.level {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
        Level::Note => Title::NOTE,
    };
    let mut files: Vec<(&SourceFile, Vec<Mark<'_>>)> = Vec::new();
    for (index, (file, label)) in known(sources, diagnostic).enumerate() {
        let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        match files.iter_mut().find(|(_, marks)| marks.iter().any(|(_, other)| other.span.file == label.span.file)) {
            Some((_, marks)) => marks.push((kind, label)),
            None => files.push((file, vec![(kind, label)])),
        }
    }
    let snippets = files.into_iter().map(|(file, marks)| snippet(file, lines, &marks));
    // Help texts may quote names that a user wrote, and those may hold escape codes.
    let help = diagnostic.help.iter().map(|text| {
        let lines: Vec<String> = text.lines().map(normalize_untrusted_str).collect();
        Title::HELP.message(lines.join("\n"))
    });
    title.primary_title(diagnostic.message.as_str()).id(diagnostic.code).elements(snippets).elements(help)
}

/// The lines of one file from the first label to the last: a renderer that is given the whole file counts all its lines
/// again for every diagnostic.
fn snippet<'a>(file: &'a SourceFile, lines: &Lines<'_>, marks: &[Mark<'a>]) -> Snippet<'a, Annotation<'a>> {
    let text = file.text.as_str();
    let ranges: Vec<_> = marks.iter().map(|(_, label)| visible(text, label.span)).collect();
    let first = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let from = text[..first].rfind('\n').map_or(byte_order_mark(text), |i| i + 1);
    let to = text[last..].find('\n').map_or(text.len(), |i| last + i + 1);
    let line = marks.first().and_then(|(_, label)| lines.position(label.span.file, from)).map_or(1, |(line, _)| line);
    let annotations = marks.iter().zip(ranges).map(|((kind, label), range)| {
        let annotation = kind.span(range.start - from..range.end - from);
        match label.text.as_str() {
            "" => annotation,
            text => annotation.label(text.lines().collect::<Vec<_>>().join(" ")),
        }
    });
    Snippet::source(&text[from..to]).path(file.name.as_str()).line_start(line).annotations(annotations)
}
