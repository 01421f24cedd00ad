//! Uninstalling: exactly what install wrote.

use std::collections::BTreeSet;

use crate::app::App;
use crate::install::{alone, everything, lone_host};

/// The files of it: reloads and process ids cannot be the same again.
fn files(all: &BTreeSet<String>) -> BTreeSet<&String> {
    all.iter().filter(|line| line.contains('/')).collect()
}

#[test]
fn all_that_install_and_switches_wrote_goes_and_nothing_else() {
    let host = lone_host();
    let _alone = alone(&host);
    let before = everything(&host);
    let first = App::docker(&host, "gone", 9310).install();
    let second = App::docker(&host, "stays", 9312).install();
    for app in [&first, &second] {
        app.switch("v1");
        app.switch("v2");
    }
    let question = first.bgctl("uninstall", "").expect(3);
    assert!(question.stderr.contains("--yes"), "{question:?}");
    first.is_served_by("v2", "green");

    first.bgctl("uninstall", "--yes").expect(0);
    second.is_served_by("v2", "green");
    host.fail("systemctl is-active gone@9311");
    assert_eq!(host.run("docker ps -aq --filter name=^/gone-").stdout, "");
    assert_eq!(host.succeed("etcdctl get --prefix /gone"), "");
    let nginx = host.succeed("nginx -T 2>&1");
    assert!(!nginx.contains("gone") && nginx.contains("stays"), "{nginx}");
    second.bgctl("uninstall", "--yes").expect(0);
    let after = everything(&host);
    let (before, after) = (files(&before), files(&after));
    let (gone, left): (Vec<_>, Vec<_>) = (before.difference(&after).collect(), after.difference(&before).collect());
    assert!(
        gone.is_empty() && left.is_empty(),
        "no longer there: {gone:#?}\nleft: {left:#?}"
    );
    let failed = host.succeed("systemctl list-units --all --failed --no-legend 'gone@*' 'stays@*' 'bgctl*'");
    assert_eq!(failed, "");
    let units = host.run("systemctl list-unit-files --no-legend 'gone@*' 'stays@*' 'bgctl*'");
    assert_eq!(units.stdout, "");
    let refused = first.bgctl("uninstall", "--yes").expect(3);
    assert!(refused.error().contains("not installed"), "{refused:?}");
}

#[test]
fn with_its_state_kept_an_app_goes_on_where_it_was() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "kept", 9314).install();
    app.switch("v1");
    app.switch("v2");
    app.bgctl("uninstall", "--yes --keep-state").expect(0);
    assert_eq!(host.succeed("etcdctl get --print-value-only /kept/instance"), "green");
    host.succeed("test -e /var/lib/bgctl/kept/releases/v2.json");
    host.fail("systemctl is-active kept@9315");
    let app = app.install();
    // Nothing runs, and nothing is sent to what does not; the release before is still known.
    assert_eq!(app.get("/").status, 503);
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("v1", "blue");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn units_that_were_edited_keep_all_that_they_need() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "mine", 9316).install();
    app.switch("v1");
    let before = everything(&host);
    for path in [
        "/etc/nginx/sites-enabled/mine.conf",
        "/etc/systemd/system/mine@.service",
    ] {
        host.succeed(&format!("cp -a {path} /root/kept && echo '# mine' >>{path}"));
        let refused = app.bgctl("uninstall", "--yes").expect(3);
        assert!(
            refused.error().starts_with(&format!("cannot remove {path}: ")),
            "{refused:?}"
        );
        host.succeed(&format!("mv /root/kept {path}"));
        app.is_served_by("v1", "blue");
    }
    assert_eq!(files(&before), files(&everything(&host)));
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn removal_that_ended_in_the_middle_is_mended_by_another_one() {
    let host = lone_host();
    let _alone = alone(&host);
    let before = everything(&host);
    let app = App::docker(&host, "middle", 9318).install();
    host.succeed(
        "rm -r /var/lib/bgctl/middle /etc/nginx/sites-enabled/middle.conf /etc/systemd/system/middle@.service",
    );
    app.bgctl("uninstall", "--yes").expect(0);
    assert_eq!(files(&before), files(&everything(&host)));
    assert!(!host.succeed("nginx -T 2>&1").contains("middle"));
}
