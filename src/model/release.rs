//! Releases: what runs in a color, and can run there again.

use std::collections::BTreeMap;
use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::{App, EnvName, EnvironmentFile, HealthCheck, ImageRef, Invalid, Port, ReleaseId, ResolvedImage, Runtime};

/// What a release is made of. Immutable: it is written once, under its id, and a rollback runs exactly this again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its id, one in an app.
    pub id: ReleaseId,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// What runs.
    pub artifact: Artifact,
    /// Arguments of the app, with `{port}` not yet replaced.
    pub arguments: Vec<String>,
    /// The app's whole environment: the manifest's and its `env_file`'s as they were then. May hold secrets.
    pub environment: BTreeMap<EnvName, String>,
    /// How an instance of it proves that it is healthy.
    pub health: HealthCheck,
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
        /// The port the app listens on in its container.
        container_port: Port,
        /// `docker run --volume` values.
        volumes: Vec<String>,
        /// The most memory it may use, bytes.
        memory: Option<u64>,
        /// More options of `docker run`.
        options: Vec<String>,
        /// Whether the unit's credentials are mounted at `/run/credentials`.
        credentials: bool,
    },
    /// A program of the host.
    Program {
        /// Its absolute path.
        path: Utf8PathBuf,
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
    /// A program of the host, its absolute path.
    Program(Utf8PathBuf),
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
            (Resolved::Program(path), Runtime::Program(_)) => Artifact::Program { path },
            (Resolved::Image { .. }, Runtime::Program(_)) => {
                return Err(Invalid::new(
                    "cannot use an image: the app is a program of the host (exec in its manifest)",
                ));
            }
            (Resolved::Program(_), Runtime::Docker(_)) => {
                return Err(Invalid::new(
                    "cannot use a program: the app is a container (image in its manifest)",
                ));
            }
        };
        let mut environment = env_file;
        environment.extend(app.run.environment.clone());
        let file = artifact.environment_file();
        environment
            .iter()
            .try_for_each(|(name, value)| file.check(name.as_str(), value))?;
        Ok(Self {
            id,
            created,
            artifact,
            arguments: app.run.arguments.clone(),
            environment,
            health: app.health.clone(),
        })
    }

    /// Whether the unit of `app` can run it: an image in a container, a program on the host.
    pub fn fits(&self, app: &App) -> bool {
        matches!(
            (&self.artifact, &app.run.runtime),
            (Artifact::Image { .. }, Runtime::Docker(_)) | (Artifact::Program { .. }, Runtime::Program(_))
        )
    }

    /// Whether the two would run the same: all is equal but the id and the time.
    pub fn same_content(&self, other: &Self) -> bool {
        let Self {
            id: _,
            created: _,
            artifact,
            arguments,
            environment,
            health,
        } = self;
        *artifact == other.artifact
            && *arguments == other.arguments
            && *environment == other.environment
            && *health == other.health
    }
}

impl Artifact {
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
            Self::Program { path } => path.fmt(f),
        }
    }
}
