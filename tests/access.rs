//! Who may do what through the namespace of the new version: what they could do on the tables, and nothing else.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use crossfade::engine::postgres::Session;
use support::case::{Access, Case};
use support::lab::Database;
use support::scripts::{Phase, Scripts, compile};
use support::servers;

/// With a lens: a column is split, another one is renamed and has a new default.
const SPLIT: (&str, &str) = (
    "
version: v1
tables:
  users:
    columns: {id: bigint not null, full_name: text, kind: text not null default 'human', tenant: text, secret: text}
    primary_key: [id]
  notes:
    columns: {id: bigint not null, body: text}
    primary_key: [id]
views:
  humans: {query: \"select id, full_name, tenant from users where kind = 'human'\"}
",
    "
version: v2
tables:
  users:
    columns: {id: bigint not null, first_name: text, last_name: text, sort: text not null default 'person', tenant: text, secret: text}
    primary_key: [id]
  notes:
    columns: {id: bigint not null, body: text}
    primary_key: [id]
views:
  humans: {query: \"select id, first_name, tenant from users where sort = 'human'\"}
transition:
  from: v1
  tables:
    users:
      columns:
        first_name: {up: \"split_part(full_name, ' ', 1)\"}
        last_name: {up: \"substr(full_name, nullif(strpos(full_name, ' '), 0) + 1)\"}
        full_name: {down: \"nullif(concat_ws(' ', first_name, last_name), '')\"}
        sort: {renamed_from: kind}
",
);

/// Without a lens: names only.
const RENAME: (&str, &str) = (
    "
version: v1
tables:
  users:
    columns: {id: bigint not null, first_name: text, last_name: text, kind: text not null default 'human', tenant: text, secret: text}
    primary_key: [id]
  notes:
    columns: {id: bigint not null, body: text}
    primary_key: [id]
",
    "
version: v2
tables:
  users:
    columns: {id: bigint not null, first_name: text, last_name: text, sort: text not null default 'person', tenant: text, secret: text}
    primary_key: [id]
  notes:
    columns: {id: bigint not null, body: text}
    primary_key: [id]
transition:
  from: v1
  tables:
    users:
      columns: {sort: {renamed_from: kind}}
",
);

/// Roles are the server's, so every database of a server finds them there.
const ROLES: [&str; 7] = ["t_owner", "t_writer", "t_granter", "t_columns", "t_some", "t_nobody", "t_tenant"];

#[test]
fn with_a_lens_on_postgres_15() {
    rights(15, &SPLIT, "full_name");
}

#[test]
fn with_a_lens_on_postgres_18() {
    rights(18, &SPLIT, "full_name");
}

#[test]
fn without_a_lens_on_postgres_15() {
    rights(15, &RENAME, "first_name, last_name");
}

#[test]
fn without_a_lens_on_postgres_18() {
    rights(18, &RENAME, "first_name, last_name");
}

#[test]
fn columns_in_shared_access() {
    for major in servers::MAJORS {
        shared_columns(major);
    }
}

#[test]
fn a_table_that_is_not_readable_whole() {
    for major in servers::MAJORS {
        forced_row_security(major);
    }
}

fn case(name: &str, (old, new): &(&str, &str), extra: &str) -> (tempfile::TempDir, Case) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), old).unwrap();
    std::fs::write(folder.path().join("new.yaml"), new).unwrap();
    std::fs::write(folder.path().join("case.yaml"), format!("about: {name}\n{extra}")).unwrap();
    let case = Case::read(folder.path()).unwrap();
    (folder, case)
}

fn roles() -> String {
    ROLES.iter().map(|role| format!("create role {role} login;\n")).collect()
}

fn install(database: &Database<'_>, scripts: &Scripts) {
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap_or_else(|report| panic!("{report}"));
    }
    database.run(&roles(), "roles").unwrap();
}

fn rights(major: u32, snapshots: &(&str, &str), old_name: &str) {
    let (_folder, case) = case("rights", snapshots, "allow: [drops-data, lossy-lens]");
    let scripts = compile(&case, Access::Versioned).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    install(&database, &scripts);
    database
        .run(
            &format!(
                "
alter table users owner to t_owner;
grant select, insert, update, delete on users to t_writer;
grant select, insert, update, delete on users to t_granter with grant option;
grant select (id, {old_name}, kind, tenant, secret), insert (id, {old_name}), update ({old_name}) on users to t_columns;
grant select (id, {old_name}), insert (id, {old_name}), update ({old_name}) on users to t_some;
grant select, insert, update, delete on users to t_tenant;
grant select on notes to public;
alter table users enable row level security;
create policy everyone on users to t_writer, t_granter, t_columns, t_some, t_nobody using (true);
create policy own on users to t_tenant using (tenant = 'a') with check (tenant = 'a');
insert into users (id, {old_name}, tenant, secret) select n, {values}, case when n % 2 = 0 then 'a' else 'b' end, 's' from generate_series(1, 10) n;
insert into notes values (1, 'x')",
                values = if old_name == "full_name" { "'Ada L' || n" } else { "'Ada', 'L' || n" }
            ),
            "rights",
        )
        .unwrap();
    if snapshots.0.contains("views:") {
        database
            .run(
                "alter view humans owner to t_owner; alter view humans set (security_barrier = true);
                 grant select on humans to t_writer with grant option; grant select (id) on humans to t_columns; grant select on humans to public",
                "rights on a view",
            )
            .unwrap();
    }
    let mut session = database.connect().unwrap();
    support::lab::run(&mut session, &support::splitter::split(&scripts.expand)).unwrap_or_else(|stopped| panic!("{stopped}"));
    let warnings: Vec<String> =
        session.take_notices().into_iter().filter(|notice| notice.severity == "WARNING").map(|notice| notice.message).collect();
    assert_eq!(warnings.len(), if snapshots.0.contains("views:") { 2 } else { 1 }, "{warnings:?}");
    assert!(warnings[0].contains("role t_some may read only some columns of public.users"), "{warnings:?}");
    run(&database, &scripts, Phase::Migrate);
    for stage in ["live", "after contract"] {
        if stage == "after contract" {
            run(&database, &scripts, Phase::Contract);
        }
        let mut broken = String::new();
        let base = if stage == "live" { 1000 } else { 2000 };
        attempts(major, &database, base, &mut broken);
        assert!(broken.is_empty(), "PostgreSQL {major}, {stage}:\n{broken}");
    }
    if snapshots.0.contains("views:") {
        assert!(warnings[1].contains("role public may read view public.humans and not the tables behind it"), "{warnings:?}");
        let mut session = database.connect().unwrap();
        let kept = session
            .run("select pg_get_userbyid(relowner), reloptions::text, (select string_agg(a.grantee::regrole::text || ' ' || a.is_grantable, ',' order by a.grantee::regrole::text) from aclexplode(relacl) a where a.privilege_type = 'SELECT'), (select attacl::text from pg_attribute where attrelid = c.oid and attname = 'id') from pg_class c where oid = 'public.humans'::regclass")
            .unwrap()
            .rows;
        let kept: Vec<Option<&str>> = kept[0].iter().map(Option::as_deref).collect();
        assert_eq!(
            kept,
            [Some("t_owner"), Some("{security_barrier=true}"), Some("- false,t_owner false,t_writer true"), Some("{t_columns=r/t_owner}")]
        );
    }
}

/// A role of the new version: its statements, and what each must come to (`ok`, a number of rows, or an SQLSTATE).
fn attempts(major: u32, database: &Database<'_>, base: u32, broken: &mut String) {
    let merge = if major >= 17 { "ok" } else { "skip" };
    let n = |plus: u32| base + plus;
    for (role, start, statements) in [
        ("t_owner", 0, writes(merge)),
        ("t_writer", 100, writes(merge)),
        ("t_granter", 200, writes(merge)),
        (
            "t_tenant",
            300,
            vec![
                ("select count(*) from users where tenant = 'b'", "=0"),
                ("insert into users (id, first_name, tenant) values ($1, 'Ada', 'a') returning first_name", "=Ada"),
                ("insert into users (id, first_name, tenant) values ($2, 'Ada', 'b')", "42501"),
                ("update users set tenant = 'b' where id = $1", "42501"),
                ("update users set last_name = 'X' where tenant = 'b'", "0 rows"),
                ("delete from users where id in (1, 3, 5)", "0 rows"),
                ("delete from users where id = $1", "1 rows"),
            ],
        ),
        (
            "t_columns",
            400,
            vec![
                ("insert into users (id, first_name, last_name) values ($1, 'Ada', 'L') returning first_name, last_name, sort", "=Ada"),
                ("update users set last_name = 'M' where id = $1 returning last_name", "=M"),
                (
                    "insert into users (id, first_name, last_name) values ($1, 'A', 'B') on conflict (id) do update set first_name = excluded.first_name returning first_name",
                    "=A",
                ),
                ("select id, first_name, last_name, sort from users where id = $1 for update", "1 rows"),
                ("update users set secret = 'x'", "42501"),
                ("insert into users (id, secret) values ($2, 'x')", "42501"),
                ("delete from users where id = $1", "42501"),
            ],
        ),
        // Not the server's rule for tables, but its rule for views: who may not read all of it can't read a part.
        (
            "t_some",
            600,
            vec![
                ("insert into users (id, first_name, last_name) values ($1, 'Ada', 'L')", "1 rows"),
                ("insert into users (id, secret) values ($2, 'x')", "42501"),
                ("update users set last_name = 'M' where id = $1", "42501"),
                ("select id from users", "42501"),
            ],
        ),
        (
            "t_nobody",
            500,
            vec![
                ("select id from users", "42501"),
                ("insert into users (id) values ($1)", "42501"),
                ("update users set last_name = 'x'", "42501"),
                ("delete from users", "42501"),
                ("insert into notes values ($1, 'x')", "42501"),
                ("select body from notes", "=x"),
                ("select old_version from crossfade.version", "=v1"),
                ("select * from crossfade.revision", "42501"),
                ("select * from crossfade.journal", "42501"),
                ("select * from crossfade.checkpoint", "42501"),
                ("select * from crossfade.failing_row", "42501"),
                ("create table crossfade.mine (n int)", "42501"),
                ("create view mine as select 1 as one", "42501"),
            ],
        ),
    ] {
        let mut session = database.connect().unwrap();
        session.run(&format!("set role {role}")).unwrap();
        session.run("set search_path = public_v2").unwrap();
        if base == 1000 && role == "t_nobody" {
            let inner = database
                .connect()
                .unwrap()
                .run("select viewname from pg_views where schemaname = 'crossfade' and viewname <> 'version'")
                .unwrap();
            for row in inner.rows {
                let view = row[0].clone().unwrap();
                expect(&mut session, role, &format!("select * from crossfade.{view}"), "42501", broken);
            }
        }
        for (statement, expected) in statements {
            let statement = statement.replace("$1", &n(start + 1).to_string()).replace("$2", &n(start + 2).to_string());
            expect(&mut session, role, &statement, expected, broken);
        }
    }
    // Who could grant on the table can grant on its view.
    let mut session = database.connect().unwrap();
    session.run("set role t_granter").unwrap();
    expect(&mut session, "t_granter", "grant select on public_v2.users to t_nobody", "ok", broken);
    expect(&mut session, "t_granter", "revoke select on public_v2.users from t_nobody", "ok", broken);
    // Without rights on the table a right on the view is worth nothing.
    let mut admin = database.connect().unwrap();
    admin.run("grant select on public_v2.users to t_nobody").unwrap();
    let mut session = database.connect().unwrap();
    session.run("set role t_nobody").unwrap();
    expect(&mut session, "t_nobody", "select first_name from public_v2.users", "42501", broken);
    admin.run("revoke select on public_v2.users from t_nobody").unwrap();
}

fn writes(merge: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("select count(*) > 5 from users", "=t"),
        ("insert into users (id, first_name, last_name) values ($1, 'Ada', 'L') returning first_name, sort", "=Ada"),
        (
            "insert into users (id, first_name) values ($1, 'B') on conflict (id) do update set first_name = excluded.first_name returning first_name",
            "=B",
        ),
        ("insert into users (id, first_name) values ($1, 'C') on conflict do nothing", "0 rows"),
        ("insert into users default values", "23502"),
        ("select sort from users where id = $1 for update", "=person"),
        ("update users set last_name = 'M', secret = 'x' where id = $1 returning last_name", "=M"),
        ("a prepared update", "prepare"),
        (
            "merge into users u using (values ($1, 'N'), ($2, 'O')) v (id, name) on u.id = v.id when matched then update set last_name = v.name when not matched then insert (id, first_name, last_name) values (v.id, 'M', v.name)",
            merge,
        ),
        ("delete from users where id = $1 returning id", "1 rows"),
    ]
}

