//! The triggers of a mirror: rows that stand in two tables until contract.
//!
//! A statement that would write the table whose trigger runs is error 1442 even if it finds no row. So each trigger looks
//! first, and writes only where the two rows differ; what it carries over finds nothing left to carry back. No trigger asks who
//! wrote. A row is looked for without a lock, and what is found is read again with one: a transaction may see an older state than
//! others have committed, and where nothing is there, a lock would keep others from inserting.
//!
//! What the target only derives from the source would have to come back to the row that is being written. So a trigger of the target's
//! own, before the update, gives it.

use super::super::mirror::{Way, disagreement, grouped};
use crate::dialect::language::{Language, Row};
use crate::dialect::mysql_like::expression::Expressions;
use crate::plan::model::{CopyRows, Follow, Formula, Mirror, MirrorSide, SourceRest, SyncColumn, SyncLens};
use crate::snapshot::model::Type;
use crate::snapshot::names::bounded;
use crate::sql::Dialect;

const THERE: Row<'static> = Row::Alias("there");
const OTHER: Row<'static> = Row::Alias("other");
const OWN: Row<'static> = Row::Alias("own");
const IMAGE: Row<'static> = Row::Alias("image");
/// Variables of the triggers. No column can be called so: in a query of the author's it would be hidden.
const MOVED: &str = "crossfade_moved";
const FOUND: &str = "crossfade_found";
const SAID: &str = "crossfade_said";
/// What a message of SIGNAL may have, in characters.
const MESSAGE: usize = 128;

/// One mirror with what writes its conditions.
pub(super) struct Mirroring<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) sql: &'a Expressions<'a>,
}

/// A trigger of one of the two tables.
pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) event: &'static str,
    pub(super) table: String,
    pub(super) about: String,
    pub(super) declarations: Vec<String>,
    pub(super) lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Insert,
    Update,
}

/// Whether a row that is looked for is locked as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Locked,
}

/// What one lens carries over in a trigger: when, and which columns.
struct Carried {
    variable: String,
    about: String,
    /// Over `there`, the other table's row.
    differs: String,
    /// Over the event.
    written: Option<String>,
    sets: Vec<(String, String)>,
}

