//! Requests that flow while something else happens, by the program `load`, and what became of each.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use eyre::{OptionExt as _, WrapErr as _};
use fs_err as fs;
use serde::Deserialize;

use crate::app::SHARED;
use crate::figure::quantile;

/// How long requests flow before anything else happens, so that all connections are open.
const SETTLE: Duration = Duration::from_millis(700);

/// A `load` that runs.
#[derive(Debug)]
pub struct Load {
    child: Child,
    stop: String,
    samples: String,
}

/// What it tells at its end, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Short requests.
    pub sent: f64,
    /// Everything that failed.
    pub failed: f64,
    /// Slow downloads.
    pub downloads: Long,
    /// Slow uploads.
    pub uploads: Long,
    /// Websockets.
    pub websockets: Websockets,
    /// The POSTs against the app's ledger.
    pub ledger: Option<Ledger>,
    first_failures: Vec<serde_json::Value>,
}

/// Slow transfers of one direction.
#[derive(Debug, Deserialize)]
pub struct Long {
    /// Ended whole and right.
    pub whole: f64,
    /// Ended otherwise.
    pub failed: f64,
    /// The slowest, milliseconds.
    pub longest_ms: f64,
}

/// Websockets.
#[derive(Debug, Deserialize)]
pub struct Websockets {
    /// Closed by the app with a close frame.
    pub closed_by_server: f64,
    /// Ended otherwise.
    pub failed: f64,
}

/// POSTs against the ledger.
#[derive(Debug, Deserialize)]
pub struct Ledger {
    /// Answered, and not in the ledger.
    pub lost: f64,
    /// More than once in it.
    pub doubled: f64,
}

/// A short request. Times of day are milliseconds since 1970.
#[derive(Debug)]
pub struct Sample {
    /// When it was sent.
    pub sent: f64,
    /// When its answer was there.
    pub ended: f64,
    /// How long it took, milliseconds.
    pub latency: f64,
    /// The color that answered.
    pub color: String,
}

/// What became of everything.
#[derive(Debug)]
pub struct Loaded {
    /// The counts.
    pub report: Report,
    /// Each short request.
    pub samples: Vec<Sample>,
}

impl Load {
    /// Sends `rate` requests a second, half of them POST, over 64 keep-alive connections to a site of this host, and
    /// what `more` asks for.
    pub fn start(port: u16, host: &str, rate: u32, more: &[&str]) -> eyre::Result<Self> {
        let rate = rate.to_string();
        let short = ["--connections", "64", "--post-share", "0.5", "--rate", &rate];
        let load = Self::only(port, host, &[&short, more].concat())?;
        std::thread::sleep(SETTLE);
        Ok(load)
    }

    /// Sends only what `arguments` ask for.
    pub fn only(port: u16, host: &str, arguments: &[&str]) -> eyre::Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let program = std::env::current_exe()?.with_file_name("load");
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let (stop, samples) = (
            format!("{SHARED}/load-{number}.stop"),
            format!("{SHARED}/load-{number}.csv"),
        );
        if fs::exists(&stop)? {
            fs::remove_file(&stop)?;
        }
        let child = Command::new(&program)
            .args(["--url", &format!("http://127.0.0.1:{port}/"), "--host", host, "--json"])
            .args(["--duration", "1800", "--stop-file", &stop, "--samples", &samples])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .wrap_err_with(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child, stop, samples })
    }

    /// Ends it; what became of everything.
    pub fn end(mut self) -> eyre::Result<Loaded> {
        fs::write(&self.stop, "")?;
        let mut said = String::new();
        let mut stdout = self.child.stdout.take().ok_or_eyre("load has no output")?;
        std::io::Read::read_to_string(&mut stdout, &mut said)?;
        // It exits with 1 where something failed; the report says what.
        self.child.wait()?;
        let report: Report = serde_json::from_str(&said).wrap_err("load gave no report")?;
        for failure in &report.first_failures {
            crate::host::say(&format!("    failed: {failure}"));
        }
        let text = fs::read_to_string(&self.samples)?;
        let samples = text.lines().skip(1).filter_map(Sample::parse).collect();
        fs::remove_file(&self.samples)?;
        Ok(Loaded { report, samples })
    }
}

impl Drop for Load {
    /// Where the measuring broke off.
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to kill.
        let _ended = self.child.kill();
    }
}

impl Sample {
    /// `sent_us,ended_us,latency_us,method,status,release,color,failure`
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let mut ms = || Some(fields.next()?.parse::<f64>().ok()? / 1000.0);
        let (sent, ended, latency) = (ms()?, ms()?, ms()?);
        let color = fields.nth(3)?.to_owned();
        Some(Self {
            sent,
            ended,
            latency,
            color,
        })
    }
}

impl Loaded {
    /// How long after `moved` the last answer came that was asked for after it and came from the side that `is_old`
    /// knows; 0 where none did.
    pub fn last_of_old(&self, moved: f64, until: f64, is_old: impl Fn(&Sample) -> bool) -> f64 {
        let late = self
            .samples
            .iter()
            .filter(|sample| sample.sent >= moved && sample.sent < until);
        late.filter(|sample| is_old(sample))
            .map(|sample| sample.ended - moved)
            .fold(0.0, f64::max)
    }

    /// The 99th percentile of the times of requests that were sent in (or outside of) one of the `spans`.
    pub fn p99(&self, spans: &[(f64, f64)], inside: bool) -> f64 {
        let is_in = |sample: &&Sample| spans.iter().any(|(from, to)| (*from..=*to).contains(&sample.sent)) == inside;
        let times: Vec<_> = self.samples.iter().filter(is_in).map(|sample| sample.latency).collect();
        quantile(&times, 0.99)
    }
}
