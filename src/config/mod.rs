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

use camino::Utf8Path;
use eyre::WrapErr;

/// Reads a configuration file; fails where it cannot be read or is not UTF-8.
pub fn read_text(path: &Utf8Path) -> eyre::Result<String> {
    fs_err::read(path)
        .map_err(eyre::Report::from)
        .and_then(|bytes| String::from_utf8(bytes).wrap_err("it is not UTF-8 text"))
        .wrap_err_with(|| format!("cannot read {path}"))
}
