//! The one decision point of a switch.

use std::collections::BTreeMap;

use crate::plan::{OnFailure, Plan, PlannedStep};

use super::{Baseline, Event};

/// How often a step past the point of no return, or an undo, is tried by one worker before the switch is stuck.
const ATTEMPTS: u32 = 5;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this step.
    Do(usize),
    /// Undo this step.
    Undo(usize),
    /// All steps are done.
    Finished,
    /// All that was started is undone.
    Undone,
    /// It can go neither on nor back.
    Stuck {
        /// The step that fails.
        step: usize,
        /// Whether it is its undo that fails.
        undoing: bool,
    },
}

/// What comes next in a switch with this plan after these events.
///
/// A step that was started and did not end is done again when going on, and counts as done when undoing; one whose every
/// attempt failed without having changed anything does not. A reboot between the events makes volatile steps (a started instance) undone again.
pub fn next<'a>(plan: &Plan, events: impl IntoIterator<Item = &'a Event>) -> Next {
    let mut state = State::default();
    for event in events {
        state.apply(plan, event);
        // It stays finished, whatever comes late: its end may have been reported already.
        if state.is_finished(plan) {
            return Next::Finished;
        }
    }
    if state.undoing {
        state.next_undo(plan)
    } else {
        state.next_do(plan)
    }
}

/// Whether a switch with this plan, which is open, can still be rolled back after these events: the end of the old color has
/// not begun.
pub fn can_be_rolled_back<'a>(plan: &Plan, events: impl IntoIterator<Item = &'a Event>) -> bool {
    let mut state = State::default();
    for event in events {
        state.apply(plan, event);
    }
    !state.is_past_return(plan)
}

/// What the step watches was like when it first began in the boot that is now; none where that is not on record.
pub fn baseline(events: &[Event], step: usize) -> Option<&Baseline> {
    let (mut boot, mut found) = (None, None);
    for event in events {
        match event {
            Event::Resumed { boot: now } if boot != Some(now) => (boot, found) = (Some(now), None),
            Event::Watched { step: of, baseline } if *of == step => found = found.or(Some(baseline)),
            _ => {}
        }
    }
    found
}

/// The events, folded.
#[derive(Default)]
struct State {
    steps: BTreeMap<usize, Progress>,
    boot: Option<String>,
    undoing: bool,
}

/// What all attempts at a step may have changed.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reach {
    /// Nothing, for certain.
    #[default]
    Nothing,
    /// Nothing before the attempt that has begun and not ended.
    Begun,
    /// Anything.
    Anything,
}

#[derive(Default)]
struct Progress {
    reach: Reach,
    done: bool,
    undone: bool,
    failures: u32,
}

impl State {
    fn apply(&mut self, plan: &Plan, event: &Event) {
        match event {
            Event::Resumed { boot } => self.resume(plan, boot),
            Event::Started { step } => {
                let step = self.step(*step);
                // Of the attempt before that did not end nobody knows how far it came.
                step.reach = match step.reach {
                    Reach::Nothing => Reach::Begun,
                    Reach::Begun | Reach::Anything => Reach::Anything,
                };
            }
            Event::Done { step, .. } => {
                let step = self.step(*step);
                step.reach = Reach::Anything;
                step.done = true;
                step.failures = 0;
            }
            Event::Failed { step, untouched, .. } => {
                let failed = self.step(*step);
                failed.reach = match failed.reach {
                    Reach::Begun if *untouched => Reach::Nothing,
                    _ => Reach::Anything,
                };
                self.fail(plan, *step);
            }
            Event::AbortRequested => self.undoing |= !self.is_past_return(plan),
            Event::UndoStarted { .. } | Event::Watched { .. } => {}
            Event::UndoDone { step } => self.step(*step).undone = true,
            Event::UndoFailed { step, .. } => self.step(*step).failures += 1,
        }
    }

    fn step(&mut self, step: usize) -> &mut Progress {
        self.steps.entry(step).or_default()
    }

    /// A new worker has all its attempts again: a person may have mended what made the last one give up.
    fn resume(&mut self, plan: &Plan, boot: &str) {
        let rebooted = self.boot.as_deref().is_some_and(|before| before != boot);
        self.boot = Some(boot.to_owned());
        for (step, progress) in &mut self.steps {
            let volatile = plan.steps.get(*step).is_some_and(PlannedStep::is_volatile);
            progress.done &= !(rebooted && volatile);
            progress.failures = 0;
        }
    }

    /// Past the point of no return nothing is undone, also not by a step that is done again after a reboot.
    fn fail(&mut self, plan: &Plan, step: usize) {
        if on_failure(plan, step) == OnFailure::Undo && !self.is_past_return(plan) {
            self.undoing = true;
        } else {
            self.step(step).failures += 1;
        }
    }

    fn is_past_return(&self, plan: &Plan) -> bool {
        self.steps
            .keys()
            .any(|step| on_failure(plan, *step) == OnFailure::Retry)
    }

    fn is_finished(&self, plan: &Plan) -> bool {
        !self.undoing && self.steps.len() >= plan.steps.len() && self.next_do(plan) == Next::Finished
    }

    fn next_do(&self, plan: &Plan) -> Next {
        let not_done = |step: &usize| !self.steps.get(step).is_some_and(|progress| progress.done);
        match (0..plan.steps.len()).find(not_done) {
            None => Next::Finished,
            Some(step) if self.is_exhausted(step) => Next::Stuck { step, undoing: false },
            Some(step) => Next::Do(step),
        }
    }

    fn next_undo(&self, plan: &Plan) -> Next {
        let has_undo = |step: usize| plan.steps.get(step).is_some_and(|planned| !planned.undo.is_empty());
        let mut open = self
            .steps
            .iter()
            .rev()
            .filter(|(step, progress)| !progress.undone && progress.reach != Reach::Nothing && has_undo(**step));
        match open.next() {
            None => Next::Undone,
            Some((step, _)) if self.is_exhausted(*step) => Next::Stuck {
                step: *step,
                undoing: true,
            },
            Some((step, _)) => Next::Undo(*step),
        }
    }

    fn is_exhausted(&self, step: usize) -> bool {
        self.steps
            .get(&step)
            .is_some_and(|progress| progress.failures >= ATTEMPTS)
    }
}

fn on_failure(plan: &Plan, step: usize) -> OnFailure {
    plan.steps
        .get(step)
        .map_or(OnFailure::Undo, |planned| planned.on_failure)
}
