//! One history: a database under migration, and beside it a plain database of each version, to which the same is done.

use std::collections::{BTreeMap, BTreeSet};

use super::bout::{Bout, End, hold};
use super::law::Law;
use super::place::{Database, Place, Refusal};
use super::policy::Verdict;
use super::shape::{Link, NO_ANSWER, Pair, Side, UNREAD, View, changes_by_itself, is_virtual, leads_nowhere};
use super::{Broken, Lab, Stopped, Tally, Trouble};
use crate::engine::{Connection, Failure, Outcome};
use crate::plan::model::Phase;
use crate::run::Task;
use crate::snapshot::model::{Column, IndexTarget};
use crate::sql::Dialect;
use crate::sql::quote::ident;
use crate::sql::split::{Bracket, Statement, split_as};
use crate::sql::tokens::names_word;

/// What stands in a statement where its client's name of the table goes.
pub(super) const TABLE: char = '\u{1}';

/// What stands in a statement where a number goes that the server gave.
pub(super) const NUMBER: char = '\u{2}';

/// A row, each value as a literal.
pub(super) type Row = Vec<String>;
pub(super) type Key = Vec<String>;
/// Rows by what tells them apart.
pub(super) type Rows = BTreeMap<Key, Row>;

/// What a statement is for, as far as the laws ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Insert,
    /// Several rows, or an upsert.
    Bulk,
    Update,
    /// `set n = n + 1`.
    Add,
    /// `set c = c`.
    Idle,
    Delete,
}

/// A statement of one version's client.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) side: Side,
    /// Number of the pair of tables.
    pub(super) pair: usize,
    pub(super) kind: Kind,
    /// With [`TABLE`] for the table.
    pub(super) sql: String,
    /// Where it leaves a number to the server: the same statement with [`NUMBER`] for each number.
    pub(super) numbered: Option<String>,
}

/// Something that happens in a history.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Write(Write),
    Run(Phase),
    /// Several clients at once.
    Together(Bout),
    /// Abort on a copy of the database.
    TryAbort,
}

impl Event {
    /// Whether the upgrade goes on with it.
    pub(super) fn is_phase(&self) -> bool {
        matches!(self, Event::Run(_) | Event::Together(Bout { phase: Some(_), .. }))
    }
}

/// How far the upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Before,
    Expanded,
    Migrated,
    Contracted,
}

pub(super) struct World<'lab> {
    pub(super) lab: &'lab Lab<'lab>,
    /// The clients' connection to the database under migration: it goes before the database does.
    client: Option<Box<dyn Connection>>,
    database: Database<'lab>,
    twins: [Twin<'lab>; 2],
    pub(super) stage: Stage,
    /// What each version's twin holds.
    pub(super) rows: [Vec<Rows>; 2],
    /// Who wrote a row last, by the key that both sides have.
    writers: BTreeMap<(usize, Key), Side>,
    /// Whether the new version has written: what only the old one knows may be blank since.
    new_wrote: bool,
    pub(super) tally: Tally,
    /// How many rows were taken away before migrate, whose images the new version's rules don't take.
    taken_away: usize,
    /// The old version's rows just before migrate.
    pub(super) seed_rows: Vec<Rows>,
    /// Values on which a lens gave no answer, or lost something: by its title.
    pub(super) seen: BTreeMap<String, Vec<Sight>>,
}

/// What was seen of a lens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sight {
    Same,
    /// `down(up(x))` is another value: x, and what comes back.
    LossyUp(String, String),
    /// `up(down(y))` is another value.
    LossyDown(String),
    /// `up` fails.
    PartialUp(String),
    /// `down` fails.
    PartialDown(String),
}

struct Twin<'lab> {
    session: Box<dyn Connection>,
    _database: Database<'lab>,
}

pub(super) fn of(side: Side) -> usize {
    match side {
        Side::Old => 0,
        Side::New => 1,
    }
}

/// What a lens gave: a value for each column, or why it gave none.
pub(super) type Given = Result<Vec<Option<String>>, String>;

impl<'lab> World<'lab> {
    pub(super) fn new(lab: &'lab Lab<'lab>) -> Result<Self, Stopped> {
        let database = lab.copy(&lab.old)?;
        let twin = |base: &Database<'lab>, side: Side| -> Result<Twin<'lab>, Stopped> {
            let database = lab.copy(base)?;
            let mut session = database.client(None)?;
            for (number, pair) in lab.pairs.iter().enumerate() {
                if let Some(view) = pair.view(side) {
                    let table = ident(&view.table.name, lab.dialect);
                    session.run(&lab.place.bench(&bench(number), &table))?;
                }
            }
            Ok(Twin { _database: database, session })
        };
        let twins = [twin(&lab.old, Side::Old)?, twin(&lab.new, Side::New)?];
        let none = || lab.pairs.iter().map(|_| Rows::new()).collect::<Vec<_>>();
        Ok(Self {
            lab,
            database,
            client: None,
            twins,
            stage: Stage::Before,
            rows: [none(), none()],
            writers: BTreeMap::new(),
            new_wrote: false,
            tally: Tally::default(),
            taken_away: 0,
            seed_rows: Vec::new(),
            seen: BTreeMap::new(),
        })
    }

    /// On a database that another upgrade has left behind.
    pub(super) fn after(lab: &'lab Lab<'lab>, left: &Database<'_>) -> Result<Self, Stopped> {
        let mut world = Self { database: lab.copy(left)?, ..Self::new(lab)? };
        let rows = world.read(Side::Old)?;
        match world.bring(Side::Old, &rows, &BTreeSet::new()) {
            Ok(Kept::Yes) => world.rows[of(Side::Old)] = rows,
            Ok(Kept::No) => return Err(Stopped("a plain database can't hold the rows that the upgrade before has left".to_owned())),
            Err(Trouble::Stopped(stopped)) => return Err(stopped),
            Err(Trouble::Broken(_) | Trouble::Over) => {
                return Err(Stopped("the rows of the upgrade before can't be brought over".to_owned()));
            }
        }
        Ok(world)
    }

