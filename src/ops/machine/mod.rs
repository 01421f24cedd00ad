//! The engine's effects on this machine: what each step does here.

mod bake;
mod companions;
mod cursor;
mod facts;
mod instances;
mod lease;
mod logs;
mod repair;
mod staged;
mod traffic;
mod verify;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use eyre::WrapErr as _;

use crate::engine::{Effects, StepError};
use crate::journal::{Baseline, Entry, Event};
use crate::model::{
    App, ByColor, Color, Cursor, Known, Lease, Observed, Port, Release, ReleaseId, Revision, Settings, StateError,
    Stored, UnitName,
};
use crate::plan::{Plan, Step};
use crate::store::{LeaseError, Store};

use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::host::{identity, tell};
use crate::proxy::nginx::hold::Hold;
use crate::proxy::nginx::route;
use crate::state::releases::Releases;
use crate::state::switches::{Log, Switches};
use crate::state::{self, known, pins};

pub use cursor::{Published, lease_of};
pub use facts::{Look, ask};

/// How many lines of its log a failed instance shows.
const LOG_LINES: usize = 15;

/// This machine, for one app.
#[derive(Debug)]
pub struct Machine {
    app: App,
    settings: Settings,
    layout: Layout,
    systemd: Systemd,
    lazy: Arc<lease::LazyStore>,
    /// What this saw of the cursor last.
    seen: RefCell<Option<Stored>>,
    /// Since when the store has not answered.
    silent_since: Cell<Option<Instant>>,
    log: Option<Log>,
    /// Where requests are held, while they are.
    hold: RefCell<Option<Hold>>,
}

impl Machine {
    /// The machine, with a connection to its systemd. The store is opened when it is first needed: a switch past its
    /// promote continues without it.
    pub async fn new(app: App, settings: Settings, layout: Layout) -> eyre::Result<Self> {
        let systemd = Systemd::connect().await?;
        let lazy = lease::LazyStore::new(app.name.clone(), settings.store.clone(), layout.state());
        Ok(Self {
            app,
            settings,
            layout,
            systemd,
            lazy: Arc::new(lazy),
            seen: RefCell::default(),
            silent_since: Cell::default(),
            log: None,
            hold: RefCell::default(),
        })
    }

