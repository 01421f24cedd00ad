//! Files, written so that a crash or a power cut leaves the old or the new, never half of one.
//!
//! Whatever changes a folder also syncs it, since a rename is on disk only when its folder is (fsync(2), NOTES), but for
//! what says that it does not. Modes are as they are asked for, whatever the umask. In bgctl's folder of state no link is
//! followed, see [`folder`].

pub mod folder;
mod lock;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use eyre::WrapErr as _;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use self::folder::{Folder, name_of, named_by, open};
pub use self::lock::Lock;

/// The most that is read of a file, bytes: no file of bgctl's comes near it.
pub const MOST: u64 = 64 << 20;

/// Writes `contents` to `path` with permissions `mode` (as in `0o600`), in place of what is there, by a temporary file in the
/// same folder and a rename. The temporary file's name starts with a dot, so that neither nginx's `include *` nor systemd
/// reads it. Fails where the folder is missing or not writable.
pub fn write(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> eyre::Result<()> {
    write_unsynced(path, contents, mode)?;
    sync_dir(above(path)?)
}

/// Writes a file as [`write`] does, but leaves it to others to put its folder on disk ([`sync_dir`]), which takes
/// milliseconds: until then a power cut may bring back what was there before.
pub fn write_unsynced(path: &Utf8Path, contents: impl AsRef<[u8]>, mode: u32) -> eyre::Result<()> {
    let write = || -> eyre::Result<()> {
        let folder = Folder::of(path)?;
        let (mut file, temporary) = folder.temporary(name_of(path)?)?;
        file.write_all(contents.as_ref())?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        Ok(temporary.persist(name_of(path)?)?)
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

/// The text of a file; none where there is no such file. Fails where it cannot be read, is larger than [`MOST`], or is not
/// UTF-8.
pub fn read(path: &Utf8Path) -> eyre::Result<Option<String>> {
    read_bytes(path)?
        .map(|bytes| String::from_utf8(bytes).wrap_err_with(|| format!("cannot read {path}")))
        .transpose()
}

/// The bytes of a file; none where there is no such file. Fails where it cannot be read or is larger than [`MOST`].
pub fn read_bytes(path: &Utf8Path) -> eyre::Result<Option<Vec<u8>>> {
    match read_at_most(path, MOST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).wrap_err_with(|| format!("cannot read {path}")),
    }
}

/// The bytes of a file. Fails where it cannot be read, and with `FileTooLarge` where it has more than `most`, of which no more
/// is read then.
pub fn read_at_most(path: &Utf8Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open(path, OFlags::RDONLY, Mode::empty())?;
    if std::io::copy(&mut file.take(most + 1), &mut bytes)? > most {
        let reason = format!("it is larger than {} MiB", most >> 20);
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// Opens a file that is there to read it and to write to its end.
pub fn open_to_append(path: &Utf8Path) -> eyre::Result<std::fs::File> {
    open(path, OFlags::RDWR | OFlags::APPEND, Mode::empty()).wrap_err_with(|| format!("cannot open {path}"))
}

/// Removes a file or a link; says whether there was one.
pub fn remove(path: &Utf8Path) -> eyre::Result<bool> {
    let is_gone = remove_unsynced(path)?;
    if is_gone {
        sync_dir(above(path)?)?;
    }
    Ok(is_gone)
}

/// Removes a file or a link as [`remove`] does, but leaves it to others to put its folder on disk, see [`write_unsynced`].
pub fn remove_unsynced(path: &Utf8Path) -> eyre::Result<bool> {
    let remove = || match Folder::of(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        folder => folder?.remove(name_of(path)?),
    };
    remove().wrap_err_with(|| format!("cannot remove {path}"))
}

/// Makes the folder `path` and those above it where they are missing, and gives it permissions `mode`; says whether
/// anything changed. Folders above it that are made get 0755.
pub fn ensure_dir(path: &Utf8Path, mode: u32) -> eyre::Result<bool> {
    let ensure = || -> eyre::Result<bool> {
        match Folder::open(path) {
            Ok(folder) if folder.mode()? == mode => return Ok(false),
            Ok(folder) => folder.set_mode(mode)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make_dirs(above(path)?)?;
                make_dir(path, mode)?;
            }
            Err(error) => return Err(error.into()),
        }
        Folder::of(path)?.sync()?;
        Ok(true)
    };
    ensure().wrap_err_with(|| format!("cannot make the folder {path}"))
}

/// Makes the folder `path` and those above it where they are missing, 0755. What is there stays as it is: it may be another's.
pub fn make_dirs(path: &Utf8Path) -> eyre::Result<()> {
    if path.as_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    make_dirs(above(path)?)?;
    let make = || -> eyre::Result<()> {
        make_dir(path, 0o755)?;
        Ok(Folder::of(path)?.sync()?)
    };
    make().wrap_err_with(|| format!("cannot make the folder {path}"))
}

/// Another process may have made it meanwhile.
fn make_dir(path: &Utf8Path, mode: u32) -> std::io::Result<()> {
    match rustix::fs::mkdirat(Folder::of(path)?, name_of(path)?, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => Folder::open(path)?.set_mode(mode),
        Err(error) => Err(error.into()),
    }
}

/// Removes a folder where nothing is in it; says whether it is gone by that.
pub fn remove_empty_dir(path: &Utf8Path) -> eyre::Result<bool> {
    let remove = || -> std::io::Result<bool> {
        let folder = match Folder::of(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            folder => folder?,
        };
        match rustix::fs::unlinkat(&folder, name_of(path)?, AtFlags::REMOVEDIR) {
            Ok(()) => folder.sync().map(|()| true),
            // Something may be mounted there.
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };
    remove().wrap_err_with(|| format!("cannot remove the folder {path}"))
}

/// Removes a folder with all that is in it; links in it are removed, not followed. Errors if there is no such folder, or if
/// something in it cannot be removed.
#[expect(clippy::disallowed_methods, reason = "this is its place")]
pub fn remove_tree(path: &Utf8Path) -> eyre::Result<()> {
    fs_err::remove_dir_all(path)?;
    sync_dir(above(path)?)
}

/// Makes `link` a symbolic link to `target`, in place of what is there, by a rename; says whether anything changed.
/// Fails where a folder stands at `link`.
pub fn symlink(target: &Utf8Path, link: &Utf8Path) -> eyre::Result<bool> {
    let is_new = symlink_unsynced(target, link)?;
    if is_new {
        sync_dir(above(link)?)?;
    }
    Ok(is_new)
}

/// Makes a link as [`symlink`] does, but leaves it to others to put its folder on disk, see [`write_unsynced`].
pub fn symlink_unsynced(target: &Utf8Path, link: &Utf8Path) -> eyre::Result<bool> {
    let replace = || -> std::io::Result<bool> {
        if read_link(link)?.as_deref() == Some(target.as_str()) {
            return Ok(false);
        }
        let folder = Folder::of(link)?;
        folder.temporary_link(target, name_of(link)?)?.persist(name_of(link)?)?;
        Ok(true)
    };
    replace().wrap_err_with(|| format!("cannot link {link} to {target}"))
}

/// What a symbolic link points to; none where there is no link.
pub fn read_link(link: &Utf8Path) -> std::io::Result<Option<String>> {
    let folder = match Folder::of(link) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    match rustix::fs::readlinkat(folder, name_of(link)?, Vec::new()) {
        Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names in a folder but those that start with a dot, in no order; none at all where there is no such folder.
pub fn names_in(folder: &Utf8Path) -> eyre::Result<Vec<String>> {
    let list = || -> std::io::Result<Vec<String>> {
        let folder = match Folder::open(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?,
        };
        let mut names = folder.names()?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    };
    list().wrap_err_with(|| format!("cannot list {folder}"))
}

/// Removes from a folder the temporary files of [`write`] and [`symlink`] whose process was killed before it gave them their
/// names, of those names that `is_ours` says.
pub fn sweep(folder: &Utf8Path, is_ours: impl Fn(&str) -> bool) -> eyre::Result<()> {
    let sweep = || -> std::io::Result<()> {
        let opened = match Folder::open(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        for temporary in opened.names()? {
            let Some((name, process)) = named_by(&temporary) else {
                continue;
            };
            if is_ours(name) && rustix::process::test_kill_process(process) == Err(Errno::SRCH) {
                opened.remove(&temporary)?;
            }
        }
        Ok(())
    };
    sweep().wrap_err_with(|| format!("cannot remove what was left over in {folder}"))
}

/// Puts a folder's changes on disk: files made, removed and renamed in it.
pub fn sync_dir(folder: &Utf8Path) -> eyre::Result<()> {
    let sync = || Folder::open(folder)?.sync();
    sync().wrap_err_with(|| format!("cannot put {folder} on disk"))
}

/// Puts the contents of a file on disk, where there is one.
pub fn sync_data(path: &Utf8Path) -> eyre::Result<()> {
    match open(path, OFlags::RDONLY, Mode::empty()).and_then(|file| file.sync_data()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        synced => synced.wrap_err_with(|| format!("cannot put {path} on disk")),
    }
}

fn above(path: &Utf8Path) -> eyre::Result<&Utf8Path> {
    path.parent()
        .ok_or_else(|| eyre::eyre!("{path} is not a path of a file in a folder"))
}

fn mode_of(path: &Utf8Path) -> std::io::Result<u32> {
    let found = rustix::fs::statat(Folder::of(path)?, name_of(path)?, AtFlags::SYMLINK_NOFOLLOW)?;
    // A link has no mode of its own.
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::Symlink => 0,
        _ => found.st_mode & 0o7777,
    })
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
    fn leftovers_of_a_killed_process_are_removed() {
        let (_guard, dir) = folder();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, alive) = (dead.id(), std::process::id());
        let kept = [
            format!(".9001.env.{alive}-0"),
            format!(".other.{dead}-0"),
            format!(".9001.env.{dead}-x"),
            format!("9001.env.{dead}-0"),
            ".9001.env".to_owned(),
        ];
        for name in kept
            .iter()
            .chain(&[format!(".9001.env.{dead}-0"), format!(".9001.env.{dead}-17")])
        {
            fs_err::write(dir.join(name), "").unwrap();
        }
        sweep(&dir, |name| name == "9001.env").unwrap();
        let mut left = Folder::open(&dir).unwrap().names().unwrap();
        left.retain(|name| name != "." && name != "..");
        left.sort();
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(left, kept);
        sweep(&dir.join("none"), |_| true).unwrap();
    }

    #[test]
    fn failed_write_names_the_file_and_leaves_the_old_one() {
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
    fn lock_is_held_once() {
        let (_guard, dir) = folder();
        let path = dir.join("lock");
        let held = Lock::try_take(&path).unwrap();
        assert!(held.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
