//! `crossfade man`.

use super::Exit;
use super::output::print;

/// Print the man page of the program, or of one of its commands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A command, such as `compile`.
    command: Option<String>,
}

/// `program`: the whole command line.
pub(crate) fn run(args: &Args, mut program: clap::Command) -> anyhow::Result<Exit> {
    // Only then its commands know whose they are.
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                anstream::eprintln!("error: there is no command `{name}`\n\nhelp: `crossfade --help` lists them");
                return Ok(Exit::Usage);
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}
