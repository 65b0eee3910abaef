//! Reports and pictures of plans: well-formed, the same each time, readable without anything from elsewhere, and harmless whatever
//! things are called.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn crossfade(arguments: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(root).env("COLUMNS", "100").output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = crossfade(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An element: its name, and its attributes as they are written.
type Element = (String, Vec<(String, String)>);

/// The elements of a text that must be well-formed XML: name and attributes of each, as written. Every one is closed, in its order;
/// every `&` begins one of XML's own entities; no attribute comes twice; and all characters are XML's.
fn elements(text: &str) -> Result<Vec<Element>, String> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = text.strip_prefix("<!doctype html>").unwrap_or(text);
    if let Some(bad) = rest.chars().find(|c| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Err(format!("{bad:?} is no character of XML"));
    }
    for part in rest.split('&').skip(1) {
        let name = part.split(';').next().unwrap_or_default();
        if !["amp", "lt", "gt", "quot", "#39"].contains(&name) {
            return Err(format!("&{name} is no entity"));
        }
    }
    while let Some((before, after)) = rest.split_once('<') {
        if open.is_empty() && !before.trim().is_empty() {
            return Err(format!("{before:?} stands outside of all elements"));
        }
        let (tag, behind) = after.split_once('>').ok_or("a tag has no end")?;
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last.as_deref() != Some(name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("<{tag}> is no element"));
        }
        let mut said: Vec<(String, String)> = Vec::new();
        while !attributes.trim().is_empty() {
            let (key, value) = attributes.split_once("=\"").ok_or_else(|| format!("<{tag}>: an attribute has no value"))?;
            let (value, behind) = value.split_once('"').ok_or_else(|| format!("<{tag}>: a value has no end"))?;
            let key = key.trim();
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') || said.iter().any(|(other, _)| other == key) {
                return Err(format!("<{tag}>: {key:?} is no attribute, or comes twice"));
            }
            said.push((key.to_owned(), value.to_owned()));
            attributes = behind;
        }
        if !is_empty {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), said));
    }
    if open.is_empty() && rest.trim().is_empty() { Ok(found) } else { Err(format!("{open:?} is not closed")) }
}

#[test]
fn the_checker_finds_faults() {
    for bad in
        ["<a>", "<a></b>", "<a b=1></a>", "<a b=\"1\" b=\"2\"/>", "<a>&nbsp;</a>", "<a>\u{1}</a>", "<a/>x", "x<a/>", "<a <b/>/>", "<a></a"]
    {
        assert!(elements(bad).is_err(), "{bad}");
    }
    assert_eq!(elements("<!doctype html>\n<a b=\"&lt;\"><c/>&amp;</a>\n").unwrap().len(), 2);
}

/// A page that a browser shows alone: no scripts, nothing to fetch, no handlers.
fn harmless(page: &str) {
    for (name, attributes) in elements(page).unwrap() {
        assert!(!["script", "link", "img", "iframe", "object", "embed", "form", "base"].contains(&name.as_str()), "<{name}>");
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && !["src", "srcset", "action"].contains(&key.as_str()), "<{name} {key}>");
            assert!(key != "href" || value.starts_with('#'), "<{name} {key}=\"{value}\">");
        }
    }
    assert!(!page.contains("@import") && !page.contains("url("), "a style fetches something");
}

/// The boxes of the steps: x, y, and the number that is shown.
fn boxes(picture: &str) -> Vec<(i64, i64, usize)> {
    let number = |text: &str| text.parse::<i64>().unwrap();
    let groups = picture.split("<g transform=\"translate(").skip(1).filter(|group| group.contains("class=\"box\""));
    groups
        .map(|group| {
            let (place, rest) = group.split_once(")\"").unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let shown = rest.split("text-anchor=\"end\">").nth(1).unwrap().split('<').next().unwrap();
            (number(x), number(y), shown.parse().unwrap())
        })
        .collect()
}

