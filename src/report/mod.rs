//! What reviewers of an upgrade read: one page about its plans, as HTML or as Markdown, and the graph of the steps.
//!
//! Invariant: it decides nothing and knows no SQL. What it shows is the plan, the scripts as they are written, the differences in
//! the words of `diff`, and the pages of `explain`.

use serde::Serialize;

use crate::diagnostic::{Level, register};
use crate::diff::print::{Block, Difference, blocks};
use crate::emit::pages::page;
use crate::emit::program::{Head, head, sections};
use crate::emit::{EmitError, Scripts, scripts};
use crate::plan::model::{Cost, Lock, Phase, Plan, Step, Waits};
use crate::snapshot::model::Access;
use crate::sql::Dialect;

pub mod graph;
mod highlight;

/// What a report is about.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The plans, one a dialect; all from the same two snapshots.
    pub plans: &'a [Plan],
    /// What differs, for each of the plans.
    pub differences: Vec<Vec<Difference>>,
    /// Hash of the old snapshot; `None` for a first installation.
    pub old_hash: Option<&'a str>,
    /// Hash of the new snapshot.
    pub new_hash: &'a str,
}

/// The report as one HTML page, which needs nothing from anywhere.
///
/// # Errors
/// Only when a template does not fit: a fault of crossfade.
pub fn html(subject: &Subject<'_>) -> Result<String, EmitError> {
    page("page.html", &Page::of(subject, highlight::html)?)
}

/// The report in Markdown, for a merge request.
///
/// # Errors
/// Only when a template does not fit: a fault of crossfade.
pub fn markdown(subject: &Subject<'_>) -> Result<String, EmitError> {
    page("page.md", &Page::of(subject, |text, _| text.to_owned())?)
}

/// All that a report shows.
#[derive(Debug, Serialize)]
struct Page {
    crossfade: &'static str,
    /// Old version; absent for a first installation.
    from: Option<String>,
    to: String,
    old_hash: Option<String>,
    new_hash: String,
    dialects: Vec<OfDialect>,
    /// What changes, once for all dialects for which it is the same.
    changes: Vec<Changes>,
    hazards: Vec<OfHazard>,
    timeline: Vec<Moment>,
    run_book: Vec<Command>,
    scripts: Vec<OfScript>,
}

/// What differs from dialect to dialect.
#[derive(Debug, Serialize)]
struct OfDialect {
    name: &'static str,
    access: &'static str,
    /// Steps of each phase.
    steps: Vec<usize>,
    /// How many hazards there are.
    hazards: usize,
    /// The steps under which others wait.
    waits: String,
    /// What is filled in batches.
    fills: String,
    svg: String,
    mermaid: String,
    locks: Vec<OfStep>,
    /// What the scripts say about waiting, and about being run again.
    note: String,
    /// How the scripts are run by hand.
    heads: Vec<Head>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Changes {
    dialects: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Serialize)]
struct OfHazard {
    dialects: String,
    code: &'static str,
    level: &'static str,
    object: String,
    message: String,
    meaning: &'static str,
    way_out: &'static str,
}

/// A time in an upgrade, and who runs then.
#[derive(Debug, Serialize)]
struct Moment {
    name: String,
    /// What is done.
    does: String,
    old: Running,
    new: Running,
    back: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Running {
    Runs,
    Starts,
    Leaves,
    Gone,
    NotYet,
}

/// The way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Nothing,
    Abort,
    None,
}

/// A line of the run book.
#[derive(Debug, Serialize)]
struct Command {
    command: String,
    /// What to look at before one goes on.
    look: String,
    /// How to go back from there.
    back: String,
}

#[derive(Debug, Serialize)]
struct OfStep {
    number: usize,
    phase: &'static str,
    kind: String,
    object: String,
    cost: &'static str,
    waits: &'static str,
    locks: Vec<Lock>,
    transactional: bool,
    why: String,
}

