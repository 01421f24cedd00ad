//! Waiting for a job of systemd.
//!
//! The order matters: listen first, then ask for the job, then look for it among the jobs that ended. A job can end
//! before the answer that names it is here, so what is heard until then is kept. And the signal can fail to come
//! (systemd/systemd#5328), so the job itself is looked at now and then as well.

use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::{Connection, OwnedObjectPath, fdo};

use super::bus::{JobProxy, JobRemoved, JobRemovedArgs, JobRemovedStream, ManagerProxy};
use super::explain::is_away;

/// The time between two looks at the job itself.
const POLL: Duration = Duration::from_millis(250);

/// How long the signal may still take once the job is gone.
const GRACE: Duration = Duration::from_millis(100);

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With a result (org.freedesktop.systemd1(5), `JobRemoved()`): `done` or why not.
    Result(String),
    /// It is gone, and nobody said how it ended: the unit's state must tell.
    Unheard,
}

/// Asks for a job by `call` and waits until it ended, as one of `signals` tells. These are read all the time: a connection
/// takes no message, not even an answer, while the queue of one of its streams is full.
pub(super) async fn run(
    manager: &ManagerProxy<'_>,
    mut signals: JobRemovedStream,
    call: impl Future<Output = zbus::Result<OwnedObjectPath>>,
) -> zbus::Result<Ended> {
    let mut heard = Vec::new();

    tokio::pin!(call);
    let job = loop {
        tokio::select! {
            biased;
            job = &mut call => break job?,
            signal = signals.next() => heard.push(read(signal)?),
        }
    };
    if let Some((_, result)) = heard.into_iter().find(|(ended, _)| *ended == job) {
        return Ok(Ended::Result(result));
    }

    let gone = gone(manager.inner().connection(), &job);
    tokio::pin!(gone);
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => {
                let (ended, result) = read(signal)?;
                if ended == job {
                    return Ok(Ended::Result(result));
                }
            }
            looked = &mut gone => return looked.map(|()| Ended::Unheard),
        }
    }
}

fn read(signal: Option<JobRemoved>) -> zbus::Result<(OwnedObjectPath, String)> {
    let signal = signal.ok_or_else(|| zbus::Error::Failure("the connection to systemd was closed".into()))?;
    let JobRemovedArgs { job, result, .. } = signal.args()?;
    Ok((job, result))
}

/// Ends a moment after the job is gone.
async fn gone(connection: &Connection, job: &OwnedObjectPath) -> zbus::Result<()> {
    let proxy = JobProxy::builder(connection)
        .path(job)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    loop {
        tokio::time::sleep(POLL).await;
        match proxy.state().await {
            Ok(_) => {}
            // Its jobs are kept.
            Err(error) if is_away(&error) => {}
            Err(error) if is_unknown_object(&error) => {
                tokio::time::sleep(GRACE).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_unknown_object(error: &zbus::Error) -> bool {
    let zbus::Error::FDO(error) = error else { return false };
    matches!(
        **error,
        fdo::Error::UnknownObject(_) | fdo::Error::UnknownMethod(_) | fdo::Error::UnknownInterface(_)
    )
}
