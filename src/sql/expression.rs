//! Expressions and queries: what they refer to, whether two mean the same, and putting other names into one by span.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JsonTableColumn, ObjectName, OrderBy, Query, Select,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::parse::{Source, fold, same_name};
use super::{Dialect, normal, parse, partial, search_path, volatile};

pub use super::partial::Failing;
pub use super::range::Domain;

/// Why a text is not the SQL that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in the parser's words, without its position.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
}

/// A reference to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    /// The table or alias before the dot, folded; `None` when there is none.
    pub qualifier: Option<String>,
    /// The column, folded as the dialect folds (a quoted name stands as it is).
    pub name: String,
    /// The whole reference in the text, qualifier included.
    pub span: Range<usize>,
}

/// A reference to a table or view in a FROM clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRef {
    /// The schema before the dot, if any.
    pub schema: Option<String>,
    /// The table, folded.
    pub name: String,
    /// Its alias, folded.
    pub alias: Option<String>,
    /// The name in the text, schema included and alias excluded.
    pub span: Range<usize>,
}

/// What an expression over one row refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Columns of the row, in the order of the text. A name in a subquery belongs to the row when no table of the subquery has it.
    pub columns: Vec<ColumnRef>,
    /// Tables that subqueries read (names of common table expressions are not among them).
    pub tables: Vec<TableRef>,
    /// Whether there is a subquery (PostgreSQL allows none in checks, trigger conditions and generated columns).
    pub has_subquery: bool,
}

/// Puts other texts in place of parts of `text`. The ranges must not overlap; they may come in any order.
pub fn replace(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut edits: Vec<_> = edits.iter().collect();
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, with) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(with);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// What a query refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueryReferences {
    /// Tables and views in FROM clauses at any depth, in the order of the text (names of common table expressions are not among them).
    pub tables: Vec<TableRef>,
    /// Columns at any depth, in the order of the text.
    pub columns: Vec<ColumnRef>,
    /// Names of the output columns; `None` when one of them follows from the tables (`*`) or is the server's choice.
    pub output: Option<Vec<String>>,
}

/// What `text`, an expression over a row of `row_table`, refers to.
///
/// # Errors
/// When `text` is no expression of the dialect, or when a name is qualified with something that is no table of it.
pub fn row_references(text: &str, dialect: Dialect, row_table: &str, scope: &dyn super::Scope) -> Result<References, SyntaxError> {
    let tree = parse::expression(text, dialect)?;
    let mut reader = Reader::new(text, dialect, Some(Row { table: row_table, scope }));
    let _ = tree.visit(&mut reader);
    if let Some(error) = reader.error {
        return Err(error);
    }
    reader.columns.sort_by_key(|column| column.span.start);
    reader.tables.sort_by_key(|table| table.span.start);
    Ok(References { columns: reader.columns, tables: reader.tables, has_subquery: reader.has_subquery })
}

/// Whether `text` is an expression of the dialect.
///
/// # Errors
/// When it is not.
pub fn check_expression(text: &str, dialect: Dialect) -> Result<(), SyntaxError> {
    parse::expression(text, dialect).map(|_| ())
}

/// What `text`, a query, refers to.
///
/// # Errors
/// When `text` is no query of the dialect.
pub fn query_references(text: &str, dialect: Dialect) -> Result<QueryReferences, SyntaxError> {
    let tree = parse::query(text, dialect)?;
    let mut reader = Reader::new(text, dialect, None);
    let _ = tree.visit(&mut reader);
    reader.columns.sort_by_key(|column| column.span.start);
    reader.tables.sort_by_key(|table| table.span.start);
    Ok(QueryReferences { tables: reader.tables, columns: reader.columns, output: output_of(&tree, dialect) })
}

/// Whether two expressions mean the same: they are compared after normalisation (case of keywords and unquoted names, redundant
/// parentheses, casts that the server adds). What is no expression is compared as text, white space folded.
pub fn expression_equivalent(a: &str, b: &str, dialect: Dialect) -> bool {
    if a == b {
        return true;
    }
    match (parse::expression(a, dialect), parse::expression(b, dialect)) {
        (Ok(a), Ok(b)) => normal::expression(a, dialect, &|_| None) == normal::expression(b, dialect, &|_| None),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        (Err(_), Err(_)) => folded_space(a) == folded_space(b),
    }
}

/// What is known of the types of columns: the name of a column's type in lower case and without arguments (`varchar`,
/// `double precision`), by the column's name. A server adds casts by them.
pub type ColumnTypes<'t> = &'t dyn Fn(&str) -> Option<String>;

/// One text for all expressions that [`expression_equivalent`] finds equal, and for those that casts set apart which the server
/// adds because of the columns' types. It is to look them up by meaning, and no SQL to run.
pub fn normal_form(text: &str, dialect: Dialect, types: ColumnTypes<'_>) -> String {
    match parse::expression(text, dialect) {
        Ok(tree) => normal::expression(tree, dialect, types).to_string(),
        Err(_) => folded_space(text),
    }
}

/// Whether two defaults of one column mean the same: as [`expression_equivalent`], and a cast of a bare literal says nothing,
/// since the server casts it to the column's type anyway.
pub fn default_equivalent(a: &str, b: &str, dialect: Dialect) -> bool {
    if a == b {
        return true;
    }
    match (parse::expression(a, dialect), parse::expression(b, dialect)) {
        (Ok(a), Ok(b)) => normal::default_value(a, dialect) == normal::default_value(b, dialect),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        (Err(_), Err(_)) => folded_space(a) == folded_space(b),
    }
}

