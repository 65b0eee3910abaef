//! The five scripts of a plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use minijinja::context;

use crate::dialect::expression::Row;
use crate::plan::model::{Action, ColumnSpec, Phase, Plan, Step};
use crate::snapshot::model::Access;

use super::action::{Actions, Grants};
use super::templates::Templates;
use super::{EmitError, expressions, lenses};

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
    let sql = expressions(plan);
    let writer = Writer { plan, templates: &templates, actions: Actions { templates: &templates, sql, release: &plan.release } };
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
    templates: &'a Templates,
    actions: Actions<'a>,
}

/// Whether a unit is done in one block, once, with an entry in the journal.
fn is_once(unit: &str) -> bool {
    [".swap", ".alter_type.", ".identity."].iter().any(|part| unit.contains(part))
}

impl Writer<'_> {
    fn render(&self, name: &str, context: minijinja::Value) -> Result<String, EmitError> {
        self.templates.render(&format!("postgres/{name}"), context)
    }

    fn literal(&self, text: &str) -> String {
        self.actions.sql.literal(text)
    }

    fn header(&self, file: &str, title: &str, before: &str, after: &str, revisions: &str) -> Result<String, EmitError> {
        let plan = self.plan;
        let access = match plan.access {
            Access::Shared => "shared: both versions use one namespace".to_owned(),
            Access::Versioned => format!("versioned: version {} uses namespace {}", plan.new_version, plan.namespace(&plan.new_version)),
        };
        self.render(
            "header",
            context! {
                title,
                file,
                before,
                after,
                revisions,
                access,
                old => plan.old_version.as_deref().unwrap_or("nothing: a first installation"),
                new => plan.new_version.as_str(),
                schema => self.actions.sql.ident(&plan.schema),
            },
        )
    }

    fn phase(&self, phase: Phase) -> Result<String, EmitError> {
        let plan = self.plan;
        let new = &plan.new_version;
        let old = plan.old_version.as_deref().unwrap_or("nothing");
        let (title, before, after) = match phase {
            Phase::Expand => (
                format!(
                    "expand {old} -> {new}: adds what version {new} needs, and keeps both shapes in step. Version {old} does not notice."
                ),
                format!("the database is at version {old}, and no other upgrade is half done"),
                "run migrate.sql; abort.sql takes it back".to_owned(),
            ),
            Phase::Migrate => (
                format!(
                    "migrate {old} -> {new}: fills the new shape for the rows that were there before, and builds what version {new} relies on."
                ),
                "expand.sql has finished".to_owned(),
                format!("start version {new}, stop version {old}, in any order; abort.sql still takes it back"),
            ),
            Phase::Contract => (
                format!("contract {old} -> {new}: takes away what only version {old} used. There is no way back."),
                format!("migrate.sql has finished, and no client of version {old} is left"),
                format!("the database is at version {new}"),
            ),
        };
        let mut out = self.header(
            &format!("{}.sql", phase.name()),
            &title,
            &before,
            &after,
            &format!("{} to {}", plan.revision(phase, 1), plan.last_revision(phase)),
        )?;
        let last = self.literal(&plan.last_revision(phase));
        let release = self.literal(&plan.release);
        let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == phase).collect();
        let (gates, steps): (Vec<&Step>, Vec<&Step>) =
            steps.into_iter().partition(|step| phase == Phase::Contract && matches!(step.action, Action::CheckRows { .. }));
        self.section(&mut out, "Gates", "");
        out.push_str(&self.render("version_tables", context! {})?);
        out.push_str("\n\n");
        out.push_str(&self.gate(phase)?);
        out.push('\n');
        for step in gates {
            self.step(&mut out, step)?;
        }
        let by_change = by_change(steps);
        for change in &plan.changes {
            let revision = plan.revision(phase, change.number);
            self.section(&mut out, &revision, &change.title);
            let mine = by_change.get(&change.number).map_or(&[] as &[_], Vec::as_slice);
            if mine.is_empty() {
                out.push_str("-- Nothing to do in this phase.\n");
            }
            self.steps(&mut out, mine)?;
            out.push('\n');
            out.push_str(&self.render(
                "mark",
                context! { phase => phase.name(), revision => self.literal(&revision), release => release.as_str(), last => last.as_str() },
            )?);
            out.push('\n');
        }
        self.section(&mut out, "Done", "");
        let before = match phase {
            Phase::Expand => "begun",
            Phase::Migrate => "expand",
            Phase::Contract => "migrate",
        };
        out.push_str(&self.render("finish", context! { phase => phase.name(), before, release })?);
        out.push('\n');
        Ok(out)
    }

    fn gate(&self, phase: Phase) -> Result<String, EmitError> {
        let plan = self.plan;
        let release = self.literal(&plan.release);
        match phase {
            Phase::Expand => {
                let mut tables: Vec<&str> = plan
                    .steps
                    .iter()
                    .filter_map(|step| match &step.action {
                        Action::AddColumns { table, .. }
                        | Action::DropNotNull { table, .. }
                        | Action::AlterType { table, .. }
                        | Action::SetDefault { table, .. }
                        | Action::AlterIdentity { table, .. }
                        | Action::AddIdentity { table, .. }
                        | Action::DropIdentity { table, .. }
                        | Action::DropTable { table } => Some(table.as_str()),
                        Action::RenameTable { from, .. } => Some(from.as_str()),
                        _ => None,
                    })
                    .collect();
                tables.sort_unstable();
                tables.dedup();
                let tables: Vec<_> = tables
                    .into_iter()
                    .map(|table| {
                        let name = self.actions.sql.table(table);
                        context! { literal => self.literal(&name), message => name.replace('\'', "''").replace('%', "%%") }
                    })
                    .collect();
                self.render(
                    "gate_expand",
                    context! {
                        release,
                        old_version => plan.old_version.as_ref().map(|v| self.literal(v)),
                        old_release => self.literal(&plan.old_release),
                        new_version => self.literal(&plan.new_version),
                        changes => plan.changes.len(),
                        has_virtual => has_virtual(plan),
                        tables,
                    },
                )
            }
            Phase::Migrate => self.render("gate_migrate", context! { release }),
            Phase::Contract => self.render("gate_contract", context! { release }),
        }
    }

    /// Steps in order; those of a unit between BEGIN and COMMIT, or in one block.
    fn steps(&self, out: &mut String, steps: &[&Step]) -> Result<(), EmitError> {
        for unit in steps.chunk_by(|a, b| a.unit.is_some() && a.unit == b.unit) {
            match unit {
                [first, ..] if first.unit.as_deref().is_some_and(is_once) => self.once(out, unit)?,
                [step] if step.unit.is_none() => self.step(out, step)?,
                steps => {
                    out.push_str("\nbegin;\n");
                    for step in steps {
                        self.step(out, step)?;
                    }
                    out.push_str("\ncommit;\n");
                }
            }
        }
        Ok(())
    }

    fn step(&self, out: &mut String, step: &Step) -> Result<(), EmitError> {
        let _ = write!(out, "\n{}", comment(step, ""));
        out.push_str(&self.actions.apply(&step.action, Grants::Ignore)?);
        out.push('\n');
        Ok(())
    }

    fn once(&self, out: &mut String, unit: &[&Step]) -> Result<(), EmitError> {
        let Some(name) = unit.first().and_then(|step| step.unit.as_deref()) else { return Ok(()) };
        let in_swap = name.contains(".swap");
        let has_old_views = unit.iter().any(|step| matches!(step.action, Action::DropViews { .. }) && step.id.contains(".drop_views."));
        let mut body = String::new();
        for step in unit {
            let _ = write!(body, "\n{}", comment(step, "  "));
            let grants = if in_swap && has_old_views && is_remade(step, unit) { Grants::Keep } else { Grants::Ignore };
            let text = self.actions.apply(&step.action, grants)?;
            for line in text.lines() {
                let _ = writeln!(body, "{}{line}", if line.is_empty() { "" } else { "  " });
            }
        }
        out.push('\n');
        out.push_str(&self.render("once", context! { release => self.literal(&self.plan.release), step => self.literal(name), body })?);
        out.push('\n');
        Ok(())
    }

    fn section(&self, out: &mut String, name: &str, title: &str) {
        let head = if title.is_empty() { name.to_owned() } else { format!("{name}: {title}") };
        let _ = write!(out, "\n\n-- {}\n-- {head}\n-- {}\n", "=".repeat(100), "=".repeat(100));
        if name == "Gates" {
            out.push('\n');
        }
    }

    fn abort(&self) -> Result<String, EmitError> {
        let plan = self.plan;
        let old = plan.old_version.as_deref().unwrap_or("nothing");
        let mut out = self.header(
            "abort.sql",
            &format!("abort {old} -> {new}: takes a half-done upgrade back to version {old}.", new = plan.new_version),
            &format!("contract.sql has not begun, and no client of version {} is left", plan.new_version),
            &format!("the database is at version {old}; expand.sql works again"),
            &format!("{}, {}", plan.last_revision(Phase::Migrate), plan.last_revision(Phase::Expand)),
        )?;
        self.section(&mut out, "Gates", "");
        let release = self.literal(&plan.release);
        out.push_str(&self.render("version_tables", context! {})?);
        out.push_str("\n\n");
        out.push_str(&self.render("gate_abort", context! { release => release.as_str() })?);
        out.push('\n');
        let undone: Vec<&Step> = plan.steps.iter().rev().filter(|step| step.phase != Phase::Contract).collect();
        for step in undone.iter().rev() {
            if let Some(text) = self.actions.abort_gate(&step.action)? {
                let _ = write!(out, "\n-- {}: the rule comes back, so its rows must allow it.\n{text}\n", step.object);
            }
        }
        let by_change = by_change(undone);
        for change in plan.changes.iter().rev() {
            self.section(
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
                    if let Some(text) = self.actions.undo(&step.action, once)? {
                        texts.push(format!("-- Takes back: {}\n{text}\n", headline(step)));
                    }
                }
                if texts.is_empty() {
                    continue;
                }
                any = true;
                if texts.len() > 1 {
                    let _ = write!(out, "\nbegin;\n\n{}\ncommit;\n", texts.join("\n"));
                } else {
                    let _ = write!(out, "\n{}", texts.concat());
                }
            }
            if !any {
                out.push_str("\n-- Nothing to take back.\n");
            }
        }
        self.section(&mut out, "Done", "");
        out.push_str("begin;\n");
        out.push_str(&self.render("finish_abort", context! { release => release.as_str() })?);
        out.push_str("\ncommit;\n");
        Ok(out)
    }

    fn verify(&self) -> Result<String, EmitError> {
        let plan = self.plan;
        let sql = &self.actions.sql;
        let checks: Vec<_> = lenses(plan)
            .map(|(_, table, lens)| {
                let names =
                    |columns: &[crate::plan::model::SyncColumn]| columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
                let what = match (lens.old.is_empty(), lens.new.is_empty()) {
                    (false, false) => format!("{table}: {} <-> {}", names(&lens.old), names(&lens.new)),
                    (true, _) => format!("{table}: {}", names(&lens.new)),
                    (_, true) => format!("{table}: {}", names(&lens.old)),
                };
                context! {
                    what => sql.literal(&what),
                    table => sql.table(table),
                    condition => sql.disagree(lens, Row::Table(table)),
                }
            })
            .collect();
        let mut text = format!("-- verify {} -> {}\n--\n", plan.old_version.as_deref().unwrap_or("nothing"), plan.new_version);
        text.push_str(&self.render("verify", context! { checks, schema => sql.ident(&plan.schema) })?);
        text.push('\n');
        Ok(text)
    }
}

/// Whether a column is made that is computed as it is read.
fn has_virtual(plan: &Plan) -> bool {
    let is_virtual = |column: &ColumnSpec| matches!(column.generated, Some((_, false)));
    plan.steps.iter().any(|step| match &step.action {
        Action::AddColumns { columns, .. } => columns.iter().any(is_virtual),
        Action::CreateTable(spec) => spec.columns.iter().any(is_virtual),
        _ => false,
    })
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
    let words = step.id.split('.').nth(1).unwrap_or_default().replace('_', " ");
    format!("{words} {}", step.object)
}

/// The comment of a step: why it is there, what it locks and how long.
fn comment(step: &Step, indent: &str) -> String {
    let mut text = wrap(&step.why, indent);
    let locks: Vec<String> = step.footprint.locks.iter().map(|lock| format!("{} {}", lock.table, lock.mode.name())).collect();
    let line = match (locks.is_empty(), step.footprint.cost) {
        (true, cost) => format!("Locks nothing that clients use; {}.", cost.name()),
        (false, cost) => format!("Locks {}; {}.", locks.join(", "), cost.name()),
    };
    text.push_str(&wrap(&line, indent));
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
