//! From what is wanted and what was observed to a list of steps, each with its undo and its reason; or to a refusal.
//!
//! Everything is decided here. A switch from blue to green:
//!
//! ```text
//!        before the promote            |  both run               |  past the point of no return
//!   pin > start > verify > enable > promote > flip > confirm > bake > disable > drain > stop
//!                                      |                         |
//!   a failure undoes: the active color |  a failure moves back   |  a failure is tried again
//!   never noticed                      |                         |
//! ```

mod refusal;
mod step;
mod switch;

use serde::{Deserialize, Serialize};

use crate::model::{AppName, Color, ReleaseId, SwitchId};

pub use refusal::Refusal;
pub use step::{OnFailure, PlannedStep, Step};
pub use switch::{rollback, rollback_locally, rollback_target, switch};

/// One attempt to make a release active: what is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The app.
    pub app: AppName,
    /// The switch that this is the plan of.
    pub switch: SwitchId,
    /// Who this switch is to all hosts that share the store: `HOST/SWITCH`.
    pub mover: String,
    /// What was asked for.
    pub verb: Verb,
    /// The release that becomes active.
    pub release: ReleaseId,
    /// The release that was active.
    pub replaces: Option<ReleaseId>,
    /// The color that was active: where nginx sent requests, or where the cursor was if it sent them nowhere.
    pub from: Option<Color>,
    /// The color that becomes active.
    pub to: Color,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make a new release active.
    Switch,
    /// Make an earlier release active again.
    Rollback,
}

impl Verb {
    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Rollback => "rollback",
        }
    }

    /// As in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Rollback => "roll back",
        }
    }
}
