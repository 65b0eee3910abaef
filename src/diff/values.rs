//! `values:`: whether a list of values covers both shapes of a column.

use crate::diagnostic::Diagnostic;
use crate::snapshot::model::{Column, ColumnHints, Otherwise, Schema, Table, Type, TypeKind, Value, ValueMap};

use super::Context;
use super::model::Mapping;
use super::names::{columns_place, did_you_mean, yaml};

/// The values of a type that has few of them.
fn domain<'s>(ty: &Type, schema: &'s Schema) -> Option<Vec<&'s str>> {
    match &ty.kind {
        _ if ty.array_dimensions > 0 => None,
        TypeKind::Boolean => Some(vec!["false", "true"]),
        TypeKind::Enum(name) => schema.enums.get(name).map(|found| found.labels.iter().map(String::as_str).collect()),
        _ => None,
    }
}

/// A value as a label says it; `None` for NULL, which always maps to NULL unless it is listed.
pub(super) fn spelled(value: &Value) -> Option<&str> {
    match value {
        Value::Null => None,
        Value::Boolean(true) => Some("true"),
        Value::Boolean(false) => Some("false"),
        Value::Number(text) | Value::Text(text) => Some(text),
    }
}

impl Context<'_> {
    /// Says what a list of values leaves open.
    pub(super) fn check_values(
        &mut self,
        table: &Table,
        old: &Column,
        new: &Column,
        hints: &ColumnHints,
        values: &ValueMap,
        down: Option<Mapping<'_>>,
    ) {
        let name = &new.name;
        let place = columns_place(&table.name);
        let old_domain = domain(&old.ty, self.old);
        let new_domain = domain(&new.ty, self.new);
        for (domain, values, side) in [
            (&old_domain, values.pairs.iter().map(|pair| (&pair.old, pair.span)).collect::<Vec<_>>(), "old"),
            (&new_domain, values.pairs.iter().map(|pair| (&pair.new, pair.span)).collect(), "new"),
        ] {
            let Some(domain) = domain else { continue };
            for (value, span) in values {
                if let Some(value) = spelled(value).filter(|value| !domain.contains(value)) {
                    let message = format!("`{value}` is no value of the {side} type of `{}.{name}`", table.name);
                    let mut error = Diagnostic::error("unknown-value", message).at(span, "");
                    error.help.extend(did_you_mean(value, domain.iter().copied()));
                    self.said.push(error);
                }
            }
        }

        let span = if values.span.is_nowhere() { hints.span } else { values.span };
        // The way up: every old value becomes something.
        if hints.up.is_none() && values.otherwise.is_none() {
            match &old_domain {
                Some(domain) => {
                    let missing: Vec<&str> =
                        domain.iter().copied().filter(|label| !values.pairs.iter().any(|pair| spelled(&pair.old) == Some(label))).collect();
                    if !missing.is_empty() {
                        let message = format!("`values` of `{}.{name}` does not say what becomes of {}", table.name, list(&missing));
                        let key = |label: &&str| if old.ty.kind == TypeKind::Boolean { (*label).to_owned() } else { yaml(label) };
                        let lines: Vec<String> = missing.iter().map(|label| format!("{}: …", key(label))).collect();
                        let error = Diagnostic::error("values-not-total", message).at(span, "");
                        self.said.push(error.help(format!(
                            "add `{}` to `values` of `{}` under {place}, or `else: …`",
                            lines.join(", "),
                            yaml(name)
                        )));
                    }
                }
                None => {
                    let message = format!("`values` of `{}.{name}` does not say what becomes of values that it does not list", table.name);
                    let error = Diagnostic::error("values-not-total", message).at(span, "");
                    self.said.push(error.help(format!(
                        "add `else: VALUE` to `values` of `{}` under {place}, or `else: error` to refuse such rows",
                        yaml(name)
                    )));
                }
            }
        }
        // The way down: every new value was something.
        if down.is_none()
            && let Some(domain) = new_domain
        {
            let otherwise = match &values.otherwise {
                Some(Otherwise::Value(value)) => spelled(value),
                Some(Otherwise::Error) | None => None,
            };
            let orphans: Vec<&str> = domain
                .iter()
                .copied()
                .filter(|label| Some(*label) != otherwise && !values.pairs.iter().any(|pair| spelled(&pair.new) == Some(label)))
                .collect();
            if !orphans.is_empty() {
                let message = format!("no old value of `{}.{name}` becomes {}: what does the old version see?", table.name, list(&orphans));
                let error = Diagnostic::error("needs-down", message).at(span, "");
                self.said.push(error.help(format!("add `down: \"…\"`, an expression over the new row, to `{}` under {place}", yaml(name))));
            }
        }
    }
}

fn list(labels: &[&str]) -> String {
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}
