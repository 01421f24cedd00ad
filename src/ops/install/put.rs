//! Installing.
//!
//! ```text
//! folders, route -> units on disk -> site, tested before and proven -> worker enabled -> systemd reads the units
//!       |               |               |                                    |     -> cursor -> manifests
//!       +---------------+---------------+                                    +--> from here on: half done, another
//!                       v                                                         install completes it
//!       what was there before is back
//! ```
//!
//! systemd reads the units after the site is proven, so that a site which nginx refuses costs no reload.

use camino::{Utf8Path, Utf8PathBuf};

use super::companions;
use super::rendered::{Change, Files};
use crate::files;
use crate::host::layout::Layout;
use crate::host::systemd::Systemd;
use crate::model::{App, AppName, Color, Settings, UnitName};
use crate::ops::installed::installed;
use crate::ops::{Error, leftovers};
use crate::proxy::nginx::{self, Nginx, Proof, old, route};
use crate::render;
use crate::store::Store;

/// What an app is installed with.
#[derive(Debug)]
pub struct Put<'a> {
    /// The app.
    pub app: &'a App,
    /// The host's settings.
    pub settings: &'a Settings,
    /// The host's paths.
    pub layout: &'a Layout,
    /// Its systemd.
    pub systemd: &'a Systemd,
    /// Its store, to create the cursor in; none where that is not to be touched.
    pub store: Option<&'a Store>,
    /// Whether its folder of state was made just now, see [`make_state`].
    pub is_new: bool,
    /// Whether nginx may be restarted where it can take an address only so.
    pub may_restart: bool,
}

/// Makes the folder of an app's state; says whether it was not there.
pub fn make_state(layout: &Layout, app: &AppName) -> eyre::Result<bool> {
    let folder = layout.app(app);
    let is_new = !folder.try_exists()?;
    files::ensure_dir(&layout.state(), 0o755)?;
    files::ensure_dir(&folder, 0o755)?;
    Ok(is_new)
}

/// Removes the state of an app that [`make_state`] made just now.
pub fn remove_state(layout: &Layout, app: &AppName) -> eyre::Result<()> {
    files::remove_tree(&layout.app(app))?;
    let route = layout.route_dir(app);
    if route.is_dir() {
        files::remove_tree(&route)?;
    }
    files::remove_empty_dir(&layout.routes()).map(drop)
}

/// Writes what differs, and makes nginx and systemd take it up; a line for each thing that it did. The app's lock is held. Errors
/// with [`Error::Failed`] where all of it was undone, else with [`Error::HalfDone`].
pub async fn put(put: &Put<'_>, files: &Files) -> Result<Vec<String>, Error> {
    let half =
        |error: eyre::Report| Error::HalfDone(error.wrap_err(format!("{} is only half installed", put.app.name)));
    let mut undo = Undo::default();
    let mut did = Vec::new();
    if let Err(error) = put.put_site(files, &mut undo, &mut did).await {
        return Err(match undo.all(put) {
            Ok(()) => Error::Failed(error),
            Err(worse) => half(error.wrap_err(format!("not all of it could be undone: {worse:#}"))),
        });
    }
    put.complete(files, &mut did).await.map_err(half)?;
    Ok(did)
}

/// Gives an app of bgctl 0.1.0 a route, and a site that goes by it, while one of its switches is open; the next installation does
/// the rest. Errors where nginx does not take the site.
pub async fn migrate(put: &Put<'_>, files: &Files) -> eyre::Result<()> {
    write_state(put.layout, &put.app.name)?;
    let site = files.transition.as_ref().unwrap_or(&files.site.new);
    put.put_one_site(files, site).await.map(drop)
}

/// Files only, below another root where nothing runs; says whether anything changed.
pub fn put_below(app: &AppName, layout: &Layout, files: &Files) -> eyre::Result<bool> {
    make_state(layout, app)?;
    write_state(layout, app)?;
    let mut undo = Undo::default();
    let needed = files.all().filter(|change| change.is_needed());
    needed.map(|change| undo.write(change)).try_fold(false, |_, done| {
        done?;
        Ok(true)
    })
}

