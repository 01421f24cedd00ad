//! Plans of bgctl 0.1.0, whose steps left to the manifest what they hold themselves today.

use serde_json::{Value, json};

use crate::model::{App, Release};

use super::{Plan, Step, promote};

/// Adds to the plan in a journal of 0.1.0, as JSON, the members that its steps lack, so that it can be read as a [`Plan`]. What
/// they say means nothing before [`Plan::complete`]; a plan that was carried out needs no more.
pub fn upgrade(plan: &mut Value) {
    let release = plan.get("release").cloned().unwrap_or_default();
    let steps = plan.get_mut("steps").and_then(Value::as_array_mut);
    for planned in steps.into_iter().flatten() {
        if let Some(step) = planned.get_mut("step") {
            add_missing(step, &release);
        }
        let undo = planned.get_mut("undo").and_then(Value::as_array_mut);
        for step in undo.into_iter().flatten() {
            add_missing(step, &release);
        }
    }
}

fn add_missing(step: &mut Value, release: &Value) {
    let Some(members) = step.as_object_mut() else { return };
    let health = || {
        json!({
            "check": "tcp", "interval": "1s", "timeout": "2s", "deadline": "60s", "healthy_for": "0s"
        })
    };
    let missing = match members.get("do").and_then(Value::as_str) {
        Some("start" | "bake") => vec![("health", health())],
        Some("stop") => vec![("timeout", json!("30s"))],
        Some("verify") => vec![
            ("release", release.clone()),
            ("commands", json!([])),
            ("timeout", json!("60s")),
        ],
        _ => Vec::new(),
    };
    for (name, value) in missing {
        members.entry(name).or_insert(value);
    }
}

impl Plan {
    /// Gives the steps of a plan of 0.1.0 the settings that its worker would have read from the manifest and from `release`,
    /// which is the one that the plan makes active.
    pub fn complete(&mut self, app: &App, release: &Release) {
        for planned in &mut self.steps {
            complete(&mut planned.step, app, release);
            for undo in &mut planned.undo {
                complete(undo, app, release);
            }
        }
    }
}

fn complete(step: &mut Step, app: &App, release: &Release) {
    match step {
        Step::Start { health, .. } | Step::Bake { health, .. } | Step::Await { health, .. } => {
            health.clone_from(&release.health);
        }
        Step::Stop { timeout, .. } => *timeout = app.run.stop_timeout,
        Step::Verify { verify, .. } => verify.clone_from(&app.verify),
        Step::Confirm { health, .. } => *health = promote::expected(app, release),
        Step::Pin { .. }
        | Step::Enable { .. }
        | Step::Disable { .. }
        | Step::Stage { .. }
        | Step::Restage { .. }
        | Step::Unstage { .. }
        | Step::Prove { .. }
        | Step::Revive { .. }
        | Step::Promote { .. }
        | Step::Demote { .. }
        | Step::Defer { .. }
        | Step::Recall
        | Step::StopCompanions { .. }
        | Step::StartCompanions { .. }
        | Step::Route { .. }
        | Step::Hold { .. }
        | Step::Drain { .. } => {}
    }
}
