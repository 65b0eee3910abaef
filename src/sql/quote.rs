//! Names and literals as a dialect writes them.
