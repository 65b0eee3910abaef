//! What a dialect says in its own words: the parts of a script, from its header to its last line.
//!
//! The scripts of all dialects are put together in one place (`script`); what stands here is all that differs.

use crate::plan::model::{Action, Finding, Footprint, Phase};

use super::{EmitError, Rendered};

/// What becomes of the grants of views that are dropped or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grants {
    /// The views are new, or go for good.
    Ignore,
    /// The views are dropped and made anew in one block: their grants carry over.
    Keep,
}

/// A script that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// A phase.
    Phase(Phase),
    /// The way back.
    Abort,
}

/// What the head of a script says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// What it does, in a sentence.
    pub(super) title: &'a str,
    /// Its file name.
    pub(super) file: &'a str,
    /// What must be true before it runs.
    pub(super) before: &'a str,
    /// What comes after it.
    pub(super) after: &'a str,
    /// The revisions that it brings about.
    pub(super) revisions: &'a str,
}

/// One line of `verify.sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check<'a> {
    /// What must agree.
    pub(super) what: String,
    /// Physical table.
    pub(super) table: &'a str,
    /// The physical columns that name a row.
    pub(super) key: &'a [String],
    /// What is compared: the two sides of a lens, or the rows of a mirror.
    pub(super) finding: &'a Finding,
    /// Whether it is looked at until migrate has ended only.
    pub(super) until_migrated: bool,
}

/// What a runner is told besides the scripts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// The backfills that go by ranges of a key.
    pub(super) backfills: Vec<super::live::Backfill>,
    /// What the two shapes must agree on.
    pub(super) checks: Vec<super::live::Check>,
    /// The tables that clients write to, where it can be told of which version they are.
    pub(super) tables: Vec<String>,
}

/// How a dialect says what a plan does. Texts have no line break at their ends.
pub(super) trait Renderer {
    /// The head: what the script is, how it is run, and the settings of its session.
    fn header(&self, header: &Header<'_>) -> Rendered;
    /// The version tables, and the conditions without which nothing is changed. In contract the plan's own gates follow.
    fn gates(&self, script: Script) -> Rendered;
    /// What a script does first, once all its gates are passed.
    fn begin(&self, _script: Script) -> Result<Option<String>, EmitError> {
        Ok(None)
    }
    /// What a step locks and how long, in the comment before it.
    fn cost(&self, footprint: &Footprint) -> String;
    /// The statements of a step.
    fn apply(&self, action: &Action, grants: Grants) -> Rendered;
    /// The statements that take a step back before contract; `None` where nothing is left to take back. `unit` is the step's.
    fn undo(&self, action: &Action, unit: &str) -> Result<Option<String>, EmitError>;
    /// The rows that would keep abort from restoring a rule that expand took away.
    fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError>;
    /// Whether the steps of a unit are one block that the journal marks.
    fn is_once(&self, unit: &str) -> bool;
    /// Such a block, of statements with their comments.
    fn once(&self, unit: &str, body: &str) -> Rendered;
    /// Statements with their comments that take effect together.
    fn together(&self, body: &str) -> Rendered;
    /// The mark of a revision that is through.
    fn mark(&self, phase: Phase, revision: &str) -> Rendered;
    /// The last statements: the phase is through.
    fn finish(&self, script: Script) -> Rendered;
    /// The body of `verify.sql`.
    fn verify(&self, checks: &[Check<'_>]) -> Rendered;
    /// What a runner is told besides the scripts; nothing where there is no runner yet.
    fn live(&self, _checks: &[Check<'_>]) -> Live {
        Live::default()
    }
}
