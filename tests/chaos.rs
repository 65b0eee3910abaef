//! The server is killed in the middle of each phase; it is started, the phase runs again, and the end is the same. And how
//! long a writer waits, at the longest, while scripts run.
#![cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#![allow(missing_docs, dead_code, unreachable_pub, clippy::print_stderr, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossfade::engine::ephemeral::postgres::Server;
use crossfade::engine::postgres::Session;
use support::case::{Access, Case};
use support::catalog::Catalog;
use support::scripts::{Phase, Scripts, compile};
use support::servers;
use support::shape::dump_tables;
use support::splitter::split;

const PHASES: [Phase; 3] = [Phase::Expand, Phase::Migrate, Phase::Contract];
/// When in its time a script is killed, in per cent; each server has points of its own.
const POINTS: [(u32, [u32; 3]); 2] = [(15, [10, 45, 80]), (18, [25, 60, 92])];
const ROWS: &str = "20000";

#[test]
fn a_lens_over_many_rows() {
    chaos(
        "split",
        Access::Shared,
        "insert into users (id, full_name) select n, 'Ada L' || n from generate_series(1, 20000) n",
        "users",
        "users",
    );
}

#[test]
fn a_unique_index() {
    chaos(
        "unique-added",
        Access::Versioned,
        "insert into users (id, email) select n, 'u' || n from generate_series(1, 20000) n",
        "users",
        "users",
    );
}

#[test]
fn a_swap_with_a_renamed_table() {
    chaos(
        "rename-table-and-split",
        Access::Versioned,
        "insert into users (id, email, full_name) select n, 'u' || n, 'Ada L' || n from generate_series(1, 20000) n",
        "users",
        "accounts",
    );
}

#[test]
fn a_mirror() {
    chaos(
        "mirror-hot-rows",
        Access::Versioned,
        "insert into parts (id, name) select n, 'part ' || n from generate_series(1, 20000) n",
        "parts",
        "items",
    );
}

fn chaos(case: &str, access: Access, seed: &str, old_table: &str, new_table: &str) {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case)).unwrap();
    let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
    for (major, points) in POINTS {
        let Some(lab) = servers::lab(major).unwrap() else { continue };
        let psql = lab.psql().expect("there is no psql on this machine: run scripts/setup-servers.sh");
        let mut server = lab.into_server();
        create(&server, "starting", "template1");
        for script in &scripts.install_old {
            run(&server, "starting", script);
        }
        run(&server, "starting", seed);
        for phase in PHASES {
            let file = tempfile::NamedTempFile::with_suffix(".sql").unwrap();
            std::fs::write(file.path(), scripts.of(phase)).unwrap();
            // Undisturbed, for the end and the time that it takes.
            create(&server, "ending", "starting");
            let begun = Instant::now();
            let status = spawn(&server, &psql, "ending", file.path()).wait().unwrap();
            let time = begun.elapsed();
            assert!(status.success(), "{}", phase.name());
            let end = everything(&server, "ending");
            let table = if phase == Phase::Contract { new_table } else { old_table };
            for point in points {
                create(&server, "victim", "starting");
                let mut psql_runs = spawn(&server, &psql, "victim", file.path());
                std::thread::sleep(time * point / 100);
                kill_9(&mut server);
                let killed = !psql_runs.wait().unwrap().success();
                restart(&mut server);
                let what = format!("PostgreSQL {major}, {} of {}, killed at {point} %", phase.name(), case.name);
                eprintln!("{what}: {}", if killed { "in the middle" } else { "it had just finished" });
                let mut again = spawn(&server, &psql, "victim", file.path());
                assert!(again.wait().unwrap().success(), "{what}: it does not run again");
                support::text::same(&what, &end, &everything(&server, "victim")).unwrap();
                let count = connect(&server, "victim").value(&format!("select count(*) from {table}")).unwrap();
                assert_eq!(count.as_deref(), Some(ROWS), "{what}");
                drop_database(&server, "victim");
            }
            drop_database(&server, "starting");
            rename(&server, "ending", "starting");
        }
        must_be_new(&server, &scripts);
    }
}

/// The end of all phases is what the new snapshot installed alone has.
fn must_be_new(server: &Server, scripts: &Scripts) {
    create(server, "alone", "template1");
    for script in &scripts.install_new {
        run(server, "alone", script);
    }
    let catalog = |database: &str| Catalog::read(&mut connect(server, database)).unwrap();
    catalog("starting").must_equal(&catalog("alone"), "the catalog after all phases").unwrap();
}

