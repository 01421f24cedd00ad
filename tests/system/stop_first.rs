//! Apps of which only one color may ever run: the old one is stopped first, and requests wait meanwhile.

use std::time::{Duration, Instant};

use crate::app::{self, App};
use crate::host::Host;
use crate::http::{self, Body, all_are};
use crate::load::{Load, releases};

/// The demo app with data that only one process may open; the name of a release says how that behaves.
const PROGRAM: &str = r#"#!/bin/sh
exec 9>"$STATE_DIRECTORY/lock"
flock --nonblock 9 || { echo "$BGCTL_COLOR $BGCTL_RELEASE" >>"$STATE_DIRECTORY/refused"; exit 77; }
case "$BGCTL_RELEASE" in
sick*) export UNHEALTHY=1 ;;
slow*) export START_DELAY_MS=1500 ;;
late*) export START_DELAY_MS=4000 ;;
esac
exec /opt/demo/bdd-assistant
"#;

fn program<'h>(host: &'h Host, name: &str, port: u16, hold: &str) -> App<'h> {
    let path = format!("/opt/demo/{name}-alone");
    host.copy_in(&path, PROGRAM);
    host.succeed(&format!("chmod +x {path}"));
    App::program(host, name, port)
        .set("run.exec", path)
        .set("run.state_directory", true)
        .set("switch.strategy", "stop-first")
        .set("switch.hold", hold)
}

/// Fails where one was started while the other one had the data.
#[track_caller]
fn never_ran_both(app: &App<'_>) {
    let refused = format!("cat /var/lib/{}/refused 2>/dev/null || true", app.name());
    assert_eq!(app.host().succeed(&refused), "");
}

/// Sends a request, and says how long its answer took.
fn timed(app: &App<'_>, method: &str) -> Option<(http::Response, Duration)> {
    let began = Instant::now();
    let answer = http::request(app.host().address(), app.site(), method, "/echo", "", "hello")?;
    Some((answer, began.elapsed()))
}

#[test]
fn no_request_fails_while_one_release_takes_the_place_of_another() {
    let host = Host::with_programs();
    let app = program(&host, "ledger", 9910, "20s")
        .set("health.deadline", "4s")
        .install();
    app.switch("p1");
    let load = Load::on(&app);

    let upload = |number: usize| {
        let body = Body {
            is_chunked: number.is_multiple_of(2),
            parts: 8,
            pause: Duration::from_millis(200),
        };
        // Some are larger than what the socket takes on which they wait.
        let size = [20_000, 900_000][number % 3 / 2];
        http::upload(host.address(), app.site(), "/echo", &"x".repeat(size), &body)
    };
    let mut report = serde_json::Value::Null;
    let answers = http::at_once(6, upload, || report = app.switch("slow2"));
    all_are(200, &answers);
    app.is_served_by("slow2", "green");
    let held = report["held_ms"].as_u64().unwrap();
    assert!((1_500..20_000).contains(&held), "{report:#}");
    let steps = report["steps"].as_array().unwrap();
    let route = steps.iter().find(|step| step["step"] == "route").unwrap();
    assert!(
        route["note"].as_str().unwrap().starts_with("requests were held for "),
        "{report:#}"
    );

    let failed = app.try_switch("sick3").expect(1).json();
    assert_eq!(failed["outcome"], "rolled-back", "{failed:#}");
    assert!(failed["held_ms"].as_u64() > Some(4_000), "{failed:#}");
    app.is_served_by("slow2", "green");

    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p1", "blue");
    assert_eq!(
        releases(&load.stop()),
        ["p1 in blue", "slow2 in green"],
        "nothing of the release that failed answered"
    );
    never_ran_both(&app);
    assert_eq!(app.status()["problems"], serde_json::json!([]));
}

#[test]
fn requests_that_wait_for_too_long_are_answered_and_the_switch_goes_on() {
    let host = Host::with_programs();
    let app = program(&host, "brief", 9912, "1s").install();
    assert_eq!(app.get("/").body, "No release of this app is active yet.\n");
    app.switch("p1");
    let switch = host.spawn(&format!("bgctl switch brief {} --json", app.release("late2")));
    app.wait_for_step("start green");
    let answers = http::at_once(
        8,
        |number| {
            timed(&app, ["GET", "POST"][number % 2]).map(|(answer, took)| {
                assert!((1_000..4_000).contains(&took.as_millis()), "{took:?}");
                answer
            })
        },
        || {
            let status = app.status();
            assert_eq!(
                (&status["serving"], &status["held"], &status["problems"]),
                (&serde_json::Value::Null, &true.into(), &serde_json::json!([]))
            );
        },
    );
    all_are(503, &answers);
    assert!(
        answers
            .iter()
            .flatten()
            .all(|answer| answer.header("retry-after") == "5")
    );
    assert_eq!(Host::wait(switch).expect(0).json()["outcome"], "done");
    app.is_served_by("late2", "green");
    never_ran_both(&app);
}

