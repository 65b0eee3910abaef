//! Upgrades on SQLite as users run them: the shell reads the scripts, one file a phase.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

#[path = "../examples/in_memory.rs"]
mod in_memory;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crossfade::engine::Connection as _;
use crossfade::engine::sqlite::Session;

const OLD: &str = "
version: ocata
tables:
  users:
    columns:
      id: bigint generated always as identity
      full_name: text not null
      mail: text unique
      age: integer
    primary_key: [id]
  pets:
    columns:
      id: bigint generated always as identity primary key
      owner: bigint not null references users on delete cascade
      name: text
";

const NEW: &str = r#"
version: pike
tables:
  users:
    columns:
      id: bigint generated always as identity
      first_name: text
      last_name: text
      email: text unique
      age: integer
      active: boolean not null default true
    primary_key: [id]
  pets:
    columns:
      id: bigint generated always as identity primary key
      owner: bigint not null references users on delete cascade
      name: text
transition:
  from: ocata
  tables:
    users:
      columns:
        email: {renamed_from: mail}
        first_name: {up: "substr(full_name, 1, instr(full_name || ' ', ' ') - 1)"}
        last_name: {up: "substr(full_name, nullif(instr(full_name, ' '), 0) + 1)"}
        full_name: {down: "nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')"}
"#;

/// The shell, unless there is none on this machine and none is required.
fn shell() -> Option<PathBuf> {
    let found = Command::new("sqlite3").arg("-version").output().is_ok();
    assert!(found || std::env::var_os("CROSSFADE_REQUIRE_ENGINES").is_none(), "there is no sqlite3: run scripts/setup-servers.sh");
    found.then(|| PathBuf::from("sqlite3"))
}

struct Database {
    folder: tempfile::TempDir,
}

impl Database {
    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// What the shell says to a text on its standard input, and whether it went through.
    fn run(&self, text: &str) -> (bool, String) {
        let mut child = Command::new("sqlite3")
            .arg("-bail")
            .arg(self.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The shell leaves at the first error, and then nobody reads the rest.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
    }

    fn does(&self, text: &str) -> String {
        let (done, said) = self.run(text);
        assert!(done, "{said}\n{text}");
        said
    }

    fn phase(&self, folder: &Path, name: &str) {
        self.does(&fs::read_to_string(folder.join(name)).unwrap());
    }

    /// A second run of a script: it says what comes next, and changes nothing.
    fn refuses(&self, folder: &Path, name: &str, words: &str) {
        let before = self.dump();
        let (done, said) = self.run(&fs::read_to_string(folder.join(name)).unwrap());
        assert!(!done && said.contains(words), "{name}: {said}");
        assert_eq!(self.dump(), before, "{name} changed something");
    }

    fn dump(&self) -> String {
        self.does(".dump")
    }

    /// What is left of crossfade but its version tables, and all else, each in its normal form.
    fn schema(&self) -> Vec<String> {
        let all = self.does("select replace(replace(sql, char(10), ' '), '\"', '') from sqlite_schema where sql is not null and name not like 'crossfade!_%' escape '!' and name not like 'sqlite_%' order by type, name");
        all.lines().map(|line| line.replace("CREATE TABLE", "create table")).collect()
    }
}

fn compile(folder: &Path, arguments: &[&str]) -> PathBuf {
    let out = folder.join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .arg("compile")
        .args(arguments)
        .args(["--dialect", "sqlite", "--out"])
        .arg(&out)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

/// An upgrade with writers of both versions in every state, abort and a second try.
fn upgrade(access: &str) {
    if shell().is_none() {
        eprintln!("no sqlite3: nothing was tested");
        return;
    }
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("old.yaml"), OLD).unwrap();
    fs::write(work.path().join("new.yaml"), NEW).unwrap();
    let out = compile(work.path(), &["empty", "old.yaml"]);
    compile(work.path(), &["old.yaml", "new.yaml", "--access", access]);
    let (first, scripts) = (out.join("ocata/sqlite"), out.join("pike/sqlite"));
    let database = Database { folder: tempfile::tempdir().unwrap() };
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        database.phase(&first, phase);
    }
    let old_schema = database.schema();
    let users = if access == "versioned" { "users__pike" } else { "users" };
    database.does(
        "pragma foreign_keys = on; insert into users (full_name, mail) values ('Ada Lovelace', 'a@x'), ('Plato', null);
         insert into pets (owner, name) values (1, 'Rex'); insert into users (id, full_name) values (90, 'gone'); delete from users where id = 90;",
    );
    let (done, said) = database.run(&fs::read_to_string(scripts.join("migrate.sql")).unwrap());
    assert!(!done && said.contains("run expand.sql first"), "{said}");

