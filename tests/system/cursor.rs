//! etcd says something else: nothing is done that the cursor does not allow.

use crate::app::App;
use crate::host::Host;
use crate::load::{Load, releases};

#[test]
fn cursor_that_somebody_moved_meanwhile_stays_where_they_moved_it() {
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

#[test]
fn lease_that_never_expires_is_told_with_the_command_that_ends_it() {
    let host = Host::with_images();
    let app = App::docker(&host, "held", 9172).install();
    let since = "2026-11-23T14:00:00Z";
    host.succeed(&format!(
        "etcdctl put /held/claim '{{\"by\":\"web9-1/0007\",\"verb\":\"switch\",\"release\":\"v7\",\"since\":\"{since}\"}}'"
    ));
    let busy = app.try_switch("v1").expect(5);
    assert_eq!(
        busy.error(),
        format!(
            "cannot switch held: it is held by web9-1/0007 (switch to v7) since {since}; \
             key /held/claim has no etcd lease attached, so it never expires"
        )
    );
    assert!(busy.stderr.contains("hint: etcdctl del /held/claim\n"), "{busy:?}");
    let status = app.status();
    assert_eq!(
        (&status["lease"]["by"], &status["lease"]["expires"]),
        (&"web9-1/0007".into(), &false.into()),
        "{status:#}"
    );
    assert_eq!(status["problems"][0]["repair"], "etcdctl del /held/claim", "{status:#}");
    let told = app.bgctl("status", "").expect(0).stdout;
    assert!(
        told.contains(&format!("lease   held by web9-1/0007 (switch to v7) since {since}\n")),
        "{told}"
    );
    host.succeed("etcdctl del /held/claim");
    app.switch("v1");
    let status = app.status();
    assert_eq!(status["lease"], serde_json::Value::Null, "{status:#}");
}

/// Another program keeps keys of its own below the app's name, in the etcd that both use.
#[test]
fn keys_of_another_program_are_refused_by_name_before_anything_changes() {
    let host = Host::with_images();
    host.succeed("etcdctl put /foreign/url https://foreign.example && etcdctl put /foreign/release 2026-11");
    let app = App::docker(&host, "foreign", 9174);
    let refused = app.try_install().expect(3);
    assert_eq!(
        refused.error(),
        "cannot keep a cursor of foreign below / in etcd: keys /foreign/release, /foreign/url belong to another program"
    );
    assert!(refused.stderr.contains("prefix = \"/bgctl/\""), "{refused:?}");
    host.succeed(
        "! ls /etc/systemd/system/foreign@.service /etc/nginx/sites-enabled/foreign.conf /var/lib/bgctl/foreign",
    );
    assert_eq!(
        host.succeed("etcdctl get --prefix /foreign/ --print-value-only"),
        "2026-11\nhttps://foreign.example"
    );
}

/// By its name alone it could be taken for another host. The file is hidden from the command only.
#[test]
fn host_without_a_machine_id_moves_nothing() {
    let host = Host::with_images();
    let app = App::docker(&host, "nobody", 9176).install();
    let hidden = "unshare --mount sh -c 'mount --bind /dev/null /etc/machine-id && exec bgctl switch nobody'";
    let refused = host.run(hidden).expect(3);
    assert_eq!(
        refused.error(),
        "cannot tell this host from others by its machine id in /etc/machine-id: it is not 32 hexadecimal digits"
    );
    assert!(
        refused.stderr.contains("hint: make one: systemd-machine-id-setup"),
        "{refused:?}"
    );
    app.switch("v1");
}
