//! Making an earlier release active again.

use crate::model::{AppName, Artifact, Hint as _, Hinted, Pull, Release, ReleaseId};
use crate::plan::{self, Plan, Verb};

use super::context::Context;
use super::lock::Locked;
use super::opening::{Opening, Planned};
use super::{Error, Progress, program, switch};

/// Plans the way back to `to`, or to the release that was active before. Errors where there is none, what it runs cannot be had
/// any more, or another command is at work. With `locally` only this host goes back, while the store is away.
pub async fn plan(
    context: &Context,
    app: &AppName,
    to: Option<&ReleaseId>,
    locally: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Planned, Error> {
    let locked = Locked::take(context, app, Verb::Rollback)?;
    let opening = if locally {
        Opening::begin_locally(context, locked).await?
    } else {
        let begun = Opening::begin(context, locked, Verb::Rollback, to.cloned(), progress).await;
        begun.map_err(|error| offer_local(context, app, error))?
    };
    let plan = opening
        .leased(make_plan(context, &opening, to, locally, progress))
        .await;
    opening.planned(plan).await
}

async fn make_plan(
    context: &Context,
    opening: &Opening,
    to: Option<&ReleaseId>,
    locally: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Plan, Error> {
    let (app, observed) = (opening.app(), opening.observed());
    let plan = if locally {
        plan::rollback_locally(app, to, observed)?
    } else {
        plan::rollback(app, to, observed)?
    };
    let release = plan::rollback_target(app, to, observed)?;
    require_image(context, &app.name, release, progress).await?;
    if let Some(staged) = opening.replaced(&release.id) {
        progress(Progress::Replaces(staged));
    }
    if let Some(warning) = program::require(app, release, observed).await? {
        progress(Progress::Warning(&warning));
    }
    Ok(plan)
}

/// Who rolls back is in need, also where the store is away.
fn offer_local(context: &Context, app: &AppName, error: Error) -> Error {
    let is_elsewhere = context.settings().is_ok_and(|settings| settings.store.is_elsewhere());
    match error {
        Error::Failed(error) if is_elsewhere => {
            let hint = format!("while the store is away, this host alone: bgctl rollback {app} --local");
            Error::Failed(Hinted::from(error, hint).into())
        }
        error => error,
    }
}

/// Somebody may have cleaned up images since: it is looked for, and pulled again, while nothing has changed yet.
async fn require_image(
    context: &Context,
    app: &AppName,
    release: &Release,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Error> {
    let Artifact::Image { image, .. } = &release.artifact else {
        return Ok(());
    };
    let found = switch::resolve(
        &context.settings()?.docker,
        &image.reference()?,
        Pull::Missing,
        progress,
    )
    .await;
    Ok(found.map(drop).hint(format!(
        "release {} runs this image and no other; for another release, see `bgctl status {app}` and `bgctl rollback --help`",
        release.id
    ))?)
}
