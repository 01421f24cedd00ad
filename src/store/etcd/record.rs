//! The record of an app: read and written whole, in one transaction.

use std::collections::BTreeMap;

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse};
use eyre::OptionExt as _;

use super::lease::hinted;
use super::{Answer, Etcd, Failure};
use crate::model::{AppName, ByColor, Cursor, Port, Revision, StateError, Stored};
use crate::store::keys::{Found, Key};
use crate::store::{HeldLease, Listed, Look, SetError};

/// How many apps one transaction asks for: three keys each, and etcd allows 128 operations (`--max-txn-ops`).
const APPS_AT_ONCE: usize = 42;

impl Etcd {
    pub(in crate::store) async fn get(&self, app: &AppName) -> Result<Option<Stored>, StateError> {
        self.look(app).await?.cursor
    }

    pub(in crate::store) async fn look(&self, app: &AppName) -> eyre::Result<Look> {
        let answer = self.txn(Txn::new().and_then(self.gets(app))).await;
        let pairs = pairs(&answer.map_err(|failure| self.report(&failure))?.value);
        Ok(Look {
            cursor: self.read(app, &self.found_in(app, &pairs)),
            holder: self.holder_in(app, &pairs),
        })
    }

    pub(in crate::store) async fn list(&self, apps: &[AppName]) -> eyre::Result<Listed> {
        let mut cursors = BTreeMap::new();
        for apps in apps.chunks(APPS_AT_ONCE) {
            let gets: Vec<_> = apps.iter().flat_map(|app| self.keys.read_ones(app)).map(get).collect();
            let answer = self.txn(Txn::new().and_then(gets)).await;
            let pairs = pairs(&answer.map_err(|failure| self.report(&failure))?.value);
            for app in apps {
                let found = self.found_in(app, &pairs);
                let read = if found.is_empty() || found.is_complete() {
                    self.read(app, &found)
                } else {
                    // Whose it is, the other keys tell.
                    self.get(app).await
                };
                if let Some(read) = read.transpose() {
                    cursors.insert(app.clone(), read);
                }
            }
        }
        Ok(cursors)
    }

    pub(in crate::store) async fn create(&self, app: &AppName, ports: ByColor<Port>) -> eyre::Result<Stored> {
        let cursor = Cursor::default();
        let nothing = self.unchanged(app, &Found::default());
        let put = self.put(app, ports, &cursor, nothing).await;
        match put.map_err(|failure| self.report(&failure))? {
            Put::Done(revision) => Ok(Stored { cursor, revision }),
            Put::Found { pairs, .. } => {
                let found = self.read(app, &self.found_in(app, &pairs))?;
                found.ok_or_eyre("cannot create the cursor: etcd says it is there and is not")
            }
        }
    }

    /// Where the lease has to be held, what is attached to its key is compared: that is another one as soon as another host holds it.
    pub(in crate::store) async fn compare_and_set(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
        held: Option<HeldLease>,
    ) -> Result<Revision, SetError> {
        let compared = self.keys.compared(app);
        let mut conditions = vec![
            Compare::mod_revision(compared.clone(), CompareOp::Equal, expected.0),
            // Revision 0 is also that of a key which is not there.
            Compare::version(compared, CompareOp::Greater, 0),
        ];
        conditions.extend(held.map(|held| Compare::lease(self.keys.lease(app), CompareOp::Equal, held.id)));
        let (found, pairs) = match self.set(app, ports, cursor, conditions).await? {
            Set::Done(revision) => return Ok(revision),
            Set::Not { found, pairs } => (found, pairs),
        };
        match found {
            Some(same) if same.revision == expected && held.is_some() => {
                let holder = self.holder_in(app, &pairs);
                Err(SetError::LeaseLost(
                    holder.map_err(|none| SetError::Refused(hinted(none)))?,
                ))
            }
            found => Err(SetError::Conflict(found)),
        }
    }

    pub(in crate::store) async fn replace(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let found = self.found(app).await;
        let found = found.map_err(|failure| SetError::Refused(self.report(&failure)))?;
        match self.read(app, &found) {
            Ok(None) | Err(StateError::Damaged(_)) => {}
            Ok(Some(found)) => return Err(SetError::Conflict(Some(found))),
            Err(error) => return Err(SetError::Refused(error.into())),
        }
        match self.set(app, ports, cursor, self.unchanged(app, &found)).await? {
            Set::Done(revision) => Ok(revision),
            Set::Not { found, .. } => Err(SetError::Conflict(found)),
        }
    }

