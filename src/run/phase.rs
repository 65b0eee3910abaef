//! One phase, or the way back: its turn, its gates, its statements.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::backfill;
use super::engine::{Class, Engine, SchemaLock};
use super::look::{clients, holder};
use super::sentry::{Blocker, Sentry, who};
use super::state::{Entry, Revision, State, aside, journal};
use super::verify::{Look, way};
use super::{End, Event, Observer, Options, Stopped, Task};
use crate::emit::live::{self, Backfill, batch_statements};
use crate::emit::program::{Program, Unit, code, keeps_in_step};
use crate::engine::{Connection, Failure};
use crate::plan::model::Phase;

/// The shortest and the longest pause between two tries of a statement that met a lock.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The longest pause before the lock that applications share is tried again: a try holds nobody up.
const READERS_PAUSE: Duration = Duration::from_secs(1);
/// The longest that applications wait for the runner's side of that lock, beside what its statements take themselves.
const BUDGET: Duration = Duration::from_millis(300);
/// How long a pause is slept at once: a stop is heard that soon.
const NAP: Duration = Duration::from_millis(100);

/// A session that has just ended is seen for a moment, and may hold its locks.
const GRACE: Duration = Duration::from_millis(300);
/// How often it is looked whether it has gone.
const GLANCE: Duration = Duration::from_millis(20);

pub(super) type Session = Box<dyn Connection + Send>;

/// Runs one task of a program.
///
/// # Errors
/// Why it did not come to its end. What was done is in the journal: the same call goes on behind it.
pub fn run(engine: &dyn Engine, program: &Program, task: Task, options: &Options<'_>, observer: &dyn Observer) -> Result<End, Stopped> {
    can_keep(engine, options.schema_lock)?;
    at_work(engine, program, Some(task), options, observer, |runner| runner.run(task))
}

/// Does something as the only runner: a task, or a drain.
pub(super) fn at_work(
    engine: &dyn Engine,
    program: &Program,
    task: Option<Task>,
    options: &Options<'_>,
    observer: &dyn Observer,
    work: impl FnOnce(Runner<'_>) -> Result<End, Stopped>,
) -> Result<End, Stopped> {
    let doing = doing(task);
    let mut session = open(engine, &format!("crossfade {doing} {}", program.release))?;
    let alone = || {
        take_lock(engine, session.as_mut(), options, observer)?;
        let id = session
            .value(engine.words().own_id)
            .map_err(|failure| Stopped::by(engine, "the number of the own session can't be asked", &failure))?
            .unwrap_or_default();
        std::thread::scope(|scope| {
            let sentry = Sentry::post(scope, engine, id, observer);
            let allowance = Arc::new(AtomicU64::new(options.max_batches.unwrap_or(u64::MAX)));
            let journal = BTreeMap::new();
            work(Runner {
                engine,
                program,
                task,
                options,
                observer,
                session,
                allowance,
                sentry,
                journal,
                hint: None,
                met_readers: false,
                comment: String::new(),
                offline: false,
            })
        })
    };
    alone().map_err(|stopped: Stopped| {
        stopped.during(doing, &format!("run `crossfade {doing}` again: it goes on behind the last statement that is through"))
    })
}

/// Who asks for the lock that applications share with the runner is not to believe that it is taken.
fn can_keep(engine: &dyn Engine, schema_lock: bool) -> Result<(), Stopped> {
    if !schema_lock || engine.words().schema_lock.is_some() {
        return Ok(());
    }
    let name = engine.dialect().name();
    Err(Stopped::new(format!("`schema_lock: true` in crossfade.yaml can't be kept on {name}: no row of it can be locked"))
        .note("nothing was changed")
        .help("take it out for this database; there a transaction that has begun to write (`begin immediate`) keeps every other writer waiting, the runner too"))
}

/// Whether the application is stopped: nobody is connected but this program.
///
/// # Errors
/// When somebody is, or the server can't be asked.
pub fn nobody_is_connected(engine: &dyn Engine) -> Result<(), Stopped> {
    if !engine.knows_clients() {
        return Ok(());
    }
    let mut session = open(engine, "crossfade sync")?;
    let found = still_seen(|| {
        clients(session.as_mut(), engine).map_err(|failure| Stopped::by(engine, "it can't be asked who is connected", &failure))
    })?;
    if found.is_empty() {
        return Ok(());
    }
    let mut stopped = Stopped::new(format!("{} sessions are connected, and this is for a stopped application", found.len()));
    stopped.notes.extend(found.iter().take(20).map(ToString::to_string));
    Err(stopped.help("stop the application and end these sessions; beside a live one run `crossfade expand`, `migrate` and `contract`"))
}

/// Looks for a while, until nobody is found: a session that has just ended is seen for a moment.
fn still_seen<T>(mut look: impl FnMut() -> Result<Vec<T>, Stopped>) -> Result<Vec<T>, Stopped> {
    let begun = Instant::now();
    loop {
        let found = look()?;
        if found.is_empty() || begun.elapsed() >= GRACE {
            return Ok(found);
        }
        std::thread::sleep(GLANCE);
    }
}

/// What [`run`] would do, as SQL with comments. Nothing is changed.
///
/// # Errors
/// When the task is out of turn, or the server can't be asked.
pub fn dry_run(engine: &dyn Engine, program: &Program, task: Task, schema_lock: bool) -> Result<String, Stopped> {
    can_keep(engine, schema_lock)?;
    same_database(engine, program)?;
    let mut session = open(engine, "crossfade dry run")?;
    let read = |failure: Failure| Stopped::by(engine, "the version tables can't be read", &failure);
    let state = State::read(session.as_mut(), engine).map_err(read)?;
    let journal = if state.is_set_up { journal(session.as_mut(), engine, &program.release).map_err(read)? } else { BTreeMap::new() };
    if let Turn::Done(why) = turn(program, task, &state, &journal)? {
        return Ok(format!("-- {why}\n"));
    }
    same_scripts(program, &journal)?;
    let mut text = String::new();
    if engine.runs_whole() && task == Task::Phase(Phase::Migrate) {
        for backfill in &program.backfills {
            text.push_str(&batches(program, backfill)?);
        }
    }
    let mut comment = String::new();
    for unit in program.units(script(program, task)) {
        if !unit.comment.is_empty() {
            comment.clone_from(&unit.comment);
        }
        let done = journal.get(&step(task, &unit)).filter(|entry| entry.finished && entry.hash == unit.hash());
        if done.is_some() && task != Task::Abort {
            text.push_str(&format!("-- already done: {}/{}: {}\n\n", unit.section, unit.number, unit.title()));
            continue;
        }
        if let Some(backfill) = program.backfill(&unit) {
            text.push_str(&batches(program, backfill)?);
            continue;
        }
        let (mut begin, commit) = if unit.bracketed { ([engine.begin(), ";\n"].concat(), "commit;\n") } else { (String::new(), "") };
        if schema_lock && state.is_set_up && changes_shape(program, &unit, &comment) {
            begin.insert_str(0, "-- When no client holds the lock on crossfade's version, and with it:\n");
        }
        text.push_str(&format!("{begin}{};\n{commit}\n", unit.statements.join(";\n")));
    }
    Ok(text)
}

/// A backfill as a dry run shows it.
fn batches(program: &Program, backfill: &Backfill) -> Result<String, Stopped> {
    let batch = batch_statements(program.dialect, backfill).map_err(|error| Stopped::new(error.to_string()))?;
    Ok(format!(
        "-- In batches, each in a transaction with its checkpoint ({} … are the bounds of a batch):\n{};\n\n",
        live::place(program.dialect, 1),
        batch.work
    ))
}

pub(super) fn open(engine: &dyn Engine, name: &str) -> Result<Session, Stopped> {
    engine.connect(name).map_err(|failure| Stopped::by(engine, format!("can't connect to {}", engine.place()), &failure))
}

/// The name of the command.
fn doing(task: Option<Task>) -> &'static str {
    task.map_or("drain", Task::name)
}

