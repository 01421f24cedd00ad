//! `bgctl switch`: make a new release active.

use camino::Utf8PathBuf;

use crate::config::env_file;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Check, Hinted, ImageRef, Invalid, Observed, Release, ReleaseId, Resolved, Runtime};
use crate::ops::context::Context;
use crate::ops::lock::Locked;
use crate::ops::opening::Opening;
use crate::ops::program;
use crate::plan::{self, Plan, Verb};
use crate::runtime::docker::Docker;
use crate::state::switches::Switches;

use super::args;
use super::output;
use super::report::Exit;
use super::{follow, pull};

/// Pins what is to run, plans, and lets the worker do it.
pub async fn run(context: &Context, verb: args::Switch) -> eyre::Result<Exit> {
    context.require_root_on_host("switch")?;
    if verb.follow {
        context.require_installed(&verb.app)?;
        return follow_open(context, &verb.app, verb.watch).await;
    }
    // Held during the pull as well: of two commands the later one must not be promoted over by the earlier one.
    let locked = Locked::take(context, &verb.app, Verb::Switch)?;
    context.refuse_edited(&verb.app)?;
    let app = &locked.app;
    let env_file = app
        .run
        .env_file
        .as_deref()
        .map(env_file::read)
        .transpose()?
        .unwrap_or_default();
    let pinned = pin(context, app, verb.image, verb.exec).await?;

    let mut opening = Opening::begin(context, locked, Verb::Switch, verb.release.clone(), output::warning).await?;
    let id = verb.release.unwrap_or_else(|| next_release(opening.observed()));
    let planned = |opening: &mut Opening| -> eyre::Result<Plan> {
        let release = Release::new(opening.app(), id, jiff::Timestamp::now(), pinned, env_file)?;
        opening.make_room_for(context, &release)?;
        let plan = plan::switch(opening.app(), &release, opening.observed())?;
        opening.add_release(context, &release)?;
        Ok(plan)
    };
    let planned = planned(&mut opening);
    let plan = opening.planned(planned).await?;
    follow::open(context, opening, &plan, verb.watch).await
}

/// What is to run, pinned.
async fn pin(
    context: &Context,
    app: &App,
    image: Option<ImageRef>,
    exec: Option<Utf8PathBuf>,
) -> eyre::Result<Resolved> {
    match (&app.run.runtime, image, exec) {
        (Runtime::Docker(docker), image, None) => {
            let reference = image.unwrap_or_else(|| docker.image.clone());
            let settings = context.settings()?.docker;
            let image = pull::resolve(&settings, &reference).await?;
            if app.health.check == Check::Image {
                let engine = Docker::connect(&settings.socket).await?;
                engine.require_check(&image, &docker.options).await?;
            }
            Ok(Resolved::Image { reference, image })
        }
        (Runtime::Program(own), None, exec) => {
            let path = exec.unwrap_or_else(|| own.path.clone());
            program::pin(app, &path).await
        }
        (Runtime::Docker(_), ..) => Err(Invalid::new(format!("cannot use --exec: {} runs an image", app.name)).into()),
        (Runtime::Program(_), ..) => {
            Err(Invalid::new(format!("cannot use --image: {} runs a program of the host", app.name)).into())
        }
    }
}

/// The number after the highest that was ever given.
fn next_release(observed: &Observed) -> ReleaseId {
    let highest = observed.releases.iter().filter_map(|release| release.id.number()).max();
    ReleaseId::numbered(highest.unwrap_or_default() + 1)
}

async fn follow_open(context: &Context, app: &AppName, watch: args::Watch) -> eyre::Result<Exit> {
    let switches = Switches::new(&context.layout, app);
    let Some(id) = switches.open_id()? else {
        let hint = format!("what runs now: bgctl status {app}");
        return Err(Hinted::new(format!("cannot follow: no switch of {app} is open"), hint).into());
    };
    // One that cannot be read cannot be followed.
    switches.read(&id)?;
    let systemd = Systemd::connect().await?;
    follow::report(context, &systemd, app, &id, watch).await
}
