//! Sessions on a database: a live one, or a throw-away server that is started for a rehearsal or a test.
//!
//! Invariant: the only module that names a database driver or starts a database's programs; it knows connections and
//! statements, and nothing of snapshots, plans or phases.

pub mod ephemeral;
pub mod postgres;
