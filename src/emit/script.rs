//! The five scripts of a plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::plan::model::{Action, Finding, MirrorSide, Phase, Plan, Step, TwinStage};

use super::templates::Templates;
use super::{Check, EmitError, Grants, Header, Live, Renderer, Script, renderer};

/// The scripts of one plan, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    /// `expand.sql`.
    pub expand: String,
    /// `migrate.sql`.
    pub migrate: String,
    /// `contract.sql`.
    pub contract: String,
    /// `abort.sql`.
    pub abort: String,
    /// `verify.sql`.
    pub verify: String,
}

impl Scripts {
    /// File names and texts, in the order of a run.
    pub fn files(&self) -> [(&'static str, &str); 5] {
        [
            ("expand.sql", &self.expand),
            ("migrate.sql", &self.migrate),
            ("contract.sql", &self.contract),
            ("abort.sql", &self.abort),
            ("verify.sql", &self.verify),
        ]
    }
}

/// Renders the scripts of a plan.
///
/// # Errors
/// Only when a template does not fit: a fault of crossfade.
pub fn scripts(plan: &Plan) -> Result<Scripts, EmitError> {
    let templates = Templates::new();
    let writer = Writer { plan, says: renderer(plan, &templates)? };
    Ok(Scripts {
        expand: writer.phase(Phase::Expand)?,
        migrate: writer.phase(Phase::Migrate)?,
        contract: writer.phase(Phase::Contract)?,
        abort: writer.abort()?,
        verify: writer.verify()?,
    })
}

struct Writer<'a> {
    plan: &'a Plan,
    says: Box<dyn Renderer + 'a>,
}

impl Writer<'_> {
    fn phase(&self, phase: Phase) -> Result<String, EmitError> {
        let plan = self.plan;
        let Words { title, before, after } = words(plan, Script::Phase(phase));
        let mut out = self.says.header(&Header {
            title: &title,
            file: &format!("{}.sql", phase.name()),
            before: &before,
            after: &after,
            revisions: &format!("{} to {}", plan.revision(phase, 1), plan.last_revision(phase)),
        })?;
        let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == phase).collect();
        let (gates, steps): (Vec<&Step>, Vec<&Step>) = steps.into_iter().partition(|step| is_gate(phase, &step.action));
        section(&mut out, "Gates", "");
        out.push_str(&self.says.gates(Script::Phase(phase))?);
        out.push('\n');
        for step in gates {
            self.step(&mut out, step)?;
        }
        if let Some(text) = self.says.begin(Script::Phase(phase))? {
            let _ = write!(out, "\n{text}\n");
        }
        let by_change = by_change(steps);
        for change in &plan.changes {
            let revision = plan.revision(phase, change.number);
            section(&mut out, &revision, &change.title);
            let mine = by_change.get(&change.number).map_or(&[] as &[_], Vec::as_slice);
            if mine.is_empty() {
                out.push_str("-- Nothing to do in this phase.\n");
            }
            self.steps(&mut out, mine)?;
            out.push('\n');
            out.push_str(&self.says.mark(phase, &revision)?);
            out.push('\n');
        }
        section(&mut out, "Done", "");
        out.push_str(&self.says.finish(Script::Phase(phase))?);
        out.push('\n');
        Ok(out)
    }

    /// Steps in order; those of a unit together.
    fn steps(&self, out: &mut String, steps: &[&Step]) -> Result<(), EmitError> {
        for unit in steps.chunk_by(|a, b| a.unit.is_some() && a.unit == b.unit) {
            match unit {
                [first, ..] if first.unit.as_deref().is_some_and(|unit| self.says.is_once(unit)) => self.once(out, unit)?,
                [step] if step.unit.is_none() => self.step(out, step)?,
                steps => {
                    let mut body = String::new();
                    for step in steps {
                        self.step(&mut body, step)?;
                    }
                    let _ = write!(out, "\n{}\n", self.says.together(&body)?);
                }
            }
        }
        Ok(())
    }

    fn step(&self, out: &mut String, step: &Step) -> Result<(), EmitError> {
        let _ = write!(out, "\n{}", comment(step, &self.says.cost(&step.footprint), ""));
        out.push_str(&self.says.apply(&step.action, Grants::Ignore)?);
        out.push('\n');
        Ok(())
    }

    fn once(&self, out: &mut String, unit: &[&Step]) -> Result<(), EmitError> {
        let Some(name) = unit.first().and_then(|step| step.unit.as_deref()) else { return Ok(()) };
        let in_swap = name.contains(".swap");
        let has_old_views = unit.iter().any(|step| matches!(step.action, Action::DropViews { .. }) && step.id.contains(".drop_views."));
        let mut body = String::new();
        for step in unit {
            let _ = write!(body, "\n{}", comment(step, &self.says.cost(&step.footprint), "  "));
            let grants = if in_swap && has_old_views && is_remade(step, unit) { Grants::Keep } else { Grants::Ignore };
            let text = self.says.apply(&step.action, grants)?;
            for line in text.lines() {
                let _ = writeln!(body, "{}{line}", if line.is_empty() { "" } else { "  " });
            }
        }
        let _ = write!(out, "\n{}\n", self.says.once(name, &body)?);
        Ok(())
    }

    fn abort(&self) -> Result<String, EmitError> {
        let plan = self.plan;
        let Words { title, before, after } = words(plan, Script::Abort);
        let mut out = self.says.header(&Header {
            title: &title,
            file: "abort.sql",
            before: &before,
            after: &after,
            revisions: &format!("{}, {}", plan.last_revision(Phase::Migrate), plan.last_revision(Phase::Expand)),
        })?;
        section(&mut out, "Gates", "");
        out.push_str(&self.says.gates(Script::Abort)?);
        out.push('\n');
        let undone: Vec<&Step> = plan.steps.iter().rev().filter(|step| step.phase != Phase::Contract).collect();
        for step in undone.iter().rev() {
            if let Some(text) = self.says.abort_gate(&step.action)? {
                let _ = write!(out, "\n-- {}: the rule comes back, so its rows must allow it.\n{text}\n", step.object);
            }
        }
        if let Some(text) = self.says.begin(Script::Abort)? {
            let _ = write!(out, "\n{text}\n");
        }
        let by_change = by_change(undone);
        for change in plan.changes.iter().rev() {
            section(
                &mut out,
                &format!("{}, {}", plan.revision(Phase::Migrate, change.number), plan.revision(Phase::Expand, change.number)),
                &change.title,
            );
            let mine = by_change.get(&change.number).map_or(&[] as &[_], Vec::as_slice);
            let mut any = false;
            for unit in mine.chunk_by(|a, b| a.unit.is_some() && a.unit == b.unit) {
                let mut texts = Vec::new();
                for step in unit {
                    let once = step.unit.as_deref().unwrap_or_default();
                    if let Some(text) = self.says.undo(&step.action, once)? {
                        texts.push(format!("-- Takes back: {}\n{text}\n", headline(step)));
                    }
                }
                if texts.is_empty() {
                    continue;
                }
                any = true;
                if texts.len() > 1 {
                    let _ = write!(out, "\n{}\n", self.says.together(&format!("\n{}", texts.join("\n")))?);
                } else {
                    let _ = write!(out, "\n{}", texts.concat());
                }
            }
            if !any {
                out.push_str("\n-- Nothing to take back.\n");
            }
        }
        section(&mut out, "Done", "");
        out.push_str(&self.says.finish(Script::Abort)?);
        out.push('\n');
        Ok(out)
    }

    fn verify(&self) -> Result<String, EmitError> {
        let plan = self.plan;
        let mut text = match &plan.old_version {
            Some(old) => format!("-- verify {old} -> {}\n--\n", plan.new_version),
            None => format!("-- verify {}\n--\n", plan.new_version),
        };
        text.push_str(&self.says.verify(&checks(plan))?);
        text.push('\n');
        Ok(text)
    }
}

