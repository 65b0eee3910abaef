//! Rehearsals on servers: what is right holds there, and faults that only they can have are caught.

use super::sweep::{alarms, folders};
use super::*;

/// All six examples, each in those accesses that it can have.
fn examples_hold(dialect: Dialect, accesses: &[Access], least: usize) {
    let examples = folders(&["examples"], dialect);
    let (count, alarms) = alarms(dialect, &examples, accesses, &(1..=1), &Options { histories: 1, kills: 1, ..Options::default() });
    assert!(alarms.is_empty(), "\n{alarms}");
    assert!(count >= least, "only {count} were rehearsed");
}

#[test]
fn examples_hold_on_postgres() {
    examples_hold(Dialect::Postgres, &[Access::Shared, Access::Versioned], 10);
}

#[test]
fn examples_hold_on_mysql() {
    examples_hold(Dialect::Mysql, &[Access::Versioned], 4);
}

#[test]
fn examples_hold_on_mariadb() {
    examples_hold(Dialect::Mariadb, &[Access::Shared], 4);
}

/// The cases that SQLite can't have, where `sweep::what_is_right_holds` has the others: their histories, with one seed for each access.
fn cases_of_servers_hold(dialect: Dialect, least: usize) {
    let of_sqlite = folders(&["tests/cases"], DIALECT);
    let cases: Vec<PathBuf> = folders(&["tests/cases"], dialect).into_iter().filter(|folder| !of_sqlite.contains(folder)).collect();
    let (count, alarms) = alarms(dialect, &cases, &[Access::Shared, Access::Versioned], &(2..=3), &Options::default());
    assert!(alarms.is_empty(), "\n{alarms}");
    assert!(count >= least, "only {count} were rehearsed");
}

#[test]
fn cases_of_postgres_hold() {
    cases_of_servers_hold(Dialect::Postgres, 15);
}

#[test]
fn cases_of_mysql_hold() {
    cases_of_servers_hold(Dialect::Mysql, 15);
}

/// How many seeds a fault may take.
const SEEDS: u64 = 4;

/// Each fault is caught on a server.
fn caught(dialect: Dialect, faults: &[Seeded]) {
    all_are_caught(
        faults,
        || Venue::open(dialect, None).unwrap(),
        |venue, (_, folder, access, fault, law)| {
            let folder = root().join(folder);
            let old = read_for(&std::fs::read_to_string(folder.join("old.yaml")).unwrap(), dialect).unwrap();
            let change = |new: &str, scripts| mutated_for(dialect, new, &old, *access, scripts, fault);
            let run = |seed| {
                let options = Options { seed, histories: 3, kills: 1, shrink: Duration::ZERO, ..Options::default() };
                rehearsed_at(venue, dialect, &folder, *access, &options, change).unwrap()
            };
            // Some harm only rows of a certain kind: not every seed has one in the right place.
            let is_caught = |report: &Report| report.broken.iter().any(|broke| law.split(' ').any(|law| law == broke.law.as_str()));
            let mut report = run(1);
            for seed in 2..=SEEDS {
                if is_caught(&report) {
                    break;
                }
                report = run(seed);
            }
            // What clients break at once is told as the statements of each, in their order.
            for broke in report.broken.iter().filter(|broke| broke.what.contains("at once")) {
                let (_, last) = broke.script.rsplit_once("-- Each session is a shell").unwrap();
                assert!(last.contains("*/ begin; ") && last.contains("/* session 1 */ commit;"), "{}", broke.script);
            }
            report
        },
    );
}

