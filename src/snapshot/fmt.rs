//! The canonical form of a snapshot file: layout only, never meaning.
//!
//! - Blocks are indented by two spaces, lists below their key too.
//! - The keys that the format knows stand in its order (`version`, `release`, `enums`, `sequences`, `extensions`, `tables`,
//!   `views`, `transition`; in a table `comment`, `columns`, `primary_key` …). Names that the author gave, columns above all, keep
//!   their order. A map with a key that the format doesn't know keeps its order, too.
//! - One blank line stands before each key at the top of a snapshot, none between `version` and `release`; elsewhere at most one.
//! - One space follows a key's colon and a list's dash. White space ends no line, one line break ends the file.
//! - Comments stay with what they stand above, beside or below. Flow style, quotes and long texts stay as they were written;
//!   the lines of a block scalar or of a quoted text are only moved to the side, all by the same distance.
//!
//! The parser's events say where things are, and lines are moved as they are: nothing is printed anew, so nothing can be
//! lost. What can't be moved safely (anchors and tags, keys of several lines) stays as it is, and the result is read again:
//! should it not mean the same, with the same comments, the text is left alone.

use std::ops::Range;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, StructureStyle};

use super::tree;
use crate::diagnostic::{Diagnostic, FileId};

/// Why a text is no YAML document at all. Only its form counts here; what it says is for [`super::read`] to judge.
pub fn faults(text: &str, file: FileId) -> Vec<Diagnostic> {
    match tree::read(text, file) {
        (None, faults) => faults,
        (Some(_), _) => Vec::new(),
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    options.max_buffered_comment_events = usize::MAX;
    options.flow_nesting_limit = tree::MAX_DEPTH + 8;
    options.block_nesting_limit = tree::MAX_DEPTH + 8;
    options
}

/// The canonical form of a snapshot's text. What is no YAML, or no single document with a map in block style, is given back
/// as it is.
pub fn format(text: &str) -> String {
    canonical(text).unwrap_or_else(|| text.to_owned())
}

/// `None` when the text must stay as it is.
fn canonical(text: &str) -> Option<String> {
    // Windows line breaks are kept, and kept out of the way. A lone carriage return is a line break to YAML, but to no editor.
    let windows = text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'));
    let unix = text.replace("\r\n", "\n");
    if unix.contains('\r') {
        return None;
    }
    let (mark, body) = match unix.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", unix.as_str()),
    };
    let document = Document::read(body)?;
    let formatted = Layout::new(body, &document).run()?;
    let again = Document::read(&formatted)?;
    if !document.same(&again) {
        return None;
    }
    let formatted = if windows { formatted.replace('\n', "\r\n") } else { formatted };
    Some(format!("{mark}{formatted}"))
}

/// A document as the parser tells it.
struct Document {
    root: Node,
    /// Texts of all comments, in the order of the file.
    comments: Vec<String>,
    /// Whether an anchor is set or used anywhere: then order matters.
    anchors: bool,
    /// Where `---` stands, if it does.
    start_marker: Option<usize>,
}

struct Node {
    bytes: Range<usize>,
    /// It has an anchor or a tag, which stands before `bytes`.
    decorated: bool,
    kind: Kind,
}

enum Kind {
    Scalar(String, ScalarStyle),
    Alias(String),
    List(StructureStyle, Vec<Node>),
    Map(StructureStyle, Vec<(Node, Node)>),
}

