//! The worker: carries the open switch of an app out, in `bgctl-switch@APP.service`.

use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::engine::{self, Effects as _, Outcome};
use crate::files;
use crate::host::boot_id;
use crate::host::command::Command;
use crate::host::systemd::Systemd;
use crate::journal::Event;
use crate::model::{App, AppName, Color, Runtime, SwitchId, UnitName};
use crate::proxy::nginx::{self, route};
use crate::runtime::docker::Docker;
use crate::state::deferred;
use crate::state::pins;
use crate::state::releases::Releases;
use crate::state::staged;
use crate::state::switches::{Request, Switches};

use super::context::Context;
use super::install::program;
use super::machine::{Published, lease_of};
use super::opening::overruled;
use super::{Error, Progress, containers, leftovers};

/// How long the worker may take to say that it is there.
const START: Duration = Duration::from_secs(30);
/// How often a store or an engine that is away is asked again.
const AGAIN: Duration = Duration::from_secs(2);
/// How long an engine that is away is waited for, after a switch that left something there.
const ENGINE: Duration = Duration::from_secs(60);
/// How long nginx may take to read the site of an app anew.
const MIGRATION: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

/// Starts the worker of an app. One that ended already by then has written into the journal how.
pub async fn start(systemd: &Systemd, app: &AppName) -> eyre::Result<()> {
    systemd.launch(&UnitName::switch(app), START).await
}

/// Runs the open switch from where it is, and returns how it ended. If none is open, publishes the moves of the cursor that were
/// deferred. `None` if there was no switch to run. Errors with [`Error::Busy`] if another worker runs it; with anything else if
/// another worker may succeed.
pub async fn run(
    context: &Context,
    app: &AppName,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<Outcome>, Error> {
    let switches = Switches::new(&context.layout, app);
    let deferred = deferred::Journal::new(&context.layout, app);
    let mut ended = None;
    loop {
        if let Some(id) = switches.open_id()? {
            ended = take_up(context, app, &switches, &id, progress).await?;
        } else if deferred.read()?.is_some() {
            tokio::select! {
                published = publish(context, app, progress) => published?,
                () = opened(&switches) => {}
            }
        } else {
            tokio::select! {
                () = put_in_order(context, app, progress) => return Ok(ended),
                () = opened(&switches) => {}
            }
        }
        if ended == Some(Outcome::Stuck) {
            return Ok(ended);
        }
    }
}

async fn take_up(
    context: &Context,
    app: &AppName,
    switches: &Switches,
    id: &SwitchId,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<Outcome>, Error> {
    let Some(_lock) = files::Lock::try_take(&switches.path(id))? else {
        let message = format!("cannot run switch {id} of {app}: another worker runs it");
        return Err(Error::busy(message));
    };
    // It was closed meanwhile, and nothing of it was begun.
    if switches.open_id()?.as_ref() != Some(id) {
        return Ok(None);
    }
    carry_out(context, app, switches, id, progress).await.map(Some)
}

async fn carry_out(
    context: &Context,
    app: &AppName,
    switches: &Switches,
    id: &SwitchId,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let (mut record, log) = switches.resume(id)?;
    let app = context.app(app)?;
    migrate(context, &app).await?;
    if record.is_of_0_1_0() {
        let release = Releases::new(&context.layout, &app.name).read(&record.head.plan.release)?;
        record.head.plan.complete(&app, &release);
    }
    let plan = &record.head.plan;
    let mut machine = context.machine(app.clone()).await?.with_log(log);
    let mut events: Vec<_> = record.events().cloned().collect();
    machine.end_commands(plan, &events).await?;
    let boot = boot_id(machine.systemd()).await?;
    events.push(machine.record(Event::Resumed { boot })?.event);
    if switches.is_requested(id, Request::Abort)?
        && record.can_be_rolled_back()
        && !events.contains(&Event::AbortRequested)
    {
        events.push(machine.record(Event::AbortRequested)?.event);
    }
    machine.hold_again(plan)?;
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
        Outcome::Done | Outcome::RolledBack => close(context, &app, switches, progress)?,
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
async fn publish(context: &Context, app: &AppName, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), Error> {
    let machine = context.machine(context.app(app)?).await?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    machine.announce("waits for the store, to move the cursor in it");
    let mut is_told = false;
    loop {
        match machine.publish().await {
            Ok(None) => {}
            Ok(Some(Published::Moved(cursor))) => tracing::info!("the store says now {:?}", cursor.active),
            Ok(Some(Published::Overruled(_))) => progress(Progress::Warning(&overruled(app))),
            Err(error) => {
                if !is_told {
                    let message = format!("{error:#}; it is asked again until it answers");
                    progress(Progress::Warning(&message));
                }
                is_told = true;
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        return Ok(());
    }
}

/// What is left to do once a switch has ended. No switch waits for it, and the next one makes good for what fails here.
async fn put_in_order(context: &Context, app: &AppName, progress: &mut dyn FnMut(Progress<'_>)) {
    for done in [read_links().await, tidy_engine(context, app).await] {
        if let Err(error) = done {
            progress(Progress::Warning(&format!("{error:#}")));
        }
    }
}

/// Makes systemd read the links by which switches enabled and disabled colors, where it asks for that.
async fn read_links() -> eyre::Result<()> {
    Systemd::connect().await?.read_links().await
}

/// An engine that was away while a color was stopped has its container still.
async fn tidy_engine(context: &Context, app: &AppName) -> eyre::Result<()> {
    let app = context.app(app)?;
    let Runtime::Docker(_) = app.run.runtime else {
        return Ok(());
    };
    let since = Instant::now();
    loop {
        match Docker::connect(&context.settings()?.docker.socket).await {
            Ok(docker) => {
                let systemd = Systemd::connect().await?;
                return containers::tidy(&docker, &context.layout, &systemd, &app).await;
            }
            Err(error) if since.elapsed() > ENGINE => return Err(error),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Waits until a switch is opened.
async fn opened(switches: &Switches) {
    while matches!(switches.open_id(), Ok(None)) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Tidies up, as far as that can be done, and closes the switch.
fn close(
    context: &Context,
    app: &App,
    switches: &Switches,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    for tidied in [
        leftovers::sweep_state(&context.layout, &app.name),
        prune(context, app, switches),
    ] {
        if let Err(error) = tidied {
            progress(Progress::Warning(&format!("{error:#}")));
        }
    }
    Ok(switches.close()?)
}

/// Forgets the releases that no switch on record is about, that no color would run, and that are not staged.
fn prune(context: &Context, app: &App, switches: &Switches) -> eyre::Result<()> {
    let mut keep = switches.releases()?;
    for color in Color::BOTH {
        keep.extend(pins::pinned(&context.layout, &app.name, *app.ports.get(color))?);
    }
    keep.extend(staged::read(&context.layout, &app.name)?.map(|staged| staged.release));
    // As long as this one is open nobody puts another release on record.
    Releases::new(&context.layout, &app.name).prune(&keep)
}