/// Two runners at once would not harm the data, but each would wait for the other's locks.
pub(super) fn take_lock(
    engine: &dyn Engine,
    session: &mut dyn Connection,
    options: &Options<'_>,
    observer: &dyn Observer,
) -> Result<(), Stopped> {
    let words = engine.words();
    let begun = Instant::now();
    let mut told = false;
    loop {
        let free = session.value(words.try_lock).map_err(|failure| Stopped::by(engine, "the lock of runners can't be taken", &failure))?;
        if free.as_deref() == Some("true") {
            return Ok(());
        }
        let holder = holder(session, engine).ok().flatten().unwrap_or_else(|| "one that has just ended".to_owned());
        if begun.elapsed() >= options.wait.max(GRACE) || options.stop.load(Ordering::Relaxed) {
            return Err(Stopped::new(format!("another runner is at work on this database: {holder}"))
                .help("wait for its end, or say `--wait SECONDS`; a runner that was killed holds its lock until the server notices, a few seconds at most"));
        }
        if !told {
            observer.hear(&Event::WaitsForRunner(&holder));
            told = true;
        }
        std::thread::sleep(NAP);
    }
}

/// Whether a task has its turn.
enum Turn {
    Now,
    /// There is nothing to do, and why.
    Done(String),
}

/// The order of the phases. The gates of the scripts say the same again, in the server.
fn turn(program: &Program, task: Task, state: &State, journal: &BTreeMap<String, Entry>) -> Result<Turn, Stopped> {
    let release = &program.release;
    let latest = state.latest();
    let own = state.release(release);
    let mine = latest.filter(|latest| latest.release == *release);
    let phase = mine.map_or("", |mine| mine.phase.as_str());
    let refuse = |message: String, help: &str| Err(Stopped::new(message).help(help));
    let first = |need: &str| {
        refuse(
            format!("{} of {release} can't run before its {need} has finished", task.name()),
            &format!("run `crossfade {need}` first; nothing was changed"),
        )
    };
    let done = |next: &str| Ok(Turn::Done(format!("{} of {release} is done already: {next}", task.name())));
    match task {
        Task::Phase(Phase::Expand) => match (latest, phase) {
            (None, _) | (_, "begun") => Ok(Turn::Now),
            (_, "expand") => done("`crossfade migrate` comes next"),
            (_, "migrate") => done("migrate is done, too; `crossfade contract` comes next, when no client of the old version is left"),
            (_, "contract") => refuse(format!("{release} is contracted already: there is nothing to expand"), "nothing was changed"),
            (Some(latest), _) => expand_behind(program, latest, own),
        },
        Task::Phase(Phase::Migrate) => match phase {
            "expand" => Ok(Turn::Now),
            "migrate" => done("start the new version; `crossfade contract` comes when no client of the old one is left"),
            "contract" => refuse(format!("{release} is contracted already: there is nothing to migrate"), "nothing was changed"),
            _ => first("expand"),
        },
        Task::Phase(Phase::Contract) => match phase {
            "migrate" => Ok(Turn::Now),
            "contract" => done(&format!("the database is at version {}", program.new_version)),
            "expand" => first("migrate"),
            _ => first("expand"),
        },
        Task::Abort => match own {
            None => refuse(format!("there is nothing to abort: expand of {release} has never run here"), "nothing was changed"),
            Some(own) if own.phase == "aborted" => Ok(Turn::Done(format!("{release} is aborted already: `crossfade expand` works again"))),
            Some(own) if own.contract.is_some() || own.phase == "contract" || has_begun_contract(journal) => refuse(
                format!("{release} can't be aborted any more: its contract has begun"),
                "from there on there is only forward: run `crossfade contract` to its end",
            ),
            Some(_) if mine.is_none() => refuse(
                format!("{release} is long past: this database is at version {}", latest.map_or("", |latest| &latest.new_version)),
                "nothing was changed",
            ),
            Some(_) => Ok(Turn::Now),
        },
    }
}

