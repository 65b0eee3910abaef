//! Calling the parser: bounds on its input, and positions as byte offsets.

use std::ops::Range;

use sqlparser::ast::{Expr, Ident, Query, SetExpr};
use sqlparser::dialect::{Dialect as ParserDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::Dialect;
use super::expression::SyntaxError;

/// The longest text that is read, in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// How deep parentheses, brackets and CASE may nest. The parser tries several readings of some parentheses, so that its time
/// doubles with each level; real expressions stay far below.
const MAX_NESTING: usize = 48;
/// How many operators one text may have: each adds a level to the tree that is walked and dropped recursively.
const MAX_OPERATORS: usize = 2_000;
/// The parser's own limit on its recursion.
const RECURSION: usize = 200;

/// A text with what it takes to turn the parser's lines and columns into byte offsets.
pub(super) struct Source<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Source { text, line_starts: std::iter::once(0).chain(starts).collect() }
    }

    /// The byte offset of a place; columns count characters. The end of the text for a place beyond it.
    pub(super) fn offset(&self, place: Location) -> usize {
        let number = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(&start) = self.line_starts.get(number(place.line)) else { return self.text.len() };
        if self.text.is_ascii() {
            return start.saturating_add(number(place.column)).min(self.text.len());
        }
        let Some(rest) = self.text.get(start..) else { return self.text.len() };
        rest.char_indices().nth(number(place.column)).map_or(self.text.len(), |(at, _)| start + at)
    }

    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }
}

fn parser_dialect(dialect: Dialect) -> &'static dyn ParserDialect {
    match dialect {
        Dialect::Postgres => &PostgreSqlDialect {},
        Dialect::Mysql | Dialect::Mariadb => &MySqlDialect {},
        Dialect::Sqlite => &SQLiteDialect {},
    }
}

/// The tokens of a text within bounds.
fn tokens(text: &str, dialect: Dialect) -> Result<Vec<TokenWithSpan>, SyntaxError> {
    if text.len() > MAX_BYTES {
        return Err(SyntaxError { message: format!("longer than {MAX_BYTES} bytes"), offset: MAX_BYTES });
    }
    let source = Source::new(text);
    let tokens = Tokenizer::new(parser_dialect(dialect), text)
        .tokenize_with_location()
        .map_err(|error| SyntaxError { message: error.message, offset: source.offset(error.location) })?;
    let (mut nesting, mut operators) = (0_usize, 0_usize);
    for token in &tokens {
        match &token.token {
            // Silently another meaning than on the other dialects, and another one yet under another sql_mode.
            Token::StringConcat if matches!(dialect, Dialect::Mysql | Dialect::Mariadb) => {
                let message = "`||` joins no texts here, it means OR: write `concat(a, b)`, or `or`".to_owned();
                return Err(SyntaxError { message, offset: source.offset(token.span.start) });
            }
            Token::LParen | Token::LBracket | Token::LBrace => nesting += 1,
            Token::RParen | Token::RBracket | Token::RBrace => nesting = nesting.saturating_sub(1),
            Token::Word(word) if word.quote_style.is_none() => match word.value.to_ascii_lowercase().as_str() {
                "case" => nesting += 1,
                "end" => nesting = nesting.saturating_sub(1),
                "and" | "or" | "xor" | "not" | "is" | "in" | "like" | "ilike" | "between" | "union" | "except" | "intersect"
                | "collate" | "join" | "at" | "div" | "mod" | "binary" | "isnull" | "notnull" => operators += 1,
                _ => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Whitespace(_)
            | Token::Comma
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => operators += 1,
        }
        if nesting > MAX_NESTING {
            let message = format!("nested more than {MAX_NESTING} levels deep");
            return Err(SyntaxError { message, offset: source.offset(token.span.start) });
        }
        if operators > MAX_OPERATORS {
            let message = format!("more than {MAX_OPERATORS} operators");
            return Err(SyntaxError { message, offset: source.offset(token.span.start) });
        }
    }
    Ok(tokens)
}

/// SQLite's `a is b` and `a is not b` compare any two values, which the parser does not know: `is` becomes its other null-safe
/// operator, `<=>`. The tree of `a is not b` then says `a <=> (not b)`: no other text has it, and it has the same names. So it is with
/// `a not glob b` and `a not match b`, which are read as `a glob (not b)`.
fn with_sqlite_operators(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let keyword = |token: &Token, words: &[&str]| match token {
        Token::Word(word) => word.quote_style.is_none() && words.iter().any(|known| word.value.eq_ignore_ascii_case(known)),
        _ => false,
    };
    for at in 0..tokens.len() {
        if tokens.get(at).is_some_and(|token| keyword(&token.token, &["not"])) {
            let behind = tokens.iter().skip(at + 1).position(|token| !matches!(token.token, Token::Whitespace(_))).map(|gap| at + 1 + gap);
            if let Some(other) = behind.filter(|other| tokens.get(*other).is_some_and(|token| keyword(&token.token, &["glob", "match"]))) {
                tokens.swap(at, other);
            }
            continue;
        }
        if !tokens.get(at).is_some_and(|token| keyword(&token.token, &["is"])) {
            continue;
        }
        let mut next =
            tokens.iter().skip(at + 1).map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_))).peekable();
        next.next_if(|token| keyword(token, &["not"]));
        let known = next.next().is_none_or(|token| keyword(token, &["null", "true", "false", "distinct"]));
        if let (false, Some(token)) = (known, tokens.get_mut(at)) {
            token.token = Token::Spaceship;
        }
    }
    tokens
}

