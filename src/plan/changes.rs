//! Which differences belong together: the connected components of the diff are the changes.
//!
//! What stands on one table is one change, since a row is what is locked, and a view shows a whole table. Tables are
//! connected by foreign keys that were added, dropped, changed or refer to a column that changes, by rows that come from one to
//! the other, by views that read them and by types that changed.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::diff::model::{Diff, Pair, TableDiff};
use crate::snapshot::model::{Table, TypeKind, View};
use crate::sql::expression::{drawn_from, query_references};

use super::model::Change;

/// An object that differs. The order of the kinds is the order in a change's title.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Node {
    Extension(String),
    Enum(String),
    Sequence(String),
    Table(String),
    View(String),
}

impl Node {
    fn title(&self) -> String {
        match self {
            Node::Extension(name) => format!("extension {name}"),
            Node::Enum(name) => format!("enum {name}"),
            Node::Sequence(name) => format!("sequence {name}"),
            Node::Table(name) => format!("table {name}"),
            Node::View(name) => format!("view {name}"),
        }
    }

    fn name(&self) -> &str {
        match self {
            Node::Extension(name) | Node::Enum(name) | Node::Sequence(name) | Node::Table(name) | Node::View(name) => name,
        }
    }
}

/// The changes of a diff, and which one each object belongs to. Objects go by their new name, dropped ones by their old name.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) list: Vec<Change>,
    number: BTreeMap<Node, usize>,
}

impl Changes {
    pub(super) fn of(&self, node: &Node) -> Option<usize> {
        self.number.get(node).copied()
    }

    pub(super) fn of_table(&self, name: &str) -> Option<usize> {
        self.of(&Node::Table(name.to_owned()))
    }

    /// Finds the components (`bound`: tables of which a foreign key moves with the key that it refers to), numbers them by their first name, and titles them.
    pub(super) fn find(diff: &Diff<'_>, tables: &[&TableDiff<'_>], bound: &[(&str, &str)]) -> Changes {
        let mut groups = Groups::default();
        for pair in &diff.extensions {
            let node = Node::Extension(name_of(pair, |e| &e.name));
            // What an extension brings may stand in any type or expression: it comes before all that may need it, and goes behind.
            groups.place.insert(node.clone(), if pair.new.is_some() { Place::First } else { Place::Last });
            groups.add(node);
        }
        for change in &diff.enums {
            groups.add(Node::Enum(name_of(&change.pair, |e| &e.name)));
        }
        for pair in &diff.sequences {
            groups.add(Node::Sequence(name_of(pair, |s| &s.name)));
        }
        let mut renamed = BTreeMap::new();
        for &table in tables {
            groups.add(Node::Table(table.table().name.clone()));
            if let TableDiff::Changed(change) = table {
                renamed.insert(change.old.name.as_str(), change.new.name.as_str());
            }
        }
        for pair in &diff.views {
            groups.add(Node::View(name_of(pair, |v| &v.name)));
        }
        let current = |old: &str| renamed.get(old).map_or_else(|| old.to_owned(), |new| (*new).to_owned());

        for &table in tables {
            let node = Node::Table(table.table().name.clone());
            let sides: Vec<(&Table, bool)> = match table {
                TableDiff::Added(new, _) => vec![(*new, true)],
                TableDiff::Dropped(old) => vec![(*old, false)],
                TableDiff::Changed(change) => vec![(change.old, false), (change.new, true)],
            };
            for (side, _) in &sides {
                for column in side.columns.values() {
                    if let TypeKind::Enum(name) = &column.ty.kind {
                        groups.join(&node, &Node::Enum(name.clone()));
                    }
                    if let Some(sequence) = column.default.as_ref().and_then(|default| drawn_from(&default.text)) {
                        groups.join(&node, &Node::Sequence(sequence));
                    }
                }
            }
            match table {
                TableDiff::Added(new, hints) => {
                    for key in &new.foreign_keys {
                        groups.join(&node, &Node::Table(key.ref_table.clone()));
                    }
                    if let Some(source) = hints.and_then(|hints| hints.from.as_ref()) {
                        groups.join(&node, &Node::Table(current(&source.table)));
                    }
                }
                TableDiff::Dropped(old) => {
                    for key in &old.foreign_keys {
                        groups.join(&node, &Node::Table(current(&key.ref_table)));
                    }
                }
                TableDiff::Changed(change) => {
                    for pair in change.foreign_keys.iter().filter(|pair| !pair.equal) {
                        if let Some(key) = pair.new {
                            groups.join(&node, &Node::Table(key.ref_table.clone()));
                        }
                        if let Some(key) = pair.old {
                            groups.join(&node, &Node::Table(current(&key.ref_table)));
                        }
                    }
                }
            }
        }
        for (table, referred) in bound {
            groups.join(&Node::Table((*table).to_owned()), &Node::Table((*referred).to_owned()));
        }
        let mut read = |view: &View, old_names: bool| {
            let Ok(references) = query_references(&view.query.text, diff.dialect) else { return };
            let mut first: Option<Node> = groups.has(&Node::View(view.name.clone())).then(|| Node::View(view.name.clone()));
            for reference in references.tables {
                let name = if old_names { current(&reference.name) } else { reference.name };
                for node in [Node::Table(name.clone()), Node::View(name)] {
                    if groups.has(&node) {
                        match &first {
                            Some(first) => groups.join(first, &node),
                            None => first = Some(node),
                        }
                    }
                }
            }
        };
        for view in diff.old.views.values() {
            read(view, true);
        }
        for view in diff.new.views.values() {
            read(view, false);
        }
        groups.number()
    }
}

