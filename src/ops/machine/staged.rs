//! What is staged: the record of it, and the proof that it still is what was staged.

use std::time::Duration;

use eyre::WrapErr as _;
use jiff::Timestamp;

use crate::files;
use crate::model::{ActiveState, Artifact, Color, HealthCheck, Hinted, Release, ReleaseId, Staged, sealed};
use crate::ops::program;
use crate::render;
use crate::runtime::docker::Docker;
use crate::state::staged;

use super::{LOG_LINES, Machine, facts, logs};

impl Machine {
    /// Puts on record that `release` is staged in `color` from now on.
    pub(super) async fn stage(&self, color: Color, release: &ReleaseId, expires: Option<Duration>) -> eyre::Result<()> {
        let since = Timestamp::now();
        let until = expires.map(|expires| since.checked_add(expires)).transpose()?;
        let staged = Staged {
            color,
            release: release.clone(),
            since,
            until,
            unit: self.unit_sum()?,
        };
        self.restage(&staged).await
    }

    /// Puts on record what was there.
    pub(super) async fn restage(&self, staged: &Staged) -> eyre::Result<()> {
        staged::write(&self.layout, &self.app.name, staged)?;
        self.describe_if_up(staged.color).await;
        Ok(())
    }

    /// Removes what is on record.
    pub(super) fn unstage(&self) -> eyre::Result<()> {
        staged::remove(&self.layout, &self.app.name)
    }

    /// Starts again what was staged. That it does not start is a warning: a switch that is rolled back must not be stuck for it.
    pub(super) async fn revive(&self, color: Color, health: &HealthCheck) -> eyre::Result<()> {
        match self.start(color, health).await {
            Err(error) if !self.systemd.was_cut_off().await => {
                tracing::warn!("{error:#}");
                Ok(())
            }
            started => started,
        }
    }

    /// Errors where `color` does not run `release`, or would not after a restart, just as it was staged: with the settings, the unit,
    /// and the program or the image that it had then. `unit` is the sum of the template unit then.
    pub async fn prove(&self, color: Color, release: &ReleaseId, unit: Option<&str>) -> eyre::Result<()> {
        let changed = |what: &str| {
            let app = &self.app.name;
            let hint = format!("stage it anew, as it is now: bgctl stage {app}; or take it down: bgctl abort {app}");
            eyre::Report::from(Hinted::new(format!("{color} is not as it was staged: {what}"), hint))
        };
        if self.pinned(color)?.as_ref() != Some(release) {
            return Err(changed("another release is pinned to it"));
        }
        let record = self.releases().read(release)?;
        let path = self.layout.env_file(&self.app.name, self.port(color));
        if files::read(&path)?.as_deref() != Some(render::environment(&self.app, color, &record)?.as_str()) {
            return Err(changed(
                "by the manifest and the bgctl of now it would be given other variables",
            ));
        }
        if self.unit_sum()?.as_deref() != unit {
            let path = self.layout.template_unit(&self.app.name);
            return Err(changed(&format!("{path} was changed since")));
        }
        program::require_unchanged(&self.app, &record)?;
        let state = self.systemd.state(&self.unit(color)).await?;
        if let Some(other) = facts::running(&state).filter(|running| running != release) {
            return Err(changed(&format!("it runs {other}")));
        }
        if state.active == ActiveState::Active && !self.runs_its_image(color, &record).await? {
            return Err(changed("its container runs another image"));
        }
        Ok(())
    }

    async fn runs_its_image(&self, color: Color, release: &Release) -> eyre::Result<bool> {
        let Artifact::Image { image, .. } = &release.artifact else {
            return Ok(true);
        };
        let docker = Docker::connect(&self.settings.docker.socket).await?;
        docker.runs_image(&self.container(color), image).await
    }

    /// Errors where `color` is not up, or does not answer one health check.
    pub async fn require_healthy(&self, color: Color, health: &HealthCheck) -> eyre::Result<()> {
        let unit = self.unit(color);
        let instance = self.running(color, health).await;
        let answer = instance.once(&health.check, health.timeout).await;
        match answer {
            Ok(()) => Ok(()),
            Err(answer) => {
                let error = eyre::eyre!("the health check of {unit} failed: {answer}");
                Err(logs::attach(error, &self.systemd, &unit, LOG_LINES).await)
            }
        }
    }

    /// The sum of the app's template unit; `None` where there is none.
    fn unit_sum(&self) -> eyre::Result<Option<String>> {
        let path = self.layout.template_unit(&self.app.name);
        let bytes = files::read_bytes(&path).wrap_err_with(|| format!("cannot look at {path}"))?;
        Ok(bytes.as_deref().map(sealed::sum))
    }
}