fn parse<T>(
    text: &str,
    dialect: Dialect,
    what: &str,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, SyntaxError> {
    let tokens = tokens(text, dialect)?;
    let source = Source::new(text);
    if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
        return Err(SyntaxError { message: format!("there is no {what} here"), offset: 0 });
    }
    let tokens = if dialect == Dialect::Sqlite { with_sqlite_operators(tokens) } else { tokens };
    let mut parser = Parser::new(parser_dialect(dialect)).with_recursion_limit(RECURSION).with_tokens_with_locations(tokens);
    let tree = read(&mut parser).map_err(|error| syntax_error(&error, &source))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(tree),
        token => Err(SyntaxError { message: format!("the {what} ends before `{token}`"), offset: source.offset(next.span.start) }),
    }
}

/// An expression and nothing after it.
pub(super) fn expression(text: &str, dialect: Dialect) -> Result<Expr, SyntaxError> {
    parse(text, dialect, "expression", |parser| parser.parse_expr())
}

/// A query and nothing after it.
pub(super) fn query(text: &str, dialect: Dialect) -> Result<Query, SyntaxError> {
    let tree = parse(text, dialect, "query", |parser| parser.parse_query().map(|query| *query))?;
    match tree.body.as_ref() {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) | SetExpr::Table(_) => Ok(tree),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(SyntaxError { message: "a statement that writes is no query".to_owned(), offset: 0 })
        }
    }
}

/// The parser's message ends in its place, as text: ` at Line: 1, Column: 5`.
fn syntax_error(error: &ParserError, source: &Source<'_>) -> SyntaxError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => return SyntaxError { message: "nested too deeply".to_owned(), offset: 0 },
    };
    let Some((head, place)) = message.rsplit_once(" at Line: ") else {
        return SyntaxError { message: message.to_owned(), offset: source.text.len() };
    };
    let mut numbers = place.split(", Column: ").map(|number| number.trim().parse().ok());
    let offset = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(line), Some(column)) => source.offset(Location { line, column }),
        _ => source.text.len(),
    };
    SyntaxError { message: head.to_owned(), offset }
}

/// A name as it is stored when it is written so: a quoted name stands as it is, any other in lower case (MySQL, MariaDB and
/// SQLite keep the case and then compare without it, see [`same_name`]).
pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Whether two names mean the same object.
pub(super) fn same_name(a: &str, b: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => a == b,
        Dialect::Mysql | Dialect::Mariadb | Dialect::Sqlite => a.to_lowercase() == b.to_lowercase(),
    }
}