/// Kills the server and all of its processes with SIGKILL: none of them gets to write anything any more.
///
/// The server is stopped first, so that it starts no process that this does not see: one that is left alone may wait for
/// ever for a lock that a dead one held, and holds the memory that the next server needs.
fn kill_9(server: &mut Server) {
    let postmaster: u32 = connect(server, "postgres")
        .value("select split_part(pg_read_file('postmaster.pid'), e'\\n', 1)")
        .unwrap()
        .unwrap()
        .parse()
        .unwrap();
    signal("-STOP", &[postmaster]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while processes().into_iter().any(|process| process.id == postmaster && process.state != 'T') {
        assert!(Instant::now() < deadline, "the server does not stop");
        std::thread::yield_now();
    }
    let mut doomed = vec![postmaster];
    doomed.extend(processes().into_iter().filter(|process| process.parent == postmaster).map(|process| process.id));
    signal("-KILL", &doomed);
    server.kill_hard();
}

/// Some may have ended meanwhile.
fn signal(signal: &str, to: &[u32]) {
    let _ = Command::new("kill").arg(signal).args(to.iter().map(u32::to_string)).stderr(Stdio::null()).status().unwrap();
}

struct Process {
    id: u32,
    state: char,
    parent: u32,
}

/// All that run now, from `/proc/ID/stat`: `ID (name) state parent …`, where the name may have anything in it.
fn processes() -> Vec<Process> {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    folders
        .filter_map(|folder| {
            let id = folder.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            Some(Process { id, state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
        })
        .collect()
}

fn restart(server: &mut Server) {
    let deadline = Instant::now() + Duration::from_secs(60);
    // The memory of the dead server is free when the last of its processes is gone.
    while let Err(error) = server.restart() {
        assert!(Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn spawn(server: &Server, psql: &Path, database: &str, script: &Path) -> Child {
    let address = server.address(database);
    Command::new(psql)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h"])
        .arg(&address.socket_folder)
        .args(["-p", &address.port.to_string(), "-U", &address.user, "-d", database, "-f"])
        .arg(script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn connect(server: &Server, database: &str) -> Session {
    Session::connect(&server.address(database)).unwrap()
}

fn admin(server: &Server, statement: &str) {
    // A closed connection is gone a moment after it was closed.
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(failure) = connect(server, "postgres").run(statement) {
        assert!(failure.code.as_deref() == Some("55006") && Instant::now() < deadline, "{statement}: {failure}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn create(server: &Server, database: &str, template: &str) {
    admin(server, &format!("create database {database} template {template} strategy file_copy"));
}

fn drop_database(server: &Server, database: &str) {
    admin(server, &format!("drop database {database} with (force)"));
}

fn rename(server: &Server, from: &str, to: &str) {
    admin(server, &format!("alter database {from} rename to {to}"));
}

fn run(server: &Server, database: &str, script: &str) {
    support::lab::run(&mut connect(server, database), &split(script)).unwrap_or_else(|stopped| panic!("{stopped}"));
}

/// Catalog, rows, and how far it is.
fn everything(server: &Server, database: &str) -> String {
    let mut session = connect(server, database);
    let mut text = Catalog::read(&mut session).unwrap().all();
    text.push_str(&dump_tables(&mut session, &[]).unwrap());
    for row in session.run("select old_version, new_version, phase, revision from crossfade.version").unwrap().rows {
        text.push_str(&support::shape::row_text(&row));
    }
    text
}

#[test]
fn the_longest_stall() {
    let case = Case::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/counter")).unwrap();
    for major in servers::MAJORS {
        for access in [Access::Shared, Access::Versioned] {
            let scripts = compile(&case, access).unwrap_or_else(|report| panic!("{report}"));
            let Some(lab) = servers::lab(major).unwrap() else { continue };
            let database = lab.empty().unwrap();
            for script in &scripts.install_old {
                database.run(script, "installing the old snapshot").unwrap();
            }
            database.run("insert into counters (id) select generate_series(1, 50000)", "seed").unwrap();
            for phase in [Phase::Expand, Phase::Migrate] {
                let done = AtomicBool::new(false);
                std::thread::scope(|scope| {
                    let writer = scope.spawn(|| {
                        let mut session = database.connect().unwrap();
                        let (mut slowest, mut count) = (Duration::ZERO, 0_u64);
                        while !done.load(Ordering::Relaxed) {
                            count += 1;
                            let statement = format!("update counters set n = n + 1 where id = {}", 1 + count * 7919 % 50_000);
                            let begun = Instant::now();
                            session.run(&statement).unwrap_or_else(|failure| panic!("the old version's write failed: {failure}"));
                            slowest = slowest.max(begun.elapsed());
                        }
                        (slowest, count)
                    });
                    // A script that met a lock is run again, as its operator would.
                    let mut attempts = 1;
                    while let Err(report) = database.run(scripts.of(phase), phase.name()) {
                        assert!(report.contains("55P03") && attempts < 20, "{report}");
                        attempts += 1;
                    }
                    done.store(true, Ordering::Relaxed);
                    let (slowest, count) = writer.join().unwrap();
                    eprintln!("PostgreSQL {major}, {}, {}: the slowest of {count} writes took {slowest:?}", access.name(), phase.name());
                });
            }
        }
    }
}
