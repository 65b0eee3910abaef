//! The triggers that keep two shapes in step: the lens rule, a trigger for each thing that can have happened.
//!
//! A trigger can't assign to the row that is written, so each one updates it afterwards, and that update fires the triggers
//! again: every one looks at values, and leaves a side alone that agrees already in either direction. So it does not matter
//! whether the client has `recursive_triggers` on, nor in which order the triggers run.

use crate::dialect::language::{Language as _, Row};
use crate::dialect::sqlite::expression::{Expressions, apart};
use crate::plan::model::{Follow, Sync, SyncColumn, SyncLens, Writer};
use crate::snapshot::model::OnConflict;

/// One trigger.
pub(super) struct Trigger {
    pub(super) name: String,
    /// `after insert`.
    pub(super) event: &'static str,
    /// What has happened, for people.
    pub(super) about: String,
    /// Conditions, all of which must hold.
    pub(super) when: Vec<String>,
    /// What is done then.
    pub(super) statement: String,
}

/// The triggers of a table.
pub(super) fn triggers(sync: &Sync, sql: Expressions<'_>) -> Vec<Trigger> {
    let mut list = List { sync, sql, triggers: Vec::new() };
    for (at, lens) in sync.lenses.iter().enumerate() {
        let body = Body { sql: Expressions { collated: &sync.collated, ..sql }, lens, sync };
        list.lens(at + 1, &body);
    }
    for (at, fill) in sync.fills.iter().enumerate() {
        let column = sql.column(&fill.column, Row::New);
        let value = sql.value(&fill.formula, &fill.ty, Row::New);
        for (event, base) in [("after insert", &sync.insert_trigger), ("after update", &sync.update_trigger)] {
            list.triggers.push(Trigger {
                name: format!("{base}_fill{}", at + 1),
                event,
                about: format!("{} is left NULL", fill.column),
                when: vec![format!("{column} is null"), format!("{value} is not null")],
                statement: list.update(&[(fill.column.clone(), value.clone())]),
            });
        }
    }
    list.triggers
}

struct List<'a> {
    sync: &'a Sync,
    sql: Expressions<'a>,
    triggers: Vec<Trigger>,
}

