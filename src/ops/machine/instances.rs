//! The instances of an app: what runs in a color, and its start and stop.

use std::time::{Duration, Instant};

use crate::engine::Effects as _;
use crate::host::systemd;
use crate::model::{ActiveState, Color, HealthCheck, Hinted, InstanceState, ReleaseId, Runtime, UnitName};
use crate::ops::instance::Instance;
use crate::ops::program;
use crate::proxy::nginx::route;
use crate::runtime::docker::{Docker, container_name};
use crate::state::staged;

use super::{LOG_LINES, Machine, logs};

impl Machine {
    /// The name of a color's container.
    pub(super) fn container(&self, color: Color) -> String {
        container_name(&self.app.name, self.port(color))
    }

    /// What runs in a color, to be asked by `health`.
    pub(super) async fn running(&self, color: Color, health: &HealthCheck) -> Instance {
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

    pub(super) async fn instance(&self, color: Color) -> eyre::Result<InstanceState> {
        let unit = self.unit(color);
        let (state, enabled) = tokio::try_join!(self.systemd.active_state(&unit), self.systemd.is_enabled(&unit))?;
        Ok(InstanceState {
            state,
            enabled,
            pinned: self.pinned(color)?,
        })
    }

    /// Starts what is pinned to a color, for a switch. Returns what is worth knowing. Errors where it would be another program than
    /// the release was made of, and that is to be refused.
    pub(super) async fn start_release(&self, color: Color, health: &HealthCheck) -> eyre::Result<Option<String>> {
        let is_up = self.systemd.active_state(&self.unit(color)).await? == ActiveState::Active;
        let note = match self.app.run.runtime {
            Runtime::Program(_) if !is_up => program::require_unchanged(&self.app, &self.pinned_release(color)?)?,
            Runtime::Program(_) | Runtime::Docker(_) => None,
        };
        self.start(color, health).await?;
        Ok(note)
    }

    pub(super) async fn start(&self, color: Color, health: &HealthCheck) -> eyre::Result<()> {
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
    pub(super) async fn describe(&self, color: Color) {
        if let Err(error) = self.try_describe(color).await {
            tracing::warn!("{error:#}");
        }
    }

    /// The same, but for a color that is down, of which `systemctl status` then tells nothing.
    pub(super) async fn describe_if_up(&self, color: Color) {
        match self.systemd.active_state(&self.unit(color)).await {
            Ok(state) if state.is_down() => {}
            _ => self.describe(color).await,
        }
    }

    async fn try_describe(&self, color: Color) -> eyre::Result<()> {
        let release = self.pinned(color)?;
        let is_active = route::require(&self.routes())?.serves(color);
        let is_staged = || staged::read(&self.layout, &self.app.name);
        let role = match is_active {
            true => "active",
            false if is_staged()?.is_some_and(|staged| staged.color == color) => "staged",
            false => "idle",
        };
        let release = release.as_ref().map_or("no release", ReleaseId::as_str);
        let text = format!("{} {color} ({role}): {release}", self.app.name);
        self.systemd.describe(&self.unit(color), &text).await
    }

    /// Returns what is worth knowing about it.
    pub(super) async fn stop(&self, color: Color, timeout: Duration) -> eyre::Result<Option<String>> {
        let unit = self.unit(color);
        if route::require(&self.routes())?.serves(color) {
            eyre::bail!("cannot stop {unit}: nginx sends requests to it");
        }
        let was_killed = self.stop_unit(&unit, &self.container(color), timeout).await?;
        Ok(was_killed.then(|| format!("it did not end within {timeout:?} of being asked to, and was killed")))
    }

    /// Stops a unit, of which `container` is the name where it runs one; whether it had to be killed.
    pub(super) async fn stop_unit(&self, unit: &UnitName, container: &str, timeout: Duration) -> eyre::Result<bool> {
        self.systemd.stop(unit, timeout + systemd::JOB_MARGIN).await?;
        let was_killed = self.systemd.state(unit).await?.was_killed_to_stop();
        self.systemd.reset_failed(unit).await?;
        if let Runtime::Docker(_) = self.app.run.runtime {
            self.require_gone(unit, container).await?;
        }
        Ok(was_killed)
    }

    /// The unit is only the client of the engine: a container whose process does not end outlives it. One that ended and could not
    /// be removed by the unit is removed. Where no engine answers nothing is known: the worker tidies up when it answers again.
    async fn require_gone(&self, unit: &UnitName, container: &str) -> eyre::Result<()> {
        let Ok(docker) = Docker::connect(&self.settings.docker.socket).await else {
            return Ok(());
        };
        if !docker.remove_stopped(container).await? {
            return Ok(());
        }
        let message = format!("cannot stop {unit}: its container {container} still runs");
        let hint = format!(
            "`docker kill {container}` ends it; where it does not, `docker top {container}` tells what does not end"
        );
        Err(Hinted::new(message, hint).into())
    }
}
