//! The local store: one file per app, `STATE/APP/cursor.json`, that a person can read.
//!
//! Several processes use it. Who writes holds a lock on the app's folder (flock(2)) and puts a whole new file in the
//! place of the old one, so who reads needs no lock and never sees half a file.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr;
use fs_err::File;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::SetError;
use crate::model::{AppName, ByColor, Cursor, Hint, Port, Revision, Stored, sealed};

const FILE: &str = "cursor.json";
/// A change takes milliseconds; who holds the lock longer hangs.
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

    pub(super) async fn get(&self, app: &AppName) -> eyre::Result<Option<Stored>> {
        let folder = self.state.join(app.as_str());
        blocking(move || read(&folder)).await
    }

    pub(super) async fn list(&self) -> eyre::Result<BTreeMap<AppName, Stored>> {
        let state = self.state.clone();
        blocking(move || {
            let entries = match fs_err::read_dir(&state) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
                entries => entries.wrap_err("cannot list the cursors")?,
            };
            let mut cursors = BTreeMap::new();
            for entry in entries {
                let name = entry.wrap_err("cannot list the cursors")?.file_name();
                // Other names are not of apps.
                let Some(app) = name.to_str().and_then(|name| AppName::parse(name).ok()) else {
                    continue;
                };
                if let Some(stored) = read(&state.join(app.as_str()))? {
                    cursors.insert(app, stored);
                }
            }
            Ok(cursors)
        })
        .await
    }

    pub(super) async fn create(&self, app: &AppName, ports: ByColor<Port>) -> eyre::Result<Stored> {
        let folder = self.state.join(app.as_str());
        blocking(move || {
            fs_err::create_dir_all(&folder).wrap_err("cannot create the cursor")?;
            let lock = lock(&folder)?;
            if let Some(stored) = read(&folder)? {
                return Ok(stored);
            }
            let stored = Stored {
                cursor: Cursor::default(),
                revision: Revision(1),
            };
            write(&folder, &lock, &stored, ports)?;
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
        blocking(move || {
            // No folder, no cursor.
            if read(&folder)?.is_none() {
                return Ok(Err(SetError::Conflict(None)));
            }
            let lock = lock(&folder)?;
            match read(&folder)? {
                Some(found) if found.revision == expected => {
                    let revision = Revision(expected.0 + 1);
                    write(&folder, &lock, &Stored { cursor, revision }, ports)?;
                    Ok(Ok(revision))
                }
                found => Ok(Err(SetError::Conflict(found))),
            }
        })
        .await?
    }

    pub(super) async fn replace(
        &self,
        app: &AppName,
        ports: ByColor<Port>,
        cursor: &Cursor,
    ) -> Result<Revision, SetError> {
        let (folder, cursor) = (self.state.join(app.as_str()), cursor.clone());
        blocking(move || {
            let lock = lock(&folder)?;
            if let Ok(Some(found)) = read(&folder) {
                return Ok(Err(SetError::Conflict(Some(found))));
            }
            let revision = Revision(1);
            write(&folder, &lock, &Stored { cursor, revision }, ports)?;
            Ok(Ok(revision))
        })
        .await?
    }

    pub(super) async fn remove(&self, app: &AppName) -> eyre::Result<()> {
        let folder = self.state.join(app.as_str());
        blocking(move || {
            let path = folder.join(FILE);
            if !path.try_exists().wrap_err_with(|| format!("cannot remove {path}"))? {
                return Ok(());
            }
            let lock = lock(&folder)?;
            match fs_err::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                removed => removed
                    .and_then(|()| lock.sync_all())
                    .wrap_err("cannot remove the cursor"),
            }
        })
        .await
    }
}

/// Runs what waits for a disk or a lock beside the async runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> eyre::Result<T> + Send + 'static) -> eyre::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .wrap_err("cannot wait for the local store")?
}

/// Locks the folder of an app until the returned file is closed.
fn lock(folder: &Utf8Path) -> eyre::Result<File> {
    let file = File::open(folder).wrap_err("cannot lock the cursor")?;
    let start = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // flock(2) knows no deadline of its own.
            Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_INTERVAL),
            Err(error) => {
                return Err(eyre::eyre!("cannot lock {folder}: {error}"))
                    .hint(format!("another process holds it: `fuser -v {folder}` tells which"));
            }
        }
    }
}

fn read(folder: &Utf8Path) -> eyre::Result<Option<Stored>> {
    let path = folder.join(FILE);
    let text = match fs_err::read(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        text => text.wrap_err("cannot read the cursor")?,
    };
    let record: Record = match sealed::read_record(&text) {
        Ok(record) => record,
        Err(error) => {
            return Err(error
                .at(path, &AppName::parse(folder.file_name().unwrap_or_default())?)
                .into());
        }
    };
    Ok(Some(Stored {
        cursor: record.cursor,
        revision: record.revision,
    }))
}

/// Puts a new file in the place of the old one; `lock` is the folder, locked.
fn write(folder: &Utf8Path, lock: &File, stored: &Stored, ports: ByColor<Port>) -> eyre::Result<()> {
    let record = Record {
        cursor: stored.cursor.clone(),
        revision: stored.revision,
        ports,
    };
    let path = folder.join(FILE);
    let replace = || -> eyre::Result<()> {
        let text = sealed::record(&record)?;
        let mut file = tempfile::Builder::new().prefix(".cursor-").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        // Anyone may read it, whatever the umask says.
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        lock.sync_all()?;
        Ok(())
    };
    replace().wrap_err_with(|| format!("cannot write {path}"))
}
