//! Companions: those of the old release end, and those of the new one begin.
//!
//! They move when the new color has been confirmed, and before it bakes: what the new release hands to its workers is for workers of
//! the new release, also while it is watched; and a worker that does not stay up fails the switch while the old color is warm. What
//! puts them back belongs to the undo of the route and not to their own steps: a switch that fails moves its users back first, and
//! does not let them wait until a worker has finished.

use std::time::Duration;

use crate::model::{App, Color, Companion, Observed, Release, Replica};

use super::{PlannedStep, Step};

/// How long a companion must stay up to count as started: it has no health check.
const STAY_UP: Duration = Duration::from_secs(2);

/// The steps that make those of `release` in `to` run in the place of those of the other color.
pub(super) fn steps(app: &App, to: Color, release: &Release, observed: &Observed) -> Vec<PlannedStep> {
    let old = observed.companions.get(to.other()).clone();
    let may_overlap = |replica: &Replica| {
        let new = release.companions.iter().find(|new| new.name == replica.companion);
        new.is_some_and(|new| new.overlap)
    };
    let (overlapping, others): (Vec<_>, Vec<_>) = old.into_iter().partition(may_overlap);
    let mut steps = Vec::new();
    if !others.is_empty() {
        let step = stop(app, to.other(), others, observed);
        let reason = "two generations of a companion must not run at the same time";
        steps.push(PlannedStep::undoable(step, [], reason));
    }
    let wanted = Replica::of(&release.companions);
    if !wanted.is_empty() {
        let step = start(to, release, wanted, STAY_UP);
        let reason = format!("the companions of {} run beside it", release.id);
        steps.push(PlannedStep::undoable(step, [], reason));
    }
    if !overlapping.is_empty() {
        let step = stop(app, to.other(), overlapping, observed);
        let reason = "the manifest lets two generations of it run until the new one is up";
        steps.push(PlannedStep::undoable(step, [], reason));
    }
    steps
}

/// What puts those back that ran before, once no requests go to `to` any more. They need not stay up: one that ends by a fault of its
/// own would keep the rest from being undone.
pub(super) fn undo(app: &App, to: Color, release: &Release, observed: &Observed) -> Vec<Step> {
    let old = to.other();
    let mut undo = Vec::new();
    let new = Replica::of(&release.companions);
    if !new.is_empty() {
        let timeout = patience(app, [release]);
        undo.push(Step::StopCompanions {
            color: to,
            replicas: new,
            timeout,
        });
    }
    let pinned = observed.instances.get(old).pinned.as_ref();
    let before = pinned.and_then(|id| observed.release(id));
    if let Some(before) = before.filter(|_| observed.route.serves(old)) {
        let known = Replica::of(&before.companions);
        let ran = observed.companions.get(old).iter().filter(|ran| known.contains(ran));
        let ran: Vec<_> = ran.cloned().collect();
        if !ran.is_empty() {
            undo.push(start(old, before, ran, Duration::ZERO));
        }
    }
    undo
}

/// What ends those that run in the idle color already, as after a hand at work: a start leaves alone what runs.
pub(super) fn clear(app: &App, color: Color, observed: &Observed) -> Option<PlannedStep> {
    let left = observed.companions.get(color).clone();
    let reason = format!("{color} is idle and must not have companions");
    (!left.is_empty()).then(|| PlannedStep::undoable(stop(app, color, left, observed), [], reason))
}

fn start(color: Color, release: &Release, replicas: Vec<Replica>, stay_up: Duration) -> Step {
    Step::StartCompanions {
        color,
        release: release.id.clone(),
        replicas,
        stay_up,
    }
}

fn stop(app: &App, color: Color, replicas: Vec<Replica>, observed: &Observed) -> Step {
    let timeout = patience(app, &observed.releases);
    Step::StopCompanions {
        color,
        replicas,
        timeout,
    }
}

/// The longest that a stop of a companion may take, whichever manifest its unit is of.
pub fn patience<'a>(app: &App, releases: impl IntoIterator<Item = &'a Release>) -> Duration {
    let on_record = releases.into_iter().flat_map(|release| &release.companions);
    let all = app.companions.iter().chain(on_record).map(Companion::patience);
    all.fold(app.run.stop_timeout, Duration::max)
}
