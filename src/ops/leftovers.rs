//! What a bgctl that was killed leaves: temporary files that never got their names. Nothing reads them, and some hold secrets.

use super::install::Files;
use crate::files;
use crate::host::layout::Layout;
use crate::model::AppName;

/// Removes them from an app's folder of state.
pub fn sweep_state(layout: &Layout, app: &AppName) -> eyre::Result<()> {
    let folders = [
        layout.app(app),
        layout.releases_dir(app),
        layout.switches_dir(app),
        layout.companions_dir(app),
        layout.route_dir(app),
    ];
    folders.iter().try_for_each(|folder| files::sweep(folder, |_| true))
}

/// Removes those that were to become one of an app's other files.
pub fn sweep_files(written: &Files) -> eyre::Result<()> {
    written
        .all()
        .filter_map(|change| Some((change.path.parent()?, change.path.file_name()?)))
        .try_for_each(|(folder, name)| files::sweep(folder, |ours| ours == name))
}
