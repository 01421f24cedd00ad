//! `bgctl run`: the worker in `bgctl-switch@APP.service`.

use crate::ops::context::Context;
use crate::ops::{Error, worker};

use super::args;
use super::output;
use super::report::{Ends, Exit};

/// Runs the open switch; nothing to do is done.
pub async fn run(context: &Context, verb: &args::Run) -> Result<Exit, Ends> {
    context.require_root_on_host("run")?;
    match worker::run(context, &verb.app, &mut output::warn).await {
        Ok(ended) => Ok(ended.map_or(Exit::Done, Into::into)),
        Err(error @ Error::Busy(_)) => Err(error.into()),
        // Also a disk that is read-only for now must not leave the switch without a worker.
        Err(error) => Err(Ends::with(Exit::Crashed)(error.into())),
    }
}
