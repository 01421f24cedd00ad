//! Finding sockets by the kernel's own socket monitoring, `sock_diag(7)`: it filters by port and state itself, so that
//! the answer is short however many connections a host has.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// The inodes of the TCP sockets whose remote end is `port` on the loopback interface.
pub(super) fn to_loopback(port: Port) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        dump(family, port, &mut inodes)?;
    }
    Ok(inodes)
}

fn dump(family: AddressFamily, port: Port, inodes: &mut BTreeSet<u64>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(family, port), SendFlags::empty())?;
    let mut piece = vec![0; PIECE];
    loop {
        let (length, _) = recv(&socket, piece.as_mut_slice(), RecvFlags::empty())?;
        if read_piece(piece.get(..length).unwrap_or_default(), inodes)? {
            return Ok(());
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

/// Adds the sockets that a piece of a dump names; says whether it was the last piece.
fn read_piece(mut piece: &[u8], inodes: &mut BTreeSet<u64>) -> io::Result<bool> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "sock_diag sent a broken message");
    while !piece.is_empty() {
        let length = u32::from_ne_bytes(array(piece, 0).ok_or_else(broken)?) as usize;
        let kind = u16::from_ne_bytes(array(piece, 4).ok_or_else(broken)?);
        let message = piece.get(HEADER..length).ok_or_else(broken)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = i32::from_ne_bytes(array(message, 0).ok_or_else(broken)?);
                return Err(io::Error::from_raw_os_error(-code));
            }
            _ => {
                let (remote, inode) = socket(message).ok_or_else(broken)?;
                inodes.extend(is_loopback(remote).then_some(inode));
            }
        }
        // Messages begin at multiples of four (netlink(3), NLMSG_ALIGN).
        piece = piece.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The remote address and the inode of a `struct inet_diag_msg`.
fn socket(message: &[u8]) -> Option<(IpAddr, u64)> {
    const REMOTE: usize = 24;
    const INODE: usize = 68;
    let family = u16::from(*message.first()?);
    let remote = if family == AddressFamily::INET.as_raw() {
        Ipv4Addr::from(array::<4>(message, REMOTE)?).into()
    } else {
        Ipv6Addr::from(array::<16>(message, REMOTE)?).into()
    };
    Some((remote, u32::from_ne_bytes(array(message, INODE)?).into()))
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
        let read = |piece: &[u8]| read_piece(piece, &mut BTreeSet::new());
        assert_eq!(read(&refusal).unwrap_err().raw_os_error(), Some(2));
        assert!(read(&refusal[..20]).is_err());
        assert!(read(&[1, 0]).is_err());
        assert!(!read(&[]).unwrap());
    }
}
