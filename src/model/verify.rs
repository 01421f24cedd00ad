//! What a release must pass, beside its health check, before it takes traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional as optional_duration, required as duration};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Invalid;

/// The most memory of a command that does not say another one, bytes.
pub const VERIFY_MEMORY: u64 = 512 << 20;

/// The longest name that a command without one is called by, characters.
const NAME: usize = 60;

/// The checks of a release, in the order in which they run; the first one that fails ends it.
///
/// Records and plans of versions that knew only commands are read as checks that are commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Recorded")]
pub struct Verify {
    /// What is checked.
    pub checks: Vec<VerifyCheck>,
}

impl Verify {
    /// Commands alone, which share one time limit, and which root runs: before there were other checks no one else could.
    pub fn commands(lines: impl IntoIterator<Item = impl Into<String>>, timeout: Duration) -> Self {
        let check = |line: String| VerifyCheck {
            name: None,
            asks: Asks::Command(VerifyCommand {
                line,
                user: Some("root".to_owned()),
                memory: VERIFY_MEMORY,
            }),
            timeout,
            retries: 0,
        };
        Self {
            checks: lines.into_iter().map(|line| check(line.into())).collect(),
        }
    }
}

/// What is on disk, of this and of every older version.
#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    checks: Vec<VerifyCheck>,
    #[serde(default)]
    commands: Vec<String>,
    #[serde(with = "optional_duration", default)]
    timeout: Option<Duration>,
}

impl From<Recorded> for Verify {
    fn from(recorded: Recorded) -> Self {
        let mut verify = Self::commands(recorded.commands, recorded.timeout.unwrap_or_default());
        verify.checks.extend(recorded.checks);
        verify
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCheck {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub asks: Asks,
    /// How long one try may take, more than zero.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often it is tried again after it failed.
    #[serde(default)]
    pub retries: u32,
}

impl fmt::Display for VerifyCheck {
    /// Its name, else its request or the first line of its command, shortened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.asks) {
            (Some(name), _) => f.write_str(name),
            (None, Asks::Http(request)) => request.fmt(f),
            (None, Asks::Command(VerifyCommand { line, .. })) => {
                let first = line.trim().lines().next().unwrap_or_default();
                let shown: String = first.chars().filter(|c| !c.is_control()).take(NAME).collect();
                f.write_str(&shown)
            }
        }
    }
}

/// What a check does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// A command exits with 0.
    Command(VerifyCommand),
    /// A request to the color's own port is answered as expected.
    Http(Box<HttpAssertion>),
}

/// A command of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyCommand {
    /// For `/bin/sh -c`, without NUL.
    pub line: String,
    /// Who runs it; `None`: a user that there is only for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The most memory of all its processes together, bytes.
    pub memory: u64,
}

/// A request, and all that must be true of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAssertion {
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// The path, from `/` on, with its query.
    pub path: String,
    /// What the request has as `Host`. `None`: the address that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The other headers of the request; one that is empty is not sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The answer has one of these statuses, 100 to 599.
    pub status: BTreeSet<u16>,
    /// The answer has each of these headers with this value; a name in any case, the value as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// The answer's body has this text in it, which is not empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// The answer's body is JSON with each of these values, which are text, numbers or `true` or `false`, at its place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<JsonPointer, Value>,
}

impl HttpAssertion {
    /// Whether the answer's body matters.
    pub fn is_of_body(&self) -> bool {
        self.body_contains.is_some() || !self.json.is_empty()
    }
}

impl fmt::Display for HttpAssertion {
    /// As in `GET /api/stories`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.path)
    }
}

/// The method of a request that changes nothing (RFC 9110, 9.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// With a body in the answer.
    #[default]
    #[serde(rename = "GET")]
    Get,
    /// Without one.
    #[serde(rename = "HEAD")]
    Head,
}

impl Method {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }

    /// Reads what [`Method::as_str`] writes; errors with [`Invalid`] on anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            _ => Err(Invalid::value("a method", text, "it must be GET or HEAD")),
        }
    }
}

/// A place in a JSON document, as in `/stories/0/title` (RFC 6901); never the whole of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JsonPointer(String);

impl JsonPointer {
    /// Errors with [`Invalid`] where `text` does not start with `/`, or has a `~` without 0 or 1 after it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |reason| Err(Invalid::value("a place in JSON", text, reason));
        if !text.starts_with('/') {
            return refuse("it must start with /, as in \"/stories/0/title\" (RFC 6901)");
        }
        if text.chars().any(char::is_control) {
            return refuse("it must be one line");
        }
        if text.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
            return refuse("write ~ as ~0, and / within a name as ~1 (RFC 6901)");
        }
        Ok(Self(text.to_owned()))
    }

    /// What `document` has there; `None` where it has nothing.
    pub fn of<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }
}

impl TryFrom<String> for JsonPointer {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        for good in ["/", "/a", "/a/0/b", "/a~1b~0c", "/a b"] {
            assert!(JsonPointer::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "$.a", "/a~", "/a~2", "/a\n"] {
            assert!(JsonPointer::parse(bad).is_err(), "{bad}");
        }
        let document = serde_json::json!({ "a/b": [1, { "~": true }] });
        let of = |text| JsonPointer::parse(text).unwrap().of(&document).cloned();
        assert_eq!(of("/a~1b/1/~0"), Some(Value::Bool(true)));
        assert_eq!(of("/a~1b/2"), None);
    }

    #[test]
    fn records_of_commands_alone_are_read() {
        let minute = Duration::from_secs(60);
        let old: Verify = serde_json::from_str(r#"{"commands": ["true", "test -e /x"], "timeout": "1m"}"#).unwrap();
        assert_eq!(old, Verify::commands(["true", "test -e /x"], minute));
        let now = serde_json::to_string(&old).unwrap();
        assert_eq!(serde_json::from_str::<Verify>(&now).unwrap(), old);
        assert_eq!(
            serde_json::from_str::<Verify>(r#"{"commands": []}"#).unwrap(),
            Verify::default()
        );
    }

    #[test]
    fn check_is_named_in_one_short_line() {
        let [mut check] = Verify::commands([format!("\n {}\u{1b}\nsecond", "a".repeat(100))], Duration::ZERO)
            .checks
            .try_into()
            .unwrap();
        assert_eq!(check.to_string(), "a".repeat(NAME));
        check.name = Some("stories".to_owned());
        assert_eq!(check.to_string(), "stories");
    }
}
