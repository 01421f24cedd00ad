//! Installing and uninstalling an app: what is written, what has to hold before, and in which order it is done.

mod check;
mod put;
mod remove;
mod rendered;

use camino::Utf8PathBuf;

use super::layout::Layout;
use crate::files;
use crate::model::{AppName, Hinted};

pub use check::check_host;
pub use put::{Put, make_state, put, put_below};
pub use remove::{Remove, remove};
pub use rendered::{Change, Files};

/// Why an installation or its removal did not come to its end.
#[derive(Debug)]
pub enum Failed {
    /// Nothing is changed: what had been done by then was taken back.
    TakenBack(eyre::Report),
    /// It is done in part. The same again goes on with it.
    HalfDone(eyre::Report),
}

/// The apps that are installed, by name.
pub fn installed(layout: &Layout) -> eyre::Result<Vec<AppName>> {
    let names = files::names_in(&layout.manifests())?;
    let stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let mut apps: Vec<_> = stems.filter_map(|stem| AppName::parse(stem).ok()).collect();
    apps.sort();
    Ok(apps)
}

/// The manifest that counts: the copy of what was installed. Where there is none, as an earlier bgctl left it, the one that
/// people edit.
pub fn manifest(layout: &Layout, app: &AppName) -> eyre::Result<Utf8PathBuf> {
    let copy = layout.installed_manifest(app);
    Ok(if copy.try_exists()? { copy } else { layout.manifest(app) })
}

/// Whether the manifest that people edit differs from what was installed.
pub fn is_edited(layout: &Layout, app: &AppName) -> eyre::Result<bool> {
    let written = files::read(&layout.manifest(app))?;
    let installed = files::read(&layout.installed_manifest(app))?;
    Ok(matches!((written, installed), (Some(written), Some(installed)) if written != installed))
}

/// Fails where the manifest that people edit has changes which installing `new` would overwrite unseen. `is_itself` where `new`
/// is just that file.
pub fn refuse_edited(layout: &Layout, app: &AppName, new: &str, is_itself: bool) -> eyre::Result<()> {
    if is_itself || !is_edited(layout, app)? {
        return Ok(());
    }
    let path = layout.manifest(app);
    let is_known = |path| -> eyre::Result<bool> { Ok(files::read(path)?.as_deref() == Some(new)) };
    if is_known(&path)? || is_known(&layout.installed_manifest(app))? {
        return Ok(());
    }
    let message = format!("cannot write {path}: it was changed since it was installed");
    let hint = format!("take its changes over, or install it: bgctl install {path}");
    Err(Hinted::new(message, hint).into())
}
