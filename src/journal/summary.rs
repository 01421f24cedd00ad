//! How far a switch is, for people and programs.

use std::time::Duration;

use serde::Serialize;

use crate::plan::Step;

use super::{Event, Failure, Record};

/// How far one step of a switch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepSummary {
    /// The step's name, one word.
    pub step: &'static str,
    /// The step in words.
    #[serde(skip)]
    pub text: String,
    /// How far it is.
    pub state: StepState,
    /// How long its last attempt took, milliseconds; none while it runs.
    pub ms: Option<u64>,
    /// What is worth knowing about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Runs, or ran when the worker ended.
    Running,
    /// Ended well.
    Done,
    /// Did not end well.
    Failed,
    /// Is being undone.
    Undoing,
    /// Was undone.
    Undone,
}

impl Record {
    /// How far each step is.
    pub fn steps(&self) -> Vec<StepSummary> {
        let planned = self.head.plan.steps.iter();
        planned
            .enumerate()
            .map(|(index, planned)| self.summarize(index, &planned.step))
            .collect()
    }

    /// The first failure of a step, which is what the switch failed of; an undo's failure comes after it.
    pub fn failure(&self) -> Option<&Failure> {
        self.events().find_map(|event| match event {
            Event::Failed { failure, .. } => Some(failure),
            _ => None,
        })
    }

    /// The last failure of anything.
    pub fn last_failure(&self) -> Option<&Failure> {
        self.events()
            .filter_map(|event| match event {
                Event::Failed { failure, .. } | Event::UndoFailed { failure, .. } => Some(failure),
                _ => None,
            })
            .last()
    }

    /// From the opening to the end of the promote, or of the flip that follows it.
    pub fn until(&self, verb: &str) -> Option<Duration> {
        let index = self
            .head
            .plan
            .steps
            .iter()
            .position(|planned| planned.step.verb() == verb)?;
        let done = self
            .entries
            .iter()
            .find(|entry| matches!(&entry.event, Event::Done { step, .. } if *step == index))?;
        Some(between(self.head.opened, done.at))
    }

    /// From the opening to the last event.
    pub fn took(&self) -> Duration {
        between(self.head.opened, self.last())
    }

    /// How long requests were held in it, all times together, until now where they still are. Returns `None` where that never was.
    pub fn held(&self) -> Option<Duration> {
        let steps = &self.head.plan.steps;
        let (mut since, mut total) = (None, None);
        for entry in &self.entries {
            let is_hold = |step: &&Step| matches!(step, Step::Hold { .. });
            let step = match &entry.event {
                Event::Started { step } => steps.get(*step).map(|planned| &planned.step).filter(is_hold),
                Event::Done { step, .. } => steps.get(*step).map(|planned| &planned.step),
                Event::UndoDone { step } => steps.get(*step).and_then(|planned| planned.undo.last()),
                _ => None,
            };
            match step {
                Some(Step::Hold { .. }) => since = since.or(Some(entry.at)),
                Some(Step::Route { .. }) => {
                    total = add(total, since.take().map(|since| between(since, entry.at)));
                }
                _ => {}
            }
        }
        add(total, since.map(|since| between(since, self.last())))
    }

    fn summarize(&self, index: usize, step: &Step) -> StepSummary {
        let mut state = StepState::Pending;
        let (mut begun, mut ms, mut note) = (None, None, None);
        for entry in &self.entries {
            match &entry.event {
                Event::Started { step } if *step == index => {
                    (state, begun, ms) = (StepState::Running, Some(entry.at), None);
                }
                Event::Done { step, note: said } if *step == index => {
                    (state, note) = (StepState::Done, said.clone());
                    ms = begun.map(|begun| millis(between(begun, entry.at)));
                }
                Event::Failed { step, .. } if *step == index => {
                    state = StepState::Failed;
                    ms = begun.map(|begun| millis(between(begun, entry.at)));
                }
                Event::UndoStarted { step } if *step == index => state = StepState::Undoing,
                Event::UndoDone { step } if *step == index => state = StepState::Undone,
                _ => {}
            }
        }
        StepSummary {
            step: step.verb(),
            text: step.to_string(),
            state,
            ms,
            note,
        }
    }
}

fn add(total: Option<Duration>, more: Option<Duration>) -> Option<Duration> {
    match (total, more) {
        (Some(total), Some(more)) => Some(total + more),
        (total, more) => total.or(more),
    }
}

/// None where the clock was set back meanwhile.
fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_is_set_back_makes_nothing_take_long() {
        let (day, hour) = (jiff::Timestamp::UNIX_EPOCH, jiff::SignedDuration::from_hours(1));
        assert_eq!(between(day, day + hour), Duration::from_secs(3600));
        assert_eq!(between(day + hour, day), Duration::ZERO);
    }
}
