//! When no batch may begin: while a file says so, while replicas are late, while the server has enough to do.
//!
//! It fails closed: what was asked for and can't be found out is a reason to wait, and is said.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Class, Engine};
use super::phase::Session;
use super::{Options, Stopped};
use crate::engine::{Connection, Failure};

/// For how long it is believed what a replica has said.
const BELIEVED: Duration = Duration::from_millis(500);

/// Tells whether a batch may begin. All workers ask the same one.
pub(super) struct Throttle<'a> {
    engine: &'a dyn Engine,
    options: &'a Options<'a>,
    /// Replicas that are asked themselves.
    replicas: Mutex<Replicas>,
}

/// What is known of the replicas that are asked themselves.
#[derive(Default)]
struct Replicas {
    sessions: Vec<Option<Session>>,
    asked: Option<Instant>,
    /// Why nothing may begin.
    reason: Option<String>,
}

impl<'a> Throttle<'a> {
    /// The one that the options ask for.
    pub(super) fn new(engine: &'a dyn Engine, options: &'a Options<'a>) -> Result<Self, Stopped> {
        let words = engine.words();
        if options.max_lag.is_some() && words.lag.is_none() && options.replicas.is_empty() {
            let stopped = Stopped::new("`--max-lag`: this server does not tell how far its replicas are behind");
            return Err(stopped.help("name each of them, `--replica URL`, and they are asked; nothing was changed"));
        }
        if let Some(other) = options.replicas.iter().find(|replica| replica.dialect() != engine.dialect() || words.lag.is_some()) {
            return Err(Stopped::new(format!("`--replica`: {} can't be asked how far it is behind", other.place()))
                .help("on MySQL and MariaDB replicas are asked themselves, on PostgreSQL the server knows its own; nothing was changed"));
        }
        if options.max_load.is_some() && words.load.is_none() {
            return Err(Stopped::new("`--max-load`: a file does not tell how many sessions are at work").help("nothing was changed"));
        }
        let mut replicas = Replicas::default();
        replicas.sessions.resize_with(options.replicas.len(), || None);
        Ok(Throttle { engine, options, replicas: Mutex::new(replicas) })
    }

    /// Why no batch may begin now.
    ///
    /// # Errors
    /// When the connection that asks is lost.
    pub(super) fn reason(&self, session: &mut dyn Connection) -> Result<Option<String>, Failure> {
        if let Some(file) = self.options.pause_file.as_ref().filter(|file| file.exists()) {
            return Ok(Some(format!("`{}` is there", file.display())));
        }
        let words = self.engine.words();
        if let (Some(most), Some(question)) = (self.options.max_load, words.load) {
            let reason = match self.number(session, question)? {
                Some(count) if count <= most => None,
                Some(count) => Some(format!("{count} sessions of others are at work, which is more than {most}")),
                None => Some(
                    "it is not known how many sessions are at work (the right to see others' is missing: pg_monitor, PROCESS)".to_owned(),
                ),
            };
            if reason.is_some() {
                return Ok(reason);
            }
        }
        let Some(most) = self.options.max_lag else { return Ok(None) };
        let Some(question) = words.lag else { return Ok(self.late_replica(most)) };
        Ok(match self.number(session, question)? {
            Some(seconds) if seconds <= most => None,
            Some(seconds) => Some(format!("a replica is {seconds} s behind, which is more than {most} s")),
            None => Some("it is not known how far replicas are behind (none is connected, or pg_monitor is missing)".to_owned()),
        })
    }

    /// A number that a server gives, if it knows it.
    fn number(&self, session: &mut dyn Connection, question: &str) -> Result<Option<u64>, Failure> {
        match session.value(question) {
            Ok(answer) => Ok(answer.and_then(|text| text.parse().ok())),
            Err(failure) if self.engine.class(&failure) == Class::Lost => Err(failure),
            Err(_) => Ok(None),
        }
    }

    /// The first replica that is late, or that does not say how late it is.
    fn late_replica(&self, most: u64) -> Option<String> {
        let mut replicas = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        if replicas.asked.is_some_and(|asked| asked.elapsed() < BELIEVED) {
            return replicas.reason.clone();
        }
        let reason = self.options.replicas.iter().zip(&mut replicas.sessions).find_map(|(replica, session)| {
            let place = replica.place();
            match seconds_behind(replica.as_ref(), session) {
                Ok(Some(seconds)) if seconds <= most => None,
                Ok(Some(seconds)) => Some(format!("{place} is {seconds} s behind, which is more than {most} s")),
                Ok(None) => Some(format!("it is not known how far {place} is behind: it does not replicate now")),
                Err(failure) => Some(format!("it is not known how far {place} is behind: {failure}")),
            }
        });
        replicas.asked = Some(Instant::now());
        replicas.reason.clone_from(&reason);
        reason
    }
}

/// What a replica says of itself. A session that fails is not asked again.
fn seconds_behind(replica: &dyn Engine, session: &mut Option<Session>) -> Result<Option<u64>, Failure> {
    let mut open = match session.take() {
        Some(open) => open,
        None => replica.connect("crossfade replica")?,
    };
    let answer = replica.behind(open.as_mut())?;
    *session = Some(open);
    Ok(answer)
}
