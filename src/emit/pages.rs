//! Pages for people: HTML, Markdown and pictures from the templates below `templates/report`.
//!
//! Whatever a page shows comes from somebody's schema, so each value is escaped unless its template calls it safe: as XML in
//! HTML and SVG, and as text without meaning in Markdown.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, State, UndefinedBehavior};
use serde::Serialize;

use super::{EmitError, Rendered};

/// Name and text of every page. The end of a name says how values are escaped.
const PAGES: &[(&str, &str)] = &[
    ("graph.svg", include_str!("../../templates/report/graph.svg")),
    ("page.html", include_str!("../../templates/report/page.html")),
    ("page.css", include_str!("../../templates/report/page.css")),
    ("page.md", include_str!("../../templates/report/page.md")),
];

const XML: &str = "xml";
const MARKDOWN: &str = "markdown";

/// Fills in a page.
///
/// # Errors
/// When the template and its context don't fit: a fault of crossfade, never of its input.
pub fn page(name: &str, context: &impl Serialize) -> Rendered {
    let fault = |error: minijinja::Error| EmitError { template: name.to_owned(), why: format!("{error:#}") };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    environment.set_syntax(syntax.build().map_err(fault)?);
    environment.set_auto_escape_callback(|name| match name.rsplit_once('.') {
        Some((_, "html" | "svg")) => AutoEscape::Custom(XML.into()),
        Some((_, "md")) => AutoEscape::Custom(MARKDOWN.into()),
        _ => AutoEscape::None,
    });
    environment.set_formatter(|out, state, value| {
        let text = value.to_string();
        let text = match state.auto_escape() {
            AutoEscape::Custom(how) if !value.is_safe() => {
                if how == XML {
                    xml(&text)
                } else {
                    markdown(&text)
                }
            }
            _ => text,
        };
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    environment.add_filter("words", |state: &State, text: &str| words(text, in_html(state)));
    environment.add_filter("code", |state: &State, text: &str| code(text, in_html(state)));
    environment.add_filter("prose", |text: &str| Value::from_safe_string(prose(text)));
    environment.add_filter("fenced", |text: &str, language: &str| Value::from_safe_string(fenced(text, language)));
    for (name, text) in PAGES {
        environment.add_template(name, text).map_err(fault)?;
    }
    environment.get_template(name).and_then(|template| template.render(Serde(context))).map_err(fault)
}

fn in_html(state: &State) -> bool {
    matches!(state.auto_escape(), AutoEscape::Custom(how) if how == XML)
}

/// Text as XML and HTML have it, in attributes too. What XML has no way to say, and what would turn the order of the letters
/// around, becomes a sign that something was there.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(plain(c)),
        }
    }
    out
}

fn plain(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\r' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// Text that Markdown takes for nothing but text, on one line.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '|' | '~' | '#' | '&' | '!' | '$' | '@' => out.extend(['\\', c]),
            c => out.push(plain(c)),
        }
    }
    out
}

/// Text as code within a line.
fn code(text: &str, html: bool) -> Value {
    Value::from_safe_string(if html {
        format!("<code>{}</code>", xml(text))
    } else {
        let text: String = text.chars().map(|c| if c == '\n' { ' ' } else { plain(c) }).collect();
        let quote = "`".repeat(longest_run(&text, '`') + 1);
        let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
        // A bar would end the cell of a table, in code too.
        format!("{quote}{pad}{}{pad}{quote}", text.replace('|', "\\|"))
    })
}

/// A sentence in which `code` stands between backticks.
fn words(text: &str, html: bool) -> Value {
    let escape = |text: &str| if html { xml(text) } else { markdown(text) };
    let parts: Vec<&str> = text.split('`').collect();
    let last = parts.len() - 1;
    let mut out = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        match at % 2 {
            0 => out.push_str(&escape(part)),
            // A quote that nothing closes is one.
            _ if at == last => out.push_str(&escape(&["`", part].concat())),
            _ if part.is_empty() => out.push_str(&escape("``")),
            _ => out.push_str(&code(part, html).to_string()),
        }
    }
    Value::from_safe_string(out)
}

/// The Markdown of a page of `crossfade explain` as HTML: paragraphs, lists and examples.
fn prose(text: &str) -> String {
    let mut out = String::new();
    let mut open: Option<&str> = None;
    let mut example: Option<String> = None;
    let close = |out: &mut String, open: &mut Option<&str>| {
        if let Some(tag) = open.take() {
            out.push_str(if tag == "li" { "</li></ul>\n" } else { "</p>\n" });
        }
    };
    for line in text.lines() {
        match (&mut example, line.starts_with("```")) {
            (Some(lines), true) => {
                out.push_str(&format!("<pre>{}</pre>\n", xml(lines.trim_end())));
                example = None;
            }
            (Some(lines), false) => lines.extend([line, "\n"]),
            (None, true) => {
                close(&mut out, &mut open);
                example = Some(String::new());
            }
            (None, false) => match (line.strip_prefix("- "), open) {
                _ if line.trim().is_empty() => close(&mut out, &mut open),
                (Some(item), Some("li")) => out.push_str(&format!("</li>\n<li>{}", words(item, true))),
                (Some(item), _) => {
                    close(&mut out, &mut open);
                    out.push_str(&format!("<ul><li>{}", words(item, true)));
                    open = Some("li");
                }
                (None, Some(_)) => out.push_str(&format!(" {}", words(line.trim(), true))),
                (None, None) => {
                    out.push_str(&format!("<p>{}", words(line, true)));
                    open = Some("p");
                }
            },
        }
    }
    close(&mut out, &mut open);
    out
}

/// A block of code in Markdown, in a fence that its text can't end.
fn fenced(text: &str, language: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    let text: String = text.chars().map(plain).collect();
    format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n'))
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_no_harm() {
        assert_eq!(xml("<a href='x'>\"&\u{0}\u{202e}"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}\u{fffd}");
        assert_eq!(markdown("<b>|a_b|\n`c`"), "\\<b>\\|a\\_b\\| \\`c\\`");
        assert_eq!(code("a``b|<i>", false).to_string(), "```a``b\\|<i>```");
        assert_eq!(code("`", false).to_string(), "`` ` ``");
        assert_eq!(words("say `select *` <b>", true).to_string(), "say <code>select *</code> &lt;b&gt;");
        assert_eq!(words("a ` b", true).to_string(), "a ` b");
        assert_eq!(words("x_y `` `a_b`", false).to_string(), "x\\_y \\`\\` `a_b`");
        assert_eq!(fenced("select '```';\n", "sql"), "````sql\nselect '```';\n````");
    }

    #[test]
    fn explanations_become_html() {
        let text = "One `a` line\nand <more>.\n\n- item\n  goes on\n- next\n\n```sql\nselect 1 < 2;\n```\n";
        let expected = "<p>One <code>a</code> line and &lt;more&gt;.</p>\n<ul><li>item goes on</li>\n<li>next</li></ul>\n<pre>select 1 &lt; 2;</pre>\n";
        assert_eq!(prose(text), expected);
    }
}
