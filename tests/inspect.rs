//! Reading a live database: what was installed from a snapshot is read as that snapshot, and what a snapshot can't say is named.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade::diagnostic::{Colour, Sources, has_errors, render_human};
use crossfade::dialect::postgres::Postgres;
use crossfade::dialect::target;
use crossfade::inspect::postgres::{inspect, inspect_script};
use crossfade::inspect::{Inspected, align};
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use crossfade::{diff, emit, plan, snapshot};
use support::case::Case;
use support::engine::Engine;
use support::engine::mysql::COMPILED_FOR;
use support::lab::{Database, Lab};
use support::servers;

/// A schema from the text of a snapshot, which must be sound.
fn read(name: &str, text: &str) -> Result<Schema, String> {
    read_for(Dialect::Postgres, name, text)
}

fn read_for(dialect: Dialect, name: &str, text: &str) -> Result<Schema, String> {
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    let (snapshot, mut faults) = snapshot::read(&sources, &[file]);
    let (schema, more) = snapshot.resolve(dialect);
    faults.extend(more);
    if has_errors(&faults) {
        return Err(format!("{}\n{text}", render_human(&sources, &faults, Colour::Never)));
    }
    Ok(schema)
}

/// What differs between two schemas, in words; empty when nothing does.
fn difference(old: &Schema, new: &Schema) -> String {
    difference_on(Dialect::Postgres, old, new)
}

fn difference_on(dialect: Dialect, old: &Schema, new: &Schema) -> String {
    let (found, _) = diff::diff(old, new, dialect, &diff::Options { assume_drop: diff::AssumeDrop::Unrelated });
    if found.is_empty() { String::new() } else { diff::print::text(&found) }
}

/// Makes a schema in an empty database, with the scripts of a first installation.
fn install(database: &Database<'_>, schema: &Schema, namespace: &str) -> Result<(), String> {
    let scripts = installation(Dialect::Postgres, schema, namespace)?;
    run_all(database, &scripts)
}

/// The scripts of a first installation.
fn installation(dialect: Dialect, schema: &Schema, namespace: &str) -> Result<emit::Scripts, String> {
    let (empty, mut new) = (Schema::empty(), schema.clone());
    new.transition = None;
    let (diff, _) = diff::diff(&empty, &new, dialect, &diff::Options::default());
    let settings = plan::Settings { access: Access::Shared, schema: namespace.to_owned(), allow: Vec::new() };
    let (plan, faults) = plan::plan(&diff, &settings, target(dialect).unwrap());
    if has_errors(&faults) {
        return Err(render_human(&Sources::default(), &faults, Colour::Never));
    }
    emit::scripts(&plan).map_err(|error| error.to_string())
}

fn run_all<E: Engine>(database: &Database<'_, E>, scripts: &emit::Scripts) -> Result<(), String> {
    for (name, script) in [("expand", &scripts.expand), ("migrate", &scripts.migrate), ("contract", &scripts.contract)] {
        database.run(script, name)?;
    }
    Ok(())
}

/// Whether a snapshot is this server's, the m-th of n: each one is read on one of them, with `CROSSFADE_EVERY_SERVER=1` on all.
fn has_turn(text: &str, (turn, turns): (usize, usize)) -> bool {
    text.len() % turns == turn || std::env::var_os("CROSSFADE_EVERY_SERVER").is_some()
}

/// What is read of one database: live, and without a server.
type Looks = (Inspected, Inspected);

