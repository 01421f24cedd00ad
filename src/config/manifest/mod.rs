//! The manifest of an app, `APP.toml`.

mod companion;
mod health;
mod listen;
mod location;
mod masked;
mod ports;
mod run;
mod site;
mod switch;
#[cfg(test)]
mod tests;
mod verify;
mod written;

pub use masked::masked;
pub(super) use site::certificate;

use std::time::Duration;

use camino::Utf8Path;
use toml::Spanned;

use super::error::Problem;
use super::value::Time;
use super::{ConfigError, FileError, read_text};
use crate::model::{App, Drain, Stage};

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
    let ports = ports::own(&written.ports)?;
    let extra_ports = ports::extra(&written.ports, ports)?;
    let site = site::validate(written.nginx, &name, ports)?;
    let run = run::validate(run, &extra_ports)?;
    let companions = companion::validate(written.companion, &run)?;
    let strategy = switch::validate(&written.switch, &written.drain, &site, &companions)?;
    Ok(App {
        health: health::validate(written.health, &run, &site)?,
        run,
        companions,
        verify: verify::validate(written.verify, &site)?,
        site,
        strategy,
        stage: Stage {
            expires: more_than_zero(written.stage.expires, "expires")?,
        },
        bake: written.bake.duration.map_or(Duration::ZERO, |time| time.0),
        confirm_within: more_than_zero(written.bake.confirm_within, "confirm_within")?,
        drain: Drain {
            timeout: written.drain.timeout.map_or(DRAIN_TIMEOUT, |time| time.0),
            keep_warm: written.drain.keep_warm,
        },
        name,
        ports,
        extra_ports,
    })
}

/// The time that was written for `key`, or the default; fails for zero.
fn above_zero(written: Option<Spanned<Time>>, default: Duration, key: &str) -> Result<Duration, Problem> {
    Ok(more_than_zero(written, key)?.unwrap_or(default))
}

/// The time that was written for `key`; fails for zero.
fn more_than_zero(written: Option<Spanned<Time>>, key: &str) -> Result<Option<Duration>, Problem> {
    match written {
        Some(time) if time.get_ref().0.is_zero() => {
            let message = format!("cannot use 0 as {key}: it must be more");
            Err(Problem::at(time.span(), message))
        }
        written => Ok(written.map(|time| time.get_ref().0)),
    }
}
