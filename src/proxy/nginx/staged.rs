//! Testing a configuration before it lies where nginx would read it: the folder of sites as it would be is mounted over the one
//! that is, for the test alone (`mount_namespaces(7)`). Whatever happens meanwhile, nginx's next start reads what it read before.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use eyre::WrapErr as _;

use super::Change;
use crate::files;
use crate::host::command::{Command, Failed, Output};

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
    let is_nginx = |program: &String| Utf8Path::new(program).file_name() == Some("nginx");
    if !command.first().is_some_and(is_nginx) || !folder.is_dir() {
        return Ok(Tested::Impossible);
    }
    let staged = Staged::new(folder, changes).wrap_err("cannot prepare a test of nginx's configuration")?;
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

/// A copy of a folder of sites; removed when this is dropped.
struct Staged {
    folder: Utf8PathBuf,
}

impl Staged {
    fn new(folder: &Utf8Path, changes: &[Change<'_>]) -> eyre::Result<Self> {
        let staged = Self {
            folder: format!("/run/bgctl-test-{}", std::process::id()).into(),
        };
        files::ensure_dir(&staged.folder, 0o700)?;
        for name in files::names_in(folder)? {
            staged.copy(folder, &name)?;
        }
        for change in changes {
            let path = staged.folder.join(change.path.file_name().unwrap_or_default());
            match change.text {
                Some(text) => files::write_unsynced(&path, text, 0o644)?,
                None => files::remove(&path).map(drop)?,
            }
        }
        Ok(staged)
    }

    /// Links as they are: they lead to the same from where this will be mounted. What is no file and no link is no site.
    fn copy(&self, folder: &Utf8Path, name: &str) -> eyre::Result<()> {
        let (from, to) = (folder.join(name), self.folder.join(name));
        let kind = fs_err::symlink_metadata(&from)?.file_type();
        if kind.is_symlink() {
            let target = from.read_link_utf8()?;
            std::os::unix::fs::symlink(target, &to).wrap_err_with(|| format!("cannot link {to}"))?;
        } else if kind.is_file() {
            fs_err::copy(&from, &to)?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = files::remove_tree(&self.folder) {
            tracing::warn!("{error}");
        }
    }
}
