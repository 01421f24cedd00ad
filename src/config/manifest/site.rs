//! `[nginx]`.

use std::fmt::Display;
use std::time::Duration;

use camino::Utf8PathBuf;
use toml::Spanned;

use super::{above_zero, written};
use crate::config::error::Problem;
use crate::config::value::AbsolutePath;
use crate::model::{AppName, ByColor, Certificate, Color, Listen, Port, ServerName, Site};

const LISTEN: &str = "80";
const SERVER_NAME: &str = "_";
const MAX_BODY_SIZE: u64 = 10 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn validate(written: written::Nginx, app: &AppName, ports: ByColor<Port>) -> Result<Site, Problem> {
    let server_names = list(written.server_name, "server_name", ServerName::parse(SERVER_NAME))?;
    let listen = list(written.listen, "listen", Listen::parse(LISTEN))?;
    for (address, place) in &listen {
        if let Some(color) = Color::BOTH
            .into_iter()
            .find(|color| ports.get(*color).get() == address.port())
        {
            let message = format!("cannot listen on {address}: {} is the port of {color}", address.port());
            return Err(Problem {
                span: place.clone(),
                message,
            });
        }
    }
    Ok(Site {
        server_names: server_names.into_iter().map(|(name, _)| name).collect(),
        listen: listen.into_iter().map(|(address, _)| address).collect(),
        default_server: written.default_server,
        certificate: certificate(written.certificate, written.certificate_key, "certificate_key")?,
        max_body_size: written.max_body_size.map_or(MAX_BODY_SIZE, |size| size.0),
        read_timeout: above_zero(written.read_timeout, TIMEOUT, "read_timeout")?,
        send_timeout: above_zero(written.send_timeout, TIMEOUT, "send_timeout")?,
        include: written
            .include
            .map_or_else(|| Utf8PathBuf::from(format!("/etc/nginx/{app}.d")), |path| path.0),
    })
}

/// A value and where it stands; none for a default.
type Placed<T> = (T, Option<std::ops::Range<usize>>);

fn list<T: PartialEq + Display>(
    written: Option<Spanned<Vec<Spanned<T>>>>,
    key: &str,
    default: Result<T, crate::model::Invalid>,
) -> Result<Vec<Placed<T>>, Problem> {
    let Some(written) = written else {
        let default = default.map_err(|error| Problem::somewhere(error.to_string()))?;
        return Ok(vec![(default, None)]);
    };
    let place = written.span();
    let mut values: Vec<Placed<T>> = Vec::new();
    for value in written.into_inner() {
        let span = value.span();
        let value = value.into_inner();
        if values.iter().any(|(other, _)| *other == value) {
            return Err(Problem::at(span, format!("cannot use {value} twice in {key}")));
        }
        values.push((value, Some(span)));
    }
    if values.is_empty() {
        return Err(Problem::at(
            place,
            format!("cannot use an empty list as {key}: leave it out for its default"),
        ));
    }
    Ok(values)
}

/// A certificate with its key; fails where only one of them was written. `key_name` is the key's key.
pub(in crate::config) fn certificate(
    certificate: Option<Spanned<AbsolutePath>>,
    key: Option<Spanned<AbsolutePath>>,
    key_name: &str,
) -> Result<Option<Certificate>, Problem> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Certificate {
            certificate: certificate.into_inner().0,
            key: key.into_inner().0,
        })),
        (Some(alone), None) => Err(Problem::at(
            alone.span(),
            format!("cannot use certificate without {key_name}"),
        )),
        (None, Some(alone)) => Err(Problem::at(
            alone.span(),
            format!("cannot use {key_name} without certificate"),
        )),
    }
}
