//! The short form of a column: an SQL column definition, taken apart.
//!
//! The text is read into tokens by `sqlparser`, and its clauses are told apart here: a type that the parser does not know stays
//! as its author wrote it, and expressions are cut from the text, never printed anew.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// A column definition. Ranges are in bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The type.
    pub ty: Range<usize>,
    /// What follows the type, in the order of the text.
    pub clauses: Vec<Clause>,
}

/// One clause of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The whole clause.
    pub range: Range<usize>,
    /// The name that `constraint NAME` gives it.
    pub name: Option<(String, Range<usize>)>,
    /// What it says.
    pub kind: ClauseKind,
}

/// What a clause says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClauseKind {
    /// `not null`
    NotNull,
    /// `null`
    Null,
    /// `default EXPRESSION`
    Default(Range<usize>),
    /// `unique`
    Unique {
        /// `nulls not distinct`
        nulls_not_distinct: bool,
        /// Late checking.
        timing: Timing,
    },
    /// `primary key`
    PrimaryKey,
    /// `references …`
    References(References),
    /// `check (EXPRESSION)`, without the parentheses
    Check(Range<usize>),
    /// `generated always | by default as identity`; true for `always`
    Identity {
        /// `always`, not `by default`.
        always: bool,
    },
    /// `generated always as (EXPRESSION)`
    Generated {
        /// The expression, without the parentheses.
        expression: Range<usize>,
        /// `stored` or `virtual`; absent when neither is written.
        stored: Option<bool>,
    },
    /// `collate NAME`, unquoted
    Collate(String),
    /// `comment 'TEXT'`, unquoted
    Comment(String),
}

/// When a constraint is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// `deferrable`
    pub deferrable: bool,
    /// `initially deferred`
    pub initially_deferred: bool,
}

/// `references TABLE (COLUMNS) …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// The table.
    pub table: (String, Range<usize>),
    /// Its columns; none for its primary key.
    pub columns: Vec<(String, Range<usize>)>,
    /// `on delete`
    pub on_delete: Option<Action>,
    /// `on update`
    pub on_update: Option<Action>,
    /// Late checking.
    pub timing: Timing,
    /// `match full`
    pub match_full: bool,
}

/// What happens to a referencing row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `no action`
    NoAction,
    /// `restrict`
    Restrict,
    /// `cascade`
    Cascade,
    /// `set null`, of these columns or of all
    SetNull(Vec<String>),
    /// `set default`, of these columns or of all
    SetDefault(Vec<String>),
}

/// Why a text is no column definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub range: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Fault {
    fn new(range: Range<usize>, message: impl Into<String>) -> Fault {
        Fault { message: message.into(), range, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

/// Takes a column definition (type first, no column name) apart.
///
/// # Errors
/// When a clause is not known or not complete. What could be read before it is not returned: its meaning might depend on the rest.
pub fn parse(text: &str) -> Result<Definition, Fault> {
    let mut cursor = Cursor::new(text)?;
    let ty = cursor.type_name()?;
    let clauses = cursor.clauses()?;
    Ok(Definition { ty, clauses })
}

/// Takes the part of a definition after `references` apart: `teams(id) on delete set null`.
///
/// # Errors
/// As [`parse`].
pub fn parse_references(text: &str) -> Result<References, Fault> {
    let mut cursor = Cursor::new(text)?;
    cursor.eat("references");
    let references = cursor.references()?;
    match cursor.peek() {
        None => Ok(references),
        Some(extra) => Err(Fault::new(extra.range.clone(), "this does not belong to a reference")),
    }
}

/// Reads a referential action: `set null (a, b)`.
///
/// # Errors
/// When it is none of the five.
pub fn parse_action(text: &str) -> Result<Action, Fault> {
    let mut cursor = Cursor::new(text)?;
    let action = cursor.action()?;
    match cursor.peek() {
        None => Ok(action),
        Some(extra) => Err(Fault::new(extra.range.clone(), "this does not belong to an action")),
    }
}

struct Tok {
    token: Token,
    range: Range<usize>,
}

impl Tok {
    fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(w) if w.quote_style.is_none() => Some(&w.value),
            _ => None,
        }
    }

    fn is(&self, word: &str) -> bool {
        self.word().is_some_and(|w| w.eq_ignore_ascii_case(word))
    }
}

