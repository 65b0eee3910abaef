//! What the clients of both versions write: statements over the rows that are there, from a seed.

use super::bout::Bout;
use super::random::Random;
use super::shape::{NO_ANSWER, Side, View};
use super::values;
use super::world::{Kind, NUMBER, Row, Stage, TABLE, World, Write};
use super::{Lab, Stopped};
use crate::plan::model::Phase;
use crate::run::Task;
use crate::snapshot::model::{Column, Identity};
use crate::snapshot::types::{Family, family};
use crate::sql::Dialect;
use crate::sql::quote::ident;

/// How often a statement that a plain database would refuse is replaced by another one.
const TRIES: usize = 5;

/// How many clients write at once, and for how many rows of a table they compete.
const CLIENTS: usize = 4;
const HOT: usize = 3;
/// How finely the rows of a table are told apart for that.
const PLACES: usize = 60;

/// Makes statements.
pub(super) struct Workload<'lab> {
    lab: &'lab Lab<'lab>,
    pub(super) random: Random,
    /// By side, pair and column: literals.
    pools: [Vec<Vec<Vec<String>>>; 2],
    /// How many fresh values were given.
    fresh: usize,
    /// Whether the statement may well break a rule.
    is_bold: bool,
}

impl<'lab> Workload<'lab> {
    /// `given`: how many fresh values were given before.
    pub(super) fn new(lab: &'lab Lab<'lab>, random: Random, given: usize) -> Self {
        let pools = |side: Side| {
            lab.pairs
                .iter()
                .enumerate()
                .map(|(number, pair)| {
                    let Some(view) = pair.view(side) else { return Vec::new() };
                    let links = pair.relation.iter().flat_map(|relation| &relation.links);
                    let texts: Vec<String> =
                        links.flat_map(|link| link.up.iter().chain(&link.down).chain(&link.backfill).flatten().cloned()).collect();
                    let mut mined = values::mined(view.table, &texts);
                    mined.retain(|one| !one.contains(NO_ANSWER));
                    // What the plan says of it: a row on which a virtual column fails makes its table unreadable, and MySQL lets nobody
                    // change it again. There would be nothing left to look at.
                    let is_fragile = lab.has_hazard(number, "lens-not-total") && pair.has_virtual();
                    let pool = |(at, column): (usize, &&Column)| match pair.counts(side, at) {
                        true => values::numbers(column, side),
                        false => {
                            let mut pool = values::pool(column, lab.schema(side), &mined, lab.dialect);
                            pool.retain(|one| !is_fragile || values::is_moderate(one));
                            pool
                        }
                    };
                    view.columns.iter().enumerate().map(pool).collect()
                })
                .collect()
        };
        Self { lab, random, pools: [pools(Side::Old), pools(Side::New)], fresh: given, is_bold: false }
    }

    /// A first row for each table that the old version has, and some more.
    pub(super) fn seed(&mut self, world: &mut World<'_>) -> Result<Option<Write>, Stopped> {
        let tables: Vec<usize> = (0..self.lab.pairs.len()).filter(|number| self.lab.pairs[*number].old.is_some()).collect();
        let Some(pair) = self.random.pick(&tables).copied() else { return Ok(None) };
        self.accepted(world, Side::Old, pair, Kind::Insert)
    }

    /// A statement of a version's client.
    pub(super) fn next(&mut self, world: &mut World<'_>, side: Side) -> Result<Option<Write>, Stopped> {
        let tables: Vec<usize> = (0..self.lab.pairs.len()).filter(|number| self.lab.pairs[*number].view(side).is_some()).collect();
        let changed: Vec<usize> = tables.iter().copied().filter(|number| self.lab.pairs[*number].change > 0).collect();
        let from = if changed.is_empty() || self.random.once_in(4) { &tables } else { &changed };
        let Some(pair) = self.random.pick(from).copied() else { return Ok(None) };
        let kind = match self.random.below(100) {
            0..35 => Kind::Insert,
            35..45 => Kind::Bulk,
            45..78 => Kind::Update,
            78..88 => Kind::Idle,
            _ => Kind::Delete,
        };
        self.accepted(world, side, pair, kind)
    }

