//! A switch under every fault, and under the death of its worker at every moment, on a world that breaks nothing by
//! itself: `support/world.rs` judges after every step, `support/judge.rs` at the end.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and these say how many cases they saw"
)]

#[path = "support/builders.rs"]
mod builders;
#[path = "support/explorer.rs"]
mod explorer;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/journals.rs"]
mod journals;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/scenarios.rs"]
mod scenarios;
#[path = "support/worker.rs"]
mod worker;
#[path = "support/world.rs"]
mod world;

use std::rc::Rc;

use bgctl::engine::Outcome;
use bgctl::journal::{Entry, Event, Next, next};
use bgctl::model::Color;
use bgctl::plan::{self, OnFailure, Plan, Step};
use proptest::prelude::*;

use explorer::{Explorer, deaths, everywhere, moment_of};
use worker::{Site, Trick, work};
use world::{Broken, World};

#[test]
fn without_a_fault_every_switch_is_done() {
    everywhere("no fault", 20, |explorer| {
        let ran = explorer.start(&[]);
        assert_eq!(ran.outcome, Outcome::Done);
        assert_eq!(ran.performed, explorer.plan.steps.len());
        assert!(ran.pauses.is_empty());
    });
}

#[test]
fn one_fault() {
    everywhere("one fault", 700, |explorer| {
        for number in 0..explorer.plan.steps.len() {
            for trick in Trick::FAULTS {
                explorer.start(&[(number, trick)]);
            }
        }
    });
}

#[test]
fn fault_and_another_one_on_the_way_back() {
    everywhere("fault, fault", 5_500, |explorer| {
        for number in 0..explorer.plan.steps.len() {
            for trick in [Trick::Fail { late: false }, Trick::Fail { late: true }] {
                let ran = explorer.start(&[(number, trick)]);
                for second in number + 1..ran.performed {
                    for other in Trick::FAULTS {
                        explorer.start(&[(number, trick), (second, other)]);
                    }
                }
            }
        }
    });
}

#[test]
fn worker_dies() {
    everywhere("death", 1_100, |explorer| {
        let ran = explorer.start(&[]);
        for (told, left) in deaths(&ran, 0) {
            explorer.resume(left, &[], &told);
        }
    });
}

#[test]
fn worker_dies_twice() {
    everywhere("death, death", 30_000, |explorer| {
        let ran = explorer.start(&[]);
        for (first, left) in deaths(&ran, 0) {
            let ran = explorer.resume(left, &[], &first);
            for (second, left) in deaths(&ran, 0) {
                explorer.resume(left, &[], &format!("{first}, {second}"));
            }
        }
    });
}

#[test]
fn worker_dies_after_a_fault() {
    everywhere("fault, death", 16_000, |explorer| {
        for number in 0..explorer.plan.steps.len() {
            for trick in Trick::FAULTS {
                let ran = explorer.start(&[(number, trick)]);
                let from = moment_of(&ran, number);
                for (told, left) in deaths(&ran, from) {
                    explorer.resume(left, &[], &format!("{trick:?} at {number}, {told}"));
                }
            }
        }
    });
}

#[test]
fn fault_after_the_worker_died() {
    everywhere("death, fault", 20_000, |explorer| {
        let ran = explorer.start(&[]);
        for (told, left) in deaths(&ran, 0) {
            let performed = explorer.resume(left.clone(), &[], &told).performed;
            for number in 0..performed {
                for trick in Trick::FAULTS {
                    explorer.resume(left.clone(), &[(number, trick)], &told);
                }
            }
        }
    });
}

#[test]
fn abort_takes_back_what_can_be_rolled_back() {
    everywhere("abort, death", 20_000, |explorer| {
        let ran = explorer.start(&[]);
        for (first, mut left) in deaths(&ran, 0) {
            left.journal.push(Event::AbortRequested);
            let ran = explorer.resume(left, &[], &format!("{first}, abort"));
            for (second, left) in deaths(&ran, 0) {
                explorer.resume(left, &[], &format!("{first}, abort, {second}"));
            }
        }
    });
}

#[test]
fn somebody_else_moves_the_cursor() {
    everywhere("meddling, death", 5_000, |explorer| {
        for number in 0..explorer.plan.steps.len() {
            let ran = explorer.start(&[(number, Trick::Meddle)]);
            let from = moment_of(&ran, number);
            for (told, left) in deaths(&ran, from) {
                explorer.resume(left, &[], &format!("meddling at {number}, {told}"));
            }
        }
    });
}

#[test]
fn abort_meets_a_fault() {
    everywhere("abort, fault", 14_000, |explorer| {
        let ran = explorer.start(&[]);
        for (told, mut left) in deaths(&ran, 0) {
            left.journal.push(Event::AbortRequested);
            let performed = explorer.resume(left.clone(), &[], &told).performed;
            for number in 0..performed {
                for trick in Trick::FAULTS {
                    explorer.resume(left.clone(), &[(number, trick)], &format!("{told}, abort"));
                }
            }
        }
    });
}

