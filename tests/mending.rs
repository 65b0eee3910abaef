//! Rows that stand in the way of migrate: it stops and says which ones, loses nothing, lets both versions go on, and comes to
//! its end when they are mended.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use support::case::Access;
use support::catalog::Catalog;
use support::lab::{Database, Lab, run};
use support::scripts::{Scripts, compile_folder};
use support::servers;
use support::shape::dump_tables;
use support::splitter::split;
use support::text::same;

/// A table before and after, with rows that are in the way.
struct Story {
    access: Access,
    old: &'static str,
    new: &'static str,
    rows: &'static str,
    /// Where in the script the rows come, when not before all: behind the first statement that contains this.
    behind: Option<&'static str>,
    /// What migrate says.
    says: &'static [&'static str],
    code: &'static str,
    /// What the old version writes while migrate is stopped.
    writes: &'static str,
    mend: &'static str,
}

const DUPLICATES: Story = Story {
    access: Access::Shared,
    old: "{columns: {id: bigint primary key, email: text}}",
    new: "{columns: {id: bigint primary key, email: text unique}}",
    rows: "insert into t values (1, 'ada'), (2, 'ada'), (3, 'bob'), (4, 'bob'), (5, 'bob'), (6, null), (7, null)",
    behind: None,
    says: &["t: unique t_email_key is broken by keys: 2 keys stand there more than once (for example ada)", "Nothing was lost"],
    code: "P0001",
    writes: "insert into t values (8, 'cyd'); update t set email = 'dan' where id = 3",
    mend: "update t set email = email || id where email in ('ada', 'bob')",
};

const DUPLICATE_EXPRESSIONS: Story = Story {
    access: Access::Versioned,
    old: "{columns: {id: bigint primary key, email: text, gone: boolean}}",
    new: "{columns: {id: bigint primary key, email: text, gone: boolean}, indexes: [{name: t_email, columns: [lower(email)], unique: true, where: not gone}]}",
    rows: "insert into t values (1, 'ada', false), (2, 'Ada', false), (3, 'bob', false), (4, 'Bob', true), (5, null, false), (6, null, false)",
    behind: None,
    says: &["t: unique t_email is broken by keys: 1 keys stand there more than once (for example ada)"],
    code: "P0001",
    writes: "insert into t values (8, 'cyd', false)",
    mend: "delete from t where id = 2",
};

/// They come when the keys have been looked at already: what the build leaves behind goes when migrate runs again.
const LATE_DUPLICATES: Story = Story {
    behind: Some("is broken by keys"),
    says: &["could not create unique index"],
    code: "23505",
    writes: "insert into t values (8, 'cyd')",
    ..DUPLICATES
};

const NO_NUMBER: Story = Story {
    access: Access::Versioned,
    old: "{columns: {id: bigint primary key, rating: text}}",
    new: "{columns: {id: bigint primary key, rating: integer}}\ntransition: {from: v1, tables: {t: {columns: {rating: {up: rating::integer, down: 'rating::text'}}}}}",
    rows: "insert into t select n, n::text from generate_series(1, 25000) as n; update t set rating = 'five' where id = 20005",
    behind: None,
    says: &[
        "t: the row with id = 20005 can't be filled: invalid input syntax for type integer: \"five\"",
        "rating::integer",
        "Change this row",
    ],
    code: "22P02",
    writes: "insert into t values (30000, '7')",
    mend: "update t set rating = '5' where id = 20005",
};

const NO_QUOTIENT: Story = Story {
    access: Access::Shared,
    old: "{columns: {shop: text not null, day: date not null, total: numeric, visits: integer}, primary_key: [shop, day]}",
    new: "{columns: {shop: text not null, day: date not null, total: numeric, visits: integer, mean: numeric}, primary_key: [shop, day]}\ntransition: {from: v1, tables: {t: {columns: {mean: {up: total / visits}}}}}",
    rows: "insert into t values ('a', '2026-01-01', 10, 2), ('b', '2026-01-02', 10, 0), ('b', '2026-01-03', 10, null)",
    behind: None,
    says: &["t: the row with (shop, day) = (b,2026-01-02) can't be filled: division by zero", "total / visits"],
    code: "22012",
    writes: "insert into t values ('c', '2026-01-01', 10, 5)",
    mend: "update t set visits = 1 where visits = 0",
};

