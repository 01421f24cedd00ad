//! Units, over systemd's D-Bus API, in bgctl's own types.

mod bus;
mod explain;
mod job;
mod reload;
mod state;
mod transient;

use std::sync::Arc;
use std::time::{Duration, Instant};

use eyre::WrapErr as _;
use tokio::sync::OnceCell;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, Variant};

use self::bus::{ManagerProxy, ServiceProxy, UnitProxy};
use self::explain::{explain, not_done};
use self::job::Ended;
pub use self::state::{Load, MainExit, UnitState};
pub use self::transient::Transient;
use crate::model::{ActiveState, Hint as _, Hinted, UnitFile, UnitName};

/// How long a job of an instance may take beyond the time that the app itself is given.
pub const JOB_MARGIN: Duration = Duration::from_secs(30);

/// How long systemd may take to answer one call; a daemon-reload on a large host takes seconds.
const CALL: Duration = Duration::from_secs(90);

/// How long systemd may be away from the bus while it executes itself anew.
const AWAY: Duration = Duration::from_secs(20);
/// The time between two attempts to ask it meanwhile.
const AGAIN: Duration = Duration::from_millis(50);

/// How long it may take until a closed connection is known to be one.
const KNOWN: Duration = Duration::from_millis(50);

/// systemd on this host.
#[derive(Clone, Debug)]
pub struct Systemd {
    manager: ManagerProxy<'static>,
    subscribed: Arc<OnceCell<()>>,
}

/// A unit of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUnit {
    /// Its name.
    pub unit: UnitName,
    /// Its description, as it is now.
    pub description: String,
    /// Whether it has a unit file.
    pub load: Load,
    /// `ActiveState`.
    pub active: ActiveState,
    /// `SubState`.
    pub sub: String,
}

impl Systemd {
    /// Connects over the system bus. Fails where the host was not booted with systemd (`sd_booted(3)`), or the bus cannot
    /// be reached.
    pub async fn connect() -> eyre::Result<Self> {
        if !std::path::Path::new("/run/systemd/system").is_dir() {
            return Err(Hinted::new(
                "cannot reach systemd: this host was not booted with it",
                "bgctl needs a host whose init is systemd 252 or newer",
            )
            .into());
        }
        let connection = zbus::connection::Builder::system().method_timeout(CALL).build().await;
        // The error says its cause itself, and a chain would say it twice.
        let connection = connection
            .map_err(|error| eyre::eyre!("cannot reach systemd over the system bus: {error}"))
            .hint("see `systemctl status dbus.socket`")?;
        Self::with_connection(connection).await
    }

    /// Talks to the systemd at the other end of `connection`.
    pub async fn with_connection(connection: Connection) -> eyre::Result<Self> {
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        Ok(Self {
            manager,
            subscribed: Arc::default(),
        })
    }

    /// Starts a unit and waits until it is active. One that is active already is left alone. Fails where its job ends
    /// otherwise, or not within `deadline`.
    pub async fn start(&self, unit: &UnitName, deadline: Duration) -> eyre::Result<()> {
        let call = async || self.manager.start_unit(unit.as_str(), "replace").await;
        self.finish("start", unit, call, deadline, |state| !state.is_down())
            .await
    }

    /// Starts a unit and waits until its start ended well; by then it may have done its work and be down again. Fails as
    /// [`Systemd::start`] does.
    pub async fn launch(&self, unit: &UnitName, deadline: Duration) -> eyre::Result<()> {
        let call = async || self.manager.start_unit(unit.as_str(), "replace").await;
        self.finish("start", unit, call, deadline, |_| true).await
    }

    /// Stops a unit where it runs and starts it, in one job, which systemd brings to its end also where this program dies
    /// meanwhile. Ends and fails as [`Systemd::launch`] does.
    pub async fn relaunch(&self, unit: &UnitName, deadline: Duration) -> eyre::Result<()> {
        let call = async || self.manager.restart_unit(unit.as_str(), "replace").await;
        self.finish("restart", unit, call, deadline, |_| true).await
    }

    /// Stops a unit and waits until it is down. One that is down already may have a start that waits, as between two restarts:
    /// that is cancelled; where systemd cannot load its file there is none. Fails where its job ends otherwise, or not within
    /// `deadline`.
    pub async fn stop(&self, unit: &UnitName, deadline: Duration) -> eyre::Result<()> {
        let call = async || self.manager.stop_unit(unit.as_str(), "replace").await;
        let stopped = self.finish("stop", unit, call, deadline, ActiveState::is_down).await;
        if stopped.is_err() {
            let state = self.state(unit).await?;
            if state.load != Load::Loaded && state.active == ActiveState::Inactive {
                return Ok(());
            }
        }
        stopped
    }

