//! Several clients at once: their transactions are interleaved, one statement at a time, with each other and with a phase's script.
//!
//! Invariant: who waits for whom is asked of the server and never of a clock, so that the same bout takes the same course.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::place::{Database, Place, Refusal};
use super::world::Write;
use super::{Lab, Stopped};
use crate::engine::{Connection, Failure, Outcome};
use crate::plan::model::Phase;
use crate::run::Task;

/// How long an answer is waited for before the server is asked whether there will be one.
const PAUSE: Duration = Duration::from_millis(15);
/// How long a bout may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a script that met a lock is run again, as its operator would.
pub(super) const ATTEMPTS: usize = 50;

/// Transactions of several clients, and whose turn it is when.
#[derive(Debug, Clone)]
pub(super) struct Bout {
    /// The statements of each client's transaction.
    pub(super) clients: Vec<Vec<Write>>,
    /// The number of a client for each of its statements and its commit; the number behind the last one: a statement of the script.
    pub(super) order: Vec<usize>,
    /// The phase that runs meanwhile.
    pub(super) phase: Option<Phase>,
}

impl Bout {
    /// The same without one statement; without the client, when it was its only one.
    pub(super) fn without(&self, client: usize, statement: usize) -> Self {
        let mut fewer = self.clone();
        fewer.clients[client].remove(statement);
        let turn = |order: &[usize]| order.iter().position(|who| *who == client);
        if let Some(at) = turn(&fewer.order) {
            fewer.order.remove(at);
        }
        if fewer.clients[client].is_empty() {
            fewer.clients.remove(client);
            fewer.order.retain(|who| *who != client);
            for who in fewer.order.iter_mut().filter(|who| **who > client) {
                *who -= 1;
            }
        }
        fewer
    }
}

/// How a client's transaction ended.
#[derive(Debug)]
pub(super) enum End {
    Committed,
    /// With the number of the statement that was refused.
    Refused(usize, Failure),
}

/// The course that a bout took.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The clients in the order in which they ended.
    pub(super) ends: Vec<(usize, End)>,
    /// The statement at which the script failed: its line, and why.
    pub(super) script: Option<(usize, Failure)>,
    /// How often somebody had to wait for somebody else.
    pub(super) waits: u64,
}

/// A session with a thread of its own, so that it can wait while others go on.
pub(super) struct Hand<'place> {
    place: &'place dyn Place,
    pub(super) id: String,
    ask: Sender<String>,
    answer: Receiver<Result<Outcome, Failure>>,
    /// Whether a statement of it has no answer yet.
    waits: bool,
    /// How its last statement begins.
    said: String,
}

impl<'place> Hand<'place> {
    pub(super) fn new<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        database: &Database<'place>,
        mut session: Box<dyn Connection + Send>,
    ) -> Result<Self, Stopped> {
        let place = database.place;
        let id = place.session_id(session.as_mut())?;
        let (ask, asked) = channel::<String>();
        let (say, answer) = channel();
        scope.spawn(move || {
            for statement in asked {
                if say.send(session.run(&statement)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { place, id, ask, answer, waits: false, said: String::new() })
    }

    /// Runs a statement. `None`: it waits for another session.
    pub(super) fn run(&mut self, statement: &str) -> Result<Option<Result<Outcome, Failure>>, Stopped> {
        self.begin(statement)?;
        self.listen()
    }

    /// Sends a statement, whose answer is [heard](Self::hear) later.
    pub(super) fn begin(&mut self, statement: &str) -> Result<(), Stopped> {
        self.said = statement.trim().chars().take(300).collect();
        self.ask.send(statement.to_owned()).map_err(|_| lost())?;
        self.waits = true;
        Ok(())
    }

    /// The answer, if it comes within this time.
    pub(super) fn hear(&mut self, within: Duration) -> Result<Option<Result<Outcome, Failure>>, Stopped> {
        match self.answer.recv_timeout(within) {
            Ok(answer) => {
                self.waits = false;
                Ok(Some(answer))
            }
            Err(RecvTimeoutError::Disconnected) => Err(lost()),
            Err(RecvTimeoutError::Timeout) => Ok(None),
        }
    }

    fn endless(&self) -> Stopped {
        Stopped(format!("a statement does not end: {}", self.said))
    }

    /// The answer, however long it takes.
    pub(super) fn wait(&mut self) -> Result<Result<Outcome, Failure>, Stopped> {
        self.hear(PATIENCE)?.ok_or_else(|| self.endless())
    }

    /// Whether a statement of it has no answer yet.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// The answer to what it waits for; `None`: it waits still.
    pub(super) fn listen(&mut self) -> Result<Option<Result<Outcome, Failure>>, Stopped> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = self.hear(PAUSE)? {
                return Ok(Some(answer));
            }
            if self.place.is_waiting(&self.id)? {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Err(self.endless());
            }
        }
    }
}

