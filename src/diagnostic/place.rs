//! From byte ranges to what people count in: lines and columns.
//!
//! A span comes from a parser, and parsers disagree on ends: some include the line break, some point past the end of the
//! file. All renderers look at a span through [`visible`], so that they agree with each other and never index out of a text.

use std::cell::OnceCell;
use std::ops::Range;

use super::{Diagnostic, FileId, Label, SourceFile, Sources, Span};

/// Line and column of the start of a span, both counted from 1, the column in characters. `None` when it lies nowhere.
///
/// A span past the end of its file counts as the end of the last line that has text.
pub fn line_column(sources: &Sources, span: Span) -> Option<(usize, usize)> {
    let file = sources.get(span.file)?;
    Lines::new(sources).position(span.file, visible(&file.text, span).start)
}

/// The bytes that a span shows: inside the text, on character boundaries, without the line breaks and the white space in
/// which a span of several lines may end.
pub(super) fn visible(text: &str, span: Span) -> Range<usize> {
    let mut start = text.floor_char_boundary(span.start as usize);
    let mut end = text.ceil_char_boundary(span.end as usize).max(start);
    if start == text.len() {
        // The end of the file is shown at the end of its last line with text.
        start = text.trim_end_matches(['\n', '\r']).len();
        end = start;
    }
    if text[start..end].contains('\n') {
        end = start + text[start..end].trim_end().len();
    }
    if text[..start].ends_with('\r') && text[start..].starts_with('\n') {
        start -= 1;
    }
    start = start.max(byte_order_mark(text));
    start..end.max(start)
}

/// A line longer than this has a mark within, in bytes.
const BETWEEN_MARKS: usize = 1024;

/// A byte whose line and column (both from 1) are known.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: usize,
    line: usize,
    column: usize,
}

/// Lines and columns in all files. Each file is read through once, when a place in it is first asked for: counting from its
/// start every time would read it as often as it has faults.
pub(super) struct Lines<'a> {
    sources: &'a Sources,
    marks: Vec<OnceCell<Vec<Mark>>>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Lines { sources, marks: vec![OnceCell::new(); sources.files().len()] }
    }

    /// Line and column, from 1, of a byte at a character boundary. `None` when there is no such file.
    pub(super) fn position(&self, file: FileId, at: usize) -> Option<(usize, usize)> {
        let text = &self.sources.get(file)?.text;
        let marks = self.marks.get(file.0 as usize)?.get_or_init(|| marks(text));
        // Only a byte inside of the byte order mark has no mark before it.
        let before = marks[..marks.partition_point(|mark| mark.at <= at)].last().or(marks.first())?;
        Some((before.line, before.column + text[before.at.min(at)..at].chars().count()))
    }
}

/// Marks at the start of every line, and within the long ones.
fn marks(text: &str) -> Vec<Mark> {
    let first = byte_order_mark(text);
    let mut last = Mark { at: first, line: 1, column: 1 };
    let mut marks = vec![last];
    let mut column = 1;
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < first) {
        if at >= last.at + BETWEEN_MARKS {
            last = Mark { at, line: last.line, column };
            marks.push(last);
        }
        column += 1;
        if c == '\n' {
            column = 1;
            last = Mark { at: at + 1, line: last.line + 1, column };
            marks.push(last);
        }
    }
    marks
}

/// Length of the byte order mark that some editors put first; no editor counts it as a column.
pub(super) fn byte_order_mark(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

/// The labels whose file is known, each with that file.
pub(super) fn known<'a>(sources: &'a Sources, diagnostic: &'a Diagnostic) -> impl Iterator<Item = (&'a SourceFile, &'a Label)> {
    diagnostic.labels.iter().filter_map(|label| Some((sources.get(label.span.file)?, label)))
}

/// The order in which diagnostics are shown: by file (as they were read), then by place; those without a place come last.
/// Diagnostics at one place stay in the order in which they were found.
pub(super) fn sorted<'a>(sources: &Sources, diagnostics: &'a [Diagnostic]) -> Vec<&'a Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| match known(sources, diagnostic).next() {
        Some((_, label)) => (0, label.span.file, label.span.start),
        None => (1, FileId(u32::MAX), 0),
    });
    sorted
}
