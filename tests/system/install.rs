//! Installing: once, again, differently, and not over what belongs to others.

use std::collections::BTreeSet;

use crate::app::App;
use crate::host::Host;
use crate::lock::Lock;

/// A host whose tests look at all files, one after the other.
pub fn lone_host() -> Host {
    Host::shared("files", Host::push_images)
}

/// Until the returned value is dropped the host is this test's alone, and as it was before any other.
pub fn alone(host: &Host) -> Lock {
    let alone = host.alone();
    // Only a test that failed leaves anything, but for the folders that uninstalling leaves as well.
    host.succeed(
        "mkdir -p /var/lib/bgctl; rm -f /etc/nginx/sites-enabled/broken.conf; for app in $(ls /etc/bgctl/apps 2>/dev/null); do \
         bgctl uninstall ${app%.toml} --yes; done; rm -f /etc/nginx/sites-enabled/* /etc/systemd/system/foreign@.service; \
         systemctl start docker-registry etcd",
    );
    alone
}

/// All that bgctl could have changed, a line for each thing; but for the time of the last look at a cursor, which every look
/// changes.
pub fn everything(host: &Host) -> BTreeSet<String> {
    let all = host.succeed(
        "find /etc /var/lib/bgctl /var/lib/bgctl-routes /usr/local -printf '%p %y %m %U %l\\n' 2>/dev/null | sort; \
         find /etc /var/lib/bgctl -type f ! -name known.json -exec sha256sum {} + 2>/dev/null | sort; \
         etcdctl get --prefix /; systemctl show -P UnitsLoadTimestampMonotonic; pgrep nginx; docker ps -aq; \
         systemctl list-units --all --no-legend --plain '*@9*' 'bgctl*'",
    );
    all.lines().map(str::to_owned).collect()
}

/// Fails with what differs.
#[track_caller]
pub fn assert_unchanged(host: &Host, before: &BTreeSet<String>) {
    let after = everything(host);
    let (gone, new): (Vec<_>, Vec<_>) = (before.difference(&after).collect(), after.difference(before).collect());
    assert!(
        gone.is_empty() && new.is_empty(),
        "no longer there: {gone:#?}\nnew: {new:#?}"
    );
}

