//! SQL in colours: the tokens of a script as HTML.

use crate::emit::pages::xml;
use crate::sql::Dialect;
use crate::sql::quote::is_reserved;
use crate::sql::tokens::{Kind, Token, tokens};

/// Words of statements that are not reserved everywhere.
const WORDS: [&str; 66] = [
    "add",
    "after",
    "alter",
    "begin",
    "before",
    "by",
    "call",
    "column",
    "commit",
    "concurrently",
    "constraint",
    "create",
    "declare",
    "default",
    "delete",
    "do",
    "drop",
    "each",
    "else",
    "elsif",
    "end",
    "execute",
    "exists",
    "for",
    "from",
    "function",
    "grant",
    "if",
    "immediate",
    "index",
    "insert",
    "instead",
    "into",
    "invisible",
    "key",
    "language",
    "loop",
    "modify",
    "not",
    "of",
    "on",
    "pragma",
    "primary",
    "procedure",
    "raise",
    "references",
    "rename",
    "replace",
    "return",
    "returns",
    "revoke",
    "rollback",
    "row",
    "schema",
    "select",
    "set",
    "table",
    "then",
    "to",
    "trigger",
    "unique",
    "update",
    "using",
    "view",
    "when",
    "where",
];

/// A script as HTML: comments, texts, numbers and words of the language in spans of a class each.
pub(super) fn html(text: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for Token { kind, range } in tokens(text, dialect) {
        between(&mut out, text.get(at..range.start).unwrap_or_default());
        let token = text.get(range.clone()).unwrap_or_default();
        match kind {
            // The body of a function is SQL again.
            Kind::Text(body) if token.starts_with('$') => match token.split_once(&body).filter(|_| !body.is_empty()) {
                Some((tag, end)) => {
                    span(&mut out, "s", tag);
                    out.push_str(&html(&body, dialect));
                    span(&mut out, "s", end);
                }
                None => span(&mut out, "s", token),
            },
            Kind::Text(_) => span(&mut out, "s", token),
            Kind::Number => span(&mut out, "n", token),
            Kind::Command => span(&mut out, "c", token),
            Kind::Word if WORDS.contains(&token.to_ascii_lowercase().as_str()) || is_reserved(token, dialect) => span(&mut out, "k", token),
            Kind::Word | Kind::Quoted(_) | Kind::Sign | Kind::End => out.push_str(&xml(token)),
        }
        at = range.end;
    }
    between(&mut out, text.get(at..).unwrap_or_default());
    out
}

/// White space and comments, which are no tokens.
fn between(out: &mut String, text: &str) {
    let comment = text.trim();
    if comment.is_empty() {
        out.push_str(&xml(text));
        return;
    }
    let begin = text.len() - text.trim_start().len();
    out.push_str(&xml(text.get(..begin).unwrap_or_default()));
    span(out, "c", comment);
    out.push_str(&xml(text.get(begin + comment.len()..).unwrap_or_default()));
}

fn span(out: &mut String, class: &str, text: &str) {
    out.push_str("<span class=\"");
    out.push_str(class);
    out.push_str("\">");
    out.push_str(&xml(text));
    out.push_str("</span>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_nothing_gets_out() {
        let text = "-- why </pre>\nselect 'it''s <b>', 1 from \"a<b\"; do $x$ begin return '</script>'; end $x$; /* & */\n";
        let shown = html(text, Dialect::Postgres);
        let plain: String = shown.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
        let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
        assert_eq!(plain, text);
        assert!(
            shown.starts_with("<span class=\"c\">-- why &lt;/pre&gt;</span>\n<span class=\"k\">select</span> <span class=\"s\">"),
            "{shown}"
        );
        assert!(shown.contains("<span class=\"k\">return</span> <span class=\"s\">&#39;&lt;/script&gt;&#39;</span>"), "{shown}");
    }
}
