//! Rows that come from another table (`from:`): what their images are, what can't be mirrored, and the steps.
//!
//! Until contract the rows stand in both tables, and triggers on both keep them alike. A rule of the new table that the old
//! version's rows may break binds late, as it does on a column that both versions write.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Level, Span};
use crate::diff::model::TableDiff;
use crate::snapshot::model::{
    Check, Column, Expr, ForeignKey, Identity, IndexTarget, OnConflict, ReferentialAction, Table, TableHints, TableSource, Type, TypeKind,
};
use crate::sql::expression::{defines_volatile, expression_equivalent, replace, row_references};
use crate::sql::tokens::names_word;

use super::model::{
    Action, ColumnSpec, CopyRows, Finding, Follow, ForeignKeySpec, Formula, Highest, IndexSpec, Mirror, MirrorKey, MirrorSide,
    MirrorTriggers, OnFinding, Phase, RowExpr, SequenceFrom, SourceRest, Splice, SyncColumn, SyncLens, TableSpec,
};
use super::planner::{Draft, Planner};
use super::table::BATCH;
use super::{Truncate, VERSION_SCHEMA, naming};

/// The rules of a mirrored table that can't bind while the old version writes, or not before the rows are copied.
#[derive(Debug, Default)]
pub(super) struct LateRules<'a> {
    /// Columns that get NOT NULL in contract.
    not_null: Vec<String>,
    /// Checks that bind from contract.
    checks: Vec<&'a Check>,
    /// Unique constraints and indexes that are built in migrate.
    uniques: BTreeSet<String>,
    /// Unique indexes that are built in migrate.
    indexes: Vec<IndexSpec>,
    /// Foreign keys that bind from contract.
    foreign_keys: BTreeSet<String>,
}

impl LateRules<'_> {
    pub(super) fn has_foreign_key(&self, name: &str) -> bool {
        self.foreign_keys.contains(name)
    }
}

/// What the author says of the columns, as far as it is read.
struct Columns {
    /// Column of the target, its value from the source's row.
    ups: Vec<(String, Formula)>,
    /// Column of the source, its value from the target's row.
    downs: BTreeMap<String, Formula>,
}

impl<'a> Planner<'a> {
    // --- what is mirrored ---

    /// Finds the mirrors of the transition. A table whose rows can't be mirrored is refused and has none.
    pub(super) fn find_mirrors(&mut self) {
        let diff = self.diff;
        if diff.old.version.is_empty() {
            return;
        }
        let mut by_source: BTreeMap<&str, Vec<(&Table, Span)>> = BTreeMap::new();
        for table in &diff.tables {
            let TableDiff::Added(table, Some(hints)) = table else { continue };
            let Some(from) = &hints.from else { continue };
            if !self.target.capabilities().mirrors {
                self.not_yet(&format!("table {}", table.name), "its rows come from another table (`from:`)", table.span);
                continue;
            }
            // An unknown table was reported by the diff.
            let Some(source) = diff.old.tables.get(&from.table) else { continue };
            if let Some(mirror) = self.mirror(table, source, hints, from) {
                self.mirrors.insert(&table.name, mirror);
            }
            by_source.entry(&source.name).or_default().push((table, from.span));
        }
        for (source, targets) in by_source {
            if let [(first, _), (second, span), ..] = targets.as_slice()
                && !self.stays(source)
            {
                let names = format!("{} and {}", first.name, second.name);
                self.not_yet(
                    &format!("table {}", second.name),
                    &format!(
                        "rows of {source}, which is dropped, come to {names}: a row that both had could not be deleted from one of them, and it is not proved that none is in both, whatever `where` says"
                    ),
                    *span,
                );
            }
        }
    }

    /// Whether a table of the old schema is in the new one, under whatever name.
    fn stays(&self, old: &str) -> bool {
        !matches!(self.by_old_name.get(old), Some(TableDiff::Dropped(_)))
    }

    /// Whether rows of an old table are carried over into another one.
    pub(super) fn mirrors_from<'s>(&'s self, source: &'s str) -> impl Iterator<Item = &'s Mirror> {
        self.mirrors.values().filter(move |mirror| mirror.source == source)
    }

    /// Whether the values of an old table's column are carried over into another table. A `down` alone, which says what the
    /// old version reads, carries nothing.
    pub(super) fn carries(&self, source: &str, column: &str) -> bool {
        self.mirrors_from(source).any(|mirror| {
            let reads = |formula: &Formula| formula_columns(formula).iter().any(|name| name == column);
            mirror.key.iter().any(|key| key.source == column)
                || mirror.lenses.iter().any(|lens| {
                    !lens.new.is_empty() && lens.old.iter().any(|c| c.name == column)
                        || lens.new.iter().filter_map(|c| c.formula.as_ref()).any(reads)
                })
        })
    }

    /// The steps of contract after which nothing holds on to an old table any more.
    pub(super) fn mirrors_removed(&self, source: &str) -> Vec<String> {
        self.mirrors_from(source).map(|mirror| remove_id(self.change_of_table(&mirror.target), &mirror.target)).collect()
    }

    fn mirror(&mut self, table: &'a Table, source: &'a Table, hints: &'a TableHints, from: &'a TableSource) -> Option<Mirror> {
        let before = self.diagnostics.len();
        let key = self.mirror_key(table, source, hints, from.span);
        let columns = self.mirror_columns(table, source, hints, &key);
        let predicate = from.predicate.as_ref().map(|expr| self.old_expr(expr, &source.name));
        let predicate_columns = match &from.predicate {
            Some(expr) => self.typed(source, self.columns_of(expr, &source.name, self.diff.old)),
            None => Vec::new(),
        };
        if let (Some(expr), Some(predicate)) = (&from.predicate, &predicate) {
            self.refuse_folded(&format!("table {}", table.name), predicate, source, expr.span);
        }
        let lenses = self.mirror_lenses(table, source, hints, &columns);
        let rest = if self.stays(&source.name) {
            self.stays_well(table, source, from, &columns, &predicate_columns)
        } else {
            self.goes_well(table, source, &key, &columns, &predicate_columns);
            SourceRest::Goes
        };
        self.refuse_rules(table, &key, &columns);
        if self.diagnostics.len() > before {
            return None;
        }
        let dialect = self.diff.dialect;
        let trigger = |event: &str| naming::mirror_trigger(&table.name, event, dialect);
        Some(Mirror {
            source: source.name.clone(),
            target: table.name.clone(),
            key,
            predicate,
            predicate_columns,
            lenses,
            rest,
            to_target: naming::mirror_function(&source.name, &table.name, dialect),
            to_source: naming::mirror_function(&table.name, &source.name, dialect),
            guard: naming::mirror_guard(&table.name, dialect),
            copy: format!("{}_copy.{}", self.diff.new.release, table.name),
            triggers: MirrorTriggers {
                guard: naming::mirror_guard_trigger(&table.name, dialect),
                insert: trigger("insert"),
                update: trigger("update"),
                delete: trigger("delete"),
                truncate: trigger("truncate"),
            },
        })
    }

