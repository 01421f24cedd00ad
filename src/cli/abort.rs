//! `bgctl abort`: roll back the open switch.

use crate::host::systemd::Systemd;
use crate::model::{Hinted, UnitName};
use crate::ops::context::Context;
use crate::state::switches::Switches;

use super::args;
use super::follow;
use super::report::{Ends, Exit};
use super::signals::Signals;

/// How long the old worker may take to let go of its step, and the new one to say that it is there.
const RESTART: std::time::Duration = std::time::Duration::from_secs(60);

/// Writes down that the switch is to be rolled back, and lets a new worker do it.
pub async fn run(context: &Context, verb: &args::Abort) -> eyre::Result<Exit> {
    context.require_root_on_host("abort")?;
    context.app(&verb.app)?;
    let switches = Switches::new(&context.layout, &verb.app);
    let Some(id) = switches.open_id()? else {
        let hint = format!("to return to the release before: bgctl rollback {}", verb.app);
        return Err(Hinted::new(format!("cannot abort: no switch of {} is open", verb.app), hint).into());
    };
    if !switches.read(&id)?.can_be_rolled_back() {
        let message = format!(
            "cannot abort switch {id} of {}: it is past the point of no return",
            verb.app
        );
        let hint = format!(
            "let it end, and return to the release before: bgctl rollback {}",
            verb.app
        );
        return Err(Hinted::new(message, hint).into());
    }
    let systemd = Systemd::connect().await?;
    switches.ask_to_abort(&id)?;
    // The worker reads it when it begins. systemd ends the old one and starts the new one in one job, whatever becomes of
    // this program.
    let why = "the switch gets a worker that rolls it back first";
    let worker = UnitName::switch(&verb.app);
    let relaunch = systemd.relaunch(&worker, RESTART);
    let asked = |error: eyre::Report| {
        let message = format!(
            "cannot tell how switch {id} of {} ends; its next worker rolls it back",
            verb.app
        );
        Ends::with(Exit::Stuck)(Hinted::from(error.wrap_err(message), format!("bgctl resume {}", verb.app)).into())
    };
    Signals::hold()?.finish(relaunch, why).await.map_err(asked)?;
    let is_detached = verb.watch.detach;
    match follow::report(context, &systemd, &verb.app, &id, verb.watch).await? {
        Exit::Failed => Ok(Exit::Done),
        // It was done before it could be rolled back.
        Exit::Done if !is_detached => Ok(Exit::Refused),
        other => Ok(other),
    }
}
