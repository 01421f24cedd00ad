//! The docker runtime: names, signals, images, secrets.

use crate::app::{App, IMAGE};
use crate::host::Host;
use crate::load::wait_for_release;

#[test]
fn stale_container_of_the_same_name_is_in_nobodys_way() {
    let host = Host::with_images();
    let app = App::docker(&host, "stale", 9180).install();
    host.succeed("docker run -d --name stale-9180 -p 127.0.0.1:9180:8080 localhost:5000/bdd-assistant:v3");
    let stale = host.succeed("docker inspect --format '{{.Id}}' stale-9180");
    // The port is taken by it, so install would refuse; it was installed before.
    app.switch("v1");
    app.is_served_by("v1", "blue");
    assert_ne!(host.succeed("docker inspect --format '{{.Id}}' stale-9180"), stale);
}

#[test]
fn port_that_docker_keeps_for_nobody_is_told_with_the_way_out() {
    let host = Host::with_images();
    let app = App::docker(&host, "kept", 9192).install();
    app.switch("v1");
    // Nobody listens, and Docker thinks that somebody does.
    host.succeed("docker run -d --name keeper -p 127.0.0.1:9193:8080 localhost:5000/bdd-assistant:v3");
    host.succeed("pkill -f '[d]ocker-proxy .*-host-port 9193 '");
    host.wait_until("! ss -Hltn 'sport = :9193' | grep .");
    let failed = app.bgctl("switch", &app.release("v2")).expect(1);
    for told in [
        "port is already allocated",
        "docker ps --filter publish=9193",
        "systemctl restart docker",
    ] {
        assert!(failed.stderr.contains(told), "{told}: {failed:?}");
    }
    host.succeed("docker rm -f keeper");
    app.switch("v2");
    app.is_served_by("v2", "green");
}

#[test]
fn container_is_stopped_by_sigterm_and_ends_with_0() {
    let host = Host::with_images();
    let app = App::docker(&host, "term", 9182).install();
    app.switch("v1");
    host.succeed("timeout 60 docker events --filter container=term-9182 --filter event=die --format '{{.Actor.Attributes.exitCode}}' \
                  >/root/term.events 2>&1 & sleep 0.2");
    app.switch("v2");
    let log = host.succeed("journalctl -q -u term@9182 --output=cat");
    assert!(log.contains("stopping: no new connections"), "{log}");
    host.wait_until("test -s /root/term.events");
    assert_eq!(host.succeed("cat /root/term.events"), "0");
    assert_eq!(host.run("docker ps -aq --filter name=^/term-9182$").stdout, "", "--rm");
}

#[test]
fn container_that_dies_is_restarted_and_health_gated() {
    let host = Host::with_images();
    let app = App::docker(&host, "again", 9184).install();
    app.switch("v1");
    app.is_restarted_after("docker kill again-9184", "blue");
    wait_for_release(&app, "v1");
    app.is_served_by("v1", "blue");
    assert!(host.succeed("systemctl status again@9184").contains("v1"));
}

#[test]
fn image_that_no_registry_has_is_pinned_by_its_id() {
    let host = Host::with_images();
    let app = App::docker(&host, "local", 9186).install();
    let change = "--change 'ENTRYPOINT [\"/bdd-assistant\"]'";
    let id = host.succeed(&format!(
        "cd /vagrant/target/*-linux-gnu/release && tar -c bdd-assistant | docker import {change} - imported:1"
    ));
    app.bgctl("switch", "--image imported:1 --release i1").expect(0);
    app.is_served_by("i1", "blue");
    assert_eq!(host.succeed("docker inspect --format '{{.Image}}' local-9186"), id);
    // The name moves on, the release does not.
    host.succeed("docker tag localhost:5000/bdd-assistant:v2 imported:1");
    host.succeed("systemctl restart local@9186");
    assert_eq!(host.succeed("docker inspect --format '{{.Image}}' local-9186"), id);
}

#[test]
fn variables_of_a_container_reach_the_container_alone() {
    let host = Host::with_images();
    let longest = "x".repeat((64 << 10) - "LONG=".len() - 1);
    let set = [
        ("DOCKER_HOST", "tcp://nowhere:1"),
        ("DOCKER_CONTEXT", "nothing"),
        ("HOME", "/nowhere"),
        ("LD_PRELOAD", "/nowhere.so"),
        ("LONG", &longest),
        ("MAINPID", "1"),
        ("NOTIFY_SOCKET", "/run/nobody"),
        ("PATH", "/app"),
        ("TOKEN", "  a b  $HOME ${PATH} %i \"q\" 'r' `id` \\ # end "),
    ];
    let mut app = App::docker(&host, "inside", 9476);
    for (name, value) in set {
        app = app.set(&format!("run.env.{name}"), value);
    }
    let app = app.install();
    app.switch("v1");
    app.is_served_by("v1", "blue");
    let inside = "docker inspect inside-9476 --format '{{json .Config.Env}}'";
    let inside: Vec<String> = serde_json::from_str(&host.succeed(inside)).unwrap();
    for (name, value) in set {
        assert!(inside.contains(&format!("{name}={value}")), "{name}: {inside:?}");
    }
    for line in ["PORT=8080", "BGCTL_PORT=9476", "BGCTL_COLOR=blue", "BGCTL_RELEASE=v1"] {
        assert!(inside.contains(&line.to_owned()), "{line}: {inside:?}");
    }
    let client = host.succeed("cat /proc/$(systemctl show -P MainPID inside@9476)/environ | tr '\\0' '\\n'");
    assert!(!client.contains("nowhere") && !client.contains("TOKEN"), "{client}");

    let app = app.set("run.env.LONG", format!("{longest}x"));
    let refused = app.try_install().expect(2);
    assert!(
        refused
            .error()
            .starts_with("cannot set LONG in the environment: it is longer than 64 KiB"),
        "{refused:?}"
    );
    app.is_served_by("v1", "blue");
}

