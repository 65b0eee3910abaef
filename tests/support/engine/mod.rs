//! What the tests must know of each kind of database, and nothing else of it.

pub mod mysql;
pub mod postgres;
pub mod sqlite;

use crossfade::engine::{Connection, Failure};
pub use crossfade::rehearse::catalog::Part;
use crossfade::sql::Dialect;

use super::shape::Shape;

/// A place that databases are made in: a server, or a folder.
pub trait Engine: Send + Sync + Sized {
    type Session: Inspect;
    /// What is known of a database once it was copied, as long as nobody has been connected to it since.
    type Recipe: Default + Send;

    fn dialect(&self) -> Dialect;

    /// Which of the points at which a phase can be killed this one tries: every n-th, from the m-th on, as `(m, n)`. Engines
    /// that run the same scripts share them out.
    fn turn(&self) -> (usize, usize) {
        (0, 1)
    }

    /// The name of a database, by its number.
    fn name(&self, number: u32) -> String {
        format!("d{number}")
    }

    fn create(&self, name: &str) -> Result<(), String>;

    /// Makes a database that equals another one, which nobody is connected to.
    fn copy(&self, from: &str, to: &str, recipe: &mut Self::Recipe) -> Result<(), String>;

    fn remove(&self, name: &str);

    fn connect(&self, name: &str) -> Result<Self::Session, Failure>;

    /// Makes a session a client of a version: of the base schema, or of a version's own namespace.
    fn enter(&self, session: &mut Self::Session, name: &str, version: Option<&str>) -> Result<(), Failure>;

    /// The name under which the clients of a version's own namespace find a relation.
    fn reach(&self, relation: &str, _version: &str) -> String {
        relation.to_owned()
    }

    /// Takes every state off a session, for the next client. False: there is no way, make a new one.
    fn reset(&self, _session: &mut Self::Session) -> bool {
        false
    }

    /// Leaves a database as the loss of a session would: what the session had begun is rolled back. Where sessions can't be reset, it
    /// is closed next.
    fn lose(&self, _session: &mut Self::Session) {}

    /// Waits until every connection to a database is gone.
    fn wait_alone(&self, _name: &str) -> Result<(), String> {
        Ok(())
    }

    /// A compiled script as it is for a database of this name.
    fn script(&self, script: &str, _name: &str) -> String {
        script.to_owned()
    }

    /// Runs a script as a whole with the client that operators have. Gives back its exit code and what it said.
    fn client(&self, name: &str, script: &str) -> Result<(i32, String), String>;

    /// Whether a script that has nothing left to do may refuse, saying what comes next, instead of doing nothing.
    fn second_run_may_refuse(&self) -> bool {
        false
    }
}

/// A table that is physically there.
#[derive(Debug, Clone)]
pub struct Table {
    /// As a reader knows it.
    pub name: String,
    /// Without its schema.
    pub relation: String,
    /// As SQL wants it.
    pub sql: String,
    /// Its columns: the name, and the expression that shows a value as text.
    pub columns: Vec<(String, String)>,
}

/// What a session can tell about its database.
pub trait Inspect: Connection {
    /// One line for every fact of the catalog, in any order.
    fn catalog(&mut self) -> Result<Vec<(Part, String)>, Failure>;

    /// The relations of a database in which one snapshot alone was installed.
    fn shape(&mut self) -> Result<Shape, Failure>;

    /// Every table that is physically there, but for the server's and crossfade's own.
    fn tables(&mut self) -> Result<Vec<Table>, Failure>;

    /// Where the upgrade stands, if the database knows: old version, new version, phase, revision.
    fn stands(&mut self) -> Result<Vec<Vec<Option<String>>>, Failure>;

    /// A mark that is another one after a write by any session. `None`: this server has none.
    fn written(&mut self) -> Result<Option<String>, Failure>;

    /// A name as SQL wants it.
    fn quoted(name: &str) -> String;

    /// The expression that shows a column as text.
    fn shown(column: &str) -> String {
        Self::quoted(column)
    }

    /// A statement of a case in the words of this kind of database, and whether it gives back rows where `returning` says so.
    fn spoken(statement: &str) -> (String, bool) {
        (statement.to_owned(), true)
    }

    /// Whether a refusal is the one that a case expects.
    fn refused_with(failure: &Failure, expected: &str) -> bool;
}

/// What every database refuses, by its SQLSTATE on PostgreSQL: the numbers of MySQL and MariaDB, and words of SQLite.
const REFUSALS: [(&str, &[&str], &str); 4] = [
    // 1048: NULL given; 1263: to an update of several rows; 1364 and, through a view, 1423: nothing given, and no default.
    ("23502", &["1048", "1263", "1364", "1423"], "NOT NULL constraint failed"),
    // 1451: a row is referred to; 1452: there is no row to refer to.
    ("23503", &["1451", "1452"], "FOREIGN KEY constraint failed"),
    ("23505", &["1062"], "UNIQUE constraint failed"),
    // MySQL and MariaDB each have a number of their own.
    ("23514", &["3819", "4025"], "CHECK constraint failed"),
];
