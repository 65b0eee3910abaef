//! `crossfade explain`.

use super::Exit;

/// Explain a code of an error or a hazard.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: explain")
}