    pub(in crate::store) async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        loop {
            let found = self.found(app).await.map_err(|failure| self.report(&failure))?;
            let (own, others) = found.split(&self.keys, app);
            if !own.is_empty() {
                let deletes: Vec<_> = own.into_iter().map(|key| TxnOp::delete(key, None)).collect();
                let txn = Txn::new().when(self.unchanged(app, &found)).and_then(deletes);
                let removed = self.txn(txn).await.map_err(|failure| self.report(&failure))?;
                if !removed.value.succeeded() {
                    // It changed meanwhile, or is removed already by a call whose answer was lost.
                    continue;
                }
            }
            if !others.is_empty() {
                tracing::warn!("left in etcd, since another program wrote it: {}", others.join(", "));
            }
            return Ok(());
        }
    }

    /// Writes the whole record if all `conditions` hold, or an answer that was lost said that it did; fails where the store
    /// says nothing.
    async fn set(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
        conditions: Vec<Compare>,
    ) -> Result<Set, SetError> {
        let failure = match self.put(app, ports, cursor, conditions).await {
            Ok(Put::Done(revision)) => return Ok(Set::Done(revision)),
            Ok(Put::Found { pairs, is_second }) => {
                let found = self.read(app, &self.found_in(app, &pairs));
                let found = found.map_err(|error| SetError::Refused(error.into()))?;
                return Ok(match found {
                    // The call whose answer was lost has done it.
                    Some(own) if is_second && is_of_this_move(&own, cursor) => Set::Done(own.revision),
                    found => Set::Not { found, pairs },
                });
            }
            Err(failure) => failure,
        };
        let error = self.report(&failure);
        if failure.is_undone() {
            return Err(SetError::Refused(error));
        }
        if failure.is_answered() {
            return match self.get(app).await {
                Ok(Some(own)) if is_of_this_move(&own, cursor) => Ok(Set::Done(own.revision)),
                Ok(_) => Err(SetError::Refused(error)),
                Err(_) => Err(SetError::Unknown(error)),
            };
        }
        Err(SetError::Unknown(error))
    }

    /// Writes the whole record if all `conditions` hold; else returns what is there.
    async fn put(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
        conditions: Vec<Compare>,
    ) -> Result<Put, Failure> {
        let puts: Vec<_> = self
            .keys
            .write(app, ports, cursor)
            .into_iter()
            .map(|(key, value)| TxnOp::put(key, value, None))
            .collect();
        let txn = Txn::new().when(conditions).and_then(puts).or_else(self.gets(app));
        let Answer { value, is_second } = self.txn(txn).await?;
        if value.succeeded() {
            // What a transaction wrote has the revision of the transaction as its `mod_revision`; a header without it is
            // none of etcd's.
            let revision = value.header().map_or(0, etcd_client::ResponseHeader::revision);
            return Ok(Put::Done(Revision(revision)));
        }
        let pairs = pairs(&value);
        Ok(Put::Found { pairs, is_second })
    }

    pub(super) async fn txn(&self, txn: Txn) -> Result<Answer<TxnResponse>, Failure> {
        self.call(async |client| Self::kv(client).txn(txn.clone()).await).await
    }

    async fn found(&self, app: &AppName) -> Result<Found, Failure> {
        let answer = self.txn(Txn::new().and_then(self.gets(app))).await?;
        Ok(self.found_in(app, &pairs(&answer.value)))
    }

    /// Gets the record of `app` and the key of its lease. Of the keys that are for others to read it takes no values, which may be
    /// another program's and large.
    pub(super) fn gets(&self, app: &AppName) -> Vec<TxnOp> {
        let read = self.keys.read_ones(app).chain([self.keys.lease(app)]).map(get);
        let shown = self.keys.shown_ones(app);
        let shown = shown.map(|key| TxnOp::get(key, Some(GetOptions::new().with_keys_only())));
        read.chain(shown).collect()
    }

    pub(super) fn found_in(&self, app: &AppName, pairs: &[KeyValue]) -> Found {
        let keys = pairs.iter().map(|pair| Key {
            name: pair.key(),
            value: pair.value(),
            created: pair.create_revision(),
            modified: pair.mod_revision(),
        });
        Found::of(&self.keys, app, keys)
    }

    pub(super) fn read(&self, app: &AppName, found: &Found) -> Result<Option<Stored>, StateError> {
        let read = self.keys.read(app, found)?;
        Ok(read.map(|(cursor, revision)| Stored {
            cursor,
            revision: Revision(revision),
        }))
    }

    /// That nobody has written any key of the record since it was `found`.
    fn unchanged(&self, app: &AppName, found: &Found) -> Vec<Compare> {
        let revisions = found.revisions(&self.keys, app).into_iter();
        revisions
            .map(|(key, revision)| Compare::mod_revision(key, CompareOp::Equal, revision))
            .collect()
    }
}

fn get(key: String) -> TxnOp {
    TxnOp::get(key, None)
}

/// What the gets of a transaction found.
pub(super) fn pairs(answer: &TxnResponse) -> Vec<KeyValue> {
    let found = answer.op_responses().into_iter().flat_map(|response| match response {
        TxnOpResponse::Get(mut found) => found.take_kvs(),
        _ => Vec::new(),
    });
    found.collect()
}

/// Whether the cursor is where this move was to bring it, by its name, which nobody else has.
fn is_of_this_move(there: &Stored, cursor: &Cursor) -> bool {
    there.cursor == *cursor && cursor.moved_by.is_some()
}

/// What became of a record that was to be written.
#[derive(Debug)]
enum Put {
    /// It is written.
    Done(Revision),
    /// A condition did not hold: the keys of the record as they are.
    Found { pairs: Vec<KeyValue>, is_second: bool },
}

/// What became of a cursor that was to be moved.
#[derive(Debug)]
enum Set {
    /// It is moved.
    Done(Revision),
    /// A condition did not hold: the cursor and the keys as they are.
    Not {
        found: Option<Stored>,
        pairs: Vec<KeyValue>,
    },
}
