//! The situations in which a switch can be asked for, by name, each with its plan.

use std::time::Duration;

use bgctl::model::{ActiveState, App, Color, Observed, Replica, Route, Strategy, Verify};
use bgctl::plan::{self, Plan};

use crate::builders::{
    app, companion, fresh, id, instance, release, serving, serving_beside, serving_with_companions, staged, state,
    with_companions, with_previous, with_staged,
};

/// A host before a switch, and the plan that was made for it.
pub struct Scenario {
    /// For people.
    pub name: &'static str,
    /// The host.
    pub observed: Observed,
    /// The plan.
    pub plan: Plan,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let mut all = switches();
    all.extend(rollbacks());
    all.extend(disagreements());
    all.extend(stop_first());
    all.extend(companions());
    all.extend(stages());
    all.extend(beside_staged());
    all
}

fn switch_to(name: &'static str, app: &App, observed: Observed) -> Scenario {
    let plan = plan::switch(app, &release("r2"), &observed).unwrap();
    Scenario { name, observed, plan }
}

fn rollback_to(name: &'static str, app: &App, to: Option<&str>, observed: Observed) -> Scenario {
    let plan = plan::rollback(app, to.map(id).as_ref(), &observed).unwrap();
    Scenario { name, observed, plan }
}

fn locally(name: &'static str, app: &App, observed: Observed) -> Scenario {
    let plan = plan::rollback_locally(app, None, &observed).unwrap();
    Scenario { name, observed, plan }
}

fn stage_of(name: &'static str, app: &App, release: &str, observed: Observed) -> Scenario {
    let plan = plan::stage(app, &self::release(release), &observed).unwrap();
    Scenario { name, observed, plan }
}

fn promote(name: &'static str, app: &App, observed: Observed) -> Scenario {
    let now = observed.staged.as_ref().unwrap().since;
    let plan = plan::promote(app, &observed, now).unwrap();
    Scenario { name, observed, plan }
}

/// One check of a release, a command.
fn stories() -> Verify {
    let line = "curl -fsS http://127.0.0.1:$PORT/api/stories";
    Verify::commands([line], Duration::from_secs(60))
}

/// Each verb that a release is staged, promoted and taken down by.
fn stages() -> Vec<Scenario> {
    let app = app();
    let mut careful = app.clone();
    careful.verify = stories();
    careful.bake = Duration::from_secs(60);
    careful.confirm_within = Some(Duration::from_secs(300));
    careful.stage.expires = Some(Duration::from_secs(7200));
    let used = || serving_beside(Color::Blue, state(ActiveState::Active, false, Some("r0")));
    let mut disabled = with_staged();
    instance(&mut disabled, Color::Green).enabled = false;
    let mut first = fresh();
    *instance(&mut first, Color::Blue) = state(ActiveState::Active, true, Some("r2"));
    (first.releases, first.staged) = (vec![release("r2")], Some(staged(Color::Blue, "r2")));
    let abort = |name, observed: Observed| {
        let plan = plan::abort(&app, &observed).unwrap();
        Scenario { name, observed, plan }
    };
    let mut down = with_staged();
    instance(&mut down, Color::Green).state = ActiveState::Failed;
    vec![
        stage_of("stage", &app, "r2", serving(Color::Blue)),
        stage_of("stage, first", &app, "r2", fresh()),
        stage_of("stage, careful", &careful, "r2", used()),
        stage_of("stage over what is staged", &app, "r3", with_staged()),
        stage_of("stage what is staged again", &app, "r2", with_staged()),
        promote("promote", &app, with_staged()),
        promote("promote, careful", &careful, with_staged()),
        promote("promote, first", &app, first),
        promote("promote what does not start at boot", &app, disabled),
        abort("abort what is staged", with_staged()),
        abort("abort what is staged and down", down),
    ]
}

/// A switch or a rollback while a release is staged.
fn beside_staged() -> Vec<Scenario> {
    let app = app();
    let plan = plan::switch(&app, &release("r3"), &with_staged()).unwrap();
    let over = Scenario {
        name: "switch over what is staged",
        observed: with_staged(),
        plan,
    };
    vec![
        over,
        switch_to("switch to what is staged", &app, with_staged()),
        rollback_to("rollback over what is staged", &app, None, with_staged()),
        locally(
            "rollback over what is staged, while the store is away",
            &app,
            with_staged(),
        ),
    ]
}

fn switches() -> Vec<Scenario> {
    let app = app();
    let mut careful = app.clone();
    careful.verify = stories();
    careful.bake = Duration::from_secs(60);
    careful.confirm_within = Some(Duration::from_secs(300));
    let mut warm = app.clone();
    warm.drain.keep_warm = true;
    let beside = |name, down, enabled, pinned| {
        let observed = serving_beside(Color::Blue, state(down, enabled, pinned));
        switch_to(name, &app, observed)
    };
    vec![
        switch_to("first switch", &app, fresh()),
        switch_to("first switch, careful", &careful, fresh()),
        switch_to("blue to green", &app, serving(Color::Blue)),
        switch_to("green to blue", &app, serving(Color::Green)),
        switch_to("careful: verify and bake", &careful, serving(Color::Blue)),
        switch_to("keep warm", &warm, serving(Color::Blue)),
        beside("idle was used before", ActiveState::Inactive, false, Some("r0")),
        beside("idle runs something else", ActiveState::Active, false, Some("r0")),
        beside("idle is starting", ActiveState::Activating, false, Some("r0")),
        beside("idle failed", ActiveState::Failed, false, Some("r0")),
        beside("idle is enabled", ActiveState::Inactive, true, Some("r0")),
        beside("idle is enabled and runs", ActiveState::Active, true, Some("r0")),
        beside("idle is enabled with nothing pinned", ActiveState::Failed, true, None),
    ]
}

