//! How far a database is, read from its version tables.

use std::collections::BTreeMap;

use super::engine::Engine;
use crate::engine::{Connection, Failure};

/// A row of `revision`: how far one release is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Revision {
    /// Name of the release.
    pub release: String,
    /// The version that it started from; `None`: a first installation.
    pub old_version: Option<String>,
    /// The version that it leads to.
    pub new_version: String,
    /// The last phase that is finished: `begun`, `expand`, `migrate`, `contract`; or `aborted`.
    pub phase: String,
    /// The last revision of expand.
    pub expand: Option<String>,
    /// The last revision of migrate.
    pub migrate: Option<String>,
    /// The last revision of contract.
    pub contract: Option<String>,
}

impl Revision {
    /// Whether the database has one shape only: this one. A first installation is all in expand.
    pub fn is_over(&self) -> bool {
        self.phase == "contract" || (self.old_version.is_none() && self.phase != "begun")
    }
}

/// A statement that a runner began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: String,
    pub(super) finished: bool,
    pub(super) error: Option<String>,
}

/// The parts of a key, as texts.
pub(super) type Key = Vec<String>;

/// A row of texts as a key; NULL is none.
pub(super) fn key(row: Vec<Option<String>>) -> Option<Key> {
    row.into_iter().collect()
}

/// How far a part of a backfill is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// The part, from 0.
    pub part: i32,
    /// The last key that is done.
    pub last_key: Option<Vec<String>>,
    /// The last key there is to do.
    pub top_key: Option<Vec<String>>,
    /// Rows that were filled.
    pub rows: u64,
    /// Whether it is through.
    pub finished: bool,
}

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Aside {
    /// The backfill that could not fill it.
    pub backfill: String,
    /// Its key.
    pub key: Vec<String>,
    /// Why.
    pub error: String,
}

/// All releases that a database knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The latest last.
    pub revisions: Vec<Revision>,
    /// Whether the version tables are there.
    pub is_set_up: bool,
}

type Row = std::vec::IntoIter<Option<String>>;

fn text(row: &mut Row) -> String {
    row.next().flatten().unwrap_or_default()
}

impl State {
    /// Reads it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn read(session: &mut dyn Connection, engine: &dyn Engine) -> Result<State, Failure> {
        let words = engine.words();
        if session.value(words.is_set_up)?.as_deref() != Some("true") {
            return Ok(State::default());
        }
        let rows = session.run(words.revisions)?.rows;
        let revisions = rows
            .into_iter()
            .map(|row| {
                let mut row = row.into_iter();
                Revision {
                    release: text(&mut row),
                    old_version: row.next().flatten(),
                    new_version: text(&mut row),
                    phase: text(&mut row),
                    expand: row.next().flatten(),
                    migrate: row.next().flatten(),
                    contract: row.next().flatten(),
                }
            })
            .collect();
        Ok(State { revisions, is_set_up: true })
    }

    /// The latest release that was not aborted.
    pub fn latest(&self) -> Option<&Revision> {
        self.revisions.iter().rev().find(|revision| revision.phase != "aborted")
    }

    /// A release.
    pub fn release(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.release == name)
    }
}

/// What runners did of a release, by step.
pub(super) fn journal(session: &mut dyn Connection, engine: &dyn Engine, release: &str) -> Result<BTreeMap<String, Entry>, Failure> {
    let rows = session.run_with(engine.words().journal, &[Some(release)])?.rows;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            let step = text(&mut row);
            let hash = text(&mut row);
            let finished = text(&mut row) == "true";
            let _attempts = row.next();
            (step, Entry { hash, finished, error: row.next().flatten() })
        })
        .collect())
}

/// How far the parts of a backfill are.
pub(super) fn parts(session: &mut dyn Connection, engine: &dyn Engine, release: &str, backfill: &str) -> Result<Vec<Progress>, Failure> {
    let rows = session.run_with(engine.words().parts, &[Some(release), Some(backfill)])?.rows;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            Progress {
                part: text(&mut row).parse().unwrap_or_default(),
                last_key: row.next().flatten().and_then(|text| serde_json::from_str(&text).ok()),
                top_key: row.next().flatten().and_then(|text| serde_json::from_str(&text).ok()),
                rows: text(&mut row).parse().unwrap_or_default(),
                finished: text(&mut row) == "true",
            }
        })
        .collect())
}

/// The rows of a release that were set aside.
pub(super) fn aside(session: &mut dyn Connection, engine: &dyn Engine, release: &str) -> Result<Vec<Aside>, Failure> {
    let rows = session.run_with(engine.words().failing, &[Some(release)])?.rows;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter();
            Aside { backfill: text(&mut row), key: serde_json::from_str(&text(&mut row)).unwrap_or_default(), error: text(&mut row) }
        })
        .collect())
}
