//! Counts what happens, while it happens.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::clock::Clock;
use crate::failure::{Failure, Kind};
use crate::histogram::{Histogram, milliseconds};
use crate::report::{FailureNote, Long, ReleaseLine, Websockets};
use crate::samples::{Row, Samples};

/// Most failures that are told one by one.
const NOTES: usize = 20;

/// Everything that is counted.
#[derive(Debug)]
pub struct Tally {
    clock: Clock,
    samples: Option<Samples>,
    /// Requests that were sent or that found no connection.
    pub sent: u64,
    /// Requests that were answered, whole and right.
    pub answered: u64,
    /// Requests that were POST.
    pub posts: u64,
    /// Connections opened for short requests.
    pub connections: u64,
    /// Time from a request to the end of its answer.
    pub latencies: Histogram,
    /// By release and color, in the order of their first answers.
    pub releases: Vec<ReleaseLine>,
    /// By kind, long ones included.
    pub failures: BTreeMap<Kind, u64>,
    /// Statuses other than 2xx.
    pub statuses: BTreeMap<u16, u64>,
    /// The first failures.
    pub notes: Vec<FailureNote>,
    /// Numbers of the POSTs that were answered.
    pub answered_posts: HashSet<u64>,
    /// Slow downloads.
    pub downloads: Long,
    /// Slow uploads.
    pub uploads: Long,
    /// Websockets.
    pub websockets: Websockets,
}

/// One short request that has come to its end.
#[derive(Debug)]
pub struct Sample<'a> {
    /// For a POST: its number.
    pub post: Option<u64>,
    /// When the wait for it began.
    pub from: Instant,
    /// When it was written, or was to be.
    pub sent: Instant,
    /// When its answer or its failure was there.
    pub ended: Instant,
    /// The head of the answer, where one came.
    pub head: Option<(u16, &'a HeaderMap)>,
    /// What went wrong.
    pub failure: Option<&'a Failure>,
}

impl Tally {
    /// Nothing yet; `samples` gets each request.
    pub fn new(clock: Clock, samples: Option<Samples>) -> Self {
        Self {
            clock,
            samples,
            sent: 0,
            answered: 0,
            posts: 0,
            connections: 0,
            latencies: Histogram::default(),
            releases: Vec::new(),
            failures: BTreeMap::new(),
            statuses: BTreeMap::new(),
            notes: Vec::new(),
            answered_posts: HashSet::new(),
            downloads: Long::default(),
            uploads: Long::default(),
            websockets: Websockets::default(),
        }
    }

    /// Counts a short request.
    pub fn record(&mut self, sample: &Sample<'_>) {
        let (sent, ended) = (self.clock.unix_us(sample.sent), self.clock.unix_us(sample.ended));
        let waited = sample.ended.saturating_duration_since(sample.from);
        let latency = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let header = |name| sample.head.and_then(|(_, headers)| headers.get(name)).map_or("", text);
        let (release, color) = (header("x-release"), header("x-color"));

        self.sent += 1;
        self.posts += u64::from(sample.post.is_some());
        if let Some(samples) = &mut self.samples {
            let status = sample.head.map_or(0, |(status, _)| status);
            let kind = sample.failure.map(|failure| failure.kind);
            samples.write(&Row {
                sent,
                ended,
                latency,
                post: sample.post.is_some(),
                status,
                release,
                color,
                kind,
            });
        }
        if let Some(failure) = sample.failure {
            let what = if sample.post.is_some() { "POST" } else { "GET" };
            if let (Kind::Status, Some((status, _))) = (failure.kind, sample.head) {
                *self.statuses.entry(status).or_default() += 1;
            }
            self.fail(what, sample.ended, release, failure);
            return;
        }
        self.answered += 1;
        self.latencies.record(latency);
        self.answered_posts.extend(sample.post);
        self.release(release, color)
            .note(milliseconds(sent), milliseconds(ended));
    }

    /// Counts a failure.
    pub fn fail(&mut self, what: &'static str, at: Instant, release: &str, failure: &Failure) {
        *self.failures.entry(failure.kind).or_default() += 1;
        if self.notes.len() < NOTES {
            self.notes.push(FailureNote {
                at_ms: milliseconds(self.clock.unix_us(at)),
                what,
                kind: failure.kind,
                release: release.to_owned(),
                detail: failure.detail.clone(),
            });
        }
    }

    /// Writes out what is still held; fails where the samples could not be written.
    pub fn finish(&mut self) -> std::io::Result<()> {
        self.samples.take().map_or(Ok(()), Samples::finish)
    }

    /// The line of a release in a color; searched from the end, because the newest answers.
    fn release(&mut self, release: &str, color: &str) -> &mut ReleaseLine {
        let known = self
            .releases
            .iter()
            .rposition(|line| line.release == release && line.color == color);
        let index = known.unwrap_or(self.releases.len());
        if known.is_none() {
            self.releases.push(ReleaseLine::new(release, color));
        }
        #[expect(clippy::indexing_slicing, reason = "the index was found, or pushed just now")]
        &mut self.releases[index]
    }
}

/// A header's value as text.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}
