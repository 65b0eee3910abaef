//! Comparing texts for a reader.

/// Fails with a unified diff when the two texts differ.
pub fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(expected, found);
    Err(format!("{what}\n{}", indent(&diff.unified_diff().context_radius(1).header("expected", "found").to_string())))
}

/// Every line moved to the right.
pub fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}
