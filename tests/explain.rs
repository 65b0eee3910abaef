//! Every code has a page and every page has a code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade::diagnostic::Sources;
use crossfade::diagnostic::register::{codes, explain, find, nearest};
use crossfade::plan::Settings;
use crossfade::snapshot::model::Access;
use crossfade::sql::Dialect;

/// Where a code is made. Codes are literals in these calls, so that this list is complete.
const CALLS: [&str; 7] =
    ["Diagnostic::error(", "Diagnostic::warning(", "Diagnostic::note(", "Hazard::new(", ".warn(", " unknown(", ".ask("];

/// Functions that pass a code on; the calls of these functions are among [`CALLS`].
const FORWARDERS: [&str; 3] = ["diagnostic/mod.rs", "diff/lens.rs", "snapshot/raw.rs"];

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "tests.rs") {
            into.push(path);
        }
    }
}

/// The text without its comments and without its unit tests, which stand at the end of a file and may use any code.
fn program_text(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// Each code in `src`, with the first file that makes it; and the calls whose code is no literal.
fn codes_in_source() -> (BTreeMap<String, String>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let (mut codes, mut computed) = (BTreeMap::new(), Vec::new());
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = program_text(&fs::read_to_string(&file).unwrap());
        for call in CALLS {
            for (at, _) in text.match_indices(call) {
                // `warn` takes a pair of code and level.
                let argument = text[at + call.len()..].trim_start().trim_start_matches('(').trim_start();
                match argument.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                    Some((code, _)) => {
                        codes.entry(code.to_owned()).or_insert_with(|| name.clone());
                    }
                    // A hazard that is shown as a diagnostic keeps its code.
                    None if argument.starts_with("hazard.") => {}
                    None if FORWARDERS.contains(&name.as_str()) || !call.contains("::") => {}
                    None => computed.push(format!("{name}: {call}{}", argument.lines().next().unwrap_or_default())),
                }
            }
        }
    }
    (codes, computed)
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let (made, computed) = codes_in_source();
    let without_page: Vec<_> =
        made.iter().filter(|(code, _)| explain(code).is_none()).map(|(code, file)| format!("{code} ({file})")).collect();
    let without_code: Vec<_> = codes().filter(|page| !made.contains_key(page.code)).map(|page| page.code).collect();
    assert!(computed.is_empty(), "codes are literals where they are used, so that they can be found:\n{}", computed.join("\n"));
    assert!(
        without_page.is_empty(),
        "codes without a page (write src/diagnostic/pages/CODE.md and list it in src/diagnostic/register.rs):\n{}",
        without_page.join("\n")
    );
    assert!(without_code.is_empty(), "pages whose code is nowhere made: {without_code:?}");
}

#[test]
fn pages_are_files_in_order_and_have_the_fixed_headings() {
    let listed: Vec<&str> = codes().map(|page| page.code).collect();
    assert!(listed.is_sorted_by(|a, b| a < b), "the list in register.rs is sorted and has no code twice");
    let mut files: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnostic/pages"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(listed, files, "the pages listed in register.rs are the files of src/diagnostic/pages");

    for page in codes() {
        let code = page.code;
        assert!(
            code.split('-').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())),
            "{code}: words joined by hyphens"
        );
        let lines: Vec<&str> = page.text.lines().collect();
        assert_eq!(lines[0], format!("# {code}"));
        assert!(lines[1].is_empty() && lines[3].is_empty(), "{code}: the summary is one line between two empty ones");
        assert!(page.summary().ends_with('.') && page.summary().len() <= 120, "{code}: {}", page.summary());
        let mut fenced = false;
        let mut headings = Vec::new();
        for line in &lines {
            assert!(line.trim_end() == *line && !line.contains('\t'), "{code}: {line:?}");
            fenced ^= line.starts_with("```");
            if !fenced && line.starts_with('#') {
                headings.push(*line);
            }
        }
        assert!(!fenced, "{code}: a fence is left open");
        assert_eq!(headings[1..], ["## What it means", "## Example", "## What to do"], "{code}");
        for heading in ["What it means", "Example", "What to do"] {
            assert!(page.section(heading).is_some_and(|text| !text.is_empty()), "{code}: `{heading}` is empty");
        }
        assert!(page.text.ends_with('\n') && !page.text.ends_with("\n\n"), "{code}: ends with one line break");
    }
}

