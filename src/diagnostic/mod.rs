//! What crossfade says about its input: errors, warnings, notes and questions, each with a place, a code and a way out.
//!
//! Invariant: a [`Diagnostic`] is data. Nothing here knows what a schema is, and nothing here prints: a renderer gives text.

mod human;
mod json;
mod place;
pub mod register;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

pub use human::{Colour, render_human};
pub use json::render_json;
pub use place::line_column;

/// A file among [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A half-open range of bytes in one source file. The default value is nowhere: it stands for things that were not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Default for Span {
    fn default() -> Self {
        Span { file: FileId(u32::MAX), start: 0, end: 0 }
    }
}

impl Span {
    /// Whether the span lies nowhere (something that was not written by a user).
    pub fn is_nowhere(self) -> bool {
        self.file.0 == u32::MAX
    }
}

/// One text that was read, with the name that its errors carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// All texts that were read in one run; a [`Span`] points into one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a text and returns its id.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX - 1));
        self.files.push(SourceFile { name: name.into(), text: text.into() });
        id
    }

    /// All texts in the order in which they were read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of an id; `None` for nowhere.
    pub fn get(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }
}

/// How bad it is. An `Error` stops the command (exit 1); nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Read this before you go on.
    Warning,
    /// The command can't do what was asked.
    Error,
}

/// A place that a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What the caret says; may be empty.
    pub text: String,
}

/// One thing to say about the input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Stable code, words joined by hyphens; `crossfade explain CODE` has its page.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// One sentence that names the object.
    pub message: String,
    /// Places; the first is the primary one (its line and column head the message).
    pub labels: Vec<Label>,
    /// What to do, a line each; may hold YAML to paste.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error with no place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { code, level: Level::Error, message: message.into(), labels: Vec::new(), help: Vec::new() }
    }

    /// A warning with no place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { level: Level::Warning, ..Diagnostic::error(code, message) }
    }

    /// A note with no place yet.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { level: Level::Note, ..Diagnostic::error(code, message) }
    }

    /// Points at a place. A span that is nowhere adds nothing.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        if !span.is_nowhere() {
            self.labels.push(Label { span, text: text.into() });
        }
        self
    }

    /// Adds a line of advice.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// Whether any of the diagnostics is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.level == Level::Error)
}
