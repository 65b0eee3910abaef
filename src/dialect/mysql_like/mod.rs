//! MySQL and MariaDB: what they share. [`mysql`] and [`mariadb`] hold what differs.
//!
//! Facts about `ALGORITHM` and `LOCK`: each operation was run on MySQL 9.7, MariaDB 10.11 and 11.8 with the clause that is
//! printed, and the server took it. Manuals: MySQL, "Online DDL Operations"; MariaDB, "InnoDB Online DDL Operations".

use crate::plan::model::{Action, ColumnSpec, CommentTarget, Cost, Footprint, Lock, LockMode, Marker, StandIn, TwinStage};
use crate::plan::{Capabilities, Lack, Rules, Target, Truncate, WriterMark};
use crate::snapshot::model::{Type, TypeKind};
use crate::snapshot::types::sql_name;
use crate::sql::Dialect;
use crate::sql::expression::defines_volatile;
use crate::sql::quote::{ident, literal};

pub mod expression;
pub mod mariadb;
pub mod mysql;

pub use mariadb::MARIADB;
pub use mysql::MYSQL;

/// One of the two servers.
#[derive(Debug, Clone, Copy)]
pub struct MysqlLike {
    /// Which one.
    pub dialect: Dialect,
    /// Its name in sentences.
    pub product: &'static str,
    /// Its client program.
    pub client: &'static str,
    /// The oldest version that the scripts run on, as the server counts.
    pub oldest: (u32, u32, u32),
    /// Whether a column is shown or hidden by a statement of its own. Otherwise it is stated anew.
    pub sets_visible: bool,
    /// Whether any default that is an expression copies the table when it comes with the column. Otherwise only one that gives
    /// each row another value does.
    pub expression_default_copies: bool,
    /// The clauses of a change of metadata that MySQL does not count as INSTANT: a name of an index, a longer `varchar`, a
    /// comment of a table, a foreign key that goes.
    pub metadata: &'static str,
    /// The clauses of an index that is built or dropped.
    pub index: &'static str,
    /// The clauses of a table that is copied, with the least lock there is.
    pub copy: &'static str,
}

/// The clause of what is only metadata, and so takes no LOCK clause.
pub const INSTANT: &str = "algorithm=instant";

/// The clauses of a table that is written anew beside its writers.
pub const REBUILD: &str = "algorithm=inplace, lock=none";

