//! What is installed on a host: the apps, and the manifest that each was installed with.

use std::fmt;

use crate::config::{self, FileError};
use crate::files;
use crate::host::layout::Layout;
use crate::model::{App, AppName, StateError, Unreadable, sealed};

use super::Error;

/// The version of the copy of a manifest.
pub const MANIFEST_VERSION: u32 = 2;

/// Why an installed app cannot be read.
#[derive(Debug)]
pub enum Unusable {
    /// There is no copy of the manifest, as an earlier bgctl left it, and the one that people edit cannot be used.
    Manifest(FileError),
    /// The copy cannot be read.
    Copy(StateError),
}

impl From<FileError> for Unusable {
    fn from(error: FileError) -> Self {
        Self::Manifest(error)
    }
}

impl From<StateError> for Unusable {
    fn from(error: StateError) -> Self {
        Self::Copy(error)
    }
}

impl From<eyre::Report> for Unusable {
    fn from(error: eyre::Report) -> Self {
        Self::Copy(error.into())
    }
}

impl From<Unusable> for Error {
    fn from(error: Unusable) -> Self {
        match error {
            Unusable::Manifest(error) => error.into(),
            Unusable::Copy(error) => error.into(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => error.fmt(f),
            Self::Copy(error) => error.fmt(f),
        }
    }
}

/// The apps that are installed, by name.
pub fn installed(layout: &Layout) -> eyre::Result<Vec<AppName>> {
    let names = files::names_in(&layout.manifests())?;
    let stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let mut apps: Vec<_> = stems.filter_map(|stem| AppName::parse(stem).ok()).collect();
    apps.sort();
    Ok(apps)
}

/// An app as it was installed. Errors where it was not, and where the copy of its manifest is not as it was written.
pub fn app(layout: &Layout, name: &AppName) -> Result<App, Unusable> {
    read(layout, name).map(|(app, _)| app)
}

/// An app as it was installed, and the text of the manifest that says so: the copy of what was installed. Where there is none,
/// as an earlier bgctl left it, the one that people edit.
pub fn read(layout: &Layout, name: &AppName) -> Result<(App, String), Unusable> {
    let path = layout.installed_manifest(name);
    let Some(bytes) = files::read_bytes(&path)? else {
        let path = layout.manifest(name);
        let text = config::read_text(&path)?;
        let app = config::manifest::parse(&text, path.as_str()).map_err(FileError::from)?;
        return Ok((app, text));
    };
    let (text, is_sealed) = sealed::read_text(&bytes, MANIFEST_VERSION).map_err(|error| error.at(&path, name))?;
    let parsed = config::manifest::parse(text, path.as_str());
    // It was right when it was installed. Where it has no sum that says so, it is not what it was.
    let app = parsed.map_err(|error| {
        if is_sealed {
            Unusable::from(FileError::from(error))
        } else {
            let damaged = Unreadable::Damaged(format!("it is damaged: {error}"));
            damaged.at(&path, name).into()
        }
    })?;
    Ok((app, text.to_owned()))
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
pub fn refuse_edited(layout: &Layout, app: &AppName, new: &str, is_itself: bool) -> Result<(), Error> {
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
    Err(Error::refused(message, hint))
}
