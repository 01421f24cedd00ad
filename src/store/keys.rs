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
//! `claim` is there while a host is at work on the app: [`Claim`](crate::model::Claim) as JSON, with a lease.
//!
//! The others change together, in one transaction. bgctl itself reads `instance`, `release` and `moved-by`; a record without
//! all three was not written by bgctl.

use std::collections::BTreeMap;

use crate::model::{AppName, ByColor, Color, Cursor, Hinted, Port, ReleaseId, Unreadable};

/// The key whose revision is the cursor's.
const INSTANCE: &str = "instance";
const RELEASE: &str = "release";
const MOVED_BY: &str = "moved-by";

/// The longest [`MOVED_BY`], bytes: a host name has 64 at most (gethostname(2)), and what follows it has fewer.
const MOVER_MAX: usize = 256;

/// Every key of a record, below `PREFIX/APP/`.
const ALL: [&str; 11] = [
    INSTANCE,
    "port",
    "url",
    "blue/port",
    "blue/url",
    "blue/status",
    "green/port",
    "green/url",
    "green/status",
    RELEASE,
    MOVED_BY,
];

/// The layout below a prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

/// The values of a record that bgctl reads, as they were found.
#[derive(Debug, Default)]
pub struct Found {
    /// `instance` and its `mod_revision`.
    instance: Option<(String, i64)>,
    release: Option<String>,
    moved_by: Option<String>,
}

impl Keys {
    /// The layout below `prefix`, which starts and ends with `/`.
    pub fn below(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// What stands before every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What stands before the keys of `app`.
    pub fn record(&self, app: &AppName) -> String {
        format!("{}{app}/", self.prefix)
    }

    /// The key that a change compares.
    pub fn compared(&self, app: &AppName) -> String {
        self.record(app) + INSTANCE
    }

    /// The key that says who is at work on `app`.
    pub(super) fn claim(&self, app: &AppName) -> String {
        self.record(app) + "claim"
    }

    /// Every key of the record of `app`.
    pub fn all(&self, app: &AppName) -> impl Iterator<Item = String> {
        let record = self.record(app);
        ALL.into_iter().map(move |name| format!("{record}{name}"))
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

    /// Sorts what was read below the prefix by app: the records that are complete. Other programs keep keys in etcd
    /// too, under any name.
    pub fn sort<'a>(&self, pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8], i64)>) -> BTreeMap<AppName, Found> {
        let mut records = self.sort_all(pairs);
        records.retain(|_, found| found.instance.is_some() && found.release.is_some() && found.moved_by.is_some());
        records
    }

    /// As [`Keys::sort`], with records that are not complete.
    pub fn sort_all<'a>(&self, pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8], i64)>) -> BTreeMap<AppName, Found> {
        let mut records: BTreeMap<AppName, Found> = BTreeMap::new();
        for (key, value, revision) in pairs {
            let Some((app, name)) = self.split(key) else { continue };
            let found = records.entry(app).or_default();
            // What is not text is not valid either, and is shown as far as it is text.
            let value = String::from_utf8_lossy(value).into_owned();
            match name {
                INSTANCE => found.instance = Some((value, revision)),
                RELEASE => found.release = Some(value),
                MOVED_BY => found.moved_by = Some(value),
                _ => {}
            }
        }
        records
    }

    fn split<'a>(&self, key: &'a [u8]) -> Option<(AppName, &'a str)> {
        let key = std::str::from_utf8(key).ok()?;
        let (app, name) = key.strip_prefix(&self.prefix)?.split_once('/')?;
        Some((AppName::parse(app).ok()?, name))
    }

    /// The cursor in a record and its revision, none where there is none; fails where a value is missing or not valid,
    /// and names its key.
    pub fn read(&self, app: &AppName, found: &Found) -> eyre::Result<Option<(Cursor, i64)>> {
        let record = self.record(app);
        let broken = |name: &str, reason: String| {
            let message = format!("cannot use the cursor of {app} in etcd: key {record}{name}");
            Hinted::from(
                eyre::Report::new(Unreadable::Damaged(reason)).wrap_err(message),
                format!("look at it with `etcdctl get --prefix {record}`; bgctl repair {app} puts there what serves"),
            )
        };
        let Some((instance, revision)) = &found.instance else {
            return Ok(None);
        };
        let active = Color::parse_or_none(instance).map_err(|error| broken(INSTANCE, error.to_string()))?;
        let given = |name, value: &Option<String>| match value {
            Some(value) => Ok(Some(value.clone()).filter(|value| !value.is_empty())),
            None => Err(broken(name, "it is missing".to_owned())),
        };
        let release = given(RELEASE, &found.release)?
            .map(ReleaseId::parse)
            .transpose()
            .map_err(|error| broken(RELEASE, error.to_string()))?;
        let moved_by = given(MOVED_BY, &found.moved_by)?;
        if moved_by.as_ref().is_some_and(|mover| !is_mover(mover)) {
            let reason = format!("it is not HOST/SWITCH, one line of at most {MOVER_MAX} bytes");
            return Err(broken(MOVED_BY, reason).into());
        }
        let cursor = Cursor {
            active,
            release,
            moved_by,
        };
        Ok(Some((cursor, *revision)))
    }
}