    /// A statement that the version's plain database takes, most of the time.
    fn accepted(&mut self, world: &mut World<'_>, side: Side, pair: usize, kind: Kind) -> Result<Option<Write>, Stopped> {
        let as_it_comes = self.random.once_in(7);
        self.is_bold = as_it_comes;
        let mut last = None;
        for _ in 0..TRIES {
            let Some(write) = self.statement(world, side, pair, kind) else { return Ok(last) };
            let fits = as_it_comes || world.would_take(&write)?;
            last = Some(write);
            if fits {
                break;
            }
        }
        Ok(last)
    }

    /// Transactions of clients of these sides over the same few rows, in an order of their own.
    pub(super) fn bout(&mut self, world: &mut World<'_>, sides: &[Side], phase: Option<Phase>) -> Result<Option<Bout>, Stopped> {
        let fits = |pair: &&usize| -> bool {
            let pair = &self.lab.pairs[**pair];
            pair.change > 0 && sides.iter().any(|side| pair.view(*side).is_some_and(|view| !view.key.is_empty()))
        };
        let all: Vec<usize> = (0..self.lab.pairs.len()).collect();
        let changed: Vec<usize> = all.iter().filter(fits).copied().collect();
        let Some(change) = self.random.pick(&changed).map(|pair| self.lab.pairs[*pair].change) else { return Ok(None) };
        // The same place in each table: rows that belong together stand alike, where their keys are alike.
        let place = self.random.below(PLACES);
        let mut clients = Vec::new();
        for who in 0..CLIENTS {
            let side = sides[who % sides.len()];
            let tables: Vec<usize> = changed
                .iter()
                .copied()
                .filter(|pair| {
                    let pair = &self.lab.pairs[*pair];
                    pair.change == change && pair.view(side).is_some_and(|view| !view.key.is_empty())
                })
                .collect();
            // One table, and its rows in the order of their keys: so no two clients of a plain database wait for each other.
            let Some(pair) = self.random.pick(&tables).copied() else { continue };
            let held = &world.rows[side as usize][pair];
            let rows: Vec<Row> = held.values().skip(place * held.len().saturating_sub(HOT - 1) / PLACES).take(HOT).cloned().collect();
            let mut hot: Vec<usize> = (0..1 + self.random.below(2)).map(|_| self.random.below(rows.len().max(1))).collect();
            hot.sort_unstable();
            let mut writes = Vec::new();
            for row in hot {
                let write = self.contest(world, side, pair, rows.get(row))?;
                writes.extend(write);
            }
            if !writes.is_empty() {
                clients.push(writes);
            }
        }
        if clients.len() < 2 {
            return Ok(None);
        }
        let mut order: Vec<usize> = clients.iter().enumerate().flat_map(|(who, writes)| vec![who; writes.len() + 1]).collect();
        let script = vec![clients.len(); phase.map_or(0, |phase| self.lab.statements(Task::Phase(phase)).len())];
        // Either it goes as far as it comes while most clients are in the middle of their work, or step by step with them.
        let at_once = !self.random.once_in(4);
        if !at_once {
            order.extend(&script);
        }
        for at in (1..order.len()).rev() {
            order.swap(at, self.random.below(at + 1));
        }
        if at_once {
            let third = order.len() / 3;
            let at = third + self.random.below(third);
            order.splice(at..at, script);
        }
        Ok(Some(Bout { clients, order, phase }))
    }

