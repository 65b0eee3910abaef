//! MySQL and MariaDB: a throw-away server. What a test calls a database is one of the server's databases with those of the
//! namespaces beside it: `appdb00001`, `appdb00001_v2`.

use std::io::{Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::mysql::{Flavour, Installation, Server};
use crossfade::engine::mysql::Session;
use crossfade::engine::{Connection as _, Failure};
use crossfade::sql::Dialect;

use super::{Engine, Inspect, Part, REFUSALS, Table};
use crate::support::shape::{Column, Shape};

/// The database that scripts are compiled for. The names of all others are as long, and stand in its place in a script: that
/// is what the compiler would write for them. It stands nowhere else in a script.
pub const COMPILED_FOR: &str = "appdb00000";

pub struct Mysql {
    server: Server,
    admin: Mutex<Session>,
    turn: (usize, usize),
}

impl Mysql {
    /// Starts a server. It takes its turn among those that run the same scripts.
    pub fn start(installation: &Installation, turn: (usize, usize)) -> Result<Self, String> {
        Self::start_with(installation, turn, &[])
    }

    /// The same with further settings of the server.
    pub fn start_with(installation: &Installation, turn: (usize, usize), settings: &[&str]) -> Result<Self, String> {
        let server = Server::start_with(installation, settings).map_err(|error| error.to_string())?;
        let admin = Session::connect(&server.address(None)).map_err(|failure| failure.to_string())?;
        Ok(Self { server, admin: Mutex::new(admin), turn })
    }

    /// The definitions of a database, by the server's own program for dumps; `None` where it is not installed.
    pub fn dump(&self, name: &str) -> Result<Option<String>, String> {
        let client = self.server.installation().client().ok_or("the server comes without its client: run scripts/setup-servers.sh")?;
        // A program of a tree finds its libraries, and itself, by the name that it is called by.
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let program = match self.server.installation().flavour {
            Flavour::Mysql => {
                let link = folder.path().join("mysqldump");
                std::os::unix::fs::symlink(&client, &link).map_err(|error| error.to_string())?;
                link
            }
            Flavour::Mariadb => match crate::support::servers::mariadb_dump()? {
                Some(program) => program,
                None => return Ok(None),
            },
        };
        let mut command = Command::new(&program);
        let output = command
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.server.address(None).socket.display()))
            .args(["--user=root", "--no-data", "--routines", "--events", name])
            .output()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Ends the server as a crash would, and starts it again.
    pub fn crash(&mut self) -> Result<(), String> {
        self.server.kill_hard();
        self.server.restart().map_err(|error| error.to_string())?;
        self.admin = Mutex::new(Session::connect(&self.server.address(None)).map_err(|failure| failure.to_string())?);
        Ok(())
    }

    /// Starts the server's client on a script, as an account.
    pub fn spawn(&self, name: &str, script: &str, account: &str) -> Result<Child, String> {
        let program = self.server.installation().client().ok_or("the server comes without its client: run scripts/setup-servers.sh")?;
        let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
        file.write_all(self.script(script, name).as_bytes()).and_then(|()| file.rewind()).map_err(|error| error.to_string())?;
        Command::new(&program)
            .arg("--no-defaults")
            .arg(format!("--socket={}", self.server.address(None).socket.display()))
            .args([&format!("--user={account}"), "--default-character-set=utf8mb4", name])
            .stdin(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))
    }

    /// Where a database is.
    pub fn address(&self, name: &str) -> crossfade::engine::mysql::Address {
        self.server.address(Some(name))
    }

    /// The session that makes and drops databases chooses one: without any it may be a client of each.
    pub fn choose(&self, database: &str) -> Result<(), Failure> {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner).run(&format!("use `{database}`")).map(drop)
    }

    /// The server itself, for those who stop and start it.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The databases that belong to one, itself first.
    fn databases(&self, name: &str) -> Result<Vec<String>, Failure> {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner).databases(name)
    }

    /// Reads what makes a database and its namespaces anew.
    fn read(&self, session: &mut Session, from: &str) -> Result<Recipe, Failure> {
        let databases = self.databases(from)?;
        let renamed = |text: &str| text.replace(from, COPY);
        let mut recipe = Recipe::default();
        for database in &databases {
            let create = created(session, &format!("show create database `{database}`"), 1)?;
            recipe.tables.push(renamed(&create));
            recipe.tables.push(format!("use `{}`", renamed(database)));
            for (name, is_table) in session.relations(database)? {
                let name = Session::quoted(&name);
                let relation = format!("`{database}`.{name}");
                if !is_table {
                    let create = created(session, &format!("show create view {relation}"), 1)?;
                    recipe.views.push((format!("use `{}`", renamed(database)), renamed(&create)));
                    continue;
                }
                let create = created(session, &format!("show create table {relation}"), 1)?;
                let columns: Vec<String> =
                    columns_of(&create).into_iter().filter(|(_, generated)| !generated).map(|(name, _)| Session::quoted(&name)).collect();
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
                let name = Session::quoted(row[0].as_deref().unwrap_or_default());
                let row = session.run(&format!("show create trigger `{database}`.{name}"))?.rows.pop().unwrap_or_default();
                let [_, Some(mode), Some(create), ..] = &row[..] else { continue };
                recipe.programs.push(format!("set session sql_mode = '{mode}'"));
                recipe.programs.push(renamed(create));
            }
            let routines = session
                .run(&format!("select routine_type, routine_name from information_schema.routines where routine_schema = '{database}'"))?;
            for row in routines.rows {
                let [Some(kind), Some(name)] = &row[..] else { continue };
                let create = created(session, &format!("show create {kind} `{database}`.{}", Session::quoted(name)), 2)?;
                recipe.programs.push(renamed(&create));
            }
        }
        Ok(recipe)
    }

    /// Copies tables with their rows, then the views and triggers over them.
    fn copy_all(&self, from: &str, to: &str, recipe: &mut Option<Recipe>) -> Result<(), Failure> {
        let mut session = Session::connect(&self.server.address(None))?;
        let recipe = match recipe {
            Some(recipe) => recipe,
            None => recipe.insert(self.read(&mut session, from)?),
        };
        session.run("set foreign_key_checks = 0, unique_checks = 0")?;
        session.run("set session sql_mode = concat(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")?;
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
}

