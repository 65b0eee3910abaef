//! The catalog of a MySQL or MariaDB database, with the databases of the namespaces beside it: `app`, `app_v2`.

use super::{Line, Part, sqlite_part};
use crate::engine::{Connection, Failure};
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// What a database is called in the lines of its catalog.
const SHOWN: &str = "app";

/// The catalog of the session's database and of those beside it, sorted.
///
/// # Errors
/// When it can't be read.
pub fn catalog(session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
    let Some(base) = session.value("select database()")? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    for database in databases(session, &base)? {
        let shown = database.replace(&base, SHOWN);
        let create = created(session, &format!("show create database `{database}`"), 1)?;
        lines.push((Part::Product, format!("database {shown} {}", create.replace(&base, SHOWN))));
        for (name, is_table) in relations(session, &database)? {
            let (part, path) = (part(&name), format!("{shown}.{name}"));
            let kind = if is_table { "table" } else { "view" };
            let create = created(session, &format!("show create {kind} `{database}`.{}", quoted(&name)), 1)?.replace(&base, SHOWN);
            if is_table {
                lines.extend(table_lines(&path, &create).into_iter().map(|line| (part, line)));
            } else {
                lines.push((part, format!("view {path} {create}")));
            }
        }
        for (kind, query) in [
            (
                "trigger",
                "select trigger_name, event_object_table, action_timing, event_manipulation, action_order, sql_mode, definer, action_statement
                 from information_schema.triggers where trigger_schema = ",
            ),
            (
                "routine",
                "select routine_name, routine_type, dtd_identifier, security_type, sql_mode, definer, routine_definition
                 from information_schema.routines where routine_schema = ",
            ),
            (
                "event",
                "select event_name, event_definition, interval_value, interval_field, status from information_schema.events
                 where event_schema = ",
            ),
        ] {
            for row in session.run(&format!("{query}'{database}'"))?.rows {
                let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
                let line = format!("{kind} {shown}.{}", values.join(" ")).replace(&base, SHOWN);
                lines.push((part(values.first().map_or("", String::as_str)), line));
            }
        }
    }
    lines.sort();
    Ok(lines)
}

/// The databases that belong to one, itself first.
///
/// # Errors
/// When they can't be listed.
pub fn databases(session: &mut dyn Connection, name: &str) -> Result<Vec<String>, Failure> {
    let rows = session.run(&format!("show databases like '{}%'", name.replace('_', "\\_")))?.rows;
    let mut names: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    names.sort();
    Ok(names)
}

/// Tables and views of a database, each with whether it is a table.
///
/// # Errors
/// When they can't be listed.
pub fn relations(session: &mut dyn Connection, database: &str) -> Result<Vec<(String, bool)>, Failure> {
    let rows = session.run(&format!("show full tables from `{database}`"))?.rows;
    let mut relations: Vec<(String, bool)> = rows
        .into_iter()
        .filter_map(|row| match &row[..] {
            [Some(name), Some(kind), ..] => Some((name.clone(), kind == "BASE TABLE")),
            _ => None,
        })
        .collect();
    relations.sort();
    Ok(relations)
}

/// Columns of a relation, each with whether it is generated.
///
/// # Errors
/// When they can't be listed.
pub fn columns(session: &mut dyn Connection, database: &str, relation: &str) -> Result<Vec<(String, bool)>, Failure> {
    let query = format!(
        "select column_name, coalesce(generation_expression, '') <> '' from information_schema.columns
         where table_schema = '{database}' and table_name = '{}' order by ordinal_position",
        relation.replace('\'', "''")
    );
    let rows = session.run(&query)?.rows;
    Ok(rows
        .into_iter()
        .filter_map(|row| match &row[..] {
            [Some(name), Some(is)] => Some((name.clone(), is == "1")),
            _ => None,
        })
        .collect())
}

/// The columns of a table, each with whether it is computed, by its definition. The information schema says the same, and takes ten
/// times as long.
///
/// # Errors
/// When they can't be read.
pub fn columns_of_table(session: &mut dyn Connection, database: &str, table: &str) -> Result<Vec<(String, bool)>, Failure> {
    Ok(columns_of(&created(session, &format!("show create table `{database}`.{}", quoted(table)), 1)?))
}

fn columns_of(create: &str) -> Vec<(String, bool)> {
    create
        .lines()
        .filter_map(|line| {
            // A backtick in a name is written twice.
            let line = line.trim().strip_prefix('`')?.replace("``", "\u{1}");
            let (name, definition) = line.split_once('`')?;
            Some((name.replace('\u{1}', "`"), definition.contains(" GENERATED ALWAYS AS ")))
        })
        .collect()
}

/// Stands in a recipe for the name of the database that is made.
const COPY: &str = "<the copy>";

/// The statements that make a database anew, with those beside it. The server has no statement for that.
#[derive(Debug, Default)]
pub struct Recipe {
    /// The databases, and tables with their rows.
    tables: Vec<String>,
    /// Views, each behind the choice of its database.
    views: Vec<(String, String)>,
    /// Triggers and routines.
    programs: Vec<String>,
}

