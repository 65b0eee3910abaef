//! Questions to the catalog: whether a statement is still to be done.

use crate::dialect::language::Language as _;
use crate::dialect::mysql_like::expression::Expressions;
use crate::plan::model::ForeignKeySpec;
use crate::snapshot::model::ReferentialAction;

/// Asks about the database that the script runs in.
pub(super) struct Probe<'a> {
    pub(super) sql: &'a Expressions<'a>,
}

impl Probe<'_> {
    fn exists(&self, view: &str, table: &str, more: &str) -> String {
        let table = self.sql.literal(table);
        format!("exists (select * from information_schema.{view} where table_schema = database() and table_name = {table}{more})")
    }

    /// A table of that name is there, and no view.
    pub(super) fn table(&self, table: &str) -> String {
        self.exists("tables", table, " and table_type = 'BASE TABLE'")
    }

    /// A view of that name is there.
    pub(super) fn view(&self, view: &str) -> String {
        self.exists("tables", view, " and table_type = 'VIEW'")
    }

    /// A column is there, and more holds of it.
    pub(super) fn column_with(&self, table: &str, column: &str, more: &str) -> String {
        self.exists("columns", table, &format!(" and column_name = {}{more}", self.sql.literal(column)))
    }

    /// A column is there.
    pub(super) fn column(&self, table: &str, column: &str) -> String {
        self.column_with(table, column, "")
    }

    /// All these columns are there.
    pub(super) fn columns(&self, table: &str, columns: &[String]) -> String {
        let mut names: Vec<String> = columns.iter().map(|c| self.sql.literal(c)).collect();
        names.sort();
        names.dedup();
        format!(
            "(select count(*) from information_schema.columns\n      where table_schema = database() and table_name = {} and column_name in ({})) = {}",
            self.sql.literal(table),
            names.join(", "),
            names.len()
        )
    }

    /// The columns of the primary key.
    pub(super) fn key_columns(&self, table: &str) -> String {
        format!(
            "(select group_concat(column_name order by seq_in_index) from information_schema.statistics\n      where table_schema = database() and table_name = {} and index_name = 'PRIMARY')",
            self.sql.literal(table)
        )
    }

    /// An index is there.
    pub(super) fn index(&self, table: &str, index: &str) -> String {
        self.exists("statistics", table, &format!(" and index_name = {}", self.sql.literal(index)))
    }

    /// A foreign key of this name is there, and leads where this one does.
    pub(super) fn foreign_key(&self, spec: &ForeignKeySpec, name: &str) -> String {
        let rule = |action: &ReferentialAction| match action {
            // The two are one, and each server has its own word for it.
            ReferentialAction::NoAction | ReferentialAction::Restrict => "('NO ACTION', 'RESTRICT')",
            ReferentialAction::Cascade => "('CASCADE')",
            ReferentialAction::SetNull(_) => "('SET NULL')",
            ReferentialAction::SetDefault(_) => "('SET DEFAULT')",
        };
        let literal = |text: &str| self.sql.literal(text);
        let key = &spec.key;
        let pairs: Vec<String> = key.columns.iter().zip(&key.ref_columns).map(|(from, to)| format!("{from}>{to}")).collect();
        format!(
            "(exists (select * from information_schema.referential_constraints where constraint_schema = database()\n      and table_name = {table} and constraint_name = {name} and referenced_table_name = {referred}\n      and delete_rule in {} and update_rule in {})\n    and (select group_concat(column_name, '>', referenced_column_name order by ordinal_position) from information_schema.key_column_usage\n      where table_schema = database() and table_name = {table} and constraint_name = {name}) = {})",
            rule(&key.on_delete),
            rule(&key.on_update),
            literal(&pairs.join(",")),
            table = literal(&spec.table),
            name = literal(name),
            referred = literal(&key.ref_table),
        )
    }

    /// A trigger is there.
    pub(super) fn trigger(&self, name: &str) -> String {
        format!(
            "exists (select * from information_schema.triggers where trigger_schema = database() and trigger_name = {})",
            self.sql.literal(name)
        )
    }

    /// A constraint is there. (MariaDB shows checks of columns as well as those of tables.)
    pub(super) fn constraint(&self, table: &str, name: &str) -> String {
        self.exists("table_constraints", table, &format!(" and constraint_name = {}", self.sql.literal(name)))
    }
}

/// The opposite.
pub(super) fn not(condition: &str) -> String {
    format!("not {condition}")
}
