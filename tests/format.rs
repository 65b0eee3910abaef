//! The snapshot format: everything that can be written resolves to what it means, and everything that is wrong is told with
//! its place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crossfade::diagnostic::{Colour, Diagnostic, Level, Sources, render_human};
use crossfade::snapshot::model::{
    Access, Enforce, Identity, IndexTarget, Nulls, OnConflict, Otherwise, ReferentialAction, Schema, TypeKind, Value,
};
use crossfade::snapshot::{self, Snapshot, types};
use crossfade::sql::Dialect;
use proptest::prelude::*;

fn read(text: &str) -> (Sources, Snapshot, Vec<Diagnostic>) {
    let mut sources = Sources::default();
    let file = sources.add("schema.yaml", text);
    let (snapshot, faults) = snapshot::read(&sources, &[file]);
    (sources, snapshot, faults)
}

/// Reads and resolves a snapshot that has no faults.
fn schema(text: &str, dialect: Dialect) -> Schema {
    let (sources, snapshot, mut faults) = read(text);
    let (schema, more) = snapshot.resolve(dialect);
    faults.extend(more);
    assert!(faults.is_empty(), "{}", render_human(&sources, &faults, Colour::Never));
    schema
}

/// The codes of all faults, those of reading first.
fn codes(text: &str, dialect: Dialect) -> Vec<&'static str> {
    let (_, snapshot, faults) = read(text);
    faults.iter().chain(&snapshot.resolve(dialect).1).map(|d| d.code).collect()
}

/// A table with its columns, types as the dialect writes them, for comparing at a glance.
fn show(schema: &Schema, dialect: Dialect) -> String {
    let mut out = String::new();
    for table in schema.tables.values() {
        writeln!(out, "{}", table.name).unwrap();
        for column in table.columns.values() {
            write!(out, "  {} {}", column.name, types::sql_name_in(&column.ty, dialect, &schema.enums)).unwrap();
            if column.not_null {
                out.push_str(" not null");
            }
            if let Some(default) = &column.default {
                write!(out, " default {}", default.text).unwrap();
            }
            out.push('\n');
        }
        if let Some(key) = &table.primary_key {
            writeln!(out, "  {}: primary key {:?}", key.name.text, key.columns).unwrap();
        }
        for unique in &table.uniques {
            writeln!(out, "  {}: unique {:?}", unique.name.text, unique.columns).unwrap();
        }
        for key in &table.foreign_keys {
            writeln!(out, "  {}: {:?} -> {} {:?} {:?}", key.name.text, key.columns, key.ref_table, key.ref_columns, key.on_delete).unwrap();
        }
        for check in &table.checks {
            writeln!(out, "  {}: check {}", check.name.text, check.expression.text).unwrap();
        }
        for index in &table.indexes {
            writeln!(out, "  {}: index {}", index.name.text, index.method).unwrap();
        }
    }
    out
}

const SHOP: &str = r#"
version: pike
release: pike_2
enums:
  visibility: [private, public, shared, community]
  mood: {values: [sad, ok], comment: How it is}
sequences:
  ticket_no: {start: 1000, increment: 1, min_value: 1, max_value: 9999, cache: 5, cycle: true, comment: c}