fn has_begun_contract(journal: &BTreeMap<String, Entry>) -> bool {
    journal.keys().any(|step| step.starts_with("contract"))
}

/// Expand of another release than the latest.
fn expand_behind(program: &Program, latest: &Revision, own: Option<&Revision>) -> Result<Turn, Stopped> {
    if own.is_some_and(|own| own.phase != "aborted") {
        return Err(Stopped::new(format!("{} is long done: this database is at version {}", program.release, latest.new_version))
            .help("nothing was changed"));
    }
    if !latest.is_over() {
        return Err(Stopped::new(format!("the upgrade to {} is not finished: its last phase is {}", latest.new_version, latest.phase))
            .help(format!(
                "finish it up to contract, or take it back with `crossfade abort`, from the scripts of {}",
                latest.new_version
            )));
    }
    if program.old_version.as_ref() != Some(&latest.new_version) {
        let start = program.old_version.as_ref().map_or("is a first installation".to_owned(), |old| format!("starts from version {old}"));
        return Err(Stopped::new(format!("this upgrade {start}, and the database is at version {}", latest.new_version))
            .help("nothing was changed"));
    }
    Ok(Turn::Now)
}

/// What the journal calls an upgrade that nothing keeps in step.
const OFFLINE: &str = "offline";

/// What the journal calls the hash of a script.
fn script_step(file: &str) -> String {
    format!("script {file}")
}

/// The backfills that have set rows aside which a check would count.
pub(super) fn aside_of(program: &Program, rows: &[super::state::Aside], check: &live::Check) -> Vec<String> {
    let of_table = |row: &&super::state::Aside| {
        program.backfills.iter().any(|backfill| backfill.name == row.backfill && backfill.table == check.table)
    };
    let mut names: Vec<String> = rows.iter().filter(of_table).map(|row| row.backfill.clone()).collect();
    names.dedup();
    names
}

/// What is run must be what expand ran.
pub(super) fn same_scripts(program: &Program, journal: &BTreeMap<String, Entry>) -> Result<(), Stopped> {
    let changed: Vec<&str> = program
        .hashes()
        .into_iter()
        .filter(|(file, hash)| journal.get(&script_step(file)).is_some_and(|entry| entry.hash != *hash))
        .map(|(file, _)| file)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Stopped::new(format!("the scripts are not those that expand of {} ran with: {} differ", program.release, changed.join(", ")))
        .note("nothing was changed")
        .help("run it from the folder (or the sources, and the version of crossfade) that expand ran from; to begin anew, abort from there first"))
}

/// The version tables are read where the URL leads, and the scripts choose the database that they were compiled for.
pub(super) fn same_database(engine: &dyn Engine, program: &Program) -> Result<(), Stopped> {
    let Some(database) = engine.database() else { return Ok(()) };
    let chosen = program.units(&program.scripts.expand).into_iter().take_while(|unit| unit.section.is_empty()).find_map(|unit| {
        let code = code(unit.statements.first()?);
        Some(code.strip_prefix("use ")?.trim_matches('`').replace("``", "`"))
    });
    match chosen {
        Some(chosen) if chosen != database => {
            Err(Stopped::new(format!("this upgrade was compiled for database `{chosen}`, and the URL names `{database}`"))
                .help("name the same one in the URL and with `--database` (or in crossfade.yaml); nothing was changed"))
        }
        _ => Ok(()),
    }
}

