//! What a snapshot does not have: domains, composite types and partitioned tables are refused by name, before the first change.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use support::case::Access;
use support::catalog::Catalog;
use support::lab::{Database, run};
use support::scripts::{Scripts, compile_folder};
use support::servers;
use support::splitter::split;

fn compiled(old: &str, new: &str) -> Scripts {
    let folder = tempfile::tempdir().unwrap();
    for (name, version, table) in [("old.yaml", "v1", old), ("new.yaml", "v2", new)] {
        std::fs::write(folder.path().join(name), format!("version: {version}\ntables:\n  events: {table}\n")).unwrap();
    }
    compile_folder(folder.path(), Access::Shared, &[]).unwrap_or_else(|report| panic!("{report}"))
}

/// Expand refuses with these words, and the schema is as it was.
fn must_refuse(database: &Database<'_>, expand: &str, words: &[&str]) {
    let catalog = || Catalog::read(&mut database.connect().unwrap()).unwrap();
    let before = catalog();
    let stopped = run(&mut database.connect().unwrap(), &split(expand)).expect_err("expand must refuse").to_string();
    assert!(words.iter().all(|word| stopped.contains(word)), "{words:?} are not in\n{stopped}");
    catalog().must_equal(&before, "the catalog after the refusal").unwrap();
}

#[test]
fn a_type_that_the_database_lacks() {
    let scripts = compiled(
        "{columns: {id: bigint primary key}}",
        "{columns: {id: bigint primary key, code: us_postal_code, places: 'us_postal_code[]', size: integer}}",
    );
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        database.run("create table events (id bigint constraint events_pkey primary key)", "installation").unwrap();
        must_refuse(&database, &scripts.expand, &["there is no type us_postal_code", "make it by hand"]);
        database.run("create domain us_postal_code as text check (value ~ '^[0-9]{5}$')", "domain").unwrap();
        for phase in [&scripts.expand, &scripts.migrate, &scripts.contract] {
            database.run(phase, "a phase").unwrap();
        }
        database.run("insert into events values (1, '12345', '{12345}', 1)", "a row").unwrap();
        assert!(database.run("insert into events values (2, 'x', null, 1)", "a row").is_err(), "the domain's check holds");
    }
}

#[test]
fn a_partitioned_table() {
    let scripts = compiled(
        "{columns: {id: bigint not null, day: date not null}}",
        "{columns: {id: bigint not null, day: date not null, size: integer}}",
    );
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        database.run("create table events (id bigint not null, day date not null) partition by range (day)", "installation").unwrap();
        must_refuse(&database, &scripts.expand, &["partitioned: events", "by hand"]);
    }
}