impl Put<'_> {
    /// All that can be undone.
    async fn put_site<'f>(&self, files: &'f Files, undo: &mut Undo<'f>, did: &mut Vec<String>) -> eyre::Result<()> {
        let (app, layout) = (self.app, self.layout);
        leftovers::sweep_files(files)?;
        write_state(layout, &app.name)?;
        for change in files.units.iter().filter(|change| change.is_needed()) {
            undo.write(change)?;
            did.push(format!("wrote {}", change.path));
        }
        if self.put_site_files(files).await? {
            did.push(format!("wrote {} and reloaded nginx", files.site.path));
        }
        Ok(())
    }

    /// The site, and what it shares with others. One that replaces a site of bgctl 0.1.0 does so in two steps: a request that a
    /// worker of nginx took by the old one is still to be answered.
    async fn put_site_files(&self, files: &Files) -> eyre::Result<bool> {
        if let Some(site) = &files.transition
            && let Some(before) = self.put_one_site(files, site).await?
        {
            before.wait_for_end(self.app.drain.timeout).await?;
        }
        Ok(self.put_one_site(files, &files.site.new).await?.is_some())
    }

    /// Puts `site` in the place of the app's site. Returns what nginx was before, or `None` where nothing had to be done.
    async fn put_one_site(&self, files: &Files, site: &str) -> eyre::Result<Option<nginx::Snapshot>> {
        let name = &self.app.name;
        let change = |path, text| nginx::Change { path, text: Some(text) };
        let changes = [
            change(&*files.shared.path, &*files.shared.new),
            change(&*files.site.path, site),
        ];
        let proof = Proof {
            app: name,
            site: &self.app.site,
            control_port: self.settings.nginx.control_port,
            route: route::require(&self.layout.route_dir(name))?,
            version: render::site_version(site),
        };
        let nginx = Nginx::new(self.settings.nginx.clone(), self.systemd.clone()).restarting(self.may_restart);
        nginx.put(&changes, &proof).await
    }

    async fn complete(&self, files: &Files, did: &mut Vec<String>) -> eyre::Result<()> {
        let name = &self.app.name;
        let sites = self.layout.site_dir(&self.settings.nginx);
        let is_dropped = old::remove(self.layout, name, &self.settings.nginx.unit, &sites)?;
        let worker = UnitName::switch(name);
        let is_enabled = self.systemd.enable(&[&worker]).await?;
        if is_enabled {
            did.push(format!(
                "enabled {worker}, which takes an interrupted switch up again at boot"
            ));
        }
        let removed = companions::remove_gone(name, self.layout, self.systemd, &files.units).await?;
        did.extend(removed.iter().map(|path| format!("removed {path}")));
        let is_dropped = is_dropped || !removed.is_empty();
        if is_dropped || files.units.iter().any(Change::is_needed) || self.needs_reload().await? {
            self.systemd.daemon_reload().await?;
            did.push("reloaded systemd".to_owned());
        } else if is_enabled {
            self.systemd.read_links().await?;
        }
        if let Some(store) = self.store
            && store.get(name).await?.is_none()
        {
            store.create(name, &self.app.ports).await?;
            did.push("created the cursor: none".to_owned());
        }
        for change in [&files.installed, &files.manifest] {
            if change.is_needed() {
                Undo::default().write(change)?;
                did.push(format!("wrote {}", change.path));
            }
        }
        Ok(())
    }

    /// An install may have died between writing a unit and this.
    async fn needs_reload(&self) -> eyre::Result<bool> {
        let name = &self.app.name;
        let instances = Color::BOTH.map(|color| UnitName::instance(name, *self.app.ports.get(color)));
        let others = [UnitName::switch(name), self.settings.nginx.unit.clone()];
        let companions = companions::known(self.app, self.layout)?;
        let first = companions.iter().filter_map(|companion| companion.all().next());
        let companions: Vec<_> = first
            .map(|replica| UnitName::companion(name, Color::Blue, &replica))
            .collect();
        for unit in instances.iter().chain(&others).chain(&companions) {
            if self.systemd.state(unit).await?.needs_reload {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What was written, to undo it.
#[derive(Debug, Default)]
struct Undo<'f> {
    written: Vec<&'f Change>,
    made: Vec<Utf8PathBuf>,
}

impl<'f> Undo<'f> {
    fn write(&mut self, change: &'f Change) -> eyre::Result<()> {
        if let Some(folder) = change.path.parent() {
            self.make_dirs(folder)?;
        }
        files::write(&change.path, change.new.as_bytes(), change.mode)?;
        self.written.push(change);
        Ok(())
    }

    fn make_dirs(&mut self, folder: &Utf8Path) -> eyre::Result<()> {
        let missing = folder.ancestors().take_while(|folder| !folder.exists());
        self.made.extend(missing.map(Utf8Path::to_owned));
        files::make_dirs(folder)
    }

    fn all(self, put: &Put<'_>) -> eyre::Result<()> {
        for change in self.written {
            match &change.old {
                Some(old) => files::write(&change.path, old, change.mode)?,
                None => files::remove(&change.path).map(drop)?,
            }
        }
        for folder in self.made {
            files::remove_empty_dir(&folder)?;
        }
        if put.is_new {
            remove_state(put.layout, &put.app.name)?;
        }
        Ok(())
    }
}

/// The app's folders, and a route: where there is none, or nothing of the app can run, to no color; that of bgctl 0.1.0 where
/// it left one.
fn write_state(layout: &Layout, app: &AppName) -> eyre::Result<()> {
    for folder in [layout.releases_dir(app), layout.switches_dir(app)] {
        files::ensure_dir(&folder, 0o700)?;
    }
    let folder = layout.route_dir(app);
    let can_run = installed(layout)?.contains(app) || is_pinned(layout, app)?;
    let before = nginx::current_route(layout, app)?;
    files::ensure_dir(&layout.routes(), 0o755)?;
    route::make(&folder)?;
    let route = before.filter(|_| can_run).unwrap_or_default();
    if route::read(&folder)? != Some(route) {
        route::set(&folder, route)?;
    }
    Ok(())
}

/// Whether a release is pinned to any port. Where none is nothing runs, and no color can serve.
fn is_pinned(layout: &Layout, app: &AppName) -> eyre::Result<bool> {
    let names = files::names_in(&layout.app(app))?;
    Ok(names.iter().any(|name| Utf8Path::new(name).extension() == Some("env")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_a_crash_left_out_are_made() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(Utf8PathBuf::try_from(root.path().to_owned()).unwrap());
        let app = AppName::parse("shop").unwrap();
        assert!(make_state(&layout, &app).unwrap());
        assert!(!make_state(&layout, &app).unwrap());
        let folder = layout.route_dir(&app);
        write_state(&layout, &app).unwrap();
        assert_eq!(route::read(&folder).unwrap(), Some(crate::model::Route::None));

        let green = Color::Green.into();
        route::set(&folder, green).unwrap();
        fs_err::write(layout.app(&app).join("9002.env"), "BGCTL_RELEASE=r1\n").unwrap();
        write_state(&layout, &app).unwrap();
        assert_eq!(route::read(&folder).unwrap(), Some(green), "something may run");
    }
}
