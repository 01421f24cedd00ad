//! `bgctl resume`: resume a switch that is stuck, or has no worker.

use crate::ops::context::Context;
use crate::ops::resume;

use super::args;
use super::report::{Ends, Exit};
use super::signals::Signals;
use super::{follow, output};

/// Starts a worker where none runs, and follows it. With no switch open there is nothing to do.
pub async fn run(context: &Context, verb: &args::Resume) -> Result<Exit, Ends> {
    context.require_root_on_host("resume")?;
    let app = &verb.app;
    let Some(opened) = resume::find(context, app).await? else {
        output::answer(&format!(
            "no switch of {app} is open; nothing to resume: bgctl status {app}"
        ));
        return Ok(Exit::Done);
    };
    let why = "the switch gets its worker first";
    Signals::hold()?.finish(resume::start(&opened), why).await?;
    follow::report(context, &opened, verb.watch).await
}