/// Whether this can be who moved a cursor: people see it, so nothing in it may steer a terminal.
fn is_mover(text: &str) -> bool {
    text.len() <= MOVER_MAX && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppName {
        AppName::parse("shop").unwrap()
    }

    fn ports() -> ByColor<Port> {
        ByColor {
            blue: Port::new(9001).unwrap(),
            green: Port::new(9002).unwrap(),
        }
    }

    fn green() -> Cursor {
        Cursor {
            active: Some(Color::Green),
            release: Some(ReleaseId::numbered(2)),
            moved_by: Some("host/0002".to_owned()),
        }
    }

    fn shown(cursor: &Cursor) -> String {
        let mut lines: Vec<_> = Keys::below("/")
            .write(&app(), ports(), cursor)
            .into_iter()
            .map(|(key, value)| format!("{key} {value:?}"))
            .collect();
        lines.sort();
        lines.join("\n")
    }

    fn sorted(pairs: &[(String, String)]) -> BTreeMap<AppName, Found> {
        Keys::below("/").sort(pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes(), 7)))
    }

    #[test]
    fn the_layout() {
        insta::assert_snapshot!(shown(&Cursor::default()), @r#"
        /shop/blue/port "9001"
        /shop/blue/status "idle"
        /shop/blue/url "http://127.0.0.1:9001"
        /shop/green/port "9002"
        /shop/green/status "idle"
        /shop/green/url "http://127.0.0.1:9002"
        /shop/instance "none"
        /shop/moved-by ""
        /shop/port "0"
        /shop/release ""
        /shop/url ""
        "#);
        insta::assert_snapshot!(shown(&green()), @r#"
        /shop/blue/port "9001"
        /shop/blue/status "idle"
        /shop/blue/url "http://127.0.0.1:9001"
        /shop/green/port "9002"
        /shop/green/status "active"
        /shop/green/url "http://127.0.0.1:9002"
        /shop/instance "green"
        /shop/moved-by "host/0002"
        /shop/port "9002"
        /shop/release "r2"
        /shop/url "http://127.0.0.1:9002"
        "#);
    }

    #[test]
    fn what_is_written_is_what_is_removed_and_read() {
        let keys = Keys::below("/bgctl/");
        for cursor in [Cursor::default(), green()] {
            let pairs = keys.write(&app(), ports(), &cursor);
            let mut written: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
            let mut all: Vec<_> = keys.all(&app()).collect();
            written.sort();
            all.sort();
            assert_eq!(written, all);
            let records = keys.sort(pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes(), 7)));
            let read = keys.read(&app(), &records[&app()]).unwrap();
            assert_eq!(read, Some((cursor, 7)));
        }
    }

    #[test]
    fn keys_of_others_are_no_records() {
        let pair = |key: &str| (key.to_owned(), "blue".to_owned());
        let foreign = [
            pair("/instance"),
            pair("/registry/instance"),
            pair("/registry/pods/instance"),
            pair("/Not An App/instance"),
            pair("/Not An App/release"),
            pair("/Not An App/moved-by"),
            pair("//instance"),
            pair("/shop/instance"),
            pair("/shop/port"),
            pair("elsewhere"),
        ];
        assert!(sorted(&foreign).is_empty());
        assert!(
            Keys::below("/")
                .sort([(&b"/shop\xff/instance"[..], &b"blue"[..], 1)])
                .is_empty()
        );
    }

    #[test]
    fn what_is_not_valid_is_named_by_its_key() {
        let error = |name: &str, value: Option<&str>| {
            let keys = Keys::below("/");
            let mut pairs = keys.write(&app(), ports(), &green());
            let key = keys.record(&app()) + name;
            match value {
                Some(value) => pairs
                    .iter_mut()
                    .filter(|pair| pair.0 == key)
                    .for_each(|pair| pair.1 = value.to_owned()),
                None => pairs.retain(|pair| pair.0 != key),
            }
            let records = keys.sort_all(pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes(), 7)));
            keys.read(&app(), &records[&app()]).map_err(|error| error.to_string())
        };
        insta::assert_snapshot!(error("instance", Some("purple")).unwrap_err(), @r#"cannot use the cursor of shop in etcd: key /shop/instance: cannot use "purple" as a color: it is not blue, green or none"#);
        insta::assert_snapshot!(error("release", Some("../x")).unwrap_err(), @r#"cannot use the cursor of shop in etcd: key /shop/release: cannot use "../x" as the name of a release: it must start with a letter or digit"#);
        insta::assert_snapshot!(error("release", None).unwrap_err(), @"cannot use the cursor of shop in etcd: key /shop/release: it is missing");
        assert_eq!(error("instance", None), Ok(None));
    }
}
