//! Any bytes as a snapshot: read, resolved for every dialect, rendered and formatted. Nothing may panic, and a place that is
//! reported lies in the text.
#![no_main]

use crossfade::diagnostic::{Colour, Sources, line_column, render_human, render_json};
use crossfade::snapshot::{self, fmt};
use crossfade::sql::Dialect;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut sources = Sources::default();
    let file = sources.add("fuzz.yaml", text);
    let (read, mut diagnostics) = snapshot::read(&sources, &[file]);
    for dialect in Dialect::ALL {
        diagnostics.extend(read.resolve(dialect).1);
    }
    for diagnostic in &diagnostics {
        assert!(diagnostic.labels.iter().all(|label| line_column(&sources, label.span).is_some()));
    }
    render_human(&sources, &diagnostics, Colour::Always);
    render_json(&sources, &diagnostics);

    let once = fmt::format(text);
    assert_eq!(fmt::format(&once), once);
});
