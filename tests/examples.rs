//! The examples: their scripts are what the compiler writes, and their `run.sh` passes on real servers.
//! `UPDATE_EXAMPLES=1 cargo test --test examples` writes the scripts.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

#[cfg(feature = "postgres")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders below `examples/`.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(found.len() >= 6, "only {} examples were found", found.len());
    found
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The examples that run on MySQL and MariaDB too. The others are about what is PostgreSQL's, or give a column another type under
/// its name.
const FAMILY: [&str; 3] = ["image-visibility", "replace-table", "split-full-name"];

fn name(example: &Path) -> String {
    example.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The first installation of the old version, and the step to the new one.
fn compile(example: &Path, out: &Path) {
    for old in ["empty", "old.yaml"] {
        let new = if old == "empty" { "old.yaml" } else { "new.yaml" };
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["compile", old, new, "--dialect", "postgres", "--dialect", "sqlite", "--out"])
            .arg(out)
            .args(if FAMILY.contains(&name(example).as_str()) { &["--dialect", "mysql", "--dialect", "mariadb"][..] } else { &[] })
            .current_dir(example)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", example.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn scripts_are_fresh() {
    let update = std::env::var_os("UPDATE_EXAMPLES").is_some();
    let mut stale = Vec::new();
    for example in examples() {
        let committed = example.join("migrations");
        if update {
            // Only what this test wrote earlier: a script that is no longer made goes.
            let _ = fs::remove_dir_all(&committed);
            compile(&example, &committed);
        }
        let fresh = tempfile::tempdir().unwrap();
        compile(&example, fresh.path());
        let (committed, fresh) = (files(&committed), files(fresh.path()));
        for path in committed.keys().chain(fresh.keys()) {
            if committed.get(path) != fresh.get(path) {
                stale.push(format!("{}/migrations/{}", name(&example), path.display()));
            }
        }
    }
    stale.sort();
    stale.dedup();
    assert!(stale.is_empty(), "stale; run UPDATE_EXAMPLES=1 cargo test --test examples:\n{}", stale.join("\n"));
}

#[test]
fn each_example_says_what_it_is() {
    for example in examples() {
        let text = fs::read_to_string(example.join("README.md")).unwrap_or_default();
        let name = name(&example);
        assert!(text.contains(&format!("examples/{name}/run.sh")), "examples/{name}/README.md does not say how to run it");
    }
}

/// Runs every `run.sh` on a server of its own.
#[cfg(feature = "postgres")]
fn run_all(major: u32) {
    let Some(installation) = support::servers::installation(major).unwrap() else { return };
    let server = crossfade::engine::ephemeral::postgres::Server::start(&installation).unwrap();
    let address = server.address("postgres");
    let mut failed = Vec::new();
    for example in examples() {
        let output = Command::new("bash")
            .arg(example.join("run.sh"))
            .env("PGHOST", &address.socket_folder)
            .env("PGPORT", address.port.to_string())
            .env("PGUSER", &address.user)
            .env_remove("PGOPTIONS")
            .env_remove("PGSERVICE")
            .env_remove("PGDATABASE")
            .env_remove("KEEP")
            .output()
            .unwrap();
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            failed.push(format!("{}:\n{}", example.display(), String::from_utf8_lossy(&said)));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Runs the `run.sh` of those that have scripts for it on a server of its own.
#[cfg(all(feature = "postgres", feature = "mysql"))]
fn run_on(family: &support::servers::Family) {
    let Some(installation) = family.installation().unwrap() else { return };
    let server = crossfade::engine::ephemeral::mysql::Server::start(&installation).unwrap();
    let client = installation.client().unwrap();
    let client = format!("{} --no-defaults --user=root --socket={}", client.display(), server.address(None).socket.display());
    for name in FAMILY {
        let output = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("run.sh"))
            .env("CROSSFADE_DIALECT", family.dialect.name())
            .env("CLIENT", &client)
            .env_remove("KEEP")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{name} on {}:\n{said}", family.name);
    }
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
#[test]
fn run_on_mysql_97() {
    run_on(&support::servers::FAMILY[0]);
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
#[test]
fn run_on_mariadb_10_11() {
    run_on(&support::servers::FAMILY[1]);
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
#[test]
fn run_on_mariadb_11_8() {
    run_on(&support::servers::FAMILY[2]);
}

#[cfg(feature = "postgres")]
#[test]
fn run_on_postgres_15() {
    run_all(15);
}

#[cfg(feature = "postgres")]
#[test]
fn run_on_postgres_18() {
    run_all(18);
}
