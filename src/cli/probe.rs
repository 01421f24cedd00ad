//! `bgctl probe`: the health gate in `APP@PORT.service`.

use eyre::WrapErr as _;

use crate::host::probe;
use crate::host::releases::{self, Releases};
use crate::model::HealthCheck;

use super::args;
use super::context::Context;
use super::output;
use super::report::Exit;

/// Waits until the instance is healthy, telling systemd what the last try said.
pub async fn run(context: &Context, verb: &args::Probe) -> eyre::Result<Exit> {
    let health = health(context, verb)?;
    let tell = |status: &str| {
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Status(status)]) {
            tracing::debug!("cannot tell systemd the status: {error}");
        }
    };
    let healthy = probe::wait(&health, verb.port, tell).await?;
    tell(&format!(
        "healthy after {} ({} tries)",
        output::duration(healthy.took),
        healthy.tries
    ));
    Ok(Exit::Done)
}

/// In the unit the check stands in the environment, where the app's own user can read it; by hand it is looked up.
fn health(context: &Context, verb: &args::Probe) -> eyre::Result<HealthCheck> {
    if let Ok(json) = std::env::var("BGCTL_HEALTH") {
        return serde_json::from_str(&json).wrap_err("cannot read the health check in BGCTL_HEALTH");
    }
    let release = releases::pinned(&context.layout, &verb.app, verb.port)?
        .ok_or_else(|| eyre::eyre!("cannot probe {}: no release is pinned to port {}", verb.app, verb.port))?;
    Ok(Releases::new(&context.layout, &verb.app).read(&release)?.health)
}
