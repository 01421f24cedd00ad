//! Moving the traffic, and watching it.

use std::time::{Duration, Instant};

use crate::engine::Effects as _;
use crate::host::{connections, probe};
use crate::model::{ActiveState, Check, Color, HealthCheck};
use crate::proxy::nginx::{self, flag};

use super::{LOG_LINES, Machine, logs};

/// How long no connection must be seen before a color counts as drained.
const SETTLED: Duration = Duration::from_millis(25);
/// How long nginx may take to show the color that its flag names.
const CONFIRM: Duration = Duration::from_secs(5);
/// How often a baking color is looked at.
const WATCH: Duration = Duration::from_millis(500);
/// How many tries in a row must fail before a baking color counts as failed.
const STRIKES: u32 = 2;

impl Machine {
    /// Moves all new requests, and says in the units' descriptions who is active now.
    pub(super) async fn flip(&self, to: Option<Color>) -> eyre::Result<()> {
        flag::set(&self.flags(), to)?;
        tokio::join!(self.describe_if_up(Color::Blue), self.describe_if_up(Color::Green));
        Ok(())
    }

    /// Asks nginx until it answers for `color`, and the app through it.
    pub(super) async fn confirm(&self, color: Color) -> eyre::Result<()> {
        let socket = self.layout.socket(&self.app.name);
        let since = Instant::now();
        let mut pause = Duration::from_millis(2);
        while let Err(error) = self.ask_nginx(color, &socket).await {
            if since.elapsed() > CONFIRM {
                return Err(error.wrap_err(format!("cannot confirm that {color} answers through nginx")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(WATCH);
        }
        // Whatever becomes of this worker, this host knows what it moved its users to.
        self.remember();
        Ok(())
    }

    async fn ask_nginx(&self, color: Color, socket: &camino::Utf8Path) -> eyre::Result<()> {
        let serving = nginx::ask(&self.app.name, &self.app.site, socket).await?.color;
        if serving != Some(color) {
            eyre::bail!("nginx sends requests to {}", Color::or_none(serving));
        }
        let health = self.pinned_release(color)?.health;
        // The site asks as the manifest says now; an older release may be asked otherwise.
        let Check::Http { expect, .. } = health.check else {
            return Ok(());
        };
        if health.check != self.app.health.check {
            return Ok(());
        }
        let answer = nginx::health(&self.app.name, &self.app.site, socket, health.timeout).await?;
        if answer.status != expect || answer.color != Some(color) {
            let (status, by) = (answer.status, Color::or_none(answer.color));
            eyre::bail!("its health check through nginx says {status} by {by}");
        }
        Ok(())
    }

    /// Watches `color` for `duration`; fails as soon as it failed several looks in a row.
    pub(super) async fn bake(&self, color: Color, duration: Duration) -> eyre::Result<()> {
        let health = self.pinned_release(color)?.health;
        let restarts = self.systemd.state(&self.unit(color)).await?.restarts;
        let since = Instant::now();
        let mut strikes = 0;
        while let Some(left) = duration.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
            self.announce(&format!("bake: {color} is watched for {} s more", left.as_secs() + 1));
            match self.watch(color, &health, restarts).await {
                Ok(()) => strikes = 0,
                Err(error) => {
                    strikes += 1;
                    if strikes == STRIKES {
                        let error = error.wrap_err(format!("cannot keep {color}: it failed while it was watched"));
                        return Err(logs::attach(error, &self.systemd, &self.unit(color), LOG_LINES).await);
                    }
                }
            }
            tokio::time::sleep(WATCH.min(left)).await;
        }
        Ok(())
    }

    async fn watch(&self, color: Color, health: &HealthCheck, restarts: u32) -> eyre::Result<()> {
        let unit = self.unit(color);
        let state = self.systemd.state(&unit).await?;
        if state.active != ActiveState::Active || state.restarts != restarts {
            eyre::bail!(
                "{unit} did not stay up: it is {}, restarted {} times",
                state.active,
                state.restarts.saturating_sub(restarts)
            );
        }
        probe::once(&health.check, self.port(color), health.timeout)
            .await
            .map_err(|answer| eyre::eyre!("its health check failed: {answer}"))
    }

    /// Waits until `color` has no connection left; a note where some had to be cut.
    pub(super) async fn drain(&self, color: Color, timeout: Duration) -> eyre::Result<Option<String>> {
        let report = connections::drain(self.port(color), timeout, SETTLED, |open| {
            self.announce(&format!("drain: {color} has {open} connections"));
        })
        .await?;
        Ok((report.cut > 0).then(|| format!("{} connections were still open after {timeout:?}", report.cut)))
    }
}
