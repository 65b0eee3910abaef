//! Real schema changes, read where they lie beside the project: each one is taken through all phases on each server, with rows
//! in its tables and one more written by each version in each phase it is promised; one test each, by the name
//! `<change>::postgres<major>`, `<change>::sqlite`, `<change>::mysql97` and so on.
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use crossfade::engine::Connection as _;
use crossfade::sql::Dialect;
use libtest_mimic::{Arguments, Failed, Trial};
use support::case::Access;
use support::catalog::Catalog;
use support::engine::mysql::COMPILED_FOR;
use support::engine::{Engine, Inspect};
use support::lab::{Database, Lab};
use support::scripts::{Phase, Scripts, compile_in};
use support::servers;
use support::shape::Shape;
use support::text::same;

/// How many there are.
const CHANGES: usize = 41;

/// What the changes themselves bring about: columns are dropped for good, and keys move.
const ALLOW: [&str; 2] = ["drops-data", "old-key-binds"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/mediawiki");
    let mut pairs: Vec<PathBuf> = corpus
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("old.yaml").is_file())
        .collect();
    pairs.sort();
    if pairs.is_empty() {
        eprintln!("\n!!! NOT TESTED: there are no real schema changes in {}\n", corpus.display());
    } else if pairs.len() != CHANGES {
        eprintln!("{} changes in {}, not {CHANGES}", pairs.len(), corpus.display());
        return ExitCode::FAILURE;
    }
    let mut trials = Vec::new();
    let mut labs = Vec::new();
    for major in servers::MAJORS {
        // A server that nothing runs on is not started.
        let lab = if arguments.list || pairs.is_empty() { Ok(None) } else { servers::lab(major) };
        let lab = match lab {
            Ok(lab) => lab.map(Arc::new),
            Err(report) => {
                trials.push(Trial::test(format!("postgres{major}"), move || Err(Failed::from(report))));
                None
            }
        };
        for pair in &pairs {
            let name = format!("{}::postgres{major}", pair.file_name().unwrap_or_default().to_string_lossy());
            let (pair, lab) = (pair.clone(), lab.clone());
            let is_missing = lab.is_none();
            let run = move || lab.map_or(Ok(()), |lab| Ok(upgrade(&lab, &pair)?));
            trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
        }
        labs.push(lab);
    }
    let lab = match servers::sqlite() {
        Ok(lab) => lab.map(Arc::new),
        Err(report) => {
            trials.push(Trial::test("sqlite", move || Err(Failed::from(report))));
            None
        }
    };
    for pair in &pairs {
        let name = format!("{}::sqlite", pair.file_name().unwrap_or_default().to_string_lossy());
        let (pair, lab) = (pair.clone(), lab.clone());
        let is_missing = lab.is_none();
        let run = move || lab.map_or(Ok(()), |lab| Ok(upgrade(&lab, &pair)?));
        trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
    }
    let mut family_labs = Vec::new();
    for family in servers::FAMILY {
        let lab = if arguments.list || pairs.is_empty() { Ok(None) } else { family.lab() };
        let lab = match lab {
            Ok(lab) => lab.map(Arc::new),
            Err(report) => {
                trials.push(Trial::test(family.name, move || Err(Failed::from(report))));
                None
            }
        };
        for pair in &pairs {
            let name = format!("{}::{}", pair.file_name().unwrap_or_default().to_string_lossy(), family.name);
            let (pair, lab) = (pair.clone(), lab.clone());
            let is_missing = lab.is_none();
            let run = move || lab.map_or(Ok(()), |lab| Ok(upgrade(&lab, &pair)?));
            trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
        }
        family_labs.push(lab);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Stops the servers; leaving by `exit` would not.
    drop((labs, family_labs));
    conclusion.exit_code()
}

