//! A YAML text as a tree in which every node knows its place.
//!
//! The tree is built from the parser's events, not by `serde`: a faulty file is read to its end, so that every duplicate key
//! and every wrong type in it can be reported at once. Everything that grows is bounded, and each bound has its own message.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle};

use crate::diagnostic::{Diagnostic, FileId, Span};

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// The deepest nesting of lists and maps (the format needs 8).
pub const MAX_DEPTH: usize = 32;
/// How many nodes all aliases of a file may stand for.
pub const MAX_ALIASED_NODES: usize = 100_000;

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// Its value after YAML's own escapes.
    pub(crate) text: String,
    /// Whether it stands bare, so that it may be a number, a boolean or null.
    pub(crate) plain: bool,
    /// Its place, without quotes where the text stands in the file as it is.
    pub(crate) span: Span,
    /// Whether `span` holds exactly `text`, so that an offset in one is an offset in the other.
    pub(crate) verbatim: bool,
}

impl Scalar {
    /// Whether it is YAML's null.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Reads `true` and `false`, and nothing else.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" if self.plain => Some(true),
            "false" if self.plain => Some(false),
            _ => None,
        }
    }

    /// Whether it is a decimal number.
    pub(crate) fn is_number(&self) -> bool {
        self.plain && is_number(&self.text)
    }

    /// The place of a part of the text; of the whole where the file holds it in another spelling.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> Span {
        part_of(self.span, self.verbatim, range)
    }
}

/// The place of a part of a scalar; of the whole where the file holds it in another spelling.
pub(crate) fn part_of(span: Span, verbatim: bool, range: std::ops::Range<usize>) -> Span {
    let length = (span.end - span.start) as usize;
    if !verbatim || range.end > length || range.start > range.end {
        return span;
    }
    // Both are at most `length`, which fits a u32.
    Span { file: span.file, start: span.start + range.start as u32, end: span.start + range.end as u32 }
}

/// Whether `text` is a decimal number as both YAML and SQL read it.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    !(whole.is_empty() && fraction.is_empty())
        && all_digits(whole)
        && all_digits(fraction)
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['-', '+']).unwrap_or(e);
            !e.is_empty() && all_digits(e)
        })
}

/// A node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its place; of a list or a map, its first line.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file; no key stands twice.
    Map(Vec<(Scalar, Node)>),
}

impl Kind {
    /// Its name in messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Kind::Scalar(s) if s.is_null() => "nothing",
            Kind::Scalar(s) if s.as_bool().is_some() => "a boolean",
            Kind::Scalar(s) if s.is_number() => "a number",
            Kind::Scalar(_) => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}

/// A list or map that is not closed yet.
struct Open {
    start: usize,
    anchor: usize,
    nodes: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<(Scalar, Node)>,
        /// Keys and their places, once there are so many that looking through `entries` would cost.
        seen: HashMap<String, Span>,
        key: Option<Key>,
    },
}

enum Key {
    Good(Scalar),
    /// Already reported; its value is read and dropped.
    Bad,
}

/// A node that an alias may repeat, with its size.
struct Anchored {
    node: Node,
    nodes: usize,
    height: usize,
}

/// Builds one tree.
struct Builder<'a> {
    text: &'a str,
    file: FileId,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
    root: Option<Node>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads `text` as one YAML document. There is no tree when it is empty or so broken that what follows the fault can't be told.
pub(crate) fn read(text: &str, file: FileId) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder { text, file, stack: Vec::new(), anchors: HashMap::new(), aliased: 0, root: None, diagnostics: Vec::new() };
    let complete = builder.run();
    (if complete { builder.root } else { None }, builder.diagnostics)
}

