//! `manifest.yaml`: what was compiled from what.

use serde::Serialize;

use super::EmitError;
use super::live::{Backfill, Check};
use crate::diagnostic::Level;
use crate::plan::model::{Cost, Lock, Phase, Plan};
use crate::snapshot::model::Access;

/// The manifest of one transition, over all dialects that were compiled.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Version of crossfade that compiled it.
    pub crossfade: &'static str,
    /// Old version; absent for a first installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// New version.
    pub to: String,
    /// Name of the revisions.
    pub release: String,
    /// Hash of the old snapshot; absent for a first installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_hash: Option<String>,
    /// Hash of the new snapshot.
    pub new_hash: String,
    /// By dialect.
    pub dialects: Vec<OfDialect>,
}

/// What was compiled for one dialect.
#[derive(Debug, Clone, Serialize)]
pub struct OfDialect {
    /// Its name.
    pub dialect: &'static str,
    /// Access.
    pub access: Access,
    /// The oldest library of SQLite that runs the scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlite_version: Option<String>,
    /// The changes.
    pub changes: Vec<OfChange>,
    /// The steps in order.
    pub steps: Vec<OfStep>,
    /// The hazards.
    pub hazards: Vec<OfHazard>,
    /// The namespace of the new version's views, in versioned access.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The backfills, for the runner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backfills: Vec<Backfill>,
    /// What the two shapes must agree on, for the runner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The tables that clients write to, in versioned access, for `drain`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, Serialize)]
pub struct OfChange {
    /// Number.
    pub number: usize,
    /// What it is about.
    pub title: String,
    /// Its revisions: expand, migrate, contract.
    pub revisions: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct OfStep {
    /// Id.
    pub id: String,
    /// Phase.
    pub phase: Phase,
    /// Change.
    pub change: usize,
    /// Object.
    pub object: String,
    /// Ids that it needs.
    pub requires: Vec<String>,
    /// Locks on tables that clients use.
    pub locks: Vec<Lock>,
    /// How much work.
    pub cost: Cost,
    /// Whether it can run in a transaction.
    pub transactional: bool,
}

/// One hazard.
#[derive(Debug, Clone, Serialize)]
pub struct OfHazard {
    /// Code.
    pub code: &'static str,
    /// Level.
    pub level: Level,
    /// Object.
    pub object: String,
    /// What happens to whom.
    pub message: String,
}

impl OfDialect {
    /// The part of one plan.
    ///
    /// # Errors
    /// As [`super::scripts`].
    pub fn new(plan: &Plan) -> Result<OfDialect, EmitError> {
        let live = super::script::live(plan)?;
        Ok(OfDialect {
            namespace: (plan.access == Access::Versioned).then(|| plan.namespace(&plan.new_version)),
            backfills: live.backfills,
            checks: live.checks,
            tables: live.tables,
            dialect: plan.dialect.name(),
            access: plan.access,
            sqlite_version: plan.oldest.map(|(major, minor)| format!("{major}.{minor}")),
            changes: plan
                .changes
                .iter()
                .map(|change| OfChange {
                    number: change.number,
                    title: change.title.clone(),
                    revisions: Phase::ALL.iter().map(|phase| plan.revision(*phase, change.number)).collect(),
                })
                .collect(),
            steps: plan
                .steps
                .iter()
                .map(|step| OfStep {
                    id: step.id.clone(),
                    phase: step.phase,
                    change: step.change,
                    object: step.object.clone(),
                    requires: {
                        let mut requires = step.requires.clone();
                        requires.sort();
                        requires.dedup();
                        requires
                    },
                    locks: step.footprint.locks.clone(),
                    cost: step.footprint.cost,
                    transactional: step.footprint.transactional,
                })
                .collect(),
            hazards: plan
                .hazards
                .iter()
                .map(|hazard| OfHazard {
                    code: hazard.code,
                    level: hazard.level,
                    object: hazard.object.clone(),
                    message: hazard.message.clone(),
                })
                .collect(),
        })
    }
}
