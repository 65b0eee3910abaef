//! MySQL and MariaDB: a throw-away server. What a test calls a database is one of the server's databases with those of the
//! namespaces beside it: `appdb00001`, `appdb00001_v2`.

use std::io::{Seek as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::mysql::{Flavour, Installation, Server};
use crossfade::engine::mysql::Session;
use crossfade::engine::{Connection as _, Failure};
use crossfade::rehearse::catalog::family::{self, Recipe};
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
        family::databases(&mut *self.admin.lock().unwrap_or_else(PoisonError::into_inner), name)
    }

    /// Copies a database, by a recipe that is read the first time.
    fn copy_all(&self, from: &str, to: &str, recipe: &mut Option<Recipe>) -> Result<(), Failure> {
        let mut session = Session::connect(&self.server.address(None))?;
        let recipe = match recipe {
            Some(recipe) => recipe,
            None => recipe.insert(family::recipe(&mut session, from)?),
        };
        family::make(&mut session, recipe, to)
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
        for database in family::databases(&mut *admin, name).unwrap_or_default() {
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
        family::catalog(self)
    }

    fn shape(&mut self) -> Result<Shape, Failure> {
        let Some(base) = self.value("select database()")? else { return Ok(Shape::default()) };
        let mut shape = Shape::default();
        for (relation, is_table) in family::relations(self, &base)? {
            if family::part(&relation) == Part::Product {
                for (name, read_only) in family::columns(self, &base, &relation)? {
                    shape.push(&relation, is_table, Column { name, read_only });
                }
            }
        }
        Ok(shape)
    }

    fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let Some(base) = self.value("select database()")? else { return Ok(Vec::new()) };
        let mut tables = Vec::new();
        for database in family::databases(self, &base)? {
            for (relation, is_table) in family::relations(self, &database)? {
                if is_table && family::part(&relation) == Part::Product {
                    let mut columns = family::columns_of_table(self, &database, &relation)?;
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
