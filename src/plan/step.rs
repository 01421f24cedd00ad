//! The steps that a switch is made of.

use std::fmt;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional as optional_duration, required as duration};
use serde::{Deserialize, Serialize};

use crate::model::{Color, HealthCheck, ReleaseId, Replica, Revision, Route, Staged, Verify, in_words};

/// One change to the host or the store, or one proof. Each can run twice, and holds all that it needs to know: whoever
/// performs it makes no choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Step {
    /// Pin a release to a color: it is what runs there from the next start on; none: nothing can start there.
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
        /// The health check of the release that is pinned to it.
        health: HealthCheck,
    },
    /// Stop a color and wait until it is down.
    Stop {
        /// Which.
        color: Color,
        /// How long its release may take to end before it is killed.
        #[serde(with = "duration")]
        timeout: Duration,
    },
    /// Run the release's own checks against a color.
    Verify {
        /// Which.
        color: Color,
        /// The release in it, which the commands are told.
        release: ReleaseId,
        /// The release that was active before, which they are told, too.
        #[serde(default)]
        previous: Option<ReleaseId>,
        /// The checks.
        #[serde(flatten)]
        verify: Verify,
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
    /// Put on record that a release is staged in a color, from now on.
    Stage {
        /// Where.
        color: Color,
        /// What.
        release: ReleaseId,
        /// How long it can be promoted; none: for ever.
        #[serde(with = "optional_duration", default)]
        expires: Option<Duration>,
    },
    /// Put on record again that a release is staged, as it was.
    Restage {
        /// What was on record.
        staged: Staged,
    },
    /// Remove from the record that a release is staged.
    Unstage {
        /// Where.
        color: Color,
        /// What.
        release: ReleaseId,
    },
    /// Prove that what a color runs, and would run after a restart, is the release that was staged there and nothing else.
    Prove {
        /// Which.
        color: Color,
        /// The release.
        release: ReleaseId,
        /// The sum of the template unit that it was staged with.
        unit: Option<String>,
    },
    /// Start again what was staged in a color. That it does not start is no failure: what is staged and down is drift.
    Revive {
        /// Which.
        color: Color,
        /// The health check of the release that is pinned to it.
        health: HealthCheck,
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
    /// Remove what [`Step::Defer`] of this switch wrote down.
    Recall,
    /// Send all new requests elsewhere. bgctl 0.1.0 wrote `flip`.
    #[serde(alias = "flip")]
    Route {
        /// Where to.
        to: Route,
    },
    /// Have the proxy hold new requests until they are sent to a color again.
    Hold {
        /// How long each of them may wait.
        #[serde(with = "duration")]
        limit: Duration,
        /// Whether it fails where nginx does not show that it holds them: before a color is stopped for that. On the way back
        /// nothing waits for nginx.
        prove: bool,
    },
    /// Ask through the proxy whether a color answers.
    Confirm {
        /// Which.
        color: Color,
        /// What its health path answers with through the proxy; none: it is not asked for that, since its release has no HTTP
        /// check, or another path than the site asks.
        health: Option<Expected>,
    },
    /// Stop companions of a color, which do not start at boot any more, and wait until they are down.
    StopCompanions {
        /// Of which color.
        color: Color,
        /// Which of them.
        replicas: Vec<Replica>,
        /// How long they may take at most before they are killed.
        #[serde(with = "duration")]
        timeout: Duration,
    },
    /// Start companions in a color, now and at boot. Those that run already as the release has them are left alone.
    StartCompanions {
        /// In which color.
        color: Color,
        /// The release that they are of.
        release: ReleaseId,
        /// Which of them.
        replicas: Vec<Replica>,
        /// How long they must stay up, once they run.
        #[serde(with = "duration")]
        stay_up: Duration,
    },
    /// Watch a color that takes traffic.
    Bake {
        /// Which.
        color: Color,
        /// For how long.
        #[serde(with = "duration")]
        duration: Duration,
        /// What is asked of it.
        health: HealthCheck,
    },
    /// Watch a color that takes traffic until a person confirms its release; a failure where nobody does in time.
    Await {
        /// Which.
        color: Color,
        /// How long it is waited for.
        #[serde(with = "duration")]
        within: Duration,
        /// What is asked of it meanwhile.
        health: HealthCheck,
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

/// The answer of a health path that means healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Its status, 100 to 599.
    pub status: u16,
    /// How long it may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
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
            Self::Stage { .. } => "stage",
            Self::Restage { .. } => "restage",
            Self::Unstage { .. } => "unstage",
            Self::Prove { .. } => "prove",
            Self::Revive { .. } => "revive",
            Self::Promote { .. } => "promote",
            Self::Demote { .. } => "demote",
            Self::Defer { .. } => "defer",
            Self::Recall => "recall",
            Self::Route { .. } => "route",
            Self::Hold { .. } => "hold",
            Self::Confirm { .. } => "confirm",
            Self::StopCompanions { .. } => "stop-companions",
            Self::StartCompanions { .. } => "start-companions",
            Self::Bake { .. } => "bake",
            Self::Await { .. } => "await",
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
            Self::Start { color, .. } => write!(f, "start {color} and wait until it is healthy"),
            Self::Stop { color, .. } => write!(f, "stop {color}"),
            Self::Verify { color, .. } => write!(f, "verify {color}"),
            Self::Enable { color } => write!(f, "enable {color} for boot"),
            Self::Disable { color } => write!(f, "disable {color} for boot"),
            Self::Stage { color, release, .. } => write!(f, "stage {release}: it stays in {color}"),
            Self::Restage { staged } => write!(f, "stage {} in {} again", staged.release, staged.color),
            Self::Unstage { color, release } => write!(f, "unstage {release}, which is in {color}"),
            Self::Prove { color, release, .. } => write!(f, "prove that {color} runs {release} as it was staged"),
            Self::Revive { color, .. } => write!(f, "start again what was staged in {color}"),
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
            Self::Route { to: Route::To(to) } => write!(f, "route all new requests to {to}"),
            Self::Route { to: Route::None } => write!(f, "route requests to no color"),
            Self::Route { to: Route::Held } => write!(f, "leave requests held"),
            Self::Hold { limit, .. } => write!(f, "hold new requests, each for {limit:?} at most"),
            Self::Confirm { color, .. } => write!(f, "confirm through nginx that {color} answers"),
            Self::StopCompanions { color, replicas, .. } => {
                write!(f, "stop companions of {color}: {}", in_words(replicas))
            }
            Self::StartCompanions { color, replicas, .. } => {
                write!(f, "start companions of {color}: {}", in_words(replicas))
            }
            Self::Bake { color, duration, .. } => write!(f, "bake: watch {color} for {duration:?}"),
            Self::Await { color, within, .. } => {
                write!(f, "await `bgctl confirm` of {color}, {within:?} at most")
            }
            Self::Drain { color, timeout } => write!(f, "drain {color}, {timeout:?} at most"),
        }
    }
}

/// A step of a plan, with what undoes it and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What to do.
    pub step: Step,
    /// What undoes it, in this order; empty where there is nothing to undo.
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
    /// A step whose failure undoes everything up to it.
    pub(super) fn undoable(step: Step, undo: impl IntoIterator<Item = Step>, reason: impl Into<String>) -> Self {
        Self {
            step,
            undo: undo.into_iter().collect(),
            reason: reason.into(),
            on_failure: OnFailure::Undo,
        }
    }

    /// A step past the point of no return.
    pub(super) fn forward(step: Step, reason: impl Into<String>) -> Self {
        Self {
            step,
            undo: Vec::new(),
            reason: reason.into(),
            on_failure: OnFailure::Retry,
        }
    }

    /// Whether a reboot undoes the step's effect, so that a switch which is resumed after one does it again.
    pub fn is_volatile(&self) -> bool {
        matches!(self.step, Step::Start { .. } | Step::StartCompanions { .. })
    }
}
