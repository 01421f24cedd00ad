//! The one loop that takes a switch from event to event, and the seam to the machine.

use crate::journal::{self, Baseline, Entry, Event, Failure, Next, next};
use crate::plan::{Plan, Step};

/// Why a step, or the undo of one, did not end well.
#[derive(Debug)]
pub enum StepError {
    /// For certain nothing has changed.
    Untouched(eyre::Report),
    /// The system bus closed its connection, so that this process cannot tell how anything ends: another one can.
    BusLost(eyre::Report),
    /// It failed; anything may have changed.
    Failed(eyre::Report),
}

impl From<eyre::Report> for StepError {
    fn from(error: eyre::Report) -> Self {
        Self::Failed(error)
    }
}

/// What a switch needs of the machine it runs on.
pub trait Effects {
    /// What a step is about to watch, as it is now. Returns `None` where it watches nothing, or that cannot be read, which the
    /// step itself tells.
    fn baseline(&self, step: &Step) -> impl Future<Output = Option<Baseline>>;

    /// Performs a step; returns a note about it where there is something worth knowing. `baseline` is what it watches, as it
    /// was when the step first began. Can be called twice for the same step. Errors with what could not be done, for an
    /// operator.
    fn perform(
        &self,
        plan: &Plan,
        step: &Step,
        baseline: Option<&Baseline>,
    ) -> impl Future<Output = Result<Option<String>, StepError>>;

    /// Puts an event on disk, at the present time. Nothing runs before its event is there.
    fn record(&mut self, event: Event) -> eyre::Result<Entry>;

    /// Tells whoever watches what happens now, one short line.
    fn announce(&self, status: &str);

    /// Waits a little before the next attempt at something that failed `failures` times in a row.
    fn pause(&self, failures: u32) -> impl Future<Output = ()>;
}

/// How a switch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The release is active.
    Done,
    /// It failed, and all is as it was before.
    RolledBack,
    /// It can neither be completed nor undone: manual intervention is required.
    Stuck,
}

/// Resumes a switch from `events` and carries it to its end. Errors where its own journal cannot be written, or the system bus
/// is lost ([`StepError::BusLost`]); a step that fails is not an error of this function but an event.
pub async fn run(plan: &Plan, events: Vec<Event>, effects: &mut impl Effects) -> eyre::Result<Outcome> {
    let mut events = events;
    loop {
        let event = match next(plan, &events) {
            Next::Do(step) => advance(plan, step, &mut events, effects).await?,
            Next::Undo(step) => undo(plan, step, &mut events, effects).await?,
            Next::Finished => return Ok(Outcome::Done),
            Next::Undone => return Ok(Outcome::RolledBack),
            Next::Stuck { .. } => return Ok(Outcome::Stuck),
        };
        events.push(effects.record(event)?.event);
        if let Some(failures) = retries(plan, &events) {
            effects.pause(failures).await;
        }
    }
}

async fn advance(plan: &Plan, step: usize, events: &mut Vec<Event>, effects: &mut impl Effects) -> eyre::Result<Event> {
    events.push(effects.record(Event::Started { step })?.event);
    let planned = plan
        .steps
        .get(step)
        .ok_or_else(|| eyre::eyre!("cannot run step {step}: the plan has no such step"))?;
    effects.announce(&planned.step.to_string());
    if journal::baseline(events, step).is_none()
        && let Some(baseline) = effects.baseline(&planned.step).await
    {
        events.push(effects.record(Event::Watched { step, baseline })?.event);
    }
    let baseline = journal::baseline(events, step);
    let (untouched, error) = match effects.perform(plan, &planned.step, baseline).await {
        Ok(note) => return Ok(Event::Done { step, note }),
        Err(StepError::BusLost(error)) => return Err(bus_lost(error)),
        Err(StepError::Untouched(error)) => (true, error),
        Err(StepError::Failed(error)) => (false, error),
    };
    Ok(Event::Failed {
        step,
        untouched,
        failure: Failure::from(&error),
    })
}

async fn undo(plan: &Plan, step: usize, events: &mut Vec<Event>, effects: &mut impl Effects) -> eyre::Result<Event> {
    events.push(effects.record(Event::UndoStarted { step })?.event);
    for step_back in plan
        .steps
        .get(step)
        .map(|planned| planned.undo.as_slice())
        .unwrap_or_default()
    {
        effects.announce(&format!("undo: {step_back}"));
        match effects.perform(plan, step_back, None).await {
            Ok(_) => {}
            Err(StepError::BusLost(error)) => return Err(bus_lost(error)),
            Err(StepError::Untouched(error) | StepError::Failed(error)) => {
                let failure = Failure::from(&error);
                return Ok(Event::UndoFailed { step, failure });
            }
        }
    }
    Ok(Event::UndoDone { step })
}

fn bus_lost(error: eyre::Report) -> eyre::Report {
    error.wrap_err("cannot continue: the system bus closed the connection")
}

/// How often in a row the last thing failed that is tried again now; none where something else comes next.
fn retries(plan: &Plan, events: &[Event]) -> Option<u32> {
    let last = failed(events.last()?)?;
    let again = match next(plan, events) {
        Next::Do(step) => last == (step, false),
        Next::Undo(step) => last == (step, true),
        _ => false,
    };
    let ended = events.iter().rev().filter(|event| {
        !matches!(
            event,
            Event::Started { .. } | Event::Watched { .. } | Event::UndoStarted { .. }
        )
    });
    let failures = ended.take_while(|event| failed(event) == Some(last));
    again.then(|| u32::try_from(failures.count()).unwrap_or(u32::MAX))
}

/// The step that failed, and whether it was its undo.
fn failed(event: &Event) -> Option<(usize, bool)> {
    match event {
        Event::Failed { step, .. } => Some((*step, false)),
        Event::UndoFailed { step, .. } => Some((*step, true)),
        _ => None,
    }
}
