//! `bgctl run`: the worker in `bgctl-switch@APP.service`.

use crate::engine::{self, Effects as _, Outcome};
use crate::files;
use crate::host::boot_id;
use crate::host::releases::{self, Releases};
use crate::host::switches::Switches;
use crate::journal::Event;
use crate::model::{App, Color, SwitchId};

use super::args;
use super::context::Context;
use super::report::{Busy, Ends, Exit};

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
    // Whatever goes wrong from here on has not to do with the plan: another worker may be luckier.
    let outcome = go_on(context, verb, &switches, &id)
        .await
        .map_err(Ends::with(Exit::Crashed))?;
    Ok(outcome.into())
}

async fn go_on(context: &Context, verb: &args::Run, switches: &Switches, id: &SwitchId) -> eyre::Result<Outcome> {
    let (record, log) = switches.resume(id)?;
    let app = context.app(&verb.app)?;
    let mut machine = context.machine(app.clone()).await?.with_log(log);
    // Whoever started this unit waits for a worker that lives, not for the end of the switch.
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;

    let mut events: Vec<_> = record.events().cloned().collect();
    events.push(machine.record(Event::Resumed { boot: boot_id()? })?.event);
    let outcome = engine::run(&record.head.plan, events, &mut machine).await?;
    match outcome {
        Outcome::Done | Outcome::RolledBack => close(context, &app, switches)?,
        Outcome::Stuck => {}
    }
    Ok(outcome)
}

/// Closes the switch and forgets the releases that no switch on record is about, and that no color would run.
fn close(context: &Context, app: &App, switches: &Switches) -> eyre::Result<()> {
    switches.close()?;
    let mut keep = switches.releases()?;
    for color in Color::BOTH {
        keep.extend(releases::pinned(&context.layout, &app.name, *app.ports.get(color))?);
    }
    Releases::new(&context.layout, &app.name).prune(&keep)
}
