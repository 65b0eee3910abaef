//! The servers that every case runs on.

use std::path::PathBuf;

use crossfade::engine::ephemeral::mysql;
use crossfade::engine::ephemeral::postgres::{Installation, Server, installations};
use crossfade::sql::Dialect;

use super::engine::mysql::Mysql;
use super::engine::sqlite::Sqlite;
use super::lab::Lab;

/// The major versions that every case must pass on.
pub const MAJORS: [u32; 2] = [15, 18];

/// The installation of a major version. When it is missing: a loud message, or with `CROSSFADE_REQUIRE_ENGINES=1` an error.
pub fn installation(major: u32) -> Result<Option<Installation>, String> {
    let found = installations().into_iter().find(|installation| installation.major == major);
    if found.is_none() {
        missing(&format!(
            "PostgreSQL {major} was not found: run scripts/setup-servers.sh, or name its programs' folder in CROSSFADE_POSTGRES_BIN"
        ))?;
    }
    Ok(found)
}

/// Says loudly that something is not tested, or with `CROSSFADE_REQUIRE_ENGINES=1` that this is an error.
fn missing(message: &str) -> Result<(), String> {
    if std::env::var("CROSSFADE_REQUIRE_ENGINES").is_ok_and(|value| value == "1") {
        return Err(message.to_owned());
    }
    eprintln!("\n!!! NOT TESTED: {message}\n");
    Ok(())
}

/// A server of the MySQL family that every case of its dialect must pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// As trials are named: `mysql97`.
    pub name: &'static str,
    pub dialect: Dialect,
    flavour: mysql::Flavour,
    /// The first number of its version.
    major: u32,
    turn: (usize, usize),
}

/// The servers of the MySQL family.
pub const FAMILY: [Family; 3] = [
    Family { name: "mysql97", dialect: Dialect::Mysql, flavour: mysql::Flavour::Mysql, major: 9, turn: (0, 16) },
    Family { name: "mariadb1011", dialect: Dialect::Mariadb, flavour: mysql::Flavour::Mariadb, major: 10, turn: (8, 16) },
    Family { name: "mariadb118", dialect: Dialect::Mariadb, flavour: mysql::Flavour::Mariadb, major: 11, turn: (4, 16) },
];

impl Family {
    /// The newest installation of its major version. When there is none: as for PostgreSQL.
    pub fn installation(&self) -> Result<Option<mysql::Installation>, String> {
        let found = mysql::installations().into_iter().rev().find(|one| one.flavour == self.flavour && one.version.0 == self.major);
        if found.is_none() {
            let name = self.name;
            missing(&format!("{name} was not found: run scripts/setup-servers.sh, or name its programs' folder in CROSSFADE_MYSQL_BIN"))?;
        }
        Ok(found)
    }

    /// A server to make databases on.
    pub fn lab(&self) -> Result<Option<Lab<Mysql>>, String> {
        self.lab_with(&[])
    }

    /// The same with further settings of the server.
    pub fn lab_with(&self, settings: &[&str]) -> Result<Option<Lab<Mysql>>, String> {
        let Some(installation) = self.installation()? else { return Ok(None) };
        Ok(Some(Lab::of(Mysql::start_with(&installation, self.turn, settings)?)))
    }
}

/// The `pg_dump` of a major version, which none older can stand in for. When there is none: as for PostgreSQL.
pub fn pg_dump(major: u32) -> Result<Option<PathBuf>, String> {
    let beside = installation(major)?.map(|one| one.programs.join("pg_dump"));
    let unpacked = mysql::installations()
        .into_iter()
        .filter_map(|one| Some(one.programs.parent()?.parent()?.join(format!("pg-dump{major}/bin/pg_dump"))))
        .next();
    let packaged = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_dump"));
    let found = beside.into_iter().chain([packaged]).chain(unpacked).find(|program| program.is_file());
    if found.is_none() {
        missing(&format!("pg_dump {major} was not found: run scripts/setup-servers.sh"))?;
    }
    Ok(found)
}

/// MariaDB's program for dumps, which is in none of the packages that the servers need. When there is none: as for PostgreSQL.
pub fn mariadb_dump() -> Result<Option<PathBuf>, String> {
    let found = mysql::installations()
        .into_iter()
        .filter_map(|one| Some(one.programs.parent()?.parent()?.join("mariadb-dump/bin/mariadb-dump")))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join("mariadb-dump")))
        .find(|program| program.is_file());
    if found.is_none() {
        missing("mariadb-dump was not found: run scripts/setup-servers.sh")?;
    }
    Ok(found)
}

/// The `sqlite3` shell. When there is none: as for PostgreSQL.
pub fn sqlite_shell() -> Result<Option<PathBuf>, String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("sqlite3")).find(|shell| shell.is_file());
    if found.is_none() {
        missing("the sqlite3 shell was not found: run scripts/setup-servers.sh")?;
    }
    Ok(found)
}

/// A folder to make SQLite databases in.
pub fn sqlite() -> Result<Option<Lab<Sqlite>>, String> {
    sqlite_shell()?.map(|shell| Sqlite::new(shell).map(Lab::of)).transpose()
}

/// A server of a major version to make databases on.
pub fn lab(major: u32) -> Result<Option<Lab>, String> {
    lab_with(major, &[])
}

/// The same with further settings of the server.
pub fn lab_with(major: u32, settings: &[&str]) -> Result<Option<Lab>, String> {
    let Some(installation) = installation(major)? else { return Ok(None) };
    let server = Server::start_with(&installation, settings).map_err(|error| error.to_string())?;
    Lab::new(server, psql(&installation)).map(Some).map_err(|failure| failure.to_string())
}

/// The installation's own `psql`, or another one: it is the newest that others have.
fn psql(installation: &Installation) -> Option<PathBuf> {
    let mut candidates = vec![installation.programs.join("psql")];
    candidates.extend(installations().into_iter().rev().map(|other| other.programs.join("psql")));
    candidates.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join("psql")));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// An address of this machine that no other server listens on.
pub fn own_address() -> String {
    let number = std::process::id();
    format!("127.{}.{}.{}", 1 + number / 64516 % 254, 1 + number / 254 % 254, 1 + number % 254)
}
