//! A table that both versions have: its columns and lenses, what hangs on them, and the swap that ends the overlap.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Level, Span};
use crate::diff::model::{Direction, Lens, LensColumn, Mapping, Pair};
use crate::snapshot::model::{
    Access, Check, Column, Enforce, Expr, ForeignKey, Identity, Index, IndexTarget, Name, OnConflict, Otherwise, Type, TypeKind, Unique,
    Value,
};
use crate::sql::expression::defines_volatile;

use super::layout::{Layout, Reach, Role, Treatment};
use super::model::{
    Action, Backfill, CommentTarget, Concurrently, ConstraintSpec, FillColumn, Finding, Follow, ForeignKeySpec, Formula, FormulaOtherwise,
    Marker, OnFinding, Phase, Rename, RowExpr, Splice, Sync, SyncColumn, SyncLens, Writer,
};
use super::naming;
use super::planner::{Draft, Planner};

mod keys;

pub(super) use keys::changes_columns;

/// Rows a batch: 10 000 was fastest on PostgreSQL 15 with one worker.
const BATCH: u32 = 10_000;

/// What planning one table has found so far.
struct Work<'a, 'l> {
    layout: &'l Layout<'a>,
    change: usize,
    /// The table's physical name until contract.
    table: &'a str,
    /// The name in the new shape.
    name: &'a str,
    /// Steps of expand after which all physical columns are there and kept in step.
    ready: Vec<String>,
    /// Backfills.
    filled: Vec<String>,
    /// Steps of contract that must have run before the swap.
    before_swap: Vec<String>,
    /// Steps in the swaps of other tables that must have run before this table's old key goes.
    swap_requires: Vec<String>,
    /// Steps of the swap, in order.
    swap: Vec<(String, String, String, Action)>,
}