    database.phase(&scripts, "expand.sql");
    database.refuses(&scripts, "expand.sql", "run migrate.sql next");
    database.refuses(&scripts, "contract.sql", "run migrate.sql first");
    assert_eq!(database.does("select name from pets"), "Rex", "nothing cascaded");
    database.does("insert into users (full_name, mail) values ('Grace Hopper', 'g@x')");
    assert_eq!(database.does("select max(id) from users"), "91", "the numbers go on");
    database.phase(&scripts, "abort.sql");
    assert_eq!(database.schema(), old_schema);
    database.refuses(&scripts, "abort.sql", "expand.sql begins it anew");

    database.phase(&scripts, "expand.sql");
    for recursive in ["off", "on"] {
        let mode = format!("pragma recursive_triggers = {recursive}; ");
        database.does(&format!("{mode}insert into users (full_name) values ('Alan Turing')"));
        assert_eq!(database.does(&format!("select first_name, last_name from {users} order by id desc limit 1")), "Alan|Turing");
        database.does(&format!("{mode}update users set full_name = 'Alan M Turing' where full_name = 'Alan Turing'"));
        assert_eq!(database.does(&format!("select last_name from {users} order by id desc limit 1")), "M Turing");
        database.does(&format!("{mode}update {users} set last_name = 'T' where id = (select max(id) from users)"));
        assert_eq!(database.does("select full_name from users order by id desc limit 1"), "Alan T");
        database.does(&format!("{mode}insert into {users} (first_name, last_name, email) values ('Kurt', 'Gödel', '{recursive}')"));
        assert_eq!(database.does("select full_name, mail from users order by id desc limit 1"), format!("Kurt Gödel|{recursive}"));
    }
    let (done, said) = database.run("insert into users (full_name) values (null)");
    assert!(!done && said.contains("NOT NULL constraint failed: users.full_name"), "{said}");
    let (done, said) = database.run("update users set full_name = null where id = 1");
    assert!(!done && said.contains("NOT NULL constraint failed: users.full_name"), "{said}");

    database.phase(&scripts, "migrate.sql");
    database.refuses(&scripts, "migrate.sql", "run contract.sql next");
    assert_eq!(database.does(&format!("select first_name, last_name, email, active from {users} where id = 1")), "Ada|Lovelace|a@x|1");
    let counts = database.does(&fs::read_to_string(scripts.join("verify.sql")).unwrap());
    assert!(!counts.is_empty() && counts.lines().all(|line| line.ends_with("|0")), "{counts}");
    let seen = database.does(&format!("select id, first_name, last_name, email, age, active from {users} order by id"));

    database.phase(&scripts, "contract.sql");
    database.refuses(&scripts, "contract.sql", "done");
    database.refuses(&scripts, "abort.sql", "contract is done");
    assert_eq!(database.does("select id, first_name, last_name, email, age, active from users order by id"), seen);
    assert_eq!(database.does(&format!("select id, first_name, last_name, email, age, active from {users} order by id")), seen);
    assert_eq!(
        database.does("select old_version, new_version, phase, revision from crossfade_version"),
        "ocata|pike|contract|pike_contract01"
    );
    assert_eq!(database.does("pragma foreign_key_check"), "");
    database.does(&format!("pragma foreign_keys = on; delete from {users} where id = 1"));
    assert_eq!(database.does("select count(*) from pets"), "0", "the foreign key is there");
    let (done, said) = database.run(&format!("insert into {users} (email) values ('g@x')"));
    assert!(!done && said.contains("UNIQUE constraint failed"), "{said}");

