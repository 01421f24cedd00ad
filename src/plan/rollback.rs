//! The plans of `bgctl rollback`.

use crate::model::{App, Observed, Release, ReleaseId};

use super::{Plan, Reach, Refusal, Verb, installed, plan};

/// Plans to make an earlier release active again: `to`, or the one that was active before. Refuses as
/// [`switch`](super::switch) does, and where there is no such release.
pub fn rollback(app: &App, to: Option<&ReleaseId>, observed: &Observed) -> Result<Plan, Refusal> {
    let release = rollback_target(app, to, observed)?;
    plan(app, Verb::Rollback, release, observed, Reach::Store)
}

/// As [`rollback`], for this host alone while the store is away; `observed.cursor` is what this host last knew of it.
pub fn rollback_locally(app: &App, to: Option<&ReleaseId>, observed: &Observed) -> Result<Plan, Refusal> {
    let release = rollback_target(app, to, observed)?;
    plan(app, Verb::Rollback, release, observed, Reach::Host)
}

/// The release that a rollback would make active.
pub fn rollback_target<'a>(app: &App, to: Option<&ReleaseId>, observed: &'a Observed) -> Result<&'a Release, Refusal> {
    let name = || app.name.clone();
    let active = installed(app, observed)?.cursor.release.as_ref();
    let nothing = || Refusal::NothingToGoBackTo { app: name() };
    let wanted = to.or(observed.previous.as_ref()).ok_or_else(nothing)?;
    if active == Some(wanted) {
        return Err(Refusal::AlreadyActive {
            app: name(),
            release: wanted.clone(),
        });
    }
    let unknown = || Refusal::UnknownRelease {
        app: name(),
        release: wanted.clone(),
        known: observed.releases.iter().map(|release| release.id.clone()).collect(),
    };
    let release = observed.release(wanted).ok_or_else(unknown)?;
    if !release.fits(app) {
        return Err(Refusal::OtherRuntime {
            app: name(),
            release: wanted.clone(),
            artifact: release.artifact.to_string(),
        });
    }
    Ok(release)
}
