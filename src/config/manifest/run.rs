//! `[run]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{above_zero, written};
use crate::config::error::Problem;
use crate::config::value::{AbsolutePath, PortNumber, Size};
use crate::model::{
    ByColor, Docker, ImageRef, Invalid, Port, PortName, Program, Run, Runtime, check_placeholders, check_program,
    has_placeholder,
};

const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Below it no program of use starts.
const MEMORY_MIN: u64 = 4 << 20;
/// The least that Docker takes (docker-run(1), `--memory`).
const MEMORY_MIN_DOCKER: u64 = 6 << 20;
/// The options by which a container has the network of the host (docker-run(1)).
const HOSTS_NETWORK: [&str; 2] = ["--network=host", "--net=host"];

/// What runs; `ports` are those that a placeholder may name.
pub(super) fn validate(
    written: Spanned<written::Run>,
    ports: &BTreeMap<PortName, ByColor<Port>>,
) -> Result<Run, Problem> {
    let table = written.span();
    let mut written = written.into_inner();
    let runtime = runtime(&mut written).map_err(|problem| problem.or_at(&table))?;
    let minimum = memory_min(&runtime);
    let environment: BTreeMap<_, _> = written.env.into_iter().map(|(name, line)| (name, line.0)).collect();
    let file = runtime.environment_file();
    let arguments: Vec<_> = written.args.into_iter().map(|line| line.0).collect();
    let invalid = |error: Invalid| Problem::at(table.clone(), error.to_string());
    for (name, value) in &environment {
        let checked = file.check(name.as_str(), value, has_placeholder(value));
        checked.map_err(invalid)?;
    }
    let options = match &runtime {
        Runtime::Docker(docker) => docker.options.as_slice(),
        Runtime::Program(_) => &[],
    };
    for text in environment.values().chain(&arguments).chain(options) {
        check_placeholders(text, ports).map_err(invalid)?;
    }
    Ok(Run {
        runtime,
        arguments,
        environment,
        env_file: written.env_file.map(|path| path.0),
        credentials: written.credentials.into_iter().map(|(id, path)| (id, path.0)).collect(),
        memory: memory(written.memory, minimum)?,
        stop_timeout: above_zero(written.stop_timeout, STOP_TIMEOUT, "stop_timeout")?,
        service: written.service.into_iter().map(|line| line.0).collect(),
    })
}

fn runtime(written: &mut written::Run) -> Result<Runtime, Problem> {
    match (written.image.take(), written.exec.take()) {
        (Some(image), None) => docker(written, image.into_inner()),
        (None, Some(exec)) => program(written, exec),
        (Some(_), Some(exec)) => Err(Problem::at(
            exec.span(),
            "cannot run both image and exec: one is a container, the other a program of the host",
        )),
        (None, None) => Err(Problem::somewhere(
            "cannot do without something to run: give image (with container_port) or exec in [run]",
        )),
    }
}

fn docker(written: &mut written::Run, image: ImageRef) -> Result<Runtime, Problem> {
    refuse(
        "image",
        [
            ("working_directory", span(written.working_directory.as_ref())),
            ("state_directory", span(written.state_directory.as_ref())),
            ("changed_program", span(written.changed_program.as_ref())),
        ],
    )?;
    let options = texts(written.docker_options.take(), |option| option.0);
    Ok(Runtime::Docker(Docker {
        image,
        pull: written.pull.take().map(Spanned::into_inner).unwrap_or_default(),
        container_port: container_port(written.container_port.take(), &options)?,
        volumes: texts(written.volumes.take(), |volume| volume.0),
        options,
    }))
}

/// With the host's network both colors would have the same port.
fn container_port(written: Option<Spanned<PortNumber>>, options: &[String]) -> Result<Option<Port>, Problem> {
    let has_hosts_network = options.iter().any(|option| HOSTS_NETWORK.contains(&option.as_str()));
    match written {
        Some(port) if has_hosts_network => Err(Problem::at(
            port.span(),
            "cannot use container_port with --network=host: the app listens on its color's own port, which PORT and {port} say",
        )),
        None if !has_hosts_network => Err(Problem::somewhere(
            "cannot run an image without container_port: the port that the app listens on in its container",
        )),
        written => Ok(written.map(|port| port.get_ref().0)),
    }
}

fn program(written: &mut written::Run, exec: Spanned<AbsolutePath>) -> Result<Runtime, Problem> {
    refuse(
        "exec",
        [
            ("pull", span(written.pull.as_ref())),
            ("container_port", span(written.container_port.as_ref())),
            ("volumes", span(written.volumes.as_ref())),
            ("docker_options", span(written.docker_options.as_ref())),
        ],
    )?;
    let place = exec.span();
    let path = exec.into_inner().0;
    check_program(path.as_str()).map_err(|error| Problem::at(place, error.to_string()))?;
    Ok(Runtime::Program(Program {
        path,
        working_directory: written.working_directory.take().map(|path| path.into_inner().0),
        on_change: written.changed_program.take().map(Spanned::into_inner),
        state_directory: written.state_directory.take().is_some_and(Spanned::into_inner),
    }))
}

fn span<T>(value: Option<&Spanned<T>>) -> Option<Range<usize>> {
    value.map(Spanned::span)
}

/// Refuses the keys that have no meaning beside `runtime`.
fn refuse<const N: usize>(runtime: &str, keys: [(&str, Option<Range<usize>>); N]) -> Result<(), Problem> {
    match keys.into_iter().find_map(|(key, span)| Some((key, span?))) {
        Some((key, span)) => Err(Problem::at(
            span,
            format!("cannot use {key} with {runtime}: it has no meaning there"),
        )),
        None => Ok(()),
    }
}

fn texts<T>(written: Option<Spanned<Vec<T>>>, text: fn(T) -> String) -> Vec<String> {
    let written = written.map(Spanned::into_inner).unwrap_or_default();
    written.into_iter().map(text).collect()
}

pub(super) fn memory_min(runtime: &Runtime) -> u64 {
    match runtime {
        Runtime::Docker(_) => MEMORY_MIN_DOCKER,
        Runtime::Program(_) => MEMORY_MIN,
    }
}

pub(super) fn memory(written: Option<Spanned<Size>>, minimum: u64) -> Result<Option<u64>, Problem> {
    match written {
        Some(size) if size.get_ref().0 < minimum => {
            let message = format!("cannot use so little memory: {}M is the least", minimum >> 20);
            Err(Problem::at(size.span(), message))
        }
        other => Ok(other.map(|size| size.get_ref().0)),
    }
}
