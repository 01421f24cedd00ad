//! Why a use case was not carried out.

use std::fmt;
use std::io;

use crate::config::{ConfigError, FileError};
use crate::model::{Hinted, Invalid, StateError};
use crate::plan::Refusal;

/// Why a use case was not carried out. The report in each is for an operator.
#[derive(Debug)]
pub enum Error {
    /// What it was given is wrong: an argument, or a file that a person wrote. Nothing was changed.
    Invalid(eyre::Report),
    /// What was asked for is not to be done. Nothing was changed.
    Refused(eyre::Report),
    /// Another command is at work on the app, here or on another host. Nothing was changed.
    Busy(eyre::Report),
    /// It could not be done. Nothing was changed, or all of it was undone.
    Failed(eyre::Report),
    /// It is done in part. The same command again does the rest.
    HalfDone(eyre::Report),
}

impl Error {
    /// A refusal, with what a person can do.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused(Hinted::new(message, hint).into())
    }

    /// Another command is at work on the app.
    pub fn busy(message: String) -> Self {
        Self::Busy(eyre::Report::msg(message))
    }

    fn report(&self) -> &eyre::Report {
        let (Self::Invalid(error)
        | Self::Refused(error)
        | Self::Busy(error)
        | Self::Failed(error)
        | Self::HalfDone(error)) = self;
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.report(), f)
    }
}

impl From<Error> for eyre::Report {
    fn from(error: Error) -> Self {
        let (Error::Invalid(error)
        | Error::Refused(error)
        | Error::Busy(error)
        | Error::Failed(error)
        | Error::HalfDone(error)) = error;
        error
    }
}

impl From<eyre::Report> for Error {
    fn from(error: eyre::Report) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Invalid> for Error {
    fn from(error: Invalid) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Invalid(error) => Self::Invalid(error),
            FileError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let hint = refusal.hint();
        let wrap = |refusal: Refusal| match hint {
            Some(hint) => Hinted::from(refusal.into(), hint).into(),
            None => refusal.into(),
        };
        match refusal {
            Refusal::Busy { .. } => Self::Busy(wrap(refusal)),
            Refusal::Invalid(error) => Self::Invalid(error.into()),
            Refusal::NotInstalled { .. }
            | Refusal::NoCursor { .. }
            | Refusal::NothingToGoBackTo { .. }
            | Refusal::NothingStaged { .. }
            | Refusal::StopFirst { .. }
            | Refusal::NotAsStaged { .. }
            | Refusal::UnknownRelease { .. }
            | Refusal::AlreadyActive { .. }
            | Refusal::OtherRuntime { .. }
            | Refusal::ReleaseExists { .. } => Self::Refused(wrap(refusal)),
        }
    }
}
