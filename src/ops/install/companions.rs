//! The units of an app's companions.

use camino::{Utf8Path, Utf8PathBuf};

use super::rendered::Change;
use crate::files;
use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Color, Companion, Settings, UnitName};
use crate::ops::Error;
use crate::render::{self, seal};
use crate::state::releases::Releases;

/// Those that have a unit: of the manifest, and of the releases on record, so that a rollback finds what it starts. Of several
/// releases the newest counts.
pub(super) fn known(app: &App, layout: &Layout) -> eyre::Result<Vec<Companion>> {
    let mut known = app.companions.clone();
    let releases = Releases::new(layout, &app.name);
    // One that is damaged is told of elsewhere.
    let ids = releases.ids()?.into_iter();
    let mut releases: Vec<_> = ids.filter_map(|id| releases.read(&id).ok()).collect();
    releases.sort_by_key(|release| std::cmp::Reverse(release.created));
    for companion in releases.into_iter().flat_map(|release| release.companions) {
        if known.iter().all(|other| other.name != companion.name) {
            known.push(companion);
        }
    }
    Ok(known)
}

/// Their template units, as they are and will be.
pub(super) fn units(app: &App, settings: &Settings, layout: &Layout, program: &Utf8Path) -> eyre::Result<Vec<Change>> {
    let known = known(app, layout)?;
    let units = known.iter().map(|companion| {
        let path = layout.companion_template(&app.name, &companion.name);
        let unit = render::companion_unit(app, companion, program, &settings.docker)?;
        Change::of(path, unit, 0o644)
    });
    units.collect()
}

/// The template units that bgctl wrote for companions of an app that nothing on this host has any more.
pub(super) fn gone(app: &AppName, layout: &Layout, written: &[Change]) -> eyre::Result<Vec<Utf8PathBuf>> {
    let start = format!("{app}_");
    let mut gone = Vec::new();
    for name in files::names_in(&layout.unit_dir())? {
        let path = layout.unit_dir().join(&name);
        let is_template = name.starts_with(&start) && name.ends_with("@.service");
        if !is_template || written.iter().any(|unit| unit.path == path) {
            continue;
        }
        let text = files::read_bytes(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if matches!(seal::check(&text), seal::Seal::Intact(owner) if owner == *app) {
            gone.push(path);
        }
    }
    Ok(gone)
}

/// Removes those of [`gone`] that have no instance that runs. Returns what was removed.
pub(super) async fn remove_gone(
    app: &AppName,
    layout: &Layout,
    systemd: &Systemd,
    written: &[Change],
) -> eyre::Result<Vec<Utf8PathBuf>> {
    let mut removed = Vec::new();
    for path in gone(app, layout, written)? {
        let pattern = path.file_name().unwrap_or_default().replace("@.", "@*.");
        let instances = systemd.list(&[&pattern]).await?;
        if instances.iter().all(|instance| instance.active.is_down()) {
            files::remove(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// Errors where the unit of a companion is somebody else's.
pub(super) async fn check(app: &App, layout: &Layout, systemd: &Systemd) -> Result<(), Error> {
    for companion in &app.companions {
        let Some(replica) = companion.all().next() else {
            continue;
        };
        let unit = UnitName::companion(&app.name, Color::Blue, &replica);
        let template = layout.companion_template(&app.name, &companion.name);
        if let Some(path) = systemd.state(&unit).await?.fragment
            && path != template
        {
            let (app, name) = (&app.name, &companion.name);
            let message = format!("cannot install companion {name} of {app}: {path} is a unit of the same name");
            return Err(Error::refused(message, "give the companion another name"));
        }
    }
    Ok(())
}
