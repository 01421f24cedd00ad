//! The nginx site of an app.

use std::fmt;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::Invalid;
use super::name::name;

name!(
    /// A name that nginx's `server_name` takes: a host name, with `*` as its first or last label, or `_`.
    ///
    /// Regular expressions (`~...`) are left to the operator's own include folder.
    ServerName,
    check_server_name
);

name!(
    /// What nginx's `listen` takes, without its options: a port, `ADDRESS:PORT`, or `[IPV6]:PORT`.
    Listen,
    check_listen
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

fn check_listen(text: &str) -> Result<(), Invalid> {
    let refuse = || {
        Invalid::value(
            "an address to listen on",
            text,
            "it must be PORT, ADDRESS:PORT or [IPV6]:PORT",
        )
    };
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) => (Some(address), port),
        None => (None, text),
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(refuse());
    }
    let good = match address {
        None | Some("*") => true,
        Some(address) => match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => address.parse::<std::net::Ipv4Addr>().is_ok(),
        },
    };
    if good { Ok(()) } else { Err(refuse()) }
}

impl Listen {
    /// The port.
    pub fn port(&self) -> u16 {
        let text = self.as_str();
        text.rsplit_once(':')
            .map_or(text, |(_, port)| port)
            .parse()
            .unwrap_or_default()
    }

    /// The address that a client on this host reaches it by.
    pub fn local_address(&self) -> std::net::IpAddr {
        use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
        let address = self
            .as_str()
            .rsplit_once(':')
            .map(|(address, _)| address.trim_matches(['[', ']']));
        match address.and_then(|address| address.parse::<IpAddr>().ok()) {
            Some(IpAddr::V6(v6)) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            Some(address) if !address.is_unspecified() => address,
            _ => Ipv4Addr::LOCALHOST.into(),
        }
    }
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
    pub listen: Vec<Listen>,
    /// Whether the site answers for names that no site has.
    pub default_server: bool,
    /// With a certificate every address listens with TLS.
    pub certificate: Option<Certificate>,
    /// The largest request body, bytes; 0: no limit.
    pub max_body_size: u64,
    /// The longest silence of the app while it answers, and of an open websocket.
    pub read_timeout: Duration,
    /// The longest time in which the app takes nothing of a request.
    pub send_timeout: Duration,
    /// Folder whose `*.conf` are included in the server block; the operator's own.
    pub include: Utf8PathBuf,
}

impl Site {
    /// What a user's request has as `Host`: the first of the names that is one; else what is left of the first pattern
    /// (`*.shop.example`, `.shop.example`) without it. Returns `None` where none says any name, as `_` does.
    pub fn host(&self) -> Option<String> {
        let names = || {
            self.server_names
                .iter()
                .map(ServerName::as_str)
                .filter(|name| *name != "_")
        };
        let is_plain = |name: &&str| !name.contains('*') && !name.starts_with('.');
        let host = names().find(is_plain).or_else(|| names().next())?;
        let host = host.trim_matches(['*', '.']);
        (!host.is_empty() && !host.contains('*')).then(|| host.to_owned())
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        match (self.server_names.first(), self.listen.first()) {
            (Some(name), Some(listen)) => write!(f, "{scheme}://{name}:{}/", listen.port()),
            _ => write!(f, "{scheme}://localhost/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        let cases = [
            ("80", 80, "127.0.0.1"),
            ("*:8080", 8080, "127.0.0.1"),
            ("0.0.0.0:80", 80, "127.0.0.1"),
            ("127.0.0.2:81", 81, "127.0.0.2"),
            ("[::]:443", 443, "::1"),
            ("[::1]:443", 443, "::1"),
        ];
        for (text, port, address) in cases {
            let listen = Listen::parse(text).unwrap();
            assert_eq!(
                (listen.port(), listen.local_address().to_string().as_str()),
                (port, address),
                "{text}"
            );
        }
        for bad in ["", "0", "80 ssl", "80;", "unix:/x", "::1:80", "example.org:80", "65536"] {
            assert!(Listen::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_that_a_user_would_ask_for() {
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
            let site = Site {
                server_names: names.iter().map(|name| ServerName::parse(*name).unwrap()).collect(),
                listen: Vec::new(),
                default_server: false,
                certificate: None,
                max_body_size: 0,
                read_timeout: Duration::ZERO,
                send_timeout: Duration::ZERO,
                include: Utf8PathBuf::new(),
            };
            assert_eq!(site.host().as_deref(), host, "{names:?}");
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
