// Changes of one table `things`: any two of them are one upgrade.

/// A change: its name, and its lines in the old snapshot's columns, in the new one's, in the table's other members of either, and in
/// the transition's columns.
struct Fragment {
    name: &'static str,
    old: &'static [&'static str],
    new: &'static [&'static str],
    old_rules: &'static [&'static str],
    new_rules: &'static [&'static str],
    hints: &'static [&'static str],
}

const NONE: Fragment = Fragment { name: "", old: &[], new: &[], old_rules: &[], new_rules: &[], hints: &[] };

const FRAGMENTS: &[Fragment] = &[
    Fragment { name: "a column that both can do without", new: &["note: text"], ..NONE },
    Fragment { name: "a column with a default", new: &["rank: integer not null default 7"], ..NONE },
    Fragment { name: "a column that goes", old: &["legacy: date"], ..NONE },
    Fragment {
        name: "another name",
        old: &["label: text not null"],
        new: &["title: text not null"],
        hints: &["title: {renamed_from: label}"],
        ..NONE
    },
    Fragment {
        name: "a split",
        old: &["full_name: text"],
        new: &["first_name: text", "rest: text"],
        hints: &[
            "first_name: {up: \"substr(full_name, 1, instr(full_name || ' ', ' ') - 1)\", lossy: true}",
            "rest: {up: \"substr(full_name, instr(full_name || ' ', ' ') + 1)\"}",
            "full_name: {down: \"coalesce(first_name || ' ' || rest, first_name, rest)\"}",
        ],
        ..NONE
    },
    Fragment {
        name: "a mapping",
        old: &["is_open: boolean not null default false"],
        new: &["state: varchar(10) not null default 'closed'"],
        hints: &["state: {values: {true: open, false: closed}, renamed_from: is_open}"],
        ..NONE
    },
    Fragment { name: "an index", old: &["place: text"], new: &["place: text"], new_rules: &["indexes: [{name: things_place_idx, columns: [place]}]"], ..NONE },
    Fragment {
        name: "a unique rule",
        old: &["code: varchar(40)"],
        new: &["code: varchar(40)"],
        new_rules: &["unique: [{name: things_code_key, columns: [code]}]"],
        ..NONE
    },
    Fragment {
        name: "a check",
        old: &["size: integer"],
        new: &["size: integer"],
        new_rules: &["checks: [{name: things_size_check, expression: \"size < 40000\"}]"],
        ..NONE
    },
    Fragment { name: "NOT NULL", old: &["mood: text"], new: &["mood: text not null"], hints: &["mood: {up: \"coalesce(mood, 'calm')\"}"], ..NONE },
];

/// `hints`: of a version that has one before it.
fn things(version: &str, parts: [(&[&str], &[&str]); 2], before: Option<(&str, &[&str])>) -> String {
    let mut text = format!("version: {version}\ntables:\n  things:\n    columns:\n      id: bigint not null\n      kept: text\n");
    for line in parts.iter().flat_map(|(columns, _)| *columns) {
        let _ = writeln!(text, "      {line}");
    }
    text.push_str("    primary_key: [id]\n");
    for line in parts.iter().flat_map(|(_, rules)| *rules) {
        let _ = writeln!(text, "    {line}");
    }
    if let Some((before, hints)) = before {
        let _ = write!(text, "transition:\n  from: {before}\n");
        if !hints.is_empty() {
            text.push_str("  tables:\n    things:\n      columns:\n");
            for line in hints {
                let _ = writeln!(text, "        {line}");
            }
        }
    }
    text
}

