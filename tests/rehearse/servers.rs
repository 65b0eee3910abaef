//! Rehearsals on servers: what is right holds there, and faults that only they can have are caught.

use super::*;

/// Examples and cases whose folders are in a server's words.
fn folders(parents: &[&str], dialect: Dialect) -> Vec<PathBuf> {
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

/// What is wrong with these, each in both accesses, and how many were rehearsed.
fn alarms(dialect: Dialect, folders: &[PathBuf], options: &Options) -> (usize, String) {
    let (alarms, count) = (Mutex::new(String::new()), Mutex::new(0));
    let all: Vec<(&PathBuf, Access)> = folders.iter().flat_map(|folder| [(folder, Access::Shared), (folder, Access::Versioned)]).collect();
    let next = Mutex::new(all.into_iter());
    let work = || {
        let venue = Venue::open(dialect, None).unwrap();
        loop {
            let Some((folder, access)) = next.lock().unwrap().next() else { return };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rehearsed_at(&venue, dialect, folder, access, options, |_, scripts| scripts)
            }));
            let said = match done {
                Ok(None) => continue,
                Ok(Some(report)) => {
                    let is_loss = |broke: &Broke| broke.law == "L3" && broke.expected.contains("or `lossy: true`");
                    let is_case = folder.join("case.yaml").is_file();
                    let bad = report.broken.iter().any(|broke| !(is_case && is_loss(broke)));
                    bad.then(|| report.text())
                }
                Err(panic) => Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()),
            };
            *count.lock().unwrap() += 1;
            if let Some(said) = said {
                let _ = writeln!(alarms.lock().unwrap(), "==== {} {access:?}\n{said}", folder.display());
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    (count.into_inner().unwrap(), alarms.into_inner().unwrap())
}

/// All cases, or those whose names have the words of `CROSSFADE_CASES`; by hand, since it takes minutes.
fn every_case(dialect: Dialect) {
    let words = std::env::var("CROSSFADE_CASES").unwrap_or_default();
    let some: Vec<PathBuf> = folders(&["examples", "tests/cases"], dialect)
        .into_iter()
        .filter(|folder| words.is_empty() || words.split(',').any(|word| folder.ends_with(word)))
        .collect();
    let (count, alarms) = alarms(dialect, &some, &Options { histories: 2, ..Options::default() });
    assert!(alarms.is_empty(), "{count} were rehearsed\n{alarms}");
}

#[test]
#[ignore = "it takes minutes"]
fn every_case_on_postgres() {
    every_case(Dialect::Postgres);
}
