//! The order of the layers, read from the paths in the source: a module uses only what stands above it, each foreign library
//! is named in one module only, and nothing above `engine` touches the outer world.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The order in which data passes through the modules; each uses only what stands before it.
const LAYERS: [&str; 13] =
    ["diagnostic", "sql", "snapshot", "diff", "plan", "dialect", "emit", "report", "engine", "inspect", "run", "rehearse", "cli"];

/// Libraries that only one module names.
const LIBRARIES: [(&str, &str); 10] = [
    ("sqlparser", "sql"),
    ("serde_yaml", "snapshot"),
    ("petgraph", "plan"),
    ("minijinja", "emit"),
    ("postgres", "engine"),
    ("mysql", "engine"),
    ("rustls", "engine"),
    ("rusqlite", "engine"),
    ("clap", "cli"),
    ("ctrlc", "cli"),
];

/// What reaches out of the process, or is different in the next run.
const OUTER_WORLD: [&str; 5] = ["fs", "process", "net", "env", "time"];

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let mut files = 0;
    for path in rust_files(&root) {
        files += 1;
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        faults.extend(check(&name, &fs::read_to_string(&path).unwrap()));
    }
    assert!(files > 20, "only {files} files were found");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_checker_finds_faults() {
    let faults = |file: &str, text: &str| check(file, text);
    assert_eq!(
        faults("plan/steps.rs", "use crate::diff::model::{Diff, Lens};\nuse super::graph;\nuse super::super::diff::Pair;"),
        Vec::<String>::new()
    );
    assert_eq!(
        faults("diff/mod.rs", "use crate::plan::Step;"),
        ["src/diff/mod.rs: `diff` uses `plan`, which stands below it (crate::plan::Step)"]
    );
    assert_eq!(faults("diff/mod.rs", "use crate::{snapshot::model, emit::{self, Script}};").len(), 2);
    assert_eq!(faults("diff/pair.rs", "fn f() { let x = crate::plan::plan(); }").len(), 1);
    assert_eq!(faults("diff/pair.rs", "use super::super::plan;").len(), 1);
    assert_eq!(faults("diff/mod.rs", "use super::plan;").len(), 1);
    assert_eq!(
        faults("diff/pair.rs", "// crate::plan\n/* crate::plan */ const A: &str = \"crate::plan\"; const B: char = '\"'; /* \" */").len(),
        0
    );
    assert_eq!(faults("diff/pair.rs", "fn f<'a>(x: &'a str) -> crate::emit::Script<'a> {}").len(), 1);
    assert_eq!(faults("mystery/mod.rs", ""), ["src/mystery/mod.rs: `mystery` has no place in the order of the layers"]);
    assert_eq!(faults("diff/mod.rs", "use sqlparser::ast;"), ["src/diff/mod.rs: only `sql` may name `sqlparser` (sqlparser::ast)"]);
    assert_eq!(faults("sql/parse.rs", "use sqlparser::ast::{Expr, Query};").len(), 0);
    assert_eq!(faults("run/mod.rs", "use crate::engine::{postgres::Session, ephemeral};").len(), 0);
    assert_eq!(faults("run/mod.rs", "use ::postgres::Client;").len(), 1);
    assert_eq!(faults("dialect/mod.rs", "mod postgres;\npub use postgres::Postgres;").len(), 0);
    assert_eq!(faults("plan/mod.rs", "fn f() { std::fs::read(\"x\"); }").len(), 1);
    assert_eq!(faults("engine/ephemeral.rs", "use std::{fs, process::Command};").len(), 0);
    assert_eq!(faults("plan/mod.rs", "use std::{fmt, fs, time::Instant};").len(), 2);
}

