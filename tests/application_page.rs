//! The snippets of `docs/application.md` do what the page says, run as they stand by each server's own client.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;

use crossfade::engine::Connection as _;
use crossfade::sql::Dialect;
use support::case::{Access, Case};
use support::engine::Engine;
use support::lab::Lab;
use support::scripts::compile_for;
use support::servers;
use support::splitter::split_as;

/// The three snippets of a section, each with what it prints.
fn snippets(section: &str) -> Vec<(String, String)> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/application.md")).unwrap();
    let text = page.split("\n## ").find(|part| part.starts_with(&format!("{section}\n"))).unwrap().to_owned();
    let blocks = |kind: &str| -> Vec<String> {
        text.split(&format!("```{kind}\n")).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
    };
    let (sql, printed) = (blocks("sql"), blocks("text"));
    assert_eq!((sql.len(), printed.len()), (3, 3), "{section}");
    sql.into_iter().zip(printed).collect()
}

/// What a client prints, without the lines that it draws.
fn values(printed: &str) -> Vec<String> {
    let lines = printed.lines().map(|line| line.split(['|', '\t']).map(str::trim).collect::<Vec<_>>().join(" | "));
    lines.filter(|line| line.contains(char::is_alphanumeric) && !line.starts_with('(')).collect()
}

/// Runs a section on a database after migrate. `name`: what the page calls the database.
fn works<E: Engine>(lab: &Lab<E>, section: &str, dialect: Dialect, lock: Option<&str>) {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/split")).unwrap().in_dialect(dialect).unwrap();
    let scripts = compile_for(&case, Access::Versioned, dialect).unwrap();
    let database = lab.empty().unwrap();
    for script in scripts.install_old.iter().chain([&scripts.expand]) {
        database.run(script, "up to expand").unwrap();
    }
    database.write("insert into users (id, full_name) values (1, 'Ada Lovelace')", "seed").unwrap();
    let named = |text: &str| text.replace("shop", &database.name);
    let snippets = snippets(section);
    let run = |sql: &str| {
        let (code, said) = database.run_by_client(&named(sql)).unwrap();
        assert_eq!(code, 0, "{section}: {sql}{said}");
        values(&said)
    };
    // Before the end of migrate the new version may not start.
    assert_ne!(run(&snippets[0].0), values(&snippets[0].1), "{section}");
    database.run(&scripts.migrate, "migrate").unwrap();
    // As written, up to the commit: the runner's side can't be had, or the page says nothing of locks.
    let mut client = database.connect().unwrap();
    let (statements, mut other) = (split_as(dialect, &named(&snippets[1].0)), database.connect().unwrap());
    let (commit, before) = statements.split_last().unwrap();
    before.iter().for_each(|statement| drop(client.run(&statement.text).unwrap()));
    if let Some(lock) = lock {
        other.run("begin").unwrap();
        let failure = other.run(lock).unwrap_err();
        assert!(["55P03", "3572", "1205"].contains(&failure.code.as_deref().unwrap()), "{section}: {failure}");
        other.run("rollback").unwrap();
    } else {
        assert!(other.run("begin immediate").is_err(), "{section}");
    }
    client.run(&commit.text).unwrap();
    for (sql, printed) in &snippets {
        assert_eq!(run(sql), values(printed), "{section}: {sql}");
    }
}

#[test]
fn on_postgres() {
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        works(&lab, "PostgreSQL", Dialect::Postgres, Some("select release from crossfade.revision for update nowait"));
    }
}

#[test]
fn on_mysql_and_mariadb() {
    for server in servers::FAMILY {
        let Some(lab) = server.lab().unwrap() else { continue };
        let section = if server.dialect == Dialect::Mysql { "MySQL" } else { "MariaDB" };
        works(&lab, section, server.dialect, Some("select `release` from crossfade_revision for update nowait"));
    }
}

#[test]
fn on_sqlite() {
    let Some(lab) = servers::sqlite().unwrap() else { return };
    works(&lab, "SQLite", Dialect::Sqlite, None);
}
