//! SQLite: a script is one transaction of plain SQL, which the shell runs and any driver.

use minijinja::context;

use crate::dialect::language::{Language as _, Row};
use crate::dialect::sqlite::OLDEST;
use crate::dialect::sqlite::expression::Expressions;
use crate::plan::model::{Action, Finding, Footprint, Phase, Plan};
use crate::snapshot::model::Access;

use super::renderer::{Check, Grants, Header, Live, Renderer, Script};
use super::templates::Templates;
use super::{EmitError, Rendered, live};

mod action;
mod mirror;
mod sync;

use action::Actions;

/// Says what a plan does to the shell of SQLite.
pub(super) struct Sqlite<'a> {
    plan: &'a Plan,
    actions: Actions<'a>,
}

impl<'a> Sqlite<'a> {
    pub(super) fn new(plan: &'a Plan, templates: &'a Templates) -> Self {
        Sqlite { plan, actions: Actions { templates, plan, sql: Expressions { schema: &plan.schema, collated: &[] } } }
    }

    /// The steps whose statements are in a script.
    fn in_script(&self, script: Script) -> impl Iterator<Item = &Action> {
        self.plan
            .steps
            .iter()
            .filter(move |step| match script {
                Script::Phase(phase) => step.phase == phase,
                Script::Abort => step.phase != Phase::Contract,
            })
            .map(|step| &step.action)
    }

    /// The tables that a script writes anew.
    fn rebuilt(&self, script: Script) -> Vec<String> {
        let mut names: Vec<String> = self
            .in_script(script)
            .filter_map(|action| match action {
                Action::RebuildTable(rebuild) => Some(rebuild.before.name.clone()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What a script meets in the file that no snapshot knows, and that it would lose.
    fn strangers(&self, script: Script) -> Vec<minijinja::Value> {
        let sql = self.actions.sql;
        let mut seen = std::collections::BTreeSet::new();
        self.in_script(script)
            .filter_map(|action| match action {
                Action::RebuildTable(rebuild) => Some(rebuild),
                _ => None,
            })
            // The first rebuild in a script is the one that meets the table as it was.
            .filter(|rebuild| seen.insert(rebuild.before.name.clone()))
            .map(|rebuild| {
                let table = &rebuild.before.name;
                let literals = |names: Vec<&str>| -> String {
                    let mut names: Vec<String> = names.into_iter().map(|name| sql.literal(name)).collect();
                    names.sort();
                    names.dedup();
                    if names.is_empty() { "''".to_owned() } else { names.join(", ") }
                };
                let shapes = [&rebuild.before, &rebuild.after];
                let columns = shapes.iter().flat_map(|spec| &spec.columns).map(|c| c.name.as_str());
                let of_plan = |action: &'_ Action| -> Vec<String> {
                    match action {
                        Action::CreateIndex(index) | Action::DropIndex { index, .. } => vec![index.name.clone()],
                        Action::RebuildTable(rebuild) => {
                            rebuild.before.indexes.iter().chain(&rebuild.after.indexes).map(|index| index.name.clone()).collect()
                        }
                        _ => Vec::new(),
                    }
                };
                let indexes: Vec<String> = self.plan.steps.iter().flat_map(|step| of_plan(&step.action)).collect();
                context! {
                    table => sql.literal(table),
                    name => table.replace('\'', "''"),
                    columns => literals(columns.collect()),
                    indexes => literals(indexes.iter().map(String::as_str).collect()),
                }
            })
            .collect()
    }

    fn gate(&self, script: Script) -> Rendered {
        let (plan, sql) = (self.plan, self.actions.sql);
        let mut tables: Vec<&str> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::AddColumns { table, .. } | Action::DropTable { table } | Action::SwapColumns { table, .. } => Some(table.as_str()),
                Action::RebuildTable(rebuild) | Action::AlterRules(rebuild) => Some(rebuild.before.name.as_str()),
                Action::RenameTable { from, .. } => Some(from.as_str()),
                _ => None,
            })
            .collect();
        tables.sort_unstable();
        tables.dedup();
        let created: Vec<&str> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::CreateTable(spec) => Some(spec.name.as_str()),
                _ => None,
            })
            .collect();
        let mut synced: Vec<&str> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::InstallSync(sync) => Some(sync.table.as_str()),
                _ => None,
            })
            .collect();
        synced.sort_unstable();
        let named = |names: Vec<&str>| -> Vec<minijinja::Value> {
            names.into_iter().map(|name| context! { literal => sql.literal(name), message => name.replace('\'', "''") }).collect()
        };
        let name = match script {
            Script::Phase(phase) => phase.name(),
            Script::Abort => "abort",
        };
        let (major, minor) = plan.oldest.unwrap_or(OLDEST);
        self.actions.render(
            &format!("gate_{name}"),
            context! {
                major,
                minor,
                release => sql.literal(&plan.release),
                release_text => plan.release.replace('\'', "''"),
                old_version => plan.old_version.as_ref().map(|v| sql.literal(v)),
                old_text => plan.old_version.as_ref().map(|v| v.replace('\'', "''")),
                old_release => sql.literal(&plan.old_release),
                new_version => sql.literal(&plan.new_version),
                changes => plan.changes.len(),
                tables => named(tables.into_iter().filter(|table| !created.contains(table)).collect()),
                synced => named(synced),
                strangers => self.strangers(script),
            },
        )
    }
}

