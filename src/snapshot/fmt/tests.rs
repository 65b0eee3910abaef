use proptest::prelude::*;

use super::*;

fn check(input: &str, expect: &str) {
    let once = format(input);
    assert_eq!(once, expect, "\n--- got\n{once}\n--- expected\n{expect}");
    assert_eq!(format(&once), once, "a second time changes nothing");
}

#[test]
fn the_whole_form() {
    check(
        r#"# yaml-language-server: $schema=x
# Our schema

tables:
    # people
    users:
        columns:   # in order
            id:   bigint
            name: {type: text,   # comment in a list
              not_null: true,
            }
            bio:
                # what it is
                default: "''"
                type: text   # last
        # the key
        primary_key: [id]


        comment: People   
        indexes:
        -   columns: [name]
            # named
            name: a
        - {name: b, columns: [id]}
        # no more
    # end of tables
views:
  v: {query: select 1}
transition:
    tables: {}
    from: ocata
    # a renaming
release: pike
# the version
version: pike
# the end


"#,
        r#"# yaml-language-server: $schema=x
# Our schema

# the version
version: pike
release: pike

tables:
  # people
  users:
    comment: People
    columns:   # in order
      id: bigint
      name: {type: text,   # comment in a list
        not_null: true,
      }
      bio:
        type: text   # last
        # what it is
        default: "''"
    # the key
    primary_key: [id]
    indexes:
      - columns: [name]
        # named
        name: a
      - {name: b, columns: [id]}
      # no more
  # end of tables

views:
  v: {query: select 1}

transition:
  from: ocata
  tables: {}
  # a renaming
# the end
"#,
    );
}

#[test]
fn comments_below_an_empty_value_stay_there() {
    check("tables:\n  users:\n      # nothing yet\n\n  posts: {}\n", "tables:\n  users:\n    # nothing yet\n\n  posts: {}\n");
    check("a:\n- x\n    # about x\n- y\n# about b\nb: 1\n", "a:\n  - x\n    # about x\n  - y\n# about b\nb: 1\n");
}

#[test]
fn long_texts_are_moved_as_a_whole() {
    check(
        "views:\n    v:\n        materialized: false\n        query: |  # SQL\n            select 1,\n\n               2   \n        comment: \"a\n          b  \n\n          c\"\n",
        "views:\n  v:\n    query: |  # SQL\n        select 1,\n\n           2   \n    comment: \"a\n      b  \n\n      c\"\n    materialized: false\n",
    );
    check(
        "views:\n  v:\n    query: >-\n          select 1\n          from a\n    comment: one\n       two\n",
        "views:\n  v:\n    query: >-\n          select 1\n          from a\n    comment: one\n       two\n",
    );
    check("version: |2\n   a\nrelease:   x\n", "version: |2\n   a\nrelease: x\n");
    check("a: |+\n  x\n\n\nb:   1\n", "a: |+\n  x\n\n\nb: 1\n");
}

#[test]
fn what_is_not_understood_stays_and_the_rest_is_formatted() {
    check("a:  &x\n   k:   1\n   l: 2\nb:   *x\nversion: p\n", "a: &x\n   k:   1\n   l: 2\nb: *x\nversion: p\n");
    check("tables:\n   t:\n      ? a\n      : b\nviews:   {}\n", "tables:\n  t:\n     ? a\n     : b\n\nviews: {}\n");
    check("a:\n  -   - x\n      - y\n  -\n    k:   1\n  -   z\n", "a:\n  -   - x\n      - y\n  -\n    k:   1\n  - z\n");
    // A key that the format doesn't know: the order is left alone.
    check("views: {}\ntabels: {}\nversion:  p\n", "views: {}\ntabels: {}\nversion: p\n");
}

#[test]
fn what_is_no_map_stays() {
    for text in
        ["", "# only a comment\n\n\n", "- a\n-   b\n", "{a:   1}\n", "a: [\n", "a: 1\n---\na: 2\n", "a: 1\n\tb: 2\n", "a: 1\rb:  2\n"]
    {
        assert_eq!(format(text), text);
    }
}

#[test]
fn line_breaks_and_marks_of_windows_are_kept() {
    check("\u{feff}version:  a\r\ntables: {}\r\n", "\u{feff}version: a\r\n\r\ntables: {}\r\n");
    check("--- \nversion:  a", "---\nversion: a\n");
}

