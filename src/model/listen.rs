//! Where a site listens, and whom it believes.

use std::net::IpAddr;

use super::Invalid;
use super::name::name;

name!(
    /// What nginx's `listen` takes, without its options: a port, `ADDRESS:PORT`, or `[IPV6]:PORT`.
    Listen,
    check_listen
);

name!(
    /// Addresses of proxies: an address, or a network as in `10.0.0.0/8`.
    Network,
    check_network
);

/// What clients get at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// The app.
    Http,
    /// The app, with TLS.
    Https,
    /// The first address with TLS to go to.
    Redirect,
}

/// An address that a site listens on, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address.
    pub address: Listen,
    /// What clients get there.
    pub gives: Gives,
    /// Whether it speaks HTTP/2 as well.
    pub http2: bool,
    /// Whether every connection begins with a head of the PROXY protocol.
    pub proxy_protocol: bool,
}

impl Listening {
    /// Whether it speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.gives == Gives::Https
    }

    /// Whether it only sends clients elsewhere.
    pub fn redirects(&self) -> bool {
        self.gives == Gives::Redirect
    }

    /// An address that speaks HTTP/1.1 and nothing else.
    pub fn plain(address: Listen) -> Self {
        Self {
            address,
            gives: Gives::Http,
            http2: false,
            proxy_protocol: false,
        }
    }
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

/// All addresses are no network to trust: everybody could say who he is.
fn check_network(text: &str) -> Result<(), Invalid> {
    let (address, bits) = text
        .split_once('/')
        .map_or((text, None), |(address, bits)| (address, Some(bits)));
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => 0,
    };
    if bits.map_or(most > 0, |bits| {
        bits.parse().is_ok_and(|bits: u8| (1..=most).contains(&bits))
    }) {
        return Ok(());
    }
    Err(Invalid::value(
        "addresses of proxies",
        text,
        "it must be an address or a network, as in \"10.0.0.0/8\"",
    ))
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
    fn networks() {
        for good in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "192.0.2.1/32"] {
            assert!(Network::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "0.0.0.0/0",
            "::/0",
            "10/8",
            "lb.example",
            "10.0.0.0/8;",
            "::1/129",
            "10.0.0.0/-1",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
