//! One switch or rollback: the times of its steps, from the journal that the worker writes.

use std::process::Command;

use eyre::OptionExt as _;
use fs_err as fs;
use serde::Deserialize;

use crate::host::{now, run};

/// What `bgctl switch --json` prints, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Report {
    app: String,
    switch: String,
    outcome: String,
    from: Option<String>,
    to: String,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    step: String,
}

/// The first line of the journal.
#[derive(Debug, Deserialize)]
struct Head {
    opened: jiff::Timestamp,
}

/// A further line of the journal.
#[derive(Debug, Deserialize)]
struct Entry {
    at: jiff::Timestamp,
    event: String,
    step: Option<usize>,
}

/// A switch that was done. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct Switch {
    /// When the command was started.
    pub began: f64,
    /// When the command had ended.
    pub ended: f64,
    /// When its plan was made.
    pub opened: f64,
    report: Report,
    entries: Vec<Entry>,
}

impl Switch {
    /// Runs `bgctl VERB APP` to its end. Fails where the release is not active then.
    pub fn run(verb: &str, app: &str, arguments: &[&str]) -> eyre::Result<Self> {
        let began = now();
        let said = run(Command::new("bgctl").args([verb, app, "--json"]).args(arguments))?;
        let ended = now();
        let report: Report = serde_json::from_str(&said)?;
        eyre::ensure!(report.outcome == "done", "{verb} of {app} did not go well: {said}");
        let path = format!("/var/lib/bgctl/{app}/switches/{}.jsonl", report.switch);
        let text = fs::read_to_string(path)?;
        let mut lines = text.lines();
        let head: Head = serde_json::from_str(lines.next().unwrap_or_default())?;
        let entries = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self {
            began,
            ended,
            opened: ms(head.opened),
            report,
            entries,
        })
    }

    /// From the start of the command to its end.
    pub fn total(&self) -> f64 {
        self.ended - self.began
    }

    /// The color that is active since.
    pub fn to(&self) -> &str {
        &self.report.to
    }

    /// The color that was active before.
    pub fn from(&self) -> &str {
        self.report.from.as_deref().unwrap_or("none")
    }

    /// When its worker took it up.
    pub fn resumed(&self) -> eyre::Result<f64> {
        let entry = self.entries.iter().find(|entry| entry.event == "resumed");
        Ok(ms(entry.ok_or_eyre("no worker took the switch up")?.at))
    }

    /// When a step began.
    pub fn started(&self, verb: &str) -> eyre::Result<f64> {
        self.at(verb, "started")
    }

    /// When a step was done.
    pub fn done(&self, verb: &str) -> eyre::Result<f64> {
        self.at(verb, "done")
    }

    fn at(&self, verb: &str, event: &str) -> eyre::Result<f64> {
        let index = self.report.steps.iter().position(|step| step.step == verb);
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.event == event && entry.step.is_some() && entry.step == index);
        let entry = entry.ok_or_eyre(format!(
            "switch {} of {} has no {verb}",
            self.report.switch, self.report.app
        ))?;
        Ok(ms(entry.at))
    }
}

/// Milliseconds since 1970.
pub fn ms(at: jiff::Timestamp) -> f64 {
    at.as_duration().as_secs_f64() * 1000.0
}
