//! Opening a switch: under the app's lock, from one look at the host to a plan on disk and a worker that runs it.

use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::files;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Hinted, Lease, Observed, Release, ReleaseId};
use crate::ops::leftovers;
use crate::ops::machine::{Machine, Published, host_name};
use crate::plan::{Plan, Refusal, Verb};
use crate::state::releases::Releases;
use crate::state::switches::Switches;
use crate::store::LeaseError;

use super::args::Watch;
use super::context::Context;
use super::follow;
use super::output;
use super::report::{Busy, Exit};
use super::signals::Signals;

/// How long who has a lock may take to say so.
const SIGNED: Duration = Duration::from_millis(100);
/// How long a worker that lives may take to begin.
const BEGUN: Duration = Duration::from_secs(10);
/// How often it is started within that: one that ends just then does not see the switch.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a store that is said to be away may take to show that it is there.
const AWAY: Duration = Duration::from_secs(2);

/// An app as it is installed, while this command has its lock and no switch of it is open.
#[derive(Debug)]
pub struct Locked {
    /// The app.
    pub app: App,
    lock: files::Lock,
}

impl Locked {
    /// Takes the lock, and reads the app after that. Fails with [`Busy`] where another command has it, and with a [`Refusal`]
    /// where a switch is open or the app is not installed.
    pub fn take(context: &Context, name: &AppName, verb: Verb) -> eyre::Result<Self> {
        // Without that there is no folder for the lock.
        context.require_installed(name)?;
        let lock = lock(context, name, verb.as_str())?;
        refuse_open_switch(context, name, verb.phrase())?;
        Ok(Self {
            app: context.app(name)?,
            lock,
        })
    }
}

/// A switch that is about to be opened. Nothing has changed yet; nobody else can open one.
#[derive(Debug)]
pub struct Opening {
    app: App,
    machine: Machine,
    observed: Observed,
    lease: Option<Lease>,
    lock: files::Lock,
}

impl Opening {
    /// Acquires the app's lease and looks at the host. Fails with [`Busy`] where another host holds it. `release` is the one
    /// that is to be active, where it is known by now.
    pub async fn begin(
        context: &Context,
        locked: Locked,
        verb: Verb,
        release: Option<ReleaseId>,
    ) -> eyre::Result<Self> {
        let Locked { app, lock } = locked;
        let name = app.name.clone();
        let machine = context.machine(app.clone()).await?;
        if let Some(Published::Overruled(_)) = machine.publish().await? {
            output::warning(&overruled(&name));
        }
        let next = Switches::new(&context.layout, &name).next_id()?;
        let lease = Lease {
            release,
            ..own_lease(&next, verb.as_str())?
        };
        let observed = match machine.acquire_and_observe(&lease).await {
            Ok(observed) => observed,
            Err(error) => {
                // The lease may be held, and what was looked at beside it not be readable.
                machine.release_lease().await;
                return Err(busy(&name, verb.as_str(), error));
            }
        };
        Ok(Self {
            app,
            machine,
            observed,
            lease: Some(lease),
            lock,
        })
    }

    /// As [`Opening::begin`], without the store. Fails where the store answers, or is this host's own.
    pub async fn begin_locally(context: &Context, locked: Locked) -> eyre::Result<Self> {
        let Locked { app, lock } = locked;
        let name = app.name.clone();
        if !context.settings()?.store.is_elsewhere() {
            let message = format!("cannot roll back {name} locally: its cursor lives on this host, and is never away");
            return Err(Hinted::new(message, format!("bgctl rollback {name}")).into());
        }
        let machine = context.machine(app.clone()).await?;
        if let Ok(true) = tokio::time::timeout(AWAY, machine.is_store_usable()).await {
            let message = format!("cannot roll back {name} locally: the store answers");
            return Err(Hinted::new(message, format!("bgctl rollback {name}")).into());
        }
        let observed = machine.observe_locally().await?;
        Ok(Self {
            app,
            machine,
            observed,
            lease: None,
            lock,
        })
    }