    /// The same machine, recording the open switch in `log`.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log: Some(log), ..self }
    }

    /// Its systemd.
    pub fn systemd(&self) -> &Systemd {
        &self.systemd
    }

    /// Its store.
    pub async fn store(&self) -> eyre::Result<&Store> {
        self.lazy.store().await
    }

    /// Looks at the app, for a plan, and acquires its lease in the same moment. Errors with [`LeaseError`].
    pub async fn acquire_and_observe(&self, lease: &Lease) -> Result<Observed, LeaseError> {
        let mut taken = None;
        let cursor = async {
            self.acquire_lease(lease).await.or_else(|error| match error {
                LeaseError::Failed(error) => Err(error),
                LeaseError::HeldBy(by) => {
                    taken = Some(by);
                    Ok(None)
                }
            })
        };
        let observed = self.observe(cursor).await;
        match taken {
            Some(by) => Err(LeaseError::HeldBy(by)),
            None => observed.map_err(LeaseError::Failed),
        }
    }

    /// As [`Machine::acquire_and_observe`] without the store: the cursor says what this host serves, or what it last knew where it serves
    /// nothing, at the revision that it last knew.
    pub async fn observe_locally(&self) -> eyre::Result<Observed> {
        let name = &self.app.name;
        let deferred = self.deferred().read()?.and_then(|deferred| deferred.stored());
        let known = || known::read(&self.layout, name);
        let stored = match deferred {
            Some(stored) => stored,
            None => match (self.served()?, known()?) {
                // What was known may be of before the last promote, whose worker was killed.
                (served, Some(Known { revision, .. })) if served.cursor.active.is_some() => {
                    Stored { revision, ..served }
                }
                (_, Some(Known { cursor, revision, .. })) => Stored { cursor, revision },
                (served, None) => served,
            },
        };
        self.observe(async { Ok(Some(stored)) }).await
    }

    /// A cursor that says what this host serves, at no revision.
    fn served(&self) -> eyre::Result<Stored> {
        let active = route::require(&self.routes())?.color();
        let release = active.map(|color| self.pinned(color)).transpose()?.flatten();
        let cursor = Cursor {
            active,
            release,
            moved_by: None,
        };
        let revision = Revision(0);
        Ok(Stored { cursor, revision })
    }

    /// Writes down what this saw of the cursor last, for when the store is away.
    pub fn remember(&self) {
        if let Some(seen) = self.seen.take() {
            known::remember(&self.layout, &self.settings.store, &self.app.name, &seen);
        }
    }

    fn saw(&self, seen: Stored) {
        self.seen.replace(Some(seen));
    }

    /// The store and systemd do not wait for each other.
    async fn observe(&self, cursor: impl Future<Output = eyre::Result<Option<Stored>>>) -> eyre::Result<Observed> {
        let switches = Switches::new(&self.layout, &self.app.name);
        let (cursor, blue, green) = tokio::try_join!(cursor, self.instance(Color::Blue), self.instance(Color::Green))?;
        let active = cursor.as_ref().and_then(|stored| stored.cursor.release.as_ref());
        let previous = switches.previous_release(active)?;
        Ok(Observed {
            cursor,
            route: route::require(&self.routes())?,
            instances: ByColor { blue, green },
            companions: self.companions()?,
            releases: self.releases().list()?,
            previous,
            staged: state::staged::read(&self.layout, &self.app.name)?,
            open: switches.open()?,
            host: host_name()?,
            next_switch: switches.next_id()?,
        })
    }

    fn unit(&self, color: Color) -> UnitName {
        UnitName::instance(&self.app.name, self.port(color))
    }

    fn port(&self, color: Color) -> Port {
        *self.app.ports.get(color)
    }

    fn routes(&self) -> Utf8PathBuf {
        self.layout.route_dir(&self.app.name)
    }

    fn releases(&self) -> Releases {
        Releases::new(&self.layout, &self.app.name)
    }

    fn pinned(&self, color: Color) -> Result<Option<ReleaseId>, StateError> {
        pins::pinned(&self.layout, &self.app.name, self.port(color))
    }

    /// The release that is pinned to a color; fails where nothing is.
    fn pinned_release(&self, color: Color) -> eyre::Result<Release> {
        let id = self
            .pinned(color)?
            .ok_or_else(|| eyre::eyre!("no release is pinned to {color}"))?;
        Ok(self.releases().read(&id)?)
    }

    fn pin(&self, color: Color, release: Option<&ReleaseId>) -> eyre::Result<()> {
        let (layout, name) = (&self.layout, &self.app.name);
        let Some(id) = release else {
            return pins::unpin(layout, name, self.port(color));
        };
        pins::pin(layout, &self.app, color, &self.releases().read(id)?)
    }

    async fn try_perform(
        &self,
        plan: &Plan,
        step: &Step,
        baseline: Option<&Baseline>,
    ) -> Result<Option<String>, StepError> {
        match step {
            Step::Pin { color, release } => self.pin(*color, release.as_ref())?,
            Step::Start { color, health } => return Ok(self.start_release(*color, health).await?),
            Step::Stop { color, timeout } => return Ok(self.stop(*color, *timeout).await?),
            Step::Verify {
                color,
                release,
                previous,
                verify,
            } => self.verify(*color, release, previous.as_ref(), verify).await?,
            Step::Enable { color } => self.systemd.enable(&[&self.unit(*color)]).await.map(drop)?,
            Step::Disable { color } => self.systemd.disable(&[&self.unit(*color)]).await.map(drop)?,
            Step::Stage {
                color,
                release,
                expires,
            } => self.stage(*color, release, *expires).await?,
            Step::Restage { staged } => self.restage(staged).await?,
            Step::Unstage { .. } => self.unstage()?,
            Step::Prove { color, release, unit } => {
                let proven = self.prove(*color, release, unit.as_deref()).await;
                proven.wrap_err_with(|| format!("cannot promote {color}"))?;
            }
            Step::Revive { color, health } => self.revive(*color, health).await?,
            Step::Promote { expected, to, release } => self.promote(plan, *expected, *to, release).await?,
            Step::Demote { expected, to, release } => self.demote(plan, *expected, *to, release.as_ref()).await?,
            Step::Defer { expected, to, release } => self.defer(plan, *expected, *to, release)?,
            Step::Recall => self.recall(plan)?,
            Step::Route { to } => return Ok(self.route(*to).await?),
            Step::Hold { limit, prove } => self.hold(*limit, *prove).await?,
            Step::Confirm { color, health } => self.confirm(*color, *health).await?,
            Step::Bake {
                color,
                duration,
                health,
            } => self.bake(*color, *duration, health, baseline).await?,
            Step::Await { color, within, health } => {
                self.await_confirmation(plan, *color, *within, health, baseline).await?;
            }
            Step::StopCompanions {
                color,
                replicas,
                timeout,
            } => return Ok(self.stop_companions(*color, replicas, *timeout).await?),
            Step::StartCompanions {
                color,
                release,
                replicas,
                stay_up,
            } => return Ok(self.start_companions(*color, release, replicas, *stay_up).await?),
            Step::Drain { color, timeout } => return Ok(self.drain(*color, *timeout).await?),
        }
        Ok(None)
    }
}

impl Effects for Machine {
    async fn baseline(&self, step: &Step) -> Option<Baseline> {
        match step {
            Step::Bake { color, .. } | Step::Await { color, .. } => self.watch_baseline(*color).await.ok(),
            _ => None,
        }
    }

    async fn perform(
        &self,
        plan: &Plan,
        step: &Step,
        baseline: Option<&Baseline>,
    ) -> Result<Option<String>, StepError> {
        match self.try_perform(plan, step, baseline).await {
            Err(StepError::Untouched(error) | StepError::Failed(error)) if self.systemd.was_cut_off().await => {
                Err(StepError::BusLost(error))
            }
            performed => performed,
        }
    }

    fn record(&mut self, event: Event) -> eyre::Result<Entry> {
        let log = self
            .log
            .as_mut()
            .ok_or_else(|| eyre::eyre!("cannot record {event:?}: no switch is open"))?;
        log.append(event)
    }

    fn announce(&self, status: &str) {
        tracing::info!("{status}");
        tell(status);
    }

    async fn pause(&self, failures: u32) {
        let pause = Duration::from_millis(250) * 2_u32.saturating_pow(failures.saturating_sub(1));
        tokio::time::sleep(pause.min(Duration::from_secs(5))).await;
    }
}

/// As whom this host moves cursors and holds leases.
pub fn host_name() -> eyre::Result<String> {
    Ok(identity::read()?.id)
}
