//! Text from values: the template unit, the nginx site, the environment file. Escaping belongs to the file type.

use camino::Utf8Path;

use crate::model::{App, Color, Release, ReleaseId};

pub mod seal;

/// The template unit of an app, `APP@.service`, sealed. `bgctl` and `docker` are the programs it calls.
///
/// Fails where a value of the app cannot stand in a unit file.
pub fn unit(app: &App, bgctl: &Utf8Path, docker: &Utf8Path) -> eyre::Result<String> {
    Err(eyre::eyre!("cannot render the unit of {}: {bgctl}, {docker}", app.name))
}

/// The nginx site of an app, sealed. `state` is the app's folder of state (`/var/lib/bgctl/APP`), `socket` the unix
/// socket of its second look (`/run/bgctl/APP.sock`).
///
/// Fails where a value of the app cannot stand in an nginx configuration.
pub fn site(app: &App, state: &Utf8Path, socket: &Utf8Path) -> eyre::Result<String> {
    Err(eyre::eyre!("cannot render the site of {}: {state}, {socket}", app.name))
}

/// The environment file of the instance of `color`, with what makes it run `release`: `PORT.env`.
///
/// Fails where a value cannot be handed through systemd.
pub fn environment(app: &App, color: Color, release: &Release) -> eyre::Result<String> {
    Err(eyre::eyre!(
        "cannot render the environment of {} {color}: {}",
        app.name,
        release.id
    ))
}

/// The release that an environment file pins: reads its first line, as [`environment`] writes it.
pub fn pinned_release(text: &str) -> Option<ReleaseId> {
    let value = text.lines().next()?.strip_prefix("BGCTL_RELEASE=")?;
    ReleaseId::parse(value.trim_matches('"')).ok()
}

/// The files that every host needs once, whatever apps it has: path below `/` and contents, sealed with
/// [`seal::seal_support`]. `bgctl` is the program that they call.
pub fn support(bgctl: &Utf8Path) -> [(&'static str, String); 2] {
    let _ = bgctl;
    [
        ("etc/systemd/system/bgctl-switch@.service", String::new()),
        ("etc/systemd/system/nginx.service.d/bgctl.conf", String::new()),
    ]
}
