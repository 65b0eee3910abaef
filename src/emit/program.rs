//! The scripts of one upgrade as statements: what a runner runs one by one.
//!
//! Invariant: the text of a script is all there is. Whoever runs it with the database's own client runs the same statements.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::live::{Backfill, Check, Work};
use super::script::{RULE, Scripts};
use super::{EmitError, script};
use crate::plan::model::{Cost, Plan};
use crate::snapshot::model::Access;
use crate::sql::Dialect;
use crate::sql::split::{Bracket, Statement, split_as};

/// One upgrade, ready to be run.
#[derive(Debug, Clone)]
pub struct Program {
    /// The dialect.
    pub dialect: Dialect,
    /// How the versions reach their shapes.
    pub access: Access,
    /// The version that it starts from; `None` for a first installation.
    pub old_version: Option<String>,
    /// The version that it leads to.
    pub new_version: String,
    /// Name of the revisions.
    pub release: String,
    /// The namespace of the new version, in versioned access.
    pub namespace: Option<String>,
    /// The scripts.
    pub scripts: Scripts,
    /// The backfills that go by ranges of a key.
    pub backfills: Vec<Backfill>,
    /// What the two shapes must agree on.
    pub checks: Vec<Check>,
    /// The tables that clients write to, in versioned access.
    pub tables: Vec<String>,
}

/// What of a manifest a program is made of.
#[derive(Debug, Clone, Deserialize)]
pub struct Stored {
    /// Old version.
    pub from: Option<String>,
    /// New version.
    pub to: String,
    /// Name of the revisions.
    pub release: String,
    /// By dialect.
    pub dialects: Vec<StoredDialect>,
}

/// The part of one dialect.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredDialect {
    /// Its name.
    pub dialect: String,
    /// Access.
    pub access: Access,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    backfills: Vec<Backfill>,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    tables: Vec<String>,
}

/// Statements that take effect together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The section of the script: `Gates`, the revision, `Done`.
    pub section: String,
    /// Its place in the section, from 1.
    pub number: usize,
    /// The comment before it, as one text.
    pub comment: String,
    /// The statements, without the brackets of a transaction; with their comments.
    pub statements: Vec<String>,
    /// Whether it stands in a transaction of its own.
    pub bracketed: bool,
}

/// A statement of a script that is one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'u> {
    /// The section of the script.
    pub section: String,
    /// The comment of the step that begins with it.
    pub comment: String,
    /// Its text.
    pub text: &'u str,
}

/// The first sentence of a comment, as far as it fits on a line.
pub fn title(comment: &str) -> String {
    let title = comment.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.');
    match title.char_indices().nth(100) {
        Some((end, _)) => [&title[..end], "…"].concat(),
        None => title.to_owned(),
    }
}

impl Unit {
    /// The first sentence of its comment, or its first words.
    pub fn title(&self) -> String {
        let told = title(&self.comment);
        if told.is_empty() { title(&self.statements.first().map(|text| code(text)).unwrap_or_default()) } else { told }
    }

    /// Hash of what it does; comments and layout don't count.
    pub fn hash(&self) -> String {
        hash_of(&self.statements)
    }

    /// Whether it writes the table that says how far the database is, which clients that share a lock with the runner hold.
    pub fn writes_revision(&self) -> bool {
        let writes = |code: &str| {
            let code = code.to_lowercase();
            ["crossfade.revision", "crossfade_revision"].iter().any(|table| {
                ["insert into ", "insert ignore into ", "update ", "delete from "]
                    .iter()
                    .any(|verb| code.contains(&[verb, *table].concat()))
            })
        };
        self.statements.iter().any(|text| writes(&code(text)))
    }

    /// Whether all that it does takes its time (a scan, a copy, a table written anew), by the last word of each step's comment. The
    /// comments in a block count; of a statement without one, that of its step (`before`) does.
    pub fn takes_time(&self, before: &str) -> bool {
        let of_steps = |text: &str| {
            let lines = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("-- "));
            lines.collect::<Vec<_>>().join(" ")
        };
        let said: String = self.statements.iter().map(|text| of_steps(text)).collect::<Vec<_>>().join(" ");
        let said = if said.contains("Locks ") { said } else { before.to_owned() };
        let costs = |cost: Cost| said.contains(&["; ", cost.name(), "."].concat());
        !costs(Cost::Instant) && [Cost::Scan, Cost::Rewrite, Cost::Copy].into_iter().any(costs)
    }

    /// Whether it only changes settings of the session, or takes away what the session has made for itself.
    pub fn is_setting(&self) -> bool {
        let begins = |code: &str, words: &str| code.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words));
        let own = ["set ", "drop procedure crossfade_", "drop temporary table crossfade_"];
        self.statements.iter().all(|text| own.iter().any(|words| begins(&code(text), words)))
    }
}

