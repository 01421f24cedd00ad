//! Pulling an image with a progress bar: nothing has changed yet.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::model::{DockerSettings, ImageRef, ResolvedImage};
use crate::runtime::docker::{Docker, PullEvent};

use super::output;

/// Pins an image, pulling it where a registry has it.
pub async fn resolve(settings: &DockerSettings, reference: &ImageRef) -> eyre::Result<ResolvedImage> {
    let docker = Docker::connect(&settings.socket).await?;
    let mut bars = Bars::new();
    let mut is_told = output::is_watched();
    let show = &mut |event| {
        if !std::mem::replace(&mut is_told, true) {
            output::progress(&format!("{} pulling {reference}", output::dim("image")));
        }
        bars.show(&event);
    };
    let pinned = docker.resolve(reference, show).await;
    bars.clear();
    let pinned = pinned?;
    if pinned.to_string() != reference.as_str() {
        output::progress(&format!("{} {reference} is {pinned}", output::dim("image")));
    }
    Ok(pinned)
}

/// A bar for each layer; nothing where nobody watches.
struct Bars {
    all: MultiProgress,
    layers: HashMap<String, ProgressBar>,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        if !output::is_watched() {
            all.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        Self {
            all,
            layers: HashMap::new(),
        }
    }

    fn show(&mut self, event: &PullEvent) {
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

    fn clear(&self) {
        self.layers.values().for_each(ProgressBar::finish_and_clear);
    }
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
