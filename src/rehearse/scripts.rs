//! The laws of the scripts themselves, while nobody writes: out of turn, twice, and killed.

use super::held;
use super::law::Law;
use super::place::Database;
use super::shape::Side;
use super::world::{Rows, open_after};
use super::{Broken, Lab, Stopped, Tally};
use crate::engine::{Connection, Failure};
use crate::plan::model::Phase;
use crate::run::Task;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// Checks them on a database of the old version with these rows. Gives back what is broken.
pub(super) fn laws(lab: &Lab<'_>, rows: &[Rows], tally: &mut Tally, seed: u64) -> Result<Vec<Broken>, Stopped> {
    let mut broken = Vec::new();
    let start = lab.copy(&lab.old)?;
    fill(lab, &start, rows)?;
    let mut states = vec![start];
    for phase in Phase::ALL {
        let Some(last) = states.last() else { break };
        let database = lab.copy(last)?;
        if let Err((line, failure)) = run(lab, &database, Task::Phase(phase))? {
            if phase != Phase::Expand && lab.has_late_rules() {
                return Ok(broken);
            }
            broken.push(lab.broken_script(Law::End, phase.name(), "the phase ends", &format!("line {line}: {failure}")));
            return Ok(broken);
        }
        states.push(database);
    }
    let [before, expanded, migrated, contracted] = states.as_slice() else { return Ok(broken) };
    for (when, database, task) in [
        ("before expand", before, Task::Phase(Phase::Migrate)),
        ("before expand", before, Task::Phase(Phase::Contract)),
        ("before migrate", expanded, Task::Phase(Phase::Contract)),
        ("after contract", contracted, Task::Abort),
    ] {
        tally.hold(Law::Gate, 0);
        let copy = lab.copy(database)?;
        let held = everything(lab, &copy)?;
        if run(lab, &copy, task)?.is_ok() {
            broken.push(lab.broken_script(Law::Gate, task.name(), &format!("{when} it refuses"), "it did not refuse"));
        }
        broken.extend(same(lab, Law::Gate, task, &format!("{when} it changes nothing"), &held, &everything(lab, &copy)?));
    }
    let done = [(before, expanded, Phase::Expand), (expanded, migrated, Phase::Migrate), (migrated, contracted, Phase::Contract)];
    for (_, after, phase) in done {
        tally.hold(Law::Resume, 0);
        let copy = lab.copy(after)?;
        let held = everything(lab, &copy)?;
        if let Err((line, failure)) = run(lab, &copy, Task::Phase(phase))?
            && !lab.place.second_run_may_refuse()
        {
            broken.push(lab.broken_script(Law::Resume, phase.name(), "a second run does nothing", &format!("line {line}: {failure}")));
        }
        broken.extend(same(lab, Law::Resume, Task::Phase(phase), "a second run changes nothing", &held, &everything(lab, &copy)?));
    }
    for (before, after, phase) in done {
        let wanted = everything(lab, after)?;
        kill(lab, before, Task::Phase(phase), &wanted, tally, &mut broken, seed)?;
        broken.extend(held::laws(lab, before, phase, &wanted, tally)?);
    }
    // The way back, run twice and killed, from either state.
    for (when, database) in [("expand", expanded), ("migrate", migrated)] {
        let copy = lab.copy(database)?;
        tally.hold(Law::Abort, 0);
        if let Err((line, failure)) = run(lab, &copy, Task::Abort)? {
            broken.push(lab.broken_script(Law::Abort, "abort", &format!("it takes {when} back"), &format!("line {line}: {failure}")));
            continue;
        }
        if let Err(super::Trouble::Broken(found)) = lab.must_be_old(copy.connect()?.as_mut()) {
            broken.push(found);
        }
        let wanted = everything(lab, &copy)?;
        kill(lab, database, Task::Abort, &wanted, tally, &mut broken, seed)?;
        if let Err((line, failure)) = run(lab, &copy, Task::Phase(Phase::Expand))? {
            broken.push(lab.broken_script(
                Law::Abort,
                "expand",
                &format!("it works again after {when} and abort"),
                &format!("line {line}: {failure}"),
            ));
        }
    }
    Ok(broken)
}