    fn mirror_key(&mut self, table: &'a Table, source: &'a Table, hints: &'a TableHints, span: Span) -> Vec<MirrorKey> {
        let object = format!("table {}", table.name);
        let from_predicate = hints.from.as_ref().is_some_and(|from| from.predicate.is_some());
        let mut key = Vec::new();
        for (name, expr) in &hints.key {
            let Some(target) = table.columns.get(name) else { continue };
            let formula = self.up_formula(expr, source, &target.ty);
            let Formula::Column(from) = &formula else {
                self.cannot_mirror(
                    &object,
                    &format!("its key column {name} is computed, so that no row of it leads back to its row of {}", source.name),
                    &format!("make the key of columns that {} has, with the same types, and let `up` compute another column", source.name),
                    expr.span,
                );
                continue;
            };
            let Some(old) = source.columns.get(from) else { continue };
            if old.generated.is_some() || target.generated.is_some() {
                self.cannot_mirror(&object, "its key is a generated column, which no trigger can write", "use another key", expr.span);
            }
            if old.collation != target.collation {
                self.cannot_mirror(
                    &object,
                    &format!(
                        "its key column {name} has another collation than {}.{from}: what is one key there may be two here",
                        source.name
                    ),
                    "give both the same collation",
                    expr.span,
                );
            }
            if target.identity.is_some() && old.identity.is_none() {
                self.cannot_mirror(
                    &object,
                    &format!("{name} counts, and {}.{from} does not: the two versions would give one number twice", source.name),
                    &format!("make {}.{from} an identity column in a transition before, or leave the identity of {name} out", source.name),
                    target.span,
                );
            }
            if target.identity.is_some() && from_predicate && !self.can.lends_numbers && !self.can.counters_follow {
                self.cannot_mirror(
                    &object,
                    &format!(
                        "{name} counts, and does not see the numbers of rows of {} outside of `where`: it would give them again",
                        source.name
                    ),
                    "leave `where` out, or the identity, so that the new version gives the numbers itself",
                    target.span,
                );
            }
            key.push(MirrorKey { source: from.clone(), target: name.clone(), ty: old.ty.clone() });
        }
        key.sort_by(|a, b| a.target.cmp(&b.target));
        if key.len() == hints.key.len() && !key.is_empty() {
            for (side, columns, what) in [
                (source, key.iter().map(|k| k.source.clone()).collect::<Vec<_>>(), "old"),
                (table, key.iter().map(|k| k.target.clone()).collect(), "new"),
            ] {
                if !is_key(side, &columns) {
                    self.cannot_mirror(
                        &format!("table {}", side.name),
                        &format!("({}) is no key of it, so that a row can't be told by it", columns.join(", ")),
                        &format!(
                            "name columns in `key` that are the {what} table's primary key, or unique (not deferrable) and NOT NULL, on both sides"
                        ),
                        span,
                    );
                }
            }
        }
        key
    }

    /// A value of the target, from a row of the source.
    fn up_formula(&self, expr: &Expr, source: &Table, ty: &Type) -> Formula {
        let written = self.old_expr(expr, &source.name);
        self.plain(written, |name| source.columns.get(name).map(|column| &column.ty), ty)
    }