impl<'a> Planner<'a> {
    /// Plans a changed table and gives its layout back.
    pub(super) fn table_changed(&mut self, layout: Layout<'a>) -> Layout<'a> {
        let change = self.change_of_table(&layout.change.new.name);
        let table = layout.table();
        let mut work = Work {
            layout: &layout,
            change,
            table,
            name: &layout.change.new.name,
            ready: Vec::new(),
            filled: Vec::new(),
            before_swap: Vec::new(),
            swap_requires: Vec::new(),
            swap: Vec::new(),
        };
        self.refuse_what_is_not_there_yet(&work);
        self.column_hazards(&work);
        let sync = self.sync(&work);
        self.loosen(&mut work, sync.as_ref());
        self.add_columns(&mut work, sync.as_ref());
        self.backfills(&mut work, sync.as_ref());
        self.not_nulls(&mut work);
        self.swap_views_and_sync(&mut work, sync.clone());
        self.checks(&mut work);
        self.uniques(&mut work);
        self.foreign_keys(&mut work);
        self.primary_key(&mut work, sync.as_ref());
        self.indexes(&mut work);
        self.swap_columns(&mut work);
        self.comments(&work);
        self.finish_swap(work);
        layout
    }

    fn refuse_what_is_not_there_yet(&mut self, work: &Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.exclusions {
            let replaced = work.layout.columns.iter().filter(|c| c.role == Role::Old).map(|c| c.name.as_str());
            let moves = pair.old.is_some_and(|old| replaced.into_iter().any(|column| names_word(&old.elements.text, column)));
            if let Some(new) = pair.new.filter(|_| !pair.equal || moves) {
                self.no_way(
                    &format!("table {}", work.name),
                    &format!("the index of exclusion constraint {} can't be built while clients write: PostgreSQL has no concurrent form of it, and reads the whole table under a lock", new.name.text),
                    "make a new table with the constraint, or add it by hand in a maintenance window and to both snapshots",
                    new.name.span,
                );
            }
        }
        for physical in &work.layout.columns {
            let object = |column: &Column| format!("{}.{}", work.name, column.name);
            match (physical.old, physical.new) {
                (Some(old), Some(new)) => {
                    let changes = old.generated.is_some() != new.generated.is_some()
                        || old.generated.as_ref().zip(new.generated.as_ref()).is_some_and(|(a, b)| {
                            a.stored != b.stored
                                || !crate::sql::expression::expression_equivalent(&a.expression.text, &b.expression.text, self.diff.dialect)
                        });
                    if changes && [old, new].iter().any(|c| c.generated.as_ref().is_some_and(|g| g.stored)) {
                        self.no_way(
                            &object(new),
                            "PostgreSQL writes the whole table anew, under a lock, when the expression of a stored generated column changes, and no plain column can become one",
                            "give the new expression a column of its own that is plain, with `up`, or let a view compute it",
                            new.span,
                        );
                    } else if changes {
                        self.not_yet(&object(new), "its generated expression changes", new.span);
                    }
                    if self.is_retyped_enum(&old.ty) {
                        self.not_yet(
                            &object(new),
                            "the server computes it, and the labels of its enum are taken away, renamed or moved",
                            new.span,
                        );
                    }
                    if old.identity.is_some() != new.identity.is_some() {
                        self.not_yet(&object(new), "its identity changes", new.span);
                    }
                }
                (None, Some(new)) => {
                    match &new.generated {
                        Some(generated) if generated.stored => self.no_way(
                            &object(new),
                            "PostgreSQL writes the whole table anew, under a lock, when a stored generated column is added, and no plain column can become one",
                            "make it a plain column with `up`, which follows its inputs while both versions run, or let a view compute it",
                            new.span,
                        ),
                        Some(_) if new.not_null => {
                            self.not_yet(&object(new), "a virtual column that is NOT NULL is added to a table that exists", new.span);
                        }
                        Some(_) | None => {}
                    }
                    if new.identity.is_some() && keys::identity_source(work.layout, &new.name).is_none() {
                        self.not_yet(&object(new), "an identity column is added to a table that exists", new.span);
                    }
                }
                (Some(old), None) => {
                    let renames = |name: &String| self.relabeled.get(name.as_str()).is_some_and(|pairs| !pairs.is_empty());
                    if old.ty.array_dimensions > 0 && matches!(&old.ty.kind, TypeKind::Enum(name) if renames(name)) {
                        self.not_yet(&object(old), "an array of an enum whose labels are renamed has no expression that maps it", old.span);
                    }
                    let in_lens = work
                        .layout
                        .lenses
                        .iter()
                        .any(|(lens, _)| lens.old.iter().any(|member| member.column.name == old.name && member.mapping.is_some()));
                    if in_lens && old.generated.is_some() {
                        self.not_yet(&object(old), "a generated column can't be written by a lens", old.span);
                    }
                    self.refuse_keys_left_behind(work, old);
                }
                (None, None) => {}
            }
        }
    }

    /// Whether a type of the old shape is an enum that gets another type for the new version.
    fn is_retyped_enum(&self, ty: &Type) -> bool {
        matches!(&ty.kind, TypeKind::Enum(name) if self.relabeled.contains_key(name.as_str()))
    }

    fn column_hazards(&mut self, work: &Work<'a, '_>) {
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
                }
                (None, Some(new)) => {
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

    /// Whether an old column's value is a function of columns that stay.
    fn is_derived(&self, work: &Work<'a, '_>, old: &Column) -> bool {
        work.layout.lenses.iter().any(|(lens, _)| {
            lens.old.iter().any(|m| m.column.name == old.name && matches!(m.mapping, Some(Mapping::Expression(e)) if !is_null(e)))
        })
    }

    // --- lenses ---

    /// What keeps the table in step, if anything has to.
    fn sync(&mut self, work: &Work<'a, '_>) -> Option<Sync> {
        let mut lenses = Vec::new();
        let mut fills = Vec::new();
        for (lens, treatment) in &work.layout.lenses {
            match treatment {
                Treatment::Alias | Treatment::InPlace => {}
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
        if lenses.is_empty() && fills.is_empty() {
            return None;
        }
        let dialect = self.diff.dialect;
        Some(Sync {
            table: work.table.to_owned(),
            function: naming::sync_function(work.table, dialect),
            insert_trigger: naming::sync_trigger(work.table, "insert", dialect),
            update_trigger: naming::sync_trigger(work.table, "update", dialect),
            writer: match work.layout.reach {
                Reach::View => Writer::Marker,
                Reach::Direct => Writer::NewSideGiven,
            },
            lenses,
            fills,
        })
    }

    fn sync_lens(&self, work: &Work<'a, '_>, lens: &Lens<'a>) -> SyncLens {
        let new_name = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let side = |members: &[LensColumn<'a>], direction: Direction| -> Vec<SyncColumn> {
            members
                .iter()
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
                            Direction::Down => member.column.ty.clone(),
                        },
                        formula: member.mapping.as_ref().and_then(|mapping| self.formula(work, mapping, direction, &other)),
                        backfill: match direction {
                            Direction::Up => {
                                member.hints.and_then(|h| h.backfill.as_ref()).map(|e| Formula::Written(self.old_expr(e, work.table)))
                            }
                            Direction::Down => None,
                        },
                        has_default: member.column.default.is_some(),
                        counts: member.column.identity.is_some(),
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
                .filter_map(|c| Some((c.name.clone(), c.new.map(|new| self.physical_type(&new.ty)).or_else(|| Some(c.old?.ty.clone()))?)))
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

    fn formula(&self, work: &Work<'a, '_>, mapping: &Mapping<'_>, direction: Direction, other: &dyn Fn(&str) -> String) -> Option<Formula> {
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
                    Direction::Up => work.layout.of_old(column).and_then(|c| c.old).map(|c| c.ty.clone()),
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

    /// Whether the two sides of a column differ in their collation.
    fn is_collated_otherwise(&self, work: &Work<'a, '_>, column: &str, direction: Direction) -> bool {
        work.layout.change.columns.iter().any(|pair| {
            let side = match direction {
                Direction::Up => pair.old,
                Direction::Down => pair.new,
            };
            pair.facets.collation && side.is_some_and(|side| side.name == column)
        })
    }

    /// The labels to change on the way from a column whose enum has another type for the other version.
    fn relabeling(&self, work: &Work<'a, '_>, column: &str, direction: Direction) -> Option<Vec<(String, String)>> {
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

    // --- expand: columns ---

    fn loosen(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        for physical in &work.layout.columns {
            let Some(old) = physical.old else { continue };
            let object = format!("{}.{}", work.table, physical.name);
            let written = sync.is_some_and(|sync| {
                sync.lenses.iter().any(|lens| lens.old.iter().any(|column| column.name == physical.name && column.formula.is_some()))
            });
            let loosened = match physical.new {
                Some(new) => old.not_null && !new.not_null,
                None => old.not_null && old.default.is_none() && old.identity.is_none() && old.generated.is_none() && !written,
            };
            // What stands in a primary key can't be NULL: it is loosened when the key goes.
            let in_key = self.key_goes(work).is_some_and(|key| key.columns.contains(&old.name));
            if loosened && !in_key {
                if physical.new.is_none() {
                    self.warn(
                        ("old-reads-null", Level::Warning),
                        &object,
                        "the old version reads NULL here in rows that the new version inserts, since `down` gives no value",
                        old.span,
                    );
                }
                let id = self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("drop_not_null.{object}"),
                    object: object.clone(),
                    why: "The new version writes NULL here, or nothing at all.".to_owned(),
                    action: Action::DropNotNull { table: work.table.to_owned(), column: physical.name.clone() },
                    unit: None,
                    requires: Vec::new(),
                });
                work.ready.push(id);
            }
            let Some(new) = physical.new else { continue };
            if old.ty != self.physical_type(&new.ty) && physical.role == Role::Both {
                let checks = self.checks_reading(work, &old.name);
                let validate: Vec<String> = checks.iter().map(|(name, _)| name.clone()).collect();
                let id = self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("alter_type.{object}"),
                    object: object.clone(),
                    why: "The new type holds all that the old one holds, and rows are stored alike: nothing is read or written.".to_owned(),
                    action: Action::AlterType {
                        table: work.table.to_owned(),
                        column: physical.name.clone(),
                        ty: new.ty.clone(),
                        old: old.ty.clone(),
                        checks,
                    },
                    unit: Some(format!("expand{:02}.alter_type.{object}", work.change)),
                    requires: Vec::new(),
                });
                self.warn(
                    ("abort-rewrites", Level::Warning),
                    &object,
                    "abort narrows the type again, which reads or rewrites the table under a lock, and fails on values that are longer by then",
                    new.span,
                );
                self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("analyze.{object}"),
                    object: object.clone(),
                    why: "A change of type throws the column's statistics away; without them plans go wrong at once.".to_owned(),
                    action: Action::Analyze { table: work.table.to_owned(), columns: vec![physical.name.clone()] },
                    unit: None,
                    requires: vec![id.clone()],
                });
                for name in validate {
                    self.validate(work.change, Phase::Migrate, work.table, &name, None, vec![id.clone()]);
                }
                work.ready.push(id);
            }
            if let (Role::Both, Some(was), Some(is)) = (physical.role, old.identity, new.identity)
                && was != is
            {
                let action = Action::AlterIdentity { table: work.table.to_owned(), column: physical.name.clone(), old: was, new: is };
                let slug = format!("alter_identity.{object}");
                match is {
                    Identity::ByDefault => {
                        self.step(Draft {
                            phase: Phase::Expand,
                            change: work.change,
                            slug,
                            object: object.clone(),
                            why: "The new version may give a value; until now that was refused.".to_owned(),
                            action,
                            unit: None,
                            requires: Vec::new(),
                        });
                    }
                    Identity::Always => {
                        let why = "Only the new version is left, which gives no values: a value that is given is refused from now on.";
                        work.swap.push((slug, object.clone(), why.to_owned(), action));
                    }
                }
            }
            // A default where every write without one failed before: it takes nothing from the old version.
            if old.not_null
                && old.default.is_none()
                && physical.role == Role::Both
                && old.identity.is_none()
                && let Some(default) = &new.default
            {
                let default = self.new_expr(default, work.name, &|_| None);
                self.step(Draft {
                    phase: Phase::Expand,
                    change: work.change,
                    slug: format!("set_default.{object}"),
                    object,
                    why: "The new version leaves the column out; until now such a write failed.".to_owned(),
                    action: Action::SetDefault {
                        table: work.table.to_owned(),
                        column: physical.name.clone(),
                        old: None,
                        new: Some(default),
                    },
                    unit: None,
                    requires: Vec::new(),
                });
            }
        }
    }

    fn checks_reading(&self, work: &Work<'a, '_>, column: &str) -> Vec<(String, RowExpr)> {
        work.layout
            .change
            .old
            .checks
            .iter()
            .filter(|check| self.check_columns(check, work.table, self.diff.old).iter().any(|name| name == column))
            .map(|check| (check.name.text.clone(), self.old_expr(&check.expression, work.table)))
            .collect()
    }

    fn add_columns(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
        let physical_of = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let mut specs = Vec::new();
        let mut late_defaults: Vec<(&super::layout::Physical<'a>, RowExpr)> = Vec::new();
        for physical in &work.layout.columns {
            let Some(new) = physical.new else { continue };
            let mut spec = self.column_spec(new, work.name, &physical.name, &physical_of);
            match physical.role {
                Role::Both | Role::Old => continue,
                Role::NewFromLens => {
                    // Filled by trigger and backfill; its rules come when they hold.
                    spec.not_null = false;
                    spec.default = None;
                    spec.identity = None;
                }
                Role::New => {
                    if let Some(default) = &new.default
                        && defines_volatile(&default.text, self.diff.dialect)
                    {
                        spec.not_null = false;
                        if let Some(default) = spec.default.take() {
                            late_defaults.push((physical, default));
                        }
                    }
                }
            }
            specs.push(spec);
        }
        let marker = match sync {
            Some(sync) if sync.writer == Writer::Marker && !sync.lenses.is_empty() => Marker::With,
            _ => Marker::Without,
        };
        let unit = sync.is_some().then(|| format!("expand{:02}.sync.{}", work.change, work.table));
        if !specs.is_empty() || marker == Marker::With {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let mut why = match names.as_slice() {
                [] => String::new(),
                names => format!("What the new version has besides: {}.", names.join(", ")),
            };
            if marker == Marker::With {
                if !why.is_empty() {
                    why.push(' ');
                }
                why.push_str("The default of crossfade_writer stands for the old version; the new one's view says 2.");
            }
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("add_columns.{}", work.table),
                object: work.table.to_owned(),
                why,
                action: Action::AddColumns { table: work.table.to_owned(), columns: specs, marker },
                unit: unit.clone(),
                requires: work.ready.clone(),
            });
            work.ready.push(id);
        }
        if let Some(sync) = sync {
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("install_sync.{}", work.table),
                object: work.table.to_owned(),
                why: "From its commit on no write is one-sided: whichever version writes, the other one's columns follow in the same row."
                    .to_owned(),
                action: Action::InstallSync(Box::new(sync.clone())),
                unit,
                requires: work.ready.clone(),
            });
            work.ready.push(id);
        }
        for (physical, default) in late_defaults {
            let object = format!("{}.{}", work.table, physical.name);
            let id = self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("set_default.{object}"),
                object: object.clone(),
                why: "A default that gives each row another value is set apart: with the column it would rewrite the table.".to_owned(),
                action: Action::SetDefault {
                    table: work.table.to_owned(),
                    column: physical.name.clone(),
                    old: None,
                    new: Some(default.clone()),
                },
                unit: None,
                requires: work.ready.clone(),
            });
            work.ready.push(id.clone());
            let ty = physical.new.map(|c| self.physical_type(&c.ty)).unwrap_or(Type { kind: TypeKind::Text, array_dimensions: 0 });
            self.backfill(work, &physical.name.clone(), vec![(physical.name.clone(), ty, Formula::Written(default))], vec![id]);
        }
    }

    // --- migrate: rows ---

    /// A key to go by: the primary key, or what else is unique over NOT NULL columns; physical names and types. None: pages.
    fn key_of(&self, work: &Work<'a, '_>) -> Vec<(String, Type)> {
        let old = work.layout.change.old;
        let not_null = |columns: &Vec<String>| columns.iter().all(|name| old.columns.get(name).is_some_and(|column| column.not_null));
        let index_columns = old.indexes.iter().filter(|index| index.unique && index.predicate.is_none() && index.method == "btree");
        let columns = old
            .primary_key
            .iter()
            .map(|key| key.columns.clone())
            .chain(old.uniques.iter().map(|unique| unique.columns.clone()).filter(not_null))
            .chain(index_columns.filter_map(plain_columns).filter(not_null))
            .next()
            .unwrap_or_default();
        columns.iter().filter_map(|name| old.columns.get(name).map(|column| (name.clone(), column.ty.clone()))).collect()
    }

    fn backfill(&mut self, work: &mut Work<'a, '_>, what: &str, sets: Vec<(String, Type, Formula)>, requires: Vec<String>) {
        let key = self.key_of(work);
        if key.is_empty() {
            self.warn(
                ("backfill-without-key", Level::Note),
                &format!("table {}", work.name),
                "it has no key to go by: the backfill goes by pages, and reads the whole table once more for each pass in which writers moved rows",
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
        let analyze = self.step(Draft {
            phase: Phase::Migrate,
            change: work.change,
            slug: format!("analyze.{object}"),
            object,
            why: "Statistics, before anyone reads the new shape.".to_owned(),
            action: Action::Analyze { table: work.table.to_owned(), columns },
            unit: None,
            requires: vec![fill.clone()],
        });
        work.filled.push(fill);
        work.filled.push(analyze);
    }

    fn backfills(&mut self, work: &mut Work<'a, '_>, sync: Option<&Sync>) {
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
            self.check_rows(work, Phase::Contract, &format!("agree.{what}"), (finding, OnFinding::Refuse), None, Vec::new());
        }
    }

    fn check_rows(
        &mut self,
        work: &mut Work<'a, '_>,
        phase: Phase,
        what: &str,
        (finding, on_finding): (Finding, OnFinding),
        until: Option<String>,
        requires: Vec<String>,
    ) -> String {
        let why = match (&finding, on_finding) {
            (Finding::Disagree(_), _) => "Both shapes must say the same of every row.".to_owned(),
            (Finding::Null(column), OnFinding::Report) => {
                format!("{column} becomes NOT NULL in contract: rows that would stop it are reported now.")
            }
            (Finding::Null(column), OnFinding::Refuse) => format!("{column} becomes NOT NULL."),
            (Finding::Check(name, _), OnFinding::Report) => {
                format!("Check {name} binds from contract on: rows that would stop it are reported now.")
            }
            (Finding::Check(name, _), OnFinding::Refuse) => format!("Check {name} is about to bind."),
            (Finding::Orphan(spec), OnFinding::Report) => {
                format!("Foreign key {} binds from contract on: rows that would stop it are reported now.", spec.key.name.text)
            }
            (Finding::Orphan(spec), OnFinding::Refuse) => format!("Foreign key {} is about to bind.", spec.key.name.text),
            (Finding::Duplicate { name, .. }, OnFinding::Report) => {
                format!("Unique {name} binds from contract on: keys that would stop it are reported now.")
            }
            (Finding::Duplicate { name, .. }, OnFinding::Refuse) => format!("Unique {name} is about to be built."),
        };
        let key = self.key_of(work).into_iter().map(|(name, _)| name).collect();
        self.step(Draft {
            phase,
            change: work.change,
            slug: format!("check_rows.{}.{what}", work.table),
            object: format!("{}.{what}", work.table),
            why,
            action: Action::CheckRows { table: work.table.to_owned(), key, finding, on_finding, until },
            unit: None,
            requires,
        })
    }

    /// Reports in migrate and refuses in contract, or (enforced from migrate) refuses in migrate. Returns the refusal's id.
    fn gate(&mut self, work: &mut Work<'a, '_>, phase: Phase, what: &str, finding: Finding, until: Option<String>) -> String {
        let filled = [work.filled.clone(), work.ready.clone()].concat();
        match phase {
            Phase::Contract => {
                self.check_rows(work, Phase::Migrate, what, (finding.clone(), OnFinding::Report), until.clone(), filled);
                self.check_rows(work, Phase::Contract, what, (finding, OnFinding::Refuse), until, Vec::new())
            }
            Phase::Expand | Phase::Migrate => self.check_rows(work, Phase::Migrate, what, (finding, OnFinding::Refuse), until, filled),
        }
    }

    fn validate(
        &mut self,
        change: usize,
        phase: Phase,
        table: &str,
        name: &str,
        references: Option<String>,
        requires: Vec<String>,
    ) -> String {
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

    /// NOT NULL of columns that get it: proved by a check, so that no scan holds a lock.
    fn not_nulls(&mut self, work: &mut Work<'a, '_>) {
        for physical in &work.layout.columns {
            let Some(new) = physical.new else { continue };
            if !new.not_null {
                continue;
            }
            let tightened = match (physical.role, physical.old) {
                (Role::Both, Some(old)) => !old.not_null,
                (Role::NewFromLens, _) => true,
                (Role::New, _) => new.default.as_ref().is_some_and(|d| defines_volatile(&d.text, self.diff.dialect)),
                (Role::Both | Role::Old, _) => false,
            };
            if !tightened {
                continue;
            }
            let phase = match physical.hints.and_then(|hints| hints.enforce) {
                Some(Enforce::Migrate) => Phase::Migrate,
                Some(Enforce::Contract) | None => Phase::Contract,
            };
            let object = format!("{}.{}", work.table, physical.name);
            let gate = self.gate(work, phase, &format!("null.{}", physical.name), Finding::Null(physical.name.clone()), None);
            let check = naming::not_null_check(work.table, &physical.name, self.diff.dialect);
            let add = self.step(Draft {
                phase,
                change: work.change,
                slug: format!("add_not_null_check.{object}"),
                object: object.clone(),
                why: "From now on NULL is refused; the rows that are there are not read yet.".to_owned(),
                action: Action::AddNotNullCheck { table: work.table.to_owned(), name: check.clone(), column: physical.name.clone() },
                unit: None,
                requires: vec![gate],
            });
            let validate = self.validate(work.change, phase, work.table, &check, None, vec![add]);
            let set = self.step(Draft {
                phase,
                change: work.change,
                slug: format!("set_not_null.{object}"),
                object: object.clone(),
                why: "The check proves it, so the table is not read again; then the check has served its purpose.".to_owned(),
                action: Action::SetNotNull { table: work.table.to_owned(), column: physical.name.clone(), check },
                unit: None,
                requires: vec![validate],
            });
            work.before_swap.push(set);
        }
    }

    // --- what hangs on columns ---

    /// What the rules on these columns (names of the new shape) depend on.
    fn kind_of_columns(&self, work: &Work<'a, '_>, columns: &[String]) -> ColumnsKind {
        let roles: Vec<Role> = columns.iter().filter_map(|name| work.layout.of_new(name)).map(|c| c.role).collect();
        if roles.contains(&Role::NewFromLens) {
            ColumnsKind::Lens
        } else if !roles.is_empty() && roles.iter().all(|role| *role == Role::New) {
            ColumnsKind::OnlyNew
        } else {
            ColumnsKind::Both
        }
    }

    /// Whether all columns of an old rule are still there, as one column for both versions.
    fn stay(&self, work: &Work<'a, '_>, columns: &[String]) -> bool {
        columns.iter().all(|name| work.layout.of_old(name).is_some_and(|c| c.role == Role::Both))
    }

    fn physical(&self, work: &Work<'a, '_>, name: &str) -> String {
        work.layout.of_new(name).map_or_else(|| name.to_owned(), |c| c.name.clone())
    }

    /// The name to build something under: its own, or an interim one while an old object has it.
    fn build_name(&self, name: &Name) -> (String, bool) {
        if self.taken.contains(name.text.as_str()) {
            (naming::interim(&name.text, self.diff.dialect), true)
        } else {
            (name.text.clone(), false)
        }
    }

    fn checks(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.checks {
            let old_columns = pair.old.map(|check| self.check_columns(check, work.table, self.diff.old)).unwrap_or_default();
            let stays = self.stay(work, &old_columns);
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => {
                    self.rename_constraint(work, &old.name, &new.name);
                }
                (Some(old), Some(new)) if !pair.equal && old.name.text == new.name.text && stays => {
                    self.check_changed(work, old, new);
                }
                (old, new) => {
                    if let Some(old) = old {
                        let constraint = ConstraintSpec::Check(old.name.text.clone(), self.old_expr(&old.expression, work.table));
                        self.drop_constraint(work, constraint, stays && !pair.equal);
                    }
                    if let Some(new) = new {
                        let columns = self.check_columns(new, work.name, self.diff.new);
                        let (name, interim) = self.build_name(&new.name);
                        let until = interim.then(|| self.swap_unit(work.change, work.table));
                        let condition = self.new_expr(&new.expression, work.name, &|name| work.layout.of_new(name).map(|c| c.name.clone()));
                        let kind = self.kind_of_columns(work, &columns);
                        let phase = match (kind, work.layout.enforce(columns.iter().map(String::as_str))) {
                            (ColumnsKind::OnlyNew, _) => Phase::Expand,
                            (_, Some(Enforce::Migrate)) => Phase::Migrate,
                            (_, Some(Enforce::Contract) | None) => Phase::Contract,
                        };
                        if kind == ColumnsKind::Both {
                            self.rule_tightened(work, &format!("check {}", new.name.text), phase, "23514", new.name.span);
                        }
                        let mut requires = work.ready.clone();
                        if phase != Phase::Expand {
                            let finding = Finding::Check(new.name.text.clone(), condition.clone());
                            requires = vec![self.gate(work, phase, &format!("check.{}", new.name.text), finding, until.clone())];
                            requires.extend(work.filled.clone());
                        }
                        let object = format!("{}.{name}", work.table);
                        let add = self.step(Draft {
                            phase,
                            change: work.change,
                            slug: format!("add_check.{object}"),
                            object,
                            why: "The rule binds every write from now on; the rows that are there are proved in the next step.".to_owned(),
                            action: Action::AddCheck { table: work.table.to_owned(), name: name.clone(), condition, until },
                            unit: None,
                            requires,
                        });
                        let validate_phase = if phase == Phase::Expand { Phase::Migrate } else { phase };
                        let done = self.validate(work.change, validate_phase, work.table, &name, None, vec![add]);
                        work.before_swap.push(done);
                        if interim {
                            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
                        }
                    }
                }
            }
        }
    }

    /// A changed check is `(old) or (new)` while both versions write; the new one binds from contract, or from migrate.
    fn check_changed(&mut self, work: &mut Work<'a, '_>, old: &'a Check, new: &'a Check) {
        let name = &new.name.text;
        let before = self.old_expr(&old.expression, work.table);
        let after = self.new_expr(&new.expression, work.name, &|name| work.layout.of_new(name).map(|c| c.name.clone()));
        let both = naming::interim(name, self.diff.dialect);
        let unit = Some(format!("expand{:02}.check.{name}", work.change));
        let drop = self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("drop_constraint.{}.{name}", work.table),
            object: format!("{}.{name}", work.table),
            why: "What each version may write differs: until contract either rule will do.".to_owned(),
            action: Action::DropConstraint {
                table: work.table.to_owned(),
                constraint: ConstraintSpec::Check(name.clone(), before.clone()),
            },
            unit: unit.clone(),
            requires: work.ready.clone(),
        });
        self.step(Draft {
            phase: Phase::Expand,
            change: work.change,
            slug: format!("add_check.{}.{both}", work.table),
            object: format!("{}.{both}", work.table),
            why: "Old or new. The rows that are there satisfy the old one, so they need not be read.".to_owned(),
            action: Action::AddCheck { table: work.table.to_owned(), name: both.clone(), condition: either(&before, &after), until: None },
            unit,
            requires: vec![drop],
        });
        let columns = self.check_columns(new, work.name, self.diff.new);
        let phase = match work.layout.enforce(columns.iter().map(String::as_str)) {
            Some(Enforce::Migrate) => Phase::Migrate,
            Some(Enforce::Contract) | None => Phase::Contract,
        };
        self.rule_tightened(work, &format!("check {name}"), phase, "23514", new.name.span);
        let mut requires = vec![self.gate(work, phase, &format!("check.{name}"), Finding::Check(name.clone(), after.clone()), None)];
        requires.extend(work.filled.clone());
        let add = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("add_check.{}.{name}", work.table),
            object: format!("{}.{name}", work.table),
            why: "The new rule binds every write from now on; the rows that are there are proved in the next step.".to_owned(),
            action: Action::AddCheck { table: work.table.to_owned(), name: name.clone(), condition: after.clone(), until: None },
            unit: None,
            requires,
        });
        let done = self.validate(work.change, phase, work.table, name, None, vec![add]);
        work.before_swap.push(done.clone());
        self.step(Draft {
            phase,
            change: work.change,
            slug: format!("drop_constraint.{}.{both}", work.table),
            object: format!("{}.{both}", work.table),
            why: "The new rule says more than this one.".to_owned(),
            action: Action::DropConstraint {
                table: work.table.to_owned(),
                constraint: ConstraintSpec::Check(both, either(&before, &after)),
            },
            unit: None,
            requires: vec![done],
        });
    }

    fn rule_tightened(&mut self, work: &Work<'a, '_>, what: &str, phase: Phase, sqlstate: &str, span: Span) {
        self.warn(
            ("rule-tightened", Level::Warning),
            &format!("table {}", work.name),
            format!("{what} binds from {}: a write that breaks it fails then with SQLSTATE {sqlstate}", phase.name()),
            span,
        );
    }

    fn uniques(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        if let Some(Pair { old: Some(old), new: Some(new), equal: true }) = change.primary_key
            && self.key_goes(work).is_none()
        {
            self.rename_constraint(work, &old.name, &new.name);
        }
        for pair in &change.exclusions {
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal => self.rename_constraint(work, &old.name, &new.name),
                (Some(old), None) => {
                    let replaced = work.layout.columns.iter().filter(|c| c.role == Role::Old).map(|c| c.name.as_str());
                    let loosens = !replaced.into_iter().any(|column| names_word(&old.elements.text, column));
                    if loosens {
                        self.warn(
                            ("abort-rewrites", Level::Warning),
                            &format!("table {}", work.name),
                            format!("abort builds the index of exclusion constraint {} again under a lock, and fails on rows that exclude each other by then", old.name.text),
                            old.name.span,
                        );
                    }
                    self.drop_constraint(work, ConstraintSpec::Exclusion(old.clone()), loosens);
                }
                // One that is new is refused.
                (Some(_) | None, Some(_)) | (None, None) => {}
            }
        }
        for pair in &change.uniques {
            let stays = pair.old.is_some_and(|u| self.stay(work, &[u.columns.clone(), u.include.clone()].concat()));
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => self.rename_constraint(work, &old.name, &new.name),
                (old, new) => {
                    if let Some(old) = old {
                        let loosens = stays && new.is_none();
                        self.drop_constraint(work, ConstraintSpec::Unique(old.clone()), loosens);
                        if loosens {
                            self.warn(
                                ("old-upsert-loses-arbiter", Level::Warning),
                                &format!("table {}", work.name),
                                format!(
                                    "unique {} goes in expand, since the new version may write what it forbids: an upsert of the old version that names its columns fails with SQLSTATE 42P10",
                                    old.name.text
                                ),
                                old.name.span,
                            );
                        }
                    }
                    if let Some(new) = new {
                        self.unique_added(work, new);
                    }
                }
            }
        }
    }

    fn unique_added(&mut self, work: &mut Work<'a, '_>, new: &'a Unique) {
        let all: Vec<String> = new.columns.iter().chain(&new.include).cloned().collect();
        let kind = self.kind_of_columns(work, &all);
        let phase = match (kind, work.layout.enforce(new.columns.iter().map(String::as_str))) {
            (ColumnsKind::OnlyNew, _) => Phase::Expand,
            (_, Some(Enforce::Contract)) => Phase::Contract,
            (_, Some(Enforce::Migrate) | None) => Phase::Migrate,
        };
        let (name, interim) = self.build_name(&new.name);
        let until = interim.then(|| self.swap_unit(work.change, work.table));
        let columns: Vec<String> = new.columns.iter().map(|c| self.physical(work, c)).collect();
        let mut unique = new.clone();
        unique.name.text.clone_from(&name);
        unique.columns.clone_from(&columns);
        unique.include = new.include.iter().map(|c| self.physical(work, c)).collect();
        let mut requires = work.ready.clone();
        if phase != Phase::Expand {
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique {} binds from {}: a duplicate of the old version fails then with SQLSTATE 23505",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            self.warn(
                ("existing-duplicates", Level::Note),
                &format!("table {}", work.name),
                format!(
                    "keys of unique {} that are there twice stop {} with a count and a sample; nothing is lost",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            let finding =
                Finding::Duplicate { name: new.name.text.clone(), columns: columns.clone(), nulls_not_distinct: new.nulls_not_distinct };
            requires = vec![self.gate(work, phase, &format!("unique.{}", new.name.text), finding, until)];
            requires.extend(work.filled.clone());
        }
        let index = super::model::IndexSpec {
            name: name.clone(),
            table: work.table.to_owned(),
            keys: columns
                .iter()
                .map(|column| super::model::IndexKeySpec {
                    target: super::model::KeyTarget::Column(column.clone()),
                    descending: false,
                    nulls: None,
                    collation: None,
                    opclass: None,
                })
                .collect(),
            unique: true,
            nulls_not_distinct: new.nulls_not_distinct,
            method: "btree".to_owned(),
            predicate: None,
            include: unique.include.clone(),
            with: Vec::new(),
            comment: None,
        };
        let object = format!("{}.{name}", work.table);
        let build = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("create_index.{object}"),
            object: object.clone(),
            why: format!("The index that {} is to stand on, built while everyone writes.", new.name.text),
            action: Action::CreateIndex(index),
            unit: None,
            requires,
        });
        let attach = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("attach_unique.{object}"),
            object,
            why: "The index becomes the constraint: no row is read.".to_owned(),
            action: Action::AttachUnique { table: work.table.to_owned(), unique },
            unit: None,
            requires: vec![build],
        });
        work.before_swap.push(attach);
        if interim {
            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
        }
    }

    fn foreign_keys(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.foreign_keys {
            let stays =
                pair.old.is_some_and(|key| self.stay(work, &key.columns)) && pair.new.is_none_or(|key| self.referred_stay(work, key));
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => self.rename_constraint(work, &old.name, &new.name),
                (Some(old), Some(new)) if stays && is_only_deferred_otherwise(old, new) => {
                    self.foreign_key_deferred_otherwise(work, old, new);
                }
                (old, new) => {
                    if let Some(old) = old {
                        let spec = ForeignKeySpec { table: work.table.to_owned(), key: old.clone() };
                        let loosens = stays && new.is_none_or(|new| !pair.equal && self.forbids_more(work, old, new));
                        match new {
                            Some(new) if stays && !pair.equal => self.foreign_key_changed(work, old, new, loosens),
                            Some(_) | None => {}
                        }
                        self.drop_constraint(work, ConstraintSpec::ForeignKey(spec), loosens);
                    }
                    if let Some(new) = new {
                        let kind = self.kind_of_columns(work, &new.columns);
                        let phase = match (kind, work.layout.enforce(new.columns.iter().map(String::as_str))) {
                            (ColumnsKind::OnlyNew, _) => Phase::Expand,
                            // The same key in other columns takes nothing from anyone: it is there before the old one goes.
                            (_, Some(Enforce::Migrate)) | (_, None) if pair.equal => Phase::Migrate,
                            (_, Some(Enforce::Migrate)) => Phase::Migrate,
                            (_, Some(Enforce::Contract) | None) => Phase::Contract,
                        };
                        if kind == ColumnsKind::Both
                            && !pair.equal
                            && pair.old.is_none_or(|old| !stays || self.forbids_more(work, new, old))
                        {
                            self.rule_tightened(work, &format!("foreign key {}", new.name.text), phase, "23503", new.name.span);
                        }
                        let (name, interim) = self.build_name(&new.name);
                        let until = interim.then(|| self.swap_unit(work.change, work.table));
                        let spec = self.foreign_key_spec(new, &name, work.table, &|column| self.physical(work, column));
                        let references = spec.key.ref_table.clone();
                        let mut requires = work.ready.clone();
                        if phase != Phase::Expand {
                            let finding = Finding::Orphan(spec.clone());
                            // For this key only: that index may be the table's own, which must not need itself.
                            let filled = work.filled.len();
                            work.filled.extend(self.index_of_referred_key(work, new));
                            requires = vec![self.gate(work, phase, &format!("orphan.{}", new.name.text), finding, until.clone())];
                            requires.extend(work.filled.clone());
                            work.filled.truncate(filled);
                        }
                        if !self.diff.old.tables.contains_key(&references) {
                            requires.push(format!("expand{:02}.create_table.{references}", self.change_of_table(&references)));
                        }
                        let object = format!("{}.{name}", work.table);
                        let add = self.step(Draft {
                            phase,
                            change: work.change,
                            slug: format!("add_foreign_key.{object}"),
                            object,
                            why: "NOT VALID: it binds every write from now on, and neither table is read under the lock.".to_owned(),
                            action: Action::AddForeignKey { spec, until },
                            unit: None,
                            requires,
                        });
                        let validate_phase = if phase == Phase::Expand { Phase::Migrate } else { phase };
                        let done = self.validate(work.change, validate_phase, work.table, &name, Some(references), vec![add]);
                        work.before_swap.push(done);
                        if interim {
                            self.rename_late(work, name, new.name.text.clone(), RenameKind::Constraint);
                        }
                    }
                }
            }
        }
    }

    /// Whether a foreign key forbids a row that another one of the table allows.
    fn forbids_more(&self, work: &Work<'a, '_>, one: &ForeignKey, other: &ForeignKey) -> bool {
        let table =
            |key: &ForeignKey| self.renamed.get(key.ref_table.as_str()).map_or_else(|| key.ref_table.clone(), |new| (*new).to_owned());
        let physical = |columns: &[String]| -> Vec<String> {
            let of_old = |name: &String| work.layout.of_old(name).map(|c| c.name.clone());
            columns
                .iter()
                .map(|name| work.layout.of_new(name).map(|c| c.name.clone()).or_else(|| of_old(name)).unwrap_or_else(|| name.clone()))
                .collect()
        };
        table(one) != table(other)
            || one.ref_columns != other.ref_columns
            || physical(&one.columns) != physical(&other.columns)
            || (one.match_full && !other.match_full && one.columns.len() > 1)
    }

    /// Says what a foreign key that changes means while both versions run.
    fn foreign_key_changed(&mut self, work: &Work<'a, '_>, old: &ForeignKey, new: &ForeignKey, loosens: bool) {
        let object = format!("table {}", work.name);
        let name = &new.name.text;
        if loosens {
            self.warn(
                ("foreign-key-gap", Level::Warning),
                &object,
                format!(
                    "foreign key {name} to {} goes in expand, since the new version may write what it forbids: until the new one binds, nothing keeps the old version from a reference that leads nowhere, and nothing cascades",
                    old.ref_table
                ),
                new.name.span,
            );
        } else if old.on_delete != new.on_delete || old.on_update != new.on_update {
            self.warn(
                ("foreign-key-acts-late", Level::Warning),
                &object,
                format!("what foreign key {name} does when a row of {} is deleted or changes its key stays as the old version knows it until contract", old.ref_table),
                new.name.span,
            );
        }
    }

    /// A foreign key that differs only in when it is checked stays: later checks bind from expand, earlier ones from contract.
    fn foreign_key_deferred_otherwise(&mut self, work: &mut Work<'a, '_>, old: &'a ForeignKey, new: &'a ForeignKey) {
        let spec = ForeignKeySpec { table: work.table.to_owned(), key: old.clone() };
        let object = format!("{}.{}", work.table, old.name.text);
        let slug = format!("alter_foreign_key.{object}");
        let deferred = |key: &ForeignKey| (key.deferrable || key.initially_deferred, key.initially_deferred);
        let action = Action::AlterForeignKey { old: spec, new: (new.deferrable, new.initially_deferred) };
        if deferred(old) <= deferred(new) {
            self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug,
                object,
                why: "The new version may put the check off to the end of its transaction; only the catalog is written.".to_owned(),
                action,
                unit: None,
                requires: work.ready.clone(),
            });
        } else {
            work.swap.push((
                slug,
                object,
                "The new version has the check at each statement; only the catalog is written.".to_owned(),
                action,
            ));
        }
        self.rename_constraint(work, &old.name, &new.name);
    }

    fn indexes(&mut self, work: &mut Work<'a, '_>) {
        let change = work.layout.change;
        for pair in &change.indexes {
            let old_columns = pair.old.map(|index| self.index_columns(index, work.table, self.diff.old)).unwrap_or_default();
            let stays = self.stay(work, &old_columns);
            match (pair.old, pair.new) {
                (Some(old), Some(new)) if pair.equal && stays => {
                    if old.name.text != new.name.text {
                        let what = format!("Index {} is called {} from now on.", old.name.text, new.name.text);
                        work.swap.push((
                            format!("rename_index.{}", old.name.text),
                            new.name.text.clone(),
                            what,
                            Action::RenameIndex(Rename { from: old.name.text.clone(), to: new.name.text.clone() }),
                        ));
                    }
                    if old.comment != new.comment {
                        self.comment(
                            work.change,
                            CommentTarget::Index(old.name.text.clone()),
                            &old.name.text,
                            old.comment.as_deref(),
                            new.comment.as_deref(),
                        );
                    }
                }
                (old, new) => {
                    let built = new.map(|new| self.index_added(work, new, old.is_some()));
                    if let Some(old) = old {
                        self.index_dropped(work, old, stays, new.is_some(), built);
                    }
                }
            }
        }
    }

    fn index_added(&mut self, work: &mut Work<'a, '_>, new: &'a Index, replaces: bool) -> String {
        let columns = self.index_columns(new, work.name, self.diff.new);
        let kind = self.kind_of_columns(work, &columns);
        let (name, interim) = self.build_name(&new.name);
        let until = interim.then(|| self.swap_unit(work.change, work.table));
        let physical = |name: &str| work.layout.of_new(name).map(|c| c.name.clone());
        let spec = self
            .index_spec(new, &name, work.table, &|expr| self.new_expr(expr, work.name, &physical), &|column| self.physical(work, column));
        let mut phase = match kind {
            ColumnsKind::Lens => Phase::Migrate,
            ColumnsKind::Both | ColumnsKind::OnlyNew if replaces => Phase::Migrate,
            ColumnsKind::Both | ColumnsKind::OnlyNew => Phase::Expand,
        };
        let mut requires = [work.ready.clone(), if phase == Phase::Expand { Vec::new() } else { work.filled.clone() }].concat();
        if new.unique && kind != ColumnsKind::OnlyNew {
            phase = match work.layout.enforce(columns.iter().map(String::as_str)) {
                Some(Enforce::Contract) => Phase::Contract,
                Some(Enforce::Migrate) | None => Phase::Migrate,
            };
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique index {} binds from {}: a duplicate of the old version fails then with SQLSTATE 23505",
                    new.name.text,
                    phase.name()
                ),
                new.name.span,
            );
            requires = [work.ready.clone(), work.filled.clone()].concat();
            let plain: Option<Vec<String>> = spec
                .keys
                .iter()
                .map(|key| match &key.target {
                    super::model::KeyTarget::Column(column) => Some(column.clone()),
                    super::model::KeyTarget::Expression(_) => None,
                })
                .collect();
            if let (Some(columns), None) = (plain, &spec.predicate) {
                let finding = Finding::Duplicate { name: new.name.text.clone(), columns, nulls_not_distinct: new.nulls_not_distinct };
                requires.push(self.gate(work, phase, &format!("unique.{}", new.name.text), finding, until));
            }
        }
        let object = format!("{}.{name}", work.table);
        let id = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("create_index.{object}"),
            object,
            why: match kind {
                ColumnsKind::Lens => "Built behind the backfill, which an index would make dearer.".to_owned(),
                ColumnsKind::Both | ColumnsKind::OnlyNew => {
                    "What the new version looks rows up by, built while everyone writes.".to_owned()
                }
            },
            action: Action::CreateIndex(spec),
            unit: None,
            requires,
        });
        work.before_swap.push(id.clone());
        if interim {
            self.rename_late(work, name, new.name.text.clone(), RenameKind::Index);
        }
        id
    }

    fn index_dropped(&mut self, work: &mut Work<'a, '_>, old: &'a Index, stays: bool, replaced: bool, built: Option<String>) {
        let spec = self.index_spec(old, &old.name.text, work.table, &|expr| self.old_expr(expr, work.table), &|column| column.to_owned());
        // A unique index is a rule: what the new version may write must not break on it.
        let covered = self.is_covered_by_new_key(work, old);
        let phase = if old.unique && stays && !replaced && !covered { Phase::Expand } else { Phase::Contract };
        if phase == Phase::Expand {
            self.warn(
                ("old-upsert-loses-arbiter", Level::Warning),
                &format!("table {}", work.name),
                format!(
                    "unique index {} goes in expand, since the new version may write what it forbids: an upsert of the old version that names its columns fails with SQLSTATE 42P10",
                    old.name.text
                ),
                old.name.span,
            );
        }
        let object = format!("{}.{}", work.table, old.name.text);
        let new = work.layout.change.new;
        let name_is_reused =
            new.indexes.iter().map(|i| &i.name).chain(new.uniques.iter().map(|u| &u.name)).any(|n| n.text == old.name.text);
        if phase == Phase::Contract && name_is_reused {
            // In the block that runs once: run again, a statement of its own would drop the index that has the name by then.
            work.before_swap.extend(built);
            work.swap.push((
                format!("drop_index.{object}"),
                object,
                "Its place is taken by the one that was built for the new shape.".to_owned(),
                Action::DropIndex { index: spec, concurrently: Concurrently::No },
            ));
            return;
        }
        let mut requires: Vec<String> = built.into_iter().collect();
        requires.extend(self.drop_namespace_step.clone().filter(|_| phase == Phase::Contract));
        let id = self.step(Draft {
            phase,
            change: work.change,
            slug: format!("drop_index.{object}"),
            object,
            why: "Only the old version looked rows up by it.".to_owned(),
            action: Action::DropIndex { index: spec, concurrently: Concurrently::Yes },
            unit: None,
            requires,
        });
        if phase == Phase::Contract {
            work.before_swap.push(id);
        }
    }

    /// Drops a constraint: in expand where it only loosens, with its columns otherwise.
    fn drop_constraint(&mut self, work: &mut Work<'a, '_>, constraint: ConstraintSpec, loosens: bool) {
        let name = constraint.name().to_owned();
        let object = format!("{}.{name}", work.table);
        let action = Action::DropConstraint { table: work.table.to_owned(), constraint };
        if loosens {
            self.step(Draft {
                phase: Phase::Expand,
                change: work.change,
                slug: format!("drop_constraint.{object}"),
                object,
                why: "The new version may write what this rule forbids.".to_owned(),
                action,
                unit: None,
                requires: Vec::new(),
            });
        } else {
            work.swap.push((
                format!("drop_constraint.{object}"),
                object,
                "It goes by name: what takes its place stands already, or its column goes next.".to_owned(),
                action,
            ));
        }
    }

    fn rename_constraint(&mut self, work: &mut Work<'a, '_>, old: &Name, new: &Name) {
        if old.text != new.text {
            self.rename_late(work, old.text.clone(), new.text.clone(), RenameKind::Constraint);
        }
    }

    fn rename_late(&mut self, work: &mut Work<'a, '_>, from: String, to: String, kind: RenameKind) {
        let what = format!("{from} is called {to} from now on.");
        let rename = Rename { from: from.clone(), to: to.clone() };
        let (slug, action) = match kind {
            RenameKind::Constraint => {
                // By the table's last name: the rename of the table comes before.
                (format!("rename_constraint.{}.{from}", work.name), Action::RenameConstraint { table: work.name.to_owned(), rename })
            }
            RenameKind::Index => (format!("rename_index.{from}"), Action::RenameIndex(rename)),
        };
        work.swap.push((slug, to, what, action));
    }

    // --- contract: the swap ---

    fn swap_views_and_sync(&mut self, work: &mut Work<'a, '_>, sync: Option<Sync>) {
        let layout = work.layout;
        if layout.reach == Reach::View {
            match self.settings.access {
                Access::Versioned => {
                    if layout.has_two_sides() {
                        let namespace = self.new_namespace();
                        let view = self.shape_view_of(&namespace, layout);
                        work.swap.push((
                            format!("settle_shape_view.{namespace}.{}", work.name),
                            format!("{namespace}.{}", work.name),
                            "Nobody needs to be told apart any more: the view goes straight to the table.".to_owned(),
                            Action::SettleShapeView(view),
                        ));
                    }
                }
                Access::Shared => {
                    let base = self.base().to_owned();
                    let mut views = vec![(base.clone(), work.name.to_owned())];
                    if layout.has_two_sides() {
                        let marker = naming::marker_view(&base, work.name, self.diff.dialect);
                        views.push((crate::plan::VERSION_SCHEMA.to_owned(), marker));
                    }
                    work.swap.push((
                        format!("drop_views.{base}.{}", work.name),
                        format!("{base}.{}", work.name),
                        format!("The table itself is about to be called {}.", work.name),
                        Action::DropViews { views, materialized: super::model::Materialized::No },
                    ));
                }
            }
        }
        if let Some(sync) = sync {
            work.swap.push((
                format!("remove_sync.{}", work.table),
                work.table.to_owned(),
                "In the same transaction as the columns: no write is ever without the one and with the other.".to_owned(),
                Action::RemoveSync(Box::new(sync)),
            ));
        }
    }

    fn shape_view_of(&self, namespace: &str, layout: &Layout<'a>) -> super::model::ShapeView {
        super::model::ShapeView {
            schema: namespace.to_owned(),
            name: layout.change.new.name.clone(),
            table: layout.table().to_owned(),
            columns: layout
                .change
                .new
                .columns
                .values()
                .filter_map(|column| {
                    let physical = layout.of_new(&column.name)?;
                    Some(super::model::ViewColumn {
                        physical: physical.name.clone(),
                        name: column.name.clone(),
                        default: super::model::ViewDefault::OfTable,
                    })
                })
                .collect(),
            marker_view: layout.has_two_sides().then(|| naming::marker_view(namespace, &layout.change.new.name, self.diff.dialect)),
            comment: layout.change.new.comment.clone(),
        }
    }

    fn swap_columns(&mut self, work: &mut Work<'a, '_>) {
        let layout = work.layout;
        let mut drops: Vec<String> = layout.columns.iter().filter(|c| c.role == Role::Old).map(|c| c.name.clone()).collect();
        if layout.reach == Reach::View && layout.has_two_sides() {
            drops.push(naming::MARKER.to_owned());
        }
        let renames = ordered_renames(
            layout.columns.iter().filter_map(|c| {
                let new = c.new?;
                (c.role != Role::Old && new.name != c.name).then(|| (c.name.clone(), new.name.clone()))
            }),
            self.diff.dialect,
        );
        // Constraints that went by name came first, renames of what stays come behind the renames of columns and table.
        let at = work
            .swap
            .iter()
            .position(|(_, _, _, action)| matches!(action, Action::RenameConstraint { .. } | Action::RenameIndex(_)))
            .unwrap_or(work.swap.len());
        let mut behind = work.swap.split_off(at);
        let (early, late): (Vec<_>, Vec<_>) =
            behind.drain(..).partition(|(_, _, _, action)| !matches!(action, Action::RenameConstraint { .. } | Action::RenameIndex(_)));
        work.swap.extend(early);
        if !drops.is_empty() || !renames.is_empty() {
            let why = match (drops.is_empty(), renames.is_empty()) {
                (false, false) => "The old shape goes, and the new one takes its names.",
                (false, true) => "The old shape goes: only names in the catalog, the rows are not touched.",
                (true, _) => "The columns get the names that the new version has known them by.",
            };
            work.swap.push((
                format!("swap_columns.{}", work.table),
                work.table.to_owned(),
                why.to_owned(),
                Action::SwapColumns { table: work.table.to_owned(), drops, renames: renames.clone() },
            ));
        }
        if work.table != work.name {
            work.swap.push((
                format!("rename_table.{}", work.table),
                work.table.to_owned(),
                format!("The table gets the name that the new version has known it by: {}.", work.name),
                Action::RenameTable { from: work.table.to_owned(), to: work.name.to_owned() },
            ));
        }
        work.swap.extend(late);
        if work.table != work.name || !renames.is_empty() {
            work.swap.push((
                format!("tidy_names.{}", work.name),
                work.name.to_owned(),
                "Names by convention follow: sequences of identity columns, and NOT NULL constraints where the server names them."
                    .to_owned(),
                Action::TidyNames { table: work.name.to_owned() },
            ));
        }
        self.settle_defaults(work);
    }

    /// Defaults that only the view had, or (shared access) that would have changed what the old version writes.
    fn settle_defaults(&mut self, work: &mut Work<'a, '_>) {
        let layout = work.layout;
        let mut defaults = Vec::new();
        let mut of_view = Vec::new();
        for physical in &layout.columns {
            let Some(new) = physical.new else { continue };
            let expr = |expr: &Expr| self.new_expr(expr, work.name, &|name| Some(name.to_owned()));
            match (physical.role, physical.old) {
                (Role::NewFromLens, _) => {
                    if let Some(default) = &new.default {
                        defaults.push((new.name.clone(), Some(expr(default))));
                        of_view.push(new.name.clone());
                    }
                }
                (Role::Both, Some(old)) => {
                    let same = match (&old.default, &new.default) {
                        (None, None) => true,
                        (Some(a), Some(b)) => crate::sql::expression::default_equivalent(&a.text, &b.text, self.diff.dialect),
                        _ => false,
                    };
                    let loosened = old.not_null && old.default.is_none() && new.default.is_some();
                    if !same && !loosened {
                        defaults.push((new.name.clone(), new.default.as_ref().map(expr)));
                        of_view.push(new.name.clone());
                    }
                }
                (Role::Both, None) | (Role::New | Role::Old, _) => {}
            }
        }
        if defaults.is_empty() {
            return;
        }
        let view = (self.settings.access == Access::Versioned).then(|| (self.new_namespace(), work.name.to_owned(), of_view));
        work.swap.push((
            format!("settle_defaults.{}", work.name),
            work.name.to_owned(),
            "Only the new version is left: its defaults become the table's.".to_owned(),
            Action::SettleDefaults { table: work.name.to_owned(), defaults, view },
        ));
    }

    fn finish_swap(&mut self, work: Work<'a, '_>) {
        let unit = self.swap_unit(work.change, work.table);
        let mut previous: Option<String> = None;
        for (slug, object, why, action) in work.swap {
            let mut requires = work.before_swap.clone();
            requires.extend(self.drop_namespace_step.clone());
            requires.extend(self.drop_views_step.get(&work.change).cloned());
            requires.extend(previous.take());
            if matches!(&action, Action::DropConstraint { constraint: ConstraintSpec::PrimaryKey(_), .. }) {
                requires.extend(work.swap_requires.clone());
            }
            let id = self.step(Draft {
                phase: Phase::Contract,
                change: work.change,
                slug,
                object,
                why,
                action,
                unit: Some(unit.clone()),
                requires,
            });
            previous = Some(id);
        }
        if let Some(end) = previous {
            self.swap_ends.entry(work.change).or_default().push(end);
        }
    }

    fn comments(&mut self, work: &Work<'a, '_>) {
        let change = work.layout.change;
        self.comment(
            work.change,
            CommentTarget::Table(work.table.to_owned()),
            work.table,
            change.old.comment.as_deref(),
            change.new.comment.as_deref(),
        );
        for physical in &work.layout.columns {
            if let (Role::Both, Some(old), Some(new)) = (physical.role, physical.old, physical.new) {
                self.comment(
                    work.change,
                    CommentTarget::Column(work.table.to_owned(), physical.name.clone()),
                    &format!("{}.{}", work.table, physical.name),
                    old.comment.as_deref(),
                    new.comment.as_deref(),
                );
            }
        }
    }
}

