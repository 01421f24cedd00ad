//! The plans of `bgctl stage`, `bgctl promote`, and of `bgctl abort` where nothing but a staged release is to be taken down.
//!
//! ```text
//!   stage:    pin > start > verify > enable > stage        a failure is undone
//!   promote:  prove > start > unstage > promote > ...      as in a switch, from its promote on; undone, it is staged as before
//!   abort:    unstage > disable > stop > pin nothing       a failure is tried again
//! ```
//!
//! A switch or a rollback to what is staged promotes what runs; one to anything else takes its place.

use jiff::Timestamp;

use crate::model::{ActiveState, App, Observed, Release, Staged, Strategy};

use super::{Next, Plan, PlannedStep, Reach, Refusal, Step, Verb, companions, idle, installed, of};
use super::{promote as moving, refuse_open};
use super::{refuse_taken, retire, stage as proving};

/// Plans to prove `release` in the idle color and to leave it there. Refuses as [`switch`](super::switch) does.
pub fn stage(app: &App, release: &Release, observed: &Observed) -> Result<Plan, Refusal> {
    refuse_taken(app, release, observed)?;
    installed(app, observed)?;
    refuse_open(app, Verb::Stage, observed)?;
    refuse_alone(app, Verb::Stage)?;
    let color = idle(observed);
    let id = &release.id;
    let mut steps: Vec<_> = companions::clear(app, color, observed).into_iter().collect();
    steps.extend(proving::steps(app, color, release, observed));
    let keep = Step::Stage {
        color,
        release: id.clone(),
        expires: app.stage.expires,
    };
    let undo = [Step::Unstage {
        color,
        release: id.clone(),
    }];
    let reason = format!("{id} stays in {color} until it is promoted, aborted or replaced");
    steps.push(PlannedStep::undoable(keep, undo, reason));
    Ok(of(app, Verb::Stage, id, color, observed, steps))
}

/// Plans to make active what is staged. Refuses where nothing is, where it has expired `now`, and where it is not there any more as
/// it was staged.
pub fn promote(app: &App, observed: &Observed, now: Timestamp) -> Result<Plan, Refusal> {
    let stored = installed(app, observed)?;
    refuse_open(app, Verb::Promote, observed)?;
    refuse_alone(app, Verb::Promote)?;
    let (staged, release) = promotable(app, observed, now)?;
    let (color, id) = (staged.color, &release.id);
    let prove = Step::Prove {
        color,
        release: id.clone(),
        unit: staged.unit.clone(),
    };
    let start = Step::Start {
        color,
        health: release.health.clone(),
    };
    let mut steps = vec![
        PlannedStep::undoable(prove, [], format!("what {color} runs is what was staged and verified")),
        PlannedStep::undoable(
            start,
            [],
            format!("{id} runs in {color}; prove once more that it is healthy"),
        ),
    ];
    if !observed.instances.get(color).enabled {
        let reason = format!("from the promote on {color} must come back after a reboot");
        let undo = [Step::Disable { color }];
        steps.push(PlannedStep::undoable(Step::Enable { color }, undo, reason));
    }
    steps.extend(forget(observed, Place::Kept));
    let next = Next {
        app,
        stored,
        to: color,
        release,
        observed,
        reach: Reach::Store,
        confirm_within: app.confirm_within,
    };
    steps.extend(moving::steps(&next, Step::Route { to: observed.route }));
    steps.extend(retire::old(app, color.other(), observed));
    Ok(of(app, Verb::Promote, id, color, observed, steps))
}

/// Plans to take down what is staged. Refuses where nothing is.
pub fn abort(app: &App, observed: &Observed) -> Result<Plan, Refusal> {
    refuse_open(app, Verb::Abort, observed)?;
    let staged = staged(app, Verb::Abort, observed)?;
    let (color, release) = (staged.color, &staged.release);
    let unstage = Step::Unstage {
        color,
        release: release.clone(),
    };
    let steps = vec![
        PlannedStep::forward(unstage, "from here on it is not promoted any more"),
        PlannedStep::forward(
            Step::Disable { color },
            format!("{color} does not come back after a reboot"),
        ),
        PlannedStep::forward(
            proving::stop(app, color),
            "it takes no traffic, so there is nothing to wait for",
        ),
        PlannedStep::forward(
            Step::Pin { color, release: None },
            format!("nothing starts in {color} until a release is proven there"),
        ),
    ];
    Ok(of(app, Verb::Abort, release, color, observed, steps))
}

