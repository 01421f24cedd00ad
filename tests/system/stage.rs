//! Releases that run without traffic: staged, promoted, taken down.

use serde_json::Value;

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases, wait_for_release};
use crate::settled::settled;

/// Stages a release.
#[track_caller]
fn stage(app: &App<'_>, release: &str) {
    let report = app.bgctl("stage", &format!("{} --json", app.release(release)));
    let report = report.expect(0).json();
    assert_eq!(
        (&report["verb"], &report["outcome"], &report["promote_ms"]),
        (&"stage".into(), &"done".into(), &Value::Null),
        "{report:#}"
    );
    let unit = app.unit(report["to"].as_str().unwrap());
    let description = app.host().succeed(&format!("systemctl show -P Description {unit}"));
    assert!(description.ends_with(&format!("(staged): {release}")), "{description}");
}

/// Fails where not this is staged in green and healthy there while the other one serves in blue, or anything is wrong with that.
#[track_caller]
fn is_staged(app: &App<'_>, release: &str, serves: &str) {
    let status = app.status();
    assert_eq!(status["problems"], Value::Array(Vec::new()), "{status:#}");
    assert_eq!(
        (
            &status["staged"]["release"],
            &status["staged"]["color"],
            &status["staged"]["has_expired"]
        ),
        (&release.into(), &"green".into(), &false.into()),
        "{status:#}"
    );
    let green = &status["colors"][1];
    assert_eq!(
        (
            &green["role"],
            &green["state"],
            &green["enabled"],
            &green["healthy"],
            &green["release"]
        ),
        (
            &"staged".into(),
            &"active".into(),
            &true.into(),
            &true.into(),
            &release.into()
        ),
        "{status:#}"
    );
    let answer = app.get("/");
    assert_eq!(
        (answer.header("x-release"), answer.header("x-color")),
        (serves, "blue"),
        "{answer:?}"
    );
    assert_eq!(app.cursor(), format!("blue {serves}"));
}

/// What answers on a color's own port.
fn answers(app: &App<'_>, color: &str) -> bool {
    let ask = format!("curl -fsS -m 2 http://127.0.0.1:{}/health", app.port(color));
    app.host().run(&ask).status == 0
}

#[test]
fn staged_container_takes_no_request_until_it_is_promoted_and_is_replaced_and_taken_down() {
    let host = Host::with_images();
    let app = App::docker(&host, "staged", 9960).install();
    app.switch("v1");
    let load = Load::on(&app);
    stage(&app, "v2");
    is_staged(&app, "v2", "v1");

    // Another one takes its place, and one that fails leaves it as it was.
    let output = app.bgctl("stage", &app.release("v3")).expect(0);
    assert!(output.stderr.contains("staged release v2 in green"), "{output:?}");
    is_staged(&app, "v3", "v1");
    app.bgctl("stage", &app.release("exits")).expect(1);
    is_staged(&app, "v3", "v1");
    assert_eq!(releases(&load.stop()), ["v1 in blue"], "what is staged answers nobody");

    let load = Load::on(&app);
    let started = |color: &str| host.succeed(&format!("systemctl show -P MainPID {}", app.unit(color)));
    let before = started("green");
    let report = app.bgctl("promote", "--json").expect(0).json();
    assert_eq!(
        (&report["verb"], &report["release"]),
        (&"promote".into(), &"v3".into()),
        "{report:#}"
    );
    assert_eq!(started("green"), before, "what was staged serves");
    assert_eq!(releases(&load.stop()), ["v1 in blue", "v3 in green"]);
    assert_eq!(settled(&app), ("v3".into(), "green".into()));

    // What was only staged is nothing to go back to.
    app.bgctl("stage", &app.release("v2")).expect(0);
    let output = app.bgctl("rollback", "").expect(0);
    assert!(output.stderr.contains("staged release v2 in blue"), "{output:?}");
    assert_eq!(settled(&app), ("v1".into(), "blue".into()));

    stage(&app, "v2");
    let images = "docker image ls --format '{{.Tag}}' bgctl/staged";
    host.wait_until(&format!("{images} | grep -q v2"));
    let output = app.bgctl("abort", "").expect(0);
    assert!(output.stdout.contains("v2 is not staged any more"), "{output:?}");
    assert_eq!(settled(&app), ("v1".into(), "blue".into()));
    let nothing = app.bgctl("promote", "").expect(3);
    assert!(nothing.error().contains("no release is staged"), "{nothing:?}");
    app.bgctl("abort", "").expect(3);
}

/// Cuts the power, and waits until both colors are back.
#[track_caller]
fn cut_the_power(app: &App<'_>) {
    let host = app.host();
    host.power_off();
    host.power_on();
    app.wait_until_closed();
    for color in ["blue", "green"] {
        host.wait_until(&format!("systemctl is-active --quiet {}", app.unit(color)));
    }
}

