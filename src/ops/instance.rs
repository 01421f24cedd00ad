//! An instance as a health check sees it: its port on the host, and of a container what is inside.

use std::time::{Duration, Instant};

use camino::Utf8Path;

use crate::host::connections::Listening;
use crate::host::probe::{self, Healthy};
use crate::model::{AppName, Check, HealthCheck, Port};
use crate::runtime::docker::{Container, Docker, container_name};

/// One that runs.
#[derive(Debug)]
pub struct Instance {
    port: Port,
    inside: Option<Inside>,
}

/// Its container.
#[derive(Debug)]
struct Inside {
    docker: Docker,
    container: Container,
    /// Where it is to listen there.
    port: Port,
}

impl Instance {
    /// One of which only the port is asked.
    pub fn on(port: Port) -> Self {
        Self { port, inside: None }
    }

    /// That of a container which listens on port `inside`, once it runs. Errors where the engine at `socket` cannot tell.
    pub async fn in_container(socket: &Utf8Path, app: &AppName, port: Port, inside: Port) -> eyre::Result<Self> {
        let docker = Docker::connect(socket).await?;
        let container = docker.runs(&container_name(app, port)).await?;
        let inside = Inside {
            docker,
            container,
            port: inside,
        };
        Ok(Self {
            port,
            inside: Some(inside),
        })
    }

    /// The one on `port`; `inside` is where it listens in its container, if it is one. That is looked at where `health` needs it. An
    /// engine that does not tell within the check's own time leaves the port to be asked.
    pub async fn of(socket: &Utf8Path, app: &AppName, port: Port, inside: Option<Port>, health: &HealthCheck) -> Self {
        let Some(inside) = inside.filter(|_| Self::looks_inside(health)) else {
            return Self::on(port);
        };
        let found = Self::in_container(socket, app, port, inside);
        match tokio::time::timeout(health.timeout, found).await {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => {
                tracing::warn!("{error:#}");
                Self::on(port)
            }
            Err(_) => Self::on(port),
        }
    }

    /// Whether a check of a container needs more than its port.
    pub fn looks_inside(health: &HealthCheck) -> bool {
        matches!(health.check, Check::Tcp | Check::Image)
    }

    /// The main process of its container, if that has the host's network.
    pub fn process_on_host(&self) -> Option<u32> {
        let process = self.inside.as_ref()?.container.process?;
        let listening = Listening::of(process).ok()?;
        listening.is_on_host().then_some(process)
    }

    /// One try of `check`, for at most `timeout`. Errors with the answer.
    pub async fn once(&self, check: &Check, timeout: Duration) -> Result<(), String> {
        match (check, &self.inside) {
            (Check::Image, Some(inside)) => tokio::time::timeout(timeout, inside.docker.check(&inside.container))
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {timeout:?}"))),
            (Check::Tcp, Some(inside)) => {
                inside.listens()?;
                probe::once(check, self.port, timeout).await
            }
            _ => probe::once(check, self.port, timeout).await,
        }
    }

    /// Tries `health` until it succeeds, see [`probe::wait`].
    pub async fn wait(
        &self,
        health: &HealthCheck,
        began: Instant,
        on_status: impl FnMut(&str),
    ) -> eyre::Result<Healthy> {
        let once = async |time| self.once(&health.check, time).await;
        probe::wait(health, self.port, began, once, on_status).await
    }

    /// Where it listens in the place of its port, in a sentence; `main` is its main process where it is no container. Returns `None`
    /// where it listens there, or that cannot be found out.
    pub fn elsewhere(&self, main: Option<u32>) -> Option<String> {
        let (main, port) = match &self.inside {
            Some(inside) => (inside.container.process, inside.port),
            None => (main, self.port),
        };
        Listening::of(main?).ok()?.explain(port)
    }
}

impl Inside {
    /// The engine's proxy accepts connections whether anybody listens or not. A container of another kernel is believed.
    fn listens(&self) -> Result<(), String> {
        let Some(process) = self.container.process else {
            return Ok(());
        };
        match Listening::of(process) {
            Ok(listening) if listening.reaches(self.port) => Ok(()),
            Ok(_) => Err(format!("nobody listens on port {} in its container", self.port)),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}
