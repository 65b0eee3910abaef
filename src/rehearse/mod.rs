//! The plan, proved before it is run: both versions write to a real database through every phase, beside a plain database of
//! each version to which the same is done, and what each sees must be what the laws say.
//!
//! Invariant: what a value should be is asked of a plain database and of the author's own expressions, never of the scripts that
//! are tried. The same seed gives the same statements.

mod bout;
pub mod catalog;
mod held;
mod law;
#[cfg(feature = "mysql")]
mod mysql;
mod place;
mod policy;
#[cfg(feature = "postgres")]
mod postgres;
mod random;
mod report;
mod scripts;
mod shape;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stall;
mod stream;
mod values;
mod workload;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::diff::model::Diff;
use crate::emit::Scripts;
use crate::engine::{Connection, Failure};
use crate::plan::model::{Hazard, Phase, Plan};
use crate::run::Task;
use crate::snapshot::model::{Access, Column, Identity, Schema};
use crate::sql::Dialect;
use crate::sql::quote::ident;
use crate::sql::split::Statement;

pub use law::Law;
pub(crate) use report::junit_document;
pub use report::{Broke, LensClass, LensSeen, Report};
pub use shape::Side;
pub use stall::{Measure, Stall};

use catalog::{Line, Part};
use place::{Database, Place, Refusal};
use random::Random;
use shape::{Pair, View};
use workload::Workload;
use world::{Event, Given, Kind, Row, Sight, TABLE, World, Write};

/// What is rehearsed.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The way from the old schema to the new one.
    pub diff: &'a Diff<'a>,
    /// Its plan.
    pub plan: &'a Plan,
    /// Its scripts.
    pub scripts: Scripts,
    /// What installs the old snapshot alone.
    pub install_old: Scripts,
    /// What installs the new snapshot alone, with the access of the plan.
    pub install_new: Scripts,
    /// What installs the new snapshot alone, without a namespace of its own.
    pub install_plain: Scripts,
    /// The user's own rows by table of the old snapshot, each as columns with literals.
    pub samples: BTreeMap<String, Vec<BTreeMap<String, String>>>,
}

/// How it is rehearsed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The same seed gives the same statements.
    pub seed: u64,
    /// The laws that are asked; none: all.
    pub laws: BTreeSet<Law>,
    /// How many histories are lived through.
    pub histories: usize,
    /// No history begins after this time. `None`: all of them are lived through, so that a seed says all.
    pub time: Option<Duration>,
    /// How long a shorter history is looked for that breaks the same law.
    pub shrink: Duration,
    /// How many kills of each script are tried.
    pub kills: usize,
    /// Set once somebody wants the rehearsal to end at once.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            laws: BTreeSet::new(),
            histories: 6,
            time: None,
            shrink: Duration::from_secs(20),
            kills: 12,
            stop: Arc::default(),
        }
    }
}

/// The rehearsal itself could not go on: no law is to blame.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Stopped(failure.to_string())
    }
}

/// A law that was seen to be broken.
#[derive(Debug, Clone)]
struct Broken {
    law: Law,
    /// From 1; 0: no change of its own.
    change: usize,
    /// The table, if it is about one.
    table: String,
    /// What was looked at.
    what: String,
    expected: String,
    seen: String,
}

/// Why a history does not go on.
#[derive(Debug)]
enum Trouble {
    Broken(Broken),
    Stopped(Stopped),
    /// It has come to where nothing more can be asked.
    Over,
}

impl From<Stopped> for Trouble {
    fn from(stopped: Stopped) -> Self {
        Trouble::Stopped(stopped)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Stopped(failure.into())
    }
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Trouble::Broken(broken)
    }
}

/// What was done and held.
#[derive(Debug, Clone, Default)]
struct Tally {
    statements: u64,
    refused: u64,
    /// How often several clients wrote at once, and how often one of them waited for another one.
    bouts: u64,
    waits: u64,
    /// How often a law was asked of a change and held.
    held: BTreeMap<(Law, usize), u64>,
    /// The longest times that clients had to wait.
    stalls: Vec<Stall>,
}

impl Tally {
    fn hold(&mut self, law: Law, change: usize) {
        *self.held.entry((law, change)).or_default() += 1;
    }

