//! The claim on an app, which tells other hosts that this one is at work on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::sync::{Mutex, OnceCell};

use super::Machine;
use crate::host::identity;
use crate::model::{AppName, Claim, HostId, StoreSettings, Stored};
use crate::store::{CLAIM_TTL, ClaimError, Held, Store};

/// How long the end of a claim may take; it ends by itself as well.
const RELEASE: Duration = Duration::from_secs(1);

/// The store, opened when it is first needed, and the claim in it.
#[derive(Debug)]
pub(super) struct Door {
    app: AppName,
    settings: StoreSettings,
    state: Utf8PathBuf,
    store: OnceCell<Store>,
    held: Mutex<Option<Held>>,
}

impl Door {
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

    /// The claim: the one that is held, the one that is there for the same `by`, or a new one.
    pub(super) async fn hold(&self, claim: &Claim) -> Result<Held, ClaimError> {
        let mut held = self.held.lock().await;
        if let Some(held) = *held {
            return Ok(held);
        }
        let store = self.store().await.map_err(ClaimError::Failed)?;
        let found = match store.held(&self.app, claim).await.map_err(ClaimError::Failed)? {
            Some(found) => found,
            None => store.claim(&self.app, claim, &own()?).await?.0,
        };
        *held = Some(found);
        Ok(found)
    }

    /// The claim has ended.
    pub(super) async fn forget(&self, lost: Held) {
        let mut held = self.held.lock().await;
        held.take_if(|held| *held == lost);
    }

    /// Holds it for ever. What goes wrong may go well the next time, and is told by whoever needs the claim.
    async fn keep(&self, claim: &Claim) -> Infallible {
        loop {
            match self.hold(claim).await {
                Ok(held) => {
                    tokio::time::sleep(CLAIM_TTL / 4).await;
                    if matches!(self.keep_once(held).await, Ok(false)) {
                        self.forget(held).await;
                    }
                }
                Err(error) => {
                    tracing::debug!("cannot hold the claim of {}: {error}", self.app);
                    tokio::time::sleep(CLAIM_TTL / 4).await;
                }
            }
        }
    }

    async fn keep_once(&self, held: Held) -> eyre::Result<bool> {
        self.store().await?.keep(held).await
    }
}

fn own() -> Result<HostId, ClaimError> {
    identity::read().map_err(ClaimError::Failed)
}

impl Machine {
    /// What keeps the app claimed, beside what else is done, as long as it is polled; it never ends.
    pub fn keeper(&self, claim: Claim) -> impl Future<Output = Infallible> + use<> {
        let door = Arc::clone(&self.door);
        async move { door.keep(&claim).await }
    }

    /// Whether the store answers and can be written to; none is needed for that but the store itself.
    pub async fn is_store_usable(&self) -> bool {
        match self.store().await {
            Ok(store) => store.is_usable().await,
            Err(_) => false,
        }
    }

    /// Ends the claim. Where that cannot be done in a moment it ends by itself.
    pub async fn release_claim(&self) {
        let Some(held) = self.door.held.lock().await.take() else {
            return;
        };
        let release = async { self.store().await?.release(held).await };
        match tokio::time::timeout(RELEASE, release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{error:#}"),
            Err(_) => tracing::debug!("the store does not answer"),
        }
    }

    /// Claims the app, and reads its cursor in the same moment. Fails with [`ClaimError`].
    pub async fn claim(&self, claim: &Claim) -> Result<Option<Stored>, ClaimError> {
        let store = self.store().await.map_err(ClaimError::Failed)?;
        let (held, stored) = store.claim(&self.app.name, claim, &own()?).await?;
        *self.door.held.lock().await = Some(held);
        Ok(stored)
    }
}
