//! One check of one case: every law that can be seen from outside, on a real server.
//!
//! Each law runs on databases of its own, so that all broken laws of a case are reported at once.

use std::cell::OnceCell;

use crossfade::engine::Connection as _;
use crossfade::sql::Dialect;

use super::case::{Access, Case, Cell, Probe, Sees, Side, Stage, with_key};
use super::catalog::Catalog;
use super::engine::{Engine, Inspect};
use super::lab::{Client, Database, Lab, Stopped, open_after, run};
use super::scripts::{Phase, Scripts};
use super::shape::{Shape, dump_tables, row_text};
use super::splitter::Statement;
use super::text::{indent, same};

/// Checks a case. The error lists every broken law.
pub fn check<E: Engine>(lab: &Lab<E>, case: &Case, access: Access, scripts: &Scripts) -> Result<(), String> {
    let bench = Bench::set_up(lab, case, access, scripts)?;
    let mut broken = Vec::new();
    let laws: [(&str, Law<'_, E>); 7] = [
        ("the old version notices nothing, the end equals the new snapshot, twice changes nothing", Bench::quiet),
        ("scripts refuse the wrong order", Bench::order),
        ("abort gives the old snapshot back", Bench::abort),
        ("a phase that was killed and runs again ends in the same place", Bench::kill),
        ("the database's own client runs the scripts as files", Bench::as_files),
        ("both versions write between every two statements", Bench::live),
        ("an idle update changes nothing", Bench::idle),
    ];
    for (title, law) in laws {
        if let Err(report) = law(&bench) {
            broken.push(format!("broken: {title}\n{}", indent(&report)));
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

/// Of so many cases, each in each of its access modes, one tries what the scripts of all begin with.
const LEAD_IN_TURNS: usize = 16;

type Law<'lab, E> = fn(&Bench<'lab, E>) -> Result<(), String>;

/// The databases and shapes that the laws start from.
struct Bench<'lab, E: Engine> {
    case: &'lab Case,
    access: Access,
    scripts: &'lab Scripts,
    lab: &'lab Lab<E>,
    old_shape: Shape,
    new_shape: Shape,
    /// The old snapshot alone, with the seed.
    old: Database<'lab, E>,
    /// What the old snapshot's catalog is.
    old_catalog: Catalog,
    /// What the new snapshot's catalog is, installed alone.
    new_catalog: Catalog,
    /// The old snapshot after expand, after migrate and after contract, nobody having written: made when a law asks, and
    /// only copied from then on.
    states: [OnceCell<State<'lab, E>>; 3],
}

/// A database after a phase.
struct State<'lab, E: Engine> {
    database: Database<'lab, E>,
    /// All that there is of it, read when a law asks.
    everything: OnceCell<String>,
    /// The statements of the phase after which a kill makes a difference.
    points: Vec<usize>,
}

impl<'lab, E: Engine> Bench<'lab, E> {
    fn set_up(lab: &'lab Lab<E>, case: &'lab Case, access: Access, scripts: &'lab Scripts) -> Result<Self, String> {
        let install = |parts: &[String], what: &str| -> Result<Database<'lab, E>, String> {
            let database = lab.empty()?;
            for (number, part) in parts.iter().enumerate() {
                database.run(part, &format!("installing the {what} snapshot, script {}", number + 1))?;
            }
            Ok(database)
        };
        let old = install(&scripts.install_old, "old")?;
        let new = install(&scripts.install_new, "new")?;
        let old_shape = shape(&old)?;
        let new_shape = match access {
            Access::Shared if scripts.install_new == scripts.install_new_plain => shape(&new)?,
            Access::Shared => shape(&install(&scripts.install_new_plain, "new (plain)")?)?,
            Access::Versioned => {
                shape(&install(&scripts.install_new_plain, "new (plain)")?)?.reached(|name| lab.engine.reach(name, &scripts.new_version))
            }
        };
        let new_catalog = catalog(&new)?;
        old.write(&case.file.seed, "seed")?;
        let old_catalog = catalog(&old)?;
        Ok(Self { case, access, scripts, lab, old_shape, new_shape, old, old_catalog, new_catalog, states: Default::default() })
    }

    fn shift(&self) -> usize {
        self.case.shift(self.access)
    }

    /// How many statements a phase begins with that the upgrade of wholly other tables begins with too, word for word: they are
    /// about none of the tables, and what is true of them in one case is true in all.
    fn lead_in(&self, phase: Phase, database: &Database<'_, E>, statements: &[Statement]) -> usize {
        // So that somebody tries it.
        let whole = self.lab.every_kill || (self.shift() / 2).is_multiple_of(LEAD_IN_TURNS);
        let Some(control) = self.scripts.control_of(phase).filter(|_| !whole) else { return 0 };
        let control = database.statements(control);
        statements.iter().zip(&control).take_while(|(one, other)| same_words(one, other)).count()
    }

    /// How many statements it ends with in the same way.
    fn lead_out(&self, phase: Phase, database: &Database<'_, E>, statements: &[Statement]) -> usize {
        let Some(control) = self.scripts.control_of(phase).filter(|_| !self.lab.every_kill) else { return 0 };
        let control = database.statements(control);
        statements.iter().rev().zip(control.iter().rev()).take_while(|(one, other)| same_words(one, other)).count()
    }

    /// A client of a version, connected as `crossfade connect` says.
    fn client<'database>(&self, database: &'database Database<'_, E>, side: Side) -> Result<Client<'database, E>, String> {
        let version = (side == Side::New && self.access == Access::Versioned).then_some(self.scripts.new_version.as_str());
        database.client_of(version)
    }

    fn shape_of(&self, side: Side) -> &Shape {
        match side {
            Side::Old => &self.old_shape,
            Side::New => &self.new_shape,
        }
    }

    fn dump(&self, database: &Database<'_, E>, side: Side) -> Result<String, String> {
        self.shape_of(side).dump(&mut *self.client(database, side)?).map_err(|report| format!("{side:?} version: {report}"))
    }

    /// What the old version sees, but for the columns that are meant to change under it.
    fn untouched(&self, database: &Database<'_, E>) -> Result<String, String> {
        self.old_shape.without(&self.case.file.touched).dump(&mut *self.client(database, Side::Old)?)
    }

    fn everything(&self, database: &Database<'_, E>) -> Result<String, String> {
        everything(database, &self.case.file.random).map(|(_, text)| text)
    }

    fn run(&self, database: &Database<'_, E>, phase: Phase) -> Result<(), String> {
        database.run(self.scripts.of(phase), phase.name())
    }

    /// The old snapshot before a phase of the way forward.
    fn before(&self, phase: Phase) -> Result<&Database<'lab, E>, String> {
        match phase {
            Phase::Expand => Ok(&self.old),
            Phase::Migrate => Ok(&self.after(Phase::Expand)?.database),
            Phase::Contract | Phase::Abort => Ok(&self.after(Phase::Migrate)?.database),
        }
    }

    /// The database after a phase of the way forward, nobody having written. To be copied before anything is changed.
    fn after(&self, phase: Phase) -> Result<&State<'lab, E>, String> {
        let state = match phase {
            Phase::Expand => &self.states[0],
            Phase::Migrate => &self.states[1],
            Phase::Contract => &self.states[2],
            Phase::Abort => return Err("abort leads to no state of its own".to_owned()),
        };
        if let Some(state) = state.get() {
            return Ok(state);
        }
        let database = self.before(phase)?.copy()?;
        let points = self.kill_points(&database, phase)?;
        Ok(state.get_or_init(|| State { database, everything: OnceCell::new(), points }))
    }

    /// All that there is after a phase, in a database that was copied as often as another one that has just been through it:
    /// a copy of MySQL's shows some definitions in other words.
    fn everything_after(&self, phase: Phase) -> Result<&str, String> {
        let State { database, everything, .. } = self.after(phase)?;
        if let Some(known) = everything.get() {
            return Ok(known);
        }
        let found = self.everything(database)?;
        Ok(everything.get_or_init(|| found))
    }

    /// Nobody writes: each phase in turn, then once more.
    fn quiet(&self) -> Result<(), String> {
        let mut reports = Vec::new();
        let before = self.untouched(&self.old)?;
        let database = self.old.copy()?;
        let mut new_before_contract = String::new();
        for phase in [Phase::Expand, Phase::Migrate, Phase::Contract] {
            if phase == Phase::Contract {
                new_before_contract = self.dump(&database, Side::New)?;
            }
            self.run(&database, phase)?;
            if phase != Phase::Contract {
                let now = self.untouched(&database)?;
                reports.extend(same(&format!("what the old version sees after {}", phase.name()), &before, &now).err());
            }
            let once = self.everything(&database)?;
            reports.extend(self.again(&database, phase).err());
            let twice = self.everything(&database)?;
            reports.extend(same(&format!("{} run a second time", phase.name()), &once, &twice).err());
            if phase == Phase::Migrate
                && let Some(verify) = &self.scripts.verify
            {
                reports.extend(database.run(verify, "verify").err());
            }
        }
        let after = self.dump(&database, Side::New)?;
        reports.extend(same("what the new version sees before and after contract", &new_before_contract, &after).err());
        reports.extend(self.must_be_new(&database).err());
        all(reports)
    }

    /// Runs a phase that has nothing left to do.
    fn again(&self, database: &Database<'_, E>, phase: Phase) -> Result<(), String> {
        let next: &[&str] = match phase {
            Phase::Expand => &["migrate", "contract"],
            Phase::Migrate => &["contract"],
            Phase::Contract => &["nothing"],
            Phase::Abort => &["expand"],
        };
        match run(&mut *database.client()?, &database.statements(self.scripts.of(phase))) {
            Err(stopped) if !self.lab.engine.second_run_may_refuse() || !names(&stopped, next) => {
                Err(format!("{} run a second time: {stopped}", phase.name()))
            }
            _ => Ok(()),
        }
    }

    fn must_be_new(&self, database: &Database<'_, E>) -> Result<(), String> {
        let found = catalog(database)?;
        found.must_equal(&self.new_catalog, "the catalog after contract, and that of the new snapshot installed alone")?;
        nothing_left(&found)
    }

    /// The old snapshot's catalog, but for what a hazard of the plan says that abort can't take back.
    fn must_be_old(&self, found: &Catalog, what: &str) -> Result<(), String> {
        let kept = &self.case.file.abort_keeps;
        if let Some(hazard) = kept.keys().find(|hazard| !self.scripts.manifest.contains(&format!("code: {hazard}\n"))) {
            return Err(format!("the plan does not declare the hazard {hazard}"));
        }
        let kept: Vec<&String> = kept.values().flatten().collect();
        found.without(&kept).must_equal(&self.old_catalog.without(&kept), what)
    }

    /// Every script that is run out of its turn refuses, says what to run, and changes nothing.
    fn order(&self) -> Result<(), String> {
        let (expanded, contracted) = (self.after(Phase::Expand)?, self.after(Phase::Contract)?);
        let mut reports = Vec::new();
        let states = [
            ("before expand", &self.old, &[(Phase::Migrate, &["expand"][..]), (Phase::Contract, &["expand"])][..]),
            ("before migrate", &expanded.database, &[(Phase::Contract, &["migrate"])]),
            // After the end the earlier phases have nothing to do; whether they say so or do nothing is theirs.
            (
                "after contract",
                &contracted.database,
                &[(Phase::Abort, &["forward", "contract", "contracted"]), (Phase::Expand, &[]), (Phase::Migrate, &[])],
            ),
        ];
        for (state, database, phases) in states {
            // What changes nothing leaves the same for the next one.
            let copy = database.copy()?;
            let before = self.everything(&copy)?;
            for (phase, words) in phases {
                match run(&mut *copy.client()?, &copy.statements(self.scripts.of(*phase))) {
                    Ok(()) if words.is_empty() => {}
                    Ok(()) => reports.push(format!("{} {state} did not refuse", phase.name())),
                    Err(stopped) if !words.is_empty() && !names(&stopped, words) => {
                        reports.push(format!("{} {state} refused without naming `{}`: {stopped}", phase.name(), words.join("` or `")));
                    }
                    Err(_) => {}
                }
                reports.extend(same(&format!("{} {state} changed something", phase.name()), &before, &self.everything(&copy)?).err());
            }
        }
        all(reports)
    }

    /// Abort after expand, after half of migrate and after migrate.
    fn abort(&self) -> Result<(), String> {
        let (expanded, migrated) = (&self.after(Phase::Expand)?.database, &self.after(Phase::Migrate)?.database);
        let end = self.everything_after(Phase::Migrate)?;
        let half = expanded.copy()?;
        let migrate = half.statements(&self.scripts.migrate);
        half.run_and_lose(&migrate[..migrate.len() / 2]).map_err(|report| format!("half of migrate: {report}"))?;
        let before = self.untouched(&self.old)?;
        let mut reports = Vec::new();
        for (state, database) in [("expand", expanded), ("half of migrate", &half), ("migrate", migrated)] {
            let copy = database.copy()?;
            if let Err(report) = self.run(&copy, Phase::Abort) {
                reports.push(format!("abort after {state}: {report}"));
                continue;
            }
            let (found, once) = everything(&copy, &self.case.file.random)?;
            reports.extend(self.must_be_old(&found, &format!("the catalog after {state} and abort")).err());
            reports.extend(nothing_left(&found).err());
            reports.extend(same(&format!("the old version's rows after {state} and abort"), &before, &self.untouched(&copy)?).err());
            reports.extend(self.again(&copy, Phase::Abort).err().map(|report| format!("after {state}: {report}")));
            reports.extend(same(&format!("abort after {state}, a second time"), &once, &self.everything(&copy)?).err());
            for phase in [Phase::Expand, Phase::Migrate] {
                if let Err(report) = self.run(&copy, phase) {
                    reports.push(format!("{} again, after {state} and abort: {report}", phase.name()));
                    return all(reports);
                }
            }
            reports.extend(same(&format!("the whole way again, after {state} and abort"), end, &self.everything(&copy)?).err());
        }
        all(reports)
    }

    /// Each phase is killed after statement k and run again.
    fn kill(&self) -> Result<(), String> {
        let mut reports = Vec::new();
        for phase in [Phase::Expand, Phase::Migrate, Phase::Contract] {
            let (start, expected) = (self.before(phase)?, self.everything_after(phase)?);
            let points = &self.after(phase)?.points;
            self.kill_at(points, phase, start, &mut reports, |copy| self.everything(copy).map(|found| same("", expected, &found)))?;
        }
        // The same for the way back, from the end of migrate.
        let migrated = self.before(Phase::Abort)?;
        let statements = migrated.statements(&self.scripts.abort);
        let marks = migrated.client()?.written().map_err(|failure| failure.to_string())?.is_some();
        let points = if marks {
            self.kill_points(&migrated.copy()?, Phase::Abort)?
        } else {
            let wrote: Vec<bool> = statements.iter().map(|statement| may_write(&statement.text)).collect();
            self.share_of_points(&statements, &wrote, self.lead_in(Phase::Abort, migrated, &statements))
        };
        self.kill_at(&points, Phase::Abort, migrated, &mut reports, |copy| Ok(self.must_be_old(&catalog(copy)?, "")))?;
        all(reports)
    }

    /// Runs a phase on a database. Gives back the numbers of statements after which a kill is to be tried.
    fn kill_points(&self, database: &Database<'_, E>, phase: Phase) -> Result<Vec<usize>, String> {
        let statements = database.statements(self.scripts.of(phase));
        let mut session = database.connect()?;
        let mut observer = database.client()?;
        let mut written = || observer.written().map_err(|failure| failure.to_string());
        let mut wrote = Vec::new();
        let mut before = written()?;
        for (index, statement) in statements.iter().enumerate() {
            run(&mut session, std::slice::from_ref(statement))
                .map_err(|stopped| format!("{}: {}", phase.name(), Stopped { number: index + 1, ..*stopped }))?;
            let after = written()?;
            wrote.push(if after.is_some() { after != before } else { may_write(&statement.text) });
            before = after;
        }
        Ok(self.share_of_points(&statements, &wrote, self.lead_in(phase, database, &statements)))
    }

    /// The numbers of statements after which a kill is not the same as after the one before: all kills within one transaction
    /// are the same kill (the one that loses most stands for them), and so is one after a statement that wrote nothing. The
    /// servers take turns: what one leaves out, the other tries. Of the lead-in, the end stands for all.
    fn share_of_points(&self, statements: &[Statement], wrote: &[bool], lead_in: usize) -> Vec<usize> {
        let open = open_after(statements);
        let counts = |k: usize| {
            let last_before_commit = open[k - 1] && !open.get(k).is_some_and(|open| *open);
            last_before_commit || (!open[k - 1] && wrote[k - 1])
        };
        let mut points: Vec<usize> = (1..statements.len()).filter(|k| counts(*k)).collect();
        points.drain(..points.iter().filter(|k| **k <= lead_in).count().saturating_sub(1));
        if self.lab.every_kill {
            return points;
        }
        let (mut turn, mut turns) = self.lab.engine.turn();
        // Where two servers share the points, so do the access modes, whose scripts have nearly all statements in common.
        let modes = &self.case.file.access;
        if turns == 2 && modes.len() == 2 {
            turn = turn * 2 + usize::from(modes[0] != self.access);
            turns = 4;
        }
        // Those that try the lead-in have nearly one shift: they must not try the same share of it.
        let shift = if turns > 2 { self.shift() + self.shift() / (2 * LEAD_IN_TURNS) } else { 0 };
        points.into_iter().enumerate().filter(|(index, _)| (index + shift) % turns == turn).map(|(_, k)| k).collect()
    }

    fn kill_at(
        &self,
        points: &[usize],
        phase: Phase,
        start: &Database<'lab, E>,
        reports: &mut Vec<String>,
        compare: impl Fn(&Database<'lab, E>) -> Result<Result<(), String>, String>,
    ) -> Result<(), String> {
        for k in points {
            let copy = start.copy()?;
            let statements = copy.statements(self.scripts.of(phase));
            copy.run_and_lose(&statements[..*k]).map_err(|report| format!("{}: {report}", phase.name()))?;
            let what = format!("{} killed after statement {k} (line {}) and run again", phase.name(), statements[k - 1].line);
            let problem = match self.run(&copy, phase) {
                Ok(()) => compare(&copy)?.err(),
                Err(report) => Some(report),
            };
            reports.extend(problem.map(|problem| format!("{what}: {problem}")));
        }
        Ok(())
    }

    /// Each script as a whole with the client that operators have.
    fn as_files(&self) -> Result<(), String> {
        let database = self.old.copy()?;
        let (code, said) = database.run_by_client(&self.scripts.contract)?;
        if code == 0 {
            return Err(format!("the client ran contract before expand and ended with 0:\n{said}"));
        }
        for phase in [Phase::Expand, Phase::Migrate, Phase::Contract] {
            let (code, said) = database.run_by_client(self.scripts.of(phase))?;
            if code != 0 {
                return Err(format!("{}.sql ended with {code}:\n{said}", phase.name()));
            }
        }
        self.must_be_new(&database)
    }

    /// The probes, between every two statements of every phase.
    fn live(&self) -> Result<(), String> {
        let database = self.old.copy()?;
        let mut live = Live { bench: self, database: &database, next_key: 10_000, promised: Vec::new(), reports: Vec::new() };
        live.probes(Stage::Before, "before expand")?;
        for (phase, between, after) in [
            (Phase::Expand, Stage::Expand, Stage::Migrate),
            (Phase::Migrate, Stage::Migrate, Stage::Live),
            (Phase::Contract, Stage::Contract, Stage::After),
        ] {
            let statements = database.statements(self.scripts.of(phase));
            let open = open_after(&statements);
            // After what every script begins and ends with, and after what wrote nothing, the probes would find what they found.
            let own = self.lead_in(phase, &database, &statements)..=statements.len() - self.lead_out(phase, &database, &statements);
            let mut session = database.connect()?;
            let mut observer = database.client()?;
            let mut written = || observer.written().map_err(|failure| failure.to_string());
            let (mut before, mut wrote) = (written()?, false);
            for (index, statement) in statements.iter().enumerate() {
                if let Err(failure) = session.run(&statement.text) {
                    live.reports.push(format!(
                        "{} with both versions writing: statement {} (line {}): {failure}\n{}",
                        phase.name(),
                        index + 1,
                        statement.line,
                        indent(&statement.text)
                    ));
                    return all(live.reports);
                }
                let now = written()?;
                wrote |= first_word(&statement.text) != "set" && if now.is_some() { now != before } else { may_write(&statement.text) };
                let last = index + 1 == statements.len();
                if !open[index] && !last && wrote && own.contains(&(index + 1)) {
                    live.probes(between, &format!("after statement {} (line {}) of {}", index + 1, statement.line, phase.name()))?;
                    wrote = false;
                    before = written()?;
                } else {
                    before = now;
                }
            }
            drop((session, observer));
            if phase == Phase::Migrate {
                live.keep_promises("at the end of migrate");
            }
            live.probes(after, &format!("after {}", phase.name()))?;
            if phase == Phase::Migrate {
                if self.case.file.abort_after_writes {
                    live.abort_from_here()?;
                }
                live.idle_from_here()?;
            }
        }
        live.keep_promises("after contract");
        let mut reports = live.reports;
        reports.extend(self.must_be_new(&database).err());
        all(reports)
    }

    fn sees_problem(&self, side: Side, sees: &Sees, client: &mut E::Session, key: u64) -> Option<String> {
        let query = with_key(&self.shape_of(side).named(&sees.query), key);
        match client.run(&query) {
            Ok(outcome) => rows_problem(&query, &sees.rows, &outcome.rows, key, self.lab.engine.dialect())
                .map(|problem| format!("the {side:?} version sees: {problem}")),
            Err(failure) => Some(format!("the {side:?} version can't read: {query}\n{failure}")),
        }
    }

    /// `update t set c = c`, for every column, by either version, on the seed alone.
    fn idle(&self) -> Result<(), String> {
        let database = self.after(Phase::Migrate)?.database.copy()?;
        all(self.idle_updates(&database)?)
    }

    fn idle_updates(&self, database: &Database<'_, E>) -> Result<Vec<String>, String> {
        let mut reports = Vec::new();
        let (old_before, new_before) = (self.dump(database, Side::Old)?, self.dump(database, Side::New)?);
        for (side, shape) in [(Side::Old, &self.old_shape), (Side::New, &self.new_shape)] {
            let mut client = self.client(database, side)?;
            for (name, relation) in shape.relations.iter().filter(|(_, relation)| relation.table) {
                let columns: Vec<&str> = relation
                    .columns
                    .iter()
                    .filter(|column| !column.read_only && !self.case.file.unstable.contains(&format!("{name}.{}", column.name)))
                    .map(|column| column.name.as_str())
                    .collect();
                let mut lists: Vec<String> = columns.iter().map(|column| format!("{0} = {0}", E::Session::quoted(column))).collect();
                lists.push(lists.join(", "));
                for list in lists.iter().filter(|list| !list.is_empty()) {
                    let statement = format!("update {} set {list}", E::Session::quoted(shape.reach(name)));
                    if let Err(failure) = client.run(&statement) {
                        reports.push(format!("{statement} by the {side:?} version: {failure}"));
                        continue;
                    }
                    let (old_now, new_now) = (self.dump(database, Side::Old)?, self.dump(database, Side::New)?);
                    let what = |seen: &str| format!("what the {seen} version sees after `{statement}` by the {side:?} version");
                    let changed = [same(&what("old"), &old_before, &old_now).err(), same(&what("new"), &new_before, &new_now).err()];
                    if changed.iter().any(Option::is_some) {
                        reports.extend(changed.into_iter().flatten());
                        return Ok(reports);
                    }
                }
            }
        }
        Ok(reports)
    }
}

