//! Same input, same bytes: a thousand shuffles of the two snapshots in `tests/determinism` compile to the same scripts and the
//! same manifest, in both access modes.
//!
//! What is shuffled is what has no order: the entries of every map but the columns of a table, and the lists of its unique
//! constraints, checks, foreign keys and indexes. Each of those is named there: the conventional names of two that would have
//! one are told apart by the order in which they stand.
#![allow(missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering};

use crossfade::diagnostic::{Colour, Diagnostic, Sources, has_errors, render_human};
use crossfade::dialect::postgres::Postgres;
use crossfade::diff::{Options, diff};
use crossfade::emit::manifest::OfDialect;
use crossfade::emit::scripts;
use crossfade::plan::{self, Settings};
use crossfade::report::graph::svg;
use crossfade::snapshot;
use crossfade::snapshot::model::{Access, Schema};
use crossfade::sql::Dialect;
use serde_json::Value;

const SHUFFLES: u64 = 1000;

/// A small generator of random numbers (splitmix64), so that a failing shuffle can be run again by its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).expect("it is below a length");
            items.swap(last, other);
        }
    }
}

/// Writes a snapshot as JSON, which YAML reads too, with everything shuffled that has no order. `path` leads to the value.
fn write(value: &Value, path: &[&str], random: &mut Random, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            // The order of columns is that of the table; that of their hints says nothing.
            if !matches!(path, ["tables", _, "columns"]) {
                random.shuffle(&mut entries);
            }
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(": ");
                let below: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                write(value, &below, random, out);
            }
            out.push('}');
        }
        Value::Array(list) => {
            let mut items: Vec<&Value> = list.iter().collect();
            if matches!(path, ["tables", _, "unique" | "checks" | "foreign_keys" | "indexes"]) {
                random.shuffle(&mut items);
            }
            out.push('[');
            for (at, item) in items.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                write(item, &[], random, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn sound(sources: &Sources, faults: &[Diagnostic]) {
    assert!(!has_errors(faults), "{}", render_human(sources, faults, Colour::Never));
}

fn read(text: String) -> Schema {
    let mut sources = Sources::default();
    let file = sources.add("shuffled.yaml", text);
    let (snapshot, faults) = snapshot::read(&sources, &[file]);
    sound(&sources, &faults);
    let (schema, faults) = snapshot.resolve(Dialect::Postgres);
    sound(&sources, &faults);
    schema
}

/// All that is written for a pair of snapshots but the hashes of their texts.
fn compile(old: &Schema, new: &Schema) -> Vec<(String, String)> {
    let (found, faults) = diff(old, new, Dialect::Postgres, &Options::default());
    sound(&Sources::default(), &faults);
    let mut files = Vec::new();
    for access in [Access::Shared, Access::Versioned] {
        let settings = Settings { access, schema: "public".to_owned(), allow: Vec::new() };
        let (plan, faults) = plan::plan(&found, &settings, &Postgres);
        sound(&Sources::default(), &faults);
        let scripts = scripts(&plan).expect("every template fits");
        files.extend(scripts.files().map(|(name, text)| (format!("{access:?} {name}"), text.to_owned())));
        let manifest = serde_json::to_string_pretty(&OfDialect::new(&plan).expect("it fits")).expect("it is data");
        files.push((format!("{access:?} manifest"), manifest));
        files.push((format!("{access:?} picture"), svg(std::slice::from_ref(&plan)).expect("it fits")));
    }
    files
}

fn shuffled(old: &Value, new: &Value, number: u64) -> Vec<(String, String)> {
    let mut random = Random(number);
    let mut side = |value: &Value| {
        let mut text = String::new();
        write(value, &[], &mut random, &mut text);
        read(text)
    };
    let (old, new) = (side(old), side(new));
    compile(&old, &new)
}

#[test]
fn a_thousand_shuffles_give_the_same_bytes() {
    let base = |text: &str| serde_yaml::from_str::<Value>(text).expect("it is YAML");
    let (old, new) = (base(include_str!("determinism/old.yaml")), base(include_str!("determinism/new.yaml")));
    let expected = shuffled(&old, &new, 0);
    let next = AtomicU64::new(1);
    let run = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number > SHUFFLES {
            break;
        }
        for ((name, expected), (_, got)) in expected.iter().zip(&shuffled(&old, &new, number)) {
            if expected != got {
                let difference = similar::TextDiff::from_lines(expected, got).unified_diff().context_radius(3).to_string();
                panic!("{name} differs in shuffle {number}:\n{difference}");
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(run);
        }
    });
}
