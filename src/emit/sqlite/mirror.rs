//! The triggers of a mirror: rows that stand in two tables until contract.
//!
//! In a statement `here` is the row of the trigger's own table as it is now. The event only says which columns were written:
//! what is carried over is what stands in the row by then. Nothing is written where the two rows agree already, so that it
//! does not matter whether the client has `recursive_triggers` on, nor in which order the triggers run.

use crate::dialect::language::{Language as _, Row};
use crate::dialect::sqlite::expression::Expressions;
use crate::dialect::sqlite::{Affinity, affinity};
use crate::plan::model::{Follow, Formula, Mirror, MirrorSide, SourceRest, SyncColumn, SyncLens};
use crate::snapshot::model::Type;

use super::super::live;
use super::super::mirror::{Way, disagreement, grouped};
use super::sync::Trigger;

const HERE: Row<'static> = Row::Alias("here");
const IMAGE: Row<'static> = Row::Alias("image");
const OTHER: Row<'static> = Row::Alias("other");
const OWN: Row<'static> = Row::Alias("own");

/// One mirror with what writes its conditions.
pub(super) struct Mirroring<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) sql: Expressions<'a>,
    /// Both tables count the rows by a key.
    pub(super) counts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Insert,
    Update,
}

impl Mirroring<'_> {
    // --- names and keys ---

    fn same(&self, a: (Way, Row<'_>), b: (Way, Row<'_>)) -> String {
        let pairs = a.0.key(self.mirror).into_iter().zip(b.0.key(self.mirror));
        pairs
            .map(|(left, right)| format!("{} = {}", self.sql.column(&left, a.1), self.sql.column(&right, b.1)))
            .collect::<Vec<_>>()
            .join(" and ")
    }

    fn no_row(&self, (way, alias): (Way, Row<'_>), condition: &str) -> String {
        let Row::Alias(name) = alias else { return String::new() };
        format!("not exists (select 1 from {} as {name} where {condition})", self.sql.ident(way.table(self.mirror)))
    }

    fn changed(&self, columns: &[(String, Type)]) -> String {
        let differs = |(name, ty): &(String, Type)| self.differs(&self.sql.column(name, Row::Old), &self.sql.column(name, Row::New), ty);
        self.sql.any(&columns.iter().map(differs).collect::<Vec<_>>())
    }

    fn key_changed(&self, way: Way) -> String {
        self.changed(&way.typed_key(self.mirror))
    }

    // --- conditions ---

    fn differs(&self, a: &str, b: &str, ty: &Type) -> String {
        let bytes = if affinity(ty) == Affinity::Text { " collate binary" } else { "" };
        format!("{a} is not {b}{bytes}")
    }

    fn unlike_value(&self, (column, formula): (&SyncColumn, &Formula), own: Row<'_>, from: Row<'_>) -> String {
        self.differs(&self.sql.column(&column.name, own), &self.sql.as_stored(formula, &column.ty, from), &column.ty)
    }

    fn meant(&self, row: Row<'_>) -> Option<String> {
        self.mirror.predicate.as_ref().map(|predicate| self.sql.written(predicate, row).trim().to_owned())
    }

    fn blanks(&self) -> Vec<(&String, &Type, String)> {
        let blanks: &[_] = match &self.mirror.rest {
            SourceRest::Stays(blanks) => blanks,
            SourceRest::Goes => &[],
        };
        let value = |default: &Option<_>| match default {
            Some(default) => format!("({})", self.sql.written(default, Row::Table("")).trim()),
            None => "null".to_owned(),
        };
        blanks.iter().map(|(name, ty, default)| (name, ty, value(default))).collect()
    }

    /// A row of the source that stays says something that the target would say.
    fn says(&self, row: Row<'_>) -> Option<String> {
        (self.mirror.rest != SourceRest::Goes).then(|| {
            let parts: Vec<String> =
                self.blanks().into_iter().map(|(name, ty, value)| self.differs(&self.sql.column(name, row), &value, ty)).collect();
            self.sql.any(&parts)
        })
    }

    /// The two rows say different things.
    fn disagree(&self, lens: &SyncLens, source: Row<'_>, target: Row<'_>) -> Option<String> {
        let (news, olds) = disagreement(lens, source, target, |set, own, from| self.unlike_value(set, own, from))?;
        let news = self.sql.any(&news);
        Some(if olds.is_empty() { news } else { self.sql.all(&[news, self.sql.any(&olds)]) })
    }

    fn unlike(&self, source: Row<'_>, target: Row<'_>) -> Option<String> {
        let parts: Vec<String> = self.mirror.lenses.iter().filter_map(|lens| self.disagree(lens, source, target)).map(grouped).collect();
        (!parts.is_empty()).then(|| self.sql.any(&parts))
    }

    /// The rows that verify counts, over a row of their table by its name.
    pub(super) fn found(&self, side: MirrorSide) -> String {
        let (source, target) = (self.sql.ident(&self.mirror.source), self.sql.ident(&self.mirror.target));
        match side {
            MirrorSide::Source => {
                let row = Row::Alias(&source);
                let image = self.same((Way::Down, OTHER), (Way::Up, row));
                let mut missing: Vec<String> = self.meant(row).into_iter().chain(self.says(row)).map(grouped).collect();
                missing.push(self.no_row((Way::Down, OTHER), &image));
                let missing = missing.join(" and ");
                match self.unlike(row, OTHER) {
                    Some(unlike) => {
                        format!("({missing}) or exists (select 1 from {target} as other where {image} and ({unlike}))")
                    }
                    None => missing,
                }
            }
            MirrorSide::Target => {
                let mut origin = vec![self.same((Way::Up, OTHER), (Way::Down, Row::Alias(&target)))];
                if self.mirror.rest == SourceRest::Goes {
                    origin.extend(self.meant(OTHER).map(grouped));
                }
                self.no_row((Way::Up, OTHER), &origin.join(" and "))
            }
        }
    }

    // --- triggers ---

    /// The triggers on both tables, each with the name of its table.
    pub(super) fn triggers(&self) -> Vec<(&str, Trigger)> {
        let mut list = Vec::new();
        for way in [Way::Up, Way::Down] {
            let (own, other) = (way.table(self.mirror), way.back().table(self.mirror));
            let suffix = match way {
                Way::Up => "up",
                Way::Down => "down",
            };
            let names = &self.mirror.triggers;
            let mut push = |base: &str, event: &'static str, about: String, when: Vec<String>, statements: Vec<String>| {
                let statement = statements.join(";\n  ");
                list.push((own, Trigger { name: format!("{base}_{suffix}"), event, about, when, statement }));
            };
            let inserted = format!("a row of {own} was inserted: {other} follows");
            push(&names.insert, "after insert", inserted, Vec::new(), self.carried(way, Event::Insert));
            let updated = format!("a row of {own} was updated: {other} follows");
            push(&names.update, "after update", updated, vec![self.changed(&way.written(self.mirror))], self.carried(way, Event::Update));
            let deleted = format!("a row of {own} was deleted: {other} follows");
            push(&names.delete, "after delete", deleted, Vec::new(), vec![self.gone(way, None)]);
        }
        list.extend(self.guards());
        list
    }

    /// The triggers that are there until the rows are copied.
    pub(super) fn guards(&self) -> Vec<(&str, Trigger)> {
        let Some(unlike) = self.unlike(HERE, Row::New) else { return Vec::new() };
        let mut conditions = vec![self.same((Way::Up, HERE), (Way::Down, Row::New))];
        conditions.extend(self.meant(HERE).into_iter().chain(self.says(HERE)).map(grouped));
        conditions.push(grouped(unlike));
        let image = self.same((Way::Down, IMAGE), (Way::Down, Row::New));
        conditions.push(self.no_row((Way::Down, IMAGE), &image));
        let statement = self.copied(&conditions);
        let about =
            format!("a row of {} that is not copied yet has this key: it is copied now, so that the key is taken", self.mirror.source);
        let trigger = |name: &str, event: &'static str, when: Vec<String>| {
            let name = format!("{}_{name}", self.mirror.triggers.guard);
            (self.mirror.target.as_str(), Trigger { name, event, about: about.clone(), when, statement: statement.clone() })
        };
        vec![trigger("insert", "before insert", Vec::new()), trigger("update", "before update", vec![self.key_changed(Way::Down)])]
    }

    /// What happens to the other table as a row is inserted or updated, in order.
    fn carried(&self, way: Way, event: Event) -> Vec<String> {
        let back = way.back();
        let goes = self.mirror.rest == SourceRest::Goes;
        let mut list = Vec::new();
        if event == Event::Update && (way == Way::Up || goes) {
            list.push(self.moved(way));
        }
        if way == Way::Down && goes {
            list.extend(self.meant(OTHER).map(|meant| {
                let at = self.same((Way::Up, OTHER), (Way::Down, Row::New));
                self.raise(
                    &format!(
                        "UNIQUE constraint failed: a row of {} outside of what {} takes has this key",
                        Way::Up.table(self.mirror),
                        Way::Down.table(self.mirror)
                    ),
                    &format!(
                        "exists (select 1 from {} as other where {at} and ({meant}) is not true)",
                        self.sql.ident(Way::Up.table(self.mirror))
                    ),
                )
            }));
        }
        list.push(self.missing(way));
        if way == Way::Up && event == Event::Insert && self.counts && self.mirror.predicate.is_some() {
            for key in &self.mirror.key {
                let number = self.sql.column(&key.source, Row::New);
                let name = self.sql.literal(&self.mirror.target);
                list.push(format!("update sqlite_sequence set seq = max(seq, {number}) where name = {name}"));
            }
        }
        list.extend(self.followed(way, event));
        match (way, self.meant(HERE)) {
            (Way::Up, Some(meant)) => {
                let target = self.sql.ident(&self.mirror.target);
                let image = Row::Alias(&target);
                let mut unlike: Vec<String> = self.unlike(HERE, image).into_iter().collect();
                let given = self.mirror.lenses.iter().filter(|lens| lens.new.is_empty()).flat_map(SyncLens::downs);
                unlike.extend(given.map(|set| self.unlike_value(set, HERE, image)));
                list.push(format!(
                    "delete from {target} where {} and exists (select 1 from {} as here where {} and ({meant}) is not true and ({}))",
                    self.same((back, image), (way, Row::New)),
                    self.sql.ident(way.table(self.mirror)),
                    self.same((way, HERE), (way, Row::New)),
                    self.sql.any(&unlike),
                ));
            }
            (Way::Down, _) if goes => {
                list.extend(self.meant(IMAGE).map(|meant| {
                    let there = format!("{} and ({meant})", self.same((Way::Up, IMAGE), (Way::Down, Row::New)));
                    self.raise(
                        &format!(
                            "CHECK constraint failed: a row of {} must be one that {} takes",
                            Way::Up.table(self.mirror),
                            Way::Down.table(self.mirror)
                        ),
                        &self.no_row((Way::Up, IMAGE), &there),
                    )
                }));
            }
            _ => {}
        }
        if event == Event::Update {
            list.push(self.gone(way, Some(self.key_changed(way))));
        }
        list
    }

    fn raise(&self, message: &str, condition: &str) -> String {
        format!("select raise(abort, {}) where {condition}", self.sql.literal(message))
    }

    /// Another key: what only the image says goes along.
    fn moved(&self, way: Way) -> String {
        let back = way.back();
        let (own, other) = (self.sql.ident(way.table(self.mirror)), self.sql.ident(back.table(self.mirror)));
        let image = Row::Alias(&other);
        let mut sets: Vec<String> = back
            .key(self.mirror)
            .iter()
            .zip(way.key(self.mirror))
            .map(|(to, from)| format!("{} = {}", self.sql.ident(to), self.sql.column(&from, HERE)))
            .collect();
        for lens in self.mirror.lenses.iter().filter(|lens| !lens.old.is_empty() && !lens.new.is_empty()) {
            let disagree = match way {
                Way::Up => self.disagree(lens, HERE, image),
                Way::Down => self.disagree(lens, image, HERE),
            };
            for (column, formula) in way.sets(lens) {
                let value = self.sql.value(formula, &column.ty, HERE);
                let value = match (&disagree, formula) {
                    (None, _) | (_, Formula::Column(_)) => value,
                    (Some(disagree), _) => format!("case when {disagree} then {value} else {} end", self.sql.column(&column.name, image)),
                };
                sets.push(format!("{} = {value}", self.sql.ident(&column.name)));
            }
        }
        let mut when =
            vec![grouped(self.key_changed(way)), self.same((way, HERE), (way, Row::New)), self.same((back, image), (way, Row::Old))];
        when.extend(match way {
            Way::Up => self.meant(HERE).map(grouped),
            Way::Down => self.meant(image).map(grouped),
        });
        when.push(self.no_row((back, OTHER), &self.same((back, OTHER), (way, HERE))));
        when.push(self.no_row((way, OWN), &self.same((way, OWN), (way, Row::Old))));
        format!("update {other} set {} from {own} as here\n  where {}", sets.join(", "), when.join("\n    and "))
    }

    /// The other row is not there.
    fn missing(&self, way: Way) -> String {
        let back = way.back();
        if way == Way::Down && self.mirror.rest != SourceRest::Goes {
            let there = self.same((back, IMAGE), (way, Row::New));
            let message = format!(
                "FOREIGN KEY constraint failed: there is no row of {} for this row of {}",
                back.table(self.mirror),
                way.table(self.mirror)
            );
            return self.raise(&message, &self.no_row((back, IMAGE), &there));
        }
        let mut conditions = vec![self.same((way, HERE), (way, Row::New))];
        if way == Way::Up {
            conditions.extend(self.meant(HERE).into_iter().chain(self.says(HERE)).map(grouped));
        }
        conditions.push(self.no_row((back, IMAGE), &self.same((back, IMAGE), (way, HERE))));
        match way {
            Way::Up => self.copied(&conditions),
            Way::Down => self.inserted(Way::Down, &conditions),
        }
    }

    fn copied(&self, conditions: &[String]) -> String {
        self.inserted(Way::Up, conditions)
    }

    /// The columns of the other row that come from this one, and their values.
    fn given(&self, way: Way) -> (String, String) {
        let mut columns = way.back().key(self.mirror);
        let mut values: Vec<String> = way.key(self.mirror).iter().map(|name| self.sql.column(name, HERE)).collect();
        for (column, formula) in self.mirror.lenses.iter().flat_map(|lens| way.sets(lens)) {
            columns.push(column.name.clone());
            values.push(self.sql.value(formula, &column.ty, HERE));
        }
        (self.sql.list(&columns), values.join(", "))
    }

    fn inserted(&self, way: Way, conditions: &[String]) -> String {
        let (columns, values) = self.given(way);
        format!(
            "insert into {} ({columns})\n  select {values} from {} as here\n  where {}",
            self.sql.ident(way.back().table(self.mirror)),
            self.sql.ident(way.table(self.mirror)),
            conditions.join("\n    and ")
        )
    }

    /// Which rows nobody has written since expand.
    fn uncopied(&self) -> Vec<String> {
        let mut conditions: Vec<String> = self.meant(HERE).map(grouped).into_iter().collect();
        conditions.push(self.no_row((Way::Down, IMAGE), &self.same((Way::Down, IMAGE), (Way::Up, HERE))));
        conditions
    }

    /// The rows that nobody has written since expand.
    pub(super) fn copy(&self) -> String {
        self.copied(&self.uncopied())
    }

    /// The same in parts.
    pub(super) fn copy_in_parts(&self) -> live::Work {
        let (columns, values) = self.given(Way::Up);
        live::Work::Copy {
            target: self.sql.ident(&self.mirror.target),
            columns,
            values,
            meant: Some(self.uncopied().join("\n  and ")),
            key: self.sql.list(&Way::Down.key(self.mirror)),
        }
    }

    /// What the other row takes from this one, in one statement: between two of them it might be none that is meant.
    fn followed(&self, way: Way, event: Event) -> Option<String> {
        let (own, other) = (self.sql.ident(way.table(self.mirror)), self.sql.ident(way.back().table(self.mirror)));
        let there = Row::Alias(&other);
        let parts: Vec<(String, Vec<(String, String)>)> =
            self.mirror.lenses.iter().filter_map(|lens| self.follows(way, event, lens, there)).collect();
        let several = parts.len() > 1;
        let set = |when: &String, (column, value): &(String, String)| {
            let name = self.sql.ident(column);
            if several {
                format!("{name} = case when {when} then {value} else {} end", self.sql.column(column, there))
            } else {
                format!("{name} = {value}")
            }
        };
        let sets: Vec<String> = parts.iter().flat_map(|(when, sets)| sets.iter().map(|one| set(when, one))).collect();
        let any: Vec<String> = parts.into_iter().map(|(when, _)| if several { grouped(when) } else { when }).collect();
        let mut conditions = vec![self.same((way, HERE), (way, Row::New)), self.same((way.back(), there), (way, HERE))];
        if way == Way::Up {
            conditions.extend(self.meant(HERE).map(grouped));
        }
        conditions.push(if several { grouped(self.sql.any(&any)) } else { self.sql.any(&any) });
        (!sets.is_empty())
            .then(|| format!("update {other} set {} from {own} as here\n  where {}", sets.join(",\n    "), conditions.join("\n    and ")))
    }

    /// One lens: when its other side takes something from the row, and what.
    fn follows(&self, way: Way, event: Event, lens: &SyncLens, there: Row<'_>) -> Option<(String, Vec<(String, String)>)> {
        let sets = way.sets(lens);
        if sets.is_empty() {
            return None;
        }
        let inputs = way.inputs(lens);
        let stays = self.mirror.rest != SourceRest::Goes;
        let mut when = Vec::new();
        if lens.old.is_empty() {
            // It follows as long as it is what the row gave before.
            if way == Way::Down || event == Event::Insert || lens.follow == Follow::Never {
                return None;
            }
            let parts = sets.iter().map(|(column, formula)| {
                let was = self.sql.as_stored(formula, &column.ty, Row::Old);
                let is = self.sql.as_stored(formula, &column.ty, HERE);
                let differs = self.differs(&was, &is, &column.ty);
                format!("({differs} and not ({}))", self.differs(&self.sql.column(&column.name, there), &was, &column.ty))
            });
            when.push(grouped(self.sql.any(&parts.collect::<Vec<_>>())));
        } else if lens.new.is_empty() {
            // Nothing leads back: it is given as the new version says it, and by a row that was none before.
            let differs: Vec<String> = sets.iter().map(|set| self.unlike_value(*set, there, HERE)).collect();
            let mut says = Vec::new();
            if stays {
                says.extend(self.says(there).map(|says| format!("({says}) is not true")));
                says.extend(self.meant(there).map(|meant| format!("({meant}) is not true")));
            }
            if event == Event::Update && !inputs.is_empty() {
                says.push(self.changed(&inputs));
            }
            if says.is_empty() {
                return None;
            }
            when.push(grouped(self.sql.any(&differs)));
            when.push(grouped(self.sql.any(&says)));
        } else {
            if event == Event::Update {
                when.push(grouped(self.sql.any(&[self.key_changed(way), self.changed(&inputs)])));
            }
            when.push(grouped(match way {
                Way::Up => self.disagree(lens, HERE, there)?,
                Way::Down => self.disagree(lens, there, HERE)?,
            }));
        }
        let sets = sets.iter().map(|(column, formula)| (column.name.clone(), self.sql.value(formula, &column.ty, HERE))).collect();
        Some((when.join(" and "), sets))
    }

    /// The row is gone, or has another key: its image goes, or says nothing any more.
    fn gone(&self, way: Way, when: Option<String>) -> String {
        let back = way.back();
        let other = self.sql.ident(back.table(self.mirror));
        let there = Row::Alias(&other);
        let mut conditions: Vec<String> = when.map(grouped).into_iter().collect();
        conditions.push(self.same((back, there), (way, Row::Old)));
        let still = self.same((way, OWN), (way, Row::Old));
        match way {
            Way::Up => {
                let still = match self.meant(OWN) {
                    Some(meant) => format!("{still} and ({meant})"),
                    None => still,
                };
                conditions.push(self.no_row((way, OWN), &still));
                format!("delete from {other} where {}", conditions.join("\n    and "))
            }
            Way::Down => {
                conditions.extend(self.says(there).into_iter().chain(self.meant(there)).map(grouped));
                conditions.push(self.no_row((way, OWN), &still));
                let conditions = conditions.join("\n    and ");
                let blanks: Vec<String> =
                    self.blanks().into_iter().map(|(name, _, value)| format!("{} = {value}", self.sql.ident(name))).collect();
                if blanks.is_empty() {
                    format!("delete from {other} where {conditions}")
                } else {
                    format!("update {other} set {} where {conditions}", blanks.join(", "))
                }
            }
        }
    }
}
