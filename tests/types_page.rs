//! The page of types shows the mapping table as the program has it. `UPDATE_DOCS=1 cargo test --test types_page` writes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;

use crossfade::snapshot::types::MAPPING;

const BEGIN: &str = "<!-- mapping: begin -->\n";
const END: &str = "<!-- mapping: end -->\n";

#[test]
fn the_table_is_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = String::from("| portable | PostgreSQL | MySQL | MariaDB | SQLite |\n|---|---|---|---|---|\n");
    for (portable, dialects) in MAPPING {
        // A word that is no type stands plain.
        let cell = |text: &str| match text {
            "-" | "its name" | "text with a check" => text.to_owned(),
            text => format!("`{}`", text.replace(['{', '}'], "")),
        };
        let cells: Vec<String> = dialects.iter().map(|text| cell(text)).collect();
        let _ = writeln!(
            table,
            "| {} | {} |",
            if portable == "enum" { "an enum's name".to_owned() } else { cell(portable) },
            cells.join(" | ")
        );
    }
    let fresh = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    assert!(
        page == fresh || std::env::var_os("UPDATE_DOCS").is_some(),
        "docs/types.md is stale: run UPDATE_DOCS=1 cargo test --test types_page"
    );
}
