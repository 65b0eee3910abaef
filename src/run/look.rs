//! What can be seen of an upgrade without changing anything: how far it is, what is due, which rows disagree, who is connected.

use std::time::Duration;

use super::Stopped;
use super::engine::{Engine, first_that_knows};
use super::phase::open;
use super::state::{Aside, Entry, Revision, State, aside, journal};
use crate::emit::program::Program;
use crate::engine::{Connection, Failure};

/// How far a database is, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The database.
    pub place: String,
    /// Every release that it knows, the latest last.
    pub releases: Vec<Revision>,
    /// The backfills of the latest release.
    pub backfills: Vec<BackfillStatus>,
    /// Its rows that were set aside.
    pub set_aside: Vec<Aside>,
    /// The statement that was begun and is not finished, with its last error.
    pub unfinished: Vec<Unfinished>,
    /// Versions whose writes are refused.
    pub drained: Vec<String>,
    /// The runner that is at work.
    pub runner: Option<String>,
    /// Who is connected.
    pub sessions: Vec<Client>,
}

/// A statement that was begun.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unfinished {
    /// As the journal calls it.
    pub step: String,
    /// Why it failed last.
    pub error: Option<String>,
}

/// How far a backfill is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BackfillStatus {
    /// Its name.
    pub backfill: String,
    /// Rows that were filled.
    pub rows: u64,
    /// About how many rows the table has, where that is known.
    pub estimate: Option<u64>,
    /// Rows a second, while it goes on.
    pub rate: Option<u64>,
    /// Whether it is through.
    pub finished: bool,
    /// Ranges of workers, and those that are through.
    pub parts: (u64, u64),
}

/// A session of a client.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Client {
    /// The server's number of it.
    pub session: String,
    /// Who it is.
    pub user: String,
    /// Its program, as it calls itself.
    pub application: String,
    /// From where.
    pub address: String,
    /// What it is doing.
    pub state: String,
    /// Since how many seconds it is doing that. (MySQL and MariaDB don't tell when a session began.)
    pub seconds: u64,
    /// The path that its role or database sets.
    pub path: String,
}

impl std::fmt::Display for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Client { session, user, application, address, state, seconds, .. } = self;
        let application = if application.is_empty() { "no name" } else { application };
        write!(formatter, "session {session}: user {user}, {application}, from {address}, {state}, for {seconds} s")
    }
}

impl Client {
    /// Whether it is known to be of a version: its role or database is set to the version's namespace, or its program's name has
    /// the version as a word of its own.
    pub fn is_of(&self, version: &str, namespace: &str) -> bool {
        let word =
            |text: &str, wanted: &str| text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).any(|word| word == wanted);
        word(&self.path, namespace) || word(&self.application, version)
    }
}

fn text(row: &mut std::vec::IntoIter<Option<String>>) -> String {
    row.next().flatten().unwrap_or_default()
}

/// The sessions of clients.
pub(super) fn clients(session: &mut dyn Connection, engine: &dyn Engine) -> Result<Vec<Client>, Failure> {
    Ok(first_that_knows(session, engine.words().sessions, &[])?
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            Client {
                session: text(&mut row),
                user: text(&mut row),
                application: text(&mut row),
                address: text(&mut row),
                state: text(&mut row),
                seconds: text(&mut row).parse().unwrap_or_default(),
                path: text(&mut row),
            }
        })
        .collect())
}

/// Looks at a database. With the program the size of the tables is known, too.
///
/// # Errors
/// When the server can't be asked.
pub fn status(engine: &dyn Engine, program: Option<&Program>) -> Result<Status, Stopped> {
    let mut session = open(engine, "crossfade status")?;
    look(session.as_mut(), engine, program).map_err(|failure| Stopped::by(engine, "the status can't be read", &failure))
}