impl List<'_> {
    fn update(&self, sets: &[(String, String)]) -> String {
        let table = &self.sync.table;
        let sets: Vec<String> =
            sets.iter().map(|(column, value)| format!("{} = {}", self.sql.ident(column), apart(value, table))).collect();
        format!("update {} set {} where _rowid_ = {}", self.sql.ident(table), sets.join(", "), apart("new._rowid_", table))
    }

    fn push(&mut self, event: &'static str, number: usize, what: &str, about: String, when: Vec<String>, statement: String) {
        let base = if event.ends_with("insert") { &self.sync.insert_trigger } else { &self.sync.update_trigger };
        let name = format!("{base}_{number}_{what}");
        self.triggers.push(Trigger { name, event, about, when, statement });
    }

    fn lens(&mut self, number: usize, body: &Body<'_>) {
        let lens = body.lens;
        let (new, old) = (names(&lens.new), names(&lens.old));
        let set_new = self.update(&body.sets(&lens.new));
        let set_old = self.update(&body.sets(&lens.old));
        let (has_ups, has_downs) = (lens.new.iter().any(|c| c.formula.is_some()), lens.old.iter().any(|c| c.formula.is_some()));
        if lens.new.is_empty() {
            if has_downs && self.sync.writer == Writer::NewSideGiven {
                let nothing = body.sql.all(&body.nulls(&lens.old, Row::New));
                let when = [vec![nothing], body.disagrees(&lens.old, Row::New).into_iter().collect()].concat();
                self.push("after insert", number, "old", format!("the new version inserted, which knows no {old}"), when, set_old.clone());
            }
            if has_downs
                && lens.follow == Follow::Inputs
                && let Some(inputs) = body.sql.any_changed(lens.down_inputs.iter().map(|(name, ty)| (name, ty)))
            {
                let mut when = vec![inputs];
                when.extend(body.unchanged(&lens.old));
                when.extend(body.followed(&lens.old));
                let about = format!("what {old} follows from changed: it follows, unless the old version had set it");
                self.push("after update", number, "follow", about, when, set_old);
            }
            self.guards(number, body);
            return;
        }
        self.on_insert(number, body, (has_ups, has_downs));
        if !lens.old.is_empty() {
            let changed = body.changed(&lens.new).unwrap_or_default();
            let partial = body.partial();
            if let Some(partial) = &partial {
                let sets: Vec<(String, String)> = lens
                    .new
                    .iter()
                    .filter_map(|c| {
                        let formula = c.formula.as_ref()?;
                        let (own, old) = (self.sql.column(&c.name, Row::New), self.sql.value(formula, &c.ty, Row::Old));
                        Some((c.name.clone(), format!("coalesce({own}, {old})")))
                    })
                    .collect();
                let about =
                    format!("the new version wrote a part of {new} in a row that is not filled yet: the rest comes from the old shape");
                let statement = self.update(&sets);
                self.push("after update", number, "rest", about, partial.clone(), statement);
            }
            if has_downs {
                let mut when = vec![changed];
                when.extend(body.new_disagrees());
                when.extend(body.old_disagrees());
                when.extend(partial.map(|conditions| format!("not ({})", self.sql.all(&conditions))));
                when.extend(body.not_the_backfill());
                let wrote = body.changed(&lens.old);
                self.new_wins(("after update", number), body, when, wrote, (set_new.clone(), set_old));
            }
            if has_ups {
                let mut when: Vec<String> = body.changed(&lens.old).into_iter().collect();
                when.extend(body.unchanged(&lens.new));
                when.extend(body.new_disagrees());
                when.extend(body.old_disagrees());
                self.push("after update", number, "old", format!("the old version changed {old}"), when, set_new.clone());
            }
        }
        if has_ups
            && lens.follow == Follow::Inputs
            && let Some(inputs) = body.sql.any_changed(lens.up_inputs.iter().map(|(name, ty)| (name, ty)))
        {
            let mut when = vec![inputs];
            when.extend(body.unchanged(&lens.new));
            when.extend(body.unchanged(&lens.old));
            when.extend(body.followed(&lens.new));
            let about = format!("what {new} follows from changed: it follows, unless the new version had set it");
            self.push("after update", number, "follow", about, when, set_new);
        }
        if has_downs
            && !lens.old.is_empty()
            && lens.follow == Follow::Inputs
            && let Some(inputs) = body.sql.any_changed(lens.down_inputs.iter().map(|(name, ty)| (name, ty)))
        {
            let mut when = vec![inputs];
            when.extend(body.unchanged(&lens.new));
            when.extend(body.unchanged(&lens.old));
            // What follows from the old side says the same already. A row without any new value can't be told from
            // one that is not filled yet.
            when.push(format!("not ({})", self.sql.all(&body.nulls(&lens.new, Row::New))));
            when.extend(body.disagrees(&lens.new, Row::Old));
            when.extend(body.disagrees(&lens.new, Row::New));
            when.extend(body.followed(&lens.old));
            let set_old = self.update(&body.sets(&lens.old));
            let about = format!("what {old} follows from changed: it follows, where the new version had set it");
            self.push("after update", number, "back", about, when, set_old);
        }
        self.guards(number, body);
    }

    fn on_insert(&mut self, number: usize, body: &Body<'_>, (has_ups, has_downs): (bool, bool)) {
        let lens = body.lens;
        let set_new = self.update(&body.sets(&lens.new));
        let set_old = self.update(&body.sets(&lens.old));
        let (by_new, by_old) = body.writers();
        if has_ups {
            let when = [vec![by_old], body.disagrees(&lens.new, Row::New).into_iter().collect()].concat();
            self.push("after insert", number, "old", "the old version inserted".to_owned(), when, set_new.clone());
        }
        // Through a view both sides come in one statement.
        if has_downs && self.sync.writer == Writer::NewSideGiven {
            let mut when = vec![by_new];
            let late: Vec<String> = lens
                .old
                .iter()
                .filter(|c| self.sync.not_null.contains(&c.name))
                .map(|c| format!("{} is null", self.sql.column(&c.name, Row::New)))
                .collect();
            when.extend(body.new_disagrees_in_insert().map(|condition| [late, vec![condition]].concat().join(" or ")));
            when.extend(body.disagrees(&lens.old, Row::New));
            let given: Vec<String> =
                lens.old.iter().filter(|c| !c.has_default).map(|c| format!("{} is not null", self.sql.column(&c.name, Row::New))).collect();
            let wrote = (!given.is_empty()).then(|| self.sql.any(&given));
            self.new_wins(("after insert", number), body, when, wrote, (set_new, set_old));
        }
    }

    /// The new version wrote something that does not follow from the old shape. `wrote`: the old side was written too.
    fn new_wins(
        &mut self,
        (event, number): (&'static str, usize),
        body: &Body<'_>,
        when: Vec<String>,
        wrote: Option<String>,
        (set_new, set_old): (String, String),
    ) {
        let lens = body.lens;
        let about = format!("the new version wrote {}", names(&lens.new));
        match (lens.on_conflict, wrote) {
            (OnConflict::New, _) | (_, None) => self.push(event, number, "new", about, when, set_old),
            (OnConflict::Old, Some(wrote)) => {
                let both = [when.clone(), vec![wrote.clone()]].concat();
                self.push(event, number, "both", "one statement wrote both sides: the old one wins".to_owned(), both, set_new);
                self.push(event, number, "new", about, [when, vec![format!("not ({wrote})")]].concat(), set_old);
            }
            (OnConflict::Error, Some(wrote)) => {
                let both = [when.clone(), vec![wrote.clone()]].concat();
                let message = format!("{}, {}: one statement wrote both sides, and they disagree", names(&lens.old), names(&lens.new));
                let raise = format!("select raise(abort, {})", self.sql.literal(&message));
                self.push(event, number, "both", "one statement wrote both sides".to_owned(), both, raise);
                self.push(event, number, "new", about, [when, vec![format!("not ({wrote})")]].concat(), set_old);
            }
        }
    }

    /// NULL is refused where only the table's own rule was taken away.
    fn guards(&mut self, number: usize, body: &Body<'_>) {
        let lens = body.lens;
        for column in lens.old.iter().filter(|c| self.sync.not_null.contains(&c.name)) {
            let Some(formula) = &column.formula else { continue };
            let (new, old) = (self.sql.column(&column.name, Row::New), self.sql.column(&column.name, Row::Old));
            let message = format!("NOT NULL constraint failed: {}.{}", self.sync.table, column.name);
            let raise = format!("select raise(abort, {})", self.sql.literal(&message));
            let mut nothing = vec![format!("{} is null", self.sql.value(formula, &column.ty, Row::New))];
            if !lens.new.is_empty() {
                nothing.push(self.sql.all(&body.nulls(&lens.new, Row::New)));
            }
            let about = format!("{} is NOT NULL for the old version", column.name);
            let what = format!("not_null_{}", column.name);
            let when = vec![format!("{new} is null"), nothing.join(" or ")];
            self.push("before insert", number, &what, about.clone(), when, raise.clone());
            self.push("before update", number, &what, about, vec![format!("{new} is null"), format!("{old} is not null")], raise);
        }
    }
}

