//! What puts right what somebody changed by hand, or a disk damaged.

use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::drift::{CursorFact, Facts, Pin, Repair};
use crate::engine::Effects as _;
use crate::files;
use crate::host::systemd::JOB_MARGIN;
use crate::model::{Artifact, Color, Cursor, Hinted, Pull, ReleaseId, ResolvedImage, Stored, UnitName};
use crate::ops::install::{self, Files, Put};
use crate::proxy::nginx::route;
use crate::runtime::docker::Docker;
use crate::state::saved;
use crate::state::switches::Switches;
use crate::store::SetError;

use super::{LOG_LINES, Machine, Published, host_name, logs};

impl Machine {
    /// Does one thing of a repair that was decided on `facts`; says what is worth knowing about it, a line each. Can be done
    /// twice. The app's lock is held, and no switch is open that could be resumed.
    pub async fn repair(&self, repair: &Repair, facts: &Facts, files: &Files) -> eyre::Result<Vec<String>> {
        match repair {
            Repair::GiveUpSwitch => self.give_up_switch().await?,
            Repair::SetAside(path) => {
                let kept = saved::put_aside(&self.layout, path)?;
                return Ok(kept.iter().map(|kept| format!("it is in {kept}")).collect());
            }
            Repair::MakeRoute(to) => {
                files::ensure_dir(&self.layout.routes(), 0o755)?;
                route::make(&self.routes())?;
                route::set(&self.routes(), *to).map(drop)?;
            }
            Repair::Unmask(unit) => self.systemd.unmask(unit).await?,
            Repair::Write => return self.write(files).await,
            Repair::Pin(color, release) => return self.pin_again(*color, release.as_ref(), facts),
            Repair::Start(color) => self.start_again(*color).await?,
            Repair::Enable(color) => {
                self.systemd.enable(&[&self.unit(*color)]).await?;
                self.systemd.read_links().await?;
            }
            Repair::Route(to) => return Ok(self.route(*to).await?.into_iter().collect()),
            Repair::Cursor(active, release) => return self.set_cursor(*active, release.as_ref(), facts).await,
            Repair::Publish => return self.publish_deferred().await,
            Repair::Unstage => self.unstage()?,
            Repair::Disable(color) => {
                self.systemd.disable(&[&self.unit(*color)]).await?;
                self.systemd.read_links().await?;
            }
            Repair::Drain(color, timeout) => return Ok(self.drain(*color, *timeout).await?.into_iter().collect()),
            Repair::StopCompanions(color, replicas) => return self.stop_companions_again(*color, replicas).await,
            Repair::StartCompanions(color) => return self.start_companions_again(*color).await,
            Repair::Clear(color) | Repair::Stop(color) => {
                return Ok(self
                    .stop(*color, self.app.run.stop_timeout)
                    .await?
                    .into_iter()
                    .collect());
            }
        }
        Ok(Vec::new())
    }

    /// Its worker cannot do anything with it, and is started again and again.
    async fn give_up_switch(&self) -> eyre::Result<()> {
        let worker = UnitName::switch(&self.app.name);
        self.systemd.stop(&worker, JOB_MARGIN).await?;
        self.systemd.reset_failed(&worker).await?;
        Switches::new(&self.layout, &self.app.name).give_up(&self.layout)
    }

    /// Writes what install would. What a person wrote is kept.
    async fn write(&self, files: &Files) -> eyre::Result<Vec<String>> {
        let mut said = Vec::new();
        for change in files
            .rendered()
            .filter(|change| install::not_ours(&self.app.name, change).is_some())
        {
            let kept = saved::copy(&self.layout, &change.path)?;
            said.extend(kept.map(|kept| format!("kept what was changed by hand in {kept}")));
        }
        let put = Put {
            app: &self.app,
            settings: &self.settings,
            layout: &self.layout,
            systemd: &self.systemd,
            store: None,
            is_new: false,
            may_restart: false,
        };
        said.extend(install::put(&put, files).await?);
        Ok(said)
    }