const NO_ROOM: Story = Story {
    access: Access::Shared,
    old: "{columns: {id: bigint primary key, paid: integer, owed: integer}}",
    new: "{columns: {id: bigint primary key, paid: integer, owed: integer, c: bigint}}\ntransition: {from: v1, tables: {t: {columns: {c: {up: paid + owed}}}}}",
    rows: "insert into t values (1, 10, 2), (2, 2147483647, 1), (3, null, 1)",
    behind: None,
    says: &["t: the row with id = 2 can't be filled: integer out of range", "paid + owed"],
    code: "22003",
    writes: "insert into t values (4, 10, 5)",
    mend: "update t set owed = 0 where id = 2",
};

const NO_KEY: Story = Story {
    access: Access::Shared,
    old: "{columns: {a: text, b: bigint}}",
    new: "{columns: {a: text, b: bigint, c: integer}}\ntransition: {from: v1, tables: {t: {columns: {c: {up: a::integer}}}}}",
    rows: "insert into t values ('1', 1), ('x', 2), ('3', 3)",
    behind: None,
    says: &["t: the row at (0,2) can't be filled: invalid input syntax for type integer: \"x\""],
    code: "22P02",
    writes: "insert into t values ('4', 4)",
    mend: "delete from t where a = 'x'",
};

/// It came past the triggers: whether both shapes agree on it can't be told, since the way up has no answer to it.
const NO_ANSWER: Story = Story {
    rows: "insert into t select n, n::text from generate_series(1, 20) as n; set session_replication_role = replica; insert into t values (27, 'five')",
    behind: Some("insert into crossfade.checkpoint"),
    says: &["disagree: 1 rows (for example 27: invalid input syntax for type integer: \"five\")", "Change these rows"],
    code: "P0001",
    mend: "update t set rating = '5' where id = 27",
    ..NO_NUMBER
};

#[test]
fn duplicates() {
    on_each_server(&DUPLICATES);
}

#[test]
fn duplicates_of_an_expression_over_some_rows() {
    on_each_server(&DUPLICATE_EXPRESSIONS);
}

#[test]
fn duplicates_that_come_while_the_index_is_built() {
    on_each_server(&LATE_DUPLICATES);
}

/// Past the triggers, too: one row lacks a blank that its column has no room for, as any write of it would; the other a letter.
const CUT: Story = Story {
    access: Access::Shared,
    old: "{columns: {id: bigint primary key, whole: varchar(12)}}",
    new: "{columns: {id: bigint primary key, head: varchar(12), tail: varchar(12)}}\ntransition: {from: v1, tables: {t: {columns: {head: {up: \"split_part(whole, ' ', 1)\"}, tail: {up: \"split_part(whole, ' ', 2)\"}, whole: {down: \"concat_ws(' ', head, tail)\"}}}}}",
    rows: "set session_replication_role = replica; insert into t values (1, 'abcdefghijkl', 'abcdefghijkl', ''), (2, 'abcdefgh ijk', 'abcdefgh', 'ijkl')",
    behind: Some("insert into crossfade.checkpoint"),
    says: &["t: whole and head, tail disagree: 1 rows (for example 2)", "Change these rows"],
    code: "P0001",
    writes: "insert into t values (3, 'a b')",
    mend: "update t set tail = 'ijk' where id = 2",
};

#[test]
fn a_letter_that_the_column_had_no_room_for() {
    on_each_server(&CUT);
}

/// The old version's own value stands where `down` has none: nobody is kept from changing what it would be computed from.
#[test]
fn a_product_that_is_out_of_range_where_the_column_goes() {
    let snapshots = [
        "version: v1\ntables:\n  t: {columns: {id: bigint primary key, price: integer, many: integer, total: integer}}\n",
        "version: v2\ntables:\n  t: {columns: {id: bigint primary key, price: integer, many: integer}}\n\
         transition: {from: v1, tables: {t: {columns: {total: {down: price * many}}}}}\n",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in ["old.yaml", "new.yaml"].into_iter().zip(snapshots) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    for access in [Access::Shared, Access::Versioned] {
        let scripts = compile_folder(folder.path(), access, &[]).unwrap_or_else(|report| panic!("{report}"));
        for major in servers::MAJORS {
            let Some(lab) = servers::lab(major).unwrap() else { continue };
            let database = installed(&lab, &scripts.install_old).unwrap();
            database.run("insert into t values (1, 2000000000, 2, 7), (2, 3, 4, 12)", "rows").unwrap();
            for (script, what) in [(&scripts.expand, "expand"), (&scripts.migrate, "migrate")] {
                database.run(script, what).unwrap();
                database.run("update t set price = price - 1", "the old version's writes").unwrap();
            }
            let rows = as_old(&database).unwrap();
            assert!(rows.contains("(1,2,1999999998,7)"), "what the old version said stays:\n{rows}");
            assert!(rows.contains("(2,4,1,4)"), "what was computed follows:\n{rows}");
            database.run(&scripts.contract, "contract").unwrap();
        }
    }
}

#[test]
fn a_text_that_is_no_number() {
    on_each_server(&NO_NUMBER);
}

#[test]
fn a_sum_that_is_out_of_range() {
    on_each_server(&NO_ROOM);
}

#[test]
fn a_text_that_is_no_number_and_came_past_the_triggers() {
    on_each_server(&NO_ANSWER);
}

#[test]
fn a_quotient_by_zero_under_a_key_of_two_columns() {
    on_each_server(&NO_QUOTIENT);
}

#[test]
fn a_row_without_a_key() {
    on_each_server(&NO_KEY);
}

fn on_each_server(story: &Story) {
    let folder = tempfile::tempdir().unwrap();
    for (name, version, table) in [("old.yaml", "v1", story.old), ("new.yaml", "v2", story.new)] {
        std::fs::write(folder.path().join(name), format!("version: {version}\ntables:\n  t: {table}\n")).unwrap();
    }
    let scripts = compile_folder(folder.path(), story.access, &[]).unwrap_or_else(|report| panic!("{report}"));
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        tell(&lab, story, &scripts).unwrap_or_else(|report| panic!("PostgreSQL {major}: {report}"));
    }
}

