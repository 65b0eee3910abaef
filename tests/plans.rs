//! The plan of every case, in each access mode, as people read it: a snapshot each, so that a change of what is planned shows.
#![allow(missing_docs)]

use std::path::Path;
use std::process::Command;

/// What `crossfade plan` prints: the plan, or the errors.
fn plan(case: &Path, access: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.current_dir(case).args(["plan", "old.yaml", "new.yaml", "--dialect", "postgres", "--access", access]);
    // What is refused until it is acknowledged is planned here all the same: the hazard stands in the snapshot.
    for code in ["drops-data", "old-key-binds"] {
        command.args(["--allow", code]);
    }
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { text(&output.stdout) } else { text(&output.stderr) }
}

#[test]
fn the_plan_of_every_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .expect("there are cases")
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.join("old.yaml").is_file())
        .collect();
    cases.sort();
    assert!(cases.len() > 30, "the cases are gone");
    for case in cases {
        let name = case.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let both = ["shared", "versioned"].map(|access| plan(&case, access));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "snapshots/plans" }, {
            insta::assert_snapshot!(name, both.join("\n---------------------------------------- \n\n"));
        });
    }
}
