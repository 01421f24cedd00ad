//! What can happen to a switch.

use serde::{Deserialize, Serialize};

use crate::model::Hinted;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened to a switch; `step` is an index into the plan's steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A worker took the switch up.
    Resumed {
        /// The boot it runs in, see [`crate::host::boot_id`]. Compared, and not read.
        boot: String,
    },
    /// A step is about to run.
    Started {
        /// Which.
        step: usize,
    },
    /// What a step watches was like this when it began, so that a worker which resumes the step knows what changed since.
    Watched {
        /// Which step.
        step: usize,
        /// What it was like.
        baseline: Baseline,
    },
    /// A step ended well.
    Done {
        /// Which.
        step: usize,
        /// What is worth knowing about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A step did not end well.
    Failed {
        /// Which.
        step: usize,
        /// Whether this attempt has for certain changed nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
        /// Why.
        #[serde(flatten)]
        failure: Failure,
    },
    /// A person asked to take the switch back.
    AbortRequested,
    /// The undo of a step is about to run.
    UndoStarted {
        /// Which.
        step: usize,
    },
    /// The undo of a step ended well.
    UndoDone {
        /// Which.
        step: usize,
    },
    /// The undo of a step did not end well.
    UndoFailed {
        /// Which.
        step: usize,
        /// Why.
        #[serde(flatten)]
        failure: Failure,
    },
}

/// An instance at the moment from which on it is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its start, by systemd's id (systemd.exec(5), `$INVOCATION_ID`); none where it was not running.
    pub invocation: Option<String>,
    /// How often systemd had restarted it by itself (`NRestarts`).
    pub restarts: u32,
    /// The moment, by the clock that counts from the boot (`CLOCK_BOOTTIME` of `clock_gettime(2)`), milliseconds.
    pub boottime_ms: u64,
}

/// Why a step failed, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What could not be done, to what, and why; one line.
    pub error: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Lines to show below it, such as the end of an instance's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl From<&eyre::Report> for Failure {
    fn from(report: &eyre::Report) -> Self {
        let hinted = Hinted::find(report);
        Self {
            error: format!("{report:#}"),
            hint: hinted.map(|hinted| hinted.hint().to_owned()),
            details: hinted.map(|hinted| hinted.details().to_vec()).unwrap_or_default(),
        }
    }
}
