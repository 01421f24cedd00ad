//! The route of an app: a link that nginx looks at, in a folder that holds nothing else.
//!
//! ```text
//! /var/lib/bgctl-routes/APP/
//!     active -> to.green     all traffic moves when this is replaced, by one rename(2)
//!     to.blue/blue           what a site asks for with -f
//!     to.green/green
//!     to.none/none, green    green: see templates/app.conf
//!     to.held/held
//!     hold.sock              while requests are held: see `hold`
//! ```
//!
//! nginx chooses the color by the hash of a key, one of three words ([`key`]), when it connects. For a request that is sent in the
//! millisecond in which it came, the word is what `active/green` said then, which costs one stat(2). For one that was held (by its
//! own body, a limit, or a check of access) nginx resolves the link then (`$realpath_root`), and its ending tells the word.

use std::time::Duration;

use camino::Utf8Path;
use eyre::WrapErr as _;

use crate::files;
use crate::model::{Color, Hinted, Route};

const ACTIVE: &str = "active";

/// The word that nginx hashes for a route, see `templates/00-bgctl.conf`: its CRC-32 chooses the first server of three for blue,
/// the second for green, and the third for none. Where requests are held it is the third one as well: the site of an app that
/// holds requests has the socket of [`hold`](super::hold) there.
pub fn key(route: Route) -> &'static str {
    match route {
        Route::To(Color::Blue) => "blue",
        Route::To(Color::Green) => "green0",
        Route::None | Route::Held => "none0",
    }
}

/// The folder that the link leads to; its ending is what nginx tells routes by.
fn target(route: Route) -> String {
    format!("to.{route}")
}

/// Where nginx sends the requests of the app whose routes are in `folder`. Returns `None` where there is no link. Errors where
/// the link cannot be read or leads anywhere else.
pub fn read(folder: &Utf8Path) -> eyre::Result<Option<Route>> {
    let link = folder.join(ACTIVE);
    let target = files::read_link(&link).wrap_err_with(|| format!("cannot read the route {link}"))?;
    let Some(target) = target else { return Ok(None) };
    let route = target.strip_prefix("to.").and_then(|route| Route::parse(route).ok());
    let odd = || {
        Hinted::new(
            format!("cannot use the route {link}: it leads to {target}, which is none of bgctl's"),
            format!(
                "rm {link}, then bgctl repair {}",
                folder.file_name().unwrap_or_default()
            ),
        )
    };
    Ok(Some(route.ok_or_else(odd)?))
}

/// Since when the app whose routes are in `folder` has its requests held, by the time of the link. Returns `None` where they are not.
pub fn held(folder: &Utf8Path) -> eyre::Result<Option<Duration>> {
    if read(folder)? != Some(Route::Held) {
        return Ok(None);
    }
    let since = jiff::Timestamp::try_from(fs_err::symlink_metadata(folder.join(ACTIVE))?.modified()?)?;
    // The clock may have been set back.
    Ok(Duration::try_from(jiff::Timestamp::now().duration_since(since)).ok())
}

/// As [`read`]; errors where there is no route as well.
pub fn require(folder: &Utf8Path) -> eyre::Result<Route> {
    let missing = || {
        let app = folder.file_name().unwrap_or_default();
        let message = format!("cannot tell where nginx sends requests: there is no {folder}/{ACTIVE}");
        let hint =
            format!("bgctl repair {app}; after an upgrade from bgctl 0.1.0: bgctl install /etc/bgctl/apps/{app}.toml");
        Hinted::new(message, hint)
    };
    Ok(read(folder)?.ok_or_else(missing)?)
}

/// Makes the folder with all that links can lead to, where anything of it is missing; nginx's workers may look into it. Says
/// whether anything changed. The link itself is left as it is.
pub fn make(folder: &Utf8Path) -> eyre::Result<bool> {
    let mut changed = files::ensure_dir(folder, 0o755)?;
    for route in Route::ALL {
        let to = folder.join(target(route));
        changed |= files::ensure_dir(&to, 0o755)?;
        changed |= files::install(&to.join(route.as_str()), "", 0o644)?;
    }
    let green = folder.join(target(Route::None)).join(Color::Green.as_str());
    Ok(files::install(&green, "", 0o644)? || changed)
}

/// Sends all new requests to `to`. One rename(2) moves them; then it is put on disk. Says whether they went elsewhere before.
/// Errors where the folder was not made, or is not writable.
pub fn set(folder: &Utf8Path, to: Route) -> eyre::Result<bool> {
    let set = || -> eyre::Result<bool> {
        let changed = files::symlink_unsynced(Utf8Path::new(&target(to)), &folder.join(ACTIVE))?;
        // Where nothing is to be moved, the run that moved it may have been killed before it was on disk.
        files::sync_dir(folder)?;
        Ok(changed)
    };
    set().wrap_err_with(|| format!("cannot route requests to {to}"))
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    /// The server of three that nginx chooses for a key (`ngx_http_upstream_get_hash_peer`).
    fn server(key: &str) -> u32 {
        let mut crc = u32::MAX;
        for byte in key.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            }
        }
        ((!crc >> 16) & 0x7fff) % 3
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::try_from(root.path().join("routes/shop")).unwrap();
        (root, folder)
    }

    #[test]
    fn keys_choose_the_servers_in_the_order_of_the_site() {
        let routes = [Color::Blue.into(), Color::Green.into(), Route::None, Route::Held];
        assert_eq!(routes.map(|route| server(key(route))), [0, 1, 2, 2]);
    }

    #[test]
    fn routes_are_read_as_they_were_set() {
        let (_root, folder) = folder();
        assert_eq!(read(&folder).unwrap(), None);
        assert!(set(&folder, Route::None).is_err());
        assert!(make(&folder).unwrap());
        assert!(!make(&folder).unwrap());
        assert_eq!(read(&folder).unwrap(), None);
        assert!(require(&folder).is_err());
        for from in Route::ALL {
            for to in Route::ALL {
                set(&folder, from).unwrap();
                assert_eq!(set(&folder, to).unwrap(), from != to, "{from} to {to}");
                assert_eq!(require(&folder).unwrap(), to);
                let real = folder.join(ACTIVE).canonicalize_utf8().unwrap();
                assert_eq!(real.extension(), Some(to.as_str()));
                assert!(real.join(to.as_str()).is_file());
                let is_seen = matches!(to, Route::None | Route::To(Color::Green));
                assert_eq!(real.join("green").is_file(), is_seen);
            }
        }
    }

    #[test]
    fn links_that_lead_elsewhere_are_refused() {
        let (_root, folder) = folder();
        make(&folder).unwrap();
        std::os::unix::fs::symlink("/tmp", folder.join(ACTIVE)).unwrap();
        let error = read(&folder).unwrap_err().to_string();
        assert!(error.contains("it leads to /tmp"), "{error}");
    }
}
