//! The keys of a cursor in etcd: the layout that anyone can read.
//!
//! | key below `PREFIX/APP/` | value |
//! |---|---|
//! | `instance` | `blue`, `green` or `none`; its `mod_revision` is the cursor's revision |
//! | `port` | port of the active color; `0` for `none`, so that nobody connects to it by mistake |
//! | `url` | `http://127.0.0.1:PORT` of the active color; empty for `none` |
//! | `COLOR/port`, `COLOR/url` | the fixed ones of each color |
//! | `COLOR/status` | `active` or `idle` |
//! | `release` | the release that is active; may be empty |
//! | `moved-by` | who moved the cursor last, `HOST/SWITCH`; empty before the first switch |
//!
//! They are one record: they change together, in one transaction. `claim` is beside them while a host holds the app's lease:
//! [`Lease`](crate::model::Lease) as JSON, with a lease of etcd's. bgctl reads and writes these keys by their names and no
//! others, so that whatever else is kept below the prefix is neither read nor changed. Which records are bgctl's own:
//! [`Found`].

mod found;

use crate::model::{AppName, ByColor, Color, Cursor, Port, ReleaseId};

pub use self::found::{Found, Key};

/// The key whose revision is the cursor's.
const INSTANCE: &str = "instance";
const RELEASE: &str = "release";
const MOVED_BY: &str = "moved-by";

/// The keys whose values bgctl reads.
const READ: [&str; 3] = [INSTANCE, RELEASE, MOVED_BY];

/// The keys of a record that are there for others to read.
const SHOWN: [&str; 8] = [
    "port",
    "url",
    "blue/port",
    "blue/url",
    "blue/status",
    "green/port",
    "green/url",
    "green/status",
];

/// The layout below a prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// The layout below `prefix`, which starts and ends with `/`.
    pub fn below(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// What stands before the keys of `app`.
    pub fn record(&self, app: &AppName) -> String {
        format!("{}{app}/", self.prefix)
    }

    /// The key that a change compares.
    pub fn compared(&self, app: &AppName) -> String {
        self.record(app) + INSTANCE
    }

    /// The key that says who holds the lease of `app`.
    pub fn lease(&self, app: &AppName) -> String {
        self.record(app) + "claim"
    }

    /// The keys of the record of `app` whose values are read.
    pub fn read_ones(&self, app: &AppName) -> impl Iterator<Item = String> {
        self.named(app, &READ)
    }

    /// The other keys of the record of `app`, of which it only matters who wrote them.
    pub fn shown_ones(&self, app: &AppName) -> impl Iterator<Item = String> {
        self.named(app, &SHOWN)
    }

    /// Every key of the record of `app`.
    pub fn all(&self, app: &AppName) -> impl Iterator<Item = String> {
        self.read_ones(app).chain(self.shown_ones(app))
    }

    fn named(&self, app: &AppName, names: &'static [&'static str]) -> impl Iterator<Item = String> + use<> {
        let record = self.record(app);
        names.iter().map(move |name| format!("{record}{name}"))
    }

    /// The whole record of `app`.
    pub fn write(&self, app: &AppName, ports: ByColor<Port>, cursor: &Cursor) -> Vec<(String, String)> {
        let record = self.record(app);
        let url = |port: &Port| format!("http://127.0.0.1:{port}");
        let active = cursor.active.map(|color| ports.get(color));
        let mut pairs = vec![
            (INSTANCE.to_owned(), Color::or_none(cursor.active).to_owned()),
            (
                "port".to_owned(),
                active.map_or_else(|| "0".to_owned(), Port::to_string),
            ),
            ("url".to_owned(), active.map(url).unwrap_or_default()),
            (
                RELEASE.to_owned(),
                cursor.release.as_ref().map(ReleaseId::to_string).unwrap_or_default(),
            ),
            (MOVED_BY.to_owned(), cursor.moved_by.clone().unwrap_or_default()),
        ];
        for color in Color::BOTH {
            let port = ports.get(color);
            let status = if cursor.active == Some(color) { "active" } else { "idle" };
            pairs.push((format!("{color}/port"), port.to_string()));
            pairs.push((format!("{color}/url"), url(port)));
            pairs.push((format!("{color}/status"), status.to_owned()));
        }
        pairs
            .into_iter()
            .map(|(name, value)| (format!("{record}{name}"), value))
            .collect()
    }
}

#[cfg(test)]
mod tests;