    let plain = Database { folder: tempfile::tempdir().unwrap() };
    let out = compile(work.path(), &["empty", "new.yaml", "--access", access]);
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        plain.phase(&out.join("pike/sqlite"), phase);
    }
    let sorted = |lines: Vec<String>| -> Vec<Vec<String>> {
        // The order of columns aside.
        lines
            .into_iter()
            .map(|line| {
                let mut parts: Vec<String> = line.trim_end_matches([' ', ')']).split(',').map(|part| part.trim().to_owned()).collect();
                if let Some(head) = parts.first_mut() {
                    *head = head.replace("( ", "(");
                }
                let first = parts[0].split_once('(').map(|(head, column)| (head.to_owned(), column.to_owned()));
                if let Some((head, column)) = first {
                    parts[0] = head.trim().to_owned();
                    parts.push(column.trim().to_owned());
                }
                parts.sort();
                parts
            })
            .collect()
    };
    assert_eq!(sorted(database.schema()), sorted(plain.schema()));
}

#[test]
fn shared() {
    upgrade("shared");
}

#[test]
fn versioned() {
    upgrade("versioned");
}

#[test]
fn the_first_command_of_the_readme() {
    in_memory::main().unwrap();
}

/// The scripts of an example, for its first version and for the step to the second.
fn example(name: &str, work: &Path) -> (PathBuf, PathBuf) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let [old, new] = ["old.yaml", "new.yaml"].map(|file| {
        let text = fs::read_to_string(example.join(file)).unwrap();
        fs::write(work.join(file), &text).unwrap();
        text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap().trim().to_owned()
    });
    compile(work, &["empty", "old.yaml"]);
    let out = compile(work, &["old.yaml", "new.yaml"]);
    (out.join(old).join("sqlite"), out.join(new).join("sqlite"))
}

/// The committed scripts of every example run, in the shell as well as in the library that is built in.
#[test]
fn examples_run() {
    let Some(_) = shell() else { return };
    let mut count = 0;
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        count += 1;
        let version = |file: &str| {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap().trim().to_owned()
        };
        let database = Database { folder: tempfile::tempdir().unwrap() };
        let mut library = Session::open(Path::new(":memory:")).unwrap();
        for version in [version("old.yaml"), version("new.yaml")] {
            let scripts = folder.join("migrations").join(version).join("sqlite");
            for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
                database.phase(&scripts, phase);
                library
                    .run_script(&fs::read_to_string(scripts.join(phase)).unwrap())
                    .unwrap_or_else(|failure| panic!("{phase}: {failure}"));
            }
        }
        assert_eq!(database.does("select phase, new_version from crossfade_version"), format!("contract|{}", version("new.yaml")));
    }
    assert!(count >= 6, "only {count}");
}

/// A client is told its names, as the compiled scripts, the snapshots or crossfade.yaml have it, and finds its rows by them.
#[test]
fn connect_tells_the_names() {
    let Some(_) = shell() else { return };
    let work = tempfile::tempdir().unwrap();
    fs::create_dir(work.path().join("schemas")).unwrap();
    fs::write(work.path().join("schemas/ocata.yaml"), OLD).unwrap();
    fs::write(work.path().join("schemas/pike.yaml"), NEW).unwrap();
    let connect = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["connect", "pike", "--dialect", "sqlite"])
            .args(arguments)
            .current_dir(work.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shared = "-- shared access: every table and view under its own name\n";
    let versioned = "-- versioned access: NAME is called NAME__pike\nselect * from pets__pike;\nselect * from users__pike;\n";
    assert_eq!(connect(&["--access", "shared"]), shared);
    assert_eq!(connect(&["--access", "versioned"]), versioned);
    // The transition says nothing of access, so it is shared.
    assert_eq!(connect(&[]), shared);
    fs::write(work.path().join("crossfade.yaml"), "access: versioned\n").unwrap();
    assert_eq!(connect(&[]), versioned);
    // What was compiled counts more.
    let migrations = |access: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["compile", "schemas/ocata.yaml", "schemas/pike.yaml", "--dialect", "sqlite", "--access", access])
            .current_dir(work.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    migrations("shared");
    assert_eq!(connect(&[]), shared);
    migrations("versioned");
    let json: serde_json::Value = serde_json::from_str(&connect(&["--format", "json"])).unwrap();
    assert_eq!(json[0]["access"], "versioned");
    assert_eq!(json[0]["names"], serde_json::json!({ "pets": "pets__pike", "users": "users__pike" }));

    let database = Database { folder: tempfile::tempdir().unwrap() };
    let first = compile(work.path(), &["empty", "schemas/ocata.yaml"]);
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        database.phase(&first.join("ocata/sqlite"), phase);
    }
    database.does("insert into users (full_name) values ('Ada Lovelace')");
    for phase in ["expand.sql", "migrate.sql"] {
        database.phase(&work.path().join("migrations/pike/sqlite"), phase);
    }
    assert_eq!(database.does(&connect(&[])), "1|Ada|Lovelace|||1");
}