    /// The database under migration, which nobody is connected to any more.
    pub(super) fn leave(self) -> Database<'lab> {
        drop(self.client);
        self.database
    }

    fn pair(&self, number: usize) -> &'lab Pair<'lab> {
        &self.lab.pairs[number]
    }

    fn view(&self, number: usize, side: Side) -> Option<&'lab View<'lab>> {
        self.lab.pairs.get(number)?.view(side)
    }

    pub(super) fn twin(&mut self, side: Side) -> &mut dyn Connection {
        self.twins[of(side)].session.as_mut()
    }

    /// The clients' connection, as one of a version.
    fn client(&mut self, side: Side) -> Result<&mut Box<dyn Connection>, Stopped> {
        if self.client.is_none() {
            self.client = Some(self.database.client(None)?);
        }
        let version = self.lab.namespace_of(side).filter(|_| self.stage < Stage::Contracted || side == Side::New);
        let Some(session) = self.client.as_mut() else { return Err(Stopped("there is no connection".to_owned())) };
        self.database.enter(session.as_mut(), version)?;
        Ok(session)
    }

    /// Does what happens, and holds it against the laws.
    pub(super) fn happen(&mut self, event: &Event) -> Result<(), Trouble> {
        self.lab.go_on()?;
        match event {
            Event::Write(write) => self.write(write).map(drop),
            Event::Run(phase) => self.run(*phase),
            Event::Together(bout) => self.together(bout),
            Event::TryAbort => self.try_abort(),
        }
    }

    // ---- writes ----

    fn write(&mut self, write: &Write) -> Result<Kept, Trouble> {
        let side = write.side;
        let Some(view) = self.view(write.pair, side) else { return Ok(Kept::No) };
        self.tally.statements += 1;
        let dialect = self.lab.dialect;
        let plain = self.plain(write, view);
        let reached = self.lab.reached(write);
        self.twin(side).run("begin")?;
        let deferred = self.lab.has_deferred;
        if write.numbered.is_some() {
            self.twin(side).run("savepoint crossfade_number")?;
        }
        let expected = attempt(self.twin(side), &plain, dialect, deferred);
        self.client(side)?.run("begin")?;
        let session = self.client.as_mut().map(Box::as_mut).ok_or_else(|| Stopped("there is no connection".to_owned()))?;
        let found = attempt(session, &reached, dialect, deferred);
        let verdict = self.judge(write, &expected, &found)?;
        let both = expected.is_ok() && found.is_ok();
        let numbered = if both && write.numbered.is_some() { self.number(write, view)? } else { Ok(()) };
        let result = match verdict.and(numbered) {
            Err(broken) => Err(Trouble::Broken(broken)),
            Ok(()) if both => self.compare(write, expected.unwrap_or_default(), found.unwrap_or_default()),
            Ok(()) => Ok(Kept::No),
        };
        match result {
            Ok(Kept::Yes) => {
                if let Some(failure) = self.client.as_mut().and_then(|session| session.run("commit").err()) {
                    self.client = None;
                    self.twin(side).run("rollback")?;
                    return match self.lab.declares(write.pair, Refusal::of(&failure, dialect)) {
                        // What was brought over is not there.
                        true => Err(Trouble::Over),
                        false => Err(self
                            .lab
                            .broken(Law::References, write.pair, "the commit of the statement", "accepted".to_owned(), failure.to_string())
                            .into()),
                    };
                }
                self.twin(side).run("commit")?;
                if side == Side::New {
                    self.new_wrote = true;
                }
                Ok(Kept::Yes)
            }
            Ok(Kept::No) => {
                self.tally.refused += 1;
                self.end(side, "rollback")?;
                Ok(Kept::No)
            }
            Err(trouble) => {
                // Whatever comes of it, the trouble is what there is to tell.
                let _ = self.end(side, "rollback");
                Err(trouble)
            }
        }
    }

    /// A statement as the version's plain database runs it. The numbers that a server would give lie behind those that are there.
    fn plain(&self, write: &Write, view: &View<'_>) -> String {
        let table = ident(&view.table.name, self.lab.dialect);
        let Some((numbered, at)) = write.numbered.as_ref().zip(view.counter()) else { return write.sql.replace(TABLE, &table) };
        let last = self.rows[of(write.side)][write.pair].values().filter_map(|row| as_number(&row[at])).max();
        with_numbers(&numbered.replace(TABLE, &table), (1..).map(|more| last.unwrap_or(0).saturating_add(more)))
    }

    /// The numbers that the server gave to new rows are no other row's. The twin's rows get the same.
    fn number(&mut self, write: &Write, view: &View<'_>) -> Result<Result<(), Broken>, Stopped> {
        let (side, number) = (write.side, write.pair);
        let (Some(numbered), Some(at)) = (&write.numbered, view.counter()) else { return Ok(Ok(())) };
        let own = self.read(side)?;
        let before = &self.rows[of(side)][number];
        // Not by their keys: after contract a row may have the old key of another one.
        let rows: Vec<&Row> = own[number].values().filter(|row| !before.values().any(|old| old == *row)).collect();
        let mut given: Vec<i64> = rows.iter().filter_map(|row| as_number(&row[at])).collect();
        given.sort_unstable();
        let wanted = numbered.matches(NUMBER).count();
        let name = &view.columns[at].name;
        let broken = |seen: String| {
            let expected = format!("{wanted} row(s), each with a number of its own in {name}");
            Ok(Err(self.lab.broken(Law::Identity, number, "the numbers that the server gave", expected, seen)))
        };
        let is_taken = |one: &i64| before.values().any(|row| as_number(&row[at]) == Some(*one));
        if given.len() != wanted || given.windows(2).any(|two| two[0] == two[1]) || given.iter().any(is_taken) {
            return broken(rows.iter().map(|row| text(view, row)).collect::<Vec<_>>().join("; "));
        }
        let dialect = self.lab.dialect;
        let statement = with_numbers(&numbered.replace(TABLE, &ident(&view.table.name, dialect)), given.into_iter());
        let deferred = self.lab.has_deferred;
        self.twin(side).run("rollback to savepoint crossfade_number")?;
        if let Err(failure) = attempt(self.twin(side), &statement, dialect, deferred) {
            return broken(format!("a plain database refuses them: {failure}"));
        }
        self.tally.hold(Law::Identity, self.pair(number).change);
        Ok(Ok(()))
    }

    /// Whether a plain database of the version takes a statement.
    pub(super) fn would_take(&mut self, write: &Write) -> Result<bool, Stopped> {
        let Some(view) = self.view(write.pair, write.side) else { return Ok(false) };
        let statement = self.plain(write, view);
        let (dialect, deferred) = (self.lab.dialect, self.lab.has_deferred);
        let session = self.twin(write.side);
        session.run("begin")?;
        let taken = attempt(session, &statement, dialect, deferred).is_ok();
        session.run("rollback")?;
        Ok(taken)
    }

    fn end(&mut self, side: Side, how: &str) -> Result<(), Stopped> {
        self.twin(side).run(how)?;
        if let Some(session) = self.client.as_mut() {
            session.run(how)?;
        }
        Ok(())
    }

    /// Whether the database answered as the plain one did.
    fn judge(
        &mut self,
        write: &Write,
        expected: &Result<Outcome, Failure>,
        found: &Result<Outcome, Failure>,
    ) -> Result<Result<(), Broken>, Stopped> {
        let dialect = self.lab.dialect;
        let pair = self.pair(write.pair);
        let law = |refusal: Refusal| match refusal {
            Refusal::Unique if write.numbered.is_some() => Law::Identity,
            Refusal::Unique => Law::Uniqueness,
            Refusal::Reference => Law::References,
            Refusal::Lock => Law::Isolation,
            Refusal::NotNull | Refusal::Check | Refusal::Value | Refusal::Other => Law::Totality,
        };
        let said = |result: &Result<Outcome, Failure>| match result {
            Ok(outcome) => format!("accepted, {} row(s)", outcome.affected),
            Err(failure) => format!("{}: {failure}", Refusal::of(failure, dialect).name()),
        };
        let broken = |law: Law| Err(self.lab.broken(law, write.pair, "the answer to the statement", said(expected), said(found)));
        Ok(match (expected, found) {
            (Ok(expected), Ok(found)) => {
                self.tally.hold(Law::ReadYourWrites, pair.change);
                let through_view = write.side == Side::New && self.is_reached_by_view(write.pair);
                let counted = !through_view || self.lab.place.counts_through_views();
                // These servers count a row twice that an upsert changes, and once where it was like that.
                let upserts = write.sql.contains(" on duplicate key update ");
                let count = |outcome: &Outcome| if upserts { outcome.affected.min(1) } else { outcome.affected };
                if counted && count(expected) != count(found) { broken(Law::ReadYourWrites) } else { Ok(()) }
            }
            (Err(expected), Err(found)) => {
                self.tally.hold(law(Refusal::of(expected, dialect)), pair.change);
                let (expected, found) = (Refusal::of(expected, dialect), Refusal::of(found, dialect));
                // A row may break several rules, and a server names one of them. That a lens has no answer has no class of its own.
                let by_lens = pair.relation.iter().flat_map(|relation| &relation.links).any(Link::may_refuse);
                if found == Refusal::Other && expected != Refusal::Other && !by_lens { broken(Law::ReadYourWrites) } else { Ok(()) }
            }
            (Ok(_), Err(refused)) => {
                let refusal = Refusal::of(refused, dialect);
                let by_rule = self.lab.warns_of(write, refusal)
                    || self.lab.declares(write.pair, refusal) && {
                        let held = self.read_twin(write.side)?;
                        self.other_says(write, &held, false)? != Verdict::Takes
                    };
                let may_be_the_lens =
                    refusal == Refusal::Other || (refusal == Refusal::Value && self.lab.declares(write.pair, Refusal::Value));
                let declared = self.stage > Stage::Before
                    && self.stage < Stage::Contracted
                    && (by_rule || (may_be_the_lens && self.lens_fails(write.pair, write.side)));
                if declared { Ok(()) } else { broken(law(refusal)) }
            }
            (Err(refused), Ok(_)) => {
                let said = &refused.message;
                let refusal = Refusal::of(refused, dialect);
                // Of two columns that may not be NULL each is a rule of its own.
                let is_another = |by: &Refusal, words: &String| *by != refusal || (refusal == Refusal::NotNull && words != said);
                let by_none = refusal == Refusal::Reference && self.lab.has_hazard(write.pair, "foreign-key-gap");
                // What an insert gives as NULL nothing tells from what the new version does not know.
                let is_untold = |link: &Link| {
                    link.new.is_empty()
                        && self.lab.is_ambiguous(write.pair, link)
                        && pair.old.as_ref().is_some_and(|view| link.old.iter().any(|at| said.contains(&view.columns[*at].name)))
                };
                let untold = refusal == Refusal::NotNull
                    && write.side == Side::Old
                    && matches!(write.kind, Kind::Insert | Kind::Bulk)
                    && (Stage::Expanded..Stage::Contracted).contains(&self.stage)
                    && pair.relation.iter().flat_map(|relation| &relation.links).any(is_untold);
                // The rules of the new version bind from contract on, those of the old one that the new one lost may go before.
                let late = self.stage < Stage::Contracted
                    && self.lab.pairs.iter().any(|pair| pair.rules.contains(&refusal))
                    && (write.side == Side::New || refusal != Refusal::NotNull || pair.loosens_not_null)
                    && {
                        let own = self.read(write.side)?;
                        match self.other_says(write, &own, true)? {
                            Verdict::Takes | Verdict::Unknown => true,
                            // Its other rules that differ bind late, too.
                            Verdict::Refuses(_) if by_none => true,
                            Verdict::Refuses(by) => {
                                !by.is_empty() && by.iter().all(|(by, words)| is_another(by, words) && pair.rules.contains(by))
                            }
                        }
                    };
                if late || untold { Ok(()) } else { broken(law(refusal)) }
            }
        })
    }

    /// Whether the new version's clients reach a table through a view.
    fn is_reached_by_view(&self, number: usize) -> bool {
        let pair = self.pair(number);
        let renamed = pair.old.as_ref().zip(pair.new.as_ref()).is_some_and(|(old, new)| old.table.name != new.table.name);
        self.lab.is_versioned() || (renamed && self.stage < Stage::Contracted)
    }

    /// Whether a lens of the table has no answer to a row that the twin took.
    fn lens_fails(&mut self, number: usize, side: Side) -> bool {
        let Ok(now) = self.read_twin(side) else { return false };
        let Some(relation) = self.pair(number).relation.as_ref() else { return false };
        let rows: Vec<Row> = now[number]
            .iter()
            .filter(|(key, row)| self.rows[of(side)][number].get(*key) != Some(row))
            .map(|(_, row)| row.clone())
            .collect();
        let mut fails = false;
        for row in rows {
            for link in &relation.links {
                if let Err(why) = self.give(number, link, side, link.from(side), &row) {
                    fails = true;
                    let value = shown(&row, link.of(side));
                    let sight = if side == Side::Old {
                        Sight::PartialUp(format!("{value}: {why}"))
                    } else {
                        Sight::PartialDown(format!("{value}: {why}"))
                    };
                    self.sight(number, link, sight);
                }
                // What the new version leaves out is computed for it, too.
                let is_left_out = side == Side::New && link.old.is_empty() && link.new.iter().all(|at| row[*at] == "NULL");
                if let Some(image) = image_of_inputs(self.pair(number), link, side, &row).filter(|_| is_left_out)
                    && let Err(why) = self.give(number, link, Side::Old, link.from(Side::Old), &image)
                {
                    fails = true;
                    let value = shown(&row, link.inputs(side));
                    self.sight(number, link, Sight::PartialUp(format!("{value}: {why}")));
                }
            }
        }
        fails
    }

    /// Both took the statement: what does each version see now?
    fn compare(&mut self, write: &Write, expected: Outcome, found: Outcome) -> Result<Kept, Trouble> {
        let (side, other) = (write.side, write.side.other());
        let law = match write.kind {
            Kind::Idle => Law::IdleStability,
            Kind::Delete => Law::Delete,
            Kind::Bulk => Law::BulkPaths,
            Kind::Insert | Kind::Update | Kind::Add => Law::ReadYourWrites,
        };
        if !expected.columns.is_empty() {
            self.tally.hold(Law::ReadYourWrites, self.pair(write.pair).change);
            let (mut a, mut b) = (expected.rows.clone(), found.rows.clone());
            a.sort();
            b.sort();
            if a != b {
                return Err(self
                    .lab
                    .broken(Law::ReadYourWrites, write.pair, "what RETURNING gives", format!("{a:?}"), format!("{b:?}"))
                    .into());
            }
        }
        let held = self.read_twin(side)?;
        let own = self.read(side)?;
        let before = self.rows.clone();
        let seen = if self.stage == Stage::Migrated { Some(self.read(other)?) } else { None };
        let mut wanted = held.clone();
        self.follow(write, &before[of(side)], &mut wanted, &own, seen.as_deref());
        if write.kind == Kind::Delete && self.reaches_another_rule(write, &wanted, &own) {
            return Ok(Kept::No);
        }
        self.same(side, &wanted, &own, law)?;
        if held != own {
            // The time of day, say: from here on both hold the same. A default that comes late may be NULL where no plain database
            // holds it, and what follows from the write may break a rule that binds from contract on.
            let kept = self.settle(side, &own)?;
            self.rows[of(side)].clone_from(&before[of(side)]);
            if kept == Kept::No {
                return Ok(Kept::No);
            }
        }
        if let Some(seen) = seen {
            let inserted = self.relate(write, &before, &own, &seen)?;
            if other == Side::New && !self.dangling(&seen).is_empty() {
                return Ok(Kept::No);
            }
            match self.bring(other, &seen, &inserted)? {
                Kept::No => return Ok(Kept::No),
                Kept::Yes => self.rows[of(other)] = seen,
            }
            self.tally.hold(Law::OneTransaction, self.pair(write.pair).change);
            self.orphans(other, write.pair)?;
        }
        for (number, rows) in own.iter().enumerate() {
            for (key, row) in rows {
                if before[of(side)][number].get(key) != Some(row) {
                    self.writers.insert((number, key.clone()), side);
                }
            }
        }
        self.rows[of(side)] = own;
        Ok(Kept::Yes)
    }

    /// Whether a delete reached rows by a foreign key that only one version has.
    fn reaches_another_rule(&self, write: &Write, wanted: &[Rows], own: &[Rows]) -> bool {
        let differs = |number: usize| wanted[number] != own[number];
        // What the new version's own key does comes with contract only, and the plan says so.
        let acts_late = |number: usize| {
            write.side == Side::New && self.stage < Stage::Contracted && self.lab.has_hazard(number, "foreign-key-acts-late")
        };
        (0..self.lab.pairs.len()).any(|number| {
            let by_rule = number != write.pair && self.pair(number).rules.contains(&Refusal::Reference);
            (by_rule || acts_late(number)) && differs(number)
        })
    }

    /// What a plain database does not do, and the lens rule does: a side that nothing was said of is what the other one gives,
    /// and a value that was computed follows what it was computed from. Puts that into `wanted`, where it is what is there.
    fn follow(&mut self, write: &Write, before: &[Rows], wanted: &mut [Rows], own: &[Rows], seen: Option<&[Rows]>) {
        let side = write.side;
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let Some(view) = pair.view(side) else { continue };
            let Some(relation) = &pair.relation else {
                if pair.is_mirrored {
                    self.follow_image(write, number, &before[number], &mut wanted[number], &own[number]);
                }
                continue;
            };
            for (key, row) in &mut wanted[number] {
                let Some(there) = own[number].get(key).filter(|there| *there != row) else { continue };
                let old = before[number].get(key);
                if old.is_none() && side == Side::New && self.stage < Stage::Contracted && !self.lab.has_view_defaults() {
                    for at in pair.late_defaults.iter().filter(|at| write.pair != number || !self.lab.gives(write, view.columns[**at])) {
                        row[*at].clone_from(&there[*at]);
                    }
                }
                for link in &relation.links {
                    let positions = link.of(side);
                    if positions.iter().all(|at| row[*at] == there[*at]) {
                        continue;
                    }
                    // Nothing tells who inserted; and what an upsert would insert has been filled before it meets its row.
                    let untold = old.is_none() || (write.kind == Kind::Bulk && number == write.pair && !self.lab.is_versioned());
                    let nothing = || positions.iter().all(|at| row[*at] == "NULL");
                    let left_out = || match side {
                        Side::New => positions.iter().all(|at| row[*at] == "NULL" || view.columns[*at].default.is_some()),
                        Side::Old => link.new.is_empty() && self.lab.is_ambiguous(number, link) && nothing(),
                    };
                    let follows = |old: &Row| {
                        let inputs = link.inputs(side);
                        // NULL that the twin's rule does not take is another value there.
                        let stands = |at: &usize| row[*at] == old[*at] || !self.lab.is_storable(side, view.columns[*at], &old[*at]);
                        inputs.iter().any(|at| old[*at] != row[*at]) && positions.iter().all(stands)
                    };
                    let unsaid = (untold && left_out()) || old.is_some_and(follows);
                    // Before anybody reads the other shape: what it is computed from stands in both.
                    let image = match seen {
                        Some(seen) => seen[number].get(key).cloned(),
                        None => image_of_inputs(pair, link, side, row),
                    };
                    let Some(image) = image.filter(|_| unsaid) else { continue };
                    let given = self.give(number, link, side.other(), link.from(side.other()), &image);
                    let is_given = |given: Vec<Option<String>>| {
                        positions.iter().zip(given).all(|(at, value)| value.is_none_or(|value| value == there[*at]))
                    };
                    if given.is_ok_and(is_given) {
                        for at in positions {
                            row[*at].clone_from(&there[*at]);
                        }
                    }
                }
            }
        }
    }

    /// Of a row that stands in two tables: what was written is there; the rest may follow its image, and it goes with it.
    fn follow_image(&self, write: &Write, number: usize, before: &Rows, wanted: &mut Rows, own: &Rows) {
        let Some(view) = self.view(number, write.side) else { return };
        if write.pair != number || write.kind == Kind::Delete {
            wanted.clone_from(own);
            return;
        }
        for (key, row) in wanted {
            let Some(there) = own.get(key) else { continue };
            for at in 0..row.len() {
                let unsaid = match before.get(key) {
                    Some(old) => old[at] == row[at],
                    None => row[at] == "NULL" || view.columns[at].default.is_some(),
                };
                if unsaid {
                    row[at].clone_from(&there[at]);
                }
            }
        }
    }

    /// A version sees in the database what its twin holds.
    fn same(&mut self, side: Side, wanted: &[Rows], found: &[Rows], law: Law) -> Result<(), Broken> {
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let Some(view) = pair.view(side) else { continue };
            self.tally.hold(law, pair.change);
            if view.key.is_empty() && pair.change > 0 {
                // Nothing tells its rows apart, and some of their values may be filled.
                if wanted[number].len() != found[number].len() {
                    let rows = |rows: &Rows| format!("{} rows", rows.len());
                    return Err(self.lab.broken(Law::NoLoss, number, &self.lab.sees(side), rows(&wanted[number]), rows(&found[number])));
                }
                continue;
            }
            for (key, row) in &wanted[number] {
                let Some(there) = found[number].get(key) else {
                    let law = if law == Law::Delete { law } else { Law::NoLoss };
                    return Err(self.lab.broken(law, number, &self.lab.sees(side), text(view, row), "no such row".to_owned()));
                };
                for (at, column) in view.columns.iter().enumerate() {
                    if row[at] != there[at] && !self.may_differ(number, side, at, column, (&row[at], &there[at])) {
                        let law = if law == Law::ReadYourWrites && row[at] == "NULL" { Law::Null } else { law };
                        return Err(self.lab.broken(law, number, &self.lab.sees(side), text(view, row), text(view, there)));
                    }
                }
            }
            if let Some((_, row)) = found[number].iter().find(|(key, _)| !wanted[number].contains_key(*key)) {
                return Err(self.lab.broken(law, number, &self.lab.sees(side), "no such row".to_owned(), text(view, row)));
            }
        }
        Ok(())
    }

    /// Columns in which the database need not hold what the twin does.
    fn may_differ(&self, number: usize, side: Side, at: usize, column: &Column, (wanted, found): (&str, &str)) -> bool {
        let pair = self.pair(number);
        let masked = pair.view(side).is_some_and(|view| view.masked[at]);
        let filled = self.is_filled(number, side, at, wanted);
        let blank = side == Side::Old && self.new_wrote && found == "NULL" && column.not_null && pair.rules.contains(&Refusal::NotNull);
        masked || filled || blank || (side == Side::Old && self.new_wrote && is_blind(pair, at, column))
    }

    /// Whether the NULL that a plain database holds is filled here from expand on.
    fn is_filled(&self, number: usize, side: Side, at: usize, wanted: &str) -> bool {
        side == Side::Old
            && wanted == "NULL"
            && self.stage > Stage::Before
            && self.pair(number).relation.iter().flat_map(|relation| &relation.links).any(|link| link.fill && link.old.contains(&at))
    }

    /// Whether the NULL of an INSERT, which nothing tells from what the new version does not know, gets what `down` gives.
    fn is_given_to_whoever_inserts(&self, number: usize, side: Side, at: usize, wanted: &str) -> bool {
        let mut links = self.pair(number).relation.iter().flat_map(|relation| &relation.links);
        side == Side::Old
            && wanted == "NULL"
            && links.any(|link| link.new.is_empty() && link.old.contains(&at) && self.lab.is_ambiguous(number, link))
    }

    /// Holds what the other version sees against what the lenses say. Gives back which rows are new to it.
    fn relate(&mut self, write: &Write, before: &[Vec<Rows>; 2], own: &[Rows], seen: &[Rows]) -> Result<BTreeSet<(usize, Key)>, Trouble> {
        let (side, other) = (write.side, write.side.other());
        let mut inserted = BTreeSet::new();
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let (Some(relation), Some(mine), Some(theirs)) = (&pair.relation, pair.view(side), pair.view(other)) else { continue };
            let (before_own, before_seen) = (&before[of(side)][number], &before[of(other)][number]);
            for (key, row) in &own[number] {
                let Some(image) = seen[number].get(key) else {
                    return Err(self
                        .lab
                        .broken(
                            Law::NoLoss,
                            number,
                            &self.lab.sees(other),
                            format!("the image of {}", text(mine, row)),
                            "no such row".to_owned(),
                        )
                        .into());
                };
                let old = before_own.get(key).zip(before_seen.get(key));
                if old.is_none() {
                    inserted.insert((number, key.clone()));
                }
                for at in relation.only(other).iter().copied().filter(|at| theirs.columns[*at].identity.is_some()) {
                    let (wanted, is_wrong) = match old {
                        Some((_, old_image)) => (format!("the number that it had, {}", old_image[at]), old_image[at] != image[at]),
                        None => {
                            let others = seen[number].iter().filter(|(other, _)| *other != key).map(|(_, row)| row);
                            let is_taken = others.chain(before_seen.values()).any(|row| row[at] == image[at]);
                            ("a number of its own".to_owned(), is_taken || image[at] == "NULL")
                        }
                    };
                    if is_wrong {
                        return Err(self.lab.broken(Law::Identity, number, &self.lab.sees(other), wanted, text(theirs, image)).into());
                    }
                    self.tally.hold(Law::Identity, pair.change);
                }
                self.tally.hold(Law::Agreement, pair.change);
                for (a, b) in &relation.copies {
                    let (from, to) = if side == Side::Old { (*a, *b) } else { (*b, *a) };
                    if row[from] != image[to] && !mine.masked[from] && !theirs.masked[to] {
                        let law = self.law_of(number, key, write);
                        return Err(self
                            .lab
                            .broken(
                                law,
                                number,
                                &self.lab.sees(other),
                                format!("{} = {}", theirs.columns[to].name, row[from]),
                                text(theirs, image),
                            )
                            .into());
                    }
                }
                if let Some((_, old_image)) = old {
                    for at in relation.only(other) {
                        if old_image[*at] != image[*at] && !theirs.masked[*at] {
                            return Err(self
                                .lab
                                .broken(Law::RoundTrip, number, &self.lab.sees(other), text(theirs, old_image), text(theirs, image))
                                .into());
                        }
                    }
                }
                for link in &relation.links {
                    if link.of(other).iter().any(|at| theirs.masked[*at]) {
                        continue;
                    }
                    self.agree(write, number, link, key, (row, image), old)?;
                }
            }
            if let Some((key, image)) = seen[number].iter().find(|(key, _)| !own[number].contains_key(*key)) {
                let law = if before_own.contains_key(key) { Law::Delete } else { Law::Agreement };
                return Err(self.lab.broken(law, number, &self.lab.sees(other), "no such row".to_owned(), text(theirs, image)).into());
            }
            if write.kind == Kind::Delete && number == write.pair {
                self.tally.hold(Law::Delete, pair.change);
            }
        }
        Ok(inserted)
    }

    /// A write that arrives at the other side as another value.
    fn law_of(&self, number: usize, key: &Key, write: &Write) -> Law {
        match write.kind {
            Kind::Idle => Law::IdleStability,
            Kind::Bulk => Law::BulkPaths,
            Kind::Delete => Law::Delete,
            Kind::Insert | Kind::Update | Kind::Add => match self.writers.get(&(number, key.clone())) {
                Some(last) if *last != write.side && number == write.pair => Law::LastWriter,
                _ => Law::Agreement,
            },
        }
    }

    /// What the lens rule allows the other side of a lens to be, after a write to a row.
    fn agree(
        &mut self,
        write: &Write,
        number: usize,
        link: &Link,
        key: &Key,
        (row, image): (&Row, &Row),
        old: Option<(&Row, &Row)>,
    ) -> Result<(), Trouble> {
        let (side, other) = (write.side, write.side.other());
        let change = self.pair(number).change;
        let Some(theirs) = self.pair(number).view(other) else { return Ok(()) };
        let now: Row = link.of(other).iter().map(|at| image[*at].clone()).collect();
        let given = self.give(number, link, side, link.from(side), row);
        // One column in both shapes, which is as wide as the new version's.
        let stands_as_written = other == Side::Old
            && given.is_err()
            && link.of(other).len() == 1
            && link.of(side).iter().map(|at| &row[*at]).eq(now.iter())
            && self.lab.may_be_longer(number, &theirs.columns[link.of(other)[0]].name);
        if stands_as_written {
            return Ok(());
        }
        let wrong = |world: &Self, law: Law, expected: &str| {
            let seen = text(theirs, image);
            Trouble::Broken(world.lab.broken(law, number, &world.lab.sees(other), expected.to_owned(), seen))
        };
        let follows = |given: &Given| {
            given.as_ref().is_ok_and(|values| values.iter().zip(&now).all(|(value, now)| value.as_ref().is_none_or(|value| value == now)))
        };
        // The other way round: what stands there means what was written.
        let back = link.from(other);
        let means = |world: &mut Self| {
            let wanted: Row = link.of(side).iter().map(|at| row[*at].clone()).collect();
            back.iter().any(Option::is_some)
                && world.give(number, link, other, back, image).is_ok_and(|values| {
                    values.iter().zip(&wanted).all(|(value, wanted)| value.as_ref().is_none_or(|value| value == wanted))
                })
        };
        let Some((old_row, old_image)) = old else {
            self.tally.hold(if now.iter().any(|value| value == "NULL") { Law::Null } else { Law::Agreement }, change);
            // A column that goes gets nothing where its `down` has no value, as the plan says.
            let is_unsaid = |at: &usize| image[*at] == "NULL" || theirs.columns[*at].default.is_some();
            let is_left_out = given.is_err()
                && link.new.is_empty()
                && self.lab.has_hazard(number, "lens-not-total")
                && link.of(other).iter().all(is_unsaid);
            if follows(&given) || is_left_out || means(self) || self.lab.is_ambiguous(number, link) {
                return Ok(());
            }
            let null = now.iter().any(|value| value == "NULL") || given.iter().flatten().flatten().any(|value| value == "NULL");
            let law = match write.kind {
                Kind::Bulk => Law::BulkPaths,
                _ if null => Law::Null,
                _ => Law::Agreement,
            };
            return Err(wrong(self, law, &expected(theirs, link.of(other), &given)));
        };
        // What the server computes for the writer follows what it computes it from.
        let computed = |at: &usize| self.view(number, side).is_some_and(|view| view.columns[*at].generated.is_some());
        let said: Vec<usize> = link.of(side).iter().copied().filter(|at| !computed(at)).collect();
        let read: Vec<usize> = link.inputs(side).iter().chain(link.of(side).iter().filter(|at| computed(at))).copied().collect();
        let changed = |positions: &[usize]| positions.iter().any(|at| old_row[*at] != row[*at]);
        let then: Row = link.of(other).iter().map(|at| old_image[*at].clone()).collect();
        if !changed(&said) && !changed(&read) {
            self.tally.hold(if write.kind == Kind::Idle { Law::IdleStability } else { Law::RoundTrip }, change);
            if now == then {
                return Ok(());
            }
            let law = if write.kind == Kind::Idle { Law::IdleStability } else { Law::RoundTrip };
            return Err(wrong(self, law, &text(theirs, old_image)));
        }
        self.tally.hold(Law::LastWriter, change);
        if follows(&given) {
            return Ok(());
        }
        if now == then {
            if !changed(&said) || means(self) || given.is_ok_and(|values| values.iter().all(Option::is_none)) {
                return Ok(());
            }
            let given = self.give(number, link, side, link.from(side), row);
            let law =
                if given.iter().flatten().flatten().any(|value| value == "NULL") { Law::Null } else { self.law_of(number, key, write) };
            return Err(wrong(self, law, &expected(theirs, link.of(other), &given)));
        }
        let law = self.law_of(number, key, write);
        Err(wrong(self, law, &expected(theirs, link.of(other), &given)))
    }

    /// What a lens makes of a row: evaluated beside a plain database, by the author's own expression, and stored as its column
    /// would store it.
    pub(super) fn give(&mut self, number: usize, link: &Link, from: Side, expressions: &[Option<String>], row: &Row) -> Given {
        // Nothing follows from what nobody can read.
        if expressions.iter().all(Option::is_none) || row.iter().any(|value| value == UNREAD) {
            return Ok(vec![None; expressions.len()]);
        }
        if link.fill && from == Side::Old && link.old.iter().all(|at| row[*at] != "NULL") {
            return Ok(link.old.iter().map(|at| Some(row[*at].clone())).collect());
        }
        // What reads nothing but the row gives the same for it again.
        let reads_more = expressions
            .iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains("select") || changes_by_itself(text, self.lab.dialect));
        if reads_more {
            return self.ask(number, link, from, expressions, row);
        }
        let key = (number, link.of(from.other()).to_vec(), from, expressions.to_vec(), row.clone());
        if let Some(given) = self.lab.given.borrow().get(&key) {
            return given.clone();
        }
        let given = self.ask(number, link, from, expressions, row);
        self.lab.given.borrow_mut().insert(key, given.clone());
        given
    }

    /// The same, asked of the engine.
    fn ask(&mut self, number: usize, link: &Link, from: Side, expressions: &[Option<String>], row: &Row) -> Given {
        let to = from.other();
        let (Some(source), Some(target)) = (self.view(number, from), self.view(number, to)) else {
            return Err("there is no such table".to_owned());
        };
        let place = self.lab.place;
        let dialect = self.lab.dialect;
        let bench = bench(number);
        let columns: Vec<String> = source.columns.iter().map(|column| ident(&column.name, dialect)).collect();
        let result: Result<Vec<Option<String>>, Failure> = (|| {
            let session = self.twins[of(from)].session.as_mut();
            session.run("savepoint crossfade_lens")?;
            let asked: Vec<String> = expressions
                .iter()
                .zip(link.of(to))
                .map(|(e, at)| e.as_ref().map_or("null".to_owned(), |e| place.shown(&place.meant(e, target.columns[*at]))))
                .collect();
            let done = session
                .run(&format!("insert into {bench} ({}) values ({})", columns.join(", "), row.join(", ")))
                .and_then(|_| session.run(&format!("select {} from {bench} as {}", asked.join(", "), ident(&source.table.name, dialect))))
                .and_then(|found| place.doubts(session).and_then(|doubt| doubt.map_or(Ok(found), Err)));
            session.run("rollback to savepoint crossfade_lens")?;
            session.run("release savepoint crossfade_lens")?;
            let given: Vec<String> = done?.rows.into_iter().next().unwrap_or_default().into_iter().map(|value| place.cell(value)).collect();
            let names: Vec<String> = link.of(to).iter().map(|at| ident(&target.columns[*at].name, dialect)).collect();
            // Said of each column: some servers have no default even for what may be NULL.
            let rest: Vec<String> = (0..target.columns.len())
                .filter(|at| !link.of(to).contains(at))
                .map(|at| ident(&target.columns[at].name, dialect))
                .collect();
            let all: Vec<&str> = names.iter().chain(&rest).map(String::as_str).collect();
            let values: Vec<&str> = given.iter().map(String::as_str).chain(rest.iter().map(|_| "null")).collect();
            let session = self.twins[of(to)].session.as_mut();
            session.run("savepoint crossfade_lens")?;
            let shown: Vec<String> = names.iter().map(|name| place.shown(name)).collect();
            let done = session
                .run(&format!("insert into {bench} ({}) values ({})", all.join(", "), values.join(", ")))
                .and_then(|_| session.run(&format!("select {} from {bench}", shown.join(", "))));
            session.run("rollback to savepoint crossfade_lens")?;
            session.run("release savepoint crossfade_lens")?;
            let row = done?.rows.into_iter().next().unwrap_or_default();
            Ok(row.into_iter().zip(expressions).map(|(value, expression)| expression.as_ref().map(|_| place.cell(value))).collect())
        })();
        match result {
            Ok(values) if values.iter().flatten().any(|value| value.contains(NO_ANSWER)) => Err("no answer".to_owned()),
            Ok(values) => Ok(values),
            Err(failure) => Err(failure.message),
        }
    }

    /// Gives a twin the rows that its version sees. `No`: a plain database of that version can't hold them.
    fn bring(&mut self, side: Side, rows: &[Rows], inserted: &BTreeSet<(usize, Key)>) -> Result<Kept, Trouble> {
        let now = self.rows[of(side)].clone();
        if now == rows {
            return Ok(Kept::Yes);
        }
        let [aside, back] = self.lab.place.set_references_aside();
        self.twin(side).run(aside)?;
        self.twin(side).run("begin")?;
        let done = self.bring_rows(side, &now, rows, inserted);
        let kept = matches!(done, Ok(Kept::Yes));
        self.twin(side).run(if kept { "commit" } else { "rollback" })?;
        self.twin(side).run(back)?;
        done
    }

    fn bring_rows(&mut self, side: Side, now: &[Rows], rows: &[Rows], inserted: &BTreeSet<(usize, Key)>) -> Result<Kept, Trouble> {
        let dialect = self.lab.dialect;
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let Some(view) = pair.view(side) else { continue };
            let table = ident(&view.table.name, dialect);
            if view.key.is_empty() {
                if now[number] != rows[number] {
                    self.twin(side).run(&format!("delete from {table}"))?;
                }
            } else {
                let goes = |(key, row): &(&Key, &Row)| rows[number].get(*key).is_none_or(|new| is_renumbered(view, row, new));
                for (key, _) in now[number].iter().filter(goes) {
                    let statement = format!("delete from {table} where {}", self.lab.is_row(view, key));
                    self.twin(side).run(&statement)?;
                }
            }
            for (key, row) in &rows[number] {
                let old = now[number].get(key).filter(|_| !view.key.is_empty() || now[number] == rows[number]);
                let old = old.filter(|old| !is_renumbered(view, old, row));
                if old == Some(row) {
                    continue;
                }
                let writable: Vec<usize> = (0..row.len()).filter(|at| view.columns[*at].generated.is_none()).collect();
                let value = |at: usize| self.lab.storable(side, view.columns[at], &row[at]);
                let done = match old {
                    Some(old) => {
                        let changes: Vec<String> = writable
                            .iter()
                            .filter(|at| old[**at] != row[**at])
                            .map(|at| format!("{} = {}", ident(&view.columns[*at].name, dialect), value(*at)))
                            .collect();
                        if changes.is_empty() {
                            continue;
                        }
                        let statement = format!("update {table} set {} where {}", changes.join(", "), self.lab.is_row(view, key));
                        self.twin(side).run(&statement)
                    }
                    None => {
                        let only: &[usize] = pair.relation.as_ref().map_or(&[], |relation| relation.only(side));
                        let left_out = if inserted.contains(&(number, key.clone())) { only } else { &[] };
                        let list: Vec<usize> = writable
                            .iter()
                            .copied()
                            .filter(|at| {
                                let column = view.columns[*at];
                                !left_out.contains(at) || column.identity.is_some() || is_blind(pair, *at, column)
                            })
                            .collect();
                        let statement = self.lab.insert(&table, view, &list, &value);
                        self.twin(side).run(&statement)
                    }
                };
                if let Err(failure) = done {
                    return match Refusal::of(&failure, dialect) {
                        Refusal::Other => Err(Stopped::from(failure).into()),
                        _ => Ok(Kept::No),
                    };
                }
            }
        }
        // What the writer does not know has its own default there.
        if !inserted.is_empty() {
            let held = self.read_twin(side)?;
            for (number, key) in inserted {
                let pair = self.pair(*number);
                let (Some(view), Some(relation)) = (pair.view(side), &pair.relation) else { continue };
                let (Some(wanted), Some(found)) = (held[*number].get(key), rows[*number].get(key)) else { continue };
                for at in relation.only(side).iter().copied().filter(|at| !view.masked[*at]) {
                    self.tally.hold(Law::Defaults, pair.change);
                    if wanted[at] != found[at] && !is_blind(pair, at, view.columns[at]) {
                        let expected = format!("{} = {}", view.columns[at].name, wanted[at]);
                        return Err(self.lab.broken(Law::Defaults, *number, &self.lab.sees(side), expected, text(view, found)).into());
                    }
                }
            }
        }
        Ok(Kept::Yes)
    }

    /// Makes a twin hold exactly these rows.
    fn settle(&mut self, side: Side, rows: &[Rows]) -> Result<Kept, Trouble> {
        let held = self.read_twin(side)?;
        self.rows[of(side)] = held;
        // In the transaction of the write, whose references hold already.
        let now = self.rows[of(side)].clone();
        self.bring_rows(side, &now, rows, &BTreeSet::new())
    }

    /// Every reference of a version leads to a row.
    fn orphans(&mut self, side: Side, written: usize) -> Result<(), Trouble> {
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let Some(view) = pair.view(side) else { continue };
            if !pair.rules.is_empty() || pair.relation.is_none() {
                continue;
            }
            for key in &view.table.foreign_keys {
                let Some(parent) =
                    self.lab.pairs.iter().position(|pair| pair.view(side).is_some_and(|view| view.table.name == key.ref_table))
                else {
                    continue;
                };
                let Some(target) = self.view(parent, side) else { continue };
                self.tally.hold(Law::References, self.pair(written).change);
                let mine: Vec<usize> = key.columns.iter().filter_map(|name| view.at(name)).collect();
                let its: Vec<usize> = key.ref_columns.iter().filter_map(|name| target.at(name)).collect();
                for row in self.rows[of(side)][number].values() {
                    let values: Vec<&String> = mine.iter().map(|at| &row[*at]).collect();
                    let held = self.rows[of(side)][parent].values().map(|row| its.iter().map(|at| &row[*at]).collect());
                    if self.lab.dialect == Dialect::Sqlite
                        && its.iter().zip(&mine).all(|(a, b)| target.columns[*a].ty == view.columns[*b].ty)
                        && leads_nowhere(key, &values, held)
                    {
                        return Err(self
                            .lab
                            .broken(Law::References, number, &self.lab.sees(side), format!("a row of {}", key.ref_table), text(view, row))
                            .into());
                    }
                }
            }
        }
        Ok(())
    }

    // ---- reading ----

    /// What a version sees in the database under migration.
    fn read(&mut self, side: Side) -> Result<Vec<Rows>, Stopped> {
        if self.client.is_none() {
            self.client(Side::Old)?;
        }
        let lab = self.lab;
        let Some(session) = self.client.as_mut() else { return Err(Stopped("there is no connection".to_owned())) };
        dump(lab, session.as_mut(), side, &|name| lab.relation(side, name))
    }

    /// What the twin of a version holds.
    pub(super) fn read_twin(&mut self, side: Side) -> Result<Vec<Rows>, Stopped> {
        let lab = self.lab;
        dump(lab, self.twin(side), side, &|name| ident(name, lab.dialect))
    }

    // ---- several clients ----

    /// Clients at once, on a copy; then the same here, one after the other in the order of their commits. Both must come to the same:
    /// the locks of a plain table keep two writers of a row apart until one of them commits.
    fn together(&mut self, bout: &Bout) -> Result<(), Trouble> {
        if bout.phase == Some(Phase::Migrate) {
            self.load_new()?;
        }
        self.client = None;
        let lab = self.lab;
        let copy = lab.copy(&self.database)?;
        let course = hold(lab, &copy, bout)?;
        self.tally.bouts += 1;
        self.tally.waits += course.waits;
        let before = self.taken_away;
        let mut same_writes = true;
        for (who, end) in &course.ends {
            let writes = &bout.clients[*who];
            match end {
                End::Committed => {
                    for write in writes {
                        same_writes &= self.write(write)? == Kept::Yes;
                    }
                }
                End::Refused(at, failure) => {
                    let of = writes.get(*at).or(writes.last());
                    let pair = of.map_or(0, |write| write.pair);
                    let what = format!("the answer to session {}", who + 1);
                    let refused = |world: &Self| {
                        let seen = format!("{}: {failure}", Refusal::of(failure, lab.dialect).name());
                        Err(world.lab.broken(Law::Isolation, pair, &what, "accepted, as alone".to_owned(), seen).into())
                    };
                    if Refusal::of(failure, lab.dialect) == Refusal::Lock {
                        let declared = lab.subject.plan.hazards.iter().any(|hazard| hazard.code == "mirror-can-deadlock");
                        if declared || self.may_lock_each_other(bout) {
                            continue;
                        }
                        return refused(self);
                    }
                    // A rule of the phase may bind already: then nothing tells what it would have said before.
                    // Nor does anything where what came before it was not the same.
                    if *at == 0
                        && same_writes
                        && bout.phase.is_none()
                        && let Some(write) = of
                        && self.write(write)? == Kept::Yes
                    {
                        return refused(self);
                    }
                }
            }
        }
        let law = match bout.phase {
            Some(Phase::Migrate) => Law::BackfillCommutes,
            None if bout.clients.iter().flatten().all(|write| write.kind != Kind::Add) => Law::LastWriter,
            Some(Phase::Expand | Phase::Contract) | None => Law::Isolation,
        };
        if let Some(phase) = bout.phase {
            self.run(phase)?;
            same_writes &= self.taken_away == before;
            let mut stopped = course.script.filter(|_| same_writes);
            if stopped.is_some() && (0..lab.pairs.len()).any(|number| lab.declares_loss_of_row(number)) {
                // It met a row that broke a new rule until another client came: then it is run again, as its message says.
                let mut session = copy.connect()?;
                let mut statements = lab.statements(Task::Phase(phase)).into_iter();
                stopped = statements.find_map(|statement| Some((statement.line, session.run(&statement.text).err()?)));
            }
            if let Some((line, failure)) = stopped {
                let expected = "it ends while clients write, as it does alone";
                return Err(lab.broken_script(law, phase.name(), expected, &format!("line {line}: {failure}")).into());
            }
        }
        if !same_writes {
            return Ok(());
        }
        let sides = match self.stage {
            Stage::Before | Stage::Expanded => &[Side::Old][..],
            Stage::Migrated => &[Side::Old, Side::New],
            Stage::Contracted => &[Side::New],
        };
        for side in sides.iter().copied() {
            let mut client = copy.client(lab.namespace_of(side).filter(|_| self.stage < Stage::Contracted))?;
            let wanted = self.read(side)?;
            let found = dump(lab, client.as_mut(), side, &|name| lab.relation(side, name))?;
            self.alike(side, &wanted, &found, law)?;
        }
        for write in bout.clients.iter().flatten() {
            self.tally.hold(law, self.pair(write.pair).change);
            if law == Law::LastWriter {
                self.tally.hold(Law::Isolation, self.pair(write.pair).change);
            }
        }
        Ok(())
    }

    /// Whether the clients of a bout may wait for each other in a plain database too. Where a foreign key leads from one of the tables
    /// that they write to one of them, rows are locked in an order that is not that of their keys; and whoever writes a value that must
    /// be unique waits for another one who has written the same. InnoDB locks every row that a statement reads besides: all of them,
    /// where the clients name rows by what is no key there. And whoever waits there for a row that another one deletes holds the gap that
    /// it leaves, in which the other one can't insert.
    fn may_lock_each_other(&self, bout: &Bout) -> bool {
        let written: BTreeSet<usize> = bout.clients.iter().flatten().map(|write| write.pair).collect();
        let names: BTreeSet<&str> = written.iter().flat_map(|number| self.lab.names(*number)).collect();
        let locks_what_is_read = matches!(self.lab.dialect, Dialect::Mysql | Dialect::Mariadb);
        let has = |wanted: &[Kind]| bout.clients.iter().flatten().any(|write| wanted.contains(&write.kind));
        let deletes_and_inserts = has(&[Kind::Delete]) && has(&[Kind::Insert, Kind::Bulk]);
        let views = written.iter().flat_map(|number| [Side::Old, Side::New].map(|side| self.view(*number, side)));
        views.flatten().any(|view| {
            let is_indexed = |name: &str| {
                let keys = view.table.indexes.iter().filter(|index| index.unique).flat_map(|index| &index.keys);
                keys.map(|key| &key.target).any(|target| match target {
                    IndexTarget::Column(column) => column == name,
                    IndexTarget::Expression(expression) => names_word(&expression.text, name),
                })
            };
            let is_unique =
                |column: &Column| view.table.uniques.iter().any(|unique| unique.columns.contains(&column.name)) || is_indexed(&column.name);
            let writers = |column: &str| {
                let name = ident(column, self.lab.dialect);
                bout.clients.iter().filter(|writes| writes.iter().any(|write| write.sql.contains(&name))).count()
            };
            view.table.foreign_keys.iter().any(|key| names.contains(key.ref_table.as_str()))
                || (locks_what_is_read && (!is_found_by_key(view) || deletes_and_inserts))
                || view.columns.iter().any(|column| is_unique(column) && writers(&column.name) > 1)
        })
    }

    /// What clients came to at once is what they come to one after the other.
    fn alike(&self, side: Side, wanted: &[Rows], found: &[Rows], law: Law) -> Result<(), Broken> {
        let lab = self.lab;
        for number in 0..lab.pairs.len() {
            // Until contract goes that far, a row of the other table goes with its origin.
            let goes_along = self.stage == Stage::Contracted && law == Law::Isolation && self.pair(number).is_mirrored;
            let Some(view) = self.view(number, side).filter(|_| !goes_along) else { continue };
            let said = |row: Option<&Row>| row.map_or_else(|| "no such row".to_owned(), |row| text(view, row));
            // A row that is inserted while contract runs may have the default of before or of after.
            let late = |at: &usize| self.stage == Stage::Contracted && self.pair(number).late_defaults.contains(at);
            // A write beside expand may come before the fill or behind it.
            let filled = |at: usize, wanted: &str| {
                let is_given = || self.is_given_to_whoever_inserts(number, side, at, wanted);
                law == Law::Isolation && (self.is_filled(number, side, at, wanted) || is_given())
            };
            let differs = |a: Option<&Row>, b: Option<&Row>| match (a, b) {
                (Some(a), Some(b)) => (0..a.len()).any(|at| a[at] != b[at] && !view.masked[at] && !late(&at) && !filled(at, &a[at])),
                (a, b) => a.is_some() != b.is_some(),
            };
            for key in wanted[number].keys().chain(found[number].keys()) {
                let (a, b) = (wanted[number].get(key), found[number].get(key));
                // Who gives none of the values that are mirrored has a row there if migrate comes later.
                let is_blank = |row: &Row| {
                    let left_out = |at: usize| row[at] == "NULL" || view.columns[at].default.is_some();
                    (0..row.len()).all(|at| view.key.contains(&at) || left_out(at))
                };
                if law == Law::BackfillCommutes && lab.has_hazard(number, "mirror-blank-rows") && b.is_none() && a.is_some_and(is_blank) {
                    continue;
                }
                if differs(a, b) {
                    let what = format!("{} after they wrote at once", lab.sees(side));
                    return Err(lab.broken(law, number, &what, format!("{}, as one after the other", said(a)), said(b)));
                }
            }
        }
        Ok(())
    }

    // ---- phases ----

    fn run(&mut self, phase: Phase) -> Result<(), Trouble> {
        if phase == Phase::Migrate {
            self.load_new()?;
            self.seed_rows.clone_from(&self.rows[of(Side::Old)]);
        }
        if phase == Phase::Contract {
            for number in 0..self.lab.pairs.len() {
                self.look_at_lenses(number)?;
            }
        }
        let watched = if phase == Phase::Contract { Side::New } else { Side::Old };
        let before = self.read(watched)?;
        self.client = None;
        let statements = self.lab.statements(Task::Phase(phase));
        let mut session = self.database.connect()?;
        for statement in &statements {
            if let Err(failure) = session.run(&statement.text) {
                if phase != Phase::Expand && self.lab.has_late_rules() {
                    return Err(Trouble::Over);
                }
                return Err(self
                    .lab
                    .broken_script(Law::End, phase.name(), "the phase ends", &format!("line {}: {failure}", statement.line))
                    .into());
            }
        }
        drop(session);
        self.stage = match phase {
            Phase::Expand => Stage::Expanded,
            Phase::Migrate => Stage::Migrated,
            Phase::Contract => Stage::Contracted,
        };
        let after = self.read(watched)?;
        let law = if phase == Phase::Contract { Law::NoLoss } else { Law::ReadYourWrites };
        self.same(watched, &before, &after, law)?;
        self.numbers_stay(watched, &before, &after)?;
        if watched == Side::Old && before != after {
            // What a fill or a backfill made of NULLs, on purpose.
            self.twin(Side::Old).run("begin")?;
            self.settle(Side::Old, &after)?;
            self.twin(Side::Old).run("commit")?;
            self.rows[of(Side::Old)] = after;
        }
        match phase {
            Phase::Expand => {}
            Phase::Migrate => self.meet_new()?,
            Phase::Contract => {
                self.tally.hold(Law::End, 0);
                let mut session = self.database.connect()?;
                self.lab.must_be_new(session.as_mut())?;
            }
        }
        Ok(())
    }

    /// A phase gives no row another number.
    fn numbers_stay(&mut self, side: Side, before: &[Rows], after: &[Rows]) -> Result<(), Broken> {
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let Some((view, at)) = pair.view(side).and_then(|view| Some((view, view.counter()?))) else { continue };
            for (key, row) in &before[number] {
                let Some(now) = after[number].get(key).filter(|now| now[at] != row[at]) else { continue };
                return Err(self.lab.broken(Law::Identity, number, &self.lab.sees(side), text(view, row), text(view, now)));
            }
            self.tally.hold(Law::Identity, pair.change);
        }
        Ok(())
    }

    /// Before migrate: the images of all rows, by the author's expressions, in the new version's twin. A row that no database of
    /// the new version can hold is taken away by the old one, where the plan says that its rules tighten.
    fn load_new(&mut self) -> Result<(), Trouble> {
        let dialect = self.lab.dialect;
        for _ in 0..8 {
            let mut unfit: Vec<(usize, Key, String)> = Vec::new();
            let [aside, back] = self.lab.place.set_references_aside();
            self.twin(Side::New).run(aside)?;
            self.twin(Side::New).run("begin")?;
            for number in 0..self.lab.pairs.len() {
                let pair = self.pair(number);
                let (Some(relation), Some(old), Some(new)) = (&pair.relation, &pair.old, &pair.new) else { continue };
                let table = ident(&new.table.name, dialect);
                // They were loaded before, when clients wrote while migrate ran.
                self.twin(Side::New).run(&format!("delete from {table}"))?;
                for (key, row) in self.rows[of(Side::Old)][number].clone() {
                    let mut values: BTreeMap<usize, String> = relation.copies.iter().map(|(a, b)| (*b, row[*a].clone())).collect();
                    let mut why = None;
                    for link in &relation.links {
                        let up: Vec<Option<String>> =
                            link.up.iter().zip(&link.backfill).map(|(up, fill)| fill.clone().or_else(|| up.clone())).collect();
                        match self.give(number, link, Side::Old, &up, &row) {
                            Ok(given) => values.extend(link.new.iter().copied().zip(given).filter_map(|(at, value)| Some((at, value?)))),
                            Err(reason) => {
                                let value = shown(&row, link.of(Side::Old));
                                self.sight(number, link, Sight::PartialUp(format!("{value}: {reason}")));
                                why = Some(reason);
                            }
                        }
                    }
                    let list: Vec<usize> = values.keys().copied().collect();
                    let value = |at: usize| values[&at].clone();
                    if why.is_none() {
                        let statement = self.lab.insert(&table, new, &list, &value);
                        let session = self.twin(Side::New);
                        session.run("savepoint crossfade_row")?;
                        why = session.run(&statement).err().map(|failure| failure.message);
                        if why.is_some() {
                            session.run("rollback to savepoint crossfade_row")?;
                        }
                        session.run("release savepoint crossfade_row")?;
                    }
                    if let Some(why) = why {
                        unfit.push((number, key, format!("{}: {why}", text(old, &row))));
                    }
                }
            }
            let held = self.read_twin(Side::New)?;
            unfit.extend(self.dangling(&held));
            self.twin(Side::New).run(if unfit.is_empty() { "commit" } else { "rollback" })?;
            self.twin(Side::New).run(back)?;
            if unfit.is_empty() {
                self.rows[of(Side::New)] = held;
                return Ok(());
            }
            for (number, key, why) in unfit {
                if !self.lab.declares_loss_of_row(number) {
                    return Err(self
                        .lab
                        .broken(Law::Totality, number, "a row of the old version", "the new version's rules take its image".to_owned(), why)
                        .into());
                }
                self.take_away(number, &key)?;
            }
        }
        // What can't be taken away stays; contract will say so.
        Ok(())
    }

    /// Rows of the new shape whose references lead nowhere.
    fn dangling(&self, held: &[Rows]) -> Vec<(usize, Key, String)> {
        let mut found = Vec::new();
        for (number, pair) in self.lab.pairs.iter().enumerate() {
            let (Some(_), Some(view)) = (&pair.relation, &pair.new) else { continue };
            for key in &view.table.foreign_keys {
                let Some(parent) =
                    self.lab.pairs.iter().position(|pair| pair.new.as_ref().is_some_and(|view| view.table.name == key.ref_table))
                else {
                    continue;
                };
                let Some(target) = self.lab.pairs[parent].new.as_ref().filter(|_| self.lab.pairs[parent].relation.is_some()) else {
                    continue;
                };
                let mine: Vec<usize> = key.columns.iter().filter_map(|name| view.at(name)).collect();
                let its: Vec<usize> = key.ref_columns.iter().filter_map(|name| target.at(name)).collect();
                for (own, row) in &held[number] {
                    let values: Vec<&String> = mine.iter().map(|at| &row[*at]).collect();
                    if leads_nowhere(key, &values, held[parent].values().map(|row| its.iter().map(|at| &row[*at]).collect())) {
                        found.push((number, own.clone(), format!("{}: no row of {}", text(view, row), key.ref_table)));
                    }
                }
            }
        }
        found
    }

    fn take_away(&mut self, number: usize, key: &Key) -> Result<(), Trouble> {
        let Some(view) = self.view(number, Side::Old) else { return Ok(()) };
        let sql = format!("delete from {TABLE} where {}", self.lab.is_row(view, key));
        self.taken_away += 1;
        self.write(&Write { side: Side::Old, pair: number, kind: Kind::Delete, sql, numbered: None }).map(drop)
    }

    /// After migrate: the new version sees the images.
    fn meet_new(&mut self) -> Result<(), Trouble> {
        let seen = self.read(Side::New)?;
        let wanted = self.rows[of(Side::New)].clone();
        for number in 0..self.lab.pairs.len() {
            let pair = self.pair(number);
            let (Some(relation), Some(view)) = (&pair.relation, &pair.new) else { continue };
            self.tally.hold(Law::Agreement, pair.change);
            for (key, image) in &wanted[number] {
                let Some(found) = seen[number].get(key) else {
                    return Err(self
                        .lab
                        .broken(Law::NoLoss, number, "what the new version sees after migrate", text(view, image), "no such row".to_owned())
                        .into());
                };
                for (at, column) in view.columns.iter().enumerate() {
                    if image[at] == found[at] || view.masked[at] || column.generated.is_some() {
                        continue;
                    }
                    let link = relation.links.iter().find(|link| link.new.contains(&at));
                    if let Some(link) = link.filter(|link| link.backfill.iter().any(Option::is_some))
                        && let Some(row) = self.rows[of(Side::Old)][number].get(key).cloned()
                        && let Ok(given) = self.give(number, link, Side::Old, &link.up, &row)
                        && given.iter().zip(&link.new).all(|(value, at)| value.as_ref().is_none_or(|value| *value == found[*at]))
                    {
                        // Written since expand, so that `up` and not `backfill` gave it.
                        continue;
                    }
                    let law = match (link, image[at] == "NULL" || found[at] == "NULL") {
                        (None, _) if relation.new_only.contains(&at) => Law::Defaults,
                        (_, true) => Law::Null,
                        _ => Law::Agreement,
                    };
                    let what = "what the new version sees after migrate";
                    return Err(self.lab.broken(law, number, what, text(view, image), text(view, found)).into());
                }
            }
            if let Some((_, row)) = seen[number].iter().find(|(key, _)| !wanted[number].contains_key(*key)) {
                let what = "what the new version sees after migrate";
                return Err(self.lab.broken(Law::Agreement, number, what, "no such row".to_owned(), text(view, row)).into());
            }
            self.look_at_lenses(number)?;
        }
        match self.bring(Side::New, &seen, &BTreeSet::new())? {
            Kept::Yes => self.rows[of(Side::New)] = seen,
            // Rows that come to another table: only contract says that its rules refuse them.
            Kept::No if self.lab.pairs.iter().any(|pair| pair.relation.is_none()) => return Err(Trouble::Over),
            Kept::No => return Err(Stopped("a plain database of the new version can't hold what it sees after migrate".to_owned()).into()),
        }
        Ok(())
    }

    fn sight(&mut self, number: usize, link: &Link, sight: Sight) {
        self.seen.entry(format!("{}: {}", self.pair(number).name(), link.title)).or_default().push(sight);
    }

    /// What each lens does to the values that are there: whether something is lost on the way and back.
    fn look_at_lenses(&mut self, number: usize) -> Result<(), Trouble> {
        let Some(relation) = self.pair(number).relation.as_ref() else { return Ok(()) };
        for side in [Side::Old, Side::New] {
            let rows: Vec<Row> = self.rows[of(side)][number].values().cloned().collect();
            for link in &relation.links {
                if link.fill || link.from(side).iter().chain(link.from(side.other())).any(Option::is_none) {
                    continue;
                }
                for row in &rows {
                    let Ok(there) = self.give(number, link, side, link.from(side), row) else { continue };
                    let Some(width) = self.view(number, side.other()).map(|view| view.columns.len()) else { continue };
                    let mut image = vec!["NULL".to_owned(); width];
                    for (at, value) in link.of(side.other()).iter().zip(there) {
                        image[*at] = value.unwrap_or_else(|| "NULL".to_owned());
                    }
                    for (to, from) in link.inputs(side.other()).iter().zip(link.inputs(side)) {
                        image[*to].clone_from(&row[*from]);
                    }
                    let sight = match self.give(number, link, side.other(), link.from(side.other()), &image) {
                        Ok(back) if back.iter().flatten().eq(link.of(side).iter().map(|at| &row[*at])) => Sight::Same,
                        Ok(back) if side == Side::Old => {
                            let back: Vec<String> = back.into_iter().map(|value| value.unwrap_or_else(|| "NULL".to_owned())).collect();
                            Sight::LossyUp(shown(row, link.of(side)), back.join(", "))
                        }
                        Ok(_) => Sight::LossyDown(shown(row, link.of(side))),
                        Err(why) if side == Side::Old => Sight::PartialDown(format!("{}: {why}", shown(&image, link.of(side.other())))),
                        Err(why) => Sight::PartialUp(format!("{}: {why}", shown(&image, link.of(side.other())))),
                    };
                    self.sight(number, link, sight);
                }
            }
        }
        Ok(())
    }

    /// Abort on a copy: the old snapshot, and what the old version saw.
    fn try_abort(&mut self) -> Result<(), Trouble> {
        if !matches!(self.stage, Stage::Expanded | Stage::Migrated) {
            return Ok(());
        }
        let before = self.read(Side::Old)?;
        self.client = None;
        let copy = self.lab.copy(&self.database)?;
        let mut session = copy.connect()?;
        self.tally.hold(Law::Abort, 0);
        for statement in &self.lab.statements(Task::Abort) {
            if let Err(failure) = session.run(&statement.text) {
                if self.new_wrote && self.lab.abort_may_refuse() {
                    return Ok(());
                }
                return Err(self
                    .lab
                    .broken_script(Law::Abort, "abort", "the old snapshot comes back", &format!("line {}: {failure}", statement.line))
                    .into());
            }
        }
        self.lab.must_be_old(session.as_mut())?;
        drop(session);
        let mut client = copy.client(None)?;
        let lab = self.lab;
        let after = dump(lab, client.as_mut(), Side::Old, &|name| ident(name, lab.dialect))?;
        self.same(Side::Old, &before, &after, Law::Abort).map_err(Trouble::Broken)
    }
}