pub(super) fn script(program: &Program, task: Task) -> &str {
    match task {
        Task::Phase(Phase::Expand) => &program.scripts.expand,
        Task::Phase(Phase::Migrate) => &program.scripts.migrate,
        Task::Phase(Phase::Contract) => &program.scripts.contract,
        Task::Abort => &program.scripts.abort,
    }
}

/// Whether a unit changes what clients see, in a moment. What takes its time runs beside them and changes no names.
fn changes_shape(program: &Program, unit: &Unit, comment: &str) -> bool {
    if unit.writes_revision() {
        return true;
    }
    !unit.is_setting()
        && !matches!(unit.section.as_str(), "" | "Gates")
        && program.backfill(unit).is_none()
        && program.check(unit).is_none()
        && !unit.takes_time(comment)
}

/// Whether a statement makes a version table, or the view that applications ask. Where they are there, to make them again would need
/// locks that wait for the end of each transaction which has asked.
fn makes_version_tables(statement: &str) -> bool {
    let code = code(statement);
    let made =
        |name: &str| code.contains(&format!(" view {name}version as ")) || code.starts_with(&format!("create table if not exists {name}"));
    code.starts_with("create ") && ["crossfade.", "crossfade_"].into_iter().any(made)
}

/// What the journal calls a unit. The scripts look for names that begin with `contract`.
fn step(task: Task, unit: &Unit) -> String {
    format!("{}: {}/{:02}", task.name(), unit.section, unit.number)
}

pub(super) struct Runner<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) program: &'a Program,
    /// `None`: a drain, which has no script.
    pub(super) task: Option<Task>,
    pub(super) options: &'a Options<'a>,
    pub(super) observer: &'a dyn Observer,
    pub(super) session: Session,
    /// Batches that may still begin.
    pub(super) allowance: Arc<AtomicU64>,
    sentry: Sentry,
    pub(super) journal: BTreeMap<String, Entry>,
    /// What a check said is to be done, before it stopped the script.
    hint: Option<String>,
    /// Whether the last try came no further than to the lock that applications share.
    met_readers: bool,
    /// The comment of the step that runs.
    comment: String,
    /// Whether what keeps the two shapes in step is left out.
    pub(super) offline: bool,
}

