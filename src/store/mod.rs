//! Where the cursor lives: etcd, shared by hosts, or the local store of one host.
//!
//! Both keep one promise: a cursor only moves by [`Store::compare_and_set`], which names the revision that the move was
//! decided on and fails where somebody else was faster. `tests/store/contract.rs` holds both to it.

mod etcd;
pub mod keys;
mod local;

use std::collections::BTreeMap;

use camino::Utf8Path;

pub use etcd::Etcd;
pub use local::Local;

use crate::model::{AppName, ByColor, Cursor, Port, Revision, StoreSettings, Stored};

/// The store of a host.
#[derive(Debug)]
pub enum Store {
    /// In etcd.
    Etcd(Box<Etcd>),
    /// In files of this host.
    Local(Local),
}

/// Why a cursor was not moved.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Somebody else moved it since; this is what it says now, none where it was removed.
    #[error("cannot move the cursor: somebody else moved it")]
    Conflict(Option<Stored>),
    /// It could not be told, or nobody knows: an answer of etcd that was lost may have been a yes.
    #[error("{0:#}")]
    Failed(eyre::Report),
}

impl From<eyre::Report> for SetError {
    fn from(report: eyre::Report) -> Self {
        Self::Failed(report)
    }
}

impl Store {
    /// Opens the store; `state` is the folder of the local one (`/var/lib/bgctl`).
    ///
    /// Opening etcd asks it once, and fails with a hint where it cannot be reached within the timeout of the settings,
    /// or refuses the certificate, user or password. The local store is opened without a look at the disk.
    pub async fn open(settings: &StoreSettings, state: &Utf8Path) -> eyre::Result<Self> {
        Ok(match settings {
            StoreSettings::Local => Self::Local(Local::new(state)),
            StoreSettings::Etcd(settings) => Self::Etcd(Box::new(Etcd::open(settings).await?)),
        })
    }

    /// The cursor of an app; none where it has none. Fails where the store cannot be read or what is in it is broken.
    pub async fn get(&self, app: &AppName) -> eyre::Result<Option<Stored>> {
        match self {
            Self::Etcd(etcd) => etcd.get(app).await,
            Self::Local(local) => local.get(app).await,
        }
    }

    /// The cursors of all apps, from one moment where etcd is the store. Fails as [`Store::get`] does.
    pub async fn list(&self) -> eyre::Result<BTreeMap<AppName, Stored>> {
        match self {
            Self::Etcd(etcd) => etcd.list().await,
            Self::Local(local) => local.list().await,
        }
    }

    /// Creates the cursor of an app as `none`, unless it has one; returns what is there then. Fails as [`Store::get`]
    /// does, and where it cannot be written.
    pub async fn create(&self, app: &AppName, ports: &ByColor<Port>) -> eyre::Result<Stored> {
        match self {
            Self::Etcd(etcd) => etcd.create(app, *ports).await,
            Self::Local(local) => local.create(app, *ports).await,
        }
    }

    /// Moves the cursor of an app to `cursor` if it still is at revision `expected`; returns the new revision. What
    /// etcd's readers see of the colors' ports is written along. Fails with [`SetError`].
    pub async fn compare_and_set(
        &self,
        app: &AppName,
        ports: &ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.compare_and_set(app, *ports, expected, cursor).await,
            Self::Local(local) => local.compare_and_set(app, *ports, expected, cursor).await,
        }
    }

    /// Puts `cursor` where an app has none, or one that cannot be used: one that can only moves by
    /// [`Store::compare_and_set`], and is a [`SetError::Conflict`]. Returns its revision. Fails with [`SetError`].
    pub async fn replace(&self, app: &AppName, ports: &ByColor<Port>, cursor: &Cursor) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.replace(app, *ports, cursor).await,
            Self::Local(local) => local.replace(app, *ports, cursor).await,
        }
    }

    /// Removes the cursor of an app, if it has one. Fails where it cannot be removed.
    pub async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        match self {
            Self::Etcd(etcd) => etcd.remove(app).await,
            Self::Local(local) => local.remove(app).await,
        }
    }
}