fn lost() -> Stopped {
    Stopped("a client's connection is lost".to_owned())
}

/// Somebody who takes part: a client with its transaction, or the script.
struct Actor<'place> {
    hand: Hand<'place>,
    steps: Vec<String>,
    /// The step that is next, or that it waits in.
    at: usize,
    ended: bool,
}

/// Lets a bout take its course on a database.
pub(super) fn hold(lab: &Lab<'_>, database: &Database<'_>, bout: &Bout) -> Result<Course, Stopped> {
    std::thread::scope(|scope| {
        let mut course = Course::default();
        let mut actors = Vec::new();
        for writes in &bout.clients {
            let Some(side) = writes.first().map(|write| write.side) else { continue };
            let mut session = database.connect()?;
            database.enter(session.as_mut(), lab.namespace_of(side))?;
            session.run("begin")?;
            let mut steps: Vec<String> = writes.iter().map(|write| lab.reached(write)).collect();
            steps.push("commit".to_owned());
            actors.push(Actor { hand: Hand::new(scope, database, session)?, steps, at: 0, ended: false });
        }
        let script = actors.len();
        let statements = bout.phase.map(|phase| lab.statements(Task::Phase(phase))).unwrap_or_default();
        if bout.phase.is_some() {
            let steps = statements.iter().map(|statement| statement.text.clone()).collect();
            actors.push(Actor { hand: Hand::new(scope, database, database.connect()?)?, steps, at: 0, ended: statements.is_empty() });
        }
        let mut attempts = 0;
        let deadline = Instant::now() + PATIENCE;
        let mut turns = bout.order.iter().copied();
        while actors.iter().any(|actor| !actor.ended) {
            if Instant::now() > deadline {
                return Err(Stopped("clients that work at once don't come to an end".to_owned()));
            }
            // After the last turn everybody goes to their end, the script last.
            let ready = |who: &usize| actors.get(*who).is_some_and(|actor| !actor.ended && !actor.hand.waits);
            let turn = turns.by_ref().find(ready).or_else(|| (0..actors.len()).find(ready));
            let mut news = VecDeque::new();
            match turn {
                Some(who) => {
                    let actor = &mut actors[who];
                    match actor.hand.run(&actor.steps[actor.at])? {
                        Some(answer) => news.push_back((who, answer)),
                        None => course.waits += 1,
                    }
                }
                // The server finds out who waits for each other.
                None => hear(&mut actors, &mut news)?,
            }
            while let Some((who, answer)) = news.pop_front() {
                let actor = &mut actors[who];
                let lets_go = match answer {
                    Ok(_) => {
                        actor.at += 1;
                        actor.ended = actor.at >= actor.steps.len();
                        if actor.ended && who != script {
                            course.ends.push((who, End::Committed));
                        }
                        actor.ended || who == script
                    }
                    Err(failure) if who == script => {
                        attempts += 1;
                        if Refusal::of(&failure, lab.dialect) == Refusal::Lock && attempts < ATTEMPTS {
                            actor.hand = Hand::new(scope, database, database.connect()?)?;
                            actor.at = 0;
                        } else {
                            course.script = Some((statements.get(actor.at).map_or(0, |statement| statement.line), failure));
                            actor.ended = true;
                        }
                        true
                    }
                    Err(failure) => {
                        actor.hand.run("rollback")?;
                        actor.ended = true;
                        course.ends.push((who, End::Refused(actor.at, failure)));
                        true
                    }
                };
                if lets_go {
                    hear(&mut actors, &mut news)?;
                }
            }
        }
        Ok(course)
    })
}

/// What those say who waited until now.
fn hear(actors: &mut [Actor<'_>], news: &mut VecDeque<(usize, Result<Outcome, Failure>)>) -> Result<(), Stopped> {
    for (who, actor) in actors.iter_mut().enumerate().filter(|(_, actor)| actor.hand.waits && !actor.ended) {
        if let Some(answer) = actor.hand.listen()? {
            news.push_back((who, answer));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::shape::Side;
    use super::super::world::Kind;
    use super::*;

    #[test]
    fn a_client_goes_with_its_last_statement() {
        let write = || Write { side: Side::Old, pair: 0, kind: Kind::Update, sql: String::new(), numbered: None };
        let bout =
            Bout { clients: vec![vec![write()], vec![write(), write()]], order: vec![0, 1, 2, 1, 0, 1, 2], phase: Some(Phase::Migrate) };
        let fewer = bout.without(1, 0);
        assert_eq!((fewer.clients[1].len(), fewer.order.as_slice()), (1, &[0, 2, 1, 0, 1, 2][..]));
        let fewer = bout.without(0, 0);
        assert_eq!((fewer.clients.len(), fewer.order.as_slice()), (1, &[0, 1, 0, 0, 1][..]), "who stood behind it moves up");
    }
}
