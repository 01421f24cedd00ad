//! `[run]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::{above_zero, written};
use crate::config::error::Problem;
use crate::config::value::{AbsolutePath, Size};
use crate::model::{Docker, ImageRef, Program, Run, Runtime, check_program};

const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Below it no program of use starts.
const MEMORY_MIN: u64 = 4 << 20;
/// The least that Docker takes (docker-run(1), `--memory`).
const MEMORY_MIN_DOCKER: u64 = 6 << 20;

pub(super) fn validate(written: Spanned<written::Run>) -> Result<Run, Problem> {
    let table = written.span();
    let mut written = written.into_inner();
    let runtime = runtime(&mut written).map_err(|problem| problem.or_at(&table))?;
    let minimum = match runtime {
        Runtime::Docker(_) => MEMORY_MIN_DOCKER,
        Runtime::Program(_) => MEMORY_MIN,
    };
    let environment: BTreeMap<_, _> = written.env.into_iter().map(|(name, line)| (name, line.0)).collect();
    let file = runtime.environment_file();
    for (name, value) in &environment {
        file.check(name.as_str(), value)
            .map_err(|error| Problem::at(table.clone(), error.to_string()))?;
    }
    Ok(Run {
        runtime,
        arguments: written.args.into_iter().map(|line| line.0).collect(),
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
        ],
    )?;
    let container_port = written.container_port.take().ok_or_else(|| {
        Problem::somewhere(
            "cannot run an image without container_port: the port that the app listens on in its container",
        )
    })?;
    Ok(Runtime::Docker(Docker {
        image,
        container_port: container_port.get_ref().0,
        volumes: texts(written.volumes.take(), |volume| volume.0),
        options: texts(written.docker_options.take(), |option| option.0),
    }))
}

fn program(written: &mut written::Run, exec: Spanned<AbsolutePath>) -> Result<Runtime, Problem> {
    refuse(
        "exec",
        [
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

fn memory(written: Option<Spanned<Size>>, minimum: u64) -> Result<Option<u64>, Problem> {
    match written {
        Some(size) if size.get_ref().0 < minimum => {
            let message = format!("cannot use so little memory: {}M is the least", minimum >> 20);
            Err(Problem::at(size.span(), message))
        }
        other => Ok(other.map(|size| size.get_ref().0)),
    }
}