    fn add(&mut self, other: Tally) {
        self.statements += other.statements;
        self.refused += other.refused;
        self.bouts += other.bouts;
        self.waits += other.waits;
        for stall in other.stalls {
            self.keep_stall(stall);
        }
        for (key, count) in other.held {
            *self.held.entry(key).or_default() += count;
        }
    }
}

/// What was asked of a lens: the pair of tables, the columns that it gives, the side that it reads, the expressions, and the row.
type Asked = (usize, Vec<usize>, Side, Vec<Option<String>>, Row);

/// Where one subject is rehearsed.
struct Lab<'a> {
    dialect: Dialect,
    place: &'a dyn Place,
    subject: &'a Subject<'a>,
    pairs: Vec<Pair<'a>>,
    /// The namespace of the new version, in versioned access.
    version: Option<String>,
    next: &'a Cell<u32>,
    /// What lenses gave so far.
    given: RefCell<BTreeMap<Asked, Given>>,
    /// How many kills of each script are tried.
    kills: usize,
    /// Set once the rehearsal is to end.
    stop: Arc<AtomicBool>,
    /// Whether a foreign key may be looked at late.
    has_deferred: bool,
    /// The old and the new snapshot alone, empty.
    old: Database<'a>,
    new: Database<'a>,
    old_catalog: Vec<Line>,
    new_catalog: Vec<Line>,
}

/// What rehearsals are held on: SQLite in this process, or a server.
pub struct Venue {
    place: Box<dyn Place>,
}

impl fmt::Debug for Venue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Venue").field("product", &self.product()).finish()
    }
}

impl Venue {
    /// A throw-away server of programs that are found on this machine. `url`: a server that is there, on which databases of the
    /// rehearsal's own are made and dropped.
    ///
    /// # Errors
    /// When there is no such engine, or it can't be reached.
    pub fn open(dialect: Dialect, url: Option<&str>) -> Result<Self, Stopped> {
        let place: Box<dyn Place> = match (dialect, url) {
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, None) => Box::new(sqlite::Sqlite::new()?),
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, None) => Box::new(postgres::Postgres::start()?),
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Some(url)) => Box::new(postgres::Postgres::at(url)?),
            #[cfg(feature = "mysql")]
            (Dialect::Mysql | Dialect::Mariadb, None) => Box::new(mysql::Mysql::start(dialect)?),
            #[cfg(feature = "mysql")]
            (Dialect::Mysql | Dialect::Mariadb, Some(url)) => Box::new(mysql::Mysql::at(url, dialect)?),
            (Dialect::Sqlite, Some(_)) => {
                return Err(Stopped("SQLite is rehearsed in this process, on files of its own: leave `--url` away".to_owned()));
            }
            #[allow(unreachable_patterns, reason = "a build may leave engines out")]
            (other, _) => return Err(Stopped(format!("this build has no driver for {}", other.name()))),
        };
        Ok(Self { place })
    }

    /// What runs there: `PostgreSQL 15.18`.
    pub fn product(&self) -> String {
        self.place.product()
    }
}

/// The database that scripts are compiled for where scripts name theirs: a connection says its own name in its place.
const COMPILED_FOR: &str = "crossfade_rehearse_0_0";

/// The database that scripts to be rehearsed are compiled for, where scripts name theirs. It stands nowhere else in them.
pub fn database_name(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Postgres | Dialect::Sqlite => None,
        Dialect::Mysql | Dialect::Mariadb => Some(COMPILED_FOR),
    }
}

