//! Any journal.

use bgctl::journal::{Baseline, Event, Failure};
use proptest::prelude::*;

/// Any event, of a step that there is or not.
pub fn event() -> impl Strategy<Value = Event> {
    let step = 0..14_usize;
    let failure = |error: &str| Failure {
        error: error.to_owned(),
        hint: Some("look at it".to_owned()),
        details: vec!["one".to_owned(), "two".to_owned()],
    };
    let note = Some("took \"1\" s\n".to_owned());
    prop_oneof![
        2 => (0..3).prop_map(|boot| Event::Resumed { boot: format!("boot-{boot}") }),
        6 => step.clone().prop_map(|step| Event::Started { step }),
        6 => step.clone().prop_map(move |step| Event::Done { step, note: note.clone() }),
        1 => step.clone().prop_map(|step| Event::Watched {
            step,
            baseline: Baseline { invocation: Some("1f".to_owned()), restarts: 2, boottime_ms: 7 },
        }),
        2 => (step.clone(), any::<bool>()).prop_map(move |(step, untouched)| Event::Failed { step, untouched, failure: failure("it failed") }),
        1 => Just(Event::AbortRequested),
        3 => step.clone().prop_map(|step| Event::UndoStarted { step }),
        3 => step.clone().prop_map(|step| Event::UndoDone { step }),
        2 => step.prop_map(|step| Event::UndoFailed { step, failure: Failure { hint: None, ..Failure::from(&eyre::eyre!("no")) } }),
    ]
}

/// A journal that may hold anything.
pub fn nonsense() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..60)
}

/// What can happen to a file on its way: for every line how often it is there, 1 in most cases.
pub fn damage() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![6 => Just(1_usize), 1 => Just(0), 1 => Just(2)], 0..80)
}