#[test]
fn second_install_has_nothing_to_do() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "twice", 9300).install();
    let before = everything(&host);
    let again = app.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    assert_unchanged(&host, &before);
    assert_eq!(
        host.bgctl(&format!("install {} --dry-run", app.manifest()))
            .expect(0)
            .stdout
            .trim(),
        "nothing to do"
    );
    app.switch("v1");
    let again = app.try_install().expect(0);
    assert!(again.stdout.contains("nothing to do"), "{again:?}");
    app.is_served_by("v1", "blue");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn dry_run_shows_every_file_and_changes_nothing() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "dry", 9302);
    app.write_manifest();
    let before = everything(&host);
    let diff = host
        .bgctl(&format!("install {} --dry-run", app.manifest()))
        .expect(0)
        .stdout;
    assert_unchanged(&host, &before);
    for file in [
        "/etc/systemd/system/dry@.service",
        "/etc/nginx/sites-enabled/dry.conf",
        "/etc/bgctl/apps/dry.toml",
    ] {
        assert!(diff.contains(&format!("+++ {file}")), "no {file} in:\n{diff}");
    }
    let app = app.install().set("nginx.max_body_size", "77M");
    app.write_manifest();
    let before = everything(&host);
    let diff = host
        .bgctl(&format!("install {} --dry-run", app.manifest()))
        .expect(0)
        .stdout;
    assert!(
        diff.contains("--- /etc/nginx/sites-enabled/dry.conf") && diff.contains("\n+max_body_size = \"77M\""),
        "{diff}"
    );
    assert!(!diff.contains("dry@.service"), "it would stay as it is: {diff}");
    assert_unchanged(&host, &before);
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn changed_manifest_changes_what_differs_and_nothing_that_runs() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "differ", 9304).install();
    app.switch("v1");
    let started = || host.succeed("systemctl show -P ActiveEnterTimestampMonotonic differ@9304");
    let before = started();
    let app = app
        .set("nginx.read_timeout", "77s")
        .set("run.stop_timeout", "12s")
        .install();
    assert!(host.succeed("nginx -T 2>/dev/null").contains("proxy_read_timeout 77s"));
    assert!(host.succeed("systemctl cat differ@9304").contains("stop -t 12 "));
    assert_eq!(started(), before);
    app.is_served_by("v1", "blue");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn files_of_others_and_files_changed_by_hand_are_not_overwritten() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "foreign", 9306);
    let unit = "/etc/systemd/system/foreign@.service";
    let site = "/etc/nginx/sites-enabled/foreign.conf";
    for path in [unit, site] {
        host.copy_in(path, "# somebody's own\n");
        app.write_manifest();
        let before = everything(&host);
        let refused = app.try_install().expect(3);
        assert!(
            refused.error().starts_with(&format!("cannot write {path}: ")),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("hint: "), "{refused:?}");
        assert_unchanged(&host, &before);
        host.succeed(&format!("rm {path}"));
    }
    let app = app.install();
    for path in [unit, site] {
        host.succeed(&format!("cp {path} /root/kept && sed -i '1s/$/ changed/' {path}"));
        let app = App::docker(&host, "foreign", 9306)
            .set("nginx.max_body_size", "7M")
            .set("run.stop_timeout", "7s");
        app.write_manifest();
        let before = everything(&host);
        let refused = app.try_install().expect(3);
        assert!(
            refused.error().contains(path) && refused.error().contains("changed by hand"),
            "{refused:?}"
        );
        assert_unchanged(&host, &before);
        host.succeed(&format!("cp /root/kept {path}"));
    }
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn site_of_somebody_else_that_nginx_refuses_is_blamed_and_left() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "innocent", 9308);
    app.write_manifest();
    let broken = "/etc/nginx/sites-enabled/broken.conf";
    host.copy_in(broken, "server { nonsense; }\n");
    let before = everything(&host);
    let refused = app.try_install().expect(3);
    assert!(refused.stderr.contains("broken.conf"), "{refused:?}");
    assert!(
        refused.error().contains("innocent.conf, which is not at fault: "),
        "{refused:?}"
    );
    assert_unchanged(&host, &before);
    host.succeed(&format!("rm {broken}"));
    app.install().bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn pinned_release_keeps_its_ports_and_its_kind() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "pinned", 9320).install();
    app.switch("v1");
    host.succeed("systemctl disable --now pinned@9320");
    let before = everything(&host);
    host.succeed("sed 's/9320/9329/' /etc/bgctl/apps/pinned.toml >/root/moved.toml");
    let refused = host.bgctl("install /root/moved.toml").expect(3);
    assert!(refused.error().ends_with("release v1 is pinned to it"), "{refused:?}");
    host.succeed(
        "sed 's,^image.*,exec = \"/bin/sleep\",; /^container_port/d' /etc/bgctl/apps/pinned.toml >/root/kind.toml",
    );
    let refused = host.bgctl("install /root/kind.toml").expect(3);
    assert!(
        refused
            .error()
            .starts_with("cannot make pinned run a program of the host "),
        "{refused:?}"
    );
    assert_unchanged(&host, &before);
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn manifest_that_was_edited_counts_when_it_is_installed() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "edited", 9322).install();
    host.succeed("sed -i 's/^name/# mine\\nname/' /etc/bgctl/apps/edited.toml");
    let refused = app.try_switch("v1").expect(3);
    assert!(
        refused.stderr.contains("bgctl install /etc/bgctl/apps/edited.toml"),
        "{refused:?}"
    );
    assert_eq!(app.status()["problems"].as_array().unwrap().len(), 1);
    host.bgctl("install /etc/bgctl/apps/edited.toml").expect(0);
    app.switch("v1");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn routes_that_nginx_cannot_see_are_found_at_once() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "unseen", 9324).install();
    host.succeed("mkdir -p /root/routes && cp -a /var/lib/bgctl-routes/. /root/routes/ && chmod 700 /root");
    host.succeed("mv /var/lib/bgctl-routes /var/lib/bgctl-kept && ln -s /root/routes /var/lib/bgctl-routes");
    let refused = app.set("nginx.read_timeout", "61s").try_install();
    host.succeed("rm /var/lib/bgctl-routes && mv /var/lib/bgctl-kept /var/lib/bgctl-routes && rm -r /root/routes");
    let refused = refused.expect(3);
    assert!(refused.error().contains("nginx finds no route"), "{refused:?}");
    assert!(refused.stderr.contains("namei -l"), "{refused:?}");
    host.bgctl("uninstall unseen --yes").expect(0);
}
