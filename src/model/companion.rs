//! Companions: what runs beside the instance of an active color, from the same release and without requests, as a worker of a
//! queue does.

use std::fmt;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use super::name::name;
use super::{Color, Invalid};

name!(
    /// The name of a companion: 1 to 20 of a-z, 0-9 and -, from a letter to a letter or digit. It is part of the names of units and
    /// containers, as in `APP_NAME@COLOR-NUMBER`: no app has a name with `_`, so none of them can be another app's.
    CompanionName,
    check_name
);

name!(
    /// A signal that tells a companion to take no more work, without `SIG`, as in `USR1`: one that a program can handle, and that
    /// means nothing else to systemd or to the engine of its container.
    QuietSignal,
    check_signal
);

/// The most replicas of a companion.
pub const REPLICAS_MAX: u8 = 16;

/// A companion as its release has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// Its name, one in an app.
    pub name: CompanionName,
    /// What runs in the place of the app's own arguments, with placeholders, of which none is a port.
    pub arguments: Vec<String>,
    /// The most memory that each of its replicas may use, bytes.
    pub memory: Option<u64>,
    /// How many of it run at the same time, 1 to [`REPLICAS_MAX`].
    pub replicas: u8,
    /// What it is told to take no more work by, before it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_signal: Option<QuietSignal>,
    /// How long it may take to end by itself after its quiet signal, and again after SIGTERM before it is killed.
    #[serde(with = "duration")]
    pub stop_timeout: Duration,
    /// Whether two generations of it may run at the same time.
    pub overlap: bool,
}

impl Companion {
    /// Its replicas, in order.
    pub fn all(&self) -> impl Iterator<Item = Replica> {
        (1..=self.replicas).map(|number| Replica {
            companion: self.name.clone(),
            number,
        })
    }

    /// The longest that a stop of it takes.
    pub fn patience(&self) -> Duration {
        let quiet = self.quiet_signal.as_ref().map_or(Duration::ZERO, |_| self.stop_timeout);
        self.stop_timeout + quiet
    }
}

/// One of the processes of a companion in a color.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// Of which companion.
    pub companion: CompanionName,
    /// Which of them, from 1 on.
    pub number: u8,
}

impl Replica {
    /// All replicas of `companions`.
    pub fn of(companions: &[Companion]) -> Vec<Self> {
        companions.iter().flat_map(Companion::all).collect()
    }

    /// What it is called in a color, as in the names of its unit and its file: `NAME@COLOR-NUMBER`.
    pub fn named(&self, color: Color) -> String {
        format!("{}@{color}-{}", self.companion, self.number)
    }

    /// Reads what [`Replica::named`] writes; `None` where that is no replica's in `color`.
    pub fn parse_named(text: &str, color: Color) -> Option<Self> {
        let (companion, instance) = text.split_once('@')?;
        Self::parse(companion, instance.strip_prefix(color.as_str())?.strip_prefix('-')?)
    }

    /// Reads `NAME` and `NUMBER`; `None` where they are no replica's.
    pub fn parse(companion: &str, number: &str) -> Option<Self> {
        let companion = CompanionName::parse(companion).ok()?;
        let parsed: u8 = number.parse().ok()?;
        let is_one = (1..=REPLICAS_MAX).contains(&parsed) && parsed.to_string() == number;
        is_one.then_some(Self {
            companion,
            number: parsed,
        })
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.companion, self.number)
    }
}

/// Replicas as in a sentence.
pub fn in_words(replicas: &[Replica]) -> String {
    let all: Vec<_> = replicas.iter().map(ToString::to_string).collect();
    all.join(", ")
}

const NAME_MAX: usize = 20;

fn check_name(text: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-') && text.chars().all(plain);
    if is_name && text.len() <= NAME_MAX {
        return Ok(());
    }
    Err(Invalid::value(
        "the name of a companion",
        text,
        "it must be 20 of a-z, 0-9 and - at most, from a letter to a letter or digit",
    ))
}

const SIGNALS: [&str; 9] = ["HUP", "INT", "QUIT", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "WINCH"];

fn check_signal(text: &str) -> Result<(), Invalid> {
    if SIGNALS.contains(&text) {
        return Ok(());
    }
    Err(Invalid::value(
        "a signal",
        text,
        format!("it must be one of {}", SIGNALS.join(", ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_signals() {
        for good in ["worker", "mail-2", "a"] {
            assert!(CompanionName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Worker",
            "a_b",
            "a@b",
            "-a",
            "a-",
            "1a",
            "a.b",
            "a%i",
            &"a".repeat(21),
        ] {
            assert!(CompanionName::parse(bad).is_err(), "{bad}");
        }
        assert!(QuietSignal::parse("TSTP").is_ok());
        for bad in ["SIGTSTP", "TERM", "KILL", "9", "usr1", ""] {
            assert!(QuietSignal::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn replicas_are_numbered() {
        let read = |name, number| Replica::parse(name, number).map(|replica| replica.to_string());
        assert_eq!(read("worker", "2").as_deref(), Some("worker 2"));
        for bad in ["0", "17", "01", "+1", "x", ""] {
            assert_eq!(read("worker", bad), None, "{bad}");
        }
    }
}