/// Whether a step only looks, and comes before the script changes anything.
fn is_gate(phase: Phase, action: &Action) -> bool {
    match action {
        Action::CheckRows { .. } => phase == Phase::Contract,
        Action::Twin(stage, _) => *stage == TwinStage::Look,
        _ => false,
    }
}

/// What the head of a script says in words.
struct Words {
    /// What it does, in a line.
    title: String,
    /// What must be true before it runs.
    before: String,
    /// What is true, or to be done, behind it.
    after: String,
}

fn words(plan: &Plan, script: Script) -> Words {
    let new = &plan.new_version;
    let (title, before, after) = match (script, &plan.old_version) {
        (Script::Phase(Phase::Expand), Some(old)) => (
            format!("expand {old} -> {new}: adds what version {new} needs, and keeps both shapes in step. Version {old} does not notice."),
            format!("the database is at version {old}, and no other upgrade is half done"),
            "run migrate.sql; abort.sql takes it back".to_owned(),
        ),
        (Script::Phase(Phase::Expand), None) => (
            format!("expand {new}: a first installation. Makes all that version {new} needs."),
            "the database is at no version".to_owned(),
            "run migrate.sql; abort.sql takes it back".to_owned(),
        ),
        (Script::Phase(Phase::Migrate), Some(old)) => (
            format!(
                "migrate {old} -> {new}: fills the new shape for the rows that were there before, and builds what version {new} relies on."
            ),
            "expand.sql has finished".to_owned(),
            format!("start version {new}, stop version {old}, in any order; abort.sql still takes it back"),
        ),
        (Script::Phase(Phase::Migrate), None) => (
            format!("migrate {new}: a first installation. There are no rows to fill; what is left to build is built."),
            "expand.sql has finished".to_owned(),
            format!("start version {new}, and run contract.sql; abort.sql still takes it back, rows and all"),
        ),
        (Script::Phase(Phase::Contract), Some(old)) => (
            format!("contract {old} -> {new}: takes away what only version {old} used. There is no way back."),
            format!("migrate.sql has finished, and no client of version {old} is left"),
            format!("the database is at version {new}"),
        ),
        (Script::Phase(Phase::Contract), None) => (
            format!("contract {new}: ends a first installation. There is nothing to take away, and no way back."),
            "migrate.sql has finished".to_owned(),
            format!("the database is at version {new}, and an upgrade can start from it"),
        ),
        (Script::Abort, Some(old)) => (
            format!("abort {old} -> {new}: takes a half-done upgrade back to version {old}."),
            format!("contract.sql has not begun, and no client of version {new} is left"),
            format!("the database is at version {old}; expand.sql works again"),
        ),
        (Script::Abort, None) => (
            format!("abort {new}: takes a half-done first installation back, and all rows with it."),
            format!("contract.sql has not begun, and no client of version {new} is left"),
            "the database is at no version; expand.sql works again".to_owned(),
        ),
    };
    Words { title, before, after }
}