/// All faults of one file, by its path below `src`.
fn check(file: &str, text: &str) -> Vec<String> {
    let place = |layer: &str| LAYERS.iter().position(|name| *name == layer);
    let mut module: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    let layer = module[0];
    if ["lib", "main"].contains(&layer) {
        return Vec::new();
    }
    let Some(own) = place(layer) else { return vec![format!("src/{file}: `{layer}` has no place in the order of the layers")] };
    let above_engine = own < place("engine").unwrap();
    let tokens = tokens(text);
    let declared: Vec<&str> = tokens.windows(2).filter(|pair| pair[0] == "mod").map(|pair| pair[1].as_str()).collect();
    // A module within a file is one deeper; such are the tests, at the end of a file.
    let inner = tokens.windows(3).position(|part| part[0] == "mod" && part[2] == "{").unwrap_or(tokens.len());
    let mut faults = Vec::new();
    for (at, path) in paths(&tokens) {
        let text = path.join("::");
        let supers = path.iter().take_while(|part| *part == "super").count();
        let depth = module.len() + usize::from(at > inner);
        let used = match path[0].as_str() {
            "crate" => path.get(1),
            "super" if supers >= depth => path.get(supers),
            _ => None,
        };
        if let Some(other) = used.and_then(|name| place(name))
            && other > own
        {
            faults.push(format!("src/{file}: `{layer}` uses `{}`, which stands below it ({text})", LAYERS[other]));
        }
        let first = if path[0].is_empty() { &path[1] } else { &path[0] };
        let foreign = path[0].is_empty() || !declared.contains(&first.as_str());
        for (library, owner) in LIBRARIES {
            if first == library && foreign && owner != layer && path.len() > 1 {
                faults.push(format!("src/{file}: only `{owner}` may name `{library}` ({text})"));
            }
        }
        if above_engine && first == "std" && path.get(1).is_some_and(|name| OUTER_WORLD.contains(&name.as_str())) {
            faults.push(format!("src/{file}: `{layer}` stands above `engine` and may not touch the outer world ({text})"));
        }
    }
    faults
}

/// Words that may stand right before a path that starts with `::`.
const KEYWORDS: [&str; 12] = ["use", "pub", "return", "in", "as", "mut", "dyn", "impl", "else", "match", "if", "while"];

/// Every path of at least two parts, with the index of its first token; those in a tree of `use` are written out. A path
/// that starts with `::` has an empty first part.
fn paths(tokens: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = (is_word(&tokens[at]) && !KEYWORDS.contains(&tokens[at].as_str())) || tokens[at] == "::";
        let next = if starts { path(tokens, at, &[], at, &mut found) } else { at };
        at = next.max(at + 1);
    }
    found.retain(|(_, path)| path.len() > 1);
    found
}

/// Reads one path, and below a brace that follows `::` every branch of it. Gives back the token after it.
fn path(tokens: &[String], mut at: usize, prefix: &[String], start: usize, found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut parts = prefix.to_vec();
    if parts.is_empty() && tokens[at] == "::" {
        parts.push(String::new());
        at += 1;
    }
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") if !parts.is_empty() => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = if is_word(&tokens[at]) { path(tokens, at, &parts, start, found) } else { at + 1 };
                }
                return at + 1;
            }
            Some(word) if is_word(word) => {
                parts.push(word.to_owned());
                at += 1;
            }
            _ => {}
        }
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
        } else {
            found.push((start, parts));
            return at;
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The words and signs of a source text, without comments and literals. `::` is one sign.
fn tokens(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let next = rest.get(1).copied();
        match rest[0] {
            '/' if next == Some('/') => at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            '/' if next == Some('*') => {
                let end = rest.windows(2).skip(2).position(|pair| pair == ['*', '/']);
                at += end.map_or(rest.len(), |end| end + 4);
            }
            '"' => at += 1 + string_end(&rest[1..]),
            'r' if next == Some('"') || (next == Some('#') && rest.iter().skip(1).find(|c| **c != '#') == Some(&'"')) => {
                let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
                let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let body = 2 + hashes;
                at += rest[body..].windows(close.len()).position(|part| part == close).map_or(rest.len(), |end| body + end + close.len());
            }
            '\'' if next == Some('\\') => at += 3 + rest[3..].iter().position(|c| *c == '\'').map_or(rest.len(), |end| end + 1),
            '\'' if rest.get(2) == Some(&'\'') => at += 3,
            ':' if next == Some(':') => {
                tokens.push("::".to_owned());
                at += 2;
            }
            first if first.is_alphanumeric() || first == '_' => {
                let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                tokens.push(rest[..length].iter().collect());
                at += length;
            }
            other => {
                if !other.is_whitespace() {
                    tokens.push(other.to_string());
                }
                at += 1;
            }
        }
    }
    tokens
}

/// The length of the rest of a string literal, its closing quote included.
fn string_end(rest: &[char]) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}
