//! `crossfade plan`.

use std::fmt::Write as _;

use super::Exit;
use super::output;
use super::planning::{self, PlanningArgs};
use crate::emit::manifest::OfDialect;
use crate::plan::model::{Phase, Plan};
use crate::report::graph::{dot, mermaid, svg};

/// Print the steps from one snapshot to another, in order, with their phases, locks, costs and hazards; or the graph.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    planning: PlanningArgs,
    /// How the plan is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// The graph, for Graphviz.
    Dot,
    /// The graph, for Mermaid.
    Mermaid,
    /// The graph, as a picture.
    Svg,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let planned = planning::plan(&args.planning)?;
    let as_json = args.format == Format::Json;
    if planned.failed() {
        planned.report(if as_json { output::Format::Json } else { output::Format::Text })?;
        return Ok(Exit::Failed);
    }
    let text = match args.format {
        Format::Text => planned.plans.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => {
            let plans: Vec<OfDialect> = planned.plans.iter().map(OfDialect::new).collect::<Result<_, _>>()?;
            serde_json::to_string_pretty(&plans)? + "\n"
        }
        Format::Dot => planned.plans.iter().map(dot).collect(),
        Format::Mermaid => planned.plans.iter().map(mermaid).collect(),
        Format::Svg => svg(&planned.plans)?,
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn text(plan: &Plan) -> String {
    let mut out = String::new();
    let access = plan.access.name();
    let _ = writeln!(
        out,
        "{} -> {} on {}, {access} access",
        plan.old_version.as_deref().unwrap_or("nothing"),
        plan.new_version,
        plan.dialect.name()
    );
    if plan.changes.is_empty() {
        let _ = writeln!(out, "\nNothing differs.");
    }
    let kinds = plan.steps.iter().map(|step| step.kind().len()).max().unwrap_or_default();
    let objects = plan.steps.iter().map(|step| step.object.chars().count()).max().unwrap_or_default().min(60);
    for phase in Phase::ALL {
        for change in &plan.changes {
            let _ = writeln!(out, "\n{}  {}", plan.revision(phase, change.number), change.title);
            let mut any = false;
            for step in plan.steps.iter().filter(|s| s.phase == phase && s.change == change.number) {
                any = true;
                let locks: Vec<String> = step.footprint.locks.iter().map(|l| format!("{} on {}", l.mode.name(), l.table)).collect();
                let _ = writeln!(
                    out,
                    "  {:<kinds$}  {:<objects$}  {:<7}  {}",
                    step.kind(),
                    step.object,
                    step.footprint.cost.name(),
                    if locks.is_empty() { "-".to_owned() } else { locks.join(", ") }
                );
            }
            if !any {
                let _ = writeln!(out, "  nothing");
            }
        }
    }
    if !plan.hazards.is_empty() {
        let _ = writeln!(out, "\nHazards (crossfade explain CODE says more)");
        for hazard in &plan.hazards {
            let level = match hazard.level {
                crate::diagnostic::Level::Note => "note",
                crate::diagnostic::Level::Warning => "warning",
                crate::diagnostic::Level::Error => "error, acknowledged",
            };
            let _ = writeln!(out, "  {level} {}: {}: {}", hazard.code, hazard.object, hazard.message);
        }
    }
    out
}
