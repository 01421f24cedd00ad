//! Releases that must not get through, and what becomes of the one that serves: nothing.

use crate::app::App;
use crate::host::{Host, Output};
use crate::load::{Load, releases};

/// Fails where anything but `release` in blue is left of a switch that failed; its worker did not.
#[track_caller]
fn is_as_before(app: &App<'_>, release: &str) {
    app.is_served_by(release, "blue");
    for unit in [app.unit("green"), format!("bgctl-switch@{}", app.name())] {
        let failed = app.host().run(&format!("systemctl is-failed {unit}")).stdout;
        assert_eq!(failed.trim(), "inactive", "{unit}");
    }
    assert_eq!(
        app.host()
            .run(&format!(
                "docker ps -aq --filter name=^/{}-{}$",
                app.name(),
                app.port("green")
            ))
            .stdout,
        ""
    );
    assert_eq!(app.route(), "to.blue");
}

#[track_caller]
fn rolled_back(output: Output) -> Output {
    let output = output.expect(1);
    assert!(output.error().starts_with("cannot "), "{output:?}");
    assert!(output.stdout.contains("rolled back"), "{output:?}");
    output
}

#[test]
fn release_that_never_gets_healthy_is_undone_and_its_last_lines_are_shown() {
    let host = Host::with_images();
    let app = App::docker(&host, "sick", 9130).set("health.deadline", "6s").install();
    app.switch("v1");
    let load = Load::on(&app);
    let output = rolled_back(app.bgctl("switch", &app.release("unhealthy")));
    assert!(output.error().contains("sick@9131.service"), "{output:?}");
    assert!(output.stderr.contains("503"), "what the health check saw: {output:?}");
    assert!(
        output.stderr.contains("listens on"),
        "the last lines of its log: {output:?}"
    );
    assert!(output.stderr.contains("hint: "), "{output:?}");
    is_as_before(&app, "v1");
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);
    // And the next good one gets through.
    app.switch("v2");
    app.is_served_by("v2", "green");
}

#[test]
fn release_that_exits_at_once_is_undone_at_once() {
    let host = Host::with_images();
    let app = App::docker(&host, "exits", 9132)
        .set("health.deadline", "90s")
        .install();
    app.switch("v1");
    let load = Load::on(&app);
    let since = std::time::Instant::now();
    let output = rolled_back(app.bgctl("switch", &app.release("exits")));
    assert!(
        since.elapsed().as_secs() < 45,
        "nobody waits for the dead: {:?}",
        since.elapsed()
    );
    assert!(
        output.stderr.contains("because EXIT_AT_START says so"),
        "the last lines of its log: {output:?}"
    );
    is_as_before(&app, "v1");
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);
    let report = app.try_switch("exits").expect(1).json();
    assert_eq!(report["outcome"], "rolled-back", "{report:#}");
    assert!(report["error"].as_str().unwrap().starts_with("cannot "), "{report:#}");
    let start = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "start")
        .unwrap();
    assert_eq!(start["state"], "undone", "{report:#}");
}

#[test]
fn program_that_exits_at_once_is_undone_too() {
    let host = Host::with_programs();
    let app = App::program(&host, "quits", 9130)
        .set("health.deadline", "90s")
        .install();
    app.switch("p1");
    let load = Load::on(&app);
    let since = std::time::Instant::now();
    let output = rolled_back(app.bgctl("switch", "--exec /bin/false --release p2"));
    assert!(
        since.elapsed().as_secs() < 45,
        "nobody waits for the dead: {:?}",
        since.elapsed()
    );
    assert!(output.error().contains("quits@9131.service"), "{output:?}");
    app.is_served_by("p1", "blue");
    assert_eq!(releases(&load.stop()), ["p1 in blue"]);
}

#[test]
fn very_first_release_fails_and_nothing_is_deployed() {
    let host = Host::with_images();
    let app = App::docker(&host, "debut", 9134).set("health.deadline", "8s").install();
    rolled_back(app.bgctl("switch", &app.release("unhealthy")));
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("inactive disabled".into(), "inactive disabled".into())
    );
    assert_eq!((app.get("/").status, app.cursor()), (503, "none none".into()));
    app.switch("v1");
    app.is_served_by("v1", "blue");
}

#[test]
fn release_that_does_not_pass_verification_takes_no_traffic() {
    let host = Host::with_images();
    let commands =
        vec!["test \"$BGCTL_COLOR $BGCTL_PORT $BGCTL_APP\" = \"blue 9136 strict\" || (echo not today >&2; exit 7)"];
    let app = App::docker(&host, "strict", 9136)
        .set("verify.commands", commands)
        .install();
    app.switch("v1");
    let load = Load::on(&app);
    let output = rolled_back(app.bgctl("switch", &app.release("v2")));
    assert!(output.stderr.contains("not today"), "what the command said: {output:?}");
    assert!(output.error().starts_with("cannot verify green: "), "{output:?}");
    is_as_before(&app, "v1");
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);
}

