//! What a host looks like before a plan is made.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ByColor, Release, ReleaseId, Replica, Route, Staged, Stored, SwitchId};

/// One look at an app on its host; a plan is made from this and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The cursor; none where the app has none.
    pub cursor: Option<Stored>,
    /// Where the proxy sends requests.
    pub route: Route,
    /// Both instances.
    pub instances: ByColor<InstanceState>,
    /// The companions that run in each color, or would after a reboot: those that were started there and not stopped since.
    pub companions: ByColor<Vec<Replica>>,
    /// The releases on record, oldest first.
    pub releases: Vec<Release>,
    /// The release that was active before the active one, by the finished switches.
    pub previous: Option<ReleaseId>,
    /// The release that is staged.
    pub staged: Option<Staged>,
    /// The switch that is open.
    pub open: Option<OpenSwitch>,
    /// As whom this host moves cursors: [`HostId::id`](super::HostId::id).
    pub host: String,
    /// The number of the next switch.
    pub next_switch: SwitchId,
}

impl Observed {
    /// A release on record; none where there is no such release.
    pub fn release(&self, id: &ReleaseId) -> Option<&Release> {
        self.releases.iter().find(|release| release.id == *id)
    }
}

/// A switch that is not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSwitch {
    /// Which.
    pub id: SwitchId,
    /// The release that it makes active.
    pub release: ReleaseId,
    /// When it was opened.
    pub since: jiff::Timestamp,
}

impl fmt::Display for OpenSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, release, since } = self;
        write!(f, "switch {id} to {release} is open since {since:.0}")
    }
}

/// One instance, as systemd and the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceState {
    /// systemd's `ActiveState`.
    pub state: ActiveState,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// The release that is pinned to it.
    pub pinned: Option<ReleaseId>,
}

/// `ActiveState` of a unit (org.freedesktop.systemd1(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActiveState {
    /// Runs, and its health check passed.
    Active,
    /// Runs, and reads its configuration anew.
    Reloading,
    /// Does not run.
    #[default]
    Inactive,
    /// Does not run: it ended with an error.
    Failed,
    /// Starts, or is being checked.
    Activating,
    /// Stops.
    Deactivating,
}

impl ActiveState {
    /// Reads systemd's word; a state this program does not know is `None`.
    pub fn from_systemd(word: &str) -> Option<Self> {
        Some(match word {
            "active" => Self::Active,
            "reloading" => Self::Reloading,
            "inactive" => Self::Inactive,
            "failed" => Self::Failed,
            "activating" => Self::Activating,
            "deactivating" => Self::Deactivating,
            _ => return None,
        })
    }

    /// Whether no process of the unit is left.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Inactive | Self::Failed)
    }
}

impl fmt::Display for ActiveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Reloading => "reloading",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
        })
    }
}

/// Whether a unit starts at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitFile {
    /// Yes.
    Enabled,
    /// No.
    Disabled,
    /// It cannot be started at all.
    Masked,
}
