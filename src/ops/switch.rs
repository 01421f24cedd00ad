//! Making a new release active.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::config::env_file;
use crate::model::{
    App, AppName, Check, DockerSettings, ImageRef, Invalid, Observed, Pull, Release, ReleaseId, Resolved,
    ResolvedImage, Runtime,
};
use crate::plan::{self, Plan, Refusal, Verb};
use crate::runtime::docker::Docker;

use super::context::Context;
use super::lock::Locked;
use super::opening::{Opening, Planned};
use super::{Error, Progress, program};

/// What is to become active. What is not said is as in the app's manifest.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The image.
    pub image: Option<ImageRef>,
    /// The program.
    pub exec: Option<Utf8PathBuf>,
    /// The name of the release; `None` for the next number.
    pub release: Option<ReleaseId>,
    /// How long it waits to be confirmed.
    pub confirm_within: Option<Duration>,
}

/// Pins what is to run and plans the switch to it. Errors where it cannot be run or another command is at work.
pub async fn plan(
    context: &Context,
    app: &AppName,
    wanted: Wanted,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Planned, Error> {
    plan_release(context, app, wanted, (Verb::Switch, plan::switch), progress).await
}

/// The plan for a release that is made now, as the function of its verb plans it.
pub(super) type PlanOf = fn(&App, &Release, &Observed) -> Result<Plan, Refusal>;

/// Makes a release of what is wanted and plans what becomes of it. Errors as [`plan`] does.
pub(super) async fn plan_release(
    context: &Context,
    app: &AppName,
    wanted: Wanted,
    (verb, plan_of): (Verb, PlanOf),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Planned, Error> {
    // Held during the pull as well: of two commands the later one must not be promoted over by the earlier one.
    let mut locked = Locked::take(context, app, verb)?;
    context.refuse_edited(app)?;
    locked.app.confirm_within = wanted.confirm_within.or(locked.app.confirm_within);
    let app = &locked.app;
    let env_file = app.run.env_file.as_deref().map(env_file::read).transpose()?;
    let pinned = pin(context, app, wanted.image, wanted.exec, progress).await?;

    let mut opening = Opening::begin(context, locked, verb, wanted.release.clone(), progress).await?;
    let id = wanted.release.unwrap_or_else(|| next_release(opening.observed()));
    let planned = || {
        let env_file = env_file.unwrap_or_default();
        let release = Release::new(opening.app(), id, jiff::Timestamp::now(), pinned, env_file)?;
        opening.make_room_for(context, &release)?;
        let plan = plan_of(opening.app(), &release, opening.observed())?;
        opening.add_release(context, &release)?;
        if let Some(staged) = opening.replaced(&release.id) {
            progress(Progress::Replaces(staged));
        }
        Ok(plan)
    };
    let plan = planned();
    opening.planned(plan).await
}

/// What is to run, pinned.
async fn pin(
    context: &Context,
    app: &App,
    image: Option<ImageRef>,
    exec: Option<Utf8PathBuf>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Resolved, Error> {
    match (&app.run.runtime, image, exec) {
        (Runtime::Docker(docker), image, None) => {
            let reference = image.unwrap_or_else(|| docker.image.clone());
            let settings = &context.settings()?.docker;
            let image = resolve(settings, &reference, docker.pull, progress).await?;
            if app.health.check == Check::Image {
                let engine = Docker::connect(&settings.socket).await?;
                engine.require_check(&image, &docker.options).await?;
            }
            Ok(Resolved::Image { reference, image })
        }
        (Runtime::Program(own), None, exec) => {
            let path = exec.unwrap_or_else(|| own.path.clone());
            Ok(program::pin(app, &path).await?)
        }
        (Runtime::Docker(_), ..) => Err(Invalid::new(format!("cannot use --exec: {} runs an image", app.name)).into()),
        (Runtime::Program(_), ..) => {
            Err(Invalid::new(format!("cannot use --image: {} runs a program of the host", app.name)).into())
        }
    }
}

/// Pins an image, pulling it where a registry has it, or only where it is not here.
pub async fn resolve(
    settings: &DockerSettings,
    image: &ImageRef,
    pull: Pull,
    progress: &mut dyn FnMut(Progress<'_>),
) -> eyre::Result<ResolvedImage> {
    let docker = Docker::connect(&settings.socket).await?;
    let mut pulling = |event| progress(Progress::Pulling { image, event: &event });
    let to = docker.resolve(image, pull, &mut pulling).await?;
    progress(Progress::Resolved { image, to: &to });
    Ok(to)
}

/// The number after the highest that was ever given.
fn next_release(observed: &Observed) -> ReleaseId {
    let highest = observed.releases.iter().filter_map(|release| release.id.number()).max();
    ReleaseId::numbered(highest.unwrap_or_default() + 1)
}