/// Whether two queries mean the same, compared like expressions; `types` are those of the columns that they read.
pub fn query_equivalent(a: &str, b: &str, dialect: Dialect, types: ColumnTypes<'_>) -> bool {
    if a == b {
        return true;
    }
    match (parse::query(a, dialect), parse::query(b, dialect)) {
        (Ok(a), Ok(b)) => normal::query(a, dialect, types) == normal::query(b, dialect, types),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        (Err(_), Err(_)) => folded_space(a) == folded_space(b),
    }
}

/// Whether a default gives another value for each row: it calls a function that is volatile or that is not known. What does not
/// parse counts as volatile.
pub fn defines_volatile(text: &str, dialect: Dialect) -> bool {
    match parse::expression(text, dialect) {
        Ok(tree) => volatile::calls_volatile(&tree),
        Err(_) => true,
    }
}

/// Whether an expression of PostgreSQL means the same under every search path: all that it names is the server's own. What does not
/// parse counts as depending on it.
pub fn same_on_every_path(text: &str) -> bool {
    parse::expression(text, Dialect::Postgres).is_ok_and(|tree| search_path::independent(&tree))
}

/// Why an expression fails on some rows, if it does. `domain` tells what is known of columns, `target` of the column that the
/// result is put into. What does not parse does not count, nor does arithmetic over what nothing is known of.
pub fn why_fails(text: &str, dialect: Dialect, domain: &dyn Fn(&str) -> Domain, target: Domain) -> Option<Failing> {
    partial::why_fails(&parse::expression(text, dialect).ok()?, dialect, domain, target)
}

fn folded_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The row that an expression is over.
#[derive(Clone, Copy)]
struct Row<'a> {
    table: &'a str,
    scope: &'a dyn super::Scope,
}

/// What a table of a FROM clause offers.
enum Offer {
    /// The columns of a table that the scope may know, by its name.
    Table(String),
    /// These columns.
    Columns(Vec<String>),
    /// Nobody knows.
    Unknown,
}

/// One table of a FROM clause: the name that qualifies its columns, and the columns.
struct Relation {
    name: Option<String>,
    offer: Offer,
}

/// What a query or one SELECT of it brings into scope.
#[derive(Default)]
struct Frame {
    sources: Vec<Relation>,
    /// Names of output columns, which ORDER BY and GROUP BY may use.
    aliases: Vec<String>,
    /// The query is a UNION or the like, whose ORDER BY knows output columns alone.
    set_operation: bool,
}

/// Common table expressions of one WITH, with their columns.
type With = Vec<(String, Option<Vec<String>>)>;

