//! Rolling back the open switch; or, where none is open, taking down what is staged.

use std::time::Duration;

use crate::host::systemd::Systemd;
use crate::model::{AppName, UnitName};
use crate::plan::{self, Verb};
use crate::state::staged;
use crate::state::switches::{Request, Switches};

use super::Error;
use super::context::Context;
use super::lock::Locked;
use super::opening::{Opened, Opening, Planned};

/// How long the old worker may take to let go of its step, and the new one to say that it is there.
const RESTART: Duration = Duration::from_secs(60);

/// What there is to abort.
#[derive(Debug)]
pub enum Abort {
    /// A switch is open, and is to be rolled back by its next worker, see [`relaunch`].
    Switch(Opened),
    /// A release is staged, and this takes it down.
    Staged(Box<Planned>),
}

/// Finds out what there is to abort. Errors where there is nothing, or the open switch is past the point of no return.
pub async fn plan(context: &Context, app: &AppName) -> Result<Abort, Error> {
    context.app(app)?;
    let is_open = Switches::new(&context.layout, app).open_id()?.is_some();
    if is_open || staged::read(&context.layout, app)?.is_none() {
        return request(context, app).await.map(Abort::Switch);
    }
    let locked = Locked::take(context, app, Verb::Abort)?;
    let opening = Opening::begin_here(context, locked).await?;
    let plan = plan::abort(opening.app(), opening.observed()).map_err(Error::from);
    let planned = opening.planned(plan).await?;
    Ok(Abort::Staged(Box::new(planned)))
}

/// Writes down that the open switch of `app` is to be rolled back; its next worker does it, see [`relaunch`]. Errors where none is
/// open, or it is past the point of no return.
async fn request(context: &Context, app: &AppName) -> Result<Opened, Error> {
    let switches = Switches::new(&context.layout, app);
    let Some(switch) = switches.open_id()? else {
        let hint = format!("to return to the release before: bgctl rollback {app}");
        return Err(Error::refused(
            format!("cannot abort: no switch of {app} is open, and no release is staged"),
            hint,
        ));
    };
    if !switches.read(&switch)?.can_be_rolled_back() {
        let message = format!("cannot abort switch {switch} of {app}: it is past the point of no return");
        let hint = format!("let it end, and return to the release before: bgctl rollback {app}");
        return Err(Error::refused(message, hint));
    }
    let systemd = Systemd::connect().await?;
    switches.request(&switch, Request::Abort)?;
    let app = app.clone();
    Ok(Opened { app, switch, systemd })
}

/// Gives the switch a new worker, which reads what was requested. systemd ends the old one and starts the new one in one job,
/// whatever becomes of this process.
pub async fn relaunch(opened: &Opened) -> eyre::Result<()> {
    let worker = UnitName::switch(&opened.app);
    opened.systemd.relaunch(&worker, RESTART).await
}
