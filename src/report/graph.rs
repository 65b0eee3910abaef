//! The steps as a graph: for Graphviz, for Mermaid, and as a picture.
//!
//! The picture has a band for each phase, one below the other, and in it the steps in rows: each one below all that it needs. Only
//! needs within a phase are drawn, since a phase begins when the one before it is through; and of those only what does not follow
//! from others. A row holds [`ACROSS`] steps, and an arrow that would pass more than [`FAR`] rows is a word instead (`after 3`), so
//! that a picture grows with its steps and no faster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::emit::{EmitError, pages};
use crate::plan::model::{Phase, Plan, Step, Waits};

/// The graph in Graphviz' language.
pub fn dot(plan: &Plan) -> String {
    let mut out = format!(
        "digraph \"{} to {}\" {{\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
        plan.old_version.as_deref().unwrap_or("nothing"),
        plan.new_version
    );
    for phase in Phase::ALL {
        let _ = writeln!(out, "  subgraph cluster_{} {{\n    label=\"{}\";", phase.name(), phase.name());
        for step in plan.steps.iter().filter(|s| s.phase == phase) {
            let _ = writeln!(out, "    {:?};", step.id);
        }
        out.push_str("  }\n");
    }
    for (from, to) in edges(plan) {
        let _ = writeln!(out, "  {from:?} -> {to:?};");
    }
    out.push_str("}\n");
    out
}

/// The graph in Mermaid's language.
pub fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart LR\n");
    let numbers: BTreeMap<&str, usize> = plan.steps.iter().enumerate().map(|(at, step)| (step.id.as_str(), at)).collect();
    let number = |id: &str| numbers.get(id).copied().unwrap_or_default();
    for phase in Phase::ALL {
        let _ = writeln!(out, "  subgraph {}", phase.name());
        for (at, step) in plan.steps.iter().enumerate().filter(|(_, s)| s.phase == phase) {
            let _ = writeln!(out, "    s{at}[\"{}\"]", mermaid_text(&step.id));
        }
        out.push_str("  end\n");
    }
    for (from, to) in edges(plan) {
        let _ = writeln!(out, "  s{} --> s{}", number(from), number(to));
    }
    out
}

