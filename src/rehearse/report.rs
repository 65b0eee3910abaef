//! What a rehearsal came to, and how it is told: to people, to programs, to CI, to a merge request.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bout::Bout;
use super::law::Law;
use super::shape::Side;
use super::stall::{Measure, Stall, budget};
use super::world::{Event, Sight};
use super::{Broken, Lab, Options, Sights, Tally};
use crate::plan::model::Phase;
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// A broken law, with the shortest way to see it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Broke {
    /// `L4`.
    pub law: String,
    /// What the law is called.
    pub title: &'static str,
    /// The change, from 1; 0: no change of its own.
    pub change: usize,
    /// The table, if it is about one.
    pub table: String,
    /// What was looked at.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub seen: String,
    /// SQL that shows it.
    pub script: String,
}

/// What was seen of a lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LensClass {
    /// Nothing is lost in either direction.
    Isomorphism,
    /// What the old version can say comes back as it was; the new one can say more.
    Embedding,
    /// A value of the old version comes back as another one.
    Lossy,
    /// A value has no image.
    Partial,
}

/// A lens, as it was seen.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LensSeen {
    /// `users: full_name <-> first_name, last_name`.
    pub lens: String,
    /// Its class.
    pub class: LensClass,
    /// The smallest value that shows it, where something is lost.
    pub value: Option<String>,
    /// On how many values it was tried.
    pub values: usize,
    /// Whether the author says that something is lost.
    pub declared: bool,
}

/// What a rehearsal came to.
#[derive(Debug)]
pub struct Report {
    /// What it ran on: `SQLite 3.50.2`.
    pub product: String,
    /// `sqlite`.
    pub dialect: &'static str,
    /// `shared` or `versioned`.
    pub access: &'static str,
    /// Version of the old snapshot.
    pub old_version: String,
    /// Version of the new snapshot.
    pub new_version: String,
    /// The seed that repeats it.
    pub seed: u64,
    /// Histories that were lived through.
    pub histories: usize,
    /// Histories that ended before contract, which refused rows that its new rules don't allow.
    pub cut_short: usize,
    /// How long it took.
    pub seconds: f64,
    /// The changes: number and title.
    pub changes: Vec<(usize, String)>,
    /// What is broken.
    pub broken: Vec<Broke>,
    /// The lenses.
    pub lenses: Vec<LensSeen>,
    /// Laws that this rehearsal can't ask, with the reason.
    pub unasked: Vec<(Law, &'static str)>,
    /// For how many milliseconds a statement of a script may keep a client waiting for a lock, where that is asked.
    pub lock_budget: Option<u64>,
    pub(super) tally: Tally,
    pub(super) sights: Sights,
}

impl Report {
    pub(super) fn new(lab: &Lab<'_>, options: &Options) -> Self {
        let plan = lab.subject.plan;
        let mut unasked = Vec::new();
        if !lab.pairs.iter().any(|pair| [&pair.old, &pair.new].into_iter().flatten().any(|view| view.counter().is_some())) {
            unasked.push((Law::Identity, "no table has a column in which the server counts"));
        }
        if !lab.place.has_crowds() {
            unasked.extend([
                (Law::BackfillCommutes, "SQLite's writers come one after the other, and a script is one transaction"),
                (Law::Isolation, "SQLite's transactions are serial"),
            ]);
        }
        if budget(lab.dialect).is_none() {
            unasked.push((Law::LockBudget, "a script is one transaction, and writers wait for its end"));
        }
        unasked.retain(|(law, _)| options.laws.is_empty() || options.laws.contains(law));
        Report {
            product: lab.place.product(),
            dialect: lab.dialect.name(),
            access: if lab.is_versioned() { "versioned" } else { "shared" },
            old_version: plan.old_version.clone().unwrap_or_default(),
            new_version: plan.new_version.clone(),
            seed: options.seed,
            histories: 0,
            cut_short: 0,
            seconds: 0.0,
            changes: plan.changes.iter().map(|change| (change.number, change.title.clone())).collect(),
            broken: Vec::new(),
            lenses: Vec::new(),
            unasked,
            lock_budget: budget(lab.dialect).and_then(|budget| u64::try_from(budget.as_millis()).ok()),
            tally: Tally::default(),
            sights: BTreeMap::new(),
        }
    }

