//! Following a switch: what people and programs see of it.

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::engine::Outcome;
use crate::journal::{Record, StepState, StepSummary};
use crate::model::{AppName, Color, Hinted, ReleaseId, SwitchId, UnitName};
use crate::ops::context::Context;
use crate::ops::follow::{self, Event, Followed};
use crate::ops::opening::{Opened, Planned};
use crate::plan::Verb;

use super::args::Watch;
use super::output;
use super::report::{Ends, Exit};
use super::signals::Signals;
use super::steps::Steps;

/// Opens the switch that was planned, and follows it.
pub async fn open(context: &Context, planned: Planned, watch: Watch) -> Result<Exit, Ends> {
    let why = "the switch gets its worker first";
    let opened = Signals::hold()?.finish(planned.open(context), why).await?;
    report(context, &opened, watch).await
}

/// Follows a switch to its end, says how it went, and turns that into the exit code.
pub async fn report(context: &Context, opened: &Opened, watch: Watch) -> Result<Exit, Ends> {
    let read = || follow::read(context, opened);
    if watch.detach {
        return detached(&read()?, watch);
    }
    let mut signals = Signals::hold()?;
    let mut steps = Steps::new(!watch.json);
    let mut tell = |event: Event<'_>| match event {
        Event::Read(record) => steps.show(record),
        Event::Crashing { record, times } => crashing(record, times),
    };
    let followed = tokio::select! {
        // The switch is open: whatever keeps this from following it, it is not that nothing was changed.
        followed = follow::follow(context, opened, &mut tell) => followed.map_err(Ends::with(Exit::Stuck))?,
        _ = signals.received() => return Ok(interrupted(&read()?)),
    };
    drop(steps);
    let (record, outcome) = match followed {
        Followed::Ended(record, outcome) => (record, outcome),
        Followed::Unbegun => return Err(Ends::with(Exit::Refused)(unbegun(opened))),
    };
    if watch.json {
        output::json(&Report::new(&record, Some(outcome)))?;
    } else {
        conclude(&record, outcome);
    }
    Ok(outcome.into())
}

fn crashing(record: &Record, times: u32) {
    let plan = &record.head.plan;
    output::warning(&format!(
        "the worker of switch {} of {} cannot continue, and was started again {times} times; it is followed until it can. \
         The reason: systemctl status {}",
        plan.switch,
        plan.app,
        UnitName::switch(&plan.app)
    ));
}

fn unbegun(opened: &Opened) -> eyre::Report {
    let Opened { app, switch, .. } = opened;
    let message =
        format!("cannot follow switch {switch} of {app}: it was closed before it began, and nothing was changed");
    Hinted::new(message, format!("what runs now: bgctl status {app}")).into()
}

fn detached(record: &Record, watch: Watch) -> Result<Exit, Ends> {
    if watch.json {
        output::json(&Report::new(record, None))?;
    } else {
        let plan = &record.head.plan;
        output::answer(&format!(
            "switch {} of {} runs; follow it: bgctl switch {} --follow",
            plan.switch, plan.app, plan.app
        ));
    }
    Ok(Exit::Done)
}

fn interrupted(record: &Record) -> Exit {
    let plan = &record.head.plan;
    let app = &plan.app;
    let steps = record.steps().into_iter().rev();
    let now = steps
        .filter(|step| step.state != StepState::Pending)
        .map(|step| step.text)
        .next();
    output::progress(&format!(
        "switch {} to {} continues{}\n  follow it:    bgctl switch {app} --follow\n  roll it back: bgctl abort {app}",
        plan.switch,
        plan.release,
        now.map(|step| format!(": {step}")).unwrap_or_default(),
    ));
    Exit::Interrupted
}

