//! The environment file of an instance: what makes it run one release.

use askama::Template;
use eyre::Context as _;

use super::check;
use super::escape::word;
use crate::model::{App, Artifact, Color, Port, Release, ReleaseId, Runtime, check_program};

/// `templates/app.env`.
#[derive(Debug, Template)]
#[template(path = "app.env", config = "templates/askama.toml")]
pub struct Environment {
    release: ReleaseId,
    variables: Vec<(String, String)>,
}

/// What the app in a container gets from bgctl; the docker client takes the values from its own environment.
const OURS: [&str; 5] = ["BGCTL_RELEASE", "BGCTL_APP", "BGCTL_COLOR", "BGCTL_PORT", "PORT"];

impl Environment {
    /// The environment of the instance of `color` that runs `release`; fails with [`crate::model::Invalid`] where a
    /// value cannot be handed through.
    pub fn new(app: &App, color: Color, release: &Release) -> eyre::Result<Self> {
        let host_port = *app.ports.get(color);
        let in_container = matches!(release.artifact, Artifact::Image { .. });
        if in_container != matches!(app.run.runtime, Runtime::Docker(_)) {
            return Err(eyre::eyre!(
                "the release is {}, and the unit of {} runs the other kind of thing",
                if in_container { "an image" } else { "a program" },
                app.name
            ));
        }
        let mut variables = Variables(Vec::new());
        variables.add("BGCTL_APP", app.name.as_str())?;
        variables.add("BGCTL_COLOR", color.as_str())?;
        variables.add("BGCTL_PORT", &host_port.to_string())?;
        let health = serde_json::to_string(&release.health).wrap_err("cannot write the health check as JSON")?;
        variables.add("BGCTL_HEALTH", &health)?;
        match &release.artifact {
            Artifact::Image {
                image, container_port, ..
            } => {
                variables.add("PORT", &container_port.to_string())?;
                variables.add("BGCTL_IMAGE", &image.to_string())?;
                variables.add("BGCTL_RUN_ARGS", &list(&run_options(app, color, release)))?;
                variables.add("BGCTL_ARGS", &list(&arguments(release, *container_port)))?;
            }
            Artifact::Program { path } => {
                check_program(path.as_str())?;
                variables.add("PORT", &host_port.to_string())?;
                variables.add("BGCTL_EXEC", path.as_str())?;
                variables.add("BGCTL_ARGS", &list(&arguments(release, host_port)))?;
            }
        }
        for (name, value) in &release.environment {
            if !(in_container && FOR_THE_CLIENT.contains(&name.as_str())) {
                variables.add(name.as_str(), value)?;
            }
        }
        Ok(Self {
            release: release.id.clone(),
            variables: variables.0,
        })
    }
}

struct Variables(Vec<(String, String)>);

impl Variables {
    fn add(&mut self, name: &str, value: &str) -> eyre::Result<()> {
        self.0.push((name.to_owned(), check::variable(name, value)?.to_owned()));
        Ok(())
    }
}

/// The app's arguments with `{port}` replaced by the port it listens on.
fn arguments(release: &Release, port: Port) -> Vec<String> {
    let port = port.to_string();
    release
        .arguments
        .iter()
        .map(|each| each.replace("{port}", &port))
        .collect()
}

/// The options of `docker run` that belong to a release.
fn run_options(app: &App, color: Color, release: &Release) -> Vec<String> {
    let Artifact::Image {
        container_port,
        volumes,
        memory,
        options,
        credentials,
        ..
    } = &release.artifact
    else {
        return Vec::new();
    };
    let port = *app.ports.get(color);
    let mut all = vec![
        format!("--publish=127.0.0.1:{port}:{container_port}"),
        format!("--label=bgctl.app={}", app.name),
        format!("--label=bgctl.color={color}"),
        format!("--label=bgctl.release={}", release.id),
    ];
    all.extend(OURS.map(|name| format!("--env={name}")));
    all.extend(release.environment.iter().map(|(name, value)| {
        if FOR_THE_CLIENT.contains(&name.as_str()) {
            format!("--env={name}={value}")
        } else {
            format!("--env={name}")
        }
    }));
    all.extend(volumes.iter().map(|volume| format!("--volume={volume}")));
    all.extend(memory.map(|bytes| format!("--memory={bytes}")));
    if *credentials {
        // A bind mount, unlike a volume, fails where the unit has no credentials.
        all.push(format!(
            "--mount=type=bind,source=/run/bgctl-{}-{port}/credentials,target=/run/credentials,readonly",
            app.name
        ));
        all.push("--env=CREDENTIALS_DIRECTORY=/run/credentials".to_owned());
    }
    all.extend(options.iter().cloned());
    all
}

/// Variables that the docker client or the dynamic linker would take for themselves, were they in the client's
/// environment: they go to the container with their value on the command line. So only names that are settings are in
/// the list, and none that holds a secret (docker(1), ld.so(8), systemd.exec(5)).
const FOR_THE_CLIENT: [&str; 23] = [
    "CREDENTIALS_DIRECTORY",
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
    "DOCKER_CONTENT_TRUST",
    "DOCKER_CONTEXT",
    "DOCKER_DEFAULT_PLATFORM",
    "DOCKER_HOST",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "HOME",
    "LD_AUDIT",
    "LD_DEBUG",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NOTIFY_SOCKET",
    "PATH",
    "RUNTIME_DIRECTORY",
];

/// A list as one variable that the unit names as `$NAME`.
fn list(words: &[String]) -> String {
    words.iter().map(|each| word(each)).collect::<Vec<_>>().join(" ")
}
