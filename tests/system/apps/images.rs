//! What an image says of itself.

use super::{IMAGE, container};
use crate::app::App;
use crate::host::Host;

/// The server as a container of an image with more instructions.
fn built<'h>(host: &'h Host, name: &str, port: u16, instructions: &str) -> App<'h> {
    let app = container(host, name, port);
    let image = format!("apps:{name}");
    host.copy_in(
        &format!("/root/{name}.dockerfile"),
        &format!("FROM {IMAGE}\n{instructions}\n"),
    );
    host.succeed(&format!("docker build -q -t {image} - </root/{name}.dockerfile"));
    app.set("run.image", image)
}

#[test]
fn image_checks_itself() {
    let host = Host::with_images();
    // The engine would ask only once an hour.
    let check = "HEALTHCHECK --interval=1h CMD test \"$BGCTL_RELEASE\" != sick || { echo; echo sick today; exit 3; }";
    let app = built(&host, "selfish", 9838, check)
        .without("health.path")
        .set("health.image", true)
        .set("bake.duration", "1s")
        .install();
    app.bgctl("switch", "--release c1").expect(0);
    app.is_served_by("c1", "blue");
    let failed = app.bgctl("switch", "--release sick").expect(1);
    assert!(
        failed.error().contains("its HEALTHCHECK exited with 3: sick today"),
        "{failed:?}"
    );
    app.is_served_by("c1", "blue");
    let refused = app.bgctl("switch", &format!("--image {IMAGE} --release c2"));
    assert_ne!(refused.status, 0);
    assert!(
        refused.error().starts_with("cannot leave the health check to sha256:")
            && refused.error().ends_with("it has no HEALTHCHECK"),
        "{refused:?}"
    );
    app.is_served_by("c1", "blue");
}

#[test]
fn image_runs_and_ends_as_it_says() {
    let host = Host::with_images();
    let instructions =
        "USER 1234\nEXPOSE 3000\nSTOPSIGNAL SIGINT\nENV STUBBORN=1\nENTRYPOINT [\"/bin/sh\", \"-c\", \"exec /server\"]";
    let app = built(&host, "proper", 9840, instructions)
        .set("run.docker_options", vec!["--read-only"])
        .set("run.stop_timeout", "25s")
        .install();
    app.bgctl("switch", "--release c1").expect(0);
    app.is_served_by("c1", "blue");
    assert_eq!(app.get("/user").body, "user 1234\n");
    assert_eq!(app.get("/write").body, "Read-only file system\n");
    app.bgctl("switch", "--release c2").expect(0);
    app.is_served_by("c2", "green");
    let log = host.succeed("journalctl -q -u proper@9840 --output=cat");
    assert!(log.contains("stopped by SIGINT"), "{log}");
    assert_eq!(host.run("systemctl is-failed proper@9840").stdout.trim(), "inactive");
}
