//! Who is at work on an app, for all hosts that share its store.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AppName, Invalid, ReleaseId};

/// The longest name of whoever claims an app, bytes; a host name has 64 at most (gethostname(2)).
const LONGEST: usize = 128;

/// Who is at work on an app, and since when. What others wrote is read by [`Claim::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who: `HOST/SWITCH`, as in [`Cursor::moved_by`](super::Cursor::moved_by).
    pub by: String,
    /// What is being done: `switch`, `rollback`.
    pub verb: String,
    /// The release that is to be active; none where that is not known yet.
    pub release: Option<ReleaseId>,
    /// Since when, by that host's clock.
    pub since: jiff::Timestamp,
}

impl Claim {
    /// Reads a claim; fails where it is not one.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        let read: Self = serde_json::from_slice(text).map_err(|error| Invalid::new(error.to_string()))?;
        let is_word = |word: &str, most| (1..=most).contains(&word.len()) && word.chars().all(|c| c.is_ascii_graphic());
        if !is_word(&read.by, LONGEST) || !is_word(&read.verb, LONGEST) {
            return Err(Invalid::new("its words are empty, too long or not printable"));
        }
        Ok(read)
    }
}

/// A claim as it was found, of whichever host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The claim.
    pub claim: Claim,
    /// Its key in etcd, where no etcd lease is attached to that, so that it never expires: no bgctl writes such a one.
    pub endless: Option<String>,
}

impl Holder {
    /// The command that takes away a claim which never expires.
    pub fn delete(&self) -> Option<String> {
        self.endless.as_deref().map(delete)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, endless } = self;
        match endless {
            Some(key) => write!(
                f,
                "{claim}; key {key} has no etcd lease attached, so it never expires: {}",
                delete(key)
            ),
            None => claim.fmt(f),
        }
    }
}

/// What stands in etcd in the place of a claim is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot tell who holds the lease of {app}: key {key} in etcd: {reason}")]
pub struct NoClaim {
    /// The app.
    pub app: AppName,
    /// The key.
    pub key: String,
    /// Why not.
    pub reason: Invalid,
}

impl NoClaim {
    /// The command that takes it away.
    pub fn delete(&self) -> String {
        delete(&self.key)
    }
}

fn delete(key: &str) -> String {
    format!("etcdctl del {key}")
}

impl fmt::Display for Claim {
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

    fn claim() -> Claim {
        Claim {
            by: "web1-0f3a/0007".to_owned(),
            verb: "switch".to_owned(),
            release: Some(ReleaseId::numbered(7)),
            since: "2026-11-23T14:00:00.25Z".parse().unwrap(),
        }
    }

    #[test]
    fn it_tells_who_and_since_when() {
        assert_eq!(
            claim().to_string(),
            "web1-0f3a/0007 (switch to r7) since 2026-11-23T14:00:00Z"
        );
        let early = Claim {
            release: None,
            ..claim()
        };
        assert_eq!(early.to_string(), "web1-0f3a/0007 (switch) since 2026-11-23T14:00:00Z");
    }

    #[test]
    fn what_is_read_is_what_was_written_and_nothing_else() {
        let text = serde_json::to_vec(&claim()).unwrap();
        assert_eq!(Claim::parse(&text).unwrap(), claim());
        let long = Claim {
            by: "x".repeat(LONGEST + 1),
            ..claim()
        };
        let odd = Claim {
            by: "a\u{1b}[2Jb".to_owned(),
            ..claim()
        };
        for wrong in [long, odd] {
            assert!(Claim::parse(&serde_json::to_vec(&wrong).unwrap()).is_err(), "{wrong:?}");
        }
        for wrong in [&b"me"[..], b"", b"{}", b"\xff"] {
            assert!(Claim::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
