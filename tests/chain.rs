//! Three versions one after the other, each in a namespace of its own: what one transition leaves behind is where the next
//! one starts, and its clients stay where they are until contract.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Command;

use support::catalog::Catalog;
use support::lab::{Database, Lab};
use support::servers;

#[test]
fn on_postgres_15() {
    chain(15);
}

#[test]
fn on_postgres_18() {
    chain(18);
}

/// The scripts of a step: the file name picks one.
fn script(old: &str, new: &str, phase: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chain"))
        .args(["compile", old, new, "--dialect", "postgres", "--stdout", phase])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rows(database: &Database<'_>, namespace: &str, query: &str) -> Vec<String> {
    let mut session = database.connect().unwrap();
    session.run(&format!("set search_path = {namespace}")).unwrap();
    let rows = session.run(query).unwrap().rows;
    rows.iter().map(|row| row.iter().map(|value| value.clone().unwrap_or("-".to_owned())).collect::<Vec<_>>().join(" ")).collect()
}

fn write(database: &Database<'_>, namespace: &str, statement: &str) {
    let mut session = database.connect().unwrap();
    session.run(&format!("set search_path = {namespace}")).unwrap();
    session.run(statement).unwrap();
}

fn run(database: &Database<'_>, old: &str, new: &str, phase: &str) {
    database.run(&script(old, new, phase), &format!("{phase} of {new}")).unwrap();
}

fn chain(major: u32) {
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    run(&database, "empty", "v1.yaml", "expand");
    write(&database, "public", "insert into users (full_name, price) values ('Ada Lovelace', 12.5), ('Plato', 3)");

    run(&database, "v1.yaml", "v2.yaml", "expand");
    run(&database, "v1.yaml", "v2.yaml", "migrate");
    write(&database, "public_v2", "insert into users (first_name, price) values ('New', 700)");
    write(&database, "public", "insert into users (full_name) values ('Old One')");
    let users = "select id, first_name, last_name, price from users order by id";
    let all = ["1 Ada Lovelace 1250", "2 Plato - 300", "3 New - 700", "4 Old One 0"];
    assert_eq!(rows(&database, "public_v2", users), all);
    assert_eq!(rows(&database, "public_v2", "select * from rich"), ["1 Ada"]);
    assert_eq!(rows(&database, "public", "select full_name, price from users where id >= 3 order by id"), ["New 7.00", "Old One 0.00"]);
    run(&database, "v1.yaml", "v2.yaml", "contract");
    assert_eq!(rows(&database, "public_v2", users), all, "contract takes nothing from those who stay");

    // The clients of version 2 stay in their namespace while version 3 comes.
    run(&database, "v2.yaml", "v3.yaml", "expand");
    write(&database, "public_v2", "update users set price = 2000 where id = 2");
    run(&database, "v2.yaml", "v3.yaml", "migrate");
    write(&database, "public_v3", "insert into people (given, cents) values ('Three', 70000)");
    write(&database, "public_v2", "insert into users (first_name) values ('Two')");
    write(&database, "public_v3", "insert into orders (person_id) values (5)");
    let people = "select id, given, last_name, cents, note from people order by id";
    assert_eq!(
        rows(&database, "public_v3", people),
        ["1 Ada Lovelace 1250 -", "2 Plato - 2000 -", "3 New - 700 -", "4 Old One 0 -", "5 Three - 70000 -", "6 Two - 0 -"]
    );
    assert_eq!(rows(&database, "public_v2", "select id, price from users where id >= 5 order by id"), ["5 70000", "6 0"]);
    assert_eq!(rows(&database, "public_v2", "select user_id from orders"), ["5"]);
    run(&database, "v2.yaml", "v3.yaml", "contract");
    write(&database, "public_v3", "insert into people (given) values ('Last')");
    assert_eq!(rows(&database, "public_v3", "select cents from people where given = 'Last'"), ["5"]);
    assert_eq!(
        rows(&database, "public", "select old_version, new_version, phase, revision from crossfade.version"),
        ["v2 v3 contract v3_contract02"]
    );

    let alone = installed(&lab);
    Catalog::read(&mut database.connect().unwrap()).unwrap().must_equal(&alone, "the catalog behind the chain").unwrap();
}

/// The catalog of the last snapshot, installed alone in the same access mode.
fn installed(lab: &Lab) -> Catalog {
    let database = lab.empty().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chain"))
        .args(["compile", "empty", "v3.yaml", "--dialect", "postgres", "--access", "versioned", "--stdout", "expand"])
        .output()
        .unwrap();
    database.run(&String::from_utf8(output.stdout).unwrap(), "installation of v3").unwrap();
    Catalog::read(&mut database.connect().unwrap()).unwrap()
}
