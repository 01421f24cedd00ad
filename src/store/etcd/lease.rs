//! The lease of an app: the key `claim`, to which a lease of etcd's is attached (etcd's documentation, "Lease API").

use etcd_client::{Compare, CompareOp, Error, KeyValue, PutOptions, Txn, TxnOp};
use tonic::Code;

use super::{Etcd, record};
use crate::model::{AppName, Hinted, Holder, HostId, Lease, NotALease, Stored};
use crate::store::{HeldLease, LEASE_TTL, LeaseError};

impl Etcd {
    /// One transaction puts the key and reads the record, after etcd granted the lease that is attached.
    pub(in crate::store) async fn acquire(
        &self,
        app: &AppName,
        lease: &Lease,
        host: &HostId,
    ) -> Result<(HeldLease, Option<Stored>), LeaseError> {
        let id = self.grant().await.map_err(LeaseError::Failed)?;
        let key = self.keys.lease(app);
        let mut condition = Compare::version(key.clone(), CompareOp::Equal, 0);
        loop {
            let (is_ours, pairs) = self
                .put_lease(app, lease, id, condition)
                .await
                .map_err(LeaseError::Failed)?;
            let stored = || {
                let found = self.found_in(app, &pairs);
                self.read(app, &found).map_err(|error| LeaseError::Failed(error.into()))
            };
            if is_ours {
                return Ok((HeldLease { id }, stored()?));
            }
            let Some(pair) = pairs.iter().find(|pair| pair.key() == key.as_bytes()) else {
                // It ended between a comparison with it and now.
                condition = Compare::version(key.clone(), CompareOp::Equal, 0);
                continue;
            };
            let holder = self
                .holder(app, pair)
                .map_err(|none| LeaseError::Failed(hinted(none)))?;
            if holder.lease.by == lease.by && pair.lease() != 0 {
                return Ok((HeldLease { id: pair.lease() }, stored()?));
            }
            if !host.wrote(&holder.lease.by) {
                return Err(LeaseError::HeldBy(holder));
            }
            condition = Compare::mod_revision(key.clone(), CompareOp::Equal, pair.mod_revision());
        }
    }

    pub(in crate::store) async fn held(&self, app: &AppName, lease: &Lease) -> eyre::Result<Option<HeldLease>> {
        let key = self.keys.lease(app);
        let answer = self.call(async |client| client.kv_client().get(key.as_str(), None).await);
        let answer = answer.await.map_err(|failure| self.report(&failure))?.value;
        let Some(pair) = answer.kvs().first() else {
            return Ok(None);
        };
        let is_ours = pair.lease() != 0 && self.holder(app, pair).map_err(hinted)?.lease.by == lease.by;
        Ok(is_ours.then(|| HeldLease { id: pair.lease() }))
    }

    pub(in crate::store) async fn renew(&self, held: HeldLease) -> eyre::Result<bool> {
        let renewed = self.call(async |client| match client.lease_client().keep_alive(held.id).await {
            Ok(_) => Ok(true),
            // The client's word for a lease that has ended.
            Err(Error::LeaseKeepAliveError(_)) => Ok(false),
            Err(error) => Err(error),
        });
        Ok(renewed.await.map_err(|failure| self.report(&failure))?.value)
    }

    pub(in crate::store) async fn release(&self, held: HeldLease) -> eyre::Result<()> {
        let revoked = self.call(async |client| match client.lease_client().revoke(held.id).await {
            // It has ended.
            Err(Error::GRpcStatus(status)) if status.code() == Code::NotFound => Ok(()),
            revoked => revoked.map(drop),
        });
        revoked.await.map(drop).map_err(|failure| self.report(&failure))
    }

    /// A lease is the smallest thing to write, and ends by itself.
    pub(in crate::store) async fn is_usable(&self) -> bool {
        self.grant().await.is_ok()
    }

    async fn grant(&self) -> eyre::Result<i64> {
        let ttl = i64::try_from(LEASE_TTL.as_secs())?;
        let granted = self.call(async |client| client.lease_client().grant(ttl, None).await);
        Ok(granted.await.map_err(|failure| self.report(&failure))?.value.id())
    }

    /// Whether it was written; and the record, with the key of the lease where it was not.
    async fn put_lease(
        &self,
        app: &AppName,
        lease: &Lease,
        id: i64,
        condition: Compare,
    ) -> eyre::Result<(bool, Vec<KeyValue>)> {
        let attached = Some(PutOptions::new().with_lease(id));
        let put = TxnOp::put(self.keys.lease(app), serde_json::to_vec(lease)?, attached);
        let gets = self.gets(app);
        let gets_and_put: Vec<_> = gets.iter().cloned().chain([put]).collect();
        let txn = Txn::new().when([condition]).and_then(gets_and_put).or_else(gets);
        let answer = self.txn(txn).await.map_err(|failure| self.report(&failure))?.value;
        Ok((answer.succeeded(), record::pairs(&answer)))
    }

    /// The holder of the lease, by the keys of a record.
    pub(super) fn holder_in(&self, app: &AppName, pairs: &[KeyValue]) -> Result<Option<Holder>, NotALease> {
        let key = self.keys.lease(app);
        let pair = pairs.iter().find(|pair| pair.key() == key.as_bytes());
        pair.map(|pair| self.holder(app, pair)).transpose()
    }

    fn holder(&self, app: &AppName, pair: &KeyValue) -> Result<Holder, NotALease> {
        let key = self.keys.lease(app);
        match Lease::parse(pair.value()) {
            Ok(lease) => Ok(Holder {
                lease,
                endless: (pair.lease() == 0).then_some(key),
            }),
            Err(reason) => Err(NotALease {
                app: app.clone(),
                key,
                reason,
            }),
        }
    }
}

pub(super) fn hinted(none: NotALease) -> eyre::Report {
    let hint = format!("no bgctl wrote that; if nobody needs it: {}", none.delete());
    Hinted::from(none.into(), hint).into()
}