/// A run in which both versions write.
struct Live<'run, 'lab, E: Engine> {
    bench: &'run Bench<'lab, E>,
    database: &'run Database<'lab, E>,
    next_key: u64,
    /// What the new version must see once its shape is promised to it: probe, key, place.
    promised: Vec<(&'run Probe, u64, String)>,
    reports: Vec<String>,
}

impl<E: Engine> Live<'_, '_, E> {
    fn probes(&mut self, stage: Stage, place: &str) -> Result<(), String> {
        let bench = self.bench;
        let mut old = bench.client(self.database, Side::Old)?;
        let mut new = if stage >= Stage::Migrate { Some(bench.client(self.database, Side::New)?) } else { None };
        for probe in bench.case.file.probes.iter().filter(|probe| probe.runs_in(stage, bench.access)) {
            let key = self.next_key;
            self.next_key += 10;
            let mut problems = Vec::new();
            for step in probe.steps() {
                let client = match step.side {
                    Side::Old => &mut old,
                    Side::New => new.as_mut().ok_or_else(|| format!("probe {}: the new version can't write yet", probe.name))?,
                };
                let (statement, returns) = E::Session::spoken(&with_key(&bench.shape_of(step.side).named(&step.sql), key));
                match (client.run(&statement), &step.fails) {
                    (Ok(outcome), None) => {
                        if let Some(expected) = step.returns.as_ref().filter(|_| returns) {
                            problems.extend(rows_problem(&statement, expected, &outcome.rows, key, bench.lab.engine.dialect()));
                        }
                    }
                    (Ok(_), Some(code)) => problems.push(format!("{statement}\nwas accepted, not refused with {code}")),
                    (Err(failure), Some(expected)) if E::Session::refused_with(&failure, expected) => {}
                    (Err(failure), _) => problems.push(format!("{statement}\n{failure}")),
                }
                if !problems.is_empty() {
                    break;
                }
            }
            if problems.is_empty() {
                if let Some(sees) = &probe.old_sees
                    && stage <= Stage::Live
                {
                    problems.extend(bench.sees_problem(Side::Old, sees, &mut old, key));
                }
                if let Some(sees) = &probe.new_sees {
                    match &mut new {
                        Some(new) if stage >= Stage::Live => problems.extend(bench.sees_problem(Side::New, sees, new, key)),
                        _ => {}
                    }
                    self.promised.push((probe, key, place.to_owned()));
                }
            }
            for problem in problems {
                self.reports.push(format!("probe `{}` {place}: {problem}", probe.name));
            }
        }
        Ok(())
    }

