//! PostgreSQL: each action fills in its template, and a script's frame is psql's.

use std::collections::BTreeSet;

use minijinja::context;

use crate::dialect::language::{Language, Row};
use crate::dialect::postgres::expression::Expressions;
use crate::plan::model::{Action, ColumnSpec, Finding, Footprint, Phase, Plan};
use crate::snapshot::model::Access;
use crate::snapshot::types::type_of_the_database;

use super::live;
use super::renderer::{Check, Grants, Header, Live, Renderer, Script};
use super::templates::Templates;
use super::{EmitError, Rendered, can_drain, written_tables};

mod action;
mod mirror;
mod sync;

use action::Actions;

/// Says what a plan does to psql.
pub(super) struct Postgres<'a> {
    plan: &'a Plan,
    actions: Actions<'a>,
}

impl<'a> Postgres<'a> {
    pub(super) fn new(plan: &'a Plan, templates: &'a Templates) -> Self {
        Postgres { plan, actions: Actions { templates, sql: Expressions { schema: &plan.schema }, plan } }
    }

    /// The types of new columns that the server does not bring along and the scripts do not make. What an extension brings that
    /// the scripts install can't be known before.
    fn types_of_the_database(&self) -> Vec<minijinja::Value> {
        let steps = || self.plan.steps.iter().map(|step| &step.action);
        if steps().any(|action| matches!(action, Action::CreateExtension(_))) {
            return Vec::new();
        }
        let columns = steps().flat_map(|action| match action {
            Action::AddColumns { columns, .. } => columns.as_slice(),
            Action::CreateTable(spec) => spec.columns.as_slice(),
            _ => &[],
        });
        let names: BTreeSet<&str> = columns.filter_map(|column| type_of_the_database(&column.ty)).collect();
        names
            .into_iter()
            .map(|name| context! { literal => self.actions.sql.literal(name), message => name.replace('\'', "''").replace('%', "%%") })
            .collect()
    }

    /// When a row disagrees.
    fn condition(&self, check: &Check<'_>) -> String {
        let sql = &self.actions.sql;
        match check.finding {
            Finding::Disagree(lens) => sql.disagree(lens, Row::Table(check.table)),
            Finding::Unlike(mirror, side) => mirror::Mirroring { mirror, sql }.found(*side),
            Finding::Null(_) | Finding::Check(..) | Finding::Orphan(_) | Finding::Duplicate { .. } => "false".to_owned(),
        }
    }

    fn gate(&self, phase: Phase) -> Rendered {
        let plan = self.plan;
        let release = self.actions.sql.literal(&plan.release);
        match phase {
            Phase::Expand => {
                let is_made =
                    |table: &str| plan.steps.iter().any(|step| matches!(&step.action, Action::CreateTable(spec) if spec.name == table));
                let mut tables: Vec<&str> = plan
                    .steps
                    .iter()
                    .filter(|step| !matches!(&step.action, Action::AddIdentity { table, .. } if is_made(table)))
                    .filter_map(|step| match &step.action {
                        Action::AddColumns { table, .. }
                        | Action::DropNotNull { table, .. }
                        | Action::AlterType { table, .. }
                        | Action::SetDefault { table, .. }
                        | Action::AlterIdentity { table, .. }
                        | Action::AddIdentity { table, .. }
                        | Action::DropIdentity { table, .. }
                        | Action::DropTable { table } => Some(table.as_str()),
                        Action::RenameTable { from, .. } => Some(from.as_str()),
                        Action::InstallMirror(mirror) => Some(mirror.source.as_str()),
                        _ => None,
                    })
                    .collect();
                tables.sort_unstable();
                tables.dedup();
                let tables: Vec<_> = tables
                    .into_iter()
                    .map(|table| {
                        let name = self.actions.sql.table(table);
                        context! { literal => self.actions.sql.literal(&name), message => name.replace('\'', "''").replace('%', "%%") }
                    })
                    .collect();
                self.actions.render(
                    "gate_expand",
                    context! {
                        release,
                        old_version => plan.old_version.as_ref().map(|v| self.actions.sql.literal(v)),
                        old_release => self.actions.sql.literal(&plan.old_release),
                        new_version => self.actions.sql.literal(&plan.new_version),
                        changes => plan.changes.len(),
                        has_virtual => has_virtual(plan),
                        tables,
                        types => self.types_of_the_database(),
                    },
                )
            }
            Phase::Migrate => self.actions.render("gate_migrate", context! { release }),
            Phase::Contract => self.actions.render("gate_contract", context! { release, versioned => can_drain(self.plan) }),
        }
    }
}

