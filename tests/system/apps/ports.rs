//! Ports beside the one that nginx knows.

use super::{container, program};
use crate::host::Host;

#[test]
fn second_port_of_a_program_is_its_colors_own() {
    let host = Host::with_programs();
    let app = program(&host, "gauged", 9812)
        .set("ports.extra.metrics.blue", 9814)
        .set("ports.extra.metrics.green", 9815)
        .set("run.env.METRICS", "{port.metrics}")
        .set("run.env.WHO", "{app} {release} {color} {port} {other}")
        .install();
    for (release, color, port) in [("p1", "blue", 9814), ("p2", "green", 9815)] {
        app.switch(release);
        app.is_served_by(release, color);
        let answer = host.succeed(&format!("curl -s http://127.0.0.1:{port}/port"));
        assert_eq!(answer, format!("at port {port}"));
        let who = format!("gauged {release} {color} {} {{other}}", app.port(color));
        assert_eq!(app.get("/env/WHO").body, who);
        assert_eq!(app.get("/env/BGCTL_PORT_METRICS").body, port.to_string());
    }
    let taken = program(&host, "gauged2", 9815).try_install().expect(3);
    assert!(
        taken
            .error()
            .contains("cannot use port 9815 for gauged2: it belongs to gauged"),
        "{taken:?}"
    );
}

#[test]
fn second_port_of_a_container_is_its_colors_own() {
    let host = Host::with_images();
    let fixed = container(&host, "fixed", 9816).set("run.docker_options", vec!["--publish=9090:9090"]);
    let refused = fixed.try_install().expect(2);
    for told in [
        "\"--publish=9090:9090\"",
        "the second one never start",
        "--publish=127.0.0.1:{port.metrics}:9090",
    ] {
        assert!(refused.stderr.contains(told), "{told}: {refused:?}");
    }
    let app = fixed
        .set("ports.extra.metrics.blue", 9818)
        .set("ports.extra.metrics.green", 9819)
        .set("run.env.METRICS", "9090")
        .set("run.env.WHERE", "{color}:{port.metrics}")
        .set(
            "run.docker_options",
            vec!["--publish=127.0.0.1:{port.metrics}:9090", "--label=color={color}"],
        )
        .install();
    for (release, color, port) in [("c1", "blue", 9818), ("c2", "green", 9819)] {
        app.bgctl("switch", &format!("--release {release}")).expect(0);
        app.is_served_by(release, color);
        let answer = host.succeed(&format!("curl -s http://127.0.0.1:{port}/port"));
        assert_eq!(answer, "at port 9090");
        assert_eq!(app.get("/env/WHERE").body, format!("{color}:{port}"));
        let label = format!(
            "docker inspect fixed-{} --format '{{{{.Config.Labels.color}}}}'",
            app.port(color)
        );
        assert_eq!(host.succeed(&label), color);
    }
}

#[test]
fn container_may_have_the_network_of_the_host() {
    let host = Host::with_images();
    let app = container(&host, "hosted", 9820).set("run.docker_options", vec!["--network=host"]);
    let refused = app.try_install().expect(2);
    assert!(
        refused
            .error()
            .starts_with("cannot use container_port with --network=host"),
        "{refused:?}"
    );
    let app = app.without("run.container_port").install();
    app.bgctl("switch", "--release c1").expect(0);
    app.bgctl("switch", "--release c2").expect(0);
    app.is_served_by("c2", "green");
    assert_eq!(app.get("/port").body, "at port 9821\n");
    app.bgctl("rollback", "").expect(0);
    app.is_served_by("c1", "blue");
}
