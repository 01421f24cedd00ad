//! The releases of an app on disk: `releases/ID.json`, written once each.

use camino::Utf8PathBuf;
use eyre::WrapErr as _;

use crate::model::{AppName, Port, Release, ReleaseId};
use crate::render;

use super::layout::Layout;
use crate::files;

/// The release that is pinned to a port: what its instance runs from its next start on.
pub fn pinned(layout: &Layout, app: &AppName, port: Port) -> eyre::Result<Option<ReleaseId>> {
    let text = files::read(&layout.env_file(app, port))?;
    Ok(text.as_deref().and_then(render::pinned_release))
}

/// The releases of an app.
#[derive(Clone, Debug)]
pub struct Releases {
    folder: Utf8PathBuf,
    names: Utf8PathBuf,
}

impl Releases {
    /// Those of `app`.
    pub fn new(layout: &Layout, app: &AppName) -> Self {
        Self {
            folder: layout.releases_dir(app),
            names: layout.names_dir(app),
        }
    }

    /// All on record, oldest first.
    pub fn list(&self) -> eyre::Result<Vec<Release>> {
        let names = files::names_in(&self.folder)?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let ids = stems.filter_map(|stem| ReleaseId::parse(stem).ok());
        let mut releases = ids.map(|id| self.read(&id)).collect::<eyre::Result<Vec<_>>>()?;
        releases.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(releases)
    }

    /// One of them.
    pub fn read(&self, id: &ReleaseId) -> eyre::Result<Release> {
        let path = self.path(id);
        let text =
            files::read(&path)?.ok_or_else(|| eyre::eyre!("cannot read the release {path}: there is no such file"))?;
        serde_json::from_str(&text).wrap_err_with(|| format!("cannot read the release {path}"))
    }

    /// Puts a release on record. One that is there already stays as it is: a release never changes. Before anything is done
    /// with it, it has to be on disk ([`Releases::sync`]).
    pub fn add(&self, release: &Release) -> eyre::Result<()> {
        let path = self.path(&release.id);
        if !path.exists() {
            let mut text = serde_json::to_vec_pretty(release)?;
            text.push(b'\n');
            files::write_unsynced(&path, &text, 0o600)?;
        }
        Ok(())
    }

    /// Puts those on disk that were added.
    pub fn sync(&self) -> eyre::Result<()> {
        files::sync_dir(&self.folder)
    }

    /// Forgets all but those to be kept.
    pub fn prune(&self, keep: &[ReleaseId]) -> eyre::Result<()> {
        for release in self.list()?.into_iter().filter(|release| !keep.contains(&release.id)) {
            files::remove(&self.path(&release.id))?;
            files::remove_empty_dir(&self.names.join(release.id.as_str()))?;
        }
        Ok(())
    }

    fn path(&self, id: &ReleaseId) -> Utf8PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}
