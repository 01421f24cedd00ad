//! The environment of an instance: what makes it run one release.
//!
//! systemd gives what stands in `PORT.env` to every command of the unit, as root to some of them. So the app's own variables are
//! not there under their names, which may mean something to whoever starts (`LD_PRELOAD`, `MAINPID`, `DOCKER_HOST`): a
//! program's have a prefix that env(1) takes away in the last moment, and a container's are in a file of their own.

use std::collections::BTreeMap;

use askama::Template;
use eyre::WrapErr as _;

use super::escape::word;
use crate::model::{
    App, AppName, Artifact, Color, EnvName, EnvironmentFile, PROGRAM_PREFIX as PREFIX, Port, Release, ReleaseId,
    Runtime, check_program,
};

/// `templates/app.env`.
#[derive(Debug, Template)]
#[template(path = "app.env", config = "templates/askama.toml")]
pub struct Environment<'a> {
    app: &'a AppName,
    color: Color,
    release: &'a ReleaseId,
    variables: Variables,
}

/// `templates/app.container-env`.
#[derive(Debug, Template)]
#[template(path = "app.container-env", config = "templates/askama.toml")]
pub struct ContainerEnvironment<'a> {
    release: &'a ReleaseId,
    variables: &'a BTreeMap<EnvName, String>,
}

/// What an app gets from bgctl; the docker client takes the values from its own environment.
const OURS: [&str; 5] = ["BGCTL_RELEASE", "BGCTL_APP", "BGCTL_COLOR", "BGCTL_PORT", "PORT"];

impl<'a> Environment<'a> {
    /// The environment of the instance of `color` that runs `release`; errors with [`crate::model::Invalid`] where a value
    /// cannot be handed through.
    pub fn new(app: &'a App, color: Color, release: &'a Release) -> eyre::Result<Self> {
        let host_port = *app.ports.get(color);
        let in_container = matches!(release.artifact, Artifact::Image { .. });
        if in_container != matches!(app.run.runtime, Runtime::Docker(_)) {
            return Err(eyre::eyre!(
                "the release is {}, and the unit of {} runs the other kind of thing",
                if in_container { "an image" } else { "a program" },
                app.name
            ));
        }
        let mut variables = Variables::default();
        variables.add("BGCTL_RELEASE", release.id.as_str())?;
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
                variables.add_program(path.as_str(), arguments(release, host_port), &release.environment)?;
            }
        }
        Ok(Self {
            app: &app.name,
            color,
            release: &release.id,
            variables,
        })
    }
}

impl<'a> ContainerEnvironment<'a> {
    /// The variables of `release`; `None` where it has none, or is no image. Errors with [`crate::model::Invalid`] where the
    /// file cannot carry one.
    pub fn new(release: &'a Release) -> eyre::Result<Option<Self>> {
        if !has_container_environment(release) {
            return Ok(None);
        }
        let variables = &release.environment;
        for (name, value) in variables {
            EnvironmentFile::Container.check(name.as_str(), value)?;
        }
        let release = &release.id;
        Ok(Some(Self { release, variables }))
    }
}

fn has_container_environment(release: &Release) -> bool {
    release.artifact.environment_file() == EnvironmentFile::Container && !release.environment.is_empty()
}

/// Variables of the unit, in order.
#[derive(Debug, Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn add(&mut self, name: &str, value: &str) -> eyre::Result<()> {
        EnvironmentFile::Unit.check(name, value)?;
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// A program and its own variables: `env -S` expands `${NAME}` in its own memory, so that no command line shows a value,
    /// and takes the prefixed ones out of the environment.
    fn add_program(&mut self, path: &str, arguments: Vec<String>, own: &BTreeMap<EnvName, String>) -> eyre::Result<()> {
        if own.is_empty() {
            self.add("BGCTL_EXEC", path)?;
            return self.add("BGCTL_ARGS", &list(&arguments));
        }
        let unset = own.keys().map(|name| format!("-u {PREFIX}{name}"));
        let set = own.keys().map(|name| format!("{name}=${{{PREFIX}{name}}}"));
        let split = unset.chain(set).collect::<Vec<_>>().join(" ");
        let mut words = vec!["-S".to_owned(), split, path.to_owned()];
        words.extend(arguments);
        self.add("BGCTL_EXEC", "/usr/bin/env")?;
        self.add("BGCTL_ARGS", &list(&words))?;
        for (name, value) in own {
            EnvironmentFile::Unit.check(name.as_str(), value)?;
            self.0.push((format!("{PREFIX}{name}"), value.clone()));
        }
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
    if has_container_environment(release) {
        let (app, id) = (&app.name, &release.id);
        all.push(format!("--env-file=/var/lib/bgctl/{app}/releases/{id}.container-env"));
    }
    all.extend(volumes.iter().map(|volume| format!("--volume={volume}")));
    all.extend(memory.map(|bytes| format!("--memory={bytes}")));
    if *credentials {
        // A bind mount, unlike a volume, fails where the unit has no credentials.
        all.push(format!(
            "--mount=type=bind,source=/run/bgctl-{}-{port}/credentials,target=/run/credentials,readonly",
            app.name
        ));
        // An option counts more than the file; what the app sets itself counts, as it does for a program.
        let name = "CREDENTIALS_DIRECTORY";
        if release.environment.keys().all(|own| own.as_str() != name) {
            all.push(format!("--env={name}=/run/credentials"));
        }
    }
    all.extend(options.iter().cloned());
    all
}

/// A list as one variable that the unit names as `$NAME`.
fn list(words: &[String]) -> String {
    words.iter().map(|each| word(each)).collect::<Vec<_>>().join(" ")
}
