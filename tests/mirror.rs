//! Mirrors (`from:`): clients of both versions write the same few rows at the same time, and the two tables never differ; what
//! can't be mirrored is refused; rows and names that stand in the way are named; a mutant of the scripts is caught.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crossfade::engine::postgres::Session;
use support::case::{Access, Case, Side};
use support::check::check;
use support::lab::Database;
use support::scripts::{Phase, Scripts, compile, compile_folder};
use support::servers;

/// Rows that everybody writes.
const ROWS: u64 = 20;
/// Transactions of one client.
const TIMES: u64 = 150;
/// A client that met a deadlock tries again; more often than this it is a fault.
const ATTEMPTS: u32 = 100;

#[test]
fn rows_that_move_on_postgres_15() {
    hot_rows(15, Access::Versioned);
}

#[test]
fn rows_that_move_on_postgres_18() {
    hot_rows(18, Access::Shared);
}

/// The numbers of one client, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Run<'lab> {
    database: Database<'lab>,
    scripts: Scripts,
    access: Access,
}

fn hot_rows(major: u32, access: Access) {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/mirror-hot-rows")).unwrap();
    let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
    let Some(lab) = servers::lab(major).unwrap() else { return };
    let database = lab.empty().unwrap();
    for script in &scripts.install_old {
        database.run(script, "installing the old snapshot").unwrap();
    }
    database.run(&format!("insert into parts (id, name) select n, 'part' from generate_series(0, {ROWS}) as n"), "seed").unwrap();
    let run = Run { database, scripts, access };
    run.phase(Phase::Expand);
    run.phase(Phase::Migrate);
    let counted: Vec<u64> = thread::scope(|scope| {
        let run = &run;
        let clients =
            [(Side::Old, 1), (Side::New, 2), (Side::Old, 3), (Side::New, 4)].map(|(side, seed)| scope.spawn(move || run.write(side, seed)));
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut session = run.client(Side::Old);
    let rows = |session: &mut Session, query: &str| session.value(query).unwrap().unwrap();
    let unlike = rows(
        &mut session,
        "select count(*) from public.parts p full join public.items i on i.number = p.id
         where p.id is null or i.number is null or (p.name, p.hits) is distinct from (i.label, i.visits)",
    );
    assert_eq!(unlike, "0", "rows on which the two tables differ");
    let hits = rows(&mut session, "select sum(hits) from public.tally");
    assert_eq!(hits, counted.iter().sum::<u64>().to_string(), "transactions that were acknowledged");
    let missing = rows(
        &mut session,
        "select count(*) from public.tally t where t.kept and not exists (select from public.items i where i.number = t.id)",
    );
    assert_eq!(missing, "0", "rows that were inserted, acknowledged and never deleted");
    let counter =
        rows(&mut session, "select (select hits from public.parts where id = 0) - (select sum(hits) from public.tally where id = 0)");
    assert_eq!(counter, "0", "increments of the row that everybody counts in");
    run.phase(Phase::Contract);
}

impl Run<'_> {
    fn client(&self, side: Side) -> Session {
        let mut session = self.database.connect().unwrap();
        if side == Side::New && self.access == Access::Versioned {
            session.run(&format!("set search_path = public_{}, public", self.scripts.new_version)).unwrap();
        }
        session.run("set deadlock_timeout = '20ms'").unwrap();
        session
    }

    fn phase(&self, phase: Phase) {
        for attempt in 1.. {
            match self.database.run(self.scripts.of(phase), phase.name()) {
                Ok(()) => return,
                Err(report) if report.contains("55P03") && attempt < 20 => {}
                Err(report) => panic!("{report}"),
            }
        }
    }

    /// Inserts, updates, deletes and changes of keys, and in each transaction one increment of row 0. Returns how many
    /// transactions were acknowledged.
    fn write(&self, side: Side, seed: u64) -> u64 {
        let mut session = self.client(side);
        let mut numbers = Numbers(seed);
        let mut acknowledged = 0;
        let (table, key, name, count) = match side {
            Side::Old => ("parts", "id", "name", "hits"),
            Side::New => ("items", "number", "label", "visits"),
        };
        for time in 0..TIMES {
            let (row, other, own) = (1 + numbers.below(ROWS), 1 + numbers.below(ROWS), 1_000_000 * seed + time);
            let work = match numbers.below(6) {
                0 => format!(
                    "insert into {table} ({key}, {name}) values ({row}, 'n{own}') on conflict ({key}) do update set {name} = excluded.{name}"
                ),
                1 => format!("delete from {table} where {key} = {row}"),
                2 => format!(
                    "update {table} set {key} = {other} where {key} = {row} and not exists (select from {table} where {key} = {other})"
                ),
                3 => format!("insert into {table} ({key}, {name}) values ({own}, 'own')"),
                _ => format!("update {table} set {name} = 'u{own}' where {key} = {row}"),
            };
            let kept = work.contains(&format!("({own}, 'own')"));
            let tally = if kept { format!("insert into public.tally values ({own}, 0, true);") } else { String::new() };
            let transaction = format!(
                "begin; {work}; update {table} set {count} = {count} + 1 where {key} = 0;
                 insert into public.tally values (0, 1, false); {tally} commit"
            );
            for attempt in 1.. {
                match session.run(&transaction) {
                    Ok(_) => break,
                    Err(failure) => {
                        let code = failure.code.clone().unwrap_or_default();
                        session.run("rollback").unwrap();
                        // Deadlocks are declared; a key that another client has taken meanwhile is one's own fault.
                        let expected = code == "40P01" || code == "23505";
                        assert!(expected && attempt < ATTEMPTS, "{side:?}: {transaction}: {failure}");
                    }
                }
            }
            acknowledged += 1;
        }
        acknowledged
    }
}

/// Compiles two snapshots, below `version:`.
fn compiled(old: &str, new: &str) -> Result<Scripts, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.yaml"), format!("version: v1\n{old}")).unwrap();
    std::fs::write(folder.path().join("new.yaml"), format!("version: v2\n{new}")).unwrap();
    compile_folder(folder.path(), Access::Shared, &[])
}

