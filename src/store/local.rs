//! The local store: one file per app, `STATE/APP/cursor.json`, that a person can read.
//!
//! Several processes use it. A writer holds a lock on the app's folder (flock(2)) and puts a whole new file in the place of
//! the old one, so a reader needs no lock and never sees half a file.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Listed, SetError};
use crate::files::{self, folder::Folder};
use crate::model::{AppName, ByColor, Cursor, Hint, Port, Revision, StateError, Stored, Unreadable, sealed};

/// The version of such a file.
const VERSION: u32 = 2;
/// The revision of a cursor that is created where there is none: no switch is open then that could expect one.
const FIRST: Revision = Revision(1);
const FILE: &str = "cursor.json";
/// The most that such a file may have, bytes; bgctl's own have a few hundred.
const MOST: u64 = 1 << 20;
/// A change takes milliseconds; a process that holds the lock longer hangs.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// The local store.
#[derive(Clone, Debug)]
pub struct Local {
    state: Utf8PathBuf,
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    cursor: Cursor,
    revision: Revision,
    ports: ByColor<Port>,
}

impl Local {
    pub(super) fn new(state: &Utf8Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    pub(super) async fn get(&self, app: &AppName) -> Result<Option<Stored>, StateError> {
        let folder = self.state.join(app.as_str());
        blocking(move || Ok(read(&folder))).await?
    }

    pub(super) async fn list(&self, apps: &[AppName]) -> eyre::Result<Listed> {
        let (state, apps) = (self.state.clone(), apps.to_vec());
        blocking(move || {
            let mut cursors = BTreeMap::new();
            for app in apps {
                if let Some(read) = read(&state.join(app.as_str())).transpose() {
                    cursors.insert(app, read);
                }
            }
            Ok(cursors)
        })
        .await
    }

    pub(super) async fn create(&self, app: &AppName, ports: ByColor<Port>) -> eyre::Result<Stored> {
        let folder = self.state.join(app.as_str());
        blocking(move || {
            files::make_dirs(&folder).wrap_err("cannot create the cursor")?;
            let _lock = lock(&folder)?;
            if let Some(stored) = read(&folder)? {
                return Ok(stored);
            }
            let stored = Stored {
                cursor: Cursor::default(),
                revision: FIRST,
            };
            write(&folder, &stored, ports)?;
            Ok(stored)
        })
        .await
    }

    pub(super) async fn compare_and_set(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        expected: Revision,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let (folder, cursor) = (self.state.join(app.as_str()), cursor.clone());
        let set = blocking(move || {
            // No folder, no cursor.
            if read(&folder)?.is_none() {
                return Ok(Err(SetError::Conflict(None)));
            }
            let _lock = lock(&folder)?;
            match read(&folder)? {
                Some(found) if found.revision == expected => {
                    let revision = Revision(expected.0 + 1);
                    let written = write(&folder, &Stored { cursor, revision }, ports);
                    Ok(written.map(|()| revision).map_err(|error| match read(&folder) {
                        Ok(Some(found)) if found.revision == expected => SetError::Refused(error),
                        _ => SetError::Unknown(error),
                    }))
                }
                found => Ok(Err(SetError::Conflict(found))),
            }
        });
        set.await.unwrap_or_else(|error| Err(SetError::Refused(error)))
    }

    pub(super) async fn replace(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let (folder, cursor) = (self.state.join(app.as_str()), cursor.clone());
        let set = blocking(move || {
            let _lock = lock(&folder)?;
            match read(&folder) {
                Ok(None) | Err(StateError::Damaged(_)) => {}
                Ok(Some(found)) => return Ok(Err(SetError::Conflict(Some(found)))),
                Err(error) => return Err(error.into()),
            }
            let revision = unheard_of();
            let written = write(&folder, &Stored { cursor, revision }, ports);
            Ok(written.map(|()| revision).map_err(|error| match read(&folder) {
                Ok(Some(_)) => SetError::Unknown(error),
                _ => SetError::Refused(error),
            }))
        });
        set.await.unwrap_or_else(|error| Err(SetError::Refused(error)))
    }

    pub(super) async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        let folder = self.state.join(app.as_str());
        blocking(move || {
            let path = folder.join(FILE);
            if !path.try_exists().wrap_err_with(|| format!("cannot remove {path}"))? {
                return Ok(());
            }
            let _lock = lock(&folder)?;
            files::remove(&path).map(drop)
        })
        .await
    }
}

/// A revision that was never given before, though nothing can be read of those that were: an open switch may expect one of
/// them. The microseconds since 1970 are more than any, since a move, which adds 1, takes longer than one; where the clock was
/// set back they are still another number.
fn unheard_of() -> Revision {
    Revision(jiff::Timestamp::now().as_microsecond())
}

/// Runs what waits for a disk or a lock beside the async runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> eyre::Result<T> + Send + 'static) -> eyre::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .wrap_err("cannot wait for the local store")?
}

/// Locks the folder of an app until what is returned is dropped.
#[expect(
    clippy::disallowed_methods,
    reason = "it runs beside the async runtime, and flock(2) knows no deadline"
)]
fn lock(folder: &Utf8Path) -> eyre::Result<Folder> {
    let opened = Folder::open(folder).wrap_err_with(|| format!("cannot lock {folder}"))?;
    let start = Instant::now();
    loop {
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(opened),
            Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_INTERVAL),
            Err(error) => {
                return Err(eyre::eyre!("cannot lock {folder}: {error}"))
                    .hint(format!("another process holds it: `fuser -v {folder}` tells which"));
            }
        }
    }
}

/// The cursor in a folder. Returns `None` if there is none.
fn read(folder: &Utf8Path) -> Result<Option<Stored>, StateError> {
    let path = folder.join(FILE);
    let read = match files::read_at_most(&path, MOST) {
        Ok(text) => sealed::read_record(&text, VERSION),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => return Ok(None),
            ErrorKind::FileTooLarge => Err(Unreadable::Damaged(error.to_string())),
            _ => {
                let failed = eyre::Report::new(error).wrap_err(format!("cannot read {path}"));
                return Err(failed.into());
            }
        },
    };
    let app = AppName::parse(folder.file_name().unwrap_or_default()).map_err(eyre::Report::new)?;
    let record: Record = read.map_err(|error| error.at(path, &app))?;
    Ok(Some(Stored {
        cursor: record.cursor,
        revision: record.revision,
    }))
}

/// Puts a new file in the place of the old one, while the folder is locked. Anyone may read it.
fn write(folder: &Utf8Path, stored: &Stored, ports: ByColor<Port>) -> eyre::Result<()> {
    let record = Record {
        cursor: stored.cursor.clone(),
        revision: stored.revision,
        ports,
    };
    files::write(&folder.join(FILE), sealed::record(&record, VERSION)?, 0o644)
}
