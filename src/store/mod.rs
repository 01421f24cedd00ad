//! Where the cursor lives: etcd, shared by hosts, or the local store of one host.
//!
//! Both keep one promise: a cursor only moves by [`Store::compare_and_set`], which names the revision that the move was
//! decided on and fails where the cursor has moved since. `tests/store/contract.rs` holds both to it.
//!
//! A host that is about to move a cursor acquires the app's lease first ([`Store::acquire`]), so that of two hosts one learns at
//! once that it comes too late, and which the other one is. A lease expires with its host. It is a courtesy: what keeps two
//! hosts from moving one cursor is the comparison of the revision, and that a move may ask for its lease to be held still
//! ([`Store::compare_and_set_held`]). `README.md` beside this file describes what is in etcd.

mod etcd;
pub mod keys;
mod local;

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;

pub use etcd::Etcd;
pub use local::Local;

use crate::model::{
    AppName, ByColor, Cursor, Holder, HostId, Lease, NotALease, Port, Revision, StateError, StoreSettings, Stored,
};

/// How long a lease lasts without being renewed. etcd looks twice a second for those that have expired.
pub const LEASE_TTL: Duration = Duration::from_secs(10);

/// The store of a host.
#[derive(Debug)]
pub enum Store {
    /// In etcd.
    Etcd(Box<Etcd>),
    /// In files of this host.
    Local(Local),
}

/// The cursors of those apps that have one; an error, as that of [`Store::get`], for each that cannot be used.
pub type Listed = BTreeMap<AppName, Result<Stored, StateError>>;

/// What one read of the store saw of an app.
#[derive(Debug)]
pub struct Look {
    /// Its cursor, or why that cannot be used, as [`Store::get`] has it.
    pub cursor: Result<Option<Stored>, StateError>,
    /// Who holds its lease, if anybody. Nobody does in the local store.
    pub holder: Result<Option<Holder>, NotALease>,
}

/// Why a cursor was not moved.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// It was moved since; this is what it says now, `None` if it was removed.
    #[error("cannot move the cursor: it was moved since")]
    Conflict(Option<Stored>),
    /// The lease is not held any more; who holds it now, if anybody.
    #[error("cannot move the cursor: the lease is lost")]
    LeaseLost(Option<Holder>),
    /// It has for certain not moved: nothing was sent, or it was refused.
    #[error("{0:#}")]
    Refused(eyre::Report),
    /// It may have moved: no answer came, or one that leaves it open.
    #[error("{0:#}")]
    Unknown(eyre::Report),
}

/// A lease that this host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// The id of etcd's lease; 0 in the local store.
    id: i64,
}

/// Why a lease was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another host holds it.
    #[error("cannot hold the lease: it is held by {0}")]
    HeldBy(Holder),
    /// The store could not be asked, or does not let it.
    #[error("{0:#}")]
    Failed(eyre::Report),
}

impl Store {
    /// Opens the store; `state` is the folder of the local one (`/var/lib/bgctl`).
    ///
    /// Nothing is asked of either, but for a login where the settings name a user of etcd. Errors if that is refused, or etcd
    /// cannot be reached within the timeout of the settings. All else is found out by the first call.
    pub async fn open(settings: &StoreSettings, state: &Utf8Path) -> eyre::Result<Self> {
        Ok(match settings {
            StoreSettings::Local => Self::Local(Local::new(state)),
            StoreSettings::Etcd(settings) => Self::Etcd(Box::new(Etcd::open(settings).await?)),
        })
    }

    /// The cursor of an app. Returns `None` if it has none. Errors with [`StateError::Failed`] if the store cannot be read, or
    /// the keys are another program's.
    pub async fn get(&self, app: &AppName) -> Result<Option<Stored>, StateError> {
        match self {
            Self::Etcd(etcd) => etcd.get(app).await,
            Self::Local(local) => local.get(app).await,
        }
    }

    /// The cursor of an app and who holds its lease. Errors if the store cannot be read.
    pub async fn look(&self, app: &AppName) -> eyre::Result<Look> {
        match self {
            Self::Etcd(etcd) => etcd.look(app).await,
            Self::Local(local) => Ok(Look {
                cursor: local.get(app).await,
                holder: Ok(None),
            }),
        }
    }