/// Whether a statement's effect stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

/// Runs a statement; what it makes the server check at the end is checked at once.
fn attempt(session: &mut dyn Connection, statement: &str, dialect: Dialect, deferred: bool) -> Result<Outcome, Failure> {
    if dialect != Dialect::Postgres {
        return statement_alone(session, statement, dialect, deferred);
    }
    // A failure there ends its transaction, and whoever looks at what came of it asks more of the session.
    session.run("savepoint crossfade_attempt")?;
    let outcome = statement_alone(session, statement, dialect, deferred);
    if outcome.is_err() {
        session.run("rollback to savepoint crossfade_attempt")?;
    }
    session.run("release savepoint crossfade_attempt")?;
    outcome
}

fn statement_alone(session: &mut dyn Connection, statement: &str, dialect: Dialect, deferred: bool) -> Result<Outcome, Failure> {
    let outcome = session.run(statement)?;
    match dialect {
        Dialect::Postgres if deferred => {
            session.run("set constraints all immediate")?;
        }
        Dialect::Sqlite if deferred => {
            if !session.run("pragma foreign_key_check")?.rows.is_empty() {
                let message = "FOREIGN KEY constraint failed".to_owned();
                return Err(Failure { code: Some("787".to_owned()), message, detail: None, hint: None, context: None });
            }
        }
        Dialect::Postgres | Dialect::Sqlite | Dialect::Mysql | Dialect::Mariadb => {}
    }
    Ok(outcome)
}

