//! `crossfade completions`.

use clap_complete::Shell;

use super::Exit;
use super::output::print;

/// Print the completions of a shell, to be read by it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// `program`: the whole command line.
pub(crate) fn run(args: &Args, mut program: clap::Command) -> anyhow::Result<Exit> {
    let name = program.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut text);
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}
