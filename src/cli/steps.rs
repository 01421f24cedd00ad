//! The steps of a switch as they go: a line for each when it ended, and what runs now where somebody watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::journal::{Entry, Event, Record};

use super::output;

/// Shows the events of a switch, each once.
pub struct Steps {
    shown: usize,
    is_shown: bool,
    begun: Option<jiff::Timestamp>,
    now: Option<ProgressBar>,
}

impl Steps {
    /// With nothing shown yet; shows nothing at all where it is not wanted.
    pub fn new(is_shown: bool) -> Self {
        Self {
            shown: 0,
            is_shown,
            begun: None,
            now: None,
        }
    }

    /// Shows what happened since the last time.
    pub fn show(&mut self, record: &Record) {
        if self.is_shown {
            for entry in record.entries.iter().skip(self.shown) {
                self.show_one(record, entry);
            }
            self.shown = record.entries.len();
        }
    }

    fn show_one(&mut self, record: &Record, entry: &Entry) {
        let text = |step: usize| record.head.plan.steps.get(step).map(|planned| planned.step.to_string());
        let text = |step: &usize| text(*step).unwrap_or_default();
        match &entry.event {
            Event::Resumed { .. } if self.begun.is_some() => self.line("again", "a worker resumed the switch"),
            Event::Resumed { .. } | Event::Watched { .. } => {}
            Event::Started { step } => self.begin(entry, text(step)),
            Event::UndoStarted { step } => self.begin(entry, format!("undo: {}", text(step))),
            Event::Done { step, note } => {
                let note = note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
                self.end("ok", entry, &format!("{}{note}", text(step)));
            }
            Event::Failed { step, .. } => self.end("FAILED", entry, &text(step)),
            Event::UndoDone { step } => self.end("undone", entry, &text(step)),
            Event::UndoFailed { step, .. } => self.end("FAILED", entry, &format!("undo: {}", text(step))),
            Event::AbortRequested => self.line("abort", "the switch is rolled back"),
        }
    }

    fn begin(&mut self, entry: &Entry, text: String) {
        self.begun = Some(entry.at);
        self.clear();
        if !output::is_watched() {
            return;
        }
        let style = ProgressStyle::with_template("  {spinner:6} {msg}  {elapsed}");
        let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        self.now = Some(bar);
    }

    fn end(&mut self, mark: &str, entry: &Entry, text: &str) {
        let took = self.begun.map(|begun| entry.at.duration_since(begun).unsigned_abs());
        let took = took.map(output::duration).unwrap_or_default();
        self.line(mark, &format!("{text}  {}", output::dim(&took)));
    }

    fn line(&mut self, mark: &str, text: &str) {
        self.clear();
        output::progress(&format!("  {mark:6} {text}"));
    }

    fn clear(&mut self) {
        if let Some(now) = self.now.take() {
            now.finish_and_clear();
        }
    }
}