impl Renderer for Sqlite<'_> {
    fn header(&self, header: &Header<'_>) -> Rendered {
        let plan = self.plan;
        let access = match plan.access {
            Access::Shared => "shared: both versions use the tables".to_owned(),
            Access::Versioned => format!("versioned: version {} uses views called TABLE__{}", plan.new_version, plan.new_version),
        };
        let waits = match header.file {
            "migrate.sql" => "All rows are filled in one statement: writers wait while it runs.",
            _ => "Writers wait for its end; readers do not where the file has a write-ahead log.",
        };
        self.actions.render(
            "header",
            context! {
                title => header.title,
                file => header.file,
                before => header.before,
                after => header.after,
                revisions => header.revisions,
                waits,
                access,
                old => plan.old_version.as_deref().unwrap_or("nothing: a first installation"),
                new => plan.new_version.as_str(),
            },
        )
    }

    fn gates(&self, script: Script) -> Rendered {
        let rebuilt = self.rebuilt(script);
        let mut parts = vec![self.actions.render("version_tables", context! {})?, self.gate(script)?];
        if !rebuilt.is_empty() {
            parts.push(self.actions.render("foreign_keys_before", context! { tables => self.literals(&rebuilt) })?);
        }
        Ok(parts.join("\n\n"))
    }

    fn cost(&self, footprint: &Footprint) -> String {
        let cost = footprint.cost.name();
        let mut letters = cost.chars();
        letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
    }

    fn apply(&self, action: &Action, _grants: Grants) -> Rendered {
        self.actions.apply(action)
    }

    fn undo(&self, action: &Action, _unit: &str) -> Result<Option<String>, EmitError> {
        self.actions.undo(action)
    }

    fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError> {
        self.actions.abort_gate(action)
    }

    fn is_once(&self, _unit: &str) -> bool {
        // The whole script is one transaction.
        false
    }

    fn once(&self, _unit: &str, body: &str) -> Rendered {
        Ok(body.to_owned())
    }

    fn together(&self, body: &str) -> Rendered {
        Ok(body.to_owned())
    }

    fn mark(&self, phase: Phase, revision: &str) -> Rendered {
        let (plan, sql) = (self.plan, self.actions.sql);
        self.actions
            .render("mark", context! { phase => phase.name(), revision => sql.literal(revision), release => sql.literal(&plan.release) })
    }

    fn finish(&self, script: Script) -> Rendered {
        let release = self.actions.sql.literal(&self.plan.release);
        let rebuilt = self.rebuilt(script);
        let mut parts = Vec::new();
        if !rebuilt.is_empty() {
            parts.push(self.actions.render("foreign_keys_after", context! { tables => self.literals(&rebuilt) })?);
        }
        parts.push(match script {
            Script::Phase(phase) => self.actions.render("finish", context! { phase => phase.name(), release })?,
            Script::Abort => self.actions.render("finish_abort", context! { release })?,
        });
        Ok(parts.join("\n\n"))
    }

    fn verify(&self, checks: &[Check<'_>]) -> Rendered {
        let sql = self.actions.sql;
        let checks: Vec<_> = checks
            .iter()
            .filter_map(|check| {
                let condition = self.condition(check)?;
                Some(context! { what => sql.literal(&check.what), table => sql.ident(check.table), condition })
            })
            .collect();
        self.actions.render("verify", context! { checks })
    }

    fn live(&self, checks: &[Check<'_>]) -> Live {
        let sql = self.actions.sql;
        let steps = self.plan.steps.iter().filter(|step| step.phase == Phase::Migrate);
        Live {
            tables: Vec::new(),
            backfills: steps.filter_map(|step| self.actions.live(&step.action)).collect(),
            checks: checks
                .iter()
                .filter_map(|check| {
                    let own = |column: &String| [sql.ident(check.table), sql.ident(column)].join(".");
                    Some(live::Check {
                        what: check.what.clone(),
                        table: sql.ident(check.table),
                        key: if check.key.is_empty() {
                            vec![[&sql.ident(check.table), "._rowid_"].concat()]
                        } else {
                            check.key.iter().map(own).collect()
                        },
                        columns: match check.finding {
                            Finding::Disagree(lens) => lens.old.iter().chain(&lens.new).map(|column| sql.ident(&column.name)).collect(),
                            _ => Vec::new(),
                        },
                        condition: self.condition(check)?,
                        until_migrated: check.until_migrated,
                    })
                })
                .collect(),
        }
    }
}

impl Sqlite<'_> {
    /// When a row disagrees; `None` where nothing is compared.
    fn condition(&self, check: &Check<'_>) -> Option<String> {
        let sql = self.actions.sql;
        match check.finding {
            Finding::Disagree(lens) => {
                Some(Expressions { collated: self.actions.collated(check.table), ..sql }.disagree(lens, Row::Table(check.table)))
            }
            Finding::Unlike(mirror, side) => Some(self.actions.mirroring(mirror).found(*side)),
            Finding::Null(_) | Finding::Check(..) | Finding::Orphan(_) | Finding::Duplicate { .. } => None,
        }
    }

    fn literals(&self, names: &[String]) -> String {
        names.iter().map(|name| self.actions.sql.literal(name)).collect::<Vec<_>>().join(", ")
    }
}