#[test]
fn stage_and_promote_survive_power_cuts_and_a_promote_that_is_aborted_leaves_the_release_staged() {
    let host = Host::boot("stagecut");
    host.use_local_store();
    let app = App::program(&host, "cut", 9962).install();
    app.switch("p1");
    let app = app
        .set("verify.commands", vec!["sleep 1"])
        .set("bake.duration", "30s")
        .install();
    app.bgctl("stage", &format!("{} --detach", app.release("p2"))).expect(0);
    app.wait_for_step("verify");
    cut_the_power(&app);
    is_staged(&app, "p2", "p1");
    cut_the_power(&app);
    is_staged(&app, "p2", "p1");

    let load = Load::on(&app);
    app.bgctl("promote", "--detach").expect(0);
    wait_for_release(&app, "p2");
    let output = app.bgctl("abort", "").expect(0);
    assert!(output.stdout.contains("p2 is staged in green as before"), "{output:?}");
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p2 in green"]);
    is_staged(&app, "p2", "p1");

    let app = app.set("bake.duration", "3s").install();
    app.bgctl("promote", "--detach").expect(0);
    wait_for_release(&app, "p2");
    host.power_off();
    host.power_on();
    assert_eq!(settled(&app), ("p2".into(), "green".into()));
}

#[test]
fn only_what_was_staged_and_is_healthy_is_promoted() {
    let host = Host::with_programs();
    host.succeed("cp /opt/demo/bdd-assistant /opt/demo/staged");
    let app = App::program(&host, "exact", 9964)
        .set("run.exec", "/opt/demo/staged")
        .set("health.timeout", "500ms")
        .install();
    app.switch("p1");
    // A verification that fails leaves nothing.
    let bad = app.set("verify.commands", vec!["echo no; exit 1"]).install();
    bad.bgctl("stage", "--release p2").expect(1);
    assert_eq!(settled(&bad), ("p1".into(), "blue".into()));
    let app = bad.set("verify.commands", vec!["test -n \"$BGCTL_RELEASE\""]).install();
    stage(&app, "p2");
    is_staged(&app, "p2", "p1");

    // It hangs, and it goes on.
    let unit = app.unit("green");
    host.succeed(&format!("systemctl kill -s STOP {unit}"));
    let output = app.bgctl("promote", "").expect(3);
    assert!(output.error().contains("health check"), "{output:?}");
    host.succeed(&format!("systemctl kill -s CONT {unit}"));

    // It is down: that is drift, which a repair removes.
    host.succeed(&format!("systemctl disable --now {unit}"));
    let output = app.bgctl("promote", "").expect(3);
    assert!(
        output.error().contains("is inactive") && output.stderr.contains("bgctl repair"),
        "{output:?}"
    );
    app.bgctl("repair", "").expect(0);
    is_staged(&app, "p2", "p1");
    app.bgctl("repair", "").expect(0);
    is_staged(&app, "p2", "p1");

    // Its program was changed, and started again.
    host.succeed("cd /opt/demo && cp staged new && printf ' ' >>new && mv new staged");
    let output = app.bgctl("promote", "").expect(3);
    assert!(output.error().contains("/opt/demo/staged was changed"), "{output:?}");
    app.bgctl("abort", "").expect(0);
    assert!(!answers(&app, "green"));

    // Other settings were installed since.
    stage(&app, "p3");
    let app = app.set("run.stop_timeout", "29s").install();
    assert!(answers(&app, "green"), "an install restarts nothing");
    let output = app.bgctl("promote", "").expect(3);
    assert!(output.error().contains("was changed since"), "{output:?}");
    assert_eq!(app.cursor(), "blue p1");
}

#[test]
fn staged_release_expires_and_goes_with_an_uninstall() {
    let host = Host::with_programs();
    let app = App::program(&host, "expires", 9966)
        .set("stage.expires", "1s")
        .install();
    app.switch("p1");
    stage(&app, "p2");
    let record = "/var/lib/bgctl/expires/staged.json";
    host.wait_until("bgctl status expires --json | grep -q '\"has_expired\": true'");
    let output = app.bgctl("promote", "").expect(3);
    assert!(output.error().contains("it expired at"), "{output:?}");
    let status = app.bgctl("status", "").expect(0);
    assert!(
        status.stderr.contains("has expired") && status.stderr.contains("bgctl abort expires"),
        "{status:?}"
    );
    app.bgctl("repair", "").expect(0);
    assert_eq!(settled(&app), ("p1".into(), "blue".into()));
    assert_ne!(host.run(&format!("test -e {record}")).status, 0);

    let app = app.set("stage.expires", "2h").install();
    stage(&app, "p3");
    // A switch to what is staged promotes what runs.
    let before = host.succeed(&format!("systemctl show -P MainPID {}", app.unit("green")));
    app.switch("p3");
    assert_eq!(settled(&app), ("p3".into(), "green".into()));
    assert_eq!(
        host.succeed(&format!("systemctl show -P MainPID {}", app.unit("green"))),
        before
    );
    stage(&app, "p4");
    app.bgctl("uninstall", "--yes --keep-state").expect(0);
    assert_ne!(host.run(&format!("test -e {record}")).status, 0);
}
