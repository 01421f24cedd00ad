//! The store in etcd, over its v3 API.

mod connect;
mod explain;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Error, GetOptions, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use eyre::OptionExt;

use self::explain::{Cause, Explain};
use super::SetError;
use super::keys::{Found, Keys};
use crate::model::{AppName, ByColor, Cursor, EtcdSettings, Port, Revision, Stored};

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
        let connect = retry(tries, || Client::connect(&settings.endpoints, Some(options.clone())));
        let client = match tokio::time::timeout(settings.timeout, connect).await {
            Ok(connected) => connected.map_err(|error| explain.error(&error))?.value,
            Err(_) => return Err(explain.timeout()),
        };
        let etcd = Self {
            client,
            keys: Keys::below(&settings.prefix),
            explain,
            timeout: settings.timeout,
            tries,
        };
        etcd.ask().await?;
        Ok(etcd)
    }

    /// Asks etcd something small. What this user may read is found out by who reads it.
    async fn ask(&self) -> eyre::Result<()> {
        let key = self.keys.prefix();
        let asked = self
            .call(async |mut kv| kv.get(key, Some(GetOptions::new().with_count_only())).await)
            .await;
        match asked {
            Err(Failure::Error(error)) if Cause::of(&error) == Cause::PermissionDenied => Ok(()),
            asked => asked.map(drop).map_err(|failure| self.report(&failure)),
        }
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
        match self.put(app, ports, &cursor, absent).await? {
            Ok(revision) => Ok(Stored { cursor, revision }),
            Err(found) => found.ok_or_eyre("cannot create the cursor: etcd says it is there and is not"),
        }
    }

    pub(super) async fn compare_and_set(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let unchanged = Compare::mod_revision(self.keys.compared(app), CompareOp::Equal, expected.0);
        self.put(app, ports, cursor, unchanged)
            .await?
            .map_err(SetError::Conflict)
    }

    pub(super) async fn replace(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let pairs = self.range(&self.keys.record(app)).await?;
        if let Ok(Some(found)) = self.stored(app, &pairs) {
            return Err(SetError::Conflict(Some(found)));
        }
        let compared = self.keys.compared(app);
        let instance = pairs.iter().find(|pair| pair.key() == compared.as_bytes());
        // A key that is not there has the revision 0.
        let revision = instance.map_or(0, KeyValue::mod_revision);
        let unchanged = Compare::mod_revision(compared, CompareOp::Equal, revision);
        self.put(app, ports, cursor, unchanged)
            .await?
            .map_err(SetError::Conflict)
    }

    pub(super) async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        let deletes: Vec<_> = self.keys.all(app).map(|key| TxnOp::delete(key, None)).collect();
        let txn = Txn::new().and_then(deletes);
        let removed = self.call(async |mut kv| kv.txn(txn.clone()).await).await;
        removed.map(drop).map_err(|failure| self.report(&failure))
    }

    /// Writes the whole record if `condition` holds; else returns what is there.
    async fn put(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
        condition: Compare,
    ) -> eyre::Result<Result<Revision, Option<Stored>>> {
        let pairs = self.keys.write(app, ports, cursor);
        let puts: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| TxnOp::put(key, value, None))
            .collect();
        let look = TxnOp::get(self.keys.record(app), Some(GetOptions::new().with_prefix()));
        let txn = Txn::new().when([condition]).and_then(puts).or_else([look]);
        let answer = self.call(async |mut kv| kv.txn(txn.clone()).await).await;
        let Answer {
            value: answer,
            is_second,
        } = answer.map_err(|failure| self.report(&failure))?;
        if answer.succeeded() {
            // What a transaction wrote has the revision of the transaction as its `mod_revision`.
            let header = answer
                .header()
                .ok_or_eyre("cannot read etcd's answer: it has no header")?;
            return Ok(Ok(Revision(header.revision())));
        }
        let found = match answer.op_responses().first() {
            Some(TxnOpResponse::Get(found)) => self.stored(app, found.kvs())?,
            _ => return Err(eyre::eyre!("cannot read etcd's answer: it has no record")),
        };
        match found {
            // The call whose answer was lost has done it: `moved_by` is nobody else's.
            Some(own) if is_second && own.cursor == *cursor && cursor.moved_by.is_some() => Ok(Ok(own.revision)),
            found => Ok(Err(found)),
        }
    }

    async fn range(&self, prefix: &str) -> eyre::Result<Vec<KeyValue>> {
        let answer = self
            .call(async |mut kv| kv.get(prefix, Some(GetOptions::new().with_prefix())).await)
            .await;
        Ok(answer.map_err(|failure| self.report(&failure))?.value.take_kvs())
    }

    fn stored(&self, app: &AppName, pairs: &[KeyValue]) -> eyre::Result<Option<Stored>> {
        match self.keys.sort_all(pairs.iter().map(parts)).get(app) {
            Some(found) => self.read(app, found),
            None => Ok(None),
        }
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
    async fn call<T>(&self, call: impl AsyncFn(KvClient) -> Result<T, Error>) -> Result<Answer<T>, Failure> {
        let kv = || self.client.kv_client().max_decoding_message_size(ANSWER_MAX);
        let calls = async {
            match retry(self.tries, || call(kv())).await {
                Err(error) if Cause::of(&error) == Cause::OldLogin => {
                    self.client.refresh_token().await?;
                    retry(self.tries, || call(kv())).await
                }
                answer => answer,
            }
        };
        match tokio::time::timeout(self.timeout, calls).await {
            Ok(answer) => answer.map_err(Failure::Error),
            Err(_) => Err(Failure::Timeout),
        }
    }

    fn report(&self, failure: &Failure) -> eyre::Report {
        match failure {
            Failure::Error(error) => self.explain.error(error),
            Failure::Timeout => self.explain.timeout(),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug)]
enum Failure {
    Error(Error),
    Timeout,
}

/// What etcd answered.
#[derive(Debug)]
struct Answer<T> {
    value: T,
    /// Whether the call had been made before, and the answer to that was lost.
    is_second: bool,
}

/// Tries again where no connection was made or it was lost; with several endpoints another one may be taken.
async fn retry<T>(tries: usize, call: impl AsyncFn() -> Result<T, Error>) -> Result<Answer<T>, Error> {
    let mut left = tries;
    let mut is_second = false;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(Answer { value, is_second }),
            Err(error) => error,
        };
        let cause = Cause::of(&error);
        left -= 1;
        if left == 0 || !matches!(cause, Cause::Unreachable | Cause::Lost) {
            return Err(error);
        }
        is_second |= cause == Cause::Lost;
        tokio::time::sleep(TRY_INTERVAL).await;
    }
}

fn parts(pair: &KeyValue) -> (&[u8], &[u8], i64) {
    (pair.key(), pair.value(), pair.mod_revision())
}
