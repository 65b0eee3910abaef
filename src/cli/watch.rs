//! What is shown of a run while it goes on: a bar on a terminal, lines elsewhere, or a JSON object a line.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::output::{self, Format};
use crate::run::{Event, Observer};

/// How often a bar is drawn, and how often a line is written where there is none.
const DRAWN: Duration = Duration::from_millis(100);
const TOLD: Duration = Duration::from_secs(5);
/// Width of a bar.
const WIDTH: u64 = 24;

/// Shows what happens.
pub(crate) struct Watcher {
    format: Format,
    terminal: bool,
    fill: Mutex<Fill>,
}

/// How far the backfill is that goes on.
#[derive(Default)]
struct Fill {
    name: String,
    estimate: u64,
    before: u64,
    rows: u64,
    filled: u64,
    /// What is said of the rows in `filled`.
    are: &'static str,
    begun: Option<Instant>,
    shown: Option<Instant>,
    drawn: bool,
}

impl Fill {
    fn begins(&mut self, name: &str, estimate: u64, before: u64, are: &'static str) {
        *self = Fill { name: name.to_owned(), estimate, before, are, begun: Some(Instant::now()), ..Fill::default() };
    }

    fn rate(&self) -> f64 {
        self.rows as f64 / self.begun.map_or(1.0, |begun| begun.elapsed().as_secs_f64()).max(0.001)
    }

    fn line(&self) -> String {
        let done = self.before + self.rows;
        let rate = self.rate();
        let Fill { name, estimate, filled, are, .. } = self;
        if *estimate == 0 {
            return format!("{name}: {done} rows, {filled} {are}, {rate:.0} rows/s");
        }
        let share = (done * 100 / estimate).min(100);
        let left = estimate.saturating_sub(done) as f64 / rate.max(1.0);
        format!("{name}: {share} %, {done} of about {estimate} rows, {filled} {are}, {rate:.0} rows/s, {left:.0} s left")
    }

    fn bar(&self) -> String {
        let full = ((self.before + self.rows) * WIDTH).checked_div(self.estimate).unwrap_or(0).min(WIDTH);
        let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect();
        format!("{bar} {}", self.line())
    }
}

impl Watcher {
    pub(crate) fn new(format: Format) -> Watcher {
        Watcher { format, terminal: format == Format::Text && io::stderr().is_terminal(), fill: Mutex::new(Fill::default()) }
    }

    /// Takes away what a bar has left on its line.
    pub(crate) fn close(&self) {
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        Self::wipe(&mut fill);
    }

    /// The result.
    pub(crate) fn ended(&self, how: &str, text: &str) -> io::Result<()> {
        match self.format {
            Format::Text => output::print(&format!("{text}\n")),
            Format::Json => output::print(&format!("{}\n", json!({ "event": how, "message": text }))),
        }
    }

