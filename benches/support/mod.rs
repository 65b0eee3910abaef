//! Synthetic schemas of any size: alike tables that refer to one another, and an upgrade that changes some of them.

use std::fmt::Write as _;

/// Two snapshots of a schema.
pub(crate) struct Pair {
    /// The old snapshot, as YAML.
    pub(crate) old: String,
    /// The new snapshot with its transition, as YAML.
    pub(crate) new: String,
}

/// A schema of `tables` tables of which `changes` change, spread evenly. The kinds of change take turns: a column is added
/// with a default, one is renamed, one is split in two, an index is added, a column is filled by an expression.
pub(crate) fn pair(tables: usize, changes: usize) -> Pair {
    assert!(changes <= tables, "a table changes once at most");
    let mut old = String::from("version: v1\ntables:\n");
    let mut new = String::from("version: v2\ntables:\n");
    let mut hints = String::new();
    let mut changed = 0;
    for number in 0..tables {
        // The n-th change comes where n / changes of the tables have gone by.
        let change = (changed < changes && number * changes >= changed * tables).then(|| {
            changed += 1;
            (changed - 1) % 5
        });
        table(&mut old, number, None);
        table(&mut new, number, change);
        let hint = match change {
            Some(1) => "        title: {renamed_from: label}\n",
            Some(2) => {
                "        first_name: {up: \"split_part(full_name, ' ', 1)\"}\n        last_name: {up: \"substr(full_name, strpos(full_name, ' ') + 1)\"}\n        full_name: {down: \"first_name || ' ' || last_name\"}\n"
            }
            Some(4) => "        domain: {up: \"split_part(email, '@', 2)\"}\n",
            Some(_) | None => "",
        };
        if !hint.is_empty() {
            let _ = write!(hints, "    {}:\n      columns:\n{hint}", name(number));
        }
    }
    if !hints.is_empty() {
        let _ = write!(new, "transition:\n  from: v1\n  tables:\n{hints}");
    }
    Pair { old, new }
}

fn name(number: usize) -> String {
    format!("item_{number:05}")
}

fn table(yaml: &mut String, number: usize, change: Option<usize>) {
    let name = name(number);
    let parent = self::name(number / 2);
    let label = if change == Some(1) { "title" } else { "label" };
    let full_name = if change == Some(2) { "      first_name: text\n      last_name: text\n" } else { "      full_name: text\n" };
    let more = match change {
        Some(0) => "      status: varchar(20) not null default 'active'\n",
        Some(4) => "      domain: text not null\n",
        Some(_) | None => "",
    };
    let index = if change == Some(3) { format!("      - {{name: {name}_made_idx, columns: [created_at]}}\n") } else { String::new() };
    let _ = write!(
        yaml,
        "  {name}:
    comment: Items of kind {number}
    columns:
      id: bigint not null
      parent_id: bigint references {parent}(id) on delete set null
      email: varchar(320) not null unique
      {label}: varchar(80) not null
{full_name}      balance: numeric(12,2) not null default 0 check (balance >= 0)
      created_at: timestamptz not null default now()
{more}    primary_key: [id]
    indexes:
      - {{name: {name}_parent_idx, columns: [parent_id]}}
      - {{name: {name}_email_idx, columns: [\"lower(email)\"]}}
{index}"
    );
}