/// Each kill that leaves another state behind, up to a number of them: the phase is run again and ends where it should.
fn kill(
    lab: &Lab<'_>,
    before: &Database<'_>,
    task: Task,
    wanted: &[String],
    tally: &mut Tally,
    broken: &mut Vec<Broken>,
    seed: u64,
) -> Result<(), Stopped> {
    let statements = lab.statements(task);
    let open = open_after(&statements);
    let points: Vec<usize> = (1..statements.len())
        .filter(|k| {
            let last_before_commit = open[k - 1] && !open.get(*k).copied().unwrap_or(false);
            last_before_commit || !open[k - 1]
        })
        .collect();
    let every = points.len().div_ceil(lab.kills.max(1)).max(1);
    let first = usize::try_from(seed).unwrap_or(0) % every;
    for k in points.into_iter().skip(first).step_by(every) {
        tally.hold(Law::Resume, 0);
        let copy = lab.copy(before)?;
        let mut session = copy.connect()?;
        for statement in statements.iter().take(k) {
            session.run(&statement.text)?;
        }
        drop(session);
        let what = format!("killed after line {} and run again, it ends in the same place", statements[k - 1].line);
        match run(lab, &copy, task)? {
            Ok(()) => broken.extend(same(lab, Law::Resume, task, &what, wanted, &everything(lab, &copy)?)),
            Err((line, failure)) => broken.push(lab.broken_script(Law::Resume, task.name(), &what, &format!("line {line}: {failure}"))),
        }
        if broken.len() > 4 {
            break;
        }
    }
    Ok(())
}

/// Runs a script; the error is the line and the refusal.
fn run(lab: &Lab<'_>, database: &Database<'_>, task: Task) -> Result<Result<(), (usize, Failure)>, Stopped> {
    let mut session = database.connect()?;
    for statement in &lab.statements(task) {
        if let Err(failure) = session.run(&statement.text) {
            return Ok(Err((statement.line, failure)));
        }
    }
    Ok(Ok(()))
}

/// The rows of a history, in a plain database.
pub(super) fn fill(lab: &Lab<'_>, database: &Database<'_>, rows: &[Rows]) -> Result<(), Stopped> {
    let mut session = database.client(None)?;
    let [aside, back] = lab.place.set_references_aside();
    session.run(aside)?;
    for (pair, rows) in lab.pairs.iter().zip(rows) {
        let Some(view) = pair.view(Side::Old) else { continue };
        let writable: Vec<usize> = (0..view.columns.len()).filter(|at| view.columns[*at].generated.is_none()).collect();
        for row in rows.values() {
            session.run(&lab.insert(&ident(&view.table.name, lab.dialect), view, &writable, &|at| row[at].clone()))?;
        }
    }
    session.run(back)?;
    Ok(())
}

/// The catalog, the rows, and where the upgrade stands.
pub(super) fn everything(lab: &Lab<'_>, database: &Database<'_>) -> Result<Vec<String>, Stopped> {
    let mut session = database.connect()?;
    let mut lines: Vec<String> = lab.place.catalog(session.as_mut())?.into_iter().map(|(_, line)| line).collect();
    let mut masked: Vec<&str> = Vec::new();
    for pair in &lab.pairs {
        for view in [&pair.old, &pair.new].into_iter().flatten() {
            masked.extend(view.columns.iter().zip(&view.masked).filter(|(_, masked)| **masked).map(|(column, _)| column.name.as_str()));
        }
    }
    lines.extend(lab.place.rows(session.as_mut(), &masked)?);
    lines.extend(stands(lab.dialect, session.as_mut()));
    Ok(lines)
}

fn stands(dialect: Dialect, session: &mut dyn Connection) -> Vec<String> {
    let view = if dialect == Dialect::Postgres { "crossfade.version" } else { "crossfade_version" };
    // Before the first upgrade there is no such view.
    let rows = session
        .run(&format!("select old_version, new_version, phase, revision from {view}"))
        .map(|outcome| outcome.rows)
        .unwrap_or_default();
    rows.into_iter().map(|row| format!("version {row:?}")).collect()
}

pub(super) fn same(lab: &Lab<'_>, law: Law, task: Task, what: &str, wanted: &[String], found: &[String]) -> Option<Broken> {
    if wanted == found {
        return None;
    }
    let less = |a: &[String], b: &[String]| {
        let lines: Vec<&str> = a.iter().filter(|line| !b.contains(line)).map(String::as_str).collect();
        if lines.is_empty() { "nothing more".to_owned() } else { lines.join("\n") }
    };
    let mut broken = lab.broken_script(law, task.name(), &less(wanted, found), &less(found, wanted));
    broken.what = format!("{}: {what}", broken.what);
    Some(broken)
}