    /// Whether every law that was asked holds.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    /// Statements of clients that were tried.
    pub fn statements(&self) -> u64 {
        self.tally.statements
    }

    /// The longest times that clients had to wait, by phase and measure.
    pub fn stalls(&self) -> &[Stall] {
        &self.tally.stalls
    }

    /// How often a law was asked of a change and held; change 0 is what belongs to none.
    pub fn held(&self, law: Law, change: usize) -> u64 {
        self.tally.held.get(&(law, change)).copied().unwrap_or(0)
    }

    pub(super) fn broke(&mut self, lab: &Lab<'_>, broken: &Broken, events: &[Event]) {
        self.broken.push(Broke {
            law: broken.law.to_string(),
            title: broken.law.title(),
            change: broken.change,
            table: broken.table.clone(),
            what: broken.what.clone(),
            expected: broken.expected.clone(),
            seen: broken.seen.clone(),
            script: script(lab, broken, events, self.seed),
        });
    }

    /// Classes of the lenses. One that loses what its author does not say it does breaks the round trip, where that is `asked`.
    pub(super) fn look_at_lenses(&mut self, lab: &Lab<'_>, asked: bool) {
        let pair_of = |lens: &str| {
            lab.pairs.iter().find_map(|pair| {
                let mut links = pair.relation.iter().flat_map(|relation| &relation.links);
                links.find(|link| lens == format!("{}: {}", pair.name(), link.title)).map(|link| (pair, link))
            })
        };
        let mut lost = Vec::new();
        for (lens, sights) in &self.sights {
            let shortest = |of: &dyn Fn(&Sight) -> Option<&String>| {
                sights.iter().filter_map(of).min_by_key(|value| (value.len(), (*value).clone())).cloned()
            };
            let partial = shortest(&|sight| match sight {
                Sight::PartialUp(value) | Sight::PartialDown(value) => Some(value),
                Sight::Same | Sight::LossyUp(..) | Sight::LossyDown(_) => None,
            });
            let lossy = shortest(&|sight| if let Sight::LossyUp(value, _) = sight { Some(value) } else { None });
            let embeds = shortest(&|sight| if let Sight::LossyDown(value) = sight { Some(value) } else { None });
            let found = pair_of(lens);
            if let (Some((pair, link)), Some(value)) = (found, &lossy)
                && asked
                && !link.lossy
            {
                let back = sights.iter().find_map(|sight| match sight {
                    Sight::LossyUp(of, back) if of == value => Some(back.as_str()),
                    _ => None,
                });
                lost.push(Broken {
                    law: Law::RoundTrip,
                    change: pair.change,
                    table: pair.name().to_owned(),
                    what: format!("{lens}: what the old version reads of its value after the way there and back, `down(up(x))`"),
                    expected: format!("{value}, or `lossy: true` at a column of the lens, if the loss is meant"),
                    seen: back.unwrap_or_default().to_owned(),
                });
            }
            let declared = found.is_some_and(|(_, link)| link.lossy || link.may_refuse());
            let (class, value) = match (partial, lossy, embeds) {
                (Some(value), _, _) => (LensClass::Partial, Some(value)),
                (None, Some(value), _) => (LensClass::Lossy, Some(value)),
                (None, None, Some(value)) => (LensClass::Embedding, Some(value)),
                (None, None, None) => (LensClass::Isomorphism, None),
            };
            self.lenses.push(LensSeen { lens: lens.clone(), class, value, values: sights.len(), declared });
        }
        for broken in lost {
            self.broke(lab, &broken, &[]);
        }
    }