impl Document {
    /// Reads one document with a map at its root; `None` for anything else.
    fn read(text: &str) -> Option<Document> {
        let mut document = Document { root: Node::scalar(0..0), comments: Vec::new(), anchors: false, start_marker: None };
        let mut stack: Vec<(Node, Option<Node>)> = Vec::new();
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(text, options()) {
            let (event, span) = next.ok()?;
            let bytes = span.byte_range()?;
            let complete = match event {
                Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => continue,
                Event::DocumentStart(explicit, version) => {
                    documents += 1;
                    if documents > 1 || version.is_some() {
                        return None;
                    }
                    document.start_marker = explicit.then_some(bytes.start);
                    continue;
                }
                Event::Comment(text, _) => {
                    document.comments.push(text.trim_end().to_owned());
                    continue;
                }
                Event::MappingStart(style, anchor, tag) => {
                    document.anchors |= anchor != 0;
                    stack.push((Node { bytes, decorated: anchor != 0 || tag.is_some(), kind: Kind::Map(style, Vec::new()) }, None));
                    continue;
                }
                Event::SequenceStart(style, anchor, tag) => {
                    document.anchors |= anchor != 0;
                    stack.push((Node { bytes, decorated: anchor != 0 || tag.is_some(), kind: Kind::List(style, Vec::new()) }, None));
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    let (mut node, _) = stack.pop()?;
                    node.bytes.end = bytes.end;
                    node
                }
                Event::Scalar(value, style, anchor, tag) => {
                    document.anchors |= anchor != 0;
                    Node { bytes, decorated: anchor != 0 || tag.is_some(), kind: Kind::Scalar(value.into_owned(), style) }
                }
                Event::Alias(id) => {
                    document.anchors = true;
                    Node { bytes, decorated: false, kind: Kind::Alias(id.to_string()) }
                }
                Event::UnresolvedAlias(name) => {
                    document.anchors = true;
                    Node { bytes, decorated: false, kind: Kind::Alias(name.into_owned()) }
                }
                // The enum is open: what a later parser may tell is not understood here.
                _ => return None,
            };
            match stack.last_mut() {
                None => document.root = complete,
                Some((parent, key)) => match &mut parent.kind {
                    Kind::List(_, items) => items.push(complete),
                    Kind::Map(_, entries) => match key.take() {
                        None => *key = Some(complete),
                        Some(key) => entries.push((key, complete)),
                    },
                    Kind::Scalar(..) | Kind::Alias(_) => return None,
                },
            }
        }
        matches!(document.root.kind, Kind::Map(StructureStyle::Block, _)).then_some(document)
    }

    /// Whether both say the same, with the same comments. The order of a map's keys is no part of what it says.
    fn same(&self, other: &Document) -> bool {
        let sorted = |document: &Document| {
            let mut comments = document.comments.clone();
            comments.sort();
            comments
        };
        sorted(self) == sorted(other) && self.root.same(&other.root)
    }
}

impl Node {
    fn scalar(bytes: Range<usize>) -> Node {
        Node { bytes, decorated: false, kind: Kind::Scalar(String::new(), ScalarStyle::Plain) }
    }

    fn same(&self, other: &Node) -> bool {
        self.decorated == other.decorated
            && match (&self.kind, &other.kind) {
                (Kind::Scalar(a, a_style), Kind::Scalar(b, b_style)) => a == b && a_style == b_style,
                (Kind::Alias(a), Kind::Alias(b)) => a == b,
                (Kind::List(a_style, a), Kind::List(b_style, b)) => {
                    a_style == b_style && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
                }
                (Kind::Map(a_style, a), Kind::Map(b_style, b)) => {
                    let (a, b) = (by_key(a), by_key(b));
                    a_style == b_style && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0.same(&b.0) && a.1.same(&b.1))
                }
                _ => false,
            }
    }

    /// The text of a scalar.
    fn text(&self) -> &str {
        match &self.kind {
            Kind::Scalar(text, _) => text,
            Kind::Alias(_) | Kind::List(..) | Kind::Map(..) => "",
        }
    }

    /// Whether white space may go from the ends of the lines that it covers: no line break stands in a quoted text or a
    /// block scalar.
    fn has_free_line_ends(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Scalar(_, ScalarStyle::Plain) | Kind::Alias(_) => true,
            Kind::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) => !text[self.bytes.clone()].contains('\n'),
            Kind::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded) => false,
            Kind::List(_, items) => items.iter().all(|item| item.has_free_line_ends(text)),
            Kind::Map(_, entries) => entries.iter().all(|(key, value)| key.has_free_line_ends(text) && value.has_free_line_ends(text)),
        }
    }

    /// The last byte that shows: nothing of an empty value does.
    fn last_byte(&self, text: &str) -> Option<usize> {
        match &self.kind {
            // The parser's span of a block scalar may run into the indentation of the line below, or stand behind it as a
            // whole where the text is empty.
            Kind::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded) => {
                text[..self.bytes.end].trim_end_matches(' ').len().checked_sub(1)
            }
            Kind::Scalar(..) | Kind::Alias(_) | Kind::List(StructureStyle::Flow, _) | Kind::Map(StructureStyle::Flow, _) => {
                (!self.bytes.is_empty()).then(|| self.bytes.end - 1)
            }
            Kind::List(StructureStyle::Block, items) => items.iter().filter_map(|item| item.last_byte(text)).max(),
            Kind::Map(StructureStyle::Block, entries) => {
                entries.iter().flat_map(|(key, value)| [key.last_byte(text), value.last_byte(text)]).flatten().max()
            }
        }
    }
}

