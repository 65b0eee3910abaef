//! Names that nobody wrote: what a constraint or an index is called when its author did not say.
//!
//! All dialects follow PostgreSQL's convention (`users_email_key`, `users_team_id_fkey`), so that one snapshot gives the same
//! names everywhere; only the primary key of MySQL and MariaDB is always called `PRIMARY`.
//! Source: `ChooseIndexName` and `ChooseForeignKeyConstraintNameAddition` in PostgreSQL's `src/backend/commands`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::sql::Dialect;

/// `name`, cut to the dialect's limit. A name that is cut ends in a hash of the whole, so that two long names stay two.
pub fn bounded(name: &str, dialect: Dialect) -> String {
    let limit = dialect.identifier_limit();
    if name.len() <= limit {
        return name.to_owned();
    }
    // FNV-1a, 32 bit: short, and the same on every machine and in every release.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut end = limit - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{hash:08x}", &name[..end])
}

/// What the name of a constraint or an index on these columns begins with.
pub(super) fn of_columns(table: &str, columns: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut name = table.to_owned();
    for column in columns {
        name.push('_');
        name.push_str(column.as_ref());
    }
    name
}

/// A name as it is compared with others: two that differ only by case are one on some server.
pub fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// The names that are taken, and the conventional ones that are given.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: std::collections::HashSet<String>,
    /// The number to try next, by base and label.
    next: HashMap<String, u32>,
}

impl Names {
    /// Takes a name that its author gave.
    pub(super) fn take(&mut self, name: &str) {
        self.taken.insert(folded(name).into_owned());
    }

    /// The first free of `BASE_LABEL`, `BASE_LABEL1`, …
    pub(super) fn give(&mut self, base: &str, label: &str, dialect: Dialect) -> String {
        let first = format!("{base}_{label}");
        let next = self.next.entry(first.clone()).or_insert(0);
        loop {
            let name = if *next == 0 { bounded(&first, dialect) } else { bounded(&format!("{first}{next}"), dialect) };
            *next += 1;
            if self.taken.insert(folded(&name).into_owned()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_by_bytes() {
        let long = "é".repeat(60);
        for dialect in Dialect::ALL {
            let cut = bounded(&long, dialect);
            assert!(cut.len() <= dialect.identifier_limit());
            assert_ne!(cut, bounded(&format!("{long}x"), dialect));
        }
        assert_eq!(bounded("users_email_key", Dialect::Postgres), "users_email_key");
    }

    #[test]
    fn collisions_are_numbered() {
        let mut names = Names::default();
        names.take("T_A_Key");
        assert_eq!(names.give("t_a", "key", Dialect::Postgres), "t_a_key1");
        assert_eq!(names.give("t_a", "key", Dialect::Postgres), "t_a_key2");
        assert_eq!(names.give("t", "a_key", Dialect::Postgres), "t_a_key3");
    }
}
