//! Images that are pulled: a bar for each layer while somebody watches, one line else.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::model::Staged;
use crate::ops::Progress;
use crate::runtime::docker::PullEvent;

use super::output;

/// The progress of what is about to become active.
pub struct Pulls {
    is_told: bool,
    all: MultiProgress,
    layers: HashMap<String, ProgressBar>,
}

impl Pulls {
    /// With nothing shown yet.
    pub fn new() -> Self {
        let all = MultiProgress::new();
        if !output::is_watched() {
            all.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        Self {
            is_told: output::is_watched(),
            all,
            layers: HashMap::new(),
        }
    }

    /// Shows it.
    pub fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Warning(message) => output::warning(message),
            Progress::Replaces(staged) => output::progress(&replaced(staged)),
            Progress::Pulling { image, event } => {
                if !std::mem::replace(&mut self.is_told, true) {
                    output::progress(&format!("{} pulling {image}", output::dim("image")));
                }
                self.advance(event);
            }
            Progress::Resolved { image, to } => {
                self.clear();
                if to.to_string() != image.as_str() {
                    output::progress(&format!("{} {image} is {to}", output::dim("image")));
                }
            }
        }
    }

    fn advance(&mut self, event: &PullEvent) {
        let (Some(layer), Some(total)) = (&event.layer, event.total) else {
            return;
        };
        let all = &self.all;
        let bar = self
            .layers
            .entry(layer.clone())
            .or_insert_with(|| layer_bar(all, layer));
        bar.set_length(total);
        bar.set_position(event.current.unwrap_or_default());
        bar.set_message(event.status.clone());
    }

    /// What is left of the bars goes.
    pub fn clear(&self) {
        self.layers.values().for_each(ProgressBar::finish_and_clear);
    }
}

fn replaced(staged: &Staged) -> String {
    let Staged { color, release, .. } = staged;
    let age = output::ago(staged.since);
    format!(
        "{} staged release {release} in {color}, staged {age} ago",
        output::dim("replaces")
    )
}

fn layer_bar(all: &MultiProgress, layer: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:12} {bar:30} {bytes:>10}/{total_bytes:10} {msg}");
    let bar = all
        .add(ProgressBar::new(0))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(layer.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