/// Every snapshot that compiles for a dialect is installed and read back, live and out of a dump; both are the same, and nothing
/// differs from the snapshot. Servers of one dialect share them out.
fn all_return<E: Engine>(lab: &Lab<E>, turn: (usize, usize), look: impl Fn(&Database<'_, E>) -> Result<Looks, String> + Sync) {
    let dialect = lab.engine.dialect();
    let mut seen = BTreeSet::new();
    let things: Vec<(String, Schema, emit::Scripts)> = snapshots(None)
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .filter(|(_, text)| seen.insert(text.clone()) && has_turn(text, turn))
        .filter_map(|(name, text)| {
            let schema = read_for(dialect, &name, &text).ok()?;
            let scripts = installation(dialect, &schema, COMPILED_FOR).ok()?;
            Some((name, schema, scripts))
        })
        .collect();
    assert!(things.len() > 80 / turn.1, "only {} snapshots compile", things.len());
    let own: BTreeSet<PathBuf> = snapshots(Some(dialect)).into_iter().collect();
    let check = |(name, installed, scripts): &(String, Schema, emit::Scripts)| -> Result<(), String> {
        let database = lab.empty()?;
        match run_all(&database, scripts) {
            // The expressions of a case may be in the SQL of its own dialects alone.
            Err(_) if !own.contains(Path::new(name)) => return Ok(()),
            done => done?,
        }
        let (live, dump) = look(&database)?;
        if live.text != dump.text || live.left_out != dump.left_out {
            return Err(format!(
                "the dump is read as\n{}{:?}\nand the database as\n{}{:?}",
                dump.text, dump.left_out, live.text, live.left_out
            ));
        }
        if !live.left_out.is_empty() || live.between.is_some() {
            return Err(format!("left out: {live:?}"));
        }
        if snapshot::fmt::format(&live.text) != live.text {
            return Err(format!("not in canonical form:\n{}", live.text));
        }
        let mut again = read_for(dialect, "live", &live.text)?;
        if again.version != installed.version {
            return Err(format!("{name}: the version is {}", again.version));
        }
        align(&mut again, installed, dialect, &live.collations);
        match difference_on(dialect, installed, &again) + &difference_on(dialect, &again, installed) {
            differs if differs.is_empty() => Ok(()),
            differs => Err(format!("{differs}\n{}", live.text)),
        }
    };
    let failures = each(&things, |thing| check(thing).map_err(|error| format!("{}: {error}", thing.0)));
    assert!(failures.is_empty(), "{} of {}\n{}", failures.len(), things.len(), failures.join("\n"));
}

#[cfg(feature = "mysql")]
fn family_returns(name: &str, turn: (usize, usize)) {
    use crossfade::inspect::mysql_like;
    let family = servers::FAMILY.into_iter().find(|family| family.name == name).unwrap();
    let Some(lab) = family.lab().unwrap() else { return };
    let dialect = family.dialect;
    all_return(&lab, turn, |database| {
        let mut session = database.connect()?;
        let live = mysql_like::inspect(&mut session, dialect, "live").map_err(|failure| failure.to_string())?;
        let version = live.text.lines().next().unwrap().trim_start_matches("version: ").to_owned();
        Ok(match lab.engine.dump(&database.name)? {
            Some(dump) => {
                let dump = mysql_like::inspect_script(&dump, dialect, &version);
                (live, dump)
            }
            None => (live.clone(), live),
        })
    });
}

#[cfg(feature = "mysql")]
#[test]
fn a_mysql_database_made_from_a_snapshot_is_read_as_that_snapshot() {
    family_returns("mysql97", (0, 1));
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_10_database_made_from_a_snapshot_is_read_as_that_snapshot() {
    family_returns("mariadb1011", (0, 2));
}

#[cfg(feature = "mysql")]
#[test]
fn a_mariadb_11_database_made_from_a_snapshot_is_read_as_that_snapshot() {
    family_returns("mariadb118", (1, 2));
}

/// One of each kind that a snapshot has no words for, on MySQL and MariaDB, and ways to write what it has.
#[cfg(feature = "mysql")]
const OUTSIDE_MYSQL: &str = r#"
create table plain (
  id int unsigned not null auto_increment primary key comment 'it\'s a "number"\nof two lines',
  `odd, ``name` varchar(40) character set latin1 default 'it''s',
  seen timestamp not null default current_timestamp on update current_timestamp,
  made datetime(3) default '2020-02-29 12:00:00.5',
  small tinyint(1) not null default 1,
  tiny tinyint(4) default -5,
  price decimal(10,2) default 1.5,
  text_of text,
  body longtext collate utf8mb4_bin,
  j json,
  e enum('a','b,c','it''s') not null default 'a',
  flags set('x','y'),
  doubled decimal(11,2) generated always as (price * 2) virtual,
  kept varchar(50) generated always as (concat(`odd, ``name`, '!')) stored,
  hidden int invisible,
  place point not null,
  constraint positive check (price > 0 and (tiny is null or tiny in (1, 2))),
  unique key two (small, tiny desc),
  unique key one (tiny),
  key half (text_of(20)),
  fulltext key words (body) comment 'all words',
  spatial key somewhere (place)
) comment='People''s table';
create table parent (a int, b int, c int, primary key (b, a), key (c)) row_format=compressed;
create table child (id int primary key, a int, b int, own int,
  constraint up foreign key (b, a) references parent (b, a) on delete cascade on update set null,
  constraint again foreign key (own) references child (id) on delete restrict,
  key own_too (own));
create table other_engine (id int) engine=MyISAM default charset=latin1;
create table parted (id int) partition by hash (id) partitions 2;
create table sorted (a varchar(10)) collate utf8mb4_bin;
create trigger touched before update on plain for each row set new.tiny = 1;
create procedure proc() select 1;
create function func() returns int deterministic return 1;
create event tick on schedule every 1 day do select 1;
create view shown as select p.id, c.own as o from plain p join child c on c.id = p.id where p.price > 1;
create sql security invoker view limited as select id from plain where id > 5 with check option;
create view over_gone as select id from plain;
create view over_other as select table_name from information_schema.tables;
"#;

#[cfg(feature = "mysql")]
#[test]
fn what_a_snapshot_cannot_say_of_mysql_and_mariadb_is_named() {
    use crossfade::engine::Connection as _;
    use crossfade::inspect::mysql_like;
    for family in servers::FAMILY {
        let Some(lab) = family.lab().unwrap() else { continue };
        let dialect = family.dialect;
        let database = lab.empty().unwrap();
        let mut session = database.connect().unwrap();
        for statement in OUTSIDE_MYSQL.split(";\n").map(str::trim).filter(|s| !s.is_empty()) {
            session.run(statement).unwrap_or_else(|failure| panic!("{statement}: {failure}"));
        }
        let mut expected = vec![
            "character sets: other_engine (latin1)",
            "character sets: plain.`odd, ``name` (latin1)",
            "collations of tables: sorted (utf8mb4_bin)",
            "columns that change by themselves (on update): plain.seen",
            "events: tick",
            "functions: func",
            "invisible columns (read as visible ones): plain.hidden",
            "options of tables: parent (row_format=COMPRESSED)",
            "partitions (read as one table): parted",
            "procedures: proc",
            "storage engines: other_engine (MyISAM)",
            "triggers: touched on plain",
            "views with the rights of their definer (read as views): shown",
            "check options of views: limited",
            "views over what is left out: over_other",
        ];
        if dialect == Dialect::Mariadb {
            session.run("create sequence numbers start with 100 increment by 5 cycle").unwrap();
            session.run("create table versioned (id int) with system versioning").unwrap();
            session.run("create table ruled (id int check (id > 0))").unwrap();
            expected.extend(["system-versioned tables (read as ordinary ones): versioned", "checks of a column: ruled.id: `id` > 0"]);
        } else {
            session.run("alter table child add constraint later check (own > 0) not enforced, add key low ((abs(own)))").unwrap();
            session.run("alter table child alter index low invisible").unwrap();
            expected.extend(["rules that are not enforced: later on child", "invisible indexes (read as visible ones): low on child"]);
        }
        let found = mysql_like::inspect(&mut session, dialect, "live").unwrap();
        let named: Vec<String> = found.left_out.iter().map(|left| format!("{}: {}", left.kind, left.name)).collect();
        expected.retain(|entry| !named.iter().any(|name| name == entry));
        assert!(expected.is_empty(), "{} does not name {expected:#?}\nbut {named:#?}\n{}", family.name, found.text);
        read_for(dialect, "live", &found.text).unwrap();
        // What is read is what is there: a database made of it is read as the same.
        let (again, refused) = (lab.empty().unwrap(), read_for(dialect, "live", &found.text).unwrap());
        if let Ok(scripts) = installation(dialect, &refused, COMPILED_FOR) {
            run_all(&again, &scripts).unwrap();
            let second = mysql_like::inspect(&mut again.connect().unwrap(), dialect, "live").unwrap();
            let (first, second) = (read_for(dialect, "a", &found.text).unwrap(), read_for(dialect, "b", &second.text).unwrap());
            assert_eq!(difference_on(dialect, &first, &second), "", "{}", found.text);
        }
        // What only the server's own tables tell is in a dump with triggers and routines, too.
        if let Some(dump) = lab.engine.dump(&database.name).unwrap() {
            let dump = mysql_like::inspect_script(&dump, dialect, "live");
            assert_eq!(dump.text, found.text, "{}", family.name);
            assert_eq!(dump.left_out, found.left_out, "{}", family.name);
        }
    }
}

/// What people write by hand is read as the server reads it: keys beside a column, keys without names, indexes behind the table.
#[cfg(feature = "mysql")]
#[test]
fn a_mysql_file_written_by_hand_is_read_as_the_server_reads_it() {
    use crossfade::engine::Connection as _;
    use crossfade::inspect::mysql_like;
    const BY_HAND: &str = "
create table owner (id bigint unsigned auto_increment primary key, email varchar(200) not null unique, code varchar(20) unique key, `key` int);
create table pet (
  id int not null default 0 primary key comment 'its number', name varchar(50) unique, owner bigint unsigned not null, b int, c int,
  unique (name, b), unique key named (c), key (b), foreign key (owner) references owner (id) on delete cascade
) default charset = utf8mb4;
CREATE UNIQUE INDEX pet_b_c ON pet (b, c);
create index pet_c using btree on pet (c desc);
create index owner_code on owner (code(5)) comment 'short';
";
    for family in &servers::FAMILY[..2] {
        let Some(lab) = family.lab().unwrap() else { continue };
        let database = lab.empty().unwrap();
        for statement in BY_HAND.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            database.connect().unwrap().run(statement).unwrap();
        }
        let found = mysql_like::inspect(&mut database.connect().unwrap(), family.dialect, "live").unwrap();
        let read_of_file = mysql_like::inspect_script(BY_HAND, family.dialect, "live");
        assert_eq!(read_of_file.left_out, Vec::new());
        let [live, file] = [&found, &read_of_file].map(|read| read_for(family.dialect, "live", &read.text).unwrap());
        assert_eq!(difference_on(family.dialect, &live, &file), "", "{}\n{}", found.text, read_of_file.text);
        assert!(["pet_b_c", "name_2", "pet_ibfk_1"].iter().all(|name| file_names(&read_of_file.text, name)), "{}", read_of_file.text);
        // MySQL keeps a foreign key at a column from 9.0 on, MariaDB from 10.5 on: a file does not tell which server it is for.
        let vague = mysql_like::inspect_script(
            "create table t (id int primary key, o int references owner (id) on delete cascade)",
            family.dialect,
            "live",
        );
        let named: Vec<String> = vague.left_out.iter().map(|left| format!("{}: {}", left.kind, left.name)).collect();
        assert_eq!(named, ["foreign keys at a column (not every version of the server keeps them): t.o"]);
    }
}

#[cfg(feature = "mysql")]
fn file_names(text: &str, name: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name)
}

