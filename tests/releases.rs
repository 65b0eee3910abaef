//! One upgrade after another on one database: what was aborted, what comes between, what has to refuse.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;

use support::lab::Database;
use support::servers;

/// Writes a snapshot of one table with an `id` and these columns.
fn snapshot(folder: &Path, file: &str, version: &str, columns: &[&str]) {
    let columns: String = columns.iter().map(|name| format!(", {name}: text")).collect();
    let text = format!("version: {version}\ntables:\n  users:\n    columns: {{id: bigint primary key{columns}}}\n");
    std::fs::write(folder.join(file), text).unwrap();
}

fn compile(folder: &Path, old: &str, new: &str, out: &str) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["compile", old, new, "--out", out]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs scripts one after the other with `psql`.
fn run(database: &Database<'_>, folder: &Path, release: &str, scripts: &[&str]) {
    for script in scripts {
        let text = std::fs::read_to_string(folder.join(release).join(format!("postgres/{script}.sql"))).unwrap();
        let (code, said) = database.psql(&text).unwrap();
        assert!(code == 0, "{script} of {release}: {said}");
    }
}

#[test]
fn an_aborted_release_begins_again_behind_another_one() {
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        snapshot(folder, "v1.yaml", "v1", &[]);
        snapshot(folder, "v2.yaml", "v2", &["c"]);
        snapshot(folder, "fix.yaml", "fix", &["b"]);
        snapshot(folder, "v2_over_fix.yaml", "v2", &["b", "c"]);
        compile(folder, "empty", "v1.yaml", "first");
        compile(folder, "v1.yaml", "v2.yaml", "early");
        compile(folder, "v1.yaml", "fix.yaml", "between");
        compile(folder, "fix.yaml", "v2_over_fix.yaml", "late");

        let database = lab.empty().unwrap();
        let all = ["expand", "migrate", "contract"];
        run(&database, folder, "first/v1", &all);
        run(&database, folder, "early/v2", &["expand", "migrate", "abort", "abort", "expand", "abort"]);
        run(&database, folder, "between/fix", &all);
        run(&database, folder, "late/v2", &["expand", "abort", "expand", "expand", "migrate", "contract", "contract"]);
        let version = database
            .connect()
            .unwrap()
            .value("select concat_ws(' ', old_version, new_version, phase, revision) from crossfade.version")
            .unwrap();
        assert_eq!(version.as_deref(), Some("fix v2 contract v2_contract01"), "PostgreSQL {major}");
    }
}
