//! The program: parse, log, run, report, exit code.

use std::process::ExitCode;

use bgctl::cli;
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    // bgctl gives what it makes its mode itself; this is for the programs that it runs (`nginx -t` makes log files).
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    cli::log(&arguments);
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(eyre::Report::from)
        .and_then(|runtime| runtime.block_on(cli::run(arguments)));
    cli::exit_code(result)
}