    /// A statement about a row that others want too, or about one of its own.
    fn contest(&mut self, world: &mut World<'_>, side: Side, pair: usize, row: Option<&Row>) -> Result<Option<Write>, Stopped> {
        self.is_bold = false;
        let Some(view) = self.lab.pairs.get(pair).and_then(|pair| pair.view(side)) else { return Ok(None) };
        for _ in 0..TRIES {
            let choice = self.random.below(100);
            let (kind, sql) = match row {
                Some(row) if choice < 30 => match self.add(view, side, pair, row) {
                    Some(sql) => (Kind::Add, Some(sql)),
                    None => (Kind::Update, self.change(world, view, side, pair, row)),
                },
                Some(row) if choice < 75 => (Kind::Update, self.change(world, view, side, pair, row)),
                Some(row) if choice < 85 => (Kind::Update, self.update(world, view, side, pair, &[row])),
                Some(row) if choice < 90 => {
                    (Kind::Delete, Some(format!("delete from {TABLE} where {}", self.lab.is_row(view, &key_of(view, row)))))
                }
                _ => (Kind::Insert, self.insert(world, view, side, pair, 1, &[])),
            };
            let Some(sql) = sql else { continue };
            let write = Write { side, pair, kind, sql, numbered: None };
            if world.would_take(&write)? {
                return Ok(Some(write));
            }
        }
        Ok(None)
    }

    /// An update of a column that the other version has as another one; of any, where there is none.
    fn change(&mut self, world: &World<'_>, view: &View<'_>, side: Side, pair: usize, row: &Row) -> Option<String> {
        let links = self.lab.pairs.get(pair)?.relation.iter().flat_map(|relation| &relation.links);
        let linked: Vec<usize> = links
            .flat_map(|link| link.of(side))
            .copied()
            .filter(|at| !view.key.contains(at) && view.columns[*at].generated.is_none())
            .collect();
        let Some(at) = self.random.pick(&linked).copied() else { return self.update(world, view, side, pair, &[row]) };
        let direct = self.is_direct(world, side, pair);
        let value = self.value(world, view, side, pair, at, &[row], direct);
        let name = ident(&view.columns[at].name, self.lab.dialect);
        Some(format!("update {TABLE} set {name} = {value} where {}", self.lab.is_row(view, &key_of(view, row))))
    }

    /// `set n = n + 1`. Where a version counts, nobody steps into the numbers that its server is about to give.
    fn add(&mut self, view: &View<'_>, side: Side, pair: usize, row: &Row) -> Option<String> {
        let numbers: Vec<usize> = (0..view.columns.len())
            .filter(|at| {
                let column = view.columns[*at];
                matches!(family(&column.ty), Some(Family::Integer | Family::Number))
                    && column.ty.array_dimensions == 0
                    && !view.key.contains(at)
                    && column.generated.is_none()
                    && !self.lab.pairs[pair].counts(side, *at)
                    && !view.table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
            })
            .collect();
        let name = ident(&view.columns[*self.random.pick(&numbers)?].name, self.lab.dialect);
        Some(format!("update {TABLE} set {name} = {name} + 1 where {}", self.lab.is_row(view, &key_of(view, row))))
    }

    fn statement(&mut self, world: &World<'_>, side: Side, pair: usize, kind: Kind) -> Option<Write> {
        let view = self.lab.pairs.get(pair)?.view(side)?;
        let rows: Vec<&Row> = world.rows[side as usize].get(pair)?.values().collect();
        let kind = if rows.is_empty() || view.key.is_empty() { if kind == Kind::Idle { Kind::Idle } else { Kind::Insert } } else { kind };
        if matches!(kind, Kind::Insert | Kind::Bulk) && view.counter().is_some() && !view.key.is_empty() && self.random.once_in(2) {
            let count = if kind == Kind::Bulk { 2 + self.random.below(2) } else { 1 };
            if let Some((sql, numbered)) = self.numbered(world, view, side, pair, count, &rows) {
                return Some(Write { side, pair, kind, sql, numbered: Some(numbered) });
            }
        }
        let sql = match kind {
            Kind::Insert => self.insert(world, view, side, pair, 1, &rows)?,
            Kind::Bulk if self.can_upsert(world, side, pair) && self.random.once_in(2) => self.upsert(world, view, side, pair, &rows)?,
            Kind::Bulk => {
                let rows_at_once = 2 + self.random.below(2);
                self.insert(world, view, side, pair, rows_at_once, &rows)?
            }
            Kind::Update | Kind::Add => self.update(world, view, side, pair, &rows)?,
            Kind::Idle => self.idle(view)?,
            Kind::Delete => {
                let row = (*self.random.pick(&rows)?).clone();
                format!("delete from {TABLE} where {}", self.lab.is_row(view, &key_of(view, &row)))
            }
        };
        Some(Write { side, pair, kind, sql, numbered: None })
    }

