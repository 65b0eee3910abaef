//! Statements that define a schema, as a database or a dump prints them: read into tokens, and taken apart by a cursor.
//!
//! A dump may be long, and holds much that no parser of expressions knows: so nothing is turned into a tree here, and texts of
//! expressions are cut from the source as they stand.

use std::ops::Range;

use super::Dialect;
use super::split::closing;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A bare word.
    Word,
    /// A name in quotes, without them.
    Quoted(String),
    /// A string literal's value.
    Text(String),
    /// A number without a sign.
    Number,
    /// One character of any other kind.
    Sign,
    /// The end of a statement.
    End,
    /// A line for the client program and not for the server.
    Command,
}

/// A token and its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub range: Range<usize>,
}

/// The tokens of a text, without comments and white space. What MySQL and MariaDB run of a comment (`/*!50001 … */`) counts.
pub fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    let mysql = matches!(dialect, Dialect::Mysql | Dialect::Mariadb);
    let mut found: Vec<Token> = Vec::new();
    let mut delimiter = ";".to_owned();
    // Within a comment that the server runs.
    let mut conditional = false;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        let fresh = found.last().is_none_or(|token| matches!(token.kind, Kind::End | Kind::Command));
        let line = rest.find('\n').unwrap_or(rest.len());
        let mut push = |kind: Kind, length: usize| {
            found.push(Token { kind, range: at..at + length });
            length
        };
        let at_line_start = at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n');
        at += if first.is_whitespace() {
            first.len_utf8()
        } else if mysql && fresh && at_line_start && rest.get(..10).is_some_and(|word| word.eq_ignore_ascii_case("delimiter ")) {
            rest.get(10..line).unwrap_or_default().trim().clone_into(&mut delimiter);
            line
        } else if fresh && at_line_start && (first == '\\' && dialect == Dialect::Postgres || first == '.' && dialect == Dialect::Sqlite) {
            push(Kind::Command, line)
        } else if rest.starts_with(&delimiter) {
            push(Kind::End, delimiter.len())
        } else if mysql && conditional && rest.starts_with("*/") {
            conditional = false;
            2
        } else if let Some(length) = mysql.then(|| conditional_comment(rest, dialect)).flatten() {
            conditional = true;
            length
        } else if let Some(length) = comment(rest, dialect) {
            length
        } else {
            match first {
                '\'' | '"' | '`' | '[' if opens(first, dialect) => {
                    let close = if first == '[' { ']' } else { first };
                    let is_text = first == '\'' || (first == '"' && mysql);
                    let escapes = is_text && mysql;
                    let end = if first == '[' { rest.find(']').map(|end| end + 1) } else { closing(rest, 1, close, escapes) };
                    let end = end.unwrap_or(rest.len());
                    let inside = rest.get(1..end.saturating_sub(1)).unwrap_or_default();
                    let value = unquoted(inside, close, escapes);
                    push(if is_text { Kind::Text(value) } else { Kind::Quoted(value) }, end)
                }
                'e' | 'E' if dialect == Dialect::Postgres && rest.as_bytes().get(1) == Some(&b'\'') => {
                    let end = closing(rest, 2, '\'', true).unwrap_or(rest.len());
                    let inside = rest.get(2..end.saturating_sub(1)).unwrap_or_default();
                    push(Kind::Text(unquoted(inside, '\'', true)), end)
                }
                '$' if dialect == Dialect::Postgres && dollar_tag(rest).is_some() => {
                    let tag = dollar_tag(rest).unwrap_or_default();
                    let body = rest.get(tag.len()..).unwrap_or_default();
                    let length = body.find(tag).unwrap_or(body.len());
                    let value = body.get(..length).unwrap_or_default().to_owned();
                    push(Kind::Text(value), (length + 2 * tag.len()).min(rest.len()))
                }
                c if c.is_ascii_digit() || (c == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)) => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len());
                    push(Kind::Number, end)
                }
                c if c.is_alphabetic() || c == '_' => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                    push(Kind::Word, end)
                }
                c => push(Kind::Sign, c.len_utf8()),
            }
        };
    }
    found
}

/// Whether a character opens a quoted text or name.
fn opens(quote: char, dialect: Dialect) -> bool {
    match quote {
        '`' => dialect != Dialect::Postgres,
        '[' => dialect == Dialect::Sqlite,
        _ => true,
    }
}

/// The length of the beginning of a comment whose content the server runs. It runs what is for a version up to its own; what is for
/// a later one than any there is (`999999`, which old clients choke on by design) stays a comment.
fn conditional_comment(rest: &str, dialect: Dialect) -> Option<usize> {
    let (mark, digits) = match rest.strip_prefix("/*!") {
        Some(after) => (3, after),
        None if dialect == Dialect::Mariadb => (4, rest.strip_prefix("/*M!")?),
        None => return None,
    };
    let length = digits.bytes().take(6).take_while(u8::is_ascii_digit).count();
    (digits.get(..length) != Some("999999")).then_some(mark + length)
}

