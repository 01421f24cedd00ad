//! What bgctl 0.1.0 left for nginx: in each app's folder of state `flag/`, whose files said where requests go, `serving/` and
//! `names/` for its log; a socket in `/run/bgctl`, and a drop-in that made nginx's unit have that folder.

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::host::layout::Layout;
use crate::model::{AppName, Color, Route, UnitName};

const FLAG: &str = "flag";
const NONE: &str = "none";
const GREEN: &str = "green";

/// Whether the text is a site of 0.1.0, or the one that takes its place for as long as workers of nginx use that.
pub fn is_site(text: &str) -> bool {
    text.contains("listen \"unix:/run/bgctl/")
}

/// The socket of an app's site.
pub fn socket(layout: &Layout, app: &AppName) -> Utf8PathBuf {
    layout.below("run/bgctl").join(format!("{app}.sock"))
}

/// Where the site of an app sends requests by its flag; none where it has no flag. `state` is the app's folder of state.
pub fn route(state: &Utf8Path) -> Option<Route> {
    let flag = state.join(FLAG);
    if !flag.is_dir() {
        return None;
    }
    Some(if flag.join(NONE).exists() {
        Route::None
    } else if flag.join(GREEN).exists() {
        Color::Green.into()
    } else {
        Color::Blue.into()
    })
}

/// Moves the flag of an app, where it has one still: workers of nginx that run since before its site was replaced look at it.
pub fn follow(state: &Utf8Path, to: Route) -> eyre::Result<()> {
    let flag = state.join(FLAG);
    if !flag.is_dir() {
        return Ok(());
    }
    // Its sites hold nothing.
    let to = if to == Route::Held { Route::None } else { to };
    for (name, route) in [(GREEN, Color::Green.into()), (NONE, Route::None)] {
        if to == route {
            files::write(&flag.join(name), "", 0o644)?;
        }
    }
    for (name, route) in [(GREEN, Color::Green.into()), (NONE, Route::None)] {
        if to != route {
            files::remove(&flag.join(name))?;
        }
    }
    Ok(())
}

/// Removes what is left of an app, and the drop-in of nginx's unit where no site needs it any more. Says whether systemd has to
/// read that unit anew.
pub fn remove(layout: &Layout, app: &AppName, nginx: &UnitName, sites: &Utf8Path) -> eyre::Result<bool> {
    for folder in [FLAG, "serving", "names"] {
        let path = layout.app(app).join(folder);
        if path.is_dir() {
            files::remove_tree(&path)?;
        }
    }
    for name in files::names_in(sites)? {
        if files::read_bytes(&sites.join(&name))?.is_some_and(|bytes| is_site(&String::from_utf8_lossy(&bytes))) {
            return Ok(false);
        }
    }
    let drop_in = layout.unit_dir().join(format!("{nginx}.d/bgctl.conf"));
    let is_removed = files::remove(&drop_in)?;
    if let Some(folder) = drop_in.parent() {
        files::remove_empty_dir(folder)?;
    }
    Ok(is_removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_moved() {
        let root = tempfile::tempdir().unwrap();
        let state = Utf8PathBuf::try_from(root.path().to_owned()).unwrap();
        assert_eq!(route(&state), None);
        follow(&state, Route::None).unwrap();
        assert_eq!(route(&state), None);
        files::ensure_dir(&state.join(FLAG), 0o755).unwrap();
        for from in Route::ALL {
            for to in Route::ALL {
                follow(&state, from).unwrap();
                follow(&state, to).unwrap();
                let told = if to == Route::Held { Route::None } else { to };
                assert_eq!(route(&state), Some(told));
            }
        }
    }
}
