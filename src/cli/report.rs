//! From how it went to what a person reads and a program gets as exit code.

use std::process::ExitCode;

use crate::engine::Outcome;
use crate::model::{Hinted, StateError};
use crate::ops::Error;

use super::output;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It failed, and was rolled back.
    Failed = 1,
    /// The command line or a file that a person wrote is wrong.
    Usage = 2,
    /// Nothing was changed.
    Refused = 3,
    /// Manual intervention is required.
    Stuck = 4,
    /// Another switch of the app is running.
    Busy = 5,
    /// The worker could not continue; systemd starts it again (sysexits.h, `EX_SOFTWARE`).
    Crashed = 70,
    /// Ctrl-C while following; the switch continues (128 and SIGINT, as shells count).
    Interrupted = 130,
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::RolledBack => Self::Failed,
            Outcome::Stuck => Self::Stuck,
        }
    }
}

/// An error, and how the program ends by it.
#[derive(Debug)]
pub struct Ends {
    /// The exit code.
    pub exit: Exit,
    /// The error.
    pub cause: eyre::Report,
}

impl Ends {
    /// Makes an error end the program with `exit`.
    pub fn with(exit: Exit) -> impl FnOnce(eyre::Report) -> Self {
        move |cause| Self { exit, cause }
    }
}

impl From<Error> for Ends {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Invalid(_) => Exit::Usage,
            Error::Refused(_) | Error::Failed(_) => Exit::Refused,
            Error::Busy(_) => Exit::Busy,
            Error::HalfDone(_) => Exit::Failed,
        };
        Self::with(exit)(error.into())
    }
}

impl From<eyre::Report> for Ends {
    fn from(error: eyre::Report) -> Self {
        Error::from(error).into()
    }
}

impl From<StateError> for Ends {
    fn from(error: StateError) -> Self {
        Error::from(error).into()
    }
}

/// Prints the error, if it is one, and turns all into the exit code. What was done stays done, also where the answer
/// could not be written.
pub fn exit_code(result: Result<Exit, Ends>) -> ExitCode {
    let exit = match result {
        Ok(exit) => {
            if let Err(error) = output::finish() {
                report(&error);
            }
            exit
        }
        Err(ends) => {
            report(&ends.cause);
            ends.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// Prints an error and its hint to stderr.
pub fn report(error: &eyre::Report) {
    let hinted = Hinted::find(error);
    let details = hinted.map(Hinted::details).unwrap_or_default();
    output::error(&format!("{error:#}"), details, hinted.map(Hinted::hint));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppName, Invalid, OpenSwitch, ReleaseId, SwitchId};
    use crate::plan::Refusal;

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        let app = AppName::parse("shop").unwrap();
        let busy = Refusal::Busy {
            verb: "switch",
            app: app.clone(),
            open: OpenSwitch {
                id: SwitchId::numbered(1),
                release: ReleaseId::numbered(1),
                since: jiff::Timestamp::UNIX_EPOCH,
            },
        };
        let exit = |error: Error| Ends::from(error).exit;
        assert_eq!(exit(busy.into()), Exit::Busy);
        assert_eq!(exit(Error::busy("taken".into())), Exit::Busy);
        assert_eq!(exit(Refusal::NotInstalled { app }.into()), Exit::Refused);
        assert_eq!(exit(Refusal::Invalid(Invalid::new("no")).into()), Exit::Usage);
        assert_eq!(exit(Invalid::new("no").into()), Exit::Usage);
        assert_eq!(exit(Error::HalfDone(eyre::eyre!("half"))), Exit::Failed);
        assert_eq!(exit(eyre::eyre!("etcd is away").into()), Exit::Refused);
    }

    #[test]
    fn refusal_keeps_its_hint() {
        let app = AppName::parse("shop").unwrap();
        let ends = Ends::from(Error::from(Refusal::NoCursor { app }));
        assert_eq!(Hinted::find(&ends.cause).map(Hinted::hint), Some("bgctl repair shop"));
    }
}