fn conclude(record: &Record, outcome: Outcome) {
    let plan = &record.head.plan;
    let took = output::duration(record.took());
    match outcome {
        Outcome::Done if !plan.verb.makes_active() => output::answer(&staged_or_not(record, &took)),
        Outcome::Done => {
            let was = match (&plan.replaces, plan.from) {
                (Some(release), Some(color)) => format!("; before: {release} in {color}"),
                _ => String::new(),
            };
            let color = output::in_color(Some(plan.to), plan.to.as_str());
            output::answer(&format!(
                "{} {} is active in {color} after {took}{was}{}",
                plan.app,
                output::bold(plan.release.as_str()),
                held(record)
            ));
        }
        Outcome::RolledBack => {
            fail(record.failure(), "the switch was aborted");
            let staged = match plan.verb {
                Verb::Promote => format!(", and {} is staged in {} as before", plan.release, plan.to),
                _ => String::new(),
            };
            output::answer(&format!(
                "rolled back after {took}: {}{staged}{}",
                serving(record),
                held(record)
            ));
        }
        Outcome::Stuck => {
            fail(record.last_failure(), "the switch is stuck");
            let app = &plan.app;
            output::answer(&format!("stuck: {}; manual intervention is required", serving(record)));
            output::answer(&format!("  inspect:      bgctl status {app}"));
            output::answer(&format!("  resume:       bgctl resume {app}"));
            if record.can_be_rolled_back() {
                output::answer(&format!("  or roll back: bgctl abort {app}"));
            }
        }
    }
}

/// The end of what moves no traffic.
fn staged_or_not(record: &Record, took: &str) -> String {
    let plan = &record.head.plan;
    let (app, release, serving) = (&plan.app, output::bold(plan.release.as_str()), serving(record));
    if plan.verb == Verb::Stage {
        let color = output::in_color(Some(plan.to), plan.to.as_str());
        format!("{app} {release} is staged in {color} after {took}; {serving}; next: bgctl promote {app}")
    } else {
        format!("{app} {release} is not staged any more after {took}; {serving}")
    }
}

fn fail(failure: Option<&crate::journal::Failure>, otherwise: &str) {
    match failure {
        Some(failure) => output::error(&failure.error, &failure.details, failure.hint.as_deref()),
        None => output::warning(otherwise),
    }
}

/// For how long requests were held, where they were.
fn held(record: &Record) -> String {
    let held = record.held().map(output::duration);
    held.map_or_else(String::new, |held| format!("; requests were held for {held}"))
}

/// Which release serves after a switch that did not come to its end.
fn serving(record: &Record) -> String {
    let plan = &record.head.plan;
    let has_begun = |verb: &str| {
        plan.steps.iter().zip(record.steps()).any(|(planned, summary)| {
            planned.step.verb() == verb
                && matches!(summary.state, StepState::Done | StepState::Running | StepState::Undoing)
        })
    };
    let flipped = has_begun("route");
    match (flipped, &plan.replaces, plan.from) {
        (false, ..) if has_begun("hold") => "no release serves, and requests are answered with 503".to_owned(),
        (true, ..) => format!("{} serves in {}", plan.release, plan.to),
        (false, Some(release), Some(color)) => format!("{release} still serves in {color}"),
        _ => "nothing is deployed".to_owned(),
    }
}

/// A switch for programs.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    app: &'a AppName,
    switch: &'a SwitchId,
    verb: Verb,
    release: &'a ReleaseId,
    replaces: Option<&'a ReleaseId>,
    from: Option<Color>,
    to: Color,
    outcome: &'static str,
    error: Option<&'a str>,
    hint: Option<&'a str>,
    opened: jiff::Timestamp,
    ended: Option<jiff::Timestamp>,
    promote_ms: Option<u128>,
    total_ms: u128,
    /// Where requests were held, for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_ms: Option<u128>,
    steps: Vec<StepSummary>,
}

impl<'a> Report<'a> {
    /// The report on a switch; it runs where there is no outcome yet.
    pub fn new(record: &'a Record, outcome: Option<Outcome>) -> Self {
        let plan = &record.head.plan;
        let failure = record.failure();
        Self {
            app: &plan.app,
            switch: &plan.switch,
            verb: plan.verb,
            release: &plan.release,
            replaces: plan.replaces.as_ref(),
            from: plan.from,
            to: plan.to,
            outcome: match outcome {
                None => "running",
                Some(Outcome::Done) => "done",
                Some(Outcome::RolledBack) => "rolled-back",
                Some(Outcome::Stuck) => "stuck",
            },
            error: failure.map(|failure| failure.error.as_str()),
            hint: failure.and_then(|failure| failure.hint.as_deref()),
            opened: record.head.opened,
            ended: outcome.map(|_| record.last()),
            promote_ms: record.until("promote").map(|duration| duration.as_millis()),
            total_ms: record.took().as_millis(),
            held_ms: record.held().map(|held| held.as_millis()),
            steps: record.steps(),
        }
    }
}
