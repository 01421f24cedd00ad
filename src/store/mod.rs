//! Where the cursor lives: etcd, shared by hosts, or the local store of one host.
//!
//! Both keep one promise: a cursor only moves by [`Store::compare_and_set`], which names the revision that the move was
//! decided on and fails where somebody else was faster. `tests/store/contract.rs` holds both to it.
//!
//! Who is about to move a cursor claims its app first ([`Store::claim`]), so that of two hosts one is told at once that it
//! comes too late, and by whom. A claim ends with its host. It is a courtesy: what keeps two hosts from moving one cursor is the
//! comparison of the revision, and that a move may ask for its claim to be held still
//! ([`Store::compare_and_set_held`]).

mod etcd;
pub mod keys;
mod local;

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;

pub use etcd::Etcd;
pub use local::Local;

use crate::model::{AppName, ByColor, Claim, Cursor, Holder, HostId, NoClaim, Port, Revision, StoreSettings, Stored};

/// How long a claim lasts without being kept. etcd looks for leases that have ended twice a second, so that the claim of a
/// host which died is gone after this and that.
pub const CLAIM_TTL: Duration = Duration::from_secs(10);

/// The store of a host.
#[derive(Debug)]
pub enum Store {
    /// In etcd.
    Etcd(Box<Etcd>),
    /// In files of this host.
    Local(Local),
}

/// The cursors of those apps that have one; an error, as that of [`Store::get`], for each that cannot be used.
pub type Listed = BTreeMap<AppName, eyre::Result<Stored>>;

/// What one read of the store saw of an app.
#[derive(Debug)]
pub struct Look {
    /// Its cursor, or why that cannot be used, as [`Store::get`] has it.
    pub cursor: eyre::Result<Option<Stored>>,
    /// Who holds its lease, if anybody. Nobody does in the local store.
    pub holder: Result<Option<Holder>, NoClaim>,
}

/// Why a cursor was not moved.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Somebody else moved it since; this is what it says now, none where it was removed.
    #[error("cannot move the cursor: somebody else moved it")]
    Conflict(Option<Stored>),
    /// The claim is not held any more; by whom it is now, if by anybody.
    #[error("cannot move the cursor: the claim is lost")]
    Unclaimed(Option<Holder>),
    /// It could not be asked for, or was refused: it has for certain not moved.
    #[error("{0:#}")]
    Refused(eyre::Report),
    /// Nobody knows: the answer did not come, and may have been a yes.
    #[error("{0:#}")]
    Unknown(eyre::Report),
}

/// A claim that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// etcd's lease that it ends with; 0 in the local store.
    lease: i64,
}

/// Why an app could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Somebody else has it.
    #[error("cannot hold the lease: it is held by {0}")]
    Taken(Holder),
    /// The store could not be asked, or does not let it.
    #[error("{0:#}")]
    Failed(eyre::Report),
}

impl Store {
    /// Opens the store; `state` is the folder of the local one (`/var/lib/bgctl`).
    ///
    /// Nothing is asked of either: only where etcd has a user it is logged in, which fails with a hint where etcd cannot be
    /// reached within the timeout of the settings or refuses. All else is found out by the first call.
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
            Self::Etcd(etcd) => etcd.compare_and_set(app, *ports, expected, cursor, None).await,
            Self::Local(local) => local.compare_and_set(app, *ports, expected, cursor).await,
        }
    }

    /// As [`Store::compare_and_set`], if in the same moment the claim is `held`.
    pub async fn compare_and_set_held(
        &self,
        app: &AppName,
        ports: &ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
        held: Held,
    ) -> Result<Revision, SetError> {
        match self {
            Self::Etcd(etcd) => etcd.compare_and_set(app, *ports, expected, cursor, Some(held)).await,
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

    /// Claims an app for [`CLAIM_TTL`], so that no other host begins with it; returns the cursor of the same moment. Who
    /// claims again as the same `by` has it still, and another claim of this `host` is replaced: there the app's lock
    /// and the open switch keep others away, which is all that the local store needs. Fails with [`ClaimError`].
    pub async fn claim(
        &self,
        app: &AppName,
        claim: &Claim,
        host: &HostId,
    ) -> Result<(Held, Option<Stored>), ClaimError> {
        match self {
            Self::Etcd(etcd) => etcd.claim(app, claim, host).await,
            Self::Local(local) => {
                let stored = local.get(app).await.map_err(ClaimError::Failed)?;
                Ok((Held { lease: 0 }, stored))
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

    /// The claim that is there for `claim.by`, found by one look; none where there is none, or another's.
    pub async fn held(&self, app: &AppName, claim: &Claim) -> eyre::Result<Option<Held>> {
        match self {
            Self::Etcd(etcd) => etcd.held(app, claim).await,
            Self::Local(_) => Ok(Some(Held { lease: 0 })),
        }
    }

    /// Makes a claim last for another [`CLAIM_TTL`]; false where it has ended. Fails where the store cannot be asked.
    pub async fn keep(&self, held: Held) -> eyre::Result<bool> {
        match self {
            Self::Etcd(etcd) => etcd.keep(held).await,
            Self::Local(_) => Ok(true),
        }
    }

    /// Ends a claim; one that has ended is left alone. Fails where the store cannot be asked.
    pub async fn release(&self, held: Held) -> eyre::Result<()> {
        match self {
            Self::Etcd(etcd) => etcd.release(held).await,
            Self::Local(_) => Ok(()),
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
