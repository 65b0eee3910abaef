//! The JSON Schemas in `schemas/` are what the program prints. `UPDATE_SCHEMAS=1 cargo test --test schema` writes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use crossfade::snapshot::json_schema;
use serde_json::{Map, Value, json};

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

/// Why a value does not fit a schema: as much of JSON Schema as ours use, and a panic for anything else.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(words) = schema else {
        return if *schema == json!(true) { vec![] } else { vec![format!("{at}: nothing may stand here")] };
    };
    let mut out = Vec::new();
    for (word, says) in words {
        match word.as_str() {
            "$schema" | "title" | "description" | "definitions" | "format" | "default" => {}
            "$ref" => {
                let path = says.as_str().unwrap().strip_prefix('#').unwrap();
                out.extend(faults(root, root.pointer(path).expect("the reference resolves"), value, at));
            }
            "type" => {
                let is = |name: &str| match name {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    "number" => value.is_number(),
                    "integer" => value.is_i64() || value.is_u64(),
                    other => panic!("unknown type {other}"),
                };
                let fits = match says {
                    Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
                    name => is(name.as_str().unwrap()),
                };
                if !fits {
                    out.push(format!("{at}: not {says}"));
                }
            }
            "properties" => {
                for (key, says) in says.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        out.extend(faults(root, says, value, &format!("{at}/{key}")));
                    }
                }
            }
            "additionalProperties" => {
                let known = words.get("properties").and_then(Value::as_object);
                for (key, value) in value.as_object().unwrap_or(&Map::new()) {
                    if known.is_none_or(|known| !known.contains_key(key)) {
                        out.extend(faults(root, says, value, &format!("{at}/{key}")));
                    }
                }
            }
            "required" => {
                for key in says.as_array().unwrap() {
                    if value.is_object() && value.get(key.as_str().unwrap()).is_none() {
                        out.push(format!("{at}: {key} is missing"));
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().unwrap_or(&Vec::new()).iter().enumerate() {
                    out.extend(faults(root, says, value, &format!("{at}/{index}")));
                }
            }
            "minItems" => {
                if value.as_array().is_some_and(|items| (items.len() as u64) < says.as_u64().unwrap()) {
                    out.push(format!("{at}: too few"));
                }
            }
            "minimum" => {
                if value.as_f64().is_some_and(|number| number < says.as_f64().unwrap()) {
                    out.push(format!("{at}: too small"));
                }
            }
            "enum" => {
                if !says.as_array().unwrap().contains(value) {
                    out.push(format!("{at}: not one of {says}"));
                }
            }
            "const" => {
                if says != value {
                    out.push(format!("{at}: not {says}"));
                }
            }
            "anyOf" | "oneOf" => {
                let all: Vec<_> = says.as_array().unwrap().iter().map(|says| faults(root, says, value, at)).collect();
                if !all.iter().any(Vec::is_empty) {
                    out.push(format!("{at}: fits none of {all:?}"));
                }
            }
            "allOf" => {
                for says in says.as_array().unwrap() {
                    out.extend(faults(root, says, value, at));
                }
            }
            // Texts are matched by editors; there is no other use of regular expressions here.
            "pattern" => assert!(says.as_str().unwrap().starts_with('^')),
            other => panic!("unknown word {other}"),
        }
    }
    out
}

fn check(schema: &Value, text: &str) -> Vec<String> {
    faults(schema, schema, &serde_yaml::from_str(text).expect("it is YAML"), "")
}

/// Every form that a value may take.
const GOOD: &str = r#"
version: pike
release: pike_2
enums:
  visibility: [private, public, 3]
  mood: {values: [good, bad], comment: a mood, dialects: [postgres]}
sequences:
  ticket_no: {start: 1000, increment: 1, cycle: false}
  other:
