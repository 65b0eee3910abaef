//! Sweeps: every example and case is rehearsed, and nothing that is right may raise an alarm.

use std::ops::RangeInclusive;

use super::*;

/// Examples and cases whose folders are in a dialect's words.
pub(super) fn folders(parents: &[&str], dialect: Dialect) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = parents
        .iter()
        .flat_map(|parent| std::fs::read_dir(root().join(parent)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("old.yaml").is_file() && takes(path, dialect))
        .collect();
    folders.sort();
    folders
}

fn takes(folder: &Path, dialect: Dialect) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join("case.yaml")) else { return true };
    let list = text.lines().find(|line| line.starts_with("dialects:")).unwrap_or("dialects: [postgres]");
    list.split(['[', ']', ',', ' ']).any(|word| word == dialect.name())
}

/// Not every case declares what its lens loses; the examples do.
fn raises_alarm(folder: &Path, report: &Report) -> bool {
    let is_loss = |broke: &Broke| broke.law == "L3" && broke.expected.contains("or `lossy: true`");
    let is_case = folder.join("case.yaml").is_file();
    report.broken.iter().any(|broke| !(is_case && is_loss(broke)))
}

/// Histories alone: what the scripts of a plan do while nobody writes, and how long they keep others waiting, is the same with any
/// seed, and takes most of the time on a server. One history a seed, since the next seed brings another.
fn lived_through(venue: &Venue, dialect: Dialect, folder: &Path, access: Access, options: &Options) -> Option<Report> {
    let reports = |subject: &Subject<'_>| {
        rehearse_chain_at(venue, std::slice::from_ref(subject), options).unwrap_or_else(|stopped| panic!("{}: {stopped}", folder.display()))
    };
    let reports = with_subject(dialect, folder, access, |_, scripts| scripts, reports)?;
    let broken = reports.iter().position(|report| raises_alarm(folder, report));
    reports.into_iter().nth(broken.unwrap_or(0))
}

/// What is wrong with these, in these accesses with these seeds each, and how many were rehearsed.
#[allow(clippy::print_stderr, reason = "a run by hand shows how far it is, and at once what it finds")]
pub(super) fn alarms(
    dialect: Dialect,
    folders: &[PathBuf],
    accesses: &[Access],
    seeds: &RangeInclusive<u64>,
    options: &Options,
) -> (usize, String) {
    let (alarms, count) = (Mutex::new(String::new()), Mutex::new(0));
    // On a server the accesses take turns from the second seed on.
    let has_turn = |seed: u64, at: usize| seed == 1 || dialect == DIALECT || (seed as usize + at).is_multiple_of(accesses.len());
    let all: Vec<(u64, &PathBuf, Access)> = seeds
        .clone()
        .flat_map(|seed| {
            folders.iter().flat_map(move |folder| accesses.iter().enumerate().map(move |(at, access)| (seed, folder, at, *access)))
        })
        .filter(|(seed, _, at, _)| has_turn(*seed, *at))
        .map(|(seed, folder, _, access)| (seed, folder, access))
        .collect();
    let next = Mutex::new(all.into_iter());
    let work = || {
        let venue = Venue::open(dialect, None).unwrap();
        loop {
            let Some((seed, folder, access)) = next.lock().unwrap().next() else { return };
            let options = Options { seed, ..options.clone() };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if seed > 1 && dialect != DIALECT {
                    let options = Options { histories: 1, kills: 1, ..options };
                    return lived_through(&venue, dialect, folder, access, &options);
                }
                rehearsed_at(&venue, dialect, folder, access, &options, |_, scripts| scripts)
            }));
            let said = match done {
                Ok(None) => continue,
                Ok(Some(report)) => raises_alarm(folder, &report).then(|| report.text()),
                Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
            };
            let so_far = {
                let mut count = count.lock().unwrap();
                *count += 1;
                *count
            };
            if so_far % 100 == 0 {
                eprintln!("{so_far} rehearsed, now with seed {seed}");
            }
            if let Some(said) = said {
                let alarm = format!("==== {} {access:?}, seed {seed}\n{said}", folder.display());
                eprintln!("{alarm}");
                let _ = writeln!(alarms.lock().unwrap(), "{alarm}");
            }
        }
    };
    // Two at once, where there are cores for it.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(2) {
            scope.spawn(work);
        }
    });
    (count.into_inner().unwrap(), alarms.into_inner().unwrap())
}

/// All examples and cases in both accesses, as `tests/cases/README.md` describes it. How many were rehearsed.
fn sweep(dialect: Dialect, options: &Options) -> usize {
    let words = std::env::var("CROSSFADE_CASES").unwrap_or_default();
    let number = |text: &str| -> u64 { text.parse().expect("CROSSFADE_SEEDS is a number, or two: 2-20") };
    let seeds = std::env::var("CROSSFADE_SEEDS").map_or(1..=1, |seeds| match seeds.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => 1..=number(&seeds),
    });
    let some: Vec<PathBuf> = folders(&["examples", "tests/cases"], dialect)
        .into_iter()
        .filter(|folder| words.is_empty() || words.split(',').any(|word| folder.ends_with(word)))
        .collect();
    let (count, alarms) = alarms(dialect, &some, &[Access::Shared, Access::Versioned], &seeds, options);
    assert!(alarms.is_empty(), "{count} were rehearsed\n{alarms}");
    assert!(count > 60 || !words.is_empty(), "only {count} were rehearsed");
    count
}

/// Each with one seed where nobody asks for more.
#[test]
fn what_is_right_holds() {
    sweep(DIALECT, &Options { histories: 1, ..Options::default() });
}

/// Seeds that once raised a false alarm, or showed what the plan did not say.
#[test]
fn what_other_seeds_found_holds() {
    for (folder, access, seed) in [
        // The old version gives NULL to a NOT NULL column that goes.
        ("tests/cases/drop-column-down", Access::Shared, 4),
        // What follows from a write of the new version breaks a foreign key that binds from contract on.
        ("tests/cases/rules-over-two-columns", Access::Versioned, 4),
        // What the server computes for the new version is NULL.
        ("tests/cases/plain-becomes-generated", Access::Versioned, 8),
    ] {
        let options = Options { seed, histories: 1, kills: 1, ..Options::default() };
        let folder = root().join(folder);
        let report = rehearsed(&folder, access, &options, |_, scripts| scripts).unwrap();
        assert!(!raises_alarm(&folder, &report), "{} {access:?}, seed {seed}\n{}", folder.display(), report.text());
    }
}

/// On a server: by hand, since it takes minutes for each seed. Every case is killed everywhere by `tests/cases.rs`.
#[allow(clippy::print_stderr, reason = "who runs it by hand reads it")]
fn every_case(dialect: Dialect) {
    let count = sweep(dialect, &Options { histories: 2, kills: 2, ..Options::default() });
    eprintln!("{count} rehearsals on {} raised no alarm", dialect.name());
}

#[test]
#[ignore = "it takes minutes"]
fn every_case_on_postgres() {
    every_case(Dialect::Postgres);
}

#[test]
#[ignore = "it takes minutes"]
fn every_case_on_mysql() {
    every_case(Dialect::Mysql);
}

#[test]
#[ignore = "it takes minutes"]
fn every_case_on_mariadb() {
    every_case(Dialect::Mariadb);
}
