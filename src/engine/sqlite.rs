//! A session on an SQLite database file: one statement at a time, values as text.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

pub use super::{Connection, Failure, Outcome};

/// How long a statement waits for another connection's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|refused| refused.extended_code.to_string());
        let message = match error {
            // Its own text would repeat the statement.
            rusqlite::Error::SqliteFailure(_, Some(message)) | rusqlite::Error::SqlInputError { msg: message, .. } => message,
            other => other.to_string(),
        };
        Self { code, message, detail: None, hint: None, context: None }
    }
}

/// One connection. Dropping it closes the connection; a transaction that is open then is rolled back.
pub struct Session {
    connection: rusqlite::Connection,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a file, which is made when it is not there, or `:memory:`.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection })
    }

    /// Opens a file that is there, to read it and nothing else.
    ///
    /// # Errors
    /// When there is no such file, or it can't be opened.
    pub fn open_to_read(path: &Path) -> Result<Self, Failure> {
        let connection = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection })
    }

    /// Opens a file that is there.
    ///
    /// # Errors
    /// When it is not, or can't be opened.
    pub fn open_existing(path: &Path) -> Result<Self, Failure> {
        if !path.is_file() {
            return Err(Failure {
                code: None,
                message: format!("there is no file `{}`", path.display()),
                detail: None,
                hint: Some("for a first installation make an empty one".to_owned()),
                context: None,
            });
        }
        Self::open(path)
    }

    /// How long a statement waits for another connection's transaction.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn wait_at_most(&self, limit: Duration) -> Result<(), Failure> {
        Ok(self.connection.busy_timeout(limit)?)
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Gives the statements of this connection a function without arguments. What it fails with becomes the statement's error.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn define(&mut self, name: &str, function: impl Fn() -> Result<Option<String>, String> + Send + 'static) -> Result<(), Failure> {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        self.connection
            .create_scalar_function(name, 0, flags, move |_| function().map_err(|why| rusqlite::Error::UserFunctionError(why.into())))?;
        Ok(())
    }

    /// Runs a script as a whole; rows that it gives back are left aside. A transaction that it leaves open when it fails is
    /// rolled back.
    ///
    /// # Errors
    /// The first statement that is refused.
    pub fn run_script(&mut self, script: &str) -> Result<(), Failure> {
        let done = self.connection.execute_batch(script);
        if done.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("rollback")?;
        }
        Ok(done?)
    }

    /// The version of the library, such as `3.54.1`.
    pub fn version() -> &'static str {
        rusqlite::version()
    }
}

impl Connection for Session {
    fn run(&mut self, statement: &str) -> Result<Outcome, Failure> {
        self.run_with(statement, &[])
    }

    fn run_with(&mut self, statement: &str, values: &[Option<&str>]) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        let mut prepared = self.connection.prepare(statement)?;
        for (index, value) in values.iter().enumerate() {
            prepared.raw_bind_parameter(index + 1, value)?;
        }
        outcome.columns = prepared.column_names().map(str::to_owned).collect();
        let width = outcome.columns.len();
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            outcome.rows.push((0..width).map(|index| Ok(text(row.get_ref(index)?))).collect::<Result<_, rusqlite::Error>>()?);
        }
        drop(rows);
        drop(prepared);
        outcome.affected = if width == 0 { self.connection.changes() } else { outcome.rows.len() as u64 };
        Ok(outcome)
    }
}

/// A value as the shell prints it, but for bytes, which are shown as a literal.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(format!("{number:?}")),
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            Some(format!("x'{digits}'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_and_refusals_have_codes() -> Result<(), Box<dyn std::error::Error>> {
        let mut session = Session::open(Path::new(":memory:"))?;
        session.run("create table t (a int not null, b)")?;
        assert_eq!(session.run("insert into t values (1, 2.0), (2, x'00ff'), (3, null), (4, 'ä')")?.affected, 4);
        let rows = session.run("select a, b from t order by a")?.rows;
        let expected = [("1", Some("2.0")), ("2", Some("x'00FF'")), ("3", None), ("4", Some("ä"))];
        assert_eq!(rows, expected.map(|(a, b)| vec![Some(a.to_owned()), b.map(str::to_owned)]));
        let refused = session.run("insert into t values (null, 1)").err();
        let Some(refused) = refused else { return Err("a NULL was accepted".into()) };
        assert_eq!(refused.code.as_deref(), Some("1299"));
        assert!(refused.message.contains("NOT NULL constraint failed: t.a"), "{refused}");
        Ok(())
    }
}
