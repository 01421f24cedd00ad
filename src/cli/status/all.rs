//! All apps in a line each.

use crate::cli::output;
use crate::model::Color;
use crate::ops::status::Line;

/// Shows them.
pub fn show(lines: &[Line]) {
    if lines.is_empty() {
        output::answer("no app is installed; the first: bgctl install APP.toml");
        return;
    }
    let heading = ["APP", "ACTIVE", "RELEASE", "STATE", "STAGED", "SWITCH", ""]
        .map(str::to_owned)
        .to_vec();
    let rows = lines.iter().map(|line| {
        vec![
            line.app.to_string(),
            output::in_color(line.active, Color::or_none(line.active)),
            line.release.as_ref().map_or("-".to_owned(), ToString::to_string),
            line.state.map_or("-".to_owned(), |state| state.to_string()),
            line.staged.as_ref().map_or("-".to_owned(), ToString::to_string),
            line.open_switch
                .as_ref()
                .map_or("-".to_owned(), |id| format!("{id} open")),
            note(line),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
}

fn note(line: &Line) -> String {
    let known = || {
        line.as_of
            .map(|at| format!("as this host knew it {} ago", output::ago(at)))
    };
    line.note.clone().or_else(known).unwrap_or_default()
}
