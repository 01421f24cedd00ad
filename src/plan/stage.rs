//! Stage: the release runs and is proven in the idle color, without traffic.

use crate::model::{ActiveState, App, Color, InstanceState, Observed, Release, ReleaseId};

use super::staged::{self, Place};
use super::{PlannedStep, Step};

/// The steps that make `release` run in `color`, healthy and verified.
pub(super) fn steps(app: &App, color: Color, release: &Release, observed: &Observed) -> Vec<PlannedStep> {
    let idle = observed.instances.get(color);
    let id = &release.id;
    let warm = idle.state == ActiveState::Active && idle.pinned.as_ref() == Some(id);
    let place = if warm { Place::Kept } else { Place::Taken };
    let mut steps: Vec<_> = staged::forget(observed, place).into_iter().collect();
    if warm {
        let start = Step::Start {
            color,
            health: release.health.clone(),
        };
        let reason = format!("{id} still runs in {color}; prove that it is healthy");
        steps.push(PlannedStep::undoable(start, [], reason));
    } else {
        steps.extend(clear(app, color, idle));
        steps.push(pin(app, color, id, idle, observed));
        steps.push(start(app, color, release));
    }
    steps.extend(verify(app, color, release, observed));
    // A warm color that is enabled was so before; any other one was disabled when it was cleared.
    let undo = (!warm || !idle.enabled).then_some(Step::Disable { color });
    let reason = format!("from the promote on {color} must come back after a reboot");
    steps.push(PlannedStep::undoable(Step::Enable { color }, undo, reason));
    steps
}

/// The step that starts a release in a color that is down.
pub(super) fn start(app: &App, color: Color, release: &Release) -> PlannedStep {
    let start = Step::Start {
        color,
        health: release.health.clone(),
    };
    let reason = format!("{} must run and be healthy before it takes traffic", release.id);
    PlannedStep::undoable(start, [stop(app, color)], reason)
}

/// The step that runs the release's own checks, where it has any.
pub(super) fn verify(app: &App, color: Color, release: &Release, observed: &Observed) -> Option<PlannedStep> {
    let verify = release.verify.as_ref().unwrap_or(&app.verify);
    let cursor = observed.cursor.as_ref().map(|stored| &stored.cursor);
    let step = Step::Verify {
        color,
        release: release.id.clone(),
        previous: cursor.and_then(|cursor| cursor.release.clone()),
        verify: verify.clone(),
    };
    let reason = "the release's own checks, before it takes traffic";
    (!verify.checks.is_empty()).then(|| PlannedStep::undoable(step, [], reason))
}

/// The step that pins a release to a color.
pub(super) fn pin(
    app: &App,
    color: Color,
    release: &ReleaseId,
    idle: &InstanceState,
    observed: &Observed,
) -> PlannedStep {
    // What is not on record any more, or the app's unit does not run, cannot be pinned again.
    let fits = |id: &ReleaseId| observed.release(id).is_some_and(|release| release.fits(app));
    let before = Step::Pin {
        color,
        release: idle.pinned.clone().filter(fits),
    };
    let step = Step::Pin {
        color,
        release: Some(release.clone()),
    };
    PlannedStep::undoable(step, [before], format!("what {color} runs from its next start on"))
}

/// Nothing else runs in the idle color, nor comes back in it with a reboot: a start leaves alone what runs, and the wrong
/// release would take the traffic.
fn clear(app: &App, color: Color, idle: &InstanceState) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    if idle.enabled {
        let reason = format!("{color} must not come back by itself with a reboot while its release changes");
        let undo = [Step::Enable { color }];
        steps.push(PlannedStep::undoable(Step::Disable { color }, undo, reason));
    }
    if idle.enabled || !idle.state.is_down() {
        let reason = format!("{color} is idle and must not run anything else");
        steps.push(PlannedStep::undoable(stop(app, color), [], reason));
    }
    steps
}

/// The step that stops a color.
pub(super) fn stop(app: &App, color: Color) -> Step {
    Step::Stop {
        color,
        timeout: app.run.stop_timeout,
    }
}
