//! The releases of an app on disk: `releases/ID.json`, written once each.

use camino::Utf8PathBuf;

use crate::model::{AppName, Port, Release, ReleaseId, Unreadable, sealed};
use crate::render;

use crate::files;
use crate::host::layout::Layout;

/// The version of a release's record.
const VERSION: u32 = 2;

/// The release that is pinned to a port: what its instance runs from its next start on.
pub fn pinned(layout: &Layout, app: &AppName, port: Port) -> eyre::Result<Option<ReleaseId>> {
    let path = layout.env_file(app, port);
    let Some(bytes) = files::read_bytes(&path)? else {
        return Ok(None);
    };
    let pinned = render::pinned_release(&bytes);
    Ok(Some(pinned.map_err(|error| error.at(path, app))?))
}

/// The releases of an app.
#[derive(Clone, Debug)]
pub struct Releases {
    app: AppName,
    folder: Utf8PathBuf,
}

impl Releases {
    /// Those of `app`.
    pub fn new(layout: &Layout, app: &AppName) -> Self {
        Self {
            app: app.clone(),
            folder: layout.releases_dir(app),
        }
    }

    /// All on record, oldest first.
    pub fn list(&self) -> eyre::Result<Vec<Release>> {
        let ids = self.ids()?.into_iter();
        let mut releases = ids.map(|id| self.read(&id)).collect::<eyre::Result<Vec<_>>>()?;
        releases.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(releases)
    }

    /// Their ids, in no order.
    pub fn ids(&self) -> eyre::Result<Vec<ReleaseId>> {
        let names = files::names_in(&self.folder)?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(".json"));
        Ok(stems.filter_map(|stem| ReleaseId::parse(stem).ok()).collect())
    }

    /// One of them.
    pub fn read(&self, id: &ReleaseId) -> eyre::Result<Release> {
        let path = self.path(id);
        let read = match files::read_bytes(&path)? {
            Some(bytes) => sealed::read_record(&bytes, VERSION),
            None => Err(Unreadable::Damaged("there is no such file".to_owned())),
        };
        let release: Release = read.map_err(|error| error.at(&path, &self.app))?;
        if release.id == *id {
            return Ok(release);
        }
        let other = Unreadable::Damaged(format!("it is of release {}", release.id));
        Err(other.at(&path, &self.app).into())
    }

    /// Puts a release on record. One that is there already stays as it is: a release never changes. Before anything is done
    /// with it, it has to be on disk ([`Releases::sync`]).
    pub fn add(&self, release: &Release) -> eyre::Result<()> {
        let path = self.path(&release.id);
        if !path.exists() {
            files::write_unsynced(&path, sealed::record(release, VERSION)?, 0o600)?;
        }
        Ok(())
    }

    /// Puts those on disk that were added.
    pub fn sync(&self) -> eyre::Result<()> {
        files::sync_dir(&self.folder)
    }

    /// Forgets all but those to be kept.
    pub fn prune(&self, keep: &[ReleaseId]) -> eyre::Result<()> {
        for id in self.ids()?.into_iter().filter(|id| !keep.contains(id)) {
            files::remove(&self.path(&id))?;
        }
        Ok(())
    }

    /// The record of one.
    pub fn path(&self, id: &ReleaseId) -> Utf8PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}