fn expect(session: &mut Session, role: &str, statement: &str, expected: &str, broken: &mut String) {
    if expected == "skip" {
        return;
    }
    if expected == "prepare" {
        let outcome = session
            .run("prepare change (text) as update users set last_name = $1 where last_name = 'M' returning last_name")
            .and_then(|_| session.run("execute change ('P')"))
            .and_then(|outcome| session.run("deallocate change").map(|_| outcome));
        if let Err(failure) = outcome {
            let _ = writeln!(broken, "{role}: a prepared update: {failure}");
        }
        return;
    }
    let found = match session.run(statement) {
        Ok(outcome) => match expected {
            "ok" => "ok".to_owned(),
            rows if rows.ends_with(" rows") => format!("{} rows", outcome.affected),
            _ => format!("={}", outcome.rows.first().and_then(|row| row[0].clone()).unwrap_or_default()),
        },
        Err(failure) => match &failure.code {
            Some(code) if code == expected => code.clone(),
            _ => failure.to_string(),
        },
    };
    if found != expected {
        let _ = writeln!(broken, "{role}: {statement}\n    expected {expected}, found {found}");
    }
}

fn run(database: &Database<'_>, scripts: &Scripts, phase: Phase) {
    database.run(scripts.of(phase), phase.name()).unwrap_or_else(|report| panic!("{report}"));
}

