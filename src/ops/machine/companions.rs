//! The companions of an app: what runs beside the instance of its active color.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use crate::drift::{CompanionFact, Pin};
use crate::host::systemd::{self, UnitState};
use crate::model::{ActiveState, ByColor, Color, Release, ReleaseId, Replica, Runtime, StateError, UnitName, in_words};
use crate::ops::program;
use crate::plan;
use crate::runtime::docker::{Docker, companion_container};
use crate::state::companions;

use super::{LOG_LINES, Machine, logs};

/// How long one may take until it runs, its container too.
const START: Duration = Duration::from_secs(60);
/// How often one that must stay up is looked at.
const LOOK: Duration = Duration::from_millis(100);

impl Machine {
    fn companion(&self, color: Color, replica: &Replica) -> UnitName {
        UnitName::companion(&self.app.name, color, replica)
    }

    /// Those that were started and not stopped since.
    pub(super) fn companions(&self) -> eyre::Result<ByColor<Vec<Replica>>> {
        companions::list(&self.layout, &self.app.name)
    }

    /// Stops those of `replicas` that run, all at once. Returns what is worth knowing.
    pub(super) async fn stop_companions(
        &self,
        color: Color,
        replicas: &[Replica],
        timeout: Duration,
    ) -> eyre::Result<Option<String>> {
        // Before any of them is stopped: a reboot from here on brings none back.
        for replica in replicas {
            let unit = self.companion(color, replica);
            if self.systemd.is_enabled(&unit).await? {
                self.systemd.disable(&[&unit]).await?;
            }
        }
        let stops = replicas
            .iter()
            .map(|replica| self.stop_companion(color, replica, timeout));
        let stopped = join_all(stops).await.into_iter().collect::<eyre::Result<Vec<_>>>()?;
        let killed: Vec<_> = stopped.into_iter().flatten().collect();
        Ok((!killed.is_empty()).then(|| {
            format!(
                "{} did not end within the stop_timeout of being asked to, and was killed",
                in_words(&killed)
            )
        }))
    }

    /// Returns it where it had to be killed.
    async fn stop_companion(
        &self,
        color: Color,
        replica: &Replica,
        timeout: Duration,
    ) -> eyre::Result<Option<Replica>> {
        let unit = self.companion(color, replica);
        let container = companion_container(&self.app.name, color, replica);
        let was_killed = self.stop_unit(&unit, &container, timeout).await?;
        companions::remove(&self.layout, &self.app.name, color, replica)?;
        Ok(was_killed.then(|| replica.clone()))
    }

    /// Starts those of `replicas` that do not run as `release` has them, all at once, and sees whether they stay up. Returns what is
    /// worth knowing.
    pub(super) async fn start_companions(
        &self,
        color: Color,
        release: &ReleaseId,
        replicas: &[Replica],
        stay_up: Duration,
    ) -> eyre::Result<Option<String>> {
        let release = self.releases().read(release)?;
        let note = self.note_of_program(&release, stay_up)?;
        for replica in replicas {
            self.prepare_companion(color, &release, replica).await?;
        }
        let units: Vec<_> = replicas.iter().map(|replica| self.companion(color, replica)).collect();
        self.systemd.enable(&units.iter().collect::<Vec<_>>()).await?;
        let starts = replicas
            .iter()
            .map(|replica| self.start_companion(color, replica, stay_up));
        try_join_all(starts).await?;
        Ok(note)
    }

    /// Errors where it would be another program than the release was made of, and that is to be refused; but never of those that are
    /// put back, as systemd would start them after a crash: without them nobody would do their work, and the switch be stuck.
    fn note_of_program(&self, release: &Release, stay_up: Duration) -> eyre::Result<Option<String>> {
        if let Runtime::Docker(_) = self.app.run.runtime {
            return Ok(None);
        }
        if !stay_up.is_zero() {
            return program::require_unchanged(&self.app, release);
        }
        if let Ok(Some(path)) = program::changed(release) {
            let id = &release.id;
            tracing::warn!(
                "{path} was changed since release {id} was made of it: its companions run what is there now"
            );
        }
        Ok(None)
    }

    /// Its file is there, and nothing else runs in its unit.
    async fn prepare_companion(&self, color: Color, release: &Release, replica: &Replica) -> eyre::Result<()> {
        let (layout, name) = (&self.layout, &self.app.name);
        let unit = self.companion(color, replica);
        let is_same = matches!(companions::read(layout, name, color, replica), Ok(Some(id)) if id == release.id);
        if !is_same && !self.systemd.active_state(&unit).await?.is_down() {
            let patience = plan::companion_patience(&self.app, &[]) + systemd::JOB_MARGIN;
            self.systemd.stop(&unit, patience).await?;
        }
        companions::put(layout, &self.app, color, release, replica).map(drop)
    }

