//! Files that crossfade makes itself, written and read back.

/// A value as a YAML document.
///
/// # Errors
/// When the value holds what YAML can't say (a map whose keys are maps, say): a fault of crossfade.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}

/// Reads what [`write()`] wrote. Keys that the type does not name are passed over.
///
/// # Errors
/// When the text is no such document.
pub fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text).map_err(|error| error.to_string())
}