/// In shared access the new columns of a lens take over the rights on the old ones; a right on one of several is not enough.
fn shared_columns(major: u32) {
    let (_folder, case) = case("columns", &SPLIT, "allow: [drops-data, lossy-lens]");
    let old = SPLIT.0.split("views:").next().unwrap();
    let new = SPLIT.1.split("views:").next().unwrap().to_owned() + "transition:" + SPLIT.1.split("transition:").nth(1).unwrap();
    std::fs::write(case.folder.join("old.yaml"), old).unwrap();
    std::fs::write(
        case.folder.join("new.yaml"),
        new.replace("sort: text not null default 'person'", "sort: text not null default 'human'"),
    )
    .unwrap();
    let scripts = compile(&case, Access::Shared).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    install(&database, &scripts);
    database
        .run(
            "grant select (id, full_name), update (full_name) on users to t_columns; insert into users (id, full_name) values (1, 'Ada L')",
            "rights",
        )
        .unwrap();
    run(&database, &scripts, Phase::Expand);
    run(&database, &scripts, Phase::Migrate);
    let mut broken = String::new();
    for stage in ["live", "after contract"] {
        if stage == "after contract" {
            run(&database, &scripts, Phase::Contract);
        }
        let mut session = database.connect().unwrap();
        session.run("set role t_columns").unwrap();
        for (statement, expected) in [
            ("update users set last_name = 'M' where id = 1 returning first_name", "=Ada"),
            ("select last_name from users", "=M"),
            ("select secret from users", "42501"),
            ("select sort from users", "42501"),
            ("insert into users (id, last_name) values (2, 'x')", "42501"),
        ] {
            expect(&mut session, "t_columns", statement, expected, &mut broken);
        }
    }
    assert!(broken.is_empty(), "PostgreSQL {major}:\n{broken}");
}

