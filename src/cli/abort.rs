//! `bgctl abort`: take back the open switch.

use crate::files;
use crate::host::switches::Switches;
use crate::host::systemd::Systemd;
use crate::journal::Event;
use crate::model::{AppName, Hinted, SwitchId, UnitName};

use super::args;
use super::context::Context;
use super::follow;
use super::report::Exit;
use super::signals::Signals;

/// How long the worker may take to let go of its step.
const STOP: std::time::Duration = std::time::Duration::from_secs(30);

/// Stops the worker, writes down that the switch is to be taken back, and lets a worker go on with it.
pub async fn run(context: &Context, verb: &args::Abort) -> eyre::Result<Exit> {
    context.require_root_on_host("abort")?;
    context.app(&verb.app)?;
    let switches = Switches::new(&context.layout, &verb.app);
    let Some(id) = switches.open_id()? else {
        let hint = format!("to go back to the release before: bgctl rollback {}", verb.app);
        return Err(Hinted::new(format!("cannot abort: no switch of {} is open", verb.app), hint).into());
    };
    if !switches.read(&id)?.can_be_taken_back() {
        let message = format!(
            "cannot abort switch {id} of {}: it is past the point of no return",
            verb.app
        );
        let hint = format!("let it end, and go back then: bgctl rollback {}", verb.app);
        return Err(Hinted::new(message, hint).into());
    }
    let systemd = Systemd::connect().await?;
    // Between its old worker and its new one a switch has none.
    let why = "the switch gets a worker that takes it back first";
    Signals::hold()?
        .finish(take_back(&switches, &systemd, &verb.app, &id), why)
        .await?;
    match follow::report(context, &systemd, &verb.app, &id, verb.watch).await? {
        Exit::Failed => Ok(Exit::Done),
        // It was over before it could be taken back.
        Exit::Done => Ok(Exit::Refused),
        other => Ok(other),
    }
}

async fn take_back(switches: &Switches, systemd: &Systemd, app: &AppName, id: &SwitchId) -> eyre::Result<()> {
    let lock = loop {
        systemd.stop(&UnitName::switch(app), STOP).await?;
        // Another abort or a resume may have started a worker since.
        if let Some(lock) = files::Lock::try_take(&switches.path(id))? {
            break lock;
        }
    };
    // It may have ended by itself in the meantime, and then there is nothing to take back any more.
    if switches.open_id()?.as_ref() != Some(id) {
        return Ok(());
    }
    let (record, mut log) = switches.resume(id)?;
    if record.can_be_taken_back() {
        log.append(Event::AbortRequested)?;
    }
    drop((log, lock));
    follow::start_worker(systemd, app).await
}