/// Stands in a recipe for the name of the database that is made.
const COPY: &str = "<the copy>";

/// The statements that make a database anew.
#[derive(Default)]
pub struct Recipe {
    /// The databases, and tables with their rows.
    tables: Vec<String>,
    /// Views, each behind the choice of its database.
    views: Vec<(String, String)>,
    /// Triggers and routines.
    programs: Vec<String>,
}

/// The columns of a `create table` as the server prints it, each with whether it is computed. The information schema says the same, and
/// takes ten times as long.
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

fn created(session: &mut Session, query: &str, column: usize) -> Result<String, Failure> {
    let row = session.run(query)?.rows.pop().unwrap_or_default();
    Ok(row.into_iter().nth(column).flatten().unwrap_or_default())
}

trait Look {
    fn databases(&mut self, name: &str) -> Result<Vec<String>, Failure>;
    /// Tables and views, each with whether it is a table.
    fn relations(&mut self, database: &str) -> Result<Vec<(String, bool)>, Failure>;
    /// Columns, each with whether it is generated.
    fn columns(&mut self, database: &str, relation: &str) -> Result<Vec<(String, bool)>, Failure>;
    fn pairs(&mut self, query: &str) -> Result<Vec<(String, bool)>, Failure>;
}

impl Look for Session {
    fn databases(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let rows = self.run(&format!("show databases like '{name}%'"))?.rows;
        let mut names: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        names.sort();
        Ok(names)
    }

