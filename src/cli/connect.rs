//! `crossfade connect`.

use super::Exit;

/// Print how a client of a version connects.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: connect")
}
