//! Moving the traffic, and watching it.

use std::time::{Duration, Instant};

use crate::engine::Effects as _;
use crate::host::connections;
use crate::model::{Check, Color, Route};
use crate::plan::Expected;
use crate::proxy::nginx::{self, Nginx, Way, old, route};

use super::Machine;

/// How long no connection must be seen before a color counts as drained.
const SETTLED: Duration = Duration::from_millis(25);
/// How long nginx may take to show the color that its route names.
const CONFIRM: Duration = Duration::from_secs(5);
/// The longest pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

impl Machine {
    /// Moves all new requests, and says in the units' descriptions who is active now.
    pub(super) async fn route(&self, to: Route) -> eyre::Result<()> {
        route::set(&self.routes(), to)?;
        old::follow(&self.layout.app(&self.app.name), to)?;
        tokio::join!(self.describe_if_up(Color::Blue), self.describe_if_up(Color::Green));
        Ok(())
    }

    /// Asks nginx until it answers for `color`, and the app through it as `health` says.
    pub(super) async fn confirm(&self, color: Color, health: Option<Expected>) -> eyre::Result<()> {
        let since = Instant::now();
        let mut pause = Duration::from_millis(2);
        while let Err(error) = self.ask_nginx(color, health).await {
            if since.elapsed() > CONFIRM {
                return Err(error.wrap_err(format!("cannot confirm that {color} answers through nginx")));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
        // Whatever becomes of this worker, this host knows what it moved its users to.
        self.remember();
        Ok(())
    }

    async fn ask_nginx(&self, color: Color, health: Option<Expected>) -> eyre::Result<()> {
        let (app, control_port) = (&self.app.name, self.settings.nginx.control_port);
        let route = nginx::ask(app, control_port).await?.route;
        if !route.serves(color) {
            eyre::bail!("nginx sends requests to {route}");
        }
        let Some(Expected { status, timeout }) = health else {
            return Ok(());
        };
        let port = self.port(color).get();
        let host = match &self.app.health.check {
            Check::Http(http) => http.host.as_ref().map(|host| format!(" (Host: {host})")),
            Check::Tcp | Check::Image | Check::Command { .. } => None,
        };
        let host = host.unwrap_or_default();
        for way in Way::BOTH {
            let answer = nginx::health(app, control_port, way, timeout).await?;
            if answer.port != Some(port) {
                let by = answer.port.map_or("nobody".to_owned(), |port| format!("port {port}"));
                eyre::bail!("nginx asks {by} for requests {way}, and {color} is port {port}");
            }
            if answer.status != status {
                let said = &answer.said;
                eyre::bail!("its health check through nginx answers {said}, and {status} is expected{host}");
            }
        }
        Ok(())
    }

    /// Waits until nginx has no connection to `color` left; a note where some had to be cut, or others hold some.
    pub(super) async fn drain(&self, color: Color, timeout: Duration) -> eyre::Result<Option<String>> {
        let nginx = Nginx::new(self.settings.nginx.clone(), self.systemd.clone());
        let report = connections::drain(self.port(color), timeout, SETTLED, nginx.processes(), |open| {
            self.announce(&format!("drain: {color} has {open} connections"));
        })
        .await?;
        let cut = (report.cut > 0).then(|| format!("{} connections were still open after {timeout:?}", report.cut));
        let notes: Vec<_> = cut
            .into_iter()
            .chain(report.others.iter().map(ToString::to_string))
            .collect();
        Ok((!notes.is_empty()).then(|| notes.join("; ")))
    }
}
