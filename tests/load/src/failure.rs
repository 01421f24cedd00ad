//! The kinds of failure.

use std::error::Error;
use std::fmt;
use std::io;

use serde::Serialize;

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No connection: nobody listens.
    ConnectRefused,
    /// No connection, for another reason.
    Connect,
    /// The connection was reset before the answer was whole.
    Reset,
    /// The connection was closed before the answer began.
    ClosedBeforeAnswer,
    /// The connection was closed within the answer.
    ClosedWithinAnswer,
    /// The answer came with a status other than 2xx.
    Status,
    /// The answer came whole, and was not the one to this request.
    WrongBody,
    /// The answer took too long.
    Timeout,
    /// What came was no HTTP, or no websocket.
    Protocol,
}

/// A failure.
#[derive(Debug)]
pub struct Failure {
    /// What it is counted as.
    pub kind: Kind,
    /// What exactly happened, for a person.
    pub detail: String,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: Kind, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            detail: detail.to_string(),
        }
    }

    /// From the error of a connection attempt.
    pub fn connect(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => Kind::ConnectRefused,
            _ => Kind::Connect,
        };
        Self::new(kind, error)
    }

    /// From hyper's error, before the answer began or within it.
    pub fn exchange(error: &hyper::Error, within_answer: bool) -> Self {
        let closed = if within_answer {
            Kind::ClosedWithinAnswer
        } else {
            Kind::ClosedBeforeAnswer
        };
        let kind = match io_kind(error) {
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) => {
                Kind::Reset
            }
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected) => closed,
            _ if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => closed,
            _ => Kind::Protocol,
        };
        Self::new(kind, chain(error))
    }
}

/// The kind of the I/O error that is behind an error.
pub fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

/// An error with its causes, on one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        // Some errors tell their cause themselves.
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}
