//! SQLite, in this process: a folder of database files, in memory where the system offers that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Stopped;
use super::catalog::{self, Line, Part};
use super::place::{Place, rows_of};
use crate::engine::sqlite::Session;
use crate::engine::{Connection, Failure};
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// A folder that goes with this value.
pub(super) struct Sqlite {
    folder: PathBuf,
}

impl Sqlite {
    pub(super) fn new() -> Result<Self, Stopped> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        loop {
            let folder = parent.join(format!("crossfade-rehearse-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self { folder }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Stopped(format!("can't make the folder {}: {error}", folder.display()))),
            }
        }
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number}.db"))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Place for Sqlite {
    fn product(&self) -> String {
        format!("SQLite {}", Session::version())
    }

    fn create(&self, number: u32, _schema: &str) -> Result<(), Stopped> {
        fs::File::create_new(self.file(number)).map(drop).map_err(|error| Stopped(format!("can't make a database: {error}")))
    }

    fn copy(&self, from: u32, to: u32) -> Result<(), Stopped> {
        fs::copy(self.file(from), self.file(to)).map(drop).map_err(|error| Stopped(format!("can't copy a database: {error}")))
    }

    fn remove(&self, number: u32) {
        let _ = fs::remove_file(self.file(number));
    }

    fn connect(&self, number: u32) -> Result<Box<dyn Connection + Send>, Failure> {
        let mut session = Session::open(&self.file(number))?;
        // Nothing here outlives the process. Foreign keys are off, as in the shell that runs scripts.
        session.run("pragma synchronous = off")?;
        session.run("pragma foreign_keys = off")?;
        Ok(Box::new(session))
    }

    /// Of two that write one waits for the other's commit.
    fn has_crowds(&self) -> bool {
        false
    }

    fn session_id(&self, _session: &mut dyn Connection) -> Result<String, Failure> {
        Ok(String::new())
    }

    fn is_waiting(&self, _id: &str) -> Result<bool, Failure> {
        Ok(false)
    }

    fn kill(&self, _id: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn enter(&self, session: &mut dyn Connection, _schema: &str, _version: Option<&str>) -> Result<(), Failure> {
        session.run("pragma foreign_keys = on").map(drop)
    }

    fn shown(&self, column: &str) -> String {
        format!("quote({column})")
    }

    fn set_references_aside(&self) -> [&'static str; 2] {
        ["pragma foreign_keys = off", "pragma foreign_keys = on"]
    }

    fn catalog(&self, session: &mut dyn Connection) -> Result<Vec<Line>, Failure> {
        catalog::sqlite(session)
    }

    fn rows(&self, session: &mut dyn Connection, masked: &[&str]) -> Result<Vec<String>, Failure> {
        let tables = session.run("select name from sqlite_schema where type = 'table' and name not like 'sqlite!_%' escape '!'")?.rows;
        let mut lines = Vec::new();
        for name in tables.into_iter().flatten().flatten().filter(|name| catalog::sqlite_part(name) == Part::Product) {
            let columns = session.run(&format!("select name from pragma_table_xinfo('{}')", name.replace('\'', "''")))?.rows;
            let mut columns: Vec<String> = columns.into_iter().flatten().flatten().collect();
            columns.sort();
            lines.extend(rows_of(self, session, Dialect::Sqlite, (&name, &ident(&name, Dialect::Sqlite)), &columns, masked)?);
        }
        lines.sort();
        Ok(lines)
    }

    fn second_run_may_refuse(&self) -> bool {
        true
    }

    fn counts_through_views(&self) -> bool {
        false
    }
}