extensions: [citext, btree_gist]
tables:
  teams:
    columns:
      id: bigint primary key
  users:
    comment: People who can sign in
    columns:
      id: bigint generated always as identity
      email: varchar(320) not null unique
      team_id: bigint references teams(id) on delete set null
      balance: numeric(12,2) not null default 0 check (balance >= 0)
      bio:
        type: {postgres: text, mysql: mediumtext, default: text}
        not_null: true
        default: "''"
        collation: C
        comment: Shown on the profile page
      upper_email: {type: text, generated: {expression: "upper(email)", stored: true}}
      mood: mood default 'ok' comment 'it''s'
      tags: text[]
      room: integer
      during: tstzrange
      active: boolean not null default true
      count: {type: integer, default: 3}
      flag: {type: boolean, default: false}
      nick: {type: citext, default: {postgres: "'x'", default: "'y'"}}
      created_at: timestamp(3) with time zone not null default now()
    primary_key: [id]
    unique:
      - {name: users_email_team_key, columns: [email, team_id], deferrable: true, nulls_not_distinct: false, include: [bio]}
      - columns: [nick]
    foreign_keys:
      - {name: users_team_fk, columns: [team_id], references: {table: teams, columns: [id]}, on_delete: set null, on_update: cascade, deferrable: true, initially_deferred: true, match: full}
    checks:
      - {name: users_balance_check, expression: "balance >= 0"}
      - {expression: "room > 0"}
      - {expression: "room > count"}
    exclusions:
      - {name: no_overlap, method: gist, elements: "room with =, during with &&", where: "active"}
      - {elements: "room with ="}
    indexes:
      - {name: users_lower_email_idx, columns: ["lower(email)", {column: created_at, order: desc, nulls: last}], unique: false, method: btree, where: "active", include: [id], with: {fillfactor: 70}}
      - {name: users_bio_idx, columns: [{column: bio, length: 40}]}
      - {name: users_bio_text, columns: [bio], method: fulltext, dialects: [mysql, mariadb]}
      - {columns: [{column: email, collation: C, opclass: text_pattern_ops}]}
      - {columns: ["lower(email)", "upper(email)"], unique: true}
views:
  active_users: {query: "select id, email from users where balance > 0", comment: "all of them", materialized: false}
  rich: {query: "select * from active_users", materialized: true}
"#;

