//! The flag: files in a folder that nginx looks at for each request, and that so move the traffic.
//!
//! | in the folder | nginx |
//! |---|---|
//! | `none` | answers 503: nothing was ever switched |
//! | `green` | sends requests to green |
//! | neither | sends requests to blue |
//!
//! Where both are there (someone made one by hand), `none` counts.

use std::io::ErrorKind;

use camino::Utf8Path;
use eyre::WrapErr as _;

use crate::files::{self, folder::Folder};
use crate::model::{Color, ReleaseId, Route};

const NONE: &str = "none";
const GREEN: &str = "green";

/// The route that the flag in `folder` names. Errors where there is no such folder.
pub fn read(folder: &Utf8Path) -> eyre::Result<Route> {
    let read = || -> std::io::Result<Route> {
        if !fs_err::metadata(folder)?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(if is_there(&folder.join(NONE))? {
            Route::None
        } else if is_there(&folder.join(GREEN))? {
            Route::To(Color::Green)
        } else {
            Route::To(Color::Blue)
        })
    };
    read().wrap_err_with(|| format!("cannot read the flag in {folder}"))
}

/// Makes the flag in `folder` name the route `to`, and says whether it named another one before. One system call moves the
/// traffic; then the folder is put on disk. Fails where there is no such folder, or it is not writable.
pub fn set(folder: &Utf8Path, to: Route) -> eyre::Result<bool> {
    let before = read(folder)?;
    let change = || -> std::io::Result<()> {
        let folder = Folder::open(folder)?;
        if before != to {
            move_it(&folder, before.color(), to.color())?;
        }
        // Where nothing is to be moved, the run that moved it may have been killed before it was on disk.
        folder.sync()
    };
    change().wrap_err_with(|| format!("cannot move the flag in {folder} from {before} to {to}"))?;
    Ok(before != to)
}

fn move_it(folder: &Folder, from: Option<Color>, to: Option<Color>) -> std::io::Result<()> {
    match (from, to) {
        (None, Some(Color::Green)) => folder.rename(NONE, GREEN),
        (Some(Color::Green), None) => folder.rename(GREEN, NONE),
        (None, _) => {
            folder.remove(GREEN)?;
            folder.remove(NONE).map(drop)
        }
        (Some(Color::Green), _) => folder.remove(GREEN).map(drop),
        (Some(Color::Blue), Some(_)) => folder.create(GREEN, 0o644).map(drop),
        (Some(Color::Blue), None) => folder.create(NONE, 0o644).map(drop),
    }
}

fn is_there(path: &Utf8Path) -> std::io::Result<bool> {
    match fs_err::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the link `serving/COLOR` point to the name of `release`, for nginx to log; says whether anything changed.
/// `serving` and `names` are neighbours (see [`Layout`](super::layout::Layout)).
pub fn name_release(serving: &Utf8Path, names: &Utf8Path, color: Color, release: &ReleaseId) -> eyre::Result<bool> {
    let made = files::ensure_dir(&names.join(release.as_str()), 0o755)?;
    let target = Utf8Path::new("..")
        .join(names.file_name().unwrap_or_default())
        .join(release.as_str());
    Ok(files::symlink(&target, &serving.join(color.as_str()))? || made)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn every_move_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        for from in Route::ALL {
            for to in Route::ALL {
                set(&folder, from).unwrap();
                assert_eq!(set(&folder, to).unwrap(), from != to, "{from:?} to {to:?}");
                assert_eq!(read(&folder).unwrap(), to);
                assert!(!set(&folder, to).unwrap());
            }
        }
    }

    #[test]
    fn none_counts_where_both_are_there() {
        for to in Route::ALL {
            let dir = tempfile::tempdir().unwrap();
            let folder = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
            fs_err::write(folder.join(NONE), "").unwrap();
            fs_err::write(folder.join(GREEN), "").unwrap();
            assert_eq!(read(&folder).unwrap(), Route::None);
            set(&folder, to).unwrap();
            assert_eq!(read(&folder).unwrap(), to);
        }
    }

    #[test]
    fn no_folder_is_an_error() {
        let error = format!("{:#}", read("/nonexistent/flag".into()).unwrap_err());
        assert!(
            error.starts_with("cannot read the flag in /nonexistent/flag: "),
            "{error}"
        );
        assert!(set("/nonexistent/flag".into(), Route::None).is_err());
    }

    #[test]
    fn the_release_in_a_color_has_a_name_that_nginx_can_log() {
        let dir = tempfile::tempdir().unwrap();
        let app = Utf8PathBuf::try_from(dir.path().canonicalize().unwrap()).unwrap();
        let (serving, names) = (app.join("serving"), app.join("names"));
        files::ensure_dir(&serving, 0o755).unwrap();
        for (release, changes) in [("r1", true), ("r1", false), ("r2", true)] {
            let release = ReleaseId::parse(release).unwrap();
            assert_eq!(name_release(&serving, &names, Color::Blue, &release).unwrap(), changes);
            let real = serving.join("blue").canonicalize_utf8().unwrap();
            assert_eq!(real, names.join(release.as_str()));
        }
    }
}
