//! `bgctl resume`: resume a switch that is stuck, or has no worker.

use crate::host::systemd::Systemd;
use crate::ops::context::Context;
use crate::ops::worker;
use crate::state::switches::Switches;

use super::args;
use super::report::Exit;
use super::signals::Signals;
use super::{follow, output};

/// Starts a worker where none runs, and follows it. With no switch open there is nothing to do.
pub async fn run(context: &Context, verb: &args::Resume) -> eyre::Result<Exit> {
    context.require_root_on_host("resume")?;
    context.app(&verb.app)?;
    let switches = Switches::new(&context.layout, &verb.app);
    let Some(id) = switches.open_id()? else {
        let app = &verb.app;
        output::answer(&format!(
            "no switch of {app} is open; nothing to resume: bgctl status {app}"
        ));
        return Ok(Exit::Done);
    };
    // One that cannot be read would end a worker at once, again and again.
    switches.read(&id)?;
    let systemd = Systemd::connect().await?;
    let start = worker::start(&systemd, &verb.app);
    Signals::hold()?
        .finish(start, "the switch gets its worker first")
        .await?;
    follow::report(context, &systemd, &verb.app, &id, verb.watch).await
}