/// A script, side by side for all dialects.
#[derive(Debug, Serialize)]
struct OfScript {
    file: &'static str,
    title: String,
    sections: Vec<OfSection>,
}

#[derive(Debug, Serialize)]
struct OfSection {
    title: String,
    /// Whether it is the same in all upgrades.
    frame: bool,
    texts: Vec<OfText>,
}

#[derive(Debug, Serialize)]
struct OfText {
    dialect: &'static str,
    /// As the page shows it; empty where a dialect has no such section.
    text: String,
}

impl Page {
    fn of(subject: &Subject<'_>, show: impl Fn(&str, Dialect) -> String) -> Result<Page, EmitError> {
        let plans = subject.plans;
        let written: Vec<Scripts> = plans.iter().map(scripts).collect::<Result<_, _>>()?;
        let first = plans.first();
        let from = first.and_then(|plan| plan.old_version.clone());
        let to = first.map(|plan| plan.new_version.clone()).unwrap_or_default();
        Ok(Page {
            crossfade: env!("CARGO_PKG_VERSION"),
            dialects: plans.iter().zip(&written).map(|(plan, scripts)| OfDialect::of(plan, scripts)).collect::<Result<_, _>>()?,
            changes: changes(subject),
            hazards: hazards(plans),
            timeline: timeline(from.as_deref(), &to),
            run_book: run_book(plans, from.as_deref(), &to),
            scripts: side_by_side(plans, &written, show),
            old_hash: subject.old_hash.map(str::to_owned),
            new_hash: subject.new_hash.to_owned(),
            from,
            to,
        })
    }
}

impl OfDialect {
    fn of(plan: &Plan, scripts: &Scripts) -> Result<OfDialect, EmitError> {
        let objects = |wanted: &dyn Fn(&Step) -> bool| {
            let found: Vec<String> =
                plan.steps.iter().enumerate().filter(|(_, step)| wanted(step)).map(|(at, _)| (at + 1).to_string()).collect();
            match found.len() {
                0 => "none".to_owned(),
                all if all == plan.steps.len() => "all".to_owned(),
                _ => found.join(", "),
            }
        };
        let heads: Vec<Head> = scripts.files().iter().filter(|(name, _)| *name != "verify.sql").map(|(_, text)| head(text)).collect();
        Ok(OfDialect {
            name: plan.dialect.name(),
            access: plan.access.name(),
            steps: Phase::ALL.iter().map(|phase| plan.steps.iter().filter(|step| step.phase == *phase).count()).collect(),
            hazards: plan.hazards.len(),
            waits: objects(&|step| waits(plan, step) != Waits::Nobody),
            fills: objects(&|step| step.footprint.cost == Cost::Copy),
            svg: graph::svg(std::slice::from_ref(plan))?,
            mermaid: graph::mermaid(plan),
            locks: plan.steps.iter().enumerate().map(|(at, step)| OfStep::of(plan, step, at + 1)).collect(),
            note: heads.first().map(|head| head.note.clone()).unwrap_or_default(),
            heads,
        })
    }
}

/// The lock of a step that keeps most clients waiting.
fn strongest(step: &Step) -> Option<&Lock> {
    step.footprint.locks.iter().max_by_key(|lock| (lock.mode.waits(), lock.mode))
}

/// Who waits while a step runs. On SQLite a script is one transaction, and who writes waits for its end.
fn waits(plan: &Plan, step: &Step) -> Waits {
    if plan.dialect == Dialect::Sqlite {
        return Waits::Writers;
    }
    strongest(step).map_or(Waits::Nobody, |lock| lock.mode.waits())
}

impl OfStep {
    fn of(plan: &Plan, step: &Step, number: usize) -> OfStep {
        OfStep {
            number,
            phase: step.phase.name(),
            kind: step.kind(),
            object: step.object.clone(),
            cost: step.footprint.cost.name(),
            waits: waits(plan, step).name(),
            locks: step.footprint.locks.clone(),
            transactional: step.footprint.transactional,
            why: step.why.clone(),
        }
    }
}

