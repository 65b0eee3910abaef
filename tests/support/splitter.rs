//! Scripts as the database's own client would send them: the library's own splitter.

pub use crossfade::sql::split::{Bracket, Statement, split, split_as};
