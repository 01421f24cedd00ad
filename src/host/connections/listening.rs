//! Where the processes of an instance listen, and whether that is where they are asked.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use eyre::WrapErr as _;
use procfs::ProcError;
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::Process;

use super::table;
use crate::host::process;
use crate::model::Port;

/// Where Docker answers questions for names in a container's own network (dockerd(8), "embedded DNS server").
const EMBEDDED_DNS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// The addresses that an instance listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    addresses: BTreeSet<SocketAddr>,
    /// Whether it has a network of its own, as most containers have.
    is_inside: bool,
}

impl Listening {
    /// Those of the unit or the container of which `main` is a process. Errors where they cannot be read.
    pub fn of(main: u32) -> eyre::Result<Self> {
        let fail = || format!("cannot tell where process {main} listens");
        let process = Process::new(main.try_into().wrap_err_with(fail)?).wrap_err_with(fail)?;
        let is_inside = network(&process).wrap_err_with(fail)? != network(&Process::myself()?)?;
        let sockets = if is_inside { sockets_of(&process) } else { table::read() };
        let listens = |socket: &TcpNetEntry| socket.state == TcpState::Listen;
        let sockets = sockets.wrap_err_with(fail)?.into_iter().filter(listens);
        let own = (!is_inside).then(|| process::sockets_of_unit(main));
        let is_own = |socket: &TcpNetEntry| own.as_ref().is_none_or(|own| own.contains(&socket.inode));
        let addresses = sockets.filter(is_own).map(|socket| socket.local_address);
        let addresses = addresses.filter(|address| address.ip() != EMBEDDED_DNS).collect();
        Ok(Self { addresses, is_inside })
    }

    /// Whether it has the network of the host.
    pub fn is_on_host(&self) -> bool {
        !self.is_inside
    }

    /// Whether who comes from outside to `port` reaches it: over the loopback interface of the host, or that of the container from
    /// the engine's network.
    pub fn reaches(&self, port: Port) -> bool {
        self.addresses.iter().any(|address| {
            let ip = address.ip().to_canonical();
            let is_there = if self.is_inside {
                !ip.is_loopback()
            } else {
                ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST
            };
            is_there && address.port() == port.get()
        })
    }

    /// What is wrong, where it does not listen on `port`: a sentence without its end. Returns `None` where it does.
    pub fn explain(&self, port: Port) -> Option<String> {
        if self.reaches(port) {
            return None;
        }
        let (within, wanted) = if self.is_inside {
            ("in its container ", format!("0.0.0.0:{port}"))
        } else {
            ("", format!("127.0.0.1:{port}"))
        };
        if self.addresses.is_empty() {
            return Some(format!("{within}it listens on no TCP port"));
        }
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        let there = addresses.join(" and ");
        let mut way = "PORT in its environment and {port} in args say the port".to_owned();
        if self.is_inside && self.addresses.iter().all(|address| address.port() != port.get()) {
            way = format!("{way}, or container_port may be another");
        }
        Some(format!("{within}it listens on {there}, and not on {wanted}: {way}"))
    }
}

fn network(process: &Process) -> Result<u64, ProcError> {
    let namespaces = process.namespaces()?;
    let network = namespaces.0.get(std::ffi::OsStr::new("net"));
    network
        .map(|network| network.identifier)
        .ok_or(ProcError::NotFound(None))
}

/// A network without IPv6 has no second file.
fn sockets_of(process: &Process) -> Result<Vec<TcpNetEntry>, ProcError> {
    let mut sockets = process.tcp()?;
    match process.tcp6() {
        Err(ProcError::NotFound(_)) => {}
        v6 => sockets.extend(v6?),
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(is_inside: bool, addresses: &[&str]) -> Listening {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Listening { addresses, is_inside }
    }

    fn port() -> Port {
        Port::new(9001).unwrap()
    }

    #[test]
    fn address_that_is_asked_is_told_from_others() {
        for (is_inside, address, reaches) in [
            (false, "127.0.0.1:9001", true),
            (false, "0.0.0.0:9001", true),
            (false, "[::]:9001", true),
            (false, "[::1]:9001", false),
            (false, "10.0.0.1:9001", false),
            (false, "127.0.0.1:3000", false),
            (true, "0.0.0.0:9001", true),
            (true, "[::]:9001", true),
            (true, "172.17.0.2:9001", true),
            (true, "127.0.0.1:9001", false),
            (true, "0.0.0.0:3000", false),
        ] {
            let listening = listening(is_inside, &[address]);
            assert_eq!(listening.reaches(port()), reaches, "{is_inside} {address}");
            assert_eq!(listening.explain(port()).is_none(), reaches, "{is_inside} {address}");
        }
    }

    #[test]
    fn sockets_that_listen_are_told() {
        let told = |is_inside, addresses: &[&str]| listening(is_inside, addresses).explain(port()).unwrap();
        assert_eq!(told(false, &[]), "it listens on no TCP port");
        let both = told(false, &["[::1]:9001", "127.0.0.1:3000"]);
        assert!(
            both.starts_with("it listens on 127.0.0.1:3000 and [::1]:9001, and not on 127.0.0.1:9001: PORT"),
            "{both}"
        );
        let local = told(true, &["127.0.0.1:9001"]);
        assert!(
            local.starts_with("in its container it listens on 127.0.0.1:9001, and not on 0.0.0.0:9001"),
            "{local}"
        );
        assert!(!local.contains("container_port"), "{local}");
        assert!(told(true, &["0.0.0.0:3000"]).ends_with("or container_port may be another"));
    }

    #[test]
    fn this_process_is_seen() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listening = Listening::of(std::process::id()).unwrap();
        assert!(listening.reaches(Port::new(address.port()).unwrap()), "{listening:?}");
        assert!(!listening.is_inside);
    }
}