/// One change, from the old snapshot to the new one, and back on a copy.
fn upgrade<E: Engine>(lab: &Lab<E>, folder: &Path) -> Result<(), String> {
    let dialect = lab.engine.dialect();
    let access = access(folder, dialect)?;
    let scripts = compile_in(folder, access, dialect, &ALLOW.map(str::to_owned))?;
    let database = installed(lab, &scripts.install_old)?;
    let alone = installed(lab, &scripts.install_new)?;
    let plain = installed(lab, &scripts.install_new_plain)?;
    let version = (access == Access::Versioned).then_some(scripts.new_version.as_str());
    let (old, mut new) = (shape(&database)?, shape(&plain)?);
    if let Some(version) = version {
        new = new.reached(|name| lab.engine.reach(name, version));
    }
    let (old_client, new_client) = (Writer::of(&database, &plain)?, Writer::of(&plain, &plain)?);
    let old_catalog = catalog(&database)?;
    let old_sees = |database: &Database<'_, E>| old.dump(&mut *database.client_of(None)?);
    let new_sees = |database: &Database<'_, E>| new.dump(&mut *database.client_of(version)?);
    let old_inserts = |number| old_client.insert(&database, None, &old, number);
    let new_inserts = |number| new_client.insert(&database, version, &new, number);

    for number in 1..=3 {
        old_inserts(number)?;
    }
    let before = old_sees(&database)?;
    run(&database, &scripts, Phase::Expand)?;
    same("what the old version sees after expand", &before, &old_sees(&database)?)?;
    old_inserts(4)?;
    let before = old_sees(&database)?;
    run(&database, &scripts, Phase::Migrate)?;
    same("what the old version sees after migrate", &before, &old_sees(&database)?)?;
    old_inserts(5)?;
    new_inserts(7)?;
    if let Some(verify) = &scripts.verify {
        database.run(verify, "verify")?;
    }

    let copy = database.copy()?;
    let before = old_sees(&copy)?;
    run(&copy, &scripts, Phase::Abort)?;
    same("what the old version sees after abort", &before, &old_sees(&copy)?)?;
    catalog(&copy)?.must_equal(&old_catalog, "the catalog after abort, and that of the old snapshot")?;

    // A row with NULLs, which an old rule may forbid: abort would ask for it to be changed.
    new_inserts(6)?;
    let before = new_sees(&database)?;
    run(&database, &scripts, Phase::Contract)?;
    same("what the new version sees after contract", &before, &new_sees(&database)?)?;
    new_inserts(8)?;
    let found = catalog(&database)?;
    found.must_equal(&catalog(&alone)?, "the catalog after contract, and that of the new snapshot installed alone")?;
    let leftovers = found.leftovers();
    if leftovers.is_empty() { Ok(()) } else { Err(format!("left over of crossfade's own:\n{}", leftovers.join("\n"))) }
}

/// The access mode that the change asks for, as `plan` says it in its first line.
fn access(folder: &Path, dialect: Dialect) -> Result<Access, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["plan", "old.yaml", "new.yaml", "--dialect", dialect.name(), "--database", COMPILED_FOR])
        .args(ALLOW.iter().flat_map(|code| ["--allow", code]))
        .current_dir(folder)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.lines().next() {
        Some(line) if line.ends_with(", shared access") => Ok(Access::Shared),
        Some(line) if line.ends_with(", versioned access") => Ok(Access::Versioned),
        _ => Err(format!("plan: {said}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn installed<'lab, E: Engine>(lab: &'lab Lab<E>, scripts: &[String]) -> Result<Database<'lab, E>, String> {
    let database = lab.empty()?;
    for script in scripts {
        database.run(script, "installation")?;
    }
    Ok(database)
}

fn run<E: Engine>(database: &Database<'_, E>, scripts: &Scripts, phase: Phase) -> Result<(), String> {
    database.run(scripts.of(phase), phase.name())
}

fn shape<E: Engine>(database: &Database<'_, E>) -> Result<Shape, String> {
    Shape::read(&mut *database.client()?).map_err(|failure| failure.to_string())
}

fn catalog<E: Engine>(database: &Database<'_, E>) -> Result<Catalog, String> {
    Catalog::read(&mut *database.client()?).map_err(|failure| failure.to_string())
}

/// A version that writes a row of made-up values into each of its tables.
struct Writer {
    tables: Vec<(String, Vec<Column>)>,
}

struct Column {
    name: String,
    ty: String,
    /// Every third row has NULL here.
    nullable: bool,
}

/// Tables, columns that a client must give, their types, and whether they are NOT NULL.
fn columns_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "select m.name, x.name, lower(x.type), case when x.\"notnull\" or x.pk > 0 then 't' else 'f' end
             from sqlite_schema as m, pragma_table_xinfo(m.name) as x
             where m.type = 'table' and m.name not like 'sqlite!_%' escape '!' and m.name not like 'crossfade!_%' escape '!'
               and x.hidden = 0 and not (x.pk = 1 and lower(x.type) = 'integer' and m.sql like '%autoincrement%')
             order by m.name, x.cid"
        }
        Dialect::Mysql | Dialect::Mariadb => {
            "select table_name, column_name, lower(column_type), if(is_nullable = 'NO', 't', 'f') from information_schema.columns
             where table_schema = database() and table_name not like 'crossfade!_%' escape '!' and extra not like '%auto_increment%'
               and coalesce(generation_expression, '') = ''
             order by table_name, ordinal_position"
        }
        Dialect::Postgres => {
            "select c.relname, a.attname, format_type(a.atttypid, null), a.attnotnull
             from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attidentity = '' and a.attgenerated = ''
             order by c.relname, a.attnum"
        }
    }
}

