//! The host's TCP sockets as `/proc/net/tcp` and `/proc/net/tcp6` tell them (proc(5)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::Port;

const ESTABLISHED: u8 = 0x01;
const SYN_SENT: u8 = 0x02;
const LISTEN: u8 = 0x0A;

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub state: u8,
    pub inode: u64,
}

impl Socket {
    /// Whether it is the client's end of a connection to `port` over the loopback interface, open or being made.
    pub fn is_client_of(&self, port: Port) -> bool {
        matches!(self.state, ESTABLISHED | SYN_SENT)
            && self.remote.port() == port.get()
            && is_loopback(self.remote.ip())
    }

    /// Whether it is one that a connection to 127.0.0.1:`port` can come to.
    pub fn answers_on(&self, port: Port) -> bool {
        let address = self.local.ip().to_canonical();
        self.listens_on(port) && (address.is_unspecified() || address == Ipv4Addr::LOCALHOST)
    }

    /// Whether it waits for connections to `port`.
    pub fn listens_on(&self, port: Port) -> bool {
        self.state == LISTEN && self.local.port() == port.get()
    }
}

/// Whether an address is one of the loopback interface, also as an IPv6 socket sees an IPv4 one (`::ffff:127.0.0.1`).
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// All TCP sockets of this host. A host without IPv6 has no second file.
pub(super) fn read() -> io::Result<Vec<Socket>> {
    let v6 = match fs_err::read_to_string("/proc/net/tcp6") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let mut sockets = parse(&fs_err::read_to_string("/proc/net/tcp")?)?;
    sockets.extend(parse(&v6)?);
    Ok(sockets)
}

fn parse(text: &str) -> io::Result<Vec<Socket>> {
    let broken = |line| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not a line of /proc/net/tcp: {line:?}"),
        )
    };
    let lines = text.lines().skip(1);
    lines.map(|line| parse_line(line).ok_or_else(|| broken(line))).collect()
}

/// `sl local_address rem_address st tx:rx tr:tm->when retrnsmt uid timeout inode ...`
fn parse_line(line: &str) -> Option<Socket> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    Some(Socket {
        local: parse_address(fields.next()?)?,
        remote: parse_address(fields.next()?)?,
        state: u8::from_str_radix(fields.next()?, 16).ok()?,
        inode: fields.nth(5)?.parse().ok()?,
    })
}

/// An address is one or four 32-bit words in hexadecimal, each in the machine's own byte order, and a port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = address.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Id and name of a process that has the socket with this inode open; none where none can be seen.
pub(super) fn owner(inode: u64) -> Option<(u32, String)> {
    owners(inode).next().map(named)
}

/// The processes that have the socket with this inode open, as far as they can be seen.
pub(super) fn owners(inode: u64) -> impl Iterator<Item = u32> {
    let processes = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(move |process| owns(*process, inode))
}

/// Whether a process has the socket with this inode open; not where that cannot be seen.
pub(super) fn owns(process: u32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let files = fs_err::read_dir(format!("/proc/{process}/fd"));
    files
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| fs_err::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()))
}

/// A process with its name.
pub(super) fn named(process: u32) -> (u32, String) {
    let name = fs_err::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    (process, name.trim_end().to_owned())
}

/// The control group of a process, as in `0::/system.slice/shop@9001.service` (cgroups(7)); none where it is gone.
pub(super) fn control_group(process: u32) -> Option<String> {
    let groups = fs_err::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    // The one that systemd keeps is the last, also where others are before it.
    groups.lines().last().map(str::to_owned)
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const V4: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: 0100007F:D2F0 0100007F:2329 01 00000000:00000000 00:00000000 00000000    33        0 4243 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:2329 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 4244 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:D2F2 0100007F:2329 06 00000000:00000000 03:00000F9B 00000000     0        0 0 3 0000000000000000
   4: 0A00000A:D2F4 0B00000A:2329 01 00000000:00000000 00:00000000 00000000    33        0 4245 1 0000000000000000 20 4 30 10 -1
";
    const V6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:D2F6 0000000000000000FFFF00000100007F:2329 02 00000000:00000000 00:00000000 00000000  1000        0 4246 1 0000000000000000 20 4 30 10 -1
   1: 00000000000000000000000001000000:D2F8 00000000000000000000000001000000:2329 01 00000000:00000000 00:00000000 00000000  1000        0 4247 1 0000000000000000 20 4 30 10 -1
";

    #[test]
    fn one_end_of_each_open_connection_counts() {
        let port = Port::new(9001).unwrap();
        let clients = |text| {
            let sockets = parse(text).unwrap();
            let clients = sockets.into_iter().filter(|socket| socket.is_client_of(port));
            clients.map(|socket| socket.inode).collect::<Vec<_>>()
        };
        assert_eq!(
            clients(V4),
            [4243],
            "not the server's end, not TIME_WAIT, not another host's port"
        );
        assert_eq!(clients(V6), [4246, 4247]);
        let listeners: Vec<_> = parse(V4)
            .unwrap()
            .into_iter()
            .filter(|socket| socket.listens_on(port))
            .collect();
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].local.to_string(), "127.0.0.1:9001");
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        assert!(parse("head\n   0: 0100007F 00000000:0000 0A").is_err());
        assert_eq!(parse("").unwrap(), []);
    }
}
