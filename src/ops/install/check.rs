//! What has to hold on a host before an app is installed on it.

use eyre::WrapErr as _;

use super::companions;
use crate::host::connections;
use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{App, Artifact, ByColor, Color, Invalid, Listen, Listening, Port, Runtime, Settings, UnitName};
use crate::ops::Error;
use crate::ops::installed::{self, installed};
use crate::proxy::nginx;
use crate::state::pins;
use crate::state::releases::Releases;

/// What must hold on the host before anything is written; `active` is what the cursor says. Fails with the first that does
/// not.
pub async fn check_host(
    app: &App,
    settings: &Settings,
    layout: &Layout,
    systemd: &Systemd,
    active: Option<Color>,
) -> Result<(), Error> {
    check_files_of(app)?;
    check_control_port(app, settings.nginx.control_port)?;
    check_state_directory(app, layout)?;
    check_other_apps(app, layout)?;
    let old = installed_ports(app, layout);
    check_old_ports(app, old, layout, systemd, active).await?;
    check_runtime(app, layout)?;
    for color in Color::BOTH {
        check_port(app, color, systemd).await?;
    }
    companions::check(app, layout, systemd).await?;
    let instance = UnitName::instance(&app.name, app.ports.blue);
    let template = layout.template_unit(&app.name);
    match systemd.state(&instance).await?.fragment {
        Some(path) if path != template => {
            let message = format!("cannot install {}: {path} is a unit of the same name", app.name);
            Err(Error::refused(message, "give the app another name"))
        }
        _ => Ok(()),
    }
}

/// The files that the manifest names must be there: a missing one is found now and not in the middle of a switch.
fn check_files_of(app: &App) -> Result<(), Error> {
    let run = &app.run;
    let certificate = app.site.certificate.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    let program = match &run.runtime {
        Runtime::Program(program) => Some(&program.path),
        Runtime::Docker(_) => None,
    };
    let pages = app.site.error_page.iter().chain(&app.site.empty_page);
    let named = run
        .env_file
        .iter()
        .chain(pages)
        .chain(run.credentials.values())
        .chain(certificate)
        .chain(program);
    for path in named {
        if !path.try_exists().wrap_err_with(|| format!("cannot look at {path}"))? {
            return Err(Invalid::new(format!("cannot use {path}: there is no such file")).into());
        }
    }
    Ok(())
}

/// The port by which bgctl asks nginx is no instance's, and no site's.
fn check_control_port(app: &App, control_port: Port) -> Result<(), Error> {
    let color = Color::BOTH
        .into_iter()
        .find(|color| app.ports_of(*color).any(|port| port == control_port));
    let listen = app
        .site
        .listen
        .iter()
        .map(|listening| &listening.address)
        .find(|listen| listen.port() == control_port.get());
    let what = match (color, listen) {
        (Some(color), _) => format!("for {color}"),
        (None, Some(listen)) => format!("to listen on {listen}"),
        (None, None) => return Ok(()),
    };
    let message = format!("cannot use port {control_port} {what}: bgctl asks nginx by it");
    Err(Error::refused(
        message,
        "take another one, or set [nginx] control_port in bgctl.toml",
    ))
}

fn check_other_apps(app: &App, layout: &Layout) -> Result<(), Error> {
    for other in installed(layout)?.into_iter().filter(|other| *other != app.name) {
        let other = match installed::app(layout, &other) {
            Ok(other) => other,
            Err(error) => {
                tracing::warn!("the ports of {other} are not known: {error}");
                continue;
            }
        };
        let theirs: Vec<_> = Color::BOTH.iter().flat_map(|color| other.ports_of(*color)).collect();
        for port in Color::BOTH.iter().flat_map(|color| app.ports_of(*color)) {
            if theirs.contains(&port) {
                let message = format!("cannot use port {port} for {}: it belongs to {}", app.name, other.name);
                return Err(Error::refused(message, "give [ports] other numbers"));
            }
        }
        if let Some(address) = differs(&app.site.listen, &other.site.listen) {
            let message = format!(
                "cannot listen on {address}: of {} and {} one has proxy_protocol there, and nginx has it for a whole address",
                app.name, other.name
            );
            return Err(Error::refused(
                message,
                "set [[nginx.listen]] proxy_protocol alike, or another address",
            ));
        }
    }
    Ok(())
}

