//! MySQL and MariaDB: each statement stands alone and finds out whether it is still to be done, since each one commits.

use minijinja::context;

use crate::dialect::language::{Language, Row};
use crate::dialect::mysql_like::MysqlLike;
use crate::dialect::mysql_like::expression::Expressions;
use crate::plan::model::{Action, Finding, Footprint, Phase, Plan, TwinStage};
use crate::snapshot::model::Access;
use crate::sql::Dialect;

use super::live;
use super::renderer::{Check, Grants, Header, Live, Renderer, Script};
use super::templates::Templates;
use super::{EmitError, Rendered, can_drain, written_tables};

mod action;
mod mirror;
mod probe;
mod sync;

use action::Actions;
use mirror::Mirroring;

/// Says what a plan does to the clients `mysql` and `mariadb`.
pub(super) struct MysqlLikeRenderer<'a> {
    plan: &'a Plan,
    server: MysqlLike,
    actions: Actions<'a>,
}

impl<'a> MysqlLikeRenderer<'a> {
    pub(super) fn new(plan: &'a Plan, server: MysqlLike, templates: &'a Templates) -> Self {
        let sql = Expressions { dialect: server.dialect, schema: &plan.schema };
        MysqlLikeRenderer { plan, server, actions: Actions { templates, sql, server, plan } }
    }

    fn makes_triggers(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step.action, Action::InstallSync(_) | Action::InstallMirror(_)))
            || self.contract_makes_triggers()
    }

    fn contract_makes_triggers(&self) -> bool {
        self.plan.steps.iter().any(|step| matches!(step.action, Action::Twin(TwinStage::Make, _)))
    }

    /// Whether a script makes triggers, or is the first one of an upgrade that does.
    fn wants_triggers(&self, script: Script) -> bool {
        match script {
            Script::Phase(Phase::Expand) => self.makes_triggers(),
            Script::Phase(Phase::Contract) => self.contract_makes_triggers(),
            Script::Phase(Phase::Migrate) | Script::Abort => false,
        }
    }

    /// The name of the database, where it is known.
    fn database(&self) -> Option<String> {
        (!self.plan.schema.is_empty()).then(|| self.actions.sql.ident(&self.plan.schema))
    }

    fn latest(&self) -> Rendered {
        self.actions.render("latest", context! {})
    }

    fn gate(&self, phase: Phase) -> Rendered {
        let (plan, sql) = (self.plan, &self.actions.sql);
        let release = sql.literal(&plan.release);
        let latest = self.latest()?;
        match phase {
            Phase::Expand => {
                let mut tables: Vec<&str> = plan
                    .steps
                    .iter()
                    .filter_map(|step| match &step.action {
                        Action::AddColumns { table, .. } | Action::RestateColumn { table, .. } | Action::SetDefault { table, .. }
                            if step.phase != Phase::Contract =>
                        {
                            Some(table.as_str())
                        }
                        Action::DropTable { table } => Some(table.as_str()),
                        Action::InstallMirror(mirror) => Some(mirror.source.as_str()),
                        Action::Twin(_, twin) => Some(twin.before.as_str()),
                        Action::RenameTable { from, .. } => Some(from.as_str()),
                        _ => None,
                    })
                    .collect();
                tables.sort_unstable();
                tables.dedup();
                let (major, minor, patch) = self.server.oldest;
                self.actions.render(
                    "gate_expand",
                    context! {
                        latest,
                        release,
                        mariadb => self.server.dialect == Dialect::Mariadb,
                        product => self.server.product,
                        oldest => major * 10_000 + minor * 100 + patch,
                        oldest_name => format!("{major}.{minor}.{patch}"),
                        old_version => plan.old_version.as_ref().map(|v| sql.literal(v)),
                        old_release => sql.literal(&plan.old_release),
                        new_version => sql.literal(&plan.new_version),
                        changes => plan.changes.len(),
                        tables => tables.into_iter().map(|table| sql.literal(table)).collect::<Vec<_>>(),
                        database_literal => (!plan.schema.is_empty()).then(|| sql.literal(&plan.schema)),
                        triggers => self.makes_triggers(),
                    },
                )
            }
            Phase::Migrate => self.actions.render("gate_migrate", context! { latest, release }),
            Phase::Contract => self.actions.render("gate_contract", context! { latest, release, versioned => can_drain(plan) }),
        }
    }
}

