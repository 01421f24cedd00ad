//! One app in full.

use std::time::Duration;

use crate::cli::output;
use crate::model::Color;
use crate::ops::status::{ColorStatus, CompanionStatus, CursorStatus, Problem, StagedStatus, Status};

/// Shows it.
pub fn show(status: &Status) {
    output::answer(&format!("{}  {}", output::bold(&status.app), output::dim(&status.url)));
    match &status.cursor {
        Some(known) => {
            let CursorStatus { cursor, revision, .. } = known;
            let color = output::in_color(cursor.active, Color::or_none(cursor.active));
            let release = cursor
                .release
                .as_ref()
                .map(|release| format!(" with {release}"))
                .unwrap_or_default();
            let age = known
                .age_seconds
                .map(|seconds| output::age(Duration::from_secs(seconds)));
            let age = age
                .map(|age| format!(", as this host knew it {age} ago"))
                .unwrap_or_default();
            output::answer(&format!("cursor  {color}{release}, revision {revision}{age}"));
        }
        None => output::answer("cursor  not known"),
    }
    if let Some(lease) = &status.lease {
        output::answer(&format!("lease   held by {}", lease.lease));
    }
    let serving = output::in_color(status.serving, Color::or_none(status.serving));
    output::answer(&match (status.nginx_answers, status.agrees) {
        (false, _) => "nginx   does not answer for this app".to_owned(),
        _ if status.held => "nginx   holds requests until a color runs".to_owned(),
        (true, true) => format!("nginx   {serving}, as the cursor says"),
        (true, false) => format!("nginx   {serving}, not what the cursor says"),
    });
    if let Some(staged) = &status.staged {
        output::answer(&format!("staged  {}", words(staged)));
    }
    if let Some(switch) = &status.open_switch {
        let step = switch.step.as_deref().unwrap_or("not begun");
        let worker = if switch.running {
            "runs"
        } else {
            "is open, and no worker runs"
        };
        output::answer(&format!(
            "switch  {} to {} {worker}: {step}",
            switch.switch, switch.release
        ));
    }
    output::answer("");
    let heading = [
        "COLOR", "ROLE", "UNIT", "STATE", "BOOT", "RELEASE", "UP", "HEALTH", "MEMORY",
    ];
    let rows = status.colors.iter().map(row);
    output::table(
        &std::iter::once(heading.map(str::to_owned).to_vec())
            .chain(rows)
            .collect::<Vec<_>>(),
    );
    companions(status);
    for Problem { problem, repair } in &status.problems {
        output::warning(problem);
        output::progress(&format!("  {}", output::dim(repair)));
    }
    output::warnings(&status.warnings);
}

fn companions(status: &Status) {
    let all = status
        .colors
        .iter()
        .flat_map(|color| color.companions.iter().map(|companion| (color.color, companion)));
    let rows: Vec<_> = all.map(|(color, companion)| companion_row(color, companion)).collect();
    if rows.is_empty() {
        return;
    }
    output::answer("");
    let heading = ["COLOR", "COMPANION", "RUNNING", "UP", "RESTARTS", "UNITS"]
        .map(str::to_owned)
        .to_vec();
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
}

fn companion_row(color: Color, companion: &CompanionStatus) -> Vec<String> {
    let units: Vec<_> = companion.replicas.iter().map(|replica| replica.unit.as_str()).collect();
    vec![
        output::in_color(Some(color), color.as_str()),
        companion.name.to_string(),
        format!("{}/{}", companion.running, companion.wanted),
        companion.since.map_or_else(|| "-".to_owned(), output::ago),
        companion.restarts.to_string(),
        units.join(" "),
    ]
}

fn words(staged: &StagedStatus) -> String {
    let StagedStatus { color, release, .. } = staged;
    let color = output::in_color(Some(*color), color.as_str());
    let end = match (staged.until, staged.has_expired) {
        (None, _) => String::new(),
        (Some(until), true) => format!(", expired {} ago", output::ago(until)),
        (Some(until), false) => format!(", until {until:.0}"),
    };
    format!("{release} in {color}, {} ago{end}", output::ago(staged.since))
}

fn row(status: &ColorStatus) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        output::in_color(Some(status.color), status.color.as_str()),
        status.role.to_owned(),
        status.unit.clone(),
        status.state.to_string(),
        if status.enabled { "enabled" } else { "disabled" }.to_owned(),
        status.release.as_ref().map_or_else(dash, ToString::to_string),
        status.since.map_or_else(dash, output::ago),
        status.health.clone().unwrap_or_else(dash),
        status.memory_bytes.map_or_else(dash, output::bytes),
    ]
}
