//! TOML to validated settings and manifest, in two stages.
//!
//! 1. *As written*: serde structs in which every key is optional, unknown keys are refused, and every single value was
//!    parsed into a type that has checked it.
//! 2. *Validated*: the types of [`model`](crate::model), with the defaults filled in and what must fit together checked.
//!
//! Every parser takes text; [`read_text`] is the only function here that touches a file. An error is a [`ConfigError`]:
//! one sentence, and the place in the file.

pub mod env_file;
mod error;
pub mod manifest;
pub mod settings;
mod value;

pub use error::ConfigError;

use std::io::ErrorKind;

use camino::Utf8Path;
use eyre::WrapErr as _;

use crate::model::{Hinted, Invalid};

/// Reads a configuration file; fails where it cannot be read, and with [`Invalid`] where it is no text file.
pub fn read_text(path: &Utf8Path) -> eyre::Result<String> {
    let reason = match fs_err::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(text),
            Err(_) => "it is not UTF-8 text",
        },
        Err(error) => match error.kind() {
            ErrorKind::NotFound => "there is no such file",
            ErrorKind::IsADirectory => "it is a folder",
            ErrorKind::PermissionDenied => {
                return Err(Hinted::new(format!("cannot read {path}: permission denied"), "run this as root").into());
            }
            _ => return Err(error).wrap_err_with(|| format!("cannot read {path}")),
        },
    };
    Err(Invalid::new(format!("cannot read {path}: {reason}")).into())
}
