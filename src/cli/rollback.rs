//! `bgctl rollback`: make an earlier release active again.

use crate::plan;

use super::args;
use super::context::Context;
use super::opening::Opening;
use super::report::Exit;

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: &args::Rollback) -> eyre::Result<Exit> {
    context.require_root_on_host("rollback")?;
    let app = context.app(&verb.app)?;
    let opening = Opening::begin(context, app).await?;
    let plan = plan::rollback(opening.app(), verb.to.as_ref(), opening.observed())?;
    opening.commit(context, &plan, verb.watch).await
}