/// Collects references while the tree is walked.
struct Reader<'a> {
    text: Source<'a>,
    dialect: Dialect,
    row: Option<Row<'a>>,
    frames: Vec<Frame>,
    withs: Vec<With>,
    columns: Vec<ColumnRef>,
    tables: Vec<TableRef>,
    has_subquery: bool,
    error: Option<SyntaxError>,
    /// Names that the parser takes for expressions and that are none: units, argument names, fields of composites.
    not_columns: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, dialect: Dialect, row: Option<Row<'a>>) -> Self {
        Reader {
            text: Source::new(text),
            dialect,
            row,
            frames: Vec::new(),
            withs: Vec::new(),
            columns: Vec::new(),
            tables: Vec::new(),
            has_subquery: false,
            error: None,
            not_columns: Vec::new(),
        }
    }

    fn skip(&mut self, expr: &Expr) {
        if let Expr::Identifier(ident) = expr {
            let range = self.text.range(ident.span);
            self.not_columns.push(range);
        }
    }

    fn with_columns(&self, name: &str) -> Option<&Option<Vec<String>>> {
        self.withs.iter().rev().flatten().find(|(with, _)| same_name(with, name, self.dialect)).map(|(_, columns)| columns)
    }

    fn sources_of(&self, from: &[TableWithJoins], into: &mut Vec<Relation>) {
        for item in from {
            self.source_of(&item.relation, into);
            for join in &item.joins {
                self.source_of(&join.relation, into);
            }
        }
    }

    fn source_of(&self, factor: &TableFactor, into: &mut Vec<Relation>) {
        let renamed = |alias: &Option<TableAlias>| {
            let columns: Vec<_> = alias.iter().flat_map(|alias| &alias.columns).map(|column| fold(&column.name)).collect();
            if columns.is_empty() { None } else { Some(columns) }
        };
        let alias_name = |alias: &Option<TableAlias>| alias.as_ref().map(|alias| fold(&alias.name));
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let Some(table) = last_name(name) else {
                    into.push(Relation { name: alias_name(alias), offer: Offer::Unknown });
                    return;
                };
                let called = alias_name(alias).or_else(|| Some(table.clone()));
                let offer = match (renamed(alias), args) {
                    (Some(columns), _) => Offer::Columns(columns),
                    // A function that gives one column names it like the alias or itself; others name theirs.
                    (None, Some(_)) => Offer::Columns(called.iter().cloned().collect()),
                    (None, None) => match self.with_columns(&table) {
                        Some(Some(columns)) => Offer::Columns(columns.clone()),
                        Some(None) => Offer::Unknown,
                        None => Offer::Table(table),
                    },
                };
                into.push(Relation { name: called, offer });
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let offer = match renamed(alias).or_else(|| output_of(subquery, self.dialect)) {
                    Some(columns) => Offer::Columns(columns),
                    None => Offer::Unknown,
                };
                into.push(Relation { name: alias_name(alias), offer });
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut inner = Vec::new();
                self.sources_of(std::slice::from_ref(table_with_joins), &mut inner);
                if let Some(alias) = alias {
                    into.push(Relation { name: Some(fold(&alias.name)), offer: Offer::Unknown });
                }
                into.append(&mut inner);
            }
            TableFactor::JsonTable { columns, alias, .. } => {
                let mut names = Vec::new();
                json_columns(columns, &mut names);
                into.push(Relation { name: alias_name(alias), offer: Offer::Columns(names) });
            }
            TableFactor::UNNEST { alias, .. } | TableFactor::TableFunction { alias, .. } | TableFactor::Function { alias, .. } => {
                let offer = match renamed(alias).or_else(|| alias_name(alias).map(|name| vec![name])) {
                    Some(columns) => Offer::Columns(columns),
                    None => Offer::Unknown,
                };
                into.push(Relation { name: alias_name(alias), offer });
            }
            // Kinds of other products.
            _ => into.push(Relation { name: None, offer: Offer::Unknown }),
        }
    }

    fn frame_of(&self, select: &Select) -> Frame {
        let mut sources = Vec::new();
        self.sources_of(&select.from, &mut sources);
        let aliases = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
            _ => None,
        });
        Frame { sources, aliases: aliases.collect(), set_operation: false }
    }

    /// Whether an unqualified name in a subquery belongs to one of its tables.
    fn belongs_inside(&self, name: &str, row: Row<'_>) -> bool {
        let row_has = row.scope.has_column(row.table, name);
        self.frames.iter().rev().any(|frame| {
            let offered = frame.sources.iter().any(|source| match &source.offer {
                Offer::Table(table) if row.scope.has_table(table) => row.scope.has_column(table, name),
                Offer::Table(_) | Offer::Unknown => !row_has,
                Offer::Columns(columns) => columns.iter().any(|column| same_name(column, name, self.dialect)),
            });
            offered || (!row_has && frame.aliases.iter().any(|alias| same_name(alias, name, self.dialect)))
        })
    }

    fn column(&mut self, qualifier: Option<&Ident>, ident: &Ident, span: Range<usize>) {
        if self.not_columns.contains(&span) {
            return;
        }
        let name = fold(ident);
        let qualifier = qualifier.map(fold);
        if qualifier.is_none() && ident.quote_style.is_none() && is_niladic(&name, self.dialect) {
            return;
        }
        if let Some(row) = self.row {
            match &qualifier {
                None if self.belongs_inside(&name, row) => return,
                None => {}
                Some(qualifier) => {
                    let is = |other: &str| same_name(qualifier, other, self.dialect);
                    if self.frames.iter().flat_map(|frame| &frame.sources).any(|source| source.name.as_deref().is_some_and(is)) {
                        return;
                    }
                    if !is(row.table) {
                        let message = format!("`{qualifier}` is no table here; the row is of `{}`", row.table);
                        self.error.get_or_insert(SyntaxError { message, offset: span.start });
                        return;
                    }
                }
            }
        }
        self.columns.push(ColumnRef { qualifier, name, span });
    }
}

impl Visitor for Reader<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.has_subquery = true;
        self.withs.push(Vec::new());
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut columns: Vec<_> = cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
            if columns.is_empty() {
                columns = output_of(&cte.query, self.dialect).unwrap_or_default();
            }
            let entry = (fold(&cte.alias.name), if columns.is_empty() { None } else { Some(columns) });
            if let Some(with) = self.withs.last_mut() {
                with.push(entry);
            }
        }
        // ORDER BY of a plain SELECT sees its tables; that of a UNION sees output columns only.
        let frame = match query.body.as_ref() {
            SetExpr::Select(select) => self.frame_of(select),
            SetExpr::SetOperation { .. } => {
                Frame { sources: Vec::new(), aliases: output_of(query, self.dialect).unwrap_or_default(), set_operation: true }
            }
            _ => Frame::default(),
        };
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.frames.pop();
        self.withs.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_order_by(&mut self, _order_by: &OrderBy) -> ControlFlow<()> {
        // The branches have been read by now.
        if let Some(frame) = self.frames.last_mut().filter(|frame| frame.set_operation) {
            let columns = std::mem::take(&mut frame.aliases);
            frame.sources.push(Relation { name: None, offer: Offer::Columns(columns) });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let frame = self.frame_of(select);
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, args: None, .. } = factor {
            let idents: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            if let [.., last] = idents.as_slice() {
                let schema = idents.len().checked_sub(2).and_then(|at| idents.get(at)).map(|ident| fold(ident));
                let table = fold(last);
                if schema.is_some() || self.with_columns(&table).is_none() {
                    let span = self.spanning(&idents);
                    self.tables.push(TableRef { schema, name: table, alias: alias.as_ref().map(|alias| fold(&alias.name)), span });
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                let span = self.text.range(ident.span);
                self.column(None, ident, span);
            }
            Expr::CompoundIdentifier(idents) => {
                let parts: Vec<&Ident> = idents.iter().collect();
                if let [.., qualifier, name] = parts.as_slice() {
                    let span = self.spanning(&parts);
                    self.column(Some(qualifier), name, span);
                }
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Dot(field) = access {
                        self.skip(field);
                    }
                }
            }
            Expr::MatchAgainst { columns, .. } => {
                for column in columns {
                    let parts: Vec<&Ident> = column.0.iter().filter_map(|part| part.as_ident()).collect();
                    if let Some((name, qualifiers)) = parts.split_last() {
                        let span = self.spanning(&parts);
                        self.column(qualifiers.last().copied(), name, span);
                    }
                }
            }
            Expr::Function(function) => {
                if let FunctionArguments::List(list) = &function.args {
                    for argument in &list.args {
                        if let FunctionArg::ExprNamed { name, .. } = argument {
                            self.skip(name);
                        }
                    }
                    let called = last_name(&function.name).unwrap_or_default();
                    let has_unit = matches!(called.as_str(), "timestampdiff" | "timestampadd" | "get_format");
                    if let (true, Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit)))) = (has_unit, list.args.first()) {
                        self.skip(unit);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Reader<'_> {
    fn spanning(&self, idents: &[&Ident]) -> Range<usize> {
        match (idents.first(), idents.last()) {
            (Some(first), Some(last)) => self.text.range(first.span).start..self.text.range(last.span).end,
            _ => 0..0,
        }
    }
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|part| part.as_ident()).map(fold)
}