#[test]
fn every_construct_resolves_for_postgres() {
    let schema = schema(SHOP, Dialect::Postgres);
    assert_eq!((schema.version.as_str(), schema.release.as_str()), ("pike", "pike_2"));
    assert_eq!(schema.enums["visibility"].labels, ["private", "public", "shared", "community"]);
    assert_eq!(schema.enums["mood"].comment.as_deref(), Some("How it is"));
    let sequence = &schema.sequences["ticket_no"];
    assert_eq!((sequence.start, sequence.increment, sequence.cycle), (Some(1000), Some(1), true));
    assert_eq!((sequence.min_value, sequence.max_value, sequence.cache), (Some(1), Some(9999), Some(5)));
    assert_eq!(schema.extensions.keys().collect::<Vec<_>>(), ["citext", "btree_gist"]);
    insta::assert_snapshot!(show(&schema, Dialect::Postgres), @r#"
    teams
      id bigint not null
      teams_pkey: primary key ["id"]
    users
      id bigint not null
      email varchar(320) not null
      team_id bigint
      balance numeric(12,2) not null default 0
      bio text not null default ''
      upper_email text
      mood mood default 'ok'
      tags text[]
      room integer
      during tstzrange
      active boolean not null default true
      count integer default 3
      flag boolean default false
      nick citext default 'x'
      created_at timestamptz(3) not null default now()
      users_pkey: primary key ["id"]
      users_email_key: unique ["email"]
      users_email_team_key: unique ["email", "team_id"]
      users_nick_key: unique ["nick"]
      users_team_id_fkey: ["team_id"] -> teams ["id"] SetNull([])
      users_team_fk: ["team_id"] -> teams ["id"] SetNull([])
      users_balance_check1: check balance >= 0
      users_balance_check: check balance >= 0
      users_room_check: check room > 0
      users_check: check room > count
      users_lower_email_idx: index btree
      users_bio_idx: index btree
      users_email_idx: index btree
      users_expr_expr1_idx: index btree
    "#);

    let users = &schema.tables["users"];
    assert_eq!(users.comment.as_deref(), Some("People who can sign in"));
    assert_eq!(users.columns["id"].identity, Some(Identity::Always));
    assert!(users.columns["id"].not_null);
    assert_eq!(users.columns["bio"].collation.as_deref(), Some("C"));
    assert_eq!(users.columns["mood"].comment.as_deref(), Some("it's"));
    assert_eq!(users.columns["mood"].ty.kind, TypeKind::Enum("mood".to_owned()));
    assert_eq!(users.columns["tags"].ty.array_dimensions, 1);
    assert_eq!(users.columns["nick"].default.as_ref().unwrap().text, "'x'");
    let generated = users.columns["upper_email"].generated.as_ref().unwrap();
    assert_eq!((generated.expression.text.as_str(), generated.stored), ("upper(email)", true));

    let unique = &users.uniques[1];
    assert_eq!((unique.name.text.as_str(), unique.name.conventional, unique.deferrable), ("users_email_team_key", false, true));
    assert_eq!(unique.include, ["bio"]);
    let key = &users.foreign_keys[1];
    assert_eq!((&key.on_delete, &key.on_update), (&ReferentialAction::SetNull(vec![]), &ReferentialAction::Cascade));
    assert!(key.deferrable && key.initially_deferred && key.match_full);
    let exclusion = &users.exclusions[0];
    assert_eq!((exclusion.method.as_str(), exclusion.elements.text.as_str()), ("gist", "room with =, during with &&"));
    assert_eq!(exclusion.predicate.as_ref().unwrap().text, "active");
    assert_eq!(users.exclusions[1].name.text, "users_room_excl");

    let index = &users.indexes[0];
    assert!(matches!(&index.keys[0].target, IndexTarget::Expression(e) if e.text == "lower(email)"));
    assert_eq!((index.keys[1].descending, index.keys[1].nulls), (true, Some(Nulls::Last)));
    assert_eq!(index.with, [("fillfactor".to_owned(), "70".to_owned())]);
    assert_eq!((index.include.as_slice(), index.predicate.as_ref().unwrap().text.as_str()), (&["id".to_owned()][..], "active"));
    assert_eq!(users.indexes[1].keys[0].length, None);
    assert_eq!(users.indexes.len(), 4);
    assert_eq!(users.indexes[2].keys[0].opclass.as_deref(), Some("text_pattern_ops"));
    assert!(schema.views["rich"].materialized);
    assert_eq!(schema.views["active_users"].comment.as_deref(), Some("all of them"));
}

#[test]
fn the_place_of_an_expression_holds_its_text() {
    let (sources, snapshot, _) = read(SHOP);
    let (schema, _) = snapshot.resolve(Dialect::Postgres);
    let text = |span: crossfade::diagnostic::Span| &sources.get(span.file).unwrap().text[span.start as usize..span.end as usize];
    let users = &schema.tables["users"];
    for expression in users.columns.values().filter_map(|c| c.default.as_ref()).chain(users.checks.iter().map(|c| &c.expression)) {
        assert_eq!(text(expression.span), expression.text);
    }
    assert_eq!(text(users.columns["bio"].span), "bio");
    assert_eq!(text(schema.version_span), "pike");
}

#[test]
fn the_transition_block() {
    let text = r#"
version: pike
enums:
  visibility: [private, public, shared]
tables:
  users:
    columns:
      id: bigint primary key
      email: text
      first_name: text
      last_name: text
      price: bigint
      visibility: visibility
      state: text
      nickname: text not null
      code: integer
      loss: text
      once: text
      fresh: text
  profiles:
    columns: {user_id: bigint primary key, bio: text}
transition:
  from: ocata
  access: {mysql: versioned, default: shared}
  tables:
    users:
      renamed_from: accounts
      columns:
        email:      {renamed_from: mail}
        first_name: {up: "split_part(full_name, ' ', 1)"}
        full_name:  {down: "concat_ws(' ', first_name, last_name)"}
        price:      {up: "round(price * 100)", down: "price / 100.0", on_conflict: error}
        visibility: {up: "case when is_public then 'public' else 'shared' end", backfill: "'shared'"}
        is_public:  {down: "visibility = 'public'"}
        state:      {values: {0: draft, 1: live, true: "yes", "x": null, else: error}, renamed_from: status, on_conflict: old}
        nickname:   {up: "'ask-the-user'"}
        code:       {enforce: migrate}
        loss:       {lossy: true, values: {a: b, else: c}}
        once:       {up: email, follow: false, enforce: contract}
        fresh:      {renamed_from: null}
    profiles:
      from: {table: users, where: "bio is not null"}
      key: {user_id: id}
      columns: {bio: {up: bio}}
  enums:
    visibility: {values: {shared: {renamed_from: internal}}}
  allow: [drops-data]
"#;
    let on = |dialect| schema(text, dialect).transition.unwrap();
    assert_eq!(on(Dialect::Mariadb).access, Some(Access::Versioned));
    let transition = on(Dialect::Postgres);
    assert_eq!((transition.from.as_deref(), transition.access), (Some("ocata"), Some(Access::Shared)));
    assert_eq!(transition.allow[0].0, "drops-data");
    let users = &transition.tables["users"];
    assert_eq!(users.renamed_from.as_ref().unwrap().name.as_deref(), Some("accounts"));
    let column = |name: &str| &users.columns[name];
    assert_eq!(column("email").renamed_from.as_ref().unwrap().name.as_deref(), Some("mail"));
    assert_eq!(column("fresh").renamed_from.as_ref().unwrap().name, None);
    assert_eq!(column("price").down.as_ref().unwrap().text, "price / 100.0");
    assert_eq!((column("price").on_conflict, column("state").on_conflict), (OnConflict::Error, OnConflict::Old));
    assert_eq!(column("email").on_conflict, OnConflict::New);
    assert_eq!(column("visibility").backfill.as_ref().unwrap().text, "'shared'");
    assert_eq!((column("code").enforce, column("once").enforce), (Some(Enforce::Migrate), Some(Enforce::Contract)));
    assert_eq!((column("once").follow, column("code").follow), (Some(false), None));
    assert!(column("loss").lossy && !column("once").lossy);
    let values = column("state").values.as_ref().unwrap();
    let pairs: Vec<_> = values.pairs.iter().map(|p| (p.old.clone(), p.new.clone())).collect();
    let (number, text) = (|t: &str| Value::Number(t.to_owned()), |t: &str| Value::Text(t.to_owned()));
    assert_eq!(
        pairs,
        [(number("0"), text("draft")), (number("1"), text("live")), (Value::Boolean(true), text("yes")), (text("x"), Value::Null)]
    );
    assert_eq!(values.otherwise, Some(Otherwise::Error));
    assert_eq!(column("loss").values.as_ref().unwrap().otherwise, Some(Otherwise::Value(text("c"))));
    let profiles = &transition.tables["profiles"];
    assert_eq!(profiles.from.as_ref().unwrap().table, "users");
    assert_eq!(profiles.from.as_ref().unwrap().predicate.as_ref().unwrap().text, "bio is not null");
    assert_eq!(profiles.key["user_id"].text, "id");
    assert_eq!(transition.enums["visibility"].values["shared"].name.as_deref(), Some("internal"));
}

#[test]
fn equivalent_spellings_are_one_type() {
    let none = Default::default();
    for (a, b) in [
        ("int4", "integer"),
        ("INT", "integer"),
        ("bool", "boolean"),
        ("character varying(20)", "varchar( 20 )"),
        ("decimal(12, 2)", "numeric(12,2)"),
        ("numeric(12,0)", "numeric(12)"),
        ("timestamp with time zone", "timestamptz"),
        ("timestamp (3) with time zone", "timestamptz(3)"),
        ("float8", "double precision"),
        ("character", "char(1)"),
        ("text []", "text[]"),
        ("Bit Varying( 3 )", "bit varying(3)"),
    ] {
        assert_eq!(types::parse_type(a, Dialect::Postgres, &none), types::parse_type(b, Dialect::Postgres, &none), "{a} {b}");
    }
    let own = |text: &str, dialect| types::parse_own(text, dialect, &none).kind;
    assert_eq!(own("int(11)", Dialect::Mysql), own("integer", Dialect::Mysql));
    assert_eq!(own("text", Dialect::Mysql), TypeKind::Native("text".to_owned()));
    assert_eq!(own("longtext", Dialect::Mysql), TypeKind::Text);
    assert_eq!(own("datetime(6)", Dialect::Mariadb), TypeKind::Timestamp { precision: None, zone: false });
    assert_eq!(own("datetime(3)", Dialect::Mysql), TypeKind::Timestamp { precision: Some(3), zone: false });
    assert_eq!(own("blob", Dialect::Sqlite), TypeKind::Bytea);
}

#[test]
fn a_type_reads_back_as_it_is_written() {
    let none = Default::default();
    for text in [
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "numeric(5)",
        "numeric(5,2)",
        "real",
        "double precision",
        "boolean",
        "char(3)",
        "varchar(320)",
        "varchar",
        "text",
        "bytea",
        "date",
        "time",
        "time(3)",
        "timetz",
        "timestamp",
        "timestamp(3)",
        "timestamptz",
        "timestamptz(0)",
        "interval",
        "uuid",
        "json",
        "jsonb",
        "text[]",
        "integer[][]",
        "interval day to second",
        "inet",
    ] {
        assert_eq!(types::sql_name(&types::parse_type(text, Dialect::Postgres, &none), Dialect::Postgres), text);
    }
    for dialect in [Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite] {
        for text in [
            "integer",
            "bigint",
            "numeric(5,2)",
            "double precision",
            "boolean",
            "char(3)",
            "varchar(320)",
            "text",
            "bytea",
            "timestamp",
            "timestamptz(3)",
        ] {
            let written = types::sql_name(&types::parse_type(text, dialect, &none), dialect);
            assert_eq!(types::sql_name(&types::parse_own(&written, dialect, &none), dialect), written, "{text} {dialect:?}");
        }
    }
}

#[test]
fn files_of_a_directory_are_merged() {
    let mut sources = Sources::default();
    let a = sources.add("a.yaml", "version: v1\ntables:\n  a: {columns: {id: bigint primary key}}\n");
    let b = sources.add("b.yaml", "version: v1\ntables:\n  b: {columns: {id: bigint references a}}\n");
    let (snapshot, faults) = snapshot::read(&sources, &[a, b]);
    assert!(faults.is_empty());
    let (schema, faults) = snapshot.resolve(Dialect::Postgres);
    assert!(faults.is_empty());
    assert_eq!(schema.tables["b"].foreign_keys[0].ref_columns, ["id"]);

    let c = sources.add("c.yaml", "version: v2\ntables:\n  a: {columns: {id: bigint}}\n");
    let (_, faults) = snapshot::read(&sources, &[a, c]);
    assert_eq!(faults.iter().map(|d| d.code).collect::<Vec<_>>(), ["two-versions", "duplicate-definition"]);
    for fault in faults {
        assert_eq!(fault.labels.iter().map(|l| l.span.file).collect::<Vec<_>>(), [c, a], "both places");
    }
}

/// The example of the format's description. It shows what can be written, not a schema that can be: the faults below are
/// about what it leaves out (a table `teams`, some columns) and about keys that exclude each other.
const EXAMPLE: &str = include_str!("errors/example_of_all_keys.yaml");

#[test]
fn the_example_of_the_description_is_read_without_a_fault() {
    let (sources, snapshot, faults) = read(EXAMPLE);
    assert!(faults.is_empty(), "{}", render_human(&sources, &faults, Colour::Never));
    assert_eq!(snapshot.version(), "pike");
}

#[test]
fn what_a_dialect_has_no_word_for_is_an_error() {
    let table = |rest: &str| format!("version: v\ntables:\n  t:\n    columns: {{id: integer primary key, a: integer}}\n    {rest}\n");
    for (rest, refuses) in [
        ("exclusions: [{name: e, elements: a with =}]", vec![Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite]),
        ("indexes: [{columns: [a], where: a > 0}]", vec![Dialect::Mysql, Dialect::Mariadb]),
        ("indexes: [{columns: [a + 1]}]", vec![Dialect::Mariadb]),
        ("indexes: [{columns: [a], method: fulltext}]", vec![Dialect::Postgres, Dialect::Sqlite]),
        ("indexes: [{columns: [a], method: gin}]", vec![Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite]),
        ("indexes: [{columns: [a], include: [id]}]", vec![Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite]),
        ("unique: [{columns: [a], nulls_not_distinct: true}]", vec![Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite]),
        ("unique: [{columns: [a], deferrable: true}]", vec![Dialect::Mysql, Dialect::Mariadb, Dialect::Sqlite]),
        ("foreign_keys: [{columns: [a], references: t(id), deferrable: true}]", vec![Dialect::Mysql, Dialect::Mariadb]),
        ("foreign_keys: [{columns: [a], references: t(id), on_delete: set default}]", vec![Dialect::Mysql, Dialect::Mariadb]),
    ] {
        for dialect in Dialect::ALL {
            let expect: &[&str] = if refuses.contains(&dialect) { &["unsupported-by-dialect"] } else { &[] };
            assert_eq!(codes(&table(rest), dialect), expect, "{rest} on {dialect:?}");
        }
    }
    assert_eq!(codes("version: v\nsequences: {s: }\n", Dialect::Sqlite), ["unsupported-by-dialect"]);
    assert_eq!(codes("version: v\ntables: {t: {columns: {a: \"text[]\"}}}\n", Dialect::Mysql), ["bad-type"]);
    assert_eq!(codes("version: v\ntables: {t: {columns: {a: {type: {postgres: text}}}}}\n", Dialect::Mysql), ["missing-dialect"]);
    assert_eq!(
        codes("version: v\ntables: {t: {columns: {a: bigint generated always as identity}}}\n", Dialect::Sqlite),
        ["unsupported-by-dialect"]
    );
}

fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = [
        std::env::var_os("CROSSFADE_CORPUS").map(PathBuf::from),
        Some(root.join("../shared/corpus/mediawiki")),
        Some(root.join("../../shared/corpus/mediawiki")),
    ];
    candidates.into_iter().flatten().find(|path| path.is_dir())
}