/// Rehearses a plan.
///
/// # Errors
/// When the rehearsal can't be held: the venue is lost, or a snapshot can't be installed.
pub fn rehearse_at(venue: &Venue, subject: &Subject<'_>, options: &Options) -> Result<Report, Stopped> {
    let place = &venue.place;
    let next = Cell::new(0);
    let started = Instant::now();
    let lab = Lab::new(place.as_ref(), subject, &next, options)?;
    let mut report = Report::new(&lab, options);
    let wanted = |law: Law| options.laws.is_empty() || options.laws.contains(&law);
    let over = || options.time.is_some_and(|time| started.elapsed() >= time);
    let mut told: BTreeSet<(Law, String)> = BTreeSet::new();
    for number in 0..options.histories {
        if number > 0 && over() {
            break;
        }
        let mut world = World::new(&lab)?;
        let mut events = Vec::new();
        let workload = Workload::new(&lab, Random::new(options.seed, number as u64), 0);
        let outcome = live(&lab, &mut world, workload, number, &mut events);
        report.histories += 1;
        report.tally.add(std::mem::take(&mut world.tally));
        for (lens, sights) in std::mem::take(&mut world.seen) {
            report.sights.entry(lens).or_default().extend(sights);
        }
        let rows = std::mem::take(&mut world.seed_rows);
        drop(world);
        match outcome {
            Ok(()) => {}
            Err(Trouble::Over) => report.cut_short += 1,
            Err(Trouble::Stopped(stopped)) => return Err(stopped),
            Err(Trouble::Broken(broken)) => {
                if wanted(broken.law) && told.insert((broken.law, broken.table.clone())) {
                    lab.go_on()?;
                    let events = shrink(&lab, events, &broken, options.shrink);
                    let broken = replay(&lab, &events).unwrap_or(broken);
                    report.broke(&lab, &broken, &events);
                }
            }
        }
        if number == 0 {
            let mut found = scripts::laws(&lab, &rows, &mut report.tally, options.seed)?;
            if place.has_crowds() && (wanted(Law::LockBudget) || wanted(Law::End)) {
                found.extend(stream::laws(&lab, &rows, &mut report.tally)?);
            }
            for broken in found {
                if wanted(broken.law) && told.insert((broken.law, format!("{} {}", broken.table, broken.what))) {
                    report.broke(&lab, &broken, &[]);
                }
            }
        }
        if !report.broken.is_empty() {
            break;
        }
    }
    report.look_at_lenses(&lab, wanted(Law::RoundTrip));
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Rehearses upgrades that follow each other: each begins on the database that the one before has left behind, with its rows. Only
/// histories are lived through; what a plan's scripts do alone is asked by [`rehearse_at`].
///
/// # Errors
/// As [`rehearse_at`].
pub fn rehearse_chain_at(venue: &Venue, subjects: &[Subject<'_>], options: &Options) -> Result<Vec<Report>, Stopped> {
    let next = Cell::new(0);
    let mut reports = Vec::new();
    for number in 0..options.histories {
        let mut labs = Vec::new();
        for subject in subjects {
            labs.push(Lab::new(venue.place.as_ref(), subject, &next, options)?);
        }
        let mut left: Option<Database<'_>> = None;
        // Abort gives back what the upgrade before has made.
        for place in 1..labs.len() {
            let made = labs[place - 1].new_catalog.clone();
            labs[place].old_catalog = made;
        }
        for (place, lab) in labs.iter().enumerate() {
            let started = Instant::now();
            let mut report = Report::new(lab, options);
            report.histories = 1;
            let mut world = match &left {
                Some(database) => World::after(lab, database)?,
                None => World::new(lab)?,
            };
            let mut events = Vec::new();
            // Keys of its own for each upgrade.
            let workload = Workload::new(lab, Random::new(options.seed, number as u64), place * 1000);
            let outcome = live(lab, &mut world, workload, number, &mut events);
            report.tally = std::mem::take(&mut world.tally);
            report.sights =
                std::mem::take(&mut world.seen).into_iter().map(|(lens, sights)| (lens, sights.into_iter().collect())).collect();
            let went_through = outcome.is_ok();
            match outcome {
                Ok(()) => report.look_at_lenses(lab, options.laws.is_empty() || options.laws.contains(&Law::RoundTrip)),
                Err(Trouble::Over) => report.cut_short = 1,
                Err(Trouble::Stopped(stopped)) => return Err(stopped),
                Err(Trouble::Broken(broken)) => report.broke(lab, &broken, &events),
            }
            report.seconds = started.elapsed().as_secs_f64();
            reports.push(report);
            if !went_through {
                break;
            }
            left = Some(world.leave());
        }
    }
    Ok(reports)
}

/// How often the clients of both versions write at once in a history.
const BOUTS: usize = 2;

/// One history, from the old snapshot to the new one.
fn live<'lab>(
    lab: &'lab Lab<'lab>,
    world: &mut World<'lab>,
    mut workload: Workload<'lab>,
    number: usize,
    events: &mut Vec<Event>,
) -> Result<(), Trouble> {
    let mut happen = |world: &mut World<'lab>, event: Event| {
        events.push(event.clone());
        world.happen(&event)
    };
    for write in lab.samples() {
        happen(world, Event::Write(write))?;
    }
    let tables = lab.pairs.iter().filter(|pair| pair.old.is_some()).count();
    for _ in 0..tables * 6 {
        if let Some(write) = workload.seed(world)? {
            happen(world, Event::Write(write))?;
        }
    }
    let some = |world: &mut World<'lab>,
                workload: &mut Workload<'lab>,
                happen: &mut dyn FnMut(&mut World<'lab>, Event) -> Result<(), Trouble>,
                count: usize,
                sides: &[Side]| {
        for _ in 0..count {
            let Some(side) = workload.random.pick(sides).copied() else { continue };
            if let Some(write) = workload.next(world, side)? {
                happen(world, Event::Write(write))?;
            }
        }
        Ok::<(), Trouble>(())
    };
    // Expand and contract are run in every other history while clients write, migrate always.
    let phase = |world: &mut World<'lab>,
                 workload: &mut Workload<'lab>,
                 happen: &mut dyn FnMut(&mut World<'lab>, Event) -> Result<(), Trouble>,
                 phase: Phase| {
        let side = if phase == Phase::Contract { Side::New } else { Side::Old };
        let crowded = lab.place.has_crowds() && (phase == Phase::Migrate || number.is_multiple_of(2) == (phase == Phase::Expand));
        let bout = if crowded { workload.bout(world, &[side], Some(phase))? } else { None };
        happen(world, bout.map_or(Event::Run(phase), Event::Together))
    };
    some(world, &mut workload, &mut happen, 6, &[Side::Old])?;
    phase(world, &mut workload, &mut happen, Phase::Expand)?;
    // Who writes between the two fills what migrate would fill: in every other history nobody does.
    let between = if number.is_multiple_of(2) { 12 } else { 0 };
    some(world, &mut workload, &mut happen, between, &[Side::Old])?;
    happen(world, Event::TryAbort)?;
    phase(world, &mut workload, &mut happen, Phase::Migrate)?;
    some(world, &mut workload, &mut happen, 20, &[Side::Old, Side::New])?;
    happen(world, Event::TryAbort)?;
    some(world, &mut workload, &mut happen, 12, &[Side::Old, Side::New])?;
    for _ in 0..BOUTS {
        if lab.place.has_crowds()
            && let Some(bout) = workload.bout(world, &[Side::Old, Side::New], None)?
        {
            happen(world, Event::Together(bout))?;
        }
    }
    some(world, &mut workload, &mut happen, 13, &[Side::Old, Side::New])?;
    phase(world, &mut workload, &mut happen, Phase::Contract)?;
    some(world, &mut workload, &mut happen, 14, &[Side::New])
}

/// What a recorded history breaks.
fn replay(lab: &Lab<'_>, events: &[Event]) -> Option<Broken> {
    let mut world = World::new(lab).ok()?;
    for event in events {
        match world.happen(event) {
            Ok(()) => {}
            Err(Trouble::Broken(broken)) => return Some(broken),
            Err(Trouble::Stopped(_) | Trouble::Over) => return None,
        }
    }
    None
}

/// The shortest history that breaks the same law of the same table, by leaving out what does not matter.
fn shrink(lab: &Lab<'_>, mut events: Vec<Event>, broken: &Broken, budget: Duration) -> Vec<Event> {
    let started = Instant::now();
    let same = |events: &[Event]| {
        started.elapsed() < budget && replay(lab, events).is_some_and(|found| found.law == broken.law && found.table == broken.table)
    };
    // Most likely it is the last event that shows it, and nobody need have written at once before.
    let Some(last) = events.len().checked_sub(1) else { return events };
    let alone: Vec<Event> = events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| match event {
            _ if at == last => Some(event.clone()),
            Event::Together(bout) => bout.phase.map(Event::Run),
            Event::TryAbort => None,
            Event::Write(_) | Event::Run(_) => Some(event.clone()),
        })
        .collect();
    if alone.len() < events.len() && same(&alone) {
        events = alone;
    }
    while let Some(Event::Together(bout)) = events.last() {
        let each = bout.clients.iter().enumerate().flat_map(|(who, writes)| (0..writes.len()).map(move |statement| (who, statement)));
        let fewer = each.map(|(who, statement)| {
            let mut fewer = events.clone();
            fewer.pop();
            fewer.push(Event::Together(bout.without(who, statement)));
            fewer
        });
        let Some(fewer) = fewer.into_iter().find(|fewer| same(fewer)) else { break };
        events = fewer;
    }
    let mut size = events.len() / 2;
    while size > 0 && started.elapsed() < budget {
        let mut at = 0;
        while at < events.len() && started.elapsed() < budget {
            let end = (at + size).min(events.len());
            let fewer: Vec<Event> = events
                .iter()
                .enumerate()
                .filter(|(index, event)| *index < at || *index >= end || event.is_phase())
                .map(|(_, event)| event.clone())
                .collect();
            if fewer.len() < events.len() && same(&fewer) {
                events = fewer;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    events
}

impl<'a> Lab<'a> {
    fn new(place: &'a dyn Place, subject: &'a Subject<'a>, next: &'a Cell<u32>, options: &Options) -> Result<Self, Stopped> {
        let dialect = subject.diff.dialect;
        let install = |scripts: &Scripts, what: &str| -> Result<Database<'a>, Stopped> {
            let database = fresh(place, &subject.plan.schema, next);
            place.create(database.number, database.schema)?;
            let mut session = database.connect()?;
            for script in [&scripts.expand, &scripts.migrate, &scripts.contract] {
                for statement in world::split(dialect, script) {
                    session
                        .run(&statement.text)
                        .map_err(|failure| Stopped(format!("the {what} snapshot can't be installed: {failure}")))?;
                }
            }
            Ok(database)
        };
        let old = install(&subject.install_old, "old")?;
        let new = install(&subject.install_plain, "new")?;
        let catalog = |database: &Database<'a>| -> Result<Vec<Line>, Stopped> { Ok(place.catalog(database.connect()?.as_mut())?) };
        let old_catalog = catalog(&old)?;
        let version = (subject.plan.access == Access::Versioned).then(|| subject.plan.new_version.clone());
        let new_catalog = if version.is_some() { catalog(&install(&subject.install_new, "new")?)? } else { catalog(&new)? };
        let pairs = shape::pairs(subject.diff, subject.plan);
        let views = pairs.iter().flat_map(|pair| [&pair.old, &pair.new]).flatten();
        let has_deferred = views.into_iter().any(|view| view.table.foreign_keys.iter().any(|key| key.deferrable));
        Ok(Lab {
            dialect,
            place,
            subject,
            pairs,
            version,
            next,
            given: RefCell::default(),
            kills: options.kills,
            stop: Arc::clone(&options.stop),
            has_deferred,
            old,
            new,
            old_catalog,
            new_catalog,
        })
    }

    /// An error once the rehearsal is to end.
    fn go_on(&self) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) { Err(Stopped("it was stopped".to_owned())) } else { Ok(()) }
    }

    fn copy(&self, from: &Database<'_>) -> Result<Database<'a>, Stopped> {
        self.go_on()?;
        let copy = fresh(self.place, &self.subject.plan.schema, self.next);
        self.place.copy(from.number, copy.number)?;
        Ok(copy)
    }

    fn is_versioned(&self) -> bool {
        self.version.is_some()
    }

    /// The version whose namespace the clients of a side enter, if one.
    fn namespace_of(&self, side: Side) -> Option<&str> {
        self.version.as_deref().filter(|_| side == Side::New)
    }

    /// How SQL names a relation of a version in the database under migration.
    fn relation(&self, side: Side, name: &str) -> String {
        let plain = ident(name, self.dialect);
        let Some(version) = self.namespace_of(side) else {
            // A client of the namespace finds that first.
            return match self.dialect {
                Dialect::Sqlite => plain,
                _ if !self.is_versioned() => plain,
                Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => {
                    format!("{}.{plain}", ident(&self.subject.plan.schema, self.dialect))
                }
            };
        };
        match self.dialect {
            Dialect::Sqlite => ident(&crate::dialect::sqlite::namespace_name(name, version), self.dialect),
            Dialect::Postgres | Dialect::Mysql | Dialect::Mariadb => {
                format!("{}.{plain}", ident(&self.subject.plan.namespace(version), self.dialect))
            }
        }
    }

    /// A statement as its client says it in the database under migration.
    fn reached(&self, write: &Write) -> String {
        let name = self.pairs.get(write.pair).and_then(|pair| pair.view(write.side)).map_or("", |view| view.table.name.as_str());
        write.sql.replace(TABLE, &self.relation(write.side, name))
    }

    fn schema(&self, side: Side) -> &'a Schema {
        match side {
            Side::Old => self.subject.diff.old,
            Side::New => self.subject.diff.new,
        }
    }

    fn statements(&self, task: Task) -> Vec<Statement> {
        let scripts = &self.subject.scripts;
        let text = match task {
            Task::Phase(Phase::Expand) => &scripts.expand,
            Task::Phase(Phase::Migrate) => &scripts.migrate,
            Task::Phase(Phase::Contract) => &scripts.contract,
            Task::Abort => &scripts.abort,
        };
        world::split(self.dialect, text)
    }

    /// The user's own rows, as the old version writes them.
    fn samples(&self) -> Vec<Write> {
        let mut writes = Vec::new();
        for (number, pair) in self.pairs.iter().enumerate() {
            let Some(view) = &pair.old else { continue };
            for row in self.subject.samples.get(&view.table.name).into_iter().flatten() {
                let names: Vec<String> = row.keys().map(|name| ident(name, self.dialect)).collect();
                let values: Vec<&str> = row.values().map(String::as_str).collect();
                let sql = format!("insert into {TABLE} ({}){} values ({})", names.join(", "), self.overriding(view), values.join(", "));
                writes.push(Write { side: Side::Old, pair: number, kind: Kind::Insert, sql, numbered: None });
            }
        }
        writes
    }

    /// What an INSERT says that gives a number which the server would give.
    fn overriding(&self, view: &View<'_>) -> &'static str {
        let always = view.columns.iter().any(|column| column.identity == Some(Identity::Always));
        if always && self.dialect == Dialect::Postgres { " overriding system value" } else { "" }
    }

    /// Whether the new version's own defaults are there before contract.
    fn has_view_defaults(&self) -> bool {
        self.is_versioned() && matches!(self.dialect, Dialect::Postgres | Dialect::Sqlite)
    }

    fn default_values(&self) -> String {
        match self.dialect {
            Dialect::Postgres | Dialect::Sqlite => format!("insert into {TABLE} default values"),
            Dialect::Mysql | Dialect::Mariadb => format!("insert into {TABLE} () values ()"),
        }
    }

    fn has_returning(&self) -> bool {
        matches!(self.dialect, Dialect::Postgres | Dialect::Sqlite)
    }

    /// The condition that a row has this key.
    fn is_row(&self, view: &View<'_>, key: &[String]) -> String {
        let equals: Vec<String> = view
            .key
            .iter()
            .zip(key)
            .map(|(at, value)| {
                let name = ident(&view.columns[*at].name, self.dialect);
                if value == "NULL" { format!("{name} is null") } else { format!("{name} = {value}") }
            })
            .collect();
        if equals.is_empty() { "1 = 0".to_owned() } else { equals.join(" and ") }
    }

    fn insert(&self, table: &str, view: &View<'_>, positions: &[usize], value: &dyn Fn(usize) -> String) -> String {
        if positions.is_empty() {
            return self.default_values().replace(TABLE, table);
        }
        let names: Vec<String> = positions.iter().map(|at| ident(&view.columns[*at].name, self.dialect)).collect();
        let values: Vec<String> = positions.iter().map(|at| value(*at)).collect();
        format!("insert into {table} ({}){} values ({})", names.join(", "), self.overriding(view), values.join(", "))
    }

    /// Whether a plain database of the version takes a value that the database under migration holds: NULL may stand there in a
    /// column that takes none.
    fn is_storable(&self, side: Side, column: &Column, value: &str) -> bool {
        side == Side::New || value != "NULL" || !column.not_null
    }

    /// A value as a plain database of the old version can hold it: where nothing gives one, any that keeps the rule.
    fn storable(&self, side: Side, column: &Column, value: &str) -> String {
        if self.is_storable(side, column, value) {
            return value.to_owned();
        }
        values::pool(column, self.schema(side), &[], self.dialect).first().cloned().unwrap_or_else(|| value.to_owned())
    }

    /// Whether the plan says that a version's write may be refused by a rule of this kind.
    fn declares(&self, pair: usize, refusal: Refusal) -> bool {
        self.pairs.get(pair).is_some_and(|pair| pair.rules.contains(&refusal))
    }

    /// Whether rows of the old version may be no rows of the new one.
    fn declares_loss_of_row(&self, pair: usize) -> bool {
        self.pairs.get(pair).is_some_and(|pair| !pair.rules.is_empty())
    }

    /// Whether only the scripts can say that rows break the new rules: rows of another table, or that nothing tells apart.
    fn has_late_rules(&self) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.is_mirrored || (pair.relation.is_none() && pair.old.is_some() && pair.new.is_some() && !pair.rules.is_empty()))
    }

    /// Whether abort may refuse what the new version wrote.
    fn abort_may_refuse(&self) -> bool {
        self.pairs.iter().any(|pair| !pair.rules.is_empty())
    }

    /// Whether the plan says that nothing tells who inserted, as far as a lens of this table goes.
    fn is_ambiguous(&self, pair: usize, link: &shape::Link) -> bool {
        let side = if link.new.is_empty() { Side::Old } else { Side::New };
        let Some(view) = self.pairs.get(pair).and_then(|pair| pair.view(side)) else { return false };
        let names: Vec<&str> = link.of(side).iter().map(|at| view.columns[*at].name.as_str()).collect();
        // Where the old version has no default, what can't be told is refused.
        let old = self.pairs[pair].view(Side::Old);
        let is_defaulted = |at: &usize| old.is_some_and(|view| view.columns[*at].default.is_some());
        let is_accepted = link.new.is_empty() || link.old.iter().any(is_defaulted);
        is_accepted && self.has_hazard_of(pair, "insert-ambiguity", &names.join(", "))
    }

    fn has_hazard(&self, pair: usize, code: &str) -> bool {
        self.hazards(pair, code).next().is_some()
    }

    /// The same of these columns of it.
    fn has_hazard_of(&self, pair: usize, code: &str, columns: &str) -> bool {
        self.hazards(pair, code).any(|hazard| hazard.object.rsplit_once('.').is_some_and(|(_, own)| own == columns))
    }

    fn hazards(&self, pair: usize, code: &str) -> impl Iterator<Item = &Hazard> {
        let names = self.names(pair);
        let is_it = move |hazard: &&Hazard| hazard.code == code && names.iter().any(|name| hazard.is_of(name));
        self.subject.plan.hazards.iter().filter(is_it)
    }

    /// Whether an insert gives a value to a column.
    fn gives(&self, write: &Write, column: &Column) -> bool {
        let columns = write.sql.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        columns.is_some_and(|(columns, _)| columns.split(", ").any(|name| name == ident(&column.name, self.dialect)))
    }

    /// Whether the plan says that a column of the old version may show what its type never held.
    fn may_be_longer(&self, pair: usize, column: &str) -> bool {
        self.has_hazard_of(pair, "old-reads-longer", column)
    }

    /// Whether a hazard of the plan says that a write may be refused though both versions' rules take its row.
    fn warns_of(&self, write: &Write, refusal: Refusal) -> bool {
        let number = write.pair;
        let fills = |pair: &Pair<'_>| pair.relation.iter().flat_map(|relation| &relation.links).any(|link| link.fill);
        let refers = |codes: &[&str]| {
            self.pairs.iter().enumerate().any(|(child, pair)| {
                let keys = [&pair.old, &pair.new].into_iter().flatten().flat_map(|view| &view.table.foreign_keys);
                let names = self.names(number);
                let leads_here = keys.into_iter().any(|key| names.contains(&key.ref_table.as_str()));
                (child == number || leads_here) && codes.iter().any(|code| self.has_hazard(child, code))
            })
        };
        self.has_hazard(number, "rule-before-sync")
            || match refusal {
                // SQLite looks at NULL before a trigger can fill it, and the plan says so.
                Refusal::NotNull => {
                    self.has_hazard(number, "old-key-binds")
                        || (self.pairs.get(number).is_some_and(fills) && self.has_hazard(number, "rule-tightened"))
                        || (write.side == Side::New && self.has_hazard(number, "default-comes-late"))
                        || (write.side == Side::New
                            && matches!(write.kind, Kind::Insert | Kind::Bulk)
                            && self.has_hazard(number, "insert-ambiguity"))
                }
                Refusal::Unique => {
                    // Rows of a table without a key can't be looked for in the other version's, which tells them apart.
                    let has_no_key = |pair: &Pair<'_>| pair.old.as_ref().is_some_and(|view| view.table.primary_key.is_none());
                    self.has_hazard(number, "old-key-binds")
                        || (write.numbered.is_some() && self.has_hazard(number, "identity-meets-given"))
                        || (write.side == Side::Old
                            && self.pairs.get(number).is_some_and(has_no_key)
                            && self.has_hazard(number, "unique-rejects-old-writes"))
                }
                Refusal::Reference => refers(&["foreign-key-acts-late", "new-foreign-key-binds", "dropped-table-keys-bind"]),
                Refusal::Check => write.side == Side::New && write.kind != Kind::Insert && self.has_hazard(number, "old-check-binds"),
                Refusal::Value | Refusal::Lock | Refusal::Other => false,
            }
    }

    /// What the versions call a table.
    fn names(&self, pair: usize) -> Vec<&str> {
        let views = self.pairs.get(pair).into_iter().flat_map(|pair| [&pair.old, &pair.new]).flatten();
        views.map(|view| view.table.name.as_str()).collect()
    }

    fn sees(&self, side: Side) -> String {
        format!("what the {} version sees", side.name())
    }

    fn broken(&self, law: Law, pair: usize, what: &str, expected: String, seen: String) -> Broken {
        let found = self.pairs.get(pair);
        Broken {
            law,
            change: found.map_or(0, |pair| pair.change),
            table: found.map_or_else(String::new, |pair| pair.name().to_owned()),
            what: what.to_owned(),
            expected,
            seen,
        }
    }

    fn broken_script(&self, law: Law, script: &str, expected: &str, seen: &str) -> Broken {
        Broken { law, change: 0, table: String::new(), what: format!("{script}.sql"), expected: expected.to_owned(), seen: seen.to_owned() }
    }

    /// After contract the catalog is that of the new snapshot alone.
    fn must_be_new(&self, session: &mut dyn Connection) -> Result<(), Trouble> {
        let found = self.place.catalog(session)?;
        self.same_catalog(Law::End, "the catalog after contract", &self.new_catalog, &found).map_err(Trouble::Broken)
    }

    /// After abort the catalog is that of the old snapshot, but for what the plan says stays.
    fn must_be_old(&self, session: &mut dyn Connection) -> Result<(), Trouble> {
        let found = self.place.catalog(session)?;
        let stays = self.subject.plan.hazards.iter().filter(|hazard| hazard.code == "enum-value-stays");
        let names = stays.flat_map(|hazard| {
            let name = hazard.object.trim_start_matches("enum ");
            let pairs = self.subject.diff.enums.iter().map(|found| [found.pair.old, found.pair.new]);
            let renamed = pairs.filter(move |pair| pair.iter().flatten().any(|one| one.name == name)).flatten().flatten();
            renamed.map(|one| one.name.as_str()).chain([name])
        });
        let starts: Vec<String> = names.map(|name| format!("type {}.{name} ", self.subject.plan.schema)).collect();
        let compared = |lines: &[Line]| -> Vec<Line> {
            lines.iter().filter(|(_, line)| !starts.iter().any(|start| line.starts_with(start.as_str()))).cloned().collect()
        };
        self.same_catalog(Law::Abort, "the catalog after abort", &compared(&self.old_catalog), &compared(&found)).map_err(Trouble::Broken)
    }

    fn same_catalog(&self, law: Law, what: &str, expected: &[Line], found: &[Line]) -> Result<(), Broken> {
        let lines =
            |list: &[Line]| list.iter().filter(|(part, _)| *part == Part::Product).map(|(_, line)| line.clone()).collect::<BTreeSet<_>>();
        let (wanted, there) = (lines(expected), lines(found));
        let missing: Vec<String> = wanted.difference(&there).cloned().collect();
        let left: Vec<String> = there
            .difference(&wanted)
            .cloned()
            .chain(found.iter().filter(|(part, _)| *part == Part::Helper).map(|(_, line)| line.clone()))
            .collect();
        if missing.is_empty() && left.is_empty() {
            return Ok(());
        }
        let or_nothing = |list: Vec<String>| if list.is_empty() { "nothing more".to_owned() } else { list.join("\n") };
        Err(Broken { law, change: 0, table: String::new(), what: what.to_owned(), expected: or_nothing(missing), seen: or_nothing(left) })
    }
}

fn fresh<'a>(place: &'a dyn Place, schema: &'a str, next: &Cell<u32>) -> Database<'a> {
    let number = next.get();
    next.set(number + 1);
    Database { place, number, schema }
}

/// The classes of sights by lens.
type Sights = BTreeMap<String, BTreeSet<Sight>>;
