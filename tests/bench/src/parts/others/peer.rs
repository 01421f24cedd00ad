//! The app that other ways switch: two instances of a plain unit, as one would write it by hand.

use std::cell::Cell;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fs_err as fs;

use crate::app::{self, PROGRAM, Runtime, SHARED, started};
use crate::host::{get, sh, wait_until};

const UNIT: &str = "/etc/systemd/system/bench-peer@.service";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One of the two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On the first port.
    Blue,
    /// On the second.
    Green,
}

impl Side {
    /// Its color.
    pub fn color(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }

    /// Its port.
    pub fn port(self) -> u16 {
        match self {
            Self::Blue => 9471,
            Self::Green => 9472,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }
}

impl Side {
    /// Starts it.
    pub fn start(self) -> eyre::Result<()> {
        sh(&format!("systemctl start bench-peer@{}", self.port())).map(drop)
    }

    /// Stops it.
    pub fn stop(self) -> eyre::Result<()> {
        sh(&format!("systemctl stop bench-peer@{}", self.port())).map(drop)
    }

    /// Waits until it answers; when it began to listen, by its own word.
    pub fn wait_until_healthy(self) -> eyre::Result<f64> {
        wait_until("the new side answers", LIMIT, || {
            get(self.port(), "localhost", "/health").is_ok_and(|answer| answer.is_ok())
        })?;
        started(self.port())
    }

    /// Waits until a proxy passes requests to it.
    pub fn wait_behind(self, proxy: u16) -> eyre::Result<()> {
        wait_until("the proxy uses the new side", LIMIT, || {
            get(proxy, "localhost", "/api/instance").is_ok_and(|answer| answer.header("x-color") == self.color())
        })
    }
}

/// The app; gone when this is dropped.
#[derive(Debug)]
pub struct Peer {
    active: Cell<Side>,
}

impl Peer {
    /// Writes its unit and starts its first side.
    pub fn install() -> eyre::Result<Self> {
        app::prepare(Runtime::Program)?;
        for side in [Side::Blue, Side::Green] {
            let (port, color) = (side.port(), side.color());
            fs::write(
                format!("{SHARED}/peer-{port}.env"),
                format!("PORT={port}\nBGCTL_COLOR={color}\nBGCTL_RELEASE={color}\n"),
            )?;
        }
        let unit = format!("[Service]\nEnvironmentFile={SHARED}/peer-%i.env\nExecStart={PROGRAM}\n");
        fs::write(UNIT, unit)?;
        sh("systemctl daemon-reload")?;
        let peer = Self {
            active: Cell::new(Side::Blue),
        };
        Side::Blue.start()?;
        Side::Blue.wait_until_healthy()?;
        Ok(peer)
    }

    /// The side that serves.
    pub fn active(&self) -> Side {
        self.active.get()
    }

    /// Remembers which side serves.
    pub fn set_active(&self, side: Side) {
        self.active.set(side);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let gone = sh(&format!(
            "systemctl stop 'bench-peer@*'; rm {UNIT}; systemctl daemon-reload; ETCDCTL_API=3 etcdctl del --prefix /bench-peer/"
        ));
        if let Err(error) = gone {
            crate::host::say(&format!("cannot take bench-peer away: {error:#}"));
        }
    }
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it; what it prints is not for here.
    pub fn start(program: &str, arguments: &[&str]) -> eyre::Result<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            crate::host::say(&format!("cannot end a proxy: {error}"));
        }
    }
}

/// Puts a file in the place of another at once, as those who watch it want it.
pub fn replace(path: &str, text: &str) -> eyre::Result<()> {
    let new = format!("{path}.new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, path)?)
}
