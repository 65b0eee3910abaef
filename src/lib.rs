//! crossfade: the compiler for zero-downtime schema changes.
//!
//! Two declarative snapshots of a schema go in; scripts come out that take a live database from one to the other while
//! the old and the new version of an application run side by side. The modules stand in the order in which data passes
//! through them; a module uses only what stands above it.

pub mod diagnostic;
pub mod sql;
pub mod snapshot;
pub mod diff;
pub mod plan;
pub mod dialect;
pub mod emit;
#[cfg(feature = "postgres")]
pub mod engine;
pub mod cli;
