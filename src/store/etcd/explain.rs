//! etcd's errors in words for an operator. What is done about an error is decided in [`fate`](super::fate), never here.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use etcd_client::Error;

use crate::model::{EtcdSettings, Hinted};

/// What an error comes from, as far as what to do differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// No connection was made, so nothing was sent.
    Unreachable,
    /// The connection was lost: what was sent may have been done.
    Lost,
    /// The TLS handshake failed.
    Tls,
    /// User or password are wrong.
    BadPassword,
    /// etcd wants a user.
    NoUser,
    /// etcd has no users.
    NoAuth,
    /// Users or roles changed since the login.
    OldLogin,
    /// The user may not do this.
    PermissionDenied,
    /// The database is full.
    NoSpace,
    /// The cluster has no leader.
    NoLeader,
    /// The answer is larger than this client takes.
    TooLarge,
    /// Something else.
    Other,
}

/// What tells the causes apart, for the hint: phrases of etcd (`api/v3rpc/rpctypes/error.go`), tonic and rustls, in lower case; the first that is found counts.
const PHRASES: [(&str, Cause); 23] = [
    ("authentication failed, invalid user id or password", Cause::BadPassword),
    ("user name is empty", Cause::NoUser),
    ("authentication is not enabled", Cause::NoAuth),
    ("revision of auth store is old", Cause::OldLogin),
    ("invalid auth token", Cause::OldLogin),
    ("permission denied", Cause::PermissionDenied),
    ("database space exceeded", Cause::NoSpace),
    ("no leader", Cause::NoLeader),
    ("decoded message length too large", Cause::TooLarge),
    ("certificate", Cause::Tls),
    ("fatal alert", Cause::Tls),
    ("corrupt message", Cause::Tls),
    ("tls handshake", Cause::Tls),
    ("keymismatch", Cause::Tls),
    ("no native certs", Cause::Tls),
    ("http/2 was not negotiated", Cause::Tls),
    ("tcp connect error", Cause::Unreachable),
    ("dns error", Cause::Unreachable),
    ("connection refused", Cause::Unreachable),
    ("deadline has elapsed", Cause::Unreachable),
    ("keep-alive timed out", Cause::Unreachable),
    ("connect error", Cause::Unreachable),
    ("transport error", Cause::Lost),
];

impl Cause {
    fn of(error: &Error) -> Self {
        let text = chain(error).join(": ").to_lowercase();
        PHRASES
            .into_iter()
            .find_map(|(phrase, cause)| text.contains(phrase).then_some(cause))
            .unwrap_or(Self::Other)
    }
}

/// What the messages name.
#[derive(Debug)]
pub(super) struct Explain {
    endpoints: String,
    first: String,
    prefix: String,
    user: Option<(String, String)>,
    timeout: Duration,
}

impl Explain {
    pub(super) fn new(settings: &EtcdSettings) -> Self {
        Self {
            endpoints: settings.endpoints.join(", "),
            first: settings.endpoints.first().cloned().unwrap_or_default(),
            prefix: settings.prefix.clone(),
            user: settings
                .user
                .as_ref()
                .map(|(user, file)| (user.clone(), file.to_string())),
            timeout: settings.timeout,
        }
    }

    /// No answer came in time.
    pub(super) fn timeout(&self) -> eyre::Report {
        let message = format!(
            "cannot reach etcd at {}: no answer within {:?}",
            self.endpoints, self.timeout
        );
        Hinted::new(message, self.reach_hint()).into()
    }