    /// Everything that was written so far, seen by the new version.
    fn keep_promises(&mut self, now: &str) {
        match self.bench.client(self.database, Side::New) {
            Ok(mut new) => {
                for (probe, key, place) in &self.promised {
                    if let Some(sees) = &probe.new_sees
                        && let Some(problem) = self.bench.sees_problem(Side::New, sees, &mut new, *key)
                    {
                        self.reports.push(format!("probe `{}`, run {place}, seen {now}: {problem}", probe.name));
                    }
                }
            }
            Err(report) => self.reports.push(report),
        }
    }

    /// What the old version sees stays when the upgrade is taken back, the new version's rows included.
    fn abort_from_here(&mut self) -> Result<(), String> {
        let before = self.bench.dump(self.database, Side::Old)?;
        let copy = self.database.copy()?;
        if let Err(report) = self.bench.run(&copy, Phase::Abort) {
            self.reports.push(format!("abort after both versions wrote: {report}"));
            return Ok(());
        }
        let after = self.bench.dump(&copy, Side::Old)?;
        self.reports.extend(same("the old version's rows before and after abort, when both versions wrote", &before, &after).err());
        let found = catalog(&copy)?;
        self.reports.extend(self.bench.must_be_old(&found, "the catalog after abort, when both versions wrote").err());
        Ok(())
    }