#[cfg(feature = "sqlite")]
#[test]
fn an_sqlite_file_made_from_a_snapshot_is_read_as_that_snapshot() {
    use crossfade::inspect::sqlite;
    let Some(lab) = servers::sqlite().unwrap() else { return };
    all_return(&lab, (0, 1), |database| {
        let live = sqlite::inspect(&mut *database.client()?, "live").map_err(|failure| failure.to_string())?;
        let (code, dump) = database.run_by_client(".schema")?;
        assert_eq!(code, 0, "{dump}");
        // The rows of crossfade's own tables tell the version: a dump of the schema has none.
        let version = live.text.lines().next().unwrap().trim_start_matches("version: ").to_owned();
        let dump = sqlite::inspect_script(&dump, &version).map_err(|failure| format!("{failure}\n{dump}"))?;
        Ok((live, dump))
    });
}

/// One of each kind that a snapshot has no words for, on SQLite, and ways to write what it has.
#[cfg(feature = "sqlite")]
const OUTSIDE_SQLITE: &str = r#"
create table plain (
  id integer primary key on conflict replace, -- the number of the row
  "odd, name" text default "text" not null constraint long_enough check (length("odd, name") > 1) collate nocase,
  bare,
  what [some thing],
  price numeric(10, 2) default -1.5,
  twice generated always as (price * 2),
  both as (id + 1) stored,
  made text default (datetime('now')),
  owner references owners,
  unique (price, Made) on conflict ignore,
  check (price > 0 or price is null)
  foreign key (price, made) references plain (price, made) match full on update set null deferrable initially deferred
);
create table owners (a text, b integer, primary key (a desc));
create table "strict one" (id integer primary key autoincrement, n any) strict;
create table rowless (a text primary key not null) without rowid;
create virtual table words using fts5(body);
create index plain_made on plain (made desc, lower("odd, name"), what collate rtrim) where price > 1;
create unique index plain_odd on PLAIN ("odd, name");
create trigger touched after update on plain begin select 1; select 2; end;
create view listed (a, b) as select id, made from plain;
create view shown as select p.id, o.b from plain as p join owners as o on o.a = p.owner where p.price > 1;
create view over_words as select body from words;
create view over_that as select * from over_words;
"#;

#[cfg(feature = "sqlite")]
#[test]
fn what_a_snapshot_cannot_say_of_sqlite_is_named() {
    use crossfade::inspect::sqlite::inspect_script;
    let found = inspect_script(&format!("pragma foreign_keys = off;\n{OUTSIDE_SQLITE}\nattach 'x' as y;"), "live").unwrap();
    let named: Vec<String> = found.left_out.iter().map(|left| format!("{}: {}", left.kind, left.name)).collect();
    let tables = ["config", "content", "data", "docsize", "idx"].map(|part| format!("tables of virtual tables: words_{part}"));
    let mut expected = vec![
        "columns of a primary key that may be NULL (read as NOT NULL): owners.a",
        "columns without a type (read as blob): plain.bare",
        "columns without a type (read as blob): plain.both",
        "columns without a type (read as blob): plain.owner",
        "columns without a type (read as blob): plain.twice",
        "conflict clauses: plain.id: on conflict replace",
        "conflict clauses: plain: on conflict ignore",
        "descending keys (read as ascending ones): owners",
        "statements that are not understood: line 29: attach 'x' as y",
        "strict tables (read as ordinary ones): \"strict one\"",
        "tables without rowid (read as ordinary ones): rowless",
        "triggers: touched on plain",
        "types that nobody knows (read as what they store): plain.what [some thing]",
        "views over what is left out: over_that",
        "views over what is left out: over_words",
        "views with a list of columns: listed",
        "virtual tables: words",
    ];
    expected.extend(tables.iter().map(String::as_str));
    expected.sort_unstable();
    let mut sorted = named.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "{}", found.text);
    let schema = read_for(Dialect::Sqlite, "live", &found.text).unwrap();
    let expected = r#"
version: live
tables:
  plain:
    columns:
      id: integer
      "odd, name": {type: text, not_null: true, default: "'text'", collation: nocase}
      bare: bytea
      what: numeric
      price: numeric(10,2) default -1.5
      twice: {type: bytea, generated: {expression: price * 2, stored: false}}
      both: {type: bytea, generated: {expression: id + 1, stored: true}}
      made: text default (datetime('now'))
      owner: bytea
    primary_key: [id]
    unique:
      - [price, made]
      - {name: plain_odd, columns: ["odd, name"]}
    checks:
      - {name: long_enough, expression: 'length("odd, name") > 1'}
      - {name: plain_check, expression: price > 0 or price is null}
    foreign_keys:
      - {columns: [owner], references: owners(a)}
      - {columns: [price, made], references: "plain(price, made)", on_update: set null, deferrable: true, initially_deferred: true}
    indexes:
      - {name: plain_made, columns: [{column: made, order: desc}, 'lower("odd, name")', {column: what, collation: rtrim}], where: price > 1}
  owners:
    columns: {a: text, b: integer}
    primary_key: [a]
  rowless: {columns: {a: text}, primary_key: [a]}
  strict one:
    columns:
      id: integer generated by default as identity
      n: {type: {sqlite: any}}
    primary_key: [id]
views:
  shown: select p.id, o.b from plain as p join owners as o on o.a = p.owner where p.price > 1
"#;
    let expected = read_for(Dialect::Sqlite, "expected", expected).unwrap();
    assert_eq!(difference_on(Dialect::Sqlite, &expected, &schema), "", "{}", found.text);
    let refused = inspect_script("create table t (\n", "live").unwrap_err().to_string();
    assert!(refused.contains("line 1: incomplete input"), "{refused}");
}

#[cfg(feature = "sqlite")]
#[test]
fn an_sqlite_file_is_a_source() {
    let here = tempfile::tempdir().unwrap();
    let schema = "create table users (id integer primary key autoincrement, name text not null unique, day text,
      mood text check (mood in ('good', 'bad')));\ncreate trigger t after insert on users begin select 1; end;\n";
    let snapshot = "version: v1\nenums: {mood: [good, bad]}\ntables:\n  users:\n    comment: people\n    columns:
      id: bigint generated always as identity primary key\n      name: varchar not null unique\n      day: date\n      mood: mood\n";
    let snapshot = snapshot.replace("name: varchar", "name: text");
    let mut session = crossfade::engine::sqlite::Session::open(&here.path().join("app.db")).unwrap();
    session.run_script(schema).unwrap();
    std::fs::write(here.path().join("schema.sql"), schema).unwrap();
    std::fs::write(here.path().join("v1.yaml"), &snapshot).unwrap();
    let next = snapshot.replace("version: v1", "version: v2").replace("[good, bad]", "[good, bad, odd]") + "      age: integer\n";
    std::fs::write(here.path().join("v2.yaml"), next + "transition: {from: v1}\n").unwrap();
    for source in [&["sqlite:app.db"][..], &["schema.sql", "--dialect", "sqlite"]] {
        let run = |before: &[&str], after: &[&str]| crossfade(here.path(), &[before, &source[..1], after, &source[1..]].concat());
        let (code, out, err) = run(&["diff"], &["v1.yaml"]);
        assert!(code == 0 && err.contains("triggers: t on users"), "{out}{err}");
        assert_eq!(run(&["diff", "v1.yaml"], &[]).0, 0);
        let (code, out, err) = run(&["compile"], &["v2.yaml", "--stdout", "expand"]);
        assert!(code == 0 && out.contains("age integer") && out.contains("'odd'"), "{out}{err}");
        assert_eq!(run(&["validate"], &[]).1, "ok\n");
    }
    let (code, out, err) = crossfade(here.path(), &["init", "sqlite:app.db"]);
    assert!(code == 0 && out.contains("wrote schemas/initial.yaml"), "{out}{err}");
    assert!(std::fs::read_to_string(here.path().join("crossfade.yaml")).unwrap().contains("dialects: [sqlite]"));
    for (arguments, said) in [
        (&["validate", "sqlite:absent.db"][..], "unable to open database file"),
        (&["validate", "sqlite:app.db", "--dialect", "postgres"], "as the source of a schema for postgres"),
        (&["validate", "schema.sql", "--dialect", "sqlite", "--dialect", "mysql"], "name it with `--dialect`"),
    ] {
        let (code, _, err) = crossfade(here.path(), arguments);
        assert!(code == 1 && err.contains(said), "{err}");
    }
    assert!(!here.path().join("absent.db").exists());
}

