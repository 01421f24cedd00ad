//! Making the release that is staged active.

use std::time::Duration;

use crate::model::{AppName, Hinted};
use crate::plan::{self, Plan, Step, Verb};

use super::context::Context;
use super::lock::Locked;
use super::opening::{Opening, Planned};
use super::{Error, Progress};

/// Plans it; `confirm_within` is how long it waits to be confirmed, where that is not as in the app's manifest. Errors with [`Error::Refused`] where nothing is staged, or what is staged has expired, is not as it was staged or is not
/// healthy.
pub async fn plan(
    context: &Context,
    app: &AppName,
    confirm_within: Option<Duration>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Planned, Error> {
    let mut locked = Locked::take(context, app, Verb::Promote)?;
    locked.app.confirm_within = confirm_within.or(locked.app.confirm_within);
    let opening = Opening::begin(context, locked, Verb::Promote, None, progress).await?;
    let plan = opening.leased(Box::pin(make_plan(&opening))).await;
    opening.planned(plan).await
}

async fn make_plan(opening: &Opening) -> Result<Plan, Error> {
    let app = opening.app();
    let plan = plan::promote(app, opening.observed(), jiff::Timestamp::now())?;
    // The worker proves it again: it says so in the moment that counts, and this before anything begins.
    for planned in &plan.steps {
        let proven = match &planned.step {
            Step::Prove { color, release, unit } => opening.machine().prove(*color, release, unit.as_deref()).await,
            Step::Start { color, health } => opening.machine().require_healthy(*color, health).await,
            _ => continue,
        };
        proven.map_err(|error| refused(&app.name, &plan, error))?;
    }
    Ok(plan)
}

fn refused(app: &AppName, plan: &Plan, error: eyre::Report) -> Error {
    let is_hinted = Hinted::find(&error).is_some();
    let error = error.wrap_err(format!("cannot promote {} of {app}", plan.release));
    if is_hinted {
        return Error::Refused(error);
    }
    let hint = format!("look at it: bgctl status {app}; stage it anew: bgctl stage {app}");
    Error::Refused(Hinted::from(error, hint).into())
}
