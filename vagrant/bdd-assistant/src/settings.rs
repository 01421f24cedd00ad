//! What the environment says.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `BGCTL_RELEASE`, else `RELEASE` | name of what runs | `unreleased` |
//! | `BGCTL_APP` | name of the app | `bdd-assistant` |
//! | `BGCTL_COLOR` | `blue` or `green` | `none` |
//! | `BGCTL_PORT` | the port that the host knows this instance by | `PORT` |
//! | `PORT` | port to listen on; 0: any free one | 8080 |
//! | `BIND` | address to listen on | `0.0.0.0` |
//! | `START_DELAY_MS` | listens only after so many milliseconds | 0 |
//! | `EXIT_AT_START` | exits with this code (0 to 255) instead of listening | - |
//! | `UNHEALTHY` | `1`: the health check fails from the start | 0 |
//! | `STOP_LIMIT_MS` | how long requests in flight may take after SIGTERM | 25000 |
//! | `ECHO_LEDGER` | file to which the id of each `POST /echo` is appended, so that several instances can be counted together | - |

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::header::HeaderValue;

/// The environment, validated.
#[derive(Debug)]
pub struct Settings {
    /// Name of what runs.
    pub release: String,
    /// Name of the app.
    pub app: String,
    /// `blue`, `green` or `none`.
    pub color: String,
    /// The port that the host knows this instance by; `None`: the one that is listened on.
    pub host_port: Option<u16>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Time before it listens.
    pub start_delay: Duration,
    /// Exit code to end with instead of listening.
    pub exit_at_start: Option<u8>,
    /// Health fails from the start.
    pub unhealthy: bool,
    /// How long requests in flight may take after SIGTERM.
    pub stop_limit: Duration,
    /// File that collects the ids of `POST /echo`.
    pub echo_ledger: Option<PathBuf>,
}

impl Settings {
    /// Reads the variables through `lookup`; fails with the name of the variable that can't be used.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let color = lookup("BGCTL_COLOR").unwrap_or_else(|| "none".to_owned());
        if !matches!(color.as_str(), "blue" | "green" | "none") {
            return Err(format!("cannot use BGCTL_COLOR={color:?}: neither blue nor green"));
        }
        let release = lookup("BGCTL_RELEASE")
            .or_else(|| lookup("RELEASE"))
            .unwrap_or_else(|| "unreleased".to_owned());
        HeaderValue::from_str(&release)
            .map_err(|_| format!("cannot use release {release:?}: only printable ASCII goes into a header"))?;
        let bind = parsed(&lookup, "BIND", "an address")?.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let port = parsed(&lookup, "PORT", "a port")?.unwrap_or(8080);
        Ok(Self {
            release,
            app: lookup("BGCTL_APP").unwrap_or_else(|| "bdd-assistant".to_owned()),
            color,
            host_port: parsed(&lookup, "BGCTL_PORT", "a port")?,
            listen: SocketAddr::new(bind, port),
            start_delay: milliseconds(&lookup, "START_DELAY_MS")?.unwrap_or_default(),
            exit_at_start: parsed(&lookup, "EXIT_AT_START", "an exit code from 0 to 255")?,
            unhealthy: lookup("UNHEALTHY").is_some_and(|value| value != "0"),
            stop_limit: milliseconds(&lookup, "STOP_LIMIT_MS")?.unwrap_or(Duration::from_secs(25)),
            echo_ledger: lookup("ECHO_LEDGER").map(PathBuf::from),
        })
    }
}

/// A variable as a `T`, where it is set; `what` names the allowed values in the error.
fn parsed<T: FromStr>(lookup: &impl Fn(&str) -> Option<String>, name: &str, what: &str) -> Result<Option<T>, String> {
    lookup(name)
        .map(|value| {
            value
                .parse()
                .map_err(|_| format!("cannot use {name}={value:?}: not {what}"))
        })
        .transpose()
}

/// A variable as a time in milliseconds.
fn milliseconds(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Option<Duration>, String> {
    Ok(parsed(lookup, name, "a number of milliseconds")?.map(Duration::from_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::from_environment(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_fine() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            (settings.release.as_str(), settings.color.as_str()),
            ("unreleased", "none")
        );
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
        assert!(!settings.unhealthy && settings.exit_at_start.is_none());
    }

    #[test]
    fn the_deployers_release_wins_over_the_images() {
        assert_eq!(read(&[("RELEASE", "1.0")]).unwrap().release, "1.0");
        assert_eq!(
            read(&[("RELEASE", "1.0"), ("BGCTL_RELEASE", "r7")]).unwrap().release,
            "r7"
        );
        assert_eq!(
            read(&[("RELEASE", "1.0"), ("BGCTL_RELEASE", "")]).unwrap().release,
            "1.0"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (name, value) in [
            ("PORT", "99999"),
            ("BIND", "everywhere"),
            ("EXIT_AT_START", "256"),
            ("START_DELAY_MS", "1s"),
            ("BGCTL_COLOR", "red"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("cannot use {name}=")), "{error}");
        }
        assert!(read(&[("RELEASE", "a\nX-Evil: 1")]).is_err());
    }
}
