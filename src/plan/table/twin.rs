//! A column that counts, or that a full-text index is on, gets another type: the table is copied beside its writers, and the copy
//! takes its name.
//!
//! No second column can follow one that counts, since the server gives a row its number behind the BEFORE triggers; and a full-text
//! index on a second column would be built under a lock that keeps writers out. So both versions
//! use the one that is there, with its old type, until contract has brought everything else of the table into its new shape. Then
//! one version is left, and one shape: a copy with the new type is filled by batches and triggers, and exchanged by name.

use crate::diagnostic::Level;
use crate::snapshot::model::{Column, Type};
use crate::snapshot::types::product;

use super::super::model::{Action, ColumnSpec, Finding, OnFinding, Phase, RowExpr, Splice, Twin, TwinStage};
use super::super::naming;
use super::super::planner::{Draft, Planner};
use super::rows::unique_key;
use super::{BATCH, Work};

impl<'a> Planner<'a> {
    /// Before anything is changed: what stands in the way of a copy.
    pub(super) fn looked_for_twin(&mut self, work: &mut Work<'a, '_>) {
        let late: Vec<(String, Column, Column)> =
            work.layout.late().map(|(physical, old, new)| (physical.name.clone(), old.clone(), new.clone())).collect();
        let Some((_, _, first)) = late.first() else { return };
        let before = self.diagnostics.len();
        self.refuse_copy(work, first);
        if self.diagnostics.len() > before {
            return;
        }
        for (name, old, new) in &late {
            let ty = crate::snapshot::types::sql_name(&old.ty, self.diff.dialect);
            self.warn(
                ("type-comes-late", Level::Warning),
                &format!("{}.{}", work.name, new.name),
                format!("both versions write {ty} until contract has copied the table beside its writers: what only the new type holds is refused before"),
                new.span,
            );
            self.gate_numbers(work, name, old, new);
        }
        let Some(twin) = self.twin_of(work) else { return };
        let look = |planner: &mut Self, phase: Phase| {
            planner.step(Draft {
                phase,
                change: work.change,
                slug: format!("look_at.{}", work.table),
                object: work.table.to_owned(),
                why: "Contract copies this table: what the copy would not have must not be there.".to_owned(),
                action: Action::Twin(TwinStage::Look, Box::new(twin.clone())),
                unit: None,
                requires: Vec::new(),
            })
        };
        look(self, Phase::Expand);
        let id = look(self, Phase::Contract);
        work.before_swap.push(id);
    }

