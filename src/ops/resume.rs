//! Resuming a switch that is stuck, or has no worker.

use crate::host::systemd::Systemd;
use crate::model::AppName;
use crate::state::switches::Switches;

use super::context::Context;
use super::opening::Opened;
use super::{Error, worker};

/// The open switch of an app; `None` where none is open. Errors where its journal cannot be read: a worker would end at once, again
/// and again.
pub async fn find(context: &Context, app: &AppName) -> Result<Option<Opened>, Error> {
    context.require_installed(app)?;
    let switches = Switches::new(&context.layout, app);
    let Some(switch) = switches.open_id()? else {
        return Ok(None);
    };
    switches.read(&switch)?;
    let (app, systemd) = (app.clone(), Systemd::connect().await?);
    Ok(Some(Opened { app, switch, systemd }))
}

/// Starts a worker where none runs.
pub async fn start(opened: &Opened) -> eyre::Result<()> {
    worker::start(&opened.systemd, &opened.app).await
}
