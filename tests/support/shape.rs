//! What a version sees: the relations and columns of its own snapshot, read as its client reads them.

use std::collections::BTreeMap;

use crossfade::engine::Failure;
use crossfade::engine::postgres::Session;

use super::engine::Inspect;

/// The relations of one snapshot.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    pub relations: BTreeMap<String, Relation>,
}

#[derive(Debug, Clone)]
pub struct Relation {
    /// A table can be written; a view is only read.
    pub table: bool,
    pub columns: Vec<Column>,
    /// The name that its clients use, where that is another one.
    pub reach: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The server refuses to assign to it (generated, or an identity that is always generated).
    pub read_only: bool,
}

/// A name as PostgreSQL wants it.
pub fn quoted(name: &str) -> String {
    Session::quoted(name)
}

impl Shape {
    /// Reads a database in which the snapshot alone was installed.
    pub fn read(session: &mut impl Inspect) -> Result<Self, Failure> {
        session.shape()
    }

    /// Puts a column into its relation.
    pub fn push(&mut self, relation: &str, table: bool, column: Column) {
        self.relations
            .entry(relation.to_owned())
            .or_insert_with(|| Relation { table, columns: Vec::new(), reach: None })
            .columns
            .push(column);
    }

    /// The same relations, where its clients find them.
    pub fn reached(mut self, reach: impl Fn(&str) -> String) -> Self {
        for (name, relation) in &mut self.relations {
            relation.reach = Some(reach(name)).filter(|reach| reach != name);
        }
        self
    }

    /// The name that the clients of this shape use for a relation.
    pub fn reach<'a>(&'a self, name: &'a str) -> &'a str {
        self.relations.get(name).and_then(|relation| relation.reach.as_deref()).unwrap_or(name)
    }

    /// SQL that was written with the snapshot's own names, with those that the clients of this shape use: in place of
    /// `{users}`, and of a name behind `into`, `update`, `from` or `join`.
    pub fn named(&self, sql: &str) -> String {
        let mut result = String::new();
        let mut before = String::new();
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            let braced = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
            let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
            if let Some(name) = braced.filter(|name| self.relations.contains_key(*name)) {
                result.push_str(self.reach(name));
                rest = &rest[name.len() + 2..];
            } else if first == '\'' {
                let end = rest[1..].find('\'').map_or(rest.len(), |offset| offset + 2);
                result.push_str(&rest[..end]);
                rest = &rest[end..];
            } else if is_word(first) {
                let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                let word = &rest[..end];
                let names = ["into", "update", "from", "join"].contains(&before.as_str());
                result.push_str(if names { self.reach(word) } else { word });
                before = word.to_lowercase();
                rest = &rest[end..];
            } else {
                if !first.is_whitespace() {
                    before.clear();
                }
                result.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        result
    }

    /// The same without some columns (`relation.column`).
    pub fn without(&self, columns: &[String]) -> Self {
        let mut shape = self.clone();
        for (name, relation) in &mut shape.relations {
            relation.columns.retain(|column| !columns.contains(&format!("{name}.{}", column.name)));
        }
        shape
    }

    /// Every row of every relation, as a client of this version sees them, in an order of their own.
    pub fn dump<S: Inspect>(&self, client: &mut S) -> Result<String, String> {
        let mut text = String::new();
        for (name, relation) in &self.relations {
            let columns: Vec<String> = relation.columns.iter().map(|column| S::shown(&column.name)).collect();
            let query = format!("select {} from {}", columns.join(", "), S::quoted(self.reach(name)));
            let rows = client.run(&query).map_err(|failure| format!("{query}: {failure}"))?.rows;
            let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            text.push_str(&format!("{name} ({})\n", names.join(", ")));
            text.push_str(&lines(rows));
        }
        Ok(text)
    }
}

/// Every row of every table that is physically there, but for the server's and crossfade's own; of the columns `random`
/// (`table.column`) only whether they have a value.
pub fn dump_tables(session: &mut impl Inspect, random: &[String]) -> Result<String, String> {
    let tables = session.tables().map_err(|failure| failure.to_string())?;
    let mut text = String::new();
    for table in tables {
        let shown: Vec<String> = table
            .columns
            .iter()
            .map(|(name, shown)| {
                let is_random = random.contains(&format!("{}.{name}", table.relation));
                if is_random { format!("case when {shown} is not null then 'random' end") } else { shown.clone() }
            })
            .collect();
        let list = if shown.is_empty() { "null".to_owned() } else { shown.join(", ") };
        let rows = session.run(&format!("select {list} from {}", table.sql)).map_err(|failure| failure.to_string())?.rows;
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
        text.push_str(&format!("{} ({})\n", table.name, names.join(", ")));
        text.push_str(&lines(rows));
    }
    Ok(text)
}

fn lines(rows: Vec<Vec<Option<String>>>) -> String {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("  {}\n", row_text(row))).collect();
    lines.sort();
    lines.concat()
}

/// A row for a reader.
pub fn row_text(row: &[Option<String>]) -> String {
    let values: Vec<String> = row.iter().map(|value| value.as_ref().map_or("NULL".to_owned(), |text| format!("{text:?}"))).collect();
    format!("[{}]", values.join(", "))
}