/// An address that two sites listen on, one of them with the PROXY protocol: clients of the other one would not be understood.
fn differs<'a>(ours: &'a [Listening], theirs: &[Listening]) -> Option<&'a Listen> {
    let is_other = |own: &Listening| {
        let at = |each: &&Listening| each.address == own.address;
        theirs
            .iter()
            .find(at)
            .is_some_and(|other| other.proxy_protocol != own.proxy_protocol)
    };
    ours.iter().find(|own| is_other(own)).map(|own| &own.address)
}

/// The ports of what is installed; those of `app` itself where nothing is, or it cannot be read.
fn installed_ports(app: &App, layout: &Layout) -> ByColor<Port> {
    installed::app(layout, &app.name).map_or(app.ports, |old| old.ports)
}

/// The ports are part of the units' names and of the environment files', so whatever has one keeps it.
async fn check_old_ports(
    app: &App,
    old: ByColor<Port>,
    layout: &Layout,
    systemd: &Systemd,
    active: Option<Color>,
) -> Result<(), Error> {
    let route = nginx::current_route(layout, &app.name)?.unwrap_or_default();
    for color in Color::BOTH {
        let (before, after) = (*old.get(color), *app.ports.get(color));
        if before == after {
            continue;
        }
        let unit = UnitName::instance(&app.name, before);
        let why = if !systemd.active_state(&unit).await?.is_down() {
            format!("{unit} runs")
        } else if systemd.is_enabled(&unit).await? {
            format!("{unit} starts at boot")
        } else if let Some(release) = pins::pinned(layout, &app.name, before)? {
            format!("release {release} is pinned to it")
        } else if active == Some(color) || route.serves(color) {
            format!("{color} is active")
        } else {
            continue;
        };
        let message = format!("cannot move {color} from port {before} to {after}: {why}");
        let hint = format!("uninstall and install it again: bgctl uninstall {}", app.name);
        return Err(Error::refused(message, hint));
    }
    Ok(())
}

/// A template unit runs images or programs. What is pinned is of one of these kinds, and has to start again after a crash.
/// After an uninstall that kept it nothing starts it.
fn check_runtime(app: &App, layout: &Layout) -> Result<(), Error> {
    if !layout.manifest(&app.name).try_exists()? {
        return Ok(());
    }
    for color in Color::BOTH {
        let Some(id) = pins::pinned(layout, &app.name, *app.ports.get(color))? else {
            continue;
        };
        let release = Releases::new(layout, &app.name).read(&id)?;
        let (now, then) = match (&app.run.runtime, &release.artifact) {
            (Runtime::Docker(_), Artifact::Program { .. }) => ("an image", "a program of the host"),
            (Runtime::Program(_), Artifact::Image { .. }) => ("a program of the host", "an image"),
            _ => continue,
        };
        let name = &app.name;
        let message = format!("cannot make {name} run {now} from now on: release {id}, pinned to {color}, is {then}");
        let hint = format!("uninstall and install it again: bgctl uninstall {name} --keep-state");
        return Err(Error::refused(message, hint));
    }
    Ok(())
}

/// systemd moves a folder that is there to `/var/lib/private` and gives all in it to the app's user (systemd.exec(5),
/// `StateDirectory=` with `DynamicUser=`): another program would lose its data.
fn check_state_directory(app: &App, layout: &Layout) -> Result<(), Error> {
    let wanted = matches!(&app.run.runtime, Runtime::Program(program) if program.state_directory);
    let path = layout.below("var/lib").join(app.name.as_str());
    let is_own = || {
        let target = path.read_link_utf8().ok();
        target.is_some_and(|target| target.ends_with(format!("private/{}", app.name)))
    };
    if !wanted || path.symlink_metadata().is_err() || is_own() {
        return Ok(());
    }
    let message = format!("cannot use state_directory: {path} is there, and it is not this app's");
    Err(Error::refused(
        message,
        format!("give the app another name, or move {path} away"),
    ))
}

async fn check_port(app: &App, color: Color, systemd: &Systemd) -> Result<(), Error> {
    let unit = UnitName::instance(&app.name, *app.ports.get(color));
    if !systemd.active_state(&unit).await?.is_down() {
        return Ok(());
    }
    for port in app.ports_of(color) {
        let Some(listener) = connections::listener(port)? else {
            continue;
        };
        let who = listener
            .process
            .map_or("a process".to_owned(), |(pid, name)| format!("{name} (process {pid})"));
        let message = format!(
            "cannot use port {port} for {color}: {who} listens on {}",
            listener.address
        );
        return Err(Error::refused(
            message,
            format!("stop it, or give {color} another number in [ports]"),
        ));
    }
    Ok(())
}
