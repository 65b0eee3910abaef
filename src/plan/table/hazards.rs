//! What a reviewer must know about the columns and lenses of a table.

use crate::diagnostic::{Level, Span};
use crate::diff::model::{Direction, Lens, LensColumn, Mapping};
use crate::snapshot::model::{Access, Check, Column, Enforce, Expr, Otherwise, Table, Type, TypeKind};
use crate::snapshot::types::domain;
use crate::sql::Dialect;
use crate::sql::expression::{Domain, Failing, why_fails};

use super::super::layout::{Physical, Reach, Role, Treatment, default_comes_late};
use super::super::planner::Planner;
use super::returns::acts_on_rows;
use super::{Work, is_null};

impl<'a> Planner<'a> {
    /// Where what a foreign key writes fires no trigger, the new version's column does not follow until it has a key of its own.
    pub(super) fn cascades_bypass(&mut self, work: &Work<'a, '_>) {
        if self.target.capabilities().cascades_fire_triggers {
            return;
        }
        for pair in &work.layout.change.foreign_keys {
            let (Some(old), Some(new)) = (pair.old, pair.new) else { continue };
            let apart = |name: &String| work.layout.of_old(name).is_some_and(|physical| physical.role == Role::Old);
            let Some(column) = old.columns.iter().find(|name| apart(name)).filter(|_| acts_on_rows(old)) else { continue };
            self.warn(
                ("triggers-bypassed", Level::Warning),
                &format!("{}.{column}", work.table),
                format!(
                    "what foreign key {} writes here fires no trigger: until the end of migrate, when the new column has a key of its own, a row that it changes keeps its value there, and migrate or contract refuses",
                    old.name.text
                ),
                new.name.span,
            );
        }
    }

    /// The default of a column that both versions have is one for both until contract, unless a view has its own. One of a lens has
    /// none where only a value tells who wrote.
    pub(super) fn default_hazards(&mut self, work: &Work<'a, '_>) {
        if self.settings.access == Access::Shared && work.layout.reach == Reach::Direct {
            let two_sided = work.layout.lenses.iter().filter(|(lens, treatment)| *treatment == Treatment::TwoSides && !lens.old.is_empty());
            for (lens, _) in two_sided {
                let same =
                    |one: &Column, other: &Column| one.default.as_ref().map(|it| &it.text) == other.default.as_ref().map(|it| &it.text);
                let is_renamed = matches!((lens.old.as_slice(), lens.new.as_slice()), ([old], [new])
                    if matches!(new.mapping, Some(Mapping::Copy(_))) && same(old.column, new.column));
                for member in lens.new.iter().filter(|member| member.column.default.is_some() && !is_renamed) {
                    let or_null = if lens.new.len() > 1 { ", and it gets NULL where another new column of the lens is given" } else { "" };
                    self.warn(
                        ("default-comes-late", Level::Warning),
                        &format!("{}.{}", work.name, member.column.name),
                        format!(
                            "until contract an INSERT of the new version that leaves it out gets no default of its own: it counts as the old version's{or_null} (versioned access can tell)"
                        ),
                        member.column.span,
                    );
                }
            }
        }
        if self.settings.access == Access::Versioned && self.can.view_defaults {
            return;
        }
        for physical in &work.layout.columns {
            let (Role::Both, Some(old), Some(new)) = (physical.role, physical.old, physical.new) else { continue };
            // An identity counts for both until then.
            if !default_comes_late(old, new, self.diff.dialect) || old.identity.is_some() {
                continue;
            }
            let (gets, own) = match (&old.default, &new.default) {
                (Some(_), Some(_)) => ("the old version's default", "its own"),
                (Some(_), None) => ("the old version's default", "NULL"),
                (None, _) => ("NULL", "its default"),
            };
            // It is refused then, as NULL is.
            if old.default.is_some() && new.default.is_none() && new.not_null {
                continue;
            }
            self.warn(
                ("default-comes-late", Level::Warning),
                &format!("{}.{}", work.name, new.name),
                format!("until contract an INSERT of the new version that leaves it out gets {gets} and not {own}"),
                new.span,
            );
        }
    }

