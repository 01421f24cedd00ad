//! How etcd is connected to: TLS, user and password.

use std::time::Duration;

use camino::Utf8Path;
use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use eyre::WrapErr;
use secrecy::{ExposeSecret, SecretString};

use crate::model::{EtcdSettings, Hint};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const HINT: &str = "[store] in bgctl.toml names this file";

/// After how long without any frame on a connection with a call on it a ping is sent, and how long its answer may take: a
/// member that vanished without a word is noticed within 9 s, while the lease of 10 s ([`LEASE_TTL`](super::super::LEASE_TTL))
/// can still be kept through another one.
///
/// etcd closes a connection (`GOAWAY`, `too_many_pings`) whose pings come more often than every 5 s (`--grpc-keepalive-min-time`)
/// or while no call is on it (gRPC's `PermitWithoutStream`), so none is sent to an idle one.
const PING: Duration = Duration::from_secs(6);
const PONG: Duration = Duration::from_secs(3);

/// The options of a connection; fails where a file that the settings name cannot be read.
pub(super) fn options(settings: &EtcdSettings) -> eyre::Result<ConnectOptions> {
    let mut options = ConnectOptions::new()
        .with_connect_timeout(settings.timeout)
        .with_keep_alive(PING, PONG)
        .with_keep_alive_while_idle(false)
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    if let Some((user, file)) = &settings.user {
        options = options.with_user(user, password(file)?.expose_secret());
    }
    if settings.endpoints.iter().any(|url| url.starts_with("https://")) {
        options = options.with_tls(tls(settings)?);
    }
    Ok(options)
}

fn password(file: &Utf8Path) -> eyre::Result<SecretString> {
    let text = fs_err::read_to_string(file)
        .wrap_err("cannot read the password of etcd")
        .hint(HINT)?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(eyre::eyre!("cannot use the password of etcd: {file} is empty")).hint(HINT);
    }
    Ok(password.into())
}

fn tls(settings: &EtcdSettings) -> eyre::Result<TlsOptions> {
    let mut tls = match &settings.ca {
        Some(ca) => TlsOptions::new().ca_certificate(Certificate::from_pem(read(ca, "CA certificate", CERTIFICATE)?)),
        None => TlsOptions::new().with_native_roots(),
    };
    if let Some(client) = &settings.client {
        let certificate = read(&client.certificate, "client certificate", CERTIFICATE)?;
        let key = SecretString::from(read(&client.key, "client key", "PRIVATE KEY-----")?);
        tls = tls.identity(Identity::from_pem(certificate, key.expose_secret()));
    }
    Ok(tls)
}

fn read(file: &Utf8Path, what: &str, label: &str) -> eyre::Result<String> {
    let pem = fs_err::read_to_string(file)
        .wrap_err_with(|| format!("cannot read the {what} for etcd"))
        .hint(HINT)?;
    if !pem.contains(label) {
        return Err(eyre::eyre!(
            "cannot use {file} as the {what} for etcd: it has no such PEM block"
        ))
        .hint(HINT);
    }
    Ok(pem)
}
