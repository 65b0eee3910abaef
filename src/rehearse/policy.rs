//! What one version's rules say of the other one's rows: a refusal is declared only where the row's image breaks a rule of the
//! other version, and a rule may bind late only where the image keeps all of them.

use std::collections::BTreeMap;

use super::place::Refusal;
use super::shape::{Pair, Side, leads_nowhere};
use super::world::{Key, Row, Rows, Stage, World, Write, of};
use super::{Lab, Stopped};
use crate::engine::Failure;
use crate::sql::quote::ident;

/// What the other version says of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A plain database of it takes the images.
    Takes,
    /// It does not, by rules of these kinds, and what it said; none: a lens has no image.
    Refuses(Vec<(Refusal, String)>),
    /// Nothing tells: the rows stand in two tables, or have no key.
    Unknown,
}

/// The images of rows that a write changed: by number of the pair, what each key is now; `None`: gone.
type Images = Vec<BTreeMap<Key, Option<BTreeMap<usize, String>>>>;

impl World<'_> {
    /// What a plain database of the other version says of a write that left `own` to its version. `leniently`: where the old
    /// version's NOT NULL gives way in expand, NULL is no offence.
    pub(super) fn other_says(&mut self, write: &Write, own: &[Rows], leniently: bool) -> Result<Verdict, Stopped> {
        let side = write.side;
        let before = self.rows[of(side)].clone();
        let pairs = 0..self.lab.pairs.len();
        let changed: Vec<usize> = pairs.filter(|number| before[*number] != own[*number]).collect();
        let is_known = |pair: &Pair<'_>| pair.relation.is_some();
        if changed.is_empty() || !changed.iter().all(|number| is_known(&self.lab.pairs[*number])) {
            return Ok(Verdict::Unknown);
        }
        // The new version's database has no rows before migrate has begun.
        let loads = side == Side::Old && self.stage < Stage::Migrated;
        let mut images: Images = vec![BTreeMap::new(); own.len()];
        if loads {
            for number in (0..own.len()).filter(|number| is_known(&self.lab.pairs[*number])) {
                for (key, row) in &before[number] {
                    // A row without an image is taken away before migrate.
                    if own[number].get(key) == Some(row)
                        && let Some(image) = self.image(number, side, row, None)
                    {
                        images[number].insert(key.clone(), Some(image));
                    }
                }
            }
        }
        let mut written: Images = vec![BTreeMap::new(); own.len()];
        for number in changed {
            for key in before[number].keys().filter(|key| !own[number].contains_key(*key)) {
                written[number].insert(key.clone(), None);
            }
            for (key, row) in own[number].iter().filter(|(key, row)| before[number].get(*key) != Some(row)) {
                let held = self.rows[of(side.other())][number].get(key).cloned();
                let old = before[number].get(key).cloned().zip(held).filter(|_| !loads);
                let Some(image) = self.image(number, side, row, old.as_ref()) else { return Ok(Verdict::Refuses(Vec::new())) };
                written[number].insert(key.clone(), Some(image));
            }
        }
        let other = side.other();
        let [aside, back] = self.lab.place.set_references_aside();
        self.twin(other).run(aside)?;
        self.twin(other).run("begin")?;
        let said = self.try_images(other, &images, &written, leniently);
        self.twin(other).run("rollback")?;
        self.twin(other).run(back)?;
        said
    }

    /// What a row of a side is to the other one: `old` is what it was, and its image then. A value that nothing was said of stays.
    fn image(&mut self, number: usize, side: Side, row: &Row, old: Option<&(Row, Row)>) -> Option<BTreeMap<usize, String>> {
        let lab = self.lab;
        let pair = &lab.pairs[number];
        let relation = pair.relation.as_ref()?;
        let mut values: BTreeMap<usize, String> =
            relation.copies.iter().map(|(a, b)| if side == Side::Old { (*b, row[*a].clone()) } else { (*a, row[*b].clone()) }).collect();
        if let Some((_, image)) = old {
            values.extend(relation.only(side.other()).iter().map(|at| (*at, image[*at].clone())));
        }
        for link in &relation.links {
            let said = |(then, _): &&(Row, Row)| link.of(side).iter().chain(link.inputs(side)).any(|at| then[*at] != row[*at]);
            if let Some((_, image)) = old.filter(|old| !said(old)) {
                values.extend(link.of(side.other()).iter().map(|at| (*at, image[*at].clone())));
                continue;
            }
            let given = self.give(number, link, side, link.from(side), row).ok()?;
            values.extend(link.of(side.other()).iter().copied().zip(given).filter_map(|(at, value)| Some((at, value?))));
        }
        Some(values)
    }

    fn try_images(&mut self, side: Side, held: &Images, written: &Images, leniently: bool) -> Result<Verdict, Stopped> {
        let lab = self.lab;
        for (number, rows) in held.iter().enumerate() {
            for (key, image) in rows {
                self.put(number, side, key, image.as_ref(), leniently)?;
            }
        }
        for (number, rows) in written.iter().enumerate() {
            for (key, _) in rows.iter().filter(|(_, image)| image.is_none()) {
                self.put(number, side, key, None, leniently)?;
            }
        }
        let mut refusals = Vec::new();
        for (number, rows) in written.iter().enumerate() {
            for (key, image) in rows.iter().filter(|(_, image)| image.is_some()) {
                let failure = self.put(number, side, key, image.as_ref(), leniently)?;
                refusals.extend(failure.map(|failure| (Refusal::of(&failure, lab.dialect), failure.message)));
            }
        }
        let now = self.read_twin(side)?;
        if dangles(lab, side, &now) {
            refusals.push((Refusal::Reference, String::new()));
        }
        Ok(if refusals.is_empty() { Verdict::Takes } else { Verdict::Refuses(refusals) })
    }

    /// Makes a row of a twin what an image says. Gives back why it can't be.
    fn put(
        &mut self,
        number: usize,
        side: Side,
        key: &Key,
        image: Option<&BTreeMap<usize, String>>,
        leniently: bool,
    ) -> Result<Option<Failure>, Stopped> {
        let lab = self.lab;
        let pair = &lab.pairs[number];
        let Some(view) = pair.view(side) else { return Ok(None) };
        let table = ident(&view.table.name, lab.dialect);
        let is_row = lab.is_row(view, key);
        let statement = match image {
            None => format!("delete from {table} where {is_row}"),
            Some(image) => {
                let writable = |at: &usize| view.columns[*at].generated.is_none();
                let is_blind = |at: usize| super::world::is_blind(pair, at, view.columns[at]);
                let mut image = image.clone();
                if side == Side::Old {
                    for at in (0..view.columns.len()).filter(|at| is_blind(*at) && view.columns[*at].default.is_none()) {
                        image.entry(at).or_insert_with(|| "NULL".to_owned());
                    }
                }
                let value = |at: usize| match leniently && pair.loosens_not_null || is_blind(at) {
                    true => lab.storable(side, view.columns[at], &image[&at]),
                    false => image[&at].clone(),
                };
                let list: Vec<usize> = image.keys().copied().filter(writable).collect();
                let exists = !self.twin(side).run(&format!("select 1 from {table} where {is_row}"))?.rows.is_empty();
                if exists {
                    let sets: Vec<String> = list
                        .iter()
                        .filter(|at| !view.key.contains(at))
                        .map(|at| format!("{} = {}", ident(&view.columns[*at].name, lab.dialect), value(*at)))
                        .collect();
                    if sets.is_empty() {
                        return Ok(None);
                    }
                    format!("update {table} set {} where {is_row}", sets.join(", "))
                } else {
                    lab.insert(&table, view, &list, &value)
                }
            }
        };
        let session = self.twin(side);
        session.run("savepoint crossfade_row")?;
        let failure = session.run(&statement).err();
        if failure.is_some() {
            session.run("rollback to savepoint crossfade_row")?;
        }
        session.run("release savepoint crossfade_row")?;
        Ok(failure)
    }
}

/// Whether a reference of a version leads nowhere.
fn dangles(lab: &Lab<'_>, side: Side, held: &[Rows]) -> bool {
    lab.pairs.iter().enumerate().any(|(number, pair)| {
        let Some(view) = pair.view(side) else { return false };
        view.table.foreign_keys.iter().any(|key| {
            let parent = lab.pairs.iter().position(|pair| pair.view(side).is_some_and(|view| view.table.name == key.ref_table));
            let Some((parent, target)) = parent.and_then(|parent| Some((parent, lab.pairs[parent].view(side)?))) else { return false };
            let mine: Vec<usize> = key.columns.iter().filter_map(|name| view.at(name)).collect();
            let its: Vec<usize> = key.ref_columns.iter().filter_map(|name| target.at(name)).collect();
            held[number].values().any(|row| {
                let values: Vec<&String> = mine.iter().map(|at| &row[*at]).collect();
                leads_nowhere(key, &values, held[parent].values().map(|row| its.iter().map(|at| &row[*at]).collect()))
            })
        })
    })
}