#[test]
fn replace_table() {
    if shell().is_none() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (first, scripts) = example("replace-table", work.path());
    let database = Database { folder: tempfile::tempdir().unwrap() };
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        database.phase(&first, phase);
    }
    let (v1, v2) = ("select id, a, b from old order by id", "select id, x, y from new order by id");
    database.does("insert into old (a, b) values ('from A on v1', 1), ('without b', null)");
    database.phase(&scripts, "expand.sql");
    database.does("insert into old (a, b) values ('A after expand', 4); update old set b = 20 where id = 1");
    database.does("insert into new (x, y) values ('A on v2', '5'), ('no number', 'n/a'); update new set x = 'changed by A' where id = 1");
    assert_eq!(database.does(v1), "1|changed by A|20\n2|without b|\n3|A after expand|4\n4|A on v2|5\n5|no number|");
    database.refuses(&scripts, "contract.sql", "run migrate.sql first");
    database.phase(&scripts, "migrate.sql");
    assert_eq!(database.does(v2), "1|changed by A|20\n2|without b|\n3|A after expand|4\n4|A on v2|5\n5|no number|n/a");
    database.does("update old set a = 'still no number', b = b where id = 5; update new set y = '70' where id = 4");
    assert_eq!(database.does("select a, b from old where id = 4"), "A on v2|70");
    assert_eq!(database.does("select x, y from new where id = 5"), "still no number|n/a");
    database.does("delete from new where id = 3");
    database.phase(&scripts, "contract.sql");
    assert_eq!(database.does(v2), "1|changed by A|20\n2|without b|\n4|A on v2|70\n5|still no number|n/a");
    assert_eq!(database.does("select name, type from sqlite_schema where name in ('old', 'new')"), "new|table");
}

/// Where a table called `old` or `new` hides the row of that name in a trigger it is refused, and never compiled to statements that
/// reach all rows.
#[test]
fn tables_called_as_the_rows_of_a_trigger() {
    let work = tempfile::tempdir().unwrap();
    let old = "version: v1\ntables:\n  new:\n    columns:\n      id: integer not null primary key\n      a: text\n";
    let subquery = old.replace("v1", "v2")
        + "      b: text\ntransition:\n  from: v1\n  tables:\n    new:\n      columns:\n        b: {up: \"(select max(other.a) from new as other where other.id < id)\"}\n";
    let moved = old.replace("v1", "v2").replace("  new:", "  other:")
        + "transition:\n  from: v1\n  tables:\n    other:\n      from: new\n      key: {id: id}\n      columns: {a: {up: a, down: a}}\n";
    fs::write(work.path().join("old.yaml"), old).unwrap();
    for (new, words) in [(subquery, "a subquery in an expression of new reads it"), (moved, "kept alike with rows of another table")] {
        fs::write(work.path().join("new.yaml"), new).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["compile", "old.yaml", "new.yaml", "--dialect", "sqlite", "--access", "shared", "--stdout", "expand"])
            .current_dir(&work)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}

