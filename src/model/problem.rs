//! What went wrong, in words for an operator.

use std::fmt::Display;

/// A value that cannot be what it was given for: the border refuses it before anything changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl Invalid {
    /// A refusal of a value, as the end of the sentence "cannot use VALUE: ...".
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// A refusal of `value` as a `what`, because of `reason`.
    pub fn value(what: &str, value: impl Display, reason: impl Display) -> Self {
        Self(format!("cannot use {:?} as {what}: {reason}", value.to_string()))
    }
}

/// An error with one line that tells a person what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
pub struct Hinted {
    cause: eyre::Report,
    hint: String,
}

impl Hinted {
    /// An error in `message` with its `hint`.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            cause: eyre::Report::msg(message.into()),
            hint: hint.into(),
        }
    }

    /// The error below the hint.
    pub fn cause(&self) -> &eyre::Report {
        &self.cause
    }

    /// What a person can do, one sentence.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// Attaches a hint to an error on its way up.
pub trait Hint<T> {
    /// The same result; an error carries `hint` from here on.
    fn hint(self, hint: impl Into<String>) -> eyre::Result<T>;
}

impl<T, E: Into<eyre::Report>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> eyre::Result<T> {
        self.map_err(|error| {
            let cause = error.into();
            let hint = hint.into();
            Hinted { cause, hint }.into()
        })
    }
}
