//! What differs between two schemas: pairs, lenses, and the questions that only the author can answer.
//!
//! Invariant: it never guesses. What two snapshots and their hints don't say comes back as a diagnostic that names it.

pub mod model;
