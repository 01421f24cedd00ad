//! The steps that a switch is made of.

use std::fmt;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use crate::model::{Color, ReleaseId, Revision};

/// One change to the host or the store, or one proof. Each can run twice, and holds all that it needs to know: whoever
/// performs it makes no choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// Make a release what runs in a color from its next start on; none: nothing can start there.
    Pin {
        /// Where.
        color: Color,
        /// What.
        release: Option<ReleaseId>,
    },
    /// Start a color and wait until its health check passed; one that runs already is left alone.
    Start {
        /// Which.
        color: Color,
    },
    /// Stop a color and wait until it is down.
    Stop {
        /// Which.
        color: Color,
    },
    /// Run the manifest's verify commands against a color.
    Verify {
        /// Which.
        color: Color,
    },
    /// Start a color at boot.
    Enable {
        /// Which.
        color: Color,
    },
    /// Do not start a color at boot.
    Disable {
        /// Which.
        color: Color,
    },
    /// Move the cursor, if it is still at the revision that the plan was made on.
    Promote {
        /// That revision.
        expected: Revision,
        /// The color that becomes active.
        to: Color,
        /// The release in it.
        release: ReleaseId,
    },
    /// Move the cursor back, if it was this switch that moved it. Where it is still at the revision that the plan was made
    /// on, it moves on from there, so that a promote which was under way when its answer was lost comes too late.
    Demote {
        /// That revision.
        expected: Revision,
        /// The color that was active before.
        to: Option<Color>,
        /// The release that was.
        release: Option<ReleaseId>,
    },
    /// Write down on this host that the cursor is to move, for when the store is back.
    Defer {
        /// The revision that this host last knew the cursor at.
        expected: Revision,
        /// The color that becomes active.
        to: Color,
        /// The release in it.
        release: ReleaseId,
    },
    /// Take back what this switch wrote down so.
    Recall,
    /// Send all new requests to a color; none: nginx answers that nothing is deployed.
    Flip {
        /// Which.
        to: Option<Color>,
    },
    /// Ask through nginx whether a color answers.
    Confirm {
        /// Which.
        color: Color,
    },
    /// Watch a color that takes traffic.
    Bake {
        /// Which.
        color: Color,
        /// For how long.
        #[serde(with = "duration")]
        duration: Duration,
    },
    /// Wait until a color has no request left.
    Drain {
        /// Which.
        color: Color,
        /// How long at most; what is left then is cut when the color stops.
        #[serde(with = "duration")]
        timeout: Duration,
    },
}

impl Step {
    /// The step's name in output and logs, one word.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Pin { .. } => "pin",
            Self::Start { .. } => "start",
            Self::Stop { .. } => "stop",
            Self::Verify { .. } => "verify",
            Self::Enable { .. } => "enable",
            Self::Disable { .. } => "disable",
            Self::Promote { .. } => "promote",
            Self::Demote { .. } => "demote",
            Self::Defer { .. } => "defer",
            Self::Recall => "recall",
            Self::Flip { .. } => "flip",
            Self::Confirm { .. } => "confirm",
            Self::Bake { .. } => "bake",
            Self::Drain { .. } => "drain",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin {
                color,
                release: Some(release),
            } => write!(f, "pin {release} to {color}"),
            Self::Pin { color, release: None } => write!(f, "pin nothing to {color}"),
            Self::Start { color } => write!(f, "start {color} and wait until it is healthy"),
            Self::Stop { color } => write!(f, "stop {color}"),
            Self::Verify { color } => write!(f, "verify {color}"),
            Self::Enable { color } => write!(f, "enable {color} for boot"),
            Self::Disable { color } => write!(f, "disable {color} for boot"),
            Self::Promote { expected, to, release } => {
                write!(
                    f,
                    "promote {to} with {release}: move the cursor from revision {expected}"
                )
            }
            Self::Demote { to, .. } => write!(f, "move the cursor back to {}", Color::or_none(*to)),
            Self::Defer { to, release, .. } => write!(
                f,
                "defer the promote of {to} with {release}: the store learns of it when it is back"
            ),
            Self::Recall => f.write_str("recall the deferred promote"),
            Self::Flip { to: Some(to) } => write!(f, "flip nginx to {to}"),
            Self::Flip { to: None } => write!(f, "flip nginx to no color"),
            Self::Confirm { color } => write!(f, "confirm through nginx that {color} answers"),
            Self::Bake { color, duration } => write!(f, "bake: watch {color} for {duration:?}"),
            Self::Drain { color, timeout } => write!(f, "drain {color}, {timeout:?} at most"),
        }
    }
}

/// A step of a plan, with what undoes it and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What to do.
    pub step: Step,
    /// What takes it back, in this order; empty where there is nothing to take back.
    pub undo: Vec<Step>,
    /// Why it is there, for people.
    pub reason: String,
    /// What a failure of it means.
    pub on_failure: OnFailure,
}

/// What the failure of a step means for its switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Everything up to here is undone.
    Undo,
    /// The switch is past the point of no return: it is tried again.
    Retry,
}

impl PlannedStep {
    /// Whether a reboot takes the step's effect away, so that a switch which goes on after one does it again.
    pub fn is_volatile(&self) -> bool {
        matches!(self.step, Step::Start { .. })
    }
}