#[test]
fn real_snapshots_are_valid_on_all_dialects() {
    let Some(corpus) = corpus() else {
        // Loud, so that nobody takes a skipped test for a passed one.
        #[allow(clippy::print_stdout, reason = "a skipped test says so")]
        {
            println!("SKIPPED: no corpus of real snapshots (set CROSSFADE_CORPUS to its folder)");
        }
        return;
    };
    let mut count = 0;
    for case in std::fs::read_dir(&corpus).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for name in ["old.yaml", "new.yaml"] {
            let path = case.join(name);
            let (sources, snapshot, mut faults) = read(&std::fs::read_to_string(&path).unwrap());
            for dialect in Dialect::ALL {
                faults.extend(snapshot.resolve(dialect).1);
            }
            assert!(faults.is_empty(), "{}\n{}", path.display(), render_human(&sources, &faults, Colour::Never));
            count += 1;
        }
    }
    assert_eq!(count, 82);
}

/// Each fixture's first line may name its dialect: `# dialect: mysql`.
#[test]
fn faults_are_told_with_their_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "yaml"));
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let dialect =
            text.lines().next().and_then(|l| l.strip_prefix("# dialect: ")).and_then(Dialect::from_name).unwrap_or(Dialect::Postgres);
        let mut sources = Sources::default();
        let file = sources.add(format!("{name}.yaml"), text);
        let (snapshot, mut faults) = snapshot::read(&sources, &[file]);
        for fault in snapshot.resolve(dialect).1 {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        assert!(faults.iter().any(|d| d.level == Level::Error), "{name} has no fault");
        assert!(faults.iter().all(|d| !d.labels.is_empty()), "a fault of {name} has no place");
        insta::with_settings!({snapshot_path => "errors", prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(name, render_human(&sources, &faults, Colour::Never));
        });
    }
}

