//! How a switch goes.

use std::time::Duration;

use serde::Deserialize;

/// How the new release takes the place of the old one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Both run beside each other, and traffic moves from one to the other.
    #[default]
    BlueGreen,
    /// The old one is stopped before the new one is started: for data that only one process may open.
    StopFirst {
        /// How long a request that comes in between is held before it is answered with 503; above zero.
        hold: Duration,
    },
}

impl Strategy {
    /// Whether only one color may ever run.
    pub fn is_stop_first(self) -> bool {
        matches!(self, Self::StopFirst { .. })
    }
}

/// The word for a [`Strategy`] in a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyName {
    /// [`Strategy::BlueGreen`].
    #[default]
    BlueGreen,
    /// [`Strategy::StopFirst`].
    StopFirst,
}
