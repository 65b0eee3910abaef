//! One upgrade from start to end, on an SQLite database in memory: `cargo run --example in_memory`.
//!
//! Compiles `examples/split-full-name` and runs its scripts, while version `ocata` and version `pike` write in turn.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use crossfade::diagnostic::{Colour, Diagnostic, Sources, has_errors, render_human};
use crossfade::engine::Connection as _;
use crossfade::engine::sqlite::Session;
use crossfade::plan::Settings;
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub(crate) fn main() -> Result<()> {
    let mut sources = Sources::default();
    let ocata = read(&mut sources, "ocata", include_str!("split-full-name/old.yaml"))?;
    let pike = read(&mut sources, "pike", include_str!("split-full-name/new.yaml"))?;
    let mut database = Session::open(Path::new(":memory:"))?;

    let first = compile(&sources, &Schema::default(), &ocata)?;
    for script in [&first.expand, &first.migrate, &first.contract] {
        database.run_script(script)?;
    }
    write(&mut database, "ocata", "insert into users (full_name, email) values ('Ada Lovelace', 'ada@example.org')")?;

    let upgrade = compile(&sources, &ocata, &pike)?;
    database.run_script(&upgrade.expand)?;
    println!("-- expand.sql has run: ocata goes on as before");
    write(&mut database, "ocata", "insert into users (full_name, email) values ('Grace Hopper', 'grace@example.org')")?;

    database.run_script(&upgrade.migrate)?;
    println!("-- migrate.sql has run: pike may start, and both write");
    write(&mut database, "pike", "insert into users (first_name, last_name, email) values ('Alan', 'Turing', 'alan@example.org')")?;
    write(&mut database, "pike", "update users set last_name = 'King' where first_name = 'Ada'")?;
    write(&mut database, "ocata", "update users set full_name = 'Grace Murray Hopper' where full_name = 'Grace Hopper'")?;
    show(&mut database, "ocata", "select id, full_name from users order by id")?;
    show(&mut database, "pike", "select id, first_name, last_name from users order by id")?;

    database.run_script(&upgrade.contract)?;
    println!("-- contract.sql has run: only pike's shape is left");
    show(&mut database, "pike", "select id, first_name, last_name, email from users order by id")?;
    show(&mut database, "pike", "select old_version, new_version, phase from crossfade_version")
}

fn read(sources: &mut Sources, name: &str, text: &str) -> Result<Schema> {
    let file = sources.add(name, text);
    let (snapshot, mut said) = crossfade::snapshot::read(sources, &[file]);
    let (schema, faults) = snapshot.resolve(Dialect::Sqlite);
    said.extend(faults);
    sound(sources, &said)?;
    Ok(schema)
}

fn compile(sources: &Sources, old: &Schema, new: &Schema) -> Result<crossfade::emit::Scripts> {
    let (diff, mut said) = crossfade::diff::diff(old, new, Dialect::Sqlite, &crossfade::diff::Options::default());
    let settings = Settings { access: Access::Shared, schema: "public".to_owned(), allow: Vec::new() };
    let target = crossfade::dialect::target(Dialect::Sqlite).ok_or("SQLite is not there")?;
    let (plan, faults) = crossfade::plan::plan(&diff, &settings, target);
    said.extend(faults);
    sound(sources, &said)?;
    Ok(crossfade::emit::scripts(&plan)?)
}

fn sound(sources: &Sources, said: &[Diagnostic]) -> Result<()> {
    if has_errors(said) { Err(render_human(sources, said, Colour::Never).into()) } else { Ok(()) }
}

fn write(database: &mut Session, version: &str, statement: &str) -> Result<()> {
    println!("{version}> {statement}");
    database.run(statement)?;
    Ok(())
}

fn show(database: &mut Session, version: &str, query: &str) -> Result<()> {
    println!("{version}> {query}");
    for row in database.run(query)?.rows {
        let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        println!("       {}", values.join(" | "));
    }
    Ok(())
}
