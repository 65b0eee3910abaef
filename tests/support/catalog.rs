//! The whole schema of a database as ordered lines of text: what two databases must share to be called equal.

use crossfade::engine::Failure;

use super::engine::{Inspect, Part};
use super::text::same;

/// One line for every fact of the catalog, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    lines: Vec<(Part, String)>,
}

impl Catalog {
    /// Reads everything but the server's own schemas.
    pub fn read(session: &mut impl Inspect) -> Result<Self, Failure> {
        let mut lines = session.catalog()?;
        lines.sort();
        Ok(Self { lines })
    }

    /// Everything.
    pub fn all(&self) -> String {
        self.select(|_| true)
    }

    /// Everything but what is crossfade's own.
    pub fn product(&self) -> String {
        self.select(|part| part == Part::Product)
    }

    /// What there is of crossfade's own beyond the version tables and the view that clients read.
    pub fn leftovers(&self) -> Vec<String> {
        self.lines.iter().filter(|(part, _)| *part == Part::Helper).map(|(_, line)| line.clone()).collect()
    }

    /// It without the lines that start with one of these.
    pub fn without(&self, starts: &[&String]) -> Self {
        let keep = |line: &String| !starts.iter().any(|start| line.starts_with(*start));
        Self { lines: self.lines.iter().filter(|(_, line)| keep(line)).cloned().collect() }
    }

    fn select(&self, keep: impl Fn(Part) -> bool) -> String {
        let mut text = String::new();
        for (part, line) in &self.lines {
            if keep(*part) {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// Fails with a unified diff when the two differ outside of what is crossfade's own.
    pub fn must_equal(&self, expected: &Catalog, what: &str) -> Result<(), String> {
        same(what, &expected.product(), &self.product())
    }
}
