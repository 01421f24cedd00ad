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
    let port = app.ports.get(color);
    for line in commands {
        Command::shell(line, timeout)
            .env("PORT", port.to_string())
            .env("BGCTL_APP", app.name.as_str())
            .env("BGCTL_COLOR", color.as_str())
            .env("BGCTL_PORT", port.to_string())
            .env("BGCTL_RELEASE", release.as_str())
            .run()
            .await
            .wrap_err_with(|| format!("cannot verify {color}"))?;
    }
    Ok(())
}
