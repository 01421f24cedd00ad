//! The store of an app, and this host's lease in it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::sync::{Mutex, OnceCell};

use super::Machine;
use crate::host::identity;
use crate::model::{AppName, HostId, Lease, StoreSettings, Stored};
use crate::store::{HeldLease, LEASE_TTL, LeaseError, Store};

/// How long the release of the lease may take; it expires by itself as well.
const RELEASE: Duration = Duration::from_secs(1);

/// The store, opened when it is first needed, and the lease that is held in it.
#[derive(Debug)]
pub(super) struct LazyStore {
    app: AppName,
    settings: StoreSettings,
    state: Utf8PathBuf,
    store: OnceCell<Store>,
    held: Mutex<Option<HeldLease>>,
}

impl LazyStore {
    pub(super) fn new(app: AppName, settings: StoreSettings, state: Utf8PathBuf) -> Self {
        Self {
            app,
            settings,
            state,
            store: OnceCell::new(),
            held: Mutex::default(),
        }
    }

    pub(super) async fn store(&self) -> eyre::Result<&Store> {
        let open = || Store::open(&self.settings, &self.state);
        self.store.get_or_try_init(open).await
    }

    /// The lease: the one that is held, the one that is there for the same holder, or a new one.
    pub(super) async fn hold(&self, lease: &Lease) -> Result<HeldLease, LeaseError> {
        let mut held = self.held.lock().await;
        if let Some(held) = *held {
            return Ok(held);
        }
        let store = self.store().await.map_err(LeaseError::Failed)?;
        let found = match store.held(&self.app, lease).await.map_err(LeaseError::Failed)? {
            Some(found) => found,
            None => store.acquire(&self.app, lease, &own()?).await?.0,
        };
        *held = Some(found);
        Ok(found)
    }

    /// The lease is lost.
    pub(super) async fn forget(&self, lost: HeldLease) {
        let mut held = self.held.lock().await;
        held.take_if(|held| *held == lost);
    }

    /// Holds it for ever. What goes wrong may go well the next time, and is an error where the lease is needed.
    async fn keep(&self, lease: &Lease) -> Infallible {
        loop {
            match self.hold(lease).await {
                Ok(held) => {
                    tokio::time::sleep(LEASE_TTL / 4).await;
                    if matches!(self.keep_once(held).await, Ok(false)) {
                        self.forget(held).await;
                    }
                }
                Err(error) => {
                    tracing::debug!("cannot hold the lease of {}: {error}", self.app);
                    tokio::time::sleep(LEASE_TTL / 4).await;
                }
            }
        }
    }

    async fn keep_once(&self, held: HeldLease) -> eyre::Result<bool> {
        self.store().await?.renew(held).await
    }
}

fn own() -> Result<HostId, LeaseError> {
    identity::read().map_err(LeaseError::Failed)
}

impl Machine {
    /// What holds the app's lease beside what else is done, as long as it is polled; it never ends.
    pub fn keeper(&self, lease: Lease) -> impl Future<Output = Infallible> + use<> {
        let lazy = Arc::clone(&self.lazy);
        async move { lazy.keep(&lease).await }
    }

    /// Whether the store answers and can be written to; none is needed for that but the store itself.
    pub async fn is_store_usable(&self) -> bool {
        match self.store().await {
            Ok(store) => store.is_usable().await,
            Err(_) => false,
        }
    }

    /// Releases the lease. Where that cannot be done in a moment it expires.
    pub async fn release_lease(&self) {
        let Some(held) = self.lazy.held.lock().await.take() else {
            return;
        };
        let release = async { self.store().await?.release(held).await };
        match tokio::time::timeout(RELEASE, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{error:#}"),
            Err(_) => tracing::debug!("the store does not answer"),
        }
    }

    /// Acquires the app's lease, and reads its cursor in the same moment. Errors with [`LeaseError`].
    pub async fn acquire_lease(&self, lease: &Lease) -> Result<Option<Stored>, LeaseError> {
        let store = self.store().await.map_err(LeaseError::Failed)?;
        let (held, stored) = store.acquire(&self.app.name, lease, &own()?).await?;
        *self.lazy.held.lock().await = Some(held);
        Ok(stored)
    }
}
