//! Enums: which labels came, went and were renamed.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::EnumType;
use crate::sql::Dialect;

use super::model::{EnumDiff, Pair};
use super::names::{did_you_mean, yaml};
use super::pairing::{NamePair, pair_names, sorted_entries};
use super::{AssumeDrop, Context};

/// How the labels of an enum that both sides have changed.
#[derive(Debug, Clone, Default)]
pub(super) struct EnumShape<'a> {
    pub(super) added: Vec<(&'a str, Option<&'a str>)>,
    pub(super) dropped: Vec<&'a str>,
    pub(super) renamed: Vec<(&'a str, &'a str)>,
    pub(super) reordered: bool,
    /// Whether a question is open on its labels, so that nothing else need be said of them.
    pub(super) asked: bool,
}

impl EnumShape<'_> {
    /// Whether the labels of one side are not those of the other with some more between: no type can be both then.
    pub(super) fn changes_values(&self) -> bool {
        !self.dropped.is_empty() || !self.renamed.is_empty() || self.reordered
    }
}

impl<'a> Context<'a> {
    /// The shapes of the enums that both sides have, by their old names.
    pub(super) fn enum_shapes(&mut self, pairs: &[NamePair<'a>]) -> HashMap<&'a str, EnumShape<'a>> {
        let mut shapes = HashMap::new();
        for &(old, new) in pairs {
            let (Some(old_name), Some(new_name)) = (old, new) else { continue };
            let (Some(old), Some(new)) = (self.old.enums.get(old_name), self.new.enums.get(new_name)) else { continue };
            let shape = self.enum_shape(old, new);
            shapes.insert(old_name, shape);
        }
        shapes
    }

    fn enum_shape(&mut self, old: &'a EnumType, new: &'a EnumType) -> EnumShape<'a> {
        let old_labels: Vec<&str> = old.labels.iter().map(String::as_str).collect();
        let new_labels: Vec<&str> = new.labels.iter().map(String::as_str).collect();
        let hints = self.transition.and_then(|transition| transition.enums.get(&new.name)).map(|hints| &hints.values);
        for (label, renamed) in hints.map(sorted_entries).unwrap_or_default() {
            if !new_labels.contains(&label) {
                let message = format!("enum `{}` has no label `{label}` in the new snapshot", new.name);
                let mut error = Diagnostic::error("unknown-value", message).at(renamed.span, "");
                error.help.extend(did_you_mean(label, new_labels.iter().copied()));
                self.said.push(error);
            }
        }
        let hint = |label: &str| hints?.get(label);
        let pairs = pair_names("label", &format!(" of enum `{}`", new.name), &old_labels, &new_labels, hint, &mut self.said);
        let mut shape = EnumShape::default();
        let mut before = None;
        for &(old_label, new_label) in &pairs {
            match (old_label, new_label) {
                (None, Some(label)) => shape.added.push((label, before)),
                (Some(label), None) => shape.dropped.push(label),
                (Some(old_label), Some(label)) if old_label != label => shape.renamed.push((old_label, label)),
                (Some(_), Some(_)) | (None, None) => {}
            }
            before = new_label.or(before);
        }
        let kept: HashMap<&str, &str> = pairs.iter().filter_map(|(old, new)| old.zip(*new)).collect();
        let in_old_order: Vec<&str> = old_labels.iter().filter_map(|label| kept.get(label).copied()).collect();
        let kept_new: HashSet<&str> = in_old_order.iter().copied().collect();
        let in_new_order: Vec<&str> = new_labels.iter().copied().filter(|label| kept_new.contains(label)).collect();
        // Where labels are text they have no order.
        shape.reordered = self.dialect != Dialect::Sqlite && in_old_order != in_new_order;
        self.ask_about_labels(new, &mut shape, |label| hint(label).is_some());
        shape
    }

    fn ask_about_labels(&mut self, new: &EnumType, shape: &mut EnumShape<'a>, answered: impl Fn(&str) -> bool) {
        if self.options.assume_drop == AssumeDrop::Unrelated || shape.dropped.is_empty() {
            return;
        }
        for (label, _) in &shape.added {
            if answered(label) {
                continue;
            }
            shape.asked = true;
            let gone: Vec<String> = shape.dropped.iter().map(|label| format!("`{label}`")).collect();
            let message = format!("is label `{label}` of enum `{}` new, or is it {} under another name?", new.name, gone.join(" or "));
            let place = format!("transition/enums/{}/values", yaml(&new.name));
            let mut question = Diagnostic::error("ambiguous-rename", message).at(new.span, "");
            for gone in &shape.dropped {
                question = question.help(format!("the same label: `{}: {{renamed_from: {}}}` under {place}", yaml(label), yaml(gone)));
            }
            self.said.push(question.help(format!("a new one: `{}: {{renamed_from: null}}` under {place}", yaml(label))));
        }
    }

    /// The enums that differ, sorted.
    pub(super) fn enums(&self, pairs: &[NamePair<'a>], mut shapes: HashMap<&'a str, EnumShape<'a>>) -> Vec<EnumDiff<'a>> {
        let mut found = Vec::new();
        for &(old_name, new_name) in pairs {
            let old = old_name.and_then(|name| self.old.enums.get(name));
            let new = new_name.and_then(|name| self.new.enums.get(name));
            let shape = old_name.and_then(|name| shapes.remove(name)).unwrap_or_default();
            let same_labels = shape.added.is_empty() && !shape.changes_values();
            let equal = old.is_some() && new.is_some() && same_labels;
            if !equal || old_name != new_name || old.map(|found| &found.comment) != new.map(|found| &found.comment) {
                let EnumShape { added, dropped, renamed, reordered, asked: _ } = shape;
                found.push(EnumDiff { pair: Pair { old, new, equal }, added, dropped, renamed, reordered });
            }
        }
        found
    }
}