fn tell(lab: &Lab, story: &Story, scripts: &Scripts) -> Result<(), String> {
    let database = installed(lab, &scripts.install_old)?;
    let alone = installed(lab, &scripts.install_new)?;
    if story.behind.is_none() {
        database.run(story.rows, "rows")?;
    }
    database.run(&scripts.expand, "expand")?;

    let statements = split(&scripts.migrate);
    let first = match story.behind {
        Some(words) => 1 + statements.iter().position(|statement| statement.text.contains(words)).ok_or("no such statement")?,
        None => 0,
    };
    let mut session = database.connect()?;
    run(&mut session, &statements[..first]).map_err(|stopped| stopped.to_string())?;
    if story.behind.is_some() {
        database.run(story.rows, "rows")?;
    }
    let before = as_old(&database)?;
    let stopped = match run(&mut session, &statements[first..]) {
        Ok(()) => return Err("migrate did not stop".to_owned()),
        Err(stopped) => stopped,
    };
    drop(session);
    let said = stopped.to_string();
    if stopped.failure.code.as_deref() != Some(story.code) || !story.says.iter().all(|words| said.contains(words)) {
        return Err(format!("migrate does not say {:?} with {}:\n{said}", story.says, story.code));
    }
    same("the old version's rows when migrate has stopped", &before, &as_old(&database)?)?;

    // Contract refuses, the old version goes on, and migrate still says what is in the way.
    if database.run(&scripts.contract, "contract").is_ok() {
        return Err("contract ran".to_owned());
    }
    database.run(story.writes, "the old version's writes")?;
    if database.run(&scripts.migrate, "migrate").is_ok() {
        return Err("migrate did not stop a second time".to_owned());
    }
    let copy = database.copy()?;
    copy.run(&scripts.abort, "abort")?;

    database.run(story.mend, "mending")?;
    let before = as_old(&database)?;
    database.run(&scripts.migrate, "migrate")?;
    same("the old version's rows after migrate", &before, &as_old(&database)?)?;
    database.run(&scripts.contract, "contract")?;
    let catalog = |database: &Database<'_>| Catalog::read(&mut database.connect()?).map_err(|failure| failure.to_string());
    catalog(&database)?.must_equal(&catalog(&alone)?, "the catalog after contract")?;
    let filled = dump_tables(&mut *database.client()?, &[])?;
    if filled.lines().count() == before.lines().count() { Ok(()) } else { Err(format!("rows were lost:\n{filled}")) }
}

fn installed<'lab>(lab: &'lab Lab, scripts: &[String]) -> Result<Database<'lab>, String> {
    let database = lab.empty()?;
    for script in scripts {
        database.run(script, "installation")?;
    }
    Ok(database)
}

/// What the old version reads: its own columns only.
fn as_old(database: &Database<'_>) -> Result<String, String> {
    let mut session = database.client()?;
    let columns = "select string_agg(quote_ident(attname), ', ' order by attname) from pg_attribute
                   where attrelid = 't'::regclass and attnum > 0 and not attisdropped and attname not like 'crossfade%'
                     and attname not in ('mean', 'c')";
    let columns = session.value(columns).map_err(|failure| failure.to_string())?.unwrap_or_default();
    let rows = session.run(&format!("select row({columns})::text from t order by 1")).map_err(|failure| failure.to_string())?.rows;
    Ok(std::iter::once("t\n".to_owned()).chain(rows.iter().map(|row| format!("{row:?}\n"))).collect())
}
