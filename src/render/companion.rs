//! The environment of a companion's replica: as that of the instance beside it, without its ports and its health check.

use askama::Template;

use super::environment::{Variables, list, own_variables, shared_options};
use crate::model::{
    App, AppName, Artifact, Color, Companion, Placeholders, Release, ReleaseId, Replica, check_program,
};

/// `templates/companion.env`.
#[derive(Debug, Template)]
#[template(path = "companion.env", config = "templates/askama.toml")]
pub struct Environment<'a> {
    app: &'a AppName,
    color: Color,
    release: &'a ReleaseId,
    replica: &'a Replica,
    variables: Variables,
}

/// What a companion gets from bgctl. No `PORT`: a program that listens where that is set would take the port of the instance.
const OURS: [&str; 5] = [
    "BGCTL_RELEASE",
    "BGCTL_APP",
    "BGCTL_COLOR",
    "BGCTL_COMPANION",
    "BGCTL_REPLICA",
];

/// The options of `docker run` that only one container of a color can have, or that tell others of its ports or its health.
const OF_THE_INSTANCE: [&str; 9] = [
    "--publish",
    "-p",
    "--publish-all",
    "-P",
    "--expose",
    "--ip",
    "--ip6",
    "--cidfile",
    "--network-alias",
];

impl<'a> Environment<'a> {
    /// The environment of `replica` in `color`, as `release` has it. Errors where the release has no such companion, or a value
    /// cannot be handed through.
    pub fn new(app: &'a App, color: Color, release: &'a Release, replica: &'a Replica) -> eyre::Result<Self> {
        let named = |companion: &&Companion| companion.name == replica.companion;
        let companion = release.companions.iter().find(named);
        let companion = companion.ok_or_else(|| eyre::eyre!("the release has no companion of this name"))?;
        let host_port = *app.ports.get(color);
        let port = release.artifact.inside(host_port).unwrap_or(host_port);
        let placeholders = Placeholders::new(app, color, &release.id, port);
        let filled = |texts: &[String]| {
            let filled = texts.iter().map(|text| placeholders.fill(text));
            filled.collect::<Result<Vec<_>, _>>()
        };
        let mut variables = Variables::default();
        let values = [
            release.id.as_str(),
            app.name.as_str(),
            color.as_str(),
            companion.name.as_str(),
            &replica.number.to_string(),
        ];
        for (name, value) in OURS.into_iter().zip(values) {
            variables.add(name, value)?;
        }
        let arguments = filled(&companion.arguments)?;
        match &release.artifact {
            Artifact::Image { image, options, .. } => {
                variables.add("BGCTL_IMAGE", &image.to_string())?;
                let shared: Vec<_> = options.iter().filter(|option| is_shared(option)).cloned().collect();
                let options = run_options(app, color, release, (companion, replica), filled(&shared)?);
                variables.add("BGCTL_RUN_ARGS", &list(&options))?;
                variables.add("BGCTL_ARGS", &list(&arguments))?;
                let own = own_variables(release, &placeholders, |name| release.is_of_client(name))?;
                variables.add_client(&own)?;
            }
            Artifact::Program { path, .. } => {
                check_program(path.as_str())?;
                let own = own_variables(release, &placeholders, |_| true)?;
                variables.add_program(path.as_str(), arguments, &own)?;
            }
        }
        Ok(Self {
            app: &app.name,
            color,
            release: &release.id,
            replica,
            variables,
        })
    }
}

/// Whether a companion's container has an option of the app's, too.
fn is_shared(option: &str) -> bool {
    let name = option.split_once('=').map_or(option, |(name, _)| name);
    let publishes = name.strip_prefix("-p").is_some_and(|rest| !rest.is_empty());
    let is_of_instance = OF_THE_INSTANCE.contains(&name) || publishes || name.starts_with("--health-");
    !is_of_instance && !option.contains("{port}") && !option.contains("{port.")
}

/// The options of `docker run`; `options` are those of the app that it shares.
fn run_options(
    app: &App,
    color: Color,
    release: &Release,
    (companion, replica): (&Companion, &Replica),
    options: Vec<String>,
) -> Vec<String> {
    let mut all = vec![
        format!("--label=bgctl.app={}", app.name),
        format!("--label=bgctl.color={color}"),
        format!("--label=bgctl.release={}", release.id),
        format!("--label=bgctl.companion={}", companion.name),
        // The image's own is of the app that listens.
        "--no-healthcheck".to_owned(),
    ];
    all.extend(OURS.map(|name| format!("--env={name}")));
    let instance = format!("{}_{}-{color}-{}", app.name, companion.name, replica.number);
    all.extend(shared_options(app, release, &instance, companion.memory));
    all.extend(options);
    all
}

#[cfg(test)]
mod tests {
    use super::is_shared;

    #[test]
    fn options_of_one_container_stay_with_the_instance() {
        for shared in [
            "--network=jobs",
            "--ulimit=nofile=65536",
            "--init",
            "-t",
            "--pid=host",
            "--label=a={color}",
        ] {
            assert!(is_shared(shared), "{shared}");
        }
        for own in [
            "--publish=127.0.0.1:{port.metrics}:9090",
            "-p=9090",
            "-p9090",
            "-P",
            "--publish-all",
            "--network-alias=web",
            "--health-cmd=true",
            "--no-healthcheck=false {port}",
            "--label=at={port}",
        ] {
            assert!(!is_shared(own), "{own}");
        }
    }
}
