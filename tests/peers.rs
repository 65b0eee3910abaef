//! The example changes of another tool: each of them is a case of `tests/cases`, which runs with the writers of both versions, or
//! it is listed with the reason why it is none.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use support::case::{Case, Side};

/// An entry of `tests/peers/examples.yaml`, which says what the keys mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    example: String,
    case: Option<String>,
    #[serde(default)]
    shows: BTreeMap<String, Vec<String>>,
    outside: Option<String>,
}

/// The lines of a diff, each with the name of the table (or the word `enums`, …) that it stands below.
type Lines = BTreeSet<(String, String)>;

/// How many examples there are.
const EXAMPLES: usize = 56;

#[test]
fn every_example_runs_with_writers_or_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = std::fs::read_to_string(root.join("peers/examples.yaml")).expect("the list");
    let examples: Vec<Example> = serde_yaml::from_str(&text).expect("the list's format");
    let mut problems = Vec::new();
    let mut diffs: BTreeMap<&str, Result<Lines, String>> = BTreeMap::new();
    let numbers: Vec<&str> = examples.iter().map(|example| example.example.split('_').next().unwrap_or_default()).collect();
    let expected: Vec<String> = (1..=EXAMPLES).map(|number| format!("{number:02}")).collect();
    assert_eq!(numbers, expected, "each example once, in order");
    for example in &examples {
        let mut problem = |what: String| problems.push(format!("{}: {what}", example.example));
        match (&example.case, &example.outside) {
            (None, Some(reason)) if reason.split_whitespace().count() > 3 => {}
            (None, _) => problem("it has neither a case nor a reason".to_owned()),
            (Some(name), _) => {
                if let Err(report) = has_writers(&root.join("cases").join(name)) {
                    problem(format!("case {name}: {report}"));
                }
                if example.shows.is_empty() {
                    problem("nothing says where the case shows it".to_owned());
                }
                match diffs.entry(name).or_insert_with(|| diff(&root.join("cases").join(name))) {
                    Err(report) => problem(format!("case {name}: {report}")),
                    Ok(lines) => {
                        for (table, shown) in example.shows.iter().flat_map(|(table, lines)| lines.iter().map(move |line| (table, line))) {
                            if !lines.iter().any(|(heading, line)| heading == table && line.starts_with(shown.as_str())) {
                                problem(format!("case {name} does not show `{shown}` below {table}"));
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Both versions write while the case runs.
fn has_writers(folder: &Path) -> Result<(), String> {
    let case = Case::read(folder)?;
    if case.file.access.is_empty() {
        return Err("it is never run".to_owned());
    }
    let steps: Vec<_> = case.file.probes.iter().flat_map(|probe| probe.steps()).collect();
    for side in [Side::Old, Side::New] {
        let writes = |sql: &str| ["insert", "update", "delete", "merge"].iter().any(|word| sql.starts_with(word));
        if !steps.iter().any(|step| step.side == side && step.fails.is_none() && writes(&step.sql)) {
            return Err(format!("the {side:?} version writes nothing"));
        }
    }
    Ok(())
}

/// What `crossfade diff` prints.
fn diff(folder: &Path) -> Result<Lines, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["diff", "old.yaml", "new.yaml"])
        .current_dir(folder)
        .output()
        .map_err(|error| error.to_string())?;
    // 3 says that something differs.
    if output.status.code() != Some(3) {
        return Err(format!("diff: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut heading = String::new();
    let mut lines = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.strip_prefix("  ") {
            Some(difference) => drop(lines.insert((heading.clone(), difference.to_owned()))),
            None => heading = line.strip_prefix("table ").unwrap_or(line).to_owned(),
        }
    }
    Ok(lines)
}