fn look(database: &Database<'_>, namespace: &str) -> Result<Inspected, String> {
    inspect(&mut *database.client()?, namespace, "live").map_err(|failure| failure.to_string())
}

/// Every snapshot of the examples and of the cases, all or those of a dialect.
fn snapshots(only: Option<Dialect>) -> Vec<PathBuf> {
    let wanted = |case: &Case| only.is_none_or(|dialect| case.file.dialects.contains(&dialect));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let cases = Case::every().into_iter().map(Result::unwrap).filter(wanted);
    let folders = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).chain(cases.map(|case| case.folder));
    let mut files: Vec<PathBuf> =
        folders.flat_map(|folder| ["old.yaml", "new.yaml"].map(|name| folder.join(name))).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// What `pg_dump --schema-only` writes of a database; `None` where there is none as new as the server.
fn dump(lab: &Lab, database: &Database<'_>) -> Result<Option<String>, String> {
    let Some(program) = servers::pg_dump(lab.engine.server.installation().major)? else { return Ok(None) };
    let address = database.address();
    let output = std::process::Command::new(&program)
        .args(["--schema-only", "--username", &address.user, "--port", &address.port.to_string(), "--host"])
        .arg(&address.socket_folder)
        .arg(&address.database)
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn there_and_back(lab: &Lab, name: &str, text: &str) -> Result<(), String> {
    let installed = read(name, text)?;
    let is_virtual = installed.tables.values().flat_map(|t| t.columns.values()).any(|c| c.generated.as_ref().is_some_and(|g| !g.stored));
    if is_virtual && lab.engine.server.installation().major < 18 {
        return Ok(());
    }
    let database = lab.empty()?;
    install(&database, &installed, "public")?;
    let found = look(&database, "public")?;
    if !found.left_out.is_empty() || found.between.is_some() {
        return Err(format!("left out: {found:?}"));
    }
    if snapshot::fmt::format(&found.text) != found.text {
        return Err(format!("not in canonical form:\n{}", found.text));
    }
    let again = read("live", &found.text)?;
    if again.version != installed.version {
        return Err(format!("the version is {}", again.version));
    }
    // A dump of it is read as the same, without the server.
    if let Some(dump) = dump(lab, &database)? {
        let dump = inspect_script(&dump, "public", &again.version);
        if !dump.left_out.is_empty() || dump.text.replace("[]", "") != found.text.replace("[]", "") {
            return Err(format!("the dump is read as\n{}{:?}\nand the database as\n{}", dump.text, dump.left_out, found.text));
        }
    }
    match difference(&installed, &again) + &difference(&again, &installed) {
        differs if differs.is_empty() => Ok(()),
        differs => Err(format!("{differs}\n{}", found.text)),
    }
}

/// Runs a check for each of many things on two threads, and gives all failures.
fn each<T: Sync>(things: &[T], check: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failures = Vec::new();
        while let Some(thing) = things.get(next.fetch_add(1, Ordering::Relaxed)) {
            failures.extend(check(thing).err());
        }
        failures
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut failures = work();
        failures.extend(other.join().unwrap());
        failures
    })
}

fn round_trips(major: u32) {
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let mut seen = BTreeSet::new();
    let turn = servers::MAJORS.iter().position(|one| *one == major).unwrap();
    let mut things: Vec<(String, String)> = snapshots(Some(Dialect::Postgres))
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        // Some name a dialect of their own; what only one of the servers has is that one's.
        .filter(|(name, text)| {
            let virtual_too = text.contains("virtual") && major >= 18;
            seen.insert(text.clone()) && (virtual_too || has_turn(text, (turn, servers::MAJORS.len()))) && read(name, text).is_ok()
        })
        .collect();
    assert!(things.len() > 50, "only {} snapshots were found", things.len());
    things.push(("EVERYTHING".to_owned(), EVERYTHING.to_owned()));
    let failures = each(&things, |(name, text)| there_and_back(&lab, name, text).map_err(|error| format!("{name}: {error}")));
    assert!(failures.is_empty(), "{} of {}\n{}", failures.len(), things.len(), failures.join("\n"));
}

#[test]
fn a_database_made_from_a_snapshot_is_read_as_that_snapshot_15() {
    round_trips(15);
}

#[test]
fn a_database_made_from_a_snapshot_is_read_as_that_snapshot_18() {
    round_trips(18);
}

/// What the cases lack.
const EVERYTHING: &str = r#"
version: everything
enums:
  "Mood of day": {values: [ok, "it's", '', "null", "a,b"], comment: "How\nit is"}
sequences:
  down: {increment: -2}
  ticket_no: {start: 1000, increment: 5, min_value: 10, max_value: 100000, cache: 3, cycle: true, comment: numbers}
