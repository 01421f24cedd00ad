//! Testing a configuration before it lies where nginx would read it: the folder of sites as it would be is mounted over the one
//! that is, for the test alone (`mount_namespaces(7)`). Whatever happens meanwhile, nginx's next start reads what it read before.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;

use super::{Change, is_nginx};
use crate::files;
use crate::host::command::{Command, Failed, Output};

/// Where copies of folders are, each with the id of the process that made it.
const COPIES: &str = "/run";
const COPY: &str = "bgctl-test-";

/// The exit code of the script where the folder cannot be mounted.
const NO_MOUNT: &str = "exit status: 200";

/// Mounts the first argument over the second one, and becomes the rest of them.
const SCRIPT: &str = r#"mount --bind "$1" "$2" || exit 200; shift 2; exec "$@""#;

/// What became of a test.
pub(super) enum Tested {
    /// It ran, and this is how it ended.
    Ran(Result<Output, Failed>),
    /// It cannot be done here: this process may not mount, or nginx does not run on this host's own files.
    Impossible,
}

/// Runs `command`, nginx's own test, on the folder of sites with `changes` made in it.
pub(super) async fn test(command: &[String], changes: &[Change<'_>], timeout: Duration) -> eyre::Result<Tested> {
    let Some(folder) = changes.first().and_then(|change| change.path.parent()) else {
        return Ok(Tested::Impossible);
    };
    if !is_nginx(command) || !folder.is_dir() {
        return Ok(Tested::Impossible);
    }
    let prepare = || {
        sweep()?;
        Staged::new(format!("{COPIES}/{COPY}{}", std::process::id()).into(), folder, changes)
    };
    let staged = prepare().wrap_err("cannot prepare a test of nginx's configuration")?;
    let script = [
        "--mount",
        "/bin/sh",
        "-c",
        SCRIPT,
        "sh",
        staged.folder.as_str(),
        folder.as_str(),
    ];
    let arguments = script.into_iter().map(str::to_owned).chain(command.iter().cloned());
    let ran = Command::new("unshare", arguments, timeout).run().await;
    Ok(match ran {
        Err(failed) if failed.how == NO_MOUNT || failed.lines().iter().any(|line| line.starts_with("unshare: ")) => {
            Tested::Impossible
        }
        // unshare(1) itself is not there.
        Err(failed) if !failed.how.starts_with("exit status") => Tested::Impossible,
        ran => Tested::Ran(ran),
    })
}

/// Removes copies of processes that were killed.
fn sweep() -> eyre::Result<()> {
    let is_left = |name: &String| {
        name.strip_prefix(COPY)
            .is_some_and(|process| !Utf8Path::new("/proc").join(process).exists())
    };
    let names = files::names_in(Utf8Path::new(COPIES))?.into_iter().filter(is_left);
    names
        .map(|name| Utf8Path::new(COPIES).join(name))
        .try_for_each(|copy| files::remove_tree(&copy))
}

/// A copy of a folder of sites; removed when this is dropped.
struct Staged {
    folder: Utf8PathBuf,
}

impl Staged {
    /// The copy, with `changes` made in it.
    fn new(copy: Utf8PathBuf, folder: &Utf8Path, changes: &[Change<'_>]) -> eyre::Result<Self> {
        let staged = Self { folder: copy };
        copy_tree(folder, &staged.folder)?;
        for change in changes {
            let path = staged.folder.join(change.path.file_name().unwrap_or_default());
            match change.text {
                Some(text) => files::write_unsynced(&path, text, 0o644)?,
                None => files::remove(&path).map(drop)?,
            }
        }
        Ok(staged)
    }
}

/// Sites may include files from folders beside them. Links stay as they are: they lead to the same from where the copy will be
/// mounted. What is no file, folder or link is nothing that nginx reads.
fn copy_tree(from: &Utf8Path, to: &Utf8Path) -> eyre::Result<()> {
    files::ensure_dir(to, 0o700)?;
    for name in files::names_in(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        let kind = fs_err::symlink_metadata(&from)?.file_type();
        if kind.is_symlink() {
            let target = from.read_link_utf8()?;
            std::os::unix::fs::symlink(target, &to).wrap_err_with(|| format!("cannot link {to}"))?;
        } else if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_file() {
            fs_err::copy(&from, &to)?;
        }
    }
    Ok(())
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = files::remove_tree(&self.folder) {
            tracing::warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_folders_links_and_changes() {
        let root = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(root.path()).unwrap();
        let (sites, copy) = (root.join("sites"), root.join("copy"));
        fs_err::create_dir_all(sites.join("snippets")).unwrap();
        for file in ["snippets/tls.conf", "blog.conf", "shop.conf", "gone.conf"] {
            fs_err::write(sites.join(file), file).unwrap();
        }
        std::os::unix::fs::symlink("../available/wiki", sites.join("wiki")).unwrap();
        let change = |path, text| Change { path, text };
        let (shop, gone) = (sites.join("shop.conf"), sites.join("gone.conf"));
        let changes = [change(&*shop, Some("new")), change(&*gone, None)];
        let staged = Staged::new(copy.clone(), &sites, &changes).unwrap();
        let read = |name: &str| fs_err::read_to_string(copy.join(name)).ok();
        assert_eq!(read("snippets/tls.conf").as_deref(), Some("snippets/tls.conf"));
        assert_eq!(read("blog.conf").as_deref(), Some("blog.conf"));
        assert_eq!((read("shop.conf").as_deref(), read("gone.conf")), (Some("new"), None));
        assert_eq!(copy.join("wiki").read_link_utf8().unwrap(), "../available/wiki");
        assert_eq!(fs_err::read_to_string(&shop).unwrap(), "shop.conf");
        drop(staged);
        assert!(!copy.exists());
    }
}
