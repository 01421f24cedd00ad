//! A program of the host as a release runs it.

use camino::{Utf8Path, Utf8PathBuf};

use crate::host::program;
use crate::model::{
    ActiveState, App, Artifact, Color, Hint as _, Hinted, Observed, OnChange, Release, Resolved, Runtime, UnitName,
    check_program,
};

use super::{Error, sandbox};

/// What `path` means now, for a release. Errors where the app's unit could not run it.
pub async fn pin(app: &App, path: &Utf8Path) -> eyre::Result<Resolved> {
    check_program(path.as_str())?;
    program::require_executable(path)?;
    let path = program::resolve(path)?;
    check_program(path.as_str())?;
    require_reachable(app, &path).await?;
    let file = program::look(&path)?;
    Ok(Resolved::Program { path, file: Some(file) })
}

/// Errors where the program of `release` is gone, cannot be reached, or was changed and that is to be refused. Returns a warning where
/// it was changed and may start all the same, or still runs as it was when it was started.
pub async fn require(app: &App, release: &Release, observed: &Observed) -> eyre::Result<Option<String>> {
    let Artifact::Program { path, .. } = &release.artifact else {
        return Ok(None);
    };
    if runs_still(release, observed) {
        let changed = changed(release).ok().flatten();
        return Ok(changed.map(|path| {
            format!(
                "{path} was changed since: the next start of release {} runs it",
                release.id
            )
        }));
    }
    let executable = program::require_executable(path);
    executable.hint(format!(
        "release {} runs this program and no other: put it back",
        release.id
    ))?;
    require_reachable(app, path).await?;
    require_unchanged(app, release)
}

fn runs_still(release: &Release, observed: &Observed) -> bool {
    Color::BOTH.iter().any(|color| {
        let instance = observed.instances.get(*color);
        instance.state == ActiveState::Active && instance.pinned.as_ref() == Some(&release.id)
    })
}

/// Errors where the color that serves could not be started again after it was stopped: its program is gone, or was changed and that is
/// to be refused.
pub fn require_way_back(app: &App, observed: &Observed) -> Result<(), Error> {
    let instance = observed.route.color().map(|color| observed.instances.get(color));
    let pinned = instance
        .filter(|instance| !instance.state.is_down())
        .and_then(|instance| instance.pinned.as_ref());
    let Some(release) = pinned.and_then(|id| observed.release(id)) else {
        return Ok(());
    };
    let startable = match &release.artifact {
        Artifact::Program { path, .. } => {
            program::require_executable(path).and_then(|()| require_unchanged(app, release).map(drop))
        }
        Artifact::Image { .. } => Ok(()),
    };
    startable.map_err(|why| {
        let message = format!(
            "cannot stop release {} of {} for another one: it could not be started again ({why:#})",
            release.id, app.name
        );
        let hint = "put its program back, and give each release a path of its own (--exec); to start again whatever is there \
                    then, set changed_program = \"warn\" in [run]";
        Error::refused(message, hint)
    })
}

/// As [`require`], of a program that can be reached.
pub fn require_unchanged(app: &App, release: &Release) -> eyre::Result<Option<String>> {
    let Some(path) = changed(release)? else {
        return Ok(None);
    };
    let id = &release.id;
    let what = format!("{path} was changed since release {id} was made of it");
    let set = match &app.run.runtime {
        Runtime::Program(program) => program.on_change,
        Runtime::Docker(_) => None,
    };
    match set.unwrap_or_else(|| OnChange::of(&path)) {
        OnChange::Warn => Ok(Some(format!("{what}: what starts is not what it was"))),
        OnChange::Refuse => {
            let message = format!("cannot start release {id} of {}: {what}", app.name);
            let hint = format!(
                "put the program of release {id} back, or make a release of what is there: bgctl switch {}; to start it all the \
                 same, set changed_program = \"warn\" in [run]",
                app.name
            );
            Err(Hinted::new(message, hint).into())
        }
    }
}

/// The program of a release, where that is another one by now. Errors where it cannot be read.
pub fn changed(release: &Release) -> eyre::Result<Option<Utf8PathBuf>> {
    match &release.artifact {
        Artifact::Program { path, file: Some(file) } if program::is_changed(path, file)? => Ok(Some(path.clone())),
        Artifact::Program { .. } | Artifact::Image { .. } => Ok(None),
    }
}

async fn require_reachable(app: &App, path: &Utf8Path) -> eyre::Result<()> {
    let folder = match &app.run.runtime {
        Runtime::Program(program) => program.working_directory.as_deref(),
        Runtime::Docker(_) => None,
    };
    // Both colors have the same settings.
    let unit = UnitName::instance(&app.name, app.ports.blue);
    sandbox::require_reachable(&unit, path, folder).await
}