fn hash_of(statements: &[String]) -> String {
    let mut hash = Sha256::new();
    for statement in statements {
        hash.update(statement.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n").trim());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

/// Hash of what a backfill does with its rows.
pub fn work_hash(backfill: &Backfill) -> String {
    let parts = match &backfill.work {
        Work::Update { set, unfilled } => vec![backfill.table.clone(), set.clone(), unfilled.clone()],
        Work::Copy { target, columns, values, meant, .. } => {
            vec![backfill.table.clone(), target.clone(), columns.clone(), values.clone(), meant.clone().unwrap_or_default()]
        }
    };
    hash_of(&parts)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a statement makes what keeps the two shapes in step while clients write (a trigger of [`crate::plan::naming`]'s, or its
/// function), takes it away where it must be there, or finds out whether it may be made.
pub fn keeps_in_step(statement: &str) -> bool {
    let code = code(statement).to_lowercase().replace(['"', '`'], "");
    let verbs = ["create trigger if not exists ", "create or replace trigger ", "create trigger ", "drop trigger "];
    let named = verbs.iter().find_map(|verb| code.strip_prefix(verb));
    named.is_some_and(|name| name.starts_with("zz_crossfade_") || name.starts_with("00_crossfade_"))
        || code.starts_with("revoke all on function crossfade.mirror_")
        || (code.starts_with("create or replace function ") && code.contains("() returns trigger "))
        || ["create trigger if not exists", "drop trigger", "create function", "drop function"]
            .iter()
            .any(|verb| code.starts_with(&[verb, " crossfade_may_make_triggers"].concat()))
}

/// A statement without its comments, on one line.
pub fn code(statement: &str) -> String {
    let lines = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

impl Program {
    /// Of a plan.
    ///
    /// # Errors
    /// As [`super::scripts`].
    pub fn of(plan: &Plan) -> Result<Program, EmitError> {
        let live = script::live(plan)?;
        Ok(Program {
            dialect: plan.dialect,
            access: plan.access,
            old_version: plan.old_version.clone(),
            new_version: plan.new_version.clone(),
            release: plan.release.clone(),
            namespace: (plan.access == Access::Versioned).then(|| plan.namespace(&plan.new_version)),
            scripts: super::scripts(plan)?,
            backfills: live.backfills,
            checks: live.checks,
            tables: live.tables,
        })
    }

    /// Of a folder that `compile` wrote; `None` when it has nothing for that dialect.
    pub fn stored(stored: Stored, dialect: Dialect, scripts: Scripts) -> Option<Program> {
        let part = stored.dialects.into_iter().find(|part| part.dialect == dialect.name())?;
        Some(Program {
            dialect,
            access: part.access,
            old_version: stored.from,
            new_version: stored.to,
            release: stored.release,
            namespace: part.namespace,
            scripts,
            backfills: part.backfills,
            checks: part.checks,
            tables: part.tables,
        })
    }

    /// The units of one of its scripts, in order.
    pub fn units(&self, script: &str) -> Vec<Unit> {
        units(self.dialect, script)
    }

    /// The statements of a unit that is all of a script, each with the section that it stands in and the comment of the step that it
    /// begins.
    pub fn parts<'u>(&self, script: &str, unit: &'u Unit) -> Vec<Part<'u>> {
        let mut section = unit.section.clone();
        let mut parts = Vec::new();
        for text in &unit.statements {
            let (head, comment) = heading(text);
            section = head.unwrap_or(section);
            // A step is set off by an empty line.
            let comment = if script.contains(&["\n\n", text].concat()) { comment } else { String::new() };
            parts.push(Part { section: section.clone(), comment, text });
        }
        parts
    }

    /// Whether a statement of a script does all at once what a backfill does in batches.
    pub fn is_all_of(&self, backfill: &Backfill, statement: &str) -> bool {
        let said = code(statement);
        let (head, rows) = match &backfill.work {
            Work::Update { unfilled, .. } => (format!("update {} set ", backfill.table), unfilled),
            Work::Copy { target, columns, meant, .. } => (format!("insert into {target} ({columns}) "), meant.as_ref().unwrap_or(target)),
        };
        said.starts_with(&head) && said.ends_with(&code(rows))
    }

    /// Whether a statement of a script counts the rows that a check is about, or is the gate that refuses when there are any.
    pub fn counts(&self, check: &Check, statement: &str) -> bool {
        let said = code(statement);
        let asked = code(&format!(" from {} where {}", check.table, check.condition));
        (said.starts_with("select 'refused: ") || said.starts_with("create temp trigger crossfade_refuse ")) && said.contains(&asked)
    }

    /// The backfill that a unit is.
    pub fn backfill(&self, unit: &Unit) -> Option<&Backfill> {
        self.backfills.iter().find(|backfill| {
            let name = crate::sql::quote::literal(&backfill.name, self.dialect);
            let begins = ["insert into crossfade.checkpoint", "insert ignore into crossfade_checkpoint"];
            unit.statements.iter().any(|statement| begins.iter().any(|begin| statement.contains(begin)) && statement.contains(&name))
        })
    }

    /// The check that a unit is.
    pub fn check(&self, unit: &Unit) -> Option<&Check> {
        let counted = |check: &&Check| {
            let text = [" from ", &check.table, " where ", &check.condition, ";"].concat();
            unit.statements.iter().any(|statement| statement.contains(&text))
        };
        self.checks.iter().find(counted)
    }

    /// Hash of what refuses the writes of a version.
    pub fn hash_of_drain(&self, drain: &super::drain::Drain) -> String {
        hash_of(&[drain.guards.concat(), drain.refuse.clone()].concat())
    }

    /// Name and hash of each script.
    pub fn hashes(&self) -> Vec<(&'static str, String)> {
        self.scripts.files().into_iter().map(|(name, text)| (name, hex(&Sha256::digest(text.as_bytes())))).collect()
    }
}

/// A part of a script as it is written, from one head to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'s> {
    /// `Gates`, the revision, `Done`; empty before the first head.
    pub name: &'s str,
    /// What it is about: `table users`. May be empty.
    pub title: &'s str,
    /// The text behind the head.
    pub text: &'s str,
}

/// The parts of a script as they are written, in order.
pub fn sections(script: &str) -> Vec<Section<'_>> {
    let rule = format!("-- {}\n", "=".repeat(RULE));
    let mut found = Vec::new();
    let (mut name, mut title, mut begun, mut at) = ("", "", 0, 0);
    while let Some(rest) = script.get(at..).filter(|rest| !rest.is_empty()) {
        let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let head = rest.strip_prefix(&rule).and_then(|rest| rest.split_once('\n')).filter(|(_, after)| after.starts_with(&rule));
        let Some((head, after)) = head else {
            at += line;
            continue;
        };
        found.push(Section { name, title, text: script.get(begun..at).unwrap_or_default().trim_matches('\n') });
        let head = head.trim_start_matches("-- ");
        (name, title) = head.split_once(": ").unwrap_or((head, ""));
        at = script.len() - after.len() + rule.len();
        begun = at;
    }
    found.push(Section { name, title, text: script.get(begun..).unwrap_or_default().trim_matches('\n') });
    found
}

/// What the head of a script says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Head {
    /// What it does, in a sentence or two.
    pub title: String,
    /// How it is run by hand.
    pub run: String,
    /// What must be true before it runs.
    pub before: String,
    /// What is true, or to be done, behind it.
    pub after: String,
    /// Who waits for it, and what happens when it is run again.
    pub note: String,
}

/// What the head of a script says, line by line; empty where it does not say it.
pub fn head(script: &str) -> Head {
    let lines = || script.lines().take_while(|line| line.starts_with("--")).map(|line| line.trim_start_matches('-').trim());
    let said = |key: &str| lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let note: Vec<&str> = lines().skip_while(|line| !line.starts_with("After it:")).skip(1).filter(|line| !line.is_empty()).collect();
    Head {
        title: lines().next().unwrap_or_default().to_owned(),
        run: said("Run it with:"),
        before: said("Before it:"),
        after: said("After it:"),
        note: note.join(" "),
    }
}

/// What stands before a statement: the section that begins there, if one does, and the comment as one text.
fn heading(statement: &str) -> (Option<String>, String) {
    let rule = format!("-- {}", "=".repeat(RULE));
    let (mut section, mut comment) = (None, Vec::new());
    let mut lines = statement.lines().peekable();
    while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("--")) {
        if line == rule {
            let head = lines.next().unwrap_or_default().trim_start_matches("-- ");
            section = Some(head.split(": ").next().unwrap_or(head).to_owned());
            comment.clear();
            lines.next();
        } else if !line.is_empty() {
            comment.push(line.trim_start_matches('-').trim());
        }
    }
    (section, comment.join(" "))
}

