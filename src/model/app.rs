//! An app as its validated manifest describes it.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::{
    AppName, ByColor, Color, Companion, CredentialId, EnvName, EnvironmentFile, HealthCheck, ImageRef, OnChange, Port,
    PortName, Pull, Site, Strategy, Verify,
};

/// An app: everything that its manifest says, validated, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: AppName,
    /// What runs.
    pub run: Run,
    /// The fixed port of each color; never the same.
    pub ports: ByColor<Port>,
    /// The other ports of each color, by name; never one that is another's.
    pub extra_ports: BTreeMap<PortName, ByColor<Port>>,
    /// What runs beside the active color, in the order of the manifest.
    pub companions: Vec<Companion>,
    /// How an instance proves that it is healthy.
    pub health: HealthCheck,
    /// What else a release must pass before it takes traffic.
    pub verify: Verify,
    /// The nginx site.
    pub site: Site,
    /// How a new release takes the place of the old one.
    pub strategy: Strategy,
    /// What becomes of a release that is staged.
    pub stage: Stage,
    /// How long a release is watched after its promote, while the old one still runs ([`Strategy::BlueGreen`]); zero: not at all.
    pub bake: Duration,
    /// How long a release that takes traffic waits to be confirmed by a person, after its bake; `None`: it needs nobody.
    pub confirm_within: Option<Duration>,
    /// How the old color ends.
    pub drain: Drain,
}

impl App {
    /// How long a color may take to finish its requests before it is stopped. Where others are held meanwhile, half of their time is
    /// left for the start of the next color.
    pub fn drain_timeout(&self) -> Duration {
        match self.strategy {
            Strategy::BlueGreen => self.drain.timeout,
            Strategy::StopFirst { hold } => self.drain.timeout.min(hold / 2),
        }
    }

    /// All ports of a color, its own first.
    pub fn ports_of(&self, color: Color) -> impl Iterator<Item = Port> {
        let extra = self.extra_ports.values().map(move |ports| *ports.get(color));
        std::iter::once(*self.ports.get(color)).chain(extra)
    }
}

/// What runs in a color, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// A container or a program of the host.
    pub runtime: Runtime,
    /// Arguments of the app, with [`Placeholders`](super::Placeholders).
    pub arguments: Vec<String>,
    /// Environment of the app, with placeholders in its values.
    pub environment: BTreeMap<EnvName, String>,
    /// A file with more of it, read when a release is made; `environment` wins.
    pub env_file: Option<Utf8PathBuf>,
    /// systemd credentials (systemd.exec(5), `LoadCredential=`): id and path of the file.
    pub credentials: BTreeMap<CredentialId, Utf8PathBuf>,
    /// The most memory an instance may use, bytes.
    pub memory: Option<u64>,
    /// How long an instance may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// Lines for the unit's `[Service]` section, as they are: the operator's escape hatch.
    pub service: Vec<String>,
}

/// What kind of thing an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// A Docker container.
    Docker(Docker),
    /// A program of the host.
    Program(Program),
}

impl Runtime {
    /// Where a container listens inside, whose color has the port `host`. Returns `None` for a program.
    pub fn inside(&self, host: Port) -> Option<Port> {
        match self {
            Self::Docker(docker) => Some(docker.container_port.unwrap_or(host)),
            Self::Program(_) => None,
        }
    }

    /// The kind of file by which an instance gets its variables.
    pub fn environment_file(&self) -> EnvironmentFile {
        match self {
            Self::Docker(_) => EnvironmentFile::Container,
            Self::Program(_) => EnvironmentFile::Unit,
        }
    }
}

/// Settings of the docker runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// The image that a switch takes where none is given.
    pub image: ImageRef,
    /// When a switch asks the registry what an image is.
    pub pull: Pull,
    /// The port the app listens on in its container. `None`: the container has the host's network, and the app listens on its
    /// color's own port.
    pub container_port: Option<Port>,
    /// `docker run --volume` values.
    pub volumes: Vec<String>,
    /// More options of `docker run`, with placeholders: the operator's escape hatch.
    pub options: Vec<String>,
}

/// Settings of the executable runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program that a switch takes where none is given, an absolute path without `=`.
    pub path: Utf8PathBuf,
    /// Where it runs; systemd's default is `/`.
    pub working_directory: Option<Utf8PathBuf>,
    /// What is done about a planned start of a release whose program was changed since; `None`: see [`OnChange::of`].
    pub on_change: Option<OnChange>,
    /// Whether it has `/var/lib/private/APP` to write to (systemd.exec(5), `StateDirectory=`).
    pub state_directory: bool,
}

/// What becomes of a release that is staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// How long after it was proven it can be promoted, more than zero; `None`: for ever.
    pub expires: Option<Duration>,
}

/// How the old color ends after a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long open requests and websockets may take; what is left then is cut when the instance stops.
    pub timeout: Duration,
    /// Whether the old color stays up after its drain, so that a rollback is only a flip.
    pub keep_warm: bool,
}
