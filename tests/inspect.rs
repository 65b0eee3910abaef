//! Reading a live database: what was installed from a snapshot is read as that snapshot, and what a snapshot can't say is named.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade::diagnostic::{Colour, Sources, has_errors, render_human};
use crossfade::dialect::postgres::Postgres;
use crossfade::inspect::Inspected;
use crossfade::inspect::postgres::inspect;
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use crossfade::{diff, emit, plan, snapshot};
use support::case::Case;
use support::lab::{Database, Lab};
use support::servers;

/// A schema from the text of a snapshot, which must be sound.
fn read(name: &str, text: &str) -> Result<Schema, String> {
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    let (snapshot, mut faults) = snapshot::read(&sources, &[file]);
    let (schema, more) = snapshot.resolve(Dialect::Postgres);
    faults.extend(more);
    if has_errors(&faults) {
        return Err(format!("{}\n{text}", render_human(&sources, &faults, Colour::Never)));
    }
    Ok(schema)
}

/// What differs between two schemas, in words; empty when nothing does.
fn difference(old: &Schema, new: &Schema) -> String {
    let (found, _) = diff::diff(old, new, Dialect::Postgres, &diff::Options { assume_drop: diff::AssumeDrop::Unrelated });
    if found.is_empty() { String::new() } else { diff::print::text(&found) }
}

/// Makes a schema in an empty database, with the scripts of a first installation.
fn install(database: &Database<'_>, schema: &Schema, namespace: &str) -> Result<(), String> {
    let (empty, mut new) = (Schema::empty(), schema.clone());
    new.transition = None;
    let (diff, _) = diff::diff(&empty, &new, Dialect::Postgres, &diff::Options::default());
    let settings = plan::Settings { access: Access::Shared, schema: namespace.to_owned(), allow: Vec::new() };
    let (plan, faults) = plan::plan(&diff, &settings, &Postgres);
    if has_errors(&faults) {
        return Err(render_human(&Sources::default(), &faults, Colour::Never));
    }
    let scripts = emit::scripts(&plan).map_err(|error| error.to_string())?;
    for (name, script) in [("expand", &scripts.expand), ("migrate", &scripts.migrate), ("contract", &scripts.contract)] {
        database.run(script, name)?;
    }
    Ok(())
}

fn look(database: &Database<'_>, namespace: &str) -> Result<Inspected, String> {
    inspect(&mut *database.client()?, namespace, "live").map_err(|failure| failure.to_string())
}

/// Every snapshot of the examples and of the cases that are PostgreSQL's.
fn snapshots() -> Vec<PathBuf> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let cases = Case::every().into_iter().map(Result::unwrap).filter(|case| case.file.dialects.contains(&Dialect::Postgres));
    let folders = std::fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).chain(cases.map(|case| case.folder));
    let mut files: Vec<PathBuf> =
        folders.flat_map(|folder| ["old.yaml", "new.yaml"].map(|name| folder.join(name))).filter(|path| path.is_file()).collect();
    files.sort();
    files
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
    let mut things: Vec<(String, String)> = snapshots()
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        // Some name a dialect of their own.
        .filter(|(name, text)| seen.insert(text.clone()) && read(name, text).is_ok())
        .collect();
    assert!(things.len() > 100, "only {} snapshots were found", things.len());
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
        format!("{url}?sslmode=require"),
        format!("{url}?sslmode=verify-full"),
        format!("{url}?nonsense=1"),
        url.replace(&address.port.to_string(), "port"),
    ];
    for url in wrong {
        let (code, out, err) = crossfade(here.path(), &["validate", &url]);
        assert_eq!(code, 1, "{out}{err}");
        assert!(!err.contains("s3cret") && err.len() > 30, "{err}");
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