impl Mirroring<'_> {
    // --- names and keys ---

    fn table(&self, way: Way) -> String {
        self.sql.ident(way.table(self.mirror))
    }

    fn goes(&self) -> bool {
        self.mirror.rest == SourceRest::Goes
    }

    fn same(&self, a: (Way, Row<'_>), b: (Way, Row<'_>)) -> String {
        let pairs = a.0.key(self.mirror).into_iter().zip(b.0.key(self.mirror));
        pairs
            .map(|(left, right)| format!("{} = {}", self.sql.column(&left, a.1), self.sql.column(&right, b.1)))
            .collect::<Vec<_>>()
            .join(" and ")
    }

    /// Another key, as the server compares keys.
    fn key_changed(&self, way: Way) -> String {
        format!("not ({})", self.same((way, Row::Old), (way, Row::New)))
    }

    fn changed(&self, columns: &[(String, Type)]) -> String {
        self.sql.any(&columns.iter().map(|(name, ty)| self.sql.changed(name, ty)).collect::<Vec<_>>())
    }

    // --- conditions ---

    /// A row of a table is there; conditions are over its alias.
    fn exists(&self, way: Way, row: Row<'_>, conditions: &[String], look: Look) -> String {
        let Row::Alias(alias) = row else { return String::new() };
        let lock = if look == Look::Locked { " lock in share mode" } else { "" };
        format!("exists (select * from {} as {alias} where {}{lock})", self.table(way), conditions.join(" and "))
    }

    /// The image of the trigger's row is there, and more holds of it.
    fn image(&self, way: Way, of: Row<'_>, more: &[String], look: Look) -> String {
        let mut conditions = vec![self.same((way.back(), THERE), (way, of))];
        conditions.extend(more.iter().cloned().map(grouped));
        self.exists(way.back(), THERE, &conditions, look)
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
        (!self.goes()).then(|| {
            let parts: Vec<String> = self
                .blanks()
                .into_iter()
                .map(|(name, ty, value)| {
                    let column = self.sql.column(name, row);
                    if value == "null" { format!("{column} is not null") } else { self.sql.distinct(&column, &value, ty) }
                })
                .collect();
            self.sql.any(&parts)
        })
    }

    fn unlike_value(&self, (column, formula): (&SyncColumn, &Formula), own: Row<'_>, from: Row<'_>) -> String {
        self.sql.distinct(&self.sql.column(&column.name, own), &self.sql.as_stored(formula, &column.ty, from), &column.ty)
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
        let (source, target) = (self.table(Way::Up), self.table(Way::Down));
        match side {
            MirrorSide::Source => {
                let row = Row::Alias(&source);
                let image = self.same((Way::Down, OTHER), (Way::Up, row));
                let mut missing: Vec<String> = self.meant(row).into_iter().chain(self.says(row)).map(grouped).collect();
                missing.push(format!("not {}", self.exists(Way::Down, OTHER, std::slice::from_ref(&image), Look::Plain)));
                let missing = missing.join(" and ");
                match self.unlike(row, OTHER) {
                    Some(unlike) => {
                        format!("({missing}) or {}", self.exists(Way::Down, OTHER, &[image, format!("({unlike})")], Look::Plain))
                    }
                    None => missing,
                }
            }
            MirrorSide::Target => {
                let mut origin = vec![self.same((Way::Up, OTHER), (Way::Down, Row::Alias(&target)))];
                if self.goes() {
                    origin.extend(self.meant(OTHER).map(grouped));
                }
                format!("not {}", self.exists(Way::Up, OTHER, &origin, Look::Plain))
            }
        }
    }

    // --- triggers ---

    fn trigger_name(&self, way: Way, base: &str) -> String {
        let suffix = match way {
            Way::Up => "up",
            Way::Down => "down",
        };
        // Triggers of all tables share their names.
        bounded(&format!("{base}_{suffix}"), self.sql.dialect)
    }

    /// The names of the triggers, those of the source first.
    pub(super) fn names(&self) -> Vec<String> {
        let triggers = &self.mirror.triggers;
        let mut names: Vec<String> = [Way::Up, Way::Down]
            .into_iter()
            .flat_map(|way| [&triggers.insert, &triggers.update, &triggers.delete].map(|base| self.trigger_name(way, base)))
            .collect();
        if !self.derived_here().is_empty() {
            names.push(self.here_name());
        }
        names
    }

    /// The trigger on the target for what follows from the source.
    fn here_name(&self) -> String {
        self.trigger_name(Way::Down, &format!("{}_here", self.mirror.triggers.update))
    }

    /// The trigger without which changes of the source's rows are not carried over.
    pub(super) fn follows_updates(&self) -> String {
        self.trigger_name(Way::Up, &self.mirror.triggers.update)
    }

    /// The triggers on both tables, in the order in which they are made. A row that the source's triggers don't know yet is
    /// one that is not copied yet, as long as the one for INSERT comes last: there is no image that is not kept in step.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        let mut list = Vec::new();
        for way in [Way::Down, Way::Up] {
            let (own, other) = (way.table(self.mirror), way.back().table(self.mirror));
            if way == Way::Down
                && let Some((declarations, lines)) = self.followed_here()
            {
                list.push(Trigger {
                    name: self.here_name(),
                    event: "before update",
                    table: own.to_owned(),
                    about: format!(
                        "a row of {own} is being updated: what follows from {other} follows here, since no trigger on {other} can write {own} then (1442)"
                    ),
                    declarations,
                    lines,
                });
            }
            let names = &self.mirror.triggers;
            let mut push = |base: &str, event: &'static str, what: &str, (declarations, lines): (Vec<String>, Vec<String>)| {
                list.push(Trigger {
                    name: self.trigger_name(way, base),
                    event,
                    table: own.to_owned(),
                    about: format!("a row of {own} {what}: {other} follows"),
                    declarations,
                    lines,
                });
            };
            push(&names.delete, "after delete", "was deleted", (Vec::new(), self.gone(way, None)));
            push(&names.update, "after update", "was updated", self.carried(way, Event::Update));
            push(&names.insert, "after insert", "was inserted", self.carried(way, Event::Insert));
        }
        list
    }

    /// What happens to the other table as a row is inserted or updated.
    fn carried(&self, way: Way, event: Event) -> (Vec<String>, Vec<String>) {
        let back = way.back();
        let is_update = event == Event::Update;
        let moves = is_update && (way == Way::Up || self.goes());
        let carried = self.lenses(way, event);
        let mut declarations = Vec::new();
        if is_update {
            declarations.push(format!("{MOVED} boolean default {};", self.key_changed(way)));
        }
        declarations.push(format!("{FOUND} boolean;"));
        declarations.extend(carried.iter().map(|lens| format!("{} boolean default false;  -- {}", lens.variable, lens.about)));

        let mut lines = Vec::new();
        if moves {
            lines.extend(self.moved(way, &carried));
        }
        lines.extend(self.looked_for(way, event));
        if way == Way::Down {
            lines.extend(self.taken(event));
        }
        if way == Way::Down && !self.goes() {
            let why = format!("there is no row of {} for this row of {}", back.table(self.mirror), way.table(self.mirror));
            lines.push(format!("if not {FOUND} then"));
            lines.push(format!("  {}", self.signal("1452", &why)));
            lines.push("end if;".to_owned());
        } else {
            let says = match way {
                Way::Up => self.says(Row::New),
                Way::Down => None,
            };
            lines.push(match says {
                Some(says) => format!("if not {FOUND} and ({says}) then"),
                None => format!("if not {FOUND} then"),
            });
            lines.extend(indented(self.inserted(way, event)));
            lines.push("end if;".to_owned());
        }
        if !carried.is_empty() {
            lines.push(format!("if {FOUND} then"));
            lines.extend(indented(self.followed(way, &carried)));
            lines.push("end if;".to_owned());
        }
        match (way, self.meant(Row::New)) {
            (Way::Up, Some(meant)) => {
                lines = [vec![format!("if {meant} then")], indented(lines)].concat();
                let mut unlike: Vec<String> = self.unlike(Row::New, THERE).map(grouped).into_iter().collect();
                let given = self.mirror.lenses.iter().filter(|lens| lens.new.is_empty()).flat_map(SyncLens::downs);
                unlike.extend(given.map(|set| self.unlike_value(set, Row::New, THERE)));
                if !unlike.is_empty() {
                    lines.push(format!("elseif {} then", self.image(way, Row::New, &[self.sql.any(&unlike)], Look::Locked)));
                    lines.push("  -- not meant (any more): an image that says something else goes".to_owned());
                    let target = self.table(back);
                    lines.push(format!("  delete image from {target} as image where {};", self.same((back, IMAGE), (way, Row::New))));
                }
                lines.push("end if;".to_owned());
            }
            (Way::Down, _) if self.goes() => {
                if let Some(meant) = self.meant(THERE) {
                    let number = if self.sql.dialect == Dialect::Mysql { "3819" } else { "4025" };
                    let why = format!(
                        "a row of {} must be one that the old version's {} would have there",
                        way.table(self.mirror),
                        back.table(self.mirror)
                    );
                    lines.push(format!("if not {} then", self.image(way, Row::New, &[meant], Look::Locked)));
                    lines.push(format!("  {}", self.signal(number, &why)));
                    lines.push("end if;".to_owned());
                }
            }
            _ => {}
        }
        if is_update {
            lines.extend(self.gone(way, Some(MOVED)));
            lines = [vec![format!("if {} then", self.changed(&way.written(self.mirror)))], indented(lines), vec!["end if;".to_owned()]]
                .concat();
        }
        (declarations, lines)
    }

    /// Whether the image is there. Where it often is not, a lock on its place would keep others from inserting.
    fn looked_for(&self, way: Way, event: Event) -> Vec<String> {
        let locked = self.image(way, Row::New, &[], Look::Locked);
        if way == Way::Down && (event == Event::Update || !self.goes()) {
            return vec![format!("set {FOUND} = {locked};")];
        }
        vec![
            format!("set {FOUND} = {};", self.image(way, Row::New, &[], Look::Plain)),
            format!("if {FOUND} then"),
            format!("  set {FOUND} = {locked};"),
            "end if;".to_owned(),
        ]
    }

    fn signal(&self, number: &str, why: &str) -> String {
        let why: String = why.chars().take(MESSAGE).collect();
        format!("signal sqlstate '23000' set mysql_errno = {number}, message_text = {};", self.sql.literal(&why))
    }

    /// A key of the target that a row of the source has which is no row of its own, or not yet.
    fn taken(&self, event: Event) -> Vec<String> {
        let mut lines = Vec::new();
        let (own, other) = (Way::Down.table(self.mirror), Way::Up.table(self.mirror));
        if let (true, Some(meant)) = (self.goes(), self.meant(THERE)) {
            let why = format!("duplicate key: it stands in {other}, outside of what {own} takes");
            let there = self.image(Way::Down, Row::New, &[format!("({meant}) is not true")], Look::Locked);
            lines.push(format!("if {FOUND} and {there} then"));
            lines.push(format!("  {}", self.signal("1062", &why)));
            lines.push("end if;".to_owned());
        }
        if let Some(unlike) = self.unlike(THERE, Row::New) {
            let why = format!("duplicate key: a row of {other} has it, which is not copied to {own} yet");
            let mut more: Vec<String> = self.meant(THERE).into_iter().chain(self.says(THERE)).collect();
            more.push(unlike);
            let when = if event == Event::Update { format!("{MOVED} and {FOUND}") } else { FOUND.to_owned() };
            lines.push(format!("if {when} and {} then", self.image(Way::Down, Row::New, &more, Look::Locked)));
            lines.push(format!("  {}", self.signal("1062", &why)));
            lines.push("end if;".to_owned());
        }
        lines
    }

    /// What each lens carries over.
    fn lenses(&self, way: Way, event: Event) -> Vec<Carried> {
        let mut list = Vec::new();
        if way == Way::Down && event == Event::Insert && self.goes() {
            // A row of the source that is there already says the same, or the key is taken.
            return list;
        }
        let keys: Vec<(String, Type, String)> = way
            .key(self.mirror)
            .into_iter()
            .zip(way.back().key(self.mirror))
            .zip(&self.mirror.key)
            .filter(|(_, key)| self.sql.is_text(&key.ty))
            .map(|((own, other), key)| (own, key.ty.clone(), other))
            .collect();
        if event == Event::Update && !keys.is_empty() && (way == Way::Up || self.goes()) {
            let differs: Vec<String> = keys
                .iter()
                .map(|(own, ty, other)| self.sql.distinct(&self.sql.column(other, THERE), &self.sql.column(own, Row::New), ty))
                .collect();
            let written: Vec<(String, Type)> = keys.iter().map(|(own, ty, _)| (own.clone(), ty.clone())).collect();
            list.push(Carried {
                variable: format!("{SAID}_key"),
                about: "the key, in other letters".to_owned(),
                differs: self.sql.any(&differs),
                written: Some(self.changed(&written)),
                sets: keys.iter().map(|(own, _, other)| (other.clone(), self.sql.column(own, Row::New))).collect(),
            });
        }
        for (number, lens) in self.mirror.lenses.iter().enumerate() {
            let Some((differs, written)) = self.follows(way, event, lens) else { continue };
            let sets = way.sets(lens);
            list.push(Carried {
                variable: format!("{SAID}_{}", number + 1),
                about: sets.iter().map(|(column, _)| column.name.as_str()).collect::<Vec<_>>().join(", "),
                differs,
                written,
                sets: sets.iter().map(|(c, f)| (c.name.clone(), self.sql.value(f, &c.ty, Row::New))).collect(),
            });
        }
        list
    }

    /// When the other side of a lens takes something from the row: a condition over `there`, and one over the event.
    fn follows(&self, way: Way, event: Event, lens: &SyncLens) -> Option<(String, Option<String>)> {
        let sets = way.sets(lens);
        if sets.is_empty() {
            return None;
        }
        let inputs = way.inputs(lens);
        if lens.old.is_empty() {
            // It follows as long as it is what the row gave before.
            if way == Way::Down || event == Event::Insert || lens.follow == Follow::Never {
                return None;
            }
            let parts = sets.iter().map(|(column, formula)| {
                let (was, is) = (self.sql.as_stored(formula, &column.ty, Row::Old), self.sql.as_stored(formula, &column.ty, Row::New));
                let kept = self.sql.distinct(&self.sql.column(&column.name, THERE), &was, &column.ty);
                format!("({} and not ({kept}))", self.sql.distinct(&was, &is, &column.ty))
            });
            return Some((self.sql.any(&parts.collect::<Vec<_>>()), None));
        }
        if lens.new.is_empty() {
            // Nothing leads back: it is given as the new version says it, and by a row that was none before.
            let differs: Vec<String> = sets.iter().map(|set| self.unlike_value(*set, THERE, Row::New)).collect();
            let mut when = Vec::new();
            if !self.goes() {
                when.extend(self.says(THERE).map(|says| format!("({says}) is not true")));
                when.extend(self.meant(THERE).map(|meant| format!("({meant}) is not true")));
            }
            if event == Event::Update && !inputs.is_empty() {
                when.push(self.changed(&inputs));
            }
            return (!when.is_empty()).then(|| (self.sql.all(&[self.sql.any(&differs), self.sql.any(&when)]), None));
        }
        let differs = match way {
            Way::Up => self.disagree(lens, Row::New, THERE)?,
            Way::Down => self.disagree(lens, THERE, Row::New)?,
        };
        let written = (event == Event::Update).then(|| self.sql.any(&[MOVED.to_owned(), self.changed(&inputs)]));
        Some((differs, written))
    }

    /// The columns of the target that only follow from the source, from columns that the target gives too.
    fn derived_here(&self) -> Vec<&SyncLens> {
        let given = |name: &String| self.givers(name).next().is_some();
        let follows = |lens: &&SyncLens| lens.old.is_empty() && lens.follow != Follow::Never;
        let derived = self.mirror.lenses.iter().filter(follows).filter(|lens| lens.ups().next().is_some());
        derived.filter(|lens| lens.up_inputs.iter().any(|(name, _)| given(name))).collect()
    }

    /// The lenses by which the target gives a column of the source.
    fn givers(&self, column: &str) -> impl Iterator<Item = &SyncLens> {
        self.mirror.lenses.iter().filter(move |lens| !lens.new.is_empty() && lens.downs().any(|(old, _)| old.name == column))
    }

    /// The new version changes what something follows from: that follows in the same row, as the trigger on the source would have it.
    fn followed_here(&self) -> Option<(Vec<String>, Vec<String>)> {
        let derived = self.derived_here();
        let way = Way::Down;
        let mut read: Vec<(String, Type)> = Vec::new();
        let mut inner: Vec<String> = Vec::new();
        let mut named: Vec<&String> = Vec::new();
        for (name, _) in derived.iter().flat_map(|lens| &lens.up_inputs) {
            if named.contains(&name) {
                continue;
            }
            named.push(name);
            let mut value = self.sql.column(name, THERE);
            for lens in self.givers(name) {
                read.extend(way.inputs(lens).into_iter().filter(|input| !read.contains(input)).collect::<Vec<_>>());
                let Some((differs, written)) = self.follows(way, Event::Update, lens) else { continue };
                let given = lens.downs().find(|(old, _)| old.name == *name);
                let Some(given) = given.map(|(old, formula)| self.sql.value(formula, &old.ty, Row::New)) else { continue };
                let when = self.sql.all(&written.into_iter().chain([differs]).collect::<Vec<_>>());
                value = format!("if({when}, {given}, {value})");
            }
            inner.push(format!("{value} as {}", self.sql.ident(name)));
        }
        if inner.is_empty() {
            return None;
        }
        let there = self.same((way.back(), THERE), (way, Row::Old));
        let source = self.table(way.back());
        let mut lines = vec![format!("if {} then", self.changed(&read))];
        for (column, formula) in derived.iter().flat_map(|lens| lens.ups()) {
            let kept =
                self.sql.distinct(&self.sql.as_stored(formula, &column.ty, THERE), &self.sql.column(&column.name, Row::Old), &column.ty);
            let was = self.image(way, Row::Old, &[format!("not ({kept})")], Look::Locked);
            lines.push(format!("  if not ({}) and {was} then", self.sql.changed(&column.name, &column.ty)));
            lines.push(format!("    set {} = (", self.sql.column(&column.name, Row::New)));
            lines.push(format!("      select {}", self.sql.value(formula, &column.ty, THERE)));
            lines.push(format!(
                "      from (select {} from {source} as there where {there} lock in share mode) as there);",
                inner.join(", ")
            ));
            lines.push("  end if;".to_owned());
        }
        lines.push("end if;".to_owned());
        Some((vec![format!("{MOVED} boolean default {};", self.key_changed(way))], lines))
    }

    /// Finds out which lenses have something to carry over to the image of a row.
    fn asked<'c>(&self, way: Way, of: Row<'_>, carried: impl Iterator<Item = &'c Carried>) -> Vec<String> {
        carried
            .map(|lens| {
                let there = self.image(way, of, std::slice::from_ref(&lens.differs), Look::Locked);
                match &lens.written {
                    Some(written) => format!("set {} = ({written}) and {there};", lens.variable),
                    None => format!("set {} = {there};", lens.variable),
                }
            })
            .collect()
    }

    /// The assignments of lenses, each made only where it has something to carry over.
    fn assigned<'c>(&self, carried: impl Iterator<Item = &'c Carried>, alone: bool) -> Vec<String> {
        carried
            .flat_map(|lens| {
                lens.sets.iter().map(move |(column, value)| {
                    let name = self.sql.ident(column);
                    if alone { format!("{name} = {value}") } else { format!("{name} = if({}, {value}, image.{name})", lens.variable) }
                })
            })
            .collect()
    }

    /// The image takes what the row says, in one statement: no row is ever seen with one value and without the other.
    fn followed(&self, way: Way, carried: &[Carried]) -> Vec<String> {
        let mut lines = self.asked(way, Row::New, carried.iter());
        let any: Vec<String> = carried.iter().map(|lens| lens.variable.clone()).collect();
        lines.push(format!("if {} then", any.join(" or ")));
        lines.extend(indented(self.updated(way, Row::New, &self.assigned(carried.iter(), carried.len() == 1))));
        lines.push("end if;".to_owned());
        lines
    }

    /// Changes the image of a row.
    fn updated(&self, way: Way, of: Row<'_>, sets: &[String]) -> Vec<String> {
        let there = self.same((way.back(), IMAGE), (way, of));
        vec![format!("update {} as image", self.table(way.back())), format!("set {}", sets.join(",\n    ")), format!("where {there};")]
    }

    /// Another key: what only the image says goes along.
    fn moved(&self, way: Way, carried: &[Carried]) -> Vec<String> {
        let back = way.back();
        let key = format!("{SAID}_key");
        let follows = |lens: &&Carried| lens.variable != key && lens.written.is_some();
        let mut sets: Vec<String> = back
            .key(self.mirror)
            .iter()
            .zip(way.key(self.mirror))
            .map(|(to, from)| format!("{} = {}", self.sql.ident(to), self.sql.column(&from, Row::New)))
            .collect();
        sets.extend(self.assigned(carried.iter().filter(follows), false));
        let was: Vec<String> = match way {
            Way::Up => Vec::new(),
            Way::Down => self.meant(THERE).into_iter().collect(),
        };
        let is_meant = [
            self.image(way, Row::Old, &was, Look::Locked),
            format!("not {}", self.exists(back, OTHER, &[self.same((back, OTHER), (way, Row::New))], Look::Locked)),
            format!("not {}", self.exists(way, OWN, &[self.same((way, OWN), (way, Row::Old))], Look::Locked)),
        ];
        let mut lines = vec![
            format!("if {MOVED} and {}", is_meant[0]),
            format!("    and {}", is_meant[1]),
            format!("    and {} then", is_meant[2]),
            "  -- another key: what only the image says goes along".to_owned(),
        ];
        lines.extend(indented(self.asked(way, Row::Old, carried.iter().filter(follows))));
        lines.extend(indented(self.updated(way, Row::Old, &sets)));
        lines.push("end if;".to_owned());
        lines
    }

    fn inserted(&self, way: Way, event: Event) -> Vec<String> {
        let back = way.back();
        let mut columns = back.key(self.mirror);
        let mut values: Vec<String> = way.key(self.mirror).iter().map(|name| self.sql.column(name, Row::New)).collect();
        for (column, formula) in self.mirror.lenses.iter().flat_map(|lens| way.sets(lens)) {
            columns.push(column.name.clone());
            values.push(self.sql.value(formula, &column.ty, Row::New));
        }
        let insert = format!("insert into {} ({})\n  values ({});", self.table(back), self.sql.list(&columns), values.join(", "));
        if (way, event) != (Way::Up, Event::Update) {
            return vec![insert];
        }
        // The rows are copied while this transaction reads an older state.
        let mut lines = vec![
            "begin".to_owned(),
            "  declare exit handler for 1062".to_owned(),
            "  begin".to_owned(),
            format!("    set {FOUND} = {};", self.image(way, Row::New, &[], Look::Locked)),
            format!("    if not {FOUND} then"),
            "      resignal;".to_owned(),
            "    end if;".to_owned(),
            "  end;  -- it has been copied since this transaction began to read".to_owned(),
        ];
        lines.extend(indented(vec![insert]));
        lines.push("end;".to_owned());
        lines
    }

    /// The row is gone, or has another key: its image goes, or says nothing any more.
    fn gone(&self, way: Way, when: Option<&str>) -> Vec<String> {
        let back = way.back();
        let mut still = vec![self.same((way, OWN), (way, Row::Old))];
        let mut more = Vec::new();
        match way {
            Way::Up => still.extend(self.meant(OWN).map(grouped)),
            Way::Down => more.extend(self.says(THERE).into_iter().chain(self.meant(THERE))),
        }
        let mut conditions: Vec<String> = when.map(str::to_owned).into_iter().collect();
        conditions.push(self.image(way, Row::Old, &more, Look::Locked));
        if when.is_some() {
            conditions.push(format!("not {}", self.exists(way, OWN, &still, Look::Locked)));
        }
        let there = self.same((back, IMAGE), (way, Row::Old));
        let blanks: Vec<String> = match way {
            Way::Up => Vec::new(),
            Way::Down => self.blanks().into_iter().map(|(name, _, value)| format!("{} = {value}", self.sql.ident(name))).collect(),
        };
        let statement = if blanks.is_empty() {
            vec![format!("delete image from {} as image where {there};", self.table(back))]
        } else {
            self.updated(way, Row::Old, &blanks)
        };
        let mut lines = vec![format!("if {} then", conditions.join("\n    and "))];
        lines.extend(indented(statement));
        lines.push("end if;".to_owned());
        lines
    }

    // --- copy ---

    /// The statement that copies rows of the source, up to its conditions on the key, and what follows them.
    pub(super) fn copy(&self, copy: &CopyRows) -> (String, String) {
        let row = Row::Table(&copy.mirror.source);
        let mut columns = Way::Down.key(self.mirror);
        let mut values: Vec<String> = Way::Up.key(self.mirror).iter().map(|name| self.sql.column(name, row)).collect();
        for (column, formula) in self.mirror.lenses.iter().flat_map(SyncLens::ups) {
            columns.push(column.name.clone());
            values.push(self.sql.value(formula, &column.ty, row));
        }
        let (source, target) = (self.table(Way::Up), self.table(Way::Down));
        let mut conditions: Vec<String> = self.meant(row).map(grouped).into_iter().collect();
        let image = self.same((Way::Down, OTHER), (Way::Up, Row::Alias(&source)));
        conditions.push(format!("not {}", self.exists(Way::Down, OTHER, &[image], Look::Plain)));
        (format!("insert into {target} ({}) select {} from {source}", self.sql.list(&columns), values.join(", ")), conditions.join(" and "))
    }
}

fn indented(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("  {}", line.replace('\n', "\n  "))).collect()
}
