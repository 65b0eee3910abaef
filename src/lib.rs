//! crossfade: the compiler for zero-downtime schema changes.
//!
//! Two declarative snapshots of a schema go in; scripts come out that take a live database from one to the other while
//! the old and the new version of an application run side by side. The modules stand in the order in which data passes
//! through them; a module uses only what stands above it.
//!
//! The way from YAML to SQL, each stage by its name:
//!
//! ```
//! use crossfade::diagnostic::Sources;
//! use crossfade::dialect::postgres::Postgres;
//! use crossfade::snapshot::model::{Access, Schema};
//! use crossfade::sql::Dialect;
//! use crossfade::{diff, emit, plan, snapshot};
//!
//! let mut sources = Sources::default();
//! let mut schema = |name: &str, text: &str| -> Schema {
//!     let file = sources.add(name, text);
//!     let (snapshot, faults) = snapshot::read(&sources, &[file]);
//!     assert!(faults.is_empty());
//!     let (schema, faults) = snapshot.resolve(Dialect::Postgres);
//!     assert!(faults.is_empty());
//!     schema
//! };
//! let old = schema("old.yaml", "
//! version: ocata
//! tables:
//!   users:
//!     columns: {id: bigint primary key, email: text}
//! ");
//! let new = schema("new.yaml", "
//! version: pike
//! tables:
//!   users:
//!     columns: {id: bigint primary key, email: text, newsletter: boolean not null default false}
//! ");
//!
//! let (diff, questions) = diff::diff(&old, &new, Dialect::Postgres, &diff::Options::default());
//! assert!(questions.is_empty());
//! let settings = plan::Settings { access: Access::Shared, schema: "public".to_owned(), allow: Vec::new() };
//! let (plan, faults) = plan::plan(&diff, &settings, &Postgres);
//! assert!(faults.is_empty());
//! let scripts = emit::scripts(&plan)?;
//!
//! assert!(scripts.expand.contains(
//!     "alter table public.users\n  add column if not exists newsletter boolean not null default false;"
//! ));
//! # Ok::<(), emit::EmitError>(())
//! ```

pub mod diagnostic;
pub mod sql;
pub mod snapshot;
pub mod diff;
pub mod plan;
pub mod dialect;
pub mod emit;
pub mod report;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod engine;
pub mod inspect;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod run;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub mod rehearse;
pub mod cli;
