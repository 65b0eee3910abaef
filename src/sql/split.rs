//! Splits a script into its statements, as the database's own client would send them one by one.

use super::Dialect;

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text without the semicolon, with the comments that stand before it.
    pub text: String,
    /// The line of the script (from 1) on which its first word stands.
    pub line: usize,
    /// It opens or closes a transaction, or neither.
    pub bracket: Bracket,
}

/// What a statement does to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    /// It opens one.
    Opens,
    /// It closes one.
    Closes,
    /// It leaves it as it is.
    Neither,
}

/// The statements of a script in order. Text after the last semicolon is a statement too, unless it is only comments.
pub fn split_as(dialect: Dialect, script: &str) -> Vec<Statement> {
    match dialect {
        Dialect::Postgres => split(script),
        Dialect::Mysql | Dialect::Mariadb => split_mysql(script),
        Dialect::Sqlite => split_sqlite(script),
    }
}

/// As `psql` does.
pub fn split(script: &str) -> Vec<Statement> {
    let bytes = script.as_bytes();
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut first_word = None;
    while at < bytes.len() {
        let next = skip(script, at);
        match bytes[at] {
            b';' => {
                push(&mut statements, script, start, at, first_word.take());
                start = at + 1;
            }
            b'-' | b'/' if next > at + 1 => {}
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                first_word.get_or_insert(at);
            }
        }
        at = next;
    }
    push(&mut statements, script, start, bytes.len(), first_word);
    statements
}

/// As `mysql` and `mariadb` do, which know the command `delimiter`: from then on another text ends a statement.
fn split_mysql(script: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut delimiter = ";".to_owned();
    let mut first_word = None;
    // The comments before the command belong to the statement behind it.
    let mut comments = String::new();
    while at < script.len() {
        let rest = &script[at..];
        let line = rest.lines().next().unwrap_or_default();
        if first_word.is_none() && line.get(..10).is_some_and(|word| word.eq_ignore_ascii_case("delimiter ")) {
            line[10..].trim().clone_into(&mut delimiter);
            comments.push_str(script[start..at].trim_start());
            at += line.len();
            start = at;
        } else if rest.starts_with(&delimiter) {
            let before = statements.len();
            push(&mut statements, script, start, at, first_word.take());
            if let Some(statement) = statements.get_mut(before) {
                statement.text.insert_str(0, &std::mem::take(&mut comments));
            }
            at += delimiter.len();
            start = at;
        } else {
            let next = skip_mysql(script, at);
            let comment = next > at + 1 && (rest.starts_with("--") || rest.starts_with('#') || rest.starts_with("/*"));
            if !comment && !rest.starts_with(char::is_whitespace) {
                first_word.get_or_insert(at);
            }
            at = next;
        }
    }
    push(&mut statements, script, start, script.len(), first_word);
    statements
}

/// The end of the comment, the quoted text or the single character at `at`, as MySQL and MariaDB read.
pub fn skip_mysql(script: &str, at: usize) -> usize {
    let rest = &script[at..];
    let end = |offset: Option<usize>| at + offset.unwrap_or(rest.len());
    let line_comment = rest.strip_prefix("--").is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace));
    if line_comment || rest.starts_with('#') {
        return end(rest.find('\n'));
    }
    match rest.as_bytes()[0] {
        b'/' if rest.starts_with("/*") => end(rest.find("*/").map(|offset| offset + 2)),
        b'\'' => end(closing(rest, 1, '\'', true)),
        b'"' => end(closing(rest, 1, '"', true)),
        b'`' => end(closing(rest, 1, '`', false)),
        _ => at + next_boundary(rest, 0),
    }
}

