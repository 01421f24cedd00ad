//! Text from values: the template unit, the nginx site, the environment file. Escaping belongs to the file type.
//!
//! `templates/` holds one file for each struct in here; `units/` holds what is shipped as it is.

mod companion;
mod environment;
pub mod escape;
mod place;
pub mod seal;
mod site;
mod support;
mod unit;

use askama::Template;
use camino::Utf8Path;
use eyre::WrapErr as _;

use crate::model::{App, Color, Companion, DockerSettings, Invalid, Port, Release, Replica, check_path};

pub use site::{Keys, SiteHost, version as site_version};
pub use support::switch_unit;

/// The template unit of an app, `APP@.service`, sealed. `bgctl` is the program that checks the health, `docker` the
/// client and engine of a container.
///
/// Fails where a value of the app cannot stand in a unit file.
pub fn unit(app: &App, bgctl: &Utf8Path, docker: &DockerSettings) -> eyre::Result<String> {
    let unit = unit::Unit::new(app, bgctl, docker)?;
    let text = unit
        .render()
        .wrap_err_with(|| format!("cannot render the unit of {}", app.name))?;
    Ok(seal::seal(&app.name, &text))
}

/// The template unit of a companion, `APP_NAME@.service`, sealed; as [`unit`].
pub fn companion_unit(
    app: &App,
    companion: &Companion,
    bgctl: &Utf8Path,
    docker: &DockerSettings,
) -> eyre::Result<String> {
    let unit = unit::Unit::of_companion(app, companion, bgctl, docker)?;
    let text = unit
        .render()
        .wrap_err_with(|| format!("cannot render the unit of companion {} of {}", companion.name, app.name))?;
    Ok(seal::seal(&app.name, &text))
}

/// The nginx site of an app, sealed.
///
/// Errors where a value of the app cannot stand in an nginx configuration.
pub fn site(app: &App, host: &SiteHost<'_>) -> eyre::Result<String> {
    let site = site::Site::new(app, host)?;
    let text = site
        .text()
        .wrap_err_with(|| format!("cannot render the nginx site of {}", app.name))?;
    Ok(seal::seal(&app.name, &text))
}

/// What the nginx sites of all apps share, sealed: it has to be read before them.
pub fn shared_site(control_port: Port, keys: Keys<'_>) -> eyre::Result<String> {
    let text = site::Shared { control_port, keys }
        .render()
        .wrap_err("cannot render what the nginx sites share")?;
    // askama takes the newline at the end of a template away.
    Ok(seal::seal_support(&(text + "\n")))
}

/// The environment file of the unit of `color`, with what makes it run `release`: `PORT.env`. May hold secrets.
///
/// Errors where a value cannot be handed through systemd, or where the unit runs another kind of thing.
pub fn environment(app: &App, color: Color, release: &Release) -> eyre::Result<String> {
    let fail = || format!("cannot render the environment of release {}", release.id);
    let environment = environment::Environment::new(app, color, release).wrap_err_with(fail)?;
    // askama takes the newline at the end of a template away.
    Ok(environment.render().wrap_err_with(fail)? + "\n")
}

/// The environment file of the unit of a companion's replica in `color`, with what makes it run as `release` has it:
/// `companions/NAME@COLOR-NUMBER.env`, without its sum. May hold secrets. Errors as [`environment`] does, and where the release has no
/// such companion.
pub fn companion_environment(app: &App, color: Color, release: &Release, replica: &Replica) -> eyre::Result<String> {
    let fail = || format!("cannot render the environment of {replica} of release {}", release.id);
    let environment = companion::Environment::new(app, color, release, replica).wrap_err_with(fail)?;
    // askama takes the newline at the end of a template away.
    Ok(environment.render().wrap_err_with(fail)? + "\n")
}

/// The environment file of the containers of `release`: `releases/RELEASE.container-env`. `None` where they need none, or where
/// it is no image. May hold secrets.
///
/// Errors where a value cannot be handed through docker.
pub fn container_environment(release: &Release) -> eyre::Result<Option<String>> {
    let fail = || format!("cannot render the environment of release {}", release.id);
    let environment = environment::ContainerEnvironment::new(release).wrap_err_with(fail)?;
    let text = environment.map(|environment| environment.render()).transpose();
    Ok(text.wrap_err_with(fail)?.map(|text| text + "\n"))
}

/// The text of a path for a unit or a site; fails with [`Invalid`] where it needs quoting there.
fn path<'a>(what: &str, path: &'a Utf8Path) -> Result<&'a str, Invalid> {
    check_path(what, path.as_str()).map(|()| path.as_str())
}

/// The name itself where it has at most `max` bytes, else its start and a hash of the whole, `max` bytes together.
fn short(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    let hash = seal::hex(name).chars().take(8).collect::<String>();
    let start: String = name.chars().take(max.saturating_sub(hash.len() + 1)).collect();
    format!("{start}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_stay_different() {
        assert_eq!(short("bg-shop", 7), "bg-shop");
        let [a, b] = ["a", "b"].map(|end| short(&format!("bg-{}{end}", "x".repeat(39)), 31));
        assert_eq!((a.len(), b.len()), (31, 31));
        assert_ne!(a, b);
    }
}