fn name_of<T>(pair: &Pair<'_, T>, name: impl Fn(&T) -> &String) -> String {
    pair.new.or(pair.old).map(|object| name(object).clone()).unwrap_or_default()
}

/// Union–find over the objects that differ.
#[derive(Debug, Default)]
struct Groups {
    index: IndexMap<Node, ()>,
    parent: Vec<usize>,
    /// Where a group that holds such an object is numbered; all others stand in the middle.
    place: BTreeMap<Node, Place>,
}

/// Where a change is numbered, before its name decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    First,
    Middle,
    Last,
}

impl Groups {
    fn add(&mut self, node: Node) {
        let (at, _) = self.index.insert_full(node, ());
        if at == self.parent.len() {
            self.parent.push(at);
        }
    }

    fn has(&self, node: &Node) -> bool {
        self.index.contains_key(node)
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// Joins two objects, if both differ.
    fn join(&mut self, a: &Node, b: &Node) {
        if let (Some(a), Some(b)) = (self.index.get_index_of(a), self.index.get_index_of(b)) {
            let (a, b) = (self.root(a), self.root(b));
            self.parent[a.max(b)] = a.min(b);
        }
    }

    fn number(mut self) -> Changes {
        let mut members: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
        for at in 0..self.parent.len() {
            let root = self.root(at);
            if let Some((node, ())) = self.index.get_index(at) {
                members.entry(root).or_default().push(node.clone());
            }
        }
        let mut groups: Vec<Vec<Node>> = members.into_values().collect();
        for group in &mut groups {
            group.sort();
        }
        groups.sort_by(|a, b| {
            let key = |g: &[Node]| {
                let place = g.iter().filter_map(|node| self.place.get(node)).copied().min().unwrap_or(Place::Middle);
                (place, g.iter().map(|n| n.name().to_owned()).min())
            };
            key(a).cmp(&key(b)).then_with(|| a.cmp(b))
        });
        let mut changes = Changes::default();
        for (at, group) in groups.into_iter().enumerate() {
            let number = at + 1;
            let title = match group.as_slice() {
                [a] => a.title(),
                [a, b] => format!("{}, {}", a.title(), b.title()),
                [a, b, c] => format!("{}, {}, {}", a.title(), b.title(), c.title()),
                [a, b, rest @ ..] => format!("{}, {} and {} more", a.title(), b.title(), rest.len()),
                [] => String::new(),
            };
            changes.list.push(Change { number, title });
            for node in group {
                changes.number.insert(node, number);
            }
        }
        changes
    }
}
