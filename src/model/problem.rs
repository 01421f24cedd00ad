//! What went wrong, in words for an operator.

use std::fmt::Display;

/// How much of a value an error shows, characters.
const SHOWN: usize = 200;

/// A value that cannot be what it was given for: the border refuses it before anything changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal of a value, as the end of the sentence "cannot use VALUE: ...".
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// A refusal of `value` as a `what`, because of `reason`. Of a long value the start is shown.
    pub fn value(what: &str, value: impl Display, reason: impl Display) -> Self {
        let value = value.to_string();
        let (shown, more) = match value.char_indices().nth(SHOWN) {
            Some((end, _)) => (value.get(..end).unwrap_or_default(), "..."),
            None => (value.as_str(), ""),
        };
        Self(format!("cannot use {shown:?}{more} as {what}: {reason}"))
    }
}

/// An error with what a person needs to act on it.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
pub struct Hinted {
    cause: eyre::Report,
    hint: String,
    details: Vec<String>,
}

impl Hinted {
    /// An error in `message` with its `hint`.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::from(eyre::Report::msg(message.into()), hint)
    }

    /// An error with its `hint`.
    pub fn from(cause: eyre::Report, hint: impl Into<String>) -> Self {
        Self {
            cause,
            hint: hint.into(),
            details: Vec::new(),
        }
    }

    /// The same with lines to show below it, such as the end of a log.
    #[must_use]
    pub fn with_details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// What a person can do, one sentence.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Lines to show below it.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// The first error in the chain of `report` that carries a hint.
    pub fn find(report: &eyre::Report) -> Option<&Self> {
        report.chain().find_map(|cause| cause.downcast_ref())
    }
}

/// Attaches a hint to an error on its way up.
pub trait Hint<T> {
    /// The same result; an error carries `hint` from here on.
    fn hint(self, hint: impl Into<String>) -> eyre::Result<T>;
}

impl<T, E: Into<eyre::Report>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> eyre::Result<T> {
        self.map_err(|error| Hinted::from(error.into(), hint).into())
    }
}