/// What the columns under a rule are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnsKind {
    /// At least one is filled by a lens.
    Lens,
    /// All are the new version's own.
    OnlyNew,
    /// Both versions write at least one, and a lens fills none.
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RenameKind {
    Constraint,
    Index,
}

/// A column as one compares bytes: two columns of different collations can't be compared by either.
fn bytewise(column: &str) -> RowExpr {
    let text = [column, " collate \"C\""].concat();
    RowExpr { text, splices: vec![(0..column.len(), Splice::Column(column.to_owned()))], has_subquery: false }
}

/// Whether a name stands in a text as a word of its own.
fn names_word(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').any(|word| word.eq_ignore_ascii_case(name))
}

/// Whether two foreign keys differ in nothing but when they are checked.
fn is_only_deferred_otherwise(old: &ForeignKey, new: &ForeignKey) -> bool {
    let mut settled = old.clone();
    settled.name = new.name.clone();
    settled.deferrable = new.deferrable;
    settled.initially_deferred = new.initially_deferred;
    settled == *new && (old.deferrable, old.initially_deferred) != (new.deferrable, new.initially_deferred)
}

/// The columns of an index that stands on nothing but columns.
fn plain_columns(index: &Index) -> Option<Vec<String>> {
    index
        .keys
        .iter()
        .map(|key| match &key.target {
            IndexTarget::Column(name) => Some(name.clone()),
            IndexTarget::Expression(_) => None,
        })
        .collect()
}

