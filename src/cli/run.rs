//! `bgctl run`: the worker in `bgctl-switch@APP.service`.

use crate::ops::context::Context;
use crate::ops::lock::Busy;
use crate::ops::worker;

use super::args;
use super::output;
use super::report::{Ends, Exit};

/// Runs the open switch; nothing to do is done.
pub async fn run(context: &Context, verb: &args::Run) -> eyre::Result<Exit> {
    context.require_root_on_host("run")?;
    match worker::run(context, &verb.app, &output::warning).await {
        Ok(ended) => Ok(ended.map_or(Exit::Done, Into::into)),
        Err(error) if error.is::<Busy>() => Err(error),
        // Also a disk that is read-only for now must not leave the switch without a worker.
        Err(error) => Err(Ends::with(Exit::Crashed)(error).into()),
    }
}
