//! When systemd is asked to read its units anew. Since version 255 it asks for that after links too, by which units are enabled,
//! and says so of every unit of the host; since version 253 a host can limit how often it is done.

use crate::app::App;
use crate::host::Host;

/// What systemd says of a unit that has no file.
const ASKED_FOR_ALL: &str = "systemctl show -P NeedDaemonReload init.scope";

/// When systemd last read its units (org.freedesktop.systemd1(5)).
fn units_loaded(host: &Host) -> String {
    host.succeed("systemctl show -P UnitsLoadTimestampMonotonic")
}

fn problems(app: &App<'_>) -> Vec<String> {
    let status = app.status();
    let problems = status["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| problem["problem"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn links_that_a_switch_makes_are_read_at_its_end_and_are_no_drift() {
    let host = Host::boot("reload");
    host.use_local_store();
    let asks_for_links = host.systemd_version() >= 255;
    let other = App::program(&host, "other", 9600).install();
    let held = App::program(&host, "held", 9602).set("bake.duration", "10m").install();
    assert_eq!(
        host.succeed(ASKED_FOR_ALL),
        "no",
        "an installation leaves nothing to read"
    );
    other.switch("p1");
    held.bgctl("switch", "--release p1 --detach").expect(0);
    held.wait_for_step("bake");
    held.bgctl("abort", "").expect(0);
    held.wait_until_closed();
    host.wait_until("! systemctl is-active --quiet bgctl-switch@held");
    assert_eq!(
        host.succeed(ASKED_FOR_ALL),
        "no",
        "a switch that ended leaves nothing to read"
    );

    let before = units_loaded(&host);
    held.bgctl("switch", "--release p2 --detach").expect(0);
    held.wait_for_step("bake");
    assert_eq!(units_loaded(&host), before, "nothing is read on the way to the promote");
    let asked = if asks_for_links { "yes" } else { "no" };
    assert_eq!(host.succeed(ASKED_FOR_ALL), asked);
    assert_eq!(problems(&other), Vec::<String>::new());
    let again = other.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    // What was changed by hand is told all the same.
    let unit = "/etc/systemd/system/other@.service";
    host.succeed(&format!("touch {unit}"));
    assert_eq!(problems(&other), [format!("{unit} was changed since systemd read it")]);
    held.bgctl("abort", "").expect(0);
    held.wait_until_closed();
    host.wait_until("! systemctl is-active --quiet bgctl-switch@held");
    assert_eq!(host.succeed(ASKED_FOR_ALL), "no");
    assert_eq!(units_loaded(&host) != before, asks_for_links);

    other.bgctl("repair", "").expect(0);
    host.succeed("systemctl disable --quiet other@9600");
    other.bgctl("repair", "").expect(0);
    assert_eq!(host.succeed(ASKED_FOR_ALL), "no", "a repair leaves nothing to read");
    other.is_served_by("p1", "blue");
}

#[test]
fn reload_that_systemd_refuses_for_now_is_done_later() {
    let host = Host::boot("reload-limit");
    host.use_local_store();
    if host.systemd_version() < 253 {
        // It has no limit.
        return;
    }
    host.copy_in(
        "/etc/systemd/system.conf.d/limit.conf",
        "[Manager]\nReloadLimitIntervalSec=8s\nReloadLimitBurst=1\n",
    );
    host.succeed("systemctl daemon-reexec");
    let refused = || host.succeed("journalctl --boot --quiet --grep 'request rejected due to rate limit' | wc -l");
    assert_eq!(refused(), "0");
    host.run("systemctl daemon-reload");
    let app = App::program(&host, "limited", 9600).install();
    app.switch("p1");
    app.switch("p2");
    app.is_served_by("p2", "green");
    assert_ne!(refused(), "0");
    host.wait_until("! systemctl is-active --quiet bgctl-switch@limited");
    assert_eq!(host.succeed(ASKED_FOR_ALL), "no");
}