    fn refuse_copy(&mut self, work: &Work<'a, '_>, column: &Column) {
        let object = format!("{}.{}", work.name, column.name);
        let (old, new) = (work.layout.change.old, work.layout.change.new);
        let elsewhere = "change it by hand in a maintenance window, and in both snapshots (MariaDB 11.2 and later can copy the table beside its writers)";
        let counts = if column.identity.is_some() {
            "it counts, so that only a copy of the table gives it another type"
        } else {
            "it has a full-text index, so that only a copy of the table gives it another type beside its writers"
        };
        let refers = |schema: &'a crate::snapshot::model::Schema, table: &str| {
            schema
                .tables
                .values()
                .flat_map(|other| other.foreign_keys.iter().map(move |key| (other.name.as_str(), key)))
                .find(|(_, key)| key.ref_table == table)
                .map(|(other, key)| (other.to_owned(), key.name.text.clone()))
        };
        let referred = refers(self.diff.old, &old.name).or_else(|| refers(self.diff.new, &new.name));
        let own = old.foreign_keys.iter().chain(&new.foreign_keys).next().map(|key| key.name.text.clone());
        let check = old.checks.iter().chain(&new.checks).next().filter(|_| !self.can.copies_checks).map(|check| check.name.text.clone());
        if let Some((other, key)) = referred {
            self.no_way(
                &object,
                &format!("{counts}, and foreign key {key} of {other} would stay with the table that gives its name away"),
                &format!("drop that foreign key in a transition before, and add it again in one behind this, or {elsewhere}"),
                column.span,
            );
        } else if let Some(key) = own {
            self.no_way(
                &object,
                &format!("{counts}, and the name of foreign key {key} is taken until the table that is copied has gone"),
                &format!("drop that foreign key in a transition before, and add it again in one behind this, or {elsewhere}"),
                column.span,
            );
        } else if let Some(check) = check {
            let product = product(self.diff.dialect);
            self.no_way(
                &object,
                &format!("{counts}, and {product} gives check {check} another name there"),
                &format!("drop that check in a transition before, or {elsewhere}"),
                column.span,
            );
        } else if self.key_of_twin(work).is_empty() || self.key_of(work).is_empty() {
            self.no_way(
                &object,
                &format!("{counts}, and that has no key to go by: no primary key, and nothing else that is unique over columns that are NOT NULL, so its rows can't be copied in batches"),
                "give it a key in a transition of its own first",
                column.span,
            );
        }
    }

    /// Numbers that the new type does not hold.
    fn gate_numbers(&mut self, work: &mut Work<'a, '_>, name: &str, old: &Column, new: &Column) {
        let (Some(was), Some((low, high))) = (self.target.whole_numbers(&old.ty), self.target.whole_numbers(&new.ty)) else { return };
        let mut bounds = Vec::new();
        if was.0 < low {
            bounds.push(format!("number >= {low}"));
        }
        if was.1 > high {
            bounds.push(format!("number <= {high}"));
        }
        if bounds.is_empty() {
            return;
        }
        let text = bounds.join(" and ");
        let splices = text.match_indices("number").map(|(at, word)| (at..at + word.len(), Splice::Column(name.to_owned()))).collect();
        let what = format!("{name} fits {}", crate::snapshot::types::sql_name(&new.ty, self.diff.dialect));
        let finding = Finding::Check(what, RowExpr { text, splices, has_subquery: false });
        self.check_rows(work, Phase::Migrate, &format!("fits.{name}"), (finding.clone(), OnFinding::Report), None, Vec::new());
        self.check_rows(work, Phase::Contract, &format!("fits.{name}"), (finding, OnFinding::Refuse), None, Vec::new());
    }

    /// The copy, behind everything else that contract makes of the table. Returns the last step.
    pub(super) fn copied_late(&mut self, work: &Work<'a, '_>, swapped: Option<String>) -> Option<String> {
        let Some(twin) = self.twin_of(work) else { return swapped };
        let mut requires = work.before_swap.clone();
        requires.extend(self.mirrors_removed(work.table));
        requires.extend(self.drop_namespace_step.clone());
        requires.extend(self.drop_views_step.get(&work.change).cloned());
        requires.extend(swapped);
        for (stage, slug, why) in [
            (TwinStage::Make, "make_twin", "A copy with the new type, empty as yet, and what writes into it each row that anyone writes."),
            (TwinStage::Fill, "fill_twin", "The rows that nobody has written since: in batches, each of which commits."),
            (TwinStage::Compare, "compare_twin", "Both tables must hold the same rows before the names are exchanged."),
            (TwinStage::Swap, "swap_twin", "The copy takes the name, in one statement: no client meets a moment without the table."),
        ] {
            let id = self.step(Draft {
                phase: Phase::Contract,
                change: work.change,
                slug: format!("{slug}.{}", work.name),
                object: work.name.to_owned(),
                why: why.to_owned(),
                action: Action::Twin(stage, Box::new(twin.clone())),
                unit: None,
                requires,
            });
            requires = vec![id];
        }
        requires.pop()
    }

    fn twin_of(&self, work: &Work<'a, '_>) -> Option<Twin> {
        let dialect = self.diff.dialect;
        let (table, new) = (work.name, work.layout.change.new);
        let restated: Vec<ColumnSpec> =
            work.layout.late().map(|(_, _, new)| self.column_spec(new, table, &new.name, &|name| Some(name.to_owned()))).collect();
        if restated.is_empty() {
            return None;
        }
        let written = new.columns.values().filter(|column| column.generated.is_none());
        Some(Twin {
            table: table.to_owned(),
            before: work.table.to_owned(),
            twin: naming::twin(table, dialect),
            left: naming::left_by_twin(table, dialect),
            copy: format!("{}_twin.{table}", self.diff.new.release),
            key: self.key_of_twin(work),
            columns: written.map(|column| (column.name.clone(), self.physical_type(&column.ty))).collect(),
            restated,
            first_key: self.key_of_copy(work).map(|key| (key.columns.clone(), self.gone_with_copy(work))),
            counts: new.columns.values().any(|column| column.identity.is_some()),
            triggers: ["delete", "update", "insert"].map(|event| naming::twin_trigger(table, event, dialect)),
            batch: BATCH,
        })
    }

    /// What the rows of the new shape go by, as long as the late types are the old ones.
    fn key_of_twin(&self, work: &Work<'a, '_>) -> Vec<(String, Type)> {
        let new = work.layout.change.new;
        let columns = unique_key(new).unwrap_or_default();
        let type_of = |name: &String| {
            let late = work.layout.late().find(|(_, _, new)| new.name == *name).map(|(_, old, _)| self.old_type(&old.ty));
            late.or_else(|| new.columns.get(name).map(|column| self.physical_type(&column.ty)))
        };
        columns.iter().filter_map(|name| Some((name.clone(), type_of(name)?))).collect()
    }
}