fn by_key(entries: &[(Node, Node)]) -> Vec<&(Node, Node)> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| key.text());
    sorted
}

/// What a map is in the format, which decides the order of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Enums,
    Enum,
    Sequences,
    Sequence,
    Tables,
    Table,
    Columns,
    Column,
    PrimaryKey,
    Uniques,
    ForeignKeys,
    Checks,
    Exclusions,
    Indexes,
    IndexKeys,
    Views,
    View,
    Transition,
    TableHints,
    TableHint,
    ColumnHints,
    ColumnHint,
    EnumHints,
    EnumHint,
    /// Anything else: the order is the author's.
    Free,
}

impl Place {
    /// Its keys in order; empty where names are the author's. An item of a list has the place of the list.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Place::Root => &["version", "release", "enums", "sequences", "extensions", "tables", "views", "transition"],
            Place::Enum => &["values", "comment", "dialects"],
            Place::Sequence => &["start", "increment", "min_value", "max_value", "cache", "cycle", "comment", "dialects"],
            Place::Table => &["comment", "dialects", "columns", "primary_key", "unique", "foreign_keys", "checks", "exclusions", "indexes"],
            Place::Column => &[
                "type",
                "not_null",
                "default",
                "generated",
                "identity",
                "primary_key",
                "unique",
                "references",
                "check",
                "collation",
                "comment",
                "dialects",
            ],
            Place::PrimaryKey => &["name", "columns", "dialects"],
            Place::Uniques => &["name", "columns", "deferrable", "initially_deferred", "nulls_not_distinct", "include", "dialects"],
            Place::ForeignKeys => {
                &["name", "columns", "references", "on_delete", "on_update", "deferrable", "initially_deferred", "match", "dialects"]
            }
            Place::Checks => &["name", "expression", "dialects"],
            Place::Exclusions => &["name", "method", "elements", "where", "deferrable", "initially_deferred", "dialects"],
            Place::Indexes => {
                &["name", "columns", "unique", "nulls_not_distinct", "method", "where", "include", "with", "comment", "dialects"]
            }
            Place::IndexKeys => &["column", "expression", "length", "order", "nulls", "collation", "opclass"],
            Place::View => &["query", "comment", "materialized", "dialects"],
            Place::Transition => &["from", "access", "tables", "enums", "allow"],
            Place::TableHint => &["renamed_from", "from", "key", "columns"],
            Place::ColumnHint => &["renamed_from", "up", "down", "backfill", "values", "lossy", "follow", "enforce", "on_conflict"],
            Place::EnumHint => &["renamed_from", "values"],
            Place::Enums
            | Place::Sequences
            | Place::Tables
            | Place::Columns
            | Place::Views
            | Place::TableHints
            | Place::ColumnHints
            | Place::EnumHints
            | Place::Free => &[],
        }
    }

    /// What the value of a key is.
    fn below(self, key: &str) -> Place {
        match (self, key) {
            (Place::Root, "enums") => Place::Enums,
            (Place::Root, "sequences") => Place::Sequences,
            (Place::Root, "tables") => Place::Tables,
            (Place::Root, "views") => Place::Views,
            (Place::Root, "transition") => Place::Transition,
            (Place::Enums, _) => Place::Enum,
            (Place::Sequences, _) => Place::Sequence,
            (Place::Tables, _) => Place::Table,
            (Place::Views, _) => Place::View,
            (Place::Table, "columns") => Place::Columns,
            (Place::Table, "primary_key") => Place::PrimaryKey,
            (Place::Table, "unique") => Place::Uniques,
            (Place::Table, "foreign_keys") => Place::ForeignKeys,
            (Place::Table, "checks") => Place::Checks,
            (Place::Table, "exclusions") => Place::Exclusions,
            (Place::Table, "indexes") => Place::Indexes,
            (Place::Indexes, "columns") => Place::IndexKeys,
            (Place::Columns, _) => Place::Column,
            (Place::Transition, "tables") => Place::TableHints,
            (Place::Transition, "enums") => Place::EnumHints,
            (Place::TableHints, _) => Place::TableHint,
            (Place::TableHint, "columns") => Place::ColumnHints,
            (Place::ColumnHints, _) => Place::ColumnHint,
            (Place::EnumHints, _) => Place::EnumHint,
            _ => Place::Free,
        }
    }
}

