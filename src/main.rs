//! The program: parse, log, run, report, exit code.

use std::process::ExitCode;

use bgctl::cli;
use clap::Parser as _;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    // bgctl gives what it makes its mode itself; this is for the programs that it runs (`nginx -t` makes log files).
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    cli::log(&arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(|error| eyre::Report::from(error).into())
        .and_then(|runtime| {
            let result = runtime.block_on(cli::run(arguments));
            // Whoever looks up a name may be at it for long after nobody waits for it any more.
            runtime.shutdown_background();
            result
        });
    cli::exit_code(result)
}
