//! What a reviewer must know about the columns and lenses of a table.

use crate::diagnostic::{Level, Span};
use crate::diff::model::{LensColumn, Mapping};
use crate::snapshot::model::{Access, Column, Enforce, TypeKind};

use super::super::layout::{Physical, Reach, Treatment};
use super::super::planner::Planner;
use super::{Work, is_null};

impl<'a> Planner<'a> {
    pub(super) fn column_hazards(&mut self, work: &Work<'a, '_>) {
        let shared = self.settings.access == Access::Shared;
        for physical in &work.layout.columns {
            match (physical.old, physical.new) {
                (Some(old), None) => {
                    let carried = work.layout.lenses.iter().any(|(lens, _)| {
                        lens.old.iter().any(|m| m.column.name == old.name) && lens.new.iter().any(|m| m.mapping.is_some())
                    }) || self.is_derived(work, old)
                        || old.generated.is_some();
                    if !carried {
                        self.warn(
                            ("drops-data", Level::Error),
                            &format!("{}.{}", work.table, old.name),
                            "contract drops the column with all its values, and no lens carries them over",
                            old.span,
                        );
                    }
                }
                (Some(old), Some(new)) => {
                    let in_key = self.key_goes(work).is_some_and(|key| key.columns.contains(&old.name));
                    if old.not_null && !new.not_null && !in_key {
                        self.warn(
                            ("old-reads-null", Level::Warning),
                            &format!("{}.{}", work.name, new.name),
                            "the old version may read NULL here, which it never did, as soon as the new version writes it (`down` gives it a value)",
                            new.span,
                        );
                    }
                    if !old.not_null && new.not_null {
                        self.not_null_binds(work, physical, new);
                    }
                }
                (None, Some(new)) => {
                    if new.generated.is_some() && new.not_null {
                        self.not_null_binds(work, physical, new);
                    }
                    if shared && work.layout.reach == Reach::Direct {
                        self.warn(
                            ("positional-clients", Level::Note),
                            &format!("table {}", work.name),
                            "old clients that say `select *` see columns that they don't know until contract",
                            new.span,
                        );
                    }
                }
                (None, None) => {}
            }
        }
        for pair in &work.layout.change.columns {
            if let (Some(old), Some(new)) = (pair.old, pair.new)
                && old.generated.is_some()
                && new.generated.is_none()
            {
                self.warn(
                    ("old-reads-computed", Level::Warning),
                    &format!("{}.{}", work.name, new.name),
                    "until contract the old version reads what the server computes, whatever the new version writes here",
                    new.span,
                );
            }
        }
        for (lens, treatment) in &work.layout.lenses {
            let names = |side: &[LensColumn<'_>]| side.iter().map(|m| m.column.name.clone()).collect::<Vec<_>>().join(", ");
            let object = format!("{}.{}", work.name, names(if lens.new.is_empty() { &lens.old } else { &lens.new }));
            let span = lens.new.first().or(lens.old.first()).map_or(Span::default(), |m| m.column.span);
            for member in lens.old.iter().chain(&lens.new) {
                if member.hints.is_some_and(|hints| hints.lossy) {
                    self.warn(
                        ("lossy-lens", Level::Note),
                        &format!("{}.{}", work.name, member.column.name),
                        "declared lossy: a value that makes the way there and back may come back changed",
                        member.column.span,
                    );
                }
            }
            let mut copied = lens.new.iter().filter_map(|m| m.mapping).any(|m| matches!(m, Mapping::Copy(_)));
            copied &= lens.old.len() == 1 && lens.new.len() == 1 && lens.old[0].column.ty == lens.new[0].column.ty;
            if *treatment == Treatment::TwoSides && copied && shared && work.layout.reach == Reach::Direct {
                self.warn(
                    ("rename-by-copy", Level::Note),
                    &object,
                    "in shared access a rename is a second column that is copied: versioned access needs no copy",
                    span,
                );
            }
            for member in &lens.old {
                let more_labels = matches!(&member.column.ty.kind, TypeKind::Enum(name) if self.diff.enums.iter().any(|found| {
                    found.needs_another_type() && !found.added.is_empty() && found.pair.old.is_some_and(|old| old.name == *name)
                }));
                let narrows = matches!(member.mapping, Some(Mapping::Cast(_)))
                    && lens.new.first().is_some_and(|new| more_labels || !self.target.widens_in_place(&new.column.ty, &member.column.ty));
                if narrows && *treatment != Treatment::Alias {
                    self.warn(
                        ("narrow-down", Level::Warning),
                        &format!("{}.{}", work.name, member.column.name),
                        "a value of the new version that does not fit the old type makes its write fail (`down` says what the old version shall see)",
                        member.column.span,
                    );
                }
            }
            let nullable = !lens.new.is_empty() && lens.new.iter().all(|m| !m.column.not_null);
            let defaulted = lens.old.iter().any(|m| m.column.default.is_some() && m.mapping.is_some());
            if *treatment == Treatment::TwoSides && work.layout.reach == Reach::Direct && nullable && defaulted {
                self.warn(
                    ("insert-ambiguity", Level::Warning),
                    &object,
                    "an INSERT that gives none of the new columns counts as the old version's: it gets what the old column's default maps to (versioned access can tell)",
                    span,
                );
            }
            if *treatment == Treatment::TwoSides && lens.old.is_empty() && !lens.inputs.is_empty() {
                let follows = lens.new.iter().all(|m| m.hints.and_then(|h| h.follow) != Some(false));
                if follows {
                    self.warn(
                        ("derived-follows", Level::Note),
                        &object,
                        "it follows its inputs whoever changes them, until the new version sets it to something else (`follow: false` fills it once)",
                        span,
                    );
                }
            }
        }
    }

    fn not_null_binds(&mut self, work: &Work<'a, '_>, physical: &Physical<'a>, new: &Column) {
        let from = match physical.hints.and_then(|hints| hints.enforce) {
            Some(Enforce::Migrate) => "migrate",
            Some(Enforce::Contract) | None => "contract",
        };
        self.warn(
            ("rule-tightened", Level::Warning),
            &format!("{}.{}", work.name, new.name),
            format!("NOT NULL binds from {from}: a write of NULL fails then with SQLSTATE 23502"),
            new.span,
        );
    }

    /// Whether an old column's value is a function of columns that stay.
    pub(super) fn is_derived(&self, work: &Work<'a, '_>, old: &Column) -> bool {
        work.layout.lenses.iter().any(|(lens, _)| {
            lens.old.iter().any(|m| m.column.name == old.name && matches!(m.mapping, Some(Mapping::Expression(e)) if !is_null(e)))
        })
    }
}
