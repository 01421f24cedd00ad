//! What a host looks like, down to what somebody may have changed by hand.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::model::{
    ActiveState, AppName, ByColor, Cursor, Holder, HostId, Known, NotALease, OpenSwitch, ReleaseId, Replica,
    ResolvedImage, Route, Staged, Stored, UnitFile, UnitName,
};

/// One look at all of an app; what differs is decided from this and nothing else.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The app.
    pub app: AppName,
    /// This host.
    pub host: HostId,
    /// The cursor.
    pub cursor: CursorFact,
    /// Who holds the app's lease, if anybody; an error where its key is not bgctl's.
    pub lease: Result<Option<Holder>, NotALease>,
    /// What this host did while the store was away, and the store does not know.
    pub deferred: Option<DeferredFact>,
    /// The release that is staged.
    pub staged: Option<StagedFact>,
    /// Where nginx sends requests; to blue where there is no route at all.
    pub route: Route,
    /// Whether there is a route.
    pub has_route: bool,
    /// Where nginx says that it sends requests; an error where it does not answer.
    pub nginx: Result<Route, String>,
    /// nginx's unit, where that is down.
    pub nginx_down: Option<UnitName>,
    /// Both colors.
    pub colors: ByColor<ColorFacts>,
    /// The releases on record that can be read.
    pub known: Vec<ReleaseId>,
    /// The files that are not as install would write them.
    pub files: Vec<FileFact>,
    /// The unit that runs switches, and how it starts at boot.
    pub worker: (UnitName, UnitFile),
    /// What is on record and cannot be read.
    pub damaged: Vec<Damaged>,
    /// The switch that is open.
    pub open: Option<SwitchFact>,
    /// Whether only one color may ever run.
    pub stop_first: bool,
    /// Whether the idle color is left running.
    pub keep_warm: bool,
    /// How long a color may take to finish its requests.
    pub drain: Duration,
}

/// The cursor, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorFact {
    /// It is this.
    Is(Stored),
    /// There is none.
    Missing,
    /// It cannot be used, and why.
    Broken(String),
    /// The store does not tell.
    Unknown {
        /// Why.
        why: String,
        /// What this host last knew.
        known: Option<Known>,
    },
}

/// A move of this host that the store does not know of yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferredFact {
    /// Where it is written down.
    pub path: Utf8PathBuf,
    /// What the cursor is to say.
    pub cursor: Cursor,
    /// When it was made.
    pub at: jiff::Timestamp,
}

/// A release that is staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFact {
    /// What is on record.
    pub staged: Staged,
    /// Whether it is not to be promoted any more.
    pub has_expired: bool,
}

/// One color.
#[derive(Clone, Debug)]
pub struct ColorFacts {
    /// Its unit.
    pub unit: UnitName,
    /// Its unit's state.
    pub state: ActiveState,
    /// Whether that starts at boot.
    pub unit_file: UnitFile,
    /// What runs there from the next start on.
    pub pinned: Pin,
    /// The program of the release that is pinned to it, where that was changed since the release was made.
    pub changed: Option<Utf8PathBuf>,
    /// The release that its process was started with; none where none runs, or that cannot be found out.
    pub running: Option<ReleaseId>,
    /// What is wrong with its container or its image.
    pub container: ContainerFact,
    /// Its companions: those that are to run, and those that do.
    pub companions: Vec<CompanionFact>,
}

impl ColorFacts {
    /// Whether it answers requests.
    pub fn is_up(&self) -> bool {
        matches!(self.state, ActiveState::Active | ActiveState::Reloading)
    }
}

/// One replica of a companion in a color.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanionFact {
    /// Which.
    pub replica: Replica,
    /// Its unit.
    pub unit: UnitName,
    /// Its unit's state.
    pub state: ActiveState,
    /// Whether that starts at boot.
    pub unit_file: UnitFile,
    /// What runs there from its next start on.
    pub file: Pin,
    /// Whether the release that is pinned to the color has it.
    pub is_wanted: bool,
}

impl CompanionFact {
    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        matches!(self.state, ActiveState::Active | ActiveState::Reloading)
    }
}

/// What is wrong with a color's container or its image, as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerFact {
    /// Nothing, or it does not tell, or the app is a program.
    Fine,
    /// The container of this name runs, and its unit is down.
    LeftRunning(String),
    /// This image of the release that is pinned is not on this host.
    NoImage(ResolvedImage),
}

/// An environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// There is none.
    Nothing,
    /// It is of this release, and as it was written.
    Release(ReleaseId),
    /// It cannot be used, and why, in a sentence that names it.
    Broken(String),
}

/// A rendered file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Where.
    pub path: Utf8PathBuf,
    /// How it is.
    pub state: FileState,
}

/// How a rendered file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Not there.
    Missing,
    /// Changed by hand, or somebody else's.
    Edited,
    /// Another app's.
    Of(AppName),
    /// As bgctl wrote it, from another manifest, other settings or another version.
    Outdated,
    /// As it should be, but for systemd, which read it before that.
    NotRead,
    /// As it should be, but for nginx, which serves what was there before that.
    NotServed,
    /// The manifest that people edit is not the one that was installed.
    NotInstalled,
}

/// A file of state that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where.
    pub path: Utf8PathBuf,
    /// Why, in a sentence that names it.
    pub why: String,
    /// Whether it is whole, and a newer bgctl wrote it.
    pub is_newer: bool,
}

/// A switch that has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchFact {
    /// One that can be gone on with.
    Is {
        /// Which.
        open: OpenSwitch,
        /// Whether its worker lives.
        running: bool,
    },
    /// Its journal cannot be read, and why, in a sentence that names it.
    Broken(String),
}
