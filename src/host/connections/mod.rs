//! Who is connected to a port of this host, and waiting until nobody is.
//!
//! A connection over the loopback interface is two sockets. Counted is the client's: the one whose *remote* end is
//! `127.0.0.1:PORT` (or `::1`). For nginx's connections that is exactly what matters: a request is in flight while nginx
//! holds its connection open, and a socket that the instance has not closed yet after nginx did is nobody's request.
//! A connection that is still being made (`SYN_SENT`) counts as well: a request waits for it.

mod diag;
mod table;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::model::Port;

/// The time between two looks while draining, at least.
const LOOK: Duration = Duration::from_millis(5);

/// The process id of systemd.
const SYSTEMD: u32 = 1;
/// How the name of a unit's control group ends.
const UNIT: &str = ".service";

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// How long it took.
    pub waited: Duration,
    /// How many connections were still open when the time was up; 0: it ended by itself.
    pub cut: usize,
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// Its id and name; none where it runs out of sight, or this process may not look.
    pub process: Option<(u32, String)>,
}

/// How many connections to `port` over the loopback interface there are on this host, by the kernel's `sock_diag`
/// (`sock_diag(7)`), or by `/proc/net/tcp` where that is not to be had. Fails where neither can be read.
pub fn open(port: Port) -> eyre::Result<usize> {
    diag::to_loopback(port).or_else(|error| {
        tracing::debug!("cannot ask sock_diag: {error}; reading /proc/net/tcp instead");
        let sockets = table::read().wrap_err("cannot count connections")?;
        Ok(sockets.iter().filter(|socket| socket.is_client_of(port)).count())
    })
}

/// Waits until no connection to `port` was there for a `settled` moment, for `timeout` at most. `on_change` hears how
/// many are left. Fails where connections cannot be counted.
pub async fn drain(
    port: Port,
    timeout: Duration,
    settled: Duration,
    mut on_change: impl FnMut(usize),
) -> eyre::Result<DrainReport> {
    let began = Instant::now();
    let mut quiet_since = None;
    let mut before = None;
    loop {
        let look = Instant::now();
        let open = open(port)?;
        if before.replace(open) != Some(open) {
            on_change(open);
        }
        if open > 0 {
            quiet_since = None;
        }
        let settled_now = open == 0 && look.duration_since(*quiet_since.get_or_insert(look)) >= settled;
        if settled_now || began.elapsed() >= timeout {
            let waited = began.elapsed();
            return Ok(DrainReport { waited, cut: open });
        }
        // A look costs more where there are more sockets; looking must not become the load.
        tokio::time::sleep(LOOK.max(look.elapsed() * 4)).await;
    }
}

/// Who listens on `port`, on whatever address; none where nobody does. Fails where the host's sockets cannot be read.
pub fn listener(port: Port) -> eyre::Result<Option<Listener>> {
    let sockets = table::read().wrap_err_with(|| format!("cannot tell who listens on port {port}"))?;
    let socket = sockets.iter().find(|socket| socket.listens_on(port));
    Ok(socket.map(|socket| Listener {
        address: socket.local,
        process: table::owner(socket.inode),
    }))
}

/// Who answers on 127.0.0.1:`port`, its id and name, in place of the process `main` and all others of its unit; none where one
/// of them does, or it cannot be told. Fails where the host's sockets cannot be read.
pub fn stranger(port: Port, main: u32) -> eyre::Result<Option<(u32, String)>> {
    let sockets = table::read().wrap_err_with(|| format!("cannot tell who listens on port {port}"))?;
    let answering: Vec<_> = sockets.into_iter().filter(|socket| socket.answers_on(port)).collect();
    if answering.iter().any(|socket| table::owns(main, socket.inode)) {
        return Ok(None);
    }
    let Some(mut group) = table::control_group(main) else {
        return Ok(None);
    };
    // A program to which its group was delegated has groups of its own below the unit's.
    if let Some(end) = group.find(UNIT) {
        group.truncate(end + UNIT.len());
    }
    // What listens for a socket unit is systemd.
    let is_ours =
        |owner: u32| owner == SYSTEMD || table::control_group(owner).is_none_or(|other| other.starts_with(&group));
    let mut stranger = None;
    for socket in answering {
        for owner in table::owners(socket.inode) {
            if is_ours(owner) {
                return Ok(None);
            }
            stranger = Some(table::named(owner));
        }
    }
    Ok(stranger)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SETTLED: Duration = Duration::from_millis(30);

    async fn listen(address: &str) -> (TcpListener, Port) {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Port::new(port).unwrap())
    }

    #[tokio::test]
    async fn both_ways_to_count_see_the_same() {
        for address in ["127.0.0.1", "::1"] {
            let (server, port) = listen(address).await;
            let by_table = || {
                table::read()
                    .unwrap()
                    .iter()
                    .filter(|socket| socket.is_client_of(port))
                    .count()
            };
            assert_eq!((diag::to_loopback(port).unwrap(), by_table()), (0, 0));

            let first = TcpStream::connect((address, port.get())).await.unwrap();
            let second = TcpStream::connect((address, port.get())).await.unwrap();
            assert_eq!((diag::to_loopback(port).unwrap(), by_table()), (2, 2), "{address}");

            let (mut accepted, _) = server.accept().await.unwrap();
            drop(first);
            assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
            let reason = "the server's own end stays open and counts for nothing";
            assert_eq!((diag::to_loopback(port).unwrap(), by_table()), (1, 1), "{reason}");
            drop(second);
        }
    }

    #[tokio::test]
    async fn a_drain_ends_when_the_last_connection_does() {
        const OPEN: Duration = Duration::from_millis(50);
        let (server, port) = listen("127.0.0.1").await;
        let open = TcpStream::connect(("127.0.0.1", port.get())).await.unwrap();
        let mut accepted = server.accept().await.unwrap().0;
        let mut heard = Vec::new();
        let closing = async {
            tokio::time::sleep(OPEN).await;
            drop(open);
            assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
        };
        let (report, ()) = tokio::join!(drain(port, LONG, SETTLED, |left| heard.push(left)), closing);
        let report = report.unwrap();
        assert_eq!((report.cut, heard), (0, vec![1, 0]));
        assert!((OPEN + SETTLED..LONG).contains(&report.waited), "{report:?}");
    }

    #[tokio::test]
    async fn a_drain_that_takes_too_long_says_what_is_cut() {
        let (_server, port) = listen("127.0.0.1").await;
        let _open = TcpStream::connect(("127.0.0.1", port.get())).await.unwrap();
        let short = Duration::from_millis(40);
        let report = drain(port, short, SETTLED, |_| {}).await.unwrap();
        assert!(report.cut == 1 && report.waited >= short, "{report:?}");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_has_a_name_to_it() {
        let (server, port) = listen("127.0.0.1").await;
        let found = listener(port).unwrap().unwrap();
        assert_eq!(found.address, server.local_addr().unwrap());
        assert_eq!(found.process.unwrap().0, std::process::id());
        assert_eq!(stranger(port, std::process::id()).unwrap(), None);
        drop(server);
        assert_eq!(listener(port).unwrap(), None);
    }
}
