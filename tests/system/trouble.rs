//! What goes wrong around a switch, and is none of its doing.

use crate::app::App;
use crate::host::{Host, wait};
use crate::load::{Load, releases, wait_for_release};

#[test]
fn active_release_that_is_down_is_no_reason_not_to_switch_to_a_good_one() {
    let host = Host::with_programs();
    let app = App::program(&host, "down", 9210).install();
    app.switch("p1");
    host.succeed("systemctl stop down@9210");
    assert_eq!(app.get("/").status, 502);
    app.switch("p2");
    app.is_served_by("p2", "green");
}

#[test]
fn request_that_outlives_the_drain_is_told_of_and_not_sent_again() {
    let host = Host::with_programs();
    let app = App::program(&host, "cut", 9212)
        .set("drain.timeout", "1s")
        .set("run.stop_timeout", "1s")
        .install();
    app.switch("p1");
    let slow = host.spawn("curl -s -D - -o /dev/null -H 'Host: cut.test' 'http://127.0.0.1/slow?ms=5000'");
    host.wait_until("ss -Htn state established '( sport = :9212 )' | grep -q .");
    let report = app.switch("p2");
    let steps = report["steps"].as_array().unwrap();
    let drain = steps.iter().find(|step| step["step"] == "drain").unwrap();
    assert!(drain["note"].as_str().unwrap().contains("still open"), "{report:#}");
    app.is_served_by("p2", "green");
    let answer = Host::wait(slow).stdout;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[test]
fn client_of_the_old_port_that_is_not_nginx_is_named_and_not_waited_for() {
    let host = Host::with_programs();
    let app = App::program(&host, "scraped", 9480)
        .set("drain.timeout", "50s")
        .install();
    app.switch("p1");
    // A scraper that keeps its connection, and one that makes a new one each time.
    host.copy_in(
        "/root/scrape",
        "exec 3<>/dev/tcp/127.0.0.1/9480 && printf 'GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3 && \\\n\
         read -r line <&3 && echo \"$line\" >/root/scraped && exec sleep 300\n",
    );
    let scraper = host.spawn("exec bash /root/scrape");
    host.wait_until("grep -q 200 /root/scraped");
    let request = format!("-H 'Host: {}' 'http://127.0.0.1/slow?ms=4000'", app.site());
    let slow = host.spawn(&format!("curl -sf -o /dev/null -w '%{{http_code}}' {request}"));
    host.wait_until("test $(ss -Htn state established 'dport = :9480' | wc -l) = 2");
    let report = app.switch("p2");
    let slow = Host::wait(slow).expect(0);
    assert_eq!(slow.stdout, "200", "it was waited for");
    let steps = report["steps"].as_array().unwrap();
    let drain = steps.iter().find(|step| step["step"] == "drain").unwrap();
    let note = drain["note"].as_str().unwrap_or_default();
    assert!(
        note.starts_with("sleep (process ") && note.ends_with(") still holds 1 connection"),
        "{drain}"
    );
    assert!(report["total_ms"].as_u64().unwrap() < 20_000, "{report:#}");
    host.succeed("pkill -f '[s]leep 300'");
    Host::wait(scraper);
}

#[test]
fn third_release_takes_the_place_of_the_one_that_was_kept_warm() {
    let host = Host::with_programs();
    let app = App::program(&host, "third", 9214)
        .set("drain.keep_warm", true)
        .install();
    for release in ["p1", "p2"] {
        app.switch(release);
    }
    let load = Load::on(&app);
    let report = app.switch("p3");
    assert_eq!(report["to"], "blue");
    assert_eq!(releases(&load.stop()), ["p2 in green", "p3 in blue"]);
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("active enabled".into(), "active disabled".into())
    );
    assert_eq!(app.get("/").header("x-release"), "p3");
    // A warm release that hangs is found out before it gets traffic.
    host.succeed("systemctl kill --signal=STOP third@9215");
    let failed = app.bgctl("rollback", "").expect(1);
    assert!(failed.stdout.contains("p3 still serves in blue"), "{failed:?}");
    assert_eq!(app.get("/").header("x-release"), "p3");
}

