//! Why a pull or a container's start failed, for an operator. The engine tells these errors as text only.

use bollard::errors::Error;

use super::names;
use crate::model::{Digest, Hinted, ImageRef};

/// A pull that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// A login is configured and cannot be read.
    #[error("cannot read the login from Docker's config.json: {0}")]
    Login(String),
    /// The engine or the registry said no.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// What kind of failure the engine's words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Login,
    NoSuchImage,
    NoSuchPlatform,
    Denied,
    RateLimited,
    Untrusted,
    Unreachable,
    Other,
}

/// The error of a pull of `reference`. `here` is the digest of the image that this host already has under that name.
pub(super) fn pull(reference: &ImageRef, here: Option<&Digest>, error: &PullError) -> eyre::Report {
    let said = match error {
        PullError::Engine(Error::DockerResponseServerError { message, .. }) => message.clone(),
        PullError::Engine(Error::DockerStreamError { error }) => error.clone(),
        other => other.to_string(),
    };
    let registry = match names::registry(reference.repository()) {
        host if host.starts_with("https://") => "docker.io",
        host => host,
    };
    let kind = match error {
        PullError::Login(_) => Kind::Login,
        PullError::Engine(_) => kind(&said),
    };
    let (what, mut hint) = match kind {
        Kind::Login => (said, format!("log in again with `docker login {registry}`")),
        Kind::NoSuchImage => (
            format!("there is no such image in registry {registry}"),
            format!("push it first, or see what is there: {said}"),
        ),
        Kind::NoSuchPlatform => (
            format!("registry {registry} has it for other processors than this host's ({said})"),
            format!("build it for {} as well, and push it again", std::env::consts::ARCH),
        ),
        Kind::RateLimited => (
            format!("registry {registry} allows no more pulls just now ({said})"),
            format!("wait, or log in with `docker login {registry}`, which allows more"),
        ),
        Kind::Untrusted => (
            format!("the certificate of registry {registry} is not trusted ({said})"),
            format!("give its CA's certificate to Docker: /etc/docker/certs.d/{registry}/ca.crt"),
        ),
        Kind::Denied => (
            format!("registry {registry} refused access ({said})"),
            format!("check the name, and log in with `docker login {registry}` as the user that runs bgctl"),
        ),
        Kind::Unreachable => (
            format!("registry {registry} cannot be reached ({said})"),
            "check the registry and the network, or name an image of this host (`docker images`)".to_owned(),
        ),
        Kind::Other => (said, "try `docker pull` with the same reference".to_owned()),
    };
    if let Some(digest) = here {
        let image = format!("{}@{digest}", reference.repository());
        hint = format!(
            "{hint}; the image that is here already needs no registry: --image {image}, or pull = \"missing\" in [run]"
        );
    }
    Hinted::new(format!("cannot pull image {reference}: {what}"), hint).into()
}

fn kind(said: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["toomanyrequests", "rate limit", "Too Many Requests"]) {
        Kind::RateLimited
    } else if has(&["no matching manifest for", "does not match the specified platform"]) {
        Kind::NoSuchPlatform
    } else if has(&["x509:", "certificate signed by unknown authority"]) {
        Kind::Untrusted
    } else if has(&[
        "access denied",
        "unauthorized",
        "no basic auth",
        "authentication required",
        "denied:",
        "Forbidden",
    ]) {
        Kind::Denied
    } else if has(&["manifest unknown", "not found: manifest", "name unknown", "not found"]) {
        Kind::NoSuchImage
    } else if has(&[
        "dial tcp",
        "no such host",
        "connection refused",
        "timeout",
        "Client.Timeout",
        "i/o",
        "EOF",
        "TLS",
    ]) {
        Kind::Unreachable
    } else {
        Kind::Other
    }
}

/// What a person can do about a container that does not start, by what its `docker run` said; none where that is not known.
pub fn start_hint(log: &[String]) -> Option<String> {
    let said = log
        .iter()
        .rev()
        .filter_map(|line| line.split_once("rror response from daemon:"));
    said.map(|(_, said)| said)
        .find_map(|said| no_parser(said, log).or_else(|| held_port(said)).or_else(|| known(said)))
}

/// What the engine says, and what a person can do about it.
const HINTS: [(&str, &str); 4] = [
    (
        "is already in use by container",
        "a container of this name cannot be removed, as one cannot whose process does not end: `docker inspect NAME` tells its \
         process, and `systemctl restart docker` ends what its shim does not",
    ),
    (
        "could not be removed",
        "its process does not end: `docker inspect` tells which it is, and its parent, containerd-shim, is what has to end it",
    ),
    (
        "No chain/target/match by that name",
        "somebody flushed Docker's rules in iptables; `systemctl restart docker` makes them again",
    ),
    (
        "no space left on device",
        "the disk of Docker's data is full: `docker system df` tells what takes it, and `docker image prune` frees some",
    ),
];

fn known(said: &str) -> Option<String> {
    let known = HINTS.iter().find(|(words, _)| said.contains(words));
    known.map(|(_, hint)| (*hint).to_owned())
}

