//! How long the scripts keep a client waiting: what may be, and what was seen.
//!
//! Invariant: what is judged is a wait for a lock of the script, as the server tells; what only the clock says is told and not
//! judged, since the machine may be slow.

use std::time::Duration;

use super::law::Law;
use super::{Broken, Stopped, Tally};
use crate::plan::model::Phase;
use crate::sql::Dialect;
use crate::sql::split::Statement;

/// How long a statement of a script may keep a client's write waiting for a lock: the lock timeout that the scripts set.
pub(super) fn budget(dialect: Dialect) -> Option<Duration> {
    match dialect {
        Dialect::Postgres => Some(Duration::from_millis(300)),
        // These servers count such waits in seconds.
        Dialect::Mysql | Dialect::Mariadb => Some(Duration::from_secs(1)),
        Dialect::Sqlite => None,
    }
}

/// From how long a wait on it is too long: a timer rings late on a busy machine.
pub(super) fn too_long(budget: Duration) -> Duration {
    budget * 2 + Duration::from_millis(200)
}

/// What is slow once may be the machine: it must be as slow as often as that.
const TRIALS: usize = 3;

/// Tries again as long as a wait was too long, a few times. Gives back what the last try found.
pub(super) fn tried(mut once: impl FnMut() -> Result<Vec<Broken>, Stopped>) -> Result<Vec<Broken>, Stopped> {
    let mut found = Vec::new();
    for _ in 0..TRIALS {
        found = once()?;
        if found.iter().all(|broken| broken.law != Law::LockBudget) {
            break;
        }
    }
    Ok(found)
}

/// What a stall was measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The clock of a client, from its statement to the answer.
    Clock,
    /// The server said that the client waited for a lock of the script.
    Lock,
}

/// The longest time that a client had to wait while a phase ran.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Stall {
    /// `expand`.
    pub phase: &'static str,
    /// What it was measured by.
    pub measure: Measure,
    /// How long it was.
    pub milliseconds: u64,
    /// The statement of the script that ran then, by its line.
    pub line: usize,
    /// How that statement begins.
    pub statement: String,
}

impl Tally {
    /// Keeps the longest one of each phase and measure.
    pub(super) fn stalled(&mut self, phase: Phase, measure: Measure, long: Duration, statement: &Statement) {
        let milliseconds = u64::try_from(long.as_millis()).unwrap_or(u64::MAX);
        let stall = Stall { phase: phase.name(), measure, milliseconds, line: statement.line, statement: beginning(statement) };
        self.keep_stall(stall);
    }

    pub(super) fn keep_stall(&mut self, stall: Stall) {
        match self.stalls.iter_mut().find(|known| (known.phase, known.measure) == (stall.phase, stall.measure)) {
            Some(known) if known.milliseconds < stall.milliseconds => *known = stall,
            Some(_) => {}
            None => self.stalls.push(stall),
        }
    }
}

/// How many characters of a statement are shown.
const SHOWN: usize = 60;

/// The first line of a statement, behind its comments.
pub(super) fn beginning(statement: &Statement) -> String {
    let line = statement.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("--")).unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::split::split_as;

    #[test]
    fn a_statement_is_shown_by_its_first_words() {
        let of = |text: &str| beginning(&split_as(Dialect::Postgres, text)[0]);
        assert_eq!(of("-- why\n\n  select 1\n  from t;"), "select 1");
        assert_eq!(of(&format!("select '{}';", "é".repeat(80))), format!("select '{} …", "é".repeat(52)));
    }

    #[test]
    fn the_longest_of_each_phase_is_kept() {
        let statement = &split_as(Dialect::Postgres, "select 1; select 2;")[1];
        let mut tally = Tally::default();
        for long in [3, 9, 4] {
            tally.stalled(Phase::Expand, Measure::Lock, Duration::from_millis(long), statement);
        }
        tally.stalled(Phase::Expand, Measure::Clock, Duration::from_millis(1), statement);
        let kept: Vec<(Measure, u64)> = tally.stalls.iter().map(|stall| (stall.measure, stall.milliseconds)).collect();
        assert_eq!(kept, [(Measure::Lock, 9), (Measure::Clock, 1)]);
    }
}
