//! The lease of an app: which host may move its cursor just now.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AppName, Invalid, ReleaseId};

/// The longest name of a holder, bytes; a host name has 64 at most (gethostname(2)).
const LONGEST: usize = 128;

/// The lease of an app, as its holder writes it. What others wrote is read by [`Lease::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The holder: `HOST/SWITCH`, as in [`Cursor::moved_by`](super::Cursor::moved_by).
    pub by: String,
    /// What is being done: `switch`, `rollback`.
    pub verb: String,
    /// The release that is to be active; `None` if that is not known yet.
    pub release: Option<ReleaseId>,
    /// Since when, by that host's clock.
    pub since: jiff::Timestamp,
}

impl Lease {
    /// Reads a lease. Errors if the text is not one.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let read: Self = serde_json::from_slice(text).map_err(|error| Invalid::new(error.to_string()))?;
        let is_word = |word: &str, most| (1..=most).contains(&word.len()) && word.chars().all(|c| c.is_ascii_graphic());
        if !is_word(&read.by, LONGEST) || !is_word(&read.verb, LONGEST) {
            return Err(Invalid::new("its words are empty, too long or not printable"));
        }
        Ok(read)
    }
}

/// The holder of a lease, as it was found in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The lease.
    pub lease: Lease,
    /// Its key in etcd, where no etcd lease is attached to that, so that it never expires. No bgctl writes such a one.
    pub endless: Option<String>,
}

impl Holder {
    /// The command that takes away a lease which never expires.
    pub fn delete(&self) -> Option<String> {
        self.endless.as_deref().map(delete)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, endless } = self;
        match endless {
            Some(key) => write!(f, "{lease}; key {key} has no etcd lease attached, so it never expires"),
            None => lease.fmt(f),
        }
    }
}

/// What stands under the key of a lease is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell who holds the lease of {app}: key {key} in etcd: {reason}")]
pub struct NotALease {
    /// The app.
    pub app: AppName,
    /// The key.
    pub key: String,
    /// Why not.
    pub reason: Invalid,
}

impl NotALease {
    /// The command that takes it away.
    pub fn delete(&self) -> String {
        delete(&self.key)
    }
}

fn delete(key: &str) -> String {
    format!("etcdctl del {key}")
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            by,
            verb,
            release,
            since,
        } = self;
        let to = release
            .as_ref()
            .map(|release| format!(" to {release}"))
            .unwrap_or_default();
        write!(f, "{by} ({verb}{to}) since {since:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            by: "web1-0f3a/0007".to_owned(),
            verb: "switch".to_owned(),
            release: Some(ReleaseId::numbered(7)),
            since: "2026-11-23T14:00:00.25Z".parse().unwrap(),
        }
    }

    #[test]
    fn it_tells_who_and_since_when() {
        assert_eq!(
            lease().to_string(),
            "web1-0f3a/0007 (switch to r7) since 2026-11-23T14:00:00Z"
        );
        let early = Lease {
            release: None,
            ..lease()
        };
        assert_eq!(early.to_string(), "web1-0f3a/0007 (switch) since 2026-11-23T14:00:00Z");
    }

    #[test]
    fn lease_is_read_as_it_was_written_and_no_other_text_is_one() {
        let text = serde_json::to_vec(&lease()).unwrap();
        assert_eq!(Lease::parse(&text).unwrap(), lease());
        let long = Lease {
            by: "x".repeat(LONGEST + 1),
            ..lease()
        };
        let odd = Lease {
            by: "a\u{1b}[2Jb".to_owned(),
            ..lease()
        };
        for wrong in [long, odd] {
            assert!(Lease::parse(&serde_json::to_vec(&wrong).unwrap()).is_err(), "{wrong:?}");
        }
        for wrong in [&b"me"[..], b"", b"{}", b"\xff"] {
            assert!(Lease::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