/// What happens to a file under someone's hands.
#[derive(Debug, Clone)]
enum Slip {
    Byte(usize, u8),
    DropLine(usize),
    RepeatLine(usize),
    SwapLetters(usize),
    Nest(usize, usize),
    Insert(usize, &'static str),
}

fn slip() -> impl Strategy<Value = Slip> {
    let pieces = [
        "'", "\"", "{", "}", "[", "]", ": ", "- ", "&a ", "*a", "é", "\t", "\n", "null", "!!str ", "%", "|", "(", ")", ",", "--", "/*",
        "$$", "\u{feff}", "\0",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Slip::Byte(at, byte)),
        any::<usize>().prop_map(Slip::DropLine),
        any::<usize>().prop_map(Slip::RepeatLine),
        any::<usize>().prop_map(Slip::SwapLetters),
        (any::<usize>(), 1usize..60).prop_map(|(at, depth)| Slip::Nest(at, depth)),
        (any::<usize>(), proptest::sample::select(pieces.to_vec())).prop_map(|(at, piece)| Slip::Insert(at, piece)),
    ]
}

fn apply(text: &str, slip: &Slip) -> String {
    let boundary = |at: usize| {
        let mut at = at % (text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    match slip {
        Slip::Byte(at, byte) if !text.is_empty() => {
            let mut bytes = text.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = *byte;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Slip::DropLine(at) if !lines.is_empty() => {
            let at = at % lines.len();
            lines.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, l)| *l).collect()
        }
        Slip::RepeatLine(at) if !lines.is_empty() => {
            let at = at % lines.len();
            lines.iter().enumerate().flat_map(|(i, l)| std::iter::repeat_n(*l, if i == at { 2 } else { 1 })).collect()
        }
        Slip::SwapLetters(at) => {
            let mut chars: Vec<char> = text.chars().collect();
            if chars.len() > 1 {
                let at = at % (chars.len() - 1);
                chars.swap(at, at + 1);
            }
            chars.into_iter().collect()
        }
        Slip::Nest(at, depth) => {
            let at = boundary(*at);
            format!("{}{}{}{}", &text[..at], "[".repeat(*depth), "]".repeat(*depth), &text[at..])
        }
        Slip::Insert(at, piece) => {
            let at = boundary(*at);
            format!("{}{piece}{}", &text[..at], &text[at..])
        }
        Slip::Byte(..) | Slip::DropLine(_) | Slip::RepeatLine(_) => text.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_file_is_told_and_never_panics(slips in proptest::collection::vec(slip(), 1..5), example in any::<bool>()) {
        let mut text = if example { EXAMPLE.to_owned() } else { SHOP.to_owned() };
        for slip in &slips {
            text = apply(&text, slip);
        }
        let (sources, snapshot, mut faults) = read(&text);
        for dialect in Dialect::ALL {
            faults.extend(snapshot.resolve(dialect).1);
        }
        for fault in &faults {
            prop_assert!(fault.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            for label in &fault.labels {
                let file = sources.get(label.span.file).expect("a file");
                prop_assert!(file.text.get(label.span.start as usize..label.span.end as usize).is_some(), "{fault:?}");
            }
        }
        let _ = render_human(&sources, &faults, Colour::Never);
    }
}
