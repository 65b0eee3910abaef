//! MySQL and MariaDB for the runner: their words, and what their errors mean. Each statement is a file of this module's folder.

use super::engine::{Class, Engine, SchemaLock, Words};
use crate::emit::program::code;
use crate::engine::mysql::{Location, Session};
use crate::engine::{Connection, Failure, Notice, Outcome};
use crate::sql::Dialect;

/// A MySQL or MariaDB database.
#[derive(Debug, Clone)]
pub struct Mysql {
    location: Location,
    dialect: Dialect,
}

impl Mysql {
    /// The database of a URL, whose scheme says which of the two servers it is.
    ///
    /// # Errors
    /// As [`Location::parse`], and when it names no database.
    pub fn at(url: &str) -> Result<Self, Failure> {
        let location = Location::parse(url)?;
        let dialect = if location.scheme() == "mariadb" { Dialect::Mariadb } else { Dialect::Mysql };
        if location.database().is_none() {
            return Err(said("the URL names no database (mysql://user@host:port/database)"));
        }
        Ok(Self { location, dialect })
    }
}

fn said(message: &str) -> Failure {
    Failure { code: None, message: message.to_owned(), detail: None, hint: None, context: None }
}

/// The code of what a gate has said, as SIGNAL has it.
const GATE: &str = "45000";

const SESSIONS: &[&str] = &[include_str!("mysql/named_sessions.sql"), include_str!("mysql/sessions.sql")];

/// As in the scripts: a row that does not fit fails, and nothing is cut. A key that is 0 is copied as it is.
const STRICT: &str = "set session sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'";
/// Rows that a batch only looks at are not locked.
const READ_COMMITTED: &str = "set session transaction isolation level read committed";

static MYSQL: Words = Words {
    try_lock: include_str!("mysql/lock.sql"),
    unlock: include_str!("mysql/unlock.sql"),
    holder: include_str!("mysql/holder.sql"),
    is_set_up: include_str!("mysql/is_set_up.sql"),
    is_complete: include_str!("mysql/is_complete.sql"),
    revisions: include_str!("mysql/revisions.sql"),
    journal: include_str!("mysql/journal.sql"),
    begin_statement: include_str!("mysql/begin_statement.sql"),
    finish_statement: include_str!("mysql/finish_statement.sql"),
    fail_statement: include_str!("mysql/fail_statement.sql"),
    forget_statement: include_str!("mysql/forget_statement.sql"),
    own_id: include_str!("mysql/own_id.sql"),
    blockers: &[include_str!("mysql/blockers_of_metadata.sql"), include_str!("mysql/blockers.sql")],
    parts: include_str!("mysql/parts.sql"),
    new_part: include_str!("mysql/new_part.sql"),
    advance: include_str!("mysql/advance.sql"),
    finish_part: include_str!("mysql/finish_part.sql"),
    finish_parts: include_str!("mysql/finish_parts.sql"),
    estimate: include_str!("mysql/estimate.sql"),
    kept: Some(include_str!("mysql/kept.sql")),
    schema_lock: Some(&SCHEMA_LOCK),
    set_aside: include_str!("mysql/set_aside.sql"),
    take_back: include_str!("mysql/take_back.sql"),
    failing: include_str!("mysql/failing.sql"),
    lag: None,
    load: Some(include_str!("mysql/load.sql")),
    old_snapshot: include_str!("mysql/old_snapshot.sql"),
    tells_writers: Some(include_str!("mysql/tells_writers.sql")),
    sessions: SESSIONS,
    // The new version's views want the rights on the tables, too.
    outsiders: None,
    checkpoints: include_str!("mysql/checkpoints.sql"),
    doctor: &[include_str!("mysql/doctor.sql"), include_str!("mysql/doctor_of_sessions.sql"), include_str!("mysql/doctor_of_rows.sql")],
    batch_settings: &[
        STRICT,
        // MySQL takes no shorter time: rows are locked by a statement of their own, which does not wait.
        "set session lock_wait_timeout = 1, innodb_lock_wait_timeout = 1",
        READ_COMMITTED,
    ],
    impatience: None,
};

static SCHEMA_LOCK: SchemaLock = SchemaLock {
    try_lock: include_str!("mysql/schema_lock.sql"),
    readers: &[include_str!("mysql/schema_readers.sql"), include_str!("mysql/schema_readers_of_rows.sql")],
    beside: true,
    // The scripts' own second is the shortest time.
    wait: None,
};

static MARIADB: Words = Words {
    blockers: &[
        include_str!("mysql/blockers_of_metadata.sql"),
        include_str!("mysql/blockers_of_plugin.sql"),
        include_str!("mysql/blockers.sql"),
    ],
    doctor: &[include_str!("mysql/doctor.sql"), include_str!("mysql/doctor_of_sessions.sql")],
    // As in the scripts: who waits while it holds rows can be half of a deadlock.
    batch_settings: &[STRICT, "set session lock_wait_timeout = 1, innodb_lock_wait_timeout = 0", READ_COMMITTED],
    ..MYSQL
};

impl Engine for Mysql {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn place(&self) -> String {
        self.location.to_string()
    }

    fn database(&self) -> Option<&str> {
        self.location.database()
    }

