//! From what is wanted and what was observed to a list of steps, each with its undo and its reason; or to a refusal.
//!
//! Everything is decided here. A switch from blue to green, by its phases:
//!
//! ```text
//!   stage                          | promote                                | bake         | drain, retire
//!   pin > start > verify > enable  > promote > route > confirm > companions > bake > await > disable > drain > stop
//!                                  |                                                       |
//!   a failure is undone: the       | a failure moves traffic, companions and               | a failure is tried again
//!   active color is not touched    | cursor back                                           | (past the point of no return)
//! ```
//!
//! With the strategy `stop-first` only one color ever runs: see `stop_first`. `bgctl stage` ends after the first phase, and
//! `bgctl promote` begins with the second: see `staged`.

mod companions;
mod old;
mod promote;
mod refusal;
mod retire;
mod rollback;
mod stage;
mod staged;
mod step;
mod stop_first;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{App, AppName, Color, Observed, Release, ReleaseId, Stored, Strategy, SwitchId};

pub use companions::patience as companion_patience;
pub use old::upgrade;
pub use refusal::Refusal;
pub use rollback::{rollback, rollback_locally, rollback_target};
pub use staged::{abort, promote, stage};
pub use step::{Expected, OnFailure, PlannedStep, Step};

/// One attempt to make a release active: what is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The app.
    pub app: AppName,
    /// The switch that this is the plan of.
    pub switch: SwitchId,
    /// Who this switch is to all hosts that share the store: `HOST/SWITCH`.
    #[serde(alias = "mover")]
    pub holder: String,
    /// What was asked for.
    pub verb: Verb,
    /// The release that becomes active.
    pub release: ReleaseId,
    /// The release that was active.
    pub replaces: Option<ReleaseId>,
    /// The color that nginx sent requests to; none where it answered 503.
    pub from: Option<Color>,
    /// The color that becomes active.
    pub to: Color,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make a new release active.
    Switch,
    /// Make an earlier release active again.
    Rollback,
    /// Prove a new release in the idle color, and leave it there without traffic.
    Stage,
    /// Make the release that is staged active.
    Promote,
    /// Take the release that is staged down.
    Abort,
}

impl Verb {
    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Rollback => "rollback",
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Abort => "abort",
        }
    }

    /// As in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Rollback => "roll back",
            Self::Stage => "stage",
            Self::Promote => "promote",
            Self::Abort => "abort",
        }
    }

    /// Whether a switch of this kind that is done has made its release the active one.
    pub fn makes_active(self) -> bool {
        match self {
            Self::Switch | Self::Rollback | Self::Promote => true,
            Self::Stage | Self::Abort => false,
        }
    }
}

/// How far a promote reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It moves the cursor.
    Store,
    /// The store is away and learns of it later.
    Host,
}

/// Plans to make `release` active. Refuses where the app has no cursor or a switch is open.
pub fn switch(app: &App, release: &Release, observed: &Observed) -> Result<Plan, Refusal> {
    refuse_taken(app, release, observed)?;
    plan(app, Verb::Switch, release, observed, Reach::Store)
}

/// Refuses where the name of `release` is another one's.
fn refuse_taken(app: &App, release: &Release, observed: &Observed) -> Result<(), Refusal> {
    let taken = observed.release(&release.id);
    if taken.is_some_and(|known| !known.same_content(release)) {
        return Err(Refusal::ReleaseExists {
            app: app.name.clone(),
            release: release.id.clone(),
        });
    }
    Ok(())
}

fn plan(app: &App, verb: Verb, release: &Release, observed: &Observed, reach: Reach) -> Result<Plan, Refusal> {
    let stored = installed(app, observed)?;
    refuse_open(app, verb, observed)?;
    let to = idle(observed);
    let next = Next {
        app,
        stored,
        to,
        release,
        observed,
        reach,
        // The way back must not itself go back where nobody is there to confirm it.
        confirm_within: app.confirm_within.filter(|_| verb != Verb::Rollback),
    };
    let mut steps: Vec<_> = companions::clear(app, to, observed).into_iter().collect();
    steps.extend(match app.strategy {
        Strategy::BlueGreen => blue_green(&next),
        Strategy::StopFirst { hold } => stop_first::steps(&next, hold),
    });
    Ok(of(app, verb, &release.id, to, observed, steps))
}

/// The plan of these steps, which are about `release` in `to`.
fn of(app: &App, verb: Verb, release: &ReleaseId, to: Color, observed: &Observed, steps: Vec<PlannedStep>) -> Plan {
    let cursor = observed.cursor.as_ref().map(|stored| &stored.cursor);
    Plan {
        app: app.name.clone(),
        switch: observed.next_switch.clone(),
        holder: format!("{}/{}", observed.host, observed.next_switch),
        verb,
        release: release.clone(),
        replaces: cursor.and_then(|cursor| cursor.release.clone()),
        from: observed.route.color(),
        to,
        steps,
    }
}

fn refuse_open(app: &App, verb: Verb, observed: &Observed) -> Result<(), Refusal> {
    match &observed.open {
        Some(open) => Err(Refusal::Busy {
            verb: verb.phrase(),
            app: app.name.clone(),
            open: open.clone(),
        }),
        None => Ok(()),
    }
}

/// The color that a release runs in while it is proven. Where a hand at work or a restored store made cursor and route differ, users
/// are where nginx sends them. Where it sends them nowhere it is blue, whatever the cursor says: see `templates/app.conf`.
fn idle(observed: &Observed) -> Color {
    observed.route.color().map_or(Color::Blue, Color::other)
}

/// What a plan is made of.
#[derive(Clone, Copy)]
struct Next<'a> {
    app: &'a App,
    stored: &'a Stored,
    /// The color that becomes active.
    to: Color,
    /// The release that it gets.
    release: &'a Release,
    observed: &'a Observed,
    reach: Reach,
    /// How long it waits to be confirmed; `None`: it does not.
    confirm_within: Option<Duration>,
}

fn blue_green(next: &Next<'_>) -> Vec<PlannedStep> {
    let back = Step::Route {
        to: next.observed.route,
    };
    let mut steps = stage::steps(next.app, next.to, next.release, next.observed);
    steps.extend(promote::steps(next, back));
    steps.extend(retire::old(next.app, next.to.other(), next.observed));
    steps
}

impl Plan {
    /// How long a request is held where the switch holds them.
    pub fn hold(&self) -> Option<Duration> {
        self.steps.iter().find_map(|planned| match planned.step {
            Step::Hold { limit, .. } => Some(limit),
            _ => None,
        })
    }
}

fn installed<'a>(app: &App, observed: &'a Observed) -> Result<&'a Stored, Refusal> {
    observed
        .cursor
        .as_ref()
        .ok_or_else(|| Refusal::NoCursor { app: app.name.clone() })
}