/// A label that neither Mermaid nor the HTML that it makes takes for more than text.
fn mermaid_text(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '\n' | '`' => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

/// Which step must have run before which.
fn edges(plan: &Plan) -> Vec<(&str, &str)> {
    let known: BTreeSet<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    let mut edges: Vec<(&str, &str)> = plan
        .steps
        .iter()
        .flat_map(|step| step.requires.iter().map(|needed| (needed.as_str(), step.id.as_str())))
        .filter(|(from, _)| known.contains(from))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// How many steps stand side by side.
const ACROSS: usize = 5;
/// How many rows an arrow passes at most.
const FAR: usize = 3;
/// Width and height of a step's box, and of the place that an arrow takes beside the boxes that it passes; in pixels.
const BOX: (i64, i64) = (204, 58);
const WIRE: i64 = 6;
/// What lies between two boxes side by side, and between two rows.
const BESIDE: i64 = 16;
const BETWEEN: i64 = 34;
/// The margin of the picture, and the heights of a plan's heading, of a band's, and of what lies around its rows.
const MARGIN: i64 = 16;
const HEADING: i64 = 52;
const BAND: i64 = 46;
const BELOW: i64 = 18;
/// The narrowest picture: its headings and the legend need it.
const NARROWEST: i64 = 760;
/// The letters that fit on a line of a box.
const LETTERS: usize = 29;

/// All that the picture shows; coordinates are in pixels.
#[derive(Debug, Default, Serialize)]
struct Picture {
    width: i64,
    height: i64,
    title: String,
    headings: Vec<Heading>,
    bands: Vec<Band>,
    boxes: Vec<Drawn>,
    arrows: Vec<Arrow>,
    legend: i64,
}

#[derive(Debug, Serialize)]
struct Heading {
    y: i64,
    text: String,
}

#[derive(Debug, Serialize)]
struct Band {
    y: i64,
    height: i64,
    name: &'static str,
    says: &'static str,
    empty: bool,
}

#[derive(Debug, Serialize)]
struct Drawn {
    x: i64,
    y: i64,
    number: usize,
    kind: String,
    object: String,
    cost: String,
    waits: &'static str,
    after: String,
    title: String,
}

#[derive(Debug, Serialize)]
struct Arrow {
    path: String,
    x: i64,
    y: i64,
}

/// The graphs of plans as one SVG picture, one below the other.
///
/// # Errors
/// Only when the template does not fit: a fault of crossfade.
pub fn svg(plans: &[Plan]) -> Result<String, EmitError> {
    let mut picture = Picture { width: NARROWEST, title: plans.first().map(title).unwrap_or_default(), ..Picture::default() };
    let mut y = 0;
    for plan in plans {
        picture.headings.push(Heading { y: y + 30, text: format!("{} on {}", title(plan), plan.dialect.name()) });
        y += HEADING;
        let mut first = 0;
        for phase in Phase::ALL {
            let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == phase).collect();
            y = picture.band(plan, phase, &steps, (first, y));
            first += steps.len();
        }
    }
    picture.legend = y + 8;
    picture.height = y + 44;
    pages::page("graph.svg", &picture)
}

fn title(plan: &Plan) -> String {
    format!("{} → {}", plan.old_version.as_deref().unwrap_or("nothing"), plan.new_version)
}

impl Picture {
    /// Draws a phase below `y`; its steps are numbered on from `first`. Gives back where the next one goes.
    fn band(&mut self, plan: &Plan, phase: Phase, steps: &[&Step], (first, y): (usize, i64)) -> i64 {
        let laid = Laid::out(steps);
        let rows = i64::try_from(laid.rows.len()).unwrap_or_default();
        let height = if rows == 0 { BAND + BELOW } else { BAND + rows * (BOX.1 + BETWEEN) - BETWEEN + BELOW };
        let says = match phase {
            Phase::Expand => "adds what the new version needs",
            Phase::Migrate => "fills the rows that were there before",
            Phase::Contract => "takes away what only the old version used; no way back",
        };
        self.bands.push(Band { y, height, name: phase.name(), says, empty: rows == 0 });
        let top = |row: usize| y + BAND + i64::try_from(row).unwrap_or_default() * (BOX.1 + BETWEEN);
        for item in &laid.items {
            let x = MARGIN * 2 + item.centre;
            self.width = self.width.max(x + BOX.0 / 2 + MARGIN * 2);
            let (Some(at), row) = (item.step, item.row) else { continue };
            let Some(step) = steps.get(at) else { continue };
            let after = laid.far.get(at).map(|far| far.iter().map(|from| (first + from + 1).to_string()).collect::<Vec<_>>());
            self.boxes.push(drawn(step, super::waits(plan, step), (x - BOX.0 / 2, top(row)), first + at + 1, &after.unwrap_or_default()));
        }
        for wire in &laid.wires {
            let points: Vec<(i64, usize)> =
                wire.iter().filter_map(|at| laid.items.get(*at)).map(|item| (MARGIN * 2 + item.centre, item.row)).collect();
            let (Some(begin), Some(end)) = (points.first(), points.last()) else { continue };
            let mut path = format!("M{} {}", begin.0, top(begin.1) + BOX.1);
            for pair in points.windows(2) {
                let [(x, row), (next, below)] = pair else { continue };
                let (from, to) = (top(*row) + BOX.1, top(*below));
                let middle = (from + to) / 2;
                let to = if below == &end.1 { to - 4 } else { to };
                let _ = write!(path, " C{x} {middle} {next} {middle} {next} {to}");
                if below != &end.1 {
                    let _ = write!(path, " V{}", to + BOX.1);
                }
            }
            self.arrows.push(Arrow { path, x: end.0, y: top(end.1) });
        }
        y + height + 10
    }
}

fn drawn(step: &Step, waits: Waits, (x, y): (i64, i64), number: usize, after: &[String]) -> Drawn {
    let lock = super::strongest(step);
    let cost = step.footprint.cost.name();
    Drawn {
        x,
        y,
        number,
        kind: short(&step.kind(), LETTERS - 6),
        object: short(&step.object, LETTERS),
        cost: lock.map_or_else(|| cost.to_owned(), |lock| format!("{cost} · {}", lock.mode.name().to_lowercase())),
        waits: waits.name(),
        after: if after.is_empty() { String::new() } else { format!("after {}", after.join(", ")) },
        title: format!("{}\n{}", step.id, step.why),
    }
}

/// A text that fits on a line: the middle of a longer one is left out. Wide letters take two places.
fn short(text: &str, places: usize) -> String {
    let wide = |c: char| if c >= '\u{1100}' { 2 } else { 1 };
    if text.chars().map(wide).sum::<usize>() <= places {
        return text.to_owned();
    }
    let within = |places: usize, letters: &mut dyn Iterator<Item = char>| {
        let mut left = places;
        letters
            .map_while(|c| {
                left.checked_sub(wide(c)).map(|rest| {
                    left = rest;
                    c
                })
            })
            .collect::<Vec<char>>()
    };
    let head = within((places - 1) / 2, &mut text.chars());
    let mut tail = within(places - 1 - (places - 1) / 2, &mut text.chars().rev());
    tail.reverse();
    head.into_iter().chain(['…']).chain(tail).collect()
}

/// The steps of a phase in rows.
struct Laid {
    items: Vec<Item>,
    /// The items of each row, from left to right.
    rows: Vec<Vec<usize>>,
    /// The items that each arrow goes through: a step, places to pass, a step.
    wires: Vec<Vec<usize>>,
    /// For each step the steps far above it that it needs.
    far: Vec<Vec<usize>>,
}

/// A box, or the place where an arrow passes a row.
struct Item {
    step: Option<usize>,
    row: usize,
    above: Vec<usize>,
    below: Vec<usize>,
    centre: i64,
}

impl Item {
    fn width(&self) -> i64 {
        if self.step.is_some() { BOX.0 } else { WIRE }
    }
}

/// How often rows are put in order, and then moved.
const SWEEPS: usize = 4;

impl Laid {
    fn out(steps: &[&Step]) -> Laid {
        let needed = needed(steps);
        let mut items: Vec<Item> = Vec::with_capacity(steps.len());
        let mut rows: Vec<Vec<usize>> = Vec::new();
        // Where a search for a row with room goes on: rows that are full lead on to the next one.
        let mut room: Vec<usize> = Vec::new();
        for (at, needs) in needed.iter().enumerate() {
            let mut row = needs.iter().filter_map(|above| items.get(*above)).map(|item| item.row + 1).max().unwrap_or(0);
            let mut passed = Vec::new();
            while let Some(next) = room.get(row).filter(|next| **next != row) {
                passed.push(row);
                row = *next;
            }
            for full in passed {
                room[full] = row;
            }
            while rows.len() <= row {
                room.push(rows.len());
                rows.push(Vec::new());
            }
            rows[row].push(at);
            if rows[row].len() == ACROSS {
                room[row] = row + 1;
            }
            items.push(Item { step: Some(at), row, above: Vec::new(), below: Vec::new(), centre: 0 });
        }
        let mut far = vec![Vec::new(); steps.len()];
        let mut wires = Vec::new();
        for (at, needs) in needed.iter().enumerate() {
            for from in needs {
                let (top, bottom) = (items[*from].row, items[at].row);
                if bottom - top > FAR {
                    far[at].push(*from);
                    continue;
                }
                let mut wire = vec![*from];
                for (row, places) in rows.iter_mut().enumerate().take(bottom).skip(top + 1) {
                    wire.push(items.len());
                    places.push(items.len());
                    items.push(Item { step: None, row, above: Vec::new(), below: Vec::new(), centre: 0 });
                }
                wire.push(at);
                for pair in wire.windows(2) {
                    items[pair[0]].below.push(pair[1]);
                    items[pair[1]].above.push(pair[0]);
                }
                wires.push(wire);
            }
        }
        let mut laid = Laid { items, rows, wires, far };
        laid.order();
        laid.place();
        laid
    }

    /// Puts each row in the order of what its items hang on, up and down, so that few arrows cross.
    fn order(&mut self) {
        let mut place = vec![0.0_f64; self.items.len()];
        let renumber = |row: &[usize], place: &mut [f64]| {
            for (index, at) in row.iter().enumerate() {
                place[*at] = index as f64 / row.len() as f64;
            }
        };
        for row in &self.rows {
            renumber(row, &mut place);
        }
        for sweep in 0..2 * SWEEPS {
            let down = sweep % 2 == 0;
            let mut numbers: Vec<usize> = (0..self.rows.len()).collect();
            if !down {
                numbers.reverse();
            }
            for number in numbers {
                let items = &self.items;
                let row = &mut self.rows[number];
                let wish = |at: usize| {
                    let near = if down { &items[at].above } else { &items[at].below };
                    if near.is_empty() { place[at] } else { near.iter().map(|other| place[*other]).sum::<f64>() / near.len() as f64 }
                };
                row.sort_by(|a, b| wish(*a).total_cmp(&wish(*b)));
                renumber(row, &mut place);
            }
        }
    }

    /// Moves the items of each row towards what they hang on, without changing their order or leaving the picture.
    fn place(&mut self) {
        let mut widest = 0;
        for row in &self.rows {
            let mut x = 0;
            for at in row {
                let width = self.items[*at].width();
                self.items[*at].centre = x + width / 2;
                x += width + BESIDE;
            }
            widest = widest.max(x - BESIDE);
        }
        for sweep in 0..2 * SWEEPS {
            let down = sweep % 2 == 0;
            let mut numbers: Vec<usize> = (0..self.rows.len()).collect();
            if !down {
                numbers.reverse();
            }
            for number in numbers {
                let row = &self.rows[number];
                let wishes: Vec<i64> = row
                    .iter()
                    .map(|at| {
                        let item = &self.items[*at];
                        let near = if down { &item.above } else { &item.below };
                        let sum: i64 = near.iter().map(|other| self.items[*other].centre).sum();
                        i64::try_from(near.len()).ok().filter(|count| *count > 0).map_or(item.centre, |count| sum / count)
                    })
                    .collect();
                let widths: Vec<i64> = row.iter().map(|at| self.items[*at].width()).collect();
                for (at, centre) in row.iter().zip(spread(&wishes, &widths, widest)) {
                    self.items[*at].centre = centre;
                }
            }
        }
    }
}

/// The places nearest to those that are wished for, in their order, side by side, from 0 to `widest`: blocks that would overlap
/// are put together at the mean of what their members wish.
fn spread(wishes: &[i64], widths: &[i64], widest: i64) -> Vec<i64> {
    let mut offsets = Vec::with_capacity(widths.len());
    let mut x = 0;
    for width in widths {
        offsets.push(x + width / 2);
        x += width + BESIDE;
    }
    let slack = (widest - (x - BESIDE)).max(0);
    // Sum and count of each block.
    let mut blocks: Vec<(i64, i64)> = Vec::new();
    for (wish, offset) in wishes.iter().zip(&offsets) {
        let mut block = (wish - offset, 1);
        while let Some((sum, count)) = blocks.pop_if(|(sum, count)| *sum * block.1 > block.0 * *count) {
            block = (block.0 + sum, block.1 + count);
        }
        blocks.push(block);
    }
    let shifts = blocks.iter().flat_map(|(sum, count)| (0..*count).map(move |_| sum.div_euclid(*count)));
    shifts.zip(&offsets).map(|(shift, offset)| shift.clamp(0, slack) + offset).collect()
}

/// For each step the earlier ones of its phase that it needs and that do not follow from others.
fn needed(steps: &[&Step]) -> Vec<Vec<usize>> {
    let places: BTreeMap<&str, usize> = steps.iter().enumerate().map(|(at, step)| (step.id.as_str(), at)).collect();
    let mut needed: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        // What comes later stands in the same transaction: there the order of the run is all that counts.
        let direct: BTreeSet<usize> =
            step.requires.iter().filter_map(|id| places.get(id.as_str()).copied()).filter(|from| *from < at).collect();
        let first = direct.first().copied().unwrap_or(at);
        let mut follows: BTreeSet<usize> = BTreeSet::new();
        let mut kept = Vec::new();
        for from in direct.into_iter().rev() {
            if follows.contains(&from) {
                continue;
            }
            kept.push(from);
            let mut open = vec![from];
            while let Some(next) = open.pop() {
                open.extend(needed[next].iter().copied().filter(|above| *above >= first && follows.insert(*above)));
            }
        }
        kept.reverse();
        needed.push(kept);
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(short("users", 10), "users");
        assert_eq!(short("users.agree.full_name", 11), "users…_name");
        assert_eq!(short("表表表表表表", 7), "表…表");
    }

    #[test]
    fn what_would_overlap_is_moved_apart() {
        // Two boxes want one place, the third is far off.
        let widths = [BOX.0, BOX.0, BOX.0];
        let places = spread(&[300, 300, 900], &widths, 2000);
        assert_eq!(places[1] - places[0], BOX.0 + BESIDE);
        assert_eq!((places[0] + places[1]) / 2, 300);
        assert_eq!(places[2], 900);
        assert_eq!(spread(&[-50], &[BOX.0], 500), [BOX.0 / 2]);
        assert_eq!(spread(&[900], &[BOX.0], 500), [500 - BOX.0 / 2]);
    }
}
