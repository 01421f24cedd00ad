//! The parts of an nginx site that there may be several of: listen lines, groups of servers, locations.

use std::time::Duration;

use crate::model::{ByColor, Color, Listen, Listening, Location, Network, Port, Protocol, Site};

/// A `listen` of nginx.
#[derive(Debug)]
pub(super) struct ListenLine<'a> {
    pub(super) address: &'a Listen,
    /// What stands behind it, each with a space before.
    pub(super) options: String,
}

pub(super) fn listen_lines(listen: Vec<&Listening>) -> Vec<ListenLine<'_>> {
    let line = |listening: &'_ Listening| {
        // nginx 1.25.1 has a directive of its own for HTTP/2, and still takes the option, which older ones need.
        let options = [
            (listening.has_tls(), " ssl"),
            (listening.http2, " http2"),
            (listening.proxy_protocol, " proxy_protocol"),
        ];
        options
            .into_iter()
            .filter(|(is_on, _)| *is_on)
            .map(|(_, option)| option)
            .collect()
    };
    let lines = listen.into_iter().map(|listening| ListenLine {
        address: &listening.address,
        options: line(listening),
    });
    lines.collect()
}

/// What stands behind the host in the URL that clients without TLS are sent to.
pub(super) fn https_port(site: &Site) -> String {
    let tls = site.listen.iter().find(|listening| listening.has_tls());
    match tls.map(|listening| listening.address.port()) {
        None | Some(443) => String::new(),
        Some(port) => format!(":{port}"),
    }
}

/// Whose word is taken, and on what.
#[derive(Debug)]
pub(super) struct Trust<'a> {
    pub(super) networks: &'a [Network],
    /// The variable with the address that must be one of them: of who holds the connection, or of the client that the PROXY
    /// protocol names, whose headers a balancer of TCP did not look at.
    pub(super) peer: &'static str,
    /// Where the client's address is told.
    pub(super) header: &'static str,
}

impl<'a> Trust<'a> {
    /// Returns `None` where nobody is trusted.
    pub(super) fn of(site: &'a Site) -> Option<Self> {
        let (peer, header) = if site.has_proxy_protocol() {
            ("remote_addr", "proxy_protocol")
        } else {
            ("realip_remote_addr", "X-Forwarded-For")
        };
        let networks = site.trusted_proxies.as_slice();
        (!networks.is_empty()).then_some(Self { networks, peer, header })
    }
}

/// An `upstream` of nginx.
#[derive(Debug)]
pub(super) struct Upstream {
    /// What stands behind the app in its name.
    pub(super) name: &'static str,
    /// The variable that chooses the color.
    pub(super) key: &'static str,
    pub(super) ports: [Port; 2],
}

/// The active color, and where they are needed: the same for HTTP/2, whose connections must not be taken for others; the color
/// that is not active.
pub(super) fn upstreams(site: &Site, ports: ByColor<Port>) -> Vec<Upstream> {
    let [blue, green] = Color::BOTH.map(|color| *ports.get(color));
    let group = |name, key, ports| Upstream { name, key, ports };
    let active = group("active", "bgctl_key", [blue, green]);
    let grpc = speaks_grpc(site).then(|| group("active_grpc", "bgctl_key", [blue, green]));
    let is_shared = !site.shared_paths.is_empty();
    let other = is_shared.then(|| group("other", "bgctl_route_key", [green, blue]));
    [Some(active), grpc, other].into_iter().flatten().collect()
}

pub(super) fn speaks_grpc(site: &Site) -> bool {
    let mut protocols = site
        .locations
        .iter()
        .map(|location| location.protocol)
        .chain([site.protocol]);
    protocols.any(|protocol| protocol == Protocol::Grpc)
}

/// A `location` of nginx, with the one for what the color did not take.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) path: &'a str,
    /// What tells it from others; empty for `/`.
    pub(super) suffix: String,
    pub(super) is_shared: bool,
    pub(super) is_grpc: bool,
    pub(super) buffering: bool,
    /// Of those that have settings of their own, and not those of the server block.
    pub(super) max_body_size: Option<u64>,
    pub(super) read_timeout: String,
    pub(super) send_timeout: String,
}

/// `/` first, then those of the manifest in its order.
pub(super) fn places(site: &Site) -> Vec<Place<'_>> {
    let of_site = |path, is_shared| Place {
        path,
        suffix: String::new(),
        is_shared,
        is_grpc: !is_shared && site.protocol == Protocol::Grpc,
        buffering: site.buffering,
        max_body_size: None,
        read_timeout: time(site.read_timeout),
        send_timeout: time(site.send_timeout),
    };
    let shared = site.shared_paths.iter().map(|path| of_site(path.as_str(), true));
    let others = site.locations.iter().map(own).chain(shared);
    let numbered = (1..).zip(others).map(|(number, place)| Place {
        suffix: format!("_{number}"),
        ..place
    });
    [of_site("/", false)].into_iter().chain(numbered).collect()
}

fn own(location: &Location) -> Place<'_> {
    Place {
        path: location.path.as_str(),
        suffix: String::new(),
        is_shared: false,
        is_grpc: location.protocol == Protocol::Grpc,
        buffering: location.buffering,
        max_body_size: Some(location.max_body_size),
        read_timeout: time(location.read_timeout),
        send_timeout: time(location.send_timeout),
    }
}

/// As nginx reads times: whole seconds where it is some, else milliseconds. Nothing shorter than one of them: 0 would
/// mean that no answer is ever waited for.
pub(super) fn time(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 && !duration.is_zero() {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis().max(1))
    }
}