/// A line between entries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trivia {
    Blank,
    Comment(String),
}

/// A block as it will be printed.
struct Block {
    entries: Vec<Entry>,
    /// Comments below the last entry.
    tail: Vec<Trivia>,
}

/// One key of a map or one item of a list.
struct Entry {
    /// Comments and blank lines above it.
    leading: Vec<Trivia>,
    /// The key; `None` for an item of a list.
    key: Option<String>,
    /// Its first line from the key on; of an item, what follows the dash. Empty for an item whose map starts beside the dash.
    head: String,
    /// The column in which it stood.
    column: usize,
    /// Further lines, as they are but for the distance from the left.
    rest: Vec<String>,
    /// Its value, when that is a block that may be laid out.
    child: Option<Block>,
    /// The blank lines below it are a part of its text (`|+`).
    keeps_blank_lines: bool,
}

/// Something that must stay as it is.
struct Unmovable;

struct Layout<'a> {
    text: &'a str,
    document: &'a Document,
    lines: Vec<&'a str>,
    /// Where each line starts.
    starts: Vec<usize>,
    /// The first line that has not been taken yet.
    next: usize,
}

impl<'a> Layout<'a> {
    fn new(text: &'a str, document: &'a Document) -> Self {
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let starts = lines
            .iter()
            .scan(0, |at, line| {
                let start = *at;
                *at += line.len() + 1;
                Some(start)
            })
            .collect();
        Layout { text, document, lines, starts, next: 0 }
    }

    fn run(mut self) -> Option<String> {
        let mut out = String::new();
        if let Some(marker) = self.document.start_marker {
            let at = self.line_of(marker);
            if self.lines.get(at)?.trim_end() != "---" {
                return None;
            }
            for line in &self.lines[..=at] {
                push_line(&mut out, 0, line.trim_end());
            }
            self.next = at + 1;
        }
        let Kind::Map(_, entries) = &self.document.root.kind else { return None };
        if self.document.root.decorated {
            return None;
        }
        let mut root = self.map(entries, Place::Root, None).ok()?;
        let end = self.take_trivia();
        root.tail.extend(end);
        if self.next != self.lines.len() {
            return None;
        }
        let header = arrange_root(&mut root, self.document.anchors);
        print_trivia(&mut out, 0, &header);
        if !header.is_empty() {
            out.push('\n');
        }
        print(&mut out, &root, 0, None)?;
        Some(out)
    }

    fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The last line that a node covers, or `at` when nothing of it shows.
    fn last_line(&self, node: &Node, at: usize) -> usize {
        node.last_byte(self.text).map_or(at, |byte| self.line_of(byte)).max(at)
    }

    /// Takes the comments and blank lines up to the next line of content.
    fn take_trivia(&mut self) -> Vec<Trivia> {
        let mut trivia = Vec::new();
        while let Some(line) = self.lines.get(self.next) {
            match line.trim() {
                "" => trivia.push(Trivia::Blank),
                comment if comment.starts_with('#') => trivia.push(Trivia::Comment(comment.to_owned())),
                _ => break,
            }
            self.next += 1;
        }
        trivia
    }

    /// Takes the comments below a block that stand as deep as it does and deeper than what follows.
    fn take_tail(&mut self, column: usize) -> Vec<Trivia> {
        let from = self.next;
        let all = self.take_trivia();
        let follows = self.lines.get(self.next).map(|line| indent(line));
        let deep = |line: &&str| {
            let at = indent(line);
            line.trim().is_empty() || (at >= column && follows.is_none_or(|next| at > next))
        };
        let run = self.lines[from..self.next].iter().take_while(|line| deep(line)).count();
        let taken = all[..run].iter().rposition(|t| matches!(t, Trivia::Comment(_))).map_or(0, |last| last + 1);
        self.next = from + taken;
        all[..taken].to_vec()
    }

