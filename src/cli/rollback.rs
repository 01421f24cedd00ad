//! `bgctl rollback`: make an earlier release active again.

use crate::ops::context::Context;
use crate::ops::{Progress, rollback};

use super::args;
use super::follow;
use super::pull::Pulls;
use super::report::{Ends, Exit};

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: &args::Rollback) -> Result<Exit, Ends> {
    context.require_root_on_host("rollback")?;
    let mut pulls = Pulls::new();
    let show = &mut |progress: Progress<'_>| pulls.show(&progress);
    let planned = rollback::plan(context, &verb.app, verb.to.as_ref(), verb.local, show).await;
    pulls.clear();
    follow::open(context, planned?, verb.watch).await
}
