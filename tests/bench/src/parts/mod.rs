//! What is measured, a file each.

mod drain;
mod flip;
mod footprint;
mod growth;
mod others;
mod overhead;
mod requests;
mod site;

use clap::ValueEnum;

use crate::Effort;
use crate::figure::Figure;

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Requests that fail over many switches
    Requests,
    /// How long the old color still gets requests, and what others notice of a switch
    Flip,
    /// What a whole switch takes beyond what it cannot avoid
    Overhead,
    /// When the old color is stopped after its last request
    Drain,
    /// The same by the article's script and by other proxies
    Others,
    /// Throughput through the rendered site
    Site,
    /// Memory, size and start
    Footprint,
    /// What a thousand other apps change
    Growth,
}

impl Part {
    /// All, in the order in which they run.
    pub const ALL: [Self; 8] = [
        Self::Requests,
        Self::Flip,
        Self::Overhead,
        Self::Drain,
        Self::Others,
        Self::Site,
        Self::Footprint,
        Self::Growth,
    ];

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.value().get_name().to_owned()
    }

    /// What it is about.
    pub fn title(self) -> String {
        self.value().get_help().map(ToString::to_string).unwrap_or_default()
    }

    fn value(self) -> clap::builder::PossibleValue {
        self.to_possible_value().unwrap_or_else(|| "?".into())
    }

    /// Measures it. Fails where something does not work at all.
    pub fn measure(self, effort: Effort) -> eyre::Result<Vec<Figure>> {
        match self {
            Self::Requests => requests::measure(effort),
            Self::Flip => flip::measure(effort),
            Self::Overhead => overhead::measure(effort),
            Self::Drain => drain::measure(effort),
            Self::Others => others::measure(effort),
            Self::Site => site::measure(effort),
            Self::Footprint => footprint::measure(effort),
            Self::Growth => growth::measure(effort),
        }
    }
}