    /// Whether the client reaches the table itself, and not through a view.
    fn is_direct(&self, world: &World<'_>, side: Side, pair: usize) -> bool {
        let pair = &self.lab.pairs[pair];
        let renamed = pair.view(Side::Old).zip(pair.view(Side::New)).is_some_and(|(old, new)| old.table.name != new.table.name);
        side == Side::Old || !(self.lab.is_versioned() || (renamed && world.stage < Stage::Contracted))
    }

    fn can_upsert(&self, world: &World<'_>, side: Side, pair: usize) -> bool {
        let keys_stay = !self.lab.pairs[pair].rules.contains(&super::place::Refusal::Unique);
        keys_stay && (self.lab.dialect != Dialect::Sqlite || self.is_direct(world, side, pair))
    }

    fn insert(&mut self, world: &World<'_>, view: &View<'_>, side: Side, pair: usize, count: usize, rows: &[&Row]) -> Option<String> {
        let direct = self.is_direct(world, side, pair);
        let mut columns = Vec::new();
        for (at, column) in view.columns.iter().enumerate() {
            if column.generated.is_some() {
                continue;
            }
            let is_key = view.key.contains(&at) || column.identity == Some(Identity::Always);
            let may_be_left_out = !column.not_null || column.default.is_some();
            if !is_key && may_be_left_out && self.random.once_in(3) {
                continue;
            }
            columns.push(at);
        }
        let mut tuples = Vec::new();
        for _ in 0..count {
            let tuple: Vec<String> = columns.iter().map(|at| self.value(world, view, side, pair, *at, rows, direct)).collect();
            tuples.push(format!("({})", tuple.join(", ")));
        }
        let names: Vec<String> = columns.iter().map(|at| ident(&view.columns[*at].name, self.lab.dialect)).collect();
        if names.is_empty() {
            return (self.lab.dialect != Dialect::Sqlite || direct).then(|| self.lab.default_values());
        }
        let overriding = self.lab.overriding(view);
        let mut sql = format!("insert into {TABLE} ({}){overriding} values {}", names.join(", "), tuples.join(", "));
        if self.lab.has_returning() && direct && !view.key.is_empty() && self.random.once_in(4) {
            let key: Vec<String> = view.key.iter().map(|at| ident(&view.columns[*at].name, self.lab.dialect)).collect();
            sql.push_str(&format!(" returning {}", key.join(", ")));
        }
        Some(sql)
    }

