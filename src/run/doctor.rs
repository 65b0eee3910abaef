//! What would stop a phase, or surprise somebody during one, looked for before its first statement.

use super::Stopped;
use super::engine::Engine;
use super::phase::open;
use crate::emit::program::{Program, code};
use crate::engine::Failure;

/// A transaction as old as this is told, in seconds.
pub const OLD_TRANSACTION: f64 = 60.0;

/// Something that would stop a phase, or surprise somebody.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ailment {
    /// `error`: a phase would stop. `warning`: somebody should know.
    pub level: String,
    /// What kind it is.
    pub code: String,
    /// Where.
    pub object: String,
    /// What it means.
    pub message: String,
}

/// Looks at a database with the rights and the settings that the scripts of a program would run with. It only reads.
///
/// # Errors
/// When the server can't be asked.
pub fn examine(engine: &dyn Engine, program: &Program, old_transaction: f64) -> Result<Vec<Ailment>, Stopped> {
    let mut session = open(engine, "crossfade doctor")?;
    let read = |failure: Failure| Stopped::by(engine, "the database can't be examined", &failure);
    // The schema is the one that the scripts name.
    for unit in program.units(&program.scripts.verify).iter().filter(|unit| unit.is_setting()) {
        for statement in &unit.statements {
            session.run(statement).map_err(read)?;
        }
    }
    let mut rows = Vec::new();
    for (number, question) in engine.words().doctor.iter().enumerate() {
        match session.run_with(question, &[Some(&old_transaction.to_string())]) {
            Ok(outcome) => rows.extend(outcome.rows),
            Err(failure) if number == 0 => return Err(read(failure)),
            // The first one has said which right is missing.
            Err(_) => {}
        }
    }
    let makes_triggers = code(&program.scripts.expand).contains("create trigger");
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            Ailment { level: next(), code: next(), object: next(), message: next() }
        })
        .filter(|ailment| makes_triggers || ailment.code != "binary-log")
        .collect())
}
