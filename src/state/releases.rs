//! The releases of an app on disk: `releases/ID.json`, written once each. Beside one are its container's variables, see
//! [`super::pins`].

use camino::Utf8PathBuf;

use crate::model::{AppName, Release, ReleaseId, StateError, Unreadable, sealed};

use crate::files;
use crate::host::layout::Layout;

/// The version of a release's record.
const VERSION: u32 = 2;

/// The releases of an app.
#[derive(Clone, Debug)]
pub struct Releases {
    app: AppName,
    layout: Layout,
}

impl Releases {
    /// Those of `app`.
    pub fn new(layout: &Layout, app: &AppName) -> Self {
        Self {
            app: app.clone(),
            layout: layout.clone(),
        }
    }

    /// All on record, oldest first.
    pub fn list(&self) -> eyre::Result<Vec<Release>> {
        let ids = self.ids()?.into_iter();
        let mut releases = ids.map(|id| self.read(&id)).collect::<Result<Vec<_>, _>>()?;
        releases.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(releases)
    }

    /// Their ids, in no order.
    pub fn ids(&self) -> eyre::Result<Vec<ReleaseId>> {
        let names = files::names_in(&self.layout.releases_dir(&self.app))?;
        let stems = names.iter().filter_map(|name| name.strip_suffix(".json"));
        Ok(stems.filter_map(|stem| ReleaseId::parse(stem).ok()).collect())
    }

    /// One of them.
    pub fn read(&self, id: &ReleaseId) -> Result<Release, StateError> {
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
        Err(other.at(&path, &self.app))
    }

    /// Puts a release on record. One that is there already stays as it is: a release never changes. It is on disk when it is
    /// pinned ([`super::pins::pin`]).
    pub fn add(&self, release: &Release) -> eyre::Result<()> {
        if self.path(&release.id).exists() {
            return Ok(());
        }
        self.replace(release)
    }

    /// As [`Releases::add`], in the place of one of the same name that never served.
    pub fn replace(&self, release: &Release) -> eyre::Result<()> {
        files::write_unsynced(&self.path(&release.id), sealed::record(release, VERSION)?, 0o600)
    }

    /// Forgets all but those to be kept.
    pub fn prune(&self, keep: &[ReleaseId]) -> eyre::Result<()> {
        for id in self.ids()?.into_iter().filter(|id| !keep.contains(id)) {
            files::remove(&self.path(&id))?;
            files::remove(&self.layout.container_env(&self.app, &id))?;
        }
        Ok(())
    }

    /// The record of one.
    pub fn path(&self, id: &ReleaseId) -> Utf8PathBuf {
        self.layout.release(&self.app, id)
    }
}