impl<'a> Builder<'a> {
    /// Reads all events; false when it had to stop before the end.
    fn run(&mut self) -> bool {
        if self.text.len() > MAX_FILE_BYTES {
            let fault = Diagnostic::error("file-too-large", format!("the file has {} bytes; {MAX_FILE_BYTES} are read", self.text.len()))
                .at(self.span(0, 0), "")
                .help("split the snapshot into a directory of files, one per table, say");
            self.diagnostics.push(fault);
            return false;
        }
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_unresolved_aliases = true;
        // Deeper than our own bound, so that it is always ours that is hit first and named in the message.
        options.flow_nesting_limit = MAX_DEPTH + 8;
        options.block_nesting_limit = MAX_DEPTH + 8;
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(self.text.len());
                    let place = self.span(at, at);
                    self.diagnostics.push(Diagnostic::error("bad-yaml", format!("this is not YAML: {}", error.info())).at(place, "here"));
                    return false;
                }
            };
            let range = span.byte_range().unwrap_or(0..0);
            let mut opened = true;
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        let place = self.span(range.start, range.end);
                        self.diagnostics.push(
                            Diagnostic::error("several-documents", "the file holds several YAML documents")
                                .at(place, "a second document starts here")
                                .help("put each snapshot into its own file"),
                        );
                        return false;
                    }
                }
                Event::UnresolvedAlias(name) => {
                    let place = self.span(range.start, range.end);
                    self.diagnostics
                        .push(Diagnostic::error("unknown-alias", format!("there is no anchor `&{name}` before this alias")).at(place, ""));
                    let node =
                        Node { span: place, kind: Kind::Scalar(Scalar { text: String::new(), plain: true, span: place, verbatim: false }) };
                    self.add(node, 1, 0);
                }
                Event::Alias(anchor) => {
                    let place = self.span(range.start, range.end);
                    let Some(anchored) = self.anchors.get(&anchor) else {
                        self.diagnostics
                            .push(Diagnostic::error("unknown-alias", "this alias stands inside of its own anchor").at(place, ""));
                        return false;
                    };
                    self.aliased += anchored.nodes;
                    if self.aliased > MAX_ALIASED_NODES {
                        self.diagnostics.push(
                            Diagnostic::error(
                                "too-many-aliases",
                                format!("the aliases of this file stand for more than {MAX_ALIASED_NODES} nodes"),
                            )
                            .at(place, "the bound is passed here")
                            .help("write the repeated parts out, or use fewer aliases"),
                        );
                        return false;
                    }
                    if self.stack.len() + anchored.height > MAX_DEPTH {
                        self.too_deep(place);
                        return false;
                    }
                    let (node, nodes, height) = (anchored.node.clone(), anchored.nodes, anchored.height);
                    self.add(node, nodes, height);
                }
                Event::Scalar(value, style, anchor, _tag) => {
                    let scalar = self.scalar(value.into_owned(), style, range);
                    let node = Node { span: scalar.span, kind: Kind::Scalar(scalar) };
                    self.keep(anchor, &node, 1, 0);
                    self.add(node, 1, 0);
                }
                Event::SequenceStart(_, anchor, _tag) => {
                    let list = Content::List(Vec::new());
                    opened = self.open(range.start, anchor, list);
                }
                Event::MappingStart(_, anchor, _tag) => {
                    let map = Content::Map { entries: Vec::new(), seen: HashMap::new(), key: None };
                    opened = self.open(range.start, anchor, map);
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
                // Starts and ends of stream and document, comments; the parser may learn more of them.
                _ => {}
            }
            if !opened {
                return false;
            }
        }
        true
    }

    fn scalar(&self, text: String, style: ScalarStyle, range: std::ops::Range<usize>) -> Scalar {
        let whole = self.span(range.start, range.end);
        let (mut start, mut end) = (whole.start as usize, whole.end as usize);
        let plain = style == ScalarStyle::Plain;
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) && end >= start + 2 {
            start += 1;
            end -= 1;
        }
        match self.text.get(start..end) {
            Some(written) if written == text && !text.is_empty() => {
                Scalar { text, plain, span: Span { file: self.file, start: start as u32, end: end as u32 }, verbatim: true }
            }
            Some(written) if !text.is_empty() && written.trim_end() == text => {
                let end = start + text.len();
                Scalar { text, plain, span: Span { file: self.file, start: start as u32, end: end as u32 }, verbatim: true }
            }
            _ => {
                // A block scalar ends with its last line, not with the line break after it.
                let written = self.text.get(whole.start as usize..whole.end as usize).unwrap_or("");
                let end = whole.start + written.trim_end().len() as u32;
                Scalar { text, plain, span: Span { end: end.max(whole.start), ..whole }, verbatim: false }
            }
        }
    }

    /// A span inside of the text, on character boundaries.
    fn span(&self, start: usize, end: usize) -> Span {
        let floor = |mut at: usize| {
            at = at.min(self.text.len());
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(start);
        let end = floor(end).max(start);
        Span { file: self.file, start: start as u32, end: end as u32 }
    }

    /// The first line of what stands between two offsets.
    fn first_line(&self, start: usize, end: usize) -> Span {
        let span = self.span(start, end);
        let text = self.text.get(span.start as usize..span.end as usize).unwrap_or("");
        let line = text.lines().next().unwrap_or("").trim_end();
        Span { end: span.start + line.len() as u32, ..span }
    }

    fn too_deep(&mut self, place: Span) {
        self.diagnostics.push(
            Diagnostic::error("too-deep", format!("lists and maps are nested deeper than {MAX_DEPTH}"))
                .at(place, "the bound is passed here"),
        );
    }

    fn open(&mut self, start: usize, anchor: usize, content: Content) -> bool {
        if self.stack.len() >= MAX_DEPTH {
            let place = self.span(start, start + 1);
            self.too_deep(place);
            return false;
        }
        self.stack.push(Open { start, anchor, nodes: 1, height: 0, content });
        true
    }

    fn close(&mut self, end: usize) {
        let Some(open) = self.stack.pop() else { return };
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(entries),
        };
        let node = Node { span: self.first_line(open.start, end), kind };
        self.keep(open.anchor, &node, open.nodes, open.height + 1);
        self.add(node, open.nodes, open.height + 1);
    }

    /// Remembers a node for its aliases. What they can't repeat without passing the bound is kept by its size alone.
    fn keep(&mut self, anchor: usize, node: &Node, nodes: usize, height: usize) {
        if anchor == 0 {
            return;
        }
        let copy = if nodes > MAX_ALIASED_NODES { Node { span: node.span, kind: Kind::List(Vec::new()) } } else { node.clone() };
        self.anchors.insert(anchor, Anchored { node: copy, nodes, height });
    }

    /// Puts a node where it belongs: as an item, a key, a value or the root.
    fn add(&mut self, mut node: Node, nodes: usize, height: usize) {
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return;
        };
        open.nodes = open.nodes.saturating_add(nodes);
        open.height = open.height.max(height);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, seen, key } => match key.take() {
                None => {
                    *key = Some(match node.kind {
                        Kind::Scalar(scalar) => match first_place(entries, seen, &scalar.text) {
                            Some(first) => {
                                self.diagnostics.push(
                                    Diagnostic::error("duplicate-key", format!("the key `{}` stands twice in one map", scalar.text))
                                        .at(scalar.span, "a second time here")
                                        .at(first, "first here"),
                                );
                                Key::Bad
                            }
                            None => Key::Good(scalar),
                        },
                        Kind::List(_) | Kind::Map(_) => {
                            self.diagnostics.push(Diagnostic::error("wrong-type", "a key must be a text").at(node.span, "not a key"));
                            Key::Bad
                        }
                    });
                }
                Some(Key::Bad) => {}
                Some(Key::Good(key)) => {
                    // What was left out stands nowhere; its key is the place to point at.
                    if node.span.start == node.span.end {
                        node.span = key.span;
                        if let Kind::Scalar(scalar) = &mut node.kind {
                            scalar.span = key.span;
                            scalar.verbatim = false;
                        }
                    }
                    entries.push((key, node));
                }
            },
        }
    }
}

