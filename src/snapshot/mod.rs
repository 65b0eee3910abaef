//! The YAML format of snapshots: reading it, resolving it for a dialect, and writing it in canonical form.
//!
//! Invariant: the only module that names `serde_yaml`. What leaves it as a [`model::Schema`] is consistent.

mod decode;
pub mod fmt;
pub mod json_schema;
pub mod model;
pub mod names;
mod raw;
mod resolve;
pub mod settings;
mod tree;
pub mod types;
mod write;
pub mod yaml;

pub use raw::{Snapshot, read};
pub use tree::{MAX_ALIASED_NODES, MAX_DEPTH, MAX_FILE_BYTES};
pub use write::{scalar, write};
