//! The plans of `bgctl switch` and `bgctl rollback`.

use crate::model::{ActiveState, App, Color, InstanceState, Observed, Release, ReleaseId, Stored};

use super::{OnFailure, Plan, PlannedStep, Refusal, Step, Verb};

/// Plans to make `release` active. Refuses where the app has no cursor or a switch is open.
pub fn switch(app: &App, release: &Release, observed: &Observed) -> Result<Plan, Refusal> {
    let taken = find(&release.id, observed);
    if taken.is_some_and(|known| !known.same_content(release)) {
        return Err(Refusal::ReleaseExists {
            app: app.name.clone(),
            release: release.id.clone(),
        });
    }
    plan(app, Verb::Switch, &release.id, observed, Reach::Store)
}

/// Plans to make an earlier release active again: `to`, or the one that was active before. Refuses as [`switch`] does,
/// and where there is no such release.
pub fn rollback(app: &App, to: Option<&ReleaseId>, observed: &Observed) -> Result<Plan, Refusal> {
    let release = rollback_target(app, to, observed)?;
    plan(app, Verb::Rollback, &release.id, observed, Reach::Store)
}

/// As [`rollback`], for this host alone while the store is away; `observed.cursor` is what this host last knew of it.
pub fn rollback_locally(app: &App, to: Option<&ReleaseId>, observed: &Observed) -> Result<Plan, Refusal> {
    let release = rollback_target(app, to, observed)?;
    plan(app, Verb::Rollback, &release.id, observed, Reach::Host)
}

/// How far a promote reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It moves the cursor.
    Store,
    /// The store is away and learns of it later.
    Host,
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
    let release = find(wanted, observed).ok_or_else(unknown)?;
    if !release.fits(app) {
        return Err(Refusal::OtherRuntime {
            app: name(),
            release: wanted.clone(),
            artifact: release.artifact.to_string(),
        });
    }
    Ok(release)
}

fn find<'a>(id: &ReleaseId, observed: &'a Observed) -> Option<&'a Release> {
    observed.releases.iter().find(|release| release.id == *id)
}

fn installed<'a>(app: &App, observed: &'a Observed) -> Result<&'a Stored, Refusal> {
    observed
        .cursor
        .as_ref()
        .ok_or_else(|| Refusal::NoCursor { app: app.name.clone() })
}

fn plan(app: &App, verb: Verb, release: &ReleaseId, observed: &Observed, reach: Reach) -> Result<Plan, Refusal> {
    let stored = installed(app, observed)?;
    if let Some(open) = &observed.open {
        return Err(Refusal::Busy {
            verb: verb.phrase(),
            app: app.name.clone(),
            open: open.clone(),
        });
    }
    // Where a hand at work or a restored store made them differ, users are where nginx sends them.
    let from = observed.serving.or(stored.cursor.active);
    let to = from.map_or(Color::Blue, Color::other);
    let mut steps = stage(app, to, release, observed);
    steps.extend(promote(app, stored, to, release, observed, reach));
    let old = observed.instances.get(to.other());
    if from.is_some() || old.enabled || !old.state.is_down() {
        steps.extend(retire(app, to.other()));
    }
    Ok(Plan {
        app: app.name.clone(),
        switch: observed.next_switch.clone(),
        mover: format!("{}/{}", observed.host, observed.next_switch),
        verb,
        release: release.clone(),
        replaces: stored.cursor.release.clone(),
        from,
        to,
        steps,
    })
}