    /// Makes a unit read its own configuration anew, and waits for the end of its reload command. Fails where that fails,
    /// the unit is not active, or it takes longer than `deadline`.
    pub async fn reload_unit(&self, unit: &UnitName, deadline: Duration) -> eyre::Result<()> {
        let call = async || self.manager.reload_unit(unit.as_str(), "replace").await;
        self.finish("reload", unit, call, deadline, |state| !state.is_down())
            .await
    }

    /// Enables units: they start at boot. Says whether that changed anything. Nothing is reloaded: systemd reads the
    /// links when it boots. Whoever is done with that calls [`Systemd::read_links`].
    pub async fn enable(&self, units: &[&UnitName]) -> eyre::Result<bool> {
        let names: Vec<_> = units.iter().map(|unit| unit.as_str()).collect();
        let enable = async || self.manager.enable_unit_files(&names, false, false).await;
        let (_, changes) = self
            .patiently(enable)
            .await
            .map_err(|error| explain("enable", &names.join(", "), &error))?;
        Ok(!changes.is_empty())
    }

    /// Disables units: they do not start at boot. Says whether that changed anything; see [`Systemd::enable`].
    pub async fn disable(&self, units: &[&UnitName]) -> eyre::Result<bool> {
        let names: Vec<_> = units.iter().map(|unit| unit.as_str()).collect();
        let disable = async || self.manager.disable_unit_files(&names, false).await;
        let changes = self
            .patiently(disable)
            .await
            .map_err(|error| explain("disable", &names.join(", "), &error))?;
        Ok(!changes.is_empty())
    }

    /// Whether a unit starts at boot; one without a file does not.
    pub async fn is_enabled(&self, unit: &UnitName) -> eyre::Result<bool> {
        Ok(self.unit_file(unit).await? == UnitFile::Enabled)
    }

    /// Whether a unit starts at boot, or at all; one without a file is disabled.
    pub async fn unit_file(&self, unit: &UnitName) -> eyre::Result<UnitFile> {
        let read = async || self.manager.get_unit_file_state(unit.as_str()).await;
        match self.patiently(read).await {
            Ok(state) => Ok(match state.as_str() {
                "enabled" => UnitFile::Enabled,
                "masked" | "masked-runtime" => UnitFile::Masked,
                _ => UnitFile::Disabled,
            }),
            Err(error) if explain::is_no_such_unit(&error) => Ok(UnitFile::Disabled),
            Err(error) => Err(explain("look at", unit, &error)),
        }
    }

    /// Lets a unit be started again, also where it was masked until the next boot only, and makes systemd know.
    pub async fn unmask(&self, unit: &UnitName) -> eyre::Result<()> {
        for runtime in [false, true] {
            let unmask = async || self.manager.unmask_unit_files(&[unit.as_str()], runtime).await;
            self.patiently(unmask)
                .await
                .map_err(|error| explain("unmask", unit, &error))?;
        }
        self.daemon_reload().await
    }

    /// Forgets that a unit failed, and how often it was started. Does nothing where systemd does not know the unit.
    pub async fn reset_failed(&self, unit: &UnitName) -> eyre::Result<()> {
        let reset = async || self.manager.reset_failed_unit(unit.as_str()).await;
        match self.patiently(reset).await {
            Err(error) if !explain::is_no_such_unit(&error) => Err(explain("reset", unit, &error)),
            _ => Ok(()),
        }
    }

    /// Gives a unit another description, until the next boot.
    pub async fn describe(&self, unit: &UnitName, text: &str) -> eyre::Result<()> {
        let properties = [("Description", Variant::from(text))];
        let set = async || self.manager.set_unit_properties(unit.as_str(), true, &properties).await;
        self.patiently(set)
            .await
            .map_err(|error| explain("describe", unit, &error))
    }

    /// What systemd knows about a service unit; one without a file has [`Load::NotFound`].
    pub async fn state(&self, unit: &UnitName) -> eyre::Result<UnitState> {
        let read = async || {
            let path = self.manager.load_unit(unit.as_str()).await?;
            let service = ServiceProxy::builder(self.connection())
                .path(&path)
                .cache_properties(CacheProperties::No)
                .build();
            let unit = self.unit(&path).await?;
            let mut state = UnitState::read(&unit, &service.await?).await?;
            state.needs_reload = state.needs_reload && self.is_unread(state.fragment.as_deref()).await?;
            eyre::Ok(state)
        };
        let read = self.patiently(read).await;
        read.wrap_err_with(|| format!("cannot read the state of {unit}"))
    }

    /// Only the active state of a unit, faster; one without a file is inactive.
    pub async fn active_state(&self, unit: &UnitName) -> eyre::Result<ActiveState> {
        let read = async || {
            let path = self.manager.load_unit(unit.as_str()).await?;
            state::active_state(&self.unit(&path).await?.active_state().await?)
        };
        let read = self.patiently(read).await;
        read.wrap_err_with(|| format!("cannot read the state of {unit}"))
    }

