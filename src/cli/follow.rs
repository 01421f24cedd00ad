//! Following a switch: the worker writes its journal, and this reads it.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::engine::Outcome;
use crate::host::systemd::{Systemd, UnitState};
use crate::journal::{Event, Next, Record, StepState, StepSummary};
use crate::model::{AppName, Color, Hinted, ReleaseId, SwitchId, UnitName};
use crate::ops::context::Context;
use crate::ops::opening::Opening;
use crate::plan::{Plan, Verb};
use crate::state::switches::Switches;

use super::args::Watch;
use super::output;
use super::report::{Ends, Exit};
use super::signals::Signals;
use super::steps::Steps;

/// The time between two readings of the journal, while steps follow each other and while one takes its time.
const READ: std::ops::RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(50);
/// Within that it is this part of the time since the journal last grew.
const PATIENCE: u32 = 16;
/// How often it is asked whether a silent worker still lives.
const ALIVE: Duration = Duration::from_millis(500);
/// How long it may be away: an abort and a restart by systemd take it away for a moment, on a busy host a long one.
const AWAY: Duration = Duration::from_secs(10);
/// How often in a row it may end without a decision before whoever follows is told.
const CRASHES: u32 = 3;

/// Opens the switch that was planned, and follows it.
pub async fn open(context: &Context, opening: Opening, plan: &Plan, watch: Watch) -> eyre::Result<Exit> {
    let why = "the switch gets its worker first";
    let systemd = Signals::hold()?.finish(opening.commit(context, plan), why).await?;
    report(context, &systemd, &plan.app, &plan.switch, watch).await
}

/// Follows a switch to its end, says how it went, and turns that into the exit code.
pub async fn report(
    context: &Context,
    systemd: &Systemd,
    app: &AppName,
    id: &SwitchId,
    watch: Watch,
) -> eyre::Result<Exit> {
    let switches = Switches::new(&context.layout, app);
    if watch.detach {
        return detached(&switches.read(id)?, watch);
    }
    let mut signals = Signals::hold()?;
    let (record, outcome) = tokio::select! {
        // The switch is open: whatever keeps this from following it, it is not that nothing was changed.
        ended = follow(&switches, systemd, app, id, watch) => ended.map_err(unless_it_says)?,
        _ = signals.received() => return Ok(interrupted(&switches.read(id)?)),
    };
    if watch.json {
        output::json(&Report::new(&record, Some(outcome)))?;
    } else {
        conclude(&record, outcome);
    }
    Ok(outcome.into())
}

fn unless_it_says(error: eyre::Report) -> eyre::Report {
    if error.is::<Ends>() {
        error
    } else {
        Ends::with(Exit::Stuck)(error).into()
    }
}

/// Reads the journal until the switch ended and its worker let go of it.
async fn follow(
    switches: &Switches,
    systemd: &Systemd,
    app: &AppName,
    id: &SwitchId,
    watch: Watch,
) -> eyre::Result<(Record, Outcome)> {
    let mut steps = Steps::new(!watch.json);
    let mut systemd = systemd.clone();
    let worker = UnitName::switch(app);
    let mut asked = Instant::now();
    let mut away = None;
    let mut crashes = Crashes::default();
    let (mut entries, mut grown) = (0, Instant::now());
    loop {
        // The link is read before the journal: once it is gone, the journal is complete.
        let is_open = switches.open_id()?.as_ref() == Some(id);
        let record = switches.read(id)?;
        steps.show(&record);
        match (record.next(), is_open) {
            (Next::Finished, false) => return Ok((record, Outcome::Done)),
            (Next::Undone, false) => return Ok((record, Outcome::RolledBack)),
            (_, false) => return Err(Ends::with(Exit::Refused)(closed(app, id)).into()),
            (next, true) if asked.elapsed() > ALIVE => {
                asked = Instant::now();
                // A bus that was restarted has closed every connection, and a switch continues all the same.
                if systemd.is_cut_off()
                    && let Ok(again) = Systemd::connect().await
                {
                    systemd = again;
                }
                let state = systemd.state(&worker).await;
                if let Ok(state) = &state {
                    crashes.tell(state, &record);
                }
                let is_down = state.map(|state| state.active.is_down());
                if matches!(is_down, Ok(false)) || switches.read(id)? != record {
                    away = None;
                    continue;
                }
                if is_down.is_ok() && matches!(next, Next::Stuck { .. }) {
                    return Ok((record, Outcome::Stuck));
                }
                let is_over = away.get_or_insert_with(Instant::now).elapsed() > AWAY;
                if is_over && switches.open_id()?.as_ref() == Some(id) {
                    return Err(match is_down {
                        Ok(_) => stopped(app, id),
                        Err(error) => lost_sight(error, app, id),
                    });
                }
            }
            _ => {}
        }
        if record.entries.len() != entries {
            (entries, grown) = (record.entries.len(), Instant::now());
        }
        tokio::time::sleep((grown.elapsed() / PATIENCE).clamp(*READ.start(), *READ.end())).await;
    }
}