impl Target for MysqlLike {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rules: Rules::Altered,
            alters_rules: true,
            // NOT NULL is looked at behind BEFORE triggers (seen on both).
            fills_in_time: true,
            // MariaDB 10.11 and 11.8 refuse it with 1364, and through a view with 1423; one with VALUES they take (seen).
            fills_for_queries: self.dialect == Dialect::Mysql,
            // What is added is hidden from them.
            positional_inserts: true,
            // Each statement that changes the schema commits (MySQL manual, "Statements That Cause an Implicit Commit").
            transactional_ddl: false,
            // A view holds its text: between a rename and the view's next definition reads fail with 1356.
            renames_under_views: false,
            view_defaults: false,
            // `default (database())` on the marker.
            writer: WriterMark::Database,
            // MySQL 8.0.23, MariaDB 10.3.
            invisible_columns: true,
            // MySQL 9.7 leaves NULL there instead (seen with VALUES, not with SELECT); a literal it gives.
            hidden_defaults: self.dialect == Dialect::Mariadb,
            // MariaDB refuses it with 4108.
            hides_not_null: self.sets_visible,
            // There is no NOT VALID.
            validates_apart: false,
            restates_columns: true,
            // Manual, "Data Type Default Values": without a DEFAULT clause a column that may be NULL has `default null`.
            null_default_is_said: true,
            unique_is_index: true,
            // Seen: ALGORITHM=INPLACE to make it and error 1846 when it goes, on MariaDB 10.11 and 11.8 if no other is left.
            orders_rows_by_unique: true,
            // ADD CHECK copies the table; before MariaDB 11.2 nobody writes meanwhile.
            adds_checks_online: false,
            enum_types: false,
            // InnoDB keeps its statistics by itself (manual, "Configuring Persistent Optimizer Statistics Parameters").
            analyzes: false,
            reaches_rows_without_key: false,
            leaves_names_behind: false,
            // Each comparison is by bytes.
            mixes_collations: true,
            // A number that is given counts too (manual, "Using AUTO_INCREMENT").
            lends_numbers: false,
            mirrors: true,
            // Manuals, on foreign keys: what cascades activates no triggers (seen on all three).
            cascades_fire_triggers: false,
            truncate: Truncate::Passes,
            // Only a row that is written moves AUTO_INCREMENT on.
            counters_follow: false,
            // Error 1442.
            writes_what_is_read: false,
            // Seen on all three: no INSTANT, no LOCK=NONE.
            changes_beside_fulltext: false,
            // CREATE TABLE … LIKE, AFTER triggers, and one RENAME TABLE for both names (seen on all three: the views that show the
            // table, and its grants, go by its name; not one of their clients fails meanwhile).
            copies_tables: true,
            // MySQL 9.7 calls it `copy_chk_1` there, and after the table's name once that is another one (seen).
            copies_checks: self.dialect == Dialect::Mariadb,
        }
    }

    fn refusal(&self, sqlstate: &str) -> String {
        // Manuals, "Server Error Message Reference" and "MariaDB Error Codes".
        let number = match sqlstate {
            "23502" => "1048",
            "23503" => "1452",
            "23505" => "1062",
            "23514" if self.dialect == Dialect::Mysql => "3819",
            "23514" => "4025",
            "40P01" => "1213",
            other => return format!("SQLSTATE {other}"),
        };
        format!("error {number}")
    }

    fn while_it_copies(&self) -> &'static str {
        match self.dialect {
            // Release notes of 11.2: online ALTER TABLE for all that copies.
            Dialect::Mariadb => "before 11.2 nobody can write meanwhile",
            _ => "nobody can write meanwhile",
        }
    }

    fn adds_column(&self, _column: &ColumnSpec) -> bool {
        // What would rewrite the table is split by the planner, or refused.
        true
    }

    fn adds_default_at_once(&self, ty: &Type, default: &str) -> bool {
        let text = default.trim();
        if expression::is_literal(text) {
            return !expression::wants_parentheses(ty, self.dialect);
        }
        expression::is_current_timestamp(text) || !(self.expression_default_copies || defines_volatile(text, self.dialect))
    }

    fn default_text(&self, ty: &Type, default: &str) -> String {
        expression::default_text(ty, default, self.dialect)
    }

    fn restates_default(&self, ty: &Type, default: &str) -> bool {
        // MySQL 9.7: ALTER COLUMN … SET DEFAULT ('x') of a text is error 1101, where MODIFY takes it.
        // And it takes no CURRENT_TIMESTAMP there but in parentheses, which is another default (manual, "ALTER TABLE Statement").
        let literal = default.trim().trim_start_matches('(').trim_end_matches(')');
        let of_text = expression::wants_parentheses(ty, self.dialect) && expression::is_literal(literal);
        self.dialect == Dialect::Mysql && (of_text || expression::is_current_timestamp(default))
    }

    fn is_bare_literal(&self, ty: &Type, default: &str) -> bool {
        expression::is_literal(default) && !expression::wants_parentheses(ty, self.dialect)
    }

    fn lacks(&self, action: &Action) -> Option<Lack> {
        let product = self.product;
        let meanwhile = self.while_it_copies();
        let not_yet = |what: &str| Some(Lack::NotYet(what.to_owned()));
        match action {
            Action::AddCheck { .. } => Some(Lack::Blocks(format!("{product} copies the table to add a check, and {meanwhile}"))),
            Action::CreateIndex(index) if !expression::builds_beside_writers(index) => {
                let kind = match index.method.as_str() {
                    method @ ("fulltext" | "spatial") => format!("a {method} index"),
                    _ => "an index over an expression (one over a virtual generated column is built beside writers)".to_owned(),
                };
                Some(Lack::Blocks(format!("{product} lets nobody write while it builds {kind}")))
            }
            Action::RestateColumn { old, new, .. }
                if new.hidden && new.not_null && !old.not_null && new.default.is_none() && !self.sets_visible =>
            {
                Some(Lack::NoWay(
                    "MariaDB hides no column that is NOT NULL and has no default, and until contract the old version must not meet it"
                        .to_owned(),
                    "leave `enforce: migrate` out, so that the rule binds from contract".to_owned(),
                ))
            }
            Action::CreateSequence(_) | Action::AlterSequence { .. } | Action::DropSequence(_) => not_yet("a sequence changes"),
            // Seen: COPY on MySQL 9.7, INPLACE with LOCK=SHARED on MariaDB 10.11 and 11.8. Manuals, "Adding an auto-increment column".
            Action::AddCounter { .. } | Action::AddIdentity { .. } | Action::AdvanceIdentity { .. } => Some(Lack::NoWay(
                format!("{product} writes the whole table anew to count its rows, and nobody can write meanwhile"),
                "let the rows move to a table of another name that counts them: `from:` in the transition; or change it by hand in a maintenance window, and both snapshots with it"
                    .to_owned(),
            )),
            // Seen: INSTANT on MariaDB 10.11 and 11.8, COPY on MySQL 9.7.
            Action::RestateColumn { old, new, .. }
                if self.dialect == Dialect::Mysql && old.identity.is_some() && new.identity.is_none() =>
            {
                Some(Lack::NoWay(
                    format!("{product} copies the whole table to count its rows no longer, and nobody can write meanwhile"),
                    "leave the column one that counts: a number that is given is taken all the same".to_owned(),
                ))
            }
            Action::SwapColumns { renames, .. } if !renames.is_empty() => Some(Lack::NoWay(
                format!(
                    "old and new version need different things under one name, and no statement of {product} renames a column of a table and the view that shows it at once"
                ),
                "give the new version a namespace of its own: `access: versioned` in the transition, or `--access versioned`".to_owned(),
            )),
            Action::RestoreForeignKey(_) => not_yet("the key that it stands on goes, and the foreign key over to another one"),
            Action::Comment { target: CommentTarget::Table(_), .. } => None,
            Action::Comment { .. } => not_yet("its comment changes"),
            _ => None,
        }
    }

    fn any_value(&self, ty: &Type) -> Option<String> {
        let name = sql_name(ty, self.dialect);
        let word = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        Some(
            match word {
                "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal" | "numeric" | "float" | "double"
                | "boolean" | "bit" | "year" => "0",
                "char" | "varchar" | "binary" | "varbinary" => "''",
                "tinytext" | "text" | "mediumtext" | "longtext" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "(concat(''))",
                "json" => "(json_array())",
                "date" => "'2000-01-01'",
                "time" => "'00:00:00'",
                "datetime" | "timestamp" => "'2000-01-01 00:00:00'",
                "set" => "''",
                "uuid" => "'00000000-0000-0000-0000-000000000000'",
                "enum" => return first_label(&name),
                _ => return None,
            }
            .to_owned(),
        )
    }

    fn stand_in(&self, ty: &Type, namespace: Option<&str>, given: &[String]) -> Option<String> {
        // Held against a text, `database()` would be the first session's for all that follow: MariaDB 10.11 and 11.8 bring it into the
        // text's character set as they open the table, and keep that (seen). A number needs none.
        let chosen = |name: &str| format!("crc32(database()) = crc32({})", literal(name, self.dialect));
        let mut may: Vec<String> = namespace.into_iter().map(chosen).collect();
        may.extend(given.iter().map(|name| format!("{} is not null", ident(name, self.dialect))));
        // Without strict mode a column without a default is given its type's own, and a client is refused nothing.
        may.push("@@sql_mode not like '%STRICT%'".to_owned());
        Some(format!("case when {} then {} end", may.join(" or "), self.any_value(ty)?))
    }

    fn footprint(&self, action: &Action) -> Footprint {
        let locks = |tables: &[&str], mode: LockMode| -> Vec<Lock> {
            tables.iter().map(|table| Lock { table: (*table).to_owned(), mode }).collect()
        };
        let footprint = |locks: Vec<Lock>, cost: Cost| Footprint { locks, cost, transactional: false };
        let briefly = |tables: &[&str], cost: Cost| footprint(locks(tables, LockMode::MetadataExclusive), cost);
        match action {
            Action::CreateTable(_)
            | Action::CreateSequence(_)
            | Action::AlterSequence { .. }
            | Action::DropSequence(_)
            | Action::CreateNamespace { .. }
            | Action::DropNamespace { .. }
            | Action::CopyGrants { .. }
            // CREATE VIEW and CREATE OR REPLACE VIEW wait for who uses that view, not for who uses the table.
            | Action::CreateShapeView(_)
            | Action::CreateView(_)
            | Action::ReplaceView { .. }
            | Action::DropViews { .. }
            | Action::SettleShapeView(_)
            | Action::CreateExtension(_)
            | Action::DropExtension(_)
            | Action::CreateEnum(_)
            | Action::AddEnumValue { .. }
            | Action::DropEnum(_)
            | Action::RenameType(_)
            | Action::RenameView(_)
            | Action::TidyNames { .. }
            | Action::RebuildTable(_)
            | Action::AlterRules(_)
            | Action::ShareNumbers { .. }
            | Action::RenameIndex(_) => footprint(Vec::new(), Cost::Instant),
            Action::CheckRows { .. } | Action::Twin(TwinStage::Compare, _) => footprint(Vec::new(), Cost::Scan),
            Action::Twin(TwinStage::Look, _) => footprint(Vec::new(), Cost::Instant),
            Action::Twin(TwinStage::Make | TwinStage::Swap, twin) => briefly(&[&twin.table], Cost::Instant),
            Action::Twin(TwinStage::Fill, twin) => footprint(locks(&[&twin.table, &twin.twin], LockMode::Rows), Cost::Copy),
            Action::Analyze { .. } => footprint(Vec::new(), Cost::Scan),
            Action::Backfill(backfill) => footprint(locks(&[&backfill.table], LockMode::Rows), Cost::Copy),
            Action::AddColumns { table, columns, marker } => {
                debug_assert!(!columns.is_empty() || *marker == Marker::With);
                briefly(&[table], Cost::Instant)
            }
            Action::InstallMirror(mirror) | Action::RemoveMirror(mirror) => briefly(&[&mirror.source, &mirror.target], Cost::Instant),
            Action::CopyRows(copy) => footprint(locks(&[&copy.mirror.source, &copy.mirror.target], LockMode::Rows), Cost::Copy),
            Action::InstallSync(sync) | Action::RemoveSync(sync) => briefly(&[&sync.table], Cost::Instant),
            Action::StandIn(StandIn { table, .. })
            | Action::SetDefault { table, .. }
            | Action::AlterIdentity { table, .. }
            | Action::AttachUnique { table, .. }
            | Action::RenameConstraint { table, .. }
            | Action::SettleDefaults { table, .. }
            | Action::DropConstraint { table, .. }
            | Action::DropTable { table }
            | Action::ReturnColumns { table, .. }
            | Action::TakeEither { table, .. }
            | Action::SwapColumns { table, .. } => briefly(&[table], Cost::Instant),
            Action::RestateColumn { table, old, new, .. } => {
                briefly(&[table], if old.not_null == new.not_null { Cost::Instant } else { Cost::Rewrite })
            }
            Action::DropNotNull { table, .. }
            | Action::SetNotNull { table, .. }
            | Action::AddPrimaryKey { table, .. }
            | Action::ReturnPrimaryKey { table, .. }
            | Action::AddIdentity { table, .. }
            | Action::AddCounter { table, .. }
            | Action::AdvanceIdentity { table, .. }
            | Action::DropIdentity { table, .. } => briefly(&[table], Cost::Rewrite),
            Action::AlterType { table, .. } => briefly(&[table], Cost::Instant),
            Action::RenameTable { from, .. } => briefly(&[from], Cost::Instant),
            Action::CreateIndex(index) => briefly(&[&index.table], Cost::Scan),
            Action::DropIndex { index, .. } => briefly(&[&index.table], Cost::Instant),
            Action::AddCheck { table, .. } | Action::AddNotNullCheck { table, .. } => briefly(&[table], Cost::Rewrite),
            Action::ValidateConstraint { .. } => footprint(Vec::new(), Cost::Scan),
            Action::AddForeignKey { spec, .. } | Action::RestoreForeignKey(spec) | Action::ReturnForeignKey(spec) | Action::AlterForeignKey { old: spec, .. } => {
                let mut tables = vec![spec.table.as_str(), spec.key.ref_table.as_str()];
                tables.sort_unstable();
                tables.dedup();
                briefly(&tables, Cost::Instant)
            }
            Action::Comment { target, .. } => match target {
                CommentTarget::Table(table) | CommentTarget::Column(table, _) => {
                    briefly(&[table], Cost::Instant)
                }
                _ => footprint(Vec::new(), Cost::Instant),
            },
        }
    }

    fn whole_numbers(&self, ty: &Type) -> Option<(i128, i128)> {
        let name = match &ty.kind {
            TypeKind::SmallInt => "smallint",
            TypeKind::Integer => "int",
            TypeKind::BigInt => "bigint",
            TypeKind::Native(name) => name.as_str(),
            _ => return None,
        };
        // Manuals, "Integer Types (Exact Value)".
        let bits = match name.split([' ', '(']).next()? {
            "tinyint" => 8,
            "smallint" => 16,
            "mediumint" => 24,
            "int" | "integer" => 32,
            "bigint" => 64,
            _ => return None,
        };
        let numbers = 1_i128 << bits;
        let signs = numbers >> 1;
        Some(if name.contains("unsigned") || name.contains("zerofill") { (0, numbers - 1) } else { (-signs, signs - 1) })
    }

    fn holds_texts_of(&self, wide: &Type, narrow: &Type) -> bool {
        match (Room::of(wide), Room::of(narrow)) {
            (Some(Room::Characters(wide)), Some(Room::Characters(narrow))) => wide >= narrow,
            (Some(Room::Bytes(wide)), Some(Room::Bytes(narrow))) => wide >= narrow,
            // A character has four bytes at most.
            (Some(Room::Bytes(wide)), Some(Room::Characters(narrow))) => wide >= narrow * 4,
            _ => false,
        }
    }

    fn widens_in_place(&self, old: &Type, new: &Type) -> bool {
        if old == new {
            return true;
        }
        match (&old.kind, &new.kind) {
            // The length takes one byte up to 255 bytes, two above. A character has at most one to
            // four of them, by its character set: between 128 and 255 characters no length crosses over in any set.
            (TypeKind::Varchar(Some(from)), TypeKind::Varchar(Some(to))) => {
                from <= to && (*to <= 63 || *from > 255 || (*from >= 128 && *to <= 255))
            }
            _ => false,
        }
    }
}