    fn relations(&mut self, database: &str) -> Result<Vec<(String, bool)>, Failure> {
        let rows = self.run(&format!("show full tables from `{database}`"))?.rows;
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

    fn columns(&mut self, database: &str, relation: &str) -> Result<Vec<(String, bool)>, Failure> {
        self.pairs(&format!(
            "select column_name, coalesce(generation_expression, '') <> '' from information_schema.columns
             where table_schema = '{database}' and table_name = '{}' order by ordinal_position",
            relation.replace('\'', "''")
        ))
    }

    fn pairs(&mut self, query: &str) -> Result<Vec<(String, bool)>, Failure> {
        let rows = self.run(query)?.rows;
        Ok(rows
            .into_iter()
            .filter_map(|row| match &row[..] {
                [Some(name), Some(is)] => Some((name.clone(), is == "1")),
                _ => None,
            })
            .collect())
    }
}

impl Engine for Mysql {
    type Session = Session;
    type Recipe = Option<Recipe>;

    fn dialect(&self) -> Dialect {
        match self.server.installation().flavour {
            Flavour::Mysql => Dialect::Mysql,
            Flavour::Mariadb => Dialect::Mariadb,
        }
    }

    fn turn(&self) -> (usize, usize) {
        self.turn
    }

    fn name(&self, number: u32) -> String {
        format!("appdb{number:05}")
    }

    fn create(&self, name: &str) -> Result<(), String> {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        admin.run(&format!("create database `{name}`")).map(drop).map_err(|failure| failure.to_string())
    }

    fn copy(&self, from: &str, to: &str, recipe: &mut Self::Recipe) -> Result<(), String> {
        self.copy_all(from, to, recipe).map_err(|failure| format!("copying a database: {failure}"))
    }

    fn remove(&self, name: &str) {
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        // A database that stays goes with its server.
        for database in admin.databases(name).unwrap_or_default() {
            let _ = admin.run(&format!("drop database if exists `{database}`"));
        }
    }

    fn connect(&self, name: &str) -> Result<Session, Failure> {
        Session::connect(&self.server.address(Some(name)))
    }

    fn enter(&self, session: &mut Session, name: &str, version: Option<&str>) -> Result<(), Failure> {
        // So that `||` means the same everywhere.
        session.run("set session sql_mode = concat(@@sql_mode, ',PIPES_AS_CONCAT')")?;
        match version {
            Some(version) => session.run(&format!("use `{name}_{version}`")).map(drop),
            None => Ok(()),
        }
    }

    /// A closed connection is gone a moment after it was closed.
    fn wait_alone(&self, name: &str) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let rows = self
                .admin
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .run("show processlist")
                .map_err(|failure| failure.to_string())?
                .rows;
            if !rows.iter().any(|row| row[3].as_deref().is_some_and(|database| database.starts_with(name))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("somebody stays connected to {name}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn script(&self, script: &str, name: &str) -> String {
        script.replace(COMPILED_FOR, name)
    }

    fn client(&self, name: &str, script: &str) -> Result<(i32, String), String> {
        let child = self.spawn(name, script, "root")?;
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.code().unwrap_or(-1), said))
    }
}

impl Inspect for Session {
    fn catalog(&mut self) -> Result<Vec<(Part, String)>, Failure> {
        let Some(base) = self.value("select database()")? else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        for database in self.databases(&base)? {
            let shown = database.replace(&base, "app");
            let create = created(self, &format!("show create database `{database}`"), 1)?;
            lines.push((Part::Product, format!("database {shown} {}", create.replace(&base, "app"))));
            for (name, is_table) in self.relations(&database)? {
                let (part, path) = (part(&name), format!("{shown}.{name}"));
                let kind = if is_table { "table" } else { "view" };
                let create =
                    created(self, &format!("show create {kind} `{database}`.{}", Session::quoted(&name)), 1)?.replace(&base, "app");
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
                for row in self.run(&format!("{query}'{database}'"))?.rows {
                    let values: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
                    let line = format!("{kind} {shown}.{}", values.join(" ")).replace(&base, "app");
                    lines.push((part(&values[0]), line));
                }
            }
        }
        Ok(lines)
    }