/// What one dialect says, and who says the same: names of dialects and what it is, in the order of the dialects.
fn merged<T: PartialEq>(said: impl IntoIterator<Item = (&'static str, T)>) -> Vec<(String, T)> {
    let mut found: Vec<(String, T)> = Vec::new();
    for (dialect, what) in said {
        match found.iter_mut().find(|(_, other)| *other == what) {
            Some((dialects, _)) => dialects.extend([", ", dialect]),
            None => found.push((dialect.to_owned(), what)),
        }
    }
    found
}

fn changes(subject: &Subject<'_>) -> Vec<Changes> {
    let said = subject.plans.iter().zip(&subject.differences).map(|(plan, differences)| (plan.dialect.name(), blocks(differences)));
    merged(said).into_iter().map(|(dialects, blocks)| Changes { dialects, blocks }).collect()
}

fn hazards(plans: &[Plan]) -> Vec<OfHazard> {
    let said = plans.iter().flat_map(|plan| {
        plan.hazards.iter().map(|hazard| {
            (plan.dialect.name(), (std::cmp::Reverse(hazard.level), hazard.code, hazard.object.clone(), hazard.message.clone()))
        })
    });
    let mut found = merged(said);
    // The worst first; else as the plans have them.
    found.sort_by_key(|(_, (level, ..))| *level);
    found
        .into_iter()
        .map(|(dialects, (level, code, object, message))| {
            let page = register::explain(code);
            let section = |heading| page.and_then(|page| page.section(heading)).unwrap_or_default();
            OfHazard {
                dialects,
                code,
                level: match level.0 {
                    Level::Note => "note",
                    Level::Warning => "warning",
                    // A plan with one that nobody has acknowledged is not made.
                    Level::Error => "error, acknowledged",
                },
                object,
                message,
                meaning: section("What it means"),
                way_out: section("What to do"),
            }
        })
        .collect()
}

fn timeline(from: Option<&str>, to: &str) -> Vec<Moment> {
    let moment = |name: &str, does: String, old, new, back| Moment { name: name.to_owned(), does, old, new, back };
    let Some(from) = from else {
        return vec![
            moment("expand", format!("All that version {to} needs is made."), Running::Gone, Running::NotYet, Way::Abort),
            moment("migrate", "What is left to build is built.".to_owned(), Running::Gone, Running::NotYet, Way::Abort),
            moment("start", format!("Version {to} starts."), Running::Gone, Running::Starts, Way::Abort),
            moment("contract", "The installation ends; an upgrade can start from it.".to_owned(), Running::Gone, Running::Runs, Way::None),
        ];
    };
    vec![
        moment("before", format!("The database is at version {from}."), Running::Runs, Running::NotYet, Way::Nothing),
        moment(
            "expand",
            format!("What version {to} needs is added, and triggers keep both shapes in step."),
            Running::Runs,
            Running::NotYet,
            Way::Abort,
        ),
        moment("migrate", "The rows that were there before are filled, in batches.".to_owned(), Running::Runs, Running::NotYet, Way::Abort),
        moment(
            "deploy",
            format!("Nodes go from {from} to {to} one by one, as long as it takes. Both versions read and write."),
            Running::Leaves,
            Running::Starts,
            Way::Abort,
        ),
        moment("contract", format!("What only version {from} used goes."), Running::Gone, Running::Runs, Way::None),
        moment("after", format!("The database is at version {to}."), Running::Gone, Running::Runs, Way::None),
    ]
}

/// The commands of an upgrade in their order. They read the folder that `compile` wrote, and the database from `CROSSFADE_URL`.
fn run_book(plans: &[Plan], from: Option<&str>, to: &str) -> Vec<Command> {
    let line = |command: &str, look: String, back: &str| Command { command: command.to_owned(), look, back: back.to_owned() };
    let abort = "`crossfade abort`";
    let mut book = vec![
        line("crossfade doctor", "It names what would stop a phase, and exits with 1 then: mend that first.".to_owned(), "nothing is changed"),
        line("crossfade expand", "It ends with 0. `crossfade check` exits with 4: migrate is due.".to_owned(), abort),
        line(
            "crossfade migrate",
            "`crossfade status` shows how far each backfill is, and rows that were set aside. It exits with 6 where batches remain: run it again."
                .to_owned(),
            abort,
        ),
    ];
    let contract = |to: &str| format!("`crossfade check` exits with 0: the database is at version {to}.");
    let Some(from) = from else {
        book.push(line(
            &format!("start version {to}"),
            "Its clients find all that they need.".to_owned(),
            "stop it, then `crossfade abort`: all rows go",
        ));
        book.push(line("crossfade contract", contract(to), "there is none"));
        return book;
    };
    let versioned = plans.iter().any(|plan| plan.access == Access::Versioned);
    let can_drain = plans.iter().any(|plan| plan.access == Access::Versioned && plan.dialect != Dialect::Sqlite);
    let how = if versioned { format!(" They connect as `crossfade connect {to}` says.") } else { String::new() };
    book.push(line(
        &format!("start nodes of {to}, stop nodes of {from}"),
        format!("The errors and the latency of both.{how}"),
        &format!("start nodes of {from} again, stop those of {to}; then `crossfade abort`"),
    ));
    book.push(line(
        "crossfade verify",
        "It counts the rows on which the two shapes disagree: 0 each, and it exits with 0.".to_owned(),
        abort,
    ));
    if can_drain {
        book.push(line(
            &format!("crossfade drain {from}"),
            format!("Whether anybody misses the writes of version {from}, which are refused now. (Not on SQLite.)"),
            &format!("`crossfade drain {from} --undo`"),
        ));
    }
    let flag = if plans.iter().all(|plan| plan.access == Access::Versioned && plan.dialect != Dialect::Sqlite) {
        ""
    } else {
        " --all-nodes-upgraded"
    };
    book.push(line(
        &format!("crossfade contract{flag}"),
        format!("No client of version {from} is left: `crossfade status` says who is connected. {}", contract(to)),
        "there is none",
    ));
    book
}

fn side_by_side(plans: &[Plan], written: &[Scripts], show: impl Fn(&str, Dialect) -> String) -> Vec<OfScript> {
    let Some(files) = written.first().map(Scripts::files) else { return Vec::new() };
    files
        .iter()
        .enumerate()
        .map(|(index, (file, text))| {
            let mut found: Vec<OfSection> = Vec::new();
            for (at, (plan, scripts)) in plans.iter().zip(written).enumerate() {
                let files = scripts.files();
                let Some((_, text)) = files.get(index) else { continue };
                for (place, section) in sections(text).into_iter().enumerate() {
                    let title = match (section.name, section.title) {
                        ("", _) if *file == "verify.sql" => "All of it".to_owned(),
                        ("", _) => "Head".to_owned(),
                        (name, "") => name.to_owned(),
                        (name, title) => format!("{name}: {title}"),
                    };
                    let known = found.iter().position(|known| known.title == title).unwrap_or_else(|| {
                        let place = place.min(found.len());
                        let texts = plans.iter().map(|plan| OfText { dialect: plan.dialect.name(), text: String::new() }).collect();
                        // The gates of contract look at the rows of this upgrade.
                        let frame = match section.name {
                            "" => *file != "verify.sql",
                            "Gates" => *file != "contract.sql",
                            name => name == "Done",
                        };
                        found.insert(place, OfSection { frame, title, texts });
                        place
                    });
                    if let Some(cell) = found.get_mut(known).and_then(|section| section.texts.get_mut(at)) {
                        cell.text = show(section.text, plan.dialect);
                    }
                }
            }
            OfScript { file, title: head(text).title, sections: found }
        })
        .collect()
}
