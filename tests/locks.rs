//! Locks as promised: what each transaction of each script locks, reads whole and writes anew, against what the plan says.
//!
//! Every statement of every case runs on a real server. A statement that can run in a transaction runs in one, and the locks
//! are read before it commits; one that can't is held up by another session while its locks are read.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crossfade::diagnostic::{Colour, Sources, has_errors, render_human};
use crossfade::dialect::postgres::Postgres;
use crossfade::diff::{self, Options};
use crossfade::engine::postgres::{Failure, Session};
use crossfade::plan::model::{Action, Cost, LockMode, Phase as PlanPhase, Plan, Step};
use crossfade::snapshot::model::Access as PlanAccess;
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::lab::{Database, Lab};
use support::scripts::{Phase, compile};
use support::servers;
use support::splitter::{Bracket, Statement, split};

#[test]
fn as_promised_on_postgres_15() {
    on(15);
}

#[test]
fn as_promised_on_postgres_18() {
    on(18);
}

/// What a plan promises on its own, before anything runs: who reads or writes a whole table holds up neither readers nor writers.
#[test]
fn slow_steps_hold_nobody_up() {
    let mut broken = Vec::new();
    for case in Case::all() {
        let case = case.unwrap();
        for access in case.file.access.clone() {
            let plan = plan(&case, access).unwrap_or_else(|report| panic!("{}: {report}", case.name));
            for unit in plan.steps.chunk_by(|a, b| a.unit.is_some() && a.unit == b.unit && a.phase == b.phase) {
                let slow: Vec<&Step> = unit.iter().filter(|step| step.footprint.cost != Cost::Instant).collect();
                let held: Vec<String> = unit
                    .iter()
                    .flat_map(|step| &step.footprint.locks)
                    .filter(|lock| lock.mode >= LockMode::Share)
                    .map(|lock| format!("{} {}", lock.table, lock.mode.name()))
                    .collect();
                if let (Some(slow), false) = (slow.first(), held.is_empty()) {
                    broken.push(format!("{} {}: {} is {} under {held:?}", case.name, access.name(), slow.id, slow.footprint.cost.name()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn on(major: u32) {
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let mut broken = Vec::new();
    let only = std::env::var("CROSSFADE_CASE").ok();
    for case in Case::all() {
        let case = case.unwrap();
        if only.as_ref().is_some_and(|only| *only != case.name) || !case.runs_on(&format!("postgres{major}")) {
            continue;
        }
        for access in case.file.access.clone() {
            if let Err(report) = check(&lab, &case, access) {
                broken.push(format!("{} {}: {report}", case.name, access.name()));
            }
        }
    }
    assert!(broken.is_empty(), "PostgreSQL {major}:\n{}", broken.join("\n"));
}

fn plan(case: &Case, access: Access) -> Result<Plan, String> {
    let mut sources = Sources::default();
    let mut read = |name: &str| -> Result<crossfade::snapshot::Snapshot, String> {
        let text = std::fs::read_to_string(case.folder.join(name)).map_err(|error| error.to_string())?;
        let file = sources.add(name, text);
        Ok(crossfade::snapshot::read(&sources, &[file]).0)
    };
    let (old, new) = (read("old.yaml")?, read("new.yaml")?);
    let (old, new) = (old.resolve(Dialect::Postgres).0, new.resolve(Dialect::Postgres).0);
    let (diff, faults) = diff::diff(&old, &new, Dialect::Postgres, &Options::default());
    if has_errors(&faults) {
        return Err(render_human(&sources, &faults, Colour::Never));
    }
    let access = match access {
        Access::Shared => PlanAccess::Shared,
        Access::Versioned => PlanAccess::Versioned,
    };
    let settings = crossfade::plan::Settings { access, schema: "public".to_owned(), allow: case.file.allow.clone() };
    let (plan, faults) = crossfade::plan::plan(&diff, &settings, &Postgres);
    if has_errors(&faults) {
        return Err(render_human(&sources, &faults, Colour::Never));
    }
    Ok(plan)
}

fn check(lab: &Lab, case: &Case, access: Access) -> Result<(), String> {
    let plan = plan(case, access)?;
    let scripts = compile(case, access)?;
    let database = lab.empty()?;
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot")?;
    }
    database.run(&case.file.seed, "seed")?;
    let mut reports = Vec::new();
    for (phase, planned) in
        [(Phase::Expand, PlanPhase::Expand), (Phase::Migrate, PlanPhase::Migrate), (Phase::Contract, PlanPhase::Contract)]
    {
        let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == planned).collect();
        let mut run = Run::new(&database)?;
        for transaction in transactions(scripts.of(phase), &steps)? {
            run.transaction(phase, &transaction, &mut reports).map_err(|failure| format!("{}: {failure}", phase.name()))?;
        }
        let mut seen: BTreeMap<&str, (&Step, Observed)> = BTreeMap::new();
        for (step, observed) in &run.alone {
            seen.entry(step.id.as_str()).or_insert((step, Observed::default())).1.add(observed);
        }
        for (step, observed) in seen.values() {
            if found_nothing_left(step, &steps, observed) {
                continue;
            }
            compare(phase, &[step], observed, &run.names, &run.known, &mut reports);
        }
    }
    if reports.is_empty() { Ok(()) } else { Err(reports.join("\n    ")) }
}

/// Whether a backfill had nothing to write since an earlier one of its table woke the trigger that fills its columns too.
fn found_nothing_left(step: &Step, steps: &[&Step], observed: &Observed) -> bool {
    let table = |step: &Step| match &step.action {
        Action::Backfill(backfill) => Some(backfill.table.clone()),
        _ => None,
    };
    let earlier = steps.iter().take_while(|other| other.id != step.id);
    table(step).is_some_and(|name| earlier.filter_map(|other| table(other)).any(|other| other == name))
        && observed.locks.values().all(|lock| *lock <= ROW_SHARE)
}

/// Statements that commit together, with the steps that they belong to.
struct Transaction<'plan> {
    statements: Vec<Statement>,
    steps: Vec<&'plan Step>,
    /// Whether several steps share it.
    unit: bool,
}

/// Finds the steps in a script by their comments, which the plan determines.
fn transactions<'plan>(script: &str, steps: &[&'plan Step]) -> Result<Vec<Transaction<'plan>>, String> {
    let mut left: Vec<&Step> = steps.to_vec();
    let mut current: Option<&'plan Step> = None;
    let mut result: Vec<Transaction<'plan>> = Vec::new();
    let mut open: Option<Transaction<'plan>> = None;
    for statement in split(script) {
        let mut found = Vec::new();
        let mut block = String::new();
        let mut ended = false;
        for line in statement.text.lines().chain([""]) {
            if let Some(words) = line.trim().strip_prefix("--") {
                block.push(' ');
                block.push_str(words.trim());
                ended |= words.trim().starts_with("====");
                continue;
            }
            let words = block.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some(index) = left.iter().position(|step| words.starts_with(&text_of(step))) {
                found.push(left.remove(index));
            }
            block.clear();
        }
        let words = statement.text.lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with("--")).unwrap_or_default();
        if ended || words.starts_with("update crossfade.revision") || words.starts_with("begin") || words.starts_with("commit") {
            current = None;
        }
        current = found.last().copied().or(current);
        let once = found.len() > 1 || statement.text.contains("-- All of this in one transaction, and once");
        match (statement.bracket, &mut open) {
            (Bracket::Opens, _) => open = Some(Transaction { statements: Vec::new(), steps: Vec::new(), unit: true }),
            (Bracket::Closes, _) => {
                result.extend(open.take());
                current = None;
            }
            (Bracket::Neither, Some(open)) => {
                open.steps.extend(found);
                open.statements.push(statement);
            }
            (Bracket::Neither, None) => {
                let steps = if once { found } else { current.into_iter().collect() };
                result.push(Transaction { statements: vec![statement], steps, unit: once });
                if once {
                    current = None;
                }
            }
        }
    }
    match left.first() {
        Some(step) => Err(format!("step {} is not in the script", step.id)),
        None => Ok(result),
    }
}

