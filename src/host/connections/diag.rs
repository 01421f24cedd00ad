//! Counting sockets by the kernel's own socket monitoring, `sock_diag(7)`: it filters by port and state itself, so that
//! the answer is short however many connections a host has.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::table::is_loopback;
use crate::model::Port;

const HEADER: usize = 16; // struct nlmsghdr (netlink(7))
const REQUEST: usize = 56; // struct inet_diag_req_v2 (sock_diag(7))
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;

/// TCP states as bits: `ESTABLISHED` (1) and `SYN_SENT` (2).
const STATES: u32 = (1 << 1) | (1 << 2);

/// The kernel's dumps come in pieces of at most 32 KiB.
const PIECE: usize = 64 * 1024;

/// How many TCP sockets there are whose remote end is `port` on the loopback interface.
pub(super) fn to_loopback(port: Port) -> io::Result<usize> {
    let families = [AddressFamily::INET, AddressFamily::INET6];
    families.into_iter().map(|family| dump(family, port)).sum()
}

fn dump(family: AddressFamily, port: Port) -> io::Result<usize> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(family, port), SendFlags::empty())?;
    let mut piece = vec![0; PIECE];
    let mut count = 0;
    loop {
        let (length, _) = recv(&socket, piece.as_mut_slice(), RecvFlags::empty())?;
        let (found, done) = read_piece(piece.get(..length).unwrap_or_default())?;
        count += found;
        if done {
            return Ok(count);
        }
    }
}

fn request(family: AddressFamily, port: Port) -> Vec<u8> {
    let length = u32::try_from(HEADER + REQUEST).unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.extend([0; 8]); // sequence, sender
    bytes.extend([u8::try_from(family.as_raw()).unwrap_or_default(), IPPROTO_TCP, 0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.extend([0; 2]); // local port
    bytes.extend(port.get().to_be_bytes()); // remote port
    bytes.resize(HEADER + REQUEST, 0); // addresses, interface, cookie: any
    bytes
}

/// How many sockets a piece of a dump names, and whether it was the last one.
fn read_piece(mut piece: &[u8]) -> io::Result<(usize, bool)> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "sock_diag sent a broken message");
    let mut count = 0;
    while !piece.is_empty() {
        let length = u32::from_ne_bytes(array(piece, 0).ok_or_else(broken)?) as usize;
        let kind = u16::from_ne_bytes(array(piece, 4).ok_or_else(broken)?);
        let message = piece.get(HEADER..length).ok_or_else(broken)?;
        match kind {
            NLMSG_DONE => return Ok((count, true)),
            NLMSG_ERROR => {
                let code = i32::from_ne_bytes(array(message, 0).ok_or_else(broken)?);
                return Err(io::Error::from_raw_os_error(-code));
            }
            _ => count += usize::from(goes_to_loopback(message).ok_or_else(broken)?),
        }
        // Messages begin at multiples of four (netlink(3), NLMSG_ALIGN).
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok((count, false))
}

/// Whether the remote address of a `struct inet_diag_msg` is one of the loopback interface.
fn goes_to_loopback(message: &[u8]) -> Option<bool> {
    const REMOTE: usize = 24;
    let family = u16::from(*message.first()?);
    let address = if family == AddressFamily::INET.as_raw() {
        Ipv4Addr::from(array::<4>(message, REMOTE)?).into()
    } else {
        Ipv6Addr::from(array::<16>(message, REMOTE)?).into()
    };
    Some(is_loopback(address))
}

fn array<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_broken_messages_are_told() {
        let mut refusal = Vec::new();
        refusal.extend(36_u32.to_ne_bytes());
        refusal.extend(NLMSG_ERROR.to_ne_bytes());
        refusal.resize(HEADER, 0);
        refusal.extend((-2_i32).to_ne_bytes());
        refusal.resize(36, 0);
        assert_eq!(read_piece(&refusal).unwrap_err().raw_os_error(), Some(2));
        assert!(read_piece(&refusal[..20]).is_err());
        assert!(read_piece(&[1, 0]).is_err());
        assert_eq!(read_piece(&[]).unwrap(), (0, false));
    }
}
