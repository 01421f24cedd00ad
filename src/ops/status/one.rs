//! One app in full.

#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::drift::{self, CursorFact, Facts, Pin, StagedFact, SwitchFact};
use crate::host::systemd::UnitState;
use crate::journal::StepState;
use crate::model::{
    ActiveState, App, AppName, Color, Cursor, Known, Lease, Port, ReleaseId, Revision, Route, Runtime, Settings,
    Staged, SwitchId, UnitFile,
};
use crate::ops::Error;
use crate::ops::context::Context;
use crate::ops::install::Files;
use crate::ops::instance::Instance;
use crate::ops::machine::Look;
use crate::ops::visitors::{self, Warning};
use crate::runtime::docker::{Docker, container_name};

use super::companions::{self, CompanionStatus};

/// An app, as it is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub app: String,
    /// Where its site answers.
    pub url: String,
    /// Its cursor; `None` where nothing is known of it.
    pub cursor: Option<CursorStatus>,
    /// Who holds the app's lease just now.
    pub lease: Option<LeaseStatus>,
    /// Whether nginx answers for this app.
    pub nginx_answers: bool,
    /// What it says that it serves.
    pub serving: Option<Color>,
    /// Whether it holds requests until a color runs, see [`Strategy::StopFirst`](crate::model::Strategy).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Whether nginx serves what the cursor says.
    pub agrees: bool,
    /// Both colors.
    pub colors: Vec<ColorStatus>,
    /// The release that is staged.
    pub staged: Option<StagedStatus>,
    /// The switch that is open.
    pub open_switch: Option<SwitchStatus>,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    /// What keeps visitors from the site.
    pub warnings: Vec<Warning>,
}

/// The cursor, as it is known.
#[derive(Debug, Serialize)]
pub struct CursorStatus {
    /// What it says.
    #[serde(flatten)]
    pub cursor: Cursor,
    /// Its revision.
    pub revision: Revision,
    /// When this host last saw it so, where the store does not answer; none: just now.
    pub as_of: Option<jiff::Timestamp>,
    /// How long ago that was.
    pub age_seconds: Option<u64>,
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

/// The lease of the app.
#[derive(Debug, Serialize)]
pub struct LeaseStatus {
    /// The lease.
    #[serde(flatten)]
    pub lease: Lease,
    /// Whether it ends by itself where its host does not keep it.
    pub expires: bool,
}

/// One color.
#[derive(Debug, Serialize)]
pub struct ColorStatus {
    /// Which.
    pub color: Color,
    /// `active`, `staged` or `idle`.
    pub role: &'static str,
    /// Its port.
    pub port: Port,
    /// Its unit.
    pub unit: String,
    /// Its unit's state.
    pub state: ActiveState,
    /// Whether it starts at boot.
    pub enabled: bool,
    /// The release that it runs from its next start on.
    pub release: Option<ReleaseId>,
    /// Since when it is up.
    pub since: Option<jiff::Timestamp>,
    /// How often systemd restarted it since it was started.
    pub restarts: u32,
    /// What one health check said; `None` where it is not up.
    pub health: Option<String>,
    /// Whether that succeeded.
    pub healthy: Option<bool>,
    /// The memory it uses; `None` where that is not known.
    pub memory_bytes: Option<u64>,
    /// Its companions: those that are to run, and those that do.
    pub companions: Vec<CompanionStatus>,
}

/// A release that is staged.
#[derive(Debug, Serialize)]
pub struct StagedStatus {
    /// Where it runs.
    pub color: Color,
    /// Which.
    pub release: ReleaseId,
    /// Since when it is proven.
    pub since: jiff::Timestamp,
    /// From when on it is not promoted any more; `None`: never.
    pub until: Option<jiff::Timestamp>,
    /// Whether that has come.
    pub has_expired: bool,
}

/// The switch that is open.
#[derive(Debug, Serialize)]
pub struct SwitchStatus {
    /// Its id.
    pub switch: SwitchId,
    /// The release that it makes active.
    pub release: ReleaseId,
    /// The step that is under way, or failed last.
    pub step: Option<String>,
    /// Whether a worker runs it.
    pub running: bool,
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// What.
    pub problem: String,
    /// The command that puts it right.
    pub repair: String,
}

/// Looks at an app. Errors where it is not installed.
pub async fn one(context: &Context, name: &AppName) -> Result<Status, Error> {
    let (layout, settings) = (&context.layout, context.settings()?);
    let (app, manifest) = context.installed(name)?;
    let files = Files::installed(&app, &manifest, settings, layout)?;
    let machine = context.machine(app.clone()).await?;
    let look = machine.look(&files).await?;
    machine.remember();
    let facts = &look.facts;
    let cursor = cursor(&facts.cursor);
    let nginx_answers = facts.nginx.is_ok();
    let route = facts.nginx.as_ref().copied().unwrap_or_default();
    let serving = route.color();
    let active = cursor.as_ref().and_then(|cursor| cursor.cursor.active);
    let mut colors = Vec::new();
    for color in Color::BOTH {
        colors.push(gather_color(&app, settings, &look, color, active).await);
    }
    let problems = drift::differences(facts).into_iter();
    Ok(Status {
        app: app.name.to_string(),
        url: app.site.to_string(),
        agrees: nginx_answers && serving == active,
        cursor,
        lease: lease(facts),
        nginx_answers,
        serving,
        held: route == Route::Held,
        colors,
        staged: facts.staged.as_ref().map(staged),
        open_switch: open_switch(&look),
        warnings: visitors::warnings(&app, settings, layout, machine.systemd()).await,
        problems: problems
            .map(|difference| Problem {
                problem: difference.what,
                repair: difference.command,
            })
            .collect(),
    })
}

fn cursor(fact: &CursorFact) -> Option<CursorStatus> {
    match fact {
        CursorFact::Is(stored) => Some(CursorStatus {
            cursor: stored.cursor.clone(),
            revision: stored.revision,
            as_of: None,
            age_seconds: None,
        }),
        CursorFact::Unknown { known, .. } => known.clone().map(CursorStatus::known),
        CursorFact::Missing | CursorFact::Broken(_) => None,
    }
}

fn lease(facts: &Facts) -> Option<LeaseStatus> {
    let holder = facts.lease.as_ref().ok()?.clone()?;
    Some(LeaseStatus {
        expires: holder.endless.is_none(),
        lease: holder.lease,
    })
}

fn staged(fact: &StagedFact) -> StagedStatus {
    let Staged {
        color,
        release,
        since,
        until,
        unit: _,
    } = fact.staged.clone();
    StagedStatus {
        color,
        release,
        since,
        until,
        has_expired: fact.has_expired,
    }
}

fn role(facts: &Facts, color: Color, active: Option<Color>) -> &'static str {
    let is_staged = || facts.staged.as_ref().is_some_and(|fact| fact.staged.color == color);
    if active == Some(color) {
        "active"
    } else if is_staged() {
        "staged"
    } else {
        "idle"
    }
}

