//! `bgctl rollback`: make an earlier release active again.

use crate::model::{AppName, Artifact, Hint as _, Hinted, Release};
use crate::ops::context::Context;
use crate::ops::lock::{Busy, Locked};
use crate::ops::opening::Opening;
use crate::ops::program;
use crate::plan::{self, Plan, Refusal, Verb};

use super::args;
use super::follow;
use super::output;
use super::pull;
use super::report::Exit;

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: &args::Rollback) -> eyre::Result<Exit> {
    context.require_root_on_host("rollback")?;
    let locked = Locked::take(context, &verb.app, Verb::Rollback)?;
    let opening = if verb.local {
        Opening::begin_locally(context, locked).await?
    } else {
        let begun = Opening::begin(context, locked, Verb::Rollback, verb.to.clone(), output::warning).await;
        begun.map_err(|error| offer_local(context, &verb.app, error))?
    };
    let plan = opening.leased(make_plan(context, verb, &opening)).await;
    let plan = opening.planned(plan).await?;
    follow::open(context, opening, &plan, verb.watch).await
}

async fn make_plan(context: &Context, verb: &args::Rollback, opening: &Opening) -> eyre::Result<Plan> {
    let (app, to, observed) = (opening.app(), verb.to.as_ref(), opening.observed());
    let plan = if verb.local {
        plan::rollback_locally(app, to, observed)?
    } else {
        plan::rollback(app, to, observed)?
    };
    let release = plan::rollback_target(app, to, observed)?;
    require_image(context, &app.name, release).await?;
    if let Some(warning) = program::require(app, release, observed).await? {
        output::warning(&warning);
    }
    Ok(plan)
}

/// Who rolls back is in need, also where the store is away.
fn offer_local(context: &Context, app: &AppName, error: eyre::Report) -> eyre::Report {
    let is_elsewhere = context.settings().is_ok_and(|settings| settings.store.is_elsewhere());
    if !is_elsewhere || error.is::<Busy>() || error.is::<Refusal>() {
        return error;
    }
    let hint = format!("while the store is away, this host alone: bgctl rollback {app} --local");
    Hinted::from(error, hint).into()
}

/// Somebody may have cleaned up images since: it is looked for, and pulled again, while nothing has changed yet.
async fn require_image(context: &Context, app: &AppName, release: &Release) -> eyre::Result<()> {
    let Artifact::Image { image, .. } = &release.artifact else {
        return Ok(());
    };
    let found = pull::resolve(&context.settings()?.docker, &image.reference()?).await;
    found.map(drop).hint(format!(
        "release {} runs this image and no other; for another release, see `bgctl status {app}` and `bgctl rollback --help`",
        release.id
    ))
}