#[test]
fn a_misspelt_code_is_guessed() {
    assert_eq!(nearest("unknown-cod"), Some("unknown-code"));
    assert_eq!(nearest("UNKNOWN_CODE"), Some("unknown-code"));
    assert_eq!(nearest("quite something else"), None);
    assert_eq!(find("unknown-code").unwrap().code, "unknown-code");
    let error = find("unknwon-code").unwrap_err();
    assert_eq!((error.code, error.help.as_slice()), ("unknown-code", ["did you mean `unknown-code`?".to_owned()].as_slice()));
    assert_eq!(find("zzz").unwrap_err().help, ["`crossfade explain` lists all codes"]);
}

/// Codes of all faults in a snapshot, on every dialect.
fn faults_of(yaml: &str) -> Vec<&'static str> {
    let mut sources = Sources::default();
    let file = sources.add("example.yaml", yaml);
    let (snapshot, mut found) = crossfade::snapshot::read(&sources, &[file]);
    for dialect in Dialect::ALL {
        found.extend(snapshot.resolve(dialect).1);
    }
    let mut found: Vec<&str> = found.iter().map(|d| d.code).collect();
    found.dedup();
    found
}

/// Codes of everything that is said about the way from one snapshot to the other, on every dialect that is compiled.
fn codes_of_plan(old: &str, new: &str) -> Vec<&'static str> {
    let mut sources = Sources::default();
    let files = [sources.add("old.yaml", old), sources.add("new.yaml", new)];
    let snapshots = files.map(|file| crossfade::snapshot::read(&sources, &[file]).0);
    let mut codes = Vec::new();
    for dialect in Dialect::ALL {
        let Some(target) = crossfade::dialect::target(dialect) else { continue };
        let [(old, _), (new, _)] = [&snapshots[0], &snapshots[1]].map(|snapshot| snapshot.resolve(dialect));
        let (diff, said) = crossfade::diff::diff(&old, &new, dialect, &crossfade::diff::Options::default());
        codes.extend(said.iter().map(|d| d.code));
        if said.is_empty() {
            let access = new.transition.as_ref().and_then(|transition| transition.access).unwrap_or(Access::Shared);
            let settings = Settings { access, schema: "public".to_owned(), allow: Vec::new() };
            let (plan, said) = crossfade::plan::plan(&diff, &settings, target);
            codes.extend(said.iter().map(|d| d.code));
            codes.extend(plan.hazards.iter().map(|hazard| hazard.code));
        }
    }
    codes
}

/// An example that is a whole snapshot (it starts with `version:`) has the fault that its page is about, and no other; of
/// two snapshots, an old and a new one, neither has a fault of its own.
#[test]
fn examples_do_what_their_page_says() {
    let mut wrong = Vec::new();
    for page in codes() {
        let example = page.section("Example").unwrap_or_default();
        let fences: Vec<&str> = example.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let snapshots: Vec<&&str> = fences.iter().filter(|yaml| yaml.starts_with("version:")).collect();
        let expected: &[&str] = if snapshots.len() == 1 { &[page.code] } else { &[] };
        for yaml in &snapshots {
            let found = faults_of(yaml);
            if found != expected {
                wrong.push(format!("{}: {found:?}", page.code));
            }
        }
        if let [old, new] = snapshots[..] {
            let found = codes_of_plan(old, new);
            if !found.contains(&page.code) {
                wrong.push(format!("{}: the plan has {found:?}", page.code));
            }
        }
    }
    assert!(wrong.is_empty(), "these examples give other codes:\n{}", wrong.join("\n"));
}