#[test]
fn worker_killed_while_it_takes_back_is_followed_by_another() {
    let host = Host::with_programs();
    let app = App::program(&host, "kundo", 9216).install();
    app.switch("p1");
    let load = Load::on(&app);
    // An instance that takes its time to end keeps the undo busy.
    host.copy_in(
        "/opt/demo/stubborn",
        "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n",
    );
    host.succeed("chmod +x /opt/demo/stubborn");
    let client = host.spawn("bgctl switch kundo --exec /opt/demo/stubborn --release p2");
    app.wait_for_step("start green");
    // It is deaf from its first sleep on.
    host.wait_until("pgrep -P $(systemctl show -P MainPID kundo@9217) sleep");
    let abort = host.spawn("bgctl abort kundo");
    app.wait_for_step("undo: stop green");
    host.succeed("systemctl kill --signal=KILL bgctl-switch@kundo");
    Host::wait(abort).expect(0);
    Host::wait(client).expect(1);
    app.is_served_by("p1", "blue");
    assert_eq!(releases(&load.stop()), ["p1 in blue"]);
}

#[test]
fn two_apps_switch_at_the_same_time() {
    let host = Host::with_images();
    let apps = [("left", 9220), ("right", 9222)].map(|(name, port)| App::docker(&host, name, port).install());
    let switch =
        |app: &App<'_>, release: &str| host.spawn(&format!("bgctl switch {} {}", app.name(), app.release(release)));
    for (release, color) in [("v1", "blue"), ("v2", "green")] {
        for client in apps.each_ref().map(|app| switch(app, release)) {
            Host::wait(client).expect(0);
        }
        for app in &apps {
            app.is_served_by(release, color);
        }
    }
}

#[test]
fn app_moves_from_containers_to_a_program_only_while_it_is_down_and_goes_back_only_to_what_its_unit_runs() {
    let host = Host::with_images();
    host.copy_program();
    let app = App::docker(&host, "moves", 9224).install();
    app.switch("v1");
    app.switch("v2");
    let refused = App::program(&host, "moves", 9224).try_install().expect(3);
    assert!(
        refused
            .error()
            .starts_with("cannot make moves run a program of the host "),
        "{refused:?}"
    );
    app.is_served_by("v2", "green");
    {
        let _stir = host.stir();
        app.bgctl("uninstall", "--yes --keep-state").expect(0);
    }
    let app = App::program(&host, "moves", 9224).install();
    // A failure here cannot pin the image again that was there before.
    app.bgctl("switch", "--exec /bin/false --release p0").expect(1);
    app.switch("p1");
    app.is_served_by("p1", "blue");
    let refused = app.bgctl("rollback", "").expect(3);
    assert!(
        refused.error().starts_with("cannot roll back moves to v2: "),
        "{refused:?}"
    );
    app.is_served_by("p1", "blue");
}

#[test]
fn when_docker_itself_is_restarted_the_active_container_comes_back() {
    let host = Host::boot("docker-restart");
    host.push_images();
    let app = App::docker(&host, "phoenix", 9100).install();
    app.switch("v1");
    app.switch("v2");
    host.succeed("systemctl restart docker");
    let look = || app.try_get("/").filter(|answer| answer.status == 200).ok_or(());
    assert!(wait(look).is_ok(), "it never came back");
    host.wait_for_unit("phoenix@9101");
    wait_for_release(&app, "v2");
    app.is_served_by("v2", "green");
    app.switch("v3");
    app.is_served_by("v3", "blue");
}

#[test]
fn ports_of_a_running_app_cannot_be_moved_under_it() {
    let host = Host::with_programs();
    let app = App::program(&host, "ports", 9218).install();
    app.switch("p1");
    let moved = App::program(&host, "ports", 9250);
    let refused = moved.try_install().expect(3);
    assert!(refused.error().contains("ports@9218.service"), "{refused:?}");
    app.is_served_by("p1", "blue");
}