fn json_columns(columns: &[JsonTableColumn], into: &mut Vec<String>) {
    for column in columns {
        match column {
            JsonTableColumn::Named(column) => into.push(fold(&column.name)),
            JsonTableColumn::ForOrdinality(name) => into.push(fold(name)),
            JsonTableColumn::Nested(nested) => json_columns(&nested.columns, into),
        }
    }
}

/// Output columns of a query, when its text alone tells them.
fn output_of(query: &Query, dialect: Dialect) -> Option<Vec<String>> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return select.projection.iter().map(|item| output_name(item, dialect)).collect(),
            SetExpr::Query(query) => body = query.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(values) if dialect == Dialect::Postgres => {
                return values.rows.first().map(|row| (1..=row.len()).map(|n| format!("column{n}")).collect());
            }
            _ => return None,
        }
    }
}

fn output_name(item: &SelectItem, dialect: Dialect) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(expr) => {
            let mut expr = expr;
            loop {
                match expr {
                    Expr::Identifier(ident) => return Some(fold(ident)),
                    Expr::CompoundIdentifier(idents) => return idents.last().map(fold),
                    // PostgreSQL names an output column after the function or the operand of the cast; the others after the text.
                    Expr::Function(function) if dialect == Dialect::Postgres => return last_name(&function.name),
                    Expr::Cast { expr: inner, .. } | Expr::Nested(inner) if dialect == Dialect::Postgres => expr = inner,
                    _ => return None,
                }
            }
        }
        _ => None,
    }
}

/// Whether an unquoted name is a function that is called without parentheses.
fn is_niladic(name: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres => matches!(
            name,
            "current_catalog"
                | "current_date"
                | "current_role"
                | "current_schema"
                | "current_time"
                | "current_timestamp"
                | "current_user"
                | "localtime"
                | "localtimestamp"
                | "session_user"
                | "system_user"
                | "user"
                | "default"
                | "true"
                | "false"
        ),
        Dialect::Mysql | Dialect::Mariadb => matches!(
            name,
            "current_date"
                | "current_time"
                | "current_timestamp"
                | "current_user"
                | "current_role"
                | "localtime"
                | "localtimestamp"
                | "utc_date"
                | "utc_time"
                | "utc_timestamp"
                | "default"
                | "true"
                | "false"
        ),
        Dialect::Sqlite => matches!(name, "current_date" | "current_time" | "current_timestamp" | "true" | "false"),
    }
}

