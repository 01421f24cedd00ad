//! Files, written so that a crash or a power cut leaves the old or the new, never half of one.
//!
//! Whatever changes a folder also syncs it, since a rename is on disk only when its folder is (fsync(2), NOTES), but for
//! what says that it does not.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use eyre::WrapErr as _;
use rustix::fs::{FlockOperation, flock};

/// Writes `contents` to `path` with permissions `mode` (as in `0o600`, whatever the umask), in place of what is there,
/// by a temporary file in the same folder and a rename. The temporary file's name starts with a dot, so that neither
/// nginx's `include *` nor systemd reads it. Fails where the folder is missing or not writable.
pub fn write(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> eyre::Result<()> {
    write_unsynced(path, contents, mode)?;
    sync_dir(folder_of(path)?)
}

/// Writes a file as [`write`] does, but leaves it to others to put its folder on disk ([`sync_dir`]), which takes
/// milliseconds: until then a power cut may bring back what was there before.
pub fn write_unsynced(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> eyre::Result<()> {
    let write = || -> eyre::Result<()> {
        let folder = folder_of(path)?;
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{}.", path.file_name().unwrap_or_default()))
            .tempfile_in(folder)?;
        file.write_all(contents.as_ref())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().wrap_err_with(|| format!("cannot write {path}"))
}

/// Writes `contents` to `path` with permissions `mode`, as [`write`], unless just that is there; says whether anything
/// changed.
pub fn install(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> eyre::Result<bool> {
    if let Some(there) = read_bytes(path)?
        && there == contents.as_ref()
        && mode_of(path)? == mode
    {
        return Ok(false);
    }
    write(path, contents, mode)?;
    Ok(true)
}

/// The text of a file; none where there is no such file. Fails where it cannot be read, or is not UTF-8.
pub fn read(path: &Utf8Path) -> eyre::Result<Option<String>> {
    read_bytes(path)?
        .map(|bytes| String::from_utf8(bytes).wrap_err_with(|| format!("cannot read {path}")))
        .transpose()
}

/// The bytes of a file; none where there is no such file. Fails where it cannot be read.
pub fn read_bytes(path: &Utf8Path) -> eyre::Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot read {path}")),
    }
}

/// Removes a file or a link; says whether there was one.
pub fn remove(path: &Utf8Path) -> eyre::Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => sync_dir(folder_of(path)?).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot remove {path}")),
    }
}

/// Makes the folder `path` and those above it where they are missing, and gives it permissions `mode`; says whether
/// anything changed. Folders above it that are made get 0755, whatever the umask.
pub fn ensure_dir(path: &Utf8Path, mode: u32) -> eyre::Result<bool> {
    let ensure = || -> eyre::Result<bool> {
        if path.is_dir() {
            if mode_of(path)? == mode {
                return Ok(false);
            }
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        } else {
            make_dirs(folder_of(path)?)?;
            make_dir(path, mode)?;
        }
        sync_dir(folder_of(path)?)?;
        Ok(true)
    };
    ensure().wrap_err_with(|| format!("cannot make the folder {path}"))
}

/// Makes the folder `path` and those above it where they are missing, 0755 whatever the umask. What is there stays as it is:
/// it may be another's.
pub fn make_dirs(path: &Utf8Path) -> eyre::Result<()> {
    if path.as_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    make_dirs(folder_of(path)?)?;
    make_dir(path, 0o755).wrap_err_with(|| format!("cannot make the folder {path}"))?;
    // A path without a slash is in the working folder.
    match folder_of(path)? {
        folder if folder.as_str().is_empty() => sync_dir(".".into()),
        folder => sync_dir(folder),
    }
}

/// Another process may have made it meanwhile.
fn make_dir(path: &Utf8Path, mode: u32) -> eyre::Result<()> {
    match fs_err::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !path.is_dir() => Err(error.into()),
        _ => Ok(fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))?),
    }
}

/// Removes a folder where nothing is in it; says whether it is gone by that.
pub fn remove_empty_dir(path: &Utf8Path) -> eyre::Result<bool> {
    match fs_err::remove_dir(path) {
        Ok(()) => sync_dir(folder_of(path)?).map(|()| true),
        Err(error) if [ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&error.kind()) => Ok(false),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot remove the folder {path}")),
    }
}

/// Makes `link` a symbolic link to `target`, in place of what is there, by a rename; says whether anything changed.
/// Fails where a folder stands at `link`.
pub fn symlink(target: &Utf8Path, link: &Utf8Path) -> eyre::Result<bool> {
    let is_new = symlink_unsynced(target, link)?;
    if is_new {
        sync_dir(folder_of(link)?)?;
    }
    Ok(is_new)
}

/// Makes a link as [`symlink`] does, but leaves it to others to put its folder on disk, see [`write_unsynced`].
pub fn symlink_unsynced(target: &Utf8Path, link: &Utf8Path) -> eyre::Result<bool> {
    let replace = || -> eyre::Result<bool> {
        if link.is_symlink() && fs_err::read_link(link)? == target.as_std_path() {
            return Ok(false);
        }
        let folder = folder_of(link)?;
        let made = tempfile::Builder::new()
            .prefix(&format!(".{}.", link.file_name().unwrap_or_default()))
            .make_in(folder, |path| std::os::unix::fs::symlink(target, path))?;
        made.persist(link).map_err(|error| error.error)?;
        Ok(true)
    };
    replace().wrap_err_with(|| format!("cannot link {link} to {target}"))
}

