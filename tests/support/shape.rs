//! What a version sees: the relations and columns of its own snapshot, read as its client reads them.

use std::collections::BTreeMap;

use crossfade::engine::postgres::{Failure, Session};

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
}

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The server refuses to assign to it (generated, or an identity that is always generated).
    pub read_only: bool,
}

/// A name as SQL wants it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Shape {
    /// Reads schema `public` of a database in which the snapshot alone was installed.
    pub fn read(session: &mut Session) -> Result<Self, Failure> {
        let rows = session
            .run(
                "select c.relname, c.relkind in ('r', 'p'), a.attname, a.attgenerated <> '' or a.attidentity = 'a'
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') order by c.relname, a.attnum",
            )?
            .rows;
        let mut shape = Shape::default();
        for row in rows {
            let [Some(relation), Some(table), Some(name), Some(read_only)] = &row[..] else { continue };
            shape
                .relations
                .entry(relation.clone())
                .or_insert_with(|| Relation { table: table == "t", columns: Vec::new() })
                .columns
                .push(Column { name: name.clone(), read_only: read_only == "t" });
        }
        Ok(shape)
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
    pub fn dump(&self, client: &mut Session) -> Result<String, String> {
        let mut text = String::new();
        for (name, relation) in &self.relations {
            let columns: Vec<String> = relation.columns.iter().map(|column| format!("{}::text", quoted(&column.name))).collect();
            let query = format!("select {} from {}", columns.join(", "), quoted(name));
            let rows = client.run(&query).map_err(|failure| format!("{query}: {failure}"))?.rows;
            let names: Vec<&str> = relation.columns.iter().map(|column| column.name.as_str()).collect();
            text.push_str(&format!("{name} ({})\n", names.join(", ")));
            text.push_str(&lines(rows));
        }
        Ok(text)
    }
}

/// Every row of every table that is physically there outside the server's and crossfade's schemas; of the columns
/// `random` (`table.column`) only whether they have a value.
pub fn dump_tables(session: &mut Session, random: &[String]) -> Result<String, String> {
    let tables = session
        .run(
            "select quote_ident(n.nspname) || '.' || quote_ident(c.relname),
                    coalesce(string_agg(quote_ident(a.attname) || '::text', ', ' order by a.attname), 'null')
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'crossfade')
             group by 1 order by 1",
        )
        .map_err(|failure| failure.to_string())?
        .rows;
    let mut text = String::new();
    for table in tables {
        let [Some(name), Some(columns)] = &table[..] else { continue };
        let shown: Vec<String> = columns
            .split(", ")
            .map(|column| {
                let path = format!("{name}.{}", column.trim_end_matches("::text"));
                let is_random = random.iter().any(|random| path == format!("public.{random}"));
                if is_random { format!("case when {column} is not null then 'random' end") } else { column.to_owned() }
            })
            .collect();
        let rows = session.run(&format!("select {} from {name}", shown.join(", "))).map_err(|failure| failure.to_string())?.rows;
        text.push_str(&format!("{name} ({})\n", columns.replace("::text", "")));
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
