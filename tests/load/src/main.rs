//! `load`: see [`load::Options`].

use std::process::ExitCode;

use clap::Parser;
use load::{Options, Report};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let json = options.json;
    match load::run(options)
        .await
        .map_err(|error| error.to_string())
        .and_then(|report| tell(&report, json))
    {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}

/// Prints the report; the number of failures.
#[expect(clippy::print_stdout, reason = "the report is the answer")]
fn tell(report: &Report, json: bool) -> Result<u64, String> {
    if json {
        println!(
            "{}",
            serde_json::to_string(report).map_err(|error| format!("cannot write the report: {error}"))?
        );
    } else {
        print!("{report}");
    }
    Ok(report.failed)
}

/// Prints an error.
#[expect(clippy::print_stderr, reason = "errors go to standard error")]
fn complain(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
