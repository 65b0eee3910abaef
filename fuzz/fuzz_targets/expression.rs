//! Any text as an SQL expression, a query or a column definition, in every dialect. Nothing may panic, every span lies in the
//! text, and an expression that can be read means the same as itself.
#![no_main]

use crossfade::sql::expression::{check_expression, default_equivalent, expression_equivalent, query_equivalent, query_references, replace, row_references};
use crossfade::sql::{Dialect, Scope, definition};

struct Nothing;

impl Scope for Nothing {
    fn has_column(&self, _table: &str, _column: &str) -> bool {
        false
    }

    fn has_table(&self, _table: &str) -> bool {
        false
    }
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    for dialect in Dialect::ALL {
        if let Ok(references) = row_references(text, dialect, "t", &Nothing) {
            let edits: Vec<_> = references.columns.iter().map(|column| (column.span.clone(), text[column.span.clone()].to_owned())).collect();
            assert_eq!(replace(text, &edits), text);
        }
        if check_expression(text, dialect).is_ok() {
            assert!(expression_equivalent(text, text, dialect));
        }
        default_equivalent(text, "0", dialect);
        if query_references(text, dialect).is_ok() {
            query_equivalent(text, text, dialect, &|_| None);
        }
    }
    let _ = definition::parse(text);
    let _ = definition::parse_references(text);
});