/// Every step has a box, none lies over another one or outside, and each stands below all that it needs in its phase.
fn drawn_well(old: &str, new: &str, more: &[&str]) {
    let picture = printed(&[&["plan", old, new, "--format", "svg"], more].concat());
    let elements = elements(&picture).unwrap_or_else(|why| panic!("{new}: {why}"));
    let size = |key: &str| elements[0].1.iter().find(|(name, _)| name == key).unwrap().1.parse::<i64>().unwrap();
    let (width, height) = (size("width"), size("height"));
    let plan: serde_json::Value = serde_json::from_str(&printed(&[&["plan", old, new, "--format", "json"], more].concat())).unwrap();
    let steps = plan[0]["steps"].as_array().unwrap();
    let boxes = boxes(&picture);
    assert_eq!(boxes.iter().map(|(.., number)| *number).collect::<Vec<_>>(), (1..=steps.len()).collect::<Vec<_>>(), "{new}");
    for (at, (x, y, number)) in boxes.iter().enumerate() {
        assert!(*x >= 0 && *y >= 0 && x + 204 <= width && y + 58 <= height, "{new}: {number} lies outside");
        for (other_x, other_y, other) in &boxes[..at] {
            assert!((x - other_x).abs() >= 204 || (y - other_y).abs() >= 58, "{new}: {number} lies over {other}");
        }
        let step = &steps[at];
        for needed in step["requires"].as_array().unwrap() {
            let Some(place) = steps[..at].iter().position(|other| other["id"] == *needed && other["phase"] == step["phase"]) else {
                continue;
            };
            assert!(boxes[place].1 + 58 <= *y, "{new}: {number} does not stand below {}", boxes[place].2);
        }
    }
}

#[test]
fn pictures_are_laid_out_well() {
    let allow = ["--database", "app", "--allow", "drops-data", "--allow", "old-key-binds"];
    for case in ["split-full-name", "placeholder"] {
        let (old, new) = (format!("examples/{case}/old.yaml"), format!("examples/{case}/new.yaml"));
        drawn_well(&old, &new, &allow);
        drawn_well("empty", &new, &allow);
    }
    for case in ["key-retyped", "tables-added", "weird-names", "mirror-rules", "rules-of-renamed-tables"] {
        let (old, new) = (format!("tests/cases/{case}/old.yaml"), format!("tests/cases/{case}/new.yaml"));
        drawn_well(&old, &new, &[&allow[..], &["--access", "versioned"]].concat());
    }
    drawn_well("tests/determinism/old.yaml", "tests/determinism/new.yaml", &allow);
    // Nothing to do is a picture, too; and several dialects are one.
    let (old, new) = ("examples/placeholder/old.yaml", "examples/placeholder/new.yaml");
    drawn_well(old, old, &[]);
    let both = printed(&["plan", old, new, "--format", "svg", "--dialect", "postgres", "--dialect", "sqlite"]);
    assert_eq!(elements(&both).unwrap().iter().filter(|(name, _)| name == "svg").count(), 1);
    assert!(both.contains("v1 → v2 on postgres") && both.contains("v1 → v2 on sqlite"));
}

#[test]
fn a_report_is_one_page_that_needs_nothing() {
    let (old, new) = ("examples/split-full-name/old.yaml", "examples/split-full-name/new.yaml");
    let dialects = ["--dialect", "postgres", "--dialect", "mysql", "--dialect", "mariadb", "--dialect", "sqlite", "--database", "app"];
    let page = printed(&[&["report", old, new], &dialects[..]].concat());
    harmless(&page);
    assert_eq!(page, printed(&[&["report", old, new], &dialects[..]].concat()));
    for dialect in ["postgres", "mysql", "mariadb", "sqlite"] {
        assert!(page.contains(&format!("<h3>By hand on {dialect}</h3>")) && page.contains(&format!("ocata → pike on {dialect}")));
    }
    // Each script is there in full, but for its colours.
    let plain: String = page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    for script in ["expand", "migrate", "contract", "abort", "verify"] {
        let text = printed(&[&["compile", old, new, "--stdout", script], &dialects[..]].concat());
        for line in text.lines().filter(|line| !line.starts_with("-- ===")) {
            let head = line.strip_prefix("-- pike_").map(|head| format!("pike_{head}"));
            assert!(
                plain.contains(line) || head.is_some_and(|head| plain.contains(&head)) || line == "-- Gates" || line == "-- Done",
                "{script}: {line}"
            );
        }
    }
    harmless(&printed(&["report", "empty", old]));
}