/// Refuses where only one color ever runs.
fn refuse_alone(app: &App, verb: Verb) -> Result<(), Refusal> {
    match app.strategy {
        Strategy::BlueGreen => Ok(()),
        Strategy::StopFirst { .. } => Err(Refusal::StopFirst {
            verb: verb.phrase(),
            app: app.name.clone(),
        }),
    }
}

/// What is staged in the idle color.
fn staged<'a>(app: &App, verb: Verb, observed: &'a Observed) -> Result<&'a Staged, Refusal> {
    let nothing = || Refusal::NothingStaged {
        verb: verb.phrase(),
        app: app.name.clone(),
    };
    let staged = observed.staged.as_ref().ok_or_else(nothing)?;
    if observed.route.serves(staged.color) {
        return Err(Refusal::NotAsStaged {
            verb: verb.phrase(),
            app: app.name.clone(),
            release: staged.release.clone(),
            why: format!("{} takes traffic already", staged.color),
            hint: format!("bgctl repair {}", app.name),
        });
    }
    Ok(staged)
}

/// What is staged, and can be promoted as far as that is seen from one look.
fn promotable<'a>(app: &App, observed: &'a Observed, now: Timestamp) -> Result<(&'a Staged, &'a Release), Refusal> {
    let staged = staged(app, Verb::Promote, observed)?;
    let Staged { color, release, .. } = staged;
    let name = &app.name;
    let refuse = |why: String, hint: String| Refusal::NotAsStaged {
        verb: Verb::Promote.phrase(),
        app: name.clone(),
        release: release.clone(),
        why,
        hint,
    };
    let again = || format!("stage it anew: bgctl stage {name}; or take it down: bgctl abort {name}");
    if let Some(until) = staged.until.filter(|_| staged.has_expired(now)) {
        return Err(refuse(format!("it expired at {until:.0}"), again()));
    }
    let here = observed.instances.get(*color);
    if here.pinned.as_ref() != Some(release) {
        let pinned = here.pinned.as_ref().map_or("nothing".to_owned(), ToString::to_string);
        let why = format!("{pinned} is pinned to {color}, where it was staged");
        return Err(refuse(why, again()));
    }
    if here.state != ActiveState::Active {
        let why = format!("{color}, where it was staged, is {}", here.state);
        return Err(refuse(
            why,
            format!("bgctl repair {name}; why it is so: bgctl status {name}"),
        ));
    }
    let known = observed.release(release).filter(|release| release.fits(app));
    let known = known.ok_or_else(|| refuse("it is not on record any more".to_owned(), again()))?;
    Ok((staged, known))
}

/// The step by which what is staged is so no more; `None` where nothing is. Where its `place` is taken, what undoes it brings it up
/// again, but for one that has ended.
pub(super) fn forget(observed: &Observed, place: Place) -> Option<PlannedStep> {
    let staged = observed.staged.as_ref()?;
    let step = Step::Unstage {
        color: staged.color,
        release: staged.release.clone(),
    };
    let (revive, reason) = match place {
        Place::Kept => (None, format!("from here on {} takes traffic", staged.release)),
        Place::Taken => (
            revive(staged, observed),
            format!("its place in {} is taken", staged.color),
        ),
        Place::Ended => (
            None,
            format!("only one color runs from here on, and it is not {}", staged.color),
        ),
    };
    let restage = (place != Place::Ended).then(|| Step::Restage { staged: staged.clone() });
    let undo = revive.into_iter().chain(restage);
    Some(PlannedStep::undoable(step, undo, reason))
}

/// What becomes of the place of what is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What runs there goes on.
    Kept,
    /// Another release runs there from then on.
    Taken,
    /// Nothing runs there beside the other color, also not again.
    Ended,
}

/// The step that brings back what runs staged, once it is pinned again; `None` where nothing does.
fn revive(staged: &Staged, observed: &Observed) -> Option<Step> {
    let color = staged.color;
    let here = observed.instances.get(color);
    let runs = here.state == ActiveState::Active && here.pinned.as_ref() == Some(&staged.release);
    let release = observed.release(&staged.release).filter(|_| runs)?;
    Some(Step::Revive {
        color,
        health: release.health.clone(),
    })
}