tables:
  users:
    comment: People who can sign in
    columns:
      id: bigint generated always as identity
      team_id: bigint references teams(id) on delete set null
      bio:
        type: {postgres: text, mysql: mediumtext, default: text}
        not_null: true
        default: "''"
        generated: {expression: "upper(email)", stored: true}
        identity: by_default
        collation: C
        comment: Shown on the profile page
      n: {type: integer, default: 0, unique: true, references: {table: teams, columns: [id], on_delete: set_null}, check: {mysql: n > 0, default: true}}
    primary_key: {name: users_pkey, columns: [id]}
    unique:
      - [email]
      - {name: users_email_key, columns: [email], deferrable: true, nulls_not_distinct: false, include: []}
    foreign_keys:
      - {name: users_team_fk, columns: [team_id], references: {table: teams, columns: [id]}, on_delete: set null, on_update: cascade, deferrable: true, initially_deferred: true, match: full}
      - {columns: [a], references: teams(id)}
    checks:
      - {name: users_balance_check, expression: "balance >= 0"}
      - "balance >= 0"
    exclusions:
      - {name: no_overlap, method: gist, elements: "room with =, during with &&", where: "active"}
    indexes:
      - {name: a, columns: ["lower(email)", {column: created_at, order: desc, nulls: last}], unique: false, method: btree, where: "deleted_at is null", include: [id], with: {fillfactor: 70}}
      - {name: b, columns: [{column: bio, length: 40}], dialects: [mysql, mariadb]}
views:
  active_users: {query: "select id, email from users where balance > 0", comment: "…", materialized: false}
  short: select 1
extensions: [citext]
transition:
  from: ocata
  access: {mysql: versioned, default: shared}
  tables:
    users:
      renamed_from: accounts
      columns:
        a: {renamed_from: null}
        b: {up: "1", down: {postgres: x, default: y}, backfill: 0, lossy: true, follow: false, enforce: migrate, on_conflict: old}
        c: {values: {0: draft, 1: live, else: error}}
    profiles: {from: {table: users, where: "bio is not null"}, key: {user_id: id}, columns: {bio: {up: bio}}}
  enums:
    visibility: {values: {internal: {renamed_from: shared}}}
  allow: [drops-data]
"#;

#[test]
fn what_may_be_written_fits() {
    let schema = json_schema::snapshot().to_value();
    assert_eq!(check(&schema, GOOD), [""; 0]);
    let settings = json_schema::settings().to_value();
    let text = "dialects: [mysql]\naccess: {mysql: versioned, default: shared}\ndatabase: a\nschema: b\nallow: [x]\nmigrations: m\nschemas: s\nschema_lock: true\n";
    assert_eq!(check(&settings, text), [""; 0]);
}

#[test]
fn what_is_wrong_does_not_fit() {
    let schema = json_schema::snapshot().to_value();
    for text in [
        "tabels: {}",
        "tables: []",
        "tables: {t: {}}",
        "tables: {t: {columns: {a: {not_null: true}}}}",
        "tables: {t: {columns: {a: {type: int, not_nul: true}}}}",
        "tables: {t: {columns: {a: {type: {oracle: int}}}}}",
        "tables: {t: {columns: {a: int}, primary_key: id}}",
        "tables: {t: {columns: {a: int}, indexes: [{columns: []}]}}",
        "tables: {t: {columns: {a: int}, indexes: [{columns: [{column: a, order: down}]}]}}",
        "tables: {t: {columns: {a: int}, checks: [{name: x}]}}",
        "enums: {e: text}",
        "sequences: {s: {start: one}}",
        "views: {v: {materialized: true}}",
        "transition: {acess: shared}",
        "transition: {access: none}",
        "transition: {tables: {t: {columns: {c: {enforce: later}}}}}",
    ] {
        assert!(!check(&schema, text).is_empty(), "{text}");
    }
    assert!(!check(&json_schema::settings().to_value(), "schema_lock: 1").is_empty());
}

/// Snapshots of the repository, and of the folder that CROSSFADE_CORPUS names.
#[test]
fn the_snapshots_at_hand_fit() {
    let schema = json_schema::snapshot().to_value();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("tests/cases"), root.join("tests/corpus"), root.join("examples")];
    folders.extend(std::env::var_os("CROSSFADE_CORPUS").map(std::path::PathBuf::from));
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "old.yaml" || name == "new.yaml") {
                assert_eq!(check(&schema, &std::fs::read_to_string(&path).unwrap()), [""; 0], "{}", path.display());
            }
        }
    }
}
