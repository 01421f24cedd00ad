//! Tests run in processes of their own, and some share a host: what keeps them apart is a file lock.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Where locks, and what is left of hosts whose test failed, are kept.
pub fn folder() -> PathBuf {
    let folder = repository().join("target/system-tests");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file lock, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Waits until nobody else has the lock `name` at all.
pub fn exclusive(name: &str) -> Lock {
    let file = open(name);
    file.lock().unwrap();
    Lock { _file: file }
}

/// Waits until nobody has the lock `name` for himself alone.
pub fn shared(name: &str) -> Lock {
    let file = open(name);
    file.lock_shared().unwrap();
    Lock { _file: file }
}

fn open(name: &str) -> File {
    let path = folder().join(format!("{name}.lock"));
    File::options().create(true).append(true).open(path).unwrap()
}