#[test]
fn secret_is_in_no_command_line_log_store_or_error() {
    let host = Host::with_images();
    let (one, two, three) = ("s3cret-of-env", "s3cret-of-file", "s3cret-of-credential");
    host.copy_in("/root/secret.env", &format!("# a comment\nFROM_FILE=\"{two}\"\n"));
    host.copy_in("/root/secret.credential", three);
    host.succeed("chmod 600 /root/secret.*");
    let app = App::docker(&host, "secret", 9188)
        .set("run.env.FROM_ENV", one)
        .set("run.env_file", "/root/secret.env")
        .set("run.credentials.key", "/root/secret.credential")
        .set("health.deadline", "6s")
        .install();
    // Every command line that there is while it switches.
    let watch = host.spawn(
        "timeout 60 sh -c 'until test -e /root/secret.done; do sleep 0.02; cat /proc/[0-9]*/cmdline 2>/dev/null | tr \"\\0\" \" \"; done >/root/secret.seen'",
    );
    let mut said = String::new();
    for output in [
        app.bgctl("switch", &format!("-vv {}", app.release("v1"))).expect(0),
        app.bgctl("switch", &format!("-vv {} --json", app.release("unhealthy")))
            .expect(1),
        app.bgctl("status", "--json -vv").expect(0),
        host.bgctl(&format!("install {} --dry-run", app.manifest())),
    ] {
        said += &(output.stdout + &output.stderr);
    }
    host.succeed("touch /root/secret.done");
    Host::wait(watch).expect(0);
    let is_there = |command: &str| host.run(&format!("{command} | grep -a 's3cret-of-'")).stdout;
    let inside = "docker inspect secret-9188 --format '{{json .Config.Env}}'";
    assert!(
        is_there(inside).contains(one) && is_there(inside).contains(two),
        "the app itself gets them"
    );
    let pid = "$(docker inspect secret-9188 --format '{{.State.Pid}}')";
    assert_eq!(
        host.succeed(&format!("cat /proc/{pid}/root/run/credentials/key")),
        three
    );

    assert_ne!(host.succeed("wc -c </root/secret.seen"), "0");
    for command in [
        "cat /root/secret.seen",
        "journalctl -q --all",
        "etcdctl get --prefix /",
        "docker inspect secret-9188 --format '{{json .Config.Cmd}} {{json .Args}} {{json .Config.Labels}}'",
        "systemctl show 'secret@*'",
        "cat /etc/systemd/system/secret@.service /etc/nginx/*/secret.conf /var/lib/bgctl/secret/switches/*",
        "find /etc/bgctl/apps /var/lib/bgctl -perm /077 -type f -exec cat {} +",
        "runuser -u nobody -- sh -c 'grep -r . /var/lib/bgctl /etc/bgctl /run/systemd/system 2>/dev/null'",
    ] {
        assert_eq!(is_there(command), "", "{command}");
    }
    assert!(!said.contains("s3cret-of-"), "{said}");
}

/// With the containerd image store, Docker 29's default, an image that was built here looks like one of a registry. Docker 20.10 has
/// no such store, and passes over the setting.
#[test]
fn image_that_was_built_here_is_deployed_and_rolled_back_to_with_any_image_store() {
    // What containerd lays over each other cannot lie on layers itself.
    let host = Host::boot_with("image-store", &["--volume", "/var/lib/containerd"]);
    let settings = r#"{"features": {"containerd-snapshotter": true}}"#;
    host.copy_in("/etc/docker/daemon.json", settings);
    host.succeed("systemctl restart docker && sh /vagrant/vagrant/push-release v1");
    let build = |release: &str| {
        let file = format!("FROM {IMAGE}:v1\\nENV BUILD={release}\\n");
        host.succeed(&format!("printf '{file}' | docker build -q -t only-here:1 -"));
    };
    let app = App::docker(&host, "built", 9820)
        .set("run.image", "only-here:1")
        .set("run.pull", "missing")
        .install();
    // The image that runs, by what was built into it.
    let runs = || {
        let env = "docker inspect --format '{{json .Config.Env}}' $(docker ps --quiet --filter name=built-)";
        let env: Vec<String> = serde_json::from_str(&host.succeed(env)).unwrap();
        let build = env.iter().find_map(|line| line.strip_prefix("BUILD="));
        build.unwrap_or("v1").to_owned()
    };
    for release in ["one", "two"] {
        build(release);
        app.bgctl("switch", &format!("--release {release}")).expect(0);
        assert_eq!(runs(), release);
    }
    host.succeed("docker image prune --force");
    app.bgctl("rollback", "").expect(0);
    assert_eq!(runs(), "one");
    app.is_served_by("one", "blue");
    // One that was pulled needs no registry any more, also when its tag has moved.
    let app = app
        .without("run.pull")
        .set("run.image", format!("{IMAGE}:v1"))
        .install();
    app.bgctl("switch", "--release three").expect(0);
    host.succeed(&format!(
        "docker tag only-here:1 {IMAGE}:v1 && systemctl stop docker-registry"
    ));
    let unit = app.unit("green");
    host.succeed(&format!(
        "docker rm --force $(docker ps -q --filter name=built-) && systemctl restart {unit}"
    ));
    assert_eq!(runs(), "v1");
    let app = app.set("run.pull", "missing").install();
    app.bgctl("switch", "--release four").expect(0);
    assert_eq!(runs(), "two", "as it is tagged here");
    let gone = app.bgctl("switch", &format!("--image {IMAGE}:gone")).expect(3);
    assert!(gone.error().contains("cannot be reached"), "{gone:?}");
}
