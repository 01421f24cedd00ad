//! The store in etcd, over its v3 API.

mod claim;
mod connect;
mod explain;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse};
use eyre::OptionExt;

use self::explain::{Cause, Explain};
use super::keys::{Found, Keys};
use super::{Held, SetError};
use crate::model::{AppName, ByColor, Claim, Cursor, EtcdSettings, Port, Revision, Stored};

/// The most that an answer may have, bytes: [`Etcd::list`] reads all that is below the prefix, also what is not bgctl's.
const ANSWER_MAX: usize = 64 << 20;
/// How often a call is tried for each endpoint while the connection fails.
const TRIES: usize = 8;
const TRY_INTERVAL: Duration = Duration::from_millis(20);

/// A connection to etcd.
///
/// It may live long: it connects again where a member went away, and logs in again where its token expired.
pub struct Etcd {
    client: Client,
    keys: Keys,
    explain: Explain,
    timeout: Duration,
    tries: usize,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Etcd {
    pub(super) async fn open(settings: &EtcdSettings) -> eyre::Result<Self> {
        let explain = Explain::new(settings);
        let options = connect::options(settings)?;
        let tries = settings.endpoints.len() * TRIES;
        let connect = Box::pin(retry(tries, false, || {
            Client::connect(&settings.endpoints, Some(options.clone()))
        }));
        let client = match tokio::time::timeout(settings.timeout, connect).await {
            Ok(connected) => connected.map_err(|failure| explain.error(&failure.error))?.value,
            Err(_) => return Err(explain.timeout()),
        };
        Ok(Self {
            client,
            keys: Keys::below(&settings.prefix),
            explain,
            timeout: settings.timeout,
            tries,
        })
    }

    pub(super) async fn get(&self, app: &AppName) -> eyre::Result<Option<Stored>> {
        let record = self.keys.record(app);
        let pairs = self.range(&record).await?;
        self.stored(app, &pairs)
    }

    pub(super) async fn list(&self) -> eyre::Result<BTreeMap<AppName, Stored>> {
        let pairs = self.range(self.keys.prefix()).await?;
        let mut cursors = BTreeMap::new();
        for (app, found) in self.keys.sort(pairs.iter().map(parts)) {
            if let Some(stored) = self.read(&app, &found)? {
                cursors.insert(app, stored);
            }
        }
        Ok(cursors)
    }

    pub(super) async fn create(&self, app: &AppName, ports: ByColor<Port>) -> eyre::Result<Stored> {
        let cursor = Cursor::default();
        let absent = Compare::version(self.keys.compared(app), CompareOp::Equal, 0);
        let put = self.put(app, ports, &cursor, vec![absent]).await;
        match put.map_err(|failure| self.report(&failure))? {
            Put::Done(revision) => Ok(Stored { cursor, revision }),
            Put::Found { pairs, .. } => {
                let found = self.stored(app, &pairs)?;
                found.ok_or_eyre("cannot create the cursor: etcd says it is there and is not")
            }
        }
    }

    /// What asks for a claim compares the lease of its key: it has another one as soon as it is anybody else's.
    pub(super) async fn compare_and_set(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
        held: Option<Held>,
    ) -> Result<Revision, SetError> {
        let mut conditions = vec![Compare::mod_revision(
            self.keys.compared(app),
            CompareOp::Equal,
            expected.0,
        )];
        conditions.extend(held.map(|held| Compare::lease(self.keys.claim(app), CompareOp::Equal, held.lease)));
        let (found, pairs) = match self.set(app, ports, cursor, conditions).await? {
            Set::Done(revision) => return Ok(revision),
            Set::Not { found, pairs } => (found, pairs),
        };
        match found {
            Some(same) if same.revision == expected && held.is_some() => Err(SetError::Unclaimed(
                self.claim_in(app, &pairs).map_err(SetError::Refused)?,
            )),
            found => Err(SetError::Conflict(found)),
        }
    }

    pub(super) async fn replace(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let pairs = self.range(&self.keys.record(app)).await.map_err(SetError::Refused)?;
        if let Ok(Some(found)) = self.stored(app, &pairs) {
            return Err(SetError::Conflict(Some(found)));
        }
        let compared = self.keys.compared(app);
        let instance = pairs.iter().find(|pair| pair.key() == compared.as_bytes());
        // A key that is not there has the revision 0.
        let revision = instance.map_or(0, KeyValue::mod_revision);
        let unchanged = Compare::mod_revision(compared, CompareOp::Equal, revision);
        match self.set(app, ports, cursor, vec![unchanged]).await? {
            Set::Done(revision) => Ok(revision),
            Set::Not { found, .. } => Err(SetError::Conflict(found)),
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
        let (pairs, is_second) = match self.put(app, ports, cursor, conditions).await {
            Ok(Put::Done(revision)) => return Ok(Set::Done(revision)),
            Ok(Put::Found { pairs, is_second }) => (pairs, is_second),
            Err(failure) if failure.is_sure() => return Err(SetError::Refused(self.report(&failure))),
            Err(failure) => return Err(SetError::Unknown(self.report(&failure))),
        };
        match self.stored(app, &pairs).map_err(SetError::Refused)? {
            // The call whose answer was lost has done it: `moved_by` is nobody else's.
            Some(own) if is_second && own.cursor == *cursor && cursor.moved_by.is_some() => Ok(Set::Done(own.revision)),
            found => Ok(Set::Not { found, pairs }),
        }
    }

    pub(super) async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        let deletes: Vec<_> = self.keys.all(app).map(|key| TxnOp::delete(key, None)).collect();
        let txn = Txn::new().and_then(deletes);
        let removed = self
            .call(async |client| client.kv_client().txn(txn.clone()).await)
            .await;
        removed.map(drop).map_err(|failure| self.report(&failure))
    }

    /// Writes the whole record if all `conditions` hold; else returns what is there.
    async fn put(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
        conditions: Vec<Compare>,
    ) -> Result<Put, Failure> {
        let pairs = self.keys.write(app, ports, cursor);
        let puts: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| TxnOp::put(key, value, None))
            .collect();
        let look = TxnOp::get(self.keys.record(app), Some(GetOptions::new().with_prefix()));
        let txn = Txn::new().when(conditions).and_then(puts).or_else([look]);
        let answer = self.call(async |client| client.kv_client().txn(txn.clone()).await);
        let Answer { value, is_second } = answer.await?;
        if value.succeeded() {
            // What a transaction wrote has the revision of the transaction as its `mod_revision`; a header without it is
            // none of etcd's.
            let revision = value.header().map_or(0, etcd_client::ResponseHeader::revision);
            return Ok(Put::Done(Revision(revision)));
        }
        let pairs = match value.op_responses().into_iter().next() {
            Some(TxnOpResponse::Get(mut found)) => found.take_kvs(),
            _ => Vec::new(),
        };
        Ok(Put::Found { pairs, is_second })
    }