/// A column that hides the number of a row is refused, whichever version has it: a trigger would find another row, or none.
#[test]
fn a_column_that_hides_the_number_of_a_row() {
    let work = tempfile::tempdir().unwrap();
    let old = "version: v1\ntables:\n  t:\n    columns:\n      id: integer not null primary key\n      a: text\n";
    let new = old.replace("v1", "v2").replace("a: text", "b: text")
        + "transition:\n  from: v1\n  tables:\n    t:\n      columns:\n        b: {up: upper(a)}\n        a: {down: lower(b)}\n";
    let hidden = |text: &str| text.replace("      id:", "      _RowID_: integer\n      id:");
    for (old, new, refused) in [(old.to_owned(), hidden(&new), true), (hidden(old), hidden(&new), true), (old.to_owned(), new, false)] {
        fs::write(work.path().join("old.yaml"), old).unwrap();
        fs::write(work.path().join("new.yaml"), new).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["compile", "old.yaml", "new.yaml", "--dialect", "sqlite", "--stdout", "expand"])
            .current_dir(&work)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), !refused, "{said}");
        assert_eq!(said.contains("no-online-way") && said.contains("hides the number"), refused, "{said}");
    }
}

#[test]
fn image_visibility() {
    if shell().is_none() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (first, scripts) = example("image-visibility", work.path());
    let database = Database { folder: tempfile::tempdir().unwrap() };
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        database.phase(&first, phase);
    }
    database.does(
        "insert into images (id, status, is_public) values ('public', 'active', true), ('alone', 'active', false), ('members', 'active', false);
         insert into image_members (image_id, member, deleted) values ('members', 'ada', false)",
    );
    database.phase(&scripts, "expand.sql");
    database.does("insert into images (id, status) values ('old default', 'active')");
    database.does(
        "insert into images (id, status, visibility) values ('new community', 'active', 'community'), ('new private', 'active', 'private')",
    );
    database.does("update images set name = 'a name' where id = 'alone'");
    database.phase(&scripts, "migrate.sql");
    let shapes = "select id, is_public, visibility from images order by id";
    let filled =
        "alone|0|private\nmembers|0|shared\nnew community|0|community\nnew private|0|private\nold default|0|shared\npublic|1|public";
    assert_eq!(database.does(shapes), filled);
    database.does("update images set is_public = is_public, name = 'touched' where id = 'new community'");
    database.does("update images set is_public = false where id in ('alone', 'new community')");
    assert_eq!(database.does("select visibility from images where id in ('alone', 'new community') order by id"), "private\ncommunity");
    database.does(
        "update images set is_public = true where id = 'new private'; update images set visibility = 'community' where id = 'public'",
    );
    assert_eq!(database.does("select visibility from images where id = 'new private'"), "public");
    assert_eq!(database.does("select is_public from images where id = 'public'"), "0");
    let counts = database.does(&fs::read_to_string(scripts.join("verify.sql")).unwrap());
    assert!(!counts.is_empty() && counts.lines().all(|line| line.ends_with("|0")), "{counts}");
    let before = database.does("select id, visibility from images order by id");
    database.phase(&scripts, "contract.sql");
    assert_eq!(database.does("select id, visibility from images order by id"), before);
    database.does("insert into images (id, status) values ('after', 'active')");
    assert_eq!(database.does("select visibility from images where id = 'after'"), "shared");
}

const LOOSE: &str = "
version: ocata
tables:
  users:
    columns:
      id: bigint primary key
      name: varchar(40)
      age: integer
      mail: text not null
    checks:
      - {name: users_age_check, expression: age > 0}
";

