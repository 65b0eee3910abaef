//! The rows that are there: filled, counted, proved.

use crate::diagnostic::Level;
use crate::snapshot::model::{Index, Table, Type};

use super::super::model::{Action, Backfill, Finding, Formula, MirrorSide, OnFinding, Phase, Sync, SyncColumn};
use super::super::naming::without_interim;
use super::super::planner::{Draft, Planner};
use super::{Work, plain_columns};

/// Rows a batch: 10 000 was fastest on PostgreSQL 15 with one worker.
pub(in super::super) const BATCH: u32 = 10_000;

impl<'a> Planner<'a> {
    /// A key to go by: what is unique, or, where rows can't be reached by where they lie, the columns of an index; physical names and
    /// types. None: pages.
    pub(super) fn key_of(&self, work: &Work<'a, '_>) -> Vec<(String, Type)> {
        let old = work.layout.change.old;
        let columns = unique_key(work.layout.change.old).or_else(|| Some(self.index_to_go_by(work)?.1)).unwrap_or_default();
        columns.iter().filter_map(|name| old.columns.get(name).map(|column| (name.clone(), self.old_type(&column.ty)))).collect()
    }

    /// The index whose order a backfill goes by where nothing is unique, and its columns: NOT NULL, whole, and there to the end.
    fn index_to_go_by(&self, work: &Work<'a, '_>) -> Option<(&'a str, Vec<String>)> {
        if self.can.reaches_rows_without_key {
            return None;
        }
        let old = work.layout.change.old;
        let is_whole = |index: &&Index| {
            index.predicate.is_none()
                && index.method == "btree"
                && index.keys.iter().all(|key| key.length.is_none() && key.collation.is_none())
        };
        let goes = |columns: &Vec<String>| self.stay(work, columns) && are_not_null(old, columns);
        old.indexes
            .iter()
            .filter(is_whole)
            .filter_map(|index| Some((index.name.text.as_str(), plain_columns(index).filter(goes)?)))
            // Of most columns: the fewest rows have the same values.
            .max_by_key(|(name, columns)| (columns.len(), std::cmp::Reverse(*name)))
    }