/// How much a type of text that pads nothing holds.
enum Room {
    Characters(u64),
    Bytes(u64),
}

impl Room {
    /// Manuals, "Data Type Storage Requirements".
    fn of(ty: &Type) -> Option<Self> {
        if ty.array_dimensions > 0 {
            return None;
        }
        let bits = match &ty.kind {
            TypeKind::Varchar(Some(length)) => return Some(Room::Characters((*length).into())),
            TypeKind::Native(name) => match name.as_str() {
                "tinytext" => 8,
                "text" => 16,
                "mediumtext" => 24,
                "longtext" => 32,
                _ => return None,
            },
            _ => return None,
        };
        Some(Room::Bytes((1 << bits) - 1))
    }
}

/// The first label of `enum('a','b')`, as a literal.
fn first_label(ty: &str) -> Option<String> {
    let mut characters = ty.char_indices().skip_while(|(_, c)| *c != '\'').peekable();
    let (start, _) = characters.next()?;
    while let Some((at, c)) = characters.next() {
        if c != '\'' {
            continue;
        }
        match characters.peek() {
            Some((_, '\'')) => {
                characters.next();
            }
            _ => return Some(ty[start..=at].to_owned()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_may_have_a_quote() {
        assert_eq!(first_label("enum('it''s','b')").as_deref(), Some("'it''s'"));
        assert_eq!(first_label("enum").as_deref(), None);
    }

    #[test]
    fn a_longer_varchar_is_metadata_as_long_as_its_length_byte_stays() {
        let varchar = |n| Type { kind: TypeKind::Varchar(Some(n)), array_dimensions: 0 };
        assert!(MYSQL.widens_in_place(&varchar(20), &varchar(63)));
        assert!(!MYSQL.widens_in_place(&varchar(63), &varchar(64)));
        assert!(MYSQL.widens_in_place(&varchar(128), &varchar(255)));
        assert!(!MYSQL.widens_in_place(&varchar(127), &varchar(255)));
        assert!(!MYSQL.widens_in_place(&varchar(255), &varchar(256)));
        assert!(MYSQL.widens_in_place(&varchar(300), &varchar(400)));
        assert!(!MYSQL.widens_in_place(&varchar(400), &varchar(300)));
    }
}