/// Any two changes on one table, in one access mode each; `CROSSFADE_SEEDS` tries more seeds and both modes.
#[test]
fn pairs_of_changes_on_one_table_hold() {
    let seeds: Option<u64> = std::env::var("CROSSFADE_SEEDS").ok().map(|seeds| seeds.parse().expect("CROSSFADE_SEEDS is a number"));
    let mut alarms = String::new();
    let (mut number, mut count) = (0, 0);
    for (at, one) in FRAGMENTS.iter().enumerate() {
        for other in &FRAGMENTS[at + 1..] {
            number += 1;
            let folder = tempfile::tempdir().unwrap();
            let hints = [one.hints, other.hints].concat();
            let old = things("v1", [(one.old, one.old_rules), (other.old, other.old_rules)], None);
            let new = things("v2", [(one.new, one.new_rules), (other.new, other.new_rules)], Some(("v1", &hints)));
            std::fs::write(folder.path().join("old.yaml"), old).unwrap();
            std::fs::write(folder.path().join("new.yaml"), new).unwrap();
            let modes = [Access::Shared, Access::Versioned];
            for seed in 1..=seeds.unwrap_or(1) {
                for access in modes.into_iter().enumerate().filter(|(mode, _)| seeds.is_some() || *mode == number % 2).map(|(_, mode)| mode) {
                    let options = Options { seed, histories: 1, ..Options::default() };
                    let Some(report) = rehearsed(folder.path(), access, &options, |_, scripts| scripts) else {
                        let _ = writeln!(alarms, "{} and {}, {access:?}: compile refuses it", one.name, other.name);
                        continue;
                    };
                    count += 1;
                    if !report.broken.is_empty() {
                        let _ = writeln!(alarms, "{} and {}, {access:?}, seed {seed}\n{}", one.name, other.name, report.text());
                    }
                }
            }
        }
    }
    assert!(alarms.is_empty(), "\n{alarms}");
    assert!(count >= FRAGMENTS.len() * (FRAGMENTS.len() - 1) / 2, "only {count} were rehearsed");
}

/// One change after another one on the same table, in three versions: the second upgrade begins with what the first one has left, and
/// the rows that clients of its versions wrote. Every other chain in each access mode.
#[test]
fn chains_of_three_versions_hold() {
    let seeds: u64 = std::env::var("CROSSFADE_SEEDS").map_or(1, |seeds| seeds.parse().expect("CROSSFADE_SEEDS is a number"));
    let mut alarms = String::new();
    let mut through = 0;
    let venue = Venue::open(DIALECT, None).unwrap();
    let chains = FRAGMENTS.iter().flat_map(|one| FRAGMENTS.iter().map(move |other| (one, other)));
    for (number, (one, other)) in chains.filter(|(one, other)| one.name != other.name).enumerate() {
        let access = if number % 2 == 0 { Access::Shared } else { Access::Versioned };
        let schema = |text: String| read(&text).unwrap();
        let versions = [
            schema(things("v1", [(one.old, one.old_rules), (other.old, other.old_rules)], None)),
            schema(things("v2", [(one.new, one.new_rules), (other.old, other.old_rules)], Some(("v1", one.hints)))),
            schema(things("v3", [(one.new, one.new_rules), (other.new, other.new_rules)], Some(("v2", other.hints)))),
        ];
        let upgrades: Vec<_> = versions
            .windows(2)
            .map(|two| {
                let (diff, _) = diff::diff(&two[0], &two[1], DIALECT, &diff::Options { assume_drop: AssumeDrop::Ask });
                (diff, compile_for(DIALECT, &two[0], &two[1], access).unwrap())
            })
            .collect();
        let subjects: Vec<Subject<'_>> =
            upgrades.iter().map(|(diff, (plan, scripts))| subject(diff, plan, scripts.clone(), access)).collect();
        for seed in 1..=seeds {
            let options = Options { seed, histories: 1, ..Options::default() };
            let reports = rehearse_chain_at(&venue, &subjects, &options).unwrap();
            through += usize::from(reports.len() == 2 && reports.iter().all(|report| report.cut_short == 0));
            for report in reports.iter().filter(|report| !report.broken.is_empty()) {
                let _ = writeln!(alarms, "{} and then {}, {access:?}, seed {seed}\n{}", one.name, other.name, report.text());
            }
        }
    }
    assert!(alarms.is_empty(), "\n{alarms}");
    assert!(through >= FRAGMENTS.len() * (FRAGMENTS.len() - 1), "only {through} chains came to their end");
}
