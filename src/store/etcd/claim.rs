//! Claims: a key with a lease (etcd's documentation, "Lease API").

use etcd_client::{Compare, CompareOp, Error, KeyValue, PutOptions, Txn, TxnOp};
use tonic::Code;

use super::{Etcd, record};
use crate::model::{AppName, Claim, Hinted, Holder, HostId, NoClaim, Stored};
use crate::store::{CLAIM_TTL, ClaimError, Held};

impl Etcd {
    /// One transaction claims and reads, after the lease that the claim ends with was granted.
    pub(in crate::store) async fn claim(
        &self,
        app: &AppName,
        claim: &Claim,
        host: &HostId,
    ) -> Result<(Held, Option<Stored>), ClaimError> {
        let lease = self.grant().await.map_err(ClaimError::Failed)?;
        let key = self.keys.claim(app);
        let mut condition = Compare::version(key.clone(), CompareOp::Equal, 0);
        loop {
            let (is_ours, pairs) = self
                .put_claim(app, claim, lease, condition)
                .await
                .map_err(ClaimError::Failed)?;
            let stored = || {
                let found = self.found_in(app, &pairs);
                self.read(app, &found).map_err(ClaimError::Failed)
            };
            if is_ours {
                return Ok((Held { lease }, stored()?));
            }
            let Some(pair) = pairs.iter().find(|pair| pair.key() == key.as_bytes()) else {
                // It ended between a comparison with it and now.
                condition = Compare::version(key.clone(), CompareOp::Equal, 0);
                continue;
            };
            let holder = self
                .holder(app, pair)
                .map_err(|none| ClaimError::Failed(hinted(none)))?;
            if holder.claim.by == claim.by && pair.lease() != 0 {
                return Ok((Held { lease: pair.lease() }, stored()?));
            }
            if !host.wrote(&holder.claim.by) {
                return Err(ClaimError::Taken(holder));
            }
            condition = Compare::mod_revision(key.clone(), CompareOp::Equal, pair.mod_revision());
        }
    }

    pub(in crate::store) async fn held(&self, app: &AppName, claim: &Claim) -> eyre::Result<Option<Held>> {
        let key = self.keys.claim(app);
        let answer = self.call(async |client| client.kv_client().get(key.as_str(), None).await);
        let answer = answer.await.map_err(|failure| self.report(&failure))?.value;
        let Some(pair) = answer.kvs().first() else {
            return Ok(None);
        };
        let is_ours = pair.lease() != 0 && self.holder(app, pair).map_err(hinted)?.claim.by == claim.by;
        Ok(is_ours.then(|| Held { lease: pair.lease() }))
    }

    pub(in crate::store) async fn keep(&self, held: Held) -> eyre::Result<bool> {
        let kept = self.call(
            async |client| match client.lease_client().keep_alive(held.lease).await {
                Ok(_) => Ok(true),
                // The client's word for a lease that has ended.
                Err(Error::LeaseKeepAliveError(_)) => Ok(false),
                Err(error) => Err(error),
            },
        );
        Ok(kept.await.map_err(|failure| self.report(&failure))?.value)
    }

    pub(in crate::store) async fn release(&self, held: Held) -> eyre::Result<()> {
        let revoked = self.call(async |client| match client.lease_client().revoke(held.lease).await {
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
        let ttl = i64::try_from(CLAIM_TTL.as_secs())?;
        let granted = self.call(async |client| client.lease_client().grant(ttl, None).await);
        Ok(granted.await.map_err(|failure| self.report(&failure))?.value.id())
    }

    /// Whether it was written; the record, and the claim in it where it was not.
    async fn put_claim(
        &self,
        app: &AppName,
        claim: &Claim,
        lease: i64,
        condition: Compare,
    ) -> eyre::Result<(bool, Vec<KeyValue>)> {
        let with_lease = Some(PutOptions::new().with_lease(lease));
        let put = TxnOp::put(self.keys.claim(app), serde_json::to_vec(claim)?, with_lease);
        let look = self.gets(app);
        let look_and_put: Vec<_> = look.iter().cloned().chain([put]).collect();
        let txn = Txn::new().when([condition]).and_then(look_and_put).or_else(look);
        let answer = self.txn(txn).await.map_err(|failure| self.report(&failure))?.value;
        Ok((answer.succeeded(), record::pairs(&answer)))
    }

    /// The claim among the keys of a record.
    pub(super) fn claim_in(&self, app: &AppName, pairs: &[KeyValue]) -> Result<Option<Holder>, NoClaim> {
        let key = self.keys.claim(app);
        let pair = pairs.iter().find(|pair| pair.key() == key.as_bytes());
        pair.map(|pair| self.holder(app, pair)).transpose()
    }

    /// Who has the claim.
    fn holder(&self, app: &AppName, pair: &KeyValue) -> Result<Holder, NoClaim> {
        let key = self.keys.claim(app);
        match Claim::parse(pair.value()) {
            Ok(claim) => Ok(Holder {
                claim,
                endless: (pair.lease() == 0).then_some(key),
            }),
            Err(reason) => Err(NoClaim {
                app: app.clone(),
                key,
                reason,
            }),
        }
    }
}

pub(super) fn hinted(none: NoClaim) -> eyre::Report {
    let hint = format!("no bgctl wrote that; if nobody needs it: {}", none.delete());
    Hinted::from(none.into(), hint).into()
}
