//! Apps as they are: what works with a unit, a container and a `proxy_pass` written by hand works through bgctl.

mod asked;
mod environment;
mod images;
mod listens;
mod ports;
mod programs;
mod releases;

use crate::app::App;
use crate::host::Host;

/// The server that the tests of this folder run, in the host.
const SERVER: &str = "/opt/apps/server";

/// Puts the server on the host's disk, for the app `name`; another test may run it just now.
fn copy_server(host: &Host, name: &str) {
    let new = format!("{SERVER}.{name}");
    host.copy_in(&new, include_str!("apps/server"));
    host.succeed(&format!("chmod 755 {new} && mv {new} {SERVER}"));
}

/// The server as a program, on this port and the next.
fn program<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    copy_server(host, name);
    App::program(host, name, port).set("run.exec", SERVER)
}

/// The image of the server.
const IMAGE: &str = "apps:plain";

/// The server as a container, on this port and the next, on the host's engine.
fn container<'h>(host: &'h Host, name: &str, port: u16) -> App<'h> {
    copy_server(host, name);
    let make = format!(
        "docker image inspect {IMAGE} >/dev/null 2>&1 || tar -ch -C / --hard-dereference \
         $(ldd /bin/sh /usr/bin/perl | grep -o '/[^ :]*[^ :]' | sort -u | sed s,^/,,) \
         usr/lib/$(uname -m)-linux-gnu/perl-base -C $(dirname {SERVER}) server | \
         docker import --change 'ENTRYPOINT [\"/server\"]' - {IMAGE}"
    );
    host.copy_in("/opt/apps/make-image", &make);
    host.succeed("flock /opt/apps sh -e /opt/apps/make-image");
    App::docker(host, name, port).set("run.image", IMAGE)
}
