//! The register of codes: every code of an error, a warning or a hazard has a page.
//!
//! A page is a Markdown file `pages/<code>.md` with fixed headings, embedded in the program; `tests/explain.rs` checks that
//! no code lacks its page and that no page lacks its code.

use super::Diagnostic;

/// The page of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The code: words joined by hyphens.
    pub code: &'static str,
    /// The whole page in Markdown: `# code`, a summary of one line, `## What it means`, `## Example`, `## What to do`.
    pub text: &'static str,
}

impl Page {
    /// The line below the title.
    pub fn summary(&self) -> &'static str {
        self.text.lines().skip(1).find(|line| !line.trim().is_empty()).unwrap_or_default()
    }

    /// The text below a heading of the second level, trimmed; `None` when the page has no such heading.
    pub fn section(&self, heading: &str) -> Option<&'static str> {
        let mut start = None;
        let mut offset = 0;
        let mut fenced = false;
        for line in self.text.split_inclusive('\n') {
            if line.starts_with("```") {
                fenced = !fenced;
            }
            if let (false, Some(title)) = (fenced, line.strip_prefix("## ")) {
                match start {
                    Some(start) => return Some(self.text[start..offset].trim()),
                    None if title.trim() == heading => start = Some(offset + line.len()),
                    None => {}
                }
            }
            offset += line.len();
        }
        start.map(|start| self.text[start..].trim())
    }
}

/// One list, so that a page can't be embedded under another code.
macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        &[$(Page { code: $code, text: include_str!(concat!("pages/", $code, ".md")) }),*]
    };
}

/// All pages, sorted by code.
const PAGES: &[Page] = pages![
    "abort-rewrites",
    "ambiguous-rename",
    "backfill-without-key",
    "bad-check",
    "bad-default",
    "bad-definition",
    "bad-name",
    "bad-sql",
    "bad-type",
    "bad-version",
    "bad-yaml",
    "between-versions",
    "blocks-writes",
    "cant-mirror",
    "column-count",
    "contradiction",
    "cyclic-views",
    "default-comes-late",
    "derived-follows",
    "dropped-table-keys-bind",
    "drops-data",
    "duplicate-definition",
    "duplicate-key",
    "duplicate-name",
    "empty-expression",
    "enum-value-stays",
    "existing-duplicates",
    "file-too-large",
    "foreign-key-acts-late",
    "foreign-key-gap",
    "foreign-key-target",
    "from-not-new",
    "identity-given",
    "identity-meets-given",
    "insert-ambiguity",
    "insert-select-fails",
    "lens-not-total",
    "lossy-lens",
    "materialized-as-of-migrate",
    "mirror-blank-rows",
    "mirror-can-deadlock",
    "mirror-one-statement",
    "mirror-replace",
    "mirror-truncate",
    "misplaced-hint",
    "missing-dialect",
    "missing-key",
    "missing-version",
    "name-collision",
    "name-too-long",
    "narrow-down",
    "needs-cast",
    "needs-down",
    "needs-key",
    "needs-up",
    "needs-versioned",
    "new-foreign-key-binds",
    "no-columns",
    "no-online-way",
    "no-values",
    "not-yet",
    "old-check-binds",
    "old-key-binds",
    "old-reads-computed",
    "old-reads-longer",
    "old-reads-null",
    "old-reads-unknown-label",
    "old-upsert-loses-arbiter",
    "outside-format",
    "positional-clients",
    "rebuild-blocks-writers",
    "rename-by-copy",
    "rename-taken",
    "reserved-name",
    "rule-before-sync",
    "rule-loosened",
    "rule-tightened",
    "sequence-narrows",
    "sequence-starts-over",
    "several-documents",
    "stale-rename",
    "step-cycle",
    "too-deep",
    "too-many-aliases",
    "triggers-bypassed",
    "two-primary-keys",
    "two-versions",
    "type-comes-late",
    "type-named-late",
    "unique-rejects-old-writes",
    "unknown-alias",
    "unknown-code",
    "unknown-column",
    "unknown-dialect",
    "unknown-key",
    "unknown-table",
    "unknown-type",
    "unknown-value",
    "unknown-word",
    "unsupported-by-dialect",
    "values-not-total",
    "wrong-from",
    "wrong-type",
];

/// All pages, sorted by code.
pub fn codes() -> impl Iterator<Item = &'static Page> {
    PAGES.iter()
}

/// The page of a code.
pub fn explain(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code == code)
}

/// The code that someone who typed `typed` may have meant.
pub fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase().replace(['_', ' '], "-");
    let near = PAGES.iter().map(|page| (strsim::damerau_levenshtein(page.code, &typed), page.code)).min()?;
    if near.0 <= typed.chars().count().max(3) / 3 {
        return Some(near.1);
    }
    // A part of a code is what people remember of it.
    let mut parts = PAGES.iter().filter(|page| typed.len() >= 4 && page.code.contains(&typed));
    parts.next().map(|page| page.code)
}

/// The page of a code that a user asked for, or the error to show.
///
/// # Errors
/// When no page has that code; the error suggests a near one.
pub fn find(typed: &str) -> Result<&'static Page, Diagnostic> {
    explain(typed).ok_or_else(|| {
        let error = Diagnostic::error("unknown-code", format!("no error or hazard has the code `{typed}`"));
        match nearest(typed) {
            Some(code) => error.help(format!("did you mean `{code}`?")),
            None => error.help("`crossfade explain` lists all codes"),
        }
    })
}
