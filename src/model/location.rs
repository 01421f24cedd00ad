//! Paths of a site with settings of their own.

use std::time::Duration;

use super::Invalid;
use super::name::name;

name!(
    /// How a path begins, as nginx's `location` takes it: decoded, from `/` on, and more than that.
    PathPrefix,
    check_prefix
);

/// What an app speaks with nginx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1, and websockets.
    #[default]
    Http,
    /// gRPC: HTTP/2 without TLS.
    Grpc,
}

/// Settings of all paths that begin with one; the longest that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// How the paths begin.
    pub path: PathPrefix,
    /// What the app speaks there.
    pub protocol: Protocol,
    /// Whether answers are kept for slow clients.
    pub buffering: bool,
    /// The largest request body, bytes; 0: no limit.
    pub max_body_size: u64,
    /// The longest silence of the app while it answers.
    pub read_timeout: Duration,
    /// The longest time in which the app takes nothing of a request.
    pub send_timeout: Duration,
}

/// `location` has no way to write a `$`, and the rest is what ends a word or a line.
fn check_prefix(text: &str) -> Result<(), Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("the beginning of a path", text, reason));
    if !text.starts_with('/') || text == "/" || text.len() > 1000 {
        return refuse("it must start with / and be more than that, as in \"/events\"");
    }
    match text
        .chars()
        .find(|c| c.is_control() || c.is_whitespace() || "$\"\\'?#".contains(*c))
    {
        Some(odd) => refuse(&format!("{odd:?} has no place in it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_paths_as_nginx_decodes_them() {
        for good in ["/events", "/a/b/", "/ü", "/~user", "/a;b{c}"] {
            assert!(PathPrefix::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "events", "/a b", "/$x", "/a\"", "/a\\", "/a?b", "/a\n", "~ /x"] {
            assert!(PathPrefix::parse(bad).is_err(), "{bad}");
        }
    }
}