    /// Lays out a block of keys. `beside` is the line of the dash beside which the first key stands.
    fn map(&mut self, entries: &[(Node, Node)], place: Place, beside: Option<usize>) -> Result<Block, Unmovable> {
        let mut out = Vec::new();
        let mut column = None;
        for (index, (key, value)) in entries.iter().enumerate() {
            let beside = beside.filter(|_| index == 0);
            let leading = if beside.is_some() { Vec::new() } else { self.take_trivia() };
            let at = beside.unwrap_or(self.next);
            let line = *self.lines.get(at).ok_or(Unmovable)?;
            let here = key.bytes.start.checked_sub(self.starts[at]).ok_or(Unmovable)?;
            let simple = matches!(&key.kind, Kind::Scalar(_, ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted));
            let before = line.get(..here).ok_or(Unmovable)?;
            let free = if beside.is_some() { "- " } else { " " };
            if !simple || !before.chars().all(|c| free.contains(c)) || *column.get_or_insert(here) != here {
                return Err(Unmovable);
            }
            let name = line.get(here..here + key.bytes.len()).ok_or(Unmovable)?;
            // Below a key without a name the parser takes lines for a block scalar's that stand no deeper.
            if name.is_empty() {
                return Err(Unmovable);
            }
            let after = line[here + name.len()..].trim_start_matches(' ').strip_prefix(':').ok_or(Unmovable)?.trim_end();
            let value_text = after.trim_start();
            // Comments may stand in a column of their own.
            let gap = if value_text.starts_with('#') { after } else { &format!(" {value_text}") };
            let head = format!("{name}:{}", if value_text.is_empty() { "" } else { gap });
            let entry = Entry {
                leading,
                key: Some(key.text().to_owned()),
                head,
                column: here,
                rest: Vec::new(),
                child: None,
                keeps_blank_lines: false,
            };
            out.push(self.value(entry, value, value_text, at, place.below(key.text()))?);
        }
        let tail = self.take_tail(column.ok_or(Unmovable)?);
        let mut block = Block { entries: out, tail };
        if place != Place::Root {
            if !self.document.anchors {
                arrange(&mut block.entries, place.keys(), beside.is_some());
            }
            tidy(&mut block);
        }
        Ok(block)
    }

    /// Lays out a block of items.
    fn list(&mut self, items: &[Node], place: Place) -> Result<Block, Unmovable> {
        let mut out = Vec::new();
        let mut column = None;
        for item in items {
            let leading = self.take_trivia();
            let at = self.next;
            let line = *self.lines.get(at).ok_or(Unmovable)?;
            let here = indent(line);
            let after = line[here..].strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')).ok_or(Unmovable)?;
            if *column.get_or_insert(here) != here {
                return Err(Unmovable);
            }
            let mut entry =
                Entry { leading, key: None, head: String::new(), column: here, rest: Vec::new(), child: None, keeps_blank_lines: false };
            let text = after.trim_start_matches(' ');
            let starts_here = item.bytes.start == self.starts[at] + line.len() - text.len();
            if let (Kind::Map(StructureStyle::Block, entries), true, false) = (&item.kind, starts_here, item.decorated) {
                self.next = at;
                if let Ok(block) = self.map(entries, place, Some(at)) {
                    entry.child = Some(block);
                    out.push(entry);
                    continue;
                }
                self.next = at;
            }
            // The further lines of a block stand in relation to its first one: not even the space after the dash may change.
            let block = matches!(item.kind, Kind::Map(StructureStyle::Block, _) | Kind::List(StructureStyle::Block, _));
            entry.head = if block { after.strip_prefix(' ').unwrap_or(after).trim_end().to_owned() } else { text.trim_end().to_owned() };
            out.push(self.opaque(entry, item, at));
        }
        let mut block = Block { entries: out, tail: self.take_tail(column.ok_or(Unmovable)?) };
        tidy(&mut block);
        Ok(block)
    }

