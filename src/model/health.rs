//! How an instance proves that it is healthy.

use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

/// What is asked of an instance on its port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// `GET path` over HTTP answers with the expected status.
    Http {
        /// The path, from `/` on.
        path: String,
        /// The status that means healthy, 100 to 599.
        expect: u16,
    },
    /// The port accepts a connection.
    Tcp,
    /// A program exits with 0; `{port}` in an argument stands for the port.
    Command {
        /// The program, an absolute path.
        program: Utf8PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A check and its times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub check: Check,
    /// The longest time between two tries. The first tries follow each other faster, so that an instance that is ready
    /// at once is seen at once.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How long one try may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long all tries together may take, from the start of the instance.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// How long every try must succeed before the instance counts as healthy; zero: one success is enough.
    #[serde(with = "duration")]
    pub healthy_for: Duration,
}