/// A worker that ends again and again before it gets anything on record, as on a full disk.
#[derive(Debug, Default)]
struct Crashes {
    /// How often it had been started again, and how long the journal was, when that last grew.
    grown: Option<(u32, usize)>,
    are_told: bool,
}

impl Crashes {
    /// Tells it, once.
    fn tell(&mut self, worker: &UnitState, record: &Record) {
        // That a worker begins is nothing that it got done.
        let done = record.events().filter(|event| !matches!(event, Event::Resumed { .. }));
        let entries = done.count();
        let (before, length) = *self.grown.get_or_insert((worker.restarts, entries));
        if length != entries {
            self.grown = Some((worker.restarts, entries));
        } else if !self.are_told && worker.restarts >= before + CRASHES {
            let plan = &record.head.plan;
            output::warning(&format!(
                "the worker of switch {} of {} cannot continue, and was started again {} times; it is followed until it can. \
                 The reason: systemctl status {}",
                plan.switch,
                plan.app,
                worker.restarts - before,
                UnitName::switch(&plan.app)
            ));
            self.are_told = true;
        }
    }
}

fn closed(app: &AppName, id: &SwitchId) -> eyre::Report {
    let message = format!("cannot follow switch {id} of {app}: it was closed before it began, and nothing was changed");
    Hinted::new(message, format!("what runs now: bgctl status {app}")).into()
}

fn stopped(app: &AppName, id: &SwitchId) -> eyre::Report {
    let unit = UnitName::switch(app);
    let message = format!("switch {id} of {app} is not finished, and its worker {unit} does not run");
    let hint = format!("resume it: bgctl resume {app}; or roll it back: bgctl abort {app}");
    Hinted::new(message, hint).into()
}

fn lost_sight(error: eyre::Report, app: &AppName, id: &SwitchId) -> eyre::Report {
    let hint = format!("its worker continues where it can; follow it again: bgctl switch {app} --follow");
    Hinted::from(
        error.wrap_err(format!("cannot tell how switch {id} of {app} ends")),
        hint,
    )
    .into()
}

fn detached(record: &Record, watch: Watch) -> eyre::Result<Exit> {
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
        Outcome::Done => {
            let was = match (&plan.replaces, plan.from) {
                (Some(release), Some(color)) => format!("; before: {release} in {color}"),
                _ => String::new(),
            };
            let color = output::in_color(Some(plan.to), plan.to.as_str());
            output::answer(&format!(
                "{} {} is active in {color} after {took}{was}",
                plan.app,
                output::bold(plan.release.as_str())
            ));
        }
        Outcome::RolledBack => {
            fail(record.failure(), "the switch was aborted");
            output::answer(&format!("rolled back after {took}: {}", serving(record)));
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

fn fail(failure: Option<&crate::journal::Failure>, otherwise: &str) {
    match failure {
        Some(failure) => output::error(&failure.error, &failure.details, failure.hint.as_deref()),
        None => output::warning(otherwise),
    }
}

/// Which release serves after a switch that did not come to its end.
fn serving(record: &Record) -> String {
    let plan = &record.head.plan;
    let flipped = plan.steps.iter().zip(record.steps()).any(|(planned, summary)| {
        planned.step.verb() == "route"
            && matches!(summary.state, StepState::Done | StepState::Running | StepState::Undoing)
    });
    match (flipped, &plan.replaces, plan.from) {
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
            steps: record.steps(),
        }
    }
}
