//! What keeps the two sides of a table's lenses in step.

use std::collections::BTreeSet;

use crate::diff::model::{Direction, Lens, LensColumn, Mapping};
use crate::snapshot::model::{Access, OnConflict, Otherwise, Type, TypeKind, Value};

use super::super::layout::{Layout, Reach, Role, Treatment};
use super::super::model::{FillColumn, Follow, Formula, FormulaOtherwise, RowExpr, Splice, Sync, SyncColumn, SyncLens, Writer};
use super::super::planner::Planner;
use super::super::{WriterMark, naming};
use super::{Work, is_null};

impl<'a> Planner<'a> {
    /// What keeps the table in step, if anything has to.
    pub(super) fn sync(&mut self, work: &Work<'a, '_>) -> Option<Sync> {
        let mut lenses = Vec::new();
        let mut fills = Vec::new();
        for (lens, treatment) in &work.layout.lenses {
            match treatment {
                Treatment::Alias | Treatment::InPlace | Treatment::Late => {}
                Treatment::Fill => {
                    if let Some(Mapping::Expression(up)) = lens.new[0].mapping {
                        let column = lens.new[0].column;
                        fills.push(FillColumn {
                            column: work.layout.of_new(&column.name).map_or_else(|| column.name.clone(), |c| c.name.clone()),
                            ty: column.ty.clone(),
                            formula: Formula::Written(self.old_expr(up, work.table)),
                        });
                    }
                }
                Treatment::TwoSides => lenses.push(self.sync_lens(work, lens)),
            }
        }
        if !self.can.hidden_defaults {
            for physical in work.layout.columns.iter().filter(|c| c.role == Role::New) {
                let Some(new) = physical.new.filter(|new| new.not_null) else { continue };
                let Some(default) = &new.default else { continue };
                if self.has_default_apart(new) {
                    let physical_of = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
                    let formula = Formula::Written(self.new_expr(default, work.name, &physical_of));
                    fills.push(FillColumn { column: physical.name.clone(), ty: self.physical_type(&new.ty), formula });
                }
            }
        }
        if lenses.is_empty() && fills.is_empty() {
            return None;
        }
        let dialect = self.diff.dialect;
        let not_null = self.refused_late(work);
        Some(Sync {
            table: work.table.to_owned(),
            function: naming::sync_function(work.table, dialect),
            insert_trigger: naming::sync_trigger(work.table, "insert", dialect),
            update_trigger: naming::sync_trigger(work.table, "update", dialect),
            writer: if self.tells_writer(work.layout) { Writer::Marker } else { Writer::NewSideGiven },
            lenses,
            fills,
            not_null,
            returns: self.sync_returns(work),
            collated: work
                .layout
                .columns
                .iter()
                .filter(|c| c.old.or(c.new).is_some_and(|column| column.collation.is_some()))
                .map(|c| c.name.clone())
                .collect(),
        })
    }

    /// Whether a row of the table says who wrote it.
    pub(in crate::plan) fn tells_writer(&self, layout: &Layout<'a>) -> bool {
        layout.reach == Reach::View
            && match self.can.writer {
                WriterMark::View => true,
                // Beside the table, in one database, nothing tells the two apart.
                WriterMark::Database => self.settings.access == Access::Versioned,
            }
    }

    /// Old columns that the new version's rows get from a trigger which comes too late for their NOT NULL.
    fn refused_late(&self, work: &Work<'a, '_>) -> Vec<String> {
        if self.target.capabilities().fills_in_time || work.layout.reach == Reach::View {
            return Vec::new();
        }
        let two_sides = work.layout.lenses.iter().filter(|(_, treatment)| *treatment == Treatment::TwoSides);
        let old = two_sides.flat_map(|(lens, _)| &lens.old).filter(|member| member.mapping.is_some()).map(|member| member.column);
        old.filter(|column| column.not_null && column.default.is_none() && column.identity.is_none() && column.generated.is_none())
            .map(|column| column.name.clone())
            .collect()
    }

    pub(super) fn sync_lens(&self, work: &Work<'a, '_>, lens: &Lens<'a>) -> SyncLens {
        let new_name = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let side = |members: &[LensColumn<'a>], direction: Direction| -> Vec<SyncColumn> {
            members
                .iter()
                // The server writes it, behind every trigger.
                .filter(|member| member.column.generated.is_none())
                .map(|member| {
                    let name = match direction {
                        Direction::Up => new_name(&member.column.name).unwrap_or_else(|| member.column.name.clone()),
                        Direction::Down => member.column.name.clone(),
                    };
                    let other = |name: &str| match direction {
                        Direction::Up => name.to_owned(),
                        Direction::Down => new_name(name).unwrap_or_else(|| name.to_owned()),
                    };
                    SyncColumn {
                        name,
                        ty: match direction {
                            Direction::Up => self.physical_type(&member.column.ty),
                            Direction::Down => self.old_type(&member.column.ty),
                        },
                        formula: member.mapping.as_ref().and_then(|mapping| self.formula(work, mapping, direction, &other)),
                        backfill: match direction {
                            Direction::Up => {
                                member.hints.and_then(|h| h.backfill.as_ref()).map(|e| Formula::Written(self.old_expr(e, work.table)))
                            }
                            Direction::Down => None,
                        },
                        has_default: member.column.default.is_some(),
                        default: member
                            .column
                            .default
                            .as_ref()
                            .filter(|default| direction == Direction::Up && self.target.is_bare_literal(&member.column.ty, &default.text))
                            .map(|default| self.new_expr(default, work.name, &|_| None)),
                        counts: self.counts(member.column),
                    }
                })
                .collect()
        };
        let old = side(&lens.old, Direction::Down);
        let new = side(&lens.new, Direction::Up);
        let inputs = |columns: &[SyncColumn], others: &[SyncColumn]| -> Vec<(String, Type)> {
            let mut names = BTreeSet::new();
            for column in columns {
                if let Some(Formula::Written(expr)) = &column.formula {
                    for (_, splice) in &expr.splices {
                        if let Splice::Column(name) = splice
                            && !others.iter().any(|other| other.name == *name)
                        {
                            names.insert(name.clone());
                        }
                    }
                }
            }
            work.layout
                .columns
                .iter()
                .filter(|c| names.contains(&c.name))
                .filter_map(|c| {
                    Some((c.name.clone(), c.new.map(|new| self.physical_type(&new.ty)).or_else(|| Some(self.old_type(&c.old?.ty)))?))
                })
                .collect()
        };
        SyncLens {
            up_inputs: inputs(&new, &old),
            down_inputs: inputs(&old, &new),
            on_conflict: lens
                .new
                .iter()
                .chain(&lens.old)
                .filter_map(|m| m.hints)
                .map(|h| h.on_conflict)
                .find(|c| *c != OnConflict::New)
                .unwrap_or_default(),
            follow: if lens.new.iter().chain(&lens.old).any(|m| m.hints.and_then(|h| h.follow) == Some(false)) {
                Follow::Never
            } else {
                Follow::Inputs
            },
            old,
            new,
        }
    }