impl Renderer for MysqlLikeRenderer<'_> {
    fn header(&self, header: &Header<'_>) -> Rendered {
        let plan = self.plan;
        let access = match plan.access {
            Access::Shared => "shared: both versions use one database".to_owned(),
            Access::Versioned => {
                format!("versioned: version {} connects to database {}", plan.new_version, plan.namespace(&plan.new_version))
            }
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
                client => self.server.client,
                database => self.database(),
                triggers => match header.file {
                    "expand.sql" => self.wants_triggers(Script::Phase(Phase::Expand)),
                    "contract.sql" => self.wants_triggers(Script::Phase(Phase::Contract)),
                    _ => false,
                },
            },
        )
    }

    fn gates(&self, script: Script) -> Rendered {
        let tables = self.actions.render("version_tables", context! {})?;
        let gate = match script {
            Script::Phase(phase) => self.gate(phase)?,
            Script::Abort => {
                let release = self.actions.sql.literal(&self.plan.release);
                self.actions.render("gate_abort", context! { latest => self.latest()?, release, versioned => can_drain(self.plan) })?
            }
        };
        let mut parts = vec![tables, gate];
        if self.wants_triggers(script) {
            parts.insert(0, self.actions.render("may_make_triggers", context! {})?);
        }
        Ok(parts.join("\n\n"))
    }

    fn begin(&self, script: Script) -> Result<Option<String>, EmitError> {
        let release = self.actions.sql.literal(&self.plan.release);
        let contract = script == Script::Phase(Phase::Contract);
        self.actions.render("begin", context! { contract, abort => script == Script::Abort, release }).map(Some)
    }

    fn cost(&self, footprint: &Footprint) -> String {
        let locks: Vec<String> = footprint.locks.iter().map(|lock| format!("{} {}", lock.table, lock.mode.name())).collect();
        match (locks.is_empty(), footprint.cost) {
            (true, cost) => format!("Locks nothing that clients use; {}.", cost.name()),
            (false, cost) => format!("Locks {}; {}.", locks.join(", "), cost.name()),
        }
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
        false
    }

    fn once(&self, _unit: &str, body: &str) -> Rendered {
        self.together(body)
    }

    fn together(&self, body: &str) -> Rendered {
        Ok(body.trim_matches('\n').to_owned())
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
        let tidy = self.actions.render("tidy", context! {})?;
        match script {
            Script::Phase(phase) => {
                let before = match phase {
                    Phase::Expand => "begun",
                    Phase::Migrate => "expand",
                    Phase::Contract => "migrate",
                };
                self.actions.render("finish", context! { phase => phase.name(), before, release, tidy })
            }
            Script::Abort => self.actions.render("finish_abort", context! { release, tidy }),
        }
    }

    fn verify(&self, checks: &[Check<'_>]) -> Rendered {
        let sql = &self.actions.sql;
        let checks: Vec<_> = checks
            .iter()
            .filter_map(|check| {
                let condition = self.condition(check)?;
                Some(context! { what => sql.literal(&check.what), table => sql.ident(check.table), condition })
            })
            .collect();
        self.actions.render("verify", context! { checks, database => self.database() })
    }

    fn live(&self, checks: &[Check<'_>]) -> Live {
        let sql = &self.actions.sql;
        Live {
            tables: written_tables(self.plan).map(|table| sql.ident(table)).collect(),
            backfills: self.plan.steps.iter().filter_map(|step| self.actions.live(&step.action)).collect(),
            checks: checks
                .iter()
                .filter_map(|check| {
                    let own = |column: &String| [sql.ident(check.table), sql.ident(column)].join(".");
                    Some(live::Check {
                        what: check.what.clone(),
                        table: sql.ident(check.table),
                        key: check.key.iter().map(own).collect(),
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

impl MysqlLikeRenderer<'_> {
    /// When a row disagrees; `None` where nothing is compared.
    fn condition(&self, check: &Check<'_>) -> Option<String> {
        let sql = &self.actions.sql;
        match check.finding {
            Finding::Disagree(lens) => Some(sql.disagree(lens, Row::Table(check.table))),
            Finding::Unlike(mirror, side) => Some(Mirroring { mirror, sql }.found(*side)),
            Finding::Null(_) | Finding::Check(..) | Finding::Orphan(_) | Finding::Duplicate { .. } => None,
        }
    }
}
