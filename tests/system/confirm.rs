//! A release that a person has to confirm.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

/// Begins a switch to `release`, and leaves it alone.
fn begin(app: &App<'_>, release: &str, options: &str) {
    let release = app.release(release);
    app.bgctl("switch", &format!("{release} {options} --detach")).expect(0);
}

#[test]
fn release_that_nobody_confirms_is_rolled_back_and_no_request_is_lost() {
    let host = Host::with_programs();
    let app = App::program(&host, "doubted", 9890).install();
    app.switch("p1");
    let load = Load::on(&app);
    let failed = app.bgctl("switch", "--release p2 --confirm-within 3s").expect(1);
    assert_eq!(
        failed.error(),
        "cannot keep p2 of doubted in green: nobody confirmed it within 3s"
    );
    assert!(failed.stderr.contains("bgctl confirm doubted"), "{failed:?}");
    app.is_served_by("p1", "blue");
    assert_eq!(releases(&load.stop()), ["p1 in blue", "p2 in green"]);
    // It is not what a rollback goes to.
    assert_ne!(app.bgctl("rollback", "").status, 0);
}

#[test]
fn release_that_is_confirmed_stays_also_where_its_worker_was_killed_meanwhile() {
    let host = Host::with_programs();
    let app = App::program(&host, "trusted", 9892)
        .set("bake.confirm_within", "10m")
        .install();
    let refused = app.bgctl("confirm", "").expect(3);
    assert_eq!(refused.error(), "cannot confirm: no switch of trusted is open");
    let first = host.spawn("bgctl switch trusted --release p1");
    app.wait_for_step("await");
    app.bgctl("confirm", "").expect(0);
    Host::wait(first).expect(0);

    // The command line is stronger than the manifest; one that a pipeline begins and another step of it confirms.
    begin(&app, "p2", "--confirm-within 5m");
    app.wait_for_step("await");
    let status = app.status();
    assert_eq!(status["serving"], "green", "{status:#}");
    assert_eq!(status["open_switch"]["release"], "p2", "{status:#}");
    app.kill_worker();
    app.host().wait_until("systemctl is-active bgctl-switch@trusted");
    let busy = app.try_switch("p3").expect(5);
    assert!(busy.error().contains("trusted"), "{busy:?}");
    let kept = app.bgctl("confirm", "--json").expect(0).json();
    assert_eq!(kept["outcome"], "done", "{kept:#}");
    app.is_served_by("p2", "green");

    // A rollback waits for nobody, and an abort needs no time to pass.
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("p1", "blue");
    begin(&app, "p3", "");
    app.wait_for_step("await");
    app.bgctl("abort", "").expect(0);
    app.is_served_by("p1", "blue");
}

#[test]
fn only_what_takes_traffic_and_waits_is_confirmed() {
    let host = Host::with_programs();
    let app = App::program(&host, "unasked", 9894)
        .set("verify.commands", vec!["test ! -e /run/unasked"])
        .set("bake.duration", "5s")
        .install();
    app.switch("p1");
    begin(&app, "p2", "");
    app.wait_for_step("bake");
    let refused = app.bgctl("confirm", "").expect(3);
    assert!(refused.error().ends_with("and waits for nobody"), "{refused:?}");
    app.bgctl("abort", "").expect(0);
    let app = app
        .set(
            "verify.commands",
            vec!["while test -e /run/bgctl-unasked; do sleep 0.1; done"],
        )
        .install();
    host.succeed("touch /run/bgctl-unasked");
    begin(&app, "p3", "--confirm-within 10m");
    app.wait_for_step("verify");
    let refused = app.bgctl("confirm", "").expect(3);
    assert!(
        refused
            .error()
            .ends_with("of unasked: its release takes no traffic yet"),
        "{refused:?}"
    );
    // A check that runs outlives that systemd reads its unit anew.
    host.succeed("systemctl daemon-reload");
    let told = host.succeed("journalctl -q -u bgctl-verify-unasked");
    assert!(!told.contains("Unknown key") && !told.contains("Refusing"), "{told}");
    host.succeed("rm /run/bgctl-unasked");
    // Confirmed while it bakes: the bake is not cut short by that.
    app.wait_for_step("bake");
    app.bgctl("confirm", "").expect(0);
    let baked = app.journal();
    assert!(baked.iter().any(|line| line["event"] == "watched"), "{baked:?}");
    app.is_served_by("p3", "green");
    for bad in ["0s", "5", "8d", "soon"] {
        app.bgctl("switch", &format!("--confirm-within {bad}")).expect(2);
    }
}