    fn wipe(fill: &mut Fill) {
        if fill.drawn {
            fill.drawn = false;
            // A terminal that has gone shows nothing anyway.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn say(&self, fill: &mut Fill, text: &str, json: &Value) {
        Self::wipe(fill);
        match self.format {
            Format::Text => anstream::eprintln!("{text}"),
            Format::Json => anstream::eprintln!("{json}"),
        }
    }
}

impl Watcher {
    /// A part is through: a bar is drawn, or a line written now and then, or each part told as JSON.
    fn goes_on(&self, fill: &mut Fill, json: impl Fn() -> Value) {
        let every = if self.terminal { DRAWN } else { TOLD };
        match self.format {
            Format::Json => {
                let mut json = json();
                json["rows_total"] = (fill.before + fill.rows).into();
                json["rows_per_second"] = fill.rate().round().into();
                self.say(fill, "", &json);
            }
            Format::Text if fill.shown.or(fill.begun).is_none_or(|shown| shown.elapsed() >= every) => {
                fill.shown = Some(Instant::now());
                if self.terminal {
                    let _ = write!(io::stderr(), "\r\x1b[K{}", fill.bar());
                    fill.drawn = true;
                } else {
                    let line = fill.line();
                    self.say(fill, &format!("  {line}"), &Value::Null);
                }
            }
            Format::Text => {}
        }
    }
}

impl Observer for Watcher {
    fn hear(&self, event: &Event<'_>) {
        let mut guard = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        let fill = &mut *guard;
        match event {
            Event::WaitsForRunner(holder) => {
                self.say(fill, &format!("waiting for another runner: {holder}"), &json!({ "event": "waits_for_runner", "holder": holder }))
            }
            Event::Begins(section, title) => {
                self.say(fill, &format!("{section}: {title}"), &json!({ "event": "statement", "section": section, "what": title }))
            }
            Event::WasDone(section, title) => self.say(
                fill,
                &format!("{section}: done before: {title}"),
                &json!({ "event": "was_done", "section": section, "what": title }),
            ),
            Event::MetLock(blockers, attempt, pause) => {
                let mut text = format!("  a lock was not free (try {attempt}); again in {} ms", pause.as_millis());
                for blocker in *blockers {
                    text.push_str(&format!("\n  it waited for {blocker}"));
                }
                let json = json!({ "event": "lock", "try": attempt, "pause_ms": pause.as_millis(), "blockers": blockers });
                self.say(fill, &text, &json);
            }
            Event::MetReaders(readers, attempt, pause) => {
                let mut text = format!("  clients hold the schema lock (try {attempt}); again in {} ms", pause.as_millis());
                for reader in *readers {
                    text.push_str(&format!("\n  it is held by {reader}"));
                }
                let json = json!({ "event": "schema_lock", "try": attempt, "pause_ms": pause.as_millis(), "readers": readers });
                self.say(fill, &text, &json);
            }
            Event::Waits(blockers) => {
                let text: Vec<String> = blockers.iter().map(|blocker| format!("  still waiting for {blocker}")).collect();
                self.say(fill, &text.join("\n"), &json!({ "event": "waits", "blockers": blockers }));
            }
            Event::Notice(severity, message) => self.say(
                fill,
                &format!("  {}: {message}", severity.to_lowercase()),
                &json!({ "event": "notice", "severity": severity, "message": message }),
            ),
            Event::Fills(name, estimate, before, parts) => {
                fill.begins(name, *estimate, *before, "filled");
                if self.format == Format::Json {
                    let json = json!({ "event": "backfill", "backfill": name, "rows": estimate, "done": before, "parts": parts });
                    self.say(fill, "", &json);
                }
            }
            Event::Batch(batch) => {
                fill.rows += batch.rows;
                fill.filled += batch.filled;
                let json = || {
                    json!({
                        "event": "batch", "backfill": batch.backfill, "part": batch.part, "rows": batch.rows, "filled": batch.filled,
                        "ms": batch.took.as_millis(),
                    })
                };
                self.goes_on(fill, json);
            }
            Event::Looks(what, estimate) => {
                fill.begins(what, *estimate, 0, "disagree");
                if self.format == Format::Json {
                    self.say(fill, "", &json!({ "event": "compare", "what": what, "rows": estimate }));
                }
            }
            Event::Looked(range) => {
                fill.rows += range.rows;
                fill.filled += range.disagree;
                let json = || {
                    json!({
                        "event": "range", "what": range.what, "rows": range.rows, "disagree": range.disagree, "ms": range.took.as_millis(),
                    })
                };
                self.goes_on(fill, json);
            }
            Event::SetAside(row) => self.say(
                fill,
                &format!("  set aside: {row}: {}\n    its values: {}", row.error, row.values),
                &json!({ "event": "set_aside", "backfill": row.backfill, "key": row.key, "values": row.values, "error": row.error }),
            ),
            Event::TookBack(row) => self.say(
                fill,
                &format!("  no longer set aside: {} {} = {}", row.table, row.columns.join(", "), row.key.join(", ")),
                &json!({ "event": "took_back", "backfill": row.backfill, "key": row.key }),
            ),
            Event::Pauses(why) => self.say(fill, &format!("  paused while {why}"), &json!({ "event": "pauses", "while": why })),
            Event::GoesOn => self.say(fill, "  goes on", &json!({ "event": "goes_on" })),
            Event::Filled(name, rows) => {
                self.say(fill, &format!("  {name}: {rows} rows filled"), &json!({ "event": "filled", "backfill": name, "rows": rows }))
            }
        }
    }
}
