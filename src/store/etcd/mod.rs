//! The store in etcd, over its v3 API.

mod connect;
mod explain;
mod fate;
mod lease;
mod record;

use std::fmt;
use std::time::Duration;

use etcd_client::{Client, Error, KvClient};

use self::explain::Explain;
use self::fate::{Fate, may_need_login};
use super::keys::Keys;
use crate::model::EtcdSettings;

/// The most that an answer may have, bytes: another program may keep something large under a key of bgctl's.
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
    has_user: bool,
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
            has_user: settings.user.is_some(),
        })
    }

    /// Makes a call within the timeout. It is made again where the connection failed, so it must be one that can be done
    /// twice, and where etcd wants a new login: the client itself logs in again only where a token expired, not where
    /// users or roles changed since.
    async fn call<T>(&self, call: impl AsyncFn(&Client) -> Result<T, Error>) -> Result<Answer<T>, Failure> {
        // On the heap: what gRPC keeps of a call is large, and many futures hold one.
        let calls = Box::pin(async {
            match retry(self.tries, false, || call(&self.client)).await {
                Err(failed) if self.has_user && may_need_login(&failed.error) => {
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

    fn kv(client: &Client) -> KvClient {
        client.kv_client().max_decoding_message_size(ANSWER_MAX)
    }

    fn report(&self, failure: &Failure) -> eyre::Report {
        match failure {
            Failure::Error(failed) => self.explain.error(&failed.error),
            Failure::Timeout => self.explain.timeout(),
        }
    }
}

/// Why a call has no answer.
#[derive(Debug)]
enum Failure {
    Error(Failed),
    Timeout,
}

impl Failure {
    /// Whether what was asked for has for certain not been done, and never will be.
    fn is_undone(&self) -> bool {
        self.fate().is_some_and(Fate::is_undone)
    }

    /// Whether it is decided by now what became of it, so that a read tells.
    fn is_answered(&self) -> bool {
        self.fate() == Some(Fate::Answered)
    }

    /// That of the only call; none where the answer to another one was lost.
    fn fate(&self) -> Option<Fate> {
        match self {
            Self::Error(failed) if !failed.is_second => Some(Fate::of(&failed.error)),
            Self::Error(_) | Self::Timeout => None,
        }
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
        let fate = Fate::of(&error);
        left -= 1;
        if left == 0 || !fate.is_worth_a_retry() {
            return Err(Failed { error, is_second });
        }
        is_second |= fate == Fate::Lost;
        tokio::time::sleep(TRY_INTERVAL).await;
    }
}