    fn idle_from_here(&mut self) -> Result<(), String> {
        let copy = self.database.copy()?;
        let reports = self.bench.idle_updates(&copy)?;
        self.reports.extend(reports);
        Ok(())
    }
}

fn rows_problem(query: &str, expected: &[Vec<Cell>], found: &[Vec<Option<String>>], key: u64, dialect: Dialect) -> Option<String> {
    let expected: Vec<Vec<Option<String>>> = expected.iter().map(|row| row.iter().map(|cell| cell.text(key, dialect)).collect()).collect();
    if expected == found {
        return None;
    }
    let list = |rows: &[Vec<Option<String>>]| rows.iter().map(|row| row_text(row)).collect::<Vec<_>>().join(" ");
    Some(format!("{query}\nexpected {}\nfound    {}", list(&expected), list(found)))
}

fn catalog<E: Engine>(database: &Database<'_, E>) -> Result<Catalog, String> {
    Catalog::read(&mut *database.client()?).map_err(|failure| failure.to_string())
}

fn shape<E: Engine>(database: &Database<'_, E>) -> Result<Shape, String> {
    Shape::read(&mut *database.client()?).map_err(|failure| failure.to_string())
}

/// The catalog, and it with the rows and where the upgrade stands as one text.
fn everything<E: Engine>(database: &Database<'_, E>, random: &[String]) -> Result<(Catalog, String), String> {
    let mut session = database.client()?;
    let catalog = Catalog::read(&mut *session).map_err(|failure| failure.to_string())?;
    let mut text = catalog.all();
    text.push_str(&dump_tables(&mut *session, random)?);
    let stands = session.stands().map_err(|failure| format!("the version view: {failure}"))?;
    text.extend(stands.iter().map(|row| format!("version {}\n", row_text(row))));
    Ok((catalog, text))
}

/// Whether a refusal names one of these.
fn names(stopped: &Stopped, words: &[&str]) -> bool {
    let said = format!("{} {}", stopped.failure.message, stopped.failure.hint.clone().unwrap_or_default());
    said.split(|letter: char| !letter.is_alphanumeric()).any(|word| words.contains(&word.to_lowercase().as_str()))
}

/// Whether a statement may change a database, from its first word alone.
fn may_write(statement: &str) -> bool {
    !["set", "select", "show", "use", "prepare", "deallocate"].contains(&first_word(statement).as_str())
}

/// Whether two statements are the same but for the comments before them, and say themselves what they do.
fn same_words(one: &Statement, other: &Statement) -> bool {
    code(&one.text).eq(code(&other.text)) && !["call", "execute"].contains(&first_word(&one.text).as_str())
}

/// The lines of a statement behind the comments before it.
fn code(statement: &str) -> impl Iterator<Item = &str> {
    statement.lines().skip_while(|line| line.trim_start().starts_with("--") || line.trim().is_empty())
}

fn first_word(statement: &str) -> String {
    code(statement).next().and_then(|line| line.split_whitespace().next()).unwrap_or_default().to_lowercase()
}

fn nothing_left(catalog: &Catalog) -> Result<(), String> {
    let leftovers = catalog.leftovers();
    if leftovers.is_empty() { Ok(()) } else { Err(format!("left over of crossfade's own:\n{}", indent(&leftovers.join("\n")))) }
}

fn all(reports: Vec<String>) -> Result<(), String> {
    const SHOWN: usize = 8;
    if reports.is_empty() {
        return Ok(());
    }
    let more = reports.len().saturating_sub(SHOWN);
    let mut text = reports.into_iter().take(SHOWN).collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\n… and {more} more"));
    }
    Err(text)
}
