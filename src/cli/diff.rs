//! `crossfade diff`.

use super::Exit;

/// Print what differs between two snapshots.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: diff")
}
