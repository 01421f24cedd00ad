//! A release that is staged: it runs in the idle color, proven, and takes no traffic until it is promoted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Color, ReleaseId};

/// What is staged on a host, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Where it runs.
    pub color: Color,
    /// What runs there.
    pub release: ReleaseId,
    /// Since when it is proven.
    pub since: Timestamp,
    /// From when on it is not promoted any more; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The sum of the app's template unit when it was proven; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Staged {
    /// Whether it is not to be promoted any more.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_expires_at_its_end_and_not_before_or_never() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let staged = |until| Staged {
            color: Color::Green,
            release: ReleaseId::numbered(5),
            since: at(100),
            until,
            unit: None,
        };
        assert!(!staged(None).has_expired(at(1_000_000)));
        assert!(!staged(Some(at(200))).has_expired(at(199)));
        assert!(staged(Some(at(200))).has_expired(at(200)));
    }
}
