//! `bgctl stage`: prove a new release in the idle color, and leave it there.

use crate::ops::context::Context;
use crate::ops::stage;

use super::args;
use super::follow;
use super::pull::Pulls;
use super::report::{Ends, Exit};

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: args::Stage) -> Result<Exit, Ends> {
    context.require_root_on_host("stage")?;
    let wanted = verb.wanted.into();
    let mut pulls = Pulls::new();
    let planned = stage::plan(context, &verb.app, wanted, &mut |progress| pulls.show(&progress)).await;
    pulls.clear();
    follow::open(context, planned?, verb.watch).await
}
