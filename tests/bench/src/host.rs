//! Commands, requests and times on this host.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use eyre::WrapErr as _;

/// The time of day, milliseconds since 1970: what the journals of switches and the samples of the load have as well.
pub fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64() * 1000.0
}

/// Says what goes on, to whoever waits.
#[expect(clippy::print_stderr, reason = "progress and errors go to standard error")]
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Runs a line of shell; what it printed. Fails where it does not end with 0, with what it said.
pub fn sh(line: &str) -> eyre::Result<String> {
    run(Command::new("/bin/sh").args(["-c", line])).wrap_err_with(|| format!("cannot run {line}"))
}

/// Runs a program; what it printed. Fails where it does not end with 0, with what it said.
pub fn run(command: &mut Command) -> eyre::Result<String> {
    let output = command.output()?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        eyre::bail!("{}: {} {}", output.status, stdout.trim(), stderr.trim());
    }
    Ok(stdout)
}

/// How long a program ran, milliseconds. Fails where it does not end with 0.
pub fn time(command: &mut Command) -> eyre::Result<f64> {
    let began = Instant::now();
    run(command)?;
    Ok(ms(began.elapsed()))
}

/// A time in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Waits until something holds, looking every millisecond. Fails after `limit`.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> eyre::Result<()> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > limit {
            eyre::bail!("{what}: still not after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its head, as it came.
    pub head: String,
    /// Its body.
    pub body: String,
    /// When it was there, milliseconds since 1970.
    pub at: f64,
}

impl Answer {
    /// Whether its status is 200.
    pub fn is_ok(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }

    /// The value of a header, by its name in lower case; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }
}

/// One request on a connection of its own to a port of this host.
pub fn get(port: u16, host: &str, path: &str) -> eyre::Result<Answer> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let at = now();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Answer {
        head: head.to_owned(),
        body: body.to_owned(),
        at,
    })
}

/// Requests per second and the 99th percentile of their times, milliseconds, by wrk(1) over 64 connections.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Requests a second.
    pub per_second: f64,
    /// The 99th percentile, milliseconds.
    pub p99: f64,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Without a body.
    Get,
    /// With one of some bytes, in the same packet.
    Post,
}

impl Method {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Get, Self::Post];

    /// As HTTP has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    /// What of the demo app is asked.
    fn path(self) -> &'static str {
        match self {
            Self::Get => "/api/instance",
            Self::Post => "/echo",
        }
    }
}

/// Makes wrk post.
const POST: &str = "wrk.method = 'POST' wrk.body = 'hello world'\n";
const POST_FILE: &str = "/run/bench-post.lua";

/// As many requests as go through within `seconds`.
pub fn throughput(port: u16, host: &str, method: Method, seconds: u32) -> eyre::Result<Throughput> {
    let script = match method {
        Method::Get => "",
        Method::Post => {
            fs_err::write(POST_FILE, POST)?;
            "--script /run/bench-post.lua"
        }
    };
    let said = sh(&format!(
        "wrk --threads 1 --connections 64 --duration {seconds}s --latency {script} --header 'Host: {host}' \
         http://127.0.0.1:{port}{}",
        method.path()
    ))?;
    eyre::ensure!(!said.contains("Non-2xx"), "wrk got errors on port {port}: {said}");
    read_wrk(&said).ok_or_else(|| eyre::eyre!("cannot read what wrk said: {said}"))
}

/// The figures that wrk printed, each on a line that starts with its name.
fn read_wrk(said: &str) -> Option<Throughput> {
    let value = |name: &str| {
        said.lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .map(str::trim)
    };
    Some(Throughput {
        per_second: value("Requests/sec:")?.parse().ok()?,
        p99: wrk_time(value("99%")?)?,
    })
}

/// A time as wrk writes it, milliseconds.
fn wrk_time(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let scale = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_wrk() {
        let said = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.67ms    0.93ms   9.33ms   85.99%\n  \
                    Latency Distribution\n     90%    2.50ms\n     99%    5.43ms\nRequests/sec:  39211.21\n";
        let read = read_wrk(said).unwrap();
        assert_eq!((read.per_second, read.p99), (39_211.21, 5.43));
        assert!(read_wrk("").is_none());
    }

    #[test]
    fn times_of_wrk() {
        assert_eq!(wrk_time("1.50ms"), Some(1.5));
        assert_eq!(wrk_time("250us"), Some(0.25));
        assert_eq!(wrk_time("2s"), Some(2000.0));
        assert_eq!(wrk_time("2"), None);
    }
}