impl Runner<'_> {
    fn run(mut self, task: Task) -> Result<End, Stopped> {
        let ended = match self.through(task) {
            Err(stopped) if stopped.is_asked_for && self.has_batches_left(task) => Ok(End::MoreBatches),
            ended => ended,
        };
        self.close();
        ended
    }

    /// Whether rows are still to be filled, by a journal that is read anew.
    fn has_batches_left(&mut self, task: Task) -> bool {
        if task != Task::Phase(Phase::Migrate) || self.read_journal().is_err() {
            return false;
        }
        let program = self.program;
        if self.engine.runs_whole() {
            return program.backfills.iter().any(|backfill| !self.is_filled(backfill));
        }
        let units = program.units(script(program, task));
        units.iter().any(|unit| program.backfill(unit).is_some() && !self.is_done(&step(task, unit), &unit.hash()))
    }

    /// Whether a statement was finished by an earlier run, as it is now.
    pub(super) fn is_done(&self, step: &str, hash: &str) -> bool {
        self.journal.get(step).is_some_and(|entry| entry.finished && entry.hash == hash)
    }

    /// The session ends a moment after the program does, and the next one may come at once. A lost one has let go of the lock.
    pub(super) fn close(&mut self) {
        let _ = self.session.run("rollback");
        let _ = self.session.run(self.engine.words().unlock);
    }

    pub(super) fn name(&self) -> &'static str {
        doing(self.task)
    }

    fn through(&mut self, task: Task) -> Result<End, Stopped> {
        same_database(self.engine, self.program)?;
        let state = State::read(self.session.as_mut(), self.engine).map_err(|failure| self.failed(&failure))?;
        if state.is_set_up {
            self.read_journal()?;
        }
        same_scripts(self.program, &self.journal)?;
        self.may_run_as_told(task, &state)?;
        if let Turn::Done(why) = turn(self.program, task, &state, &self.journal)? {
            if task == Task::Phase(Phase::Migrate) {
                self.take_back()?;
            }
            return Ok(End::Already(why));
        }
        if task == Task::Phase(Phase::Contract) {
            self.may_contract()?;
        }
        let mut units = self.program.units(script(self.program, task));
        if self.offline && !self.engine.runs_whole() {
            units.iter_mut().for_each(|unit| unit.statements.retain(|text| !keeps_in_step(text)));
            units.retain(|unit| !unit.statements.is_empty());
        }
        if self.engine.runs_whole() {
            return self.whole(task, units, state.is_set_up);
        }
        let (gates, units): (Vec<Unit>, Vec<Unit>) = units.into_iter().partition(|unit| unit.section.is_empty() || unit.section == "Gates");
        self.gates(&gates, state.is_set_up)?;
        // What the gates have put aside is not done any more.
        self.read_journal()?;
        self.remember_scripts()?;
        self.remember_offline()?;
        if task == Task::Phase(Phase::Migrate) {
            self.take_back()?;
        }
        for unit in &units {
            if self.options.stop.load(Ordering::Relaxed) {
                return Err(self.interrupted());
            }
            if let Some(end) = self.unit(task, unit)? {
                return Ok(end);
            }
        }
        Ok(End::Done)
    }

    /// An upgrade that was begun without triggers can't go on beside clients; one that was begun with them keeps them to its end.
    fn may_run_as_told(&mut self, task: Task, state: &State) -> Result<(), Stopped> {
        let is_over = state.release(&self.program.release).is_some_and(Revision::is_over);
        let begun = self.journal.contains_key(OFFLINE) && !is_over;
        if begun && !self.options.offline && task != Task::Abort {
            return Err(Stopped::new(format!(
                "{} was begun by `crossfade sync --offline`: nothing keeps the two shapes in step",
                self.program.release
            ))
            .help("keep the application stopped, and run `crossfade sync --offline` to its end, or take it back with `crossfade abort`"));
        }
        let is_expand = task == Task::Phase(Phase::Expand);
        let online = self.journal.keys().any(|step| step.starts_with("expand: "));
        self.offline = self.options.offline && (begun || (is_expand && !online));
        Ok(())
    }

    /// Before the first statement that leaves the triggers out.
    pub(super) fn remember_offline(&mut self) -> Result<(), Stopped> {
        if self.offline && !self.journal.contains_key(OFFLINE) {
            self.begin(OFFLINE, "")?;
            self.finish(OFFLINE)?;
        }
        Ok(())
    }

    pub(super) fn failed(&self, failure: &Failure) -> Stopped {
        Stopped::by(self.engine, format!("{} failed", self.name()), failure)
    }

    pub(super) fn interrupted(&self) -> Stopped {
        let name = self.name();
        let mut stopped = Stopped::new(format!("{name} was stopped between two statements"))
            .help(format!("run `crossfade {name}` again: it goes on from here"));
        stopped.is_asked_for = true;
        stopped
    }

    pub(super) fn read_journal(&mut self) -> Result<(), Stopped> {
        self.journal = journal(self.session.as_mut(), self.engine, &self.program.release).map_err(|failure| self.failed(&failure))?;
        Ok(())
    }

    /// Contract is the point of no return: what can be known before its first statement is asked first.
    fn may_contract(&mut self) -> Result<(), Stopped> {
        let rows = aside(self.session.as_mut(), self.engine, &self.program.release).map_err(|failure| self.failed(&failure))?;
        if !rows.is_empty() {
            let mut stopped = Stopped::new(format!("{} rows could not be filled and were set aside", rows.len()));
            for row in rows.iter().take(10) {
                stopped = stopped.note(format!("{}: {}: {}", row.backfill, super::list(&row.key), row.error));
            }
            return Err(stopped.help("change these rows, then run `crossfade migrate` again: it tries them once more"));
        }
        if self.options.all_nodes_upgraded {
            return Ok(());
        }
        // Nobody is a client of the version before a first installation.
        let Some(old) = &self.program.old_version else { return Ok(()) };
        let Some(namespace) = self.program.namespace.as_ref().filter(|_| self.engine.knows_clients()) else {
            let blind = if self.engine.knows_clients() { "in shared access nothing tells" } else { "a file does not tell" };
            return Err(Stopped::new(format!(
                "contract takes away what only version {old} uses, and {blind} whether a client of it is left"
            ))
            .help("when all nodes run the new version, say so: `crossfade contract --all-nodes-upgraded`"));
        };
        // Who can't be shown to be of the new version counts as old.
        let version = &self.program.new_version;
        let old_clients = self.old_clients(version, namespace)?;
        if !old_clients.is_empty() {
            let mut stopped = Stopped::new(format!("{} sessions may be clients of version {old}", old_clients.len()));
            stopped.notes.extend(old_clients.into_iter().take(20));
            let told = match self.engine.dialect() {
                crate::sql::Dialect::Postgres => {
                    format!(
                        "its role or database is set to search_path = {namespace}, when `{version}` is a word of its application_name, or when its role \
                         may not use the schema of version {old}'s tables"
                    )
                }
                _ => format!("it is connected to database {namespace}, or when `{version}` is a word of its program_name"),
            };
            return Err(stopped.help(format!(
                "a session counts as one of {version} when {told}; when all nodes run the new version, say so: `crossfade contract --all-nodes-upgraded`"
            )));
        }
        Ok(())
    }

    /// Sessions that may be the old version's, looked at for a while: MySQL and
    /// MariaDB show a session in the database of a trigger as long as that runs. No old one is ever seen in the new namespace.
    fn old_clients(&mut self, version: &str, namespace: &str) -> Result<Vec<String>, Stopped> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        still_seen(|| {
            let clients = clients(self.session.as_mut(), self.engine).map_err(|failure| self.failed(&failure))?;
            known.extend(clients.iter().filter(|client| client.is_of(version, namespace)).map(|client| client.session.clone()));
            known.extend(self.outsiders()?);
            Ok(clients.iter().filter(|client| !known.contains(&client.session)).map(ToString::to_string).collect())
        })
    }

    /// Sessions that can't be the old version's, since they have no right to name its tables.
    fn outsiders(&mut self) -> Result<Vec<String>, Stopped> {
        let Some(question) = self.engine.words().outsiders else { return Ok(Vec::new()) };
        let tables = serde_json::Value::from(self.program.tables.clone()).to_string();
        let found = self.session.run_with(question, &[Some(&tables)]).map_err(|failure| self.failed(&failure))?;
        Ok(found.rows.into_iter().flatten().flatten().collect())
    }

    /// The settings of a script's session: its lock timeout, for one.
    pub(super) fn settings(&mut self, units: &[Unit]) -> Result<(), Stopped> {
        for unit in units.iter().take_while(|unit| unit.section.is_empty()) {
            self.try_often(&unit.statements, unit.bracketed, None, false)?;
        }
        Ok(())
    }

    /// Settings and gates. They are not in the journal, whose tables they make, and run each time. A refusal leaves nothing.
    fn gates(&mut self, gates: &[Unit], set_up: bool) -> Result<(), Stopped> {
        let mut gates = gates.to_vec();
        let complete = self.session.value(self.engine.words().is_complete).map_err(|failure| self.failed(&failure))?;
        if complete.as_deref() == Some("true") {
            gates.iter_mut().for_each(|unit| unit.statements.retain(|text| !makes_version_tables(text)));
            gates.retain(|unit| !unit.statements.is_empty());
        }
        let guarded = |units: &[&Unit]| set_up && units.iter().any(|unit| unit.writes_revision());
        self.settings(&gates)?;
        let gates: Vec<&Unit> = gates.iter().filter(|unit| !unit.section.is_empty()).collect();
        // Up to the first block, which is the gate: the version tables before it only stay if it is passed.
        let first =
            gates.iter().position(|unit| unit.statements.iter().any(|text| code(text).starts_with("do "))).map_or(gates.len(), |at| at + 1);
        let (entry, rest) = gates.split_at(first);
        let statements: Vec<String> = entry.iter().flat_map(|unit| unit.statements.clone()).collect();
        // What only a drain keeps from passing.
        let mut held: Vec<(Vec<String>, bool, bool)> = Vec::new();
        if statements.iter().all(|text| self.engine.is_transactional(text)) {
            self.pass(statements, true, guarded(entry), &mut held)?;
        } else {
            for unit in entry {
                if !self.agrees(unit)? {
                    self.pass(unit.statements.clone(), unit.bracketed, guarded(&[unit]), &mut held)?;
                }
            }
        }
        for unit in rest {
            self.observer.hear(&Event::Begins(&unit.section, unit.title()));
            if !self.agrees(unit)? {
                self.pass(unit.statements.clone(), unit.bracketed, guarded(&[unit]), &mut held)?;
            }
        }
        // Nothing else is in the way: until here the drained version stays drained.
        if matches!(self.task, Some(Task::Phase(Phase::Contract) | Task::Abort)) {
            self.lift_drains()?;
        }
        for (statements, bracketed, guarded) in held {
            self.try_often(&statements, bracketed, None, guarded)?;
        }
        Ok(())
    }

    /// A part of the gates. The scripts refuse to run beside a drain, after all else that they ask there; this runner ends it first.
    fn pass(
        &mut self,
        statements: Vec<String>,
        bracketed: bool,
        guarded: bool,
        held: &mut Vec<(Vec<String>, bool, bool)>,
    ) -> Result<(), Stopped> {
        match self.try_often(&statements, bracketed, None, guarded) {
            Err(stopped) if self.is_drained() && stopped.notes.iter().any(|note| note.contains("while a version is drained")) => {
                held.push((statements, bracketed, guarded));
                Ok(())
            }
            ended => ended,
        }
    }

    /// What is run now is what must be run later.
    pub(super) fn remember_scripts(&mut self) -> Result<(), Stopped> {
        let words = self.engine.words();
        let release = self.program.release.as_str();
        for (file, hash) in self.program.hashes() {
            let step = script_step(file);
            if !self.journal.contains_key(&step) {
                self.session
                    .run_with(words.begin_statement, &[Some(release), Some(&step), Some(&hash)])
                    .map_err(|failure| self.failed(&failure))?;
            }
        }
        Ok(())
    }

    fn unit(&mut self, task: Task, unit: &Unit) -> Result<Option<End>, Stopped> {
        if !unit.comment.is_empty() {
            self.comment.clone_from(&unit.comment);
        }
        if unit.is_setting() {
            self.try_often(&unit.statements, false, None, false)?;
            return Ok(None);
        }
        let step = step(task, unit);
        let hash = unit.hash();
        // The way back is short, and each run of it begins with what may have been done since.
        if task != Task::Abort && self.is_done(&step, &hash) {
            self.observer.hear(&Event::WasDone(&unit.section, unit.title()));
            return Ok(None);
        }
        self.observer.hear(&Event::Begins(&unit.section, unit.title()));
        if let Some(backfill) = self.program.backfill(unit) {
            self.begin(&step, &hash)?;
            if let Some(end) = backfill::run(self, backfill)? {
                return Ok(Some(end));
            }
            self.finish(&step)?;
            return Ok(None);
        }
        if self.program.check(unit).is_some() {
            self.begin(&step, &hash)?;
            if self.agrees(unit)? {
                self.finish(&step)?;
                return Ok(None);
            }
        }
        let guarded = changes_shape(self.program, unit, &self.comment);
        self.try_often(&unit.statements, unit.bracketed, Some((&step, &hash)), guarded)?;
        Ok(None)
    }

    /// Whether a unit asks for rows that disagree, and there is none. It is found by ranges of the key, where the script has one
    /// statement for the whole table; which rows they are, the script says. Rows that were set aside don't count.
    fn agrees(&mut self, unit: &Unit) -> Result<bool, Stopped> {
        // Once contract has begun one of the two shapes may be gone, and the script knows.
        let Some(check) = self.program.check(unit).filter(|_| !has_begun_contract(&self.journal)) else { return Ok(false) };
        let rows = aside(self.session.as_mut(), self.engine, &self.program.release).map_err(|failure| self.failed(&failure))?;
        let names = aside_of(self.program, &rows, check);
        if names.is_empty() && way(self.program, check).is_none() {
            return Ok(false);
        }
        let found = Look::begin(self.engine, self.program, self.observer)?.at(check, &names, self.options.stop)?;
        let Some(found) = found else { return Err(self.interrupted()) };
        if found.rows > 0 && !names.is_empty() {
            return Err(
                Stopped::new(format!("{} rows disagree: {}", found.rows, unit.title())).help("`crossfade verify` shows some of them")
            );
        }
        Ok(found.rows == 0)
    }

    pub(super) fn begin(&mut self, step: &str, hash: &str) -> Result<(), Stopped> {
        let begun = self.engine.words().begin_statement;
        self.session.run_with(begun, &[Some(&self.program.release), Some(step), Some(hash)]).map_err(|failure| self.failed(&failure))?;
        Ok(())
    }

    pub(super) fn finish(&mut self, step: &str) -> Result<(), Stopped> {
        let finished = self.engine.words().finish_statement;
        self.session.run_with(finished, &[Some(&self.program.release), Some(step)]).map_err(|failure| self.failed(&failure))?;
        Ok(())
    }

    /// Runs statements, in one transaction with their mark in the journal where they can be. Who meets a lock gives up at once,
    /// since others queue behind, and tries again after a pause.
    ///
    /// `guarded`: with the lock that applications share, if they do.
    pub(super) fn try_often(
        &mut self,
        statements: &[String],
        bracketed: bool,
        marked: Option<(&str, &str)>,
        guarded: bool,
    ) -> Result<(), Stopped> {
        let begun = Instant::now();
        let guard = self.engine.words().schema_lock.filter(|_| guarded && self.options.schema_lock);
        let together =
            bracketed || ((marked.is_some() || guard.is_some()) && statements.iter().all(|text| self.engine.is_transactional(text)));
        let mut attempt = 0;
        loop {
            attempt += 1;
            if let Some((step, hash)) = marked {
                self.begin(step, hash)?;
            }
            self.sentry.watch();
            self.met_readers = false;
            let tried = self.once(statements, together, marked.map(|(step, _)| step), guard);
            let mut blockers = self.sentry.rest();
            for notice in self.session.take_notices() {
                self.observer.hear(&Event::Notice(&notice.severity, &notice.message));
            }
            let Err(failure) = tried else { return Ok(()) };
            let class = self.engine.class(&failure);
            if class == Class::Lost {
                return Err(self.failed(&failure));
            }
            if together {
                self.session.run("rollback").map_err(|failure| self.failed(&failure))?;
            }
            let failure = self.engine.explain(self.session.as_mut(), statements, failure);
            for statement in self.engine.before_again(statements) {
                self.session.run(&statement).map_err(|failure| self.failed(&failure))?;
            }
            if let Some((step, _)) = marked {
                self.note_failure(step, &failure, together)?;
            }
            if class != Class::Lock {
                return Err(self.refused(statements, &failure));
            }
            if let Some(guard) = guard.filter(|_| self.met_readers) {
                // Between the try and this look they may have ended.
                blockers = who(self.session.as_mut(), guard.readers, &[]).unwrap_or_default();
            }
            self.after_lock(begun, attempt, &blockers, &failure)?;
        }
    }

    /// A pause after a try that met a lock, unless there is no patience left.
    pub(super) fn after_lock(&self, begun: Instant, attempt: u32, blockers: &[Blocker], failure: &Failure) -> Result<(), Stopped> {
        if self.options.stop.load(Ordering::Relaxed) {
            return Err(self.interrupted());
        }
        if begun.elapsed() >= self.options.patience {
            let (what, by) =
                if self.met_readers { ("the schema lock held by clients", "it is held by") } else { ("a lock", "it waited for") };
            let mut stopped = Stopped::by(self.engine, format!("{} met {what} {attempt} times and gave up", self.name()), failure);
            for blocker in blockers {
                stopped = stopped.note(format!("{by} {blocker}"));
            }
            return Err(stopped.help(format!(
                "end these sessions, or wait until they are through; then run `crossfade {}` again: it goes on from here",
                self.name()
            )));
        }
        let pause = if self.met_readers { pause(attempt).min(READERS_PAUSE.mul_f64(0.5 + 0.5 * random())) } else { pause(attempt) };
        let event = if self.met_readers { Event::MetReaders } else { Event::MetLock };
        self.observer.hear(&event(blockers, attempt, pause));
        self.sleep(pause);
        Ok(())
    }

    fn once(
        &mut self,
        statements: &[String],
        together: bool,
        step: Option<&str>,
        guard: Option<&'static SchemaLock>,
    ) -> Result<(), Failure> {
        let beside = match guard.filter(|guard| guard.beside && !together) {
            Some(guard) => {
                let mut session = self.engine.connect("crossfade guard")?;
                session.run(self.engine.begin())?;
                let tried = session.run(guard.try_lock);
                self.met(tried)?;
                Some(session)
            }
            None => None,
        };
        let done = self.statements(statements, together, step, guard.filter(|_| together));
        if let Some(mut session) = beside {
            // At once: a session that is only dropped ends when the server notices.
            session.run("rollback")?;
        }
        done
    }

    /// Notes whether applications keep the runner from their lock. It never waits for it: the next ones would wait behind.
    fn met<T>(&mut self, tried: Result<T, Failure>) -> Result<T, Failure> {
        self.met_readers = tried.as_ref().is_err_and(|failure| self.engine.class(failure) == Class::Lock);
        tried
    }

    fn statements(
        &mut self,
        statements: &[String],
        together: bool,
        step: Option<&str>,
        guard: Option<&'static SchemaLock>,
    ) -> Result<(), Failure> {
        if together {
            self.session.run(self.engine.begin())?;
        }
        if let Some(guard) = guard {
            let tried = self.session.run(guard.try_lock);
            self.met(tried)?;
        }
        let begun = Instant::now();
        for statement in statements {
            if let Some(wait) = guard.and_then(|guard| guard.wait) {
                let left = BUDGET.saturating_sub(begun.elapsed()).as_millis().max(1).to_string();
                self.session.run_with(wait, &[Some(&left)])?;
            }
            let outcome = self.session.run(statement)?;
            for notice in self.engine.spoken(&outcome) {
                if notice.severity == "HINT" {
                    self.hint = Some(notice.message);
                } else {
                    self.observer.hear(&Event::Notice(&notice.severity, &notice.message));
                }
            }
        }
        if let Some(step) = step {
            self.session.run_with(self.engine.words().finish_statement, &[Some(&self.program.release), Some(step)])?;
        }
        if together {
            self.session.run("commit")?;
        }
        Ok(())
    }

    /// A statement that failed and left nothing. If it was to be the first of contract, contract has not begun.
    fn note_failure(&mut self, step: &str, failure: &Failure, rolled_back: bool) -> Result<(), Stopped> {
        let words = self.engine.words();
        let release = Some(self.program.release.as_str());
        let is_first = self.task == Some(Task::Phase(Phase::Contract))
            && rolled_back
            && !self.journal.keys().any(|other| other.starts_with("contract"));
        let noted = if is_first {
            self.session.run_with(words.forget_statement, &[release, Some(step)])
        } else {
            self.session.run_with(words.fail_statement, &[release, Some(step), Some(&failure.to_string())])
        };
        noted.map(drop).map_err(|failure| self.failed(&failure))
    }

    fn refused(&self, statements: &[String], failure: &Failure) -> Stopped {
        let mut stopped = Stopped::by(self.engine, format!("{} of {} failed", self.name(), self.program.release), failure);
        // A gate or a check has said it all.
        if !matches!(failure.code.as_deref(), Some("P0001" | "45000"))
            && let [statement] = statements
        {
            let mut shown = code(statement);
            if let Some((end, _)) = shown.char_indices().nth(300) {
                shown.truncate(end);
                shown.push('…');
            }
            stopped = stopped.note(format!("statement: {shown}"));
        }
        stopped.help = stopped.help.or_else(|| self.hint.clone()).map(|help| self.in_own_words(&help));
        stopped
    }

    /// What a script says, where it speaks of itself.
    pub(super) fn in_own_words(&self, text: &str) -> String {
        text.replace("run this script again", &format!("run `crossfade {}` again", self.name()))
    }

    pub(super) fn sleep(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if self.options.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}

/// Grows with each try, and is never the same for two who wait for the same lock.
pub(super) fn pause(attempt: u32) -> Duration {
    let longest = PAUSES.0.saturating_mul(1_u32 << attempt.min(10)).min(PAUSES.1);
    longest.mul_f64(0.5 + 0.5 * random())
}

/// From 0 to 1: each hasher of the standard library has keys of its own.
fn random() -> f64 {
    let bits = std::hash::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
