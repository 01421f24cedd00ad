//! What this host last knew of a cursor that lives elsewhere: `known.json`, for when the store is away.

use crate::files;
use crate::host::layout::Layout;
use crate::model::{AppName, Known, StateError, StoreSettings, Stored, sealed};

/// The version of the file.
pub const VERSION: u32 = 2;

/// What is known; none where nothing is. Fails where the file cannot be read.
pub fn read(layout: &Layout, app: &AppName) -> Result<Option<Known>, StateError> {
    let path = layout.known_cursor(app);
    let Some(bytes) = files::read_bytes(&path)? else {
        return Ok(None);
    };
    sealed::read_record(&bytes, VERSION).map_err(|error| error.at(path, app))
}

/// Writes down what was seen just now, where cursors live elsewhere. Nothing fails for not being able to.
pub fn remember(layout: &Layout, store: &StoreSettings, app: &AppName, seen: &Stored) {
    if store.is_elsewhere()
        && let Err(error) = write(layout, app, seen)
    {
        tracing::warn!("{error:#}");
    }
}

fn write(layout: &Layout, app: &AppName, seen: &Stored) -> eyre::Result<()> {
    let known = Known {
        cursor: seen.cursor.clone(),
        revision: seen.revision,
        at: jiff::Timestamp::now(),
    };
    // What a power cut takes away of it is found out again.
    files::write_unsynced(&layout.known_cursor(app), sealed::record(&known, VERSION)?, 0o644)
}
