//! The health gate in `APP@PORT.service`.

use std::time::{Duration, Instant};

use eyre::WrapErr as _;
use rustix::process::Pid;

use crate::host::connections;
use crate::host::probe::{self, Healthy};
use crate::host::{process, tell};
use crate::model::{AppName, Color, HealthCheck, Hinted, Port};
use crate::proxy::nginx;
use crate::runtime::docker::Docker;
use crate::state::pins;
use crate::state::releases::Releases;

use super::Error;
use super::context::Context;

/// The instance that is probed.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a> {
    /// Its app.
    pub app: &'a AppName,
    /// Its port.
    pub port: Port,
}

/// What a probe found.
#[derive(Debug)]
pub enum Probed {
    /// The instance is healthy.
    Healthy(Healthy),
    /// It is not, and is left running since it is active.
    LeftRunning(eyre::Report),
    /// It is not.
    Unhealthy(eyre::Report),
}

/// Waits until the instance is healthy, telling systemd what the last try said. Errors where its health check cannot be read.
pub async fn run(context: &Context, instance: &Instance<'_>) -> Result<Probed, Error> {
    // systemd runs this as soon as it has started the instance.
    let began = Instant::now();
    let health = health(context, instance)?;
    let wait = async {
        if let Err(error) = container_runs(instance, health.deadline).await {
            tracing::debug!("{error:#}; it is probed all the same");
        }
        let healthy = probe::wait(&health, instance.port, began, tell).await?;
        require_own(instance)?;
        eyre::Ok(healthy)
    };
    tokio::select! {
        waited = wait => match waited {
            Ok(healthy) => Ok(Probed::Healthy(healthy)),
            // To end it would turn a slow start, or a database that is away for a while, into an outage.
            Err(error) if is_active(context, instance)? => Ok(Probed::LeftRunning(error)),
            Err(error) => Ok(Probed::Unhealthy(error)),
        },
        ended = main_process_ended() => {
            let Instance { app, port } = instance;
            let error = || eyre::eyre!("{app} on port {port} ended before it was healthy");
            Ok(Probed::Unhealthy(ended.err().unwrap_or_else(error)))
        }
    }
}

/// Whether the instance that is asked about is the color that nginx sends requests to. Returns `false` outside of
/// its unit: run by hand, the probe says what it found.
fn is_active(context: &Context, instance: &Instance<'_>) -> Result<bool, Error> {
    let Ok(color) = std::env::var("BGCTL_COLOR") else {
        return Ok(false);
    };
    let color = Color::parse_or_none(&color).map_err(eyre::Report::from)?;
    let route = nginx::current_route(&context.layout, instance.app)?.unwrap_or_default();
    Ok(color.is_some_and(|color| route.serves(color)))
}

/// Waits until the instance's container runs, where it is one and this is its unit. Docker's proxy accepts connections
/// before the container's network is up: who comes so early makes the host ask for an address that nobody has yet, and it
/// asks again only after a second (`retrans_time_ms` of arp(7)).
async fn container_runs(instance: &Instance<'_>, patience: Duration) -> eyre::Result<()> {
    let (Ok(_), Ok(host)) = (std::env::var("BGCTL_IMAGE"), std::env::var("DOCKER_HOST")) else {
        return Ok(());
    };
    let socket = host.strip_prefix("unix://").unwrap_or(&host);
    let docker = Docker::connect(socket.into()).await?;
    let container = format!("{}-{}", instance.app, instance.port);
    tokio::time::timeout(patience, docker.runs(&container)).await?
}

/// Errors if another process than this unit's answered: it may have taken the port meanwhile, and nginx would
/// send requests there. A container's port is Docker's, which does not start it without, unless the manifest's own options give
/// it the host's network.
fn require_own(instance: &Instance<'_>) -> eyre::Result<()> {
    let (Some(main), Err(_)) = (main_process(), std::env::var("BGCTL_IMAGE")) else {
        return Ok(());
    };
    let main = main.as_raw_nonzero().get().unsigned_abs();
    match connections::other_listener(instance.port, main) {
        Ok(None) => Ok(()),
        Ok(Some((process, name))) => {
            let (app, port) = (&instance.app, instance.port);
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
fn health(context: &Context, instance: &Instance<'_>) -> Result<HealthCheck, Error> {
    if let Ok(json) = std::env::var("BGCTL_HEALTH") {
        return Ok(serde_json::from_str(&json).wrap_err("cannot read the health check in BGCTL_HEALTH")?);
    }
    let release = pins::pinned(&context.layout, instance.app, instance.port)?.ok_or_else(|| {
        eyre::eyre!(
            "cannot probe {}: no release is pinned to port {}",
            instance.app,
            instance.port
        )
    })?;
    Ok(Releases::new(&context.layout, instance.app).read(&release)?.health)
}
