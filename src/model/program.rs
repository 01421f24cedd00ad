//! Programs of the host, and whether they are what a release was made of.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

/// The file of a program as it was when a release was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// The SHA-256 of what is in it, hexadecimal.
    pub sha256: String,
    /// What tells that it was not touched since, without reading it: its inode, its size, and when it was changed last
    /// (`st_ctim` of inode(7)).
    pub untouched: Untouched,
}

/// What changes with every change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untouched {
    /// Its inode.
    pub inode: u64,
    /// Its size, bytes.
    pub size: u64,
    /// When it was changed last, seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: i64,
}

/// What is done about a planned start of a release whose program was changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It starts, and that is told.
    Warn,
    /// It is refused.
    Refuse,
}

impl OnChange {
    /// That of a program of which the manifest does not say it. What the distribution brings, such as an interpreter, changes with
    /// its updates, and the app's own code is elsewhere; any other program is the release.
    pub fn of(program: &Utf8Path) -> Self {
        let is_below = |folders: &[&str]| folders.iter().any(|folder| program.starts_with(folder));
        if is_below(&["/usr", "/bin", "/sbin", "/lib"]) && !is_below(&["/usr/local"]) {
            Self::Warn
        } else {
            Self::Refuse
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_distribution_may_be_updated() {
        for (path, expected) in [
            ("/usr/bin/python3", OnChange::Warn),
            ("/bin/sh", OnChange::Warn),
            ("/usr/local/bin/shop", OnChange::Refuse),
            ("/opt/shop/bin/shop", OnChange::Refuse),
            ("/usrs/shop", OnChange::Refuse),
        ] {
            assert_eq!(OnChange::of(path.into()), expected, "{path}");
        }
    }
}