/// What only a server can have, and some that each can.
const POSTGRES: &[Seeded] = &[
    (
        "a guard by a setting of the transaction",
        SPLIT,
        Access::Shared,
        Script(
            "expand",
            "  if tg_op = 'INSERT' then\n",
            "  if current_setting('app.syncing', true) = 'yes' then\n    return new;\n  end if;\n  perform set_config('app.syncing', 'yes', true);\n  if tg_op = 'INSERT' then\n",
        ),
        "L13 L15 L16 L18 L22",
    ),
    (
        "a comparison that misses NULL",
        SPLIT,
        Access::Shared,
        Everywhere("expand", "new.full_name is distinct from old.full_name", "new.full_name <> old.full_name"),
        "L10 L13 L22",
    ),
    (
        "a trigger for one column's updates",
        SPLIT,
        Access::Shared,
        Script("expand", "before update on public.users", "before update of full_name on public.users"),
        "L16 L4",
    ),
    ("abort forgets a function", SPLIT, Access::Shared, Script("abort", "drop function if exists crossfade.sync_users();", ""), "L19"),
    (
        "contract out of order",
        INDEX,
        Access::Shared,
        Script("contract", "latest.release is distinct from 'v2' or latest.phase in ('begun', 'expand')", "false"),
        "L20",
    ),
    (
        "an index is not built",
        INDEX,
        Access::Shared,
        Everywhere("expand", "create index concurrently if not exists users_team_idx on public.users (team);", ""),
        "L22",
    ),
    (
        "contract lets a counter start over",
        COUNTED,
        Access::Shared,
        Script("contract", "alter column id set generated always;", "alter column id set generated always restart;"),
        "L12",
    ),
    (
        "a view shows another value",
        RENAMED,
        Access::Versioned,
        Script("expand", "  select id, email\n", "  select id, upper(email) as email\n"),
        "L4",
    ),
    (
        "a guard by a lock that one session has at a time",
        SPLIT,
        Access::Shared,
        Script(
            "expand",
            "  if tg_op = 'INSERT' then\n",
            "  if not pg_try_advisory_xact_lock(7) then\n    return new;\n  end if;\n  if tg_op = 'INSERT' then\n",
        ),
        "L13 L15 L16",
    ),
    ("a backfill writes what it has read before", SPLIT, Access::Shared, Script("migrate", BATCH, STALE_BATCH), "L13"),
    (
        "a script waits for ever for its locks",
        SPLIT,
        Access::Shared,
        Script("expand", "set lock_timeout = '300ms';", "set lock_timeout = 0;"),
        "L21",
    ),
    (
        "a batch waits long for a row",
        SPLIT,
        Access::Shared,
        Script("migrate", "then '10ms' else patience", "then '2s' else patience"),
        "L21",
    ),
    (
        "a transaction keeps its lock while it works",
        SPLIT,
        Access::Shared,
        Script("contract", "  alter table public.users\n", "  perform pg_sleep(1.5);\n  alter table public.users\n"),
        "L21",
    ),
    (
        "a backfill runs after the last row",
        SPLIT,
        Access::Shared,
        Everywhere("migrate", "crossfade_job.top_1 loop", "9223372036854775807 loop\n    top_1 := 9223372036854775807;"),
        "L22",
    ),
    (
        "a checkpoint is ahead of its rows",
        SPLIT,
        Access::Shared,
        Script(
            "migrate",
            "    begin\n      perform set_config('lock_timeout'",
            "    update crossfade.checkpoint set last_key = array[crossfade_job.hi_1::text] where release = 'pike';\n    commit;\n    begin\n      perform set_config('lock_timeout'",
        ),
        "L14",
    ),
    ("a lens of a table without a key", KEYLESS, Access::Versioned, Lens("{up: value,", "{up: value + 1,"), "L4 L7"),
];

/// A batch, as the script has it, and one whose rows may have changed between reading and writing.
const BATCH: &str = "      update public.users
      set first_name = (split_part(full_name, ' ', 1))::text,
          last_name = (substr(full_name, nullif(strpos(full_name, ' '), 0) + 1))::text
      where id >= crossfade_job.lo_1 and id <= crossfade_job.hi_1
        and first_name is null and last_name is null;
";
const STALE_BATCH: &str = "      update public.users
      set first_name = it.one,
          last_name = it.two
      from (select id, split_part(full_name, ' ', 1) as one, substr(full_name, nullif(strpos(full_name, ' '), 0) + 1) as two
            from public.users where first_name is null and last_name is null) as it
      where users.id = it.id;
";

#[test]
fn faults_are_caught_on_postgres() {
    caught(Dialect::Postgres, POSTGRES);
}

/// Where the old version has written a row.
const FAMILY_GUARD: &str = "  elseif not (binary new.full";
/// On MySQL and MariaDB.
const FAMILY: &[Seeded] = &[
    (
        "abort forgets a trigger",
        SPLIT,
        Access::Shared,
        Script("abort", "drop trigger if exists zz_crossfade_sync_users_update;", ""),
        "L19",
    ),
    (
        "a backfill of something else",
        SPLIT,
        Access::Shared,
        Script(
            "migrate",
            "update users set first_name = (substring_index(full_name, '' '', 1))",
            "update users set first_name = (substring_index(full_name, '' '', 2))",
        ),
        "L1",
    ),
    (
        "a guard by a lock that one session has at a time",
        SPLIT,
        Access::Shared,
        Script("expand", FAMILY_GUARD, "  elseif get_lock('crossfade', 0) and not (binary new.full"),
        "L13 L15 L16",
    ),
    (
        "a script waits long for its locks",
        SPLIT,
        Access::Shared,
        Script("expand", "lock_wait_timeout = 1,", "lock_wait_timeout = 60,"),
        "L21",
    ),
    (
        "a backfill runs after the last row",
        SPLIT,
        Access::Shared,
        Script(
            "migrate",
            "execute crossfade_bound using @lo_1, @top_1, @batch;",
            "set @top_1 = 9223372036854775807;\n    execute crossfade_bound using @lo_1, @top_1, @batch;",
        ),
        "L22",
    ),
    (
        "a checkpoint is ahead of its rows",
        SPLIT,
        Access::Shared,
        Script(
            "migrate",
            "      start transaction;\n",
            "      update crossfade_checkpoint set last_key = json_array(cast(@hi_1 as char)) where part = 0;\n      start transaction;\n",
        ),
        "L14",
    ),
    ("a lens of a table without a key", KEYLESS, Access::Versioned, Lens("{up: value,", "{up: value + 1,"), "L4 L7"),
];