    /// The cursors of `apps`. Errors if the store cannot be read.
    pub async fn list(&self, apps: &[AppName]) -> eyre::Result<Listed> {
        match self {
            Self::Etcd(etcd) => etcd.list(apps).await,
            Self::Local(local) => local.list(apps).await,
        }
    }

    /// Creates the cursor of an app as `none`, unless it has one; returns what is there then. Errors as [`Store::get`] does,
    /// and if it cannot be written.
    pub async fn create(&self, app: &AppName, ports: &ByColor<Port>) -> eyre::Result<Stored> {
        match self {
            Self::Etcd(etcd) => etcd.create(app, *ports).await,
            Self::Local(local) => local.create(app, *ports).await,
        }
    }

    /// Moves the cursor of an app to `cursor` if it still is at revision `expected`; returns the new revision. What
    /// etcd's readers see of the colors' ports is written along. Errors with [`SetError`].
    pub async fn compare_and_set(
        &self,
        app: &AppName,
        ports: &ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.compare_and_set(app, *ports, expected, cursor, None).await,
            Self::Local(local) => local.compare_and_set(app, *ports, expected, cursor).await,
        }
    }

    /// As [`Store::compare_and_set`], if in the same moment the lease is `held`.
    pub async fn compare_and_set_held(
        &self,
        app: &AppName,
        ports: &ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
        held: HeldLease,
    ) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.compare_and_set(app, *ports, expected, cursor, Some(held)).await,
            Self::Local(local) => local.compare_and_set(app, *ports, expected, cursor).await,
        }
    }

    /// Puts `cursor` where an app has none, or one that cannot be used: one that can only moves by
    /// [`Store::compare_and_set`], and is a [`SetError::Conflict`]. Returns its revision. Errors with [`SetError`].
    pub async fn replace(&self, app: &AppName, ports: &ByColor<Port>, cursor: &Cursor) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.replace(app, *ports, cursor).await,
            Self::Local(local) => local.replace(app, *ports, cursor).await,
        }
    }

    /// Acquires the lease of an app for [`LEASE_TTL`], so that no other host begins with it; returns the cursor of the same
    /// moment. The same holder has it still, and another lease of this `host` is replaced: on one host the app's lock and
    /// the open switch keep a second command away, which is all that the local store needs. Errors with [`LeaseError`].
    pub async fn acquire(
        &self,
        app: &AppName,
        lease: &Lease,
        host: &HostId,
    ) -> Result<(HeldLease, Option<Stored>), LeaseError> {
        match self {
            Self::Etcd(etcd) => etcd.acquire(app, lease, host).await,
            Self::Local(local) => {
                let stored = local.get(app).await.map_err(|error| LeaseError::Failed(error.into()))?;
                Ok((HeldLease { id: 0 }, stored))
            }
        }
    }

    /// Whether it answers and can be written to.
    pub async fn is_usable(&self) -> bool {
        match self {
            Self::Etcd(etcd) => etcd.is_usable().await,
            Self::Local(_) => true,
        }
    }

    /// The lease that `lease.by` holds, found by one read. Returns `None` if nobody holds it, or another does.
    pub async fn held(&self, app: &AppName, lease: &Lease) -> eyre::Result<Option<HeldLease>> {
        match self {
            Self::Etcd(etcd) => etcd.held(app, lease).await,
            Self::Local(_) => Ok(Some(HeldLease { id: 0 })),
        }
    }

    /// Makes a lease last for another [`LEASE_TTL`]; false if it has expired. Errors if the store cannot be asked.
    pub async fn renew(&self, held: HeldLease) -> eyre::Result<bool> {
        match self {
            Self::Etcd(etcd) => etcd.renew(held).await,
            Self::Local(_) => Ok(true),
        }
    }

    /// Releases a lease, also one that has expired. Errors if the store cannot be asked.
    pub async fn release(&self, held: HeldLease) -> eyre::Result<()> {
        match self {
            Self::Etcd(etcd) => etcd.release(held).await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Removes the cursor of an app, if it has one, and nothing of another program's. Errors if it cannot be removed.
    pub async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        match self {
            Self::Etcd(etcd) => etcd.remove(app).await,
            Self::Local(local) => local.remove(app).await,
        }
    }
}
