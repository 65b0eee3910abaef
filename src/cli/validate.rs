//! `crossfade validate`.

use super::Exit;

/// Check snapshots and print every fault.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: validate")
}