/// The number that a literal says.
fn as_number(literal: &str) -> Option<i64> {
    literal.trim_matches('\'').parse().ok()
}

/// The other version's row as far as a link reads the same columns in both.
fn image_of_inputs(pair: &Pair<'_>, link: &Link, side: Side, row: &Row) -> Option<Row> {
    let mut image = vec!["NULL".to_owned(); pair.view(side.other())?.columns.len()];
    for (mine, its) in link.inputs(side).iter().zip(link.inputs(side.other())) {
        image[*its].clone_from(&row[*mine]);
    }
    Some(image)
}

/// A statement with numbers in the places of [`NUMBER`], in their order.
fn with_numbers(statement: &str, mut numbers: impl Iterator<Item = i64>) -> String {
    let mut text = String::new();
    for (index, part) in statement.split(NUMBER).enumerate() {
        if index > 0 {
            text.push_str(&numbers.next().unwrap_or_default().to_string());
        }
        text.push_str(part);
    }
    text
}

/// Whether who names a row as the clients do names the primary key.
fn is_found_by_key(view: &View<'_>) -> bool {
    let is_named = |name: &String| view.at(name).is_some_and(|at| view.key.contains(&at));
    view.table.primary_key.as_ref().is_some_and(|key| key.columns.iter().all(is_named))
}

