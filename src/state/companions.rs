//! What makes a companion's replica run: `companions/NAME@COLOR-NUMBER.env`, an environment file of its unit with its sum.
//!
//! Without it the unit does not start, so the folder says which replicas run in a color, or would after a reboot: a switch writes the
//! file before it starts one, and removes it after it stopped it.

use crate::files;
use crate::host::layout::Layout;
use crate::model::{App, AppName, ByColor, Color, Release, ReleaseId, Replica, StateError, Unreadable, sealed};
use crate::render;

/// The version of the file. There was none without a sum.
const VERSION: u32 = 2;

/// The replicas that have a file, by color, in order.
pub fn list(layout: &Layout, app: &AppName) -> eyre::Result<ByColor<Vec<Replica>>> {
    let names = files::names_in(&layout.companions_dir(app))?;
    let of = |color: Color| {
        let stems = names.iter().filter_map(|name| name.strip_suffix(".env"));
        let mut replicas: Vec<_> = stems.filter_map(|stem| Replica::parse_named(stem, color)).collect();
        replicas.sort();
        replicas
    };
    Ok(ByColor {
        blue: of(Color::Blue),
        green: of(Color::Green),
    })
}

/// The release that a replica runs from its next start on; `None` where it has no file. Errors with [`StateError::Damaged`] where that
/// is not as it was written.
pub fn read(layout: &Layout, app: &AppName, color: Color, replica: &Replica) -> Result<Option<ReleaseId>, StateError> {
    let path = layout.companion_env(app, color, replica);
    let Some(bytes) = files::read_bytes(&path)? else {
        return Ok(None);
    };
    let read = || {
        let (text, has_sum) = sealed::read_text(&bytes, VERSION)?;
        let named = text.lines().find_map(|line| line.strip_prefix("BGCTL_RELEASE=\""));
        let id = named
            .filter(|_| has_sum)
            .and_then(|value| ReleaseId::parse(value.strip_suffix('"')?).ok());
        id.ok_or_else(|| Unreadable::Damaged("it does not name the release that it is of".to_owned()))
    };
    read().map(Some).map_err(|error| error.at(path, app))
}

/// Makes a replica run as `release` has it. Returns whether anything changed. When this returns it is on disk.
pub fn put(layout: &Layout, app: &App, color: Color, release: &Release, replica: &Replica) -> eyre::Result<bool> {
    let text = render::companion_environment(app, color, release, replica)?;
    let text = sealed::text_with_sum(&text, VERSION);
    let path = layout.companion_env(&app.name, color, replica);
    if files::read_bytes(&path)?.as_deref() == Some(text.as_bytes()) {
        return Ok(false);
    }
    files::ensure_dir(&layout.companions_dir(&app.name), 0o700)?;
    files::write(&path, text, 0o600)?;
    Ok(true)
}

/// Makes a replica not start any more.
pub fn remove(layout: &Layout, app: &AppName, color: Color, replica: &Replica) -> eyre::Result<()> {
    files::remove(&layout.companion_env(app, color, replica)).map(drop)
}
