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
    App, AppName, Artifact, Color, EnvName, EnvironmentFile, PROGRAM_PREFIX as PREFIX, Placeholders, Release,
    ReleaseId, Runtime, check_program,
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
    variables: Vec<(&'a EnvName, &'a String)>,
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
        for (name, ports) in &app.extra_ports {
            variables.add(&name.as_variable(), &ports.get(color).to_string())?;
        }
        let port = match &release.artifact {
            Artifact::Image { container_port, .. } => container_port.unwrap_or(host_port),
            Artifact::Program { .. } => host_port,
        };
        variables.add("PORT", &port.to_string())?;
        let placeholders = Placeholders::new(app, color, &release.id, port);
        let filled = |texts: &[String]| {
            texts
                .iter()
                .map(|text| placeholders.fill(text))
                .collect::<Result<Vec<_>, _>>()
        };
        let arguments = filled(&release.arguments)?;
        match &release.artifact {
            Artifact::Image { image, options, .. } => {
                variables.add("BGCTL_IMAGE", &image.to_string())?;
                let options = run_options(app, color, release, filled(options)?);
                variables.add("BGCTL_RUN_ARGS", &list(&options))?;
                variables.add("BGCTL_ARGS", &list(&arguments))?;
                variables.add_client(&own_variables(release, &placeholders, |name| {
                    release.is_of_client(name)
                })?)?;
            }
            Artifact::Program { path, file } => {
                check_program(path.as_str())?;
                if let Some(file) = file {
                    let json = serde_json::to_string(file).wrap_err("cannot write a program's file as JSON")?;
                    variables.add("BGCTL_PROGRAM", path.as_str())?;
                    variables.add("BGCTL_PROGRAM_FILE", &json)?;
                }
                variables.add_program(
                    path.as_str(),
                    arguments,
                    &own_variables(release, &placeholders, |_| true)?,
                )?;
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
        release.check_environment()?;
        let variables = release
            .environment
            .iter()
            .filter(|(name, _)| !release.is_of_client(name));
        let variables = variables.collect();
        let release = &release.id;
        Ok(Some(Self { release, variables }))
    }
}

fn has_container_environment(release: &Release) -> bool {
    let is_image = release.artifact.environment_file() == EnvironmentFile::Container;
    is_image && release.environment.keys().any(|name| !release.is_of_client(name))
}

/// Those of the app's own variables that are `wanted`, as one instance has them.
pub(super) fn own_variables(
    release: &Release,
    placeholders: &Placeholders,
    wanted: impl Fn(&EnvName) -> bool,
) -> eyre::Result<BTreeMap<EnvName, String>> {
    let mut variables = BTreeMap::new();
    for (name, value) in release.environment.iter().filter(|(name, _)| wanted(name)) {
        let value = if release.placeholders.contains(name) {
            placeholders.fill(value)?
        } else {
            value.clone()
        };
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

/// Variables of the unit, in order.
#[derive(Debug, Default)]
pub(super) struct Variables(pub(super) Vec<(String, String)>);

impl Variables {
    pub(super) fn add(&mut self, name: &str, value: &str) -> eyre::Result<()> {
        EnvironmentFile::Unit.check(name, value, false)?;
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Variables that a container gets from the environment of the docker client.
    pub(super) fn add_client(&mut self, own: &BTreeMap<EnvName, String>) -> eyre::Result<()> {
        if own.is_empty() {
            return Ok(());
        }
        self.add("BGCTL_CLIENT_ENV", &list(&["-S".to_owned(), renamed(own)]))?;
        self.add_own(own)
    }

    /// The app's own variables, under names that mean nothing to anybody.
    fn add_own(&mut self, own: &BTreeMap<EnvName, String>) -> eyre::Result<()> {
        for (name, value) in own {
            EnvironmentFile::Unit.check(name.as_str(), value, false)?;
            self.0.push((format!("{PREFIX}{name}"), value.clone()));
        }
        Ok(())
    }

    /// A program and its own variables.
    pub(super) fn add_program(
        &mut self,
        path: &str,
        arguments: Vec<String>,
        own: &BTreeMap<EnvName, String>,
    ) -> eyre::Result<()> {
        if own.is_empty() {
            self.add("BGCTL_EXEC", path)?;
            return self.add("BGCTL_ARGS", &list(&arguments));
        }
        let mut words = vec!["-S".to_owned(), renamed(own), path.to_owned()];
        words.extend(arguments);
        self.add("BGCTL_EXEC", "/usr/bin/env")?;
        self.add("BGCTL_ARGS", &list(&words))?;
        self.add_own(own)
    }
}

/// What makes `env -S` give variables their names: it expands `${NAME}` in its own memory, so that no command line shows a value,
/// and takes the prefixed ones out of the environment.
fn renamed(own: &BTreeMap<EnvName, String>) -> String {
    let unset = own.keys().map(|name| format!("-u {PREFIX}{name}"));
    let set = own.keys().map(|name| format!("{name}=${{{PREFIX}{name}}}"));
    unset.chain(set).collect::<Vec<_>>().join(" ")
}

/// The options of `docker run` that belong to a release; `options` are its own.
fn run_options(app: &App, color: Color, release: &Release, options: Vec<String>) -> Vec<String> {
    let Artifact::Image {
        container_port, memory, ..
    } = &release.artifact
    else {
        return Vec::new();
    };
    let port = *app.ports.get(color);
    let publish = container_port.map(|inside| format!("--publish=127.0.0.1:{port}:{inside}"));
    let mut all: Vec<_> = publish.into_iter().collect();
    all.extend([
        format!("--label=bgctl.app={}", app.name),
        format!("--label=bgctl.color={color}"),
        format!("--label=bgctl.release={}", release.id),
    ]);
    all.extend(OURS.map(|name| format!("--env={name}")));
    all.extend(
        app.extra_ports
            .keys()
            .map(|name| format!("--env={}", name.as_variable())),
    );
    let instance = format!("{}-{port}", app.name);
    all.extend(shared_options(app, release, &instance, *memory));
    all.extend(options);
    all
}

/// Those of `run_options` that a companion has as well; `instance` is what its unit is called in `/run`.
pub(super) fn shared_options(app: &App, release: &Release, instance: &str, memory: Option<u64>) -> Vec<String> {
    let Artifact::Image {
        volumes, credentials, ..
    } = &release.artifact
    else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let of_client = release.environment.keys().filter(|name| release.is_of_client(name));
    all.extend(of_client.map(|name| format!("--env={name}")));
    if has_container_environment(release) {
        let (app, id) = (&app.name, &release.id);
        all.push(format!("--env-file=/var/lib/bgctl/{app}/releases/{id}.container-env"));
    }
    all.extend(volumes.iter().map(|volume| format!("--volume={volume}")));
    all.extend(memory.map(|bytes| format!("--memory={bytes}")));
    if *credentials {
        // A bind mount, unlike a volume, fails where the unit has no credentials.
        all.push(format!(
            "--mount=type=bind,source=/run/bgctl-{instance}/credentials,target=/run/credentials,readonly"
        ));
        // An option counts more than the file; what the app sets itself counts, as it does for a program.
        let name = "CREDENTIALS_DIRECTORY";
        if release.environment.keys().all(|own| own.as_str() != name) {
            all.push(format!("--env={name}=/run/credentials"));
        }
    }
    all
}

/// A list as one variable that the unit names as `$NAME`.
pub(super) fn list(words: &[String]) -> String {
    words.iter().map(|each| word(each)).collect::<Vec<_>>().join(" ")
}
