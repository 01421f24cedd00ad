//! TOML to validated settings and manifest, in two stages.
//!
//! 1. *As written*: serde structs in which every key is optional, unknown keys are refused, and every single value was
//!    parsed into a type that has checked it.
//! 2. *Validated*: the types of [`model`](crate::model), with the defaults filled in and what must fit together checked.
//!
//! Every parser takes text, and its error is a [`ConfigError`]: one sentence, and the place in the file. [`read_text`] is the only
//! function here that touches a file; what reads and parses one errors with [`FileError`].

pub mod env_file;
mod error;
pub mod manifest;
pub mod settings;
mod value;

pub use error::ConfigError;
pub use value::parse_time;

use std::fmt;
use std::io::ErrorKind;

use camino::Utf8Path;

use crate::model::{Hinted, Invalid};

/// The most that a configuration file or an `env_file` may have, bytes: systemd reads no longer line of a unit either.
const MOST: u64 = 1 << 20;

/// Why a file that a person wrote cannot be used.
#[derive(Debug)]
pub enum FileError {
    /// It is not there, or what stands in it is wrong.
    Invalid(eyre::Report),
    /// It cannot be read.
    Failed(eyre::Report),
}

impl From<ConfigError> for FileError {
    fn from(error: ConfigError) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<FileError> for eyre::Report {
    fn from(error: FileError) -> Self {
        let (FileError::Invalid(error) | FileError::Failed(error)) = error;
        error
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(error) | Self::Failed(error)) = self;
        fmt::Display::fmt(error, f)
    }
}

/// Reads a configuration file. Errors with [`FileError::Invalid`] where it is not there, is no text file, or is larger than 1 MiB.
pub fn read_text(path: &Utf8Path) -> Result<String, FileError> {
    let reason = match crate::files::read_at_most(path, MOST) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(_) => "it is not UTF-8 text",
        },
        Err(error) => match error.kind() {
            ErrorKind::NotFound => "there is no such file",
            ErrorKind::IsADirectory => "it is a folder",
            ErrorKind::FileTooLarge => "it is larger than 1 MiB, and no file that a person writes is",
            ErrorKind::PermissionDenied => {
                let denied = Hinted::new(format!("cannot read {path}: permission denied"), "run this as root");
                return Err(FileError::Failed(denied.into()));
            }
            _ => {
                let failed = eyre::Report::new(error).wrap_err(format!("cannot read {path}"));
                return Err(FileError::Failed(failed));
            }
        },
    };
    let invalid = Invalid::new(format!("cannot read {path}: {reason}"));
    Err(FileError::Invalid(invalid.into()))
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn nobody_waits_for_a_file_that_no_person_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(folder.path().join("shop.toml")).unwrap();
        for size in [100 << 20, 1 << 30] {
            std::fs::File::create(&path).unwrap().set_len(size).unwrap();
            let error = read_text(&path).unwrap_err();
            let told = format!("cannot read {path}: it is larger than 1 MiB, and no file that a person writes is");
            assert_eq!(error.to_string(), told);
            assert!(matches!(error, FileError::Invalid(_)));
            assert_eq!(env_file::read(&path).unwrap_err().to_string(), told);
        }
    }
}