#[test]
fn color_does_not_come_back_from_a_reboot() {
    everywhere("no start at a boot", 2_000, |explorer| {
        let ran = explorer.start(&[]);
        for (told, mut left) in deaths(&ran, 0) {
            for color in Color::BOTH {
                let world = Rc::make_mut(&mut left.world);
                world.broken = Some(Broken {
                    step: Step::Start {
                        color,
                        health: builders::app().health,
                    },
                    late: false,
                });
                world.reboot();
                explorer.resume(left.clone(), &[], &format!("{told}, then a reboot without {color}"));
            }
        }
    });
}

/// Whether a switch that is here goes back.
fn goes_back(next: &Next) -> bool {
    matches!(next, Next::Undo(_) | Next::Undone | Next::Stuck { undoing: true, .. })
}

/// Obeys from here on, and all goes well. Panics where that does not come to an end.
fn obey(plan: &Plan, mut journal: Vec<Event>) -> Next {
    for _ in 0..=2 * plan.steps.len() + 2 {
        match next(plan, &journal) {
            Next::Do(step) => {
                assert!(step < plan.steps.len());
                journal.extend([Event::Started { step }, Event::Done { step, note: None }]);
            }
            Next::Undo(step) => {
                assert!(!plan.steps[step].undo.is_empty());
                journal.extend([Event::UndoStarted { step }, Event::UndoDone { step }]);
            }
            Next::Stuck { .. } => journal.push(Event::Resumed {
                boot: "boot-0".to_owned(),
            }),
            end => return end,
        }
    }
    panic!("it does not end: {journal:#?}")
}

/// What holds of every journal, whatever is in it.
fn is_sane(plan: &Plan, journal: &[Event]) {
    let mut last = next(plan, &[]);
    let mut past = false;
    for (at, event) in journal.iter().enumerate() {
        let forward = |step: usize| {
            plan.steps
                .get(step)
                .is_some_and(|step| step.on_failure == OnFailure::Retry)
        };
        past |= matches!(event, Event::Started { step } if forward(*step)) && !goes_back(&last);
        let now = next(plan, &journal[..=at]);
        assert!(
            !(past && goes_back(&now)),
            "back past the point of no return: {:#?}",
            &journal[..=at]
        );
        assert!(
            !goes_back(&last) || goes_back(&now),
            "forth on the way back: {:#?}",
            &journal[..=at]
        );
        assert!(last != Next::Finished || now == Next::Finished, "on after its end");
        last = now;
    }
    assert_eq!(obey(plan, journal.to_vec()) == Next::Undone, goes_back(&last));
}

/// A plan of any of the scenarios.
fn any_plan() -> impl Strategy<Value = Plan> {
    let plans: Vec<_> = scenarios::all().into_iter().map(|scenario| scenario.plan).collect();
    prop::sample::select(plans)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn journal_of_nonsense_is_survived(plan in any_plan(), journal in journals::nonsense()) {
        is_sane(&plan, &journal);
    }

    #[test]
    fn damaged_journal_is_survived(
        scenario in 0..28_usize,
        fault in (0..12_usize, 0..4_usize),
        damage in journals::damage(),
    ) {
        let scenario = scenarios::all().swap_remove(scenario);
        let before = World::new(&scenario.observed);
        let site = Site { world: Rc::new(before.clone()), journal: Vec::new() };
        let ran = work(&scenario.plan, &before, site, &[(fault.0, Trick::FAULTS[fault.1])]);
        let times = damage.iter().copied().chain(std::iter::repeat(1));
        let lines = ran.site.journal.iter().zip(times);
        let journal: Vec<_> = lines.flat_map(|(event, times)| std::iter::repeat_n(event.clone(), times)).collect();
        is_sane(&scenario.plan, &journal);
    }

    #[test]
    fn entry_survives_its_journal(event in journals::event(), second in 0..4_000_000_000_i64) {
        let entry = Entry { at: jiff::Timestamp::from_second(second).unwrap(), event };
        let text = serde_json::to_string(&entry).unwrap();
        prop_assert!(!text.contains('\n'), "it is one line of the journal");
        prop_assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }

    #[test]
    fn any_host_any_fault_any_death(
        app in hosts::any_app(),
        observed in hosts::observed(),
        verb in 0..5,
        fault in (0..14_usize, 0..4_usize),
        death in (any::<prop::sample::Index>(), any::<bool>()),
    ) {
        let release = builders::release("r2");
        let plan = match verb {
            0 => plan::rollback(&app, None, &observed),
            1 => plan::switch(&app, &release, &observed),
            2 => plan::stage(&app, &release, &observed),
            3 => plan::promote(&app, &observed, jiff::Timestamp::UNIX_EPOCH),
            _ => plan::abort(&app, &observed),
        };
        // Not everything is there to be promoted, or taken down.
        let Ok(plan) = plan else { return Ok(()) };
        let before = World::new(&observed);
        let mut explorer = Explorer { name: "any host", plan, before, cases: 0 };
        let ran = explorer.start(&[(fault.0, Trick::FAULTS[fault.1])]);
        let mut left = ran.dead_at(death.0.index(ran.trail.len()));
        if death.1 {
            Rc::make_mut(&mut left.world).reboot();
        }
        explorer.resume(left, &[], "fault, death");
    }
}