    /// For people: what ran, the table of laws and changes, the lenses, and what is broken.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} -> {} on {} ({}, {} access), seed {}",
            self.old_version, self.new_version, self.product, self.dialect, self.access, self.seed
        );
        let _ = writeln!(
            out,
            "{} statements by clients of both versions in {} ({} of them refused, as they should), {:.1} s\n",
            self.tally.statements,
            self.histories_in_words(),
            self.tally.refused,
            self.seconds
        );
        for line in self.interleavings().into_iter().chain(self.ended_early()) {
            let _ = writeln!(out, "{line}\n");
        }
        let rows = self.table();
        let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        }
        if !self.lenses.is_empty() {
            out.push_str("\nLenses\n");
            for lens in &self.lenses {
                let _ = writeln!(out, "  {}: {}", lens.lens, lens.words());
            }
        }
        if let Some((head, lines)) = self.stall_lines() {
            let _ = writeln!(out, "\n{head}");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
        if !self.unasked.is_empty() {
            out.push_str("\nNot asked here\n");
            for (law, why) in &self.unasked {
                let _ = writeln!(out, "  {law} {}: {why}", law.title());
            }
        }
        for broke in &self.broken {
            let _ = writeln!(out, "\nbroken: {} {}{}\n{}", broke.law, broke.title, of(&broke.table), broke.script);
        }
        let _ = writeln!(out, "\n{}", self.verdict());
        out
    }

    /// How long clients had to wait, phase by phase.
    fn stall_lines(&self) -> Option<(String, Vec<String>)> {
        let budget = self.lock_budget?;
        if self.tally.stalls.is_empty() {
            return None;
        }
        let head = format!("Longest stalls of a client's write (a lock of the scripts may keep it waiting for {budget} ms)");
        let mut lines = Vec::new();
        for phase in Phase::ALL {
            for stall in self.tally.stalls.iter().filter(|stall| stall.phase == phase.name()) {
                let during = format!("line {}, `{}`", stall.line, stall.statement);
                lines.push(match stall.measure {
                    Measure::Lock if stall.milliseconds == 0 => format!("{}: none was seen waiting for a lock", stall.phase),
                    Measure::Lock => format!("{}: {} ms for a lock of {during}", stall.phase, stall.milliseconds),
                    Measure::Clock => format!("{}: {} ms by the clock, during {during}", stall.phase, stall.milliseconds),
                });
            }
        }
        Some((head, lines))
    }

    /// What was interleaved.
    fn interleavings(&self) -> Option<String> {
        (self.tally.bouts > 0).then(|| {
            format!(
                "{} times several clients wrote at once, interleaved by statement ({} times one waited for another one)",
                self.tally.bouts, self.tally.waits
            )
        })
    }

    /// How many histories did not come to their end.
    fn ended_early(&self) -> Option<String> {
        (self.cut_short > 0)
            .then(|| format!("{} of the histories ended early: a script refused rows that the new rules don't allow", self.cut_short))
    }

    fn verdict(&self) -> String {
        match self.broken.len() {
            0 => "all laws hold".to_owned(),
            1 => "1 law is broken".to_owned(),
            count => format!("{count} laws are broken"),
        }
    }

    /// A row a law, a column a change; each cell says how often it was asked.
    fn table(&self) -> Vec<Vec<String>> {
        let mut head = vec!["law".to_owned(), String::new()];
        head.extend(self.changes.iter().map(|(_, title)| title.clone()));
        head.push("whole".to_owned());
        let mut rows = vec![head];
        for law in Law::ALL {
            let mut row = vec![law.to_string(), law.title().to_owned()];
            let numbers: Vec<usize> = self.changes.iter().map(|(number, _)| *number).chain([0]).collect();
            for number in numbers {
                let broken = self.broken.iter().any(|broke| broke.law == law.to_string() && broke.change == number);
                row.push(match (broken, self.held(law, number)) {
                    (true, _) => "BROKEN".to_owned(),
                    (false, 0) => "-".to_owned(),
                    (false, count) => count.to_string(),
                });
            }
            rows.push(row);
        }
        rows
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let laws: Vec<serde_json::Value> = self
            .tally
            .held
            .iter()
            .map(|((law, change), count)| serde_json::json!({ "law": law.to_string(), "title": law.title(), "change": change, "held": count }))
            .collect();
        let unasked: Vec<serde_json::Value> = self
            .unasked
            .iter()
            .map(|(law, why)| serde_json::json!({ "law": law.to_string(), "title": law.title(), "reason": why }))
            .collect();
        let changes: Vec<serde_json::Value> =
            self.changes.iter().map(|(number, title)| serde_json::json!({ "number": number, "title": title })).collect();
        serde_json::json!({
            "from": self.old_version, "to": self.new_version, "dialect": self.dialect, "access": self.access, "engine": self.product,
            "seed": self.seed, "histories": self.histories, "cut_short": self.cut_short, "statements": self.tally.statements, "refused": self.tally.refused,
            "interleavings": self.tally.bouts, "waits": self.tally.waits,
            "lock_budget_ms": self.lock_budget, "stalls": self.tally.stalls,
            "seconds": self.seconds, "holds": self.holds(), "changes": changes, "laws": laws, "lenses": self.lenses, "unasked": unasked,
            "broken": self.broken,
        })
    }

    /// JUnit XML: a test case for each law of each change.
    pub fn junit(&self) -> String {
        let mut cases = String::new();
        let (mut tests, mut failures, mut skipped) = (0, 0, 0);
        let name = format!("crossfade.{}.{}", self.dialect, self.access);
        let titles = self.changes.iter().cloned().chain([(0, "whole".to_owned())]);
        for (number, title) in titles {
            for law in Law::ALL {
                let broken: Vec<&Broke> =
                    self.broken.iter().filter(|broke| broke.law == law.to_string() && broke.change == number).collect();
                if broken.is_empty() && self.held(law, number) == 0 {
                    continue;
                }
                tests += 1;
                let _ = write!(
                    cases,
                    "    <testcase classname=\"{}\" name=\"{}\"",
                    xml(&name),
                    xml(&format!("{law} {}: {title}", law.title()))
                );
                if broken.is_empty() {
                    cases.push_str("/>\n");
                    continue;
                }
                failures += 1;
                cases.push_str(">\n");
                for broke in broken {
                    let _ = writeln!(
                        cases,
                        "      <failure message=\"{}\">{}</failure>",
                        xml(&format!("{}: expected {}, seen {}", broke.what, broke.expected, broke.seen)),
                        xml(&broke.script)
                    );
                }
                cases.push_str("    </testcase>\n");
            }
        }
        for (law, why) in &self.unasked {
            tests += 1;
            skipped += 1;
            let _ = writeln!(
                cases,
                "    <testcase classname=\"{}\" name=\"{}\">\n      <skipped message=\"{}\"/>\n    </testcase>",
                xml(&name),
                xml(&format!("{law} {}", law.title())),
                xml(why)
            );
        }
        format!(
            "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" time=\"{:.3}\">\n{}{cases}  </testsuite>\n",
            xml(&format!("rehearse {} -> {} on {}", self.old_version, self.new_version, self.product)),
            self.seconds,
            self.properties()
        )
    }

    /// What a test suite says of itself beside its cases.
    fn properties(&self) -> String {
        let mut list = vec![
            ("seed".to_owned(), self.seed.to_string()),
            ("histories".to_owned(), self.histories.to_string()),
            ("cut_short".to_owned(), self.cut_short.to_string()),
            ("statements".to_owned(), self.tally.statements.to_string()),
            ("refused".to_owned(), self.tally.refused.to_string()),
            ("interleavings".to_owned(), self.tally.bouts.to_string()),
            ("waits".to_owned(), self.tally.waits.to_string()),
        ];
        if let Some((head, lines)) = self.stall_lines() {
            list.push((head, lines.join("; ")));
        }
        let lines = list.iter().map(|(name, value)| format!("      <property name=\"{}\" value=\"{}\"/>\n", xml(name), xml(value)));
        format!("    <properties>\n{}    </properties>\n", lines.collect::<String>())
    }

    fn histories_in_words(&self) -> String {
        format!("{} {}", self.histories, if self.histories == 1 { "history" } else { "histories" })
    }

    /// A summary for a merge request.
    pub fn markdown(&self) -> String {
        let mut out =
            format!("### Rehearsal: {} → {} on {} ({} access)\n\n", self.old_version, self.new_version, self.product, self.access);
        let _ = writeln!(
            out,
            "**{}**: {} statements in {}, seed {}.\n",
            self.verdict(),
            self.tally.statements,
            self.histories_in_words(),
            self.seed
        );
        for line in self.interleavings().into_iter().chain(self.ended_early()) {
            let _ = writeln!(out, "{line}.\n");
        }
        for (index, row) in self.table().into_iter().enumerate() {
            if index > 0 && row.iter().skip(2).all(|cell| cell == "-") {
                continue;
            }
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
            if index == 0 {
                let _ = writeln!(out, "|{}", " --- |".repeat(cells.len()));
            }
        }
        for lens in &self.lenses {
            let _ = writeln!(out, "\n- `{}`: {}", lens.lens.replace('`', "'"), lens.words());
        }
        if let Some((head, lines)) = self.stall_lines() {
            let _ = writeln!(out, "\n{head}:\n");
            for line in lines {
                let _ = writeln!(out, "- {line}");
            }
        }
        if !self.unasked.is_empty() {
            out.push_str("\nNot asked here:\n\n");
            for (law, why) in &self.unasked {
                let _ = writeln!(out, "- {law} {}: {why}", law.title());
            }
        }
        for broke in &self.broken {
            let _ = write!(
                out,
                "\n<details open><summary>{} {}{}</summary>\n\n```sql\n{}\n```\n</details>\n",
                broke.law,
                broke.title,
                of(&broke.table),
                broke.script
            );
        }
        out
    }
}

