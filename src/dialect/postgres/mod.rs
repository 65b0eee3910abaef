//! PostgreSQL 15 to 18.
//!
//! Locks: manual, "Explicit Locking" and the page of each command; each one was also read from `pg_locks` on 15 and 18.

use crate::plan::model::{
    Action, ColumnSpec, CommentTarget, Concurrently, ConstraintSpec, Cost, Footprint, Highest, Lock, LockMode, Marker, Materialized,
    StandIn,
};
use crate::plan::{Capabilities, Lack, Rules, Target, Truncate, WriterMark};
use crate::snapshot::model::{Type, TypeKind};
use crate::sql::Dialect;
use crate::sql::expression::defines_volatile;

pub mod expression;

/// The planner's view of PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postgres;

impl Target for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Manual, "ALTER TABLE".
            rules: Rules::Altered,
            alters_rules: true,
            // Manual, "Overview of Trigger Behavior": what a BEFORE trigger returns is what is checked and stored.
            fills_in_time: true,
            fills_for_queries: true,
            // Manual, "INSERT": the columns that a list of values does not reach get their defaults.
            positional_inserts: true,
            // "could not determine which collation to use for string comparison"
            mixes_collations: false,
            // Manual, "Transactions" and "ALTER TABLE": all but a few statements (CREATE INDEX CONCURRENTLY, ADD VALUE).
            transactional_ddl: true,
            // A view holds on to columns and tables by number (manual, "CREATE VIEW").
            renames_under_views: true,
            // Manual, "ALTER VIEW": SET DEFAULT.
            view_defaults: true,
            writer: WriterMark::View,
            invisible_columns: false,
            hides_not_null: false,
            hidden_defaults: true,
            // Manual, "ALTER TABLE": NOT VALID and VALIDATE CONSTRAINT.
            validates_apart: true,
            restates_columns: false,
            null_default_is_said: false,
            unique_is_index: false,
            orders_rows_by_unique: false,
            adds_checks_online: true,
            enum_types: true,
            analyzes: true,
            // Ranges of ctid (manual, "System Columns").
            reaches_rows_without_key: true,
            // Sequences of identity columns; from 18 on, NOT NULL constraints.
            leaves_names_behind: true,
            // Manual, "Sequence Manipulation Functions": nextval in a default.
            lends_numbers: true,
            mirrors: true,
            cascades_fire_triggers: true,
            truncate: Truncate::Fires,
            counters_follow: true,
            writes_what_is_read: true,
            changes_beside_fulltext: true,
            copies_tables: false,
            copies_checks: false,
        }
    }

    fn adds_default_at_once(&self, _ty: &Type, default: &str) -> bool {
        !defines_volatile(default, Dialect::Postgres)
    }

    fn default_text(&self, _ty: &Type, default: &str) -> String {
        default.to_owned()
    }

    fn restates_default(&self, _ty: &Type, _default: &str) -> bool {
        false
    }

    fn lacks(&self, _action: &Action) -> Option<Lack> {
        None
    }

    fn any_value(&self, _ty: &Type) -> Option<String> {
        None
    }

    fn footprint(&self, action: &Action) -> Footprint {
        let locks = |tables: &[&str], mode: LockMode| -> Vec<Lock> {
            tables.iter().map(|table| Lock { table: (*table).to_owned(), mode }).collect()
        };
        let footprint = |locks: Vec<Lock>, cost: Cost| Footprint { locks, cost, transactional: true };
        let instant = |tables: &[&str]| footprint(locks(tables, LockMode::AccessExclusive), Cost::Instant);
        match action {
            Action::CreateExtension(_)
            | Action::CreateEnum(_)
            | Action::CreateSequence(_)
            | Action::ShareNumbers { .. }
            | Action::CreateTable(_)
            | Action::CreateNamespace { .. }
            | Action::DropNamespace { .. }
            | Action::CopyGrants { .. }
            | Action::DropSequence(_)
            | Action::AlterSequence { .. }
            | Action::DropEnum(_)
            | Action::RenameType(_)
            | Action::DropExtension(_)
            | Action::ReplaceView { .. }
            // It locks the index alone, and in a mode that neither readers nor writers wait for.
            | Action::RenameIndex(_)
            | Action::DropViews { .. }
            | Action::SettleShapeView(_) => footprint(Vec::new(), Cost::Instant),
            // A label that a transaction adds can't be used in it, so the statement stands alone.
            Action::AddEnumValue { .. } => Footprint { locks: Vec::new(), cost: Cost::Instant, transactional: false },
            Action::CreateShapeView(view) => footprint(locks(&[&view.table], LockMode::AccessShare), Cost::Instant),
            Action::CreateView(view) => match view.materialized {
                Materialized::Yes => footprint(Vec::new(), Cost::Scan),
                Materialized::No => footprint(Vec::new(), Cost::Instant),
            },
            // The view is one that no client has met under the name it leaves.
            Action::RenameView(_) => footprint(Vec::new(), Cost::Instant),
            Action::CheckRows { table, .. } => footprint(locks(&[table], LockMode::AccessShare), Cost::Scan),
            Action::DropNotNull { table, .. }
            | Action::AlterType { table, .. }
            | Action::SetDefault { table, .. }
            | Action::StandIn(StandIn { table, .. })
            | Action::AlterIdentity { table, .. }
            | Action::AttachUnique { table, .. }
            | Action::AddPrimaryKey { table, .. }
            | Action::AddCounter { table, .. }
            | Action::AddIdentity { table, .. }
            | Action::DropIdentity { table, .. }
            | Action::AddCheck { table, .. }
            | Action::AddNotNullCheck { table, .. }
            | Action::SetNotNull { table, .. }
            | Action::RestateColumn { table, .. }
            | Action::ReturnColumns { table, .. }
            | Action::TakeEither { table, .. }
            | Action::ReturnPrimaryKey { table, .. }
            | Action::SwapColumns { table, .. }
            | Action::RenameConstraint { table, .. }
            | Action::TidyNames { table }
            | Action::SettleDefaults { table, .. }
            | Action::DropTable { table } => instant(&[table]),
            Action::Twin(_, twin) => instant(&[&twin.table]),
            Action::RebuildTable(rebuild) | Action::AlterRules(rebuild) => footprint(locks(&[&rebuild.before.name], LockMode::AccessExclusive), Cost::Rewrite),
            Action::AdvanceIdentity { table, highest, .. } => match highest {
                Highest::ByIndex => footprint(locks(&[table], LockMode::ShareRowExclusive), Cost::Instant),
                Highest::ByScan | Highest::Unknown => footprint(locks(&[table], LockMode::AccessShare), Cost::Scan),
            },
            Action::AddColumns { table, columns, marker } => {
                debug_assert!(!columns.is_empty() || *marker == Marker::With);
                instant(&[table])
            }
            Action::RenameTable { from, .. } => instant(&[from]),
            Action::RemoveSync(sync) => instant(&[&sync.table]),
            Action::InstallSync(sync) => footprint(locks(&[&sync.table], LockMode::ShareRowExclusive), Cost::Instant),
            // The target is new, so that nobody uses it yet; in contract it is in use.
            Action::InstallMirror(mirror) => footprint(locks(&[&mirror.source], LockMode::ShareRowExclusive), Cost::Instant),
            Action::RemoveMirror(mirror) => instant(&distinct(&mirror.source, &mirror.target)),
            // Rows of the source are held FOR SHARE while a batch copies them.
            Action::CopyRows(copy) => {
                let mut taken = locks(&[&copy.mirror.source], LockMode::RowShare);
                taken.extend(locks(&[&copy.mirror.target], LockMode::RowExclusive));
                Footprint { locks: taken, cost: Cost::Copy, transactional: false }
            }
            Action::Backfill(backfill) => {
                Footprint { locks: locks(&[&backfill.table], LockMode::RowExclusive), cost: Cost::Copy, transactional: false }
            }
            Action::Analyze { table, .. } => footprint(locks(&[table], LockMode::ShareUpdateExclusive), Cost::Scan),
            Action::CreateIndex(index) => {
                Footprint { locks: locks(&[&index.table], LockMode::ShareUpdateExclusive), cost: Cost::Scan, transactional: false }
            }
            Action::DropIndex { index, concurrently: Concurrently::No } => instant(&[&index.table]),
            Action::DropIndex { index, concurrently: Concurrently::Yes } => {
                Footprint { locks: locks(&[&index.table], LockMode::ShareUpdateExclusive), cost: Cost::Instant, transactional: false }
            }
            // ALTER CONSTRAINT leaves the table that the key refers to alone (pg_locks on 15 and 18).
            Action::AlterForeignKey { old, .. } => instant(&[&old.table]),
            Action::AddForeignKey { spec, .. } | Action::RestoreForeignKey(spec) | Action::ReturnForeignKey(spec) => {
                footprint(locks(&distinct(&spec.table, &spec.key.ref_table), LockMode::ShareRowExclusive), Cost::Instant)
            }
            Action::ValidateConstraint { table, references, .. } => {
                let mut taken = locks(&[table], LockMode::ShareUpdateExclusive);
                if let Some(other) = references.as_ref().filter(|other| *other != table) {
                    taken.push(Lock { table: other.clone(), mode: LockMode::RowShare });
                }
                footprint(taken, Cost::Scan)
            }
            Action::DropConstraint { table, constraint } => match constraint {
                // The manual does not say so: dropping the key locks the table that it refers to as well.
                ConstraintSpec::ForeignKey(spec) => instant(&distinct(table, &spec.key.ref_table)),
                ConstraintSpec::Check(..) | ConstraintSpec::Unique(_) | ConstraintSpec::PrimaryKey(_) | ConstraintSpec::Exclusion(_) => instant(&[table]),
            },
            Action::Comment { target, .. } => match target {
                CommentTarget::Table(table) | CommentTarget::Column(table, _) => {
                    footprint(locks(&[table], LockMode::ShareUpdateExclusive), Cost::Instant)
                }
                CommentTarget::View(_) | CommentTarget::Enum(_) | CommentTarget::Index(_) | CommentTarget::Sequence(_) => {
                    footprint(Vec::new(), Cost::Instant)
                }
            },
        }
    }

    fn adds_column(&self, _column: &ColumnSpec) -> bool {
        // What would rewrite the table is split by the planner.
        true
    }

    fn widens_in_place(&self, old: &Type, new: &Type) -> bool {
        if old == new {
            return true;
        }
        if old.array_dimensions != 0 || new.array_dimensions != 0 {
            return false;
        }
        // Each pair: relfilenode unchanged and no scan, on 15 and 18 ("ALTER TABLE", notes on SET DATA TYPE).
        match (&old.kind, &new.kind) {
            (TypeKind::Varchar(_), TypeKind::Varchar(None) | TypeKind::Text) | (TypeKind::Text, TypeKind::Varchar(None)) => true,
            (TypeKind::Varchar(Some(from)), TypeKind::Varchar(Some(to))) => from <= to,
            (TypeKind::Numeric { .. }, TypeKind::Numeric { precision: None, .. }) => true,
            (
                TypeKind::Numeric { precision: Some(from), scale: from_scale },
                TypeKind::Numeric { precision: Some(to), scale: to_scale },
            ) => from <= to && from_scale.unwrap_or(0) == to_scale.unwrap_or(0),
            (TypeKind::Timestamp { precision: from, zone: from_zone }, TypeKind::Timestamp { precision: to, zone: to_zone })
            | (TypeKind::Time { precision: from, zone: from_zone }, TypeKind::Time { precision: to, zone: to_zone }) => {
                from_zone == to_zone && from.unwrap_or(6) <= to.unwrap_or(6)
            }
            _ => false,
        }
    }
}

fn distinct<'a>(a: &'a str, b: &'a str) -> Vec<&'a str> {
    let mut both = vec![a, b];
    both.sort_unstable();
    both.dedup();
    both
}