const USERS: &str = "tables: {users: {columns: {id: bigint primary key, name: text, bio: text}}}";

/// A table `profiles` beside `users`, with an expression for `word`.
fn profiles(up: &str) -> String {
    format!(
        "tables:
  users: {{columns: {{id: bigint primary key, name: text}}}}
  profiles: {{columns: {{user_id: bigint primary key, bio: text, word: integer}}}}
transition:
  from: v1
  tables:
    profiles: {{from: users, key: {{user_id: id}}, columns: {{bio: {{up: bio}}, word: {{up: \"{up}\"}}}}}}
"
    )
}

#[test]
fn a_function_of_the_users_is_named_with_its_schema() {
    let [bare, whole] = ["words(bio)", "public.words(bio)"].map(|up| compiled(USERS, &profiles(up)).unwrap());
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        for script in &bare.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        let words = "create function public.words(text) returns integer language sql immutable as $$ select length($1) $$";
        database.run(words, "the user's function").unwrap();
        database.run("insert into users values (1, 'Ana', 'sings')", "seed").unwrap();
        let report = database.run(&bare.expand, "expand").unwrap_err();
        for words in ["42883", "rows of users can't be carried over to profiles: function words(text) does not exist", "public.f(x)"] {
            assert!(report.contains(words), "PostgreSQL {major}: {report}");
        }
        database.run("insert into users values (2, 'Bo', 'knits')", "the old version goes on").unwrap();
        database.run(&bare.abort, "abort").unwrap();

        database.run(&whole.expand, "expand").unwrap();
        database.run("set search_path = ''; insert into public.users values (3, 'Cy', 'x')", "a client without a path").unwrap();
        database.run(&whole.migrate, "migrate").unwrap();
        let found = database.connect().unwrap().value("select string_agg(word::text, ' ' order by user_id) from public.profiles").unwrap();
        assert_eq!(found.as_deref(), Some("5 5 1"), "PostgreSQL {major}");
        database.run(&whole.contract, "contract").unwrap();
    }
}

#[test]
fn a_row_that_cannot_be_copied_is_named() {
    let scripts = compiled(USERS, &profiles("bio::integer")).unwrap();
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        for script in &scripts.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        database.run("insert into users select n, 'u', n from generate_series(1, 25000) as n", "seed").unwrap();
        database.run("update users set bio = 'five' where id = 20005", "seed").unwrap();
        database.run(&scripts.expand, "expand").unwrap();
        let report = database.run(&scripts.migrate, "migrate").unwrap_err();
        for words in [
            "22P02",
            "users: the row with id = 20005 can't be copied: invalid input syntax for type integer: \"five\"",
            "bio::integer",
            "Change this row",
        ] {
            assert!(report.contains(words), "PostgreSQL {major}: {report}");
        }
        let count = |what: &str| database.connect().unwrap().value(what).unwrap().unwrap();
        // What was copied before it stays, and the checkpoint knows.
        let copied: u64 = count("select count(*) from public.profiles").parse().unwrap();
        assert!((10_000..20_005).contains(&copied), "PostgreSQL {major}: {copied} rows");
        database.run("update users set bio = '5' where id = 20005", "mending").unwrap();
        database.run(&scripts.migrate, "migrate").unwrap();
        assert_eq!(count("select count(*) || ' ' || sum(word) from public.profiles"), format!("25000 {}", 25000 * 25001 / 2 - 20000));
        database.run(&scripts.contract, "contract").unwrap();
    }
}

#[test]
fn a_copy_that_is_killed_goes_on_where_it_was() {
    let scripts = compiled(USERS, &profiles("length(bio)")).unwrap();
    for major in servers::MAJORS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let database = lab.empty().unwrap();
        for script in &scripts.install_old {
            database.run(script, "installing the old snapshot").unwrap();
        }
        database.run("insert into users select n, 'u' || n, 'b' || n from generate_series(1, 25000) as n", "seed").unwrap();
        database.run(&scripts.expand, "expand").unwrap();
        let mut others = database.connect().unwrap();
        let value = |session: &mut Session, query: &str| session.value(query).unwrap().unwrap_or_default();

        // A row of the second batch is held until the copy waits for it; then its session ends.
        let mut holder = database.connect().unwrap();
        holder.run("begin; update public.users set bio = 'held' where id = 15000").unwrap();
        thread::scope(|scope| {
            let migrate = scope.spawn(|| database.run(&scripts.migrate, "migrate"));
            let waits = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            let deadline = Instant::now() + Duration::from_secs(60);
            while value(&mut others, waits).is_empty() {
                assert!(Instant::now() < deadline, "the copy does not wait");
                thread::sleep(Duration::from_millis(20));
            }
            others.run(&format!("select pg_terminate_backend(pid) from ({waits}) as waiting")).unwrap();
            let report = migrate.join().unwrap().unwrap_err();
            assert!(report.contains("57P01") || report.contains("connection closed"), "PostgreSQL {major}: {report}");
        });
        holder.run("commit").unwrap();
        // A batch that meets the held row lets go and gets smaller: how near they came to it depends on when the session ended.
        let done = "select last_key[1]::integer = rows and rows between 10000 and 14999
                      and rows = (select count(*) from public.profiles where user_id <= 14999)
                    from crossfade.checkpoint where backfill = 'v2_copy.profiles'";
        assert_eq!(value(&mut others, done), "t", "PostgreSQL {major}: what is before the held row is done, and known to be");

        // Either side of it is written meanwhile, by both versions.
        others
            .run(
                "delete from public.users where id in (5, 20000);
                 update public.users set bio = 'changed' where id in (6, 20001);
                 update public.users set id = -id where id in (7, 20002);
                 delete from public.profiles where user_id = 8;
                 update public.profiles set bio = 'new', word = 0 where user_id = 9;
                 insert into public.users values (30000, 'x', null);
                 insert into public.profiles values (30000, 'own', 0)",
            )
            .unwrap();
        let rows = "select md5(string_agg((id, name, bio)::text, ';' order by id)) from public.users";
        let before = value(&mut others, rows);
        drop((holder, others));

        let copy = database.copy().unwrap();
        copy.run(&scripts.abort, "abort").unwrap();
        assert_eq!(value(&mut copy.connect().unwrap(), rows), before, "PostgreSQL {major}: abort in the middle of the copy");

        database.run(&scripts.migrate, "migrate").unwrap();
        let mut others = database.connect().unwrap();
        assert_eq!(value(&mut others, rows), before, "PostgreSQL {major}: the old version's rows");
        let unlike = "select count(*) from (select id, bio from public.users where bio is not null) as u
                      full join public.profiles p on p.user_id = u.id where u.bio is distinct from p.bio";
        assert_eq!(value(&mut others, unlike), "0", "PostgreSQL {major}");
        // 25000, less two that the old version deleted and one that the new one did, and one that it inserted.
        assert_eq!(value(&mut others, "select count(*) from public.profiles"), "24998", "PostgreSQL {major}");
        assert_eq!(
            value(
                &mut others,
                "select string_agg(word::text, ' ' order by user_id) from public.profiles where user_id in (-20002, -7, 6, 9, 20001, 30000)"
            ),
            "6 2 7 0 7 0"
        );
        database.run(&scripts.contract, "contract").unwrap();
    }
}

/// Old tables, new tables and transition, and words of the refusal.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    (
        "a: {columns: {id: bigint primary key}}",
        "b: {columns: {id: text primary key}}",
        "b: {from: a, key: {id: 'id::text'}}",
        "table b: its key column id is computed",
    ),
    (
        "a: {columns: {id: bigint primary key, twice: {type: bigint, not_null: true, generated: {expression: id * 2, stored: true}}}, unique: [{columns: [twice]}]}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: a, key: {id: twice}}",
        "table b: its key is a generated column",
    ),
    (
        "a: {columns: {id: text primary key}}",
        "b: {columns: {id: {type: text, collation: C}}, primary_key: [id]}",
        "b: {from: a, key: {id: id}}",
        "table b: its key column id has another collation than a.id",
    ),
    (
        "a: {columns: {id: bigint primary key}}",
        "b: {columns: {id: bigint generated always as identity primary key}}",
        "b: {from: a, key: {id: id}}",
        "table b: id counts, and a.id does not",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint not null}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: a, key: {id: n}}",
        "table a: (n) is no key of it",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint unique}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: a, key: {id: n}}",
        "table a: (n) is no key of it",
    ),
    (
        "a: {columns: {id: bigint primary key}}",
        "b: {columns: {id: bigint generated always as identity primary key, n: bigint not null}}",
        "b: {from: a, key: {n: id}}",
        "table b: (n) is no key of it",
    ),
    (
        "a: {columns: {id: bigint primary key}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: a, key: {id: id}, columns: {id: {up: id + 1}}}",
        "b.id: `key` says what its value is, and `up` as well",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint}}",
        "b: {columns: {id: bigint primary key, n: {type: bigint, generated: {expression: id * 2, stored: true}}}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n}}}",
        "b.n: the server computes it",
    ),
    (
        "a: {columns: {id: bigint primary key, n: {type: bigint, generated: {expression: id * 2, stored: true}}}}",
        "b: {columns: {id: bigint primary key, m: bigint}}",
        "b: {from: a, key: {id: id}, columns: {n: {down: m}}}",
        "a.n: the server computes it, so that no `down` can give its value",
    ),
    (
        "a: {columns: {id: bigint primary key, kind: text, n: bigint}}",
        "a: {columns: {id: bigint primary key, kind: text}}, b: {columns: {id: bigint primary key, n: bigint}}",
        "b: {from: {table: a, where: kind = 'v'}, key: {id: id}, columns: {n: {up: n}}}",
        "table b: which rows of a it takes depends on a.kind",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint}}",
        "a: {columns: {id: bigint primary key, n: bigint}}, b: {columns: {id: bigint primary key, n: bigint}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n * 2}}}",
        "table b: no column of a follows from its rows",
    ),
    (
        "a: {columns: {id: bigint primary key, n: double default random()}}",
        "a: {columns: {id: bigint primary key}}, b: {columns: {id: bigint primary key, n: double}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n}}}",
        "a.n: its default gives each row another value",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint not null}}",
        "a: {columns: {id: bigint primary key, n: bigint not null}}, b: {columns: {id: bigint primary key, n: bigint}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n}}}",
        "a.n: it is NOT NULL and has no default",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint not null}}",
        "b: {columns: {id: bigint not null unique, n: bigint primary key}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n}}}",
        "table b: its primary key (n) is not the key that leads to the old row",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint not null}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: a, key: {id: id}}",
        "`a.n` is NOT NULL and has no default: what is its value in a row that the new version inserts into `b`?",
    ),
    (
        "a: {columns: {id: bigint primary key, kind: text}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: {table: a, where: kind = 'v'}, key: {id: id}}",
        "`a.kind` decides which rows are meant",
    ),
    (
        "a: {columns: {id: bigint primary key, n: bigint}}",
        "b: {columns: {id: bigint primary key, n: bigint, m: bigint}}",
        "b: {from: a, key: {id: id}, columns: {n: {up: n}, m: {up: n}}}",
        "n and m of `b` are both copies of a.n: which one is its value?",
    ),
    (
        "a: {columns: {id: bigint primary key, kind: citext}}",
        "b: {columns: {id: bigint primary key}}",
        "b: {from: {table: a, where: kind = 'v'}, key: {id: id}, columns: {kind: {down: \"'v'\"}}}",
        "table b: `kind = 'v'` reads a.kind as a citext",
    ),
    (
        "a: {columns: {id: bigint primary key, kind: text}}",
        "b: {columns: {id: bigint primary key}}, c: {columns: {id: bigint primary key}}",
        "b: {from: {table: a, where: kind = 'v'}, key: {id: id}, columns: {kind: {down: \"'v'\"}}}, c: {from: {table: a, where: kind <> 'v'}, key: {id: id}, columns: {kind: {down: \"'c'\"}}}",
        "not yet: table c: rows of a, which is dropped, come to b and c",
    ),
    (
        "a: {columns: {id: bigint primary key, room: integer}}",
        "b: {columns: {id: bigint primary key, room: integer}, exclusions: [{name: alone, method: btree, elements: room with =}]}",
        "b: {from: a, key: {id: id}, columns: {room: {up: room}}}",
        "table b: exclusion constraint alone would refuse rows of the old version from expand on",
    ),
];