    pub(super) fn column_hazards(&mut self, work: &Work<'a, '_>) {
        let shared = self.settings.access == Access::Shared;
        for physical in &work.layout.columns {
            match (physical.old, physical.new) {
                (Some(old), None) => {
                    let carried = work.layout.lenses.iter().any(|(lens, _)| {
                        lens.old.iter().any(|m| m.column.name == old.name) && lens.new.iter().any(|m| m.mapping.is_some())
                    }) || self.is_derived(work, old)
                        || old.generated.is_some()
                        || self.carries(work.table, &old.name);
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
                (None, Some(new)) if new.generated.is_some() && new.not_null => self.not_null_binds(work, physical, new),
                (None, _) => {}
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
                    && lens.new.first().is_some_and(|new| more_labels || !self.holds(&member.column.ty, &new.column.ty));
                // What is widened in place takes them all.
                if narrows && !matches!(treatment, Treatment::Alias | Treatment::InPlace) {
                    self.warn(
                        ("narrow-down", Level::Warning),
                        &format!("{}.{}", work.name, member.column.name),
                        "a value of the new version that does not fit the old type makes its write fail (`down` says what the old version shall see)",
                        member.column.span,
                    );
                }
            }
            self.partial_lens(work, lens, *treatment);
            // Without any new column there is nothing that the new version could give.
            let nullable = lens.new.iter().all(|m| !m.column.not_null);
            let defaulted = lens.old.iter().any(|m| m.column.default.is_some() && m.mapping.is_some());
            if *treatment == Treatment::TwoSides && work.layout.reach == Reach::Direct && nullable && defaulted {
                self.warn(
                    ("insert-ambiguity", Level::Warning),
                    &object,
                    if lens.new.is_empty() {
                        "an INSERT that leaves the old column out counts as the old version's: it gets the old column's default and not its `down` (versioned access can tell)"
                    } else {
                        "an INSERT that gives none of the new columns counts as the old version's: it gets what the old column's default maps to (versioned access can tell)"
                    },
                    span,
                );
            } else if *treatment == Treatment::TwoSides
                && work.layout.reach == Reach::Direct
                && nullable
                && let Some(required) = lens.old.iter().find(|m| is_required(m.column) && matches!(m.mapping, Some(Mapping::Expression(_))))
                && !lens.new.is_empty()
            {
                self.warn(
                    ("insert-ambiguity", Level::Warning),
                    &object,
                    format!(
                        "an INSERT that gives none of the new columns counts as the old version's, which must give {}: it is refused (versioned access can tell)",
                        required.column.name
                    ),
                    span,
                );
            } else if *treatment == Treatment::TwoSides
                && work.layout.reach == Reach::Direct
                && lens.new.is_empty()
                && let Some(derived) = lens.old.iter().find(|m| self.is_derived(work, m.column))
            {
                let not_refused = if derived.column.not_null { " and is not refused" } else { "" };
                self.warn(
                    ("insert-ambiguity", Level::Warning),
                    &object,
                    format!(
                        "an INSERT of the old version that gives the old column NULL counts as the new version's: it gets `down`{not_refused} (versioned access can tell)"
                    ),
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

    /// What of a lens has no value for some rows: then a write, or migrate, fails.
    fn partial_lens(&mut self, work: &Work<'a, '_>, lens: &Lens<'a>, treatment: Treatment) {
        if matches!(treatment, Treatment::Alias | Treatment::InPlace | Treatment::Late) {
            return;
        }
        for member in &lens.new {
            let why = match member.mapping {
                Some(Mapping::Cast(_)) => {
                    let narrows = |old: &&LensColumn<'_>| !self.holds(&member.column.ty, &old.column.ty);
                    lens.old.first().filter(narrows).map(|_| "does not fit the new type".to_owned())
                }
                Some(Mapping::Values(_, values, Direction::Up)) => {
                    matches!(values.otherwise, Some(Otherwise::Error)).then(|| "is not listed in `values`".to_owned())
                }
                Some(Mapping::Expression(up)) => self
                    .fails(up, work.layout.change.old, member.column)
                    .filter(|_| !self.is_computed_there(&lens.old, up, member.column))
                    .map(|why| format!("`up` fails on ({})", why.name())),
                Some(Mapping::Copy(_) | Mapping::Values(..)) | None => None,
            };
            if let Some(why) = why {
                let unwritten = if lens.old.is_empty() { "its inputs" } else { "the old version" };
                self.warn(
                    ("lens-not-total", Level::Warning),
                    &format!("{}.{}", work.name, member.column.name),
                    format!("a value of {unwritten} that {why} makes its write fail from expand on, and stops migrate where a row has it"),
                    member.column.span,
                );
            }
        }
        for member in &lens.old {
            let Some(Mapping::Expression(down)) = member.mapping else { continue };
            let is_computed_there = self.is_computed_there(&lens.new, down, member.column);
            if let Some(why) = self.fails(down, work.layout.change.new, member.column).filter(|_| !is_computed_there) {
                self.warn(
                    ("lens-not-total", Level::Warning),
                    &format!("{}.{}", work.name, member.column.name),
                    match lens.new.is_empty() {
                        true => format!(
                            "where `down` fails ({}) the old version reads what was there, or its default, until contract",
                            why.name()
                        ),
                        false => {
                            format!("a value of the new version that `down` fails on ({}) makes its write fail until contract", why.name())
                        }
                    },
                    member.column.span,
                );
            }
        }
    }

    /// Why an expression over the rows of a table fails on some, if it does, where a column gets what it gives.
    fn fails(&self, expr: &Expr, table: &Table, into: &Column) -> Option<Failing> {
        let dialect = self.diff.dialect;
        why_fails(&expr.text, dialect, &|name| domain_of(table, name, dialect), domain(&into.ty, dialect))
    }

    /// Whether the server computes the same for the version that writes, so that what fails is no write of a plain database either.
    fn is_computed_there(&self, written: &[LensColumn<'a>], expr: &Expr, into: &Column) -> bool {
        let dialect = self.diff.dialect;
        written.iter().any(|member| {
            let computed = member.column.generated.as_ref().filter(|computed| computed.stored || dialect != Dialect::Postgres);
            computed.is_some_and(|computed| computed.expression.text == expr.text)
                && domain(&member.column.ty, dialect) == domain(&into.ty, dialect)
        })
    }

    /// What the server computes for one version only: where it fails, it takes the other version's write with it.
    pub(super) fn partial_generated(&mut self, work: &Work<'a, '_>) {
        // There a cast, a quotient and a sum have always a value.
        if self.diff.dialect == Dialect::Sqlite {
            return;
        }
        let change = work.layout.change;
        for pair in &change.columns {
            let is_one = pair.new.is_some_and(|new| work.layout.of_new(&new.name).is_some_and(|physical| physical.role == Role::Both));
            let is_alike = pair.old.is_some() && pair.new.is_some() && !pair.facets.generated && !pair.facets.ty;
            if is_one || (is_alike && change.lenses.is_empty()) {
                continue;
            }
            for (column, table, called, own, other, fails) in [
                (pair.new, change.new, work.name, "new", "old", "makes its write fail from expand on"),
                (pair.old, change.old, work.table, "old", "new", "makes its write fail until contract"),
            ] {
                let Some((column, why)) = self.fails_generated(column, table) else { continue };
                let is_read_late = self.diff.dialect == Dialect::Postgres && column.generated.as_ref().is_some_and(|it| !it.stored);
                let so = if is_read_late { format!("can be written, and the {own} version can't read it") } else { fails.to_owned() };
                self.warn(
                    ("lens-not-total", Level::Warning),
                    &format!("{called}.{}", column.name),
                    format!("a value of the {other} version that the {own} version's expression fails on ({}) {so}", why.name()),
                    column.span,
                );
            }
        }
    }

    fn fails_generated(&self, column: Option<&'a Column>, table: &Table) -> Option<(&'a Column, Failing)> {
        let column = column?;
        Some((column, self.fails(&column.generated.as_ref()?.expression, table, column)?))
    }

    /// A check that fails on a row says so, and not that the row breaks a rule.
    pub(super) fn partial_check(&mut self, work: &Work<'a, '_>, check: &Check) {
        let dialect = self.diff.dialect;
        if dialect == Dialect::Sqlite {
            return;
        }
        let table = work.layout.change.new;
        if let Some(why) = why_fails(&check.expression.text, dialect, &|name| domain_of(table, name, dialect), Domain::Other) {
            self.warn(
                ("lens-not-total", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "a row that check {} fails on ({}) is refused by that failure, once the check is there, whatever it should say",
                    check.name.text,
                    why.name()
                ),
                check.name.span,
            );
        }
    }

    /// Whether a type holds every value of another one.
    fn holds(&self, wide: &Type, narrow: &Type) -> bool {
        let rank = |ty: &Type| match ty.kind {
            TypeKind::SmallInt => Some(1),
            TypeKind::Integer => Some(2),
            TypeKind::BigInt => Some(3),
            _ => None,
        };
        let counts = rank(wide).zip(rank(narrow)).is_some_and(|(wide, narrow)| narrow <= wide);
        let floats = matches!((&wide.kind, &narrow.kind), (TypeKind::Double, TypeKind::Real));
        let texts = matches!((&wide.kind, &narrow.kind), (TypeKind::Text | TypeKind::Varchar(None), TypeKind::Char(_)));
        (wide.array_dimensions == narrow.array_dimensions && (counts || floats || texts)) || self.target.widens_in_place(narrow, wide)
    }

    /// What a rule that goes in expand means for those who relied on it.
    pub(super) fn rule_loosened(&mut self, work: &Work<'a, '_>, what: &str, span: Span) {
        self.warn(
            ("rule-loosened", Level::Note),
            &format!("table {}", work.name),
            format!("{what} no longer binds the new version from expand on: the old version may read rows that break it"),
            span,
        );
    }

    /// Whether an old column's value is a function of columns that stay.
    pub(super) fn is_derived(&self, work: &Work<'a, '_>, old: &Column) -> bool {
        work.layout.lenses.iter().any(|(lens, _)| {
            lens.old.iter().any(|m| m.column.name == old.name && matches!(m.mapping, Some(Mapping::Expression(e)) if !is_null(e)))
        })
    }
}

/// Whether an INSERT must give the column a value.
fn is_required(column: &Column) -> bool {
    column.not_null && column.default.is_none() && column.identity.is_none() && column.generated.is_none()
}

/// What a column of a table can hold.
fn domain_of(table: &Table, name: &str, dialect: Dialect) -> Domain {
    table.columns.get(name).map_or(Domain::Other, |column| domain(&column.ty, dialect))
}