/// Several test suites as one JUnit document.
pub(crate) fn junit_document(suites: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

impl LensSeen {
    fn words(&self) -> String {
        let value = self.value.as_deref().unwrap_or_default();
        match self.class {
            LensClass::Isomorphism => format!("isomorphism, on {} values: nothing is lost either way", self.values),
            LensClass::Embedding => {
                format!("the old version embeds in the new one, which says more: {value} is another value for the old one and back")
            }
            LensClass::Lossy if self.declared => format!("lossy, as declared: {value} comes back as another value"),
            LensClass::Lossy => format!("lossy, and not declared (`lossy: true`): {value} comes back as another value"),
            LensClass::Partial => format!("partial: there is no image of {value}"),
        }
    }
}

fn of(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!(" (table {table})") }
}

/// Text in an attribute of JUnit XML, whose line breaks stay.
fn xml(text: &str) -> String {
    crate::emit::pages::xml(text).replace('\n', "&#10;")
}

/// Several clients at once, as the statements of shells side by side.
fn sessions(lab: &Lab<'_>, bout: &Bout) -> String {
    let mut out = "-- Each session is a shell of its own. One that waits goes on by itself once another one has committed.\n".to_owned();
    let mut said = vec![0; bout.clients.len()];
    let mut is_running = false;
    let mut say = |out: &mut String, who: usize| {
        let Some(writes) = bout.clients.get(who) else {
            if let Some(phase) = bout.phase.filter(|_| !is_running) {
                is_running = true;
                let _ =
                    writeln!(out, "-- session {}: {}.sql of version {}, from here on", who + 1, phase.name(), lab.subject.plan.new_version);
            }
            return;
        };
        let at = said[who];
        let Some(side) = writes.first().map(|write| write.side) else { return };
        let _ = match writes.get(at) {
            Some(write) if at == 0 => writeln!(out, "/* session {}, {} version */ begin; {};", who + 1, side.name(), lab.reached(write)),
            Some(write) => writeln!(out, "/* session {} */ {};", who + 1, lab.reached(write)),
            None if at == writes.len() => writeln!(out, "/* session {} */ commit;", who + 1),
            None => Ok(()),
        };
        said[who] += 1;
    };
    for who in &bout.order {
        say(&mut out, *who);
    }
    out
}