/// `(a) or (b)`.
fn either(a: &RowExpr, b: &RowExpr) -> RowExpr {
    let (open, middle, close) = ("(", ") or (", ")");
    let text = [open, &a.text, middle, &b.text, close].concat();
    let (first, second) = (open.len(), open.len() + a.text.len() + middle.len());
    let shifted = |expr: &RowExpr, by: usize| -> Vec<_> {
        expr.splices.iter().map(|(range, splice)| (range.start + by..range.end + by, splice.clone())).collect()
    };
    let mut splices = shifted(a, first);
    splices.extend(shifted(b, second));
    RowExpr { text, splices, has_subquery: a.has_subquery || b.has_subquery }
}

/// Whether an expression is the bare `null`: the author's word that the other shape gives no value.
fn is_null(expr: &Expr) -> bool {
    expr.text.trim().eq_ignore_ascii_case("null")
}

/// Renames in an order in which no name is taken when it is given: chains from their end, circles through a parked name.
fn ordered_renames(renames: impl IntoIterator<Item = (String, String)>, dialect: crate::sql::Dialect) -> Vec<Rename> {
    let mut left: BTreeMap<String, String> = renames.into_iter().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free: Vec<String> = left.iter().filter(|(_, to)| !left.contains_key(*to)).map(|(from, _)| from.clone()).collect();
        if free.is_empty() {
            if let Some((from, to)) = left.pop_first() {
                let parked = naming::parked(&from, dialect);
                order.push(Rename { from, to: parked.clone() });
                left.insert(parked, to);
            }
            continue;
        }
        for from in free {
            if let Some(to) = left.remove(&from) {
                order.push(Rename { from, to });
            }
        }
    }
    order
}
