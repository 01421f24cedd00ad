//! Opening a switch: under the app's lock, from one look at the host to a plan on disk and a worker that runs it.

use std::time::{Duration, Instant};

use crate::files;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Color, Hinted, Lease, Observed, Release, ReleaseId, Staged, SwitchId};
use crate::plan::{Plan, Verb};
use crate::state::releases::Releases;
use crate::state::switches::Switches;
use crate::store::LeaseError;

use super::context::Context;
use super::lock::Locked;
use super::machine::{Machine, Published, host_name};
use super::{Error, Progress, program, worker};

/// How long a worker that lives may take to begin.
const BEGUN: Duration = Duration::from_secs(10);
/// How often it is started within that: one that ends just then does not see the switch.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a store that is said to be away may take to show that it is there.
const AWAY: Duration = Duration::from_secs(2);

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
    /// Acquires the app's lease and looks at the host. Errors with [`Error::Busy`] where another host holds it. `release` is the
    /// one that is to be active, where it is known by now.
    pub async fn begin(
        context: &Context,
        locked: Locked,
        verb: Verb,
        release: Option<ReleaseId>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, Error> {
        let Locked { app, lock } = locked;
        let name = app.name.clone();
        let machine = context.machine(app.clone()).await?;
        if let Some(Published::Overruled(_)) = machine.publish().await? {
            progress(Progress::Warning(&overruled(&name)));
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
    pub async fn begin_locally(context: &Context, locked: Locked) -> Result<Self, Error> {
        let Locked { app, lock } = locked;
        let name = app.name.clone();
        if !context.settings()?.store.is_elsewhere() {
            let message = format!("cannot roll back {name} locally: its cursor lives on this host, and is never away");
            return Err(Error::refused(message, format!("bgctl rollback {name}")));
        }
        let machine = context.machine(app.clone()).await?;
        if let Ok(true) = tokio::time::timeout(AWAY, machine.is_store_usable()).await {
            let message = format!("cannot roll back {name} locally: the store answers");
            return Err(Error::refused(message, format!("bgctl rollback {name}")));
        }
        Self::here(app, machine, lock).await
    }

    /// As [`Opening::begin`], for what moves neither cursor nor traffic: it needs neither the store nor the lease.
    pub async fn begin_here(context: &Context, locked: Locked) -> Result<Self, Error> {
        let Locked { app, lock } = locked;
        let machine = context.machine(app.clone()).await?;
        Self::here(app, machine, lock).await
    }

    async fn here(app: App, machine: Machine, lock: files::Lock) -> Result<Self, Error> {
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

    /// This, with its plan; if there is none, or it stops what could not be started again, the lease is released.
    pub async fn planned(self, plan: Result<Plan, Error>) -> Result<Planned, Error> {
        let plan = plan.and_then(|plan| {
            if plan.hold().is_some() {
                program::require_way_back(&self.app, &self.observed)?;
            }
            Ok(plan)
        });
        match plan {
            Ok(plan) => Ok(Planned { opening: self, plan }),
            Err(error) => {
                self.machine.release_lease().await;
                Err(error)
            }
        }
    }

    /// The app.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The machine.
    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What is staged and gives way to `release`.
    pub fn replaced(&self, release: &ReleaseId) -> Option<&Staged> {
        self.observed
            .staged
            .as_ref()
            .filter(|staged| staged.release != *release)
    }

    /// What the host looked like.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Forgets a release of the same name as `release` and another content, if it never served: what was corrected since may have
    /// its name. Nothing changes on disk.
    pub fn make_room_for(&mut self, context: &Context, release: &Release) -> eyre::Result<()> {
        let id = &release.id;
        let is_other = self
            .observed
            .release(id)
            .is_some_and(|known| !known.same_content(release));
        let instances = &self.observed.instances;
        let is_pinned = Color::BOTH
            .iter()
            .any(|color| instances.get(*color).pinned.as_ref() == Some(id));
        let cursor = self
            .observed
            .cursor
            .as_ref()
            .and_then(|stored| stored.cursor.release.as_ref());
        if !is_other || is_pinned || cursor == Some(id) {
            return Ok(());
        }
        if !Switches::new(&context.layout, &self.app.name).may_have_served(id)? {
            self.observed.releases.retain(|known| known.id != *id);
        }
        Ok(())
    }

    /// Puts a new release on record; it is needed before a plan that names it is committed.
    pub fn add_release(&self, context: &Context, release: &Release) -> eyre::Result<()> {
        let releases = Releases::new(&context.layout, &self.app.name);
        match self.observed.release(&release.id) {
            Some(_) => releases.add(release),
            None => releases.replace(release),
        }
    }
}

/// A switch that is planned. Nothing has changed yet.
#[derive(Debug)]
pub struct Planned {
    opening: Opening,
    plan: Plan,
}

/// A switch that is open: a worker runs it.
#[derive(Debug)]
pub struct Opened {
    /// Its app.
    pub app: AppName,
    /// Its id.
    pub switch: SwitchId,
    /// The systemd that runs its worker.
    pub systemd: Systemd,
}

impl Planned {
    /// Writes the plan to disk and starts the worker; once that has begun, the open switch keeps others away, and the lock is
    /// given back. To be run to its end: a plan without a worker would wait for the next boot.
    pub async fn open(self, context: &Context) -> Result<Opened, Error> {
        let Self { opening, plan } = self;
        let switches = Switches::new(&context.layout, &plan.app);
        let systemd = opening.machine.systemd().clone();
        if let Err(error) = open(&switches, &systemd, &plan).await {
            opening.machine.release_lease().await;
            return Err(error.into());
        }
        drop(opening.lock);
        Ok(Opened {
            app: plan.app,
            switch: plan.switch,
            systemd,
        })
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
        worker::start(systemd, &plan.app).await?;
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

/// The lease of this host, for its switch or whatever else is `what` it does.
pub fn own_lease(what: &impl std::fmt::Display, verb: &str) -> eyre::Result<Lease> {
    Ok(Lease {
        by: format!("{}/{what}", host_name()?),
        verb: verb.to_owned(),
        release: None,
        since: jiff::Timestamp::now(),
    })
}

/// A lease that was not acquired; [`Error::Busy`] where another host holds it.
pub fn busy(app: &AppName, verb: &str, error: LeaseError) -> Error {
    match error {
        LeaseError::HeldBy(by) => {
            let message = format!("cannot {verb} {app}: it is held by {by}");
            match by.delete() {
                Some(delete) => Error::Busy(Hinted::new(message, delete).into()),
                None => Error::busy(message),
            }
        }
        LeaseError::Failed(error) => error.into(),
    }
}

/// What became of a promote that was deferred.
pub fn overruled(app: &AppName) -> String {
    format!(
        "another host moved the cursor of {app} while the store was away, and it stays there; \
         what this host serves meanwhile: bgctl status {app}"
    )
}
