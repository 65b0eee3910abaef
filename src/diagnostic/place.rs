//! From byte ranges to what people count in: lines and columns.
//!
//! A span comes from a parser, and parsers disagree on ends: some include the line break, some point past the end of the
//! file. All renderers look at a span through [`visible`], so that they agree with each other and never index out of a text.

use std::ops::Range;

use super::{Diagnostic, Label, SourceFile, Sources, Span};

/// Line and column of the start of a span, both counted from 1, the column in characters. `None` when it lies nowhere.
///
/// A span past the end of its file counts as the end of the last line that has text.
pub fn line_column(sources: &Sources, span: Span) -> Option<(usize, usize)> {
    let file = sources.get(span.file)?;
    Some(position(&file.text, visible(&file.text, span).start))
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

/// Line and column, from 1, of a byte at a character boundary.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(byte_order_mark(text).min(at), |i| i + 1);
    (before.bytes().filter(|&b| b == b'\n').count() + 1, before[line_start..].chars().count() + 1)
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
        None => (1, super::FileId(u32::MAX), 0),
    });
    sorted
}
