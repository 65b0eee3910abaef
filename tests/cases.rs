//! Every case of `tests/cases`, in each of its access modes, on each server of its dialects: one test each, by the name
//! `<case>::<access>::<server>`, such as `split::shared::postgres18` or `split::versioned::mysql97`. The arguments are those of any test program; a new folder is a new test.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr)]

mod support;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use crossfade::diagnostic::{Colour, Sources, has_errors, render_human};
use crossfade::sql::Dialect;
use libtest_mimic::{Arguments, Failed, Trial};
use support::case::{Access, Case};
use support::engine::Engine;
use support::lab::Lab;
use support::{check, scripts, servers};

/// Something that cases run on.
trait Target: Send + Sync {
    fn name(&self) -> String;
    /// Whether this machine has it; the error is for a machine that must.
    fn found(&self) -> &Result<bool, String>;
    fn dialect(&self) -> Dialect;
    fn run(&self, case: &Case, access: Access) -> Result<(), String>;
}

/// A kind of server, started for the first case that needs it.
struct Started<E, F> {
    name: String,
    found: Result<bool, String>,
    dialect: Dialect,
    start: F,
    lab: OnceLock<Result<Option<Lab<E>>, String>>,
}

impl<E: Engine, F: Fn() -> Result<Option<Lab<E>>, String> + Send + Sync> Target for Started<E, F> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn found(&self) -> &Result<bool, String> {
        &self.found
    }

    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn run(&self, case: &Case, access: Access) -> Result<(), String> {
        if let Err(report) = &self.found {
            return Err(report.clone());
        }
        let lab = self.lab.get_or_init(&self.start).as_ref().map_err(Clone::clone)?.as_ref().ok_or("the server is gone")?;
        let case = case.in_dialect(self.dialect)?;
        let mut scripts = scripts::compile_for(&case, access, self.dialect)?;
        scripts.control = scripts::control(&scripts, access, self.dialect)?;
        check::check(lab, &case, access, &scripts)
    }
}

fn target<E: Engine + 'static>(
    name: String,
    dialect: Dialect,
    found: Result<bool, String>,
    start: impl Fn() -> Result<Option<Lab<E>>, String> + Send + Sync + 'static,
) -> Arc<dyn Target> {
    Arc::new(Started { name, dialect, found, start, lab: OnceLock::new() })
}

fn targets(list: bool) -> Vec<Arc<dyn Target>> {
    // A list of names says nothing of servers.
    let found = |look: &dyn Fn() -> Result<bool, String>| if list { Ok(true) } else { look() };
    let mut targets = Vec::new();
    for major in servers::MAJORS {
        let found = found(&|| servers::installation(major).map(|found| found.is_some()));
        targets.push(target(format!("postgres{major}"), Dialect::Postgres, found, move || servers::lab(major)));
    }
    for family in servers::FAMILY {
        let found = found(&|| family.installation().map(|found| found.is_some()));
        targets.push(target(family.name.to_owned(), family.dialect, found, move || family.lab()));
    }
    let found = found(&|| servers::sqlite_shell().map(|found| found.is_some()));
    targets.push(target("sqlite".to_owned(), Dialect::Sqlite, found, servers::sqlite));
    targets
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A trial waits for its server as often as it works: one more than there are cores keeps them busy.
    arguments.test_threads.get_or_insert_with(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()) + 1);
    let targets = targets(arguments.list);
    let every_server = std::env::var_os("CROSSFADE_EVERY_SERVER").is_some();
    let mut trials = Vec::new();
    for case in Case::every() {
        let case = match case {
            Ok(case) => Arc::new(case),
            Err(report) => {
                trials.push(Trial::test("reading the cases", move || Err(Failed::from(report))));
                continue;
            }
        };
        let snapshots = Arc::clone(&case);
        trials.push(Trial::test(format!("{}::snapshots", case.name), move || Ok(read(&snapshots)?)));
        for dialect in case.file.dialects.clone() {
            let case = match case.in_dialect(dialect) {
                Ok(case) => Arc::new(case),
                Err(report) => {
                    trials.push(Trial::test(format!("{}::reading", case.name), move || Err(Failed::from(report))));
                    continue;
                }
            };
            for (access, words) in case.file.refused.clone() {
                let name = format!("{}::{}::refused::{}", case.name, access.name(), dialect.name());
                let case = Arc::clone(&case);
                trials.push(Trial::test(name, move || Ok(refused(&case, access, dialect, &words)?)));
            }
            for access in case.file.access.clone() {
                let able: Vec<_> = targets.iter().filter(|target| target.dialect() == dialect && case.runs_on(&target.name())).collect();
                let turn = case.shift(access);
                for (index, target) in able.iter().enumerate() {
                    // Two servers of one dialect take turns: a case runs on both, on each in one of its access modes. One with a
                    // single mode runs on both of PostgreSQL, which the most have in use.
                    let takes_turns = able.len() == 2 && (dialect == Dialect::Mariadb || case.file.access.len() == 2);
                    if takes_turns && turn % 2 != index && !every_server {
                        continue;
                    }
                    let name = format!("{}::{}::{}", case.name, access.name(), target.name());
                    let missing = *target.found() == Ok(false);
                    let (case, target) = (Arc::clone(&case), Arc::clone(*target));
                    trials.push(Trial::test(name, move || Ok(target.run(&case, access)?)).with_ignored_flag(missing));
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Stops the servers; leaving by `exit` would not.
    drop(targets);
    conclusion.exit_code()
}

/// Both snapshots are sound in themselves.
fn read(case: &Case) -> Result<(), String> {
    let mut sources = Sources::default();
    for name in ["old.yaml", "new.yaml"] {
        let text = std::fs::read_to_string(case.folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let file = sources.add(format!("{}/{name}", case.name), text);
        let (snapshot, mut faults) = crossfade::snapshot::read(&sources, &[file]);
        for dialect in &case.file.dialects {
            // What is refused whatever the access may be so because no snapshot can say it.
            if !case.in_dialect(*dialect)?.file.access.is_empty() || *dialect == Dialect::Postgres {
                faults.extend(snapshot.resolve(*dialect).1);
            }
        }
        if has_errors(&faults) {
            return Err(render_human(&sources, &faults, Colour::Never));
        }
    }
    Ok(())
}

fn refused(case: &Case, access: Access, dialect: Dialect, words: &[String]) -> Result<(), String> {
    let report = match scripts::compile_for(case, access, dialect) {
        Ok(_) => return Err("compile did not refuse".to_owned()),
        Err(report) => report,
    };
    match words.iter().find(|word| !report.contains(*word)) {
        Some(word) => Err(format!("the refusal does not say {word:?}:\n{report}")),
        None => Ok(()),
    }
}
