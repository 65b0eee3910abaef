//! The proof must be able to fail: scripts written by hand pass every law, and each mutant of them breaks the one it should.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use crossfade::sql::Dialect;
use support::case::{Access, Case, Cell, read, read_for, with_key};
use support::check::check;
use support::engine::Engine;
use support::lab::Lab;
use support::scripts::Scripts;
use support::servers;
use support::shape::{Column, Shape};
use support::splitter::{Bracket, split, split_as};

const INSTALL: &str = "
begin;
create schema if not exists crossfade;
create table if not exists crossfade.revision (release text primary key, expand text, migrate text, contract text);
create or replace view crossfade.version as
  select 'v1'::text as old_version, 'v2'::text as new_version,
         case when contract is not null then 'contract' when migrate is not null then 'migrate' when expand is not null then 'expand' end as phase,
         coalesce(contract, migrate, expand) as revision
  from crossfade.revision where release = 'v2';
commit;
";

const OLD: &str = "create table people (id int primary key, name text);";
const NEW: &str = "create table people (id int primary key, title text);";

const EXPAND: &str = "
set lock_timeout = '300ms';
begin;
alter table public.people add column if not exists title text;
create or replace function crossfade.sync_people() returns trigger language plpgsql as $body$
begin
  if tg_op = 'INSERT' then
    if new.title is not null then new.name := new.title; else new.title := new.name; end if;
  elsif new.title is distinct from old.title then
    new.name := new.title;  -- $1; a semicolon; and 'a quote
  elsif new.name is distinct from old.name then
    new.title := new.name;
  end if;
  return new;
end
$body$;
create or replace trigger zz_crossfade_insert before insert on public.people for each row execute function crossfade.sync_people();
create or replace trigger zz_crossfade_update before update on public.people for each row execute function crossfade.sync_people();
commit;
insert into crossfade.revision (release, expand) values ('v2', 'v2_expand01') on conflict do nothing;
";

const MIGRATE: &str = "
do $$ begin
  if not exists (select from crossfade.revision where release = 'v2' and expand is not null) then
    raise exception 'v2 is not expanded here: run expand.sql first';
  end if;
end $$;
update public.people set title = name where title is null and name is not null;
update crossfade.revision set migrate = 'v2_migrate01' where release = 'v2';
";

const CONTRACT: &str = "
do $$ begin
  if not exists (select from crossfade.revision where release = 'v2' and expand is not null) then
    raise exception 'v2 is not expanded here: run expand.sql first';
  end if;
  if not exists (select from crossfade.revision where release = 'v2' and migrate is not null) then
    raise exception 'v2 is not migrated here: run migrate.sql first';
  end if;
end $$;
begin;
drop trigger if exists zz_crossfade_insert on public.people;
drop trigger if exists zz_crossfade_update on public.people;
drop function if exists crossfade.sync_people();
commit;
alter table public.people drop column if exists name;
update crossfade.revision set contract = 'v2_contract01' where release = 'v2';
";

const ABORT: &str = "
do $$ begin
  if exists (select from crossfade.revision where release = 'v2' and contract is not null) then
    raise exception 'v2 is contracted: from here it only goes forward';
  end if;
end $$;
begin;
drop trigger if exists zz_crossfade_insert on public.people;
drop trigger if exists zz_crossfade_update on public.people;
drop function if exists crossfade.sync_people();
commit;
alter table public.people drop column if exists title;
delete from crossfade.revision where release = 'v2';
";

/// A gate at the head of expand and migrate: nothing to do when contract is done.
const DONE_GATE: &str = "
do $$ begin
  if exists (select from crossfade.revision where release = 'v2' and contract is not null) then
    raise exception 'v2 is contracted: there is nothing to do';
  end if;
end $$;
";

fn by_hand() -> Scripts {
    Scripts {
        new_version: "v2".to_owned(),
        expand: format!("{DONE_GATE}{EXPAND}"),
        migrate: format!("{DONE_GATE}{MIGRATE}"),
        contract: CONTRACT.to_owned(),
        abort: ABORT.to_owned(),
        verify: None,
        manifest: String::new(),
        control: None,
        install_old: vec![INSTALL.to_owned(), OLD.to_owned()],
        install_new: vec![INSTALL.to_owned(), NEW.to_owned()],
        install_new_plain: vec![INSTALL.to_owned(), NEW.to_owned()],
    }
}

