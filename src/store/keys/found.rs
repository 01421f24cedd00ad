//! What was found under the keys of a record: whether it is bgctl's, and what it says.

use std::collections::BTreeMap;

use super::{INSTANCE, Keys, MOVED_BY, READ, RELEASE, SHOWN};
use crate::model::{AppName, Color, Cursor, Hinted, ReleaseId, StateError, Unreadable};

/// The longest [`MOVED_BY`], bytes: a host name has 64 at most (gethostname(2)), and what follows it has fewer.
const MOVED_BY_MAX: usize = 256;

/// One key, as etcd has it.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Its name, all of it.
    pub name: &'a [u8],
    /// Its value; empty where that was not asked for.
    pub value: &'a [u8],
    /// The revision that it was created at.
    pub created: i64,
    /// The revision that it was written at last.
    pub modified: i64,
}

/// The keys of one record that are there.
///
/// bgctl writes all eleven in one transaction, so that they are created at one revision, and last written at one. A record is
/// bgctl's where `instance`, `release` and `moved-by` are all there, or where most of the eleven are of one such transaction:
/// so it is still known after some of them were written or deleted by hand, or all were copied one by one from another etcd.
/// Anything else is another program's.
#[derive(Debug, Default)]
pub struct Found {
    keys: BTreeMap<&'static str, One>,
}

#[derive(Debug)]
struct One {
    value: String,
    created: i64,
    modified: i64,
}

impl Found {
    /// Those of `pairs` that belong to the record of `app`.
    pub fn of<'a>(keys: &Keys, app: &AppName, pairs: impl IntoIterator<Item = Key<'a>>) -> Self {
        let record = keys.record(app);
        let name_of = |key: &[u8]| {
            let name = key.strip_prefix(record.as_bytes())?;
            READ.into_iter().chain(SHOWN).find(|known| known.as_bytes() == name)
        };
        let found = pairs.into_iter().filter_map(|key| {
            let one = One {
                // What is not text is not valid either, and is shown as far as it is text.
                value: String::from_utf8_lossy(key.value).into_owned(),
                created: key.created,
                modified: key.modified,
            };
            Some((name_of(key.name)?, one))
        });
        Self { keys: found.collect() }
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether all that is read of a record is there.
    pub fn is_complete(&self) -> bool {
        READ.iter().all(|name| self.keys.contains_key(name))
    }

    /// Whether the record is bgctl's.
    pub fn is_ours(&self) -> bool {
        self.is_complete()
            || self.transaction(|key| key.created).is_some()
            || self.transaction(|key| key.modified).is_some()
    }

    /// The revision of the transaction that most of the eleven keys are of.
    fn transaction(&self, revision: impl Fn(&One) -> i64) -> Option<i64> {
        let mut counts = BTreeMap::new();
        for key in self.keys.values() {
            *counts.entry(revision(key)).or_insert(0) += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.filter(|(_, count)| 2 * count > READ.len() + SHOWN.len())
            .map(|(revision, _)| revision)
    }

    /// Each key of the record of `app` and the revision that it was written at last; 0, which is etcd's own for that, where it
    /// is not there.
    pub fn revisions(&self, keys: &Keys, app: &AppName) -> Vec<(String, i64)> {
        let record = keys.record(app);
        let names = READ.into_iter().chain(SHOWN);
        names
            .map(|name| {
                (
                    format!("{record}{name}"),
                    self.keys.get(name).map_or(0, |key| key.modified),
                )
            })
            .collect()
    }

    /// The keys that bgctl may delete, where the record is its own, and those that it may not: in a record whose
    /// transactions are known, what neither was created nor last written by them was put there by another program.
    pub fn split(&self, keys: &Keys, app: &AppName) -> (Vec<String>, Vec<String>) {
        let record = keys.record(app);
        let (created, modified) = (
            self.transaction(|key| key.created),
            self.transaction(|key| key.modified),
        );
        let is_own = |key: &One| {
            let is_of = |transaction: Option<i64>, revision| transaction == Some(revision);
            (created.is_none() && modified.is_none()) || is_of(created, key.created) || is_of(modified, key.modified)
        };
        let (own, others): (Vec<_>, Vec<_>) = self.keys.iter().partition(|(_, key)| self.is_ours() && is_own(key));
        let whole = |keys: Vec<(&&str, &One)>| keys.into_iter().map(|(name, _)| format!("{record}{name}")).collect();
        (whole(own), whole(others))
    }
}

impl Keys {
    /// The cursor in a record and its revision. Returns `None` if nothing is there. Errors with [`StateError::Failed`], which
    /// names the keys, if they are another program's, and with [`StateError::Damaged`], which names the key, if a value is
    /// missing or not valid.
    pub fn read(&self, app: &AppName, found: &Found) -> Result<Option<(Cursor, i64)>, StateError> {
        if found.is_empty() {
            return Ok(None);
        }
        if !found.is_ours() {
            return Err(StateError::Failed(self.foreign(app, found).into()));
        }
        let get = |name| {
            found
                .keys
                .get(name)
                .ok_or_else(|| self.broken(app, name, &"it is missing"))
        };
        let given = |name| Ok::<_, StateError>(Some(get(name)?.value.clone()).filter(|value| !value.is_empty()));
        let instance = get(INSTANCE)?;
        let active = Color::parse_or_none(&instance.value).map_err(|error| self.broken(app, INSTANCE, &error))?;
        let release = given(RELEASE)?.map(ReleaseId::parse).transpose();
        let release = release.map_err(|error| self.broken(app, RELEASE, &error))?;
        let moved_by = given(MOVED_BY)?;
        if moved_by.as_ref().is_some_and(|by| !can_be_shown(by)) {
            let reason = format!("it is not HOST/SWITCH, one line of at most {MOVED_BY_MAX} bytes");
            return Err(self.broken(app, MOVED_BY, &reason));
        }
        let cursor = Cursor {
            active,
            release,
            moved_by,
        };
        Ok(Some((cursor, instance.modified)))
    }

    fn broken(&self, app: &AppName, name: &str, reason: &impl ToString) -> StateError {
        let record = self.record(app);
        let message = format!("cannot use the cursor of {app} in etcd: key {record}{name}");
        let damaged = Unreadable::Damaged(reason.to_string());
        let hint =
            format!("look at it with `etcdctl get --prefix {record}`; bgctl repair {app} writes there what serves");
        StateError::Damaged(Hinted::from(eyre::Report::new(damaged).wrap_err(message), hint).into())
    }

    fn foreign(&self, app: &AppName, found: &Found) -> Hinted {
        let (prefix, (_, others)) = (&self.prefix, found.split(self, app));
        let (keys, have) = match others.as_slice() {
            [key] => (format!("key {key}"), "belongs"),
            keys => (format!("keys {}", keys.join(", ")), "belong"),
        };
        Hinted::new(
            format!("cannot keep a cursor of {app} below {prefix} in etcd: {keys} {have} to another program"),
            format!(
                "give bgctl keys of its own, prefix = \"{prefix}bgctl/\" in [store] of bgctl.toml, or the app another name"
            ),
        )
    }
}

/// Whether this can be who moved a cursor: people see it, so nothing in it may steer a terminal.
fn can_be_shown(text: &str) -> bool {
    text.len() <= MOVED_BY_MAX && !text.contains(char::is_control)
}
