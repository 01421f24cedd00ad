//! The nginx site of an app.

use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::name::name;
use super::{Invalid, Listening, Location, Network, PathPrefix, Protocol};

name!(
    /// A name that nginx's `server_name` takes: a host name, with `*` as its first or last label, or `_`.
    ///
    /// Regular expressions (`~...`) are left to the operator's own include folder.
    ServerName,
    check_server_name
);

fn check_server_name(text: &str) -> Result<(), Invalid> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
    if text.is_empty() || text.len() > 253 || !text.chars().all(plain) {
        return Err(Invalid::value(
            "a server name",
            text,
            "it must be a host name, where * may stand for its first or last part",
        ));
    }
    Ok(())
}

/// A TLS certificate with its key, as paths on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate chain, PEM.
    pub certificate: Utf8PathBuf,
    /// Its private key, PEM.
    pub key: Utf8PathBuf,
}

/// What nginx is told about an app, apart from the colors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The host names; never empty (`_` where none was given).
    pub server_names: Vec<ServerName>,
    /// Where it listens; never empty.
    pub listen: Vec<Listening>,
    /// Whether the site answers for names that no site has.
    pub default_server: bool,
    /// The certificate of the addresses that have TLS.
    pub certificate: Option<Certificate>,
    /// Whose word on who asked, and how, is taken.
    pub trusted_proxies: Vec<Network>,
    /// What the app speaks where a location says nothing else.
    pub protocol: Protocol,
    /// Whether answers are read as fast as the app gives them, and kept for slow clients, where a location says nothing else.
    pub buffering: bool,
    /// Paths with settings of their own, none of them twice.
    pub locations: Vec<Location>,
    /// Paths of files of which the other color is asked as well.
    pub shared_paths: Vec<PathPrefix>,
    /// The page for 502, 503 and 504 that nginx itself answers.
    pub error_page: Option<Utf8PathBuf>,
    /// The page for an app of which no release is active yet.
    pub empty_page: Option<Utf8PathBuf>,
    /// Where an ACME client puts its challenges.
    pub acme_root: Option<Utf8PathBuf>,
    /// The largest request body, bytes; 0: no limit.
    pub max_body_size: u64,
    /// The largest line of a request's head, and the largest head of an answer, bytes; a multiple of 4096. 0: as nginx is
    /// set elsewhere.
    pub max_head_size: u64,
    /// The longest silence of the app while it answers, and of an open websocket.
    pub read_timeout: Duration,
    /// The longest time in which the app takes nothing of a request.
    pub send_timeout: Duration,
    /// Folder whose `*.conf` are included in the server block; the operator's own.
    pub include: Utf8PathBuf,
}

impl Site {
    /// Whether users can reach it with TLS.
    pub fn has_tls(&self) -> bool {
        self.listen.iter().any(Listening::has_tls)
    }

    /// Whether a balancer says by the PROXY protocol who asked.
    pub fn has_proxy_protocol(&self) -> bool {
        self.listen
            .iter()
            .any(|listening| listening.proxy_protocol && !listening.redirects())
    }

    /// What a user's request has as `Host`: the first of the names that is one; else what is left of the first pattern
    /// (`*.shop.example`, `.shop.example`) without it. Returns `None` where none says any name, as `_` does.
    pub fn host(&self) -> Option<String> {
        host_of(&self.server_names)
    }
}

fn host_of(names: &[ServerName]) -> Option<String> {
    let names = || names.iter().map(ServerName::as_str).filter(|name| *name != "_");
    let is_plain = |name: &&str| !name.contains('*') && !name.starts_with('.');
    let host = names().find(is_plain).or_else(|| names().next())?;
    let host = host.trim_matches(['*', '.']);
    (!host.is_empty() && !host.contains('*')).then(|| host.to_owned())
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listening = self.listen.iter().find(|listening| !listening.redirects());
        let scheme = if listening.is_some_and(Listening::has_tls) {
            "https"
        } else {
            "http"
        };
        match (self.server_names.first(), listening) {
            (Some(name), Some(listening)) => write!(f, "{scheme}://{name}:{}/", listening.address.port()),
            _ => write!(f, "{scheme}://localhost/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_a_name_that_a_user_would_ask_for() {
        let cases: [(&[&str], Option<&str>); 9] = [
            (&["shop.test"], Some("shop.test")),
            (&["_"], None),
            (&["_", "*.shop.test", "www.shop.test"], Some("www.shop.test")),
            (&["*.shop.test"], Some("shop.test")),
            (&[".shop.test"], Some("shop.test")),
            (&["shop.*"], Some("shop")),
            (&["_", ".shop.test"], Some("shop.test")),
            (&["*"], None),
            (&["a.*.b"], None),
        ];
        for (names, host) in cases {
            let names: Vec<_> = names.iter().map(|name| ServerName::parse(*name).unwrap()).collect();
            assert_eq!(host_of(&names).as_deref(), host, "{names:?}");
        }
    }

    #[test]
    fn server_names_hold_nothing_that_nginx_would_read_as_more() {
        for good in ["example.org", "*.example.org", "_", "localhost"] {
            assert!(ServerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a;", "a{", "~^x", "$host", "a\nb"] {
            assert!(ServerName::parse(bad).is_err(), "{bad}");
        }
    }
}
