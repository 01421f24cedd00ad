//! The host's settings, validated, with the defaults filled in.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::{Port, UnitName};

/// What `/etc/bgctl/bgctl.toml` says about this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where cursors live.
    pub store: StoreSettings,
    /// The host's nginx.
    pub nginx: NginxSettings,
    /// The host's Docker.
    pub docker: DockerSettings,
}

/// Where cursors live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// In files of this host.
    Local,
    /// In etcd.
    Etcd(EtcdSettings),
}

impl StoreSettings {
    /// Whether cursors live where this host cannot always reach them.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Etcd(_))
    }

    /// How long a missing answer is waited for; files of this host answer at once.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Etcd(etcd) => etcd.patience,
            Self::Local => Duration::ZERO,
        }
    }
}

/// How etcd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSettings {
    /// URLs of its members, `http://` or `https://`; never empty.
    pub endpoints: Vec<String>,
    /// What stands before `APP/...` in every key; starts and ends with `/`.
    pub prefix: String,
    /// User and the file that holds the password.
    pub user: Option<(String, Utf8PathBuf)>,
    /// Certificate of the authority that signed the members' certificates, PEM; the system's where none is given.
    pub ca: Option<Utf8PathBuf>,
    /// Certificate and key of this client, PEM.
    pub client: Option<super::Certificate>,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long a switch that does not know whether it moved the cursor waits for an answer.
    pub patience: Duration,
}

/// The host's nginx: its package or a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxSettings {
    /// Its unit.
    pub unit: UnitName,
    /// The folder for sites; none: `/etc/nginx/sites-enabled` where that exists, else `/etc/nginx/conf.d`.
    pub sites: Option<Utf8PathBuf>,
    /// The command that checks its whole configuration; never empty.
    pub test: Vec<String>,
    /// The port on 127.0.0.1 by which bgctl asks it.
    pub control_port: Port,
}

/// The host's Docker engine and client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSettings {
    /// The client that the units run.
    pub program: Utf8PathBuf,
    /// The engine's socket.
    pub socket: Utf8PathBuf,
}
