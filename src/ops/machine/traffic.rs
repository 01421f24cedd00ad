//! Moving the traffic, and watching it.

use std::time::{Duration, Instant};

use eyre::WrapErr as _;

use crate::engine::Effects as _;
use crate::host::connections;
use crate::model::{Check, Color, Route};
use crate::plan::{Expected, Plan};
use crate::proxy::nginx::hold::Hold;
use crate::proxy::nginx::{self, Nginx, Way, old, route};

use super::Machine;

/// How long no connection must be seen before a color counts as drained.
const SETTLED: Duration = Duration::from_millis(25);
/// How long nginx may take to show the color that its route names.
const CONFIRM: Duration = Duration::from_secs(5);
/// The longest pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks again and again. Errors with the last answer where none is good within [`CONFIRM`].
async fn until_confirmed(ask: impl AsyncFn() -> eyre::Result<()>) -> eyre::Result<()> {
    let since = Instant::now();
    let mut pause = Duration::from_millis(2);
    while let Err(error) = ask().await {
        if since.elapsed() > CONFIRM {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE);
    }
    Ok(())
}

impl Machine {
    /// Moves all new requests, and says in the units' descriptions who is active now. Those that were held go the same way;
    /// a note says since when the first of them may have waited.
    pub(super) async fn route(&self, to: Route) -> eyre::Result<Option<String>> {
        let held_for = route::held(&self.routes())?;
        route::set(&self.routes(), to)?;
        let waiting = self.hold.take();
        if let Some(waiting) = waiting {
            waiting.release().await?;
        }
        old::follow(&self.layout.app(&self.app.name), to)?;
        tokio::join!(self.describe_if_up(Color::Blue), self.describe_if_up(Color::Green));
        let note = held_for.map(|held| format!("requests were held for {:.1} s", held.as_secs_f64()));
        if let Some(note) = &note {
            tracing::info!("{note}");
        }
        Ok(note)
    }

    /// Has nginx hold new requests, each for `limit`; to `prove` it nginx is asked until it says so.
    pub(super) async fn hold(&self, limit: Duration, prove: bool) -> eyre::Result<()> {
        if self.hold.borrow().is_none() {
            self.hold.replace(Some(Hold::open(&self.routes(), limit)?));
        }
        route::set(&self.routes(), Route::Held)?;
        old::follow(&self.layout.app(&self.app.name), Route::Held)?;
        if !prove {
            return Ok(());
        }
        let proven = until_confirmed(async || self.ask_route(Route::Held).await).await;
        proven.wrap_err("cannot have nginx hold requests")
    }

    /// Holds requests again, where a worker before this one did so for `plan` and was ended.
    pub fn hold_again(&self, plan: &Plan) -> eyre::Result<()> {
        let Some(limit) = plan.hold() else { return Ok(()) };
        if route::read(&self.routes())? == Some(Route::Held) {
            self.hold.replace(Some(Hold::open(&self.routes(), limit)?));
        }
        Ok(())
    }

    /// Asks nginx until it answers for `color`, and the app through it as `health` says.
    pub(super) async fn confirm(&self, color: Color, health: Option<Expected>) -> eyre::Result<()> {
        let confirmed = until_confirmed(async || self.ask_nginx(color, health).await).await;
        confirmed.wrap_err_with(|| format!("cannot confirm that {color} answers through nginx"))?;
        // Whatever becomes of this worker, this host knows what it moved its users to.
        self.remember();
        Ok(())
    }

    /// Errors where nginx does not say that this is its route.
    async fn ask_route(&self, route: Route) -> eyre::Result<()> {
        let answered = nginx::ask(&self.app.name, self.settings.nginx.control_port)
            .await?
            .route;
        eyre::ensure!(answered == route, "nginx sends requests to {answered}");
        Ok(())
    }

    async fn ask_nginx(&self, color: Color, health: Option<Expected>) -> eyre::Result<()> {
        self.ask_route(Route::To(color)).await?;
        let (app, control_port) = (&self.app.name, self.settings.nginx.control_port);
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
