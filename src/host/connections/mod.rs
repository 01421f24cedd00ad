//! Who is connected to a port of this host, and waiting until nobody is.
//!
//! A connection over the loopback interface is two sockets. The client's is looked at: the one whose *remote* end is
//! `127.0.0.1:PORT` (or `::1`). For nginx's connections that is exactly what matters: a request is in flight while nginx
//! holds its connection open, and a socket that the instance has not closed yet after nginx did is nobody's request.
//! A connection that is still being made (`SYN_SENT`) counts as well: a request waits for it. Other clients (a metrics scraper
//! that keeps its connection) are reported, and not waited for.

mod diag;
mod listening;
mod owners;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eyre::WrapErr as _;
use procfs::net::TcpNetEntry;

pub use self::listening::Listening;
use self::owners::Owners;
use super::process;
use crate::model::Port;

/// The time between two looks while draining, at least.
const LOOK: Duration = Duration::from_millis(5);

/// The process id of systemd.
const SYSTEMD: u32 = 1;

/// How a drain ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// How long it took.
    pub waited: Duration,
    /// How many connections were still open when the time was up; 0: it ended by itself.
    pub cut: usize,
    /// Who still holds connections that were not waited for, as far as it was found out.
    pub others: Vec<Holder>,
}

/// A process that holds connections. Its `Display` says so, as in `prometheus (process 812) still holds 1 connection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// How many.
    pub connections: usize,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            name,
            connections,
        } = self;
        let plural = if *connections == 1 { "" } else { "s" };
        write!(
            f,
            "{name} (process {process}) still holds {connections} connection{plural}"
        )
    }
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// Its id and name; `None` where they cannot be seen.
    pub process: Option<(u32, String)>,
}

/// The inodes of the sockets that are connected to `port` over the loopback interface of this host, by the kernel's `sock_diag`
/// (`sock_diag(7)`), or by `/proc/net/tcp` where that is not to be had. Errors where neither can be read.
fn clients(port: Port) -> eyre::Result<BTreeSet<u64>> {
    diag::to_loopback(port).or_else(|error| {
        tracing::debug!("cannot ask sock_diag: {error}; reading /proc/net/tcp instead");
        let sockets = table::read().wrap_err("cannot count connections")?;
        let clients = sockets.iter().filter(|socket| table::is_client_of(socket, port));
        Ok(clients.map(|socket| socket.inode).collect())
    })
}

/// Waits until there has been no connection to `port` for the time `settled`, for `timeout` at most. It waits for connections of
/// processes for which `counts` returns `true`, and for those whose process is not known. `on_change` gets the number that is
/// left. Errors if connections cannot be counted.
pub async fn drain(
    port: Port,
    timeout: Duration,
    settled: Duration,
    counts: impl Fn(u32) -> bool,
    mut on_change: impl FnMut(usize),
) -> eyre::Result<DrainReport> {
    let began = Instant::now();
    let mut owners = Owners::new(counts);
    let mut quiet_since = None;
    let mut before = None;
    loop {
        let look = Instant::now();
        let open = owners.count(&clients(port)?).await;
        if before.replace(open) != Some(open) {
            on_change(open);
        }
        if open > 0 {
            quiet_since = None;
        }
        let settled_now = open == 0 && look.duration_since(*quiet_since.get_or_insert(look)) >= settled;
        if settled_now || began.elapsed() >= timeout {
            return Ok(DrainReport {
                waited: began.elapsed(),
                cut: open,
                others: owners.holders(),
            });
        }
        // A look costs more where there are more sockets; looking must not become the load.
        tokio::time::sleep(LOOK.max(look.elapsed() * 4)).await;
    }
}

/// A process that listens on `port`, on whatever address. Returns `None` if none does. Errors if the host's sockets cannot be
/// read.
pub fn listener(port: Port) -> eyre::Result<Option<Listener>> {
    Ok(listeners(port)?.into_iter().next())
}

/// Those who listen on `port`, on whatever address, one for each socket. Errors if the host's sockets cannot be read.
pub fn listeners(port: Port) -> eyre::Result<Vec<Listener>> {
    let sockets = table::read().wrap_err_with(|| format!("cannot tell who listens on port {port}"))?;
    let listening = sockets.iter().filter(|socket| table::listens_on(socket, port));
    let listener = |socket: &TcpNetEntry| Listener {
        address: socket.local_address,
        process: process::owners(&BTreeSet::from([socket.inode]))
            .first()
            .map(|(_, process)| named(*process)),
    };
    Ok(listening.map(listener).collect())
}

/// The id and name of the process that listens on 127.0.0.1:`port` where that is neither `main` nor another process of its unit.
/// Returns `None` if it is one of these, or cannot be found out. Errors if the host's sockets cannot be read.
pub fn other_listener(port: Port, main: u32) -> eyre::Result<Option<(u32, String)>> {
    let sockets = table::read().wrap_err_with(|| format!("cannot tell who listens on port {port}"))?;
    let answering = sockets.iter().filter(|socket| table::answers_on(socket, port));
    let answering: BTreeSet<_> = answering.map(|socket| socket.inode).collect();
    if process::sockets(main).any(|inode| answering.contains(&inode)) {
        return Ok(None);
    }
    let Some(group) = process::unit_group(main) else {
        return Ok(None);
    };
    // What listens for a socket unit is systemd.
    let is_ours =
        |owner: u32| owner == SYSTEMD || process::control_group(owner).is_none_or(|other| other.starts_with(&group));
    let owners = process::owners(&answering);
    if owners.iter().any(|(_, owner)| is_ours(*owner)) {
        return Ok(None);
    }
    Ok(owners.last().map(|(_, owner)| named(*owner)))
}

