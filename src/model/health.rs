//! How an instance proves that it is healthy.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

/// What is asked of an instance on its port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// `GET path` over HTTP answers with the expected status.
    Http(HttpCheck),
    /// The port accepts a connection.
    Tcp,
    /// The `HEALTHCHECK` of the container's image, which runs in the container (Dockerfile(5)).
    Image,
    /// A program exits with 0; `{port}` in an argument stands for the port.
    Command {
        /// The program, an absolute path.
        program: Utf8PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A request, and the answer that means healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// The path, from `/` on.
    pub path: String,
    /// The status that means healthy, 100 to 599.
    pub expect: u16,
    /// What the request has as `Host`. `None`: the address that is asked, as in records of bgctl 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The other headers of the request; one that is empty is not sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl HttpCheck {
    /// Whether a site that asks as `site` says asks the same. What a record of bgctl 0.1.0 does not say it was not asked with.
    pub fn is_asked_by(&self, site: &Self) -> bool {
        let is_old = self.host.is_none() && self.headers.is_empty();
        let is_request = is_old || (&self.host, &self.headers) == (&site.host, &site.headers);
        is_request && (&self.path, self.expect) == (&site.path, site.expect)
    }
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
