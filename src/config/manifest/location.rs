//! `[[nginx.location]]` and `[nginx] shared_paths`: paths with settings of their own.

use toml::Spanned;

use super::site::distinct;
use super::{above_zero, written};
use crate::config::error::Problem;
use crate::model::{Location, PathPrefix, Protocol, Site};

/// Gives `site` its paths; what they do not say is as the site says it.
pub(super) fn validate(
    locations: Vec<Spanned<written::NginxLocation>>,
    shared: Vec<Spanned<PathPrefix>>,
    site: &mut Site,
) -> Result<(), Problem> {
    for (location, _) in distinct(locations, "[[nginx.location]]", |location| &location.path)? {
        let location = validated(location, site)?;
        site.locations.push(location);
    }
    for (path, place) in distinct(shared, "shared_paths", |path| path)? {
        if site.locations.iter().any(|location| location.path == path) {
            let message = format!("cannot use {path} in shared_paths: it is a [[nginx.location]] as well");
            return Err(Problem { span: place, message });
        }
        site.shared_paths.push(path);
    }
    let mut protocols = site
        .locations
        .iter()
        .map(|location| location.protocol)
        .chain([site.protocol]);
    let has_grpc = protocols.any(|protocol| protocol == Protocol::Grpc);
    if has_grpc && !site.listen.iter().any(|listening| listening.http2) {
        let message = "cannot pass gRPC on: no address of [nginx] listen has http2 = true";
        return Err(Problem::somewhere(message));
    }
    Ok(())
}

fn validated(written: written::NginxLocation, site: &Site) -> Result<Location, Problem> {
    let protocol = written.protocol.unwrap_or(site.protocol);
    if let (Some(true), Protocol::Grpc) = (written.buffering, protocol) {
        let message = format!("cannot buffer {}: gRPC is never buffered", written.path);
        return Err(Problem::somewhere(message));
    }
    Ok(Location {
        protocol,
        buffering: written.buffering.unwrap_or(site.buffering),
        max_body_size: written.max_body_size.map_or(site.max_body_size, |size| size.0),
        read_timeout: above_zero(written.read_timeout, site.read_timeout, "read_timeout")?,
        send_timeout: above_zero(written.send_timeout, site.send_timeout, "send_timeout")?,
        path: written.path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::manifest::parse;

    const HEAD: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop\"\n[nginx]\n";

    #[test]
    fn locations_are_as_the_site_where_they_say_nothing() {
        let text = "buffering = false\nread_timeout = \"7s\"\nlisten = [{ address = \"80\", http2 = true }]\n\
                    [[nginx.location]]\npath = \"/a\"\n[[nginx.location]]\npath = \"/b\"\nprotocol = \"grpc\"\nread_timeout = \"1h\"\n";
        let site = parse(&format!("{HEAD}{text}"), "shop.toml").unwrap().site;
        let [a, b] = site.locations.as_slice() else {
            panic!("{site:?}")
        };
        assert_eq!(
            (a.protocol, a.buffering, a.read_timeout),
            (Protocol::Http, false, site.read_timeout)
        );
        assert_eq!(
            (b.protocol, b.max_body_size, b.read_timeout.as_secs()),
            (Protocol::Grpc, site.max_body_size, 3600)
        );
    }

    #[test]
    fn locations_that_do_not_fit_are_refused() {
        let location = |path: &str| format!("[[nginx.location]]\npath = \"{path}\"\n");
        let cases = [
            (
                location("/a") + &location("/a"),
                "cannot use /a twice in [[nginx.location]]",
            ),
            (
                format!("shared_paths = [\"/a\"]\n{}", location("/a")),
                "it is a [[nginx.location]] as well",
            ),
            (
                location("/a") + "protocol = \"grpc\"\n",
                "no address of [nginx] listen has http2 = true",
            ),
            (location("/a") + "protocol = \"spdy\"\n", "unknown variant"),
            (location("/"), "it must start with / and be more than that"),
        ];
        for (text, reason) in cases {
            let error = parse(&format!("{HEAD}{text}"), "shop.toml").unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }
}
