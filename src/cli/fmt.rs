//! `crossfade fmt`.

use super::Exit;

/// Bring snapshots into canonical form.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: fmt")
}
