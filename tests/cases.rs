//! Every case of `tests/cases`, in each of its access modes, on each server: one test each, by the name
//! `<case>::<access>::postgres<major>`. The arguments are those of any test program; a new folder is a new test.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr)]

mod support;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use crossfade::diagnostic::{Colour, Sources, has_errors, render_human};
use crossfade::sql::Dialect;
use libtest_mimic::{Arguments, Failed, Trial};
use support::case::{Access, Case};
use support::lab::Lab;
use support::{check, scripts, servers};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut labs: BTreeMap<u32, Result<Arc<Lab>, String>> = BTreeMap::new();
    if !arguments.list {
        for major in servers::MAJORS {
            match servers::lab(major) {
                Ok(Some(lab)) => drop(labs.insert(major, Ok(Arc::new(lab)))),
                Ok(None) => {}
                Err(report) => drop(labs.insert(major, Err(report))),
            }
        }
    }
    let mut trials = Vec::new();
    for case in Case::all() {
        let case = match case {
            Ok(case) => Arc::new(case),
            Err(report) => {
                trials.push(Trial::test("reading the cases", move || Err(Failed::from(report))));
                continue;
            }
        };
        let snapshots = Arc::clone(&case);
        trials.push(Trial::test(format!("{}::snapshots", case.name), move || Ok(read(&snapshots)?)));
        for (access, words) in &case.file.refused {
            let (case, access, words) = (Arc::clone(&case), access.clone(), words.clone());
            trials.push(Trial::test(format!("{}::{access}::refused", case.name), move || Ok(refused(&case, &access, &words)?)));
        }
        for access in case.file.access.clone() {
            for major in case.file.servers.clone() {
                let name = format!("{}::{}::postgres{major}", case.name, access.name());
                let (case, lab) = (Arc::clone(&case), labs.get(&major).cloned());
                match lab {
                    Some(lab) => trials.push(Trial::test(name, move || Ok(run(&*lab?, &case, access)?))),
                    None => trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true)),
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Stops the servers; leaving by `exit` would not.
    drop(labs);
    conclusion.exit_code()
}

/// Both snapshots are sound in themselves.
fn read(case: &Case) -> Result<(), String> {
    let mut sources = Sources::default();
    for name in ["old.yaml", "new.yaml"] {
        let text = std::fs::read_to_string(case.folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let file = sources.add(format!("{}/{name}", case.name), text);
        let (snapshot, mut faults) = crossfade::snapshot::read(&sources, &[file]);
        faults.extend(snapshot.resolve(Dialect::Postgres).1);
        if has_errors(&faults) {
            return Err(render_human(&sources, &faults, Colour::Never));
        }
    }
    Ok(())
}

fn run(lab: &Lab, case: &Case, access: Access) -> Result<(), String> {
    let scripts = scripts::compile(case, access)?;
    check::check(lab, case, access, &scripts)
}

fn refused(case: &Case, access: &str, words: &[String]) -> Result<(), String> {
    let access = match access {
        "shared" => Access::Shared,
        "versioned" => Access::Versioned,
        other => return Err(format!("refused: unknown access {other}")),
    };
    let report = match scripts::compile(case, access) {
        Ok(_) => return Err("compile did not refuse".to_owned()),
        Err(report) => report,
    };
    match words.iter().find(|word| !report.contains(*word)) {
        Some(word) => Err(format!("the refusal does not say {word:?}:\n{report}")),
        None => Ok(()),
    }
}
