//! Containers that run, as the engine knows them.

use std::time::Duration;

use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, HealthConfig};
use bollard::query_parameters::StatsOptionsBuilder;
use eyre::WrapErr as _;
use futures_util::StreamExt as _;

use super::Docker;
use crate::model::{Hinted, ResolvedImage};

/// The time between two looks at a container.
const LOOK: Duration = Duration::from_millis(5);

/// The most that is shown of what a check printed, characters.
const SHOWN: usize = 200;

/// The runtimes whose containers are processes of this host, in network namespaces of its kernel. In others (gVisor, Kata) is a
/// kernel of their own.
const OF_THIS_KERNEL: [&str; 5] = ["", "runc", "io.containerd.runc.v2", "crun", "youki"];

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its main process, by its id on this host; `None` where that tells nothing of what is inside.
    pub process: Option<u32>,
    /// The command of its `HEALTHCHECK`; `None` where it has none.
    check: Option<Vec<String>>,
}

impl Docker {
    /// Waits until a container runs. Errors where the engine cannot tell.
    pub async fn runs(&self, container: &str) -> eyre::Result<Container> {
        loop {
            match self.engine.inspect_container(container, None).await {
                Ok(found) => {
                    if let Some(running) = running(container, found) {
                        return Ok(running);
                    }
                }
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(error).wrap_err_with(|| format!("cannot look at container {container}")),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether a container was made of an image, as that is on this host now. Errors where the engine cannot tell.
    pub async fn runs_image(&self, container: &str, image: &ResolvedImage) -> eyre::Result<bool> {
        let found = self.engine.inspect_container(container, None).await;
        let found = found.wrap_err_with(|| format!("cannot look at container {container}"))?;
        let there = self.inspect(&image.to_string()).await?.and_then(|image| image.id);
        let there = there.ok_or_else(|| eyre::eyre!("cannot find image {image}: it is not on this host any more"))?;
        Ok(found.image == Some(there))
    }

    /// Runs the `HEALTHCHECK` of a container in it, as the engine would. Errors with what it printed where it does not exit with 0.
    pub async fn check(&self, container: &Container) -> Result<(), String> {
        let Some(command) = &container.check else {
            return Err("it has no HEALTHCHECK".to_owned());
        };
        self.execute(&container.name, command.clone())
            .await
            .map_err(|error| format!("cannot run its HEALTHCHECK: {error}"))?
    }

    async fn execute(&self, container: &str, command: Vec<String>) -> Result<Result<(), String>, Error> {
        let options = CreateExecOptions {
            cmd: Some(command),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let id = self.engine.create_exec(container, options).await?.id;
        let mut printed = String::new();
        if let StartExecResults::Attached { mut output, .. } = self.engine.start_exec(&id, None).await? {
            while let Some(part) = output.next().await {
                if printed.len() < SHOWN {
                    printed += &part?.to_string();
                }
            }
        }
        Ok(match self.engine.inspect_exec(&id).await?.exit_code {
            Some(0) => Ok(()),
            code => {
                let line = printed
                    .lines()
                    .map(str::trim)
                    .find(|line| !line.is_empty())
                    .unwrap_or_default();
                let line: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
                let code = code.map_or("?".to_owned(), |code| code.to_string());
                Err(format!("its HEALTHCHECK exited with {code}: {line}")
                    .trim_end_matches([':', ' '])
                    .to_owned())
            }
        })
    }

    /// Errors where an image has no `HEALTHCHECK`, and none of `options` of `docker run` gives it one.
    pub async fn require_check(&self, image: &ResolvedImage, options: &[String]) -> eyre::Result<()> {
        let is_set = |start: &str| options.iter().any(|option| option.starts_with(start));
        let config = self.inspect(&image.to_string()).await?.and_then(|image| image.config);
        let own = config.and_then(|config| command(config.healthcheck, config.shell));
        if is_set("--health-cmd=") || (own.is_some() && !is_set("--no-healthcheck")) {
            return Ok(());
        }
        let message = format!("cannot leave the health check to {image}: it has no HEALTHCHECK");
        let hint = "give it one, or give [health] path, tcp or command in the place of image";
        Err(Hinted::new(message, hint).into())
    }

    /// The memory that a container uses, bytes, as `docker stats` counts it: without the page cache that can be dropped.
    /// None where there is no such container, or it does not run.
    pub async fn memory(&self, container: &str) -> eyre::Result<Option<u64>> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(self.engine.stats(container, Some(options)));
        let stats = match answers.next().await {
            None | Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => return Ok(None),
            Some(stats) => stats.wrap_err_with(|| format!("cannot read the memory of container {container}"))?,
        };
        let memory = stats.memory_stats.unwrap_or_default();
        let details = memory.stats.unwrap_or_default();
        // cgroup v2 and v1 have different names for it.
        let cache = details
            .get("inactive_file")
            .or_else(|| details.get("total_inactive_file"));
        Ok(memory
            .usage
            .map(|usage| usage.saturating_sub(cache.copied().unwrap_or_default())))
    }
}

fn running(name: &str, found: ContainerInspectResponse) -> Option<Container> {
    let state = found.state.filter(|state| state.running == Some(true))?;
    let runtime = found.host_config.and_then(|config| config.runtime).unwrap_or_default();
    let process = state
        .pid
        .and_then(|pid| u32::try_from(pid).ok())
        .filter(|pid| *pid != 0);
    let check = found
        .config
        .and_then(|config| command(config.healthcheck, config.shell));
    Some(Container {
        name: name.to_owned(),
        process: process.filter(|_| OF_THIS_KERNEL.contains(&runtime.as_str())),
        check,
    })
}

/// The command of a `HEALTHCHECK`, which is a list from `CMD`, `CMD-SHELL` or `NONE` on (Docker Engine API, `HealthConfig`).
fn command(check: Option<HealthConfig>, shell: Option<Vec<String>>) -> Option<Vec<String>> {
    let test = check?.test?;
    let (kind, words) = test.split_first()?;
    match kind.as_str() {
        "CMD" => Some(words.to_vec()),
        "CMD-SHELL" => {
            let shell = shell.filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            Some([shell.as_slice(), words].concat())
        }
        _ => None,
    }
    .filter(|command| !command.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_of_a_check() {
        let of = |test: &[&str], shell: Option<&str>| {
            let test = Some(test.iter().map(|word| (*word).to_owned()).collect());
            let check = HealthConfig {
                test,
                ..HealthConfig::default()
            };
            let shell = shell.map(|shell| vec![shell.to_owned()]);
            command(Some(check), shell).map(|command| command.join(" "))
        };
        assert_eq!(of(&["CMD", "/check", "now"], None).as_deref(), Some("/check now"));
        assert_eq!(of(&["CMD-SHELL", "a || b"], None).as_deref(), Some("/bin/sh -c a || b"));
        assert_eq!(of(&["CMD-SHELL", "a"], Some("/bash")).as_deref(), Some("/bash a"));
        for none in [&["NONE"][..], &[], &["CMD"]] {
            assert_eq!(of(none, None), None, "{none:?}");
        }
        assert_eq!(command(None, None), None);
    }
}