impl Writer {
    /// Reads the tables of a database in which the snapshot alone was installed. What is NOT NULL in `last`, where the new
    /// snapshot was, is always given: the changes come without values for NULLs.
    fn of<E: Engine>(database: &Database<'_, E>, last: &Database<'_, E>) -> Result<Self, String> {
        let mut rows = Vec::new();
        for database in [database, last] {
            rows.push(database.connect()?.run(columns_of(database.dialect())).map_err(|failure| failure.to_string())?.rows);
        }
        let mut tables: Vec<(String, Vec<Column>)> = Vec::new();
        for row in &rows[0] {
            let [Some(table), Some(name), Some(ty), Some(not_null)] = &row[..] else { continue };
            let tightened = rows[1].iter().any(|other| other[..2] == row[..2] && other[3].as_deref() == Some("t"));
            let column = Column { name: name.clone(), ty: ty.clone(), nullable: not_null == "f" && !tightened };
            match tables.last_mut().filter(|(last, _)| last == table) {
                Some((_, columns)) => columns.push(column),
                None => tables.push((table.clone(), vec![column])),
            }
        }
        Ok(Self { tables })
    }

    /// Inserts row `number`: each number's values differ from all others'.
    fn insert<E: Engine>(&self, database: &Database<'_, E>, version: Option<&str>, shape: &Shape, number: u32) -> Result<(), String> {
        let mut session = database.client_of(version)?;
        for (table, columns) in &self.tables {
            let names: Vec<String> = columns.iter().map(|column| E::Session::quoted(&column.name)).collect();
            let values: Result<Vec<String>, String> = columns.iter().map(|column| column.value(number)).collect();
            let table = E::Session::quoted(shape.reach(table));
            let statement = format!("insert into {table} ({}) values ({})", names.join(", "), values?.join(", "));
            session.run(&statement).map_err(|failure| format!("{statement}\n{failure}"))?;
        }
        Ok(())
    }
}

impl Column {
    fn value(&self, number: u32) -> Result<String, String> {
        if self.nullable && number.is_multiple_of(3) {
            return Ok("null".to_owned());
        }
        // Without a length.
        let ty = self.ty.split('(').next().unwrap_or_default().trim();
        let ty = ty.trim_end_matches(" unsigned");
        let ty = ty.trim_end_matches(" unsigned");
        Ok(match ty {
            "tinyint" | "mediumint" | "smallint" | "integer" | "int" | "bigint" | "numeric" | "decimal" | "real" | "double precision"
            | "double" => number.to_string(),
            // A time, which is as long as it can be.
            "varbinary" | "binary" if self.ty.ends_with("(14)") => format!("'202601{number:02}120000'"),
            "text" | "mediumtext" | "character varying" | "varchar" | "varbinary" => format!("'v{number}'"),
            "blob" | "mediumblob" => format!("x'76{:02x}'", u32::from('0') + number),
            // As long as it must be.
            "binary" => format!("repeat('{number}', {})", self.ty.trim_start_matches("binary(").trim_end_matches(')')),
            "enum" => format!("'{}'", self.ty.split('\'').nth(1).unwrap_or_default()),
            "timestamp with time zone" | "timestamptz" | "timestamp" | "datetime" => format!("'2026-01-{number:02} 12:00:00'"),
            other => return Err(format!("{}: no value is known for type {other}", self.name)),
        })
    }
}