/// The length of a comment.
fn comment(rest: &str, dialect: Dialect) -> Option<usize> {
    let mysql = matches!(dialect, Dialect::Mysql | Dialect::Mariadb);
    let line = || Some(rest.find('\n').unwrap_or(rest.len()));
    if let Some(after) = rest.strip_prefix("--") {
        // Two signs, unless white space follows.
        let is_comment = !mysql || after.is_empty() || after.starts_with(char::is_whitespace);
        return if is_comment { line() } else { None };
    }
    if mysql && rest.starts_with('#') {
        return line();
    }
    if !rest.starts_with("/*") {
        return None;
    }
    if dialect != Dialect::Postgres {
        return Some(rest.get(2..).and_then(|after| after.find("*/")).map_or(rest.len(), |end| end + 4));
    }
    // Comments nest.
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(after) = rest.get(at..).filter(|after| !after.is_empty()) {
        if after.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if after.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += after.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(rest.len())
}

/// `$tag$` at the start of a text.
fn dollar_tag(rest: &str) -> Option<&str> {
    let inside = rest.get(1..)?;
    let length = inside.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let ends = inside.get(length..)?.starts_with('$') && !inside.starts_with(|c: char| c.is_ascii_digit());
    if ends { rest.get(..length + 2) } else { None }
}

/// What stands between quotes, as it is meant.
fn unquoted(inside: &str, close: char, escapes: bool) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut letters = inside.chars().peekable();
    while let Some(c) = letters.next() {
        if c == close && letters.peek() == Some(&close) {
            letters.next();
            out.push(close);
        } else if escapes && c == '\\' {
            match letters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some('b') => out.push('\u{8}'),
                Some('Z') => out.push('\u{1a}'),
                Some(other) => out.push(other),
                None => {}
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A walk over tokens.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'t> {
    source: &'t str,
    tokens: &'t [Token],
    dialect: Dialect,
}

impl<'t> Cursor<'t> {
    /// A walk over the tokens of a text.
    pub fn new(source: &'t str, tokens: &'t [Token], dialect: Dialect) -> Self {
        Self { source, tokens, dialect }
    }

    /// The statements of a script, each without its end; lines for the client program stand alone.
    pub fn statements(self) -> Vec<Cursor<'t>> {
        let mut found = Vec::new();
        let mut start = 0;
        for (at, token) in self.tokens.iter().enumerate() {
            let stop = match token.kind {
                Kind::End => at,
                Kind::Command => at + 1,
                _ => continue,
            };
            found.push(self.part(start, stop));
            start = at + 1;
        }
        found.push(self.part(start, self.tokens.len()));
        found.retain(|statement| !statement.is_done());
        found
    }

    fn part(&self, start: usize, end: usize) -> Cursor<'t> {
        Cursor { tokens: self.tokens.get(start..end).unwrap_or_default(), ..*self }
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens that are left.
    pub fn tokens(&self) -> &'t [Token] {
        self.tokens
    }

    /// The line (from 1) of the next token.
    pub fn line(&self) -> usize {
        let start = self.tokens.first().map_or(self.source.len(), |token| token.range.start);
        self.source.get(..start).unwrap_or_default().bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    /// All that is left, as it stands in the source.
    pub fn text(&self) -> &'t str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => self.source.get(first.range.start..last.range.end).unwrap_or_default(),
            _ => "",
        }
    }

    fn nth_text(&self, n: usize) -> Option<&'t str> {
        self.tokens.get(n).and_then(|token| self.source.get(token.range.clone()))
    }

    /// Whether the n-th token from here is this bare word, in any case, or this sign.
    pub fn nth_is(&self, n: usize, what: &str) -> bool {
        let plain = self.tokens.get(n).is_some_and(|token| matches!(token.kind, Kind::Word | Kind::Sign));
        plain && self.nth_text(n).is_some_and(|text| text.eq_ignore_ascii_case(what))
    }

    /// Whether these words and signs come next.
    pub fn is(&self, words: &str) -> bool {
        words.split(' ').enumerate().all(|(n, word)| self.nth_is(n, word))
    }

    /// Takes these words and signs if all of them come next.
    pub fn eat(&mut self, words: &str) -> bool {
        let yes = self.is(words);
        if yes {
            self.skip(words.split(' ').count());
        }
        yes
    }

    /// Leaves tokens out.
    pub fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    /// Takes one token of any kind.
    pub fn take(&mut self) -> Option<&'t Token> {
        let first = self.tokens.first();
        self.skip(1);
        first
    }

    /// Takes a name, folded as the dialect does.
    pub fn name(&mut self) -> Option<String> {
        let token = self.tokens.first()?;
        let name = match &token.kind {
            Kind::Quoted(name) => name.clone(),
            Kind::Word if self.dialect == Dialect::Postgres => self.nth_text(0)?.to_lowercase(),
            Kind::Word => self.nth_text(0)?.to_owned(),
            // SQLite takes a string where a name must stand.
            Kind::Text(name) if self.dialect == Dialect::Sqlite => name.clone(),
            _ => return None,
        };
        self.skip(1);
        Some(name)
    }

    /// Takes a name that may be qualified: the qualifier and the name.
    pub fn path(&mut self) -> Option<(Option<String>, String)> {
        let first = self.name()?;
        if self.eat(".") { Some((Some(first), self.name()?)) } else { Some((None, first)) }
    }

    /// Takes a string literal.
    pub fn string(&mut self) -> Option<String> {
        let Kind::Text(value) = &self.tokens.first()?.kind else { return None };
        self.skip(1);
        Some(value.clone())
    }

    /// Takes a bare word or a number as it stands.
    pub fn word(&mut self) -> Option<&'t str> {
        let token = self.tokens.first()?;
        let text = self.nth_text(0).filter(|_| matches!(token.kind, Kind::Word | Kind::Number))?;
        self.skip(1);
        Some(text)
    }

    /// Takes a whole number with its sign.
    pub fn number(&mut self) -> Option<i64> {
        let minus = self.eat("-");
        let text = self.nth_text(0)?;
        let number: i64 = if minus { format!("-{text}").parse() } else { text.parse() }.ok()?;
        self.skip(1);
        Some(number)
    }

    /// How many tokens there are up to the one that closes the parenthesis which opens here, itself included.
    fn group_length(&self) -> Option<usize> {
        let mut depth = 0_usize;
        for n in 0..self.tokens.len() {
            if self.nth_is(n, "(") {
                depth += 1;
            } else if self.nth_is(n, ")") {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(n + 1);
                }
            } else if depth == 0 {
                return None;
            }
        }
        None
    }

    /// Takes what stands in parentheses, without them.
    pub fn group(&mut self) -> Option<Cursor<'t>> {
        let length = self.group_length()?;
        let inside = self.part(1, length - 1);
        self.skip(length);
        Some(inside)
    }

    /// All that is left, divided by commas.
    pub fn parts(self) -> Vec<Cursor<'t>> {
        let mut found = Vec::new();
        let (mut depth, mut start) = (0_usize, 0);
        for n in 0..self.tokens.len() {
            if self.nth_is(n, "(") || self.nth_is(n, "[") {
                depth += 1;
            } else if self.nth_is(n, ")") || self.nth_is(n, "]") {
                depth = depth.saturating_sub(1);
            } else if depth == 0 && self.nth_is(n, ",") {
                found.push(self.part(start, n));
                start = n + 1;
            }
        }
        found.push(self.part(start, self.tokens.len()));
        found
    }

    /// Names in parentheses; `None` when something else stands there.
    pub fn names(&mut self) -> Option<Vec<String>> {
        let before = *self;
        let names = self.group().and_then(|inside| {
            inside.parts().into_iter().map(|mut part| part.name().filter(|_| part.is_done())).collect::<Option<Vec<String>>>()
        });
        if names.is_none() {
            *self = before;
        }
        names
    }

    /// Takes tokens up to one, outside of parentheses, at which `stop` says so, or all.
    pub fn until(&mut self, stop: impl Fn(&Cursor<'t>) -> bool) -> Cursor<'t> {
        let all = *self;
        let mut taken = 0;
        while !self.is_done() && !stop(self) {
            let length = self.group_length().unwrap_or(1);
            taken += length;
            self.skip(length);
        }
        all.part(0, taken)
    }
}

/// Whether a name stands in a text as a word of its own, whatever the text says with it.
pub fn names_word(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_each_dialect_are_told_apart() {
        let count = |text: &str, dialect: Dialect| {
            let tokens = tokens(text, dialect);
            Cursor::new(text, &tokens, dialect).statements().iter().map(|statement| statement.text().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            count("\\restrict x\nselect ';' /* ; /* */ */;\n-- ;\nselect $a$;$a$;", Dialect::Postgres),
            ["\\restrict x", "select ';'", "select $a$;$a$"]
        );
        assert_eq!(
            count(
                "/*!50001 CREATE VIEW v AS select 1 */;\nDELIMITER ;;\ncreate x; y;;\nDELIMITER ;\n/*M!999999\\- x */\n",
                Dialect::Mariadb
            ),
            ["CREATE VIEW v AS select 1", "create x; y"]
        );
        assert_eq!(count("create table \"a;b\" ([c;d] int);", Dialect::Sqlite), ["create table \"a;b\" ([c;d] int)"]);
    }

    #[test]
    fn a_cursor_takes_a_definition_apart() {
        let text = "CREATE TABLE `a``b` (x int DEFAULT (1 + 2), `y` text COMMENT 'it\\'s')";
        let tokens = tokens(text, Dialect::Mysql);
        let mut cursor = Cursor::new(text, &tokens, Dialect::Mysql);
        assert!(cursor.eat("create table"));
        assert_eq!(cursor.name().as_deref(), Some("a`b"));
        let parts = cursor.group().map(Cursor::parts).unwrap_or_default();
        assert_eq!(parts.len(), 2);
        let mut first = parts[0];
        assert_eq!(first.name().as_deref(), Some("x"));
        assert_eq!(first.until(|c| c.is("default")).text(), "int");
        assert!(first.eat("default"));
        assert_eq!(first.group().map(|inside| inside.text()), Some("1 + 2"));
        let mut second = parts[1];
        second.skip(3);
        assert_eq!(second.string().as_deref(), Some("it's"));
    }
}