/// The names in a folder but those that start with a dot, in no order; none at all where there is no such folder.
pub fn names_in(folder: &Utf8Path) -> eyre::Result<Vec<String>> {
    let list = || -> std::io::Result<Vec<String>> {
        let names = fs_err::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    match list() {
        Ok(mut names) => {
            names.retain(|name| !name.starts_with('.'));
            Ok(names)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot list {folder}")),
    }
}

/// Puts a folder's changes on disk: files made, removed and renamed in it.
pub fn sync_dir(folder: &Utf8Path) -> eyre::Result<()> {
    let sync = || fs_err::File::open(folder)?.sync_all();
    sync().wrap_err_with(|| format!("cannot put {folder} on disk"))
}

fn folder_of(path: &Utf8Path) -> eyre::Result<&Utf8Path> {
    path.parent()
        .ok_or_else(|| eyre::eyre!("{path} is not a path of a file in a folder"))
}

fn mode_of(path: &Utf8Path) -> eyre::Result<u32> {
    Ok(fs_err::metadata(path)?.permissions().mode() & 0o7777)
}

/// An advisory lock on a file (flock(2)), until it is dropped or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: fs_err::File,
}

impl Lock {
    /// Takes the lock on the file at `path`, which is made where it is missing (0600); none where another process has it.
    /// Fails where the file cannot be opened.
    pub fn try_take(path: &Utf8Path) -> eyre::Result<Option<Self>> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let take = || -> eyre::Result<Option<Self>> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600);
            let file = fs_err::OpenOptions::from_options(options).open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        take().wrap_err_with(|| format!("cannot lock {path}"))
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[test]
    fn install_changes_only_what_differs() {
        let (_guard, dir) = folder();
        let path = dir.join("9001.env");
        assert!(install(&path, "A=1\n", 0o600).unwrap());
        assert!(!install(&path, "A=1\n", 0o600).unwrap());
        assert!(install(&path, "A=1\n", 0o644).unwrap(), "another mode is a change");
        assert!(install(&path, "A=2\n", 0o644).unwrap());
        assert_eq!(mode_of(&path).unwrap(), 0o644);
        assert_eq!(read(&path).unwrap().as_deref(), Some("A=2\n"));
        assert_eq!(names_in(&dir).unwrap(), ["9001.env"], "no temporary file is left");
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_the_old_one() {
        let (_guard, dir) = folder();
        let error = format!("{:#}", write(&dir.join("no/x"), "", 0o600).unwrap_err());
        assert!(error.starts_with(&format!("cannot write {dir}/no/x: ")), "{error}");

        fs_err::create_dir(dir.join("taken")).unwrap();
        assert!(write(&dir.join("taken"), "", 0o600).is_err());
        assert_eq!(names_in(&dir).unwrap(), ["taken"]);
    }

    #[test]
    fn links_are_replaced() {
        let (_guard, dir) = folder();
        let link = dir.join("open");
        assert!(symlink("switches/0001.jsonl".into(), &link).unwrap());
        assert!(!symlink("switches/0001.jsonl".into(), &link).unwrap());
        assert!(symlink("switches/0002.jsonl".into(), &link).unwrap());
        assert_eq!(fs_err::read_link(&link).unwrap().to_str(), Some("switches/0002.jsonl"));
        assert!(remove(&link).unwrap());
        assert!(!remove(&link).unwrap());
    }

    #[test]
    fn folders_get_their_mode() {
        let (_guard, dir) = folder();
        let path = dir.join("a/releases");
        assert!(ensure_dir(&path, 0o700).unwrap());
        assert!(!ensure_dir(&path, 0o700).unwrap());
        assert_eq!(mode_of(&path).unwrap(), 0o700);
        assert!(names_in(&dir.join("none")).unwrap().is_empty());
    }

    #[test]
    fn folders_of_others_stay_as_they_are() {
        let (_guard, dir) = folder();
        let (theirs, ours) = (dir.join("theirs"), dir.join("theirs/a/b"));
        assert!(ensure_dir(&theirs, 0o700).unwrap());
        // What a host for the careful has.
        let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let made = make_dirs(&ours);
        rustix::process::umask(umask);
        made.unwrap();
        make_dirs(&theirs).unwrap();
        let modes = [&theirs, &dir.join("theirs/a"), &ours].map(|path| mode_of(path).unwrap());
        assert_eq!(modes, [0o700, 0o755, 0o755]);

        assert!(!remove_empty_dir(&theirs).unwrap());
        assert!(remove_empty_dir(&ours).unwrap());
        assert!(!remove_empty_dir(&ours).unwrap());
    }

    #[test]
    fn a_lock_is_held_once() {
        let (_guard, dir) = folder();
        let path = dir.join("lock");
        let held = Lock::try_take(&path).unwrap();
        assert!(held.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