/// The units of a script.
fn units(dialect: Dialect, script: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let (mut section, mut number) = (String::new(), 0);
    let mut open: Option<Unit> = None;
    // What a procedure that is made for one use is for, and its name while it is there.
    let mut helper: Option<String> = None;
    for Statement { text, bracket, .. } in split_as(dialect, script) {
        let (head, comment) = heading(&text);
        if let Some(head) = head {
            section = head;
            number = 0;
        }
        match (bracket, open.as_mut()) {
            (Bracket::Opens, _) => {
                number += 1;
                open = Some(Unit { section: section.clone(), number, comment, statements: Vec::new(), bracketed: true });
            }
            (Bracket::Closes, _) => units.extend(open.take()),
            (Bracket::Neither, Some(unit)) => {
                if unit.comment.is_empty() {
                    unit.comment = comment;
                }
                unit.statements.push(text);
            }
            (Bracket::Neither, None) => {
                let says = code(&text);
                if let Some(before) = units.last_mut() {
                    if let Some(name) = &helper {
                        let is_last = says == ["drop procedure ", name].concat();
                        before.statements.push(text);
                        if is_last {
                            helper = None;
                        }
                        continue;
                    }
                    // What a check has found is told behind it.
                    if says.starts_with("insert into crossfade_gate select @crossfade_found ") {
                        before.statements.push(text);
                        continue;
                    }
                }
                number += 1;
                helper = once(&says);
                // A setting that a statement needs stands behind the statement's comment, with a word of its own.
                let comment = match units.last() {
                    Some(before) if before.is_setting() && before.section == section && !before.comment.is_empty() => {
                        before.comment.clone()
                    }
                    _ => comment,
                };
                let statements = vec![text];
                units.push(Unit { section: section.clone(), number, comment, statements, bracketed: false });
            }
        }
    }
    units.extend(open);
    units
}

