//! Names in messages: the nearest known one, and YAML lines to paste.

/// The known name that a wrong one was probably meant to be.
pub(super) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = wrong.chars().count();
    let allowed = if length > 1 { (length / 3).max(1) } else { 0 };
    let scored = known.into_iter().map(|name| (strsim::damerau_levenshtein(&wrong.to_lowercase(), &name.to_lowercase()), name));
    scored.filter(|(distance, _)| *distance <= allowed).min().map(|(_, name)| name)
}

/// The advice that names it.
pub(super) fn did_you_mean<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(wrong, known).map(|name| format!("did you mean `{name}`?"))
}

/// A name or a scalar as it stands in YAML.
pub(super) fn yaml(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Where hints for the columns of a table stand.
pub(super) fn columns_place(table: &str) -> String {
    format!("transition/tables/{}/columns", yaml(table))
}