const TIGHT: &str = "
version: pike
tables:
  users:
    columns:
      id: bigint primary key
      name: varchar(40) not null
      age: integer
      mail: text
    checks:
      - {name: users_age_check, expression: age > 1}
      - {name: users_name_check, expression: \"name <> ''\"}
transition:
  from: ocata
  tables:
    users:
      columns:
        name: {up: \"coalesce(name, 'nobody')\"}
";

/// What a newer library can do is used where a setting says that there is one, and an older one is refused by each script.
#[test]
fn rules_are_altered_where_the_library_can() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("old.yaml"), LOOSE).unwrap();
    fs::write(work.path().join("new.yaml"), TIGHT).unwrap();
    fs::write(work.path().join("crossfade.yaml"), "sqlite_version: 3.53\n").unwrap();
    let out = compile(work.path(), &["empty", "old.yaml"]);
    compile(work.path(), &["old.yaml", "new.yaml"]);
    let read = |version: &str, phase: &str| fs::read_to_string(out.join(version).join("sqlite").join(phase)).unwrap();
    let scripts = ["expand.sql", "migrate.sql", "contract.sql", "abort.sql"].map(|phase| read("pike", phase));
    for script in &scripts {
        assert!(!script.contains("crossfade_rebuild_"), "no table is written anew:\n{script}");
    }
    let [expand, migrate, contract, abort] = &scripts;

    let mut session = Session::open(Path::new(":memory:")).unwrap();
    for phase in ["expand.sql", "migrate.sql", "contract.sql"] {
        session.run_script(&read("ocata", phase)).unwrap();
    }
    let shape = |session: &mut Session| session.value("select sql from sqlite_schema where name = 'users'").unwrap().unwrap();
    let accepts = |session: &mut Session, sql: &str| session.run(sql).is_ok();
    session.run("insert into users values (1, null, 1, 'a'), (2, 'b', 9, 'b')").unwrap();
    let before = shape(&mut session);

    session.run_script(expand).unwrap();
    assert!(accepts(&mut session, "insert into users values (3, null, 1, 'c')"), "as the old version may");
    assert!(!accepts(&mut session, "insert into users values (4, 'x', 0, 'c')"), "neither version may");
    session.run_script(abort).unwrap();
    let words = |text: &str| {
        let mut words: Vec<String> = text.split([' ', ',', '(', ')', '\n']).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
        words.sort();
        words
    };
    assert_eq!(words(&shape(&mut session)), words(&before));
    assert!(!accepts(&mut session, "insert into users values (5, 'x', 2, null)"), "the rule is back");

    session.run_script(expand).unwrap();
    assert!(accepts(&mut session, "insert into users values (6, 'x', 2, null)"), "as the new version may");
    session.run_script(migrate).unwrap();
    session.run("delete from users where mail is null").unwrap();
    session.run_script(abort).unwrap();
    assert_eq!(words(&shape(&mut session)), words(&before));
    session.run_script(expand).unwrap();
    session.run_script(migrate).unwrap();
    session.run("update users set age = 7 where age = 1").unwrap();
    session.run_script(contract).unwrap();
    assert!(!accepts(&mut session, "insert into users values (7, null, 2, null)"));
    assert!(!accepts(&mut session, "insert into users values (7, '', 2, null)"));
    assert!(!accepts(&mut session, "insert into users values (7, 'x', 1, null)"));
    assert!(accepts(&mut session, "insert into users values (7, 'x', 2, null)"));
    assert_eq!(session.value("select name from users where id = 1").unwrap().as_deref(), Some("nobody"));

    // An older library is told so before anything is changed; so is this one, of a version that is not there yet.
    let later = [expand, migrate, contract, abort].map(|script| script.replace(" < 53)", " < 999)"));
    for script in &later {
        let refused = session.run_script(script).unwrap_err().to_string();
        assert!(refused.contains("these scripts need SQLite 3.53 or later"), "{refused}");
        let _ = session.run("rollback");
    }
    let Some(shell) = shell() else { return };
    let version = Command::new(shell).arg("-version").output().unwrap();
    if !String::from_utf8_lossy(&version.stdout).starts_with("3.4") {
        return;
    }
    let database = Database { folder: tempfile::tempdir().unwrap() };
    for script in &scripts {
        let (done, said) = database.run(script);
        assert!(!done && said.contains("these scripts need SQLite 3.53 or later"), "{said}");
        assert_eq!(database.does("select count(*) from sqlite_schema"), "0");
    }
}
