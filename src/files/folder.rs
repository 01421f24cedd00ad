//! Opening: in bgctl's folder of state (`/var/lib/bgctl`) no symbolic link is followed, wherever in the path it stands, so
//! that nobody who gets to write there makes root read or write elsewhere. The way to that folder may have links: it may be on
//! another disk. The links that bgctl makes itself (`open`) are read, and never gone through.
//!
//! What is done in a folder is done by name in the folder that was opened, whatever becomes of its path meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::Utf8Path;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

/// Where a host keeps bgctl's state (see `Layout::state`), below any root.
const STATE: &str = "var/lib/bgctl";

/// Opens what is at `path`; fails where it cannot be opened, or a link would have to be followed in the folder of state.
///
/// By `openat2(2)` it would be one call, but units with `RestrictSUIDSGID=` do not have it (systemd.exec(5)).
pub(super) fn open(path: &Utf8Path, flags: OFlags, mode: Mode) -> io::Result<File> {
    let state = path.ancestors().skip(1).find(|folder| folder.ends_with(STATE));
    let Some((state, rest)) = state.and_then(|state| Some((state, path.strip_prefix(state).ok()?))) else {
        return Ok(File::from(rustix::fs::open(
            path.as_str(),
            flags | OFlags::CLOEXEC,
            mode,
        )?));
    };
    let way = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(state.as_str(), way, Mode::empty())?;
    let mut parts = rest.iter().peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let flags = if is_last { flags | OFlags::CLOEXEC } else { way };
        let opened = rustix::fs::openat(&folder, part, flags | OFlags::NOFOLLOW, mode);
        folder = opened.map_err(|error| {
            let found = rustix::fs::statat(&folder, part, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink) {
                let message = format!("there is a symbolic link in {rest}, and bgctl follows none in {state}");
                return io::Error::other(message);
            }
            error.into()
        })?;
    }
    Ok(File::from(folder))
}

/// The last part of a path.
pub(super) fn name_of(path: &Utf8Path) -> io::Result<&str> {
    path.file_name()
        .ok_or_else(|| io::Error::other("it is not a path of a file in a folder"))
}

/// A folder that is open.
#[derive(Debug)]
pub struct Folder(File);

impl Folder {
    /// Opens the folder at `path`; fails where there is none.
    pub fn open(path: &Utf8Path) -> io::Result<Self> {
        // A path without a slash is in the working folder.
        let path = if path.as_str().is_empty() { ".".into() } else { path };
        open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens the folder that `path` is in.
    pub(super) fn of(path: &Utf8Path) -> io::Result<Self> {
        Self::open(path.parent().unwrap_or(path))
    }

    /// Makes an empty file, with permissions `mode`. Fails where anything has that name.
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(self, name, flags, Mode::from_raw_mode(mode))?);
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        Ok(file)
    }

    /// Gives a file another name, in place of what has that name.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, from, self, to)?)
    }

    /// Removes a file or a link; says whether there was one.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts its changes on disk: files made, removed and renamed in it.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// The names in it, in no order.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let entries = rustix::fs::Dir::read_from(self)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    pub(super) fn mode(&self) -> io::Result<u32> {
        Ok(self.0.metadata()?.permissions().mode() & 0o7777)
    }

    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.0.set_permissions(std::fs::Permissions::from_mode(mode))
    }

    /// A new file, 0600, whose name tells what it will be named and starts with a dot.
    pub(super) fn temporary(&self, name: &str) -> io::Result<(File, Temporary<'_>)> {
        self.make(name, |name| self.create(name, 0o600))
    }

    /// A link to `target`, named as [`Folder::temporary`] names a file.
    pub(super) fn temporary_link(&self, target: &Utf8Path, name: &str) -> io::Result<Temporary<'_>> {
        let link = |name: &str| Ok(rustix::fs::symlinkat(target.as_str(), self, name)?);
        self.make(name, link).map(|((), temporary)| temporary)
    }

    /// Another process may be at work here, and one with the same number may have left something when it was killed.
    fn make<T>(&self, name: &str, make: impl Fn(&str) -> io::Result<T>) -> io::Result<(T, Temporary<'_>)> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let temporary = temporary_name(name, std::process::id(), count);
            match make(&temporary) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(new) => {
                    let folder = self;
                    return Ok((
                        new,
                        Temporary {
                            folder,
                            name: temporary,
                        },
                    ));
                }
            }
        }
    }
}

fn temporary_name(name: &str, process: u32, count: u32) -> String {
    format!(".{name}.{process}-{count}")
}

/// What a temporary name will be, and the process that gave it; none where it is no temporary name.
pub(super) fn named_by(temporary: &str) -> Option<(&str, Pid)> {
    let (name, numbers) = temporary.strip_prefix('.')?.rsplit_once('.')?;
    let (process, count) = numbers.split_once('-')?;
    count.parse::<u32>().ok()?;
    let process = Pid::from_raw(process.parse().ok()?)?;
    Some((name, process))
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What has no name of its own yet; removed when this is dropped before it got one.
pub(super) struct Temporary<'f> {
    folder: &'f Folder,
    name: String,
}

