//! A worker: the real `engine::run` on a world, with what befalls it on its way.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bgctl::engine::{self, Effects, Outcome, StepError};
use bgctl::journal::{Baseline, Entry, Event};
use bgctl::plan::{OnFailure, Plan, Step};

use crate::world::{Broken, Violation, World};

/// What is left when a worker dies, and all that the next one has.
#[derive(Clone, Debug)]
pub struct Site {
    /// The host.
    pub world: Rc<World>,
    /// The journal.
    pub journal: Vec<Event>,
}

/// What befalls a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// A step fails once; `late`: after it had its effect.
    Fail {
        /// Whether after its effect.
        late: bool,
    },
    /// A step fails from now on; `late`: after it had its effect.
    Break {
        /// Whether after its effect.
        late: bool,
    },
    /// A step fails once, and is known not to have begun.
    Refuse,
    /// Somebody else moves the cursor before the step.
    Meddle,
}

impl Trick {
    /// Every way in which a step fails.
    pub const FAULTS: [Self; 5] = [
        Self::Refuse,
        Self::Fail { late: false },
        Self::Fail { late: true },
        Self::Break { late: false },
        Self::Break { late: true },
    ];
}

/// Which of the steps that a worker performs, counted from 0, and what befalls it there.
pub type Script = [(usize, Trick)];

/// How a worker ended, and what there was on its way.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub outcome: Outcome,
    /// What it left.
    pub site: Site,
    /// The world after each record and each step, with the number of events on record then.
    pub trail: Vec<(Rc<World>, usize)>,
    /// How many steps it performed, those that failed too.
    pub performed: usize,
    /// How long it waited, in failures in a row.
    pub pauses: Vec<u32>,
}

impl Ran {
    /// What is left where the worker dies at a moment of its trail.
    pub fn dead_at(&self, moment: usize) -> Site {
        let (world, events) = &self.trail[moment];
        Site {
            world: Rc::clone(world),
            journal: self.site.journal[..*events].to_vec(),
        }
    }
}

const REFUSED: &str = "it was refused";

/// No worker does more than this before it ends.
const MOST_MOMENTS: usize = 400;

struct Worker<'a> {
    before: &'a World,
    site: RefCell<Site>,
    script: &'a Script,
    trail: RefCell<Vec<(Rc<World>, usize)>>,
    performed: Cell<usize>,
    pauses: RefCell<Vec<u32>>,
}

/// Lets a worker take up what the last one left. Panics where a rule is broken.
pub fn work(plan: &Plan, before: &World, left: Site, script: &Script) -> Ran {
    let mut worker = Worker {
        before,
        site: RefCell::new(left),
        script,
        trail: RefCell::default(),
        performed: Cell::new(0),
        pauses: RefCell::default(),
    };
    let boot = worker.site.borrow().world.boot_id();
    if let Err(Violation(rule)) = worker.site.borrow().world.check_alone(plan, before) {
        panic!("{rule}\n{}\n{before:#?}", worker.site.borrow().story(plan));
    }
    worker.record(Event::Resumed { boot }).unwrap();
    let journal = worker.site.borrow().journal.clone();
    let outcome = match pin!(engine::run(plan, journal, &mut worker)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.unwrap(),
        Poll::Pending => panic!("nothing here waits"),
    };
    Ran {
        outcome,
        site: worker.site.into_inner(),
        trail: worker.trail.into_inner(),
        performed: worker.performed.get(),
        pauses: worker.pauses.into_inner(),
    }
}

impl Worker<'_> {
    fn moment(&self) {
        let site = self.site.borrow();
        let mut trail = self.trail.borrow_mut();
        trail.push((Rc::clone(&site.world), site.journal.len()));
        assert!(trail.len() < MOST_MOMENTS, "it does not end: {:#?}", site.journal);
    }

    fn befalls(&self) -> Option<Trick> {
        let number = self.performed.replace(self.performed.get() + 1);
        self.script
            .iter()
            .find(|(at, _)| *at == number)
            .map(|(_, trick)| *trick)
    }

    fn act(&self, plan: &Plan, step: &Step) -> Result<Result<(), &'static str>, Violation> {
        let trick = self.befalls();
        let site = &mut *self.site.borrow_mut();
        announced(plan, &site.journal, step)?;
        if trick == Some(Trick::Refuse) {
            return Ok(Err(REFUSED));
        }
        if trick == Some(Trick::Fail { late: false }) {
            return Ok(Err("it failed once"));
        }
        let world = Rc::make_mut(&mut site.world);
        match trick {
            Some(Trick::Break { late }) => {
                let step = step.clone();
                world.broken = Some(Broken { step, late });
            }
            Some(Trick::Meddle) => world.meddle(),
            Some(Trick::Fail { .. } | Trick::Refuse) | None => {}
        }
        let ended = world.perform(plan, step)?;
        world.check(plan, self.before)?;
        Ok(match trick {
            Some(Trick::Fail { .. }) => Err("it failed once"),
            _ => ended,
        })
    }
}