tables:
  teams:
    columns: {id: bigint generated by default as identity, a: integer not null, b: text not null}
    primary_key: {name: teams_key, columns: [id]}
    unique:
      - {columns: [a, b], nulls_not_distinct: true, include: [id]}
      - {name: late, columns: [b], deferrable: true, initially_deferred: true}
  "Order":
    comment: "it's \"this\" \\ and\ttab"
    columns:
      "select": bigint generated always as identity
      "Ünï code": {type: '"Mood of day"', default: "'it''s'"}
      moods: '"Mood of day"[]'
      a: integer
      b: text
      t: {type: text, collation: C}
      n: numeric(12,2) not null default 0
      neg: integer not null default -1
      ts: timestamptz(3) default now()
      day: date default '2020-02-29'
      span: interval default '1 day 02:00:00'
      at: time(2)
      j: {type: jsonb, not_null: true, default: "'{\"a\": [1, \"x\"]}'"}
      arr: text[] default '{}'
      grid: integer[][]
      c: char(3) default 'ab'
      bp: bpchar
      bits: bit varying(7)
      during: tstzrange
      room: integer
      no: bigint default nextval('ticket_no')
      up: {type: text, generated: {expression: "upper(b)", stored: true}}
      flag: boolean not null default true
      ratio: double precision default 1.5
      path: text default 'C:\new'
    primary_key: ["select"]
    unique:
      - [a]
    foreign_keys:
      - {columns: [a, b], references: {table: teams, columns: [a, b]}, on_delete: set null (a), on_update: cascade, match: full}
      - {name: "Self", columns: [room], references: {table: "Order", columns: [a]}, deferrable: true, on_delete: restrict}
    checks:
      - {name: one, expression: "n >= 0 and (b is null or length(b) < 100)"}
      - {name: two, expression: "b in ('x', 'y') or b like 'a%' or b = any (arr)"}
      - {name: three, expression: "a between 1 and 10 or not flag"}
      - {name: four, expression: "case when a > 1 then b is not null else true end"}
      - {name: five, expression: "(a + 1) * 2 > 3 and coalesce(b, '') <> ''"}
    exclusions:
      - {name: no_overlap, method: gist, elements: "during with &&", where: "flag and (room > 0)"}
    indexes:
      - {name: i1, columns: [{column: b, order: desc}, {column: a, nulls: first}, {expression: "lower(t)", order: desc, nulls: last}]}
      - {name: i2, columns: [j], method: gin}
      - {name: i3, columns: [{column: j, opclass: jsonb_path_ops}], method: gin}
      - {name: i4, columns: [{column: b, collation: C, opclass: text_pattern_ops}], where: "b is not null and flag"}
      - {name: i5, columns: [a], unique: true, nulls_not_distinct: true, include: [b], with: {fillfactor: 70, deduplicate_items: off}, comment: "unique"}
      - {name: i6, columns: ["(a + room)", "lower(b)"]}
      - {name: i7, columns: [{expression: "lower(b)", collation: C}]}
      - {name: i8, columns: [ts], method: brin, with: {pages_per_range: 32}}
      - {columns: [room]}
      - {columns: [room, b]}
  order_room: {columns: {b_idx: integer unique, x: integer}, indexes: [{columns: [x]}]}
views:
  v1: {query: "select a, b as bee, count(*) as n from \"Order\" where flag group by a, b having count(*) > 1 order by 1", comment: "c"}
  v2: select t.id, o.b, o."select" as s from teams as t join "Order" o on o.a = t.a left join teams u using (id)
  v3: {query: "with x as (select a from teams) select a, case when a > 1 then 'many' else 'one' end as word from x union all select 1, 'z'", materialized: true}
  v4: {query: "select n.bee from v1 n where exists (select 1 from teams t where t.a = n.a) and n.bee in ('x', 'y') limit 3"}
"#;

/// One of each kind that a snapshot has no words for.
const OUTSIDE: &str = r#"
create schema audit;
create table audit.log (id int primary key);
create table plain (id bigint primary key, n int, "Weird name" text, period tstzrange);
create table serial_one (id serial primary key, big bigint generated always as identity (start with 100 increment by 5));
create unlogged table unlogged_one (id int primary key);
create table parted (id int, day date) partition by range (day);
create table parted_2020 partition of parted for values from ('2020-01-01') to ('2021-01-01');
create table parent (id int);
create table child () inherits (parent);
create table no_columns ();
create type pair as (a int, b int);
create table typed_one of pair;
create domain positive as int check (value > 0);
create table of_domain (n positive, p pair);
create type int_range as range (subtype = int4);
create function touch() returns trigger language plpgsql as 'begin return new; end';
create procedure proc(a int) language sql as 'select 1';
create aggregate total (int) (sfunc = int4pl, stype = int);
create operator === (leftarg = int, rightarg = int, function = int4eq);
create cast (pair as text) with inout;
create collation mine from "C";
create text search configuration words (copy = simple);
create trigger touched before update on plain for each row execute function touch();
create function watch() returns event_trigger language plpgsql as 'begin end';
create event trigger watch on ddl_command_start when tag in ('DROP OWNED') execute function watch();
create rule quiet as on delete to parent do instead nothing;
create policy own_rows on plain using (n > 0);
alter table plain enable row level security;
create statistics corr on id, n from plain;
create publication pub for table serial_one;
alter table plain set (fillfactor = 70);
alter table plain replica identity full;
alter table plain alter n set statistics 500;
create index plain_n on plain (n);
alter table plain cluster on plain_n;
create view secure with (security_barrier) as select id from plain;
alter view secure alter id set default 3;
comment on column secure.id is 'seen';
create view over_parted as select id from parted;
create view over_that as select id from over_parted;
create materialized view stored as select id from plain;
create index on stored (id);
alter table plain add constraint later check (n > 1) not valid;
alter table plain add constraint here_only check (n > 2) no inherit;
comment on constraint later on plain is 'why';
create table late_key (id int, constraint late_key_pkey primary key (id) deferrable);
create table refers (id int, a int references audit.log (id));
grant select on plain to public;
grant update (n) on plain to public;
alter default privileges in schema public grant select on tables to public;
"#;

#[test]
fn what_a_snapshot_cannot_say_is_named() {
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        let mut session = database.connect().unwrap();
        for statement in OUTSIDE.split(";\n").map(str::trim).filter(|s| !s.is_empty()) {
            session.run(statement).unwrap_or_else(|failure| panic!("{statement}: {failure}"));
        }
        let mut expected: Vec<(&str, &str)> = vec![
            ("other schemas", "audit"),
            ("tables that are partitioned", "parted"),
            ("partitions", "parted_2020"),
            ("tables that inherit or are inherited from", "child"),
            ("tables that inherit or are inherited from", "parent"),
            ("tables without columns", "no_columns"),
            ("typed tables", "typed_one"),
            ("composite types", "pair"),
            ("domains", "positive"),
            ("range types", "int_range"),
            ("functions", "touch()"),
            ("functions", "watch()"),
            ("functions", "int_range(integer,integer)"),
            ("procedures", "proc(integer)"),
            ("aggregates", "total(integer)"),
            ("operators", "===(integer,integer)"),
            ("casts", "pair as text"),
            ("collations", "mine"),
            ("text search configurations", "words"),
            ("triggers", "touched on plain"),
            ("event triggers", "watch"),
            ("rules", "quiet on parent"),
            ("policies", "own_rows on plain"),
            ("tables with row security", "plain"),
            ("extended statistics", "corr"),
            ("publications", "pub"),
            ("unlogged tables (read as ordinary ones)", "unlogged_one"),
            ("storage parameters", "plain (fillfactor=70)"),
            ("replica identities", "plain"),
            ("clustered tables", "plain by plain_n"),
            ("statistics targets, storage and options of columns", "plain.n"),
            ("options of views", "secure (security_barrier=true)"),
            ("defaults of views", "secure.id"),
            ("comments on columns of views", "secure.id"),
            ("comments on constraints", "later on plain"),
            ("views over what is left out", "over_parted"),
            ("views over what is left out", "over_that"),
            ("indexes of materialized views", "stored_id_idx on stored"),
            ("rules for rows that came before, not validated", "later on plain"),
            ("checks that heirs do not have (no inherit)", "here_only on plain"),
            ("primary keys that are deferrable or have covering columns", "late_key_pkey on late_key"),
            ("foreign keys to what is left out", "refers_a_fkey on refers"),
            ("options of identities", "serial_one.big"),
            ("sequences that go with their column (read as ones that stand alone)", "serial_one_id_seq of serial_one.id"),
            ("grants", "plain"),
            ("grants", "plain.n"),
        ];
        let found = look(&database, "public").unwrap();
        let named: BTreeSet<(&str, &str)> = found.left_out.iter().map(|left| (left.kind.as_str(), left.name.as_str())).collect();
        expected.retain(|entry| !named.contains(entry));
        assert!(expected.is_empty(), "PostgreSQL {major} does not name {expected:#?}\nbut {named:#?}");
        // What is read is sound, and holds all that can be said.
        let schema = read("live", &found.text).unwrap();
        let tables: Vec<&String> = schema.tables.keys().collect();
        assert_eq!(tables, ["late_key", "of_domain", "plain", "refers", "serial_one", "unlogged_one"]);
        let views: Vec<&String> = schema.views.keys().collect();
        assert_eq!(views, ["secure", "stored"]);
        // A dump, and a server that loaded it, tell the same; but for what a dump has no definition of, or names in full.
        if let Some(text) = dump(&lab, &database).unwrap() {
            let dump = inspect_script(&text, "public", "live");
            let again = lab.empty().unwrap();
            let (code, said) = again.psql(&text).unwrap();
            assert_eq!(code, 0, "{said}");
            let loaded = look(&again, "public").unwrap();
            assert_eq!(dump.text, loaded.text);
            let told = |found: &Inspected| -> BTreeSet<(String, String)> {
                let called = ["functions", "procedures", "aggregates", "operators", "casts", "default privileges", "other schemas"];
                let name = |name: &str, kind: &str| if called.contains(&kind) { String::new() } else { name.to_owned() };
                found.left_out.iter().map(|left| (left.kind.clone(), name(&left.name, &left.kind))).collect()
            };
            let (of_dump, of_server) = (told(&dump), told(&loaded));
            let missing: Vec<_> = of_server.difference(&of_dump).collect();
            let more: Vec<_> = of_dump.difference(&of_server).collect();
            assert!(missing.is_empty() && more.is_empty(), "PostgreSQL {major}: the dump lacks {missing:#?} and has besides {more:#?}");
        }
        let warnings = found.warnings();
        assert!(warnings.iter().all(|warning| warning.code == "outside-format"));
        let said: Vec<&str> = warnings.iter().map(|w| w.message.as_str()).filter(|m| m.contains("functions")).collect();
        assert_eq!(said.len(), 1, "one a kind: {said:?}");
    }
}

