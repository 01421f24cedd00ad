//! The manifest's verify commands.

use eyre::WrapErr as _;

use crate::model::{App, Color, Release};

use crate::host::command::Command;

/// Runs the app's verify commands in order, by `/bin/sh -c`, with `PORT` and `BGCTL_*` in their environment. Fails with
/// the first that does not exit with 0 in its time.
pub async fn run(app: &App, color: Color, release: &Release) -> eyre::Result<()> {
    let port = app.ports.get(color);
    for line in &app.verify.commands {
        Command::shell(line, app.verify.timeout)
            .env("PORT", port.to_string())
            .env("BGCTL_APP", app.name.as_str())
            .env("BGCTL_COLOR", color.as_str())
            .env("BGCTL_PORT", port.to_string())
            .env("BGCTL_RELEASE", release.id.as_str())
            .run()
            .await
            .wrap_err_with(|| format!("cannot verify {color}"))?;
    }
    Ok(())
}
