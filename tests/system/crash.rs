//! The worker dies, or the whole host does: the switch resumes where it was.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases, wait_for_release};

/// How often a worker took up the last switch.
fn workers(app: &App<'_>) -> usize {
    app.journal().iter().filter(|line| line["event"] == "resumed").count()
}

/// Switches from `v1` in blue to `release` under load, and kills the worker once, when `moment` returns.
fn survives_a_kill(app: &App<'_>, release: &str, moment: impl FnOnce(&App<'_>)) {
    let host = app.host();
    let load = Load::on(app);
    let client = host.spawn(&format!("bgctl switch {} {} --json", app.name(), app.release(release)));
    moment(app);
    app.kill_worker();
    let report = Host::wait(client).expect(0).json();
    assert_eq!(report["outcome"], "done", "{report:#}");
    assert_eq!(workers(app), 2, "one was killed, and one came after it");
    app.is_served_by(release, "green");
    assert_eq!(
        releases(&load.stop()),
        ["v1 in blue".to_owned(), format!("{release} in green")]
    );
}

#[test]
fn worker_killed_while_the_release_starts_is_followed_by_another() {
    let host = Host::with_images();
    let app = App::docker(&host, "kstart", 9160).install();
    app.switch("v1");
    survives_a_kill(&app, "late", |app| app.wait_for_step("start green"));
}

#[test]
fn worker_killed_while_the_release_bakes_is_followed_by_another() {
    let host = Host::with_images();
    let app = App::docker(&host, "kbake", 9162).set("bake.duration", "2s").install();
    app.switch("v1");
    survives_a_kill(&app, "v2", |app| app.wait_for_step("bake"));
}

#[test]
fn worker_killed_while_the_old_color_drains_is_followed_by_another() {
    let host = Host::with_images();
    let app = App::docker(&host, "kdrain", 9164).install();
    app.switch("v1");
    let slow = host.spawn(&format!(
        "curl -sSf -H 'Host: {}' 'http://127.0.0.1/slow?ms=6000'",
        app.site()
    ));
    host.wait_until("ss -Htn state established '( sport = :9164 )' | grep -q .");
    survives_a_kill(&app, "v2", |app| app.wait_for_step("drain"));
    Host::wait(slow).expect(0);
}

#[test]
fn workers_killed_again_and_again_still_bring_the_switch_to_its_end() {
    let host = Host::with_programs();
    let app = App::program(&host, "kmany", 9160).set("bake.duration", "8s").install();
    app.bgctl("switch", "--release p1").expect(0);
    let load = Load::on(&app);
    let client = host.spawn("bgctl switch kmany --release p2 --json");
    host.wait_until("systemctl is-active bgctl-switch@kmany");
    for pause in ["0", "0.02", "0.1", "0.5", "0.9"] {
        let kill = "systemctl kill --signal=KILL bgctl-switch@kmany";
        host.run(&format!(
            "sleep {pause}; {kill}; systemctl reset-failed bgctl-switch@kmany; systemctl start bgctl-switch@kmany"
        ));
    }
    let report = Host::wait(client).expect(0).json();
    assert_eq!(report["outcome"], "done", "{report:#}");
    app.is_served_by("p2", "green");
    assert!(workers(&app) > 2, "{}", workers(&app));
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p2 in green"]);
}

/// As an upgrade of its package does.
#[test]
fn switch_goes_on_while_systemd_executes_itself_anew() {
    let host = Host::boot("reexec");
    host.use_local_store();
    let app = App::program(&host, "anew", 9100)
        .set("verify.commands", vec!["sleep 6"])
        .set("bake.duration", "4s")
        .install();
    app.switch("p1");
    let load = Load::on(&app);
    let client = host.spawn("bgctl switch anew --release p2 --json");
    for _ in 0..25 {
        host.succeed("systemctl daemon-reexec");
    }
    let report = Host::wait(client).expect(0).json();
    assert_eq!(report["outcome"], "done", "{report:#}");
    app.is_served_by("p2", "green");
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p2 in green"]);
}

#[test]
fn switch_goes_on_after_a_power_cut_at_any_moment() {
    let host = Host::boot("power-cut");
    host.push_images();
    for (port, name) in [(9100, "start"), (9102, "bake")] {
        App::docker(&host, name, port)
            .set("bake.duration", if name == "bake" { "8s" } else { "2s" })
            .set("health.deadline", "60s")
            .install()
            .switch("v1");
    }
    let begin = |name: &str, release: &str| {
        host.bgctl(&format!(
            "switch {name} --image {}:{release} --release {release} --detach",
            crate::app::IMAGE
        ))
        .expect(0);
    };
    begin("bake", "v2");
    host.wait_until("readlink /var/lib/bgctl-routes/bake/active | grep green");
    // What starts is given less time than what bakes, so it comes last.
    begin("start", "late");
    let start = App::docker(&host, "start", 9100);
    assert_eq!(start.route(), "to.blue", "it still starts");
    host.reboot();
    for (port, name, release) in [(9100, "start", "late"), (9102, "bake", "v2")] {
        let app = App::docker(&host, name, port);
        host.wait_until(&format!("! test -L /var/lib/bgctl/{name}/open"));
        app.is_served_by(release, "green");
        assert_eq!(workers(&app), 2);
    }
    // And once more, with no switch open: what serves comes back, and nothing else.
    host.reboot();
    for (port, name, release) in [(9100, "start", "late"), (9102, "bake", "v2")] {
        let app = App::docker(&host, name, port);
        wait_for_release(&app, release);
        app.is_served_by(release, "green");
    }
}

/// The kernel and its boot id stay, and everything else is started anew (systemd-soft-reboot.service(8)); systemd 254 and newer.
#[test]
fn switch_goes_on_after_a_soft_reboot() {
    let host = Host::boot("soft-reboot");
    if host.systemd_version() < 256 {
        eprintln!("this systemd cannot, or does not count them");
        return;
    }
    host.use_local_store();
    let app = App::program(&host, "soft", 9100).install();
    app.switch("v1");
    let app = app.set("bake.duration", "8s").install();
    app.bgctl("switch", "--release v2 --detach").expect(0);
    app.wait_for_step("bake");
    host.run("systemctl soft-reboot");
    host.wait_until("systemctl show -P SoftRebootsCount | grep -qx 1");
    app.wait_until_closed();
    app.is_served_by("v2", "green");
    assert_eq!(workers(&app), 2);
    let starts = |event: &&serde_json::Value| event["event"] == "started" && event["step"] == 1;
    let starts = app.journal().iter().filter(starts).count();
    assert_eq!(starts, 2, "what ran was taken away, and started again");
}