/// Nothing runs before its event is on record.
fn announced(plan: &Plan, journal: &[Event], step: &Step) -> Result<(), Violation> {
    let last = journal
        .iter()
        .rev()
        .find(|event| !matches!(event, Event::Watched { .. }));
    let on_record = match last {
        Some(Event::Started { step: index }) => plan.steps[*index].step == *step,
        Some(Event::UndoStarted { step: index }) => plan.steps[*index].undo.contains(step),
        _ => false,
    };
    if on_record {
        Ok(())
    } else {
        Err(Violation(format!("{step} is not on record")))
    }
}

/// Whether the switch can only go on.
pub fn is_past_return(plan: &Plan, journal: &[Event]) -> bool {
    let forward = |step: usize| plan.steps[step].on_failure == OnFailure::Retry;
    journal
        .iter()
        .any(|event| matches!(event, Event::Started { step } if forward(*step)))
}

fn is_watched(step: &Step) -> bool {
    matches!(step, Step::Bake { .. } | Step::Await { .. })
}

impl Effects for Worker<'_> {
    async fn baseline(&self, step: &Step) -> Option<Baseline> {
        let watched = is_watched(step);
        watched.then_some(Baseline {
            invocation: None,
            restarts: 0,
            boottime_ms: 0,
        })
    }

    async fn perform(
        &self,
        plan: &Plan,
        step: &Step,
        baseline: Option<&Baseline>,
    ) -> Result<Option<String>, StepError> {
        let is_undo = matches!(self.site.borrow().journal.last(), Some(Event::UndoStarted { .. }));
        assert!(is_undo || baseline.is_some() == is_watched(step), "{step}");
        let ended = match self.act(plan, step) {
            Ok(ended) => ended,
            Err(Violation(rule)) => panic!("{rule}\n{}\n{:#?}", self.site.borrow().story(plan), self.before),
        };
        self.moment();
        match ended {
            Ok(()) => Ok(None),
            Err(REFUSED) => Err(StepError::Untouched(eyre::eyre!("cannot {step}: {REFUSED}"))),
            Err(error) => Err(eyre::eyre!("cannot {step}: {error}").into()),
        }
    }

    fn record(&mut self, event: Event) -> eyre::Result<Entry> {
        let site = self.site.get_mut();
        site.journal.push(event.clone());
        self.moment();
        let at = jiff::Timestamp::UNIX_EPOCH;
        Ok(Entry { at, event })
    }

    fn announce(&self, _status: &str) {}

    async fn pause(&self, failures: u32) {
        self.pauses.borrow_mut().push(failures);
    }
}

impl Site {
    /// The journal, for a person who looks for what went wrong.
    pub fn story(&self, plan: &Plan) -> String {
        let line = |event: &Event| match event {
            Event::Resumed { boot } => format!("resumed in {boot}"),
            Event::AbortRequested => "abort requested".to_owned(),
            Event::Started { step } => format!("started {step}: {}", plan.steps[*step].step),
            Event::Watched { step, .. } => format!("watched {step}"),
            Event::Done { step, .. } => format!("done {step}"),
            Event::Failed { step, failure, .. } => format!("failed {step}: {}", failure.error),
            Event::UndoStarted { step } => format!("undo started {step}: {:?}", plan.steps[*step].undo),
            Event::UndoDone { step } => format!("undo done {step}"),
            Event::UndoFailed { step, failure } => format!("undo failed {step}: {}", failure.error),
        };
        let lines: Vec<_> = self.journal.iter().map(line).collect();
        format!("{}\n{:#?}", lines.join("\n"), self.world)
    }
}