#[test]
fn requests_are_held_again_after_the_worker_was_killed_and_an_abort_brings_the_old_release_back() {
    let host = Host::with_programs();
    let app = program(&host, "again", 9914, "20s").install();
    app.switch("p1");
    let switch = host.spawn(&format!("bgctl switch again {} --json", app.release("late2")));
    app.wait_for_step("start green");
    let worker = host.succeed("systemctl show -P MainPID bgctl-switch@again");
    host.succeed(&format!("kill -KILL {worker}"));
    let (answer, took) = timed(&app, "GET").expect("an answer");
    assert_eq!((answer.status, took < Duration::from_secs(1)), (503, true), "{took:?}");
    host.wait_until(&format!(
        "test \"$(systemctl show -P MainPID bgctl-switch@again)\" != {worker} && \
         systemctl is-active --quiet bgctl-switch@again"
    ));
    let answers = http::at_once(4, |_| timed(&app, "POST").map(|(answer, _)| answer), || ());
    all_are(200, &answers);
    assert!(
        answers
            .iter()
            .flatten()
            .all(|answer| answer.header("x-release") == "late2")
    );
    assert_eq!(Host::wait(switch).expect(0).json()["outcome"], "done");
    app.is_served_by("late2", "green");

    let switch = host.spawn(&format!("bgctl switch again {} --json", app.release("late3")));
    app.wait_for_step("start blue");
    app.bgctl("abort", "").expect(0);
    assert_eq!(Host::wait(switch).expect(1).json()["outcome"], "rolled-back");
    app.is_served_by("late2", "green");
    never_ran_both(&app);
}

#[test]
fn only_one_container_runs_at_a_time() {
    let host = Host::with_images();
    let app = App::docker(&host, "lone", 9916)
        .set("switch.strategy", "stop-first")
        .set("switch.hold", "30s")
        .install();
    app.switch("v1");
    let watch = "while test -e /run/lone.watch; do docker ps --quiet --filter name=^lone- | wc -l; done";
    host.succeed("touch /run/lone.watch");
    let watch = host.spawn(watch);
    let load = Load::on(&app);
    app.switch("late");
    app.bgctl("rollback", "").expect(0);
    assert_eq!(releases(&load.stop()), ["v1 in blue", "late in green"]);
    app.is_served_by("v1", "blue");
    host.succeed("rm /run/lone.watch");
    let seen = Host::wait(watch).expect(0).stdout;
    assert!(seen.contains('1') && seen.lines().all(|number| number < "2"), "{seen}");
}

#[test]
fn after_a_power_cut_the_switch_ends_and_both_never_ran() {
    let host = Host::boot("stop-first");
    host.use_local_store();
    let app = program(&host, "cut", 9918, "20s")
        .set("health.deadline", "8s")
        .install();
    app.switch("p1");
    let cut = |release: &str, step: &str| {
        let switch = host.spawn(&format!("bgctl switch cut {}", app.release(release)));
        app.wait_for_step(step);
        host.power_off();
        drop(Host::wait(switch));
        host.power_on();
        app.wait_until_closed();
        app.is_served_by("late2", "green");
        never_ran_both(&app);
    };
    cut("late2", "start green");
    cut("sick3", "undo: start green");
}

#[test]
fn release_that_could_not_be_started_again_is_not_stopped_and_what_is_staged_is_taken_down() {
    let host = Host::with_programs();
    let path = "/opt/demo/overwritten";
    host.succeed(&format!("cp {} {path}", app::PROGRAM));
    let app = App::program(&host, "brittle", 9926).set("run.exec", path).install();
    app.switch("p1");
    app.bgctl("stage", "--release p2").expect(0);
    let app = app.set("switch.strategy", "stop-first").install();
    host.succeed(&format!(
        "cp {path} {path}.new && echo >>{path}.new && mv {path}.new {path}"
    ));
    let refused = app.try_switch("p3").expect(3);
    assert!(refused.error().contains("it could not be started again"), "{refused:?}");
    // That stops nothing that serves.
    app.bgctl("abort", "").expect(0);
    app.is_served_by("p1", "blue");
}
