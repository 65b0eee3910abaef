use proptest::prelude::*;

use super::*;

/// Where `part` stands for the first time in the file.
fn span(sources: &Sources, file: FileId, part: &str) -> Span {
    let start = sources.get(file).and_then(|f| f.text.find(part)).expect("the part is in the text");
    Span { file, start: start as u32, end: (start + part.len()) as u32 }
}

fn one(text: &str) -> (Sources, FileId) {
    let mut sources = Sources::default();
    let id = sources.add("schemas/pike.yaml", text);
    (sources, id)
}

const USERS: &str = "version: pike\ntables:\n  users:\n    colums:\n      id: bigint\n";

#[test]
fn one_error_looks_as_rustc_would_show_it() {
    let (sources, id) = one(USERS);
    let error = Diagnostic::error("unknown-key", "table `users` has no key `colums`")
        .at(span(&sources, id, "colums"), "unknown key")
        .help("did you mean `columns`?");
    insta::assert_snapshot!(render_human(&sources, &[error], Colour::Never), @r"
    error[unknown-key]: table `users` has no key `colums`
     --> schemas/pike.yaml:4:5
      |
    4 |     colums:
      |     ^^^^^^ unknown key
      |
      = help: did you mean `columns`?
    ");
}

#[test]
fn several_are_sorted_by_place_and_counted() {
    let (mut sources, id) = one(USERS);
    let other = sources.add("schemas/ocata.yaml", "version: ocata\nversion: ocata\n");
    let diagnostics = [
        Diagnostic::warning("second-file", "the old snapshot").at(span(&sources, other, "ocata"), ""),
        Diagnostic::note("nowhere", "nothing was compiled").help("a line\n  and an indented one\n\nafter a gap"),
        Diagnostic::error("later", "at the type").at(span(&sources, id, "bigint"), "this type"),
        Diagnostic::error("sooner", "two places").at(span(&sources, id, "users"), "second").at(span(&sources, id, "pike"), "first"),
        Diagnostic::error("sooner-too", "found after its neighbour").at(span(&sources, id, "users"), ""),
    ];
    insta::assert_snapshot!(render_human(&sources, &diagnostics, Colour::Never), @r"
    error[sooner]: two places
     --> schemas/pike.yaml:3:3
      |
    1 | version: pike
      |          ---- first
    2 | tables:
    3 |   users:
      |   ^^^^^ second

    error[sooner-too]: found after its neighbour
     --> schemas/pike.yaml:3:3
      |
    3 |   users:
      |   ^^^^^

    error[later]: at the type
     --> schemas/pike.yaml:5:11
      |
    5 |       id: bigint
      |           ^^^^^^ this type

    warning[second-file]: the old snapshot
     --> schemas/ocata.yaml:1:10
      |
    1 | version: ocata
      |          ^^^^^

    note[nowhere]: nothing was compiled
     |
     = help: a line
               and an indented one

             after a gap

    3 errors, 1 warning, 1 note
    ");
}

#[test]
fn places_in_two_files_show_both() {
    let mut sources = Sources::default();
    let a = sources.add("a.yaml", "tables:\n  users: {}\n");
    let b = sources.add("b.yaml", "\n\ntables:\n  users: {}\n");
    let error = Diagnostic::error("defined-twice", "table `users` is defined twice")
        .at(span(&sources, b, "users"), "defined again")
        .at(span(&sources, a, "users"), "first here");
    insta::assert_snapshot!(render_human(&sources, &[error], Colour::Never), @r"
    error[defined-twice]: table `users` is defined twice
     --> b.yaml:4:3
      |
    4 |   users: {}
      |   ^^^^^ defined again
      |
     ::: a.yaml:2:3
      |
    2 |   users: {}
      |   ----- first here
    ");
}

#[test]
fn a_span_of_several_lines_ends_at_its_last_character() {
    let (sources, id) = one(USERS);
    let mut whole = span(&sources, id, "colums:\n      id: bigint\n");
    whole.end += 100;
    let error = Diagnostic::error("table", "a table").at(whole, "all of it");
    insta::assert_snapshot!(render_human(&sources, &[error], Colour::Never), @r"
    error[table]: a table
     --> schemas/pike.yaml:4:5
      |
    4 | /     colums:
    5 | |       id: bigint
      | |________________^ all of it
    ");
}

#[test]
fn windows_line_ends_tabs_and_wide_characters_keep_the_caret_below_its_text() {
    let (sources, id) = one("\u{feff}version: pike\r\n\tname: '表の名前' # x\r\nend: é\r\n");
    let diagnostics = [
        Diagnostic::error("wide", "wide").at(span(&sources, id, "名前"), "two wide ones"),
        Diagnostic::error("mark", "mark").at(span(&sources, id, "version"), "after the byte order mark"),
        Diagnostic::error("eof", "eof").at(Span { file: id, start: 900, end: 901 }, "here"),
    ];
    assert_eq!(line_column(&sources, span(&sources, id, "名前")), Some((2, 11)));
    assert_eq!(line_column(&sources, span(&sources, id, "version")), Some((1, 1)));
    assert_eq!(line_column(&sources, Span { file: id, start: 900, end: 900 }), Some((3, 7)));
    insta::assert_snapshot!(render_human(&sources, &diagnostics, Colour::Never), @r"
    error[mark]: mark
     --> schemas/pike.yaml:1:1
      |
    1 | version: pike
      | ^^^^^^^ after the byte order mark

    error[wide]: wide
     --> schemas/pike.yaml:2:11
      |
    2 |     name: '表の名前' # x
      |                ^^^^ two wide ones

    error[eof]: eof
     --> schemas/pike.yaml:3:7
      |
    3 | end: é
      |       ^ here

    3 errors
    ");
}

#[test]
fn colours_come_only_when_asked_for() {
    let (sources, id) = one(USERS);
    let error = [Diagnostic::error("unknown-key", "no such key").at(span(&sources, id, "colums"), "here").help("\u{1b}[31mred")];
    assert!(!render_human(&sources, &error, Colour::Never).contains('\u{1b}'));
    let coloured = render_human(&sources, &error, Colour::Always);
    assert!(coloured.contains("\u{1b}[") && !coloured.contains("\u{1b}[31mred"));
}

#[test]
fn a_hundred_are_shown_the_errors_before_the_warnings() {
    let (sources, id) = one(&"a: 1\n".repeat(300));
    let place = |line: u32| Span { file: id, start: line * 5, end: line * 5 + 1 };
    let mut diagnostics: Vec<Diagnostic> =
        (0..150).map(|line| Diagnostic::warning("odd", format!("warning {line}")).at(place(line), "")).collect();
    diagnostics.push(Diagnostic::error("bad", "the only error").at(place(299), ""));
    let text = render_human(&sources, &diagnostics, Colour::Never);
    assert_eq!(text.matches("warning[odd]").count(), 99);
    assert!(text.contains("error[bad]: the only error\n   --> schemas/pike.yaml:300:1\n"), "{text}");
    assert!(text.ends_with("\n\n… and 51 more\n\n1 error, 150 warnings\n"), "{text}");
    // Programs get them all.
    let json: serde_json::Value = serde_json::from_str(&render_json(&sources, &diagnostics)).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 151);
}

#[test]
fn places_in_a_long_line_are_counted_in_characters() {
    let (sources, id) = one(&format!("\u{feff}{}\n{}x", "é".repeat(5000), "表".repeat(3000)));
    let at = |start: u32| line_column(&sources, Span { file: id, start, end: start });
    assert_eq!(at(3), Some((1, 1)));
    assert_eq!(at(3 + 2 * 4321), Some((1, 4322)));
    assert_eq!(at(3 + 10_000), Some((1, 5001)));
    assert_eq!(at(3 + 10_001), Some((2, 1)));
    assert_eq!(at(3 + 10_001 + 3 * 2999), Some((2, 3000)));
}

#[test]
fn nothing_to_say_is_the_empty_string() {
    assert_eq!(render_human(&Sources::default(), &[], Colour::Never), "");
    assert_eq!(render_json(&Sources::default(), &[]), "[]\n");
    assert_eq!(line_column(&Sources::default(), Span::default()), None);
}

#[test]
fn json_has_the_first_place_on_the_object() {
    let (sources, id) = one(USERS);
    let diagnostics = [
        Diagnostic::note("nowhere", "no place"),
        Diagnostic::error("unknown-key", "no key `colums`").at(span(&sources, id, "colums"), "unknown key").help("did you mean `columns`?"),
    ];
    insta::assert_snapshot!(render_json(&sources, &diagnostics), @r#"
    [
      {
        "code": "unknown-key",
        "level": "error",
        "message": "no key `colums`",
        "file": "schemas/pike.yaml",
        "line": 4,
        "column": 5,
        "end_line": 4,
        "end_column": 11,
        "label": "unknown key",
        "labels": [
          {
            "file": "schemas/pike.yaml",
            "line": 4,
            "column": 5,
            "end_line": 4,
            "end_column": 11,
            "label": "unknown key"
          }
        ],
        "help": [
          "did you mean `columns`?"
        ]
      },
      {
        "code": "nowhere",
        "level": "note",
        "message": "no place",
        "file": null,
        "line": null,
        "column": null,
        "end_line": null,
        "end_column": null,
        "label": null,
        "labels": [],
        "help": []
      }
    ]
    "#);
}

proptest! {
    /// Whatever the text and wherever the spans: every renderer answers, and all agree on the place.
    #[test]
    fn any_span_in_any_text_is_shown(
        texts in prop::collection::vec("(?s)([a-z:\\- \n\r\t#é表\u{feff}\u{200d}\u{1b}\u{301}]|\r\n){0,60}", 1..3),
        places in prop::collection::vec((0u32..4, 0u32..90, 0u32..90, "[a-z\n表]{0,5}"), 0..5),
        help in "(?s)[a-z \n\t\u{1b}]{0,12}",
    ) {
        let mut sources = Sources::default();
        for (index, text) in texts.iter().enumerate() {
            sources.add(format!("{index}.yaml"), text.clone());
        }
        let mut diagnostic = Diagnostic::error("code", "message\nof two lines").help(help);
        for (file, start, end, label) in places {
            diagnostic = diagnostic.at(Span { file: FileId(file), start, end }, label);
        }
        let human = render_human(&sources, std::slice::from_ref(&diagnostic), Colour::Never);
        render_human(&sources, std::slice::from_ref(&diagnostic), Colour::Always);
        let json: serde_json::Value = serde_json::from_str(&render_json(&sources, std::slice::from_ref(&diagnostic))).unwrap();
        let first = diagnostic.labels.iter().find_map(|label| Some((label.span.file, line_column(&sources, label.span)?)));
        match first {
            Some((file, (line, column))) => {
                prop_assert!(human.contains(&format!("--> {}.yaml:{line}:{column}\n", file.0)), "{}", human);
                prop_assert_eq!(&json[0]["line"], line);
                prop_assert_eq!(&json[0]["column"], column);
                prop_assert!(json[0]["end_line"].as_u64() >= json[0]["line"].as_u64());
            }
            None => prop_assert!(!human.contains("-->") && json[0]["file"].is_null()),
        }
    }
}
