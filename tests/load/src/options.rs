//! The command line, and what it may ask for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::target::Target;

/// Puts load on a site of this machine, and accounts for every request.
///
/// Nothing is retried. Exit code 0: every request was answered, whole and right; 1: something failed; 2: usage.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Options {
    /// The site: http, and an address of this machine (127.0.0.0/8, `::1`) or of a container (10/8, 172.16/12)
    #[arg(long, value_name = "URL")]
    pub url: Target,
    /// Name to send as Host instead of the address
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,

    /// Keep-alive connections with short requests
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub connections: u16,
    /// Requests a second over all connections; 0: each connection sends as soon as it has an answer
    #[arg(long, value_name = "RPS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub rate: u32,
    /// Each short request on a connection of its own: a reload of nginx may close one that is kept while a request is on its way
    #[arg(long)]
    pub no_keep_alive: bool,
    /// Part of the requests that are POST, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub post_share: f64,
    /// What is read
    #[arg(long, value_name = "PATH", default_value = "/api/instance", value_parser = path)]
    pub get_path: String,
    /// What is posted to; must answer as the demo app's /echo does
    #[arg(long, value_name = "PATH", default_value = "/echo", value_parser = path)]
    pub post_path: String,
    /// Length of each POST's body
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    pub post_bytes: u32,

    /// Websockets held open, with a message four times a second
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub websockets: u16,
    /// Slow downloads, one after the other on so many connections
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub downloads: u16,
    /// Slow uploads, one after the other on so many connections
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=256))]
    pub uploads: u16,
    /// Seconds that the slowest download and upload take; the others take less, evenly spread
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = transfer_seconds)]
    pub transfer_seconds: f64,
    /// Length of each download and upload
    #[arg(long, value_name = "N", default_value_t = 256 << 10, value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    pub transfer_bytes: u32,

    /// Ends after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, required_unless_present = "stop_file")]
    pub duration: Option<f64>,
    /// Ends as soon as this file exists (after `--duration`, or an hour, at the latest)
    #[arg(long, value_name = "PATH")]
    pub stop_file: Option<PathBuf>,
    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    pub timeout: f64,

    /// File in which the app notes each POST's id (the demo app's `ECHO_LEDGER`): none may be missing or doubled
    #[arg(long, value_name = "PATH")]
    pub ledger: Option<PathBuf>,
    /// Writes each request to this file, as CSV
    #[arg(long, value_name = "PATH")]
    pub samples: Option<PathBuf>,
    /// Prints the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Shown after the options.
const EXAMPLES: &str = "\
Examples:
  load --url http://127.0.0.1/ --duration 10
  load --url http://127.0.0.1/ --host shop.example --rate 1500 --post-share 0.3 --stop-file /tmp/stop --json
  load --url http://127.0.0.1/ --post-share 0.5 --websockets 8 --downloads 8 --uploads 8 --duration 60";

/// Longest run, seconds.
const LONGEST_RUN: f64 = 3_600.0;

impl Options {
    /// How long the run takes at most.
    pub fn longest(&self) -> Duration {
        Duration::from_secs_f64(self.duration.unwrap_or(LONGEST_RUN))
    }

    /// How long one short request may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// What goes into the Host header.
    pub fn authority(&self) -> String {
        self.host.clone().unwrap_or_else(|| self.url.authority().to_owned())
    }
}

/// A part of the whole, 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    between(text, 0.0, 1.0)
}

/// A time of a run or a request.
fn seconds(text: &str) -> Result<f64, String> {
    between(text, 0.001, LONGEST_RUN)
}

/// A time of a transfer; the demo app takes 120 seconds at most.
fn transfer_seconds(text: &str) -> Result<f64, String> {
    between(text, 0.0, 120.0)
}

/// A number within bounds.
fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().map_err(|_| "not a number".to_owned())?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("must be from {least} to {most}"))
    }
}

/// A path on the site.
fn path(text: &str) -> Result<String, String> {
    let target = text.parse::<hyper::Uri>().map_err(|error| error.to_string())?;
    if text.starts_with('/') && target.authority().is_none() {
        Ok(text.to_owned())
    } else {
        Err("must start with /".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["load", "--url", "http://127.0.0.1"].iter().chain(arguments))
    }

    #[test]
    fn command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn end_is_required_and_bounded() {
        assert!(parse(&[]).is_err());
        assert_eq!(
            parse(&["--stop-file", "x"]).unwrap().longest(),
            Duration::from_secs(3600)
        );
        assert_eq!(
            parse(&["--stop-file", "x", "--duration", "0.5"]).unwrap().longest(),
            Duration::from_millis(500)
        );
        assert!(parse(&["--duration", "3601"]).is_err());
        assert!(parse(&["--duration", "nan"]).is_err());
    }

    #[test]
    fn load_is_bounded() {
        for arguments in [
            ["--connections", "1025"],
            ["--rate", "100001"],
            ["--post-share", "1.1"],
            ["--get-path", "api"],
        ] {
            assert!(
                parse(&[arguments[0], arguments[1], "--duration", "1"]).is_err(),
                "{arguments:?}"
            );
        }
    }
}
