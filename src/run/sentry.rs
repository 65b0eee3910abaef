//! Who keeps a statement waiting: a second session looks while the first one waits, since afterwards nobody can tell.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::engine::{Engine, first_that_knows};
use super::{Event, Observer};
use crate::engine::{Connection, Failure};

/// Often enough to see a wait that the lock timeout of 300 ms ends.
const GLANCE: Duration = Duration::from_millis(75);
/// A wait as long as this is told while it goes on; then again after ten times as long.
const LONG: u32 = 40;

/// A session that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Blocker {
    /// The server's number of it.
    pub session: String,
    /// Who it is.
    pub user: String,
    /// Its program, as it calls itself.
    pub application: String,
    /// What it is doing.
    pub state: String,
    /// How old its transaction is, in seconds.
    pub seconds: u64,
    /// The beginning of its statement.
    pub statement: String,
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Blocker { session, user, application, state, seconds, statement } = self;
        let application = if application.is_empty() { "no name" } else { application };
        write!(formatter, "session {session} ({user}, {application}), {state}, in its transaction for {seconds} s: {statement}")
    }
}

enum Order {
    Watch,
    Rest,
}

/// Watches over the waits of one session.
pub(super) struct Sentry {
    orders: Sender<Order>,
    seen: Arc<Mutex<Vec<Blocker>>>,
}

impl Sentry {
    /// Posts one over the session of this id.
    pub(super) fn post<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        engine: &'env dyn Engine,
        id: String,
        observer: &'env dyn Observer,
    ) -> Sentry {
        let (orders, taken) = channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&seen);
        scope.spawn(move || stand(engine, &id, &taken, &found, observer));
        Sentry { orders, seen }
    }

    pub(super) fn watch(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // It has gone only if it could not connect: then nobody is named.
        let _ = self.orders.send(Order::Watch);
    }

    /// Who was seen since [`Sentry::watch`].
    pub(super) fn rest(&self) -> Vec<Blocker> {
        let _ = self.orders.send(Order::Rest);
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn stand(engine: &dyn Engine, id: &str, orders: &Receiver<Order>, seen: &Mutex<Vec<Blocker>>, observer: &dyn Observer) {
    let mut session: Option<Box<dyn Connection + Send>> = None;
    while let Ok(order) = orders.recv() {
        if matches!(order, Order::Rest) {
            continue;
        }
        let (mut glances, mut told) = (0_u32, LONG);
        while let Err(RecvTimeoutError::Timeout) = orders.recv_timeout(GLANCE) {
            if session.is_none() {
                let Ok(opened) = engine.connect("crossfade watch") else { return };
                session = Some(opened);
            }
            let Some(open) = session.as_mut() else { return };
            let Ok(blockers) = who(open.as_mut(), engine.words().blockers, &[Some(id)]) else { return };
            if blockers.is_empty() {
                continue;
            }
            glances += 1;
            if glances == told {
                told *= 10;
                observer.hear(&Event::Waits(&blockers));
            }
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = blockers;
        }
    }
}

/// The sessions that the first of several ways to ask knows.
pub(super) fn who(session: &mut dyn Connection, ways: &[&str], values: &[Option<&str>]) -> Result<Vec<Blocker>, Failure> {
    let rows = first_that_knows(session, ways, values)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut values = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || values.next().unwrap_or_default();
            Blocker {
                session: next(),
                user: next(),
                application: next(),
                state: next(),
                seconds: next().parse().unwrap_or_default(),
                statement: next(),
            }
        })
        .collect())
}
