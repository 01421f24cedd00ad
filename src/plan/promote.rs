//! Promote and bake: the cursor and the traffic move, and the new color is watched.

use crate::model::{App, Check, Color, Release, Route, Stored};

use super::{Expected, Next, PlannedStep, Reach, Step, companions};

/// The steps that make the release in its color the active one; `back_route` takes back that traffic moved there.
pub(super) fn steps(next: &Next<'_>, back_route: Step) -> Vec<PlannedStep> {
    let Next { app, to, release, .. } = *next;
    let (promote, back, reason) = cursor(next.stored, to, release, next.reach);
    // Until the traffic is back where it was, the color may be answering requests that must not be cut.
    let drain = Step::Drain {
        color: to,
        timeout: app.drain_timeout(),
    };
    let route = Step::Route { to: Route::To(to) };
    let mut back_route = vec![back_route];
    back_route.extend(companions::undo(app, to, release, next.observed));
    let confirm = Step::Confirm {
        color: to,
        health: expected(app, release),
    };
    let (confirmed, watched) = if app.strategy.is_stop_first() {
        (
            "the old color is given up only once the new one answered through nginx",
            "a release that fails under real traffic is rolled back",
        )
    } else {
        (
            "nothing old is stopped before the new color answered through nginx",
            "a release that fails under real traffic is rolled back while the old one is warm",
        )
    };
    let mut steps = vec![
        PlannedStep::undoable(promote, [back, drain], reason),
        PlannedStep::undoable(
            route,
            back_route,
            "all new requests move at once, and no connection is touched",
        ),
        PlannedStep::undoable(confirm, [], confirmed),
    ];
    steps.extend(companions::steps(app, to, release, next.observed));
    if !app.bake.is_zero() {
        let bake = Step::Bake {
            color: to,
            duration: app.bake,
            health: release.health.clone(),
        };
        steps.push(PlannedStep::undoable(bake, [], watched));
    }
    if let Some(within) = next.confirm_within {
        let confirmed = Step::Await {
            color: to,
            within,
            health: release.health.clone(),
        };
        let reason = "what nobody confirms in time is rolled back, also where nobody can reach this host any more";
        steps.push(PlannedStep::undoable(confirmed, [], reason));
    }
    steps
}

/// How the cursor moves, and back.
fn cursor(stored: &Stored, to: Color, release: &Release, reach: Reach) -> (Step, Step, &'static str) {
    let (expected, before, release) = (stored.revision, &stored.cursor, release.id.clone());
    match reach {
        Reach::Store => (
            Step::Promote { expected, to, release },
            Step::Demote {
                expected,
                to: before.active,
                release: before.release.clone(),
            },
            "the cursor says which color is active; nobody moved it since",
        ),
        Reach::Host => (
            Step::Defer { expected, to, release },
            Step::Recall,
            "the store is away; it learns what this host did if nobody moved the cursor meanwhile",
        ),
    }
}

/// The site asks as the manifest says now; an older release may have another check, and is not asked then.
pub(super) fn expected(app: &App, release: &Release) -> Option<Expected> {
    match (&release.health.check, &app.health.check) {
        (Check::Http(wanted), Check::Http(site)) if wanted.is_asked_by(site) => Some(Expected {
            status: wanted.expect,
            timeout: release.health.timeout,
        }),
        (Check::Http(_) | Check::Tcp | Check::Image | Check::Command { .. }, _) => None,
    }
}