    /// A column alone is copied, or cast where the types differ; all else stands as it is written.
    fn plain<'t>(&self, written: RowExpr, type_of: impl Fn(&str) -> Option<&'t Type>, ty: &Type) -> Formula {
        if let [(range, Splice::Column(name))] = written.splices.as_slice()
            && written.text.trim().len() == range.len()
        {
            let name = name.clone();
            return if type_of(&name) == Some(ty) { Formula::Column(name) } else { Formula::Cast(name) };
        }
        Formula::Written(written)
    }

    fn mirror_columns(&mut self, table: &'a Table, source: &'a Table, hints: &'a TableHints, key: &[MirrorKey]) -> Columns {
        let mut ups: Vec<(String, Formula)> = Vec::new();
        let mut downs = BTreeMap::new();
        let target_type = |name: &str| table.columns.get(name).map(|column| &column.ty);
        for column in table.columns.values() {
            let Some(up) = hints.columns.get(&column.name).and_then(|hints| hints.up.as_ref()) else { continue };
            let object = format!("{}.{}", table.name, column.name);
            if key.iter().any(|k| k.target == column.name) {
                self.cannot_mirror(&object, "`key` says what its value is, and `up` as well", "leave `up` out", up.span);
            } else if column.generated.is_some() {
                self.cannot_mirror(&object, "the server computes it, so that no `up` can give its value", "leave `up` out", up.span);
            } else {
                let formula = self.up_formula(up, source, &column.ty);
                if let Formula::Written(written) = &formula {
                    self.refuse_folded(&object, written, source, up.span);
                }
                ups.push((column.name.clone(), formula));
            }
        }
        for (name, hint) in &hints.columns {
            let (Some(down), Some(old)) = (&hint.down, source.columns.get(name)) else { continue };
            if says_null(down) {
                continue;
            }
            let object = format!("{}.{name}", source.name);
            if key.iter().any(|k| k.source == *name) {
                self.cannot_mirror(&object, "`key` says what its value is, and `down` as well", "leave `down` out", down.span);
            } else if old.generated.is_some() {
                self.cannot_mirror(&object, "the server computes it, so that no `down` can give its value", "leave `down` out", down.span);
            } else {
                let written = self.new_expr(down, &table.name, &|name| Some(name.to_owned()));
                let formula = self.plain(written, target_type, &old.ty);
                if let Formula::Written(written) = &formula {
                    self.refuse_folded(&object, written, table, down.span);
                }
                downs.insert(name.clone(), formula);
            }
        }
        // What was copied is copied back, unless the author says otherwise.
        let silent = |name: &str| hints.columns.get(name).is_none_or(|hint| hint.down.is_none());
        for (target, formula) in &ups {
            let (Formula::Column(from) | Formula::Cast(from)) = formula else { continue };
            let Some(old) = source.columns.get(from).filter(|old| old.generated.is_none()) else { continue };
            if key.iter().any(|k| k.source == *from) || !silent(from) {
                continue;
            }
            let back = if matches!(formula, Formula::Column(_)) { Formula::Column(target.clone()) } else { Formula::Cast(target.clone()) };
            if let Some(other) = downs.insert(from.clone(), back) {
                let other = formula_columns(&other).join(", ");
                self.diagnostics.push(
                    Diagnostic::error(
                        "needs-down",
                        format!(
                            "{other} and {target} of `{}` are both copies of {}.{from}: which one is its value?",
                            table.name, source.name
                        ),
                    )
                    .at(old.span, "")
                    .help(format!("say it: `{from}: {{down: {target}}}` in the columns of `{}` in the transition", table.name)),
                );
            }
        }
        Columns { ups, downs }
    }

    /// The triggers' functions find no operators but those of pg_catalog. There text in a type that folds case counts as plain
    /// text, without an error: two cases of a word would be one in the copy, and two in a trigger.
    fn refuse_folded(&mut self, object: &str, written: &RowExpr, row: &Table, span: Span) {
        for (range, splice) in &written.splices {
            let Splice::Column(name) = splice else { continue };
            let folds = row
                .columns
                .get(name)
                .is_some_and(|column| matches!(&column.ty.kind, TypeKind::Native(text) if text.rsplit('.').next() == Some("citext")));
            let is_cast = written.text[range.end..].trim_start().starts_with("::")
                || written.text[..range.start].trim_end().to_ascii_lowercase().ends_with("cast(");
            if folds && !is_cast {
                self.cannot_mirror(
                    object,
                    &format!(
                        "`{}` reads {}.{name} as a citext, whose operators a trigger's function does not find",
                        written.text.trim(),
                        row.name
                    ),
                    &format!("say which text is meant: `{name}::text`, or `lower({name}::text)`"),
                    span,
                );
            }
        }
    }

    fn typed(&self, table: &Table, names: impl IntoIterator<Item = String>) -> Vec<(String, Type)> {
        names.into_iter().filter_map(|name| table.columns.get(&name).map(|column| (name.clone(), column.ty.clone()))).collect()
    }

    /// The lenses: columns of the source and columns of the target of which one is read by a `down` of the other. What an
    /// `up` computes and no `down` reads stands alone, and follows.
    fn mirror_lenses(&self, table: &Table, source: &Table, hints: &TableHints, columns: &Columns) -> Vec<SyncLens> {
        let up = |name: &str| columns.ups.iter().find(|(target, _)| target == name).map(|(_, formula)| formula);
        let mut groups: Vec<(BTreeSet<&str>, BTreeSet<&str>)> = Vec::new();
        for (old, formula) in &columns.downs {
            let reads = formula_columns(formula);
            let mut joined = (BTreeSet::from([old.as_str()]), BTreeSet::new());
            for (name, _) in &columns.ups {
                if reads.contains(name) {
                    joined.1.insert(name.as_str());
                }
            }
            let (same, others) = groups.into_iter().partition(|(_, new): &(_, BTreeSet<&str>)| !new.is_disjoint(&joined.1));
            groups = others;
            let same: Vec<(BTreeSet<&str>, BTreeSet<&str>)> = same;
            for (old, new) in same {
                joined.0.extend(old);
                joined.1.extend(new);
            }
            groups.push(joined);
        }
        for (name, _) in &columns.ups {
            if !groups.iter().any(|(_, new)| new.contains(name.as_str())) {
                groups.push((BTreeSet::new(), BTreeSet::from([name.as_str()])));
            }
        }
        let place = |(old, new): &(BTreeSet<&str>, BTreeSet<&str>)| {
            let first = |names: &BTreeSet<&str>, order: &Table| names.iter().filter_map(|name| order.columns.get_index_of(*name)).min();
            (first(new, table).unwrap_or(usize::MAX), first(old, source))
        };
        groups.sort_by_key(place);
        let member = |name: &str, column: &Column, ty: Type, formula: Option<&Formula>| SyncColumn {
            name: name.to_owned(),
            ty,
            formula: formula.cloned(),
            backfill: None,
            has_default: column.default.is_some(),
            default: None,
            counts: column.identity.is_some(),
        };
        groups
            .into_iter()
            .map(|(old, new)| {
                let reads = |formulas: Vec<&Formula>, inside: &BTreeSet<&str>| -> BTreeSet<String> {
                    formulas.into_iter().flat_map(formula_columns).filter(|name| !inside.contains(name.as_str())).collect()
                };
                SyncLens {
                    up_inputs: self.typed(source, reads(new.iter().filter_map(|name| up(name)).collect(), &old)),
                    down_inputs: self
                        .typed(table, reads(old.iter().filter_map(|name| columns.downs.get(*name)).collect(), &new))
                        .into_iter()
                        .map(|(name, ty)| (name, self.physical_type(&ty)))
                        .collect(),
                    on_conflict: OnConflict::New,
                    follow: if new.iter().any(|name| hints.columns.get(*name).and_then(|hint| hint.follow) == Some(false)) {
                        Follow::Never
                    } else {
                        Follow::Inputs
                    },
                    old: old
                        .iter()
                        .filter_map(|name| source.columns.get(*name).map(|c| member(name, c, c.ty.clone(), columns.downs.get(*name))))
                        .collect(),
                    new: new
                        .iter()
                        .filter_map(|name| table.columns.get(*name).map(|c| member(name, c, self.physical_type(&c.ty), up(name))))
                        .collect(),
                }
            })
            .collect()
    }

    /// What the columns of a source that stays hold when the target has no row.
    fn stays_well(
        &mut self,
        table: &'a Table,
        source: &'a Table,
        from: &'a TableSource,
        columns: &Columns,
        predicate_columns: &[(String, Type)],
    ) -> SourceRest {
        let object = format!("table {}", table.name);
        for (name, _) in predicate_columns.iter().filter(|(name, _)| !columns.downs.contains_key(name)) {
            self.cannot_mirror(
                &object,
                &format!(
                    "which rows of {source} it takes depends on {source}.{name}, of which its own rows say nothing: a row that the new version inserts or deletes could not be one of them",
                    source = source.name
                ),
                &format!("let `where` read columns that come from `{}` and that its rows give back, or say `{name}: {{down: …}}`", table.name),
                from.span,
            );
        }
        if columns.downs.is_empty() {
            self.cannot_mirror(
                &object,
                &format!(
                    "no column of {} follows from its rows, so that nothing tells which rows of {} have one",
                    source.name, source.name
                ),
                "give a column an `up` that copies one, or say `down` for a column of the old table",
                from.span,
            );
        }
        let mut blanks = Vec::new();
        for name in columns.downs.keys() {
            let Some(old) = source.columns.get(name) else { continue };
            let object = format!("{}.{name}", source.name);
            if let Some(default) = old.default.as_ref() {
                if defines_volatile(&default.text, self.diff.dialect) {
                    self.cannot_mirror(
                        &object,
                        "its default gives each row another value, so that it can't be told whether the old version has written one",
                        "drop the default in a transition before",
                        default.span,
                    );
                }
                blanks.push((name.clone(), old.ty.clone(), Some(self.old_expr(default, &source.name))));
                continue;
            }
            let kept = self.by_old_name.get(source.name.as_str()).is_none_or(|diff| match diff {
                TableDiff::Changed(change) => change.columns.iter().any(|pair| {
                    pair.old.is_some_and(|c| c.name == *name)
                        && (pair.new.is_some_and(|c| c.not_null)
                            || pair.hints.and_then(|hints| hints.down.as_ref()).is_some_and(|down| !says_null(down)))
                }),
                TableDiff::Added(..) | TableDiff::Dropped(_) => false,
            });
            if old.not_null && kept {
                self.cannot_mirror(
                    &object,
                    &format!(
                        "it is NOT NULL and has no default, so that it holds nothing when the new version deletes a row of {}",
                        table.name
                    ),
                    "give it a default, or drop it from the new version's table",
                    old.span,
                );
            }
            blanks.push((name.clone(), old.ty.clone(), None));
        }
        SourceRest::Stays(blanks)
    }

    /// A row of the target must be enough to write one of the source.
    fn goes_well(
        &mut self,
        table: &'a Table,
        source: &'a Table,
        key: &[MirrorKey],
        columns: &Columns,
        predicate_columns: &[(String, Type)],
    ) {
        for old in source.columns.values() {
            let given = key.iter().any(|k| k.source == old.name) || columns.downs.contains_key(&old.name) || old.generated.is_some();
            let filled = given || old.default.is_some() || old.identity.is_some();
            let decides = predicate_columns.iter().any(|(name, _)| *name == old.name);
            if filled || !(old.not_null || decides) {
                continue;
            }
            let why = if decides { "decides which rows are meant" } else { "is NOT NULL and has no default" };
            self.diagnostics.push(
                Diagnostic::error(
                    "needs-down",
                    format!(
                        "`{}.{}` {why}: what is its value in a row that the new version inserts into `{}`?",
                        source.name, old.name, table.name
                    ),
                )
                .at(old.span, "")
                .help(format!("add `{}: {{down: …}}` to the columns of `{}` in the transition", old.name, table.name)),
            );
        }
    }

    /// Rules of the target that would stand in the way of every row that comes from the source.
    fn refuse_rules(&mut self, table: &'a Table, key: &[MirrorKey], columns: &Columns) {
        let object = format!("table {}", table.name);
        let mirrored = |name: &String| columns.ups.iter().any(|(up, _)| up == name);
        let is_mirror_key = |columns: &[String]| columns.len() == key.len() && columns.iter().all(|c| key.iter().any(|k| k.target == *c));
        if let Some(primary) = table.primary_key.as_ref().filter(|primary| !is_mirror_key(&primary.columns))
            && primary.columns.iter().any(|name| mirrored(name) || key.iter().any(|k| k.target == *name))
        {
            self.cannot_mirror(
                &object,
                &format!(
                    "its primary key ({}) is not the key that leads to the old row, and the old version writes columns of it",
                    primary.columns.join(", ")
                ),
                "make the primary key and `key` the same columns, or the primary key one that only the new version gives",
                primary.name.span,
            );
        }
        for exclusion in &table.exclusions {
            let texts = [Some(&exclusion.elements), exclusion.predicate.as_ref()];
            let reads = |name: &str| texts.iter().flatten().any(|text| names_word(&text.text, name));
            let written = columns.ups.iter().map(|(name, _)| name).chain(key.iter().map(|k| &k.target));
            if written.into_iter().any(|name| reads(name)) {
                self.no_way(
                    &object,
                    &format!(
                        "exclusion constraint {} would refuse rows of the old version from expand on, and its index can't be built later while clients write: PostgreSQL has no concurrent form of it",
                        exclusion.name.text
                    ),
                    "leave it out of this snapshot, and add it by hand in a maintenance window, and to the snapshot, when the old version is gone",
                    exclusion.name.span,
                );
            }
        }
    }

    /// Rows that triggers can't keep alike in two tables.
    fn cannot_mirror(&mut self, object: &str, why: &str, way_out: &str, span: Span) {
        self.diagnostics.push(Diagnostic::error("cant-mirror", format!("{object}: {why}")).at(span, "").help(way_out));
    }

    // --- the table ---

    /// Takes out of a new table's statement what can't bind yet, and makes its key draw from the source's sequence.
    pub(super) fn prepare_mirrored(&mut self, table: &'a Table, mirror: &Mirror, spec: &mut TableSpec) -> LateRules<'a> {
        let mut late = LateRules::default();
        let source = &self.diff.old.tables[&mirror.source];
        let copies = copies_of(mirror);
        let written: BTreeSet<&str> = mirror
            .key
            .iter()
            .map(|k| k.target.as_str())
            .chain(mirror.lenses.iter().flat_map(|l| &l.new).map(|c| c.name.as_str()))
            .collect();
        let is_mirrored = |names: &[String]| names.iter().any(|name| written.contains(name.as_str()));
        // What the source's rows are known to keep already.
        let in_source = |names: &[String]| -> Option<Vec<String>> {
            names.iter().map(|name| copies.get(name.as_str()).map(|c| (*c).to_owned())).collect()
        };
        for column in &mut spec.columns {
            let is_key = mirror.key.iter().any(|k| k.target == column.name);
            let proved =
                is_key || copies.get(column.name.as_str()).is_some_and(|from| source.columns.get(*from).is_some_and(|c| c.not_null));
            if column.not_null && written.contains(column.name.as_str()) && !proved {
                column.not_null = false;
                late.not_null.push(column.name.clone());
            }
            if is_key && self.can.lends_numbers && column.identity.take().is_some() {
                let function = naming::numbers_function(&table.name, &column.name, self.diff.dialect);
                let text = "f()".to_owned();
                column.default = Some(RowExpr {
                    text,
                    splices: vec![(0..1, Splice::Relation(VERSION_SCHEMA.to_owned(), function))],
                    has_subquery: false,
                });
            }
        }
        spec.checks.retain(|(name, _)| {
            let Some(check) = table.checks.iter().find(|check| check.name.text == *name) else { return true };
            let columns = self.check_columns(check, &table.name, self.diff.new);
            let keeps = !is_mirrored(&columns) || self.has_check(source, check, &table.name, &copies);
            if !keeps {
                late.checks.push(check);
            }
            keeps
        });
        let known = |columns: &[String]| {
            let key = columns.len() == mirror.key.len() && columns.iter().all(|c| mirror.key.iter().any(|k| k.target == *c));
            key || !is_mirrored(columns) || in_source(columns).is_some_and(|columns| is_unique(source, &columns))
        };
        spec.uniques.retain(|unique| {
            let keeps = known(&unique.columns);
            if !keeps {
                late.uniques.insert(unique.name.text.clone());
            }
            keeps
        });
        let indexes = std::mem::take(&mut spec.indexes);
        for index in indexes {
            let columns: Vec<String> = index
                .keys
                .iter()
                .filter_map(|key| match &key.target {
                    super::model::KeyTarget::Column(name) => Some(name.clone()),
                    super::model::KeyTarget::Expression(_) => None,
                })
                .collect();
            let plain = columns.len() == index.keys.len() && index.predicate.is_none();
            let read = table.indexes.iter().find(|i| i.name.text == index.name);
            let read = read.map(|i| self.index_columns(i, &table.name, self.diff.new)).unwrap_or_default();
            if !index.unique || !is_mirrored(&read) || (plain && known(&columns)) {
                spec.indexes.push(index);
            } else {
                late.indexes.push(index);
            }
        }
        for key in &table.foreign_keys {
            let image = source.foreign_keys.iter().any(|other| self.is_image(&copies, key, other));
            let to_source = self.physical_table(&key.ref_table) == mirror.source;
            if is_mirrored(&key.columns) && (!image || to_source || key.ref_table == table.name) {
                late.foreign_keys.insert(key.name.text.clone());
            }
        }
        if !self.can.cascades_fire_triggers {
            self.refuse_cascades(table, source, &late, &copies);
        }
        late
    }

    /// Whether a foreign key of the target says of its rows what another one says of the source's.
    fn is_image(&self, copies: &BTreeMap<&str, &str>, key: &ForeignKey, of: &ForeignKey) -> bool {
        let columns: Option<Vec<&str>> = key.columns.iter().map(|name| copies.get(name.as_str()).copied()).collect();
        columns.is_some_and(|columns| of.columns == columns)
            && self.renamed.get(of.ref_table.as_str()).copied().unwrap_or(&of.ref_table) == key.ref_table
            && of.ref_columns == key.ref_columns
            && of.on_delete == key.on_delete
            && of.on_update == key.on_update
            && of.match_full == key.match_full
            && (of.deferrable, of.initially_deferred) == (key.deferrable, key.initially_deferred)
    }

    /// Foreign keys whose actions would change one of the two rows, and fire no trigger that carries it over. Where both tables
    /// have the same one, it does the same to both.
    fn refuse_cascades(&mut self, table: &'a Table, source: &'a Table, late: &LateRules<'a>, copies: &BTreeMap<&str, &str>) {
        let carried = |key: &ForeignKey| key.columns.iter().any(|name| self.carries(&source.name, name));
        let acts = |key: &ForeignKey, matters: bool| {
            let acts = |action: &ReferentialAction| !matches!(action, ReferentialAction::NoAction | ReferentialAction::Restrict);
            key.on_delete == ReferentialAction::Cascade || matters && (acts(&key.on_delete) || acts(&key.on_update))
        };
        let early: Vec<&ForeignKey> = table.foreign_keys.iter().filter(|key| !late.has_foreign_key(&key.name.text)).collect();
        let of_source: Vec<&ForeignKey> = source
            .foreign_keys
            .iter()
            .filter(|key| acts(key, carried(key)) && !early.iter().any(|image| self.is_image(copies, image, key)))
            .collect();
        let of_target: Vec<&ForeignKey> = early
            .into_iter()
            .filter(|key| {
                let mirrored = key.columns.iter().any(|name| copies.contains_key(name.as_str()));
                acts(key, mirrored) && !source.foreign_keys.iter().any(|of| self.is_image(copies, key, of))
            })
            .collect();
        for (side, other, key) in
            of_source.into_iter().map(|key| (source, table, key)).chain(of_target.into_iter().map(|key| (table, source, key)))
        {
            self.cannot_mirror(
                &format!("table {}", side.name),
                &format!(
                    "foreign key {} deletes or changes its rows with those of {}, which fires no trigger here, and {} has no such key",
                    key.name.text, key.ref_table, other.name
                ),
                "give both tables the same foreign key, over columns that are copied, or take the action away in a transition before",
                key.name.span,
            );
        }
    }

    /// Whether the source has the same check, seen through the copied columns.
    fn has_check(&self, source: &Table, check: &Check, table: &str, copies: &BTreeMap<&str, &str>) -> bool {
        let Ok(references) = row_references(&check.expression.text, self.diff.dialect, table, self.diff.new) else { return false };
        let edits: Option<Vec<_>> = references
            .columns
            .iter()
            .map(|reference| {
                copies.get(reference.name.as_str()).map(|name| (reference.span.clone(), crate::sql::quote::ident(name, self.diff.dialect)))
            })
            .collect();
        edits.is_some_and(|edits| {
            let text = replace(&check.expression.text, &edits);
            source.checks.iter().any(|other| expression_equivalent(&text, &other.expression.text, self.diff.dialect))
        })
    }

    // --- steps ---

    /// The function that a new table's key draws its numbers through, if it counts. It comes before the table.
    pub(super) fn share_numbers(&mut self, change: usize, table: &Table, mirror: &Mirror) -> Vec<String> {
        let mut ids = Vec::new();
        let lends = self.can.lends_numbers;
        for key in mirror.key.iter().filter(|key| lends && counts(table, &key.target)) {
            let function = naming::numbers_function(&table.name, &key.target, self.diff.dialect);
            ids.push(self.step(Draft {
                phase: Phase::Expand,
                change,
                slug: format!("share_numbers.{}.{}", table.name, key.target),
                object: format!("{}.{}", table.name, key.target),
                why: format!(
                    "One sequence counts for both tables, so that no number is given twice. The function lends it to who may write {} and not use the sequence of {} itself.",
                    table.name, mirror.source
                ),
                action: Action::ShareNumbers {
                    function,
                    table: mirror.source.clone(),
                    column: key.source.clone(),
                },
                unit: None,
                requires: Vec::new(),
            }));
        }
        ids
    }

    /// Everything after the table is made: triggers, copy, rules that bind late, and the end of it all.
    pub(super) fn mirrored(&mut self, change: usize, table: &'a Table, mirror: &Mirror, late: &LateRules<'a>, create: &str) {
        let (source, target) = (mirror.source.clone(), mirror.target.clone());
        self.mirror_hazards(table, mirror);
        let mut requires = vec![create.to_owned()];
        requires.extend(self.loosen_identities(change, mirror));
        let install = self.step(Draft {
            phase: Phase::Expand,
            change,
            slug: format!("install_mirror.{target}"),
            object: target.clone(),
            why: format!(
                "From its commit on no write is one-sided: a row of {source} and its image in {target} are written in one transaction, whichever version writes."
            ),
            action: Action::InstallMirror(Box::new(mirror.clone())),
            unit: Some(format!("expand{change:02}.mirror.{target}")),
            requires,
        });
        let copy = self.step(Draft {
            phase: Phase::Migrate,
            change,
            slug: format!("copy_rows.{target}"),
            object: target.clone(),
            why: format!("The rows of {source} that nobody has written since expand. What stands in {target} already is left alone."),
            action: Action::CopyRows(Box::new(CopyRows { mirror: mirror.clone(), batch: BATCH })),
            unit: None,
            requires: vec![install],
        });
        let mut copied = vec![copy.clone()];
        if self.can.analyzes {
            copied.push(self.step(Draft {
                phase: Phase::Migrate,
                change,
                slug: format!("analyze.{target}"),
                object: target.clone(),
                why: "Statistics, before anyone reads the new table.".to_owned(),
                action: Action::Analyze { table: target.clone(), columns: table.columns.keys().cloned().collect() },
                unit: None,
                requires: vec![copy],
            }));
        }
        for (side, of, key) in [(MirrorSide::Source, &source, mirror.source_key()), (MirrorSide::Target, &target, mirror.target_key())] {
            let finding = Finding::Unlike(Box::new(mirror.clone()), side);
            let what = format!("mirror.{target}");
            self.rows_checked(change, Phase::Migrate, (of, &key), &what, (finding.clone(), OnFinding::Refuse), None, copied.clone());
            self.rows_checked(change, Phase::Contract, (of, &key), &what, (finding, OnFinding::Refuse), None, Vec::new());
        }
        self.late_uniques(change, table, mirror, late, &copied);
        let bound = self.late_rules(change, table, mirror, late, &copied);
        let remove = self.step(Draft {
            phase: Phase::Contract,
            change,
            slug: format!("remove_mirror.{target}"),
            object: target.clone(),
            why: format!("Only the new version is left: its rows stand in {target}, and {source} is kept in step no longer."),
            action: Action::RemoveMirror(Box::new(mirror.clone())),
            unit: Some(format!("contract{change:02}.unmirror.{target}")),
            requires: bound,
        });
        debug_assert_eq!(remove, remove_id(change, &target));
        let lends = self.can.lends_numbers;
        for key in mirror.key.iter().filter(|key| lends && counts(table, &key.target)) {
            self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("add_identity.{target}.{}", key.target),
                object: format!("{target}.{}", key.target),
                why: format!(
                    "{target}.{} counts for itself from now on, behind the sequence of {source} and behind the highest value.",
                    key.target
                ),
                action: Action::AddIdentity {
                    table: target.clone(),
                    column: key.target.clone(),
                    identity: table.columns[&key.target].identity.unwrap_or(Identity::ByDefault),
                    from: SequenceFrom::Lent {
                        table: source.clone(),
                        column: key.source.clone(),
                        function: naming::numbers_function(&target, &key.target, self.diff.dialect),
                    },
                    highest: Highest::ByIndex,
                },
                unit: Some(format!("contract{change:02}.swap.numbers.{target}")),
                requires: vec![remove.clone()],
            });
        }
    }

    /// A source that goes takes its numbers from the target too, where it has given them all itself.
    fn loosen_identities(&mut self, change: usize, mirror: &Mirror) -> Vec<String> {
        let source = &self.diff.old.tables[&mirror.source];
        let mut ids = Vec::new();
        for key in mirror.key.iter().filter(|_| mirror.rest == SourceRest::Goes) {
            let Some(old) = source.columns.get(&key.source).filter(|column| column.identity == Some(Identity::Always)) else { continue };
            let object = format!("{}.{}", mirror.source, key.source);
            self.warn(
                ("identity-given", Level::Note),
                &object,
                "GENERATED ALWAYS is loosened in expand: a number that the old version gives itself is taken from then on",
                old.span,
            );
            ids.push(self.step(Draft {
                phase: Phase::Expand,
                change,
                slug: format!("alter_identity.{object}"),
                object,
                why: format!(
                    "Rows of {} bring their number along, and no UPDATE could change one that is GENERATED ALWAYS.",
                    mirror.target
                ),
                action: Action::AlterIdentity {
                    table: mirror.source.clone(),
                    column: key.source.clone(),
                    old: Identity::Always,
                    new: Identity::ByDefault,
                },
                unit: None,
                requires: Vec::new(),
            }));
        }
        ids
    }

    fn late_uniques(&mut self, change: usize, table: &'a Table, mirror: &Mirror, late: &LateRules<'a>, copied: &[String]) {
        let target = &mirror.target;
        let key = mirror.target_key();
        let uniques: Vec<_> = table.uniques.iter().filter(|unique| late.uniques.contains(&unique.name.text)).collect();
        let mut builds: Vec<(IndexSpec, Option<&crate::snapshot::model::Unique>, Span)> = Vec::new();
        for unique in uniques {
            let index = IndexSpec::of_unique(&unique.name.text, target, &unique.columns, unique.nulls_not_distinct, &unique.include);
            builds.push((index, Some(unique), unique.name.span));
        }
        for index in &late.indexes {
            builds.push((index.clone(), None, table.span));
        }
        for (index, unique, span) in builds {
            let name = index.name.clone();
            self.warn(
                ("unique-rejects-old-writes", Level::Warning),
                &format!("table {target}"),
                format!(
                    "unique {name} binds from migrate: a duplicate of the old version in {} fails then with SQLSTATE 23505",
                    mirror.source
                ),
                span,
            );
            let mut requires = copied.to_vec();
            if let Some(unique) = unique {
                let finding = Finding::Duplicate {
                    name: name.clone(),
                    keys: super::model::KeyTarget::columns(&unique.columns),
                    predicate: None,
                    nulls_not_distinct: unique.nulls_not_distinct,
                };
                let what = format!("unique.{name}");
                requires.push(self.rows_checked(
                    change,
                    Phase::Migrate,
                    (target, &key),
                    &what,
                    (finding, OnFinding::Refuse),
                    None,
                    copied.to_vec(),
                ));
            }
            let object = format!("{target}.{name}");
            let built = self.step(Draft {
                phase: Phase::Migrate,
                change,
                slug: format!("create_index.{object}"),
                object: object.clone(),
                why: "Built when the rows are copied, while everyone writes: the old version has no such rule.".to_owned(),
                action: Action::CreateIndex(index),
                unit: None,
                requires,
            });
            if let Some(unique) = unique.filter(|_| !self.can.unique_is_index) {
                self.step(Draft {
                    phase: Phase::Migrate,
                    change,
                    slug: format!("attach_unique.{object}"),
                    object,
                    why: "The index becomes the constraint.".to_owned(),
                    action: Action::AttachUnique { table: target.clone(), unique: unique.clone() },
                    unit: None,
                    requires: vec![built],
                });
            }
        }
    }

    /// Rules that bind once the old version is gone: reported in migrate, proved in contract. They come before the triggers go,
    /// which have done some of their work. Returns the steps from which on they bind.
    fn late_rules(&mut self, change: usize, table: &'a Table, mirror: &Mirror, late: &LateRules<'a>, copied: &[String]) -> Vec<String> {
        let mut bound = Vec::new();
        let target = &mirror.target;
        let key = mirror.target_key();
        let gate = |planner: &mut Self, what: &str, finding: Finding| {
            planner.rows_checked(change, Phase::Migrate, (target, &key), what, (finding.clone(), OnFinding::Report), None, copied.to_vec());
            planner.rows_checked(change, Phase::Contract, (target, &key), what, (finding, OnFinding::Refuse), None, Vec::new());
        };
        for column in &late.not_null {
            let check = naming::not_null_check(target, column, self.diff.dialect);
            gate(self, &format!("not_null.{column}"), Finding::Null(column.clone()));
            let object = format!("{target}.{column}");
            if let (true, Some(column)) = (self.can.restates_columns, table.columns.get(column)) {
                let new = self.column_spec(column, target, &column.name, &|name| Some(name.to_owned()));
                let old = ColumnSpec { not_null: false, ..new.clone() };
                bound.push(
                    self.step(Draft {
                        phase: Phase::Contract,
                        change,
                        slug: format!("set_not_null.{object}"),
                        object,
                        why:
                            "From now on NULL is refused. The table is copied beside its readers and writers, who wait for an instant only."
                                .to_owned(),
                        action: Action::RestateColumn {
                            table: target.clone(),
                            loosened: Vec::new(),
                            old: Box::new(old),
                            new: Box::new(new),
                        },
                        unit: None,
                        requires: Vec::new(),
                    }),
                );
                continue;
            }
            let added = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("add_not_null_check.{object}"),
                object: object.clone(),
                why: "NOT NULL, first as a check that reads no row.".to_owned(),
                action: Action::AddNotNullCheck { table: target.clone(), name: check.clone(), column: column.clone() },
                unit: None,
                requires: Vec::new(),
            });
            bound.push(added.clone());
            let valid = self.validate(change, Phase::Contract, target, &check, None, vec![added]);
            self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("set_not_null.{object}"),
                object,
                why: "The valid check proves it, so that nothing is read under the lock.".to_owned(),
                action: Action::SetNotNull { table: target.clone(), column: column.clone(), check },
                unit: None,
                requires: vec![valid],
            });
        }
        for check in &late.checks {
            let name = check.name.text.clone();
            let condition = self.new_expr(&check.expression, target, &|name| Some(name.to_owned()));
            gate(self, &format!("check.{name}"), Finding::Check(name.clone(), condition.clone()));
            let object = format!("{target}.{name}");
            let added = self.step(Draft {
                phase: Phase::Contract,
                change,
                slug: format!("add_check.{object}"),
                object,
                why: "The old version had no such rule; it binds from now on.".to_owned(),
                action: Action::AddCheck { table: target.clone(), name: name.clone(), condition, until: None },
                unit: None,
                requires: Vec::new(),
            });
            bound.push(added.clone());
            self.validate(change, Phase::Contract, target, &name, None, vec![added]);
        }
        for key in table.foreign_keys.iter().filter(|key| late.has_foreign_key(&key.name.text)) {
            let spec = self.foreign_key_spec(key, &key.name.text, target, &|name| name.to_owned());
            let references = spec.key.ref_table.clone();
            if references != mirror.source {
                self.warn(
                    ("rule-tightened", Level::Warning),
                    &format!("table {target}"),
                    format!(
                        "foreign key {} binds from contract: {} has no such rule, and until then neither version is kept to it",
                        key.name.text, mirror.source
                    ),
                    key.name.span,
                );
            }
            gate(self, &format!("foreign_key.{}", key.name.text), Finding::Orphan(spec.clone()));
            bound.push(self.late_foreign_key(change, spec));
        }
        bound
    }

    fn late_foreign_key(&mut self, change: usize, spec: ForeignKeySpec) -> String {
        let (table, name, references) = (spec.table.clone(), spec.key.name.text.clone(), spec.key.ref_table.clone());
        let object = format!("{table}.{name}");
        let added = self.step(Draft {
            phase: Phase::Contract,
            change,
            slug: format!("add_foreign_key.{object}"),
            object,
            why: "Only the new version is left, which knows of the key. NOT VALID, so that neither table is read under the lock."
                .to_owned(),
            action: Action::AddForeignKey { spec, until: None },
            unit: None,
            requires: Vec::new(),
        });
        self.validate(change, Phase::Contract, &table, &name, Some(references), vec![added.clone()]);
        added
    }

    fn mirror_hazards(&mut self, table: &'a Table, mirror: &Mirror) {
        let object = format!("table {}", table.name);
        let (source, target) = (&mirror.source, &mirror.target);
        self.warn(
            ("mirror-can-deadlock", Level::Warning),
            &object,
            format!(
                "a row stands in {source} and in {target} until contract, and each version locks its own first: two that write one row at once may deadlock, and one fails with SQLSTATE 40P01 and must try again"
            ),
            table.span,
        );
        match self.can.truncate {
            Truncate::Missing => {}
            Truncate::Fires => self.warn(
                ("mirror-truncate", Level::Note),
                &object,
                format!("TRUNCATE of {source} or {target} is carried over row by row, in the same transaction, which takes as long as a DELETE of all rows"),
                table.span,
            ),
            Truncate::Passes => self.warn(
                ("mirror-truncate", Level::Warning),
                &object,
                format!("TRUNCATE of {source} or {target} fires no trigger here: the other table keeps its rows, verify counts them, and contract refuses"),
                table.span,
            ),
        }
        if !self.can.writes_what_is_read && self.stays(source) {
            self.warn(
                ("mirror-one-statement", Level::Warning),
                &object,
                format!("until contract a statement that writes one of {source} and {target} and reads or writes the other one fails with error 1442, if a trigger has something to carry over"),
                table.span,
            );
        }
        match &mirror.rest {
            SourceRest::Stays(blanks) => {
                let columns: Vec<&str> = blanks.iter().map(|(name, _, _)| name.as_str()).collect();
                let how = if blanks.iter().any(|(_, _, default)| default.is_some()) { "left at their defaults" } else { "left NULL" };
                self.warn(
                    ("mirror-blank-rows", Level::Note),
                    &object,
                    format!(
                        "a row of {source} with {} {how} gets no row in {target} as it is written, since it may be the new version's, which inserts that row itself",
                        columns.join(", ")
                    ),
                    table.span,
                );
            }
            SourceRest::Goes => {}
        }
        let Some(hints) = self.diff.new.transition.as_ref().and_then(|t| t.tables.get(&table.name)) else { return };
        for (name, hint) in &hints.columns {
            if hint.lossy {
                self.warn(
                    ("lossy-lens", Level::Note),
                    &format!("{}.{name}", table.name),
                    "declared lossy: a value that makes the way there and back may come back changed",
                    hint.span,
                );
            }
        }
    }
}

