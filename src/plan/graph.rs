//! The steps as one graph, and the one order in which they run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::model::{Action, Phase, Step, TwinStage};

/// What decides between steps that could both run next.
type Key = (Phase, usize, usize, String);

/// Puts steps in order: by phase and change, then topologically, ties by kind and name. The steps of a unit stay together.
///
/// # Errors
/// The ids on a cycle, or those that two steps have: whoever waits for one of these could meet the other. Either would be a fault of
/// the planner, never of its input.
pub(super) fn order(steps: Vec<Step>) -> Result<Vec<Step>, Vec<String>> {
    // A unit is one node: what any of its steps needs must have run before its first.
    let mut graph: DiGraph<Vec<usize>, ()> = DiGraph::new();
    let mut unit_node: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    let mut node_of: BTreeMap<&str, NodeIndex> = BTreeMap::new();
    let mut twice = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let node = match &step.unit {
            Some(unit) => *unit_node.entry(unit).or_insert_with(|| graph.add_node(Vec::new())),
            None => graph.add_node(Vec::new()),
        };
        graph[node].push(at);
        if node_of.insert(&step.id, node).is_some() {
            twice.push(step.id.clone());
        }
    }
    if !twice.is_empty() {
        return Err(twice);
    }
    for step in &steps {
        for needed in &step.requires {
            if let (Some(from), Some(to)) = (node_of.get(needed.as_str()), node_of.get(step.id.as_str()))
                && from != to
            {
                // Several edges between two nodes are as good as one, and looking for the first would cost more.
                graph.add_edge(*from, *to, ());
            }
        }
    }
    let keys: Vec<Key> = graph
        .node_indices()
        .map(|node| graph[node].iter().map(|at| key(&steps[*at])).min().unwrap_or((Phase::Expand, 0, 0, String::new())))
        .collect();
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|node| graph.neighbors_directed(node, petgraph::Direction::Incoming).count()).collect();
    let mut ready: BinaryHeap<Reverse<(&Key, NodeIndex)>> =
        graph.node_indices().filter(|node| waiting[node.index()] == 0).map(|node| Reverse((&keys[node.index()], node))).collect();
    let mut sorted = Vec::with_capacity(steps.len());
    while let Some(Reverse((_, node))) = ready.pop() {
        sorted.extend(within(&graph[node], &steps));
        for next in graph.neighbors(node) {
            waiting[next.index()] -= 1;
            if waiting[next.index()] == 0 {
                ready.push(Reverse((&keys[next.index()], next)));
            }
        }
    }
    if sorted.len() < steps.len() {
        let cycle = tarjan_scc(&graph).into_iter().find(|component| component.len() > 1).unwrap_or_default();
        return Err(cycle.iter().flat_map(|node| graph[*node].iter().map(|at| steps[*at].id.clone())).collect());
    }
    let mut slots: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(sorted.into_iter().filter_map(|at| slots[at].take()).collect())
}

/// The steps of one unit, each after those of the unit that it needs, ties by kind and name.
fn within(members: &[usize], steps: &[Step]) -> Vec<usize> {
    let mut ranked = members.to_vec();
    ranked.sort_by_cached_key(|at| key(&steps[*at]));
    let rank_of: BTreeMap<&str, usize> = ranked.iter().enumerate().map(|(rank, at)| (steps[*at].id.as_str(), rank)).collect();
    let mut waiting = vec![0_usize; ranked.len()];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); ranked.len()];
    for (rank, at) in ranked.iter().enumerate() {
        let needed = steps[*at].requires.iter().filter_map(|id| rank_of.get(id.as_str())).filter(|needed| **needed != rank);
        for needed in needed {
            waiting[rank] += 1;
            followers[*needed].push(rank);
        }
    }
    let mut left: BTreeSet<usize> = (0..ranked.len()).collect();
    let mut ready: BTreeSet<usize> = left.iter().copied().filter(|rank| waiting[*rank] == 0).collect();
    let mut done = Vec::with_capacity(ranked.len());
    // Without a ready one the steps go round in a circle: it is cut at the first.
    while let Some(next) = ready.pop_first().or_else(|| left.first().copied()) {
        left.remove(&next);
        done.push(ranked[next]);
        for follower in std::mem::take(&mut followers[next]) {
            waiting[follower] -= 1;
            if waiting[follower] == 0 && left.contains(&follower) {
                ready.insert(follower);
            }
        }
    }
    done
}

fn key(step: &Step) -> Key {
    // All gates of contract come before its first change: what was dropped can't be taken back.
    let section = match (&step.action, step.phase) {
        (Action::CheckRows { .. } | Action::Twin(TwinStage::Look, _), Phase::Contract) => 0,
        _ => step.change,
    };
    (step.phase, section, rank(&step.action), step.id.clone())
}

/// The order of kinds among steps that don't need each other.
fn rank(action: &Action) -> usize {
    match action {
        Action::CreateExtension(_) => 0,
        Action::CreateEnum(_) => 1,
        Action::AddEnumValue { .. } => 2,
        Action::CreateSequence(_) | Action::AlterSequence { .. } | Action::ShareNumbers { .. } => 3,
        Action::CreateTable(_) | Action::RebuildTable(_) | Action::AlterRules(_) => 4,
        Action::DropNotNull { .. } => 5,
        Action::AlterType { .. } => 6,
        Action::AddColumns { .. } => 7,
        Action::InstallSync(_) | Action::InstallMirror(_) => 8,
        Action::SetDefault { .. } | Action::StandIn(_) | Action::AddCounter { .. } | Action::AlterIdentity { .. } => 9,
        Action::CreateNamespace { .. } => 10,
        Action::CreateShapeView(_) => 11,
        Action::CreateView(_) => 12,
        Action::ReplaceView { .. } => 13,
        Action::CopyGrants { .. } => 14,
        Action::Backfill(_) | Action::CopyRows(_) => 15,
        Action::Analyze { .. } => 16,
        Action::CheckRows { .. } => 17,
        Action::Twin(..) => 37,
        Action::CreateIndex(_) => 18,
        Action::AttachUnique { .. } | Action::AddPrimaryKey { .. } => 19,
        Action::AddIdentity { .. } | Action::DropIdentity { .. } | Action::AdvanceIdentity { .. } => 19,
        Action::AddCheck { .. } => 20,
        Action::AddNotNullCheck { .. } => 21,
        Action::AddForeignKey { .. } | Action::AlterForeignKey { .. } => 22,
        Action::ValidateConstraint { .. } => 23,
        Action::SetNotNull { .. } | Action::RestateColumn { .. } => 24,
        Action::DropNamespace { .. } => 25,
        Action::DropIndex { .. } => 26,
        Action::DropConstraint { .. } => 27,
        Action::DropViews { .. } => 28,
        Action::SettleShapeView(_) => 29,
        Action::RemoveSync(_) | Action::RemoveMirror(_) => 30,
        Action::SwapColumns { .. }
        | Action::ReturnColumns { .. }
        | Action::TakeEither { .. }
        | Action::ReturnPrimaryKey { .. }
        | Action::ReturnForeignKey(_) => 31,
        Action::RenameTable { .. } | Action::RenameView(_) => 32,
        Action::RenameConstraint { .. } => 33,
        Action::RenameIndex(_) => 34,
        Action::TidyNames { .. } => 35,
        Action::SettleDefaults { .. } | Action::RestoreForeignKey(_) => 36,
        Action::DropTable { .. } => 37,
        Action::DropSequence(_) => 38,
        Action::DropEnum(_) | Action::RenameType(_) => 39,
        Action::DropExtension(_) => 40,
        Action::Comment { .. } => 41,
    }
}
