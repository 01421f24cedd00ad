//! etcd is stopped, slow, without quorum or full: before a switch, in the middle of one, and after its promote.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::App;
use crate::host::{Host, Output};
use crate::load::{Load, releases};

/// Verify commands hold a switch before its promote while this file is there.
const GATE: &str = "/run/gate";
const DATA: &str = "/etc/default/etcd";

/// A host of its own with its own etcd, which runs the demo app as a program.
fn boot(name: &str) -> Host {
    let host = Host::boot(name);
    host.copy_program();
    host.succeed(&format!("cp {DATA} {DATA}.own"));
    host
}

/// The app, with v1 in green and v2 in blue, which serves.
fn installed<'h>(host: &'h Host, name: &str) -> App<'h> {
    let gate = format!("while test -e {GATE}; do sleep 0.05; done");
    let app = App::program(host, name, 9100)
        .set("verify.commands", vec![gate])
        .install();
    for release in ["v0", "v1", "v2"] {
        app.switch(release);
    }
    app.is_served_by("v2", "blue");
    app
}

/// A switch that is about to promote `release` in green.
fn begin(app: &App<'_>, release: &str) {
    app.host().succeed(&format!("touch {GATE}"));
    app.bgctl("switch", &format!("{} --detach", app.release(release)))
        .expect(0);
    app.wait_for_step("verify");
}

fn go_on(host: &Host) {
    host.succeed(&format!("rm {GATE}"));
}

fn etcd_is_back(host: &Host) {
    host.wait_until("etcdctl endpoint health && etcdctl put /health yes");
}

/// `bgctl status APP --json`, and how long it took.
fn status(app: &App<'_>) -> Value {
    let since = Instant::now();
    let status = app.status();
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    status
}

/// Nothing has begun: v2 serves in blue.
fn is_untouched(app: &App<'_>) {
    assert_eq!(
        (app.open_switch(), app.unit_state("green")),
        (String::new(), "inactive disabled".to_owned())
    );
    assert_eq!(app.get("/").header("x-release"), "v2");
}

/// The problem in a status that starts so.
fn problem<'s>(status: &'s Value, start: &str) -> &'s Value {
    let problems = status["problems"].as_array().unwrap();
    let is_so = |problem: &&Value| problem["problem"].as_str().unwrap().starts_with(start);
    problems
        .iter()
        .find(is_so)
        .unwrap_or_else(|| panic!("{start}: {status:#}"))
}

fn refused(output: Output, why: &str) {
    let output = output.expect(3);
    assert!(output.error().contains(why), "{output:?}");
    assert!(output.stderr.contains("hint: "), "{output:?}");
}

