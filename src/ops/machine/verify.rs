//! The manifest's verify commands.

use std::time::Duration;

use eyre::WrapErr as _;

use crate::host::command::Command;
use crate::model::{App, Color, ReleaseId};

/// Runs `commands` in order, by `/bin/sh -c`, with `PORT` and `BGCTL_*` in their environment. Errors with the first that does
/// not exit with 0 within `timeout`.
pub async fn run(
    app: &App,
    color: Color,
    release: &ReleaseId,
    commands: &[String],
    timeout: Duration,
) -> eyre::Result<()> {
    let port = app.ports.get(color).to_string();
    let always = [
        ("PORT", port.clone()),
        ("BGCTL_APP", app.name.to_string()),
        ("BGCTL_COLOR", color.to_string()),
        ("BGCTL_PORT", port),
        ("BGCTL_RELEASE", release.to_string()),
    ];
    let always = always.map(|(name, value)| (name.to_owned(), value)).into_iter();
    let extra = app.extra_ports.iter();
    let extra = extra.map(|(name, ports)| (name.as_variable(), ports.get(color).to_string()));
    let environment: Vec<_> = always.chain(extra).collect();
    for line in commands {
        let command = environment
            .iter()
            .fold(Command::shell(line, timeout), |command, (name, value)| {
                command.env(name, value)
            });
        command.run().await.wrap_err_with(|| format!("cannot verify {color}"))?;
    }
    Ok(())
}
