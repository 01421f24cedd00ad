//! What is pinned to each color: the release that its instance runs from its next start on.
//!
//! | file | what | read by |
//! |---|---|---|
//! | `PORT.env` | what makes the unit run it; without it the unit does not start | systemd |
//! | `releases/RELEASE.container-env` | a container's variables, where it has any | the docker client |
//! | `PORT.json` | the record: which release, and the sums of those two | bgctl |
//!
//! A release is pinned where the record and `PORT.env` are both there. Pinning another one takes `PORT.env` away first and puts
//! the new one down last: whatever a kill leaves in between starts nothing, and pinning again completes it. bgctl 0.1.0 wrote
//! `PORT.env` alone, with a sum of its own; that counts until something is pinned to the port again.

use serde::{Deserialize, Serialize};

use crate::files;
use crate::host::layout::Layout;
use crate::model::{App, AppName, Color, Port, Release, ReleaseId, StateError, Unreadable, sealed};
use crate::render;

/// The version of the record. There was none without a sum.
const VERSION: u32 = 2;

/// The newest version of a `PORT.env` with a sum of its own.
const ENVIRONMENT_VERSION: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    release: ReleaseId,
    /// The sum of `PORT.env`.
    environment: String,
    /// The sum of the container's variables; `None` where it has none.
    container_environment: Option<String>,
}

/// The release that is pinned to a port; `None` where none is. Errors with [`StateError::Damaged`] where a file is not as it was
/// written.
pub fn pinned(layout: &Layout, app: &AppName, port: Port) -> Result<Option<ReleaseId>, StateError> {
    let path = layout.env_file(app, port);
    let Some(environment) = files::read_bytes(&path)? else {
        return Ok(None);
    };
    let record_path = layout.pin(app, port);
    let Some(bytes) = files::read_bytes(&record_path)? else {
        return Ok(Some(of_0_1_0(&environment).map_err(|error| error.at(path, app))?));
    };
    let record: Record = sealed::read_record(&bytes, VERSION).map_err(|error| error.at(record_path, app))?;
    check(&environment, &record.environment).map_err(|error| error.at(path, app))?;
    if let Some(sum) = &record.container_environment {
        let path = layout.container_env(app, &record.release);
        let variables = files::read_bytes(&path)?;
        let missing = || Unreadable::Damaged("there is no such file".to_owned());
        let checked = variables.ok_or_else(missing).and_then(|bytes| check(&bytes, sum));
        checked.map_err(|error| error.at(path, app))?;
    }
    Ok(Some(record.release))
}

/// Pins `release` to `color`. When this returns, the release and its pin are on disk.
pub fn pin(layout: &Layout, app: &App, color: Color, release: &Release) -> eyre::Result<()> {
    let (name, port) = (&app.name, *app.ports.get(color));
    let environment = render::environment(app, color, release)?;
    let variables = render::container_environment(release)?;
    let sum = |text: &String| sealed::sum(text.as_bytes());
    let record = Record {
        release: release.id.clone(),
        environment: sum(&environment),
        container_environment: variables.as_ref().map(sum),
    };
    let record = sealed::record(&record, VERSION)?;
    files::remove_unsynced(&layout.env_file(name, port))?;
    if let Some(variables) = variables {
        files::write_unsynced(&layout.container_env(name, &release.id), variables, 0o600)?;
    }
    files::sync_dir(&layout.releases_dir(name))?;
    files::write_unsynced(&layout.pin(name, port), record, 0o600)?;
    files::write(&layout.env_file(name, port), environment, 0o600)
}

/// Pins nothing to a port any more.
pub fn unpin(layout: &Layout, app: &AppName, port: Port) -> eyre::Result<()> {
    files::remove_unsynced(&layout.env_file(app, port))?;
    files::remove_unsynced(&layout.pin(app, port))?;
    files::sync_dir(&layout.app(app))
}

fn check(bytes: &[u8], sum: &str) -> Result<(), Unreadable> {
    if sealed::sum(bytes) == sum {
        return Ok(());
    }
    Err(Unreadable::Damaged(
        "its checksum does not fit: it was changed since bgctl wrote it, or it is damaged".to_owned(),
    ))
}

/// The release that a `PORT.env` of bgctl 0.1.0 is of. What was written before that has no sum, and then only its first line
/// must be right. Errors with [`Unreadable`] where it is not as it was written.
pub fn of_0_1_0(bytes: &[u8]) -> Result<ReleaseId, Unreadable> {
    let (text, _) = sealed::read_text(bytes, ENVIRONMENT_VERSION)?;
    let first = text.lines().next().and_then(|line| line.strip_prefix("BGCTL_RELEASE="));
    first
        .and_then(|value| ReleaseId::parse(value).ok())
        .ok_or_else(|| Unreadable::Damaged("it does not begin with the release that it pins".to_owned()))
}
