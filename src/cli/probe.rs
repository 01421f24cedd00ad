//! `bgctl probe`: the health gate in `APP@PORT.service`.

use std::time::Instant;

use eyre::WrapErr as _;
use rustix::process::Pid;

use crate::host::connections;
use crate::host::{process, program, tell};
use crate::model::{Color, HealthCheck, Hinted};
use crate::ops::context::Context;
use crate::ops::instance::Instance;
use crate::proxy::nginx;
use crate::state::pins;
use crate::state::releases::Releases;

use super::args;
use super::output;
use super::report::{Ends, Exit};

/// Waits until the instance is healthy, telling systemd what the last try said.
pub async fn run(context: &Context, verb: &args::Probe) -> eyre::Result<Exit> {
    // systemd runs this as soon as it has started the instance.
    let began = Instant::now();
    let health = health(context, verb)?;
    let wait = async {
        let instance = instance(verb, &health).await;
        match instance.wait(&health, began, tell).await {
            Ok(healthy) => require_own(verb, &instance).map(|()| healthy),
            Err(error) => Err(with_place(error, instance.elsewhere(main_process().map(id)))),
        }
    };
    let waited = tokio::select! {
        waited = wait => waited,
        ended = main_process_ended() => {
            ended.map_err(Ends::with(Exit::Failed))?;
            let error = eyre::eyre!("{} on port {} ended before it was healthy", verb.app, verb.port);
            return Err(Ends::with(Exit::Failed)(error).into());
        }
    };
    match waited {
        Ok(healthy) => {
            warn_of_other_program();
            let took = output::duration(healthy.took);
            tell(&format!("healthy after {took} ({} tries)", healthy.tries));
        }
        // To end it would turn a slow start, or a database that is away for a while, into an outage.
        Err(error) if is_active(context, verb)? => {
            tell(&format!("not healthy, and left running since it is active: {error}"));
            output::warning(&format!("{error:#}; it is the active color, and is left running"));
        }
        Err(error) => {
            tell(&format!("{error:#}"));
            return Err(Ends::with(Exit::Failed)(error).into());
        }
    }
    Ok(Exit::Done)
}

/// Whether the instance that is asked about is the color that nginx sends requests to. Returns `false` outside of
/// its unit: run by hand, the probe says what it found.
fn is_active(context: &Context, verb: &args::Probe) -> eyre::Result<bool> {
    let Ok(color) = std::env::var("BGCTL_COLOR") else {
        return Ok(false);
    };
    let color = Color::parse_or_none(&color)?;
    let route = nginx::current_route(&context.layout, &verb.app)?.unwrap_or_default();
    Ok(color.is_some_and(|color| route.serves(color)))
}

/// What is asked. Where it is a container, and this is its unit, that runs when this returns: Docker's proxy accepts connections
/// before the container's network is up, and who comes so early makes the host ask for an address that nobody has yet, and it
/// asks again only after a second (`retrans_time_ms` of arp(7)).
async fn instance(verb: &args::Probe, health: &HealthCheck) -> Instance {
    let (Ok(_), Ok(host)) = (std::env::var("BGCTL_IMAGE"), std::env::var("DOCKER_HOST")) else {
        return Instance::on(verb.port);
    };
    let socket = host.strip_prefix("unix://").unwrap_or(&host);
    let inside = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(verb.port);
    let found = Instance::in_container(socket.into(), &verb.app, verb.port, inside);
    match tokio::time::timeout(health.deadline, found).await {
        Ok(Ok(instance)) => instance,
        Ok(Err(error)) => {
            tracing::debug!("{error:#}; its port is asked all the same");
            Instance::on(verb.port)
        }
        Err(_) => Instance::on(verb.port),
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
fn require_own(verb: &args::Probe, instance: &Instance) -> eyre::Result<()> {
    let main = match std::env::var("BGCTL_IMAGE") {
        Ok(_) => instance.process_on_host(),
        Err(_) => main_process().map(id),
    };
    let Some(main) = main else { return Ok(()) };
    match connections::other_listener(verb.port, main) {
        Ok(None) => Ok(()),
        Ok(Some((process, name))) => {
            let (app, port) = (&verb.app, verb.port);
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

/// Whoever started it, a crash, a boot or a hand: users wait for it, so it is left running.
fn warn_of_other_program() {
    let (Ok(path), Ok(json)) = (std::env::var("BGCTL_PROGRAM"), std::env::var("BGCTL_PROGRAM_FILE")) else {
        return;
    };
    let Ok(file) = serde_json::from_str(&json) else { return };
    if program::is_changed(path.as_str().into(), &file).unwrap_or_default() {
        output::warning(&format!(
            "{path} was changed since the release was made of it: what was started is not what it was"
        ));
    }
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
fn health(context: &Context, verb: &args::Probe) -> eyre::Result<HealthCheck> {
    if let Ok(json) = std::env::var("BGCTL_HEALTH") {
        return serde_json::from_str(&json).wrap_err("cannot read the health check in BGCTL_HEALTH");
    }
    let release = pins::pinned(&context.layout, &verb.app, verb.port)?
        .ok_or_else(|| eyre::eyre!("cannot probe {}: no release is pinned to port {}", verb.app, verb.port))?;
    Ok(Releases::new(&context.layout, &verb.app).read(&release)?.health)
}
