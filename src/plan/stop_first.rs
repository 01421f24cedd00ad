//! A switch in which only one color ever runs.
//!
//! ```text
//!   stage                                                                      | promote                   | bake
//!   pin > hold > drain old > disable old > stop old > start > verify > enable  | promote > route > confirm > bake
//!         +---------------- requests are held ------------------------------------------------+
//!   a failure is undone: the new one is stopped, and then the old one is started, and takes the traffic back
//! ```
//!
//! Only one color is enabled at a time, so that a reboot at any moment starts one of them at most: the one that is up then, or
//! none, and the switch is resumed and starts it.

use std::time::Duration;

use crate::model::{Color, HealthCheck, InstanceState};

use super::staged::{self, Place};
use super::{Next, PlannedStep, Step, promote, retire, stage};

/// The steps of such a switch, which holds each request for `hold` at most.
pub(super) fn steps(next: &Next<'_>, hold: Duration) -> Vec<PlannedStep> {
    let Next {
        app,
        to,
        release,
        observed,
        ..
    } = *next;
    let idle = observed.instances.get(to);
    let before = Step::Route { to: observed.route };
    let mut steps: Vec<_> = staged::forget(observed, Place::Ended).into_iter().collect();
    steps.extend(clear(next, idle));
    steps.push(stage::pin(app, to, &release.id, idle, observed));
    let mut back = before.clone();
    if observed.route.color().is_some() {
        let wait = |prove| Step::Hold { limit: hold, prove };
        back = wait(false);
        let reason = "new requests wait until a color runs again";
        steps.push(PlannedStep::undoable(wait(true), [before], reason));
        let drain = Step::Drain {
            color: to.other(),
            timeout: app.drain_timeout(),
        };
        let reason = "requests that the old color has are finished";
        steps.push(PlannedStep::undoable(drain, [], reason));
    }
    if retire::is_there(to.other(), observed) {
        steps.extend(end(next));
    }
    steps.push(stage::start(app, to, release));
    steps.extend(stage::verify(app, to, release, observed));
    let reason = format!("from the promote on {to} must come back after a reboot");
    let disable = [Step::Disable { color: to }];
    steps.push(PlannedStep::undoable(Step::Enable { color: to }, disable, reason));
    steps.extend(promote::steps(next, back));
    steps
}

/// Nothing runs in the idle color, nor comes back in it: also not after the switch went back.
fn clear(next: &Next<'_>, idle: &InstanceState) -> Vec<PlannedStep> {
    let color = next.to;
    let mut steps = Vec::new();
    if idle.enabled {
        let reason = format!("{color} must not come back with a reboot beside {}", color.other());
        steps.push(PlannedStep::undoable(Step::Disable { color }, [], reason));
    }
    if idle.enabled || !idle.state.is_down() {
        let reason = format!("{color} is idle and must not run anything else");
        steps.push(PlannedStep::undoable(stage::stop(next.app, color), [], reason));
    }
    steps
}

/// The old color ends. One step takes both back: a reboot between two would leave it down, with the first of them done.
fn end(next: &Next<'_>) -> [PlannedStep; 2] {
    let color = next.to.other();
    let old = next.observed.instances.get(color);
    let enable = old.enabled.then_some(Step::Enable { color });
    let can_start = !old.state.is_down() && old.pinned.is_some();
    let start = can_start.then(|| Step::Start {
        color,
        health: health(next, color),
    });
    let reason = format!("{color} must not come back with a reboot beside {}", next.to);
    [
        PlannedStep::undoable(Step::Disable { color }, enable.into_iter().chain(start), reason),
        PlannedStep::undoable(
            stage::stop(next.app, color),
            [],
            "only one may run, and what it wrote is on disk then",
        ),
    ]
}

/// How the release in a color proves that it is healthy.
fn health(next: &Next<'_>, color: Color) -> HealthCheck {
    let pinned = next.observed.instances.get(color).pinned.as_ref();
    let release = pinned.and_then(|id| next.observed.release(id));
    release.map_or(&next.app.health, |release| &release.health).clone()
}
