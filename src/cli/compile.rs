//! `crossfade compile`.

use super::Exit;

/// Compile two snapshots into the scripts of every phase.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: compile")
}
