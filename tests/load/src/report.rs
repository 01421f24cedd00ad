//! What is told at the end.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::Kind;
use crate::histogram::Latency;

/// One run. Times of day are milliseconds since 1970 UTC, exact to the microsecond.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where the load went.
    pub url: String,
    /// When the first request could be sent.
    pub started_ms: f64,
    /// When the last answer was there.
    pub ended_ms: f64,
    /// Short requests; `sent` is `answered` and `failed` together.
    pub sent: u64,
    /// Short requests answered, whole and right.
    pub answered: u64,
    /// Everything that failed: short requests, transfers, websockets, POSTs that were lost or doubled.
    pub failed: u64,
    /// Short requests that were POST.
    pub posts: u64,
    /// Short requests answered per second.
    pub per_second: f64,
    /// Connections opened for short requests.
    pub connections: u64,
    /// Failures by kind.
    pub failures: BTreeMap<Kind, u64>,
    /// Answers with a status other than 2xx, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// The first failures, one by one.
    pub first_failures: Vec<FailureNote>,
    /// Time from a request to the end of its answer; at a fixed rate from when it was due, where all connections were
    /// busy then.
    pub latency_ms: Latency,
    /// Answers by release and color, in the order of their first answers.
    pub releases: Vec<ReleaseLine>,
    /// Slow downloads.
    pub downloads: Long,
    /// Slow uploads.
    pub uploads: Long,
    /// Websockets.
    pub websockets: Websockets,
    /// What the app's ledger says about the POSTs; `None` without one.
    pub ledger: Option<LedgerLine>,
    /// POSTs that the instance that served at the end had got twice; `None` where it does not say.
    pub doubled_at_last: Option<u64>,
}

/// One failure.
#[derive(Debug, Serialize)]
pub struct FailureNote {
    /// When.
    pub at_ms: f64,
    /// `GET`, `POST`, `download`, `upload` or `websocket`.
    pub what: &'static str,
    /// What it is counted as.
    pub kind: Kind,
    /// Who answered, where someone did.
    pub release: String,
    /// What exactly happened.
    pub detail: String,
}

/// The right answers of one release in one color.
#[derive(Debug, Serialize)]
pub struct ReleaseLine {
    /// `X-Release` of the answers; empty without one.
    pub release: String,
    /// `X-Color` of the answers; empty without one.
    pub color: String,
    /// How many.
    pub answers: u64,
    /// When the first of their requests was sent.
    pub first_sent_ms: f64,
    /// When the first of them was there.
    pub first_answered_ms: f64,
    /// When the last of their requests was sent: after a flip, how long the old color still got requests.
    pub last_sent_ms: f64,
    /// When the last of them was there.
    pub last_answered_ms: f64,
}

/// Slow transfers of one direction.
#[derive(Debug, Default, Serialize)]
pub struct Long {
    /// Begun.
    pub started: u64,
    /// Ended whole and right.
    pub whole: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// The slowest whole one.
    pub longest_ms: f64,
}

/// Websockets.
#[derive(Debug, Default, Serialize)]
pub struct Websockets {
    /// Opened.
    pub opened: u64,
    /// Messages that came back.
    pub echoes: u64,
    /// Closed by the server, as it should be done: with a close frame.
    pub closed_by_server: u64,
    /// Not opened, ended without a close frame, or a message came back wrong or not at all.
    pub failed: u64,
}

/// The POSTs, uploads included, against the app's ledger.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerLine {
    /// Different ids of this run in the ledger.
    pub noted: u64,
    /// Answered, and not in the ledger.
    pub lost: u64,
    /// More than once in the ledger.
    pub doubled: u64,
    /// In the ledger, and not answered; these are among the failures.
    pub unanswered: u64,
}

impl ReleaseLine {
    /// Without an answer yet.
    pub(crate) fn new(release: &str, color: &str) -> Self {
        Self {
            release: release.to_owned(),
            color: color.to_owned(),
            answers: 0,
            first_sent_ms: f64::INFINITY,
            first_answered_ms: f64::INFINITY,
            last_sent_ms: 0.0,
            last_answered_ms: 0.0,
        }
    }

    /// Counts an answer.
    pub(crate) fn note(&mut self, sent_ms: f64, answered_ms: f64) {
        self.answers += 1;
        self.first_sent_ms = self.first_sent_ms.min(sent_ms);
        self.first_answered_ms = self.first_answered_ms.min(answered_ms);
        self.last_sent_ms = self.last_sent_ms.max(sent_ms);
        self.last_answered_ms = self.last_answered_ms.max(answered_ms);
    }
}