/// What a reader runs to see it.
fn script(lab: &Lab<'_>, broken: &Broken, events: &[Event], seed: u64) -> String {
    let mut out = String::new();
    let comment = |label: &str, text: &str| {
        text.lines()
            .enumerate()
            .map(|(at, line)| if at == 0 { format!("-- {label}: {line}\n") } else { format!("--   {line}\n") })
            .collect::<String>()
    };
    let _ = writeln!(out, "-- {} {} is broken (seed {seed}, {}).", broken.law, broken.law.title(), lab.place.product());
    out.push_str(&comment("looked at", &broken.what));
    out.push_str(&comment("expected", &broken.expected));
    out.push_str(&comment("seen", &broken.seen));
    if events.is_empty() {
        return out;
    }
    let plan = lab.subject.plan;
    let dialect = lab.dialect;
    let include = |path: String| match dialect {
        Dialect::Postgres => format!("\\i {path}\n"),
        Dialect::Mysql | Dialect::Mariadb => format!("source {path}\n"),
        Dialect::Sqlite => format!(".read {path}\n"),
    };
    let old = plan.old_version.as_deref().unwrap_or_default();
    let database = super::database_name(dialect).map(|name| format!(" --database {name}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "-- To see it: crossfade compile empty OLD --dialect {0} --out m && crossfade compile OLD NEW --dialect {0}{database} --out m,",
        dialect.name()
    );
    match super::database_name(dialect) {
        Some(name) => {
            let _ = writeln!(out, "-- then this script in an empty database that is called {name}.");
        }
        None => out.push_str("-- then this script in an empty database.\n"),
    }
    for phase in Phase::ALL {
        out.push_str(&include(format!("m/{old}/{}/{}.sql", dialect.name(), phase.name())));
    }
    let mut contracted = false;
    let mut last: Option<Side> = None;
    for event in events {
        match event {
            Event::Run(phase) => {
                contracted |= *phase == Phase::Contract;
                out.push_str(&include(format!("m/{}/{}/{}.sql", plan.new_version, dialect.name(), phase.name())));
                last = None;
            }
            Event::TryAbort => {
                if std::ptr::eq(event, &events[events.len() - 1]) {
                    out.push_str(&include(format!("m/{}/{}/abort.sql", plan.new_version, dialect.name())));
                }
            }
            Event::Write(write) => {
                if last != Some(write.side) {
                    let _ = writeln!(out, "-- the {} version", write.side.name());
                    last = Some(write.side);
                }
                let _ = writeln!(out, "{};", lab.reached(write));
            }
            Event::Together(bout) => {
                contracted |= bout.phase == Some(Phase::Contract);
                out.push_str(&sessions(lab, bout));
                last = None;
            }
        }
    }
    if let Some(pair) = lab.pairs.iter().find(|pair| pair.name() == broken.table) {
        for side in [Side::Old, Side::New] {
            if let Some(view) = pair.view(side).filter(|_| side == Side::New || !contracted) {
                let columns: Vec<String> = view.columns.iter().map(|column| ident(&column.name, dialect)).collect();
                let _ = writeln!(
                    out,
                    "-- what the {} version sees\nselect {} from {};",
                    side.name(),
                    columns.join(", "),
                    lab.relation(side, &view.table.name)
                );
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
}