#[test]
fn nothing_begins_without_it_and_what_was_known_of_the_cursor_is_shown() {
    let host = boot("away");
    let app = installed(&host, "shop");
    let load = Load::on(&app);

    app.bgctl("stage", "--release staged").expect(0);
    host.succeed("systemctl stop etcd");
    // What it runs for nobody the host takes down alone.
    app.bgctl("abort", "").expect(0);
    is_known(&app);
    for verb in ["switch", "stage", "promote", "rollback"] {
        refused(
            app.bgctl(verb, ""),
            "cannot reach etcd at http://127.0.0.1:2379: Connection refused",
        );
    }
    app.bgctl("uninstall", "--yes").expect(3);
    is_untouched(&app);
    let all = host.bgctl("status --json").expect(0).json();
    assert_eq!(
        (&all[0]["active"], &all[0]["release"]),
        (&"blue".into(), &"v2".into()),
        "{all:#}"
    );
    assert!(all[0]["as_of"].is_string(), "{all:#}");
    let all = host.bgctl("status").expect(0);
    assert!(all.stdout.contains("as this host knew it"), "{all:?}");
    host.succeed("systemctl start etcd");

    // It answers much later.
    etcd_is_back(&host);
    host.succeed("systemctl kill --signal=STOP etcd");
    is_known(&app);
    refused(app.bgctl("switch", ""), "no answer within 5s");
    host.succeed("systemctl kill --signal=CONT etcd");
    etcd_is_back(&host);
    is_untouched(&app);

    // Its database is full: it can be read, and not written to.
    host.succeed(&format!(
        "echo ETCD_QUOTA_BACKEND_BYTES=1000000 >>{DATA}; systemctl restart etcd"
    ));
    host.wait_until("head -c 200000 /dev/zero | tr '\\0' x | etcdctl put /filler 2>&1 | grep 'space exceeded'");
    let seen = status(&app);
    assert_eq!(
        (&seen["cursor"]["active"], &seen["cursor"]["as_of"]),
        (&"blue".into(), &Value::Null),
        "{seen:#}"
    );
    refused(app.bgctl("switch", ""), "its database is full");
    is_untouched(&app);
    host.succeed(&format!(
        "cp {DATA}.own {DATA}; etcdctl del /filler; systemctl restart etcd"
    ));
    host.wait_until("etcdctl compact $(etcdctl get / --write-out=json | sed 's/.*\"revision\":\\([0-9]*\\).*/\\1/')");
    host.wait_until("etcdctl defrag && etcdctl alarm disarm");
    etcd_is_back(&host);

    // A member that was added and never came leaves one of two.
    host.succeed("etcdctl member add other --peer-urls=http://127.0.0.1:2390");
    host.wait_until("! timeout 2 etcdctl put /health no");
    is_known(&app);
    app.bgctl("switch", "").expect(3);
    is_untouched(&app);
    host.succeed(&format!(
        "echo ETCD_FORCE_NEW_CLUSTER=true >>{DATA}; systemctl restart etcd"
    ));
    etcd_is_back(&host);

    app.switch("v3");
    app.is_served_by("v3", "green");
    assert_eq!(releases(&load.stop()), ["v2 in blue", "v3 in green"]);
}

/// What this host last knew is told, with its age.
fn is_known(app: &App<'_>) {
    let seen = status(app);
    let cursor = &seen["cursor"];
    assert_eq!(
        (&cursor["active"], &cursor["release"]),
        (&"blue".into(), &"v2".into()),
        "{seen:#}"
    );
    assert!(
        cursor["as_of"].is_string() && cursor["age_seconds"].is_u64(),
        "{seen:#}"
    );
    assert_eq!(
        (&seen["serving"], &seen["agrees"]),
        (&"blue".into(), &true.into()),
        "{seen:#}"
    );
    assert!(
        seen["problems"].to_string().contains("what this host last knew"),
        "{seen:#}"
    );
    let text = app.bgctl("status", "").expect(0).stdout;
    assert!(
        text.contains("cursor  blue with v2, revision ") && text.contains(", as this host knew it "),
        "{text}"
    );
}

#[test]
fn in_the_middle_of_a_switch_it_ends_well_or_goes_back_by_itself() {
    let host = boot("between");
    let app = installed(&host, "shop");
    let load = Load::on(&app);

    // It refuses the promote: nothing was promoted, and the switch goes back without it.
    begin(&app, "refused");
    host.succeed("systemctl stop etcd");
    go_on(&host);
    let back = app.bgctl("switch", "--follow").expect(1);
    assert!(
        back.error().starts_with("cannot promote green: cannot reach etcd at "),
        "{back:?}"
    );
    is_untouched(&app);
    host.succeed("systemctl start etcd");
    etcd_is_back(&host);

    // It gets the promote and never answers: nobody knows what it did, a worker is killed meanwhile, and it is asked again.
    begin(&app, "v3");
    host.succeed("systemctl kill --signal=STOP etcd");
    go_on(&host);
    let asks = "systemctl show -P StatusText bgctl-switch@shop | grep '^promote: the store is asked again'";
    host.wait_until(asks);
    host.succeed("systemctl kill --signal=KILL bgctl-switch@shop");
    host.wait_until(asks);
    assert_eq!(app.get("/").header("x-release"), "v2");
    host.succeed("systemctl kill --signal=KILL etcd");
    assert_eq!(
        app.bgctl("switch", "--follow --json").expect(0).json()["outcome"],
        "done"
    );
    etcd_is_back(&host);
    app.is_served_by("v3", "green");

    // The same, and it is aborted.
    let _ = app.switch("v4");
    begin(&app, "aborted");
    host.succeed("systemctl kill --signal=STOP etcd");
    go_on(&host);
    host.wait_until(asks);
    let abort = host.spawn("bgctl abort shop --json");
    host.wait_until("systemctl show -P StatusText bgctl-switch@shop | grep '^undo: demote: the store is asked again'");
    host.succeed("systemctl kill --signal=CONT etcd");
    assert_eq!(Host::wait(abort).expect(0).json()["outcome"], "rolled-back");
    app.is_served_by("v4", "blue");

    // It goes after the promote: nothing more is needed of it.
    assert_eq!(releases(&load.stop()), ["v2 in blue", "v3 in green", "v4 in blue"]);
    let app = App::program(&host, "shop", 9100).set("bake.duration", "2s").install();
    let load = Load::on(&app);
    let client = host.spawn("bgctl switch shop --release v5 --json");
    app.wait_for_step("bake");
    host.succeed("systemctl stop etcd");
    assert_eq!(Host::wait(client).expect(0).json()["outcome"], "done");
    let seen = status(&app);
    assert_eq!(
        (&seen["cursor"]["release"], &seen["agrees"]),
        (&"v5".into(), &true.into()),
        "{seen:#}"
    );
    host.succeed("systemctl start etcd");
    etcd_is_back(&host);
    app.is_served_by("v5", "green");
    assert_eq!(releases(&load.stop()), ["v4 in blue", "v5 in green"]);
}

