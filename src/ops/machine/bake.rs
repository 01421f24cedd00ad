//! Watching a color that takes traffic.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::Effects as _;
use crate::host::systemd::UnitState;
use crate::journal::Baseline;
use crate::model::{ActiveState, Color, HealthCheck, Hinted};
use crate::plan::Plan;
use crate::state::switches::{Request, Switches};

use super::{LOG_LINES, Machine, logs};

/// How often a baking color is looked at.
const WATCH: Duration = Duration::from_millis(500);
/// How soon it is looked at again after its health check failed.
const RECHECK: Duration = Duration::from_millis(100);
/// How many health checks in a row must fail before the release counts as failed.
const FAILURES: u32 = 2;

/// What a look found.
enum Look {
    Healthy,
    /// One failed health check is looked at again.
    Unhealthy(eyre::Report),
    /// It is down, or was: there is nothing to look at again.
    Down(eyre::Report),
}

impl Machine {
    /// The instance of `color` as it is now.
    pub(super) async fn watch_baseline(&self, color: Color) -> eyre::Result<Baseline> {
        let state = self.systemd.state(&self.unit(color)).await?;
        Ok(Baseline {
            invocation: state.invocation,
            restarts: state.restarts,
            boottime_ms: boottime_ms(),
        })
    }

    /// Watches `color` until `duration` has passed since the `baseline`. It ends with a verdict: the last look, after that time,
    /// has to find the color healthy. Errors as [`Machine::watch`] does.
    pub(super) async fn bake(
        &self,
        color: Color,
        duration: Duration,
        health: &HealthCheck,
        baseline: Option<&Baseline>,
    ) -> eyre::Result<()> {
        let goes_on = |left: Duration| {
            self.announce(&format!(
                "bake: {color} is watched for {} s more",
                left.as_secs_f64().ceil()
            ));
            Ok(!left.is_zero())
        };
        self.watch(color, duration, health, baseline, goes_on).await
    }

    /// Watches `color` until a person confirms the release of `plan`. Errors as [`Machine::watch`] does, and where nobody does so
    /// before `within` has passed since the `baseline`.
    pub(super) async fn await_confirmation(
        &self,
        plan: &Plan,
        color: Color,
        within: Duration,
        health: &HealthCheck,
        baseline: Option<&Baseline>,
    ) -> eyre::Result<()> {
        let (app, release) = (&self.app.name, &plan.release);
        let switches = Switches::new(&self.layout, app);
        let goes_on = |left: Duration| {
            if switches.is_requested(&plan.switch, Request::Confirm)? {
                return Ok(false);
            }
            if left.is_zero() {
                let message =
                    format!("cannot keep {release} of {app} in {color}: nobody confirmed it within {within:?}");
                let hint = format!("while a switch waits for that: bgctl confirm {app}");
                return Err(Hinted::new(message, hint).into());
            }
            let seconds = left.as_secs_f64().ceil();
            self.announce(&format!(
                "await: {release} is rolled back in {seconds} s, unless `bgctl confirm {app}` comes"
            ));
            Ok(true)
        };
        self.watch(color, within, health, baseline, goes_on).await
    }

    /// Watches `color` as long as `goes_on` says, which is told how much of `duration` is left since the `baseline`, at each look that
    /// finds it healthy. Errors with its error, and as soon as the instance is down or was restarted since the baseline, or its
    /// health check failed twice in a row.
    async fn watch(
        &self,
        color: Color,
        duration: Duration,
        health: &HealthCheck,
        baseline: Option<&Baseline>,
        goes_on: impl Fn(Duration) -> eyre::Result<bool>,
    ) -> eyre::Result<()> {
        let baseline = match baseline {
            Some(baseline) => baseline.clone(),
            None => self.watch_baseline(color).await?,
        };
        let mut failures = 0;
        loop {
            let spent = Duration::from_millis(boottime_ms().saturating_sub(baseline.boottime_ms));
            let left = duration.saturating_sub(spent);
            let pause = match self.look_at(color, health, &baseline).await? {
                Look::Healthy if goes_on(left)? => {
                    failures = 0;
                    WATCH.min(left)
                }
                Look::Healthy => return Ok(()),
                Look::Down(error) => return Err(self.failed_bake(color, error).await),
                Look::Unhealthy(error) => {
                    failures += 1;
                    if failures == FAILURES {
                        return Err(self.failed_bake(color, error).await);
                    }
                    RECHECK
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn look_at(&self, color: Color, health: &HealthCheck, baseline: &Baseline) -> eyre::Result<Look> {
        let unit = self.unit(color);
        let state = self.systemd.state(&unit).await?;
        if let Some(why) = is_down(&state, baseline) {
            return Ok(Look::Down(eyre::eyre!("{unit} did not stay up: {why}")));
        }
        let answer = self
            .running(color, health)
            .await
            .once(&health.check, health.timeout)
            .await;
        Ok(match answer {
            Ok(()) => Look::Healthy,
            Err(answer) => Look::Unhealthy(eyre::eyre!("its health check failed: {answer}")),
        })
    }

    async fn failed_bake(&self, color: Color, error: eyre::Report) -> eyre::Report {
        let error = error.wrap_err(format!("cannot keep {color}: it failed while it was watched"));
        logs::attach(error, &self.systemd, &self.unit(color), LOG_LINES).await
    }
}

/// Why an instance is not the one of the baseline any more.
fn is_down(state: &UnitState, baseline: &Baseline) -> Option<String> {
    if state.active != ActiveState::Active {
        let failure = state.failure().map(|why| format!(", {why}")).unwrap_or_default();
        return Some(format!("it is {}{failure}", state.active));
    }
    if state.restarts != baseline.restarts {
        let again = state.restarts.saturating_sub(baseline.restarts).max(1);
        return Some(format!("systemd restarted it {again} times"));
    }
    (state.invocation != baseline.invocation).then(|| "it was started again".to_owned())
}

/// The time since the boot, that of suspension included: no hand that sets the clock makes a bake longer or shorter.
fn boottime_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1000 + nanos / 1_000_000
}