#[test]
fn release_that_fails_while_it_bakes_is_taken_back_and_no_request_is_lost() {
    let host = Host::with_images();
    let app = App::docker(&host, "baked", 9138).install();
    app.switch("v1");
    let app = app.set("bake.duration", "20s").install();
    let load = Load::on(&app);
    let switch = host.spawn(&format!("bgctl switch baked {}", app.release("v2")));
    app.wait_for_step("bake");
    crate::load::wait_for_release(&app, "v2");
    assert_eq!(app.post("/unhealthy", "").status, 200);
    let output = rolled_back(Host::wait(switch));
    assert!(output.stderr.contains("503"), "{output:?}");
    is_as_before(&app, "v1");
    assert_eq!(releases(&load.stop()), ["v1 in blue", "v2 in green"]);
    assert_eq!(app.get("/").header("x-release"), "v1");
}

#[test]
fn release_that_dies_while_it_bakes_is_taken_back() {
    let host = Host::with_programs();
    let app = App::program(&host, "dies", 9134).install();
    app.switch("p1");
    let app = app.set("bake.duration", "20s").install();
    let switch = host.spawn("bgctl switch dies --release p2");
    crate::load::wait_for_release(&app, "p2");
    let green = app.unit("green");
    host.succeed(&format!("systemctl kill -s KILL {green}"));
    let output = rolled_back(Host::wait(switch));
    assert!(
        output.error().contains("did not stay up") || output.stderr.contains("refused"),
        "{output:?}"
    );
    app.is_served_by("p1", "blue");
}

/// Exits with 0 where the route leads to no green color, or does so for less than a time in milliseconds.
const YOUNG: &str = "#!/bin/sh\n\
    link=/var/lib/bgctl-routes/$1/active\n\
    test \"$(readlink $link)\" = to.green || exit 0\n\
    test $(($(date +%s%3N) - $(date -d \"$(stat -c %z $link)\" +%s%3N))) -lt $2\n";

#[test]
fn bake_ends_with_a_look() {
    let host = Host::with_programs();
    host.copy_in("/opt/demo/young", YOUNG);
    host.succeed("chmod +x /opt/demo/young");
    for (name, port, duration) in [("short", 9400, "400ms"), ("second", 9402, "1s")] {
        let app = App::program(&host, name, port).install();
        app.switch("p1");
        // A health check of 300 ms of health, however seldom it is asked.
        let app = app
            .without("health.path")
            .set("health.command", vec!["/opt/demo/young", name, "300"])
            .set("bake.duration", duration)
            .install();
        let output = rolled_back(app.bgctl("switch", "--release p2"));
        assert!(output.error().starts_with("cannot keep green: "), "{output:?}");
        is_as_before(&app, "p1");
    }
}

#[test]
fn release_that_dies_just_before_its_bake_ends_is_taken_back() {
    let host = Host::with_programs();
    let app = App::program(&host, "mortal", 9404).install();
    app.switch("p1");
    host.copy_in("/opt/demo/young", YOUNG);
    host.copy_in(
        "/opt/demo/mortal",
        "#!/bin/sh\n/opt/demo/bdd-assistant &\nwhile /opt/demo/young mortal 1600; do sleep 0.02; done\nkill -9 $!\n",
    );
    host.succeed("chmod +x /opt/demo/young /opt/demo/mortal");
    let app = app.set("bake.duration", "2s").install();
    let output = rolled_back(app.bgctl("switch", "--exec /opt/demo/mortal --release p2"));
    assert!(output.error().contains("did not stay up"), "{output:?}");
    is_as_before(&app, "p1");
}

#[test]
fn release_that_needs_more_memory_than_there_is_for_it_is_undone() {
    let host = Host::with_programs();
    if !host.has_memory_controller() {
        return;
    }
    let app = App::program(&host, "hungry", 9136)
        .set("run.memory", "32M")
        .set("health.deadline", "20s")
        .install();
    app.switch("p1");
    // Without a line end in it tail keeps all that it reads.
    host.copy_in(
        "/opt/demo/hungry",
        "#!/bin/sh\nhead -c 200000000 /dev/zero | tail >/dev/null || exit 1\nexec /opt/demo/bdd-assistant\n",
    );
    host.succeed("chmod +x /opt/demo/hungry");
    let load = Load::on(&app);
    rolled_back(app.bgctl("switch", "--exec /opt/demo/hungry --release p2"));
    is_as_before(&app, "p1");
    assert_eq!(releases(&load.stop()), ["p1 in blue"]);
    app.switch("p3");
    app.is_served_by("p3", "green");
}