/// How the script's comment of a step begins.
fn text_of(step: &Step) -> String {
    step.why.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What was seen: the strongest lock a table, tables that were read whole, relations that were written anew.
#[derive(Debug, Default, Clone)]
struct Observed {
    locks: BTreeMap<u32, LockName>,
    scans: BTreeSet<u32>,
    rewritten: BTreeSet<u32>,
    statement: String,
}

impl Observed {
    fn add(&mut self, other: &Observed) {
        for (table, mode) in &other.locks {
            let entry = self.locks.entry(*table).or_insert(*mode);
            *entry = (*entry).max(*mode);
        }
        self.scans.extend(&other.scans);
        self.rewritten.extend(&other.rewritten);
        if self.statement.is_empty() {
            self.statement.clone_from(&other.statement);
        }
    }
}

/// All table locks of the server, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LockName(usize);

const MODES: [(&str, &str); 8] = [
    ("AccessShareLock", "ACCESS SHARE"),
    ("RowShareLock", "ROW SHARE"),
    ("RowExclusiveLock", "ROW EXCLUSIVE"),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE"),
    ("ShareLock", "SHARE"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
    ("ExclusiveLock", "EXCLUSIVE"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE"),
];
const ROW_SHARE: LockName = LockName(1);
const SHARE: LockName = LockName(4);

impl LockName {
    fn of_server(name: &str) -> Self {
        Self(MODES.iter().position(|(server, _)| *server == name).unwrap())
    }

    fn of_plan(mode: LockMode) -> Self {
        Self(MODES.iter().position(|(_, manual)| *manual == mode.name()).unwrap())
    }

    fn name(self) -> &'static str {
        MODES[self.0].1
    }
}

struct Run<'plan, 'lab> {
    session: Session,
    observer: Session,
    database: &'lab Database<'lab>,
    pid: String,
    /// Tables that clients use: those that were there when the phase began. By oid, every name they have had.
    names: BTreeMap<u32, BTreeSet<String>>,
    /// Names of all tables that there are or were.
    known: BTreeSet<String>,
    alone: Vec<(&'plan Step, Observed)>,
}

const TABLES: &str = "select c.oid, c.relname from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace";

impl<'plan, 'lab> Run<'plan, 'lab> {
    fn new(database: &'lab Database<'lab>) -> Result<Self, String> {
        let mut session = database.connect()?;
        let observer = database.connect()?;
        let pid = session.value("select pg_backend_pid()").map_err(|failure| failure.to_string())?.unwrap();
        let mut run = Self { session, observer, database, pid, names: BTreeMap::new(), known: BTreeSet::new(), alone: Vec::new() };
        for (oid, name) in run.tables().map_err(|failure| failure.to_string())? {
            run.known.insert(name.clone());
            run.names.entry(oid).or_default().insert(name);
        }
        Ok(run)
    }

    fn tables(&mut self) -> Result<Vec<(u32, String)>, Failure> {
        pairs(&mut self.observer, TABLES)
    }

    fn transaction(&mut self, phase: Phase, transaction: &Transaction<'plan>, reports: &mut Vec<String>) -> Result<(), String> {
        let alone = transaction.statements.iter().any(|statement| needs_no_transaction(&statement.text));
        let mut observed = if alone {
            if let Some(step) = transaction.steps.iter().find(|step| step.footprint.transactional) {
                reports.push(format!("{}: {} can't run in a transaction, and the plan says that it can", phase.name(), step.id));
            }
            self.held_up(&transaction.statements[0].text)?
        } else {
            self.inside(&transaction.statements)?
        };
        observed.statement = transaction
            .statements
            .iter()
            .map(|statement| statement.text.lines().filter(|line| !line.trim().starts_with("--")).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("; ");
        for (oid, name) in self.tables().map_err(|failure| failure.to_string())? {
            self.known.insert(name.clone());
            if let Some(names) = self.names.get_mut(&oid) {
                names.insert(name);
            }
        }
        let names = &self.names;
        let name = |oid: &u32| names[oid].iter().cloned().collect::<Vec<_>>().join("/");
        for table in &observed.rewritten {
            if !transaction.steps.iter().any(|step| step.footprint.cost == Cost::Rewrite) {
                reports.push(format!("{}: {} was written anew by {}", phase.name(), name(table), observed.statement));
            }
        }
        for table in &observed.scans {
            if observed.locks.get(table).is_some_and(|mode| *mode >= SHARE) {
                reports.push(format!(
                    "{}: {} was read whole under {} by {}",
                    phase.name(),
                    name(table),
                    observed.locks[table].name(),
                    observed.statement
                ));
            }
        }
        match transaction.steps.as_slice() {
            // The statements of a step commit one by one: what they took is compared together, below.
            [step] if !transaction.unit => self.alone.push((step, observed)),
            steps => compare(phase, steps, &observed, &self.names, &self.known, reports),
        }
        Ok(())
    }

    /// In a transaction, whose locks are read before it commits.
    fn inside(&mut self, statements: &[Statement]) -> Result<Observed, String> {
        let text = |failure: Failure| failure.to_string();
        let files = "select c.oid, coalesce(pg_relation_filenode(c.oid), 0) from pg_class c where c.relkind in ('r', 'i') and c.relnamespace = 'public'::regnamespace";
        let scans = "select relid, coalesce(seq_scan, 0) from pg_stat_xact_user_tables";
        let sets = statements
            .iter()
            .all(|statement| statement.text.lines().any(|line| line.starts_with("set ")) && !statement.text.contains("do $crossfade$"));
        if sets {
            for statement in statements {
                self.session.run(&statement.text).map_err(text)?;
            }
            return Ok(Observed::default());
        }
        self.session.run("begin").map_err(text)?;
        let files_before: BTreeMap<u32, String> = pairs(&mut self.session, files).map_err(text)?.into_iter().collect();
        let scans_before: BTreeMap<u32, String> = pairs(&mut self.session, scans).map_err(text)?.into_iter().collect();
        for statement in statements {
            self.session.run(&statement.text).map_err(|failure| format!("line {}: {failure}", statement.line))?;
        }
        let mut observed = Observed::default();
        self.read_locks(&mut observed)?;
        for (oid, count) in pairs(&mut self.session, scans).map_err(text)? {
            let before = scans_before.get(&oid).map_or(0, |count| count.parse::<i64>().unwrap());
            if count.parse::<i64>().unwrap() > before && self.names.contains_key(&oid) {
                observed.scans.insert(oid);
            }
        }
        for (oid, file) in pairs(&mut self.session, files).map_err(text)? {
            if files_before.get(&oid).is_some_and(|before| *before != file) && self.names.contains_key(&oid) {
                observed.rewritten.insert(oid);
            }
        }
        self.session.run("commit").map_err(text)?;
        Ok(observed)
    }

    /// Outside of a transaction: another session keeps it from ending, until its locks have been read.
    fn held_up(&mut self, statement: &str) -> Result<Observed, String> {
        let text = |failure: Failure| failure.to_string();
        let mut holder = self.database.connect()?;
        holder.run("begin isolation level repeatable read").map_err(text)?;
        let tables: Vec<String> = self.tables().map_err(text)?.into_iter().map(|(_, name)| name).collect();
        for table in &tables {
            // Index builds wait for its snapshot, a batch of rows for its row locks.
            holder.run(&format!("select * from public.{} for update", support::shape::quoted(table))).map_err(text)?;
        }
        let done = AtomicBool::new(false);
        let mut observed = Observed::default();
        let (pid, observer, names) = (self.pid.clone(), &mut self.observer, &self.names);
        let session = &mut self.session;
        let result = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                let result = session.run(statement);
                done.store(true, Ordering::SeqCst);
                result
            });
            let mut released = false;
            let mut seen = Ok(());
            while !done.load(Ordering::SeqCst) {
                seen = seen.and_then(|()| locks_of(observer, &pid, names, &mut observed));
                let waits = observer.value(&format!("select wait_event_type from pg_stat_activity where pid = {pid}"));
                if !released && !observed.locks.is_empty() && waits.is_ok_and(|waits| waits.as_deref() == Some("Lock")) {
                    seen = seen.and_then(|()| locks_of(observer, &pid, names, &mut observed));
                    released = true;
                    seen = seen.and_then(|()| holder.run("commit").map(drop));
                }
            }
            seen.map_err(|failure| failure.to_string())?;
            running.join().unwrap().map_err(|failure| failure.to_string())
        });
        result?;
        Ok(observed)
    }

    fn read_locks(&mut self, observed: &mut Observed) -> Result<(), String> {
        locks_of(&mut self.observer, &self.pid, &self.names, observed).map_err(|failure| failure.to_string())
    }
}

