//! Where load may go: this machine, and the containers on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use hyper::Uri;

/// An address that load may go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    address: SocketAddr,
    authority: String,
}

impl Target {
    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Host and port as written in the URL.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "http://{}/", self.authority)
    }
}

impl FromStr for Target {
    type Err = String;

    /// Takes `http://ADDRESS[:PORT]/`; the address is a number or `localhost`, so that no name server decides where
    /// the load goes.
    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("must start with http://".to_owned());
        }
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err("must end after the port: paths are given by --get-path and --post-path".to_owned());
        }
        let authority = uri.authority().ok_or("has no address")?;
        let host = match authority.host() {
            "localhost" => "127.0.0.1",
            host => host.trim_matches(['[', ']']),
        };
        let ip = host
            .parse()
            .map_err(|_| format!("{host:?} is neither an IP address nor localhost (see --host)"))?;
        if !is_own(ip) {
            return Err(format!(
                "{ip} is neither this machine (127.0.0.0/8, ::1) nor a container on it (10/8, 172.16/12)"
            ));
        }
        let address = SocketAddr::new(ip, authority.port_u16().unwrap_or(80));
        Ok(Self {
            address,
            authority: authority.to_string(),
        })
    }
}

/// Whether an address is this machine's loopback, or of the two private ranges that Docker takes its networks from.
fn is_own(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let container = ip.octets().first() == Some(&10)
                || ip.to_bits() & 0xfff0_0000 == Ipv4Addr::new(172, 16, 0, 0).to_bits();
            ip.is_loopback() || container
        }
        IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_its_containers_are_allowed() {
        for (text, address) in [
            ("http://127.0.0.1/", "127.0.0.1:80"),
            ("http://localhost:8000", "127.0.0.1:8000"),
            ("http://[::1]:9001/", "[::1]:9001"),
            ("http://172.17.0.2", "172.17.0.2:80"),
            ("http://172.31.255.255", "172.31.255.255:80"),
            ("http://10.1.2.3:81", "10.1.2.3:81"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().address().to_string(), address);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "https://127.0.0.1/",
            "127.0.0.1",
            "http://example.org/",
            "http://8.8.8.8/",
            "http://172.15.255.255/",
            "http://172.32.0.0/",
            "http://192.168.0.1/",
            "http://0.0.0.0/",
            "http://[::ffff:8.8.8.8]/",
            "http://127.0.0.1/path",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
