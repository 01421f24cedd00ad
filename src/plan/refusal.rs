//! Why nothing was done.

use crate::model::{AppName, Invalid, OpenSwitch, ReleaseId};

/// A plan that was not made, and why; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The app has no manifest on this host.
    #[error("cannot find {app}: it is not installed")]
    NotInstalled {
        /// The app.
        app: AppName,
    },
    /// The app is installed, and has no cursor.
    #[error("cannot switch {app}: its cursor is missing")]
    NoCursor {
        /// The app.
        app: AppName,
    },
    /// A switch of the app is open.
    #[error("cannot {verb} {app}: {open}")]
    Busy {
        /// What was to be done.
        verb: &'static str,
        /// The app.
        app: AppName,
        /// The open switch.
        open: OpenSwitch,
    },
    /// There is no release to go back to.
    #[error("cannot roll back {app}: no release was active before the present one")]
    NothingToGoBackTo {
        /// The app.
        app: AppName,
    },
    /// No release is staged.
    #[error("cannot {verb} {app}: no release is staged")]
    NothingStaged {
        /// What was to be done.
        verb: &'static str,
        /// The app.
        app: AppName,
    },
    /// Only one color of the app ever runs.
    #[error("cannot {verb} {app}: with strategy = \"stop-first\" only one color ever runs")]
    StopFirst {
        /// What was to be done.
        verb: &'static str,
        /// The app.
        app: AppName,
    },
    /// A release is staged, and it is not to be used as it is.
    #[error("cannot {verb} {release} of {app}: {why}")]
    NotAsStaged {
        /// What was to be done.
        verb: &'static str,
        /// The app.
        app: AppName,
        /// The release.
        release: ReleaseId,
        /// What is not as it was.
        why: String,
        /// What a person can do about it.
        hint: String,
    },
    /// The release that was asked for is not on record.
    #[error("cannot roll back {app} to {release}: there is no such release")]
    UnknownRelease {
        /// The app.
        app: AppName,
        /// The release.
        release: ReleaseId,
        /// Those on record.
        known: Vec<ReleaseId>,
    },
    /// The release that was asked for is the active one.
    #[error("cannot roll back {app} to {release}: it is the active release")]
    AlreadyActive {
        /// The app.
        app: AppName,
        /// The release.
        release: ReleaseId,
    },
    /// The release that was asked for is an image and the app a program of the host, or the other way round.
    #[error("cannot roll back {app} to {release}: it is {artifact}, which the app's unit does not run any more")]
    OtherRuntime {
        /// The app.
        app: AppName,
        /// The release.
        release: ReleaseId,
        /// What it runs.
        artifact: String,
    },
    /// A release of that name exists and is another one.
    #[error("cannot make release {release} of {app}: a release of this name exists, and it is not the same")]
    ReleaseExists {
        /// The app.
        app: AppName,
        /// The release.
        release: ReleaseId,
    },
    /// What was asked for does not fit the app.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Refusal {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotInstalled { app } => format!("install it first: bgctl install {app}.toml"),
            Self::NoCursor { app } => format!("bgctl repair {app}"),
            Self::Busy { app, .. } => format!("follow it: bgctl switch {app} --follow"),
            Self::NothingToGoBackTo { app } => format!("see what there is: bgctl status {app}"),
            Self::NothingStaged { app, .. } => format!("stage a release first: bgctl stage {app}"),
            Self::StopFirst { app, .. } => format!("bgctl switch {app}"),
            Self::NotAsStaged { hint, .. } => hint.clone(),
            Self::UnknownRelease { known, .. } if known.is_empty() => return None,
            Self::UnknownRelease { known, .. } => {
                let known: Vec<_> = known.iter().map(ReleaseId::as_str).collect();
                format!("on record: {}", known.join(", "))
            }
            Self::AlreadyActive { app, .. } => format!("without --to it goes to the one before: bgctl rollback {app}"),
            Self::OtherRuntime { app, .. } => {
                format!("uninstall {app} with --keep-state and install the manifest that it was made with")
            }
            Self::ReleaseExists { .. } => {
                "a release that served never changes; give this one another --release name".to_owned()
            }
            Self::Invalid(_) => return None,
        })
    }
}
