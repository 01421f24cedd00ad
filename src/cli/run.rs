//! `bgctl run`: the worker in `bgctl-switch@APP.service`.

use crate::engine::{self, Effects as _, Outcome};
use crate::host::releases::Releases;
use crate::host::switches::Switches;
use crate::host::{boot_id, files};
use crate::journal::Event;
use crate::model::AppName;

use super::args;
use super::context::Context;
use super::report::{Busy, Exit};

/// Takes the open switch on from where it is. Nothing to do is done.
pub async fn run(context: &Context, verb: &args::Run) -> eyre::Result<Exit> {
    context.require_root_on_host("run")?;
    let switches = Switches::new(&context.layout, &verb.app);
    let Some(id) = switches.open_id()? else {
        return Ok(Exit::Done);
    };
    let Some(_lock) = files::Lock::try_take(&switches.path(&id))? else {
        return Err(Busy(format!(
            "cannot run switch {id} of {}: another worker runs it",
            verb.app
        ))
        .into());
    };
    let (record, log) = switches.resume(&id)?;
    let mut machine = context.machine(context.app(&verb.app)?).await?.with_log(log);
    // nginx waits for this at boot; its flag is on disk, so there is nothing to wait for but a worker that lives.
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;

    let mut events: Vec<_> = record.events().cloned().collect();
    events.push(machine.record(Event::Resumed { boot: boot_id()? })?.event);
    let outcome = engine::run(&record.head.plan, events, &mut machine).await?;
    match outcome {
        Outcome::Done | Outcome::RolledBack => close(context, &verb.app, &switches)?,
        Outcome::Stuck => {}
    }
    Ok(outcome.into())
}

/// Closes the switch and forgets the releases that no switch on record is about.
fn close(context: &Context, app: &AppName, switches: &Switches) -> eyre::Result<()> {
    switches.close()?;
    Releases::new(&context.layout, app).prune(&switches.releases()?)
}
