//! One run, from the first connection to the report.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Request, header};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use crate::clock::Clock;
use crate::connection::{Connection, full};
use crate::histogram::milliseconds;
use crate::ledger::{self, Ids};
use crate::options::Options;
use crate::pace::Pace;
use crate::report::Report;
use crate::samples::Samples;
use crate::tally::Tally;
use crate::{check, transfer, websocket, worker};

/// How often the file that ends a run is looked for.
const STOP_FILE: Duration = Duration::from_millis(50);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file for the samples can't be written.
    #[error("cannot write samples to {}: {source}", path.display())]
    Samples {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The app's ledger can't be read.
    #[error("cannot read the ledger {}: {source}", path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SIGINT and SIGTERM can't be waited for.
    #[error("cannot handle signals: {0}")]
    Signals(std::io::Error),
}

/// What all parts of a run share.
#[derive(Debug)]
pub(crate) struct Run {
    /// What was asked for.
    pub options: Options,
    /// When the next request is due.
    pub pace: Pace,
    /// The counts.
    pub tally: RefCell<Tally>,
    /// Ids of the POSTs.
    pub ids: Ids,
    /// The body of each short POST.
    pub post_body: Bytes,
    /// Its checksum.
    pub post_checksum: u64,
    stop: watch::Sender<bool>,
}

impl Run {
    /// Becomes true when nothing new shall be begun.
    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

/// Puts load on the target until the run's end, or SIGINT or SIGTERM; answers and transfers under way are waited for.
///
/// Fails where samples or ledger can't be used; failed requests are no error but part of the report.
pub async fn run(options: Options) -> Result<Report, Error> {
    LocalSet::new().run_until(run_here(options)).await
}

/// The same, within a `LocalSet`.
async fn run_here(options: Options) -> Result<Report, Error> {
    let samples = options
        .samples
        .as_ref()
        .map(|path| Samples::create(path).map_err(|error| samples_error(path, error)));
    let (samples, clock) = (samples.transpose()?, Clock::start());
    let start = Instant::now();
    let started_us = clock.unix_us(start);
    let post_body = check::body(0, u64::from(options.post_bytes));
    let run = Rc::new(Run {
        pace: Pace::new(start, options.rate, options.post_share),
        tally: RefCell::new(Tally::new(clock, samples)),
        ids: Ids::new(started_us),
        post_checksum: check::fnv1a(check::EMPTY, &post_body),
        post_body,
        stop: watch::Sender::new(false),
        options,
    });

    let tasks = begin(&run);
    let ended = end(&run.options).await;
    run.stop.send_replace(true);
    join_all(tasks).await;
    ended.map_err(Error::Signals)?;
    let ended_us = clock.unix_us(Instant::now());
    finish(&run, started_us, ended_us).await
}

/// Starts a task for each connection.
fn begin(run: &Rc<Run>) -> Vec<tokio::task::JoinHandle<()>> {
    let options = &run.options;
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let run = Rc::clone(run);
        tasks.push(spawn_local(async move { worker::work(&run).await }));
    }
    for number in 0..options.downloads {
        let run = Rc::clone(run);
        tasks.push(spawn_local(async move { transfer::download(&run, number).await }));
    }
    for number in 0..options.uploads {
        let run = Rc::clone(run);
        tasks.push(spawn_local(async move { transfer::upload(&run, number).await }));
    }
    for _ in 0..options.websockets {
        let run = Rc::clone(run);
        tasks.push(spawn_local(async move { websocket::talk(&run).await }));
    }
    tasks
}

/// Waits for whatever ends the run first.
async fn end(options: &Options) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let file = async {
        let Some(path) = &options.stop_file else {
            return std::future::pending().await;
        };
        // A file that can't be looked for is one that is not there yet.
        while !tokio::fs::try_exists(path).await.unwrap_or(false) {
            tokio::time::sleep(STOP_FILE).await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(options.longest()) => {}
        () = file => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Makes the report.
async fn finish(run: &Run, started_us: u64, ended_us: u64) -> Result<Report, Error> {
    let posted = run.tally.borrow().posts + run.tally.borrow().uploads.started > 0;
    let doubled_at_last = if posted {
        seen(run).await.map(|seen| seen.doubled)
    } else {
        None
    };
    let mut tally = run.tally.borrow_mut();
    if let (Err(error), Some(path)) = (tally.finish(), &run.options.samples) {
        return Err(samples_error(path, error));
    }
    let ledger = match &run.options.ledger {
        Some(path) => {
            let compared = ledger::compare(path, &run.ids, &tally.answered_posts);
            Some(compared.map_err(|source| Error::Ledger {
                path: path.clone(),
                source,
            })?)
        }
        None => None,
    };
    // The ledger knows of every instance, the last instance only of its own.
    let wrong = ledger
        .as_ref()
        .map_or(doubled_at_last.unwrap_or(0), |ledger| ledger.lost + ledger.doubled);
    // Transfers may go on when the last short answer is long there.
    let last_ms = tally
        .releases
        .iter()
        .map(|line| line.last_answered_ms)
        .fold(0.0, f64::max);
    let busy_ms = (last_ms - milliseconds(started_us)).max(1.0);
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    let per_second = tally.answered as f64 * 1000.0 / busy_ms;
    Ok(Report {
        url: run.options.url.to_string(),
        started_ms: milliseconds(started_us),
        ended_ms: milliseconds(ended_us),
        sent: tally.sent,
        answered: tally.answered,
        failed: tally.failures.values().sum::<u64>() + wrong,
        posts: tally.posts,
        per_second,
        connections: tally.connections,
        latency_ms: tally.latencies.latency(),
        failures: std::mem::take(&mut tally.failures),
        statuses: std::mem::take(&mut tally.statuses),
        first_failures: std::mem::take(&mut tally.notes),
        releases: std::mem::take(&mut tally.releases),
        downloads: std::mem::take(&mut tally.downloads),
        uploads: std::mem::take(&mut tally.uploads),
        websockets: std::mem::take(&mut tally.websockets),
        ledger,
        doubled_at_last,
    })
}

/// The answer of `/echo/seen`.
#[derive(Deserialize)]
struct Seen {
    doubled: u64,
}

/// Asks the instance that serves now which POSTs it got twice; `None` where it has no such page.
async fn seen(run: &Run) -> Option<Seen> {
    let uri = format!("{}/seen", run.options.post_path);
    let request = Request::get(uri)
        .header(header::HOST, run.options.authority())
        .body(full(Bytes::new()))
        .ok()?;
    let ask = async {
        let mut connection = Connection::open(run.options.url.address()).await.ok()?;
        let answer = connection
            .send(request)
            .await
            .ok()?
            .into_body()
            .collect()
            .await
            .ok()?
            .to_bytes();
        serde_json::from_slice(&answer).ok()
    };
    tokio::time::timeout(run.options.request_timeout(), ask)
        .await
        .ok()
        .flatten()
}

/// The error for a file of samples.
fn samples_error(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::Samples {
        path: path.to_owned(),
        source,
    }
}
