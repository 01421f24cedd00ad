//! What cannot be: one clear error, and nothing has changed.

use crate::app::App;
use crate::host::Host;
use crate::install::{alone, assert_unchanged, everything, lone_host};

/// Runs a command that must end with `status` and an error that says all of `words`, and must change nothing.
#[track_caller]
fn refused(host: &Host, command: &str, status: i32, words: &[&str]) {
    let before = everything(host);
    let output = host.run(command).expect(status);
    let error = output.error();
    assert!(error.starts_with("cannot ") || status == 2, "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {output:?}");
    }
    assert!(!error.ends_with('.'), "{output:?}");
    assert_eq!(output.stdout, "", "an error is no answer");
    assert_unchanged(host, &before);
}

/// Installs a manifest that is refused.
#[track_caller]
fn refused_manifest(host: &Host, manifest: &str, status: i32, words: &[&str]) {
    host.copy_in("/root/bad.toml", manifest);
    refused(host, "bgctl install /root/bad.toml", status, words);
}

/// A manifest with these lines of [ports], [health] and so on.
fn manifest(name: &str, more: &str) -> String {
    format!(
        "name = \"{name}\"\n[run]\nimage = \"localhost:5000/bdd-assistant:v1\"\ncontainer_port = 8080\n\
         [nginx]\nserver_name = [\"bad.test\"]\n{more}"
    )
}

#[test]
fn manifests_that_cannot_be_read_or_understood() {
    let host = lone_host();
    let _alone = alone(&host);
    refused(
        &host,
        "bgctl install /root/missing.toml",
        2,
        &["/root/missing.toml", "no such file"],
    );
    refused_manifest(&host, "name = \"bad\n", 2, &["/root/bad.toml:1:"]);
    refused_manifest(
        &host,
        &manifest("bad", "[bake]\nduratoin = \"1s\"\n"),
        2,
        &["/root/bad.toml:8:1", "duratoin"],
    );
    refused_manifest(&host, "name = \"bad\"\n", 2, &["run"]);
    refused(&host, "bgctl install", 2, &[]);
}

#[test]
fn names_that_would_be_something_else_to_systemd_nginx_or_a_path() {
    let host = lone_host();
    let _alone = alone(&host);
    let long = "x".repeat(100);
    for name in ["a/b", "../b", "a%b", "a\\nb", "a b", "", &long] {
        refused_manifest(&host, &manifest(name, ""), 2, &["/root/bad.toml:1:"]);
    }
    for verb in ["switch", "rollback", "status", "abort", "uninstall"] {
        let before = everything(&host);
        let output = host.bgctl(&format!("{verb} a/b")).expect(2);
        assert!(
            output.stderr.starts_with("error: ") && output.stderr.contains("a/b"),
            "{output:?}"
        );
        assert_unchanged(&host, &before);
    }
}