#[test]
fn what_cannot_be_mirrored_is_refused() {
    let mut wrong = Vec::new();
    for (old, new, hints, words) in REFUSED {
        let new = format!("tables: {{{new}}}\ntransition: {{from: v1, allow: [drops-data], tables: {{{hints}}}}}\n");
        match compiled(&format!("tables: {{{old}}}\n"), &new) {
            Ok(_) => wrong.push(format!("{hints}: compile did not refuse")),
            Err(report) if !report.contains(words) => wrong.push(format!("{hints}: the refusal does not say {words:?}:\n{report}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The script, the text in it, what stands there instead, and words of the report.
type Mutant = (&'static str, &'static str, &'static str, &'static str, &'static str);

const MUTANTS: &[Mutant] = &[
    (
        "the old version's updates are not carried over",
        "expand",
        "or old.cents is distinct from new.cents or",
        "or",
        "no image in customers that says the same",
    ),
    (
        "a cascade is not carried over",
        "expand",
        "delete from public.customers as image\n    where image.number = old.id",
        "delete from public.customers as image\n    where false and image.number = old.id",
        "no image of a row of accounts",
    ),
    (
        "a key that is not copied yet is free",
        "expand",
        "for each row execute function crossfade.mirror_guard_customers();",
        "for each row when (false) execute function crossfade.mirror_guard_customers();",
        "is not copied yet is taken all the same",
    ),
    (
        "the image forgets its own columns as the key changes",
        "expand",
        "set number = here.id,",
        "set label = 'none', number = here.id,",
        "the new version's own column survives a change of key",
    ),
    (
        "a copy overwrites",
        "migrate",
        "on conflict (number) do nothing",
        "on conflict (number) do update set domain = excluded.domain",
        "probe `the new version inserts`",
    ),
    (
        "the copy is forgotten",
        "migrate",
        "where id >= crossfade_job.lo_1",
        "where false and id >= crossfade_job.lo_1",
        "no image in customers",
    ),
    ("a function is left over", "contract", "drop function if exists crossfade.mirror_guard_customers();", "", "left over of crossfade"),
    ("abort leaves a trigger", "abort", "drop trigger if exists zz_crossfade_mirror_customers_truncate on public.accounts;", "", "abort"),
];

#[test]
fn mutants_of_a_mirror_are_caught() {
    let Some(lab) = servers::lab(15).unwrap() else { return };
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/mirror-move")).unwrap();
    let scripts = compile(&case, Access::Shared).unwrap_or_else(|report| panic!("{report}"));
    let mut survivors = Vec::new();
    for (name, script, from, to, words) in MUTANTS {
        let mut scripts = scripts.clone();
        let text = match *script {
            "expand" => &mut scripts.expand,
            "migrate" => &mut scripts.migrate,
            "contract" => &mut scripts.contract,
            "abort" => &mut scripts.abort,
            other => panic!("no script {other}"),
        };
        assert!(text.contains(from), "mutant `{name}` does not apply");
        *text = text.replacen(from, to, 1);
        match check(&lab, &case, Access::Shared, &scripts) {
            Ok(()) => survivors.push(format!("`{name}` was not caught")),
            Err(report) if !report.contains(words) => survivors.push(format!("`{name}` was not reported as {words:?} but as\n{report}")),
            Err(_) => {}
        }
    }
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}