fn look(session: &mut dyn Connection, engine: &dyn Engine, program: Option<&Program>) -> Result<Status, Failure> {
    let state = State::read(session, engine)?;
    let mut status = Status {
        place: engine.place(),
        backfills: Vec::new(),
        set_aside: Vec::new(),
        unfinished: Vec::new(),
        drained: Vec::new(),
        runner: holder(session, engine)?,
        sessions: clients(session, engine)?,
        releases: state.revisions.clone(),
    };
    let Some(latest) = state.latest() else { return Ok(status) };
    status.backfills = backfills(session, engine, &latest.release)?;
    if status.runner.is_some() && status.backfills.iter().any(|one| !one.finished) {
        std::thread::sleep(Duration::from_secs(1));
        let now = backfills(session, engine, &latest.release)?;
        for (one, before) in status.backfills.iter_mut().zip(now) {
            one.rate = (before.backfill == one.backfill && !before.finished).then(|| before.rows.saturating_sub(one.rows));
            one.rows = before.rows;
            one.finished = before.finished;
        }
    }
    for one in &mut status.backfills {
        let known = program.and_then(|program| program.backfills.iter().find(|backfill| backfill.name == one.backfill));
        if let Some(backfill) = known {
            one.estimate = Some(engine.estimate(session, &backfill.table)?).filter(|rows| *rows > 0);
        }
    }
    status.set_aside = aside(session, engine, &latest.release)?;
    let journal = journal(session, engine, &latest.release)?;
    let drained = journal.iter().filter(|(_, entry)| entry.finished).filter_map(|(step, _)| step.strip_prefix(super::drain::STEP));
    status.drained = drained.map(str::to_owned).collect();
    status.unfinished = journal
        .into_iter()
        .filter(|(step, entry)| !entry.finished && !step.starts_with("script "))
        .map(|(step, Entry { error, .. })| Unfinished { step, error })
        .collect();
    Ok(status)
}

fn backfills(session: &mut dyn Connection, engine: &dyn Engine, release: &str) -> Result<Vec<BackfillStatus>, Failure> {
    let rows = session.run_with(engine.words().checkpoints, &[Some(release)])?.rows;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            let (backfill, rows) = (text(&mut row), text(&mut row).parse().unwrap_or_default());
            let finished = text(&mut row) == "true";
            let parts = (text(&mut row).parse().unwrap_or_default(), text(&mut row).parse().unwrap_or_default());
            BackfillStatus { backfill, rows, estimate: None, rate: None, finished, parts }
        })
        .collect())
}

/// Who holds the lock of runners.
pub(super) fn holder(session: &mut dyn Connection, engine: &dyn Engine) -> Result<Option<String>, Failure> {
    let Some(row) = session.run(engine.words().holder)?.rows.into_iter().next() else { return Ok(None) };
    let mut row = row.into_iter().map(|value| value.filter(|text| !text.is_empty()).unwrap_or_else(|| "?".to_owned()));
    let mut next = || row.next().unwrap_or_default();
    let (id, user, name, address, seconds) = (next(), next(), next(), next(), next());
    Ok(Some(format!("`{name}` (session {id}, user {user}, from {address}, for {seconds} s)")))
}

/// What a database needs to be where a program leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it is there.
    Nothing,
    /// Expand.
    Expand,
    /// Migrate.
    Migrate,
    /// Contract.
    Contract,
}

/// What is due, by the version tables.
///
/// # Errors
/// When the database is somewhere that the program does not know, or the server can't be asked.
pub fn due(engine: &dyn Engine, program: &Program) -> Result<Due, Stopped> {
    let mut session = open(engine, "crossfade check")?;
    let read = |failure: Failure| Stopped::by(engine, "the version tables can't be read", &failure);
    let state = State::read(session.as_mut(), engine).map_err(read)?;
    let Some(latest) = state.latest() else { return Ok(Due::Expand) };
    if latest.release != program.release {
        let at = format!("the database is at version {}, phase {}", latest.new_version, latest.phase);
        return match program.old_version.as_deref() {
            Some(old) if latest.is_over() && old == latest.new_version => Ok(Due::Expand),
            Some(old) => Err(Stopped::new(format!("{at}, and this upgrade starts from version {old}, contracted"))),
            None => Err(Stopped::new(format!("{at}, and this is a first installation of {}", program.new_version))),
        };
    }
    super::phase::same_scripts(program, &journal(session.as_mut(), engine, &latest.release).map_err(read)?)?;
    let aside = aside(session.as_mut(), engine, &latest.release).map_err(read)?;
    match latest.phase.as_str() {
        "begun" => Ok(Due::Expand),
        "expand" => Ok(Due::Migrate),
        // Rows that were set aside are tried again.
        "migrate" if !aside.is_empty() => Ok(Due::Migrate),
        "migrate" => Ok(Due::Contract),
        "contract" => Ok(Due::Nothing),
        other => Err(Stopped::new(format!("the version tables name a phase `{other}`, which is none"))),
    }
}