#[test]
fn switch_that_waited_long_enough_is_stuck_and_says_what_to_do() {
    let host = boot("patience");
    let app = installed(&host, "shop");
    host.succeed("printf 'timeout = \"1s\"\\npatience = \"3s\"\\n' >>/etc/bgctl/bgctl.toml");
    begin(&app, "v3");
    host.succeed("systemctl kill --signal=STOP etcd");
    go_on(&host);
    let stuck = app.bgctl("switch", "--follow").expect(4);
    assert!(stuck.error().contains("no answer within 1s"), "{stuck:?}");
    let again = "bgctl resume shop";
    for told in ["v2 still serves in blue", "bgctl abort shop", again] {
        assert!(stuck.stdout.contains(told), "{told} in {stuck:?}");
    }
    app.bgctl("switch", "").expect(5);
    host.succeed("systemctl kill --signal=CONT etcd");
    etcd_is_back(&host);
    app.bgctl("resume", "").expect(1);
    app.is_served_by("v2", "blue");
    app.switch("v4");
}

#[test]
fn patience_counts_for_each_wait() {
    let host = boot("hiccup");
    let app = installed(&host, "shop").set("bake.duration", "30s").install();
    host.succeed("printf 'timeout = \"1s\"\npatience = \"4s\"\n' >>/etc/bgctl/bgctl.toml");
    begin(&app, "v3");
    // The promote waits, and gets its answer.
    host.succeed("systemctl kill --signal=STOP etcd");
    go_on(&host);
    host.wait_until("systemctl show -P StatusText bgctl-switch@shop | grep 'the store is asked again'");
    host.succeed("systemctl kill --signal=CONT etcd");
    app.wait_for_step("bake");
    let follower = host.spawn("bgctl switch shop --follow");
    // Longer than the patience after that first wait, the demote waits for less.
    host.succeed("sleep 4; systemctl kill --signal=STOP etcd");
    assert_eq!(app.post("/unhealthy", "").status, 200);
    host.wait_until("systemctl show -P StatusText bgctl-switch@shop | grep 'the store is asked again'");
    host.succeed("systemctl kill --signal=CONT etcd");
    Host::wait(follower).expect(1);
    app.is_served_by("v2", "blue");
}

#[test]
fn host_whose_worker_was_killed_after_the_promote_goes_back_alone() {
    let host = boot("killed-alone");
    let app = installed(&host, "shop").set("bake.duration", "3s").install();
    let client = host.spawn("bgctl switch shop --release v3");
    app.wait_for_step("bake");
    host.succeed("systemctl kill --signal=KILL bgctl-switch@shop");
    Host::wait(client).expect(0);
    host.succeed("systemctl stop etcd");
    let report = app.bgctl("rollback", "--local --json").expect(0).json();
    assert_eq!(
        (&report["replaces"], &report["release"], &report["to"]),
        (&"v3".into(), &"v2".into(), &"blue".into()),
        "{report:#}"
    );
    host.succeed("systemctl start etcd");
    host.wait_until("! test -e /var/lib/bgctl/shop/deferred.json");
    app.is_served_by("v2", "blue");
}