/// The name of a procedure that is made, called and taken away again.
fn once(code: &str) -> Option<String> {
    let name = code.strip_prefix("create procedure ")?.split('(').next()?;
    // It stays for the whole script.
    (name != "crossfade_step").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procedure_for_one_use_is_one_unit() {
        let rule = "=".repeat(RULE);
        let script = format!(
            "-- {rule}\n-- p_migrate01: table users\n-- {rule}\n\n-- Do they agree?\ndelimiter //\ncreate procedure crossfade_check()\nbegin\n  select 1;\nend //\ndelimiter ;\n\
             set @crossfade_found = null;\ncall crossfade_check();\ndrop procedure crossfade_check;\ninsert into crossfade_gate select @crossfade_found from dual where @crossfade_found is not null;\n\n\
             -- Next.\ncall crossfade_step(true, 'x');\ndrop procedure crossfade_step;\n"
        );
        let found: Vec<_> = units(Dialect::Mysql, &script)
            .into_iter()
            .map(|unit| (unit.section.clone(), unit.title(), unit.statements.len(), unit.is_setting()))
            .collect();
        let unit = |title: &str, statements, setting| ("p_migrate01".to_owned(), title.to_owned(), statements, setting);
        assert_eq!(found, [unit("Do they agree?", 5, false), unit("Next", 1, false), unit("drop procedure crossfade_step", 1, true)]);
    }

    #[test]
    fn what_takes_its_time_says_so() {
        let script = "-- Why.\n-- Locks a METADATA EXCLUSIVE; instant.\ncall x(1);\ncall x(2);\n\n-- Built beside\n-- writers. Locks a NONE;\n-- rewrite.\ncall x(3);\n\n\
                      update crossfade_revision set phase = 'x';\n";
        let found: Vec<_> = units(Dialect::Mysql, script);
        let times: Vec<bool> = found.iter().map(|unit| unit.takes_time("")).collect();
        assert_eq!(times, [false, false, true, false]);
        assert!(found[1].takes_time(&found[2].comment));
        assert_eq!(found.iter().map(Unit::writes_revision).collect::<Vec<_>>(), [false, false, false, true]);
        let block = "do $$\nbegin\n  -- Counted.\n  -- Locks a ACCESS SHARE; scan.\n  select 1;\n  -- Goes.\n  -- Locks a ACCESS EXCLUSIVE; instant.\n  drop x;\nend\n$$;\n";
        assert!(!units(Dialect::Postgres, block)[0].takes_time(""));
    }

    #[test]
    fn what_keeps_in_step_is_told_by_its_name() {
        let does = [
            "-- Why.\ncreate trigger if not exists `zz_crossfade_sync_a_update` before update on a",
            "create or replace trigger zz_crossfade_sync_users_insert before insert on public.users",
            "create trigger \"zz_crossfade_mirror a\" after insert on a",
            "create or replace function crossfade.sync_users() returns trigger\nlanguage plpgsql",
            "drop trigger zz_crossfade_mirror_items_guard",
            "-- Before.\ncreate or replace trigger \"00_crossfade_mirror_items\" before insert on public.items",
            "revoke all on function crossfade.\"mirror_Parts_to_items\"(), crossfade.mirror_items_to_parts() from public",
            "drop trigger crossfade_may_make_triggers",
        ];
        let does_not = [
            "drop trigger if exists zz_crossfade_sync_users_insert on public.users",
            "create trigger users__v2_insert instead of insert on users__v2",
            "create temp trigger crossfade_refuse before insert on crossfade_gate",
            "create or replace function crossfade.next_items() returns bigint",
            "create trigger users_audit after insert on users",
        ];
        assert_eq!(does.into_iter().filter(|text| !keeps_in_step(text)).collect::<Vec<_>>(), [""; 0]);
        assert_eq!(does_not.into_iter().filter(|text| keeps_in_step(text)).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn a_script_is_read_back_as_it_is_laid_out() {
        let rule = "=".repeat(RULE);
        let script = format!(
            "-- expand a: adds.\n--\n--   from a\n-- Run it with:  psql -f x\n-- Before it:    b\n-- After it:     c\n--\n-- One.\n-- Two.\n\nset a = 1;\n\n\n\
             -- {rule}\n-- Gates\n-- {rule}\n\nselect 1;\n\n\n-- {rule}\n-- p_expand01: table a: b\n-- {rule}\n\nselect 2;\n"
        );
        let found: Vec<_> =
            sections(&script).into_iter().map(|part| (part.name, part.title, part.text.lines().last().unwrap_or_default())).collect();
        assert_eq!(found, [("", "", "set a = 1;"), ("Gates", "", "select 1;"), ("p_expand01", "table a: b", "select 2;")]);
        let said = head(&script);
        assert_eq!(
            [&said.title, &said.run, &said.before, &said.after, &said.note],
            ["expand a: adds.", "psql -f x", "b", "c", "One. Two."]
        );
    }

    #[test]
    fn a_script_is_sections_of_units() {
        let rule = "=".repeat(RULE);
        let script = format!(
            "-- head\nset a = 1;\n\n-- {rule}\n-- Gates\n-- {rule}\n\n-- Is it there? Say so.\nselect 1;\n\n-- {rule}\n-- p_expand01: table users\n-- {rule}\n\n\
             -- Why.\n-- Locks.\nalter table x;\nbegin;\n-- One.\nselect 2;\nselect 3;\ncommit;\n"
        );
        let found: Vec<_> = units(Dialect::Postgres, &script)
            .into_iter()
            .map(|unit| (unit.section.clone(), unit.number, unit.title(), unit.statements.len(), unit.bracketed))
            .collect();
        let unit = |section: &str, number, title: &str, statements, bracketed| {
            (section.to_owned(), number, title.to_owned(), statements, bracketed)
        };
        assert_eq!(
            found,
            [
                unit("", 1, "head", 1, false),
                unit("Gates", 1, "Is it there? Say so", 1, false),
                unit("p_expand01", 1, "Why", 1, false),
                unit("p_expand01", 2, "One", 2, true),
            ]
        );
    }
}