    fn shape(&mut self) -> Result<Shape, Failure> {
        let Some(base) = self.value("select database()")? else { return Ok(Shape::default()) };
        let mut shape = Shape::default();
        for (relation, is_table) in self.relations(&base)? {
            if part(&relation) == Part::Product {
                for (name, read_only) in self.columns(&base, &relation)? {
                    shape.push(&relation, is_table, Column { name, read_only });
                }
            }
        }
        Ok(shape)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let Some(base) = self.value("select database()")? else { return Ok(Vec::new()) };
        let mut tables = Vec::new();
        for database in self.databases(&base)? {
            for (relation, is_table) in self.relations(&database)? {
                if is_table && part(&relation) == Part::Product {
                    let create = created(self, &format!("show create table `{database}`.{}", Session::quoted(&relation)), 1)?;
                    let mut columns = columns_of(&create);
                    columns.sort();
                    tables.push(Table {
                        name: format!("{}.{relation}", database.replace(&base, "app")),
                        sql: format!("`{database}`.{}", Session::quoted(&relation)),
                        columns: columns.into_iter().map(|(name, _)| (name.clone(), Session::shown(&name))).collect(),
                        relation,
                    });
                }
            }
        }
        Ok(tables)
    }

    fn stands(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure> {
        if self.run("show tables like 'crossfade\\_version'")?.rows.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.run("select old_version, new_version, phase, revision from crossfade_version")?.rows)
    }

    fn written(&mut self) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    fn quoted(name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    /// There is no RETURNING (MariaDB has it for some statements), and an upsert has other words.
    fn spoken(statement: &str) -> (String, bool) {
        let (statement, returns) = match statement.rsplit_once(" returning ") {
            Some((before, _)) => (before, false),
            None => (statement, true),
        };
        if let Some((before, rest)) = statement.split_once(" on conflict (")
            && rest.ends_with(") do nothing")
        {
            return (before.replacen("insert into", "insert ignore into", 1), returns);
        }
        let Some((before, rest)) = statement.split_once(" on conflict (") else { return (statement.to_owned(), returns) };
        let Some((_, sets)) = rest.split_once(") do update set ") else { return (statement.to_owned(), returns) };
        let mut parts = sets.split("excluded.");
        let mut sets = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(part.len());
            sets.push_str(&format!("values({}){}", &part[..end], &part[end..]));
        }
        (format!("{before} on duplicate key update {sets}"), returns)
    }

    fn refused_with(failure: &Failure, expected: &str) -> bool {
        let Some(code) = failure.code.as_deref() else { return false };
        match REFUSALS.iter().find(|(state, ..)| *state == expected) {
            Some((_, numbers, _)) => numbers.contains(&code),
            None => code == expected,
        }
    }
}

/// Version tables stay; what else has this prefix helps while two versions run.
fn part(name: &str) -> Part {
    const STAY: [&str; 5] =
        ["crossfade_revision", "crossfade_journal", "crossfade_checkpoint", "crossfade_failing_row", "crossfade_version"];
    match name {
        name if STAY.contains(&name) => Part::Version,
        name if name.starts_with("crossfade_") => Part::Helper,
        _ => Part::Product,
    }
}

/// The lines of `show create table`, each a fact of its own, so that their order is none. The next number of a counter is data.
fn table_lines(path: &str, create: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in create.lines().skip(1) {
        if let Some(options) = line.strip_prefix(") ") {
            let options: Vec<&str> = options.split(' ').filter(|option| !option.starts_with("AUTO_INCREMENT=")).collect();
            lines.push(format!("table {path} {}", options.join(" ")));
            continue;
        }
        let line = line.trim().trim_end_matches(',');
        lines.push(match line.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            Some((column, definition)) => format!("column {path}.{column}{definition}"),
            None => format!("constraint {path} {line}"),
        });
    }
    lines
}