    /// An insert that leaves the number to the server, and the same with [`NUMBER`] where a number goes.
    fn numbered(
        &mut self,
        world: &World<'_>,
        view: &View<'_>,
        side: Side,
        pair: usize,
        count: usize,
        rows: &[&Row],
    ) -> Option<(String, String)> {
        let direct = self.is_direct(world, side, pair);
        let counter = view.counter()?;
        let mut columns = Vec::new();
        for (at, column) in view.columns.iter().enumerate() {
            if at == counter || column.generated.is_some() {
                continue;
            }
            let may_be_left_out = (!column.not_null || column.default.is_some()) && !view.key.contains(&at);
            if column.identity.is_none() && !(may_be_left_out && self.random.once_in(3)) {
                columns.push(at);
            }
        }
        if columns.is_empty() {
            columns.push((0..view.columns.len()).find(|at| *at != counter && view.columns[*at].generated.is_none())?);
        }
        let mut tuples = Vec::new();
        for _ in 0..count {
            let tuple: Vec<String> = columns.iter().map(|at| self.value(world, view, side, pair, *at, rows, direct)).collect();
            tuples.push(tuple.join(", "));
        }
        let name = |at: usize| ident(&view.columns[at].name, self.lab.dialect);
        let names: Vec<String> = columns.iter().map(|at| name(*at)).collect();
        let (names, overriding) = (names.join(", "), self.lab.overriding(view));
        let left_out: Vec<String> = tuples.iter().map(|tuple| format!("({tuple})")).collect();
        let given: Vec<String> = tuples.iter().map(|tuple| format!("({NUMBER}, {tuple})")).collect();
        Some((
            format!("insert into {TABLE} ({names}) values {}", left_out.join(", ")),
            format!("insert into {TABLE} ({}, {names}){overriding} values {}", name(counter), given.join(", ")),
        ))
    }

    fn upsert(&mut self, world: &World<'_>, view: &View<'_>, side: Side, pair: usize, rows: &[&Row]) -> Option<String> {
        let row = (*self.random.pick(rows)?).clone();
        let dialect = self.lab.dialect;
        let key = view.table.primary_key.as_ref()?;
        let mut names = Vec::new();
        let mut tuple = Vec::new();
        let mut sets = Vec::new();
        for (at, column) in view.columns.iter().enumerate() {
            if column.generated.is_some() {
                continue;
            }
            let name = ident(&column.name, dialect);
            if key.columns.contains(&column.name) {
                tuple.push(row[at].clone());
            } else {
                tuple.push(self.value(world, view, side, pair, at, rows, true));
                sets.push(match dialect {
                    Dialect::Postgres | Dialect::Sqlite => format!("{name} = excluded.{name}"),
                    Dialect::Mysql | Dialect::Mariadb => format!("{name} = values({name})"),
                });
            }
            names.push(name);
        }
        if sets.is_empty() {
            return None;
        }
        let arbiter: Vec<String> = key.columns.iter().map(|name| ident(name, dialect)).collect();
        let conflict = match dialect {
            Dialect::Postgres | Dialect::Sqlite => format!("on conflict ({}) do update set", arbiter.join(", ")),
            Dialect::Mysql | Dialect::Mariadb => "on duplicate key update".to_owned(),
        };
        let overriding = self.lab.overriding(view);
        Some(format!("insert into {TABLE} ({}){overriding} values ({}) {conflict} {}", names.join(", "), tuple.join(", "), sets.join(", ")))
    }

    fn update(&mut self, world: &World<'_>, view: &View<'_>, side: Side, pair: usize, rows: &[&Row]) -> Option<String> {
        let row = (*self.random.pick(rows)?).clone();
        let free: Vec<usize> = (0..view.columns.len())
            .filter(|at| {
                !view.key.contains(at) && view.columns[*at].generated.is_none() && view.columns[*at].identity != Some(Identity::Always)
            })
            .collect();
        let mut chosen = vec![*self.random.pick(&free)?];
        if self.random.once_in(3) {
            let more = *self.random.pick(&free)?;
            if !chosen.contains(&more) {
                chosen.push(more);
            }
        }
        let direct = self.is_direct(world, side, pair);
        let sets: Vec<String> = chosen
            .into_iter()
            .map(|at| {
                format!("{} = {}", ident(&view.columns[at].name, self.lab.dialect), self.value(world, view, side, pair, at, rows, direct))
            })
            .collect();
        Some(format!("update {TABLE} set {} where {}", sets.join(", "), self.lab.is_row(view, &key_of(view, &row))))
    }

