//! State on disk that knows whether it is whole: a version, and a checksum over all that stands before or after it.
//!
//! Three forms, all for people to read as well:
//!
//! | what | form | the checksum is of |
//! |---|---|---|
//! | a record | JSON, `"version"` first and `"sum"` last | all before the comma that precedes `"sum"` |
//! | a line of a journal | JSON on one line, `"sum"` last | the same |
//! | a text for others to read | a comment, `# bgctl state VERSION sum:SUM`, and the text | the version, the end of a line, and all after the first line |
//!
//! A sum is the first 16 hexadecimal digits of the SHA-256. Each kind of file has a version of its own, which whoever writes it
//! names: a file is read in that version and in every older one. Version 1, or none, has no sum; all later ones have.

use std::fmt::{self, Write as _};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{AppName, Hinted};

/// The hexadecimal digits of a sum.
const DIGITS: usize = 16;

/// How the first line of a text starts.
const HEADER: &str = "# bgctl state ";

/// Why state on disk cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not what bgctl wrote.
    #[error("{0}")]
    Damaged(String),
    /// A newer bgctl wrote it.
    #[error("it was written by a newer bgctl: it has version {found}, and this one reads up to {newest}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest one that this program reads.
        newest: u32,
    },
}

impl Unreadable {
    /// The error for an operator; `path` is the file, of `app`.
    pub fn at(&self, path: impl fmt::Display, app: &AppName) -> StateError {
        let error = eyre::Report::new(self.clone()).wrap_err(format!("cannot use {path}"));
        match self {
            Self::Damaged(_) => StateError::Damaged(Hinted::from(error, format!("bgctl repair {app}")).into()),
            Self::Newer { .. } => {
                StateError::Newer(Hinted::from(error, "use the bgctl that wrote it, or a newer one").into())
            }
        }
    }
}

/// Why state could not be read, be it a file of this host or keys in etcd.
#[derive(Debug)]
pub enum StateError {
    /// It is not what bgctl wrote.
    Damaged(eyre::Report),
    /// A newer bgctl wrote it.
    Newer(eyre::Report),
    /// It could not be looked at, which says nothing of what is there.
    Failed(eyre::Report),
}

impl StateError {
    fn report(&self) -> &eyre::Report {
        let (Self::Damaged(error) | Self::Newer(error) | Self::Failed(error)) = self;
        error
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.report(), f)
    }
}

impl From<eyre::Report> for StateError {
    fn from(error: eyre::Report) -> Self {
        Self::Failed(error)
    }
}

impl From<StateError> for eyre::Report {
    fn from(error: StateError) -> Self {
        let (StateError::Damaged(error) | StateError::Newer(error) | StateError::Failed(error)) = error;
        error
    }
}

/// A record of `version` as text.
pub fn record(value: &impl Serialize, version: u32) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Versioned<'a, T> {
        version: u32,
        #[serde(flatten)]
        value: &'a T,
    }
    let text = serde_json::to_string_pretty(&Versioned { version, value })?;
    let body = text.strip_suffix("\n}").unwrap_or(&text);
    let sum = sum(body.as_bytes());
    Ok(format!("{body},\n  \"sum\": \"{sum}\"\n}}\n"))
}

/// Reads what [`record`] wrote, in version `newest` or an older one.
pub fn read_record<T: DeserializeOwned>(bytes: &[u8], newest: u32) -> Result<T, Unreadable> {
    let text = text(bytes)?;
    let sealed = is_sealed(text)?;
    let version = version(text)?;
    allow(version.unwrap_or(1), newest, sealed)?;
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

/// The version that a JSON object says; none where it says none. What else is in it does not matter.
pub fn version(json: &str) -> Result<Option<u32>, Unreadable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: Option<u32>,
    }
    let versioned: Versioned = serde_json::from_str(json).map_err(|error| damaged(&error))?;
    Ok(versioned.version)
}

/// Errors where state of `version` cannot be used by a program that reads up to `newest`; `sealed` says whether it has a sum,
/// and that fits.
pub fn allow(version: u32, newest: u32, sealed: bool) -> Result<(), Unreadable> {
    match version {
        1 if !sealed => Ok(()),
        found if found > newest && sealed => Err(Unreadable::Newer { found, newest }),
        2.. if version <= newest && sealed => Ok(()),
        _ => Err(Unreadable::Damaged(
            "it has no checksum that fits, so it is damaged".to_owned(),
        )),
    }
}

/// A JSON object on one line, with its sum and the end of the line.
pub fn line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut body = serde_json::to_string(value)?;
    body.pop();
    let sum = sum(body.as_bytes());
    Ok(format!("{body},\"sum\":\"{sum}\"}}\n"))
}

/// Whether a JSON object has a sum as its last member; fails where it has one that does not fit.
pub fn is_sealed(json: &str) -> Result<bool, Unreadable> {
    let Some((body, found)) = split(json) else {
        return Ok(false);
    };
    if sum(body.as_bytes()) == found {
        return Ok(true);
    }
    Err(Unreadable::Damaged(
        "its checksum does not fit: it was changed since bgctl wrote it, or it is damaged".to_owned(),
    ))
}

