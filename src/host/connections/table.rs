//! The host's TCP sockets as `/proc/net/tcp` and `/proc/net/tcp6` tell them (proc(5)).

use std::net::{IpAddr, Ipv4Addr};

use procfs::ProcError;
use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};

use crate::model::Port;

/// All TCP sockets of this host. A host without IPv6 has no second file.
pub(super) fn read() -> Result<Vec<TcpNetEntry>, ProcError> {
    let mut sockets = tcp()?;
    match tcp6() {
        Err(ProcError::NotFound(_)) => {}
        v6 => sockets.extend(v6?),
    }
    Ok(sockets)
}

/// Whether a socket is the client's end of a connection to `port` over the loopback interface, open or being made.
pub(super) fn is_client_of(socket: &TcpNetEntry, port: Port) -> bool {
    matches!(socket.state, TcpState::Established | TcpState::SynSent)
        && socket.remote_address.port() == port.get()
        && is_loopback(socket.remote_address.ip())
}

/// Whether a socket is one that a connection to 127.0.0.1:`port` can come to.
pub(super) fn answers_on(socket: &TcpNetEntry, port: Port) -> bool {
    let address = socket.local_address.ip().to_canonical();
    listens_on(socket, port) && (address.is_unspecified() || address == Ipv4Addr::LOCALHOST)
}

/// Whether a socket waits for connections to `port`.
pub(super) fn listens_on(socket: &TcpNetEntry, port: Port) -> bool {
    socket.state == TcpState::Listen && socket.local_address.port() == port.get()
}

/// Whether an address is one of the loopback interface, also as an IPv6 socket sees an IPv4 one (`::ffff:127.0.0.1`).
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