const OCATA: &str = "
version: ocata
tables:
  users:
    columns: {id: bigint not null, full_name: text, email: varchar(320) not null default 'none'}
    primary_key: [id]
    unique: [[email]]
";

const PIKE: &str = "
version: pike
tables:
  users:
    columns: {id: bigint not null, first_name: text, last_name: text, email: varchar(320) not null default 'none'}
    primary_key: [id]
    unique: [[email]]
transition:
  from: ocata
  tables:
    users:
      columns:
        first_name: {up: \"split_part(full_name, ' ', 1)\"}
        last_name: {up: \"substr(full_name, nullif(strpos(full_name, ' '), 0) + 1)\"}
        full_name: {down: \"nullif(concat_ws(' ', first_name, last_name), '')\"}
";

/// What crossfade itself puts into a database while two versions run is no part of its schema.
#[test]
fn between_two_versions() {
    let Some(lab) = servers::lab(18).unwrap() else { return };
    for access in [Access::Shared, Access::Versioned] {
        let database = lab.empty().unwrap();
        let (old, new) = (read("ocata", OCATA).unwrap(), read("pike", PIKE).unwrap());
        install(&database, &old, "public").unwrap();
        let (diff, _) = diff::diff(&old, &new, Dialect::Postgres, &diff::Options::default());
        let settings = plan::Settings { access, schema: "public".to_owned(), allow: Vec::new() };
        let scripts = emit::scripts(&plan::plan(&diff, &settings, &Postgres).0).unwrap();
        database.run(&scripts.expand, "expand").unwrap();
        let found = look(&database, "public").unwrap();
        assert_eq!(found.between, Some(("ocata".to_owned(), "pike".to_owned())));
        assert_eq!(found.left_out, [], "{access:?}");
        assert_eq!(found.warnings()[0].code, "between-versions");
        let schema = read("live", &found.text).unwrap();
        assert_eq!(schema.version, "ocata");
        let columns: Vec<&String> = schema.tables["users"].columns.keys().collect();
        assert_eq!(columns, ["id", "full_name", "email", "first_name", "last_name"]);
        database.run(&scripts.migrate, "migrate").unwrap();
        database.run(&scripts.contract, "contract").unwrap();
        let found = look(&database, "public").unwrap();
        assert_eq!((found.between.clone(), found.left_out.len()), (None, 0), "{found:?}");
        let settled = read("live", &found.text).unwrap();
        assert_eq!((settled.version.as_str(), difference(&settled, &new).as_str()), ("pike", ""));
    }
}

/// Another schema than public, with a name to quote.
#[test]
fn another_schema() {
    let Some(lab) = servers::lab(15).unwrap() else { return };
    let database = lab.empty().unwrap();
    let schema = read("ocata", OCATA).unwrap();
    let mut session = database.connect().unwrap();
    session.run("create schema \"My App\"").unwrap();
    session.run("create table public.other (id int)").unwrap();
    install(&database, &schema, "My App").unwrap();
    let found = look(&database, "My App").unwrap();
    let names: Vec<&str> = found.left_out.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(names, ["public"]);
    assert_eq!(difference(&schema, &read("live", &found.text).unwrap()), "");
    let missing = look(&database, "elsewhere").unwrap_err();
    assert!(missing.contains("no schema `elsewhere`"), "{missing}");
}

/// The program on a database: its exit code, and what it printed to stdout and to stderr.
fn crossfade(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("PGPASSWORD")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_database_is_a_source() {
    let Some(lab) = servers::lab(18).unwrap() else { return };
    let database = lab.empty().unwrap();
    let mut session = database.connect().unwrap();
    // Not made by crossfade: it does not know its version.
    session.run("create table users (id bigint primary key, full_name text, email varchar(320) not null default 'none' unique)").unwrap();
    session.run("create function touch() returns int language sql as 'select 1'").unwrap();
    let address = database.address();
    let folder = address.socket_folder.display().to_string().replace('/', "%2F");
    let url = format!("postgresql://{}:s3cret@{folder}:{}/{}", address.user, address.port, address.database);
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("ocata.yaml"), OCATA).unwrap();
    std::fs::write(here.path().join("pike.yaml"), PIKE).unwrap();

    let (code, out, err) = crossfade(here.path(), &["validate", &url]);
    assert_eq!((code, out.as_str()), (0, "ok\n"), "{err}");
    assert!(err.contains("warning[outside-format]") && err.contains("functions: touch()"), "{err}");
    assert_eq!(crossfade(here.path(), &["diff", "ocata.yaml", &url]).0, 0);
    // It is taken for the version that the transition starts from.
    let (code, out, err) = crossfade(here.path(), &["diff", &url, "pike.yaml"]);
    assert!(code == 3 && out.starts_with("ocata → pike"), "{out}{err}");
    let (code, out, err) = crossfade(here.path(), &["compile", &url, "pike.yaml", "--stdout", "expand"]);
    assert!(code == 0 && out.contains("first_name text"), "{out}{err}");
    let (code, _, err) = crossfade(here.path(), &["diff", &url, "pike.yaml", "--dialect", "mysql"]);
    assert!(code == 1 && err.contains("as the source of a schema for mysql"), "{err}");

    let (code, out, err) = crossfade(here.path(), &["init", &url, "--name", "ocata"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("wrote schemas/ocata.yaml"), "{out}");
    let written = std::fs::read_to_string(here.path().join("schemas/ocata.yaml")).unwrap();
    assert!(written.starts_with("# yaml-language-server: $schema=snapshot.schema.json\nversion: ocata\n"), "{written}");
    assert_eq!(difference(&read("written", &written).unwrap(), &read("ocata", OCATA).unwrap()), "");
    assert_eq!(crossfade(here.path(), &["fmt", "--check", "schemas/ocata.yaml"]).0, 0);
    let (code, _, err) = crossfade(here.path(), &["init", &url]);
    assert!(code == 1 && err.contains("`crossfade.yaml`") && !here.path().join("schemas/initial.yaml").exists(), "{err}");

    // A password is never shown, whatever goes wrong.
    let wrong = [
        url.replace(&format!("/{}", address.database), "/absent"),
        url.replace("postgresql://", "postgresql://x@"),
        url.replace(&address.port.to_string(), "1"),
        format!("{url}?sslmode=allow"),
        format!("{url}?sslmode=verify-ca"),
        format!("{url}?nonsense=1"),
        url.replace(&address.port.to_string(), "port"),
    ];
    for url in wrong {
        let (code, out, err) = crossfade(here.path(), &["validate", &url]);
        assert_eq!(code, 1, "{out}{err}");
        assert!(!err.contains("s3cret") && err.len() > 30, "{err}");
    }
}

/// CAs and certificates of servers, made by `openssl`.
struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// Two CAs; and by the first one a certificate for these names.
    fn new(names: &str) -> Certificates {
        let made = Certificates { folder: tempfile::tempdir().unwrap() };
        for ca in ["ca", "other"] {
            let subject = format!("/CN=crossfade test {ca}");
            let extension = "basicConstraints=critical,CA:TRUE";
            made.openssl(&format!("req -x509 {KEY} -keyout {ca}.key -out {ca}.pem -days 2 -addext {extension} -subj"), Some(&subject));
        }
        made.sign("server", "ca", names);
        made
    }

    /// A key and a certificate for these names.
    fn sign(&self, name: &str, ca: &str, names: &str) {
        std::fs::write(self.path("extensions"), format!("subjectAltName={names}\n")).unwrap();
        self.openssl(&format!("req {KEY} -keyout {name}.key -out {name}.csr -subj /CN=db"), None);
        self.openssl(
            &format!("x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days 2 -extfile extensions -out {name}.pem"),
            None,
        );
    }

    fn openssl(&self, arguments: &str, last: Option<&str>) {
        let mut command = std::process::Command::new("openssl");
        let ran = command.args(arguments.split(' ')).args(last).current_dir(self.folder.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

#[test]
fn a_connection_to_postgres_is_encrypted_as_the_url_says() {
    use crossfade::engine::ephemeral::postgres::Server;
    use crossfade::engine::postgres::{Location, Session};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let Some(installation) = servers::installation(18).unwrap() else { return };
    let place = servers::own_address();
    let server = Server::start_with(&installation, &[&format!("listen_addresses={place}")]).unwrap();
    let address = server.address("postgres");
    let tried = |host: &str, options: &str| {
        let url = format!("postgres://postgres@{host}:{}/postgres?hostaddr={place}{options}", address.port);
        let mut session = Session::connect_to(&Location::parse(&url)?)?;
        session.value("select ssl::text from pg_stat_ssl where pid = pg_backend_pid()")
    };
    let is = |answer: &str| Ok(Some(answer.to_owned()));

    // A server that knows no encryption.
    assert_eq!(tried("localhost", ""), is("false"));
    let failure = tried("localhost", "&sslmode=require").unwrap_err();
    assert!(failure.message.contains("does not support TLS") && failure.hint.is_some_and(|hint| hint.contains("ssl = off")));

    let certificates = Certificates::new("DNS:localhost");
    let owner = std::fs::metadata(&address.socket_folder).unwrap().uid();
    let mut owners = Session::connect(&address).unwrap();
    for (setting, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "ca.pem")] {
        let copy = address.socket_folder.join(file);
        std::fs::copy(certificates.path(file), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&copy, Some(owner), None).unwrap();
        owners.run(&format!("alter system set {setting} = '{}'", copy.display())).unwrap();
    }
    owners.run("alter system set ssl = on").unwrap();
    owners.run("select pg_reload_conf()").unwrap();
    let reloaded = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        tried("localhost", "").as_ref() == Ok(&Some("true".to_owned()))
    });
    assert!(reloaded, "{:?}\n{}", tried("localhost", ""), server.log());

    let ca = |name: &str| format!("&sslrootcert={}", certificates.path(name).replace('/', "%2F"));
    let (right, wrong) = (ca("ca.pem"), ca("other.pem"));
    for options in ["&sslmode=prefer", "&sslmode=require"] {
        assert_eq!(tried("localhost", options), is("true"), "{options}");
    }
    assert_eq!(tried("localhost", "&sslmode=disable"), is("false"));
    for mode in ["require", "verify-ca", "verify-full"] {
        assert_eq!(tried("localhost", &format!("&sslmode={mode}{right}")), is("true"), "{mode}");
        // With a CA's certificate even `require` looks at it, as it does in libpq.
        let failure = tried("localhost", &format!("&sslmode={mode}{wrong}")).unwrap_err();
        assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("sslrootcert=FILE")), "{mode}: {failure}");
    }
    // The server's certificate is for `localhost`.
    assert_eq!(tried(&place, &format!("&sslmode=verify-ca{right}")), is("true"));
    let failure = tried(&place, &format!("&sslmode=verify-full{right}")).unwrap_err();
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("subjectAltName")), "{failure}");
    let failure = tried("localhost", "&sslmode=verify-full&sslrootcert=system").unwrap_err();
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("sslrootcert=FILE")), "{failure}");

    // A client that shows who it is.
    certificates.sign("client", "ca", "DNS:client");
    let shown =
        format!("&sslmode=verify-full{right}&sslcert={}&sslkey={}", certificates.path("client.pem"), certificates.path("client.key"));
    let url = format!("postgres://postgres@localhost:{}/postgres?hostaddr={place}{shown}", address.port);
    let mut session = Session::connect_to(&Location::parse(&url).unwrap()).unwrap();
    assert_eq!(session.value("select client_dn from pg_stat_ssl where pid = pg_backend_pid()"), is("/CN=db"));

    // As the program shows it.
    let here = tempfile::tempdir().unwrap();
    let url = format!("postgres://postgres:s3cret@localhost:{}/postgres?hostaddr={place}&sslmode=verify-full{wrong}", address.port);
    let (code, _, err) = crossfade(here.path(), &["validate", &url]);
    assert!(code == 1 && err.contains("UnknownIssuer") && err.contains("hint: no CA that is trusted here"), "{err}");
    assert!(!err.contains("s3cret") && !err.contains("other.pem"), "{err}");
}