/// What the sum is of, and the sum. No string in JSON holds a quote without a backslash, so the last `"sum"` is a name.
fn split(json: &str) -> Option<(&str, &str)> {
    let (body, rest) = json.rsplit_once("\"sum\"")?;
    let body = body.trim_end().strip_suffix(',')?;
    let quoted = rest.strip_prefix(':')?.trim_end().strip_suffix('}')?.trim();
    let found = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let is_sum = found.len() == DIGITS && found.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then_some((body, found))
}

/// A text of `version` with its sum in a line before it.
pub fn text_with_sum(text: &str, version: u32) -> String {
    format!("{HEADER}{version} sum:{}\n{text}", sum_of_text(version, text))
}

fn sum_of_text(version: u32, text: &str) -> String {
    sum(format!("{version}\n{text}").as_bytes())
}

/// Reads what [`text_with_sum`] wrote, in version `newest` or an older one; whether there is a line with a sum. A text without
/// one is taken as it is.
pub fn read_text(bytes: &[u8], newest: u32) -> Result<(&str, bool), Unreadable> {
    let text = text(bytes)?;
    let Some(rest) = text.strip_prefix(HEADER) else {
        return Ok((text, false));
    };
    let broken = || Unreadable::Damaged("its first line is damaged".to_owned());
    let (line, body) = rest.split_once('\n').ok_or_else(broken)?;
    let (version, found) = line.split_once(" sum:").ok_or_else(broken)?;
    let version = version.parse().map_err(|_| broken())?;
    if sum_of_text(version, body) != found {
        return Err(Unreadable::Damaged(
            "its checksum does not fit: it was changed since bgctl wrote it, or it is damaged".to_owned(),
        ));
    }
    allow(version, newest, true).map(|()| (body, true))
}

/// A text without the line that [`text_with_sum`] puts before it, right or not.
pub fn without_sum(text: &str) -> &str {
    let body = text.starts_with(HEADER).then(|| text.split_once('\n')).flatten();
    body.map_or(text, |(_, body)| body)
}

fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|error| Unreadable::Damaged(format!("it is not text: {error}")))
}

/// Only where: what serde says of a value may show a secret.
fn damaged(error: &serde_json::Error) -> Unreadable {
    let (line, column) = (error.line(), error.column());
    Unreadable::Damaged(format!("it is damaged at line {line}, column {column}"))
}

/// What tells some bytes from others: the first digits of their SHA-256.
pub fn sum(bytes: &[u8]) -> String {
    sha256_hex(bytes).chars().take(DIGITS).collect()
}

/// The SHA-256 of some bytes as hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Thing {
        port: u16,
        text: String,
    }

    fn thing() -> Thing {
        Thing {
            port: 9001,
            text: "\"sum\":\"0\"}".to_owned(),
        }
    }

    #[test]
    fn record_is_read_as_it_was_written() {
        let text = record(&thing(), 2).unwrap();
        let start = "{\n  \"version\": 2,\n  \"port\": 9001,\n  \"text\": ";
        assert!(text.starts_with(start), "{text}");
        assert_eq!(read_record(text.as_bytes(), 2), Ok(thing()));
        let old = serde_json::to_string_pretty(&thing()).unwrap();
        assert_eq!(read_record(old.as_bytes(), 2), Ok(thing()));
        assert_eq!(read_record(b"{\"port\": 7}", 2), Ok(serde_json::json!({"port": 7})));
    }

    #[test]
    fn records_of_a_newer_version_are_told_from_damaged_ones() {
        let newer = |version: u32| {
            let body = format!("{{\"version\":{version}");
            format!("{body},\"sum\":\"{}\"}}\n", sum(body.as_bytes()))
        };
        let read = |text: &str| read_record::<serde_json::Value>(text.as_bytes(), 2);
        assert_eq!(read(&newer(3)), Err(Unreadable::Newer { found: 3, newest: 2 }));
        assert!(matches!(read("{\"version\":3}"), Err(Unreadable::Damaged(_))));
        assert!(matches!(read("{\"version\":2}"), Err(Unreadable::Damaged(_))));
        let sealed = text_with_sum("name = \"shop\"\n", 2);
        assert_eq!(read_text(sealed.as_bytes(), 2), Ok(("name = \"shop\"\n", true)));
        let newer = format!("{HEADER}3 sum:{}\n", sum_of_text(3, ""));
        assert_eq!(
            read_text(newer.as_bytes(), 2),
            Err(Unreadable::Newer { found: 3, newest: 2 })
        );
        assert_eq!(
            Unreadable::Newer { found: 3, newest: 2 }.to_string(),
            "it was written by a newer bgctl: it has version 3, and this one reads up to 2"
        );
    }

    #[test]
    fn error_shows_no_value() {
        let error = read_record::<u32>(b"{\"a\":\"secret\"}", 2).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn older_versions_are_read_by_newer_programs() {
        let text = record(&thing(), 2).unwrap();
        assert_eq!(read_record(text.as_bytes(), 3), Ok(thing()));
        let text = text_with_sum("a = 1\n", 2);
        assert_eq!(read_text(text.as_bytes(), 4), Ok(("a = 1\n", true)));
        assert_eq!(
            read_text(text_with_sum("a = 1\n", 4).as_bytes(), 3),
            Err(Unreadable::Newer { found: 4, newest: 3 })
        );
    }
}