/// The table that lenses are tried in.
fn bench(number: usize) -> String {
    format!("crossfade_bench_{number}")
}

/// A column of the old version that nothing gives a value when the new one inserts.
pub(super) fn is_blind(pair: &Pair<'_>, at: usize, column: &Column) -> bool {
    if column.generated.is_some()
        || !pair.old.as_ref().is_some_and(|view| view.columns.get(at).is_some_and(|own| std::ptr::eq(*own, column)))
    {
        return false;
    }
    let Some(relation) = &pair.relation else { return false };
    relation.old_only.contains(&at)
        || relation.links.iter().any(|link| link.old.iter().zip(&link.down).any(|(one, down)| *one == at && down.is_none() && !link.fill))
}

/// Whether a row has another number than it had, which some servers take with a new row only.
fn is_renumbered(view: &View<'_>, then: &Row, now: &Row) -> bool {
    (0..view.columns.len()).any(|at| view.columns[at].identity.is_some() && then[at] != now[at])
}

fn dump(lab: &Lab<'_>, session: &mut dyn Connection, side: Side, reach: &dyn Fn(&str) -> String) -> Result<Vec<Rows>, Stopped> {
    let place: &dyn Place = lab.place;
    let mut all = Vec::with_capacity(lab.pairs.len());
    for pair in &lab.pairs {
        let mut rows = Rows::new();
        if let Some(view) = pair.view(side) {
            let shown = |column: &&Column| place.shown(&ident(&column.name, lab.dialect));
            let columns: Vec<String> = view.columns.iter().map(shown).collect();
            let query = format!("select {} from {}", columns.join(", "), reach(&view.table.name));
            let mut found = if view.columns.iter().any(|column| is_virtual(column)) {
                // What is computed as it is read may fail on a row that every database takes: then nobody reads it.
                session.run("savepoint crossfade_read")?;
                let read = session.run(&query);
                session.run("rollback to savepoint crossfade_read")?;
                session.run("release savepoint crossfade_read")?;
                match read {
                    Err(failure) if Refusal::of(&failure, lab.dialect) == Refusal::Value => {
                        let unread = |column: &&Column| if is_virtual(column) { format!("'{UNREAD}'") } else { shown(column) };
                        let columns: Vec<String> = view.columns.iter().map(unread).collect();
                        session.run(&format!("select {} from {}", columns.join(", "), reach(&view.table.name)))?.rows
                    }
                    read => read?.rows,
                }
            } else {
                session.run(&query)?.rows
            };
            found.sort();
            for row in found {
                let row: Row = row.into_iter().map(|value| place.cell(value)).collect();
                let mut key: Key = view.key.iter().map(|at| row[*at].clone()).collect();
                // After contract the new version's own key binds, which may tell more rows apart than the one that both have.
                if view.key.is_empty() || rows.contains_key(&key) {
                    key.clone_from(&row);
                    key.push(String::new());
                    let mut copy = 0;
                    while rows.contains_key(&key) {
                        copy += 1;
                        if let Some(last) = key.last_mut() {
                            *last = copy.to_string();
                        }
                    }
                }
                rows.insert(key, row);
            }
        }
        all.push(rows);
    }
    Ok(all)
}

