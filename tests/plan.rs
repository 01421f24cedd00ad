//! Every plan and every refusal, as a person would read it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "support/builders.rs"]
mod builders;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/scenarios.rs"]
mod scenarios;

use std::fmt::Write as _;
use std::time::Duration;

use bgctl::model::{
    ActiveState, Color, InstanceState, Invalid, Observed, OpenSwitch, Release, ReleaseId, Route, SwitchId,
};
use bgctl::plan::{
    OnFailure, Plan, PlannedStep, Refusal, Step, Verb, abort, promote, rollback, rollback_locally, stage, switch,
};
use proptest::prelude::*;

use builders::{app, fresh, id, instance, release, serving, with_previous, with_staged};

/// The host that a plan was made for.
fn looks(observed: &Observed) -> String {
    let cursor = observed.cursor.as_ref().and_then(|stored| stored.cursor.active);
    let mut text = format!(
        "the cursor says {}, nginx sends requests to {}\n",
        Color::or_none(cursor),
        observed.route
    );
    for color in Color::BOTH {
        let InstanceState { state, enabled, pinned } = observed.instances.get(color);
        let enabled = if *enabled { "enabled" } else { "not enabled" };
        let pinned = pinned.as_ref().map_or("nothing", ReleaseId::as_str);
        writeln!(text, "{color} is {state}, {enabled}, with {pinned} pinned").unwrap();
    }
    text
}

/// One line a step: number, what a failure of it means, the step, what takes it back, why it is there.
fn readable(plan: &Plan) -> String {
    let name = |release: &Option<ReleaseId>| release.as_ref().map_or("nothing", ReleaseId::as_str).to_owned();
    let mut text = format!(
        "{:?} {} of {}: {} in {} replaces {} in {}\n",
        plan.verb,
        plan.switch,
        plan.app,
        plan.release,
        plan.to,
        name(&plan.replaces),
        Color::or_none(plan.from),
    );
    for (number, planned) in plan.steps.iter().enumerate() {
        writeln!(text, "{:2} {}", number + 1, line(planned)).unwrap();
    }
    text
}

fn line(planned: &PlannedStep) -> String {
    let on_failure = match planned.on_failure {
        OnFailure::Undo => "undo ",
        OnFailure::Retry => "retry",
    };
    let undo: Vec<_> = planned.undo.iter().map(ToString::to_string).collect();
    let undo = if undo.is_empty() {
        "-".to_owned()
    } else {
        undo.join(", then ")
    };
    format!("{on_failure} | {} | back: {undo} | {}", planned.step, planned.reason)
}

