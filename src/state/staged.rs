//! The release that is staged: `staged.json`, there for as long as one is.

use crate::files;
use crate::host::layout::Layout;
use crate::model::{AppName, Staged, StateError, sealed};

/// The version of the file. There was none without a sum.
const VERSION: u32 = 2;

/// What is staged; `None` where nothing is. Errors where the file cannot be read.
pub fn read(layout: &Layout, app: &AppName) -> Result<Option<Staged>, StateError> {
    let path = layout.staged(app);
    let Some(bytes) = files::read_bytes(&path)? else {
        return Ok(None);
    };
    let staged: Staged = sealed::read_record(&bytes, VERSION).map_err(|error| error.at(path, app))?;
    Ok(Some(staged))
}

/// Writes it. It is on disk when this returns.
pub fn write(layout: &Layout, app: &AppName, staged: &Staged) -> eyre::Result<()> {
    files::write(&layout.staged(app), sealed::record(staged, VERSION)?, 0o644)
}

/// Nothing is staged any more.
pub fn remove(layout: &Layout, app: &AppName) -> eyre::Result<()> {
    files::remove(&layout.staged(app)).map(drop)
}