struct Cursor<'a> {
    text: &'a str,
    tokens: Vec<Tok>,
    at: usize,
}

/// Words after which an operand is still missing, so that no clause can start.
const WANTS_OPERAND: [&str; 22] = [
    "is", "not", "and", "or", "in", "like", "ilike", "between", "from", "then", "else", "when", "case", "collate", "as", "at", "zone",
    "similar", "distinct", "escape", "interval", "all",
];

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Result<Cursor<'a>, Fault> {
        let spanned = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().map_err(|error| {
            let at = offset(text, error.location.line, error.location.column);
            Fault::new(at..at, error.message)
        })?;
        let mut tokens = Vec::with_capacity(spanned.len());
        let mut place = Place { text, line: 1, column: 1, at: 0 };
        for token in spanned {
            let start = place.advance(token.span.start.line, token.span.start.column);
            let end = place.advance(token.span.end.line, token.span.end.column);
            match token.token {
                Token::EOF => {}
                Token::Whitespace(_) => {}
                other => tokens.push(Tok { token: other, range: start..end }),
            }
        }
        Ok(Cursor { text, tokens, at: 0 })
    }

    fn peek(&self) -> Option<&Tok> {
        self.tokens.get(self.at)
    }

    fn nth_is(&self, n: usize, word: &str) -> bool {
        self.tokens.get(self.at + n).is_some_and(|t| t.is(word))
    }

    fn eat(&mut self, word: &str) -> bool {
        let yes = self.nth_is(0, word);
        self.at += usize::from(yes);
        yes
    }

    /// Takes all of these words or none.
    fn eat_all(&mut self, words: &[&str]) -> bool {
        let yes = words.iter().enumerate().all(|(n, word)| self.nth_is(n, word));
        if yes {
            self.at += words.len();
        }
        yes
    }

    fn eat_token(&mut self, token: &Token) -> bool {
        let yes = self.peek().is_some_and(|t| t.token == *token);
        self.at += usize::from(yes);
        yes
    }

    /// The end of the last token taken.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(0, |t| t.range.end)
    }

    /// The place of the next token, or the end of the text.
    fn here(&self) -> Range<usize> {
        self.peek().map_or(self.text.len()..self.text.len(), |t| t.range.clone())
    }

    fn expected(&self, what: &str) -> Fault {
        match self.peek() {
            Some(t) => Fault::new(t.range.clone(), format!("expected {what}, found `{}`", &self.text[t.range.clone()])),
            None => Fault::new(self.here(), format!("expected {what}, found the end")),
        }
    }

    /// Whether the tokens at `i` start a clause.
    fn starts_clause(&self, i: usize) -> bool {
        let Some(word) = self.tokens.get(i).and_then(Tok::word) else { return false };
        let next_is = |w: &str| self.tokens.get(i + 1).is_some_and(|t| t.is(w));
        let next_opens = self.tokens.get(i + 1).is_some_and(|t| t.token == Token::LParen);
        match word.to_ascii_lowercase().as_str() {
            "not" => next_is("null"),
            "null" | "default" | "unique" | "references" | "generated" | "collate" | "comment" | "constraint" | "auto_increment"
            | "autoincrement" => true,
            "primary" => next_is("key"),
            "check" | "as" => next_opens,
            "on" => next_is("update") || next_is("delete") || next_is("conflict"),
            _ => false,
        }
    }

    fn type_name(&mut self) -> Result<Range<usize>, Fault> {
        let first = self.at;
        let mut depth = 0usize;
        while let Some(tok) = self.peek() {
            if depth == 0 && self.starts_clause(self.at) {
                break;
            }
            match &tok.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => return Err(self.expected("a type")),
                Token::RParen | Token::RBracket => depth -= 1,
                _ => {}
            }
            if depth == 0
                && self.at > first
                && let Some(near) = tok.word().and_then(near_clause)
            {
                return Err(self.expected("a type or a clause").help(format!("did you mean `{near}`?")));
            }
            if depth == 0 && tok.is("not") {
                self.at += 1;
                return Err(self.expected("`null` after `not`"));
            }
            self.at += 1;
        }
        if depth > 0 {
            return Err(Fault::new(self.here(), "a parenthesis is not closed"));
        }
        if first == self.at {
            return Err(self.expected("a type").help("a definition starts with the type: `bigint not null`"));
        }
        Ok(self.tokens[first].range.start..self.end())
    }

    fn clauses(&mut self) -> Result<Vec<Clause>, Fault> {
        let mut clauses = Vec::new();
        while self.peek().is_some() {
            let start = self.here().start;
            let name = if self.eat("constraint") { Some(self.name("a name after `constraint`")?) } else { None };
            let kind = self.clause()?;
            clauses.push(Clause { range: start..self.end(), name, kind });
        }
        Ok(clauses)
    }

    fn clause(&mut self) -> Result<ClauseKind, Fault> {
        if self.eat_all(&["not", "null"]) {
            return Ok(ClauseKind::NotNull);
        }
        if self.eat("null") {
            return Ok(ClauseKind::Null);
        }
        if self.eat("default") {
            return Ok(ClauseKind::Default(self.expression()?));
        }
        if self.eat_all(&["primary", "key"]) {
            return Ok(ClauseKind::PrimaryKey);
        }
        if self.eat("unique") {
            self.eat("key");
            let nulls_not_distinct = self.eat_all(&["nulls", "not", "distinct"]);
            if !nulls_not_distinct {
                self.eat_all(&["nulls", "distinct"]);
            }
            let mut timing = Timing::default();
            self.timing(&mut timing);
            return Ok(ClauseKind::Unique { nulls_not_distinct, timing });
        }
        if self.eat("references") {
            return Ok(ClauseKind::References(self.references()?));
        }
        if self.eat("check") {
            return Ok(ClauseKind::Check(self.parenthesized()?));
        }
        if self.eat_all(&["generated", "always", "as", "identity"]) {
            return self.identity(true);
        }
        if self.eat_all(&["generated", "by", "default", "as", "identity"]) {
            return self.identity(false);
        }
        if self.eat_all(&["generated", "always", "as"]) || (self.nth_is(0, "as") && self.eat("as")) {
            let expression = self.parenthesized()?;
            let stored = if self.eat("stored") || self.eat("persistent") {
                Some(true)
            } else if self.eat("virtual") {
                Some(false)
            } else {
                None
            };
            return Ok(ClauseKind::Generated { expression, stored });
        }
        if self.eat("collate") {
            let (name, _) = self.name("a collation")?;
            return Ok(ClauseKind::Collate(name));
        }
        if self.eat("comment") {
            return match self.peek().map(|t| &t.token) {
                Some(Token::SingleQuotedString(s) | Token::DoubleQuotedString(s)) => {
                    let text = s.clone();
                    self.at += 1;
                    Ok(ClauseKind::Comment(text))
                }
                _ => Err(self.expected("a quoted text after `comment`")),
            };
        }
        if self.nth_is(0, "auto_increment") || self.nth_is(0, "autoincrement") {
            return Err(Fault::new(self.here(), "`auto_increment` is a dialect's word")
                .help("write `generated by default as identity`: it becomes auto_increment on MySQL and MariaDB"));
        }
        if self.nth_is(0, "generated") {
            return Err(self.expected("`generated always as (…)`, `generated always as identity` or `generated by default as identity`"));
        }
        let fault = self.expected("a clause of a column definition");
        match self.peek().and_then(Tok::word).and_then(near_clause) {
            Some(near) => Err(fault.help(format!("did you mean `{near}`?"))),
            None => Err(fault.help(format!("one of: {}", CLAUSES.join(", ")))),
        }
    }

    fn identity(&mut self, always: bool) -> Result<ClauseKind, Fault> {
        if self.peek().is_some_and(|t| t.token == Token::LParen) {
            return Err(Fault::new(self.here(), "options of an identity are not part of the format")
                .help("leave them out, or use a sequence of `sequences:` in the default"));
        }
        Ok(ClauseKind::Identity { always })
    }

    fn name(&mut self, what: &str) -> Result<(String, Range<usize>), Fault> {
        match self.tokens.get(self.at) {
            Some(Tok { token: Token::Word(w), range }) => {
                let mut name = (w.value.clone(), range.clone());
                self.at += 1;
                // A qualified name is one name to the format: `pg_catalog.default`.
                while self.peek().is_some_and(|t| t.token == Token::Period) {
                    match self.tokens.get(self.at + 1) {
                        Some(Tok { token: Token::Word(w), range }) => {
                            name.0 = format!("{}.{}", name.0, w.value);
                            name.1.end = range.end;
                            self.at += 2;
                        }
                        _ => break,
                    }
                }
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn names(&mut self) -> Result<Vec<(String, Range<usize>)>, Fault> {
        let mut names = Vec::new();
        if self.eat_token(&Token::LParen) {
            loop {
                names.push(self.name("a column")?);
                if self.eat_token(&Token::Comma) {
                    continue;
                }
                if self.eat_token(&Token::RParen) {
                    break;
                }
                return Err(self.expected("`,` or `)`"));
            }
        }
        Ok(names)
    }

    fn references(&mut self) -> Result<References, Fault> {
        let table = self.name("a table after `references`")?;
        let columns = self.names()?;
        let mut references = References { table, columns, on_delete: None, on_update: None, timing: Timing::default(), match_full: false };
        loop {
            if self.eat_all(&["on", "delete"]) {
                references.on_delete = Some(self.action()?);
            } else if self.eat_all(&["on", "update"]) {
                references.on_update = Some(self.action()?);
            } else if self.eat("match") {
                if self.eat("full") {
                    references.match_full = true;
                } else if !self.eat("simple") {
                    return Err(self.expected("`full` or `simple` after `match`"));
                }
            } else if !self.timing(&mut references.timing) {
                return Ok(references);
            }
        }
    }

    /// Takes what it can of `deferrable initially deferred`; false when there is none.
    fn timing(&mut self, timing: &mut Timing) -> bool {
        let mut any = false;
        loop {
            if self.eat("deferrable") {
                timing.deferrable = true;
            } else if self.eat_all(&["initially", "deferred"]) {
                timing.deferrable = true;
                timing.initially_deferred = true;
            } else if !self.eat_all(&["not", "deferrable"]) && !self.eat_all(&["initially", "immediate"]) {
                return any;
            }
            any = true;
        }
    }

    fn action(&mut self) -> Result<Action, Fault> {
        let plain = |names: Vec<(String, Range<usize>)>| names.into_iter().map(|(name, _)| name).collect();
        if self.eat_all(&["no", "action"]) {
            Ok(Action::NoAction)
        } else if self.eat("restrict") {
            Ok(Action::Restrict)
        } else if self.eat("cascade") {
            Ok(Action::Cascade)
        } else if self.eat_all(&["set", "null"]) {
            Ok(Action::SetNull(plain(self.names()?)))
        } else if self.eat_all(&["set", "default"]) {
            Ok(Action::SetDefault(plain(self.names()?)))
        } else {
            Err(self.expected("`no action`, `restrict`, `cascade`, `set null` or `set default`"))
        }
    }

    /// The range between a parenthesis and its partner.
    fn parenthesized(&mut self) -> Result<Range<usize>, Fault> {
        if !self.eat_token(&Token::LParen) {
            return Err(self.expected("`(`"));
        }
        let start = self.end();
        let mut depth = 1usize;
        while let Some(tok) = self.peek() {
            match tok.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            let close = tok.range.start;
            self.at += 1;
            if depth == 0 {
                return trimmed(self.text, start..close).ok_or_else(|| Fault::new(start..close, "expected an expression, found `)`"));
            }
        }
        Err(Fault::new(start - 1..start, "this parenthesis is not closed"))
    }

    /// An expression without delimiters: up to the next clause.
    fn expression(&mut self) -> Result<Range<usize>, Fault> {
        let first = self.at;
        let mut depth = 0usize;
        while let Some(tok) = self.peek() {
            if depth == 0 && self.starts_clause(self.at) {
                let null_operand = tok.is("null") && self.at == first;
                if !null_operand && !self.wants_operand(first) {
                    break;
                }
            }
            match &tok.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => return Err(self.expected("an expression")),
                Token::RParen | Token::RBracket => depth -= 1,
                _ if tok.is("case") => depth += 1,
                _ if tok.is("end") => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
        if depth > 0 {
            return Err(Fault::new(self.here(), "a parenthesis or a `case` is not closed"));
        }
        if first == self.at {
            return Err(self.expected("an expression after `default`"));
        }
        Ok(self.tokens[first].range.start..self.end())
    }

    /// Whether the expression that starts at `first` needs more before a clause can follow.
    fn wants_operand(&self, first: usize) -> bool {
        let Some(before) = self.at.checked_sub(1).filter(|i| *i >= first).and_then(|i| self.tokens.get(i)) else { return false };
        match &before.token {
            Token::Word(w) if w.quote_style.is_none() => WANTS_OPERAND.iter().any(|k| w.value.eq_ignore_ascii_case(k)),
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::RParen
            | Token::RBracket => false,
            _ => true,
        }
    }
}

const CLAUSES: [&str; 10] =
    ["not null", "null", "default", "primary key", "unique", "references", "check", "generated", "collate", "comment"];

/// The clause whose first word was nearly written.
fn near_clause(word: &str) -> Option<&'static str> {
    if word.len() < 4 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    let first = |clause: &'static str| clause.split(' ').next().unwrap_or(clause);
    // A word that is right stands in a wrong place; that is told in other words.
    let distance = |clause: &'static str| strsim::damerau_levenshtein(first(clause), &word);
    let (distance, near) = CLAUSES.iter().filter(|c| first(c).len() > 3).map(|c| (distance(c), *c)).min()?;
    (distance > 0 && distance <= 2 && distance * 2 < word.len()).then_some(near)
}

fn trimmed(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let part = text.get(range.clone())?;
    let start = range.start + (part.len() - part.trim_start().len());
    let end = range.end - (part.len() - part.trim_end().len());
    (start < end).then_some(start..end)
}

/// Turns lines and columns, which only ever grow, into byte offsets.
struct Place<'a> {
    text: &'a str,
    line: u64,
    column: u64,
    at: usize,
}

impl Place<'_> {
    fn advance(&mut self, line: u64, column: u64) -> usize {
        for c in self.text[self.at..].chars() {
            if (self.line, self.column) >= (line, column) {
                break;
            }
            self.at += c.len_utf8();
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at
    }
}

fn offset(text: &str, line: u64, column: u64) -> usize {
    Place { text, line: 1, column: 1, at: 0 }.advance(line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match parse(text) {
            Err(fault) => format!("{}..{}: {}", fault.range.start, fault.range.end, fault.message),
            Ok(definition) => {
                let mut out = format!("[{}]", &text[definition.ty.clone()]);
                for clause in &definition.clauses {
                    out.push_str(&format!(" [{}]", &text[clause.range.clone()]));
                }
                out
            }
        }
    }

    #[test]
    fn clauses_are_told_apart() {
        for (text, expect) in [
            ("bigint", "[bigint]"),
            ("bigint generated always as identity", "[bigint] [generated always as identity]"),
            ("varchar(320) not null unique", "[varchar(320)] [not null] [unique]"),
            ("bigint references teams(id) on delete set null", "[bigint] [references teams(id) on delete set null]"),
            ("numeric(12,2) not null default 0 check (balance >= 0)", "[numeric(12,2)] [not null] [default 0] [check (balance >= 0)]"),
            ("timestamp(3) with time zone default now() not null", "[timestamp(3) with time zone] [default now()] [not null]"),
            ("text default null unique", "[text] [default null] [unique]"),
            ("boolean default (1 is not null) not null", "[boolean] [default (1 is not null)] [not null]"),
            ("boolean default 1 is not null", "[boolean] [default 1 is not null]"),
            ("text default case when true then null else 'x' end null", "[text] [default case when true then null else 'x' end] [null]"),
            ("int unsigned default - 1 comment 'it''s'", "[int unsigned] [default - 1] [comment 'it''s']"),
            ("enum('not null','b') default 'b'", "[enum('not null','b')] [default 'b']"),
            ("text[] default '{}'::text[] not null", "[text[]] [default '{}'::text[]] [not null]"),
            ("text generated always as (upper(é)) stored", "[text] [generated always as (upper(é)) stored]"),
            ("text constraint x check (a) collate \"C\" not null", "[text] [constraint x check (a)] [collate \"C\"] [not null]"),
            ("bigint not nul", "11..14: expected `null` after `not`, found `nul`"),
            ("not null", "0..3: expected a type, found `not`"),
            ("bigint default", "14..14: expected an expression after `default`, found the end"),
            ("bigint check (", "13..14: this parenthesis is not closed"),
            ("bigint primry key", "7..13: expected a type or a clause, found `primry`"),
            ("bigint not null primry key", "16..22: expected a clause of a column definition, found `primry`"),
        ] {
            assert_eq!(show(text), expect, "{text}");
        }
    }
}