    async fn range(&self, prefix: &str) -> eyre::Result<Vec<KeyValue>> {
        let answer = self
            .call(async |client| {
                let mut kv = client.kv_client().max_decoding_message_size(ANSWER_MAX);
                kv.get(prefix, Some(GetOptions::new().with_prefix())).await
            })
            .await;
        Ok(answer.map_err(|failure| self.report(&failure))?.value.take_kvs())
    }

    fn stored(&self, app: &AppName, pairs: &[KeyValue]) -> eyre::Result<Option<Stored>> {
        match self.keys.sort_all(pairs.iter().map(parts)).get(app) {
            Some(found) => self.read(app, found),
            None => Ok(None),
        }
    }

    fn claim_in(&self, app: &AppName, pairs: &[KeyValue]) -> eyre::Result<Option<Claim>> {
        let key = self.keys.claim(app);
        let pair = pairs.iter().find(|pair| pair.key() == key.as_bytes());
        pair.map(|pair| self.read_claim(app, pair)).transpose()
    }

    fn read(&self, app: &AppName, found: &Found) -> eyre::Result<Option<Stored>> {
        let read = self.keys.read(app, found)?;
        Ok(read.map(|(cursor, revision)| Stored {
            cursor,
            revision: Revision(revision),
        }))
    }

    /// Makes a call within the timeout. It is made again where the connection failed, so it must be one that can be done
    /// twice, and where etcd wants a new login: the client itself logs in again only where a token expired, not where
    /// users or roles changed since.
    async fn call<T>(&self, call: impl AsyncFn(&Client) -> Result<T, Error>) -> Result<Answer<T>, Failure> {
        // On the heap: what gRPC keeps of a call is large, and many futures hold one.
        let calls = Box::pin(async {
            match retry(self.tries, false, || call(&self.client)).await {
                Err(failed) if Cause::of(&failed.error) == Cause::OldLogin => {
                    let login = self.client.refresh_token().await;
                    login.map_err(|error| Failed { error, ..failed })?;
                    retry(self.tries, failed.is_second, || call(&self.client)).await
                }
                answer => answer,
            }
        });
        match tokio::time::timeout(self.timeout, calls).await {
            Ok(answer) => answer.map_err(Failure::Error),
            Err(_) => Err(Failure::Timeout),
        }
    }

    fn report(&self, failure: &Failure) -> eyre::Report {
        match failure {
            Failure::Error(failed) => self.explain.error(&failed.error),
            Failure::Timeout => self.explain.timeout(),
        }
    }
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

/// Why a call has no answer.
#[derive(Debug)]
enum Failure {
    Error(Failed),
    Timeout,
}

impl Failure {
    /// Whether what was asked for has for certain not been done.
    fn is_sure(&self) -> bool {
        matches!(self, Self::Error(failed) if !failed.is_second && Cause::of(&failed.error).is_sure())
    }
}

/// A call that failed.
#[derive(Debug)]
struct Failed {
    error: Error,
    /// Whether the call had been made before, and the answer to that was lost.
    is_second: bool,
}

/// What etcd answered.
#[derive(Debug)]
struct Answer<T> {
    value: T,
    /// As in [`Failed`].
    is_second: bool,
}

/// Tries again where no connection was made or it was lost; with several endpoints another one may be taken. `is_second` as in
/// [`Failed`], of what came before.
async fn retry<T>(
    tries: usize,
    mut is_second: bool,
    call: impl AsyncFn() -> Result<T, Error>,
) -> Result<Answer<T>, Failed> {
    let mut left = tries;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(Answer { value, is_second }),
            Err(error) => error,
        };
        let cause = Cause::of(&error);
        left -= 1;
        if left == 0 || !matches!(cause, Cause::Unreachable | Cause::Lost) {
            return Err(Failed { error, is_second });
        }
        is_second |= cause == Cause::Lost;
        tokio::time::sleep(TRY_INTERVAL).await;
    }
}

fn parts(pair: &KeyValue) -> (&[u8], &[u8], i64) {
    (pair.key(), pair.value(), pair.mod_revision())
}