    pub(super) fn formula(
        &self,
        work: &Work<'a, '_>,
        mapping: &Mapping<'_>,
        direction: Direction,
        other: &dyn Fn(&str) -> String,
    ) -> Option<Formula> {
        Some(match mapping {
            Mapping::Copy(column) => Formula::Column(other(column)),
            Mapping::Cast(column) if self.is_collated_otherwise(work, column, direction) => Formula::Written(bytewise(&other(column))),
            Mapping::Cast(column) => match self.relabeling(work, column, direction) {
                Some(pairs) => Formula::Relabel { column: other(column), pairs },
                None => Formula::Cast(other(column)),
            },
            Mapping::Values(column, map, values_direction) => {
                let mut pairs: Vec<(Value, Value)> = Vec::new();
                for pair in &map.pairs {
                    let (from, to) = match values_direction {
                        Direction::Up => (&pair.old, &pair.new),
                        Direction::Down => (&pair.new, &pair.old),
                    };
                    // Of several old values for one new value the first is the way back.
                    if *from != Value::Null && !pairs.iter().any(|(known, _)| known == from) {
                        pairs.push((from.clone(), to.clone()));
                    }
                }
                let ty = match direction {
                    Direction::Up => work.layout.of_old(column).and_then(|c| c.old).map(|c| self.old_type(&c.ty)),
                    Direction::Down => work.layout.of_new(column).and_then(|c| c.new).map(|c| self.physical_type(&c.ty)),
                }
                .unwrap_or(Type { kind: TypeKind::Text, array_dimensions: 0 });
                let otherwise = match (&map.otherwise, values_direction) {
                    (Some(Otherwise::Value(value)), Direction::Up) => FormulaOtherwise::Value(value.clone()),
                    (Some(Otherwise::Error), Direction::Up) => FormulaOtherwise::Error,
                    (None, Direction::Up) => FormulaOtherwise::Nothing,
                    (_, Direction::Down) => FormulaOtherwise::Error,
                };
                Formula::Values { column: other(column), ty, pairs, otherwise }
            }
            Mapping::Expression(expr) if direction == Direction::Down && is_null(expr) => return None,
            Mapping::Expression(expr) => Formula::Written(match direction {
                Direction::Up => self.old_expr(expr, work.table),
                Direction::Down => self.new_expr(expr, work.name, &|name| work.layout.of_new(name).map(|c| c.name.clone())),
            }),
        })
    }

    /// Whether the two sides of a column differ in their collation, so that they can't be compared as they are.
    pub(super) fn is_collated_otherwise(&self, work: &Work<'a, '_>, column: &str, direction: Direction) -> bool {
        work.layout.change.columns.iter().any(|pair| {
            let side = match direction {
                Direction::Up => pair.old,
                Direction::Down => pair.new,
            };
            !self.target.capabilities().mixes_collations && pair.facets.collation && side.is_some_and(|side| side.name == column)
        })
    }

    /// The labels to change on the way from a column whose enum has another type for the other version.
    pub(super) fn relabeling(&self, work: &Work<'a, '_>, column: &str, direction: Direction) -> Option<Vec<(String, String)>> {
        let TypeKind::Enum(name) = (match direction {
            Direction::Up => &work.layout.of_old(column)?.old?.ty.kind,
            Direction::Down => &work.layout.of_new(column)?.new?.ty.kind,
        }) else {
            return None;
        };
        let found = self.diff.enums.iter().find(|found| {
            let side = match direction {
                Direction::Up => found.pair.old,
                Direction::Down => found.pair.new,
            };
            found.needs_another_type() && side.is_some_and(|side| side.name == *name)
        })?;
        let pairs = self.relabeled.get(found.pair.old?.name.as_str())?;
        Some(match direction {
            Direction::Up => pairs.clone(),
            Direction::Down => pairs.iter().map(|(old, new)| (new.clone(), old.clone())).collect(),
        })
    }
}

/// A column as one compares bytes: two columns of different collations can't be compared by either.
fn bytewise(column: &str) -> RowExpr {
    let text = [column, " collate \"C\""].concat();
    RowExpr { text, splices: vec![(0..column.len(), Splice::Column(column.to_owned()))], has_subquery: false }
}