    /// The value of a key whose first line is `at`.
    fn value(&mut self, mut entry: Entry, value: &Node, text: &str, at: usize, place: Place) -> Result<Entry, Unmovable> {
        self.next = at + 1;
        let own_lines = !value.decorated && (text.is_empty() || text.starts_with('#'));
        let block = match &value.kind {
            Kind::Map(StructureStyle::Block, entries) if own_lines => self.map(entries, place, None),
            Kind::List(StructureStyle::Block, items) if own_lines => self.list(items, place),
            Kind::Scalar(..) | Kind::Alias(_) | Kind::List(..) | Kind::Map(..) => Err(Unmovable),
        };
        match block {
            Ok(block) => {
                entry.child = Some(block);
                Ok(entry)
            }
            Err(Unmovable) => Ok(self.opaque(entry, value, at)),
        }
    }

    /// A value whose lines are moved as they are.
    fn opaque(&mut self, mut entry: Entry, value: &Node, at: usize) -> Entry {
        let mut last = self.last_line(value, at).min(self.lines.len().saturating_sub(1));
        if matches!(value.kind, Kind::List(StructureStyle::Block, _) | Kind::Map(StructureStyle::Block, _)) {
            // Of an empty last item only the dash shows.
            let belongs = |line: &str| {
                indent(line) > entry.column || (entry.key.is_some() && indent(line) == entry.column && line.trim().starts_with('-'))
            };
            let is_trivia = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
            while let Some(more) = (last + 1..self.lines.len()).find(|index| !is_trivia(self.lines[*index])) {
                if !belongs(self.lines[more]) {
                    break;
                }
                last = more;
            }
        }
        let free = value.has_free_line_ends(self.text);
        entry.rest = self.lines[at + 1..=last].iter().map(|line| if free { line.trim_end() } else { line }.to_owned()).collect();
        entry.keeps_blank_lines = entry.rest.last().is_some_and(|line| line.trim().is_empty());
        self.next = last + 1;
        if !matches!(value.kind, Kind::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded)) {
            // Comments below it that stand deeper than its key are about it, even where there is no block (`users:`, nothing yet).
            let mut below = Block { entries: Vec::new(), tail: self.take_tail(entry.column + 1) };
            tidy(&mut below);
            entry.child = (!below.tail.is_empty()).then_some(below);
        }
        entry
    }
}

/// The column of the first character that is no space.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Puts entries into the order of the format, if it knows every key, each once.
fn arrange(entries: &mut Vec<Entry>, keys: &[&str], beside_dash: bool) {
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let Some(rank) = entry.key.as_deref().and_then(|key| keys.iter().position(|known| *known == key)) else { return };
        order.push((rank, index));
    }
    order.sort_unstable();
    let twice = order.windows(2).any(|pair| pair[0].0 == pair[1].0);
    // Beside a dash there is no room above the first key for comments.
    let crowded = beside_dash && order.first().is_some_and(|(_, index)| !entries[*index].leading.is_empty());
    if twice || crowded {
        return;
    }
    let mut slots: Vec<Option<Entry>> = entries.drain(..).map(Some).collect();
    entries.extend(order.iter().filter_map(|(_, index)| slots[*index].take()));
}

/// At most one blank line in a row, none above the first entry.
fn tidy(block: &mut Block) {
    let mut first = true;
    for entry in &mut block.entries {
        squeeze(&mut entry.leading);
        if first {
            while entry.leading.first() == Some(&Trivia::Blank) {
                entry.leading.remove(0);
            }
        }
        first = false;
    }
    squeeze(&mut block.tail);
    while block.tail.last() == Some(&Trivia::Blank) {
        block.tail.pop();
    }
}

fn squeeze(trivia: &mut Vec<Trivia>) {
    trivia.dedup_by(|a, b| *a == Trivia::Blank && *b == Trivia::Blank);
}

