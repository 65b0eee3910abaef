//! What the tests on real servers share.

pub mod case;
pub mod catalog;
pub mod check;
pub mod engine;
pub mod lab;
pub mod program;
pub mod schema_lock;
pub mod scripts;
pub mod servers;
pub mod shape;
pub mod splitter;
pub mod text;
