//! Drain and retire: the old color finishes its requests, and stops.

use crate::model::{App, Color, Observed};

use super::{PlannedStep, Step, stage};

/// The steps that end the old color, where there is anything to end.
pub(super) fn old(app: &App, color: Color, observed: &Observed) -> Vec<PlannedStep> {
    if is_there(color, observed) {
        return steps(app, color);
    }
    Vec::new()
}

/// Whether there is anything to end in a color that was the old one.
pub(super) fn is_there(color: Color, observed: &Observed) -> bool {
    let old = observed.instances.get(color);
    observed.route.color().is_some() || old.enabled || !old.state.is_down()
}

fn steps(app: &App, color: Color) -> Vec<PlannedStep> {
    let drain = Step::Drain {
        color,
        timeout: app.drain.timeout,
    };
    let mut steps = vec![
        PlannedStep::forward(Step::Disable { color }, "exactly one color comes back after a reboot"),
        PlannedStep::forward(drain, "requests that the old color has are finished"),
    ];
    if !app.drain.keep_warm {
        steps.push(PlannedStep::forward(
            stage::stop(app, color),
            "the old color has no work left",
        ));
    }
    steps
}