impl Temporary<'_> {
    /// Gives it its name, in place of what has that name.
    pub(super) fn persist(self, name: &str) -> io::Result<()> {
        self.folder.rename(&self.name, name)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // After its renaming there is nothing left to remove.
        if let Err(error) = self.folder.remove(&self.name) {
            tracing::warn!("cannot remove the temporary file {}: {error}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::super::*;

    /// A folder of state in a root of its own, with what is to be left alone beside it.
    fn state() -> (tempfile::TempDir, Utf8PathBuf, Utf8PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(root.path().to_owned()).unwrap();
        let (app, outside) = (path.join("var/lib/bgctl/shop"), path.join("outside"));
        std::fs::create_dir_all(&app).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("file"), "theirs").unwrap();
        (root, app, outside)
    }

    /// What is outside is as it was.
    fn assert_untouched(outside: &Utf8Path) {
        assert_eq!(names_in(outside).unwrap(), ["file"]);
        assert_eq!(read(&outside.join("file")).unwrap().as_deref(), Some("theirs"));
        assert_eq!(mode_of(&outside.join("file")).unwrap() & 0o444, 0o444);
    }

    #[test]
    fn link_in_the_place_of_a_folder_leads_nowhere() {
        let (_root, app, outside) = state();
        let folder = app.join("releases");
        std::os::unix::fs::symlink(&outside, &folder).unwrap();
        let file = folder.join("file");
        let told: Vec<eyre::Report> = [
            write(&file, "ours", 0o600).unwrap_err(),
            write(&folder.join("new"), "ours", 0o600).unwrap_err(),
            read(&file).unwrap_err(),
            open_to_append(&file).unwrap_err(),
            remove(&file).unwrap_err(),
            names_in(&folder).unwrap_err(),
            ensure_dir(&folder, 0o700).unwrap_err(),
            ensure_dir(&folder.join("new"), 0o700).unwrap_err(),
            symlink("x".into(), &folder.join("link")).unwrap_err(),
            Lock::try_take(&folder.join("lock")).unwrap_err(),
            sync_dir(&folder).unwrap_err(),
        ]
        .into();
        for error in told {
            let error = format!("{error:#}");
            assert!(error.contains("there is a symbolic link in shop/releases"), "{error}");
        }
        assert_untouched(&outside);
    }

    #[test]
    fn link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let (_root, app, outside) = state();
        let file = app.join("9001.env");
        let link = || std::os::unix::fs::symlink(outside.join("file"), &file).unwrap();
        link();
        assert!(read(&file).is_err() && open_to_append(&file).is_err() && Lock::try_take(&file).is_err());
        assert!(install(&file, "theirs", 0o600).is_err(), "it is not even looked at");
        write(&file, "ours", 0o600).unwrap();
        assert_eq!(read(&file).unwrap().as_deref(), Some("ours"));
        std::fs::remove_file(&file).unwrap();
        link();
        assert!(Folder::open(&app).unwrap().create("9001.env", 0o600).is_err());
        assert!(remove(&file).unwrap());
        assert_untouched(&outside);
    }

    #[test]
    fn folder_of_state_itself_may_be_elsewhere() {
        let (_root, app, outside) = state();
        let state = app.parent().unwrap();
        std::fs::rename(state, outside.join("state")).unwrap();
        std::os::unix::fs::symlink(outside.join("state"), state).unwrap();
        write(&app.join("file"), "ours", 0o600).unwrap();
        assert_eq!(read(&outside.join("state/shop/file")).unwrap().as_deref(), Some("ours"));
    }

    #[test]
    fn elsewhere_links_are_what_people_make_them_for() {
        let (_root, app, outside) = state();
        let link = app.ancestors().nth(4).unwrap().join("link");
        std::os::unix::fs::symlink(outside.join("file"), &link).unwrap();
        assert_eq!(read(&link).unwrap().as_deref(), Some("theirs"));
    }

    #[test]
    fn no_umask_changes_a_mode() {
        let (_root, app, _outside) = state();
        let before = rustix::process::umask(Mode::empty());
        for umask in [0o777, 0o000] {
            rustix::process::umask(Mode::from_raw_mode(umask));
            let path = app.join(format!("{umask:o}"));
            let made = ensure_dir(&path, 0o700).and_then(|_| {
                write(&path.join("file"), "", 0o644)?;
                drop(Folder::open(&path)?.create("made", 0o644)?);
                drop(Lock::try_take(&path.join("lock"))?);
                make_dirs(&path.join("a/b"))
            });
            rustix::process::umask(before);
            made.unwrap();
            let modes = ["", "file", "made", "lock", "a", "a/b"].map(|name| mode_of(&path.join(name)).unwrap());
            assert_eq!(modes, [0o700, 0o644, 0o644, 0o600, 0o755, 0o755], "umask {umask:o}");
        }
    }

    #[test]
    fn no_more_is_read_of_a_file_than_it_may_have() {
        let (_root, app, _outside) = state();
        let path = app.join("cursor.json");
        std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert_eq!(error, format!("cannot read {path}: it is larger than 64 MiB"));
        std::fs::File::create(&path).unwrap().set_len(3).unwrap();
        assert_eq!(read_at_most(&path, 3).unwrap(), [0; 3]);
        assert!(read_at_most(&path, 2).is_err());
    }
}
