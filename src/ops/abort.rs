//! Rolling back the open switch.

use std::time::Duration;

use crate::host::systemd::Systemd;
use crate::model::{AppName, UnitName};
use crate::state::switches::Switches;

use super::Error;
use super::context::Context;
use super::opening::Opened;

/// How long the old worker may take to let go of its step, and the new one to say that it is there.
const RESTART: Duration = Duration::from_secs(60);

/// Writes down that the open switch of `app` is to be rolled back; its next worker does it, see [`relaunch`]. Errors where none is
/// open, or it is past the point of no return.
pub async fn request(context: &Context, app: &AppName) -> Result<Opened, Error> {
    context.app(app)?;
    let switches = Switches::new(&context.layout, app);
    let Some(switch) = switches.open_id()? else {
        let hint = format!("to return to the release before: bgctl rollback {app}");
        return Err(Error::refused(
            format!("cannot abort: no switch of {app} is open"),
            hint,
        ));
    };
    if !switches.read(&switch)?.can_be_rolled_back() {
        let message = format!("cannot abort switch {switch} of {app}: it is past the point of no return");
        let hint = format!("let it end, and return to the release before: bgctl rollback {app}");
        return Err(Error::refused(message, hint));
    }
    let systemd = Systemd::connect().await?;
    switches.ask_to_abort(&switch)?;
    let app = app.clone();
    Ok(Opened { app, switch, systemd })
}

/// Gives the switch a new worker, which reads what was requested. systemd ends the old one and starts the new one in one job,
/// whatever becomes of this process.
pub async fn relaunch(opened: &Opened) -> eyre::Result<()> {
    let worker = UnitName::switch(&opened.app);
    opened.systemd.relaunch(&worker, RESTART).await
}