fn rollbacks() -> Vec<Scenario> {
    let app = app();
    let warm = || with_previous(state(ActiveState::Active, false, Some("r0")));
    let cold = || with_previous(state(ActiveState::Inactive, false, Some("r0")));
    let mut further = cold();
    further.releases.insert(0, release("a"));
    let mut enabled = warm();
    instance(&mut enabled, Color::Green).enabled = true;
    vec![
        rollback_to("rollback, warm", &app, None, warm()),
        rollback_to("rollback, warm and enabled", &app, None, enabled),
        rollback_to("rollback, cold", &app, None, cold()),
        rollback_to("rollback to an older release", &app, Some("a"), further),
        locally("rollback while the store is away", &app, cold()),
    ]
}

/// Only one color ever runs.
fn stop_first() -> Vec<Scenario> {
    let mut app = app();
    app.strategy = Strategy::StopFirst {
        hold: Duration::from_secs(10),
    };
    let mut careful = app.clone();
    careful.verify = stories();
    careful.bake = Duration::from_secs(60);
    careful.confirm_within = Some(Duration::from_secs(300));
    let cold = with_previous(state(ActiveState::Inactive, false, Some("r0")));
    let mut down = serving(Color::Blue);
    *instance(&mut down, Color::Blue) = state(ActiveState::Failed, true, Some("r1"));
    let both = serving_beside(Color::Blue, state(ActiveState::Active, true, Some("r0")));
    let held = Observed {
        route: Route::Held,
        ..serving(Color::Green)
    };
    vec![
        switch_to("stop first: first switch", &careful, fresh()),
        switch_to("stop first: blue to green", &app, serving(Color::Blue)),
        switch_to("stop first: careful", &careful, serving(Color::Blue)),
        rollback_to("stop first: rollback", &app, None, cold.clone()),
        locally("stop first: rollback while the store is away", &app, cold),
        switch_to("stop first: the serving color is down", &app, down),
        switch_to("stop first: both are enabled and run", &app, both),
        switch_to("stop first: requests are held", &app, held),
    ]
}

/// The cursor, the route and what runs do not fit each other: a hand at work, or a store that was restored.
fn disagreements() -> Vec<Scenario> {
    let app = app();
    let both = || serving_beside(Color::Blue, state(ActiveState::Active, true, Some("r0")));
    let route_green = Observed {
        route: Route::To(Color::Green),
        ..both()
    };
    let route_none = Observed {
        route: Route::None,
        ..serving(Color::Blue)
    };
    let cursor_none = Observed {
        cursor: fresh().cursor,
        ..serving(Color::Blue)
    };
    let mut leftover = fresh();
    *instance(&mut leftover, Color::Green) = state(ActiveState::Active, true, Some("r0"));
    let mut down = serving(Color::Blue);
    *instance(&mut down, Color::Blue) = state(ActiveState::Failed, true, Some("r1"));
    vec![
        switch_to("cursor blue, nginx green", &app, route_green),
        switch_to("cursor blue, nginx none", &app, route_none),
        switch_to("cursor none, nginx blue", &app, cursor_none),
        switch_to("first switch, green is up", &app, leftover),
        switch_to("the serving color is down", &app, down),
    ]
}

fn companions() -> Vec<Scenario> {
    let mut app = app();
    app.bake = Duration::from_secs(60);
    let r2 = with_companions(release("r2"), [companion("worker", 1), companion("mail", 1)]);
    let switch_to = |name, observed: Observed| {
        let plan = plan::switch(&app, &r2, &observed).unwrap();
        Scenario { name, observed, plan }
    };
    let old = || [companion("worker", 2), companion("mail", 1), companion("gone", 1)];
    let mut left = serving_with_companions([companion("worker", 1)]);
    *instance(&mut left, Color::Green) = state(ActiveState::Active, false, Some("r0"));
    left.releases.insert(0, release("r0"));
    left.companions.green = Replica::of(&[companion("other", 1)]);
    let mut back = Observed {
        companions: serving_with_companions(old()).companions,
        ..with_previous(state(ActiveState::Inactive, false, Some("r0")))
    };
    back.releases = vec![
        with_companions(release("r0"), [companion("worker", 1)]),
        with_companions(release("r1"), old()),
    ];
    vec![
        switch_to("companions", serving_with_companions(old())),
        switch_to("companions, first switch", fresh()),
        switch_to("companions, the idle color has one", left),
        rollback_to("companions, rollback", &app, None, back),
    ]
}
