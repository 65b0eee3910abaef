//! Reading a live database: what was installed from a snapshot is read as that snapshot, and what a snapshot can't say is named.
#![cfg(feature = "postgres")]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossfade::diagnostic::{Colour, FileId, Sources, has_errors, render_human};
use crossfade::dialect::postgres::Postgres;
use crossfade::inspect::Inspected;
use crossfade::inspect::postgres::inspect;
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use crossfade::{diff, emit, plan, snapshot};
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

/// Every snapshot of the cases and the examples.
fn snapshots() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = ["tests/cases", "examples"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap().flatten())
        .flat_map(|entry| ["old.yaml", "new.yaml"].map(|name| entry.path().join(name)))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn there_and_back(lab: &Lab, name: &str, text: &str) -> Result<(), String> {
    let installed = read(name, text)?;
    let is_virtual = installed.tables.values().flat_map(|t| t.columns.values()).any(|c| c.generated.as_ref().is_some_and(|g| !g.stored));
    if is_virtual && lab.major() < 18 {
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
        .filter(|(_, text)| seen.insert(text.clone()))
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
