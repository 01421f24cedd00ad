//! `[health]`.

use std::time::Duration;

use camino::Utf8PathBuf;
use toml::Spanned;

use super::{above_zero, written};
use crate::config::error::Problem;
use crate::config::value::Line;
use crate::model::{Check, HealthCheck};

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);
const STATUS: u16 = 200;

pub(super) fn validate(written: Option<Spanned<written::Health>>) -> Result<HealthCheck, Problem> {
    let Some(written) = written else {
        return Ok(HealthCheck {
            check: Check::Tcp,
            interval: INTERVAL,
            timeout: TIMEOUT,
            deadline: DEADLINE,
            healthy_for: Duration::ZERO,
        });
    };
    let table = written.span();
    let mut written = written.into_inner();
    let check = check(&mut written).map_err(|problem| problem.or_at(&table))?;
    let places = [&written.deadline, &written.timeout].map(|time| time.as_ref().map(Spanned::span));
    let place = places.into_iter().flatten().next().unwrap_or_else(|| table.clone());
    let healthy_for = written.healthy_for.as_ref().map(|time| (time.get_ref().0, time.span()));
    let interval = above_zero(written.interval, INTERVAL, "interval")?;
    let timeout = above_zero(written.timeout, TIMEOUT, "timeout")?;
    let deadline = above_zero(written.deadline, DEADLINE, "deadline")?;
    if deadline < timeout {
        let message = format!("cannot use a deadline of {deadline:?}: one try alone may take {timeout:?} (timeout)");
        return Err(Problem::at(place, message));
    }
    let (healthy_for, place) = healthy_for.unwrap_or((Duration::ZERO, table));
    if healthy_for >= deadline {
        let message =
            format!("cannot use {healthy_for:?} as healthy_for: it must be shorter than the deadline, {deadline:?}");
        return Err(Problem::at(place, message));
    }
    Ok(HealthCheck {
        check,
        interval,
        timeout,
        deadline,
        healthy_for,
    })
}

fn check(written: &mut written::Health) -> Result<Check, Problem> {
    let tcp = written.tcp.take();
    let given = [
        written.path.as_ref().map(Spanned::span),
        tcp.as_ref().filter(|tcp| *tcp.get_ref()).map(Spanned::span),
        written.command.as_ref().map(Spanned::span),
    ];
    if let Some(second) = given.into_iter().flatten().nth(1) {
        return Err(Problem::at(
            second,
            "cannot use more than one check: give one of path, tcp and command",
        ));
    }
    if let (Some(expect), None) = (&written.expect, &written.path) {
        return Err(Problem::at(
            expect.span(),
            "cannot use expect without path: only an HTTP check has a status",
        ));
    }
    match (written.path.take(), written.command.take(), tcp) {
        (Some(path), _, _) => Ok(Check::Http {
            path: path.into_inner().0,
            expect: written.expect.as_ref().map_or(STATUS, |status| status.get_ref().0),
        }),
        (None, Some(command), _) => command_check(command),
        (None, None, Some(tcp)) if !tcp.get_ref() => Err(Problem::at(
            tcp.span(),
            "cannot do without a check: give path, command or tcp = true",
        )),
        _ => Ok(Check::Tcp),
    }
}

fn command_check(command: Spanned<Vec<Line>>) -> Result<Check, Problem> {
    let span = command.span();
    let mut words = command.into_inner().into_iter().map(|word| word.0);
    match words.next() {
        Some(program) if program.starts_with('/') => Ok(Check::Command {
            program: Utf8PathBuf::from(program),
            arguments: words.collect(),
        }),
        _ => Err(Problem::at(
            span,
            "cannot use this as a command: it must be a list, with the absolute path of a program first",
        )),
    }
}
