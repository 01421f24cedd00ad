//! The record that says which color is active.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Color, ReleaseId};

/// Which color of an app is active, with which release, and which switch said so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The active color; none before the first switch.
    pub active: Option<Color>,
    /// The release that is active in it.
    pub release: Option<ReleaseId>,
    /// Who moved the cursor last: `HOST/SWITCH`, so that a switch which was interrupted knows its own move again.
    pub moved_by: Option<String>,
}

/// Counts the changes of a cursor: a change must name the revision it was decided on. etcd's `mod_revision` where etcd is the
/// store; in the local store it starts at 1, and at the time in microseconds where the file was damaged and written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cursor that lives elsewhere, as a host saw it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What it said.
    pub cursor: Cursor,
    /// At which revision.
    pub revision: Revision,
    /// When.
    pub at: jiff::Timestamp,
}

/// A cursor as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What it said.
    pub cursor: Cursor,
    /// At which revision.
    pub revision: Revision,
}
