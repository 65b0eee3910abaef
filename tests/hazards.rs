//! Every hazard of a plan: `tests/hazards.yaml` has its level, its words on the example of its page, and a near miss without it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use crossfade::diagnostic::register::explain;
use crossfade::diagnostic::{Diagnostic, Level, Sources, has_errors};
use crossfade::plan::Settings;
use crossfade::plan::model::Hazard;
use crossfade::snapshot::model::Access;
use crossfade::sql::Dialect;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    code: String,
    level: String,
    says: String,
    without: Without,
    /// Where it is shown, when not on PostgreSQL.
    dialect: Option<String>,
}

/// What is changed in the example of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Without {
    old: Vec<(String, String)>,
    new: Vec<(String, String)>,
    access: Option<String>,
}

fn entries() -> Vec<Entry> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hazards.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// The old and the new snapshot of a page's example.
fn example(code: &str) -> [String; 2] {
    let page = explain(code).unwrap_or_else(|| panic!("{code} has no page"));
    let fences: Vec<&str> = page.section("Example").unwrap_or_default().split("```yaml\n").skip(1).collect();
    let snapshots: Vec<String> = fences.iter().filter_map(|rest| Some(rest.split("```").next()?.to_owned())).collect();
    <[String; 2]>::try_from(snapshots).unwrap_or_else(|_| panic!("{code}: the example is two snapshots"))
}

fn level(name: &str) -> Level {
    match name {
        "error" => Level::Error,
        "warning" => Level::Warning,
        "note" => Level::Note,
        other => panic!("unknown level {other}"),
    }
}

impl Entry {
    fn dialect(&self) -> Dialect {
        self.dialect.as_deref().map_or(Dialect::Postgres, |name| Dialect::from_name(name).unwrap())
    }
}

/// The hazards of a plan, and what compile says besides. The snapshots themselves must be sound.
fn plan([old, new]: &[String; 2], dialect: Dialect, access: Option<Access>, allow: &[&str]) -> (Vec<Hazard>, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let files = [sources.add("old.yaml", old), sources.add("new.yaml", new)];
    let [old, new] = files.map(|file| {
        let (snapshot, mut faults) = crossfade::snapshot::read(&sources, &[file]);
        let (schema, more) = snapshot.resolve(dialect);
        faults.extend(more);
        assert!(!has_errors(&faults), "{faults:?}");
        schema
    });
    let (diff, mut said) = crossfade::diff::diff(&old, &new, dialect, &crossfade::diff::Options::default());
    assert!(!has_errors(&said), "{said:?}");
    let access = access.or(new.transition.as_ref().and_then(|transition| transition.access)).unwrap_or(Access::Shared);
    let settings = Settings { access, schema: "public".to_owned(), allow: allow.iter().map(|code| (*code).to_owned()).collect() };
    let (plan, more) = crossfade::plan::plan(&diff, &settings, crossfade::dialect::target(dialect).unwrap());
    said.extend(more);
    (plan.hazards, said)
}

