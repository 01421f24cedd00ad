//! All apps: one listing of systemd, one read of the store, and a look at each route.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use crate::cli::output;
use crate::cli::report::Exit;
use crate::host::systemd::Systemd;
use crate::model::{ActiveState, AppName, Color, Cursor, ReleaseId, SwitchId, UnitName};
use crate::ops::context::Context;
use crate::ops::install::{self, installed};
use crate::ops::machine;
use crate::proxy::nginx;
use crate::state::known;
use crate::state::switches::Switches;
use crate::store::Store;

/// An app in one line.
#[derive(Debug, Serialize)]
struct Line {
    app: AppName,
    active: Option<Color>,
    release: Option<ReleaseId>,
    state: Option<ActiveState>,
    /// Where the route leads; whether nginx goes by it, the status of the app says.
    route: Option<Color>,
    open_switch: Option<SwitchId>,
    note: Option<String>,
}

/// Prints them.
pub async fn run(context: &Context, json: bool) -> eyre::Result<Exit> {
    let lines = gather(context).await?;
    if json {
        output::json(&lines)?;
    } else if lines.is_empty() {
        output::answer("no app is installed; the first: bgctl install APP.toml");
    } else {
        show(&lines);
    }
    Ok(Exit::Done)
}

async fn gather(context: &Context) -> eyre::Result<Vec<Line>> {
    let layout = &context.layout;
    let apps = installed(layout)?;
    let list = async {
        let store = Store::open(&context.settings()?.store, &layout.state()).await?;
        store.list(&apps).await
    };
    let mut cursors = machine::ask(list).await;
    if let Err(error) = &cursors {
        output::warning(&format!(
            "the cursors are not known, what this host last knew of them follows: {error:#}"
        ));
    }
    let units = Systemd::connect().await?.list(&["*@*.service"]).await?;
    let states: HashMap<_, _> = units.into_iter().map(|listed| (listed.unit, listed.active)).collect();
    let mut lines = Vec::new();
    for app in apps.iter().cloned() {
        let route = nginx::current_route(layout, &app)?.unwrap_or_default().color();
        let known = match &cursors {
            Ok(_) => None,
            Err(_) => known::read(layout, &app).ok().flatten(),
        };
        let age = known
            .as_ref()
            .map(|known| jiff::Timestamp::now().duration_since(known.at).unsigned_abs());
        let (cursor, broken) = match cursors.as_mut().map(|cursors| cursors.remove(&app).transpose()) {
            Ok(Ok(stored)) => (stored.map(|stored| stored.cursor).unwrap_or_default(), None),
            Ok(Err(error)) => (served(route), Some(format!("{error:#}"))),
            Err(_) => (known.map_or_else(|| served(route), |known| known.cursor), None),
        };
        let (state, mut note) = match (cursor.active, install::app(layout, &app)) {
            (Some(color), Ok(installed)) => {
                let unit = UnitName::instance(&app, *installed.ports.get(color));
                (Some(states.get(&unit).copied().unwrap_or_default()), None)
            }
            (_, Ok(_)) => (None, None),
            (_, Err(error)) => (None, Some(format!("{error:#}"))),
        };
        note = note.or(broken);
        if note.is_none() && route != cursor.active {
            note = Some(format!("the route leads to {}", Color::or_none(route)));
        }
        if let (None, Some(age)) = (&note, age) {
            note = Some(format!("as this host knew it {} ago", output::age(age)));
        }
        let open_switch = Switches::new(layout, &app).open_id()?;
        lines.push(Line {
            app,
            active: cursor.active,
            release: cursor.release,
            state,
            route,
            open_switch,
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

fn show(lines: &[Line]) {
    let heading = ["APP", "ACTIVE", "RELEASE", "STATE", "SWITCH", ""]
        .map(str::to_owned)
        .to_vec();
    let rows = lines.iter().map(|line| {
        vec![
            line.app.to_string(),
            output::in_color(line.active, Color::or_none(line.active)),
            line.release.as_ref().map_or("-".to_owned(), ToString::to_string),
            line.state.map_or("-".to_owned(), |state| state.to_string()),
            line.open_switch
                .as_ref()
                .map_or("-".to_owned(), |id| format!("{id} open")),
            line.note.clone().unwrap_or_default(),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
}
