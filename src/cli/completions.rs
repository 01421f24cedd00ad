//! `bgctl completions`: what a shell needs to complete the command line, from clap's definition of it.

use clap::{Command, CommandFactory as _};

use super::args::{self, Arguments};
use super::output;
use super::report::Exit;

/// Prints them.
pub fn run(verb: &args::Completions) -> eyre::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(verb.shell, &mut visible(), "bgctl", &mut text);
    output::file(&String::from_utf8(text)?);
    output::finish().map(|()| Exit::Done)
}

/// The command line without what is hidden, which clap would complete as well.
fn visible() -> Command {
    let all = Arguments::command();
    Command::new("bgctl")
        .disable_help_subcommand(true)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(all.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}
