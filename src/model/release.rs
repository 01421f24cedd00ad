//! Releases: what runs in a color, and can run there again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{
    App, Companion, EnvName, EnvironmentFile, HealthCheck, ImageRef, Invalid, Port, ProgramFile, ReleaseId,
    ResolvedImage, Runtime, Verify, has_placeholder,
};

/// What a release is made of. Immutable: it is written once, under its id, and a rollback runs exactly this again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its id, one in an app.
    pub id: ReleaseId,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// What runs.
    pub artifact: Artifact,
    /// Arguments of the app, with placeholders not yet filled in.
    pub arguments: Vec<String>,
    /// The app's whole environment: the manifest's and its `env_file`'s as they were then. May hold secrets.
    pub environment: BTreeMap<EnvName, String>,
    /// The variables whose values have placeholders: of the manifest's own, not of its `env_file`'s.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub placeholders: BTreeSet<EnvName>,
    /// How an instance of it proves that it is healthy.
    pub health: HealthCheck,
    /// What else it must pass before it takes traffic; `None` in records of bgctl 0.1.0: what the manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// What runs beside its color while that is active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<Companion>,
}

/// What runs, resolved, with the settings that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Artifact {
    /// A container of an image.
    Image {
        /// As a person named it.
        reference: ImageRef,
        /// What that was when the release was made.
        image: ResolvedImage,
        /// The port the app listens on in its container. `None`: the container has the host's network, and the app listens on
        /// its color's own port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        container_port: Option<Port>,
        /// `docker run --volume` values.
        volumes: Vec<String>,
        /// The most memory it may use, bytes.
        memory: Option<u64>,
        /// More options of `docker run`, with placeholders.
        options: Vec<String>,
        /// Whether the unit's credentials are mounted at `/run/credentials`.
        credentials: bool,
    },
    /// A program of the host.
    Program {
        /// Its absolute path, without links that could move.
        path: Utf8PathBuf,
        /// Its file as it was when the release was made; `None` in records of bgctl 0.1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<ProgramFile>,
    },
}

/// What a release is made from: resolved when it is made, so that it can never mean anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// An image.
    Image {
        /// As a person named it.
        reference: ImageRef,
        /// What that is now.
        image: ResolvedImage,
    },
    /// A program of the host.
    Program {
        /// Its absolute path, without links that could move.
        path: Utf8PathBuf,
        /// Its file as it is now; `None` where that is not known.
        file: Option<ProgramFile>,
    },
}

impl Release {
    /// A release of `app` with its settings as they are now; `env_file` is what its file says, and what the manifest
    /// sets itself wins. Fails with [`Invalid`] where `resolved` is of the other runtime than the app, or where a variable
    /// cannot be handed to it.
    pub fn new(
        app: &App,
        id: ReleaseId,
        created: jiff::Timestamp,
        resolved: Resolved,
        env_file: BTreeMap<EnvName, String>,
    ) -> Result<Self, Invalid> {
        let artifact = match (resolved, &app.run.runtime) {
            (Resolved::Image { reference, image }, Runtime::Docker(docker)) => Artifact::Image {
                reference,
                image,
                container_port: docker.container_port,
                volumes: docker.volumes.clone(),
                memory: app.run.memory,
                options: docker.options.clone(),
                credentials: !app.run.credentials.is_empty(),
            },
            (Resolved::Program { path, file }, Runtime::Program(_)) => Artifact::Program { path, file },
            (Resolved::Image { .. }, Runtime::Program(_)) => {
                return Err(Invalid::new(
                    "cannot use an image: the app is a program of the host (exec in its manifest)",
                ));
            }
            (Resolved::Program { .. }, Runtime::Docker(_)) => {
                return Err(Invalid::new(
                    "cannot use a program: the app is a container (image in its manifest)",
                ));
            }
        };
        let mut environment = env_file;
        environment.extend(app.run.environment.clone());
        let own = app.run.environment.iter();
        let placeholders = own
            .filter(|(_, value)| has_placeholder(value))
            .map(|(name, _)| name.clone())
            .collect();
        let release = Self {
            id,
            created,
            artifact,
            arguments: app.run.arguments.clone(),
            environment,
            placeholders,
            health: app.health.clone(),
            verify: Some(app.verify.clone()),
            companions: app.companions.clone(),
        };
        release.check_environment()?;
        Ok(release)
    }

    /// Errors with [`Invalid`] where a variable cannot be handed to the app.
    pub fn check_environment(&self) -> Result<(), Invalid> {
        let file = self.artifact.environment_file();
        self.environment
            .iter()
            .try_for_each(|(name, value)| file.check(name.as_str(), value, self.placeholders.contains(name)))
    }

    /// Whether the file for `docker run --env-file` does not carry a variable of a container: it is the same for both colors, and
    /// has a line for each. The docker client takes it from its own environment then.
    pub fn is_of_client(&self, name: &EnvName) -> bool {
        let value = self.environment.get(name);
        let file = self.artifact.environment_file();
        value.is_some_and(|value| file.is_of_client(value, self.placeholders.contains(name)))
    }

    /// Whether the unit of `app` can run it: an image in a container, a program on the host.
    pub fn fits(&self, app: &App) -> bool {
        matches!(
            (&self.artifact, &app.run.runtime),
            (Artifact::Image { .. }, Runtime::Docker(_)) | (Artifact::Program { .. }, Runtime::Program(_))
        )
    }

    /// Whether the two would run the same: all is equal but the id, the time, and what is asked of it once.
    pub fn same_content(&self, other: &Self) -> bool {
        let Self {
            id: _,
            created: _,
            artifact,
            arguments,
            environment,
            placeholders,
            health,
            verify: _,
            companions,
        } = self;
        artifact.is_same(&other.artifact)
            && *arguments == other.arguments
            && *environment == other.environment
            && *placeholders == other.placeholders
            && *health == other.health
            && *companions == other.companions
    }
}

impl Artifact {
    /// Whether the two run the same: a program of the same content, whenever it was written. What a record does not say is not
    /// another one.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Program { path, file },
                Self::Program {
                    path: theirs,
                    file: other,
                },
            ) => {
                let is_other = matches!((file, other), (Some(ours), Some(other)) if ours.sha256 != other.sha256);
                path == theirs && !is_other
            }
            _ => self == other,
        }
    }

    /// Where a container listens inside, whose color has the port `host`. Returns `None` for a program.
    pub fn inside(&self, host: Port) -> Option<Port> {
        match self {
            Self::Image { container_port, .. } => Some(container_port.unwrap_or(host)),
            Self::Program { .. } => None,
        }
    }

    /// The kind of file by which it gets its variables.
    pub fn environment_file(&self) -> EnvironmentFile {
        match self {
            Self::Image { .. } => EnvironmentFile::Container,
            Self::Program { .. } => EnvironmentFile::Unit,
        }
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { image, .. } => image.fmt(f),
            Self::Program { path, .. } => path.fmt(f),
        }
    }
}
