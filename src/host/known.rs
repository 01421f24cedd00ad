//! What this host last knew of a cursor that lives elsewhere: `known.json`, for when the store is away.

use eyre::WrapErr as _;
use serde::{Deserialize, Serialize};

use super::files;
use super::layout::Layout;
use crate::model::{AppName, Cursor, Hint as _, Revision, StoreSettings, Stored};

/// A cursor as this host saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What it said.
    pub cursor: Cursor,
    /// At which revision.
    pub revision: Revision,
    /// When.
    pub at: jiff::Timestamp,
}

/// What is known; none where nothing is. Fails where the file cannot be read.
pub fn read(layout: &Layout, app: &AppName) -> eyre::Result<Option<Known>> {
    let path = layout.known_cursor(app);
    let text = files::read(&path)?;
    text.map(|text| serde_json::from_str(&text).wrap_err_with(|| format!("cannot read {path}")))
        .transpose()
        .hint(format!("nothing depends on it alone: rm {path}"))
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
    let mut text = serde_json::to_vec_pretty(&known)?;
    text.push(b'\n');
    // What a power cut takes away of it is found out again.
    files::write_unsynced(&layout.known_cursor(app), text, 0o644)
}