    fn pin_again(&self, color: Color, release: Option<&ReleaseId>, facts: &Facts) -> eyre::Result<Vec<String>> {
        let mut said = Vec::new();
        if matches!(facts.colors.get(color).pinned, Pin::Broken(_)) {
            let path = self.layout.env_file(&self.app.name, self.port(color));
            let kept = saved::copy(&self.layout, &path)?;
            said.extend(kept.map(|kept| format!("kept what was there in {kept}")));
        }
        self.pin(color, release)?;
        Ok(said)
    }

    /// As a switch does; a release whose record is lost is started all the same, since users wait for it.
    async fn start_again(&self, color: Color) -> eyre::Result<()> {
        let unit = self.unit(color);
        self.systemd.reset_failed(&unit).await?;
        let Ok(release) = self.pinned_release(color) else {
            let mut health = self.app.health.clone();
            // The unit itself waited for that long.
            health.healthy_for = Duration::ZERO;
            let began = Instant::now();
            let started = async {
                self.systemd.start(&unit, health.deadline + JOB_MARGIN).await?;
                let instance = self.running(color, &health).await;
                instance.wait(&health, began, |status| self.announce(status)).await
            };
            return match started.await {
                Ok(_) => Ok(()),
                Err(error) => Err(logs::attach(error, &self.systemd, &unit, LOG_LINES).await),
            };
        };
        if let Artifact::Image { image, .. } = &release.artifact {
            self.require_image(image)
                .await
                .wrap_err_with(|| format!("cannot start {unit}"))?;
        }
        self.start(color, &release.health).await
    }

    /// Somebody may have cleaned up images since it was started.
    async fn require_image(&self, image: &ResolvedImage) -> eyre::Result<()> {
        let docker = Docker::connect(&self.settings.docker.socket).await?;
        docker
            .resolve(&image.reference()?, Pull::Missing, &mut |_| {})
            .await
            .map(drop)
    }

    /// Moves the cursor from what was seen; one that is missing or broken is written anew.
    async fn set_cursor(
        &self,
        active: Option<Color>,
        release: Option<&ReleaseId>,
        facts: &Facts,
    ) -> eyre::Result<Vec<String>> {
        let (app, ports) = (&self.app.name, &self.app.ports);
        let cursor = Cursor {
            active,
            release: release.cloned(),
            moved_by: Some(format!("{}/repair", host_name()?)),
        };
        let mut said = Vec::new();
        let store = self.store().await?;
        let moved = match &facts.cursor {
            CursorFact::Is(stored) => store.compare_and_set(app, ports, stored.revision, &cursor).await,
            CursorFact::Broken(_) => {
                let kept = saved::copy(&self.layout, &self.layout.cursor(app))?;
                said.extend(kept.map(|kept| format!("kept what was there in {kept}")));
                store.replace(app, ports, &cursor).await
            }
            CursorFact::Missing | CursorFact::Unknown { .. } => store.replace(app, ports, &cursor).await,
        };
        match moved {
            Ok(revision) => {
                self.saw(Stored { cursor, revision });
                Ok(said)
            }
            Err(SetError::Conflict(_) | SetError::LeaseLost(_)) => Err(Hinted::new(
                format!("cannot move the cursor of {app}: somebody moved it at the same time"),
                format!("look at what is active now: bgctl status {app}"),
            )
            .into()),
            Err(SetError::Refused(error) | SetError::Unknown(error)) => Err(error),
        }
    }

    async fn publish_deferred(&self) -> eyre::Result<Vec<String>> {
        Ok(match self.publish().await? {
            Some(Published::Overruled(Some(_))) => {
                vec!["another host moved the cursor meanwhile, and it stays there".to_owned()]
            }
            Some(Published::Overruled(None) | Published::Moved(_)) | None => Vec::new(),
        })
    }
}
