//! `crossfade plan`.

use super::Exit;

/// Print the steps from one snapshot to another.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: plan")
}
