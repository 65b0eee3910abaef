//! What a dialect can do, and how it writes names, types and literals.
//!
//! Invariant: facts only. Each one names the page of the manual, or the measurement, that it comes from.

pub mod expression;
pub mod postgres;
