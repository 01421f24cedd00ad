//! `bgctl rollback`: make an earlier release active again.

use crate::model::{Artifact, Hint as _, ImageRef, PinnedImage, Release};
use crate::plan;

use super::args;
use super::context::Context;
use super::opening::Opening;
use super::pull;
use super::report::Exit;

/// Plans it, and lets the worker do it.
pub async fn run(context: &Context, verb: &args::Rollback) -> eyre::Result<Exit> {
    context.require_root_on_host("rollback")?;
    let app = context.app(&verb.app)?;
    let opening = Opening::begin(context, app).await?;
    let plan = plan::rollback(opening.app(), verb.to.as_ref(), opening.observed())?;
    let target = plan::rollback_target(opening.app(), verb.to.as_ref(), opening.observed())?;
    require_image(context, target).await?;
    opening.commit(context, &plan, verb.watch).await
}

/// Somebody may have cleaned up images since: it is looked for, and pulled again, while nothing has changed yet.
async fn require_image(context: &Context, release: &Release) -> eyre::Result<()> {
    let Artifact::Image { image, .. } = &release.artifact else {
        return Ok(());
    };
    let reference = match image {
        PinnedImage::Registry { repository, digest } => ImageRef::parse(format!("{repository}@{digest}"))?,
        PinnedImage::Local { id } => ImageRef::parse(id.as_str())?,
    };
    let found = pull::resolve(&context.settings()?.docker, &reference).await;
    found.map(drop).hint(format!(
        "release {} runs this image and no other; other releases: bgctl rollback APP --to RELEASE",
        release.id
    ))
}
