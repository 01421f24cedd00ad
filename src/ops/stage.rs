//! Proving a new release in the idle color, where it stays without traffic.

use crate::model::AppName;
use crate::plan::{self, Verb};

use super::context::Context;
use super::opening::Planned;
use super::switch::{Wanted, plan_release};
use super::{Error, Progress};

/// Pins what is to run and plans to stage it. Errors as [`switch`](super::switch::plan) does.
pub async fn plan(
    context: &Context,
    app: &AppName,
    wanted: Wanted,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Planned, Error> {
    plan_release(context, app, wanted, (Verb::Stage, plan::stage), progress).await
}