#[test]
fn host_goes_back_alone_and_tells_the_store_later() {
    let host = boot("locally");
    let app = installed(&host, "shop");
    let load = Load::on(&app);
    let here = app.bgctl("rollback", "--local").expect(3);
    assert!(here.error().contains("the store answers"), "{here:?}");

    host.succeed("systemctl stop etcd");
    let offered = app.bgctl("rollback", "").expect(3);
    assert!(offered.stderr.contains("bgctl rollback shop --local"), "{offered:?}");
    app.bgctl("rollback", "--local").expect(0);
    let answer = app.get("/");
    assert_eq!((answer.header("x-release"), answer.header("x-color")), ("v1", "green"));
    assert_eq!(
        (app.unit_state("green"), app.unit_state("blue")),
        ("active enabled".into(), "inactive disabled".into())
    );
    let ahead = status(&app);
    assert!(
        ahead["problems"]
            .to_string()
            .contains("this host moved to green with v1 without the store at"),
        "{ahead:#}"
    );
    assert_eq!(
        problem(&ahead, "this host moved")["repair"],
        "systemctl start bgctl-switch@shop.service",
        "{ahead:#}"
    );
    for (path, mode) in crate::modes::documented(true) {
        let path = path.replace("APP", "shop");
        assert_eq!(host.succeed(&format!("stat -c %a {path}")), mode, "{path}");
    }
    // Once more, and back again: the last word counts.
    app.bgctl("rollback", "--local").expect(0);
    app.bgctl("rollback", "--local").expect(0);
    app.bgctl("switch", "").expect(3);
    host.succeed("systemctl start etcd");
    host.wait_until("etcdctl get --print-value-only /shop/instance | grep green");
    host.wait_until("! test -e /var/lib/bgctl/shop/deferred.json");
    host.wait_until("! systemctl is-active bgctl-switch@shop");
    app.is_served_by("v1", "green");
    assert_eq!(app.status()["problems"], Value::Array(Vec::new()));
    assert_eq!(releases(&load.stop()), ["v2 in blue", "v1 in green"]);

    // The unit was stopped, so that nobody tells it, but for a person.
    host.succeed("systemctl stop etcd");
    app.bgctl("rollback", "--local").expect(0);
    host.succeed("systemctl stop bgctl-switch@shop && systemctl start etcd");
    etcd_is_back(&host);
    let ahead = app.status();
    assert_eq!(
        problem(&ahead, "this host moved to blue with v2")["repair"],
        "bgctl repair shop",
        "{ahead:#}"
    );
    app.bgctl("repair", "").expect(0);
    assert_eq!(host.succeed("etcdctl get --print-value-only /shop/instance"), "blue");
    host.succeed("! test -e /var/lib/bgctl/shop/deferred.json");
    assert_eq!(app.status()["problems"], Value::Array(Vec::new()));

    // It is rebooted meanwhile, and another host has moved the cursor when etcd is back: that stays.
    host.succeed("systemctl stop etcd");
    app.bgctl("rollback", "--local").expect(0);
    host.succeed("systemctl stop bgctl-switch@shop && systemctl start etcd");
    etcd_is_back(&host);
    host.succeed("etcdctl put /shop/moved-by elsewhere/0001 && etcdctl put /shop/instance blue");
    host.succeed("systemctl start bgctl-switch@shop");
    host.wait_until("! test -e /var/lib/bgctl/shop/deferred.json");
    assert_eq!(
        host.succeed("etcdctl get --print-value-only /shop/moved-by"),
        "elsewhere/0001"
    );
    let differs = app.status();
    let why = "the cursor says blue with v2, and green with v1 serves";
    assert_eq!(problem(&differs, why)["repair"], "bgctl switch shop", "{differs:#}");
    app.switch("v3");
    app.is_served_by("v3", "blue");
}