#[cfg(feature = "mysql")]
#[test]
fn a_connection_to_mysql_and_mariadb_is_encrypted_as_the_url_says() {
    use crossfade::engine::Connection as _;
    use crossfade::engine::ephemeral::mysql::Server;
    use crossfade::engine::mysql::{Location, Session};
    let place = servers::own_address();
    for family in [servers::FAMILY[0], servers::FAMILY[1]] {
        let Some(installation) = family.installation().unwrap() else { return };
        let certificates = Certificates::new(&format!("IP:{place}"));
        // Without its certificate MySQL knows no encryption, and MariaDB does not start.
        let mysql = family.dialect == Dialect::Mysql;
        if mysql {
            std::fs::rename(certificates.path("server.pem"), certificates.path("away")).unwrap();
        }
        let settings = [
            "--skip-networking=OFF".to_owned(),
            format!("--bind-address={place}"),
            "--port=3306".to_owned(),
            format!("--ssl-ca={}", certificates.path("ca.pem")),
            format!("--ssl-cert={}", certificates.path("server.pem")),
            format!("--ssl-key={}", certificates.path("server.key")),
        ];
        let server = Server::start_with(&installation, &settings.each_ref().map(String::as_str)).unwrap();
        let mut owner = Session::connect(&server.address(None)).unwrap();
        owner.run("create user app@'%' identified by 's3cret'").unwrap();
        let tried = |options: &str| {
            let url = format!("{}://app:s3cret@{place}/{options}", family.dialect.name());
            let row = Session::connect_to(&Location::parse(&url)?, "test")?.run("show status like 'Ssl_cipher'")?.rows.remove(0);
            Ok::<bool, crossfade::engine::Failure>(row[1].as_deref().is_some_and(|cipher| !cipher.is_empty()))
        };
        let (right, wrong) = (format!("&ssl-ca={}", certificates.path("ca.pem")), format!("&ssl-ca={}", certificates.path("other.pem")));
        if mysql {
            assert_eq!(tried(""), Ok(false));
            let failure = tried("?ssl-mode=REQUIRED").unwrap_err();
            assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("no encrypted connections")), "{failure}");
            std::fs::rename(certificates.path("away"), certificates.path("server.pem")).unwrap();
            owner.run("alter instance reload tls").unwrap();
        }
        for options in ["", "?ssl-mode=REQUIRED", "?ssl=1"] {
            assert_eq!(tried(options), Ok(true), "{} {options}", family.name);
        }
        assert_eq!(tried("?ssl-mode=DISABLED"), Ok(false));
        for options in ["?ssl-mode=VERIFY_IDENTITY", "?ssl-verify-server-cert=1", "?"] {
            assert_eq!(tried(&format!("{options}{right}")), Ok(true), "{} {options}", family.name);
            let failure = tried(&format!("{options}{wrong}")).unwrap_err();
            assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("ssl-ca=FILE")), "{} {options}: {failure}", family.name);
        }
        owner.run("alter user app@'%' require x509").unwrap();
        assert_eq!(tried("").unwrap_err().code.as_deref(), Some("1045"));
        certificates.sign("client", "ca", "DNS:client");
        let shown = format!("?ssl-cert={}&ssl-key={}{right}", certificates.path("client.pem"), certificates.path("client.key"));
        assert_eq!(tried(&shown), Ok(true), "{}", family.name);
        owner.run("alter user app@'%' require none").unwrap();

        // The server goes over to a certificate that is made out for another host.
        certificates.sign("server", "ca", "DNS:elsewhere.example");
        owner.run(if mysql { "alter instance reload tls" } else { "flush ssl" }).unwrap();
        let failure = tried(&format!("?ssl-mode=VERIFY_IDENTITY{right}")).unwrap_err();
        assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("subjectAltName")), "{}: {failure}", family.name);
        assert_eq!(tried("?ssl-mode=REQUIRED"), Ok(true));
    }
}

