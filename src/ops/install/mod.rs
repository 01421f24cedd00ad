//! Installing and uninstalling an app: what is written, what has to hold before, and in which order it is done.

mod check;
mod put;
mod remove;
mod rendered;
mod warnings;

use camino::Utf8PathBuf;
use eyre::WrapErr as _;

use crate::config;
use crate::files;
use crate::host::layout::Layout;
use crate::model::{App, AppName, Hinted, Unreadable, sealed};

pub use check::check_host;
pub use put::{Put, make_state, migrate, put, put_below, remove_state};
pub use remove::{Remove, remove};
pub use rendered::{Change, Files, NotOurs, not_ours};
pub use warnings::warnings;

/// The version of the copy of a manifest.
pub const MANIFEST_VERSION: u32 = 2;

/// Why an installation or its removal did not come to its end.
#[derive(Debug)]
pub enum Failed {
    /// Nothing is changed: what had been done by then was undone.
    Undone(eyre::Report),
    /// It is done in part. The same command again does the rest.
    HalfDone(eyre::Report),
}

/// The program as the units call it.
pub fn program() -> eyre::Result<Utf8PathBuf> {
    let path = std::env::current_exe().wrap_err("cannot find out where bgctl is")?;
    Utf8PathBuf::from_path_buf(path).map_err(|path| eyre::eyre!("cannot use {}: it is not UTF-8", path.display()))
}

/// The apps that are installed, by name.
pub fn installed(layout: &Layout) -> eyre::Result<Vec<AppName>> {
    let names = files::names_in(&layout.manifests())?;
    let stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let mut apps: Vec<_> = stems.filter_map(|stem| AppName::parse(stem).ok()).collect();
    apps.sort();
    Ok(apps)
}

/// An app as it was installed. Fails where it was not, and where the copy of its manifest is not as it was written.
pub fn app(layout: &Layout, name: &AppName) -> eyre::Result<App> {
    let path = layout.installed_manifest(name);
    let Some(bytes) = files::read_bytes(&path)? else {
        return config::manifest::read(&layout.manifest(name));
    };
    let (text, is_sealed) = sealed::read_text(&bytes, MANIFEST_VERSION).map_err(|error| error.at(&path, name))?;
    let parsed = config::manifest::parse(text, path.as_str());
    // It was right when it was installed. Where it has no sum that says so, it is not what it was.
    parsed.map_err(|error| {
        if is_sealed {
            error.into()
        } else {
            Unreadable::Damaged(format!("it is damaged: {error}"))
                .at(&path, name)
                .into()
        }
    })
}

/// The text of the manifest that counts: the copy of what was installed. Where there is none, as an earlier bgctl left it,
/// the one that people edit.
fn manifest_text(layout: &Layout, app: &AppName) -> eyre::Result<String> {
    let path = layout.installed_manifest(app);
    let Some(bytes) = files::read_bytes(&path)? else {
        return config::read_text(&layout.manifest(app));
    };
    let (text, _) = sealed::read_text(&bytes, MANIFEST_VERSION).map_err(|error| error.at(&path, app))?;
    Ok(text.to_owned())
}

/// Writes the copy of the manifest again where it is damaged and the one that people edit is what was installed, by the
/// copy's own sum or its text. Says whether it did.
pub fn restore_manifest(layout: &Layout, app: &AppName) -> eyre::Result<bool> {
    let (path, source) = (layout.installed_manifest(app), layout.manifest(app));
    let (Some(bytes), Some(written)) = (files::read_bytes(&path)?, files::read(&source)?) else {
        return Ok(false);
    };
    let whole = sealed::text_with_sum(&written, MANIFEST_VERSION);
    let is_line = |line: &&str| bytes.starts_with(format!("{line}\n").as_bytes());
    let is_known = whole.lines().next().as_ref().is_some_and(is_line) || bytes.ends_with(written.as_bytes());
    if !is_known || app_of(&bytes).is_some() {
        return Ok(false);
    }
    files::write(&path, whole, 0o600)?;
    Ok(true)
}

/// What a copy says, if it can be used.
fn app_of(bytes: &[u8]) -> Option<App> {
    let (text, _) = sealed::read_text(bytes, MANIFEST_VERSION).ok()?;
    config::manifest::parse(text, "").ok()
}

/// Whether the manifest that people edit differs from what was installed.
pub fn is_edited(layout: &Layout, app: &AppName) -> eyre::Result<bool> {
    let written = files::read(&layout.manifest(app))?;
    Ok(matches!((written, installed_text(layout, app)?), (Some(written), Some(installed)) if written != installed))
}

/// The manifest as it was installed; none where there is no copy, or one that is damaged.
fn installed_text(layout: &Layout, app: &AppName) -> eyre::Result<Option<String>> {
    let bytes = files::read_bytes(&layout.installed_manifest(app))?;
    let text = bytes.as_deref().map(|bytes| sealed::read_text(bytes, MANIFEST_VERSION));
    Ok(text.and_then(Result::ok).map(|(text, _)| text.to_owned()))
}

/// Fails where the manifest that people edit has changes which installing `new` would overwrite unseen. `is_itself` where `new`
/// is just that file.
pub fn refuse_edited(layout: &Layout, app: &AppName, new: &str, is_itself: bool) -> eyre::Result<()> {
    if is_itself || !is_edited(layout, app)? {
        return Ok(());
    }
    let path = layout.manifest(app);
    let is_new = |text: Option<String>| text.as_deref() == Some(new);
    if is_new(files::read(&path)?) || is_new(installed_text(layout, app)?) {
        return Ok(());
    }
    let message = format!("cannot write {path}: it was changed since it was installed");
    let hint = format!("take its changes over, or install it: bgctl install {path}");
    Err(Hinted::new(message, hint).into())
}
