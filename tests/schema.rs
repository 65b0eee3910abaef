//! The JSON Schemas in `schemas/` are what the program prints. `UPDATE_SCHEMAS=1 cargo test --test schema` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

#[test]
fn schemas_are_fresh() {
    for name in ["snapshot", "settings"] {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["schema", name]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        let printed = String::from_utf8(output.stdout).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.schema.json"));
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == printed, "schemas/{name}.schema.json is stale: run UPDATE_SCHEMAS=1 cargo test --test schema");
    }
}