/// The release runs and is proven in the idle color.
fn stage(app: &App, color: Color, release: &ReleaseId, observed: &Observed) -> Vec<PlannedStep> {
    let idle = observed.instances.get(color);
    let warm = idle.state == ActiveState::Active && idle.pinned.as_ref() == Some(release);
    let mut steps = Vec::new();
    if warm {
        let reason = format!("{release} still runs in {color}; prove that it is healthy");
        steps.push(undoable(Step::Start { color }, [], reason));
    } else {
        steps.extend(clear(color, idle));
        // What is not on record any more, or the app's unit does not run, cannot be pinned again.
        let fits = |id: &ReleaseId| find(id, observed).is_some_and(|release| release.fits(app));
        let before = Step::Pin {
            color,
            release: idle.pinned.clone().filter(fits),
        };
        let reason = format!("what {color} runs from its next start on");
        steps.push(undoable(
            Step::Pin {
                color,
                release: Some(release.clone()),
            },
            [before],
            reason,
        ));
        let reason = format!("{release} must run and be healthy before it takes traffic");
        steps.push(undoable(Step::Start { color }, [Step::Stop { color }], reason));
    }
    if !app.verify.commands.is_empty() {
        let reason = "the manifest's own checks, before it takes traffic".to_owned();
        steps.push(undoable(Step::Verify { color }, [], reason));
    }
    // A warm color that is enabled was so before; any other one was disabled when it was cleared.
    let undo = (!warm || !idle.enabled).then_some(Step::Disable { color });
    let reason = format!("from the promote on {color} must come back after a reboot");
    steps.push(undoable(Step::Enable { color }, undo, reason));
    steps
}

/// Nothing else runs in the idle color, nor comes back in it with a reboot: a start leaves alone what runs, and the wrong
/// release would take the traffic.
fn clear(color: Color, idle: &InstanceState) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    if idle.enabled {
        let reason = format!("{color} must not come back by itself with a reboot while its release changes");
        steps.push(undoable(Step::Disable { color }, [Step::Enable { color }], reason));
    }
    if idle.enabled || !idle.state.is_down() {
        let reason = format!("{color} is idle and must not run anything else");
        steps.push(undoable(Step::Stop { color }, [], reason));
    }
    steps
}

/// The cursor and the traffic move to it.
fn promote(
    app: &App,
    stored: &Stored,
    to: Color,
    release: &ReleaseId,
    observed: &Observed,
    reach: Reach,
) -> Vec<PlannedStep> {
    let (expected, before, release) = (stored.revision, &stored.cursor, release.clone());
    let (promote, back, reason) = match reach {
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
    };
    // Until the traffic is back where it was, the color may be answering requests that must not be cut.
    let drain = Step::Drain {
        color: to,
        timeout: app.drain.timeout,
    };
    let mut steps = vec![
        undoable(promote, [back, drain], reason.to_owned()),
        undoable(
            Step::Flip { to: Some(to) },
            [Step::Flip { to: observed.serving }],
            "all new requests move at once, and no connection is touched".to_owned(),
        ),
        undoable(
            Step::Confirm { color: to },
            [],
            "nothing old is stopped before the new color answered through nginx".to_owned(),
        ),
    ];
    if !app.bake.is_zero() {
        let reason = "a release that fails under real traffic is taken back while the old one is warm".to_owned();
        steps.push(undoable(
            Step::Bake {
                color: to,
                duration: app.bake,
            },
            [],
            reason,
        ));
    }
    steps
}

/// The old color ends.
fn retire(app: &App, color: Color) -> Vec<PlannedStep> {
    let mut steps = vec![
        forward(
            Step::Disable { color },
            "exactly one color comes back after a reboot".to_owned(),
        ),
        forward(
            Step::Drain {
                color,
                timeout: app.drain.timeout,
            },
            "requests that the old color has are finished".to_owned(),
        ),
    ];
    if !app.drain.keep_warm {
        steps.push(forward(
            Step::Stop { color },
            "the old color has no work left".to_owned(),
        ));
    }
    steps
}

fn undoable(step: Step, undo: impl IntoIterator<Item = Step>, reason: String) -> PlannedStep {
    PlannedStep {
        step,
        undo: undo.into_iter().collect(),
        reason,
        on_failure: OnFailure::Undo,
    }
}

fn forward(step: Step, reason: String) -> PlannedStep {
    PlannedStep {
        step,
        undo: Vec::new(),
        reason,
        on_failure: OnFailure::Retry,
    }
}