fn locks_of(observer: &mut Session, pid: &str, names: &BTreeMap<u32, BTreeSet<String>>, observed: &mut Observed) -> Result<(), Failure> {
    let query = format!(
        "select relation, mode from pg_locks where pid = {pid} and locktype = 'relation' and database = (select oid from pg_database where datname = current_database())"
    );
    for (oid, mode) in pairs(observer, &query)? {
        if names.contains_key(&oid) {
            let mode = LockName::of_server(&mode);
            let entry = observed.locks.entry(oid).or_insert(mode);
            *entry = (*entry).max(mode);
        }
    }
    Ok(())
}

fn pairs(session: &mut Session, query: &str) -> Result<Vec<(u32, String)>, Failure> {
    Ok(session.run(query)?.rows.into_iter().map(|row| (row[0].as_deref().unwrap().parse().unwrap(), row[1].clone().unwrap())).collect())
}

fn needs_no_transaction(statement: &str) -> bool {
    let code: String = statement.lines().filter(|line| !line.trim().starts_with("--")).collect::<Vec<_>>().join("\n");
    let code = code.trim_start().to_lowercase();
    code.starts_with("create index concurrently")
        || code.starts_with("create unique index concurrently")
        || code.starts_with("drop index concurrently")
        || (code.starts_with("do ") && code.lines().any(|line| line.trim() == "commit;"))
}

