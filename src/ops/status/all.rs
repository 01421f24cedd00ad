//! All apps: one listing of systemd, one read of the store, and a look at each route.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use crate::host::systemd::Systemd;
use crate::model::{ActiveState, AppName, Color, Cursor, ReleaseId, SwitchId, UnitName};
use crate::ops::context::Context;
use crate::ops::installed::{self, installed};
use crate::ops::{Error, Progress, machine};
use crate::proxy::nginx;
use crate::state::known;
use crate::state::staged;
use crate::state::switches::Switches;
use crate::store::Store;

/// An app in one line.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub app: AppName,
    /// The color that is active.
    pub active: Option<Color>,
    /// The release that is active.
    pub release: Option<ReleaseId>,
    /// The state of the active color's unit.
    pub state: Option<ActiveState>,
    /// Where the route leads; whether nginx goes by it, the status of the app says.
    pub route: Option<Color>,
    /// The release that is staged.
    pub staged: Option<ReleaseId>,
    /// The switch that is open.
    pub open_switch: Option<SwitchId>,
    /// When this host last saw the cursor so, where the store does not answer; `None`: just now, or nothing is known.
    pub as_of: Option<jiff::Timestamp>,
    /// What is not as it should be.
    pub note: Option<String>,
}

/// Looks at all apps. Errors where systemd does not answer; where the store does not, what this host last knew counts.
pub async fn all(context: &Context, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Vec<Line>, Error> {
    let layout = &context.layout;
    let apps = installed(layout)?;
    let list = async {
        let store = Store::open(&context.settings()?.store, &layout.state()).await?;
        store.list(&apps).await
    };
    let mut cursors = machine::ask(list).await;
    if let Err(error) = &cursors {
        let message = format!("the cursors are not known, what this host last knew of them follows: {error:#}");
        progress(Progress::Warning(&message));
    }
    let units = Systemd::connect().await?.list(&["*@*.service"]).await?;
    let states: HashMap<_, _> = units.into_iter().map(|listed| (listed.unit, listed.active)).collect();
    let mut lines = Vec::new();
    for app in apps.iter().cloned() {
        let led = nginx::current_route(layout, &app)?.unwrap_or_default();
        let route = led.color();
        let known = match &cursors {
            Ok(_) => None,
            Err(_) => known::read(layout, &app).ok().flatten(),
        };
        let as_of = known.as_ref().map(|known| known.at);
        let (cursor, broken) = match cursors.as_mut().map(|cursors| cursors.remove(&app).transpose()) {
            Ok(Ok(stored)) => (stored.map(|stored| stored.cursor).unwrap_or_default(), None),
            Ok(Err(error)) => (served(route), Some(format!("{error:#}"))),
            Err(_) => (known.map_or_else(|| served(route), |known| known.cursor), None),
        };
        let (state, mut note) = match (cursor.active, installed::app(layout, &app)) {
            (Some(color), Ok(installed)) => {
                let unit = UnitName::instance(&app, *installed.ports.get(color));
                (Some(states.get(&unit).copied().unwrap_or_default()), None)
            }
            (_, Ok(_)) => (None, None),
            (_, Err(error)) => (None, Some(format!("{error:#}"))),
        };
        note = note.or(broken);
        if note.is_none() && route != cursor.active {
            note = Some(format!("the route leads to {led}"));
        }
        let open_switch = Switches::new(layout, &app).open_id()?;
        // One that is damaged the status of the app names.
        let staged = staged::read(layout, &app).ok().flatten().map(|staged| staged.release);
        lines.push(Line {
            app,
            active: cursor.active,
            release: cursor.release,
            state,
            route,
            staged,
            open_switch,
            as_of,
            note,
        });
    }
    Ok(lines)
}

fn served(route: Option<Color>) -> Cursor {
    Cursor {
        active: route,
        ..Cursor::default()
    }
}