/// An owner who is under the table's policies himself must not fill half of the rows in silence.
fn forced_row_security(major: u32) {
    let (_folder, case) = case("forced", &SPLIT, "allow: [drops-data, lossy-lens]");
    let scripts = compile(&case, Access::Versioned).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    database
        .run(&format!("{}; alter schema public owner to t_owner; grant create on database {} to t_owner", roles(), database.name), "roles")
        .unwrap();
    let mut session = database.connect().unwrap();
    session.run("set role t_owner").unwrap();
    let run_as_owner = |session: &mut Session, script: &str| support::lab::run(session, &support::splitter::split(script));
    for script in &scripts.install_old {
        run_as_owner(&mut session, script).unwrap_or_else(|stopped| panic!("{stopped}"));
    }
    session.run("insert into users (id, full_name, tenant) values (1, 'Ada L', 'a'), (2, 'Bob M', 'b')").unwrap();
    session.run("alter table users enable row level security").unwrap();
    session.run("alter table users force row level security").unwrap();
    session.run("create policy own on users using (tenant = 'a')").unwrap();
    run_as_owner(&mut session, &scripts.expand).unwrap_or_else(|stopped| panic!("{stopped}"));
    let stopped = run_as_owner(&mut session, &scripts.migrate).expect_err("half of the rows were left out in silence");
    assert_eq!(stopped.failure.code.as_deref(), Some("42501"), "{stopped}");
    let mut session = database.connect().unwrap();
    session.run("set role t_owner").unwrap();
    session.run("alter table users no force row level security").unwrap();
    for script in [&scripts.migrate, &scripts.contract] {
        run_as_owner(&mut session, script).unwrap_or_else(|stopped| panic!("{stopped}"));
    }
    assert_eq!(session.value("select string_agg(first_name, ',' order by id) from users").unwrap().as_deref(), Some("Ada,Bob"));
}
