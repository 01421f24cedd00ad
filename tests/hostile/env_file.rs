//! An app's `env_file`.

use bgctl::config::env_file;
use bgctl::model::EnvName;
use std::collections::BTreeMap;

use super::read;

/// What bgctl takes, systemd would have taken just so; what it refuses is told by line, and with nothing of it.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match env_file::parse(text) {
        Ok(variables) => {
            let pairs = read::env::assignments(text).into_iter();
            let theirs: BTreeMap<_, _> = pairs
                .map(|(name, value)| (EnvName::parse(name).unwrap(), value))
                .collect();
            assert_eq!(variables, theirs, "{text:?}");
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("cannot use line ") && error.len() < 200, "{error}");
        }
    }
}