#[test]
fn each_is_said_of_its_example_and_not_of_a_near_miss() {
    let mut wrong = Vec::new();
    for entry in entries() {
        let code = entry.code.as_str();
        let (hazards, _) = plan(&example(code), entry.dialect(), None, &[]);
        let found: Vec<String> = hazards
            .iter()
            .filter(|hazard| hazard.code == code)
            .map(|hazard| format!("{:?} {}: {}", hazard.level, hazard.object, hazard.message))
            .collect();
        let expected = format!("{:?} {}", level(&entry.level), entry.says);
        if found != [expected.as_str()] {
            wrong.push(format!("{code}: expected {expected:?}, found {found:?}"));
        }

        let mut near = example(code);
        for (snapshot, edits) in near.iter_mut().zip([&entry.without.old, &entry.without.new]) {
            for (words, others) in edits {
                assert!(snapshot.contains(words.as_str()), "{code}: {words:?} is not in the example:\n{snapshot}");
                *snapshot = snapshot.replacen(words.as_str(), others, 1);
            }
        }
        let access = entry.without.access.as_deref().map(|name| match name {
            "versioned" => Access::Versioned,
            other => panic!("unknown access {other}"),
        });
        assert!(near != example(code) || access.is_some(), "{code}: the near miss is the example");
        let (hazards, said) = plan(&near, entry.dialect(), access, &hazard_codes());
        if has_errors(&said) {
            wrong.push(format!("{code}: the near miss does not compile: {said:?}"));
        }
        if hazards.iter().any(|hazard| hazard.code == code) {
            wrong.push(format!("{code}: the near miss has it too"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The codes of this table, as text that lives as long as the program.
fn hazard_codes() -> Vec<&'static str> {
    entries().into_iter().filter_map(|entry| explain(&entry.code).map(|page| page.code)).collect()
}

/// A column that goes, with a `down` that reads another one: nothing in a row tells who inserted it.
#[test]
fn an_insert_without_a_new_column_is_ambiguous() {
    let snapshots = |title: &str| {
        let columns =
            |more: &str| format!("tables:\n  links:\n    columns: {{id: bigint not null, target: bigint{more}}}\n    primary_key: [id]\n");
        [
            format!("version: v1\n{}", columns(&format!(", title: {title}"))),
            format!(
                "version: v2\n{}transition:\n  from: v1\n  tables:\n    links:\n      columns:\n        title: {{down: \"cast(target as text)\"}}\n",
                columns("")
            ),
        ]
    };
    let said = |title: &str, access: Access| -> Vec<String> {
        let (hazards, _) = plan(&snapshots(title), Dialect::Postgres, Some(access), &hazard_codes());
        hazards.into_iter().filter(|hazard| hazard.code == "insert-ambiguity").map(|hazard| hazard.message).collect()
    };
    let defaulted = said("\"text not null default ''\"", Access::Shared);
    assert!(matches!(defaulted.as_slice(), [one] if one.contains("gets the old column's default and not its `down`")), "{defaulted:?}");
    let required = said("text not null", Access::Shared);
    assert!(matches!(required.as_slice(), [one] if one.contains("gets `down` and is not refused")), "{required:?}");
    assert!(said("text not null", Access::Versioned).is_empty(), "the view tells");
    let nullable = said("text", Access::Shared);
    assert!(matches!(nullable.as_slice(), [one] if one.contains("it gets `down` (versioned access can tell)")), "{nullable:?}");
    assert!(said("\"text not null default ''\"", Access::Versioned).is_empty(), "the view tells");
}

/// Two nullable columns instead of one that must be given: what gives neither looks like an INSERT that forgets it.
#[test]
fn an_insert_of_nothing_new_is_refused_where_the_old_column_must_be_given() {
    let said = |old: &str, access: Access| -> Vec<String> {
        let snapshots = [
            format!("version: v1\ntables:\n  users:\n    columns: {{id: bigint primary key, full_name: {old}}}\n"),
            "version: v2\ntables:\n  users:\n    columns: {id: bigint primary key, first: text, last: text}\n\
             transition:\n  from: v1\n  tables:\n    users:\n      columns:\n        first: {up: \"split_part(full_name, ' ', 1)\"}\n        \
             last: {up: \"split_part(full_name, ' ', 2)\"}\n        full_name: {down: \"concat_ws(' ', first, last)\"}\n"
                .to_owned(),
        ];
        let (hazards, said) = plan(&snapshots, Dialect::Postgres, Some(access), &hazard_codes());
        assert!(!has_errors(&said), "{said:?}");
        hazards.into_iter().filter(|hazard| hazard.code == "insert-ambiguity").map(|hazard| hazard.message).collect()
    };
    let required = said("text not null", Access::Shared);
    assert!(matches!(required.as_slice(), [one] if one.contains("which must give full_name: it is refused")), "{required:?}");
    assert!(said("text not null", Access::Versioned).is_empty(), "the view tells");
    assert!(said("text", Access::Shared).is_empty(), "nothing is refused");
}

#[test]
fn one_at_the_level_of_an_error_stops_compile_until_it_is_acknowledged() {
    let errors: Vec<Entry> = entries().into_iter().filter(|entry| level(&entry.level) == Level::Error).collect();
    assert!(!errors.is_empty());
    for entry in errors {
        let dialect = entry.dialect();
        let Entry { code, says, .. } = entry;
        let [old, new] = example(&code);
        // The example may acknowledge it already.
        let new: String = new.replace(&format!("  allow: [{code}]\n"), "");
        let (_, said) = plan(&[old.clone(), new.clone()], dialect, None, &[]);
        let error = said.iter().find(|diagnostic| diagnostic.code == code).unwrap_or_else(|| panic!("{code} does not stop compile"));
        assert_eq!((error.level, &error.message), (Level::Error, &says));
        let help = error.help.last().unwrap();
        assert!(help.ends_with(&format!("`--allow {code}`, or `allow: [{code}]` in the transition")), "{help}");

        assert!(!has_errors(&plan(&[old.clone(), new.clone()], dialect, None, &[&code]).1), "--allow {code}");
        assert!(has_errors(&plan(&[old.clone(), new.clone()], dialect, None, &["lossy-lens"]).1), "{code}: another one was acknowledged");
        let block = if new.contains("\ntransition:\n") {
            new.replace("\ntransition:\n", &format!("\ntransition:\n  allow: [{code}]\n"))
        } else {
            format!("{new}transition:\n  allow: [{code}]\n")
        };
        assert!(!has_errors(&plan(&[old, block], dialect, None, &[]).1), "allow: [{code}]");
    }
}

#[test]
fn the_table_has_every_hazard() {
    let mut made = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // `tests/explain.rs` sees to it that a code is a literal in these calls.
                let text = std::fs::read_to_string(path).unwrap();
                for (at, call) in [".warn(", "Hazard::new("].iter().flat_map(|call| text.match_indices(call)) {
                    let argument = text[at + call.len()..].trim_start().trim_start_matches('(').trim_start();
                    if let Some((code, _)) = argument.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                        made.insert(code.to_owned());
                    }
                }
            }
        }
    }
    let listed: Vec<String> = entries().into_iter().map(|entry| entry.code).collect();
    assert!(listed.is_sorted_by(|a, b| a < b), "sorted, none twice");
    assert_eq!(made.into_iter().collect::<Vec<_>>(), listed, "the hazards that a plan may have, and those of tests/hazards.yaml");
}

#[test]
fn an_unknown_code_acknowledges_nothing() {
    let snapshots = example("drops-data");
    let unknown = |code: &str| {
        let (_, said) = plan(&snapshots, Dialect::Postgres, None, &[code]);
        said.into_iter().find(|diagnostic| diagnostic.code == "unknown-code")
    };
    let found = unknown("drop-data").unwrap();
    assert_eq!((found.level, found.help.as_slice()), (Level::Warning, ["did you mean `drops-data`?".to_owned()].as_slice()));
    assert!(unknown("drops-data").is_none());
}