/// What a runner is told besides the scripts of a plan.
///
/// # Errors
/// As [`scripts`].
pub(super) fn live(plan: &Plan) -> Result<Live, EmitError> {
    let templates = Templates::new();
    Ok(renderer(plan, &templates)?.live(&checks(plan)))
}

/// What `verify` counts: what two versions must agree on by the end of migrate.
fn checks(plan: &Plan) -> Vec<Check<'_>> {
    let names = |columns: &[crate::plan::model::SyncColumn]| columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
    let agreements = |phase: Phase| {
        plan.steps.iter().filter(move |step| step.phase == phase).filter_map(|step| match &step.action {
            Action::CheckRows { table, key, finding: finding @ (Finding::Disagree(_) | Finding::Unlike(..)), .. } => {
                Some((table.as_str(), key.as_slice(), finding))
            }
            _ => None,
        })
    };
    let mut in_contract: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for (table, _, finding) in agreements(Phase::Contract) {
        in_contract.entry(table).or_default().push(finding);
    }
    agreements(Phase::Migrate)
        .map(|(table, key, finding)| {
            let what = match finding {
                Finding::Disagree(lens) => match (lens.old.is_empty(), lens.new.is_empty()) {
                    (false, false) => format!("{table}: {} <-> {}", names(&lens.old), names(&lens.new)),
                    (true, _) => format!("{table}: {}", names(&lens.new)),
                    (_, true) => format!("{table}: {}", names(&lens.old)),
                },
                Finding::Unlike(mirror, MirrorSide::Source) => format!("{table}: images in {}", mirror.target),
                Finding::Unlike(mirror, MirrorSide::Target) => format!("{table}: images of {}", mirror.source),
                Finding::Null(_) | Finding::Check(..) | Finding::Orphan(_) | Finding::Duplicate { .. } => table.to_owned(),
            };
            // What contract looks at no more is the new version's word from the end of migrate on.
            let until_migrated =
                matches!(finding, Finding::Disagree(_)) && !in_contract.get(table).is_some_and(|findings| findings.contains(&finding));
            let what = if until_migrated { format!("{what} (until migrate has ended)") } else { what };
            Check { what, table, key, finding, until_migrated }
        })
        .collect()
}

/// The line above and below the head of a section.
pub(super) const RULE: usize = 100;

fn section(out: &mut String, name: &str, title: &str) {
    let head = if title.is_empty() { name.to_owned() } else { format!("{name}: {title}") };
    let _ = write!(out, "\n\n-- {}\n-- {head}\n-- {}\n", "=".repeat(RULE), "=".repeat(RULE));
    if name == "Gates" {
        out.push('\n');
    }
}

/// The steps of each change, in the order in which they come.
fn by_change(steps: Vec<&Step>) -> BTreeMap<usize, Vec<&Step>> {
    let mut by_change: BTreeMap<usize, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        by_change.entry(step.change).or_default().push(step);
    }
    by_change
}

/// Whether a step of a swap drops views that are made anew in it, or makes one of them.
fn is_remade(step: &Step, unit: &[&Step]) -> bool {
    let dropped = |name: &str, schema: &str| {
        unit.iter().any(|other| match &other.action {
            Action::DropViews { views, .. } => views.iter().any(|(s, n)| s == schema && n == name),
            _ => false,
        })
    };
    match &step.action {
        Action::CreateView(view) => dropped(&view.name, &view.schema),
        Action::DropViews { views, .. } => unit.iter().any(|other| match &other.action {
            Action::CreateView(view) => views.iter().any(|(s, n)| *s == view.schema && *n == view.name),
            _ => false,
        }),
        _ => false,
    }
}

/// What is done, in a few words.
fn headline(step: &Step) -> String {
    format!("{} {}", step.kind(), step.object)
}

/// The comment of a step: why it is there, what it locks and how long.
fn comment(step: &Step, cost: &str, indent: &str) -> String {
    let mut text = wrap(&step.why, indent);
    text.push_str(&wrap(cost, indent));
    text
}

/// Text as comment lines of at most 118 characters.
fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = format!("{indent}--");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 118 {
            out.push_str(&line);
            out.push('\n');
            line = format!("{indent}--");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
    out
}
