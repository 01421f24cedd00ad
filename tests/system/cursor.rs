//! etcd goes away, hangs, or says something else: nothing is done that the cursor does not allow.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

#[test]
fn without_etcd_a_switch_is_refused_and_serving_goes_on() {
    let host = Host::boot("no-etcd");
    host.push_images();
    let app = App::docker(&host, "shop", 9100).install();
    app.switch("v1");
    let load = Load::on(&app);
    host.succeed("systemctl stop etcd");
    let refused = app.bgctl("switch", &app.release("v2")).expect(3);
    assert!(
        refused.error().starts_with("cannot ") && refused.error().contains("127.0.0.1:2379"),
        "{refused:?}"
    );
    app.bgctl("rollback", "").expect(3);
    app.bgctl("uninstall", "--yes").expect(3);
    assert_eq!(
        (app.open_switch(), app.unit_state("green")),
        (String::new(), "inactive disabled".to_owned())
    );
    let status = app.status();
    assert!(status["cursor"].is_null() && status["serving"] == "blue", "{status:#}");
    assert!(status["problems"].to_string().contains("127.0.0.1:2379"), "{status:#}");
    host.bgctl("status").expect(0);
    host.succeed("systemctl start etcd");
    host.wait_until("etcdctl endpoint health");
    app.switch("v2");
    app.is_served_by("v2", "green");
    assert_eq!(releases(&load.stop()), ["v1 in blue", "v2 in green"]);

    // etcd goes between plan and promote. Nobody can know what it did last, so a person is asked; the active color serves.
    let load = Load::on(&app);
    app.bgctl("switch", &format!("{} --detach", app.release("late")))
        .expect(0);
    host.succeed("systemctl stop etcd");
    let stuck = app.bgctl("switch", "--follow").expect(4);
    assert!(stuck.error().contains("127.0.0.1:2379"), "{stuck:?}");
    assert!(stuck.stdout.contains("v2 goes on in green"), "{stuck:?}");
    let again = "bgctl resume shop";
    assert!(
        stuck.stdout.contains("bgctl abort shop") && stuck.stdout.contains(again),
        "{stuck:?}"
    );
    app.bgctl("switch", &app.release("v3")).expect(5);
    host.succeed("systemctl start etcd");
    host.wait_until("etcdctl endpoint health");
    host.run(again);
    app.wait_until_closed();
    app.is_served_by("v2", "green");
    assert_eq!(releases(&load.stop()), ["v2 in green"]);

    // It hangs while the worker promotes, and the worker is killed: another one promotes, once.
    host.succeed("systemctl kill --signal=STOP etcd");
    let stopped = app.bgctl("switch", &app.release("v3")).expect(3);
    assert!(stopped.error().starts_with("cannot "), "{stopped:?}");
    host.succeed("systemctl kill --signal=CONT etcd");
    let load = Load::on(&app);
    let client = host.spawn(&format!("bgctl switch shop {} --json", app.release("late")));
    app.wait_for_step("start blue");
    host.succeed("systemctl kill --signal=STOP etcd");
    app.wait_for_step("promote");
    host.succeed("systemctl kill --signal=KILL bgctl-switch@shop; systemctl kill --signal=CONT etcd");
    assert_eq!(Host::wait(client).expect(0).json()["outcome"], "done");
    app.is_served_by("late", "blue");
    assert_eq!(releases(&load.stop()), ["v2 in green", "late in blue"]);
}

#[test]
fn a_cursor_that_somebody_moved_meanwhile_stays_where_they_moved_it() {
    let host = Host::with_images();
    let app = App::docker(&host, "theirs", 9170).install();
    app.switch("v1");
    let load = Load::on(&app);
    app.bgctl("switch", &format!("{} --detach", app.release("late")))
        .expect(0);
    app.wait_for_step("start green");
    host.succeed("etcdctl put /theirs/instance none");
    let report = app.bgctl("switch", "--follow --json").expect(1).json();
    let error = report["error"].as_str().unwrap();
    assert!(
        error.starts_with("cannot promote green: ") && error.contains("moved the cursor"),
        "{report:#}"
    );
    assert_eq!(host.succeed("etcdctl get --print-value-only /theirs/instance"), "none");
    assert_eq!(app.get("/").header("x-release"), "v1");
    assert_eq!(
        (app.unit_state("blue"), app.unit_state("green")),
        ("active enabled".into(), "inactive disabled".into())
    );
    assert_eq!(releases(&load.stop()), ["v1 in blue"]);
    // Status tells the two apart.
    let status = app.status();
    assert_eq!(
        (&status["serving"], &status["agrees"]),
        (&"blue".into(), &false.into()),
        "{status:#}"
    );
}
