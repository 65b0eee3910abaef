//! `crossfade fmt` as users run it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const LOOSE: &str = "tables:\n    users:   # people\n        columns: {id: bigint}\nversion:   pike\n";
const CANONICAL: &str = "version: pike\n\ntables:\n  users:   # people\n    columns: {id: bigint}\n";

fn fmt(dir: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_crossfade")).arg("fmt").args(args).current_dir(dir).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn check_shows_what_would_change_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), LOOSE).unwrap();
    fs::write(dir.path().join("b.yaml"), CANONICAL).unwrap();
    let (code, stdout, stderr) = fmt(dir.path(), &["--check", "a.yaml", "b.yaml"]);
    assert_eq!((code, stderr.as_str()), (Some(3), ""));
    assert!(stdout.starts_with("--- a.yaml\n+++ a.yaml\n@@ ") && !stdout.contains("b.yaml"), "{stdout}");
    assert!(stdout.contains("\n-version:   pike\n") && stdout.contains("\n+version: pike\n"), "{stdout}");
    assert_eq!(fs::read_to_string(dir.path().join("a.yaml")).unwrap(), LOOSE);

    assert_eq!(fmt(dir.path(), &["--check", "b.yaml"]), (Some(0), String::new(), String::new()));
}

#[test]
fn files_and_directories_are_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("schema")).unwrap();
    fs::write(dir.path().join("schema/a.yaml"), LOOSE).unwrap();
    fs::write(dir.path().join("schema/notes.txt"), LOOSE).unwrap();
    fs::write(dir.path().join("b.yaml"), LOOSE).unwrap();
    assert_eq!(fmt(dir.path(), &["schema", "b.yaml"]), (Some(0), String::new(), String::new()));
    assert_eq!(fs::read_to_string(dir.path().join("schema/a.yaml")).unwrap(), CANONICAL);
    assert_eq!(fs::read_to_string(dir.path().join("b.yaml")).unwrap(), CANONICAL);
    assert_eq!(fs::read_to_string(dir.path().join("schema/notes.txt")).unwrap(), LOOSE);
}

#[test]
fn a_file_that_is_no_yaml_is_named_and_the_others_are_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), "tables: [\nversion: x\n").unwrap();
    fs::write(dir.path().join("b.yaml"), LOOSE).unwrap();
    let (code, stdout, stderr) = fmt(dir.path(), &["a.yaml", "b.yaml"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.starts_with("error[bad-yaml]: this is not YAML: ") && stderr.contains("--> a.yaml:"), "{stderr}");
    assert_eq!(fs::read_to_string(dir.path().join("b.yaml")).unwrap(), CANONICAL);
    assert_eq!(fmt(dir.path(), &["missing.yaml"]).0, Some(1));
    assert_eq!(fmt(dir.path(), &[]).0, Some(2));
}

#[test]
fn a_dash_reads_stdin() {
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["fmt", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(LOOSE.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(0), CANONICAL));
}