async fn gather_color(app: &App, settings: &Settings, look: &Look, color: Color, active: Option<Color>) -> ColorStatus {
    let (facts, state) = (look.facts.colors.get(color), look.units.get(color));
    let companions = facts.companions.iter().zip(look.companions.get(color));
    let port = *app.ports.get(color);
    let is_up = state.active == ActiveState::Active;
    let tried = if is_up {
        let (socket, inside) = (&settings.docker.socket, app.run.runtime.inside(port));
        let instance = Instance::of(socket, &app.name, port, inside, &app.health).await;
        Some(instance.once(&app.health.check, app.health.timeout).await)
    } else {
        None
    };
    ColorStatus {
        color,
        role: role(&look.facts, color, active),
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
            memory(app, settings, port, state).await
        } else {
            None
        },
        companions: companions::gather(companions, active == Some(color)),
    }
}

/// A container's memory is Docker's to tell; not to know it is no reason to fail.
async fn memory(app: &App, settings: &Settings, port: Port, state: &UnitState) -> Option<u64> {
    match app.run.runtime {
        Runtime::Program(_) => state.memory,
        Runtime::Docker(_) => {
            let docker = Docker::connect(&settings.docker.socket).await.ok()?;
            docker.memory(&container_name(&app.name, port)).await.ok().flatten()
        }
    }
}

fn open_switch(look: &Look) -> Option<SwitchStatus> {
    let (Some(record), Some(SwitchFact::Is { running, .. })) = (&look.open, &look.facts.open) else {
        return None;
    };
    let is_now = |state| matches!(state, StepState::Running | StepState::Undoing | StepState::Failed);
    let step = record.steps().into_iter().rev().find(|step| is_now(step.state));
    Some(SwitchStatus {
        switch: record.head.plan.switch.clone(),
        release: record.head.plan.release.clone(),
        step: step.map(|step| step.text),
        running: *running,
    })
}