impl Renderer for Postgres<'_> {
    fn header(&self, header: &Header<'_>) -> Rendered {
        let plan = self.plan;
        let access = match plan.access {
            Access::Shared => "shared: both versions use one namespace".to_owned(),
            Access::Versioned => format!("versioned: version {} uses namespace {}", plan.new_version, plan.namespace(&plan.new_version)),
        };
        self.actions.render(
            "header",
            context! {
                title => header.title,
                file => header.file,
                before => header.before,
                after => header.after,
                revisions => header.revisions,
                access,
                old => plan.old_version.as_deref().unwrap_or("nothing: a first installation"),
                new => plan.new_version.as_str(),
                schema => self.actions.sql.ident(&plan.schema),
            },
        )
    }

    fn gates(&self, script: Script) -> Rendered {
        let tables = self.actions.render("version_tables", context! {})?;
        let gate = match script {
            Script::Phase(phase) => self.gate(phase)?,
            Script::Abort => {
                let release = self.actions.sql.literal(&self.plan.release);
                self.actions.render("gate_abort", context! { release, versioned => can_drain(self.plan) })?
            }
        };
        Ok([tables, gate].join("\n\n"))
    }

    fn cost(&self, footprint: &Footprint) -> String {
        let locks: Vec<String> = footprint.locks.iter().map(|lock| format!("{} {}", lock.table, lock.mode.name())).collect();
        match (locks.is_empty(), footprint.cost) {
            (true, cost) => format!("Locks nothing that clients use; {}.", cost.name()),
            (false, cost) => format!("Locks {}; {}.", locks.join(", "), cost.name()),
        }
    }

    fn apply(&self, action: &Action, grants: Grants) -> Rendered {
        self.actions.apply(action, grants)
    }

    fn undo(&self, action: &Action, unit: &str) -> Result<Option<String>, EmitError> {
        self.actions.undo(action, unit)
    }

    fn abort_gate(&self, action: &Action) -> Result<Option<String>, EmitError> {
        self.actions.abort_gate(action)
    }

    fn is_once(&self, unit: &str) -> bool {
        [".swap", ".alter_type.", ".identity."].iter().any(|part| unit.contains(part))
    }

    fn once(&self, unit: &str, body: &str) -> Rendered {
        let sql = &self.actions.sql;
        self.actions.render("once", context! { release => sql.literal(&self.plan.release), step => sql.literal(unit), body })
    }

    fn together(&self, body: &str) -> Rendered {
        Ok(["begin;\n", body, "\ncommit;"].concat())
    }

    fn mark(&self, phase: Phase, revision: &str) -> Rendered {
        let (plan, sql) = (self.plan, &self.actions.sql);
        self.actions.render(
            "mark",
            context! {
                phase => phase.name(),
                revision => sql.literal(revision),
                release => sql.literal(&plan.release),
                last => sql.literal(&plan.last_revision(phase)),
            },
        )
    }

    fn finish(&self, script: Script) -> Rendered {
        let release = self.actions.sql.literal(&self.plan.release);
        match script {
            Script::Phase(phase) => {
                let before = match phase {
                    Phase::Expand => "begun",
                    Phase::Migrate => "expand",
                    Phase::Contract => "migrate",
                };
                self.actions.render("finish", context! { phase => phase.name(), before, release })
            }
            Script::Abort => Ok(["begin;\n", &self.actions.render("finish_abort", context! { release })?, "\ncommit;"].concat()),
        }
    }

    fn verify(&self, checks: &[Check<'_>]) -> Rendered {
        let sql = &self.actions.sql;
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                context! {
                    what => sql.literal(&check.what),
                    table => sql.table(check.table),
                    condition => self.condition(check),
                }
            })
            .collect();
        self.actions.render("verify", context! { checks, schema => sql.ident(&self.plan.schema) })
    }

    fn live(&self, checks: &[Check<'_>]) -> Live {
        let steps = self.plan.steps.iter().map(|step| &step.action);
        Live {
            tables: written_tables(self.plan).map(|table| self.actions.sql.table(table)).collect(),
            backfills: steps.filter_map(|action| self.actions.live(action)).collect(),
            checks: checks
                .iter()
                .map(|check| {
                    let sql = &self.actions.sql;
                    let own = |column: &String| [sql.ident(check.table), sql.ident(column)].join(".");
                    live::Check {
                        what: check.what.clone(),
                        table: sql.table(check.table),
                        key: if check.key.is_empty() {
                            vec![[&sql.ident(check.table), ".ctid"].concat()]
                        } else {
                            check.key.iter().map(own).collect()
                        },
                        columns: match check.finding {
                            Finding::Disagree(lens) => lens.old.iter().chain(&lens.new).map(|column| sql.ident(&column.name)).collect(),
                            _ => Vec::new(),
                        },
                        condition: self.condition(check),
                        until_migrated: check.until_migrated,
                    }
                })
                .collect(),
        }
    }
}

/// Whether a column is made that is computed as it is read.
fn has_virtual(plan: &Plan) -> bool {
    let is_virtual = |column: &ColumnSpec| matches!(column.generated, Some((_, false)));
    plan.steps.iter().any(|step| match &step.action {
        Action::AddColumns { columns, .. } => columns.iter().any(is_virtual),
        Action::CreateTable(spec) => spec.columns.iter().any(is_virtual),
        _ => false,
    })
}
