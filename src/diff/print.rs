//! A diff for people and for programs.
