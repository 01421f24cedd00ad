//! The one loop that takes a switch from event to event, and the seam to the machine.

use crate::journal::{Entry, Event, Failure, Next, next};
use crate::model::{CutOff, NotDone, Observed};
use crate::plan::{Plan, Step};

/// What a switch needs of the machine it runs on.
pub trait Effects {
    /// Looks at the app, for a plan. Fails where something that the plan needs cannot be read.
    fn observe(&self) -> impl Future<Output = eyre::Result<Observed>>;

    /// Performs a step; a note about it where there is something worth knowing. Can be called twice for the same step.
    /// Fails with what could not be done, for an operator; with [`NotDone`] where for certain nothing has changed, with
    /// [`CutOff`] where nothing can be told of the step.
    fn perform(&self, plan: &Plan, step: &Step) -> impl Future<Output = eyre::Result<Option<String>>>;

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
    /// A person is needed.
    Stuck,
}

/// Takes a switch on from `events` to its end. Fails where its own journal cannot be written, and with [`CutOff`]; a step
/// that fails is not an error of this function but an event.
pub async fn run(plan: &Plan, events: Vec<Event>, effects: &mut impl Effects) -> eyre::Result<Outcome> {
    let mut events = events;
    loop {
        let event = match next(plan, &events) {
            Next::Do(step) => advance(plan, step, &mut events, effects).await?,
            Next::Undo(step) => take_back(plan, step, &mut events, effects).await?,
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
    Ok(match effects.perform(plan, &planned.step).await {
        Ok(note) => Event::Done { step, note },
        Err(error) if error.is::<CutOff>() => return Err(error),
        Err(error) => Event::Failed {
            step,
            untouched: error.is::<NotDone>(),
            failure: Failure::from(&error),
        },
    })
}

async fn take_back(
    plan: &Plan,
    step: usize,
    events: &mut Vec<Event>,
    effects: &mut impl Effects,
) -> eyre::Result<Event> {
    events.push(effects.record(Event::UndoStarted { step })?.event);
    for undo in plan
        .steps
        .get(step)
        .map(|planned| planned.undo.as_slice())
        .unwrap_or_default()
    {
        effects.announce(&format!("undo: {undo}"));
        if let Err(error) = effects.perform(plan, undo).await {
            if error.is::<CutOff>() {
                return Err(error);
            }
            return Ok(Event::UndoFailed {
                step,
                failure: Failure::from(&error),
            });
        }
    }
    Ok(Event::UndoDone { step })
}

/// How often in a row the last thing failed that is tried again now; none where something else comes next.
fn retries(plan: &Plan, events: &[Event]) -> Option<u32> {
    let last = failed(events.last()?)?;
    let again = match next(plan, events) {
        Next::Do(step) => last == (step, false),
        Next::Undo(step) => last == (step, true),
        _ => false,
    };
    let ended = events
        .iter()
        .rev()
        .filter(|event| !matches!(event, Event::Started { .. } | Event::UndoStarted { .. }));
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
