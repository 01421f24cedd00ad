//! Uninstalling.
//!
//! The site goes first, so that nginx sends nothing to what is stopped next; the manifest goes last, since it tells that the
//! app is installed, and as long as it does, another uninstall removes what is left.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::future::try_join_all;

use super::companions;
use super::rendered::{Files, is_ours};
use crate::files;
use crate::host::layout::Layout;
use crate::host::systemd::{self, Systemd};
use crate::model::{App, Color, Replica, Runtime, Settings, UnitName};
use crate::ops::installed::installed;
use crate::ops::{Error, containers, leftovers};
use crate::plan;
use crate::proxy::nginx::{self, Nginx, old};
use crate::runtime::docker::Docker;
use crate::state::{self, releases::Releases, staged};
use crate::store::Store;

/// What an app is removed from.
#[derive(Debug)]
pub struct Remove<'a> {
    /// The app.
    pub app: &'a App,
    /// The host's settings.
    pub settings: &'a Settings,
    /// The host's paths.
    pub layout: &'a Layout,
    /// Its systemd.
    pub systemd: &'a Systemd,
    /// Its store.
    pub store: &'a Store,
    /// Whether the folder of state and the cursor stay.
    pub keep_state: bool,
    /// Whether nginx may be restarted where it can take the addresses that are left only so.
    pub may_restart: bool,
}

impl Remove<'_> {
    /// Stops and removes what [`super::put()`] wrote and switches left; the files that stay since they were changed by hand. The
    /// app's lock is held, and [`Files::refuse_kept`] found nothing. Errors with [`Error::HalfDone`] once the site is gone.
    pub async fn all(&self, written: &Files) -> Result<Vec<Utf8PathBuf>, Error> {
        self.site(written).await?;
        let half = |error: eyre::Report| {
            let message = format!(
                "{} is only half removed; run bgctl uninstall again to remove the rest",
                self.app.name
            );
            Error::HalfDone(error.wrap_err(message))
        };
        self.rest(written).await.map_err(half)
    }

    async fn site(&self, written: &Files) -> eyre::Result<()> {
        leftovers::sweep_files(written)?;
        let nginx = Nginx::new(self.settings.nginx.clone(), self.systemd.clone()).restarting(self.may_restart);
        let gone = |path| nginx::Change { path, text: None };
        let mut changes = vec![gone(&*written.site.path)];
        if self.is_last()? && is_ours(&self.app.name, &written.shared) {
            changes.insert(0, gone(&*written.shared.path));
        }
        let is_removed = nginx.remove(&changes).await?;
        // Somebody removed the file, and nginx does not know yet.
        if !is_removed
            && nginx::ask(&self.app.name, self.settings.nginx.control_port)
                .await
                .is_ok()
        {
            nginx.reload().await?;
        }
        Ok(())
    }

    /// Whether no other app is installed.
    fn is_last(&self) -> eyre::Result<bool> {
        Ok(installed(self.layout)? == [self.app.name.clone()])
    }

    async fn rest(&self, written: &Files) -> eyre::Result<Vec<Utf8PathBuf>> {
        let (layout, name) = (self.layout, &self.app.name);
        // Installed again it answers 503, and never with what is about to be stopped.
        let routes = layout.route_dir(name);
        if routes.is_dir() {
            files::remove_tree(&routes)?;
        }
        files::remove_empty_dir(&layout.routes())?;
        for color in Color::BOTH {
            self.stop(&UnitName::instance(name, *self.app.ports.get(color))).await?;
        }
        self.stop_companions().await?;
        // It was stopped with the rest.
        staged::remove(layout, name)?;
        // It may wait for the store, to tell it of a cursor that is about to go.
        let worker = UnitName::switch(name);
        self.disable(&worker).await?;
        self.systemd.stop(&worker, systemd::JOB_MARGIN).await?;
        self.systemd.reset_failed(&worker).await?;
        let left = self.remove_units(written)?;
        old::remove(
            layout,
            name,
            &self.settings.nginx.unit,
            &layout.site_dir(&self.settings.nginx),
        )?;
        self.systemd.daemon_reload().await?;
        if !self.keep_state {
            self.store.remove(name).await?;
            files::remove_tree(&layout.app(name))?;
        }
        self.tidy_engine().await;
        files::remove(&written.manifest.path)?;
        if files::remove_empty_dir(&layout.manifests())?
            && let Some(folder) = layout.manifests().parent()
        {
            files::remove_empty_dir(folder)?;
        }
        Ok(left)
    }

    /// Without an engine what is there stays.
    async fn tidy_engine(&self) {
        let tidy = async {
            let docker = Docker::connect(&self.settings.docker.socket).await?;
            containers::tidy(&docker, self.layout, self.systemd, self.app).await
        };
        if let Runtime::Docker(_) = self.app.run.runtime
            && let Err(error) = tidy.await
        {
            tracing::warn!("{error:#}");
        }
    }

    async fn stop(&self, unit: &UnitName) -> eyre::Result<()> {
        self.disable(unit).await?;
        let patience = self.app.run.stop_timeout + systemd::JOB_MARGIN;
        self.systemd.stop(unit, patience).await?;
        self.systemd.reset_failed(unit).await?;
        let description = self.layout.description(unit);
        if files::remove(&description)? {
            remove_folder_of(&description)?;
        }
        Ok(())
    }

    /// All at once: each may take its time to end.
    async fn stop_companions(&self) -> eyre::Result<()> {
        let (layout, name) = (self.layout, &self.app.name);
        let known = Replica::of(&companions::known(self.app, layout)?);
        let started = state::companions::list(layout, name)?;
        let mut all = Vec::new();
        for color in Color::BOTH {
            let replicas: BTreeSet<_> = known.iter().chain(started.get(color)).collect();
            all.extend(replicas.into_iter().map(|replica| (color, replica)));
        }
        let patience = plan::companion_patience(self.app, &Releases::new(layout, name).list().unwrap_or_default());
        let stops = all.into_iter().map(async |(color, replica)| {
            let unit = UnitName::companion(name, color, replica);
            self.disable(&unit).await?;
            self.systemd.stop(&unit, patience + systemd::JOB_MARGIN).await?;
            self.systemd.reset_failed(&unit).await?;
            state::companions::remove(layout, name, color, replica)
        });
        try_join_all(stops).await.map(drop)
    }

    /// A unit whose file went in a run before has nothing to disable any more.
    async fn disable(&self, unit: &UnitName) -> eyre::Result<()> {
        if self.systemd.is_enabled(unit).await? {
            self.systemd.disable(&[unit]).await?;
        }
        Ok(())
    }

    fn remove_units(&self, written: &Files) -> eyre::Result<Vec<Utf8PathBuf>> {
        let name = &self.app.name;
        let is_last = self.is_last()?;
        let shared = self.layout.switch_unit();
        let mut left = Vec::new();
        for path in companions::gone(name, self.layout, &written.units)? {
            files::remove(&path)?;
        }
        for unit in written.units.iter().filter(|unit| is_last || unit.path != shared) {
            if is_ours(name, unit) {
                files::remove(&unit.path)?;
            } else {
                left.push(unit.path.clone());
            }
        }
        Ok(left)
    }
}

/// Whatever else stands there was put there by someone else.
fn remove_folder_of(path: &Utf8Path) -> eyre::Result<()> {
    match path.parent() {
        Some(folder) => files::remove_empty_dir(folder).map(drop),
        None => Ok(()),
    }
}