/// The engine's error says what it could not do, and one of the next lines why.
fn no_parser(said: &str, log: &[String]) -> Option<String> {
    let is_missing = |line: &String| {
        line.contains("apparmor_parser") && (line.contains("not found") || line.contains("no such file or directory"))
    };
    let hint =
        "this kernel has AppArmor, and Docker starts no container without its parser: `apt-get install apparmor`";
    (said.contains("AppArmor") && log.iter().any(is_missing)).then(|| hint.to_owned())
}

fn held_port(said: &str) -> Option<String> {
    let (address, _) = said.split_once(" failed: port is already allocated")?;
    let port: u16 = address.rsplit_once(':')?.1.parse().ok()?;
    Some(format!(
        "`docker ps --filter publish={port}` tells which container has the port. If none has it, Docker still holds it for \
         one that is gone, as it can after a power cut (moby issue 20486): give the app other ports, or free it by \
         `systemctl restart docker` once all containers of this host may be down for a moment"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker 20.10 and 28 say it.
    #[test]
    fn port_that_the_engine_holds_is_told_with_a_way_out() {
        let hint = |line: &str| start_hint(&["shop r8 listens".to_owned(), line.to_owned(), "bye".to_owned()]);
        for said in [
            "docker: Error response from daemon: driver failed programming external connectivity on endpoint shop-9002 \
             (2c81): Bind for 127.0.0.1:9002 failed: port is already allocated.",
            "docker: Error response from daemon: failed to set up container networking: driver failed programming \
             external connectivity on endpoint shop-9002 (2c81): Bind for 127.0.0.1:9002 failed: port is already allocated",
        ] {
            let hint = hint(said).unwrap();
            assert!(hint.starts_with("`docker ps --filter publish=9002` "), "{hint}");
            assert!(hint.contains("`systemctl restart docker`"), "{hint}");
        }
        assert_eq!(hint("Bind for 127.0.0.1:9002 failed: port is already allocated"), None);
        assert_eq!(hint("docker: Error response from daemon: No such image: shop:9"), None);
    }

    /// As Docker 20.10 and 26.1 say it, on two lines.
    #[test]
    fn missing_parser_of_apparmor_is_told_with_its_package() {
        let said = "docker: Error response from daemon: AppArmor enabled on system but the docker-default profile could not be \
                    loaded: running `apparmor_parser apparmor_parser --version` failed with output: ";
        for (end, is_known) in [
            (
                "error: exec: \"apparmor_parser\": executable file not found in $PATH.",
                true,
            ),
            (
                "error: fork/exec /sbin/apparmor_parser: no such file or directory",
                true,
            ),
            (
                "apparmor_parser: Unable to replace \"docker-default\". Permission denied",
                false,
            ),
        ] {
            let hint = start_hint(&[said.to_owned(), end.to_owned()]);
            assert_eq!(
                hint.is_some_and(|hint| hint.contains("`apt-get install apparmor`")),
                is_known,
                "{end}"
            );
            assert_eq!(start_hint(&[end.to_owned()]), None);
        }
    }

    /// As Docker 20.10 says them.
    #[test]
    fn engines_words() {
        let cases = [
            (
                "manifest for localhost:5000/shop:nope not found: manifest unknown: manifest unknown",
                Kind::NoSuchImage,
            ),
            (
                "Get \"http://localhost:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
                Kind::Unreachable,
            ),
            (
                "Get \"https://no-such-host.invalid/v2/\": dial tcp: lookup no-such-host.invalid: no such host",
                Kind::Unreachable,
            ),
            (
                "pull access denied for shop, repository does not exist or may require 'docker login': denied: \
                 requested access to the resource is denied",
                Kind::Denied,
            ),
            (
                "Get \"https://r.example/v2/shop/manifests/1\": no basic auth credentials",
                Kind::Denied,
            ),
            (
                "no matching manifest for linux/amd64 in the manifest list entries",
                Kind::NoSuchPlatform,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
                Kind::RateLimited,
            ),
            (
                "Get \"https://r.example/v2/\": x509: certificate signed by unknown authority",
                Kind::Untrusted,
            ),
            ("no space left on device", Kind::Other),
        ];
        for (said, expected) in cases {
            assert_eq!(kind(said), expected, "{said}");
        }
    }

    #[test]
    fn image_that_is_here_is_offered() {
        let reference = ImageRef::parse("localhost:5000/shop:1").unwrap();
        let digest = Digest::parse(format!("sha256:{}", "0a".repeat(32))).unwrap();
        let down = PullError::Engine(Error::DockerStreamError {
            error: "dial tcp 127.0.0.1:5000: connect: connection refused".into(),
        });
        let report = pull(&reference, Some(&digest), &down);
        let message = report.to_string();
        assert!(
            message.starts_with("cannot pull image localhost:5000/shop:1: registry localhost:5000 cannot be reached"),
            "{message}"
        );
        let hint = Hinted::find(&report).unwrap().hint();
        assert!(
            hint.contains(&format!("--image localhost:5000/shop@{digest}, or pull")),
            "{hint}"
        );
    }
}