/// The sequence whose next value a default takes: `nextval('ticket_no')`, with or without a cast and a schema.
pub fn drawn_from(default: &str) -> Option<String> {
    let at = default.to_ascii_lowercase().find("nextval(")?;
    let name = default.get(at..)?.split('\'').nth(1)?;
    name.rsplit('.').next().map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Known(&'static [(&'static str, &'static [&'static str])]);

    impl crate::sql::Scope for Known {
        fn has_column(&self, table: &str, column: &str) -> bool {
            self.0.iter().any(|(name, columns)| *name == table && columns.contains(&column))
        }
        fn has_table(&self, table: &str) -> bool {
            self.0.iter().any(|(name, _)| *name == table)
        }
    }

    const SCOPE: Known = Known(&[("users", &["id", "email", "full_name", "team_id", "a", "b"]), ("teams", &["id", "name", "boss"])]);

    fn row(text: &str, dialect: Dialect) -> Vec<String> {
        let found = row_references(text, dialect, "users", &SCOPE).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        found.columns.iter().map(|column| text[column.span.clone()].to_owned()).collect()
    }

    #[track_caller]
    fn check(text: &str, columns: &[&str]) {
        assert_eq!(row(text, Dialect::Postgres), columns, "{text}");
    }

    #[test]
    fn columns_of_the_row() {
        check("split_part(full_name, ' ', 1)", &["full_name"]);
        check("a + users.b > 0 and 'a' <> \"b\"", &["a", "users.b", "\"b\""]);
        check("current_date - interval '1 day' < now() + a * interval '1 day'", &["a"]);
        check("case when a = 1 then b else email::text end", &["a", "b", "email"]);
        check("extract(epoch from a) + cast(b as integer)", &["a", "b"]);
        check("current_user || current_schema || user", &[]);
        check("date '2020-01-01' < a", &["a"]);
        check("'naïve — \u{1f600}' || email\n  || '…' || full_name", &["email", "full_name"]);
        check("make_interval(days => a)", &["a"]);
        check("EMAIL", &["EMAIL"]);
        check("(a)[1] + array_length(array[b, 2], 1)", &["a", "b"]);
        check("(full_name).first", &["full_name"]);
        check("a in (1, b)", &["a", "b"]);
        check("a between b and 3", &["a", "b"]);
        check("a->>'x' is not null and b #> '{y}' is null", &["a", "b"]);
        check("jsonb_build_object('a', b)", &["b"]);
        check("coalesce(nullif(trim(both ' ' from email), ''), 'x')", &["email"]);
        check("substring(email from '@(.*)$')", &["email"]);
        check("email ~* '^a' collate \"C\"", &["email"]);
        check("sum(a) filter (where b > 0) over (partition by team_id order by id)", &["a", "b", "team_id", "id"]);
    }

    #[test]
    fn columns_in_subqueries() {
        check("(select name from teams where teams.id = team_id)", &["team_id"]);
        check("(select t.name from teams t where t.id = users.team_id)", &["users.team_id"]);
        check("(select id from teams)", &[]);
        check("(select email from teams)", &["email"]);
        check("(select users.name from teams users)", &[]);
        check("(select stranger from somewhere where email = 1)", &["email"]);
        check("(with c as (select name, id from teams) select c.name from c where c.id = team_id and id = 1)", &["team_id"]);
        check("(select name from teams order by boss, email limit 1)", &["email"]);
        check("(select id from teams union select boss from teams where a = 1 order by id)", &["a"]);
        check("exists (select 1 from (select id as x from teams) d where d.x = a and x = b)", &["a", "b"]);
        check("(select g from generate_series(1, a) g)", &["a"]);
        check("(select v from unnest(string_to_array(email, ',')) as u(v))", &["email"]);
        check("team_id in (select boss from teams where exists (select 1 from teams t2 where t2.id = b))", &["team_id", "b"]);
    }

    #[test]
    fn other_dialects() {
        assert_eq!(row("timestampdiff(second, a, b)", Dialect::Mysql), ["a", "b"]);
        assert_eq!(row("date_add(a, interval 1 day)", Dialect::Mysql), ["a"]);
        assert_eq!(row("`a` + `users`.`b` + utc_timestamp", Dialect::Mysql), ["`a`", "`users`.`b`"]);
        assert_eq!(row("concat(a, \"b\")", Dialect::Mysql), ["a"]);
        assert_eq!(row("a || [b] || \"email\" || `id`", Dialect::Sqlite), ["a", "[b]", "\"email\"", "`id`"]);
        assert_eq!(row("match (email, full_name) against ('x')", Dialect::Mysql), ["email", "full_name"]);
        assert_eq!(row("USERS.A + 1", Dialect::Mysql), ["USERS.A"]);
        assert_eq!(row("binary a <=> binary b", Dialect::Mysql), ["a", "b"]);
        assert_eq!(row("a regexp 'x' and b div 2 = 1", Dialect::Mysql), ["a", "b"]);
        assert_eq!(row("a is not b and a glob 'x*'", Dialect::Sqlite), ["a", "b", "a"]);
        assert_eq!(row("a not glob 'x*' and (b not match c or not a)", Dialect::Sqlite), ["a", "b", "c", "a"]);
    }

    #[test]
    fn tables_of_subqueries() {
        let text = "exists (with c as (select 1) select 1 from public.teams t, c, other)";
        let found = row_references(text, Dialect::Postgres, "users", &SCOPE).expect("valid");
        assert!(found.has_subquery);
        let tables: Vec<_> =
            found.tables.iter().map(|t| (t.schema.as_deref(), t.name.as_str(), t.alias.as_deref(), &text[t.span.clone()])).collect();
        assert_eq!(tables, [(Some("public"), "teams", Some("t"), "public.teams"), (None, "other", None, "other")]);
        assert!(!row_references("a", Dialect::Postgres, "users", &SCOPE).expect("valid").has_subquery);
    }

    #[test]
    fn faults_have_their_place() {
        let fault = |text: &str| row_references(text, Dialect::Postgres, "users", &SCOPE).expect_err(text);
        assert_eq!(fault("a + strangers.b").offset, 4);
        assert_eq!(fault("é + a b").offset, "é + a ".len());
        assert_eq!(fault("'é' ||\n  )").offset, "'é' ||\n  ".len());
        assert_eq!(fault("").offset, 0);
        assert_eq!(fault(" -- nothing\n").message, "there is no expression here");
        assert_eq!(fault("a; drop table users").offset, 1);
        assert!(!fault("a + ").message.contains("Line"));
        assert!(query_references("delete from users", Dialect::Postgres).is_err());
        assert!(check_expression("a = ", Dialect::Postgres).is_err());
    }

    #[test]
    fn queries() {
        let text = "select u.id, email as mail, count(*) from users u join teams on teams.id = u.team_id where email > 'a'";
        let found = query_references(text, Dialect::Postgres).expect("valid");
        assert_eq!(found.output, Some(vec!["id".to_owned(), "mail".to_owned(), "count".to_owned()]));
        let columns: Vec<_> = found.columns.iter().map(|column| &text[column.span.clone()]).collect();
        assert_eq!(columns, ["u.id", "email", "teams.id", "u.team_id", "email"]);
        let tables: Vec<_> = found.tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(tables, ["users", "teams"]);
        assert_eq!(query_references("select * from users", Dialect::Postgres).expect("valid").output, None);
        assert_eq!(query_references("select a + 1 from users", Dialect::Mysql).expect("valid").output, None);
        let with = query_references("with c as (select a from users) select a from c union all select b from teams", Dialect::Sqlite)
            .expect("valid");
        assert_eq!(with.output, Some(vec!["a".to_owned()]));
        assert_eq!(with.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["users", "teams"]);
    }

    #[test]
    fn equivalent_expressions() {
        let same = [
            ("balance >= 0", "(balance >= 0)"),
            ("balance >= 0", "(balance >= (0)::numeric)"),
            ("balance >= 0", "BALANCE>=0"),
            ("a <> b", "a != b"),
            ("state in ('x', 'y')", "((state)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))"),
            ("state in ('x', 'y')", "(state = ANY (ARRAY['x'::text, 'y'::text]))"),
            ("state not in ('x', 'y')", "(state <> ALL (ARRAY['x'::text, 'y'::text]))"),
            ("state in ('x')", "((state)::text = 'x'::text)"),
            ("n in (1, 2)", "(n = ANY (ARRAY[1, 2]))"),
            ("kind = 'public'", "(kind = 'public'::visibility)"),
            ("a between 1 and 10", "((a >= 1) AND (a <= 10))"),
            ("a and b and c", "(a AND (b AND c))"),
            ("a or b or c", "((a OR b) OR c)"),
            ("date '2020-01-01'", "'2020-01-01'::date"),
            ("cast(a as int)", "a::integer"),
            ("a::int4", "a::integer"),
            ("a::timestamptz", "a::timestamp with time zone"),
            ("a::varchar(20)", "a::character varying(20)"),
            ("'x'", "'x'::character varying"),
            ("('x')::text", "'x'"),
            ("email like '%@%'", "((email)::text ~~ '%@%'::text)"),
            ("email not ilike 'a'", "(email !~~* 'a'::text)"),
            ("\"email\" = 'a'", "email = 'a'"),
            ("E'a\\\\b'", "'a\\b'"),
            ("$$it's$$", "'it''s'"),
            ("lower(Email)", "LOWER(email)"),
            ("a -- why\n + 1", "a + 1"),
            ("a > -1", "(a > '-1'::integer)"),
            ("case when a then 'x' else 'y' end", "CASE\n WHEN a THEN 'x'::text\n ELSE 'y'::text\nEND"),
            ("coalesce(a, '')", "COALESCE(a, ''::character varying)"),
        ];
        for (a, b) in same {
            assert!(expression_equivalent(a, b, Dialect::Postgres), "{a} and {b} are the same");
        }
        let different = [
            ("0", "0.0"),
            ("now()", "current_timestamp"),
            ("a > 0", "a >= 0"),
            ("a and b or c", "a and (b or c)"),
            ("(a + b) * c", "a + b * c"),
            ("a - (b - c)", "a - b - c"),
            ("'x'", "'X'"),
            ("\"Email\"", "email"),
            ("a::text", "a"),
            ("'1'::integer", "'1'"),
            ("1::numeric / a", "1 / a"),
            ("'{}'::jsonb", "'{}'"),
            ("now() - '1 day'::interval", "now() - '1 day'"),
            ("a::numeric(10,2)", "a::numeric"),
            ("a::varchar(5) = 'x'", "a = 'x'"),
            ("a in ('x', 'y')", "a not in ('x', 'y')"),
            ("a = any(b)", "a = all(b)"),
            ("a ~~ 'x'", "a !~~ 'x'"),
            ("x.a", "y.a"),
            ("a::timestamptz", "a::timestamp"),
            ("a like 'x' escape '!'", "a like 'x'"),
        ];
        for (a, b) in different {
            assert!(!expression_equivalent(a, b, Dialect::Postgres), "{a} and {b} differ");
        }
        assert!(expression_equivalent("a @@@ 'ü  b'", "a  @@@ 'ü b'", Dialect::Mysql), "what does not parse is compared as text");
        assert!(expression_equivalent("now()", "current_timestamp()", Dialect::Mariadb));
        assert!(expression_equivalent("(`a` = _utf8mb4'x')", "a = 'x'", Dialect::Mysql));
        assert!(expression_equivalent("a in (1,2)", "(`a` in (1,2))", Dialect::Mysql));
        assert!(!expression_equivalent("now(6)", "now()", Dialect::Mysql));
    }

    #[test]
    fn equivalent_defaults() {
        for (a, b) in [
            ("'{}'", "'{}'::jsonb"),
            ("0", "'0'::numeric"),
            ("-1", "'-1'::integer"),
            ("0", "(0)::bigint"),
            ("'x'", "'x'::bpchar"),
            ("'2020-01-01'", "date '2020-01-01'"),
        ] {
            assert!(default_equivalent(a, b, Dialect::Postgres), "{a} and {b} are the same default");
        }
        for (a, b) in [("0", "1"), ("'0'", "0"), ("lower('A')", "'a'"), ("0", "0.0"), ("null", "0")] {
            assert!(!default_equivalent(a, b, Dialect::Postgres), "{a} and {b} are two defaults");
        }
    }

    #[test]
    fn equivalent_queries() {
        for (a, b) in [
            (
                "select id, email from users where balance > 0",
                " SELECT users.id,\n    users.email\n   FROM users\n  WHERE (users.balance > (0)::numeric)",
            ),
            ("select u.id from users as u", "SELECT id FROM users u"),
            ("select id as id from t", "select id from t"),
            ("select a, count(*) from t group by 1 order by 2", "SELECT a,\n count(*) AS count FROM t GROUP BY a ORDER BY (count(*))"),
            ("select a from t order by a", "SELECT t.a FROM t ORDER BY t.a"),
            (
                "select o.a from o inner join t on t.a = o.a left outer join u using (id)",
                "SELECT o.a FROM ((o JOIN t ON ((t.a = o.a))) LEFT JOIN u USING (id))",
            ),
            ("select a, 'x' from t union all select 1, 'z'", "SELECT t.a, 'x'::text FROM t UNION ALL SELECT 1 AS a, 'z'::text AS x"),
        ] {
            assert!(query_equivalent(a, b, Dialect::Postgres, &|_| None), "{a} and {b} are the same");
        }
        for (a, b) in [
            ("select a, b from t", "select b, a from t"),
            ("select a from t union all select b from u", "select a from t union select b from u"),
            ("select a as x from t", "select a from t"),
            ("select a, b from t order by 1", "select a, b from t order by 2"),
            ("select a as x from t union select b from u", "select a from t union select b from u"),
            ("select o.a from o left join (t join u using (a)) using (a)", "select o.a from o left join t using (a) join u using (a)"),
            ("select t.a from t, u", "select u.a from t, u"),
        ] {
            assert!(!query_equivalent(a, b, Dialect::Postgres, &|_| None), "{a} and {b} differ");
        }
    }

    #[test]
    fn casts_by_the_types_of_columns() {
        let types = |name: &str| {
            let known = [
                ("email", "varchar"),
                ("code", "char"),
                ("price", "numeric"),
                ("n", "integer"),
                ("big", "bigint"),
                ("ratio", "double precision"),
            ];
            known.iter().find(|(column, _)| *column == name).map(|(_, word)| (*word).to_owned())
        };
        let form = |text: &str| normal_form(text, Dialect::Postgres, &types);
        for (a, b) in [
            ("length(email) > 3", "(length((email)::text) > 3)"),
            ("lower(email)", "lower((email)::text)"),
            ("email || '-' || code", "(((email)::text || '-'::text) || (code)::text)"),
            ("email = code", "((email)::text = (code)::text)"),
            ("case when n > 1 then email else code end", "CASE WHEN (n > 1) THEN (email)::text ELSE (code)::text END"),
            ("price * 2 > n", "((price * (2)::numeric) > (n)::numeric)"),
            ("price > n", "(price > (n)::numeric)"),
            ("(random() * 1000)::integer", "((random() * (1000)::double precision))::integer"),
            ("nextval('s')", "nextval('s'::regclass)"),
            ("coalesce(big, 0) + nullif(price, 1)", "(COALESCE(big, (0)::bigint) + NULLIF(price, (1)::numeric))"),
            ("case when n > 1 then big else 0 end", "CASE WHEN (n > 1) THEN big ELSE (0)::bigint END"),
        ] {
            assert_eq!(form(a), form(b), "{a} and {b}");
        }
        for (a, b) in [
            // The cast decides which division it is.
            ("n / 2", "n / 2::double precision"),
            ("n / 2", "n::double precision / 2::double precision"),
            ("n / 2 > 1", "n / 2::numeric > 1"),
            ("length(n::text)", "length(n)"),
            ("email::text", "email"),
            ("lower(unknown::text)", "lower(unknown)"),
            ("price::integer > n", "price > n"),
            ("n * 2.5::integer", "n * 2.5"),
            ("coalesce(big, 2.5::bigint)", "coalesce(big, 2.5)"),
            ("coalesce(big, 2::numeric)", "coalesce(big, 2)"),
            ("f('s'::regclass)", "f('s')"),
        ] {
            assert_ne!(form(a), form(b), "{a} and {b}");
        }
    }

    #[test]
    fn volatile_defaults() {
        for text in [
            "now()",
            "0",
            "'x'",
            "current_timestamp",
            "lower('A') || 'b'",
            "now() + interval '1 day'",
            "null",
            "true",
            "pg_catalog.now()",
            "'{}'::jsonb",
            "array[]::text[]",
        ] {
            assert!(!defines_volatile(text, Dialect::Postgres), "{text}");
        }
        for text in [
            "nextval('s')",
            "gen_random_uuid()",
            "random()",
            "clock_timestamp()",
            "mine()",
            "public.now()",
            "coalesce(random(), 1)",
            "uuid_generate_v4()",
            "((",
            "(select 1)",
        ] {
            assert!(defines_volatile(text, Dialect::Postgres), "{text}");
        }
        assert!(defines_volatile("(uuid())", Dialect::Mysql));
        assert!(!defines_volatile("current_timestamp", Dialect::Sqlite));
    }

    #[test]
    fn bars_are_no_concatenation_everywhere() {
        for dialect in Dialect::ALL {
            let here = check_expression("a || ' ' || b", dialect);
            match dialect {
                Dialect::Mysql | Dialect::Mariadb => {
                    let error = here.expect_err("it would be OR");
                    assert_eq!(error.offset, 2);
                    assert!(error.message.contains("concat(a, b)"), "{}", error.message);
                }
                Dialect::Postgres | Dialect::Sqlite => assert_eq!(here, Ok(())),
            }
        }
    }

    #[test]
    fn bounded() {
        let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
        assert!(check_expression(&nested(40), Dialect::Postgres).is_ok());
        assert!(check_expression(&nested(10_000), Dialect::Postgres).is_err());
        assert!(check_expression(&"case when ".repeat(10_000), Dialect::Postgres).is_err());
        assert!(check_expression(&format!("{}a", "not ".repeat(10_000)), Dialect::Postgres).is_err());
        assert!(check_expression(&format!("{}a", "- ".repeat(10_000)), Dialect::Postgres).is_err());
        assert!(check_expression(&format!("a{}", " + a".repeat(10_000)), Dialect::Postgres).is_err());
        assert!(check_expression(&format!("'{}'", "x".repeat(70_000)), Dialect::Postgres).is_err());
        assert!(query_references(&format!("select 1 from {}", "(select 1 from ".repeat(5_000)), Dialect::Postgres).is_err());
        let joined = format!("select 1 from {}t{}", "(".repeat(40), " join t on true)".repeat(40));
        assert!(query_references(&joined, Dialect::Postgres).is_ok());
        // Deep, and read in several ways by the parser: none may take exponential time.
        for (open, close) in [
            ("(", ")"),
            ("f(", ")"),
            ("(select (", "))"),
            ("cast(", " as int)"),
            ("case when ", " then 1 end"),
            ("a in (", ")"),
            ("array[", "]"),
            ("exists (select 1 from t where ", ")"),
            ("(1, ", ")"),
            ("any(", ")"),
            ("x[", "]"),
            ("interval ", ""),
            ("- (", ")"),
            ("extract(year from ", ")"),
            ("substring(", ")"),
            ("trim(", ")"),
            ("position(", " in a)"),
            ("{a: ", "}"),
            ("(a, b) -> (", ")"),
        ] {
            for dialect in Dialect::ALL {
                let deep = format!("{}a{}", open.repeat(45), close.repeat(45));
                let _ = expression_equivalent(&deep, "a", dialect);
                let _ = query_references(&format!("select 1 from {deep}"), dialect);
                let _ = query_references(&deep, dialect);
            }
        }
        // As long as it may be.
        for dialect in Dialect::ALL {
            for operator in [" + ", " and ", " or ", " || "] {
                if operator == " || " && matches!(dialect, Dialect::Mysql | Dialect::Mariadb) {
                    continue;
                }
                let long = format!("a{}", format!("{operator}b").repeat(1_900));
                assert_eq!(row_references(&long, dialect, "users", &SCOPE).expect("within bounds").columns.len(), 1_901);
                assert!(!expression_equivalent(&long, "a", dialect));
            }
        }
        let list = format!("a in ({})", vec!["'some label'"; 4_000].join(", "));
        assert!(check_expression(&list, Dialect::Postgres).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}", dialect in 0..4_usize) {
            let dialect = Dialect::ALL[dialect];
            let _ = row_references(&text, dialect, "users", &SCOPE);
            let _ = query_references(&text, dialect);
            prop_assert!(expression_equivalent(&text, &text.clone(), dialect));
            let _ = expression_equivalent(&text, "a", dialect);
            let _ = defines_volatile(&text, dialect);
        }

        #[test]
        fn any_row_of_words_is_read_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 0..14), dialect in 0..4_usize) {
            let dialect = Dialect::ALL[dialect];
            let text = words.join(" ");
            match row_references(&text, dialect, "users", &SCOPE) {
                Ok(found) => for column in found.columns {
                    let written = &text[column.span];
                    prop_assert!(written.to_lowercase().contains(&column.name.to_lowercase()), "{written} in {text}");
                },
                Err(error) => prop_assert!(error.offset <= text.len()),
            }
            let _ = query_references(&text, dialect);
            let spaced = format!(" {text}\n");
            prop_assert!(expression_equivalent(&text, &spaced, dialect));
            prop_assert!(query_equivalent(&text, &spaced, dialect, &|_| None));
        }
    }

    const WORDS: &[&str] = &[
        "a",
        "b",
        "\"Ä\"",
        "`b`",
        "users",
        ".",
        "(",
        ")",
        "[",
        "]",
        ",",
        "'it''s'",
        "'ü",
        "'",
        "1",
        "1.5",
        "-",
        "+",
        "*",
        "||",
        "::",
        "text",
        "int",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "between",
        "like",
        "case",
        "when",
        "then",
        "else",
        "end",
        "select",
        "from",
        "where",
        "with",
        "as",
        "union",
        "order by",
        "exists",
        "any",
        "array",
        "interval",
        "day",
        "cast",
        "extract",
        "now",
        "=",
        "<>",
        "->",
        "->>",
        "@>",
        "?",
        "$1",
        "$$",
        "\n",
        "--x\n",
        "/*",
        "*/",
        "date",
        "over",
        "filter",
        "within group",
        "lateral",
        "join",
        "on",
        "using",
        "collate",
        "binary",
        "_utf8mb4",
        "match",
        "against",
        "trim",
        "both",
        "substring",
        "for",
        "position",
        "{",
        "}",
        ":",
        "=>",
        ":=",
        "e'\\",
        "x'0",
        "\\",
    ];
}
