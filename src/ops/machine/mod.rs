//! The engine's effects on this machine: what each step does here.

mod bake;
mod cursor;
mod facts;
mod lease;
mod logs;
mod repair;
mod traffic;
mod verify;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use crate::engine::{Effects, StepError};
use crate::journal::{Baseline, Entry, Event};
use crate::model::{
    ActiveState, App, ByColor, Color, Cursor, HealthCheck, Hinted, InstanceState, Known, Lease, Observed, Port,
    Release, ReleaseId, Revision, Runtime, Settings, Stored, UnitName,
};
use crate::plan::{Plan, Step};
use crate::store::{LeaseError, Store};

use crate::host::layout::Layout;
use crate::host::systemd::{self, Systemd};
use crate::host::{identity, tell};
use crate::ops::instance::Instance;
use crate::ops::program;
use crate::proxy::nginx::route;
use crate::state::releases::Releases;
use crate::state::switches::{Log, Switches};
use crate::state::{known, pins};

pub use cursor::{Published, lease_of};
pub use facts::ask;

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
}

impl Machine {
    /// The machine, with a connection to its systemd. The store is opened when it is first needed: a switch past its
    /// promote goes on without it.
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
        let observed = self.look(cursor).await;
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
        self.look(async { Ok(Some(stored)) }).await
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
    async fn look(&self, cursor: impl Future<Output = eyre::Result<Option<Stored>>>) -> eyre::Result<Observed> {
        let switches = Switches::new(&self.layout, &self.app.name);
        let (cursor, blue, green) = tokio::try_join!(cursor, self.instance(Color::Blue), self.instance(Color::Green))?;
        let active = cursor.as_ref().and_then(|stored| stored.cursor.release.as_ref());
        let previous = switches.previous_release(active)?;
        Ok(Observed {
            cursor,
            route: route::require(&self.routes())?,
            instances: ByColor { blue, green },
            releases: self.releases().list()?,
            previous,
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

    fn pinned(&self, color: Color) -> eyre::Result<Option<ReleaseId>> {
        pins::pinned(&self.layout, &self.app.name, self.port(color))
    }

    /// The release that is pinned to a color; fails where nothing is.
    fn pinned_release(&self, color: Color) -> eyre::Result<Release> {
        let id = self
            .pinned(color)?
            .ok_or_else(|| eyre::eyre!("no release is pinned to {color}"))?;
        self.releases().read(&id)
    }

    /// What runs in a color, to be asked by `health`.
    async fn running(&self, color: Color, health: &HealthCheck) -> Instance {
        let port = self.port(color);
        if !Instance::looks_inside(health) {
            return Instance::on(port);
        }
        let inside = match self.pinned_release(color) {
            Ok(release) => release.artifact.inside(port),
            // Its record is lost.
            Err(_) => self.app.run.runtime.inside(port),
        };
        Instance::of(&self.settings.docker.socket, &self.app.name, port, inside, health).await
    }

    async fn instance(&self, color: Color) -> eyre::Result<InstanceState> {
        let unit = self.unit(color);
        let (state, enabled) = tokio::try_join!(self.systemd.active_state(&unit), self.systemd.is_enabled(&unit))?;
        Ok(InstanceState {
            state,
            enabled,
            pinned: self.pinned(color)?,
        })
    }

    fn pin(&self, color: Color, release: Option<&ReleaseId>) -> eyre::Result<()> {
        let (layout, name) = (&self.layout, &self.app.name);
        let Some(id) = release else {
            return pins::unpin(layout, name, self.port(color));
        };
        pins::pin(layout, &self.app, color, &self.releases().read(id)?)
    }

    /// Starts what is pinned to a color, for a switch. Returns what is worth knowing. Errors where it would be another program than
    /// the release was made of, and that is to be refused.
    async fn start_release(&self, color: Color, health: &HealthCheck) -> eyre::Result<Option<String>> {
        let is_up = self.systemd.active_state(&self.unit(color)).await? == ActiveState::Active;
        let note = match self.app.run.runtime {
            Runtime::Program(_) if !is_up => program::require_unchanged(&self.app, &self.pinned_release(color)?)?,
            Runtime::Program(_) | Runtime::Docker(_) => None,
        };
        self.start(color, health).await?;
        Ok(note)
    }

    async fn start(&self, color: Color, health: &HealthCheck) -> eyre::Result<()> {
        let unit = self.unit(color);
        let was_up = self.systemd.active_state(&unit).await? == ActiveState::Active;
        let began = Instant::now();
        let started = async {
            // systemd takes the description while it starts the unit.
            let start = self.systemd.start(&unit, health.deadline + systemd::JOB_MARGIN);
            let ((), started) = tokio::join!(self.describe(color), start);
            started?;
            // systemd leaves alone what runs, and what runs may hang; and a unit that somebody adapted may have no gate.
            let mut health = health.clone();
            if !was_up {
                health.healthy_for = Duration::ZERO;
            }
            let instance = self.running(color, &health).await;
            instance.wait(&health, began, |status| self.announce(status)).await?;
            // What answered may be somebody else, who has the port that this one would need.
            let state = self.systemd.active_state(&unit).await?;
            if state.is_down() || state == ActiveState::Activating {
                let port = self.port(color);
                let message = format!(
                    "cannot start {unit}: it is {state}; what answered on port {port} was another process, or ended since"
                );
                return Err(Hinted::new(message, format!("`ss -ltnp sport = :{port}` tells who has the port")).into());
            }
            eyre::Ok(())
        };
        match started.await {
            Ok(()) => Ok(()),
            Err(error) => Err(logs::attach(error, &self.systemd, &unit, LOG_LINES).await),
        }
    }

    /// Says in `systemctl status` what runs in a color, and as what. No switch fails for not being able to say so.
    async fn describe(&self, color: Color) {
        if let Err(error) = self.try_describe(color).await {
            tracing::warn!("{error:#}");
        }
    }

    /// The same, but for a color that is down, of which `systemctl status` then tells nothing.
    async fn describe_if_up(&self, color: Color) {
        match self.systemd.active_state(&self.unit(color)).await {
            Ok(state) if state.is_down() => {}
            _ => self.describe(color).await,
        }
    }

    async fn try_describe(&self, color: Color) -> eyre::Result<()> {
        let release = self.pinned(color)?;
        let is_active = route::require(&self.routes())?.serves(color);
        let role = if is_active { "active" } else { "idle" };
        let release = release.as_ref().map_or("no release", ReleaseId::as_str);
        let text = format!("{} {color} ({role}): {release}", self.app.name);
        self.systemd.describe(&self.unit(color), &text).await
    }

    /// Returns what is worth knowing about it.
    async fn stop(&self, color: Color, timeout: Duration) -> eyre::Result<Option<String>> {
        let unit = self.unit(color);
        if route::require(&self.routes())?.serves(color) {
            eyre::bail!("cannot stop {unit}: nginx sends requests to it");
        }
        self.systemd.stop(&unit, timeout + systemd::JOB_MARGIN).await?;
        let was_killed = self.systemd.state(&unit).await?.was_killed_to_stop();
        self.systemd.reset_failed(&unit).await?;
        Ok(was_killed.then(|| format!("it did not end within {timeout:?} of being asked to, and was killed")))
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
                commands,
                timeout,
            } => {
                let app = &self.app;
                verify::run(app, *color, release, commands, *timeout).await?;
            }
            Step::Enable { color } => self.systemd.enable(&[&self.unit(*color)]).await.map(drop)?,
            Step::Disable { color } => self.systemd.disable(&[&self.unit(*color)]).await.map(drop)?,
            Step::Promote { expected, to, release } => self.promote(plan, *expected, *to, release).await?,
            Step::Demote { expected, to, release } => self.demote(plan, *expected, *to, release.as_ref()).await?,
            Step::Defer { expected, to, release } => self.defer(plan, *expected, *to, release)?,
            Step::Recall => self.recall(plan)?,
            Step::Route { to } => self.route(*to).await?,
            Step::Confirm { color, health } => self.confirm(*color, *health).await?,
            Step::Bake {
                color,
                duration,
                health,
            } => self.bake(*color, *duration, health, baseline).await?,
            Step::Drain { color, timeout } => return Ok(self.drain(*color, *timeout).await?),
        }
        Ok(None)
    }
}

impl Effects for Machine {
    async fn baseline(&self, step: &Step) -> Option<Baseline> {
        match step {
            Step::Bake { color, .. } => self.bake_baseline(*color).await.ok(),
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
