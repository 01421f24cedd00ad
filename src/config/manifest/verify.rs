//! `[[verify]]`, and `[verify]` with commands alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{above_zero, health, run, written};
use crate::config::error::Problem;
use crate::config::value::{HeaderName, Line};
use crate::model::{Asks, HttpAssertion, Method, Site, VERIFY_MEMORY, Verify, VerifyCheck, VerifyCommand};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
const STATUS: u16 = 200;
/// The least memory of a command, bytes: a shell with a program or two.
const MEMORY_MIN: u64 = 8 << 20;
/// The most retries: a check that needs more is one of something else.
const RETRIES: i64 = 100;
/// The longest name of a check, characters.
const NAME: usize = 60;

/// The checks in the order of the manifest; a request looks like one of a user of `site`.
pub(super) fn validate(written: written::Verify, site: &Site) -> Result<Verify, Problem> {
    match written {
        written::Verify::Commands(table) => commands(table),
        written::Verify::Checks(list) => checks(list, site),
    }
}

fn commands(written: written::VerifyCommands) -> Result<Verify, Problem> {
    let timeout = above_zero(written.timeout, COMMAND_TIMEOUT, "timeout")?;
    let lines: Result<Vec<_>, _> = written.commands.into_iter().map(line).collect();
    Ok(Verify::commands(lines?, timeout))
}

fn checks(written: Vec<Spanned<written::VerifyCheck>>, site: &Site) -> Result<Verify, Problem> {
    let mut checks: Vec<VerifyCheck> = Vec::new();
    for one in written {
        let place = one.span();
        let check = check(one.into_inner(), site).map_err(|problem| problem.or_at(&place))?;
        if check.name.is_some() && checks.iter().any(|other| other.name == check.name) {
            return Err(Problem::at(place, format!("cannot have two checks named {check}")));
        }
        checks.push(check);
    }
    Ok(Verify { checks })
}

fn check(mut written: written::VerifyCheck, site: &Site) -> Result<VerifyCheck, Problem> {
    let name = written.name.take().map(name).transpose()?;
    let retries = written.retries.as_ref().map(retries).transpose()?.unwrap_or_default();
    let timeout = written.timeout.take();
    let (asks, default) = match (written.command.take(), written.path.take()) {
        (Some(_), Some(path)) => {
            let message = "cannot use command and path in one check: give each a [[verify]] of its own";
            return Err(Problem::at(path.span(), message));
        }
        (Some(command), None) => {
            if let Some((key, span)) = of_a_request(&written) {
                let message =
                    format!("cannot use {key} with command: only a check with path has a request and an answer");
                return Err(Problem::at(span, message));
            }
            let command = VerifyCommand {
                line: line(command)?,
                user: written.user.map(|user| user.into_inner().0),
                memory: run::memory(written.memory, MEMORY_MIN)?.unwrap_or(VERIFY_MEMORY),
            };
            (Asks::Command(command), COMMAND_TIMEOUT)
        }
        (None, Some(path)) => {
            if let Some((key, span)) = of_a_command(&written) {
                let message = format!("cannot use {key} with path: only a check with command has a process");
                return Err(Problem::at(span, message));
            }
            let wanted = assertion(path.into_inner().0, written, site)?;
            (Asks::Http(Box::new(wanted)), HTTP_TIMEOUT)
        }
        (None, None) => return Err(Problem::somewhere("cannot check nothing: give command or path")),
    };
    Ok(VerifyCheck {
        name,
        asks,
        timeout: above_zero(timeout, default, "timeout")?,
        retries,
    })
}

/// The first key that only a check with a command has.
fn of_a_command(written: &written::VerifyCheck) -> Option<(&'static str, Range<usize>)> {
    let keys = [
        ("user", written.user.as_ref().map(Spanned::span)),
        ("memory", written.memory.as_ref().map(Spanned::span)),
    ];
    keys.into_iter().find_map(|(key, span)| Some((key, span?)))
}

/// The first key that only a check with a path has.
fn of_a_request(written: &written::VerifyCheck) -> Option<(&'static str, Range<usize>)> {
    let keys = [
        ("method", written.method.as_ref().map(Spanned::span)),
        ("host", written.host.as_ref().map(Spanned::span)),
        ("headers", written.headers.as_ref().map(Spanned::span)),
        ("status", written.status.as_ref().map(Spanned::span)),
        ("header", written.header.as_ref().map(Spanned::span)),
        ("body_contains", written.body_contains.as_ref().map(Spanned::span)),
        ("json", written.json.as_ref().map(Spanned::span)),
    ];
    keys.into_iter().find_map(|(key, span)| Some((key, span?)))
}

fn assertion(path: String, written: written::VerifyCheck, site: &Site) -> Result<HttpAssertion, Problem> {
    let method = match written.method {
        None => Method::Get,
        Some(text) => Method::parse(text.get_ref()).map_err(|error| Problem::at(text.span(), error.to_string()))?,
    };
    let of_body = [
        ("body_contains", written.body_contains.as_ref().map(Spanned::span)),
        ("json", written.json.as_ref().map(Spanned::span)),
    ];
    if method == Method::Head
        && let Some((key, span)) = of_body.into_iter().find_map(|(key, span)| Some((key, span?)))
    {
        let message = format!("cannot use {key} with HEAD, whose answer has no body");
        return Err(Problem::at(span, message));
    }
    let body_contains = match written.body_contains {
        Some(text) if text.get_ref().is_empty() => {
            let message = "cannot use empty text as body_contains: every body has it";
            return Err(Problem::at(text.span(), message));
        }
        text => text.map(Spanned::into_inner),
    };
    let json = written.json.map(Spanned::into_inner).unwrap_or_default();
    Ok(HttpAssertion {
        method,
        path,
        host: written.host.map(|host| host.into_inner().0).or_else(|| site.host()),
        headers: health::headers(written.headers, site)?,
        status: written
            .status
            .map_or_else(|| [STATUS].into(), |status| status.into_inner().0),
        header: written.header.map(expected).transpose()?.unwrap_or_default(),
        body_contains,
        json: json.into_iter().map(|(pointer, value)| (pointer, value.0)).collect(),
    })
}

/// The headers that an answer has to have.
fn expected(written: Spanned<BTreeMap<HeaderName, Line>>) -> Result<BTreeMap<String, String>, Problem> {
    let place = written.span();
    let mut headers = BTreeMap::new();
    for (HeaderName(name), Line(value)) in written.into_inner() {
        if headers.keys().any(|other: &String| other.eq_ignore_ascii_case(&name)) {
            return Err(Problem::at(place, format!("cannot use the header {name} twice")));
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

fn line(written: Spanned<String>) -> Result<String, Problem> {
    let span = written.span();
    let line = written.into_inner();
    if line.trim().is_empty() || line.contains('\0') {
        let message = "cannot use this as a command: it must be text for /bin/sh";
        return Err(Problem::at(span, message));
    }
    Ok(line)
}

fn name(written: Spanned<Line>) -> Result<String, Problem> {
    let span = written.span();
    let Line(name) = written.into_inner();
    if name.trim().is_empty() || name.chars().count() > NAME {
        let message = format!("cannot use this as the name of a check: it must have 1 to {NAME} characters");
        return Err(Problem::at(span, message));
    }
    Ok(name)
}

fn retries(written: &Spanned<i64>) -> Result<u32, Problem> {
    let number = *written.get_ref();
    match u32::try_from(number) {
        Ok(retries) if number <= RETRIES => Ok(retries),
        _ => {
            let message = format!("cannot use {number} as retries: it must be 0 to {RETRIES}");
            Err(Problem::at(written.span(), message))
        }
    }
}
