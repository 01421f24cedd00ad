//! One app in full.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use crate::cli::output;
use crate::cli::report::Exit;
use crate::drift::{self, ColorFacts, CursorFact, Facts, Pin, SwitchFact};
use crate::host::systemd::{Systemd, UnitState};
use crate::journal::StepState;
use crate::model::{
    ActiveState, App, Color, Cursor, Known, Lease, Port, ReleaseId, Revision, Runtime, Settings, SwitchId, UnitFile,
};
use crate::ops::context::Context;
use crate::ops::install::{self, Files};
use crate::ops::instance::Instance;
use crate::runtime::docker::Docker;
use crate::state::switches::Switches;

/// An app, as it is.
#[derive(Debug, Serialize)]
struct Status {
    app: String,
    url: String,
    cursor: Option<CursorStatus>,
    /// Who holds the app's lease just now.
    lease: Option<LeaseStatus>,
    /// Whether nginx answers for this app.
    nginx_answers: bool,
    /// What it says that it serves.
    serving: Option<Color>,
    agrees: bool,
    colors: Vec<ColorStatus>,
    open_switch: Option<SwitchStatus>,
    problems: Vec<Problem>,
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
    fn known(known: Known) -> Self {
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
struct LeaseStatus {
    #[serde(flatten)]
    lease: Lease,
    /// Whether it ends by itself where its host does not keep it.
    expires: bool,
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

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
struct Problem {
    problem: String,
    /// The command that puts it right.
    repair: String,
}

/// Prints it.
pub async fn run(context: &Context, app: App, json: bool) -> eyre::Result<Exit> {
    let status = gather(context, app).await?;
    if json {
        output::json(&status)?;
    } else {
        show(&status);
    }
    Ok(Exit::Done)
}

async fn gather(context: &Context, app: App) -> eyre::Result<Status> {
    let (layout, settings) = (&context.layout, context.settings()?);
    let files = Files::installed(&app, &settings, layout, &install::program()?)?;
    let machine = context.machine(app.clone()).await?;
    let systemd = machine.systemd();
    let facts = machine.facts(&files).await?;
    machine.remember();
    let cursor = match &facts.cursor {
        CursorFact::Is(stored) => Some(CursorStatus {
            cursor: stored.cursor.clone(),
            revision: stored.revision,
            as_of: None,
            age_seconds: None,
        }),
        CursorFact::Unknown { known, .. } => known.clone().map(CursorStatus::known),
        CursorFact::Missing | CursorFact::Broken(_) => None,
    };
    let nginx_answers = facts.nginx.is_ok();
    let serving = facts.nginx.as_ref().copied().unwrap_or_default().color();
    let active = cursor.as_ref().and_then(|cursor| cursor.cursor.active);
    let mut colors = Vec::new();
    for color in Color::BOTH {
        colors.push(gather_color(&app, &settings, systemd, facts.colors.get(color), color, active).await?);
    }
    let problems = drift::differences(&facts).into_iter();
    Ok(Status {
        app: app.name.to_string(),
        url: app.site.to_string(),
        agrees: nginx_answers && serving == active,
        cursor,
        lease: lease(&facts),
        nginx_answers,
        serving,
        colors,
        open_switch: open_switch(context, &app, &facts)?,
        problems: problems
            .map(|difference| Problem {
                problem: difference.what,
                repair: difference.command,
            })
            .collect(),
    })
}

fn lease(facts: &Facts) -> Option<LeaseStatus> {
    let holder = facts.lease.as_ref().ok()?.clone()?;
    Some(LeaseStatus {
        expires: holder.endless.is_none(),
        lease: holder.lease,
    })
}

async fn gather_color(
    app: &App,
    settings: &Settings,
    systemd: &Systemd,
    facts: &ColorFacts,
    color: Color,
    active: Option<Color>,
) -> eyre::Result<ColorStatus> {
    let port = *app.ports.get(color);
    let state = systemd.state(&facts.unit).await?;
    let is_up = state.active == ActiveState::Active;
    let tried = if is_up {
        let (socket, inside) = (&settings.docker.socket, app.run.runtime.inside(port));
        let instance = Instance::of(socket, &app.name, port, inside, &app.health).await;
        Some(instance.once(&app.health.check, app.health.timeout).await)
    } else {
        None
    };
    Ok(ColorStatus {
        color,
        role: if active == Some(color) { "active" } else { "idle" },
        port,
        unit: facts.unit.to_string(),
        state: state.active,
        enabled: facts.unit_file == UnitFile::Enabled,
        release: match &facts.pinned {
            Pin::Release(id) => Some(id.clone()),
            Pin::Nothing | Pin::Broken(_) => None,
        },
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

fn open_switch(context: &Context, app: &App, facts: &Facts) -> eyre::Result<Option<SwitchStatus>> {
    let Some(SwitchFact::Is { open, running }) = &facts.open else {
        return Ok(None);
    };
    let record = Switches::new(&context.layout, &app.name).read(&open.id)?;
    let is_now = |state| matches!(state, StepState::Running | StepState::Undoing | StepState::Failed);
    let step = record
        .steps()
        .into_iter()
        .rev()
        .find(|step| is_now(step.state))
        .map(|step| step.text);
    Ok(Some(SwitchStatus {
        switch: open.id.clone(),
        release: record.head.plan.release,
        step,
        running: *running,
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
    if let Some(lease) = &status.lease {
        output::answer(&format!("lease   held by {}", lease.lease));
    }
    let serving = output::in_color(status.serving, Color::or_none(status.serving));
    output::answer(&match (status.nginx_answers, status.agrees) {
        (false, _) => "nginx   does not answer for this app".to_owned(),
        (true, true) => format!("nginx   {serving}, as the cursor says"),
        (true, false) => format!("nginx   {serving}, not what the cursor says"),
    });
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
    for Problem { problem, repair } in &status.problems {
        output::warning(problem);
        output::progress(&format!("  {}", output::dim(repair)));
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