/// `down: "null"`: the old version may read NULL, and nothing leads back.
fn says_null(down: &Expr) -> bool {
    down.text.trim().eq_ignore_ascii_case("null")
}

/// The id of the step that ends a mirror.
fn remove_id(change: usize, target: &str) -> String {
    format!("contract{change:02}.remove_mirror.{target}")
}

/// Whether a column of a new table counts.
fn counts(table: &Table, column: &str) -> bool {
    table.columns.get(column).is_some_and(|column| column.identity.is_some())
}

/// Column of the target, column of the source of which it is a copy.
fn copies_of(mirror: &Mirror) -> BTreeMap<&str, &str> {
    let mut copies: BTreeMap<&str, &str> = mirror.key.iter().map(|key| (key.target.as_str(), key.source.as_str())).collect();
    for column in mirror.lenses.iter().flat_map(|lens| &lens.new) {
        if let Some(Formula::Column(from)) = &column.formula {
            copies.insert(&column.name, from);
        }
    }
    copies
}

/// The columns that a formula reads.
fn formula_columns(formula: &Formula) -> Vec<String> {
    match formula {
        Formula::Column(name) | Formula::Cast(name) => vec![name.clone()],
        Formula::Values { column, .. } | Formula::Relabel { column, .. } => vec![column.clone()],
        Formula::Next(_) => Vec::new(),
        Formula::Written(expr) => expr
            .splices
            .iter()
            .filter_map(|(_, splice)| match splice {
                Splice::Column(name) => Some(name.clone()),
                Splice::Relation(..) | Splice::Type(..) => None,
            })
            .collect(),
    }
}

/// Whether columns tell one row of a table from another, and can be the arbiter of an ON CONFLICT.
fn is_key(table: &Table, columns: &[String]) -> bool {
    let not_null = columns.iter().all(|name| table.columns.get(name).is_some_and(|column| column.not_null));
    not_null && is_unique(table, columns)
}

/// Whether a rule that binds at once says that no two rows have the same values there.
fn is_unique(table: &Table, columns: &[String]) -> bool {
    let same = |other: &[String]| other.len() == columns.len() && other.iter().all(|name| columns.contains(name));
    table.primary_key.as_ref().is_some_and(|key| same(&key.columns))
        || table.uniques.iter().any(|unique| !unique.deferrable && !unique.initially_deferred && same(&unique.columns))
        || table.indexes.iter().any(|index| {
            let plain: Option<Vec<String>> = index
                .keys
                .iter()
                .map(|key| match &key.target {
                    IndexTarget::Column(name) => Some(name.clone()),
                    IndexTarget::Expression(_) => None,
                })
                .collect();
            index.unique && index.predicate.is_none() && plain.is_some_and(|columns| same(&columns))
        })
}