struct Body<'a> {
    sql: Expressions<'a>,
    lens: &'a SyncLens,
    sync: &'a Sync,
}

impl Body<'_> {
    /// One of the columns is another one than it was.
    fn changed(&self, columns: &[SyncColumn]) -> Option<String> {
        self.sql.any_changed(columns.iter().map(|c| (&c.name, &c.ty)))
    }

    /// One of the columns is not what its formula gives; `None` where no column has one.
    fn disagrees(&self, columns: &[SyncColumn], row: Row<'_>) -> Option<String> {
        self.sql.disagrees(columns, row, &|c| c.formula.as_ref())
    }

    fn sets(&self, columns: &[SyncColumn]) -> Vec<(String, String)> {
        columns
            .iter()
            .filter_map(|c| c.formula.as_ref().map(|formula| (c.name.clone(), self.sql.value(formula, &c.ty, Row::New))))
            .collect()
    }

    fn nulls(&self, columns: &[SyncColumn], row: Row<'_>) -> Vec<String> {
        columns.iter().map(|c| format!("{} is null", self.sql.column(&c.name, row))).collect()
    }

    /// The conditions that the new version inserted the row, and that the old one did.
    fn writers(&self) -> (String, String) {
        match self.sync.writer {
            // A number that the old column has counted is for both.
            Writer::Marker if self.lens.old.iter().any(|c| c.counts) => {
                let (given, left_out) = self.given();
                (format!("new.crossfade_writer is 2 and ({given})"), format!("new.crossfade_writer is not 2 or ({left_out})"))
            }
            Writer::Marker => ("new.crossfade_writer is 2".to_owned(), "new.crossfade_writer is not 2".to_owned()),
            Writer::NewSideGiven => self.given(),
        }
    }

    /// The conditions that the row came with a value on the new side, and that it came with none.
    fn given(&self) -> (String, String) {
        let given: Vec<String> = self.lens.new.iter().map(|c| format!("{} is not null", self.sql.column(&c.name, Row::New))).collect();
        (self.sql.any(&given), self.sql.all(&self.nulls(&self.lens.new, Row::New)))
    }

    fn unchanged(&self, columns: &[SyncColumn]) -> Option<String> {
        self.changed(columns).map(|changed| format!("not ({changed})"))
    }

    /// The side is not what its formulas give; a column that nothing is said of counts when it changed.
    fn side_disagrees(&self, columns: &[SyncColumn], unsaid: &dyn Fn(&SyncColumn) -> String) -> Option<String> {
        let mut parts: Vec<String> = self.disagrees(columns, Row::New).into_iter().collect();
        if parts.is_empty() {
            return None;
        }
        parts.extend(columns.iter().filter(|c| c.formula.is_none()).map(unsaid));
        Some(self.sql.any(&parts))
    }

    fn new_disagrees(&self) -> Option<String> {
        self.side_disagrees(&self.lens.new, &|c| self.column_changed(c))
    }

    fn new_disagrees_in_insert(&self) -> Option<String> {
        self.side_disagrees(&self.lens.new, &|c| format!("{} is not null", self.sql.column(&c.name, Row::New)))
    }

    fn old_disagrees(&self) -> Option<String> {
        self.side_disagrees(&self.lens.old, &|c| self.column_changed(c))
    }

    fn column_changed(&self, column: &SyncColumn) -> String {
        self.sql.changed(&column.name, &column.ty)
    }

    /// A derived side was what the formulas gave for the row as it was, and no longer is.
    fn followed(&self, columns: &[SyncColumn]) -> Vec<String> {
        let was = self.disagrees(columns, Row::Old).map(|differs| format!("not ({differs})"));
        was.into_iter().chain(self.disagrees(columns, Row::New)).collect()
    }

    /// A row that is not filled yet, of which the statement wrote a part.
    fn partial(&self) -> Option<Vec<String>> {
        let lens = self.lens;
        let left_out: Vec<String> = lens
            .new
            .iter()
            .filter_map(|c| {
                let formula = c.formula.as_ref()?;
                let (own, old) = (self.sql.column(&c.name, Row::New), self.sql.value(formula, &c.ty, Row::Old));
                Some(format!("({own} is null and {old} is not null)"))
            })
            .collect();
        if lens.new.len() < 2 || left_out.is_empty() {
            return None;
        }
        let given: Vec<String> = lens.new.iter().map(|c| format!("{} is not null", self.sql.column(&c.name, Row::New))).collect();
        let mut conditions = self.nulls(&lens.new, Row::Old);
        // Where the old side is what NULLs give, the new version has said them.
        conditions.extend(self.disagrees(&lens.old, Row::Old));
        conditions.push(self.sql.any(&given));
        conditions.push(self.sql.any(&left_out));
        Some(conditions)
    }

    /// What the backfill gives a row is declared to differ; the old side stays as it is.
    fn not_the_backfill(&self) -> Option<String> {
        let lens = self.lens;
        lens.new.iter().any(|c| c.backfill.is_some()).then(|| {
            let mut conditions = self.nulls(&lens.new, Row::Old);
            conditions.extend(lens.new.iter().filter_map(|c| {
                let formula = c.of_backfill()?;
                let value = self.sql.value(formula, &c.ty, Row::Old);
                Some(format!("{} is {value}", self.sql.column(&c.name, Row::New)))
            }));
            format!("not ({})", self.sql.all(&conditions))
        })
    }
}

fn names(columns: &[SyncColumn]) -> String {
    columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>().join(", ")
}
