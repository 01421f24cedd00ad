//! The file of a program: where it is, and what is in it.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::model::{Hinted, ProgramFile, Untouched, sealed};

/// The path of a program without the links that lead to it, so that it stays the same file when one of them moves. A link in the
/// last place is followed only to a file beside it or below, as in `current -> releases/2`: others are another name by which a
/// program knows what it is to do (busybox, the python of a virtual environment). Errors where there is no such file.
pub fn resolve(path: &Utf8Path) -> std::io::Result<Utf8PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    let folder = folder.canonicalize_utf8()?;
    let (here, target) = (folder.join(name), path.canonicalize_utf8()?);
    Ok(if target.starts_with(&folder) { target } else { here })
}

/// Errors where a path is no file that can be executed.
pub fn require_executable(path: &Utf8Path) -> eyre::Result<()> {
    let metadata = fs_err::metadata(path)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Ok(());
    }
    let message = format!("cannot run {path}: it is not an executable file");
    Err(Hinted::new(message, format!("chmod +x {path}")).into())
}

/// The file of a program as it is now; reads all of it.
pub fn look(path: &Utf8Path) -> eyre::Result<ProgramFile> {
    let untouched = untouched(path)?;
    Ok(ProgramFile {
        sha256: sha256(path)?,
        untouched,
    })
}

/// Whether a program is another one than it was. It is read only where its file was touched since.
pub fn is_changed(path: &Utf8Path, was: &ProgramFile) -> eyre::Result<bool> {
    Ok(untouched(path)? != was.untouched && sha256(path)? != was.sha256)
}

/// The program that a script says it is run by (execve(2), "Interpreter scripts"); `None` for anything else.
pub fn interpreter(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut start = [0; 256];
    let length = fs_err::File::open(path).ok()?.read(&mut start).ok()?;
    let line = start.get(..length)?.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok()?;
    line.split_whitespace().next().map(Utf8PathBuf::from)
}

fn untouched(path: &Utf8Path) -> std::io::Result<Untouched> {
    let metadata = fs_err::metadata(path)?;
    Ok(Untouched {
        inode: metadata.ino(),
        size: metadata.size(),
        seconds: metadata.ctime(),
        nanoseconds: metadata.ctime_nsec(),
    })
}

fn sha256(path: &Utf8Path) -> std::io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 128 * 1024];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(piece.get(..length).unwrap_or_default());
    }
    Ok(sealed::hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::try_from(temporary.path().canonicalize().unwrap()).unwrap();
        (temporary, folder)
    }

    #[test]
    fn links_that_move_are_followed_and_names_stay() {
        let (_kept, folder) = folder();
        for release in ["1", "2"] {
            fs_err::create_dir_all(folder.join("releases").join(release)).unwrap();
            fs_err::write(folder.join("releases").join(release).join("shop"), release).unwrap();
        }
        symlink("releases/1", folder.join("current")).unwrap();
        symlink("releases/2/shop", folder.join("shop")).unwrap();
        fs_err::create_dir(folder.join("bin")).unwrap();
        symlink("../releases/1/shop", folder.join("bin/alias")).unwrap();
        for (path, expected) in [
            ("current/shop", "releases/1/shop"),
            ("shop", "releases/2/shop"),
            ("bin/alias", "bin/alias"),
            ("releases/../releases/2/shop", "releases/2/shop"),
        ] {
            assert_eq!(resolve(&folder.join(path)).unwrap(), folder.join(expected), "{path}");
        }
        assert!(resolve(&folder.join("nothing")).is_err());
    }

    #[test]
    fn file_is_told_from_another_one() {
        let (_kept, folder) = folder();
        let path = folder.join("shop");
        fs_err::write(&path, "one").unwrap();
        let was = look(&path).unwrap();
        assert_eq!(was.sha256, crate::model::sealed::sha256_hex(b"one"));
        assert!(!is_changed(&path, &was).unwrap());
        fs_err::write(folder.join("new"), "one").unwrap();
        fs_err::rename(folder.join("new"), &path).unwrap();
        assert!(!is_changed(&path, &was).unwrap(), "another file of the same content");
        fs_err::write(&path, "two").unwrap();
        assert!(is_changed(&path, &was).unwrap());
    }

    #[test]
    fn interpreters() {
        let (_kept, folder) = folder();
        let path = folder.join("script");
        for (text, expected) in [
            ("#!/usr/bin/env python3\n", Some("/usr/bin/env")),
            ("#! /opt/x/bin/python -u\nx", Some("/opt/x/bin/python")),
            ("#!/bin/sh", Some("/bin/sh")),
            ("\u{7f}ELF", None),
            ("#!\n", None),
            ("", None),
        ] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(interpreter(&path).as_deref(), expected.map(Utf8Path::new), "{text:?}");
        }
    }
}
