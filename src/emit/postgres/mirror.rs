//! What fills in the templates of a mirror: keys, values and conditions over the rows of two tables.
//!
//! In the functions of the triggers `here` is the row of the trigger's own table as it is now, and `there` its image in the
//! other table. The event only says which columns were written: what is carried over is what stands in the row by then.

use minijinja::{Value, context};

use super::super::mirror::{Way, disagreement, grouped};
use crate::dialect::language::{Language, Row};
use crate::dialect::postgres::expression::Expressions;
use crate::plan::VERSION_SCHEMA;
use crate::plan::model::{CopyRows, Follow, Formula, Mirror, MirrorSide, SourceRest, SyncColumn, SyncLens};
use crate::snapshot::model::Type;

const HERE: Row<'static> = Row::Alias("here");
const THERE: Row<'static> = Row::Alias("there");
const OTHER: Row<'static> = Row::Alias("other");

/// One mirror with what writes its conditions.
pub(super) struct Mirroring<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) sql: &'a Expressions<'a>,
}

impl Mirroring<'_> {
    // --- keys ---

    /// `a.key = b.key`, each row with the names of its table.
    fn same(&self, a: (Way, Row<'_>), b: (Way, Row<'_>)) -> String {
        let pairs: Vec<String> =
            a.0.key(self.mirror)
                .iter()
                .zip(&b.0.key(self.mirror))
                .map(|(left, right)| format!("{} = {}", self.sql.column(left, a.1), self.sql.column(right, b.1)))
                .collect();
        pairs.join(" and ")
    }

    /// The key differs between the row as it was and as it is.
    fn key_changed(&self, way: Way) -> String {
        self.changed(&way.typed_key(self.mirror))
    }

    fn changed(&self, columns: &[(String, Type)]) -> String {
        let sql = self.sql;
        let parts: Vec<String> =
            columns.iter().map(|(name, ty)| sql.distinct(&sql.column(name, Row::Old), &sql.column(name, Row::New), ty)).collect();
        sql.any(&parts)
    }

    // --- conditions ---

    /// A row of the source is meant.
    fn meant(&self, row: Row<'_>) -> Option<String> {
        self.mirror.predicate.as_ref().map(|predicate| self.sql.written(predicate, row).trim().to_owned())
    }

    /// A row of the source that stays says something that the target would say.
    fn says(&self, row: Row<'_>) -> Option<String> {
        match &self.mirror.rest {
            SourceRest::Goes => None,
            SourceRest::Stays(_) => {
                let parts: Vec<String> = self.blanks().map(|(name, ty, value)| self.differs(&name, ty, &value, row)).collect();
                Some(self.sql.any(&parts))
            }
        }
    }

    fn blanks(&self) -> impl Iterator<Item = (String, &Type, String)> {
        let blanks: &[(String, Type, Option<crate::plan::model::RowExpr>)] = match &self.mirror.rest {
            SourceRest::Stays(blanks) => blanks,
            SourceRest::Goes => &[],
        };
        blanks.iter().map(|(name, ty, default)| {
            let value = match default {
                Some(default) => format!("({})::{}", self.sql.written(default, Row::Table("")).trim(), self.sql.cast_type(ty)),
                None => "null".to_owned(),
            };
            (name.clone(), ty, value)
        })
    }

    fn differs(&self, name: &str, ty: &Type, value: &str, row: Row<'_>) -> String {
        let column = self.sql.column(name, row);
        if value == "null" { format!("{column} is not null") } else { self.sql.distinct(&column, value, ty) }
    }

    /// Whether only the new side follows, and nothing leads back.
    fn is_derived(lens: &SyncLens) -> bool {
        lens.old.is_empty()
    }

    /// Whether only the old side follows: its column's value is known of rows that the new version inserts, and what it
    /// inserts or changes there is carried over; but nothing leads from there to the new side.
    fn is_given(lens: &SyncLens) -> bool {
        lens.new.is_empty()
    }

    /// The two rows say different things.
    fn disagree(&self, lens: &SyncLens, source: Row<'_>, target: Row<'_>) -> Option<String> {
        let sql = self.sql;
        let unlike = |(c, f): (&SyncColumn, &Formula), own: Row<'_>, from: Row<'_>| {
            sql.distinct(&sql.column(&c.name, own), &sql.as_stored(f, &c.ty, from), &c.ty)
        };
        let (news, olds) = disagreement(lens, source, target, unlike)?;
        let news = sql.any(&news);
        Some(if olds.is_empty() { news } else { sql.all(&[news, sql.any(&olds)]) })
    }

    /// Any lens disagrees.
    fn unlike(&self, source: Row<'_>, target: Row<'_>) -> String {
        let parts: Vec<String> = self.mirror.lenses.iter().filter_map(|lens| self.disagree(lens, source, target)).map(grouped).collect();
        self.sql.any(&parts)
    }

    /// Any lens disagrees, or a value that only the new version gives is not the one that it gives.
    fn unlike_or_given(&self, source: Row<'_>, target: Row<'_>) -> String {
        let mut parts = vec![self.unlike(source, target)];
        parts.retain(|part| part != "false");
        for (column, formula) in self.mirror.lenses.iter().filter(|lens| Self::is_given(lens)).flat_map(SyncLens::downs) {
            parts.push(self.sql.distinct(
                &self.sql.column(&column.name, source),
                &self.sql.as_stored(formula, &column.ty, target),
                &column.ty,
            ));
        }
        self.sql.any(&parts)
    }

    /// The rows that verify counts, over a row of their table by its name.
    pub(super) fn found(&self, side: MirrorSide) -> String {
        let sql = self.sql;
        let (source, target) = (sql.ident(&self.mirror.source), sql.ident(&self.mirror.target));
        match side {
            MirrorSide::Source => {
                let row = Row::Alias(&source);
                let image =
                    format!("from {} as other where {}", sql.table(&self.mirror.target), self.same((Way::Down, OTHER), (Way::Up, row)));
                let mut missing: Vec<String> = self.meant(row).map(|meant| format!("({meant})")).into_iter().collect();
                missing.extend(self.says(row).map(|says| format!("({says})")));
                missing.push(format!("not exists (select {image})"));
                let unlike = self.unlike(row, OTHER);
                let missing = missing.join(" and ");
                if unlike == "false" { missing } else { format!("({missing}) or exists (select {image} and ({unlike}))") }
            }
            MirrorSide::Target => {
                let row = Row::Alias(&target);
                let mut origin = format!(
                    "select from {} as other where {}",
                    sql.table(&self.mirror.source),
                    self.same((Way::Up, OTHER), (Way::Down, row))
                );
                if self.mirror.rest == SourceRest::Goes
                    && let Some(meant) = self.meant(OTHER)
                {
                    origin.push_str(&format!(" and ({meant})"));
                }
                format!("not exists ({origin})")
            }
        }
    }

    // --- functions and triggers ---

    /// Context of `install_mirror` and `remove_mirror`.
    pub(super) fn context(&self, release: &str) -> Value {
        let sql = self.sql;
        let mirror = self.mirror;
        let name = |function: &str| sql.relation(VERSION_SCHEMA, function);
        let predicate = mirror.predicate_columns.clone();
        context! {
            source => sql.table(&mirror.source),
            target => sql.table(&mirror.target),
            source_name => mirror.source.as_str(),
            target_name => mirror.target.as_str(),
            to_target => name(&mirror.to_target),
            to_source => name(&mirror.to_source),
            release => sql.literal(release),
            copy => sql.literal(&mirror.copy),
            guard => name(&mirror.guard),
            guard_trigger => sql.ident(&mirror.triggers.guard),
            guarded => self.guarded(),
            copied => self.copied(Row::Alias("own")).join(", "),
            target_key => sql.list(&mirror.target_key()),
            insert_trigger => sql.ident(&mirror.triggers.insert),
            update_trigger => sql.ident(&mirror.triggers.update),
            delete_trigger => sql.ident(&mirror.triggers.delete),
            truncate_trigger => sql.ident(&mirror.triggers.truncate),
            stays => mirror.rest != SourceRest::Goes,
            names_message => sql.literal(&format!("rows of {} can't be carried over to {}: ", mirror.source, mirror.target)),
            said_of_source => self.said(Way::Up),
            said_of_target => self.said(Way::Down),
            has_predicate => mirror.predicate.is_some(),
            up => self.way(Way::Up, predicate),
            down => self.way(Way::Down, Vec::new()),
        }
    }

    /// What the author says of a row in words of his own, as values.
    fn said(&self, way: Way) -> Vec<String> {
        let row = Row::Alias("own");
        let formulas = self.mirror.lenses.iter().flat_map(|lens| way.sets(lens));
        let written = formulas.filter(|(_, formula)| !matches!(formula, Formula::Column(_)));
        let mut values: Vec<String> = written.map(|(column, formula)| self.sql.value(formula, &column.ty, row)).collect();
        if way == Way::Up {
            values.extend(self.meant(row));
        }
        values
    }

    /// A row of the source that a row of the target, about to be written, would take the place of.
    fn guarded(&self) -> Option<String> {
        let own = Row::Alias("own");
        let unlike = self.unlike(own, Row::New);
        if unlike == "false" {
            // The target says nothing of the source that could differ.
            return None;
        }
        let mut parts = vec![self.same((Way::Up, own), (Way::Down, Row::New))];
        parts.extend(self.meant(own).map(grouped));
        parts.extend(self.says(own).map(grouped));
        parts.push(grouped(unlike));
        Some(parts.join("\n      and "))
    }

    /// What the function of one direction says.
    fn way(&self, way: Way, besides: Vec<(String, Type)>) -> Value {
        let sql = self.sql;
        let back = way.back();
        let (mut lenses, mut followed, mut comes_back) = (Vec::new(), Vec::new(), false);
        let (mut said, mut updates): (Vec<String>, Vec<(usize, String, String)>) = (Vec::new(), Vec::new());
        let mut written = way.typed_key(self.mirror);
        written.extend(besides);
        let mut columns = back.key(self.mirror).iter().map(|name| sql.ident(name)).collect::<Vec<_>>();
        let mut values = way.key(self.mirror).iter().map(|name| sql.column(name, HERE)).collect::<Vec<_>>();
        for lens in &self.mirror.lenses {
            let (inputs, sets) = (way.inputs(lens), way.sets(lens));
            if sets.is_empty() {
                // What leads nowhere this way may still decide whether two rows are alike.
                if way == Way::Up {
                    written.extend(inputs);
                }
                continue;
            }
            let set = |row: Row<'_>| -> Vec<(String, String)> {
                sets.iter().map(|(c, f)| (sql.ident(&c.name), sql.value(f, &c.ty, row))).collect()
            };
            let moves = if Self::is_derived(lens) {
                if lens.follow == Follow::Never || way == Way::Down {
                    None
                } else {
                    // It follows as long as it is what the row gave before.
                    let parts: Vec<String> = sets
                        .iter()
                        .map(|(c, f)| {
                            let was = sql.as_stored(f, &c.ty, Row::Old);
                            let is = sql.as_stored(f, &c.ty, HERE);
                            let kept = sql.distinct(&sql.column(&c.name, THERE), &was, &c.ty);
                            format!("{} and not ({kept})", sql.distinct(&was, &is, &c.ty))
                        })
                        .collect();
                    Some((true, sql.any(&parts.into_iter().map(grouped).collect::<Vec<_>>())))
                }
            } else if Self::is_given(lens) {
                self.given(&inputs, &sets)
            } else {
                let (source, target) = match way {
                    Way::Up => (HERE, THERE),
                    Way::Down => (THERE, HERE),
                };
                self.disagree(lens, source, target).map(|moves| (false, moves))
            };
            written.extend(inputs.iter().cloned());
            let kept = self.kept(way, lens, &sets);
            for ((column, value), moved) in set(HERE).into_iter().zip(kept) {
                // What only follows stays with a row that gets another key, as it is.
                if !Self::is_derived(lens) && !Self::is_given(lens) {
                    followed.push(format!("{column} = {moved}"));
                }
                columns.push(column);
                values.push(value);
            }
            // What the other table's own triggers made of it comes back.
            let own = Row::Alias("own");
            let (back_sets, still) = match way {
                Way::Up => (lens.downs().collect::<Vec<_>>(), self.disagree(lens, own, THERE)),
                Way::Down => (lens.ups().collect(), self.disagree(lens, THERE, own)),
            };
            comes_back |= moves.is_some() && still.is_some() && !back_sets.is_empty();
            if moves.is_some() {
                said.push(format!("said_{}", lenses.len() + 1));
                updates.extend(set(HERE).into_iter().map(|(column, value)| (lenses.len() + 1, column, value)));
            }
            lenses.push(context! {
                back => back_sets.iter().map(|(c, f)| format!("{} = {}", sql.ident(&c.name), sql.value(f, &c.ty, THERE))).collect::<Vec<_>>(),
                still,
                said => self.changed(&inputs),
                on_insert => self.mirror.rest != SourceRest::Goes || !Self::is_given(lens),
                derived => moves.as_ref().is_some_and(|(derived, _)| *derived),
                moves => moves.map(|(_, moves)| moves),
                names => sets.iter().map(|(c, _)| c.name.as_str()).collect::<Vec<_>>().join(", "),
            });
        }
        let mut seen = std::collections::BTreeSet::new();
        written.retain(|(name, _)| seen.insert(name.clone()));
        let row = |alias: &'static str| Row::Alias(alias);
        let mut moved: Vec<String> = back
            .key(self.mirror)
            .iter()
            .zip(way.key(self.mirror))
            .map(|(to, from)| format!("{} = {}", sql.ident(to), sql.column(&from, HERE)))
            .collect();
        moved.extend(followed);
        let blanks: Vec<(String, &Type, String)> = self.blanks().collect();
        context! {
            lenses,
            carries => !said.is_empty(),
            comes_back,
            any_said => said.join(" or "),
            sets => updates
                .into_iter()
                .map(|(number, column, value)| match said.len() {
                    1 => format!("{column} = {value}"),
                    _ => format!("{column} = case when said_{number} then {value} else image.{column} end"),
                })
                .collect::<Vec<_>>(),
            columns => columns.join(", "),
            values => values.join(", "),
            key => back.key(self.mirror).iter().map(|name| sql.ident(name)).collect::<Vec<_>>().join(", "),
            updated => columns.iter().skip(self.mirror.key.len()).map(|c| format!("{c} = excluded.{c}")).collect::<Vec<_>>(),
            moved,
            is_new => self.same((way, row("own")), (way, Row::New)),
            own_is_here => self.same((way, row("own")), (way, HERE)),
            is_old => self.same((way, row("own")), (way, Row::Old)),
            image_is_new => self.same((way, row("image")), (way, Row::New)),
            image_of_here => self.same((back, row("image")), (way, HERE)),
            image_of_old => self.same((back, row("image")), (way, Row::Old)),
            image_of_own => self.same((back, row("image")), (way, row("own"))),
            other_image_of_here => self.same((back, OTHER), (way, HERE)),
            key_changed => self.key_changed(way),
            here_meant => self.meant(HERE),
            there_meant => self.meant(THERE),
            fresh => self.fresh(),
            own_meant => self.meant(row("own")),
            image_meant => self.meant(row("image")),
            here_says => self.says(HERE),
            here_unlike_image => self.unlike_or_given(HERE, row("image")),
            blanks => blanks.iter().map(|(name, _, value)| format!("{} = {value}", sql.ident(name))).collect::<Vec<_>>(),
            image_says => self.says(row("image")),
            key_message => sql.literal(&format!("key ({}) of {} stands in {}, outside of what {} takes", way.key(self.mirror).join(", "), way.table(self.mirror), back.table(self.mirror), way.table(self.mirror))),
            outside_message => sql.literal(&format!("a row of {} must be one that the old version's {} would have there", way.table(self.mirror), back.table(self.mirror))),
            missing_message => sql.literal(&format!("there is no row of {} for this row of {}", back.table(self.mirror), way.table(self.mirror))),
            written => self.changed(&written),
        }
    }

    /// The values of an image that gets another key: one that agrees already stays as it is.
    fn kept(&self, way: Way, lens: &SyncLens, sets: &[(&SyncColumn, &Formula)]) -> Vec<String> {
        let image = Row::Alias("image");
        let disagree = match way {
            Way::Up => self.disagree(lens, HERE, image),
            Way::Down => self.disagree(lens, image, HERE),
        };
        let value = |column: &SyncColumn, formula: &Formula| {
            let value = self.sql.value(formula, &column.ty, HERE);
            match (&disagree, formula) {
                (None, _) | (_, Formula::Column(_)) => value,
                (Some(disagree), _) => format!("case when {disagree} then {value} else {} end", self.sql.column(&column.name, image)),
            }
        };
        sets.iter().map(|(column, formula)| value(column, formula)).collect()
    }

    /// When a value that leads only from the new version to the old one is carried over, in the trigger of the target: as the
    /// new version changes what it is made of, and where the source stays, as it inserts a row. An image that comes from a row
    /// of the source gives it nothing.
    fn given(&self, inputs: &[(String, Type)], sets: &[(&SyncColumn, &Formula)]) -> Option<(bool, String)> {
        let sql = self.sql;
        let differs: Vec<String> =
            sets.iter().map(|(c, f)| sql.distinct(&sql.column(&c.name, THERE), &sql.as_stored(f, &c.ty, HERE), &c.ty)).collect();
        let mut when = Vec::new();
        if self.mirror.rest != SourceRest::Goes {
            when.push("fresh".to_owned());
        }
        if !inputs.is_empty() {
            when.push(format!("tg_op = 'UPDATE' and ({})", self.changed(inputs)));
        }
        (!when.is_empty()).then(|| (false, sql.all(&[sql.any(&differs), sql.any(&when)])))
    }

    /// The row of a source that stays had no image before this one: it says nothing, or was not meant.
    fn fresh(&self) -> Option<String> {
        if !self.mirror.lenses.iter().any(Self::is_given) {
            return None;
        }
        let mut parts = vec![format!("({}) is not true", self.says(THERE)?)];
        parts.extend(self.meant(THERE).map(|meant| format!("({meant}) is not true")));
        Some(self.sql.any(&parts))
    }

    // --- copy ---

    /// The values of a new row of the target, from a row of the source: first its key.
    fn copied(&self, row: Row<'_>) -> Vec<String> {
        let mut values: Vec<String> = self.mirror.source_key().iter().map(|name| self.sql.column(name, row)).collect();
        values.extend(self.mirror.lenses.iter().flat_map(SyncLens::ups).map(|(column, formula)| self.sql.value(formula, &column.ty, row)));
        values
    }

    /// What `backfill` needs to copy rows instead of updating them.
    pub(super) fn copy(&self, copy: &CopyRows) -> Value {
        let CopyParts { target, columns, literal, values, meant, key } = self.parts(copy);
        context! { target, columns, literal, values, meant, key }
    }

    /// The parts of the statement that copies rows.
    pub(super) fn parts(&self, copy: &CopyRows) -> CopyParts {
        let sql = self.sql;
        let row = Row::Table(&copy.mirror.source);
        let mut columns = copy.mirror.target_key();
        columns.extend(copy.mirror.lenses.iter().flat_map(SyncLens::ups).map(|(column, _)| column.name.clone()));
        CopyParts {
            target: sql.table(&copy.mirror.target),
            columns: sql.list(&columns),
            literal: sql.literal(&format!("{} ({}) = {}", copy.mirror.target, sql.list(&columns), self.copied(row).join(", "))),
            values: self.copied(row).join(", "),
            meant: self.meant(row),
            key: sql.list(&copy.mirror.target_key()),
        }
    }
}

/// The parts of a statement that copies rows.
pub(super) struct CopyParts {
    pub(super) target: String,
    pub(super) columns: String,
    /// What is copied, as a text for a message.
    pub(super) literal: String,
    pub(super) values: String,
    pub(super) meant: Option<String>,
    pub(super) key: String,
}
