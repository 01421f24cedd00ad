//! The engine as it behaves: it is restarted, its clients are killed, and people clean up its images.

use crate::app::App;
use crate::host::Host;

/// A host of its own: what is done to its engine, all its containers notice.
fn host(name: &str) -> Host {
    let host = Host::boot(name);
    host.push_images();
    host.succeed(
        "mkdir -p /etc/docker && echo '{\"live-restore\": true}' >/etc/docker/daemon.json && systemctl restart docker",
    );
    host
}

fn container(app: &App<'_>, color: &str) -> String {
    let name = format!("{}-{}", app.name(), app.port(color));
    app.host()
        .succeed(&format!("docker inspect --format '{{{{.Id}}}}' {name}"))
}

fn wait_for_restarts(app: &App<'_>, color: &str, count: u32) {
    let unit = app.unit(color);
    let host = app.host();
    host.wait_until(&format!("test \"$(systemctl show -P NRestarts {unit})\" -ge {count}"));
    host.wait_for_unit(&unit);
}

#[test]
fn container_outlives_its_engine_and_its_client_and_is_taken_over() {
    let host = host("engine");
    host.succeed("echo a-credential >/root/engine.credential");
    let app = App::docker(&host, "outlives", 9580)
        .set("run.credentials.key", "/root/engine.credential")
        .install();
    app.switch("v1");
    let first = container(&app, "blue");

    // That requests fail while the engine itself, which forwards the port, is down is so for any container.
    host.succeed("systemctl restart docker");
    wait_for_restarts(&app, "blue", 1);
    assert_eq!(container(&app, "blue"), first, "after a restart of the engine");
    let restarts: u32 = host
        .succeed("systemctl show -P NRestarts outlives@9580")
        .parse()
        .unwrap();
    host.succeed("kill -KILL $(systemctl show -P MainPID outlives@9580)");
    wait_for_restarts(&app, "blue", restarts + 1);
    assert_eq!(container(&app, "blue"), first, "after its client was killed");
    host.succeed("systemctl restart systemd-journald");
    assert_eq!(container(&app, "blue"), first, "after a restart of the journal");
    app.is_served_by("v1", "blue");
    // Its credentials are where they were, its log is in the journal still, and a stop ends it.
    let pid = "$(docker inspect outlives-9580 --format '{{.State.Pid}}')";
    assert_eq!(
        host.succeed(&format!("cat /proc/{pid}/root/run/credentials/key")),
        "a-credential"
    );
    host.succeed("systemctl restart outlives@9580");
    assert_ne!(container(&app, "blue"), first, "after a restart of its unit");
    assert!(
        host.succeed("journalctl -q -u outlives@9580 --output=cat")
            .contains("stopping: no new connections")
    );

    app.switch("v2");
    app.is_served_by("v2", "green");
    assert_eq!(host.run("docker ps -aq --filter name=^/outlives-9580$").stdout, "");
    // Another release of the same name in the same color is not taken over.
    host.succeed("docker run -d --name outlives-9580 --label bgctl.release=v1 localhost:5000/bdd-assistant:v1");
    app.switch("v3");
    app.is_served_by("v3", "blue");
}

#[test]
fn images_of_releases_on_record_outlive_a_cleanup_or_are_fetched_again() {
    let host = host("cleanup");
    let app = App::docker(&host, "kept", 9582).install();
    let build = |release: &str| {
        let file = format!("FROM localhost:5000/bdd-assistant:v1\\nENV RELEASE={release}\\n");
        host.succeed(&format!("printf '{file}' | docker build -q -t built-here:latest -"));
        app.bgctl("switch", &format!("--image built-here:latest --release {release}"))
            .expect(0);
    };
    build("b1");
    build("b2");
    host.succeed("docker image prune --force");
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("b1", "blue");

    // Of one that a registry has nothing is left on the host, and it crashes.
    app.switch("v2");
    let image = host.succeed("docker inspect --format '{{.Config.Image}}' kept-9583");
    host.wait_until("docker images -q --filter reference='bgctl/kept:v2' | grep -q .");
    host.succeed("docker stop -t 0 kept-9583; systemctl stop kept@9583; docker rmi --force $(docker images -q --filter reference='bgctl/kept:v2')");
    let status = app.bgctl("status", "").expect(0);
    assert!(
        status
            .stderr
            .contains(&format!("its image {image} is not on this host")),
        "{status:?}"
    );
    assert!(status.stderr.contains(&format!("docker pull {image}")), "{status:?}");
    host.succeed("systemctl start kept@9583");
    app.is_served_by("v2", "green");
    host.bgctl("uninstall kept --yes").expect(0);
    assert_eq!(host.run("docker images -q --filter reference='bgctl/kept'").stdout, "");
}

#[test]
fn container_that_does_not_end_is_named_and_not_taken_for_stopped() {
    let host = host("undead");
    let app = App::docker(&host, "undead", 9584)
        .set("run.stop_timeout", "1s")
        .install();
    app.switch("v1");
    let shim = host.succeed("pgrep -f \"[c]ontainerd-shim.*$(docker inspect --format '{{.Id}}' undead-9584)\"");
    host.succeed(&format!("kill -STOP {shim}"));
    let switch = app.bgctl("switch", &app.release("v2"));
    assert!(
        switch.stderr.contains("its container undead-9584 still runs"),
        "{switch:?}"
    );
    assert_eq!(app.get("/").header("x-release"), "v2");
    host.succeed(&format!("kill -CONT {shim}"));
    app.bgctl("resume", "").expect(0);
    app.is_served_by("v2", "green");
}
