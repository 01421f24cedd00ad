//! Sizes, times and other numbers.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::value;
use crate::model::{Invalid, Port};

/// An amount of bytes, as in `256M` or `1048576`; the letters mean powers of 1024, as Docker, nginx and systemd read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub(in crate::config) u64);

/// A time as in `30s`, `2m` or `500ms`: whole milliseconds, 7 days at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Time(pub(in crate::config) Duration);

/// The longest time: beyond it nginx and systemd begin to differ, and nobody waits so long.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn parse_size(text: &str) -> Result<u64, Invalid> {
    let refuse = |reason| Invalid::value("a size", text, reason);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.strip_prefix(digits).unwrap_or_default() {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return Err(refuse("write bytes, or a number with K, M or G, as in \"256M\"")),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refuse("write bytes, or a number with K, M or G, as in \"256M\""));
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        // Docker and nginx count in signed 64-bit numbers.
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| refuse("it is too large"))
}

/// Reads a time as in `30s`, `2m` or `500ms`. Errors for another text, for parts of a millisecond, and beyond 7 days.
pub fn parse_time(text: &str) -> Result<Duration, Invalid> {
    let refuse = |reason: &str| Invalid::value("a time", text, reason);
    let time = jiff::fmt::friendly::SpanParser::new()
        .parse_unsigned_duration(text)
        .map_err(|_| refuse("write a number with its unit, as in \"30s\", \"2m\" or \"500ms\""))?;
    if time.subsec_nanos() % 1_000_000 != 0 {
        return Err(refuse("a millisecond is the smallest unit"));
    }
    if time > TIME_MAX {
        return Err(refuse("7 days is the most"));
    }
    Ok(time)
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, as in \"256M\", or a number of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        parse_size(text).map(Size).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        parse_size(&bytes.to_string()).map(Size).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time with its unit in quotes, as in \"30s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        parse_time(text).map(Time).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimeVisitor)
    }
}

value!(
    /// A port.
    PortNumber(Port), i64, parse_port
);
value!(
    /// An HTTP status.
    Status(u16), i64, parse_status
);

fn parse_port(number: i64) -> Result<Port, Invalid> {
    u16::try_from(number)
        .ok()
        .and_then(|number| Port::new(number).ok())
        .ok_or_else(|| Invalid::value("a port", number, "ports are 1 to 65535"))
}

pub(super) fn parse_status(number: i64) -> Result<u16, Invalid> {
    u16::try_from(number)
        .ok()
        .filter(|status| (100..=599).contains(status))
        .ok_or_else(|| Invalid::value("an HTTP status", number, "it must be 100 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("0", 0),
            ("4096", 4096),
            ("10m", 10 << 20),
            ("256M", 256 << 20),
            ("1G", 1 << 30),
            ("8k", 8192),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "M",
            "-1",
            "+1",
            "1.5G",
            "1 G",
            "1T",
            "10MB",
            "9223372036854775808",
            "99999999999G",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        let cases = [
            ("0s", 0),
            ("30s", 30_000),
            ("2m", 120_000),
            ("500ms", 500),
            ("1h 30m", 5_400_000),
            ("1.5s", 1500),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "30", "-1s", "1s ago", "1 month", "soon", "1us", "8 days", "200h"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_port(65535).unwrap().get(), 65535);
        for bad in [-1, 0, 65536] {
            assert!(parse_port(bad).is_err(), "{bad}");
        }
        for bad in [0, 99, 600, -200] {
            assert!(parse_status(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_status(204), Ok(204));
    }
}