    /// Does `work` that takes its time, and holds the lease meanwhile.
    pub async fn leased<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(lease) = self.lease.clone() else {
            return work.await;
        };
        tokio::select! {
            done = work => done,
            never = self.machine.keeper(lease) => match never {},
        }
    }

    /// Returns the plan; if there is none, the lease is released.
    pub async fn planned<T, E: Into<eyre::Report>>(&self, planned: Result<T, E>) -> eyre::Result<T> {
        if planned.is_err() {
            self.machine.release_lease().await;
        }
        planned.map_err(Into::into)
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
        let opened = Signals::hold()?.finish(open(&switches, systemd, plan), why).await;
        self.planned(opened).await?;
        // From here on the open switch itself keeps others away.
        drop(self.lock);
        follow::report(context, systemd, app, &plan.switch, watch).await
    }
}

/// Puts the plan on disk and starts the worker; where none starts, it is as if nothing had been.
async fn open(switches: &Switches, systemd: &Systemd, plan: &Plan) -> eyre::Result<()> {
    switches.begin(plan)?;
    let Err(error) = begun(switches, systemd, plan).await else {
        return Ok(());
    };
    switches.close_unbegun()?;
    // A worker began it all the same, and if it died, it is started again.
    if switches.open_id()?.as_ref() == Some(&plan.switch) {
        return Ok(());
    }
    Err(error)
}

/// Starts the worker until one has begun the switch. One that was up already, for the store's sake, looks only now and then
/// whether a switch is open, or was about to end. The lock is held all the while, since who takes it closes what nobody has
/// begun.
async fn begun(switches: &Switches, systemd: &Systemd, plan: &Plan) -> eyre::Result<()> {
    let since = Instant::now();
    while since.elapsed() < BEGUN {
        follow::start_worker(systemd, &plan.app).await?;
        let started = Instant::now();
        while started.elapsed() < AGAIN {
            let is_open = switches.open_id()?.as_ref() == Some(&plan.switch);
            if !is_open || !switches.read(&plan.switch)?.entries.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

/// The app's lock, for as long as the returned value lives; what a bgctl left behind that was killed while it had the lock is removed.
/// Fails with [`Busy`], which names who has it, where it is taken.
pub fn lock(context: &Context, app: &AppName, verb: &str) -> eyre::Result<files::Lock> {
    let path = context.layout.lock(app);
    let Some(mut lock) = files::Lock::try_take(&path)? else {
        let holder = holder(&path)?;
        return Err(Busy(format!("cannot {verb} {app}: {holder}")).into());
    };
    let (process, since) = (std::process::id(), jiff::Timestamp::now());
    lock.sign(&format!(
        "bgctl {verb} (process {process}) is at work on it since {since:.0}"
    ))?;
    Switches::new(&context.layout, app).close_unbegun()?;
    leftovers::sweep_state(&context.layout, app)?;
    Ok(lock)
}

/// Who has the lock. It takes a moment from taking it to saying so.
#[expect(
    clippy::disallowed_methods,
    reason = "for 0.1 s at most, and nothing else runs meanwhile"
)]
fn holder(path: &Utf8Path) -> eyre::Result<String> {
    let since = Instant::now();
    loop {
        match files::read(path)?.filter(|holder| !holder.is_empty()) {
            Some(holder) => return Ok(holder),
            None if since.elapsed() > SIGNED => return Ok("another bgctl is at work on it".to_owned()),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The lease of this host, for its switch or whatever else is `what` it does.
pub fn own_lease(what: &impl std::fmt::Display, verb: &str) -> eyre::Result<Lease> {
    Ok(Lease {
        by: format!("{}/{what}", host_name()?),
        verb: verb.to_owned(),
        release: None,
        since: jiff::Timestamp::now(),
    })
}

/// A lease that was not acquired; [`Busy`] where another host holds it.
pub fn busy(app: &AppName, verb: &str, error: LeaseError) -> eyre::Report {
    match error {
        LeaseError::HeldBy(by) => Busy(format!("cannot {verb} {app}: it is held by {by}")).into(),
        LeaseError::Failed(error) => error,
    }
}

/// Fails with [`Refusal::Busy`] where a switch of the app is open.
pub fn refuse_open_switch(context: &Context, app: &AppName, verb: &'static str) -> eyre::Result<()> {
    match Switches::new(&context.layout, app).open()? {
        Some(open) => Err(Refusal::Busy {
            verb,
            app: app.clone(),
            open,
        }
        .into()),
        None => Ok(()),
    }
}

/// What became of a promote that was deferred.
pub fn overruled(app: &AppName) -> String {
    format!(
        "another host moved the cursor of {app} while the store was away, and it stays there; \
         what this host serves meanwhile: bgctl status {app}"
    )
}