#[test]
fn a_project_begins_with_nothing() {
    let here = tempfile::tempdir().unwrap();
    let (code, out, err) = crossfade(here.path(), &["init", "--name", "v1"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let written: Vec<&str> = out.lines().collect();
    let files = ["crossfade.yaml", "schemas/v1.yaml", "schemas/snapshot.schema.json", "schemas/settings.schema.json", "crossfade-ci.sh"];
    assert_eq!(written, files.map(|file| format!("wrote {file}")));
    // What CI runs passes as soon as the scripts are compiled.
    assert_eq!(crossfade(here.path(), &["compile"]).0, 0);
    let programs = Path::new(env!("CARGO_BIN_EXE_crossfade")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let ci = std::process::Command::new("./crossfade-ci.sh").current_dir(here.path()).env("PATH", path).output().unwrap();
    assert!(ci.status.success(), "{}", String::from_utf8_lossy(&ci.stderr));
    // A snapshot of several files stays one, and one that is there already is not touched.
    std::fs::write(here.path().join("crossfade.yaml"), "mine").unwrap();
    assert_eq!(crossfade(here.path(), &["init", "--name", "v2"]).0, 1);
    assert_eq!(std::fs::read_to_string(here.path().join("crossfade.yaml")).unwrap(), "mine");
    assert!(!here.path().join("schemas/v2.yaml").exists());
    let there = tempfile::tempdir().unwrap();
    std::fs::create_dir(there.path().join("parts")).unwrap();
    std::fs::write(there.path().join("parts/a.yaml"), "version: v3\ntables:\n  a:\n    columns: {id: bigint}\n").unwrap();
    std::fs::write(there.path().join("parts/b.yaml"), "tables:\n  b:\n    columns: {id: bigint}\n").unwrap();
    let (code, out, err) = crossfade(there.path(), &["init", "parts"]);
    assert!(code == 0 && out.contains("wrote schemas/v3/a.yaml\nwrote schemas/v3/b.yaml"), "{out}{err}");
    assert_eq!(crossfade(there.path(), &["validate", "schemas/v3"]).0, 0);
}

/// `cargo test --test inspect figures -- --ignored --nocapture` prints how long a large schema takes.
#[test]
#[ignore = "a measurement, not a test"]
fn figures() {
    let lab = servers::lab(18).unwrap().unwrap();
    let database = lab.empty().unwrap();
    let mut session = database.connect().unwrap();
    session
        .run(
            "do $$ begin for i in 1..1000 loop
               execute format('create table t%s (id bigint generated always as identity primary key, parent bigint references t%s (id),
                 email varchar(320) not null unique, name text default ''x'', state int not null default 0 check (state >= 0),
                 made timestamptz not null default now(), data jsonb)', i, greatest(i - 1, 1));
               execute format('create index on t%s (lower(name)) where state > 0', i);
               execute format('create index on t%s (made desc)', i);
             end loop; end $$",
        )
        .unwrap();
    session.run("analyze").unwrap();
    for _ in 0..5 {
        let begin = std::time::Instant::now();
        let found = look(&database, "public").unwrap();
        eprintln!("1000 tables: {:?}, {} KB of text", begin.elapsed(), found.text.len() / 1024);
    }
}

/// `cargo test --test inspect family_figures -- --ignored --nocapture`: the same on MySQL and MariaDB, live and out of a dump.
#[cfg(feature = "mysql")]
#[test]
#[ignore = "a measurement, not a test"]
fn family_figures() {
    use crossfade::engine::Connection as _;
    use crossfade::inspect::mysql_like;
    for family in servers::FAMILY {
        let lab = family.lab().unwrap().unwrap();
        let database = lab.empty().unwrap();
        let mut session = database.connect().unwrap();
        for i in 1..=1000 {
            let parent = (i - 1).max(1);
            session
                .run(&format!(
                    "create table t{i} (id bigint auto_increment primary key, parent bigint, email varchar(320) not null unique,
                     name varchar(100) default 'x', state int not null default 0 check (state >= 0), made timestamp(6) not null default now(6),
                     data json, key (name), key (made desc), foreign key (parent) references t{parent} (id))"
                ))
                .unwrap();
        }
        let dump = lab.engine.dump(&database.name).unwrap().unwrap();
        for _ in 0..3 {
            let begin = std::time::Instant::now();
            let found = mysql_like::inspect(&mut session, family.dialect, "live").unwrap();
            let live = begin.elapsed();
            let begin = std::time::Instant::now();
            let of_dump = mysql_like::inspect_script(&dump, family.dialect, "live");
            assert_eq!(of_dump.text, found.text);
            let read = begin.elapsed();
            eprintln!("{}: 1000 tables: {live:?} live, {read:?} out of a dump, {} KB of text", family.name, found.text.len() / 1024);
        }
    }
}
