//! Splits a PostgreSQL script into its statements, as `psql` would send them one by one.

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bracket {
    Opens,
    Closes,
    Neither,
}

/// The statements of a script in order. Text after the last semicolon is a statement too, unless it is only comments.
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

fn push(statements: &mut Vec<Statement>, script: &str, start: usize, end: usize, first_word: Option<usize>) {
    let Some(first_word) = first_word else { return };
    let words: Vec<String> = script[first_word..end].split_whitespace().take(2).map(str::to_lowercase).collect();
    let bracket = match words[0].as_str() {
        "begin" => Bracket::Opens,
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
fn closing(text: &str, from: usize, quote: char, backslashes: bool) -> Option<usize> {
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