/// A mutant: the script, the text in it, what stands there instead, and words of the report.
type Mutant = (&'static str, &'static str, &'static str, &'static str, &'static str);

const MUTANTS: [Mutant; 14] = [
    (
        "a trigger is missing",
        "expand",
        "create or replace trigger zz_crossfade_update before update on public.people for each row execute function crossfade.sync_people();",
        "",
        "probe `old update`",
    ),
    ("the new version's inserts are not carried back", "expand", "new.name := new.title; else", "null; else", "probe `new insert`"),
    ("the old version's updates are lost", "expand", "new.title := new.name;\n  end if", "null;\n  end if", "probe `old update`"),
    (
        "the old column changes under the old version",
        "migrate",
        "set title = name",
        "set title = upper(name)",
        "what the old version sees after migrate",
    ),
    (
        "the backfill is forgotten",
        "migrate",
        "update public.people set title = name where title is null and name is not null;",
        "",
        "seen at the end of migrate",
    ),
    ("a phase can't run twice", "expand", "add column if not exists", "add column", "run a second time"),
    ("a phase can't be resumed", "contract", "drop column if exists", "drop column", "killed after statement"),
    (
        "a gate is missing",
        "contract",
        "where release = 'v2' and migrate is not null",
        "where release = 'v2'",
        "contract before migrate did not refuse",
    ),
    (
        "a gate comes too late",
        "migrate",
        "do $$ begin\n  if not",
        "alter table public.people set (fillfactor = 90); do $$ begin\n  if not",
        "migrate before expand changed something",
    ),
    ("a gate does not say what to run", "contract", "run migrate.sql first", "sorry", "refused without naming `migrate`"),
    ("a function is left over", "contract", "drop function if exists crossfade.sync_people();", "", "left over of crossfade"),
    (
        "an index is left over",
        "contract",
        "commit;\n",
        "commit;\ncreate index if not exists people_title on public.people (title);\n",
        "the catalog after contract",
    ),
    ("abort leaves a column", "abort", "alter table public.people drop column if exists title;", "", "the catalog after expand and abort"),
    (
        "an idle update of the new version changes what the old one sees",
        "expand",
        "new.name := new.title;  --",
        "new.name := new.title; else new.name := new.name || ' '; end if; if false then --",
        "an idle update changes nothing",
    ),
];

/// The scripts of a folder below `tests/harness`, for versioned access.
fn from_folder(folder: &str) -> Scripts {
    let read = |name: &str| std::fs::read_to_string(root().join(folder).join(name)).unwrap();
    Scripts {
        new_version: "v2".to_owned(),
        expand: read("expand.sql"),
        migrate: read("migrate.sql"),
        contract: read("contract.sql"),
        abort: read("abort.sql"),
        verify: None,
        manifest: String::new(),
        control: None,
        install_old: vec![read("install.sql"), read("old.sql")],
        install_new: vec![read("install.sql"), read("new.sql"), read("namespace.sql")],
        install_new_plain: vec![read("install.sql"), read("new.sql")],
    }
}

const MYSQL_MUTANTS: [Mutant; 8] = [
    ("the new version's inserts are not carried back", "expand", "set new.name = new.title; else", "do 0; else", "probe `new insert`"),
    ("the new version's updates are lost", "expand", "if not (binary new.title <=> binary old.title)", "if false", "probe `new update`"),
    (
        "the old version's updates are lost",
        "expand",
        "then set new.title = new.name;\n  end if",
        "then do 0;\n  end if",
        "probe `old update`",
    ),
    (
        "the backfill overwrites",
        "migrate",
        "set title = name where title is null and name is not null",
        "set title = upper(name)",
        "what the old version sees after migrate",
    ),
    ("the backfill is forgotten", "migrate", "where title is null", "where false and title is null", "seen at the end of migrate"),
    (
        "a phase can't be resumed",
        "contract",
        "drop trigger if exists zz_crossfade_insert",
        "drop trigger zz_crossfade_insert",
        "killed after",
    ),
    ("a gate is missing", "contract", "`migrate` is not null), 'call", "`migrate` is null), 'call", "contract"),
    ("abort leaves the namespace", "abort", "drop database if exists appdb00000_v2;", "", "the catalog after expand and abort"),
];

const SQLITE_MUTANTS: [Mutant; 6] = [
    (
        "the trigger for the new version's updates is missing",
        "expand",
        "when new.title is not old.title and new.name is not new.title",
        "when false",
        "probe `new update`",
    ),
    (
        "the old version's updates are lost",
        "expand",
        "update people set title = new.name",
        "update people set title = title",
        "probe `old update`",
    ),
    (
        "the backfill overwrites",
        "migrate",
        "set title = name where title is null and name is not null",
        "set title = upper(name)",
        "what the old version sees after migrate",
    ),
    ("the backfill is forgotten", "migrate", "where title is null", "where false and title is null", "seen at the end of migrate"),
    ("a trigger is left over", "contract", "drop trigger zz_crossfade_old;\nalter", "alter", "contract"),
    ("abort leaves a view", "abort", "drop view people__v2;", "", "abort"),
];

fn mutate(scripts: &mut Scripts, (name, script, from, to, _): &Mutant) {
    let text = match *script {
        "expand" => &mut scripts.expand,
        "migrate" => &mut scripts.migrate,
        "contract" => &mut scripts.contract,
        "abort" => &mut scripts.abort,
        other => panic!("no script {other}"),
    };
    assert!(text.contains(from), "mutant `{name}` does not apply");
    *text = text.replacen(from, to, 1);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness")
}

/// The scripts pass every law, and no mutant does.
fn prove<E: Engine>(lab: Option<Lab<E>>, access: Access, scripts: &Scripts, mutants: &[Mutant]) {
    let Some(mut lab) = lab else { return };
    // A share of the points could leave out the one statement that a mutant changes, and a share of the laws the one that it breaks.
    lab.every_kill = true;
    let case = Case::read(&root()).unwrap().in_dialect(lab.engine.dialect()).unwrap();
    if let Err(report) = check(&lab, &case, access, scripts) {
        panic!("the scripts written by hand should pass:\n{report}");
    }
    let mut survivors = Vec::new();
    for mutant in mutants {
        let (name, _, _, _, words) = mutant;
        let mut scripts = scripts.clone();
        mutate(&mut scripts, mutant);
        match check(&lab, &case, access, &scripts) {
            Ok(()) => survivors.push(format!("`{name}` was not caught")),
            Err(report) if !report.contains(words) => survivors.push(format!("`{name}` was not reported as {words:?} but as\n{report}")),
            Err(_) => {}
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}

#[test]
fn mutants_are_caught_on_postgres() {
    prove(servers::lab(15).unwrap(), Access::Shared, &by_hand(), &MUTANTS);
}

#[test]
fn mutants_are_caught_on_mysql_and_mariadb() {
    for family in servers::FAMILY {
        prove(family.lab().unwrap(), Access::Versioned, &from_folder("mysql"), &MYSQL_MUTANTS);
    }
}

#[test]
fn mutants_are_caught_on_sqlite() {
    prove(servers::sqlite().unwrap(), Access::Versioned, &from_folder("sqlite"), &SQLITE_MUTANTS);
}

#[test]
fn splits_as_psql_does() {
    let script = "-- a; comment\nbegin;\nselect ';', e'\\';', \"a;b\" /* ; /* nested ; */ ; */, $$;$$, $x$ $$;$$ ; $x$, a$b from t;\ncommit ;\n-- the end;\n";
    let statements = split(script);
    let brackets: Vec<Bracket> = statements.iter().map(|statement| statement.bracket).collect();
    assert_eq!(brackets, [Bracket::Opens, Bracket::Neither, Bracket::Closes]);
    assert_eq!(statements.iter().map(|statement| statement.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(statements[1].text.ends_with("a$b from t"), "{}", statements[1].text);
    assert_eq!(split("select 'it''s; fine'; select 2").len(), 2);
    assert_eq!(split("create function f() returns int language sql return 1;").len(), 1);
    assert_eq!(split("  \n-- nothing\n").len(), 0);
}

#[test]
fn splits_as_mysql_does() {
    let script = "-- a; comment\nselect ';', 'it\\'s;', `a;b`; # x;\nDELIMITER //\ncreate trigger t before insert on a for each row begin set @a = 1; end//\ndelimiter ;\nselect 5--1;\nbegin not atomic select 1; end;";
    let statements = split_as(Dialect::Mysql, script);
    let texts: Vec<&str> = statements.iter().map(|statement| statement.text.lines().last().unwrap()).collect();
    assert_eq!(
        texts,
        [
            "select ';', 'it\\'s;', `a;b`",
            "create trigger t before insert on a for each row begin set @a = 1; end",
            "select 5--1",
            "begin not atomic select 1",
            "end"
        ]
    );
    assert_eq!(statements.iter().map(|statement| statement.line).collect::<Vec<_>>(), [2, 4, 6, 7, 7]);
    assert_eq!(statements[3].bracket, Bracket::Neither);
}

#[test]
fn splits_as_sqlite_does() {
    let script = ".bail on\nbegin immediate;\ncreate temp trigger t after insert on a begin\n  select case when 1 then ';' end;\n  -- end;\n  select \"end;\";\nend;\ncommit;\n";
    let statements = split_as(Dialect::Sqlite, script);
    assert_eq!(statements.iter().map(|statement| statement.line).collect::<Vec<_>>(), [2, 3, 8]);
    let brackets: Vec<Bracket> = statements.iter().map(|statement| statement.bracket).collect();
    assert_eq!(brackets, [Bracket::Opens, Bracket::Neither, Bracket::Closes]);
}

#[test]
fn a_map_of_dialects_is_the_value_of_one() {
    let text = "about: x\ndialects: [postgres, mariadb]\nprobes:\n  - {name: p, as: old, sql: {mysql: m, default: d}, fails: {mysql: '1048', default: null}}";
    let probe = |dialect| read_for(text, dialect).unwrap().probes.remove(0);
    assert_eq!((probe(Dialect::Postgres).sql.as_deref(), probe(Dialect::Postgres).fails), (Some("d"), None));
    assert_eq!((probe(Dialect::Mariadb).sql.as_deref(), probe(Dialect::Mariadb).fails.as_deref()), (Some("m"), Some("1048")));
    assert!(read_for("about: {mysql: x}", Dialect::Sqlite).unwrap_err().contains("neither `sqlite` nor `default`"));
    assert!(read("about: x\nprobs: []").unwrap_err().contains("unknown field"));
    assert!(read("about: x\ndialects: [oracle]").unwrap_err().contains("unknown dialect oracle"));
    assert!(read("about: x\nabout: y").is_err());
}

#[test]
fn names_are_those_of_the_clients() {
    let mut shape = Shape::default();
    shape.push("users", true, Column { name: "id".to_owned(), read_only: false });
    let shape = shape.reached(|name| format!("{name}__v2"));
    let sql =
        "insert into users (users) select '{users} from users', {users}.id from users u join users on true where '{a}' = 'update users'";
    assert_eq!(
        shape.named(sql),
        "insert into users__v2 (users) select '{users} from users', users__v2.id from users__v2 u join users__v2 on true where '{a}' = 'update users'"
    );
}

#[test]
fn reads_expected_values() {
    let file = read("about: x\nprobes: [{name: p, as: old, sql: s, returns: [[1, true, a$k, null, 'null', '1.50', y]]}]").unwrap();
    let cells: Vec<Option<String>> =
        file.probes[0].returns.as_ref().unwrap()[0].iter().map(|cell: &Cell| cell.text(7, Dialect::Postgres)).collect();
    let expected: Vec<Option<String>> =
        [Some("1"), Some("t"), Some("a7"), None, Some("null"), Some("1.50"), Some("y")].map(|text| text.map(str::to_owned)).into();
    assert_eq!(cells, expected);
    assert_eq!(with_key("$k and $k+2 and $k + 1 in 'a$k'", 40), "40 and 42 and 40 + 1 in 'a40'");
}