/// A batch that waits for a row while it holds others, in the words of each server.
const fn waits(from: &'static str, to: &'static str) -> Seeded {
    ("a batch waits long for a row", SPLIT, Access::Shared, Script("migrate", from, to), "L21")
}

#[test]
fn faults_are_caught_on_mysql() {
    caught(Dialect::Mysql, FAMILY);
    caught(Dialect::Mysql, &[waits(" for update nowait'", " for update', innodb_lock_wait_timeout = 60")]);
}

#[test]
fn faults_are_caught_on_mariadb() {
    caught(Dialect::Mariadb, FAMILY);
    caught(Dialect::Mariadb, &[waits("innodb_lock_wait_timeout = 0", "innodb_lock_wait_timeout = 60")]);
}

/// On a server that is there, nothing of the rehearsal stays, and nothing else goes, whether it ends or is stopped. `databases`: the
/// names of those that are there.
fn is_left_as_it_was(url: &str, product: &str, mut databases: impl FnMut() -> String) {
    let before = databases();
    assert!(before.contains("crossfade_rehearse_of_others"), "{before}");
    let rehearse = ["rehearse", "examples/placeholder/old.yaml", "examples/placeholder/new.yaml", "--url", url, "--time"];
    let (code, text) = crossfade(&[&rehearse[..], &["1"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("on {product}")) && text.contains("all laws hold"), "{text}");
    assert!(text.contains("a lock of the scripts may keep it waiting for") && !text.contains("L21 lock budget: "), "{text}");
    assert_eq!(databases(), before);
    let mut child = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args([&rehearse[..], &["600"]].concat())
        .current_dir(root())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while databases() == before {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(databases(), before);
}

#[test]
fn a_scratch_server_is_left_as_it_was_on_postgres() {
    use crossfade::engine::ephemeral::postgres::{Server, installations};
    use crossfade::engine::postgres::Session;
    let Some(installation) = installations().pop() else { return };
    let server = Server::start(&installation).unwrap();
    let address = server.address("postgres");
    let mut admin = Session::connect(&address).unwrap();
    admin.run("create database crossfade_rehearse_of_others").unwrap();
    let folder = address.socket_folder.display().to_string().replace('/', "%2F");
    let url = format!("postgres://postgres@{folder}:{}/postgres", address.port);
    is_left_as_it_was(&url, &format!("PostgreSQL {}", installation.major), || {
        admin.value("select string_agg(datname, ' ' order by datname) from pg_database").unwrap().unwrap_or_default()
    });
}

fn a_scratch_server_of_the_family(flavour: crossfade::engine::ephemeral::mysql::Flavour, scheme: &str, product: &str) {
    use crossfade::engine::Connection as _;
    use crossfade::engine::ephemeral::mysql::{Server, installations};
    use crossfade::engine::mysql::Session;
    let Some(installation) = installations().into_iter().rfind(|one| one.flavour == flavour) else { return };
    let server = Server::start(&installation).unwrap();
    let address = server.address(None);
    let mut admin = Session::connect(&address).unwrap();
    admin.run("create database crossfade_rehearse_of_others").unwrap();
    let socket = address.socket.display().to_string().replace('/', "%2F");
    let (major, minor) = installation.version;
    is_left_as_it_was(&format!("{scheme}://root@localhost?socket={socket}"), &format!("{product} {major}.{minor}"), || {
        let names = "select group_concat(schema_name order by schema_name separator ' ') from information_schema.schemata";
        admin.value(names).unwrap().unwrap_or_default()
    });
}

#[test]
fn a_scratch_server_is_left_as_it_was_on_mysql() {
    a_scratch_server_of_the_family(crossfade::engine::ephemeral::mysql::Flavour::Mysql, "mysql", "MySQL");
}

#[test]
fn a_scratch_server_is_left_as_it_was_on_mariadb() {
    a_scratch_server_of_the_family(crossfade::engine::ephemeral::mysql::Flavour::Mariadb, "mariadb", "MariaDB");
}