    /// An error of the client.
    pub(super) fn error(&self, error: &Error) -> eyre::Report {
        let Self { endpoints, prefix, .. } = self;
        let (user, file) = self.user.as_ref().map_or(("", ""), |(user, file)| (user, file));
        let chain = chain(error);
        let last = chain.last().cloned().unwrap_or_default();
        let (message, hint) = match Cause::of(error) {
            Cause::Unreachable => (format!("cannot reach etcd at {endpoints}: {last}"), self.reach_hint()),
            Cause::Lost => (
                format!("cannot reach etcd at {endpoints}: {}", lost(&last)),
                self.lost_hint(),
            ),
            Cause::Tls => (
                format!("cannot reach etcd at {endpoints} over TLS: {last}"),
                self.tls_hint(&last),
            ),
            Cause::BadPassword => (
                format!("cannot log in to etcd at {endpoints} as {user:?}: user or password are wrong"),
                format!("compare user in [store] of bgctl.toml and the password in {file} with etcd's"),
            ),
            Cause::NoUser => (
                format!("cannot use etcd at {endpoints}: it wants a user and a password"),
                "give user and password_file in [store] of bgctl.toml".to_owned(),
            ),
            Cause::NoAuth => (
                format!("cannot log in to etcd at {endpoints} as {user:?}: it has no users (authentication is off)"),
                "take user and password_file out of [store] in bgctl.toml, or switch it on by `etcdctl auth enable`"
                    .to_owned(),
            ),
            Cause::OldLogin => (
                format!("cannot use etcd at {endpoints}: users or roles keep changing"),
                "try again when nobody changes etcd's users".to_owned(),
            ),
            Cause::PermissionDenied => (
                format!("cannot use the keys below {prefix} in etcd at {endpoints}: permission denied to {user:?}"),
                format!("grant it by `etcdctl role grant-permission ROLE readwrite --prefix=true {prefix}`"),
            ),
            Cause::NoSpace => (
                format!("cannot write to etcd at {endpoints}: its database is full"),
                "compact and defragment it, then `etcdctl alarm disarm`".to_owned(),
            ),
            Cause::NoLeader => (
                format!("cannot use etcd at {endpoints}: its members have no leader"),
                "`etcdctl endpoint status --cluster` tells which members are away".to_owned(),
            ),
            Cause::TooLarge => (
                format!(
                    "cannot read bgctl's keys below {prefix} in etcd at {endpoints}: another program keeps too much in them"
                ),
                format!("give bgctl keys of its own: prefix = \"{prefix}bgctl/\" in [store] of bgctl.toml"),
            ),
            Cause::Other => (
                format!("cannot use etcd at {endpoints}: {}", chain.join(": ")),
                format!("`etcdctl --endpoints {} endpoint status` tells more", self.first),
            ),
        };
        Hinted::new(message, hint).into()
    }

    fn lost_hint(&self) -> String {
        let may_be = if self.first.starts_with("https://") {
            "wants another client certificate (certificate and key in [store] of bgctl.toml)"
        } else {
            "speaks TLS (https:// in endpoints of [store] in bgctl.toml)"
        };
        format!("etcd closed the connection: see in its log whether it ended or {may_be}")
    }

    /// What rustls and webpki say of etcd's certificate, and what to do about it.
    fn tls_hint(&self, last: &str) -> String {
        let name = name(&self.first);
        if last.contains("CaUsedAsEndEntity") {
            format!(
                "etcd's certificate is an authority's (CA:TRUE), which may sign and not serve: sign one for etcd with it, or \
                 make it by `openssl req -x509` with -addext basicConstraints=critical,CA:FALSE -addext subjectAltName={name}"
            )
        } else if last.contains("not valid for name") {
            format!(
                "name etcd in endpoints of [store] in bgctl.toml as its certificate does, or make that with \
                 subjectAltName={name}"
            )
        } else if last.contains("HandshakeFailure") {
            "etcd's key may be of a kind that bgctl cannot use, as the P-521 key of --auto-tls is: RSA, P-256, P-384 and \
             Ed25519 can be used"
                .to_owned()
        } else {
            "compare ca, certificate and key in [store] of bgctl.toml with what etcd was started with".to_owned()
        }
    }

    fn reach_hint(&self) -> String {
        format!(
            "check endpoints in [store] of bgctl.toml and that etcd runs: `etcdctl --endpoints {} endpoint health`",
            self.first
        )
    }
}

/// The host of a URL, as a certificate names it.
fn name(url: &str) -> String {
    let host = url.strip_prefix("https://").unwrap_or(url);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let address = host.trim_matches(['[', ']']);
    match address.parse::<IpAddr>() {
        Ok(address) => format!("IP:{address}"),
        Err(_) => format!("DNS:{host}"),
    }
}

/// A connection ends in many ways, by chance, and all mean the same.
fn lost(message: &str) -> &str {
    let ends = ["broken pipe", "closed", "reset", "canceled", "eof"];
    if ends.iter().any(|end| message.to_lowercase().contains(end)) {
        "it closed the connection"
    } else {
        message
    }
}

/// The messages from `error` down to its source. gRPC's status is taken apart: its own text repeats what is below it,
/// with headers.
fn chain(error: &Error) -> Vec<String> {
    let (first, mut source) = match error {
        Error::GRpcStatus(status) => (status.message().to_owned(), status.source()),
        Error::TransportError(error) => (error.to_string(), error.source()),
        other => (other.to_string(), None),
    };
    let mut messages = vec![first];
    while let Some(error) = source {
        let message = error.to_string();
        // Each layer tends to repeat the one below it.
        if messages.last() != Some(&message) {
            messages.push(message);
        }
        source = error.source();
    }
    messages.retain(|message| !message.is_empty());
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_a_certificate_is_that_of_the_endpoint() {
        let names = [
            ("https://10.0.0.1:2379", "IP:10.0.0.1"),
            ("https://[fd00::1]:2379", "IP:fd00::1"),
            ("https://etcd1.example:2379", "DNS:etcd1.example"),
            ("https://etcd1", "DNS:etcd1"),
        ];
        for (url, expected) in names {
            assert_eq!(name(url), expected);
        }
    }
}
