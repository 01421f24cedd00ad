//! Opening a switch: under the app's lock, from one look at the host to a plan on disk and a worker that runs it.

use crate::engine::Effects as _;
use crate::files;
use crate::host::machine::Machine;
use crate::host::releases::Releases;
use crate::host::switches::Switches;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Observed, Release};
use crate::plan::{Plan, Refusal};

use super::args::Watch;
use super::context::Context;
use super::follow;
use super::report::{Busy, Exit};
use super::signals::Signals;

/// A switch that is about to be opened. Nothing has changed yet; nobody else can open one.
#[derive(Debug)]
pub struct Opening {
    app: App,
    machine: Machine,
    observed: Observed,
    lock: files::Lock,
}

impl Opening {
    /// Takes the app's lock and looks at the host. Fails with [`Busy`] where somebody else has the lock.
    pub async fn begin(context: &Context, app: App) -> eyre::Result<Self> {
        let lock = lock(context, &app.name)?;
        let machine = context.machine(app.clone()).await?;
        let observed = machine.observe().await?;
        Ok(Self {
            app,
            machine,
            observed,
            lock,
        })
    }

    /// The app.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// What the host looked like.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Puts a new release on record; it is needed before a plan that names it is committed.
    pub fn add_release(&self, context: &Context, release: &Release) -> eyre::Result<()> {
        Releases::new(&context.layout, &self.app.name).add(release)
    }

    /// Writes the plan to disk, starts the worker, and follows it.
    pub async fn commit(self, context: &Context, plan: &Plan, watch: Watch) -> eyre::Result<Exit> {
        let app = &self.app.name;
        let switches = Switches::new(&context.layout, app);
        let systemd = self.machine.systemd();
        // A plan without a worker would wait for the next boot.
        let why = "the switch gets its worker first";
        Signals::hold()?.finish(open(&switches, systemd, plan), why).await?;
        // From here on the open switch itself keeps others away.
        drop(self.lock);
        follow::report(context, systemd, app, &plan.switch, watch).await
    }
}

/// Puts the plan on disk and starts the worker; where none starts, it is as if nothing had been.
async fn open(switches: &Switches, systemd: &Systemd, plan: &Plan) -> eyre::Result<()> {
    switches.begin(plan)?;
    let started = follow::start_worker(systemd, &plan.app).await;
    if started.is_err() && switches.read(&plan.switch)?.entries.is_empty() {
        switches.close()?;
    }
    started
}

/// The app's lock, for as long as the returned value lives.
pub fn lock(context: &Context, app: &AppName) -> eyre::Result<files::Lock> {
    files::Lock::try_take(&context.layout.lock(app))?
        .ok_or_else(|| Busy(format!("cannot change {app}: another bgctl is at work on it")).into())
}

/// Fails with [`Refusal::Busy`] where a switch of the app is open.
pub fn refuse_open_switch(context: &Context, app: &AppName) -> eyre::Result<()> {
    match Switches::new(&context.layout, app).open_id()? {
        Some(switch) => Err(Refusal::Busy {
            app: app.clone(),
            switch,
        }
        .into()),
        None => Ok(()),
    }
}