    fn connect(&self, name: &str) -> Result<Box<dyn Connection + Send>, Failure> {
        let mut session = Session::connect_to(&self.location, name)?;
        let version = session.value("select version()")?.unwrap_or_default();
        let (is, other) = if version.contains("MariaDB") { ("MariaDB", "mariadb") } else { ("MySQL", "mysql") };
        if (other == "mariadb") != (self.dialect == Dialect::Mariadb) {
            return Err(said(&format!("this server is {is} ({version}): its URL begins with {other}://")));
        }
        // By this lock others know the session for one of ours: neither server tells names unless its performance schema is on.
        session.run_with(include_str!("mysql/mark.sql"), &[Some(name.split(' ').nth(1).unwrap_or(name))])?;
        if self.dialect == Dialect::Mysql {
            // The size of a table as it is now, and not as of yesterday.
            session.run("set session information_schema_stats_expiry = 0")?;
        }
        Ok(Box::new(session))
    }

    fn words(&self) -> &'static Words {
        if self.dialect == Dialect::Mysql { &MYSQL } else { &MARIADB }
    }

    /// What changes the schema commits (MySQL manual, "Statements That Cause an Implicit Commit"), and a procedure may do so.
    fn is_transactional(&self, statement: &str) -> bool {
        let code = code(statement).to_lowercase();
        code.split(' ').next().is_some_and(|word| ["insert", "update", "delete", "replace", "select", "set"].contains(&word))
    }

    /// A check says what it has found in a row of its own, since a message of an error is short.
    fn spoken(&self, outcome: &Outcome) -> Vec<Notice> {
        let notice = |severity: &str, message: &Option<String>| Notice {
            severity: severity.to_owned(),
            message: message.clone().unwrap_or_default(),
        };
        let [first, second] = outcome.columns.as_slice() else { return Vec::new() };
        let rows = outcome.rows.iter().filter_map(|row| row.first().zip(row.get(1)));
        match (first.as_str(), second.as_str()) {
            ("stops this script", "what to do") => rows.map(|(_, hint)| notice("HINT", hint)).collect(),
            ("warning", "what follows") => {
                rows.flat_map(|(found, follows)| [notice("WARNING", found), notice("WARNING", follows)]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a gate says is the value that does not fit; the server's message has the beginning of it.
    fn explain(&self, session: &mut dyn Connection, statements: &[String], failure: Failure) -> Failure {
        if failure.code.as_deref() != Some("1366") || !failure.message.contains("nothing was changed") {
            return failure;
        }
        for statement in statements {
            let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
            let text = lines.collect::<Vec<_>>().join("\n");
            let Some(question) = text.trim().strip_prefix("insert into crossfade_gate ") else { continue };
            if let Ok(Some(message)) = session.value(question) {
                return Failure { code: Some(GATE.to_owned()), message, ..failure };
            }
        }
        failure
    }

    /// Of several sources the one that is furthest behind counts. While a thread of the replica stands, its number may be an old one.
    fn behind(&self, session: &mut dyn Connection) -> Result<Option<u64>, Failure> {
        let question = if self.dialect == Dialect::Mysql { "show replica status" } else { "show all replicas status" };
        let outcome = session.run(question)?;
        let value = |row: &[Option<String>], names: [&str; 2]| {
            let at = outcome.columns.iter().position(|column| names.contains(&column.as_str()))?;
            row.get(at).cloned().flatten()
        };
        let runs = |row: &[Option<String>], names| value(row, names).as_deref() == Some("Yes");
        let each = outcome.rows.iter().map(|row| {
            let both = runs(row, ["Replica_IO_Running", "Slave_IO_Running"]) && runs(row, ["Replica_SQL_Running", "Slave_SQL_Running"]);
            value(row, ["Seconds_Behind_Source", "Seconds_Behind_Master"]).filter(|_| both)?.parse().ok()
        });
        let behind: Option<Vec<u64>> = each.collect();
        Ok(behind.and_then(|all| all.into_iter().max()))
    }

    fn guards_truncate(&self) -> bool {
        false
    }

    fn before_again(&self, statements: &[String]) -> Vec<String> {
        let made = |statement: &String| {
            let code = code(statement);
            let name = code.strip_prefix("create procedure ")?.split('(').next()?.to_owned();
            Some(format!("drop procedure if exists {name}"))
        };
        statements.iter().filter_map(made).collect()
    }

    /// Numbers: both manuals, "Server Error Message Reference".
    fn class(&self, failure: &Failure) -> Class {
        match failure.code.as_deref() {
            None | Some("1053" | "1927" | "2006" | "2013" | "3169" | "4031") => Class::Lost,
            Some("1020" | "1205" | "1213" | "3572") => Class::Lock,
            Some(
                "1048" | "1062" | "1139" | "1216" | "1217" | "1242" | "1264" | "1265" | "1292" | "1365" | "1366" | "1406" | "1411" | "1416"
                | "1425" | "1441" | "1451" | "1452" | "1525" | "1644" | "1690" | "1918" | "3140" | "3141" | "3143" | "3156" | "3819"
                | "4025" | "4037" | "4038",
            ) => Class::Row,
            Some(_) => Class::Other,
        }
    }
}
