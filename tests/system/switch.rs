//! The main job: blue, green, blue again, while requests keep flowing.

use crate::app::{App, IMAGE, PROGRAM};
use crate::host::Host;
use crate::load::{Load, releases};

/// The worker processes of nginx: a reload replaces them all.
fn nginx_workers(host: &Host) -> String {
    host.succeed("pgrep -P $(systemctl show -P MainPID nginx) | sort | xargs")
}

/// What a reload of nginx or of systemd changes: the workers of nginx, and when systemd last read its units
/// (org.freedesktop.systemd1(5)). Since version 255 systemd is reloaded at the end of a switch, see `reload.rs`.
fn loaded(host: &Host) -> (String, Option<String>) {
    let units = || host.succeed("systemctl show -P UnitsLoadTimestampMonotonic");
    (nginx_workers(host), (host.systemd_version() < 255).then(units))
}

/// What stands in etcd about an app, `key value` in each line.
fn keys(app: &App<'_>) -> String {
    app.host()
        .succeed(&format!("etcdctl get --prefix /{}/ | paste -d ' ' - -", app.name()))
}

#[track_caller]
fn assert_has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|there| there == *line), "no line {line:?} in:\n{text}");
    }
}

#[test]
fn app_that_was_never_switched_is_answered_for_with_503() {
    let host = Host::with_images();
    let app = App::docker(&host, "never", 9100).install();
    let answer = app.get("/anything");
    assert_eq!(answer.status, 503);
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
    assert_eq!(answer.body, "No release of this app is active yet.\n");
    assert_has_lines(&keys(&app), &["/never/instance none"]);
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("inactive disabled".into(), "inactive disabled".into())
    );
    assert_eq!(app.cursor(), "none none");
}

#[test]
fn containers_are_switched_blue_green_blue_and_no_request_is_lost() {
    let host = Host::with_images();
    let app = App::docker(&host, "main", 9102).install();
    assert_eq!(app.get("/").status, 503);
    app.switch("v1");
    app.is_served_by("v1", "blue");
    let lines = [
        "/main/instance blue",
        "/main/port 9102",
        "/main/blue/port 9102",
        "/main/green/port 9103",
    ];
    assert_has_lines(&keys(&app), &lines);

    let load = Load::on(&app);
    let before = loaded(&host);
    app.switch("v2");
    app.is_served_by("v2", "green");
    assert_has_lines(
        &keys(&app),
        &[
            "/main/instance green",
            "/main/port 9103",
            "/main/url http://127.0.0.1:9103",
            "/main/blue/status idle",
            "/main/green/status active",
            "/main/green/url http://127.0.0.1:9103",
        ],
    );
    app.switch("v3");
    app.is_served_by("v3", "blue");
    assert_has_lines(&keys(&app), &["/main/instance blue", "/main/port 9102"]);
    assert_eq!(loaded(&host), before, "a switch reloads neither nginx nor systemd");
    assert_eq!(releases(&load.stop()), ["v1 in blue", "v2 in green", "v3 in blue"]);

    let story = host.succeed("systemctl status main@9102");
    assert!(
        story.lines().next().unwrap().contains("main blue (active): v3"),
        "{story}"
    );
    assert_eq!(
        host.succeed("systemctl list-units --no-legend --failed 'main@*' 'bgctl-switch@main*'"),
        ""
    );
}

#[test]
fn programs_are_switched_blue_green_blue_and_no_request_is_lost_with_the_local_store() {
    let host = Host::with_programs();
    let app = App::program(&host, "prog", 9100).install();
    assert_eq!(app.get("/").status, 503);
    host.succeed("cp /opt/demo/bdd-assistant /opt/demo/other");
    app.switch("p1");
    app.is_served_by("p1", "blue");

    let load = Load::on(&app);
    let before = loaded(&host);
    app.bgctl("switch", "--exec /opt/demo/other --release p2").expect(0);
    app.is_served_by("p2", "green");
    let exe = host.succeed("readlink /proc/$(systemctl show -P MainPID prog@9101)/exe");
    assert_eq!(exe, "/opt/demo/other");
    app.switch("p3");
    app.is_served_by("p3", "blue");
    assert_eq!(loaded(&host), before, "a switch reloads neither nginx nor systemd");
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p2 in green", "p3 in blue"]);
    let exe = host.succeed("readlink /proc/$(systemctl show -P MainPID prog@9100)/exe");
    assert_eq!(exe, PROGRAM);
    let story = host.succeed("systemctl status prog@9100");
    assert!(
        story.lines().next().unwrap().contains("prog blue (active): p3"),
        "{story}"
    );
}

#[test]
fn without_a_name_and_an_image_the_manifests_image_becomes_the_next_numbered_release() {
    let host = Host::with_images();
    let app = App::docker(&host, "plain", 9104).install();
    let report = app.bgctl("switch", "--json").expect(0).json();
    assert_eq!((&report["release"], &report["to"]), (&"r1".into(), &"blue".into()));
    let report = app.bgctl("switch", "--json").expect(0).json();
    assert_eq!((&report["release"], &report["to"]), (&"r2".into(), &"green".into()));
    app.is_served_by("r2", "green");
}

#[test]
fn report_of_a_switch_tells_each_step_and_its_time() {
    let host = Host::with_images();
    let app = App::docker(&host, "report", 9106)
        .set("verify.commands", vec!["curl -fsS http://127.0.0.1:$PORT/"])
        .install();
    app.switch("v1");
    let report = app.switch("v2");
    let steps: Vec<_> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    let expected = [
        "pin", "start", "verify", "enable", "promote", "route", "confirm", "disable", "drain", "stop",
    ];
    assert_eq!(steps, expected, "{report:#}");
    for step in report["steps"].as_array().unwrap() {
        assert!(step["state"] == "done" && step["ms"].is_u64(), "{step}");
    }
    assert_eq!(
        (&report["from"], &report["to"], &report["error"]),
        (&"blue".into(), &"green".into(), &serde_json::Value::Null)
    );
    let (promote, total) = (
        report["promote_ms"].as_u64().unwrap(),
        report["total_ms"].as_u64().unwrap(),
    );
    assert!(promote <= total && total < 20_000, "{report:#}");
    assert!(
        report["opened"].is_string() && report["ended"].is_string(),
        "{report:#}"
    );
}

#[test]
fn moved_tag_is_a_new_digest_and_a_rollback_runs_the_old_one() {
    let host = Host::with_images();
    let app = App::docker(&host, "moved", 9108)
        .set("run.image", "localhost:5000/moved:tag")
        .install();
    let image = || {
        let text = host.succeed("docker ps --no-trunc --format '{{.Names}} {{.Image}}' | grep ^moved-");
        text.split(' ').nth(1).unwrap().to_owned()
    };
    let push = |tag: &str| {
        host.succeed(&format!(
            "docker tag {IMAGE}:{tag} localhost:5000/moved:tag && docker push -q localhost:5000/moved:tag"
        ));
    };
    push("v1");
    app.bgctl("switch", "--release one").expect(0);
    let first = image();
    assert!(first.starts_with("localhost:5000/moved@sha256:"), "{first}");
    push("v2");
    app.bgctl("switch", "--release two").expect(0);
    assert_ne!(image(), first, "the tag was moved");
    app.bgctl("rollback", "").expect(0);
    assert_eq!(image(), first);
    app.is_served_by("one", "blue");
}
