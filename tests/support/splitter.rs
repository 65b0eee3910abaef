//! Scripts as the database's own client would send them: the library's own splitter.

#[allow(unused_imports, reason = "not every test uses all of it")]
pub use crossfade::sql::split::{Bracket, Statement, split, split_as};
