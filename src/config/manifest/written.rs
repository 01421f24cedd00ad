//! The manifest as written: every key optional, every single value checked.

mod verify;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

pub(super) use self::verify::{Verify, VerifyCheck, VerifyCommands};
use crate::config::value::{
    AbsolutePath, DockerOption, HeaderName, HeaderValue, HealthPath, HostHeader, Line, PortNumber, ServiceLine, Size,
    Status, Text, Time, Volume,
};
use crate::model::{
    AppName, CompanionName, CredentialId, EnvName, ImageRef, Listen, Network, OnChange, PathPrefix, PortName, Protocol,
    Pull, QuietSignal, ServerName, StrategyName,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Manifest {
    pub(super) name: Option<AppName>,
    pub(super) run: Option<Spanned<Run>>,
    #[serde(default)]
    pub(super) companion: Vec<Spanned<Companion>>,
    #[serde(default)]
    pub(super) ports: Ports,
    pub(super) health: Option<Spanned<Health>>,
    #[serde(default)]
    pub(super) verify: Verify,
    #[serde(default)]
    pub(super) nginx: Nginx,
    #[serde(default)]
    pub(super) switch: Switch,
    #[serde(default)]
    pub(super) stage: Stage,
    #[serde(default)]
    pub(super) bake: Bake,
    #[serde(default)]
    pub(super) drain: Drain,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Run {
    pub(super) image: Option<Spanned<ImageRef>>,
    pub(super) pull: Option<Spanned<Pull>>,
    pub(super) container_port: Option<Spanned<PortNumber>>,
    pub(super) volumes: Option<Spanned<Vec<Volume>>>,
    pub(super) docker_options: Option<Spanned<Vec<DockerOption>>>,
    pub(super) exec: Option<Spanned<AbsolutePath>>,
    pub(super) working_directory: Option<Spanned<AbsolutePath>>,
    pub(super) changed_program: Option<Spanned<OnChange>>,
    pub(super) state_directory: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) args: Vec<Line>,
    #[serde(default)]
    pub(super) env: BTreeMap<EnvName, Text>,
    pub(super) env_file: Option<AbsolutePath>,
    #[serde(default)]
    pub(super) credentials: BTreeMap<CredentialId, AbsolutePath>,
    pub(super) memory: Option<Spanned<Size>>,
    pub(super) stop_timeout: Option<Spanned<Time>>,
    #[serde(default)]
    pub(super) service: Vec<ServiceLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Companion {
    pub(super) name: CompanionName,
    #[serde(default)]
    pub(super) args: Vec<Spanned<Line>>,
    pub(super) memory: Option<Spanned<Size>>,
    pub(super) replicas: Option<Spanned<u8>>,
    pub(super) quiet_signal: Option<QuietSignal>,
    pub(super) stop_timeout: Option<Spanned<Time>>,
    #[serde(default)]
    pub(super) overlap: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Ports {
    pub(super) blue: Option<Spanned<PortNumber>>,
    pub(super) green: Option<Spanned<PortNumber>>,
    #[serde(default)]
    pub(super) extra: BTreeMap<PortName, ExtraPort>,
    #[serde(default)]
    pub(super) allow_privileged: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, as in { blue = 9101, green = 9102 }")]
pub(super) struct ExtraPort {
    pub(super) blue: Spanned<PortNumber>,
    pub(super) green: Spanned<PortNumber>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Health {
    pub(super) path: Option<Spanned<HealthPath>>,
    pub(super) expect: Option<Spanned<Status>>,
    pub(super) host: Option<Spanned<HostHeader>>,
    pub(super) headers: Option<Spanned<BTreeMap<HeaderName, HeaderValue>>>,
    pub(super) tcp: Option<Spanned<bool>>,
    pub(super) image: Option<Spanned<bool>>,
    pub(super) command: Option<Spanned<Vec<Line>>>,
    pub(super) interval: Option<Spanned<Time>>,
    pub(super) timeout: Option<Spanned<Time>>,
    pub(super) deadline: Option<Spanned<Time>>,
    pub(super) healthy_for: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Nginx {
    pub(super) server_name: Option<Spanned<Vec<Spanned<ServerName>>>>,
    pub(super) listen: Option<Spanned<Vec<Spanned<ListenEntry>>>>,
    #[serde(default)]
    pub(super) default_server: bool,
    pub(super) certificate: Option<Spanned<AbsolutePath>>,
    pub(super) certificate_key: Option<Spanned<AbsolutePath>>,
    pub(super) max_body_size: Option<Size>,
    pub(super) max_head_size: Option<Spanned<Size>>,
    pub(super) read_timeout: Option<Spanned<Time>>,
    pub(super) send_timeout: Option<Spanned<Time>>,
    pub(super) include: Option<AbsolutePath>,
    pub(super) trusted_proxies: Option<Spanned<Vec<Spanned<Network>>>>,
    #[serde(default)]
    pub(super) protocol: Protocol,
    pub(super) buffering: Option<bool>,
    #[serde(default)]
    pub(super) location: Vec<Spanned<NginxLocation>>,
    #[serde(default)]
    pub(super) shared_paths: Vec<Spanned<PathPrefix>>,
    pub(super) error_page: Option<AbsolutePath>,
    pub(super) empty_page: Option<AbsolutePath>,
    pub(super) acme_root: Option<Spanned<AbsolutePath>>,
}

/// An address alone, or with options.
#[derive(Clone, Debug)]
pub(super) enum ListenEntry {
    Address(Listen),
    Table(ListenTable),
}

impl ListenEntry {
    pub(super) fn address(&self) -> &Listen {
        match self {
            Self::Address(address) | Self::Table(ListenTable { address, .. }) => address,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct ListenTable {
    pub(super) address: Listen,
    pub(super) tls: Option<bool>,
    #[serde(default)]
    pub(super) http2: bool,
    #[serde(default)]
    pub(super) proxy_protocol: bool,
    #[serde(default)]
    pub(super) redirect_to_https: bool,
}

impl ListenTable {
    /// An address alone.
    pub(super) fn plain(address: Listen) -> Self {
        Self {
            address,
            tls: None,
            http2: false,
            proxy_protocol: false,
            redirect_to_https: false,
        }
    }
}

impl<'de> Deserialize<'de> for ListenEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = ListenEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address in quotes, or a table with one")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ListenEntry, E> {
                Listen::parse(text).map(ListenEntry::Address).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListenEntry, A::Error> {
                ListenTable::deserialize(MapAccessDeserializer::new(map)).map(ListenEntry::Table)
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct NginxLocation {
    pub(super) path: PathPrefix,
    pub(super) protocol: Option<Protocol>,
    pub(super) buffering: Option<bool>,
    pub(super) max_body_size: Option<Size>,
    pub(super) read_timeout: Option<Spanned<Time>>,
    pub(super) send_timeout: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Switch {
    pub(super) strategy: Option<Spanned<StrategyName>>,
    pub(super) hold: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Stage {
    pub(super) expires: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Bake {
    pub(super) duration: Option<Time>,
    pub(super) confirm_within: Option<Spanned<Time>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Drain {
    pub(super) timeout: Option<Time>,
    #[serde(default)]
    pub(super) keep_warm: bool,
}