/// A row for a reader.
pub(super) fn text(view: &View<'_>, row: &Row) -> String {
    let values: Vec<String> = view.columns.iter().zip(row).map(|(column, value)| format!("{} = {value}", column.name)).collect();
    values.join(", ")
}

fn shown(row: &Row, positions: &[usize]) -> String {
    positions.iter().map(|at| row[*at].as_str()).collect::<Vec<_>>().join(", ")
}

fn expected(view: &View<'_>, positions: &[usize], given: &Given) -> String {
    match given {
        Ok(values) => positions
            .iter()
            .zip(values)
            .filter_map(|(at, value)| Some(format!("{} = {}", view.columns[*at].name, value.as_ref()?)))
            .collect::<Vec<_>>()
            .join(", "),
        Err(why) => format!("a refusal ({why})"),
    }
}

/// For every statement: whether a transaction is open after it.
pub(super) fn open_after(statements: &[Statement]) -> Vec<bool> {
    let mut open = false;
    statements
        .iter()
        .map(|statement| {
            match statement.bracket {
                Bracket::Opens => open = true,
                Bracket::Closes => open = false,
                Bracket::Neither => {}
            }
            open
        })
        .collect()
}

pub(super) fn split(dialect: Dialect, script: &str) -> Vec<Statement> {
    split_as(dialect, script)
}
