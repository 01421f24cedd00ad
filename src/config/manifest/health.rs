//! `[health]`.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use toml::Spanned;

use super::{above_zero, written};
use crate::config::error::Problem;
use crate::config::value::{HeaderName, HeaderValue, Line};
use crate::model::{Check, HealthCheck, HttpCheck, Run, Runtime, Site};

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(60);
const STATUS: u16 = 200;
/// How nginx tells an app that a request came over TLS.
const SCHEME: &str = "X-Forwarded-Proto";

/// What is asked of what `run` says, and how often; a request of an HTTP check looks like one of a user of `site`.
pub(super) fn validate(
    written: Option<Spanned<written::Health>>,
    run: &Run,
    site: &Site,
) -> Result<HealthCheck, Problem> {
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
    let check = check(&mut written, run, site).map_err(|problem| problem.or_at(&table))?;
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

fn check(written: &mut written::Health, run: &Run, site: &Site) -> Result<Check, Problem> {
    let tcp = written.tcp.take();
    let image = written.image.take().filter(|image| *image.get_ref());
    if let (Some(image), Runtime::Program(_)) = (&image, &run.runtime) {
        let message = "cannot use image with exec: only an image has a HEALTHCHECK";
        return Err(Problem::at(image.span(), message));
    }
    let given = [
        written.path.as_ref().map(Spanned::span),
        tcp.as_ref().filter(|tcp| *tcp.get_ref()).map(Spanned::span),
        written.command.as_ref().map(Spanned::span),
        image.as_ref().map(Spanned::span),
    ];
    if let Some(second) = given.into_iter().flatten().nth(1) {
        return Err(Problem::at(
            second,
            "cannot use more than one check: give one of path, tcp, command and image",
        ));
    }
    refuse_without_path(written)?;
    match (written.path.take(), written.command.take(), tcp) {
        (Some(path), _, _) => Ok(Check::Http(HttpCheck {
            path: path.into_inner().0,
            expect: written.expect.as_ref().map_or(STATUS, |status| status.get_ref().0),
            host: written
                .host
                .take()
                .map(|host| host.into_inner().0)
                .or_else(|| site.host()),
            headers: headers(written.headers.take(), site)?,
        })),
        (None, Some(command), _) => command_check(command),
        _ if image.is_some() => Ok(Check::Image),
        (None, None, Some(tcp)) if !tcp.get_ref() => Err(Problem::at(
            tcp.span(),
            "cannot do without a check: give path, command, or tcp or image = true",
        )),
        _ => Ok(Check::Tcp),
    }
}

/// Only an HTTP check has a request and a status.
fn refuse_without_path(written: &written::Health) -> Result<(), Problem> {
    let keys = [
        ("expect", written.expect.as_ref().map(Spanned::span)),
        ("host", written.host.as_ref().map(Spanned::span)),
        ("headers", written.headers.as_ref().map(Spanned::span)),
    ];
    let mut given = keys.into_iter().filter_map(|(key, span)| Some((key, span?)));
    match given.next().filter(|_| written.path.is_none()) {
        Some((key, span)) => {
            let message = format!("cannot use {key} without path: only an HTTP check has a request and a status");
            Err(Problem::at(span, message))
        }
        None => Ok(()),
    }
}

/// The headers beside `Host`. An app that answers users over TLS may send all others elsewhere.
pub(super) fn headers(
    written: Option<Spanned<BTreeMap<HeaderName, HeaderValue>>>,
    site: &Site,
) -> Result<BTreeMap<String, String>, Problem> {
    let mut headers = BTreeMap::new();
    let (written, place) = match written {
        Some(written) => (written.get_ref().clone(), Some(written.span())),
        None => (BTreeMap::new(), None),
    };
    for (HeaderName(name), HeaderValue(value)) in written {
        if headers.keys().any(|other: &String| other.eq_ignore_ascii_case(&name)) {
            let message = format!("cannot use the header {name} twice");
            return Err(Problem { span: place, message });
        }
        headers.insert(name, value);
    }
    if site.certificate.is_some() && !headers.keys().any(|name| name.eq_ignore_ascii_case(SCHEME)) {
        headers.insert(SCHEME.to_owned(), "https".to_owned());
    }
    Ok(headers)
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
