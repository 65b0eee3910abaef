//! The short form of a column: an SQL column definition, taken apart.
