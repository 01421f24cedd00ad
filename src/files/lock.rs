//! Locks.

use std::io::Write as _;

use camino::Utf8Path;
use eyre::WrapErr as _;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::folder::open;

/// An advisory lock on a file (flock(2)), until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    file: std::fs::File,
    is_signed: bool,
}

impl Lock {
    /// Takes the lock on the file at `path`, which is made where it is missing (0600); none where another process has it.
    /// Fails where the file cannot be opened.
    pub fn try_take(path: &Utf8Path) -> eyre::Result<Option<Self>> {
        let take = || -> eyre::Result<Option<Self>> {
            let mode = Mode::RUSR | Mode::WUSR;
            let file = open(path, OFlags::WRONLY | OFlags::CREATE, mode)?;
            // Whatever the umask took away.
            rustix::fs::fchmod(&file, mode)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(Self { file, is_signed: false })),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        take().wrap_err_with(|| format!("cannot lock {path}"))
    }

    /// Says in the file who has the lock, until it is given back. Fails where the file cannot be written.
    pub fn sign(&mut self, holder: &str) -> eyre::Result<()> {
        self.is_signed = true;
        self.file.set_len(0)?;
        Ok(self.file.write_all(holder.as_bytes())?)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_signed
            && let Err(error) = self.file.set_len(0)
        {
            tracing::debug!("{error}");
        }
    }
}
