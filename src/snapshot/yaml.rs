//! Writing YAML, for files that crossfade makes itself.

/// A value as a YAML document.
///
/// # Errors
/// When the value holds what YAML can't say (a map whose keys are maps, say): a fault of crossfade.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}
