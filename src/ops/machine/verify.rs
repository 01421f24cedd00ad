//! A release's own checks.

use std::time::Duration;

use crate::engine::Effects as _;
use crate::host::assertion;
use crate::host::systemd::{MainExit, Transient, UnitState};
use crate::journal::Event;
use crate::model::{Asks, Color, Hinted, ReleaseId, UnitName, Verify, VerifyCheck, VerifyCommand};
use crate::plan::{Plan, Step};

use super::{LOG_LINES, Machine, logs};

/// The pause before a check that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How systemd ends a command whose user is not there (systemd.exec(5), "Process Exit Codes").
const NO_USER: i32 = 217;

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

    /// Ends a command that a worker which was killed has left: nothing of it is there while the switch goes on, or back.
    pub async fn end_commands(&self, plan: &Plan, events: &[Event]) -> eyre::Result<()> {
        let step = |step: &usize| plan.steps.get(*step).map(|planned| &planned.step);
        let has_begun = events
            .iter()
            .any(|event| matches!(event, Event::Started { step: at } if matches!(step(at), Some(Step::Verify { .. }))));
        if has_begun {
            self.systemd.end_transient(&UnitName::verify(&self.app.name)).await?;
        }
        Ok(())
    }

    async fn check(&self, color: Color, check: &VerifyCheck, environment: &[(String, String)]) -> eyre::Result<()> {
        self.announce(&format!("verify: {check}"));
        let mut retries = check.retries;
        loop {
            let tried = match &check.asks {
                Asks::Command(command) => self.run(color, check, command, environment).await,
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

    /// Runs a command in a unit of its own. Errors where it does not exit with 0 in time, with the end of what it printed.
    async fn run(
        &self,
        color: Color,
        check: &VerifyCheck,
        command: &VerifyCommand,
        environment: &[(String, String)],
    ) -> eyre::Result<()> {
        let unit = UnitName::verify(&self.app.name);
        let transient = Transient {
            unit: unit.clone(),
            description: format!("{} {color}: check of its release", self.app.name),
            line: command.line.clone(),
            environment: environment.to_vec(),
            user: command.user.clone(),
            memory: command.memory,
            timeout: check.timeout,
            hidden: vec![self.layout.state()],
            stops_with: UnitName::switch(&self.app.name),
        };
        let ran = self.systemd.run_transient(&transient).await;
        let result = match ran {
            Ok(state) if state.main_exit == Some(MainExit::Status(0)) && state.result == "success" => Ok(()),
            Ok(state) => Err(self.failed_command(&state, command, check.timeout).await),
            Err(error) => Err(error),
        };
        self.systemd.forget(&unit).await;
        result
    }

    async fn failed_command(&self, state: &UnitState, command: &VerifyCommand, timeout: Duration) -> eyre::Report {
        let unit = UnitName::verify(&self.app.name);
        let how = how_it_ended(state, command, timeout);
        let lines = logs::said(&unit, state.invocation.as_deref(), LOG_LINES).await;
        let lines = lines.unwrap_or_else(|error| {
            tracing::warn!("cannot read what {unit} printed: {error:#}");
            Vec::new()
        });
        let last = lines.last().map(|line| format!(": {line}")).unwrap_or_default();
        let message = format!("cannot run `{}`: {how}{last}", command.line);
        let hint = format!("`journalctl -u {unit}` has all that it printed");
        Hinted::new(message, hint).with_details(lines).into()
    }
}

/// How a command that did not end well ended, as the end of a sentence.
fn how_it_ended(state: &UnitState, command: &VerifyCommand, timeout: Duration) -> String {
    match (state.result.as_str(), state.main_exit, &command.user) {
        ("success", None, _) => "systemd does not say how it ended".to_owned(),
        ("timeout", _, _) => format!("it was killed after {timeout:?}"),
        ("oom-kill", _, _) => format!("it needed more memory than its {} MiB", command.memory >> 20),
        ("exit-code", Some(MainExit::Status(NO_USER)), Some(user)) => format!("there is no user {user} on this host"),
        ("exit-code", Some(MainExit::Status(status)), _) => format!("exit status: {status}"),
        (_, Some(MainExit::Signal(signal)), _) => format!("it was killed by signal {signal}"),
        (result, _, _) => format!("it ended with {result:?}"),
    }
}
