//! The manifest of an app, `APP.toml`.

mod health;
mod listen;
mod location;
mod masked;
mod run;
mod site;
#[cfg(test)]
mod tests;
mod written;

pub use masked::masked;
pub(super) use site::certificate;

use std::time::Duration;

use camino::Utf8Path;
use toml::Spanned;

use super::error::Problem;
use super::value::{PortNumber, Time};
use super::{ConfigError, FileError, read_text};
use crate::model::{App, ByColor, Color, Drain, Port, Verify};

const BLUE_PORT: u16 = 9001;
const GREEN_PORT: u16 = 9002;
const VERIFY_TIMEOUT: Duration = Duration::from_secs(60);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the manifest at `path`; what is wrong in it is a [`FileError::Invalid`].
pub fn read(path: &Utf8Path) -> Result<App, FileError> {
    Ok(parse(&read_text(path)?, path.as_str())?)
}

/// Parses the text of a manifest; `source` names it in errors. Fails with the first thing that is wrong with it.
pub fn parse(text: &str, source: &str) -> Result<App, ConfigError> {
    toml::from_str(text)
        .map_err(Problem::from)
        .and_then(validate)
        .map_err(|problem| ConfigError::new(problem, text, source))
}

fn validate(written: written::Manifest) -> Result<App, Problem> {
    let name = written
        .name
        .ok_or_else(|| Problem::somewhere("cannot do without a name: write name = \"...\" at the top"))?;
    let run = written
        .run
        .ok_or_else(|| Problem::somewhere("cannot do without [run]: it says what runs, by image or by exec"))?;
    let ports = ports(&written.ports)?;
    Ok(App {
        run: run::validate(run)?,
        health: health::validate(written.health)?,
        verify: verify(written.verify)?,
        site: site::validate(written.nginx, &name, ports)?,
        bake: written.bake.duration.map_or(Duration::ZERO, |time| time.0),
        drain: Drain {
            timeout: written.drain.timeout.map_or(DRAIN_TIMEOUT, |time| time.0),
            keep_warm: written.drain.keep_warm,
        },
        name,
        ports,
    })
}

fn ports(written: &written::Ports) -> Result<ByColor<Port>, Problem> {
    let port = |written: &Option<Spanned<PortNumber>>, default| match written {
        Some(port) => Ok(port.get_ref().0),
        None => Port::new(default).map_err(|error| Problem::somewhere(error.to_string())),
    };
    let ports = ByColor {
        blue: port(&written.blue, BLUE_PORT)?,
        green: port(&written.green, GREEN_PORT)?,
    };
    let places = ByColor {
        blue: written.blue.as_ref().map(Spanned::span),
        green: written.green.as_ref().map(Spanned::span),
    };
    if ports.blue == ports.green {
        return Err(Problem {
            span: places.green.or(places.blue),
            message: format!(
                "cannot use port {} for both colors: blue and green run side by side",
                ports.blue
            ),
        });
    }
    for color in Color::BOTH {
        let port = ports.get(color);
        if port.is_privileged() && !written.allow_privileged {
            return Err(Problem {
                span: places.get(color).clone(),
                message: format!(
                    "cannot use port {port} for {color}: ports below 1024 need allow_privileged = true in [ports]"
                ),
            });
        }
    }
    Ok(ports)
}

fn verify(written: written::Verify) -> Result<Verify, Problem> {
    let timeout = above_zero(written.timeout, VERIFY_TIMEOUT, "timeout")?;
    let mut commands = Vec::new();
    for command in written.commands {
        let span = command.span();
        let command = command.into_inner();
        if command.trim().is_empty() || command.contains('\0') {
            return Err(Problem::at(
                span,
                "cannot use this as a command: it must be text for /bin/sh",
            ));
        }
        commands.push(command);
    }
    Ok(Verify { commands, timeout })
}

/// The time that was written for `key`, or the default; fails for zero.
fn above_zero(written: Option<Spanned<Time>>, default: Duration, key: &str) -> Result<Duration, Problem> {
    match written {
        None => Ok(default),
        Some(time) if time.get_ref().0.is_zero() => {
            let message = format!("cannot use 0 as {key}: it must be more");
            Err(Problem::at(time.span(), message))
        }
        Some(time) => Ok(time.get_ref().0),
    }
}
