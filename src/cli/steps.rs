//! The steps of a switch as they go: a line each when it ended, and what runs now where somebody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::journal::{StepState, StepSummary};

use super::output;

/// Shows steps, each once.
pub struct Steps {
    shown: Vec<StepState>,
    is_shown: bool,
    now: Option<ProgressBar>,
}

impl Steps {
    /// With nothing shown yet; shows nothing at all where it is not wanted.
    pub fn new(is_shown: bool) -> Self {
        Self {
            shown: Vec::new(),
            is_shown,
            now: None,
        }
    }

    /// Shows what changed since the last time.
    pub fn show(&mut self, steps: &[StepSummary]) {
        if !self.is_shown {
            return;
        }
        self.shown.resize(steps.len(), StepState::Pending);
        let mut changed = Vec::new();
        for (shown, step) in self.shown.iter_mut().zip(steps) {
            if *shown != step.state {
                *shown = step.state;
                changed.push(step);
            }
        }
        for step in changed {
            self.show_one(step);
        }
    }

    fn show_one(&mut self, step: &StepSummary) {
        let mark = match step.state {
            StepState::Pending => return,
            StepState::Running | StepState::Undoing => return self.spin(step),
            StepState::Done => "ok",
            StepState::Failed => "FAILED",
            StepState::Undone => "undone",
        };
        if let Some(now) = self.now.take() {
            now.finish_and_clear();
        }
        let took = step
            .ms
            .map(|ms| output::duration(Duration::from_millis(ms)))
            .unwrap_or_default();
        let note = step
            .note
            .as_deref()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        let took = if step.state == StepState::Undone {
            String::new()
        } else {
            output::dim(&took)
        };
        output::progress(format!("  {mark:6} {}{note}  {took}", step.text).trim_end());
    }

    fn spin(&mut self, step: &StepSummary) {
        if let Some(now) = self.now.take() {
            now.finish_and_clear();
        }
        if !output::is_watched() {
            return;
        }
        let undo = if step.state == StepState::Undoing { "undo: " } else { "" };
        let style = ProgressStyle::with_template("  {spinner:6} {msg}  {elapsed}");
        let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(format!("{undo}{}", step.text));
        bar.enable_steady_tick(Duration::from_millis(100));
        self.now = Some(bar);
    }
}
