//! What one instance knows, all of it in memory.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;

use serde::Serialize;

use crate::settings::Settings;
use crate::stories::Stories;

/// Most ids of `POST /echo` that are remembered: bounds the memory to some 100 MB.
const SEEN_LIMIT: usize = 1_000_000;

/// One running instance.
pub struct App {
    /// What the environment said.
    pub settings: Settings,
    /// When this process started.
    pub started: jiff::Timestamp,
    /// What `GET /health` answers.
    pub healthy: Cell<bool>,
    /// The port that is listened on; 0 before that.
    pub port: Cell<u16>,
    /// The stories; each instance starts with the same few.
    pub stories: RefCell<Stories>,
    /// The ids of `POST /echo`.
    pub seen: RefCell<Seen>,
}

impl App {
    /// An instance that does not listen yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            started: jiff::Timestamp::now(),
            healthy: Cell::new(!settings.unhealthy),
            port: Cell::new(settings.listen.port()),
            stories: RefCell::new(Stories::seeded()),
            seen: RefCell::new(Seen::default()),
            settings,
        }
    }

    /// What `GET /api/instance` tells.
    pub fn instance(&self) -> Instance<'_> {
        Instance {
            app: &self.settings.app,
            release: &self.settings.release,
            color: &self.settings.color,
            port: self.settings.host_port.unwrap_or(self.port.get()),
            pid: std::process::id(),
            started: format!("{:.3}", self.started),
            healthy: self.healthy.get(),
        }
    }

    /// Notes the id of a `POST /echo`; fails where the ledger can't be written.
    pub fn note(&self, id: &str) -> Result<(), String> {
        self.seen.borrow_mut().note(id);
        let Some(path) = &self.settings.echo_ledger else {
            return Ok(());
        };
        // One write of one line to a file opened for appending: several instances may share it.
        let line = format!("{id} {}\n", self.settings.release);
        let written = File::options()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// This instance, as the page and `GET /api/instance` show it.
#[derive(Serialize)]
pub struct Instance<'a> {
    /// Name of the app.
    pub app: &'a str,
    /// Name of what runs.
    pub release: &'a str,
    /// `blue`, `green` or `none`.
    pub color: &'a str,
    /// The port that the host knows this instance by.
    pub port: u16,
    /// Process id, in the container's own counting.
    pub pid: u32,
    /// When the process started, RFC 3339 in UTC.
    pub started: String,
    /// What the health check answers.
    pub healthy: bool,
}

/// Which ids came, and which came twice.
#[derive(Default)]
pub struct Seen {
    ids: HashSet<String>,
    doubled: u64,
    forgotten: u64,
}

impl Seen {
    /// Counts one id.
    fn note(&mut self, id: &str) {
        if self.ids.contains(id) {
            self.doubled += 1;
        } else if self.ids.len() < SEEN_LIMIT {
            self.ids.insert(id.to_owned());
        } else {
            self.forgotten += 1;
        }
    }

    /// The counts.
    pub fn report(&self) -> SeenReport {
        SeenReport {
            distinct: self.ids.len(),
            doubled: self.doubled,
            forgotten: self.forgotten,
        }
    }
}

/// What `GET /echo/seen` tells.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct SeenReport {
    /// Number of different ids.
    distinct: usize,
    /// Number of ids that came when they had come before.
    doubled: u64,
    /// Number of ids not remembered, because there were too many: `doubled` may miss some then.
    forgotten: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_comes_again_is_doubled() {
        let mut seen = Seen::default();
        for id in ["a", "b", "a"] {
            seen.note(id);
        }
        assert_eq!(
            seen.report(),
            SeenReport {
                distinct: 2,
                doubled: 1,
                forgotten: 0
            }
        );
    }
}