/// A value with a random layout.
#[derive(Debug, Clone)]
enum Random {
    /// Lines of a scalar or flow value: the first goes beside the key, the others below it, deeper.
    Text(Vec<&'static str>),
    /// Its distance from the left, and its keys.
    Map(usize, Vec<(Above, &'static str, usize, Random)>),
    List(usize, Vec<(Above, usize, Random)>),
}

/// Comments and blank lines above an entry: each a column and whether it is a comment.
type Above = Vec<(usize, bool)>;

const KEYS: [&str; 18] = [
    "version",
    "release",
    "tables",
    "views",
    "users",
    "columns",
    "comment",
    "type",
    "not_null",
    "query",
    "indexes",
    "name",
    "where",
    "'quoted: key'",
    "transition",
    "from",
    "x y",
    "primary_key",
];

fn above() -> impl Strategy<Value = Above> {
    prop::collection::vec((0usize..9, any::<bool>()), 0..3)
}

fn map(inner: impl Strategy<Value = Random>) -> impl Strategy<Value = Random> {
    let entry = (above(), prop::sample::select(KEYS.to_vec()), 0usize..3, inner);
    (1usize..5, prop::collection::vec(entry, 1..5)).prop_map(|(width, mut entries)| {
        let mut seen = std::collections::BTreeSet::new();
        entries.retain(|entry| seen.insert(entry.1));
        Random::Map(width, entries)
    })
}

fn random() -> impl Strategy<Value = Random> {
    let text = prop::sample::select(vec![
        vec![""],
        vec!["bigint"],
        vec!["bigint   # beside"],
        vec!["\"a: 'b' # c\""],
        vec!["'it''s'"],
        vec!["[a, b]  "],
        vec!["{a: b, # inside", "  c: [d,   ", "e],", "", "}"],
        vec!["one", "two", "  three"],
        vec!["\"one  ", "", " two\"  # after"],
        vec!["|", "select 1", "", "  from a  # no comment", "where b  "],
        vec![">-  # folded", "  select 1", "  from a"],
        vec!["|2", "   indented"],
        vec!["# empty"],
    ]);
    let inner = text.prop_map(Random::Text).prop_recursive(5, 40, 5, |inner| {
        let items = (0usize..4, prop::collection::vec((above(), 0usize..4, inner.clone()), 1..4));
        prop_oneof![map(inner), items.prop_map(|(width, items)| Random::List(width, items))]
    });
    map(inner)
}

/// Writes random layouts, with a number in every comment.
#[derive(Default)]
struct Writer {
    out: String,
    comments: usize,
}

impl Writer {
    fn pad(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    fn above(&mut self, lines: &Above) {
        for (column, comment) in lines {
            self.pad(*column);
            if *comment {
                self.comments += 1;
                self.out.push_str(&format!("# comment {}  ", self.comments));
            }
            self.out.push('\n');
        }
    }

    fn block(&mut self, value: &Random, column: usize, mut beside_dash: bool) {
        match value {
            Random::Text(_) => {}
            Random::Map(_, entries) => {
                for (lines, key, gap, value) in entries {
                    if !std::mem::take(&mut beside_dash) {
                        self.above(lines);
                        self.pad(column);
                    }
                    self.out.push_str(key);
                    self.out.push(':');
                    self.value(value, column, *gap, false);
                }
            }
            Random::List(_, items) => {
                for (lines, gap, value) in items {
                    self.above(lines);
                    self.pad(column);
                    self.out.push('-');
                    self.value(value, column, *gap, true);
                }
            }
        }
    }

    fn value(&mut self, value: &Random, column: usize, gap: usize, item: bool) {
        match value {
            Random::Text(lines) => {
                self.pad(gap + 1);
                for (index, line) in lines.iter().enumerate() {
                    if index > 0 && !line.is_empty() {
                        self.pad(column + 2);
                    }
                    self.out.push_str(line);
                    self.out.push('\n');
                }
            }
            Random::Map(..) if item && gap < 3 => {
                self.pad(gap + 1);
                self.block(value, column + gap + 2, true);
            }
            Random::Map(width, _) => {
                self.out.push('\n');
                self.block(value, column + width, false);
            }
            Random::List(width, _) => {
                self.out.push('\n');
                // A list in a list must stand deeper; one below a key need not.
                self.block(value, column + if item { width + 1 } else { *width }, false);
            }
        }
    }
}

#[test]
fn an_empty_block_scalar_ends_on_its_own_line() {
    // The parser says that it stands behind the next line's indentation.
    check("a:\n   - >\n   - \n", "a:\n  - >\n  -\n");
    check("a:\n   b: |\n   c: >-\n   d: 1  \n", "a:\n  b: |\n  c: >-\n  d: 1\n");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1000), ..ProptestConfig::default() })]

    #[test]
    fn any_layout_is_formatted_once_and_loses_nothing(value in random(), column in 0usize..3, end in above()) {
        let mut writer = Writer::default();
        writer.block(&value, column, false);
        writer.above(&end);
        let text = writer.out;
        let Some(before) = Document::read(&text) else { return Err(TestCaseError::reject("no YAML")) };
        let once = canonical(&text);
        prop_assert!(once.is_some(), "left as it is:\n{}", text);
        let once = once.unwrap();
        let twice = format(&once);
        prop_assert_eq!(&twice, &once, "of\n{}", text);
        let after = Document::read(&once).unwrap();
        prop_assert!(before.same(&after));
        prop_assert_eq!(before.comments.len(), after.comments.len());
        prop_assert_eq!(text.matches("# comment").count(), once.matches("# comment").count());
    }

    #[test]
    fn any_text_is_formatted_once(text in "(?s)([a-c:\\-#|>+&*'\"\\[\\]{}, \n\r\t]|\n  |: |- |# |é){0,40}") {
        let once = format(&text);
        prop_assert_eq!(format(&once), once);
    }
}
