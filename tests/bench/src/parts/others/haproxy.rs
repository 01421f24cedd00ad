//! `HAProxy`: both backends are there, a map says which one, and the runtime API changes the map.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::Proxy;
use super::peer::{Running, Side};
use crate::app::SHARED;
use crate::host::{sh, wait_until};
use fs_err as fs;

const PORT: u16 = 8292;
const LIMIT: Duration = Duration::from_secs(30);

/// A running `HAProxy`.
#[derive(Debug)]
pub struct Haproxy {
    socket: String,
    map: String,
    _running: Running,
}

impl Haproxy {
    /// Starts it with requests going to `active`.
    pub fn start(active: Side) -> eyre::Result<Self> {
        let (socket, map) = (format!("{SHARED}/haproxy.sock"), format!("{SHARED}/haproxy.map"));
        let file = format!("{SHARED}/haproxy.cfg");
        fs::write(&map, format!("active {}\n", active.color()))?;
        fs::write(&file, configuration(&socket, &map))?;
        sh(&format!("haproxy -c -q -f {file}"))?;
        let running = Running::start("haproxy", &["-db", "-f", &file])?;
        Ok(Self {
            socket,
            map,
            _running: running,
        })
    }

    /// A command of the runtime API (`HAProxy` Management Guide, 9.3).
    fn ask(&self, command: &str) -> eyre::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        writeln!(stream, "{command}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Requests at a side, in service and waiting (`scur`, `qcur` of the statistics).
    fn at(&self, side: Side) -> eyre::Result<u32> {
        let statistics = self.ask("show stat")?;
        let server = statistics
            .lines()
            .find(|line| line.starts_with(&format!("{},s,", side.color())))
            .ok_or_else(|| eyre::eyre!("HAProxy knows no server of {}", side.color()))?;
        let count = |index: usize| {
            server
                .split(',')
                .nth(index)
                .and_then(|text| text.parse::<u32>().ok())
                .unwrap_or(0)
        };
        Ok(count(2) + count(4))
    }
}

impl Proxy for Haproxy {
    fn port(&self) -> u16 {
        PORT
    }

    fn move_to(&self, side: Side) -> eyre::Result<()> {
        let said = self.ask(&format!("set map {} active {}", self.map, side.color()))?;
        eyre::ensure!(said.trim().is_empty(), "HAProxy did not set its map: {said}");
        Ok(())
    }

    fn drain(&self, side: Side) -> eyre::Result<()> {
        wait_until("HAProxy has drained", LIMIT, || {
            self.at(side).is_ok_and(|count| count == 0)
        })
    }
}

fn configuration(socket: &str, map: &str) -> String {
    let (blue, green) = (Side::Blue.port(), Side::Green.port());
    format!(
        "global
    stats socket {socket} mode 600 level admin
    maxconn 4096
defaults
    mode http
    option http-keep-alive
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{PORT}
    use_backend %[str(active),map({map},blue)]
backend blue
    http-reuse safe
    server s 127.0.0.1:{blue}
backend green
    http-reuse safe
    server s 127.0.0.1:{green}
"
    )
}
