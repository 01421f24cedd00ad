//! One app in full.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::install::program;
use crate::cli::output;
use crate::cli::report::Exit;
use crate::host::docker::Docker;
use crate::host::install::{self, Files};
use crate::host::switches::Switches;
use crate::host::systemd::{Systemd, UnitState};
use crate::host::{deferred, flag, known, nginx, probe, releases};
use crate::journal::StepState;
use crate::model::{
    ActiveState, App, AppName, Color, Cursor, Port, ReleaseId, Revision, Runtime, Settings, SwitchId, UnitName,
};

use super::ask;

/// An app, as it is.
#[derive(Debug, Serialize)]
struct Status {
    app: String,
    url: String,
    cursor: Option<CursorStatus>,
    serving: Option<Color>,
    agrees: bool,
    colors: Vec<ColorStatus>,
    open_switch: Option<SwitchStatus>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CursorStatus {
    #[serde(flatten)]
    cursor: Cursor,
    revision: Revision,
    /// When this host last saw it so, where the store does not answer; none: just now.
    as_of: Option<jiff::Timestamp>,
    age_seconds: Option<u64>,
}

impl CursorStatus {
    fn known(known: known::Known) -> Self {
        let age = jiff::Timestamp::now().duration_since(known.at);
        Self {
            cursor: known.cursor,
            revision: known.revision,
            as_of: Some(known.at),
            age_seconds: Some(age.as_secs().max(0).unsigned_abs()),
        }
    }
}

#[derive(Debug, Serialize)]
struct ColorStatus {
    color: Color,
    role: &'static str,
    port: Port,
    unit: String,
    state: ActiveState,
    enabled: bool,
    release: Option<ReleaseId>,
    since: Option<jiff::Timestamp>,
    restarts: u32,
    health: Option<String>,
    healthy: Option<bool>,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct SwitchStatus {
    switch: SwitchId,
    release: ReleaseId,
    step: Option<String>,
    running: bool,
}

/// Prints it.
pub async fn run(context: &Context, app: App, json: bool) -> eyre::Result<Exit> {
    let status = gather(context, &app).await?;
    if json {
        output::json(&status)?;
    } else {
        show(&status);
    }
    Ok(Exit::Done)
}

async fn gather(context: &Context, app: &App) -> eyre::Result<Status> {
    let (layout, settings) = (&context.layout, context.settings()?);
    let systemd = Systemd::connect().await?;
    let mut problems = Vec::new();
    let cursor = read_cursor(context, &app.name, &mut problems).await?;
    problems.extend(deferred(context, &app.name).unwrap_or_else(|broken| Some(format!("{broken:#}"))));
    let serving = match nginx::color(&app.site, &layout.socket(&app.name)).await {
        Ok(serving) => serving,
        Err(error) => {
            problems.push(format!("nginx does not answer for this app: {error:#}"));
            flag::read(&layout.flag_dir(&app.name))?
        }
    };
    let active = cursor.as_ref().and_then(|cursor| cursor.cursor.active);
    if cursor.is_some() && serving != active {
        let (cursor, nginx) = (Color::or_none(active), Color::or_none(serving));
        problems.push(format!("the cursor says {cursor}, and nginx serves {nginx}"));
    }
    problems.extend(drift(context, app, &settings)?);
    let mut colors = Vec::new();
    for color in Color::BOTH {
        colors.push(gather_color(context, app, &settings, &systemd, color, active).await?);
    }
    if let Some(down) = colors
        .iter()
        .find(|status| Some(status.color) == active && status.state != ActiveState::Active)
    {
        problems.push(format!(
            "{} is active and its unit is {}: journalctl -u {}",
            down.color, down.state, down.unit
        ));
    }
    Ok(Status {
        app: app.name.to_string(),
        url: app.site.to_string(),
        agrees: serving == active,
        cursor,
        serving,
        colors,
        open_switch: open_switch(context, app, &systemd).await?,
        problems,
    })
}

/// What the store says, or what this host last knew of it.
async fn read_cursor(
    context: &Context,
    app: &AppName,
    problems: &mut Vec<String>,
) -> eyre::Result<Option<CursorStatus>> {
    match ask(context, async |store| store.get(app).await).await {
        Ok(stored) => {
            // Only root can write it down.
            if let Some(stored) = stored.as_ref().filter(|_| rustix::process::geteuid().is_root()) {
                known::remember(&context.layout, &context.settings()?.store, app, stored);
            }
            Ok(stored.map(|stored| CursorStatus {
                cursor: stored.cursor,
                revision: stored.revision,
                as_of: None,
                age_seconds: None,
            }))
        }
        Err(error) => {
            let known = known::read(&context.layout, app).unwrap_or_else(|broken| {
                problems.push(format!("{broken:#}"));
                None
            });
            let instead = if known.is_some() {
                "what this host last knew of it is shown"
            } else {
                "this host never saw it"
            };
            problems.push(format!("the cursor is not known, {instead}: {error:#}"));
            Ok(known.map(CursorStatus::known))
        }
    }
}

/// What this host did while the store was away, and the store does not know.
fn deferred(context: &Context, app: &AppName) -> eyre::Result<Option<String>> {
    let deferred = deferred::Journal::new(&context.layout, app).read()?;
    let moved = deferred.and_then(|deferred| Some((deferred.at, deferred.stored()?.cursor)));
    Ok(moved.map(|(at, cursor)| {
        let color = Color::or_none(cursor.active);
        let release = cursor.release.as_ref().map(|id| format!(" with {id}")).unwrap_or_default();
        format!(
            "this host moved to {color}{release} without the store at {at:.0}, and tells it when it answers: systemctl start {}",
            UnitName::switch(app)
        )
    }))
}

/// What differs from what an install would write now.
fn drift(context: &Context, app: &App, settings: &Settings) -> eyre::Result<Vec<String>> {
    let files = Files::of(app, "", settings, &context.layout, &program()?)?;
    let differs = files
        .rendered()
        .filter(|change| change.is_needed())
        .map(|change| match &change.old {
            None => format!("{} is missing; bgctl install writes it again", change.path),
            Some(_) => format!("{} is not what bgctl install would write", change.path),
        });
    let path = context.layout.manifest(&app.name);
    let edited = install::is_edited(&context.layout, &app.name)?
        .then(|| format!("{path} was changed, and not installed since: bgctl install {path}"));
    Ok(differs.chain(edited).collect())
}

async fn gather_color(
    context: &Context,
    app: &App,
    settings: &Settings,
    systemd: &Systemd,
    color: Color,
    active: Option<Color>,
) -> eyre::Result<ColorStatus> {
    let port = *app.ports.get(color);
    let unit = UnitName::instance(&app.name, port);
    let state = systemd.state(&unit).await?;
    let is_up = state.active == ActiveState::Active;
    let tried = if is_up {
        Some(probe::once(&app.health.check, port, app.health.timeout).await)
    } else {
        None
    };
    Ok(ColorStatus {
        color,
        role: if active == Some(color) { "active" } else { "idle" },
        port,
        unit: unit.to_string(),
        state: state.active,
        enabled: systemd.is_enabled(&unit).await?,
        release: releases::pinned(&context.layout, &app.name, port)?,
        since: state.since.filter(|_| is_up),
        restarts: state.restarts,
        healthy: tried.as_ref().map(Result::is_ok),
        health: tried.map(|tried| tried.err().unwrap_or_else(|| "healthy".to_owned())),
        memory_bytes: if is_up {
            memory(app, settings, port, &state).await
        } else {
            None
        },
    })
}

/// A container's memory is Docker's to tell; not to know it is no reason to fail.
async fn memory(app: &App, settings: &Settings, port: Port, state: &UnitState) -> Option<u64> {
    match app.run.runtime {
        Runtime::Program(_) => state.memory,
        Runtime::Docker(_) => {
            let docker = Docker::connect(&settings.docker.socket).await.ok()?;
            docker.memory(&format!("{}-{port}", app.name)).await.ok().flatten()
        }
    }
}

async fn open_switch(context: &Context, app: &App, systemd: &Systemd) -> eyre::Result<Option<SwitchStatus>> {
    let switches = Switches::new(&context.layout, &app.name);
    let Some(id) = switches.open_id()? else { return Ok(None) };
    let record = switches.read(&id)?;
    let is_now = |state| matches!(state, StepState::Running | StepState::Undoing | StepState::Failed);
    let step = record
        .steps()
        .into_iter()
        .rev()
        .find(|step| is_now(step.state))
        .map(|step| step.text);
    let running = !systemd.state(&UnitName::switch(&app.name)).await?.active.is_down();
    Ok(Some(SwitchStatus {
        switch: id,
        release: record.head.plan.release,
        step,
        running,
    }))
}

fn show(status: &Status) {
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
    let agrees = if status.agrees {
        "as the cursor says"
    } else {
        "not what the cursor says"
    };
    let serving = output::in_color(status.serving, Color::or_none(status.serving));
    output::answer(&format!("nginx   {serving}, {agrees}"));
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
    for problem in &status.problems {
        output::warning(problem);
    }
}

fn row(status: &ColorStatus) -> Vec<String> {
    let dash = || "-".to_owned();
    let up = status
        .since
        .map(|since| jiff::Timestamp::now().duration_since(since).unsigned_abs());
    vec![
        output::in_color(Some(status.color), status.color.as_str()),
        status.role.to_owned(),
        status.unit.clone(),
        status.state.to_string(),
        if status.enabled { "enabled" } else { "disabled" }.to_owned(),
        status.release.as_ref().map_or_else(dash, ToString::to_string),
        up.map_or_else(dash, output::age),
        status.health.clone().unwrap_or_else(dash),
        status.memory_bytes.map_or_else(dash, output::bytes),
    ]
}
