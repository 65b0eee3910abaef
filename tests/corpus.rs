//! Real schema changes, read where they lie beside the project: every pair compiles for PostgreSQL.
#![allow(missing_docs, clippy::print_stderr)]

use std::path::Path;
use std::process::Command;

#[test]
fn every_real_change_compiles() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/mediawiki");
    let Ok(entries) = corpus.read_dir() else {
        eprintln!("NOT TESTED: there is no corpus in {}", corpus.display());
        return;
    };
    let mut pairs: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("old.yaml").is_file()).collect();
    pairs.sort();
    assert_eq!(pairs.len(), 41, "pairs in {}", corpus.display());
    let mut refused = Vec::new();
    for pair in pairs {
        // What the change itself brings about is acknowledged: columns are dropped for good, and keys move.
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .current_dir(&pair)
            .args(["compile", "old.yaml", "new.yaml", "--dialect", "postgres", "--stdout", "expand"])
            .args(["--allow", "drops-data", "--allow", "old-key-binds"])
            .output();
        match output {
            Ok(output) if output.status.success() => {}
            Ok(output) => refused.push(format!("{}: {}", pair.display(), String::from_utf8_lossy(&output.stderr))),
            Err(error) => refused.push(format!("{}: {error}", pair.display())),
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
