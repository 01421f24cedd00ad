//! From how it went to what a person reads and a program gets as exit code.

use std::process::ExitCode;

use crate::config::ConfigError;
use crate::config::env_file::EnvFileError;
use crate::engine::Outcome;
use crate::model::{Hinted, Invalid};
use crate::ops::lock::Busy;
use crate::plan::Refusal;

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

/// An error that ends the program with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
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

/// Prints the error, if it is one, and turns all into the exit code. What was done stays done, also where the answer
/// could not be written.
pub fn exit_code(result: eyre::Result<Exit>) -> ExitCode {
    let told = if result.is_ok() { output::finish() } else { Ok(()) };
    if let Err(error) = told.as_ref().and(result.as_ref()) {
        report(error);
    }
    let exit = result.unwrap_or_else(|error| classify(&error));
    ExitCode::from(exit as u8)
}

/// Prints an error and its hint to stderr.
pub fn report(error: &eyre::Report) {
    let refusal = error.downcast_ref::<Refusal>().and_then(Refusal::hint);
    let ends = error.downcast_ref::<Ends>().map(|ends| &ends.cause);
    let hinted = Hinted::find(ends.unwrap_or(error));
    let hint = hinted.map(|hinted| hinted.hint().to_owned()).or(refusal);
    let details = hinted.map(Hinted::details).unwrap_or_default();
    output::error(&format!("{error:#}"), details, hint.as_deref());
}

fn classify(error: &eyre::Report) -> Exit {
    let is_invalid = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Invalid>() || cause.is::<ConfigError>() || cause.is::<EnvFileError>()
    };
    if error.is::<Busy>() || matches!(error.downcast_ref(), Some(Refusal::Busy { .. })) {
        Exit::Busy
    } else if let Some(ends) = error.downcast_ref::<Ends>() {
        ends.exit
    } else if error.is::<Refusal>() {
        Exit::Refused
    } else if error.chain().any(is_invalid) {
        Exit::Usage
    } else {
        Exit::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppName, OpenSwitch, ReleaseId, SwitchId};

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
        assert_eq!(classify(&busy.into()), Exit::Busy);
        assert_eq!(classify(&Busy("taken".into()).into()), Exit::Busy);
        assert_eq!(classify(&Refusal::NotInstalled { app }.into()), Exit::Refused);
        assert_eq!(classify(&Invalid::new("no").into()), Exit::Usage);
        assert_eq!(
            classify(&eyre::Report::from(Invalid::new("no")).wrap_err("cannot read x")),
            Exit::Usage
        );
        assert_eq!(
            classify(&Ends::with(Exit::Failed)(eyre::eyre!("half")).into()),
            Exit::Failed
        );
        assert_eq!(classify(&eyre::eyre!("etcd is away")), Exit::Refused);
        let stuck = Ends::with(Exit::Stuck)(Invalid::new("no").into());
        assert_eq!(classify(&stuck.into()), Exit::Stuck);
    }
}
