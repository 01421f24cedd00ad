//! The template unit of an app.

use std::time::Duration;

use askama::Template;
use camino::Utf8Path;

use crate::model::{
    App, AppName, Check, Color, Companion, CredentialId, DockerSettings, Invalid, Port, Program, QuietSignal, Run,
    Runtime,
};

/// `templates/app@.service`.
#[derive(Debug, Template)]
#[template(path = "app@.service", config = "templates/askama.toml")]
pub struct Unit<'a> {
    app: &'a AppName,
    /// Its name before the `@`.
    name: String,
    companion: Option<&'a Companion>,
    quiet: Option<&'a str>,
    bgctl: &'a str,
    docker: Option<Docker<'a>>,
    program: Option<Sandbox<'a>>,
    credentials: Vec<(&'a CredentialId, &'a str)>,
    in_sandbox: bool,
    stop_seconds: u64,
    service: &'a [String],
}

/// The docker client, and the engine's socket.
#[derive(Debug)]
struct Docker<'a> {
    program: &'a str,
    socket: &'a str,
}

/// What a program of the host may use.
#[derive(Debug)]
struct Sandbox<'a> {
    working_directory: Option<&'a str>,
    state_user: Option<String>,
    memory: Option<u64>,
    privileged_port: bool,
}

impl<'a> Unit<'a> {
    /// The unit of `app`; fails with [`Invalid`] where a value cannot stand in it.
    pub fn new(app: &'a App, bgctl: &'a Utf8Path, docker: &'a DockerSettings) -> Result<Self, Invalid> {
        let run = &app.run;
        let (docker, program) = match &run.runtime {
            Runtime::Docker(_) => (Some(Docker::new(docker)?), None),
            Runtime::Program(program) => (None, Some(Sandbox::new(app, program)?)),
        };
        Ok(Self {
            app: &app.name,
            name: app.name.to_string(),
            companion: None,
            quiet: None,
            bgctl: super::path("the path of bgctl", bgctl)?,
            docker,
            program,
            credentials: credentials(run)?,
            // The manifest's own check command is confined as a program is. What confines a container's unit is for the
            // docker client alone.
            in_sandbox: matches!(run.runtime, Runtime::Program(_)) && matches!(app.health.check, Check::Command { .. }),
            stop_seconds: seconds(run.stop_timeout),
            service: &run.service,
        })
    }

    /// The unit of a companion: as the app's own, but for its health check, its ports and its end.
    pub fn of_companion(
        app: &'a App,
        companion: &'a Companion,
        bgctl: &'a Utf8Path,
        docker: &'a DockerSettings,
    ) -> Result<Self, Invalid> {
        let unit = Self::new(app, bgctl, docker)?;
        Ok(Self {
            name: format!("{}_{}", app.name, companion.name),
            companion: Some(companion),
            quiet: companion.quiet_signal.as_ref().map(QuietSignal::as_str),
            program: unit.program.map(|program| Sandbox {
                memory: companion.memory,
                privileged_port: false,
                ..program
            }),
            in_sandbox: false,
            stop_seconds: seconds(companion.stop_timeout),
            ..unit
        })
    }
}

impl<'a> Docker<'a> {
    fn new(settings: &'a DockerSettings) -> Result<Self, Invalid> {
        Ok(Self {
            program: super::path("the path of docker", &settings.program)?,
            socket: super::path("the socket of docker", &settings.socket)?,
        })
    }
}

impl<'a> Sandbox<'a> {
    fn new(app: &'a App, program: &'a Program) -> Result<Self, Invalid> {
        let working_directory = program.working_directory.as_deref();
        Ok(Self {
            working_directory: working_directory
                .map(|folder| super::path("a working directory", folder))
                .transpose()?,
            state_user: program
                .state_directory
                .then(|| super::short(&format!("bg-{}", app.name), USER_NAME_MAX)),
            memory: app.run.memory,
            privileged_port: Color::BOTH
                .iter()
                .any(|color| app.ports_of(*color).any(Port::is_privileged)),
        })
    }
}

/// The longest name of a user (utmp(5), and what systemd.exec(5), `User=` takes).
const USER_NAME_MAX: usize = 31;

fn credentials(run: &Run) -> Result<Vec<(&CredentialId, &str)>, Invalid> {
    run.credentials
        .iter()
        .map(|(id, file)| Ok((id, super::path("the file of a credential", file)?)))
        .collect()
}

/// Whole seconds, as `docker stop` wants them, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