#[test]
fn ports_that_are_equal_privileged_or_taken() {
    let host = lone_host();
    let _alone = alone(&host);
    refused_manifest(
        &host,
        &manifest("bad", "[ports]\nblue = 9320\ngreen = 9320\n"),
        2,
        &["9320", "both"],
    );
    refused_manifest(
        &host,
        &manifest("bad", "[ports]\nblue = 81\n"),
        2,
        &["81", "allow_privileged"],
    );
    refused_manifest(
        &host,
        &manifest("bad", "[ports]\nblue = 0\n"),
        2,
        &["/root/bad.toml:8:8"],
    );
    refused_manifest(
        &host,
        &manifest("bad", "[ports]\nblue = 5000\n"),
        3,
        &["5000", "docker-registry"],
    );
    let other = App::docker(&host, "other", 9322).install();
    refused_manifest(
        &host,
        &manifest("bad", "[ports]\nblue = 9321\ngreen = 9322\n"),
        3,
        &["9322", "other"],
    );
    other.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn health_paths_and_sites_that_cannot_be() {
    let host = lone_host();
    let _alone = alone(&host);
    refused_manifest(
        &host,
        &manifest("bad", "[health]\npath = \"health\"\n"),
        2,
        &["/root/bad.toml:8:8", "/"],
    );
    refused_manifest(
        &host,
        &manifest("bad", "listen = [\"eighty\"]\n"),
        2,
        &["/root/bad.toml:7:", "eighty"],
    );
    let certificate = "certificate = \"/etc/hostname\"\ncertificate_key = \"/etc/hostname\"\nlisten = [\"443\"]\n";
    refused_manifest(&host, &manifest("bad", certificate), 3, &["nginx", "/etc/hostname"]);
    let missing = "certificate = \"/etc/no.pem\"\ncertificate_key = \"/etc/no.pem\"\n";
    refused_manifest(&host, &manifest("bad", missing), 2, &["/etc/no.pem"]);
    host.succeed("nginx -t");
}

#[test]
fn images_that_do_not_exist_and_registries_that_are_down() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "pulled", 9324).install();
    refused(
        &host,
        "bgctl switch pulled --image localhost:5000/bdd-assistant:nowhere",
        3,
        &["localhost:5000/bdd-assistant:nowhere"],
    );
    refused(
        &host,
        "bgctl switch pulled --image localhost:5001/some/app:1",
        3,
        &["localhost:5001"],
    );
    refused(&host, "bgctl switch pulled --exec /bin/true", 2, &["--exec"]);
    let before = everything(&host);
    assert!(
        host.bgctl("switch pulled --image --privileged")
            .expect(2)
            .stderr
            .starts_with("error: ")
    );
    assert_unchanged(&host, &before);
    app.switch("v1");
    host.succeed("systemctl stop docker-registry && docker image rm localhost:5000/bdd-assistant:v3");
    refused(
        &host,
        "bgctl switch pulled --image localhost:5000/bdd-assistant:v3",
        3,
        &["localhost:5000"],
    );
    host.succeed("systemctl start docker-registry");
    host.wait_until("docker pull localhost:5000/bdd-assistant:v3");
    app.is_served_by("v1", "blue");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn etcd_that_is_not_there_or_refuses_the_password() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "shut", 9326).install();
    host.copy_in(
        "/root/nowhere.toml",
        "[store]\nendpoints = [\"http://127.0.0.1:2999\"]\n",
    );
    refused(
        &host,
        "bgctl --config /root/nowhere.toml switch shut --image localhost:5000/bdd-assistant:v1",
        3,
        &["127.0.0.1:2999"],
    );
    host.copy_in(
        "/root/bad.toml",
        &manifest("bad", "[ports]\nblue = 9328\ngreen = 9329\n"),
    );
    refused(
        &host,
        "bgctl --config /root/nowhere.toml install /root/bad.toml",
        3,
        &["127.0.0.1:2999"],
    );

    host.succeed(
        "systemd-run --unit=locked-etcd --property=PrivateTmp=yes etcd --data-dir /tmp/etcd \
         --listen-client-urls http://127.0.0.1:2479 --advertise-client-urls http://127.0.0.1:2479 \
         --listen-peer-urls http://127.0.0.1:2480",
    );
    let etcdctl = "etcdctl --endpoints http://127.0.0.1:2479";
    host.wait_until(&format!("{etcdctl} endpoint health"));
    host.succeed(&format!(
        "{etcdctl} user add root:right && {etcdctl} user grant-role root root && {etcdctl} auth enable"
    ));
    host.copy_in("/root/password", "wr0ng-secret\n");
    host.succeed("chmod 600 /root/password");
    let settings =
        "[store]\nendpoints = [\"http://127.0.0.1:2479\"]\nuser = \"root\"\npassword_file = \"/root/password\"\n";
    host.copy_in("/root/locked.toml", settings);
    refused(
        &host,
        "bgctl --config /root/locked.toml install /root/bad.toml",
        3,
        &["127.0.0.1:2479"],
    );
    let said = host
        .bgctl("-vv --config /root/locked.toml install /root/bad.toml")
        .expect(3);
    assert!(!said.stderr.contains("wr0ng-secret"), "{said:?}");
    host.copy_in("/root/password", "right\n");
    host.bgctl("--config /root/locked.toml install /root/bad.toml")
        .expect(0);
    host.bgctl("--config /root/locked.toml uninstall bad --yes").expect(0);
    host.succeed("systemctl stop locked-etcd");
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn users_other_than_root_and_machines_without_systemd() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "mine", 9330).install();
    host.succeed(&format!(
        "cp {} /tmp/mine.toml && chmod 644 /tmp/mine.toml",
        app.manifest()
    ));
    for command in [
        "install /tmp/mine.toml",
        "switch mine",
        "rollback mine",
        "abort mine",
        "uninstall mine --yes",
    ] {
        refused(&host, &format!("runuser -u nobody -- bgctl {command}"), 3, &["root"]);
    }
    let without = "unshare --mount sh -c 'mount -t tmpfs tmpfs /run/dbus && mount -t tmpfs tmpfs /run/systemd && exec bgctl \"$@\"' sh";
    for command in ["install /tmp/mine.toml", "switch mine", "uninstall mine --yes"] {
        refused(&host, &format!("{without} {command}"), 3, &["systemd"]);
    }
    app.bgctl("uninstall", "--yes").expect(0);
}

#[test]
fn apps_that_are_not_installed() {
    let host = lone_host();
    let _alone = alone(&host);
    for verb in [
        "switch",
        "rollback",
        "abort",
        "status",
        "uninstall --yes",
        "switch --follow",
    ] {
        refused(&host, &format!("bgctl {verb} nobody"), 3, &["nobody", "not installed"]);
    }
}

#[test]
fn release_never_changes_its_meaning() {
    let host = lone_host();
    let _alone = alone(&host);
    let app = App::docker(&host, "fixed", 9332).install();
    app.switch("v1");
    refused(
        &host,
        "bgctl switch fixed --image localhost:5000/bdd-assistant:v2 --release v1",
        3,
        &["v1", "exists"],
    );
    refused(
        &host,
        "bgctl switch fixed --image localhost:5000/bdd-assistant:v2 --release a/b",
        2,
        &["a/b"],
    );
    app.bgctl("uninstall", "--yes").expect(0);
}
