//! A release's own checks.

use std::time::Duration;

use crate::engine::Effects as _;
use crate::host::assertion;
use crate::host::command::Command;
use crate::model::{Asks, Color, ReleaseId, Verify, VerifyCheck, VerifyCommand};

use super::Machine;

/// The pause before a check that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl Machine {
    /// Runs the checks in their order against `color`, where `release` is. Errors with the first that fails, after its last try.
    pub(super) async fn verify(
        &self,
        color: Color,
        release: &ReleaseId,
        previous: Option<&ReleaseId>,
        verify: &Verify,
    ) -> eyre::Result<()> {
        let environment = self.environment(color, release, previous);
        for check in &verify.checks {
            let failed = match &check.name {
                Some(name) => format!("cannot verify {color}: {name}"),
                None => format!("cannot verify {color}"),
            };
            self.check(color, check, &environment)
                .await
                .map_err(|error| error.wrap_err(failed))?;
        }
        Ok(())
    }

    async fn check(&self, color: Color, check: &VerifyCheck, environment: &[(String, String)]) -> eyre::Result<()> {
        self.announce(&format!("verify: {check}"));
        let mut retries = check.retries;
        loop {
            let tried = match &check.asks {
                Asks::Command(command) => run(command, check.timeout, environment).await,
                Asks::Http(wanted) => {
                    let answer = assertion::once(wanted, self.port(color), check.timeout).await;
                    answer.map_err(eyre::Report::msg)
                }
            };
            match tried {
                Err(error) if retries > 0 => {
                    self.announce(&format!("verify: {check}: {error:#}; it is tried again"));
                    retries -= 1;
                    tokio::time::sleep(AGAIN).await;
                }
                tried => return tried,
            }
        }
    }

    /// What a command finds in its environment.
    fn environment(&self, color: Color, release: &ReleaseId, previous: Option<&ReleaseId>) -> Vec<(String, String)> {
        let port = self.port(color).to_string();
        let always = [
            ("PORT", port.clone()),
            ("BGCTL_APP", self.app.name.to_string()),
            ("BGCTL_COLOR", color.to_string()),
            ("BGCTL_URL", format!("http://127.0.0.1:{port}")),
            ("BGCTL_PORT", port),
            ("BGCTL_RELEASE", release.to_string()),
            (
                "BGCTL_PREVIOUS_RELEASE",
                previous.map(ReleaseId::to_string).unwrap_or_default(),
            ),
        ];
        let always = always.map(|(name, value)| (name.to_owned(), value)).into_iter();
        let extra = self.app.extra_ports.iter();
        let extra = extra.map(|(name, ports)| (name.as_variable(), ports.get(color).to_string()));
        always.chain(extra).collect()
    }
}

/// Runs a command by `/bin/sh -c`. Errors where it does not exit with 0 within `timeout`.
async fn run(command: &VerifyCommand, timeout: Duration, environment: &[(String, String)]) -> eyre::Result<()> {
    let command = environment
        .iter()
        .fold(Command::shell(&command.line, timeout), |command, (name, value)| {
            command.env(name, value)
        });
    command.run().await?;
    Ok(())
}
