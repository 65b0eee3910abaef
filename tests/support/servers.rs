//! The servers that every case runs on.

use std::path::PathBuf;

use crossfade::engine::ephemeral::postgres::{Installation, Server, installations};

use super::lab::Lab;

/// The major versions that every case must pass on.
pub const MAJORS: [u32; 2] = [15, 18];

/// The installation of a major version. When it is missing: a loud message, or with `CROSSFADE_REQUIRE_ENGINES=1` an error.
pub fn installation(major: u32) -> Result<Option<Installation>, String> {
    let found = installations().into_iter().find(|installation| installation.major == major);
    if found.is_none() {
        let message = format!(
            "PostgreSQL {major} was not found: run scripts/setup-servers.sh, or name its programs' folder in CROSSFADE_POSTGRES_BIN"
        );
        if std::env::var("CROSSFADE_REQUIRE_ENGINES").is_ok_and(|value| value == "1") {
            return Err(message);
        }
        eprintln!("\n!!! NOT TESTED: {message}\n");
    }
    Ok(found)
}

/// A server of a major version to make databases on.
pub fn lab(major: u32) -> Result<Option<Lab>, String> {
    let Some(installation) = installation(major)? else { return Ok(None) };
    let server = Server::start(&installation).map_err(|error| error.to_string())?;
    Lab::new(server, psql(&installation)).map(Some).map_err(|failure| failure.to_string())
}

/// The installation's own `psql`, or another one: it is the newest that others have.
fn psql(installation: &Installation) -> Option<PathBuf> {
    let mut candidates = vec![installation.programs.join("psql")];
    candidates.extend(installations().into_iter().rev().map(|other| other.programs.join("psql")));
    candidates.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join("psql")));
    candidates.into_iter().find(|candidate| candidate.is_file())
}