/// A process with its name.
fn named(process: u32) -> (u32, String) {
    (process, process::name(process).unwrap_or_default())
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
    async fn both_ways_to_look_see_the_same() {
        for address in ["127.0.0.1", "::1"] {
            let (server, port) = listen(address).await;
            let see = |count: usize, why: &str| {
                let by_table = table::read().unwrap().into_iter();
                let by_table = by_table.filter(|socket| table::is_client_of(socket, port));
                let by_table: BTreeSet<_> = by_table.map(|socket| socket.inode).collect();
                assert_eq!(diag::to_loopback(port).unwrap(), by_table, "{address}");
                assert_eq!(by_table.len(), count, "{address}: {why}");
                assert!(by_table.is_subset(&process::sockets(std::process::id()).collect()));
            };
            see(0, "nobody is connected");
            let first = TcpStream::connect((address, port.get())).await.unwrap();
            let second = TcpStream::connect((address, port.get())).await.unwrap();
            see(2, "the client's end of each");

            let (mut accepted, _) = server.accept().await.unwrap();
            drop(first);
            assert_eq!(accepted.read(&mut [0]).await.unwrap(), 0);
            see(1, "the server's own end stays open and counts for nothing");
            drop(second);
        }
    }

    #[tokio::test]
    async fn drain_ends_when_the_last_connection_does() {
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
        let draining = drain(port, LONG, SETTLED, |_| true, |left| heard.push(left));
        let (report, ()) = tokio::join!(draining, closing);
        let report = report.unwrap();
        assert_eq!((report.cut, heard), (0, vec![1, 0]));
        assert!((OPEN + SETTLED..LONG).contains(&report.waited), "{report:?}");
    }

    #[tokio::test]
    async fn drain_that_takes_too_long_says_what_is_cut() {
        let (_server, port) = listen("127.0.0.1").await;
        let _open = TcpStream::connect(("127.0.0.1", port.get())).await.unwrap();
        // So long that it is known whose it is.
        let short = Duration::from_millis(400);
        let report = drain(port, short, SETTLED, |_| true, |_| {}).await.unwrap();
        assert!(report.cut == 1 && report.waited >= short, "{report:?}");
        assert_eq!(report.others, []);
    }

    #[tokio::test]
    async fn drain_names_others_and_does_not_wait_for_them() {
        let (server, port) = listen("127.0.0.1").await;
        let connect = || TcpStream::connect(("127.0.0.1", port.get()));
        let _kept = (connect().await.unwrap(), server.accept().await.unwrap());
        // The process that keeps one makes many more.
        let hammering = async {
            loop {
                let (one, accepted) = tokio::join!(connect(), server.accept());
                tokio::time::sleep(Duration::from_millis(2)).await;
                drop((one, accepted));
            }
        };
        let report = tokio::select! {
            report = drain(port, LONG, SETTLED, |_| false, |_| {}) => report.unwrap(),
            () = hammering => unreachable!(),
        };
        assert!(report.cut == 0 && report.waited < LONG / 2, "{report:?}");
        let [holder] = &report.others[..] else {
            panic!("{report:?}")
        };
        assert_eq!(holder.process, std::process::id());
        assert!(holder.connections >= 1 && !holder.name.is_empty());
        let one = Holder {
            connections: 1,
            ..holder.clone()
        };
        assert!(one.to_string().ends_with(") still holds 1 connection"), "{one}");
    }

    #[tokio::test]
    async fn drain_waits_for_what_is_counted_beside_what_is_not() {
        let (_server, port) = listen("127.0.0.1").await;
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line");
        let mut other = std::process::Command::new("bash")
            .args(["-c", &script])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let _own = TcpStream::connect(("127.0.0.1", port.get())).await.unwrap();
        let own = std::process::id();
        let short = Duration::from_secs(2);
        let report = drain(port, short, SETTLED, |process| process == own, |_| {})
            .await
            .unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(report.cut == 1 && report.waited >= short, "{report:?}");
        assert_eq!(
            report.others.iter().map(|holder| holder.process).collect::<Vec<_>>(),
            [other.id()]
        );
    }

    #[tokio::test]
    async fn port_that_is_taken_has_a_name_to_it() {
        let (server, port) = listen("127.0.0.1").await;
        let found = listener(port).unwrap().unwrap();
        assert_eq!(found.address, server.local_addr().unwrap());
        assert_eq!(found.process.unwrap().0, std::process::id());
        assert_eq!(other_listener(port, std::process::id()).unwrap(), None);
        drop(server);
        assert_eq!(listener(port).unwrap(), None);
    }
}
