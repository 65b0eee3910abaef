//! The YAML format of snapshots: reading it, resolving it for a dialect, and writing it in canonical form.
//!
//! Invariant: the only module that names `serde_yaml`. What leaves it as a [`model::Schema`] is consistent.

pub mod fmt;
pub mod model;
