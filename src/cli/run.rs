//! `bgctl run`: the worker in `bgctl-switch@APP.service`.

use std::time::Duration;

use eyre::WrapErr as _;

use crate::engine::{self, Effects as _, Outcome};
use crate::files;
use crate::host::boot_id;
use crate::host::command::Command;
use crate::journal::Event;
use crate::model::{App, AppName, Color, SwitchId};
use crate::ops::leftovers;
use crate::ops::machine::{Published, lease_of};
use crate::proxy::nginx::{self, route};
use crate::state::deferred;
use crate::state::pins;
use crate::state::releases::Releases;
use crate::state::switches::Switches;

use super::args;
use super::context::Context;
use super::install::program;
use super::opening::overruled;
use super::output;
use super::report::{Busy, Ends, Exit};

/// How often the store is asked whether it is back, and how often it is looked whether a switch was opened meanwhile.
const AGAIN: Duration = Duration::from_secs(2);
/// How long nginx may take to read the site of an app anew.
const MIGRATION: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

/// Runs the open switch from where it is. If none is open, publishes the moves of the cursor that were deferred. Done if there is
/// nothing to do.
pub async fn run(context: &Context, verb: &args::Run) -> eyre::Result<Exit> {
    context.require_root_on_host("run")?;
    let switches = Switches::new(&context.layout, &verb.app);
    let deferred = deferred::Journal::new(&context.layout, &verb.app);
    let mut exit = Exit::Done;
    loop {
        if let Some(id) = switches.open_id().map_err(Ends::with(Exit::Crashed))? {
            exit = take_up(context, verb, &switches, &id).await?;
        } else if deferred.read().map_err(Ends::with(Exit::Crashed))?.is_some() {
            tokio::select! {
                published = publish(context, &verb.app) => published.map_err(Ends::with(Exit::Crashed))?,
                () = opened(&switches) => {}
            }
        } else {
            return Ok(exit);
        }
        if exit == Exit::Stuck {
            return Ok(exit);
        }
    }
}

async fn take_up(context: &Context, verb: &args::Run, switches: &Switches, id: &SwitchId) -> eyre::Result<Exit> {
    // A disk that is read-only for now must not leave the switch without a worker.
    let lock = files::Lock::try_take(&switches.path(id)).map_err(Ends::with(Exit::Crashed))?;
    let Some(_lock) = lock else {
        return Err(Busy(format!(
            "cannot run switch {id} of {}: another worker runs it",
            verb.app
        ))
        .into());
    };
    // It was closed meanwhile, and nothing of it was begun.
    let open = switches.open_id().map_err(Ends::with(Exit::Crashed))?;
    if open.as_ref() != Some(id) {
        return Ok(Exit::Done);
    }
    // Whatever fails from here on is not the plan: another worker may succeed.
    let outcome = go_on(context, verb, switches, id)
        .await
        .map_err(Ends::with(Exit::Crashed))?;
    Ok(outcome.into())
}

async fn go_on(context: &Context, verb: &args::Run, switches: &Switches, id: &SwitchId) -> eyre::Result<Outcome> {
    let (mut record, log) = switches.resume(id)?;
    let app = context.app(&verb.app)?;
    migrate(context, &app).await?;
    if record.is_of_0_1_0() {
        let release = Releases::new(&context.layout, &app.name).read(&record.head.plan.release)?;
        record.head.plan.complete(&app, &release);
    }
    let plan = &record.head.plan;
    let mut machine = context.machine(app.clone()).await?.with_log(log);
    let mut events: Vec<_> = record.events().cloned().collect();
    let boot = boot_id(machine.systemd()).await?;
    events.push(machine.record(Event::Resumed { boot })?.event);
    if switches.is_to_be_aborted(id)? && record.can_be_rolled_back() && !events.contains(&Event::AbortRequested) {
        events.push(machine.record(Event::AbortRequested)?.event);
    }
    // Whoever started this unit waits for a worker that has begun, not for the end of the switch.
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    let keeper = machine.keeper(lease_of(plan));
    let outcome = tokio::select! {
        outcome = engine::run(plan, events, &mut machine) => outcome?,
        never = keeper => match never {},
    };
    // Who is told that it has ended may begin on another host at once.
    machine.release_lease().await;
    // While the switch is open: what a worker leaves that is killed here is put away by the next one.
    machine.remember();
    match outcome {
        Outcome::Done | Outcome::RolledBack => close(context, &app, switches)?,
        Outcome::Stuck => {}
    }
    Ok(outcome)
}

/// An app of bgctl 0.1.0 gets its route before its switch continues. This unit may not do what nginx's test needs (mount, and
/// bind the ports of its sites), so it is done beside it.
async fn migrate(context: &Context, app: &App) -> eyre::Result<()> {
    let has_route = route::read(&context.layout.route_dir(&app.name))?.is_some();
    if has_route || nginx::current_route(&context.layout, &app.name)?.is_none() {
        return Ok(());
    }
    let program = program()?;
    let arguments = [
        "--quiet",
        "--wait",
        "--collect",
        "--pipe",
        "--",
        program.as_str(),
        "migrate",
        app.name.as_str(),
    ];
    let migrated = Command::new("systemd-run", arguments, MIGRATION).run().await;
    migrated
        .map(drop)
        .wrap_err("cannot give the app, which bgctl 0.1.0 installed, its route")
}

/// Asks the store until it answers.
async fn publish(context: &Context, app: &AppName) -> eyre::Result<()> {
    let machine = context.machine(context.app(app)?).await?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    machine.announce("waits for the store, to move the cursor in it");
    let mut is_told = false;
    loop {
        match machine.publish().await {
            Ok(None) => {}
            Ok(Some(Published::Moved(cursor))) => tracing::info!("the store says now {:?}", cursor.active),
            Ok(Some(Published::Overruled(_))) => output::warning(&overruled(app)),
            Err(error) => {
                if !is_told {
                    output::warning(&format!("{error:#}; it is asked again until it answers"));
                }
                is_told = true;
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        return Ok(());
    }
}

/// Waits until a switch is opened.
async fn opened(switches: &Switches) {
    while matches!(switches.open_id(), Ok(None)) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Tidies up, as far as that can be done, and closes the switch.
fn close(context: &Context, app: &App, switches: &Switches) -> eyre::Result<()> {
    for tidied in [
        leftovers::sweep_state(&context.layout, &app.name),
        prune(context, app, switches),
    ] {
        if let Err(error) = tidied {
            output::warning(&format!("{error:#}"));
        }
    }
    switches.close()
}

/// Forgets the releases that no switch on record is about, and that no color would run.
fn prune(context: &Context, app: &App, switches: &Switches) -> eyre::Result<()> {
    let mut keep = switches.releases()?;
    for color in Color::BOTH {
        keep.extend(pins::pinned(&context.layout, &app.name, *app.ports.get(color))?);
    }
    // As long as this one is open nobody puts another release on record.
    Releases::new(&context.layout, &app.name).prune(&keep)
}
