//! `crossfade schema`.

use super::Exit;

/// Print the JSON Schema of the snapshot format.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet: schema")
}