/// Maps up to this size are looked through; larger ones get an index.
const SMALL_MAP: usize = 24;

/// Where a key stands already in a map.
fn first_place(entries: &[(Scalar, Node)], seen: &mut HashMap<String, Span>, text: &str) -> Option<Span> {
    if entries.len() < SMALL_MAP {
        return entries.iter().find(|(key, _)| key.text == text).map(|(key, _)| key.span);
    }
    for (key, _) in &entries[seen.len()..] {
        seen.insert(key.text.clone(), key.span);
    }
    seen.get(text).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        read(text, FileId(0)).1.iter().map(|d| d.code).collect()
    }

    #[test]
    fn spans_hold_the_text() {
        let text = "a: plain text\nb: 'quoted'\nc: \"double\"\nd: 'it''s'\n";
        let (root, faults) = read(text, FileId(0));
        assert!(faults.is_empty());
        let Some(Node { kind: Kind::Map(entries), .. }) = root else { panic!("a map") };
        for (_, node) in &entries {
            let Kind::Scalar(s) = &node.kind else { panic!("a scalar") };
            if s.verbatim {
                assert_eq!(&text[s.span.start as usize..s.span.end as usize], s.text);
            }
        }
        assert_eq!(entries.iter().filter(|(_, n)| matches!(&n.kind, Kind::Scalar(s) if s.verbatim)).count(), 3);
    }

    #[test]
    fn every_duplicate_key_is_reported() {
        assert_eq!(codes("a: 1\nb: {c: 1, c: 2}\na: 2\na: 3\n"), ["duplicate-key", "duplicate-key", "duplicate-key"]);
    }

    #[test]
    fn bounds_are_named() {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(codes(&deep), ["too-deep"]);
        assert_eq!(codes("a: 1\n---\nb: 2\n"), ["several-documents"]);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let before = i - 1;
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
        }
        assert_eq!(codes(&bomb), ["too-many-aliases"]);
        assert_eq!(codes("a: *nowhere\n"), ["unknown-alias"]);
        assert_eq!(codes("a: [1\nb: 2\n"), ["bad-yaml"]);
    }

    #[test]
    fn numbers() {
        for yes in ["0", "-1", "+3.5", ".5", "1.", "1e9", "2.5E-3"] {
            assert!(is_number(yes), "{yes}");
        }
        for no in ["", "-", ".", "1e", "0x1f", "1_000", "abc", "1.2.3", "nan"] {
            assert!(!is_number(no), "{no}");
        }
    }
}
