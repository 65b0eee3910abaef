//! `crossfade fmt` as users run it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crossfade::snapshot::fmt::format;

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

/// What a snapshot says, without the places where it says it.
fn meaning(text: &str) -> (String, Vec<String>) {
    let mut sources = crossfade::diagnostic::Sources::default();
    let file = sources.add("a.yaml", text);
    let (snapshot, faults) = crossfade::snapshot::read(&sources, &[file]);
    let debug = std::format!("{snapshot:?}");
    let mut parts = debug.split("Span {");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once('}').map_or("", |(_, after)| after));
    (first + &rest.collect::<String>(), faults.into_iter().map(|fault| fault.message).collect())
}

/// A snapshot whose keys all stand in the wrong order, in a wild layout.
const WILD: &str = r#"
transition:
   allow: [drops-data]
   tables:
       users:
          columns:
             b: {up: "1", down: {postgres: x, default: y}}
             a:
               on_conflict: old
               down:    "b"
               renamed_from:   c
          renamed_from: accounts
   from: ocata
views:
  v:
     comment: "…"
     query: |
        select id
          from users
tables:
    users:
        indexes:
        - where:  "a is null"
          columns:
          - order: desc
            column: a
          name: i
        foreign_keys:
          -   references:   {table: users, columns: [id]}
              columns: [b]
        primary_key:
             columns: [id]
             name: users_pkey
        columns:
            id:   bigint
            b:    bigint
            a:
                comment: a
                default: "''"
                type:
                   default: text
                   postgres: citext
extensions: [citext]
enums:
  e:
  - x
  - y
release:   pike
version:   pike
"#;

#[test]
fn the_meaning_stays() {
    let formatted = format(WILD);
    assert_eq!(meaning(WILD), meaning(&formatted));
    assert_eq!(meaning(WILD).1, [""; 0]);
    assert!(formatted.starts_with("version: pike\nrelease: pike\n\nenums:\n  e:\n    - x\n"), "{formatted}");
    let key = |at: &str| formatted.find(at).unwrap_or_else(|| panic!("{at} in\n{formatted}"));
    assert!(key("name: i") < key("columns:\n          - column: a"), "{formatted}");
    assert!(key("renamed_from: c") < key("down: \"b\"") && key("type:") < key("default: \"''\""));

    // The snapshots at hand, and those of the folder that CROSSFADE_CORPUS names.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("tests"), root.join("examples")];
    folders.extend(std::env::var_os("CROSSFADE_CORPUS").map(std::path::PathBuf::from));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                let once = format(&text);
                assert_eq!(meaning(&text), meaning(&once), "{}", path.display());
                assert_eq!(format(&once), once, "{}", path.display());
            }
        }
    }
}