/// What was seen equals what the steps say. Locks up to ROW SHARE keep nobody waiting, so they need not be listed.
fn compare(
    phase: Phase,
    steps: &[&Step],
    observed: &Observed,
    names: &BTreeMap<u32, BTreeSet<String>>,
    known: &BTreeSet<String>,
    reports: &mut Vec<String>,
) {
    let mut promised: BTreeMap<&str, LockName> = BTreeMap::new();
    for lock in steps.iter().flat_map(|step| &step.footprint.locks) {
        let entry = promised.entry(lock.table.as_str()).or_insert(LockName(0));
        *entry = (*entry).max(LockName::of_plan(lock.mode));
    }
    let ids = steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>().join(" + ");
    let what = if ids.is_empty() { format!("`{}`", observed.statement) } else { ids };
    for (table, known) in names {
        let said = known.iter().filter_map(|name| promised.remove(name.as_str())).max();
        let seen = observed.locks.get(table).copied();
        let equal = match (said, seen) {
            (None, None) => true,
            (None, Some(seen)) => seen <= ROW_SHARE,
            (Some(said), Some(seen)) => said == seen,
            (Some(_), None) => false,
        };
        if !equal {
            let name = known.iter().cloned().collect::<Vec<_>>().join("/");
            reports.push(format!(
                "{}: {what}: the plan says {} on {name}, the server takes {}",
                phase.name(),
                said.map_or("nothing", LockName::name),
                seen.map_or("nothing", LockName::name)
            ));
        }
    }
    // What is left are tables that this phase made itself, which nobody uses yet.
    for name in promised.into_keys().filter(|name| !known.contains(*name)) {
        reports.push(format!("{}: {what}: the plan locks {name}, which is no table", phase.name()));
    }
}