/// The text is the one in `snapshots/`.
fn assert_text(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn plans() {
    for scenario in scenarios::all() {
        let name = scenario.name.replace([':', ','], "").replace(' ', "-");
        let text = looks(&scenario.observed) + &readable(&scenario.plan);
        assert_text(&name, &text);
    }
}

#[test]
fn plan_survives_its_journal() {
    for scenario in scenarios::all() {
        let text = serde_json::to_string(&scenario.plan).unwrap();
        assert!(!text.contains('\n'), "it is one line of the journal");
        assert_eq!(
            serde_json::from_str::<Plan>(&text).unwrap(),
            scenario.plan,
            "{}",
            scenario.name
        );
    }
}

#[test]
fn same_release_may_be_switched_to_again() {
    let observed = serving(Color::Blue);
    let again = switch(&app(), &release("r1"), &observed).unwrap();
    assert_eq!((again.release, again.to), (id("r1"), Color::Green));
}

#[test]
fn release_that_is_not_on_record_any_more_is_not_pinned_again() {
    let idle = builders::state(ActiveState::Inactive, false, Some("r0"));
    let mut observed = builders::serving_beside(Color::Blue, idle);
    let back = |observed: &Observed| {
        let plan = switch(&app(), &release("r2"), observed).unwrap();
        let undo = |planned: PlannedStep| planned.undo;
        plan.steps.into_iter().flat_map(undo).next().unwrap()
    };
    let pin = |release| Step::Pin {
        color: Color::Green,
        release,
    };
    assert_eq!(back(&observed), pin(Some(id("r0"))));
    observed.releases.retain(|release| release.id != id("r0"));
    assert_eq!(back(&observed), pin(None));
}

fn refused(case: &str, plan: Result<Plan, Refusal>) -> String {
    let refusal = plan.unwrap_err();
    let hint = refusal.hint().unwrap_or_else(|| "-".to_owned());
    format!("{case}\n  {refusal}\n  hint: {hint}\n")
}

fn cold() -> Observed {
    with_previous(builders::state(ActiveState::Inactive, false, Some("r0")))
}

fn busy(observed: Observed) -> Observed {
    let open = Some(OpenSwitch {
        id: SwitchId::numbered(6),
        release: id("r2"),
        since: "2026-10-20T12:00:00Z".parse().unwrap(),
    });
    Observed { open, ..observed }
}

fn not_installed() -> Observed {
    Observed {
        cursor: None,
        ..fresh()
    }
}

#[test]
fn refusals_of_a_switch() {
    let ask = |release: &Release, observed: &Observed| switch(&app(), release, observed);
    let mut other = release("r1");
    other.arguments.push("--new".to_owned());
    assert_text(
        "refusals-of-a-switch",
        &[
            refused("no cursor", ask(&release("r2"), &not_installed())),
            refused("a switch is open", ask(&release("r2"), &busy(serving(Color::Blue)))),
            refused("the name is taken", ask(&other, &serving(Color::Blue))),
        ]
        .concat(),
    );
}

#[test]
fn refusals_of_a_rollback() {
    let ask = |to: Option<&str>, observed: &Observed| rollback(&app(), to.map(id).as_ref(), observed);
    assert_text(
        "refusals-of-a-rollback",
        &[
            refused("no cursor", ask(None, &not_installed())),
            refused("never switched", ask(None, &fresh())),
            refused("switched once", ask(None, &serving(Color::Blue))),
            refused("a switch is open", ask(None, &busy(cold()))),
            refused("to the active release", ask(Some("r1"), &cold())),
            refused("to an unknown release", ask(Some("r9"), &cold())),
            refused("to an unknown release, none on record", ask(Some("r9"), &fresh())),
        ]
        .concat(),
    );
}

#[test]
fn refusals_of_what_is_staged() {
    let since: jiff::Timestamp = "2026-10-20T12:00:00Z".parse().unwrap();
    let late: jiff::Timestamp = "2026-10-20T14:00:00Z".parse().unwrap();
    let ask = |observed: &Observed| promote(&app(), observed, since);
    let with = |change: fn(&mut Observed)| {
        let mut observed = with_staged();
        change(&mut observed);
        observed
    };
    let is_down = with(|observed| instance(observed, Color::Green).state = ActiveState::Failed);
    let is_other = with(|observed| instance(observed, Color::Green).pinned = Some(id("r0")));
    let is_nothing = with(|observed| instance(observed, Color::Green).pinned = None);
    let is_lost = with(|observed| observed.releases.retain(|release| release.id != id("r2")));
    let serves = with(|observed| observed.route = Route::To(Color::Green));
    let mut other = release("r2");
    other.arguments.push("--new".to_owned());
    let mut alone = app();
    alone.strategy = bgctl::model::Strategy::StopFirst {
        hold: Duration::from_secs(10),
    };
    assert_text(
        "refusals-of-what-is-staged",
        &[
            refused("promote, nothing staged", ask(&serving(Color::Blue))),
            refused("promote, a switch is open", ask(&busy(with_staged()))),
            refused("promote, expired", promote(&app(), &with_staged(), late)),
            refused("promote, down", ask(&is_down)),
            refused("promote, another one pinned", ask(&is_other)),
            refused("promote, nothing pinned", ask(&is_nothing)),
            refused("promote, not on record", ask(&is_lost)),
            refused("promote, it serves", ask(&serves)),
            refused("abort, nothing staged", abort(&app(), &serving(Color::Blue))),
            refused("abort, it serves", abort(&app(), &serves)),
            refused("stage, no cursor", stage(&app(), &release("r2"), &not_installed())),
            refused("stage, the name is taken", stage(&app(), &other, &with_staged())),
            refused(
                "stage, only one color runs",
                stage(&alone, &release("r2"), &serving(Color::Blue)),
            ),
            refused("promote, only one color runs", promote(&alone, &with_staged(), since)),
        ]
        .concat(),
    );
}

#[test]
fn release_that_is_staged_is_not_the_one_to_go_back_to() {
    let back = rollback(&app(), None, &with_staged()).unwrap();
    assert_eq!(back.release, id("r0"));
}

#[test]
fn refusals_are_told_in_their_own_words() {
    let refusal = Refusal::from(Invalid::value("a port", 0, "ports are 1 to 65535"));
    assert_eq!(refusal.to_string(), "cannot use \"0\" as a port: ports are 1 to 65535");
    assert_eq!(refusal.hint(), None);
}

/// Where each of the steps that `is` is.
fn places(plan: &Plan, is: impl Fn(&Step) -> bool) -> Vec<usize> {
    let steps = plan.steps.iter().enumerate();
    steps
        .filter(|(_, planned)| is(&planned.step))
        .map(|(at, _)| at)
        .collect()
}

/// The place of the one step that `is`.
fn place(plan: &Plan, is: impl Fn(&Step) -> bool) -> usize {
    match places(plan, is).as_slice() {
        [one] => *one,
        many => panic!("not exactly once, but at {many:?}\n{}", readable(plan)),
    }
}

/// What holds of every plan in which only one color ever runs.
fn is_one_at_a_time(plan: &Plan) {
    let (to, old) = (plan.to, plan.to.other());
    let start = place(plan, |step| matches!(step, Step::Start { .. }));
    let enable = place(plan, |step| matches!(step, Step::Enable { .. }));
    let promote = place(plan, |step| matches!(step, Step::Promote { .. } | Step::Defer { .. }));
    let route = place(plan, |step| *step == Step::Route { to: Route::To(to) });
    let confirm = place(plan, |step| matches!(step, Step::Confirm { color, .. } if *color == to));
    assert!(start < enable && enable < promote && promote < route && route < confirm);
    let ends = |step: &Step| matches!(step, Step::Drain { .. } | Step::Disable { .. } | Step::Stop { .. });
    for early in places(plan, ends) {
        assert!(
            early < start,
            "something is stopped after the start\n{}",
            readable(plan)
        );
    }
    if plan.from.is_some() {
        let hold = place(plan, |step| matches!(step, Step::Hold { prove: true, .. }));
        let stop = place(plan, |step| matches!(step, Step::Stop { color, .. } if *color == old));
        let disable = place(plan, |step| *step == Step::Disable { color: old });
        assert!(hold < disable && disable < stop, "{}", readable(plan));
        assert!(matches!(
            plan.steps[route].undo.as_slice(),
            [Step::Hold { prove: false, .. }]
        ));
    }
    assert!(plan.steps.iter().all(|planned| planned.on_failure == OnFailure::Undo));
    assert_ne!(plan.from, Some(to));
}

/// What holds of every plan in which both colors run.
fn is_well_formed(plan: &Plan) {
    let (to, old) = (plan.to, plan.to.other());
    let start = place(plan, |step| matches!(step, Step::Start { color, .. } if *color == to));
    let enable = places(plan, |step| *step == Step::Enable { color: to });
    let promote = place(plan, |step| matches!(step, Step::Promote { .. } | Step::Defer { .. }));
    let route = place(plan, |step| matches!(step, Step::Route { .. }));
    let confirm = place(plan, |step| matches!(step, Step::Confirm { color, .. } if *color == to));
    // What is staged is enabled already.
    assert!(plan.verb == Verb::Promote || enable.len() == 1, "{}", readable(plan));
    assert!(enable.iter().all(|enable| start < *enable && *enable < promote));
    assert!(start < promote && promote < route && route < confirm);
    assert_eq!(plan.steps[route].step, Step::Route { to: Route::To(to) });
    for early in places(plan, |step| matches!(step, Step::Pin { .. } | Step::Verify { .. })) {
        assert!(early < promote);
    }
    let ends = |step: &Step| match step {
        Step::Drain { color, .. } | Step::Disable { color } | Step::Stop { color, .. } => Some(*color),
        _ => None,
    };
    for late in places(plan, |step| ends(step) == Some(old)) {
        assert!(late > confirm, "the old color ends too early");
    }
    for late in places(plan, |step| matches!(step, Step::StartCompanions { .. })) {
        assert!(late > confirm, "companions start before users are there");
    }
    for early in places(plan, |step| ends(step) == Some(to)) {
        assert!(early < start, "the new color is stopped after its start");
    }
    let retry = |planned: &PlannedStep| planned.on_failure == OnFailure::Retry;
    let first_retry = plan.steps.iter().position(retry).unwrap_or(plan.steps.len());
    assert!(confirm < first_retry, "it cannot go back while it is not confirmed");
    assert!(
        plan.steps[first_retry..]
            .iter()
            .all(|planned| retry(planned) && planned.undo.is_empty())
    );
    assert_ne!(plan.from, Some(to));
}

fn is_of_companions(step: &Step) -> bool {
    matches!(step, Step::StopCompanions { .. } | Step::StartCompanions { .. })
}

/// What a step changes is undone by its undo, but for what no step brings back.
fn is_taken_back(plan: &Plan, planned: &PlannedStep) -> bool {
    let is_alone = plan.steps.iter().all(|planned| planned.on_failure == OnFailure::Undo);
    match &planned.step {
        Step::Verify { .. }
        | Step::Prove { .. }
        | Step::Confirm { .. }
        | Step::Bake { .. }
        | Step::Await { .. }
        | Step::Drain { .. }
        | Step::Stop { .. }
        | Step::StopCompanions { .. }
        | Step::StartCompanions { .. } => planned.undo.is_empty(),
        Step::Stage { .. } => matches!(planned.undo.as_slice(), [Step::Unstage { .. }]),
        // Where only one color ever runs it cannot be brought up again.
        Step::Unstage { .. } if planned.undo.is_empty() => is_alone && plan.verb.makes_active(),
        Step::Unstage { .. } => {
            matches!(
                planned.undo.as_slice(),
                [Step::Restage { .. }] | [Step::Revive { .. }, Step::Restage { .. }]
            )
        }
        // One that was up, or enabled, before.
        Step::Start { color, .. } => {
            let stops = |step: &Step| matches!(step, Step::Stop { color: same, .. } if same == color);
            planned.undo.is_empty() || planned.undo.iter().any(stops)
        }
        Step::Enable { color } => planned.undo.is_empty() || planned.undo == [Step::Disable { color: *color }],
        Step::Disable { color } if *color == plan.to => {
            planned.undo == [Step::Enable { color: *color }] || (is_alone && planned.undo.is_empty())
        }
        // What was not enabled, or did not run.
        Step::Disable { .. } => {
            let enables = |step: &Step| matches!(step, Step::Enable { color } if *color != plan.to);
            let starts = |step: &Step| matches!(step, Step::Start { color, .. } if *color != plan.to);
            match planned.undo.as_slice() {
                [] => true,
                [one] => enables(one) || starts(one),
                [first, second] => enables(first) && starts(second),
                _ => false,
            }
        }
        Step::Pin { color, .. } => matches!(planned.undo.as_slice(), [Step::Pin { color: same, .. }] if same == color),
        Step::Promote { to, .. } => {
            matches!(planned.undo.as_slice(), [Step::Demote { .. }, Step::Drain { color, .. }] if color == to)
        }
        Step::Defer { to, .. } => {
            matches!(planned.undo.as_slice(), [Step::Recall, Step::Drain { color, .. }] if color == to)
        }
        // The users first; what is done to companions from there on is taken back with it.
        Step::Route { .. } => matches!(
            planned.undo.as_slice(),
            [Step::Route { .. } | Step::Hold { .. }, rest @ ..] if rest.iter().all(is_of_companions)
        ),
        Step::Hold { .. } => matches!(planned.undo.as_slice(), [Step::Route { .. }]),
        Step::Demote { .. } | Step::Recall | Step::Restage { .. } | Step::Revive { .. } => false,
    }
}

/// What holds of every plan that moves no traffic.
fn moves_nothing(plan: &Plan) {
    let moves = |step: &Step| {
        use Step::{Await, Bake, Confirm, Defer, Demote, Drain, Promote, Recall, Route};
        matches!(
            step,
            Await { .. }
                | Bake { .. }
                | Confirm { .. }
                | Defer { .. }
                | Demote { .. }
                | Drain { .. }
                | Promote { .. }
                | Recall
                | Route { .. }
        )
    };
    let of_other = |step: &Step| match step {
        Step::Pin { color, .. }
        | Step::Start { color, .. }
        | Step::Stop { color, .. }
        | Step::Enable { color }
        | Step::Disable { color } => *color != plan.to,
        _ => false,
    };
    for planned in &plan.steps {
        for step in std::iter::once(&planned.step).chain(&planned.undo) {
            assert!(!moves(step) && !of_other(step), "{}", line(planned));
        }
        let is_forward = planned.on_failure == OnFailure::Retry;
        assert_eq!(is_forward, plan.verb == Verb::Abort, "{}", line(planned));
    }
    assert_ne!(plan.from, Some(plan.to));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_of_what_is_staged_is_well_formed(app in hosts::any_app(), observed in hosts::observed()) {
        let staged = stage(&app, &release("r2"), &observed);
        prop_assert_eq!(staged.is_err(), app.strategy.is_stop_first());
        if let Ok(plan) = &staged {
            moves_nothing(plan);
        }
        if let Ok(plan) = abort(&app, &observed) {
            moves_nothing(&plan);
        }
        let promoted = promote(&app, &observed, jiff::Timestamp::UNIX_EPOCH);
        if let Ok(plan) = &promoted {
            is_well_formed(plan);
        }
        for plan in [staged, promoted].into_iter().flatten() {
            for planned in plan.steps.iter().filter(|planned| planned.on_failure == OnFailure::Undo) {
                prop_assert!(is_taken_back(&plan, planned), "{}", line(planned));
            }
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
    }

    #[test]
    fn every_plan_is_well_formed(app in hosts::any_app(), observed in hosts::observed(), verb in 0..3) {
        let plan = match verb {
            0 => switch(&app, &release("r2"), &observed),
            1 => rollback(&app, None, &observed),
            _ => rollback_locally(&app, None, &observed),
        }.unwrap();
        if app.strategy.is_stop_first() {
            is_one_at_a_time(&plan);
        } else {
            is_well_formed(&plan);
        }
        for planned in plan.steps.iter().filter(|planned| planned.on_failure == OnFailure::Undo) {
            prop_assert!(is_taken_back(&plan, planned), "{}", line(planned));
        }
        let text = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
