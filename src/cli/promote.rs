//! `bgctl promote`: make the release that is staged active.

use crate::ops::context::Context;
use crate::ops::promote;

use super::args;
use super::follow;
use super::output;
use super::report::{Ends, Exit};

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: &args::Promote) -> Result<Exit, Ends> {
    context.require_root_on_host("promote")?;
    let planned = promote::plan(context, &verb.app, verb.confirm.within(), &mut output::warn).await?;
    follow::open(context, planned, verb.watch).await
}