    /// Id of the last start of user space: the invocation of `basic.target`, which is stopped with all other units by a soft
    /// reboot (bootup(7), systemd-soft-reboot.service(8)). Empty where it was never reached.
    pub async fn user_space(&self) -> eyre::Result<String> {
        let read = async || {
            let path = self.manager.load_unit("basic.target").await?;
            let id = self.unit(&path).await?.invocation_id().await?;
            eyre::Ok(state::hex(&id))
        };
        self.patiently(read)
            .await
            .wrap_err("cannot read the state of basic.target")
    }

    /// All service units in memory whose name matches one of `patterns` (as of a shell, `shop@*.service`), by one call.
    /// Units that are down and that nothing refers to are not in memory.
    pub async fn list(&self, patterns: &[&str]) -> eyre::Result<Vec<ListedUnit>> {
        let list = async || self.manager.list_units_by_patterns(&[], patterns).await;
        let units = self
            .patiently(list)
            .await
            .map_err(|error| explain("list", &"units", &error))?;
        let services = units.into_iter().filter_map(|listed| {
            let (name, description, load, active, sub, ..) = listed;
            let unit = state::service_name(&name)?;
            Some(state::active_state(&active).map(|active| ListedUnit {
                unit,
                description,
                load: Load::from_systemd(load),
                active,
                sub,
            }))
        });
        services.collect()
    }

    /// Whether the bus closed the connection, as it does when it is restarted: nothing can be asked over it any more.
    pub fn is_cut_off(&self) -> bool {
        self.connection().is_closed()
    }

    /// As [`Systemd::is_cut_off`] of who has just seen an error: that a connection is closed can become known a moment after
    /// the error that came of it.
    pub async fn was_cut_off(&self) -> bool {
        tokio::time::timeout(KNOWN, self.connection().closed()).await.is_ok()
    }

    fn connection(&self) -> &Connection {
        self.manager.inner().connection()
    }

    /// What `call` answers, which can be asked twice: it is asked again while systemd is away from the bus.
    async fn patiently<T, E: MaybeAway>(&self, call: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
        let since = Instant::now();
        loop {
            match call().await {
                Err(error) if error.is_away() && since.elapsed() < AWAY && !self.is_cut_off() => {
                    tokio::time::sleep(AGAIN).await;
                }
                answered => return answered,
            }
        }
    }

    async fn unit(&self, path: &OwnedObjectPath) -> zbus::Result<UnitProxy<'static>> {
        UnitProxy::builder(self.connection())
            .path(path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    async fn subscribe(&self) -> zbus::Result<()> {
        match self.manager.subscribe().await {
            Err(error) if explain::is_subscribed(&error) => Ok(()),
            subscribed => subscribed,
        }
    }

    /// Waits for the job that `call` asks for. Returns `None` where it does not end within `deadline`.
    async fn job(
        &self,
        call: impl AsyncFn() -> zbus::Result<OwnedObjectPath>,
        deadline: Duration,
    ) -> Option<zbus::Result<Ended>> {
        let subscribe = async || self.subscribe().await;
        let job = async {
            let subscribed = self.subscribed.get_or_try_init(|| self.patiently(subscribe));
            let ((), signals) = tokio::try_join!(subscribed, self.manager.receive_job_removed())?;
            job::run(&self.manager, signals, self.patiently(call)).await
        };
        tokio::time::timeout(deadline, job).await.ok()
    }

    /// Waits for the job that `call` asks for, and then looks at the unit: a job of a unit whose conditions are not met is
    /// `done` as well.
    async fn finish(
        &self,
        verb: &str,
        unit: &UnitName,
        call: impl AsyncFn() -> zbus::Result<OwnedObjectPath>,
        deadline: Duration,
        good: impl Fn(ActiveState) -> bool,
    ) -> eyre::Result<()> {
        let Some(ended) = self.job(call, deadline).await else {
            return Err(not_done(
                verb,
                unit,
                &format!("it did not end within {deadline:?}"),
                None,
            ));
        };
        let ended = ended.map_err(|error| explain(verb, unit, &error))?;
        let is_good = matches!(&ended, Ended::Unheard) || matches!(&ended, Ended::Result(result) if result == "done");
        if is_good && good(self.active_state(unit).await?) {
            return Ok(());
        }
        let what = match ended {
            Ended::Result(result) if result == "done" => "a condition in its unit file was not met".to_owned(),
            Ended::Result(result) => format!("its job ended with {result:?}"),
            Ended::Unheard => "its job ended".to_owned(),
        };
        let failure = self.state(unit).await?.failure();
        Err(not_done(verb, unit, &what, failure))
    }
}

/// An error that can come of systemd being away from the bus for a moment.
trait MaybeAway {
    fn is_away(&self) -> bool;
}

impl MaybeAway for zbus::Error {
    fn is_away(&self) -> bool {
        explain::is_away(self)
    }
}

impl MaybeAway for eyre::Report {
    fn is_away(&self) -> bool {
        self.downcast_ref().is_some_and(explain::is_away)
    }
}
