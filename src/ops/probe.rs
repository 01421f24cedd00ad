//! The health gate in `APP@PORT.service`.

use std::time::Instant;

use eyre::WrapErr as _;
use rustix::process::Pid;

use crate::host::connections;
use crate::host::probe::Healthy;
use crate::host::{process, program, tell};
use crate::model::{AppName, Color, HealthCheck, Hinted, Port};
use crate::proxy::nginx;
use crate::state::pins;
use crate::state::releases::Releases;

use super::Error;
use super::context::Context;
use super::instance::Instance;

/// Whom the probe is about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The app.
    pub app: &'a AppName,
    /// The port of its instance.
    pub port: Port,
}

/// What a probe found.
#[derive(Debug)]
pub enum Probed {
    /// The instance is healthy; what a person should know all the same.
    Healthy(Healthy, Option<String>),
    /// It is not, and is left running since it is active.
    LeftRunning(eyre::Report),
    /// It is not.
    Unhealthy(eyre::Report),
}

/// Waits until the instance is healthy, telling systemd what the last try said. Errors where its health check cannot be read.
pub async fn run(context: &Context, asked: &Asked<'_>) -> Result<Probed, Error> {
    // systemd runs this as soon as it has started the instance.
    let began = Instant::now();
    let health = health(context, asked)?;
    let wait = async {
        let instance = instance(asked, &health).await;
        match instance.wait(&health, began, tell).await {
            Ok(healthy) => require_own(asked, &instance).map(|()| healthy),
            Err(error) => Err(with_place(error, instance.elsewhere(main_process().map(id)))),
        }
    };
    tokio::select! {
        waited = wait => match waited {
            Ok(healthy) => Ok(Probed::Healthy(healthy, other_program())),
            // To end it would turn a slow start, or a database that is away for a while, into an outage.
            Err(error) if is_active(context, asked)? => Ok(Probed::LeftRunning(error)),
            Err(error) => Ok(Probed::Unhealthy(error)),
        },
        ended = main_process_ended() => {
            let Asked { app, port } = asked;
            let error = || eyre::eyre!("{app} on port {port} ended before it was healthy");
            Ok(Probed::Unhealthy(ended.err().unwrap_or_else(error)))
        }
    }
}

/// Whether the instance that is asked about is the color that nginx sends requests to. Returns `false` outside of
/// its unit: run by hand, the probe says what it found.
fn is_active(context: &Context, asked: &Asked<'_>) -> Result<bool, Error> {
    let Ok(color) = std::env::var("BGCTL_COLOR") else {
        return Ok(false);
    };
    let color = Color::parse_or_none(&color).map_err(eyre::Report::from)?;
    let route = nginx::current_route(&context.layout, asked.app)?.unwrap_or_default();
    Ok(color.is_some_and(|color| route.serves(color)))
}

/// What is asked. Where it is a container, and this is its unit, that runs when this returns: Docker's proxy accepts connections
/// before the container's network is up, and who comes so early makes the host ask for an address that nobody has yet, and it
/// asks again only after a second (`retrans_time_ms` of arp(7)).
async fn instance(asked: &Asked<'_>, health: &HealthCheck) -> Instance {
    let (Ok(_), Ok(host)) = (std::env::var("BGCTL_IMAGE"), std::env::var("DOCKER_HOST")) else {
        return Instance::on(asked.port);
    };
    let socket = host.strip_prefix("unix://").unwrap_or(&host);
    let inside = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(asked.port);
    let found = Instance::in_container(socket.into(), asked.app, asked.port, inside);
    match tokio::time::timeout(health.deadline, found).await {
        Ok(Ok(instance)) => instance,
        Ok(Err(error)) => {
            tracing::debug!("{error:#}; its port is asked all the same");
            Instance::on(asked.port)
        }
        Err(_) => Instance::on(asked.port),
    }
}

/// The error of a check with where the instance listens in the place of its port, which more time would not mend.
fn with_place(error: eyre::Report, place: Option<String>) -> eyre::Report {
    let Some(place) = place else { return error };
    let said = format!("{error:#}; {place}");
    Hinted::new(said, "see the instance's log").into()
}

/// Errors if another process than this unit's answered: it may have taken the port meanwhile, and nginx would
/// send requests there. A container's port is Docker's, which does not start it without, unless it has the host's network.
fn require_own(asked: &Asked<'_>, instance: &Instance) -> eyre::Result<()> {
    let main = match std::env::var("BGCTL_IMAGE") {
        Ok(_) => instance.process_on_host(),
        Err(_) => main_process().map(id),
    };
    let Some(main) = main else { return Ok(()) };
    match connections::other_listener(asked.port, main) {
        Ok(None) => Ok(()),
        Ok(Some((process, name))) => {
            let Asked { app, port } = asked;
            let message = format!("cannot start {app} on port {port}: {name} (process {process}) answers there");
            Err(Hinted::new(message, format!("stop what is not {app}: systemctl status {process}")).into())
        }
        // What confines the unit may hide it.
        Err(error) => {
            tracing::debug!("{error:#}; it is taken for the instance's own");
            Ok(())
        }
    }
}

/// A warning where the program was changed since its release was made. The instance is left running all the same: users wait for it.
fn other_program() -> Option<String> {
    let (path, json) = (
        std::env::var("BGCTL_PROGRAM").ok()?,
        std::env::var("BGCTL_PROGRAM_FILE").ok()?,
    );
    let file = serde_json::from_str(&json).ok()?;
    let is_changed = program::is_changed(path.as_str().into(), &file).unwrap_or_default();
    is_changed
        .then(|| format!("{path} was changed since the release was made of it: what was started is not what it was"))
}

fn id(process: Pid) -> u32 {
    process.as_raw_nonzero().get().unsigned_abs()
}

/// The process that systemd names (systemd.exec(5), `$MAINPID`); by hand there is none.
fn main_process() -> Option<Pid> {
    let pid = std::env::var("MAINPID").ok()?.parse().ok()?;
    Pid::from_raw(pid)
}

/// Waits for the end of the main process: nobody need wait for the health of one that is gone. Without one there is no end.
async fn main_process_ended() -> eyre::Result<()> {
    match main_process() {
        Some(pid) => process::ended(pid).await,
        None => std::future::pending().await,
    }
}

/// In the unit the check stands in the environment, where the app's own user can read it; by hand it is looked up.
fn health(context: &Context, asked: &Asked<'_>) -> Result<HealthCheck, Error> {
    if let Ok(json) = std::env::var("BGCTL_HEALTH") {
        return Ok(serde_json::from_str(&json).wrap_err("cannot read the health check in BGCTL_HEALTH")?);
    }
    let release = pins::pinned(&context.layout, asked.app, asked.port)?.ok_or_else(|| {
        eyre::eyre!(
            "cannot probe {}: no release is pinned to port {}",
            asked.app,
            asked.port
        )
    })?;
    Ok(Releases::new(&context.layout, asked.app).read(&release)?.health)
}
