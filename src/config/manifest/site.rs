//! `[nginx]`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use camino::Utf8PathBuf;
use toml::Spanned;

use super::{above_zero, listen, location, written};
use crate::config::error::Problem;
use crate::config::value::{AbsolutePath, Size};
use crate::model::{AppName, ByColor, Certificate, Port, ServerName, Site};

const SERVER_NAME: &str = "_";
const MAX_BODY_SIZE: u64 = 10 << 20;
/// Twice what most servers take. nginx's own 8 KiB for a line and 4 KiB for an answer are less than tokens and cookies need.
const MAX_HEAD_SIZE: u64 = 32 << 10;
/// nginx takes memory in pieces of this size.
const PAGE: u64 = 4 << 10;
const HEAD_SIZES: RangeInclusive<u64> = PAGE..=1 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn validate(written: written::Nginx, app: &AppName, ports: ByColor<Port>) -> Result<Site, Problem> {
    let server_names = list(written.server_name, "server_name", ServerName::parse(SERVER_NAME))?;
    let certificate = certificate(written.certificate, written.certificate_key, "certificate_key")?;
    let trusted_proxies = match written.trusted_proxies {
        Some(trusted) => distinct(trusted.into_inner(), "trusted_proxies", |network| network)?,
        None => Vec::new(),
    };
    let with = listen::With {
        ports,
        has_certificate: certificate.is_some(),
        trusts: !trusted_proxies.is_empty(),
    };
    let mut site = Site {
        server_names: server_names.into_iter().map(|(name, _)| name).collect(),
        listen: listen::validate(written.listen, &with)?,
        default_server: written.default_server,
        certificate,
        trusted_proxies: trusted_proxies.into_iter().map(|(network, _)| network).collect(),
        protocol: written.protocol,
        buffering: written.buffering.unwrap_or(true),
        locations: Vec::new(),
        shared_paths: Vec::new(),
        error_page: written.error_page.map(|path| path.0),
        empty_page: written.empty_page.map(|path| path.0),
        acme_root: written.acme_root.map(|path| path.into_inner().0),
        max_head_size: head_size(written.max_head_size)?,
        max_body_size: written.max_body_size.map_or(MAX_BODY_SIZE, |size| size.0),
        read_timeout: above_zero(written.read_timeout, TIMEOUT, "read_timeout")?,
        send_timeout: above_zero(written.send_timeout, TIMEOUT, "send_timeout")?,
        include: written
            .include
            .map_or_else(|| Utf8PathBuf::from(format!("/etc/nginx/{app}.d")), |path| path.0),
    };
    location::validate(written.location, written.shared_paths, &mut site)?;
    Ok(site)
}

/// In whole pages.
fn head_size(written: Option<Spanned<Size>>) -> Result<u64, Problem> {
    let Some(written) = written else {
        return Ok(MAX_HEAD_SIZE);
    };
    let size = written.get_ref().0;
    if size != 0 && !HEAD_SIZES.contains(&size) {
        let message =
            "cannot use this as max_head_size: it must be from \"4k\" to \"1M\", or 0 for what nginx is set to";
        return Err(Problem::at(written.span(), message));
    }
    Ok(size.next_multiple_of(PAGE))
}

/// A value and where it stands; none for a default.
pub(super) type Placed<T> = (T, Option<std::ops::Range<usize>>);

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
    let values = distinct(written.into_inner(), key, |value| value)?;
    if values.is_empty() {
        return Err(Problem::at(
            place,
            format!("cannot use an empty list as {key}: leave it out for its default"),
        ));
    }
    Ok(values)
}

/// The values of a list, which must differ in what `by` says of them.
pub(super) fn distinct<T, B: PartialEq + Display>(
    written: Vec<Spanned<T>>,
    key: &str,
    by: impl Fn(&T) -> &B,
) -> Result<Vec<Placed<T>>, Problem> {
    let mut values: Vec<Placed<T>> = Vec::new();
    for value in written {
        let span = value.span();
        let value = value.into_inner();
        if values.iter().any(|(other, _)| by(other) == by(&value)) {
            return Err(Problem::at(span, format!("cannot use {} twice in {key}", by(&value))));
        }
        values.push((value, Some(span)));
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