/// Writes two snapshots whose names are full of signs.
fn signs(folder: &Path) -> (PathBuf, PathBuf) {
    let table = r#""</pre><script>alert('1')</script>&\"q\"`b`|]]>--$x$\u202E""#;
    let snapshot = |version: &str, more: &str| {
        let columns = "id: bigint primary key, \"<b onclick='x'>\": text";
        format!("version: {version}\ntables:\n  {table}:\n    comment: \"--> </title>\"\n    columns: {{{columns}{more}}}\n")
    };
    let (old, new) = (folder.join("old.yaml"), folder.join("new.yaml"));
    std::fs::write(&old, snapshot("v1", "")).unwrap();
    let more = ", \"`c`|</svg>\": text not null default '</pre><script>&amp;'";
    std::fs::write(&new, snapshot("v2", more) + "transition: {from: v1}\n").unwrap();
    (old, new)
}

#[test]
fn names_full_of_signs_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = signs(folder.path());
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    for dialect in ["postgres", "sqlite"] {
        let page = printed(&["report", old, new, "--dialect", dialect]);
        harmless(&page);
        assert!(page.contains("&lt;script&gt;alert") && !page.contains('\u{202e}'));
        elements(&printed(&["plan", old, new, "--dialect", dialect, "--format", "svg"])).unwrap();
        // In Markdown no tag is left outside of code but those of the page itself, and every fence ends where it should.
        let text = printed(&["report", old, new, "--dialect", dialect, "--format", "markdown"]);
        let mut fence: Option<&str> = None;
        for line in text.lines() {
            match fence {
                Some(end) => fence = Some(end).filter(|end| line != *end),
                None if line.starts_with("```") => fence = Some(line.trim_end_matches(char::is_alphabetic)),
                None => {
                    let outside: String = without_code(line);
                    let outside = outside.replace("\\<", "");
                    let tags =
                        ["<details>", "</details>", "<summary>", "</summary>"].iter().fold(outside, |text, tag| text.replace(tag, ""));
                    assert!(!tags.contains('<'), "{line}");
                }
            }
        }
        assert_eq!(fence, None);
    }
}

/// A line of Markdown without its code.
fn without_code(line: &str) -> String {
    let line = line.replace("\\`", "");
    let (mut out, mut rest) = (String::new(), line.as_str());
    while let Some(start) = rest.find('`') {
        out.push_str(&rest[..start]);
        let run = rest[start..].chars().take_while(|c| *c == '`').count();
        let quote = "`".repeat(run);
        let mut at = start + run;
        let end = loop {
            let next = rest[at..].find('`').unwrap_or_else(|| panic!("code has no end: {line}")) + at;
            let length = rest[next..].chars().take_while(|c| *c == '`').count();
            if length == quote.len() {
                break next + length;
            }
            at = next + length;
        };
        rest = &rest[end..];
    }
    out + rest
}

#[test]
fn a_small_report() {
    let (old, new) = ("examples/placeholder/old.yaml", "examples/placeholder/new.yaml");
    let shown = |name: &str, text: String| {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true, snapshot_path => "snapshots/report" }, {
            insta::assert_snapshot!(name, text);
        });
    };
    // Of the SQL one script is enough: each has its own tests.
    let text = printed(&["report", old, new, "--format", "markdown"]);
    let (before, _) = text.split_once("<details><summary>migrate.sql").unwrap();
    shown("page.md", before.to_owned());
    shown("graph.svg", printed(&["plan", old, new, "--format", "svg"]));
    // The SQL is in the Markdown already, and the picture beside it.
    let page = printed(&["report", old, new]);
    let (page, _) = page.split_once("<section id=\"sql\">").unwrap();
    let (before, picture) = page.split_once("<section id=\"graph\">").unwrap();
    let (_, behind) = picture.split_once("</section>").unwrap();
    let (head, body) = before.split_once("<style>").unwrap();
    let (_, body) = body.split_once("</style>").unwrap();
    shown("page.html", [head, "<style>…</style>", body, "<section id=\"graph\">…</section>", behind].concat());
}

#[test]
fn a_file_is_written_as_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/report.md");
    let (old, new) = ("examples/placeholder/old.yaml", "examples/placeholder/new.yaml");
    let said = printed(&["report", old, new, "--out", path.to_str().unwrap()]);
    assert_eq!(said, format!("wrote {}\n", path.display()));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("## v1 → v2\n"));
    printed(&["report", old, new, "--format", "html", "--out", path.to_str().unwrap()]);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("<!doctype html>\n"));
    let output = crossfade(&["report", "examples/placeholder/new.yaml", "empty", "--out", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("<!doctype html>\n"), "nothing is written when there is an error");
}
