//! `crossfade schema`.

use schemars::Schema;

use super::Exit;
use super::output::print;
use crate::snapshot::json_schema;

/// Print the JSON Schema of a file format, for editors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which format.
    #[arg(value_enum, default_value_t)]
    file: File,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum File {
    /// Snapshots.
    #[default]
    Snapshot,
    /// The settings of a project, `crossfade.yaml`.
    Settings,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let schema = match args.file {
        File::Snapshot => json_schema::snapshot(),
        File::Settings => json_schema::settings(),
    };
    print(&text(&schema))?;
    Ok(Exit::Done)
}

fn text(schema: &Schema) -> String {
    format!("{:#}\n", schema.as_value())
}