/// As `sqlite3` does: within `create trigger` a semicolon ends a statement only behind `; end`.
fn split_sqlite(script: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let (mut start, mut at) = (0, 0);
    let mut first_word = None;
    // The words of the statement so far, with its semicolons.
    let mut words: Vec<String> = Vec::new();
    while at < script.len() {
        let rest = &script[at..];
        let line = rest.lines().next().unwrap_or_default();
        if first_word.is_none() && rest.starts_with('.') {
            // A command to the shell itself.
            at += line.len();
            start = at;
        } else if rest.starts_with(';') {
            let head: Vec<&str> = words.iter().map(String::as_str).filter(|word| !["temp", "temporary"].contains(word)).take(2).collect();
            let ended = words.len() > 1 && words[words.len() - 2..] == [";", "end"];
            at += 1;
            if head == ["create", "trigger"] && !ended {
                words.push(";".to_owned());
            } else {
                push(&mut statements, script, start, at - 1, first_word.take());
                words.clear();
                start = at;
            }
        } else if rest.starts_with("--") {
            at += line.len();
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |offset| offset + 2);
        } else if rest.starts_with(char::is_whitespace) {
            at += next_boundary(rest, 0);
        } else {
            first_word.get_or_insert(at);
            let length = match rest.as_bytes()[0] {
                b'\'' => closing(rest, 1, '\'', false),
                b'"' => closing(rest, 1, '"', false),
                b'`' => closing(rest, 1, '`', false),
                b'[' => rest.find(']').map(|offset| offset + 1),
                _ => Some(
                    rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
                        .unwrap_or(rest.len())
                        .max(next_boundary(rest, 0)),
                ),
            };
            let length = length.unwrap_or(rest.len());
            words.push(rest[..length].to_lowercase());
            at += length;
        }
    }
    push(&mut statements, script, start, script.len(), first_word);
    statements
}

fn push(statements: &mut Vec<Statement>, script: &str, start: usize, end: usize, first_word: Option<usize>) {
    let Some(first_word) = first_word else { return };
    let words: Vec<String> = script[first_word..end].split_whitespace().take(2).map(str::to_lowercase).collect();
    let bracket = match words[0].as_str() {
        // A compound statement of MariaDB opens nothing.
        "begin" if words.get(1).is_none_or(|word| word != "not") => Bracket::Opens,
        "start" if words.get(1).is_some_and(|word| word == "transaction") => Bracket::Opens,
        "commit" | "end" | "rollback" | "abort" if words.get(1).is_none_or(|word| word != "to") => Bracket::Closes,
        _ => Bracket::Neither,
    };
    let line = script[..first_word].matches('\n').count() + 1;
    statements.push(Statement { text: script[start..end].trim().to_owned(), line, bracket });
}

/// The end of the comment, the quoted text or the single character at `at`.
fn skip(script: &str, at: usize) -> usize {
    let rest = &script[at..];
    let bytes = rest.as_bytes();
    let end = |offset: Option<usize>| at + offset.unwrap_or(rest.len());
    if rest.starts_with("--") {
        return end(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        let (mut depth, mut offset) = (0_usize, 0);
        while offset < bytes.len() {
            if rest[offset..].starts_with("/*") {
                depth += 1;
                offset += 2;
            } else if rest[offset..].starts_with("*/") {
                depth -= 1;
                offset += 2;
                if depth == 0 {
                    return at + offset;
                }
            } else {
                offset += next_boundary(rest, offset);
            }
        }
        return at + bytes.len();
    }
    let follows_word = script[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_' || before == '$');
    match bytes[0] {
        b'\'' => end(closing(rest, 1, '\'', false)),
        b'"' => end(closing(rest, 1, '"', false)),
        b'e' | b'E' if !follows_word && bytes.get(1) == Some(&b'\'') => end(closing(rest, 2, '\'', true)),
        b'$' if !follows_word => {
            let tag_length = rest[1..].find(|character: char| !(character.is_alphanumeric() || character == '_'));
            match tag_length {
                Some(length) if rest[1 + length..].starts_with('$') && !rest[1..].starts_with(|first: char| first.is_ascii_digit()) => {
                    let tag = &rest[..length + 2];
                    end(rest[tag.len()..].find(tag).map(|offset| offset + 2 * tag.len()))
                }
                _ => at + 1,
            }
        }
        _ => at + next_boundary(rest, 0),
    }
}

/// The offset after the closing quote; a doubled quote (and with backslashes, an escaped one) does not close.
pub(super) fn closing(text: &str, from: usize, quote: char, backslashes: bool) -> Option<usize> {
    let mut characters = text[from..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        if backslashes && character == '\\' {
            characters.next();
        } else if character == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Some(from + offset + 1);
            }
        }
    }
    None
}

fn next_boundary(text: &str, offset: usize) -> usize {
    text[offset..].chars().next().map_or(1, char::len_utf8)
}