    async fn start_companion(&self, color: Color, replica: &Replica, stay_up: Duration) -> eyre::Result<()> {
        let unit = self.companion(color, replica);
        let started = async {
            self.systemd.start(&unit, START + systemd::JOB_MARGIN).await?;
            if stay_up.is_zero() {
                return Ok(());
            }
            self.watch_companion(&unit, color, replica, stay_up).await
        };
        match started.await {
            Ok(()) => Ok(()),
            Err(error) => Err(logs::attach(error, &self.systemd, &unit, LOG_LINES).await),
        }
    }

    /// Errors where it does not stay up for as long as `stay_up`, which begins when its container runs.
    async fn watch_companion(
        &self,
        unit: &UnitName,
        color: Color,
        replica: &Replica,
        stay_up: Duration,
    ) -> eyre::Result<()> {
        let first = self.systemd.state(unit).await?;
        let (began, mut since) = (Instant::now(), None);
        loop {
            let state = self.systemd.state(unit).await?;
            if let Some(why) = is_down(&state, &first) {
                eyre::bail!("cannot start {unit}: it did not stay up: {why}");
            }
            if since.is_none() && self.has_begun(color, replica).await? {
                since = Some(Instant::now());
            }
            match since {
                Some(since) if since.elapsed() >= stay_up => return Ok(()),
                None if began.elapsed() > START => {
                    eyre::bail!("cannot start {unit}: its container did not run within {START:?}")
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Whether a container runs, where it is one.
    async fn has_begun(&self, color: Color, replica: &Replica) -> eyre::Result<bool> {
        match self.app.run.runtime {
            Runtime::Program(_) => Ok(true),
            Runtime::Docker(_) => {
                let docker = Docker::connect(&self.settings.docker.socket).await?;
                let name = companion_container(&self.app.name, color, replica);
                docker.is_running(&name).await
            }
        }
    }

    /// Starts those that the release of `color` has, as a repair: one that ends by a fault of its own is not the host's.
    pub(super) async fn start_companions_again(&self, color: Color) -> eyre::Result<Vec<String>> {
        let release = self.pinned_release(color)?;
        let replicas = Replica::of(&release.companions);
        let note = self
            .start_companions(color, &release.id, &replicas, Duration::ZERO)
            .await?;
        self.systemd.read_links().await?;
        Ok(note.into_iter().collect())
    }

    /// Stops those that are not to run, as a repair.
    pub(super) async fn stop_companions_again(&self, color: Color, replicas: &[Replica]) -> eyre::Result<Vec<String>> {
        let releases = self.releases().list().unwrap_or_default();
        let timeout = plan::companion_patience(&self.app, &releases);
        let note = self.stop_companions(color, replicas, timeout).await?;
        self.systemd.read_links().await?;
        Ok(note.into_iter().collect())
    }

    /// Those of a color that are to run, have a file, or are known to systemd.
    pub(super) async fn companion_facts(&self, color: Color) -> eyre::Result<Vec<(CompanionFact, UnitState)>> {
        let name = &self.app.name;
        let release = self.pinned_release(color).ok();
        let wanted = release
            .map(|release| Replica::of(&release.companions))
            .unwrap_or_default();
        let listed = self.systemd.list(&[&format!("{name}_*@{color}-*.service")]).await?;
        let mut all = wanted.clone();
        all.extend(self.companions()?.get(color).iter().cloned());
        all.extend(listed.iter().filter_map(|listed| listed.unit.as_companion(name, color)));
        all.sort();
        all.dedup();
        let facts = all.into_iter().map(async |replica| {
            let unit = self.companion(color, &replica);
            let state = self.systemd.state(&unit).await?;
            let fact = CompanionFact {
                unit_file: self.systemd.unit_file(&unit).await?,
                state: state.active,
                file: self.companion_file(color, &replica)?,
                is_wanted: wanted.contains(&replica),
                replica,
                unit,
            };
            eyre::Ok((fact, state))
        });
        try_join_all(facts).await
    }

    fn companion_file(&self, color: Color, replica: &Replica) -> eyre::Result<Pin> {
        match companions::read(&self.layout, &self.app.name, color, replica) {
            Ok(None) => Ok(Pin::Nothing),
            Ok(Some(id)) => Ok(Pin::Release(id)),
            Err(StateError::Newer(error)) => Err(error),
            Err(StateError::Damaged(error) | StateError::Failed(error)) => Ok(Pin::Broken(format!("{error:#}"))),
        }
    }
}

/// Why one is not up any more.
fn is_down(state: &UnitState, first: &UnitState) -> Option<String> {
    let failure = || state.failure().map(|why| format!(", {why}")).unwrap_or_default();
    if state.active != ActiveState::Active {
        return Some(format!("it is {}{}", state.active, failure()));
    }
    (state.invocation != first.invocation).then(|| format!("systemd restarted it{}", failure()))
}