    fn idle(&mut self, view: &View<'_>) -> Option<String> {
        let free: Vec<usize> = (0..view.columns.len())
            .filter(|at| view.columns[*at].generated.is_none() && view.columns[*at].identity != Some(Identity::Always))
            .collect();
        let chosen = if self.random.once_in(3) { free } else { vec![*self.random.pick(&free)?] };
        let sets: Vec<String> = chosen
            .into_iter()
            .map(|at| {
                let name = ident(&view.columns[at].name, self.lab.dialect);
                format!("{name} = {name}")
            })
            .collect();
        (!sets.is_empty()).then(|| format!("update {TABLE} set {}", sets.join(", ")))
    }

    #[allow(clippy::too_many_arguments, reason = "a value depends on all of where it goes")]
    fn value(&mut self, world: &World<'_>, view: &View<'_>, side: Side, pair: usize, at: usize, rows: &[&Row], direct: bool) -> String {
        let column = view.columns[at];
        let name = &column.name;
        // Through a view of SQLite a NULL and nothing given are one.
        let null_is_null = direct || self.lab.dialect != Dialect::Sqlite || column.default.is_none();
        let is_key = view.table.primary_key.as_ref().is_some_and(|key| key.columns.contains(name));
        // To SQLite a NULL in a key of one integer is the next number.
        let null_is_null = null_is_null && !(is_key || view.key.contains(&at));
        let against_the_rule = if self.is_bold { 6 } else { 40 };
        if null_is_null && ((!column.not_null && self.random.once_in(6)) || self.random.once_in(against_the_rule)) {
            return "null".to_owned();
        }
        if let Some(key) = view.table.foreign_keys.iter().find(|key| key.columns.contains(name))
            && !self.random.once_in(12)
        {
            let parents = self.lab.pairs.iter().position(|pair| pair.view(side).is_some_and(|view| view.table.name == key.ref_table));
            let position = key.columns.iter().position(|column| column == name);
            if let (Some(parent), Some(position)) = (parents, position)
                && let Some(target) = self.lab.pairs[parent].view(side)
                && let Some(there) = key.ref_columns.get(position).and_then(|name| target.at(name))
            {
                let values: Vec<String> =
                    world.rows[side as usize][parent].values().map(|row| row[there].clone()).filter(|value| value != "NULL").collect();
                if let Some(value) = self.random.pick(&values) {
                    return value.clone();
                }
                if !column.not_null {
                    return "null".to_owned();
                }
            }
        }
        let stands_in = view.key.contains(&at) && self.lab.pairs[pair].has_stand_in();
        if stands_in {
            self.fresh += 1;
            if let Some(value) = values::fresh(column, self.fresh, self.lab.dialect) {
                return value;
            }
        }
        let alone = |columns: &[String]| columns.contains(name);
        let unique = view.table.primary_key.as_ref().is_some_and(|key| alone(&key.columns))
            || view.table.uniques.iter().any(|unique| alone(&unique.columns))
            || view.table.indexes.iter().any(|index| index.unique);
        if unique
            && self.random.once_in(12)
            && let Some(row) = self.random.pick(rows)
        {
            return row[at].clone();
        }
        if unique || self.random.once_in(5) {
            self.fresh += 1;
            let fresh = match self.lab.pairs[pair].counts(side, at) {
                true => values::number(column, self.fresh),
                false => values::fresh(column, self.fresh, self.lab.dialect),
            };
            if let Some(value) = fresh {
                return value;
            }
        }
        let pool = self.pools[side as usize].get(pair).and_then(|columns| columns.get(at)).map_or(&[] as &[String], Vec::as_slice);
        values::any(pool, &mut self.random)
    }
}

fn key_of(view: &View<'_>, row: &Row) -> Vec<String> {
    view.key.iter().map(|at| row[*at].clone()).collect()
}