    pub(super) fn backfill(&mut self, work: &mut Work<'a, '_>, what: &str, sets: Vec<(String, Type, Formula)>, requires: Vec<String>) {
        let key = self.key_of(work);
        if key.is_empty() && !self.can.reaches_rows_without_key {
            self.no_way(
                &format!("table {}", work.name),
                "it has no key to go by: no primary key, and no index over columns that are NOT NULL, so its rows can't be filled in batches",
                "give it a key, or an index over columns that are NOT NULL, in a transition of its own first",
                work.layout.change.old.span,
            );
        } else if key.is_empty() {
            self.warn(
                ("backfill-without-key", Level::Note),
                &format!("table {}", work.name),
                "it has no key to go by: the backfill goes by pages, and reads the whole table once more for each pass in which writers moved rows",
                work.layout.change.old.span,
            );
        } else if let (None, Some((index, _))) = (unique_key(work.layout.change.old), self.index_to_go_by(work)) {
            self.warn(
                ("backfill-without-key", Level::Note),
                &format!("table {}", work.name),
                format!("it has no key to go by: the backfill goes by index {index}, and rows that have the same values there are filled at once"),
                work.layout.change.old.span,
            );
        }
        let object = format!("{}.{what}", work.table);
        let columns: Vec<String> = sets.iter().map(|(name, _, _)| name.clone()).collect();
        let fill = self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("backfill.{object}"),
            object: object.clone(),
            why: "The rows that nobody has written since expand. What a version wrote meanwhile is left alone.".to_owned(),
            action: Action::Backfill(Box::new(Backfill {
                name: format!("{}_migrate{:02}.{object}", self.diff.new.release, work.change),
                table: work.table.to_owned(),
                key,
                sets,
                batch: BATCH,
            })),
            unit: None,
            requires,
        });
        work.filled.push(fill.clone());
        if !self.can.analyzes {
            return;
        }
        let analyze = self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("analyze.{object}"),
            object,
            why: "Statistics, before anyone reads the new shape.".to_owned(),
            action: Action::Analyze { table: work.table.to_owned(), columns },
            unit: None,
            requires: vec![fill],
        });
        work.filled.push(analyze);
    }

    pub(super) fn backfills(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        let Some(sync) = sync else { return };
        for lens in &sync.lenses {
            let sets: Vec<(String, Type, Formula)> = lens
                .new
                .iter()
                .filter_map(|c| Some((c.name.clone(), c.ty.clone(), c.backfill.clone().or_else(|| c.formula.clone())?)))
                .collect();
            if !sets.is_empty() {
                let what = sets.iter().map(|(name, _, _)| name.as_str()).collect::<Vec<_>>().join("+");
                let requires = work.ready.clone();
                self.backfill(work, &what, sets, requires);
            }
        }
        for fill in &sync.fills {
            let requires = work.ready.clone();
            self.backfill(work, &fill.column.clone(), vec![(fill.column.clone(), fill.ty.clone(), fill.formula.clone())], requires);
        }
        for lens in &sync.lenses {
            let mut names: Vec<&str> = lens.old.iter().chain(&lens.new).map(|c| c.name.as_str()).collect();
            names.dedup();
            let what = names.join("+");
            let filled = work.filled.clone();
            let finding = Finding::Disagree(lens.clone());
            self.check_rows(work, Phase::Migrate, &format!("agree.{what}"), (finding.clone(), OnFinding::Refuse), None, filled);
            // A NULL that migrate did not find is the new version's word, where nothing else follows from it.
            let may_be_null =
                |c: &SyncColumn| work.layout.columns.iter().any(|p| p.name == c.name && p.new.is_some_and(|new| !new.not_null));
            if !lens.old.is_empty() || !lens.new.iter().all(may_be_null) {
                self.check_rows(work, Phase::Contract, &format!("agree.{what}"), (finding, OnFinding::Refuse), None, Vec::new());
            }
        }
    }

    pub(super) fn check_rows(
        &mut self,
        work: &mut Work<'a, '_>,
        phase: Phase,
        what: &str,
        (finding, on_finding): (Finding, OnFinding),
        until: Option<String>,
        requires: Vec<String>,
    ) -> String {
        let key: Vec<String> = self.key_of(work).into_iter().map(|(name, _)| name).collect();
        self.rows_checked(work.change, phase, (work.table, &key), what, (finding, on_finding), until, requires)
    }

    /// A look for rows of a table, by the columns that name a row in a message.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the step, and none belongs to another")]
    pub(in super::super) fn rows_checked(
        &mut self,
        change: usize,
        phase: Phase,
        (table, key): (&str, &[String]),
        what: &str,
        (finding, on_finding): (Finding, OnFinding),
        until: Option<String>,
        requires: Vec<String>,
    ) -> String {
        let why = match (&finding, on_finding) {
            (Finding::Disagree(_), _) => "Both shapes must say the same of every row.".to_owned(),
            (Finding::Unlike(mirror, MirrorSide::Source), _) => {
                format!("Every row of {} that is meant must have its image in {}, and say the same.", mirror.source, mirror.target)
            }
            (Finding::Unlike(mirror, MirrorSide::Target), _) => {
                format!("Every row of {} must be the image of a row of {}.", mirror.target, mirror.source)
            }
            (Finding::Null(column), OnFinding::Report) => {
                format!("{column} becomes NOT NULL in contract: rows that would stop it are reported now.")
            }
            (Finding::Null(column), OnFinding::Refuse) => format!("{column} becomes NOT NULL."),
            (Finding::Check(name, _), OnFinding::Report) => {
                format!("Check {} binds from contract on: rows that would stop it are reported now.", without_interim(name))
            }
            (Finding::Check(name, _), OnFinding::Refuse) => format!("Check {} is about to bind.", without_interim(name)),
            (Finding::Orphan(spec), OnFinding::Report) => {
                format!("Foreign key {} binds from contract on: rows that would stop it are reported now.", spec.key.name.text)
            }
            (Finding::Orphan(spec), OnFinding::Refuse) => format!("Foreign key {} is about to bind.", spec.key.name.text),
            (Finding::Duplicate { name, .. }, OnFinding::Report) => {
                format!("Unique {} binds from contract on: keys that would stop it are reported now.", without_interim(name))
            }
            (Finding::Duplicate { name, .. }, OnFinding::Refuse) => format!("Unique {} is about to be built.", without_interim(name)),
        };
        self.step(Draft {
            phase,
            change,
            slug: format!("check_rows.{table}.{what}"),
            object: format!("{table}.{what}"),
            why,
            action: Action::CheckRows { table: table.to_owned(), key: key.to_vec(), finding, on_finding, until },
            unit: None,
            requires,
        })
    }

    /// Reports in migrate and refuses in contract, or (enforced from migrate) refuses in migrate. Returns the refusal's id.
    pub(super) fn gate(&mut self, work: &mut Work<'a, '_>, phase: Phase, what: &str, finding: Finding, until: Option<String>) -> String {
        let filled = [work.filled.clone(), work.ready.clone()].concat();
        match phase {
            Phase::Contract => {
                self.check_rows(work, Phase::Migrate, what, (finding.clone(), OnFinding::Report), until.clone(), filled);
                self.check_rows(work, Phase::Contract, what, (finding, OnFinding::Refuse), until, Vec::new())
            }
            Phase::Expand | Phase::Migrate => self.check_rows(work, Phase::Migrate, what, (finding, OnFinding::Refuse), until, filled),
        }
    }

    pub(in super::super) fn validate(
        &mut self,
        change: usize,
        phase: Phase,
        table: &str,
        name: &str,
        references: Option<String>,
        requires: Vec<String>,
    ) -> String {
        if !self.can.validates_apart {
            // The step that added it has proved it.
            return requires.into_iter().next().unwrap_or_default();
        }
        let object = format!("{table}.{name}");
        self.step(Draft {
            phase,
            change,
            slug: format!("validate.{object}"),
            object,
            why: "Proved for the rows that are there, in a transaction of its own: the table is read, and nobody waits.".to_owned(),
            action: Action::ValidateConstraint { table: table.to_owned(), name: name.to_owned(), references },
            unit: None,
            requires,
        })
    }
}

/// The columns of the primary key, or what else is unique over NOT NULL columns.
pub(super) fn unique_key(table: &Table) -> Option<Vec<String>> {
    let indexes = table.indexes.iter().filter(|index| index.unique && index.predicate.is_none() && index.method == "btree");
    table
        .primary_key
        .iter()
        .map(|key| key.columns.clone())
        .chain(table.uniques.iter().map(|unique| unique.columns.clone()).filter(|columns| are_not_null(table, columns)))
        .chain(indexes.filter_map(plain_columns).filter(|columns| are_not_null(table, columns)))
        .next()
}

pub(super) fn are_not_null(table: &Table, columns: &[String]) -> bool {
    columns.iter().all(|name| table.columns.get(name).is_some_and(|column| column.not_null))
}