/// Arranges the top of the file and gives back the comments that stay above everything.
fn arrange_root(root: &mut Block, anchors: bool) -> Vec<Trivia> {
    let first = root.entries.first().and_then(|entry| entry.key.clone());
    let mut sorted: Vec<usize> = Vec::new();
    if !anchors {
        for entry in &root.entries {
            sorted.extend(entry.key.as_deref().and_then(|key| Place::Root.keys().iter().position(|known| *known == key)));
        }
    }
    let stays = sorted.len() != root.entries.len() || sorted.first() == sorted.iter().min();
    let mut header = Vec::new();
    if let (false, Some(entry)) = (stays, root.entries.first_mut()) {
        // The first key moves: what stands above a blank line, and what editors look for, is about the file.
        let about_file = |t: &Trivia| match t {
            Trivia::Blank => true,
            Trivia::Comment(text) => text.contains("yaml-language-server:"),
        };
        let kept = entry.leading.iter().rposition(about_file).map_or(0, |last| last + 1);
        header.extend(entry.leading.drain(..kept));
        squeeze(&mut header);
        while header.first() == Some(&Trivia::Blank) {
            header.remove(0);
        }
        while header.last() == Some(&Trivia::Blank) {
            header.pop();
        }
    }
    if !anchors {
        arrange(&mut root.entries, Place::Root.keys(), false);
    }
    if root.entries.first().and_then(|entry| entry.key.clone()) == first && !header.is_empty() {
        // It did not move after all (a key stands twice).
        if let Some(entry) = root.entries.first_mut() {
            header.push(Trivia::Blank);
            entry.leading.splice(0..0, header.drain(..));
        }
    }
    tidy(root);
    if !root.entries.iter().all(|entry| entry.key.as_deref().is_some_and(|key| Place::Root.keys().contains(&key))) {
        // Settings, or something else: where it breathes is the author's.
        return header;
    }
    let mut before: Option<String> = None;
    let mut keeps = false;
    for (index, entry) in root.entries.iter_mut().enumerate() {
        let together = before.as_deref() == Some("version") && entry.key.as_deref() == Some("release");
        if index > 0 {
            while entry.leading.first() == Some(&Trivia::Blank) {
                entry.leading.remove(0);
            }
            if !together && !keeps {
                entry.leading.insert(0, Trivia::Blank);
            }
        }
        before.clone_from(&entry.key);
        keeps = ends_in_kept_blank_lines(entry);
    }
    header
}

/// Whether the last text of an entry holds the blank lines below it.
fn ends_in_kept_blank_lines(entry: &Entry) -> bool {
    match &entry.child {
        Some(block) => block.tail.is_empty() && block.entries.last().is_some_and(ends_in_kept_blank_lines),
        None => entry.keeps_blank_lines,
    }
}

fn push_line(out: &mut String, column: usize, line: &str) {
    if !line.is_empty() {
        out.extend(std::iter::repeat_n(' ', column));
        out.push_str(line);
    }
    out.push('\n');
}

fn print_trivia(out: &mut String, column: usize, trivia: &[Trivia]) {
    for line in trivia {
        match line {
            Trivia::Blank => out.push('\n'),
            Trivia::Comment(text) => push_line(out, column, text),
        }
    }
}

/// Prints a block. `dash` is the column of the dash beside which its first entry goes.
fn print(out: &mut String, block: &Block, column: usize, dash: Option<usize>) -> Option<()> {
    for (index, entry) in block.entries.iter().enumerate() {
        print_trivia(out, column, &entry.leading);
        let item = entry.key.is_none();
        match (item, entry.head.as_str(), &entry.child) {
            (true, "", Some(child)) if !child.entries.is_empty() => {
                print(out, child, column + 2, Some(column))?;
                continue;
            }
            (true, "", _) => push_line(out, column, "-"),
            (true, ..) => push_line(out, column, &format!("- {}", entry.head)),
            (false, ..) => match dash.filter(|_| index == 0) {
                Some(dash) => push_line(out, dash, &format!("- {}", entry.head)),
                None => push_line(out, column, &entry.head),
            },
        }
        for line in &entry.rest {
            print_moved(out, line, entry.column, column)?;
        }
        if let Some(child) = &entry.child {
            print(out, child, column + 2, None)?;
        }
    }
    print_trivia(out, column, &block.tail);
    Some(())
}

/// Prints a line moved sideways with its entry. There is nowhere to move it when it stands left of where it can be moved.
fn print_moved(out: &mut String, line: &str, from: usize, to: usize) -> Option<()> {
    let spaces = indent(line);
    let rest = &line[spaces..];
    match (spaces + to).checked_sub(from) {
        _ if line.is_empty() => {}
        Some(column) => {
            out.extend(std::iter::repeat_n(' ', column));
            out.push_str(rest);
        }
        None if rest.is_empty() => {}
        // Comments may stand anywhere.
        None if rest.starts_with('#') => out.push_str(rest),
        None => return None,
    }
    out.push('\n');
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