/// Reads what makes a database and those beside it anew.
///
/// # Errors
/// When it can't be read.
pub fn recipe(session: &mut dyn Connection, from: &str) -> Result<Recipe, Failure> {
    let databases = databases(session, from)?;
    let renamed = |text: &str| text.replace(from, COPY);
    let mut recipe = Recipe::default();
    for database in &databases {
        let create = created(session, &format!("show create database `{database}`"), 1)?;
        recipe.tables.push(renamed(&create));
        recipe.tables.push(format!("use `{}`", renamed(database)));
        for (name, is_table) in relations(session, database)? {
            let name = quoted(&name);
            let relation = format!("`{database}`.{name}");
            if !is_table {
                let create = created(session, &format!("show create view {relation}"), 1)?;
                recipe.views.push((format!("use `{}`", renamed(database)), renamed(&create)));
                continue;
            }
            let create = created(session, &format!("show create table {relation}"), 1)?;
            let columns: Vec<String> =
                columns_of(&create).into_iter().filter(|(_, generated)| !generated).map(|(name, _)| quoted(&name)).collect();
            let columns = columns.join(", ");
            recipe.tables.push(renamed(&create));
            recipe.tables.push(format!("insert into {name} ({columns}) select {columns} from {relation}"));
        }
    }
    for database in &databases {
        recipe.programs.push(format!("use `{}`", renamed(database)));
        let triggers = session.run(&format!(
            "select trigger_name from information_schema.triggers where trigger_schema = '{database}'
             order by event_object_table, event_manipulation, action_timing, action_order"
        ))?;
        for row in triggers.rows {
            let name = quoted(row.first().and_then(Option::as_deref).unwrap_or_default());
            let row = session.run(&format!("show create trigger `{database}`.{name}"))?.rows.pop().unwrap_or_default();
            let [_, Some(mode), Some(create), ..] = &row[..] else { continue };
            recipe.programs.push(format!("set session sql_mode = '{mode}'"));
            recipe.programs.push(renamed(create));
        }
        let routines = session
            .run(&format!("select routine_type, routine_name from information_schema.routines where routine_schema = '{database}'"))?;
        for row in routines.rows {
            let [Some(kind), Some(name)] = &row[..] else { continue };
            let create = created(session, &format!("show create {kind} `{database}`.{}", quoted(name)), 2)?;
            recipe.programs.push(renamed(&create));
        }
    }
    Ok(recipe)
}

/// Makes a database by a recipe: tables with their rows, then the views and triggers over them. The session sets much aside for
/// that, and is good for nothing else afterwards.
///
/// # Errors
/// When a statement is refused.
pub fn make(session: &mut dyn Connection, recipe: &Recipe, to: &str) -> Result<(), Failure> {
    session.run("set foreign_key_checks = 0, unique_checks = 0")?;
    // A row may be there from before a column that is computed as it is read, which has no value for it.
    let relaxed = "replace(replace(@@sql_mode, 'STRICT_TRANS_TABLES', ''), 'STRICT_ALL_TABLES', '')";
    session.run(&format!("set session sql_mode = concat({relaxed}, ',NO_AUTO_VALUE_ON_ZERO')"))?;
    for statement in &recipe.tables {
        session.run(&statement.replace(COPY, to))?;
    }
    // A view over a view has to wait for it.
    let mut views: Vec<&(String, String)> = recipe.views.iter().collect();
    while !views.is_empty() {
        let before = views.len();
        let mut last = None;
        let mut left = Vec::new();
        for view in views {
            let (enter, create) = view;
            session.run(&enter.replace(COPY, to))?;
            if let Err(failure) = session.run(&create.replace(COPY, to)) {
                last = Some(failure);
                left.push(view);
            }
        }
        if let (true, Some(failure)) = (left.len() == before, last) {
            return Err(failure);
        }
        views = left;
    }
    for statement in &recipe.programs {
        session.run(&statement.replace(COPY, to))?;
    }
    Ok(())
}

fn created(session: &mut dyn Connection, query: &str, column: usize) -> Result<String, Failure> {
    let row = session.run(query)?.rows.pop().unwrap_or_default();
    Ok(row.into_iter().nth(column).flatten().unwrap_or_default())
}

fn quoted(name: &str) -> String {
    ident(name, Dialect::Mysql)
}

/// Whether a relation is crossfade's own: as on SQLite.
pub fn part(name: &str) -> Part {
    sqlite_part(name)
}

/// The lines of `show create table`, each a fact of its own, so that their order is none. The next number of a counter is data.
/// MySQL writes `-(1)` for a negative number of a check, and `-1` once another ALTER has read that again.
fn bare_numbers(line: &str) -> String {
    let mut parts = line.split("-(");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                bare.extend(["-", number, rest]);
            }
            _ => bare.extend(["-(", part]),
        }
    }
    bare
}

fn table_lines(path: &str, create: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in create.lines().skip(1) {
        if let Some(options) = line.strip_prefix(") ") {
            let options: Vec<&str> = options.split(' ').filter(|option| !option.starts_with("AUTO_INCREMENT=")).collect();
            lines.push(format!("table {path} {}", options.join(" ")));
            continue;
        }
        let line = &bare_numbers(line.trim().trim_end_matches(','));
        lines.push(match line.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            Some((column, definition)) => format!("column {path}.{column}{definition}"),
            None => format!("constraint {path} {line}"),
        });
    }
    lines
}
